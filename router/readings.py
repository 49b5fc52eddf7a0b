"""How a deployment is doing at a moment, for people. Read under the router's lock."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from .context import Context
from .deployment import Deployment
from .health import State
from .pool import Use

__all__ = ["facts_of", "why_not"]


def facts_of(context: Context, alias: str, use: Use, now: float) -> dict[str, Any]:
    """Its place in an alias, and its state: the fields of `Considered` that hold for every request."""
    deployment = use.deployment
    return {
        "alias": alias,
        "deployment": use.name,
        "model": deployment.target.model,
        "region": deployment.target.region,
        "priority": use.priority,
        "weight": use.weight,
        "retired": deployment.retired,
        "state": deployment.state(now).value,
        "in_flight": deployment.in_flight,
        "learned_rpm": deployment.learned_rpm,
        "waiting": context.line.waiting(deployment),
    }


def why_not(context: Context, deployment: Deployment, now: float, barred: Set[str]) -> str | None:
    """Why a deployment that could do it may not be asked at this moment; None if it may."""
    if deployment.ready(now):
        if deployment.name not in barred:
            return None
        return f"its free places belong to those who wait in line, {context.line.waiting(deployment)} for it"
    seconds = f"{deployment.ready_in(now):.1f} s"
    state = deployment.state(now)
    if state is State.OPEN:
        return f"its circuit breaker is open for {seconds}"
    free_in = deployment.limits.free_in(now, deployment.in_flight)
    if free_in is None:
        return f"at its limit of {deployment.limits.concurrency} calls at once"
    if free_in > 0 and free_in >= deployment.ready_in(now):
        rpm, learned = deployment.limits.rpm, deployment.learned_rpm
        if learned is None or (rpm is not None and rpm < learned):
            return f"at its limit of {rpm} calls a minute for {seconds}"
        return f"at its learned limit of {learned} calls a minute for {seconds}"
    if deployment.ready_in(now) > 0:
        return f"resting for {seconds} after it was throttled"
    return "a probe is under way"
