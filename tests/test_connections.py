"""One exchange, at most once: what sockets can do to it, against a peer that does it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lascaux.providers.bedrock import replies as module
from lascaux.providers.bedrock.connections import Connections, Line
from lascaux.providers.bedrock.dialling import dialler
from lascaux.providers.bedrock.endpoints import parse_endpoint
from lascaux.providers.bedrock.keys import Sealed
from lascaux.providers.bedrock.replies import Reply
from lascaux.providers.errors import (
    AttemptTimeout,
    BadResponse,
    ConnectionBroken,
    ConnectionFailed,
    LascauxError,
)

HEAD = Sealed(b"POST /model/m/invoke HTTP/1.1\r\nhost: peer\r\ncontent-length: 4\r\n\r\n")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Talk = Callable[[socket.socket], None]


class Peer:
    """Accepts connections and treats each as the next script says; counts what reaches it."""

    def __init__(self) -> None:
        self.scripts: list[Talk] = []
        self.connections = 0
        self.requests = 0
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def request(self, sock: socket.socket) -> None:
        """Read one request with a body of four bytes."""
        data = b""
        while not data.endswith(b"\r\n\r\nbody"):
            piece = sock.recv(65536)
            if not piece:
                raise ConnectionError("the client hung up")
            data += piece
        self.requests += 1

    def answer(self, *answers: bytes, stay: bool = True) -> Talk:
        """A script: read a request and send an answer, for each; then keep the connection open, or close it."""

        def talk(sock: socket.socket) -> None:
            for answer in answers:
                self.request(sock)
                sock.sendall(answer)
            if stay:
                sock.recv(1)

        return talk

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for sock in self._open:
            sock.close()
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                break
            script = self.scripts[self.connections]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, script))
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def _serve(self, sock: socket.socket, script: Talk) -> None:
        with sock:
            try:
                script(sock)
            except OSError:
                return


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A peer without scripts."""
    peer = Peer()
    yield peer
    peer.close()


class Clock:
    """Real time, or whatever is added to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    """A clock that can be set forward."""
    return Clock()


@pytest.fixture
def connections(peer: Peer, clock: Clock) -> Iterator[Connections]:
    """Connections to the peer."""
    dial, _ = dialler(parse_endpoint(peer.url), True)
    connections = Connections("peer", dial, size=4, clock=clock)
    yield connections
    connections.close()


@pytest.fixture(params=["thread", "loop"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds for a thread that waits, and for an event loop that does not."""
    if request.param == "loop":
        monkeypatch.setitem(globals(), "exchange", exchange_in_loop)


def exchange(connections: Connections, clock: Clock, *, timeout: float = 10, body: bytes = b"body") -> Reply:
    """One request with its answer."""
    return connections.exchange(HEAD, body, deadline=clock() + timeout, connect_timeout=5)


def exchange_in_loop(connections: Connections, clock: Clock, *, timeout: float = 10, body: bytes = b"body") -> Reply:
    """The same with asyncio."""
    return asyncio.run(connections.aexchange(HEAD, body, deadline=clock() + timeout, connect_timeout=5))


def failure(connections: Connections, clock: Clock, **options: Any) -> LascauxError:
    """One request, and the error it ends with."""
    with pytest.raises(LascauxError) as caught:
        exchange(connections, clock, **options)
    return caught.value


def test_connections_are_reused(peer: Peer, connections: Connections, clock: Clock) -> None:
    """Calls one after the other share a connection."""
    peer.scripts = [peer.answer(OK, OK, OK)]
    for _ in range(3):
        assert exchange(connections, clock) == Reply(
            status=200, headers={"content-length": "2"}, body=b"{}", complete=True
        )
    assert (peer.connections, peer.requests, connections.idle) == (1, 3, 1)


def test_a_connection_closed_while_idle_costs_nothing(peer: Peer, connections: Connections, clock: Clock) -> None:
    """If the server hung up in the meantime, the next call takes a new connection and is sent once."""
    hung_up = threading.Event()

    def once(sock: socket.socket) -> None:
        peer.answer(OK, stay=False)(sock)
        sock.shutdown(socket.SHUT_RDWR)
        hung_up.set()

    peer.scripts = [once, peer.answer(OK)]
    exchange(connections, clock)
    assert hung_up.wait(10)
    assert exchange(connections, clock).status == 200
    assert (peer.connections, peer.requests) == (2, 2)


