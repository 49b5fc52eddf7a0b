"""A wire between a client and the gateway: it counts what is sent, and can break."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from urllib.parse import urlsplit

__all__ = ["Wire"]

_HEAD = re.compile(rb"(?:GET|POST) (/[^ ]*) HTTP/1\.1\r\n")
_LONGEST_HEAD = 300


class Wire:
    """Relays connections to ``url``, byte for byte; use it in a ``with`` statement.

    It knows nothing of HTTP but the first line of a request, so what it counts is what was sent, whichever client it was.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._behind = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.paths: list[str] = []
        """The address of every request that was sent, the oldest first."""
        self.cut: int | None = None
        """After its head and so many bytes the next answer breaks off, once; with 0 before its first byte."""

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for one in left:
            _shut(one)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._behind) as gateway:
            for one in (client, gateway):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, gateway}
            back = threading.Thread(target=self._answer, args=(gateway, client), daemon=True)
            back.start()
            self._ask(client, gateway)
            back.join()
            with self._lock:
                self._open -= {client, gateway}

    def _ask(self, client: socket.socket, gateway: socket.socket) -> None:
        seen = b""
        with contextlib.suppress(OSError):
            while chunk := client.recv(1 << 16):
                seen += chunk
                for head in _HEAD.finditer(seen):
                    self.paths.append(head[1].decode())
                last = max((head.end() for head in _HEAD.finditer(seen)), default=0)
                seen = seen[max(last, len(seen) - _LONGEST_HEAD) :]
                gateway.sendall(chunk)
        _shut(gateway)

    def _answer(self, gateway: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := gateway.recv(1 << 16):
                with self._lock:
                    cut, self.cut = self.cut, None
                if cut is not None:
                    client.sendall(_begun(chunk, cut, gateway))
                    break
                client.sendall(chunk)
        _shut(client)
        _shut(gateway)


def _begun(chunk: bytes, cut: int, gateway: socket.socket) -> bytes:
    """The head of an answer and the first ``cut`` bytes after it; nothing at all of none."""
    while cut and len(chunk.partition(b"\r\n\r\n")[2]) < cut and (more := gateway.recv(1 << 16)):
        chunk += more
    head, end, body = chunk.partition(b"\r\n\r\n")
    return head + end + body[:cut] if cut else b""


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
