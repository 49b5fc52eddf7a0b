"""Who is picked among deployments that could all be asked now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from heapq import heapify, heappop, heappush
from random import Random
from typing import ClassVar, Protocol
from weakref import WeakKeyDictionary

from ..providers.errors import Effect, LascauxError
from ..providers.types import Call
from .deployment import Candidate
from .latency import Latencies, kind_of
from .pool import Field, Tier, Use
from .prices import by_the_hour
from .rendezvous import Tree, mix

__all__ = [
    "STRATEGIES",
    "LeastRequest",
    "LowestCost",
    "LowestLatency",
    "RoundRobin",
    "Sticky",
    "Strategy",
    "WeightedRandom",
]

_TURNS = 24
"""Deployments in turn that are passed over before everybody is looked at."""
_GOLDEN = 2654435769
"""2**32 over the golden ratio: its multiples spread evenly (Knuth, The Art of Computer Programming 3, 6.4)."""

_SHAPES = 256
"""Kinds of requests whose order by price is remembered."""


class Strategy(Protocol):
    """One decision. Called under the router's lock: never blocks, does no I/O, and looks at few.

    A strategy holds nothing but plain data and its rng, so that a copy of it decides the same. One that has a method
    ``learn(candidate, now, seconds, error)`` is told how every call ended that says something about the deployment; one
    that compares figures tells them as ``score(field, use)``, the lowest being the best.
    """

    name: ClassVar[str]
    """As it is called in the configuration."""

    def pick(self, field: Field) -> Use | None:
        """One of the field's uses that the field admits; None only if it admits nobody."""
        ...


class WeightedRandom:
    """Each deployment gets its weight's share, independently each time."""

    name: ClassVar[str] = "weighted_random"

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

    name: ClassVar[str] = "round_robin"

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

    def __deepcopy__(self, memo: object) -> _Turns:
        twin = copy(self)
        twin._queue = self._queue.copy()
        return twin

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

    name: ClassVar[str] = "least_request"

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def pick(self, field: Field) -> Use | None:
        """The less loaded of two uses drawn at random; of two idle ones the first, so that weights hold there too."""
        return _less_loaded(field, self._rng)

    def score(self, field: Field, use: Use) -> float:
        """Calls in flight, ours included, over weight."""
        return _load(use)


def _less_loaded(field: Field, rng: Random) -> Use | None:
    first, second = _two(field, rng)
    if first is None or second is None or not first.deployment.in_flight:
        return first
    return second if _load(second) < _load(first) else first


def _two(field: Field, rng: Random) -> tuple[Use | None, Use | None]:
    """Two different uses drawn by weight, as far as there are two."""
    first = field.draw(rng)
    alone = first is None or len(field.tier.uses) == 1
    return first, None if alone else field.draw(rng, besides=first)


def _load(use: Use) -> float:
    return (use.deployment.in_flight + 1) / use.weight


class LowestLatency:
    """The faster of two random ones, by the seconds that this very request would take there, and who is before it.

    See `Latencies` for what "fast" means. A deployment that nobody has heard of yet is taken for fast, so that it is asked;
    while its first answer is awaited, for a usual one.
    """

    name: ClassVar[str] = "lowest_latency"

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._latencies = Latencies()

    def pick(self, field: Field) -> Use | None:
        """The one of two uses drawn at random that should answer first."""
        first, second = _two(field, self._rng)
        if first is None or second is None:
            return first
        idle = not (first.deployment.in_flight or second.deployment.in_flight)
        before, after = self.score(field, first), self.score(field, second)
        if not idle:
            before, after = before * _load(first), after * _load(second)
        return second if after < before else first

    def score(self, field: Field, use: Use) -> float:
        """Seconds that the request should take there if nothing else were under way."""
        offer = field.order.offers.get(use.deployment.target.model)
        usual = (self._latencies.typical(kind_of(offer.calls[0])) if offer and offer.calls else None) or 1.0
        ratio = self._latencies.ratio(use.name, field.now)
        if ratio is None:
            ratio = 1.0 if use.deployment.in_flight else 0.0
        return usual * ratio

    def learn(self, candidate: Candidate, now: float, seconds: float, error: LascauxError | None) -> None:
        """A call took ``seconds``. Throttling, credentials and the caller's mistakes say nothing about speed."""
        if error is None or error.effect is Effect.FAILURE:
            kind = kind_of(candidate.calls[0])
            self._latencies.learn(candidate.name, kind, now, seconds, failed=error is not None)


