"""Places for calls, and threads that make them, each of which waits a moment for the next call before it goes.

`concurrent.futures` gives and ends the threads. Between two calls that follow each other closely it is left out, for its
bookkeeping costs more than the hand-over itself: a future with a condition, a work item, and a semaphore for each call.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Queue
from typing import Any, TypeVar

__all__ = ["Crew", "Errand", "Underway", "in_context"]

T = TypeVar("T")

log = logging.getLogger(__name__)

_LINGER = 0.2
"""Seconds for which a thread waits for more. A program that ends without closing its router waits as long, at most."""


def in_context(function: Callable[..., T]) -> Callable[..., T]:
    """Run ``function`` in another thread with this thread's context, so that spans keep their parents."""
    context = contextvars.copy_context()
    return lambda *args: context.run(function, *args)


class Errand:
    """One piece of work for a thread. It may be called off until it has begun.

    ``told`` is called once it is over, in whatever thread that happens: it must not raise.
    """

    __slots__ = ("_claim", "_error", "_outcome", "_told", "_work", "cancelled", "done")

    def __init__(self, work: Callable[[], Any], told: Callable[[], object]) -> None:
        self._work: Callable[[], Any] | None = work
        self._told: Callable[[], object] | None = told
        self._claim = threading.Lock()  # whoever takes it runs the work, or calls it off; it is never given back
        self._outcome: Any = None
        self._error: BaseException | None = None
        self.cancelled = False
        self.done = False

    def cancel(self) -> bool:
        """Call it off. False if it has begun, or was called off before."""
        if not self._claim.acquire(blocking=False):
            return False
        self.cancelled = True
        self._over()
        return True

    def run(self) -> None:
        """Do the work, unless it was called off."""
        work = self._work
        if work is None or not self._claim.acquire(blocking=False):
            return
        try:
            self._outcome = work()
        except BaseException as error:
            self._error = error
        finally:
            self._over()
            del self, work  # the traceback of the error holds this frame

    def result(self) -> Any:
        """What the work came to, or its error."""
        try:
            if self._error is not None:
                raise self._error
            return self._outcome
        finally:
            del self  # the traceback of the error holds this frame

    def _over(self) -> None:
        told, self._told, self._work = self._told, None, None
        self.done = True
        try:
            if told is not None:
                told()
        except Exception:  # a thread that dies of it would be missed
            log.exception("nobody could be told that a call has ended")


class Underway:
    """A call that an event loop makes: it has begun, so it can not be called off."""

    __slots__ = ("_loop",)

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop

    def cancel(self) -> bool:
        """Never."""
        return False

    @property
    def done(self) -> bool:
        """Will nothing come of it any more? So it is with a loop that was closed."""
        return self._loop.is_closed()


class Crew:
    """At most ``most`` calls at once. Errands that find no place wait for one, first come first served.

    An errand is done by a thread. Whoever needs none, because an event loop makes the call itself, takes a place alone.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._threads = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._errands: Queue[Errand | None] = (
            Queue()
        )  # a SimpleQueue may wait for ever (CPython 3.11, a deadline in the past)
        self._waiting: deque[Errand] = deque()
        """Errands without a place."""
        self._lock = threading.Lock()
        self._done = threading.Condition(self._lock)
        self._taken = 0
        """Places in use."""
        self._owed = 0
        """Errands with a place that no thread has taken yet."""
        self._idle = 0
        """Threads that wait for one."""
        self._open = 0
        """Errands that are not done."""
        self._closed = False

    def send(self, errand: Errand) -> None:
        """Have it done as soon as there is a place. Raises RuntimeError once the crew was sent home."""
        with self._lock:
            if self._closed:
                raise RuntimeError("this crew was sent home")
            if self._taken >= self._most:
                self._waiting.append(errand)
            else:
                self._hand_out(errand)
                self._taken += 1
            self._open += 1

    def take_place(self) -> bool:
        """A place for a call that needs no thread. False if all are taken, or the crew was sent home."""
        with self._lock:
            if self._closed or self._taken >= self._most:
                return False
            self._taken += 1
            return True

    def leave_place(self) -> None:
        """Give it back; an errand that waits gets it."""
        with self._lock:
            self._pass_on()

    def shutdown(self) -> None:
        """Take no more, and wait until all errands are done."""
        with self._lock:
            self._closed = True
            while self._open:
                self._done.wait()
            for _ in range(self._idle):
                self._errands.put(None)
        self._threads.shutdown()

    def _hand_out(self, errand: Errand) -> None:
        """Called under the lock, by who has a place for it."""
        if self._owed >= self._idle:
            self._threads.submit(self._serve)
        self._owed += 1
        self._errands.put(errand)

    def _pass_on(self) -> None:
        """A place is free. Called under the lock."""
        if self._waiting:
            self._hand_out(self._waiting.popleft())
        else:
            self._taken -= 1

    def _serve(self) -> None:
        """One errand after the other, until there have been none for a while."""
        while True:
            with self._lock:
                self._idle += 1
            try:
                errand = self._errands.get(timeout=0.0 if self._closed else _LINGER)
            except Empty:
                errand = None
            with self._lock:
                self._idle -= 1
                if errand is not None:
                    self._owed -= 1
                elif self._owed <= self._idle:
                    return
            if errand is not None:
                errand.run()
                with self._lock:
                    self._pass_on()
                    self._open -= 1
                    self._done.notify_all()
            del errand  # or it would be kept, with its outcome, until the next comes
