"""The routers behind the functions: one for each way to connect, kept as long as it is of use."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
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
            idle = [one for key in tuple(self._connections) if (one := self._drop(key))]
        _close(idle)

    def _enter(self, key: bytes, make: Callable[[], Connection]) -> Connection:
        idle = []
        with self._lock:
            found = self._connections.get(key)
            if found is None:
                found = self._connections[key] = make()
                while len(self._connections) > self._most:
                    idle.append(self._drop(next(iter(self._connections))))
            self._connections.move_to_end(key)
            found.users += 1
        _close(one for one in idle if one)
        return found

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


def _close(connections: Any) -> None:
    for connection in connections:
        connection.router.close()
