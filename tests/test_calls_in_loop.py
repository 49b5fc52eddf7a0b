"""AsyncRouter's calls over HTTP, which the event loop makes itself: bounds, leaving, closing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lascaux import AsyncRouter
from lascaux.emulator import Emulator, Rule
from lascaux.providers.errors import LascauxError

CORE = "stability.stable-image-core-v1:1"
PATIENCE = 60.0


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Of this test."""
    with Emulator(canvas="fast") as emulator:
        yield emulator


def config(emulator: Emulator, **more: Any) -> dict[str, Any]:
    """One deployment, one try."""
    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {
            "core": {"model": CORE, "region": "us-west-2", "credentials": "demo", "endpoint_url": emulator.url}
        },
        "aliases": {"hero": "core"},
        "retry": {"attempts": 1},
        **more,
    }


async def until(what: Any, text: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, text
        await asyncio.sleep(0.005)


def call_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lascaux-call")]


def test_no_thread_waits_for_a_picture(emulator: Emulator) -> None:
    """However many are under way."""
    emulator.faults.add(Rule(kind="black_hole", times=20))

    async def main() -> None:
        async with AsyncRouter(config(emulator)) as router:
            asked = [asyncio.ensure_future(router.generate("hero", f"otter {n}", deadline=5)) for n in range(20)]
            await until(lambda: len(emulator.log) == 20, "the calls do not arrive")
            await asyncio.sleep(0.05)
            assert not call_threads()
            assert "lascaux-wait" not in {thread.name for thread in threading.enumerate()}
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(main())


def test_calls_beyond_the_bound_wait_for_a_place(emulator: Emulator) -> None:
    """With two workers two calls are under way, whoever makes them; all others follow, first come first served."""
    emulator.faults.latency = 0.05
    most, now, lock = [0], [0], threading.Lock()

    async def main() -> None:
        async with AsyncRouter(config(emulator), max_workers=2) as router:
            provider = router._runtime.provider
            send, asend = provider.send, provider.asend  # type: ignore[attr-defined]

            def count(change: int) -> None:
                with lock:
                    now[0] += change
                    most[0] = max(most[0], now[0])

            def counted(*args: Any, **more: Any) -> Any:
                count(1)
                try:
                    return send(*args, **more)
                finally:
                    count(-1)

            async def acounted(*args: Any, **more: Any) -> Any:
                count(1)
                try:
                    return await asend(*args, **more)
                finally:
                    count(-1)

            provider.send, provider.asend = counted, acounted  # type: ignore[attr-defined, method-assign]
            results = await asyncio.gather(*(router.generate("hero", f"otter {n}") for n in range(12)))
            assert len({result.images[0].b64 for result in results}) == 12

    asyncio.run(main())
    assert most == [2]
    assert now == [0]
    assert emulator.billed == 12


def test_closing_waits_for_what_is_under_way(emulator: Emulator) -> None:
    """Who was called before the end gets the picture."""
    emulator.faults.latency = 0.3

    async def main() -> None:
        router = AsyncRouter(config(emulator))
        asked = [asyncio.ensure_future(router.generate("hero", f"otter {n}")) for n in range(3)]
        await until(lambda: len(emulator.log) == 3, "the calls do not arrive")
        await router.aclose()
        assert {len((await task).images) for task in asked} == {1}
        with pytest.raises(LascauxError, match="closed"):
            await router.generate("hero", "one more")

    asyncio.run(main())
    assert emulator.billed == 3


def test_who_leaves_does_not_lose_the_picture(emulator: Emulator) -> None:
    """It is paid for, so it lands in the cache."""
    emulator.faults.latency = 0.2

    async def main() -> None:
        async with AsyncRouter(config(emulator)) as router:
            asked = asyncio.ensure_future(router.generate("hero", "an otter", seed=7))
            await until(lambda: emulator.log, "the call does not arrive")
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            found = await router.generate("hero", "an otter", seed=7)
            assert found.cache in ("hit", "coalesced")

    asyncio.run(main())
    assert emulator.billed == 1


def test_a_loop_that_ends_in_the_middle_gives_its_places_back(emulator: Emulator) -> None:
    """The deployment's and the router's: the next loop finds both free, and nothing is in flight any more."""
    emulator.faults.add(Rule(kind="black_hole", times=1))
    router = AsyncRouter(config(emulator), max_workers=1)

    async def lost() -> None:
        asyncio.ensure_future(router.generate("hero", "an otter"))  # noqa: RUF006
        await until(lambda: emulator.log, "the call does not arrive")

    async def found() -> None:
        assert (await router.generate("hero", "another otter", deadline=PATIENCE)).images
        assert [place[-1] for place in router._runtime.standing()] == [0]
        await router.aclose()

    asyncio.run(lost())
    asyncio.run(found())
