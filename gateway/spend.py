"""Budgets: money is reserved before a call and settled after it, so that nobody spends more than is allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from secrets import token_hex
from typing import Protocol

from .books import Books, Damaged, Record, Spent, reserved, settled
from .errors import Refused
from .journal import Busy, Journal
from .keys import Key

__all__ = ["Busy", "Ledger", "LocalLedger", "Spent", "unknown"]

_MUCH = 64 * 1024
"""Bytes of a journal that are not read where nobody may wait: they take about a millisecond."""
_PATIENCE = 5.0
"""Seconds for which another thread is waited for."""
_AGAIN = 0.5
"""Seconds until a bill that could not be written is tried again."""


class Ledger(Protocol):
    """Who keeps the accounts. Days and months are those of UTC. Thread-safe.

    With ``wait=False`` a method raises Busy, with nothing done, where it would block: an event loop then asks in a thread.
    """

    def reserve(self, key: Key, usd: Decimal, now: datetime, *, wait: bool = True) -> str:
        """Set money aside; the id of the reservation. Raises `Refused`: 429 beyond the budget, 503 if it is not known."""

    def settle(self, id: str, usd: Decimal, *, wait: bool = True) -> None:
        """Put the bill in the place of the reservation. Never fails: what can not be written now is owed."""

    def owe(self, id: str, usd: Decimal) -> None:
        """`settle` as soon as that can be, by a thread. Never blocks, never fails: at worst, the reservation stays spent."""

    def spent(self, key: str, now: datetime, *, wait: bool = True) -> Spent:
        """What a key has spent, its open reservations included. Raises `Refused` (503)."""

    def shared(self, path: str) -> Ledger:
        """One that processes share: itself if it is, else a new one in a file. Raises Damaged, OSError."""

    def close(self) -> None:
        """Let go of everything."""


class LocalLedger:
    """Accounts in memory, and with a journal on disk: then processes of one machine share them, and they outlive all."""

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        new_id: Callable[[], str] = partial(token_hex, 16),
        failed: Callable[[str], None] = lambda message: None,
    ) -> None:
        """``failed`` is told what could not be written down. Raises Damaged or OSError if the journal can not be read."""
        self._journal = journal
        self._new_id = new_id
        self._failed = failed
        self._lock = threading.Lock()
        self._books = Books()
        self._month: date | None = None
        self._closed = False
        self._tidying: threading.Thread | None = None
        self._owed: dict[str, Decimal] = {}
        self._owed_lock = threading.Lock()
        self._payer: threading.Thread | None = None
        self._ending = threading.Event()
        with self._current(wait=True):
            pass

    def reserve(self, key: Key, usd: Decimal, now: datetime, *, wait: bool = True) -> str:
        """See `Ledger`."""
        today = _day(now)
        try:
            with self._current(wait):
                self._pay(wait)
                self._turn(today)
                if key.has_budget:
                    _check(key, usd, self._books.spent(key.name, today))
                id = self._new_id()
                self._write(reserved(id, key.name, today, usd))
                self._books.reserve(id, key.name, today.isoformat(), usd)
                self._shorten_soon(wait)
                return id
        except (OSError, Damaged) as error:
            raise self._unknown(error) from None

    def settle(self, id: str, usd: Decimal, *, wait: bool = True) -> None:
        """See `Ledger`."""
        try:
            with self._current(wait):
                self._settle(id, usd, wait)
        except (OSError, Damaged) as error:
            if not self._closed:
                self.owe(id, usd)
            self._failed(f"a bill of {usd} USD is not written down yet, its reservation stays spent: {_why(error)}")

    def owe(self, id: str, usd: Decimal) -> None:
        """See `Ledger`."""
        with self._owed_lock:
            self._owed[id] = usd
            if self._payer is None:
                self._payer = threading.Thread(target=self._pay_later, name="lascaux-bills", daemon=True)
                self._payer.start()

    def spent(self, key: str, now: datetime, *, wait: bool = True) -> Spent:
        """See `Ledger`."""
        try:
            with self._current(wait):
                with suppress(OSError):  # a full disk keeps nobody from looking
                    self._pay(wait)
                return self._books.spent(key, _day(now))
        except (OSError, Damaged) as error:
            raise self._unknown(error) from None

    def shared(self, path: str) -> Ledger:
        """See `Ledger`."""
        return self if self._journal else LocalLedger(Journal(path), new_id=self._new_id, failed=self._failed)

    def close(self) -> None:
        """See `Ledger`. Threads that are at it come to their end; what comes later finds nothing to write to."""
        self._ending.set()
        try:
            if self._owed:
                with self._current(wait=True):
                    self._pay(wait=True)
        except (OSError, Damaged) as error:
            self._failed(f"{len(self._owed)} bills are not written down, reservations stay spent: {_why(error)}")
        with self._lock:
            if self._journal and not self._closed:
                self._journal.close()
            self._closed = True

    @contextmanager
    def _current(self, wait: bool) -> Iterator[None]:
        """Alone with books that know all that others have written. Raises Busy if that takes a while."""
        if not self._lock.acquire(timeout=_PATIENCE if wait else 0):
            if wait:
                raise TimeoutError("somebody else is at it")
            raise Busy
        try:
            if self._journal is None:
                yield
                return
            if self._closed:
                raise OSError("the accounts are closed")
            self._journal.lock(wait=wait)
            try:
                self._catch_up(self._journal, wait)
                yield
            finally:
                self._journal.unlock()
        finally:
            self._lock.release()

    def _catch_up(self, journal: Journal, wait: bool) -> None:
        """Read what others have written."""
        if journal.replaced():
            self._books = Books()
        if not wait and journal.unread > _MUCH:
            raise Busy(passes=False)
        if journal.unread:
            for record in journal.read():
                self._books.apply(record)

    def _settle(self, id: str, usd: Decimal, wait: bool) -> None:
        self._write(settled(id, usd))
        self._books.settle(id, usd)
        self._shorten_soon(wait)

    def _write(self, record: Record) -> None:
        """Before it counts: what can not be written has not happened."""
        if self._journal:
            self._journal.append(record)

    def _shorten_soon(self, wait: bool) -> None:
        if self._journal is None or not self._journal.is_long:
            return
        if wait:
            self._shorten(self._journal)
        elif self._tidying is None or not self._tidying.is_alive():
            self._tidying = threading.Thread(target=self._tidy, name="lascaux-tidy", daemon=True)
            self._tidying.start()

    def _pay(self, wait: bool) -> None:
        """Write what is owed, before anything else is. Called with `_current`. Raises OSError."""
        while self._owed:
            id, usd = next(iter(self._owed.items()))
            self._settle(id, usd, wait)
            with self._owed_lock:
                del self._owed[id]

    def _pay_later(self) -> None:
        """Until nothing is owed any more, or the accounts are closed."""
        while True:
            with suppress(OSError, Damaged), self._current(wait=True):  # `close` says what is left
                self._pay(wait=True)
            with self._owed_lock:
                if not self._owed or self._closed:
                    self._payer = None
                    return
            self._ending.wait(_AGAIN)
            if self._ending.is_set():
                return

    def _tidy(self) -> None:
        """Shorten the journal beside whoever is in a hurry: the new one is flushed to the disk before it counts."""
        with suppress(OSError, Damaged), self._current(wait=True):  # who uses the books next is told what is wrong
            if self._journal and self._journal.is_long:
                self._shorten(self._journal)

    def _shorten(self, journal: Journal) -> None:
        try:
            journal.rewrite(self._books.records())
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
        return unknown()


def unknown() -> Refused:
    """Nobody knows what was spent, so nothing more is."""
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
