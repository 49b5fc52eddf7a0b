"""The composition root: from a configuration to the live parts of a router."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from datetime import date
from difflib import get_close_matches
from functools import partial
from random import Random
from typing import Any

from cachetools import LRUCache

from ..pricing import PriceBook, PriceTableError
from ..providers.base import Provider
from ..providers.bedrock.credentials import find_region
from ..providers.bedrock.ids import Kind, ModelRef
from ..providers.catalog import Catalog, Model
from ..providers.errors import LascauxError
from ..providers.types import Credentials, Target, Task, Warning
from .cache import Cache, MemoryCache, NoCache
from .config import AliasConfig, Config, DeploymentConfig, uncollected
from .context import Context, Guard
from .deployment import Deployment, wire_id
from .errors import ConfigError, UnknownAlias
from .health import HealthPolicy
from .heritage import Heritage, account_of
from .labels import Labels
from .learning import Quota
from .line import Line
from .plan import Alias, Planner, Use
from .prices import cost_of
from .quota import Limits
from .retry import RetryBudget, RetryPolicy
from .runtime import Runtime
from .share import WHOLE, Share, unshared
from .strategies import STRATEGIES
from .telemetry import Telemetry
from .today import utc_today

__all__ = ["build", "rebuild"]

_OWN = (Kind.PROVISIONED, Kind.CUSTOM_DEPLOYMENT, Kind.IMPORTED)
"""Models that an account runs for itself: they outlive the public model."""
_PASSED_THROUGH = 1000
"""Models that came in by a pattern and are remembered with their live state."""


@uncollected()
def build(
    config: Config,
    *,
    provider: Provider | None = None,
    clock: Callable[[], float] | None = None,
    today: Callable[[], date] | None = None,
    rng: Random | None = None,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    share: Share = WHOLE,
) -> Runtime:
    """Make everything that a router needs. No network; profiles in ``~/.aws`` are read only to find a missing region.

    Raises ConfigError for what can only be known now: unknown models, regions, incomplete credentials, limits too small.
    """
    builder = _Builder(config, rng or Random(config.routing.seed), today or partial(utc_today, time.time), share)
    return builder.runtime(provider, clock or time.monotonic, tracer_provider, meter_provider)


@uncollected()
def rebuild(config: Config, previous: Runtime) -> Runtime:
    """The same from a newer configuration. What did not change brings its live state with it.

    Changes nothing that is in use: settings of deployments that go on are handed over by `Heritage.apply`, those of the
    cache by `resize_cache`. Clock, provider, telemetry and lock stay. Raises ConfigError.
    """
    context = previous.context
    builder = _Builder(config, context.rng, context.today, previous.share, previous)
    return builder.runtime(previous.provider, context.clock)


class _Builder:
    def __init__(
        self, config: Config, rng: Random, today: Callable[[], date], share: Share, previous: Runtime | None = None
    ) -> None:
        self.config = config
        self.share = share
        self.previous = previous
        self.guard = previous.context.guard if previous else Guard()
        self.heritage = _inherit(config, previous) if previous else Heritage()
        self.rng = rng
        self.today = today
        self.catalog = Catalog.load()
        self.health = HealthPolicy(**_fields(config.health))
        self.retry = RetryPolicy(**_fields(config.retry))
        self.deployments: dict[str, Deployment] = {}
        self._credentials: dict[str | None, Credentials] = {}
        """By name: a thousand deployments that name the same share one."""
        known = {account_of(kept.target): kept.limits.quota for kept in self.heritage.deployments}
        self.quotas = defaultdict(Quota, known)
        self.warnings: list[Warning] = list(config.warnings)

    def runtime(
        self,
        provider: Provider | None,
        clock: Callable[[], float],
        tracer_provider: Any = None,
        meter_provider: Any = None,
    ) -> Runtime:
        problems = unshared(self.config, self.share.count)
        for name, deployment in self.config.deployments.items():
            try:
                self.deployments[name] = self.deployment(deployment)
            except LascauxError as error:
                where = f"{deployment.place}: " if deployment.place else ""
                problems.append(f"{where}deployments.{deployment.group}: {error}")
        if problems:
            unique = list(dict.fromkeys(problems))
            raise ConfigError("\n".join(unique), problems=unique)
        previous, providers = self.previous, {"tracer_provider": tracer_provider, "meter_provider": meter_provider}
        telemetry = previous.telemetry if previous else Telemetry(**providers)
        provider = provider or _bedrock(self.catalog)
        aliases = _Names(self)
        book = self.book()
        planner = Planner(
            aliases.find,
            provider,
            lifecycle=self.config.lifecycle.retired,
            price=lambda target, call: cost_of(book, self.today(), target, call),
        )
        self._check_removers(planner, aliases)
        context = Context(
            planner=planner,
            clock=clock,
            today=self.today,
            rng=self.rng,
            budget=self.budget(clock()),
            billed=self.billed(clock()),
            line=previous.context.line if previous else Line(),
            orders=previous.context.orders if previous else itertools.count(),
            guard=self.guard,
            panic_threshold=self.health.panic_threshold,
            on_breaker=telemetry.breaker,
            on_wait=telemetry.waited,
        )
        made = Runtime(
            config=self.config,
            aliases=aliases,
            deployments=self.deployments,
            context=context,
            provider=provider,
            book=book,
            cache=self.cache(clock),
            telemetry=telemetry,
            warnings=tuple(self.warnings),
            heritage=self.heritage,
            share=self.share,
            labels=Labels.of(self.config, self.deployments.values(), self.catalog),
        )
        return replace(made, sources=previous.sources) if previous else made

    def budget(self, now: float) -> RetryBudget:
        """The tokens that are left, or a new bucket when its size has changed."""
        if self.previous and self.previous.config.retry.budget == self.config.retry.budget:
            return self.previous.context.budget
        return RetryBudget(self.retry.budget, now)

    def billed(self, now: float) -> RetryBudget:
        """The same for calls after one that may have been billed."""
        if self.previous and self.previous.config.retry.billed_budget == self.config.retry.billed_budget:
            return self.previous.context.billed
        return RetryBudget.billed(self.retry.billed_budget, now)

    def alias(self, alias: AliasConfig, uses: tuple[Use, ...]) -> Alias:
        """A named group with its own strategy state."""
        retry = RetryPolicy(**_fields(alias.retry)) if alias.retry is not None else self.retry
        return self.heritage.alias(
            Alias(
                name=alias.name,
                uses=uses,
                strategy=STRATEGIES[alias.strategy](self.rng),
                retry=retry,
                fallbacks=alias.fallbacks,
                strict=alias.strict,
                background_remover=alias.background_remover,
            )
        )

    def _check_removers(self, planner: Planner, aliases: _Names) -> None:
        """Raise ConfigError where nobody behind a background_remover can remove a background."""
        problems = []
        for name, config in self.config.aliases.items():
            if config.background_remover is None:
                continue
            chain = planner.chain(aliases.find(config.background_remover))
            models = [self.catalog.find(use.deployment.target.model) for alias in chain for use in alias.uses]
            if any(model and Task.REMOVE_BACKGROUND in model.tasks for model in models):
                continue
            able = ", ".join(model.id for model in self.catalog.models() if Task.REMOVE_BACKGROUND in model.tasks)
            problems.append(
                f"aliases.{name}.background_remover: no model of {config.background_remover!r} can remove a background; "
                f"these can: {able}"
            )
        if problems:
            raise ConfigError("\n".join(problems), problems=problems)

    def deployment(self, config: DeploymentConfig) -> Deployment:
        """Resolve what a deployment is: base model, wire id, region, credentials."""
        credentials = self._credentials.get(config.credentials)
        if credentials is None:
            credentials = self._credentials[config.credentials] = self.config.credentials_for(config.credentials)
        ref = ModelRef.parse(config.model)
        wire = ModelRef.parse(config.inference_profile) if config.inference_profile else ref
        model = self._model(config, ref, wire)
        located = wire if wire.region or not ref.region else replace(wire, region=ref.region)
        target = Target(
            deployment=config.name,
            model=model.id,
            model_id=wire_id(wire, model),
            region=find_region(located, deployment=config.region, credentials=credentials),
            credentials=credentials,
            endpoint_url=config.endpoint_url,
            use_fips=config.use_fips,
            use_dualstack=config.use_dualstack,
            verify=config.verify,
        )
        life = model.lifecycle
        made = Deployment(
            target,
            health=self.health,
            limits=Limits(*self.share.limits(config.limits), quota=self._quota(target)),
            rng=self.rng,
            eol=None if wire.kind in _OWN else life.eol,
            replacement=life.replacement[0] if life.replacement else None,
        )
        self._check_region(target, model, config)
        with self.guard.lock:
            return self.heritage.deployment(made)

    def _quota(self, target: Target) -> Quota:
        """What AWS keeps per account, region and model is learned together."""
        return self.quotas[account_of(target)]

    def _check_region(self, target: Target, model: Model, config: DeploymentConfig) -> None:
        known = model.regions and not config.endpoint_url and not config.inference_profile
        if known and target.region not in model.regions:
            self.warnings.append(
                Warning(
                    code="config",
                    parameter=f"deployments.{config.name}.region",
                    message=f"AWS is not known to offer {model.id} in {target.region}; known: {', '.join(model.regions)}",
                )
            )

    def _model(self, config: DeploymentConfig, ref: ModelRef, wire: ModelRef) -> Model:
        base = config.base_model or ref.base_model or wire.base_model
        if base is None:
            raise ConfigError(
                f"model: {config.model} does not say which model it leads to; "
                "name it as base_model, or as model with this ARN as inference_profile"
            )
        model = self.catalog.find(base)
        if model is None:
            near = self.catalog.suggest(base)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"model: {base!r} is not an image model of Bedrock that Lascaux knows{hint}")
        return model

    def book(self) -> PriceBook:
        """The price table, with the configuration's own rates in front."""
        pricing = self.config.pricing
        try:
            book = PriceBook.load(pricing.table, overrides=[dict(override) for override in pricing.overrides])
        except PriceTableError as error:
            raise ConfigError(f"pricing: {error}") from None
        self._check_overrides(book)
        return book

    def _check_overrides(self, book: PriceBook) -> None:
        """Warn of overrides that price nothing: costs would be the table's, and nobody would know."""
        places: dict[str, list[str]] = {}  # regions by each id that an override may use for a model
        for deployment in self.deployments.values():
            target = deployment.target
            card = book.card(target.model)
            for name in dict.fromkeys((target.model, card.model if card else target.model)):
                places.setdefault(name, []).append(target.region)
        passes = any(alias.match for alias in self.config.aliases.values())
        for index, rate in enumerate(book.overrides):
            regions = places.get(rate.model, [])
            known = self.catalog.find(rate.model) is not None  # spelt right, so nothing else was meant
            if (regions and rate.region in ("*", *regions)) or (passes and known):
                continue
            near = () if known else get_close_matches(rate.model, places, 1) or self.catalog.suggest(rate.model)
            asked = f"; {rate.model} is asked in {', '.join(dict.fromkeys(regions))}" if regions else ""
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(places) or 'none'}"
            self.warnings.append(
                Warning(
                    code="config",
                    parameter=f"pricing.overrides[{index}].{'region' if regions else 'model'}",
                    message=f"applies to no deployment{asked or hint}",
                )
            )

    def cache(self, clock: Callable[[], float]) -> Cache:
        """Where answers are kept."""
        cache = self.config.cache
        if cache.backend == "none" or cache.ttl <= 0:
            return NoCache()
        if self.previous and isinstance(self.previous.cache, MemoryCache):
            return self.previous.cache
        return MemoryCache(max_bytes=cache.max_bytes, ttl=cache.ttl, clock=clock)


