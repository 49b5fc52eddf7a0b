"""Spans and metrics: one span per request, one per attempt. Only this file and `instruments` know the OpenTelemetry API.

No value of OpenTelemetry's classes is needed to call this: text and numbers in, nothing out.
"""

from __future__ import annotations

import json
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context

from . import telemetry_names as names
from .errors import ProviderError
from .instruments import Instruments, Learned

__all__ = ["AttemptSpan", "RequestSpan", "Telemetry", "Unheard"]

_SUPPRESS = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
"""Tells other instrumentations (botocore's would read and parse every picture) to leave our calls alone."""

_CANCELLED = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt"})
"""Stopped on purpose by the caller: no error, says the convention."""

_DESCRIPTION = 200


def _codes(kind: type[ProviderError]) -> Iterator[str]:
    yield kind.default_code
    for child in kind.__subclasses__():
        yield from _codes(child)


_SAFE_CODES = frozenset(_codes(ProviderError))
"""Errors that are not about the request's content, so that their messages can not quote the prompt."""


class Telemetry:
    """Where a router's spans and metrics go: the given providers, else whatever the application has set globally.

    With ``capture_prompts`` the prompt goes onto the attempts' spans; pictures never do. ``clock`` gives seconds.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        version: str = "0.1.0",
        capture_prompts: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.capture_prompts = capture_prompts
        self.clock = clock
        self.tracer = get_tracer(names.SCOPE, version, tracer_provider, names.SCHEMA_URL)
        self.metrics = Instruments(version, meter_provider)

    def request(self, alias: str, task: str, n: int, *, prompt: str | None = None) -> RequestSpan:
        """Start the span of one request, a child of the caller's current span. `RequestSpan.finish` ends it."""
        return RequestSpan(self, alias, task, n, prompt if self.capture_prompts else None)

    def breaker(self, deployment: str, state: str) -> None:
        """Count that a deployment's circuit breaker went into ``state``."""
        self.metrics.breaker.add(1, {names.DEPLOYMENT: deployment, names.BREAKER_STATE: str(state)})

    def waited(self, alias: str, seconds: float) -> None:
        """Note for how long one that stood in line did so."""
        self.metrics.line_wait.record(seconds, {names.ALIAS: alias})

    def watch(self, learned: Learned) -> None:
        """Ask for the learned limits whenever metrics are collected. Never by itself: without a reader nobody asks."""
        self.metrics.watch(learned)

    def reload(self, outcome: str) -> None:
        """Count that a configuration was to be taken. ``outcome`` is ``ok``, or ``failed`` when nothing has changed."""
        self.metrics.reloads.add(1, {names.OUTCOME: outcome})


