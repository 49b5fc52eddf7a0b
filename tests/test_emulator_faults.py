"""The emulator's troubles: rules, quotas, latency, broken deliveries; and its command line."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lascaux.emulator import DEMO_KEY_ID, DEMO_SECRET, Emulator, Faults, Rule
from lascaux.emulator.__main__ import main, parser
from lascaux.emulator.errors import STATUS_TYPES, BedrockError
from lascaux.emulator.faults import parse_quota

CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"
CANVAS = "amazon.nova-canvas-v1:0"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator with flat pictures and no faults yet."""
    with Emulator(canvas="fast") as running:
        yield running


def call(
    emulator: Emulator, prompt: str = "kite", model_id: str = CORE, region: str = "us-west-2", timeout: float = 20
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower-case names) and body of one signed call on a fresh connection."""
    body = json.dumps({"prompt": prompt}).encode()
    if model_id == CANVAS:
        body = json.dumps({"taskType": "TEXT_IMAGE", "textToImageParams": {"text": prompt}}).encode()
    path = f"/model/{quote(model_id, safe='')}/invoke"
    request = AWSRequest(method="POST", url=emulator.url + path, data=body)
    SigV4Auth(Credentials(DEMO_KEY_ID, DEMO_SECRET), "bedrock", region).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=timeout)
    try:
        connection.request("POST", path, body=body, headers=dict(request.headers.items()))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("status", list(STATUS_TYPES))
def test_a_status_brings_its_type_and_words(emulator: Emulator, status: int) -> None:
    """An error rule needs no more than a status."""
    emulator.faults.add(Rule(status=status))
    got, headers, body = call(emulator)
    assert got == status
    assert headers["x-amzn-errortype"].partition(":")[0] == STATUS_TYPES[status]
    assert json.loads(body)["message"]
    record = emulator.log[-1]
    assert (record.status, record.fault, record.images) == (status, "error", 0)


def test_an_error_rule_can_say_everything(emulator: Emulator) -> None:
    """Type, words, further members and a Retry-After."""
    emulator.faults.add(
        Rule(
            error_type="ModelErrorException",
            message="The model went home.",
            extra={"originalStatusCode": 503},
            retry_after=2.5,
            model=CORE,
        )
    )
    status, headers, body = call(emulator)
    assert (status, headers["retry-after"]) == (424, "2.5")
    assert json.loads(body) == {"message": "The model went home.", "originalStatusCode": 503, "resourceName": CORE}


def test_a_denial_by_iam_has_a_capital_message(emulator: Emulator) -> None:
    """As seen on the live service."""
    words = "User: x is not authorized to perform: bedrock:InvokeModel on resource: y"
    emulator.faults.add(Rule(status=403, message=words))
    assert json.loads(call(emulator)[2]) == {"Message": words}


@pytest.mark.parametrize(
    ("rule", "status", "error_type"),
    [
        (Rule(), 500, "InternalServerException"),
        (Rule(status=502), 502, "InternalServerException"),
        (Rule(status=409), 409, "ValidationException"),
        (Rule(error_type="ThrottlingException"), 429, "ThrottlingException"),
        (Rule(error_type="ServiceQuotaExceededException"), 400, "ServiceQuotaExceededException"),
        (Rule(status=429, error_type="ModelNotReadyException"), 429, "ModelNotReadyException"),
    ],
)
def test_status_and_type_complete_each_other(rule: Rule, status: int, error_type: str) -> None:
    """Either is enough; neither means an internal error."""
    error = rule.error()
    assert (error.status, error.error_type) == (status, error_type)


def test_a_rule_picks_its_calls(emulator: Emulator) -> None:
    """By region, by model as called or its base model, by a part of the prompt."""
    arn = f"arn:aws:bedrock:us-west-2::foundation-model/{ULTRA}"
    emulator.faults.add(
        Rule(region="eu-west-1", status=503), Rule(model=ULTRA, status=500), Rule(match="storm", status=424)
    )
    assert call(emulator)[0] == 200
    assert call(emulator, model_id=CANVAS, region="us-east-1")[0] == 200
    assert call(emulator, model_id=CANVAS, region="eu-west-1")[0] == 503
    assert call(emulator, model_id=ULTRA)[0] == 500
    assert call(emulator, model_id=arn)[0] == 500
    assert call(emulator, "a storm at sea")[0] == 424
    assert call(emulator, "a storm", model_id=CANVAS, region="us-east-1")[0] == 424


def test_a_rule_can_run_out(emulator: Emulator) -> None:
    """times counts the calls that it struck; the next rule takes over."""
    emulator.faults = Faults(rules=[Rule(status=503, times=2), Rule(status=500, times=1)])
    assert [call(emulator)[0] for _ in range(4)] == [503, 503, 500, 200]


def test_chance_is_repeatable() -> None:
    """The same seed strikes the same calls, about as often as asked."""
    runs = []
    for _ in range(2):
        faults = Faults(rules=[Rule(probability=0.3)], seed=4)
        runs.append([faults.strike("us-west-2", {CORE}, "") is not None for _ in range(1000)])
    assert runs[0] == runs[1]
    assert 240 < sum(runs[0]) < 360


def test_quotas_hold_per_sliding_minute() -> None:
    """By region and by model in a region; what is refused counts against nothing."""
    now = [0.0]
    seen: set[tuple[int, str, str]] = set()
    faults = Faults(quotas={"us-west-2": 3, ("us-west-2", ULTRA): 1}, clock=lambda: now[0])

    def admitted(region: str, model_id: str) -> bool:
        try:
            faults.throttle(region, model_id)
        except BedrockError as error:
            seen.add((error.status, error.error_type, error.message))
            return False
        return True

    assert [admitted("us-west-2", ULTRA) for _ in range(3)] == [True, False, False]
    now[0] = 30
    assert [admitted("us-west-2", CORE) for _ in range(3)] == [True, True, False]
    assert all(admitted("us-east-1", CORE) for _ in range(50))
    now[0] = 60
    assert [admitted("us-west-2", CORE) for _ in range(2)] == [True, False]
    now[0] = 90
    assert [admitted("us-west-2", CORE) for _ in range(3)] == [True, True, False]
    faults.limit("us-west-2", None)
    assert all(admitted("us-west-2", CORE) for _ in range(50))
    faults.limit("us-west-2", 0)
    assert not admitted("us-west-2", CORE)
    faults.clear()
    assert admitted("us-west-2", CORE)
    assert seen == {(429, "ThrottlingException", "Too many requests, please wait before trying again.")}


def test_a_quota_answers_429_over_the_wire(emulator: Emulator) -> None:
    """And can be set while the emulator runs."""
    emulator.faults.limit("us-west-2", 1)
    assert [call(emulator)[0] for _ in range(2)] == [200, 429]
    assert emulator.log[-1].error_type == "ThrottlingException"
    assert emulator.billed == 1


def test_a_dropped_call_gets_no_answer(emulator: Emulator) -> None:
    """It is in the log without a status, and nothing was drawn."""
    emulator.faults.add(Rule(kind="drop", times=1))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        call(emulator)
    assert (emulator.log[-1].status, emulator.log[-1].fault, emulator.billed) == (None, "drop", 0)
    assert call(emulator)[0] == 200


def test_a_truncated_answer_was_billed(emulator: Emulator) -> None:
    """Half of what Content-Length promised."""
    emulator.faults.add(Rule(kind="truncate"))
    with pytest.raises(http.client.IncompleteRead) as caught:
        call(emulator)
    half = len(caught.value.partial)
    assert caught.value.expected is not None
    assert abs(half - caught.value.expected) <= 1
    assert (emulator.log[-1].status, emulator.billed) == (200, 1)


def test_broken_bodies_come_with_a_200(emulator: Emulator) -> None:
    """Garbage that is no JSON, and nothing at all."""
    emulator.faults.add(Rule(kind="garbage", times=1), Rule(kind="empty", times=1))
    status, headers, body = call(emulator)
    assert (status, headers["content-type"]) == (200, "application/json")
    with pytest.raises(UnicodeDecodeError):
        json.loads(body)
    assert call(emulator)[::2] == (200, b"")
    assert emulator.billed == 0


def test_a_proxy_answers_html(emulator: Emulator) -> None:
    """502 unless told otherwise."""
    emulator.faults.add(Rule(kind="html", times=1), Rule(kind="html", status=504, message="Gateway Timeout"))
    status, headers, body = call(emulator)
    assert (status, headers["content-type"], "x-amzn-errortype" in headers) == (502, "text/html", False)
    assert b"<h1>502</h1><p>Bad Gateway</p>" in body
    assert b"Gateway Timeout" in call(emulator)[2]
    assert "x-amzn-requestid" not in headers


def test_a_black_hole_swallows_until_the_client_or_the_emulator_ends() -> None:
    """A read timeout for one client; the end of the connection for the other when the emulator stops."""
    emulator = Emulator(canvas="fast", faults=Faults(rules=[Rule(kind="black_hole")])).start()
    swallowed = threading.Semaphore(0)
    emulator.on_record = lambda _: swallowed.release()
    with pytest.raises(TimeoutError):
        call(emulator, timeout=0.1)
    assert swallowed.acquire(timeout=10)
    outcome: list[BaseException] = []

    def wait() -> None:
        try:
            call(emulator)
        except (http.client.HTTPException, OSError) as error:
            outcome.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert swallowed.acquire(timeout=10)
    emulator.stop()
    waiting.join(10)
    assert len(outcome) == 1
    assert [record.status for record in emulator.log] == [None, None]


@pytest.mark.parametrize(
    "rule", [Rule(kind="delay", latency=0.05), Rule(kind="slow", latency=0.05), Rule(status=503, latency=0.05)]
)
def test_a_rule_can_take_its_time(emulator: Emulator, rule: Rule) -> None:
    """The right answer or the error, later."""
    emulator.faults.add(rule)
    begun = time.monotonic()
    status, _, body = call(emulator)
    assert time.monotonic() - begun >= 0.05
    assert status == (503 if rule.kind == "error" else 200)
    assert ("images" in json.loads(body)) == (status == 200)


def test_latency_can_be_set_for_all_calls() -> None:
    """On the emulator, and on its faults while it runs."""
    with Emulator(canvas="fast", latency=0.03) as emulator:
        emulator.faults.latency = 0.03
        begun = time.monotonic()
        assert call(emulator)[0] == 200
        assert time.monotonic() - begun >= 0.06


def test_stopping_does_not_wait_for_slow_answers() -> None:
    """Calls that are being delayed end with the emulator."""
    emulator = Emulator(canvas="fast", latency=60).start()
    arrived = threading.Event()
    emulator.on_record = lambda _: arrived.set()
    done = threading.Event()

    def wait() -> None:
        with pytest.raises((http.client.HTTPException, OSError)):
            call(emulator)
        done.set()

    threading.Thread(target=wait).start()
    assert arrived.wait(10)
    begun = time.monotonic()
    emulator.stop()
    assert done.wait(10)
    assert time.monotonic() - begun < 10


def test_rules_are_listed_and_cleared(emulator: Emulator) -> None:
    """In the order in which they are tried."""
    rules = Rule(status=503), Rule(kind="drop")
    emulator.faults.add(*rules)
    assert list(emulator.faults.rules) == list(rules)
    emulator.faults.clear()
    assert not emulator.faults.rules
    assert call(emulator)[0] == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: "),
        ("[]", "a rule is a JSON object"),
        (
            '{"kind": "explode"}',
            "kind: 'explode' is not one of error, drop, truncate, garbage, empty, html, black_hole, slow, delay, resize",
        ),
        ('{"regio": "us-west-2"}', "regio: unknown; allowed are kind, region, .*; did you mean region?"),
        ('{"status": "503"}', "status: '503' is not a whole number"),
        ('{"times": true}', "times: True is not a whole number"),
        ('{"times": 0}', "times: 0 is not 1 or more"),
        ('{"probability": 2}', "probability: 2 is not between 0 and 1"),
        ('{"latency": -1}', "latency and retry_after are seconds, 0 or more"),
        ('{"retry_after": -1}', "latency and retry_after are seconds, 0 or more"),
        ('{"kind": "resize", "extra": {"width": 0}}', "extra: width 0 is not a whole number from 1 to 8192"),
        ('{"kind": "reformat", "extra": {"format": "gif"}}', "extra: format 'gif' is not one of png, jpeg, webp"),
    ],
)
def test_a_wrong_rule_is_named(text: str, message: str) -> None:
    """With what is allowed and the nearest spelling."""
    with pytest.raises(ValueError, match=f"^{message.replace('?', '.')}"):
        Rule.from_json(text)


def test_rules_and_quotas_are_read_from_text() -> None:
    """As the command line takes them."""
    assert Rule.from_json('{"kind": "slow", "latency": 1, "extra": {"a": 1}}') == Rule(
        kind="slow", latency=1, extra={"a": 1}
    )
    assert parse_quota("us-west-2=60") == ("us-west-2", 60)
    assert parse_quota(f"us-west-2/{CORE}=90") == (("us-west-2", CORE), 90)
    for text in ("us-west-2", "us-west-2=", "=5", "us-west-2=-1", "us-west-2=many"):
        with pytest.raises(ValueError, match="is not REGION=CALLS_PER_MINUTE or REGION/MODEL=CALLS_PER_MINUTE"):
            parse_quota(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "port: 70000 is not between 0 and 65535"),
        (["--fault", '{"knd": "drop"}'], "did you mean kind?"),
        (["--quota", "60"], "is not REGION=CALLS_PER_MINUTE"),
        (["--key", "AKID"], "expected ID=SECRET"),
        (["--profile", "a0=gpt-image-1"], "which is no image model"),
        (["--today", "yesterday"], "invalid"),
        (["--lifecycle", "maybe"], "choose from"),
    ],
)
def test_a_wrong_option_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line that says what is wrong."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_what_can_not_start_fails_with_a_line(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 for a taken port and for a certificate that is not there."""
    assert main(["--port", str(emulator.port)]) == 1
    assert f"cannot listen on 127.0.0.1:{emulator.port}" in capsys.readouterr().err
    assert main(["--port", "0", "--tls", "/nowhere/chain.pem", "/nowhere/key.pem"]) == 1
    assert "cannot read the certificate" in capsys.readouterr().err


