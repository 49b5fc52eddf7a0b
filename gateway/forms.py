"""Bodies as plain data: JSON, and multipart forms with the bracket notation of OpenAI's clients.

Observed with openai-python 3.54 and openai-node 6.49: an object becomes ``a[b]``, a list ``a[]``, everything a text,
booleans ``true`` and ``false``; several pictures come as ``image[]``; bytes without a name as a file called ``upload``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from .errors import Refused

__all__ = ["Fields", "read_fields"]

Fields = dict[str, Any]

_MOST_FIELDS = 200
_MOST_FILES = 40
_MOST_DEPTH = 16
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_KEY = re.compile(r"\[([^\[\]]*)\]")
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?")
_WORDS = re.compile(r"text|prompt|image|colou?r|name|style", re.IGNORECASE)
"""Keys whose values are words, even if they look like a number."""


async def read_fields(content_type: str, body: bytes) -> Fields:
    """What a body says, by name. JSON unless it says that it is a form: many a client forgets the header.

    Raises `Refused` (400) if it can not be read.
    """
    if content_type.split(";", 1)[0].strip().lower() == "multipart/form-data":
        return _nested(await _parts(content_type, body))
    try:
        found = orjson.loads(body)
    except ValueError as problem:
        raise _unreadable(f"the body is not JSON: {str(problem)[:200]}") from None
    if not isinstance(found, dict):
        raise _unreadable("the body must be a JSON object with parameters")
    return found


def _unreadable(message: str) -> Refused:
    return Refused(message, status=400, code="invalid_body")


async def _parts(content_type: str, body: bytes) -> list[tuple[str, str | bytes]]:
    """Names and values in the order of the form; files as bytes, whatever they are called."""
    headers = Headers(raw=[(b"content-type", content_type.encode("latin-1", "replace"))])
    parser = MultiPartParser(
        headers, _once(body), max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=len(body) + 1
    )
    parser.spool_max_size = len(body) + 1  # it is in memory already, a temporary file would be one copy more
    try:
        form = await parser.parse()
    except MultiPartException as problem:
        raise _unreadable(f"the form can not be read: {problem.message[:200]}") from None
    except (FormParserError, ValueError, LookupError, AssertionError, AttributeError) as problem:
        raise _unreadable(f"the form can not be read ({type(problem).__name__})") from None
    try:
        return [
            (name, value.file.read() if isinstance(value, UploadFile) else value) for name, value in form.multi_items()
        ]
    finally:
        await form.close()


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


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
