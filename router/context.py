"""What all requests of a router share, and what one request remembers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from random import Random

from .line import Line, Ticket
from .plan import Alias, Planner
from .records import Attempt, Exclusion, Route
from .retry import RetryBudget

__all__ = ["Context", "Flag", "Guard", "Trail"]


class Guard:
    """Holds a lock that a forked child can make anew."""

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def renew(self) -> None:
        """Forget who held it."""
        self.lock = threading.Lock()


class Flag:
    """Once set, set: an event that nobody waits for, which needs no lock."""

    __slots__ = ("__weakref__", "_set")

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        """Has it been set?"""
        return self._set

    def set(self) -> None:
        """For good."""
        self._set = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all requests of a router share. ``lock`` guards every deployment, strategy, the budgets and the line."""

    planner: Planner
    clock: Callable[[], float]
    today: Callable[[], date]
    rng: Random
    budget: RetryBudget
    billed: RetryBudget
    """For calls after one that may have been billed."""
    line: Line = field(default_factory=Line)
    orders: Iterator[int] = field(default_factory=itertools.count)
    """Requests are numbered as they come in."""
    panic_threshold: float = 0.5
    guard: Guard = field(default_factory=Guard)
    on_breaker: Callable[[str, str], None] = lambda deployment, state: None
    """Told when a circuit breaker changes its state."""
    on_wait: Callable[[str, float], None] = lambda alias, seconds: None
    """Told for how long one that stood in line did so, when it stands there no more."""

    @property
    def lock(self) -> threading.Lock:
        """The lock of this process: looked up each time, and never kept."""
        return self.guard.lock


@dataclass(slots=True, kw_only=True)
class Trail:
    """The memory of one request: its limits (``deadline`` on the context's clock), and what it has been through."""

    alias: Alias
    started: float
    deadline: float
    attempt_timeout: float
    max_wait: float | None = None
    """Seconds that each part may stand in line; None: as long as the deadline allows."""
    tenant: str = ""
    caching: bool = True
    routing_key: str | None = None
    stopped: Flag = field(default_factory=Flag)
    """Set when the caller has gone: what is under way may end, nothing new is started."""
    sent: Flag = field(default_factory=Flag)
    """Set, under the router's lock, when the first call departs."""
    tickets: set[Ticket] = field(default_factory=set)
    """Where it stands in line, or waits for another's answer."""
    attempts: list[Attempt] = field(default_factory=list)
    excluded: list[Exclusion] = field(default_factory=list)
    route: Route | None = None
    """Where the last call was sent."""
    ordinals: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def stop(self) -> None:
        """The caller has gone: whatever waits gives up."""
        self.stopped.set()
        for ticket in tuple(self.tickets):
            ticket.wake()
