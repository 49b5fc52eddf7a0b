"""The page and the picture of `bench.py`: goals and what was measured, then all figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Found = Mapping[str, Any]

PAGE = """\
# Performance

Measured by `make bench` (`benchmarks/bench.py`) on {system}, Python {python}, boto3 {boto3}, LiteLLM {litellm},
uvicorn {uvicorn}; median of {rounds} rounds. Each table is of one run in which contestants take turns on one machine, so
that ratios hold where microseconds do not. All figures: [performance.json](performance.json). Nothing of the router is
switched off: routing, pricing, cache keys, breakers, no-op telemetry.

![CPU per picture](performance.png)

## Goals

| What | Goal | Measured | |
|---|---|---|---|
{goals}

## The library: microseconds of CPU per call to decoded bytes

| Picture, calls at once | {library_names} |
|---|{library_rule}|
{library}

With the OpenTelemetry SDK's tracer and meter on, one call at a time: {telemetry}.

## Pictures that take 2 s, 256 at once, 2 MB each

| | pictures per second | most memory |
|---|---|---|
{patience}

## The gateways, one worker each

| Picture, connections | | requests per second | CPU per request | p99 | most memory |
|---|---|---|---|---|---|
{gateways}

{sockets}

### Where the gateway's CPU goes

{rooms}

## Beginning

| | Lascaux | LiteLLM |
|---|---|---|
{starts}

{slope}
"""


_LEAST_SHARE = 0.01
UNKNOWN = "| not measured in this run | – | – |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One line of the table. ``least`` is the bound if more is better."""

    what: str
    bound: float
    read: Callable[[Found], float]
    least: bool = False
    unit: str = ""

    def line(self, found: Found) -> str:
        """As a row; an empty one where it was not measured."""
        goal = f"{'at least' if self.least else 'at most'} {self.bound:g}{self.unit}"
        try:
            value = self.read(found)
        except KeyError:
            return f"| {self.what} | {goal} | – | |"
        held = value >= self.bound if self.least else value <= self.bound
        return f"| {self.what} | {goal} | {value:.3g}{self.unit} | {'held' if held else 'not held'} |"


def _cpu(found: Found, place: str, over: str, under: str) -> float:
    row = found["library"][place]
    return float(row[over]["cpu_us"] / row[under]["cpu_us"])


def _gateway(found: Found, place: str, figure: str) -> float:
    row = found["gateways"][place]
    return float(row["Lascaux"][figure] / row["LiteLLM"][figure])


def _patience(found: Found, figure: str) -> float:
    return float(found["patience"]["AsyncRouter"][figure] / found["patience"]["boto3"][figure])


def _start(row: Mapping[str, float]) -> float:
    return row["Lascaux"] / row["LiteLLM"]


