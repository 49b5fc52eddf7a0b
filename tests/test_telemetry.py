"""Spans and metrics as an application's own OpenTelemetry SDK receives them."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from lascaux import Router
from lascaux.providers.errors import Throttled
from lascaux.providers.fake import FakeProvider
from lascaux.router import telemetry_names as names
from lascaux.router.errors import ConfigError, ProviderError
from lascaux.router.exporters import configure
from lascaux.router.telemetry import AttemptSpan, RequestSpan, Telemetry
from opentelemetry import context as otel_context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode, get_current_span

CANVAS = "amazon.nova-canvas-v1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0"
PROMPT = "A cute baby sea otter named Ludmilla"


class Watch:
    """A clock that moves when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Observed:
    """A telemetry whose spans and points can be read."""

    def __init__(self, sampler: Sampler | None = None, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False)
        self.clock = Watch()
        self.telemetry = Telemetry(
            tracer_provider=self.tracers, meter_provider=self.meters, clock=self.clock, **options
        )

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def points(self, metric: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        """Sorted attributes -> value of a counter, or the whole point of a histogram."""
        found: dict[tuple[tuple[str, Any], ...], Any] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for one in scope.metrics:
                    for point in one.data.data_points if one.name == metric else ():
                        key = tuple(sorted((point.attributes or {}).items()))
                        found[key] = getattr(point, "value", point)
        return found


@pytest.fixture
def seen() -> Iterator[Observed]:
    observed = Observed()
    yield observed
    observed.tracers.shutdown()
    observed.meters.shutdown()


def try_once(request: RequestSpan, **changes: Any) -> AttemptSpan:
    facts: dict[str, Any] = {
        "alias": "hero",
        "deployment": "team-a",
        "model": CANVAS,
        "model_id": PROFILE,
        "region": "eu-west-1",
        "task": "text_to_image",
        "seed": 7,
        "images": 2,
        "size": (1280, 720),
        "quality": "premium",
        "server_address": "bedrock-runtime.eu-west-1.amazonaws.com",
        "server_port": 443,
    }
    return request.attempt(changes.pop("ordinal", 1), **{**facts, **changes})


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_with_one_good_attempt(seen: Observed) -> None:
    """Two spans with all their facts: INTERNAL for the request, CLIENT for the call below it."""
    request = seen.telemetry.request("hero", "text_to_image", 2)
    with try_once(request) as attempt:
        attempt.succeed(
            response_model=CANVAS,
            request_id="r-1",
            images=2,
            finish_reasons=["success", "success"],
            cost_usd=Decimal("0.12"),
        )
    request.finish(
        "ok",
        deployment="team-a",
        model=CANVAS,
        region="eu-west-1",
        cost_usd=Decimal("0.12"),
        price_table="2026-11-22",
        attempts=1,
        warnings=["adapted"],
        images=2,
    )
    spans = seen.spans()
    assert set(spans) == {"lascaux.generate hero", f"generate_content {PROFILE}"}
    outer, inner = spans["lascaux.generate hero"], spans[f"generate_content {PROFILE}"]
    assert (outer.kind, inner.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    assert outer.parent is None
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert (outer.status.status_code, inner.status.status_code) == (StatusCode.UNSET, StatusCode.UNSET)
    assert attributes(inner) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.output.type": "image",
        "gen_ai.request.model": PROFILE,
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.response.model": CANVAS,
        "gen_ai.response.finish_reasons": ("success", "success"),
        "server.address": "bedrock-runtime.eu-west-1.amazonaws.com",
        "server.port": 443,
        "cloud.region": "eu-west-1",
        "aws.request_id": "r-1",
        "lascaux.alias": "hero",
        "lascaux.task": "text_to_image",
        "lascaux.attempt": 1,
        "lascaux.deployment": "team-a",
        "lascaux.model": CANVAS,
        "lascaux.size": "1280x720",
        "lascaux.quality": "premium",
        "lascaux.images.requested": 2,
        "lascaux.images.delivered": 2,
        "lascaux.cost.usd": 0.12,
        "lascaux.outcome": "ok",
    }
    assert attributes(outer) == {
        "lascaux.alias": "hero",
        "lascaux.task": "text_to_image",
        "lascaux.images.requested": 2,
        "lascaux.images.delivered": 2,
        "lascaux.outcome": "ok",
        "lascaux.deployment": "team-a",
        "lascaux.model": CANVAS,
        "cloud.region": "eu-west-1",
        "lascaux.cache.result": "miss",
        "lascaux.cost.usd": 0.12,
        "lascaux.price_table": "2026-11-22",
        "lascaux.attempts.count": 1,
        "lascaux.retries.count": 0,
        "lascaux.fallbacks.count": 0,
        "lascaux.warnings": ("adapted",),
    }
    scope = inner.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version, scope.schema_url) == ("lascaux", "0.1.0", names.SCHEMA_URL)


