"""Connections of strangers: silent ones are closed, too many are refused, and the log stays readable."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from typing import Any

import pytest
import uvicorn
from lascaux.gateway.app import no_http
from lascaux.gateway.connections import PatientProtocol, QuietRepeats, protocol, raise_descriptors

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads all, takes its time, says nothing."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.4 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def talk(kind: type[PatientProtocol], *said: bytes, patience: float = 30.0) -> list[bytes]:
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
            while chunk := await asyncio.wait_for(reader.read(999), patience):
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
    half = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
    slow, body, idle = asyncio.run(talk(hasty, GET.replace(b"/ ", b"/slow ", 1), half, GET, patience=2.0))
    assert slow.startswith(b"HTTP/1.1 204")
    assert body == b"..."
    assert idle.endswith(b"...")


def test_no_more_connections_than_half_the_descriptors() -> None:
    """Those beyond are closed at once; those within are served."""
    once = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answers = asyncio.run(talk(protocol(4), once, once, once))
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


def chunked(path: bytes, rest: bytes = b"zz\r\n") -> bytes:
    """A request whose body turns out to be none."""
    return b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + rest


def test_what_is_no_http_is_refused_in_the_words_of_its_address() -> None:
    """OpenAI's envelope, Bedrock's on Bedrock's addresses; what is not even a line has OpenAI's."""
    kind = protocol(100, no_http)
    folded = b"GET /model/hero/invoke HTTP/1.1\r\nno colon\r\n\r\n"
    answers = asyncio.run(
        talk(kind, b"\x16\x03\x01\0\0", folded, chunked(b"/model/hero/invoke"), chunked(b"/v1/models"))
    )
    assert all(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") for answer in answers)
    assert all(b"\r\nx-request-id: req_" in answer and b"\r\nconnection: close" in answer for answer in answers)
    assert [b"x-amzn-errortype" in answer for answer in answers] == [False, True, True, False]
    codes = [json.loads(answer.partition(b"\r\n\r\n")[2]).get("error", {}).get("code") for answer in answers]
    assert codes == ["bad_http", None, None, "bad_http"]


def test_a_head_request_gets_no_body_even_then() -> None:
    """Its refusal ends with its headers."""
    (answer,) = asyncio.run(talk(protocol(100, no_http), chunked(b"/").replace(b"POST", b"HEAD")))
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.endswith(b"\r\n\r\n")


def test_nobody_answers_a_request_that_has_been_refused(caplog: pytest.LogCaptureFixture) -> None:
    """The application, which waits for the rest of the body or has not begun, finds its client gone; nothing fails."""
    answers = asyncio.run(talk(protocol(100, no_http), *[chunked(b"/")] * 5))
    assert [answer.count(b"HTTP/1.1 400") + answer.count(b"HTTP/1.1 204") for answer in answers] == [1] * 5
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def test_an_answer_under_way_is_cut_off_and_one_that_was_given_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """Where a body turns out to be none after the answer has begun, there is nothing more to say."""

    async def early(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send(
            {"type": "http.response.body", "body": b"ok" if scope["path"] == "/whole" else b"o", "more_body": True}
        )
        if scope["path"] == "/whole":
            await send({"type": "http.response.body", "body": b""})
        await receive()

    async def answers(path: bytes) -> bytes:
        config = uvicorn.Config(early, http=protocol(100, no_http), ws="none", lifespan="off", log_config=None)
        config.load()
        state = uvicorn.Server(config).server_state
        kind: Any = config.http_protocol_class
        server = await asyncio.get_running_loop().create_server(
            lambda: kind(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(chunked(path, b""))
        heard = await reader.readuntil(b"\r\n\r\no")
        writer.write(b"zz\r\n")
        heard += await asyncio.wait_for(reader.read(), 20)
        writer.close()
        server.close()
        return heard.partition(b"\r\n\r\n")[2]

    assert asyncio.run(answers(b"/whole")) == b"ok"
    assert asyncio.run(answers(b"/half")) == b"o"
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


@pytest.mark.parametrize("words", ["Invalid HTTP request received.", "Unsupported upgrade request."])
def test_what_strangers_send_fills_no_log(words: str) -> None:
    """One line a minute for each kind of it."""
    now = [0.0]
    quiet = QuietRepeats(lambda: now[0])

    def told() -> bool:
        return quiet.filter(logging.LogRecord("uvicorn.error", logging.WARNING, "", 1, words, (), None))

    assert [told() for _ in range(3)] == [True, False, False]
    now[0] = 61.0
    assert told()
