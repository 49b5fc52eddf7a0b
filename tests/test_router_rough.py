"""Rough treatment: callers who leave, share, hurry, fork; parts, fallbacks and prices that must not be mixed up."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lascaux import AsyncRouter, LascauxError, Router
from lascaux.emulator import Emulator, Faults, Rule
from lascaux.providers.errors import AttemptTimeout, Unavailable
from lascaux.providers.fake import PICTURE, FakeProvider
from lascaux.providers.types import Image, ImageResult
from lascaux.router.effects import Send
from lascaux.router.errors import DeadlineExceeded, InvalidRequest, NoDeploymentAvailable
from lascaux.router.health import State

CORE, ULTRA, CANVAS = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1", "amazon.nova-canvas-v1:0"
TITAN = "amazon.titan-image-generator-v2:0"


def settings(deployments: dict[str, Any], aliases: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A configuration whose deployments are models in us-west-2, unless they say more."""
    written = {
        name: {"region": "us-west-2", **(value if isinstance(value, dict) else {"model": value})}
        for name, value in deployments.items()
    }
    return {"deployments": written, "aliases": aliases, **more}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A fresh one for each test, slow enough to meet a call under way."""
    with Emulator(canvas="fast", faults=Faults(latency=0.4)) as running:
        yield running


def held(emulator: Emulator) -> tuple[threading.Event, threading.Event]:
    """(a call has arrived, set to let it be answered)."""
    arrived, go = threading.Event(), threading.Event()

    def hold(record: Any) -> None:
        arrived.set()
        go.wait(60)

    emulator.on_record = hold
    return arrived, go


def joins(router: Router | AsyncRouter) -> threading.Semaphore:
    """Released whenever a request makes a call or joins one from now on."""
    joined, join = threading.Semaphore(0), router._flights.join

    def counted(*asked: Any) -> Any:
        found = join(*asked)
        joined.release()
        return found

    router._flights.join = counted  # type: ignore[method-assign,assignment]
    return joined


def on(emulator: Emulator, *names: str, **more: Any) -> dict[str, Any]:
    """Core behind several deployment names, on the emulator."""
    place = {"model": CORE, "region": "us-west-2", "endpoint_url": emulator.url, "credentials": "demo"}
    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {name: {**place, **more} for name in names},
    }


def test_a_failure_is_not_shared_with_an_alias_that_has_other_ways_out() -> None:
    """Equal calls, but another deployment behind them: each alias asks for itself."""
    started = threading.Event()

    def slow_failure(target: Any, call: Any) -> ImageResult:
        started.set()
        time.sleep(0.3)
        raise Unavailable("down")

    provider = FakeProvider({"dead": [slow_failure] * 9})
    config = settings({"dead": CORE, "well": CORE}, {"a": "dead", "b": "well"}, retry={"attempts": 1})
    with Router(config, provider=provider) as router, ThreadPoolExecutor(2) as pool:
        first = pool.submit(router.generate, "a", "otter", seed=1)
        assert started.wait(20)
        assert pool.submit(router.generate, "b", "otter", seed=1).result().deployment == "well"
        with pytest.raises(LascauxError):
            first.result()


def test_a_call_outlives_the_task_that_asked_for_it(emulator: Emulator) -> None:
    """Cancelled, paid, cached: the next one who asks gets it, and upstream saw one call."""

    arrived, go = held(emulator)

    async def scenario() -> list[str]:
        async with AsyncRouter(on(emulator, "core")) as router:
            first = asyncio.create_task(router.generate("core", "otter", seed=3))
            assert await asyncio.to_thread(arrived.wait, 20)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            joined = joins(router)
            second = asyncio.create_task(router.generate("core", "otter", seed=3))
            assert await asyncio.to_thread(joined.acquire, timeout=20)
            go.set()
            return [(await second).cache, (await router.generate("core", "otter", seed=3)).cache]

    assert asyncio.run(scenario()) == ["coalesced", "hit"]
    assert len(emulator.log) == 1


def test_nothing_is_retried_for_a_caller_who_has_gone(emulator: Emulator) -> None:
    """The call under way ends, the fallback is not paid for."""
    emulator.faults = Faults(rules=[Rule(status=503)])
    arrived, go = held(emulator)

    async def scenario() -> None:
        config = {**on(emulator, "a", "b"), "aliases": {"hero": {"deployments": ["a"], "fallbacks": ["b"]}}}
        async with AsyncRouter(config) as router:
            asked = asyncio.create_task(router.generate("hero", "otter"))
            assert await asyncio.to_thread(arrived.wait, 20)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            go.set()
            while any(deployment.in_flight for deployment in router._runtime.deployments.values()):
                await asyncio.sleep(0.01)

    asyncio.run(scenario())
    assert len(emulator.log) == 1


def test_waiting_for_a_thread_counts(emulator: Emulator) -> None:
    """With one thread and four requests nobody is served, or billed, after the deadline."""

    async def scenario() -> list[Any]:
        async with AsyncRouter(on(emulator, "core"), max_workers=1) as router:
            started = time.monotonic()
            calls = [router.generate("core", f"otter {i}", deadline=0.7) for i in range(4)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert time.monotonic() - started < 10
            assert router._runtime.deployments["core"].state(0.0) is State.CLOSED
            return outcomes

    outcomes = asyncio.run(scenario())
    late = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(late) >= 2
    assert {type(outcome) for outcome in late} == {DeadlineExceeded}
    assert len(emulator.log) <= 2


def test_a_hit_carries_the_warnings_of_the_one_who_asks() -> None:
    """The same body can come from an exact and from an adapted request."""
    provider = FakeProvider()
    with Router(settings({"t": {"model": TITAN, "region": "us-east-1"}}, {"a": "t"}), provider=provider) as router:
        exact = router.generate("a", "otter", size="1024x1024", seed=2, strict=True)
        adapted = router.generate("a", "otter", size="1000x1000", seed=2)
        again = router.generate("a", "otter", size="1024x1024", seed=2, strict=True)
    assert [result.cache for result in (exact, adapted, again)] == ["miss", "hit", "hit"]
    said = [[w.parameter for w in result.warnings if w.code == "adapted"] for result in (exact, adapted, again)]
    assert said == [[], ["size"], []]


def test_pictures_of_one_request_differ_also_at_a_fallback() -> None:
    """Canvas would use its fixed seed for every part; the parts count on from it."""
    provider = FakeProvider({"core": [Unavailable("down")] * 2})
    config = settings(
        {"core": CORE, "canvas": {"model": CANVAS, "region": "us-east-1"}},
        {"hero": {"deployments": ["core"], "fallbacks": ["canvas"]}},
    )
    with Router(config, provider=provider) as router:
        result = router.generate("hero", "otter", n=2)
    assert [image.seed for image in result.images] == [12, 13]
    assert len(provider.sent) == 4


def test_what_a_fallback_has_made_is_paid_once() -> None:
    """The next equal request asks the primary again, then finds the fallback's answer instead of buying it."""
    provider = FakeProvider({"ultra": [Unavailable("down")] * 9})
    config = settings({"ultra": ULTRA, "core": CORE}, {"hero": {"deployments": ["ultra"], "fallbacks": ["core"]}})
    with Router(config, provider=provider) as router:
        results = [router.generate("hero", "otter", seed=5) for _ in range(3)]
        assert [(result.deployment, result.cache) for result in results] == [("core", "miss")] + [("core", "hit")] * 2
        assert all(deployment.in_flight == 0 for deployment in router._runtime.deployments.values())
    assert [record.target.deployment for record in provider.sent].count("core") == 1


