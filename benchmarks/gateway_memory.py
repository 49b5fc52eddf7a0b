"""An hour's worth of traffic in two minutes: what the gateway's memory does at concurrency 128 with pictures of 2 MB.

    python benchmarks/gateway_memory.py [--seconds 120] [--concurrency 128] [--size 1500000] [--workers 1]

Three of four requests are generations, one is an edit with a picture of 2 MB; the backend is instant. Memory is
that of all processes of the gateway (shared pages counted once). It fails if memory does not return to within 20 % of
what it was before, if its peak is above 600 MB, or if anything but pictures was answered.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from lascaux.benchmarks.backend import running
from lascaux.benchmarks.http_load import Load, request
from lascaux.benchmarks.processes import descriptors, resident, watching
from PIL import Image

PEAK = 600e6
GROWTH = 1.2


@contextmanager
def gateway(url: str, folder: Path, workers: int | None = None) -> Iterator[tuple[int, int]]:
    """`lascaux serve` before a backend; its process and port."""
    place = {"region": "us-west-2", "credentials": "demo", "endpoint_url": url}
    config = {
        "credentials": {"demo": {"access_key_id": "AKID", "secret_access_key": "secret"}},
        "deployments": {
            "core": {"model": "stability.stable-image-core-v1:1", **place},
            "editor": {"model": "stability.stable-image-control-sketch-v1:0", **place},
        },
        "aliases": {"hero": "core", "editor": "editor"},
    }
    (folder / "lascaux.yaml").write_text(json.dumps(config), encoding="utf-8")
    more = [] if workers is None else ["--workers", str(workers)]
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lascaux", "serve", "--port", "0", *more],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r":(\d+) ", line)
        if found is None:
            raise RuntimeError(f"the gateway did not start: {line}")
        yield process.pid, int(found[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def traffic() -> list[bytes]:
    """Three generations and an edit."""
    generation = request("/v1/images/generations", json.dumps({"model": "hero", "prompt": "an otter"}).encode())
    image = f"data:image/png;base64,{base64.b64encode(sketch()).decode()}"
    edit = {"model": "editor", "prompt": "an otter", "images": [{"image_url": image}]}
    return [generation, generation, generation, request("/v1/images/edits", json.dumps(edit).encode())]


def sketch() -> bytes:
    """A picture that a model would take, of 2 MB."""
    width, height = 1024, 680
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3)).save(out, "PNG")
    return out.getvalue()


def settled(pid: int, rest: float) -> int:
    """The least memory in a while of rest: free pages are given back every few seconds."""
    pause, least = Event(), resident(pid)
    for _ in range(int(rest)):
        pause.wait(1.0)
        least = min(least, resident(pid))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--size", type=int, default=1_500_000, help="bytes of a picture")
    parser.add_argument("--rest", type=float, default=15.0, help="seconds before memory is looked at again")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        running(options.size) as url,
        gateway(url, Path(name), options.workers) as (pid, port),
    ):
        load = Load(Path(name), traffic())
        load.run(port, concurrency=4, seconds=3)
        before, open_before = settled(pid, options.rest), descriptors(pid)
        with watching(pid) as peak:
            told = load.run(port, concurrency=options.concurrency, seconds=options.seconds)
        after, open_after = settled(pid, options.rest), descriptors(pid)
    report(told, before, peak.bytes, after)
    print(f"descriptors before {open_before}, after {open_after}")
    wrong = set(told["statuses"]) - {"200"}
    sys.exit(1 if wrong or peak.bytes > PEAK or after > GROWTH * before else 0)


def report(told: dict[str, Any], before: int, peak: int, after: int) -> None:
    """What was seen."""
    per_minute = told["answers"] / told["seconds"] * 60
    print(f"{told['answers']} answers in {told['seconds']:.0f} s ({per_minute:.0f} a minute), {told['statuses']}")
    print(f"latency: median {told['median']:.2f} s, p99 {told['p99']:.2f} s; {told['bytes'] / 1e9:.1f} GB received")
    memory = f"before {before / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB, after {after / 1e6:.0f} MB"
    print(f"memory: {memory} ({after / before:.2f} of before)")


if __name__ == "__main__":
    main()
