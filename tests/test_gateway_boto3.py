"""Programs written for boto3 work with endpoint_url at the gateway: pictures, errors, keys, signatures, no second bill."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Faults, Rule
from lascaux.gateway.gate import Gate, open_gate
from lascaux.gateway.native import routes
from lascaux.gateway.sigv4 import Verifier
from PIL import Image
from starlette.applications import Starlette

SECRET = "a-secret-of-team-a-in-a-test"
TOKEN = "a-key-of-team-a-in-a-test"
SESSION: Any = boto3.Session(region_name="us-west-2")
KEYS = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"
CANVAS, SDXL = "amazon.nova-canvas-v1:0", "stability.stable-diffusion-xl-v1"
OUTPAINT, SKETCH = "stability.stable-outpaint-v1:0", "stability.stable-image-control-sketch-v1:0"


@dataclass
class Clock:
    """The time by which signatures are judged."""

    shift: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass
class Running:
    """A gateway, and the emulator behind it."""

    url: str
    emulator: Emulator
    clock: Clock
    gate: Gate

    def team(self, letter: str, service: str = "bedrock-runtime", **more: Any) -> Any:
        """A client with another key pair."""
        return self.client(service, secret=f"{SECRET}-{letter}", key_id=f"TEAM-{letter.upper()}", **more)

    def client(
        self, service: str = "bedrock-runtime", secret: str = SECRET, key_id: str = "TEAM-A", **more: Any
    ) -> Any:
        config = ClientConfig(**more)
        return SESSION.client(
            service, endpoint_url=self.url, config=config, aws_access_key_id=key_id, aws_secret_access_key=secret
        )


def settings(emulator: Emulator, **more: Any) -> dict[str, Any]:
    places = {
        "core": (CORE, "us-west-2"),
        "ultra": (ULTRA, "us-west-2"),
        "canvas": (CANVAS, "us-east-1"),
        "sdxl": (SDXL, "us-west-2"),
        "outpaint": (f"us.{OUTPAINT}", "us-east-1"),
        "sketch": (f"us.{SKETCH}", "us-east-1"),
    }
    return {
        "credentials": {"demo": KEYS},
        "deployments": {
            name: {"model": model, "region": region, "credentials": "demo", "endpoint_url": emulator.url}
            for name, (model, region) in places.items()
        },
        "aliases": {
            "hero": {"deployments": ["core"], "fallbacks": ["canvas"]},
            "paint": {"deployments": ["canvas"], "fallbacks": ["core"]},
            "edits": {"deployments": ["outpaint", "sketch"]},
        },
        "retry": {"attempts": 1, "attempt_timeout": "20s"},
        "lifecycle": {"retired": "allow"},
        "server": {
            "keys": [
                {"name": "team-a", "key": TOKEN},
                {"name": "team-b", "key": f"{TOKEN}-b", "aliases": ["hero", "core"], "rpm": 1000},
                {"name": "team-c", "key": f"{TOKEN}-c", "usd_per_day": "0.10"},
                {"name": "team-d", "key": f"{TOKEN}-d", "rpm": 1},
            ],
            "sigv4": [
                {"access_key_id": "TEAM-A", "secret": SECRET, "key": "team-a"},
                *(
                    {"access_key_id": f"TEAM-{one.upper()}", "secret": f"{SECRET}-{one}", "key": f"team-{one}"}
                    for one in "bcd"
                ),
            ],
        },
        **more,
    }


@pytest.fixture
def gateway() -> Iterator[Running]:
    with serving() as running:
        yield running


@contextmanager
def serving(**more: Any) -> Iterator[Running]:
    """A gateway of our addresses alone; ``more`` goes to uvicorn."""
    with Emulator(canvas="fast") as emulator:
        config = Config.from_mapping(settings(emulator))
        router = AsyncRouter(config, picture_files=False)
        clock = Clock()
        gate = open_gate(config.server, clock=lambda: 0.0, now=lambda: datetime.now(UTC))
        app = Starlette(routes=routes(router, gate, verifier=Verifier.of(config.server, clock)))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", **more))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"{'https' if more else 'http'}://localhost:{port}", emulator, clock, gate)
        server.should_exit = True
        thread.join(10)
        asyncio.run(router.aclose())


def png(colour: str, size: tuple[int, int] = (512, 512)) -> str:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def invoke(client: Any, model_id: str, body: dict[str, Any], **more: Any) -> tuple[dict[str, Any], dict[str, str]]:
    answer = client.invoke_model(modelId=model_id, body=json.dumps(body), **more)
    meta = answer["ResponseMetadata"]
    assert meta["HTTPStatusCode"] == 200
    assert answer["contentType"] == "application/json"
    return json.loads(answer["body"].read()), meta["HTTPHeaders"]


def body_of(gateway: Running) -> Mapping[str, Any]:
    """The body of the first call that reached the emulator."""
    body = gateway.emulator.log[0].body
    assert body is not None
    return body


def opened(b64: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(b64, validate=True)))


@pytest.mark.parametrize(
    "model_id",
    [
        CANVAS,
        f"arn:aws:bedrock:us-east-1::foundation-model/{CANVAS}",
        "paint",
        "canvas",
        "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/paint",
    ],
)
def test_a_model_is_asked_for_by_any_of_its_names(gateway: Running, model_id: str) -> None:
    """Its id, its ARN, an alias, a deployment, the ARN under which an alias is listed."""
    body = {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": f"an otter {model_id}"},
        "imageGenerationConfig": {"width": 640, "height": 512, "numberOfImages": 2, "seed": 7},
    }
    answer, headers = invoke(gateway.client(), model_id, body)
    assert set(answer) == {"images"}
    assert [opened(one).size for one in answer["images"]] == [(640, 512)] * 2
    assert headers["x-amzn-requestid"]
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    assert headers["x-lascaux-deployment"] == "canvas"
    assert len(gateway.emulator.log) == 1
    assert body_of(gateway)["imageGenerationConfig"]["seed"] == 7


def test_stabilitys_bodies_are_answered_in_their_shape(gateway: Running) -> None:
    """Seeds, reasons and pictures; with the guardrail handed on."""
    body = {"prompt": "an otter", "seed": 11, "aspect_ratio": "16:9", "output_format": "jpeg"}
    answer, _ = invoke(gateway.client(), CORE, body, guardrailIdentifier="abc123", guardrailVersion="1")
    assert answer["seeds"] == [11]
    assert answer["finish_reasons"] == [None]
    assert opened(answer["images"][0]).format == "JPEG"


def test_sdxls_bodies_are_answered_in_their_shape(gateway: Running) -> None:
    """Artifacts with a seed each."""
    body = {"text_prompts": [{"text": "an otter"}, {"text": "people", "weight": -1}], "seed": 5, "steps": 20}
    answer, _ = invoke(gateway.client(), SDXL, body)
    (artifact,) = answer["artifacts"]
    assert (answer["result"], artifact["seed"], artifact["finishReason"]) == ("success", 5, "SUCCESS")
    assert opened(artifact["base64"]).size[0] > 0
    assert body_of(gateway)["text_prompts"][1]["weight"] == -1


@pytest.mark.parametrize("model_id", [OUTPAINT, f"us.{OUTPAINT}"])
def test_an_edit_is_asked_for_with_or_without_us(gateway: Running, model_id: str) -> None:
    """The thirteen services are known by both ids."""
    answer, _ = invoke(gateway.client(), model_id, {"image": png("navy"), "left": 128, "seed": 3})
    assert opened(answer["images"][0]).size == (640, 512)


def test_the_model_decides_the_task_of_a_service(gateway: Running) -> None:
    """A sketch and any other picture with words look the same; the model id tells them apart."""
    invoke(gateway.client(), f"us.{SKETCH}", {"image": png("white"), "prompt": "a house"})
    assert gateway.emulator.log[0].model_id == f"us.{SKETCH}"


def test_an_edit_with_a_mask_works_on_canvas(gateway: Running) -> None:
    """Black is what changes, as Amazon says."""
    mask = Image.new("RGB", (512, 512), "white")
    mask.paste("black", (100, 100, 200, 200))
    stream = io.BytesIO()
    mask.save(stream, "PNG")
    params = {"image": png("navy"), "maskImage": base64.b64encode(stream.getvalue()).decode(), "text": "a boat"}
    body = {"taskType": "INPAINTING", "inPaintingParams": params}
    answer, _ = invoke(gateway.client(), CANVAS, body)
    sent = body_of(gateway)["inPaintingParams"]["maskImage"]
    assert opened(sent).convert("L").getpixel((150, 150)) == 0
    assert opened(answer["images"][0]).size == (512, 512)


def test_a_fallback_of_another_maker_answers_in_the_callers_shape(gateway: Running) -> None:
    """Stability's body, Canvas's picture; Amazon's body, Core's pictures."""
    gateway.emulator.faults = Faults(rules=[Rule(status=503, model=CORE)])
    answer, headers = invoke(gateway.client(), "hero", {"prompt": "an otter", "seed": 21, "aspect_ratio": "1:1"})
    assert headers["x-lascaux-deployment"] == "canvas"
    assert answer["seeds"] == [21]
    assert answer["finish_reasons"] == [None]
    gateway.emulator.faults = Faults(rules=[Rule(status=503, model=CANVAS)])
    config = {"numberOfImages": 2, "seed": 4, "width": 1024, "height": 1024}
    body = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "an otter"}, "imageGenerationConfig": config}
    answer, headers = invoke(gateway.client(), "paint", body)
    assert headers["x-lascaux-model"] == CORE
    assert set(answer) == {"images"}
    assert len(answer["images"]) == 2


def failure(client: Any, model_id: str, body: dict[str, Any]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        client.invoke_model(modelId=model_id, body=json.dumps(body))
    return caught.value


def test_errors_are_the_exceptions_of_the_client(gateway: Running) -> None:
    """By class, with AWS's status, and words that say what to do."""
    client = gateway.client()
    body = {"prompt": "an otter", "seed": -1}
    with pytest.raises(client.exceptions.ValidationException, match="seed must be a whole number"):
        client.invoke_model(modelId=CORE, body=json.dumps(body))
    with pytest.raises(client.exceptions.ValidationException, match="Malformed input request"):
        client.invoke_model(modelId=CORE, body=b"{")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="there are: hero") as caught:
        client.invoke_model(modelId="amazon.titan-image-generator-v2:0", body=json.dumps({"prompt": "x"}))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="in us-east-1 only"):
        client.invoke_model(modelId=f"arn:aws:bedrock:eu-west-1::foundation-model/{CANVAS}", body=b'{"prompt": "x"}')
    other = gateway.team("b")
    with pytest.raises(other.exceptions.AccessDeniedException, match="may not use 'sdxl'"):
        other.invoke_model(modelId=SDXL, body=json.dumps({"text_prompts": [{"text": "x"}]}))
    with pytest.raises(client.exceptions.ValidationException, match="use InvokeModel"):
        client.invoke_model_with_response_stream(modelId=CORE, body=json.dumps(body))
    assert gateway.emulator.log == []


