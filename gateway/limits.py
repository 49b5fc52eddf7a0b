"""How much one key may ask: requests in any 60 seconds, and requests at once."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from .errors import Refused
from .journal import Busy
from .keys import Key

__all__ = [
    "WINDOW",
    "LocalTraffic",
    "Open",
    "Traffic",
    "Use",
    "attempted",
    "check_places",
    "check_rate",
    "counted",
    "uncounted",
]

T = TypeVar("T")

WINDOW = 60.0
"""Seconds for which a request counts: not less."""
_SOON = 1.0
"""Seconds after which it is worth asking again when a running request has to end first."""
_PATIENCE = 2.0
"""Seconds for which counts that others hold are waited for: they are held for microseconds, unless somebody was stopped."""
_FIRST, _LATER = 0.001, 0.05
"""Seconds between two tries, at first and at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a key has under way, and its requests of the last 60 seconds: these are counted only for keys with a limit."""

    in_flight: int
    requests: int


class Traffic(Protocol):
    """What the requests of one key are counted with. Moments are seconds of one clock. Safe to use from many threads.

    With ``wait=False`` a method raises Busy, with nothing done, where it would block.
    """

    def check(self, key: Key, *, wait: bool = True) -> None:
        """Raise `Refused` (429, with the seconds to wait) if one more request would be too many now."""

    def enter(self, key: Key, *, wait: bool = True) -> float:
        """`check`, and at once count a request that begins; the moment at which it does. Refused ones are not counted."""

    def leave(self) -> None:
        """A request has ended. Never blocks, never fails."""

    def withdraw(self, moment: float) -> None:
        """A request that began at ``moment`` was refused after all: it does not count. Never blocks, never fails."""

    def use(self, *, wait: bool = True) -> Use:
        """What is under way, and what was asked of late."""


class Open(Protocol):
    """(name of a key, clock) -> what it is counted with. Raises Busy where it would block and may not ``wait``."""

    def __call__(self, name: str, clock: Callable[[], float], *, wait: bool = True) -> Traffic:
        """Open it."""


class LocalTraffic:
    """`Traffic` of one process."""

    __slots__ = ("_clock", "_in_flight", "_lock", "_moments")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight = 0
        self._moments: deque[float] = deque()

    def check(self, key: Key, *, wait: bool = True) -> None:
        """See `Traffic`."""
        with self._lock:
            self._checked(key)

    def enter(self, key: Key, *, wait: bool = True) -> float:
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

    def use(self, *, wait: bool = True) -> Use:
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


async def attempted(work: Callable[[], T], patience: float) -> T:
    """Do in an event loop what raises Busy while another process is at it. After ``patience`` seconds Busy is raised."""
    end, pause = 0.0, _FIRST
    while True:
        try:
            return work()
        except Busy as busy:
            now = asyncio.get_running_loop().time()
            end = end or now + patience
            if not busy.passes or now >= end:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LATER)


async def counted(work: Callable[[], T]) -> T:
    """What a method of `Traffic` gives, called with ``wait=False``. Raises `Refused` (503) if that takes too long."""
    try:
        return await attempted(work, _PATIENCE)
    except Busy:
        raise uncounted("another process holds the counts") from None


def uncounted(why: str) -> Refused:
    """Nobody knows how much is asked, so nobody is let in."""
    return Refused(
        f"what this key has asked can not be counted now: {why}",
        status=503,
        code="limits_unavailable",
        type="server_error",
        retry_after=5.0,
        should_retry=True,
    )


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
