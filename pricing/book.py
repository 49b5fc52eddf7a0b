"""All rates, loaded once and never changed: what a call costs on a given day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from . import reasons
from .fields import PriceTableError
from .overrides import digest, read_overrides
from .table import Gap, Table, find_table, read_table
from .types import Cost, Rate, RateCard, Usage

__all__ = ["Change", "Diff", "PriceBook"]

_REMEMBERED = 4096
"""Answers that are kept. A book never changes, and the same few kinds of usage are priced again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A rate whose figure, last day, source, confidence, observations or note are no longer the same."""

    before: Rate
    after: Rate

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what differs."""
        names = (field.name for field in fields(Rate))
        return tuple(name for name in names if getattr(self.before, name) != getattr(self.after, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What it takes to get from one price book to another."""

    added: tuple[Rate, ...] = ()
    removed: tuple[Rate, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class PriceBook:
    """Dated rates for every model: `price` answers what a call costs, and never with a guess.

    ``version`` is the table's; with overrides it carries their digest, as in ``2026-11-22+overrides.1f9a03c4``.
    ``sources`` explains every source key. A book is immutable and may be shared by any number of threads.
    """

    def __init__(self, table: Table, overrides: Sequence[Rate] = ()) -> None:
        self.compiled = table.compiled
        self.sources: Mapping[str, str] = MappingProxyType(dict(table.sources))
        self.cards = table.cards
        self.gaps = table.gaps
        self.overrides = tuple(overrides)
        self.version = f"{table.version}+overrides.{digest(self.overrides)}" if overrides else table.version
        self._priced: dict[tuple[object, ...], Cost] = {}
        self._cards = {name: card for card in table.cards for name in (card.model, *card.aliases)}

    @classmethod
    def load(
        cls,
        version: str | None = None,
        *,
        overrides: Sequence[Mapping[str, object]] = (),
        path: str | Path | None = None,
    ) -> PriceBook:
        """The built-in table of that version (default: the newest), or the one in the file ``path``.

        An override has ``model`` (base id) and ``usd_per_image``, and may have ``region``, ``task``, ``size_max``
        ("WxH"), ``quality``, ``from``, ``to`` (both inclusive) and ``source``. Overrides are tried in their order,
        before the table.

        Raises:
            PriceTableError: No such version (the message lists what exists), an unreadable table, or a bad override.
        """
        table = read_table(path or find_table(version))
        if path and version not in (None, table.version):
            raise PriceTableError(f"{path}: is version {table.version!r}, not {version!r}")
        models = [name for card in table.cards for name in (card.model, *card.aliases)]
        return cls(table, read_overrides(overrides, models))

    @property
    def models(self) -> tuple[str, ...]:
        """The base ids of all models in the table."""
        return tuple(card.model for card in self.cards)

    def card(self, model: str) -> RateCard | None:
        """The rates of a model, given by its id or an alias of it. Overrides are not among them."""
        return self._cards.get(model)

    def rate(self, usage: Usage, on: date) -> Rate | None:
        """The rate in force on that day, or None if there is none, or too little is known to tell which."""
        usage = self._completed(usage)
        rate = _first(self._rates(usage), usage, _day(on))
        return rate if rate and rate.admits(usage) else None

    def price(self, usage: Usage, on: date) -> Cost:
        """Images x the rate in force on that day (UTC). Never raises for what it does not know: ``usd`` is None then.

        The first rate wins whose region is the usage's (or any), whose days, first and last included, span ``on``, and
        whose tier admits size, quality, steps and task. A model that answers after its last rate ended is priced at
        that rate, with confidence ``expired``; an override that has ended is over. Before the first known day, and
        where the table has a gap, the price is unknown.
        """
        size, tier = (usage.width, usage.height), (usage.quality, usage.steps)
        return self.priced(_day(on), usage.model, usage.region, usage.task, usage.images, *size, *tier)

    def priced(
        self,
        day: date,
        model: str,
        region: str,
        task: str,
        images: int,
        width: int | None = None,
        height: int | None = None,
        quality: str | None = None,
        steps: int | None = None,
    ) -> Cost:
        """`price` of the `Usage` of these fields, which is put together only when it is priced for the first time."""
        asked = (day, model, region, task, images, width, height, quality, steps)
        known = self._priced.get(asked)
        if known is None:
            usage = Usage(
                model=model,
                region=region,
                task=task,
                images=images,
                width=width,
                height=height,
                quality=quality,
                steps=steps,
            )
            known = self._price(usage, day)
            if len(self._priced) >= _REMEMBERED:
                self._priced = {}
            self._priced[asked] = known
        return known

    def _price(self, usage: Usage, day: date) -> Cost:
        usage = self._completed(usage)
        rates = self._rates(usage)
        card = self._cards.get(usage.model)
        expired = False
        rate = _first(rates, usage, day)
        if rate is None and card:
            rate, expired = _last(card.rates, usage, day), True
        if rate is None:
            note = reasons.unknown(usage, day, rates, self._gaps(usage.model), self._cards)
            return Cost(usd=None, table=self.version, images=usage.images, note=note)
        if rate.admits(usage) is None:
            return Cost(usd=None, table=self.version, images=usage.images, note=reasons.missing(rate, usage))
        notes = [rate.note]
        if expired and card:
            notes.insert(0, f"last published rate, ended {rate.to}{' with the model' if rate.to == card.ended else ''}")
        return Cost.of(
            rate,
            usage.images,
            table=self.version,
            confidence="expired" if expired else rate.confidence,
            note="; ".join(note for note in notes if note) or None,
        )

    def diff(self, other: PriceBook) -> Diff:
        """What changes for someone who moves from this book to ``other``, overrides included."""
        before = {rate.key: rate for rate in self._all()}
        after = {rate.key: rate for rate in other._all()}
        pairs = [(rate, after[key]) for key, rate in before.items() if key in after]
        return Diff(
            added=tuple(rate for key, rate in after.items() if key not in before),
            removed=tuple(rate for key, rate in before.items() if key not in after),
            changed=tuple(Change(before=old, after=new) for old, new in pairs if old != new),
        )

    def staleness(self, on: date) -> timedelta:
        """The time since the table was compiled: zero on that day and before."""
        return max(_day(on) - self.compiled, timedelta(0))

    def __repr__(self) -> str:
        return f"<PriceBook {self.version}, {len(self.cards)} models>"

    def _all(self) -> tuple[Rate, ...]:
        return (*self.overrides, *(rate for card in self.cards for rate in card.rates))

    def _rates(self, usage: Usage) -> tuple[Rate, ...]:
        """Overrides of this id or of the model behind it, then the table's rates."""
        card = self._cards.get(usage.model)
        ids = (usage.model, card.model) if card else (usage.model,)
        mine = tuple(rate for rate in self.overrides if rate.model in ids)
        return mine + card.rates if card else mine

    def _gaps(self, model: str) -> tuple[Gap, ...]:
        card = self._cards.get(model)
        return tuple(gap for gap in self.gaps if gap.model in (model, card.model if card else model))

    def _completed(self, usage: Usage) -> Usage:
        card = self._cards.get(usage.model)
        return replace(usage, steps=card.steps) if card and usage.steps is None and card.steps else usage


def _first(rates: Sequence[Rate], usage: Usage, day: date) -> Rate | None:
    """The first rate of that day which admits the usage, or which might if more were known."""
    return next((rate for rate in rates if rate.spans(day) and rate.admits(usage) is not False), None)


def _last(rates: Sequence[Rate], usage: Usage, day: date) -> Rate | None:
    """The rate that ended last before that day."""
    past = [rate for rate in rates if rate.to and rate.to < day and rate.admits(usage) is not False]
    return max(past, key=lambda rate: rate.to or date.min, default=None)


def _day(on: date) -> date:
    """A moment counts for its day in UTC; without a time zone it is taken as UTC."""
    if not isinstance(on, datetime):
        return on
    return (on.astimezone(UTC) if on.tzinfo else on).date()
