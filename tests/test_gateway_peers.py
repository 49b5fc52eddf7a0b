"""Workers of one gateway on the emulator, over real HTTP: whichever of them is reached, it answers as one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import httpx2
import openai
import pytest
from botocore.config import Config as ClientConfig
from lascaux import AsyncRouter
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.errors import Stopped
from lascaux.gateway.gate import open_gate
from lascaux.gateway.native_answer import Reply
from lascaux.gateway.peers import Lost, Peers, Silent
from lascaux.gateway.sendings import Sendings
from lascaux.gateway.sigv4 import Verifier

Serve = Callable[[Any], AbstractContextManager[str]]

CORE = "stability.stable-image-core-v1:1"
SESSION: Any = boto3.Session(region_name="us-west-2")
WORKERS = 3
TEAM, OTHER, SECRET = "team-key-0123456789", "other-key-0123456789", "team-secret-0123456789"
POOR = "poor-key-0123456789"


def config(url: str) -> dict[str, Any]:
    """One model on the emulator, two keys."""
    keys = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
    core = {"model": CORE, "region": "us-west-2", "credentials": "demo", "endpoint_url": url}
    return {
        "credentials": {"demo": keys},
        "deployments": {"core": core},
        "aliases": {"hero": "core"},
        "retry": {"attempts": 1},
        "cache": {"backend": "none"},
        "server": {
            "keys": [
                {"name": "team", "key": TEAM, "concurrency": 40},
                {"name": "other", "key": OTHER},
                {"name": "poor", "key": POOR, "usd_per_day": "0.09"},
            ],
            "sigv4": [{"access_key_id": "TEAM", "secret": SECRET, "key": "team"}],
        },
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


class Turns:
    """A balancer: each connection goes to the next worker, bytes as they are."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.reached: list[int] = []
        self._ports = [int(url.rpartition(":")[2]) for url in urls]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._done = threading.Event()
        self._thread.start()

    def close(self) -> None:
        self._done.set()
        self._thread.join()

    async def _run(self) -> None:
        async with await asyncio.start_server(self._connected, sock=self._listener):
            await asyncio.to_thread(self._done.wait)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        index = len(self.reached) % len(self._ports)
        self.reached.append(index)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._ports[index])
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@dataclass(frozen=True, kw_only=True)
class World:
    """Workers on an emulator, each at an address of its own, and a balancer before them."""

    emulator: Emulator
    urls: list[str]
    turns: Turns
    folder: str

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.turns.url}/v1", api_key=TEAM, **options)

    def ask(self, worker: int, fields: dict[str, Any], key: str = TEAM, **headers: str) -> httpx2.Response:
        marks = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        url = f"{self.urls[worker]}/v1/images/generations"
        return httpx2.post(url, json={"model": "hero", **fields}, headers=marks, timeout=30)

    def get(self, worker: int, path: str) -> httpx2.Response:
        return httpx2.get(f"{self.urls[worker]}{path}", headers={"authorization": f"Bearer {TEAM}"})


@pytest.fixture(scope="module")
def running(serve: Serve) -> Iterator[World]:
    """Three workers for all tests."""
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator(canvas="fast", any_region=True))
        path = stack.enter_context(folders())
        urls = []
        for index in range(WORKERS):
            router = AsyncRouter(config(emulator.url), picture_files=False)
            urls.append(stack.enter_context(serve(worker(router, Peers(path, index, WORKERS)))))
        turns = Turns(urls)
        stack.callback(turns.close)
        yield World(emulator=emulator, urls=urls, turns=turns, folder=path)


