"""Keys that clients show: made once, kept as salted hashes, found in one look-up and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from secrets import token_bytes

from ..router.config.server import HASH, KeyConfig, fits

__all__ = ["ANYBODY", "Key", "KeyRing", "NewKey", "WeakKey", "bearer_token"]

_KEY = re.compile(r"lsk-(?P<id>[a-z2-7]{12})-(?P<secret>[a-z2-7]{52})")
_PERSON = b"lascaux.key"
_LONGEST = 512
"""Characters of a key that are looked at. Ours have 69."""
_SHORTEST = 16
"""Characters that a key made elsewhere must have: shorter ones can be guessed."""

Source = Callable[[int], bytes]
"""So many random bytes."""


class WeakKey(ValueError):
    """A key that comes from a variable is empty or can be guessed. The message does not repeat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Who asks, and what is allowed. Holds nothing secret; ``None`` is no limit, ``aliases`` None is all."""

    name: str
    admin: bool = False
    aliases: tuple[str, ...] | None = None
    rpm: int | None = None
    concurrency: int | None = None
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None
    allow_unknown_price: bool = False

    @classmethod
    def of(cls, config: KeyConfig) -> Key:
        """The key of an entry of the configuration."""
        return cls(**{name: getattr(config, name) for name in cls.__slots__})

    @property
    def has_budget(self) -> bool:
        """True if its money is limited, so that a quote is needed before each call."""
        return self.usd_per_day is not None or self.usd_per_month is not None

    def may_use(self, alias: str) -> bool:
        """True if the key may ask for what a client calls ``alias``."""
        return self.aliases is None or any(fits(allowed, alias) for allowed in self.aliases)


ANYBODY = Key(name="anybody")
"""Who asks where no keys are configured. Never an admin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A fresh key. ``text`` is shown once and kept nowhere; ``hash`` goes into the configuration."""

    id: str
    text: str = field(repr=False)
    hash: str

    @classmethod
    def make(cls, source: Source = token_bytes) -> NewKey:
        """A key with 256 random bits: ``lsk-<id>-<secret>``."""
        known, secret, salt = _word(source(8))[:12], _word(source(32)), source(16)
        digest = _digest(secret, salt)
        return cls(id=known, text=f"lsk-{known}-{secret}", hash=f"blake2b:{known}:{salt.hex()}:{digest.hex()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    key: Key | None
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)


class KeyRing:
    """All keys of a configuration. Checking one costs the same whoever asks, with a right key or a wrong one.

    Ours are found by their id. A key made elsewhere (LiteLLM's ``master_key``) has none: it is found by a digest under a
    secret of this process. Neither look-up tells anything about the secret; only `hmac.compare_digest` decides.

    A fast hash is enough, and better: our secrets have 256 random bits, so a stolen hash can not be guessed at any speed,
    while a slow one would let strangers buy our CPU time with wrong keys.
    """

    __slots__ = ("_decoy", "_entries", "_pepper", "keys")

    def __init__(self, keys: Iterable[KeyConfig] = (), source: Source = token_bytes) -> None:
        """Raises WeakKey if a key given as such is empty or too short to be a secret."""
        self._pepper = source(32)
        self._decoy = _Entry(key=None, salt=source(16), digest=source(32))
        self._entries: dict[str, _Entry] = {}
        self.keys: dict[str, Key] = {}
        """All of them by name."""
        for config in keys:
            self.keys[config.name] = Key.of(config)
            place, entry = self._hashed(config) if config.hash else self._plain(config, source)
            self._entries[place] = entry

    def find(self, text: str) -> Key | None:
        """The key that was shown, or None if there is no such key."""
        place, secret = self._place(text[: _LONGEST + 1])
        entry = self._entries.get(place, self._decoy)
        right = hmac.compare_digest(_digest(secret, entry.salt), entry.digest)
        return entry.key if right else None

    def _place(self, text: str) -> tuple[str, str]:
        """Where it would be, and the part that has to be right."""
        ours = _KEY.fullmatch(text)
        if ours:
            return ours["id"], ours["secret"]
        raw = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, key=self._pepper, digest_size=32).hexdigest(), text

    def _hashed(self, config: KeyConfig) -> tuple[str, _Entry]:
        if not HASH.fullmatch(config.hash or ""):
            raise WeakKey(f"the hash of key {config.name!r} is none")
        _, known, salt, digest = (config.hash or "").split(":")
        return known, _Entry(key=Key.of(config), salt=bytes.fromhex(salt), digest=bytes.fromhex(digest))

    def _plain(self, config: KeyConfig, source: Source) -> tuple[str, _Entry]:
        text = config.key.get_secret_value() if config.key else ""
        if not text:
            raise WeakKey(f"key {config.name!r} is empty: the variable that should hold it is not set")
        if not _SHORTEST <= len(text) <= _LONGEST:
            raise WeakKey(f"key {config.name!r} must have {_SHORTEST} to {_LONGEST} characters: others can be guessed")
        place, secret = self._place(text)
        salt = source(16)
        return place, _Entry(key=Key.of(config), salt=salt, digest=_digest(secret, salt))


def bearer_token(authorization: str | None) -> str | None:
    """What stands after ``Bearer`` in an Authorization header; None if it says something else, or nothing."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _digest(secret: str, salt: bytes) -> bytes:
    raw = secret.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, salt=salt, person=_PERSON, digest_size=32).digest()


def _word(raw: bytes) -> str:
    return b32encode(raw).decode().rstrip("=").lower()
