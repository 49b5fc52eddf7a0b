"""The state of a gateway for who runs it: its deployments, and what keys have spent today.

A worker tells of itself alone. What several tell is put together by `merged`, which is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..router.config import DeploymentConfig
from ..router.status import Status

__all__ = ["merged", "worker_status"]

Plain = dict[str, Any]

_SEVERE = ("closed", "half_open", "open")
"""Circuit breakers from well to ill: of several workers the worst is told."""
_SUMMED = ("in_flight", "waiting", "calls", "failures")
_SHARED = ("rpm", "concurrency")
"""Limits of which each worker has a part."""


def worker_status(status: Status, spend: Sequence[Plain] | None, *, in_flight: int, now: datetime) -> Plain:
    """What one worker knows: plain data for JSON.

    ``in_flight`` are requests, of which each may make several calls. ``spend`` is None where the accounts can not be read.
    """
    return {
        "object": "status",
        "at": now.isoformat(timespec="seconds"),
        "workers": 1,
        "in_flight": in_flight,
        "spend": spend,
        **status.as_dict(),
    }


def merged(workers: Sequence[Mapping[str, Any]], declared: Mapping[str, DeploymentConfig] | None = None) -> Plain:
    """One picture of what several workers told, none of them twice.

    Calls and requests are added up. Of breakers the worst counts, and ``open_at`` says at how many workers it is not
    closed; seconds are averaged over those who know any. A learned limit is the sum of what each worker has learned to get
    through. Limits are those that are ``declared`` for all workers together, even where one does not answer; of a deployment
    that is not there, the parts of those who answer. Accounts are the same at all of them, so anybody's are told. Raises
    ValueError if nobody told anything.
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
        "spend": next((worker["spend"] for worker in workers if worker["spend"] is not None), None),
        "deployments": [_deployment(seen, (declared or {}).get(name)) for name, seen in by_name.items()],
    }


def _deployment(seen: Sequence[Plain], declared: DeploymentConfig | None) -> Plain:
    ill = [one for one in seen if one["state"] != "closed"]
    waits = [one["probe_in"] for one in ill if one["probe_in"] is not None]
    seconds = [one["seconds"] for one in seen if one["seconds"] is not None]
    return {
        **seen[-1],
        **{name: sum(one[name] for one in seen) for name in _SUMMED},
        **{name: getattr(declared.limits, name) if declared else _sum(seen, name) for name in _SHARED},
        "state": max((one["state"] for one in seen), key=_SEVERE.index),
        "open_at": len(ill),
        "probe_in": min(waits, default=None),
        "resting": max(one["resting"] for one in seen),
        "learned_rpm": _sum(seen, "learned_rpm"),
        "seconds": round(sum(seconds) / len(seconds), 3) if seconds else None,
        "retired": any(one["retired"] for one in seen),
    }


def _sum(seen: Sequence[Plain], name: str) -> int | None:
    """None where nobody knows any."""
    known = [one[name] for one in seen if one[name] is not None]
    return sum(known) if known else None
