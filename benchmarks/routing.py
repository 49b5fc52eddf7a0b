"""Lascaux beside LiteLLM's Router, over HTTP, on quotas that neither knows.

    make bench-routing                  # or: python benchmarks/routing.py [--quick] [--only 95] [--mode race]

Three modes, each against emulators in processes of their own:

race: three regions of one model with hidden quotas; loads of 60 %, 95 % and 150 % of their sum, arriving whether or not
    earlier requests were answered; one region fails (503) in the middle third. Both routers run at the same time.
black-hole: one of three regions swallows every call for a while; attempt timeout 2 s. Who still touches it, and when is it
    back in use?
declared: one region with a declared limit, at saturation. The fullest 60 seconds that the emulator saw, and the mean use.

The figures go to docs/routing-benchmark.md and .json (a mode that runs alone replaces its own part; a quick run writes
nothing), the raw logs to out/routing/.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import lascaux
from lascaux.benchmarks.routing_page import page
from lascaux.benchmarks.runs import Contestant, Course, Finish, race

ROOT = Path(lascaux.__file__).resolve().parent
OTHER = ROOT / ".venv-bench" / "bin" / "python"
QUOTAS = {"us-east-1": 60, "eu-west-1": 80, "ap-northeast-1": 100}
FAILING = "eu-west-1"
LOADS = {0.6: 120.0, 0.95: 120.0, 1.5: 40.0}
"""Offered load as a share of all quotas, and the seconds that callers have: where there is always too much to do, a long
line would help nobody."""
DEADLINE = 120.0

LASCAUX = Contestant(
    name="Lascaux",
    kind="lascaux",
    config={"retry": {"attempts": 6}},
    alias={"strategy": "least_request"},
)

# LiteLLM 1.106.2 has no waiting line and learns no quota: cooldowns, retries with backoff and the choice of the deployment
# are all there is to set. It runs twice: tuned for these courses, and plain, as most people set it up.
# Tried on the load of 150 % (90 s of arrivals, 544 requests), delivered and wasted calls per picture:
#   8 retries, cooldown 5 s: 380, 0.29 (plain); no cooldowns, 16 retries: 459, 5.7; with a retry policy of 16 retries:
#   cooldown 2 s and retry_after 2 s: 544, 0.72; cooldown 5 s: 544, 0.41; 10 s: 542, 0.26 (tuned); 20 s: 542, 0.24, slower.
# - simple-shuffle: the default, and what its documentation advises for production. least-busy sends most calls to the slower
#   deployment on images, latency-based wasted most of all, usage-based and cost-based read tokens, which images have not,
#   and limits, which nobody knows here.
# - retry_policy: without one a request is given up as soon as all regions cool, whatever num_retries says. DefaultRetries
#   covers that error as well (RouterRateLimitError), so that retries are what comes nearest to a waiting line: 0.5 s,
#   doubling up to 8 s; sixteen last about as long as the callers.
# - cooldown_time: the longer, the less throttling, and the more quota that is not used while a region cools.
SHUFFLE = {"routing_strategy": "simple-shuffle", "set_verbose": False}
LITELLM = Contestant(
    name="LiteLLM, tuned",
    kind="litellm",
    python=OTHER,
    config={**SHUFFLE, "num_retries": 16, "retry_policy": {"DefaultRetries": 16}, "cooldown_time": 10},
)
LITELLM_PLAIN = Contestant(
    name="LiteLLM, plain",
    kind="litellm",
    python=OTHER,
    config={**SHUFFLE, "num_retries": 8, "cooldown_time": 5},
)
FIELD = (LASCAUX, LITELLM, LITELLM_PLAIN)


def loads(seconds: float, only: float | None) -> list[Course]:
    """The courses of the race."""
    trouble = [{"region": FAILING, "kind": "error", "start": seconds / 3, "end": seconds * 2 / 3}]
    total = sum(QUOTAS.values()) / 60.0
    return [
        Course(
            name=f"{load:.0%}", quotas=QUOTAS, rate=load * total, seconds=seconds, outages=trouble, deadline=patience
        )
        for load, patience in LOADS.items()
        if only is None or abs(load * 100 - only) < 0.5
    ]


def race_mode(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Both routers on every load; all loads at once when in a hurry."""
    courses = loads(90.0 if options.quick else options.seconds, options.only)
    field = FIELD[:1] if options.alone else FIELD
    together = options.quick or options.together
    heats = [[(course, field) for course in courses]] if together else [[(course, field)] for course in courses]
    found: list[dict[str, Any]] = []
    for heat in heats:
        for finish in race(heat, folder):
            found.append(finish.figures())
            print(json.dumps(found[-1]), flush=True)
    return found


