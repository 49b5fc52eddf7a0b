"""A load of HTTP requests, in a process of its own: bytes out, bytes in, nothing parsed that need not be.

    python benchmarks/http_load.py PLAN.json

The plan names host, port, files with whole requests (sent in turn), concurrency and seconds; what became of them is printed
as one line of JSON. Closed loop: each of ``concurrency`` connections sends its next request when it has the last answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any


async def play(plan: dict[str, Any]) -> dict[str, Any]:
    """Send until the time is over; then wait for what is under way."""
    requests = itertools.cycle([Path(name).read_bytes() for name in plan["requests"]])
    begin = perf_counter()
    end = begin + plan["seconds"]
    statuses: Counter[str] = Counter()
    seconds: list[float] = []
    received = 0

    async def one() -> None:
        nonlocal received
        reader, writer = await asyncio.open_connection(plan["host"], plan["port"], limit=1 << 20)
        while (sent := perf_counter()) < end:
            writer.write(next(requests))
            await writer.drain()
            status, size = await _answer(reader)
            received += size
            statuses[status] += 1
            seconds.append(perf_counter() - sent)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(plan["concurrency"]):
            group.create_task(one())
    seconds.sort()
    return {
        "answers": len(seconds),
        "seconds": perf_counter() - begin,
        "bytes": received,
        "statuses": dict(statuses),
        "median": seconds[len(seconds) // 2],
        "p99": seconds[int(len(seconds) * 0.99)],
    }


async def _answer(reader: asyncio.StreamReader) -> tuple[str, int]:
    """Status and size of one answer; its body is thrown away as it comes."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = head.split(b" ", 2)[1].decode()
    _, found, value = head.partition(b"\r\ncontent-length:")
    if not found:
        return status, await _chunks(reader)
    left = size = int(value.split(b"\r\n", 1)[0])
    while left:
        data = await reader.read(min(left, 1 << 20))
        if not data:
            raise ConnectionError("the answer was cut off")
        left -= len(data)
    return status, size


async def _chunks(reader: asyncio.StreamReader) -> int:
    size = 0
    while length := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(length + 2)
        size += length
    await reader.readexactly(2)
    return size


def request(path: str, body: bytes, *, host: str = "127.0.0.1", media_type: str = "application/json") -> bytes:
    """A whole POST."""
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Load:
    """Requests in files, and a process that sends them."""

    def __init__(self, folder: Path, requests: Sequence[bytes]) -> None:
        self._names: list[str] = []
        for number, data in enumerate(requests):
            path = folder / f"request-{number}"
            path.write_bytes(data)
            self._names.append(str(path))
        self._plan = folder / "plan.json"

    def begin(self, port: int, *, concurrency: int, seconds: float) -> subprocess.Popen[str]:
        """Start it; its standard output will be the line of JSON."""
        plan = {
            "host": "127.0.0.1",
            "port": port,
            "requests": self._names,
            "concurrency": concurrency,
            "seconds": seconds,
        }
        self._plan.write_text(json.dumps(plan), encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(self._plan)], stdout=subprocess.PIPE, text=True
        )

    def run(self, port: int, *, concurrency: int, seconds: float) -> dict[str, Any]:
        """Start it, and wait for what it tells. Raises RuntimeError if it failed."""
        process = self.begin(port, concurrency=concurrency, seconds=seconds)
        told, _ = process.communicate()
        if process.returncode:
            raise RuntimeError("the load could not be sent")
        found: dict[str, Any] = json.loads(told)
        return found


def loads(requests: Sequence[bytes]) -> Iterator[Load]:
    """A load whose files go when it is over."""
    with tempfile.TemporaryDirectory() as folder:
        yield Load(Path(folder), requests)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))))
