"""What is counted of the gateway: OpenTelemetry's instruments, with labels of which there are only so many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from decimal import Decimal

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from ..router import telemetry_names as names

__all__ = ["METHODS", "Meters"]

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
"""What clients may make up beyond these is ``_OTHER``, as the conventions say."""

Labels = dict[str, str | int]

_ZERO = Decimal(0)


class Meters:
    """The gateway's instruments. Without a meter provider they do nothing.

    What is but a sum is added up here, and told when it is asked for: an instrument takes 15 us for each that it is told.
    """

    def __init__(self, version: str, provider: MeterProvider | None) -> None:
        self._meter = meter = get_meter(names.SCOPE, version, provider, names.SCHEMA_URL)
        self._duration = meter.create_histogram(
            names.HTTP_DURATION,
            "s",
            "Duration of HTTP requests, until the last byte of the answer",
            explicit_bucket_boundaries_advisory=names.HTTP_SECONDS,
        )
        self._added = meter.create_histogram(
            names.ADDED,
            "s",
            "What the gateway adds: from the complete request to the ready answer, without calls and waits",
            explicit_bucket_boundaries_advisory=names.ADDED_SECONDS,
        )
        self._active: dict[tuple[str, str], int] = {}
        told = self._told_active
        meter.create_observable_up_down_counter(names.HTTP_ACTIVE, [told], "{request}", "HTTP requests under way")
        self._errors = meter.create_counter(names.ERRORS, "{request}", "Answers that are errors, by code")
        self._spent: dict[str, Decimal] = {}
        self._lock = threading.Lock()
        meter.create_observable_counter(names.SPENT, [self._told_spent], "{USD}", "Settled cost by key")
        self._lost = meter.create_counter(names.AUDIT_LOST, "{line}", "Lines of the audit that could not be written")
        self._lost.add(0)

    def began(self, method: str, scheme: str) -> Labels:
        """A request has come in; its labels."""
        self._count((method, scheme), 1)
        return {names.HTTP_METHOD: method, names.URL_SCHEME: scheme}

    def ended(self, labels: Labels, *, route: str | None, status: int | None, seconds: float, code: str | None) -> None:
        """It is over. ``status`` is None if its client had gone before the answer began."""
        self._count((str(labels[names.HTTP_METHOD]), str(labels[names.URL_SCHEME])), -1)
        where: Labels = {names.HTTP_ROUTE: route} if route else {}
        told = labels | where
        if code is not None:
            self._errors.add(1, {**where, names.ERROR_TYPE: code})
        if status is not None:
            told[names.HTTP_STATUS] = status
            if status >= 500:
                told[names.ERROR_TYPE] = code or str(status)
        self._duration.record(seconds, told)

    def added(self, route: str | None, seconds: float) -> None:
        """What the gateway took for itself of a request that was answered with pictures."""
        self._added.record(seconds, {names.HTTP_ROUTE: route} if route else {})

    def spent(self, key: str, usd: Decimal) -> None:
        """A bill was settled."""
        with self._lock:
            self._spent[key] = self._spent.get(key, _ZERO) + usd

    def _count(self, place: tuple[str, str], more: int) -> None:
        with self._lock:
            self._active[place] = self._active.get(place, 0) + more

    def _told_active(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            found = list(self._active.items())
        return [
            Observation(count, {names.HTTP_METHOD: method, names.URL_SCHEME: scheme})
            for (method, scheme), count in found
        ]

    def _told_spent(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            found = list(self._spent.items())
        return [Observation(float(usd), {names.KEY: key}) for key, usd in found]

    def lost(self) -> None:
        """A line of the audit could not be written."""
        self._lost.add(1)

    def watch(self, places: Callable[[], int], buffered: Callable[[], int]) -> None:
        """Ask at every collection how many requests with bodies are under way, and how much memory these bodies take."""

        def asked(source: Callable[[], int]) -> Callable[[CallbackOptions], Iterable[Observation]]:
            return lambda _: (Observation(source()),)

        gauge = self._meter.create_observable_gauge
        gauge(names.PLACES, [asked(places)], "{request}", "Requests with bodies under way")
        gauge(names.BODIES, [asked(buffered)], "By", "Memory that the bodies of requests under way take")