class RequestSpan:
    """One request as the caller saw it: ``lascaux.generate {alias}``. It carries no ``gen_ai`` attribute.

    It is not made the current span; attempts name it as their parent, in whatever thread they run.
    """

    def __init__(self, telemetry: Telemetry, alias: str, task: str, n: int, prompt: str | None) -> None:
        self._telemetry = telemetry
        self._alias = alias
        self._task = task
        self._ended = False
        self.prompt = prompt
        self._started = telemetry.clock()
        parent = otel_context.get_current()
        attributes: dict[str, str | int] = {names.ALIAS: alias, names.TASK: task, names.IMAGES_REQUESTED: n}
        self._span = telemetry.tracer.start_span(f"{names.REQUEST_SPAN} {alias}", parent, SpanKind.INTERNAL, attributes)
        self.context: Context = set_span_in_context(self._span, parent)
        self.heard = telemetry.metrics.heard or self._span.get_span_context().is_valid
        """Is there anybody to tell? If not, what would be told need not be put together."""

    def unheard_attempt(self) -> Unheard:
        """The place of an attempt of which nobody is told."""
        return Unheard(self.context)

    def close(self) -> None:
        """End a request of which nobody is told."""
        self._ended = True
        self._span.end()

    def attempt(
        self,
        ordinal: int,
        *,
        alias: str,
        deployment: str,
        model: str,
        model_id: str,
        region: str,
        task: str,
        seed: int | None = None,
        images: int = 1,
        size: tuple[int, int] | None = None,
        quality: str | None = None,
        server_address: str | None = None,
        server_port: int | None = None,
    ) -> AttemptSpan:
        """The span of one upstream call. Enter it (``with``) in the thread that makes the call."""
        where = {names.SERVER_ADDRESS: server_address, names.SERVER_PORT: server_port if server_address else None}
        facts = {
            names.ALIAS: alias,
            names.TASK: task,
            names.ATTEMPT: ordinal,
            names.DEPLOYMENT: deployment,
            names.MODEL: model,
            names.REGION: region,
            names.REQUEST_SEED: seed,
            names.CHOICE_COUNT: images if images != 1 else None,
            names.IMAGES_REQUESTED: images,
            names.SIZE: size,
            names.QUALITY: quality,
        }
        return AttemptSpan(self._telemetry, self, model_id, where, facts)

    def event(self, name: str, **attributes: Any) -> None:
        """Note a fact on the span: a retry, a wait, a fallback. Values are text, numbers or lists of them."""
        if self._span.is_recording():
            self._span.add_event(name, {f"lascaux.{key}": value for key, value in _present(attributes).items()})

    def finish(
        self,
        outcome: str,
        *,
        error_type: str | None = None,
        deployment: str | None = None,
        model: str | None = None,
        region: str | None = None,
        cache: str = "miss",
        cost_usd: Decimal | None = None,
        saved_usd: Decimal | None = None,
        price_table: str | None = None,
        attempts: int = 0,
        retries: int = 0,
        fallbacks: int = 0,
        warnings: Sequence[str] = (),
        images: int = 0,
    ) -> None:
        """End the span and count the request. ``outcome`` is ``ok`` or ``error``; a second call does nothing."""
        if self._ended:
            return
        self._ended = True
        if error_type in _CANCELLED:
            outcome, error_type = "cancelled", None
        ok = outcome == "ok"
        if self._span.is_recording():
            self._describe(
                {
                    names.OUTCOME: outcome,
                    names.ERROR_TYPE: error_type,
                    names.DEPLOYMENT: deployment,
                    names.MODEL: model,
                    names.REGION: region,
                    names.CACHE_RESULT: cache if ok else None,
                    names.COST_USD: _amount(cost_usd),
                    names.SAVED_USD: _amount(saved_usd),
                    names.PRICE_TABLE: price_table,
                    names.ATTEMPTS_MADE: attempts,
                    names.RETRIES_MADE: retries,
                    names.FALLBACKS_MADE: fallbacks,
                    names.WARNINGS: tuple(warnings) or None,
                    names.IMAGES_DELIVERED: images,
                },
                failed=outcome == "error",
            )
        self._count(outcome, error_type, cache if ok else None, retries)
        if ok:
            self._count_cached(cache, model, region, images, saved_usd)
        self._span.end()

    def _describe(self, attributes: Mapping[str, Any], *, failed: bool) -> None:
        self._span.set_attributes(_present(attributes))
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))

    def _count(self, outcome: str, error_type: str | None, cache: str | None, retries: int) -> None:
        metrics, labels = self._telemetry.metrics, {names.ALIAS: self._alias, names.TASK: self._task}
        facts = _present({**labels, names.OUTCOME: outcome, names.ERROR_TYPE: error_type, names.CACHE_RESULT: cache})
        duration = self._telemetry.clock() - self._started
        metrics.request_duration.record(duration, facts, context=self.context)
        if cache is not None:
            metrics.cache.add(1, {names.ALIAS: self._alias, names.CACHE_RESULT: cache})
        if retries:
            metrics.retries.add(retries, {names.ALIAS: self._alias})

    def _count_cached(
        self, cache: str, model: str | None, region: str | None, images: int, saved_usd: Decimal | None
    ) -> None:
        metrics, labels = self._telemetry.metrics, _present({names.MODEL: model, names.REGION: region})
        if cache in ("hit", "coalesced"):
            metrics.images.add(images, {**labels, names.OUTCOME: cache})
        if saved_usd is not None:
            metrics.saved.add(float(saved_usd), {names.ALIAS: self._alias, **labels})


