"""Environment variables, a ``.env`` file and a folder of secrets, and their use as ``${NAME}`` in the configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from .problems import Path, Problem, config_error, hint

__all__ = ["Substitution", "Variables", "gather", "substitute"]

_REFERENCE = re.compile(
    r"(?P<escape>\$\$\{)|\$\{(?P<name>[A-Za-z_]\w*)(?P<or>:-(?P<default>(?:(?!\$\{)[^}])*))?\}|\$\{", re.ASCII
)
_LITELLM = re.compile(r"os\.environ/(?P<name>[A-Za-z_]\w*)", re.ASCII)
_SECRET_BYTES = 64 * 1024
_MOST_TEXT = 64 * 1024
"""Characters of one value with its variables put in place."""
_MOST_TEXT_IN_ALL = 4 << 20
_MOST_HINTS = 100
"""Findings that come with a near spelling, each of which costs a look at every variable's name."""
_DEEPEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Values by name, and where each came from: ``environment variable``, a ``.env`` file, or a secrets folder."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    origins: Mapping[str, str] = field(default_factory=dict)


def gather(
    env: Mapping[str, str] | None = None,
    *,
    dotenv: str | os.PathLike[str] | bool = False,
    secrets_dir: str | os.PathLike[str] | None = None,
) -> Variables:
    """Everything that may be referred to. The environment wins over ``.env``, which wins over the secrets folder.

    ``dotenv`` is a path, or True for ``.env`` in the current folder if there is one. ``secrets_dir`` holds one file for each
    variable, as Docker and Kubernetes mount them. Raises ConfigError if a file or folder that was named can not be read.
    """
    environment = dict(os.environ if env is None else env)
    folder = secrets_dir or environment.get("LASCAUX_SECRETS_DIR")
    layers: list[tuple[str, Mapping[str, str]]] = []
    if folder:
        layers.append((os.fspath(folder), _secrets(os.fspath(folder))))
    if isinstance(dotenv, bool):
        dotenv = ".env" if dotenv and FilePath(".env").is_file() else ""
    if file := os.fspath(dotenv):
        layers.append((file, _dotenv(file)))
    layers.append(("environment variable", environment))
    return Variables(
        values={name: value for _, layer in layers for name, value in layer.items()},
        origins={name: origin for origin, layer in layers for name in layer},
    )


@dataclass(slots=True, kw_only=True)
class Substitution:
    """What came out: the data, which variables each value was made of, and what is wrong."""

    data: Any = field(default=None, repr=False)
    references: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)
    size: int = 0
    """Characters of all values that variables were put into."""


def substitute(data: Any, variables: Variables) -> Substitution:
    """A copy of plain data with ``${NAME}``, ``${NAME:-default}``, ``$${`` and ``os.environ/NAME`` put in place.

    Only text is looked at, never keys, and what a variable holds stays text: it can not become structure. An empty
    variable counts as unset where there is a default.
    """
    result = Substitution()
    result.data = _walk(data, (), variables, result)
    return result


def _walk(value: Any, path: Path, variables: Variables, result: Substitution) -> Any:
    if len(path) > _DEEPEST:
        result.problems.append((path[:3], f"is nested deeper than {_DEEPEST} levels"))
        return None
    if isinstance(value, str):
        return _text(value, path, variables, result)
    if isinstance(value, Mapping):
        return {str(key): _walk(inner, (*path, str(key)), variables, result) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_walk(inner, (*path, index), variables, result) for index, inner in enumerate(value)]
    return value


def _text(text: str, path: Path, variables: Variables, result: Substitution) -> str:
    if "$" not in text and not text.startswith("os.environ/"):
        return text  # nearly every text of a file
    whole = _LITELLM.fullmatch(text)
    names: dict[str, None] = {}
    pieces: list[str] = []
    size, end, trouble = len(text), 0, None
    for found in [whole] if whole else _REFERENCE.finditer(text):
        value, trouble = _replacement(found, names, variables, hints=len(result.problems) < _MOST_HINTS)
        pieces += (text[end : found.start()], value)
        size += len(value) - len(found[0])
        end = found.end()
        if trouble or size - (len(text) - end) > _MOST_TEXT:
            break
    if names:
        result.references[path] = tuple(names)
        result.size += size
        trouble = trouble or _too_long(size, result.size)
    if trouble:
        result.problems.append((path, trouble))
        return ""
    return "".join((*pieces, text[end:]))


def _replacement(
    found: re.Match[str], names: dict[str, None], variables: Variables, *, hints: bool
) -> tuple[str, str | None]:
    """What stands for one reference, and what is wrong with it. Its name is added to ``names``."""
    groups = found.groupdict()
    if groups.get("escape"):
        return "${", None
    name = groups["name"]
    if name is None:
        return "", "has an incomplete reference; write ${NAME}, ${NAME:-default}, or $${ for the characters themselves"
    names[name] = None
    value = variables.values.get(name)
    if groups.get("or") and not value:
        return groups["default"] or "", None
    if value is None:
        unset = f"needs the environment variable {name}, which is not set; set it, or write ${{{name}:-default}}"
        return "", unset + (hint(name, variables.values) if hints else "")
    return value, None


def _too_long(size: int, in_all: int) -> str | None:
    if size > _MOST_TEXT:
        return f"is longer than {_MOST_TEXT >> 10} KiB once its variables are put in place"
    if in_all > _MOST_TEXT_IN_ALL:
        return f"makes more than {_MOST_TEXT_IN_ALL >> 20} MiB of text, with all others that variables are put into"
    return None


def _dotenv(name: str) -> dict[str, str]:
    from pydantic_settings import BaseSettings, DotEnvSettingsSource  # 150 ms, and most start without such a file

    if not FilePath(name).is_file():
        raise config_error([Problem(message="can not be read: no such file", source=name)])
    try:
        found = DotEnvSettingsSource(BaseSettings, env_file=name, case_sensitive=True).env_vars
    except (OSError, ValueError):
        raise config_error(
            [Problem(message="can not be read: must be lines of NAME=value in UTF-8", source=name)]
        ) from None
    return {key: value for key, value in found.items() if value is not None}


def _secrets(folder: str) -> dict[str, str]:
    """One variable for each file, its name and its content without surrounding white space."""
    found: dict[str, str] = {}
    try:
        for entry in sorted(FilePath(folder).iterdir()):
            if entry.name.startswith(".") or not entry.is_file():
                continue
            with entry.open("rb") as file:
                content = file.read(_SECRET_BYTES + 1)
            if len(content) > _SECRET_BYTES:
                raise config_error([Problem(message="is larger than 64 KiB", source=str(entry))])
            found[entry.name] = content.decode("utf-8").strip()
    except (OSError, ValueError) as error:
        strerror = getattr(error, "strerror", None)
        reason = strerror.lower() if strerror else "must hold UTF-8 text files"
        source = getattr(error, "filename", None) or folder
        raise config_error([Problem(message=f"can not be read: {reason}", source=str(source))]) from None
    return found
