"""What the benchmarks count, counted by hand: a measure that is wrong proves the wrong thing."""

from __future__ import annotations

from array import array
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from lascaux.benchmarks.fleets import SCENARIOS, simulate
from lascaux.benchmarks.regions import (
    Latency,
    Outage,
    Region,
    SlidingWindow,
    TokenBucket,
    possible_pictures,
)
from lascaux.benchmarks.runs import Course, Finish


def test_what_was_possible_is_counted_by_hand() -> None:
    """Two a minute, one outage: who comes at 0, 1, 2 and 70 gets 0, 1, 60 and 70, but not within the outage."""
    arrivals = [0.0, 1.0, 2.0, 70.0]
    assert possible_pictures([Region(Latency(1, 2), SlidingWindow(2))], arrivals, patience=60) == 4
    assert possible_pictures([Region(Latency(1, 2), SlidingWindow(2))], arrivals, patience=10) == 3
    down = [Outage(kind="error", start=0.0, end=65.0)]
    assert possible_pictures([Region(Latency(1, 2), SlidingWindow(2), down)], arrivals, patience=64) == 3
    bucket = [Region(Latency(1, 2), TokenBucket(60, 2))]
    assert possible_pictures(bucket, [0.0] * 5, patience=2.5) == 4


def test_a_latency_has_the_median_and_the_99th_percentile_it_is_made_of() -> None:
    """Within three percent, over many calls."""
    rng, latency = Random(1), Latency(2.0, 6.0)
    drawn = sorted(latency.draw(rng) for _ in range(40_000))
    assert drawn[20_000] == pytest.approx(2.0, rel=0.03)
    assert drawn[39_600] == pytest.approx(6.0, rel=0.05)


def test_a_simulation_is_repeated_exactly_and_adds_up() -> None:
    """Every request is delivered, failed or refused; every call is a picture, throttled or broken."""
    first, second = (simulate(SCENARIOS[2], "least_request", seed=3, seconds=300.0) for _ in range(2))
    assert first == second
    assert first.delivered + first.failed + first.refused == first.arrived
    assert first.delivered <= first.possible <= first.arrived
    assert first.calls >= first.delivered + first.throttled + first.broken
    assert isinstance(first.took, array)
    assert len(first.took) == first.delivered
    cheap = simulate(SCENARIOS[0], "lowest_cost", seed=3, seconds=300.0)
    even = simulate(SCENARIOS[0], "least_request", seed=3, seconds=300.0)
    assert 0 < cheap.price < Decimal("0.055") < even.price


def finish(ends: list[dict[str, Any]], log: list[dict[str, Any]]) -> Finish:
    """A run of 100 s from 0 on, as its files would have it."""
    course = Course(name="by hand", quotas={"here": 10}, rate=1.0, seconds=100.0)
    last = {"request": 99, "arrived": 100.0, "ended": 100.0, "error": "Refused", "retry_after": None}
    return Finish(contestant="me", course=course, begin=0.0, ends=[*ends, last], log=log)


def call(request: int, at: float, status: int = 200) -> dict[str, Any]:
    """A call as the emulator logs it."""
    return {"request": request, "at": at, "region": "here", "status": status}


def test_a_retry_after_is_judged_by_the_place_that_would_have_been_theirs() -> None:
    """Turned away at 5 behind one who waits until 10, with the next place at 20: 15 s is right, 14 nearly, 10 not."""
    waits: dict[str, Any] = {"request": 1, "arrived": 4.0, "ended": 12.0}
    log = [call(1, 4.5, 429), call(1, 10.0), call(7, 20.0), call(8, 30.0)]
    later: list[dict[str, Any]] = [
        {"request": 7, "arrived": 20.0, "ended": 22.0},
        {"request": 8, "arrived": 30.0, "ended": 33.0},
    ]
    for told, right in ((15.0, 1.0), (14.0, 1.0), (10.0, 0.0), (5.0, 0.0)):
        away: dict[str, Any] = {"request": 2, "arrived": 5.0, "ended": 5.0, "error": "Refused", "retry_after": told}
        promises = finish([waits, away, *later], log).promises()
        assert (promises["judged"], promises["right"], promises["without"]) == (1, right, 1)


def test_the_figures_of_a_run_add_up() -> None:
    """One picture at the second call, one failure after a call, one refusal without any."""
    ends: list[dict[str, Any]] = [
        {"request": 1, "arrived": 1.0, "ended": 5.0},
        {"request": 2, "arrived": 2.0, "ended": 3.0, "error": "Throttled", "retry_after": None},
        {"request": 3, "arrived": 3.0, "ended": 3.0, "error": "Refused", "retry_after": 4.0},
    ]
    figures = finish(ends, [call(1, 1.0, 429), call(1, 3.0), call(2, 2.0, 503)]).figures()
    assert (figures["delivered"], figures["failed"], figures["refused"]) == (1, 1, 2)
    assert (figures["calls"], figures["throttled"], figures["wasted"], figures["p50"]) == (3, 1, 2.0, 4.0)
    assert figures["possible"] == 4


def test_the_fullest_window_is_any_sixty_seconds() -> None:
    """Three calls within a minute across the turn of one; a call exactly 60 s later is in the next window."""
    log = [call(i, at) for i, at in enumerate((0.0, 50.0, 59.0, 60.0, 109.9, 110.0))]
    assert finish([], log).fullest_window("here") == 4
    assert finish([], log[:1] + log[3:4]).fullest_window("here") == 1
