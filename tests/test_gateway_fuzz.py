"""The gateway under requests that nobody would send: schemathesis by its description, and malformed bytes on the socket.

``FUZZ_REQUESTS`` is how many requests there are in all; ``make fuzz N=...`` sets it. Every run is the same run.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import schemathesis
from lascaux.emulator import Emulator
from lascaux.gateway.codes import CODES, KINDS
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

ROUNDS = int(os.environ.get("FUZZ_REQUESTS", "5000"))
pytestmark = pytest.mark.timeout(600 + ROUNDS // 10)
MARGIN = 12 * 1024 * 1024
"""Bytes by which the resident memory may differ from what it was after a warm-up: what an allocator keeps for itself."""
REPEATABLE = {"no-shrink": True, "deterministic": True, "database": "none"}
KEY, SECRET = "a-key-of-team-a-in-a-test", "a-secret-of-team-a-in-a-test"

PLAIN = """\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments:
  core: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{url}"}}
  canvas: {{model: "amazon.nova-canvas-v1:0", region: us-east-1, credentials: demo, endpoint_url: "{url}"}}
aliases: {{hero: core, "amazon.nova-canvas-v1:0": canvas}}
cache: {{max_bytes: 1MiB}}
retry: {{deadline: 10s}}
server:
  link_ttl: 1s
"""
KEYED = (
    PLAIN
    + """\
  keys: [{{name: team-a, key: "${{TEAM_A_KEY:-}}", admin: true}}]
  sigv4: [{{access_key_id: TEAM-A, secret: "${{TEAM_A_SECRET:-}}", key: team-a}}]
"""
)


@dataclass(frozen=True)
class Gateway:
    """``lascaux serve`` as a process."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        found = urlsplit(self.url)
        assert found.hostname is not None
        assert found.port is not None
        return found.hostname, found.port

    def memory(self) -> int:
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def drawn(self, seed: int) -> int:
        """The status of a request for a picture."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            body = json.dumps({**ASK, "model": ("hero", "amazon.nova-canvas-v1:0")[seed % 2], "seed": seed})
            connection.request("POST", "/v1/images/generations", body, {"authorization": f"Bearer {KEY}"})
            return connection.getresponse().status
        finally:
            connection.close()

    def settled(self, memory: int, descriptors: int) -> tuple[int, int]:
        """Growth of both since, once it is as small as it gets within a minute."""
        deadline = time.monotonic() + 60
        while True:
            assert self.get("/health/live")[0] == 200
            grown = self.memory() - memory, self.descriptors() - descriptors
            if (grown[0] <= MARGIN and grown[1] <= 0) or time.monotonic() > deadline:
                return grown
            time.sleep(0.2)


@contextmanager
def gateway(folder: Path, config: str) -> Iterator[Gateway]:
    """A gateway on an emulator."""
    with Emulator(canvas="fast", any_region=True) as emulator:
        (folder / "mine.yaml").write_text(config.format(url=emulator.url))
        log = folder / "log"
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
        env |= {"TEAM_A_KEY": KEY, "TEAM_A_SECRET": SECRET}
        env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        with log.open("w") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "lascaux", "serve", "--port", "0", "--config", "mine.yaml"],
                cwd=folder, env=env, stdout=subprocess.PIPE, stderr=sink, text=True,
            )  # fmt: skip
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("Lascaux gateway on http://"), log.read_text()
            yield Gateway(process, line.split()[3], log)
            assert process.poll() is None, log.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()
            assert "Traceback" not in log.read_text(), log.read_text()[-5000:]
        finally:
            process.kill()
            process.communicate(timeout=20)


@pytest.fixture(scope="module")
def open_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Without keys."""
    with gateway(tmp_path_factory.mktemp("open"), PLAIN) as running:
        yield running


@pytest.fixture(scope="module")
def keyed_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With a bearer key and a pair for SigV4."""
    with gateway(tmp_path_factory.mktemp("keyed"), KEYED) as running:
        yield running


# What is said about the description.


@dataclass
class Findings:
    """What a run of schemathesis has seen."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)


