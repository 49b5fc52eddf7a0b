"""Whose keys sign a call: complete or refused, never mixed with the environment."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lascaux.providers.bedrock.credentials import Keyring, find_region
from lascaux.providers.bedrock.ids import ModelRef
from lascaux.providers.bedrock.keys import Keys, Token
from lascaux.providers.bedrock.renewal import Cooldown, Renewed
from lascaux.providers.bedrock.spec import SpecKind, check, kind_of, secrets_of, session_name
from lascaux.providers.errors import ConnectionFailed, CredentialsError, InvalidRequest, ProviderError
from lascaux.providers.types import Credentials, Secret

ROLE = "arn:aws:iam::111122223333:role/images"
STATIC = Credentials(name="key", access_key_id="AKIDKEY", secret_access_key=Secret("sesame-open"))
CANVAS = ModelRef.parse("amazon.nova-canvas-v1:0")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without AWS settings: no variables, no files, no metadata."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def proof(spec: Credentials, keyring: Keyring | None = None) -> Keys | Token:
    """What a call to us-east-1 is signed with."""
    return (keyring or Keyring()).proof(spec, "us-east-1")


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (Credentials(), SpecKind.DEFAULT),
        (STATIC, SpecKind.KEYS),
        (Credentials(profile="p"), SpecKind.PROFILE),
        (Credentials(role_arn=ROLE), SpecKind.ROLE),
        (Credentials(role_arn=ROLE, source=STATIC), SpecKind.ROLE),
        (Credentials(role_arn=ROLE, web_identity_token_file="/t"), SpecKind.WEB_IDENTITY),
        (Credentials(role_arn=ROLE, web_identity_token=Secret("t")), SpecKind.WEB_IDENTITY),
        (Credentials(bearer_token=Secret("t")), SpecKind.BEARER),
    ],
)
def test_complete_credentials_of_each_kind(spec: Credentials, kind: SpecKind) -> None:
    """Each kind is recognised, and complete as it is."""
    check(spec)
    assert kind_of(spec) is kind


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"access_key_id": "AKID"}, "secret_access_key is missing"),
        ({"secret_access_key": Secret("s")}, "access_key_id is missing"),
        ({"session_token": Secret("s")}, "access_key_id is missing"),
        ({"access_key_id": "AKID", "session_token": Secret("s")}, "secret_access_key is missing"),
        ({"access_key_id": "", "secret_access_key": Secret("s")}, "access_key_id is empty"),
        ({"access_key_id": "AKID", "secret_access_key": Secret("")}, "secret_access_key is empty"),
        (
            {"access_key_id": "AKID", "secret_access_key": Secret("s\n")},
            "secret_access_key contains a space, a line break or a character that no key has",
        ),
        ({"bearer_token": Secret("")}, "bearer_token is empty"),
        (
            {"bearer_token": Secret("a b")},
            "bearer_token contains a space, a line break or a character that no key has",
        ),
        ({"profile": ""}, "profile is empty"),
        ({"profile": "p", "access_key_id": "AKID"}, "access_key_id and profile exclude each other"),
        ({"profile": "p", "bearer_token": Secret("t")}, "bearer_token and profile exclude each other"),
        (
            {"role_arn": ROLE, "profile": "p"},
            "profile and role_arn exclude each other; what a role is assumed from belongs under source",
        ),
        ({"web_identity_token_file": "/t"}, "role_arn is missing; a web identity token is exchanged for a role's keys"),
        (
            {"role_arn": ROLE, "web_identity_token_file": "/t", "web_identity_token": Secret("t")},
            "web_identity_token and web_identity_token_file exclude each other",
        ),
        (
            {"role_arn": ROLE, "web_identity_token_file": "/t", "external_id": Secret("e1")},
            "external_id can not be used with a web identity",
        ),
        ({"external_id": Secret("e1")}, "external_id has no meaning without role_arn"),
        ({"profile": "p", "duration": 3600}, "duration has no meaning without role_arn"),
        ({"sts_endpoint": "https://sts.x"}, "sts_endpoint has no meaning without role_arn"),
        (
            {"role_arn": "images"},
            "role_arn is not the ARN of a role, such as arn:aws:iam::111122223333:role/images",
        ),
        ({"role_arn": ROLE, "duration": 900}, "duration is 900, must be 1800 to 43200 seconds"),
        (
            {"role_arn": ROLE, "duration": 7200, "source": Credentials(role_arn=ROLE)},
            "duration is 7200, must be 1800 to 3600 seconds (a role assumed from a role lasts one hour at most)",
        ),
        (
            {"role_arn": ROLE, "session_name": "a b"},
            "session_name must have 2 to 64 letters, digits or any of _+=,.@-",
        ),
        (
            {"role_arn": ROLE, "external_id": Secret("x")},
            "external_id must have 2 to 1224 letters, digits or any of _+=,.@:/-",
        ),
        (
            {"role_arn": ROLE, "session_tags": tuple((str(n), "v") for n in range(51))},
            "session_tags has 51 tags, at most 50 are allowed",
        ),
        (
            {"role_arn": ROLE, "session_tags": (("", "v"),)},
            "session_tags: a key has 1 to 128 characters, a value at most 256",
        ),
        (
            {"role_arn": ROLE, "source": Credentials(bearer_token=Secret("t"))},
            "source can not be a bearer_token; STS does not take one",
        ),
        (
            {"role_arn": ROLE, "sts_endpoint": "https://u:p@sts"},
            "sts_endpoint must be a plain URL such as https://sts.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_incomplete_credentials_name_the_field(
    fields: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a pair, two kinds at once or a value that can not be: refused, with the field, and never completed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    with pytest.raises(CredentialsError) as caught:
        proof(Credentials(name="prod", **fields))
    assert str(caught.value) == f"credentials 'prod': {message}"
    assert caught.value.code == "incomplete_credentials"


def test_a_faulty_source_is_named() -> None:
    """What is wrong with the keys that a role is assumed from is reported under their own name."""
    spec = Credentials(name="prod", role_arn=ROLE, source=Credentials(name="base", access_key_id="AKID"))
    with pytest.raises(CredentialsError, match="credentials 'base': secret_access_key is missing"):
        proof(spec)


def test_a_source_is_nested_five_deep_at_most() -> None:
    """A chain of roles without end is refused."""
    spec = Credentials()
    for _ in range(7):
        spec = Credentials(name="deep", role_arn=ROLE, source=spec)
    with pytest.raises(CredentialsError, match="source is nested 7 deep, at most 5 is allowed"):
        check(spec)


def test_static_keys_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign session token, profile, key or API key in the environment touches no named keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-token")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "env-bearer")
    assert proof(STATIC) == Keys("AKIDKEY", "sesame-open", None)
    with_token = Credentials(access_key_id="A", secret_access_key=Secret("b"), session_token=Secret("c"))
    assert proof(with_token) == Keys("A", "b", "c")


def test_a_bearer_key_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A named API key beats everything in the environment."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "env-bearer")
    assert proof(Credentials(bearer_token=Secret("mine"))) == Token("mine")


def test_the_default_chain_honours_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing named: keys of the environment; an API key there wins, and is read anew each time."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-token")
    keyring = Keyring()
    assert proof(Credentials(), keyring) == Keys("AKIDENV", "env-secret", "env-token")
    for token in ("first", "second"):
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
        assert proof(Credentials(), keyring) == Token(token)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "")
    assert proof(Credentials(), keyring) == Keys("AKIDENV", "env-secret", "env-token")


def test_half_a_pair_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default chain does not go on behind half a pair."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    with pytest.raises(CredentialsError, match="'default': AWS_SECRET_ACCESS_KEY is missing"):
        proof(Credentials())


def test_a_broken_token_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session token that would break out of its header never gets there, and is not shown."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "tok\r\nx-evil: 1")
    with pytest.raises(CredentialsError, match="has characters that no key has") as caught:
        proof(Credentials())
    assert "evil" not in str(caught.value)


def test_nothing_found_says_what_to_set() -> None:
    """An empty machine is told where credentials may come from."""
    with pytest.raises(CredentialsError, match="'default': none were found; set AWS_ACCESS_KEY_ID and") as caught:
        proof(Credentials())
    assert caught.value.code == "no_credentials"


def test_profiles(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named profile is read from the files and beats every variable; AWS_PROFILE steers the default chain."""
    (home / "credentials").write_text(
        "[images]\naws_access_key_id = AKIDP\naws_secret_access_key = p-secret\naws_session_token = p-token\n"
        "[other]\naws_access_key_id = AKIDO\naws_secret_access_key = o-secret\n"
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "env-bearer")
    assert proof(Credentials(profile="images")) == Keys("AKIDP", "p-secret", "p-token")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert proof(Credentials()) == Keys("AKIDO", "o-secret", None)


