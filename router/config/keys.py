"""The keys of the ``server`` section, judged together: what single values can not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .document import value_at
from .entries import AliasConfig, DeploymentConfig
from .problems import Path
from .report import Report
from .server import SHORTEST, KeyConfig, PairConfig, ServerConfig, fits

__all__ = ["check_keys"]

_REFERENCE = re.compile(r"\$\{[A-Za-z_]\w*(:-)?\}|os\.environ/[A-Za-z_]\w*", re.ASCII)
"""A variable, and nothing of the secret beside it."""


def check_keys(
    server: ServerConfig,
    aliases: Mapping[str, AliasConfig],
    deployments: Mapping[str, DeploymentConfig],
    report: Report,
) -> None:
    """Each key has one secret that is not written down, names and hashes of its own, and aliases that exist."""
    served = dict.fromkeys([*aliases, *deployments, *(one.group for one in deployments.values())])
    patterns = [one.match for one in aliases.values() if one.match]
    names: set[str] = set()
    ids: set[str] = set()
    for index, key in enumerate(server.keys):
        path: Path = ("server", "keys", index)
        for field, message in () if report.broken(path) else _unfit(key, _written_down((*path, "key"), report)):
            report.add((*path, field) if field else path, message)
        if key.name in names:
            report.add((*path, "name"), "is the name of another key")
        names.add(key.name)
        if key.id in ids:
            report.add((*path, "hash"), "is the hash of another key")
        ids.update([key.id] if key.id else [])
        for place, alias in enumerate(key.aliases or ()):
            if not any(fits(alias, name) for name in (*served, *patterns)) and not any(
                fits(pattern, alias) for pattern in patterns
            ):
                report.add((*path, "aliases", place), "must be the name of an alias or deployment", near=tuple(served))
    _check_pairs(server.sigv4, tuple(names), report)
    _check_audit(server, report)


def _unfit(key: KeyConfig, written: bool) -> Iterator[tuple[str | None, str]]:
    """Pairs of the field at fault (None: the key) and the reason."""
    if key.hash and key.key:
        yield "key", "stands beside 'hash'; give one of them"
    elif not key.hash and key.key is None:
        yield None, "must have 'hash' (as `lascaux keys new` prints it), or 'key' with a reference such as ${NAME}"
    elif key.key is not None and written:
        yield (
            "key",
            "is written in the file: put it into an environment variable and ${NAME} here, or make a hash with "
            "`lascaux keys new`",
        )


def _check_pairs(pairs: Sequence[PairConfig], keys: tuple[str, ...], report: Report) -> None:
    """Each pair has an id of its own, a key that exists, and a secret that is long enough and not written down.

    An empty secret is refused by who listens: other programs read the file, too.
    """
    ids: set[str] = set()
    for index, pair in enumerate(pairs):
        path: Path = ("server", "sigv4", index)
        if report.broken(path):
            continue
        if _written_down((*path, "secret"), report):
            report.add(
                (*path, "secret"), "is written in the file: put it into an environment variable and ${NAME} here"
            )
        elif 0 < len(pair.secret.get_secret_value()) < SHORTEST:
            report.add((*path, "secret"), f"must have at least {SHORTEST} characters: a shorter one can be guessed")
        if pair.access_key_id in ids:
            report.add((*path, "access_key_id"), "is the id of another pair")
        ids.add(pair.access_key_id)
        if pair.key not in keys:
            report.add((*path, "key"), "must be the name of a key in server.keys", near=keys)


def _check_audit(server: ServerConfig, report: Report) -> None:
    """Its secret is long enough and not written down; an empty one is refused by who writes the audit."""
    path: Path = ("server", "audit", "key")
    if server.audit is None or report.broken(path[:2]):
        return
    if _written_down(path, report):
        report.add(path, "is written in the file: put it into an environment variable and ${NAME} here")
    elif 0 < len(server.audit.key.get_secret_value()) < SHORTEST:
        report.add(path, f"must have at least {SHORTEST} characters: a shorter one can be guessed")


def _written_down(path: Path, report: Report) -> bool:
    """True if a file in our words holds the text itself, or a default for it. Other words have no hashes."""
    if not report.document.filename or report.document.written(path) != path or report.overlay.holds(path[:2]):
        return False
    return not _REFERENCE.fullmatch(str(value_at(report.document.data, path)))
