"""Bodies as plain data: JSON, and multipart forms with the bracket notation of OpenAI's clients.

Observed with openai-python 3.54 and openai-node 6.49: an object becomes ``a[b]``, a list ``a[]``, everything a text,
booleans ``true`` and ``false``; several pictures come as ``image[]``; bytes without a name as a file called ``upload``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pybase64
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..providers.param_pictures import PICTURE_NAMES
from ..providers.types import Image
from .errors import Refused

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["Fields", "read_fields", "read_json"]

Fields = dict[str, Any]

_MOST_PARTS = 200
_MOST_DEPTH = 16
_MOST_VALUES = 20_000
_STRETCH = 64 * 1024
"""Bytes that are counted at a time, so that a body of nothing else is refused at once."""
_HEAD = 128
"""Letters in which a data URL must have come to its picture."""
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_KEY = re.compile(r"\[([^\[\]]*)\]")
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?")
_WORDS = re.compile(r"text|prompt|image|colou?r|name|style", re.IGNORECASE)
"""Keys whose values are words, even if they look like a number."""


def read_fields(content_type: str, body: bytes) -> Fields:
    """What a body says, by name; files as base64. JSON unless it says that it is a form: many a client forgets the header.

    Raises `Refused` (400) if it can not be read.
    """
    if content_type.split(";", 1)[0].strip().lower() == "multipart/form-data":
        found: Fields = _texts(_nested(_parts(content_type, body)))
        return found
    try:
        found = read_json(body)
    except ValueError as problem:
        raise _unreadable(f"the body is not JSON: {str(problem)[:200]}") from None
    if not isinstance(found, dict):
        raise _unreadable("the body must be a JSON object with parameters")
    return {name: _bare(value) if name in PICTURE_NAMES else value for name, value in found.items()}


def _bare(value: Any) -> Any:
    """The same without the head of a large data URL: what is cut off later would be a second copy of the picture."""
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, dict):
        inner = _bare(value.get("image_url")) if len(value) == 1 else None
        return inner if isinstance(inner, Image) else value
    if not isinstance(value, str) or len(value) <= _STRETCH:
        return value
    head, comma, _ = value[:_HEAD].partition(",")
    if not comma or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
        return value
    return Image(value[len(head) + 1 :])


def read_json(body: bytes) -> Any:
    """What a JSON body says. Raises ValueError if it is none, `Refused` (400) if it has more values than any request.

    Megabytes of small values would take a hundred times as much memory, and stop all other requests while they are read.
    Counted is what begins and parts values, wherever it stands: base64 has none of it, and a prompt is no longer than that.
    """
    count = 0
    for start in range(0, len(body), _STRETCH):
        end = start + _STRETCH
        count += body.count(b",", start, end) + body.count(b"{", start, end) + body.count(b"[", start, end)
        if count > _MOST_VALUES:
            raise _unreadable(f"the body has too many values: it may have {_MOST_VALUES:,} of '{{', '[' and ','")
    return orjson.loads(body)


def _unreadable(message: str) -> Refused:
    return Refused(message, status=400, code="invalid_body")


class _Form:
    """Takes in the parts of a form, in memory: the body is there already."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str | bytes]] = []
        self.ended = False
        """False for a form that was cut off, of which the rest would be missing silently."""
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._content = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= _MOST_PARTS:
            raise _unreadable(f"the form has more than {_MOST_PARTS} parts")
        self._headers, self._content = {}, bytearray()
        self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content += memoryview(data)[start:end]

    def _part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise _unreadable("a part of the form has no name")
        name = options[b"name"].decode("utf-8", "replace")
        content = bytes(self._content)
        if b"filename" not in options:
            try:
                self.parts.append((name, content.decode("utf-8")))
            except UnicodeDecodeError:
                raise _unreadable(f"{name[:80]!r} in the form is not UTF-8") from None
        else:
            self.parts.append((name, content))

    def _end(self) -> None:
        self.ended = True


def _parts(content_type: str, body: bytes) -> list[tuple[str, str | bytes]]:
    """Names and values in the order of the form; files as bytes, whatever they are called."""
    _, options = parse_options_header(content_type.encode("latin-1", "replace"))
    boundary, form = options.get(b"boundary"), _Form()
    if not boundary:
        raise _unreadable("the form does not tell its boundary")
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as problem:
        raise _unreadable(f"the form can not be read: {str(problem)[:200]}") from None
    if not form.ended:
        raise _unreadable("the form ends too soon: its last boundary is missing")
    return form.parts


def _texts(value: Any) -> Any:
    """The same with files as base64: so they are sent to a model, and so each is held once while it is waited for."""
    if isinstance(value, bytes):
        return pybase64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list) else value


def _nested(parts: list[tuple[str, str | bytes]]) -> Fields:
    """``a[b]`` as an object in an object; ``a[]``, and a file whose name comes again, as a list."""
    fields: Fields = {}
    for name, value in parts:
        match = _NAME.fullmatch(name)
        keys = _KEY.findall(match[2]) if match else []
        if match is None or len(keys) > _MOST_DEPTH:
            _place(fields, name, value, name)
            continue
        inside: Any = fields
        key = match[1]
        for following in keys:
            inside = _inner(inside, key, following, name)
            key = following
        _place(inside, key, _plain(key, value) if len(keys) > 0 and key else value, name)
    return fields


def _inner(container: Any, key: str, following: str, name: str) -> Any:
    """The list or the object under ``key``, made if it is not there."""
    kind = list if following == "" else dict
    if isinstance(container, list):
        # a[][b]: an object of the list goes on until a key comes again, which is the next one's.
        if not container or not isinstance(container[-1], kind):
            container.append(kind())
        return container[-1]
    found = container.setdefault(key, kind())
    if not isinstance(found, kind):
        if kind is list and isinstance(found, (str, bytes)):
            container[key] = [found]
            return container[key]
        raise _unreadable(f"the form gives {name[:80]!r} in two ways that do not fit together")
    return found


def _place(container: Any, key: str, value: str | bytes | Any, name: str) -> None:
    if isinstance(container, list):
        container.append(value)
    elif key not in container:
        container[key] = value
    elif isinstance(container[key], list) and isinstance(value, bytes):
        container[key].append(value)
    elif isinstance(value, bytes) and isinstance(container[key], bytes):
        container[key] = [container[key], value]
    elif container[key] != value:
        raise _unreadable(f"the form gives {name[:80]!r} twice, with different values")


def _plain(key: str, value: str | bytes) -> Any:
    """A number, true, false or null inside an object, which goes to a model as it is."""
    if isinstance(value, str) and not _WORDS.search(key) and _SCALAR.fullmatch(value):
        return orjson.loads(value)
    return value
