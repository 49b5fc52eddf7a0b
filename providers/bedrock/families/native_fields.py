"""What a caller says in a provider's own words, held against the catalogue's facts about the task.

What the catalogue knows has to fit: the field must exist for this task, and the value must be of its type, within its range
and its words. What nobody here knows is sent untouched and without a warning, strict or not: it is honoured as it was
given, and the provider refuses what it does not know either (WIRE.md, section 3), which costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from math import isfinite
from typing import Any

from ...catalog import Catalog, Field, Model, TaskFacts
from ...param_values import named
from ...types import Task
from . import dialects, sizes

__all__ = ["Fault", "field_fault", "size_fault"]

_CONFIG = "imageGenerationConfig"
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")
_SHOWN = 40
_ROUND = 1e15
"""Whole numbers from here on are not shown, nor are they near to anything."""

_DOUBTED = {
    ("stability", Task.IMAGE_TO_IMAGE): ("aspect_ratio",),
    ("stability", Task.TEXT_TO_IMAGE): ("image", "strength"),
}
"""Fields that may or may not be taken (WIRE.md, section 12, doubts 3 and 4): the provider decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one native field. ``path`` is where it stands in the body."""

    path: str
    message: str
    allowed: str | None = None
    nearest: str | None = None


def field_fault(native: Mapping[str, Any], model: Model, task: Task, facts: TaskFacts) -> Fault | None:
    """The first field of ``native`` that this task has not, or not with this value. None when all is well."""
    doubted = _DOUBTED.get((model.family, task), ())
    for path, name, value, here in _standing(native, facts):
        field = here.get(name)
        if field is not None:
            fault = _wrong(path, value, field)
        elif path in doubted or name not in _elsewhere(model.family):
            continue
        else:
            fault = _absent(path, name, tuple(here), model, task)
        if fault is not None:
            return fault
    return None


def size_fault(native: Mapping[str, Any], body: Mapping[str, Any], facts: TaskFacts) -> Fault | None:
    """Whether ``native`` makes the size of a finished body one that is not offered. Sides are known to be numbers."""
    inside = facts.params_key is not None
    said, whole = (part.get(_CONFIG, {}) if inside else part for part in (native, body))
    given = next((side for side in ("width", "height") if isinstance(said, Mapping) and side in said), None)
    offered = facts.sizes
    # An inferred list is ours, for want of one: the provider decides.
    if given is None or offered.kind not in ("list", "range") or offered.confidence == "inferred":
        return None
    default = sizes.parse_size(offered.default or "1024x1024")
    asked = (whole.get("width", default[0]), whole.get("height", default[1]))
    near = sizes.fit(asked, offered) if offered.kind == "range" else sizes.nearest_pair(asked, offered.pairs)
    if near == asked:
        return None
    return Fault(
        path=f"{_CONFIG}.{given}" if inside else given,
        message=f"{sizes.show(asked)} is not offered",
        allowed=sizes.allowed(offered, asked),
        nearest=sizes.show(near),
    )


def _standing(
    native: Mapping[str, Any], facts: TaskFacts
) -> Iterator[tuple[str, str, Any, Mapping[str, Field | None]]]:
    """(path, name, value, what can stand beside it) of each field; of Amazon's objects, what is in them."""
    if facts.params_key is None:
        for name, value in native.items():
            yield name, name, value, facts.fields
        return
    objects = {
        facts.params_key: {name: field for name, field in facts.fields.items() if name not in facts.config},
        _CONFIG: {name: facts.fields[name] for name in facts.config},
    }
    # `taskType` is the family's to check: it names the task.
    top: dict[str, Field | None] = dict.fromkeys(name for name in dialects.top(facts) if name != "taskType")
    for name, value in native.items():
        if name in objects and name in top and isinstance(value, Mapping):
            for inner, item in value.items():
                yield f"{name}.{inner}", inner, item, objects[name]
        elif name != "taskType":
            yield name, name, value, top


@cache
def _elsewhere(family: str) -> frozenset[str]:
    """Every field that any task of a family's models has, wherever it stands."""
    found: set[str] = set()
    for model in Catalog.load().models():
        if model.family == family:
            for facts in model.tasks.values():
                found |= {*facts.fields, *dialects.top(facts)}
    return frozenset(found)


def _absent(path: str, name: str, here: Sequence[str], model: Model, task: Task) -> Fault:
    """A field of other tasks, of another model, or of another object."""
    owners = [other for other, facts in model.able.items() if name in facts.fields or name in dialects.top(facts)]
    place = path.rpartition(".")[0]
    if task in owners:
        message = f"not a field of {named(place) if place else 'the body itself'}"
    elif owners:
        message = f"a field of {', '.join(owners)}, which {task} does not have"
    else:
        message = f"a field of other {model.family} bodies, which {model.name} does not have for {task}"
    return Fault(path=path, message=message, allowed=", ".join(here) or None)