def explored(
    gateway: Gateway, examples: int, *, keyed: bool = False, coverage: tuple[str, ...] | None = None
) -> Findings:
    """Schemathesis with all its checks. ``coverage``: the operations whose every limit is tried, None for all."""
    everything = {
        "seed": 20260822,
        "base-url": gateway.url,
        "continue-on-failure": True,
        "request-timeout": 60,
        "generation": {"mode": "all", "max-examples": examples, **REPEATABLE},
        "suppress-health-check": ["all"],
        "checks": {
            "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 502, 503, 504]},
            # A schema can not tell what the models behind an alias are able to do.
            "positive_data_acceptance": {"enabled": False},
        },
        "phases": {"stateful": {"enabled": False}},
    }  # fmt: skip
    if keyed:
        everything["auth"] = {"openapi": {"bearer": {"bearer": KEY}}}
    if coverage is not None:
        everything["operations"] = [
            {"exclude-operation-id": list(coverage), "phases": {"coverage": {"enabled": False}}}
        ]
    schema = schemathesis.openapi.from_url(
        f"{gateway.url}/openapi.json", config=SchemathesisConfig.from_dict(everything)
    )
    found = Findings()
    schemathesis.hook(before_call)
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, (events.NonFatalError, events.FatalError)):
                found.failures[repr(event)[:500]] = ""
            if isinstance(event, events.ScenarioFinished):
                note(found, event.recorder)
    finally:
        schemathesis.hooks.unregister(before_call)
    return found


def note(found: Findings, recorder: Any) -> None:
    """Add what one scenario brought."""
    for interaction in recorder.interactions.values():
        found.sent += 1
        found.statuses[interaction.response.status_code if interaction.response else 0] += 1
    for checks in recorder.checks.values():
        for check in checks:
            found.checks[check.name] += 1
            if check.failure_info is not None:
                failure = check.failure_info.failure
                told = f"{recorder.label}: {check.name}: {failure.message}"[:600]
                found.failures.setdefault(told, check.failure_info.code_sample[:1000])