def test_a_caller_in_a_hurry_opens_no_breaker(emulator: Emulator) -> None:
    """A limit of 10 ms says nothing about a deployment that needs 400."""
    with Router(on(emulator, "core")) as router:
        for i in range(8):
            with pytest.raises(LascauxError):
                router.generate("core", f"otter {i}", attempt_timeout=0.05, deadline=0.1)
        deployment = router._runtime.deployments["core"]
        assert deployment.state(time.monotonic()) is State.CLOSED
        assert deployment.in_flight == 0


def test_models_of_ones_own_have_no_price_by_the_picture() -> None:
    """Provisioned throughput is billed by the hour: None and a reason, unless an override names a price."""
    arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefghijkl"
    deployment = {"model": arn, "base_model": TITAN, "region": "us-east-1"}
    with Router(settings({"own": deployment}, {}), provider=FakeProvider()) as router:
        result = router.generate("own", "otter")
    assert result.cost.usd is None
    assert "billed by the hour" in str(result.cost.note)
    assert [warning.code for warning in result.warnings] == ["price_unknown"]


def test_a_mistake_in_a_provider_fails_all_who_wait_and_leaves_nothing() -> None:
    """Even an error that should not exist: one call, everybody is told, the next request is a new one."""

    def broken(target: Any, call: Any) -> ImageResult:
        for _ in range(10):
            assert joined.acquire(timeout=20)
        raise RuntimeError("a bug")

    provider = FakeProvider({"core": [broken, ImageResult(images=(Image(PICTURE),))]})
    with Router(settings({"core": CORE}, {}), provider=provider) as router, ThreadPoolExecutor(10) as pool:
        joined = joins(router)
        futures = [pool.submit(router.generate, "core", "otter", seed=1) for _ in range(10)]
        errors = [future.exception() for future in futures]
        assert {type(error) for error in errors} == {RuntimeError}
        assert len(provider.sent) == 1
        assert router._runtime.deployments["core"].in_flight == 0
        assert router.generate("core", "otter", seed=1).cache == "miss"


