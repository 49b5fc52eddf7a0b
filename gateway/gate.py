"""The gate that every request passes: who asks, may they, are there places left, is there money. Knows nothing of HTTP."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

from ..router.config.server import ServerConfig
from ..router.errors import ConfigError
from ..router.explain import Quote
from ..router.records import Result
from .bills import bill, most
from .books import Damaged
from .errors import Refused
from .journal import Journal
from .keys import ANYBODY, Key, KeyRing, WeakKey, bearer_token
from .limits import Traffic
from .spend import Ledger, LocalLedger

__all__ = ["Admission", "Gate", "open_gate"]

_ZERO = Decimal(0)


class Gate:
    """Keys, limits and budgets of one configuration. Safe to use from many threads.

    ``clock`` gives seconds that never go back, ``now`` the time of day. Without keys everybody is `ANYBODY`, who has no
    limits and is no admin; what they spend is counted all the same. With `follow`, the keys of a changed configuration
    count from the next request on.
    """

    def __init__(
        self, ring: KeyRing, ledger: Ledger, *, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._ring = ring
        self._ledger = ledger
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._traffic: dict[str, Traffic] = {}
        self._server: ServerConfig | None = None
        self._source: Callable[[], ServerConfig] | None = None
        self._failed: Callable[[str], None] = lambda message: None

    def follow(self, source: Callable[[], ServerConfig], failed: Callable[[str], None]) -> None:
        """Take the keys from ``source`` whenever it gives another configuration.

        Limits and accounts go on by name. Keys that can not be used, or none where there were some, change nothing:
        ``failed`` is told once, and the old ones count.
        """
        self._server, self._source, self._failed = source(), source, failed

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
            raise Refused(told, status=401, code="invalid_api_key")
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

    @property
    def shared(self) -> bool:
        """True if the accounts are those of every process that uses them."""
        return self._ledger.shared

    def named(self, name: str) -> Key:
        """The key of that name, for a caller who has proved in another way that it is theirs.

        Raises `Refused` (401) if a changed configuration has no such key any more.
        """
        key = self._keys().keys.get(name)
        if key is None:
            raise Refused("the API key is not valid here", status=401, code="invalid_api_key")
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

    def admit(self, key: Key, alias: str, ask: Callable[[], Quote]) -> Admission:
        """A place for one request, and the money it may cost. ``ask`` is called if the key's money is limited.

        Raises `Refused`: 403 (alias, unknown price), 429 (rpm, concurrency, money), 503 (the accounts can not be read);
        and what ``ask`` raises.
        """
        self._look(key, alias)
        return self._enter(key, ask() if key.has_budget else None)

    async def admit_soon(self, key: Key, alias: str, ask: Callable[[], Awaitable[Quote]]) -> Admission:
        """`admit`, for a quote that has to be awaited."""
        self._look(key, alias)
        return self._enter(key, await ask() if key.has_budget else None)

    def usage(self, key: Key) -> dict[str, Any]:
        """What a key has spent and has under way, beside its limits: plain data for JSON, money as text."""
        now = self._now()
        spent = self._ledger.spent(key.name, now)
        with self._lock:
            traffic = self._traffic.get(key.name)
            in_flight = traffic.in_flight if traffic else 0
            used = traffic.used(self._clock()) if traffic else 0
        return {
            "key": key.name,
            "day": now.astimezone(UTC).date().isoformat(),
            "usd_today": _plain(spent.day),
            "usd_per_day": _plain(key.usd_per_day),
            "usd_this_month": _plain(spent.month),
            "usd_per_month": _plain(key.usd_per_month),
            "usd_reserved": _plain(spent.open),
            "in_flight": in_flight,
            "concurrency": key.concurrency,
            "requests_last_minute": used if key.rpm is not None else None,
            "rpm": key.rpm,
            "aliases": None if key.aliases is None else list(key.aliases),
            "admin": key.admin,
        }

    def usage_of_all(self) -> list[dict[str, Any]]:
        """The same for every key, in the order of the configuration."""
        return [self.usage(key) for key in (self._keys().keys.values() or (ANYBODY,))]

    def close(self) -> None:
        """Write down what is left to be written."""
        self._ledger.close()

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

    def _look(self, key: Key, alias: str) -> None:
        """What can be said before anything is worked out."""
        self.permit(key, alias)
        with self._lock:
            self._traffic_of(key).check(key, self._clock())

    def _enter(self, key: Key, quote: Quote | None) -> Admission:
        held = most(key, quote) if quote else _ZERO
        with self._lock:
            traffic, moment = self._traffic_of(key), self._clock()
            traffic.check(key, moment)
            traffic.enter(key, moment)
        try:
            id = self._ledger.reserve(key, held, self._now())
        except BaseException:
            with self._lock:
                traffic.withdraw(moment)
            raise
        return Admission(self, key, id, held, quote)

    def _settle(self, key: Key, id: str, usd: Decimal) -> None:
        with self._lock:
            self._traffic_of(key).leave()
        self._ledger.settle(id, usd)

    def _traffic_of(self, key: Key) -> Traffic:
        return self._traffic.setdefault(key.name, Traffic())


class Admission:
    """A request that was let in. Use it as a context manager around the call, and `settle` inside with the result.

    Left with an error, what that error may have cost is settled: nothing, if nobody was billed. Left in any other way, all
    that was reserved counts as spent.
    """

    __slots__ = ("_gate", "_id", "_over", "_quote", "key", "reserved")

    def __init__(self, gate: Gate, key: Key, id: str, held: Decimal, quote: Quote | None) -> None:
        self.key = key
        self.reserved = held
        """US dollars that were set aside."""
        self._gate = gate
        self._id = id
        self._quote = quote
        self._over = False

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle(error)

    def settle(self, outcome: Result | BaseException | None) -> Decimal | None:
        """Put the bill in the place of the reservation, and give the place back. Only the first time counts.

        Returns the US dollars that were settled, None if it was settled before.
        """
        if self._over:
            return None
        return self._end(bill(outcome, self.reserved, self._quote))

    def withdraw(self) -> None:
        """Give everything back: the request failed here, before anybody was asked."""
        if not self._over:
            self._end(_ZERO)

    def _end(self, usd: Decimal) -> Decimal:
        self._over = True
        self._gate._settle(self.key, self._id, usd)
        return usd


def open_gate(
    server: ServerConfig,
    *,
    clock: Callable[[], float],
    now: Callable[[], datetime],
    failed: Callable[[str], None] = lambda message: None,
) -> Gate:
    """The gate that the ``server`` section describes. ``failed`` is told when the accounts can not be written.

    Raises ConfigError for a key that could be guessed, and for a file of accounts that can not be used.
    """
    try:
        ring = KeyRing(server.keys)
    except WeakKey as error:
        raise ConfigError(f"server.keys: {error}") from None
    if server.spend_file is None:
        return Gate(ring, LocalLedger(failed=failed), clock=clock, now=now)
    try:
        journal = Journal(server.spend_file)
        try:
            ledger = LocalLedger(journal, failed=failed)
        except (OSError, Damaged):
            journal.close()
            raise
    except OSError as error:
        raise ConfigError(f"server.spend_file: {server.spend_file}: {(error.strerror or str(error)).lower()}") from None
    except Damaged as error:
        raise ConfigError(f"server.spend_file: {server.spend_file}: {error}; move it away to begin anew") from None
    return Gate(ring, ledger, clock=clock, now=now)


def _plain(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:f}"