def test_the_request_span_is_a_child_of_the_callers_span(seen: Observed) -> None:
    """The application's span is the parent, and stays the current one."""
    tracer = seen.tracers.get_tracer("application")
    with tracer.start_as_current_span("handler") as handler:
        request = seen.telemetry.request("hero", "text_to_image", 1)
        assert get_current_span() is handler
    request.finish("ok")
    parent = seen.spans()["lascaux.generate hero"].parent
    assert parent is not None
    assert parent.span_id == handler.get_span_context().span_id


def test_attempts_in_other_threads_keep_their_parent(seen: Observed) -> None:
    """A thread that knows nothing of the caller's context still hangs its attempt below the request."""
    request = seen.telemetry.request("hero", "text_to_image", 3)

    def call(ordinal: int) -> None:
        with try_once(request, ordinal=ordinal, model_id=f"m{ordinal}") as attempt:
            attempt.succeed(response_model=CANVAS)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(call, (1, 2, 3)))
    request.finish("ok", attempts=3, images=3)
    spans = seen.spans()
    outer = spans.pop("lascaux.generate hero").context
    assert outer is not None
    assert [span.parent.span_id for span in spans.values() if span.parent] == [outer.span_id] * 3
    assert {span.context.trace_id for span in spans.values() if span.context} == {outer.trace_id}


def test_the_sampler_sees_what_the_conventions_promise() -> None:
    """The five sampling attributes are there when the span is created, not later."""
    offered: dict[str, dict[str, Any]] = {}

    class Notebook(Sampler):
        def should_sample(
            self, parent_context: Any, trace_id: int, name: str, *more: Any, **rest: Any
        ) -> SamplingResult:
            offered[name] = dict(rest.get("attributes") or (more[1] if len(more) > 1 else None) or {})
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "Notebook"

    seen = Observed(sampler=Notebook())
    request = seen.telemetry.request("hero", "text_to_image", 1)
    with try_once(request, server_address=None) as attempt:
        attempt.succeed(response_model=CANVAS)
    with try_once(request, model_id=CANVAS) as attempt:
        attempt.succeed(response_model=CANVAS)
    request.finish("ok")
    assert offered[f"generate_content {CANVAS}"] == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": CANVAS,
        "server.address": "bedrock-runtime.eu-west-1.amazonaws.com",
        "server.port": 443,
    }
    assert not {"server.address", "server.port"} & set(offered[f"generate_content {PROFILE}"])
    assert offered["lascaux.generate hero"] == {
        "lascaux.alias": "hero",
        "lascaux.task": "text_to_image",
        "lascaux.images.requested": 1,
    }


