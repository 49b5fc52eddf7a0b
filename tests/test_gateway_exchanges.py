"""Requests and answers on one connection, over real sockets: their order, their frames, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from lascaux.gateway.connections import PatientProtocol
from lascaux.gateway.exchanges import PARTING

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LARGE = 700_000
PATIENCE = 20.0


class Mirror:
    """An application that answers with what it was sent; how it does so its address says."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.paths.append(path)
        if path == "/unread":
            return await self._say(send, b"no", length=True)
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        match path:
            case "/fails":
                raise ValueError("as it should")
            case "/stays":
                scope["state"][PARTING].told = self.gone.set
                await self.gone.wait()
            case "/asks":
                assert (await receive())["type"] == "http.disconnect"
                self.gone.set()
            case "/short":
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
                await send({"type": "http.response.body", "body": b"short"})
            case _:
                await self._say(send, body or path.encode(), length=path != "/chunks")

    @staticmethod
    async def _say(send: Any, body: bytes, *, length: bool) -> None:
        headers = [(b"content-length", b"%d" % len(body))] if length else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": memoryview(body)[half:]})


@asynccontextmanager
async def serving(app: Mirror, **more: Any) -> AsyncIterator[tuple[Callable[[], Coroutine[Any, Any, Line]], Any]]:
    """A way to connect to it, and the state of its server."""
    config = uvicorn.Config(app, http=PatientProtocol, ws="none", lifespan="off", log_config=None, **more)
    config.load()
    state: Any = uvicorn.Server(config).server_state
    server = await asyncio.get_running_loop().create_server(lambda: PatientProtocol(config, state, {}), "127.0.0.1", 0)
    lines: list[Line] = []

    async def connect() -> Line:
        lines.append(await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1]))
        return lines[-1]

    async with asyncio.timeout(PATIENCE):
        yield connect, state
    for _, writer in lines:
        writer.close()
    server.close()


def asked(path: str, body: bytes = b"", *, method: str = "POST", headers: str = "", version: str = "1.1") -> bytes:
    """A request."""
    head = f"{method} {path} HTTP/{version}\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one whose length is told."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))


def test_requests_that_come_together_are_answered_in_turn() -> None:
    """One after the other, whatever the sizes of their bodies; what comes too early waits."""

    async def play() -> None:
        app = Mirror()
        async with serving(app) as (connect, _):
            reader, writer = await connect()
            bodies = [b"one", b"", b"x" * LARGE, b"four"]
            writer.write(b"".join(asked(f"/{number}", body) for number, body in enumerate(bodies)))
            for number, body in enumerate(bodies):
                assert (await answer(reader))[1] == (body or f"/{number}".encode())
            assert app.paths == ["/0", "/1", "/2", "/3"]

    asyncio.run(play())


def test_a_body_that_nobody_reads_is_thrown_away() -> None:
    """Its answer comes first, and the next request is found behind it."""

    async def play() -> None:
        async with serving(Mirror()) as (connect, _):
            reader, writer = await connect()
            whole = asked("/unread", b"x" * LARGE)
            writer.write(whole[:300])
            assert (await answer(reader))[1] == b"no"
            writer.write(whole[300:] + asked("/next"))
            assert (await answer(reader))[1] == b"/next"

    asyncio.run(play())


@pytest.mark.parametrize("path", ["/stays", "/asks"])
@pytest.mark.parametrize("size", [0, 70_000, LARGE])
def test_who_leaves_is_noticed(path: str, size: int) -> None:
    """By both ways to hear of it, whatever had been sent before."""

    async def play() -> None:
        app = Mirror()
        async with serving(app) as (connect, state):
            _, writer = await connect()
            writer.write(asked(path, b"x" * size))
            while not app.paths:
                await asyncio.sleep(0.01)
            await writer.drain()
            writer.close()
            await app.gone.wait()
            while state.tasks or state.connections:
                await asyncio.sleep(0.01)

    asyncio.run(play())


def test_a_client_that_waits_for_a_sign_gets_one() -> None:
    """When its body is asked for; not if that has begun to come, and not if nobody asks."""

    async def play() -> None:
        async with serving(Mirror()) as (connect, _):
            reader, writer = await connect()
            whole = asked("/it", b"body", headers="Expect: 100-Continue\r\n")
            writer.write(whole[:-4])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"body" + whole)
            for _ in range(2):
                assert (await answer(reader))[1] == b"body"
            writer.write(whole[:-4].replace(b"/it", b"/unread"))
            assert (await answer(reader))[1] == b"no"

    asyncio.run(play())


def test_an_answer_of_unknown_length_comes_in_chunks_or_ends_with_its_connection() -> None:
    """For clients that know chunks, and those that do not. Who asks for the head alone gets it."""

    async def play() -> None:
        async with serving(Mirror()) as (connect, _):
            reader, writer = await connect()
            writer.write(asked("/chunks", b"abcd"))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head
            assert await reader.readuntil(b"0\r\n\r\n") == b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"
            writer.write(asked("/chunks", method="HEAD") + asked("/head", method="HEAD") + asked("/get"))
            assert b"transfer-encoding: chunked" in await reader.readuntil(b"\r\n\r\n")
            assert b"content-length: 5" in await reader.readuntil(b"\r\n\r\n")
            assert (await answer(reader))[1] == b"/get"
            reader, writer = await connect()
            writer.write(asked("/chunks", b"abcd", version="1.0", headers="Connection: keep-alive\r\n"))
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert b"connection: close" in head
            assert b"chunked" not in head
            assert body == b"abcd"

    asyncio.run(play())


def test_a_connection_ends_when_it_should() -> None:
    """Where the client says so, when it was idle, and when the server ends: then with the answer that is under way."""

    async def play() -> None:
        async with serving(Mirror(), timeout_keep_alive=1) as (connect, state):
            reader, writer = await connect()
            writer.write(asked("/last", headers="Connection: Close\r\n") + asked("/never"))
            heard = await reader.read()
            assert heard.count(b"HTTP/1.1") == heard.count(b"connection: close") == 1
            reader, writer = await connect()
            writer.write(asked("/idle"))
            head, _ = await answer(reader)
            assert b"connection" not in head
            assert await reader.read() == b""
            (busy, talk), (idle, _) = await connect(), await connect()
            whole = asked("/busy", b"body")
            talk.write(whole[:-1])
            while not state.tasks or len(state.connections) < 2:
                await asyncio.sleep(0.01)
            for one in tuple(state.connections):
                one.shutdown()
            assert await idle.read() == b""
            talk.write(whole[-1:])
            heard = await busy.read()
            assert heard.endswith(b"\r\n\r\nbody")
            assert b"connection: close" in heard

    asyncio.run(play())


def test_an_application_that_fails_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """With a bare 500, or in the middle of what it began."""

    async def play() -> None:
        async with serving(Mirror()) as (connect, _):
            reader, writer = await connect()
            writer.write(asked("/fails"))
            heard = await reader.read()
            assert heard.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
            assert heard.endswith(b"\r\n\r\nInternal Server Error")
            reader, writer = await connect()
            writer.write(asked("/short"))
            assert await reader.read() == b""

    asyncio.run(play())
    assert [record.exc_info is not None for record in caplog.records if record.name == "uvicorn.error"] == [True] * 2