@pytest.mark.parametrize(
    ("rule", "name", "status"),
    [
        (Rule(status=408, error_type="ModelTimeoutException"), "ModelTimeoutException", 408),
        (Rule(kind="truncate"), "ModelErrorException", 424),
        (Rule(kind="garbage"), "ModelErrorException", 424),
        (Rule(kind="drop"), "ModelErrorException", 424),
        (Rule(status=403, error_type="AccessDeniedException"), "ModelErrorException", 424),
        (Rule(status=400, message="Malformed input request: x"), "ValidationException", 400),
    ],
)
@pytest.mark.parametrize("mode", ["standard", "legacy", "adaptive"])
def test_what_may_have_been_billed_is_not_sent_again(
    gateway: Running, rule: Rule, name: str, status: int, mode: str
) -> None:
    """Whatever way of botocore's to retry, and nothing of the gateway's own account is told."""
    gateway.emulator.faults = Faults(rules=[rule])
    client = gateway.client(retries={"mode": mode, "total_max_attempts": 3})
    error = failure(client, SDXL, {"text_prompts": [{"text": "an otter"}]})
    assert (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]) == (name, status)
    assert error.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert len(gateway.emulator.log) == 1
    assert "000000000000" not in str(error)
    assert "arn:" not in str(error)


