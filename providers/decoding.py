"""Opening a picture's pixels: no more of them than its header told, and not too many at a time in this process."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .picture_files import MAX_PIXELS

__all__ = ["MOST_AT_ONCE", "OtherSize", "Room", "conversions", "decoded"]

MOST_AT_ONCE = MAX_PIXELS
"""Pixels of pictures that are being converted at the same time. Each takes about 12 bytes: two copies and the new file."""


class OtherSize(ValueError):
    """What would be decoded is larger than what the file said of itself, or of another size."""


def decoded(data: bytes, size: tuple[int, int]) -> Any:
    """The Pillow image of ``data``, whose header was read as ``size``.

    Decoders do not all go by the same header where a file has two, so Pillow's own reading is held against ``size`` before
    a pixel is decoded. Raises OtherSize, and whatever Pillow's decoders raise on damage.
    """
    from PIL import Image as Pillow

    image = Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
    if image.size != size or size[0] * size[1] > MAX_PIXELS:
        found = f"{image.width}x{image.height}"
        image.close()
        raise OtherSize(f"it says {size[0]}x{size[1]} pixels, and holds {found}")
    image.load()
    return image


class Room:
    """Space for ``limit`` of something. Whoever wants more than there is left waits; one that wants too much goes alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.renew()

    def renew(self) -> None:
        """Forget who is in it: in a child process nobody is."""
        self._left = self._limit
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Have ``amount`` of the space, waiting for it if need be."""
        amount = min(amount, self._limit)
        with (
            self._turn,
            self._changed,
        ):  # a turn is kept while waiting, so that small ones do not pass a large one for ever
            self._changed.wait_for(lambda: self._left >= amount)
            self._left -= amount
        try:
            yield
        finally:
            with self._changed:
                self._left += amount
                self._changed.notify_all()


conversions = Room(MOST_AT_ONCE)
"""Of this process, in pixels: all routers share its memory."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=conversions.renew)
