"""Identical calls cost once: a bounded store of answers, and single flight for calls under way."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import orjson
from cachetools import Cache as Store
from cachetools import TLRUCache

from ..pricing import Cost
from ..providers.quick import quick
from ..providers.types import Call, ImageResult, Target

__all__ = ["Cache", "Copy", "Entry", "Flight", "Flights", "MemoryCache", "NoCache", "call_key"]

_KEY_VERSION = b"lascaux-call-1\0"


@quick
@dataclass(frozen=True, slots=True)
class Entry:
    """An answer worth keeping, with what it cost and where it came from."""

    result: ImageResult
    cost: Cost
    target: Target
    call: Call

    @property
    def size(self) -> int:
        """Bytes of memory, near enough: base64 text plus a flat sum for the rest."""
        return 2048 + sum(len(image.letters) for image in self.result.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An entry as it stands in a cache: under which key, and for how many seconds."""

    key: str
    entry: Entry
    age: float


def call_key(call: Call, tenant: str = "") -> str:
    """The digest under which equal calls meet.

    It covers base model, canonical body (`Call.told`), guardrail headers and tenant. Region, deployment, profile and
    credentials are not part of it: they decide who answers, not what.
    """
    digest = _begun(tenant, call.model, tuple(call.headers.items())).copy()
    digest.update(orjson.dumps(call.told, option=orjson.OPT_SORT_KEYS))
    digest.update(b"\0")
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _begun(tenant: str, model: str, headers: tuple[tuple[str, str], ...]) -> hashlib.blake2b:
    """The digest of what nearly all requests have in common."""
    digest = hashlib.blake2b(_KEY_VERSION, digest_size=16)
    for part in (tenant, model, dict(headers)):
        digest.update(orjson.dumps(part, option=orjson.OPT_SORT_KEYS))
        digest.update(b"\0")
    return digest


class Cache(Protocol):
    """Where answers are kept. Thread-safe. Losing an entry is never an error."""

    def lookup(self, keys: Iterable[str]) -> Entry | None:
        """The first entry found under one of the keys."""
        ...

    def peek(self, keys: Iterable[str]) -> Entry | None:
        """What `lookup` would find. Changes nothing, not even what is dropped next."""
        ...

    def copy(self, keys: Iterable[str]) -> Copy | None:
        """What `peek` would find, to be adopted elsewhere."""
        ...

    def store(self, key: str, entry: Entry) -> None:
        """Keep an entry, or not."""
        ...

    def adopt(self, copy: Copy) -> None:
        """Keep what another cache has kept before, no longer than it would, or not."""
        ...

    def renew(self) -> None:
        """After a fork: nobody holds our locks."""
        ...


class NoCache:
    """Keeps nothing."""

    def lookup(self, keys: Iterable[str]) -> Entry | None:
        """Nothing is ever found."""
        return None

    def peek(self, keys: Iterable[str]) -> Entry | None:
        """Nothing is ever found."""
        return None

    def copy(self, keys: Iterable[str]) -> Copy | None:
        """Nothing is ever found."""
        return None

    def store(self, key: str, entry: Entry) -> None:
        """Nothing is kept."""

    def adopt(self, copy: Copy) -> None:
        """Nothing is kept."""

    def renew(self) -> None:
        """Nothing is held."""


_Kept = tuple[float, Entry]
"""When it was stored, and the answer."""


