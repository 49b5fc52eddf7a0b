"""The emulator over real sockets: a real boto3 client, and bare HTTP where boto3 hides too much."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lascaux.emulator import DEMO_BEARER_TOKEN, DEMO_KEY_ID, DEMO_SECRET, Emulator, Faults, Record

CORE = "stability.stable-image-core-v1:1"
CANVAS = "amazon.nova-canvas-v1:0"
INPAINT = "stability.stable-image-inpaint-v1:0"
APPLICATION = "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0"
PROMPT = {"prompt": "red kite over dunes", "seed": 7}
AMAZON = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "red kite"}}


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    """One emulator with flat pictures, for tests that leave no trace."""
    with Emulator(canvas="fast") as emulator:
        yield emulator


def client(emulator: Emulator, region: str = "us-west-2", service: str = "bedrock-runtime", **options: Any) -> Any:
    """A boto3 client without retries."""
    given: dict[str, Any] = {
        "aws_access_key_id": DEMO_KEY_ID,
        "aws_secret_access_key": DEMO_SECRET,
        "config": Config(retries={"total_max_attempts": 1}),
    }
    make: Any = boto3.client
    return make(service, endpoint_url=emulator.url, region_name=region, **{**given, **options})


def invoke(emulator: Emulator, model_id: str, body: Any, region: str = "us-west-2", **options: Any) -> dict[str, Any]:
    """The parsed body of InvokeModel by boto3."""
    answer = client(emulator, region).invoke_model(modelId=model_id, body=json.dumps(body), **options)
    document: dict[str, Any] = json.loads(answer["body"].read())
    return document


def refusal(
    emulator: Emulator, model_id: str, body: Any, region: str = "us-west-2", **options: Any
) -> tuple[int, str, str]:
    """Status, error code and message as boto3 reports them."""
    with pytest.raises(ClientError) as caught:
        invoke(emulator, model_id, body, region, **options)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


def signed(
    emulator: Emulator, model_id: str = CORE, body: bytes = b'{"prompt":"x"}', region: str = "us-west-2", **headers: str
) -> tuple[str, dict[str, str]]:
    """Path and headers of a signed call, for http.client."""
    path = f"/model/{quote(model_id, safe='')}/invoke"
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    request = AWSRequest(method="POST", url=emulator.url + path, data=body, headers=names)
    SigV4Auth(Credentials(DEMO_KEY_ID, DEMO_SECRET), "bedrock", region).add_auth(request)
    return path, dict(request.headers.items())


def post(connection: http.client.HTTPConnection, emulator: Emulator, **options: Any) -> http.client.HTTPResponse:
    """One signed call on an open connection; the answer's body is still to be read."""
    body = options.pop("body", b'{"prompt":"x"}')
    path, headers = signed(emulator, body=body, **options)
    connection.request("POST", path, body=body, headers=headers)
    return connection.getresponse()


def connect(emulator: Emulator) -> http.client.HTTPConnection:
    """A bare connection."""
    parts = urlsplit(emulator.url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)


@pytest.mark.parametrize(
    ("region", "model_id", "body"),
    [
        ("us-west-2", CORE, PROMPT),
        ("us-west-2", "stability.stable-image-ultra-v1:0", PROMPT),
        ("us-west-2", "stability.sd3-large-v1:0", PROMPT),
        ("us-west-2", "stability.sd3-5-large-v1:0", {**PROMPT, "output_format": "webp"}),
        ("us-east-1", "stability.stable-diffusion-xl-v0", {"text_prompts": [{"text": "kite"}]}),
        ("us-east-1", "stability.stable-diffusion-xl-v1", {"text_prompts": [{"text": "kite"}]}),
        ("ap-south-1", "amazon.titan-image-generator-v1", AMAZON),
        ("us-east-1", "amazon.titan-image-generator-v2:0", AMAZON),
        ("ap-northeast-1", CANVAS, AMAZON),
        ("eu-west-1", f"arn:aws:bedrock:eu-west-1::foundation-model/{CANVAS}", AMAZON),
        ("eu-west-1", APPLICATION, AMAZON),
        ("eu-west-1", APPLICATION, PROMPT),
        ("us-west-2", "arn:aws:bedrock:us-west-2:123456789012:provisioned-model/abcdefghij12", AMAZON),
    ],
)
def test_boto3_gets_a_picture_from_every_family(shared: Emulator, region: str, model_id: str, body: Any) -> None:
    """Signed, encoded and parsed by the real client; logged with the decoded path and the region of the signature."""
    document = invoke(shared, model_id, body, region)
    assert document.get("images") or document["artifacts"]
    record = shared.log[-1]
    assert (record.path, record.region, record.model_id) == (f"/model/{model_id}/invoke", region, model_id)
    assert (record.status, record.images, record.body, record.key_id) == (200, 1, body, DEMO_KEY_ID)


