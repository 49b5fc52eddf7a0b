"""A request that the gate has let in: its place, and the money that is set aside for it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING

from ..router.records import Result
from .bills import Prices, bill
from .keys import Key
from .limits import attempted
from .spend import Busy

if TYPE_CHECKING:
    from .gate import Gate

__all__ = ["Admission", "Told"]

Told = Callable[[Decimal], None]
"""Is told the US dollars that were settled for a request."""

_ZERO = Decimal(0)
_SHORT = 0.1
"""Seconds for a bill, whose request is over."""


class Admission:
    """A request that was let in. Use it as a context manager around the call, and `settle` inside with the result.

    In an event loop that is ``async with`` and `settle_soon`, which never block it.

    Left with an error, what that error may have cost is settled: nothing, if nobody was billed. Left in any other way, all
    that was reserved counts as spent.
    """

    __slots__ = ("_gate", "_id", "_over", "_quote", "_told", "key", "reserved")

    def __init__(self, gate: Gate, key: Key, id: str, held: Decimal, quote: Prices | None, told: Told) -> None:
        self.key = key
        self.reserved = held
        """US dollars that were set aside."""
        self._gate = gate
        self._id = id
        self._quote = quote
        self._told = told
        self._over = False

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle(error)

    async def __aenter__(self) -> Admission:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.settle_soon(error)

    def settle(self, outcome: Result | BaseException | None) -> Decimal | None:
        """Put the bill in the place of the reservation, and give the place back. Only the first time counts.

        Returns the US dollars that were settled, None if it was settled before.
        """
        if self._over:
            return None
        usd = self._end(bill(outcome, self.reserved, self._quote))
        self._gate._ledger.settle(self._id, usd)
        return usd

    async def settle_soon(self, outcome: Result | BaseException | None) -> Decimal | None:
        """`settle` for an event loop."""
        return None if self._over else await self._settled(bill(outcome, self.reserved, self._quote))

    def withdraw(self) -> None:
        """Give everything back: the request failed here, before anybody was asked."""
        if not self._over:
            self._gate._ledger.settle(self._id, self._end(_ZERO))

    async def withdraw_soon(self) -> None:
        """`withdraw` for an event loop."""
        if not self._over:
            await self._settled(_ZERO)

    async def _settled(self, usd: Decimal) -> Decimal:
        self._end(usd)
        ledger, id = self._gate._ledger, self._id
        try:
            await attempted(lambda: ledger.settle(id, usd, wait=False), _SHORT)
        except BaseException as error:
            ledger.owe(id, usd)  # written later: nobody waits for it, and no bill is lost
            if not isinstance(error, Busy):
                raise
        return usd

    def _end(self, usd: Decimal) -> Decimal:
        self._over = True
        self._gate._leave(self.key)
        self._gate.on_settled(self.key.name, usd)
        self._told(usd)
        return usd
