"""From a request and an alias to the calls that could be made: capability matching, before any money is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from ..providers.base import Provider
from ..providers.errors import InvalidRequest
from ..providers.types import Call, ImageRequest, Warning
from .cache import call_key
from .deployment import Candidate, Deployment
from .records import Skipped
from .retry import RetryPolicy
from .strategies import Strategy

__all__ = ["Alias", "Planner", "Step", "Use", "nobody_can"]

Lifecycle = Literal["last_resort", "refuse", "allow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A deployment's place in an alias."""

    deployment: Deployment
    weight: float = 1.0
    priority: int = 0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One alias of the chain, matched against the request.

    ``parts`` is empty when every candidate can serve the request in one call; otherwise it holds the smaller requests,
    each of which every candidate can serve.
    """

    alias: Alias
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...] = ()
    refusals: tuple[InvalidRequest, ...] = ()
    parts: tuple[ImageRequest, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The cache keys under which an answer of the preferred candidates may be found."""
        first = min((c.priority for c in self.candidates), default=0)
        return tuple(dict.fromkeys(c.key for c in self.candidates if c.key is not None and c.priority == first))


class Planner:
    """Matches requests to deployments. Pure but for ``Deployment.retired``, which a passed end of life sets."""

    def __init__(self, find: Callable[[str], Alias], provider: Provider, *, lifecycle: Lifecycle) -> None:
        self._find = find
        self._provider = provider
        self._lifecycle = lifecycle

    def chain(self, alias: Alias) -> tuple[Alias, ...]:
        """The alias and its fallbacks, theirs included, each once, nearest first."""
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
    ) -> Step:
        """Match one alias. Whoever can not do it is skipped with a reason.

        ``part`` is the picture's place in a request that was cut.
        """
        if alias.strict and not request.strict:
            request = replace(request, strict=True)
        written: dict[str, tuple[Call, ...] | InvalidRequest] = {}
        candidates: list[Candidate] = []
        skipped: list[Skipped] = []
        for use in alias.uses:
            deployment = use.deployment
            reason = self._retired(deployment, today)
            calls = self._write(request, deployment, written, part) if reason is None else ()
            if isinstance(calls, InvalidRequest):
                reason = calls.message
            if reason is not None or isinstance(calls, InvalidRequest):
                skipped.append(Skipped(alias=alias.name, deployment=deployment.name, reason=reason or ""))
                continue
            if deployment.eol is not None and deployment.eol <= today:
                calls = tuple(replace(call, warnings=(*call.warnings, _obituary(deployment))) for call in calls)
            cacheable = caching and len(calls) == 1 and calls[0].reproducible
            candidates.append(
                Candidate(
                    deployment=deployment,
                    calls=calls,
                    weight=use.weight,
                    priority=use.priority,
                    key=call_key(calls[0], tenant) if cacheable else None,
                )
            )
        return Step(
            alias=alias,
            candidates=tuple(candidates),
            skipped=tuple(skipped),
            refusals=tuple(error for error in written.values() if isinstance(error, InvalidRequest)),
            parts=_parts(request, candidates),
        )

    def _write(
        self,
        request: ImageRequest,
        deployment: Deployment,
        written: dict[str, tuple[Call, ...] | InvalidRequest],
        part: int,
    ) -> tuple[Call, ...] | InvalidRequest:
        """The calls for this deployment's model: the same for all deployments of one model, so written once.

        A model whose omitted seed is a fixed one would draw the same picture for every part; the parts count on from it.
        """
        target = deployment.target
        if target.model not in written:
            try:
                calls = self._provider.prepare(request, target)
                assumed = calls[0].effective_seed if calls[0].seed is None else None
                if part and assumed is not None:
                    calls = self._provider.prepare(replace(request, seed=assumed + part), target)
                written[target.model] = calls
            except InvalidRequest as error:
                written[target.model] = error
        return written[target.model]

    def _retired(self, deployment: Deployment, today: date) -> str | None:
        """Apply the lifecycle policy; a reason if this deployment must not be asked."""
        passed = deployment.eol is not None and deployment.eol <= today
        if passed and self._lifecycle == "last_resort":
            deployment.retired = True
        if self._lifecycle == "refuse" and (passed or deployment.retired):
            since = f" on {deployment.eol}" if passed else ""
            return f"{deployment.target.model} reached its end of life{since} and lifecycle.retired is 'refuse'"
        return None


def _obituary(deployment: Deployment) -> Warning:
    successor = f"; its successor is {deployment.replacement}" if deployment.replacement else ""
    return Warning(
        code="retired",
        message=f"{deployment.target.model} reached its end of life on {deployment.eol}: AWS serves it by private "
        f"arrangement only{successor}",
    )


def _parts(request: ImageRequest, candidates: Iterable[Candidate]) -> tuple[ImageRequest, ...]:
    """Cut the request so that every part is one call on every candidate: along the finest cut any of them needs."""
    finest = max((c.calls for c in candidates), key=len, default=())
    if len(finest) < 2:
        return ()
    return tuple(replace(request, n=call.images, seed=call.seed) for call in finest)


def nobody_can(alias: str, steps: Iterable[Step]) -> InvalidRequest | None:
    """The one error that says why no deployment can do what was asked; None if somebody could."""
    steps = list(steps)
    if any(step.candidates for step in steps):
        return None
    refusals = [error for step in steps for error in step.refusals]
    reasons = list(dict.fromkeys(skipped.reason for step in steps for skipped in step.skipped))
    if len(reasons) == 1 and refusals:
        return refusals[0]
    listed = "; ".join(dict.fromkeys(str(skipped) for step in steps for skipped in step.skipped))
    first = refusals[0] if refusals else None
    return InvalidRequest(
        f"no deployment of {alias!r} can do this: {listed}",
        parameter=first.parameter if first else None,
        allowed=first.allowed if first else None,
        nearest=first.nearest if first else None,
    )