def worker(router: AsyncRouter, peers: Peers) -> Any:
    """An application as `lascaux serve` makes it."""
    gate = open_gate(router.config.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
    return create_app(router, gate=gate, verifier=Verifier.of(router.config.server), peers=peers)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The workers; the emulator has forgotten earlier calls and faults."""
    running.emulator.forget()
    yield running
    running.emulator.faults.clear()


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that happens in other threads."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.01)


# Paid for once


def test_what_openais_client_sends_again_is_paid_for_once_whomever_it_reaches(world: World) -> None:
    """Its first sendings are still under way when it loses patience; each connection reaches the next worker."""
    world.emulator.faults.add(Rule(kind="delay", latency=3, times=4))
    with world.client(timeout=1, max_retries=6) as client, ThreadPoolExecutor(4) as pool:
        prompts = [f"an impatient otter {number}" for number in range(4)]
        answers = list(pool.map(lambda prompt: client.images.generate(model="hero", prompt=prompt), prompts))
    assert len(world.emulator.log) == 4
    assert len({answer.data[0].b64_json for answer in answers if answer.data}) == 4
    assert len(world.turns.reached) >= 8


def test_what_boto3_sends_again_is_paid_for_once_whomever_it_reaches(world: World) -> None:
    """By the id of the invocation; in both of its retry modes."""
    world.emulator.faults.add(Rule(kind="delay", latency=1.2, times=2))
    for mode in ("legacy", "standard"):
        options = ClientConfig(read_timeout=0.5, retries={"mode": mode, "total_max_attempts": 6})
        keys = {"aws_access_key_id": "TEAM", "aws_secret_access_key": SECRET}
        client = SESSION.client("bedrock-runtime", endpoint_url=world.turns.url, config=options, **keys)
        before = len(world.turns.reached)
        answer = client.invoke_model(modelId="hero", body=json.dumps({"prompt": f"an otter, {mode}"}))
        assert json.loads(answer["body"].read())["images"]
        assert len(world.turns.reached) > before + 1
        client.close()
    assert len(world.emulator.log) == 2


def test_two_equal_calls_under_way_are_two_calls_and_each_sending_finds_one(world: World) -> None:
    """At two workers; their repetitions come to the third. Nobody waits for a call that another has found."""
    world.emulator.faults.add(Rule(kind="delay", latency=2.5, times=2))
    fields = {"prompt": "twins"}

    def ask(what: tuple[int, str]) -> bytes:
        return world.ask(what[0], fields, x_stainless_retry_count=what[1]).content

    with ThreadPoolExecutor(4) as pool:
        first = [pool.submit(ask, (index, "0")) for index in (0, 1)]
        until(lambda: world.get(2, "/v1/usage").json()["in_flight"] == 2)
        again = [pool.submit(ask, (2, "1")) for _ in range(2)]
        told, retold = {one.result() for one in first}, {one.result() for one in again}
    assert len(world.emulator.log) == 2
    assert told == retold
    assert len(told) == 2


def test_an_idempotency_key_holds_over_all_workers_at_the_same_moment(world: World) -> None:
    """Ten calls, each sent to all workers at once, and once more after; another body or another key is another call."""
    start = threading.Barrier(WORKERS)

    def ask(index: int) -> list[bytes]:
        told = []
        for number in range(10):
            start.wait(30)
            told.append(world.ask(index, {"prompt": "named"}, idempotency_key=f"order-{number}").content)
        return told

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(ask, range(WORKERS)))
    assert answers[0] == answers[1] == answers[2]
    assert len(set(answers[0])) == len(world.emulator.log) == 10
    assert world.ask(1, {"prompt": "named"}, idempotency_key="order-7").content == answers[0][7]
    assert len(world.emulator.log) == 10
    world.ask(1, {"prompt": "another"}, idempotency_key="order-7")
    world.ask(1, {"prompt": "named"}, key=OTHER, idempotency_key="order-7")
    assert len(world.emulator.log) == 12


def test_a_failure_that_asks_to_come_again_is_tried_again_elsewhere(world: World) -> None:
    """Nothing was billed, so the next sending, at another worker, is another try."""
    world.emulator.faults.add(Rule(status=503, times=2))
    for sending in range(2):
        assert world.ask(sending, {"prompt": "again"}, x_stainless_retry_count=str(sending)).status_code == 503
    assert world.ask(2, {"prompt": "again"}, x_stainless_retry_count="2").status_code == 200
    assert [record.status for record in world.emulator.log] == [503, 503, 200]


# One gateway


def test_a_link_works_at_every_worker(world: World) -> None:
    """One keeps the picture, the others ask for it; a link that was made up asks nobody."""
    answer = world.ask(0, {"prompt": "linked", "response_format": "url"}).json()
    path = answer["data"][0]["url"].removeprefix(world.urls[0])
    found = [world.get(index, path) for index in range(WORKERS)]
    assert [one.status_code for one in found] == [200] * WORKERS
    assert len({one.content for one in found}) == 1
    assert {one.headers["content-type"] for one in found} == {"image/png"}
    assert world.get(1, path[:-1] + ("0" if path[-1] != "0" else "1")).status_code == 404
    assert world.get(1, path.replace("/files/", "/files/0")).status_code == 404


def test_a_keys_requests_are_counted_together(world: World) -> None:
    """What is under way at one worker is told by all, and taken from the places of all."""
    world.emulator.faults.add(Rule(kind="delay", latency=2.5, times=1))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(world.ask, 0, {"prompt": "counted"})
        until(lambda: all(world.get(index, "/v1/usage").json()["in_flight"] == 1 for index in range(WORKERS)))
        assert waiting.result().status_code == 200
    assert [world.get(index, "/v1/usage").json()["in_flight"] for index in range(WORKERS)] == [0] * WORKERS


def test_a_keys_dollars_are_one_account(world: World) -> None:
    """Without a file of accounts in the configuration, too: two pictures are affordable, whichever worker makes them."""
    answers = [world.ask(index, {"prompt": f"dear {index}"}, key=POOR) for index in range(WORKERS)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "insufficient_quota"
    marks = {"authorization": f"Bearer {POOR}"}
    told = {httpx2.get(f"{url}/v1/usage", headers=marks).json()["usd_today"] for url in world.urls}
    assert told == {"0.08"}


def test_nothing_of_it_is_open_to_others(world: World) -> None:
    """Sockets and secret are the owner's; no address over TCP leads there."""
    names = {path.name for path in Path(world.folder).iterdir()}
    assert names == {
        "limits",
        "links",
        "spend.jsonl",
        "spend.jsonl.lock",
        *(f"worker-{index}.sock" for index in range(WORKERS)),
    }
    for path in Path(world.folder).rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert world.get(0, "/picture").status_code == world.get(0, "/call.named").status_code == 404


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


class Watched(Peers):
    """Notes what it asks one peer for."""

    asked: tuple[str, ...] = ()

    async def ask(self, index: int, name: str, question: bytes = b"", *, patience: float = 2.0) -> bytes | None:
        self.asked = (*self.asked, name)
        return await super().ask(index, name, question, patience=patience)


def test_a_call_that_was_lost_with_its_worker_is_not_paid_for_again(serve: Serve, folder: str) -> None:
    """kill -9 while another worker waits for it: it may have been billed, so the client is told not to come again."""
    with Emulator(canvas="fast", any_region=True) as emulator:
        plain = {name: part for name, part in config(emulator.url).items() if name != "server"}
        emulator.faults.add(Rule(kind="delay", latency=8, times=1))
        command = [sys.executable, "-c", WORKER, json.dumps(plain), folder]
        doomed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert doomed.stdout is not None
        port = int(doomed.stdout.readline())
        peers = Watched(folder, 0, 2)
        app = create_app(AsyncRouter(plain, picture_files=False), peers=peers)

        def ask(url: str, sending: int) -> httpx2.Response:
            marks, body = {"x-stainless-retry-count": str(sending)}, {"model": "hero", "prompt": "doomed"}
            return httpx2.post(f"{url}/v1/images/generations", json=body, headers=marks, timeout=30)

        with serve(app) as url, ThreadPoolExecutor(2) as pool:
            until(lambda: os.path.exists(f"{folder}/worker-1.sock"))
            lost = pool.submit(ask, f"http://127.0.0.1:{port}", 0)
            until(lambda: httpx2.get(f"{url}/v1/usage").json()["in_flight"] == 1)
            joined = pool.submit(ask, url, 1)
            until(lambda: "call.counted" in peers.asked)
            doomed.send_signal(signal.SIGKILL)
            doomed.communicate()
            answer = joined.result()
            assert isinstance(lost.exception(), httpx2.HTTPError)
            assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
            assert answer.json()["error"]["code"] == "gateway_stopped"
            assert emulator.billed == 0 or len(emulator.log) == 1
            assert ask(url, 0).status_code == 200, "a call of its own"


# What peers say


def run(play: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await play()

    asyncio.run(bounded())


def test_everybody_is_asked_at_once_and_whoever_can_not_answer_has_nothing(folder: str) -> None:
    """Plain and awaited readers; nothing, an error, no reader, a worker that hangs, one that is not there."""
    peers = [Peers(folder, index, 7) for index in range(6)]

    async def soon(question: bytes) -> bytes:
        await asyncio.sleep(0)
        return b"soon " + question

    over = asyncio.Event()

    async def late(question: bytes) -> bytes:
        await over.wait()
        return b"late"

    def broken(question: bytes) -> bytes:
        raise RuntimeError("broken")

    readers = [lambda question: b"at once " + question, soon, lambda question: None, broken, late]
    for one, reader in zip(peers, readers, strict=False):
        one.answer("word", reader)

    async def play() -> None:
        async with Serving(peers):
            for one in (peers[0], peers[1], peers[5]):
                assert await one.gather("word", b"x", patience=0.5) == {0: b"at once x", 1: b"soon x"}
            assert await peers[0].elsewhere("word", b"x", patience=0.5) == {1: b"soon x"}
            assert await peers[0].ask(1, "word", bytes(1 << 20)) == b"soon " + bytes(1 << 20)
            for index, question in ((6, b""), (1, bytes((1 << 20) + 1)), (3, b"")):
                with pytest.raises(Lost):
                    await peers[0].ask(index, "word", question)
            assert await peers[0].ask(2, "word") is None
            over.set()
        with pytest.raises(Lost):
            await peers[0].ask(1, "word")

    run(play)
    assert os.listdir(folder) == []


class Serving:
    """All of them serving."""

    def __init__(self, peers: Sequence[Peers]) -> None:
        self._all = [one.serving() for one in peers]

    async def __aenter__(self) -> None:
        for one in self._all:
            await one.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        for one in reversed(self._all):
            await one.__aexit__(None, None, None)


def test_a_successor_takes_the_place_of_a_killed_worker(folder: str) -> None:
    """The socket that was left behind is replaced; a predecessor that ends late takes nothing away."""
    peers, old, new = Peers(folder, 0, 2), Peers(folder, 1, 2), Peers(folder, 1, 2)
    old.answer("who", lambda question: b"old")
    new.answer("who", lambda question: b"new")

    async def play() -> None:
        left = socket.socket(socket.AF_UNIX)
        left.bind(f"{folder}/worker-1.sock")
        left.close()
        with pytest.raises(Lost):
            await peers.ask(1, "who")
        async with old.serving(), old.serving():
            assert await peers.ask(1, "who") == b"old"
            async with new.serving():
                assert await peers.ask(1, "who") == b"new"
                await asyncio.sleep(0)
            assert not os.path.exists(f"{folder}/worker-1.sock")

    run(play)


def test_answers_under_way_are_given_before_a_worker_ends(folder: str) -> None:
    """Whoever waits gets what was promised."""
    peers, other = Peers(folder, 0, 2), Peers(folder, 1, 2)
    made = asyncio.Event()

    async def slowly(question: bytes) -> bytes:
        await made.wait()
        return b"made"

    other.answer("picture", slowly)

    async def play() -> None:
        async with other.serving():
            asked = asyncio.ensure_future(peers.ask(1, "picture"))
            while not other._asked:
                await asyncio.sleep(0)
            made.set()
        assert await asked == b"made"

    run(play)


def test_one_worker_needs_no_socket_and_no_folder(tmp_path: Path) -> None:
    """It asks only itself; and what can not be is refused."""
    alone = Peers.none()
    alone.answer("word", lambda question: b"mine")

    async def play() -> None:
        async with alone.serving():
            assert await alone.gather("word") == {0: b"mine"}
            assert await alone.elsewhere("word") == {}

    run(play)
    assert len(alone.secret("links")) == 32
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="no worker 2 among 2"):
        Peers("x", 2, 2)


def test_a_folder_may_be_deep(folder: str) -> None:
    """The paths of sockets are short, those of folders need not be."""
    deep = Path(folder, "x" * 120)
    deep.mkdir(mode=0o700)
    one, other = Peers(str(deep), 0, 2), Peers(str(deep), 1, 2)
    other.answer("word", lambda question: b"yours")

    async def play() -> None:
        async with one.serving(), other.serving():
            assert await one.elsewhere("word") == {1: b"yours"}

    run(play)
    assert os.listdir(deep) == []


def test_a_folder_that_others_can_open_is_refused(folder: str) -> None:
    """And so is one that is not there."""
    Path(folder, "open").mkdir(mode=0o755)
    with pytest.raises(ValueError, match="only this user can open"):
        Peers(f"{folder}/open", 0, 2)
    with pytest.raises(FileNotFoundError):
        Peers(f"{folder}/none", 0, 2)


def test_the_first_worker_makes_the_secret(folder: str) -> None:
    """All at the same moment: it is one, and whole."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda index: Peers(folder, index, 8).secret("links"), range(8)))
    assert len(found) == 1
    assert len(found.pop()) == 32
    assert os.listdir(folder) == ["links"]


# Who waits for whom


def test_a_first_sending_that_comes_late_finds_the_second(folder: str) -> None:
    """Its worker was asked for it before: so it is not the first any more. Others are not asked about."""
    made: list[int] = []

    async def play() -> None:
        peers = [Peers(folder, index, 2) for index in range(2)]
        sendings = [Sendings(time.monotonic, one) for one in peers]
        go = asyncio.Event()

        def make(index: int) -> Callable[[], Awaitable[Reply]]:
            async def reply() -> Reply:
                made.append(index)
                await go.wait()
                return Reply(status=200, body=bytes([index]), headers={"x-index": str(index)})

            return reply

        async with Serving(peers):
            second = asyncio.ensure_future(sendings[1].once("token", make(1), again=True))
            while not made:
                await asyncio.sleep(0)
            late = asyncio.ensure_future(sendings[0].once("token", make(0)))
            go.set()
            replies = await asyncio.gather(second, late)
            assert [reply.body for reply in replies] == [b"\1", b"\1"]
            assert replies[1].headers == {"x-index": "1"}
            assert (await sendings[0].once("other", make(0))).body == b"\0"
            assert made == [1, 0]

    run(play)


def test_sendings_at_all_workers_at_once_make_one_call_and_wait_for_nobody_in_a_circle(folder: str) -> None:
    """Eighty tokens, each at four workers in the same turn of the loop."""
    made: list[str] = []

    async def play() -> None:
        peers = [Peers(folder, index, 4) for index in range(4)]
        sendings = [Sendings(time.monotonic, one) for one in peers]

        async def make(token: str) -> Reply:
            made.append(token)
            await asyncio.sleep(0)
            return Reply(status=200, body=token.encode())

        async with Serving(peers):
            for batch in range(4):
                tokens = [f"{batch}-{number}" for number in range(20)]
                asks = [one.once(token, partial(make, token), again=True) for token in tokens for one in sendings]
                replies = await asyncio.gather(*asks)
                assert [bytes(reply.body).decode() for reply in replies] == [
                    token for token in tokens for _ in sendings
                ]

    run(play)
    assert len(made) == len(set(made)) == 80


def test_what_a_client_sends_a_third_time_joins_the_second_while_it_still_asks(folder: str) -> None:
    """The first was answered that it may come again; sendings two and three reach two workers at once."""
    made: list[str] = []

    async def play() -> None:
        peers = [Peers(folder, index, 3) for index in range(3)]
        sendings = [Sendings(time.monotonic, one) for one in peers]
        statuses = iter([503, 200, 200])

        async def make() -> Reply:
            made.append("x")
            await asyncio.sleep(0)
            return Reply(status=next(statuses), body=b"")

        async with Serving(peers):
            assert (await sendings[0].repeated("content", 0, make)).status == 503
            both = await asyncio.gather(*(sendings[one].repeated("content", one, make) for one in (1, 2)))
            assert [reply.status for reply in both] == [200, 200]
            assert len(made) == 2
            assert (await sendings[0].repeated("content", 0, make)).status == 200
            assert len(made) == 3, "a call of its own"

    run(play)


def test_a_silent_worker_may_have_the_call_and_an_absent_one_has_not(folder: str) -> None:
    """A socket that takes connections and says nothing: its call is not made again. Whoever has it is heard all the same."""

    async def made() -> Reply:
        return Reply(status=200, body=b"made")

    async def play() -> None:
        peers = [Peers(folder, index, 3) for index in range(3)]
        one, other = Sendings(time.monotonic, peers[0], patience=3.0), Sendings(time.monotonic, peers[1])
        assert (await one.repeated("absent", 1, made)).body == b"made"
        with socket.socket(socket.AF_UNIX) as frozen:
            frozen.bind(f"{folder}/worker-2.sock")
            assert (await one.repeated("refuses", 1, made)).body == b"made"
            frozen.listen(8)
            with pytest.raises(Silent):
                await anext(peers[0].holders("call.named?", b'["x", 0, 0]', patience=0.2))
            async with peers[1].serving():
                await other.repeated("found", 0, made)
                assert (await one.repeated("found", 1, partial(never, "found"))).body == b"made"
            silent = [one.repeated("silent", 1, partial(never, "it")), one.once("k", partial(never, "it"), again=True)]
            for error in await asyncio.gather(*silent, return_exceptions=True):
                assert isinstance(error, Stopped), error
                assert error.may_be_billed

    run(play)


async def never(what: str) -> Reply:
    """A call that is not to be made."""
    raise AssertionError(f"{what} was called again")
