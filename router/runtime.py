"""The live parts of a router, and one request's way through them; what the sync and the async driver share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

from ..pricing import Cost, PriceBook
from ..providers.base import Provider
from ..providers.errors import AttemptTimeout, InvalidRequest, LascauxError
from ..providers.params import build_request
from ..providers.pictures import Sources
from ..providers.types import Call, ImageRequest, ImageResult, Target, Warning
from .assembly import assemble
from .cache import Cache
from .config import Config
from .config.durations import parse_duration
from .context import Context, Trail
from .crew import Errand, Underway
from .deployment import Deployment
from .edits import offered
from .effects import Flow, Land, Lookup, Send, Served, Store
from .endings import unsent
from .heritage import Heritage
from .interest import Interest
from .known import Known
from .labels import Labels
from .plan import Alias
from .prices import cost_of
from .records import Result
from .share import WHOLE, Share
from .stages import staged_flow
from .telemetry import AttemptSpan, RequestSpan, Telemetry, Unheard

__all__ = ["Aliases", "Options", "Run", "Runtime", "addressed", "read"]

T = TypeVar("T")
AsyncSend = Callable[..., Awaitable[ImageResult]]
"""`lascaux.providers.base.AsyncSending.asend`."""

_LONGEST_NAME = 256


class Aliases(Protocol):
    """Every name that a request may use."""

    def names(self) -> tuple[str, ...]:
        """Those that are written in the configuration."""
        ...

    def find(self, name: str) -> Alias:
        """The alias, the deployments, or the passed-through model of that name. Raises UnknownAlias."""
        ...

    def all(self) -> tuple[Alias, ...]:
        """Every alias that was made so far, passed-through models included."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runtime:
    """Everything that was made from one configuration, and what it took over from the one before."""

    config: Config
    aliases: Aliases
    deployments: Mapping[str, Deployment]
    context: Context
    provider: Provider
    book: PriceBook
    cache: Cache
    telemetry: Telemetry
    warnings: tuple[Warning, ...] = ()
    sources: Sources = field(default_factory=Sources)
    """Where input pictures may be read from."""
    known: Known = field(default_factory=Known, repr=False)
    """Requests that were read before."""
    heritage: Heritage = field(default_factory=Heritage, repr=False)
    """Live state of earlier configurations."""
    share: Share = WHOLE
    """Of the limits that are declared, what this process may use."""
    labels: Labels = field(default_factory=Labels, repr=False)
    """What may be a label of a metric."""

    def after_fork(self) -> None:
        """In a child process: nobody holds our locks, no call is under way."""
        self.context.lock.renew()
        self.context.line.clear()
        self.cache.renew()
        for deployment in (*self.heritage.deployments, *self.made()):
            deployment.forget_calls()

    def made(self) -> Iterator[Deployment]:
        """Every deployment that was made so far, those of passed-through models included."""
        yield from self.deployments.values()
        for alias in self.aliases.all():
            yield from (use.deployment for use in alias.uses)

    def learned(self) -> Iterator[tuple[str, str, str, int]]:
        """(deployment, model, region, calls a minute) of everybody in the configuration whose quota has been learned."""
        for deployment in self.deployments.values():
            rpm, target = deployment.learned_rpm, deployment.target
            if rpm is not None:
                yield deployment.name, target.model, target.region, rpm

    def standing(self) -> Iterator[tuple[str, str, str, str, int]]:
        """(deployment, model, region, state of the breaker, calls under way) of everybody in the configuration."""
        now = self.context.clock()
        for deployment in self.deployments.values():
            target = deployment.target
            yield deployment.name, target.model, target.region, deployment.state(now).value, deployment.in_flight

    def price(self, target: Target, call: Call, result: ImageResult) -> Cost:
        """What the delivered pictures cost: usage times the rate of today."""
        return cost_of(self.book, self.context.today(), target, call, result)


