"""Answers that go out as their clients take them."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Pieces"]

_SIZE = 256 * 1024
"""Bytes that are handed to the server at a time. It takes whatever it is given, and waits before the next only."""

_LITTLE = 32 * 1024


class Pieces(Response):
    """A response whose body is sent piece by piece: it has been sent when the client has taken it, but for a rest.

    Sent at once, megabytes would lie in the server's buffers for as long as a client likes, and nobody would know.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. What the server takes without waiting goes out at once."""
        if len(self.body) <= _LITTLE:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for begin in range(0, len(body), _SIZE):
            piece = bytes(body[begin : begin + _SIZE])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
