"""What a new configuration takes over from the one before it: the live state of everything that did not change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..providers.types import Credentials, Target
from .deployment import Deployment
from .plan import Alias

__all__ = ["Heritage", "account_of", "place_of"]

_REMEMBERED = 1000
"""Deployments that no configuration names any more: an edit that is taken back finds their state again."""


class Heritage:
    """Deployments by the place they stand for, and aliases by name, of earlier configurations.

    A deployment goes on as the very same object, because requests of both configurations call it side by side: its breaker,
    its limits and its calls under way are theirs together. Until `apply` nothing of it is changed. `deployment` and
    `apply` are called under the router's lock.
    """

    def __init__(
        self,
        deployments: Iterable[Deployment] = (),
        aliases: Iterable[Alias] = (),
        former: Heritage | None = None,
        *,
        judge_anew: bool = False,
    ) -> None:
        """``judge_anew``: what counts as retired has changed, so nobody is until it shows again."""
        current = {place_of(deployment.target): deployment for deployment in deployments}
        old: dict[Target, Deployment] = former._known if former else {}
        left = [place for place in old if place not in current][-_REMEMBERED:]
        self._known: dict[Target, Deployment] = {**{place: old[place] for place in left}, **current}
        self._aliases = {alias.name: alias for alias in aliases}
        self._former = former
        self._judge_anew = judge_anew
        self._renewals: list[tuple[Deployment, Deployment]] = []
        self._taken: list[Deployment] = []
        self._apply_later = former is not None
        self._superseded = False

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """All that are remembered, in use or not."""
        return tuple(self._known.values())

    def deployment(self, fresh: Deployment) -> Deployment:
        """The deployment that stands for this place already, else ``fresh`` itself."""
        kept = self._known.get(place_of(fresh.target)) if self._known else None
        taken = fresh if kept is None else kept
        if self._apply_later:
            self._taken.append(taken)
        else:
            taken.limits.quota.sharers.add(fresh.name)
        if kept is None:
            return fresh
        if self._apply_later:
            self._renewals.append((kept, fresh))
        elif not self._superseded:
            self._renew(kept, fresh)  # a passed-through model, asked for the first time since
        return kept

    def alias(self, fresh: Alias) -> Alias:
        """``fresh``, with the state of its strategy if it picks among the same in the same way."""
        old = self._aliases.get(fresh.name)
        if old is None or _parts(old) != _parts(fresh) or type(old.strategy) is not type(fresh.strategy):
            return fresh
        return replace(fresh, uses=old.uses, strategy=old.strategy, prepared=old.pool)

    def aliases(self, names: Iterable[str]) -> tuple[Alias, ...]:
        """Those of these names that an earlier configuration has made."""
        return tuple(self._aliases[name] for name in names if name in self._aliases)

    def apply(self) -> tuple[Deployment, ...]:
        """From now on deployments have their new settings. Those that went on."""
        renewed = tuple(kept for kept, _ in self._renewals)
        for kept, fresh in self._renewals:
            self._renew(kept, fresh)
        for deployment in (*self._known.values(), *self._taken):
            deployment.limits.quota.sharers.clear()  # of names that are no more
        for deployment in self._taken:
            deployment.limits.quota.sharers.add(deployment.name)
        self._renewals.clear()
        self._taken.clear()
        self._apply_later = False
        if self._former is not None:
            self._former._superseded = True
            self._former = None
        return renewed

    def _renew(self, kept: Deployment, fresh: Deployment) -> None:
        kept.renew(fresh)
        if self._judge_anew:
            kept.retired = False


def _parts(alias: Alias) -> list[tuple[Deployment, float, int]]:
    """Whom it picks from. A deployment that went on is the same object."""
    return [(use.deployment, use.weight, use.priority) for use in alias.uses]


def account_of(target: Target) -> tuple[object, ...]:
    """Whose quota a call counts against."""
    return target.model, target.model_id, target.region, target.credentials, target.endpoint_url


def place_of(target: Target) -> Target:
    """What is the same place though its keys are others: a secret that was rotated under the same name."""
    return replace(target, credentials=_without_keys(target.credentials))


def _without_keys(credentials: Credentials) -> Credentials:
    return replace(
        credentials,
        access_key_id=None,
        secret_access_key=None,
        session_token=None,
        external_id=None,
        web_identity_token=None,
        bearer_token=None,
        source=_without_keys(credentials.source) if credentials.source else None,
    )