class _Names:
    """Aliases by name, each made once, so that its strategy and its deployments keep their state.

    Those that are written as such are made at once. A deployment's own name is an alias, too, but most of a thousand are
    never used: theirs are made when somebody asks.
    """

    def __init__(self, builder: _Builder) -> None:
        self._builder = builder
        self._config = builder.config
        groups = [deployment.group for deployment in self._config.deployments.values()]
        written = [*self._config.aliases, *self._config.deployments, *groups]
        patterns = {name for name, alias in self._config.aliases.items() if alias.match}
        self._written = {name: None for name in written if name not in patterns}
        self._aliases = {name: self._make(name) for name in self._config.aliases if name not in patterns}
        self._passed: LRUCache[str, Alias] = LRUCache(_PASSED_THROUGH)
        self._guard = builder.guard

    def names(self) -> tuple[str, ...]:
        """Those that are written in the configuration."""
        return tuple(self._written)

    def all(self) -> tuple[Alias, ...]:
        """Every alias that was made so far, passed-through models included."""
        with self._guard.lock:
            return (*self._aliases.values(), *self._passed.values())

    def find(self, name: str) -> Alias:
        """The alias, the deployments, or the passed-through model of that name. Raises UnknownAlias."""
        found = self._aliases.get(name)
        if found is not None:
            return found
        with self._guard.lock:
            found = self._passed.get(name)
        if found is None:
            found = self._make(name)  # may read profiles, so not under the lock
            with self._guard.lock:
                kept: MutableMapping[str, Alias] = self._aliases if name in self._written else self._passed
                found = kept.setdefault(name, found)
        return found

    def _make(self, name: str) -> Alias:
        alias = self._config.alias(name)
        if alias is None:
            raise self._unknown(name)
        passed = alias.deployment_for(name)
        if passed is None:
            uses = tuple(
                Use(deployment=self._builder.deployments[use.deployment], weight=use.weight, priority=use.priority)
                for use in alias.uses
            )
            return self._builder.alias(alias, uses)
        try:
            deployment = self._builder.deployment(passed)
        except LascauxError as error:
            raise UnknownAlias(error.message) from None
        return self._builder.alias(replace(alias, name=name), (Use(deployment=deployment),))

    def _unknown(self, name: str) -> UnknownAlias:
        near = get_close_matches(name, self._written, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(self._written) or 'none'}"
        return UnknownAlias(f"no alias or deployment is called {name[:200]!r}{hint}")


def _inherit(config: Config, previous: Runtime) -> Heritage:
    # A strategy may go by price, so other prices let all of them begin anew.
    aliases: tuple[Alias, ...] = ()
    if config.pricing == previous.config.pricing:
        made = previous.aliases.all()
        unused = set(previous.aliases.names()) - {alias.name for alias in made}  # since the reload before
        aliases = (*previous.heritage.aliases(unused), *made)
    judge_anew = config.lifecycle != previous.config.lifecycle
    return Heritage(previous.made(), aliases, previous.heritage, judge_anew=judge_anew)


def _fields(part: Any) -> dict[str, Any]:
    """The values that were given or have a default, by name."""
    return {name: value for name, value in part.model_dump().items() if value is not None}


def _bedrock(catalog: Catalog) -> Provider:
    from ..providers.bedrock.provider import Bedrock  # loads urllib3 and botocore, which `import lascaux` must not

    return Bedrock(catalog=catalog)