def test_nothing_costly_is_built_for_a_span_nobody_records() -> None:
    """With a sampler that drops everything the long attributes are not even put together."""
    built: list[str] = []

    class Pair(tuple[int, int]):
        def __iter__(self) -> Iterator[int]:
            built.append("size")
            return super().__iter__()

    class Reasons(list[str]):
        def __iter__(self) -> Iterator[str]:
            built.append("reasons")
            return super().__iter__()

    for sampler, expected in ((ALWAYS_OFF, []), (None, ["size", "reasons"])):
        built.clear()
        seen = Observed(sampler=sampler, capture_prompts=True)
        request = seen.telemetry.request("hero", "text_to_image", 1, prompt=PROMPT)
        with try_once(request, size=Pair((8, 8))) as attempt:
            attempt.succeed(response_model=CANVAS, finish_reasons=Reasons(["success"]))
        request.finish("ok")
        assert built == expected


def test_failure_and_success_one_after_the_other(seen: Observed) -> None:
    """The failed attempt carries the error; the next attempt and the request do not."""
    request = seen.telemetry.request("hero", "text_to_image", 2)
    with try_once(request, ordinal=1, model_id="first") as attempt:
        attempt.fail("attempt_timeout", request_id="r-1", may_be_billed=True, message="no answer within 300 s")
    request.event("retry", deployment="team-b", wait=0.5, reason=None)
    with try_once(request, ordinal=2, model_id="second") as attempt:
        attempt.succeed(response_model=CANVAS, images=2)
    request.finish("ok", attempts=2, retries=1, images=2)
    spans = seen.spans()
    first = spans["generate_content first"]
    assert first.status.status_code is StatusCode.ERROR
    assert first.status.description == "no answer within 300 s"
    assert attributes(first)["error.type"] == "attempt_timeout"
    assert attributes(first)["aws.request_id"] == "r-1"
    assert attributes(first)["lascaux.may_be_billed"] is True
    assert first.events == ()
    for name in ("generate_content second", "lascaux.generate hero"):
        assert spans[name].status.status_code is StatusCode.UNSET
        assert "error.type" not in attributes(spans[name])
    (event,) = spans["lascaux.generate hero"].events
    assert (event.name, dict(event.attributes or {})) == (
        "retry",
        {"lascaux.deployment": "team-b", "lascaux.wait": 0.5},
    )


def test_a_failed_request(seen: Observed) -> None:
    """Status ERROR and the error's code; no cache result and no delivered picture is claimed."""
    request = seen.telemetry.request("hero", "text_to_image", 1)
    request.finish("error", error_type="attempts_failed", attempts=3, retries=2)
    span = seen.spans()["lascaux.generate hero"]
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["error.type"] == "attempts_failed"
    assert attributes(span)["lascaux.attempts.count"] == 3
    assert attributes(span)["lascaux.images.delivered"] == 0
    assert "lascaux.cache.result" not in attributes(span)
    assert seen.points(names.CACHE) == {}


def test_finish_twice_counts_once(seen: Observed) -> None:
    """A driver may end a request on its normal way and again on its exceptional way."""
    request = seen.telemetry.request("hero", "text_to_image", 1)
    request.finish("ok", cache="miss", images=1)
    request.finish("error", error_type="RuntimeError")
    assert len(seen.exporter.get_finished_spans()) == 1
    assert attributes(seen.spans()["lascaux.generate hero"])["lascaux.outcome"] == "ok"
    (point,) = seen.points(names.REQUEST_DURATION).values()
    assert point.count == 1


def test_an_error_that_was_classified_keeps_its_code(seen: Observed) -> None:
    """The exception that then leaves the block adds nothing to it."""
    request = seen.telemetry.request("hero", "text_to_image", 1)

    def call() -> None:
        with try_once(request) as attempt:
            attempt.fail("throttled")
            raise ProviderError("too many requests")

    with pytest.raises(ProviderError):
        call()
    assert attributes(seen.spans()[f"generate_content {PROFILE}"])["error.type"] == "throttled"
    assert [dict(key)["error.type"] for key in seen.points(names.ATTEMPTS)] == ["throttled"]


