"""Connections to one endpoint: dialled by urllib3, used for one exchange at a time, kept while idle.

An exchange happens at most once. A connection that went stale while idle is noticed before anything is written to it; once
a byte of the request has been written, nothing is ever sent again: whatever goes wrong then is reported, not repeated.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from http.client import BadStatusLine, HTTPException, LineTooLong
from typing import Any

from urllib3.util.wait import wait_for_read

from ..errors import AttemptTimeout, BadResponse, ConnectionBroken, ConnectionFailed
from .in_loop import Odd, awaited, converse, deliver
from .keys import Sealed
from .replies import MAX_ANSWER, MAX_FAULT, Reply, read_reply
from .waiting import Late, forked, within

__all__ = ["Connections", "Line"]

MAX_IDLE = 300.0
"""Seconds. NAT gateways and VPC endpoints forget idle connections after 350."""
_GRACE = 0.25
"""Seconds by which whoever dials may be late to say itself why there is no connection."""
_PIECE = 256 * 1024
_SMALL = 64 * 1024


class Line:
    """One open connection. ``owner`` is urllib3's object, which has to live as long as its socket."""

    __slots__ = ("_poller", "idle_since", "owner", "process", "sock")

    def __init__(self, sock: Any, owner: Any) -> None:
        self.sock = sock
        self.owner = owner
        self.idle_since = 0.0
        self.process = os.getpid()
        self._poller: Any = None

    def is_fresh(self, now: float) -> bool:
        """Still ours, not idle for long, and nothing to read: an end of file, or bytes that nobody asked for."""
        if self.process != os.getpid() or now - self.idle_since > MAX_IDLE:
            return False
        return not self._has_news()

    def _has_news(self) -> bool:
        """Is there anything to read? Asked before every call, so the poll object is made once."""
        if not hasattr(select, "poll"):
            return bool(wait_for_read(self.sock, timeout=0.0))
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(self.sock, select.POLLIN)
        return bool(self._poller.poll(0))

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()
        self.owner.close()


