"""What fails for every request alike, told now and then instead of each time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

__all__ = ["Quiet"]

_FIGURE = re.compile(r"\d[\d.]*")


class Quiet:
    """Tells a message at once, and others of its kind once in ``seconds``, with their number.

    Of one kind are messages that differ in figures alone. ``clock`` gives seconds. Thread-safe.
    """

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float], seconds: float = 60.0) -> None:
        self._tell = tell
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}
        """Kind -> when it is told again, and how many were not told since."""

    def __call__(self, message: str) -> None:
        """Tell it, or count it."""
        kind, now = _FIGURE.sub("0", message), self._clock()
        with self._lock:
            due, kept = self._told.get(kind, (now, 0))
            if now < due:
                self._told[kind] = (due, kept + 1)
                return
            self._told[kind] = (now + self._seconds, 0)
        self._tell(f"{message} (and {kept} more times since this was last told)" if kept else message)
