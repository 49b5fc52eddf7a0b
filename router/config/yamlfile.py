"""Reads YAML that may come from anybody: bounded, strict about duplicates, with a place for every value.

Values follow YAML 1.2's core schema: only ``true`` and ``false`` are booleans, ``no`` and ``on`` are text, ``1:30`` and
``2026-11-22`` are text, ``012`` keeps its zero. Keys are always text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

import yaml

from .document import Document
from .nodes import MAX_DEPTH, MAX_NODES, Mapping, Node, Scalar, Sequence, compose, kind_of, place_of
from .problems import Path, Place, Problem, config_error

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "MAX_TEXT", "parse_document", "read_document"]

MAX_BYTES = 1 << 20
MAX_TEXT = 4 << 20
"""Characters of all scalars after every anchor has been expanded: what later steps have to read."""

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(r"^%TAG", re.MULTILINE)
_KINDS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "null": lambda text: None,
    "bool": lambda text: text[0] in "tT",
}


def read_document(path: str | os.PathLike[str]) -> Document:
    """Read a YAML file. Raises ConfigError for what can not be read or is no single, bounded mapping."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise config_error(
            [Problem(message=f"can not be read: {reason}{_neighbour(name, error)}", source=name)]
        ) from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise config_error([Problem(message="is UTF-16, must be UTF-8", source=name)])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise config_error([Problem(message="is not valid UTF-8", source=name, place=_end_of(before))]) from None
    return parse_document(text, name)


def parse_document(text: str, filename: str | None = "<config>") -> Document:
    """Read YAML from a string, under the same rules as a file. Raises ConfigError."""
    return _Reading(filename).read(text.removeprefix("\ufeff"))


