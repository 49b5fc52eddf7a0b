"""Landscapes in layers: sky, sun or moon, clouds, and ridges that darken as they come nearer."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageChops, ImageDraw

from .brush import Points, clouds, fill, glow, gradient, mix, ridge, stamp, wash
from .figures import figure
from .subject import Palette, Subject

__all__ = ["landscape"]

_SHAPES = {
    # terrain: (roughness, height of the farthest ridge, bumps across the picture)
    "mountains": (0.85, 0.2, 1.6),
    "hills": (0.18, 0.09, 1.3),
    "dunes": (0.06, 0.1, 0.9),
    "forest": (0.45, 0.1, 1.4),
    "sea": (0.6, 0.09, 1.4),
}


def landscape(size: tuple[int, int], about: Subject, rng: random.Random) -> Image.Image:
    """Paint a landscape."""
    width, height = size
    palette = about.palette
    horizon = height * (rng.uniform(0.5, 0.62) if about.terrain == "sea" else rng.uniform(0.42, 0.56))
    picture = gradient(
        size,
        [
            (0, palette.top),
            (0.55 * horizon / height, palette.middle),
            (horizon / height, palette.low),
            (1, palette.low),
        ],
    )
    sun = (
        width * rng.uniform(0.18, 0.82),
        horizon * (rng.uniform(0.25, 0.5) if palette.night else rng.uniform(0.5, 0.86)),
    )
    _sky(picture, palette, rng, sun, horizon)
    if about.terrain == "sea":
        _sea(picture, palette, rng, sun, horizon)
    else:
        _land(picture, about, rng, sun, horizon)
    if about.guest is not None:
        figure(picture, about.guest, palette, rng, horizon, on_water=about.terrain == "sea")
    if not palette.night and rng.random() < 0.7:
        _birds(picture, palette, rng, horizon)
    return wash(picture, rng, cell=max(size) / 9, stretch=2.2, strength=0.2)


def _sky(picture: Image.Image, palette: Palette, rng: random.Random, sun: tuple[float, float], horizon: float) -> None:
    width, height = picture.size
    radius = min(width, height) * rng.uniform(0.045, 0.085)
    if palette.night:
        _stars(picture, palette, rng, horizon)
    glow(picture, sun, radius * 9, palette.sun, 0.5)
    glow(picture, sun, radius * 3.2, palette.sun, 0.6)
    disc = [
        (sun[0] + radius * math.cos(a * math.tau / 48), sun[1] + radius * math.sin(a * math.tau / 48))
        for a in range(48)
    ]
    stamp(picture, palette.sun, disc, strength=0.96)
    if palette.night and rng.random() < 0.5:
        return
    top = round(horizon * 1.05)
    cover = rng.uniform(0.45, 0.62)
    table = [round(190 * max(0.0, (value / 255 - cover) / (1 - cover)) ** 1.1) for value in range(256)]
    veil = clouds(rng, (width, top), cell=height / 7, stretch=3.2).point(table)
    thin = gradient((1, top), [(0, (255,) * 3), (0.7, (255,) * 3), (1, (0,) * 3)]).convert("L").resize((width, top))
    picture.paste(mix(palette.low, palette.sun, 0.55), (0, 0, width, top), ImageChops.multiply(veil, thin))


def _stars(picture: Image.Image, palette: Palette, rng: random.Random, horizon: float) -> None:
    draw = ImageDraw.Draw(picture)
    width = picture.size[0]
    for _ in range(round(width * horizon / 700)):
        x, y, bright = rng.random() * width, rng.random() ** 1.4 * horizon, rng.random() ** 3
        colour = mix(palette.middle, palette.sun, 0.35 + 0.65 * bright)
        radius = 0.4 + 0.9 * bright
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _land(picture: Image.Image, about: Subject, rng: random.Random, sun: tuple[float, float], horizon: float) -> None:
    width, height = picture.size
    palette = about.palette
    rough, tall, bumps = _SHAPES[about.terrain]
    layers = rng.randint(4, 6)
    for layer in range(layers):
        near = layer / (layers - 1)
        base = horizon + (height * 0.93 - horizon) * near**1.25
        rise = height * tall * (1 - 0.35 * near)
        line = ridge(rng, width, base, rise, rough=rough * (1 - 0.55 * near), bumps=bumps * (1 + 0.6 * near))
        lit = mix(palette.far, palette.land, near * 2) if near < 0.5 else mix(palette.land, palette.near, near * 2 - 1)
        deep = mix(lit, palette.near, 0.30 + 0.2 * near)
        lit = mix(lit, palette.low, 0.22 * (1 - near))
        _layer(picture, line, lit, deep)
        if about.terrain in ("mountains", "dunes") and near < 0.9:
            _faces(
                picture,
                line,
                rng,
                mix(deep, palette.near, 0.25),
                from_left=sun[0] < width / 2,
                soft=about.terrain == "dunes",
            )
        if about.terrain == "forest" and near > 0.2:
            _trees(picture, line, rng, deep, height * (0.035 + 0.16 * near**1.6))
        if near < 0.75:
            _mist(picture, base + rise * 0.4, height * 0.16, mix(palette.low, lit, 0.4), 0.42 * (1 - near))


def _layer(picture: Image.Image, line: Points, lit: tuple[int, int, int], deep: tuple[int, int, int]) -> None:
    """One ridge: bright along its crest, deeper below."""
    width, height = picture.size
    top = max(0.0, min(y for _, y in line)) / height
    colours = gradient(picture.size, [(0, lit), (min(top, 0.98), lit), (min(1.0, top + 0.34), deep), (1, deep)])
    stamp(picture, colours, [*line, (width, height), (0, height)])


def _faces(
    picture: Image.Image, line: Points, rng: random.Random, shade: tuple[int, int, int], *, from_left: bool, soft: bool
) -> None:
    """The sides of peaks and dunes that are turned away from the light."""
    height = picture.size[1]
    shapes = []
    walk = list(line) if from_left else list(line)[::-1]
    reach = 7 if not soft else 14
    for index in range(reach, len(walk) - reach):
        peak = walk[index]
        around = walk[index - reach : index + reach + 1]
        if peak[1] > min(y for _, y in around):
            continue
        end = index
        while end + 1 < len(walk) and walk[end + 1][1] >= walk[end][1] - height * 0.002:
            end += 1
        fall = walk[end][1] - peak[1]
        if fall < height * (0.012 if soft else 0.03):
            continue
        foot = [(peak[0] + (walk[end][0] - peak[0]) * (0.15 + 0.2 * rng.random()), peak[1] + fall * 1.7)]
        edge = (
            []
            if soft
            else [
                (peak[0] + (walk[end][0] - peak[0]) * s * rng.uniform(0.0, 0.35), peak[1] + fall * s * 1.3)
                for s in (0.75, 0.5, 0.25)
            ]
        )
        shapes.append([*walk[index : end + 1], *foot, *edge])
    if shapes:
        stamp(picture, shade, *shapes, strength=0.5)


def _trees(picture: Image.Image, line: Points, rng: random.Random, colour: tuple[int, int, int], tall: float) -> None:
    """A row of spruces along a ridge."""
    shapes = []
    x = -tall * rng.random()
    width = picture.size[0]
    while x < width + tall:
        ground = line[min(len(line) - 1, max(0, round(x / width * (len(line) - 1))))][1] + tall * 0.12
        high = tall * rng.uniform(0.55, 1.15)
        half = high * rng.uniform(0.16, 0.24)
        left, right = [], []
        for step in range(5):
            share = step / 5
            left += [
                (x - half * (share + 0.24), ground - high * (1 - share - 0.2)),
                (x - half * (share + 0.02), ground - high * (1 - share - 0.17)),
            ]
            right += [
                (x + half * (share + 0.24), ground - high * (1 - share - 0.2)),
                (x + half * (share + 0.02), ground - high * (1 - share - 0.17)),
            ]
        shapes.append(
            [(x, ground - high), *right, (x + half * 0.2, ground + tall), (x - half * 0.2, ground + tall), *left[::-1]]
        )
        x += tall * rng.uniform(0.12, 0.42)
    stamp(picture, colour, *shapes)


def _mist(picture: Image.Image, top: float, depth: float, colour: tuple[int, int, int], strength: float) -> None:
    width, height = picture.size
    start, rows = round(top), max(2, round(depth))
    if start >= height:
        return
    band = bytes(round(255 * strength * math.sin(math.pi * (y + 0.5) / rows) ** 2) for y in range(rows))
    mask = Image.frombytes("L", (1, rows), band).resize((width, rows), Image.Resampling.NEAREST)
    picture.paste(colour, (0, start, width, start + rows), mask)


def _sea(picture: Image.Image, palette: Palette, rng: random.Random, sun: tuple[float, float], horizon: float) -> None:
    width, height = picture.size
    for near in (0.0, 0.45):
        line = ridge(rng, width, horizon + height * 0.012, height * (0.085 - 0.05 * near), rough=0.55, bumps=1.5 + near)
        line = [(x, min(y, horizon + 1) if y < horizon + height * 0.05 else y) for x, y in line]
        stamp(picture, mix(palette.far, palette.land, near + 0.15), [*line, (width, horizon + 2), (0, horizon + 2)])
    top = round(horizon)
    deep = height - top
    mirror = (
        picture.crop((0, max(0, top - deep), width, top))
        .transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        .resize((width, deep))
    )
    water = gradient(
        (width, deep), [(0, mix(palette.low, palette.land, 0.25)), (0.35, palette.land), (1, palette.near)]
    )
    picture.paste(Image.blend(mirror, water, 0.62), (0, top))
    streaks = clouds(rng, (width, deep), cell=max(2.0, height / 110), stretch=9, octaves=2)
    light = streaks.point([round(max(0, value - 150) * 0.55) for value in range(256)])
    picture.paste(mix(palette.low, palette.middle, 0.5), (0, top, width, height), light)
    dark = streaks.point([round(max(0, 105 - value) * 0.9) for value in range(256)])
    picture.paste(palette.near, (0, top, width, height), dark)
    _glitter(picture, palette, rng, sun[0], top)


def _glitter(picture: Image.Image, palette: Palette, rng: random.Random, x: float, top: int) -> None:
    """The path of the sun on the water: short strokes, wider and sparser towards the viewer."""
    width, height = picture.size
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for _ in range(170):
        near = rng.random() ** 1.5
        y = top + 1 + near * (height - top)
        spread = width * (0.012 + 0.09 * near)
        centre = x + rng.gauss(0, 1) * spread
        half = width * (0.004 + 0.022 * near) * rng.uniform(0.4, 1.3)
        draw.line(
            (centre - half, y, centre + half, y),
            fill=round(225 * (1 - 0.65 * near) * rng.uniform(0.4, 1)),
            width=1 + round(near * height / 300),
        )
    fill(picture, palette.sun, mask)


def _birds(picture: Image.Image, palette: Palette, rng: random.Random, horizon: float) -> None:
    width, height = picture.size
    shapes = []
    x, y = width * rng.uniform(0.15, 0.7), horizon * rng.uniform(0.18, 0.5)
    for _ in range(rng.randint(3, 7)):
        span = height * rng.uniform(0.008, 0.016)
        bx, by = x + width * rng.uniform(-0.08, 0.08), y + height * rng.uniform(-0.05, 0.05)
        lift = span * rng.uniform(0.35, 0.7)
        thick = span * 0.16
        upper = [
            (bx - span, by - lift * 0.6),
            (bx - span * 0.5, by - lift),
            (bx, by),
            (bx + span * 0.5, by - lift),
            (bx + span, by - lift * 0.6),
        ]
        lower = [(px, py + thick) for px, py in upper[1:-1]]
        shapes.append([*upper, *lower[::-1]])
    stamp(picture, mix(palette.near, palette.middle, 0.25), *shapes, strength=0.8)
