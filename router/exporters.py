"""Where the command line sends spans and metrics. Only this file and `console` know the OpenTelemetry SDK."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["EXPORTERS", "Configured", "configure"]

EXPORTERS = ("none", "console", "otlp")

_PATIENCE = 2.0
"""Seconds for one export, retries included: a command does not hang at its end because a collector is away."""
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT")

Configured = tuple["TracerProvider", "MeterProvider", Callable[[], None]]
"""Tracer provider, meter provider, and what sends the rest and ends them; call it once, at exit."""


def configure(exporter: str, endpoint: str | None = None, *, readers: Sequence[Any] = ()) -> Configured:
    """Providers for `Telemetry`: ``none``, ``console`` (one line per span and metric on stderr) or ``otlp`` (HTTP).

    ``endpoint`` is the collector's base URL, ``http://localhost:4318``; without it OTEL_EXPORTER_OTLP_ENDPOINT counts.
    ``readers`` are further readers of the metrics, whatever the exporter. The global providers are left alone. Raises
    ConfigError.
    """
    if exporter not in EXPORTERS:
        close = get_close_matches(str(exporter), EXPORTERS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(
            f"telemetry.exporter must be one of {', '.join(EXPORTERS)}, not {str(exporter)[:80]!r}{hint}",
            path="telemetry.exporter",
        )
    if endpoint is not None:
        _check(exporter, endpoint)
    if exporter == "none":
        return _none(readers)
    return _console(readers) if exporter == "console" else _otlp(endpoint, readers)


def _check(exporter: str, endpoint: str) -> None:
    path = "telemetry.endpoint"
    if exporter != "otlp":
        raise ConfigError(f"{path} is for the exporter otlp; the exporter is {exporter}", path=path)
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        plain = parts.username is None and not parts.query and not parts.fragment
    except ValueError:
        good = plain = False
    if not (good and plain):  # not shown: a URL may hold a password
        message = f"{path} must be an http or https URL without user, query and fragment: http://localhost:4318"
        raise ConfigError(message, path=path)


def _none(readers: Sequence[Any]) -> Configured:
    from opentelemetry.metrics import NoOpMeterProvider
    from opentelemetry.trace import NoOpTracerProvider

    if not readers:
        return NoOpTracerProvider(), NoOpMeterProvider(), lambda: None
    from opentelemetry.sdk.metrics import MeterProvider

    meter_provider = MeterProvider(resource=_resource(), metric_readers=readers, shutdown_on_exit=False)
    return NoOpTracerProvider(), meter_provider, meter_provider.shutdown


def _console(readers: Sequence[Any]) -> Configured:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    from .console import LineMetricExporter, LineSpanExporter

    return _providers(SimpleSpanProcessor(LineSpanExporter(sys.stderr)), LineMetricExporter(sys.stderr), readers)


def _otlp(endpoint: str | None, readers: Sequence[Any]) -> Configured:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        message = "the telemetry exporter otlp needs a package that is not installed: pip install 'lascaux[otlp]'"
        raise ConfigError(message, path="telemetry.exporter") from None
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    base = endpoint.rstrip("/") if endpoint else None
    timeout = None if any(name in os.environ for name in _TIMEOUTS) else _PATIENCE
    spans = OTLPSpanExporter(endpoint=f"{base}/v1/traces" if base else None, timeout=timeout)
    metrics = OTLPMetricExporter(endpoint=f"{base}/v1/metrics" if base else None, timeout=timeout)
    return _providers(BatchSpanProcessor(spans), metrics, readers)


def _resource() -> Any:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):  # the environment names none
        resource = resource.merge(Resource({SERVICE_NAME: "lascaux"}))
    return resource


def _providers(processor: Any, metric_exporter: Any, readers: Sequence[Any]) -> Configured:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    resource = _resource()
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer_provider.add_span_processor(processor)
    reader = PeriodicExportingMetricReader(metric_exporter)
    meter_provider = MeterProvider(resource=resource, metric_readers=[reader, *readers], shutdown_on_exit=False)

    def shutdown() -> None:
        tracer_provider.shutdown()
        meter_provider.shutdown()

    return tracer_provider, meter_provider, shutdown
