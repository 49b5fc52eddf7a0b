"""Colours taken from one picture and given to another."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageFilter, ImageOps

from ..painting.brush import clouds, grain, mix
from ..painting.subject import Colour
from .scene import mirrored

__all__ = ["from_colours", "from_picture", "textured", "toned", "turned"]

Ramp = tuple[Colour, ...]
"""A colour for each of 256 brightnesses, dark to light."""


def from_picture(picture: Image.Image) -> Ramp:
    """The ramp of a picture's own colours; common colours get more of it."""
    small = picture.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    found = small.quantize(12, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB").getcolors(64)
    counted = sorted(((_luma(colour), count, colour) for count, colour in _pairs(found)), key=lambda entry: entry[0])
    stops: list[tuple[float, Colour]] = []
    seen, total = 0, sum(count for _, count, _ in counted)
    for _, count, colour in counted:
        stops.append(((seen + count / 2) / total, colour))
        seen += count
    dark, light = mix(counted[0][2], (0, 0, 0), 0.4), mix(counted[-1][2], (255, 255, 255), 0.35)
    return _ramp([(0.0, dark), *stops, (1.0, light)])


def from_colours(colours: Sequence[Colour]) -> Ramp:
    """The ramp through some colours, by brightness, with a little shade and light at its ends."""
    ordered = sorted(colours, key=_luma)
    dark, light = mix(ordered[0], (0, 0, 0), 0.45), mix(ordered[-1], (255, 255, 255), 0.45)
    count = len(ordered)
    inner = [(0.12 + 0.76 * (index + 0.5) / count, colour) for index, colour in enumerate(ordered)]
    return _ramp([(0.0, dark), *inner, (1.0, light)])


def toned(picture: Image.Image, ramp: Ramp, amount: float = 1.0) -> Image.Image:
    """The picture in the colours of a ramp; ``amount`` 0 leaves it as it is."""
    rgb = picture.convert("RGB")
    if amount <= 0:
        return rgb
    grey = rgb.convert("L")
    spread = Image.blend(ImageOps.autocontrast(grey, cutoff=1), ImageOps.equalize(grey), 0.35)
    bands = [spread.point([colour[band] for colour in ramp]) for band in range(3)]
    return Image.blend(rgb, Image.merge("RGB", bands), min(1.0, amount))


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    """The picture with its hues turned round the colour circle."""
    hue, saturation, value = picture.convert("RGB").convert("HSV").split()
    step = round(degrees / 360 * 256)
    return Image.merge("HSV", (hue.point([(v + step) % 256 for v in range(256)]), saturation, value)).convert("RGB")


def textured(picture: Image.Image, rng: random.Random, *, reference: Image.Image | None = None) -> Image.Image:
    """The picture with a brush's unevenness: that of a piece of a reference picture, or clouds and a little grain."""
    if reference is not None:
        return ImageChops.soft_light(picture, Image.merge("RGB", (_weave(reference, picture.size, rng),) * 3))
    bumps = clouds(rng, picture.size, cell=max(8.0, max(picture.size) / 24), octaves=4)
    bumps = bumps.point([112 + value // 8 for value in range(256)])
    return grain(ImageChops.soft_light(picture, Image.merge("RGB", (bumps,) * 3)), rng, strength=8)


def _weave(reference: Image.Image, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """The fine structure of a small piece of a picture, mirrored over the whole size: no shapes, only surface."""
    width, height = max(8, reference.width // 5), max(8, reference.height // 5)
    left, top = rng.randint(0, max(0, reference.width - width)), rng.randint(0, max(0, reference.height - height))
    piece = reference.convert("RGB").crop((left, top, left + width, top + height))
    piece = piece.resize((max(16, size[0] // 3), max(16, size[1] // 3)), Image.Resampling.BICUBIC)
    grey = mirrored(piece, (0, 0), size).convert("L")
    return ImageChops.subtract(grey, grey.filter(ImageFilter.BoxBlur(max(2, max(size) // 200))), 1.2, 128)


def _pairs(found: object) -> list[tuple[int, Colour]]:
    """What ``getcolors`` gives for an RGB picture; typed."""
    return [(count, colour) for count, colour in found] if isinstance(found, list) else []


def _ramp(stops: Sequence[tuple[float, Colour]]) -> Ramp:
    ramp: list[Colour] = []
    for value in range(256):
        place = value / 255
        after = next((index for index, stop in enumerate(stops) if stop[0] >= place), len(stops) - 1)
        before = max(0, after - 1)
        (start, a), (end, b) = stops[before], stops[after]
        share = 1.0 if end <= start else min(1.0, max(0.0, (place - start) / (end - start)))
        ramp.append(mix(a, b, share))
    return tuple(ramp)


def _luma(colour: Colour) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
