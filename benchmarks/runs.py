"""Runs of the routing benchmark: an emulator and a load for each contestant, all at the same time; and what came of them."""

from __future__ import annotations

import json
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from time import time
from typing import Any

import lascaux
from lascaux.benchmarks.regions import Latency, Outage, Region, SlidingWindow, possible_pictures

__all__ = ["Contestant", "Course", "Finish", "race"]

HERE = Path(__file__).resolve().parent
WINDOW = 60.0
CLOSE = 0.2
"""How near a ``retry_after`` has to come to the truth, as a share of it."""
NEWS = 30.0
"""Seconds after which a router should know that a region fails or has healed."""
INSTANT = 0.5
"""Seconds by which a ``retry_after`` may always be wrong: nobody comes back on the millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A router and its settings. ``python`` is the interpreter of its environment."""

    name: str
    kind: str
    python: Path = Path(sys.executable)
    config: Mapping[str, Any] = field(default_factory=dict)
    alias: Mapping[str, Any] = field(default_factory=dict)
    place: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is asked of the contestants: hidden quotas (calls a minute by region), load, trouble. Times in seconds."""

    name: str
    quotas: Mapping[str, int]
    rate: float
    seconds: float
    outages: Sequence[Mapping[str, Any]] = ()
    latency: tuple[float, float] = (2.0, 4.0)
    deadline: float = 120.0
    regions: Sequence[str] = ()
    seed: int = 1

    def arrivals(self) -> list[float]:
        """Poisson arrivals, the same for every contestant."""
        rng, times, now = Random(f"arrivals {self.seed}"), [], 0.0
        while (now := now + rng.expovariate(self.rate)) < self.seconds:
            times.append(round(now, 4))
        return times

    def possible(self, arrivals: Sequence[float]) -> int:
        """How many pictures somebody could have got who knows every quota and outage beforehand."""
        regions = [
            Region(
                Latency(1.0, 2.0),
                SlidingWindow(self.quotas[name]) if name in self.quotas else None,
                [Outage(kind=o["kind"], start=o["start"], end=o["end"]) for o in self.outages if o["region"] == name],
            )
            for name in self.regions or self.quotas
        ]
        return possible_pictures(regions, arrivals, self.deadline - self.latency[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How one contestant did on one course: its requests (``ends``) and the calls that the emulator saw (``log``)."""

    contestant: str
    course: Course
    begin: float
    ends: Sequence[Mapping[str, Any]]
    log: Sequence[Mapping[str, Any]]

    def figures(self) -> dict[str, Any]:
        """The line of the table."""
        made = [end for end in self.ends if "error" not in end]
        called = {call["request"] for call in self.log}
        lost = [end for end in self.ends if "error" in end]
        took = sorted(end["ended"] - end["arrived"] for end in made)
        possible = self.course.possible([end["arrived"] - self.begin for end in self.ends])
        return {
            "contestant": self.contestant,
            "course": self.course.name,
            "seconds": self.course.seconds,
            "requests": len(self.ends),
            "possible": possible,
            "delivered": len(made),
            "failed": sum(end["request"] in called for end in lost),
            "refused": sum(end["request"] not in called for end in lost),
            "errors": {name: sum(end["error"] == name for end in lost) for name in sorted({e["error"] for e in lost})},
            "calls": len(self.log),
            "throttled": sum(call["status"] == 429 for call in self.log),
            "wasted": round((len(self.log) - len(made)) / max(len(made), 1), 4),
            "p50": round(took[len(took) // 2], 2) if took else None,
            "p99": round(took[min(int(len(took) * 0.99), len(took) - 1)], 2) if took else None,
            "retry_after": self.promises(),
        }

    def promises(self) -> dict[str, Any]:
        """How true the ``retry_after`` of those who got no picture was.

        The truth is in the emulator's log. Somebody who is turned away stands behind all who came before and still wait:
        if ``k`` of those get a place later, the place of the one turned away is the ``k + 1``-th that becomes free after
        that moment. With no such place in the log nobody can tell. Where a region fails or heals before that place, or did
        so just before, nobody could foresee it: those are counted apart.
        """
        places = sorted(call["at"] for call in self.log if call["status"] == 200)
        entered = {call["request"]: call["at"] for call in self.log if call["status"] == 200}
        edges = [self.begin + outage[side] for outage in self.course.outages for side in ("start", "end")]
        errors: list[float] = []
        kept = silent = unforeseeable = 0
        for end in self.ends:
            if "error" not in end:
                continue
            if end["retry_after"] is None:
                silent += 1
                continue
            now = end["ended"]
            before = sum(
                other["arrived"] < now < entered.get(other["request"], 0.0) and "error" not in other
                for other in self.ends
            )
            place = bisect_right(places, now) + before
            if place >= len(places):
                continue
            truth = places[place] - now
            if any(now - NEWS < edge < now + max(truth, end["retry_after"]) for edge in edges):
                unforeseeable += 1
                continue
            off = abs(end["retry_after"] - truth)
            errors.append(off / max(truth, 1e-9))
            kept += off <= max(CLOSE * truth, INSTANT)
        judged = len(errors)
        return {
            "judged": judged,
            "without": silent,
            "unforeseeable": unforeseeable,
            "right": round(kept / judged, 3) if judged else None,
            "median_error": round(median(errors), 3) if judged else None,
        }

    def fullest_window(self, region: str) -> int:
        """The most calls in any 60 seconds, as the emulator saw them."""
        times = sorted(call["at"] for call in self.log if call["region"] == region)
        return max((bisect_right(times, at + WINDOW - 1e-9) - number for number, at in enumerate(times)), default=0)


def race(courses: Sequence[tuple[Course, Sequence[Contestant]]], folder: Path) -> list[Finish]:
    """Let all run at the same time, each against an emulator of its own; read what came of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        entries = [
            _prepare(stack, folder, course, contestant) for course, contestants in courses for contestant in contestants
        ]
        for *_, load in entries:
            _line(load)
        begin = time() + 1.0
        for _, _, _, far, load in entries:
            for process in (far, load):
                assert process.stdin is not None
                process.stdin.write(f"{begin}\n")
                process.stdin.flush()
        for _, _, plan, _, load in entries:
            if load.wait():
                raise SystemExit(f"{plan['name']}: the load ended with an error; see {plan['stderr']}")
    return [
        Finish(
            contestant=contestant.name,
            course=course,
            begin=begin,
            ends=_lines(plan["ends"]),
            log=_lines(plan["log"]),
        )
        for course, contestant, plan, _, _ in entries
    ]


Entry = tuple[Course, Contestant, dict[str, Any], "subprocess.Popen[str]", "subprocess.Popen[str]"]


def _prepare(stack: ExitStack, folder: Path, course: Course, contestant: Contestant) -> Entry:
    """Start an emulator and a load for one contestant on one course."""
    name = f"{course.name}-{contestant.name}".replace(" ", "-").replace("%", "").replace(",", "")
    plan: dict[str, Any] = {
        "name": name,
        "contestant": contestant.kind,
        "config": contestant.config,
        "alias": contestant.alias,
        "place": contestant.place,
        "quotas": course.quotas,
        "regions": list(course.regions or course.quotas),
        "outages": list(course.outages),
        "latency": course.latency,
        "deadline": course.deadline,
        "seed": course.seed,
        "arrivals": course.arrivals(),
        "log": str(folder / f"{name}.log.jsonl"),
        "ends": str(folder / f"{name}.ends.jsonl"),
        "stderr": str(folder / f"{name}.stderr"),
    }
    errors = stack.enter_context(Path(plan["stderr"]).open("w", encoding="utf-8"))  # noqa: SIM115 - the stack closes it
    path = folder / f"{name}.plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    far = _start(stack, Path(sys.executable), "far_side.py", path, errors)
    plan["url"] = _line(far)
    path.write_text(json.dumps(plan), encoding="utf-8")
    return course, contestant, plan, far, _start(stack, contestant.python, "load.py", path, errors)


def _start(stack: ExitStack, python: Path, script: str, plan: Path, errors: Any) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [python, HERE / script, plan],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": _source(python)},
    )
    stack.callback(_stop, process)
    return process


def _source(python: Path) -> str:
    """Where this very checkout is found as ``lascaux``; other environments are left as they are."""
    package = Path(lascaux.__path__[0])
    return str(package.parent) if python == Path(sys.executable) and package.name == "lascaux" else ""


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{process.args!r} did not start")
    return line


def _lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
