"""Bedrock from request to picture, over HTTP: what comes back, what goes wrong, and what is never shown."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lascaux.emulator import DEMO_KEY_ID, DEMO_SECRET, Emulator, Faults, Rule
from lascaux.providers.bedrock.families import FAMILIES
from lascaux.providers.bedrock.provider import Bedrock
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import (
    AttemptTimeout,
    BadResponse,
    ConnectionBroken,
    ContentFiltered,
    CredentialsError,
    InvalidRequest,
    LascauxError,
    ModelRetired,
    ModelTimeout,
    ModelUnavailable,
    Rejected,
    Throttled,
    Unavailable,
)
from lascaux.providers.types import Call, Credentials, ImageRequest, ImageResult, Secret, Target

CORE = "stability.stable-image-core-v1:1"
KEYS = Credentials(access_key_id=DEMO_KEY_ID, secret_access_key=Secret(DEMO_SECRET))
PROVISIONED = "arn:aws:bedrock:us-west-2:111122223333:provisioned-model/abc123def456"
FAMILIES_OF = {family.name for family in FAMILIES}
TEXT_TO_IMAGE = [
    model for model in Catalog.load().models() if "text_to_image" in model.tasks and model.family in FAMILIES_OF
]

SECRETS = {
    "secret": "planted-secret-access-key",
    "session": "planted-session-token",
    "bearer": "planted-bearer-token",
    "external": "planted-external-id",
    "profile": "planted-profile-secret",
    "environment": "planted-environment-secret",
}


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without AWS settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """One emulator for all tests."""
    with Emulator(canvas="fast", any_region=True, allow_plain_bearer=True) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    """The emulator, without faults and memories."""
    running.faults = Faults()
    running.forget()
    return running


@pytest.fixture
def bedrock() -> Iterator[Bedrock]:
    """The provider, closed in the end."""
    bedrock = Bedrock()
    yield bedrock
    bedrock.close()


def target(emulator: Emulator, model: str = CORE, **fields: Any) -> Target:
    """A deployment of ``model`` on the emulator."""
    given: dict[str, Any] = {"deployment": "d", "model": model, "model_id": model, "region": "us-west-2"}
    return Target(**(given | {"credentials": KEYS, "endpoint_url": emulator.url} | fields))


def call_of(bedrock: Bedrock, where: Target, prompt: str = "a red kite over dunes", **fields: Any) -> Call:
    """The first call of a request."""
    return bedrock.prepare(ImageRequest(prompt=prompt, **fields), where)[0]


def send(bedrock: Bedrock, where: Target, *, timeout: float = 10.0, **fields: Any) -> ImageResult:
    """One call with its result."""
    return bedrock.send(where, call_of(bedrock, where, **fields), timeout=timeout)


def failure(bedrock: Bedrock, where: Target, **options: Any) -> LascauxError:
    """One call, and the error it ends with."""
    with pytest.raises(LascauxError) as caught:
        send(bedrock, where, **options)
    return caught.value


@pytest.mark.parametrize("model", TEXT_TO_IMAGE, ids=lambda model: model.id)
def test_every_model_makes_a_picture(bedrock: Bedrock, emulator: Emulator, model: Model) -> None:
    """From request to picture for every text-to-image model, on demand or provisioned, with the request id of AWS."""
    where = target(emulator, model.id, model_id=model.id if "on_demand" in model.invoke else PROVISIONED)
    call = call_of(bedrock, where, seed=7)
    result = bedrock.send(where, call, timeout=10)
    (picture,) = result.images
    assert picture.width * picture.height > 0
    assert picture.seed == 7
    assert result.request_id == emulator.log[0].request_id
    assert emulator.log[0].body == call.body


def test_an_unknown_model(bedrock: Bedrock, emulator: Emulator) -> None:
    """A model that nobody knows is refused with the nearest one, before any call."""
    where = target(emulator, "stability.stable-image-core-v1:9")
    error = failure(bedrock, where)
    assert isinstance(error, InvalidRequest)
    assert error.nearest in (CORE, "stability.stable-image-core-v1:0")
    assert not emulator.log


@pytest.mark.parametrize(
    ("rule", "expected", "code", "billed"),
    [
        (Rule(status=429), Throttled, "throttled", False),
        (Rule(status=429, error_type="ModelNotReadyException"), Throttled, "model_not_ready", False),
        (Rule(status=400, error_type="ServiceQuotaExceededException"), Throttled, "quota", False),
        (Rule(status=500), Unavailable, "internal", False),
        (Rule(status=503), Unavailable, "no_capacity", False),
        (Rule(status=529), Unavailable, "overloaded", False),
        (Rule(status=424), Unavailable, "model_error", False),
        (Rule(status=424, extra={"originalStatusCode": 400}), Rejected, "model_error", False),
        (Rule(status=408), ModelTimeout, "model_timeout", True),
        (Rule(status=404), ModelRetired, "end_of_life", False),
        (
            Rule(status=404, message="Could not resolve the foundation model"),
            ModelUnavailable,
            "model_unavailable",
            False,
        ),
        (Rule(status=403), ModelUnavailable, "model_access", False),
        (Rule(status=403, error_type="ExpiredTokenException"), CredentialsError, "expired", False),
        (Rule(status=400, message="1 validation error"), Rejected, "rejected_by_provider", False),
        (Rule(kind="garbage"), BadResponse, "bad_response", True),
        (Rule(kind="empty"), BadResponse, "bad_response", True),
        (Rule(kind="html"), Unavailable, "unavailable", False),
        (Rule(kind="html", status=200), BadResponse, "bad_response", True),
        (Rule(kind="truncate"), ConnectionBroken, "connection_broken", True),
    ],
)
def test_what_goes_wrong_at_bedrock(
    bedrock: Bedrock, emulator: Emulator, rule: Rule, expected: type[LascauxError], code: str, billed: bool
) -> None:
    """Each way to fail has its class, code and billing risk, happens once, and the connection after it is sound."""
    emulator.faults.add(rule)
    error: Any = failure(bedrock, target(emulator))
    assert (type(error), error.code, error.may_be_billed) == (expected, code, billed)
    (record,) = emulator.log
    if rule.kind != "html":  # a proxy's page has no request id
        assert error.request_id == record.request_id
    emulator.faults.clear()
    assert send(bedrock, target(emulator)).images


def test_a_dropped_connection(bedrock: Bedrock, emulator: Emulator) -> None:
    """A connection that ends without an answer may be billed, and the request is sent once."""
    emulator.faults.add(Rule(kind="drop"))
    error = failure(bedrock, target(emulator))
    assert type(error) is ConnectionBroken
    assert error.may_be_billed
    assert len(emulator.log) == 1


@pytest.mark.parametrize("rule", [Rule(kind="black_hole"), Rule(kind="slow", latency=5)])
def test_an_answer_that_takes_too_long(bedrock: Bedrock, emulator: Emulator, rule: Rule) -> None:
    """No answer, or one in drops: over when the attempt timeout is, and it may be billed."""
    emulator.faults.add(rule)
    error = failure(bedrock, target(emulator), timeout=0.4)
    assert type(error) is AttemptTimeout
    assert error.may_be_billed
    assert len(emulator.log) == 1


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("model", ["amazon.nova-canvas-v1:0", CORE])
def test_a_filter_keeps_the_request_id(bedrock: Bedrock, emulator: Emulator, model: str, status: int) -> None:
    """A blocked prompt, in a 400 or inside a 200, tells AWS's request id."""
    where = target(emulator, model)
    if status == 400:
        message = "Content in the text prompt has been blocked by our content filters."
        emulator.faults.add(Rule(status=400, message=message))
        error: Any = failure(bedrock, where)
    else:
        call = call_of(bedrock, where)
        payload = (
            {"images": [], "error": "All of the generated images have been blocked by our content filters."}
            if model.startswith("amazon")
            else {"finish_reasons": ["Filter reason: prompt"]}
        )
        error = failure_of(Bedrock(transport=_Canned(payload)), where, call)  # type: ignore[arg-type]
        assert error.request_id == "req-canned"
    assert isinstance(error, ContentFiltered)
    assert error.request_id
    assert error.upstream_status == status


