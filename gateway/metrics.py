"""``/metrics`` for Prometheus: what one process has counted as text, and the texts of several put together."""

from __future__ import annotations

import asyncio
import platform
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .edge import answer
from .errors import Refused, failure_of
from .gate import Gate
from .story import notes_of

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from prometheus_client import Metric

__all__ = ["Gather", "MetricsPage", "Scrape", "merge"]

Gather = Callable[[], Awaitable[Mapping[int, bytes]]]
"""What every worker has counted, by its index, as `Scrape.render` gives it."""

_NAMES = {
    "lascaux_cost": "lascaux_cost_usd",
    "lascaux_cost_saved": "lascaux_cost_saved_usd",
    "lascaux_gateway_spent": "lascaux_gateway_spent_usd",
}
"""Prometheus wants the unit in the name, and of dollars the exporter knows nothing."""


class Scrape:
    """What this process has counted, for Prometheus. ``reader`` goes to the meter provider.

    Beside OpenTelemetry's metrics stand those of the process (memory, descriptors, CPU) and ``lascaux_build_info``. Every
    sample says by its label ``worker`` which process it is of. The registry is its own: nothing else gets into it.
    """

    def __init__(self, worker: str = "0", *, version: str = "0.1.0") -> None:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import CollectorRegistry, ProcessCollector

        self.worker = worker
        self._version = version
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self.reader: MetricReader = PrometheusMetricReader(
            disable_target_info=True, scope_info_enabled=False, registry=self._registry
        )
        ProcessCollector(registry=self._registry)

    def collect(self) -> Iterator[Metric]:
        """All families, as `prometheus_client` has them."""
        from prometheus_client.core import GaugeMetricFamily

        build = GaugeMetricFamily("lascaux_build_info", "Version of the gateway", labels=("version", "python"))
        build.add_metric((self._version, platform.python_version()), 1)
        for family in (build, *self._registry.collect()):
            yield _labelled(family, self.worker)

    def render(self) -> bytes:
        """In Prometheus's text format. Takes a few milliseconds: not for the event loop."""
        from prometheus_client.exposition import generate_latest

        with self._lock:  # the reader hands over what it has collected by way of one queue
            return generate_latest(self)

    async def told(self, question: bytes = b"") -> bytes:
        """`render` for an event loop; every worker answers with it when one of them is asked."""
        return await asyncio.to_thread(self.render)


class MetricsPage:
    """The address. With keys it needs an admin's, as everything that tells of everybody."""

    def __init__(self, gate: Gate, gather: Gather) -> None:
        self._gate = gate
        self._gather = gather

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one scrape, in the format that it asks for."""
        request = Request(scope, receive)
        try:
            if self._gate.keyed:
                notes_of(scope).key = self._gate.identify_admin(request.headers.get("authorization")).name
        except Refused as error:
            notes_of(scope).refused(error)
            await answer(failure_of(error))(scope, receive, send)
            return
        body, kind = await asyncio.to_thread(
            merge, list((await self._gather()).values()), request.headers.get("accept", "")
        )
        await Response(body, headers={"content-type": kind, "cache-control": "no-store"})(scope, receive, send)


class _Families:
    """Families of metrics as something that can be written out."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def merge(expositions: Sequence[bytes], accept: str = "") -> tuple[bytes, str]:
    """The texts of several processes as one, and its content type: OpenMetrics if ``accept`` asks for it, else plain text.

    Every family stands there once, with the samples of all.
    """
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.parser import text_string_to_metric_families

    found: dict[str, Metric] = {}
    for exposition in expositions:
        for family in text_string_to_metric_families(exposition.decode()):
            known = found.setdefault(family.name, family)
            if known is not family:
                known.samples.extend(family.samples)
    encoder, kind = choose_encoder(accept)
    return encoder(_Families(found.values())), kind


def _labelled(family: Metric, worker: str) -> Metric:
    from prometheus_client import Metric

    name = _NAMES.get(family.name, family.name)
    made = Metric(name, family.documentation, family.type)
    made.samples = [
        sample._replace(
            name=name + sample.name[len(family.name) :],
            labels={**{key: value for key, value in sample.labels.items() if value}, "worker": worker},
        )
        for sample in family.samples
    ]
    return made
