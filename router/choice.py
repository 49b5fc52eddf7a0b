"""From a step of the plan to a place at one of its deployments."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .deployment import Permit
from .plan import Step
from .pool import Field, Selection, Use
from .strategies import Strategy

__all__ = ["choose", "early_pick", "early_probe", "fields", "least_bad", "panic_pick", "pick", "somebody"]


def choose(step: Step, now: float, *, tried: Collection[str] = frozenset()) -> Permit | None:
    """Take a place at one of the candidates that may be asked now and were not tried yet; None if there is none."""
    strategy = step.alias.strategy
    found = _pick(step, now, strategy, tried)
    if found is None:
        return None
    use, field = found
    score = getattr(strategy, "score", None)
    figure = None if score is None else score(field, use)
    permit = use.deployment.begin(step.candidate(use), now)
    permit.score = figure
    return permit


def pick(step: Step, now: float, strategy: Strategy, *, tried: Collection[str] = frozenset()) -> Use | None:
    """Whom `choose` would take.

    The lowest priority number with anybody ready wins. Retired models are asked only when nobody else is ready.
    """
    found = _pick(step, now, strategy, tried)
    return None if found is None else found[0]


def _pick(step: Step, now: float, strategy: Strategy, tried: Collection[str]) -> tuple[Use, Field] | None:
    stale = False
    for field in fields(step, now, tried):
        use = strategy.pick(field)
        stale = stale or field.stale
        if use is not None:
            if stale:
                step.alias.pool.renew()
            return use, field
    return _newly_retired(step, now, strategy, tried) if stale else None


def _newly_retired(step: Step, now: float, strategy: Strategy, tried: Collection[str]) -> tuple[Use, Field] | None:
    """Nobody is ready but some who changed sides since the plan was made."""
    step.alias.pool.renew()
    ready = Selection.of(use for use in step.candidates if use.name not in tried and use.deployment.ready(now))
    field = Field(ready.tiers[0], now, tried=tried, order=step.order)
    use = strategy.pick(field)
    return None if use is None else (use, field)


def somebody(step: Step, now: float, *, tried: Collection[str] = frozenset()) -> bool:
    """Would `choose` find anybody?"""
    return any(field.somebody() or field.stale for field in fields(step, now, tried))


def fields(step: Step, now: float, tried: Collection[str]) -> Iterator[Field]:
    """One for each tier, in the order in which they are asked."""
    for tier in step.selection.tiers:
        yield Field(tier, now, tried=tried, order=step.order)


def least_bad(step: Step, now: float, threshold: float, *, tried: Collection[str] = frozenset()) -> Permit | None:
    """In panic: a place at the deployment whose breaker opens up soonest, if too few are left to be choosy."""
    use = panic_pick(step, now, threshold, tried=tried)
    return None if use is None else use.deployment.begin(step.candidate(use), now, panic=True)


def early_probe(step: Step, now: float, *, tried: Collection[str] = frozenset()) -> Permit | None:
    """Rather than wait: a place at a deployment that may have recovered before its cooldown is over; else None."""
    use = early_pick(step, now, tried=tried)
    return None if use is None else use.deployment.begin(step.candidate(use), now, early=True)


def early_pick(step: Step, now: float, *, tried: Collection[str] = frozenset()) -> Use | None:
    """Whom `early_probe` would take."""
    ripe = (use for use in step.candidates if use.name not in tried and use.deployment.early(now))
    return min(ripe, key=lambda use: (use.deployment.retired, use.priority, use.deployment.ready_in(now)), default=None)


def panic_pick(step: Step, now: float, threshold: float, *, tried: Collection[str] = frozenset()) -> Use | None:
    """Whom `least_bad` would take."""
    candidates = step.candidates
    if not candidates:
        return None
    sheltered = [use for use in candidates if use.deployment.sheltered(now)]
    if 1.0 - len(sheltered) / len(candidates) >= threshold:
        return None
    left = (use for use in sheltered if use.name not in tried)
    return min(left, key=lambda use: (use.deployment.retired, use.priority, use.deployment.ready_in(now)), default=None)
