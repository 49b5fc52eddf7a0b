"""What the caches of all workers have, found from each: whichever of them a request reaches, it is paid for once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache

import orjson
from pydantic import TypeAdapter

from ..pricing import Cost
from ..providers.types import Call, Image, ImageResult, Missing, Target, Warning
from ..router.async_client import AsyncRouter
from ..router.cache import Copy, Entry
from .peers import Lost, Peers

__all__ = ["Copies", "packed", "unpacked"]

log = logging.getLogger("lascaux.gateway")

_HERE, _SOON = b"here", b"soon"


class Copies:
    """`Elsewhere` for the router of one worker: the caches of the others, and what they have under way.

    Two workers that ask one another for the same flight at the same moment do not wait for each other: whoever began to
    ask later waits for the other, as in `Sendings`. ``clock`` is that of the machine (``time.monotonic``). An answer is
    shared; a failure is not, for it may have been due to that worker. For one event loop.
    """

    def __init__(self, router: AsyncRouter, peers: Peers, clock: Callable[[], float]) -> None:
        self._router = router
        self._peers = peers
        self._clock = clock
        self._asking: dict[str, tuple[float, int]] = {}
        peers.answer("copy?", self._has)
        peers.answer("copy", self._given)

    def find(self, keys: tuple[str, ...], flight: str) -> asyncio.Future[Copy | None]:
        """See `Elsewhere`. A worker that does not say what it has within the patience of `Peers` has nothing."""
        moment = (self._clock(), self._peers.index)
        if flight:
            self._asking[flight] = moment
        task = asyncio.ensure_future(self._found(orjson.dumps([keys, flight, *moment])))
        task.add_done_callback(lambda _: self._decided(flight, moment))
        return task

    def _decided(self, flight: str, moment: tuple[float, int]) -> None:
        if self._asking.get(flight) == moment:
            del self._asking[flight]

    async def _found(self, question: bytes) -> Copy | None:
        told = await self._peers.elsewhere("copy?", question)
        for index in sorted(told, key=lambda index: told[index] != _HERE):  # who has it before who will have it
            try:
                data = await self._peers.ask(index, "copy", question)
            except Lost:
                continue  # killed meanwhile: a call of its own clients, which is not this one
            if data:
                try:
                    return unpacked(data)
                except ValueError:
                    log.exception("worker %d told what can not be read", index)
        return None

    def _has(self, question: bytes) -> bytes | None:
        keys, flight, *moment = orjson.loads(question)
        if self._router.copy(keys) is not None:
            return _HERE
        return None if self._coming(flight, moment) is None else _SOON

    def _given(self, question: bytes) -> bytes | Awaitable[bytes] | None:
        keys, flight, *moment = orjson.loads(question)
        copy = self._router.copy(keys)
        if copy is not None:
            return packed(copy)
        coming = self._coming(flight, moment)
        return None if coming is None else self._landed(keys, coming)

    def _coming(self, flight: str, moment: list[float]) -> asyncio.Future[None] | None:
        """Under way here? Not if this worker still asks for it, and began later: then it waits for the asker."""
        if not flight or self._asking.get(flight, (0.0, 0)) > tuple(moment):
            return None
        return self._router.landing(flight)

    async def _landed(self, keys: list[str], coming: asyncio.Future[None]) -> bytes:
        """Empty if nothing came of it."""
        await coming
        copy = self._router.copy(keys)
        return b"" if copy is None else packed(copy)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """Everything of a copy but its pictures. Of the target only what a client is told: no credentials, no endpoint."""

    key: str
    age: float
    cost: Cost
    call: Call
    target: tuple[str, str, str, str]
    """Deployment, model, model id, region."""
    pictures: list[tuple[int, int | None, str]]
    """Bytes of base64, seed, reason why it ended; with ``masked`` the last one is the mask."""
    masked: bool
    missing: tuple[Missing, ...]
    request_id: str | None
    warnings: tuple[Warning, ...]


@cache
def _reader() -> TypeAdapter[_Head]:
    return TypeAdapter(_Head)


def packed(copy: Copy) -> bytes:
    """A copy as bytes: the length of its head, the head as JSON, and the pictures' base64 as it is kept."""
    entry, result = copy.entry, copy.entry.result
    images = [*result.images, *([result.mask] if result.mask is not None else [])]
    head = _Head(
        key=copy.key,
        age=copy.age,
        cost=entry.cost,
        call=entry.call,
        target=(entry.target.deployment, entry.target.model, entry.target.model_id, entry.target.region),
        pictures=[(len(image.letters), image.seed, image.finish_reason) for image in images],
        masked=result.mask is not None,
        missing=result.missing,
        request_id=result.request_id,
        warnings=result.warnings,
    )
    told = orjson.dumps(head, default=_plain)
    letters = (text.encode("ascii") if isinstance(text := image.letters, str) else text for image in images)
    return b"".join((len(told).to_bytes(4, "big"), told, *letters))


def _plain(value: object) -> object:
    """What JSON has no word for: money is a text, and mappings of all kinds are objects."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def unpacked(data: bytes) -> Copy:
    """The copy again; its pictures are views of ``data``. Raises ValueError."""
    view, start = memoryview(data), 4 + int.from_bytes(data[:4], "big")
    head = _reader().validate_json(data[4:start])
    images = []
    for size, seed, reason in head.pictures:
        images.append(Image(view[start : start + size], seed=seed, finish_reason=reason))
        start += size
    if start != len(data):
        raise ValueError(f"{len(data)} bytes came, {start} were told of")
    result = ImageResult(
        images=tuple(images[: len(images) - head.masked]),
        missing=head.missing,
        request_id=head.request_id,
        warnings=head.warnings,
        mask=images[-1] if head.masked else None,
    )
    deployment, model, model_id, region = head.target
    target = Target(deployment=deployment, model=model, model_id=model_id, region=region)
    entry = Entry(result, head.cost, target, head.call)
    return Copy(key=head.key, entry=entry, age=head.age)
