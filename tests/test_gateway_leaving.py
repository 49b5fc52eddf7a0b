"""People who leave: what was not yet sent to anybody is given up, what was sent is made, and the money agrees."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Faults
from lascaux.gateway.app import create_app
from lascaux.gateway.codes import CODES
from lascaux.gateway.errors import failure_of
from lascaux.gateway.gate import Gate, open_gate
from lascaux.gateway.keys import NewKey
from lascaux.gateway.native_answer import Reply, failed
from lascaux.gateway.observe import Observer
from lascaux.gateway.presence import Client, Presence
from lascaux.gateway.resends import Resends
from lascaux.providers.errors import LascauxError
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Call, ImageResult, Target
from lascaux.router.endings import closed, unsent
from lascaux.router.errors import NoDeploymentAvailable
from lascaux.router.interest import Interest

Serve = Callable[[Any], AbstractContextManager[str]]

CORE = "stability.stable-image-core-v1:1"
NARROW = {
    "deployments": {"core": {"model": CORE, "region": "us-west-2", "limits": {"concurrency": 1}}},
    "aliases": {"hero": "core"},
}
TEAM = NewKey.make()
GENERATIONS, INVOKE = "/v1/images/generations", "/model/hero/invoke"
ASK = {"model": "hero", "prompt": "An otter"}


class Held(FakeProvider):
    """A provider whose calls wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        self.begun.release()
        assert self.go.wait(30)
        return super().send(target, call, timeout=timeout)


