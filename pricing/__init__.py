"""What a call costs: dated rates with their sources, exact to the last digit, None where no rate is known.

Imports nothing of Lascaux, talks to nobody, and reads no clock: the day is always an argument.
"""

from __future__ import annotations

from .book import Change, Diff, PriceBook
from .fields import PriceTableError
from .table import Gap, Table
from .types import Cost, Rate, RateCard, Usage

__all__ = ["Change", "Cost", "Diff", "Gap", "PriceBook", "PriceTableError", "Rate", "RateCard", "Table", "Usage"]