def test_a_connection_that_was_idle_for_long_is_not_used(peer: Peer, connections: Connections, clock: Clock) -> None:
    """After five minutes a NAT may have forgotten it without a word; so have we."""
    peer.scripts = [peer.answer(OK, OK), peer.answer(OK)]
    exchange(connections, clock)
    clock.ahead += 290
    exchange(connections, clock)
    clock.ahead += 301
    exchange(connections, clock)
    assert (peer.connections, peer.requests) == (2, 3)


def test_a_connection_of_the_parent_process_is_not_used(
    peer: Peer, connections: Connections, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fork two processes would talk over one connection; the child takes a new one."""
    peer.scripts = [peer.answer(OK), peer.answer(OK)]
    exchange(connections, clock)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    exchange(connections, clock)
    assert peer.connections == 2


def test_a_reused_connection_that_breaks_is_not_tried_again(peer: Peer, connections: Connections, clock: Clock) -> None:
    """The request had been sent: it may be billed, and nobody sends it again."""
    peer.scripts = [peer.answer(OK, b"", stay=False)]
    exchange(connections, clock)
    error = failure(connections, clock)
    assert type(error) is ConnectionBroken
    assert error.may_be_billed
    assert str(error) == "peer broke the connection before its answer was complete (RemoteDisconnected)"
    assert (peer.connections, peer.requests) == (1, 2)


@pytest.mark.parametrize(
    ("answer", "expected", "message"),
    [
        (b"", ConnectionBroken, "peer broke the connection before its answer was complete (RemoteDisconnected)"),
        (b"SSH-2.0-OpenSSH\r\n", BadResponse, "peer did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, BadResponse, "peer answered with an endless header line"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{}",
            BadResponse,
            "the answer has 999999999999 bytes, more than 268435456",
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\n\r\n" * 21 + OK,
            BadResponse,
            "more than 20 interim answers, and none that is final",
        ),
        (CHUNKED + b"-1\r\nabc\r\n", BadResponse, "the answer comes in chunks of negative size"),
        (CHUNKED + b"-5\r\nabc\r\n", BadResponse, "the answer comes in chunks of negative size"),
    ],
)
def test_answers_that_are_none(
    peer: Peer, connections: Connections, clock: Clock, answer: bytes, expected: type[LascauxError], message: str
) -> None:
    """No answer, no HTTP, no end: an error that may be billed, and the connection is given up."""
    peer.scripts = [peer.answer(answer, stay=False)]
    error = failure(connections, clock)
    assert type(error) is expected
    assert (str(error), error.may_be_billed) == (message, True)
    assert connections.idle == 0


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n9\r\nab", b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", b"{}"),
    ],
)
def test_a_truncated_answer_is_marked(
    peer: Peer, connections: Connections, clock: Clock, answer: bytes, body: bytes
) -> None:
    """What came is kept, with the word that it is not all; the connection is not used again."""
    peer.scripts = [peer.answer(answer, stay=False)]
    reply = exchange(connections, clock)
    assert (reply.body, reply.complete, connections.idle) == (body, False, 0)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (OK, 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 0),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0),
        (OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 0),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 1),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 1),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + OK, 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 99\r\n\r\n{}", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 0),
    ],
)
def test_which_connections_are_kept(
    peer: Peer, connections: Connections, clock: Clock, answer: bytes, kept: int
) -> None:
    """Only those that both sides keep, and never one with bytes left over: they would be the answer to the next call."""
    peer.scripts = [peer.answer(answer)]
    reply = exchange(connections, clock)
    assert (reply.body, reply.complete, connections.idle) == (b"{}", True, kept)


def test_an_answer_that_ends_with_the_connection(peer: Peer, connections: Connections, clock: Clock) -> None:
    """Without a length the end of the connection is the end of the answer."""
    peer.scripts = [peer.answer(b"HTTP/1.1 200 OK\r\n\r\n{}", stay=False)]
    reply = exchange(connections, clock)
    assert (reply.body, reply.complete, connections.idle) == (b"{}", True, 0)


def _drops(text: bytes, peer: Peer) -> Talk:
    """Answers byte by byte, for ever and a day, until the client hangs up."""
    gone = threading.Event()

    def talk(sock: socket.socket) -> None:
        peer.request(sock)
        sock.sendall(text)
        while not gone.wait(0.02):
            sock.sendall(b"x")

    return talk


@pytest.mark.parametrize(
    "text", [b"", b"HTTP/1.1 200 OK\r\nx-slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"]
)
def test_an_answer_in_drops_ends_with_the_attempt(
    peer: Peer, connections: Connections, clock: Clock, text: bytes
) -> None:
    """The timeout is for the whole attempt: bytes that keep coming do not prolong it, in headers or body."""
    peer.scripts = [_drops(text, peer)]
    started = clock()
    error = failure(connections, clock, timeout=0.3)
    assert type(error) is AttemptTimeout
    assert error.may_be_billed
    assert str(error) == "no complete answer from peer within the attempt timeout"
    assert 0.25 < clock() - started < 2
    assert connections.idle == 0


@pytest.mark.parametrize("way", ["thread"], indirect=True)  # an event loop has a clock of its own
def test_silence_after_the_first_bytes(peer: Peer, connections: Connections, clock: Clock) -> None:
    """A server that begins late and then falls silent gets the rest of the time, not all of it once more."""

    def talk(sock: socket.socket) -> None:
        peer.request(sock)
        clock.ahead += 19.8
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        sock.recv(1)

    peer.scripts = [talk]
    started = time.monotonic()
    assert type(failure(connections, clock, timeout=20)) is AttemptTimeout
    assert time.monotonic() - started < 10


def test_a_silent_server(peer: Peer, connections: Connections, clock: Clock) -> None:
    """No answer at all is a timeout that may be billed."""
    peer.scripts = [peer.answer(b"")]
    error = failure(connections, clock, timeout=0.2)
    assert type(error) is AttemptTimeout
    assert error.may_be_billed


def test_a_server_that_does_not_read(peer: Peer, connections: Connections, clock: Clock) -> None:
    """A request that can not be delivered in time was never complete: not billed."""
    done = threading.Event()

    def ignore(sock: socket.socket) -> None:
        done.wait(10)

    peer.scripts = [ignore]
    error = failure(connections, clock, timeout=0.3, body=b"x" * 20_000_000)
    done.set()
    assert type(error) is AttemptTimeout
    assert not error.may_be_billed


def test_a_connection_reset_while_sending(peer: Peer, connections: Connections, clock: Clock) -> None:
    """Half a request makes no picture: broken, but not billed."""

    def reset(sock: socket.socket) -> None:
        sock.recv(10)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    peer.scripts = [reset]
    error = failure(connections, clock, body=b"x" * 20_000_000)
    assert type(error) is ConnectionBroken
    assert not error.may_be_billed
    assert "while the request was being sent" in str(error)


def test_a_large_body_arrives_whole(peer: Peer, connections: Connections, clock: Clock) -> None:
    """A body that is sent in pieces is the same body."""
    body = os.urandom(3_000_000)
    received = bytearray()

    def collect(sock: socket.socket) -> None:
        while len(received) < len(HEAD) + len(body):
            received.extend(sock.recv(65536))
        sock.sendall(OK)

    peer.scripts = [collect]
    assert exchange(connections, clock, body=body).status == 200
    assert bytes(received) == HEAD + body


def test_nobody_listens(clock: Clock) -> None:
    """A refused connection means that nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    dial, _ = dialler(parse_endpoint(f"http://127.0.0.1:{port}"), True)
    error = failure(Connections("peer", dial, size=1, clock=clock), clock)
    assert type(error) is ConnectionFailed
    assert (str(error), error.may_be_billed) == (f"no connection to 127.0.0.1:{port}: Connection refused", False)


def test_a_name_that_nobody_knows(clock: Clock) -> None:
    """An unknown host is named."""
    dial, _ = dialler(parse_endpoint("http://nohost.invalid"), True)
    error = failure(Connections("peer", dial, size=1, clock=clock), clock)
    assert (str(error), error.code) == ("no connection to nohost.invalid:80: the host name is not known", "dns")


def test_no_time_left(peer: Peer, connections: Connections, clock: Clock) -> None:
    """An attempt whose time is over sends nothing."""
    error = failure(connections, clock, timeout=0)
    assert type(error) is AttemptTimeout
    assert (error.may_be_billed, peer.connections) == (False, 0)


def test_idle_connections_are_bounded_and_closed(peer: Peer, clock: Clock) -> None:
    """Of ten calls at once four connections are kept; close() closes them, and later ones at once."""
    everyone = threading.Barrier(10)

    def together(sock: socket.socket) -> None:
        peer.request(sock)
        everyone.wait(10)
        sock.sendall(OK)
        sock.recv(1)

    peer.scripts = [together] * 10 + [peer.answer(OK)]
    dial, _ = dialler(parse_endpoint(peer.url), True)
    connections = Connections("peer", dial, size=4, clock=clock)
    threads = [threading.Thread(target=exchange, args=(connections, clock)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (peer.connections, connections.idle) == (10, 4)
    connections.close()
    assert connections.idle == 0
    assert exchange(connections, clock).status == 200
    assert connections.idle == 0


def test_stale_connections_do_not_wait_for_their_turn(peer: Peer, clock: Clock) -> None:
    """The last used connection is taken first; those behind it are closed when they have been idle for long."""
    everyone = threading.Barrier(3)

    def together(sock: socket.socket) -> None:
        peer.request(sock)
        everyone.wait(10)
        sock.sendall(OK)
        peer.answer(OK, OK)(sock)

    peer.scripts = [together] * 3
    dial, _ = dialler(parse_endpoint(peer.url), True)
    connections = Connections("peer", dial, size=4, clock=clock)
    threads = [threading.Thread(target=exchange, args=(connections, clock)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.ahead += 200
    exchange(connections, clock)
    assert connections.idle == 3
    clock.ahead += 200
    exchange(connections, clock)
    assert (connections.idle, peer.connections) == (1, 3)
    connections.close()


def test_an_interim_answer_is_not_the_answer(peer: Peer, connections: Connections, clock: Clock) -> None:
    """What comes after early hints belongs to the call that was asked, not to the one that takes the connection next."""

    def hint(sock: socket.socket) -> None:
        peer.request(sock)
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
        peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")(sock)

    peer.scripts = [hint]
    assert [exchange(connections, clock).body for _ in range(2)] == [b"first", b"second"]


@pytest.mark.parametrize("status", [101, 204, 304])
def test_an_answer_without_a_body_by_its_status(
    peer: Peer, connections: Connections, clock: Clock, status: int
) -> None:
    """Bedrock has none of them; whatever follows on that connection is nobody's answer."""
    peer.scripts = [peer.answer(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n" % status)]
    reply = exchange(connections, clock)
    assert (reply.status, reply.body, connections.idle) == (status, b"", 0)


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 3000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n2dc6c0\r\n", b"\r\n"],
)
def test_of_a_long_failure_the_beginning_is_read(
    peer: Peer, connections: Connections, clock: Clock, framing: bytes
) -> None:
    """What is not 200 holds a message: one mebibyte of it will do."""
    peer.scripts = [peer.answer(b"HTTP/1.1 500 Oh\r\n" + framing + b"x" * 3_000_000, stay=False)]
    reply = exchange(connections, clock)
    assert (reply.status, len(reply.body), reply.complete, connections.idle) == (500, 1 << 20, False, 0)


def test_what_is_beside_the_body_is_bounded_too(
    peer: Peer, connections: Connections, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trailers without end are no way around the largest answer."""
    monkeypatch.setattr(module, "MAX_ANSWER", 50_000)
    monkeypatch.setattr(module, "MAX_HEADS", 50_000)
    peer.scripts = [peer.answer(CHUNKED + b"0\r\n" + b"x: y\r\n" * 100_000, stay=False)]
    error = failure(connections, clock)
    assert (type(error), str(error)) == (BadResponse, "the answer has more than 50000 bytes")


def test_header_values_are_one_line(peer: Peer, connections: Connections, clock: Clock) -> None:
    """A folded header does not carry its line break any further."""
    peer.scripts = [peer.answer(b"HTTP/1.1 200 OK\r\nx-a: b\r\n evil:  c\r\nContent-Length: 2\r\n\r\n{}")]
    assert exchange(connections, clock).headers["x-a"] == "b evil: c"


def test_a_connection_that_comes_too_late(peer: Peer, clock: Clock) -> None:
    """Whoever dials may hang in a name server: the attempt ends in time, and the late connection is closed."""
    go_on, gone = threading.Event(), threading.Event()
    inner, _ = dialler(parse_endpoint(peer.url), True)

    def dial(timeout: float) -> Line:
        assert go_on.wait(10)
        return inner(timeout)

    def watch(sock: socket.socket) -> None:
        if not sock.recv(1):
            gone.set()

    peer.scripts = [watch]
    connections = Connections("peer", dial, size=4, clock=clock)
    started = time.monotonic()
    error = failure(connections, clock, timeout=0.2)
    assert time.monotonic() - started < 2
    assert (type(error), error.code, error.may_be_billed) == (ConnectionFailed, "connect_timeout", False)
    assert str(error) == "no connection to peer: no connection within 0.2 s"
    go_on.set()
    assert gone.wait(10)
    assert (connections.idle, peer.requests) == (0, 0)
