"""One request and its answer, as an ASGI application has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Scope

from .flow import Flow
from .http1 import Framed, Head, write_head

__all__ = ["PARTING", "Exchange", "Parting"]

log = logging.getLogger("uvicorn.error")

PARTING = "lascaux.parting"
"""In the state of a request: its `Parting`. Other servers have none, there one has to wait for their message."""

_JOINED = 64 * 1024
"""Bytes of a body that are copied to go out with its head: two writes for a small answer would wake the client twice."""
_HELD = 64 * 1024
"""Bytes of a request's body that nobody has asked for, above which no more is read."""
_FAILED = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21"), (b"connection", b"close")]


class Parting:
    """Whether the client has gone before it had its answer, for one who wants to be told."""

    __slots__ = ("gone", "told")

    def __init__(self) -> None:
        self.gone = False
        self.told: Callable[[], None] | None = None


class Exchange:
    """For one event loop. ``defaults`` are headers of every answer; ``answered`` is called when the answer is complete."""

    def __init__(
        self,
        flow: Flow,
        head: Head,
        scope: Scope,
        defaults: Sequence[tuple[bytes, bytes]],
        answered: Callable[[], None],
    ) -> None:
        self.head = head
        self.scope = scope
        self.close = False
        """The connection ends with this answer. True from the beginning of the answer at the latest."""
        self.complete = False
        self._flow = flow
        self._defaults = defaults
        self._answered = answered
        self._parting = scope["state"][PARTING] = Parting()
        self._framed: Framed | None = None
        self._due: bytes = b""
        self._left = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._expects = head.expects and not head.body.over
        self._news = asyncio.Event()
        if head.body.over:
            self._news.set()

    @property
    def begun(self) -> bool:
        """Is there an answer, complete or not?"""
        return self._framed is not None

    def put(self, pieces: list[bytes]) -> None:
        """What has come of the body."""
        if self.complete:
            return
        self._expects = False
        self._pieces += pieces
        self._size += sum(map(len, pieces))
        if self._size > _HELD:
            self._flow.hold()
        self._news.set()

    def leave(self) -> None:
        """The client has gone, or is heard no more."""
        self._news.set()
        if not self.complete and not self._parting.gone:
            self._parting.gone = True
            if self._parting.told is not None:
                self._parting.told()

    async def run(self, app: ASGIApp) -> None:
        """Have it answered. What fails is told in the log, and ends the connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:
            log.error("Exception in ASGI application\n", exc_info=error)
            await self._fail()
        else:
            if not self.complete and not self._parting.gone:
                log.error("ASGI callable returned without completing response.")
                await self._fail()

    async def _fail(self) -> None:
        if self._framed is not None:
            self._flow.close()
            return
        await self.send({"type": "http.response.start", "status": 500, "headers": _FAILED})
        await self.send({"type": "http.response.body", "body": b"Internal Server Error"})

    async def receive(self) -> Message:
        """A piece of the body; that the client has gone, or has its answer."""
        if self._expects:
            self._expects = False
            self._flow.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._parting.gone and not self.complete:
            self._flow.read_on()
            await self._news.wait()
            self._news.clear()
        if self._parting.gone or self.complete:
            return {"type": "http.disconnect"}
        pieces, self._pieces, self._size = self._pieces, [], 0
        if self.head.body.over:
            self._flow.read_on()  # or nobody would notice that the client goes
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return {"type": "http.request", "body": body, "more_body": not self.head.body.over}

    async def send(self, message: Message) -> None:
        """A part of the answer. Its head goes out with the first part of its body. Raises RuntimeError, ValueError."""
        await self._flow.writable()
        if self._parting.gone:
            return
        kind = message["type"]
        if self._framed is None and kind == "http.response.start":
            self._expects = False
            headers = [*self._defaults, *message.get("headers", ())]
            self._framed = write_head(message["status"], headers, self.head, close=self.close)
            self._due, self._left = self._framed.data, self._framed.length or 0
            self.close = self._framed.close
        elif self._framed is not None and kind == "http.response.body" and not self.complete:
            self._write(self._framed, message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"an answer can not go on with {kind!r} here")

    def _write(self, framed: Framed, body: bytes | memoryview, more: bool) -> None:
        if self.head.method == "HEAD":
            body = b""
            self._left = 0
        elif framed.chunked:
            body = (b"%x\r\n" % len(body) + body + b"\r\n" if body else b"") + (b"" if more else b"0\r\n\r\n")
        elif framed.length is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body of the answer does not have the length that was told")
        if self._due and len(body) <= _JOINED:
            body, self._due = self._due + body, b""
        elif self._due:
            self._flow.write(self._due)
            self._due = b""
        self._flow.write(body)
        if not more:
            self.complete = True
            self._news.set()
            self._answered()
