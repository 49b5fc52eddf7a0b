"""Connections of strangers: silent ones are closed, too many are refused, and the log stays readable."""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

import pytest
import uvicorn
from lascaux.gateway.connections import PatientProtocol, QuietRepeats, protocol, raise_descriptors

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads all, takes its time, says nothing."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.4 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def talk(kind: type[PatientProtocol], *said: bytes) -> list[bytes]:
    """What connections that say this, all open at once, have heard when the server has closed them; '...' if it has not."""
    config = uvicorn.Config(application, http=kind, ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config)
    state.server_state.default_headers = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: kind(config=config, server_state=state.server_state, app_state={}), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]

    async def heard(reader: asyncio.StreamReader) -> bytes:
        got = b""
        try:
            while chunk := await asyncio.wait_for(reader.read(999), 0.8):
                got += chunk
        except TimeoutError:
            return got + b"..."
        except ConnectionError:
            pass
        return got

    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in said]
    for (_, writer), words in zip(pairs, said, strict=True):
        writer.write(words)
    answers = await asyncio.gather(*(heard(reader) for reader, _ in pairs))
    for _, writer in pairs:
        writer.close()
    server.close()
    return answers


@pytest.fixture
def hasty() -> type[PatientProtocol]:
    """One that waits a tenth of a second for a head."""
    return type("Hasty", (PatientProtocol,), {"head_timeout": 0.1})


def test_who_sends_no_whole_head_is_closed(hasty: type[PatientProtocol]) -> None:
    """Silent, half-way, and half-way into a second request."""
    silent, half, second = asyncio.run(talk(hasty, b"", b"GET / HT", GET + b"GET / HT"))
    assert (silent, half) == (b"", b"")
    assert second.startswith(b"HTTP/1.1 204")
    assert not second.endswith(b"...")


def test_who_has_sent_a_head_is_not_hurried(hasty: type[PatientProtocol]) -> None:
    """A slow answer, a slow body and an idle connection between requests are no heads."""
    slow, body, idle = asyncio.run(
        talk(hasty, GET.replace(b"/ ", b"/slow ", 1), b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", GET)
    )
    assert slow.startswith(b"HTTP/1.1 204")
    assert body == b"..."
    assert idle.endswith(b"...")


def test_no_more_connections_than_half_the_descriptors() -> None:
    """Those beyond are closed at once; those within are served."""
    answers = asyncio.run(talk(protocol(4), GET, GET, GET))
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 204", b"HTTP/1.1 204", b""]


def test_the_process_takes_the_descriptors_that_it_may_have() -> None:
    """The soft limit becomes the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
        assert raise_descriptors() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 512
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_failures_to_accept_are_told_once_a_minute() -> None:
    """One line, without a traceback; other records pass as they are."""
    now = [0.0]
    quiet = QuietRepeats(lambda: now[0])

    def record(text: str) -> logging.LogRecord:
        return logging.LogRecord("asyncio", logging.ERROR, "", 1, text, (), (OSError, OSError(24, "x"), None))

    failure = "socket.accept() out of system resource\nsocket: <x>"
    first = record(failure)
    assert quiet.filter(first)
    assert first.exc_info is None
    assert not quiet.filter(record(failure))
    assert quiet.filter(other := record("something else"))
    assert other.exc_info
    now[0] = 61.0
    assert quiet.filter(record(failure))
