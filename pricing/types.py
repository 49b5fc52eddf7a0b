"""What was used, what a unit costs, and what it came to. Money is `Decimal` in USD; unknown is None, never 0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from typing import TypeVar

__all__ = ["CONFIDENCES", "QUALITIES", "TASKS", "Cost", "Rate", "RateCard", "Size", "Usage"]

Size = tuple[int, int]
"""Width and height in pixels."""

TASKS = (
    "text_to_image",
    "image_to_image",
    "variation",
    "inpaint",
    "outpaint",
    "erase",
    "remove_background",
    "search_replace",
    "search_recolor",
    "color_guided",
    "virtual_try_on",
    "control_sketch",
    "control_structure",
    "style_guide",
    "style_transfer",
    "upscale_fast",
    "upscale_conservative",
    "upscale_creative",
)
QUALITIES = ("standard", "premium")
CONFIDENCES = ("override", "documented", "secondary", "inferred", "expired")
"""From the strongest to the weakest; a sum is as good as its weakest part."""

_TEXT_INPUT = frozenset({"text_to_image", "color_guided"})
_RATED_APART = frozenset({"virtual_try_on"})
_T = TypeVar("_T")
# The caller's own decimal context may round; a bill may not.
_EXACT = Context(prec=60)
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one call consumed: ``images`` pictures of one model, called in one region.

    ``model`` is the base model id, without a profile prefix such as ``us.``; ``region`` the one that received the call.
    ``task`` is one of `TASKS`. ``width`` and ``height`` are the output's pixels. Where the price depends on them they
    must be given, the model's own defaults included; only ``quality`` (standard) and SDXL's ``steps`` (30) are filled
    in. Raises ValueError if ``images`` is negative.
    """

    model: str
    region: str
    task: str
    images: int
    width: int | None = None
    height: int | None = None
    quality: str | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.images < 0:
            raise ValueError(f"images: {self.images} is negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one image cost on certain days in one tier: one dated row of a price table, or one override.

    ``from_`` and ``to`` are both inclusive; None is an open end. ``region`` is a region id or ``*``. ``size_max`` is
    inside the tier, ``size_over`` outside it. Sizes are compared by pixel area: AWS does not define which band a
    picture that is not square falls into, so this is our reading (it keeps 1536x640 in the 1024x1024 band).

    ``task`` is a task, ``any``, or one of AWS's two modes: ``text_to_image`` covers color_guided too (where a reference
    picture is optional and both modes cost the same), ``image_to_image`` every task that starts from a picture, except
    virtual_try_on, which has rows of its own. ``source`` is a key of `PriceBook.sources`, or an override's own words.
    """

    model: str
    region: str
    usd: Decimal
    source: str
    confidence: str
    task: str = "any"
    from_: date | None = None
    to: date | None = None
    size_max: Size | None = None
    size_over: Size | None = None
    quality: str | None = None
    steps_min: int | None = None
    steps_max: int | None = None
    observed: tuple[date, ...] = ()
    note: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What tells this row from the others of its model: where, when and for which tier it holds, not how much."""
        tier = (self.size_max, self.size_over, self.quality, self.steps_min, self.steps_max)
        return (self.confidence == "override", self.model, self.region, self.task, self.from_, *tier)

    def spans(self, day: date) -> bool:
        """True from the first to the last day of the rate, both included."""
        return (self.from_ is None or self.from_ <= day) and (self.to is None or day <= self.to)

    def admits_region(self, usage: Usage) -> bool:
        """True if the rate holds where the call was made."""
        return self.region in ("*", usage.region)

    def admits_task(self, usage: Usage) -> bool:
        """True if the rate holds for this task; see the class for the two modes."""
        task = usage.task
        if self.task == "text_to_image":
            return task in _TEXT_INPUT
        if self.task == "image_to_image":
            return task in TASKS and task not in _TEXT_INPUT and task not in _RATED_APART
        return self.task in ("any", task)

    def admits_quality(self, usage: Usage) -> bool:
        """True if the rate does not depend on quality, or is for this one. Quality not given is standard."""
        return self.quality in (None, usage.quality or "standard")

    def admits_steps(self, usage: Usage) -> bool | None:
        """True if the step count is in the tier; None if it depends on steps and they are not known."""
        if self.steps_min is None and self.steps_max is None:
            return True
        if usage.steps is None:
            return None
        return (self.steps_min or 0) <= usage.steps and (self.steps_max is None or usage.steps <= self.steps_max)

    def admits_size(self, usage: Usage) -> bool | None:
        """True if the pixel area is in the tier; None if it depends on size and the size is not known."""
        if self.size_max is None and self.size_over is None:
            return True
        if usage.width is None or usage.height is None:
            return None
        area = usage.width * usage.height
        if self.size_over is not None and area <= self.size_over[0] * self.size_over[1]:
            return False
        return self.size_max is None or area <= self.size_max[0] * self.size_max[1]

    def admits(self, usage: Usage) -> bool | None:
        """True if region, task and tier fit, False if one does not, None if too little is known to tell."""
        if not (self.admits_region(usage) and self.admits_task(usage) and self.admits_quality(usage)):
            return False
        verdicts = (self.admits_steps(usage), self.admits_size(usage))
        if False in verdicts:
            return False
        return None if None in verdicts else True


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """The rates of one model, in the order in which they are tried.

    ``aliases`` are other ids of the same model. ``steps`` is the model's default step count, where the price depends on
    it. ``note`` says how AWS's own tiers were read.
    """

    model: str
    rates: tuple[Rate, ...]
    aliases: tuple[str, ...] = ()
    steps: int | None = None
    note: str | None = None

    @property
    def ended(self) -> date | None:
        """The last day of the last rate, which is the model's last day; None while one rate is open."""
        ends = [rate.to for rate in self.rates]
        return None if None in ends else max((end for end in ends if end), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Images x rate, and where the rate comes from.

    ``usd`` is None if no rate is known; ``note`` then says why. ``table`` is the version of the price book.
    ``confidence`` is one of `CONFIDENCES`: ``override`` (yours), ``documented`` (AWS's own page, price file or rate
    card), ``secondary`` (a third party's table), ``inferred`` (deduced), ``expired`` (the last published rate of a
    model that has ended). ``saved_usd`` is what a cache hit did not have to pay.
    """

    usd: Decimal | None
    table: str
    images: int
    unit_usd: Decimal | None = None
    confidence: str | None = None
    source: str | None = None
    rate: Rate | None = field(default=None, repr=False)
    note: str | None = field(default=None, repr=False)
    saved_usd: Decimal | None = None

    @classmethod
    def of(cls, rate: Rate, images: int, *, table: str, confidence: str, note: str | None) -> Cost:
        """``images`` at one rate."""
        return cls(
            usd=_EXACT.multiply(rate.usd, images),
            table=table,
            images=images,
            unit_usd=rate.usd,
            confidence=confidence,
            source=rate.source,
            rate=rate,
            note=note,
        )

    @classmethod
    def total(cls, costs: Iterable[Cost]) -> Cost:
        """The sum of several costs: None as soon as one part is unknown, and as trustworthy as its weakest part.

        Fields on which all parts agree are kept, others are listed (``table``, ``source``, ``note``) or None (``rate``,
        ``unit_usd``). ``saved_usd`` adds up what is known to have been saved. Raises ValueError if there is nothing to
        add.
        """
        parts = tuple(costs)
        if not parts:
            raise ValueError("there are no costs to add up")
        saved = [part.saved_usd for part in parts if part.saved_usd is not None]
        return cls(
            usd=_sum([part.usd for part in parts]),
            table=_listed([part.table for part in parts]) or "",
            images=sum(part.images for part in parts),
            unit_usd=_common([part.unit_usd for part in parts]),
            confidence=_weakest([part.confidence for part in parts]),
            source=_listed([part.source for part in parts]),
            rate=_common([part.rate for part in parts]),
            note=_listed([part.note for part in parts]),
            saved_usd=_sum(saved) if saved else None,
        )

    def as_saved(self) -> Cost:
        """The same pictures from the cache: they cost 0, ``saved_usd`` is what was not paid (None if unknown)."""
        known = self.usd is not None and self.confidence is not None
        saved = _sum([self.usd, self.saved_usd or _NOTHING]) if known else None
        return Cost(
            usd=_NOTHING,
            table=self.table,
            images=self.images,
            unit_usd=self.unit_usd,
            confidence=self.confidence,
            source=self.source,
            rate=self.rate,
            note=self.note,
            saved_usd=saved,
        )

    def __str__(self) -> str:
        facts = [f"table {self.table}"]
        if self.usd is None:
            return f"unknown ({facts[0]})"
        if self.saved_usd is not None:
            facts.append(f"saved {_figure(self.saved_usd)}")
        if self.confidence == "expired":
            facts.append("expired rate")
        return f"{_figure(self.usd)} USD ({', '.join(facts)})"


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total = _EXACT.add(total, amount)
    return total


def _common(values: Sequence[_T]) -> _T | None:
    return values[0] if all(value == values[0] for value in values) else None


def _listed(values: Sequence[str | None]) -> str | None:
    return "; ".join(dict.fromkeys(value for value in values if value)) or None


def _weakest(values: Sequence[str | None]) -> str | None:
    known = [value for value in values if value is not None]
    return max(known, key=CONFIDENCES.index) if len(known) == len(values) else None


def _figure(usd: Decimal) -> str:
    """All digits that matter, and at least the cents."""
    whole, _, cents = f"{usd:f}".partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}"
