"""Several pictures of one-image models over HTTP: side by side, within limits, and what fails takes nothing with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from lascaux import AsyncRouter, Router
from lascaux.emulator import Emulator, Rule
from lascaux.router.errors import LascauxError

CORE, INPAINT, CANVAS = (
    "stability.stable-image-core-v1:1",
    "stability.stable-image-inpaint-v1:0",
    "amazon.nova-canvas-v1:0",
)
KEYS = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
PROMPT = "a sea otter"


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    with Emulator(canvas="fast", any_region=True) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared: Emulator) -> Iterator[Emulator]:
    """Without a past."""
    shared.forget()
    yield shared
    shared.faults.clear()


def config(emulator: Emulator, model: str = CORE, **more: Any) -> dict[str, Any]:
    """One deployment, asked once, and nothing is cached."""
    place = {"model": model, "region": "us-west-2", "credentials": "demo", "endpoint_url": emulator.url, **more}
    return {
        "credentials": {"demo": KEYS},
        "deployments": {"it": place},
        "retry": {"attempts": 1},
        "cache": {"backend": "none"},
        "lifecycle": {"retired": "allow"},
    }


def both(settings: Mapping[str, Any], **params: Any) -> list[Any]:
    """What the router and the async router make of the same request: results or errors."""

    async def awaited() -> Any:
        async with AsyncRouter(settings) as router:
            return await router.generate("it", PROMPT, **params)

    found: list[Any] = []
    with Router(settings) as router:
        for call in (lambda: router.generate("it", PROMPT, **params), lambda: asyncio.run(awaited())):
            try:
                found.append(call())
            except LascauxError as error:
                found.append(error)
    return found


FAULTS = {
    "an error": (Rule(kind="error", status=400, error_type="ValidationException", message="no", times=1), "failed"),
    "a broken server": (Rule(kind="error", status=500, times=1), "failed"),
    "a closed connection": (Rule(kind="drop", times=1), "failed"),
    "no JSON": (Rule(kind="garbage", times=1), "failed"),
    "a proxy's page": (Rule(kind="html", status=502, times=1), "failed"),
}
"""What befalls one of the calls, and what is said of its picture."""


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("how", [0, 1], ids=["sync", "async"])
def test_one_failure_does_not_throw_away_the_others(name: str, how: int, emulator: Emulator) -> None:
    """Three of four pictures are delivered and paid for; the result says which one is missing, and why."""
    rule, reason = FAULTS[name]
    settings = config(emulator)

    async def awaited() -> Any:
        async with AsyncRouter(settings) as router:
            return await router.generate("it", PROMPT, n=4, seed=10)

    emulator.faults.add(rule)
    if how:
        result = asyncio.run(awaited())
    else:
        with Router(settings) as router:
            result = router.generate("it", PROMPT, n=4, seed=10)
    assert len(result.images) == 3
    (missing,) = result.missing
    assert missing.reason == reason
    assert missing.message
    assert missing.index in range(4)
    assert sorted([10 + missing.index, *(image.seed for image in result.images)]) == [10, 11, 12, 13]
    assert [image.seed for image in result.images] == [10 + at for at in range(4) if at != missing.index]
    struck = [record.body["seed"] for record in emulator.log if record.fault and record.body]
    assert struck == [10 + missing.index]
    one = price_of_one(emulator)
    assert result.cost.usd == 3 * one
    assert len({image.b64 for image in result.images}) == 3


def price_of_one(emulator: Emulator) -> Any:
    """What a single picture of the same model costs."""
    with Router(config(emulator)) as router:
        return router.generate("it", PROMPT).cost.usd


def test_a_filtered_picture_among_good_ones(emulator: Emulator) -> None:
    """Nova Canvas makes them in one call and leaves out what it blocked: the others are kept, and only they are billed."""
    settings = config(emulator, CANVAS, region="us-east-1")
    with Router(settings) as router:
        whole = router.generate("it", PROMPT, n=4, seed=1)
        result = router.generate("it", f"{PROMPT} [blocked-some]", n=4, seed=1)
    assert (len(whole.images), len(whole.missing)) == (4, 0)
    assert (len(result.images), [one.reason for one in result.missing]) == (2, ["filtered"] * 2)
    assert "blocked by our content filters" in result.missing[0].message
    assert result.cost.usd is not None
    assert result.cost.usd * 2 == whole.cost.usd


def test_all_of_them_filtered_is_an_error(emulator: Emulator) -> None:
    """Sync and async, one-image models and others: nothing was delivered."""
    for model, region in ((CORE, "us-west-2"), (CANVAS, "us-east-1")):
        settings = config(emulator, model, region=region)
        with Router(settings) as router, pytest.raises(LascauxError) as caught:
            router.generate("it", f"{PROMPT} [blocked-output]", n=4, seed=1)
        assert caught.value.code == "content_filtered"


def test_all_of_them_failed_is_one_error(emulator: Emulator) -> None:
    """The same from both routers."""
    emulator.faults.add(Rule(kind="error", status=400, error_type="ValidationException", message="no such thing"))
    for error in both(config(emulator), n=4, seed=1):
        assert isinstance(error, LascauxError)
        assert error.code == "rejected_by_provider"


class Watched:
    """How many calls the emulator had in hand at once: it is told when one begins and when its answer is made."""

    def __init__(self, emulator: Emulator, *, alone: bool) -> None:
        self.lock, self.alone, self.met = threading.Lock(), alone, threading.Event()
        self.now = self.most = self.calls = 0
        self.inner = emulator._respond

    def __call__(self, request: Any, secure: bool) -> Any:
        with self.lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)
            if self.now > 1:
                self.met.set()
        try:
            assert self.alone or self.met.wait(30)
            threading.Event().wait(0.02)  # long enough for others to arrive
            return self.inner(request, secure)
        finally:
            with self.lock:
                self.now -= 1


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (2, 2), (3, 3), (None, 6)])
@pytest.mark.parametrize("how", [0, 1], ids=["sync", "async"])
def test_no_more_calls_in_flight_than_the_limit(limit: int | None, expected: int, how: int) -> None:
    """Six pictures: all delivered, never more at once than the deployment may take, and as many as it may."""
    watched = Emulator(canvas="fast")
    watch = Watched(watched, alone=limit == 1)
    watched._respond = watch  # type: ignore[method-assign]
    with watched:
        more: dict[str, Any] = {"limits": {"concurrency": limit}} if limit else {}
        settings = config(watched, **more)

        async def awaited() -> Any:
            async with AsyncRouter(settings) as router:
                return await router.generate("it", PROMPT, n=6, seed=1)

        if how:
            result = asyncio.run(awaited())
        else:
            with Router(settings) as router:
                result = router.generate("it", PROMPT, n=6, seed=1)
    assert [image.seed for image in result.images] == [1, 2, 3, 4, 5, 6]
    assert watch.calls == 6
    assert watch.most <= expected
    assert limit == 1 or watch.most > 1


def test_a_limit_and_a_failure_together(emulator: Emulator) -> None:
    """The call that waits for its turn is not lost when the one before it fails."""
    emulator.faults.add(Rule(kind="error", status=400, error_type="ValidationException", message="no", times=1))
    for result in both(config(emulator, limits={"concurrency": 1}), n=3, seed=5):
        assert len(result.images) + len(result.missing) == 3
        assert len(result.images) >= 2


def test_edits_fan_out_too(emulator: Emulator) -> None:
    """A service with a seed makes one picture per call; one of them fails, the others are another each."""
    from PIL import Image

    photo, mask = Image.new("RGB", (640, 640), "teal"), Image.linear_gradient("L").resize((640, 640))
    emulator.faults.add(Rule(kind="error", status=500, match="a hat", times=1))
    with Router(config(emulator, INPAINT)) as router:
        result = router.edit("it", "a hat", image=photo, mask=mask, mask_mode="white", n=3, seed=7)
    assert (len(result.images), len(result.missing)) == (2, 1)
    assert len(emulator.log) == 3
    assert {record.body["seed"] for record in emulator.log if record.body} == {7, 8, 9}