def test_the_help_shows_examples() -> None:
    """And the keys to use."""
    text = parser().format_help()
    for part in (
        "examples",
        "--lifecycle enforce",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
        f"{DEMO_KEY_ID} / {DEMO_SECRET}",
    ):
        assert part in text


def test_the_command_serves_until_it_is_interrupted() -> None:
    """A process of its own: says where it listens, logs a line per call, ends with 0."""
    options = ["--port", "0", "--canvas", "fast", "--quota", "us-west-2=1", "--key", f"{DEMO_KEY_ID}={DEMO_SECRET}"]
    with subprocess.Popen(
        [sys.executable, "-m", "lascaux.emulator", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Lascaux emulator on http://127.0.0.1:")
        port = int(line.split()[3].rpartition(":")[2])
        remote: Any = _Remote(port)
        assert [call(remote)[0] for _ in range(2)] == [200, 429]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    first, second = errors.splitlines()
    assert f"200  us-west-2  {CORE}  1 image" in first
    assert f"429  us-west-2  {CORE}  ThrottlingException" in second
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


class _Remote:
    """Where an emulator in another process is."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


def test_the_command_stops_when_told(capsys: pytest.CaptureFixture[str]) -> None:
    """From a thread, where signals can not be caught."""
    stop = threading.Event()
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--port", "0", "--quiet"], stop=stop)))
    thread.start()
    stop.set()
    thread.join(10)
    assert codes == [0]
    assert "Lascaux emulator on" in capsys.readouterr().out
