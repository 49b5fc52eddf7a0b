"""A wall by torchlight: animals in ochre and charcoal, hands, dots."""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from .brush import clouds, fill, gradient, mix, noise, stencil, wash
from .shapes import ANIMALS, HAND, curve, placed
from .subject import Colour, Subject

__all__ = ["cave"]

_WALLS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((128, 84, 50), (206, 158, 104), (246, 222, 178)),
    ((112, 82, 66), (196, 160, 132), (244, 226, 204)),
    ((118, 74, 40), (214, 160, 86), (250, 226, 164)),
)
_PIGMENTS: tuple[Colour, ...] = ((132, 50, 24), (60, 32, 22), (164, 84, 28), (40, 30, 28), (150, 64, 34))
_CHARCOAL: Colour = (34, 24, 20)
_RED: Colour = (142, 48, 26)


def cave(size: tuple[int, int], about: Subject, rng: random.Random) -> Image.Image:
    """Paint a wall."""
    width, height = size
    dark, middle, light = _WALLS[rng.randrange(len(_WALLS))]
    grey = clouds(rng, size, cell=max(size) / 3.2, stretch=1.3, octaves=7)
    grey = Image.blend(grey, Image.new("L", size, 140), 0.28)
    wall = ImageOps.colorize(grey, dark, light, middle, blackpoint=0, whitepoint=255, midpoint=118)
    _cracks(wall, rng, mix(dark, _CHARCOAL, 0.4))
    worn = clouds(rng, size, cell=max(size) / 24, octaves=4).point(
        [min(255, max(0, round((value - 46) * 2.6))) for value in range(256)]
    )
    if rng.random() < 0.6:
        _hands(wall, rng, worn)
    _herd(wall, about, rng, worn)
    _dots(wall, rng, worn)
    wall = _relief(wash(wall, rng, cell=max(size) / 16, stretch=1.2, strength=0.34), rng)
    return _torchlight(wall, rng, (width * rng.uniform(0.3, 0.7), height * rng.uniform(0.35, 0.6)))


def _relief(wall: Image.Image, rng: random.Random) -> Image.Image:
    """The bumps of the rock, lit from one side; they lie over the paint too."""
    bumps = clouds(rng, wall.size, cell=max(wall.size) / 14, octaves=5).filter(ImageFilter.EMBOSS)
    table = [min(255, max(0, 128 + round((value - 128) * 1.25))) for value in range(256)]
    grey = bumps.point(table)
    return ImageChops.soft_light(wall, Image.merge("RGB", (grey, grey, grey)))


def _cracks(wall: Image.Image, rng: random.Random, colour: Colour) -> None:
    width, height = wall.size
    mask = Image.new("L", (width * 2, height * 2))
    draw = ImageDraw.Draw(mask)
    for _ in range(rng.randint(3, 6)):
        x, y = rng.random() * width * 2, rng.random() * height * 2
        drift, turn = rng.uniform(-9, 9), rng.uniform(-3, 3)
        points = [(x, y)]
        for _ in range(rng.randint(14, 40)):
            drift, turn = drift + rng.uniform(-3, 3), turn + rng.uniform(-1.6, 1.6)
            x, y = x + drift, y + 4 + turn
            points.append((x, y))
        draw.line(points, fill=rng.randint(60, 130), width=rng.choice((1, 2, 2, 3)))
    fill(wall, colour, mask.reduce(2))


def _herd(wall: Image.Image, about: Subject, rng: random.Random, worn: Image.Image) -> None:
    """A frieze of animals: one or two large ones, smaller ones above and below."""
    width, height = wall.size
    wished = {"deer": "stag"}.get(about.guest or "", about.guest)
    names = list(ANIMALS)
    mirrored = rng.random() < 0.5
    unit = min(width, height * 1.5)
    places = [
        (rng.uniform(0.24, 0.34), rng.uniform(0.5, 0.6), 0.5),
        (rng.uniform(0.7, 0.78), rng.uniform(0.42, 0.52), 0.42),
    ]
    places += [(rng.uniform(0.1, 0.9), rng.uniform(0.8, 0.86), 0.2) for _ in range(rng.randint(1, 3))]
    places += [(rng.uniform(0.15, 0.85), rng.uniform(0.12, 0.2), 0.2) for _ in range(rng.randint(0, 2))]
    if width > height * 1.6:
        places += [(rng.uniform(0.46, 0.56), rng.uniform(0.62, 0.7), 0.3)]
    taken: list[tuple[float, float, float]] = []
    for x, y, share in places:
        span = unit * share * rng.uniform(0.85, 1.1)
        if any(
            abs(x * width - tx) < (span + ts) * 0.42 and abs(y * height - ty) < (span + ts) * 0.3
            for tx, ty, ts in taken
        ):
            continue
        taken.append((x * width, y * height, span))
        name = (
            wished
            if wished in ANIMALS and (len(taken) == 1 or rng.random() < 0.5)
            else names[rng.randrange(len(names))]
        )
        box = (x * width - span / 2, y * height - span * 0.36, span, span * 0.72)
        _animal(wall, name, box, rng, worn, mirrored=mirrored != (rng.random() < 0.2))


