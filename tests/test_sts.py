"""Assumed roles and web identities, against moto's STS over HTTP."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from lascaux.emulator import Emulator
from lascaux.providers.bedrock.credentials import Keyring
from lascaux.providers.bedrock.keys import Keys
from lascaux.providers.bedrock.provider import Bedrock
from lascaux.providers.bedrock.transport import Transport
from lascaux.providers.errors import ConnectionFailed, CredentialsError, Throttled, Unavailable
from lascaux.providers.types import Credentials, ImageRequest, Secret, Target
from moto.server import ThreadedMotoServer
from moto.sts.models import sts_backends

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/images"
EXTERNAL_ID = "external-id-planted"
SECRET = "base-secret-planted"
SESSION = "base-token-planted"
IDENTITY = "web-identity-token-planted"
BASE = Credentials(
    name="base", access_key_id="AKIDBASE", secret_access_key=Secret(SECRET), session_token=Secret(SESSION)
)


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without AWS settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The URL of moto's STS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    assert server._server is not None
    server._server.server_close()


@pytest.fixture
def roles() -> list[Any]:
    """The roles that were assumed, in order, as moto remembers them."""
    assumed: list[Any] = sts_backends[ACCOUNT]["aws"].assumed_roles
    assumed.clear()
    return assumed


class _Sts(BaseHTTPRequestHandler):
    """Remembers requests, and refuses them."""

    server: StsServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append({name: values[0] for name, values in parse_qs(body).items()})
        self.server.authorization.append(self.headers.get("Authorization", ""))
        status, code = self.server.answer
        answer = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
            f"<Message>no: {EXTERNAL_ID}</Message></Error></ErrorResponse>"
        ).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        return


class StsServer(ThreadingHTTPServer):
    """An STS that refuses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Sts)
        self.asked: list[dict[str, str]] = []
        self.authorization: list[str] = []
        self.answer = (403, "AccessDenied")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def refusing() -> Iterator[StsServer]:
    """An STS that refuses, and remembers what it was asked."""
    with StsServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def role(sts: str, **fields: Any) -> Credentials:
    """An assumed role at a given STS."""
    given: dict[str, Any] = {"name": "prod", "role_arn": ROLE, "source": BASE, "sts_endpoint": sts} | fields
    return Credentials(**given)


def keys(keyring: Keyring, spec: Credentials) -> Keys:
    """The keys of this moment."""
    proof = keyring.proof(spec, "us-east-1")
    assert isinstance(proof, Keys)
    return proof


