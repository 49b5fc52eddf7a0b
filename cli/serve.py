"""``lascaux serve``: the gateway, from a configuration file to an address."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..providers.errors import LascauxError
from .failures import failing

if TYPE_CHECKING:
    from ..router.async_client import AsyncRouter
    from ..router.config import Config, TelemetryConfig

EXAMPLES = (
    "lascaux serve",
    "lascaux serve --config lascaux.yaml",
    "lascaux serve --config litellm.yaml --port 8080",
)

log = logging.getLogger("lascaux.gateway")

_DEFAULT = Path("lascaux.yaml")
_SLACK = 5.0
"""Seconds beyond the deadline of requests until those under way at SIGTERM are given up."""


def command(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Our YAML, or LiteLLM's. Default: lascaux.yaml, else the emulator."
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: server.host, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes a free one. Default: server.port, else 4000."),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="What links to pictures begin with. Default: the address a client used."),
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="At SIGTERM, time for requests under way. Default: the deadline of requests."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option(help="Load the file anew when it changes; SIGHUP always does.")] = True,
) -> None:
    """Answer OpenAI's clients over HTTP, until Ctrl-C or SIGTERM.

    SIGTERM lets requests under way end; SIGHUP and a changed file load the configuration anew without losing one.
    """
    with failing():
        _run(_Wish(config=config, host=host, port=port, public_url=public_url, drain=drain, watch=watch))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What was said on the command line."""

    config: Path | None
    host: str | None
    port: int | None
    public_url: str | None
    drain: float | None
    watch: bool


def _run(wish: _Wish) -> None:
    _need_server()
    from ..gateway.memory import return_large_blocks
    from ..router.exporters import configure

    return_large_blocks()

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what strangers send is no warning to us
    with ExitStack() as stack:
        load, telemetry = _configuration(wish, stack)
        endpoint = telemetry.endpoint if telemetry.exporter == "otlp" else None
        tracer_provider, meter_provider, shutdown = configure(telemetry.exporter, endpoint)
        stack.callback(shutdown)
        router = load(picture_files=False, tracer_provider=tracer_provider, meter_provider=meter_provider)
        config = router.config
        port = config.server.port if wish.port is None else wish.port
        listener = stack.enter_context(_listener(config, wish.host or config.server.host, port))
        for warning in router.warnings:
            log.warning("%s", warning)
        drain = config.retry.deadline + _SLACK if wish.drain is None else wish.drain
        asyncio.run(_serve(router, listener, wish.public_url, drain))


def _configuration(wish: _Wish, stack: ExitStack) -> tuple[Callable[..., AsyncRouter], TelemetryConfig]:
    """What makes the router: the file that was named or lies here, else the emulator's configuration, which is said."""
    from ..router.async_client import AsyncRouter
    from ..router.config import Config
    from .output import line, note
    from .quickstart import quickstart

    path = wish.config or (_DEFAULT if _DEFAULT.exists() else None)
    if path is not None:
        return partial(AsyncRouter.from_yaml, path, watch=wish.watch), Config.load(path).telemetry
    config, emulator = stack.enter_context(quickstart(os.environ))
    message = f"no configuration, so the built-in emulator draws ({emulator.url}); AWS is not called, nothing is billed"
    line(note("emulator", message, "cyan"), stderr=True)
    return partial(AsyncRouter, config), config.telemetry


def _need_server() -> None:
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as missing:
        message = f"the gateway needs {missing.name}, which is not installed: pip install 'lascaux[server]'"
        raise LascauxError(message, code="not_installed") from None


def _listener(config: Config, host: str, port: int) -> socket.socket:
    """A socket that listens. Raises LascauxError for an address that strangers reach, if there are no keys."""
    from ..gateway.edge import is_loopback

    if not is_loopback(host) and not config.server.keys:
        message = (
            f"{host} is reached from outside, where anybody could spend your money: add server.keys to the configuration "
            "(`lascaux keys new` makes one), or listen on 127.0.0.1"
        )
        raise LascauxError(message, code="keys_needed")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host.strip("[]"), port), family=family, backlog=2048)
        # asyncio does this only for sockets that it made itself; without it, small answers wait 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise LascauxError(f"can not listen on {host}:{port}: {reason}", code="io") from None


async def _serve(router: AsyncRouter, listener: socket.socket, public_url: str | None, drain: float) -> None:
    """Until SIGTERM or Ctrl-C; requests under way then have ``drain`` seconds."""
    import uvicorn

    from ..gateway.connections import QuietRepeats, protocol, raise_descriptors

    logging.getLogger("asyncio").addFilter(QuietRepeats(time.monotonic))
    server = uvicorn.Server(
        uvicorn.Config(
            _application(router, public_url),
            http=protocol(raise_descriptors()),  # h11 bounds headers at 64 KiB, which httptools does not
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, int(drain)),
        )
    )
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(_reload(router))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    # uvicorn raises the signal again when it has ended: a drained gateway ends with 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    host, port = listener.getsockname()[:2]
    print(f"Lascaux gateway on http://{f'[{host}]' if ':' in host else host}:{port}  (Ctrl-C stops it)", flush=True)
    await server.serve(sockets=[listener])


def _application(router: AsyncRouter, public_url: str | None) -> Any:
    from ..gateway.app import create_app
    from ..gateway.gate import open_gate
    from ..gateway.intake import Bounds
    from ..gateway.links import Links
    from ..gateway.sigv4 import Verifier

    server = router.config.server
    gate = open_gate(server, clock=time.monotonic, now=lambda: datetime.now(UTC), failed=log.error)
    gate.follow(lambda: router.config.server, log.error)
    return create_app(
        router,
        gate=gate,
        verifier=Verifier.of(server).follow(lambda: router.config.server, log.error),
        bounds=Bounds(body=server.max_body, in_flight=server.max_in_flight),
        links=Links(ttl=server.link_ttl),
        cors_origins=server.cors_origins,
        public_url=public_url,
        page=server.page,
    )


async def _reload(router: AsyncRouter) -> None:
    """Load the file anew; what is wrong with it is said, and changes nothing."""
    try:
        log.info("%s", await router.reload())
    except LascauxError as error:
        log.error("%s", router.last_reload or error)
