"""What comes in, kept within bounds: bodies, requests at the same time, memory and time for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from starlette.requests import ClientDisconnect, Request

from .errors import Refused
from .turns import Turns

__all__ = ["Bounds", "Intake", "Places", "header"]

_LARGE = 16 * 1024
"""Bytes of a piece of a body after which others have their turn."""
_WASTE = 4
"""A body that is too large is read on, and thrown away, up to so many times the limit: many clients look at an answer
only when they have sent everything, and take a closed connection for an outage that is worth another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bytes of one body, requests at the same time, bytes of all their bodies, seconds to send one and to take an answer.

    Where several workers share their places, ``in_flight`` is for all of them; ``buffered`` is always for this one.

    A body may begin slowly for ``body_grace`` seconds; from then on it must have come at ``body_rate`` bytes a second.
    """

    body: int = 64 * 1024 * 1024
    in_flight: int = 256
    buffered: int = 512 * 1024 * 1024
    body_seconds: float = 60.0
    body_grace: float = 10.0
    body_rate: float = 4096.0
    answer_seconds: float = 300.0

    def patience(self, received: int) -> float:
        """Seconds since its beginning for which a body of which so many bytes have come is waited for."""
        return min(self.body_seconds, self.body_grace + received / self.body_rate)


class Places(Protocol):
    """Requests at the same time, counted over all workers."""

    async def take(self, most: int) -> bool:
        """Have a place, unless ``most`` are taken. Raises `Refused` (503) if nobody can count them."""
        ...

    def taken(self) -> int:
        """How many there are now."""
        ...

    def leave(self) -> None:
        """Give the place back."""
        ...


class Intake:
    """Lets requests in and reads their bodies. Turns away with 413 and 429 before memory gets scarce.

    For one event loop: it counts without a lock. ``scarce`` tells whether the machine's memory is about to end; then
    nobody is let in, whatever the bounds.
    """

    def __init__(self, bounds: Bounds | None = None, *, scarce: Callable[[], bool] = lambda: False) -> None:
        self.bounds = bounds or Bounds()
        self._scarce = scarce
        self.in_flight = 0
        self.buffered = 0
        self.answered = 0
        self._make: Callable[[str], Places] | None = None
        self._places: Places | None = None
        self._reading: dict[str, int] = {}
        self._turns = Turns()

    def share(self, make: Callable[[str], Places], name: str = "places") -> None:
        """Count places together with the other workers, by what ``make`` gives for a name."""
        self._make = make
        self._places = make(name)

    def lobby(self, body: int) -> Intake:
        """An intake of its own for callers who can prove who they are with their body only, of at most ``body`` bytes.

        It has an eighth of the places and of the memory, so that strangers can not take those of callers who are known.
        """
        bounds, body = self.bounds, min(body, self.bounds.body)
        made = Intake(
            replace(
                bounds,
                body=body,
                in_flight=max(1, bounds.in_flight // 8),
                buffered=max(body, bounds.buffered // 8),
            ),
            scarce=self._scarce,
        )
        if self._make is not None:
            made.share(self._make, "lobby")
        return made

    @asynccontextmanager
    async def place(self, size: int) -> AsyncIterator[None]:
        """A place for a request whose body of ``size`` bytes has been read elsewhere. Raises `Refused`."""
        await self._enter()
        held = 0
        try:
            self._check_memory(size)
            held = size
            self.buffered += held
            yield
        finally:
            self._leave(held)

    @asynccontextmanager
    async def body(
        self, request: Request, most: int | None = None, *, who: str = "", most_reading: int | None = None
    ) -> AsyncIterator[bytes]:
        """The request's body, of at most ``most`` bytes; its place is held for as long as this lasts.

        Of ``who`` at most ``most_reading`` bodies come at the same time: nobody can hold all places by sending nothing.

        Raises `Refused`, ClientDisconnect.
        """
        bounds = self.bounds
        most = bounds.body if most is None else min(most, bounds.body)
        await self._enter()
        declared, held = _declared(request), 0
        try:
            self._begin(who, most_reading)
            try:
                if declared > most:
                    await self._skip(request, declared, most)
                    raise _too_large(most)
                self._check_memory(declared)
                chunks: list[bytes] = []
                begun = asyncio.get_running_loop().time()
                try:
                    async with asyncio.timeout(bounds.patience(0)) as limit:
                        async for chunk in request.stream():
                            held += len(chunk)
                            self.buffered += len(chunk)
                            self._check(held, most)
                            chunks.append(chunk)
                            if held != declared:  # else nothing is waited for any more
                                limit.reschedule(begun + bounds.patience(held))
                            if len(chunk) > _LARGE:
                                await self._turns.next()
                except TimeoutError:
                    raise _too_slow(bounds, held) from None
            finally:
                self._end(who)
            read = [b"".join(chunks)]
            chunks.clear()
            yield read.pop()  # whoever is done with it can give its memory back
        finally:
            self._leave(held)

    @property
    def full(self) -> bool:
        """True if nobody is let in now."""
        taken = self.in_flight if self._places is None else self._places.taken()
        return taken >= self.bounds.in_flight or self._scarce()

    def _begin(self, who: str, most: int | None) -> None:
        """A body is on its way; `_end` when it no longer is."""
        reading = self._reading.get(who, 0)
        if most is not None and reading >= most:
            raise _busy(f"{reading} bodies of key {who!r} are on their way, which is the most at a time")
        self._reading[who] = reading + 1

    def _end(self, who: str) -> None:
        left = self._reading.pop(who) - 1
        if left:
            self._reading[who] = left

    async def _enter(self) -> None:
        most = self.bounds.in_flight
        if self._scarce():
            raise _busy("the memory of the machine is about to end")
        if not (self.in_flight < most if self._places is None else await self._places.take(most)):
            raise _busy(f"{most} requests are under way, which is the most at a time")
        self.in_flight += 1

    def _leave(self, held: int) -> None:
        self.in_flight -= 1
        self.answered += 1
        self.buffered -= held
        if self._places is not None:
            self._places.leave()

    def _check_memory(self, more: int) -> None:
        if more + self.buffered > self.bounds.buffered:
            raise _busy(f"bodies of requests under way have {self.bounds.buffered:,} bytes of memory in this process")

    def _check(self, held: int, most: int) -> None:
        if held > most:
            raise _too_large(most)
        self._check_memory(0)

    async def _skip(self, request: Request, declared: int, most: int) -> None:
        """Let the client finish, unless it waits for a sign to begin, or would send for ever."""
        if declared > _WASTE * most or "100-continue" in request.headers.get("expect", "").lower():
            return
        begun, received = asyncio.get_running_loop().time(), 0
        try:
            async with asyncio.timeout(self.bounds.patience(0)) as limit:
                async for chunk in request.stream():
                    received += len(chunk)
                    limit.reschedule(begun + self.bounds.patience(received))
        except (TimeoutError, ClientDisconnect):
            return


def header(request: Request, name: bytes) -> str | None:
    """The first header of a name in lower case; starlette's own way takes five times as long."""
    for given, value in request.scope["headers"]:
        if given == name:
            return str(value, "latin-1")
    return None


def _too_slow(bounds: Bounds, received: int) -> Refused:
    whole = bounds.patience(received) >= bounds.body_seconds
    said = (
        f"the body did not arrive within {bounds.body_seconds:g} s"
        if whole
        else f"the body came too slowly: {received:,} bytes in {bounds.patience(received):.1f} s"
    )
    return Refused(said, status=408, code="request_timeout")


def _too_large(most: int) -> Refused:
    message = f"the body is larger than {most:,} bytes, which is the most that is taken"
    return Refused(message, status=413, code="request_too_large")


def _declared(request: Request) -> int:
    text = header(request, b"content-length") or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _busy(why: str) -> Refused:
    return Refused(
        f"the gateway is busy: {why}; ask again in a moment",
        status=429,
        code="rate_limit_exceeded",
        type="rate_limit_error",
        retry_after=1.0,
        should_retry=True,
    )
