"""Provider fields that pass through: checked to be JSON, merged, and compared with what else was asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import InvalidRequest
from .param_values import named, sendable, shown
from .types import Task

__all__ = ["CONTAINERS", "NATIVE_NAMES", "copy_json", "leaves", "merge", "said_twice"]

CONTAINERS: Mapping[str, Task | None] = {
    "imageGenerationConfig": None,
    "textToImageParams": Task.TEXT_TO_IMAGE,
    "colorGuidedGenerationParams": Task.COLOR_GUIDED,
    "inPaintingParams": Task.INPAINT,
    "outPaintingParams": Task.OUTPAINT,
    "imageVariationParams": Task.VARIATION,
    "backgroundRemovalParams": Task.REMOVE_BACKGROUND,
    "virtualTryOnParams": Task.VIRTUAL_TRY_ON,
}
"""Objects of Amazon's bodies that are taken at top level, and the task each belongs to (WIRE.md, sections 4 and 5)."""

NATIVE_NAMES = (*CONTAINERS, "text_prompts", "extras")
"""Every parameter that goes to ``native`` as it is; the last two are SDXL's (WIRE.md, section 6)."""

_MAX_DEPTH = 32
_MAX_INT = 2**63


def said_twice(name: str, first: tuple[str, object], second: tuple[str, object]) -> InvalidRequest:
    """The error for one thing given twice, differently. The pairs are (name as given, value).

    Prompts are not quoted: errors end in logs.
    """
    values = "" if name in ("prompt", "negative_prompt") else f": {shown(first[1])} and {shown(second[1])}"
    message = f"{named(first[0])} and {named(second[0])} disagree{values}; give one of them"
    return InvalidRequest(message, parameter=name, allowed="one value")


def copy_json(path: str, value: Any, depth: int = 0) -> Any:
    """A copy of ``value``, so that the request stays as it was. Raises InvalidRequest if it can not be JSON."""
    if depth > _MAX_DEPTH:
        message = f"{named(path)} is nested deeper than {_MAX_DEPTH} levels"
        raise InvalidRequest(message, parameter=_root(path), allowed=f"at most {_MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return sendable(named(path), value)
    if isinstance(value, int) and -_MAX_INT <= value < _MAX_INT:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Mapping):
        return {_key(path, key): copy_json(f"{path}.{key}", item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_json(f"{path}[{index}]", item, depth + 1) for index, item in enumerate(value)]
    allowed = "JSON: text, a finite number, true, false, null, a list or an object"
    raise InvalidRequest(f"{named(path)} must be {allowed}, not {shown(value)}", parameter=_root(path), allowed=allowed)


def _root(path: str) -> str:
    return named(path).split(".", 1)[0].split("[", 1)[0]


def _key(path: str, key: Any) -> str:
    if isinstance(key, str):
        return sendable(named(path), key)
    message = f"{named(path)} has the key {shown(key)}; keys must be texts"
    raise InvalidRequest(message, parameter=_root(path), allowed="texts as keys")


def merge(into: dict[str, Any], new: Mapping[str, Any], path: str = "native") -> None:
    """Add ``new`` to ``into``, objects inside objects too. Raises InvalidRequest where both differ."""
    for key, value in new.items():
        here = f"{path}.{key}"
        if key not in into:
            into[key] = value
        elif isinstance(into[key], dict) and isinstance(value, dict):
            merge(into[key], value, here)
        elif into[key] != value or type(into[key]) is not type(value):
            raise said_twice("native", (here, into[key]), (f"another {here}", value))


def leaves(native: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(name as written, key, value) of every native field that may say the same as a parameter."""
    for key, value in native.items():
        if key in CONTAINERS and isinstance(value, dict):
            yield from ((f"{key}.{inner}", inner, item) for inner, item in value.items())
        else:
            yield f"native.{key}", key, value
