"""Results in OpenAI's shape, as bytes: the base64 of a picture goes out as it came in.

Facts that OpenAI has no name for stand under ``lascaux``, in the body and of each picture; its clients keep what they do not
know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..pricing import Cost
from ..providers.types import Image, Warning
from ..router.records import Result
from .openai import Ask, Operation
from .spread import Body, Slots, Spread

__all__ = ["CHARGED", "JOINED", "Plain", "charge", "document", "events", "headers", "joined", "money", "told"]

Plain = dict[str, Any]

CHARGED, JOINED = "x-lascaux-charged-usd", "x-lascaux-joined"

_LONGEST_HEADER = 500
_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
"""Zero: Bedrock's image models do not count tokens. The bill is under ``lascaux.cost``."""


def document(
    ask: Ask,
    result: Result,
    warnings: Sequence[Warning],
    links: Sequence[str | None],
    created: int,
    charged: Decimal | None,
) -> Body:
    """The body of an answer.

    ``links`` has an entry per picture: its address, or None to send it as base64; ``charged`` are the US dollars settled.
    """
    slots = Slots()
    return slots.written(
        {
            "created": created,
            "data": [_item(image, link, slots) for image, link in zip(result.images, links, strict=True)],
            **_common(ask, result),
            "lascaux": _facts(result, warnings, charged, slots),
        }
    )


def events(
    ask: Ask,
    result: Result,
    warnings: Sequence[Warning],
    links: Sequence[str | None],
    created: int,
    charged: Decimal | None,
) -> Body:
    """The same as server-sent events: one ``completed`` event for each picture, the bill with the last."""
    kind = "image_edit.completed" if ask.operation is Operation.EDIT else "image_generation.completed"
    last = len(result.images) - 1
    told: list[Body] = []
    for place, (image, link) in enumerate(zip(result.images, links, strict=True)):
        slots = Slots()
        plain = {"type": kind, **_item(image, link, slots), "created_at": created, **_common(ask, result)}
        if place == last:
            plain["lascaux"] = {**plain["lascaux"], **_facts(result, warnings, charged, slots)}
        told += (b"event: " + kind.encode() + b"\ndata: ", slots.written(plain), b"\n\n")
    return Spread(*told)


def headers(result: Result, warnings: Sequence[Warning]) -> dict[str, str]:
    """The facts once more for who does not read the body: ASCII only, none longer than 500 letters."""
    cost = result.cost
    found = {
        "x-lascaux-deployment": _ascii(result.deployment),
        "x-lascaux-model": _ascii(result.model),
        "x-lascaux-region": _ascii(result.region),
        "x-lascaux-cache": result.cache,
        "x-lascaux-attempts": str(len(result.attempts)),
    }
    if cost.usd is not None:
        found["x-lascaux-cost-usd"] = f"{cost.usd:f}"
    found["x-lascaux-price-table"] = _ascii(cost.table)
    if result.seed is not None:
        found["x-lascaux-seed"] = str(result.seed)
    if result.request_id is not None:
        found["x-lascaux-upstream-request-id"] = _ascii(result.request_id)
    if warnings:
        found["x-lascaux-warnings"] = _ascii("; ".join(map(str, warnings)))
    if result.missing:
        found["x-lascaux-missing"] = str(len(result.missing))
    return found


def charge(usd: Decimal | None) -> dict[str, str]:
    """What was settled against the key, as a header."""
    return {} if usd is None else {CHARGED: f"{usd:f}"}


def joined(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer for a further sending of its call: it says so, and that nothing more was settled."""
    return {**headers, **({CHARGED: "0"} if CHARGED in headers else {}), JOINED: "true"}


def told(warning: Warning) -> Plain:
    """A warning as plain data."""
    return {"code": warning.code, "parameter": warning.parameter, "message": warning.message}


def money(cost: Cost) -> Plain:
    """A cost as plain data; amounts as text, for they are exact."""
    return {
        "usd": _exact(cost.usd),
        "unit_usd": _exact(cost.unit_usd),
        "saved_usd": _exact(cost.saved_usd),
        "images": cost.images,
        "table": cost.table,
        "confidence": cost.confidence,
        "source": cost.source,
        "note": cost.note,
    }


def _exact(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:f}"


def _ascii(text: str) -> str:
    """What a header can carry."""
    plain = text
    if not (text.isascii() and text.isprintable()):  # nearly all are
        plain = text.encode("ascii", "backslashreplace").decode()
        plain = "".join(letter if " " <= letter <= "~" else " " for letter in plain)
    return plain if len(plain) <= _LONGEST_HEADER else f"{plain[: _LONGEST_HEADER - 3]}..."


def _item(image: Image, link: str | None, slots: Slots) -> Plain:
    header = image.header
    about = {
        "seed": image.seed,
        "format": header.format,
        "width": header.width,
        "height": header.height,
        "finish_reason": image.finish_reason,
    }
    return {"b64_json": slots.put(image), "lascaux": about} if link is None else {"url": link, "lascaux": about}


def _common(ask: Ask, result: Result) -> Plain:
    first = result.images[0].header
    return {
        "background": _background(ask, result),
        "output_format": first.format,
        "quality": result.cost.rate.quality if result.cost.rate else None,
        "size": f"{first.width}x{first.height}",
        "usage": _USAGE,
    }


def _background(ask: Ask, result: Result) -> str | None:
    """What is known without decoding the picture."""
    if result.images[0].format == "jpeg":
        return "opaque"
    asked = str(ask.params.get("background", "")).lower() == "transparent"
    kept = asked and not any(one.parameter == "background" and one.code == "ignored" for one in result.warnings)
    removed = any(attempt.task == "remove_background" for attempt in result.attempts)
    return "transparent" if removed or kept else None


def _facts(result: Result, warnings: Sequence[Warning], charged: Decimal | None, slots: Slots) -> Plain:
    facts: Plain = {
        "alias": result.alias,
        "deployment": result.deployment,
        "model": result.model,
        "model_id": result.model_id,
        "region": result.region,
        "cost": money(result.cost),
        "charged_usd": _exact(charged),
        "cache": result.cache,
        "seed": result.seed,
        "duration": round(result.duration, 3),
        "request_id": result.request_id,
        "attempts": [
            {
                "deployment": attempt.deployment,
                "model": attempt.model,
                "region": attempt.region,
                "outcome": attempt.outcome,
                "duration": round(attempt.duration, 3),
                "cost_usd": _exact(attempt.cost.usd) if attempt.cost else None,
                "may_be_billed": attempt.may_be_billed,
            }
            for attempt in result.attempts
        ],
        "warnings": [told(warning) for warning in warnings],
        "missing": [
            {"index": gap.index, "reason": gap.reason, "message": gap.message, "may_be_billed": gap.may_be_billed}
            for gap in result.missing
        ],
    }
    if result.mask is not None:
        facts["mask"] = {"b64_json": slots.put(result.mask)}
    return facts
