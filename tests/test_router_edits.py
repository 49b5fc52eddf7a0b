"""`edit` and `variation`, sync and async: the same pictures, the same answers, the same errors."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lascaux import AsyncRouter, Router
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.fake import PICTURE, FakeProvider
from lascaux.providers.pictures import encode_png
from lascaux.providers.types import Call, ImageRequest, ImageResult, Picture, Target, Task
from lascaux.router.errors import DeadlineExceeded, LascauxError
from PIL import Image as Pillow

PHOTO = encode_png(Pillow.new("RGB", (640, 512), "teal"))
OTHER = encode_png(Pillow.new("RGB", (640, 512), "gold"))
CONFIG: dict[str, Any] = {
    "deployments": {
        "inpaint": {"model": "us.stability.stable-image-inpaint-v1:0", "region": "us-east-1"},
        "canvas": {"model": "amazon.nova-canvas-v1:0", "region": "us-east-1"},
    },
    "aliases": {"touch-up": "inpaint", "canvas": "canvas"},
    "lifecycle": {"retired": "allow"},
}


def both(
    provider: FakeProvider, method: str, *args: Any, parts: dict[str, Any] | None = None, **params: Any
) -> list[Any]:
    """What a router and an async router make of the same call: results or errors."""

    async def awaited() -> Any:
        async with AsyncRouter(CONFIG, provider=provider, **(parts or {})) as router:
            return await getattr(router, method)(*args, **params)

    found = []
    with Router(CONFIG, provider=provider, **(parts or {})) as router:
        calls: list[Callable[[], Any]] = [
            lambda: getattr(router, method)(*args, **params),
            lambda: asyncio.run(awaited()),
        ]
        for call in calls:
            try:
                found.append(call())
            except LascauxError as error:
                found.append(error)
    return found


def test_edit_sends_the_picture_and_the_task(tmp_path: Path) -> None:
    """From a path, with a mask by its colour; the task follows from what is given."""
    path = tmp_path / "photo.png"
    path.write_bytes(PHOTO.bytes)
    mask = Pillow.new("L", (640, 512), 255)
    provider = FakeProvider()
    results = both(provider, "edit", "touch-up", "a hat", image=str(path), mask=mask, mask_mode="white", seed=5)
    assert [result.images[0].b64 for result in results] == [PICTURE, PICTURE]
    for sent in provider.sent:
        assert sent.call.task is Task.INPAINT
        assert (sent.call.body["image"], sent.call.body["prompt"]) == (PHOTO.b64, "a hat")
    assert len(provider.sent) == 2


def test_variation_names_its_task() -> None:
    """Even for a single picture, with or without words."""
    provider = FakeProvider()
    both(provider, "variation", "canvas", image=[PHOTO, OTHER], similarity=0.5, prompt="in autumn")
    assert [sent.call.task for sent in provider.sent] == [Task.VARIATION] * 2
    params = provider.sent[0].call.body["imageVariationParams"]
    assert (params["images"], params["text"]) == ([PHOTO.b64, OTHER.b64], "in autumn")
    both(provider, "variation", "canvas", image=PHOTO.bytes, task="variation")
    assert provider.sent[-1].call.task is Task.VARIATION


@pytest.mark.parametrize(
    ("method", "params", "parameter"),
    [
        ("edit", dict(image=None), "image"),
        ("edit", dict(image=b"GIF89a"), "image"),
        ("variation", dict(image=None), "image"),
        ("variation", dict(image=PHOTO, task="inpaint"), "task"),
        ("variation", dict(image=PHOTO, task="paint"), "task"),
    ],
)
def test_mistakes_cost_nothing(method: str, params: dict[str, Any], parameter: str) -> None:
    """Both routers say the same, before a call is made."""
    provider = FakeProvider()
    errors = both(provider, method, "canvas", **params)
    assert [type(error) for error in errors] == [InvalidRequest] * 2
    assert [error.parameter for error in errors] == [parameter] * 2
    assert str(errors[0]) == str(errors[1])
    assert provider.sent == ()


def test_the_cache_tells_pictures_apart() -> None:
    """The same words and seed with another picture, or another mask, are another request."""
    provider = FakeProvider()
    with Router(CONFIG, provider=provider) as router:

        def state(image: Any, **more: Any) -> str:
            return router.edit("touch-up", "a hat", image=image, mask_mode="white", seed=5, **more).cache

        whole, half = Pillow.new("L", (640, 512), 255), Pillow.linear_gradient("L").resize((640, 512))
        assert state(PHOTO, mask=whole) == "miss"
        assert state(PHOTO.bytes, mask=whole) == "hit"
        assert state(OTHER, mask=whole) == "miss"
        assert state(PHOTO, mask=half) == "miss"


def test_a_service_can_forbid_paths(tmp_path: Path) -> None:
    """URLs are off unless switched on, paths are on unless switched off."""
    path = tmp_path / "photo.png"
    path.write_bytes(PHOTO.bytes)
    provider = FakeProvider()
    for value in (path, str(path), "https://example.com/otter.png"):
        for error in both(provider, "variation", "canvas", image=value, parts={"picture_files": False}):
            assert isinstance(error, InvalidRequest)
            assert error.parameter == "image"
    assert provider.sent == ()
    (error, _) = both(provider, "variation", "canvas", image="https://localhost/x.png", parts={"picture_urls": True})
    assert "is not a public one" in str(error)


def test_a_cancelled_request_ends_its_span() -> None:
    """Also while its pictures are still being read in another thread."""

    async def cancelled() -> None:
        async with AsyncRouter(CONFIG, provider=FakeProvider()) as router:
            task = asyncio.create_task(router.variation("canvas", image=PHOTO.bytes))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())


def test_no_picture_is_the_same_error_wherever_it_is_asked() -> None:
    """An edit, its price and its explanation are refused in the same words."""
    with Router(CONFIG, provider=FakeProvider()) as router:
        for ask in (router.edit, router.quote, router.explain):
            with pytest.raises(InvalidRequest, match=r"^image: a picture is needed$"):
                ask("canvas", "a hat", image=None)


MASK = encode_png(Pillow.linear_gradient("L").resize((320, 256)))


class Watched(FakeProvider):
    """Notes in which threads calls are written, and which masks are in them."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[threading.Thread] = set()
        self.masks: list[str] = []

    def prepare(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
        self.threads.add(threading.current_thread())
        calls = super().prepare(request, target)
        self.masks += [call.body["mask"] for call in calls]
        return calls


def test_pictures_are_worked_on_once_and_off_the_loop() -> None:
    """Four parts share one mask; nothing is written for a model in the thread of the event loop."""
    provider, mask = Watched(), Picture(b64=MASK.b64, format="png", width=320, height=256)

    async def awaited() -> int:
        async with AsyncRouter(CONFIG, provider=provider) as router:
            result = await router.edit("touch-up", "a hat", image=PHOTO, mask=mask, mask_mode="white", n=4, seed=3)
            return len(result.images)

    assert asyncio.run(awaited()) == 4
    assert len(provider.masks) == 8  # for the whole request, and for each part
    assert len({id(text) for text in provider.masks}) == 1
    assert threading.main_thread() not in provider.threads


def busy(call: Callable[[AsyncRouter, threading.Event, list[float]], Any]) -> tuple[Any, FakeProvider]:
    """Let ``call`` use a router whose one thread is busy until an event is set."""
    now, free = [100.0], threading.Event()

    def slow(target: Target, call: Call) -> ImageResult:
        free.wait(30)
        return FakeProvider().send(target, call, timeout=1)

    provider = FakeProvider({"canvas": [slow]})

    async def awaited() -> Any:
        async with AsyncRouter(CONFIG, provider=provider, max_workers=1, clock=lambda: now[0]) as router:
            first = asyncio.ensure_future(router.generate("canvas", "an otter"))
            while not provider.sent:
                await asyncio.sleep(0)
            try:
                return await call(router, free, now)
            finally:
                free.set()
                await first

    return asyncio.run(awaited()), provider


def test_the_queue_for_reading_pictures_counts() -> None:
    """A deadline that passes there has passed."""

    async def late(router: AsyncRouter, free: threading.Event, now: list[float]) -> None:
        task = asyncio.ensure_future(router.variation("canvas", image=PHOTO.bytes, deadline=5))
        await asyncio.sleep(0)
        now[0] += 6
        free.set()
        with pytest.raises(DeadlineExceeded):
            await task

    _, provider = busy(late)
    assert len(provider.sent) == 1


def test_pictures_are_read_beside_the_calls() -> None:
    """Whose threads are all taken: what a request costs and would meet is told all the same."""

    async def told(router: AsyncRouter, free: threading.Event, now: list[float]) -> None:
        explained = await asyncio.wait_for(router.explain("canvas", image=PHOTO.bytes, task="variation"), 10)
        quoted = await asyncio.wait_for(router.quote("canvas", image=PHOTO.bytes, task="variation"), 10)
        assert explained.pick is not None
        assert quoted.pick == explained.pick.deployment == "canvas"
        assert not free.is_set()

    busy(told)


def test_the_deadline_holds_while_pictures_wait_to_be_read() -> None:
    """All threads that read are taken: who waits for one leaves in time, and nothing is made for nobody."""
    go, read = threading.Event(), []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            read.append(size)
            go.wait(30)
            return super().read(size)

    async def late() -> int:
        async with AsyncRouter(CONFIG, provider=provider) as router:
            asks = [
                asyncio.ensure_future(router.variation("canvas", image=Slow(PHOTO.bytes), deadline=0.2))
                for _ in range(12)
            ]
            outcomes = await asyncio.gather(*asks, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {DeadlineExceeded}
            assert "within 0.2 s" in str(outcomes[-1])
            before = len(read)
            go.set()
            await asyncio.to_thread(router._readers.shutdown)
            await asyncio.sleep(0)
            assert len(read) == before < 12
            return router._runtime.deployments["canvas"].in_flight

    provider = FakeProvider()
    assert asyncio.run(late()) == 0
    assert provider.sent == ()


def test_who_leaves_while_pictures_are_read_gives_the_place_back() -> None:
    """What was planned for nobody is closed."""

    async def gone(router: AsyncRouter, free: threading.Event, now: list[float]) -> int:
        kept, plan = [], router._plan

        def keeping(*args: Any) -> Any:  # so that it is not the garbage collector that closes it
            kept.append(plan(*args))
            return kept[-1]

        setattr(router, "_plan", keeping)  # noqa: B010
        task = asyncio.ensure_future(router.variation("canvas", image=PHOTO.bytes, cache=False))
        await asyncio.sleep(0)
        task.cancel()
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(router._readers.shutdown)
        await router.generate("canvas", "another otter")
        assert len(kept) <= 1  # none if it had not begun
        return router._runtime.deployments["canvas"].in_flight

    in_flight, provider = busy(gone)
    assert in_flight == 0
    assert len(provider.sent) == 2
