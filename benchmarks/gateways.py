"""The gateways of Lascaux and LiteLLM under the same HTTP load, one worker each, before the same instant backend."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from lascaux.benchmarks.contest import LITELLM
from lascaux.benchmarks.contestant import ID, MODEL, REGION, SECRET, ours
from lascaux.benchmarks.http_load import Load, request
from lascaux.benchmarks.processes import cpu_seconds, watching

PATH = "/v1/images/generations"
GENERATION = request(PATH, json.dumps({"model": "hero", "prompt": "an otter"}).encode())
PATIENCE = 120.0
WEAK = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"
"""Neither gateway asks for a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Medians over rounds: requests per second, microseconds of CPU per request, p99 in seconds; most memory in bytes."""

    rate: float
    cpu_us: float
    p99: float
    peak: int


@contextmanager
def lascaux(url: str, folder: Path, **env: str) -> Iterator[tuple[int, int]]:
    """`lascaux serve` with one worker; its process and port. ``env`` is added to its environment."""
    (folder / "lascaux.yaml").write_text(json.dumps(ours(url)), encoding="utf-8")
    port = _free()
    command = [sys.executable, "-m", "lascaux", "serve", "--port", str(port)]
    with _running(command, port, folder, **env) as pid:
        yield pid, port


@contextmanager
def litellm(url: str, folder: Path) -> Iterator[tuple[int, int]]:
    """LiteLLM's proxy with one worker, as its documentation starts it."""
    place = {
        "model": f"bedrock/{MODEL}",
        "aws_access_key_id": ID,
        "aws_secret_access_key": SECRET,
        "aws_region_name": REGION,
        "aws_bedrock_runtime_endpoint": url,
    }
    config = {"model_list": [{"model_name": "hero", "litellm_params": place}], "litellm_settings": {"num_retries": 0}}
    (folder / "litellm.yaml").write_text(json.dumps(config), encoding="utf-8")
    port = _free()
    program = str(LITELLM.parent / "litellm")
    command = [program, "--config", "litellm.yaml", "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
    with _running(command, port, folder) as pid:
        yield pid, port


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str], port: int, folder: Path, **env: str) -> Iterator[int]:
    quiet = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "CRITICAL",
        "DISABLE_ADMIN_UI": "True",
        WEAK: "true",
    }
    log = folder / f"{port}.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env={**os.environ, **quiet, **env})
    try:
        _wait(process, port, log)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until a picture comes."""
    pause, end = threading.Event(), perf_counter() + PATIENCE
    while perf_counter() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(GENERATION)
                if client.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        pause.wait(0.5)
    raise RuntimeError(f"a gateway did not start: {log.read_text()[-2000:]}")


def contest(url: str, folder: Path, *, concurrency: int, rounds: int, seconds: float) -> Mapping[str, Served]:
    """Both in turns."""
    load = Load(folder, [GENERATION])
    starts = {"Lascaux": lascaux, "LiteLLM": litellm}
    with ExitStack() as stack:
        field = {name: stack.enter_context(start(url, folder)) for name, start in starts.items()}
        rows: dict[str, list[Served]] = {name: [] for name in field}
        for number in range(rounds + 1):
            for name, (pid, port) in field.items():
                served = _round(load, pid, port, concurrency, seconds if number else 1.0)
                if number:  # the first one warms up
                    rows[name].append(served)
    return {name: _median(found) for name, found in rows.items()}


def _round(load: Load, pid: int, port: int, concurrency: int, seconds: float) -> Served:
    before = cpu_seconds(pid)
    with watching(pid) as peak:
        told = load.run(port, concurrency=concurrency, seconds=seconds)
    if set(told["statuses"]) != {"200"}:
        raise RuntimeError(f"a gateway answered {told['statuses']}")
    cpu = cpu_seconds(pid) - before
    return Served(
        rate=told["answers"] / told["seconds"], cpu_us=cpu / told["answers"] * 1e6, p99=told["p99"], peak=peak.bytes
    )


def _median(rows: Sequence[Served]) -> Served:
    return Served(
        rate=statistics.median(row.rate for row in rows),
        cpu_us=statistics.median(row.cpu_us for row in rows),
        p99=statistics.median(row.p99 for row in rows),
        peak=max(row.peak for row in rows),
    )


class Relay:
    """Bare sockets: each request goes to the backend as it came, each answer back as it comes. In a process of its own.

    No gateway can do with less CPU than what the kernel takes for receiving and sending the same bytes.
    """

    @staticmethod
    def main(port: int, backend: int) -> None:
        """Serve for ever, a thread for each connection."""
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=Relay._talk, args=(client, backend), daemon=True).start()

    @staticmethod
    def _talk(client: socket.socket, backend: int) -> None:
        upstream = socket.create_connection(("127.0.0.1", backend))
        for one in (client, upstream):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = memoryview(bytearray(1 << 20))
        while size := client.recv_into(buffer):
            upstream.sendall(buffer[:size])
            left = -1
            while left:
                size = upstream.recv_into(buffer)
                if left < 0:
                    head, _, body = bytes(buffer[:size]).partition(b"\r\n\r\n")
                    left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]) - len(body)
                else:
                    left -= size
                client.sendall(buffer[:size])


def relayed(url: str, folder: Path, *, concurrency: int, rounds: int, seconds: float) -> float:
    """Microseconds of CPU per picture that bare sockets take."""
    port = _free()
    backend = url.rpartition(":")[2]
    load = Load(folder, [GENERATION])
    with _running([sys.executable, __file__, str(port), backend], port, folder) as pid:
        rows = [_round(load, pid, port, concurrency, seconds) for _ in range(rounds)]
    return _median(rows).cpu_us


if __name__ == "__main__":
    Relay.main(int(sys.argv[1]), int(sys.argv[2]))
