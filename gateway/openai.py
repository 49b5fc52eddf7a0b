"""OpenAI's Images API on the wire: which fields are about the answer, and what goes to the router.

The router takes OpenAI's, LiteLLM's and the models' own names as they are, and warns of what has no effect; here stand only
those that are about HTTP. Legal values: OpenAI's API description of August 2026, and what its clients of the dall-e time
still send.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..compat.config.names import CALL, PARAMS
from ..providers.errors import InvalidRequest
from ..providers.param_names import IGNORED, NAMES, SPECIAL, unknown
from ..providers.param_native import CONTAINERS, MISSPELT, NATIVE_NAMES
from ..providers.param_pictures import PICTURE_NAMES
from ..providers.param_tasks import given_in, infer_task
from ..providers.param_values import flag, named, shown
from ..providers.param_values import task as read_task
from ..providers.types import Task, Warning
from ..router.config.durations import parse_duration
from .forms import Fields

__all__ = ["Ask", "Operation", "bounded", "read_ask"]

_LONGEST_MODEL = 2048
_ROUTING = ("strict", "deadline", "attempt_timeout", "max_wait", "cache", "routing_key")
"""What a client may say about the way; the tenant is the key's business."""
_KNOWN = frozenset((*NAMES, *PICTURE_NAMES, *NATIVE_NAMES, *IGNORED, *SPECIAL, *_ROUTING))
_ELSEWHERE = {name: reason for name, reason in {**PARAMS, **CALL}.items() if name not in _KNOWN}
_NOT_HERE = frozenset(("api_key", "api_base", "base_url", "tenant", "interest", "extra_headers"))
_IMAGE_NAMES = tuple(name for name, slot in PICTURE_NAMES.items() if slot == "image")


class Operation(StrEnum):
    """The three things that OpenAI's Images API does."""

    GENERATE = "generate"
    EDIT = "edit"
    VARIATION = "variation"


class _Wire(BaseModel):
    """The fields that are about the answer. All others are the router's."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    model: str | None = Field(default=None, min_length=1, max_length=_LONGEST_MODEL)
    prompt: Any = None
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool | None = None
    partial_images: int | None = Field(default=None, ge=0, le=3)
    lascaux: dict[str, Any] | None = None
    """Any further parameter, apart from OpenAI's own."""