GOALS = (
    Goal(what="CPU, Router over boto3, 1 KB", bound=0.55, read=lambda f: _cpu(f, "1 KB, 1", "Router", "boto3")),
    Goal(what="CPU, Router over boto3, 2 MB", bound=0.25, read=lambda f: _cpu(f, "2 MB, 1", "Router", "boto3")),
    Goal(
        what="CPU, AsyncRouter over boto3, 1 KB", bound=0.65, read=lambda f: _cpu(f, "1 KB, 1", "AsyncRouter", "boto3")
    ),
    Goal(
        what="CPU, AsyncRouter over boto3, 2 MB", bound=0.3, read=lambda f: _cpu(f, "2 MB, 1", "AsyncRouter", "boto3")
    ),
    Goal(
        what="CPU, LiteLLM over Router, 1 KB",
        bound=8,
        least=True,
        read=lambda f: _cpu(f, "1 KB, 1", "LiteLLM", "Router"),
    ),
    Goal(
        what="CPU, LiteLLM over Router, 2 MB",
        bound=10,
        least=True,
        read=lambda f: _cpu(f, "2 MB, 1", "LiteLLM", "Router"),
    ),
    Goal(
        what="CPU, LiteLLM over AsyncRouter, async, 1 KB",
        bound=8,
        least=True,
        read=lambda f: _cpu(f, "1 KB, 1", "LiteLLM async", "AsyncRouter"),
    ),
    Goal(
        what="CPU, LiteLLM over AsyncRouter, async, 2 MB",
        bound=10,
        least=True,
        read=lambda f: _cpu(f, "2 MB, 1", "LiteLLM async", "AsyncRouter"),
    ),
    Goal(
        what="cache hit, 2 MB, to base64 in hand",
        bound=60,
        unit=" us",
        read=lambda f: float(f["library"]["cache hit"]["cache hit"]["cpu_us"]),
    ),
    Goal(
        what="gateway, requests per second over LiteLLM's, 1 KB, 32 connections",
        bound=12,
        least=True,
        read=lambda f: _gateway(f, "1 KB, 32", "rate"),
    ),
    Goal(what="the same, 2 MB", bound=9, least=True, read=lambda f: _gateway(f, "2 MB, 32", "rate")),
    Goal(
        what="gateway, most memory over LiteLLM's, 2 MB, 128 connections",
        bound=0.2,
        read=lambda f: _gateway(f, "2 MB, 128", "peak"),
    ),
    Goal(
        what="gateway, CPU per 2 MB picture over bare sockets",
        bound=3,
        read=lambda f: float(
            f["gateways"]["2 MB, 32"]["Lascaux"]["cpu_us"] / f["gateways"]["bare sockets, 2 MB"]["cpu_us"]
        ),
    ),
    Goal(what="`import lascaux` over `import litellm`", bound=0.1, read=lambda f: _start(f["starts"]["import"])),
    Goal(
        what="a router of 1,000 deployments from YAML, over LiteLLM's",
        bound=0.05,
        read=lambda f: _start(f["starts"]["construction"]["1000"]),
    ),
    Goal(
        what="CPU per call, 1,000 deployments in the alias over 10",
        bound=1.2,
        read=lambda f: _cpu(f, "deployments", "1,000 deployments", "10 deployments"),
    ),
    Goal(what="2 s latency, pictures per second over boto3", bound=1, least=True, read=lambda f: _patience(f, "rate")),
    Goal(what="2 s latency, most memory over boto3", bound=1, read=lambda f: _patience(f, "peak")),
)


def write(found: Found, path: Path) -> str:
    """Write the page; what it says is given back."""
    library = found.get("library", {})
    names = [name for name in library.get("1 KB, 1", {}) if "SDK" not in name]
    places = [place for place in library if place.startswith(("1 KB", "2 MB"))]
    sdk = [name for name in library.get("1 KB, 1", {}) if "SDK" in name]
    text = PAGE.format(
        **found["machine"],
        goals="\n".join(goal.line(found) for goal in GOALS),
        library_names=" | ".join(names),
        library_rule="|".join("---" for _ in names),
        library="\n".join(
            f"| {place} | " + " | ".join(f"{library[place][name]['cpu_us']:,.0f}" for name in names) + " |"
            for place in places
        ),
        telemetry="; ".join(
            f"{name.partition(',')[0]} {library['1 KB, 1'][name]['cpu_us']:,.0f} us at 1 KB and "
            f"{library['2 MB, 1'][name]['cpu_us']:,.0f} us at 2 MB"
            for name in sdk
        ),
        patience="\n".join(
            f"| {name} | {row['rate']:.1f} | {row['peak'] / 1e6:,.0f} MB |"
            for name, row in found.get("patience", {}).items()
        )
        or UNKNOWN,
        gateways="\n".join(_gateways(found.get("gateways", {}))),
        sockets=_bare(found.get("gateways", {})),
        rooms="\n".join(_rooms(found.get("rooms", {}))),
        starts="\n".join(_starts(found.get("starts", {}))) or UNKNOWN,
        slope=_slope(found.get("starts", {}).get("construction", {})),
    )
    path.write_text(text, encoding="utf-8")
    return text


def _gateways(found: Found) -> list[str]:
    lines = []
    for place, rows in found.items():
        for name, row in rows.items() if "sockets" not in place else ():
            figures = f"{row['rate']:,.0f} | {row['cpu_us']:,.0f} us | {row['p99']:.2f} s | {row['peak'] / 1e6:,.0f} MB"
            lines.append(f"| {place} | {name} | {figures} |")
    return lines


TIMES = {"1 KB": 12, "2 MB": 9}
"""How often LiteLLM's requests per second the goals ask for."""


def _bare(found: Found) -> str:
    """What is left for a gateway that keeps the goals, when the system has taken its part."""
    lines = []
    for size, times in TIMES.items():
        if f"{size}, 32" in found and f"bare sockets, {size}" in found:
            theirs, bare = found[f"{size}, 32"]["LiteLLM"]["cpu_us"], found[f"bare sockets, {size}"]["cpu_us"]
            lines.append(
                f"At {size}, bare sockets that pass request and answer on, in threads and with nothing looked at, take "
                f"{bare:,.0f} us of CPU. A gateway with {times} times LiteLLM's requests per second on one core has "
                f"{theirs / times:,.0f} us for everything."
            )
    return "\n\n".join(lines)