class Connections:
    """All connections to one endpoint. Thread-safe.

    There is no limit on those in use, for whoever calls has one already; ``size`` limits those kept while idle. ``dial``
    opens one within so many seconds, or raises ConnectionFailed.
    """

    def __init__(self, name: str, dial: Callable[[float], Line], *, size: int, clock: Callable[[], float]) -> None:
        self.name = name
        self._dial = dial
        self._size = size
        self._clock = clock
        self._idle: deque[Line] = deque()
        self._lock = threading.Lock()
        self._closed = False
        weakref.finalize(self, _close_all, self._idle)
        forked(self)

    def exchange(self, head: Sealed, body: bytes, *, deadline: float, connect_timeout: float) -> Reply:
        """Send one request and read its answer, all before ``deadline`` (on the clock given).

        Raises ConnectionFailed (nothing sent), AttemptTimeout, ConnectionBroken, BadResponse.
        """
        line = self._take() or self._open(connect_timeout, self._left(deadline, sent=False))
        keep = False
        try:
            reply, keep = self._talk(line, head, body, deadline)
        finally:
            if keep:
                self._give_back(line)
            else:
                line.close()
        return reply

    async def aexchange(self, head: Sealed, body: bytes, *, deadline: float, connect_timeout: float) -> Reply:
        """`exchange` for an event loop: only a new connection, or an answer out of the ordinary, takes a thread."""
        line = self._take() or await self._aopen(connect_timeout, self._left(deadline, sent=False))
        keep = False
        try:
            reply, keep = await self._atalk(line, head, body, deadline)
        finally:
            if keep:
                self._give_back(line)
            else:
                line.close()
        return reply

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
        _close_all(self._idle)

    def after_fork(self) -> None:
        """A lock of the parent's may never be released; its connections are not used, see `Line.is_fresh`."""
        self._lock = threading.Lock()

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    def _take(self) -> Line | None:
        """The connection that was used last, if it is still good. Stale ones on the way are closed."""
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return None
            if line.is_fresh(self._clock()):
                return line
            line.close()

    def _open(self, connect_timeout: float, left: float) -> Line:
        """A new connection. Neither a name server nor a proxy that answers in drops takes more time than there is."""
        limit = min(connect_timeout, left)
        try:
            return within(min(limit + _GRACE, left), partial(self._dial, limit), late=Line.close)
        except Late:
            raise self._unconnected(limit) from None

    async def _aopen(self, connect_timeout: float, left: float) -> Line:
        limit = min(connect_timeout, left)
        try:
            return await awaited(min(limit + _GRACE, left), partial(self._dial, limit), late=Line.close)
        except Late:
            raise self._unconnected(limit) from None

    def _give_back(self, line: Line) -> None:
        line.idle_since = self._clock()
        stale = []
        with self._lock:
            if self._closed:
                stale.append(line)
            else:
                self._idle.append(line)
                while self._idle and (
                    len(self._idle) > self._size or line.idle_since - self._idle[0].idle_since > MAX_IDLE
                ):
                    stale.append(self._idle.popleft())
        for old in stale:
            old.close()

    def _talk(self, line: Line, head: Sealed, body: bytes, deadline: float) -> tuple[Reply, bool]:
        cut = self._write(line, head, body, deadline)
        return self._receive(line, deadline, cut)

    async def _atalk(self, line: Line, head: Sealed, body: bytes, deadline: float) -> tuple[Reply, bool]:
        cut: OSError | None = None
        try:
            await deliver(line.sock, _pieces(head, body), self._left(deadline, sent=False))
        except TimeoutError:
            raise self._timeout(sent=False) from None
        except OSError as error:
            cut = error
        left = deadline - self._clock()
        try:
            found, data, keep = await converse(line.sock, left, longest=MAX_ANSWER, longest_fault=MAX_FAULT)
        except Odd as odd:
            left = max(deadline - self._clock(), 0.0)
            rest = partial(self._receive, line, deadline, cut, odd.data)
            try:
                return await awaited(left + _GRACE, rest)
            except Late:
                raise self._timeout(sent=cut is None) from None
        except TimeoutError:
            raise self._timeout(sent=cut is None) from None
        except OSError as error:
            raise self._unread(error, cut) from None
        complete = len(data) == found.length
        reply = Reply(status=found.status, headers=found.headers, body=data, complete=complete)
        return reply, keep and complete and cut is None

    def _receive(self, line: Line, deadline: float, cut: OSError | None, first: bytes = b"") -> tuple[Reply, bool]:
        """The answer to what was written, of which ``first`` has been read. ``cut`` is why not all could be written."""
        try:
            reply, keep = read_reply(line.sock, self._clock, deadline, first)
            return reply, keep and cut is None
        except TimeoutError:
            raise self._timeout(sent=cut is None) from None
        except LineTooLong:
            raise BadResponse(f"{self.name} answered with an endless header line") from None
        except (HTTPException, OSError) as error:
            if cut is None and isinstance(error, BadStatusLine) and not isinstance(error, ConnectionError):
                raise BadResponse(f"{self.name} did not answer in HTTP") from None
            raise self._unread(error, cut) from None
        except ValueError as error:
            raise BadResponse(f"{self.name} answered with what can not be read ({type(error).__name__})") from None

    def _write(self, line: Line, head: Sealed, body: bytes, deadline: float) -> OSError | None:
        """Send the request. A connection cut on the way is returned: the server may have said why before it hung up."""
        for piece in _pieces(head, body):
            try:
                line.sock.settimeout(self._left(deadline, sent=False))
                line.sock.sendall(piece)
            except TimeoutError:
                raise self._timeout(sent=False) from None
            except OSError as error:
                return error
        return None

    def _left(self, deadline: float, *, sent: bool) -> float:
        left = deadline - self._clock()
        if left <= 0:
            raise self._timeout(sent=sent)
        return left

    def _timeout(self, *, sent: bool) -> AttemptTimeout:
        what = "no complete answer from" if sent else "no time left to send the request to"
        return AttemptTimeout(f"{what} {self.name} within the attempt timeout", may_be_billed=sent)

    def _unconnected(self, limit: float) -> ConnectionFailed:
        text = f"no connection to {self.name}: no connection within {limit:.3g} s"
        return ConnectionFailed(text, code="connect_timeout")

    def _unread(self, error: BaseException, cut: OSError | None) -> ConnectionBroken:
        """Why there is no answer: that the request could not be written comes first."""
        return self._broken(error if cut is None else cut, sent=cut is None)

    def _broken(self, error: BaseException, *, sent: bool) -> ConnectionBroken:
        """The request counts as sent once all of it has been handed to the socket; before that no picture can be made."""
        when = "before its answer was complete" if sent else "while the request was being sent"
        why = getattr(error, "strerror", None) or type(error).__name__
        return ConnectionBroken(f"{self.name} broke the connection {when} ({why})", may_be_billed=sent)


def _pieces(head: Sealed, body: bytes) -> list[bytes | memoryview]:
    """A request as it is written: in one piece, unless its body is large."""
    if len(body) < _SMALL:
        return [Sealed(head + body)]
    view = memoryview(body)
    return [head, *(view[start : start + _PIECE] for start in range(0, len(body), _PIECE))]


def _close_all(lines: deque[Line]) -> None:
    while True:
        try:
            line = lines.pop()
        except IndexError:
            return
        line.close()
