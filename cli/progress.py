"""What is happening now: a line that moves while a picture is being made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from rich.status import Status

from ..providers.bedrock.provider import Bedrock
from ..providers.errors import LascauxError
from ..providers.types import Call, ImageResult, Target
from .output import console, line, printable

__all__ = ["Watched", "watch"]

T = TypeVar("T")

_TICK = 0.1


class Watched(Bedrock):
    """Bedrock, and which of its deployments are at work; ``verbose`` says so on standard error, call by call."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__()
        self._verbose = verbose
        self._lock = threading.Lock()
        self._busy: list[str] = []

    @property
    def busy(self) -> tuple[str, ...]:
        """The deployments that are being waited for, each once."""
        with self._lock:
            return tuple(dict.fromkeys(self._busy))

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        """The exchange, watched."""
        place = f"{target.deployment} ({target.region})"
        with self._lock:
            self._busy.append(place)
        started = time.monotonic()
        outcome = "stopped"
        try:
            result = super().send(target, call, timeout=timeout)
            outcome = "ok"
            return result
        except LascauxError as error:
            outcome = f"{error.code}: {error.message}"
            raise
        finally:
            with self._lock:
                self._busy.remove(place)
            if self._verbose:
                seconds = time.monotonic() - started
                line(printable(f"call: {place} {target.model_id} {seconds:.2f} s {outcome}"), stderr=True)


def watch(work: Callable[[], T], alias: str, provider: Watched, *, show: bool) -> T:
    """Do the work in a thread, so that Ctrl-C is heard at once, and show how long it takes if a terminal is there."""
    done: Future[T] = Future()
    threading.Thread(target=_run, args=(work, done), name="lascaux-request", daemon=True).start()
    screen = console(stderr=True)
    if not (show and screen.is_terminal):
        return done.result()
    started = time.monotonic()
    with Status("", console=screen) as status:
        while not done.done():
            where = ", ".join(provider.busy) or "choosing a deployment"
            status.update(printable(f"{alias}  {where}  {time.monotonic() - started:.0f} s"))
            try:
                done.exception(timeout=_TICK)
            except TimeoutError:
                continue
    return done.result()


def _run(work: Callable[[], T], done: Future[T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # handed over whole, to be raised where the command waits
        done.set_exception(error)
