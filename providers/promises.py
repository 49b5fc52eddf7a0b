"""What a call promised about its pictures, held against what is in their files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite, log

from .types import Call, Image, Warning

__all__ = ["unkept"]

_SLACK = 0.05
"""How far a picture's shape may be from its ratio: models round their sides, and 1536x640 is sold as 21:9, 2.8 % off."""


def unkept(call: Call, images: Sequence[Image]) -> tuple[Warning, ...]:
    """A warning for each kind of difference: another size or shape, another format. The pictures are good all the same.

    ``images`` are pictures whose headers can be read.
    """
    found = []
    sizes = [f"{image.width}x{image.height}" for image in images if not _fits(call, image)]
    if sizes:
        promise = f"{call.width}x{call.height}" if call.width and call.height else f"the shape {call.ratio}"
        found.append(Warning(code="unexpected_size", message=_message(sizes, len(images), promise)))
    formats = [image.format for image in images if call.format not in (None, image.format)]
    if formats:
        found.append(Warning(code="unexpected_format", message=_message(formats, len(images), str(call.format))))
    return tuple(found)


def _message(found: Sequence[str], count: int, promise: str) -> str:
    share = "the picture is" if count == 1 else f"{len(found)} of {count} pictures are"
    return f"{share} {', '.join(dict.fromkeys(found))}; the model was to make {promise}"


def _fits(call: Call, image: Image) -> bool:
    if call.width and call.height:
        return (image.width, image.height) == (call.width, call.height)
    if call.ratio is None:
        return True
    shape = _log_of(call.ratio)
    return shape is None or abs(log(image.width / image.height) - shape) <= _SLACK


@lru_cache(maxsize=1024)
def _log_of(ratio: str) -> float | None:
    """The logarithm of width over height. None for the caller's own word, which only the provider can read."""
    try:
        width, _, height = ratio.partition(":")
        found = log(float(width) / float(height))
        return found if isfinite(found) else None
    except (ValueError, ZeroDivisionError):
        return None
