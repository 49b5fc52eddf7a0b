"""A deployment: who it is, and how it is doing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ..providers.errors import Effect, LascauxError
from ..providers.types import Call, Target
from .health import CircuitBreaker, HealthPolicy, State
from .quota import Limits

__all__ = ["Candidate", "Deployment", "Permit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A deployment that can serve this request, with the calls already written for its model.

    ``key`` is the cache key of its only call, None when the answer is not reproducible or several calls are needed.
    """

    deployment: Deployment
    calls: tuple[Call, ...]
    weight: float = 1.0
    priority: int = 0
    key: str | None = None

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.deployment.name


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. It must be given back with `Deployment.settle`, whatever happens."""

    candidate: Candidate
    probe: bool
    panic: bool
    breaker: CircuitBreaker
    """Who shall be told the outcome: not the one that came with new credentials in the meantime."""


class Deployment:
    """One place that can serve an alias: model, region, credentials; and its live state.

    The state is guarded by the router's lock: `begin`, `settle` and the readings below are called under it, never block
    and do no I/O.
    """

    __slots__ = ("_breaker", "eol", "in_flight", "limits", "name", "replacement", "retired", "target")

    def __init__(
        self,
        target: Target,
        *,
        health: HealthPolicy,
        limits: Limits | None = None,
        eol: date | None = None,
        replacement: str | None = None,
    ) -> None:
        self.name = target.deployment
        self.target = target
        self.limits = limits or Limits()
        self.eol = eol
        """The day the model's life ends, as the catalogue knows it."""
        self.replacement = replacement
        self.retired = False
        """The end of life has passed, or the model said so itself: ask only when nobody else is left."""
        self.in_flight = 0
        self._breaker = CircuitBreaker(health)

    def state(self, now: float) -> State:
        """Where the circuit breaker stands."""
        return self._breaker.state(now)

    def ready(self, now: float) -> bool:
        """May it be asked now: breaker closed or ready for a probe, not resting, below its limits?"""
        return self._breaker.admits(now) and self.limits.free_in(now, self.in_flight) == 0.0

    def share(self, now: float) -> float:
        """The part of its weight that it shall get now: above 0, at most 1."""
        return 1.0

    def sheltered(self, now: float) -> bool:
        """Is it kept from traffic by its breaker alone, so that panic may ask it all the same?"""
        return (
            self._breaker.state(now) is not State.CLOSED
            and now >= self._breaker.rest_until
            and self.limits.free_in(now, self.in_flight) == 0.0
        )

    def rests_for(self, now: float) -> float | None:
        """Seconds until a wait would pay off: throttling or a limit will have passed. None if waiting is no plan."""
        if self._breaker.state(now) is not State.CLOSED:
            return None
        limit = self.limits.free_in(now, self.in_flight)
        if limit is None:
            return max(self._breaker.ready_in(now), _POLL)
        return max(self._breaker.ready_in(now), limit)

    def ready_in(self, now: float) -> float:
        """Seconds until it may be asked again at the earliest."""
        return max(self._breaker.ready_in(now), self.limits.free_in(now, self.in_flight) or 0.0)

    def begin(self, candidate: Candidate, now: float, *, panic: bool = False) -> Permit:
        """Take a place for one call."""
        self.in_flight += 1
        self.limits.take(now)
        return Permit(candidate, self._breaker.begin(now), panic, self._breaker)

    def settle(self, permit: Permit, now: float, error: LascauxError | None = None, *, abandoned: bool = False) -> None:
        """Give the place back and learn from the outcome. Errors of the caller or of policy prove that it works."""
        self.in_flight -= 1
        breaker = permit.breaker
        if abandoned:
            breaker.abandoned(probe=permit.probe)
        elif error is None or error.effect is Effect.NONE:
            breaker.succeeded(probe=permit.probe)
        else:
            self.retired = self.retired or (error.effect is Effect.RETIRED and breaker is self._breaker)
            breaker.failed(error.effect, now, probe=permit.probe, retry_after=getattr(error, "retry_after", None))

    def renew(self, fresh: Deployment) -> None:
        """Take the settings of ``fresh``, made for the same place from a newer configuration; the live state goes on.

        Calls under way, the window of limits, breaker and retirement are of the place, so requests that began before share
        them with those that begin now. Other credentials may fare better than the old ones: for them breaker and
        retirement begin anew, and what becomes of calls made with the old ones is no news about them.
        """
        if fresh.target.credentials == self.target.credentials:
            self._breaker.policy = fresh._breaker.policy
        else:
            self._breaker = fresh._breaker
            self.retired = False
        self.target = fresh.target
        self.eol = fresh.eol
        self.replacement = fresh.replacement
        self.limits.change(fresh.limits.rpm, fresh.limits.concurrency)

    def forget_calls(self) -> None:
        """After a fork: the calls under way are those of the parent."""
        self.in_flight = 0
        self._breaker.abandoned(probe=True)

    def __repr__(self) -> str:
        return f"<Deployment {self.name} {self.target.model_id} {self.target.region} in_flight={self.in_flight}>"


_POLL = 0.05
"""Seconds between looks at a deployment whose every place is taken."""
