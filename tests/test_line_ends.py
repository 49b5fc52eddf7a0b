"""What becomes of a line when its router or an event loop is closed, and of what a quota knows after reloads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from lascaux import AsyncRouter, Router
from lascaux.providers.errors import Unavailable
from lascaux.providers.fake import PICTURE, FakeProvider
from lascaux.providers.types import Image, ImageResult
from lascaux.router.errors import NoDeploymentAvailable

CORE = "stability.stable-image-core-v1:1"
ANSWER = ImageResult(images=(Image(PICTURE, seed=1),))


def config(*names: str, **more: Any) -> dict[str, Any]:
    place = {"model": CORE, "region": "us-west-2"}
    return {
        "deployments": {name: {**place, **more} for name in names},
        "aliases": {"hero": {"deployments": list(names)}},
        "health": {"failures": 1},
    }


def until(condition: Callable[[], Any]) -> None:
    """Give other threads the time to come so far."""
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come so far")


def held(provider: FakeProvider) -> threading.Event:
    """The next call at ``a`` lasts until this is set."""
    go = threading.Event()

    def answer(target: Any, call: Any) -> ImageResult:
        go.wait(10)
        return ANSWER

    provider.then("a", answer)
    return go


def test_a_thread_in_line_is_told_that_the_router_is_closed() -> None:
    """At once, not when its deadline is over."""
    router = Router(config("a", limits={"rpm": 1}), provider=FakeProvider())
    router.generate("hero", "one")
    told: list[BaseException] = []

    def ask() -> None:
        try:
            router.generate("hero", "two", deadline=100)
        except NoDeploymentAvailable as error:
            told.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: len(router._runtime.context.line))
    router.close()
    thread.join(5)
    assert [str(error) for error in told] == ["this router is closed"]


def test_a_task_in_line_is_told_that_the_router_is_closed() -> None:
    """With an error of ours, not one of a thread pool."""

    async def scenario() -> None:
        router = AsyncRouter(config("a", limits={"rpm": 1}), provider=FakeProvider())
        await router.generate("hero", "one")
        waiting = asyncio.ensure_future(router.generate("hero", "two", deadline=100))
        while not len(router._runtime.context.line):
            await asyncio.sleep(0.001)
        await router.aclose()
        with pytest.raises(NoDeploymentAvailable, match="this router is closed"):
            await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())


def leave_behind(router: AsyncRouter, reached: Callable[[], Any]) -> None:
    """Begin a request in an event loop that is closed before it has ended."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # a task that is destroyed says so

    tasks: list[Any] = []

    async def begin() -> None:
        tasks.append(asyncio.ensure_future(router.generate("hero", "left behind")))
        while not reached():
            await asyncio.sleep(0.001)

    loop.run_until_complete(begin())
    loop.close()


def test_a_loop_that_is_closed_gives_its_places_back() -> None:
    """What a call held is free when the call has ended, though nobody is left to hear of it."""
    provider = FakeProvider()
    router = AsyncRouter(config("a", limits={"concurrency": 1}), provider=provider)
    place = router._runtime.deployments["a"]
    go = held(provider)
    leave_behind(router, lambda: place.in_flight)
    assert place.in_flight == 1
    go.set()
    until(lambda: not place.in_flight)
    assert asyncio.run(router.generate("hero", "next", max_wait=0)).deployment == "a"
    assert not router._requests


def test_a_probe_of_a_closed_loop_is_not_the_last_one() -> None:
    """The deployment can be asked again."""
    provider, now = FakeProvider(), [1000.0]
    router = AsyncRouter(config("a"), provider=provider, clock=lambda: now[0])
    place = router._runtime.deployments["a"]
    provider.then("a", Unavailable("down"))
    with pytest.raises(Exception, match="down"):
        asyncio.run(router.generate("hero", "one", max_wait=0))
    now[0] += 400.0
    go = held(provider)
    leave_behind(router, lambda: place.in_flight)
    assert not place.ready(now[0])
    go.set()
    until(lambda: not place.in_flight)
    assert place.ready(now[0])


def test_who_waited_in_a_closed_loop_holds_nobody_up() -> None:
    """The freed place goes to the next in line, who waits in another loop already."""
    provider = FakeProvider()
    router = AsyncRouter(config("a", limits={"concurrency": 1}), provider=provider)
    line, place = router._runtime.context.line, router._runtime.deployments["a"]
    go, served = held(provider), []

    def ask(prompt: str) -> None:
        served.append(asyncio.run(router.generate("hero", prompt, deadline=20)).deployment)

    first = threading.Thread(target=ask, args=("first",))
    first.start()
    until(lambda: place.in_flight)
    second = threading.Thread(target=ask, args=("second",))

    def both() -> bool:
        if len(line) == 1 and not second.ident:
            second.start()
        return len(line) == 2

    leave_behind(router, both)
    go.set()
    first.join(5)
    second.join(5)
    assert served == ["a", "a"]
    assert not len(line)


def test_a_quota_forgets_the_names_of_earlier_configurations() -> None:
    """And a configuration that is refused leaves no names behind."""
    router = Router(config("a", "b"), provider=FakeProvider())
    quota = router._runtime.deployments["a"].limits.quota
    assert quota.sharers == {"a", "b"}
    broken = config("x", "y")
    broken["deployments"]["z"] = {"model": "no.such-model", "region": "us-west-2"}
    with pytest.raises(Exception, match="is not an image model"):
        router.reload(broken)
    assert quota.sharers == {"a", "b"}
    for i in range(20):
        router.reload(config(f"a{i}", "b"))
    assert router._runtime.deployments["b"].limits.quota.sharers == {"a19", "b"}