def test_boto3_sees_the_errors_of_bedrock(shared: Emulator) -> None:
    """Status, type and message; with the request id that the log has."""
    assert refusal(shared, CORE, PROMPT, "us-east-1") == (
        400,
        "ValidationException",
        "The provided model identifier is invalid.",
    )
    assert "on-demand throughput isn\u2019t supported" in refusal(shared, INPAINT, {"image": "aaaa"})[2]
    assert "required key [prompt] not found" in refusal(shared, f"us.{INPAINT}", {"image": "aaaa"})[2]
    record = shared.log[-1]
    assert (record.status, record.error_type, record.images) == (400, "ValidationException", 0)
    assert record.message is not None
    assert record.message.startswith("Malformed input request: #: required key [prompt] not found")


def test_credentials_are_verified_over_the_wire(shared: Emulator) -> None:
    """A wrong secret, an unknown key; the log keeps no header that carries credentials."""
    for options, code in (
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "nobody"}, "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as caught:
            client(shared, **options).invoke_model(modelId=CORE, body=json.dumps(PROMPT))
        assert caught.value.response["Error"]["Code"] == code
        assert shared.log[-1].status == 403
    client(shared, aws_session_token="very-secret").invoke_model(modelId=CORE, body=json.dumps(PROMPT))
    record = shared.log[-1]
    assert {"authorization", "x-amz-security-token"}.isdisjoint(record.headers)
    assert "very-secret" not in repr(record)
    assert DEMO_SECRET not in repr(record)


def test_the_control_plane_answers_boto3(shared: Emulator) -> None:
    """The reads that a doctor needs, through the real client's parser."""
    bedrock = client(shared, service="bedrock")
    listed = bedrock.list_foundation_models(byOutputModality="IMAGE", byProvider="Stability AI")["modelSummaries"]
    assert CORE in {entry["modelId"] for entry in listed}
    details = bedrock.get_foundation_model(modelIdentifier=CORE)["modelDetails"]
    assert details["modelLifecycle"]["startOfLifeTime"].date() == dt.date(2024, 12, 19)
    profile = bedrock.get_inference_profile(inferenceProfileIdentifier=f"us.{INPAINT}")
    assert len(profile["models"]) == 3
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        bedrock.get_inference_profile(inferenceProfileIdentifier=APPLICATION)


def test_an_answer_has_bedrocks_headers(shared: Emulator) -> None:
    """Request id, latency, error type with its tail; message and Message where the service has them."""
    connection = connect(shared)
    good = post(connection, shared)
    good.read()
    assert good.getheader("content-type") == "application/json"
    assert len(good.getheader("x-amzn-RequestId") or "") == 36
    assert int(good.getheader("x-amzn-bedrock-invocation-latency") or 0) >= 1
    assert shared.log[-1].request_id == good.getheader("x-amzn-requestid")
    bad = post(connection, shared, body=b"{}")
    assert json.loads(bad.read())["message"].startswith("Malformed input request: #: required key [prompt] not found")
    assert (
        bad.getheader("x-amzn-ErrorType") == "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/"
    )
    connection.request("POST", "/model/x/invoke", body=b"{}")
    anonymous = connection.getresponse()
    anonymous.read()
    tail = "http://internal.amazon.com/coral/com.amazon.coral.service/"
    assert anonymous.getheader("x-amzn-ErrorType") == f"MissingAuthenticationTokenException:{tail}"
    connection.close()


def test_a_connection_serves_many_calls(shared: Emulator) -> None:
    """Keep-alive, errors included; closed when the client says so."""
    connection = connect(shared)
    local = None
    for n in range(5):
        answer = post(connection, shared, body=b"{}" if n == 2 else b'{"prompt":"x"}')
        answer.read()
        assert answer.getheader("connection") == "keep-alive"
        address = connection.sock.getsockname()
        assert local in (None, address)
        local = address
    answer = post(connection, shared, Connection="close")
    answer.read()
    assert answer.getheader("connection") == "close"
    connection.close()


def test_hundreds_of_callers_at_once() -> None:
    """Each on a connection of its own; every picture is counted."""
    with Emulator(canvas="fast") as emulator:
        gate = threading.Barrier(200)

        def call(n: int) -> int:
            connection = connect(emulator)
            gate.wait(30)
            answer = post(connection, emulator, body=json.dumps({"prompt": "x", "seed": n + 1}).encode())
            seeds = json.loads(answer.read())["seeds"]
            connection.close()
            return int(seeds[0])

        with ThreadPoolExecutor(200) as pool:
            assert sorted(pool.map(call, range(200))) == list(range(1, 201))
        assert emulator.billed == len(emulator.log) == 200
        emulator.forget()
        assert (emulator.billed, emulator.log) == (0, [])


