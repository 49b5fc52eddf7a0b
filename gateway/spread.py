"""JSON with large pictures in it, in parts: their base64 is sent from where it was received, and copied nowhere."""

from __future__ import annotations

import secrets
from typing import Any

import orjson

from ..providers.types import Image

__all__ = ["VIEWS", "Body", "Slots", "Spread"]

VIEWS = "lascaux.views"
"""In the state of a request whose server sends a view as it is. Others are given bytes, as ASGI has it."""

_MARK = secrets.token_hex(16)
"""Stands in the place of a picture until everything else is written. Nobody outside knows it, so nobody can write it."""
_QUOTED = f'"{_MARK}"'.encode()
_WORTH = 16 * 1024
"""Letters of a picture above which a copy costs more than a part more."""


class Spread:
    """Bytes in several parts, which are sent one after the other."""

    __slots__ = ("_size", "parts")

    def __init__(self, *parts: bytes | memoryview | Spread) -> None:
        """Views are of single bytes."""
        self.parts: tuple[bytes | memoryview, ...] = tuple(
            one for part in parts for one in (part.parts if isinstance(part, Spread) else (part,))
        )
        self._size = sum(map(len, self.parts))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


Body = bytes | Spread
"""What is sent as the body of an answer."""


class Slots:
    """Pictures of one document, in the order in which they stand in it.

    A picture of 1.5 MB was copied twice and scanned once: 3 ms of CPU, a third of a request (2026-11, x86-64).
    """

    def __init__(self) -> None:
        self._letters: list[memoryview] = []

    def put(self, image: Image) -> str:
        """What to write as its base64."""
        letters = image.letters
        if isinstance(letters, str) or len(letters) < _WORTH:
            return image.b64
        self._letters.append(letters)  # base64 to its last letter, so there is nothing to escape
        return _MARK

    def written(self, document: Any) -> Body:
        """The document as JSON. Every picture that was put must stand in it, in the same order."""
        whole = orjson.dumps(document)
        if not self._letters:
            return whole
        first, *between = whole.split(_QUOTED)
        parts: list[bytes | memoryview] = [first]
        for letters, rest in zip(self._letters, between, strict=True):
            parts[-1] = bytes(parts[-1]) + b'"'
            parts += (letters, b'"' + rest)
        return Spread(*parts)
