"""The emulator's credential checks, against botocore's signer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from lascaux.emulator import sigv4
from lascaux.emulator.callers import Callers
from lascaux.emulator.errors import BedrockError
from lascaux.emulator.request import Request

HOST = "127.0.0.1:4001"
PATH = "/model/" + quote("stability.stable-image-core-v1:1", safe="") + "/invoke"


def signed(
    *,
    method: str = "POST",
    path: str = PATH,
    query: str = "",
    body: bytes = b'{"prompt":"x"}',
    secret: str = "secret",
    key_id: str = "AKID",
    token: str | None = None,
    region: str = "us-west-2",
    service: str = "bedrock",
    headers: dict[str, str] | None = None,
) -> Request:
    """A request signed by botocore, as the emulator reads it from the wire."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(
        method=method, url=url, data=body, headers={"Content-Type": "application/json", **(headers or {})}
    )
    SigV4Auth(Credentials(key_id, secret, token), service, region).add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    names = [(name.lower(), _text(value)) for name, value in prepared.headers.items()]
    return Request(
        method=method,
        path=parts.path,
        query=parts.query,
        headers=[("host", HOST), *names],
        body=body,
        body_length=len(body),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def changed(request: Request, *, drop: str = "", **headers: str) -> Request:
    """The same request with other headers."""
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    kept = [(key, value) for key, value in request.headers if key != drop and key not in names]
    return Request(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=[*kept, *names.items()],
        body=request.body,
    )


def callers(**options: Any) -> Callers:
    """Callers that know one key and one bearer token, at the current time unless told otherwise."""
    known: dict[str, Any] = {
        "keys": {"AKID": "secret"},
        "session_tokens": {},
        "bearer_tokens": ("token",),
        "allow_plain_bearer": False,
        "accept_any_signature": False,
        "clock": lambda: datetime.now(UTC),
    }
    return Callers(**{**known, **options})


def refusal(request: Request, *, secure: bool = False, **options: Any) -> BedrockError:
    """The error that a request is refused with."""
    with pytest.raises(BedrockError) as caught:
        callers(**options).admit(request, secure=secure)
    return caught.value


IDS = st.sampled_from(
    [
        "amazon.nova-canvas-v1:0",
        "us.stability.stable-image-inpaint-v1:0",
        "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0",
        "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.titan-image-generator-v2:0",
    ]
)


@given(
    model=IDS
    | st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="?#"), min_size=1, max_size=40),
    body=st.binary(max_size=300),
    note=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    token=st.none() | st.text("abc/+=", min_size=1, max_size=20),
    query=st.lists(
        st.tuples(st.sampled_from("abc"), st.text("xyz ~/", max_size=4)), max_size=3, unique_by=lambda pair: pair[0]
    ),
)
def test_what_botocore_signs_is_admitted(
    model: str, body: bytes, note: str, token: str | None, query: list[tuple[str, str]]
) -> None:
    """Any path, body, header and query that botocore signs verifies, and the region is that of the scope."""
    if model in (".", ".."):
        model = "dots"
    request = signed(
        path=f"/model/{quote(model, safe='')}/invoke",
        query="&".join(f"{name}={quote(value, safe='')}" for name, value in query),
        body=body,
        token=token,
        headers={"X-Amzn-Bedrock-Request-Metadata": note},
    )
    assert callers().admit(request, secure=False).region == "us-west-2"


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-northeast-1"])
def test_the_region_is_read_from_the_scope(region: str) -> None:
    """Each region of the credential scope is returned as it was signed."""
    caller = callers().admit(signed(region=region), secure=False)
    assert (caller.region, caller.key_id) == (region, "AKID")


def test_botocore_agrees_on_the_canonical_request() -> None:
    """Not only the digest: the text that is signed is the same, with the path encoded twice."""
    request = AWSRequest(
        method="POST", url=f"http://{HOST}{PATH}", data=b"{}", headers={"X-Amz-Date": "20261122T101112Z", "Host": HOST}
    )
    theirs = SigV4Auth(Credentials("AKID", "secret"), "bedrock", "us-west-2").canonical_request(request)
    headers = [("host", HOST), ("x-amz-date", "20261122T101112Z")]
    ours = sigv4.canonical_request("POST", PATH, "", headers, ("host", "x-amz-date"), b"{}")
    assert ours == theirs
    assert "%253A1" in ours


