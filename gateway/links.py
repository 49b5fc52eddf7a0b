"""``response_format: url``: pictures kept for a while in this process's memory, under links that nobody can make up."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cachetools import TTLCache

__all__ = ["Links", "Stored", "media_type"]

_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


def media_type(format: str) -> str:
    """``image/png`` for ``png``."""
    return _TYPES.get(format, "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture's file, and what kind it is."""

    data: bytes = field(repr=False)
    format: str

    @property
    def media_type(self) -> str:
        """``image/png``."""
        return media_type(self.format)


class Links:
    """Signed, expiring links to pictures.

    ``secret`` signs; without one, links end with this process, as the pictures do anyway. ``ttl`` is in seconds,
    ``max_bytes`` what all pictures together may take: beyond it the oldest go first. ``now`` gives seconds since 1970. For
    one event loop.
    """

    def __init__(
        self,
        *,
        secret: bytes | None = None,
        ttl: float = 3600.0,
        max_bytes: int = 256 * 1024 * 1024,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret or secrets.token_bytes(32)
        self._ttl = ttl
        self._now = now
        self._kept: TTLCache[str, Stored] = TTLCache(max_bytes, ttl, timer=now, getsizeof=lambda one: len(one.data))

    def keep(self, data: bytes, format: str) -> str | None:
        """Keep a picture and give the path of its link; None if it is larger than all there is room for.

        The same picture has the same name: what is asked for again takes no more memory.
        """
        name = f"{hashlib.blake2b(data, digest_size=16, key=self._secret[:64]).hexdigest()}.{format}"
        try:
            self._kept[name] = Stored(data, format)
        except ValueError:
            return None
        expires = int(self._now() + self._ttl)
        return f"{name}?expires={expires}&signature={self._sign(name, str(expires))}"

    def find(self, name: str, expires: str, signature: str) -> Stored | None:
        """The picture, if the link is ours and not over, and the picture still here."""
        good = hmac.compare_digest(self._sign(name, expires).encode(), signature.encode("utf-8", "replace"))
        if not good or not expires.isascii() or not expires.isdecimal() or int(expires) <= self._now():
            return None
        found: Stored | None = self._kept.get(name)
        return found

    def _sign(self, name: str, expires: str) -> str:
        message = f"{name}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
