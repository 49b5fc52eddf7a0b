"""What the router would do with a request and why, told without a call and without leaving a trace.

Planning and pricing happen without the router's lock. It is held once for the pick, as a request holds it, and again for a
moment for every few deployments whose state is read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from ..pricing import Cost
from ..providers.errors import InvalidRequest
from ..providers.types import Call, Image, ImageRequest, Picture, Target
from .cache import Cache, Entry
from .choice import early_pick, panic_pick, pick, somebody
from .context import Context, Trail
from .elsewhere import Glance
from .explanation import Considered, Explanation, Quote
from .plan import Alias, Step, nobody_can
from .pool import Field, Use
from .prices import Price
from .readings import facts_of, why_not
from .records import Exclusions
from .runtime import Runtime, read
from .stages import Stages, advised, removal, removal_trail, stages, stays_opaque
from .strategies import Strategy
from .turn import patience

__all__ = ["Considered", "Explanation", "Quote", "explain"]

_AT_ONCE = 50
"""Deployments whose state is read before others get the lock: less than half a millisecond."""
_STATES = ("miss", "bypass", "hit")
"""What the cache would do, from dear to cheap; of several the dearest counts."""
_USUAL = (1024, 1024)
"""The size of a picture whose model does not say."""


def explain(
    runtime: Runtime, alias: str, prompt: str, params: dict[str, Any], glance: Glance | None = None
) -> Explanation:
    """See `Router.explain`; ``glance`` is looked into instead of the cache. Raises InvalidRequest, UnknownAlias."""
    route, options, request = read(runtime, alias, prompt, params)
    context = runtime.context
    trail = options.trail(route, context.clock())
    look = _Look(runtime, glance or runtime.cache)
    try:
        planned = stages(context.planner, route, request, today=context.today())
    except InvalidRequest as error:
        return look.stage(trail, [_Job(request)], refusal=error)[0]
    first, served = look.stage(trail, [_Job(planned.first if planned else request)])
    said = request.warnings
    if planned is None or first.refused:
        return replace(first, warnings=said)
    if planned.refusal is not None:
        return replace(first, warnings=(*said, stays_opaque(planned.refusal.message)))
    jobs = [job for one in served for job in _removals(planned, request, one)]
    second, _ = look.stage(removal_trail(trail, planned.remover, reproducible=True), jobs)
    return replace(first, warnings=said, second=replace(second, budgets={}))


@dataclass(frozen=True, slots=True)
class _Job:
    """Something to be asked for. ``cache`` is what the cache would do, None if it can be looked up."""

    request: ImageRequest
    cache: str | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    """What would become of one call's worth of a request."""

    request: ImageRequest
    cache: str
    cost: Cost | None
    entry: Entry | None = None
    call: Call | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A request matched against a chain, and the plans of its parts by the place in the chain where it would be cut."""

    request: ImageRequest
    steps: tuple[Step, ...]
    parts: Mapping[int, tuple[_Plan, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Who is asked first; or how long the wait would be; or why it is refused."""

    alias: str = ""
    use: Use | None = None
    panic: bool = False
    reason: str | None = None
    wait: float | None = 0.0
    ahead: int = 0
    retry_after: float | None = None
    places: tuple[tuple[str, Use], ...] = ()
    """Whom it would wait for."""


