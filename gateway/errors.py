"""From errors to OpenAI's envelope: status, code, and whether asking again may cost a second time.

OpenAI's clients choose the exception's class by the status, and send a request again on 408, 409, 429 and from 500 on
unless ``x-should-retry`` says ``false`` (read in openai-python 3.54 and openai-node 6.49). That header is how a picture that
may have been billed is not billed twice.
"""

from __future__ import annotations

import math
import re
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
    RequestError,
    Throttled,
)
from ..router.errors import DeadlineExceeded, NoDeploymentAvailable, RoutingError, UnknownAlias
from ..router.interest import CLIENT_LEFT

__all__ = ["Failure", "Refused", "Stopped", "failure_of", "public"]

_ACCOUNT = re.compile(
    # The ARN of AWS's own model has no account number, and is known to everybody.
    r"arn:aws[a-z-]*:(?!bedrock:[a-z0-9-]*::foundation-model/)[^\s'\",]+|(?<!\d)\d{12}(?!\d)|\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}"
)
_LONGEST = 2000
_INTERNAL = "the gateway failed; its log says why"
_NO_ACCESS = "the gateway has no access to the model; whoever runs it finds the reason in its log"


class Refused(LascauxError):
    """The gateway itself turns a request away, before anybody is asked.

    ``type`` is OpenAI's kind of error. ``should_retry`` tells OpenAI's clients whether to send it again by themselves.
    """

    default_code = "refused"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        type: str = "invalid_request_error",
        parameter: str | None = None,
        retry_after: float | None = None,
        should_retry: bool = False,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status  # type: ignore[misc]  # the class fact is only the default here
        self.type = type
        self.parameter = parameter
        self.retry_after = retry_after
        """Seconds."""
        self.should_retry = should_retry


class Stopped(LascauxError):
    """The gateway ends while a request is under way. Its call may still end well, and then it is booked."""

    status = 502
    default_code = "gateway_stopped"
    default_may_be_billed = True

    def __init__(self, message: str = "the gateway was stopped before the answer came") -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer that is an error. ``retry_after`` is in seconds; ``more`` goes beside OpenAI's four fields."""

    status: int
    message: str
    type: str
    code: str | None = None
    param: str | None = None
    should_retry: bool = False
    retry_after: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def body(self) -> bytes:
        """OpenAI's envelope."""
        plain = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return orjson.dumps({"error": plain | ({"lascaux": self.more} if self.more else {})})

    def headers(self) -> dict[str, str]:
        """What tells clients whether and when to ask again."""
        told = {"x-should-retry": "true" if self.should_retry else "false"}
        if self.retry_after is not None:
            told["retry-after"] = str(max(1, math.ceil(min(self.retry_after, 86_400.0))))
            told["retry-after-ms"] = str(math.ceil(min(self.retry_after, 86_400.0) * 1000))
        return told


def public(text: str) -> str:
    """The text without what is nobody's business: accounts, ARNs of what is in them and key ids become ``***``."""
    return _ACCOUNT.sub("***", text)[:_LONGEST]


def failure_of(error: BaseException) -> Failure:
    """How an error is told to a client: nothing of AWS's own words about accounts, never a traceback."""
    if isinstance(error, Refused):
        return Failure(
            status=error.status,
            message=error.message,
            type=error.type,
            code=error.code,
            param=error.parameter,
            should_retry=error.should_retry,
            retry_after=error.retry_after,
        )
    if isinstance(error, RequestError):
        return _callers_fault(error)
    if isinstance(error, LascauxError):
        return _our_fault(error)
    return Failure(status=500, message=_INTERNAL, type="server_error", code="internal_error")


def _callers_fault(error: RequestError) -> Failure:
    more = {}
    if isinstance(error, ContentFiltered):
        code, more = "content_policy_violation", {"stage": error.stage}
    else:
        code = error.code
    if isinstance(error, InvalidRequest):
        more = {name: value for name in ("allowed", "nearest") if (value := getattr(error, name)) is not None}
    return Failure(
        status=400,
        message=public(error.message),
        type="invalid_request_error",
        code=code,
        param=getattr(error, "parameter", None),
        more=more | _story(error),
    )


def _our_fault(error: LascauxError) -> Failure:
    """A routing error, or that of the one deployment there was. What may have been billed is never asked for again."""
    last = error.attempts[-1].error if error.attempts else error
    wait = getattr(error, "retry_after", None)
    if isinstance(error, UnknownAlias) or isinstance(last, ModelRetired):
        told = public(error.message) if isinstance(error, UnknownAlias) else _attempts(error)
        return Failure(status=404, message=told, type="invalid_request_error", code="model_not_found", param="model")
    if isinstance(last, (CredentialsError, ModelUnavailable)) and not error.may_be_billed:
        return _server(error, 503, last.code, _NO_ACCESS, again=False)
    if error.code == CLIENT_LEFT or (isinstance(error, AttemptTimeout) and not error.may_be_billed):
        return _server(error, 503, error.code, public(error.message), again=True)
    if isinstance(error, DeadlineExceeded):
        return _server(error, 504, error.code, _attempts(error), again=False)
    if error.may_be_billed:
        return _server(error, 502, error.code, f"{_attempts(error)}; it may have been billed all the same", again=False)
    if isinstance(last, Throttled) or (isinstance(error, NoDeploymentAvailable) and wait is not None):
        return Failure(
            status=429,
            message=_attempts(error),
            type="rate_limit_error",
            code="rate_limit_exceeded",
            should_retry=True,
            retry_after=wait,
            more=_story(error),
        )
    if isinstance(error, RoutingError):
        return _server(error, 503 if error.status == 503 else 502, error.code, _attempts(error), again=True, wait=wait)
    return _server(error, 500, error.code, _INTERNAL, again=False)


def _server(
    error: LascauxError, status: int, code: str, message: str, *, again: bool, wait: float | None = None
) -> Failure:
    return Failure(
        status=status,
        message=message,
        type="server_error",
        code=code,
        should_retry=again,
        retry_after=wait,
        more=_story(error),
    )


def _attempts(error: LascauxError) -> str:
    """The error in our words: who was asked and how that ended, not what AWS wrote about it."""
    if not error.attempts:
        return public(error.message)
    headline = error.message.partition(f": {error.attempts[0]}")[0]
    return public(f"{headline}: {'; '.join(map(str, error.attempts))}")


def _story(error: LascauxError) -> dict[str, Any]:
    """The attempts for a program to read."""
    if not error.attempts:
        return {}
    told = [
        {
            "deployment": attempt.deployment,
            "model": attempt.model,
            "region": attempt.region,
            "outcome": attempt.outcome,
            "duration": round(attempt.duration, 3),
            "may_be_billed": attempt.may_be_billed,
        }
        for attempt in error.attempts
    ]
    return {"attempts": told, "may_be_billed": error.may_be_billed}
