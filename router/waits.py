"""Waiting in an event loop for what ends in any thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from .context import Trail
from .line import Ticket

__all__ = ["landed", "woken"]


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
