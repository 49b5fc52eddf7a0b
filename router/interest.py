"""Whether anybody still waits for a request."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["CLIENT_LEFT", "Interest"]

CLIENT_LEFT = "client_left"
"""The code of what ends because nobody waits for it any more, before anything was sent."""


class Interest:
    """Tells a request that nobody waits for its pictures any more. Thread-safe; one for each request.

    Given to a request as ``interest``, it can be lost at any time: a request for which nothing has been sent is then
    given up, wherever it waits, and ends with an error that bills nothing. What has been sent is carried out to its end,
    retries included, for its pictures may be paid for.
    """

    __slots__ = ("_leave", "_lock", "_lost")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost = False
        self._leave: Callable[[], bool] | None = None

    def lose(self) -> bool:
        """Nobody waits any more. True if nothing has been sent, and so nothing will be."""
        with self._lock:
            self._lost = True
            leave = self._leave
        return leave() if leave else True

    def follow(self, leave: Callable[[], bool]) -> None:
        """Call ``leave`` when the interest is lost, at once if it has been. It says whether the request is given up."""
        with self._lock:
            self._leave = leave
            lost = self._lost
        if lost:
            leave()
