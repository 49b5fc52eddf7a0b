"""A request that failed lets go of its body at once: nothing waits for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import traceback
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from lascaux import AsyncRouter, LascauxError, Router
from lascaux.providers.errors import Rejected, Unavailable
from lascaux.providers.fake import FakeProvider
from lascaux.router.runtime import Run
from PIL import Image

CANVAS = "amazon.nova-canvas-v1:0"
CONFIG = {
    "deployments": {
        "one": {"model": CANVAS, "region": "us-east-1"},
        "two": {"model": CANVAS, "region": "us-west-2"},
    },
    "aliases": {"hero": {"deployments": ["one", "two"]}},
    "retry": {"backoff": "1ms", "max_backoff": "1ms", "attempts": 2},
}
PHOTO = Image.new("RGB", (512, 512))


def rejected(target: Any, call: Any) -> Any:
    """The caller's fault, with a cause of its own."""
    try:
        raise ValueError("the wire's own words")
    except ValueError as error:
        raise Rejected("no") from error


def down(target: Any, call: Any) -> Any:
    """Somebody else may be asked."""
    try:
        raise OSError("no route")
    except OSError as error:
        raise Unavailable("down") from error


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Any]]]:
    """What of the requests is still there, with the garbage collector switched off."""
    seen: list[weakref.ref[Any]] = []
    begin = Run.__init__

    def noted(self: Run, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        seen.append(weakref.ref(self))
        seen.append(weakref.ref(self.trail.stopped))
        seen.append(weakref.ref(self.flow))

    monkeypatch.setattr(Run, "__init__", noted)
    gc.collect()
    gc.disable()
    yield seen
    gc.enable()


CASES = pytest.mark.parametrize(
    ("failure", "params"),
    [
        (rejected, {}),
        (rejected, {"seed": 1}),
        (rejected, {"image": PHOTO}),
        (down, {}),
        (down, {"seed": 1, "image": PHOTO}),
        (rejected, {"n": 7, "seed": 1}),
        (down, {"n": 7}),
    ],
)


def provider(failure: Any) -> FakeProvider:
    """Everybody fails so, always."""
    return FakeProvider({name: [failure] * 20 for name in ("one", "two")})


def told(error: LascauxError) -> None:
    """The error that reaches the caller says where it came from, and what was tried."""
    assert "_drive" in "".join(traceback.format_exception(error))
    assert error.attempts
    assert all(attempt.error is not None and attempt.error.__traceback__ is None for attempt in error.attempts)
    assert error.__cause__ is not None


def alive(kept: list[weakref.ref[Any]]) -> list[Any]:
    """Those that are still held."""
    assert kept
    return [ref() for ref in kept if ref() is not None]


@CASES
def test_a_failed_request_is_forgotten(kept: list[weakref.ref[Any]], failure: Any, params: dict[str, Any]) -> None:
    """By `Router`, as soon as its error is."""
    with Router(CONFIG, provider=provider(failure)) as router:
        try:
            router.edit("hero", "x", **params) if "image" in params else router.generate("hero", "x", **params)
        except LascauxError as error:
            told(error)
        assert not alive(kept)


@CASES
def test_a_failed_request_is_forgotten_with_asyncio(
    kept: list[weakref.ref[Any]], failure: Any, params: dict[str, Any]
) -> None:
    """By `AsyncRouter`, as soon as its error is, and its threads have taken the next breath."""

    async def scenario() -> list[Any]:
        router = AsyncRouter(CONFIG, provider=provider(failure))
        try:
            if "image" in params:
                await router.edit("hero", "x", **params)
            else:
                await router.generate("hero", "x", **params)
        except LascauxError as error:
            told(error)
        await router.aclose()
        return alive(kept)

    assert not asyncio.run(scenario())


class Body(str):
    """Text that can be watched."""


def test_a_request_that_can_not_be_read_is_forgotten(kept: list[weakref.ref[Any]]) -> None:
    """An unknown parameter and a broken picture do not stay."""

    async def scenario() -> list[Any]:
        router = AsyncRouter(CONFIG, provider=FakeProvider())
        for params in ({"zz": Body("A" * 100)}, {"image": Body("A" * 100)}, {"native": {"zz": Body("A")}, "zz": 1}):
            kept.extend(weakref.ref(value) for value in params.values() if isinstance(value, Body))
            with pytest.raises(LascauxError):
                await router.generate("hero", "x", **params)
            with pytest.raises(LascauxError):
                await router.explain("hero", "x", **params)
        del params
        await router.aclose()
        return alive(kept)

    assert not asyncio.run(scenario())
