"""An answer, read from a connection whose reader may wait."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPResponse, IncompleteRead, parse_headers
from typing import Any, cast

from ..errors import BadResponse
from .heads import plain_head

__all__ = ["MAX_ANSWER", "MAX_FAULT", "Reply", "read_reply"]

MAX_ANSWER = 256 * 1024 * 1024
MAX_FAULT = 1024 * 1024
"""Bytes that are read of an answer that is not 200."""
MAX_HEADS = 1024 * 1024
"""Bytes beside the body: status lines, headers, the sizes of chunks."""
MAX_INTERIM = 20
_BUFFER = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer as it came. ``headers`` have lower-case names and one-line values; ``body`` is cut if not ``complete``.

    Its contents do not print: it holds megabytes, and may echo what it was asked with.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    complete: bool


def read_reply(sock: Any, clock: Callable[[], float], deadline: float, first: bytes = b"") -> tuple[Reply, bool]:
    """The answer on a connection, of which ``first`` was read before; and whether the connection may be used again.

    Raises TimeoutError at the ``deadline``, BadResponse, HTTPException, OSError, ValueError.
    """
    stream = _Buffered(_Reader(sock, clock, deadline, first), _BUFFER)
    try:
        return _answer(stream)
    finally:
        stream.close()


def _answer(stream: _Buffered) -> tuple[Reply, bool]:
    """The whole answer, and whether the connection may be used again.

    A head in its ordinary form is taken apart here: http.client hands it to the parser of the email package, which costs
    more than all the rest of the exchange. Nothing is taken from the stream before it is certain that the form is the
    ordinary one, so every other head is http.client's to read.
    """
    head = plain_head(stream.peek(1))
    if head is None or head.length > (MAX_ANSWER if head.status == 200 else MAX_FAULT):
        response = _Response(cast(Any, _Opened(stream)), method="POST")
        try:
            response.begin()
            return _read(response, stream)
        finally:
            response.close()
    stream.read(head.size)
    body = stream.read(head.length)
    complete = len(body) == head.length
    stream.close()
    keep = complete and not stream.leftover
    return Reply(status=head.status, headers=head.headers, body=body, complete=complete), keep


class _Response(HTTPResponse):
    """Reads past interim answers: http.client knows 100 alone, and takes 103 for the answer itself."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM + 1):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 <= line[1] < 200 or line[1] == 101:
                return line
            parse_headers(cast(Any, self.fp))
        raise BadResponse(f"more than {MAX_INTERIM} interim answers, and none that is final")

    def _read_next_chunk_size(self) -> int:
        size = int(super()._read_next_chunk_size())  # type: ignore[misc]
        if size < 0:
            raise BadResponse("the answer comes in chunks of negative size")
        return size


def _read(response: HTTPResponse, stream: _Buffered) -> tuple[Reply, bool]:
    """The whole answer, or the beginning of a long one that is not 200; and whether the connection may be used again."""
    promised = response.length
    limit = MAX_ANSWER if response.status == 200 else MAX_FAULT
    if promised is not None and promised > limit and response.status == 200:
        raise BadResponse(f"the answer has {promised} bytes, more than {limit}")
    complete = True
    try:
        body = response.read() if promised is not None and promised <= limit else response.read(limit + 1)
    except IncompleteRead as error:
        body, complete = error.partial, False
    if len(body) > limit:
        if response.status == 200:
            raise BadResponse(f"the answer has more than {limit} bytes")
        body, complete = body[:limit], False
    headers = {name.lower(): " ".join(value.split()) for name, value in response.headers.items()}
    # An answer without a body by its status, or with two lengths, may be followed by one that nobody expects.
    ends = response.status >= 200 and response.status not in (204, 304) and _is_framed_once(response)
    keep = ends and complete and response.isclosed() and not response.will_close and not stream.leftover
    return Reply(status=response.status, headers=headers, body=body, complete=complete), keep


def _is_framed_once(response: HTTPResponse) -> bool:
    names = [name.lower() for name in response.headers]
    return names.count("content-length") + names.count("transfer-encoding") == 1


class _Opened:
    """What http.client takes for a socket: it reads from a stream that is open already."""

    def __init__(self, stream: _Buffered) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._stream


class _Reader(io.RawIOBase):
    """Each read gets the time that is left, so that an answer in drops ends in time as well."""

    def __init__(self, sock: Any, clock: Callable[[], float], deadline: float, first: bytes) -> None:
        self._first = memoryview(first)
        """What was read before."""
        self._sock = sock
        self._clock = clock
        self._deadline = deadline
        self._room = MAX_ANSWER + MAX_HEADS
        self.stopped = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.stopped:
            return None
        if self._first:
            count = min(len(buffer), len(self._first))
            buffer[:count], self._first = self._first[:count], self._first[count:]
            return count
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        count = int(self._sock.recv_into(buffer))
        self._room -= count
        if self._room < 0:
            raise BadResponse(f"the answer has more than {MAX_ANSWER} bytes")
        return count


class _Buffered(io.BufferedReader):
    """Knows, once closed, whether more came than the answer announced: such a connection must not be used again."""

    leftover = False

    def close(self) -> None:
        if not self.closed:
            cast(_Reader, self.raw).stopped = True
            self.leftover = bool(self.peek(1))
        super().close()