@pytest.mark.parametrize(
    ("make", "status", "error_type", "fragment"),
    [
        (
            lambda: Request(method="POST", path=PATH),
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        (
            lambda: Request(method="POST", path=PATH, headers=[("authorization", "Basic eHg6eHg=")]),
            403,
            "MissingAuthenticationTokenException",
            "Missing",
        ),
        (lambda: signed(secret="other"), 403, "InvalidSignatureException", "does not match the signature you provided"),
        (
            lambda: signed(key_id="NOBODY"),
            403,
            "UnrecognizedClientException",
            "security token included in the request is invalid",
        ),
        (lambda: signed(service="s3"), 403, "InvalidSignatureException", "scoped to correct service: 'bedrock'"),
        (
            lambda: changed(
                signed(), authorization="AWS4-HMAC-SHA256 Credential=AKID/20261122/us-west-2/bedrock/aws4_request"
            ),
            400,
            "IncompleteSignatureException",
            "'SignedHeaders'",
        ),
        (
            lambda: changed(
                signed(), authorization="AWS4-HMAC-SHA256 Credential=AKID/bedrock, SignedHeaders=host, Signature=00"
            ),
            400,
            "IncompleteSignatureException",
            "5 slash-delimited",
        ),
        (lambda: changed(signed(), drop="x-amz-date"), 400, "IncompleteSignatureException", "X-Amz-Date"),
        (lambda: changed(signed(), x_amz_date="yesterday"), 400, "IncompleteSignatureException", "X-Amz-Date"),
        (
            lambda: changed(signed(), x_amz_date="20200101T000000Z"),
            403,
            "InvalidSignatureException",
            "Credential scope",
        ),
        (
            lambda: changed(signed(), x_amz_security_token="smuggled"),
            403,
            "InvalidSignatureException",
            "'x-amz-security-token' must be",
        ),
        (lambda: changed(signed(), x_amz_extra="1"), 403, "InvalidSignatureException", "'x-amz-extra' must be"),
        (lambda: changed(signed(), host="elsewhere"), 403, "InvalidSignatureException", "does not match"),
        (lambda: changed(signed(), content_type="text/plain"), 403, "InvalidSignatureException", "does not match"),
    ],
)
def test_bad_credentials_get_the_error_of_aws(
    make: Callable[[], Request], status: int, error_type: str, fragment: str
) -> None:
    """Missing, wrong and incomplete credentials each have AWS's status, type and words."""
    error = refusal(make())
    assert (error.status, error.error_type) == (status, error_type)
    assert fragment in error.message


def test_a_changed_body_path_or_method_breaks_the_signature() -> None:
    """What is signed can not be altered on its way."""
    good = signed()
    for other in (
        Request(method="POST", path=good.path, headers=good.headers, body=b'{"prompt":"y"}'),
        Request(method="POST", path=good.path.replace("core", "ultra"), headers=good.headers, body=good.body),
        Request(method="PUT", path=good.path, headers=good.headers, body=good.body),
        Request(method="POST", path=good.path, query="a=b", headers=good.headers, body=good.body),
    ):
        assert refusal(other).error_type == "InvalidSignatureException"


def test_a_path_signed_with_one_encoding_is_refused() -> None:
    """The classic mistake of hand-written signers: signing the path as it is sent."""
    scope = sigv4.Scope(
        key_id="AKID",
        day="20261122",
        region="us-west-2",
        service="bedrock",
        signed_headers=("host", "x-amz-date"),
        signature="",
    )
    stamp = "20261122T101112Z"
    headers = [("host", HOST), ("x-amz-date", stamp)]
    right = sigv4.canonical_request("POST", PATH, "", headers, scope.signed_headers, b"")
    wrong = right.replace("%25", "%")
    noon = datetime(2026, 11, 22, 10, 11, 12, tzinfo=UTC)
    for canonical, good in ((right, True), (wrong, False)):
        mark = sigv4.signature("secret", scope, stamp, canonical)
        value = f"{sigv4.ALGORITHM} Credential=AKID/{scope.text}, SignedHeaders=host;x-amz-date, Signature={mark}"
        request = Request(method="POST", path=PATH, headers=[*headers, ("authorization", value)])
        if good:
            assert callers(clock=lambda: noon).admit(request, secure=False).key_id == "AKID"
        else:
            assert refusal(request, clock=lambda: noon).error_type == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("minutes", "fragment"), [(-5.1, "not yet current"), (-4.9, None), (4.9, None), (5.1, "Signature expired")]
)
def test_the_date_may_be_five_minutes_off(minutes: float, fragment: str | None) -> None:
    """Older and newer signatures than that are refused, each with its own words."""
    clock = lambda: datetime.now(UTC) + timedelta(minutes=minutes)  # noqa: E731
    if fragment is None:
        assert callers(clock=clock).admit(signed(), secure=False).key_id == "AKID"
    else:
        assert fragment in refusal(signed(), clock=clock).message


