"""The state of a gateway for who runs it: its deployments, and what keys have spent today.

A worker tells of itself alone. What several tell is put together by `merged`, which is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..router.status import Status
from .errors import Refused
from .gate import Gate

__all__ = ["merged", "worker_status"]

Plain = dict[str, Any]

_SEVERE = ("closed", "half_open", "open")
"""Circuit breakers from well to ill: of several workers the worst is told."""
_MONEY = ("usd_today", "usd_this_month", "usd_reserved")
_SUMMED = ("in_flight", "waiting", "calls", "failures")


def worker_status(status: Status, gate: Gate, *, in_flight: int, shared: bool, now: datetime) -> Plain:
    """What one worker knows: plain data for JSON.

    ``in_flight`` are requests, of which each may make several calls. ``shared`` tells whether the accounts are those of
    all workers. ``spend`` is None where the accounts can not be read.
    """
    try:
        spend: list[Plain] | None = gate.usage_of_all()
    except Refused:
        spend = None
    return {
        "object": "status",
        "at": now.isoformat(timespec="seconds"),
        "workers": 1,
        "in_flight": in_flight,
        "spend_shared": shared,
        "spend": spend,
        **status.as_dict(),
    }


def merged(workers: Sequence[Mapping[str, Any]]) -> Plain:
    """One picture of what several workers told, none of them twice.

    Calls and requests are added up. Of breakers the worst counts, and ``open_at`` says at how many workers it is not
    closed; seconds are averaged over those who know any. A learned limit is the sum of what each worker has learned to get
    through. Money is added up unless the accounts are shared. Raises ValueError if nobody told anything.
    """
    if not workers:
        raise ValueError("there is no worker to tell of")
    newest = max(workers, key=lambda one: one["at"])
    by_name: dict[str, list[Plain]] = {}
    for worker in workers:
        for deployment in worker["deployments"]:
            by_name.setdefault(deployment["deployment"], []).append(deployment)
    return {
        **newest,
        "workers": sum(worker["workers"] for worker in workers),
        "in_flight": sum(worker["in_flight"] for worker in workers),
        "waiting": sum(worker["waiting"] for worker in workers),
        "spend": _spend(newest, workers),
        "deployments": [_deployment(seen) for seen in by_name.values()],
    }


def _deployment(seen: Sequence[Plain]) -> Plain:
    ill = [one for one in seen if one["state"] != "closed"]
    waits = [one["probe_in"] for one in ill if one["probe_in"] is not None]
    learned = [one["learned_rpm"] for one in seen if one["learned_rpm"] is not None]
    seconds = [one["seconds"] for one in seen if one["seconds"] is not None]
    return {
        **seen[-1],
        **{name: sum(one[name] for one in seen) for name in _SUMMED},
        "state": max((one["state"] for one in seen), key=_SEVERE.index),
        "open_at": len(ill),
        "probe_in": min(waits, default=None),
        "resting": max(one["resting"] for one in seen),
        "learned_rpm": sum(learned) if learned else None,
        "seconds": round(sum(seconds) / len(seconds), 3) if seconds else None,
        "retired": any(one["retired"] for one in seen),
    }


def _spend(newest: Mapping[str, Any], workers: Iterable[Mapping[str, Any]]) -> list[Plain] | None:
    """What keys have spent, at all workers together; None if one of them does not know."""
    told = [worker["spend"] for worker in workers]
    if any(one is None for one in told):
        return None
    by_key: dict[str, list[Plain]] = {}
    for accounts in told:
        for account in accounts:
            by_key.setdefault(account["key"], []).append(account)
    return [_account(seen, shared=bool(newest["spend_shared"])) for seen in by_key.values()]


def _account(seen: Sequence[Plain], *, shared: bool) -> Plain:
    last = dict(seen[-1])
    last["in_flight"] = sum(one["in_flight"] for one in seen)
    if last["requests_last_minute"] is not None:
        last["requests_last_minute"] = sum(one["requests_last_minute"] or 0 for one in seen)
    if not shared:
        last |= {name: f"{sum((Decimal(one[name]) for one in seen), Decimal(0)):f}" for name in _MONEY}
    return last
