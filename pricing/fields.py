"""Reads the single values of price tables and overrides, and says exactly what is wrong with a bad one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from .types import Size

__all__ = [
    "PriceTableError",
    "Where",
    "choice",
    "count",
    "day",
    "items",
    "mapping",
    "money",
    "nearest",
    "ordered",
    "region",
    "size",
    "text",
]

Where = tuple[str | int, ...]
"""The way to a value: keys and positions."""

_Place = TypeVar("_Place", date, int)

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SIZE = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")
_FIGURE = re.compile(r"\d{1,12}(\.\d{1,12})?")


class PriceTableError(ValueError):
    """A price table or an override can not be used. The message is one line and names the field.

    ``path`` is the way to a bad override, such as ``("overrides", 0, "quality")``; empty if a table is at fault.
    """

    def __init__(self, message: str, *, path: Where = ()) -> None:
        super().__init__(f"{_spelt(path)}: {message}" if path else message)
        self.path = path


def nearest(word: str, allowed: Collection[str]) -> str:
    """``", did you mean 'x'?"`` if something allowed is spelt alike, else nothing."""
    found = difflib.get_close_matches(word, allowed, n=1, cutoff=0.55)
    return f", did you mean {found[0]!r}?" if found else ""


def mapping(value: object, where: Where, allowed: Sequence[str], required: Sequence[str] = ()) -> dict[str, object]:
    """The keys that were given a value. Raises PriceTableError for unknown and for missing ones."""
    if not isinstance(value, Mapping):
        raise PriceTableError(f"{_shown(value)} is not a mapping", path=where)
    for key in value:
        if key not in allowed:
            hint = nearest(str(key), allowed)
            raise PriceTableError(f"unknown key{hint} (allowed: {', '.join(allowed)})", path=(*where, str(key)))
    for key in required:
        if value.get(key) is None:
            raise PriceTableError("is missing", path=(*where, key))
    return {str(key): item for key, item in value.items()}


def items(value: object, where: Where) -> Sequence[object]:
    """A list as it is."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise PriceTableError(f"{_shown(value)} is not a list", path=where)
    return value


def text(value: object, where: Where) -> str:
    """A string that says something."""
    if not isinstance(value, str) or not value.strip():
        raise PriceTableError(f"{_shown(value)} is not a text", path=where)
    return value


def choice(value: object, where: Where, allowed: Collection[str]) -> str:
    """One of the words in ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        hint = nearest(str(value), allowed)
        raise PriceTableError(f"{_shown(value)} is not possible{hint} (allowed: {', '.join(allowed)})", path=where)
    return value


def region(value: object, where: Where) -> str:
    """A region id such as us-east-1, or ``*``."""
    if not isinstance(value, str) or (value != "*" and not _REGION.fullmatch(value)):
        raise PriceTableError(f"{_shown(value)} is not a region (allowed: an id such as us-east-1, or '*')", path=where)
    return value


def day(value: object, where: Where) -> date:
    """A date, or its ISO spelling."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) and _DAY.fullmatch(value) else "")
    except ValueError:
        raise PriceTableError(f"{_shown(value)} is not a date (allowed: YYYY-MM-DD)", path=where) from None


def size(value: object, where: Where) -> Size:
    """``"1024x1024"``, or a pair of pixel counts."""
    spelt = value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        spelt = "x".join(str(side) for side in value)
    found = _SIZE.fullmatch(spelt) if isinstance(spelt, str) else None
    if not found:
        raise PriceTableError(f"{_shown(value)} is not a size (allowed: WIDTHxHEIGHT in pixels)", path=where)
    return int(found[1]), int(found[2])


def count(value: object, where: Where) -> int:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PriceTableError(f"{_shown(value)} is not a whole number from 1", path=where)
    return value


def money(value: object, where: Where, *, quoted: bool) -> Decimal:
    """An exact amount of USD, 0 or more.

    A table must quote its figures. An override may also be a number: a float means what it shows, so 0.035 is 0.035.
    """
    spelt = value if isinstance(value, str) or quoted else _digits(value)
    if not isinstance(spelt, str) or not _FIGURE.fullmatch(spelt):
        allowed = 'a quoted figure such as "0.04"' if quoted else "a figure such as 0.04"
        raise PriceTableError(f"{_shown(value)} is not an amount of USD (allowed: {allowed})", path=where)
    return Decimal(spelt)


def _digits(value: object) -> str | None:
    """A number as it would be written down, None if nobody would write that down as a price."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        number = Decimal(str(value))
    except ValueError:  # an int too long to be written at all
        return None
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) <= 12 else None


def ordered(first: _Place | None, last: _Place | None, where: Where) -> None:
    """Refuses a range that ends before it begins; None is an open end."""
    if first is not None and last is not None and last < first:
        raise PriceTableError(f"{last} is before the start, {first}", path=where)


def _shown(value: object) -> str:
    try:
        spelt = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return spelt if len(spelt) <= 60 else f"{spelt[:57]}..."


def _spelt(path: Where) -> str:
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif step.isidentifier():
            parts.append(f".{step}")
        else:
            parts.append(f"[{step!r}]")
    return "".join(parts).removeprefix(".")
