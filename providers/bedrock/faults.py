"""What a failed answer of Bedrock means: an HTTP error, by type and message, to one of our errors. Pure.

The type decides first, fragments of the message refine it, the status alone is the last resort: 400 is a quota as well as
a bad body, 429 a busy account as well as a model that still loads. Types, statuses and fragments: the error tables of the
Bedrock user guide, the service model in botocore 1.44.5, and texts that were seen in the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from ..errors import (
    BadResponse,
    ContentFiltered,
    CredentialsError,
    LascauxError,
    ModelRetired,
    ModelTimeout,
    ModelUnavailable,
    Rejected,
    Throttled,
    Unavailable,
)

__all__ = ["clean", "fault", "request_id_of", "retry_after_of"]

MAX_MESSAGE = 500
MAX_TEXT = 20_000
"""Characters of a message that are looked at."""
MAX_RETRY_AFTER = 3600.0
MARKETPLACE_WAIT = 900.0
"""Seconds; AWS says to try again 15 minutes after a Marketplace subscription was started."""

_SECRET_SHAPES = re.compile(
    r"(?i)(AWS4-HMAC-SHA256\s+Credential=\S+(?:\s+SignedHeaders=\S+)?(?:\s+Signature=\S+)?"
    r"|\bBearer\s+[\w.~+/=-]{8,}|\bbedrock-api-key-[\w.~+/=-]+|\bABSK[\w+/=-]{16,}"
    r"|x-amz-security-token[:=]\s*\S+|\bsignature=[0-9a-f]{32,})"
)
_CANONICAL = re.compile(r"(?i)The Canonical String for this request should have been")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """An error answer, taken apart."""

    status: int
    type: str
    message: str
    request_id: str | None
    retry_after: float | None
    original_status: int | None

    def says(self, *fragments: str) -> bool:
        text = self.message.lower()
        return any(fragment in text for fragment in fragments)


def fault(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Iterable[str] = (),
    now: float = 0.0,
) -> LascauxError:
    """The error for an answer that is not 200.

    ``headers`` have lower-case names. ``secrets`` are blotted out of the message, whatever AWS echoes. ``now`` is Unix time,
    for a Retry-After that is a date. Never raises.
    """
    answer = _read(status, headers, body, secrets, now)
    kind = answer.type.lower()
    make = _BY_TYPE.get(kind) or _by_status(answer.status)
    return make(answer)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The id that AWS support asks for; None if there is none, or one that can not be an id."""
    found = (headers.get(name, "") for name in ("x-amzn-requestid", "x-amz-request-id"))
    return next((value for value in found if _REQUEST_ID.fullmatch(value)), None)


def retry_after_of(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, from Retry-After (seconds or a date) or ``x-amz-retry-after`` (milliseconds); 0 to one hour."""
    millis = headers.get("x-amz-retry-after", "")[:100].strip()
    if re.fullmatch(r"\d{1,12}", millis):
        return min(int(millis) / 1000, MAX_RETRY_AFTER)
    value = headers.get("retry-after", "")[:100].strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", value):
        return min(float(value), MAX_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(value)
        return min(max(when.timestamp() - now, 0.0), MAX_RETRY_AFTER)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` as one line of at most 500 printable characters, without any of ``secrets`` and without signatures."""
    hidden = sorted((value for value in secrets if len(value) >= 4), key=len, reverse=True)
    longest = len(hidden[0]) if hidden else 0
    cut = len(text) > MAX_TEXT + longest
    text = text[: MAX_TEXT + longest]
    for secret in hidden:
        text = text.replace(secret, "****")
    if cut and longest:  # the last letters may be the first half of a secret
        text = text[:-longest]
    if echo := _CANONICAL.search(text):
        text = text[: echo.start()]
    text = _SECRET_SHAPES.sub("****", text)
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _read(status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[str], now: float) -> _Answer:
    payload = _json_object(body)
    kind = headers.get("x-amzn-errortype") or _text(payload, "__type", "code", "Code")
    kind = clean(kind, secrets)[:200].split(":")[0].rpartition("#")[2].strip()
    message = clean(_message(payload, body, headers), secrets)
    original = payload.get("originalStatusCode")
    digits = str(original) if isinstance(original, int | str) else ""
    return _Answer(
        status=status,
        type=kind[:80],
        message=message,
        request_id=request_id_of(headers),
        retry_after=retry_after_of(headers, now),
        original_status=int(digits) if re.fullmatch(r"[1-9][0-9]{2}", digits) else None,
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(payload, dict):
        return {}
    inner = payload.get("error")
    return inner if isinstance(inner, dict) and "message" not in payload else payload


def _message(payload: Mapping[str, Any], body: bytes, headers: Mapping[str, str]) -> str:
    """The message of the body; of Stability's JSON-in-a-message its ``detail``; of a page that is no JSON its words."""
    text = _text(payload, "message", "Message", "errorMessage")
    if text.startswith("{"):
        inner = _json_object(text.encode("utf-8", "replace"))
        detail = _text(inner, "detail")
        return detail + _rest(inner) if detail else text
    if text or payload:
        return text
    page = body[:MAX_TEXT]
    if "html" in headers.get("content-type", "").lower() or page.lstrip()[:1] == b"<":
        page = _words(page)
    return page.decode("utf-8", "replace")


def _words(page: bytes) -> bytes:
    """A page without its tags, scripts and styles, in one pass: it may be made to be slow to read."""
    lower = page.lower()
    found = []
    at = 0
    while (tag := lower.find(b"<", at)) >= 0:
        found.append(page[at:tag])
        name = next((name for name in (b"script", b"style") if lower.startswith(name, tag + 1)), None)
        end = lower.find(b"</" + name if name else b">", tag)
        if end < 0:
            at = tag if name is None else len(page)
            break
        at = end if name else end + 1
    return b" ".join([*found, page[at:]])


def _rest(inner: Mapping[str, Any]) -> str:
    others = {key: value for key, value in inner.items() if key != "detail"}
    try:
        return f" {orjson.dumps(others).decode()}" if others else ""
    except orjson.JSONEncodeError:  # nested deeper than can be written
        return ""


def _text(payload: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := payload.get(name), str) and value), "")


