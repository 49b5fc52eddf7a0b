"""What a supervisor and its workers say to each other: lines of JSON over a pair of connected sockets."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

__all__ = ["Channel", "Orders"]

_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """All that a worker needs to know, beside its environment.

    ``config`` is the path of the configuration, else ``text`` is the configuration itself, called ``name``. ``listener`` is
    the descriptor of the socket on which all workers listen. ``folder`` is private to the gateway: for what its workers
    share. ``journal`` is the path of the accounts that they share, ``durable`` if they outlive the gateway. ``drain`` is in
    seconds. ``keyed``: there were keys when the gateway was started, so nobody is let in without. ``log_format`` is the
    command line's, which wins over the configuration's.
    """

    index: int
    count: int
    listener: int
    folder: str
    journal: str
    durable: bool
    drain: float
    keyed: bool
    config: str | None = None
    text: str = field(default="", repr=False)
    name: str = ""
    watch: bool = False
    public_url: str | None = None
    log_format: Literal["text", "json"] | None = None

    def told(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Self:
        """From plain data."""
        return cls(**plain)


class Channel:
    """One end. Its other end is closed when the process there has ended, in whatever way."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._rest = b""
        self.closed = False
        """The other end was found closed."""

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """This process's end, and the one for the other process."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def fileno(self) -> int:
        """For selectors."""
        return self._end.fileno()

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message. Raises OSError if nobody is there."""
        self._end.sendall(json.dumps(message).encode() + b"\n")

    def heard(self) -> list[dict[str, Any]] | None:
        """Wait for something; the messages that are complete by now. None once the other end is closed."""
        try:
            block = self._end.recv(_BLOCK)
        except OSError:
            block = b""
        if not block:
            self.closed = True
            return None
        *lines, self._rest = (self._rest + block).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Close this end: the other one notices."""
        self._end.close()
