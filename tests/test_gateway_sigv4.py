"""The gateway's check of AWS signatures, against botocore's signer: what it signs is let in, anything else is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux import Config
from lascaux.gateway.sigv4 import Pair, SignatureError, Signed, Verifier
from lascaux.providers.types import Secret
from lascaux.router.errors import ConfigError
from pydantic import SecretStr

KEY_ID, SECRET = "TEAM-A", "a-secret-of-team-a-in-a-test"
MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-canvas-v1:0"
BODY = b'{"prompt": "an otter"}'


def signed(
    path: str = f"/model/{quote(MODEL, safe='')}/invoke",
    body: bytes = BODY,
    *,
    method: str = "POST",
    secret: str = SECRET,
    service: str = "bedrock",
    token: str | None = None,
    query: str = "",
    content: str | None = None,
) -> Signed:
    """A request as botocore signs it, as a server sees it."""
    headers = {} if content is None else {"X-Amz-Content-SHA256": content}
    request = AWSRequest(
        method=method, url=f"https://gateway:4000{path}{query and '?'}{query}", data=body, headers=headers
    )
    SigV4Auth(Credentials(KEY_ID, secret, token), service, "us-east-1").add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    found = [
        (name.lower(), value if isinstance(value, str) else value.decode()) for name, value in prepared.headers.items()
    ]
    return Signed(
        method=method, path=parts.path, query=parts.query, headers=[("host", "gateway:4000"), *found], body=body
    )


def verifier(**more: Any) -> Verifier:
    return Verifier([Pair(access_key_id=KEY_ID, secret=Secret(SECRET), key="team-a")], **more)


def refusal(request: Signed, **more: Any) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        verifier(**more).verify(request)
    assert SECRET not in str(caught.value)
    return caught.value


def changed(request: Signed, name: str, value: str | None) -> Signed:
    """The same with another value of a header, or without it."""
    kept = [(given, old) for given, old in request.headers if given != name]
    return replace(request, headers=kept if value is None else [*kept, (name, value)])


def authorization(request: Signed, old: str, new: str) -> Signed:
    return changed(request, "authorization", (request.header("authorization") or "").replace(old, new))


def test_what_botocore_signs_is_let_in() -> None:
    """Under the name of the key that the pair stands for; headers that are not signed may be added on the way."""
    assert verifier().verify(signed()) == "team-a"
    assert (
        verifier().verify(signed("/foundation-models", b"", method="GET", query="byProvider=Amazon&x=a%20b"))
        == "team-a"
    )
    assert verifier().verify(signed(token="a-session-token")) == "team-a"
    assert verifier().verify(changed(signed(), "x-amzn-trace-id", "Root=1")) == "team-a"


SEGMENT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


@settings(max_examples=60)
@given(SEGMENT, st.dictionaries(SEGMENT, SEGMENT, max_size=3), st.binary(max_size=50))
def test_any_model_id_query_and_body_can_be_signed(model: str, query: dict[str, str], body: bytes) -> None:
    """Both sides agree on how they are written down."""
    encoded = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    path = f"/model/{quote(model, safe='') if model not in ('.', '..') else 'x'}/invoke"
    request = signed(path, body, query=encoded)
    assert verifier().verify(request) == "team-a"
    assert refusal(replace(request, body=body + b"x")).type == "InvalidSignatureException"


@pytest.mark.parametrize(
    "request_",
    [
        replace(signed(), body=b'{"prompt": "another"}'),
        replace(signed(), path="/model/hero/invoke"),
        replace(signed(), query="x=1"),
        replace(signed(), method="PUT"),
        changed(signed(), "host", "elsewhere"),
        changed(signed(), "x-amz-new", "1"),
        changed(signed(), "x-amz-security-token", "1"),
        signed(secret="the-secret-of-somebody-else"),
        signed(service="s3"),
        authorization(signed(), "SignedHeaders=host;", "SignedHeaders="),
        authorization(signed(), "us-east-1", "us-west-2"),
        changed(signed(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ],
)
def test_whatever_was_changed_is_noticed(request_: Signed) -> None:
    """Body, path, query, method, host, headers of AWS's, scope."""
    error = refusal(request_)
    assert (error.type, error.status) == ("InvalidSignatureException", 403)


@pytest.mark.parametrize(
    ("text", "type", "status"),
    [
        ("", "MissingAuthenticationTokenException", 403),
        ("Basic abc", "MissingAuthenticationTokenException", 403),
        ("AWS4-ECDSA-P256-SHA256 Credential=x", "MissingAuthenticationTokenException", 403),
        ("AWS4-HMAC-SHA256 ", "IncompleteSignatureException", 400),
        ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=x", "IncompleteSignatureException", 400),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/bedrock/aws4_request, Signature=x",
            "IncompleteSignatureException",
            400,
        ),
        ("AWS4-HMAC-SHA256 " + "x" * 9000, "MissingAuthenticationTokenException", 403),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/bedrock/aws4_request, SignedHeaders=Host;, Signature=\xff",
            "IncompleteSignatureException",
            400,
        ),
    ],
)
def test_a_header_that_is_no_signature_is_refused(text: str, type: str, status: int) -> None:
    """With AWS's types."""
    error = refusal(changed(signed(), "authorization", text))
    assert (error.type, error.status) == (type, status)


