"""From results and errors to what Bedrock would answer: status, headers, body. Pure.

The shape is that of the dialect in which was asked, whichever model answered. AWS's SDKs send a request again on the
statuses 500, 502, 503 and 504, and on throttling (botocore 1.44, ``retries/standard.py`` and ``data/_retry.json``); 408 and
424 they do not. So whatever may have been billed is answered with these two, and no SDK pays a second time by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..providers.errors import (
    AttemptTimeout,
    ContentFiltered,
    CredentialsError,
    InvalidRequest,
    LascauxError,
    ModelRetired,
    ModelUnavailable,
    Rejected,
    RequestError,
    Throttled,
)
from ..providers.types import Image
from ..router.errors import DeadlineExceeded, UnknownAlias
from ..router.records import Result
from .answers import headers as facts
from .errors import Refused, failure_of, public
from .native_request import Dialect
from .sigv4 import SignatureError
from .spread import Body, Slots
from .story import Story

__all__ = ["Reply", "failed", "found", "served"]

_UPSTREAM = re.compile(r"[A-Za-z_]{1,80} \(HTTP \d{3}\): ")
_INPUT_BLOCKED = "This request has been blocked by our content filters."
_TIMED_OUT = (408, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)
    story: Story | None = field(default=None, repr=False, compare=False)
    """How the call went that it tells of, for those who observe the gateway."""


def served(result: Result, dialect: Dialect, request_id: str) -> Reply:
    """The pictures in the caller's words.

    Beside Bedrock's own headers there are ours, ``x-lascaux-*``: who answered, what it cost, and what was adapted, for
    which these bodies have no place.
    """
    headers = {
        "content-type": "application/json",
        "x-amzn-requestid": request_id,
        "x-amzn-bedrock-invocation-latency": str(round(result.duration * 1000)),
        **facts(result, result.warnings),
    }
    write = {Dialect.AMAZON: _amazon, Dialect.SDXL: _sdxl, Dialect.STABILITY: _stability}[dialect]
    slots = Slots()
    return Reply(status=200, body=slots.written(write(result, slots)), headers=headers)


def _amazon(result: Result, slots: Slots) -> dict[str, Any]:
    document: dict[str, Any] = {"images": [slots.put(image) for image in result.images]}
    if result.mask is not None:
        document["maskImage"] = slots.put(result.mask)
    if result.missing:
        document["error"] = (
            "Some of the generated images have been blocked by our content filters."
            if all(one.reason == "filtered" for one in result.missing)
            else public(result.missing[0].message)
        )
    return document


def _sdxl(result: Result, slots: Slots) -> dict[str, Any]:
    artifacts = [_artifact(image, slots) for image in result.images]
    for gap in sorted(result.missing, key=lambda one: one.index):
        reason = "CONTENT_FILTERED" if gap.reason == "filtered" else "ERROR"
        artifacts.insert(gap.index, {"seed": None, "base64": "", "finishReason": reason})
    return {"result": "success", "artifacts": artifacts}


def _artifact(image: Image, slots: Slots) -> dict[str, Any]:
    return {"seed": image.seed, "base64": slots.put(image), "finishReason": "SUCCESS"}


def _stability(result: Result, slots: Slots) -> dict[str, Any]:
    document: dict[str, Any] = {
        "seeds": [image.seed for image in result.images],
        "finish_reasons": [None] * len(result.images),
        "images": [slots.put(image) for image in result.images],
    }
    if all(seed is None for seed in document["seeds"]):
        del document["seeds"]  # nobody knows them; a made-up number would be taken for one that draws this again
    return document


def found(document: Mapping[str, Any], request_id: str) -> Reply:
    """What was looked up."""
    headers = {"content-type": "application/json", "x-amzn-requestid": request_id}
    return Reply(status=200, body=orjson.dumps(document), headers=headers)


def failed(error: BaseException, dialect: Dialect | None, request_id: str, *, name: str = "") -> Reply:
    """An error in Bedrock's words. ``dialect`` is None when the body could not be read; ``name`` is what was asked for.

    What the makers report inside a 200 (a filtered picture; of Stability's, a filtered prompt) is reported so here, too.
    """
    if isinstance(error, ContentFiltered):
        inside = _filtered(error, dialect)
        if inside is not None:
            return found(inside, request_id)
    status, kind = _kind(error)
    document: dict[str, Any] = {"message": _message(error, status)}
    if kind == "ModelErrorException":
        document |= {"originalStatusCode": _original(error), "resourceName": public(name)[:2048]}
    headers = {"content-type": "application/json", "x-amzn-requestid": request_id, "x-amzn-errortype": kind}
    wait = getattr(error, "retry_after", None)
    if wait is not None and status in (429, 503):
        bounded = max(0.0, min(float(wait), 86_400.0))
        headers |= {"retry-after": str(max(1, math.ceil(bounded))), "x-amz-retry-after": str(math.ceil(bounded * 1000))}
    return Reply(status=status, body=orjson.dumps(document), headers=headers)


def _filtered(error: ContentFiltered, dialect: Dialect | None) -> dict[str, Any] | None:
    """The body of a 200 that says so, None where the maker answers with an error (WIRE.md, section 3)."""
    if dialect is Dialect.STABILITY:
        stage = {"prompt": "prompt", "input_image": "input image"}.get(error.stage, "output image")
        return {"finish_reasons": [f"Filter reason: {stage}"]}
    if error.stage != "output_image":
        return None
    if dialect is Dialect.AMAZON:
        return {"images": [], "error": "All of the generated images have been blocked by our content filters."}
    if dialect is Dialect.SDXL:
        return {
            "result": "success",
            "artifacts": [{"seed": None, "base64": "", "finishReason": "CONTENT_FILTERED"}],
        }
    return None


def _kind(error: BaseException) -> tuple[int, str]:
    """Status and type of an error."""
    if isinstance(error, SignatureError):
        return error.status, error.type
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, RequestError):
        return 400, "ValidationException"
    if not isinstance(error, LascauxError):
        return 424, "ModelErrorException"  # a fault of ours, after who knows what: a 500 would be sent again
    if isinstance(error, AttemptTimeout) and not error.may_be_billed:
        return 503, "ServiceUnavailableException"  # it was never sent
    last = _last(error)
    if isinstance(error, DeadlineExceeded) or last.status in _TIMED_OUT:
        return 408, "ModelTimeoutException"
    if _billed(error):
        return 424, "ModelErrorException"
    if isinstance(error, UnknownAlias) or isinstance(last, ModelRetired):
        return 404, "ResourceNotFoundException"
    if isinstance(last, (CredentialsError, ModelUnavailable)):
        return 424, "ModelErrorException"  # the gateway's own access, which no second try mends and no caller
    if isinstance(last, Throttled):
        return 429, "ThrottlingException"
    return 503, "ServiceUnavailableException"


def _refused(error: Refused) -> tuple[int, str]:
    """What the gateway itself turned away. Money is a quota, which nobody sends again; too many requests are throttled."""
    if error.code == "insufficient_quota":
        return 400, "ServiceQuotaExceededException"
    if error.code == "not_found":
        return 404, "UnknownOperationException"
    known = {
        401: (403, "AccessDeniedException"),
        403: (403, "AccessDeniedException"),
        404: (404, "ResourceNotFoundException"),
        405: (405, "UnknownOperationException"),
        413: (413, "RequestEntityTooLargeException"),
        429: (429, "ThrottlingException"),
        503: (503, "ServiceUnavailableException"),
    }
    return known.get(error.status, (400, "ValidationException"))


def _last(error: LascauxError) -> LascauxError:
    """The error that the last call ended with: of the one deployment there was, or of the last of several."""
    return next((one.error for one in reversed(error.attempts) if one.error is not None), error)


def _billed(error: LascauxError) -> bool:
    """May anything have been paid for? A call that went well may stand before the one that did not."""
    return error.may_be_billed or any(one.may_be_billed or one.outcome == "ok" for one in error.attempts)


def _message(error: BaseException, status: int) -> str:
    if isinstance(error, ContentFiltered):
        text = public(_UPSTREAM.sub("", error.message, count=1))
        return text if "content filters" in text else f"{_INPUT_BLOCKED} {text}"
    if isinstance(error, Rejected):
        return public(_UPSTREAM.sub("", error.message, count=1))
    if isinstance(error, (InvalidRequest, SignatureError)):
        return public(error.message)
    text = failure_of(error).message
    if status == 424 and isinstance(error, LascauxError) and _billed(error) and "billed" not in text:
        text = f"{text}; a picture may have been billed all the same"
    return text


def _original(error: BaseException) -> int:
    """What the model answered with, as far as anybody knows."""
    last = _last(error) if isinstance(error, LascauxError) else None
    upstream = getattr(last, "upstream_status", None)
    return upstream if isinstance(upstream, int) and 400 <= upstream < 600 else 500
