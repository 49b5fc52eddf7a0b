"""What a request is signed with, once it has been found. Neither form prints what it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Keys", "Proof", "Sealed", "Token"]


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key with its secret and, for temporary ones, its session token. Signs with SigV4."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: float | None = field(default=None, compare=False)
    """Unix time at which they end; None if they do not, or do not tell."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may never be shown."""
        return (self.secret_key,) if self.token is None else (self.secret_key, self.token)


@dataclass(frozen=True, slots=True)
class Token:
    """A Bedrock API key. Sent as ``Authorization: Bearer``."""

    value: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may never be shown."""
        return (self.value,)


Proof = Keys | Token


class Sealed(bytes):
    """Bytes on their way to AWS, signature included, that do not show in a traceback which prints variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} sealed bytes>"

    __str__ = __repr__
