"""Limits of one deployment: declared requests a minute and requests at once, and the quota that throttling teaches."""

from __future__ import annotations

from .learning import Quota
from .window import WINDOW, Window

__all__ = ["WINDOW", "Limits"]

_MANY = 1_000_000
"""Places where there is no limit."""


class Limits:
    """Counts calls against ``rpm`` (any 60 seconds), ``concurrency`` (None: no limit) and the quota learned so far.

    A call is counted from the moment when it takes its place, and again from the moment when it really leaves (`depart`):
    it may have waited for a thread. The caller holds the lock.
    """

    __slots__ = ("_sent", "concurrency", "quota", "rpm", "shut")

    def __init__(self, rpm: int | None = None, concurrency: int | None = None, quota: Quota | None = None) -> None:
        self.rpm = rpm
        self.concurrency = concurrency
        self.quota = quota or Quota()
        """Shared by the deployments of one model, region and account."""
        self._sent = Window()
        self.shut = 0.0
        """Until then ``rpm`` lets nothing through, unless a call is given back: looked up so that a look costs nothing."""

    def free(self, now: float, in_flight: int) -> int:
        """Calls that may start now."""
        if now < self.shut:
            return 0
        free = _MANY if self.concurrency is None else self.concurrency - in_flight
        if free > 0 and self.rpm is not None:
            free = min(free, self.rpm - self._sent.used(now))
            if free <= 0:
                self.shut = now + self._sent.free_in(self.rpm, now)
        return min(free, self.quota.free(now)) if free > 0 else 0

    def free_in(self, now: float, in_flight: int) -> float | None:
        """Seconds until one more call fits the limits: 0 now, None when only the end of a running call will tell."""
        if self.concurrency is not None and in_flight >= self.concurrency:
            return None
        wait = self.quota.free_in(now)
        return wait if self.rpm is None else max(wait, self._sent.free_in(self.rpm, now))

    def slots(self, now: float, until: float, in_flight: int, typical: float) -> float:
        """Calls that could start from now to ``until``, if they take ``typical`` seconds and nobody else asks."""
        slots: float = self.quota.slots(now, until)
        if self.rpm is not None:
            slots = min(slots, self._sent.slots(self.rpm, now, until))
        if self.concurrency is not None:
            ended = (until - now) * self.concurrency / max(typical, 0.1)
            slots = min(slots, max(self.concurrency - in_flight + ended, 0.0))
        return slots

    def take(self, now: float) -> bool:
        """Note that a call starts at ``now``. True if it goes beyond the learned quota, to try whether there is more."""
        if self.rpm is not None:
            self._sent.add(now)
        return self.quota.take(now)

    def depart(self, taken: float, now: float) -> None:
        """The call that took its place at ``taken`` leaves only now."""
        if self.rpm is not None:
            self._sent.move(taken, now)
            self.shut = 0.0
        self.quota.move(taken, now)

    def give_back(self, taken: float) -> None:
        """The call that took its place at ``taken`` was never sent."""
        if self.rpm is not None:
            self._sent.remove(taken)
            self.shut = 0.0
        self.quota.give_back(taken)

    def change(self, rpm: int | None, concurrency: int | None) -> None:
        """Let other limits hold from now on. The calls of the last minute count against them."""
        if self.rpm is None and rpm is not None:
            self._sent = self.quota.sent()  # kept for all who share the quota, so at worst we are too careful
        self.rpm = rpm
        self.concurrency = concurrency
        self.shut = 0.0