def _sentence(answer: _Answer, *, hint: str = "") -> str:
    """``Type (HTTP 400): message. hint``."""
    name = answer.type or "error"
    text = f"{name} (HTTP {answer.status})" + (f": {answer.message}" if answer.message else "")
    return f"{text} [{hint}]" if hint else text


_Facts = dict[str, Any]


def _facts(answer: _Answer) -> _Facts:
    return {"upstream_status": answer.status, "request_id": answer.request_id, "retry_after": answer.retry_after}


def _filtered(answer: _Answer) -> LascauxError:
    """Titan and Nova Canvas; the text of the image variant names the image, that of the prompt variant the prompt."""
    about_image = answer.says("image") and not answer.says("prompt")
    return ContentFiltered(
        _sentence(answer),
        stage="input_image" if about_image else "prompt",
        upstream_status=answer.status,
        request_id=answer.request_id,
    )


def _validation(answer: _Answer) -> LascauxError:
    """ValidationException: a bad body, unless the message names another cause."""
    if answer.says("malformed input request", "available fields"):
        return _rejected(answer, code="invalid_parameter")
    if answer.says("blocked by our content filters", "may conflict our aup"):
        return _filtered(answer)
    if answer.says("on-demand throughput"):
        # The apostrophe that follows is typographic in the live text, so the fragment stops before it.
        hint = "call it through an inference profile such as us.{model id}, or through provisioned throughput"
        return ModelUnavailable(_sentence(answer, hint=hint), code="on_demand_not_offered", **_facts(answer))
    if answer.says("model identifier is invalid"):
        hint = "wrong model id, or not in this region"
        return ModelUnavailable(_sentence(answer, hint=hint), code="model_identifier", **_facts(answer))
    if answer.says("operation not allowed"):
        hint = "the account may not use models that are billed through AWS Marketplace"
        return ModelUnavailable(_sentence(answer, hint=hint), code="operation_not_allowed", **_facts(answer))
    return _rejected(answer)


def _rejected(answer: _Answer, code: str | None = None) -> LascauxError:
    return Rejected(_sentence(answer), code=code, **_facts(answer))


def _denied(answer: _Answer) -> LascauxError:
    """AccessDeniedException: IAM says no (credentials), or the account never got the model."""
    if answer.says("is not authorized to perform: bedrock:", "explicit deny"):
        hint = "allow bedrock:InvokeModel on the model and, for a profile, on every foundation model behind it"
        return CredentialsError(_sentence(answer, hint=hint), code="access_denied", **_facts(answer))
    if answer.says("marketplace", "mpagreement"):
        return _subscribing(answer)
    if answer.says("access to the model"):
        hint = "request access to the model in the Bedrock console"
        return ModelUnavailable(_sentence(answer, hint=hint), code="model_access", **_facts(answer))
    return CredentialsError(_sentence(answer), code="access_denied", **_facts(answer))


def _subscribing(answer: _Answer) -> LascauxError:
    """A Marketplace subscription that is missing, or still being made."""
    facts = _facts(answer)
    if "agreementbeing" in answer.type.lower() or answer.says(
        "being created", "in progress", "15 minutes", "beingcreated"
    ):
        facts["retry_after"] = facts["retry_after"] or MARKETPLACE_WAIT
    return ModelUnavailable(_sentence(answer), code="marketplace", **facts)


