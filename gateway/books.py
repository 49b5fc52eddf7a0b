"""What keys have spent: sums by day and month, folded from a sequence of plain records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from typing import Any

__all__ = ["Books", "Damaged", "Record", "Spent", "month_of", "reserved", "settled"]

Record = Mapping[str, Any]
"""One thing that happened: ``reserve`` (id, key, day, usd), ``settle`` (id, usd), or ``sum`` (key, day, usd)."""

_EXACT = Context(prec=60)
"""Not the caller's, which may round."""
_ZERO = Decimal(0)
_NOTHING = (0, _ZERO)


class Damaged(ValueError):
    """A record that nobody of ours has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """US dollars of one key on one UTC day and in its month. ``open`` is reserved and not settled; both sums hold it."""

    day: Decimal = _ZERO
    month: Decimal = _ZERO
    open: Decimal = _ZERO


def month_of(day: str) -> str:
    """``2026-11`` of ``2026-11-22``."""
    return day[:7]


def reserved(id: str, key: str, day: date, usd: Decimal) -> Record:
    """Money is set aside, and counts as spent until it is settled."""
    return {"op": "reserve", "id": id, "key": key, "day": day.isoformat(), "usd": str(usd)}


def settled(id: str, usd: Decimal) -> Record:
    """The bill takes the place of what was reserved. 0 gives it back."""
    return {"op": "settle", "id": id, "usd": str(usd)}


class Books:
    """The state after a sequence of records. A bill belongs to the day on which its money was reserved.

    Nothing is guessed: a reservation that nobody settles (its process was killed) stays spent, because the call may have
    been billed.
    """

    __slots__ = ("_open", "_open_sums", "_sums")

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Decimal] = {}
        """By key, and by day or month."""
        self._open: dict[str, tuple[str, str, Decimal]] = {}
        self._open_sums: dict[str, tuple[int, Decimal]] = {}
        """By key: how many are open, and their sum."""

    def apply(self, record: Record) -> None:
        """Take in one record. A settlement of what is not open (any more) changes nothing. Raises Damaged."""
        try:
            usd, op = _amount(record["usd"]), record["op"]
            if op == "settle":
                self.settle(str(record["id"]), usd)
                return
            key, day = str(record["key"]), date.fromisoformat(record["day"]).isoformat()
            place = str(record["id"]) if op == "reserve" else ""
        except (KeyError, TypeError, ValueError, InvalidOperation):
            raise Damaged("is no record of spending") from None
        if op not in ("reserve", "sum") or place in self._open:
            raise Damaged("is no record of spending")
        if place:
            self.reserve(place, key, day, usd)
        else:
            self._add(key, day, usd)

    def reserve(self, id: str, key: str, day: str, usd: Decimal) -> None:
        """Take in a reservation that is not open yet, on a day in ISO's words."""
        self._add(key, day, usd)
        self._open[id] = (key, day, usd)
        count, held = self._open_sums.get(key, _NOTHING)
        self._open_sums[key] = (count + 1, _EXACT.add(held, usd))

    def settle(self, id: str, usd: Decimal) -> None:
        """Put the bill in the place of a reservation. One that is not open (any more) changes nothing."""
        if id in self._open:
            key, day, held = self._close(id)
            self._add(key, day, _EXACT.subtract(usd, held))

    def spent(self, key: str, day: date) -> Spent:
        """The sums of a key as of a day."""
        spelt = day.isoformat()
        return Spent(
            day=self._sums.get((key, spelt), _ZERO),
            month=self._sums.get((key, month_of(spelt)), _ZERO),
            open=self._open_sums.get(key, _NOTHING)[1],
        )

    def forget_before(self, day: date) -> None:
        """Drop all that counts no more: whatever belongs to months before that of ``day``."""
        month = month_of(day.isoformat())
        for id in [id for id, (_, opened, _) in self._open.items() if month_of(opened) < month]:
            self._close(id)
        self._sums = {place: usd for place, usd in self._sums.items() if month_of(place[1]) >= month}

    def records(self) -> Iterator[Record]:
        """The fewest records that make the same books."""
        for (key, period), usd in self._sums.items():
            if period == month_of(period):
                continue
            for opened_by, day, open_usd in self._open.values():
                if (opened_by, day) == (key, period):
                    usd = _EXACT.subtract(usd, open_usd)
            yield {"op": "sum", "key": key, "day": period, "usd": str(usd)}
        for id, (key, day, usd) in self._open.items():
            yield {"op": "reserve", "id": id, "key": key, "day": day, "usd": str(usd)}

    def _close(self, id: str) -> tuple[str, str, Decimal]:
        key, day, held = self._open.pop(id)
        count, whole = self._open_sums[key]
        if count == 1:
            del self._open_sums[key]
        else:
            self._open_sums[key] = (count - 1, _EXACT.subtract(whole, held))
        return key, day, held

    def _add(self, key: str, day: str, usd: Decimal) -> None:
        for period in (day, month_of(day)):
            self._sums[key, period] = _EXACT.add(self._sums.get((key, period), _ZERO), usd)


def _amount(text: object) -> Decimal:
    usd = Decimal(text) if isinstance(text, str) else None
    if usd is None or not usd.is_finite() or usd < 0:
        raise Damaged("is no record of spending")
    return usd
