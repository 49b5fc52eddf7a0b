"""Waiting for work that knows no deadline: name lookups, proxies, STS, programs that print keys.

Such work runs on a thread of its own, and whoever asked for it waits as long as there is time. What comes too late is not
lost silently: it is given back to the one who can close it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

__all__ = ["Late", "begin", "forked", "within"]

T = TypeVar("T")


class Late(Exception):
    """The work did not end in time; it goes on in the background."""


def begin(work: Callable[[], T], *, late: Callable[[T], Any] | None = None) -> Future[T]:
    """Start ``work`` on a daemon thread, in the caller's context.

    ``late`` takes a result that nobody waits for any more, which is so once the future has been cancelled.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            made = work()
        except BaseException as error:
            with suppress(InvalidStateError):
                outcome.set_exception(error)
            return
        try:
            outcome.set_result(made)
        except InvalidStateError:
            if late is not None:
                late(made)

    try:
        threading.Thread(target=copy_context().run, args=(run,), name="lascaux-wait", daemon=True).start()
    except RuntimeError:  # no more threads: then the caller has to do it
        run()
    return outcome


def within(seconds: float, work: Callable[[], T], *, late: Callable[[T], Any]) -> T:
    """What ``work`` returns or raises. Raises Late after so many seconds; a result that comes then goes to ``late``."""
    outcome = begin(work, late=late)
    try:
        wait([outcome], max(seconds, 0.0))
    except BaseException:
        if not outcome.cancel() and outcome.exception() is None:
            late(outcome.result())
        raise
    if outcome.cancel():
        raise Late
    return outcome.result()


class _Forked(Protocol):
    def after_fork(self) -> None: ...


_watched: WeakSet[Any] = WeakSet()


def forked(thing: _Forked) -> None:
    """Call ``thing.after_fork()`` in every child process: a lock that another thread held is never released there."""
    _watched.add(thing)


def _in_child() -> None:
    for thing in list(_watched):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
