"""Units in configuration files: ``30s`` is a duration, ``256MiB`` a size. Pure."""

from __future__ import annotations

import math
import re
from decimal import Decimal

__all__ = ["DURATION_FORMS", "SIZE_FORMS", "is_negative", "parse_duration", "parse_size"]

DURATION_FORMS = "300ms, 30s, 5m, 1h or 2d"
SIZE_FORMS = "512KiB, 256MiB or 1GB"

_SECONDS = {
    "ms": Decimal("0.001"),
    "": Decimal(1),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES = {"": 1, "B": 1} | {
    prefix + unit: base**power
    for unit, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate("KMGT", start=1)
}
_AMOUNT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([A-Za-z]*)")

LONGEST = 366 * 86400.0
"""Seconds. Longer waits are slips of the pen, and some clocks can not take them."""

LARGEST = 1 << 50
"""Bytes."""


def parse_duration(value: object) -> float | None:
    """Seconds of ``300ms``, ``30s``, ``5m``, ``1h``, ``2d`` or a plain number of seconds; None if it is none of them.

    Negative and infinite durations, and those over a year, are none of them.
    """
    amount = _amount(value, _SECONDS)
    return float(amount) if amount is not None and amount <= LONGEST else None


def is_negative(value: object) -> bool:
    """Would it be a duration if it were not below 0?"""
    if isinstance(value, str):
        return value.startswith("-") and parse_duration(value[1:]) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0


def parse_size(value: object) -> int | None:
    """Bytes of ``512KiB``, ``256MiB``, ``1GB`` or a plain number of bytes; None if it is none of them.

    ``KiB`` is 1024 bytes, ``KB`` is 1000. Parts of a byte are cut off.
    """
    amount = _amount(value, _BYTES)
    return int(amount) if amount is not None and amount <= LARGEST else None


def _amount(value: object, units: dict[str, Decimal] | dict[str, int]) -> Decimal | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(str(value)) if value >= 0 and math.isfinite(value) else None
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if not found or found[2] not in units:
        return None
    return Decimal(found[1]) * units[found[2]]
