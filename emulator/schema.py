"""A small JSON-schema checker whose complaints read like the live service's.

For example ``#/textToImageParams/text: expected maxLength: 512, actual: 536``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Array", "Boolean", "Integer", "Number", "Object", "Rule", "Text", "violations"]

_NAMES = {
    dict: "JSONObject",
    list: "JSONArray",
    str: "String",
    bool: "Boolean",
    int: "Integer",
    float: "BigDecimal",
    type(None): "Null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string; lengths are counted in characters. ``pattern`` must match all of it."""

    min: int = 0
    max: int | None = None
    enum: Sequence[str] = ()
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean:
    """``true`` or ``false``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """A whole number, written without a fraction."""

    min: int | None = None
    max: int | None = None
    multiple_of: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Any number, whole or not."""

    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A list of like items."""

    items: Rule
    min: int = 0
    max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """A JSON object. ``open`` lets unknown keys pass."""

    fields: Mapping[str, Rule] = field(default_factory=dict)
    required: Sequence[str] = ()
    open: bool = False


Rule = Text | Boolean | Integer | Number | Array | Object


def violations(rule: Rule, value: Any, pointer: str = "#") -> list[str]:
    """Every way in which a value breaks the rule, in the service's wording; empty if it is good."""
    match rule:
        case Text():
            return _text(rule, value, pointer)
        case Boolean():
            return [] if isinstance(value, bool) else _wrong_type("Boolean", value, pointer)
        case Integer() | Number():
            return _number(rule, value, pointer)
        case Array():
            return _array(rule, value, pointer)
        case Object():
            return _object(rule, value, pointer)


def _wrong_type(expected: str, value: Any, pointer: str) -> list[str]:
    return [f"{pointer}: expected type: {expected}, found: {_NAMES.get(type(value), 'Object')}"]


def _text(rule: Text, value: Any, pointer: str) -> list[str]:
    if not isinstance(value, str):
        return _wrong_type("String", value, pointer)
    if len(value) < rule.min:
        return [f"{pointer}: expected minLength: {rule.min}, actual: {len(value)}"]
    if rule.max is not None and len(value) > rule.max:
        return [f"{pointer}: expected maxLength: {rule.max}, actual: {len(value)}"]
    if rule.enum and value not in rule.enum:
        return [f"{pointer}: {value[:80]} is not a valid enum value"]
    if rule.pattern is not None and not re.fullmatch(rule.pattern, value):
        return [f"{pointer}: string [{value[:80]}] does not match pattern ^{rule.pattern}$"]
    return []


def _number(rule: Integer | Number, value: Any, pointer: str) -> list[str]:
    whole = isinstance(rule, Integer)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return _wrong_type("Integer" if whole else "Number", value, pointer)
    found = []
    if rule.min is not None and value < rule.min:
        found.append(f"{pointer}: {value} is not greater or equal to {rule.min}")
    if rule.max is not None and value > rule.max:
        found.append(f"{pointer}: {value} is not less or equal to {rule.max}")
    if isinstance(rule, Integer) and value % rule.multiple_of:
        found.append(f"{pointer}: {value} is not a multiple of {rule.multiple_of}")
    return found


def _array(rule: Array, value: Any, pointer: str) -> list[str]:
    if not isinstance(value, list):
        return _wrong_type("JSONArray", value, pointer)
    if len(value) < rule.min:
        return [f"{pointer}: expected minimum item count: {rule.min}, found: {len(value)}"]
    if rule.max is not None and len(value) > rule.max:
        return [f"{pointer}: expected maximum item count: {rule.max}, found: {len(value)}"]
    return [broken for index, item in enumerate(value) for broken in violations(rule.items, item, f"{pointer}/{index}")]


def _object(rule: Object, value: Any, pointer: str) -> list[str]:
    if not isinstance(value, dict):
        return _wrong_type("JSONObject", value, pointer)
    found = [f"{pointer}: required key [{name}] not found" for name in rule.required if name not in value]
    for name, item in value.items():
        if name in rule.fields:
            found += violations(rule.fields[name], item, f"{pointer}/{name}")
        elif not rule.open:
            found.append(f"{pointer}: extraneous key [{name}] is not permitted")
    return found
