"""The gate that every request passes: who asks, may they, are there places left, is there money. Knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from ..providers.errors import LascauxError
from ..router.config.server import ServerConfig
from ..router.errors import ConfigError
from .admission import Admission, Told
from .bills import Prices, most
from .books import Damaged
from .errors import Refused
from .journal import Journal
from .keys import ANYBODY, Key, KeyRing, WeakKey, bearer_token
from .limits import LocalTraffic, Open, Traffic, attempted, counted
from .quiet import Quiet
from .reservation import Reservation
from .spend import Busy, Ledger, LocalLedger, unknown

__all__ = ["Admission", "Gate", "open_gate"]

T = TypeVar("T")

_ZERO = Decimal(0)
_PATIENCE = 5.0
"""Seconds for which the accounts are waited for."""


def _nobody(usd: Decimal) -> None:
    """Nobody wants to know."""


class Gate:
    """Keys, limits and budgets of one configuration. Safe to use from many threads.

    ``clock`` gives seconds that never go back, ``now`` the time of day. Without keys everybody is `ANYBODY`, who has no
    limits and is no admin; what they spend is counted all the same. With `follow`, the keys of a changed configuration
    count from the next request on.
    """

    def __init__(
        self,
        ring: KeyRing,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        lasting: bool = False,
    ) -> None:
        """``lasting``: the accounts outlive the process, so what it had under way is reserved even without keys."""
        self._ring = ring
        self._ledger = ledger
        self._clock = clock
        self._now = now
        self._lasting = lasting
        self._lock = threading.Lock()
        self._traffic: dict[str, Traffic] = {}
        self._open: Open = lambda name, clock, *, wait=True: LocalTraffic(clock)
        self._server: ServerConfig | None = None
        self._source: Callable[[], ServerConfig] | None = None
        self._failed: Callable[[str], None] = lambda message: None
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="lascaux-accounts")  # one: the accounts have one lock
        self.on_settled: Callable[[str, Decimal], None] = lambda key, usd: None
        """Told the name of a key, and what it has just spent."""

    def follow(self, source: Callable[[], ServerConfig], failed: Callable[[str], None]) -> None:
        """Take the keys from ``source`` whenever it gives another configuration.

        Limits and accounts go on by name. Keys that can not be used, or none where there were some, change nothing:
        ``failed`` is told once, and the old ones count.
        """
        self._server, self._source, self._failed = source(), source, failed

    def share(self, open: Open, accounts: str) -> None:
        """Count together with others: requests by what ``open`` gives for each key, dollars in the file ``accounts``.

        If the configuration names a file of accounts, dollars are counted in that. To be called before the first request.
        Raises OSError.
        """
        self._open = open
        self._ledger = self._ledger.shared(accounts)

    @property
    def keyed(self) -> bool:
        """True if a key is needed."""
        return bool(self._keys().keys)

    def identify(self, authorization: str | None) -> Key:
        """The key in an ``Authorization: Bearer`` header. Raises `Refused` (401) without telling what is wrong with it."""
        if not self.keyed:
            return ANYBODY
        token = bearer_token(authorization)
        key = self._keys().find(token) if token else None
        if key is None:
            told = "the API key is not valid here" if token else "an API key is needed: Authorization: Bearer lsk-..."
            raise Refused(told, status=401, code="invalid_api_key", type="authentication_error")
        return key

    def identify_admin(self, authorization: str | None) -> Key:
        """The same, for what only admins may do. Raises `Refused` (401, 403)."""
        key = self.identify(authorization)
        if not key.admin:
            told = (
                f"key {key.name!r} is no admin key" if self.keyed else "this needs an admin key, and there are no keys"
            )
            raise Refused(told, status=403, code="admin_only", type="permission_error")
        return key

    def identify_watcher(self, authorization: str | None) -> Key:
        """The same, for who looks on: without keys that is whoever reaches the address, as for all else."""
        return self.identify_admin(authorization) if self.keyed else ANYBODY

    def named(self, name: str) -> Key:
        """The key of that name, for a caller who has proved in another way that it is theirs.

        Raises `Refused` (401) if a changed configuration has no such key any more.
        """
        key = self._keys().keys.get(name)
        if key is None:
            told = "the API key is not valid here"
            raise Refused(told, status=401, code="invalid_api_key", type="authentication_error")
        return key

    def permit(self, key: Key, alias: str) -> None:
        """Raise `Refused` (403) if the key may not ask for what a client calls ``alias``."""
        if not key.may_use(alias):
            theirs = ", ".join(key.aliases or ())
            raise Refused(
                f"key {key.name!r} may not use {alias[:200]!r}; it may use: {theirs}",
                status=403,
                code="model_not_allowed",
                type="permission_error",
                parameter="model",
            )

    def bodies(self, key: Key, places: int) -> int | None:
        """Of how many requests of the key the bodies may be on their way at once, where ``places`` are for all keys.

        Not more than it may have under way, and half of the places where other keys need some; None is no limit.
        """
        if len(self._keys().keys) < 2:
            return key.concurrency
        half = max(1, places // 2)
        return half if key.concurrency is None else min(key.concurrency, half)

    def admit(self, key: Key, alias: str, ask: Callable[[], Prices], told: Told = _nobody) -> Admission:
        """A place for one request, and the money it may cost.

        ``ask`` is called wherever there are keys or lasting accounts: what a killed process had reserved stays spent.
        ``told`` is told what is settled in the end. For a key without a limit in dollars ``ask`` may fail: the call then
        says itself what is wrong.

        Raises `Refused`: 403 (alias, unknown price), 429 (rpm, concurrency, money), 503 (the accounts can not be read);
        and what ``ask`` raises.
        """
        self.permit(key, alias)
        if self._quotes(key):  # what can be said before anything is worked out; else `_enter` follows at once
            self._traffic_of(key).check(key)
        quote = None
        with suppress(*_harmless(key)):
            quote = ask() if self._quotes(key) else None
        return self._enter(key, quote, told)

    async def admit_soon(
        self, key: Key, alias: str, ask: Callable[[], Awaitable[Prices]], told: Told = _nobody
    ) -> Admission:
        """`admit` for an event loop, which it never blocks; the quote is awaited. Use the admission with ``async with``."""
        self.permit(key, alias)
        traffic = await counted(lambda: self._traffic_of(key, wait=False))
        quote = None
        if self._quotes(key):
            await counted(lambda: traffic.check(key, wait=False))  # what can be said before anything is worked out
            with suppress(*_harmless(key)):
                quote = await ask()
        held = most(key, quote) if quote else _ZERO
        moment = await counted(lambda: traffic.enter(key, wait=False))
        try:
            try:
                id = self._ledger.reserve(key, held, self._now(), wait=False)
            except Busy:
                id = await self._reserved(key, held)
        except BaseException:
            traffic.withdraw(moment)
            raise
        return Admission(self, key, id, held, quote, told)

    async def usage_soon(self, key: Key) -> dict[str, Any]:
        """`usage` for an event loop."""
        return await self._soon(lambda wait: self.usage(key, wait=wait))

    def usage(self, key: Key, *, wait: bool = True) -> dict[str, Any]:
        """What a key has spent and has under way, beside its limits: plain data for JSON, money as text.

        Raises Busy where it would block, if it may not ``wait``.
        """
        now = self._now()
        spent = self._ledger.spent(key.name, now, wait=wait)
        use = self._traffic_of(key, wait=wait).use(wait=wait)
        return {
            "key": key.name,
            "day": now.astimezone(UTC).date().isoformat(),
            "usd_today": _plain(spent.day),
            "usd_per_day": _plain(key.usd_per_day),
            "usd_this_month": _plain(spent.month),
            "usd_per_month": _plain(key.usd_per_month),
            "usd_reserved": _plain(spent.open),
            "in_flight": use.in_flight,
            "concurrency": key.concurrency,
            "requests_last_minute": use.requests if key.rpm is not None else None,
            "rpm": key.rpm,
            "aliases": None if key.aliases is None else list(key.aliases),
            "admin": key.admin,
        }

    def usage_of_all(self) -> list[dict[str, Any]]:
        """The same for every key, in the order of the configuration."""
        return [self.usage(key) for key in (self._keys().keys.values() or (ANYBODY,))]

    async def usage_of_all_soon(self) -> list[dict[str, Any]]:
        """`usage_of_all` for an event loop."""
        return [await self.usage_soon(key) for key in (self._keys().keys.values() or (ANYBODY,))]

    def close(self) -> None:
        """Write down what is left to be written."""
        self._aside.shutdown()
        self._ledger.close()

    async def _reserved(self, key: Key, held: Decimal) -> str:
        """The id of a reservation that takes a while; who goes away meanwhile gets the money back."""
        reservation = Reservation(self._ledger, key, held, self._now)
        try:
            return await self._soon(reservation.make)
        except BaseException:
            reservation.drop()
            raise

    async def _soon(self, work: Callable[[bool], T]) -> T:
        """Do it here as soon as that takes no time, else in a thread. Raises `Refused` (503) after five seconds.

        What has begun in a thread is carried out, even if nobody waits for it any more.
        """
        try:
            return await attempted(lambda: work(False), _PATIENCE)
        except Busy as busy:
            if busy.passes:
                raise unknown() from None
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._aside, work, True)
        except TimeoutError:
            raise unknown() from None

    def _keys(self) -> KeyRing:
        server = self._source() if self._source else None
        if server is self._server:
            return self._ring
        with self._lock:
            if server is not None and server is not self._server:
                changed = self._server is None or server.keys != self._server.keys
                self._server = server
                if changed:
                    self._ring = self._renewed(server)
            return self._ring

    def _renewed(self, server: ServerConfig) -> KeyRing:
        try:
            ring = KeyRing(server.keys)
        except WeakKey as error:
            self._failed(f"server.keys: {error}; the keys from before still count")
            return self._ring
        if self._ring.keys and not ring.keys:
            self._failed("server.keys: there are none any more; the keys from before still count until the next start")
            return self._ring
        return ring

    def _quotes(self, key: Key) -> bool:
        return key.has_budget or self._lasting or self.keyed

    def _enter(self, key: Key, quote: Prices | None, told: Told) -> Admission:
        held = most(key, quote) if quote else _ZERO
        traffic = self._traffic_of(key)
        moment = traffic.enter(key)
        try:
            id = self._ledger.reserve(key, held, self._now())
        except BaseException:
            traffic.withdraw(moment)
            raise
        return Admission(self, key, id, held, quote, told)

    def _leave(self, key: Key) -> None:
        self._traffic_of(key).leave()

    def _traffic_of(self, key: Key, *, wait: bool = True) -> Traffic:
        traffic = self._traffic.get(key.name)
        if traffic is None:  # opened without our lock, which the event loop may need: all that are opened count alike
            traffic = self._traffic.setdefault(key.name, self._open(key.name, self._clock, wait=wait))
        return traffic


def open_gate(
    server: ServerConfig,
    *,
    clock: Callable[[], float],
    now: Callable[[], datetime],
    failed: Callable[[str], None] = lambda message: None,
    durable: bool = True,
) -> Gate:
    """The gate that the ``server`` section describes. ``failed`` is told when the accounts can not be used, once a minute.

    ``durable``: the file of accounts shall also outlive the machine.

    Raises ConfigError for a key that could be guessed, and for a file of accounts that can not be used.
    """
    failed = Quiet(failed, clock)
    try:
        ring = KeyRing(server.keys)
    except WeakKey as error:
        raise ConfigError(f"server.keys: {error}") from None
    if server.spend_file is None:
        return Gate(ring, LocalLedger(failed=failed), clock=clock, now=now)
    try:
        journal = Journal(server.spend_file, durable=durable)
        try:
            ledger = LocalLedger(journal, failed=failed)
        except (OSError, Damaged):
            journal.close()
            raise
    except OSError as error:
        raise ConfigError(f"server.spend_file: {server.spend_file}: {(error.strerror or str(error)).lower()}") from None
    except Damaged as error:
        raise ConfigError(f"server.spend_file: {server.spend_file}: {error}; move it away to begin anew") from None
    return Gate(ring, ledger, clock=clock, now=now, lasting=durable)


def _harmless(key: Key) -> tuple[type[Exception], ...]:
    return () if key.has_budget else (LascauxError,)


def _plain(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:f}"
