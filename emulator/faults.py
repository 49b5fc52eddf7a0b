"""Trouble on request: latency, quotas, and rules that break chosen calls in chosen ways."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, Self, get_args

import orjson

from .errors import DEFAULT_MESSAGES, STATUS_TYPES, BedrockError

__all__ = ["Faults", "Kind", "Rule", "parse_quota"]

Kind = Literal[
    "error",
    "drop",
    "truncate",
    "garbage",
    "empty",
    "html",
    "black_hole",
    "slow",
    "delay",
    "resize",
    "reformat",
    "corrupt",
]
_FORMATS = ("png", "jpeg", "webp")
_LONGEST_SIDE = 8192
_MINUTE = 60.0
_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("kind", "region", "model", "match", "error_type", "message"), (str,)),
    **dict.fromkeys(("status", "times"), (int,)),
    **dict.fromkeys(("retry_after", "probability", "latency"), (int, float)),
    "extra": (dict,),
}
_JSON_NAMES: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", dict: "an object"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which calls to break, and how.

    A rule applies to calls that fit ``region``, ``model`` (the id or ARN as called, or the base model's id) and
    ``match`` (a part of the prompt), each None for any; to ``times`` of them (None: all); each with ``probability``.

    Kinds:
        error: ``status`` with ``error_type``, ``message``, ``extra`` members of the body and a Retry-After of
            ``retry_after`` seconds.
        html: ``status`` (502) with an HTML page and none of Bedrock's headers, like a proxy's.
        drop: the connection is closed after the request was read; nothing is drawn.
        black_hole: no answer ever comes; the connection stays open until the emulator stops.
        truncate: the right answer, announced in full, but closed after half of the body. The picture was made and
            counts as billed.
        garbage: 200 with a body that is not JSON. empty: 200 with no body at all.
        slow: the right answer, its body trickling in over ``latency`` seconds.
        delay: the right answer after ``latency`` seconds.
        resize: pictures of ``extra`` {"width": ..., "height": ...} pixels; a side that is not told is halved.
        reformat: pictures in the format of ``extra`` {"format": ...}; jpeg when it is not told.
        corrupt: pictures that begin and end well, with noise in between.
    With every kind but ``slow``, ``latency`` is waited before anything is sent.
    """

    kind: Kind = "error"
    region: str | None = None
    model: str | None = None
    match: str | None = None
    status: int | None = None
    error_type: str | None = None
    message: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    retry_after: float | None = None
    times: int | None = None
    probability: float = 1.0
    latency: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: {self.kind!r} is not one of {', '.join(get_args(Kind))}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: {self.probability} is not between 0 and 1")
        if self.latency < 0 or (self.retry_after is not None and self.retry_after < 0):
            raise ValueError("latency and retry_after are seconds, 0 or more")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times: {self.times} is not 1 or more")
        if self.kind == "resize":
            for side in ("width", "height"):
                value = self.extra.get(side, 1)
                if type(value) is not int or not 1 <= value <= _LONGEST_SIDE:
                    raise ValueError(f"extra: {side} {value!r} is not a whole number from 1 to {_LONGEST_SIDE}")
        if self.kind == "reformat" and self.extra.get("format", "jpeg") not in _FORMATS:
            raise ValueError(f"extra: format {self.extra['format']!r} is not one of {', '.join(_FORMATS)}")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A rule from JSON, as ``--fault`` takes it. Raises ValueError that names what is wrong and what is allowed."""
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as problem:
            raise ValueError(f"not JSON: {problem}") from None
        if not isinstance(document, dict):
            raise ValueError("a rule is a JSON object")
        names = [entry.name for entry in fields(cls)]
        for name, value in document.items():
            if name not in names:
                near = get_close_matches(name, names, n=1)
                raise ValueError(
                    f"{name}: unknown; allowed are {', '.join(names)}" + (f"; did you mean {near[0]}?" if near else "")
                )
            wanted = _JSON_TYPES[name]
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise ValueError(f"{name}: {value!r} is not {_JSON_NAMES[wanted[-1]]}")
        return cls(**document)

    def fits(self, region: str, models: Iterable[str], prompt: str) -> bool:
        """Does a call fall under this rule?"""
        return (
            (self.region is None or self.region == region)
            and (self.model is None or self.model in models)
            and (self.match is None or self.match in prompt)
        )

    def error(self) -> BedrockError:
        """The error answer of a rule of kind ``error``; status and type complete each other, 500 when neither is given."""
        status = self.status
        if status is None:
            status = next(
                (code for code, name in STATUS_TYPES.items() if name == self.error_type),
                400 if self.error_type else 500,
            )
        error_type = self.error_type or STATUS_TYPES.get(
            status, "InternalServerException" if status >= 500 else "ValidationException"
        )
        message = self.message or DEFAULT_MESSAGES.get(error_type, "The request failed.")
        extra = dict(self.extra)
        if error_type == "ModelErrorException":
            extra = {"originalStatusCode": 500, "resourceName": self.model or "", **extra}
        return BedrockError(status, error_type, message, extra=extra, retry_after=self.retry_after)


class Faults:
    """The rules and quotas in force. Thread-safe; may be changed while requests are served.

    ``latency`` (seconds) is added to every call. ``quotas`` allow so many calls per sliding minute, by region or by
    (region, model id); what exceeds one gets 429 ThrottlingException. ``seed`` makes rules with a probability
    repeatable. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        rules: Iterable[Rule] = (),
        quotas: Mapping[str | tuple[str, str], int] | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.latency = latency
        self._lock = threading.Lock()
        self._rules: list[Rule] = list(rules)
        self._used: dict[int, int] = {}
        self._quotas = dict(quotas or {})
        self._calls: dict[str | tuple[str, str], deque[float]] = {}
        self._rng = random.Random(seed)
        self._clock = clock

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order in which they are tried."""
        with self._lock:
            return tuple(self._rules)

    def add(self, *rules: Rule) -> None:
        """Append rules; the first that fits a call applies."""
        with self._lock:
            self._rules.extend(rules)

    def limit(self, place: str | tuple[str, str], per_minute: int | None) -> None:
        """Set a quota for a region or a (region, model id); None lifts it."""
        with self._lock:
            self._calls.pop(place, None)
            if per_minute is None:
                self._quotas.pop(place, None)
            else:
                self._quotas[place] = per_minute

    def clear(self) -> None:
        """Forget all rules, quotas and latency."""
        with self._lock:
            self.latency = 0.0
            self._rules.clear()
            self._used.clear()
            self._quotas.clear()
            self._calls.clear()

    def throttle(self, region: str, model_id: str) -> None:
        """Count a call against its quotas. Raises BedrockError (429) when one is used up; such calls count against none."""
        now = self._clock()
        with self._lock:
            places = [place for place in (region, (region, model_id)) if place in self._quotas]
            for place in places:
                calls = self._calls.setdefault(place, deque())
                while calls and calls[0] <= now - _MINUTE:
                    calls.popleft()
                if len(calls) >= self._quotas[place]:
                    raise BedrockError(429, "ThrottlingException", DEFAULT_MESSAGES["ThrottlingException"])
            for place in places:
                self._calls[place].append(now)

    def strike(self, region: str, models: Iterable[str], prompt: str) -> Rule | None:
        """The rule that applies to this call, if any. Counts it as used."""
        models = tuple(models)
        with self._lock:
            for index, rule in enumerate(self._rules):
                if not rule.fits(region, models, prompt):
                    continue
                if rule.times is not None and self._used.get(index, 0) >= rule.times:
                    continue
                if rule.probability < 1 and self._rng.random() >= rule.probability:
                    continue
                self._used[index] = self._used.get(index, 0) + 1
                return rule
        return None


def parse_quota(text: str) -> tuple[str | tuple[str, str], int]:
    """Read ``REGION=RPM`` or ``REGION/MODEL=RPM`` as a quota's place and calls per minute. Raises ValueError."""
    place, equals, count = text.rpartition("=")
    if not equals or not place or not count.isascii() or not count.isdigit():
        raise ValueError(f"{text!r} is not REGION=CALLS_PER_MINUTE or REGION/MODEL=CALLS_PER_MINUTE")
    region, slash, model = place.partition("/")
    return ((region, model) if slash else region), int(count)
