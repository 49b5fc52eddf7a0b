"""Whom an alias may pick from, prepared once: so that a pick draws a few deployments instead of looking at all of them.

A roster holds for a day, or until a model is found to be retired. From it a request takes the tiers of the models that can
serve it. A pick draws from a tier by weight and rejects whoever may not be asked now; only when many draws in a row were in
vain does it look at everybody, so that the answer is exact: nobody is picked only if nobody may be asked.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate, groupby
from random import Random
from typing import Literal, Self

from ..pricing import Cost
from ..providers.quick import quick
from ..providers.types import Call, Target
from .deployment import Candidate, Deployment

__all__ = ["Field", "Lifecycle", "Offer", "Order", "Pool", "Roster", "Selection", "Tier", "Use"]

Lifecycle = Literal["last_resort", "refuse", "allow"]

_DRAWS = 24
"""Draws before everybody is looked at. With half of them down, one pick in 16 million needs that; with 90 %, one in 12."""
_FEW = 6
"""So many are looked at straight away: that costs no more than drawing."""
_SELECTIONS = 64
"""Sets of models that are remembered. One per kind of request: the tasks and sizes that set models apart are few."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Use:
    """A deployment's place in an alias."""

    deployment: Deployment
    weight: float = 1.0
    priority: int = 0

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.deployment.name


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one model would do for a request: its calls, and the cache key of the only one.

    ``key`` is None when the answer is not reproducible or several calls are needed.
    """

    calls: tuple[Call, ...] = ()
    key: str | None = None

    def by(self, use: Use) -> Candidate:
        """The offer in the name of one deployment."""
        return Candidate(
            deployment=use.deployment, calls=self.calls, weight=use.weight, priority=use.priority, key=self.key
        )


@quick
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """What a strategy may know of the request: what each model would do for it, what that costs, and its routing key."""

    offers: Mapping[str, Offer] = field(default_factory=dict)
    price: Callable[[Target, Call], Cost] | None = None
    key: Callable[[], int] = lambda: 0
    """The number under which equal requests meet; made when asked for."""

    def cost(self, use: Use) -> Cost | None:
        """What the request would cost there; None if nobody can say."""
        offer = self.offers.get(use.deployment.target.model)
        if offer is None or not offer.calls or self.price is None:
            return None
        return Cost.total(self.price(use.deployment.target, call) for call in offer.calls)


_NO_ORDER = Order()


class Tier:
    """Uses that are drawn from together: able to serve, of one priority, all living or all retired. Never changes."""

    __slots__ = ("__weakref__", "_sums", "retired", "uses")

    def __init__(self, uses: Iterable[Use], *, retired: bool = False) -> None:
        self.uses = tuple(uses)
        self.retired = retired
        self._sums = list(accumulate(use.weight for use in self.uses))

    def draw(self, rng: Random) -> Use:
        """Anyone, by weight."""
        return self.uses[bisect(self._sums, rng.random() * self._sums[-1], 0, len(self.uses) - 1)]

    def __deepcopy__(self, memo: object) -> Self:
        return self


class Field:
    """One pick: a tier, and who of it may be asked at this moment. Used under the router's lock."""

    __slots__ = ("now", "order", "stale", "tier", "tried")

    def __init__(
        self,
        tier: Tier,
        now: float,
        *,
        tried: Collection[str] = (),
        order: Order = _NO_ORDER,
    ) -> None:
        self.tier = tier
        self.now = now
        self.tried = tried
        self.order = order
        self.stale = False
        """Somebody was met who retired, or came back, since the roster was made."""

    def part(self, tier: Tier) -> Field:
        """The same pick among some of the tier's uses."""
        return Field(tier, self.now, tried=self.tried, order=self.order)

    def admits(self, use: Use) -> bool:
        """May it be asked now: not tried by this request, breaker, rest and limits permitting?"""
        deployment = use.deployment
        if use.name in self.tried or not deployment.ready(self.now):
            return False
        if deployment.retired is not self.tier.retired:
            self.stale = True
            return False
        return True

    def draw(self, rng: Random, *, besides: Use | None = None) -> Use | None:
        """Somebody who may be asked now, by weight; None if there is nobody (``besides`` the one that is named).

        Who is let in again slowly is drawn by a share of its weight.
        """
        if len(self.tier.uses) == 1:
            only = self.tier.uses[0]
            return only if only is not besides and self.admits(only) else None
        for _ in range(_DRAWS if len(self.tier.uses) > _FEW else 0):
            use = self.tier.draw(rng)
            if use is not besides and self.admits(use) and self.accepts(use, rng):
                return use
        left = [use for use in self.open() if use is not besides]
        if len(left) < 2:
            return left[0] if left else None
        return rng.choices(left, [use.weight * use.deployment.share(self.now) for use in left])[0]

    def accepts(self, use: Use, rng: Random) -> bool:
        """Shall it be asked this time? Now and then no, while it is let in slowly after an illness."""
        share = use.deployment.share(self.now)
        return share >= 1.0 or rng.random() < share

    def open(self) -> list[Use]:
        """Everybody who may be asked now. Looks at the whole tier."""
        return [use for use in self.tier.uses if self.admits(use)]

    def somebody(self) -> bool:
        """Is there anybody? Looks here and there first, and at everybody only if that was in vain."""
        uses = self.tier.uses
        stride = max(len(uses) // _DRAWS, 1)
        return any(map(self.admits, uses[::stride])) or (stride > 1 and any(map(self.admits, uses)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """The part of a roster that some models make up.

    ``uses`` are in the alias's order; ``tiers`` in the order in which they are asked: the living by priority, then the
    retired by priority. ``preferred`` are the models of the first priority.
    """

    uses: tuple[Use, ...]
    tiers: tuple[Tier, ...]
    preferred: tuple[str, ...]

    @classmethod
    def of(cls, uses: Iterable[Use]) -> Selection:
        """Sort them into tiers."""
        uses = tuple(uses)
        ordered = sorted(uses, key=_rank)
        first = min((use.priority for use in uses), default=0)
        return cls(
            uses=uses,
            tiers=tuple(Tier(members, retired=retired) for (retired, _), members in groupby(ordered, key=_rank)),
            preferred=tuple(dict.fromkeys(use.deployment.target.model for use in uses if use.priority == first)),
        )


def _rank(use: Use) -> tuple[bool, int]:
    return use.deployment.retired, use.priority


class Roster:
    """Everybody of an alias as of one day: who is refused for his age, and the others by model."""

    __slots__ = ("_selections", "aged", "day", "lifecycle", "models", "places")

    def __init__(self, uses: Iterable[Use], day: date, lifecycle: Lifecycle) -> None:
        self.day = day
        self.lifecycle = lifecycle
        self.aged: dict[str, list[tuple[int, str]]] = {}
        """Places and names of those who must not be asked, by reason."""
        self.models: dict[str, list[Use]] = {}
        self.places: dict[str, list[tuple[int, str]]] = {}
        """Places and names of the others, by model."""
        self._selections: dict[frozenset[str], Selection] = {}
        for place, use in enumerate(uses):
            reason = _retire(use.deployment, day, lifecycle)
            if reason is not None:
                self.aged.setdefault(reason, []).append((place, use.name))
                continue
            model = use.deployment.target.model
            self.models.setdefault(model, []).append(use)
            self.places.setdefault(model, []).append((place, use.name))

    def select(self, able: Iterable[str]) -> Selection:
        """Those of the models that can serve a request."""
        models = frozenset(able)
        found = self._selections.get(models)
        if found is None:
            places = sorted(
                (place, use)
                for model in models
                for (place, _), use in zip(self.places[model], self.models[model], strict=True)
            )
            found = Selection.of(use for _, use in places)
            if len(self._selections) >= _SELECTIONS:
                self._selections = {}
            self._selections[models] = found
        return found


class Pool:
    """The deployments of one alias, and the roster of the day. Made with the alias, shared by its requests."""

    __slots__ = ("_roster", "_uses", "models")

    def __init__(self, uses: Iterable[Use]) -> None:
        self._uses = tuple(uses)
        self.models = tuple(dict.fromkeys(use.deployment.target.model for use in self._uses))
        """What there is to ask, each once."""
        self._roster: Roster | None = None

    def roster(self, day: date, lifecycle: Lifecycle) -> Roster:
        """Who there is on that day. Made anew when the day changes, or after `renew`."""
        roster = self._roster
        if roster is None or roster.day != day or roster.lifecycle != lifecycle:
            roster = self._roster = Roster(self._uses, day, lifecycle)
        return roster

    def renew(self) -> None:
        """Somebody has retired: the next request sorts them anew."""
        self._roster = None


def _retire(deployment: Deployment, day: date, lifecycle: Lifecycle) -> str | None:
    """Apply the lifecycle policy; a reason if this deployment must not be asked."""
    passed = deployment.eol is not None and deployment.eol <= day
    if passed and lifecycle == "last_resort":
        deployment.retired = True
    if lifecycle == "refuse" and (passed or deployment.retired):
        since = f" on {deployment.eol}" if passed else ""
        return f"{deployment.target.model} reached its end of life{since} and lifecycle.retired is 'refuse'"
    return None
