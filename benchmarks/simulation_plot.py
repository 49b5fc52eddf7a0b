"""The picture of docs/routing-simulation.md: a dot for each strategy, in one row for each scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lascaux.benchmarks.fleets import BUCKET, SCENARIOS, Tally
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw"]

FINER = 3
"""Drawn so many times larger, then reduced: Pillow does not smooth edges by itself."""
WIDTH, MARGIN, LABELS, GAP = 1280, 36, 150, 40
ROW, LANE, HEAD, TIMELINE = 26, 9, 118, 230
PAPER, INK, FAINT, RULE, BAND = "#ffffff", "#24292f", "#6e7781", "#d8dee4", "#f6f8fa"
COLOURS = ("#0b62c4", "#d1495b", "#2a9d6f", "#e09f1f", "#7a4fbf", "#12a5b8", "#8a5a3b", "#444c56")
SHOWN = "hard day"
"""The scenario of the timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One figure of every tally, on an axis of its own."""

    title: str
    read: Callable[[Tally], float]
    ticks: Sequence[float]
    label: Callable[[float], str]

    def place(self, value: float) -> float:
        """Where a value lies between the ends of the axis, 0 to 1. All spaces between ticks are equally wide."""
        spaces = list(pairwise(self.ticks))
        for number, (low, high) in enumerate(spaces):
            if value <= high or number == len(spaces) - 1:
                return min(max((number + (value - low) / (high - low)) / len(spaces), 0.0), 1.0)
        return 1.0


COLUMNS = (
    Column(
        title="share of the possible pictures",
        read=lambda tally: tally.share,
        ticks=(0.7, 0.8, 0.9, 0.95, 0.97, 0.99, 1.0),
        label=lambda tick: f"{tick:.0%}",
    ),
    Column(
        title="wasted calls per picture",
        read=lambda tally: tally.wasted,
        ticks=(0.0, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0),
        label=lambda tick: f"{tick:.0%}",
    ),
    Column(
        title="p99, seconds to picture",
        read=lambda tally: tally.percentile(0.99),
        ticks=(0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 120.0),
        label=lambda tick: f"{tick:g}",
    ),
)


class Sheet:
    """A drawing in points; finer inside."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGB", (round(width * FINER), round(height * FINER)), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.0) -> None:
        """A line through points."""
        scaled = [(x * FINER, y * FINER) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * FINER), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """A filled rectangle."""
        self._draw.rectangle((left * FINER, top * FINER, right * FINER, bottom * FINER), fill=colour)

    def dot(self, x: float, y: float, colour: str, radius: float = 4.4) -> None:
        """A dot with a rim of paper, so that two that touch can be told apart."""
        for size, fill in ((radius + 1.2, PAPER), (radius, colour)):
            self._draw.ellipse(
                ((x - size) * FINER, (y - size) * FINER, (x + size) * FINER, (y + size) * FINER), fill=fill
            )

    def text(self, x: float, y: float, words: str, *, size: float = 13, colour: str = INK, anchor: str = "lm") -> None:
        """Words at a place; ``anchor`` as in Pillow."""
        font = ImageFont.load_default(round(size * FINER))
        self._draw.text((x * FINER, y * FINER), words, fill=colour, font=font, anchor=anchor)

    def save(self, path: Path) -> None:
        """Write it as PNG, reduced to its size; few colours keep the file small."""
        size = (self.image.width // FINER * 2, self.image.height // FINER * 2)
        reduced = self.image.resize(size, Image.Resampling.LANCZOS)
        reduced.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def draw(tallies: Sequence[Tally], path: Path) -> None:
    """Write the picture of a whole comparison."""
    strategies = list(dict.fromkeys(tally.strategy for tally in tallies))
    row = max(ROW, LANE * len(strategies) + 12)
    rows = HEAD + row * len(SCENARIOS)
    sheet = Sheet(WIDTH, rows + TIMELINE + 150)
    sheet.text(MARGIN, 30, "Routing strategies in simulated trouble", size=20)
    _legend(sheet, strategies)
    for number, scenario in enumerate(SCENARIOS):
        top = HEAD + number * row
        if number % 2 == 0:
            sheet.box(MARGIN, top, WIDTH - MARGIN, top + row, BAND)
        sheet.text(MARGIN + 10, top + row / 2, scenario.name, size=14)
    wide = (WIDTH - 2 * MARGIN - LABELS - GAP * (len(COLUMNS) - 1) - 24) / len(COLUMNS)
    for number, column in enumerate(COLUMNS):
        left = MARGIN + LABELS + number * (wide + GAP)
        _axis(sheet, column, left, wide, HEAD, rows)
        for tally in tallies:
            place = [scenario.name for scenario in SCENARIOS].index(tally.scenario)
            lane = strategies.index(tally.strategy) - (len(strategies) - 1) / 2
            y = HEAD + (place + 0.5) * row + lane * LANE
            sheet.dot(left + wide * column.place(column.read(tally)), y, COLOURS[strategies.index(tally.strategy)])
    _timeline(sheet, [tally for tally in tallies if tally.scenario == SHOWN], rows + 78)
    sheet.save(path)


def _legend(sheet: Sheet, strategies: Sequence[str]) -> None:
    step = (WIDTH - 2 * MARGIN) / max(len(strategies), 6)
    for number, strategy in enumerate(strategies):
        x = MARGIN + 6 + number * step
        sheet.dot(x, 58, COLOURS[number], 5)
        sheet.text(x + 12, 58, strategy.replace("_", " "), size=14)


def _axis(sheet: Sheet, column: Column, left: float, wide: float, top: float, bottom: float) -> None:
    sheet.text(left, top - 32, column.title, size=14)
    for tick in column.ticks:
        x = left + wide * column.place(tick)
        sheet.line([(x, top - 4), (x, bottom)], RULE)
        sheet.text(x, top - 12, column.label(tick), size=11, colour=FAINT, anchor="mm")


def _timeline(sheet: Sheet, tallies: Sequence[Tally], top: float) -> None:
    """Pictures a minute over the time of the scenario that is shown, each point a mean over some whole minutes.

    A sliding window that was filled at once comes free at once: over less than minutes the figures only follow that.
    """
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == SHOWN)
    points = len(tallies[0].timeline)
    left, wide, bottom = MARGIN + 40, WIDTH - 2 * MARGIN - 60, top + TIMELINE
    most = sum(place.rpm for place in scenario.places) * 1.15
    sheet.text(MARGIN, top - 34, f"pictures a minute in “{SHOWN}”: {scenario.says}", size=14)
    sheet.box(left + wide / 3, top, left + wide * 2 / 3, bottom, BAND)

    def height(rate: float) -> float:
        return bottom - TIMELINE * rate / most

    for rate in range(0, int(most) + 1, 60):
        sheet.line([(left, height(rate)), (left + wide, height(rate))], RULE)
        sheet.text(left - 8, height(rate), f"{rate}", size=11, colour=FAINT, anchor="rm")
    minutes = points * BUCKET / 60
    for part in range(7):
        sheet.text(
            left + wide * part / 6, bottom + 14, f"{minutes * part / 6:g} min", size=11, colour=FAINT, anchor="mm"
        )
    full = sum(place.rpm for place in scenario.places)
    less = sum(place.rpm for place in scenario.places if not place.outages)
    edges = [(0.0, full), (1 / 3, full), (1 / 3, less), (2 / 3, less), (2 / 3, full), (1.0, full)]
    sheet.line([(left + wide * at, height(rate)) for at, rate in edges], FAINT, 1.4)
    sheet.line([(left + wide - 300, top - 34), (left + wide - 276, top - 34)], FAINT, 1.4)
    sheet.text(left + wide - 268, top - 34, "sum of the quotas of the regions that work", size=12, colour=FAINT)
    span = round(60 / BUCKET) * max(round(minutes / 15), 1)
    for number, tally in enumerate(tallies):
        sums = [sum(tally.timeline[at : at + span]) * 60 / BUCKET / span for at in range(points - span + 1)]
        line = [(left + wide * (at + span / 2) / points, height(rate)) for at, rate in enumerate(sums)]
        sheet.line(line, COLOURS[number], 1.6)
