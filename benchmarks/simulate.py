"""Compare the strategies in simulated scenarios; write docs/routing-simulation.md and its picture.

    make simulate                       # or: python benchmarks/simulate.py [--minutes 60] [--seed 1] [--check]

The real attempt loop, strategies, quotas, breakers and budgets run under a virtual clock (`simulator.py`) against modelled
regions (`regions.py`). A run is repeated exactly by its seed.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import lascaux
from lascaux.benchmarks.fleets import SCENARIOS, Scenario, Tally, simulate
from lascaux.benchmarks.simulation_plot import draw
from lascaux.router.strategies import STRATEGIES

DOCS = Path(lascaux.__file__).resolve().parent / "docs"
PAGE = """# The strategies, simulated

Made by `make simulate{options}`: {requests:,} requests through the real attempt loop, strategies, quotas, breakers and
retry budget, under a virtual clock, against modelled regions whose quotas are unknown to the router. Seed {seed};
{minutes:g} simulated minutes for each line. The same command writes the same figures.

![Share of the possible pictures, wasted calls and p99, by scenario and strategy](routing-simulation.png)

- **possible**: how much of what could be made was made. A dispatcher that knows every quota and every outage beforehand,
  and serves in the order of arrival within the callers' patience of 120 s, makes 100 %.
- **wasted**: calls that were throttled, failed or given up, for each picture delivered.
- **failed** requests made calls and got no picture; **refused** ones were turned away without a call.
- **p50**, **p99**: seconds from arrival to picture, for delivered requests. A picture takes 2.5 s in the median and 6 s in
  the 99th percentile, unless the scenario says otherwise. A throttled call is answered after 0.05 s, a failed one after
  0.2 s.
- **USD**: the price of a delivered picture, on average. A picture costs 0.04 USD in the first region (the one that has the
  trouble, if there is any), 0.06 in the second, 0.08 in the third, unless the scenario says otherwise; prices are made up.
- Quotas are sliding windows of 60 s, as the emulator has them.

{tables}
"""
HEAD = (
    "| strategy | delivered | possible | failed | refused | wasted | p50 | p99 | USD |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def _run(scenario: Scenario, strategy: str, *, seed: int, seconds: float) -> Tally:
    gc.set_threshold(50_000)  # exceptions with tracebacks are cycles; looking for them every 700 objects costs a tenth
    return simulate(scenario, strategy, seed=seed, seconds=seconds)


def table(tallies: Sequence[Tally]) -> str:
    """One scenario's lines."""
    lines = [HEAD]
    for tally in tallies:
        lines.append(
            f"| {tally.strategy} | {tally.delivered:,} of {tally.arrived:,} | {tally.share:.1%} | {tally.failed:,} "
            f"| {tally.refused:,} | {tally.wasted:.1%} | {tally.percentile(0.5):.1f} s | {tally.percentile(0.99):.1f} s "
            f"| {tally.price:.4f} |"
        )
    return "\n".join(lines)


def page(tallies: Sequence[Tally], *, seed: int, minutes: float, options: str) -> str:
    """The whole page."""
    tables = "\n\n".join(
        f"## {scenario.name[0].upper()}{scenario.name[1:]}\n\n{scenario.says[0].upper()}{scenario.says[1:]}.\n\n"
        + table([tally for tally in tallies if tally.scenario == scenario.name])
        for scenario in SCENARIOS
    )
    requests = sum(tally.arrived for tally in tallies)
    return PAGE.format(tables=tables, requests=requests, seed=seed, minutes=minutes, options=options)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="simulated, for each scenario and strategy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at the same time; changes no figure")
    parser.add_argument("--only", metavar="SCENARIO", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the page and its picture")
    options = parser.parse_args()
    tallies: list[Tally] = []
    begun = time.perf_counter()
    pool = ProcessPoolExecutor(options.jobs)
    for scenario in SCENARIOS:
        if options.only in (None, scenario.name):
            print(f"\n{scenario.name}: {scenario.says}", flush=True)
            run = partial(_run, scenario, seed=options.seed, seconds=options.minutes * 60)
            found = list(pool.map(run, sorted(STRATEGIES)))
            tallies.extend(found)
            print(table(found), flush=True)
    took, requests = time.perf_counter() - begun, sum(tally.arrived for tally in tallies)
    print(
        f"\n{requests:,} requests in {took:.1f} s: {requests / took:,.0f} a second on Python {platform.python_version()}"
    )
    if options.only is None:
        said = "".join(
            f" {name}={value:g}"
            for name, value, default in (("MINUTES", options.minutes, 60.0), ("SEED", options.seed, 1))
            if value != default
        )
        text = page(tallies, seed=options.seed, minutes=options.minutes, options=said)
        (options.out / "routing-simulation.md").write_text(text, encoding="utf-8")
        draw(tallies, options.out / "routing-simulation.png")
        print(f"written: {options.out / 'routing-simulation.md'} and routing-simulation.png")


if __name__ == "__main__":
    main()
