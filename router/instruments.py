"""The metrics' instruments, by their names in `telemetry_names`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, MeterProvider, NoOpCounter, Observation, get_meter

from . import telemetry_names as names

__all__ = ["Instruments", "Learned"]

Learned = Callable[[], Iterable[tuple[str, str, str, int]]]
"""(deployment, model, region, calls a minute) of all whose quota has been learned."""


class Instruments:
    """The instruments of one router. Without a meter provider they do nothing."""

    def __init__(self, version: str, provider: MeterProvider | None) -> None:
        self._meter = meter = get_meter(names.SCOPE, version, provider, names.SCHEMA_URL)
        self.attempt_duration = meter.create_histogram(
            names.ATTEMPT_DURATION,
            "s",
            "Duration of one upstream call",
            explicit_bucket_boundaries_advisory=names.SECONDS,
        )
        self.request_duration = meter.create_histogram(
            names.REQUEST_DURATION,
            "s",
            "Duration of a request with all its attempts and waits",
            explicit_bucket_boundaries_advisory=names.LONG_SECONDS,
        )
        self.images = meter.create_counter(names.IMAGES, "{image}", "Pictures by outcome")
        self.cost = meter.create_counter(names.COST, "{USD}", "Known cost of the pictures that were made")
        self.saved = meter.create_counter(names.COST_SAVED, "{USD}", "What answers from the cache would have cost")
        self.cache = meter.create_counter(names.CACHE, "{request}", "Answered requests by what the cache did")
        self.attempts = meter.create_counter(names.ATTEMPTS, "{attempt}", "Upstream calls by outcome")
        self.retries = meter.create_counter(names.RETRIES, "{attempt}", "Attempts made because another one had failed")
        self.breaker = meter.create_counter(names.BREAKER, "{transition}", "Circuit breaker transitions by new state")
        self.reloads = meter.create_counter(names.RELOADS, "{reload}", "Configurations read while running, by outcome")
        self.line_wait = meter.create_histogram(
            names.LINE_WAIT,
            "s",
            "Time in line of those that had to wait",
            explicit_bucket_boundaries_advisory=names.LONG_SECONDS,
        )

    @property
    def heard(self) -> bool:
        """Does anybody count? False while no meter provider is set; asked anew each time, for one may be set later."""
        counter = getattr(self.attempts, "_real_instrument", self.attempts)  # the API's own stands in for a later one
        return counter is not None and not isinstance(counter, NoOpCounter)

    def watch(self, learned: Learned) -> None:
        """Ask ``learned`` at every collection."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for deployment, model, region, rpm in learned():
                yield Observation(rpm, {names.DEPLOYMENT: deployment, names.MODEL: model, names.REGION: region})

        self._meter.create_observable_gauge(
            names.LEARNED_RPM, [observe], "{call}", "Calls a minute that throttling has taught"
        )
