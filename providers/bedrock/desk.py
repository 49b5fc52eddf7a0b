"""How many large answers an event loop reads at a time.

A loop hears of all sockets at once that have something to read. Were all of it read as it comes, hundreds of bodies would
be in memory before the first is whole. So each needs a seat, which it has until it was taken by who asked for it. Of who
finds none nothing is read for now: what comes stays with the system, and the sender waits.

That is only good while the loop is what everybody waits for. A loop that has time hands out as many seats again every ten
milliseconds, so that answers from far away, which come slowly, come side by side. And whoever is sent nothing has no seat.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from typing import Protocol
from weakref import WeakKeyDictionary

__all__ = ["Desk", "Reader", "desk_of"]

AT_ONCE = 16 * 1024 * 1024
"""Bytes of bodies with a seat: as long as there are fewer, another one is begun."""
ROUND = 0.01
"""Seconds between two looks at who waits, and for what."""
BUSY = 0.002
"""Seconds by which a loop is late that has no time."""
PAUSE = 0.05
"""Seconds after which a sender that sends nothing holds nobody up."""


class Reader(Protocol):
    """One answer. ``size`` is that of its body in bytes, ``idle_since`` the loop's time when something came last."""

    size: int
    idle_since: float

    def read_on(self) -> bool:
        """There is a seat now. Does anybody still want it?"""
        ...


class Desk:
    """Hands out the seats of one event loop."""

    def __init__(self) -> None:
        self.held = 0
        """Bytes of bodies with a seat."""
        self._seats: dict[Reader, int] = {}
        self._waiting: deque[Reader] = deque()
        self._rounds = False

    def seat(self, reader: Reader, loop: AbstractEventLoop) -> bool:
        """Is there a seat? If not, it is told as soon as there is one."""
        if self.held >= AT_ONCE:
            self._waiting.append(reader)
            self._go_round(loop)
            return False
        self._sit(reader)
        return True

    def rise(self, reader: Reader) -> None:
        """Its seat is free, if it had one."""
        self.held -= self._seats.pop(reader, 0)
        while self._waiting and self.held < AT_ONCE:
            waiting = self._waiting.popleft()
            if waiting.read_on():
                self._sit(waiting)

    def _sit(self, reader: Reader) -> None:
        self._seats[reader] = reader.size
        self.held += reader.size

    def _go_round(self, loop: AbstractEventLoop) -> None:
        if self._waiting and not self._rounds:
            self._rounds = True
            loop.call_later(ROUND, self._look_around, loop, loop.time() + ROUND)

    def _look_around(self, loop: AbstractEventLoop, due: float) -> None:
        self._rounds = False
        now = loop.time()
        has_time = now - due < BUSY
        for reader in [one for one in self._seats if has_time or one.idle_since < now - PAUSE]:
            self.rise(reader)
        self._go_round(loop)


_desks: WeakKeyDictionary[AbstractEventLoop, Desk] = WeakKeyDictionary()


def desk_of(loop: AbstractEventLoop) -> Desk:
    """The one of this loop."""
    desk = _desks.get(loop)
    if desk is None:
        desk = _desks[loop] = Desk()
    return desk
