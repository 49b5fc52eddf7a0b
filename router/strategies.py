"""Who is picked among deployments that could all be asked now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from .deployment import Candidate, Permit

__all__ = ["STRATEGIES", "LeastRequest", "RoundRobin", "Strategy", "WeightedRandom", "choose", "least_bad"]


class Strategy(Protocol):
    """One decision. Called under the router's lock: never blocks, does no I/O."""

    def pick(self, candidates: Sequence[Candidate]) -> Candidate:
        """One of ``candidates``, which is never empty and all of one priority."""
        ...


class WeightedRandom:
    """Each deployment gets its weight's share, independently each time."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def pick(self, candidates: Sequence[Candidate]) -> Candidate:
        """A random candidate, by weight."""
        if len(candidates) == 1:
            return candidates[0]
        return self._rng.choices(candidates, [candidate.weight for candidate in candidates])[0]


class RoundRobin:
    """In turn, each as often as its weight says, evenly interleaved (the smooth weighted round robin of nginx)."""

    def __init__(self, rng: Random) -> None:
        self._credit: dict[str, float] = {}

    def pick(self, candidates: Sequence[Candidate]) -> Candidate:
        """The candidate that has waited longest for its share."""
        for candidate in candidates:
            self._credit[candidate.name] = self._credit.get(candidate.name, 0.0) + candidate.weight
        chosen = max(candidates, key=lambda candidate: self._credit[candidate.name])
        self._credit[chosen.name] -= sum(candidate.weight for candidate in candidates)
        return chosen


class LeastRequest:
    """The less busy of two random ones, by calls in flight over weight (the power of two choices).

    Two choices balance nearly as well as looking at all, and do not send everybody to the same idle deployment.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def pick(self, candidates: Sequence[Candidate]) -> Candidate:
        """The less loaded of two candidates drawn at random."""
        if len(candidates) == 1:
            return candidates[0]
        first, second = self._rng.sample(candidates, 2)
        return second if _load(second) < _load(first) else first


def _load(candidate: Candidate) -> float:
    return (candidate.deployment.in_flight + 1) / candidate.weight


STRATEGIES: dict[str, Callable[[Random], Strategy]] = {
    "least_request": LeastRequest,
    "round_robin": RoundRobin,
    "weighted_random": WeightedRandom,
}


def choose(
    candidates: Sequence[Candidate], strategy: Strategy, now: float, *, tried: frozenset[str] | set[str] = frozenset()
) -> Permit | None:
    """Take a place at one of the candidates that may be asked now and were not tried yet; None if there is none.

    The lowest priority number with anybody ready wins. Retired models are asked only when nobody else is ready.
    """
    ready = [c for c in candidates if c.name not in tried and c.deployment.ready(now)]
    if not ready:
        return None
    living = [c for c in ready if not c.deployment.retired] or ready
    living = [c for c in living if c.deployment.welcomes(now)] or living
    first = min(c.priority for c in living)
    chosen = strategy.pick([c for c in living if c.priority == first])
    return chosen.deployment.begin(chosen, now)


def least_bad(
    candidates: Sequence[Candidate], now: float, threshold: float, *, tried: frozenset[str] | set[str] = frozenset()
) -> Permit | None:
    """In panic: a place at the deployment whose breaker opens up soonest, if too few are left to be choosy."""
    if not candidates:
        return None
    sheltered = [c for c in candidates if c.deployment.sheltered(now)]
    if 1.0 - len(sheltered) / len(candidates) >= threshold:
        return None
    left = [c for c in sheltered if c.name not in tried]
    if not left:
        return None
    chosen = min(left, key=lambda c: (c.deployment.retired, c.priority, c.deployment.ready_in(now)))
    return chosen.deployment.begin(chosen, now, panic=True)