def black_hole_mode(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One region of three never answers for a while."""
    start, lasts = (10.0, 40.0) if options.quick else (20.0, 120.0)
    cooldown = 5.0 if options.quick else 15.0
    end = start + lasts
    course = Course(
        name="black hole",
        quotas={},
        regions=list(QUOTAS),
        rate=10.0,
        seconds=end + 4 * cooldown,
        outages=[{"region": FAILING, "kind": "black_hole", "start": start, "end": end}],
        latency=(0.5, 1.0),
        deadline=60.0,
    )
    settings = {
        "retry": {"attempt_timeout": "2s"},
        "health": {"cooldown": f"{cooldown:g}s", "max_cooldown": f"{cooldown:g}s"},
    }
    ours = Contestant(name="Lascaux", kind="lascaux", config=settings, alias=LASCAUX.alias)
    [finish] = race([(course, [ours])], folder)
    return {**finish.figures(), **touched(finish, start, end), "cooldown": cooldown}


def touched(finish: Finish, start: float, end: float) -> dict[str, Any]:
    """Who met the black hole after its first ten seconds, and when the region made pictures again."""
    late = [e for e in finish.ends if start + 10 <= e["arrived"] - finish.begin < end]
    numbers = {e["request"] for e in late}
    met = {call["request"] for call in finish.log if call["region"] == FAILING and call["status"] is None} & numbers
    back = [
        call["at"] - finish.begin - end for call in finish.log if call["region"] == FAILING and call["status"] == 200
    ]
    again = [at for at in back if at >= 0]
    return {
        "requests_after_10_s": len(late),
        "touched": len(met),
        "touched_share": round(len(met) / max(len(late), 1), 4),
        "back_after": round(min(again), 2) if again else None,
    }


def declared_mode(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One region whose limit is declared, asked for half as much again."""
    rpm, seconds = 90, 150.0 if options.quick else 330.0
    region = "us-east-1"
    course = Course(
        name="declared", quotas={}, regions=[region], rate=1.5 * rpm / 60, seconds=seconds, deadline=DEADLINE
    )
    ours = Contestant(
        name="Lascaux",
        kind="lascaux",
        config=LASCAUX.config,
        alias=LASCAUX.alias,
        place={region: {"limits": {"rpm": rpm}}},
    )
    [finish] = race([(course, [ours])], folder)
    since = [call["at"] - finish.begin for call in finish.log]
    minutes = int(seconds // 60.0) - 1
    steady = sum(60.0 <= at < 60.0 + 60.0 * minutes for at in since)
    return {
        **finish.figures(),
        "limit": rpm,
        "fullest_window": finish.fullest_window(region),
        "mean_use": round(steady / (rpm * minutes), 4),
    }


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    asked = "import importlib.metadata as m; print(m.version('litellm'))"
    other = (
        subprocess.run([OTHER, "-c", asked], capture_output=True, text=True).stdout.strip() if OTHER.exists() else ""
    )
    cores = sum(line.startswith("processor") for line in _read("/proc/cpuinfo"))
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": f"{cores} x {cpu}",
        "lascaux": tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        "litellm": other or None,
    }


def _read(path: str) -> Sequence[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs, all loads at once: proves that it works")
    parser.add_argument("--mode", choices=("all", "race", "black-hole", "declared"), default="all")
    parser.add_argument("--only", type=float, metavar="PERCENT", help="one load of the race")
    parser.add_argument("--alone", action="store_true", help="without LiteLLM")
    parser.add_argument("--together", action="store_true", help="all loads at the same time")
    parser.add_argument("--seconds", type=float, default=360.0, help="of arrivals, for each load")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of the page and the figures")
    options = parser.parse_args()
    if not options.alone and not OTHER.exists():
        raise SystemExit("LiteLLM is not installed: run `make bench-routing`, or add --alone")
    folder = ROOT / "out" / "routing"
    modes = {"race": race_mode, "black-hole": black_hole_mode, "declared": declared_mode}
    new = {name: mode(options, folder) for name, mode in modes.items() if options.mode in ("all", name)}
    figures = options.out / "routing-benchmark.json"
    whole = not (options.quick or options.alone or options.only)
    kept = json.loads(figures.read_text(encoding="utf-8")) if whole and figures.exists() else {}
    found: Mapping[str, Any] = {
        **kept,
        "machine": machine(),
        "command": "make bench-routing",
        "settings": {one.name: {**one.config, **one.alias} for one in FIELD},
        **new,
    }
    text = page(found)
    print(text)
    if whole:
        figures.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        figures.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