class _Reading:
    """One pass over one text."""

    def __init__(self, filename: str | None) -> None:
        self.filename = filename
        self.problems: list[Problem] = []

    def read(self, text: str) -> Document:
        if len(text.encode("utf-8", "replace")) > MAX_BYTES:
            self.fail(f"is larger than {MAX_BYTES >> 20} MiB")
        if bad := _UNPRINTABLE.search(text):
            self.fail(f"has a control character, U+{ord(bad[0]):04X}", _end_of(text[: bad.start()]))
        if bad := _DIRECTIVE.search(text):
            self.fail("has a %TAG directive, which has no meaning here; remove it", _end_of(text[: bad.start()]))
        try:
            root, anchored = compose(text, self.fail)
        except yaml.MarkedYAMLError as error:
            self.fail(*_syntax(error, text))
        except (yaml.YAMLError, ValueError, RecursionError):
            self.fail("is not YAML")
        if root is None or kind_of(root) == "null":
            self.fail("is empty")
        if not isinstance(root, Mapping):
            kind = "one scalar" if isinstance(root, tuple) else "a list"
            self.fail(f"must be a mapping such as 'aliases: ...' at the top (got {kind})", place_of(root))
        if anchored:  # else the nodes have been counted, and there was nothing to expand
            self.measure(root, {})
        data = self.build(root, ())
        return Document(data=data, filename=self.filename, root=root, problems=tuple(self.problems))

    def fail(self, message: str, place: Place | None = None) -> NoReturn:
        raise config_error([*self.problems, Problem(message=message, source=self.filename, place=place)])

    def measure(self, node: Node, known: dict[int, tuple[int, int, int] | None]) -> tuple[int, int, int]:
        """Values, levels and characters under ``node`` with all anchors expanded; each node is visited once."""
        if id(node) in known:
            size = known[id(node)]
            if size is None:
                self.fail("an anchor contains itself", place_of(node))
            return size
        known[id(node)] = None
        children, text = ([], len(node[0])) if isinstance(node, tuple) else (node.children, 0)
        values, levels = 1, 0
        for child in children:
            inner_values, inner_levels, inner_text = self.measure(child, known)
            values += inner_values
            levels = max(levels, inner_levels + 1)
            text += inner_text
        if values > MAX_NODES:
            self.fail(f"has more than {MAX_NODES} values once its anchors are expanded", place_of(node))
        if levels > MAX_DEPTH:
            self.fail(f"is nested deeper than {MAX_DEPTH} levels once its anchors are expanded", place_of(node))
        if text > MAX_TEXT:
            self.fail(f"has more than {MAX_TEXT >> 20} MiB of text once its anchors are expanded", place_of(node))
        known[id(node)] = (values, levels, text)
        return values, levels, text

    def build(self, node: Node, path: Path) -> Any:
        if isinstance(node, tuple):
            return self.scalar(node, path)
        if isinstance(node, Mapping) and node.kind == "map":
            node.pairs = self.pairs(node, path)
            return {
                name: value[0] if isinstance(value, tuple) and value[1] == "str" else self.build(value, (*path, name))
                for name, (_, value) in node.pairs.items()
            }
        if isinstance(node, Sequence) and node.kind == "seq":
            node.entries = node.children
            return [self.build(child, (*path, index)) for index, child in enumerate(node.children)]
        return self.tagged(node, path)

    def scalar(self, node: Scalar, path: Path) -> Any:
        text, kind, *_ = node
        if kind in ("str", "merge"):
            return text
        if kind not in _KINDS:
            return self.tagged(node, path)
        try:
            return _KINDS[kind](text.replace(".inf", "inf").replace(".nan", "nan") if kind == "float" else text)
        except (ValueError, IndexError):  # only an explicit tag can claim what the text is not, as in `!!int x`
            self.note(f"is tagged !!{kind} but is none", path, place_of(node))

    def tagged(self, node: Node, path: Path) -> None:
        self.note("YAML tags such as '!x' have no meaning here; remove it", path, place_of(node))

    def pairs(self, node: Mapping, path: Path) -> dict[str, tuple[Scalar, Node]]:
        """A mapping's own keys in their order, then those that a merge key ``<<`` brings in."""
        found: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Mapping] = []
        for key, value in zip(node.children[::2], node.children[1::2], strict=True):
            if kind_of(key) == "merge":
                merged += self.merge_sources(value, path)
            elif not isinstance(key, tuple):
                self.note("a key must be text", path, place_of(key))
            elif (name := key[0]) in found:
                line, _ = place_of(found[name][0])
                self.note(f"is written twice, first in line {line}; keep one", (*path, name), place_of(key))
            else:
                found[name] = (key, value)
        for source in merged:
            for name, pair in self.pairs(source, path).items():
                found.setdefault(name, pair)
        return found

    def merge_sources(self, node: Node, path: Path) -> list[Mapping]:
        sources = node.children if isinstance(node, Sequence) else [node]
        maps = [source for source in sources if isinstance(source, Mapping)]
        if len(maps) < len(sources):
            self.note("'<<' merges mappings only", path, place_of(node))
        return maps

    def note(self, message: str, path: Path, place: Place) -> None:
        self.problems.append(Problem(message=message, path=path, place=place, source=self.filename))


def _end_of(text: str) -> Place:
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[str, Place | None]:
    """The parser's own words, which never quote the file, and a hint for the slips that people make."""
    mark = error.problem_mark or error.context_mark
    message = "is not YAML: " + ", ".join(part for part in (error.context, error.problem) if part)
    if mark is None:
        return message, None
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    rest = line[max(mark.column - 1, 0) :]
    if rest[:1] == "*" or rest[1:2] == "*":
        message += '; a name with * needs quotes: "*"'
    elif "${" in line:
        message += '; inside { } and [ ] a reference needs quotes: "${NAME}"'
    elif "\t" in rest[:2]:
        message += "; indent with spaces, not with tabs"
    elif rest[1:2] in ("@", "`", "%"):
        message += "; put text that begins with this character in quotes"
    return message, (mark.line + 1, mark.column + 1)


def _neighbour(name: str, error: Exception) -> str:
    if not isinstance(error, FileNotFoundError):
        return ""
    folder, base = os.path.split(name)
    try:
        near = get_close_matches(base, os.listdir(folder or "."), n=1)
    except OSError:
        return ""
    return f"; did you mean {os.path.join(folder, near[0])!r}?" if near else ""
