"""How long and how often to try again: backoff, retry budget, deadline."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["RetryBudget", "RetryPolicy", "backoff"]

_RESERVE = 100.0
_REFILL = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """``attempts`` calls per alias at the most; times in seconds."""

    attempts: int = 3
    budget: float = 0.2
    attempt_timeout: float = 300.0
    deadline: float = 600.0
    backoff: float = 0.5
    max_backoff: float = 20.0


def backoff(policy: RetryPolicy, tries: int, rng: Random) -> float:
    """Seconds to wait before asking again where it has just failed: full jitter, as AWS advises.

    ``tries`` is how often the request has waited before. Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    return rng.uniform(0.0, min(policy.max_backoff, policy.backoff * 2 ** min(tries, 16)))


class RetryBudget:
    """A token bucket that keeps retries and fallbacks to a share of the traffic, so that an outage is not amplified.

    Every request puts ``ratio`` tokens in, every extra call takes one out. A reserve of 100 tokens, refilled with ten a
    second, keeps quiet services able to retry (the figures of Finagle's RetryBudget: 20 % plus 10 a second over ten
    seconds). Not locked; the caller holds the lock.
    """

    __slots__ = ("_at", "_ratio", "_tokens")

    def __init__(self, ratio: float, now: float) -> None:
        self._ratio = ratio
        self._tokens = _RESERVE if ratio > 0 else 0.0
        self._at = now

    def deposit(self) -> None:
        """A request came in."""
        if self._ratio > 0:
            self._tokens = min(self._tokens + self._ratio, 2 * _RESERVE)

    def available(self, now: float) -> bool:
        """May one extra call be made?"""
        if self._ratio > 0 and self._tokens < _RESERVE:
            self._tokens = min(self._tokens + (now - self._at) * _REFILL, _RESERVE)
        self._at = now
        return self._tokens >= 1.0

    def spend(self) -> None:
        """An extra call is made."""
        self._tokens -= 1.0
