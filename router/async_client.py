"""`AsyncRouter`: requests performed with asyncio."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from ..providers.errors import AttemptTimeout, LascauxError
from ..providers.param_pictures import PICTURE_NAMES
from .assembly import converted, is_pending
from .cache import Copy, Entry, NoCache
from .client import Client, in_context
from .config import Config
from .crew import Crew, Errand, Underway
from .edits import edit_params, variation_params
from .effects import Effect, Flow, Gather, Join, Lookup, Send, Served, Wait
from .elsewhere import Elsewhere, Glance
from .endings import closed, too_late, unsent
from .explain import Explanation, Quote
from .listing import PriceList
from .records import Result
from .reload import Reload, Source
from .runtime import Run, addressed
from .waits import landed, woken

__all__ = ["AsyncRouter"]

T = TypeVar("T")

_READERS = 8
"""Threads in which pictures are read and requests planned: few, for each may hold a decoded picture."""
_CONVERTERS = 4
"""Threads in which pictures are made into other files."""
_BLIND: Any = getattr(asyncio, "ProactorEventLoop", ())
"""Event loops that can not watch a socket."""


class AsyncRouter(Client):
    """`Router` for asyncio: the same methods, awaited.

    Upstream calls are made by the event loop itself; those of a provider that has no ``asend`` in threads. ``max_workers``
    bounds the calls in flight. Pictures are read, and converted, in a few threads beside it.
    A task that is cancelled leaves at once. A call that was on its way for it ends in the background: its answer is paid
    for, so it lands in the cache and with everybody who waits for it; nothing is retried for a caller who has gone.
    May be used from several event loops.
    """

    def __init__(self, config: Config | Mapping[str, Any], *, max_workers: int = 256, **parts: Any) -> None:
        self._sleep: Callable[[float], Any] | None = parts.pop("sleep", None)
        super().__init__(config, **parts)
        self._elsewhere: Elsewhere | None = None
        self._max_workers = max_workers
        self._new_pools()

    def _new_pools(self) -> None:
        self._crew = Crew(self._max_workers, "lascaux-call")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="lascaux-read")
        # Left to the garbage collector: who was served while the router was closed still gets the format asked for.
        self._converters = ThreadPoolExecutor(_CONVERTERS, thread_name_prefix="lascaux-convert")
        self._requests: dict[asyncio.Task[Result], Run] = {}
        self._loop: Callable[[], asyncio.AbstractEventLoop | None] = lambda: None

    def _after_fork(self) -> None:
        super()._after_fork()
        self._new_pools()

    async def generate(self, alias: str, prompt: str, /, **params: Any) -> Result:
        """Make pictures from words. Parameters and errors are those of `Router.generate`."""
        return await self._request(alias, prompt, params)

    async def edit(self, alias: str, prompt: str = "", /, *, image: Any, **params: Any) -> Result:
        """Make a picture out of another one. Parameters and errors are those of `Router.edit`."""
        return await self._request(alias, prompt, edit_params(image, params))

    async def variation(self, alias: str, /, *, image: Any, **params: Any) -> Result:
        """Make a picture like another one. Parameters and errors are those of `Router.variation`."""
        prompt, params = variation_params(image, params)
        return await self._request(alias, prompt, params)

    async def explain(self, alias: str, prompt: str = "", /, **params: Any) -> Explanation:
        """What a request would meet at this moment, without a call. See `Router.explain`."""
        return await self._explain_aside(alias, prompt, params)

    async def quote(self, alias: str, prompt: str = "", /, **params: Any) -> Quote:
        """What a request would cost, without a call. See `Router.quote`."""
        return Quote.of(await self._explain_aside(alias, prompt, params))

    async def prices(self, alias: str, prompt: str = "", /, **params: Any) -> PriceList | Quote:
        """What a request would cost at each candidate: a small part of `quote`, at a small part of its time.

        Parameters and errors are those of `quote`.
        """
        if _may_hold_pictures(params):
            return await _aside(self._readers, self._list, alias, prompt, params)
        return self._list(alias, prompt, params)

    async def _explain_aside(self, alias: str, prompt: str, params: dict[str, Any]) -> Explanation:
        """In a thread, for there may be pictures to read. What is found elsewhere may lead to more to look for."""
        self._check_open()
        glance = None if self._elsewhere is None else Glance(self._runtime.cache)
        while True:
            told = await _aside(self._readers, self._explain, alias, prompt, dict(params), glance)
            if glance is None or self._elsewhere is None or not await glance.seek(self._elsewhere):
                return told

    def look(self, elsewhere: Elsewhere) -> None:
        """Look there, too, before a reproducible call is made, and in quotes and explanations."""
        self._elsewhere = elsewhere

    def copy(self, keys: Iterable[str]) -> Copy | None:
        """What the cache has under one of the keys, for another process."""
        return self._runtime.cache.copy(keys)

    def landing(self, flight: str) -> asyncio.Future[None] | None:
        """Done once the flight of that key has ended, which was led by this process; None if there is none under way."""
        found = self._flights.find(flight)
        return None if found is None else _bell(found.outcome)

    async def _request(self, alias: str, prompt: str, params: dict[str, Any]) -> Result:
        self._bury(asyncio.get_running_loop())
        run, effect = await self._begin_aside(alias, prompt, params)
        task = asyncio.ensure_future(self._perform_all(run, effect))
        self._requests[task] = run
        task.add_done_callback(partial(self._ended, run))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            run.trail.stop()
            for call in tuple(run.calls):
                call.cancel()  # unless it has begun
            if not run.calls:
                task.cancel()
            raise
        finally:
            del task  # it holds its error, whose traceback holds this frame

    def _bury(self, loop: asyncio.AbstractEventLoop) -> None:
        """Another event loop than last time: end what earlier ones have left behind when they were closed."""
        if self._loop() is loop:
            return
        self._loop = weakref.ref(loop)
        for task, run in tuple(self._requests.items()):
            if task.get_loop().is_closed() and self._requests.pop(task, None) is run:
                if all(call.done for call in run.calls):
                    _close(run.flow)
                run.fail(asyncio.CancelledError())
                self._generations.leave(run.runtime)

    def _ended(self, run: Run, task: asyncio.Task[Result]) -> None:
        self._requests.pop(task, None)
        self._generations.leave(run.runtime)
        if task.cancelled():
            run.fail(asyncio.CancelledError())  # a task that never began has not said so itself
        else:
            task.exception()  # looked at, so that nobody complains about a failure that no caller is left for

    async def _perform_all(self, run: Run, effect: Effect | None) -> Result:
        try:
            served = await self._drive(run, run.flow, effect)
            if is_pending(served):
                # Not in the threads for calls: these are many, and each conversion holds a decoded picture.
                served = await _aside(self._converters, converted, served)
            return run.finish(served)
        except BaseException as error:
            run.fail(error)
            raise

    async def _begin_aside(self, alias: str, prompt: str, params: dict[str, Any]) -> tuple[Run, Effect | None]:
        """Read the request; in a thread where there may be pictures, for these are large, or on a disk.

        There it is planned as well, up to the first effect: masks and copies for the models are made of the pictures. The
        time there, and in the threads' queue, counts: raises DeadlineExceeded.
        """
        if not _may_hold_pictures(params):
            return self._begin(alias, prompt, params), None
        self._check_open()
        clock = self._runtime.context.clock
        started = clock()
        route, options = addressed(self._runtime, alias, dict(params))
        trail = options.trail(route, started)
        future = self._readers.submit(in_context(self._plan), alias, prompt, params, started)
        try:
            await asyncio.wait({_bell(future)}, timeout=trail.deadline - clock())
            if not future.done():
                raise too_late(trail, 0, None)
        except BaseException as error:
            if not future.cancel():
                future.add_done_callback(partial(self._abandon, error))
            raise
        else:
            return future.result()
        finally:
            del future  # it holds its error, whose traceback holds this frame

    def _plan(self, alias: str, prompt: str, params: dict[str, Any], started: float) -> tuple[Run, Effect]:
        run = self._begin(alias, prompt, params, started)
        try:
            return run, next(run.flow)
        except BaseException as error:
            run.fail(error)
            self._generations.leave(run.runtime)
            raise

    def _abandon(self, error: BaseException, begun: Future[tuple[Run, Effect]]) -> None:
        """End the request that nobody waits for any more, and give back the place it may have taken."""
        if not begun.cancelled() and begun.exception() is None:
            run, _ = begun.result()
            run.flow.close()
            run.fail(error)
            self._generations.leave(run.runtime)

    async def reload(self, source: Source = None) -> Reload:
        """Go on with another configuration, as `Router.reload` does, read and built beside the event loop.

        Once begun it is carried out, even if the task that awaits it is cancelled.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, in_context(self._reload), source)

    async def _drive(self, run: Run, flow: Flow, effect: Effect | None = None) -> Served:
        try:
            effect = effect or next(flow)
            while True:
                try:
                    outcome = await self._perform(run, flow, effect)
                except Exception as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            served: Served = end.value
            return served
        finally:
            effect = outcome = None  # the traceback of an error holds this frame, and these may hold the error
            flow.close()

    async def _perform(self, run: Run, flow: Flow, effect: Any) -> Any:
        match effect:
            case Send():
                return await self._send(run, flow, effect)
            case Wait(ticket, seconds):
                return await (woken(ticket, seconds) if self._sleep is None else self._sleep(seconds))
            case Join(key, timeout):
                flight = self._flights.join(key, run.runtime)
                if not flight.leader:
                    await landed(flight.outcome, timeout, run.trail)
                return flight.seen_by(run.runtime)
            case Lookup(_, str()) if self._elsewhere is not None:
                return run.instant(effect) or await self._seek(run, effect, self._elsewhere)
            case Gather(flows):
                outcomes = await asyncio.gather(*(self._drive(run, flow) for flow in flows), return_exceptions=True)
                for outcome in outcomes:
                    if isinstance(outcome, BaseException) and not isinstance(outcome, LascauxError):
                        raise outcome
                return outcomes
            case _:
                return run.instant(effect)

    async def _seek(self, run: Run, lookup: Lookup, elsewhere: Elsewhere) -> Entry | None:
        """What is found elsewhere, before the deadline and while somebody waits for it; kept here from now on, too."""
        if isinstance(run.runtime.cache, NoCache):
            return None
        sought = elsewhere.find(lookup.keys, lookup.flight or "")
        try:
            await landed(sought, run.trail.deadline - run.runtime.context.clock(), run.trail)
            copy = sought.result() if sought.done() else None
        finally:
            sought.cancel()
        if copy is None:
            return None
        run.runtime.cache.adopt(copy)
        return copy.entry

    async def _send(self, run: Run, flow: Flow, send: Send) -> Any:
        """One call: by the event loop if the provider knows how and there is a place, else by the next thread."""
        loop = asyncio.get_running_loop()
        asend = getattr(run.runtime.provider, "asend", None)
        if asend is None or isinstance(loop, _BLIND) or not self._crew.take_place():
            return await self._send_by_thread(run, flow, send)
        call = Underway(loop)
        run.calls.add(call)
        try:
            return await run.aexchange(send, asend)
        finally:
            run.calls.discard(call)
            self._crew.leave_place()

    async def _send_by_thread(self, run: Run, flow: Flow, send: Send) -> Any:
        """While it waits for a thread its time runs; once it has started it ends by itself."""
        loop = asyncio.get_running_loop()
        bell: asyncio.Future[None] = loop.create_future()
        call = Errand(in_context(partial(run.exchange, send)), partial(_returned, loop, bell, run, flow))
        run.calls.add(call)
        late: list[bool] = []
        # A timer costs less than `asyncio.wait`. What has begun is not cancelled by it, and ends in time by itself.
        left = send.until - self._runtime.context.clock()
        timer = loop.call_later(max(left, 0.0), lambda waiting: late.append(waiting.cancel()), call)
        try:
            self._dispatch(call)  # the last step: the thread needs the interpreter's lock, which we hold until we wait
            await bell
            if call.cancelled:
                raise _no_thread() if any(late) else unsent()
            return call.result()
        finally:
            timer.cancel()
            run.calls.discard(call)
            del call  # it holds its error, whose traceback holds this frame

    def _dispatch(self, call: Errand) -> None:
        try:
            self._crew.send(call)
        except RuntimeError:
            if not self._closed:
                raise
            raise closed() from None  # `aclose` was quicker

    async def aclose(self) -> None:
        """Give back threads and connections, once the calls under way have ended.

        New requests, and those that stand in line, are refused.
        """
        self._stop()
        loop = asyncio.get_running_loop()
        while busy := [task for task, run in self._requests.items() if run.calls and task.get_loop() is loop]:
            await asyncio.wait(busy)
        for shutdown in (self._readers.shutdown, self._crew.shutdown):
            await loop.run_in_executor(None, shutdown)
        self._runtime.provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _may_hold_pictures(params: Mapping[str, Any]) -> bool:
    return any(name in PICTURE_NAMES or isinstance(value, Mapping) for name, value in params.items())


