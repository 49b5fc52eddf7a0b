"""Exchanges by an event loop: what is their own; all else they share with threads (test_connections, test_transport)."""

from __future__ import annotations

import asyncio
import gc
import io
import random
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lascaux.providers.bedrock import desk, in_loop
from lascaux.providers.bedrock.connections import Connections
from lascaux.providers.bedrock.dialling import dialler
from lascaux.providers.bedrock.endpoints import parse_endpoint
from lascaux.providers.bedrock.keys import Sealed
from lascaux.providers.bedrock.replies import Reply
from lascaux.providers.errors import AttemptTimeout, ConnectionBroken
from lascaux.tests.certificates import self_signed

HEAD = Sealed(b"POST / HTTP/1.1\r\nhost: peer\r\ncontent-length: 4\r\n\r\n")
PATIENCE = 60.0


def answer(body: bytes) -> bytes:
    """A plain one."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def peer(talk: Callable[[Any], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listens on a port, and treats every connection as ``talk`` does, once a whole request has come."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(sock: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(sock, server_side=True) if context else sock as line:
            while data := line.recv(65536):
                while not data.endswith(b"body"):
                    data += line.recv(65536)
                talk(line)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def connections(url: str, verify: bool | str = True) -> Connections:
    """To one peer."""
    dial, _ = dialler(parse_endpoint(url), verify)
    return Connections("peer", dial, size=4, clock=time.monotonic)


async def ask(made: Connections, clock: Callable[[], float], timeout: float = PATIENCE) -> Reply:
    """One exchange."""
    return await made.aexchange(HEAD, b"body", deadline=clock() + timeout, connect_timeout=PATIENCE)


def test_a_large_answer_over_tls(tmp_path: Path) -> None:
    """Three megabytes in records and pieces of all sizes, twice over one connection."""
    certificate, key = self_signed(tmp_path, "bedrock.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    body = b64encode(random.Random(3).randbytes(2_250_000))

    def talk(sock: Any) -> None:
        rest, sizes = answer(body), random.Random(5)
        while rest:
            size = sizes.choice((1, 100, 5_000, 16_384, 300_000))
            sock.sendall(rest[:size])
            rest = rest[size:]

    async def main(made: Connections) -> None:
        clock = asyncio.get_running_loop().time
        for _ in range(2):
            reply = await ask(made, clock)
            assert reply.complete
            assert reply.body == body
            assert made.idle == 1

    with peer(talk, context) as port:
        asyncio.run(main(connections(f"https://127.0.0.1:{port}", certificate)))


@pytest.mark.parametrize("size", [1, 7, 40, 60])
def test_a_head_in_pieces(size: int) -> None:
    """A head is judged once it is whole, however it comes."""
    text = answer(b"an otter")

    def talk(sock: Any) -> None:
        for start in range(0, len(text), size):
            sock.sendall(text[start : start + size])
            threading.Event().wait(0.002)

    async def main(made: Connections) -> Reply:
        return await ask(made, asyncio.get_running_loop().time)

    with peer(talk) as port:
        assert asyncio.run(main(connections(f"http://127.0.0.1:{port}"))).body == b"an otter"


def test_an_odd_answer_in_pieces_goes_to_the_full_parser() -> None:
    """With all that was read of it, and the connection is kept as it would be otherwise."""
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nan \r\n5\r\notter\r\n0\r\n\r\n"

    def talk(sock: Any) -> None:
        for start in range(0, len(text), 50):
            sock.sendall(text[start : start + 50])
            threading.Event().wait(0.05)

    async def main(made: Connections) -> None:
        for _ in range(2):
            reply = await ask(made, asyncio.get_running_loop().time)
            assert reply.body == b"an otter"
            assert made.idle == 1

    with peer(talk) as port:
        asyncio.run(main(connections(f"http://127.0.0.1:{port}")))


def test_the_loop_goes_on_meanwhile() -> None:
    """Answers that come in turns are all awaited at once, by no thread of ours."""
    together = threading.Barrier(8)

    def talk(sock: Any) -> None:
        together.wait(PATIENCE)
        sock.sendall(answer(b"x" * 500_000))

    async def main(made: Connections) -> None:
        clock = asyncio.get_running_loop().time
        for _ in range(2):
            replies = await asyncio.gather(*(ask(made, clock) for _ in range(8)))
            assert [len(reply.body) for reply in replies] == [500_000] * 8

    with peer(talk) as port:
        asyncio.run(main(connections(f"http://127.0.0.1:{port}")))


def test_who_is_cancelled_leaves_nothing_behind() -> None:
    """In the middle of an answer: the connection is closed, and the loop watches nothing any more."""
    begun, gone = threading.Event(), threading.Event()

    def talk(sock: Any) -> None:
        sock.sendall(answer(b"x" * 500_000)[:1000])
        begun.set()
        assert sock.recv(1) == b""
        gone.set()

    async def main(made: Connections) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(ask(made, loop.time))
        await asyncio.to_thread(begun.wait, PATIENCE)
        watched = len(loop._selector.get_map())  # type: ignore[attr-defined]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(gone.wait, PATIENCE)
        assert len(loop._selector.get_map()) == watched - 1  # type: ignore[attr-defined]
        assert made.idle == 0

    with peer(talk) as port:
        asyncio.run(main(connections(f"http://127.0.0.1:{port}")))


def test_a_connection_serves_one_loop_after_the_other_and_threads() -> None:
    """It belongs to none of them."""
    opened = []

    def talk(sock: Any) -> None:
        opened.append(sock)
        sock.sendall(answer(b"ok"))

    with peer(talk) as port:
        made = connections(f"http://127.0.0.1:{port}")
        for _ in range(2):
            assert asyncio.run(ask(made, time.monotonic)).body == b"ok"
            assert made.exchange(HEAD, b"body", deadline=time.monotonic() + 60, connect_timeout=60).body == b"ok"
        assert len(opened) == 4
        assert len({id(sock) for sock in opened}) == 1


def test_nothing_comes_in_time() -> None:
    """Before and in the middle of an answer: it may have been billed."""
    quiet = threading.Event()

    def talk(sock: Any) -> None:
        sock.sendall(answer(b"x" * 500_000)[: 1000 if quiet.is_set() else 0])
        sock.recv(1)

    with peer(talk) as port:
        for _ in range(2):
            made = connections(f"http://127.0.0.1:{port}")
            with pytest.raises(AttemptTimeout, match="no complete answer") as caught:
                asyncio.run(ask(made, time.monotonic, 0.3))
            assert caught.value.may_be_billed
            quiet.set()


def test_a_connection_that_is_reset() -> None:
    """In the middle of an answer."""

    def talk(sock: Any) -> None:
        sock.sendall(answer(b"x" * 500_000)[:1000])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()

    with peer(talk) as port:
        made = connections(f"http://127.0.0.1:{port}")
        with pytest.raises(ConnectionBroken, match="before its answer was complete") as caught:
            asyncio.run(ask(made, time.monotonic))
        assert caught.value.may_be_billed


def test_no_more_is_read_than_there_are_seats(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a loop that has no time: of thirty answers that are all there at once few are read at a time, and all arrive."""
    monkeypatch.setattr(desk, "AT_ONCE", 1_000_000)
    monkeypatch.setattr(desk, "BUSY", -1.0)
    most, size = [0], 400_000

    class Watched(desk.Desk):
        def rise(self, reader: desk.Reader) -> None:
            most[0] = max(most[0], self.held)
            super().rise(reader)

    monkeypatch.setattr(desk, "Desk", Watched)

    async def main(made: Connections) -> None:
        loop = asyncio.get_running_loop()
        asked = [asyncio.ensure_future(ask(made, loop.time)) for _ in range(30)]
        await asyncio.sleep(0.1)
        asked[0].cancel()
        asked[20].cancel()
        replies = await asyncio.gather(*asked, return_exceptions=True)
        whole = [reply for reply in replies if isinstance(reply, Reply)]
        assert len(whole) >= 28
        assert {len(reply.body) for reply in whole} == {size}
        await asyncio.sleep(0)
        assert desk.desk_of(loop).held == 0

    with peer(lambda sock: sock.sendall(answer(b"x" * size))) as port:
        asyncio.run(main(connections(f"http://127.0.0.1:{port}")))
    assert size <= most[0] <= 1_000_000 + size


