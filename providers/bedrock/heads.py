"""The head of an HTTP answer, where it has its ordinary form: one pattern instead of a parser for mail."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..quick import quick

__all__ = ["Head", "plain_head"]

_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-9][0-9][0-9])(?: [\t -~]*)?\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n){1,100})\r\n"
)
"""Printable ASCII only, no line that goes on in the next one, and no more lines than http.client takes."""
_LENGTH = re.compile(r"[0-9]{1,18}")
_BODILESS = frozenset({204, 304})


@quick
@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers (lower-case names, one-line values) of an answer whose ``length`` is told, and its own ``size``.

    The connection may be used again after it.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    length: int
    size: int


def plain_head(data: bytes) -> Head | None:
    """The head at the beginning of ``data``. None if it is not complete, or not of the ordinary form.

    Ordinary is HTTP/1.1 with a final status, one Content-Length and nothing else that could decide where the body ends or
    what becomes of the connection. Whatever is not, is for a full parser to judge.
    """
    found = _HEAD.match(data)
    if found is None:
        return None
    headers: dict[str, str] = {}
    lengths = 0
    for line in found[2].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        lengths += name == "content-length"
        value = value.strip()
        headers[name] = value if "  " not in value and "\t" not in value else " ".join(value.split())
    length, status = headers.get("content-length", ""), int(found[1])
    if lengths != 1 or not _LENGTH.fullmatch(length) or status in _BODILESS or "transfer-encoding" in headers:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return Head(status, headers, int(length), found.end())
