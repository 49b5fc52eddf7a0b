"""One contestant of the benchmark in a process of its own: it makes pictures when it is told to, and says what that took.

    python benchmarks/contestant.py NAME URL

NAME is a key of `CONTESTANTS`. Each line of standard input is an order in JSON, ``{"concurrency": 32, "seconds": 0.5}``; the
answer is a line with calls, seconds, and microseconds of CPU per call, all threads counted. A call ends with the decoded
bytes of the picture in hand. At the top it imports the standard library alone: LiteLLM lives in an environment of its own.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import itertools
import json
import logging
import resource
import sys
import threading
from collections.abc import Awaitable, Callable
from time import perf_counter, process_time
from typing import Any

Sync = Callable[[int], bytes]
Async = Callable[[int], Awaitable[bytes]]

MODEL = "stability.stable-image-core-v1:1"
REGION = "us-west-2"
ID, SECRET = "AKIDEXAMPLE", "secret"
MOST = 256


def by_hand(url: str) -> Sync:
    """boto3 as people write it, with retries switched off."""
    import boto3
    from botocore.config import Config

    client: Any = boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, max_pool_connections=MOST),
    )

    def call(seed: int) -> bytes:
        body = json.dumps({"prompt": "an otter", "seed": seed, "aspect_ratio": "1:1"})
        answer = json.loads(client.invoke_model(modelId=MODEL, body=body)["body"].read())
        return base64.b64decode(answer["images"][0])

    return call


def ours(url: str, deployments: int = 1) -> dict[str, Any]:
    """A configuration with all that it has by default, and so many deployments behind one alias."""
    place = {"model": MODEL, "region": REGION, "credentials": "demo", "endpoint_url": url}
    names = [f"core-{number}" for number in range(deployments)]
    return {
        "credentials": {"demo": {"access_key_id": ID, "secret_access_key": SECRET}},
        "deployments": {name: place for name in names},
        "aliases": {"hero": {"deployments": names}},
        "cache": {"max_bytes": "64MiB"},
    }


def telemetry() -> dict[str, Any]:
    """The SDK's providers, whose spans and metrics go nowhere in the end."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return {"tracer_provider": tracer_provider, "meter_provider": MeterProvider([InMemoryMetricReader()])}


def router(url: str, deployments: int = 1, **more: Any) -> Sync:
    """`Router`. Every call has a new seed, so that each is looked up and kept, and none is a hit."""
    from lascaux import Router

    made = Router(ours(url, deployments), **more)
    return lambda seed: made.generate("hero", "an otter", seed=seed, aspect_ratio="1:1").images[0].bytes


def async_router(url: str, **more: Any) -> Async:
    """`AsyncRouter`, the same."""
    from lascaux import AsyncRouter

    made = AsyncRouter(ours(url), **more)

    async def call(seed: int) -> bytes:
        return (await made.generate("hero", "an otter", seed=seed, aspect_ratio="1:1")).images[0].bytes

    return call


def hits(url: str) -> Sync:
    """`Router` asked for what is in its cache; a call ends with the base64 in hand."""
    from lascaux import Router

    made = Router(ours(url))
    made.generate("hero", "an otter", seed=1, aspect_ratio="1:1")

    def call(_: int) -> bytes:
        assert made.generate("hero", "an otter", seed=1, aspect_ratio="1:1").images[0].b64
        return b""

    return call


def litellm_router(url: str) -> Any:
    """LiteLLM's Router with the same model, quiet."""
    import litellm

    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    place = {
        "model": f"bedrock/{MODEL}",
        "aws_access_key_id": ID,
        "aws_secret_access_key": SECRET,
        "aws_region_name": REGION,
        "aws_bedrock_runtime_endpoint": url,
    }
    return litellm.Router(model_list=[{"model_name": "hero", "litellm_params": place}], num_retries=0)


def litellm_sync(url: str) -> Sync:
    """LiteLLM's Router."""
    made = litellm_router(url)
    return lambda seed: base64.b64decode(made.image_generation(model="hero", prompt=f"otter {seed}").data[0].b64_json)


def litellm_async(url: str) -> Async:
    """LiteLLM's Router, awaited."""
    made = litellm_router(url)

    async def call(seed: int) -> bytes:
        answer = await made.aimage_generation(model="hero", prompt=f"otter {seed}")
        return base64.b64decode(answer.data[0].b64_json)

    return call


CONTESTANTS: dict[str, Callable[[str], Sync | Async]] = {
    "boto3": by_hand,
    "Router": router,
    "Router, SDK telemetry": lambda url: router(url, **telemetry()),
    "AsyncRouter": async_router,
    "AsyncRouter, SDK telemetry": lambda url: async_router(url, **telemetry()),
    "LiteLLM": litellm_sync,
    "LiteLLM async": litellm_async,
    "10 deployments": lambda url: router(url, 10),
    "1,000 deployments": lambda url: router(url, 1000),
    "cache hit": hits,
}


def work(call: Sync, seeds: itertools.count[int], concurrency: int, until: float) -> int:
    """Calls made by so many threads."""
    made: list[int] = []

    def one() -> None:
        calls = 0
        while perf_counter() < until:
            call(next(seeds))
            calls += 1
        made.append(calls)

    if concurrency == 1:
        one()
        return made[0]
    threads = [threading.Thread(target=one) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(made)


async def work_soon(call: Async, seeds: itertools.count[int], concurrency: int, until: float) -> int:
    """Calls made by so many tasks."""

    async def one() -> int:
        calls = 0
        while perf_counter() < until:
            await call(next(seeds))
            calls += 1
        return calls

    return sum(await asyncio.gather(*(one() for _ in range(concurrency))))


async def main(name: str, url: str) -> None:
    call, seeds = CONTESTANTS[name](url), itertools.count(2)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        began, before = perf_counter(), process_time()
        until = began + order["seconds"]
        if inspect.iscoroutinefunction(call):
            calls = await work_soon(call, seeds, order["concurrency"], until)
        else:
            calls = work(call, seeds, order["concurrency"], until)  # type: ignore[arg-type]
        cpu, seconds = process_time() - before, perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told = {"calls": calls, "seconds": seconds, "cpu_us": cpu / calls * 1e6, "peak": peak}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
