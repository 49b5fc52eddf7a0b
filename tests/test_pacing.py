"""Declared limits are kept where they are counted: upstream. Undeclared ones are learned from what is throttled."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux.providers.errors import Throttled
from lascaux.router.learning import Quota
from lascaux.router.quota import Limits
from lascaux.router.retry import RetryPolicy
from lascaux.router.window import WINDOW, Window


class Sliding:
    """So many calls in any minute; throttled calls do not count. The emulator's quota."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.calls: deque[float] = deque()

    def admits(self, now: float) -> bool:
        while self.calls and self.calls[0] <= now - 60.0:
            self.calls.popleft()
        if len(self.calls) >= self.quota:
            return False
        self.calls.append(now)
        return True


class Bucket:
    """Tokens that come at a steady rate, a minute's worth at the most."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.tokens, self.at = float(quota), 1000.0

    def admits(self, now: float) -> bool:
        self.tokens = min(self.quota, self.tokens + (now - self.at) * self.quota / 60.0)
        self.at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


class Place:
    """One deployment behind a quota, and a stream of requests that asks ``load`` times as much."""

    def __init__(self, world: Any, quota: Any, *, load: float = 1.5, seed: int = 0, **limits: Any) -> None:
        self.quota = quota
        self.rng = Random(seed)
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.world = world(
            script=self.answer, seed=seed, cached=False, retry=RetryPolicy(attempts=5, deadline=120.0, max_wait=90.0)
        )
        self.deployment = self.world.deployment("a", **limits)
        self.world.alias("hero", [self.deployment])
        self.load = load

    def answer(self, target: Any, now: float) -> tuple[float, Throttled | None]:
        if self.quota.admits(now):
            self.accepted.append(now)
            return self.rng.uniform(2.0, 8.0), None
        self.refused.append(now)
        return 0.05, Throttled("too many")

    def play(self, minutes: float) -> None:
        rate = self.quota.quota * self.load / 60.0
        at = 0.0
        while (at := at + self.rng.expovariate(rate)) < minutes * 60.0:
            self.world.ask("hero", at=at, prompt="otter")
        self.world.play()

    def used(self, first: float, last: float) -> float:
        """Calls a minute that came through between two minutes."""
        return sum(first * 60 <= at - 1000 < last * 60 for at in self.accepted) / (last - first)

    def wasted(self, first: float, last: float) -> int:
        return sum(first * 60 <= at - 1000 < last * 60 for at in self.refused)


@settings(max_examples=12, deadline=None)
@given(quota=st.integers(1, 200), seed=st.integers(0, 9999))
def test_a_hidden_quota_is_used_in_full_and_seldom_hit(world: Any, quota: int, seed: int) -> None:
    """After two minutes 97 % of a sliding window's quota comes through; 2 % are throttled, or four calls."""
    minutes = 7 if quota > 40 else 22
    place = Place(world, Sliding(quota), seed=seed, load=1.5 if quota > 5 else 4.0)  # else there may be nobody to serve
    place.play(minutes)
    assert place.used(2, minutes) * (minutes - 2) >= 0.97 * quota * (minutes - 2) - 1  # one may lie on the border
    assert place.wasted(2, minutes) <= max(4, 0.02 * quota * (minutes - 2))
    assert place.deployment.learned_rpm == pytest.approx(quota, abs=1)


@pytest.mark.parametrize("quota", [5, 10, 30, 60, 120])
def test_a_token_bucket_is_found_too(world: Any, quota: int) -> None:
    """Its burst is not its rate, which takes some minutes to tell; then 96 % come through and 5 % at most are throttled."""
    place = Place(world, Bucket(quota), seed=quota)
    place.play(25)
    assert place.used(5, 25) >= 0.96 * quota
    assert place.wasted(5, 25) <= 0.05 * quota * 20


def test_nothing_is_learned_while_nothing_is_throttled(world: Any) -> None:
    """Below the quota there is no limit, and no request waits."""
    place = Place(world, Sliding(100), load=0.4)
    place.play(5)
    assert place.deployment.learned_rpm is None
    assert all(end.at - end.trail.started <= 8.0 for end in place.world.ended)


def test_a_quota_that_falls_is_learned_within_a_minute(world: Any) -> None:
    """From 60 to 20: a handful of throttled calls, not one a second."""
    place = Place(world, Sliding(60))

    def fall(_: Any) -> None:
        place.quota.quota = 20

    place.world.at(1000.0 + 300.0, fall)
    place.play(12)
    assert place.wasted(5, 7) <= 15
    assert place.used(7, 12) >= 0.95 * 20
    assert place.deployment.learned_rpm == pytest.approx(20, abs=1)


def test_a_quota_that_rises_is_used_when_the_limit_is_next_tried(world: Any) -> None:
    """From 20 to 60: within ten minutes and a few more of growth."""
    place = Place(world, Sliding(20), load=4.5)

    def rise(_: Any) -> None:
        place.quota.quota = 60

    place.world.at(1000.0 + 300.0, rise)
    place.play(22)
    assert place.used(17, 22) >= 0.97 * 60
    assert place.wasted(5, 22) <= 12