def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Requests that can be served: for a model that there is, and of a few fields, for all of them contradict each other."""
    body = case.body
    if case.media_type != "application/json" or not isinstance(body, dict) or "prompt" not in body:
        return
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    rng = random.Random(zlib.crc32(repr(sorted(body.items(), key=str)).encode("utf-8", "replace")))
    keep = rng.sample(sorted(body), k=min(len(body), rng.randint(0, 6)))
    small = {name: body[name] for name in keep}
    if rng.random() < 0.9:
        small["model"] = rng.choice(["hero", "amazon.nova-canvas-v1:0"])
        small["prompt"] = body["prompt"] or "An otter"
    case.body = small


def test_everything_is_as_it_is_described(open_gateway: Gateway) -> None:
    """No 500, no status, type, header or body that the description does not have; what it forbids is refused."""
    small = (
        None if ROUNDS > 10_000 else ("generate", "invoke", "other", "models", "model", "live", "file", "usage_of_all")
    )
    with unmoved(open_gateway):
        found = explored(open_gateway, max(12, ROUNDS // 400), coverage=small)
    print(f"\n{found.sent} requests: {dict(found.statuses)}")
    assert not found.failures, "\n".join(f"{told}\n   {sample}" for told, sample in found.failures.items())
    assert found.sent > 1_000
    assert found.statuses[200] > 50
    for check in ("response_schema_conformance", "status_code_conformance", "response_headers_conformance"):
        assert found.checks[check] > 500


def test_keys_are_asked_for_wherever_the_description_says_so(keyed_gateway: Gateway) -> None:
    """Schemathesis takes the key away, or sends a wrong one, and is refused."""
    with unmoved(keyed_gateway):
        found = explored(
            keyed_gateway, max(3, ROUNDS // 3000), keyed=True, coverage=("models", "usage", "usage_of_all", "invoke")
        )
    print(f"\n{found.sent} requests: {dict(found.statuses)}")
    assert not found.failures, "\n".join(f"{told}\n   {sample}" for told, sample in found.failures.items())
    assert found.checks["ignored_auth"] > 20
    assert found.statuses[401] + found.statuses[403] > 10


@contextmanager
def unmoved(gateway: Gateway) -> Iterator[None]:
    """After it, memory and descriptors are what they were, no 500 was logged, and the process still answers."""
    for seed in range(8):
        assert gateway.drawn(seed) == 200  # connections to models are kept
    memory, descriptors, pid = gateway.memory(), gateway.descriptors(), gateway.process.pid
    yield
    grown = gateway.settled(memory, descriptors)
    print(f"\nmemory {memory / 2**20:.1f} MiB {grown[0] / 2**20:+.1f}, descriptors {descriptors} {grown[1]:+d}")
    assert gateway.process.pid == pid
    assert grown[0] <= MARGIN
    assert grown[1] <= 0
    assert "Traceback" not in gateway.log.read_text(), gateway.log.read_text()[-5000:]


# Bytes.


@dataclass(frozen=True)
class Attack:
    """What is sent. ``answered``: it is HTTP, so an answer must come; else there may be one."""

    kind: str
    data: bytes
    path: str = "/"
    method: str = "POST"
    answered: bool = False
    pieces: int = 1


POSTS = (
    "/v1/images/generations", "/v1/images/edits", "/images/variations", "/v1/images/quote", "/images/explain",
    "/model/hero/invoke", "/model/amazon.nova-canvas-v1:0/invoke",
    "/model/stability.stable-image-core-v1%3A1/converse",
)  # fmt: skip
GETS = (
    "/v1/models", "/models/hero", "/v1/usage", "/admin/usage", "/health/live", "/health/ready", "/openapi.json",
    "/foundation-models", "/inference-profiles/hero", "/v1/images/files/a.png?expires=1&signature=b", "/",
    "/nothing", "/model",
)  # fmt: skip
ASK = {"model": "hero", "prompt": "An otter", "seed": 3, "n": 1, "size": "1024x1024"}
NATIVE = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "An otter"}, "imageGenerationConfig": {"seed": 3}}
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 10**18, 10**400, 1e308, 0.1, "", " ", "\0", "\ud800", "\U0001f9a6", "9" * 5000, [], [[]],
    {}, {"": {}},
    {"a": None}, "data:image/png;base64,", "data:image/png;base64,AAAA", "../../etc/passwd", "file:///etc/passwd",
    "http://169.254.169.254/", "NaN", "auto", "1x1", "99999x99999", "-0", ["#GGGGGG"], [1e5], "a" * 40_000,
)  # fmt: skip
NAMES = (
    "model", "prompt", "n", "size", "seed", "stream", "response_format", "image", "mask", "lascaux", "native",
    "extra_body",
    "taskType", "colorGuidedGenerationParams", "text_prompts", "deadline", "strict", "cache", "max_wait",
    "routing_key",
    "quality", "user", "extra_headers", "api_key", "\0", "", "__class__", "imageGenerationConfig", "colors",
    "background",
)  # fmt: skip


def pick(rng: random.Random, *makers: Callable[[], bytes]) -> bytes:
    """What one of them makes."""
    return rng.choice(makers)()


def junk(rng: random.Random, most: int = 200) -> bytes:
    return rng.randbytes(rng.randint(0, most))


def printable(rng: random.Random, most: int = 60) -> bytes:
    return bytes(rng.randint(0x21, 0x7E) for _ in range(rng.randint(0, most)))


def broken(rng: random.Random, data: bytes) -> bytes:
    """The same with a few bytes cut, changed, doubled or put in."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(data))
        match rng.randrange(5):
            case 0:
                data = data[:place]
            case 1:
                data = data[:place] + junk(rng, 8) + data[place:]
            case 2:
                data = data[:place] + data[place + rng.randint(1, 20) :]
            case 3:
                data = data[:place] + data[place : place + 30] + data[place:]
            case _:
                data = (
                    data[:place]
                    + rng.choice([b"\0", b"\xff", b'"', b"{", b"]", b"\r\n", b"\\ud800", b"1e999", b"--"])
                    + data[place:]
                )
    return data