class _Look:
    """One explanation: copies of the strategies, which share one copy of the rng, and prices that were asked for."""

    def __init__(self, runtime: Runtime, cache: Cache | Glance) -> None:
        self.cache = cache
        self.context = runtime.context
        self.today = runtime.context.today()
        self._twins: dict[str, Strategy] = {}
        self._memo: dict[int, Any] = {}
        self._prices: dict[tuple[str, str, int], tuple[Call, Cost]] = {}

    def stage(
        self, trail: Trail, jobs: Sequence[_Job], refusal: InvalidRequest | None = None
    ) -> tuple[Explanation, list[_Piece]]:
        """What the jobs, which go to one alias at the same time, would meet: told of the first; the cost is that of all."""
        context, route = self.context, trail.alias
        chain = context.planner.chain(route)
        plans = self._plans(trail, chain, jobs)
        steps = plans[0].steps
        refusal = refusal or nobody_can(route.name, steps)
        costs = {(step.alias.name, use.name): _times(step.order.cost(use), len(jobs)) for step, use in _able(steps)}
        barred, found, now, budgets = self._decide(trail, plans[0], refusal)
        candidates = tuple(one for step in steps for one in self._consider(step, now, barred, found, costs))
        served = [piece for plan, job in zip(plans, jobs, strict=True) for piece in self._serve(plan, job, found)]
        state = next(state for state in _STATES if any(piece.cache == state for piece in served))
        known = [piece.cost for piece in served if piece.cost is not None]
        if state == "hit" and found.use is None and refusal is None:
            found = _Found()  # nobody has to be asked
        if refusal is not None:
            found = replace(found, reason=advised(refusal, plans[0].request, route).message)
        told = Explanation(
            alias=route.name,
            chain=tuple(one.name for one in chain),
            strategies={one.name: one.strategy.name for one in chain},
            candidates=candidates,
            pick=next(
                (c for c in candidates if found.use and (c.alias, c.deployment) == (found.alias, found.use.name)), None
            ),
            panic=found.panic,
            cache=state,
            parts=len(served) if found.use is not None else 1,
            reason=found.reason,
            retry_after=found.retry_after,
            wait=found.wait,
            ahead=found.ahead,
            cost=Cost.total(known) if known and len(known) == len(served) else None,
            budgets=budgets,
        )
        return told, served

    def _plans(self, trail: Trail, chain: Sequence[Alias], jobs: Sequence[_Job]) -> list[_Plan]:
        made: dict[int, _Plan] = {}
        for job in jobs:
            if id(job.request) not in made:
                made[id(job.request)] = self._plan(trail, chain, job.request, 0)
        return [made[id(job.request)] for job in jobs]

    def _plan(self, trail: Trail, chain: Sequence[Alias], request: ImageRequest, part: int) -> _Plan:
        steps = []
        for alias in chain:
            step = self.context.planner.step(
                alias,
                request,
                today=self.today,
                tenant=trail.tenant,
                caching=trail.caching,
                part=part,
                routing_key=trail.routing_key,
            )
            price = step.order.price
            steps.append(replace(step, order=replace(step.order, price=self._remembering(price) if price else None)))
        parts = {
            place: tuple(self._plan(trail, chain[place:], one, number) for number, one in enumerate(step.parts))
            for place, step in enumerate(steps)
            if step.parts
        }
        return _Plan(request, tuple(steps), parts)

    def _remembering(self, price: Price) -> Price:
        """Prices are the same for all deployments of a model id in a region."""

        def known(target: Target, call: Call) -> Cost:
            key = (target.model_id, target.region, id(call))
            if key not in self._prices:
                self._prices[key] = call, price(target, call)  # the call is kept, so that its id stays its own
            return self._prices[key][1]

        return known

    def _decide(
        self, trail: Trail, plan: _Plan, refusal: InvalidRequest | None
    ) -> tuple[Set[str], _Found, float, dict[str, int]]:
        """(whose free places belong to others, the outcome, when, budgets)."""
        context = self.context
        with context.lock:
            now = context.clock()
            budgets = {"retry": int(context.budget.left(now)), "billed": int(context.billed.left(now))}
            barred = context.line.barred(None, now) if len(context.line) else set()
            if refusal is not None:
                return barred, _Found(wait=None), now, budgets
            return barred, self._find(trail, plan, now, barred), now, budgets

    def _find(self, trail: Trail, plan: _Plan, now: float, barred: Set[str]) -> _Found:
        """Follows `attempts`, which asks the same questions. Under the lock."""
        steps = [(place, step) for place, step in enumerate(plan.steps) if step.candidates]
        for place, step in steps:
            if not step.parts:
                use = pick(step, now, self._twin(step.alias), tried=barred)
                if use is not None:
                    return _Found(alias=step.alias.name, use=use)
            elif somebody(step, now, tried=barred):
                return self._find(trail, plan.parts[place][0], now, barred)
        for place, step in steps:
            if step.parts:
                return self._find(trail, plan.parts[place][0], now, barred)
            use = panic_pick(step, now, self.context.panic_threshold, tried=barred)
            if use is not None:
                return _Found(alias=step.alias.name, use=use, panic=True)
            use = early_pick(step, now, tried=barred)
            if use is not None:
                return _Found(alias=step.alias.name, use=use)
        return _stand(self.context, trail, [step for _, step in steps], now)

    def _twin(self, alias: Alias) -> Strategy:
        if alias.name not in self._twins:
            self._twins[alias.name] = copy.deepcopy(alias.strategy, self._memo)
        return self._twins[alias.name]

    def _consider(
        self,
        step: Step,
        now: float,
        barred: Set[str],
        found: _Found,
        costs: Mapping[tuple[str, str], Cost | None],
    ) -> list[Considered]:
        """Everybody of one alias, in its order."""
        skipped = {one.deployment: one.reason for one in Exclusions(step.excluded)}
        tier_of = {use.name: tier for tier in step.selection.tiers for use in tier.uses}
        score: Callable[[Field, Use], float | None] | None = getattr(step.alias.strategy, "score", None)
        facts: list[dict[str, Any]] = []
        for start in range(0, len(step.alias.uses), _AT_ONCE):
            with self.context.lock:
                for use in step.alias.uses[start : start + _AT_ONCE]:
                    fact = facts_of(self.context, step.alias.name, use, now)
                    facts.append(fact)
                    if use.name in tier_of:
                        chosen = use is found.use and not found.panic and use.deployment.awaited(now)
                        fact["reason"] = None if chosen else why_not(self.context, use.deployment, now, barred)
                        fact["score"] = score(Field(tier_of[use.name], now, order=step.order), use) if score else None
        open_weight: dict[object, float] = {}
        for use, fact in zip(step.alias.uses, facts, strict=True):
            if use.name in tier_of and fact["reason"] is None:
                tier = tier_of[use.name]
                open_weight[tier] = open_weight.get(tier, 0.0) + use.weight
        return list(_told(step, facts, skipped, tier_of, open_weight, costs))

    def _serve(self, plan: _Plan, job: _Job, found: _Found) -> list[_Piece]:
        """What the calls of one job would cost at the pick, and what of them is in the cache."""
        cache = self.cache
        first = next((step for step in plan.steps if step.candidates), None)
        keys = first.keys if first and job.cache is None else ()
        entry = cache.peek(keys) if keys else None
        if entry is not None:
            return [_Piece(plan.request, "hit", entry.cost.as_saved(), entry, entry.call)]
        alias, use = _whom(plan, found)
        place = next((place for place, step in enumerate(plan.steps) if step.alias.name == alias), None)
        if use is None or place is None:
            return [_Piece(plan.request, job.cache or ("miss" if keys else "bypass"), None)]
        if place in plan.parts:
            return [piece for part in plan.parts[place] for piece in self._serve(part, job, found)]
        return [_asked(plan, plan.steps[place], use, job, cache)]