def _no_thread() -> AttemptTimeout:
    return AttemptTimeout("no thread was free in time to make the call", may_be_billed=False)


def _bell(future: Future[Any]) -> asyncio.Future[None]:
    """Done once ``future`` is. `asyncio.wrap_future` would tie it, with its outcome, into a ring for the collector."""
    loop = asyncio.get_running_loop()
    bell: asyncio.Future[None] = loop.create_future()

    def ring(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the event loop may be closed
            loop.call_soon_threadsafe(_settle, bell)

    future.add_done_callback(ring)
    return bell


async def _aside(pool: ThreadPoolExecutor, function: Callable[..., T], *args: Any) -> T:
    """What a function gives in a thread of ``pool``. Cancelled, it does not begin, if it has not yet."""
    future = pool.submit(in_context(function), *args)
    try:
        await _bell(future)
        return future.result()
    except asyncio.CancelledError:
        future.cancel()
        raise
    finally:
        del future  # it holds its error, whose traceback holds this frame


def _returned(loop: asyncio.AbstractEventLoop, bell: asyncio.Future[None], run: Run, flow: Flow) -> None:
    """A call has ended in its thread: say so. If nobody can be told, for the loop is closed, give its place back."""
    if loop.is_closed():
        _close(flow)
        _close(run.flow)
        return
    with suppress(RuntimeError):  # it may be closed at this moment
        loop.call_soon_threadsafe(_settle, bell)


def _settle(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


def _close(flow: Flow) -> None:
    with suppress(ValueError):  # another thread is closing it
        flow.close()
