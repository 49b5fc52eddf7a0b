"""What a request may cost at the most, and what it has cost: pure sums over quotes, results and errors."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal

from ..providers.errors import LascauxError
from ..router.explain import Quote
from ..router.listing import PriceList
from ..router.records import Attempt, Result
from .errors import Refused
from .keys import Key

__all__ = ["Prices", "bill", "most"]

Prices = Quote | PriceList
"""What a request would cost, by candidate."""

_EXACT = Context(prec=60)
_ZERO = Decimal(0)


def most(key: Key, quote: Prices) -> Decimal:
    """The price at the most expensive candidate, fallbacks included: what has to be reserved. A hit may turn into a miss.

    A second stage (a transparent background) is reserved with the first.

    Where a candidate has no known price, what is known is reserved; for a key with a limit in dollars that may not spend
    what nobody knows, raises `Refused` (403).
    """
    unknown = [one for one in quote.candidates if one.cost is None or one.cost.usd is None]
    if unknown and key.has_budget and not key.allow_unknown_price:
        first = unknown[0]
        raise Refused(
            f"the price of this request at {first.deployment} ({first.model}) is unknown, and key {key.name!r} has a limit "
            "in dollars",
            status=403,
            code="unknown_price",
            parameter="model",
        )
    first_stage = max(
        (one.cost.usd for one in quote.candidates if one.cost and one.cost.usd is not None), default=_ZERO
    )
    return first_stage if quote.second is None else _EXACT.add(first_stage, most(key, quote.second))


def bill(outcome: Result | BaseException | None, held: Decimal, quote: Prices | None) -> Decimal:
    """What to settle: what was delivered, and every failed call that may have been billed, at its quoted price.

    Where that is not known, at least what was ``held``. An error that is none of ours, or nothing at all, tells nothing
    about calls: all that was held counts. A failure that was shared is the bill of the request whose call it was.
    """
    if isinstance(outcome, Result):
        lost = _lost(outcome.attempts, quote)
        usd = outcome.cost.usd
        return max(held, lost or _ZERO) if usd is None else _sum(usd, lost, held)
    if isinstance(outcome, LascauxError):
        attempts = tuple(one for one in outcome.attempts if isinstance(one, Attempt))
        if not attempts:
            return held if outcome.may_be_billed and not outcome.shared else _ZERO
        delivered = [one.cost for one in attempts if one.cost is not None]
        if any(cost.usd is None for cost in delivered):
            return held
        paid = _add(cost.usd for cost in delivered if cost.usd is not None)
        return _sum(paid, _lost(attempts, quote), held)
    return held


def _lost(attempts: Iterable[Attempt], quote: Prices | None) -> Decimal | None:
    """The price of the failed calls that may have been billed; None if there is one whose price is not known."""
    lost = [one for one in attempts if one.may_be_billed and one.cost is None]
    if not lost:
        return _ZERO
    prices = {(one.alias, one.deployment): one.cost.unit_usd for one in (quote.candidates if quote else ()) if one.cost}
    units = [prices.get((one.alias, one.deployment)) for one in lost]
    if any(unit is None for unit in units):
        return None
    return _add(_EXACT.multiply(unit, one.images) for unit, one in zip(units, lost, strict=True) if unit is not None)


def _sum(paid: Decimal, lost: Decimal | None, held: Decimal) -> Decimal:
    return max(paid, held) if lost is None else _EXACT.add(paid, lost)


def _add(amounts: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total
