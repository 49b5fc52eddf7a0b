"""What a request leaves behind: a record per attempt, and the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

from ..pricing import Cost
from ..providers.errors import LascauxError
from ..providers.quick import quick
from ..providers.types import Image, Missing, Warning

__all__ = ["Attempt", "Exclusion", "Exclusions", "Result", "Route", "Skipped"]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to one deployment: all that a spend ledger needs to know about it.

    ``outcome`` is ``ok`` or the error's code; ``started`` and ``duration`` are seconds, ``started`` counted from the
    beginning of the request. ``part`` is the picture's place when one request became several calls. ``cost`` is what was
    delivered and priced; a failed call that ``may_be_billed`` has no cost because AWS does not say. ``waited`` are the
    seconds just before it in which the request stood in line or waited to try again: with them ``duration`` tells a slow
    deployment from a long queue.
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
    waited: float = 0.0

    def __str__(self) -> str:
        mark = " (may have been billed)" if self.error is not None and self.may_be_billed else ""
        line = f", {self.waited:.2f} s in line before" if self.waited >= 0.005 else ""
        return f"{self.deployment}: {self.outcome} after {self.duration:.2f} s{line}{mark}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A deployment that was not asked, and why."""

    alias: str
    deployment: str
    reason: str

    def __str__(self) -> str:
        return f"{self.deployment}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class Exclusion:
    """One reason why deployments of an alias were not asked, and who they are: (place in the alias, name)."""

    alias: str
    reason: str
    places: Sequence[tuple[int, str]]


class Exclusions(Sequence[Skipped]):
    """All who were left out, one `Skipped` each, in the order of the configuration. Written out when somebody looks."""

    __slots__ = ("_all", "_found")

    def __init__(self, found: Iterable[Exclusion] = ()) -> None:
        self._found = {(one.alias, one.reason): one for one in found}
        self._all: tuple[Skipped, ...] | None = None

    def _written(self) -> tuple[Skipped, ...]:
        if self._all is None:
            order = {alias: rank for rank, alias in enumerate(dict.fromkeys(alias for alias, _ in self._found))}
            flat = sorted(
                (order[one.alias], place, name, one) for one in self._found.values() for place, name in one.places
            )
            self._all = tuple(Skipped(alias=one.alias, deployment=name, reason=one.reason) for _, _, name, one in flat)
        return self._all

    @overload
    def __getitem__(self, place: int) -> Skipped: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Skipped, ...]: ...
    def __getitem__(self, place: int | slice) -> Skipped | tuple[Skipped, ...]:
        return self._written()[place]

    def __len__(self) -> int:
        return sum(len(one.places) for one in self._found.values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (tuple, Exclusions)):
            return self._written() == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._written())

    def __repr__(self) -> str:
        return repr(self._written())


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the last pick of a request was made: the alias of the chain, its strategy, among how many, and who it was.

    ``score`` is the figure that the strategy compared at that moment (as in `Considered`), None where there is none and in
    panic. What the pick cost is in its `Attempt`; who was left out and why is in ``Result.skipped``.
    """

    alias: str
    strategy: str
    candidates: int
    deployment: str
    score: float | None = None


@quick
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
    skipped: Sequence[Skipped] = ()
    route: Route | None = None
    """None when nobody was asked."""
    missing: tuple[Missing, ...] = ()
    warnings: tuple[Warning, ...] = ()
    task: str = ""
    """What was asked for, as in `Attempt`."""
    mask: Image | None = None
    """The mask that the model made of a prompt or a garment, where it was asked to return it."""
