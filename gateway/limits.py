"""How much one key may ask: requests in any 60 seconds, and requests at once."""

from __future__ import annotations

from collections import deque

from .errors import Refused
from .keys import Key

__all__ = ["Traffic"]

_WINDOW = 60.0
"""Seconds."""
_SOON = 1.0
"""Seconds after which it is worth asking again when a running request has to end first."""


class Traffic:
    """What one key has asked of late, and has under way. Times are seconds of one clock. The caller holds the lock."""

    __slots__ = ("_moments", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._moments: deque[float] = deque()

    def check(self, key: Key, now: float) -> None:
        """Raise `Refused` (429, with the seconds to wait) if one more request would be too many."""
        self.forget(now)
        if key.concurrency is not None and self.in_flight >= key.concurrency:
            raise _too_many(
                f"key {key.name!r} has {self.in_flight} requests under way, and may have {key.concurrency} at once",
                _SOON,
            )
        if key.rpm is not None and len(self._moments) >= key.rpm:
            wait = self._moments[-key.rpm] + _WINDOW - now
            raise _too_many(f"key {key.name!r} may make {key.rpm} requests in 60 seconds, and has made them", wait)

    def enter(self, key: Key, now: float) -> None:
        """A request begins. Refused ones are not counted."""
        self.in_flight += 1
        if key.rpm is not None:
            self._moments.append(now)

    def leave(self) -> None:
        """A request has ended."""
        self.in_flight -= 1

    def withdraw(self, moment: float) -> None:
        """A request that began at ``moment`` was refused after all: it does not count."""
        self.in_flight -= 1
        if moment in self._moments:
            self._moments.remove(moment)

    def forget(self, now: float) -> None:
        """Drop what is older than the window: a request counts for 60 seconds, not less."""
        while self._moments and self._moments[0] <= now - _WINDOW:
            self._moments.popleft()

    def used(self, now: float) -> int:
        """Requests in the last 60 seconds; counted only for keys with a limit."""
        self.forget(now)
        return len(self._moments)


def _too_many(message: str, wait: float) -> Refused:
    return Refused(
        f"{message}; ask again in {max(wait, 0.001):.3g} s",
        status=429,
        code="rate_limit_exceeded",
        type="requests",
        retry_after=max(wait, 0.001),
        should_retry=True,
    )
