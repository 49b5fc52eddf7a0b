"""Scenarios for the simulator: regions with hidden quotas and bad days, the load on them, and the tally of a run."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from lascaux.benchmarks.regions import Latency, Outage, Region, SlidingWindow, possible_pictures
from lascaux.benchmarks.simulator import Outcome, Simulation
from lascaux.pricing import Cost
from lascaux.providers.errors import LascauxError
from lascaux.providers.types import Call, ImageRequest, Target
from lascaux.router.context import Trail
from lascaux.router.retry import RetryPolicy

__all__ = ["SCENARIOS", "Place", "Scenario", "Tally", "simulate"]

PATIENCE = 120.0
"""Seconds a caller gives a request."""
BUCKET = 10.0
"""Seconds of one point of the timeline."""
OTTERS = tuple(ImageRequest(prompt=f"otter {number}") for number in range(1024))
"""What is asked for in turn: a strategy may go by the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A region of a scenario. Outages are written in shares of the run: 0.33 is after a third of it."""

    rpm: int = 60
    latency: Latency = field(default_factory=lambda: Latency(2.5, 6.0))
    usd: str = "0.06"
    """Price of a picture. Made up, within what Bedrock's text to image models cost (0.04 to 0.14)."""
    outages: Sequence[Outage] = ()

    def build(self, seconds: float) -> Region:
        """The region, for a run of so many seconds."""
        outages = [
            Outage(
                kind=outage.kind,
                start=outage.start * seconds,
                end=outage.end * seconds,
                share=outage.share,
                factor=outage.factor,
            )
            for outage in self.outages
        ]
        return Region(self.latency, SlidingWindow(self.rpm), outages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Some regions, and a load in shares of the sum of their quotas."""

    name: str
    says: str
    load: float
    places: Sequence[Place]
    attempt_timeout: float = 60.0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.load * sum(place.rpm for place in self.places) / 60.0


def _third(kind: str, rpm: int = 60, **more: float) -> Place:
    return Place(rpm=rpm, usd="0.04", outages=[Outage(kind=kind, start=1 / 3, end=2 / 3, **more)])  # type: ignore[arg-type]


THREE = (Place(usd="0.04"), Place(), Place(usd="0.08"))
SCENARIOS = (
    Scenario(name="calm", says="three regions of 60 a minute, load 60 %", load=0.6, places=THREE),
    Scenario(name="tight", says="the same, load 95 %", load=0.95, places=THREE),
    Scenario(name="overload", says="the same, load 150 %", load=1.5, places=THREE),
    Scenario(
        name="uneven",
        says="quotas 100, 60, 20; medians 2, 4, 8 s; prices 0.08, 0.06, 0.04 USD; load 90 %",
        load=0.9,
        places=(
            Place(rpm=100, latency=Latency(2.0, 5.0), usd="0.08"),
            Place(rpm=60, latency=Latency(4.0, 9.0), usd="0.06"),
            Place(rpm=20, latency=Latency(8.0, 20.0), usd="0.04"),
        ),
    ),
    Scenario(
        name="outage",
        says="load 60 %, one region fails (503) in the middle third",
        load=0.6,
        places=(_third("error"), *THREE[1:]),
    ),
    Scenario(
        name="hard day",
        says="load 120 %, one region fails (503) in the middle third",
        load=1.2,
        places=(_third("error"), *THREE[1:]),
    ),
    Scenario(
        name="half ill",
        says="load 60 %, one region fails every other call in the middle third",
        load=0.6,
        places=(_third("error", share=0.5), *THREE[1:]),
    ),
    Scenario(
        name="storm",
        says="load 60 %, one region throttles everything in the middle third",
        load=0.6,
        places=(_third("throttle"), *THREE[1:]),
    ),
    Scenario(
        name="black hole",
        says="load 60 %, one region never answers in the middle third; attempt timeout 15 s",
        load=0.6,
        places=(_third("black_hole"), *THREE[1:]),
        attempt_timeout=15.0,
    ),
    Scenario(
        name="slow",
        says="load 60 %, one region takes 6 times as long in the middle third",
        load=0.6,
        places=(_third("slow", factor=6.0), *THREE[1:]),
    ),
)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the requests of one run. Times in seconds; the timelines count by ten seconds of arrival or end."""

    scenario: str
    strategy: str
    arrived: int = 0
    possible: int = 0
    delivered: int = 0
    failed: int = 0
    refused: int = 0
    calls: int = 0
    throttled: int = 0
    broken: int = 0
    usd: Decimal = Decimal(0)
    took: array[float] = field(default_factory=lambda: array("d"))
    timeline: list[int] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Delivered pictures of those that were possible."""
        return self.delivered / self.possible if self.possible else 1.0

    @property
    def wasted(self) -> float:
        """Calls that made no picture, for each picture that was delivered."""
        return (self.calls - self.delivered) / max(self.delivered, 1)

    @property
    def price(self) -> Decimal:
        """US dollars for each picture that was delivered."""
        return self.usd / max(self.delivered, 1)

    def percentile(self, share: float) -> float:
        """Seconds from arrival to picture, at that share of the delivered requests."""
        ordered = sorted(self.took)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


class Fleet(Simulation):
    """The regions of a scenario behind one alias."""

    def __init__(self, scenario: Scenario, strategy: str, seed: int, seconds: float) -> None:
        retry = RetryPolicy(deadline=PATIENCE, attempt_timeout=scenario.attempt_timeout)
        prices = {
            f"region-{i}": Cost(usd=Decimal(place.usd), table="made up", images=1)
            for i, place in enumerate(scenario.places)
        }
        super().__init__(
            seed=seed,
            strategy=strategy,
            retry=retry,
            cached=False,
            now=0.0,
            price=lambda target, call: prices[target.region],
        )
        self.prices = prices
        self.regions = {f"region-{i}": place.build(seconds) for i, place in enumerate(scenario.places)}
        self.alias("hero", [self.deployment(name, region=name) for name in self.regions])
        self.weather = Random(f"weather {seed}")
        self.tally = Tally(scenario=scenario.name, strategy=strategy, timeline=[0] * int(seconds // BUCKET))

    def answer(self, target: Target, call: Call) -> tuple[float, LascauxError | None]:
        """As the region answers."""
        return self.regions[target.deployment].ask(self.now, self.weather)

    def finished(self, trail: Trail, outcome: Outcome) -> None:
        """Count it. A request that made no call was refused; one whose calls all failed has failed."""
        tally = self.tally
        if not isinstance(outcome, LascauxError):
            tally.delivered += 1
            tally.usd += self.prices[trail.attempts[-1].deployment].usd or 0
            tally.took.append(self.now - trail.started)
            bucket = int(self.now // BUCKET)
            if bucket < len(tally.timeline):
                tally.timeline[bucket] += 1
        elif trail.attempts:
            tally.failed += 1
        else:
            tally.refused += 1

    def run(self, arrivals: array[float]) -> Tally:
        """Play the arrivals to their end."""
        coming = iter(arrivals)

        def arrive(_: None) -> None:
            self.begin("hero", OTTERS[self.tally.arrived % len(OTTERS)])
            self.tally.arrived += 1
            later = next(coming, None)
            if later is not None:
                self.at(later, arrive)

        self.at(next(coming), arrive)
        self.play()
        for region in self.regions.values():
            self.tally.calls += region.calls
            self.tally.throttled += region.throttled
            self.tally.broken += region.failed
        return self.tally


def simulate(scenario: Scenario, strategy: str, *, seed: int, seconds: float) -> Tally:
    """One run: Poisson arrivals for so many seconds, the same ones and the same weather for every strategy."""
    rng, arrivals, now = Random(f"arrivals {seed}"), array("d"), 0.0
    while (now := now + rng.expovariate(scenario.rate)) < seconds:
        arrivals.append(now)
    tally = Fleet(scenario, strategy, seed, seconds).run(arrivals)
    fresh = [place.build(seconds) for place in scenario.places]
    tally.possible = possible_pictures(fresh, arrivals, PATIENCE)
    return tally
