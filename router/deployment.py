"""A deployment: who it is, and how it is doing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

from ..providers.bedrock.ids import Kind, ModelRef
from ..providers.catalog import Model
from ..providers.errors import Effect, LascauxError
from ..providers.quick import quick
from ..providers.types import Call, Target
from .health import CircuitBreaker, HealthPolicy, State
from .quota import Limits

__all__ = ["Candidate", "Deployment", "Permit", "wire_id"]


@quick
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


@dataclass(slots=True, eq=False)
class Permit:
    """Leave to make one call. It must be given back with `Deployment.settle`, whatever happens."""

    candidate: Candidate
    probe: bool
    panic: bool
    breaker: CircuitBreaker
    """Who shall be told the outcome: not the one that came with new credentials in the meantime."""
    taken: float
    """When the call counts as sent."""
    beyond: bool = False
    """It goes beyond the learned quota, to try whether there is more."""
    sent: bool = False
    score: float | None = None
    """The figure by which it was picked, where the strategy compares figures."""

    def depart(self, now: float) -> None:
        """The call leaves now: it may have waited for a thread since it took its place. Under the router's lock."""
        if not self.sent:
            self.candidate.deployment.limits.depart(self.taken, now)
            self.taken = now
            self.sent = True


_LOADING = "model_not_ready"
"""The code of a throttled answer that says nothing about quotas: Bedrock is still loading the model."""
_RECENT = 8
"""Calls over which durations are averaged, roughly."""
_WIDE = 3
"""Mean deviations above the average, as TCP's retransmission timer has it with four (RFC 6298)."""


