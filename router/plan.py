"""From a request and an alias to the calls that could be made: capability matching, before any money is spent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

from ..providers.base import Provider
from ..providers.errors import InvalidRequest
from ..providers.quick import quick
from ..providers.types import Call, ImageRequest, Warning
from .cache import call_key
from .deployment import Candidate, Deployment
from .pool import Lifecycle, Offer, Order, Pool, Roster, Selection, Use
from .prices import Price
from .records import Exclusion, Exclusions
from .retry import RetryPolicy
from .strategies import Strategy

__all__ = ["Alias", "Planner", "Step", "Use", "nobody_can"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name clients send: interchangeable deployments, how to pick among them, and where to go when all fail."""

    name: str
    uses: tuple[Use, ...]
    strategy: Strategy
    retry: RetryPolicy
    fallbacks: tuple[str, ...] = ()
    strict: bool = False
    background_remover: str | None = None
    """Who makes pictures transparent that these deployments can only make opaque; see ``stages``."""
    prepared: Pool | None = field(default=None, repr=False, compare=False)
    """The deployments, prepared for picking, where another alias has prepared the same already."""
    pool: Pool = field(init=False, repr=False, compare=False)
    """The deployments, prepared for picking."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool", self.prepared or Pool(self.uses))


@quick
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One alias of the chain, matched against the request.

    What a model would do for the request is the same for all its deployments, so it is written once: in ``offers`` by
    model, or in ``refusals`` with the reason why not. ``parts`` is empty when every candidate can serve the request in one
    call; otherwise it holds the smaller requests, each of which every candidate can serve.
    """

    alias: Alias
    roster: Roster
    selection: Selection
    order: Order
    refusals: Mapping[str, InvalidRequest]
    parts: tuple[ImageRequest, ...] = ()

    @property
    def offers(self) -> Mapping[str, Offer]:
        """What each model would do, by model."""
        return self.order.offers

    @property
    def candidates(self) -> tuple[Use, ...]:
        """Everybody who can do it, in the alias's order. May be long: look at it only when picking has failed."""
        return self.selection.uses

    @property
    def keys(self) -> tuple[str, ...]:
        """The cache keys under which an answer of the preferred candidates may be found."""
        keys = (self.offers[model].key for model in self.selection.preferred)
        return tuple(dict.fromkeys(key for key in keys if key is not None))

    @property
    def excluded(self) -> tuple[Exclusion, ...]:
        """Who was left out and why, one entry for all that share a reason."""
        if not self.refusals and not self.roster.aged:
            return ()
        name, places = self.alias.name, self.roster.places
        aged = (Exclusion(name, reason, names) for reason, names in self.roster.aged.items())
        unable = (Exclusion(name, error.message, places[model]) for model, error in self.refusals.items())
        return (*aged, *unable)

    def candidate(self, use: Use) -> Candidate:
        """One of the candidates, with the calls that would be made."""
        deployment = use.deployment
        made = self.offers[deployment.target.model].by(use)
        if deployment.eol is None or deployment.eol > self.roster.day:
            return made
        obituary = _obituary(deployment)
        calls = tuple(replace(call, warnings=(*call.warnings, obituary)) for call in made.calls)
        return replace(made, calls=calls)

    def same_call(self, call: Call) -> Call | None:
        """Our own words for a call that somebody else made; None if ours would be another."""
        offer = self.offers.get(call.model)
        if offer is None or len(offer.calls) != 1:
            return None
        if offer.calls[0] is not call and offer.calls[0].told != call.told:
            return None
        return self.candidate(self.roster.models[call.model][0]).calls[0]


class _Memory:
    """The step that a request was matched to last, and for whom. A step knows nothing of the request: no ring."""

    __slots__ = ("step",)

    def __init__(self) -> None:
        self.step: tuple[Step, tuple[object, ...]] | None = None


