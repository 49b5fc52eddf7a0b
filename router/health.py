"""The circuit breaker of one deployment: a pure state machine that is told the time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..providers.errors import Effect

__all__ = ["CircuitBreaker", "HealthPolicy", "State"]

_FIRST_REST = 1.0
"""Seconds a throttled deployment rests when AWS names no time. Bedrock sends no rate-limit headers."""


class State(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """When to stop asking a deployment, and for how long (seconds)."""

    failures: int = 5
    cooldown: float = 30.0
    max_cooldown: float = 300.0
    panic_threshold: float = 0.5


class CircuitBreaker:
    """Closed until ``failures`` failures in a row; then open for a cooldown that doubles each time it fails again.

    After the cooldown one probe is let through: success closes the breaker, failure opens it for longer. Throttling is not
    illness: it makes the deployment *rest* without opening the breaker. Not locked; the caller holds the lock.
    """

    __slots__ = ("_failures", "_openings", "_probing", "_rests", "_until", "policy", "rest_until")

    def __init__(self, policy: HealthPolicy) -> None:
        self.policy = policy
        self._failures = 0
        self._openings = 0
        self._until: float | None = None
        self._probing = False
        self._rests = 0
        self.rest_until = 0.0

    def state(self, now: float) -> State:
        """Where the breaker stands at ``now``."""
        if self._until is None:
            return State.CLOSED
        return State.OPEN if now < self._until else State.HALF_OPEN

    def admits(self, now: float) -> bool:
        """May an ordinary request (or a probe, when half open) be sent now?"""
        if now < self.rest_until:
            return False
        state = self.state(now)
        return state is State.CLOSED or (state is State.HALF_OPEN and not self._probing)

    def ready_in(self, now: float) -> float:
        """Seconds until `admits` may turn true again; 0 if it may now."""
        return max(self.rest_until, self._until or 0.0, now) - now

    def begin(self, now: float) -> bool:
        """Note that a call starts. True if it is the probe."""
        probe = self.state(now) is State.HALF_OPEN and not self._probing
        self._probing = self._probing or probe
        return probe

    def succeeded(self, *, probe: bool) -> None:
        """The deployment answered. A late answer of an older call does not close an open breaker."""
        if probe:
            self._probing = False
        if probe or self._until is None:
            self._failures = self._openings = self._rests = 0
            self._until = None

    def abandoned(self, *, probe: bool) -> None:
        """The caller went away before there was an answer: nothing was learned."""
        if probe:
            self._probing = False

    def failed(self, effect: Effect, now: float, *, probe: bool, retry_after: float | None = None) -> None:
        """The call ended in an error with this effect."""
        if probe:
            self._probing = False
        if effect is Effect.COOLDOWN:
            self._rest(now, retry_after)
        elif effect is Effect.OUT:
            self._open(now, self.policy.max_cooldown)
        elif effect is Effect.FAILURE and (probe or self._until is None):
            self._failures += 1
            if probe or self._failures >= self.policy.failures:
                self._open(now, self.policy.cooldown * 2**self._openings)
            if retry_after:
                self._rest(now, retry_after)

    def _rest(self, now: float, retry_after: float | None) -> None:
        if now < self.rest_until and retry_after is None:
            return  # calls already on their way when the first was throttled say nothing new
        wait = retry_after if retry_after is not None else min(_FIRST_REST * 2**self._rests, self.policy.cooldown)
        self._rests = min(self._rests + 1, 16)
        self.rest_until = max(self.rest_until, now + min(wait, self.policy.max_cooldown))

    def _open(self, now: float, cooldown: float) -> None:
        self._openings = min(self._openings + 1, 16)
        self._failures = 0
        self._until = now + min(cooldown, self.policy.max_cooldown)
