"""The line in front of deployments that are at their limits: first come, first served.

Who waits holds a ticket. Those who wait for the same deployments stand in one queue, in the order in which requests came in:
one that comes back after a failed call has its old place. Of ``f`` free places at a deployment the first ``f`` of those who
wait for it, in whatever queue, may take one; a newcomer may if there are more free places than people waiting. Only who is
first at a deployment keeps an eye on the clock. A freed place wakes the first who waits for it; whoever takes a place or
goes without one wakes who is first now, who may wake the one after: so a freed place costs one wake-up, however long the
line is and however many deployments it leads to.
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

    __slots__ = ("_alarm", "_gone", "_woken", "order", "queue")

    def __init__(self, order: int) -> None:
        self.order = order
        self.queue: Queue | None = None
        self._woken = False
        self._alarm: Callable[[], object] | None = None
        self._gone: Callable[[], bool] | None = None

    @property
    def places(self) -> tuple[Deployment, ...]:
        """The deployments for which it waits; none while it does not stand in line."""
        return self.queue.places if self.queue else ()

    @property
    def gone(self) -> bool:
        """Nobody is left to be woken: its event loop has been closed."""
        return self._gone is not None and self._gone()

    def wake(self) -> None:
        """There may be something to do. Never blocks."""
        self._woken = True
        alarm = self._alarm
        if alarm is not None and not self.gone:
            alarm()

    def rest(self) -> None:
        """From now on only later wake-ups count."""
        self._woken = False
        self._alarm = self._gone = None

    def wait(self, seconds: float) -> bool:
        """Block until it is woken, or for so long."""
        woken = threading.Event()
        self.listen(woken.set)
        return woken.wait(seconds)

    def listen(self, alarm: Callable[[], object], gone: Callable[[], bool] | None = None) -> None:
        """Call ``alarm`` when it is woken, at once if it has been. It may be called more than once, in any thread.

        ``gone`` says whether nobody will ever hear it again.
        """
        self._gone = gone
        self._alarm = alarm
        if self._woken:
            alarm()

    def __repr__(self) -> str:
        return f"<Ticket {self.order} at {', '.join(place.name for place in self.places)}>"


class Queue:
    """Those who wait for the same deployments, by order. Never empty while it is part of a line."""

    __slots__ = ("members", "places", "tickets")

    def __init__(self, places: tuple[Deployment, ...]) -> None:
        self.places = places
        self.members = frozenset(places)
        self.tickets: list[Ticket] = []

    def before(self, order: int | None) -> int:
        """How many came before this number; None: all."""
        return len(self.tickets) if order is None else bisect_left(self.tickets, order, key=_order)


def _order(ticket: Ticket) -> int:
    return ticket.order


def _first(queue: Queue) -> int:
    return queue.tickets[0].order


class Line:
    """All queues of a router. The caller holds the router's lock."""

    __slots__ = ("_at", "_queues", "ended")

    def __init__(self) -> None:
        self._queues: dict[tuple[Deployment, ...], Queue] = {}
        self._at: dict[Deployment, dict[Queue, None]] = {}
        self.ended = False
        """The router is closed: nobody need wait any longer."""

    def __len__(self) -> int:
        return sum(len(queue.tickets) for queue in self._queues.values()) if self._queues else 0

    def join(self, ticket: Ticket, places: tuple[Deployment, ...]) -> None:
        """Stand in line for any of these deployments, and for no others."""
        if ticket.places == places:
            return
        self.leave(ticket)
        if not places:
            return
        queue = self._queues.get(places)
        if queue is None:
            queue = self._queues[places] = Queue(places)
            for place in places:
                self._at.setdefault(place, {})[queue] = None
        insort(queue.tickets, ticket, key=_order)
        ticket.queue = queue

    def leave(self, ticket: Ticket) -> None:
        """Go, with a place or without one; who is first now looks whether there is another."""
        if ticket.queue is not None:
            self._wake_heirs(self._remove(ticket, ticket.queue))

    def _remove(self, ticket: Ticket, queue: Queue) -> set[Deployment]:
        """Take it out. The deployments at which it was first."""
        led = self._led(queue, ticket.order)
        ticket.queue = None
        del queue.tickets[queue.before(ticket.order)]
        if not queue.tickets:
            del self._queues[queue.places]
            for place in queue.places:
                del self._at[place][queue]
                if not self._at[place]:
                    del self._at[place]
        return led

    def _led(self, queue: Queue, order: int) -> set[Deployment]:
        """The deployments of this queue for which nobody waits who came before ``order``."""
        if _first(queue) < order:
            return set()
        led = set(queue.members)
        for other in self._queues.values():
            if other is not queue and _first(other) < order:
                led -= other.members
        return led

    def _wake_heirs(self, places: set[Deployment]) -> None:
        """Wake everybody who is first at one of these now, each once. Who is gone is taken out."""
        while places:
            concerned = [queue for queue in self._queues.values() if not places.isdisjoint(queue.members)]
            if not concerned:
                return
            queue = min(concerned, key=_first)
            first = queue.tickets[0]
            if first.gone:
                places |= self._remove(first, queue)
            else:
                first.wake()
                places -= queue.members

    def leads(self, ticket: Ticket) -> Collection[Deployment]:
        """The deployments at which it is first."""
        return self._led(ticket.queue, ticket.order) if ticket.queue else ()

    def bury(self) -> None:
        """Those who are first and gone keep nobody up any longer."""
        for queue in tuple(self._queues.values()):
            if queue.tickets and queue.tickets[0].gone:
                self._wake_heirs(self._remove(queue.tickets[0], queue))

    def barred(self, ticket: Ticket | None, now: float) -> set[str]:
        """The deployments of which all free places belong to others. ``ticket`` is None for a newcomer."""
        mine = ticket.queue if ticket else None
        order = ticket.order if ticket else None
        held = mine.members if mine else frozenset()
        earlier = {queue: queue.before(order) for queue in self._queues.values()}
        names: set[str] = set()
        for place, queues in self._at.items():
            if place.limits.shut > now:
                continue  # it has no places to dispute
            ahead = sum(earlier[queue] if place in held else len(queue.tickets) for queue in queues)
            if ahead and ahead >= place.free(now):
                names.add(place.name)
                if len(place.limits.quota.sharers) > 1:
                    names.update(place.limits.quota.sharers - {other.name for other in held})
        return names

    def waiting(self, place: Deployment) -> int:
        """How many wait for this deployment."""
        return sum(len(queue.tickets) for queue in self._at.get(place, ()))

    def ahead(self, places: Iterable[Deployment]) -> int:
        """How many stand in line for at least one of these deployments, each counted once."""
        here = set(places) if self._queues else set()
        return sum(len(queue.tickets) for queue in self._queues.values() if not here.isdisjoint(queue.members))

    def freed(self, place: Deployment) -> None:
        """A place may be free at this deployment."""
        if place in self._at:
            self._wake_heirs({place})

    def closed(self, place: Deployment) -> None:
        """Nothing more is to be had at this deployment for a while: all who wait for it think again."""
        for queue in self._at.get(place, ()):
            for ticket in queue.tickets:
                ticket.wake()

    def end(self) -> None:
        """The router is closed: all give up."""
        self.ended = True
        for queue in self._queues.values():
            for ticket in queue.tickets:
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
        soon: dict[Deployment, float] = {}  # places of the next minute, looked up once for all queues
        for queue in self._queues.values():
            before = queue.before(order)
            if not before or here.isdisjoint(queue.members):
                continue
            if here >= queue.members:
                ahead += before
                continue
            some = queue.places[:: len(queue.places) // _SAMPLE + 1]
            for place in some:
                if place not in soon:
                    soon[place] = place.slots(now, now + 60.0) if place.awaited(now) else 0.0
            every = sum(soon[place] for place in some)
            ahead += before * sum(soon[place] for place in some if place in here) / every if every else before
        return ahead

    def clear(self) -> None:
        """After a fork: those who wait are threads of the parent."""
        self._queues.clear()
        self._at.clear()
