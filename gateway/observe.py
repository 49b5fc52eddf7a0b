"""Every HTTP request observed: its span, its metrics, its line in the log, and the audit of the pictures it asked for.

The span is the root of all that is done for the request: attempts are its descendants, in whatever thread they run. Of what
a client says about traces only traceparent and tracestate are taken; baggage goes nowhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import (
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    format_trace_id,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..router import telemetry_names as names
from .lines import Line
from .meters import METHODS, Meters
from .story import Asked, Notes, Story

if TYPE_CHECKING:
    from ..router.records import Result
    from .gate import Gate
    from .intake import Intake

__all__ = ["Observed", "Observer"]

log = logging.getLogger("lascaux.access")

_QUIET = ("/health", "/metrics")
"""Asked every few seconds by machines: no spans, and no line unless something is wrong."""
_LONGEST_PATH = 512
_TRACE = TraceContextTextMapPropagator()


class Audit(Protocol):
    """Where calls for pictures are written down."""

    def sink(self, notes: Notes, asked: Asked, story: Story, result: Result | None) -> None:
        """One has ended."""

    async def aclose(self) -> None:
        """Write the rest."""


class Observer:
    """Who looks at all requests. Without providers, log and audit it sees to nothing but the notes.

    ``access`` writes a line per request to the logger ``lascaux.access``; ``clock`` gives seconds.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        access: bool = False,
        audit: Callable[[Callable[[], None]], Audit] | None = None,
        version: str = "0.1.0",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``audit`` makes the audit, given what is to be called for each line that is lost."""
        self._tracer = get_tracer(names.SCOPE, version, tracer_provider, names.SCHEMA_URL)
        self._traces = not isinstance(self._tracer, NoOpTracer)
        self._meters = Meters(version, meter_provider)
        self._access = access
        self._audit = audit(self._meters.lost) if audit is not None else None
        self._clock = clock

    def watch(self, gate: Gate, intake: Intake) -> None:
        """Follow an application's money and memory."""
        gate.on_settled = self._meters.spent
        self._meters.watch(lambda: intake.in_flight, lambda: intake.buffered)

    async def aclose(self) -> None:
        """Write what is left to be written."""
        if self._audit is not None:
            await self._audit.aclose()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with ``app``, and look on."""
        notes = Notes(self._clock, self._audit.sink if self._audit is not None else None)
        scope.setdefault("state", {})["notes"] = notes
        seen = _Seen(self, scope, notes)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
            elif message["type"] == "http.response.body":
                seen.bytes_out += len(message.get("body", b""))
            await send(message)

        token = otel_context.attach(seen.context)
        try:
            await app(scope, receive, watched)
        finally:
            otel_context.detach(token)
            seen.end()


class Observed:
    """An observer around an application, as plain ASGI."""

    def __init__(self, app: ASGIApp, *, observer: Observer) -> None:
        self.app = app
        self.observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await self.observer.serve(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)


class _Seen:
    """One request, from its head to the end of its answer."""

    def __init__(self, observer: Observer, scope: Scope, notes: Notes) -> None:
        self._observer = observer
        self._scope = scope
        self._notes = notes
        self._started = observer._clock()
        self._path: str = scope["path"]
        self._quiet = self._path.startswith(_QUIET)
        self._method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        self._labels = observer._meters.began(self._method, "https" if scope.get("scheme") == "https" else "http")
        self._span: Span | None = None
        self.context = _given(scope)
        self.status: int | None = None
        self.bytes_out = 0
        if not self._quiet and (observer._traces or self.context):
            self._begin()

    def _begin(self) -> None:
        """Where nobody traces, only the client's own trace is told."""
        observer = self._observer
        facts = self._facts() if observer._traces else None
        self._span = observer._tracer.start_span(self._named(None), self.context, SpanKind.SERVER, facts)
        self.context = set_span_in_context(self._span, self.context)
        told = self._span.get_span_context()
        self._notes.trace_id = format_trace_id(told.trace_id) if told.is_valid else None

    def _facts(self) -> dict[str, str | int]:
        """What a span begins with."""
        facts: dict[str, str | int] = {**self._labels, names.URL_PATH: self._path[:_LONGEST_PATH]}
        server = self._scope.get("server")
        if server:
            facts |= {names.SERVER_ADDRESS: server[0], **({names.SERVER_PORT: server[1]} if server[1] else {})}
        facts[names.PROTOCOL_VERSION] = self._scope.get("http_version", "1.1")
        return facts

    def _named(self, route: str | None) -> str:
        method = "HTTP" if self._method == "_OTHER" else self._method
        return f"{method} {route}" if route else method

    def end(self) -> None:
        """The answer has been sent, or nobody is there to take it."""
        observer, notes = self._observer, self._notes
        route = getattr(self._scope.get("route"), "path_format", None)
        seconds = observer._clock() - self._started
        observer._meters.ended(self._labels, route=route, status=self.status, seconds=seconds, code=notes.code)
        added = notes.added
        if added is not None:
            observer._meters.added(route, added)
        if self._span is not None:
            self._describe(self._span, route)
            self._span.end()
        if observer._access:
            level = logging.DEBUG if self._quiet and (self.status or 500) < 400 else logging.INFO
            if log.isEnabledFor(level):
                line = self._line(route, seconds, added)
                log.handle(log.makeRecord(log.name, level, __file__, 0, "request", (), None, extra={"line": line}))

    def _describe(self, span: Span, route: str | None) -> None:
        if not span.is_recording():
            return
        if route is not None:
            span.update_name(self._named(route))
            span.set_attribute(names.HTTP_ROUTE, route)
        if self.status is not None:
            span.set_attribute(names.HTTP_STATUS, self.status)
        if self.status is not None and self.status >= 500:
            span.set_attribute(names.ERROR_TYPE, self._notes.code or str(self.status))
            span.set_status(Status(StatusCode.ERROR))

    def _line(self, route: str | None, seconds: float, added: float | None) -> Line:
        notes, story = self._notes, self._notes.story
        line = Line(
            event="request",
            request_id=notes.request_id,
            trace_id=notes.trace_id,
            method=self._method,
            route=route,
            status=self.status,
            code=notes.code,
            key=notes.key,
            joined=notes.joined or None,
            charged_usd=None if notes.charged_usd is None else f"{notes.charged_usd:f}",
            seconds=round(seconds, 6),
            added_seconds=None if added is None else round(added, 6),
            bytes_in=notes.bytes_in,
            bytes_out=self.bytes_out,
            alias=notes.alias,
        )
        if story is not None:
            line.alias, line.task, line.images = story.alias or None, story.task, story.images
            line.deployment, line.model, line.region = story.deployment, story.model, story.region
            line.cache, line.attempts = story.cache, len(story.attempts)
            line.cost_usd = None if story.cost_usd is None or notes.joined else f"{story.cost_usd:f}"
        return line


def _given(scope: Scope) -> Context:
    """The trace that the client is in. With more than one traceparent it is in none, as W3C says."""
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name in (b"traceparent", b"tracestate"):
            found.setdefault(name.decode(), []).append(value.decode("latin-1"))
    if len(found.get("traceparent", ())) != 1:
        return Context()
    carrier = {"traceparent": found["traceparent"][0], "tracestate": ",".join(found.get("tracestate", ()))}
    return _TRACE.extract(carrier, context=Context())
