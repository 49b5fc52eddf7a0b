"""What is noted of a request while it is served: for the log, the metrics and the audit, which read it at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from time import perf_counter
from typing import Any

from starlette.types import Scope

from ..providers.errors import LascauxError
from ..router.interest import CLIENT_LEFT
from ..router.records import Attempt, Result
from .errors import failure_of
from .sigv4 import SignatureError

__all__ = ["Asked", "Notes", "Sink", "Story", "busy", "code_of", "notes_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Story:
    """How one call for pictures went, whoever waits for its answer. Holds no picture and no prompt.

    ``busy`` are the seconds in which it waited for somebody else: upstream calls, the line, the time between two tries;
    None where that is not known, because it shared somebody else's call or brought nothing.
    """

    alias: str
    task: str | None = None
    deployment: str | None = None
    model: str | None = None
    region: str | None = None
    cache: str | None = None
    cost_usd: Decimal | None = None
    images: int = 0
    attempts: tuple[Attempt, ...] = ()
    busy: float | None = None
    code: str | None = None
    """Of the error it ended with."""

    @classmethod
    def served(cls, result: Result) -> Story:
        """It brought pictures."""
        shared = result.cache == "coalesced" or (result.cache in ("miss", "bypass") and result.cost.saved_usd)
        return cls(
            alias=result.alias,
            task=result.task or None,
            deployment=result.deployment,
            model=result.model,
            region=result.region,
            cache=result.cache,
            cost_usd=result.cost.usd,
            images=len(result.images),
            attempts=result.attempts,
            busy=None if shared else busy(result.attempts),
        )

    @classmethod
    def failed(cls, alias: str, error: BaseException) -> Story:
        """It brought none. What its calls delivered all the same is its cost."""
        attempts = tuple(one for one in getattr(error, "attempts", ()) if isinstance(one, Attempt))
        last = attempts[-1] if attempts else None
        paid = [one.cost.usd for one in attempts if one.cost is not None and one.cost.usd is not None]
        return cls(
            alias=alias,
            task=last.task if last else None,
            deployment=last.deployment if last else None,
            model=last.model if last else None,
            region=last.region if last else None,
            cost_usd=sum(paid, Decimal(0)) if paid else None,
            attempts=attempts,
            code=code_of(error),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What was asked for, for the audit alone."""

    alias: str
    prompt: Any = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)


Sink = Callable[["Notes", Asked, Story, "Result | None"], None]
"""Told of every call for pictures when it has ended: who asked, what for, how it went, and the pictures."""


class Notes:
    """Of one HTTP request. ``clock`` gives seconds; ``sink`` is told when a call for pictures ends."""

    __slots__ = (
        "_asked",
        "_complete",
        "alias",
        "bytes_in",
        "charged_usd",
        "clock",
        "code",
        "joined",
        "key",
        "made",
        "ready",
        "request_id",
        "sink",
        "story",
        "trace_id",
    )

    def __init__(self, clock: Callable[[], float], sink: Sink | None = None) -> None:
        self.clock = clock
        self.sink = sink
        self.request_id: str | None = None
        self.trace_id: str | None = None
        self.key: str | None = None
        self.alias: str | None = None
        self.code: str | None = None
        self.bytes_in = 0
        self.charged_usd: Decimal | None = None
        """US dollars settled for the call that was made for this request itself; None where nothing was admitted."""
        self.joined = False
        """Its answer is that of an earlier sending."""
        self.made: Story | None = None
        """Of the call that was made for this request itself."""
        self.story: Story | None = None
        """Of the call that it was answered with."""
        self.ready: float | None = None
        """Seconds from the complete request to the answer."""
        self._asked: Asked | None = None
        self._complete: float | None = None

    def complete(self, size: int) -> None:
        """The request has arrived as a whole; its body has so many bytes."""
        self.bytes_in = size
        self._complete = self.clock()

    def answered(self) -> None:
        """The answer is ready to be sent."""
        if self._complete is not None:
            self.ready = self.clock() - self._complete

    def charged(self, usd: Decimal) -> None:
        """So much was settled for the call made for it."""
        self.charged_usd = usd

    def asked(self, alias: str, prompt: Any, params: Callable[[], Mapping[str, Any]]) -> None:
        """It was understood: pictures are asked for."""
        self.alias = alias
        self._asked = Asked(alias=alias, prompt=prompt, params=params() if self.sink is not None else {})

    def served(self, result: Result) -> Story:
        """The call made for it has brought pictures."""
        return self._ended(Story.served(result), result)

    def failed(self, error: BaseException) -> Story:
        """The call made for it has brought none."""
        return self._ended(Story.failed(self.alias or "", error), None)

    def refused(self, error: BaseException) -> None:
        """It was turned away before anything was made of it."""
        self.code = code_of(error)

    def left(self) -> None:
        """Nobody is there any more to take the answer."""
        self.code = self.code or CLIENT_LEFT

    def told(self, story: Story | None) -> None:
        """It is answered with what this call brought."""
        self.story = story
        self.joined = self.made is None
        self.code = story.code if story is not None else self.code

    @property
    def added(self) -> float | None:
        """Seconds that the gateway itself took; None where that can not be told."""
        story = self.story
        if self.ready is None or story is None or story.busy is None or self.joined:
            return None
        return max(0.0, self.ready - story.busy)

    def _ended(self, story: Story, result: Result | None) -> Story:
        if self.made is None:
            self.made = story
            if self.sink is not None:
                asked = self._asked or Asked(alias="", prompt=None, params={})
                self.sink(self, asked, story, result)
            self._asked = None
        return self.made


def notes_of(scope: Scope) -> Notes:
    """Where to note what happens to a request. Where nobody observes the gateway, nobody looks there."""
    found: Notes | None = scope.get("state", {}).get("notes")
    return Notes(perf_counter) if found is None else found


def code_of(error: BaseException) -> str:
    """The stable code of an error, as OpenAI's envelope has it. One of a closed set, whatever the client sent."""
    if isinstance(error, LascauxError):
        return failure_of(error).code or error.default_code
    return "signature" if isinstance(error, SignatureError) else "internal_error"


def busy(attempts: Iterable[Attempt]) -> float:
    """Seconds in which at least one call was open, or was waited for in line or after a failure. Overlaps count once."""
    total = until = 0.0
    for start, end in sorted((one.started - one.waited, one.started + one.duration) for one in attempts):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
