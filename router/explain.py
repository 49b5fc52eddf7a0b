"""What the router would do with a request and why, told without a call and without leaving a trace."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..pricing import Cost
from ..providers.types import ImageRequest, Warning
from .choice import fields, panic_pick, pick, somebody
from .deployment import Deployment
from .health import State
from .plan import Alias, Step, nobody_can
from .pool import Field, Tier, Use
from .records import Exclusions
from .runtime import Runtime, read
from .strategies import Strategy

__all__ = ["Considered", "Explanation", "Quote", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One deployment of the chain.

    ``reason`` says why it would not be asked now, None if it may be; ``able`` is False if its model can not do the request
    at all or must not. ``share`` is its part of the weight among those of its tier who may be asked; ``score`` the figure
    that the strategy compares, the lowest being the best (least_request: calls over weight; lowest_latency: seconds;
    lowest_cost: US dollars), None where there is none. ``cost`` is the exact price of the whole request there.
    ``learned_rpm`` is the rate that throttling has taught, where one was learned.
    """

    alias: str
    deployment: str
    model: str
    region: str
    priority: int
    weight: float
    able: bool
    reason: str | None
    retired: bool
    state: str
    in_flight: int
    learned_rpm: int | None = None
    calls: int = 0
    share: float | None = None
    score: float | None = None
    cost: Cost | None = None
    warnings: tuple[Warning, ...] = ()

    def __str__(self) -> str:
        facts = [self.reason] if self.reason else []
        facts += [f"share {self.share:.0%}"] if self.share is not None else []
        facts += [f"score {self.score:.4g}"] if self.score is not None else []
        facts += [str(self.cost)] if self.cost is not None else []
        facts += [f"warning: {warning}" for warning in self.warnings]
        return f"{self.deployment} ({self.model}, {self.region}): {'; '.join(facts)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; money as text."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("cost", "warnings")}
        said = [{"code": one.code, "parameter": one.parameter, "message": one.message} for one in self.warnings]
        return {**plain, "cost": _money(self.cost), "warnings": said}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a request would meet at this moment.

    ``chain`` is the alias and its fallbacks in the order in which they are asked, ``strategies`` how each picks. ``pick`` is
    whom the request would go to first; None if nobody may be asked now: ``reason`` says why, and ``retry_after`` (seconds)
    when somebody may. ``panic`` if that one would be asked although its breaker is open. ``cache`` is ``hit`` (nobody
    would be asked), ``miss``, or ``bypass`` if the answer can not be kept. ``parts`` is the number of calls that would be
    made side by side; the pick is that of the first.
    """

    alias: str
    chain: tuple[str, ...]
    strategies: Mapping[str, str]
    candidates: tuple[Considered, ...]
    pick: Considered | None
    panic: bool
    cache: str
    parts: int
    reason: str | None = None
    retry_after: float | None = None

    def __str__(self) -> str:
        lines = [f"{self.alias}: {self._outcome()}"]
        for name in self.chain:
            lines.append(f"  {name} ({self.strategies[name]})")
            lines += [f"    {'>' if one is self.pick else ' '} {one}" for one in self.candidates if one.alias == name]
        return "\n".join(lines)

    def _outcome(self) -> str:
        if self.pick is None:
            later = f", again in {self.retry_after:.1f} s" if self.retry_after else ""
            return f"nobody ({self.reason}){later}"
        how = " in panic" if self.panic else ""
        parts = f", in {self.parts} calls" if self.parts > 1 else ""
        return f"{self.pick.deployment}{how}{parts}, cache {self.cache}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "alias": self.alias,
            "chain": [{"alias": name, "strategy": self.strategies[name]} for name in self.chain],
            "pick": self.pick.deployment if self.pick else None,
            "pick_alias": self.pick.alias if self.pick else None,
            "panic": self.panic,
            "cache": self.cache,
            "parts": self.parts,
            "reason": self.reason,
            "retry_after": self.retry_after,
            "candidates": [one.as_dict() for one in self.candidates],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a request would cost: the whole of it, all its pictures, at every candidate that can do it.

    ``cost`` is that of the pick: ``cost.usd`` is a Decimal, or None with ``cost.note`` saying why nobody knows. A hit in
    the cache costs 0. None if nobody would be asked; ``reason`` says why.
    """

    alias: str
    pick: str | None
    cost: Cost | None
    candidates: tuple[Considered, ...]
    reason: str | None = None

    @classmethod
    def of(cls, told: Explanation) -> Quote:
        """The prices of an explanation."""
        cost = told.pick.cost if told.pick else None
        return cls(
            alias=told.alias,
            pick=told.pick.deployment if told.pick else None,
            cost=cost.as_saved() if cost and told.cache == "hit" else cost,
            candidates=tuple(one for one in told.candidates if one.able),
            reason=told.reason,
        )

    def __str__(self) -> str:
        lines = [f"{self.alias}: {self.cost if self.cost else self.reason}" + (f" at {self.pick}" if self.pick else "")]
        lines += [
            f"  {one.alias}: {one.deployment}: {one.cost}{_because(one.cost)}" for one in self.candidates if one.cost
        ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; money as text."""
        return {
            "alias": self.alias,
            "pick": self.pick,
            "cost": _money(self.cost),
            "reason": self.reason,
            "candidates": [
                {"alias": one.alias, "deployment": one.deployment, "model": one.model, "region": one.region}
                | {"cost": _money(one.cost)}
                for one in self.candidates
            ],
        }


def _because(cost: Cost) -> str:
    return f" ({cost.note})" if cost.usd is None and cost.note else ""


def _money(cost: Cost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    amounts = {"usd": cost.usd, "unit_usd": cost.unit_usd, "saved_usd": cost.saved_usd}
    return {
        **{name: None if amount is None else str(amount) for name, amount in amounts.items()},
        "images": cost.images,
        "table": cost.table,
        "confidence": cost.confidence,
        "note": cost.note,
    }


def explain(runtime: Runtime, alias: str, prompt: str, params: dict[str, Any]) -> Explanation:
    """See `Router.explain`. Raises InvalidRequest (a parameter), UnknownAlias."""
    route, options, request = read(runtime, alias, prompt, params)
    today = runtime.context.today()
    chain = runtime.context.planner.chain(route)

    def plan(aliases: Sequence[Alias], asked: ImageRequest) -> tuple[Step, ...]:
        return tuple(
            runtime.context.planner.step(
                one, asked, today=today, tenant=options.tenant, caching=options.cache, routing_key=options.routing_key
            )
            for one in aliases
        )

    steps = plan(chain, request)
    refusal = nobody_can(route.name, steps)
    with runtime.context.lock:
        now = runtime.context.clock()
        candidates = tuple(one for step in steps for one in _consider(step, now))
        # Copies of the strategies that share one copy of the rng, as the strategies share the rng.
        twins = copy.deepcopy({one.name: one.strategy for one in chain})
        chosen = _pick(steps, twins, plan, now, runtime.context.panic_threshold)
        waits = [use.deployment.ready_in(now) for step in steps for use in step.candidates]
    picked = next((one for one in candidates if chosen and (one.alias, one.deployment) == chosen[:2]), None)
    reason = None if picked else (str(refusal) if refusal else "no deployment can take a request now")
    return Explanation(
        alias=route.name,
        chain=tuple(one.name for one in chain),
        strategies={one.name: one.strategy.name for one in chain},
        candidates=candidates,
        pick=picked,
        panic=chosen is not None and chosen[2],
        cache=_cache(runtime, steps, picked),
        parts=next((len(step.parts) for step in steps if picked and step.alias.name == picked.alias), 0) or 1,
        reason=reason,
        retry_after=min(waits, default=None) if picked is None else None,
    )


def _pick(
    steps: Sequence[Step],
    strategies: Mapping[str, Strategy],
    plan: Callable[[Sequence[Alias], ImageRequest], tuple[Step, ...]],
    now: float,
    panic_threshold: float,
) -> tuple[str, str, bool] | None:
    """(alias, deployment, in panic) of the first call. Follows `attempts`, which asks the same questions."""
    for place, step in enumerate(steps):
        if not step.parts:
            use = pick(step, now, strategies[step.alias.name])
            if use is not None:
                return step.alias.name, use.name, False
        elif somebody(step, now):
            first_part = plan([later.alias for later in steps[place:]], step.parts[0])
            return _pick(first_part, strategies, plan, now, panic_threshold)
    for step in steps:
        use = panic_pick(step, now, panic_threshold)
        if use is not None:
            return step.alias.name, use.name, True
    return None


def _consider(step: Step, now: float) -> Iterator[Considered]:
    """Everybody of one alias, in its order."""
    skipped = {one.deployment: one.reason for one in Exclusions(step.excluded)}
    field_of: dict[str, Field] = {}
    open_weight: dict[Tier, float] = {}
    for field in fields(step, now, ()):
        field_of.update(dict.fromkeys((use.name for use in field.tier.uses), field))
        open_weight[field.tier] = sum(use.weight for use in field.open())
    score = getattr(step.alias.strategy, "score", None)
    for use in step.alias.uses:
        common: dict[str, Any] = _facts(step.alias.name, use, now)
        field_or_none = field_of.get(use.name)
        if field_or_none is None:
            yield Considered(**common, able=False, reason=skipped.get(use.name))
            continue
        field, calls = field_or_none, step.candidate(use).calls
        ready = use.deployment.ready(now)
        yield Considered(
            **common,
            able=True,
            reason=None if ready else _why_not(use.deployment, now),
            calls=len(calls),
            share=use.weight / (open_weight[field.tier] or use.weight) if ready else None,
            score=score(field, use) if score else None,
            cost=step.order.cost(use),
            warnings=tuple(dict.fromkeys(warning for call in calls for warning in call.warnings)),
        )


def _facts(alias: str, use: Use, now: float) -> dict[str, Any]:
    deployment = use.deployment
    return {
        "alias": alias,
        "deployment": use.name,
        "model": deployment.target.model,
        "region": deployment.target.region,
        "priority": use.priority,
        "weight": use.weight,
        "retired": deployment.retired,
        "state": deployment.state(now).value,
        "in_flight": deployment.in_flight,
        "learned_rpm": deployment.learned_rpm,
    }


def _why_not(deployment: Deployment, now: float) -> str:
    """Why a deployment that could do it may not be asked at this moment."""
    seconds = f"{deployment.ready_in(now):.1f} s"
    state = deployment.state(now)
    if state is State.OPEN:
        return f"its circuit breaker is open for {seconds}"
    free_in = deployment.limits.free_in(now, deployment.in_flight)
    if free_in is None:
        return f"at its limit of {deployment.limits.concurrency} calls at once"
    if free_in > 0 and free_in >= deployment.ready_in(now):
        rpm, learned = deployment.limits.rpm, deployment.learned_rpm
        if learned is None or (rpm is not None and rpm < learned):
            return f"at its limit of {rpm} calls a minute for {seconds}"
        return f"at its learned limit of {learned} calls a minute for {seconds}"
    if deployment.ready_in(now) > 0:
        return f"resting for {seconds} after it was throttled"
    return "a probe is under way"


def _cache(runtime: Runtime, steps: Sequence[Step], picked: Considered | None) -> str:
    first = next((step for step in steps if step.candidates), None)
    if first is None or first.parts:
        return "bypass"
    keys = list(first.keys)
    own = next((s.offers[picked.model].key for s in steps if picked and s.alias.name == picked.alias), None)
    if runtime.cache.holds([*keys, *([own] if own else [])]):
        return "hit"
    return "miss" if own or keys else "bypass"
