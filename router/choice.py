"""From a step of the plan to a place at one of its deployments."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .deployment import Permit
from .plan import Step
from .pool import Field, Tier

__all__ = ["choose", "least_bad", "somebody"]


def choose(step: Step, now: float, *, tried: Collection[str] = frozenset()) -> Permit | None:
    """Take a place at one of the candidates that may be asked now and were not tried yet; None if there is none.

    The lowest priority number with anybody ready wins. Retired models are asked only when nobody else is ready.
    """
    stale = False
    for field in _fields(step, now, tried):
        use = step.alias.strategy.pick(field)
        stale = stale or field.stale
        if use is not None:
            if stale:
                step.alias.pool.renew()
            return use.deployment.begin(step.candidate(use), now)
    if stale:
        return _newly_retired(step, now, tried)
    return None


def _newly_retired(step: Step, now: float, tried: Collection[str]) -> Permit | None:
    """Nobody is ready but some who changed sides since the plan was made."""
    step.alias.pool.renew()
    ready = [use for use in step.candidates if use.name not in tried and use.deployment.ready(now)]
    first = min(ready, key=lambda use: (use.deployment.retired, use.priority))
    tier = Tier(
        [u for u in ready if (u.deployment.retired, u.priority) == (first.deployment.retired, first.priority)],
        retired=first.deployment.retired,
    )
    use = step.alias.strategy.pick(Field(tier, now, tried=tried, order=step.order))
    return None if use is None else use.deployment.begin(step.candidate(use), now)


def somebody(step: Step, now: float, *, tried: Collection[str] = frozenset()) -> bool:
    """Would `choose` find anybody?"""
    return any(field.somebody() or field.stale for field in _fields(step, now, tried))


def _fields(step: Step, now: float, tried: Collection[str]) -> Iterator[Field]:
    for tier in step.selection.tiers:
        yield Field(tier, now, tried=tried, order=step.order)


def least_bad(step: Step, now: float, threshold: float, *, tried: Collection[str] = frozenset()) -> Permit | None:
    """In panic: a place at the deployment whose breaker opens up soonest, if too few are left to be choosy."""
    candidates = step.candidates
    if not candidates:
        return None
    sheltered = [use for use in candidates if use.deployment.sheltered(now)]
    if 1.0 - len(sheltered) / len(candidates) >= threshold:
        return None
    left = [use for use in sheltered if use.name not in tried]
    if not left:
        return None
    chosen = min(left, key=lambda use: (use.deployment.retired, use.priority, use.deployment.ready_in(now)))
    return chosen.deployment.begin(step.candidate(chosen), now, panic=True)
