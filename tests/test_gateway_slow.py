"""Slow clients, over real sockets: nobody holds a place, a connection or memory for longer than there is time."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from lascaux import AsyncRouter
from lascaux.gateway.app import create_app
from lascaux.gateway.connections import PatientProtocol
from lascaux.gateway.intake import Bounds
from lascaux.providers.fake import PICTURE, FakeProvider
from lascaux.providers.types import Call, Image, ImageResult, Target

PLAIN = {
    "deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}},
    "aliases": {"hero": "core"},
}
ASK = {"model": "hero", "prompt": "An otter"}
GENERATIONS, INVOKE = "/v1/images/generations", "/model/hero/invoke"
LARGE = 24_000_000
"""Bytes of base64, more than the buffers of the system hold."""


class Heavy(FakeProvider):
    """Its pictures have more bytes than they need."""

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        super().send(target, call, timeout=timeout)
        picture = b64decode(PICTURE)
        return ImageResult(images=(Image(b64encode(picture + bytes(LARGE * 3 // 4 - len(picture))).decode(), seed=1),))


@contextmanager
def running(app: Any, **times: float) -> Iterator[tuple[str, uvicorn.Server]]:
    """A gateway behind the protocol that `lascaux serve` uses."""
    kind = type("Patient", (PatientProtocol,), times)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, http=kind, ws="none", lifespan="on", log_config=None, timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


def application(provider: FakeProvider | None = None, **bounds: Any) -> Any:
    """A gateway with these bounds."""
    router = AsyncRouter(PLAIN, provider=provider or FakeProvider(), picture_files=False)
    return create_app(router, bounds=Bounds(**bounds))


def until(true: Callable[[], bool], what: str) -> None:
    """Look again and again, for half a minute at most."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def head(length: int, path: str = GENERATIONS) -> bytes:
    """A request without its body."""
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def connected(url: str, buffer: int | None = None) -> socket.socket:
    """A connection, perhaps one that takes little at a time."""
    line = socket.socket()
    if buffer is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.settimeout(30)
    line.connect(("127.0.0.1", urlsplit(url).port or 0))
    return line


def heard(line: socket.socket) -> bytes:
    """An error, head and body."""
    got = b""
    while not got.rstrip().endswith(b"}"):
        got += line.recv(65_536)
    return got


def status(url: str, request: bytes) -> int:
    """What a request of its own is answered."""
    with connected(url) as line:
        line.sendall(request)
        return int(line.recv(12).split()[1])


def dripping(lines: list[socket.socket], stop: threading.Event) -> threading.Thread:
    """A thread that sends a byte on each of them now and then."""

    def drip() -> None:
        while not stop.wait(0.02):
            for line in lines:
                try:
                    line.send(b" ")
                except OSError:
                    continue

    thread = threading.Thread(target=drip)
    thread.start()
    return thread


@pytest.mark.parametrize("path", [GENERATIONS, INVOKE])
def test_a_body_that_drips_holds_no_place(path: str) -> None:
    """Four that drip take all places: the fifth hears so at once. They are told off, and everything is free again."""
    app = application(in_flight=4, body_seconds=60, body_grace=2.5, body_rate=2000)
    body = json.dumps(ASK if path == GENERATIONS else {"prompt": "An otter"}).encode()
    whole = head(len(body), path) + body
    with running(app, head_timeout=0.5) as (url, server):
        stop = threading.Event()
        lines = [connected(url) for _ in range(4)]
        for line in lines:
            line.sendall(head(100_000, path))
        thread = dripping(lines, stop)
        until(lambda: status(url, b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n") == 503, "places are free")
        assert status(url, whole) == 429  # at once: the others still drip
        for line in lines:
            answer = heard(line)
            assert answer.split()[1] == (b"408" if path == GENERATIONS else b"400"), answer
            assert b"too slowly" in answer
        assert status(url, whole) == 200
        until(lambda: not server.server_state.connections, "who drips on still has a connection")
        stop.set()
        thread.join()
        for line in lines:
            line.close()


def test_a_steady_client_is_waited_for_but_not_for_ever() -> None:
    """What comes at the rate that is asked for may take the whole time, and no more."""
    body = json.dumps(ASK).encode().ljust(6000)
    steady: dict[str, Any] = {"body_grace": 0.4, "body_rate": 200}  # a thousand bytes are good for five seconds
    with running(application(body_seconds=60.0, **steady)) as (url, _), connected(url) as line:
        line.sendall(head(len(body)) + body[:1000])
        for begin in range(1000, len(body), 1000):
            time.sleep(0.13)
            line.sendall(body[begin : begin + 1000])
        assert line.recv(1000).startswith(b"HTTP/1.1 200 ")
    with running(application(body_seconds=2.0, **steady)) as (url, _):
        with connected(url) as line:
            before = time.monotonic()
            line.sendall(head(1_000_000) + b"x" * 1000)
            sending = threading.Event()

            def send() -> None:
                while not sending.wait(0.1):
                    try:
                        line.sendall(b"x" * 1000)
                    except OSError:
                        return

            thread = threading.Thread(target=send)
            thread.start()
            answer = heard(line)
            took = time.monotonic() - before
            sending.set()
            thread.join()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"within 2 s" in answer
        assert 2 <= took < 20


def test_an_answer_that_nobody_takes_is_given_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is free after the time for it; what little of it lies in buffers ends with the connection."""
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)
    body = json.dumps(ASK).encode()
    whole, ready = head(len(body)) + body, b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
    app = application(Heavy(), in_flight=1, answer_seconds=2.5)
    with running(app, stall_timeout=5.0) as (url, server), connected(url, 8192) as line:
        line.sendall(whole)
        assert line.recv(12) == b"HTTP/1.1 200"
        assert status(url, whole) == 429
        waiting = [one.transport.get_write_buffer_size() for one in tuple(server.server_state.connections)]
        assert 0 < max(waiting) < 1_000_000
        until(lambda: status(url, ready) == 200, "its place is not free")
        until(lambda: not server.server_state.connections, "its connection is still open")
        taken = 0
        try:
            while chunk := line.recv(1 << 20):
                taken += len(chunk)
        except ConnectionError:
            pass
        assert taken < LARGE
    assert "took too long to read the answer" in caplog.text


def test_who_reads_slowly_but_reads_gets_all() -> None:
    """In the time that there is, with a pause; and the connection can be used again."""
    body = json.dumps(ASK).encode()
    app = application(Heavy(), in_flight=1, answer_seconds=30.0)
    with running(app, stall_timeout=5.0) as (url, _), connected(url, 65_536) as line:
        for _ in range(2):
            line.sendall(head(len(body)) + body)
            got = b""
            while b"\r\n\r\n" not in got:
                got += line.recv(1000)
            begin, _, rest = got.partition(b"\r\n\r\n")
            length = int(begin.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            assert length > LARGE
            time.sleep(0.3)
            taken = len(rest)
            while taken < length:
                chunk = line.recv(1 << 20)
                assert chunk
                taken += len(chunk)
            assert taken == length
