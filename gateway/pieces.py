"""Answers that go out as their clients take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .spread import VIEWS, Body, Spread

__all__ = ["Pieces"]

_SIZE = 512 * 1024
"""Bytes that are handed to the server at a time. It takes whatever it is given, and waits before the next only.

What the system does not take of it at once is copied; each costs some 40 us on its way through the layers (2026-11).
"""

_LITTLE = 32 * 1024


class Pieces(Response):
    """A response whose body is sent piece by piece: it has been sent when the client has taken it, but for a rest.

    Sent at once, megabytes would lie in the server's buffers for as long as a client likes, and nobody would know.
    """

    body: Body  # type: ignore[assignment]

    def render(self, content: Any) -> Any:
        """A body in parts stays so."""
        return content if isinstance(content, Spread) else super().render(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. What the server takes without waiting goes out at once."""
        if len(self.body) <= _LITTLE:
            self.body = bytes(self.body)
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        views = VIEWS in scope.get("state", ())
        for piece in _cut(self.body):
            await send({"type": "http.response.body", "body": piece if views else bytes(piece), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _cut(body: Body) -> Iterator[bytes | memoryview]:
    for part in body.parts if isinstance(body, Spread) else (body,):
        if len(part) <= _SIZE:
            yield part
            continue
        view = memoryview(part)
        for begin in range(0, len(view), _SIZE):
            yield view[begin : begin + _SIZE]
