"""Connections of strangers: who sends no request is not waited for, and there are never more than can be served."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from .exchanges import Exchange
from .flow import Flow
from .http1 import NOBODY, Malformed, head_end, read_head, write_head
from .spread import VIEWS

__all__ = ["PatientProtocol", "QuietRepeats", "protocol", "raise_descriptors"]

log = logging.getLogger("uvicorn.error")

_ASGI = {"version": "3.0", "spec_version": "2.3"}
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
}
"""What begins so in the log, where strangers can have it written as often as they like, and what is said of it."""


def _plainly(path: str) -> Response:
    return Response("what came is no HTTP request", 400, media_type="text/plain")


class PatientProtocol(asyncio.Protocol):
    """HTTP/1.1 that closes a connection whose request head is not complete in time, and one that is too many.

    So it does with one whose body still comes a while after it was answered, with one that takes nothing of its answer, and
    with one that is idle between requests (``timeout_keep_alive`` of the configuration). One request is under way at a time:
    of others that have been sent already nothing is looked at before it has its answer. Runs in `uvicorn.Server`.
    """

    head_timeout = _HEAD
    stall_timeout = _STALL
    most = _MOST
    refusal: Callable[[str], Response] = staticmethod(_plainly)
    """The answer to what is no HTTP, at an address, or at the empty one where it can not be told."""

    transport: asyncio.Transport
    _flow: Flow

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self._app: ASGIApp = config.loaded_app
        self._idle_timeout = config.timeout_keep_alive
        self._state = {**app_state, VIEWS: True}
        self._server = server_state
        self._connections: set[Any] = server_state.connections
        self._context = copy_context()  # tasks may begin in that of the request before
        self._place: dict[str, Any] = {}
        self._input = b""
        self._seen = 0
        """Bytes of the input in which no head ends."""
        self._exchange: Exchange | None = None
        self._waits: asyncio.TimerHandle | None = None
        self._idles: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, or refuse who is too many."""
        self.transport = transport
        self._flow = Flow(transport, self.loop, self.stall_timeout)
        self._connections.add(self)
        if len(self._connections) > self.most:
            transport.abort()
            return
        self._place = {
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "scheme": "https" if is_ssl(transport) else "http",
        }
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._connections.discard(self)
        self._rest()
        self._busy()
        self._flow.resume()
        if self._exchange is not None:
            self._exchange.leave()
            self._exchange = None

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._flow.pause()

    def resume_writing(self) -> None:
        """It has taken something."""
        self._flow.resume()

    def shutdown(self) -> None:
        """Let the request under way be the last one."""
        if self._exchange is None or self._exchange.complete:
            self._flow.close()
        else:
            self._exchange.close = True

    def data_received(self, data: bytes) -> None:
        """Read on; whoever has begun a head must also end it."""
        self._input = self._input + data if self._input else data
        self._read()

    def _read(self) -> None:
        self._busy()
        try:
            while self._step():
                pass
        except Malformed:
            log.warning("Invalid HTTP request received.")
            self._refuse()
            return
        self._look()

    def _step(self) -> bool:
        """Take what is next of the input. Is there more to do?"""
        exchange = self._exchange
        if exchange is None:
            return bool(self._input) and self._begin()
        body = exchange.head.body
        if not body.over:
            pieces, self._input = body.take(self._input)
            if pieces or body.over:
                exchange.put(pieces)
            if not body.over:
                return False
        if not exchange.complete:
            if self._input:
                self._flow.full = True
                self._flow.hold()
            return False
        self._exchange = None
        return True

    def _begin(self) -> bool:
        """Take a request from the input, if its head is there."""
        end = head_end(self._input, self._seen)
        if end is None:
            self._seen = len(self._input)
            return False
        head = read_head(self._input[:end])
        self._input, self._seen = self._input[end:], 0
        if head.upgrade:
            log.warning("Unsupported upgrade request.")
        path, _, query = head.target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": head.version,
            "method": head.method,
            "root_path": "",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
            "state": self._state.copy(),
            **self._place,
        }
        self._exchange = Exchange(self._flow, head, scope, self._server.default_headers, self._answered)
        task = self.loop.create_task(self._exchange.run(self._app), context=self._context.copy())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)
        return True

    def _answered(self) -> None:
        """Go on with the next request, which may have come in the meantime."""
        exchange = self._exchange
        assert exchange is not None
        self._server.total_requests += 1
        if exchange.close:
            self._flow.close()
        if not self._flow.closing:
            self._flow.full = False
            self._flow.read_on()
            self._read()

    def _refuse(self) -> None:
        """Answer what is no HTTP in the envelope of its address, and hear no more.

        A request whose body turns out to be none ends here: what waits for the rest of it must not answer, too. What is
        being answered already is cut off, for a client that sends such things would not find the end of it.
        """
        exchange = self._exchange
        if exchange is None:
            self._tell(_line(self._input[:_LINE]))
        elif not exchange.begun:
            self._tell(exchange.scope)
        if exchange is not None:
            exchange.leave()
        self._flow.close()

    def _tell(self, asked: Mapping[str, Any]) -> None:
        response = self.refusal(asked["path"])
        head = write_head(response.status_code, response.raw_headers, NOBODY, close=True).data
        self._flow.write(head if asked["method"] == "HEAD" else head + response.body)

    def _look(self) -> None:
        """See what is waited for now: a head, the rest of a body that was answered, another request, or nothing."""
        if self._flow.closing or (self._exchange is not None and not self._exchange.complete):
            self._rest()
        elif self._exchange is not None or self._input:
            self._wait()
        else:
            self._rest()
            self._idles = self.loop.call_later(self._idle_timeout, self._flow.close)

    def _wait(self) -> None:
        if self._waits is None:
            self._waits = self.loop.call_later(self.head_timeout, self._flow.abort)

    def _rest(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _busy(self) -> None:
        if self._idles is not None:
            self._idles.cancel()
            self._idles = None


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