def test_a_role_is_assumed_once_for_many_calls(moto: str, roles: list[Any]) -> None:
    """External id, session name and duration reach STS; sixteen threads and two regions share one session."""
    keyring = Keyring()
    spec = role(moto, external_id=Secret(EXTERNAL_ID), session_name="images-prod", duration=1800)
    found: list[Keys] = []
    threads = [threading.Thread(target=lambda n=n: found.append(keys(keyring, spec))) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keyring.proof(spec, "eu-west-1")
    (assumed,) = roles
    assert (assumed.role_arn, assumed.session_name, assumed.external_id) == (ROLE, "images-prod", EXTERNAL_ID)
    assert set(found) == {Keys(assumed.access_key_id, assumed.secret_access_key, assumed.session_token)}
    assert len(found) == 16


def test_a_role_is_renewed_before_it_expires(moto: str, roles: list[Any]) -> None:
    """As the hour runs out new keys are taken, without anybody asking for it."""
    now = [time.time()]
    keyring = Keyring(wall=lambda: now[0])
    spec = role(moto)
    first = keys(keyring, spec)
    now[0] += 2400
    assert keys(keyring, spec) == first
    now[0] += 660
    second = keys(keyring, spec)
    assert second != first
    assert [made.access_key_id for made in roles] == [first.access_key, second.access_key]


def test_a_renewal_that_fails_early_does_no_harm(moto: str, caplog: pytest.LogCaptureFixture) -> None:
    """Fourteen minutes before the end a failing STS is a warning, once in five seconds, and the old keys go on."""
    now = [time.time()]
    ticks = [0.0]
    keyring = Keyring(clock=lambda: ticks[0], wall=lambda: now[0])
    token = Path(os.environ["AWS_CONFIG_FILE"]).with_name("token")
    token.write_text(IDENTITY)
    spec = Credentials(name="irsa", role_arn=ROLE, web_identity_token_file=str(token), sts_endpoint=moto)
    first = keys(keyring, spec)
    now[0] += 3600 - 14 * 60
    token.unlink()
    assert [keys(keyring, spec) for _ in range(3)] == [first] * 3
    assert caplog.text.count("the keys in use still serve, but could not be renewed: credentials 'irsa'") == 1
    token.write_text(IDENTITY)
    ticks[0] = 5.0
    assert keys(keyring, spec) != first


def test_keys_that_come_expired_are_refused(moto: str) -> None:
    """On a machine whose clock is wrong the reason is named."""
    keyring = Keyring(wall=lambda: time.time() + 7200)
    with pytest.raises(
        CredentialsError, match="'prod': the renewed keys have expired already; check this machine's clock"
    ):
        keys(keyring, role(moto))


def test_a_role_from_a_role(moto: str, roles: list[Any]) -> None:
    """The keys of the first role are the callers of the second."""
    inner = role(moto, name="inner", role_arn=f"arn:aws:iam::{ACCOUNT}:role/hop")
    outer = keys(Keyring(), role(moto, source=inner))
    assert [made.role_arn.rsplit("/", 1)[1] for made in roles] == ["hop", "images"]
    assert outer.access_key == roles[1].access_key_id


def test_a_role_from_the_default_chain(moto: str, roles: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a source the environment's keys assume the role; an API key there is not for STS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "env-bearer")
    assert keys(Keyring(), role(moto, source=None)).access_key == roles[0].access_key_id


def test_a_role_ignores_the_environment(refusing: StsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a source the role is asked for with that key, whatever the environment says."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsError):
        keys(Keyring(), role(refusing.url))
    assert "Credential=AKIDBASE/" in refusing.authorization[0]
    assert "x-amz-security-token" in refusing.authorization[0]


def test_what_sts_is_asked(refusing: StsServer) -> None:
    """Every field of the configuration reaches STS under its own name."""
    spec = role(
        refusing.url,
        external_id=Secret(EXTERNAL_ID),
        session_name="images-prod",
        duration=7200,
        session_tags=(("team", "a"), ("cost-centre", "7")),
    )
    with pytest.raises(CredentialsError):
        keys(Keyring(), spec)
    (asked,) = refusing.asked
    assert asked == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "images-prod",
        "DurationSeconds": "7200",
        "ExternalId": EXTERNAL_ID,
        "Tags.member.1.Key": "team",
        "Tags.member.1.Value": "a",
        "Tags.member.2.Key": "cost-centre",
        "Tags.member.2.Value": "7",
    }


def test_defaults_of_a_role(refusing: StsServer) -> None:
    """One hour, and a session named after us and the credentials."""
    with pytest.raises(CredentialsError):
        keys(Keyring(), role(refusing.url))
    asked = refusing.asked[0]
    assert (asked["DurationSeconds"], asked["RoleSessionName"]) == ("3600", "lascaux-prod")
    assert not {"ExternalId", "Tags.member.1.Key"} & set(asked)


def test_a_refusal_is_one_line_and_is_not_repeated(refusing: StsServer) -> None:
    """Whom STS refused, why, and no secret; for five seconds it is not asked again."""
    now = [0.0]
    keyring = Keyring(clock=lambda: now[0])
    spec = role(refusing.url, external_id=Secret(EXTERNAL_ID))
    expected = f"credentials 'prod': AssumeRole refused for role {ROLE}: AccessDenied: no: ****"
    for _ in range(3):
        with pytest.raises(CredentialsError) as caught:
            keys(keyring, spec)
        assert str(caught.value) == expected
        assert caught.value.code == "sts_denied"
    assert len(refusing.asked) == 1
    now[0] = 5.0
    with pytest.raises(CredentialsError):
        keys(keyring, spec)
    assert len(refusing.asked) == 2


@pytest.mark.parametrize(
    ("answer", "expected", "code"),
    [
        ((403, "ExpiredToken"), CredentialsError, "expired"),
        ((403, "InvalidClientTokenId"), CredentialsError, "sts_denied"),
        ((400, "Throttling"), Throttled, "sts_throttled"),
        ((503, "ServiceUnavailable"), Unavailable, "sts_unavailable"),
    ],
)
def test_what_sts_answers_decides(
    refusing: StsServer, answer: tuple[int, str], expected: type[Exception], code: str
) -> None:
    """A refusal takes the deployment out; a busy STS is a passing trouble."""
    refusing.answer = answer
    with pytest.raises(expected) as caught:
        keys(Keyring(), role(refusing.url))
    assert caught.value.code == code  # type: ignore[attr-defined]


def test_an_sts_that_is_not_there() -> None:
    """No connection to STS is a connection failure: nothing was sent to Bedrock, nothing is wrong with the keys."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionFailed) as caught:
        keys(Keyring(), role(f"http://127.0.0.1:{port}"))
    assert str(caught.value).startswith(f"credentials 'prod': http://127.0.0.1:{port}/ could not be reached")


def test_an_sts_that_says_nothing() -> None:
    """The attempt ends when its time does; it is no fault of the credentials, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        bedrock = Bedrock()
        model = "stability.stable-image-core-v1:1"
        target = Target(
            deployment="d",
            model=model,
            model_id=model,
            region="us-west-2",
            credentials=role(f"http://127.0.0.1:{server.getsockname()[1]}"),
            endpoint_url="http://127.0.0.1:9",
        )
        (call,) = bedrock.prepare(ImageRequest(prompt="a kite", seed=7), target)
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(ConnectionFailed) as caught:
                bedrock.send(target, call, timeout=0.3)
            assert time.monotonic() - started < 4
            assert (caught.value.code, caught.value.may_be_billed) == ("credentials_timeout", False)
        bedrock.close()


def test_an_answer_that_is_not_from_sts() -> None:
    """Something else at the endpoint of STS is a passing trouble; what it said is not repeated."""
    with Emulator(canvas="fast") as emulator, pytest.raises(Unavailable) as caught:
        keys(Keyring(), role(emulator.url))
    assert str(caught.value) == "credentials 'prod': STS gave an answer that can not be read"


def test_web_identity_from_a_file(moto: str, roles: list[Any], tmp_path: Path) -> None:
    """A token file is exchanged for the role's keys, without any other credentials."""
    path = tmp_path / "token"
    path.write_text(f"{IDENTITY}\n")
    spec = Credentials(name="irsa", role_arn=ROLE, web_identity_token_file=str(path), sts_endpoint=moto)
    assert keys(Keyring(), spec).access_key == roles[0].access_key_id


def test_a_token_file_is_read_again(refusing: StsServer, tmp_path: Path) -> None:
    """A rotated token is seen at the next renewal."""
    now = [0.0]
    keyring = Keyring(clock=lambda: now[0])
    path = tmp_path / "token"
    spec = Credentials(name="irsa", role_arn=ROLE, web_identity_token_file=str(path), sts_endpoint=refusing.url)
    for token in ("first", "second"):
        path.write_text(f"{token}\n")
        with pytest.raises(CredentialsError, match="AssumeRoleWithWebIdentity refused for role"):
            keys(keyring, spec)
        now[0] += 6
    assert [asked["WebIdentityToken"] for asked in refusing.asked] == ["first", "second"]
    assert refusing.authorization == ["", ""]


def test_a_literal_token(moto: str, roles: list[Any]) -> None:
    """A token from the configuration serves as well."""
    spec = Credentials(role_arn=ROLE, web_identity_token=Secret(IDENTITY), sts_endpoint=moto)
    assert keys(Keyring(), spec).secret_key == roles[0].secret_access_key


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "can not be read: No such file or directory"), (b"\n", "is empty"), (b"\xff", "is not text")],
)
def test_a_token_file_that_can_not_be_used(tmp_path: Path, content: bytes | None, why: str) -> None:
    """A missing, empty or binary token file is named."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    spec = Credentials(name="irsa", role_arn=ROLE, web_identity_token_file=str(path))
    with pytest.raises(CredentialsError, match="credentials 'irsa': web_identity_token_file") as caught:
        keys(Keyring(), spec)
    assert why in str(caught.value)


def test_a_profile_that_assumes_a_role(
    moto: str, roles: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role in ``~/.aws/config`` is assumed by boto3's own rules, and needs no region there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
    (tmp_path / "config").write_text(
        f"[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = {SECRET}\n"
        f"[profile images]\nrole_arn = {ROLE}\nsource_profile = base\n"
    )
    assert keys(Keyring(), Credentials(profile="images")).access_key == roles[0].access_key_id


def test_a_call_signed_with_an_assumed_role(moto: str) -> None:
    """From role to picture: the emulator verifies the signature and the session token."""
    with Emulator(canvas="fast") as emulator:
        keyring = Keyring()
        spec = role(moto, external_id=Secret(EXTERNAL_ID))
        found = keys(keyring, spec)
        emulator.add_key(found.access_key, found.secret_key, found.token)
        bedrock = Bedrock(transport=Transport(keyring=keyring))
        model = "stability.stable-image-core-v1:1"
        target = Target(
            deployment="d", model=model, model_id=model, region="us-west-2", credentials=spec, endpoint_url=emulator.url
        )
        (call,) = bedrock.prepare(ImageRequest(prompt="a kite", seed=7), target)
        assert bedrock.send(target, call, timeout=10).images[0].seed == 7
        bedrock.close()


@pytest.mark.parametrize("kind", ["granted", "refused", "identity"])
def test_no_secret_is_logged(moto: str, refusing: StsServer, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG no key, token or external id shows, neither ours nor what STS gave; nor in a traceback with variables."""
    planted = {SECRET, SESSION, EXTERNAL_ID, IDENTITY}
    specs = {
        "granted": role(moto, external_id=Secret(EXTERNAL_ID)),
        "refused": role(refusing.url, external_id=Secret(EXTERNAL_ID)),
        "identity": Credentials(role_arn=ROLE, web_identity_token=Secret(IDENTITY), sts_endpoint=moto),
    }
    text = ""
    with caplog.at_level(logging.DEBUG):
        try:
            planted |= set(keys(Keyring(), specs[kind]).secrets)
        except CredentialsError as error:
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # not this test's variables
            trace = traceback.TracebackException.from_exception(error, capture_locals=True)
            text = "".join(trace.format()) + "".join(traceback.format_exception(error)) + repr(error)
    assert (kind == "refused") == bool(text)
    text += caplog.text + repr(specs[kind])
    assert not [secret for secret in planted if secret in text]
