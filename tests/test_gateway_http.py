"""The gateway below the level of any client: curl, broken bodies, bounds, people who hang up, web pages of strangers."""

from __future__ import annotations

import asyncio
import http.client
import json
import platform
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from lascaux import AsyncRouter
from lascaux.gateway.app import create_app
from lascaux.gateway.errors import Refused, public
from lascaux.gateway.forms import read_fields
from lascaux.gateway.gate import open_gate
from lascaux.gateway.intake import Bounds
from lascaux.gateway.keys import ANYBODY
from lascaux.gateway.links import Links
from lascaux.gateway.memory import reuse_large_blocks
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Call, ImageResult, Target
from lascaux.router.config import ServerConfig

Serve = Callable[[Any], AbstractContextManager[str]]

PLAIN = {
    "deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}},
    "aliases": {"hero": "core"},
}
ASK = {"model": "hero", "prompt": "An otter", "seed": 3}
GENERATIONS = "/v1/images/generations"


class Held(FakeProvider):
    """A provider whose calls wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go = threading.Event()

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        self.begun.set()
        assert self.go.wait(20)
        return super().send(target, call, timeout=timeout)


@pytest.fixture(scope="module")
def url(serve: Serve) -> Iterator[str]:
    """A gateway whose pictures are made up."""
    router = AsyncRouter(PLAIN, provider=FakeProvider(), picture_files=False)
    bounds = Bounds(body=200_000, body_seconds=0.5)
    with serve(create_app(router, bounds=bounds, cors_origins=["https://app.example"])) as address:
        yield address


def connection(url: str) -> http.client.HTTPConnection:
    """A connection that knows nothing of OpenAI."""
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)


def test_a_client_that_hangs_up_does_not_lose_the_picture(serve: Serve) -> None:
    """The call goes on, is paid for once, and its answer waits in the cache."""
    provider = Held()
    with serve(create_app(AsyncRouter(PLAIN, provider=provider, picture_files=False))) as address:
        parts, body = urlsplit(address), json.dumps(ASK)
        with socket.create_connection((parts.hostname, parts.port or 0)) as hasty:
            head = f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            hasty.sendall((head + body).encode())
            assert provider.begun.wait(20)
        provider.go.set()
        again = httpx2.post(f"{address}{GENERATIONS}", json=ASK)
    assert again.json()["lascaux"]["cache"] in ("hit", "coalesced")
    assert len(provider.sent) == 1


def test_more_than_the_gateway_can_hold_is_turned_away_at_once(serve: Serve) -> None:
    """429 with Retry-After, while the others go on; ready says so, live does not."""
    provider = Held()
    app = create_app(AsyncRouter(PLAIN, provider=provider, picture_files=False), bounds=Bounds(in_flight=1))
    with serve(app) as address:
        first: list[int] = []
        thread = threading.Thread(
            target=lambda: first.append(httpx2.post(f"{address}{GENERATIONS}", json=ASK, timeout=20).status_code)
        )
        thread.start()
        assert provider.begun.wait(20)
        second = httpx2.post(f"{address}{GENERATIONS}", json={**ASK, "seed": 4})
        ready, live = (httpx2.get(f"{address}/health/{name}").status_code for name in ("ready", "live"))
        provider.go.set()
        thread.join(20)
        assert httpx2.get(f"{address}/health/ready").status_code == 200
    assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert (second.headers["retry-after"], second.headers["x-should-retry"]) == ("1", "true")
    assert (ready, live, first) == (503, 200, [200])


def test_the_memory_for_bodies_is_bounded(serve: Serve) -> None:
    """A body for which there is no room is turned away, even if it alone would be small enough."""
    router = AsyncRouter(PLAIN, provider=FakeProvider(), picture_files=False)
    with serve(create_app(router, bounds=Bounds(body=50_000, buffered=1_000))) as address:
        answers = [httpx2.post(f"{address}{GENERATIONS}", json={**ASK, "user": "x" * size}) for size in (10, 900, 999)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_answered_413(url: str, chunked: bool) -> None:
    """Announced or not; the client reads the answer, and is told not to try again."""
    line = connection(url)
    body: Any = iter([b"x" * 50_000] * 5) if chunked else b"x" * 250_000
    line.request("POST", GENERATIONS, body, {"content-type": "application/json"}, encode_chunked=chunked)
    answer = line.getresponse()
    assert (answer.status, answer.headers["x-should-retry"]) == (413, "false")
    assert json.loads(answer.read())["error"]["code"] == "request_too_large"
    line.close()


def test_a_body_that_does_not_come_is_not_waited_for(url: str) -> None:
    """408 after the time that there is for it."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 0)) as slow:
        slow.sendall(f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode())
        slow.settimeout(20)
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")


