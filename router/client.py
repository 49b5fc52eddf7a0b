"""`Router` and `AsyncRouter`: the same requests, performed with threads or with asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

from ..providers.base import Provider
from ..providers.errors import AttemptTimeout, LascauxError
from ..providers.param_pictures import PICTURE_NAMES
from ..providers.pictures import Sources
from ..providers.types import Warning
from .build import build
from .cache import Flight, Flights
from .config import Config
from .edits import edit_params, variation_params
from .effects import Flow, Gather, Join, Send, Served, Sleep
from .errors import NoDeploymentAvailable
from .records import Result
from .runtime import Run

__all__ = ["AsyncRouter", "Router"]

T = TypeVar("T")

_CLIENTS: WeakSet[_Client] = WeakSet()


def _after_fork() -> None:
    for client in _CLIENTS:
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Client:
    """What both routers are made of."""

    def __init__(
        self,
        config: Config | Mapping[str, Any],
        *,
        provider: Provider | None = None,
        clock: Callable[[], float] | None = None,
        today: Callable[[], date] | None = None,
        rng: Random | None = None,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        picture_files: bool = True,
        picture_urls: bool = False,
    ) -> None:
        """``picture_files`` and ``picture_urls``: may input pictures be paths of this computer, and https URLs?

        Switch files off where requests come from strangers: a path would read this computer's disk.
        """
        if not isinstance(config, Config):
            config = Config.from_mapping(config)
        self.config = config
        runtime = build(
            config,
            provider=provider,
            clock=clock,
            today=today,
            rng=rng,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
        )
        self._runtime = replace(runtime, sources=Sources(files=picture_files, urls=picture_urls))
        self._flights: Flights[Served] = Flights()
        self._closed = False
        _CLIENTS.add(self)

    def _begin(self, alias: str, prompt: str, params: dict[str, Any]) -> Run:
        if self._closed:
            raise NoDeploymentAvailable("this router is closed")
        return Run(self._runtime, alias, prompt, params)

    def _after_fork(self) -> None:
        """In a child process: calls and locks of the parent's threads are not ours."""
        self._flights = Flights()
        self._runtime.after_fork()

    @classmethod
    def from_yaml(cls, path: str | Path, **parts: Any) -> Self:
        """Build a router from a configuration file, ours or LiteLLM's; ``parts`` as for the constructor.

        Raises ConfigError, which names file, line, column, key and what would be allowed.
        """
        return cls(Config.load(path), **parts)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names that requests may use."""
        return self._runtime.aliases.names()

    @property
    def warnings(self) -> tuple[Warning, ...]:
        """What is odd about the configuration, though it works."""
        return self._runtime.warnings


class Router(_Client):
    """Sends image requests to deployments on Amazon Bedrock. Thread-safe; close it, or use ``with``.

    >>> with Router.from_yaml("configs/quickstart.yaml") as router:
    ...     result = router.generate("hero", "A cute baby sea otter", size="1024x1024", seed=30)
    ...     result.images[0].save("otter.png")
    """

    def __init__(self, config: Config | Mapping[str, Any], **parts: Any) -> None:
        self._sleep: Callable[[float], Any] | None = parts.pop("sleep", None)
        super().__init__(config, **parts)

    def generate(self, alias: str, prompt: str, /, **params: Any) -> Result:
        """Make pictures from words.

        ``params`` are OpenAI's, LiteLLM's and the models' own names: ``size`` ("1024x1024"), ``n``, ``seed``, ``quality``,
        ``negative_prompt``, ``aspect_ratio``, ``style``, ``cfg_scale``, ``steps``, ``output_format``, ... and ``native`` for
        fields of the provider's own: those that every model has are rewritten for whoever answers, others are merged into
        the body of a model that speaks their dialect. About the way: ``strict`` (refuse instead of adapting),
        ``deadline`` and ``attempt_timeout`` (seconds), ``cache=False``, ``tenant`` (answers are not shared between tenants).

        Raises InvalidRequest (a parameter), ContentFiltered, UnknownAlias, AttemptsFailed, NoDeploymentAvailable or
        DeadlineExceeded: all of them `LascauxError`, all with ``.attempts``.
        """
        return self._request(alias, prompt, params)

    def edit(self, alias: str, prompt: str = "", /, *, image: Any, **params: Any) -> Result:
        """Make a picture out of another one: every task but text to image.

        ``image`` (and ``mask``, ``references``) may be bytes, a path, an open file, base64, a data URL, a Pillow image,
        (name, bytes) or a picture of an earlier result; of a list the first is the image, the others are references.
        ``mask`` marks what shall change: where it is transparent or, with ``mask_mode`` "white" or "black", where it has
        that colour. ``task`` follows from what is given (a mask: inpaint, ``left`` or ``right``: outpaint,
        ``search_prompt``: search_replace, ...; an image alone: image_to_image) unless it is named. Other parameters are
        those of `generate` and `lascaux.providers.options`; tasks that need no words take an empty prompt.

        Raises what `generate` raises; InvalidRequest too if a picture is broken, animated, too large or no picture.
        """
        return self._request(alias, prompt, edit_params(image, params))

    def variation(self, alias: str, /, *, image: Any, **params: Any) -> Result:
        """Make a picture like ``image``, or like several in a list. ``prompt`` and ``similarity`` (0.2 to 1) may guide it.

        Pictures, other parameters and errors are those of `edit`.
        """
        prompt, params = variation_params(image, params)
        return self._request(alias, prompt, params)

    def _request(self, alias: str, prompt: str, params: dict[str, Any]) -> Result:
        run = self._begin(alias, prompt, params)
        try:
            return run.finish(self._drive(run, run.flow))
        except BaseException as error:
            run.fail(error)
            raise

    def _drive(self, run: Run, flow: Flow) -> Served:
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._perform(run, effect)
                except Exception as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            served: Served = end.value
            return served
        finally:
            flow.close()

    def _perform(self, run: Run, effect: Any) -> Any:
        match effect:
            case Send():
                return run.exchange(effect)
            case Sleep(seconds):
                return (self._sleep or run.trail.stopped.wait)(seconds)
            case Join(key, timeout):
                flight = self._flights.join(key)
                if not flight.leader:
                    wait([flight.outcome], timeout)
                return flight
            case Gather(flows):
                return self._side_by_side(run, flows)
            case _:
                return run.instant(effect)

    def _side_by_side(self, run: Run, flows: tuple[Flow, ...]) -> list[Served | LascauxError]:
        pool = ThreadPoolExecutor(len(flows), thread_name_prefix="lascaux-part")
        try:
            futures = [pool.submit(_in_context(self._drive), run, flow) for flow in flows]
            outcomes = [_outcome(future) for future in futures]
        except BaseException:
            run.trail.stopped.set()  # we are interrupted: calls under way end in their threads, no new one is made
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        return outcomes

    def close(self) -> None:
        """Give back connections. Requests under way may fail, new ones are refused."""
        self._closed = True
        self._runtime.provider.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncRouter(_Client):
    """`Router` for asyncio: the same methods, awaited. Upstream calls run in a bounded thread pool of its own.

    A task that is cancelled leaves at once. A call that was on its way for it ends in the background: its answer is paid
    for, so it lands in the cache and with everybody who waits for it; nothing is retried for a caller who has gone. With
    real latencies threads match native async clients and use half their memory; ``max_workers`` bounds the calls in flight.
    May be used from several event loops.
    """

    def __init__(self, config: Config | Mapping[str, Any], *, max_workers: int = 256, **parts: Any) -> None:
        self._sleep: Callable[[float], Any] = parts.pop("sleep", None) or asyncio.sleep
        super().__init__(config, **parts)
        self._max_workers = max_workers
        self._pool = self._new_pool()
        self._requests: set[asyncio.Task[Result]] = set()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._max_workers, thread_name_prefix="lascaux-call")

    def _after_fork(self) -> None:
        super()._after_fork()
        self._pool = self._new_pool()
        self._requests = set()

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

    async def _request(self, alias: str, prompt: str, params: dict[str, Any]) -> Result:
        run = await self._begin_aside(alias, prompt, params)
        task = asyncio.ensure_future(self._perform_all(run))
        self._requests.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            run.trail.stopped.set()
            if not run.sending:
                task.cancel()
            raise

    def _forget(self, task: asyncio.Task[Result]) -> None:
        self._requests.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains about a failure that no caller is left for

    async def _perform_all(self, run: Run) -> Result:
        try:
            return run.finish(await self._drive(run, run.flow))
        except BaseException as error:
            run.fail(error)
            raise

    async def _begin_aside(self, alias: str, prompt: str, params: dict[str, Any]) -> Run:
        """Read the request: in a thread where there may be pictures, for these are large, or on a disk."""
        if not any(name in PICTURE_NAMES or isinstance(value, Mapping) for name, value in params.items()):
            return self._begin(alias, prompt, params)
        loop = asyncio.get_running_loop()
        begun = loop.run_in_executor(self._pool, _in_context(self._begin), alias, prompt, params)
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError as error:
            begun.add_done_callback(partial(_abandon, error))
            raise

    async def _drive(self, run: Run, flow: Flow) -> Served:
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = await self._perform(run, effect)
                except Exception as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            served: Served = end.value
            return served
        finally:
            flow.close()

    async def _perform(self, run: Run, effect: Any) -> Any:
        match effect:
            case Send():
                return await self._send(run, effect)
            case Sleep(seconds):
                return await self._sleep(seconds)
            case Join(key, timeout):
                flight = self._flights.join(key)
                if not flight.leader:
                    await _landing(flight, timeout)
                return flight
            case Gather(flows):
                outcomes = await asyncio.gather(*(self._drive(run, flow) for flow in flows), return_exceptions=True)
                for outcome in outcomes:
                    if isinstance(outcome, BaseException) and not isinstance(outcome, LascauxError):
                        raise outcome
                return outcomes
            case _:
                return run.instant(effect)

    async def _send(self, run: Run, send: Send) -> Any:
        """One call in a thread. While it waits for a thread its time runs; once it has started it ends by itself."""
        future = self._pool.submit(_in_context(run.exchange), send)
        outcome = asyncio.wrap_future(future)
        run.sending += 1
        try:
            await asyncio.wait({outcome}, timeout=send.until - self._runtime.context.clock())
            if not outcome.done() and future.cancel():
                raise AttemptTimeout("no thread was free in time to make the call", may_be_billed=False)
            return await outcome
        finally:
            run.sending -= 1

    async def aclose(self) -> None:
        """Give back threads and connections, once the calls under way have ended. New requests are refused."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        self._runtime.provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _abandon(error: BaseException, begun: asyncio.Future[Run]) -> None:
    """End the request that nobody waits for any more."""
    if not begun.cancelled() and begun.exception() is None:
        begun.result().fail(error)


def _in_context(function: Callable[..., T]) -> Callable[..., T]:
    """Run ``function`` in another thread with this thread's context, so that spans keep their parents."""
    context = contextvars.copy_context()
    return lambda *args: context.run(function, *args)


def _outcome(future: Future[Served]) -> Served | LascauxError:
    try:
        return future.result()
    except LascauxError as error:
        return error


async def _landing(flight: Flight[Served], timeout: float) -> None:
    """Wait until the flight has ended, without owning it: our being cancelled must not end it for others."""
    loop = asyncio.get_running_loop()
    landed = asyncio.Event()

    def wake(_: Future[Served | None]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(landed.set)

    flight.outcome.add_done_callback(wake)
    try:
        await asyncio.wait_for(landed.wait(), timeout)
    except TimeoutError:
        return