def test_an_unexpected_exception_ends_the_attempt(seen: Observed) -> None:
    """What nobody classified is an error of its own name, counted once, and may have been billed."""
    request = seen.telemetry.request("hero", "text_to_image", 1)
    before = otel_context.get_current()
    with pytest.raises(ZeroDivisionError), try_once(request, images=1):
        _ = 1 // 0
    assert otel_context.get_current() is before
    span = seen.spans()[f"generate_content {PROFILE}"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert attributes(span)["error.type"] == "ZeroDivisionError"
    assert attributes(span)["lascaux.may_be_billed"] is True
    assert [dict(key)["error.type"] for key in seen.points(names.ATTEMPTS)] == ["ZeroDivisionError"]


@pytest.mark.parametrize("reason", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit])
def test_giving_up_on_purpose_is_not_an_error(seen: Observed, reason: type[BaseException]) -> None:
    """A caller who cancels leaves the outcome 'cancelled' and no error behind, on both spans."""
    request = seen.telemetry.request("hero", "text_to_image", 1)
    with pytest.raises(reason), try_once(request):
        raise reason
    request.finish("error", error_type=reason.__name__)
    for span in seen.spans().values():
        assert span.status.status_code is StatusCode.UNSET
        assert attributes(span)["lascaux.outcome"] == "cancelled"
        assert "error.type" not in attributes(span)
    assert [dict(key)["lascaux.outcome"] for key in seen.points(names.ATTEMPTS)] == ["cancelled"]


def test_other_instrumentations_are_suppressed_inside_an_attempt_only(seen: Observed) -> None:
    """The flag that botocore's instrumentation asks for is set in the block and gone after it."""
    key = otel_context._SUPPRESS_INSTRUMENTATION_KEY
    request = seen.telemetry.request("hero", "text_to_image", 1)
    assert otel_context.get_value(key) is None
    with try_once(request) as attempt:
        assert otel_context.get_value(key) is True
        assert get_current_span().get_span_context().span_id != 0
        attempt.succeed(response_model=CANVAS)
    assert otel_context.get_value(key) is None
    assert get_current_span().get_span_context().span_id == 0


def test_no_prompt_anywhere_unless_asked_for(seen: Observed) -> None:
    """Neither the prompt nor a message that may quote it is in any span or metric."""
    request = seen.telemetry.request("hero", "text_to_image", 1, prompt=PROMPT)
    for code in ("rejected_by_provider", "content_filtered", "invalid_request", "something_new"):
        with try_once(request, model_id=code) as attempt:
            attempt.fail(code, message=f"bad body: {PROMPT}")
    request.finish("error", error_type="content_filtered")
    written = "".join(span.to_json() for span in seen.exporter.get_finished_spans())
    metrics = seen.reader.get_metrics_data()
    assert metrics is not None
    assert "Ludmilla" not in written + metrics.to_json()
    assert len(seen.spans()) == 5


def test_the_prompt_is_captured_when_asked_for() -> None:
    """As the conventions' input message, on the attempt, which alone is a GenAI span."""
    seen = Observed(capture_prompts=True)
    request = seen.telemetry.request("hero", "text_to_image", 1, prompt=PROMPT)
    with try_once(request) as attempt:
        attempt.fail("content_filtered", message=f"refused: {PROMPT}")
    request.finish("error", error_type="content_filtered")
    spans = seen.spans()
    message = json.loads(attributes(spans[f"generate_content {PROFILE}"])["gen_ai.input.messages"])
    assert message == [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]
    assert spans[f"generate_content {PROFILE}"].status.description == f"refused: {PROMPT}"
    assert not [key for key in attributes(spans["lascaux.generate hero"]) if key.startswith("gen_ai.")]


