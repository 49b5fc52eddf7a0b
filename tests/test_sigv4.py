"""Our signature is botocore's, byte by byte."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.bedrock.ids import encode
from lascaux.providers.bedrock.keys import Keys
from lascaux.providers.bedrock.sigv4 import sign

NAMES = st.sampled_from(
    ["accept", "content-type", "x-amzn-bedrock-guardrailidentifier", "X-Amzn-Bedrock-GuardrailVersion", "user-agent"]
)
VALUES = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
KEYS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
MODELS = st.text(min_size=1, max_size=40) | st.just(
    "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-canvas-v1:0"
)
HOSTS = st.sampled_from(["bedrock-runtime.us-east-1.amazonaws.com", "127.0.0.1:4001", "[::1]:4001"])


def _botocore(
    keys: Keys, path: str, headers: dict[str, str], body: bytes, region: str, now: float, service: str
) -> dict[str, str]:
    """What botocore adds to the same request at the same time."""
    host = headers["host"]
    request = AWSRequest("POST", f"http://{host}{path}", headers=headers, data=body)
    credentials = ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(now, tz=UTC)):
        SigV4Auth(credentials, service, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    access_key=KEYS,
    secret_key=KEYS,
    token=st.none() | KEYS,
    model=MODELS,
    headers=st.dictionaries(NAMES, VALUES),
    host=HOSTS,
    body=st.binary(max_size=200),
    region=st.sampled_from(["us-east-1", "eu-west-1", "cn-north-1"]),
    now=st.integers(min_value=0, max_value=4_000_000_000),
)
def test_the_signature_is_botocores(
    access_key: str,
    secret_key: str,
    token: str | None,
    model: str,
    headers: dict[str, str],
    host: str,
    body: bytes,
    region: str,
    now: int,
) -> None:
    """For any keys, model, headers, body and time, the added headers equal those of botocore's signer."""
    keys = Keys(access_key, secret_key, token)
    path = f"/model/{encode(model)}/invoke"
    sent = headers | {"host": host}
    theirs = _botocore(keys, path, dict(sent), body, region, now, "bedrock")
    ours = sign(keys, path=path, headers=sent, body=body, region=region, now=now)
    assert {name: theirs[name] for name in ours} == ours
    assert set(ours) == {"x-amz-date", "authorization"} | ({"x-amz-security-token"} if token else set())


def test_signing_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Not even at DEBUG does a signature, a canonical request or a session token reach a log."""
    with caplog.at_level(logging.DEBUG):
        sign(Keys("AKID", "secret", "token"), path="/", headers={"host": "h"}, body=b"", region="us-east-1", now=0)
    assert not caplog.records


def test_a_new_day_has_a_new_key() -> None:
    """The cached key is that of a day: one second after midnight the signature is botocore's still."""
    keys = Keys("AKID", "secret")
    for now in (86_399, 86_400):
        sent = {"host": "h"}
        ours = sign(keys, path="/model/a/invoke", headers=sent, body=b"{}", region="us-east-1", now=now)
        assert (
            ours["authorization"]
            == _botocore(keys, "/model/a/invoke", sent, b"{}", "us-east-1", now, "bedrock")["authorization"]
        )
