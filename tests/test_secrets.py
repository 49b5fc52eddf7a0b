"""A secret planted wherever a credential can come from is never seen again, whatever goes wrong."""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lascaux import ConfigError, LascauxError, Router
from lascaux.emulator import Emulator, Faults, Rule
from lascaux.providers.types import Credentials, Secret
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PLANTED = "pLanTeDsEcReT"
CORE = "stability.stable-image-core-v1:1"
ROLE = "arn:aws:iam::111122223333:role/images"

FAULTS: dict[str, Rule | None] = {
    "none": None,
    "throttled": Rule(status=429, error_type="ThrottlingException"),
    "server error": Rule(status=500),
    "refused signature": Rule(
        status=403,
        error_type="InvalidSignatureException",
        message=f"The canonical string should have been: AWS4 {PLANTED}/x-amz-security-token:{PLANTED} "
        f"Authorization: Bearer {PLANTED}",
    ),
    "refused body": Rule(status=400, message=f"Malformed input request: {PLANTED}"),
    "denied": Rule(status=403, error_type="AccessDeniedException", message=f"{PLANTED} is not authorized"),
    "drop": Rule(kind="drop"),
    "truncate": Rule(kind="truncate"),
    "garbage": Rule(kind="garbage"),
    "html": Rule(kind="html"),
    "timeout": Rule(kind="black_hole"),
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """It knows the planted keys and tokens."""
    with Emulator(
        canvas="fast",
        keys={"AKIDPLANTED": PLANTED},
        bearer_tokens=[PLANTED],
        allow_plain_bearer=True,
        accept_any_signature=True,
    ) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but what a test writes."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LASCAUX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


Plant = Callable[[Path, pytest.MonkeyPatch, str], dict[str, Any] | None]


def _literal(home: Path, patch: pytest.MonkeyPatch, sts: str) -> dict[str, Any]:
    return {"access_key_id": "AKIDPLANTED", "secret_access_key": PLANTED}


def _token(home: Path, patch: pytest.MonkeyPatch, sts: str) -> dict[str, Any]:
    return {"access_key_id": "ASIAOTHER", "secret_access_key": PLANTED, "session_token": f"{PLANTED}-session"}


def _reference(home: Path, patch: pytest.MonkeyPatch, sts: str) -> dict[str, Any]:
    patch.setenv("IMAGES_SECRET", PLANTED)
    return {"access_key_id": "AKIDPLANTED", "secret_access_key": "${IMAGES_SECRET}"}


def _bearer(home: Path, patch: pytest.MonkeyPatch, sts: str) -> dict[str, Any]:
    return {"bearer_token": PLANTED}


def _bearer_environment(home: Path, patch: pytest.MonkeyPatch, sts: str) -> None:
    patch.setenv("AWS_BEARER_TOKEN_BEDROCK", PLANTED)


def _environment(home: Path, patch: pytest.MonkeyPatch, sts: str) -> None:
    patch.setenv("AWS_ACCESS_KEY_ID", "ASIAOTHER")
    patch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
    patch.setenv("AWS_SESSION_TOKEN", f"{PLANTED}-session")


def _profile(home: Path, patch: pytest.MonkeyPatch, sts: str) -> dict[str, Any]:
    (home / "credentials").write_text(
        f"[images]\naws_access_key_id = AKIDPLANTED\naws_secret_access_key = {PLANTED}\n", encoding="utf-8"
    )
    return {"profile": "images"}


def _role(home: Path, patch: pytest.MonkeyPatch, sts: str) -> dict[str, Any]:
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIDBASE")
    patch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
    return {"role_arn": ROLE, "external_id": f"{PLANTED}-external", "sts_endpoint": sts}


def _web_identity(home: Path, patch: pytest.MonkeyPatch, sts: str) -> dict[str, Any]:
    (home / "token").write_text(PLANTED, encoding="utf-8")
    return {"role_arn": ROLE, "web_identity_token_file": str(home / "token"), "sts_endpoint": sts}


PLANTS: dict[str, Plant] = {
    "literal": _literal,
    "session token": _token,
    "reference": _reference,
    "bearer": _bearer,
    "bearer in the environment": _bearer_environment,
    "environment": _environment,
    "profile": _profile,
    "role": _role,
    "web identity": _web_identity,
}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that anybody logs, at DEBUG, with tracebacks."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_it_is_never_seen_again(
    emulator: Emulator,
    sts: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged: io.StringIO,
    plant: str,
    fault: str,
) -> None:
    """Not in a repr, a log line, a span, an error, a traceback or a record, over every kind of failure."""
    rule = FAULTS[fault]
    if rule is not None and rule.message and plant in ("role", "web identity"):
        rule = replace(rule, message="refused")  # AWS can echo what it was sent, and these secrets go to STS only
    credentials = PLANTS[plant](home, monkeypatch, sts)
    config: dict[str, Any] = {
        "deployments": {"core": {"model": CORE, "region": "us-west-2", "endpoint_url": emulator.url}},
        "retry": {"attempts": 1, "attempt_timeout": "20s", "deadline": "30s"},
    }
    if credentials is not None:
        config["credentials"] = {"prod": credentials}
        config["deployments"]["core"]["credentials"] = "prod"
    exporter = InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    seen: list[str] = []
    with Router(config, tracer_provider=tracing) as router:
        runtime = router._runtime
        deployment = runtime.deployments["core"]
        seen += [repr(router), repr(router.config), str(router.config), repr(runtime), repr(deployment)]
        seen += [repr(deployment.target), str(deployment.target.credentials), f"{deployment.target.credentials}"]
        emulator.faults = Faults()
        if fault == "timeout":
            router.generate("core", "kite", seed=2)  # what STS takes on a busy machine is not part of the short time
        emulator.faults = Faults(rules=[rule] if rule else [])
        emulator.forget()
        try:
            result = router.generate("core", "otter", seed=1, attempt_timeout=1 if fault == "timeout" else None)
        except LascauxError as error:
            failed = True
            seen += [str(error), repr(error), *traceback.format_exception(error)]
            seen += [repr(attempt) + str(attempt) for attempt in error.attempts]
            seen += [repr(vars(error)), repr(error.__cause__), repr(vars(error.__cause__)) if error.__cause__ else ""]
        else:
            failed = False
            seen += [repr(result), *map(str, result.attempts)]
        assert failed is (fault != "none")
        seen += [repr(runtime.provider), repr(vars(runtime.provider)), repr(runtime.cache)]
    seen += [span.to_json() for span in exporter.get_finished_spans()]
    assert exporter.get_finished_spans()
    seen.append(logged.getvalue())
    assert [text for text in seen if PLANTED in text] == []
    calls = [record for record in emulator.log if record.model_id == CORE]
    assert calls, "nothing was sent, so nothing was tested"
    assert PLANTED not in repr([(record.headers, record.key_id, record.body) for record in calls])


