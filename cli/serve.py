"""``lascaux serve``: the gateway, from a configuration file to an address."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..providers.errors import LascauxError
from .failures import failing

if TYPE_CHECKING:
    from ..router.config import Config, ServerConfig

EXAMPLES = (
    "lascaux serve",
    "lascaux serve --config lascaux.yaml",
    "lascaux serve --config litellm.yaml --port 8080",
    "lascaux serve --workers 4",
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
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Processes that answer side by side. Default: server.workers, else 1."),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="What links to pictures begin with. Default: server.public_url, or what a client used.",
        ),
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="At SIGTERM, time for requests under way. Default: the deadline of requests."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option(help="Load the file anew when it changes; SIGHUP always does.")] = True,
    log_format: Annotated[
        str | None,
        typer.Option(metavar="text|json", help="How lines of the log are written. Default: server.log, else text."),
    ] = None,
) -> None:
    """Answer OpenAI's clients over HTTP, until Ctrl-C or SIGTERM.

    Both let requests under way end, a second one ends at once; SIGHUP and a changed file load the configuration anew.

    No request is lost by either. A worker process that dies is replaced, and all workers share limits and accounts.
    """
    with failing():
        code = _run(
            _Wish(
                config=config,
                host=host,
                port=port,
                workers=workers,
                public_url=public_url,
                drain=drain,
                watch=watch,
                log_format=_log_format(log_format),
            )
        )
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What was said on the command line."""

    config: Path | None
    host: str | None
    port: int | None
    workers: int | None
    public_url: str | None
    drain: float | None
    watch: bool
    log_format: Literal["text", "json"] | None


def _log_format(given: str | None) -> Literal["text", "json"] | None:
    if given is None:
        return None
    if given == "text":
        return "text"
    if given == "json":
        return "json"
    raise typer.BadParameter(f"must be text or json, not {given[:40]!r}", param_hint="--log-format")


def _run(wish: _Wish) -> int:
    """Check what can be checked before anything is started, then watch over the workers."""
    _need_server()
    from ..gateway.folders import meeting_place
    from ..gateway.lines import set_up_logs
    from ..gateway.orders import Orders
    from ..gateway.supervisor import Supervisor

    set_up_logs(wish.log_format or "text")
    with ExitStack() as stack:
        source = _source(wish, stack)
        config, server = source.config, source.config.server
        set_up_logs(wish.log_format or server.log)
        host = wish.host or server.host
        count = server.workers if wish.workers is None else wish.workers
        _check_shares(config, count)
        listener = stack.enter_context(_listener(config, host, server.port if wish.port is None else wish.port))
        unsure = links_warning(server, host, wish.public_url)
        if unsure:
            log.warning("%s", unsure)
        folder = stack.enter_context(meeting_place())
        orders = Orders(
            index=0,
            count=count,
            listener=listener.fileno(),
            folder=folder,
            journal=server.spend_file or str(Path(folder, "spend")),
            durable=server.spend_file is not None,
            drain=config.retry.deadline + _SLACK if wish.drain is None else wish.drain,
            keyed=bool(server.keys),
            config=source.path,
            text=source.text,
            name=source.name,
            watch=wish.watch,
            public_url=wish.public_url,
            log_format=wish.log_format,
        )
        address = _address(listener)
        return Supervisor(listener, orders, env={**os.environ, **source.env}).run(lambda: _opened(address, count))


def links_warning(server: ServerConfig, host: str, public_url: str | None) -> str | None:
    """What to say where links begin with what clients say, and others than this computer's own may say it."""
    from ..gateway.edge import is_loopback

    told = public_url or server.public_url
    if told or server.links.s3 is not None or (is_loopback(host) and not server.keys):
        return None
    return (
        "server.public_url is not set: links to pictures begin with the Host that a client sends; set it, or let the "
        "proxy in front refuse other hosts"
    )


def _opened(address: str, count: int) -> None:
    workers = f"{count} workers; " if count > 1 else ""
    print(f"Lascaux gateway on {address}  ({workers}Ctrl-C stops it)", flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The configuration, and how workers get it: a path, else a text under a name; ``env`` is what they need beside."""

    config: Config
    path: str | None = None
    text: str = ""
    name: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


def _source(wish: _Wish, stack: ExitStack) -> _Source:
    """The file that was named or lies here, else the configuration of the emulator, which is said."""
    from ..router.config import Config
    from .output import line, note
    from .quickstart import VARIABLE, quickstart, quickstart_text

    path = wish.config or (_DEFAULT if _DEFAULT.exists() else None)
    if path is not None:
        return _Source(config=Config.load(path), path=str(path))
    config, emulator = stack.enter_context(quickstart(os.environ))
    message = f"no configuration, so the built-in emulator draws ({emulator.url}); AWS is not called, nothing is billed"
    if wish.log_format == "json":
        log.info("%s", message)
    else:
        line(note("emulator", message, "cyan"), stderr=True)
    text, name = quickstart_text()
    return _Source(config=config, text=text, name=name, env={VARIABLE: emulator.url})


def _check_shares(config: Config, count: int) -> None:
    """Raise ConfigError for what is declared for the whole gateway, and is too little for so many workers."""
    from ..router.errors import ConfigError
    from ..router.share import unshared

    problems = unshared(config, count)
    if problems:
        raise ConfigError("\n".join(problems), problems=problems)


def _need_server() -> None:
    try:
        import opentelemetry.exporter.prometheus  # noqa: F401
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


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
