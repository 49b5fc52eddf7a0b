"""AWS Signature Version 4 for one kind of request: a POST with a JSON body and no query.

Our own rather than botocore's for two reasons: botocore logs the canonical request at DEBUG, session token included; and
with the key of the day cached this takes a tenth of the time. A property test holds it to botocore's signature byte by byte.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from .keys import Keys

__all__ = ["SERVICE", "sign"]

SERVICE = "bedrock"
"""The signing name; the host says bedrock-runtime."""

_HOLE = "\0"
"""What stands in a form where date and token go: no header can hold it."""
_BLOCK = 64
"""Bytes that SHA-256 takes in at a time; a key of the day has 32."""
_UNSIGNED = frozenset({"user-agent", "expect", "transfer-encoding", "x-amzn-trace-id"})


def sign(
    keys: Keys, *, path: str, headers: Mapping[str, str], body: bytes, region: str, now: float, service: str = SERVICE
) -> dict[str, str]:
    """The headers to add to a POST: date, security token (if any) and authorization.

    ``headers`` are those that will be sent, ``host`` among them. ``path`` is as in the request line; its percent signs are
    encoded once more, as SigV4 asks of every service but S3. ``now`` is Unix time.
    """
    stamp = _stamp(int(now))
    form = _form(path, tuple(headers.items()), keys.token is not None)
    added = {"x-amz-date": stamp}
    lines = [form.start, stamp, form.middle]
    if keys.token is not None:
        added["x-amz-security-token"] = keys.token
        lines += (" ".join(keys.token.split()), form.end)
    lines.append(sha256(body).hexdigest())
    digest = sha256("".join(lines).encode()).hexdigest()
    day = stamp[:8]
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = _mac_of_day(keys.secret_key, day, region, service).hex(text.encode())
    added["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={form.signed}, Signature={signature}"
    )
    return added


class _Form(NamedTuple):
    """The canonical request without date, token and digest of the body: a deployment's is nearly always the same.

    The date stands between ``start`` and ``middle``, the token (if any) between that and ``end``.
    """

    start: str
    middle: str
    end: str
    signed: str


@lru_cache(maxsize=1024)
def _form(path: str, headers: tuple[tuple[str, str], ...], has_token: bool) -> _Form:
    lines = {name.lower(): " ".join(value.split()) for name, value in headers}
    lines["x-amz-date"] = _HOLE
    if has_token:
        lines["x-amz-security-token"] = _HOLE
    names = sorted(lines.keys() - _UNSIGNED)
    signed = ";".join(names)
    head = ("POST", quote(path, safe="/~"), "", *(f"{name}:{lines[name]}" for name in names), "", signed, "")
    start, middle, *end = "\n".join(head).split(_HOLE)
    return _Form(start, middle, "".join(end), signed)


@lru_cache(maxsize=4)
def _stamp(now: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


class _Mac:
    """HMAC-SHA256 with one key (RFC 2104), which both hashes have taken in already: `hmac.digest` begins anew each time."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def hex(self, text: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


@lru_cache(maxsize=256)
def _mac_of_day(secret_key: str, day: str, region: str, service: str) -> _Mac:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return _Mac(key)