def until(true: Callable[[], bool], what: str) -> None:
    """Look again and again, for half a minute at most."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def sent(url: str, path: str, fields: dict[str, Any], **headers: str) -> socket.socket:
    """A request whose answer nobody has read yet."""
    parts, body = urlsplit(url), json.dumps(fields).encode()
    line = socket.create_connection((parts.hostname or "", parts.port or 0))
    marks = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{marks}Content-Length: {len(body)}\r\n\r\n"
    line.sendall(head.encode() + body)
    return line


def hang_up(line: socket.socket, *, hard: bool = False) -> None:
    """Close, politely or as a program does that was killed."""
    if hard:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


@contextmanager
def gateway(serve: Serve, config: dict[str, Any], provider: Any = None) -> Iterator[tuple[str, Gate]]:
    """With one key, whose money is limited."""
    keys = [{"name": "team", "hash": TEAM.hash, "usd_per_day": "100"}]
    made = Config.from_mapping({**config, "server": {"keys": keys}}, env={})
    gate = open_gate(made.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
    parts = {} if provider is None else {"provider": provider}
    with serve(create_app(AsyncRouter(made, picture_files=False, **parts), gate=gate)) as url:
        yield url, gate


BEARER = f"Bearer {TEAM.text}"


def told(gate: Gate) -> tuple[int, Decimal, Decimal]:
    """Requests under way, dollars spent, dollars that are only reserved."""
    usage = gate.usage(gate.identify(BEARER))
    return usage["in_flight"], Decimal(usage["usd_today"]), Decimal(usage["usd_reserved"])


@pytest.mark.parametrize(("path", "fields"), [(GENERATIONS, ASK), (INVOKE, {"prompt": "An otter"})])
def test_who_leaves_the_line_gives_back_money_and_place(serve: Serve, path: str, fields: dict[str, Any]) -> None:
    """At once, while the first is still being made; those behind move up."""
    provider = Held()
    with gateway(serve, NARROW, provider) as (url, gate):
        first = sent(url, path, fields, authorization=BEARER)
        assert provider.begun.acquire(timeout=30)
        second = sent(url, path, fields, authorization=BEARER)
        until(lambda: told(gate)[0] == 2, "the second was not let in")
        third = sent(url, path, fields, authorization=BEARER)
        until(lambda: told(gate)[0] == 3, "the third was not let in")
        assert told(gate)[2] == Decimal("0.12")
        hang_up(second)
        until(lambda: told(gate) == (2, Decimal("0.08"), Decimal("0.08")), "the second still holds its place")
        provider.go.set()
        for line in (first, third):
            assert line.recv(1000).startswith(b"HTTP/1.1 200")
            line.close()
        until(lambda: told(gate) == (0, Decimal("0.08"), Decimal(0)), "the bill is another one")
    assert len(provider.sent) == 2


def test_what_was_sent_is_made_though_everybody_has_left(serve: Serve) -> None:
    """It is paid for, so it lands in the cache."""
    provider = Held()
    with gateway(serve, NARROW, provider) as (url, gate):
        line = sent(url, GENERATIONS, {**ASK, "seed": 3}, authorization=BEARER)
        assert provider.begun.acquire(timeout=30)
        hang_up(line, hard=True)
        provider.go.set()
        until(lambda: told(gate) == (0, Decimal("0.04"), Decimal(0)), "the bill is another one")
        again = httpx2.post(f"{url}{GENERATIONS}", json={**ASK, "seed": 3}, headers={"authorization": BEARER})
    assert again.json()["lascaux"]["cache"] == "hit"
    assert len(provider.sent) == 1


def test_who_waits_for_anothers_answer_leaves_alone(serve: Serve) -> None:
    """Of two equal requests one is made for both; whoever leaves takes nothing from the other."""
    provider = Held()
    with gateway(serve, NARROW, provider) as (url, gate):
        busy = sent(url, GENERATIONS, ASK, authorization=BEARER)
        assert provider.begun.acquire(timeout=30)
        lines = []
        for number in (2, 3, 4):
            lines.append(sent(url, GENERATIONS, {**ASK, "seed": 5}, authorization=BEARER))
            until(lambda number=number: told(gate)[0] == number, "it was not let in")  # type: ignore[misc]
        hang_up(lines[1])
        until(lambda: told(gate)[0] == 3, "who waited for another's answer still holds its place")
        hang_up(lines[0])
        until(lambda: told(gate)[0] == 2, "who stood in line still holds its place")
        provider.go.set()
        assert lines[2].recv(1000).startswith(b"HTTP/1.1 200")
        busy.close()
        lines[2].close()
        until(lambda: told(gate) == (0, Decimal("0.08"), Decimal(0)), "the bill is another one")
    assert len(provider.sent) == 2


def test_another_sending_keeps_the_place_in_line(serve: Serve) -> None:
    """Who sends a call again before hanging up is still there; who comes when it was given up begins anew."""
    provider = Held()
    with gateway(serve, NARROW, provider) as (url, gate):
        busy = sent(url, GENERATIONS, ASK, authorization=BEARER)
        assert provider.begun.acquire(timeout=30)
        mark = {"authorization": BEARER, "idempotency_key": "call-1"}
        first = sent(url, GENERATIONS, {**ASK, "prompt": "Two"}, **mark)
        until(lambda: told(gate)[0] == 2, "it was not let in")
        second = sent(url, GENERATIONS, {**ASK, "prompt": "Two"}, **mark)
        other = sent(url, GENERATIONS, {**ASK, "prompt": "Three"}, authorization=BEARER)
        until(lambda: told(gate)[0] == 3, "the sendings do not count as one")
        hang_up(first)
        hang_up(other)
        until(lambda: told(gate)[0] == 2, "who left alone still holds its place")
        hang_up(second)
        until(lambda: told(gate)[0] == 1, "all sendings have gone, and it still holds its place")
        anew = sent(url, GENERATIONS, {**ASK, "prompt": "Two"}, **mark)
        until(lambda: told(gate)[0] == 2, "it was not let in anew")
        provider.go.set()
        assert anew.recv(1000).startswith(b"HTTP/1.1 200")
        busy.close()
        anew.close()
    assert len(provider.sent) == 2


def test_money_agrees_however_people_leave(serve: Serve) -> None:
    """Two hundred requests, some with the seed of another, most of whose clients hang up at some moment: every picture
    that the emulator made was booked once, and nothing else was."""
    rng = random.Random(5)
    with Emulator(canvas="fast") as emulator:
        emulator.faults = Faults(latency=0.02)
        place = {
            "region": "us-west-2",
            "credentials": "demo",
            "endpoint_url": emulator.url,
            "limits": {"concurrency": 3},
        }
        config = {
            "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
            "deployments": {"core": {"model": CORE, **place}},
            "aliases": {"hero": "core"},
        }
        with gateway(serve, config) as (url, gate):
            open: list[tuple[float, int, socket.socket]] = []
            stayed = 0
            for number in range(200):
                more = {"seed": rng.randrange(40)} if rng.random() < 0.3 else {"n": rng.choice([1, 1, 1, 2])}
                line = sent(url, GENERATIONS, {**ASK, **more}, authorization=BEARER)
                leaves = time.monotonic() + rng.choice([0.0, 0.005, 0.05, 0.2, 1.0]) * rng.random()
                if rng.random() < 0.15:
                    leaves = float("inf")
                    stayed += 1
                open.append((leaves, number, line))
                for one in [one for one in open if one[0] <= time.monotonic()]:
                    open.remove(one)
                    hang_up(one[2], hard=bool(one[1] % 2))
                time.sleep(rng.choice([0, 0, 0.01]))
            for leaves, number, line in sorted(open):
                if leaves == float("inf"):
                    assert line.recv(1000).startswith(b"HTTP/1.1 200")
                else:
                    time.sleep(max(0.0, leaves - time.monotonic()))
                hang_up(line, hard=bool(number % 2))
            until(lambda: told(gate)[0] == 0, "some are still under way")
            billed = len(emulator.log)
            _, spent, reserved = told(gate)
        assert (spent, reserved) == (Decimal("0.04") * billed, Decimal(0))
        assert stayed < billed < 210, (stayed, billed)  # of 215 pictures; those who stay pay for 42


class Slow(FakeProvider):
    """Every call takes a moment."""

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        threading.Event().wait(0.002)
        return super().send(target, call, timeout=timeout)


def test_what_is_said_to_be_given_up_was_never_sent() -> None:
    """A loss that comes at any moment, from another thread as well: either nothing was sent, or all of it comes."""
    provider, rng = Slow(), random.Random(2)

    async def play() -> tuple[int, int]:
        given_up = made = 0
        async with AsyncRouter(NARROW, provider=provider) as router:
            for _ in range(60):
                before, interest = len(provider.sent), Interest()
                request = asyncio.ensure_future(router.generate("hero", "An otter", n=2, interest=interest))
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
                await asyncio.sleep(rng.choice([0.0, rng.random() * 0.004]))
                lost = await asyncio.to_thread(interest.lose) if rng.random() < 0.5 else interest.lose()
                outcome = (await asyncio.gather(request, return_exceptions=True))[0]
                if isinstance(outcome, LascauxError):
                    assert lost
                    assert not outcome.may_be_billed
                    assert len(provider.sent) == before
                    given_up += 1
                else:
                    assert not lost
                    assert len(provider.sent) == before + 2
                    made += 1
        return given_up, made

    given_up, made = asyncio.run(play())
    assert given_up > 5, (given_up, made)
    assert made > 5, (given_up, made)


def test_interest_that_was_lost_before_is_lost() -> None:
    """A request whose caller has gone before it began sends nothing."""
    provider, interest = FakeProvider(), Interest()
    assert interest.lose()

    async def play() -> None:
        async with AsyncRouter(NARROW, provider=provider) as router:
            with pytest.raises(NoDeploymentAvailable, match="the caller has gone"):
                await router.generate("hero", "An otter", interest=interest)

    asyncio.run(play())
    assert provider.sent == ()


def test_what_was_given_up_is_neither_kept_nor_told_to_who_stays() -> None:
    """It ends after its client has left: whoever comes then begins anew, and is answered with that."""

    async def play(status: int) -> None:
        resends, interest, presence = Resends(time.monotonic), Interest(), Presence()
        go, made = asyncio.Event(), []

        async def late() -> Reply:
            await go.wait()
            return Reply(status=status, body=b"given up", headers={"x-should-retry": "false"})

        async def anew() -> Reply:
            made.append(1)
            return Reply(status=200, body=b"anew")

        left = asyncio.ensure_future(resends.once("call", late, Client(interest=interest, presence=presence)))
        await asyncio.sleep(0)
        presence.left = True
        for listener in tuple(presence._listeners):
            listener()
        go.set()
        assert (await left).body == b"given up"
        await asyncio.sleep(0)
        assert not resends.knows("call")
        assert (await resends.once("call", anew)).body == b"anew"
        assert (await resends.once("call", late)).body == b"anew"
        assert made == [1]

    for status in (200, 408, 500):
        asyncio.run(play(status))


@pytest.mark.parametrize(
    ("path", "fields", "marks"),
    [
        (GENERATIONS, ASK, ({"idempotency_key": "k"}, {"idempotency_key": "k"})),
        (GENERATIONS, ASK, ({"x_stainless_retry_count": "0"}, {"x_stainless_retry_count": "1"})),
        (
            INVOKE,
            {"prompt": "An otter"},
            (
                {"amz_sdk_invocation_id": "i", "amz_sdk_request": "attempt=1"},
                {"amz_sdk_invocation_id": "i", "amz_sdk_request": "attempt=2"},
            ),
        ),
    ],
)
def test_who_stays_gets_a_picture_whenever_the_first_sending_left(
    serve: Serve, path: str, fields: dict[str, Any], marks: tuple[dict[str, str], dict[str, str]]
) -> None:
    """A client that hangs up within milliseconds, at thirty moments, and sends the same call again."""
    with gateway(serve, NARROW, FakeProvider()) as (url, gate):
        for moment in range(30):
            asked = {**fields, "prompt": f"An otter {moment}"}
            first, second = ({name: f"{text}{moment}" if name[0] in "ia" and "attempt" not in text else text
                              for name, text in mark.items()} for mark in marks)  # fmt: skip
            line = sent(url, path, asked, authorization=BEARER, **first)
            time.sleep(moment / 5000)
            hang_up(line)
            stays = sent(url, path, asked, authorization=BEARER, **second)
            assert stays.recv(1000).startswith(b"HTTP/1.1 200")
            stays.close()
        until(lambda: told(gate)[0] == 0, "some are still under way")


@pytest.mark.parametrize("error", [unsent(), closed()])
def test_what_was_never_sent_may_be_sent_again(error: LascauxError) -> None:
    """503 in both dialects, and OpenAI's clients are told to come again."""
    failure = failure_of(error)
    assert (failure.status, failure.should_retry, error.may_be_billed) == (503, True, False)
    assert failure.code in CODES
    assert failed(error, None, "id").status == 503


def test_who_left_has_no_status_in_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody was answered: the line says `client_left`, no status, and nothing is told as our failure."""
    provider = Held()
    caplog.set_level(logging.INFO)
    router = AsyncRouter(Config.from_mapping(NARROW, env={}), provider=provider, picture_files=False)
    with serve(create_app(router, observer=Observer(access=True))) as url:
        busy = sent(url, GENERATIONS, ASK)
        assert provider.begun.acquire(timeout=30)
        for path, fields in ((GENERATIONS, ASK), (INVOKE, {"prompt": "An otter"})):
            waiting = sent(url, path, fields)
            until(lambda: len(router._runtime.context.line) == 1, "it was not let in")
            hang_up(waiting)
            until(lambda: not len(router._runtime.context.line), "it still stands in line")
        until(lambda: len(lines(caplog)) == 2, "they are still under way")
        provider.go.set()
        assert busy.recv(1000).startswith(b"HTTP/1.1 200")
        busy.close()
        assert [(one.status, one.code) for one in lines(caplog)[:2]] == [(None, "client_left")] * 2
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Those of the access log."""
    return [one.line for one in caplog.records if hasattr(one, "line")]
