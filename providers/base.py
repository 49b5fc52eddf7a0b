"""The two seams of this layer: a provider that can be called, a family that knows a wire format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from .catalog import Model
from .types import Call, ImageRequest, ImageResult, Target

__all__ = ["AsyncSending", "Family", "Provider", "Retaining"]


class Family(Protocol):
    """Models that share a wire format. Pure functions: no I/O, no clock, no state."""

    name: str

    def prepare(self, request: ImageRequest, model: Model) -> tuple[Call, ...]:
        """The upstream calls that make ``request.n`` pictures, each with its body and warnings.

        Raises InvalidRequest when this model can not do it.
        """
        ...

    def parse(self, call: Call, payload: Mapping[str, Any], *, request_id: str | None = None) -> ImageResult:
        """Read an HTTP 200 answer.

        Raises ContentFiltered, Unavailable or BadResponse when there is no picture in it.
        """
        ...


class Provider(Protocol):
    """One cloud. Thread-safe; the only part that does I/O."""

    def prepare(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
        """See `Family.prepare`. Pure."""
        ...

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        """Make exactly one HTTP exchange, within ``timeout`` seconds. Raises `LascauxError`."""
        ...

    def address(self, target: Target) -> tuple[str, int] | None:
        """Host and port that a call to ``target`` goes to, for telemetry; None if that is not known."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


@runtime_checkable
class AsyncSending(Protocol):
    """A provider whose calls can be made by an event loop itself. Those of all others are made in threads."""

    async def asend(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        """`Provider.send`. Once it is cancelled nobody knows what became of the call."""
        ...


@runtime_checkable
class Retaining(Protocol):
    """A provider that holds things for its targets, and can be told which of them are left."""

    def retain(self, targets: Iterable[Target]) -> None:
        """Give back what is held for other targets; what is in use, when it comes back. They may still be called."""
        ...