class Run:
    """One request: ``flow`` is what a driver performs, ``finish`` and ``fail`` end it."""

    def __init__(
        self, runtime: Runtime, alias: str, prompt: str, params: dict[str, Any], started: float | None = None
    ) -> None:
        """``started``, on the context's clock, is when the caller asked: now, unless the request had to wait since."""
        self.runtime = runtime
        self.started = runtime.context.clock() if started is None else started
        route, options, self.request = read(runtime, alias, prompt, params)
        self.calls: set[Errand | Underway] = set()
        """Upstream calls under way or waiting for a thread, kept by a driver that has several."""
        self.trail = options.trail(route, self.started)
        self.span: RequestSpan = runtime.telemetry.request(
            route.name, self.request.task.value, self.request.n, prompt=self.request.prompt
        )
        self.flow: Flow = staged_flow(runtime.context, self.request, self.trail)
        if options.interest is not None:
            options.interest.follow(self.leave)

    def leave(self) -> bool:
        """Nobody waits any more: give up, unless a call has been sent. True if this is given up."""
        with self.runtime.context.lock:
            if self.trail.sent.is_set():
                return False
            self.trail.stopped.set()  # from here on no call departs
        self.trail.stop()
        for call in tuple(self.calls):
            call.cancel()  # it waits for a thread
        return True

    def instant(self, effect: Lookup | Store | Land) -> Any:
        """Perform what takes no time in this process."""
        match effect:
            case Lookup(keys):
                return self.runtime.cache.lookup(keys)
            case Store(key, entry):
                return self.runtime.cache.store(key, entry)
            case Land(flight, outcome):
                return flight.land(outcome)

    def exchange(self, send: Send) -> tuple[ImageResult, Cost]:
        """Perform one upstream call, in the thread that calls this, under its own span."""
        with self._attempt(send) as span:
            left = self._depart(send)
            result = self.runtime.provider.send(send.target, send.call, timeout=left)
            return self._brought(send, result, span)

    async def aexchange(self, send: Send, asend: AsyncSend) -> tuple[ImageResult, Cost]:
        """The same in the event loop, by what the provider has for it."""
        with self._attempt(send) as span:
            left = self._depart(send)
            result = await asend(send.target, send.call, timeout=left)
            return self._brought(send, result, span)

    def _attempt(self, send: Send) -> AttemptSpan | Unheard:
        if not self.span.heard:
            return self.span.unheard_attempt()
        target, call = send.target, send.call
        host, port = self.runtime.provider.address(target) or (None, None)
        return self.span.attempt(
            send.ordinal,
            alias=send.alias,
            deployment=target.deployment,
            model=target.model,
            model_id=target.model_id,
            region=target.region,
            task=call.task.value,
            seed=call.seed,
            images=call.images,
            size=(call.width, call.height) if call.width and call.height else None,
            quality=call.quality,
            server_address=host,
            server_port=port,
        )

    def _depart(self, send: Send) -> float:
        """Count the call from now on, for it may have waited since it took its place. Returns the seconds it has left.

        Raises AttemptTimeout, or what whoever left was told: that nothing is sent.
        """
        context = self.runtime.context
        with context.lock:
            if self.trail.stopped.is_set():
                raise unsent()
            now = context.clock()
            if now >= send.until:
                raise AttemptTimeout("no time was left when the call could start", may_be_billed=False)
            self.trail.sent.set()
            send.permit.depart(now)
        return send.until - now

    def _brought(self, send: Send, result: ImageResult, span: AttemptSpan | None) -> tuple[ImageResult, Cost]:
        cost = self.runtime.price(send.target, send.call, result)
        if span is not None:
            span.succeed(
                response_model=send.target.model,
                request_id=result.request_id,
                images=len(result.images),
                finish_reasons=[image.finish_reason for image in result.images],
                cost_usd=cost.usd,
            )
        return result, cost

    def finish(self, served: Served) -> Result:
        """Put the result together and end the span. Pictures are handed over as they stand in ``served``."""
        result = assemble(self.request, self.trail, served, self.runtime.context.clock() - self.started)
        if not self.span.heard:
            self.span.close()
            return result
        self.span.finish(
            "ok",
            deployment=result.deployment,
            model=result.model,
            region=result.region,
            cache=result.cache,
            cost_usd=result.cost.usd,
            saved_usd=result.cost.saved_usd,
            price_table=result.cost.table,
            attempts=len(result.attempts),
            retries=self._retries(),
            fallbacks=len(
                {(attempt.stage, attempt.alias) for attempt in result.attempts}
                - {(1, result.alias), (2, self.trail.alias.background_remover)}
            ),
            warnings=[warning.code for warning in result.warnings],
            images=len(result.images),
        )
        return result

    def fail(self, error: BaseException) -> None:
        """End the span of a request that brought nothing."""
        code = error.code if isinstance(error, LascauxError) else type(error).__name__
        self.span.finish("error", error_type=code, attempts=len(self.trail.attempts), retries=self._retries())

    def _retries(self) -> int:
        """Calls beyond the first of each part, in each stage."""
        return len(self.trail.attempts) - len({(attempt.stage, attempt.part) for attempt in self.trail.attempts})


