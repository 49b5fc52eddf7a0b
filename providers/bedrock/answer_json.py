"""The JSON of an answer, read without reading the pictures in it.

Nearly all of an answer is base64. A parser looks at each of these letters for an escape, and copies them into a text. Here
they are cut out first, and what is left, a few hundred bytes, goes to the parser; so what JSON means is the parser's to
say, duplicate keys and nesting included. Whatever is out of the ordinary is left to it altogether.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..images import is_base64

__all__ = ["read_json"]

_WORTH = 32 * 1024
"""Bytes below which an answer is parsed as it is."""
_LONG = 4096
"""Letters from which on a text is cut out."""
_MOST_TEXTS = 256
"""Texts that are looked at before the parser gets all of it."""
_MOST_LEFT = 64 * 1024
_DEEPEST = 8
_MARK = "\0"
"""What the place of a text that was cut out begins with. No text of an answer can: JSON has no such letter but as an
escape, and an answer with a backslash outside its pictures is not cut."""
_PICTURES = frozenset({("images", "*"), ("artifacts", "*", "base64")})
"""Where Bedrock's image models put pictures (WIRE.md, sections 3 to 8). Elsewhere a text is a text."""


class _Odd(Exception):
    """The parser shall have all of it."""


def read_json(body: bytes) -> Any:
    """What ``orjson.loads`` makes of it, but that large pictures are views of their letters in ``body``.

    Such a view is base64 to its last letter. Where there are several, each has a buffer of its own, so that none keeps the
    others alive. Raises orjson.JSONDecodeError.
    """
    if len(body) < _WORTH:
        return orjson.loads(body)
    try:
        rest, views = _cut(body)
        return _filled(orjson.loads(rest), views, ()) if views else orjson.loads(body)
    except _Odd:
        return orjson.loads(body)


def _cut(body: bytes) -> tuple[bytes, list[memoryview]]:
    """The answer with marks in the place of its long texts, and these. Raises _Odd."""
    whole = memoryview(body)
    pieces: list[bytes] = []
    views: list[memoryview] = []
    start = behind = 0
    for _ in range(_MOST_TEXTS):
        opening = body.find(b'"', behind)
        if opening < 0:
            break
        closing = body.find(b'"', opening + 1)
        if closing - opening > _LONG:
            letters = whole[opening + 1 : closing]
            if not is_base64(letters):
                raise _Odd
            pieces += (body[start : opening + 1], b"\\u0000%d" % len(views))
            views.append(letters)
            start = closing
        elif closing < 0 or body.find(b"\\", opening, closing) >= 0:
            raise _Odd
        behind = closing + 1
    else:
        raise _Odd
    pieces.append(body[start:])
    rest = b"".join(pieces)
    if len(rest) > _MOST_LEFT:
        raise _Odd
    return rest, views if len(views) < 2 else [memoryview(bytes(letters)) for letters in views]


def _filled(value: Any, views: list[memoryview], path: tuple[str, ...]) -> Any:
    """The same with the texts in their places: as views where pictures stand, else as texts. Raises _Odd."""
    if len(path) > _DEEPEST:
        raise _Odd
    if isinstance(value, str) and value.startswith(_MARK):
        letters = views[int(value[1:])]
        return letters if path in _PICTURES else str(letters, "ascii")
    if isinstance(value, list):
        return [_filled(item, views, (*path, "*")) for item in value]
    if isinstance(value, dict):
        if any(key.startswith(_MARK) for key in value):
            raise _Odd
        return {key: _filled(item, views, (*path, key)) for key, item in value.items()}
    return value