def test_guardrail_headers_come_in_pairs(shared: Emulator) -> None:
    """One without the other is refused; both are taken."""
    status, code, message = refusal(shared, CORE, PROMPT, guardrailIdentifier="gr12")
    assert (status, code) == (400, "ValidationException")
    assert "must be given together" in message
    assert invoke(shared, CORE, PROMPT, guardrailIdentifier="gr12", guardrailVersion="1")["finish_reasons"] == [None]


def test_only_json_is_taken(shared: Emulator) -> None:
    """Another content type is refused; none at all is fine."""
    assert "content type text/plain" in refusal(shared, CORE, PROMPT, contentType="text/plain")[2]
    assert invoke(shared, CORE, PROMPT, contentType="application/json; charset=utf-8", accept="application/json")[
        "seeds"
    ] == [7]


def test_a_body_of_25_million_bytes_is_the_longest(shared: Emulator) -> None:
    """One more is refused with an answer that the client gets to see; then the connection is closed."""
    connection = connect(shared)
    frame = b'{"prompt":"x"}'
    longest = frame + b" " * (25_000_000 - len(frame))
    assert post(connection, shared, body=longest).read().startswith(b'{"seeds"')
    answer = post(connection, shared, body=longest + b" ")
    assert "less than or equal to 25000000" in json.loads(answer.read())["message"]
    assert (answer.status, answer.getheader("connection")) == (400, "close")
    connection.close()


