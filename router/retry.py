"""How long and how often to try again: backoff, retry budget, deadline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from ..providers.errors import AttemptTimeout, LascauxError

__all__ = ["Allowance", "RetryBudget", "RetryPolicy", "backoff", "says_nothing"]

_HURRY = 10.0
"""Seconds. A shorter limit that a caller has set for one request says more about the caller than about a deployment."""
_NEARLY = 0.8
"""The part of the alias's own limit that a call must have had: some of it passes before the call leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """``attempts`` calls per alias at the most; times in seconds.

    ``on`` says how many more calls an alias may get after so many errors of one code: ``{"attempt_timeout": 0}``.
    ``max_wait`` bounds the time that a request stands in line; None: only the deadline does.
    """

    attempts: int = 3
    on: Mapping[str, int] = field(default_factory=dict)
    budget: float = 0.2
    billed_budget: float = 0.05
    max_wait: float | None = None
    attempt_timeout: float = 300.0
    deadline: float = 600.0
    backoff: float = 0.5
    max_backoff: float = 20.0


def backoff(policy: RetryPolicy, tries: int, rng: Random) -> float:
    """Seconds to wait before asking again where it has just failed: full jitter, as AWS advises.

    ``tries`` is how often the request has waited before. Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    return rng.uniform(0.0, min(policy.max_backoff, policy.backoff * 2 ** min(tries, 16)))


def says_nothing(error: LascauxError, timeout: float, policy: RetryPolicy) -> bool:
    """Is this the limit of a caller in a hurry, or a wait of our own, rather than a fault of the deployment?

    The alias's own limits are no hurry, however short they are: who never answers within them is of no use to it.
    """
    if not isinstance(error, AttemptTimeout):
        return False
    return not error.may_be_billed or timeout < _NEARLY * min(policy.attempt_timeout, policy.deadline, _HURRY)


class RetryBudget:
    """A token bucket that keeps retries and fallbacks to a share of the traffic, so that an outage is not amplified.

    Every request puts ``ratio`` tokens in, every extra call takes one out. A reserve of 100 tokens, refilled with ten a
    second, keeps quiet services able to retry (the figures of Finagle's RetryBudget: 20 % plus 10 a second over ten
    seconds). Not locked; the caller holds the lock.

    Calls after a throttled one take a token, too: they cost no money, but an overload must not be answered with more
    load, and learned quotas keep them so rare (1 in 50) that the reserve is never in danger.
    """

    __slots__ = ("_at", "_ratio", "_refill", "_reserve", "_tokens")

    def __init__(self, ratio: float, now: float, *, reserve: float = 100.0, refill: float = 10.0) -> None:
        self._ratio = ratio
        self._reserve = reserve
        self._refill = refill
        self._tokens = reserve if ratio > 0 else 0.0
        self._at = now

    @classmethod
    def billed(cls, ratio: float, now: float) -> RetryBudget:
        """The stricter one: a call after one that may have been billed takes a second token, from here."""
        return cls(ratio, now, reserve=10.0, refill=1.0)

    def deposit(self) -> None:
        """A request came in."""
        if self._ratio > 0:
            self._tokens = min(self._tokens + self._ratio, 2 * self._reserve)

    def available(self, now: float) -> bool:
        """May one extra call be made?"""
        self._tokens = self.left(now)
        self._at = now
        return self._tokens >= 1.0

    def left(self, now: float) -> float:
        """Extra calls that could be made now. Only looks."""
        if self._ratio > 0 and self._tokens < self._reserve:
            return min(self._tokens + (now - self._at) * self._refill, self._reserve)
        return self._tokens

    def spend(self) -> None:
        """An extra call is made."""
        self._tokens -= 1.0


class Allowance:
    """What one part of a request may still take out of the budgets for extra calls. Used under the router's lock.

    ``paid``: its first call was paid for when the request was cut into parts.
    """

    __slots__ = ("_billed", "_budget", "_paid")

    def __init__(self, budget: RetryBudget, billed: RetryBudget, *, paid: bool = False) -> None:
        self._budget = budget
        self._billed = billed
        self._paid = paid

    def refusal(self, last: LascauxError | None, now: float) -> str:
        """Why no call may follow the one that ended with ``last``; empty if one may."""
        if last is None or self._paid:
            return ""
        if not self._budget.available(now):
            return "the retry budget is used up"
        if last.may_be_billed and not self._billed.available(now):
            return "the retry budget for calls that may have been billed is used up"
        return ""

    def spend(self, last: LascauxError | None) -> None:
        """A call follows the one that ended with ``last``."""
        if last is not None and not self._paid:
            self._budget.spend()
            if last.may_be_billed:
                self._billed.spend()
        self._paid = False