def _animal(
    wall: Image.Image,
    name: str,
    box: tuple[float, float, float, float],
    rng: random.Random,
    worn: Image.Image,
    *,
    mirrored: bool,
) -> None:
    left, top, width, height = box
    outline, strokes = ANIMALS[name]
    tilt = rng.uniform(-0.07, 0.07)
    shape = placed(curve(outline), left=left, top=top, width=width, height=height, mirrored=mirrored, tilt=tilt)
    body = stencil(wall.size, shape)
    pigment = _PIGMENTS[rng.randrange(len(_PIGMENTS))]
    # Paint lies thick along the back and thins out towards belly and legs.
    start, end = max(0.0, top / wall.size[1]), min(1.0, (top + height) / wall.size[1])
    belly = start + (end - start) * rng.uniform(0.55, 0.75)
    thick = gradient(
        wall.size, [(0, (235,) * 3), (start, (235,) * 3), (belly, (120,) * 3), (end, (190,) * 3), (1, (190,) * 3)]
    ).convert("L")
    fill(wall, pigment, ImageChops.multiply(ImageChops.multiply(body, thick), worn))
    line = Image.new("L", (wall.size[0] * 2, wall.size[1] * 2))
    draw = ImageDraw.Draw(line)
    pen = max(2, round(width / 42))
    draw.line([(x * 2, y * 2) for x, y in [*shape, shape[0]]], fill=225, width=pen, joint="curve")
    for stroke in strokes:
        points = placed(
            curve(stroke, closed=False), left=left, top=top, width=width, height=height, mirrored=mirrored, tilt=tilt
        )
        draw.line([(x * 2, y * 2) for x, y in points], fill=240, width=round(pen * 1.5), joint="curve")
    edge = ImageChops.multiply(line.reduce(2), worn.point([120 + value * 135 // 255 for value in range(256)]))
    fill(wall, mix(_CHARCOAL, pigment, 0.12), edge)


def _hands(wall: Image.Image, rng: random.Random, worn: Image.Image) -> None:
    """Stencilled hands: colour blown around a hand laid on the rock."""
    width, height = wall.size
    side = min(width, height) * rng.uniform(0.15, 0.2)
    x, y = width * rng.uniform(0.02, 0.75), height * rng.choice((0.03, 0.78))
    for _ in range(rng.randint(1, 3)):
        tilt, mirrored = rng.uniform(-0.5, 0.5), rng.random() < 0.5
        hand = Image.new("L", (width * 2, height * 2))
        draw = ImageDraw.Draw(hand)
        for finger in HAND:
            points = placed(
                curve(finger, closed=False), left=x, top=y, width=side * 0.8, height=side, mirrored=mirrored, tilt=tilt
            )
            draw.line([(px * 2, py * 2) for px, py in points], fill=255, width=round(side * 0.2), joint="curve")
            for px, py in (points[0], points[-1]):
                r = side * 0.095
                draw.ellipse((px * 2 - r, py * 2 - r, px * 2 + r, py * 2 + r), fill=255)
        px, py = placed([(0.53, 0.76)], left=x, top=y, width=side * 0.8, height=side, mirrored=mirrored, tilt=tilt)[0]
        r = side * 0.42
        draw.ellipse((px * 2 - r, py * 2 - r, px * 2 + r, py * 2 + r), fill=255)
        small = hand.reduce(2)
        cloud = small.filter(ImageFilter.BoxBlur(side * 0.16)).point(
            [min(255, round(value * 2.1)) for value in range(256)]
        )
        spray = ImageChops.multiply(ImageChops.subtract(cloud, small), worn)
        fill(wall, _RED, spray.point([round(value * 0.72) for value in range(256)]))
        x += side * rng.uniform(0.95, 1.2)


def _dots(wall: Image.Image, rng: random.Random, worn: Image.Image) -> None:
    width, height = wall.size
    mask = Image.new("L", wall.size)
    draw = ImageDraw.Draw(mask)
    radius = min(width, height) * 0.008
    x, y, bend = width * rng.uniform(0.1, 0.7), height * rng.uniform(0.15, 0.9), rng.uniform(-0.3, 0.3)
    for step in range(rng.randint(5, 11)):
        px, py = x + step * radius * 3.6, y + bend * step * radius * 2 + rng.uniform(-1, 1) * radius
        draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=220)
    fill(wall, _RED, ImageChops.multiply(mask, worn))


def _torchlight(wall: Image.Image, rng: random.Random, centre: tuple[float, float]) -> Image.Image:
    """Warm and bright around a point, dark towards the edges; the flame flickers a little."""
    width, height = wall.size
    radius = round(max(width, height) * 1.05)
    table = [round(255 - 190 * (value / 255) ** 1.5) for value in range(256)]
    disc = Image.radial_gradient("L").point(table).resize((radius * 2, radius * 2), Image.Resampling.BILINEAR)
    left, top = round(radius - centre[0]), round(radius - centre[1])
    light = disc.crop((left, top, left + width, top + height))
    light = Image.blend(light, ImageChops.multiply(light, noise(rng, wall.size, max(width, height) / 4)), 0.22)
    tint = Image.merge(
        "RGB",
        (
            light.point([min(255, round(v * 1.06)) for v in range(256)]),
            light,
            light.point([round(v * 0.9) for v in range(256)]),
        ),
    )
    return ImageChops.multiply(wall, tint)
