"""The catalogue as tables and as a record: models as they are on one day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from textwrap import wrap
from typing import Any

from rich.table import Table
from rich.text import Text

from ..pricing import Cost, PriceBook, Usage
from ..providers.bedrock.families import FAMILIES
from ..providers.catalog import Catalog, Model
from ..providers.catalog.model import Sizes
from ..providers.errors import InvalidRequest
from ..providers.types import Task
from .output import dollars

__all__ = ["Entry", "cards", "entries", "listing_record", "retired_table"]

_STYLES = {"active": "green", "preview": "cyan", "legacy": "yellow", "extended_access": "yellow", "eol": "red"}
_SERVED = frozenset(family.name for family in FAMILIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model on one day. ``cost`` is that of one picture; ``served`` if this version can send to it."""

    model: Model
    stage: str
    cost: Cost
    served: bool

    @property
    def retired(self) -> bool:
        """True if AWS has ended it."""
        return self.stage == "eol"


def entries(today: date, task: str | None, region: str | None) -> tuple[list[Entry], str]:
    """The models that fit, in the catalogue's order, and the version of the prices. Raises InvalidRequest."""
    models = Catalog.load().models()
    task = _known("task", task.replace("-", "_") if task else None, [str(each) for each in Task])
    region = _known("region", region, sorted({name for model in models for name in model.regions}))
    book = PriceBook.load()
    found = [
        Entry(
            model=model,
            stage=model.stage(today),
            cost=_cost(model, task, region, book, today),
            served=model.family in _SERVED,
        )
        for model in models
        if task in (None, *model.able) and region in (None, *model.regions)
    ]
    return found, book.version


def listing_record(
    live: Sequence[Entry], retired: Sequence[Entry], today: date, prices: str, *, everything: bool
) -> dict[str, Any]:
    """For programs. Retired models are named; with ``everything`` they are told in full, too."""
    return {
        "date": today.isoformat(),
        "price_table": prices,
        "models": [_record(entry) for entry in (*live, *(retired if everything else ()))],
        "retired": [entry.model.id for entry in retired],
    }


def cards(found: Sequence[Entry], width: int) -> Text:
    """State and price of each in one line, and in small print what else is to be known."""
    names = [entry.model.id + ("" if entry.served else " *") for entry in found]
    first = max(map(len, (*names, "model")), default=0)
    second = max(map(len, (*map(_state, found), "state")), default=0)
    lines = [Text(f"{'model':{first}}  {'state':{second}}  USD", "dim")]
    for name, entry in zip(names, found, strict=True):
        lines.append(
            Text.assemble(
                (f"{name:{first}}  ", "dim" if entry.retired else "bold"),
                (f"{_state(entry):{second}}  ", _STYLES.get(entry.stage, "")),
                "unknown" if entry.cost.usd is None else dollars(entry.cost.usd),
            )
        )
        small = wrap(_details(entry.model), width - 4, break_long_words=False, break_on_hyphens=False)
        lines.append(Text("\n".join(f"    {each}" for each in small), "dim"))
    return Text("\n").join(lines)


def retired_table(found: Sequence[Entry]) -> Table:
    """Which are gone, since when, and what AWS names instead."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("retired model", "since", "successor"):
        table.add_column(title, overflow="fold")
    for entry in found:
        life = entry.model.lifecycle
        table.add_row(Text(entry.model.id, "dim"), str(life.eol), ", ".join(life.replacement) or "none named")
    return table


def sizes(facts: Sizes) -> str:
    """Which pictures come out, in few words."""
    match facts.kind:
        case "list":
            return f"{len(facts.pairs)} sizes, such as {facts.default}"
        case "range":
            return f"{facts.side_min}-{facts.side_max} px a side, {(facts.max_pixels or 0) / 1e6:.1f} Mpx"
        case "aspect_ratio":
            about = f", {facts.pixels / 1e6:.1f} Mpx" if facts.pixels else ""
            return f"{len(facts.ratios)} aspect ratios{about}"
        case "from_input":
            return "as the input"
        case "input_plus_sides":
            return "the input and its margins"
        case "upscale":
            return "larger than the input"
        case _:
            return "said in the prompt"


def _details(model: Model) -> str:
    parts = [
        f"{model.name} ({model.family})",
        ", ".join(model.able),
        sizes(model.sizes),
        ", ".join(model.regions) or "regions unknown",
    ]
    if model.lifecycle.replacement and model.lifecycle.eol:
        parts.append(f"then {model.lifecycle.replacement[0]}")
    return "; ".join(parts)


def _state(entry: Entry) -> str:
    eol = entry.model.lifecycle.eol
    if entry.retired:
        return f"retired since {eol}"
    return f"{entry.stage} until {eol}" if eol else entry.stage


def _cost(model: Model, task: str | None, region: str | None, book: PriceBook, today: date) -> Cost:
    """One picture of the task (or its first one) in the region (or its first one), all else by default."""
    chosen = next(each for each in model.able if task in (None, each))
    width, _, height = (model.able[chosen].sizes.default or "").partition("x")
    usage = Usage(
        model=model.id,
        region=region or next(iter(model.regions), "*"),
        task=str(chosen),
        images=1,
        width=int(width) if height else None,
        height=int(height) if height else None,
    )
    return book.price(usage, on=today)


def _record(entry: Entry) -> dict[str, Any]:
    model, life = entry.model, entry.model.lifecycle
    return {
        "id": model.id,
        "name": model.name,
        "provider": model.provider,
        "family": model.family,
        "served": entry.served,
        "tasks": [str(task) for task in model.able],
        "regions": list(model.regions),
        "profile": model.profile,
        "profile_only": model.profile_only,
        "state": entry.stage,
        "retired": entry.retired,
        "eol": life.eol.isoformat() if life.eol else None,
        "successors": list(life.replacement),
        "images_per_call": model.images_per_call,
        "output_formats": list(model.output_formats),
        "sizes": {
            "kind": model.sizes.kind,
            "default": model.sizes.default,
            "pairs": [f"{width}x{height}" for width, height in model.sizes.pairs],
            "ratios": list(model.sizes.ratios),
            "summary": sizes(model.sizes),
        },
        "price": {
            "usd": None if entry.cost.usd is None else str(entry.cost.usd),
            "confidence": entry.cost.confidence,
            "source": entry.cost.source,
            "note": entry.cost.note,
        },
    }


def _known(name: str, value: str | None, allowed: Sequence[str]) -> str | None:
    """The value, if it is one that exists."""
    if value is None or value in allowed:
        return value
    near = next(iter(get_close_matches(value.lower(), allowed, 1)), None)
    hint = f"; did you mean {near}?" if near else ""
    every = ", ".join(allowed)
    raise InvalidRequest(f"{name}: {value!r} is none of {every}{hint}", parameter=name, allowed=every, nearest=near)
