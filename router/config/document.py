"""A configuration as read: plain data, and for every value the place in the file that it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .nodes import Node, Scalar, child_of, place_of
from .problems import Path, Place, Problem

__all__ = ["NOTHING", "Document", "outwards", "value_at"]

NOTHING: Any = object()
"""What is at a path where nothing is; null is something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says before anybody has judged it.

    ``root`` is what was read, with its places. A translator that gives the data another shape uses `reshaped`, so that
    complaints about the new shape still point into the file. ``problems`` are findings of the reader, such as a key
    written twice, that shall be reported together with all others.
    """

    data: Any = field(repr=False)
    filename: str | None = None
    root: Node | None = field(default=None, repr=False)
    problems: tuple[Problem, ...] = ()
    origins: Mapping[Path, Path] = field(default_factory=dict)

    def reshaped(self, data: Any, origins: Mapping[Path, Path]) -> Document:
        """The same file with other data. ``origins`` tells for paths of ``data`` which path of the file they came from.

        What lies below such a path is looked up below its origin; a path without any origin is taken as it is.
        """
        return replace(self, data=data, origins=dict(origins))

    def written(self, path: Path) -> Path:
        """The path in the file that ``path`` of the data came from; ``path`` itself where nobody reshaped anything."""
        for here in outwards(path):
            if here in self.origins:
                return self.origins[here] + path[len(here) :]
        return path

    def locate(self, path: Path, *, key: bool = False) -> Place | None:
        """Line and column of a value, or of its key; of the closest thing around it if it is not written down itself.

        None if the data did not come from a file.
        """
        if self.root is None:
            return None
        named: Scalar | None = None
        node: Node = self.root
        for step in self.written(path):
            found = child_of(node, step)
            if found is None:
                key = True
                break
            named, node = found
        return place_of(named if key and named is not None else node)


def outwards(path: Path) -> Iterator[Path]:
    """The path itself, then what is around it, up to the top: ``()``."""
    for length in range(len(path), -1, -1):
        yield path[:length]


def value_at(data: Any, path: Path) -> Any:
    """What plain data holds at ``path``, or NOTHING."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return NOTHING
    return data