@pytest.mark.parametrize(
    ("rule", "name", "wait"),
    [
        (Rule(status=429, error_type="ThrottlingException", retry_after=7), "ThrottlingException", "7"),
        (Rule(status=503), "ServiceUnavailableException", None),
        (Rule(status=500), "ServiceUnavailableException", None),
    ],
)
def test_what_cost_nothing_may_come_again(gateway: Running, rule: Rule, name: str, wait: str | None) -> None:
    """Such errors have the types that SDKs retry, with the time to wait."""
    gateway.emulator.faults = Faults(rules=[rule])
    error = failure(gateway.client(retries={"total_max_attempts": 1}), CORE, {"prompt": "an otter"})
    assert error.response["Error"]["Code"] == name
    if wait is not None:
        assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == wait


def test_a_second_sending_waits_for_what_the_first_brings(gateway: Running) -> None:
    """A client whose patience ends before the picture is there pays once, though the call can not be cached."""
    gateway.emulator.faults = Faults(latency=0.8)
    client = gateway.client(read_timeout=0.5, retries={"mode": "standard", "total_max_attempts": 8})
    answer, _ = invoke(client, CORE, {"prompt": "an otter"})
    assert len(answer["images"]) == 1
    assert gateway.emulator.billed == 1
    again, _ = invoke(gateway.client(), CORE, {"prompt": "an otter"})
    assert gateway.emulator.billed == 2, "another call is another picture"
    assert again["images"] != answer["images"]