def _wrong(path: str, value: Any, field: Field | None) -> Fault | None:
    """What is wrong with a value; a field without facts has them in its family's checks."""
    match field.type if field else None:
        case "string":
            return _text(path, value, field)  # type: ignore[arg-type]
        case "integer" | "number":
            return _number(path, value, field)  # type: ignore[arg-type]
        case "boolean":
            return None if isinstance(value, bool) else _needed(path, "true or false", "true, false")
        case "image":
            return _picture(path, value)
        case "array" | "images":
            return _list(path, value, field)  # type: ignore[arg-type]
        case "object":
            return _object(path, value, field)  # type: ignore[arg-type]
        case _:
            return None


def _needed(path: str, what: str, allowed: str | None = None) -> Fault:
    return Fault(path=path, message=f"{what} is needed", allowed=allowed or what)


def _text(path: str, value: Any, field: Field) -> Fault | None:
    if not isinstance(value, str):
        return _needed(path, "a text", ", ".join(field.enum) or "a text")
    if field.enum:
        return None if value in field.enum else _other_word(path, value, field.enum)
    low, high = field.min_length or 0, field.max_length
    if len(value) < low:
        return _needed(path, "a text that is not empty")
    if high is not None and len(value) > high:
        message = f"{len(value)} characters are too many"
        return Fault(path=path, message=message, allowed=f"at most {high} characters")
    return None


def _other_word(path: str, value: str, words: Sequence[str]) -> Fault:
    shape = sizes.parse_ratio(value)
    if shape is not None and all(map(sizes.parse_ratio, words)):
        nearest = sizes.nearest_ratio(shape, words)
        return Fault(path=path, message=f"{value} is not offered", allowed=", ".join(words), nearest=nearest)
    by_key = {_key(word): word for word in words}
    key = _key(value) if len(value) <= _SHOWN else ""
    near = [key] if key in by_key else get_close_matches(key, by_key, n=1, cutoff=0.55)
    shown = repr(value) if len(value) <= _SHOWN else "this"
    return Fault(
        path=path,
        message=f"{shown} is not known",
        allowed=", ".join(words),
        nearest=by_key[near[0]] if near else None,
    )


def _key(word: str) -> str:
    return word.strip().lower().replace("_", "-").replace(" ", "-")


def _number(path: str, value: Any, field: Field) -> Fault | None:
    whole, step = field.type == "integer", field.multiple_of
    kind = "a whole number" if whole else "a number"
    allowed = kind + _range(field) + (f" in steps of {step}" if step else "")
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not isfinite(value):
        return _needed(path, kind, allowed)
    near = value if field.min is None else max(value, field.min)
    near = near if field.max is None else min(near, field.max)
    if step:
        near = round(near / step) * step if abs(near) < _ROUND else near
    if near == value:
        return None
    shown = f"{value:.15g}" if abs(value) < _ROUND else "it"
    message = f"{shown} is not a multiple of {step}" if step and _within(value, field) else f"{shown} is out of range"
    return Fault(path=path, message=message, allowed=allowed, nearest=f"{near:.15g}")


def _within(value: float, field: Field) -> bool:
    return (field.min is None or value >= field.min) and (field.max is None or value <= field.max)


def _range(field: Field) -> str:
    low, high = field.min, field.max
    if low is not None and high is not None:
        return f" from {low:.15g} to {high:.15g}"
    if high is not None:
        return f" of at most {high:.15g}"
    return "" if low is None else f" of at least {low:.15g}"


def _picture(path: str, value: Any) -> Fault | None:
    if not isinstance(value, str) or not value:
        return _needed(path, "a picture as base64 text")
    if value[:5].lower() == "data:":
        return Fault(path=path, message="a data URL is not taken here", allowed="base64 text without its prefix")
    return None


def _list(path: str, value: Any, field: Field) -> Fault | None:
    """A list and its entries: pictures, colours, or objects."""
    if not isinstance(value, (list, tuple)):
        return _needed(path, "a list")
    # A list that is required says nothing when it is empty.
    low, high = field.min_length or int(field.required), field.max_length
    if len(value) < low or (high is not None and len(value) > high):
        allowed = f"{low} to {high} entries" if high is not None else f"at least {low}"
        return Fault(path=path, message=f"{len(value)} entries", allowed=allowed)
    faults = (_entry(f"{path}[{index}]", item, field) for index, item in enumerate(value))
    return next((fault for fault in faults if fault is not None), None)


def _entry(path: str, value: Any, field: Field) -> Fault | None:
    if field.type == "images":
        return _picture(path, value)
    if field.pattern is not None:
        good = isinstance(value, str) and _COLOUR.fullmatch(value)
        return None if good else _needed(path, "a colour", f"a colour as {field.pattern}")
    if not field.fields:
        return None
    if not isinstance(value, Mapping):
        return _needed(path, "an object", f"an object of {', '.join(field.fields)}")
    missing = next((name for name, part in field.fields.items() if part.required and name not in value), None)
    return _needed(f"{path}.{missing}", "it") if missing else _object(path, value, field)


def _object(path: str, value: Any, field: Field) -> Fault | None:
    if not isinstance(value, Mapping):
        return Fault(path=path, message="an object is needed", allowed=", ".join(field.fields) or "an object")
    faults = (_wrong(f"{path}.{name}", item, field.fields.get(name)) for name, item in value.items())
    return next((fault for fault in faults if fault is not None), None)