def test_durations_are_those_of_the_clock(seen: Observed) -> None:
    """Per attempt and per request, in seconds, with the advised buckets."""
    request = seen.telemetry.request("hero", "text_to_image", 1)
    seen.clock.now += 1
    with try_once(request, images=1) as attempt:
        seen.clock.now += 4
        attempt.succeed(response_model=CANVAS)
    seen.clock.now += 120
    request.finish("ok", images=1)
    ((key, inner),) = seen.points("gen_ai.client.inference.duration").items()
    assert dict(key) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": PROFILE,
        "gen_ai.response.model": CANVAS,
        "server.address": "bedrock-runtime.eu-west-1.amazonaws.com",
        "server.port": 443,
        "cloud.region": "eu-west-1",
    }
    attempt_context = seen.spans()[f"generate_content {PROFILE}"].context
    assert attempt_context is not None
    assert [exemplar.span_id for exemplar in inner.exemplars] == [attempt_context.span_id]
    assert inner.sum == pytest.approx(4)
    assert inner.explicit_bounds == names.SECONDS
    ((key, outer),) = seen.points("lascaux.request.duration").items()
    assert dict(key) == {
        "lascaux.alias": "hero",
        "lascaux.task": "text_to_image",
        "lascaux.outcome": "ok",
        "lascaux.cache.result": "miss",
    }
    assert outer.sum == pytest.approx(125)
    assert outer.explicit_bounds[-1] > 600


def test_counters_add_up(seen: Observed) -> None:
    """Pictures, money, attempts, retries and the cache: each request leaves exactly its share."""
    where = {"lascaux.model": CANVAS, "cloud.region": "eu-west-1"}
    request = seen.telemetry.request("hero", "text_to_image", 2)
    with try_once(request) as attempt:
        attempt.fail("throttled")
    with try_once(request) as attempt:
        attempt.succeed(response_model=CANVAS, images=1, cost_usd=Decimal("0.04"))
    request.finish("ok", model=CANVAS, region="eu-west-1", attempts=2, retries=1, images=1)
    unpriced = seen.telemetry.request("hero", "text_to_image", 2)
    with try_once(unpriced) as attempt:
        attempt.succeed(response_model=CANVAS, images=2, cost_usd=None)
    unpriced.finish("ok", cache="bypass", attempts=1, images=2)
    hit = seen.telemetry.request("hero", "text_to_image", 2)
    hit.finish(
        "ok",
        model=CANVAS,
        region="eu-west-1",
        cache="hit",
        cost_usd=Decimal(0),
        saved_usd=Decimal("0.12"),
        images=2,
    )

    def key(**more: Any) -> tuple[tuple[str, Any], ...]:
        return tuple(sorted({**where, **{f"lascaux.{name}": value for name, value in more.items()}}.items()))

    assert seen.points(names.IMAGES) == {
        key(outcome="throttled"): 2,
        key(outcome="ok"): 3,
        key(outcome="missing"): 1,
        key(outcome="hit"): 2,
    }
    assert seen.points(names.COST) == {key(deployment="team-a"): pytest.approx(0.04)}
    assert seen.points(names.COST_SAVED) == {key(alias="hero"): pytest.approx(0.12)}
    failed = tuple(sorted((*key(deployment="team-a", outcome="error"), ("error.type", "throttled"))))
    assert seen.points(names.ATTEMPTS) == {failed: 1, key(deployment="team-a", outcome="ok"): 2}
    assert seen.points(names.RETRIES) == {(("lascaux.alias", "hero"),): 1}
    assert {dict(at)["lascaux.cache.result"]: count for at, count in seen.points(names.CACHE).items()} == {
        "miss": 1,
        "bypass": 1,
        "hit": 1,
    }


