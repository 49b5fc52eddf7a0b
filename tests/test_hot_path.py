"""What one warm call costs, counted and not timed: calls of functions, and bytes that are held at once.

The bounds stand a little above what was counted when they were written. If one is passed, find what was added with

    pytest -n 0 -s tests/test_hot_path.py

which prints the functions that are called most; `make bench` says what they cost. Raise a bound only for something that
is worth its price to every picture.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import struct
import sys
import threading
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pybase64
import pytest
from lascaux import AsyncRouter, Router
from lascaux.providers.fake import FakeProvider

CORE = "stability.stable-image-core-v1:1"
SMALL, LARGE = 1_000, 1_500_000
ONE_CALL = 920
"""Calls of functions."""
ONE_CALL_IN_ASYNCIO = 1180
"""With those of the event loop, which makes the upstream call itself."""
READING = 500
"""More for a large picture: its bytes come in as many pieces as the system likes."""
ONE_HIT = 230


def picture_of(size: int) -> bytes:
    """A PNG file of ``size`` bytes, ending where it ends. Its pixels are noise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1024, 1024, 8, 2, 0, 0, 0))
    end = chunk(b"IEND", b"")
    return header + chunk(b"IDAT", random.Random(1).randbytes(size - len(header) - len(end) - 12)) + end


class Backend:
    """Answers every request with the same picture, as Bedrock does for Stability's models."""

    def __init__(self, size: int) -> None:
        picture = pybase64.b64encode(picture_of(size)).decode()
        body = json.dumps({"seeds": [7], "finish_reasons": [None], "images": [picture]}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.answer = head.encode() + body
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._open.append(client)
            self._threads.append(threading.Thread(target=self._talk, args=(client,)))
            self._threads[-1].start()

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as stream:
            while line := stream.readline():
                length = 0
                while line not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                    line = stream.readline()
                stream.read(length)
                client.sendall(self.answer)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module", params=[SMALL, LARGE], ids=["small", "large"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A model that takes no time, with a picture of one size. Its connections end with the routers that hold them."""
    made = Backend(request.param)
    yield made
    made.close()


@pytest.fixture(scope="module")
def large() -> Iterator[Backend]:
    """The same with a large picture only."""
    made = Backend(LARGE)
    yield made
    made.close()


def config(url: str | None = None, count: int = 1) -> dict[str, Any]:
    """Deployments of one model in one alias, with the cache on."""
    place = {"model": CORE, "region": "us-west-2", "credentials": "demo"} | ({"endpoint_url": url} if url else {})
    names = [f"core-{number}" for number in range(count)]
    return {
        "credentials": {"demo": {"access_key_id": "AKID", "secret_access_key": "secret"}},
        "deployments": {name: place for name in names},
        "aliases": {"hero": {"deployments": names}},
        "cache": {"max_bytes": "64MiB"},
    }


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Counts the functions, in Python and in C, that this thread calls meanwhile."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            found[f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            found[getattr(argument, "__qualname__", repr(argument))] += 1

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


def counted(call: Callable[[], object]) -> Counter[str]:
    """The functions that are called while ``call`` runs: the least of three times, for now and then a cache is renewed."""
    found = []
    for _ in range(3):
        with counting() as one:
            call()
        found.append(one)
    return min(found, key=Counter.total)


def check(found: Counter[str], most: int) -> None:
    """Fail with what is called most."""
    listed = "\n".join(f"{count:5} {name}" for name, count in found.most_common(40))
    print(f"{found.total()} calls\n{listed}")
    assert found.total() <= most, (
        f"{found.total()} calls of functions, at most {most} are expected; most of all:\n{listed}"
    )


def peak(call: Callable[[], object]) -> int:
    """Bytes that are held at once by Python's allocator while ``call`` runs, above what was held before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        held = call()
        most = tracemalloc.get_traced_memory()[1] - before
        del held
        return most
    finally:
        tracemalloc.stop()


def test_calls_of_functions_for_one_picture(backend: Backend) -> None:
    """From the prompt to decoded bytes, over HTTP, no cache hit: however large the picture is."""
    seeds = itertools.count(1)
    with Router(config(backend.url)) as router:

        def call() -> bytes:
            return router.generate("hero", "an otter", seed=next(seeds), aspect_ratio="1:1").images[0].bytes

        for _ in range(3):
            call()
        check(counted(call), ONE_CALL if len(backend.answer) < LARGE else ONE_CALL + READING)


def test_calls_of_functions_for_one_picture_in_asyncio(backend: Backend) -> None:
    """What the event loop does for one picture; no other thread takes part."""
    seeds = itertools.count(1)

    async def call(router: AsyncRouter) -> bytes:
        return (await router.generate("hero", "an otter", seed=next(seeds), aspect_ratio="1:1")).images[0].bytes

    async def main() -> Counter[str]:
        async with AsyncRouter(config(backend.url)) as router:
            for _ in range(3):
                await call(router)
            found = []
            for _ in range(3):
                with counting() as one:
                    await call(router)
                found.append(one)
            return min(found, key=Counter.total)

    check(asyncio.run(main()), ONE_CALL_IN_ASYNCIO + (0 if len(backend.answer) < LARGE else READING))


def test_calls_of_functions_for_a_cache_hit() -> None:
    """The same request again is neither read nor planned again."""
    with Router(config(), provider=FakeProvider()) as router:

        def call() -> str:
            return router.generate("hero", "an otter", seed=5, aspect_ratio="1:1").images[0].b64

        for _ in range(3):
            call()
        check(counted(call), ONE_HIT)


def test_a_thousand_deployments_are_no_more_work_than_ten() -> None:
    """Nothing on the way of a request grows with those that might be asked."""
    totals = {}
    for count in (10, 1000):
        seeds = itertools.count(1)
        with Router(config(count=count), provider=FakeProvider()) as router:

            def call(router: Router = router, seeds: Iterator[int] = seeds) -> object:
                return router.generate("hero", "an otter", seed=next(seeds), aspect_ratio="1:1")

            for _ in range(3):
                call()
            totals[count] = counted(call).total()
    assert totals[1000] <= 1.1 * totals[10]


def test_a_router_of_many_deployments_takes_work_in_proportion() -> None:
    """Ten times the deployments are about ten times the work, not a hundred times."""
    few, many = (counted(lambda count=count: Router(config(count=count)).close()).total() for count in (100, 1000))  # type: ignore[misc]
    assert many <= 12 * few


def test_a_picture_is_held_once_on_its_way(large: Backend) -> None:
    """Until bytes are asked for there is the answer's body and nothing else of its size; then the file beside it."""
    seeds = itertools.count(1)
    body = len(large.answer)
    with Router({**config(large.url), "cache": {"backend": "none"}}) as router:

        def answered() -> object:
            return router.generate("hero", "an otter", seed=next(seeds))

        def opened() -> object:
            result = router.generate("hero", "an otter", seed=next(seeds))
            return result.images[0].bytes, result

        for _ in range(3):
            opened()
        assert peak(answered) <= 1.3 * body
        assert peak(opened) <= 2.0 * body


def test_the_text_of_a_picture_is_made_once(backend: Backend) -> None:
    """Whoever asks for the base64 again, from the cache too, gets the very same text."""
    with Router(config(backend.url)) as router:
        first = router.generate("hero", "an otter", seed=1).images[0].b64
        again = router.generate("hero", "an otter", seed=1)
        assert again.cache == "hit"
        assert again.images[0].b64 is first
