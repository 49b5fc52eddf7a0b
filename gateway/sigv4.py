"""AWS Signature Version 4, the side that checks: is a request from somebody who has the secret, and is it as it was sent?

Written from AWS's description of the algorithm. Checked are the key, the day and service of the scope, a date within 15
minutes, that ``host`` and every ``x-amz-*`` header are signed, the body's digest, and the signature over all of them. A
request that somebody caught can be sent again within these minutes: that is all that the algorithm promises, so serve
over TLS.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote

from ..providers.types import Secret
from ..router.config.server import SHORTEST, ServerConfig
from ..router.errors import ConfigError

__all__ = ["ALGORITHM", "Opened", "Pair", "SignatureError", "Signed", "Verifier"]

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
"""As AWS documents it for its services: a request is good for fifteen minutes around its date."""

_STAMP = "%Y%m%dT%H%M%SZ"
_SPACES = re.compile(r" {2,}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{8}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,128}")
_LONGEST = 8192
_UNSIGNED = "UNSIGNED-PAYLOAD"


class SignatureError(Exception):
    """A request that is not admitted. ``type`` and ``status`` are AWS's for it."""

    def __init__(self, type: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.type = type
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key pair that was issued: its id, its secret, and the name of the server's key for which it stands."""

    access_key_id: str
    secret: Secret
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request as it came. ``path`` and ``query`` are as in the request line, headers (lower-case name, value)."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for given, value in self.headers if given == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    access_key_id: str
    day: str
    region: str
    service: str
    names: tuple[str, ...]
    signature: str

    @property
    def text(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


class Verifier:
    """Checks signatures by the pairs that were issued. ``clock`` gives the time in UTC.

    With ``unsigned_payload`` a body may go unsigned (``x-amz-content-sha256: UNSIGNED-PAYLOAD``), which no client needs
    here: whoever catches such a request can put another body into it.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        unsigned_payload: bool = False,
    ) -> None:
        self._pairs: Mapping[str, Pair] = {pair.access_key_id: pair for pair in pairs}
        self._clock = clock
        self._unsigned_payload = unsigned_payload
        self._source: Callable[[], ServerConfig] | None = None
        self._server: ServerConfig | None = None
        self._failed: Callable[[str], None] = lambda message: None

    @classmethod
    def of(cls, server: ServerConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Verifier:
        """With the pairs of the ``server`` section. Raises ConfigError for a secret that is empty or can be guessed."""
        return cls(_pairs(server), clock=clock)

    def follow(
        self, source: Callable[[], ServerConfig], failed: Callable[[str], None] = lambda message: None
    ) -> Verifier:
        """Go by the pairs that stand in ``source()`` at each request, for a configuration that may be loaded anew.

        Pairs that can not be used change nothing: ``failed`` is told once, and the old ones count.
        """
        self._source, self._failed = source, failed
        return self

    def open(self, request: Signed) -> Opened:
        """All that can be judged without the body, which is not looked at. Raises SignatureError.

        A signed digest of the body lets the signature be checked, too. An unknown key id then takes the way of a known
        one, so that time does not tell which ids there are; without the digest it is refused here, for ids are no secrets
        and bodies of strangers are not worth their memory.
        """
        self._renew()
        scope = _parse(request.header("authorization") or "")
        stamp = request.header("x-amz-date") or ""
        _check_date(scope, stamp, self._clock())
        _check_headers(scope, request)
        said = self._said(request)
        pair = self._pairs.get(scope.access_key_id)
        known = pair or Pair(access_key_id=scope.access_key_id, secret=Secret("no such key"), key="")
        opened = Opened(pair=known, scope=scope, stamp=stamp, request=request, said=said)
        same = said is None or opened.fits(said)
        if pair is None:
            raise SignatureError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        if not same:
            raise _mismatch()
        return opened

    def verify(self, request: Signed) -> str:
        """The name of the server's key of whoever signed, body and all. Raises SignatureError."""
        return self.open(request).finish(request.body)

    def _renew(self) -> None:
        server = self._source() if self._source else None
        if server is not None and server is not self._server:
            self._server = server
            try:
                self._pairs = {pair.access_key_id: pair for pair in _pairs(server)}
            except ConfigError as error:
                self._failed(f"{error}; the key pairs from before still count")

    def _said(self, request: Signed) -> str | None:
        """What the client says stands for the body. Raises SignatureError if it can stand for none."""
        said = request.header("x-amz-content-sha256")
        if said == _UNSIGNED and not self._unsigned_payload:
            raise _invalid("The payload must be signed: UNSIGNED-PAYLOAD is not accepted by this service.")
        if said not in (None, _UNSIGNED) and not _DIGEST.fullmatch(said):
            raise _invalid("The 'x-amz-content-sha256' header must be a SHA-256 in 64 lower-case hexadecimal digits.")
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A request whose headers are in order, from `Verifier.open`. What is left to judge is its body."""

    pair: Pair
    scope: _Scope = field(repr=False)
    stamp: str
    request: Signed = field(repr=False)
    said: str | None

    @property
    def proven(self) -> bool:
        """True if the signature has been found right: whoever asks has the secret."""
        return self.said is not None

    def finish(self, body: bytes) -> str:
        """The name of the server's key of whoever signed. Raises SignatureError if this is not the body that they signed."""
        if self.said == _UNSIGNED:
            return self.pair.key
        found = hashlib.sha256(body).hexdigest()
        if self.said is None:
            if not self.fits(found):
                raise _mismatch()
        elif not hmac.compare_digest(self.said, found):
            raise _invalid("The provided 'x-amz-content-sha256' header does not match what was computed.")
        return self.pair.key

    def fits(self, digest: str) -> bool:
        """True if the signature is the right one of a body with this digest."""
        canonical = _canonical(self.request, self.scope.names, digest)
        wanted = _signature(self.pair.secret.reveal(), self.scope, self.stamp, canonical)
        return hmac.compare_digest(wanted.encode(), self.scope.signature.encode())


def _pairs(server: ServerConfig) -> list[Pair]:
    for index, one in enumerate(server.sigv4):
        length = len(one.secret.get_secret_value())
        if length < SHORTEST:
            wrong = (
                f"must have at least {SHORTEST} characters: a shorter one can be guessed"
                if length
                else "is empty: the variable that should hold it is not set"
            )
            raise ConfigError(f"server.sigv4[{index}].secret: {wrong}")
    return [
        Pair(access_key_id=one.access_key_id, secret=Secret(one.secret.get_secret_value()), key=one.key)
        for one in server.sigv4
    ]


def _mismatch() -> SignatureError:
    return _invalid(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        "Access Key and signing method. Consult the service documentation for details."
    )


def _invalid(message: str) -> SignatureError:
    return SignatureError("InvalidSignatureException", message)


def _incomplete(message: str) -> SignatureError:
    return SignatureError("IncompleteSignatureException", message, status=400)


def _parse(authorization: str) -> _Scope:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM or len(authorization) > _LONGEST:
        raise SignatureError("MissingAuthenticationTokenException", "Missing Authentication Token")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
    fields = parts["Credential"].rsplit("/", 4)
    if (
        len(fields) != 5
        or fields[4] != "aws4_request"
        or not _DAY.fullmatch(fields[1])
        or not _REGION.fullmatch(fields[2])
    ):
        raise _incomplete("Credential must be access-key-id/YYYYMMDD/region/bedrock/aws4_request.")
    names = tuple(parts["SignedHeaders"].split(";"))
    if not all(_HEADER.fullmatch(name) for name in names) or len(set(names)) != len(names):
        raise _incomplete("SignedHeaders must be lower-case header names, each once, with ';' between them.")
    if fields[3] != "bedrock":
        raise _invalid("Credential should be scoped to correct service: 'bedrock'.")
    return _Scope(
        access_key_id=fields[0],
        day=fields[1],
        region=fields[2],
        service=fields[3],
        names=names,
        signature=parts["Signature"],
    )


def _check_date(scope: _Scope, stamp: str, now: datetime) -> None:
    try:
        when = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete(
            "Authorization header requires existence of a 'X-Amz-Date' header, YYYYMMDDTHHMMSSZ."
        ) from None
    if not stamp.startswith(scope.day):
        raise _invalid(f"Date in Credential scope does not match X-Amz-Date: {scope.day!r} != {stamp[:8]!r}.")
    if when < now - SKEW:
        raise _invalid(f"Signature expired: {stamp} is now earlier than {(now - SKEW).strftime(_STAMP)}.")
    if when > now + SKEW:
        raise _invalid(f"Signature not yet current: {stamp} is still later than {(now + SKEW).strftime(_STAMP)}.")


def _check_headers(scope: _Scope, request: Signed) -> None:
    present = [name for name, _ in request.headers]
    must = {"host"} | {name for name in present if name.startswith("x-amz-")}
    missing = sorted(must - set(scope.names))
    if missing:
        raise _invalid(f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization.")
    absent = [name for name in scope.names if name not in present]
    if absent:
        raise _invalid(f"The signed header '{absent[0]}' is not part of the request.")


def _canonical(request: Signed, names: Sequence[str], digest: str) -> str:
    headers = "".join(
        f"{name}:{','.join(_SPACES.sub(' ', value.strip()) for given, value in request.headers if given == name)}\n"
        for name in names
    )
    path, query = _canonical_path(request.path), _canonical_query(request.query)
    return "\n".join((request.method, path, query, headers, ";".join(names), digest))


def _canonical_path(path: str) -> str:
    """The path as in the request line, without dot segments and empty ones, percent-encoded once more."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{end}", safe="/-_.~")


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=")[::2] for pair in query.split("&") if pair)
    encoded = sorted((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _signature(secret: str, scope: _Scope, stamp: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    to_sign = "\n".join((ALGORITHM, stamp, scope.text, digest))
    return hmac.new(_key(secret, scope.day, scope.region, scope.service), to_sign.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=1024)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key of one day: the same for all requests of it."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
