"""What the attempt loop asks its driver to do, and what it is told in return."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from ..providers.errors import LascauxError
from ..providers.quick import quick
from ..providers.types import Call, Target
from .cache import Entry, Flight
from .deployment import Permit
from .line import Ticket

__all__ = ["Effect", "Flow", "Gather", "Join", "Land", "Lookup", "Piece", "Send", "Served", "Store", "Wait"]


@quick
@dataclass(frozen=True, slots=True)
class Lookup:
    """Look into the cache. Outcome: an `Entry` or None.

    Without ``flight`` only here. Else also at other processes, if there are any, where a flight of that key is waited for;
    "" is no flight.
    """

    keys: tuple[str, ...]
    flight: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class Store:
    """Keep an answer. Outcome: None."""

    key: str
    entry: Entry


@quick
@dataclass(frozen=True, slots=True)
class Join:
    """Lead a flight, or wait for the one under way, for ``timeout`` seconds at most. Outcome: a `Flight`."""

    key: str
    timeout: float


@quick
@dataclass(frozen=True, slots=True)
class Land:
    """End a flight we lead. Outcome: None."""

    flight: Flight[Served]
    outcome: Served | LascauxError | None


@quick
@dataclass(frozen=True, slots=True)
class Send:
    """Make one upstream call before ``until``, on the router's clock. Outcome: (ImageResult, Cost), or a `LascauxError`.

    The limit is a moment, so that waiting for a thread counts. Who performs it tells the ``permit`` when the call departs.
    """

    target: Target
    call: Call
    until: float
    alias: str
    ordinal: int
    permit: Permit


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until the ticket is woken, or for so many seconds. Outcome: None."""

    ticket: Ticket
    seconds: float


@dataclass(frozen=True, slots=True)
class Gather:
    """Run flows side by side. Outcome: a list with what each ended with, or its `LascauxError`."""

    flows: tuple[Flow, ...]


@quick
@dataclass(frozen=True, slots=True)
class Piece:
    """What became of one call's worth of a request: an answer and how it came (hit, miss, ...), or an error."""

    images: int
    cache: str
    entry: Entry | None = None
    error: LascauxError | None = None


Served = tuple[Piece, ...]
Effect = Lookup | Store | Join | Land | Send | Wait | Gather
Flow = Generator[Effect, Any, Served]
