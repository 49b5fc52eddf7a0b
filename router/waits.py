"""Waiting in an event loop for what ends in any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from .context import Trail
from .crew import in_context
from .line import Ticket

__all__ = ["aside", "bell_of", "landed", "settle", "woken"]

T = TypeVar("T")


async def woken(ticket: Ticket, seconds: float) -> None:
    """Wait until the ticket is woken, by whatever thread, without owning a thread."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # it may be closed at this moment
            loop.call_soon_threadsafe(woken.set)

    ticket.listen(wake, loop.is_closed)
    with suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)


async def landed(outcome: Future[Any] | asyncio.Future[Any], timeout: float, trail: Trail) -> None:
    """Wait until a flight has ended, without owning it: our being cancelled must not end it for others.

    Whose caller has gone waits no longer.
    """
    ticket = Ticket(0)  # for no deployment
    outcome.add_done_callback(lambda _: ticket.wake())
    trail.tickets.add(ticket)
    try:
        if not trail.stopped.is_set():
            await woken(ticket, timeout)
    finally:
        trail.tickets.discard(ticket)


def bell_of(future: Future[Any]) -> asyncio.Future[None]:
    """Done once ``future`` is. `asyncio.wrap_future` would tie it, with its outcome, into a ring for the collector."""
    loop = asyncio.get_running_loop()
    bell: asyncio.Future[None] = loop.create_future()

    def ring(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the event loop may be closed
            loop.call_soon_threadsafe(settle, bell)

    future.add_done_callback(ring)
    return bell


async def aside(pool: ThreadPoolExecutor, function: Callable[..., T], *args: Any) -> T:
    """What a function gives in a thread of ``pool``. Cancelled, it does not begin, if it has not yet."""
    future = pool.submit(in_context(function), *args)
    try:
        await bell_of(future)
        return future.result()
    except asyncio.CancelledError:
        future.cancel()
        raise
    finally:
        del future  # it holds its error, whose traceback holds this frame


def settle(bell: asyncio.Future[None]) -> None:
    """Ring it, unless nobody listens any more."""
    if not bell.done():
        bell.set_result(None)