def test_a_missing_profile_is_one_line_with_the_nearest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt profile is named together with the one that is meant; so is one in AWS_PROFILE."""
    (home / "config").write_text("[profile images]\nregion = eu-west-1\n")
    with pytest.raises(CredentialsError) as caught:
        proof(Credentials(name="prod", profile="imagse"))
    expected = (
        "credentials 'prod': profile 'imagse' is not in the AWS config or credentials file; did you mean 'images'?"
    )
    assert str(caught.value) == expected
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsError, match="profile 'nobody' is not in the AWS config or credentials file"):
        proof(Credentials())


def test_broken_files_do_not_show_their_content(home: Path) -> None:
    """A credentials file that can not be read is named; what stands in it is not repeated."""
    (home / "credentials").write_text("[images]\nhunter2 hunter2\n")
    with pytest.raises(CredentialsError, match="'default': Unable to parse config file") as caught:
        proof(Credentials())
    assert "hunter2" not in str(caught.value)


class _Metadata(BaseHTTPRequestHandler):
    """A container's credentials endpoint."""

    def do_GET(self) -> None:
        expires = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = json.dumps(
            {"AccessKeyId": "AKIDBOX", "SecretAccessKey": "box-secret", "Token": "box-token", "Expiration": expires}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with a role of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Metadata) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/creds")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("container")
