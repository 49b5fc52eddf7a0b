"""The price list of a request: what it would cost at each candidate, and nothing else of what `explain` tells.

A gateway asks for it before every call. So nobody's state is read, no lock is taken and no picker is copied; what is planned
here is remembered with the request, and the call that follows need not do it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..pricing import Cost
from ..providers.errors import InvalidRequest
from .explain import explain
from .explanation import Quote
from .plan import Step
from .runtime import Runtime, read
from .stages import stages

__all__ = ["Listed", "PriceList", "listed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One candidate, and the exact price of the whole request there; None if nobody knows."""

    alias: str
    deployment: str
    model: str
    cost: Cost | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Everybody who can do a request, fallbacks included. ``second`` is the removal of backgrounds, where there is one."""

    candidates: tuple[Listed, ...] = ()
    second: PriceList | Quote | None = None


def listed(runtime: Runtime, alias: str, prompt: str, params: dict[str, Any]) -> PriceList | Quote:
    """The candidates' prices. A request in two stages is quoted as a whole. Raises InvalidRequest, UnknownAlias."""
    route, _, request = read(runtime, alias, prompt, dict(params))
    planner, today = runtime.context.planner, runtime.context.today()
    try:
        if stages(planner, route, request, today=today) is not None:
            return Quote.of(explain(runtime, alias, prompt, dict(params)))
    except InvalidRequest:
        return PriceList()  # nobody will be asked, and the request itself says why
    steps = [planner.step(one, request, today=today, caching=False) for one in planner.chain(route)]
    return PriceList(candidates=tuple(one for step in steps for one in _listed(step)))


def _listed(step: Step) -> Iterator[Listed]:
    """Prices are the same for all deployments of a model id in a region."""
    known: dict[tuple[str, str], Cost | None] = {}
    for use in step.candidates:
        target = use.deployment.target
        place = (target.model_id, target.region)
        if place not in known:
            known[place] = step.order.cost(use)
        yield Listed(alias=step.alias.name, deployment=use.name, model=target.model, cost=known[place])