def test_a_quota_of_nothing_is_not_hammered(world: Any) -> None:
    """An account without quota: the calls that ask for it grow rare."""
    place = Place(world, Sliding(0), load=1.0)
    for second in range(600):
        place.world.ask("hero", at=float(second))
    place.world.play()
    assert len(place.refused) < 60
    assert place.deployment.learned_rpm == 1


def test_a_model_that_loads_teaches_no_quota(world: Any) -> None:
    """429 ModelNotReady is a rest, not a limit."""
    w = world(script=lambda target, now: (0.1, Throttled("loading", code="model_not_ready") if now < 1003 else None))
    a = w.deployment("a")
    w.alias("hero", [a])
    assert w.run("hero").error is None
    assert a.learned_rpm is None


class Late(Place):
    """Calls wait for a thread before they leave, and travel before they arrive."""

    def __init__(self, world: Any, quota: Any, *, thread: float, travel: float, **more: Any) -> None:
        super().__init__(world, quota, **more)
        self.thread, self.travel = thread, travel
        self.arrived: list[float] = []
        self.world._send = self.send

    def send(self, send: Any, resume: Any) -> None:
        self.world.at(self.world.now + self.rng.uniform(0.0, self.thread), partial(self.leave, send), resume)

    def leave(self, send: Any, resume: Any) -> None:
        send.permit.depart(self.world.now)
        arrives = self.world.now + self.rng.uniform(0.0, self.travel)
        self.arrived.append(arrives)
        self.world.at(arrives + self.rng.uniform(1.0, 6.0), resume, self.world._pictures(send.call))


@settings(max_examples=12, deadline=None)
@given(rpm=st.integers(1, 120), seed=st.integers(0, 9999), thread=st.sampled_from([0.0, 0.2, 3.0]))
def test_declared_rpm_is_kept_where_calls_arrive(world: Any, rpm: int, seed: int, thread: float) -> None:
    """However long calls wait for threads and travel (up to half a second), no minute sees more than rpm."""
    place = Late(world, Sliding(rpm), thread=thread, travel=0.5, rpm=rpm, seed=seed)
    place.play(6)
    times = sorted(place.arrived)
    assert all(later - earlier >= 60.0 for earlier, later in zip(times, times[rpm:], strict=False))


@pytest.mark.parametrize("rpm", [6, 30, 90])
def test_declared_rpm_is_saturated(world: Any, rpm: int) -> None:
    """98 % of what is allowed arrives."""
    place = Late(world, Sliding(rpm), thread=0.02, travel=0.1, rpm=rpm)
    place.play(42)
    assert sum(1060 <= at < 1060 + 2400 for at in place.arrived) >= 0.98 * rpm * 40


@given(
    times=st.lists(st.floats(0.0, 300.0), max_size=40),
    limit=st.integers(1, 20),
    ahead=st.floats(0.0, 300.0),
)
def test_the_slots_of_a_window_are_foretold(times: list[float], limit: int, ahead: float) -> None:
    """Played through, as many calls find a place as was said."""
    window = Window()
    now = max(times, default=0.0)
    for at in sorted(times):
        window.add(at)
    foretold = window.slots(limit, now, now + ahead)
    at, found = now, 0
    while at <= now + ahead and found <= 2000:
        wait = window.free_in(limit, at)
        if wait:
            at += wait
            continue
        window.add(at)
        found += 1
    assert abs(found - foretold) <= max(1, limit)
    assert window.used(at) <= max(limit, sum(now - WINDOW < old for old in times))


def test_moments_stay_sorted_when_calls_leave_late() -> None:
    """Moved, removed, forgotten."""
    window = Window(most=50)
    for second in range(500):
        window.add(float(second))
        window.move(float(second), second + 0.5)
    assert 50 <= window.used(499.5) <= 53
    assert window.remove(499.5)
    assert not window.remove(12345.0)
    assert window.count(495.0, 499.0) == 4


def test_a_place_that_was_not_used_is_given_back() -> None:
    """A permit that ended before anything was sent costs no quota."""
    limits = Limits(rpm=1)
    limits.take(10.0)
    assert limits.free(10.0, 1) == 0
    limits.give_back(10.0)
    assert limits.free(10.0, 0) == 1


def test_after_a_full_window_calls_are_spaced() -> None:
    """A window that opens all at once lets one call go at a time, so that a refusal stops the rest."""
    quota = Quota()
    for _ in range(10):
        quota.take(0.0)
    quota.take(0.01)
    quota.throttled(0.01, 0.05)
    assert quota.limit == 10
    now = 61.0
    left: list[float] = []
    while len(left) < 5:
        now += quota.free_in(now)
        assert quota.free(now) == 1
        quota.take(now)
        left.append(now)
    assert all(later - earlier == pytest.approx(0.25) for earlier, later in pairwise(left))


@pytest.mark.parametrize("low", [1, 2, 5])
def test_after_a_dip_the_quota_is_back_within_minutes(world: Any, low: int) -> None:
    """A limit that has fallen to next to nothing is tried every ten minutes, however few calls come through."""
    quota = Sliding(60)
    place = Place(world, quota, load=1.2)
    for moment, calls in ((600.0, low), (900.0, 60)):
        place.world.at(1000.0 + moment, partial(setattr, quota, "quota"), calls)
    place.play(45)
    assert place.used(32, 45) >= 0.95 * 60
