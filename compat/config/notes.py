"""The new shape of a configuration while it grows, where each of its values was written, and what is said about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

__all__ = ["Draft", "Found", "Note", "Params", "Path", "is_reference", "near", "number"]

Path = tuple[str | int, ...]
"""The way to a value: keys and positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to say about a place of the file. The message never repeats a secret."""

    path: Path
    message: str


class Found(NamedTuple):
    """A value of the file, and where it stands there."""

    value: Any
    path: Path


@dataclass(slots=True, kw_only=True)
class Draft:
    """A translation in the making."""

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, Path] = field(default_factory=dict)
    problems: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)

    def put(self, path: Path, value: Any, origin: Path) -> None:
        """Set a value of the new shape; mappings on the way to it are made."""
        inner = self.data
        for step in path[:-1]:
            inner = inner.setdefault(str(step), {})
        inner[str(path[-1])] = value
        self.origins[path] = origin

    def refuse(self, path: Path, message: str) -> None:
        """Note what makes the file unusable."""
        self.problems.append(Note(path=path, message=message))

    def warn(self, path: Path, message: str) -> None:
        """Note what is adapted, or has no effect."""
        self.warnings.append(Note(path=path, message=message))


class Params:
    """The keys of one mapping of the file: each is taken once, and what nobody took is left over. None is not given."""

    def __init__(self, found: Mapping[str, Found]) -> None:
        self._found = {name: one for name, one in found.items() if one.value is not None}
        self._taken: set[str] = set()

    @classmethod
    def of(cls, mapping: Mapping[Any, Any], path: Path) -> Params:
        """The keys of the mapping that stands at ``path``."""
        return cls({str(key): Found(value, (*path, str(key))) for key, value in mapping.items()})

    def take(self, *names: str) -> Found | None:
        """The first of ``names`` that is given. Only that one counts as taken."""
        for name in names:
            if name in self._found:
                self._taken.add(name)
                return self._found[name]
        return None

    @property
    def rest(self) -> dict[str, Found]:
        """What nobody took."""
        return {name: one for name, one in self._found.items() if name not in self._taken}


def is_reference(value: object) -> bool:
    """True if the value stands in an environment variable, so that it is not known yet."""
    return isinstance(value, str) and (value.startswith("os.environ/") or "${" in value)


def near(name: str, known: Collection[str]) -> str:
    """``; did you mean x?`` if something known is spelt alike, else nothing."""
    found = get_close_matches(name.lower()[:100], known, n=1, cutoff=0.75)
    return f"; did you mean {found[0]}?" if found else ""


def number(value: object) -> int | float | None:
    """The number that is written, as such or as text; None if it is none, or not known yet."""
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
