"""What a failed answer of Bedrock means."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.bedrock.faults import clean, fault, request_id_of, retry_after_of
from lascaux.providers.errors import (
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

MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-canvas-v1:0"


def answer(
    status: int, kind: str = "", message: str = "", *, headers: dict[str, str] | None = None, **extra: Any
) -> LascauxError:
    """The error for an answer in AWS's usual form."""
    sent = {"x-amzn-requestid": "req-1", **({"x-amzn-errortype": kind} if kind else {}), **(headers or {})}
    return fault(status, sent, json.dumps({"message": message, **extra}).encode())


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected", "code"),
    [
        (400, "ValidationException", "1 validation error detected", Rejected, "rejected_by_provider"),
        (
            400,
            "ValidationException",
            "Malformed input request: #/textToImageParams/text: expected maxLength: 512, actual: 600, please reformat your "
            "input and try again.",
            Rejected,
            "invalid_parameter",
        ),
        (
            400,
            "ValidationException",
            '{"detail":"Unknown field: foo. Available fields: prompt, seed"}',
            Rejected,
            "invalid_parameter",
        ),
        (
            400,
            "ValidationException",
            "Invocation of model ID stability.stable-fast-upscale-v1:0 with on-demand throughput isn\u2019t supported.",
            ModelUnavailable,
            "on_demand_not_offered",
        ),
        (
            400,
            "ValidationException",
            "The model x doesn't support on-demand throughput",
            ModelUnavailable,
            "on_demand_not_offered",
        ),
        (400, "ValidationException", "The provided MODEL IDENTIFIER is invalid.", ModelUnavailable, "model_identifier"),
        (400, "ValidationException", "Operation not allowed", ModelUnavailable, "operation_not_allowed"),
        (400, "ServiceQuotaExceededException", "Too many", Throttled, "quota"),
        (
            403,
            "AccessDeniedException",
            f"User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:InvokeModel on resource: {MODEL}",
            CredentialsError,
            "access_denied",
        ),
        (
            403,
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
            ModelUnavailable,
            "model_access",
        ),
        (
            403,
            "AccessDeniedException",
            "Your account is not authorized to invoke this API operation.",
            CredentialsError,
            "access_denied",
        ),
        (
            403,
            "AccessDeniedException",
            "Model access is denied: your AWS Marketplace subscription for this model cannot be completed at this time. "
            "Try again after 15 minutes.",
            ModelUnavailable,
            "marketplace",
        ),
        (403, "MPAgreementBeingCreated", "Wait", ModelUnavailable, "marketplace"),
        (403, "UnrecognizedClientException", "The security token is invalid", CredentialsError, "unknown_key"),
        (403, "InvalidSignatureException", "does not match", CredentialsError, "signature"),
        (403, "SignatureDoesNotMatch", "does not match", CredentialsError, "signature"),
        (403, "ExpiredTokenException", "The security token has expired", CredentialsError, "expired"),
        (403, "ExpiredToken", "The security token has expired", CredentialsError, "expired"),
        (400, "IncompleteSignatureException", "no date", CredentialsError, "signature"),
        (403, "MissingAuthenticationTokenException", "Missing", CredentialsError, "signature"),
        (
            404,
            "ResourceNotFoundException",
            "This model version has reached the end of its life. Please refer to the AWS documentation",
            ModelRetired,
            "end_of_life",
        ),
        (
            404,
            "ResourceNotFoundException",
            "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model",
            ModelRetired,
            "legacy_inactive",
        ),
        (404, "ResourceNotFoundException", "Could not resolve the model", ModelUnavailable, "model_unavailable"),
        (404, "UnknownOperationException", "", ModelUnavailable, "model_unavailable"),
        (408, "ModelTimeoutException", "too slow", ModelTimeout, "model_timeout"),
        (429, "ThrottlingException", "Too many requests", Throttled, "throttled"),
        (429, "ModelNotReadyException", "still loading", Throttled, "model_not_ready"),
        (500, "InternalServerException", "", Unavailable, "internal"),
        (503, "ServiceUnavailableException", "", Unavailable, "no_capacity"),
        (529, "overloaded_error", "", Unavailable, "overloaded"),
        # Types nobody told us about: by status.
        (400, "NewException", "x", Rejected, "rejected_by_provider"),
        (401, "", "", CredentialsError, "credentials"),
        (403, "", "no", CredentialsError, "access_denied"),
        (404, "", "", ModelUnavailable, "model_unavailable"),
        (408, "", "", ModelTimeout, "model_timeout"),
        (413, "", "", Rejected, "rejected_by_provider"),
        (429, "", "", Throttled, "throttled"),
        (500, "", "", Unavailable, "unavailable"),
        (502, "", "", Unavailable, "unavailable"),
        (504, "", "", Unavailable, "unavailable"),
        (529, "", "", Unavailable, "overloaded"),
        (301, "", "", BadResponse, "bad_response"),
        (204, "", "", BadResponse, "bad_response"),
        # The type decides, not the status.
        (400, "ThrottlingException", "Rate exceeded", Throttled, "throttled"),
        (500, "ValidationException", "bad", Rejected, "rejected_by_provider"),
    ],
)
def test_every_error_of_bedrock_has_its_meaning(
    status: int, kind: str, message: str, expected: type[LascauxError], code: str
) -> None:
    """Type and message fragment decide; the status only where nothing else is known."""
    error = answer(status, kind, message)
    assert type(error) is expected
    assert error.code == code
    assert error.request_id == "req-1"  # type: ignore[attr-defined]
    assert error.upstream_status == status  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("message", "stage"),
    [
        (
            "Content in the text prompt has been blocked by our content filters. Please adjust your text prompt.",
            "prompt",
        ),
        ("Content in the input image HAS BEEN BLOCKED BY OUR CONTENT FILTERS.", "input_image"),
        (
            "This request has been blocked by our content filters. Our filters automatically flagged this prompt because it "
            "may conflict our AUP or AWS Responsible AI Policy.",
            "prompt",
        ),
        ("Our filters flagged it because it may conflict our AUP.", "prompt"),
    ],
)
def test_blocked_inputs(message: str, stage: str) -> None:
    """A blocked prompt or picture is the content policy's, with the stage, and is not billed."""
    error = answer(400, "ValidationException", message)
    assert isinstance(error, ContentFiltered)
    assert (error.stage, error.may_be_billed) == (stage, False)