def framed(
    kind: str,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    pieces: int = 1,
) -> Attack:
    """A request whose frame is in order, so that it must be answered; it closes the connection."""
    head = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"connection: close"]
    if not any(name.lower() == b"host" for name, _ in headers):
        head.append(b"host: localhost")
    head += [name + b": " + value for name, value in headers]
    if body or method in ("POST", "PUT", "PATCH"):
        head.append(b"content-length: %d" % len(body))
    return Attack(kind, b"\r\n".join(head) + b"\r\n\r\n" + body, path, method, answered=True, pieces=pieces)


def json_bodies(rng: random.Random) -> Attack:
    """JSON that is none, or says what nobody means."""
    document: dict[str, Any] = {**(ASK if rng.random() < 0.5 else NATIVE)}
    for _ in range(rng.randint(0, 3)):
        document[rng.choice(NAMES)] = rng.choice(STRANGE)
    text = json.dumps(document)
    deep = rng.randint(10, 3000)
    body = pick(
        rng,
        lambda: text.encode(), lambda: broken(rng, text.encode()), lambda: broken(rng, text.encode()),
        lambda: b"[" * deep + b"]" * rng.choice([0, deep]), lambda: b'{"a":' * deep + b"1" + b"}" * deep,
        lambda: text.encode("utf-16"), lambda: text.encode("utf-32"), lambda: b"\xef\xbb\xbf" + text.encode(),
        lambda: b'{"n": ' + b"9" * rng.randint(1, 20_000) + b"}", lambda: b'{"prompt": "\\ud800", "model": "hero"}',
        lambda: b'{"prompt": "\x00"}', lambda: b'{"n": NaN}', lambda: b"{}" * 3, lambda: junk(rng, 2000), lambda: b"",
        lambda: gzip.compress(text.encode()), lambda: b"," * rng.randint(1, 60_000),
        lambda: b'{"lascaux": ' + text.encode() + b"}", lambda: b'{"prompt": "a", "prompt": "b"}',
    )  # fmt: skip
    kind = rng.choice([b"application/json", b"application/json; charset=utf-16", b"text/plain", b"", printable(rng)])
    coding = rng.choice([(), (), (), ((b"content-encoding", b"gzip"),), ((b"content-encoding", b"br, identity"),)])
    return framed("json", "POST", rng.choice(POSTS), body, headers=((b"content-type", kind), *coding))


def bombs(rng: random.Random) -> Attack:
    """Megabytes of nothing in a few kilobytes, which nobody must unpack."""
    body = gzip.compress(b'{"prompt": "' + b"a" * 8_000_000 + b'"}', 1)
    path = rng.choice(POSTS)
    return framed(
        "bomb", "POST", path, body, headers=((b"content-encoding", b"gzip"), (b"content-type", b"application/json"))
    )


def forms(rng: random.Random) -> Attack:
    """Forms with broken parts, boundaries, names and nests."""
    mark = rng.choice([b"xyz", b"x" * 70, printable(rng, 20).replace(b'"', b"") or b"b", b""])
    parts = []
    for _ in range(rng.choice([0, 1, 3, 3, 5, 250])):
        name = rng.choice(
            [
                b"prompt",
                b"model",
                b"image",
                b"image[]",
                b"mask",
                b"a[b]",
                b"a[" * 30,
                b"a" + b"[]" * 20,
                b"[",
                b"a[]b",
                b"",
                junk(rng, 9),
            ]
        )
        head = (
            rng.choice(
                [
                    b'Content-Disposition: form-data; name="%s"',
                    b'content-disposition: form-data; name="%s"; filename="a.png"',
                    b"X: %s",
                    b"%s",
                ]
            )
            % name
        )
        parts.append(
            b"--"
            + mark
            + b"\r\n"
            + head
            + b"\r\n\r\n"
            + rng.choice([b"hero", b"An otter", b"true", b"1e400", b"\xff\xfe", junk(rng, 400)])
            + b"\r\n"
        )
    body = b"".join(parts) + b"--" + mark + b"--" + rng.choice([b"\r\n", b"", b"\r\n\r\ntrailer"])
    if rng.random() < 0.4:
        body = broken(rng, body)
    kind = rng.choice(
        [
            b"multipart/form-data; boundary=" + mark,
            b'multipart/form-data; boundary="' + mark + b'"',
            b"multipart/form-data",
            b"multipart/form-data; boundary*=utf-8''" + mark,
            b"Multipart/Form-Data;boundary=" + mark + b";charset=\xff",
            b"application/x-www-form-urlencoded",
        ]
    )
    return framed("form", "POST", rng.choice(POSTS[:5]), body, headers=((b"content-type", kind.replace(b"\0", b"")),))


