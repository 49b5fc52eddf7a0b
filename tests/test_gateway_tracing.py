"""Spans of the gateway, as a collector receives them over OTLP, and as an SDK in the same process does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lascaux import AsyncRouter
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.observe import Observer
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Call, ImageResult, Target
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

Serve = Callable[[Any], AbstractContextManager[str]]
GENERATIONS = "/v1/images/generations"
ASK = {"model": "hero", "prompt": "an otter named Ludmilla", "seed": 3}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
AWAY = ("traceparent", "tracestate", "baggage")
"""What is not told to AWS."""
PLAIN = {
    "deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}},
    "aliases": {"hero": "core"},
}


@dataclass(frozen=True)
class Received:
    """One span off the wire."""

    name: str
    kind: int
    trace: str
    span: str
    parent: str
    state: str
    failed: bool
    attributes: dict[str, Any]


class Collector(ThreadingHTTPServer):
    """An OTLP endpoint that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.spans: list[Received] = []
        self.raw: list[bytes] = []
        self.services: set[str] = set()
        self.metrics = 0


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.server.raw.append(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                told = {one.key: one.value.string_value for one in resource.resource.attributes}
                self.server.services.add(told["service.name"])
                for scope in resource.scope_spans:
                    self.server.spans += [_received(span) for span in scope.spans]
        else:
            self.server.metrics += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _received(span: Any) -> Received:
    return Received(
        name=span.name,
        kind=span.kind,
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        state=span.trace_state,
        failed=span.status.code == 2,
        attributes={one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes},
    )


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a free port."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def traced(trace: str, *, sampled: bool = True, **more: str) -> Mapping[str, str]:
    """What a client sends that is in a trace."""
    return {"traceparent": f"00-{trace}-{PARENT}-0{int(sampled)}", **more}


def test_a_collector_sees_one_trace_from_client_to_attempt(tmp_path: Path, collector: Collector) -> None:
    """Of a ``lascaux serve`` process: for OpenAI's address and Bedrock's, for what fails and what is joined."""
    with Emulator(canvas="fast") as emulator:
        (tmp_path / "lascaux.yaml").write_text(
            f"""\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments:
  core: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{emulator.url}"}}
aliases: {{hero: core}}
retry: {{attempts: 1}}
telemetry: {{exporter: otlp, endpoint: "http://127.0.0.1:{collector.server_port}"}}
"""
        )
        path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        process = subprocess.Popen(
            [sys.executable, "-m", "lascaux", "serve", "--port", "0"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            trail(url, emulator)
            process.send_signal(signal.SIGTERM)  # what is left is sent at the end
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait(20)
    assert process.returncode == 0, said
    assert not [name for record in emulator.log for name in record.headers if name.lower() in AWAY]
    check_first(collector)
    spans = collector.spans
    by_trace = {trace: [one for one in spans if one.trace == trace] for trace in {one.trace for one in spans}}
    native = {one.name.partition(" ")[0]: one for one in by_trace["2" * 32]}
    assert native["POST"].name == "POST /model/{model_id}/invoke"
    assert native["lascaux.generate"].parent == native["POST"].span
    joined = by_trace["3" * 32]
    assert [one.name for one in joined if one.name.startswith("POST")] == [f"POST {GENERATIONS}"]
    joining = by_trace["4" * 32]
    assert [one.name for one in joining] == [f"POST {GENERATIONS}"]  # the call is in the trace of the first sending
    assert len([one for one in joined if one.name.startswith("generate_content")]) == 1
    failed = next(one for one in by_trace["5" * 32] if one.name.startswith("POST"))
    assert (failed.failed, failed.attributes["error.type"]) == (True, "internal")
    assert failed.attributes["http.response.status_code"] in (502, 503)
    wrong = by_trace["6" * 32]
    assert [(one.failed, one.attributes["http.response.status_code"]) for one in wrong] == [(False, 404)]
    assert "7" * 32 not in by_trace  # not sampled by the client, so not by us
    assert not [one for one in spans if "/health" in one.name or "/metrics" in one.name]
    assert collector.services == {"lascaux"}
    assert collector.metrics >= 1
    assert not [raw for raw in collector.raw if b"Ludmilla" in raw or b"secret-tenant" in raw]


def trail(url: str, emulator: Emulator) -> None:
    """Requests of many kinds, each in a trace of its own."""

    def ask(trace: str, headers: Mapping[str, str] | None = None, *, sampled: bool = True, seed: int = 3) -> int:
        told = {**traced(trace, sampled=sampled), **(headers or {})}
        return httpx2.post(f"{url}{GENERATIONS}", json={**ASK, "seed": seed}, headers=told, timeout=30).status_code

    assert ask(TRACE, {"tracestate": "vendor=value", "baggage": "tenant=secret-tenant"}) == 200
    body = {"prompt": "an otter named Ludmilla", "seed": 9}
    assert httpx2.post(f"{url}/model/hero/invoke", json=body, headers=traced("2" * 32), timeout=30).status_code == 200
    once = {"idempotency-key": "one"}
    assert [ask(trace * 32, once, seed=5) for trace in "34"] == [200, 200]
    emulator.faults.add(Rule(status=500, times=1))
    assert ask("5" * 32, seed=6) in (502, 503)
    assert httpx2.get(f"{url}/nowhere?signature=secret-tenant", headers=traced("6" * 32)).status_code == 404
    assert ask("7" * 32, sampled=False, seed=7) == 200
    for quiet in ("/health/live", "/health/ready", "/metrics"):
        assert httpx2.get(f"{url}{quiet}", headers=traced("8" * 32)).status_code == 200


def check_first(collector: Collector) -> None:
    """The chain of one request, link by link."""
    first = {one.name.partition(" ")[0]: one for one in collector.spans if one.trace == TRACE}
    assert set(first) == {"POST", "lascaux.generate", "generate_content"}
    server, request, attempt = first["POST"], first["lascaux.generate"], first["generate_content"]
    assert (server.parent, request.parent, attempt.parent) == (PARENT, server.span, request.span)
    assert (server.kind, request.kind, attempt.kind) == (2, 1, 3)
    assert server.name == f"POST {GENERATIONS}"
    assert {one.state for one in (server, request, attempt)} == {"vendor=value"}
    told = dict(server.attributes)
    assert told.pop("server.port") > 0
    assert told == {
        "http.request.method": "POST",
        "http.route": GENERATIONS,
        "http.response.status_code": 200,
        "url.path": GENERATIONS,
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "network.protocol.version": "1.1",
    }


class Gathered:
    """Spans as an SDK in this process gets them."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def app(self, config: Mapping[str, Any], provider: FakeProvider) -> Any:
        router = AsyncRouter(config, provider=provider, picture_files=False, tracer_provider=self.provider)
        return create_app(router, observer=Observer(tracer_provider=self.provider))

    def until(self, count: int) -> list[ReadableSpan]:
        end = time.monotonic() + 20
        while len(spans := list(self.exporter.get_finished_spans())) < count:
            assert time.monotonic() < end, [span.name for span in spans]
            time.sleep(0.01)
        return spans


class Slow(FakeProvider):
    """A provider whose calls wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        self.begun.set()
        assert self.go.wait(20)
        return super().send(target, call, timeout=timeout)


def test_a_sending_that_joins_has_its_own_span(serve: Serve) -> None:
    """While the call of the first one is under way; the call is made, and traced, once."""
    seen, provider = Gathered(), Slow()
    headers = {"idempotency-key": "x"}

    def send(url: str, trace: str) -> int:
        told = {**headers, **traced(trace)}
        return httpx2.post(f"{url}{GENERATIONS}", json=ASK, headers=told, timeout=30).status_code

    with serve(seen.app(PLAIN, provider)) as url, ThreadPoolExecutor(2) as clients:
        first = clients.submit(send, url, "1" * 32)
        assert provider.begun.wait(20)
        second = clients.submit(send, url, "2" * 32)
        provider.go.set()
        assert (first.result(), second.result()) == (200, 200)
        spans = seen.until(4)
    assert len(provider.sent) == 1
    traces = sorted(
        (format(span.context.trace_id, "032x")[0], span.name.partition(" ")[0]) for span in spans if span.context
    )
    assert traces == [("1", "POST"), ("1", "generate_content"), ("1", "lascaux.generate"), ("2", "POST")]


def test_a_request_without_a_trace_begins_one(serve: Serve) -> None:
    """Also one with a traceparent that is none, or with two; each edit and each of several calls is a descendant."""
    seen = Gathered()
    broken = [("traceparent", "00-zz-zz-01")]
    twice = [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("traceparent", f"00-{'9' * 32}-{PARENT}-01")]
    with serve(seen.app(PLAIN, FakeProvider())) as url:
        for headers in ([], broken, twice):
            answer = httpx2.post(
                f"{url}{GENERATIONS}", json={**ASK, "n": 2, "cache": False}, headers=headers, timeout=30
            )
            assert answer.status_code == 200
        spans = seen.until(12)
    servers = [span for span in spans if span.kind is SpanKind.SERVER]
    assert [span.parent for span in servers] == [None] * 3
    traces = {span.context.trace_id for span in servers if span.context}
    assert len(traces) == 3
    assert TRACE not in {format(trace, "032x") for trace in traces}
    for server in servers:
        assert server.status.status_code is StatusCode.UNSET
        mine = [
            span
            for span in spans
            if span.context and server.context and span.context.trace_id == server.context.trace_id
        ]
        assert sorted(span.name.partition(" ")[0] for span in mine) == [
            "POST", "generate_content", "generate_content", "lascaux.generate",
        ]  # fmt: skip


def test_an_edit_is_read_in_a_thread_of_the_same_trace(serve: Serve, tmp_path: Path) -> None:
    """Pictures are planned beside the event loop; the span of the request is still the server's child."""
    import base64
    import io

    from PIL import Image

    seen, buffer = Gathered(), io.BytesIO()
    Image.new("RGB", (512, 512), (20, 90, 160)).save(buffer, "PNG")
    ultra = {"deployments": {"u": {"model": "stability.stable-image-ultra-v1:1", "region": "us-west-2"}}}
    picture = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    with serve(seen.app({**ultra, "aliases": {"hero": "u"}}, FakeProvider())) as url:
        body = {"model": "hero", "prompt": "at night", "images": [{"image_url": picture}]}
        answer = httpx2.post(f"{url}/v1/images/edits", json=body, headers=traced(TRACE), timeout=30)
        assert answer.status_code == 200, answer.text
        spans = {span.name.partition(" ")[0]: span for span in seen.until(3)}
    assert spans["POST"].name == "POST /v1/images/edits"
    server, request, attempt = spans["POST"], spans["lascaux.generate"], spans["generate_content"]
    assert server.context
    assert request.context
    assert request.parent
    assert attempt.parent
    assert (request.parent.span_id, attempt.parent.span_id) == (server.context.span_id, request.context.span_id)


def test_without_an_observer_nothing_is_added(serve: Serve) -> None:
    """The application has no further layer, no address and no span."""
    seen = Gathered()
    router = AsyncRouter(PLAIN, provider=FakeProvider(), picture_files=False)
    plain = create_app(router)
    assert "Observed" not in {layer.cls.__name__ for layer in plain.user_middleware}  # type: ignore[attr-defined]
    with serve(plain) as url:
        assert httpx2.post(f"{url}{GENERATIONS}", json=ASK, headers=traced(TRACE), timeout=30).status_code == 200
        assert httpx2.get(f"{url}/metrics").status_code == 404
    assert not seen.exporter.get_finished_spans()
