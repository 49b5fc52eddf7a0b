"""The routers behind the functions: one for each way to connect, kept as long as it is of use."""

from __future__ import annotations

import copy
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..providers.types import Warning
from ..router.client import Router

__all__ = ["Connection", "Routers"]

_MOST = 64


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """A router, and what is odd about the arguments it was made from. ``users`` counts the calls under way."""

    router: Router
    warnings: tuple[Warning, ...] = ()
    users: int = 0
    dropped: bool = field(default=False)


class Routers:
    """At most ``most`` connections; the one used longest ago goes first, when its calls have ended. Thread-safe.

    Keys are digests under a key of their own, so that no secret stays in them.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._salt = os.urandom(32)
        self.forget()

    def forget(self) -> None:
        """Begin anew without closing anything: after a fork, the connections belong to the parent."""
        self._lock = threading.Lock()
        self._connections: OrderedDict[bytes, Connection] = OrderedDict()
        self._building: dict[bytes, Future[None]] = {}

    def __len__(self) -> int:
        return len(self._connections)

    @contextmanager
    def connection(self, facts: Mapping[str, Any], make: Callable[[], Connection]) -> Iterator[Connection]:
        """The connection made from the same facts, or a new one. It stays open at least as long as it is in use."""
        found = self._enter(self._digest(facts), make)
        try:
            yield found
        finally:
            self._leave(found)

    def close(self) -> None:
        """Close everything; what is in use, when its calls have ended. A later call connects anew."""
        with self._lock:
            self._building.clear()  # what is being made is for those calls alone
            idle = [one for key in tuple(self._connections) if (one := self._drop(key))]
        _close(idle)

    def _enter(self, key: bytes, make: Callable[[], Connection]) -> Connection:
        while True:
            with self._lock:
                found = self._connections.get(key)
                if found is not None:
                    self._connections.move_to_end(key)
                    found.users += 1
                    return found
                others = self._building.get(key)
                if others is None:
                    mine = self._building[key] = Future()
            if others is None:
                return self._build(key, mine, make)
            if error := others.exception():
                raise _twin(error)

    def _build(self, key: bytes, mine: Future[None], make: Callable[[], Connection]) -> Connection:
        """Make a connection while other calls go on, for it may take long; those who want the same wait for ``mine``."""
        made, failure = None, None
        try:
            made = make()
        except Exception as error:
            failure = error
            raise
        finally:
            # After an interrupt of this call there is neither; then the next in the queue tries.
            idle = self._built(key, mine, made)
            if failure:
                mine.set_exception(failure)
            else:
                mine.set_result(None)
        _close(idle)
        return made

    def _built(self, key: bytes, mine: Future[None], made: Connection | None) -> list[Connection]:
        """Let everybody have a new connection; the connections that had to go for it and that nobody uses."""
        idle = []
        with self._lock:
            kept = self._building.get(key) is mine  # nobody closed everything, and there was no fork
            if kept:
                del self._building[key]
            if made:
                made.users += 1
                made.dropped = not kept
                if kept:
                    self._connections[key] = made
            while len(self._connections) > self._most:
                idle.append(self._drop(next(iter(self._connections))))
        return [one for one in idle if one]

    def _leave(self, connection: Connection) -> None:
        with self._lock:
            connection.users -= 1
            over = connection.dropped and not connection.users
        _close([connection] if over else [])

    def _drop(self, key: bytes) -> Connection | None:
        """Take a connection out; it is returned if nobody uses it any more."""
        dropped = self._connections.pop(key)
        dropped.dropped = True
        return None if dropped.users else dropped

    def _digest(self, facts: Mapping[str, Any]) -> bytes:
        plain = orjson.dumps(facts, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        return hashlib.blake2b(plain, key=self._salt, digest_size=16).digest()


def _twin(error: BaseException) -> BaseException:
    """The same failure for another thread, which adds its own traceback."""
    twin = copy.copy(error)
    twin.__cause__, twin.__suppress_context__ = error.__cause__, error.__suppress_context__
    return twin


def _close(connections: Any) -> None:
    for connection in connections:
        connection.router.close()
