"""The process that watches over the workers: it starts them, replaces those that die, and passes signals on."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..router.errors import ConfigError
from .orders import Channel, Orders
from .signals import Signals
from .supervision import Patience, Supervision

__all__ = ["Supervisor", "how_it_ended"]

log = logging.getLogger("lascaux.gateway")

_GRACE = 5.0
"""Seconds beyond the time to drain until workers that are still there are killed."""
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(slots=True, kw_only=True)
class _Worker:
    """A process that was started and has not been missed yet. ``channel`` is None once it says no more."""

    process: subprocess.Popen[bytes]
    channel: Channel | None
    ready: bool = False
    outdated: bool = False
    """A SIGHUP came before it could hear one."""
    problems: list[str] = field(default_factory=list)


class Supervisor:
    """Runs workers until a signal ends them. For the main thread.

    A worker is a fresh interpreter in a process group of its own, so that a terminal's Ctrl-C reaches the supervisor only.
    All listen on the same socket, which stays open when one of them dies: no connection in its queue is lost. ``orders``
    are those of worker 0; ``env`` is the workers' environment. ``clock`` gives seconds that never go back.
    """

    def __init__(
        self,
        listener: socket.socket,
        orders: Orders,
        *,
        env: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        patience: Patience | None = None,
    ) -> None:
        self._listener = listener
        self._orders = replace(orders, listener=listener.fileno())
        # With -P, and this path: what lies in the current folder is no module of ours, unless it already was for us.
        self._env = {**env, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._clock = clock
        self._supervision = Supervision(orders.count, clock(), patience)
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._problems: list[str] = []
        self._code = 0

    def run(self, opened: Callable[[], None]) -> int:
        """The exit code: 0 once all have drained, 1 if one had to be killed, 128 and more after a second signal.

        ``opened`` is called when all take requests. Raises ConfigError with what kept a worker from getting there.
        """
        with self._selector, Signals(_HEARD) as signals:
            self._selector.register(signals, selectors.EVENT_READ)
            try:
                while not self._supervision.over:
                    self._turn(signals, opened)
            finally:
                self._end()
        if self._supervision.failed and not self._supervision.stopping:
            raise ConfigError("\n".join(self._problems), problems=self._problems)
        return self._code

    def _turn(self, signals: Signals, opened: Callable[[], None]) -> None:
        """Do what is due, wait for something to happen, and take it in."""
        supervision = self._supervision
        for index in supervision.due(self._clock()):
            self._start(index)
        for index in supervision.overdue(self._clock()):
            self._kill(index)
        for key, _ in self._selector.select(supervision.wait(self._clock())):
            if key.data is not None:
                self._listen(key.data, opened)
        for number in signals.take():
            self._obey(number)
        for index, worker in tuple(self._workers.items()):
            if worker.process.poll() is not None:
                self._bury(index, opened)

    def _start(self, index: int) -> None:
        channel, theirs = Channel.pair()
        self._supervision.started(index, self._clock())
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lascaux.gateway.worker"],
                stdin=theirs.fileno(),
                pass_fds=[self._orders.listener],
                env=self._env,
                process_group=0,
            )
        except OSError as error:
            channel.close()
            self._missed(index, f"worker {index} can not be started ({error.strerror})", ())
            return
        finally:
            theirs.close()
        self._workers[index] = _Worker(process=process, channel=channel)
        self._selector.register(channel, selectors.EVENT_READ, index)
        with suppress(OSError):  # it has died already
            channel.tell(replace(self._orders, index=index).told())

    def _listen(self, index: int, opened: Callable[[], None]) -> None:
        """Take in what a worker says."""
        worker = self._workers[index]
        if worker.channel is None:
            return
        heard = worker.channel.heard()
        if heard is None:
            self._selector.unregister(worker.channel)
            worker.channel.close()
            worker.channel = None
        for message in heard or ():
            worker.problems += message.get("problems", ())
            if message.get("ready"):
                self._open(index, worker, opened)

    def _open(self, index: int, worker: _Worker, opened: Callable[[], None]) -> None:
        """A worker takes requests."""
        worker.ready = True
        if worker.outdated:
            worker.process.send_signal(signal.SIGHUP)
        log.info("worker %d is ready (pid %d)", index, worker.process.pid)
        if self._supervision.ready(index, self._clock()):
            opened()

    def _bury(self, index: int, opened: Callable[[], None]) -> None:
        """A worker is no more."""
        worker = self._workers[index]
        while worker.channel is not None:  # what it still had to say
            self._listen(index, opened)
        del self._workers[index]
        ended = f"worker {index} (pid {worker.process.pid}) {how_it_ended(worker.process.returncode)}"
        self._missed(index, ended, worker.problems)

    def _missed(self, index: int, told: str, problems: list[str] | tuple[()]) -> None:
        """Say what became of a worker, and decide whether another one comes."""
        opened, stopping = self._supervision.opened, self._supervision.stopping
        pause = self._supervision.ended(index, self._clock())
        if pause is not None:
            for problem in problems:
                log.error("worker %d: %s", index, problem)
            log.error("%s; another one takes its place %s", told, f"in {pause:.3g} s" if pause else "at once")
        elif not opened and not stopping and not self._problems:
            self._problems = list(problems) or [f"{told} before it was ready"]

    def _obey(self, number: int) -> None:
        """Do as a signal says."""
        if number == signal.SIGHUP:
            self._supervision.hurry(self._clock())
            for worker in self._workers.values():
                worker.outdated = not worker.ready
                if worker.ready:
                    worker.process.send_signal(signal.SIGHUP)
        elif number in (signal.SIGTERM, signal.SIGINT) and self._supervision.stopping:
            self._code = 128 + number
            for worker in self._workers.values():
                worker.process.kill()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._supervision.stop(self._clock() + self._orders.drain + _GRACE)
            self._listener.close()  # once the workers have closed theirs, whoever comes is refused, not left in the queue
            for worker in self._workers.values():
                worker.process.terminate()

    def _kill(self, index: int) -> None:
        """It had its time."""
        worker = self._workers[index]
        if not self._supervision.failed:
            what = "drained" if self._supervision.stopping else "got ready"
            log.error("worker %d (pid %d) has not %s in time and is killed", index, worker.process.pid, what)
            self._code = self._code or int(self._supervision.stopping)
        worker.process.kill()

    def _end(self) -> None:
        """Leave nobody behind, whatever has happened."""
        for worker in self._workers.values():
            worker.process.kill()
            worker.process.wait()
            if worker.channel is not None:
                worker.channel.close()


def how_it_ended(code: int) -> str:
    """The return code of a process in words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"
