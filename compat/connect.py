"""From sorted arguments to a router, with messages that name the arguments and not the sections of a file."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NoReturn

from ..providers.errors import InvalidRequest
from ..providers.types import Warning
from ..router.client import Router
from ..router.config import Config, Document
from ..router.config.problems import dotted
from ..router.errors import ConfigError
from .arguments import Arguments
from .config import translate
from .config.notes import Path
from .routers import Connection

__all__ = ["connect"]

log = logging.getLogger("lascaux")

_CACHE = "64MiB"
"""Bound of the answers that one connection keeps for callers who ask for caching; there may be many connections."""
_THEIRS = {"inference_profile": "model_id", "role_arn": "aws_role_name"} | {
    name: f"aws_{name}" for name in ("access_key_id", "secret_access_key")
}
"""Fields that messages name, as the caller knows them."""


def connect(arguments: Arguments) -> Connection:
    """Build the router for these arguments. No network. Raises InvalidRequest, which says what is wrong with them."""
    found = translate(arguments.document, needed=arguments.alias)
    last = len(arguments.document["model_list"]) - 1

    def argument(path: Path) -> Path:
        removes = arguments.background_remover is not None and path[:2] == ("model_list", last)
        return ("background_remover",) if removes else _argument(path)

    if found.problems:
        _refuse(f"{dotted(argument(note.path))}: {note.message}" for note in found.problems)
    if arguments.background_remover:
        found.data["aliases"][arguments.alias]["background_remover"] = arguments.background_remover
    origins = {ours: argument(theirs) for ours, theirs in found.origins.items()}
    document = Document(data={**found.data, "cache": {"max_bytes": _CACHE}}, origins=origins)
    try:
        router = Router(Config.from_document(document, env=arguments.environment))
    except ConfigError as error:
        _refuse(error.problems)
    said = [
        Warning(code="config", parameter=dotted(argument(note.path)), message=note.message)
        for note in found.warnings
        if note.path[:1] == ("model_list",)  # the rest of the document is not the caller's
    ]
    odd = [
        Warning(code=one.code, parameter=(one.parameter or "").rpartition(".")[2] or None, message=one.message)
        for one in router.warnings
    ]
    for warning in (*said, *odd):
        log.warning("%s: %s", arguments.alias, warning)
    return Connection(router=router, warnings=(*said, *odd))


def _argument(path: Path) -> Path:
    """The argument that a place of the document was made from."""
    if path[:1] == ("router_settings",):
        return path[1:]
    if len(path) < 2 or path[0] != "model_list":
        return path
    where: Path = () if path[1] == 0 else ("fallbacks", int(path[1]) - 1)
    rest = path[2:]
    if rest[:1] == ("litellm_params",):
        return (*where, *(rest[1:] or ("credentials",)))
    return (*where, "model")


def _refuse(problems: Iterable[str]) -> NoReturn:
    lines = [line.partition(": ")[2] if line.startswith("deployments.") else line for line in problems]
    lines = [line[max(0, line.find("background_remover: no model")) :] for line in lines]
    for ours, theirs in _THEIRS.items():
        lines = [line.replace(f"'{ours}'", f"'{theirs}'") for line in lines]
    parameter = lines[0].partition(":")[0]
    raise InvalidRequest("; ".join(dict.fromkeys(lines)), parameter=parameter)
