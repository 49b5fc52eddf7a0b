"""How much one key may ask: requests in any 60 seconds, and requests at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .errors import Refused
from .keys import Key

__all__ = ["WINDOW", "LocalTraffic", "Open", "Traffic", "Use", "check_places", "check_rate"]

WINDOW = 60.0
"""Seconds for which a request counts: not less."""
_SOON = 1.0
"""Seconds after which it is worth asking again when a running request has to end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a key has under way, and its requests of the last 60 seconds: these are counted only for keys with a limit."""

    in_flight: int
    requests: int


class Traffic(Protocol):
    """What the requests of one key are counted with. Moments are seconds of one clock. Safe to use from many threads."""

    def check(self, key: Key) -> None:
        """Raise `Refused` (429, with the seconds to wait) if one more request would be too many now."""

    def enter(self, key: Key) -> float:
        """`check`, and at once count a request that begins; the moment at which it does. Refused ones are not counted."""

    def leave(self) -> None:
        """A request has ended."""

    def withdraw(self, moment: float) -> None:
        """A request that began at ``moment`` was refused after all: it does not count."""

    def use(self) -> Use:
        """What is under way, and what was asked of late."""


Open = Callable[[str, Callable[[], float]], Traffic]
"""(name of a key, clock) -> what it is counted with."""


class LocalTraffic:
    """`Traffic` of one process."""

    __slots__ = ("_clock", "_in_flight", "_lock", "_moments")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight = 0
        self._moments: deque[float] = deque()

    def check(self, key: Key) -> None:
        """See `Traffic`."""
        with self._lock:
            self._checked(key)

    def enter(self, key: Key) -> float:
        """See `Traffic`."""
        with self._lock:
            now = self._checked(key)
            self._in_flight += 1
            if key.rpm is not None:
                self._moments.append(now)
            return now

    def leave(self) -> None:
        """See `Traffic`."""
        with self._lock:
            self._in_flight -= 1

    def withdraw(self, moment: float) -> None:
        """See `Traffic`."""
        with self._lock:
            self._in_flight -= 1
            if moment in self._moments:
                self._moments.remove(moment)

    def use(self) -> Use:
        """See `Traffic`."""
        with self._lock:
            self._forget(self._clock())
            return Use(in_flight=self._in_flight, requests=len(self._moments))

    def _checked(self, key: Key) -> float:
        now = self._clock()
        self._forget(now)
        check_places(key, self._in_flight)
        if key.rpm is not None and len(self._moments) >= key.rpm:
            check_rate(key, self._moments[-key.rpm], now)
        return now

    def _forget(self, now: float) -> None:
        while self._moments and self._moments[0] <= now - WINDOW:
            self._moments.popleft()


def check_places(key: Key, in_flight: int) -> None:
    """Raise `Refused` if ``in_flight`` requests are all that the key may have at once."""
    if key.concurrency is not None and in_flight >= key.concurrency:
        raise _too_many(
            f"key {key.name!r} has {in_flight} requests under way, and may have {key.concurrency} at once", _SOON
        )


def check_rate(key: Key, moment: float, now: float) -> None:
    """Raise `Refused` if the request ``rpm`` before the next one, begun at ``moment``, still counts."""
    if moment > now - WINDOW:
        wait = moment + WINDOW - now
        raise _too_many(f"key {key.name!r} may make {key.rpm} requests in 60 seconds, and has made them", wait)


def _too_many(message: str, wait: float) -> Refused:
    return Refused(
        f"{message}; ask again in {max(wait, 0.001):.3g} s",
        status=429,
        code="rate_limit_exceeded",
        type="requests",
        retry_after=max(wait, 0.001),
        should_retry=True,
    )