def _missing(answer: _Answer) -> LascauxError:
    """ResourceNotFoundException: the model has ended, or was never there."""
    if answer.says("end of its life"):
        return ModelRetired(_sentence(answer), code="end_of_life", **_facts(answer))
    if answer.says("marked by provider as legacy"):
        # Reads like an access error; the account lost the legacy model by not using it.
        return ModelRetired(_sentence(answer), code="legacy_inactive", **_facts(answer))
    return ModelUnavailable(_sentence(answer), **_facts(answer))


def _model_failed(answer: _Answer) -> LascauxError:
    """ModelErrorException (424): what the model itself answered decides."""
    original = answer.original_status
    if original is not None and 400 <= original < 500 and original not in (408, 429):
        return _rejected(answer, code="model_error")
    return Unavailable(_sentence(answer), code="model_error", **_facts(answer))


def _refused(code: str, hint: str = "") -> Callable[[_Answer], LascauxError]:
    return lambda answer: CredentialsError(_sentence(answer, hint=hint), code=code, **_facts(answer))


def _signature(answer: _Answer) -> LascauxError:
    skewed = answer.says("signature expired", "signature not yet current", "too skewed")
    hint = "check this machine's clock" if skewed else "check the secret access key"
    return CredentialsError(_sentence(answer, hint=hint), code="signature", **_facts(answer))


def _throttled(code: str) -> Callable[[_Answer], LascauxError]:
    return lambda answer: Throttled(_sentence(answer), code=code, **_facts(answer))


def _unavailable(code: str) -> Callable[[_Answer], LascauxError]:
    return lambda answer: Unavailable(_sentence(answer), code=code, **_facts(answer))


def _timed_out(answer: _Answer) -> LascauxError:
    return ModelTimeout(_sentence(answer), **_facts(answer))


def _unreadable(answer: _Answer) -> LascauxError:
    """A redirect or another status that InvokeModel never has: something else answered."""
    billed = answer.status < 300
    return BadResponse(_sentence(answer, hint="not an answer of Bedrock"), may_be_billed=billed, **_facts(answer))


_CLOCK = "check this machine's clock"
_EXPIRED = _refused("expired", "the session token has expired")
_UNKNOWN_KEY = _refused("unknown_key", "the access key or the session token is not valid")

_BY_TYPE: dict[str, Callable[[_Answer], LascauxError]] = {
    "validationexception": _validation,
    "servicequotaexceededexception": _throttled("quota"),
    "accessdeniedexception": _denied,
    "accessdenied": _denied,
    "mpagreementbeingcreated": _subscribing,
    "mpagreementbeingcreatedexception": _subscribing,
    "resourcenotfoundexception": _missing,
    "modeltimeoutexception": _timed_out,
    "modelerrorexception": _model_failed,
    "throttlingexception": _throttled("throttled"),
    "throttling": _throttled("throttled"),
    "toomanyrequestsexception": _throttled("throttled"),
    "modelnotreadyexception": _throttled("model_not_ready"),
    "internalserverexception": _unavailable("internal"),
    "internalfailure": _unavailable("internal"),
    "serviceunavailableexception": _unavailable("no_capacity"),
    "serviceunavailable": _unavailable("no_capacity"),
    "overloaded_error": _unavailable("overloaded"),
    "unrecognizedclientexception": _UNKNOWN_KEY,
    "invalidclienttokenid": _UNKNOWN_KEY,
    "expiredtokenexception": _EXPIRED,
    "expiredtoken": _EXPIRED,
    "requestexpired": _refused("signature", _CLOCK),
    "requesttimetooskewed": _refused("signature", _CLOCK),
    "invalidsignatureexception": _signature,
    "signaturedoesnotmatch": _signature,
    "incompletesignatureexception": _refused("signature"),
    "incompletesignature": _refused("signature"),
    "missingauthenticationtokenexception": _refused("signature"),
    "missingauthenticationtoken": _refused("signature"),
    "notauthorized": _denied,
    "optinrequired": _denied,
}


def _by_status(status: int) -> Callable[[_Answer], LascauxError]:
    """For a type that nobody told us about."""
    named = {
        401: _refused("credentials"),
        403: _denied,
        404: _missing,
        408: _timed_out,
        424: _model_failed,
        429: _throttled("throttled"),
        529: _unavailable("overloaded"),
    }
    if status in named:
        return named[status]
    if status >= 500:
        return _unavailable("unavailable")
    return _validation if 400 <= status < 500 else _unreadable
