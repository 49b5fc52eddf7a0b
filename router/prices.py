"""What a call costs, before it is made and after."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from ..pricing import Cost, PriceBook
from ..providers.types import Call, ImageResult, Target

__all__ = ["Price", "by_the_hour", "cost_of"]

Price = Callable[[Target, Call], Cost]
"""What one call would cost at one place today."""

_BY_THE_HOUR = re.compile(r":(?:provisioned-model|custom-model-deployment|imported-model|custom-model)/")
"""ARNs of models that an account runs for itself: not sold by the picture, and not retired with the public model."""


def by_the_hour(target: Target) -> bool:
    """Is it a model that the account runs for itself?"""
    return _is_by_the_hour(target.model_id)


@lru_cache(maxsize=1024)
def _is_by_the_hour(model_id: str) -> bool:
    return _BY_THE_HOUR.search(model_id) is not None


def cost_of(book: PriceBook, day: date, target: Target, call: Call, result: ImageResult | None = None) -> Cost:
    """Usage times the rate of the day: of what was delivered or, without a result, of what would be asked for.

    Before the call the size of an edit's picture may not be known; where the rate depends on it the price is unknown.
    """
    first = result.images[0] if result is not None and result.images else None
    cost = book.priced(
        day,
        call.model,
        target.region,
        str(call.task),
        len(result.images) if result is not None else call.images,
        call.width or (first.width if first else None),
        call.height or (first.height if first else None),
        call.quality,
        call.steps,
    )
    if by_the_hour(target) and cost.confidence != "override":
        note = "provisioned and custom models are billed by the hour, not by the picture; an override can give a price"
        return Cost(usd=None, table=cost.table, images=cost.images, note=note)
    return cost
