"""A quota that nobody has declared, learned from what is throttled.

Bedrock's quotas are per account, region and model, and its answers do not tell them. What is known is what came through:

- **Down at once.** A throttled call does not count upstream, so it is taken out of the window; what the last minute then
  holds is what was accepted, and that is the limit. Every throttled call of a burst says so again, so that a burst ends
  at the exact number. Throttled again with nothing come through in between, the quota itself has fallen: the limit is
  multiplied by 0.7. Additive increase and multiplicative decrease is the rule that ends fair and stable when several
  share one quota (Chiu and Jain, 1989); 0.7, and the lower of that and what was measured, is how botocore's adaptive
  retry mode does it (``retries/throttling.py``), after CUBIC (RFC 9438).
- **Up by proof.** When the window is full and somebody waits, one call in a while goes beyond it. Throttled, it costs one
  attempt, and the next comes later: after 20, 80, 320, then 600 seconds. The third of these asks for a hundred calls that
  came through since; where there were fewer it is 600 seconds, too, so that a small limit is tried as well. Come through,
  the limit is what the last minute held, and the next follows soon, then sooner: a limit that is far too low doubles and
  doubles again, as CUBIC returns to its last maximum. So a token bucket, whose burst is not its rate, is found, too.

A full window does not empty at once when it opens again: calls are spaced a little, and the first that is throttled
stops the others.
"""

from __future__ import annotations

from math import ceil

from .window import WINDOW, Window

__all__ = ["Quota"]

_MINUTE = 60.0
_SLACK = 0.25
"""Seconds by which two calls may come nearer to each other, or further apart, on their way."""
_BETA = 0.7
_LADDER = (20.0, 80.0, 320.0, 600.0)
"""Seconds until the limit is tried again, by how often that has failed."""
_WORTH = 100
"""Calls that must have come through before a limit that has held is tried again sooner than the ladder's longest time."""
_PATIENT = 2
"""The rung from which on that is asked for."""
_GROWTH = 2.0
_FASTEST = 0.25
_TELLING = 10.0
"""Seconds between two throttled calls in which a rate can be measured."""
_WON = 1.25
"""A limit that has grown so much was far too low, and may still be: the ladder begins anew."""
_SPACES = 8
"""A window that opens may be filled in an eighth of a minute."""
_REMEMBERED = 10_000
"""Calls. A quota above it is taken for this one."""
_MANY = 1_000_000