class Planner:
    """Matches requests to deployments. Pure but for the roster of the day, with which a passed end of life is noted."""

    def __init__(
        self,
        find: Callable[[str], Alias],
        provider: Provider,
        *,
        lifecycle: Lifecycle,
        price: Price | None = None,
    ) -> None:
        self._find = find
        self._price = price
        self._provider = provider
        self._lifecycle = lifecycle

    def chain(self, alias: Alias) -> tuple[Alias, ...]:
        """The alias and its fallbacks, theirs included, each once, nearest first."""
        if not alias.fallbacks:
            return (alias,)
        found = {alias.name: alias}
        queue = [alias]
        while queue:
            for name in queue.pop(0).fallbacks:
                if name not in found:
                    found[name] = self._find(name)
                    queue.append(found[name])
        return tuple(found.values())

    def remover(self, alias: Alias) -> Alias | None:
        """Who removes backgrounds for an alias; None if it names nobody."""
        return self._find(alias.background_remover) if alias.background_remover else None

    def step(
        self,
        alias: Alias,
        request: ImageRequest,
        *,
        today: date,
        tenant: str = "",
        caching: bool = True,
        part: int = 0,
        routing_key: str | None = None,
    ) -> Step:
        """Match one alias. Whoever can not do it is skipped with a reason.

        ``part`` is the picture's place in a request that was cut. ``routing_key`` is what makes requests equal for a
        strategy that goes by it; without one, tenant, task, words and seed do.
        """
        if alias.strict and not request.strict:
            request = replace(request, strict=True)
        roster = alias.pool.roster(today, self._lifecycle)
        memory = request.once(("step", alias.name, part), _Memory)
        asked = (tenant, caching, routing_key)
        known = memory.step
        if known is not None and known[1] == asked and known[0].alias is alias and known[0].roster is roster:
            return known[0]
        step = self._match(alias, request, roster, tenant, caching, part, routing_key)
        if not step.refusals:  # these are raised, and no error is raised twice
            memory.step = step, asked
        return step

    def _match(
        self,
        alias: Alias,
        request: ImageRequest,
        roster: Roster,
        tenant: str,
        caching: bool,
        part: int,
        routing_key: str | None,
    ) -> Step:
        offers: dict[str, Offer] = {}
        refusals: dict[str, InvalidRequest] = {}
        for model, uses in roster.models.items():
            try:
                calls = request.once((model, part), partial(self._write, request, uses[0].deployment, part))
            except InvalidRequest as error:
                refusals[model] = error
                continue
            cacheable = caching and len(calls) == 1 and calls[0].reproducible
            key = request.once((model, part, tenant), partial(call_key, calls[0], tenant)) if cacheable else None
            offers[model] = Offer(calls=calls, key=key)
        equal = _identity(request, tenant) if routing_key is None else (routing_key,)
        return Step(
            alias=alias,
            roster=roster,
            selection=roster.select(offers),
            order=Order(offers=offers, price=self._price, key=partial(_routing_key, equal)),
            refusals=refusals,
            parts=_parts(request, offers.values()),
        )

    def _write(self, request: ImageRequest, deployment: Deployment, part: int) -> tuple[Call, ...]:
        """The calls for this deployment's model.

        A model whose omitted seed is a fixed one would draw the same picture for every part; the parts count on from it.
        """
        calls = self._provider.prepare(request, deployment.target)
        assumed = calls[0].effective_seed if calls[0].seed is None else None
        if part and assumed is not None:
            calls = self._provider.prepare(replace(request, seed=assumed + part), deployment.target)
        return calls


def _routing_key(parts: tuple[object, ...]) -> int:
    """64 bits that are the same in every process and on every day."""
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "backslashreplace"), digest_size=8)
    return int.from_bytes(digest.digest())


def _identity(request: ImageRequest, tenant: str) -> tuple[object, ...]:
    return tenant, request.task.value, request.prompt, request.negative_prompt, request.seed


def _obituary(deployment: Deployment) -> Warning:
    successor = f"; its successor is {deployment.replacement}" if deployment.replacement else ""
    return Warning(
        code="retired",
        message=f"{deployment.target.model} reached its end of life on {deployment.eol}: AWS serves it by private "
        f"arrangement only{successor}",
    )


def _parts(request: ImageRequest, offers: Iterable[Offer]) -> tuple[ImageRequest, ...]:
    """Cut the request so that every part is one call on every candidate: along the finest cut any model needs."""
    finest: tuple[Call, ...] = ()
    for offer in offers:
        if len(offer.calls) > len(finest):
            finest = offer.calls
    if len(finest) < 2:
        return ()
    return tuple(replace(request, n=call.images, seed=call.seed) for call in finest)


def nobody_can(alias: str, steps: Iterable[Step]) -> InvalidRequest | None:
    """The one error that says why no deployment can do what was asked; None if somebody could."""
    steps = tuple(steps)
    for step in steps:
        if step.candidates:
            return None
    refusals = [error for step in steps for error in step.refusals.values()]
    excluded = [exclusion for step in steps for exclusion in step.excluded]
    if len({exclusion.reason for exclusion in excluded}) == 1 and refusals:
        return refusals[0]
    listed = "; ".join(dict.fromkeys(map(str, Exclusions(excluded))))
    first = refusals[0] if refusals else None
    return InvalidRequest(
        f"no deployment of {alias!r} can do this: {listed}",
        parameter=first.parameter if first else None,
        allowed=first.allowed if first else None,
        nearest=first.nearest if first else None,
    )
