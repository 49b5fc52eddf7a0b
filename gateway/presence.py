"""Whether the client of a request is still there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Receive

from ..router.interest import Interest
from .exchanges import PARTING

__all__ = ["Client", "Presence", "presence_of"]

_NAME = "presence"


class Presence:
    """The client of one request, whose body has been read. For one event loop."""

    def __init__(self) -> None:
        self.left = False
        self._listeners: list[Callable[[], None]] = []

    @asynccontextmanager
    async def watched(self, request: Request, receive: Receive) -> AsyncIterator[None]:
        """Notice the client's leaving for as long as this lasts; `presence_of` the request is this one."""
        state = request.scope.setdefault("state", {})
        state[_NAME] = self
        parting = state.get(PARTING)
        if parting is None:
            watch = asyncio.ensure_future(self._watch(receive))
            try:
                yield
            finally:
                watch.cancel()
            return
        parting.told = self._leave  # costs no task
        try:
            if parting.gone:
                self._leave()
            yield
        finally:
            parting.told = None

    @contextmanager
    def told(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call ``listener`` if the client leaves in the meantime, at once if it has left."""
        self._listeners.append(listener)
        try:
            if self.left:
                listener()
            yield
        finally:
            self._listeners.remove(listener)

    async def _watch(self, receive: Receive) -> None:
        """Once: after the body nothing else can come, and a server that says something else would be asked for ever."""
        message = await receive()
        if message["type"] == "http.disconnect":
            self._leave()

    def _leave(self) -> None:
        self.left = True
        for listener in tuple(self._listeners):
            listener()


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who waits for an answer: whether they are still there, and the interest that is lost when nobody is."""

    interest: Interest
    presence: Presence | None


def presence_of(request: Request) -> Presence | None:
    """The presence of its client; None if nobody looks."""
    found = request.scope.get("state", {}).get(_NAME)
    return found if isinstance(found, Presence) else None