def broken_json(rng: random.Random) -> bytes:
    """What is no request, though it may look like one."""
    good = json.dumps(ASK)
    return rng.choice(
        (
            lambda: rng.randbytes(rng.randrange(200)),
            lambda: good[: rng.randrange(len(good))].encode(),
            lambda: json.dumps(rng.choice([None, 1, "x", [], [ASK], True, 1e300])).encode(),
            lambda: json.dumps({**ASK, "model": rng.choice([1, [], {}, "", "x" * 5000, True])}).encode(),
            lambda: json.dumps({**ASK, "prompt": rng.choice([1, [], {"a": 1}, "\0", " ", "x" * 40_000])}).encode(),
            lambda: json.dumps({**ASK, "size": rng.choice(["1x", -1, {}, [1, 2, 3], "9" * 400])}).encode(),
            lambda: json.dumps({**ASK, rng.choice("abc") + "\ud800": 1}).encode(),
            lambda: json.dumps({**ASK, "n": rng.choice([0, 11, -1, "many", 1.5, True, 10**400])}).encode(),
            lambda: json.dumps({**ASK, "stream": rng.choice(["maybe", 7, [], {}])}).encode(),
            lambda: json.dumps({**ASK, "image": rng.choice(["", "x", {}, [], [[]], {"url": 1}, 5])}).encode(),
            lambda: (b'{"native":' * rng.randrange(40, 2000)) + b"1",
            lambda: json.dumps({**ASK, "native": json.loads('{"a":' * 100 + "1" + "}" * 100)}).encode(),
        )
    )()


def broken_form(rng: random.Random) -> bytes:
    """A form with a field that no edit has, or that is no form, with bytes changed here and there."""
    name = rng.choice(['"image"', '"image[]"', '"a[b"', '"[]"', '"a[][b][c]"', '"model[x]"', "x", '"mask[0][1]"', '""'])
    file = rng.choice(["", '; filename="upload"', '; filename="\xff"'])
    body = f"--b\r\nContent-Disposition: form-data; name={name}{file}\r\n\r\nvalue\r\n--b--\r\n".encode("latin-1")
    spoilt = bytearray(body)
    for _ in range(rng.randrange(4)):
        spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
    return bytes(spoilt[: rng.randrange(len(spoilt))] if rng.random() < 0.3 else spoilt)


