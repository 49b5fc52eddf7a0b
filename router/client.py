"""What both routers are made of, and `Router`: requests performed in the thread that asks."""

from __future__ import annotations

import logging
import os
import weakref
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
from ..providers.errors import LascauxError
from ..providers.pictures import Sources
from ..providers.types import Warning
from .assembly import converted
from .build import build
from .cache import Flights
from .config import Config, Origin
from .crew import in_context
from .edits import edit_params, explained_params, variation_params
from .effects import Flow, Gather, Join, Send, Served, Wait
from .elsewhere import Glance
from .errors import NoDeploymentAvailable
from .explain import Explanation, Quote, explain
from .gauges import observe
from .listing import PriceList, listed
from .records import Result
from .reload import Generations, Reload, Source
from .runtime import Run, Runtime
from .share import WHOLE, Share
from .status import Status, status_of
from .watch import Watcher

__all__ = ["Client", "Router"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_ROUTERS: WeakSet[Client] = WeakSet()


def _after_fork() -> None:
    for client in _ROUTERS:
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Client:
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
        share: Share = WHOLE,
    ) -> None:
        """``picture_files`` and ``picture_urls``: may input pictures be paths of this computer, and https URLs?

        Switch files off where requests come from strangers: a path would read this computer's disk. ``share`` is this
        process's part of the limits of deployments, where several processes work side by side; of a reloaded file, too.
        """
        if not isinstance(config, Config):
            config = Config.from_mapping(config)
        runtime = build(
            config,
            provider=provider,
            clock=clock,
            today=today,
            rng=rng,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            share=share,
        )
        runtime = replace(runtime, sources=Sources(files=picture_files, urls=picture_urls))
        self._generations = Generations(runtime)
        observe(self._generations)
        self._watcher: Watcher | None = None
        self._flights: Flights[Served] = Flights()
        self._closed = False
        _ROUTERS.add(self)

    def _check_open(self) -> None:
        if self._closed:
            raise NoDeploymentAvailable("this router is closed")

    def _begin(self, alias: str, prompt: str, params: dict[str, Any], started: float | None = None) -> Run:
        self._check_open()
        runtime = self._generations.enter()
        try:
            return Run(runtime, alias, prompt, params, started)
        except BaseException:
            self._generations.leave(runtime)
            raise

    def _explain(self, alias: str, prompt: str, params: dict[str, Any], glance: Glance | None = None) -> Explanation:
        self._check_open()
        return explain(self._runtime, alias, prompt, explained_params(params), glance)

    def _list(self, alias: str, prompt: str, params: dict[str, Any]) -> PriceList | Quote:
        self._check_open()
        return listed(self._runtime, alias, prompt, explained_params(params))

    def _after_fork(self) -> None:
        """In a child process: calls and locks of the parent's threads are not ours."""
        self._flights = Flights()
        self._generations.after_fork()
        if self._watcher is not None:
            self._watcher.after_fork()

    def _reload(self, source: Source) -> Reload:
        before = self._watcher.content() if self._watcher is not None else None
        report = self._generations.reload(source)
        if self._watcher is not None:
            _watch_current(self._generations, self._watcher, before)
        return report

    def _stop(self) -> None:
        """Refuse requests and configurations from now on."""
        self._closed = True
        self._generations.close()
        context = self._runtime.context
        with context.lock:
            context.line.end()
        if self._watcher is not None:
            self._watcher.stop()

    @classmethod
    def from_yaml(cls, path: str | Path, *, watch: bool = False, **parts: Any) -> Self:
        """Build a router from a configuration file, ours or LiteLLM's; ``parts`` as for the constructor.

        With ``watch`` the file, and the ``.env`` and secrets that it uses, are looked at every second; when they have
        changed they are loaded as by `reload`, and what comes of it is logged.

        Raises ConfigError, which names file, line, column, key and what would be allowed.
        """
        if not watch:
            return cls(Config.load(path), **parts)
        watcher = Watcher(Origin.of(path).watched)
        made = cls(Config.load(path), **parts)
        made._watcher = watcher
        watcher.start(partial(_reload_watched, made._generations, watcher))
        weakref.finalize(made, watcher.stop)
        return made

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._runtime.config

    @property
    def last_reload(self) -> Reload | None:
        """What the latest reload did, be it a failed one; None before the first."""
        return self._generations.last

    @property
    def _runtime(self) -> Runtime:
        return self._generations.current

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names that requests may use."""
        return self._runtime.aliases.names()

    def models(self, alias: str) -> tuple[str, ...]:
        """The base ids of all models that a request for this alias may reach; those of its fallbacks come last.

        Raises UnknownAlias.
        """
        runtime = self._runtime
        chain = runtime.context.planner.chain(runtime.aliases.find(alias))
        return tuple(dict.fromkeys(model for one in chain for model in one.pool.models))

    def status(self) -> Status:
        """How every deployment is doing at this moment: breaker, limits, calls under way, latency, lifecycle.

        Not awaited in `AsyncRouter` either: it reads what is there, without I/O. ``as_dict()`` of it is plain data.
        """
        return status_of(self._runtime)

    @property
    def warnings(self) -> tuple[Warning, ...]:
        """What is odd about the configuration, though it works."""
        return self._runtime.warnings


class Router(Client):
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
                ``deadline`` and ``attempt_timeout`` (seconds), ``max_wait`` (seconds in line where all are at their limits),
        ``cache=False``, ``tenant`` (answers are not shared between tenants), ``routing_key`` (what an alias with the
        strategy ``sticky`` goes by).

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
        ``search_prompt``: search_replace, ...; an image alone: image_to_image) unless it is named; where no model of the
        alias does that, it is the one task of theirs that fits. Other parameters are those of `generate` and
        `lascaux.providers.options`; tasks that need no words take an empty prompt.

        Raises what `generate` raises; InvalidRequest too if a picture is broken, animated, too large or no picture.
        """
        return self._request(alias, prompt, edit_params(image, params))

    def variation(self, alias: str, /, *, image: Any, **params: Any) -> Result:
        """Make a picture like ``image``, or like several in a list. ``prompt`` and ``similarity`` (0.2 to 1) may guide it.

        Pictures, other parameters and errors are those of `edit`.
        """
        prompt, params = variation_params(image, params)
        return self._request(alias, prompt, params)

    def explain(self, alias: str, prompt: str = "", /, **params: Any) -> Explanation:
        """What a request would meet at this moment, without a call and without changing anything.

        Parameters are those of `generate`; with ``image`` (and ``mask``, ...) those of `edit`. Tells every deployment of
        the alias and its fallbacks: whether its model can do it, whether it may be asked now and why not, the strategy's
        score, the price, the warnings; and who would be picked: the next request that is the same goes there, if nobody
        asks in between. ``str()`` is for people, ``as_dict()`` for JSON.

        Raises InvalidRequest (a parameter) and UnknownAlias. What no model can do is no error: ``reason`` says why.
        """
        return self._explain(alias, prompt, params)

    def quote(self, alias: str, prompt: str = "", /, **params: Any) -> Quote:
        """What a request would cost, exactly: at every deployment that can do it, and where it would go. No call is made.

        Parameters and errors are those of `explain`. ``cost.usd`` is a Decimal for all pictures asked for, or None when no
        rate is known (``cost.note`` says why).
        """
        return Quote.of(self._explain(alias, prompt, params))

    def _request(self, alias: str, prompt: str, params: dict[str, Any]) -> Result:
        run = self._begin(alias, prompt, params)
        try:
            return run.finish(converted(self._drive(run, run.flow)))
        except BaseException as error:
            run.fail(error)
            raise
        finally:
            self._generations.leave(run.runtime)

    def reload(self, source: Source = None) -> Reload:
        """Go on with another configuration, or with the file as it is now, without losing a request.

        ``source`` is a path, a `Config` or its sections; None: the file that the configuration in use came from. It is read
        and checked completely, then swapped in one step: requests under way end as they began, new ones follow it. What
        did not change keeps its live state: circuit breakers, limits and calls under way, retired models, strategies, the
        retry budget, the cache.

        Raises ConfigError; then nothing has changed.
        """
        return self._reload(source)

    def _drive(self, run: Run, flow: Flow) -> Served:
        try:
            effect: Any = next(flow)
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
            effect = outcome = None  # the traceback of an error holds this frame, and these may hold the error
            flow.close()

    def _perform(self, run: Run, effect: Any) -> Any:
        match effect:
            case Send():
                return run.exchange(effect)
            case Wait(ticket, seconds):
                if self._sleep is not None:
                    self._sleep(seconds)
                elif not run.trail.stopped.is_set():
                    ticket.wait(seconds)
                return None
            case Join(key, timeout):
                flight = self._flights.join(key, run.runtime)
                if not flight.leader:
                    wait([flight.outcome], timeout)
                return flight.seen_by(run.runtime)
            case Gather(flows):
                return self._side_by_side(run, flows)
            case _:
                return run.instant(effect)

    def _side_by_side(self, run: Run, flows: tuple[Flow, ...]) -> list[Served | LascauxError]:
        pool = ThreadPoolExecutor(len(flows), thread_name_prefix="lascaux-part")
        try:
            futures = [pool.submit(in_context(self._drive), run, flow) for flow in flows]
            outcomes = [_outcome(future) for future in futures]
        except BaseException:
            run.trail.stop()  # we are interrupted: calls under way end in their threads, no new one is made
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        return outcomes

    def close(self) -> None:
        """Give back connections. Requests under way may fail; those in line and new ones are refused."""
        self._stop()
        self._runtime.provider.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reload_watched(generations: Generations, watcher: Watcher) -> None:
    """What the watcher does: it must never end because of what it found."""
    try:
        log.info("%s", generations.reload(None))
    except LascauxError:
        if watcher.stopped:
            return
        log.error("%s", generations.last)
    _watch_current(generations, watcher)


def _watch_current(
    generations: Generations, watcher: Watcher, loaded: Mapping[str, bytes | None] | None = None
) -> None:
    """Look at the files of the configuration in use; at nothing if it came from none."""
    origin = generations.current.config.origin
    watcher.watch(origin.watched if origin else (), loaded)


def _outcome(future: Future[Served]) -> Served | LascauxError:
    """Not raised here: a traceback would hold the future, which holds the error."""
    error = future.exception()
    return error if isinstance(error, LascauxError) else future.result()
