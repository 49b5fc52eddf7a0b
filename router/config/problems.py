"""What is wrong with a configuration, where, and how it is said: one line per finding."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..errors import ConfigError

__all__ = ["Path", "Place", "Problem", "config_error", "dotted", "hint", "kind_of", "shown"]

Path = tuple[str | int, ...]
"""The way to a value: keys and positions."""

Place = tuple[int, int]
"""Line and column, both counted from 1."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MOST = 100
"""Findings in one report. A file with more has one cause, and the first lines name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding. ``source`` is the file or the environment variable that says so, None for data without either."""

    message: str
    path: Path = ()
    place: Place | None = None
    source: str | None = None

    def __str__(self) -> str:
        where = self.source or ""
        if self.place:
            where += f":{self.place[0]}:{self.place[1]}"
        return ": ".join(part for part in (where, dotted(self.path), self.message) if part)


def config_error(problems: Iterable[Problem]) -> ConfigError:
    """All findings as one error, in the order of the file; attributes are those of the first."""
    ordered = sorted(problems, key=lambda problem: (problem.place is None, problem.place or (0, 0)))
    lines = list(dict.fromkeys(str(problem) for problem in ordered))
    if len(lines) > _MOST:
        lines[_MOST:] = [f"and {len(lines) - _MOST} more problems"]
    first = ordered[0]
    line, column = first.place or (None, None)
    return ConfigError(
        "\n".join(lines), problems=lines, file=first.source, line=line, column=column, path=dotted(first.path) or None
    )


def dotted(path: Path) -> str:
    """A path as people write it: ``aliases.hero.deployments[0].weight``. One line, whatever the keys are."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step) and len(step) <= 80:
            text += f".{step}"
        else:
            text += f"[{_quoted(step, 80)}]"
    return text.removeprefix(".")


def hint(word: object, allowed: Collection[str]) -> str:
    """``; did you mean 'x'?`` if something allowed is spelt alike, else nothing."""
    if not isinstance(word, str):
        return ""
    by_case = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(word.lower()[:200], by_case, n=1, cutoff=0.6)
    return f"; did you mean {by_case[found[0]]!r}?" if found else ""


def shown(value: object) -> str:
    """A value as it may stand in a message: one line, not endless, containers only by their kind."""
    if isinstance(value, str):
        return _quoted(value, 48)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)[:32]
    return kind_of(value)


def kind_of(value: object) -> str:
    """What sort of thing a value is, without saying anything of what is in it."""
    if value is None:
        return "nothing"
    kinds = (((str,), "text"), ((int, float), "a number or flag"), ((Mapping,), "a mapping"), ((list, tuple), "a list"))
    return next((name for types, name in kinds if isinstance(value, types)), "an object")


def _quoted(text: str, most: int) -> str:
    return repr(text if len(text) <= most else f"{text[: most - 3]}...")
