"""Requests that were read before: the same words again are the same request, with what was planned for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ..providers.errors import InvalidRequest
from ..providers.param_names import MAX_PROMPT, NAMES, reader
from ..providers.param_values import text
from ..providers.types import ImageRequest

__all__ = ["Known"]

_MOST = 512
_SEEN = 4096
_LONGEST = 2000
"""Letters of a text in a request that is remembered."""
_PLAIN = (str, int, float, bool, type(None))
_WORDS, _SEED = text(MAX_PROMPT), reader("seed")
_BLANK = ImageRequest(prompt="")
_NAMES = tuple(one.name for one in fields(ImageRequest) if one.init and one.name not in ("prompt", "seed"))


class Known:
    """The latest requests without pictures that came twice, by what was asked. Thread-safe: its steps are a dictionary's.

    Who answers from the cache would spend half of the time on reading and planning the same request once more. Of what
    came once nothing is left but a number: most requests never come again, and what is kept of them, with their plans,
    would be looked at by the garbage collector over and over. Of those that differ in words and seed alone, all the rest is
    read once.
    """

    __slots__ = ("_kinds", "_requests", "_seen")

    def __init__(self) -> None:
        self._kinds: dict[tuple[Any, ...], dict[str, Any]] = {}
        """What requests say beside words and seed: the fields of which something was said."""
        self._requests: dict[tuple[Any, ...], ImageRequest] = {}
        self._seen: set[int] = set()

    def request(
        self, alias: str, prompt: Any, strict: bool, params: Mapping[str, Any], read: Callable[[], ImageRequest]
    ) -> ImageRequest:
        """The request that ``read`` reads or, from the third time on, the very same. Errors are not remembered."""
        if not _is_plain(prompt, params):
            return read()
        # 1, 1.0 and True are equal, but not the same parameter; the order decides which of two is named in a warning.
        key = (alias, prompt, strict, *((name, type(value), value) for name, value in params.items()))
        found = self._requests.get(key)
        if found is None:
            found = self._like(prompt, params, (alias, strict, *(part for part in key[3:] if part[0] != "seed")), read)
            if hash(key) in self._seen:
                if len(self._requests) >= _MOST:
                    self._requests = {}
                self._requests[key] = found
            else:
                if len(self._seen) >= _SEEN:
                    self._seen = set()
                self._seen.add(hash(key))
        return found

    def _like(
        self, prompt: str, params: Mapping[str, Any], kind: tuple[Any, ...], read: Callable[[], ImageRequest]
    ) -> ImageRequest:
        """The request, with these words and this seed, that others of its kind have been."""
        said, seed = self._kinds.get(kind), params.get("seed")
        if said is not None:
            try:
                words, seed = _WORDS("prompt", prompt), None if seed is None else _SEED("seed", seed)
                return ImageRequest(prompt=words, seed=seed, **said)
            except InvalidRequest:
                return read()
        found = read()
        if len(self._kinds) >= _MOST:
            self._kinds = {}
        self._kinds[kind] = {
            name: getattr(found, name) for name in _NAMES if getattr(found, name) != getattr(_BLANK, name)
        }
        return found


def _is_plain(prompt: Any, params: Mapping[str, Any]) -> bool:
    """No pictures, no objects, nothing long: all that the request depends on can be a key."""
    if type(prompt) is not str or len(prompt) > _LONGEST:
        return False
    for name, value in params.items():
        if name not in NAMES or type(value) not in _PLAIN or (type(value) is str and len(value) > _LONGEST):
            return False
    return True
