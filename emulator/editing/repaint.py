"""Edits of a part of a picture: what the mask does not cover stays exactly as it is."""

from __future__ import annotations

import math
import random
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from ..job import Edit, Job
from ..painting.brush import grain
from .masks import bounds, soft
from .scene import fitted, mirrored, scene
from .tones import from_colours, from_picture, textured, toned

__all__ = ["erase", "filled", "inpaint", "outpaint", "recolor", "try_on"]

_WORK_PIXELS = 1_600_000
_COLOURS = {
    "red": (196, 40, 38), "blue": (44, 84, 190), "green": (50, 140, 66), "yellow": (240, 200, 54),
    "orange": (232, 124, 34), "purple": (122, 62, 160), "violet": (122, 62, 160), "pink": (236, 128, 168),
    "brown": (122, 78, 46), "black": (38, 38, 42), "white": (236, 234, 228), "grey": (128, 128, 130),
    "gray": (128, 128, 130), "gold": (212, 166, 60), "silver": (176, 180, 186), "turquoise": (48, 170, 170),
    "cyan": (60, 190, 210), "magenta": (200, 50, 150), "teal": (28, 120, 124), "navy": (28, 40, 90),
}  # fmt: skip


def _parts(job: Job) -> tuple[Image.Image, Image.Image, Edit]:
    """The picture in RGB and its mask. Every task of this module has them."""
    edit = job.edit
    assert edit is not None
    assert edit.mask is not None
    return edit.pictures[0].convert("RGB"), edit.mask, edit


def inpaint(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The prompt painted where the mask is white, running into its surroundings at the edges."""
    picture, mask, _ = _parts(job)
    box = bounds(mask)
    size = (box[2] - box[0], box[3] - box[1])
    part, hole = picture.crop(box), mask.crop(box)
    painted = scene(job.prompt, digest, size)
    around = filled(picture, mask).crop(box)
    edge = hole.point([0] + [255] * 255).filter(ImageFilter.GaussianBlur(max(1.0, min(size) / 40)))
    inside = Image.composite(painted, around, edge.point([round(value * 0.94) for value in range(256)]))
    return _put(picture, Image.composite(inside, part, hole), box)


def erase(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """What is around the mask continued into it."""
    picture, mask, _ = _parts(job)
    box = bounds(mask)
    rng = random.Random(digest)
    inside = grain(filled(picture, mask).crop(box), rng, strength=10)
    return _put(picture, Image.composite(inside, picture.crop(box), mask.crop(box)), box)


def recolor(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The masked part in the colour that the prompt names, or in one of the seed's choice; light and shade stay."""
    picture, mask, _ = _parts(job)
    box = bounds(mask)
    words = job.prompt.lower().replace(",", " ").replace(".", " ").split()
    named = [_COLOURS[word] for word in words if word in _COLOURS]
    colours = named or [list(_COLOURS.values())[digest[0] % len(_COLOURS)]]
    part = picture.crop(box)
    tinted = Image.blend(part, toned(part, from_colours(colours)), 0.9)
    return _put(picture, Image.composite(tinted, part, mask.crop(box)), box)


def try_on(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The garment of the second picture laid over the masked part of the first."""
    picture, mask, edit = _parts(job)
    box = bounds(mask)
    size = (box[2] - box[0], box[3] - box[1])
    part, hole = picture.crop(box), mask.crop(box)
    cloth = fitted(edit.pictures[1], size)
    folds = part.convert("L").filter(ImageFilter.GaussianBlur(max(1.0, min(size) / 60)))
    folds = ImageOps.autocontrast(folds).point([72 + value * 7 // 16 for value in range(256)])
    cloth = ImageChops.soft_light(cloth, Image.merge("RGB", (folds,) * 3))
    cloth = grain(cloth, random.Random(digest), strength=6)
    weight = hole if options.get("merge") == "DETAILED" else soft(hole, max(1.0, min(size) / 80))
    return _put(picture, Image.composite(cloth, part, weight), box)


def outpaint(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The picture on a larger canvas: mirrored near its edges, the prompt (if any) further out."""
    assert job.edit is not None
    picture, corner = job.edit.pictures[0].convert("RGB"), options["corner"]
    size = (job.width, job.height)
    share = min(1.0, math.sqrt(_WORK_PIXELS / (size[0] * size[1])))
    work = (max(8, round(size[0] * share)), max(8, round(size[1] * share)))
    inner = (max(2, round(picture.width * share)), max(2, round(picture.height * share)))
    place = (round(corner[0] * share), round(corner[1] * share))
    small = picture.resize(inner, Image.Resampling.BOX) if inner != picture.size else picture
    ground = mirrored(small, place, work)
    far = _away(place, inner, work)
    reach = max(4.0, max(work) / 40)
    smooth = ground.filter(ImageFilter.GaussianBlur(reach))
    ground = Image.composite(smooth, ground, far.point([min(255, value * 2) for value in range(256)]))
    if job.prompt.strip():
        painted = toned(scene(job.prompt, digest, work), from_picture(small), 0.35)
        gain = 1.1 + 2.4 * options["creativity"]
        ground = Image.composite(painted, ground, far.point([min(255, round(v * gain)) for v in range(256)]))
    rng = random.Random(digest)
    result = textured(ground, rng).resize(size, Image.Resampling.BICUBIC)
    result.paste(picture, corner)
    return result


def filled(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with its masked part made up from the colours around it.

    The rest is averaged into ever smaller pictures until no hole is left, and brought back up into the hole.
    """
    level = picture.copy()
    level.putalpha(mask.point([255] + [0] * 255))
    levels = [level]
    while max(levels[-1].size) > 1:
        width, height = levels[-1].size
        levels.append(levels[-1].resize(((width + 1) // 2, (height + 1) // 2), Image.Resampling.BOX))
    result = levels.pop().convert("RGB")
    for level in reversed(levels):
        whole = result.resize(level.size, Image.Resampling.BICUBIC)
        result = Image.composite(level.convert("RGB"), whole, level.getchannel("A"))
    return result


def _put(picture: Image.Image, part: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    result = picture.copy()
    result.paste(part, box[:2])
    return result


def _away(place: tuple[int, int], inner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Black on the inner picture, lighter with the distance from it."""
    far = Image.new("L", size, 255)
    ImageDraw.Draw(far).rectangle((*place, place[0] + inner[0], place[1] + inner[1]), fill=0)
    return far.filter(ImageFilter.BoxBlur(max(2, max(size) // 24))).filter(ImageFilter.BoxBlur(max(2, max(size) // 24)))