@pytest.mark.parametrize("seed", range(10))
def test_broken_requests_are_the_clients_fault(url: str, seed: int) -> None:
    """Two hundred and more: 4xx with an envelope each time, on a connection that stays usable."""
    rng, line = random.Random(seed), connection(url)
    for turn in range(24):
        form = bool(turn % 2)
        path = rng.choice([GENERATIONS, "/v1/images/edits", "/v1/images/variations", "/v1/images/quote"])
        body = broken_form(rng) if form else broken_json(rng)
        kind = rng.choice(["multipart/form-data; boundary=b", "multipart/form-data", "multipart/form-data; boundary="])
        path, kind = ("/v1/images/edits", kind) if form else (path, "text/plain")
        line.request("POST", path, body, {"content-type": kind})
        answer = line.getresponse()
        text = answer.read()
        assert 400 <= answer.status < 500, (body[:300], text)
        assert answer.headers["x-request-id"].startswith("req_")
        error = json.loads(text)["error"]
        assert set(error) >= {"message", "type", "param", "code"}
        assert "Traceback" not in error["message"]
    line.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", GENERATIONS, 405, "method_not_allowed"),
        ("GET", "/v1/images/files/x.png", 404, "not_found"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_what_there_is_not_is_told_in_the_same_envelope(
    url: str, method: str, path: str, status: int, code: str
) -> None:
    """With the id that the client gave, for whoever looks into both logs."""
    answer = httpx2.request(method, url + path, headers={"x-request-id": "mine-1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-request-id"] == "mine-1"


def test_every_address_is_there_without_v1(url: str) -> None:
    """For clients whose base URL does not end with it."""
    assert httpx2.post(f"{url}/images/generations", json=ASK).status_code == 200
    assert httpx2.get(f"{url}/models/hero").json() == httpx2.get(f"{url}/v1/models/hero").json()


def test_quote_and_explain_ask_nobody(serve: Serve) -> None:
    """The price in advance, and the route with its reasons."""
    provider = FakeProvider()
    with serve(create_app(AsyncRouter(PLAIN, provider=provider, picture_files=False))) as address:
        quote = httpx2.post(f"{address}/v1/images/quote", json={**ASK, "n": 3}).json()
        told = httpx2.post(f"{address}/v1/images/explain", json={**ASK, "size": "huge"})
        explained = httpx2.post(f"{address}/v1/images/explain", json=ASK).json()
    assert (quote["pick"], quote["cost"]["usd"]) == ("core", "0.12")
    assert told.status_code == 400
    assert (explained["pick"], explained["candidates"][0]["region"]) == ("core", "us-west-2")
    assert provider.sent == ()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:4000"}, 200),
        ({"host": "[::1]:4000"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:80"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "https://app.example"}, 200),
        ({"host": "localhost:4000", "origin": "http://localhost:4000"}, 200),
    ],
)
def test_a_web_page_of_a_stranger_can_not_spend_your_money(url: str, headers: dict[str, str], status: int) -> None:
    """Neither from its own origin, nor under a name that was made to lead to this computer."""
    answer = httpx2.post(f"{url}{GENERATIONS}", json=ASK, headers=headers)
    assert answer.status_code == status
    if status == 403:
        remedy = "server.cors_origins" if "origin" in headers else "server.hosts"
        assert remedy in answer.json()["error"]["message"]
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == ("https://app.example" if headers.get("origin") == "https://app.example" else None)


def test_links_end(serve: Serve) -> None:
    """With their time, and when newer pictures need the room; nobody can make one up."""
    now = [1000.0]
    links = Links(secret=b"s" * 32, ttl=60, max_bytes=100, now=lambda: now[0])
    name, _, query = (links.keep(b"x" * 60, "png") or "").partition("?")
    expires, signature = (part.partition("=")[2] for part in query.split("&"))
    found = links.find(name, expires, signature)
    assert found is not None
    assert (found.data, found.media_type) == (b"x" * 60, "image/png")
    for wrong in ((name, "9999999999", signature), ("x.png", expires, signature), (name, expires, "é")):
        assert links.find(*wrong) is None
    assert links.keep(b"y" * 101, "png") is None
    links.keep(b"z" * 60, "png")
    assert links.find(name, expires, signature) is None
    other = links.keep(b"z" * 60, "png") or ""
    name, _, query = other.partition("?")
    now[0] += 61
    assert links.find(name, *(part.partition("=")[2] for part in query.split("&"))) is None


def form(*parts: tuple[str, str]) -> dict[str, Any]:
    """What the gateway reads out of a form of texts."""
    body = "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts)
    return read_fields("multipart/form-data; boundary=b", f"{body}--b--\r\n".encode())


def test_brackets_become_objects_and_lists() -> None:
    """Numbers and truth values inside objects are such; words stay words."""
    read = form(
        ("n", "2"),
        ("native[seed]", "7"),
        ("native[deep][on]", "true"),
        ("native[text]", "1234"),
        ("colors[]", "#FFFFFF"),
        ("colors[]", "#000000"),
        ("list[][a]", "1"),
    )
    assert read == {
        "n": "2",
        "native": {"seed": 7, "deep": {"on": True}, "text": "1234"},
        "colors": ["#FFFFFF", "#000000"],
        "list": [{"a": 1}],
    }
    assert form(("a", "1"), ("a", "1")) == {"a": "1"}
    with pytest.raises(Refused, match="ends too soon"):
        read_fields("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n1')
    for parts in ((("a", "1"), ("a", "2")), (("a", "1"), ("a[b]", "2"))):
        with pytest.raises(Refused, match="the form gives"):
            form(*parts)


def test_files_in_a_form_are_read_as_base64() -> None:
    """Whatever they are called; one under a name that comes again is one of several."""
    part = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="upload"\r\n\r\n%s\r\n'
    body = part % (b"image", b"\x00\r\n\xff") + part % (b"image[]", b"a") + part % (b"mask", b"") + b"--b--\r\n"
    read = read_fields("multipart/form-data; boundary=b", body)
    assert read == {"image": ["AA0K/w==", "YQ=="], "mask": ""}


def test_what_is_nobodys_business_is_not_said() -> None:
    """Accounts, roles and key ids of AWS's messages."""
    said = public(
        "arn:aws:iam::111122223333:user/eve may not; account 444455556666, key AKIAIOSFODNN7EXAMPLE, seed 12345"
    )
    assert said == "*** may not; account ***, key ***, seed 12345"


def test_the_name_of_awss_own_model_is_no_secret() -> None:
    """Its ARN has no account number, unlike that of anything in an account; who hides a number in it gains nothing."""
    arn = "arn:aws:bedrock:us-west-2::foundation-model/stability.stable-image-core-v1:1"
    profile = "arn:aws:bedrock:us-west-2:111122223333:inference-profile/us.x"
    assert public(f"no '{arn}', '{profile}'") == f"no '{arn}', '***'"
    assert public("arn:aws:bedrock:us-west-2::foundation-model/444455556666 arn:aws:s3:::mine").count("***") == 2


def test_the_memory_of_pictures_goes_back_to_the_system() -> None:
    """Where the C library has a way to ask for it."""
    assert reuse_large_blocks() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [(GENERATIONS, ASK, 502), ("/model/hero/invoke", {"prompt": "An otter"}, 424)],
)
def test_a_drain_that_runs_out_makes_nobody_pay_twice(path: str, fields: dict[str, Any], status: int) -> None:
    """The client is told not to ask again, and what its call has cost is booked, for a key without limits as well."""
    provider, sent = Held(), []
    router = AsyncRouter(PLAIN, provider=provider, picture_files=False)
    gate = open_gate(ServerConfig(), clock=lambda: 0.0, now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    app = create_app(router, gate=gate)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(fields).encode(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def play() -> str:
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
        scope |= {"headers": [(b"host", b"localhost")], "server": ("localhost", 80), "scheme": "http"}
        async with app.router.lifespan_context(app):
            request = asyncio.ensure_future(app(scope, receive, send))
            await asyncio.to_thread(provider.begun.wait, 20)
            request.cancel()
            await request
            assert sent[0]["status"] == status
            assert status == 424 or (b"x-should-retry", b"false") in sent[0]["headers"]
            provider.go.set()
        spent: str = gate.usage(ANYBODY)["usd_today"]
        return spent

    assert asyncio.run(play()) == "0.04"


def test_no_client_waits_longer_than_the_configuration_does(url: str) -> None:
    """A longer deadline is cut, with a warning, or refused where nothing may be changed."""
    answer = httpx2.post(f"{url}{GENERATIONS}", json={**ASK, "deadline": "2h"})
    assert [one["parameter"] for one in answer.json()["lascaux"]["warnings"]] == ["deadline"]
    answer = httpx2.post(f"{url}{GENERATIONS}", json={**ASK, "deadline": "2h", "strict": True})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "deadline")
    answer = httpx2.post(f"{url}{GENERATIONS}", json={**ASK, "deadline": 5})
    assert not answer.json()["lascaux"].get("warnings")