def _asked(plan: _Plan, step: Step, use: Use, job: _Job, cache: Cache | Glance) -> _Piece:
    offer = step.offers.get(use.deployment.target.model)
    if offer is None:
        return _Piece(plan.request, "bypass", None)
    own = cache.peek([offer.key]) if offer.key and job.cache is None else None
    if own is not None:
        return _Piece(plan.request, "hit", own.cost.as_saved(), own, own.call)
    return _Piece(
        plan.request, job.cache or ("miss" if offer.key else "bypass"), step.order.cost(use), None, offer.calls[0]
    )


def _whom(plan: _Plan, found: _Found) -> tuple[str, Use | None]:
    """Who would be asked; of those who are waited for anybody, if the price is the same at all of them."""
    if found.use is not None or not found.places:
        return found.alias, found.use
    steps = {step.alias.name: step for step in plan.steps}
    costs = [steps[alias].order.cost(use) for alias, use in found.places if alias in steps]
    if len({cost.usd if cost else None for cost in costs}) != 1:
        return "", None
    return found.places[0]


def _stand(context: Context, trail: Trail, steps: Sequence[Step], now: float) -> _Found:
    """Nobody can take it at once: it waits, or is refused. Follows `Turn.stand`."""
    line, nobody = context.line, "no deployment can take a request now"
    uses = {use.deployment: (step.alias.name, use) for step in reversed(steps) for use in step.candidates}
    fresh = tuple(uses)
    seconds, ahead = line.wait(fresh, now), line.ahead(fresh)
    if seconds is None:
        retry_after = line.wait(uses, now)
        if retry_after is None:
            retry_after = min((place.ready_in(now) for place in uses), default=None)
        return _Found(reason=nobody, wait=None, ahead=ahead, retry_after=retry_after)
    left = patience(trail, fresh, now)
    if left <= 0.0 or seconds > left:
        reason = f"{nobody} (the next place is free too late)"
        return _Found(reason=reason, wait=None, ahead=ahead, retry_after=seconds)
    places = tuple(uses[place] for place in fresh if place.awaited(now))
    return _Found(reason="all who can do it are at their limits", wait=seconds, ahead=ahead, places=places)


def _removals(planned: Stages, request: ImageRequest, piece: _Piece) -> Iterator[_Job]:
    """One for each picture of a piece. A picture that is not made yet is taken to be as large as was asked for."""
    if piece.entry is not None:
        for image in piece.entry.result.images:
            yield _Job(removal(request, _picture(image)))
        return
    width, height = (piece.call.width, piece.call.height) if piece.call else (None, None)
    probe = Picture(b64="", format="png", width=width or _USUAL[0], height=height or _USUAL[1])
    job = _Job(removal(request, probe), piece.cache)
    for _ in range(piece.request.n):
        yield job


def _picture(image: Image) -> Picture:
    try:
        header = image.header
    except ValueError:
        return Picture(b64=image.b64, format="png", width=_USUAL[0], height=_USUAL[1])
    return Picture(b64=image.b64, format=header.format, width=header.width, height=header.height)


def _able(steps: Sequence[Step]) -> Iterator[tuple[Step, Use]]:
    return ((step, use) for step in steps for use in step.candidates)


def _times(cost: Cost | None, count: int) -> Cost | None:
    return cost if cost is None or count == 1 else Cost.total([cost] * count)


def _told(
    step: Step,
    facts: Sequence[dict[str, Any]],
    skipped: Mapping[str, str],
    tier_of: Mapping[str, object],
    open_weight: Mapping[object, float],
    costs: Mapping[tuple[str, str], Cost | None],
) -> Iterator[Considered]:
    for use, fact in zip(step.alias.uses, facts, strict=True):
        if use.name not in tier_of:
            yield Considered(**{**fact, "reason": skipped.get(use.name)}, able=False)
            continue
        calls = step.candidate(use).calls
        yield Considered(
            **fact,
            able=True,
            calls=len(calls),
            share=use.weight / open_weight[tier_of[use.name]] if fact["reason"] is None else None,
            cost=costs[step.alias.name, use.name],
            warnings=tuple(dict.fromkeys(warning for call in calls for warning in call.warnings)),
        )