@pytest.mark.parametrize("busy", [-1.0, 0.002])
def test_a_sender_that_pauses_holds_nobody_up(busy: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the only seat until nothing has come for a moment, or the loop has time; it goes on when it can."""
    monkeypatch.setattr(desk, "AT_ONCE", 1)
    monkeypatch.setattr(desk, "BUSY", busy)
    first, served = threading.Lock(), threading.Event()

    def talk(sock: Any) -> None:
        text = answer(b"x" * 500_000)
        if first.acquire(blocking=False):
            sock.sendall(text[:200_000])
            assert served.wait(PATIENCE)
            sock.sendall(text[200_000:])
        else:
            sock.sendall(text)

    async def main(made: Connections) -> None:
        loop = asyncio.get_running_loop()
        clock = loop.time
        slow = asyncio.ensure_future(ask(made, clock))
        while not desk.desk_of(loop).held:
            await asyncio.sleep(0.005)
        for reply in await asyncio.gather(*(ask(made, clock) for _ in range(5))):
            assert len(reply.body) == 500_000
        assert not slow.done()
        served.set()
        assert len((await slow).body) == 500_000

    with peer(talk) as port:
        asyncio.run(main(connections(f"http://127.0.0.1:{port}")))


def test_a_body_that_can_not_be_held_ends_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and for whoever asked for it: an event loop would only log it, again and again."""

    def buffer(*data: bytes) -> io.BytesIO:
        if data:
            raise MemoryError
        return io.BytesIO()

    monkeypatch.setattr(in_loop, "io", SimpleNamespace(BytesIO=buffer))
    with peer(lambda sock: sock.sendall(answer(b"x" * 500_000))) as port, pytest.raises(MemoryError):
        asyncio.run(ask(connections(f"http://127.0.0.1:{port}"), time.monotonic))


def test_a_loop_that_has_gone_is_not_kept() -> None:
    """Nor what was read in it."""
    gc.collect()
    before = len(desk._desks)
    with peer(lambda sock: sock.sendall(answer(b"x" * 500_000))) as port:
        asyncio.run(ask(connections(f"http://127.0.0.1:{port}"), time.monotonic))
    gc.collect()
    assert len(desk._desks) <= before
