"""What a process of ``lascaux serve`` is looked on with: traces, metrics and the audit, as the configuration has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .audit import open_audit
from .metrics import Scrape
from .observe import Observer

if TYPE_CHECKING:
    from ..router.config import Config

__all__ = ["Observation", "observation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The parts: providers for the router, the observer for the application, the scrape for ``/metrics``."""

    tracer_provider: Any
    meter_provider: Any
    observer: Observer
    scrape: Scrape
    shutdown: Callable[[], None]
    """Sends the rest; call it once, at exit."""


def observation(config: Config, *, worker: int = 0) -> Observation:
    """Set everything up for the process that is number ``worker``. Raises ConfigError."""
    from .. import __version__
    from ..router.exporters import configure

    telemetry = config.telemetry
    endpoint = telemetry.endpoint if telemetry.exporter == "otlp" else None
    scrape = Scrape(str(worker), version=__version__)
    audit = open_audit(config.server.audit)
    tracer_provider, meter_provider, shutdown = configure(telemetry.exporter, endpoint, readers=[scrape.reader])
    observer = Observer(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        access=True,
        audit=audit,
        version=__version__,
    )
    return Observation(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        observer=observer,
        scrape=scrape,
        shutdown=shutdown,
    )
