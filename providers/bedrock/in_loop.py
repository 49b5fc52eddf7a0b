"""One request and its answer over a connection that an event loop watches: no thread waits for either.

Only what an ordinary exchange needs is here. An answer whose head is out of the ordinary is not judged: what came of it is
given back, for the full parser to go on with.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from .desk import desk_of
from .heads import Head, plain_head
from .waiting import Late, begin

__all__ = ["Odd", "awaited", "converse", "deliver"]

T = TypeVar("T")

_FIRST = 64 * 1024
"""Bytes that are read before it is known how long the answer is."""
_TURN = 1024 * 1024
"""Bytes that are read before others get their turn."""


class Odd(Exception):
    """The head is not an ordinary one; ``data`` is all that was read. Not an error."""

    def __init__(self, data: bytes) -> None:
        super().__init__("an answer for the full parser")
        self.data = data


async def deliver(sock: Any, pieces: Iterable[bytes | memoryview], seconds: float) -> None:
    """Write all pieces within so many seconds. Raises TimeoutError, or OSError for a connection that is cut."""
    sock.settimeout(0.0)
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    for piece in pieces:
        view = memoryview(piece)
        while True:
            try:
                view = view[sock.send(view) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                await _ready(loop.add_writer, loop.remove_writer, sock, until - loop.time())
            except ssl.SSLWantReadError:  # TLS has to hear something first
                await _ready(loop.add_reader, loop.remove_reader, sock, until - loop.time())
            if not view:
                break


async def _ready(watch: Callable[..., Any], forget: Callable[[int], Any], sock: Any, seconds: float) -> None:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    number = sock.fileno()
    watch(number, _settle, waiter)
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await waiter
    finally:
        forget(number)


async def awaited(seconds: float, work: Callable[[], T], *, late: Callable[[T], Any] | None = None) -> T:
    """`lascaux.providers.bedrock.waiting.within` for an event loop, which goes on in the meantime."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop may be closed
            loop.call_soon_threadsafe(_settle, ended)

    outcome = begin(work, late=late)
    outcome.add_done_callback(tell)
    try:
        await asyncio.wait({ended}, timeout=max(seconds, 0.0))
    except BaseException:
        if not outcome.cancel() and late is not None and outcome.exception() is None:
            late(outcome.result())
        raise
    if outcome.cancel():
        raise Late
    return outcome.result()


async def converse(sock: Any, seconds: float, *, longest: int, longest_fault: int) -> tuple[Head, bytes, bool]:
    """Read an answer within so many seconds: head, body, and whether nothing came behind it.

    The body is shorter than promised if the connection ended. One of more bytes than ``longest`` (``longest_fault`` if the
    status is not 200) is left to the full parser. Raises Odd, TimeoutError, or OSError for a connection that broke.
    """
    sock.settimeout(0.0)
    loop = asyncio.get_running_loop()
    answer = _Answer(loop, sock, longest, longest_fault)
    answer.watch()
    timer = loop.call_later(max(seconds, 0.0), answer.expire)
    try:
        return await answer.done
    finally:
        timer.cancel()
        answer.leave()


class _Answer:
    """What has come so far. ``done`` holds the outcome."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: Any, longest: int, longest_fault: int) -> None:
        self.done: asyncio.Future[tuple[Head, bytes, bool]] = loop.create_future()
        self._loop = loop
        self._desk = desk_of(loop)
        self._sock = sock
        self._number = sock.fileno()
        self._sealed = isinstance(sock, ssl.SSLSocket)
        self._longest = longest
        self._longest_fault = longest_fault
        self._first = b""
        self._head: Head | None = None
        self._buffer = io.BytesIO()
        self._view: memoryview | None = None
        self._got = 0
        self.size = 0
        """Bytes of a body that did not come with its head."""
        self.idle_since = 0.0
        """On the loop's clock."""

    def expire(self) -> None:
        """The time is over."""
        self._fail(TimeoutError())

    def watch(self) -> None:
        """Read whenever there is something to read."""
        self._loop.add_reader(self._number, self.read)

    def leave(self) -> None:
        """Whoever waited has the outcome, or waits no longer."""
        self._loop.remove_reader(self._number)
        self._release()
        if self.size and not self._loop.is_closed():
            self._loop.call_soon(self._desk.rise, self)  # once it was looked at

    def read_on(self) -> bool:
        """There is a seat now. Does anybody still want it?"""
        if self.done.done():
            return False
        self.watch()
        self._loop.call_soon(self.read)
        return True

    def read(self) -> None:
        """There is something to read, or the connection has ended."""
        if self.done.done():
            return
        try:
            if self._head is None:
                self._read_first()
            if self.size:
                self._read_body()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except Exception as error:  # also of what can not be held: nobody else would hear of it
            self._fail(error)

    def _read_first(self) -> None:
        data = self._sock.recv(_FIRST)
        self._first = first = self._first + data if self._first else data
        head = plain_head(first)
        if head is None:
            if data and len(first) < _FIRST and b"\r\n\r\n" not in first:
                return
            raise Odd(first)
        if head.length > (self._longest if head.status == 200 else self._longest_fault):
            raise Odd(first)
        self._head = head
        came = len(first) - head.size
        if came >= head.length:
            self._end(first[head.size : head.size + head.length], clean=came == head.length)
            return
        self._first, self._got, self.size = first[head.size :], came, head.length
        if not self._desk.seat(self, self._loop):
            self._loop.remove_reader(self._number)
            raise BlockingIOError

    def _read_body(self) -> None:
        if self._view is None:
            # The bytes of a BytesIO are taken out without a copy.
            self._buffer = io.BytesIO(bytes(self.size))
            self._view = self._buffer.getbuffer()
            self._view[: self._got], self._first = self._first, b""
        self.idle_since = self._loop.time()
        most = self._got + _TURN
        while self._got < self.size:
            room = self.size - self._got
            count = self._sock.recv_into(self._view[self._got :])
            self._got += count
            if not count or self._got >= self.size:
                break
            if not self._sealed:
                if count < room:
                    return
            elif self._got > most:
                # What the TLS layer has decrypted already, the event loop does not see.
                self._loop.call_soon(self.read)
                return
        self._release()
        body = self._buffer.getvalue()
        self._end(body if self._got == self.size else body[: self._got], clean=True)

    def _release(self) -> None:
        """A view of the buffer stands in its way."""
        if self._view is not None:
            self._view.release()
            self._view = None

    def _end(self, body: bytes, *, clean: bool) -> None:
        assert self._head is not None
        more = self._sealed and self._sock.pending()
        self.done.set_result((self._head, body, clean and not more))

    def _fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
