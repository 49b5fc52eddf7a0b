"""CPU per call, side by side: hand-written boto3, `Router` and `AsyncRouter`, on an instant loopback backend, interleaved.

    python benchmarks/call_overhead.py [--rounds 7] [--seconds 0.5]

The backend is a process of its own that answers every request with the same canned Stability answer. Each round runs
every contestant for a while; the table shows the median over rounds of process CPU time per call, and its ratio to boto3.
boto3 runs as people write it (`invoke_model`, `json.loads`, `base64.b64decode`), with retries switched off. Nothing of the
router is switched off: planning, pricing, cache keys, breakers and no-op telemetry are on; every call has a new seed, so no
call is a cache hit.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import multiprocessing
import platform
import random
import socket
import statistics
import struct
import threading
import time
import zlib
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import boto3
from botocore.config import Config as BotoConfig
from lascaux import AsyncRouter, Router

Measure = Callable[["itertools.count[int]", float], float]
"""Microseconds of CPU per call, measured for so many seconds."""
MODEL = "stability.stable-image-core-v1:1"
SIZES = {"1 KB": 1_000, "2 MB": 1_500_000}


def picture_of(size: int) -> bytes:
    """A PNG file of ``size`` bytes in the form that models answer with: nothing behind its end. Its pixels are noise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1024, 1024, 8, 2, 0, 0, 0))
    end = chunk(b"IEND", b"")
    return header + chunk(b"IDAT", random.Random(1).randbytes(size - len(header) - len(end) - 12)) + end


def serve(size: int, ready: Connection) -> None:
    """Answer every request on a free port with a picture of ``size`` bytes."""
    picture = base64.b64encode(picture_of(size)).decode()
    body = json.dumps({"seeds": [7], "finish_reasons": [None], "images": [picture]}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    answer = head.encode() + body
    listener = socket.create_server(("127.0.0.1", 0))
    ready.send(listener.getsockname()[1])
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(client, answer), daemon=True).start()


def _talk(client: socket.socket, answer: bytes) -> None:
    stream = client.makefile("rb")
    while line := stream.readline():
        length = 0
        while line not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
            line = stream.readline()
        stream.read(length)
        client.sendall(answer)


def by_hand(url: str) -> Callable[[int], bytes]:
    """What people write without a router."""
    client: Any = boto3.client(
        "bedrock-runtime",
        region_name="us-west-2",
        endpoint_url=url,
        aws_access_key_id="AKID",
        aws_secret_access_key="secret",
        config=BotoConfig(retries={"total_max_attempts": 1, "mode": "standard"}),
    )

    def call(seed: int) -> bytes:
        body = json.dumps({"prompt": "an otter", "seed": seed, "aspect_ratio": "1:1"})
        answer = json.loads(client.invoke_model(modelId=MODEL, body=body)["body"].read())
        return base64.b64decode(answer["images"][0])

    return call


def settings(url: str) -> dict[str, Any]:
    """One deployment, and a cache."""
    return {
        "credentials": {"demo": {"access_key_id": "AKID", "secret_access_key": "secret"}},
        "deployments": {"core": {"model": MODEL, "region": "us-west-2", "credentials": "demo", "endpoint_url": url}},
        "cache": {"max_bytes": "64MiB"},
    }


def by_async_router(url: str) -> Measure:
    """The same through `AsyncRouter`, one call after the other in one event loop."""
    router, loop = AsyncRouter(settings(url)), asyncio.new_event_loop()

    async def calls(seeds: itertools.count[int], stop: float) -> int:
        for made in itertools.count():
            if time.perf_counter() >= stop:
                return made
            result = await router.generate("core", "an otter", seed=next(seeds), aspect_ratio="1:1")
            _ = result.images[0].bytes
        raise AssertionError

    def measured(seeds: itertools.count[int], seconds: float) -> float:
        before = time.process_time()
        made = loop.run_until_complete(calls(seeds, time.perf_counter() + seconds))
        return (time.process_time() - before) / made * 1e6

    return measured


def by_router(url: str) -> Callable[[int], bytes]:
    """The same through `Router`, to decoded bytes."""
    router = Router(settings(url))
    return lambda seed: router.generate("core", "an otter", seed=seed, aspect_ratio="1:1").images[0].bytes


def measure(call: Callable[[int], bytes], seeds: itertools.count[int], seconds: float) -> float:
    """Microseconds of CPU per call."""
    calls, stop, before = 0, time.perf_counter() + seconds, time.process_time()
    while time.perf_counter() < stop:
        call(next(seeds))
        calls += 1
    return (time.process_time() - before) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each contestant in each round")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, boto3 {boto3.__version__}")
    print(f"CPU per call in us, and its ratio to boto3; median of {options.rounds} rounds")
    print(f"{'picture':8} {'boto3':>8} {'Router':>8} {'ratio':>6} {'AsyncRouter':>12} {'ratio':>6}")
    for name, size in SIZES.items():
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(size, theirs), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{ours.recv()}"
        contestants: list[Measure] = [
            partial(measure, by_hand(url)),
            partial(measure, by_router(url)),
            by_async_router(url),
        ]
        seeds = itertools.count(1)
        for contestant in contestants:
            contestant(seeds, 0.2)
        rounds = [[contestant(seeds, options.seconds) for contestant in contestants] for _ in range(options.rounds)]
        hand, router, beside = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = router / hand, beside / hand
        print(f"{name:8} {hand:8.0f} {router:8.0f} {ratios[0]:6.2f} {beside:12.0f} {ratios[1]:6.2f}")
        server.terminate()


if __name__ == "__main__":
    main()
