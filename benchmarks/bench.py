"""Lascaux beside hand-written boto3 and LiteLLM: CPU, pictures per second, memory. Writes docs/performance.* .

    python benchmarks/bench.py [--rounds 5] [--seconds 0.5] [--only library,patience,gateways,rooms,starts]

Everything runs on loopback against an instant backend in a process of its own; contestants are processes that take turns,
and figures are medians over the rounds. CPU time counts all threads of a process. Nothing of the router is switched off:
routing, pricing, cache keys, breakers and no-op telemetry are on, and every call has a new seed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lascaux.benchmarks import gateways, rooms, starts
from lascaux.benchmarks.backend import running
from lascaux.benchmarks.bench_page import plot, write
from lascaux.benchmarks.contest import LITELLM, contest

DOCS = Path(__file__).parent.parent / "docs"
SIZES = {"1 KB": 1_000, "2 MB": 1_500_000}
"""Bytes of the picture; 1.5 MB of it are 2 MB of base64."""
LIBRARY = ("boto3", "Router", "AsyncRouter", "LiteLLM", "LiteLLM async")
WITH_SDK = ("Router, SDK telemetry", "AsyncRouter, SDK telemetry")
PATIENT = ("boto3", "Router", "AsyncRouter")


def library(rounds: int, seconds: float) -> dict[str, Any]:
    """CPU per call to decoded bytes, and calls per second, by picture and concurrency."""
    found: dict[str, Any] = {}
    for name, size in SIZES.items():
        with running(size) as url:
            for concurrency in (1, 32, 128):
                names = LIBRARY + (WITH_SDK if concurrency == 1 else ())
                print(f"library, {name}, concurrency {concurrency} ...", file=sys.stderr)
                told = contest(names, url, concurrency=concurrency, rounds=rounds, seconds=seconds)
                found[f"{name}, {concurrency}"] = {one: asdict(figure) for one, figure in told.items()}
    with running(SIZES["1 KB"]) as url:
        print("deployments ...", file=sys.stderr)
        told = contest(("10 deployments", "1,000 deployments"), url, concurrency=1, rounds=rounds, seconds=seconds)
        found["deployments"] = {one: asdict(figure) for one, figure in told.items()}
    with running(SIZES["2 MB"]) as url:
        print("cache hits ...", file=sys.stderr)
        told = contest(("cache hit",), url, concurrency=1, rounds=rounds, seconds=seconds)
        found["cache hit"] = {one: asdict(figure) for one, figure in told.items()}
    return found


def patience(rounds: int) -> dict[str, Any]:
    """The realistic case: pictures that take 2 s, 256 at a time."""
    print("2 s latency, 256 in flight ...", file=sys.stderr)
    with running(SIZES["2 MB"], 2.0) as url:
        told = contest(PATIENT, url, concurrency=256, rounds=rounds, seconds=8.0, warm=0.1)
    return {one: asdict(figure) for one, figure in told.items()}


def served(rounds: int) -> dict[str, Any]:
    """Both gateways under the same load, and what bare sockets take."""
    found: dict[str, Any] = {}
    for name, size in SIZES.items():
        with running(size) as url, tempfile.TemporaryDirectory() as folder:
            print(f"gateways, {name} ...", file=sys.stderr)
            told = gateways.contest(url, Path(folder), concurrency=32, rounds=rounds, seconds=3.0)
            found[f"{name}, 32"] = {one: asdict(figure) for one, figure in told.items()}
            sockets = gateways.relayed(url, Path(folder), concurrency=32, rounds=rounds, seconds=2.0)
            found[f"bare sockets, {name}"] = {"cpu_us": sockets}
    with running(SIZES["2 MB"]) as url, tempfile.TemporaryDirectory() as folder:
        told = gateways.contest(url, Path(folder), concurrency=128, rounds=rounds, seconds=4.0)
        found["2 MB, 128"] = {one: asdict(figure) for one, figure in told.items()}
    return found


def profiled() -> dict[str, Any]:
    """Where the gateway's CPU goes."""
    print("the gateway's rooms ...", file=sys.stderr)
    return {name: rooms.profile(size, concurrency=32, seconds=20.0) for name, size in SIZES.items()}


def begun(rounds: int) -> dict[str, Any]:
    """Import and construction."""
    print("imports and constructions ...", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        made = {str(count): starts.constructions(Path(folder), count, rounds) for count in (10, 100, 1000)}
    return {"import": starts.imports(rounds), "construction": made}


def machine() -> dict[str, str]:
    """What it ran on, without the name of a machine."""
    code = "from importlib.metadata import version; print(version('litellm'))"
    theirs = subprocess.run([str(LITELLM), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} shared cores",
        "boto3": version("boto3"),
        "litellm": theirs,
        "uvicorn": version("uvicorn"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each contestant in each round")
    parser.add_argument(
        "--only", default="library,patience,gateways,rooms,starts", help="parts, with commas; others are kept"
    )
    options = parser.parse_args()
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    kept = DOCS / "performance.json"
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    parts: Mapping[str, Any] = {
        "library": lambda: library(options.rounds, options.seconds),
        "patience": lambda: patience(options.rounds),
        "gateways": lambda: served(options.rounds),
        "rooms": profiled,
        "starts": lambda: begun(options.rounds),
    }
    found["machine"] = machine() | {"rounds": str(options.rounds)}
    for name in options.only.split(","):
        found[name] = parts[name]()
        kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(write(found, DOCS / "performance.md"))
    plot(found, DOCS / "performance.png")


if __name__ == "__main__":
    main()
