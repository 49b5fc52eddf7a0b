"""Bedrock's addresses, before a body is read: who is not known gets no place, no memory, and no second of patience."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lascaux import AsyncRouter, Config
from lascaux.gateway.gate import open_gate
from lascaux.gateway.intake import Bounds, Intake
from lascaux.gateway.native import routes
from lascaux.gateway.native_request import MAX_BODY
from lascaux.gateway.sigv4 import Verifier
from starlette.applications import Starlette

SECRET, TOKEN = "a-secret-of-team-a-in-a-test", "a-key-of-team-a-in-a-test"
CONFIG = Config.from_mapping(
    {
        "deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}},
        "server": {
            "keys": [{"name": "team-a", "key": TOKEN}],
            "sigv4": [{"access_key_id": "TEAM-A", "secret": SECRET, "key": "team-a"}],
        },
    }
)
BODY = b'{"words": "no field of any model"}'
PATH = "/model/core/converse"
"""Refused after the caller is known: nobody has to be asked for a picture."""


def signed(body: bytes = BODY, *, key_id: str = "TEAM-A", secret: str = SECRET, said: str | None = None) -> Any:
    """Headers as botocore signs them; ``said`` is the digest that is signed along."""
    headers = {} if said is None else {"X-Amz-Content-SHA256": said}
    request = AWSRequest(method="POST", url=f"http://gateway{PATH}", data=body, headers=headers)
    SigV4Auth(Credentials(key_id, secret), "bedrock", "us-east-1").add_auth(request)
    found = [("host", urlsplit(request.url).netloc)]
    found += [(name.lower(), v if isinstance(v, str) else v.decode()) for name, v in request.headers.items()]
    return found


class Door:
    """The addresses, asked without a server: ``read`` counts how often a body was looked for."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        router = AsyncRouter(CONFIG, picture_files=False)
        gate = open_gate(CONFIG.server, clock=lambda: 0.0, now=lambda: datetime.now(UTC))
        self.intake = Intake(bounds)
        self.app = Starlette(routes=routes(router, gate, intake=self.intake, verifier=Verifier.of(CONFIG.server)))
        self.read = 0
        self.places: list[int] = []

    async def ask(
        self, headers: list[tuple[str, str]], *chunks: bytes, wait: asyncio.Event | None = None
    ) -> tuple[int, str]:
        """Status and type of the answer to a POST. With ``wait`` the body comes when that is set."""
        parts, told = list(chunks), dict[str, Any]()

        async def receive() -> dict[str, Any]:
            self.read += 1
            self.places.append(self.intake.in_flight)
            if wait is not None:
                await wait.wait()
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
            told["body"] = message.get("body", b"")

        raw = [(name.encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b""}
        await self.app({**scope, "headers": raw, "root_path": ""}, receive, send)
        return told["status"], orjson.loads(told["body"])["message"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Bearer wrong")],
        signed(key_id="TEAM-X"),
        signed(secret="not-the-secret-of-team-a", said=hashlib.sha256(BODY).hexdigest()),
        signed(key_id="TEAM-X", said=hashlib.sha256(BODY).hexdigest()),
        [(name, value.replace("bedrock", "s3")) for name, value in signed()],
        [(name, value) for name, value in signed() if name != "x-amz-date"],
        signed(said="UNSIGNED-PAYLOAD"),
        signed(said="anything"),
    ],
)
def test_not_a_byte_is_read_of_who_is_not_known(headers: list[tuple[str, str]]) -> None:
    """By key or by signature: the answer comes before the body."""
    door = Door()
    status, message = asyncio.run(door.ask([*headers, ("content-length", str(len(BODY)))], BODY))
    assert status in (400, 403), message
    assert door.read == 0


def test_who_is_known_is_let_in_and_a_body_that_was_not_signed_is_not() -> None:
    """By key, by a signature of the headers, and by one that needs the body; the last one without a place till then."""
    door, digest = Door(), hashlib.sha256(BODY).hexdigest()
    for headers, place in (
        ([("authorization", f"Bearer {TOKEN}")], 1),
        (signed(said=digest), 1),
        (signed(), 0),
    ):
        door.places.clear()
        status, message = asyncio.run(door.ask(headers, BODY))
        assert (status, "not supported" in message) == (400, True)
        assert door.places == [place]
    for headers in (signed(said=digest), signed(), signed(secret="not-the-secret-of-team-a")):
        assert asyncio.run(door.ask(headers, BODY + b" "))[0] == 403
    large = b"x" * 2_000_000
    assert asyncio.run(door.ask(signed(large), large))[0] == 400
    assert (door.intake.in_flight, door.intake.buffered) == (0, 0)


@pytest.mark.parametrize("headers", [[("authorization", f"Bearer {TOKEN}")], signed()], ids=["bearer", "signed"])
def test_no_more_than_bedrocks_limit_is_read(headers: list[tuple[str, str]]) -> None:
    """Whether the length was declared or not."""
    door, piece = Door(), b"x" * (MAX_BODY // 5 + 1)
    status, message = asyncio.run(door.ask(headers, *[piece] * 8))
    assert (status, door.read) == (413, 5)
    assert f"{MAX_BODY:,}" in message
    told = asyncio.run(door.ask([*headers, ("content-length", str(MAX_BODY + 1))], b"x"))
    assert told[0] == 413
    assert (door.intake.in_flight, door.intake.buffered) == (0, 0)


def test_callers_without_proof_leave_places_to_those_who_have_it() -> None:
    """They get an eighth of them at most, and one who is known is served meanwhile."""

    async def play() -> None:
        door, body = Door(Bounds(in_flight=8)), asyncio.Event()
        slow = asyncio.ensure_future(door.ask(signed(), BODY, wait=body))
        while not door.read:
            await asyncio.sleep(0)
        assert (await door.ask(signed(), BODY))[0] == 429
        assert "not supported" in (await door.ask([("authorization", f"Bearer {TOKEN}")], BODY))[1]
        body.set()
        assert (await slow)[0] == 400
        assert (await door.ask(signed(), BODY))[0] == 400

    asyncio.run(play())


def test_a_place_needs_room() -> None:
    """For one more request, and for its bytes."""

    async def play() -> None:
        door = Door(Bounds(in_flight=1, buffered=len(BODY) - 1))
        assert (await door.ask(signed(), BODY))[0] == 429
        door.intake.bounds = Bounds(in_flight=1)
        async with door.intake.place(1):
            assert (await door.ask(signed(), BODY))[0] == 429
        assert (await door.ask(signed(), BODY))[0] == 400

    asyncio.run(play())