@pytest.mark.parametrize("place", ["secret_access_key", "session_token", "bearer_token", "external_id"])
def test_a_bad_configuration_does_not_quote_its_secrets(home: Path, place: str) -> None:
    """Every complaint about credentials names the field, never its value."""
    path = home / "config.yaml"
    for extra in (
        "",
        "    acces_key_id: AKID\n",
        "    profile: x\n",
        "    role_arn: wrong\n",
        f"    {place}: {PLANTED}\n",
    ):
        path.write_text(
            f"credentials:\n  prod:\n    {place}: [{PLANTED}]\n{extra}"
            f"deployments: {{core: {{model: x, regon: {PLANTED[:3]}}}}}\n",
            encoding="utf-8",
        )
        with pytest.raises(ConfigError) as caught:
            Router.from_yaml(path)
        text = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
        assert PLANTED not in text
        assert place in text or "credentials.prod" in text


def test_a_secret_keeps_to_itself() -> None:
    """No way of printing, formatting, comparing or pickling shows it."""
    secret = Secret(PLANTED)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr([secret]), repr({"k": secret})):
        assert PLANTED not in text
    assert secret == Secret(PLANTED)
    assert secret != Secret("other")
    assert PLANTED not in repr(Credentials(secret_access_key=secret, access_key_id="AKID"))
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
