"""Connections of strangers: who sends no request is not waited for, and there are never more than can be served."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import h11
import uvicorn
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .spread import VIEWS

__all__ = ["PatientProtocol", "QuietRepeats", "protocol", "raise_descriptors"]

_HEAD = 15.0
"""Seconds from the first moment of a connection, or the first byte of a later request, to the end of its head."""
_STALL = 60.0
"""Seconds in which a client must take something of an answer for which the buffers of connection and system are full."""
_SHARE = 0.5
"""Of the descriptors, for connections of clients. The rest is for calls to AWS, files and the event loop."""
_MOST = 1 << 20
_LINE = 4096
"""Bytes of a request's first line that are looked at to word a refusal."""
_TOLD: Mapping[str, str] = {
    "socket.accept() out of system resource": "no descriptor is left to accept a connection with",
    "Invalid HTTP request received.": "somebody sent what is no HTTP",
    "Unsupported upgrade request.": "somebody asked for another protocol, and was answered in HTTP/1.1",
    "No supported WebSocket library detected.": "somebody asked for another protocol, and was answered in HTTP/1.1",
}
"""What begins so in the log, where strangers can have it written as often as they like, and what is said of it."""


def _plainly(path: str) -> Response:
    return Response("what came is no HTTP request", 400, media_type="text/plain")


class _Sparing(h11.Connection):
    """h11's connection, which lets the head of an answer go out with the first of its body, and copies no view.

    Two writes for a small answer are two calls of the system, and wake the client twice.
    """

    _head = b""

    def send(self, event: h11.Event) -> Any:
        """What is to be written: bytes, or a view that is part of a body. None where the connection ends."""
        parts = self.send_with_data_passthrough(event)
        if parts is None:
            return None
        if type(event) is h11.Response:
            self._head = b"".join(parts)
            return b""
        if self._head:
            parts.insert(0, self._head)
            self._head = b""
        return parts[0] if len(parts) == 1 else b"".join(parts)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request head is not complete in time, and one that is too many.

    So it does with one whose body still comes a while after it was answered, and with one that takes nothing of its answer.
    An idle connection between requests is closed by uvicorn (``timeout_keep_alive``).
    """

    head_timeout = _HEAD
    stall_timeout = _STALL
    most = _MOST
    refusal: Callable[[str], Response] = staticmethod(_plainly)
    """The answer to what is no HTTP, at an address, or at the empty one where it can not be told."""
    _begun = b""
    _waits: asyncio.TimerHandle | None = None
    _stalls: asyncio.TimerHandle | None = None

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], **more: Any
    ) -> None:
        super().__init__(config, server_state, {**app_state, VIEWS: True}, **more)
        most = config.h11_max_incomplete_event_size
        self.conn = _Sparing(h11.SERVER) if most is None else _Sparing(h11.SERVER, most)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, or refuse who is too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on; whoever has begun a head must also end it."""
        if self.conn.their_state is h11.IDLE:
            self._begun = (bytes(self.conn.trailing_data[0]) + data[:_LINE])[:_LINE]
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """The next request may have begun in the meantime."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._rest()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not keep up."""
        super().pause_writing()
        self._stall()

    def resume_writing(self) -> None:
        """It has taken something."""
        self._taken()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """What is left of an answer is not waited for without end."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self._stall()

    def _stall(self) -> None:
        if self._stalls is None:
            self._stalls = self.loop.call_later(self.stall_timeout, self.transport.abort)

    def _taken(self) -> None:
        if self._stalls is not None:
            self._stalls.cancel()
            self._stalls = None

    @property
    def _owes_body(self) -> bool:
        """It has its answer, and still sends what it was answered to."""
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the envelope of its address, and hear no more.

        A request whose body turns out to be none ends here: what waits for the rest of it must not answer, too. What is
        being answered already is cut off, for a client that sends such things would not find the end of it.
        """
        cycle = self.cycle
        under_way = cycle is not None and not cycle.response_complete
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(self.scope if under_way else _line(self._begun))
        if under_way:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _refuse(self, scope: Mapping[str, Any]) -> None:
        response = self.refusal(scope["path"])
        head = h11.Response(
            status_code=response.status_code,
            headers=[*response.raw_headers, (b"connection", b"close")],
            reason=HTTPStatus(response.status_code).phrase.encode(),
        )
        self.transport.write(self.conn.send(head) or b"")
        if scope["method"] != "HEAD":
            self.transport.write(self.conn.send(h11.Data(data=bytes(response.body))) or b"")
        self.transport.write(self.conn.send(h11.EndOfMessage()) or b"")

    def _look(self) -> None:
        begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if (begun or self._owes_body) and not self.transport.is_closing():
            self._wait()
        elif self.conn.their_state is not h11.IDLE:
            self._rest()

    def _wait(self) -> None:
        if self._waits is None:
            self._waits = self.loop.call_later(self.head_timeout, self._give_up)

    def _rest(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _give_up(self) -> None:
        self._waits = None
        if (self.conn.their_state is h11.IDLE or self._owes_body) and not self.transport.is_closing():
            self.transport.abort()


def _line(head: bytes) -> dict[str, str]:
    """Path and method, as far as the first line of a head that could not be read tells them."""
    words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    path = words[1] if len(words) == 3 and words[1].startswith("/") else ""
    return {"method": words[0], "path": unquote(path.partition("?")[0])}


def protocol(descriptors: int, refusal: Callable[[str], Response] = _plainly) -> type[PatientProtocol]:
    """The protocol for a process that may have so many descriptors. ``refusal`` answers what is no HTTP, by its path."""
    most = max(1, min(_MOST, int(descriptors * _SHARE)))
    return type("Protocol", (PatientProtocol,), {"most": most, "refusal": staticmethod(refusal)})


def raise_descriptors() -> int:
    """Let the process have as many descriptors as it may, and say how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, _MOST)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (OSError, ValueError):  # a system may allow less than it says
        return soft if soft != resource.RLIM_INFINITY else _MOST
    return hard


class QuietRepeats(logging.Filter):
    """Of what strangers can have written into the log, one of a kind in ``seconds`` is told, without its traceback.

    For the loggers ``asyncio`` and ``uvicorn.error``. ``clock`` gives seconds.
    """

    def __init__(self, clock: Callable[[], float], seconds: float = 60.0) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Is it told?"""
        message = record.getMessage()
        told = next((words for start, words in _TOLD.items() if start in message), None)
        if told is None:
            return True
        now = self._clock()
        if now < self._next.get(told, now):
            return False
        self._next[told] = now + self._seconds
        record.msg, record.args, record.exc_info = told, (), None
        return True
