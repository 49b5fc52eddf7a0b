"""Who waits is served in the order of arrival, or is told at once how long it would take."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux import AsyncRouter, Router
from lascaux.emulator import Emulator, Faults
from lascaux.providers.errors import AttemptTimeout, InvalidRequest, Throttled, Unavailable
from lascaux.router.errors import AttemptsFailed, NoDeploymentAvailable
from lascaux.router.health import HealthPolicy, State
from lascaux.router.retry import RetryPolicy

CORE = "stability.stable-image-core-v1:1"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_first_come_is_first_served(world: Any, seed: int) -> None:
    """Behind one or several limits: nobody who came later is sent earlier."""
    rng = Random(seed)
    w = world(
        seed=seed,
        cached=False,
        script=lambda target, now: (rng.uniform(1.0, 5.0), None),
        retry=RetryPolicy(deadline=6000.0),
    )
    places = [
        w.deployment(f"d{i}", rpm=rng.choice([None, 5, 20]), concurrency=rng.randint(1, 3))
        for i in range(rng.randint(1, 3))
    ]
    w.alias("hero", places)
    for i in range(60):
        w.ask("hero", at=rng.uniform(0.0, 60.0), prompt=str(i))
    w.play()
    assert [end.error for end in w.ended] == [None] * 60
    sent = sorted((end.trail.started, end.trail.started + end.trail.attempts[0].started) for end in w.ended)
    moments = [at for _, at in sent]
    assert moments == sorted(moments)
    assert not len(w.context.line)


def test_aliases_share_a_line(world: Any) -> None:
    """One of two aliases can not push the other aside at the deployment that both use."""
    w = world(cached=False, script=lambda target, now: (2.0, None))
    shared = w.deployment("shared", concurrency=1)
    w.alias("one", [shared])
    w.alias("two", [shared])
    for i in range(20):
        w.ask("one" if i % 2 else "two", at=i * 0.1, prompt=str(i))
    w.play()
    assert [end.trail.alias.name for end in w.ended] == ["two", "one"] * 10


def test_one_that_failed_has_its_old_place(world: Any) -> None:
    """It was throttled for no fault of its own, and is served before those who came after it."""
    answers = iter([(0.5, Throttled("now and then"))])
    w = world(cached=False, script=lambda target, now: next(answers, (2.0, None)))
    w.alias("hero", [w.deployment("a", concurrency=1)])
    for i in range(5):
        w.ask("hero", at=i * 0.1, prompt=str(i))
    w.play()
    assert [end.trail.started for end in w.ended] == sorted(end.trail.started for end in w.ended)


@pytest.mark.parametrize(
    ("limits", "seconds"), [({"rpm": 30}, 3.0), ({"rpm": 12}, 8.0), ({"concurrency": 4}, 8.0), ({}, 3.0)]
)
def test_refusals_say_when_to_come_back(world: Any, limits: dict[str, int], seconds: float) -> None:
    """At 150 % load: who comes back after retry_after finds a place within 20 % of that time, and not much before."""
    rng = Random(4)
    calls: list[float] = []

    def script(target: Any, now: float) -> tuple[float, Any]:
        if not limits:
            while calls and calls[0] <= now - 60.0:
                calls.pop(0)
            if len(calls) >= 30:
                return 0.05, Throttled("hidden")
            calls.append(now)
        return seconds, None

    w = world(cached=False, script=script, retry=RetryPolicy(deadline=600.0, max_wait=60.0, attempts=5))
    w.alias("hero", [w.deployment("a", **limits)])
    rate = 1.5 * min(limits.get("rpm", 30) / 60.0, limits.get("concurrency", 99) / seconds)
    at = 0.0
    while at < 900.0:
        at += rng.expovariate(rate)
        w.ask("hero", at=at)
    w.play()
    refused = [end for end in w.ended if isinstance(end.error, NoDeploymentAvailable) and end.at > 1300.0]
    assert len(refused) > 20
    at_once = [end for end in refused if end.at == end.trail.started]
    assert len(at_once) >= 0.9 * len(refused)  # the others' forecast had been a little too good
    sent = sorted(end.trail.started + end.trail.attempts[-1].started for end in w.ended if end.served)
    right = []
    for end in at_once:
        ahead = sum(
            other.trail.started < end.at < other.trail.started + other.trail.attempts[-1].started
            for other in w.ended
            if other.served
        )
        later = [moment for moment in sent if moment > end.at]
        if len(later) > ahead:
            free = later[ahead] - end.at  # when those who waited had been served
            right.append(end.error.retry_after == pytest.approx(free, rel=0.2, abs=1.0))
    assert sum(right) >= 0.95 * len(right)


def test_a_wait_longer_than_max_wait_is_refused_at_once(world: Any) -> None:
    """And none at all with 0; the general patience is the deadline."""
    for max_wait, served in ((0.0, 1), (5.0, 3), (None, 10)):
        w = world(
            cached=False, script=lambda target, now: (2.0, None), retry=RetryPolicy(max_wait=max_wait, deadline=60.0)
        )
        a = w.deployment("a", concurrency=1)
        a.typical = 2.0
        w.alias("hero", [a])
        for i in range(10):
            w.ask("hero", prompt=str(i))
        w.play()
        assert sum(end.error is None for end in w.ended) == served
        assert {type(end.error) for end in w.ended if end.error} <= {NoDeploymentAvailable}
        assert all(end.at == end.trail.started for end in w.ended if end.error)


def test_a_wide_alias_is_waited_for_as_a_whole(world: Any) -> None:
    """A hundred deployments of one call a minute serve 500 at once within five minutes: nobody is refused."""
    w = world(cached=False, script=lambda target, now: (5.0, None), retry=RetryPolicy(deadline=600.0))
    w.alias("hero", [w.deployment(f"d{i}", rpm=1) for i in range(100)])
    for i in range(500):
        w.ask("hero", at=i * 0.001, prompt=str(i))
    w.play()
    assert [end.error for end in w.ended] == [None] * 500
    assert w.now - 1000.0 < 300.0
    assert not len(w.context.line)


@pytest.mark.parametrize("slow_first", [False, True])
def test_whoever_is_free_of_many_serves_the_first_in_line(world: Any, slow_first: bool) -> None:
    """Sixteen that are stuck do not keep people from 24 that are quick, in whatever order they are written."""
    w = world(
        cached=False,
        script=lambda target, now: (250.0 if target.deployment.startswith("slow") else 5.0, None),
        retry=RetryPolicy(deadline=600.0),
    )
    quick = [w.deployment(f"quick{i}", concurrency=1) for i in range(24)]
    slow = [w.deployment(f"slow{i}", concurrency=1) for i in range(16)]
    w.alias("hero", [*slow, *quick] if slow_first else [*quick, *slow])
    for i in range(200):
        w.ask("hero", at=i * 0.001, prompt=str(i))
    w.play()
    assert [end.error for end in w.ended] == [None] * 200
    sent = sorted((end.trail.started, end.trail.started + end.trail.attempts[0].started) for end in w.ended)
    assert [at for _, at in sent] == sorted(at for _, at in sent)
    assert sent[-1][1] < 1000.0 + 45.0


def test_a_fallback_that_is_free_comes_before_waiting(world: Any) -> None:
    """Nobody stands in line while somebody along the chain can help."""
    w = world(cached=False, script=lambda target, now: (2.0, None))
    w.alias("hero", [w.deployment("a", rpm=1)], fallbacks=["draft"])
    w.alias("draft", [w.deployment("b")])
    for i in range(5):
        w.ask("hero", prompt=str(i))
    w.play()
    assert sorted(name for _, name in w.sends) == ["a", "b", "b", "b", "b"]
    assert all(end.at == 1002.0 for end in w.ended)


def test_no_call_is_started_that_would_be_cut_short(world: Any) -> None:
    """A place that comes free two seconds before the deadline is no place for a call of five seconds."""
    w = world(cached=False, script=lambda target, now: (5.0, None), retry=RetryPolicy(deadline=12.0))
    w.alias("hero", [w.deployment("a", concurrency=1)])
    for i in range(12):
        w.ask("hero", at=i * 5.0, prompt=str(i))
        w.ask("hero", at=i * 5.0 + 0.1, prompt=str(i))
    w.play()
    outcomes = [attempt.outcome for end in w.ended for attempt in end.trail.attempts]
    assert outcomes.count("attempt_timeout") <= 1
    assert sum(isinstance(end.error, NoDeploymentAvailable) for end in w.ended) >= 9


def test_a_breaker_that_opens_is_no_reason_to_wait_on(world: Any) -> None:
    """Those in line for a deployment that turns out ill are told at once; nobody hangs until the deadline."""
    w = world(
        cached=False,
        script=lambda target, now: (1.0, Unavailable("down")),
        health=HealthPolicy(panic_threshold=0.0, failures=3),
        retry=RetryPolicy(attempts=1, deadline=100.0),
    )
    w.alias("hero", [w.deployment("a", concurrency=1)])
    for i in range(20):
        w.ask("hero", prompt=str(i))
    w.play()
    assert len(w.sends) == 3
    assert max(end.at for end in w.ended) == pytest.approx(1003.0, abs=0.1)
    waiting = [end.error for end in w.ended if isinstance(end.error, NoDeploymentAvailable)]
    assert [error.retry_after for error in waiting] == [pytest.approx(30.0, abs=0.1)] * 17


def test_a_black_hole_is_left_alone_and_found_again(world: Any) -> None:
    """One of three accepts and never answers: after ten seconds under 1 % of requests touch it; healed, it is back soon."""
    w = world(
        cached=False,
        script=lambda target, now: (1e9 if target.deployment == "b" and now < 1300.0 else 1.0, None),
        retry=RetryPolicy(attempt_timeout=2.0, deadline=60.0),
    )
    places = [w.deployment(name) for name in "abc"]
    w.alias("hero", places)
    for i in range(6000):
        w.ask("hero", at=i * 0.1)
    w.play()
    touched = sum(name == "b" and 1010.0 <= at < 1300.0 for at, name in w.sends)
    assert touched < 0.01 * 2900
    assert sum(end.error is not None for end in w.ended) == 0
    healed = min(at for at, name in w.sends if name == "b" and at >= 1300.0)
    assert healed <= 1300.0 + 2 * 300.0
    assert places[1].state(w.now) is State.CLOSED


def test_a_recovered_deployment_takes_a_rising_share(world: Any) -> None:
    """A tenth at first, its half of the traffic after slow_start."""
    w = world(
        cached=False,
        script=lambda target, now: (0.1, Unavailable("x") if target.deployment == "b" and now < 1002 else None),
    )
    w.alias("hero", [w.deployment("a", rng=w.rng), w.deployment("b", rng=w.rng)])
    for i in range(8000):
        w.ask("hero", at=i * 0.02)
    w.play()
    back = min(at for at, name in w.sends if name == "b" and at > 1010.0)
    shares = [
        sum(name == "b" for at, name in w.sends if back + first < at <= back + first + 10.0) / 500
        for first in (0, 10, 40)
    ]
    assert shares[0] < shares[1] < shares[2]
    assert shares[0] < 0.3
    assert shares[2] == pytest.approx(0.5, abs=0.07)


def test_calls_that_may_have_been_billed_have_a_budget_of_their_own(world: Any) -> None:
    """Ten in reserve and one in twenty: timeouts are not repeated beyond that, other failures are."""
    spent = {}
    for error in (AttemptTimeout, Unavailable):
        w = world(
            cached=False,
            script=lambda target, now, error=error: (0.1, error("x") if target.deployment == "a" else None),
            health=HealthPolicy(failures=100),
        )
        w.alias("hero", [(w.deployment("a"), 1, 0), (w.deployment("b"), 1, 1)])
        for i in range(60):
            w.ask("hero", at=i * 0.001)
        w.play()
        spent[error] = sum(name == "b" for _, name in w.sends)
    assert spent[Unavailable] == 60
    assert 10 <= spent[AttemptTimeout] <= 14


def test_each_error_has_its_own_number_of_retries(world: Any) -> None:
    """None after a timeout, two after an unavailable one; a fallback is no retry."""
    policy = RetryPolicy(attempts=9, on={"attempt_timeout": 0, "unavailable": 2})
    for error, calls in ((AttemptTimeout, 1), (Unavailable, 3)):
        w = world(
            cached=False,
            script=lambda target, now, error=error: (0.1, error("x") if target.deployment != "z" else None),
            retry=policy,
        )
        w.alias("hero", [w.deployment(name) for name in "abcde"])
        assert isinstance(w.run("hero").error, AttemptsFailed)
        assert len(w.sends) == calls
        w.alias("saved", list(w.deployments.values()), fallbacks=["last"])
        w.alias("last", [w.deployment("z")])
        assert w.run("saved").error is None


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Slow enough for a line to form."""
    with Emulator(canvas="fast", faults=Faults(latency=0.2)) as running:
        yield running


