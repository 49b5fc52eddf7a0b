"""Answers in parts: large pictures go out from where they came in, and what arrives is what JSON would be."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from lascaux.gateway.app import no_http
from lascaux.gateway.connections import protocol
from lascaux.gateway.pieces import Pieces
from lascaux.gateway.spread import Body, Slots, Spread
from lascaux.providers.types import Image

LARGE = 1_200_000


def picture(letters: int, kind: str = "view") -> Image:
    """Of so many letters, kept as a view of a larger buffer, or as a text."""
    text = (b"abcdefgh" * (letters // 8 + 1))[:letters]
    return Image(memoryview(b"[" + text + b"]")[1:-1] if kind == "view" else text.decode())


@given(
    st.lists(st.tuples(st.sampled_from([0, 8, 16_000, 16_384, 40_000]), st.sampled_from(["view", "text"])), max_size=5),
    st.text(),
)
def test_a_document_in_parts_says_what_it_says_as_a_whole(sizes: list[tuple[int, str]], more: str) -> None:
    """Whatever else stands in it, and however its pictures are kept."""
    pictures, slots = [picture(*size) for size in sizes], Slots()
    written = slots.written(
        {"before": more, "data": [{"b64": slots.put(one), "also": more} for one in pictures], "x": 1}
    )
    assert len(written) == len(bytes(written))
    assert orjson.loads(bytes(written)) == {
        "before": more,
        "data": [{"b64": one.b64, "also": more} for one in pictures],
        "x": 1,
    }


def test_a_large_picture_is_not_copied() -> None:
    """The answer holds the very letters that came in, and nobody has made a text of them."""
    one, slots = picture(LARGE), Slots()
    written = slots.written([slots.put(one)])
    assert isinstance(written, Spread)
    assert any(part is one.letters for part in written.parts)


def body(size: int) -> Body:
    """An answer with a picture."""
    slots = Slots()
    return slots.written({"b64": slots.put(picture(size))})


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("size", [100, 30_000, LARGE])
def test_over_a_connection_it_arrives_whole(size: int, method: bytes) -> None:
    """Its length is told, its head comes with it, and the next request on the connection is answered like it."""
    expected = bytes(body(size))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await Pieces(body(size), media_type="application/json")(scope, receive, send)

    async def heard() -> list[bytes]:
        config = uvicorn.Config(application, http=protocol(100, no_http), ws="none", lifespan="off", log_config=None)
        config.load()
        state, kind = uvicorn.Server(config).server_state, protocol(100, no_http)
        server = await asyncio.get_running_loop().create_server(
            lambda: kind(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        found = []
        for _ in range(2):
            writer.write(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"content-length: %d\r\n" % len(expected) in head
            found.append(b"" if method == b"HEAD" else await asyncio.wait_for(reader.readexactly(len(expected)), 30))
        writer.close()
        server.close()
        return found

    assert asyncio.run(heard()) == [b"" if method == b"HEAD" else expected] * 2


def test_another_server_is_given_bytes() -> None:
    """As ASGI has it: only a server that says so is given views."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(Pieces(body(LARGE))({"type": "http", "method": "GET"}, receive, send))
    bodies = [message["body"] for message in sent[1:]]
    assert {type(one) for one in bodies} == {bytes}
    assert b"".join(bodies) == bytes(body(LARGE))
    assert max(map(len, bodies)) <= 512 * 1024
