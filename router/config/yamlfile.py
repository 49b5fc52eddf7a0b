"""Reads YAML that may come from anybody: bounded, strict about duplicates, with a place for every value.

Values follow YAML 1.2's core schema: only ``true`` and ``false`` are booleans, ``no`` and ``on`` are text, ``1:30`` and
``2026-11-22`` are text, ``012`` keeps its zero. Keys are always text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, NoReturn

import yaml

from .document import Document
from .problems import Path, Place, Problem, config_error

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "MAX_TEXT", "parse_document", "read_document"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_NODES = 100_000
"""Values after every anchor has been expanded. A bomb of 300 bytes can hold billions."""
MAX_TEXT = 4 << 20
"""Characters of all scalars after every anchor has been expanded: what later steps have to read."""

_CORE = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(r"^%TAG", re.MULTILINE)
_KINDS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "null": lambda text: None,
    "bool": lambda text: text[0] in "tT",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # PyYAML may be built without its C half
    """PyYAML's composer with the scalar types of YAML 1.2. Numbers too long to be numbers stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own protocol


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,17})", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]{0,17})(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", list("-+0123456789.")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_CORE + _tag, re.compile(rf"(?:{_pattern})\Z"), _first)


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
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self.anchored = False

    def read(self, text: str) -> Document:
        if len(text.encode("utf-8", "replace")) > MAX_BYTES:
            self.fail(f"is larger than {MAX_BYTES >> 20} MiB")
        if bad := _UNPRINTABLE.search(text):
            self.fail(f"has a control character, U+{ord(bad[0]):04X}", _end_of(text[: bad.start()]))
        if bad := _DIRECTIVE.search(text):
            self.fail("has a %TAG directive, which has no meaning here; remove it", _end_of(text[: bad.start()]))
        try:
            self.check_events(text)
            root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            self.fail(*_syntax(error, text))
        except (yaml.YAMLError, ValueError, RecursionError):
            self.fail("is not YAML")
        if root is None or root.tag == _CORE + "null":
            self.fail("is empty")
        if not isinstance(root, yaml.MappingNode):
            kind = "a list" if isinstance(root, yaml.SequenceNode) else "one scalar"
            self.fail(f"must be a mapping such as 'aliases: ...' at the top (got {kind})", _place(root))
        if self.anchored:  # else the events have been measured, and there was nothing to expand
            self.measure(root, {})
        data = self.build(root, ())
        return Document(
            data=data, filename=self.filename, keys=self.keys, values=self.values, problems=tuple(self.problems)
        )

    def fail(self, message: str, place: Place | None = None) -> NoReturn:
        raise config_error([*self.problems, Problem(message=message, source=self.filename, place=place)])

    def check_events(self, text: str) -> None:
        """Walk the parser's events before anything recursive sees them: libyaml's composer crashes on deep nesting."""
        depth = documents = nodes = 0
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    self.fail(f"is nested deeper than {MAX_DEPTH} levels", _place(event))
            elif isinstance(event, yaml.AliasEvent):
                self.anchored = True
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.fail("has more than one YAML document; keep one, without '---' in between", _place(event))
            nodes += isinstance(event, yaml.NodeEvent)
            if nodes > MAX_NODES:
                self.fail(f"has more than {MAX_NODES} values", _place(event))

    def measure(self, node: yaml.Node, known: dict[int, tuple[int, int, int] | None]) -> tuple[int, int, int]:
        """Values, levels and characters under ``node`` with all anchors expanded; each node is visited once."""
        if id(node) in known:
            size = known[id(node)]
            if size is None:
                self.fail("an anchor contains itself", _place(node))
            return size
        known[id(node)] = None
        values, levels, text = 1, 0, len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        for child in _children(node):
            inner_values, inner_levels, inner_text = self.measure(child, known)
            values += inner_values
            levels = max(levels, inner_levels + 1)
            text += inner_text
        if values > MAX_NODES:
            self.fail(f"has more than {MAX_NODES} values once its anchors are expanded", _place(node))
        if levels > MAX_DEPTH:
            self.fail(f"is nested deeper than {MAX_DEPTH} levels once its anchors are expanded", _place(node))
        if text > MAX_TEXT:
            self.fail(f"has more than {MAX_TEXT >> 20} MiB of text once its anchors are expanded", _place(node))
        known[id(node)] = (values, levels, text)
        return values, levels, text

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.values.setdefault(path, _place(node))
        kind = node.tag.removeprefix(_CORE)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            if kind in ("str", "merge"):
                return node.value
            if kind in _KINDS:
                return self.scalar(node, kind, path)
        self.note("YAML tags such as '!x' have no meaning here; remove it", path, _place(node))
        return None

    def scalar(self, node: yaml.ScalarNode, kind: str, path: Path) -> Any:
        try:
            text = node.value.replace(".inf", "inf").replace(".nan", "nan") if kind == "float" else node.value
            return _KINDS[kind](text)
        except (ValueError, IndexError):  # only an explicit tag can claim what the text is not, as in `!!int x`
            self.note(f"is tagged !!{kind} but is none", path, _place(node))
            return None

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        pairs = self.pairs(node, path)
        for name, (key, _) in pairs.items():
            self.keys.setdefault((*path, name), _place(key))
        return {name: self.build(value, (*path, name)) for name, (_, value) in pairs.items()}

    def pairs(self, node: yaml.MappingNode, path: Path) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """A mapping's own keys in their order, then those that a merge key ``<<`` brings in."""
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: list[yaml.MappingNode] = []
        for key, value in node.value:
            if key.tag == _CORE + "merge":
                merged += self.merge_sources(value, path)
            elif not isinstance(key, yaml.ScalarNode):
                self.note("a key must be text", path, _place(key))
            elif key.value in found:
                line = found[key.value][0].start_mark.line + 1
                self.note(f"is written twice, first in line {line}; keep one", (*path, key.value), _place(key))
            else:
                found[key.value] = (key, value)
        for source in merged:
            for name, pair in self.pairs(source, path).items():
                found.setdefault(name, pair)
        return found

    def merge_sources(self, node: yaml.Node, path: Path) -> list[yaml.MappingNode]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        maps = [source for source in sources if isinstance(source, yaml.MappingNode)]
        if len(maps) < len(sources):
            self.note("'<<' merges mappings only", path, _place(node))
        return maps

    def note(self, message: str, path: Path, place: Place) -> None:
        self.problems.append(Problem(message=message, path=path, place=place, source=self.filename))


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value


def _place(marked: yaml.Node | yaml.Event) -> Place:
    mark: Any = marked.start_mark
    return mark.line + 1, mark.column + 1


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
