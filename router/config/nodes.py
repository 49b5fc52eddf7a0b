"""From text to YAML nodes in one pass over the parser's events: bounded before anything recursive sees it.

Scalars have the types of YAML 1.2's core schema: ``no`` and ``on`` are text, and numbers too long to be numbers stay text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

import yaml

from .problems import Place

__all__ = [
    "MAX_DEPTH",
    "MAX_NODES",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "child_of",
    "compose",
    "kind_of",
    "place_of",
]

MAX_DEPTH = 50
MAX_NODES = 100_000
"""Values after every anchor has been expanded. A bomb of 300 bytes can hold billions."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may be built without its C half
_CORE = "tag:yaml.org,2002:"
_SHAPES: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
"""By the first character of a plain scalar: what it may be other than text."""

for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,17})", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]{0,17})(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", list("-+0123456789.")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    for _character in _first:
        _SHAPES.setdefault(_character, []).append((_kind, re.compile(rf"(?:{_pattern})\Z")))

Scalar = tuple[str, str, int, int]
"""Text, kind (``str``, ``int``, ... or a tag without meaning here), line and column. Plain, as most nodes are scalars."""


class Collection:
    """A mapping or a list."""

    __slots__ = ("children", "kind", "place")

    def __init__(self, kind: str, place: Place) -> None:
        self.kind = kind
        self.place = place
        self.children: list[Node] = []
        """Entries, or keys and values by turns."""


class Sequence(Collection):
    """A list. ``entries`` are its children once it is read; None where it has a tag."""

    __slots__ = ("entries",)

    def __init__(self, kind: str, place: Place) -> None:
        super().__init__(kind, place)
        self.entries: list[Node] | None = None


class Mapping(Collection):
    """A mapping. ``pairs`` are keys and values by name once it is read, merged ones included; None where it has a tag."""

    __slots__ = ("pairs",)

    def __init__(self, kind: str, place: Place) -> None:
        super().__init__(kind, place)
        self.pairs: dict[str, tuple[Scalar, Node]] | None = None


Node = Scalar | Collection
_COLLECTIONS: dict[type, tuple[type[Mapping | Sequence], str]] = {
    yaml.MappingStartEvent: (Mapping, "map"),
    yaml.SequenceStartEvent: (Sequence, "seq"),
}


def compose(text: str, fail: Callable[[str, Place], NoReturn]) -> tuple[Node | None, bool]:
    """The only document of a text (None: there is none), and whether an anchor is used in it.

    ``fail`` is told what is out of bounds, and where. Raises yaml.YAMLError; about anchors only if all else is in order.
    """
    anchors: dict[str, Node] = {}
    wrong: yaml.MarkedYAMLError | None = None
    nodes = documents = 0
    used = False
    top: list[Node] = []
    children = top
    around: list[list[Node]] = []
    for event in iter(_Loader(text).get_event, None):
        kind = type(event)
        node: Node
        if kind is yaml.ScalarEvent:
            mark = event.start_mark
            node = (event.value, _scalar_kind(event), mark.line + 1, mark.column + 1)
        elif kind in _COLLECTIONS:
            shape, default = _COLLECTIONS[kind]
            node = shape(_tag(event, default), _place(event))
            if len(around) == MAX_DEPTH:
                fail(f"is nested deeper than {MAX_DEPTH} levels", place_of(node))
        elif kind is yaml.AliasEvent:
            used = True
            node = anchors.get(event.anchor, _NOTHING)
        elif isinstance(event, yaml.CollectionEndEvent):
            children = around.pop()
            continue
        else:
            documents += kind is yaml.DocumentStartEvent
            if documents > 1:
                more = "has more than one YAML document; keep one, without '---' in between"
                fail(more, _place(event))
            continue
        nodes += 1
        if nodes > MAX_NODES:
            fail(f"has more than {MAX_NODES} values", _place(event))
        children.append(node)
        if event.anchor is not None:
            wrong = wrong or _misused(event, anchors)
            anchors[event.anchor] = node
        if kind in _COLLECTIONS and isinstance(node, Collection):
            around.append(children)
            children = node.children
    if wrong is not None:
        raise wrong
    return (top[0] if top else None), used


def place_of(node: Node) -> Place:
    """Line and column where it begins."""
    return node[2:] if isinstance(node, tuple) else node.place


def kind_of(node: Node) -> str:
    """What a scalar or collection is, after YAML's core schema or an explicit tag."""
    return node[1] if isinstance(node, tuple) else node.kind


def child_of(node: Node, step: str | int) -> tuple[Scalar | None, Node] | None:
    """What a step of a path leads to, with its key if it has one; None if there is nothing that was read."""
    if isinstance(node, Mapping) and node.pairs is not None:
        return node.pairs.get(step) if isinstance(step, str) else None
    if isinstance(node, Sequence) and node.entries is not None:
        return (None, node.entries[step]) if isinstance(step, int) and step < len(node.entries) else None
    return None


_NOTHING: Scalar = ("", "null", 0, 0)


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _tag(event: Any, default: str) -> str:
    """The explicit tag, without the common beginning of YAML's own."""
    tag: str | None = event.tag
    return default if tag is None or tag == "!" else tag.removeprefix(_CORE)


def _scalar_kind(event: Any) -> str:
    plain, quoted = event.implicit
    if quoted:
        return "str"
    if not plain:
        return _tag(event, "str")
    text: str = event.value
    for kind, shape in _SHAPES.get(text[:1], ()):
        if shape.match(text):
            return kind
    return "str"


def _misused(event: Any, anchors: dict[str, Node]) -> yaml.MarkedYAMLError | None:
    """What is wrong with an anchor, or with a use of one."""
    known, mark = event.anchor in anchors, event.start_mark
    if isinstance(event, yaml.AliasEvent):
        return None if known else yaml.MarkedYAMLError(problem="found undefined alias", problem_mark=mark)
    first = "found duplicate anchor; first occurrence"
    return yaml.MarkedYAMLError(first, None, "second occurrence", mark) if known else None
