"""What a prompt looks like, for use inside of other pictures: any size, at bounded cost."""

from __future__ import annotations

import math

from PIL import Image, ImageOps

from ..painting import paint

__all__ = ["fitted", "mirrored", "scene"]

_MIN_SIDE, _MAX_PIXELS = 64, 1_600_000


def scene(prompt: str, digest: bytes, size: tuple[int, int]) -> Image.Image:
    """A painting of the prompt of this size; small ones are painted larger, very large ones smaller."""
    width, height = size
    share = min(1.0, math.sqrt(_MAX_PIXELS / (width * height)))
    work = (max(_MIN_SIDE, round(width * share)), max(_MIN_SIDE, round(height * share)))
    picture = paint(prompt, digest, work)
    return picture if work == size else picture.resize(size, Image.Resampling.BICUBIC)


def fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in RGB, scaled and cropped around its middle so that it fills the size."""
    rgb = picture.convert("RGB")
    if rgb.size == size:
        return rgb
    wide = rgb.width * size[1] > rgb.height * size[0]
    if wide:
        half = rgb.height * size[0] / size[1] / 2
        box = (rgb.width / 2 - half, 0.0, rgb.width / 2 + half, float(rgb.height))
    else:
        half = rgb.width * size[1] / size[0] / 2
        box = (0.0, rgb.height / 2 - half, float(rgb.width), rgb.height / 2 + half)
    box = (max(0.0, box[0]), max(0.0, box[1]), min(float(rgb.width), box[2]), min(float(rgb.height), box[3]))
    return rgb.resize(size, Image.Resampling.BICUBIC, box=box)


def mirrored(tile: Image.Image, place: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """The tile at its place, and its mirror images all around."""
    row = Image.new("RGB", (size[0], tile.height))
    first = -(-place[0] // tile.width)
    for step in range(-first, -(-(size[0] - place[0]) // tile.width)):
        row.paste(ImageOps.mirror(tile) if step % 2 else tile, (place[0] + step * tile.width, 0))
    result = Image.new("RGB", size)
    first = -(-place[1] // tile.height)
    for step in range(-first, -(-(size[1] - place[1]) // tile.height)):
        result.paste(ImageOps.flip(row) if step % 2 else row, (0, place[1] + step * tile.height))
    return result
