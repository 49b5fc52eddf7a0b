"""The metrics' instruments, by their names in `telemetry_names`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, MeterProvider, NoOpCounter, Observation, get_meter

from . import telemetry_names as names

__all__ = ["Instruments", "Learned", "Standing"]

Learned = Callable[[], Iterable[tuple[str, str, str, int]]]
"""(deployment, model, region, calls a minute) of all whose quota has been learned."""

Standing = Callable[[], Iterable[tuple[str, str, str, str, int]]]
"""(deployment, model, region, state of the breaker, calls under way) of everybody in the configuration."""

_STATES = ("closed", "open", "half_open")


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

    def watch(self, learned: Learned, standing: Standing) -> None:
        """Ask them at every collection."""

        def limits(_: CallbackOptions) -> Iterable[Observation]:
            for deployment, model, region, rpm in learned():
                yield Observation(rpm, _place(deployment, model, region))

        def breakers(_: CallbackOptions) -> Iterable[Observation]:
            for deployment, model, region, state, _calls in standing():
                for one in _STATES:
                    yield Observation(
                        int(one == state), {**_place(deployment, model, region), names.BREAKER_STATE: one}
                    )

        def calls(_: CallbackOptions) -> Iterable[Observation]:
            for deployment, model, region, _state, in_flight in standing():
                yield Observation(in_flight, _place(deployment, model, region))

        gauge = self._meter.create_observable_gauge
        gauge(names.LEARNED_RPM, [limits], "{call}", "Calls a minute that throttling has taught")
        gauge(names.BREAKER_NOW, [breakers], "{state}", "1 for the state in which the circuit breaker is, else 0")
        gauge(names.IN_FLIGHT, [calls], "{call}", "Upstream calls under way")


def _place(deployment: str, model: str, region: str) -> dict[str, str]:
    return {names.DEPLOYMENT: deployment, names.MODEL: model, names.REGION: region}