def test_an_interrupt_starts_no_new_calls() -> None:
    """With several parts under way, the caller's interrupt is answered at once."""
    release = threading.Event()

    def stuck(target: Any, call: Any) -> ImageResult:
        if call.seed == 1:
            raise KeyboardInterrupt
        release.wait(20)
        raise Unavailable("down")

    provider = FakeProvider({"core": [stuck] * 9})
    with Router(settings({"core": CORE}, {}), provider=provider) as router:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            router.generate("core", "otter", n=3, seed=1)
        assert time.monotonic() - started < 10
        release.set()
        deadline = time.monotonic() + 20
        while router._runtime.deployments["core"].in_flight and time.monotonic() < deadline:
            threading.Event().wait(0.01)
    assert 1 <= len(provider.sent) <= 3  # a part that had not begun yet when the interrupt came is not sent


@pytest.mark.parametrize("bad", ["\ud800", "x" * 1000])
def test_a_tenant_is_a_short_text(bad: str) -> None:
    """What can not be digested is refused, not a traceback."""
    router = Router(settings({"core": CORE}, {}), provider=FakeProvider())
    with router, pytest.raises(InvalidRequest, match="tenant"):
        router.generate("core", "otter", seed=1, tenant=bad)


def test_a_closed_router_says_so() -> None:
    """Both kinds."""
    with Router(settings({"core": CORE}, {}), provider=FakeProvider()) as router:
        pass
    with pytest.raises(NoDeploymentAvailable, match="closed"):
        router.generate("core", "otter")

    async def scenario() -> None:
        async with AsyncRouter(settings({"core": CORE}, {}), provider=FakeProvider()) as router:
            pass
        with pytest.raises(NoDeploymentAvailable, match="closed"):
            await router.generate("core", "otter")

    asyncio.run(scenario())


def in_child(work: Callable[[], None]) -> int | None:
    """Run ``work`` in a forked child; its exit code, None if it hangs."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(20)
    if child.is_alive():
        child.kill()
        child.join()
        return None
    return child.exitcode


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_afresh(emulator: Emulator) -> None:
    """A call under way in the parent is not the child's: no flight to wait for, no place taken, no dead threads."""
    config = on(emulator, "core", limits={"concurrency": 1})
    with Router(config) as router, ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(router.generate, "core", "otter", seed=1)
        while not router._runtime.deployments["core"].in_flight:
            threading.Event().wait(0.005)

        def work() -> None:
            assert router.generate("core", "otter", seed=1, deadline=10).images

        assert in_child(work) == 0
        under_way.result()


def test_a_failure_is_not_shared_when_the_leaders_caller_has_gone() -> None:
    """Nothing is retried for who has left; who waits for the same picture still has all ways out."""
    started = threading.Event()

    def slow_failure(target: Any, call: Any) -> ImageResult:
        started.set()
        time.sleep(0.2)
        raise Unavailable("down")

    provider = FakeProvider()
    provider.then("near", slow_failure)
    both = [{"use": "near", "priority": 0}, {"use": "far", "priority": 1}]
    config = settings({"near": CORE, "far": CORE}, {"hero": {"deployments": both}})

    async def scene() -> Any:
        async with AsyncRouter(config, provider=provider) as router:
            leader = asyncio.create_task(router.generate("hero", "otter", seed=5))
            await asyncio.to_thread(started.wait, 20)
            waiter = asyncio.create_task(router.generate("hero", "otter", seed=5))
            await asyncio.sleep(0.05)
            leader.cancel()
            return await waiter

    assert asyncio.run(scene()).images


def test_a_call_that_has_no_thread_yet_is_not_made_for_who_has_gone() -> None:
    """One thread, six callers, five of whom leave: one call, and their places are given back."""
    provider = FakeProvider()
    started, go = threading.Event(), threading.Event()

    def slow(target: Any, call: Any) -> ImageResult:
        started.set()
        go.wait(20)
        return ImageResult(images=(Image(PICTURE, seed=1),))

    provider.then("core", slow)
    config = settings({"core": CORE}, {"hero": {"deployments": ["core"]}})

    async def scene() -> AsyncRouter:
        async with AsyncRouter(config, provider=provider, max_workers=1) as router:
            tasks = [asyncio.create_task(router.generate("hero", str(i))) for i in range(6)]
            await asyncio.to_thread(started.wait, 20)
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks[1:], return_exceptions=True)
            go.set()
            assert (await tasks[0]).images
        return router

    router = asyncio.run(scene())
    assert len(provider.sent) == 1
    assert router._runtime.deployments["core"].in_flight == 0


def test_a_call_is_refused_at_the_door_when_its_caller_has_gone() -> None:
    """Between the thread and the wire there is one more look; nothing was sent, nothing is billed."""
    provider = FakeProvider()
    with Router(settings({"core": CORE}, {"hero": {"deployments": ["core"]}}), provider=provider) as router:
        run = router._begin("hero", "otter", {})
        send = next(run.flow)
        assert isinstance(send, Send)
        run.trail.stop()
        with pytest.raises(AttemptTimeout, match="has gone") as refused:
            run.exchange(send)
        assert not refused.value.may_be_billed
        with pytest.raises(AttemptTimeout):
            run.flow.throw(refused.value)
    assert not provider.sent