def test_a_fragment_counts_only_with_its_type() -> None:
    """What a caller's text might contain does not decide: each fragment belongs to one type."""
    assert type(answer(400, "ValidationException", "expected 'end of its life'")) is Rejected
    assert type(answer(429, "ThrottlingException", "access to the model, end of its life")) is Throttled
    malformed = "Malformed input request: 'blocked by our content filters' has 600 characters"
    assert type(answer(400, "ValidationException", malformed)) is Rejected


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (500, Unavailable),
        (503, Unavailable),
        (429, Unavailable),
        (400, Rejected),
        ("422", Rejected),
        (None, Unavailable),
    ],
)
def test_a_model_error_is_judged_by_what_the_model_said(original: object, expected: type[LascauxError]) -> None:
    """424 carries the model's own status: its 4xx is the request's fault, the rest the model's."""
    error = answer(424, "ModelErrorException", "boom", originalStatusCode=original, resourceName="m")
    assert type(error) is expected
    assert error.code == "model_error"


def test_where_type_and_message_may_stand() -> None:
    """Header with a URL behind a colon, ``__type`` with a namespace, ``Message``, and an ``error`` object are all read."""
    header = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"}
    assert type(fault(429, header, b'{"Message":"slow"}')) is Throttled
    body = b'{"__type":"com.amazon.coral#ServiceQuotaExceededException","message":"q"}'
    assert fault(400, {}, body).code == "quota"
    nested = b'{"error":{"type":"overloaded_error","message":"busy"},"type":"error"}'
    assert "busy" in str(fault(529, {}, nested))


def test_stabilitys_json_in_a_message_is_opened() -> None:
    """The message that is itself JSON shows its detail, not its braces."""
    message = '{"detail":"Unknown field: foo. Available fields: prompt","id":"7"}'
    text = str(answer(400, "ValidationException", message))
    assert text == 'ValidationException (HTTP 400): Unknown field: foo. Available fields: prompt {"id":"7"}'


def test_a_page_that_is_not_bedrocks() -> None:
    """The words of an HTML page are shown without tags and scripts, in one line."""
    page = b"<html><head><style>b{}</style></head>\n<body><h1>502 Bad\nGateway</h1><script>x()</script></body></html>"
    error = fault(502, {"content-type": "text/html"}, page)
    assert str(error) == "error (HTTP 502): 502 Bad Gateway"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-amz-retry-after": "1500", "retry-after": "9"}, 1.5),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, a date, or AWS's milliseconds; never negative, never more than an hour, never an exception."""
    now = 1795348800.0  # 2026-11-22 12:00:00 UTC
    assert retry_after_of(headers, now) == seconds
    error = fault(429, headers, b"{}", now=now)
    assert isinstance(error, Throttled)
    assert error.retry_after == seconds


def test_a_subscription_in_progress_says_when_to_come_back() -> None:
    """Marketplace asks for 15 minutes."""
    error = answer(403, "MPAgreementBeingCreated", "")
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after == 900.0


def test_no_secret_in_a_message() -> None:
    """What AWS echoes of a signature, a token or a key is blotted out, also where we do not know it."""
    token = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
    message = (
        "The request signature we calculated does not match the signature you provided. The Canonical String for this "
        f"request should have been\n'POST\n/model\nx-amz-security-token:{token}\n'"
    )
    error = fault(403, {"x-amzn-errortype": "InvalidSignatureException"}, json.dumps({"message": message}).encode())
    assert token not in str(error)
    assert "Canonical" not in str(error)
    echoed = (
        f"sent AWS4-HMAC-SHA256 Credential=AKID/x, SignedHeaders=host, Signature={'a' * 64} and Bearer {token} here"
    )
    assert clean(echoed) == "sent **** and **** here"
    assert clean("key hunter2-hunter2 leaked", ["hunter2-hunter2"]) == "key **** leaked"
    assert "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl" not in clean("token ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl refused")


