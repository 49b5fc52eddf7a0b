"""The circuit breaker of one deployment: a pure state machine that is told the time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from ..providers.errors import Effect

__all__ = ["CircuitBreaker", "HealthPolicy", "State"]

_FIRST_REST = 1.0
"""Seconds for which a model that is still loading rests when AWS names no time."""
_HALF = 15.0
"""Seconds. Calls are counted in two halves of a window that rolls on by one half at a time."""
_JITTER = 0.1
"""A cooldown is this much longer or shorter, so that the processes of a fleet do not all probe at once."""
_FIRST_SHARE = 0.1
_EARLY, _LATEST = 10.0, 20.0
"""Seconds after which a probe may be let through if it is that or waiting, the first time and at the most: a cooldown that
has doubled a few times outlasts the illness, and where all others are at their limits every minute of it costs pictures."""
_LATER = 1.25


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
    slow_start: float = 30.0
    panic_threshold: float = 0.5


class CircuitBreaker:
    """Closed until ``failures`` failures in a row, or so many within half a minute that are half of all calls.

    Then it is open for a cooldown that doubles each time it fails again. After the cooldown one probe is let through:
    success closes the breaker, failure opens it for longer. A request that nobody else can take now may be the probe
    earlier. Whoever comes back takes a share of the traffic that grows for ``slow_start`` seconds. Throttling is not
    illness: it makes the deployment *rest* where a time is named, without opening the breaker. Not locked; the caller
    holds the lock.
    """

    __slots__ = (
        "_calls",
        "_closed_at",
        "_early",
        "_failures",
        "_fell",
        "_half",
        "_openings",
        "_probing",
        "_rests",
        "_rng",
        "_until",
        "policy",
        "rest_until",
    )

    def __init__(self, policy: HealthPolicy, rng: Random | None = None) -> None:
        """Without ``rng`` cooldowns have no jitter."""
        self.policy = policy
        self._rng = rng
        self._failures = 0
        self._fell = 0.0  # when the call left that began this row of failures
        self._openings = 0
        self._until: float | None = None
        self._early = 0.0
        self._probing = False
        self._rests = 0
        self._closed_at: float | None = None
        self._half = 0
        self._calls = [0, 0, 0, 0]  # calls and failures of this half, and of the one before
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
        return self._until is None or (now >= self._until and not self._probing)

    def admits_early(self, now: float) -> bool:
        """May a request be the probe that would have to wait otherwise?"""
        return self._until is not None and now >= max(self._early, self.rest_until) and not self._probing

    def early_in(self, now: float) -> float | None:
        """Seconds until `admits_early` may turn true; None if it will not, or a probe is under way."""
        if self._until is None or self._probing:
            return None
        return max(self._early, self.rest_until, now) - now

    def ready_in(self, now: float) -> float:
        """Seconds until `admits` may turn true again; 0 if it may now."""
        return max(self.rest_until, self._until or 0.0, now) - now

    def probe_in(self, now: float) -> float | None:
        """Seconds until the next probe may be sent, 0 if it may now; None while the breaker is closed."""
        return None if self._until is None else self.ready_in(now)

    def recent(self, now: float) -> tuple[int, int]:
        """Calls that were answered within the last half minute, and those of them that failed."""
        halves = int(now // _HALF) - self._half
        calls = self._calls if halves == 0 else [*self._calls[:2], 0, 0] if halves == 1 else [0, 0, 0, 0]
        return calls[0] + calls[2], calls[1] + calls[3]

    def share(self, now: float) -> float:
        """The part of its ordinary traffic that it should take: from a tenth to 1 after it has come back."""
        if self._closed_at is None or not self.policy.slow_start:
            self._closed_at = None
            return 1.0
        grown = (now - self._closed_at) / self.policy.slow_start
        if grown >= 1.0:
            self._closed_at = None
            return 1.0
        return _FIRST_SHARE + (1.0 - _FIRST_SHARE) * max(grown, 0.0)

    def begin(self, now: float, *, early: bool = False) -> bool:
        """Note that a call starts. True if it is the probe."""
        due = self._until is not None and now >= (self._early if early else self._until)
        probe = due and not self._probing
        self._probing = self._probing or probe
        return probe

    def succeeded(self, now: float, *, probe: bool, left: float | None = None) -> None:
        """The deployment answered. A late answer of an older call does not close an open breaker.

        Nor does it end a row of failures, if the call ``left`` before those did: pictures that take long come in well
        after new calls have begun to fail.
        """
        if probe:
            self._probing = False
        if not probe and self._until is not None:
            return
        if probe:
            self._calls = [0, 0, 0, 0]
            self._closed_at = now if self.policy.slow_start else None
        else:
            self._count(now)
            if left is not None and self._failures and left < self._fell:
                return
        self._failures = self._openings = self._rests = 0
        self._until = None

    def abandoned(self, *, probe: bool) -> None:
        """The caller went away before there was an answer: nothing was learned."""
        if probe:
            self._probing = False

    def failed(
        self,
        effect: Effect,
        now: float,
        *,
        probe: bool,
        retry_after: float | None = None,
        left: float | None = None,
    ) -> None:
        """The call that ``left`` at that moment ended in an error with this effect."""
        if probe:
            self._probing = False
        if effect is Effect.COOLDOWN:
            self.rest(now, retry_after)
        elif effect is Effect.OUT:
            self._open(now, self.policy.max_cooldown, early=self.policy.max_cooldown)
        elif effect is Effect.FAILURE and (probe or self._until is None):
            if not self._failures:
                self._fell = now if left is None else left
            self._failures += 1
            if probe or self._is_ill(now):
                self._open(now, self.policy.cooldown * 2**self._openings, early=self._soon())
            if retry_after:
                self.rest(now, retry_after)

    def rest(self, now: float, retry_after: float | None = None) -> None:
        """Ask nothing for ``retry_after`` seconds, or for a moment that doubles each time."""
        if now < self.rest_until and retry_after is None:
            return  # calls already on their way when the first was refused say nothing new
        wait = retry_after if retry_after is not None else min(_FIRST_REST * 2**self._rests, self.policy.cooldown)
        self._rests = min(self._rests + 1, 16)
        self.rest_until = max(self.rest_until, now + min(wait, self.policy.max_cooldown))

    def _count(self, now: float, *, failed: bool = False) -> None:
        half = int(now // _HALF)
        if half != self._half:
            before = self._calls[:2] if half == self._half + 1 else [0, 0]
            self._calls = [0, 0, *before]
            self._half = half
        self._calls[0] += 1
        self._calls[1] += failed

    def _is_ill(self, now: float) -> bool:
        self._count(now, failed=True)
        calls, failures = self._calls[0] + self._calls[2], self._calls[1] + self._calls[3]
        least = self.policy.failures
        return self._failures >= least or (failures >= least and 2 * failures >= calls)

    def _soon(self) -> float:
        return min(_EARLY * _LATER**self._openings, _LATEST, self.policy.cooldown)

    def _open(self, now: float, cooldown: float, *, early: float) -> None:
        self._openings = min(self._openings + 1, 16)
        self._failures = 0
        self._closed_at = None
        cooldown = min(cooldown, self.policy.max_cooldown)
        if self._rng is not None:
            # Cut off afterwards, half of those at the longest cooldown would probe in the same moment.
            least, most = cooldown * (1.0 - _JITTER), min(cooldown * (1.0 + _JITTER), self.policy.max_cooldown)
            jittered = self._rng.uniform(least, most)
            cooldown, early = jittered, early * (jittered / cooldown if cooldown else 1.0)
        self._until = now + cooldown
        self._early = now + early
