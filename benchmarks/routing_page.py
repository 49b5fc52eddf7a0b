"""The page of the routing benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["page"]

INTRO = """# Routing, measured

Made by `{command}` on {date}: {cpu}, {system}, Python {python}, Lascaux {lascaux}, LiteLLM {litellm}. The
[figures](routing-benchmark.json) are beside this page.
"""
RACE = """## Quotas that nobody knows

Three regions of one model on the emulator, over HTTP, with quotas of 60, 80 and 100 calls a minute (sliding windows) that
are in no router's configuration. A picture takes 2 to 4 s. Requests arrive at random, whether or not earlier ones were
answered, for {seconds:g} s; callers wait for 120 s, at 150 % for 40 s. The region of 80 answers 503 in the middle third. All
routers run at the same time, each against an emulator of its own, with the same arrivals. LiteLLM runs twice: tuned for
these courses, and plain, as most people set it up (`benchmarks/routing.py` says what was tried).

{table}

- **delivered**: of the requests, and of the **possible** pictures: what a dispatcher could have made that knows quotas and
  outages beforehand and serves in the order of arrival.
- **wasted**: calls that were throttled or failed, for each picture delivered, from the emulator's log.
- **failed** requests made calls and got no picture; **refused** ones were turned away without a call.
- **retry_after right**: of those who got no picture but were told when to come back, how many were told within 20 % (or
  0.5 s) of the moment at which the emulator's log shows the place that would have been theirs: the first one after those of
  all who came before and still waited. Not judged is who was turned away less than that wait before, or 30 s after, the
  region began to fail or healed.

Settings:

{settings}
"""
BLACK_HOLE = """## A black hole

Ten requests a second over three regions. One of them accepts every call and never answers, for a while; the attempt timeout
is 2 s. Of the {requests_after_10_s:,} requests that came in after its first 10 s, {touched:,} ({touched_share:.2%}) met it.
{back}. {delivered:,} of {requests:,} requests were delivered.
"""
DECLARED = """## A declared limit

One region with `limits: {{rpm: {limit}}}`, asked for one and a half times as much. The fullest 60 seconds in the emulator's
log hold {fullest_window} calls; after the first minute {mean_use:.1%} of the limit is used.
"""
HEAD = (
    "| load | router | delivered | possible | failed | refused | wasted | p50 | p99 | retry_after right |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def page(found: Mapping[str, Any]) -> str:
    """The page of all modes that were run."""
    parts = [INTRO.format(command=found["command"], **found["machine"])]
    if "race" in found:
        settings = "\n".join(f"- {name}: `{json.dumps(value)}`" for name, value in found["settings"].items())
        parts.append(RACE.format(table=_table(found["race"]), settings=settings, seconds=found["race"][0]["seconds"]))
    if "black-hole" in found:
        hole = found["black-hole"]
        back = (
            "It was not used again"
            if hole["back_after"] is None
            else f"{hole['back_after']:.1f} s after it healed it was in use again (cooldown {hole['cooldown']:g} s)"
        )
        parts.append(BLACK_HOLE.format(back=back, **hole))
    if "declared" in found:
        parts.append(DECLARED.format(**found["declared"]))
    return "\n".join(parts)


def _table(lines: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join([HEAD, *map(_line, lines)])


def _line(line: Mapping[str, Any]) -> str:
    promises = line["retry_after"]
    right = f"{promises['right']:.0%} of {promises['judged']}" if promises["judged"] else "–"
    if promises["without"]:
        right += f", {promises['without']} told nothing"
    if promises["unforeseeable"]:
        right += f", {promises['unforeseeable']} not judged"
    seconds = ["–" if line[name] is None else f"{line[name]:.1f} s" for name in ("p50", "p99")]
    cells = [
        line["course"],
        line["contestant"],
        f"{line['delivered']:,} of {line['requests']:,} ({line['delivered'] / max(line['requests'], 1):.1%})",
        f"{line['delivered'] / max(line['possible'], 1):.1%}",
        f"{line['failed']:,}",
        f"{line['refused']:,}",
        f"{line['wasted']:.1%}",
        *seconds,
        right,
    ]
    return f"| {' | '.join(cells)} |"
