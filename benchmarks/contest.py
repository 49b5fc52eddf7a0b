"""Contestants side by side: processes that take turns, and medians over the rounds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LITELLM = HERE.parent / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Medians over rounds: microseconds of CPU per call, calls per second; and the most memory in bytes."""

    cpu_us: float
    rate: float
    peak: int


class Contestant:
    """A process that waits for orders."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, concurrency: int, seconds: float) -> dict[str, Any]:
        """Have it make pictures. Raises RuntimeError if it has died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"concurrency": concurrency, "seconds": seconds}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a contestant has died")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def contestant(name: str, url: str) -> Iterator[Contestant]:
    """Start one; LiteLLM's in its own environment."""
    python = str(LITELLM) if name.startswith("LiteLLM") else sys.executable
    process = subprocess.Popen(
        [python, str(HERE / "contestant.py"), name, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while (line := process.stdout.readline()).strip() != "ready":
            if not line:
                raise RuntimeError(f"{name} did not start")
        yield Contestant(process)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def contest(
    names: Sequence[str], url: str, *, concurrency: int, rounds: int, seconds: float, warm: float = 0.3
) -> Mapping[str, Figure]:
    """All of them in turns, so that what else the machine does meets all alike."""
    with ExitStack() as stack:
        field = {name: stack.enter_context(contestant(name, url)) for name in names}
        for one in field.values():
            one.run(concurrency, warm)
        told: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, one in field.items():
                told[name].append(one.run(concurrency, seconds))
    return {name: _figure(rows) for name, rows in told.items()}


def _figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    return Figure(
        cpu_us=statistics.median(row["cpu_us"] for row in rows),
        rate=statistics.median(row["calls"] / row["seconds"] for row in rows),
        peak=max(row["peak"] for row in rows),
    )
