"""Spans and metrics as single lines of text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

__all__ = ["LineMetricExporter", "LineSpanExporter"]


class LineSpanExporter(SpanExporter):
    """Writes a line per span when it ends: name, seconds, status, attributes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans."""
        for span in spans:
            seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
            status = "error" if not span.status.is_ok else "ok"
            self._out.write(f"span    {span.name}  {seconds:.3f} s  {status}  {_pairs(span.attributes)}\n")
        self._out.flush()
        return SpanExportResult.SUCCESS


class LineMetricExporter(MetricExporter):
    """Writes a line per metric and set of attributes: the sum, or count and mean of a histogram."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Write the metrics."""
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        pairs = _pairs(point.attributes)
                        self._out.write(f"metric  {metric.name}  {_figure(point)} {metric.unit}  {pairs}\n")
        self._out.flush()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is kept back."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing to give back: the stream is not ours."""


def _figure(point: Any) -> str:
    if isinstance(point, HistogramDataPoint):
        return f"{point.count} x {point.sum / point.count if point.count else 0:.3f}"
    return f"{point.value:g}" if isinstance(point, NumberDataPoint) else "?"


def _pairs(attributes: Mapping[str, Any] | None) -> str:
    return " ".join(f"{key}={_word(value)}" for key, value in (attributes or {}).items())


def _word(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(str(item) for item in value)
    words = str(value)
    return words if words.isprintable() and " " not in words else ascii(words)
