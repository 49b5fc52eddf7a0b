"""Today, in UTC: rates and lifecycles count days. Asked several times for every request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache

__all__ = ["utc_today"]

_EPOCH = date(1970, 1, 1).toordinal()


def utc_today(wall: Callable[[], float]) -> date:
    """The day of this moment; ``wall`` gives Unix time."""
    return _day(int(wall() // 86400))


@lru_cache(maxsize=2)
def _day(number: int) -> date:
    """The day that began so many days after 1970."""
    return date.fromordinal(_EPOCH + number)
