"""``response_format: url``: pictures kept for a while in memory, under links that nobody can make up.

A picture is kept by the worker that has made it; the others ask for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cachetools import TTLCache

from .peers import Peers

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

    ``secret`` signs; without one, links end with this process (or all workers), as the pictures do. ``ttl`` is in seconds,
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
        self._secret = secret
        self._peers = Peers.none()
        self._ttl = ttl
        self._now = now
        self._kept: TTLCache[str, Stored] = TTLCache(max_bytes, ttl, timer=now, getsizeof=lambda one: len(one.data))

    def share(self, peers: Peers) -> None:
        """Find the pictures of all workers, whose links are signed alike. To be called before the first `keep`."""
        self._peers = peers
        self._secret = self._secret or peers.secret("links")
        peers.answer("picture", self._picture)

    def keep(self, data: bytes, format: str) -> str | None:
        """Keep a picture and give the path of its link; None if it is larger than all there is room for.

        The same picture has the same name: what is asked for again takes no more memory.
        """
        name = f"{hashlib.blake2b(data, digest_size=16, key=self._key[:64]).hexdigest()}.{format}"
        try:
            self._kept[name] = Stored(data, format)
        except ValueError:
            return None
        expires = int(self._now() + self._ttl)
        return f"{name}?expires={expires}&signature={self._sign(name, str(expires))}"

    def find(self, name: str, expires: str, signature: str) -> Stored | None:
        """The picture, if the link is ours and not over, and the picture still here."""
        found: Stored | None = self._kept.get(name) if self._good(name, expires, signature) else None
        return found

    async def seek(self, name: str, expires: str, signature: str) -> Stored | None:
        """The same, and if it is not here, it may be with another worker."""
        found = self.find(name, expires, signature)
        if found is None and self._peers.others and self._good(name, expires, signature):
            for data in (await self._peers.elsewhere("picture", name.encode())).values():
                return Stored(data, name.rpartition(".")[2])
        return found

    def _picture(self, question: bytes) -> bytes | None:
        found: Stored | None = self._kept.get(question.decode())
        return None if found is None else found.data

    def _good(self, name: str, expires: str, signature: str) -> bool:
        good = hmac.compare_digest(self._sign(name, expires).encode(), signature.encode("utf-8", "replace"))
        return good and expires.isascii() and expires.isdecimal() and int(expires) > self._now()

    @property
    def _key(self) -> bytes:
        if self._secret is None:
            self._secret = secrets.token_bytes(32)
        return self._secret

    def _sign(self, name: str, expires: str) -> str:
        message = f"{name}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()
