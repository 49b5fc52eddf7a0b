"""Sendings of one call, joined over all workers: whichever of them the next sending reaches, it is paid for once.

A first sending is only known to the worker that it has reached. Whoever gets a later one, and does not know the call,
asks the others. An ``Idempotency-Key`` may come twice at the same moment, so with one everybody is asked at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import orjson

from .errors import Stopped
from .native_answer import Reply
from .peers import Lost, Peers, Silent
from .presence import Client
from .resends import Repeats, Resends

__all__ = ["Sendings"]

Make = Callable[[], Awaitable[Reply]]

_JUST_ENDED = 30.0
"""Seconds. OpenAI's clients send again after at most 8, but may have to connect anew."""
_LONGEST = 3600.0
"""Seconds that a call of another worker is waited for: longer than any call takes."""
_MOST = 4096
_SILENT = "a process of the gateway that may have this call does not answer, so it is not made again"


class Sendings:
    """Calls by what their sendings have in common. Tokens and contents are digests that include the key's name.

    Two workers that ask one another about the same call at the same moment do not wait for each other: whoever began to
    ask later waits for the other. ``clock`` is that of the machine (``time.monotonic``), the same for all workers, so
    both judge alike; who began at the same instant goes by index. For one event loop.
    """

    def __init__(self, clock: Callable[[], float], peers: Peers | None = None, *, patience: float = 15.0) -> None:
        """``patience``: seconds for another worker to say whether it has a call; who is silent longer may have it."""
        self._clock = clock
        self._patience = patience
        self._peers = peers or Peers.none()
        self._named = Resends(clock)
        self._counted = Resends(clock, keep=_JUST_ENDED)
        self._repeats = Repeats()
        self._asking: dict[str, tuple[float, int]] = {}
        self._sought: OrderedDict[str, None] = OrderedDict()
        self._peers.answer("call.named?", self._has_named)
        self._peers.answer("call.named", lambda question: self._told(self._named, question.decode()))
        self._peers.answer("call.counted?", self._has_counted)
        self._peers.answer("call.counted", self._join_counted)

    async def once(self, token: str | None, make: Make, client: Client | None = None, *, again: bool = False) -> Reply:
        """The one answer for all sendings with this token. None is nobody's token.

        ``again``: this may not be the first sending, so the others are asked if this worker does not know the call. So
        they are if one of them has asked for it before: then the first sending is late, and another has come before it.
        """
        if token is None or not self._peers.others or self._named.knows(token):
            return await self._named.once(token, make, client)
        if not again and token not in self._sought:
            return await self._named.once(token, make, client)
        moment = (self._clock(), self._peers.index)
        self._asking[token] = moment

        async def asked() -> Reply:
            try:
                found = await self._elsewhere("call.named", orjson.dumps([token, *moment]), token.encode())
            finally:
                if self._asking.get(token) == moment:  # else it was given up, and asked for anew
                    del self._asking[token]
            return found or await make()

        return await self._named.once(token, asked, client)

    async def repeated(self, content: str, sending: int, make: Make, client: Client | None = None) -> Reply:
        """The same where a client tells only how many sendings of this ``content`` it has made before this one."""
        token = self._repeats.earlier(content, sending, self._counted.knows)
        if token is not None:
            return await self._counted.once(token, make, client)
        token = self._repeats.begun(content, sending)
        if not sending or not self._peers.others:
            return await self._counted.once(token, make, client)
        question = orjson.dumps([content, sending])

        async def asked() -> Reply:
            return await self._elsewhere("call.counted", question, question) or await make()

        return await self._counted.once(token, asked, client)

    async def finish(self) -> None:
        """Let what is under way come to its end."""
        await self._named.finish()
        await self._counted.finish()

    async def _elsewhere(self, name: str, question: bytes, join: bytes) -> Reply | None:
        """The answer of the worker that has the call under way, or has kept its answer; None if nobody has.

        Raises `Stopped` if that worker ends before it can tell, or if one that lives does not even say whether it has the
        call: that may have been billed, so it is not made again.
        """
        try:
            async with aclosing(self._peers.holders(f"{name}?", question, patience=self._patience)) as holders:
                async for index in holders:
                    async with asyncio.timeout(_LONGEST):
                        found = await self._peers.ask(index, name, join, patience=self._patience)
                    if found is not None:
                        return _unpacked(found)
        except Silent:
            raise Stopped(_SILENT) from None
        except (Lost, TimeoutError):
            raise Stopped() from None
        return None

    def _has_named(self, question: bytes) -> bytes | None:
        """Is this call known here? Who only asks for it, too, and began later, has nothing: it will wait for the asker."""
        token, *moment = orjson.loads(question)
        if self._named.knows(token):
            return b"" if self._asking.get(token, (0.0, 0)) < tuple(moment) else None
        self._sought[token] = None
        if len(self._sought) > _MOST:
            self._sought.popitem(last=False)
        return None

    def _has_counted(self, question: bytes) -> bytes | None:
        """Is there a call that this sending can belong to? No two wait for each other: a later one waits for an earlier."""
        content, sending = orjson.loads(question)
        return b"" if self._repeats.has_earlier(content, sending, self._counted.knows) else None

    def _join_counted(self, question: bytes) -> Awaitable[bytes] | None:
        """The same, and the call has now seen this sending."""
        content, sending = orjson.loads(question)
        token = self._repeats.earlier(content, sending, self._counted.knows)
        return None if token is None else self._told(self._counted, token)

    def _told(self, resends: Resends, token: str) -> Awaitable[bytes] | None:
        return _packed_soon(resends.known(token)) if resends.knows(token) else None


async def _packed_soon(reply: Awaitable[Reply]) -> bytes:
    return _packed(await reply)


def _packed(reply: Reply) -> bytes:
    head = orjson.dumps([reply.status, dict(reply.headers)])
    return b"".join((len(head).to_bytes(4, "big"), head, bytes(reply.body)))


def _unpacked(data: bytes) -> Reply:
    start = 4 + int.from_bytes(data[:4], "big")
    status, headers = orjson.loads(data[4:start])
    return Reply(status=status, body=data[start:], headers=headers)
