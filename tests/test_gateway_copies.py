"""Several workers act as one: what one has made is not paid for at another, and their places are counted together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from lascaux import AsyncRouter
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.copies import Copies, packed, unpacked
from lascaux.gateway.gate import open_gate
from lascaux.gateway.intake import Bounds
from lascaux.gateway.peers import Peers
from lascaux.gateway.shared_limits import SharedLimits
from lascaux.pricing import Cost, Rate
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Call, Credentials, Image, ImageResult, Missing, Secret, Target, Task, Warning
from lascaux.router.cache import Copy, Entry

Serve = Callable[[Any], AbstractContextManager[str]]

WORKERS = 3
TEAM, OTHER = "team-key-0123456789", "other-key-0123456789"
PATH = "/v1/images/generations"


def config(url: str) -> dict[str, Any]:
    """One model on the emulator, two keys, a cache."""
    keys = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
    core = {"model": "stability.stable-image-core-v1:1", "region": "us-west-2", "credentials": "demo"}
    canvas = {"model": "amazon.nova-canvas-v1:0", "region": "us-east-1", "credentials": "demo", "endpoint_url": url}
    return {
        "credentials": {"demo": keys},
        "deployments": {"core": {**core, "endpoint_url": url}, "canvas": canvas},
        "aliases": {"hero": "core", "canvas-hero": "canvas"},
        "retry": {"attempts": 1},
        "server": {"keys": [{"name": "team", "key": TEAM, "usd_per_day": 100}, {"name": "other", "key": OTHER}]},
    }


@contextmanager
def folders() -> Iterator[str]:
    """A folder with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="lascaux-", dir="/tmp") as folder:
        yield folder


@pytest.fixture
def folder() -> Iterator[str]:
    with folders() as path:
        yield path


@dataclass(frozen=True, kw_only=True)
class World:
    """Workers on an emulator, each at an address of its own."""

    emulator: Emulator
    urls: list[str]

    def ask(self, worker: int, key: str = TEAM, path: str = PATH, **fields: Any) -> httpx2.Response:
        marks = {"authorization": f"Bearer {key}"}
        return httpx2.post(f"{self.urls[worker]}{path}", json={"model": "hero", **fields}, headers=marks, timeout=60)

    def usage(self, worker: int) -> Any:
        marks = {"authorization": f"Bearer {TEAM}"}
        return httpx2.get(f"{self.urls[worker]}/v1/usage", headers=marks, timeout=60).json()


