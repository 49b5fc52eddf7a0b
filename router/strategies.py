"""Who is picked among deployments that could all be asked now."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from random import Random
from typing import Protocol
from weakref import WeakKeyDictionary

from .pool import Field, Tier, Use

__all__ = ["STRATEGIES", "LeastRequest", "RoundRobin", "Strategy", "WeightedRandom"]

_TURNS = 24
"""Deployments in turn that are passed over before a round robin looks at everybody."""
_GOLDEN = 2654435769
"""2**32 over the golden ratio: its multiples spread evenly (Knuth, The Art of Computer Programming 3, 6.4)."""


class Strategy(Protocol):
    """One decision. Called under the router's lock: never blocks, does no I/O, and looks at few.

    A strategy holds nothing but plain data and its rng, so that a copy of it decides the same.
    """

    def pick(self, field: Field) -> Use | None:
        """One of the field's uses that the field admits; None only if it admits nobody."""
        ...


class WeightedRandom:
    """Each deployment gets its weight's share, independently each time."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def pick(self, field: Field) -> Use | None:
        """A random use, by weight."""
        return field.draw(self._rng)


class RoundRobin:
    """In turn, each as often as its weight says, evenly interleaved.

    Every deployment has the moment of its next turn, on a clock that counts turns: the earliest is next, and moves on by
    1 / weight. (Earliest deadline first, as the weighted round robins of Envoy and gRPC do it.)
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._turns: WeakKeyDictionary[Tier, _Turns] = WeakKeyDictionary()

    def pick(self, field: Field) -> Use | None:
        """The use whose turn it is. Who can not be asked now loses the turn, and owes and is owed nothing later."""
        turns = self._turns.get(field.tier)
        if turns is None:
            turns = self._turns[field.tier] = _Turns(field.tier)
        return turns.next(field, self._rng)


class _Turns:
    """The queue of one tier: (moment of the next turn, order of arrival, place in the tier)."""

    __slots__ = ("_now", "_order", "_queue")

    def __init__(self, tier: Tier) -> None:
        self._now = 0.0
        self._order = 2**32
        mixed = len(tier.uses) > _TURNS  # neighbours in the configuration often fail together
        self._queue = [
            (1.0 / use.weight, place * _GOLDEN % 2**32 if mixed else place, place)
            for place, use in enumerate(tier.uses)
        ]
        heapify(self._queue)

    def next(self, field: Field, rng: Random) -> Use | None:
        uses = field.tier.uses
        kept: list[tuple[float, int, int]] = []  # tried by this request: they keep their turn for the next one
        chosen: Use | None = None
        for _ in range(min(_TURNS, len(uses))):
            if not self._queue:
                break
            turn = heappop(self._queue)
            use = uses[turn[2]]
            if use.name in field.tried:
                kept.append(turn)
                continue
            self._now = max(self._now, turn[0])
            self._queue_again(use, turn[2])
            if field.admits(use) and field.accepts(use, rng):
                chosen = use
                break
        for turn in kept:
            heappush(self._queue, turn)
        return chosen or self._earliest(field)

    def _queue_again(self, use: Use, place: int) -> None:
        heappush(self._queue, (self._now + 1.0 / use.weight, self._order, place))
        self._order += 1

    def _earliest(self, field: Field) -> Use | None:
        """Look at everybody: the next turn among those who may be asked."""
        uses = field.tier.uses
        turn = min((turn for turn in self._queue if field.admits(uses[turn[2]])), default=None)
        if turn is None:
            return None
        self._queue.remove(turn)
        heapify(self._queue)
        self._queue_again(uses[turn[2]], turn[2])
        return uses[turn[2]]


class LeastRequest:
    """The less busy of two random ones, by calls in flight over weight (the power of two choices).

    Two choices balance nearly as well as looking at all, and do not send everybody to the same idle deployment.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def pick(self, field: Field) -> Use | None:
        """The less loaded of two uses drawn at random; of two idle ones the first, so that weights hold there too."""
        first = field.draw(self._rng)
        second = None if first is None else field.draw(self._rng, besides=first)
        if first is None or second is None:
            return first
        return second if first.deployment.in_flight and _load(second) < _load(first) else first


def _load(use: Use) -> float:
    return (use.deployment.in_flight + 1) / use.weight


STRATEGIES: dict[str, Callable[[Random], Strategy]] = {
    "least_request": LeastRequest,
    "round_robin": RoundRobin,
    "weighted_random": WeightedRandom,
}
