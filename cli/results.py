"""A result as a row of facts for people, and as a record for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..pricing import Cost
from ..providers.types import Image, Missing, Warning
from ..router.records import Result
from .failures import attempt_record
from .output import Facts, dollars

__all__ = ["facts", "picture_line", "record"]


def facts(result: Result, *, details: bool = False) -> Facts:
    """The row: who made it, what it is, what it cost, how it came about. ``details`` adds ids and the price's source."""
    failed = sum(attempt.error is not None for attempt in result.attempts)
    row = {
        "alias": result.alias,
        "deployment": result.deployment,
        "region": result.region,
        "model": result.model,
        "size": _common([f"{image.width}x{image.height}" for image in result.images]),
        "seed": _seeds([image.seed for image in result.images]),
        "cost": _amount(result.cost),
        "prices": result.cost.table,
        "cache": result.cache,
        "attempts": f"{len(result.attempts)}" + (f" ({failed} failed)" if failed else ""),
        "duration": f"{result.duration:.2f} s",
    }
    if details:
        row["model id"] = result.model_id
        row["request id"] = result.request_id or "none"
        row["price"] = ", ".join(part for part in (result.cost.confidence, result.cost.source) if part) or "none"
    return row


def picture_line(path: Path | None, image: Image) -> str:
    """``out/otter.png  png 1024x1024, seed 30, 1.2 MB``. None is a picture that could not be saved."""
    size = len(image.b64) * 3 / 4 / 1e6
    seed = "" if image.seed is None else f", seed {image.seed}"
    return f"{path or '(not saved)'}  {image.format} {image.width}x{image.height}{seed}, {size:.1f} MB"


def record(
    result: Result, files: Sequence[Path | None], warnings: Sequence[Warning], *, emulator: bool
) -> dict[str, Any]:
    """Everything but the pictures' bytes. Seconds; money as text, so that no digit is lost."""
    return {
        "alias": result.alias,
        "deployment": result.deployment,
        "region": result.region,
        "model": result.model,
        "model_id": result.model_id,
        "size": _common([f"{image.width}x{image.height}" for image in result.images]),
        "seed": result.seed,
        "cost": _cost(result),
        "cache": result.cache,
        "duration": round(result.duration, 6),
        "request_id": result.request_id,
        "emulator": emulator,
        "images": [_image(path, image) for path, image in zip(files, result.images, strict=True)],
        "attempts": [attempt_record(attempt) for attempt in result.attempts],
        "route": _route(result),
        "skipped": [
            {"alias": skip.alias, "deployment": skip.deployment, "reason": skip.reason} for skip in result.skipped
        ],
        "missing": [_missing(gap) for gap in result.missing],
        "warnings": [
            {"code": warning.code, "parameter": warning.parameter, "message": warning.message} for warning in warnings
        ],
    }


def _route(result: Result) -> dict[str, Any] | None:
    route = result.route
    return None if route is None else {name: getattr(route, name) for name in route.__slots__}


def _amount(cost: Cost) -> str:
    """``0.14 USD``; ``0.00 USD, saved 0.14``; ``unknown``. The table's version stands beside it."""
    if cost.usd is None:
        return "unknown"
    parts = [f"{dollars(cost.usd)} USD"]
    if cost.saved_usd is not None:
        parts.append(f"saved {dollars(cost.saved_usd)}")
    if cost.confidence == "expired":
        parts.append("expired rate")
    return ", ".join(parts)


def _cost(result: Result) -> dict[str, Any]:
    cost = result.cost
    money = {"usd": cost.usd, "unit_usd": cost.unit_usd, "saved_usd": cost.saved_usd}
    return {
        **{name: None if amount is None else str(amount) for name, amount in money.items()},
        "images": cost.images,
        "table": cost.table,
        "confidence": cost.confidence,
        "source": cost.source,
        "note": cost.note,
    }


def _image(path: Path | None, image: Image) -> dict[str, Any]:
    return {
        "file": None if path is None else str(path),
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "seed": image.seed,
        "finish_reason": image.finish_reason,
    }


def _missing(gap: Missing) -> dict[str, Any]:
    return {
        "index": gap.index,
        "reason": gap.reason,
        "message": gap.message,
        "may_be_billed": gap.may_be_billed,
    }


def _common(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _seeds(seeds: Sequence[int | None]) -> str:
    """One, a range, or what there is. A model that drew a seed and did not say which has ``random``."""
    known = [seed for seed in seeds if seed is not None]
    if len(known) > 2 and known == list(range(known[0], known[0] + len(seeds))):
        return f"{known[0]}-{known[-1]}"
    return ", ".join(dict.fromkeys("random" if seed is None else str(seed) for seed in seeds))
