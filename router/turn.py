"""One part of a request that must wait: for how long it will, and for whom it stands in line."""

from __future__ import annotations

from collections.abc import Collection

from .context import Context, Trail
from .deployment import Deployment
from .effects import Wait
from .line import Ticket

__all__ = ["Turn", "patience"]

_SLACK = 1.25
"""Who stands in line stays until the wait that is foretold is so much longer than there is time: forecasts vary."""
_LEAST = 0.001
_AGAIN = 5.0
"""Seconds. Who waits twice as long as was foretold, and so long at least, has a look by itself."""


class Turn:
    """A part's place in line, its backoff and its patience. Used under the router's lock."""

    __slots__ = ("_context", "_since", "_spent", "_ticket", "_told", "_trail", "again")

    def __init__(self, context: Context, trail: Trail) -> None:
        self._context = context
        self._trail = trail
        self._ticket = Ticket(next(context.orders))
        self._since: float | None = None
        self._spent = self._told = 0.0
        self.again: float | None = None
        """When those that have failed may be asked again; None while nobody waits for that."""

    def barred(self, now: float) -> set[str]:
        """The deployments whose free places belong to those who came before."""
        line = self._context.line
        return line.barred(self._ticket if self._ticket.places else None, now) if len(line) else set()

    def stand(self, fresh: tuple[Deployment, ...], failed: Collection[Deployment], now: float) -> Wait | float | None:
        """Stand in line at ``fresh`` deployments, and wait for those that have ``failed``.

        Where that would take too long: the seconds. Where waiting is no plan: None.
        """
        line, ticket = self._context.line, self._ticket
        ticket.rest()
        line.bury()
        seconds = self._foretold(fresh, failed, now)
        if seconds is None:
            return None
        if self._since is None:
            self._since = now
        left = patience(self._trail, (*fresh, *failed), now, self._spent + now - self._since)
        if left <= 0.0 or seconds > left * (_SLACK if ticket.places else 1.0):
            return seconds
        if not ticket.places:
            self._trail.tickets.add(ticket)
        line.join(ticket, fresh)
        moments = [left, max(2.0 * seconds, _AGAIN)]
        if self.again is not None:
            moments.append(self.again - now)
        for place in line.leads(ticket):
            moments += [wait for wait in (place.free_in(now), place.early_in(now)) if wait is not None]
        return Wait(ticket, max(min(moments), _LEAST))

    def _foretold(self, fresh: Collection[Deployment], failed: Collection[Deployment], now: float) -> float | None:
        line, order = self._context.line, self._ticket.order
        waits = [line.wait(fresh, now, order)]
        if self.again is not None:
            soonest = line.wait(failed, now, order)
            waits.append(None if soonest is None else max(soonest, self.again - now))
        return min((wait for wait in waits if wait is not None), default=None)

    def over(self, now: float) -> None:
        """It has a place, or has given up."""
        if self._since is not None:
            self._spent += now - self._since
            self._since = None
        if self._ticket.places:
            self._context.line.leave(self._ticket)
        self._trail.tickets.discard(self._ticket)

    @property
    def idle(self) -> bool:
        """It does not wait: there is nothing to end. Needs no lock, for nobody else makes it wait."""
        return self._since is None and self._ticket.queue is None

    @property
    def spent(self) -> float:
        """Seconds that it has waited so far, before all its calls together."""
        return self._spent

    def lap(self) -> float:
        """Seconds that it has waited since this was last asked: before the call that is made now."""
        waited, self._told = self._spent - self._told, self._spent
        return waited

    @property
    def order(self) -> int | None:
        """Its number in line; None while it does not stand there."""
        return self._ticket.order if self._ticket.places else None


def patience(trail: Trail, places: Collection[Deployment], now: float, waited: float = 0.0) -> float:
    """Seconds that a request may still wait. The call itself needs its time, too: a call cut short may be billed."""
    needed = min((place.lasting for place in places), default=0.0)
    left = trail.deadline - now - min(needed, (trail.deadline - trail.started) / 2)
    return left if trail.max_wait is None else min(left, trail.max_wait - waited)