class Quota:
    """The limit of one model, region and account, as far as it is known. The caller holds the lock."""

    __slots__ = (
        "_base",
        "_first",
        "_fresh",
        "_full",
        "_gap",
        "_growing",
        "_grown",
        "_hold",
        "_last",
        "_learned",
        "_next_try",
        "_rung",
        "_streak",
        "_struck",
        "_window",
        "limit",
        "sharers",
    )

    def __init__(self) -> None:
        self.limit: int | None = None
        """Calls a minute; None until something was throttled."""
        self.sharers: set[str] = set()
        """The deployments that draw on it."""
        self._window = Window(_REMEMBERED)
        self._hold = self._next_try = 0.0
        self._first = self._grown = self._last = self._full = self._learned = self._struck = float("-inf")
        self._rung = self._streak = self._fresh = self._base = 0
        self._gap = _GROWTH
        self._growing = False

    def sent(self) -> Window:
        """The calls of the last minute."""
        return self._window.copy()

    def free(self, now: float) -> int:
        """Calls that may start now."""
        if self.limit is None:
            return _MANY
        room = self.limit - self._window.used(now)
        if now < self._hold:
            return 0
        if room <= 0:
            return int(now >= self._next_try and self._may_try(room, now))
        if now - self._full < 2 * WINDOW:
            return int(now >= self._last + self._space())
        return room

    def free_in(self, now: float) -> float:
        """Seconds until one more may start."""
        if self.limit is None:
            return 0.0
        wait = self._window.free_in(self.limit, now)
        if wait:
            full = self._window.free_in(self.limit + 1, now)  # until it is full, and no more than that
            if self._may_try(0, now) and (full < wait or self._growing):
                wait = min(wait, max(self._next_try - now, 0.0 if self._growing else full))
        elif now - self._full < 2 * WINDOW:
            wait = max(self._last + self._space() - now, 0.0)
        return max(wait, self._hold - now)

    def slots(self, now: float, until: float) -> int:
        """Calls that could start from now to ``until``."""
        if self.limit is None:
            return _MANY
        held = max(self._hold - now, 0.0)
        return self._window.slots(self.limit, now, until) if until - now >= held else 0

    def take(self, now: float) -> bool:
        """A call starts. True if it goes beyond the limit."""
        self._last = now
        beyond = False
        if self.limit is not None:
            used = self._window.used(now)
            beyond = used >= self.limit
            if used + 1 >= self.limit:
                self._full = now
            if beyond:
                self._next_try = now + (self._gap if self._growing else _LADDER[self._rung])
        self._window.add(now)
        return beyond

    def move(self, taken: float, to: float) -> None:
        """A call left later than it was taken."""
        self._window.move(taken, to)

    def give_back(self, at: float) -> None:
        """A call was not made after all."""
        self._window.remove(at)

    def accepted(self, at: float, now: float, *, beyond: bool = False) -> None:
        """The call that left at ``at`` came through."""
        self._fresh += 1
        if self.limit is None or at <= self._learned:
            return  # sent before the last lesson: it says nothing about the quota since
        proven = self._window.count(at - _MINUTE + _SLACK, at)
        if proven > self.limit:
            if self._growing:
                self._gap = max(self._gap / 2, _FASTEST)
            else:
                self._growing, self._base, self._gap = True, self.limit, _GROWTH
            self.limit = proven
            self._grown = now
            self._next_try = min(self._next_try, now + self._gap)
        elif beyond:  # an old call left the window at that moment: once more, and soon
            self._next_try, self._fresh = min(self._next_try, now + _LADDER[0]), max(self._fresh, _WORTH)

    def throttled(self, at: float, now: float, *, beyond: bool = False) -> None:
        """The call that left at ``at`` was refused for there being too many."""
        self._window.remove(at)
        fallen = not beyond and self._lower(at, now)
        if self._growing and self.limit is not None and self.limit >= _WON * self._base:
            fallen = True
        undone = self.limit is not None and self._base <= self.limit < _WON * self._base
        undone = undone and now - self._grown < 2 * _MINUTE
        if undone and not beyond:
            self._rung, self._fresh = len(_LADDER) - 1, 0  # what it had grown by was a burst
        elif fallen:
            self._rung = 0
        elif beyond or self._growing:
            self._rung = min(self._rung + 1, len(_LADDER) - 1)
            self._fresh = 0
        self._growing = False
        self._next_try = max(now, self._hold) + _LADDER[self._rung]

    def _lower(self, at: float, now: float) -> bool:
        """Take for the limit what the window holds. True if that is news, not a limit that was one too high."""
        held = self._window.count(at - _MINUTE - _SLACK, now)
        before = self.limit
        limit = held if before is None else min(held, before)
        again = False
        if at > self._learned:
            again = before is not None and not self._window.count(self._struck, at)
            self._streak = self._streak + 1 if again else 1
            if again and before is not None:
                limit = min(limit, int(before * _BETA))
            limit = min(limit, self._measured(at, before or limit))
        self.limit = max(limit, 1)
        if not held:
            self._hold = max(self._hold, now + min(2.0**self._streak, WINDOW))
        self._learned, self._struck, self._full = now, at, now
        return before is None or again or held < _BETA * before

    def _measured(self, at: float, most: int) -> int:
        """What a second throttled call within a minute says: that the window held a burst, not the rate.

        What came through since the first one, both having been refused for want of tokens, is the rate at which tokens
        come. Too soon to tell, and after growth, it is what was right before.
        """
        seconds = at - self._first
        if seconds > _MINUTE:
            self._first = at
            return most
        if seconds < _TELLING:
            grown = seconds > 0.0 and at - self._grown < _MINUTE
            return max(self._base, int(most * _BETA)) if grown else most
        rate = ceil(self._window.count(self._first, at) * _MINUTE / seconds)
        return max(rate, int(most * _BETA))

    def _may_try(self, room: int, now: float) -> bool:
        """Is one call beyond the limit worth it? Not while the window is fuller than the limit, which has just fallen."""
        if self._growing:
            return True
        overdue = now >= self._next_try + _LADDER[-1] - _LADDER[self._rung]
        return room == 0 and (overdue or self._rung < _PATIENT or self._fresh >= _WORTH)

    def _space(self) -> float:
        return min(_FASTEST, WINDOW / (_SPACES * (self.limit or 1)))
