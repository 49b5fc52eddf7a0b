"""Signals as something that can be waited for beside sockets."""

from __future__ import annotations

import signal
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Signals"]


class Signals:
    """Takes the given signals for as long as it is entered. A selector finds it readable when some have come.

    For the main thread. Handlers that were there before come back at the end.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._come: deque[int] = deque()
        self._awake, self._bell = socket.socketpair()
        self._awake.setblocking(False)
        self._bell.setblocking(False)

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._note) for number in self._numbers}
        # Without it a handler would run, and the selector would go on waiting.
        self._wakeup = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._awake.close()
        self._bell.close()

    def fileno(self) -> int:
        """For selectors."""
        return self._awake.fileno()

    def take(self) -> list[int]:
        """Those that have come since the last time, in their order."""
        with suppress(BlockingIOError):
            self._awake.recv(4096)
        return [self._come.popleft() for _ in range(len(self._come))]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._come.append(number)
