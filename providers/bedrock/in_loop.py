"""One request and its answer over a connection that an event loop watches: no thread waits for either.

Only what an ordinary exchange needs is here. An answer whose head is out of the ordinary is not judged: what came of it is
given back, for the full parser to go on with.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from .heads import Head, plain_head
from .waiting import Late, begin

__all__ = ["Odd", "awaited", "converse", "deliver"]

T = TypeVar("T")

_FIRST = 64 * 1024
"""Bytes that are read before it is known how long the answer is."""
_TURN = 1024 * 1024
"""Bytes that are read before others get their turn."""
_AT_ONCE = 8 * 1024 * 1024
"""Bytes of bodies that are whole and were not taken yet; then no other is read on. A larger one is read alone."""


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
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                await _writable(loop, sock, until - loop.time())
            if not view:
                break


async def _writable(loop: asyncio.AbstractEventLoop, sock: Any, seconds: float) -> None:
    waiter: asyncio.Future[None] = loop.create_future()
    number = sock.fileno()
    loop.add_writer(number, _settle, waiter)
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await waiter
    finally:
        loop.remove_writer(number)


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


class _Desk:
    """Bodies on their way from an event loop's sockets to who asked for them.

    A loop hears of all sockets at once that have something to read. Were all of it read, then all of it would be in memory
    before the first of them is looked at; so what is whole has to be taken before others are read on. Until then it stays
    where it is, and the sender waits.
    """

    def __init__(self) -> None:
        self._held = 0
        self._waiting: deque[_Answer] = deque()

    def may_read(self, answer: _Answer) -> bool:
        """If not, it is told once it may."""
        if self._held < _AT_ONCE:
            return True
        self._waiting.append(answer)
        return False

    def hold(self, size: int) -> None:
        """A body is whole."""
        self._held += size

    def give(self, size: int) -> None:
        """It was taken."""
        self._held -= size
        while self._waiting and self._held < _AT_ONCE:
            self._waiting.popleft().read_on()


_desks: WeakKeyDictionary[asyncio.AbstractEventLoop, _Desk] = WeakKeyDictionary()


class _Answer:
    """What has come so far. ``done`` holds the outcome."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: Any, longest: int, longest_fault: int) -> None:
        self.done: asyncio.Future[tuple[Head, bytes, bool]] = loop.create_future()
        self._loop = loop
        self._desk = _desks.get(loop) or _desks.setdefault(loop, _Desk())
        self._held = 0
        self._sock = sock
        self._number = sock.fileno()
        self._sealed = isinstance(sock, ssl.SSLSocket)
        self._longest = longest
        self._longest_fault = longest_fault
        self._first = b""
        self._head: Head | None = None
        self._buffer: io.BytesIO | None = None
        self._view: memoryview | None = None
        self._got = 0

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
        if self._held and not self._loop.is_closed():
            self._loop.call_soon(self._desk.give, self._held)  # once it was looked at

    def read_on(self) -> None:
        """Others were in the way, and are no more."""
        if self.done.done():
            return
        self.watch()
        self._loop.call_soon(self.read)

    def read(self) -> None:
        """There is something to read, or the connection has ended."""
        if self.done.done():
            return
        try:
            if self._head is None:
                self._read_first()
            if self._head is not None and not self.done.done():
                self._read_body(self._head.length)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (Odd, OSError) as error:
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
        # The bytes of a BytesIO are taken out without a copy, and its pages are touched only when they are filled.
        self._buffer = io.BytesIO(bytes(head.length))
        self._view = self._buffer.getbuffer()
        self._view[:came] = first[head.size :]
        self._got, self._first = came, b""

    def _read_body(self, length: int) -> None:
        view = self._view
        assert view is not None
        if not self._desk.may_read(self):
            self._loop.remove_reader(self._number)
            return
        most = self._got + _TURN
        while self._got < length:
            room = length - self._got
            count = self._sock.recv_into(view[self._got :])
            self._got += count
            if not count or self._got >= length:
                break
            if not self._sealed:
                if count < room:
                    return
            elif self._got > most:
                # What the TLS layer has decrypted already, the event loop does not see.
                self._loop.call_soon(self.read)
                return
        self._release()
        assert self._buffer is not None
        self._held = self._got
        self._desk.hold(self._held)
        self._end(self._buffer.getvalue() if self._got == length else self._buffer.getvalue()[: self._got], clean=True)

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
