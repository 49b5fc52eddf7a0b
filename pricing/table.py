"""Reads price tables: YAML on disk -> checked, immutable rates."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from .fields import (
    PriceTableError,
    Where,
    choice,
    count,
    day,
    items,
    mapping,
    money,
    nearest,
    ordered,
    region,
    size,
    text,
)
from .types import CONFIDENCES, QUALITIES, TASKS, Rate, RateCard

__all__ = ["Gap", "Table", "builtin_tables", "find_table", "read_table"]

_FOLDER = Path(__file__).parent / "tables"
_VERSION = re.compile(r"""^version:\s*["']?([^"'\s#]+)""", re.MULTILINE)
_HEAD = 2000  # characters in which a table says its version

_TABLE_KEYS = ("version", "compiled", "currency", "unit", "sources", "models", "gaps")
_CARD_KEYS = ("aliases", "steps", "note", "shared", "rates")
_ROW_KEYS = (
    *("regions", "task", "from", "to", "size_over", "size_max", "quality", "steps_min", "steps_max"),
    *("usd", "source", "confidence", "observed", "note"),
)
_GAP_KEYS = ("model", "regions", "about", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A price that exists at AWS and was not found: ``why`` says what is known.

    ``regions`` empty means that the gap is not about regions; ``about`` then names what it is about.
    """

    model: str
    regions: tuple[str, ...] = ()
    about: str | None = None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One price table: its version, the day it was compiled, its rates by model, and what each source key means."""

    version: str
    compiled: date
    sources: Mapping[str, str]
    cards: tuple[RateCard, ...]
    gaps: tuple[Gap, ...] = ()


def builtin_tables() -> dict[str, Path]:
    """The tables that ship with the package, by version, newest first."""
    found = {}
    for path in _FOLDER.glob("*.yaml"):
        with path.open(encoding="utf-8") as file:
            version = _VERSION.search(file.read(_HEAD))
        if version:
            found[version[1]] = path
    return dict(sorted(found.items(), reverse=True))


def find_table(version: str | None) -> Path:
    """The file of a built-in version, or of the newest one. Raises PriceTableError that lists what exists."""
    tables = builtin_tables()
    wanted = next(iter(tables)) if version is None else str(version)
    if wanted not in tables:
        raise PriceTableError(
            f"there is no price table {wanted!r}{nearest(wanted, tables)} (available: {', '.join(tables)})"
        )
    return tables[wanted]


def read_table(path: str | Path) -> Table:
    """The table in a file. Raises PriceTableError that names the file, and the field if one is wrong."""
    try:
        source = Path(path).read_text(encoding="utf-8")
        return _read(source)
    except OSError as error:
        raise PriceTableError(f"{path}: can not be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PriceTableError(f"{path}: is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise PriceTableError(f"{path}{place}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise PriceTableError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    except ValueError as error:  # ours, or a date that the calendar does not have
        raise PriceTableError(f"{path}: {error}") from None


@lru_cache(maxsize=4)
def _read(source: str) -> Table:
    """By the text itself, so that a file which has changed is read anew; a table never changes."""
    return _table(yaml.load(source, Loader=_Loader))


class _Loader(yaml.CSafeLoader):
    """Refuses repeated keys: the second would silently replace a model's rates."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is repeated", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def _table(data: object) -> Table:
    top = mapping(data, (), _TABLE_KEYS, required=("version", "compiled", "currency", "unit", "sources", "models"))
    choice(top["currency"], ("currency",), ("USD",))
    choice(top["unit"], ("unit",), ("image",))
    if not isinstance(top["sources"], Mapping):
        raise PriceTableError("is not a mapping of source keys to texts", path=("sources",))
    if not isinstance(top["models"], Mapping):
        raise PriceTableError("is not a mapping of model ids to rates", path=("models",))
    sources = {str(key): text(value, ("sources", str(key))) for key, value in top["sources"].items()}
    cards = tuple(_card(str(model), card, sources) for model, card in top["models"].items())
    _refuse_repeated_ids(cards)
    gaps = items(top.get("gaps") or [], ("gaps",))
    return Table(
        version=text(top["version"], ("version",)),
        compiled=day(top["compiled"], ("compiled",)),
        sources=sources,
        cards=cards,
        gaps=tuple(_gap(gap, ("gaps", index)) for index, gap in enumerate(gaps)),
    )


def _refuse_repeated_ids(cards: tuple[RateCard, ...]) -> None:
    seen: set[str] = set()
    for card in cards:
        for model in (card.model, *card.aliases):
            if model in seen:
                raise PriceTableError(f"{model!r} has another card", path=("models", card.model))
            seen.add(model)


def _card(model: str, data: object, sources: Mapping[str, str]) -> RateCard:
    where: Where = ("models", model)
    card = mapping(data, where, _CARD_KEYS, required=("rates",))
    shared = mapping(card.get("shared") or {}, (*where, "shared"), _ROW_KEYS)
    rates: list[Rate] = []
    for index, row in enumerate(items(card["rates"], (*where, "rates"))):
        place = (*where, "rates", index)
        fields = {**shared, **mapping(row, place, _ROW_KEYS)}
        rates.extend(_rates(model, fields, place, sources))
    keys = [rate.key for rate in rates]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise PriceTableError(
                f"the row for {rates[index].region} and task {rates[index].task} is repeated", path=where
            )
    aliases = items(card.get("aliases") or [], (*where, "aliases"))
    return RateCard(
        model=model,
        rates=tuple(rates),
        aliases=tuple(text(alias, (*where, "aliases", index)) for index, alias in enumerate(aliases)),
        steps=None if card.get("steps") is None else count(card["steps"], (*where, "steps")),
        note=None if card.get("note") is None else text(card["note"], (*where, "note")),
    )


def _rates(model: str, row: Mapping[str, object], where: Where, sources: Mapping[str, str]) -> Iterator[Rate]:
    """One rate per region: equal regions are written as one row."""
    given = {key: value for key, value in row.items() if value is not None}
    for key in ("regions", "usd", "source", "confidence"):
        if key not in given:
            raise PriceTableError("is missing", path=(*where, key))

    def at(key: str) -> Where:
        return (*where, key)

    observed = items(given.get("observed", []), at("observed"))
    common: dict[str, Any] = {
        "usd": money(given["usd"], at("usd"), quoted=True),
        "source": choice(given["source"], at("source"), sources),
        "confidence": choice(given["confidence"], at("confidence"), CONFIDENCES[1:-1]),
        "task": choice(given.get("task", "any"), at("task"), ("any", *TASKS)),
        "observed": tuple(day(seen, (*at("observed"), index)) for index, seen in enumerate(observed)),
    }
    for key, name, read in (
        ("from", "from_", day),
        ("to", "to", day),
        ("size_over", "size_over", size),
        ("size_max", "size_max", size),
        ("steps_min", "steps_min", count),
        ("steps_max", "steps_max", count),
        ("note", "note", text),
    ):
        common[name] = read(given[key], at(key)) if key in given else None
    common["quality"] = choice(given["quality"], at("quality"), QUALITIES) if "quality" in given else None
    _refuse_empty(common, where)
    for index, place in enumerate(items(given["regions"], at("regions"))):
        yield Rate(model=model, region=region(place, (*at("regions"), index)), **common)


def _refuse_empty(row: Mapping[str, Any], where: Where) -> None:
    """A row that ends before it begins, or whose tier holds nothing, can never apply."""
    ordered(row["from_"], row["to"], (*where, "to"))
    ordered(row["steps_min"], row["steps_max"], (*where, "steps_max"))
    over, most = row["size_over"], row["size_max"]
    if over and most and most[0] * most[1] <= over[0] * over[1]:
        raise PriceTableError(f"{most[0]}x{most[1]} is not above size_over", path=(*where, "size_max"))


def _gap(data: object, where: Where) -> Gap:
    gap = mapping(data, where, _GAP_KEYS, required=("model", "why"))
    regions = items(gap.get("regions") or [], (*where, "regions"))
    return Gap(
        model=text(gap["model"], (*where, "model")),
        regions=tuple(region(name, (*where, "regions", index)) for index, name in enumerate(regions)),
        about=None if gap.get("about") is None else text(gap["about"], (*where, "about")),
        why=text(gap["why"], (*where, "why")),
    )