_ABOUT = frozenset(_Wire.model_fields)
_ALLOWED = {
    "model": f"a name of 1 to {_LONGEST_MODEL} characters",
    "response_format": "b64_json or url",
    "stream": "true or false",
    "partial_images": "a whole number from 0 to 3",
    "lascaux": "an object whose keys are parameter names",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request in the router's words. ``url``: links instead of base64; ``stream``: server-sent events."""

    operation: Operation
    alias: str
    prompt: Any
    params: Mapping[str, Any] = field(repr=False)
    image: Any = field(default=None, repr=False)
    url: bool = False
    stream: bool = False
    warnings: tuple[Warning, ...] = ()

    @property
    def calls_edit(self) -> bool:
        """False for what `Router.generate` does: words, or pictures inside a provider's own objects."""
        return self.operation is Operation.EDIT and (self.image is not None or not self._natively)

    def whole(self) -> dict[str, Any]:
        """All parameters, picture and task included, as `Router.quote` takes them."""
        task = {"task": Task.VARIATION} if self.operation is Operation.VARIATION else {}
        picture = {} if self.image is None else {"image": self.image}
        return {**self.params, **picture, **task}

    @property
    def _natively(self) -> bool:
        return any(name in self.params for name in (*NATIVE_NAMES, "native", "extra_body"))


def read_ask(
    operation: Operation,
    fields: Fields,
    aliases: Callable[[], Sequence[str]],
    offered: Callable[[str], Collection[str]],
) -> Ask:
    """Tell apart what is about the answer and what is about the picture.

    Without ``model`` the first of the ``aliases`` is taken that can do the task, going by the tasks that are ``offered``
    under a name; with a warning, for the official clients need not name one. Raises InvalidRequest that names the field.
    """
    wire = _wire(fields)
    rest = {name: value for name, value in fields.items() if name not in _ABOUT and value is not None}
    for name, value in (wire.lascaux or {}).items():
        if name in _ABOUT:
            message = f"lascaux.{name}: {name} is a field of the request itself, so it stands beside lascaux"
            raise InvalidRequest(message, parameter=f"lascaux.{name}", nearest=name)
        if name in rest and rest[name] != value:
            raise InvalidRequest(f"{named(name)} and lascaux.{named(name)} disagree", parameter=named(name))
        if value is not None:
            rest[name] = value
    warnings = _set_aside(rest)
    for name in ("strict", "cache"):
        if name in rest:
            rest[name] = flag(name, rest[name])
    if wire.partial_images:
        rest["partial_images"] = wire.partial_images  # the router warns of it
    alias = wire.model or _first(operation, rest, aliases(), offered, warnings)
    if rest.get("strict") and warnings:
        raise InvalidRequest(f"{warnings[0]}; strict allows no such change", parameter=warnings[0].parameter)
    return Ask(
        operation=operation,
        alias=alias,
        prompt="" if wire.prompt is None else wire.prompt,
        params=rest,
        image=_taken(rest) if operation is not Operation.GENERATE else None,
        url=wire.response_format == "url",
        stream=bool(wire.stream),
        warnings=tuple(warnings),
    )


def bounded(ask: Ask, longest: float) -> Ask:
    """No client waits longer than ``longest`` seconds, the configured deadline: a gateway that ends drains for as long."""
    seconds = parse_duration(ask.params.get("deadline"))
    if seconds is None or seconds <= longest:
        return ask
    message = f"{seconds:g} s became {longest:g} s, the deadline of the configuration"
    warning = Warning(code="adapted", parameter="deadline", message=message)
    if ask.params.get("strict"):
        raise InvalidRequest(f"{warning}; strict allows no such change", parameter="deadline", allowed=f"{longest:g}")
    return replace(ask, params={**ask.params, "deadline": longest}, warnings=(*ask.warnings, warning))


def _wire(fields: Fields) -> _Wire:
    about = {name: value for name, value in fields.items() if name in _ABOUT}
    try:
        return _Wire.model_validate(about)
    except ValidationError as problem:
        name = str(problem.errors()[0]["loc"][0])
        allowed = _ALLOWED[name]
        message = f"{name} must be {allowed}, not {shown(about[name])}"
        raise InvalidRequest(message, parameter=name, allowed=allowed) from None


def _set_aside(rest: Fields) -> list[Warning]:
    """Take out what LiteLLM's clients send and no picture depends on. Raises InvalidRequest for what is not theirs."""
    for name in rest:
        if name in _NOT_HERE:
            raise unknown(name)
    if _ELSEWHERE.keys().isdisjoint(rest):
        return []
    found = [name for name in rest if name in _ELSEWHERE]
    return [
        Warning(code="ignored", parameter=name, message=f"ignored: {_ELSEWHERE[name]}")
        for name in found
        if rest.pop(name) not in (False, "", [], {})
    ]


def _first(
    operation: Operation,
    params: Fields,
    aliases: Sequence[str],
    offered: Callable[[str], Collection[str]],
    warnings: list[Warning],
) -> str:
    """Who is asked if nobody was named. Where no alias can do it, the first one says so."""
    if not aliases:
        raise InvalidRequest("model: there is none; the configuration names no alias", parameter="model")
    inside = params.get("extra_body")
    given = {**params, **inside} if isinstance(inside, Mapping) else params
    try:
        task = _task(operation, given)
        found = next((alias for alias in aliases if task in offered(alias)), aliases[0])
    except InvalidRequest:  # the router says what is wrong
        found = aliases[0]
    which = "the first there is" if found == aliases[0] else f"the first that can do {task}"
    warnings.append(Warning(code="adapted", parameter="model", message=f"not given; {found}, {which}, was asked"))
    return found


def _task(operation: Operation, params: Mapping[str, Any]) -> Task:
    """What is to be done, going by what is given alone. Raises InvalidRequest."""
    if operation is Operation.VARIATION:
        return Task.VARIATION
    for name, value in params.items():
        if NAMES.get(name) == "task":
            return read_task(name, value)
        container = CONTAINERS.get(MISSPELT.get(name, name))
        if container is not None:
            return container
    return infer_task(given_in(params))


def _taken(rest: Fields) -> Any:
    """The picture to work on, under the first of its names that was used."""
    for name in _IMAGE_NAMES:
        if name in rest:
            return rest.pop(name)
    return None
