"""Edits of a whole picture: variations, styles, and pictures that follow the lines of another."""

from __future__ import annotations

import random
from typing import Any

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from ..job import Job
from ..painting.brush import clouds
from .scene import fitted, scene
from .tones import from_colours, from_picture, textured, toned, turned

__all__ = ["color_guided", "control", "image_to_image", "style_guide", "style_transfer", "variation"]


def _pictures(job: Job) -> tuple[Image.Image, ...]:
    assert job.edit is not None
    return job.edit.pictures


def image_to_image(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """Between the input (``amount`` 0) and the prompt (1): first its colours come, then its shapes."""
    amount = options["amount"]
    start = fitted(_pictures(job)[0], (job.width, job.height))
    if amount <= 0:
        return start
    painted = scene(job.prompt, digest, start.size)
    coloured = toned(start, from_picture(painted), min(1.0, amount * 1.3))
    veil = clouds(random.Random(digest), start.size, cell=max(16.0, max(start.size) / 7))
    low = round(255 * (1 - amount))
    shapes = veil.point([min(255, max(0, (value - low) * 3 + round(170 * amount * amount))) for value in range(256)])
    mixed = Image.composite(painted, coloured, shapes) if amount < 1 else painted
    return Image.blend(mixed, painted, amount**4)


def variation(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The first picture with other light, colours and brushwork; further pictures lend it theirs."""
    rng = random.Random(digest)
    size, free = (job.width, job.height), 1 - options["amount"]
    pictures = [fitted(picture, size) for picture in _pictures(job)]
    result = pictures[0]
    for other in pictures[1:]:
        result = textured(toned(result, from_picture(other), 0.55), rng, reference=other)
    zoom = 1 + 0.05 + 0.12 * rng.random() * (0.4 + free)
    inner = (round(size[0] / zoom), round(size[1] / zoom))
    left, top = rng.randint(0, size[0] - inner[0]), rng.randint(0, size[1] - inner[1])
    result = result.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + inner[0], top + inner[1]))
    result = turned(result, rng.uniform(-1, 1) * (14 + 60 * free))
    result = ImageEnhance.Color(result).enhance(1 + rng.uniform(-0.25, 0.35) * (0.4 + free))
    painted = scene(job.prompt, digest, size)
    result = toned(result, from_picture(painted), 0.12 + 0.5 * free)
    if job.prompt.strip():
        result = Image.blend(result, ImageChops.overlay(result, painted), 0.6 * free)
    return textured(result, rng)


def color_guided(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The prompt in the given colours; a reference picture lends its light and shade."""
    size = (job.width, job.height)
    painted = scene(job.prompt, digest, size)
    for reference in _pictures(job):
        grey = fitted(reference, size).convert("L").filter(ImageFilter.GaussianBlur(max(size) / 120))
        painted = Image.blend(painted, ImageChops.overlay(painted, Image.merge("RGB", (grey,) * 3)), 0.7)
    return toned(painted, from_colours(options["colours"]), 0.92)


def style_guide(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The prompt in the colours and with the texture of the reference."""
    reference = _pictures(job)[0]
    painted = scene(job.prompt, digest, (job.width, job.height))
    coloured = toned(painted, from_picture(reference), 0.35 + 0.65 * options["amount"])
    return Image.blend(coloured, textured(coloured, random.Random(digest), reference=reference), options["amount"])


def style_transfer(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The first picture in the colours and with the texture of the second."""
    picture, style = _pictures(job)
    size = (job.width, job.height)
    start, amount = fitted(picture, size), options["amount"]
    result = toned(start, from_picture(style), amount)
    result = Image.blend(result, textured(result, random.Random(digest), reference=style), amount)
    loose = 1 - options["fidelity"]
    if job.prompt.strip():
        painted = toned(scene(job.prompt, digest, size), from_picture(style))
        result = Image.blend(result, ImageChops.overlay(result, painted), 0.15 + 0.5 * loose)
    haze = fitted(style, size).filter(ImageFilter.GaussianBlur(max(size) / 12))
    result = Image.blend(result, haze, 0.6 * loose)
    return textured(result, random.Random(digest[::-1]))


def control(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The prompt, following the lines of the input; ``amount`` tells how closely.

    ``mode`` sketch takes the strokes themselves, segmentation the areas, edges and structure the contours.
    """
    amount, mode = options["amount"], options["mode"]
    size = (job.width, job.height)
    guide = fitted(_pictures(job)[0], size)
    painted = scene(job.prompt, digest, size)
    if mode == "segmentation":
        guide = _areas(guide)
    if mode == "sketch":
        lines = _strokes(guide)
    else:
        lines = _contours(guide)
        shade = guide.convert("L").filter(ImageFilter.GaussianBlur(max(1.0, max(size) / 260)))
        shade = ImageOps.autocontrast(shade, cutoff=1).point([36 + value * 184 // 255 for value in range(256)])
        lit = ImageChops.overlay(painted, Image.merge("RGB", (shade,) * 3))
        painted = Image.blend(painted, lit, min(1.0, 1.15 * amount))
    bright = painted.filter(ImageFilter.BoxBlur(3)).convert("L").point([0] * 96 + [255] * 160)
    ink = Image.composite(Image.new("RGB", size, (30, 22, 20)), Image.new("RGB", size, (255, 244, 222)), bright)
    painted.paste(ink, (0, 0), lines.point([round(value * min(1.0, 1.25 * amount)) for value in range(256)]))
    return painted


def _contours(guide: Image.Image) -> Image.Image:
    """White lines where brightness changes."""
    smooth = guide.convert("L").filter(ImageFilter.GaussianBlur(1.6))
    raw = smooth.filter(ImageFilter.FIND_EDGES)
    # The filter leaves the outermost pixels as they are.
    edges = Image.new("L", raw.size)
    edges.paste(raw.crop((2, 2, raw.width - 2, raw.height - 2)), (2, 2))
    # Lines are judged by the strongest of them, so that soft pictures have lines too and fine ones no noise.
    strongest = max((value for value, count in enumerate(edges.histogram()) if count), default=0)
    gain = 255 / max(24.0, 0.6 * strongest)
    return edges.point([min(255, max(0, round((value * gain - 44) * 3))) for value in range(256)])


def _strokes(guide: Image.Image) -> Image.Image:
    """The strokes of a drawing, white: what is darker than the paper, or lighter if the paper is dark."""
    grey = ImageOps.autocontrast(guide.convert("L"))
    paper = grey.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    dark = not isinstance(paper, (int, float)) or paper >= 128
    strokes = ImageOps.invert(grey) if dark else grey
    return ImageChops.lighter(
        strokes.point([min(255, max(0, (value - 90) * 3)) for value in range(256)]),
        _contours(guide).point([value // 2 for value in range(256)]),
    )


def _areas(guide: Image.Image) -> Image.Image:
    """The picture in eight flat colours."""
    small = guide.resize((max(8, guide.width // 4), max(8, guide.height // 4)), Image.Resampling.BOX)
    flat = small.filter(ImageFilter.MedianFilter(5)).quantize(8, dither=Image.Dither.NONE).convert("RGB")
    return flat.resize(guide.size, Image.Resampling.BILINEAR)