def test_a_session_token_must_be_the_one_that_belongs_to_the_key() -> None:
    """A key with a token is refused without it or with another; a key without one takes any signed token."""
    temporary: dict[str, Any] = {"session_tokens": {"AKID": "session"}}
    assert callers(**temporary).admit(signed(token="session"), secure=False).key_id == "AKID"
    assert refusal(signed(token="other"), **temporary).error_type == "UnrecognizedClientException"
    assert refusal(signed(), **temporary).error_type == "UnrecognizedClientException"
    assert callers().admit(signed(token="anything"), secure=False).key_id == "AKID"


def test_unknown_keys_are_let_in_when_asked_for_but_known_ones_are_still_verified() -> None:
    """accept_any_signature looks at the form of foreign signatures and at the whole of known ones."""
    loose: dict[str, Any] = {"accept_any_signature": True}
    assert callers(**loose).admit(signed(key_id="FOREIGN", secret="whatever"), secure=False).key_id == "FOREIGN"
    assert refusal(signed(secret="wrong"), **loose).error_type == "InvalidSignatureException"
    assert refusal(signed(key_id="FOREIGN", service="s3"), **loose).error_type == "InvalidSignatureException"
    garbled = signed(key_id="FOREIGN")
    value = (garbled.header("authorization") or "")[:-4] + "zzzz"
    assert refusal(changed(garbled, authorization=value), **loose).error_type == "InvalidSignatureException"


def test_a_key_can_be_added_later() -> None:
    """A key that a token service has just issued works from then on, with its token only."""
    known = callers()
    known.add("ASIA", "fresh", "session")
    assert known.admit(signed(key_id="ASIA", secret="fresh", token="session"), secure=False).key_id == "ASIA"
    with pytest.raises(BedrockError):
        known.admit(signed(key_id="ASIA", secret="fresh"), secure=False)


def test_bearer_tokens_need_tls_or_an_explicit_option() -> None:
    """A token over plain HTTP is refused, unless allowed; an unknown one always."""
    bearer = Request(method="POST", path=PATH, headers=[("authorization", "Bearer token"), ("host", HOST)])
    foreign = Request(method="POST", path=PATH, headers=[("authorization", "Bearer guess")])
    assert "TLS" in refusal(bearer).message
    assert callers().admit(bearer, secure=True).region is None
    assert callers(allow_plain_bearer=True).admit(bearer, secure=False).key_id == "bearer"
    error = refusal(foreign, secure=True)
    assert (error.status, error.error_type) == (403, "AccessDeniedException")


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock.us-east-2.localhost:4001", "us-east-2"),
        ("localhost:4001", None),
    ],
)
def test_a_bearer_call_takes_its_region_from_the_host_name(host: str, region: str | None) -> None:
    """There is no credential scope in a bearer call."""
    request = Request(method="POST", path=PATH, headers=[("authorization", "Bearer token"), ("host", host)])
    assert callers().admit(request, secure=True).region == region


def test_botocore_is_the_version_that_signs_like_a_client() -> None:
    """The signer under test is the one that a bedrock-runtime client uses."""
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    assert (model.signature_version, model.signing_name) == ("v4", "bedrock")
