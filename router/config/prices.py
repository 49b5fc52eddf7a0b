"""Prices in a configuration: the table is one that there is, and the overrides are ones that it takes."""

from __future__ import annotations

from ...pricing import PriceBook, PriceTableError
from ...pricing.table import builtin_tables
from .problems import Path, dotted
from .report import Report
from .resolve import missing
from .schema import PricingConfig

__all__ = ["check_prices"]


def check_prices(pricing: PricingConfig, report: Report) -> None:
    """Note a table that does not exist, and the first override that can not be used. No file is read without either."""
    if pricing.table is not None and pricing.table not in (tables := builtin_tables()):
        missing(report, ("pricing", "table"), "a price table", tuple(tables), show=True)
    elif pricing.overrides and not report.broken(("pricing", "overrides")):
        try:
            PriceBook.load(pricing.table, overrides=pricing.overrides)
        except PriceTableError as error:
            path = ("pricing", *error.path)
            report.add(path, _said(error, path, report), show=True)


def _said(error: PriceTableError, path: Path, report: Report) -> str:
    """What is wrong with an override; without its values where a variable holds them."""
    message = str(error).removeprefix(f"{dotted(error.path)}: ")
    quoted = [path, (*path[:-1], "from")] if path[-1] == "to" else [path]  # a range that ends before it begins
    if not any(report.confidential(one) for one in quoted):
        return message
    _, _, allowed = message.rpartition(" (allowed: ") if message.endswith(")") else ("", "", "")
    return f"can not be used; allowed: {allowed[:-1]}" if allowed else "can not be used as it is"
