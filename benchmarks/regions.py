"""Modelled regions: how long a call takes there, how many calls it lets pass, and when it is ill.

What a router can not see is modelled as Bedrock shows it: a quota is only noticed by the calls that it throttles, a
throttled or failed call is answered at once, a picture takes seconds. The latencies are lognormal, given by their median
and their 99th percentile, which is how measurements of image models come.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from lascaux.providers.errors import LascauxError, Throttled, Unavailable

__all__ = ["Latency", "Outage", "Quota", "Region", "SlidingWindow", "TokenBucket", "possible_pictures"]

NEVER = math.inf
MINUTE = 60.0
REFUSED = 0.05
"""Seconds until a throttled call is answered."""
BROKEN = 0.2
"""Seconds until a call that fails is answered."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A lognormal distribution by its median and its 99th percentile, in seconds."""

    median: float
    p99: float

    def draw(self, rng: Random) -> float:
        """The duration of one call."""
        return self.median * math.exp(rng.gauss(0.0, math.log(self.p99 / self.median) / 2.3263))


class Quota(Protocol):
    """What a region lets pass."""

    def take(self, now: float) -> bool:
        """Does a call that comes now fit? If so it is counted."""
        ...

    def free_at(self, now: float) -> float:
        """The first moment, not before ``now``, at which a call would fit."""
        ...


class SlidingWindow:
    """At most ``rpm`` accepted calls in any 60 seconds: what the emulator does."""

    def __init__(self, rpm: int) -> None:
        self.rpm = rpm
        self._accepted: deque[float] = deque(maxlen=rpm)

    def take(self, now: float) -> bool:
        """Does a call that comes now fit? If so it is counted."""
        fits = self.free_at(now) <= now
        if fits:
            self._accepted.append(now)
        return fits

    def free_at(self, now: float) -> float:
        """The first moment, not before ``now``, at which a call would fit."""
        if len(self._accepted) < self.rpm:
            return now
        return max(self._accepted[0] + MINUTE, now)


class TokenBucket:
    """``rpm`` tokens a minute, ``burst`` at once: what many services do behind the same words."""

    def __init__(self, rpm: int, burst: int) -> None:
        self.rpm, self.burst = rpm, burst
        self._full_at = 0.0

    def take(self, now: float) -> bool:
        """Does a call that comes now fit? If so it is counted."""
        fits = self.free_at(now) <= now + 1e-9
        if fits:
            self._full_at = max(self._full_at, now) + MINUTE / self.rpm
        return fits

    def free_at(self, now: float) -> float:
        """The first moment, not before ``now``, at which a call would fit."""
        return max(self._full_at - (self.burst - 1) * MINUTE / self.rpm, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What is wrong from ``start`` until ``end`` (seconds of the clock), for a ``share`` of the calls.

    ``error`` answers 503 at once, ``throttle`` 429 whatever the quota says, ``black_hole`` never answers, ``slow`` takes
    ``factor`` times as long.
    """

    kind: Literal["error", "throttle", "black_hole", "slow"]
    start: float
    end: float
    share: float = 1.0
    factor: float = 8.0

    @property
    def blocks(self) -> bool:
        """Is no picture made while it lasts?"""
        return self.kind != "slow" and self.share >= 1.0


class Region:
    """One region as a router meets it: it is asked, and counts what it answered."""

    def __init__(self, latency: Latency, quota: Quota | None = None, outages: Iterable[Outage] = ()) -> None:
        self.latency = latency
        self.quota = quota
        self.outages: Sequence[Outage] = tuple(outages)
        self.calls = self.throttled = self.failed = 0

    def ask(self, now: float, rng: Random) -> tuple[float, LascauxError | None]:
        """How long a call that comes now takes, and its error, if any."""
        self.calls += 1
        factor = 1.0
        for outage in self.outages:
            if outage.start <= now < outage.end and (outage.share >= 1.0 or rng.random() < outage.share):
                if outage.kind == "slow":
                    factor = outage.factor
                    continue
                return self._fail(outage)
        if self.quota is not None and not self.quota.take(now):
            self.throttled += 1
            return REFUSED, Throttled("the quota is used up")
        return self.latency.draw(rng) * factor, None

    def _fail(self, outage: Outage) -> tuple[float, LascauxError | None]:
        if outage.kind == "throttle":
            self.throttled += 1
            return REFUSED, Throttled("throttled")
        self.failed += 1
        if outage.kind == "black_hole":
            return NEVER, None
        return BROKEN, Unavailable("no capacity")

    def ill(self, now: float) -> bool:
        """Is anything wrong now?"""
        return any(outage.start <= now < outage.end for outage in self.outages)

    def first_chance(self, now: float) -> float:
        """The first moment at which a call would become a picture, for somebody who knows everything."""
        while True:
            at = now if self.quota is None else self.quota.free_at(now)
            blocking = [outage.end for outage in self.outages if outage.blocks and outage.start <= at < outage.end]
            if not blocking:
                return at
            now = max(blocking)


def possible_pictures(regions: Sequence[Region], arrivals: Iterable[float], patience: float) -> int:
    """How many of the requests could have become pictures, had every quota and outage been known beforehand.

    Each request takes the earliest place anywhere, in the order of arrival; one that would wait longer than ``patience``
    seconds is turned away and takes none. ``regions`` must be fresh; their quotas are used up by this.
    """
    made = 0
    for arrival in arrivals:
        at, place = min((region.first_chance(arrival), place) for place, region in enumerate(regions))
        if at - arrival <= patience:
            quota = regions[place].quota
            if quota is not None:
                quota.take(at)
            made += 1
    return made
