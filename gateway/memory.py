"""How this process asks the system for memory."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable

__all__ = ["keep_trimmed", "look_for_garbage_seldom", "reuse_large_blocks"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_THRESHOLD = 4 * 1024 * 1024
"""Bytes. Nearly all pictures are smaller; what is larger comes from the system, and goes back as soon as it is gone."""
_LEFT = 32 * 1024 * 1024
"""Bytes that may lie free at the end of the heap."""
_NEW = 10_000
_EVERY = 5.0
"""Seconds."""


def reuse_large_blocks() -> bool:
    """Let glibc keep the memory of a picture for the next one; True if it will. `keep_trimmed` gives back what is too much.

    A block that comes from the system for every picture has to be cleared page by page: of 6,600 us of CPU for a picture of
    1.5 MB that was 1,900 (2026-11, glibc 2.36, x86-64). Threads share one arena, since each of their own would keep what was
    free in it; they take turns in Python anyway. Other C libraries have no such call, and are left alone. To be called
    before threads start.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    settings = ((_M_MMAP_THRESHOLD, _THRESHOLD), (_M_TRIM_THRESHOLD, _LEFT), (_M_ARENA_MAX, 1))
    return mallopt is not None and all(mallopt(name, value) == 1 for name, value in settings)


def look_for_garbage_seldom() -> None:
    """Leave what there is now out of each search for garbage, and search after 10,000 new objects instead of 700.

    Nearly everything goes as soon as its last reference does. With 32 requests at a time the search for the rest took 7 % of
    the CPU, and a whole one held up everybody for 50 ms (2026-11, x86-64). To be called once everything is set up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, *gc.get_threshold()[1:])


async def keep_trimmed(answered: Callable[[], int], every: float = _EVERY) -> None:
    """Give free pages back, whenever requests have been ``answered`` since the last time. Never ends.

    Pictures and bodies lie among small things that stay, and leave holes: after 256 edits of 2 MB, 128 at a time, 620 MB
    would stay in use (2026-11, glibc 2.36, x86-64). Where there is no glibc, it returns.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is None:
        return
    before = answered()
    while True:
        await asyncio.sleep(every)
        if answered() != before:
            before = answered()
            await asyncio.to_thread(trim, 0)
