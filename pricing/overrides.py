"""Your own prices: a private agreement, a region that the table lacks, a model that it does not know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from .fields import PriceTableError, Where, choice, day, items, mapping, money, ordered, region, size, text
from .types import QUALITIES, TASKS, Rate

__all__ = ["OVERRIDE_KEYS", "digest", "read_overrides"]

OVERRIDE_KEYS = ("model", "usd_per_image", "region", "task", "size_max", "quality", "from", "to", "source")


def read_overrides(overrides: Sequence[Mapping[str, object]], models: Collection[str]) -> tuple[Rate, ...]:
    """The overrides as rates, in their order: the first that fits a call wins.

    ``models`` are the ids that the table knows; others may be priced too. Raises PriceTableError for unknown keys and
    bad values, for a known model spelt with a prefix, and for an override that repeats an earlier one.
    """
    rates: list[Rate] = []
    for index, override in enumerate(items(overrides, ("overrides",))):
        rate = _rate(override, ("overrides", index), models)
        for earlier, other in enumerate(rates):
            if other.key == rate.key:
                raise PriceTableError(f"can never apply: overrides[{earlier}] says the same", path=("overrides", index))
        rates.append(rate)
    return tuple(rates)


def digest(rates: Sequence[Rate]) -> str:
    """Eight hex digits that change whenever an override does, and not with the spelling of its figures."""
    rows = [
        [
            rate.model,
            rate.region,
            rate.task,
            rate.size_max,
            rate.quality,
            rate.from_,
            rate.to,
            rate.usd.normalize(),
            rate.source,
        ]
        for rate in rates
    ]
    return hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()[:8]


def _rate(override: object, where: Where, models: Collection[str]) -> Rate:
    given = mapping(override, where, OVERRIDE_KEYS, required=("model", "usd_per_image"))
    given = {key: value for key, value in given.items() if value is not None}

    def at(key: str) -> Where:
        return (*where, key)

    first = day(given["from"], at("from")) if "from" in given else None
    last = day(given["to"], at("to")) if "to" in given else None
    ordered(first, last, at("to"))
    return Rate(
        model=_model(given["model"], at("model"), models),
        region=region(given.get("region", "*"), at("region")),
        usd=money(given["usd_per_image"], at("usd_per_image"), quoted=False),
        source=text(given.get("source", "override"), at("source")),
        confidence="override",
        task=choice(given.get("task", "any"), at("task"), ("any", *TASKS)),
        from_=first,
        to=last,
        size_max=size(given["size_max"], at("size_max")) if "size_max" in given else None,
        quality=choice(given["quality"], at("quality"), QUALITIES) if "quality" in given else None,
    )


def _model(value: object, where: Where, models: Collection[str]) -> str:
    model = text(value, where)
    if model not in models:
        base = next((known for known in models if model.endswith((f".{known}", f"/{known}"))), None)
        if base:
            raise PriceTableError(f"{model!r} would never apply: prices go by the base model id, {base!r}", path=where)
    return model