def test_an_identical_call_is_answered_from_the_cache(gateway: Running) -> None:
    """Byte for byte, if the model would draw the same."""
    body = {"prompt": "an otter", "seed": 5}
    first, _ = invoke(gateway.client(), CORE, body)
    second, headers = invoke(gateway.client(), CORE, body)
    assert first == second
    assert headers["x-lascaux-cache"] == "hit"
    assert headers["x-lascaux-cost-usd"] == "0"
    assert gateway.emulator.billed == 1


@pytest.mark.parametrize(
    ("prompt", "model_id", "body", "answer"),
    [
        (
            "[blocked-output]",
            CANVAS,
            {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "[blocked-output]"}},
            {"images": [], "error": "All of the generated images have been blocked by our content filters."},
        ),
        ("[blocked-prompt]", CORE, {"prompt": "[blocked-prompt]"}, {"finish_reasons": ["Filter reason: prompt"]}),
        ("[blocked-output]", CORE, {"prompt": "[blocked-output]"}, {"finish_reasons": ["Filter reason: output image"]}),
    ],
)
def test_filters_speak_as_the_models_do(
    gateway: Running, prompt: str, model_id: str, body: dict[str, Any], answer: dict[str, Any]
) -> None:
    """Inside a 200, where the models say so inside a 200."""
    assert invoke(gateway.client(), model_id, body)[0] == answer


def test_blocked_words_are_an_error_where_the_model_says_so(gateway: Running) -> None:
    """Amazon's models refuse a prompt with a ValidationException; of pictures that were blocked the others come."""
    client = gateway.client()
    body: dict[str, Any] = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "[blocked-prompt]"}}
    with pytest.raises(client.exceptions.ValidationException, match="blocked by our content filters"):
        client.invoke_model(modelId=CANVAS, body=json.dumps(body))
    body = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "[blocked-some]"}}
    answer, _ = invoke(client, CANVAS, body | {"imageGenerationConfig": {"numberOfImages": 2}})
    assert len(answer["images"]) == 1
    assert answer["error"] == "Some of the generated images have been blocked by our content filters."


