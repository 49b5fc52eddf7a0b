"""HTTP/1.1 as bytes: what a request says and where it ends, and the head of an answer. No I/O.

Where the standard leaves a choice, this is strict: a line ends with CR LF and is never folded, and there is one way only in
which a request tells how long its body is. Nobody in between can take it for two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

__all__ = ["NOBODY", "Body", "Chunked", "Framed", "Head", "Malformed", "Sized", "head_end", "read_head", "write_head"]

MOST = 64 * 1024
"""Bytes of a head."""
_LINE = 16 * 1024
"""Bytes between the chunks of a body, and of what follows the last one."""

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
_END = re.compile(rb"\n\r?\n")
_FIRST = re.compile(rb"(%s) ([\x21-\x7e]+) HTTP/1\.([01])\r\n" % _TOKEN)
_FIELDS = re.compile(rb"(?:%s:%s\r\n)*" % (_TOKEN, _TEXT))
_DIGITS = re.compile(rb"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;%s)?\r\n" % _TEXT)
_TELLING = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"})
_STATUS = {one.value: b"HTTP/1.1 %d %s\r\n" % (one, one.phrase.encode()) for one in HTTPStatus}
_BODILESS = frozenset({204, 304})


class Malformed(ValueError):
    """What came is no HTTP/1.1 request."""


class Sized:
    """A body whose length is known."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    @property
    def over(self) -> bool:
        """Has all of it come?"""
        return not self.left

    def take(self, data: bytes) -> tuple[list[bytes], bytes]:
        """What of the data belongs to the body, and what does not."""
        rest = data[self.left :]
        mine = data[: self.left] if rest else data
        self.left -= len(mine)
        return [mine] if mine else [], rest


class Chunked:
    """A body in chunks, each with its length. What is said beside and behind them is checked and left out."""

    __slots__ = ("_begun", "_last", "_left", "over")

    def __init__(self) -> None:
        self._left = 0
        self._begun = False
        self._last = False
        self.over = False

    def take(self, data: bytes) -> tuple[list[bytes], bytes]:
        """What of the data belongs to the body, and what does not, or not yet. Raises `Malformed`."""
        pieces: list[bytes] = []
        at = 0
        while not self.over:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                end = at + len(piece)
            else:
                end = self._trailers(data, at) if self._last else self._length(data, at)
            if end == at:
                break
            at = end
        return [piece for piece in pieces if piece], data[at:]

    def _length(self, data: bytes, at: int) -> int:
        """Where the next chunk begins; ``at`` if that has not come yet."""
        begin = at + 2 if self._begun else at
        if data[at:begin] != b"\r\n"[: len(data[at:begin])]:
            raise Malformed("a chunk is longer than it says")
        found = _CHUNK.match(data, begin)
        if found is None:
            if data.find(b"\n", begin) >= 0 or len(data) - at > _LINE:
                raise Malformed("this is no chunk")
            return at
        self._left = int(found[1], 16)
        self._begun, self._last = True, not self._left
        return found.end()

    def _trailers(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self.over = True
            return at + 2
        found = _END.search(data, at)
        if found is None:
            if len(data) - at > _LINE:
                raise Malformed("there is too much behind the last chunk")
            return at
        if not _FIELDS.fullmatch(data, at, found.end() - 2) or found.end() - at > _LINE:
            raise Malformed("what is behind the last chunk is no header")
        self.over = True
        return found.end()


Body = Sized | Chunked


class Head(NamedTuple):
    """The head of a request. Names of ``headers`` are in lower case; ``body`` is to be fed with what follows."""

    method: str
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    body: Body
    keep_alive: bool
    expects: bool
    """It waits for a sign before it sends its body."""
    upgrade: bool
    """It would rather speak something else."""


NOBODY = Head("", b"", "1.1", [], Sized(0), False, False, False)
"""Whose request could not be read."""


def head_end(data: bytes, seen: int) -> int | None:
    """The number of bytes of the head with which the data begins; None if it is not complete.

    ``seen`` bytes have been looked at before. Raises `Malformed` for what is too long or can not become a head.
    """
    found = _END.search(data, max(0, seen - 2))
    size = found.end() if found else len(data)
    if size > MOST or data[0] <= 0x20:
        raise Malformed("this is no head")
    return size if found else None


def read_head(data: bytes) -> Head:
    """A whole head, read. Raises `Malformed`."""
    first = _FIRST.match(data)
    if first is None or not _FIELDS.fullmatch(data, first.end(), len(data) - 2) or not data.endswith(b"\r\n"):
        raise Malformed("this is no head")
    headers: list[tuple[bytes, bytes]] = []
    told: dict[bytes, bytes] = {}
    for line in data[first.end() : -4].split(b"\r\n") if len(data) > first.end() + 2 else ():
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        headers.append((name, value))
        if name in _TELLING:
            told[name] = told[name] + b"," + value if name in told else value
    newer = first[3] == b"1"
    if b"," in told.get(b"host", b"," if newer else b""):
        raise Malformed("it does not name one host")
    wishes = _words(told[b"connection"]) if b"connection" in told else ()
    return Head(
        first[1].decode(),
        first[2],
        "1.1" if newer else "1.0",
        headers,
        _body(told, newer),
        newer and b"close" not in wishes,
        newer and b"100-continue" in _words(told.get(b"expect", b"")),
        b"upgrade" in wishes and b"upgrade" in told,
    )


def _words(value: bytes) -> list[bytes]:
    return [word.strip() for word in value.lower().split(b",")]


def _body(told: dict[bytes, bytes], newer: bool) -> Body:
    length, coding = told.get(b"content-length"), told.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or not newer or coding.lower() != b"chunked":
            raise Malformed("where its body ends can not be told")
        return Chunked()
    if length is None:
        return Sized(0)
    if not _DIGITS.fullmatch(length):
        raise Malformed("where its body ends can not be told")
    return Sized(int(length))


class Framed(NamedTuple):
    """The head of an answer as bytes, and how its body is sent."""

    data: bytes
    length: int | None
    """Bytes that must follow; None if that is not known."""
    chunked: bool
    close: bool
    """The connection ends with the answer."""


def write_head(status: int, headers: Iterable[tuple[bytes, bytes]], request: Head, *, close: bool) -> Framed:
    """The head of the answer to a request. Raises ValueError for headers that are none, so that nobody can add one."""
    fields: list[bytes] = []
    length: int | None = None
    said = False
    for name, value in headers:
        fields.append(name + b": " + value + b"\r\n")
        match name.lower():
            case b"content-length":
                length = int(value)
            case b"connection" if b"close" in _words(value):
                said = True
    if status in _BODILESS:
        length = 0
    chunked = length is None and request.version == "1.1"
    close = close or said or not request.keep_alive or (length is None and not chunked)
    if chunked:
        fields.append(b"transfer-encoding: chunked\r\n")
    if close and not said:
        fields.append(b"connection: close\r\n")
    told = b"".join(fields)
    if not _FIELDS.fullmatch(told) or told.count(b"\n") != len(fields):
        raise ValueError("a header of the answer is none")
    first = _STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status
    return Framed(first + told + b"\r\n", length, chunked, close)