def targets(rng: random.Random) -> Attack:
    """Addresses and methods that there are not, in all the ways to write them."""
    path = rng.choice(
        [*POSTS, *GETS, "*", "//", "/v1//models", "/%00", "/%ff%fe", "/v1/models/%ed%a0%80", "/model/%2e%2e/invoke"]
    )
    path += rng.choice(
        ["", "", "/", "?", "?a=%", "?" + "a=b&" * 300, "%", "%zz", "%2f", "/..", "#x", "/" + "a" * rng.randint(1, 9000)]
    )
    path += "".join(chr(rng.randint(0x21, 0x7E)) for _ in range(rng.choice([0, 0, 0, 20])))
    method = rng.choice(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO", "M-SEARCH", "get"])
    return framed("target", method, path, rng.choice([b"", b"", b"{}", junk(rng)]))


def headers(rng: random.Random) -> Attack:
    """Values of any bytes that HTTP lets through."""
    names = (
        b"authorization", b"accept", b"content-type", b"origin", b"host", b"x-request-id", b"idempotency-key",
        b"cookie", b"range",
        b"x-stainless-retry-count", b"amz-sdk-invocation-id", b"x-amz-content-sha256", b"x-amz-date", b"expect",
        b"traceparent",
        b"x-amzn-bedrock-guardrailidentifier", b"x-amzn-bedrock-service-tier", b"forwarded", b"x-forwarded-for",
        b"te", b"upgrade",
    )  # fmt: skip
    values = (
        b"", b"Bearer ", b"Bearer \xff", b"Basic Og==", b"AWS4-HMAC-SHA256",
        b"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0",
        b"AWS4-HMAC-SHA256 Credential=TEAM-A/20260822/a/bedrock/aws4_request, SignedHeaders=;;, Signature=" + b"f" * 64,
        b"null", b"http://[::1", b"http://localhost:1", b"evil.example", b"localhost:99999999999", b"[::1]",
        b"100-continue", b"websocket",
        b"h2c", b"*/*;q=nan", b"application/vnd.amazon.eventstream", b"9" * 400, b"-1",
        b"00-" + b"0" * 32 + b"-0-01", b"bytes=0-", b"a" * 30_000,
        bytes(rng.randint(0x80, 0xFF) for _ in range(rng.randint(1, 60))), printable(rng),
        b"Bearer " + KEY.encode() + b"x",
    )  # fmt: skip
    given = tuple((rng.choice(names), rng.choice(values)) for _ in range(rng.choice([1, 2, 3, 6])))
    hosts = [value for name, value in given if name == b"host"]
    post = rng.random() < 0.6
    made = framed(
        "header",
        "POST" if post else "GET",
        rng.choice(POSTS if post else GETS),
        b'{"prompt": ""}' if post else b"",
        headers=given,
    )
    if len(hosts) > 1 or sum(len(value) for _, value in given) > 60_000:  # which HTTP forbids, and we bound
        return Attack(made.kind, made.data, made.path, made.method)
    return made


def lines(rng: random.Random) -> Attack:
    """No request line, or one that almost is."""
    data = pick(
        rng,
        lambda: junk(rng, 300), lambda: b"GET /\r\n\r\n", lambda: b"GET / HTTP/9.9\r\n\r\n",
        lambda: b"GET  /  HTTP/1.1\r\n\r\n",
        lambda: b"GET /v1/models HTTP/1.1\nhost: localhost\n\n", lambda: b"\r\n" * 50 + b"GET / HTTP/1.0\r\n\r\n",
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + junk(rng),
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500),
        lambda: b"GET /\xc3\xa9 HTTP/1.1\r\nhost: localhost\r\n\r\n", lambda: b"G\0T / HTTP/1.1\r\n\r\n",
        lambda: b"GET http://localhost/v1/models HTTP/1.1\r\nhost: a\r\n\r\n",
        lambda: b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        lambda: b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        lambda: broken(rng, b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        lambda: broken(rng, framed("", "POST", rng.choice(POSTS), json.dumps(ASK).encode()).data),
    )  # fmt: skip
    return Attack("line", data)


def frames(rng: random.Random) -> Attack:
    """Headers that contradict each other, bodies that are cut off, chunks that are none."""
    path, close = rng.choice([*POSTS, *GETS]), b"connection: close\r\n"
    head = f"POST {path.partition('?')[0]} HTTP/1.1\r\nhost: localhost\r\n".encode() + rng.choice([b"", close])
    body = json.dumps(ASK).encode()
    data = pick(
        rng,
        lambda: b"content-length: 5\r\ncontent-length: 6\r\n\r\n" + body,
        lambda: b"content-length: -1\r\n\r\n" + body,
        lambda: b"content-length: 99999999999999999999\r\n\r\n" + body, lambda: b"content-length: 1e3\r\n\r\n" + body,
        lambda: b"content-length: 4000\r\n\r\n" + body, lambda: b"content-length: 107374182400\r\n\r\n" + body,
        lambda: b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        lambda: b"transfer-encoding: gzip\r\n\r\n" + body,
        lambda: b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        lambda: b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\nzz\r\n" % (len(body), body),
        lambda: b"transfer-encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n" + body,
        lambda: b"transfer-encoding: chunked\r\n\r\n5;" + b"x" * 9000 + b"\r\nhello\r\n0\r\na: b\r\n\r\n",
        lambda: b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
        lambda: b"transfer-encoding: chunked\r\n\r\n" + junk(rng),
        lambda: b"no colon\r\n\r\n", lambda: b"a: b\r\n folded\r\n\r\n", lambda: b"a\0: b\r\n\r\n",
        lambda: b": b\r\n\r\n",
        lambda: b"a: " + b"b" * 70_000 + b"\r\n\r\n", lambda: b"a: b\r\n" * 5000 + b"\r\n",
        lambda: b"content-length: 3",
        lambda: b"expect: 100-continue\r\ncontent-length: 10\r\n\r\n",
    )  # fmt: skip
    return Attack("frame", head + data, path)


def pipelines(rng: random.Random) -> Attack:
    """Several requests at once, good ones and bad ones, in any pieces."""
    one = f"GET {rng.choice(GETS)} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
    body = rng.choice([b"{}", b'{"model": "hero"}'])
    other = (
        f"POST {rng.choice(POSTS)} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )
    bad = rng.choice(
        [junk(rng), b"\r\n\r\n", b"0\r\n\r\n", b"GET /", b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"]
    )
    data = b"".join(rng.choices([one, other, bad], k=rng.randint(2, 8)))
    return Attack("pipeline", data, pieces=rng.choice([1, 1, 7, 60]))


def drips(rng: random.Random) -> Attack:
    """Byte after byte, and gone before the end."""
    path = rng.choice(POSTS)
    whole = framed("", "POST", path, json.dumps(ASK).encode()).data
    return Attack("drip", whole[: rng.randint(1, len(whole) - 1)], path, pieces=rng.choice([2, 20, 100]))


KINDS_OF_ATTACK: tuple[tuple[Callable[[random.Random], Attack], int], ...] = (
    (json_bodies, 30), (forms, 16), (targets, 12), (headers, 14), (lines, 9), (frames, 9), (pipelines, 5),
    (drips, 4), (bombs, 1),
)  # fmt: skip


def attacks(seed: int, count: int) -> Iterator[Attack]:
    """The same for the same seed."""
    rng = random.Random(seed)
    makers, weights = zip(*KINDS_OF_ATTACK, strict=True)
    for make in rng.choices(makers, weights, k=count):
        yield make(rng)


def struck(gateway: Gateway, attack: Attack) -> tuple[int, bytes, Mapping[str, str]] | None:
    """Send it; the first answer, None if there is none."""
    with socket.create_connection(gateway.address, timeout=60) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            step = max(1, len(attack.data) // attack.pieces)
            for start in range(0, len(attack.data), step):
                link.sendall(attack.data[start : start + step])
            if not attack.answered:
                link.settimeout(0.02)
            answer = http.client.HTTPResponse(link, method=attack.method)
            answer.begin()
            link.settimeout(60)
            return answer.status, answer.read(), dict(answer.headers.items())
        except (OSError, http.client.HTTPException):
            if attack.answered:
                raise
            return None


def is_envelope(path: str, body: bytes, told: Mapping[str, str]) -> bool:
    """Is this an error in the words that are spoken at this address?"""
    found = json.loads(body)
    if unquote(path).lstrip("/").partition("/")[0].partition("?")[0] in (
        "model",
        "foundation-models",
        "inference-profiles",
    ):
        kind = {name.lower(): value for name, value in told.items()}.get("x-amzn-errortype")
        return isinstance(found.get("message"), str) and bool(kind)
    error = found.get("error", {"code": None})
    return error["code"] in CODES and error["type"] in KINDS and isinstance(error["message"], str)


def wrong(attack: Attack, answer: tuple[int, bytes, Mapping[str, str]]) -> str | None:
    """What is wrong with an answer."""
    status, body, told = answer
    if status == 500:
        return "a 500"
    if status < 400 or attack.method == "HEAD":
        return None
    try:
        good = is_envelope(attack.path, body, told)
        if not good and attack.kind in ("line", "pipeline"):  # where it is not known which address was meant
            good = is_envelope("/model", body, told)
    except (ValueError, KeyError, TypeError):
        good = False
    return None if good else f"a {status} that is no envelope: {told} {body[:200]!r}"


def bombarded(gateway: Gateway, seed: int, count: int) -> tuple[Counter[str], dict[str, str]]:
    """(how often a kind was answered how, what was wrong and after what)."""
    seen: Counter[str] = Counter()
    faults: dict[str, str] = {}
    for attack in attacks(seed, count):
        try:
            answer = struck(gateway, attack)
        except (OSError, http.client.HTTPException) as error:
            faults.setdefault(f"{attack.kind}: no answer: {error!r}", repr(attack.data[:600]))
            continue
        seen[f"{attack.kind} {answer[0] if answer else 'none'}"] += 1
        fault = wrong(attack, answer) if answer else None
        if fault is not None:
            faults.setdefault(f"{attack.kind}: {fault}", repr(attack.data[:600]))
    return seen, faults


def test_no_bytes_hurt_the_gateway(open_gateway: Gateway) -> None:
    """Whatever is sent: no 500, no traceback, each error in the envelope of its address, and nothing grows."""
    count = max(1000, ROUNDS - 2500)
    bombarded(open_gateway, 0, count // 8)  # what is made once is made
    with unmoved(open_gateway):
        seen, faults = bombarded(open_gateway, 1, count)
    print("\n" + ", ".join(f"{kind}: {times}" for kind, times in sorted(seen.items())))
    assert not faults, "\n".join(f"{told}\n   {sample}" for told, sample in faults.items())
    assert sum(times for kind, times in seen.items() if kind.endswith(" 200")) > count // 100
    assert sum(times for kind, times in seen.items() if kind.endswith(" 400")) > count // 10


def test_no_bytes_get_past_the_keys(keyed_gateway: Gateway) -> None:
    """The same where everybody is asked who they are: what needs a key is given to nobody."""
    count = max(500, ROUNDS // 12)
    bombarded(keyed_gateway, 2, count // 4)
    with unmoved(keyed_gateway):
        seen, faults = bombarded(keyed_gateway, 3, count)
    print("\n" + ", ".join(f"{kind}: {times}" for kind, times in sorted(seen.items())))
    assert not faults, "\n".join(f"{told}\n   {sample}" for told, sample in faults.items())
    assert not [kind for kind in seen if kind in ("json 200", "form 200", "bomb 200")]
    assert sum(times for kind, times in seen.items() if kind.endswith((" 401", " 403"))) > count // 3
