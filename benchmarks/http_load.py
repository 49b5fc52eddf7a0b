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


class Tally:
    """What became of the requests of one load."""

    def __init__(self, requests: Sequence[bytes], end: float) -> None:
        self.requests = itertools.cycle(requests)
        self.end = end
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.received = 0


class Caller(asyncio.BufferedProtocol):
    """One connection. All read bodies into the same buffer, and nobody looks at it: who measures must not be the limit."""

    _waste = memoryview(bytearray(1 << 20))

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._head = bytearray(1 << 16)
        self._filled = 0
        self._left = 0
        """Bytes of the body that are to come; 0 while the head is read."""
        self._sent = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("the answer was cut off"))

    def get_buffer(self, hint: int) -> memoryview:
        """Where the next bytes go."""
        if self._left:
            return self._waste[: self._left]
        return memoryview(self._head)[self._filled :]

    def buffer_updated(self, size: int) -> None:
        """So many have come."""
        if self._left:
            self._left -= size
            self._tally.received += size
            if not self._left:
                self._answered()
            return
        self._filled += size
        end = self._head.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            return
        head = bytes(self._head[:end]).lower() + b"\r\n"
        self._status = head.split(b" ", 2)[1].decode()
        _, found, value = head.partition(b"\r\ncontent-length:")
        if not found:
            raise ConnectionError("an answer that does not tell its length")
        came = self._filled - end - 4
        self._tally.received += came
        self._left = int(value.split(b"\r\n", 1)[0]) - came
        self._filled = 0
        if not self._left:
            self._answered()

    def _answered(self) -> None:
        self._tally.statuses[self._status] += 1
        self._tally.seconds.append(perf_counter() - self._sent)
        self._next()

    def _next(self) -> None:
        self._sent = perf_counter()
        if self._sent < self._tally.end:
            self._transport.write(next(self._tally.requests))
            return
        self.ended.set_result(None)
        self._transport.close()


async def play(plan: dict[str, Any]) -> dict[str, Any]:
    """Send until the time is over; then wait for what is under way."""
    loop, begin = asyncio.get_running_loop(), perf_counter()
    tally = Tally([Path(name).read_bytes() for name in plan["requests"]], begin + plan["seconds"])
    made = [
        await loop.create_connection(lambda: Caller(tally), plan["host"], plan["port"])
        for _ in range(plan["concurrency"])
    ]
    await asyncio.gather(*(caller.ended for _, caller in made))
    seconds = sorted(tally.seconds)
    return {
        "answers": len(seconds),
        "seconds": perf_counter() - begin,
        "bytes": tally.received,
        "statuses": dict(tally.statuses),
        "median": seconds[len(seconds) // 2],
        "p99": seconds[int(len(seconds) * 0.99)],
    }


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
