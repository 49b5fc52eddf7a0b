"""The bytes of one connection: no more is read than there is room for, and who takes nothing is not kept for ever."""

from __future__ import annotations

import asyncio

__all__ = ["Flow"]


class Flow:
    """Reading and writing on a transport. A client may take nothing of what it is sent for ``patience`` seconds."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        self._transport = transport
        self._loop = loop
        self._patience = patience
        self._reading = True
        self.full = False
        """What has been read waits for something that can take long, so that no more is read whoever asks."""
        self._room = asyncio.Event()
        self._room.set()
        self._stalls: asyncio.TimerHandle | None = None

    @property
    def closing(self) -> bool:
        """Nothing more can be sent."""
        return self._transport.is_closing()

    def write(self, data: bytes | memoryview) -> None:
        """Send it, unless the connection is about to end."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    async def writable(self) -> None:
        """Wait until the client keeps up, or has gone."""
        if not self._room.is_set():
            await self._room.wait()

    def hold(self) -> None:
        """Read no more for the moment."""
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read again, unless there is no room."""
        if not self._reading and not self.full and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def pause(self) -> None:
        """The client does not keep up."""
        self._room.clear()
        self._stall()

    def resume(self) -> None:
        """It has taken something, or has gone."""
        if self._stalls is not None:
            self._stalls.cancel()
            self._stalls = None
        self._room.set()

    def close(self) -> None:
        """End once the client has what was written."""
        if not self._transport.is_closing():
            if self._transport.get_write_buffer_size():
                self._stall()
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if not self._transport.is_closing():
            self._transport.abort()

    def _stall(self) -> None:
        if self._stalls is None:
            self._stalls = self._loop.call_later(self._patience, self._transport.abort)