def read(runtime: Runtime, alias: str, prompt: str, params: dict[str, Any]) -> tuple[Alias, Options, ImageRequest]:
    """What a caller asks for, and of whom. Raises InvalidRequest, UnknownAlias."""
    route, options = addressed(runtime, alias, params)
    strict = options.strict or route.strict

    def fresh() -> ImageRequest:
        return build_request(prompt, runtime.sources, offered(route), strict=strict, **params)

    return route, options, runtime.known.request(route.name, prompt, strict, params, fresh)


def addressed(runtime: Runtime, alias: str, params: dict[str, Any]) -> tuple[Alias, Options]:
    """Who is asked, and what is said about the way, which is taken out of ``params``. No picture is read.

    Raises InvalidRequest, UnknownAlias.
    """
    if not isinstance(alias, str):
        raise InvalidRequest(f"alias must be a name (got {type(alias).__name__})", parameter="model", allowed="a name")
    return runtime.aliases.find(alias), Options.take(params)


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may say about the way, next to what may be said about the picture."""

    strict: bool
    deadline: float | None
    attempt_timeout: float | None
    max_wait: float | None
    tenant: str
    cache: bool
    routing_key: str | None
    interest: Interest | None

    @classmethod
    def take(cls, params: dict[str, Any]) -> Options:
        """Take them out of ``params``. Raises InvalidRequest that names the option."""
        if _OPTIONS.isdisjoint(params):
            return _NO_OPTIONS
        return cls(
            _option(params, "strict", bool, False, "true or false"),
            _seconds(params, "deadline"),
            _seconds(params, "attempt_timeout"),
            _seconds(params, "max_wait", zero=True),
            _name(params, "tenant") or "",
            _option(params, "cache", bool, True, "true or false"),
            _name(params, "routing_key"),
            _option(params, "interest", Interest, None, "an Interest"),
        )

    def trail(self, route: Alias, started: float) -> Trail:
        """The empty memory of a request that came in at ``started``."""
        return Trail(
            alias=route,
            started=started,
            deadline=started + (self.deadline or route.retry.deadline),
            attempt_timeout=self.attempt_timeout or route.retry.attempt_timeout,
            max_wait=route.retry.max_wait if self.max_wait is None else self.max_wait,
            tenant=self.tenant,
            caching=self.cache,
            routing_key=self.routing_key,
        )


_OPTIONS = frozenset(one.name for one in fields(Options))
_NO_OPTIONS = Options(
    strict=False,
    deadline=None,
    attempt_timeout=None,
    max_wait=None,
    tenant="",
    cache=True,
    routing_key=None,
    interest=None,
)


def _option(params: dict[str, Any], name: str, kind: type[T], default: T | None, allowed: str) -> Any:
    value = params.pop(name, None)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise InvalidRequest(f"{name} must be {allowed} (got {type(value).__name__})", parameter=name, allowed=allowed)
    return value


def _name(params: dict[str, Any], name: str) -> str | None:
    text: str | None = _option(params, name, str, None, "a name")
    if text is not None and (len(text) > _LONGEST_NAME or any("\ud800" <= letter <= "\udfff" for letter in text)):
        allowed = f"at most {_LONGEST_NAME} characters of Unicode text"
        raise InvalidRequest(f"{name} must be {allowed}", parameter=name, allowed=allowed)
    return text


def _seconds(params: dict[str, Any], name: str, *, zero: bool = False) -> float | None:
    """Seconds as a number, or a duration as in the configuration."""
    value = params.pop(name, None)
    if value is None:
        return None
    seconds = parse_duration(value)
    if seconds is None or not (seconds or zero):
        allowed = f"seconds {'from 0 on' if zero else 'above 0'}, such as 30, or a duration such as '30s'"
        raise InvalidRequest(f"{name} must be {allowed} (got {str(value)[:40]!r})", parameter=name, allowed=allowed)
    return seconds
