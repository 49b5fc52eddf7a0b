"""Where the gateway's CPU goes, by room: the profile behind the goals that are out of reach.

    python benchmarks/rooms.py [--size 1000] [--concurrency 32] [--seconds 20] [--functions 25]

The gateway serves as in `gateways.py`, while each of its processes looks at its own stack every millisecond of CPU
(`sampling/sitecustomize.py`). Work in C counts for the function that called it: what the system takes to send and receive
counts for the event loop.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lascaux.benchmarks import gateways
from lascaux.benchmarks.backend import running
from lascaux.benchmarks.http_load import Load
from lascaux.benchmarks.processes import cpu_seconds

ROOT = Path(__file__).parent.parent
SAMPLING = Path(__file__).parent / "sampling"
ROOMS = ("gateway", "router", "providers", "pricing")
"""Of the package; everything else goes by the name of its library."""
LOOP = ("asyncio", "selectors.py", "threading.py")


def room(path: str) -> str:
    """Whose function it is."""
    for name in ROOMS:
        if f"/lascaux/{name}/" in path or path.startswith(f"{ROOT}/{name}/"):
            return name
    if "/site-packages/" in path:
        return path.partition("/site-packages/")[2].split("/")[0].removesuffix(".py")
    if any(f"/{name}" in path for name in LOOP):
        return "event loop"
    return "standard library" if path.startswith(("/", "<")) else path


def profile(size: int, concurrency: int, seconds: float) -> dict[str, Any]:
    """Microseconds of CPU per request, and the share of each room and function."""
    with running(size) as url, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        samples = folder / "samples"
        samples.mkdir()
        load = Load(folder, [gateways.GENERATION])
        paths = os.pathsep.join([str(SAMPLING), *filter(None, [os.environ.get("PYTHONPATH")])])
        with gateways.lascaux(url, folder, PYTHONPATH=paths, SAMPLES_INTO=str(samples)) as (pid, port):
            load.run(port, concurrency=concurrency, seconds=3.0)
            began = cpu_seconds(pid)
            told = load.run(port, concurrency=concurrency, seconds=seconds)
            cpu = cpu_seconds(pid) - began
        return {"cpu_us": cpu / told["answers"] * 1e6, **_counted(_largest(samples))}


def _largest(samples: Path) -> Counter[tuple[str, str]]:
    """The worker's: it has far more than its supervisor."""
    found: list[Counter[tuple[str, str]]] = []
    for file in samples.iterdir():
        counts: Counter[tuple[str, str]] = Counter()
        for line in file.read_text(encoding="utf-8").splitlines():
            count, path, function = line.split("\t")
            counts[path, function] += int(count)
        found.append(counts)
    return max(found, key=Counter.total)


def _counted(samples: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for (path, function), count in samples.items():
        rooms[room(path)] += count
        functions[f"{room(path)}: {Path(path).name} {function}"] += count
    total = rooms.total()
    return {
        "rooms": {name: count / total for name, count in rooms.most_common()},
        "functions": {name: count / total for name, count in functions.most_common()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=1000, help="bytes of a picture")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--functions", type=int, default=25, help="how many of them are listed")
    options = parser.parse_args()
    found = profile(options.size, options.concurrency, options.seconds)
    print(f"{found['cpu_us']:,.0f} us of CPU per request, with the sampling", file=sys.stderr)
    for part, most in (("rooms", 12), ("functions", options.functions)):
        for name, share in list(found[part].items())[:most]:
            print(f"{share:6.1%}  {share * found['cpu_us']:6,.0f} us  {name}")
        print()


if __name__ == "__main__":
    main()
