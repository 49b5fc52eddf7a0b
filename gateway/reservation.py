"""Money that is set aside beside an event loop, for one request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from .keys import Key
from .spend import Ledger

__all__ = ["Reservation"]

_ZERO = Decimal(0)


class Reservation:
    """Money that is set aside in a thread, for somebody who may be gone when it has been."""

    def __init__(self, ledger: Ledger, key: Key, usd: Decimal, now: Callable[[], datetime]) -> None:
        self._ledger, self._key, self._usd, self._now = ledger, key, usd, now
        self._lock = threading.Lock()
        self._id: str | None = None
        self._dropped = False

    def make(self, wait: bool) -> str:
        """The id of the reservation. Raises as `Ledger.reserve` does."""
        id = self._ledger.reserve(self._key, self._usd, self._now(), wait=wait)
        with self._lock:
            self._id = id
            dropped = self._dropped
        if dropped:
            self._ledger.owe(id, _ZERO)
        return id

    def drop(self) -> None:
        """It is not needed."""
        with self._lock:
            self._dropped = True
            id = self._id
        if id is not None:
            self._ledger.owe(id, _ZERO)
