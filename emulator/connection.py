"""HTTP/1.1 over sockets: reading requests, delivering replies (also the broken ones), and the listener that owns both."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from email.utils import formatdate
from io import BufferedReader

from .bedrock import BODY_MAX_BYTES, Reply
from .request import Answer, Request

__all__ = ["Listener"]

_LINE_MAX = 65_536
_HEADERS_MAX = 200
_DRAIN_MAX = 4 * BODY_MAX_BYTES
_CHUNK = 262_144
_TRICKLE_STEPS = 20

Respond = Callable[[Request, bool], Reply]


class _Refused(Exception):
    """A request that can not be read as HTTP; carries the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(status=status, body=message.encode(), content_type="text/plain")


class Listener:
    """Accepts connections and serves each in a thread of its own, until closed."""

    def __init__(self, host: str, port: int, respond: Respond, tls: ssl.SSLContext | None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=2048)
        self.port: int = self._socket.getsockname()[1]
        self._family = family
        self._respond = respond
        self._tls = tls
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._acceptor = threading.Thread(target=self._accept, name=f"emulator-{self.port}", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Stop accepting, end every connection, and wait for the threads."""
        self._stopped.set()
        loopback = "::1" if self._family == socket.AF_INET6 else "127.0.0.1"
        with contextlib.suppress(OSError):
            socket.create_connection((loopback, self.port), timeout=1).close()
        self._acceptor.join(timeout=5)
        self._socket.close()
        with self._lock:
            alive = dict(self._open)
        for connection in alive.values():
            _hang_up(connection)
        for thread in alive:
            thread.join(timeout=5)

    def _accept(self) -> None:
        # The timeout is for listeners that the waking connection can not reach.
        self._socket.settimeout(0.5)
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._stopped.wait(0.05):
                    return
                continue
            if self._stopped.is_set():
                connection.close()
                return
            connection.settimeout(None)
            thread = threading.Thread(target=self._serve, args=(connection,), name="emulator-connection", daemon=True)
            with self._lock:
                self._open[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        """One connection from its first byte to its last."""
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open[threading.current_thread()] = connection
            with connection.makefile("rb") as reader:
                while not self._stopped.is_set() and self._exchange(connection, reader):
                    pass
        except OSError:
            pass  # the peer, or our own close(), ended the connection
        finally:
            _hang_up(connection)
            connection.close()
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _exchange(self, connection: socket.socket, reader: BufferedReader) -> bool:
        """One request and its reply. False when the connection is over."""
        try:
            request = _read(connection, reader)
        except _Refused as refused:
            connection.sendall(refused.answer.head(date=formatdate(usegmt=True), close=True) + refused.answer.body)
            return False
        if request is None:
            return False
        reply = self._respond(request, self._tls is not None)
        if reply.kind == "black_hole":
            connection.recv(1)  # returns when the caller gives up or the emulator stops
            return False
        if reply.delay > 0 and self._stopped.wait(reply.delay):
            return False
        return self._deliver(connection, request, reply)

    def _deliver(self, connection: socket.socket, request: Request, reply: Reply) -> bool:
        if reply.kind == "drop":
            return False
        answer = reply.answer
        close = reply.close or reply.kind == "truncate" or not request.keep_alive
        head, body = answer.head(date=formatdate(usegmt=True), close=close), answer.body
        if reply.kind == "truncate":
            connection.sendall(head + body[: len(body) // 2])
        elif reply.trickle > 0:
            connection.sendall(head)
            step = max(1, -(-len(body) // _TRICKLE_STEPS))
            for start in range(0, len(body), step):
                if self._stopped.wait(reply.trickle / _TRICKLE_STEPS):
                    return False
                connection.sendall(body[start : start + step])
        else:
            connection.sendall(head + body)
        return not close


def _read(connection: socket.socket, reader: BufferedReader) -> Request | None:
    """The next request of a connection, or None at its end. Raises _Refused for what is not HTTP/1.1 with a plain body."""
    line = reader.readline(_LINE_MAX)
    while line in (b"\r\n", b"\n"):
        line = reader.readline(_LINE_MAX)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _Refused(400, "not an HTTP/1.1 request")
    headers = _headers(reader)
    values = dict(headers)
    if "chunked" in values.get("transfer-encoding", "").lower():
        raise _Refused(411, "a Content-Length is required")
    length_text = values.get("content-length", "0")
    if not length_text.isascii() or not length_text.isdigit():
        raise _Refused(400, "bad Content-Length")
    length = int(length_text)
    if length and values.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    path, _, query = parts[1].partition("?")
    if path.startswith(("http://", "https://")):
        path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
    wanted = values.get("connection", "").lower()
    return Request(
        method=parts[0],
        path=path,
        query=query,
        headers=headers,
        body=_body(reader, length),
        body_length=length,
        keep_alive=wanted != "close" and (parts[2] != "HTTP/1.0" or wanted == "keep-alive"),
    )


def _headers(reader: BufferedReader) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    while (line := reader.readline(_LINE_MAX)) not in (b"\r\n", b"\n", b""):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(headers) >= _HEADERS_MAX or len(line) >= _LINE_MAX:
            raise _Refused(431 if colon else 400, "bad header")
        headers.append((name.strip().lower(), value.strip()))
    return headers


def _body(reader: BufferedReader, length: int) -> bytes:
    """The body; empty when it is longer than allowed (it is read and dropped, so that the caller gets to see the answer)."""
    if length <= BODY_MAX_BYTES:
        body = reader.read(length)
        if len(body) < length:
            raise OSError("the connection ended inside a body")
        return body
    left = min(length, _DRAIN_MAX)
    while left > 0 and (piece := reader.read(min(left, _CHUNK))):
        left -= len(piece)
    return b""


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