@given(
    st.lists(st.text(max_size=200), min_size=4, max_size=4),
    st.lists(st.text(alphabet="ABCDEFGH", min_size=8, max_size=20), min_size=3, max_size=3),
)
def test_a_clean_text_is_short_one_line_and_without_secrets(texts: list[str], secrets: list[str]) -> None:
    """Whatever comes in, a message is one printable line of at most 500 characters that contains no secret."""
    mixed = "".join(text.lower() + secret for text, secret in zip(texts, [*secrets, ""], strict=True))
    cleaned = clean(mixed, secrets)
    assert len(cleaned) <= 500
    assert cleaned.isprintable()
    assert not [secret for secret in secrets if secret in cleaned]


@given(
    status=st.integers(min_value=100, max_value=999).filter(lambda value: value != 200),
    headers=st.dictionaries(
        st.sampled_from(["x-amzn-errortype", "retry-after", "content-type", "x-amzn-requestid", "x-amz-retry-after"]),
        st.text(max_size=60),
    ),
    body=st.binary(max_size=300)
    | st.dictionaries(
        st.sampled_from(["message", "Message", "__type", "error", "originalStatusCode", "detail"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=40), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_no_answer_breaks_the_mapping(status: int, headers: dict[str, str], body: bytes) -> None:
    """Every answer, however odd, becomes one error with one printable line."""
    error = fault(status, headers, body, now=1.0)
    assert isinstance(error, LascauxError)
    assert str(error).isprintable()
    assert len(str(error)) < 800


@pytest.mark.parametrize(
    "text",
    [" ", "a", "#", "<script", "<", "The Canonical ", "bearer ", "AWS4-HMAC-SHA256 ", "signature=a", "\u0085"],
)
def test_a_hostile_text_costs_no_time(text: str) -> None:
    """A megabyte in message, type or page is read in no time, whatever it is made of."""
    text *= 1_000_000 // len(text)
    body = json.dumps({"message": text, "__type": text}).encode()
    started = time.thread_time()
    fault(400, {"x-amzn-errortype": text}, body, secrets=["s" * 40, "t" * 900])
    fault(400, {}, body)
    fault(502, {"content-type": "text/html"}, text.encode())
    assert time.thread_time() - started < 1


def test_a_secret_at_the_cut_is_not_shown() -> None:
    """Where a long text is cut there may be half a secret; so may there be in a type."""
    secret = "hunter2-" * 20
    for spaces in range(19_800, 20_200, 7):
        assert "hunter2" not in clean(f"{' ' * spaces}{secret}{'x' * 30_000}", [secret])
    error = fault(400, {"x-amzn-errortype": "x" * 60 + secret}, b"{}", secrets=[secret])
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("original", ["²", "9" * 5000, "-400", True, 10**18, {"a": 1}, None, [4]])
def test_an_original_status_that_is_none(original: object) -> None:
    """A status that no server has is not known: the model failed."""
    body = json.dumps({"originalStatusCode": original, "message": "x"}).encode()
    error = fault(424, {"x-amzn-errortype": "ModelErrorException"}, body)
    assert (type(error), error.code) == (Unavailable, "model_error")


@pytest.mark.parametrize("field", ["detail", "other"])
def test_a_message_without_a_floor(field: str) -> None:
    """JSON inside a message may be nested deeper than Python goes."""
    inner = '{"detail":"short","' + field + '":' + "[" * 1000 + "]" * 1000 + "}"
    assert "HTTP 400" in str(answer(400, "ValidationException", inner))


@pytest.mark.parametrize(("status", "billed"), [(101, True), (202, True), (204, True), (302, False), (304, False)])
def test_a_status_that_bedrock_does_not_have(status: int, billed: bool) -> None:
    """A success of another kind may be billed; a redirect was no call."""
    error = fault(status, {}, b"")
    assert isinstance(error, BadResponse)
    assert error.may_be_billed is billed


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-amzn-requestid": "0f1e-2d"}, "0f1e-2d"),
        ({"x-amzn-requestid": "a evil: b", "x-amz-request-id": "second"}, "second"),
        ({"x-amzn-requestid": "a\x1b[31m"}, None),
        ({"x-amzn-requestid": "a" * 128}, "a" * 128),
        ({"x-amzn-requestid": "a" * 129}, None),
        ({"x-amzn-requestid": "é"}, None),
        ({"x-amzn-requestid": "a\n"}, None),
        ({}, None),
    ],
)
def test_a_request_id_is_an_id(headers: dict[str, str], found: str | None) -> None:
    """What is put into logs and answers is short and visible, or not taken over."""
    assert request_id_of(headers) == found