def test_an_unknown_key_is_no_different_until_the_end() -> None:
    """A wrong id, and the right signature of another secret, are both refused."""
    assert refusal(authorization(signed(), KEY_ID, "TEAM-X")).type == "UnrecognizedClientException"
    assert refusal(signed(secret="no such key")).type == "InvalidSignatureException"
    assert refusal(authorization(signed(secret="no such key"), KEY_ID, "TEAM-X")).type == "UnrecognizedClientException"


@pytest.mark.parametrize(("minutes", "word"), [(15.5, "expired"), (-15.5, "not yet current")])
def test_a_date_is_good_for_fifteen_minutes(minutes: float, word: str) -> None:
    """Before and after."""
    near = timedelta(minutes=minutes) * 0.9
    assert verifier(clock=lambda: datetime.now(UTC) + near).verify(signed()) == "team-a"
    error = refusal(signed(), clock=lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    assert word in error.message


@pytest.mark.parametrize("stamp", [None, "", "yesterday", "20260101T000000Z"])
def test_the_date_must_be_there_and_fit_the_scope(stamp: str | None) -> None:
    """No date, no date at all, that of another day."""
    assert refusal(changed(signed(), "x-amz-date", stamp)).type in (
        "IncompleteSignatureException",
        "InvalidSignatureException",
    )


def test_an_unsigned_payload_is_let_in_only_on_request() -> None:
    """And then a digest that is said must still be this body's."""
    unsigned = signed(content="UNSIGNED-PAYLOAD")
    assert "not accepted" in refusal(unsigned).message
    assert verifier(unsigned_payload=True).verify(unsigned) == "team-a"
    assert verifier(unsigned_payload=True).verify(replace(unsigned, body=b"x")) == "team-a"
    said = signed(content="0" * 64)
    assert "does not match" in refusal(said, unsigned_payload=True).message


def test_pairs_come_from_the_configuration_and_are_not_shown() -> None:
    """Each with the key for which it stands."""
    pair = {"access_key_id": KEY_ID, "secret": SECRET, "key": "team-a"}
    config = Config.from_mapping(
        {
            "deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}},
            "server": {"keys": [{"name": "team-a", "key": "a-key-of-team-a-in-a-test"}], "sigv4": [pair]},
        }
    )
    assert Verifier.of(config.server).verify(signed()) == "team-a"
    servers = [config.server]
    following = Verifier.of(config.server).follow(lambda: servers[-1])
    assert following.verify(signed()) == "team-a"
    servers.append(config.server.model_copy(update={"sigv4": ()}))
    with pytest.raises(SignatureError, match="security token"):
        following.verify(signed())
    assert SECRET not in repr(config.server)
    assert SECRET not in repr(Pair(access_key_id=KEY_ID, secret=Secret(SECRET), key="team-a"))


PLAIN = """deployments:
  core: {model: "stability.stable-image-core-v1:1", region: us-west-2}
server:
  keys: [{name: team-a, key: "${KEY:-}"}]
  sigv4: [%s]
"""


def loaded(tmp_path: Path, pairs: str, **env: str) -> Config:
    (tmp_path / "lascaux.yaml").write_text(PLAIN % pairs, encoding="utf-8")
    return Config.load(tmp_path / "lascaux.yaml", env={"KEY": "a-key-of-team-a-in-a-test", **env})


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("${NONE:-a-published-default-secret}", "secret: is written in the file"),
        ("a-secret-that-is-written-down", "secret: is written in the file"),
        ("prefix-of-sixteen-${WEAK}", "secret: is written in the file"),
        ("${WEAK}", "secret: must have at least 16 characters"),
        ("${WEAK:-}", "secret: must have at least 16 characters"),
    ],
)
def test_a_secret_that_is_known_or_can_be_guessed_is_refused(tmp_path: Path, secret: str, said: str) -> None:
    """By whoever reads the file, without repeating it."""
    with pytest.raises(ConfigError, match=said) as caught:
        loaded(tmp_path, f'{{access_key_id: TEAM-A, secret: "{secret}", key: team-a}}', WEAK="hunter2")
    assert "hunter2" not in str(caught.value)
    assert "published-default" not in str(caught.value)


def test_pairs_are_judged_together(tmp_path: Path) -> None:
    """An id stands for one pair, and a pair for a key that there is."""
    one = '{access_key_id: TEAM-A, secret: "${S}", key: %s}'
    with pytest.raises(ConfigError, match="is the id of another pair"):
        loaded(tmp_path, f"{one % 'team-a'}, {one % 'team-a'}", S=SECRET)
    with pytest.raises(ConfigError, match=r"must be the name of a key in server\.keys"):
        loaded(tmp_path, one % "team-x", S=SECRET)


def test_an_empty_secret_stops_the_start_and_changes_no_pair_later(tmp_path: Path) -> None:
    """The file is read all the same: other programs have no need of the secret."""
    pair = '{access_key_id: TEAM-A, secret: "${S:-}", key: team-a}'
    good, empty, told = loaded(tmp_path, pair, S=SECRET), loaded(tmp_path, pair), list[str]()
    with pytest.raises(ConfigError, match=r"server\.sigv4\[0\]\.secret: is empty"):
        Verifier.of(empty.server)
    servers = [good.server]
    following = Verifier.of(good.server).follow(lambda: servers[-1], told.append)
    servers.append(empty.server)
    assert following.verify(signed()) == following.verify(signed()) == "team-a"
    (message,) = told
    assert "still count" in message
    unchecked = good.server.sigv4[0].model_copy(update={"secret": SecretStr("short")})
    with pytest.raises(ConfigError, match="at least 16"):
        Verifier.of(good.server.model_copy(update={"sigv4": (unchecked,)}))
