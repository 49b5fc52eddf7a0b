"""Says in one line why a price is not known, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date

from .fields import nearest
from .table import Gap
from .types import Rate, Usage

__all__ = ["missing", "unknown"]

_REMEDY = "an override can supply one"
_TIERS: tuple[tuple[str, Callable[[Rate, Usage], bool | None]], ...] = (
    ("task", Rate.admits_task),
    ("quality", Rate.admits_quality),
    ("steps", Rate.admits_steps),
    ("size", Rate.admits_size),
)


def missing(rate: Rate, usage: Usage) -> str:
    """What has to be known to tell whether this rate applies."""
    fields = [name for name in ("width", "height") if getattr(usage, name) is None and rate.admits_size(usage) is None]
    if rate.admits_steps(usage) is None:
        fields.append("steps")
    return f"the price of {usage.model} depends on {' and '.join(fields)}, not given"


def unknown(usage: Usage, day: date, rates: Sequence[Rate], gaps: Sequence[Gap], models: Collection[str]) -> str:
    """The first thing that no rate of the model has. ``rates`` are those of the model, ``gaps`` its known gaps."""
    here = [rate for rate in rates if rate.admits_region(usage)]
    if not here:
        for gap in gaps:
            if usage.region in gap.regions or "*" in gap.regions:
                return f"no rate for {usage.model} in {usage.region}: {gap.why.rstrip('.')}; {_REMEDY}"
        if not rates:
            return f"no rates for the model {usage.model!r}{nearest(usage.model, models)}; {_REMEDY}"
        known = ", ".join(sorted({rate.region for rate in rates}))
        return f"no rate for {usage.model} in {usage.region} (known: {known}); {_REMEDY}"
    for tier, admits in _TIERS:
        left = [rate for rate in here if admits(rate, usage) is not False]
        if not left:
            return f"no rate for {usage.model} {_asked(tier, usage)} (known: {_known(tier, here)}); {_REMEDY}"
        here = left
    return f"no rate for {usage.model} on {day} ({_days(here, day)}); {_REMEDY}"


def _asked(tier: str, usage: Usage) -> str:
    if tier == "size":
        return f"at {usage.width}x{usage.height}"
    if tier == "quality":
        return f"with quality {usage.quality or 'standard'}"
    return f"with {tier} {getattr(usage, tier)}"


def _known(tier: str, rates: Sequence[Rate]) -> str:
    """What the rates that came this far admit."""
    known: list[str] = []
    for rate in rates:
        if tier == "size":
            over, most = rate.size_over, rate.size_max
            limits = [f"over {over[0]}x{over[1]}" if over else "", f"up to {most[0]}x{most[1]}" if most else ""]
            known.append(" ".join(limit for limit in limits if limit) + " by area")
        elif tier == "steps":
            known.append(f"{rate.steps_min or 1} to {rate.steps_max or 'any number'}")
        else:
            known.append(str(rate.quality if tier == "quality" else rate.task))
    return ", ".join(dict.fromkeys(known))


def _days(rates: Sequence[Rate], day: date) -> str:
    starts = sorted(rate.from_ for rate in rates if rate.from_ and rate.from_ > day)
    if starts:
        return f"the first known day is {starts[0]}"
    return "an override for it has ended"