@pytest.fixture(scope="module")
def running(serve: Serve) -> Iterator[World]:
    """Three workers for all tests."""
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator(canvas="fast", any_region=True))
        path, urls = stack.enter_context(folders()), []
        for index in range(WORKERS):
            router = AsyncRouter(config(emulator.url), picture_files=False)
            gate = open_gate(router.config.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
            urls.append(stack.enter_context(serve(create_app(router, gate=gate, peers=Peers(path, index, WORKERS)))))
        yield World(emulator=emulator, urls=urls)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The workers; the emulator has forgotten earlier calls and faults."""
    running.emulator.forget()
    yield running
    running.emulator.faults.clear()


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something that happens in other threads."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def told(answer: httpx2.Response) -> tuple[str, str, str | None]:
    """How the cache has served it, what it cost and what was saved."""
    facts = answer.json()["lascaux"]
    return facts["cache"], facts["cost"]["usd"], facts["cost"].get("saved_usd")


# The same prompt and seed


def test_the_same_prompt_and_seed_are_paid_once_whichever_worker_is_reached(world: World) -> None:
    """The picture is the same, byte for byte; the account and the emulator count one. Another key pays for itself."""
    before = Decimal(world.usage(0)["usd_today"])
    answers = [world.ask(index % WORKERS, prompt="an otter", seed=30) for index in range(2 * WORKERS)]
    assert [told(answer)[0] for answer in answers] == ["miss", *["hit"] * 5]
    assert {told(answer)[1:] for answer in answers[1:]} == {("0", "0.04")}
    assert len({answer.json()["data"][0]["b64_json"] for answer in answers}) == 1
    assert {answer.json()["lascaux"]["deployment"] for answer in answers} == {"core"}
    assert Decimal(world.usage(1)["usd_today"]) - before == Decimal("0.04")
    assert (len(world.emulator.log), told(world.ask(1, OTHER, prompt="an otter", seed=30))[0]) == (1, "miss")
    assert len(world.emulator.log) == 2


def test_several_pictures_are_found_as_well(world: World) -> None:
    """As one call of a model that makes several, and as several calls of one that makes one each."""
    for model in ("canvas-hero", "hero"):
        answers = [world.ask(index, model=model, prompt="three", n=3, seed=7) for index in range(WORKERS)]
        assert [told(answer)[0] for answer in answers] == ["miss", "hit", "hit"]
        pictures = [[one["b64_json"] for one in answer.json()["data"]] for answer in answers]
        assert pictures[0] == pictures[1] == pictures[2]
    assert len(world.emulator.log) == 4


def test_quotes_agree_and_leave_no_trace(world: World) -> None:
    """Whoever is asked, it is free once somebody has it; a request without a seed never is."""

    def quotes(**fields: Any) -> set[str]:
        plain = [
            world.ask(index, path="/v1/images/quote", prompt="quoted", **fields).json() for index in range(WORKERS)
        ]
        return {one["cost"]["usd"] for one in plain}

    assert quotes(seed=5, n=2) == {"0.08"}
    world.ask(1, prompt="quoted", seed=5)
    assert quotes(seed=5) == {"0"}
    assert quotes(seed=5, n=2) == {"0.04"}
    assert quotes() == {"0.04"}
    explained = world.ask(2, path="/v1/images/explain", prompt="quoted", seed=5).json()
    assert explained["cache"] == "hit"
    assert len(world.emulator.log) == 1


def test_what_is_not_reproducible_is_made_anew(world: World) -> None:
    """Without a seed, and where the client wants no cache."""
    for index in range(2):
        assert told(world.ask(index, prompt="by chance"))[0] == "bypass"
        assert told(world.ask(index, prompt="anew", seed=4, cache=False))[0] == "bypass"
    assert len(world.emulator.log) == 4


def test_who_hangs_up_finds_the_picture_at_every_worker(world: World) -> None:
    """It was sent, so it is made and paid for once."""
    world.emulator.faults.add(Rule(kind="delay", latency=0.5, times=1))
    parts, body = urlsplit(world.urls[0]), json.dumps({"model": "hero", "prompt": "left", "seed": 9}).encode()
    line = socket.create_connection((parts.hostname or "", parts.port or 0))
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TEAM}\r\nContent-Length: {len(body)}"
    line.sendall(f"{head}\r\n\r\n".encode() + body)
    until(lambda: world.emulator.log or world.usage(0)["in_flight"] == 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: world.emulator.log)
    line.close()
    until(lambda: world.usage(0)["in_flight"] == 0)
    assert [told(world.ask(index, prompt="left", seed=9))[0] for index in (2, 1, 0)] == ["hit"] * WORKERS
    assert len(world.emulator.log) == 1


def test_equal_requests_at_all_workers_at_once_are_one_call(world: World) -> None:
    """Ten times: one pays, the others wait for it, and nobody for each other in a circle."""
    world.emulator.faults.add(Rule(kind="delay", latency=0.2))
    start = threading.Barrier(2 * WORKERS)

    def ask(number: int) -> list[str]:
        states = []
        for seed in range(1, 11):
            start.wait(60)
            states.append(told(world.ask(number % WORKERS, prompt="at once", seed=seed))[0])
        return states

    with ThreadPoolExecutor(2 * WORKERS) as pool:
        rounds = zip(*pool.map(ask, range(2 * WORKERS)), strict=True)
    assert [Counter(states)["miss"] for states in rounds] == [1] * 10
    assert len(world.emulator.log) == 10


def test_a_failure_is_not_handed_on(world: World) -> None:
    """Who waited for a worker's call that fails makes the call itself."""
    world.emulator.faults.add(Rule(status=503, latency=1.5, times=1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.ask, 0, prompt="fails", seed=3)
        until(lambda: world.usage(0)["in_flight"] == 1)
        second = pool.submit(world.ask, 1, prompt="fails", seed=3)
        assert sorted([first.result().status_code, second.result().status_code]) == [200, 503]
    assert len(world.emulator.log) == 2


WORKER = """
import json, socket, sys
import uvicorn
from lascaux import AsyncRouter
from lascaux.gateway.app import create_app
from lascaux.gateway.peers import Peers
listener = socket.create_server(("127.0.0.1", 0))
app = create_app(AsyncRouter(json.loads(sys.argv[1]), picture_files=False), peers=Peers(sys.argv[2], 1, 2))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on")).run(sockets=[listener])
"""


def test_a_killed_worker_has_nothing(serve: Serve, folder: str) -> None:
    """What it had kept is made anew, and whoever waited for its call makes it: nobody fails for it."""
    with Emulator(canvas="fast", any_region=True) as emulator:
        plain = {name: part for name, part in config(emulator.url).items() if name != "server"}
        command = [sys.executable, "-c", WORKER, json.dumps(plain), folder]
        doomed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert doomed.stdout is not None
        port = int(doomed.stdout.readline())
        until(lambda: os.path.exists(f"{folder}/worker-1.sock"))

        def ask(url: str, seed: int) -> httpx2.Response:
            return httpx2.post(f"{url}{PATH}", json={"model": "hero", "prompt": "lost", "seed": seed}, timeout=60)

        there = f"http://127.0.0.1:{port}"
        peers = Peers(folder, 0, 2)
        with (
            serve(create_app(AsyncRouter(plain, picture_files=False), peers=peers)) as url,
            ThreadPoolExecutor(2) as pool,
        ):
            assert [told(ask(there, 1))[0], told(ask(there, 2))[0], told(ask(url, 1))[0]] == ["miss", "miss", "hit"]
            emulator.faults.add(Rule(kind="delay", latency=3, times=1))
            lost = pool.submit(ask, there, 3)
            until(lambda: httpx2.get(f"{there}/v1/usage").json()["in_flight"] == 1)
            waiting = pool.submit(ask, url, 3)
            until(lambda: httpx2.get(f"{url}/v1/usage").json()["in_flight"] == 2)
            doomed.send_signal(signal.SIGKILL)
            doomed.communicate()
            assert isinstance(lost.exception(), httpx2.HTTPError)
            assert told(waiting.result())[0] == "miss"
            assert [told(ask(url, seed))[0] for seed in (1, 2, 3)] == ["hit", "miss", "hit"]


# What is sent from worker to worker


def test_a_copy_is_whole_and_holds_no_credentials() -> None:
    """Pictures, mask, money to the last digit, warnings; of the target only what clients are told."""
    rate = Rate(
        model="m", region="*", usd=Decimal("0.0125"), source="s", confidence="documented", from_=date(2026, 1, 2)
    )
    call = Call(
        model="m",
        family="f",
        task=Task.INPAINT,
        body={"a": [1, 2.5, None, {"b": "é"}], "seed": 4294967295},
        headers={"h": "x"},
        seed=3,
        reproducible=True,
        warnings=(Warning(code="adapted", message="so", parameter="size"),),
    )
    images = (Image("QUJD", seed=3), Image("REVGRw==", finish_reason="partial"))
    missing = (Missing(index=2, reason="filtered", message="no"),)
    result = ImageResult(images=images, missing=missing, request_id="r", mask=Image("TUFTSw=="))
    cost = Cost.of(rate, 2, table="t", confidence="documented", note=None)
    secret = Credentials(access_key_id="AKIA", secret_access_key=Secret("hidden"))
    target = Target(deployment="d", model="m", model_id="arn", region="us-east-1", credentials=secret)
    data = packed(Copy(key="k", entry=Entry(result, cost, target, call), age=1.5))
    assert b"AKIA" not in data
    copy = unpacked(data)
    again = copy.entry
    assert (copy.key, copy.age, again.cost, again.call) == ("k", 1.5, cost, call)
    assert again.target == Target(deployment="d", model="m", model_id="arn", region="us-east-1")
    assert [(one.b64, one.seed, one.finish_reason) for one in again.result.images] == [
        ("QUJD", 3, "success"),
        ("REVGRw==", None, "partial"),
    ]
    assert again.result.mask is not None
    assert (again.result.mask.b64, again.result.missing, again.result.request_id) == ("TUFTSw==", missing, "r")
    for broken in (data[:-1], data + b"x", data[:50]):
        with pytest.raises(ValueError, match=r"."):
            unpacked(broken)


def test_two_who_ask_each_other_do_not_wait_for_each_other(folder: str) -> None:
    """The one who began later is told to wait, before the other has had a chance to be asked."""

    async def play() -> None:
        router = AsyncRouter(config("http://127.0.0.1:9"))
        copies = Copies(router, Peers(folder, 0, 2), lambda: 5.0)
        flight = router._flights.join("f")
        sought = copies.find(("k",), "f")
        for moment, waits in (((4.0, 1), False), ((5.0, 1), True), ((6.0, 1), True)):
            question = json.dumps([["k"], "f", *moment]).encode()
            assert copies._has(question) == (b"soon" if waits else None)
        assert await sought is None
        await asyncio.sleep(0)
        assert copies._has(json.dumps([["k"], "f", 4.0, 1]).encode()) == b"soon", "now it makes the call"
        flight.land(None)
        assert copies._has(json.dumps([["k"], "f", 4.0, 1]).encode()) is None
        await router.aclose()

    asyncio.run(play())


# Places


class Held(FakeProvider):
    """Answers when it is told to."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        self.begun.release()
        assert self.go.wait(60)
        return super().send(target, call, timeout=timeout)


def test_places_hold_over_all_workers_to_the_request(serve: Serve, folder: str) -> None:
    """All may be taken at one worker; then every worker refuses, and names the figure of the configuration."""
    provider = Held()
    plain = {name: part for name, part in config("http://127.0.0.1:9").items() if name != "server"}
    with ExitStack() as stack:
        urls = []
        for index in range(WORKERS):
            router = AsyncRouter(plain, provider=provider)
            peers = Peers(folder, index, WORKERS)
            urls.append(stack.enter_context(serve(create_app(router, bounds=Bounds(in_flight=6), peers=peers))))

        def ask(number: int, worker: int | None = None) -> httpx2.Response:
            url = urls[number % WORKERS if worker is None else worker]
            return httpx2.post(f"{url}{PATH}", json={"model": "core", "prompt": f"{number}"}, timeout=60)

        pool = stack.enter_context(ThreadPoolExecutor(24))
        stack.callback(provider.go.set)
        crowd = [pool.submit(ask, number, 1) for number in range(6)]
        for _ in range(6):
            assert provider.begun.acquire(timeout=60)
        refused = [ask(number) for number in range(WORKERS)]
        assert {answer.status_code for answer in refused} == {429}
        assert {"6 requests are under way" in answer.json()["error"]["message"] for answer in refused} == {True}
        assert {httpx2.get(f"{url}/health/ready").status_code for url in urls} == {503}
        provider.go.set()
        assert {answer.result().status_code for answer in crowd} == {200}
        provider.go.clear()
        until(lambda: {httpx2.get(f"{url}/health/ready").status_code for url in urls} == {200})

        burst = [pool.submit(ask, number) for number in range(24)]
        until(lambda: sum(answer.done() for answer in burst) == 18)
        provider.go.set()
        assert Counter(answer.result().status_code for answer in burst) == {200: 6, 429: 18}
        until(lambda: {httpx2.get(f"{url}/health/ready").status_code for url in urls} == {200})

        # A client may have its answer a moment before its place is free: three clients hold at most six.
        def calls(client: int) -> set[int]:
            return {ask(client + number).status_code for number in range(20)}

        assert set().union(*pool.map(calls, range(3))) == {200}


def test_the_places_of_a_killed_worker_are_free_when_its_successor_starts(tmp_path: Path) -> None:
    """Until then they count; what its last breath gives back afterwards does not."""

    async def play() -> None:
        first, second = (SharedLimits(str(tmp_path), index, 2).places("places") for index in range(2))
        assert [await one.take(3) for one in (first, first, second, second)] == [True, True, True, False]
        assert (first.taken(), second.taken()) == (3, 3)
        successor = SharedLimits(str(tmp_path), 0, 2).places("places")
        assert (second.taken(), await second.take(2), await successor.take(2)) == (1, True, False)
        first.leave()
        second.leave()
        assert (successor.taken(), await successor.take(2)) == (1, True)

    asyncio.run(play())
