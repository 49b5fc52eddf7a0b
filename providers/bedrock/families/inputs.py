"""Pictures on their way into a body: checked against what the model accepts, before anything is sent or paid."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

from ...catalog import InputFacts, Sizes
from ...images import read_header
from ...masks import adapted_mask
from ...types import Picture
from . import sizes
from .draft import Draft

__all__ = ["accepted", "checked", "mask", "picture", "size_of"]

_LARGEST_SIDE = 65_535


def picture(draft: Draft, parameter: str, found: Picture | None, wire: str) -> Picture | None:
    """Write a picture that the task can not do without, at the top of the body.

    None when it stands among the native fields. Raises InvalidRequest when there is none, or one beyond the limits.
    """
    draft.take(parameter)
    if found is not None:
        draft.put(parameter, checked(draft, parameter, found).b64, wire)
    elif draft.native(wire) is None:
        raise draft.wrong(parameter, f"{draft.request.task} needs a picture", allowed=accepted(draft.model.input))
    return found


def checked(draft: Draft, parameter: str, found: Picture, facts: InputFacts | None = None) -> Picture:
    """The picture itself, when format, size and bytes are within the model's limits. Raises InvalidRequest when not.

    ``facts`` are the task's own, where they differ from the model's.
    """
    facts = facts or draft.model.input
    if facts is None:
        return found
    allowed = accepted(facts)
    if found.format not in facts.formats:
        nearest = "png" if "png" in facts.formats else facts.formats[0]
        raise draft.wrong(parameter, f"{found.format} is not accepted", allowed=allowed, nearest=nearest)
    limits, size = _Limits.of(facts), (found.width, found.height)
    fault = limits.fault(size)
    if fault:
        message = f"{sizes.show(size)} is {fault}"
        raise draft.wrong(parameter, message, allowed=allowed, nearest=limits.nearest(size))
    length = len(found.b64) // 4 * 3 - found.b64[-2:].count("=")
    if facts.max_bytes is not None and length > facts.max_bytes:
        raise draft.wrong(parameter, f"{length} bytes are too many", allowed=f"at most {facts.max_bytes} bytes")
    return found


def mask(
    draft: Draft,
    found: Picture,
    image: Picture | None,
    *,
    change: str,
    mode: str | None = None,
    resize: bool = True,
    binary: bool = False,
) -> str:
    """The mask as the model wants it, as base64; that it is stretched is said. See `adapted_mask`."""
    mode = mode or draft.request.mask_mode
    made, warnings = adapted_mask(found, image, mode=mode, change=change, resize=resize, binary=binary)
    for warning in warnings:
        size = sizes.show((image.width, image.height)) if image is not None else None
        draft.adapt("mask", warning.message, allowed=f"a mask of {size}", nearest=size)
    return made.b64


def accepted(facts: InputFacts | None) -> str | None:
    """What a model takes as input, in one line; None when nothing is known."""
    if facts is None:
        return None
    limits = _Limits.of(facts)
    words = [" or ".join(facts.formats)]
    if facts.side_max is not None:
        words.append(f"sides of {limits.side_min} to {limits.side_max} pixels")
    elif facts.side_min is not None:
        words.append(f"sides of at least {limits.side_min} pixels")
    if facts.max_pixels is not None:
        words.append(f"{limits.min_pixels} to {limits.max_pixels} pixels in all")
    if facts.ratio_max is not None:
        words.append(f"a ratio of 1:{facts.ratio_max:g} to {facts.ratio_max:g}:1")
    return ", ".join(words)


def size_of(value: Any) -> tuple[int, int] | None:
    """Width and height of a picture in a body; None when it can not be read."""
    try:
        header = read_header(value)
    except ValueError:
        return None
    return header.width, header.height


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """A model's input limits, with the widest sensible figure where none is documented."""

    side_min: int
    side_max: int
    min_pixels: int
    max_pixels: int
    ratio_max: float

    @classmethod
    def of(cls, facts: InputFacts) -> _Limits:
        low, high = facts.side_min or 1, facts.side_max or _LARGEST_SIDE
        return cls(
            side_min=low,
            side_max=high,
            min_pixels=facts.min_pixels or low * low,
            max_pixels=facts.max_pixels or high * high,
            ratio_max=facts.ratio_max or float(high),
        )

    def fault(self, size: tuple[int, int]) -> str | None:
        """What is wrong with a size, in words that follow "is"; None when nothing is."""
        small, large = min(size), max(size)
        if small < self.side_min or small * large < self.min_pixels:
            return "too small"
        if large > self.side_max or small * large > self.max_pixels:
            return "too large"
        return "too long for its other side" if large > small * self.ratio_max else None

    def nearest(self, size: tuple[int, int]) -> str | None:
        """The size to scale or crop the picture to; None where none of its shape would do."""
        grow = max(1.0, sqrt(self.min_pixels / (size[0] * size[1])))
        while grow < _LARGEST_SIDE:
            fitted = sizes.fit((size[0] * grow, size[1] * grow), self._range())
            if self.fault(fitted) is None:
                return sizes.show(fitted)
            grow *= 1.01
        return None

    def _range(self) -> Sizes:
        return Sizes(
            kind="range",
            side_min=self.side_min,
            side_max=self.side_max,
            max_pixels=self.max_pixels,
            ratio_max=self.ratio_max,
        )
