"""The body of a call while it is being built, and everything that must be said about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import orjson

from ...catalog import Field, Model, TaskFacts
from ...errors import InvalidRequest
from ...param_values import named
from ...types import Delivery, ImageRequest, Warning
from . import dialects, native_fields

__all__ = ["Draft", "at", "write"]

_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,2048}")
_ALIKE = 0.55
"""How alike two words must be for one to be offered in the other's place: "photo" and "photographic" are, by 0.59."""

_SHOWABLE = 1e300
"""Whole numbers beyond are more than a float can hold, and than anyone wants to read."""


class Draft:
    """One upstream body in the making.

    Every parameter of the request ends in one of three places: in ``body`` (`put`), in ``warnings`` (`adapt`,
    `ignore`), or in an InvalidRequest. With ``strict`` the second place does not exist.
    """

    def __init__(self, request: ImageRequest, model: Model, facts: TaskFacts | None = None) -> None:
        self.request = request
        self.model = model
        self.facts = facts if facts is not None else model.tasks[request.task]
        self.taken: set[str] = set()
        """Options and pictures that this task has a use for; the others are reported when the body is full."""
        self.body: dict[str, Any] = {}
        self.warnings: list[Warning] = []
        self.delivery: Delivery | None = None
        self._placed: list[tuple[str, tuple[str, ...], Callable[[Any], bool]]] = []

    def put(self, parameter: str | None, value: Any, *path: str, says: Callable[[Any], bool] | None = None) -> None:
        """Write ``value`` at ``path``. ``parameter`` is what the caller called it, None when it is our own default.

        ``says`` tells whether another value there means the parameter too; without it only an equal one does.
        """
        write(self.body, path, value)
        if parameter is not None:
            self._placed.append((parameter, path, says or (lambda found: bool(found == value))))

    def option(self, name: str) -> Any:
        """The value of an option, None when it was not given. What nobody asks for is reported as ignored."""
        self.taken.add(name)
        return self.request.options.get(name)

    def native(self, wire: str) -> Any:
        """What the caller's native fields say in a field of this task, None when nothing."""
        inner = (self.facts.params_key, wire) if self.facts.params_key else (wire,)
        return at(self.request.native, inner)

    def take(self, *names: str) -> None:
        """Say that this task has a use for ``image``, ``references`` or ``mask``."""
        self.taken.update(names)

    def flag(self, parameter: str, value: bool | None, wire: str, *path: str) -> None:
        """Write true or false, or say that the model has no such field."""
        if value is None or self.field(parameter, wire) is None:
            return
        if not isinstance(value, bool):
            raise self.wrong(parameter, "true or false is needed", allowed="true, false")
        self.put(parameter, value, *path, wire)

    def adapt(self, parameter: str, message: str, *, allowed: str | None = None, nearest: str | None = None) -> None:
        """Say that a parameter is honoured in another way; refuse when strict."""
        self._tell("adapted", parameter, message, allowed, nearest)

    def ignore(self, parameter: str, message: str, *, allowed: str | None = None, nearest: str | None = None) -> None:
        """Say that a parameter has no effect here; refuse when strict."""
        self._tell("ignored", parameter, message, allowed, nearest)

    def _tell(self, code: str, parameter: str, message: str, allowed: str | None, nearest: str | None) -> None:
        if self.request.strict:
            raise InvalidRequest(
                f"{parameter}: {message} ({self.model.id}, strict)",
                parameter=parameter,
                allowed=allowed,
                nearest=nearest,
            )
        self.warnings.append(Warning(code=code, parameter=parameter, message=message))

    def wrong(
        self, parameter: str, message: str, *, allowed: str | None = None, nearest: str | None = None
    ) -> InvalidRequest:
        """The error for a parameter that this model can not honour at all."""
        hint = f"; allowed: {allowed}" if allowed else ""
        hint += f"; nearest: {nearest}" if nearest else ""
        return InvalidRequest(
            f"{parameter}: {message}{hint} ({self.model.id})", parameter=parameter, allowed=allowed, nearest=nearest
        )

    def text(self, parameter: str, value: str | None, limit: int | None) -> str | None:
        """A text within its limit; None for none. Lengths are in characters (code points)."""
        if value is None:
            return None
        if not isinstance(value, str) or not _is_unicode(value):
            raise self.wrong(parameter, "not a text")
        if limit is not None and len(value) > limit:
            raise self.wrong(parameter, f"{len(value)} characters are too many", allowed=f"at most {limit} characters")
        return value

    def number(
        self,
        parameter: str,
        value: float | None,
        wire: str,
        *path: str,
        turned: Callable[[float], float] | None = None,
    ) -> None:
        """Write a number within its field's limits, or say that the model has no such field.

        ``turned`` makes the model's figure of the caller's, where one counts up and the other down in the same range.
        """
        if value is None:
            return
        field = self.field(parameter, wire)
        if field is None:
            return
        whole = field.type == "integer"
        low, high = field.min or 0, field.max if field.max is not None else float("inf")
        kind = "a whole number" if whole else "a number"
        allowed = f"{kind} from {low:g} to {high:g}"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value != value:
            raise self.wrong(parameter, f"{kind} is needed", allowed=allowed)
        if not low <= value <= high:
            shown = f"{value:g}" if abs(value) < _SHOWABLE else "it"
            nearest = f"{min(max(value, low), high):g}"
            raise self.wrong(parameter, f"{shown} is out of range", allowed=allowed, nearest=nearest)
        self.put(parameter, turned(value) if turned else value, *path, wire)

    def choice(self, parameter: str, value: str | None, wire: str, *path: str) -> None:
        """Write one of a field's words (in its own spelling), or say that the model has no such field."""
        if value is None:
            return
        field = self.field(parameter, wire)
        if field is not None:
            self.put(parameter, self.word(parameter, value, field.enum), *path, wire)

    def word(self, parameter: str, value: str, words: tuple[str, ...]) -> str:
        """The word that is meant, whatever its case, blanks and dashes. Raises InvalidRequest with the nearest one."""
        by_key = {_key(word): word for word in words}
        key = _key(value) if isinstance(value, str) else ""
        if key in by_key:
            return by_key[key]
        near = get_close_matches(key, by_key, n=1, cutoff=_ALIKE)
        shown = value if isinstance(value, str) and len(value) <= 60 else "this"
        raise self.wrong(
            parameter, f"{shown!r} is not known", allowed=", ".join(words), nearest=by_key[near[0]] if near else None
        )

    def field(self, parameter: str, wire: str) -> Field | None:
        """The field of this name; None (and a warning) when the model has none."""
        field = self.facts.fields.get(wire)
        if field is None:
            self.ignore(parameter, f"{self.model.name} has no such parameter")
        return field

    def headers(self) -> dict[str, str]:
        """The guardrail headers: both or neither, since a guardrail without its version would be left off unnoticed."""
        given = {"guardrail_id": self.request.guardrail_id, "guardrail_version": self.request.guardrail_version}
        if given["guardrail_id"] is None is given["guardrail_version"]:
            return {}
        for parameter, value in given.items():
            if value is None:
                raise self.wrong(parameter, "guardrail_id and guardrail_version go together")
            if not isinstance(value, str) or not _HEADER_SAFE.fullmatch(value):
                raise self.wrong(parameter, "not a guardrail id, ARN or version")
        return {
            "X-Amzn-Bedrock-GuardrailIdentifier": str(given["guardrail_id"]),
            "X-Amzn-Bedrock-GuardrailVersion": str(given["guardrail_version"]),
        }

    def merge(self, native: Mapping[str, Any]) -> None:
        """Lay the caller's native fields over the body, deeply: they win, and nothing beside them is lost.

        Where they contradict a parameter that was given too, that is said. Fields that only other families' bodies have
        are refused: they were written for another model, and this one would answer with an error. So are fields that
        this family has but not for this task, and values that the catalogue rules out (see `native_fields`).
        """
        if not native:
            return
        try:
            orjson.dumps(native, default=_plain)
        except TypeError:
            raise self.wrong("native", "this can not be written as JSON") from None
        own = dialects.fields(self.model)
        for key, value in native.items():
            self._owned(own, key, value)
        self._fits(native_fields.field_fault(native, self.model, self.request.task, self.facts))
        self.body = _merged(self.body, native)
        self._fits(native_fields.size_fault(native, self.body, self.facts))
        for parameter, path, says in self._placed:
            if not says(at(self.body, path)):
                self.adapt(parameter, f"native sets {'.'.join(path)} to something else, which is sent")

    def _fits(self, fault: native_fields.Fault | None) -> None:
        if fault is not None:
            raise self.wrong(named(fault.path), fault.message, allowed=fault.allowed, nearest=fault.nearest)

    def _owned(self, own: Mapping[str, bool], key: str, value: Any) -> None:
        """Check that a native field can stand in a body of this family, as far as the catalogue tells."""
        if key in own:
            if own[key] and not isinstance(value, Mapping):
                raise self.wrong("native", f"{key} must be an object")
        elif owners := dialects.owners(key):
            inner = next(iter(value), None) if isinstance(value, Mapping) else None
            path = named(f"{key}.{inner}" if inner is not None else key)
            message = f"a field of {owners} bodies, which {self.model.family} bodies do not have"
            raise self.wrong(path, message, allowed=", ".join(dialects.top(self.facts)))


def at(body: Any, path: tuple[str, ...]) -> Any:
    """What stands at ``path``, or None."""
    for key in path:
        body = body.get(key) if isinstance(body, (dict, Mapping)) else None
    return body


def write(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set the value at ``path``, making the objects on the way. Raises InvalidRequest when something else is in the way."""
    for key in path[:-1]:
        body = body.setdefault(key, {})
        if not isinstance(body, dict):
            raise InvalidRequest(f"native: {key} must be an object", parameter="native")
    body[path[-1]] = value


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(ours)
    for key, value in theirs.items():
        if isinstance(value, Mapping):
            mine = result.get(key)
            value = _merged(mine if isinstance(mine, Mapping) else {}, value)
        result[key] = value
    return result


def _plain(value: Any) -> dict[Any, Any]:
    """What orjson asks for when it meets a type of its caller's: read-only mappings are objects like any other."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _key(word: str) -> str:
    return word.strip().lower().replace("_", "-").replace(" ", "-")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