def test_the_machines_role_is_for_the_default_chain_only(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The default chain ends at the machine's role; a named profile without credentials does not."""
    (home / "config").write_text("[profile bare]\nregion = eu-west-1\n")
    with caplog.at_level(logging.DEBUG):
        assert proof(Credentials()) == Keys("AKIDBOX", "box-secret", "box-token")
        with pytest.raises(CredentialsError, match="credentials 'prod': profile 'bare' has no credentials"):
            proof(Credentials(name="prod", profile="bare"))
    assert "box-secret" not in caplog.text
    assert "box-token" not in caplog.text


def test_botocores_log_is_silent_only_for_us(caplog: pytest.LogCaptureFixture) -> None:
    """The host program's own use of botocore logs as ever after ours."""
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(CredentialsError):
            proof(Credentials())
        assert not [record for record in caplog.records if record.name.startswith("botocore")]
        logging.getLogger("botocore.auth").debug("of the host program")
    assert "of the host program" in caplog.text


def test_one_identity_per_credentials() -> None:
    """The same credentials in two regions share one source; another partition has its own."""
    keyring = Keyring()
    spec = Credentials(role_arn=ROLE, source=STATIC)
    twin = Credentials(role_arn=ROLE, source=STATIC)
    assert keyring.source(spec, "us-east-1") is keyring.source(twin, "eu-west-1")
    assert keyring.source(spec, "us-east-1") is not keyring.source(spec, "cn-north-1")


def test_many_identities_do_not_pile_up() -> None:
    """Keys that come with each request are forgotten again, the oldest first."""
    keyring = Keyring()
    first = keyring.source(STATIC, "us-east-1")
    for number in range(1100):
        proof(Credentials(access_key_id=f"AKID{number}", secret_access_key=Secret("s")), keyring)
    assert keyring.source(STATIC, "us-east-1") is not first
    assert len(keyring._sources) == 1024


class _Flaky:
    """Credentials whose renewal does what a script says."""

    def __init__(self) -> None:
        self.renewals = 0
        self.error: ProviderError | None = CredentialsError("credentials 'x': STS said no", code="sts_denied")
        self.fresh = False
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def due(self, within: int) -> bool:
        return not self.fresh

    def keys(self) -> Keys:
        if not self.fresh:
            self.renewals += 1
            self.entered.set()
            assert self.go_on.wait(10)
            if self.error:
                raise self.error
            self.fresh = True
        return Keys("AKID", "secret")


def test_a_failure_is_shared_and_not_repeated_at_once() -> None:
    """Sixteen threads on failing credentials make one attempt; the next is five seconds later, and success clears it."""
    now = [100.0]
    flaky = _Flaky()
    renewed = Renewed(lambda cooldown: flaky, clock=lambda: now[0])
    errors: list[BaseException] = []

    def call() -> None:
        try:
            renewed.proof()
        except CredentialsError as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    assert flaky.entered.wait(10)
    flaky.go_on.set()
    for thread in threads:
        thread.join()
    assert (flaky.renewals, len(errors)) == (1, 16)
    assert len({id(error) for error in errors}) == 16
    assert {(str(error), getattr(error, "code", "")) for error in errors} == {
        ("credentials 'x': STS said no", "sts_denied")
    }
    now[0] = 104.9
    with pytest.raises(CredentialsError):
        renewed.proof()
    assert flaky.renewals == 1
    now[0] = 105.0
    flaky.error = None
    assert renewed.proof() == Keys("AKID", "secret")
    assert flaky.renewals == 2


def test_a_slow_lookup_is_left_to_those_who_come_later() -> None:
    """Who has no time is told so, and nothing is wrong with the credentials; the lookup goes on, once, for the next."""
    flaky = _Flaky()
    flaky.error = None
    renewed = Renewed(lambda cooldown: flaky, clock=lambda: 0.0)
    for _ in range(3):
        with pytest.raises(ConnectionFailed) as caught:
            renewed.proof(0.02)
        assert (caught.value.code, caught.value.may_be_billed) == ("credentials_timeout", False)
    flaky.go_on.set()
    assert renewed.proof(10) == Keys("AKID", "secret")
    assert flaky.renewals == 1


class _Ageing:
    """Keys in their last quarter of an hour, whose renewal hangs."""

    def __init__(self) -> None:
        self.left = 3600
        self.go_on = threading.Event()

    def due(self, within: int) -> bool:
        return self.left < within

    def keys(self) -> Keys:
        if self.left < 900:
            assert self.go_on.wait(10)
            self.left = 3600
            return Keys("AKID", "new")
        return Keys("AKID", "old")


def test_keys_that_still_serve_are_not_waited_for() -> None:
    """While a renewal before its time hangs the old keys go on; when it has come to its end, the new ones do."""
    ageing = _Ageing()
    renewed = Renewed(lambda cooldown: ageing, clock=lambda: 0.0)
    assert renewed.proof() == Keys("AKID", "old")
    ageing.left = 800
    assert [renewed.proof(0.02) for _ in range(3)] == [Keys("AKID", "old")] * 3
    ageing.left = 500
    with pytest.raises(ConnectionFailed):
        renewed.proof(0.02)
    ageing.go_on.set()
    assert renewed.proof(10) == Keys("AKID", "new")


def test_a_repeated_failure_keeps_its_kind() -> None:
    """The remembered failure is raised as a new error of the same class."""
    now = [0.0]
    cooldown = Cooldown(lambda: now[0])
    cooldown.check()
    original = ConnectionFailed("STS could not be reached", code="sts_unreachable")
    cooldown.remember(original)
    with pytest.raises(ConnectionFailed, match="STS could not be reached") as caught:
        cooldown.check()
    assert caught.value is not original
    assert caught.value.code == "sts_unreachable"


def test_session_names() -> None:
    """CloudTrail shows the given name, else ours made of letters that AWS allows."""
    assert session_name(Credentials(name="prod eu/1")) == "lascaux-prod-eu-1"
    assert session_name(Credentials(name="p" * 100)) == "lascaux-" + "p" * 56
    assert session_name(Credentials(session_name="mine")) == "mine"


def test_secrets_of_a_chain() -> None:
    """All secrets of a role and of its source are known, so that they can be blotted out."""
    spec = Credentials(role_arn=ROLE, external_id=Secret("ext"), source=STATIC)
    assert set(secrets_of(spec)) == {"ext", "sesame-open"}


def test_where_the_region_comes_from(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployment, ARN, named profile, environment, profile in use: the first that says."""
    (home / "config").write_text(
        "[default]\nregion = ca-central-1\n[profile images]\nregion = eu-west-1\n[profile bare]\n"
    )
    images = Credentials(profile="images")
    arn = ModelRef.parse("arn:aws:bedrock:eu-west-3::foundation-model/amazon.nova-canvas-v1:0")
    env = {"AWS_REGION_NAME": "us-west-2"}
    assert find_region(CANVAS, deployment="us-east-1", credentials=images, env=env) == "us-east-1"
    assert find_region(arn, credentials=images, env=env) == "eu-west-3"
    assert find_region(CANVAS, credentials=images, env=env) == "eu-west-1"
    assert find_region(CANVAS, credentials=Credentials(profile="bare"), env=env) == "us-west-2"
    assert find_region(CANVAS, env=env) == "us-west-2"
    assert find_region(CANVAS, env={}) == "ca-central-1"
    monkeypatch.setenv("AWS_PROFILE", "images")
    assert find_region(CANVAS, env={}) == "eu-west-1"
    with pytest.raises(InvalidRequest, match="region: none is known"):
        find_region(CANVAS, credentials=STATIC, env={})
    with pytest.raises(CredentialsError, match="profile 'nobody' is not in"):
        find_region(CANVAS, credentials=Credentials(profile="nobody"), env=env)


def test_light_modules_load_no_sdk() -> None:
    """Identifiers, credentials and the package itself load neither botocore, boto3, urllib3 nor Pillow."""
    code = (
        "import sys, lascaux.providers.bedrock.ids, lascaux.providers.bedrock.credentials\n"
        "heavy = {'boto3', 'botocore', 'urllib3', 'PIL', 'ssl'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