def _rooms(found: Found) -> list[str]:
    if not found:
        return ["Not measured in this run."]
    names = sorted({name for one in found.values() for name in one["rooms"]}, key=lambda name: -_most(found, name))
    lines = [
        "From samples of the worker's stack (`python benchmarks/rooms.py`), 32 connections. Work in C counts for the",
        "function that called it; the event loop's is the system's sending and receiving, too.",
        "",
        "| Room | " + " | ".join(f"us per request, {size}" for size in found) + " |",
        "|---|" + "---|" * len(found),
    ]
    for name in names:
        if _most(found, name) >= _LEAST_SHARE:
            figures = [f"{one['rooms'].get(name, 0.0) * one['cpu_us']:,.0f}" for one in found.values()]
            lines.append(f"| {name} | " + " | ".join(figures) + " |")
    return lines


def _most(found: Found, name: str) -> float:
    return float(max(one["rooms"].get(name, 0.0) for one in found.values()))


def _starts(found: Found) -> list[str]:
    if not found:
        return []
    rows = {"import": found["import"]}
    rows |= {f"a router of {int(count):,} deployments from YAML": row for count, row in found["construction"].items()}
    return [
        f"| {what} | {row['Lascaux'] * 1e3:,.0f} ms | {row['LiteLLM'] * 1e3:,.0f} ms |" for what, row in rows.items()
    ]


def _slope(found: Found) -> str:
    """What a construction costs once, and what with each deployment."""
    if not {"10", "1000"} <= set(found):
        return ""
    each = {name: (found["1000"][name] - found["10"][name]) / 990 for name in ("Lascaux", "LiteLLM")}
    once = found["10"]["Lascaux"] - 10 * each["Lascaux"]
    return (
        f"Each deployment takes {each['Lascaux'] * 1e6:,.0f} us here and {each['LiteLLM'] * 1e6:,.0f} us there, a ratio of "
        f"{each['Lascaux'] / each['LiteLLM']:.2g}. The first router of a process takes {once * 1e3:,.0f} ms beside that, "
        "however few they are: the provider, the catalogue of models and the price table are loaded then."
    )


FINER, WIDTH, LABELS, LANE, HEAD = 3, 1100, 210, 30, 64
PAPER, INK, FAINT = "#ffffff", "#24292f", "#6e7781"
COLOURS = {
    "boto3": "#8a8f98",
    "Router": "#b5541c",
    "AsyncRouter": "#d98e4a",
    "LiteLLM": "#4b6a9b",
    "LiteLLM async": "#87a0c4",
}


def plot(found: Found, path: Path) -> None:
    """CPU per picture as bars: 1 KB and 2 MB, one call at a time."""
    panels = [(title, found["library"][f"{title}, 1"]) for title in ("1 KB", "2 MB") if "library" in found]
    height = sum(HEAD + LANE * len(COLOURS) for _ in panels) + 30
    picture = Image.new("RGB", (WIDTH * FINER, height * FINER), PAPER)
    draw = ImageDraw.Draw(picture)
    large, small = (ImageFont.load_default(size * FINER) for size in (17, 14))
    top = 0
    for title, rows in panels:
        most = max(rows[name]["cpu_us"] for name in COLOURS)
        draw.text((20 * FINER, (top + 22) * FINER), f"CPU per call, picture of {title}", INK, large)
        for number, (name, colour) in enumerate(COLOURS.items()):
            value, y = rows[name]["cpu_us"], top + HEAD + number * LANE
            end = LABELS + (WIDTH - LABELS - 190) * value / most
            draw.text((20 * FINER, (y + 2) * FINER), name, INK, small)
            draw.rectangle((LABELS * FINER, y * FINER, end * FINER, (y + LANE - 9) * FINER), colour)
            ratio = value / rows["boto3"]["cpu_us"]
            draw.text(((end + 10) * FINER, (y + 2) * FINER), f"{value:,.0f} us   {ratio:.2f} x boto3", FAINT, small)
        top += HEAD + LANE * len(COLOURS)
    picture.resize((WIDTH, height), Image.Resampling.LANCZOS).save(path, optimize=True)
