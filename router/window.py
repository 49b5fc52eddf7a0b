"""Calls of the last minute, by the moments at which they left."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

__all__ = ["WINDOW", "Window"]

WINDOW = 60.6
"""Seconds in which a limit a minute is kept. Calls travel: of two that leave 60 s apart the first may arrive late and the
second at once. 0.6 s are the travel times that we allow for; they cost one call in a hundred."""
_KEPT = 32
"""Moments that are out of date may stay until there are so many, so that not every call moves the list."""
_MORE = 16
"""For the same reason, a sixteenth more than the most may stay."""


class Window:
    """Sorted moments: the latest ``most`` of them, and some more. What is older than the window is forgotten."""

    __slots__ = ("_most", "_times")

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._times: list[float] = []

    def add(self, at: float) -> None:
        """A call left, or is about to."""
        old = bisect_right(self._times, at - 2 * WINDOW)
        if self._most is not None and len(self._times) >= self._most + self._most // _MORE:
            del self._times[: max(old, len(self._times) - self._most + 1)]
        elif old > _KEPT:
            del self._times[:old]
        insort(self._times, at)

    def move(self, at: float, to: float) -> None:
        """A call left at another moment than was noted."""
        if to != at:
            self.remove(at)
            insort(self._times, to)

    def remove(self, at: float) -> bool:
        """A call did not count. False if it is out of date."""
        place = bisect_left(self._times, at)
        found = place < len(self._times) and self._times[place] == at
        if found:
            del self._times[place]
        return found

    def count(self, after: float, until: float) -> int:
        """Calls after one moment and not after another."""
        return max(bisect_right(self._times, until) - bisect_right(self._times, after), 0)

    def used(self, now: float) -> int:
        """Calls that the window holds now."""
        return len(self._times) - bisect_right(self._times, now - WINDOW)

    def free_in(self, limit: int, now: float) -> float:
        """Seconds until the window holds fewer than ``limit`` calls."""
        used = self.used(now)
        if used < limit:
            return 0.0
        return (
            max(self._times[-limit] + WINDOW - now, 0.0) or 0.001
        )  # the sum may round to a moment that is still in it

    def slots(self, limit: int, now: float, until: float) -> int:
        """Calls that fit from now to ``until`` if all are taken up as they come free. The pattern returns each window."""
        rounds, rest = divmod(max(until - now, 0.0), WINDOW)
        start = bisect_right(self._times, now - WINDOW)
        ended = bisect_right(self._times, now - WINDOW + rest) - start
        return int(rounds) * limit + max(limit - (len(self._times) - start) + ended, 0)

    def copy(self) -> Window:
        """The same moments, to be counted on by themselves."""
        twin = Window()
        twin._times = self._times.copy()
        return twin

    def clear(self) -> None:
        """Forget everything."""
        self._times.clear()
