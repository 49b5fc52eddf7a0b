"""What is told about a request beforehand: everybody who was considered, the outcome, and the price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..pricing import Cost
from ..providers.types import Warning

__all__ = ["Considered", "Explanation", "Quote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One deployment of the chain.

    ``reason`` says why it would not be asked now, None if it may be; ``able`` is False if its model can not do the request
    at all or must not. ``share`` is its part of the weight among those of its tier who may be asked; ``score`` the figure
    that the strategy compares, the lowest being the best (least_request: calls over weight; lowest_latency: seconds;
    lowest_cost: US dollars), None where there is none. ``cost`` is the exact price of the whole request there.
    ``learned_rpm`` is the rate that throttling has taught, where one was learned; ``waiting`` are the requests that stand
    in line there.
    """

    alias: str
    deployment: str
    model: str
    region: str
    priority: int
    weight: float
    able: bool
    reason: str | None
    retired: bool
    state: str
    in_flight: int
    learned_rpm: int | None = None
    waiting: int = 0
    calls: int = 0
    share: float | None = None
    score: float | None = None
    cost: Cost | None = None
    warnings: tuple[Warning, ...] = ()

    def __str__(self) -> str:
        facts = [self.reason] if self.reason else []
        facts += [f"share {self.share:.0%}"] if self.share is not None else []
        facts += [f"score {self.score:.4g}"] if self.score is not None else []
        facts += [f"learned limit {self.learned_rpm} a minute"] if self.learned_rpm is not None else []
        facts += [f"{self.waiting} in line"] if self.waiting else []
        facts += [str(self.cost)] if self.cost is not None else []
        facts += [f"warning: {warning}" for warning in self.warnings]
        return f"{self.deployment} ({self.model}, {self.region}): {'; '.join(facts)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; money as text."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("cost", "warnings")}
        return {**plain, "cost": _money(self.cost), "warnings": _said(self.warnings)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a request would meet at this moment.

    ``chain`` is the alias and its fallbacks in the order in which they are asked, ``strategies`` how each picks. ``pick`` is
    whom the request would go to first; None if nobody can take it now: ``reason`` says why. Then ``wait`` are the seconds
    that it would stand in line, behind ``ahead`` others; None if it would be refused, and ``retry_after`` (seconds) says
    when somebody may be asked. ``panic`` if the pick would be asked although its breaker is open. ``cache`` is ``hit``
    (nobody would be asked), ``miss``, or ``bypass`` if the answer can not be kept. ``parts`` is the number of calls that
    would be made side by side; the pick is that of the first.

    ``cost`` is the price of all pictures at the pick, less what the cache has; without a pick, that of those whom it would
    wait for, if they agree. ``budgets`` are the extra calls that could be made now: ``retry`` of any kind, ``billed`` after
    calls that may have been billed. ``second`` is the second stage, which removes the background of each picture.
    """

    alias: str
    chain: tuple[str, ...]
    strategies: Mapping[str, str]
    candidates: tuple[Considered, ...]
    pick: Considered | None
    panic: bool
    cache: str
    parts: int
    reason: str | None = None
    retry_after: float | None = None
    wait: float | None = 0.0
    ahead: int = 0
    cost: Cost | None = None
    budgets: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[Warning, ...] = ()
    second: Explanation | None = None

    @property
    def refused(self) -> bool:
        """Would the request end at once without a picture?"""
        return self.pick is None and self.wait is None

    def __str__(self) -> str:
        lines = [f"{self.alias}: {self._outcome()}"]
        for name in self.chain:
            lines.append(f"  {name} ({self.strategies[name]})")
            lines += [f"    {'>' if one is self.pick else ' '} {one}" for one in self.candidates if one.alias == name]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        if self.budgets:
            lines.append(
                f"  extra calls left: {self.budgets['retry']}, of these {self.budgets['billed']} after billed ones"
            )
        if self.second is not None:
            lines += ["then the background of each picture is removed:", str(self.second)]
        return "\n".join(lines)

    def _outcome(self) -> str:
        if self.pick is None and self.cache == "hit":
            return "the answer is in the cache"
        if self.pick is None and self.wait is not None:
            return f"stands in line for {self.wait:.1f} s, {self.ahead} ahead ({self.reason})"
        if self.pick is None:
            later = f", again in {self.retry_after:.1f} s" if self.retry_after else ""
            return f"nobody ({self.reason}){later}"
        how = " in panic" if self.panic else ""
        parts = f", in {self.parts} calls" if self.parts > 1 else ""
        return f"{self.pick.deployment}{how}{parts}, cache {self.cache}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "alias": self.alias,
            "chain": [{"alias": name, "strategy": self.strategies[name]} for name in self.chain],
            "pick": self.pick.deployment if self.pick else None,
            "pick_alias": self.pick.alias if self.pick else None,
            "panic": self.panic,
            "cache": self.cache,
            "parts": self.parts,
            "cost": _money(self.cost),
            "reason": self.reason,
            "retry_after": self.retry_after,
            "wait": self.wait,
            "ahead": self.ahead,
            "budgets": dict(self.budgets),
            "candidates": [one.as_dict() for one in self.candidates],
            "warnings": _said(self.warnings),
            "second": self.second.as_dict() if self.second else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a request would cost: the whole of it, all its pictures, at every candidate that can do it.

    ``cost`` is that of the pick, with the second stage where there is one (``second`` has its part): ``cost.usd`` is a
    Decimal, or None with ``cost.note`` saying why nobody knows. What is in the cache costs 0. None if the request would be
    refused, or would wait for places whose prices differ; ``reason`` says why.
    """

    alias: str
    pick: str | None
    cost: Cost | None
    candidates: tuple[Considered, ...]
    reason: str | None = None
    refused: bool = False
    second: Quote | None = None

    @classmethod
    def of(cls, told: Explanation) -> Quote:
        """The prices of an explanation."""
        second = cls.of(told.second) if told.second else None
        cost = told.cost
        if cost is not None and second is not None and not second.refused:  # without a remover the pictures stay opaque
            cost = Cost.total([cost, second.cost]) if second.cost else None
        return cls(
            alias=told.alias,
            pick=told.pick.deployment if told.pick else None,
            cost=cost,
            candidates=tuple(one for one in told.candidates if one.able),
            reason=told.reason or (second.reason if second else None),
            refused=told.refused,
            second=second,
        )

    def __str__(self) -> str:
        where = [f" at {self.pick}"] if self.pick else []
        where += [f" and {self.second.pick}"] if self.second and self.second.pick else []
        lines = [f"{self.alias}: {self.cost if self.cost else self.reason}{''.join(where)}"]
        lines += [
            f"  {one.alias}: {one.deployment}: {one.cost}{_because(one.cost)}" for one in self.candidates if one.cost
        ]
        if self.second is not None:
            lines += ["of this, to remove the background of each picture:", str(self.second)]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; money as text."""
        return {
            "alias": self.alias,
            "pick": self.pick,
            "cost": _money(self.cost),
            "reason": self.reason,
            "candidates": [
                {"alias": one.alias, "deployment": one.deployment, "model": one.model, "region": one.region}
                | {"cost": _money(one.cost)}
                for one in self.candidates
            ],
            "second": self.second.as_dict() if self.second else None,
        }


def _because(cost: Cost) -> str:
    return f" ({cost.note})" if cost.usd is None and cost.note else ""


def _said(warnings: Iterable[Warning]) -> list[dict[str, Any]]:
    return [{"code": one.code, "parameter": one.parameter, "message": one.message} for one in warnings]


def _money(cost: Cost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    amounts = {"usd": cost.usd, "unit_usd": cost.unit_usd, "saved_usd": cost.saved_usd}
    return {
        **{name: None if amount is None else str(amount) for name, amount in amounts.items()},
        "images": cost.images,
        "table": cost.table,
        "confidence": cost.confidence,
        "note": cost.note,
    }
