"""What an SDK sends a second time by itself is answered with what its first sending brings, and so is paid for once.

SDKs send a call again after a read timeout or a broken connection, when the first sending may still be under way here: a
picture takes longer than botocore's 60 seconds now and then. All sendings of one call carry the same
``amz-sdk-invocation-id`` (botocore, and the SDKs for JavaScript, Java, Go and Rust), another call has another one.
OpenAI's clients only count: ``x-stainless-retry-count`` (read in openai-python 3.54); an ``Idempotency-Key`` is there if
somebody has set one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count

from ..router.interest import Interest
from .native_answer import Reply
from .presence import Client

__all__ = ["Repeats", "Resends"]


@dataclass(slots=True, eq=False)
class _Sending:
    """A call under way, and how many of its sendings still wait for it."""

    task: asyncio.Task[Reply]
    interest: Interest | None
    waiting: int = 0


class Resends:
    """Answers by invocation, while they are being made and for a moment after. For one event loop.

    ``keep`` is how many seconds a picture is kept for somebody who lost it on the way, ``max_bytes`` how much of them.
    Answers that ask to come again are not kept: the next sending is another try.
    """

    def __init__(
        self, clock: Callable[[], float], *, keep: float = 120.0, max_bytes: int = 64 * 1024 * 1024, most: int = 4096
    ) -> None:
        self._clock = clock
        self._keep, self._max_bytes, self._most = keep, max_bytes, most
        self._running: dict[object, _Sending] = {}
        self._given_up: set[asyncio.Task[Reply]] = set()
        self._kept: OrderedDict[str, tuple[float, Reply]] = OrderedDict()
        self.bytes = 0
        """Of the answers that are kept."""

    async def once(
        self,
        token: str | None,
        make: Callable[[], Awaitable[Reply]],
        client: Client | None = None,
    ) -> Reply:
        """The answer that ``make`` gives, or that another sending with this token has brought or will bring.

        What has begun is carried out, even if everybody who waits for it goes away; then, however, the interest of the first
        ``client`` is lost, and what was not yet sent to anybody is given up. None is nobody's token.
        """
        self._forget()
        if token is not None and token in self._kept:
            return self._kept[token][1]
        name: object = object() if token is None else token
        sending = self._running.get(name)
        if sending is None:
            sending = self._running[name] = _Sending(asyncio.ensure_future(make()), client.interest if client else None)
            sending.task.add_done_callback(partial(self._ended, name))
        sending.waiting += 1
        presence = client.presence if client else None
        with presence.told(partial(self._left, name, sending)) if presence else nullcontext():
            return await asyncio.shield(sending.task)

    def knows(self, token: str) -> bool:
        """True if a call with this token is under way, or its answer is kept."""
        self._forget()
        return token in self._running or token in self._kept

    async def known(self, token: str) -> Reply:
        """The answer of a call that is known; who asks for it will stay. Raises KeyError, and what the call raises."""
        if token in self._kept:
            return self._kept[token][1]
        sending = self._running[token]
        sending.waiting += 1
        return await asyncio.shield(sending.task)

    async def finish(self, patience: float = 5.0) -> None:
        """Let what is under way come to its end, its bill included; after ``patience`` seconds it is cancelled."""
        tasks = {sending.task for sending in self._running.values()} | self._given_up
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=patience)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _left(self, token: object, sending: _Sending) -> None:
        """One who waited has gone. Who sends what was given up once more begins anew."""
        sending.waiting -= 1
        if sending.waiting or sending.interest is None or sending.task.done() or not sending.interest.lose():
            return
        if self._running.get(token) is sending:
            del self._running[token]
        self._given_up.add(sending.task)

    def _ended(self, token: object, task: asyncio.Task[Reply]) -> None:
        sending = self._running.get(token)
        current = sending is not None and sending.task is task
        if current:
            del self._running[token]
        self._given_up.discard(task)
        failed = task.cancelled() or task.exception() is not None  # looked at, for there may be nobody left to tell
        if failed or not current or not isinstance(token, str) or not _final(task.result()):
            return
        reply = task.result()
        if len(reply.body) <= self._max_bytes:
            self._kept[token] = (self._clock() + self._keep, reply)
            self.bytes += len(reply.body)
            self._forget()

    def _forget(self) -> None:
        """Drop what is too old, and the oldest of what is too much."""
        now = self._clock()
        while self._kept:
            until, reply = next(iter(self._kept.values()))
            if until > now and self.bytes <= self._max_bytes and len(self._kept) <= self._most:
                return
            self._kept.popitem(last=False)
            self.bytes -= len(reply.body)


class Repeats:
    """Which sendings belong together, where a client tells of each only how many went before it.

    A first sending belongs to none. A later one, with the same ``content``, belongs to the newest call that has not yet seen
    as late a sending: of two equal calls under way at once each finds one. Of the oldest beyond ``most`` nothing is known.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._numbers = count()
        self._seen: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def token(self, content: str, sending: int) -> str:
        """The token for `Resends` of a sending before which the client has made ``sending`` others."""
        return self.earlier(content, sending) or self.begun(content, sending)

    def begun(self, content: str, sending: int) -> str:
        """The token of a call of which nothing is known yet."""
        return self._note(f"{content}#{next(self._numbers)}", content, sending)

    def earlier(self, content: str, sending: int, known: Callable[[str], bool] = lambda token: True) -> str | None:
        """The token of the call that this sending belongs to, and which has now seen it. Only of ``known`` calls."""
        token = self._find(content, sending, known)
        return None if token is None else self._note(token, content, sending)

    def has_earlier(self, content: str, sending: int, known: Callable[[str], bool]) -> bool:
        """True if `earlier` would find one."""
        return self._find(content, sending, known) is not None

    def _find(self, content: str, sending: int, known: Callable[[str], bool]) -> str | None:
        if not sending:
            return None
        seen = reversed(self._seen.items())
        return next((token for token, (one, last) in seen if one == content and last < sending and known(token)), None)

    def _note(self, token: str, content: str, sending: int) -> str:
        self._seen[token] = (content, sending)
        self._seen.move_to_end(token)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return token


def _final(reply: Reply) -> bool:
    """An answer that does not ask to come again: a picture, or a failure that may have been billed."""
    if reply.status >= 500:
        return reply.headers.get("x-should-retry") == "false"
    return reply.status in (200, 408, 424)
