"""AWS Signature Version 4, the verifying side, written from the specification.

Bedrock's canonical path is the path as it stands in the request line (already percent-encoded) encoded once more.
Nothing here is shared with the code that signs, so that a mistake on one side can not hide on the other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

__all__ = ["ALGORITHM", "Scope", "canonical_path", "canonical_query", "canonical_request", "parse", "signature"]

ALGORITHM = "AWS4-HMAC-SHA256"
_SPACES = re.compile(r" +")

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an ``Authorization`` header says: who signed, for which day, region and service, and which headers."""

    key_id: str
    day: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def text(self) -> str:
        """``day/region/service/aws4_request``, as it is signed."""
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def parse(authorization: str) -> Scope:
    """Read an ``Authorization`` header. Raises ValueError with AWS's wording when a part is missing or misshapen."""
    _, _, rest = authorization.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(",") if part.strip())
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise ValueError(f"Authorization header requires '{name}' parameter.")
    credential = parts["Credential"].rsplit("/", 4)
    if len(credential) != 5 or credential[4] != "aws4_request" or not all(credential):
        raise ValueError(
            "Credential must have exactly 5 slash-delimited elements, for example keyid/date/region/service/term."
        )
    key_id, day, region, service, _ = credential
    return Scope(
        key_id=key_id,
        day=day,
        region=region,
        service=service,
        signed_headers=tuple(parts["SignedHeaders"].split(";")),
        signature=parts["Signature"],
    )


def canonical_path(raw_path: str) -> str:
    """The path of the request line without dot segments and doubled slashes, percent-encoded once more."""
    kept: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if kept and raw_path.endswith("/") else ""
    return quote("/" + "/".join(kept) + slash, safe="/~")


def canonical_query(query: str) -> str:
    """Every pair decoded, encoded by the specification's rule and sorted."""
    pairs = (pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(
        sorted(f"{quote(unquote(name), safe='~')}={quote(unquote(value), safe='~')}" for name, value in pairs)
    )


def canonical_request(
    method: str, raw_path: str, query: str, headers: Headers, signed_headers: Iterable[str], body: bytes
) -> str:
    """The text whose digest is signed. ``headers`` are (lower-case name, value) pairs in the order received."""
    names = list(signed_headers)
    lines = []
    for name in names:
        values = [_SPACES.sub(" ", value.strip()) for key, value in headers if key == name]
        lines.append(f"{name}:{','.join(values)}\n")
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join(
        (method, canonical_path(raw_path), canonical_query(query), "".join(lines), ";".join(names), digest)
    )


def signature(secret: str, scope: Scope, timestamp: str, canonical: str) -> str:
    """The hexadecimal signature of a canonical request. ``timestamp`` is the ISO 8601 basic form of ``x-amz-date``."""
    to_sign = "\n".join((ALGORITHM, timestamp, scope.text, hashlib.sha256(canonical.encode()).hexdigest()))
    key = _signing_key(secret, scope.day, scope.region, scope.service)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=256)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