class Deployment:
    """One place that can serve an alias: model, region, credentials; and its live state.

    The state is guarded by the router's lock: `begin`, `settle` and the readings below are called under it, never block
    and do no I/O.
    """

    __slots__ = (
        "_breaker",
        "_spread",
        "eol",
        "in_flight",
        "limits",
        "name",
        "replacement",
        "retired",
        "target",
        "typical",
    )

    def __init__(
        self,
        target: Target,
        *,
        health: HealthPolicy,
        limits: Limits | None = None,
        eol: date | None = None,
        replacement: str | None = None,
        rng: Random | None = None,
    ) -> None:
        """``rng`` draws the jitter of cooldowns; without it there is none."""
        self.name = target.deployment
        self.target = target
        self.limits = limits or Limits()
        self.eol = eol
        """The day the model's life ends, as the catalogue knows it."""
        self.replacement = replacement
        self.retired = False
        """The end of life has passed, or the model said so itself: ask only when nobody else is left."""
        self.in_flight = 0
        self._spread = 0.0
        self.typical = 0.0
        """Seconds that a call takes, a moving average; 0 until one has answered."""
        self._breaker = CircuitBreaker(health, rng)

    @property
    def learned_rpm(self) -> int | None:
        """Calls a minute that throttling has taught; None until it did."""
        return self.limits.quota.limit

    def state(self, now: float) -> State:
        """Where the circuit breaker stands."""
        return self._breaker.state(now)

    def probe_in(self, now: float) -> float | None:
        """Seconds until the circuit breaker lets a probe through; None while it is closed."""
        return self._breaker.probe_in(now)

    def resting(self, now: float) -> float:
        """Seconds for which it is left alone because it was throttled; 0 if it is not."""
        return max(self._breaker.rest_until - now, 0.0)

    def recent(self, now: float) -> tuple[int, int]:
        """Calls of the last half minute, and failures among them."""
        return self._breaker.recent(now)

    def share(self, now: float) -> float:
        """The part of its ordinary traffic that it should take, above 0 and at most 1: less while it has just come back."""
        return self._breaker.share(now)

    def ready(self, now: float) -> bool:
        """May it be asked now: breaker closed or ready for a probe, not resting, below its limits?"""
        return now >= self.limits.shut and self._breaker.admits(now) and self.limits.free(now, self.in_flight) > 0

    def free(self, now: float) -> int:
        """Calls that may start now."""
        if now < self.limits.shut or not self._breaker.admits(now):
            return 0
        free = self.limits.free(now, self.in_flight)
        return free if self._breaker.state(now) is State.CLOSED else min(free, 1)

    def sheltered(self, now: float) -> bool:
        """Is it kept from traffic by its breaker alone, so that panic may ask it all the same?"""
        return (
            self._breaker.state(now) is not State.CLOSED
            and now >= self._breaker.rest_until
            and self.limits.free(now, self.in_flight) > 0
        )

    def awaited(self, now: float) -> bool:
        """Does a wait pay off: is it kept from traffic by throttling or a limit only?"""
        return self._breaker.state(now) is State.CLOSED

    def free_in(self, now: float) -> float | None:
        """Seconds until a place may be free: 0 now, None when only the end of a running call will tell."""
        limit = self.limits.free_in(now, self.in_flight)
        if limit is None:
            return None
        wait = max(self._breaker.ready_in(now), limit)
        return None if wait == 0.0 and not self._breaker.admits(now) else wait  # the probe is under way

    def slots(self, now: float, until: float) -> float:
        """Calls that could start from now to ``until`` if it answers as it did."""
        begin = now + self._breaker.ready_in(now)
        return self.limits.slots(now, until, self.in_flight, self.typical) if until >= begin else 0.0

    def ready_in(self, now: float) -> float:
        """Seconds until it may be asked again at the earliest."""
        return max(self._breaker.ready_in(now), self.limits.free_in(now, self.in_flight) or 0.0)

    def early(self, now: float) -> bool:
        """May a request be its probe that would have to wait otherwise?"""
        return self._breaker.admits_early(now) and self.limits.free(now, self.in_flight) > 0

    def early_in(self, now: float) -> float | None:
        """Seconds until it may have an early probe; None if that is no plan."""
        return self._breaker.early_in(now) if self.limits.free(now, self.in_flight) > 0 else None

    def begin(self, candidate: Candidate, now: float, *, panic: bool = False, early: bool = False) -> Permit:
        """Take a place for one call."""
        self.in_flight += 1
        beyond = self.limits.take(now)
        return Permit(candidate, self._breaker.begin(now, early=early), panic, self._breaker, now, beyond)

    def settle(self, permit: Permit, now: float, error: LascauxError | None = None, *, abandoned: bool = False) -> None:
        """Give the place back and learn from the outcome. Errors of the caller or of policy prove that it works."""
        self.in_flight -= 1
        breaker = permit.breaker
        if abandoned:
            breaker.abandoned(probe=permit.probe)
            if not permit.sent:
                self.limits.give_back(permit.taken)
        elif error is None or error.effect is Effect.NONE:
            breaker.succeeded(now, probe=permit.probe, left=permit.taken)
            self.limits.quota.accepted(permit.taken, now, beyond=permit.beyond)
            self._time(now - permit.taken)
        elif error.effect is Effect.COOLDOWN:
            self._throttled(permit, now, error)
        else:
            self.retired = self.retired or (error.effect is Effect.RETIRED and breaker is self._breaker)
            wait = getattr(error, "retry_after", None)
            breaker.failed(error.effect, now, probe=permit.probe, retry_after=wait, left=permit.taken)
            if not error.may_be_billed:
                self.limits.quota.give_back(permit.taken)  # it proves nothing about how many come through

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

    def _time(self, took: float) -> None:
        if not self.typical:
            self.typical, self._spread = took, took / 2
            return
        self._spread += (abs(took - self.typical) - self._spread) / _RECENT
        self.typical += (took - self.typical) / _RECENT

    @property
    def lasting(self) -> float:
        """Seconds within which nearly every call ends; 0 until one has."""
        return self.typical + _WIDE * self._spread

    def _throttled(self, permit: Permit, now: float, error: LascauxError) -> None:
        """It is not ill. A quota teaches how much is possible; a named time, or a model that still loads, makes it rest."""
        permit.breaker.abandoned(probe=permit.probe)
        retry_after = getattr(error, "retry_after", None)
        loading = error.code == _LOADING
        if not loading:
            self.limits.quota.throttled(permit.taken, now, beyond=permit.beyond)
        if loading or retry_after:
            permit.breaker.rest(now, retry_after)

    def forget_calls(self) -> None:
        """After a fork: the calls under way are those of the parent."""
        self.in_flight = 0
        self._breaker.abandoned(probe=True)

    def __repr__(self) -> str:
        return f"<Deployment {self.name} {self.target.model_id} {self.target.region} in_flight={self.in_flight}>"


def wire_id(wire: ModelRef, model: Model) -> str:
    """The id for the URL. The thirteen services answer only to their ``us.`` profile."""
    if wire.kind is Kind.FOUNDATION_MODEL and not wire.is_arn and model.profile_only and model.profile:
        return model.profile
    return wire.model_id
