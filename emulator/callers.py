"""Who may call: access keys with SigV4, and Bedrock API keys as bearer tokens.

A request is verified as AWS does: key id known, scope for ``bedrock``, date within five minutes, ``host``,
``x-amz-date`` and every other ``x-amz-*`` header signed, and the signature over the double-encoded path and the
body's SHA-256.
"""

from __future__ import annotations

import hmac
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from . import sigv4
from .errors import BedrockError
from .request import Request

__all__ = ["DEMO_BEARER_TOKEN", "DEMO_KEY_ID", "DEMO_SECRET", "Caller", "Callers"]

DEMO_KEY_ID = "emulator"
"""The access key id that is accepted when no other keys are given."""
DEMO_SECRET = "emulator-secret"  # noqa: S105 - a published demo value, not a secret
"""Its secret."""
DEMO_BEARER_TOKEN = "emulator-token"  # noqa: S105 - likewise
"""The bearer token that is accepted when no others are given."""

_SKEW = timedelta(minutes=5)
_STAMP = "%Y%m%dT%H%M%SZ"
_HEX = re.compile(r"[0-9a-f]{64}")
_HOST_REGION = re.compile(r"^bedrock(?:-runtime)?(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated caller. ``region`` is that of the signature; for bearer tokens that of the host name, or None."""

    key_id: str
    region: str | None


class Callers:
    """The keys and tokens that are known. Safe to change while requests are served."""

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        session_tokens: Mapping[str, str],
        bearer_tokens: Iterable[str],
        allow_plain_bearer: bool,
        accept_any_signature: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._lock = threading.Lock()
        self._keys = dict(keys)
        self._tokens = dict(session_tokens)
        self._bearers = tuple(bearer_tokens)
        self._allow_plain_bearer = allow_plain_bearer
        self._accept_any = accept_any_signature
        self._clock = clock

    def add(self, key_id: str, secret: str, session_token: str | None = None) -> None:
        """Accept another key; with a token, only together with it."""
        with self._lock:
            self._keys[key_id] = secret
            if session_token is not None:
                self._tokens[key_id] = session_token

    def admit(self, request: Request, *, secure: bool) -> Caller:
        """Check the credentials of a request that came over TLS (``secure``) or not. Raises BedrockError (400 or 403)."""
        authorization = request.header("authorization") or ""
        scheme = authorization.partition(" ")[0]
        if scheme == sigv4.ALGORITHM:
            return self._admit_signed(request, authorization)
        if scheme == "Bearer":
            return self._admit_bearer(request, authorization.partition(" ")[2].strip(), secure)
        raise _front("MissingAuthenticationTokenException", "Missing Authentication Token")

    def _admit_bearer(self, request: Request, token: str, secure: bool) -> Caller:
        if not secure and not self._allow_plain_bearer:
            raise _front(
                "AccessDeniedException",
                "Authentication failed: this emulator takes bearer tokens over TLS only, "
                "unless it is started with allow_plain_bearer.",
            )
        if not any(hmac.compare_digest(token.encode(), known.encode()) for known in self._bearers):
            raise _front("AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.")
        host = _HOST_REGION.match(request.header("host") or "")
        return Caller(key_id="bearer", region=host[1] if host else None)

    def _admit_signed(self, request: Request, authorization: str) -> Caller:
        try:
            scope = sigv4.parse(authorization)
        except ValueError as problem:
            raise BedrockError(400, "IncompleteSignatureException", str(problem)) from None
        stamp = request.header("x-amz-date") or ""
        with self._lock:
            secret = self._keys.get(scope.key_id)
            token = self._tokens.get(scope.key_id)
        if secret is None and not self._accept_any:
            raise _front("UnrecognizedClientException", "The security token included in the request is invalid.")
        _check_scope(scope, stamp, self._clock())
        _check_signed_headers(scope, request)
        if token is not None and request.header("x-amz-security-token") != token:
            raise _front("UnrecognizedClientException", "The security token included in the request is invalid.")
        if secret is None:
            if not _HEX.fullmatch(scope.signature):
                raise _mismatch()
        else:
            canonical = sigv4.canonical_request(
                request.method, request.path, request.query, request.headers, scope.signed_headers, request.body
            )
            expected = sigv4.signature(secret, scope, stamp, canonical)
            if not hmac.compare_digest(expected, scope.signature):
                raise _mismatch()
        return Caller(key_id=scope.key_id, region=scope.region)


def _check_scope(scope: sigv4.Scope, stamp: str, now: datetime) -> None:
    if scope.service != "bedrock":
        raise _front("InvalidSignatureException", "Credential should be scoped to correct service: 'bedrock'.")
    try:
        when = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise BedrockError(
            400,
            "IncompleteSignatureException",
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        ) from None
    if scope.day != stamp[:8]:
        raise _front(
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope.day}' != '{stamp[:8]}'.",
        )
    if when < now - _SKEW:
        edge = (now - _SKEW).strftime(_STAMP)
        raise _front(
            "InvalidSignatureException",
            f"Signature expired: {stamp} is now earlier than {edge} ({now.strftime(_STAMP)} - 5 min.)",
        )
    if when > now + _SKEW:
        edge = (now + _SKEW).strftime(_STAMP)
        raise _front(
            "InvalidSignatureException",
            f"Signature not yet current: {stamp} is still later than {edge} ({now.strftime(_STAMP)} + 5 min.)",
        )


def _check_signed_headers(scope: sigv4.Scope, request: Request) -> None:
    must = {"host"} | {name for name, _ in request.headers if name.startswith("x-amz-")}
    missing = sorted(must - set(scope.signed_headers))
    if missing:
        raise _front("InvalidSignatureException", f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization.")


def _front(error_type: str, message: str) -> BedrockError:
    return BedrockError(403, error_type, message)


def _mismatch() -> BedrockError:
    return _front(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
        "and signing method. Consult the service documentation for details.",
    )