def test_routers_that_share_a_meter_are_counted_together() -> None:
    """Calls, pictures and money of all of them, not of the first."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    config = {"deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}}}
    for number in range(2):
        with Router(config, provider=FakeProvider(), meter_provider=provider) as router:
            for turn in range(number + 1):
                router.generate("core", f"otter {number} {turn}")
    data: Any = reader.get_metrics_data()
    told = {
        metric.name: sum(point.value for point in metric.data.data_points)
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name in (names.ATTEMPTS, names.IMAGES, names.COST, names.CACHE)
    }
    assert told == {names.ATTEMPTS: 3, names.IMAGES: 3, names.COST: pytest.approx(0.12), names.CACHE: 3}


def test_breaker_transitions_are_counted(seen: Observed) -> None:
    """By deployment and by the state it went into."""
    for state in ("open", "half_open", "open"):
        seen.telemetry.breaker("team-a", state)
    assert seen.points(names.BREAKER) == {
        (("lascaux.breaker.state", "open"), ("lascaux.deployment", "team-a")): 2,
        (("lascaux.breaker.state", "half_open"), ("lascaux.deployment", "team-a")): 1,
    }


def test_without_an_sdk_everything_is_a_no_op() -> None:
    """A process that never set up OpenTelemetry can use it all, in a fresh interpreter that loads no SDK."""
    script = (
        "import sys\n"
        "from lascaux.router.telemetry import Telemetry\n"
        "request = Telemetry().request('hero', 'text_to_image', 1)\n"
        "with request.attempt(1, alias='a', deployment='d', model='m', model_id='m', region='r', task='t') as one:\n"
        "    one.succeed(response_model='m')\n"
        "request.event('retry', wait=1)\n"
        "request.finish('ok')\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry.sdk')))\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "[]"


def use(telemetry: Telemetry) -> None:
    request = telemetry.request("hero", "text_to_image", 1)
    with try_once(request, images=1) as attempt:
        attempt.succeed(response_model=CANVAS, finish_reasons=["success"], cost_usd=Decimal("0.04"))
    with try_once(request, images=1, model_id="other") as attempt:
        attempt.fail("throttled", message="too many requests")
    request.finish("ok", images=1, warnings=["adapted", "retired"])


def test_console_writes_a_line_per_span_and_metric(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, so that standard output stays a program's."""
    tracers, meters, shutdown = configure("console")
    use(Telemetry(tracer_provider=tracers, meter_provider=meters))
    shutdown()
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    spans = [line for line in lines if line.startswith("span ")]
    assert len(spans) == 3
    assert f" generate_content {PROFILE} " in spans[0]
    assert "  ok  " in spans[0]
    assert "lascaux.cost.usd=0.04" in spans[0]
    assert "  error  " in spans[1]
    assert "error.type=throttled" in spans[1]
    assert "lascaux.warnings=adapted,retired" in spans[2]
    metrics = [line for line in lines if line.startswith("metric ")]
    assert any("lascaux.cost  0.04 {USD}" in line for line in metrics)
    assert any("gen_ai.client.inference.duration  1 x 0.00" in line for line in metrics)
    assert len(spans) + len(metrics) == len(lines)


def test_none_records_nothing() -> None:
    """The providers of 'none' make spans that nobody records."""
    tracers, meters, shutdown = configure("none")
    request = Telemetry(tracer_provider=tracers, meter_provider=meters).request("hero", "text_to_image", 1)
    assert not get_current_span(request.context).is_recording()
    use(Telemetry(tracer_provider=tracers, meter_provider=meters))
    shutdown()


def test_otlp_reaches_a_collector() -> None:
    """Spans and metrics arrive over HTTP at the endpoint's two paths when the program ends."""
    received: dict[str, bytes] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep standard error for failures."""

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        tracers, meters, shutdown = configure("otlp", f"http://127.0.0.1:{server.server_port}/")
        use(Telemetry(tracer_provider=tracers, meter_provider=meters))
        shutdown()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert set(received) == {"/v1/traces", "/v1/metrics"}
    assert b"lascaux" in received["/v1/traces"]


@pytest.mark.parametrize(
    ("exporter", "endpoint", "message"),
    [
        ("consol", None, "telemetry.exporter must be one of none, console, otlp, not 'consol'; did you mean console?"),
        ("jaeger", None, "telemetry.exporter must be one of none, console, otlp, not 'jaeger'"),
        ("none", "http://a:1", "telemetry.endpoint is for the exporter otlp; the exporter is none"),
        (
            "otlp",
            "localhost:4318",
            "telemetry.endpoint must be an http or https URL without user, query and fragment: http://localhost:4318",
        ),
        (
            "otlp",
            "http://me:s3cret@host",
            "telemetry.endpoint must be an http or https URL without user, query and fragment: http://localhost:4318",
        ),
        (
            "otlp",
            "http://host:99999",
            "telemetry.endpoint must be an http or https URL without user, query and fragment: http://localhost:4318",
        ),
    ],
)
def test_bad_exporter_settings_say_what_is_wrong(exporter: str, endpoint: str | None, message: str) -> None:
    """And never show an endpoint, which may hold a password."""
    with pytest.raises(ConfigError) as caught:
        configure(exporter, endpoint)
    assert str(caught.value) == message


def test_otlp_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that fails becomes advice."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError) as caught:
        configure("otlp")
    assert str(caught.value) == (
        "the telemetry exporter otlp needs a package that is not installed: pip install 'lascaux[otlp]'"
    )


def test_the_environment_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_SERVICE_NAME wins over our own name."""
    for name, expected in ((None, "lascaux"), ("shop", "shop")):
        if name:
            monkeypatch.setenv("OTEL_SERVICE_NAME", name)
        else:
            monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
        tracers, _, shutdown = configure("console")
        assert isinstance(tracers, TracerProvider)
        assert tracers.resource.attributes["service.name"] == expected
        shutdown()


