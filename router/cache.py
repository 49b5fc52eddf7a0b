"""Identical calls cost once: a bounded store of answers, and single flight for calls under way."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import orjson
from cachetools import TTLCache

from ..pricing import Cost
from ..providers.types import Call, ImageResult, Target

__all__ = ["Cache", "Entry", "Flight", "Flights", "MemoryCache", "NoCache", "call_key"]

_KEY_VERSION = b"lascaux-call-1\0"


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
        return 2048 + sum(len(image.b64) for image in self.result.images)


def call_key(call: Call, tenant: str = "") -> str:
    """The digest under which equal calls meet.

    It covers base model, canonical body, guardrail headers and tenant. Region, deployment, profile and credentials are
    not part of it: they decide who answers, not what.
    """
    digest = hashlib.blake2b(_KEY_VERSION, digest_size=16)
    for part in (tenant, call.model, dict(call.headers), call.body):
        digest.update(orjson.dumps(part, option=orjson.OPT_SORT_KEYS))
        digest.update(b"\0")
    return digest.hexdigest()


class Cache(Protocol):
    """Where answers are kept. Thread-safe. Losing an entry is never an error."""

    def lookup(self, keys: Iterable[str]) -> Entry | None:
        """The first entry found under one of the keys."""
        ...

    def holds(self, keys: Iterable[str]) -> bool:
        """Would `lookup` find something? Changes nothing, not even what is dropped next."""
        ...

    def store(self, key: str, entry: Entry) -> None:
        """Keep an entry, or not."""
        ...

    def renew(self) -> None:
        """After a fork: nobody holds our locks."""
        ...


class NoCache:
    """Keeps nothing."""

    def lookup(self, keys: Iterable[str]) -> Entry | None:
        """Nothing is ever found."""
        return None

    def holds(self, keys: Iterable[str]) -> bool:
        """Nothing is ever found."""
        return False

    def store(self, key: str, entry: Entry) -> None:
        """Nothing is kept."""

    def renew(self) -> None:
        """Nothing is held."""


class MemoryCache:
    """Answers of this process: least recently used first out, at most ``max_bytes``, each for ``ttl`` seconds."""

    def __init__(self, *, max_bytes: int, ttl: float, clock: Callable[[], float]) -> None:
        self._entries: TTLCache[str, Entry] = TTLCache(
            maxsize=max_bytes, ttl=ttl, timer=clock, getsizeof=lambda entry: entry.size
        )
        self._lock = threading.Lock()

    def lookup(self, keys: Iterable[str]) -> Entry | None:
        """The first entry found under one of the keys."""
        with self._lock:
            for key in keys:
                entry = self._entries.get(key)
                if entry is not None:
                    return entry
        return None

    def holds(self, keys: Iterable[str]) -> bool:
        """Would `lookup` find something? Looking does not count as use."""
        with self._lock:
            return any(key in self._entries for key in keys)

    def store(self, key: str, entry: Entry) -> None:
        """Keep an entry; one that is larger than the whole cache is not kept."""
        with self._lock:
            if entry.size <= self._entries.maxsize:
                self._entries[key] = entry

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


@dataclass(frozen=True, slots=True, eq=False)
class Flight(Generic[T]):
    """One request under way, and whether we are the one who makes it.

    The future ends with the leader's outcome, with its error, or with None when the leader went away: then one
    of those who waited takes over.
    """

    key: str
    leader: bool
    outcome: Future[T | None]
    flights: Flights[T]

    def land(self, outcome: T | Exception | None) -> None:
        """End the flight we lead, whatever came of it."""
        self.flights.remove(self.key)
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class Flights(Generic[T]):
    """Requests under way, by key. Thread-safe; nothing is left behind when a flight has ended."""

    def __init__(self) -> None:
        self._flights: dict[str, Future[T | None]] = {}
        self._lock = threading.Lock()

    def join(self, key: str) -> Flight[T]:
        """Become the leader of a new flight, or a passenger of the one under way."""
        with self._lock:
            outcome = self._flights.get(key)
            if outcome is not None:
                return Flight(key, False, outcome, self)
            outcome = self._flights[key] = Future()
            return Flight(key, True, outcome, self)

    def remove(self, key: str) -> None:
        """Forget a flight."""
        with self._lock:
            self._flights.pop(key, None)

    def __len__(self) -> int:
        return len(self._flights)