class Unheard:
    """An attempt of which nobody is told. Other instrumentations are left out of it all the same: see `_SUPPRESS`."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = otel_context.attach(otel_context.set_value(_SUPPRESS, True, self._context))

    def __exit__(self, *exception: object) -> None:
        otel_context.detach(self._token)


class AttemptSpan:
    """One upstream call: the GenAI client span ``generate_content {model_id}``, current while it is entered.

    Say how it ended with `succeed` or `fail`; an exception that leaves the block counts as a failure of its own name.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        request: RequestSpan,
        model_id: str,
        where: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> None:
        self._telemetry = telemetry
        self._request = request
        self._facts = facts
        self._sampled = _present(
            {
                names.OPERATION_NAME: names.OPERATION,
                names.PROVIDER_NAME: names.PROVIDER,
                names.REQUEST_MODEL: model_id,
                **where,
            }
        )
        self._outcome: str | None = None
        self._error_type: str | None = None
        self._response_model: str | None = None

    def __enter__(self) -> Self:
        parent = self._request.context
        name = f"{names.OPERATION} {self._sampled[names.REQUEST_MODEL]}"
        # A sampler sees only what is there at creation: the conventions name these attributes.
        self._span: Span = self._telemetry.tracer.start_span(name, parent, SpanKind.CLIENT, self._sampled)
        if self._span.is_recording():
            self._span.set_attributes({names.OUTPUT_TYPE: "image", **self._described()})
        inside = otel_context.set_value(_SUPPRESS, True, set_span_in_context(self._span, parent))
        self._token = otel_context.attach(inside)
        self._started = self._telemetry.clock()
        return self

    def _described(self) -> dict[str, Any]:
        described = _present(self._facts)
        if names.SIZE in described:
            width, height = described[names.SIZE]
            described[names.SIZE] = f"{width}x{height}"
        if self._request.prompt is not None:
            parts = [{"type": "text", "content": self._request.prompt}]
            described[names.INPUT_MESSAGES] = json.dumps([{"role": "user", "parts": parts}], ensure_ascii=False)
        return described

    def succeed(
        self,
        *,
        response_model: str,
        request_id: str | None = None,
        images: int = 1,
        finish_reasons: Sequence[str] = (),
        cost_usd: Decimal | None = None,
    ) -> None:
        """The call brought ``images`` pictures. ``cost_usd`` None: the price is not known and not counted."""
        self._outcome, self._response_model = "ok", response_model
        if self._span.is_recording():
            facts = {
                names.RESPONSE_MODEL: response_model,
                names.AWS_REQUEST_ID: request_id,
                names.IMAGES_DELIVERED: images,
                names.FINISH_REASONS: tuple(finish_reasons) or None,
                names.COST_USD: _amount(cost_usd),
                names.OUTCOME: "ok",
            }
            self._span.set_attributes(_present(facts))
        self._count_images({"ok": images, "missing": self._facts[names.IMAGES_REQUESTED] - images})
        if cost_usd is not None:
            self._telemetry.metrics.cost.add(float(cost_usd), self._place())

    def fail(
        self,
        error_type: str,
        *,
        request_id: str | None = None,
        may_be_billed: bool = False,
        message: str | None = None,
    ) -> None:
        """The call brought nothing. ``message`` is left out where it may quote the request."""
        self._outcome, self._error_type = "error", error_type
        if self._span.is_recording():
            quotable = self._telemetry.capture_prompts or error_type in _SAFE_CODES
            description = message[:_DESCRIPTION] if message and quotable else None
            facts = {
                names.ERROR_TYPE: error_type,
                names.AWS_REQUEST_ID: request_id,
                names.MAY_BE_BILLED: may_be_billed,
                names.OUTCOME: "error",
            }
            self._span.set_attributes(_present(facts))
            self._span.set_status(Status(StatusCode.ERROR, description))
        self._count_images({error_type: self._facts[names.IMAGES_REQUESTED]})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._outcome is None and kind is not None:
                self._left(kind)
            self._count()
        finally:
            otel_context.detach(self._token)
            self._span.end()

    def _left(self, kind: type[BaseException]) -> None:
        """Nobody said how it ended: an exception went through."""
        if issubclass(kind, (CancelledError, GeneratorExit, KeyboardInterrupt)):
            self._outcome = "cancelled"
            self._span.set_attribute(names.OUTCOME, self._outcome)
        else:
            self.fail(kind.__qualname__, may_be_billed=True)

    def _place(self) -> dict[str, Any]:
        return {key: self._facts[key] for key in (names.DEPLOYMENT, names.MODEL, names.REGION)}

    def _count(self) -> None:
        metrics, ended = self._telemetry.metrics, {names.ERROR_TYPE: self._error_type}
        labels = _present(
            {
                **self._sampled,
                names.REGION: self._facts[names.REGION],
                names.RESPONSE_MODEL: self._response_model,
                **ended,
            }
        )
        metrics.attempt_duration.record(self._telemetry.clock() - self._started, labels)
        metrics.attempts.add(1, _present({**self._place(), names.OUTCOME: self._outcome or "unknown", **ended}))

    def _count_images(self, outcomes: Mapping[str, int]) -> None:
        labels = {names.MODEL: self._facts[names.MODEL], names.REGION: self._facts[names.REGION]}
        for outcome, images in outcomes.items():
            if images > 0:
                self._telemetry.metrics.images.add(images, {**labels, names.OUTCOME: outcome})


def _present(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value is not None}


def _amount(money: Decimal | None) -> float | None:
    return None if money is None else float(money)