def test_the_line_and_what_was_learned_can_be_watched(seen: Observed) -> None:
    """A gauge of what throttling has taught, and how long requests stood in line; others are not counted as waiting."""
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    provider = FakeProvider()
    config = {"deployments": {"a": {"model": CANVAS, "region": "us-east-1"}}, "lifecycle": {"retired": "allow"}}
    with Router(config, provider=provider, clock=lambda: now[0], sleep=sleep, meter_provider=seen.meters) as router:
        router.generate("a", "otter", cache=False)
        assert not seen.points(names.LEARNED_RPM)
        router.generate("a", "otter", cache=False)
        assert not seen.points(names.LINE_WAIT)
        provider.then("a", Throttled("slow"))
        result = router.generate("a", "otter", cache=False)
        waited = result.attempts[-1].waited
        assert waited > 0.0
        assert sum(attempt.waited for attempt in result.attempts) == pytest.approx(result.duration)
        place = ((names.REGION, "us-east-1"), (names.DEPLOYMENT, "a"), (names.MODEL, CANVAS))
        assert seen.points(names.LEARNED_RPM) == {place: router.explain("a", "otter").candidates[0].learned_rpm}
        (point,) = seen.points(names.LINE_WAIT).values()
        assert (dict(point.attributes), point.count) == ({names.ALIAS: "a"}, 1)
        assert point.sum == pytest.approx(waited)
    del router, result  # errors keep their frames
    gc.collect()
    assert not seen.points(names.LEARNED_RPM)


def test_what_nobody_hears_is_not_put_together(seen: Observed) -> None:
    """Without providers a request says so; a tracer or a meter alone is somebody, and so is one set to do nothing no one."""
    silent = Telemetry(tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider())
    request = silent.request("hero", "text_to_image", 1)
    assert not request.heard
    key = otel_context._SUPPRESS_INSTRUMENTATION_KEY
    with request.unheard_attempt():
        assert otel_context.get_value(key) is True
    assert otel_context.get_value(key) is None
    request.close()
    assert Telemetry(tracer_provider=seen.tracers, meter_provider=NoOpMeterProvider()).request("a", "b", 1).heard
    assert Telemetry(tracer_provider=NoOpTracerProvider(), meter_provider=seen.meters).request("a", "b", 1).heard


def test_a_meter_provider_that_is_set_later_is_heard() -> None:
    """The application may set one after it has made its router: nobody is asked but once a request."""
    script = (
        "from lascaux.router.telemetry import Telemetry\n"
        "from opentelemetry import metrics\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "telemetry = Telemetry()\n"
        "before = telemetry.request('hero', 'text_to_image', 1).heard\n"
        "metrics.set_meter_provider(MeterProvider())\n"
        "print(before, telemetry.request('hero', 'text_to_image', 1).heard)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.split() == ["False", "True"]
