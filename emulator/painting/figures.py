"""Who is in a landscape: an otter afloat, a sailing boat, a kite, a stag or a horse on a hill."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw

from .brush import fill, mix, stamp
from .shapes import ANIMALS, curve, placed
from .subject import Colour, Palette

__all__ = ["figure"]

_FUR: Colour = (92, 62, 46)
_FUR_DARK: Colour = (58, 38, 32)
_FACE: Colour = (214, 180, 146)
_KITES: tuple[Colour, ...] = ((206, 52, 44), (216, 66, 40), (196, 40, 78))


def figure(
    picture: Image.Image, guest: str, palette: Palette, rng: random.Random, horizon: float, *, on_water: bool
) -> None:
    """Paint a guest into a finished landscape; what swims stays away from dry land."""
    if guest in ("otter", "boat") and not on_water:
        return
    _GUESTS[guest](picture, palette, rng, horizon)


def _ellipse(x: float, y: float, wide: float, high: float, turn: float = 0.0) -> list[tuple[float, float]]:
    cos, sin = math.cos(turn), math.sin(turn)
    around = [(math.cos(a * math.tau / 40) * wide, math.sin(a * math.tau / 40) * high) for a in range(40)]
    return [(x + dx * cos - dy * sin, y + dx * sin + dy * cos) for dx, dy in around]


_OTTER: Sequence[tuple[str, float, Sequence[tuple[float, float, float, float, float]]]] = (
    # part: (colour, strength, ovals of middle x, y, half width, half height, turn), in the order of painting
    ("fur", 1.0, ((0.36, -0.07, 0.05, 0.085, 0.5), (0.43, -0.03, 0.05, 0.085, 0.75))),
    ("belly", 0.75, ((0.04, -0.05, 0.2, 0.05, 0.06),)),
    (
        "fur",
        1.0,
        ((-0.32, -0.08, 0.145, 0.135, 0.0), (-0.43, -0.18, 0.034, 0.034, 0.0), (-0.22, -0.19, 0.034, 0.034, 0.0)),
    ),
    ("face", 1.0, ((-0.33, -0.06, 0.115, 0.1, 0.0),)),
    ("cheek", 1.0, ((-0.365, -0.015, 0.045, 0.036, 0.0), (-0.3, -0.015, 0.045, 0.036, 0.0))),
    (
        "eye",
        1.0,
        ((-0.39, -0.085, 0.017, 0.02, 0.0), (-0.275, -0.085, 0.017, 0.02, 0.0), (-0.333, -0.045, 0.026, 0.018, 0.0)),
    ),
    ("light", 1.0, ((-0.394, -0.091, 0.006, 0.006, 0.0), (-0.279, -0.091, 0.006, 0.006, 0.0))),
    ("dark", 1.0, ((-0.11, -0.1, 0.075, 0.036, 0.5), (0.0, -0.115, 0.075, 0.036, -0.45))),
)
_OTTER_TAIL = ((0.3, 0.06), (0.46, 0.0), (0.6, 0.03), (0.64, 0.07), (0.5, 0.09), (0.34, 0.12))
_OTTER_BODY = (
    (-0.3, 0.06), (-0.2, -0.06), (-0.02, -0.12), (0.2, -0.1), (0.38, -0.02), (0.44, 0.06), (0.3, 0.12), (-0.2, 0.13),
)  # fmt: skip


def _otter(picture: Image.Image, palette: Palette, rng: random.Random, horizon: float) -> None:
    """On its back in the water, looking at us."""
    width, height = picture.size
    side = min(width, height) * rng.uniform(0.4, 0.5)
    x, y = width * rng.uniform(0.34, 0.62), horizon + (height - horizon) * rng.uniform(0.5, 0.62)
    flip = -1 if rng.random() < 0.5 else 1
    tone = 0.45 if palette.night else 0.12
    fur, dark, face = (mix(colour, palette.land, tone) for colour in (_FUR, _FUR_DARK, _FACE))
    colours: Mapping[str, Colour] = {
        "fur": fur,
        "dark": dark,
        "face": face,
        "belly": mix(fur, face, 0.42),
        "cheek": mix(face, (255, 244, 226), 0.55),
        "eye": (38, 26, 24),
        "light": (255, 255, 255),
    }

    def at(dx: float, dy: float) -> tuple[float, float]:
        return (x + flip * dx * side, y + dy * side)

    stamp(picture, palette.near, _ellipse(*at(0.06, 0.1), 0.62 * side, 0.075 * side), strength=0.45)
    stamp(picture, dark, [at(*point) for point in curve(_OTTER_TAIL)])
    stamp(picture, fur, [at(*point) for point in curve(_OTTER_BODY)])
    for name, strength, ovals in _OTTER:
        shapes = [_ellipse(*at(dx, dy), wide * side, high * side, turn * flip) for dx, dy, wide, high, turn in ovals]
        stamp(picture, colours[name], *shapes, strength=strength)
    _waterline(picture, palette, rng, at(0.06, 0.115), side)


def _waterline(
    picture: Image.Image, palette: Palette, rng: random.Random, centre: tuple[float, float], side: float
) -> None:
    """Ripples around what floats."""
    mask = Image.new("L", picture.size)
    draw = ImageDraw.Draw(mask)
    water = mix(palette.land, palette.near, 0.35)
    lap = _ellipse(centre[0], centre[1] + side * 0.045, side * 0.66, side * 0.06)
    stamp(picture, water, lap, strength=0.86)
    for _ in range(16):
        dx, dy = rng.uniform(-0.66, 0.66) * side, rng.uniform(-0.015, 0.13) * side
        half = side * rng.uniform(0.03, 0.1)
        draw.line(
            (centre[0] + dx - half, centre[1] + dy, centre[0] + dx + half, centre[1] + dy),
            fill=rng.randint(70, 190),
            width=1 + round(side / 260),
        )
    fill(picture, mix(palette.low, palette.sun, 0.4), mask)


def _boat(picture: Image.Image, palette: Palette, rng: random.Random, horizon: float) -> None:
    width, height = picture.size
    side = min(width, height) * rng.uniform(0.16, 0.26)
    x, y = width * rng.uniform(0.25, 0.72), horizon + (height - horizon) * rng.uniform(0.1, 0.3)
    flip = -1 if rng.random() < 0.5 else 1

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + flip * dx * side, y + dy * side) for dx, dy in points]

    hull = at(*curve(((-0.52, -0.1), (0.0, -0.06), (0.58, -0.13), (0.4, 0.04), (0.0, 0.06), (-0.36, 0.04))))
    main = at((0.02, -1.0), (0.09, -0.6), (0.4, -0.16), (0.02, -0.14))
    jib = at((-0.02, -0.92), (-0.26, -0.5), (-0.46, -0.14), (-0.02, -0.15))
    echo = [(px, 2 * y + side * 0.05 - (py - y) * 0.55) for px, py in [*main, *jib]]
    stamp(picture, mix(palette.low, palette.sun, 0.5), echo[:4], echo[4:], strength=0.2)
    stamp(picture, mix(palette.sun, palette.far, 0.1), main)
    stamp(picture, mix(palette.sun, palette.land, 0.35), jib)
    stamp(picture, mix(palette.near, (60, 30, 26), 0.4), hull)
    _ripples(picture, palette, rng, x, y + side * 0.06, side)


def _ripples(picture: Image.Image, palette: Palette, rng: random.Random, x: float, y: float, side: float) -> None:
    mask = Image.new("L", picture.size)
    draw = ImageDraw.Draw(mask)
    for _ in range(9):
        half, dx, dy = side * rng.uniform(0.06, 0.2), rng.uniform(-0.5, 0.5) * side, rng.uniform(-0.02, 0.14) * side
        draw.line((x + dx - half, y + dy, x + dx + half, y + dy), fill=rng.randint(60, 170), width=1)
    fill(picture, mix(palette.low, palette.sun, 0.4), mask)


def _kite(picture: Image.Image, palette: Palette, rng: random.Random, horizon: float) -> None:
    width, height = picture.size
    side = min(width, height) * rng.uniform(0.1, 0.14)
    x, y = width * rng.uniform(0.25, 0.75), horizon * rng.uniform(0.22, 0.5)
    lean = rng.uniform(0.15, 0.45) * (1 if rng.random() < 0.5 else -1)
    colour = _KITES[rng.randrange(len(_KITES))]

    def at(dx: float, dy: float) -> tuple[float, float]:
        cos, sin = math.cos(lean), math.sin(lean)
        return (x + (dx * cos - dy * sin) * side, y + (dx * sin + dy * cos) * side)

    string = Image.new("L", (width * 2, height * 2))
    draw = ImageDraw.Draw(string)
    tail = [at(0.12 * math.sin(s * 1.1), 0.75 + s * 0.13) for s in range(16)]
    draw.line([(px * 2, py * 2) for px, py in tail], fill=210, width=max(2, round(side / 26)), joint="curve")
    ground = (width * (0.5 - lean * 0.5), height * 0.96)
    bow = [
        (x + (ground[0] - x) * t, y + (ground[1] - y) * (0.35 * t + 0.65 * t * t)) for t in (s / 20 for s in range(21))
    ]
    draw.line([(px * 2, py * 2) for px, py in bow], fill=120, width=2)
    fill(picture, mix(palette.near, colour, 0.3), string.reduce(2))
    top, right, foot, left = at(0, -0.62), at(0.46, -0.08), at(0, 0.75), at(-0.46, -0.08)
    middle = at(0, -0.08)
    for points, tint in (
        ((top, right, middle), 0.0), ((top, left, middle), 0.22), ((foot, right, middle), 0.28), ((foot, left, middle), 0.1),
    ):  # fmt: skip
        stamp(picture, mix(colour, palette.sun, tint), points)
    for step in (3, 7, 11):
        px, py = tail[step]
        r = side * 0.07
        stamp(
            picture,
            colour,
            [(px, py), (px - r, py - r * 0.7), (px - r, py + r * 0.7)],
            [(px, py), (px + r, py - r * 0.7), (px + r, py + r * 0.7)],
        )


def _animal(name: str) -> Callable[[Image.Image, Palette, random.Random, float], None]:
    def draw(picture: Image.Image, palette: Palette, rng: random.Random, horizon: float) -> None:
        width, height = picture.size
        side = min(width, height) * rng.uniform(0.24, 0.32)
        x, foot = width * rng.uniform(0.28, 0.72), height * rng.uniform(0.84, 0.9)
        mirrored = rng.random() < 0.5
        colour = mix(palette.near, (0, 0, 0), 0.25)
        outline, strokes = ANIMALS[name]
        box = {"left": x - side / 2, "top": foot - side * 0.8, "width": side, "height": side * 0.8}
        body = placed(curve(outline), mirrored=mirrored, **box)
        knoll = [(x + side * 2.4 * s / 20, foot - side * 0.03 + side * 0.5 * (s / 20) ** 2) for s in range(-20, 21)]
        lines = Image.new("L", (width * 2, height * 2))
        pen = ImageDraw.Draw(lines)
        for stroke in strokes:
            points = placed(curve(stroke, closed=False), mirrored=mirrored, **box)
            pen.line([(px * 2, py * 2) for px, py in points], fill=255, width=max(2, round(side / 26)), joint="curve")
        stamp(picture, colour, body, [*knoll, (x + side * 2.4, height), (x - side * 2.4, height)])
        fill(picture, colour, lines.reduce(2))

    return draw


_GUESTS: Mapping[str, Callable[[Image.Image, Palette, random.Random, float], None]] = {
    "otter": _otter,
    "boat": _boat,
    "kite": _kite,
    "deer": _animal("stag"),
    "horse": _animal("horse"),
    "bull": _animal("bull"),
    "bison": _animal("bison"),
}
