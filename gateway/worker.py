"""One worker of the gateway: a process that a supervisor has started, and that ends with it.

``python -m lascaux.gateway.worker``; its orders come over descriptor 0, so that nothing of them is on a command line.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette

from ..providers.errors import LascauxError
from ..router.async_client import AsyncRouter
from ..router.config import Config, ServerConfig
from ..router.errors import ConfigError
from ..router.share import Share
from .app import create_app, no_http
from .connections import QuietRepeats, protocol, raise_descriptors
from .gate import open_gate
from .headroom import default_buffered, measure
from .intake import Bounds
from .lines import set_up_logs
from .links import Links
from .memory import look_for_garbage_seldom, reuse_large_blocks
from .observation import Observation, observation
from .orders import Channel, Orders
from .peers import Peers
from .shelf import Shelf
from .sigv4 import Verifier

__all__ = ["application", "bounds_of", "main"]

log = logging.getLogger("lascaux.gateway")

_AT_ONCE = 8
"""Connections that are accepted in one go, so that a worker does not take them all while others have none."""
_BACKLOG = 2048
_TURN = 0.0005
"""Seconds for which a thread may keep the interpreter from others: the event loop waits so long for each that works."""


def main() -> int:
    """Do as the supervisor says until it says stop, or is no more. The exit code: 1 if it could not even begin."""
    channel = Channel(socket.socket(fileno=os.dup(0)))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    told = channel.heard()
    if not told:
        return 1
    orders = Orders.of(told[0])
    set_up_logs(orders.log_format or "text", worker=orders.index)
    try:
        _work(orders, channel)
    except LascauxError as error:
        return _tell(channel, list(getattr(error, "problems", ())) or [error.message])
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _tell(channel, [f"{place}{error.strerror or error}"])
    return 0


def _tell(channel: Channel, problems: list[str]) -> int:
    with suppress(OSError):
        channel.tell({"problems": problems})
    return 1


def _work(orders: Orders, channel: Channel) -> None:
    reuse_large_blocks()
    sys.setswitchinterval(_TURN)
    with ExitStack() as stack:
        stack.enter_context(_folder(orders.folder, channel))
        config = _config(orders)
        set_up_logs(orders.log_format or config.server.log, worker=orders.index)
        observed = observation(config, worker=orders.index)
        stack.callback(observed.shutdown)
        parts: dict[str, Any] = {
            "picture_files": False,
            "tracer_provider": observed.tracer_provider,
            "meter_provider": observed.meter_provider,
            "share": Share(index=orders.index, count=orders.count),
        }
        if orders.config is None:
            router = AsyncRouter(config, **parts)
        else:
            router = AsyncRouter.from_yaml(orders.config, watch=orders.watch, **parts)
        if orders.keyed and not router.config.server.keys:
            raise ConfigError("server.keys: there are none any more, and this gateway was started with keys")
        for warning in router.warnings if orders.index == 0 else ():
            log.warning("%s", warning)
        listener = stack.enter_context(socket.socket(fileno=orders.listener))
        asyncio.run(_serve(router, orders, observed, listener, channel))


def _config(orders: Orders) -> Config:
    return Config.parse(orders.text, orders.name) if orders.config is None else Config.load(orders.config)


@contextmanager
def _folder(path: str, channel: Channel) -> Iterator[None]:
    """Use the folder that the supervisor takes away at its end. If it can not any more, the last worker does."""
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(folder, fcntl.LOCK_SH)
    try:
        yield
    finally:
        with suppress(OSError):  # others still use it
            if channel.closed:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        os.close(folder)


def application(router: AsyncRouter, orders: Orders, observed: Observation | None = None) -> Starlette:
    """All parts of one worker's gateway, put together."""
    server = router.config.server
    mine = server.model_copy(update={"spend_file": orders.journal})
    gate = open_gate(
        mine, clock=time.monotonic, now=lambda: datetime.now(UTC), failed=log.error, durable=orders.durable
    )
    gate.follow(lambda: router.config.server, log.error)
    links = Links(ttl=server.link_seconds)
    shelf = Shelf(links)
    shelf.follow(lambda: router.config)
    return create_app(
        router,
        gate=gate,
        verifier=Verifier.of(server).follow(lambda: router.config.server, log.error),
        bounds=bounds_of(server, Share(index=orders.index, count=orders.count)),
        links=links,
        shelf=shelf,
        cors_origins=server.cors_origins,
        hosts=server.hosts,
        public_url=orders.public_url or server.public_url,
        page=server.page,
        worker=orders.index,
        peers=Peers(orders.folder, orders.index, orders.count),
        observer=observed.observer if observed else None,
        metrics=observed.scrape.told if observed else None,
    )


def bounds_of(server: ServerConfig, share: Share, *, buffered: int | None = None) -> Bounds:
    """One worker's part of the memory for bodies, and the places of all workers.

    ``buffered`` is what holds where nothing is said: by default, of memory.
    A body that is larger than a worker's part is refused as too large, not put off for ever.
    """
    whole = server.max_buffered or (default_buffered(measure()) if buffered is None else buffered)
    mine = share.of(whole)
    if mine < server.max_body and share.index == 0:
        log.warning(
            "server.max_body: bodies above %d bytes are refused, for server.max_buffered (%d bytes) is shared by %d",
            *(mine, whole, share.count),
        )
    return Bounds(body=min(server.max_body, mine), in_flight=server.max_in_flight, buffered=mine)


class _Server(uvicorn.Server):
    """Leaves signals to us, and says when it takes requests."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)  # for the kernel; the event loop goes on by its own figure
        if self.started:
            self._opened()


async def _serve(
    router: AsyncRouter, orders: Orders, observed: Observation, listener: socket.socket, channel: Channel
) -> None:
    """Until SIGTERM, or the end of the supervisor; requests under way then have ``drain`` seconds."""
    quiet = QuietRepeats(time.monotonic)
    for name in ("asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(quiet)

    def opened() -> None:
        look_for_garbage_seldom()
        with suppress(OSError):  # a supervisor that is no more is noticed by `_heed`
            channel.tell({"ready": True})

    server = _Server(
        uvicorn.Config(
            application(router, orders, observed),
            http=protocol(raise_descriptors(), no_http),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_AT_ONCE,
            timeout_graceful_shutdown=max(1, int(orders.drain)),
        ),
        opened,
    )
    _heed(router, server, channel)
    await server.serve(sockets=[listener])


def _heed(router: AsyncRouter, server: uvicorn.Server, channel: Channel) -> None:
    """Follow signals, and the supervisor: when it is no more, so is the worker."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def drain() -> None:
        server.should_exit = True

    def listen() -> None:
        if channel.heard() is None:
            loop.remove_reader(channel.fileno())
            drain()

    def reload() -> None:
        task = loop.create_task(_reload(router))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_reader(channel.fileno(), listen)
    loop.add_signal_handler(signal.SIGHUP, reload)
    for number in (signal.SIGTERM, signal.SIGINT):  # however often: who asks twice is heard by the supervisor
        loop.add_signal_handler(number, drain)


async def _reload(router: AsyncRouter) -> None:
    """Load the file anew; what is wrong with it is said, and changes nothing."""
    try:
        log.info("%s", await router.reload())
    except LascauxError as error:
        log.error("%s", router.last_reload or error)


if __name__ == "__main__":
    sys.exit(main())
