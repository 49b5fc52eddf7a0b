"""Budgets: money is reserved before a call and settled after it, so that nobody spends more than is allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import uuid4

from .books import Books, Damaged, Record, Spent, reserved, settled
from .errors import Refused
from .journal import Journal
from .keys import Key

__all__ = ["Ledger", "LocalLedger", "Spent"]


class Ledger(Protocol):
    """Who keeps the accounts. Days and months are those of UTC."""

    def reserve(self, key: Key, usd: Decimal, now: datetime) -> str:
        """Set money aside; the id of the reservation. Raises `Refused`: 429 beyond the budget, 503 if it is not known."""

    def settle(self, id: str, usd: Decimal) -> None:
        """Put the bill in the place of the reservation. Never fails: at worst, the reservation stays spent."""

    def spent(self, key: str, now: datetime) -> Spent:
        """What a key has spent, its open reservations included. Raises `Refused` (503)."""

    @property
    def shared(self) -> bool:
        """Are the accounts those of several processes?"""

    def close(self) -> None:
        """Let go of everything."""


class LocalLedger:
    """Accounts in memory, and with a journal on disk: then processes of one machine share them, and they outlive all."""

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        new_id: Callable[[], str] = lambda: uuid4().hex,
        failed: Callable[[str], None] = lambda message: None,
    ) -> None:
        """``failed`` is told what could not be written down. Raises Damaged or OSError if the journal can not be read."""
        self._journal = journal
        self._new_id = new_id
        self._failed = failed
        self._lock = threading.Lock()
        self._books = Books()
        self._month: date | None = None
        with self._current():
            pass

    @property
    def shared(self) -> bool:
        """See `Ledger`: with a journal, by the processes of one machine."""
        return self._journal is not None

    def reserve(self, key: Key, usd: Decimal, now: datetime) -> str:
        """See `Ledger`."""
        today = _day(now)
        try:
            with self._current():
                self._turn(today)
                _check(key, usd, self._books.spent(key.name, today))
                id = self._new_id()
                self._add(reserved(id, key.name, today, usd))
                return id
        except (OSError, Damaged) as error:
            raise self._unknown(error) from None

    def settle(self, id: str, usd: Decimal) -> None:
        """See `Ledger`."""
        try:
            with self._current():
                self._add(settled(id, usd))
        except (OSError, Damaged) as error:
            self._failed(f"a bill of {usd} USD is not written down, its reservation stays spent: {_why(error)}")

    def spent(self, key: str, now: datetime) -> Spent:
        """See `Ledger`."""
        try:
            with self._current():
                return self._books.spent(key, _day(now))
        except (OSError, Damaged) as error:
            raise self._unknown(error) from None

    def close(self) -> None:
        """See `Ledger`."""
        if self._journal:
            self._journal.close()

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Alone with books that know all that others have written."""
        with self._lock:
            if self._journal is None:
                yield
                return
            with self._journal.locked():
                if self._journal.replaced():
                    self._books = Books()
                for record in self._journal.read():
                    self._books.apply(record)
                yield

    def _add(self, record: Record) -> None:
        """On disk first: what can not be written has not happened."""
        if self._journal:
            self._journal.append(record)
        self._books.apply(record)
        if self._journal and self._journal.is_long:
            try:
                self._journal.rewrite(self._books.records())
            except OSError as error:  # the long file is as good as a short one
                self._failed(f"the journal of spending can not be shortened: {_why(error)}")

    def _turn(self, today: date) -> None:
        """With a new month, the last one's accounts are closed."""
        first = today.replace(day=1)
        if self._month != first:
            self._month = first
            self._books.forget_before(first)

    def _unknown(self, error: Exception) -> Refused:
        self._failed(f"the journal of spending can not be used: {_why(error)}")
        return Refused(
            "what this key has spent can not be looked up now, so nothing more is spent",
            status=503,
            code="spend_unavailable",
            type="server_error",
            retry_after=5.0,
            should_retry=True,
        )


def _check(key: Key, usd: Decimal, spent: Spent) -> None:
    """Raise `Refused` if the key's money does not suffice."""
    for period, limit, used in (("day", key.usd_per_day, spent.day), ("month", key.usd_per_month, spent.month)):
        if limit is None or usd == 0 or used + usd <= limit:
            continue
        raise Refused(
            f"key {key.name!r} may spend {limit} USD a {period} and has spent or reserved {used}; this request may cost "
            f"{usd}. The {period} ends at midnight UTC",
            status=429,
            code="insufficient_quota",
            type="insufficient_quota",
        )


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
