"""The errors that Bedrock answers with: type, HTTP status, and how they look on the wire.

Sources: botocore's service model of bedrock-runtime 2023-09-30 (operation InvokeModel), AWS's page on API error
    codes, and message
texts recorded by third parties from the live service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

__all__ = ["DEFAULT_MESSAGES", "STATUS_TYPES", "BedrockError", "malformed", "rejected"]

_BEDROCK_TAIL = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
_FRONT_TAIL = ":http://internal.amazon.com/coral/com.amazon.coral.service/"
_FRONT_TYPES = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnknownOperationException",
        "UnrecognizedClientException",
    }
)

STATUS_TYPES: Mapping[int, str] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    529: "overloaded_error",
}
"""The usual error type of each HTTP status."""

DEFAULT_MESSAGES: Mapping[str, str] = {
    "AccessDeniedException": "You don't have access to the model with the specified model ID.",
    "ExpiredTokenException": "The security token included in the request is expired",
    "InternalServerException": "The system encountered an unexpected error during processing. Try your request again.",
    "ModelErrorException": "The model returned an error while processing the request.",
    "ModelNotReadyException": "Model is not ready for inference. Wait and try your request again.",
    "ModelTimeoutException": "Model has timed out in processing the request. Try your request again.",
    "ResourceNotFoundException": "This model version has reached the end of its life. "
    "Please refer to the AWS documentation for more details.",
    "ServiceQuotaExceededException": "Your request exceeds the service quota for your account.",
    "ServiceUnavailableException": "Bedrock is unable to process your request.",
    "ThrottlingException": "Too many requests, please wait before trying again.",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
    "overloaded_error": "The model is overloaded. Please try again later.",
}


class BedrockError(Exception):
    """An error answer. ``extra`` are further members of the JSON body, ``retry_after`` becomes a header (seconds)."""

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        extra: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.extra = dict(extra or {})
        self.retry_after = retry_after

    @property
    def type_header(self) -> str:
        """The value of ``x-amzn-ErrorType``: the name and the tail that the live service appends."""
        return self.error_type + (_FRONT_TAIL if self.error_type in _FRONT_TYPES else _BEDROCK_TAIL)

    def body(self) -> bytes:
        """The JSON document: ``message``, or ``Message`` for a denial by IAM, as seen on the live service."""
        key = "Message" if "is not authorized to perform" in self.message else "message"
        return orjson.dumps({key: self.message, **self.extra})


def rejected(message: str) -> BedrockError:
    """A ValidationException with this text."""
    return BedrockError(400, "ValidationException", message)


def malformed(*violations: str) -> BedrockError:
    """The answer to a body that breaks the model's JSON schema.

    One violation is spelt out (``#/field: rule``); of several only the number is told, as the live service does.
    """
    what = violations[0] if len(violations) == 1 else f"{len(violations)} schema violations found"
    return rejected(f"Malformed input request: {what}, please reformat your input and try again.")
