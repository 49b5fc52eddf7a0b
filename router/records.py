"""What a request leaves behind: a record per attempt, and the result."""

from __future__ import annotations

from dataclasses import dataclass

from ..pricing import Cost
from ..providers.errors import LascauxError
from ..providers.types import Image, Missing, Warning

__all__ = ["Attempt", "Result", "Skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to one deployment: all that a spend ledger needs to know about it.

    ``outcome`` is ``ok`` or the error's code; ``started`` and ``duration`` are seconds, ``started`` counted from the
    beginning of the request. ``part`` is the picture's place when one request became several calls. ``cost`` is what was
    delivered and priced; a failed call that ``may_be_billed`` has no cost because AWS does not say.
    """

    ordinal: int
    part: int
    alias: str
    deployment: str
    model: str
    model_id: str
    region: str
    task: str
    images: int
    started: float
    duration: float
    outcome: str
    error: LascauxError | None = None
    may_be_billed: bool = False
    request_id: str | None = None
    probe: bool = False
    panic: bool = False
    cost: Cost | None = None
    stage: int = 1
    """2 for the removal of a background that another model had made opaque; ``part`` is then the picture's place."""

    def __str__(self) -> str:
        mark = " (may have been billed)" if self.error is not None and self.may_be_billed else ""
        return f"{self.deployment}: {self.outcome} after {self.duration:.2f} s{mark}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A deployment that was not asked, and why."""

    alias: str
    deployment: str
    reason: str

    def __str__(self) -> str:
        return f"{self.deployment}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The pictures, what they cost, and how they came about.

    ``cache`` is ``hit`` (nobody was called), ``coalesced`` (another identical request in flight was shared), ``miss`` or
    ``bypass`` (not reproducible, or caching is off). ``cost.usd`` is a Decimal, or None when no rate is known. When one
    request became several calls, ``deployment``, ``region`` and ``model`` are those of the first picture and every call is
    in ``attempts``. ``seed`` is what reproduces the first picture, None if the model drew it and did not say. Where the
    background was removed in a second stage, these tell of the first, and ``cost`` is that of both.
    """

    alias: str
    images: tuple[Image, ...]
    model: str
    model_id: str
    deployment: str
    region: str
    cost: Cost
    cache: str
    duration: float
    seed: int | None = None
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    missing: tuple[Missing, ...] = ()
    warnings: tuple[Warning, ...] = ()
    mask: Image | None = None
    """The mask that the model made of a prompt or a garment, where it was asked to return it."""