class LowestCost:
    """The cheapest for this very request, by the price book; those whose price nobody knows come last.

    Among equally cheap ones the less busy of two is picked, as by `LeastRequest`.
    """

    name: ClassVar[str] = "lowest_cost"

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._prices: WeakKeyDictionary[Tier, dict[object, _Prices]] = WeakKeyDictionary()

    def pick(self, field: Field) -> Use | None:
        """One of the cheapest that may be asked now."""
        for band in self._by_price(field).bands:
            part = field.part(band)
            use = _less_loaded(part, self._rng)
            field.stale = field.stale or part.stale
            if use is not None:
                return use
        return None

    def score(self, field: Field, use: Use) -> float | None:
        """US dollars; None if nobody knows."""
        usd = self._by_price(field).usd.get(_place(use))
        return None if usd is None else float(usd)

    def _by_price(self, field: Field) -> _Prices:
        """The tier by price. Worked out once for all requests that prices can not tell apart."""
        shape = tuple((model, *map(_priced_by, offer.calls)) for model, offer in field.order.offers.items())
        known = self._prices.setdefault(field.tier, {})
        found = known.get(shape)
        if found is None:
            if len(known) >= _SHAPES:
                known.clear()
            found = known[shape] = _Prices.of(field)
        return found


def _priced_by(call: Call) -> tuple[object, ...]:
    """All that a price may depend on, besides the place and the day."""
    return call.task, call.images, call.width, call.height, call.quality, call.steps


_Place = tuple[str, str, bool]


def _place(use: Use) -> _Place:
    target = use.deployment.target
    return target.model, target.region, by_the_hour(target)


@dataclass(frozen=True, slots=True)
class _Prices:
    """A tier cut up by price, the cheapest first, and the price at each place."""

    bands: tuple[Tier, ...]
    usd: Mapping[_Place, Decimal | None]

    @classmethod
    def of(cls, field: Field) -> _Prices:
        usd: dict[_Place, Decimal | None] = {}
        bands: dict[Decimal | None, list[Use]] = {}
        for use in field.tier.uses:
            place = _place(use)
            if place not in usd:
                cost = field.order.cost(use)
                usd[place] = cost.usd if cost else None
            bands.setdefault(usd[place], []).append(use)
        order = sorted(bands, key=lambda price: (price is None, price or Decimal(0)))
        return cls(tuple(Tier(bands[price], retired=field.tier.retired) for price in order), usd)

    def __deepcopy__(self, memo: object) -> _Prices:
        return self


class Sticky:
    """The same deployment for the same routing key, as long as it can be asked; each by its weight's share of the keys.

    The key is the request's ``routing_key``; without one, its tenant, task, words and seed. While a deployment is away, its
    keys are spread over all others; they come back with it.
    """

    name: ClassVar[str] = "sticky"

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._trees: WeakKeyDictionary[Tier, Tree] = WeakKeyDictionary()

    def pick(self, field: Field) -> Use | None:
        """The use that the key belongs to; if it can not be asked, the next in the key's own order."""
        uses, key = field.tier.uses, field.order.key()
        tree = self._trees.get(field.tier)
        if tree is None:
            tree = self._trees[field.tier] = Tree([(use.name, use.weight) for use in uses])
        for turn in range(min(_TURNS, len(uses))):
            use = uses[tree.find(mix(key, turn) if turn else key)]
            if field.admits(use) and field.accepts(use, self._rng):
                return use
        left = field.open()
        return left[Tree([(use.name, use.weight) for use in left]).find(key)] if left else None


STRATEGIES: dict[str, Callable[[Random], Strategy]] = {
    made.name: made for made in (LeastRequest, LowestCost, LowestLatency, RoundRobin, Sticky, WeightedRandom)
}
