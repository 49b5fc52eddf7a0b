"""How every deployment of a router is doing at a moment, as plain data: for status pages and for programs that watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from ..providers.catalog import Catalog
from .deployment import Deployment
from .runtime import Runtime

__all__ = ["DeploymentStatus", "Status", "status_of"]

_AT_ONCE = 50
"""Deployments that are read before requests get the lock again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    """One deployment.

    ``aliases`` name those that may ask it. ``state`` is the circuit breaker's: closed, open or half_open; ``probe_in`` are
    the seconds until it is asked again, None while it is closed; ``resting`` those for which throttling keeps it quiet.
    ``rpm`` and ``concurrency`` are the declared limits, ``learned_rpm`` is what throttling has taught. ``seconds`` is what a
    call takes, a moving average; None until one has answered. ``calls`` and ``failures`` are those of the last half minute.
    ``stage`` is the model's in AWS's lifecycle, ``eol`` and ``legacy`` its days, ``sources`` where these stand; ``retired``
    is True if it has said itself, too, that its life is over.
    """

    deployment: str
    aliases: tuple[str, ...]
    model: str
    model_id: str
    region: str
    state: str
    probe_in: float | None
    resting: float
    in_flight: int
    waiting: int
    rpm: int | None
    concurrency: int | None
    learned_rpm: int | None
    seconds: float | None
    calls: int
    failures: int
    retired: bool
    stage: str | None = None
    legacy: date | None = None
    eol: date | None = None
    replacement: str | None = None
    sources: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; days as ISO text."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A router at a moment: ``deployments`` in the order of the configuration, ``waiting`` requests in line for them."""

    deployments: tuple[DeploymentStatus, ...]
    waiting: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"deployments": [one.as_dict() for one in self.deployments], "waiting": self.waiting}


def status_of(runtime: Runtime) -> Status:
    """See `Router.status`."""
    users: dict[str, list[str]] = {}
    for alias in runtime.aliases.all():
        for use in alias.uses:
            users.setdefault(use.name, []).append(alias.name)
    made = list({one.name: one for one in runtime.made()}.values())
    today = runtime.context.today()
    found: list[DeploymentStatus] = []
    for start in range(0, len(made), _AT_ONCE):
        found += _read(runtime, made[start : start + _AT_ONCE], users, today)
    with runtime.context.lock:
        waiting = len(runtime.context.line)
    return Status(deployments=tuple(found), waiting=waiting)


def _read(
    runtime: Runtime, some: Sequence[Deployment], users: dict[str, list[str]], today: date
) -> list[DeploymentStatus]:
    catalog = Catalog.load()
    models = [catalog.find(one.target.model) for one in some]
    with runtime.context.lock:
        now = runtime.context.clock()
        found = []
        for one, model in zip(some, models, strict=True):
            life = model.lifecycle if model and one.eol == model.lifecycle.eol else None
            calls, failures = one.recent(now)
            found.append(
                DeploymentStatus(
                    deployment=one.name,
                    aliases=tuple(name for name in users.get(one.name, ()) if name != one.name),
                    model=one.target.model,
                    model_id=one.target.model_id,
                    region=one.target.region,
                    state=one.state(now).value,
                    probe_in=one.probe_in(now),
                    resting=one.resting(now),
                    in_flight=one.in_flight,
                    waiting=runtime.context.line.waiting(one),
                    rpm=one.limits.rpm,
                    concurrency=one.limits.concurrency,
                    learned_rpm=one.learned_rpm,
                    seconds=one.typical or None,
                    calls=calls,
                    failures=failures,
                    retired=one.retired,
                    stage=model.stage(today) if model and life else None,
                    legacy=life.legacy if life else None,
                    eol=one.eol,
                    replacement=one.replacement,
                    sources=life.sources if life else (),
                )
            )
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, 3)
    return list(value) if isinstance(value, tuple) else value
