"""Which size a model makes when it is asked for one that it does not have.

Nearest means: the nearest shape first (difference of the logarithms of width over height), then the nearest area
(difference of the logarithms of the areas). A wrong shape crops or stretches what was composed; a wrong area only scales.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import log, sqrt

from ...catalog import Sizes

__all__ = [
    "MEGAPIXEL",
    "about_a_megapixel",
    "allowed",
    "fit",
    "nearest_pair",
    "nearest_ratio",
    "parse_ratio",
    "parse_size",
    "same_shape",
    "show",
]

MEGAPIXEL = 1024 * 1024
_AREA_SLACK = 0.25
"""How far from one megapixel a size may be for a model whose exact pixel sizes nobody documents."""
_SHAPE_SLACK = 0.02
"""How far two ratios may be apart and still count as the same shape: 1344x768 is sold as 16:9 and 1.6 % off."""
_SHOWN = 10
_RATIO = re.compile(r"^(\d{1,5}(?:\.\d{1,4})?):(\d{1,5}(?:\.\d{1,4})?)$")


def show(size: tuple[int, int]) -> str:
    """``1024x768``."""
    return f"{size[0]}x{size[1]}"


def parse_size(text: str) -> tuple[int, int]:
    """The inverse of `show`."""
    width, height = text.split("x")
    return int(width), int(height)


@lru_cache(maxsize=1024)
def parse_ratio(text: str) -> float | None:
    """Width over height of ``16:9``; None when it is not of this form or not positive."""
    match = _RATIO.match(text)
    if match is None or not float(match[1]) or not float(match[2]):
        return None
    return float(match[1]) / float(match[2])


def same_shape(one: float, other: float) -> bool:
    """True when two ratios are within 2 % of each other."""
    return abs(log(one / other)) <= _SHAPE_SLACK


def about_a_megapixel(size: tuple[int, int]) -> bool:
    """True when the area is within 25 % of 1024x1024."""
    return abs(size[0] * size[1] / MEGAPIXEL - 1) <= _AREA_SLACK


def nearest_pair(asked: tuple[float, float], pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The pair of the nearest shape and, among those, of the nearest area."""
    return min(pairs, key=lambda pair: _distance(asked, pair))


@lru_cache(maxsize=1024)
def nearest_ratio(asked: float, ratios: tuple[str, ...]) -> str:
    """The ratio of the nearest shape."""
    return min(ratios, key=lambda ratio: round(abs(log(asked / (parse_ratio(ratio) or 1))), 9))


def fit(asked: tuple[float, float], sizes: Sizes) -> tuple[int, int]:
    """The nearest size within a range. A size that is already within is returned as it is.

    Each side is rounded to the model's step; what then breaks a limit is first bent to the widest allowed shape, then
    scaled, always keeping the shape as far as the limits let it.
    """
    step, low, high, cap, widest = _limits(sizes)
    rounded = _round(asked[0], step), _round(asked[1], step)
    if _within(rounded, sizes):
        return rounded
    shape = min(max(asked[0], asked[1]) / min(asked[0], asked[1]), widest)
    short = min(max(sqrt(min(asked[0] * asked[1], cap) / shape), low), high / shape)
    long_side, short_side = _round(short * shape, step), _round(short, step)
    long_side = max(long_side, short_side)
    while long_side * short_side > cap or long_side > short_side * widest or long_side > high:
        long_side -= step
    return (long_side, short_side) if asked[0] >= asked[1] else (short_side, long_side)


def allowed(sizes: Sizes, asked: tuple[float, float] = (1, 1)) -> str:
    """What a model accepts, in one line; of a long list the nearest ten."""
    if sizes.kind == "range":
        step, low, high, cap, widest = _limits(sizes)
        return f"sides of {low} to {high} in steps of {step}, ratio up to {widest:g}:1, at most {cap} pixels"
    if sizes.kind == "aspect_ratio":
        return ", ".join(sizes.ratios)
    near = sorted(sizes.pairs, key=lambda pair: _distance(asked, pair))
    return _short([show(pair) for pair in near])


def _short(words: Sequence[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _distance(asked: tuple[float, float], pair: tuple[int, int]) -> tuple[float, float]:
    shape = abs(log(asked[0] / asked[1]) - log(pair[0] / pair[1]))
    area = abs(log(asked[0] * asked[1]) - log(pair[0] * pair[1]))
    return round(shape, 9), round(area, 9)


def _limits(sizes: Sizes) -> tuple[int, int, int, int, float]:
    high = sizes.side_max or 1 << 16
    return (
        sizes.multiple_of or 1,
        sizes.side_min or 1,
        high,
        sizes.max_pixels or high * high,
        sizes.ratio_max or float(high),
    )


def _within(size: tuple[int, int], sizes: Sizes) -> bool:
    step, low, high, cap, widest = _limits(sizes)
    small, large = min(size), max(size)
    return (
        low <= small
        and large <= high
        and large <= small * widest
        and small * large <= cap
        and not size[0] % step | size[1] % step
    )


def _round(side: float, step: int) -> int:
    return max(1, int(side / step + 0.5)) * step
