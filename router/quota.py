"""Declared limits of one deployment: requests a minute and requests at once."""

from __future__ import annotations

from collections import deque

__all__ = ["Limits"]

_WINDOW = 60.0
_REMEMBERED = 1000
"""Calls that are remembered where there is no limit yet, for the day that a reload brings one."""


class Limits:
    """Counts calls against ``rpm`` (any 60 seconds) and ``concurrency``; None means no limit. The caller holds the lock."""

    __slots__ = ("_sent", "concurrency", "rpm")

    def __init__(self, rpm: int | None = None, concurrency: int | None = None) -> None:
        self.rpm = rpm
        self.concurrency = concurrency
        self._sent: deque[float] = deque(maxlen=rpm or _REMEMBERED)

    def free_in(self, now: float, in_flight: int) -> float | None:
        """Seconds until one more call fits the limits: 0 now, None when only the end of a running call will tell."""
        if self.concurrency is not None and in_flight >= self.concurrency:
            return None
        if self.rpm is None or len(self._sent) < self.rpm:
            return 0.0
        return max(self._sent[0] + _WINDOW - now, 0.0)

    def change(self, rpm: int | None, concurrency: int | None) -> None:
        """Let other limits hold from now on. The calls of the last minute count against them."""
        if rpm != self.rpm:
            self.rpm = rpm
            self._sent = deque(self._sent, maxlen=rpm or _REMEMBERED)
        self.concurrency = concurrency

    def take(self, now: float) -> None:
        """Note that a call starts at ``now``."""
        self._sent.append(now)
