"""Work on large bodies, kept out of the event loop: in one thread, so that it is not done for all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

__all__ = ["SMALL", "aside"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SMALL = 64 * 1024
"""Bytes that are read in the event loop: the way to a thread and back takes as long."""
_POOL = ThreadPoolExecutor(1, thread_name_prefix="lascaux-body")
"""It holds the interpreter for most of its time: two would only hold more copies, and keep the event loop waiting longer."""


async def aside(size: int, function: Callable[[*Ts], T], *args: *Ts) -> T:
    """What ``function`` gives, from a thread if the ``size`` of what it reads is large."""
    if size <= SMALL:
        return function(*args)
    return await asyncio.get_running_loop().run_in_executor(_POOL, function, *args)