class _Canned:
    """A transport that has the answer already."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload
        self.closed = False

    def send(self, target: Target, body: Any, *, headers: Any, timeout: float) -> Any:
        from lascaux.providers.bedrock.transport import Answer

        return Answer(payload=self.payload, request_id="req-canned")

    def close(self) -> None:
        self.closed = True


def failure_of(bedrock: Bedrock, where: Target, call: Call) -> LascauxError:
    """The error of a prepared call."""
    with pytest.raises(LascauxError) as caught:
        bedrock.send(where, call, timeout=1)
    return caught.value


@pytest.mark.parametrize("model", [model.id for model in TEXT_TO_IMAGE])
@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"images": None},
        {"images": "text"},
        {"images": [1]},
        {"images": [None]},
        {"artifacts": 7},
        {"artifacts": [{}]},
        {"artifacts": [{"base64": 3, "finishReason": "SUCCESS"}]},
        {"images": ["!!!"], "seeds": "x", "finish_reasons": 3},
        {"result": "success", "artifacts": [None]},
    ],
)
def test_a_payload_of_another_shape(emulator: Emulator, model: str, payload: dict[str, Any]) -> None:
    """Whatever JSON comes instead of a picture is a bad response with a request id, never a foreign exception."""
    bedrock = Bedrock(transport=_Canned(payload))  # type: ignore[arg-type]
    where = target(emulator, model)
    error: Any = failure_of(bedrock, where, call_of(bedrock, where))
    assert isinstance(error, BadResponse)
    assert error.request_id == "req-canned"


def test_closing_closes_the_transport() -> None:
    """Whoever closes the provider closes its connections."""
    canned = _Canned({})
    Bedrock(transport=canned).close()  # type: ignore[arg-type]
    assert canned.closed


def _planted(kind: str, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """Credentials with a secret in every place that their kind has."""
    secret, session = Secret(SECRETS["secret"]), Secret(SECRETS["session"])
    static = Credentials(name="planted", access_key_id="AKIDPLANTED", secret_access_key=secret, session_token=session)
    if kind == "keys":
        return static
    if kind == "bearer":
        return Credentials(name="planted", bearer_token=Secret(SECRETS["bearer"]))
    if kind == "half":
        return Credentials(name="planted", secret_access_key=secret, session_token=session)
    if kind == "role":
        return Credentials(
            name="planted",
            role_arn="arn:aws:iam::111122223333:role/images",
            external_id=Secret(SECRETS["external"]),
            source=static,
            sts_endpoint=emulator.url,
        )
    if kind == "profile":
        (tmp_path / "credentials").write_text(
            f"[p]\naws_access_key_id = AKIDPLANTED\naws_secret_access_key = {SECRETS['profile']}\n"
        )
        return Credentials(name="planted", profile="p")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDPLANTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS["environment"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRETS["session"])
    return Credentials()


def _provoke(bedrock: Bedrock, where: Target, call: Call, timeout: float) -> str:
    """Everything that a failing call could show: the error in all its forms, the variables of its traceback too."""
    try:
        bedrock.send(where, call, timeout=timeout)
    except LascauxError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown = [str(error), repr(error), repr(vars(error)), *trace.format(), *traceback.format_exception(error)]
        return "\n".join(shown)
    return "answered"


@pytest.mark.parametrize("kind", ["keys", "bearer", "half", "role", "profile", "environment"])
@pytest.mark.parametrize("trouble", ["none", "refused", "echo", "html", "drop", "black_hole", "truncate", "nobody"])
def test_no_secret_is_ever_shown(
    kind: str,
    trouble: str,
    bedrock: Bedrock,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every kind of credentials in every kind of trouble, with all loggers at DEBUG: no secret in any text."""
    spec = _planted(kind, emulator, tmp_path, monkeypatch)
    where = target(emulator, credentials=spec)
    if trouble != "refused":
        for name in ("secret", "profile", "environment"):
            if name == {"keys": "secret"}.get(kind, kind):
                emulator.add_key("AKIDPLANTED", SECRETS[name])
    rules = {
        "echo": Rule(status=403, error_type="InvalidSignatureException", message=" ".join(SECRETS.values())),
        "html": Rule(kind="html", message=" ".join(SECRETS.values())),
        "drop": Rule(kind="drop"),
        "black_hole": Rule(kind="black_hole"),
        "truncate": Rule(kind="truncate"),
    }
    if trouble in rules:
        emulator.faults.add(rules[trouble])
    if trouble == "nobody":
        where = target(emulator, credentials=spec, endpoint_url="http://127.0.0.1:9")
    call = call_of(bedrock, where)
    with caplog.at_level(logging.DEBUG):
        shown = _provoke(bedrock, where, call, 0.5)
    shown += caplog.text + repr(where) + repr(spec) + str(spec) + f"{spec}"
    mine = {
        "keys": ["secret", "session"],
        "bearer": ["bearer"],
        "half": ["secret", "session"],
        "role": ["secret", "session", "external"],
        "profile": ["profile"],
        "environment": ["environment", "session"],
    }[kind]
    assert not [name for name in mine if SECRETS[name] in shown]


@pytest.mark.parametrize("error", [KeyError("k"), RecursionError("deep"), OverflowError("large"), MemoryError()])
def test_no_foreign_exception_gets_out(emulator: Emulator, error: Exception) -> None:
    """Whatever reading an answer raises is a bad response that may be billed."""

    class Broken(_Canned):
        def send(self, target: Target, body: Any, *, headers: Any, timeout: float) -> Any:
            raise error

    class Odd(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise error

    where = target(emulator)
    for transport in (Broken({}), _Canned(Odd())):
        bedrock = Bedrock(transport=transport)  # type: ignore[arg-type]
        found: Any = failure_of(bedrock, where, call_of(bedrock, where))
        assert (type(found), found.may_be_billed) == (BadResponse, True)
        assert type(error).__name__ in str(found)


def test_a_request_that_can_not_be_written_is_no_answer(bedrock: Bedrock, emulator: Emulator) -> None:
    """What is wrong with the request stays the caller's to mend."""
    where = target(emulator)
    call = Call(model=CORE, family="stability", task=call_of(bedrock, where).task, body={"prompt": object()})
    assert type(failure_of(bedrock, where, call)) is InvalidRequest
