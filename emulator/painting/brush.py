"""Brushes: gradients, noise, soft masks, glows, ridge lines and grain. Randomness comes from the caller."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageOps

from .subject import Colour

__all__ = [
    "Points",
    "clouds",
    "fill",
    "glow",
    "gradient",
    "grain",
    "mix",
    "noise",
    "ridge",
    "stencil",
    "wash",
]

Points = Sequence[tuple[float, float]]
Size = tuple[int, int]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour between two colours; 0 is the first, 1 the second."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def gradient(size: Size, stops: Sequence[tuple[float, Colour]]) -> Image.Image:
    """Top to bottom through ``stops``: (place between 0 and 1, colour), in rising order."""
    height = max(1, size[1])
    pixels = bytearray()
    index = 0
    for y in range(height):
        place = y / max(1, height - 1)
        while index < len(stops) - 2 and place > stops[index + 1][0]:
            index += 1
        (start, a), (end, b) = stops[index], stops[min(index + 1, len(stops) - 1)]
        share = 0.0 if end <= start else min(1.0, max(0.0, (place - start) / (end - start)))
        pixels += bytes(mix(a, b, share * share * (3 - 2 * share)))
    return Image.frombytes("RGB", (1, height), bytes(pixels)).resize(size, Image.Resampling.NEAREST)


def noise(rng: random.Random, size: Size, cell: float, stretch: float = 1.0) -> Image.Image:
    """Smooth grey noise with features of about ``cell`` pixels, ``stretch`` times as wide as high."""
    across = max(2, math.ceil(size[0] / (cell * stretch)) + 1)
    down = max(2, math.ceil(size[1] / cell) + 1)
    return Image.frombytes("L", (across, down), rng.randbytes(across * down)).resize(size, Image.Resampling.BICUBIC)


def clouds(rng: random.Random, size: Size, cell: float, stretch: float = 1.0, octaves: int = 4) -> Image.Image:
    """Noise of several sizes in one, spread over all greys."""
    total = noise(rng, size, cell, stretch)
    for octave in range(1, octaves):
        finer = noise(rng, size, max(1.5, cell / 2**octave), stretch)
        total = Image.blend(total, finer, 0.5 ** (octave + 0.35) / (0.5**octave + 0.5))
    return ImageOps.autocontrast(total, cutoff=1)


def stencil(size: Size, *shapes: Points) -> Image.Image:
    """A mask of filled polygons with smooth edges."""
    big = Image.new("L", (size[0] * 2, size[1] * 2))
    draw = ImageDraw.Draw(big)
    for points in shapes:
        draw.polygon([(x * 2, y * 2) for x, y in points], fill=255)
    return big.reduce(2)


def fill(picture: Image.Image, colours: Image.Image | Colour, mask: Image.Image) -> None:
    """Put a colour, or another picture, where the mask is white."""
    if isinstance(colours, Image.Image):
        picture.paste(colours, (0, 0), mask)
    else:
        picture.paste(colours, (0, 0, *picture.size), mask)


def stamp(picture: Image.Image, paint: Image.Image | Colour, *shapes: Points, strength: float = 1.0) -> None:
    """Fill polygons with a colour, or with what another picture of the same size has there; touches only their box."""
    left = max(0, math.floor(min(x for points in shapes for x, _ in points)) - 1)
    top = max(0, math.floor(min(y for points in shapes for _, y in points)) - 1)
    right = min(picture.width, math.ceil(max(x for points in shapes for x, _ in points)) + 1)
    bottom = min(picture.height, math.ceil(max(y for points in shapes for _, y in points)) + 1)
    if right <= left or bottom <= top:
        return
    mask = stencil((right - left, bottom - top), *([(x - left, y - top) for x, y in points] for points in shapes))
    if strength < 1:
        mask = mask.point([round(value * strength) for value in range(256)])
    box = (left, top, right, bottom)
    picture.paste(paint.crop(box) if isinstance(paint, Image.Image) else paint, box, mask)


def glow(picture: Image.Image, centre: tuple[float, float], radius: float, colour: Colour, strength: float) -> None:
    """Light around a point, fading outwards."""
    side = max(2, round(radius * 2))
    # Pillow's radial gradient has 181 in the middle of its sides and 255 in its corners.
    table = [round(255 * strength * max(0.0, 1 - value / 180) ** 1.9) for value in range(256)]
    mask = Image.radial_gradient("L").point(table).resize((side, side), Image.Resampling.BILINEAR)
    left, top = round(centre[0] - radius), round(centre[1] - radius)
    picture.paste(colour, (left, top, left + side, top + side), mask)


def ridge(
    rng: random.Random, width: int, base: float, height: float, *, rough: float, bumps: float, step: int = 3
) -> list[tuple[float, float]]:
    """A skyline from left to right: long waves (``bumps`` across the picture), broken by roughness (0 to 1)."""
    waves = [(bumps * 2**n * (0.8 + 0.4 * rng.random()), rng.random() * math.tau, 0.55**n) for n in range(2)]
    jag = _displaced(rng, 8, 0.5 + 0.12 * rough)
    line = []
    for x in range(0, width + step, step):
        place = x / width
        wave = sum(a * math.sin(f * math.tau * place + p) for f, p, a in waves) / 1.55
        broken = jag[min(len(jag) - 1, round(place * (len(jag) - 1)))]
        line.append((float(x), base - height * ((1 - rough) * wave + rough * broken)))
    return line


def _displaced(rng: random.Random, depth: int, keep: float) -> list[float]:
    """A fractal line of 2**depth + 1 values, roughly between -1 and 1."""
    line = [rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)]
    spread = 1.0
    for _ in range(depth):
        finer: list[float] = []
        for a, b in pairwise(line):
            finer += [a, (a + b) / 2 + rng.uniform(-spread, spread)]
        line = [*finer, line[-1]]
        spread *= keep
    return line


def wash(picture: Image.Image, rng: random.Random, cell: float, stretch: float, strength: float) -> Image.Image:
    """The unevenness of paint: the picture in soft light and shade."""
    low, high = round(128 - 127 * strength), round(128 + 127 * strength)
    grey = clouds(rng, picture.size, cell, stretch, octaves=3).point(
        [low + (high - low) * value // 255 for value in range(256)]
    )
    return ImageChops.soft_light(picture, Image.merge("RGB", (grey, grey, grey)))


def grain(picture: Image.Image, rng: random.Random, strength: int) -> Image.Image:
    """Fine random grain of up to ``strength`` grey levels, which also hides the steps of gradients."""
    width, height = picture.size
    table = [128 - strength // 2 + strength * value // 255 for value in range(256)]
    grey = Image.frombytes("L", (width, height), rng.randbytes(width * height)).point(table)
    return ImageChops.add(picture, Image.merge("RGB", (grey, grey, grey)), 1, -128)
