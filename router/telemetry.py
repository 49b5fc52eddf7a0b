"""Spans and metrics: one span per request, one per attempt.

Only this file, `attempt_span` and `instruments` know the OpenTelemetry API.

No value of OpenTelemetry's classes is needed to call this: text and numbers in, nothing out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context

from . import telemetry_names as names
from .attempt_span import AttemptSpan, Unheard, amount, present
from .instruments import Instruments, Learned, Standing
from .labels import Labels

__all__ = ["AttemptSpan", "RequestSpan", "Telemetry", "Unheard"]

_CANCELLED = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt"})
"""Stopped on purpose by the caller: no error, says the convention."""


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
        self.labels: Callable[[], Labels] = Labels
        """What may be a label now. Spans tell every name as it was written; metrics are bounded by the configuration."""

    def request(self, alias: str, task: str, n: int, *, prompt: str | None = None) -> RequestSpan:
        """Start the span of one request, a child of the caller's current span. `RequestSpan.finish` ends it."""
        return RequestSpan(self, alias, task, n, prompt if self.capture_prompts else None)

    def breaker(self, deployment: str, state: str) -> None:
        """Count that a deployment's circuit breaker went into ``state``."""
        self.metrics.breaker.add(1, {names.DEPLOYMENT: self.labels().name(deployment), names.BREAKER_STATE: str(state)})

    def waited(self, alias: str, seconds: float) -> None:
        """Note for how long one that stood in line did so."""
        self.metrics.line_wait.record(seconds, {names.ALIAS: self.labels().name(alias)})

    def watch(self, learned: Learned, standing: Standing) -> None:
        """Ask for learned limits and deployments whenever metrics are collected. Without a reader nobody asks."""
        self.metrics.watch(learned, standing)

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
        self.heard = telemetry.metrics.heard or self._span.get_span_context().is_valid
        """Is there anybody to tell? If not, what would be told need not be put together."""
        self.context: Context = set_span_in_context(self._span, parent) if self.heard else parent

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
            self._span.add_event(name, {f"lascaux.{key}": value for key, value in present(attributes).items()})

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
                    names.COST_USD: amount(cost_usd),
                    names.SAVED_USD: amount(saved_usd),
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
        self._span.set_attributes(present(attributes))
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))

    def _count(self, outcome: str, error_type: str | None, cache: str | None, retries: int) -> None:
        metrics, alias = self._telemetry.metrics, self._telemetry.labels().name(self._alias)
        labels = {names.ALIAS: alias, names.TASK: self._task}
        facts = present({**labels, names.OUTCOME: outcome, names.ERROR_TYPE: error_type, names.CACHE_RESULT: cache})
        duration = self._telemetry.clock() - self._started
        metrics.request_duration.record(duration, facts, context=self.context)
        if cache is not None:
            metrics.cache.add(1, {names.ALIAS: alias, names.CACHE_RESULT: cache})
        if retries:
            metrics.retries.add(retries, {names.ALIAS: alias})

    def _count_cached(
        self, cache: str, model: str | None, region: str | None, images: int, saved_usd: Decimal | None
    ) -> None:
        metrics, known = self._telemetry.metrics, self._telemetry.labels()
        labels = present({names.MODEL: model, names.REGION: region and known.region(region)})
        if cache in ("hit", "coalesced"):
            metrics.images.add(images, {**labels, names.OUTCOME: cache})
        if saved_usd is not None:
            metrics.saved.add(float(saved_usd), {names.ALIAS: known.name(self._alias), **labels})
