"""The line in front of deployments that are at their limits: first come, first served.

Who waits holds a ticket and stands in the queue of every deployment that could serve the request, in the order in which
requests came in: one that comes back after a failed call has its old place. Of ``f`` free places at a deployment the first
``f`` of its queue may take one; a newcomer may if there are more free places than people waiting. Only the head of a queue
keeps an eye on the clock. Whoever takes a place or gives one back wakes the next head, which may wake the one after it:
so a freed place costs one wake-up, however long the line is.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable

from .deployment import Deployment

__all__ = ["Line", "Ticket"]

_FARTHEST = 86400.0
"""Seconds. Further ahead nothing is foretold."""
_SOON = 0.001
_GUESS = 8.0
_SAMPLE = 32
"""Deployments that are looked at; more are taken to be like these."""
_FINE = 0.01
"""How exactly a wait is foretold, as a share of it."""


class Ticket:
    """A place in the line. It is woken when there may be a place to take, by whatever thread notices."""

    __slots__ = ("_alarm", "_woken", "order", "places")

    def __init__(self, order: int) -> None:
        self.order = order
        self.places: tuple[Deployment, ...] = ()
        """The deployments in whose queues it stands."""
        self._woken = False
        self._alarm: Callable[[], object] | None = None

    def wake(self) -> None:
        """There may be something to do. Never blocks."""
        self._woken = True
        alarm = self._alarm
        if alarm is not None:
            alarm()

    def rest(self) -> None:
        """From now on only later wake-ups count."""
        self._woken = False
        self._alarm = None

    def wait(self, seconds: float) -> bool:
        """Block until it is woken, or for so long."""
        woken = threading.Event()
        self.listen(woken.set)
        return woken.wait(seconds)

    def listen(self, alarm: Callable[[], object]) -> None:
        """Call ``alarm`` when it is woken, at once if it has been. It may be called more than once, in any thread."""
        self._alarm = alarm
        if self._woken:
            alarm()

    def __repr__(self) -> str:
        return f"<Ticket {self.order} at {', '.join(place.name for place in self.places)}>"


def _order(ticket: Ticket) -> int:
    return ticket.order


class Line:
    """All queues of a router. The caller holds the router's lock."""

    __slots__ = ("_groups", "_queues")

    def __init__(self) -> None:
        self._queues: dict[Deployment, list[Ticket]] = {}
        self._groups: dict[tuple[Deployment, ...], list[int]] = {}

    def __len__(self) -> int:
        return sum(len(orders) for orders in self._groups.values())

    def join(self, ticket: Ticket, places: tuple[Deployment, ...]) -> None:
        """Stand in the queues of these deployments, and of no others."""
        if ticket.places == places:
            return
        self._part(ticket, set(ticket.places) - set(places))
        for place in set(places) - set(ticket.places):
            insort(self._queues.setdefault(place, []), ticket, key=_order)
        ticket.places = places
        if places:
            insort(self._groups.setdefault(places, []), ticket.order)

    def leave(self, ticket: Ticket) -> None:
        """Go, with a place or without one; who is first now looks whether there is another."""
        self.join(ticket, ())

    def _part(self, ticket: Ticket, places: Iterable[Deployment]) -> None:
        if ticket.places:
            group = self._groups[ticket.places]
            del group[bisect_left(group, ticket.order)]
            if not group:
                del self._groups[ticket.places]
        for place in places:
            queue = self._queues[place]
            spot = bisect_left(queue, ticket.order, key=_order)
            del queue[spot]
            if not queue:
                del self._queues[place]
            elif not spot:
                queue[0].wake()

    def leads(self, ticket: Ticket) -> list[Deployment]:
        """The deployments in whose queues it is first."""
        return [place for place in ticket.places if self._queues[place][0] is ticket]

    def barred(self, ticket: Ticket | None, now: float) -> set[str]:
        """The deployments of which all free places belong to others. ``ticket`` is None for a newcomer."""
        names: set[str] = set()
        for place, queue in self._queues.items():
            mine = ticket is not None and place in ticket.places
            ahead = bisect_left(queue, ticket.order, key=_order) if mine and ticket else len(queue)
            if ahead and ahead >= place.free(now):
                names.add(place.name)
                if len(place.limits.quota.sharers) > 1:
                    held = {other.name for other in ticket.places} if ticket else set()
                    names.update(set(place.limits.quota.sharers) - held)
        return names

    def waiting(self, place: Deployment) -> int:
        """How many stand in the queue of this deployment."""
        return len(self._queues.get(place, ()))

    def ahead(self, places: Iterable[Deployment]) -> int:
        """How many stand in line for at least one of these deployments, each counted once."""
        here = set(places) if self._groups else set()
        return sum(len(orders) for group, orders in self._groups.items() if not here.isdisjoint(group))

    def freed(self, place: Deployment) -> None:
        """A place may be free at this deployment."""
        queue = self._queues.get(place)
        if queue:
            queue[0].wake()

    def closed(self, place: Deployment) -> None:
        """Nothing more is to be had at this deployment for a while: all who wait for it think again."""
        for ticket in self._queues.get(place, ()):
            ticket.wake()

    def wait(self, places: Collection[Deployment], now: float, order: int | None = None) -> float | None:
        """Seconds until one of these has a place for number ``order`` (None: the last); None if waiting is no plan."""
        able = [place for place in places if place.awaited(now)]
        if not able:
            return None
        wanted = self._ahead(able, now, order) + 1.0
        some = able[:: len(able) // _SAMPLE + 1]
        wanted *= len(some) / len(able)
        late = _GUESS
        while sum(place.slots(now, now + late) for place in some) < wanted:
            late *= 2
            if late > _FARTHEST:
                return None
        early = 0.0
        while late - early > max(_FINE * late, _SOON):
            middle = (early + late) / 2
            if sum(place.slots(now, now + middle) for place in some) < wanted:
                early = middle
            else:
                late = middle
        return late

    def _ahead(self, able: Collection[Deployment], now: float, order: int | None) -> float:
        """How many of those who are before ``order`` will be served here: some may be served elsewhere."""
        here = set(able)
        ahead = 0.0
        for group, orders in self._groups.items():
            if here.isdisjoint(group):
                continue
            before = len(orders) if order is None else bisect_left(orders, order)
            if before and not here.issuperset(group):
                soon = [(place, place.slots(now, now + 60.0) if place.awaited(now) else 0.0) for place in group]
                every = sum(slots for _, slots in soon)
                before *= sum(slots for place, slots in soon if place in here) / every if every else 1.0  # type: ignore[assignment]
            ahead += before
        return ahead

    def clear(self) -> None:
        """After a fork: those who wait are threads of the parent."""
        self._queues.clear()
        self._groups.clear()
