"""Answers that other processes have, which do the same work side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from .cache import Cache, Copy, Entry

__all__ = ["Elsewhere", "Glance"]


class Elsewhere(Protocol):
    """The caches of other processes. Whoever can not be asked has nothing: no error is raised."""

    def find(self, keys: tuple[str, ...], flight: str) -> asyncio.Future[Copy | None]:
        """An entry under one of the keys. A ``flight`` of that key which is under way there is waited for; "" is none.

        What this process says meanwhile to others who ask for that flight is settled before this returns. May be cancelled.
        """
        ...


class Glance:
    """A cache to look into only, with what was found elsewhere; it notes what it was asked for in vain."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._found: dict[str, Entry] = {}
        self._asked: set[tuple[str, ...]] = set()
        self._missed: set[tuple[str, ...]] = set()

    def peek(self, keys: Iterable[str]) -> Entry | None:
        """What there is, here or as far as it was sought elsewhere."""
        keys = tuple(keys)
        entry = self._cache.peek(keys) or next((self._found[key] for key in keys if key in self._found), None)
        if entry is None:
            self._missed.add(keys)
        return entry

    async def seek(self, elsewhere: Elsewhere) -> bool:
        """Ask elsewhere for all that was missed, once. True if something was found: then it pays to look again."""
        missed = self._missed - self._asked
        self._asked |= missed
        copies = await asyncio.gather(*(elsewhere.find(keys, "") for keys in missed))
        found = {copy.key: copy.entry for copy in copies if copy is not None}
        self._found |= found
        return bool(found)