@pytest.mark.parametrize(
    ("key_id", "secret", "shift", "name"),
    [
        ("TEAM-A", "not-the-secret-of-team-a", 0, "InvalidSignatureException"),
        ("TEAM-X", SECRET, 0, "UnrecognizedClientException"),
        ("TEAM-A", SECRET, 16, "InvalidSignatureException"),
        ("TEAM-A", SECRET, -16, "InvalidSignatureException"),
    ],
)
def test_a_signature_must_be_right_and_fresh(gateway: Running, key_id: str, secret: str, shift: int, name: str) -> None:
    """A wrong secret, an unknown key, a date more than 15 minutes away: 403, and nobody is asked."""
    gateway.clock.shift = timedelta(minutes=shift)
    error = failure(gateway.client(secret=secret, key_id=key_id), CORE, {"prompt": "an otter"})
    assert error.response["Error"]["Code"] == name
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert secret not in str(error)
    assert gateway.emulator.log == []


@pytest.mark.parametrize("shift", [-14, 14])
def test_a_clock_may_be_off_by_fourteen_minutes(gateway: Running, shift: int) -> None:
    """Either way."""
    gateway.clock.shift = timedelta(minutes=shift)
    assert invoke(gateway.client(), CORE, {"prompt": "an otter"})[0]["images"]


def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    request = urllib.request.Request(url, data=body, headers={key.replace("_", "-"): v for key, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read())


def test_a_bearer_key_is_good_as_well(gateway: Running) -> None:
    """As AWS_BEARER_TOKEN_BEDROCK is sent; a wrong one, or none, gets 403 with Bedrock's type."""
    url, body = f"{gateway.url}/model/hero/invoke", b'{"prompt": "an otter", "seed": 3}'
    status, _, answer = post(url, body, Authorization=f"Bearer {TOKEN}")
    assert (status, answer["seeds"]) == (200, [3])
    for authorization in ("Bearer wrong", "Basic abc", ""):
        status, headers, answer = post(url, body, Authorization=authorization)
        assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
        assert "message" in answer
    assert len(gateway.emulator.log) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b"\xff\xfe",
        b'{"prompt": 1}',
        b'{"prompt": "x", "image": "/etc/passwd"}',
        b'{"prompt": "x", "image": "https://example.com/a.png"}',
        b'{"prompt": "x", "image": {"url": "https://example.com/a.png"}}',
        b'{"text_prompts": 5}',
        b'{"text_prompts": [{"text": null}]}',
        b'{"taskType": "DANCE"}',
        b'{"taskType": "TEXT_IMAGE", "textToImageParams": []}',
        b'{"taskType": "INPAINTING", "inPaintingParams": {"image": "/etc/passwd"}}',
        b'{"messages": []}',
        b"[" * 100_000,
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "x", "seed": 1e400}',
    ],
)
def test_a_bad_body_is_a_validation_error(gateway: Running, body: bytes) -> None:
    """Whatever it is; nothing of this computer or the net is read."""
    status, headers, answer = post(f"{gateway.url}/model/hero/invoke", body, Authorization=f"Bearer {TOKEN}")
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException"), answer
    assert answer["message"].isprintable()
    assert headers["x-amzn-requestid"]
    assert gateway.emulator.log == []