class MemoryCache:
    """Answers of this process: least recently used first out, at most ``max_bytes``, each for ``ttl`` seconds."""

    def __init__(self, *, max_bytes: int, ttl: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.ttl = ttl
        self._entries = self._empty(max_bytes)
        self._lock = threading.Lock()

    def _empty(self, max_bytes: int) -> TLRUCache[str, _Kept]:
        return TLRUCache(
            maxsize=max_bytes,
            ttu=lambda _, kept, __: kept[0] + self.ttl,
            timer=self._clock,
            getsizeof=lambda kept: kept[1].size,
        )

    @property
    def max_bytes(self) -> int:
        """Most that is kept."""
        return int(self._entries.maxsize)

    def resize(self, *, max_bytes: int, ttl: float) -> None:
        """Let other bounds hold from now on. Entries that fit them stay, each as old as it is."""
        with self._lock:
            old = self._entries
            self.ttl = ttl
            self._entries = self._empty(max_bytes)
            for _ in range(len(old)):
                key, kept = old.popitem()  # the least recently used first, so that those used last stay
                if kept[1].size <= max_bytes:
                    self._entries[key] = kept

    def lookup(self, keys: Iterable[str]) -> Entry | None:
        """The first entry found under one of the keys."""
        with self._lock:
            for key in keys:
                kept = self._entries.get(key)
                if kept is not None:
                    return kept[1]
        return None

    def peek(self, keys: Iterable[str]) -> Entry | None:
        """What `lookup` would find. Looking does not count as use."""
        copy = self.copy(keys)
        return None if copy is None else copy.entry

    def copy(self, keys: Iterable[str]) -> Copy | None:
        """What `peek` would find, to be adopted elsewhere."""
        with self._lock:
            held = next((key for key in keys if key in self._entries), None)
            if held is None:
                return None
            stored, entry = Store.__getitem__(self._entries, held)  # the base class counts no use
            return Copy(key=held, entry=entry, age=self._clock() - stored)

    def store(self, key: str, entry: Entry) -> None:
        """Keep an entry; one that is larger than the whole cache is not kept."""
        with self._lock:
            if entry.size <= self._entries.maxsize:
                self._entries[key] = (self._clock(), entry)

    def adopt(self, copy: Copy) -> None:
        """Keep what another cache has kept before: it ends when it would have ended there. Our own is not replaced."""
        with self._lock:
            if copy.key not in self._entries and copy.entry.size <= self._entries.maxsize:
                self._entries[copy.key] = (self._clock() - max(copy.age, 0.0), copy.entry)

    def renew(self) -> None:
        """After a fork: nobody holds our lock."""
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Bytes in use."""
        with self._lock:
            self._entries.expire()
            return int(self._entries.currsize)

    def __len__(self) -> int:
        with self._lock:
            self._entries.expire()
            return len(self._entries)


T = TypeVar("T")


class Flight(Generic[T]):
    """One request under way, and whether we are the one who makes it. ``party`` is what the leader was started by."""

    __slots__ = ("_ended", "_outcome", "flights", "key", "leader", "party")

    def __init__(
        self,
        key: str,
        flights: Flights[T],
        party: object = None,
        *,
        leader: bool = True,
        outcome: Future[T | None] | None = None,
    ) -> None:
        self.key = key
        self.flights = flights
        self.party = party
        self.leader = leader
        self._outcome = outcome
        self._ended: tuple[T | Exception | None] | None = None

    @property
    def outcome(self) -> Future[T | None]:
        """Ends with the leader's outcome, with its error, or with None when the leader went away.

        Then one of those who waited takes over. It is made when somebody asks: nearly always nobody waits.
        """
        with self.flights.lock:
            return self._awaited()

    def _awaited(self) -> Future[T | None]:
        """Under the lock of the flights."""
        if self._outcome is None:
            self._outcome = Future()
            if self._ended is not None:
                _settle(self._outcome, self._ended[0])
        return self._outcome

    def joined(self) -> Flight[T]:
        """The same for a passenger. Under the lock of the flights."""
        return Flight(self.key, self.flights, self.party, leader=False, outcome=self._awaited())

    def seen_by(self, party: object) -> Flight[T]:
        """The flight as another party shall see it: an answer is an answer, but a failure may have been due to who asked."""
        if party is self.party or not self.outcome.done() or self.outcome.exception() is None:
            return self
        nothing: Future[T | None] = Future()
        nothing.set_result(None)
        return Flight(self.key, self.flights, self.party, leader=self.leader, outcome=nothing)

    def land(self, outcome: T | Exception | None) -> None:
        """End the flight we lead, whatever came of it."""
        with self.flights.lock:
            self.flights.forget(self.key)
            self._ended = (outcome,)
            awaited = self._outcome
        if awaited is not None:
            _settle(awaited, outcome)


def _settle(future: Future[T | None], outcome: T | Exception | None) -> None:
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Flights(Generic[T]):
    """Requests under way, by key. Thread-safe; nothing is left behind when a flight has ended."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._flights: dict[str, Flight[T]] = {}

    def join(self, key: str, party: object = None) -> Flight[T]:
        """Become the leader of a new flight, or a passenger of the one under way."""
        with self.lock:
            found = self._flights.get(key)
            if found is not None:
                return found.joined()
            made = self._flights[key] = Flight(key, self, party)
            return made

    def find(self, key: str) -> Flight[T] | None:
        """The one under way, None if there is none. Joins nothing."""
        return self._flights.get(key)

    def forget(self, key: str) -> None:
        """Remove a flight. Under the lock."""
        self._flights.pop(key, None)

    def __len__(self) -> int:
        return len(self._flights)