def config(emulator: Emulator, **more: Any) -> dict[str, Any]:
    place = {"model": CORE, "region": "us-west-2", "endpoint_url": emulator.url, "credentials": "demo"}
    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {"core": {**place, "limits": {"concurrency": 2}}},
        **more,
    }


def test_threads_stand_in_line(emulator: Emulator) -> None:
    """Twelve at once, two at a time: all served, and nobody polls."""
    with Router(config(emulator)) as router, ThreadPoolExecutor(12) as pool:
        started = time.monotonic()
        results = list(pool.map(lambda i: router.generate("core", f"otter {i}"), range(12)))
        assert len(results) == 12
        assert time.monotonic() - started < 20
        assert not len(router._runtime.context.line)


def test_tasks_stand_in_line_without_threads(emulator: Emulator) -> None:
    """Forty tasks behind two places own two threads; one that is cancelled leaves the line."""

    go = threading.Event()

    def hold(record: Any) -> None:
        go.wait(60)

    emulator.on_record = hold

    async def scenario() -> None:
        async with AsyncRouter(config(emulator)) as router:
            tasks = [asyncio.ensure_future(router.generate("core", f"otter {i}")) for i in range(10)]
            await asyncio.sleep(0.1)
            line = router._runtime.context.line
            while len(line) < 8:
                await asyncio.sleep(0.01)
            assert len(line) == 8
            assert sum(thread.name.startswith("lascaux-call") for thread in threading.enumerate()) <= 2
            tasks[5].cancel()
            await asyncio.sleep(0.01)
            assert len(line) == 7
            go.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 1
            assert not len(line)

    asyncio.run(scenario())


def test_max_wait_is_an_option_of_a_request(emulator: Emulator) -> None:
    """Seconds or a duration, 0 allowed; anything else is refused by name."""
    with Router(config(emulator)) as router, ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(router.generate, "core", f"otter {i}") for i in range(2)]
        while router._runtime.deployments["core"].in_flight < 2:
            threading.Event().wait(0.005)
        with pytest.raises(NoDeploymentAvailable):
            router.generate("core", "otter", max_wait=0)
        assert router.generate("core", "otter", max_wait="5s").images
        assert all(future.result().images for future in busy)
        with pytest.raises(InvalidRequest, match="max_wait"):
            router.generate("core", "otter", max_wait=-1)