def test_clients_can_look_up_what_there_is(gateway: Running) -> None:
    """Models and profiles as the aliases offer them, each listed profile usable as a modelId."""
    client = gateway.client("bedrock")
    models = {one["modelId"]: one for one in client.list_foundation_models()["modelSummaries"]}
    assert set(models) == {CORE, ULTRA, CANVAS, SDXL, OUTPAINT, SKETCH}
    assert models[CANVAS]["inputModalities"] == ["TEXT", "IMAGE"]
    amazons = client.list_foundation_models(byProvider="Amazon", byOutputModality="IMAGE")["modelSummaries"]
    assert [one["modelId"] for one in amazons] == [CANVAS]
    details = client.get_foundation_model(modelIdentifier=CANVAS)["modelDetails"]
    assert details["modelArn"] == f"arn:aws:bedrock:us-east-1::foundation-model/{CANVAS}"
    assert details["modelLifecycle"]["status"] == "LEGACY"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_foundation_model(modelIdentifier="amazon.titan-image-generator-v1")
    profiles = client.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    assert [one["inferenceProfileId"] for one in profiles] == ["hero", "paint", "edits"]
    system = client.list_inference_profiles(typeEquals="SYSTEM_DEFINED")["inferenceProfileSummaries"]
    assert {one["inferenceProfileId"] for one in system} == {f"us.{OUTPAINT}", f"us.{SKETCH}"}
    arn = client.get_inference_profile(inferenceProfileIdentifier="hero")["inferenceProfileArn"]
    assert client.get_inference_profile(inferenceProfileIdentifier=arn)["inferenceProfileName"] == "hero"
    assert invoke(gateway.client(), arn, {"prompt": "an otter"})[0]["images"]


def test_a_key_sees_only_what_it_may_use(gateway: Running) -> None:
    """Other aliases, and the models behind them, are not there for it."""
    client = gateway.team("b", "bedrock")
    assert [one["modelId"] for one in client.list_foundation_models()["modelSummaries"]] == [CORE]
    profiles = client.list_inference_profiles()["inferenceProfileSummaries"]
    assert [one["inferenceProfileId"] for one in profiles] == ["hero"]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_inference_profile(inferenceProfileIdentifier="paint")
    assert invoke(gateway.team("b"), CORE, {"prompt": "x"})[0]["images"]


def test_a_key_without_money_left_is_told_so_once(gateway: Running) -> None:
    """Money is reserved before the call and booked after it; being out of it is nothing that an SDK sends again."""
    client = gateway.team("c", retries={"mode": "standard", "total_max_attempts": 3})
    for seed in (1, 2):
        invoke(client, CORE, {"prompt": "an otter", "seed": seed})
    with pytest.raises(client.exceptions.ServiceQuotaExceededException, match=r"may spend 0\.10 USD a day") as caught:
        client.invoke_model(modelId=CORE, body=b'{"prompt": "an otter", "seed": 3}')
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert gateway.emulator.billed == 2
    assert gateway.gate.usage(gateway.gate.named("team-c"))["usd_today"] == "0.08"


def test_a_key_that_asks_too_often_is_throttled(gateway: Running) -> None:
    """With the time to wait."""
    client = gateway.team("d", retries={"total_max_attempts": 1})
    invoke(client, CORE, {"prompt": "an otter"})
    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.invoke_model(modelId=CORE, body=b'{"prompt": "an otter"}')
    assert int(caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) == 60


def test_keys_do_not_share_answers(gateway: Running) -> None:
    """What one has paid for is not in the cache of another."""
    for client in (gateway.client(), gateway.team("b"), gateway.client()):
        invoke(client, CORE, {"prompt": "an otter", "seed": 5})
    assert gateway.emulator.billed == 2


def certificate(folder: Path) -> tuple[str, str]:
    """A self-signed certificate for localhost and its key, as PEM files."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return str(chain), str(secret)


def test_boto3_sends_a_bearer_key_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_BEARER_TOKEN_BEDROCK is a key of the gateway; boto3 1.44 sends it over https only."""
    chain, key = certificate(tmp_path)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", TOKEN)
    with serving(ssl_certfile=chain, ssl_keyfile=key) as gateway:
        session = boto3.Session(region_name="us-west-2")
        client = session.client("bedrock-runtime", endpoint_url=gateway.url, verify=chain)
        assert invoke(client, "hero", {"prompt": "an otter", "seed": 3})[0]["seeds"] == [3]
        client.close()
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "not-a-key")
        client = session.client("bedrock-runtime", endpoint_url=gateway.url, verify=chain)
        with pytest.raises(client.exceptions.AccessDeniedException):
            client.invoke_model(modelId="hero", body=b'{"prompt": "an otter"}')
        client.close()