def test_other_operations_are_unknown(shared: Emulator) -> None:
    """Streaming and Converse do not exist for image models here."""
    calls: tuple[Callable[[], Any], ...] = (
        lambda: client(shared).invoke_model_with_response_stream(modelId=CORE, body=b"{}"),
        lambda: client(shared).converse(modelId=CORE, messages=[{"role": "user", "content": [{"text": "x"}]}]),
    )
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        assert caught.value.response["Error"]["Code"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / SPDY/3\r\n\r\n", 400),
        (b"POST /model/x/invoke HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST /model/x/invoke HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /model/x/invoke HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n", 431),
        (b"\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n", 403),
        (b"GET / HTTP/1.0\r\n\r\n", 403),
        (b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n{}", 100),
    ],
)
def test_bytes_that_are_hardly_http(shared: Emulator, raw: bytes, status: int) -> None:
    """Each gets an answer and the end of the connection."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as plain:
        plain.sendall(raw)
        received = b""
        while piece := plain.recv(4096):
            received += piece
    assert received.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_half_sent_request_is_forgotten(shared: Emulator) -> None:
    """A client that goes away inside its body leaves nothing in the log."""
    before = len(shared.log)
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as plain:
        plain.sendall(b"POST /model/x/invoke HTTP/1.1\r\nContent-Length: 50\r\n\r\n{")
        plain.shutdown(socket.SHUT_WR)
        assert plain.recv(10) == b""
    assert len(shared.log) == before


def test_seeds_can_be_made_repeatable() -> None:
    """Two emulators with the same source of randomness draw the same seeds."""
    seeds = []
    for _ in range(2):
        with Emulator(canvas="fast", rng=random.Random(3)) as emulator:
            seeds.append([invoke(emulator, CORE, {"prompt": "x"})["seeds"][0] for _ in range(3)])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 3


def test_retired_models_answer_until_lifecycles_are_enforced() -> None:
    """Then 404 from their last day on, except through provisioned throughput."""
    provisioned = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghij12"
    last, gone = dt.date(2026, 9, 29), dt.date(2026, 9, 30)
    with Emulator(canvas="fast", today=gone) as emulator:
        assert invoke(emulator, CANVAS, AMAZON, "us-east-1")["images"]
    with Emulator(canvas="fast", lifecycle="enforce", today=last) as emulator:
        assert invoke(emulator, CANVAS, AMAZON, "us-east-1")["images"]
    with Emulator(canvas="fast", lifecycle="enforce", today=gone, profiles={"abcdefghij12": CANVAS}) as emulator:
        status, code, message = refusal(emulator, CANVAS, AMAZON, "us-east-1")
        assert (status, code) == (404, "ResourceNotFoundException")
        assert message.startswith("This model version has reached the end of its life.")
        assert refusal(emulator, APPLICATION, AMAZON, "eu-west-1")[0] == 404
        assert invoke(emulator, provisioned, AMAZON, "us-east-1")["images"]
        assert invoke(emulator, CORE, PROMPT)["images"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""
    import ipaddress

    folder: Path = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "emulator")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(chain), str(secret)


def test_tls_and_the_bearer_tokens_that_need_it(certificate: tuple[str, str], shared: Emulator) -> None:
    """Over HTTPS a token is taken, by boto3 too; over HTTP it is refused."""
    bearer = {"Authorization": f"Bearer {DEMO_BEARER_TOKEN}"}
    with Emulator(canvas="fast", tls=certificate) as emulator:
        assert emulator.url.startswith("https://127.0.0.1:")
        answer = client(emulator, verify=certificate[0]).invoke_model(modelId=CORE, body=json.dumps(PROMPT))
        assert json.loads(answer["body"].read())["seeds"] == [7]
        context = ssl.create_default_context(cafile=certificate[0])
        secure = http.client.HTTPSConnection("127.0.0.1", emulator.port, context=context, timeout=10)
        secure.request("POST", f"/model/{CANVAS}/invoke", body=json.dumps(AMAZON), headers=bearer)
        assert secure.getresponse().status == 200
        secure.close()
        assert (emulator.log[-1].key_id, emulator.log[-1].region) == ("bearer", "us-east-1")
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert not plain.recv(100).startswith(b"HTTP")
    plain_http = connect(shared)
    plain_http.request("POST", f"/model/{CORE}/invoke", body=json.dumps(PROMPT), headers=bearer)
    refused = plain_http.getresponse()
    assert (refused.status, "over TLS only" in refused.read().decode()) == (403, True)
    plain_http.close()


def test_plain_bearer_tokens_and_a_region_for_them() -> None:
    """Both on request."""
    with Emulator(canvas="fast", allow_plain_bearer=True, bearer_tokens=["mine"], region="eu-west-1") as emulator:
        connection = connect(emulator)
        statuses = []
        for model_id in (CANVAS, CORE):
            connection.request(
                "POST", f"/model/{model_id}/invoke", body=json.dumps(AMAZON), headers={"Authorization": "Bearer mine"}
            )
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        assert statuses == [200, 400]
        assert {record.region for record in emulator.log} == {"eu-west-1"}


def test_an_emulator_starts_and_stops_as_often_as_asked() -> None:
    """The port is free again, idle connections end, and url needs a running one."""
    before = set(threading.enumerate())
    emulator = Emulator(canvas="fast")
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url
    for _ in range(2):
        emulator.start()
        assert emulator.start() is emulator
        idle = socket.create_connection(("127.0.0.1", emulator.port), timeout=10)
        assert invoke(emulator, CORE, PROMPT)["seeds"] == [7]
        emulator.stop()
        emulator.stop()
        assert idle.recv(1) == b""
        idle.close()
    assert set(threading.enumerate()) <= before
    assert emulator.billed == 2


def test_a_taken_port_is_an_error(shared: Emulator) -> None:
    """Instead of a second listener on the same one."""
    with pytest.raises(OSError, match="in use"):
        Emulator(port=shared.port).start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70000}, "port: 70000 is not between 0 and 65535"),
        ({"latency": -1}, "latency: -1 is not 0 or more seconds"),
        ({"lifecycle": "strict"}, "lifecycle: 'strict' is not one of ignore, enforce"),
        ({"canvas": "oil"}, "canvas: 'oil' is not one of paint, fast"),
        (
            {"profiles": {"a0": "gpt-image-1"}},
            "profiles: 'a0' stands for 'gpt-image-1', which is no image model of Bedrock's",
        ),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match="^" + message):
        Emulator(**options)


def test_every_record_can_be_watched() -> None:
    """on_record sees what the log keeps."""
    seen: list[Record] = []
    with Emulator(canvas="fast", log_limit=2) as emulator:
        emulator.on_record = seen.append
        for _ in range(3):
            invoke(emulator, CORE, PROMPT)
        assert emulator.log == seen[1:]


def test_a_failure_of_its_own_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    """With a log entry for whoever mends it, and the next call is served."""
    with Emulator(canvas="fast") as emulator:
        emulator.faults = Faults(clock=lambda: 1 / 0)
        status, code, message = refusal(emulator, CORE, PROMPT)
        assert (status, code) == (500, "InternalServerException")
        assert "the emulator itself failed" in message.lower()
        emulator.faults = Faults()
        assert invoke(emulator, CORE, PROMPT)["seeds"] == [7]
    assert "the emulator failed to answer" in caplog.text


def test_a_key_added_later_is_known() -> None:
    """As after AssumeRole."""
    with Emulator(canvas="fast", keys={"AKIA1": "one"}) as emulator:
        fresh: Callable[[], Any] = lambda: client(  # noqa: E731
            emulator, aws_access_key_id="ASIA2", aws_secret_access_key="two", aws_session_token="session"
        ).invoke_model(modelId=CORE, body=json.dumps(PROMPT))
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            fresh()
        emulator.add_key("ASIA2", "two", "session")
        assert fresh()["ResponseMetadata"]["HTTPStatusCode"] == 200
