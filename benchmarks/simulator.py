"""The real attempt loop under a virtual clock: requests, deployments and a time that only moves when everybody waits.

`Simulation` drives `lascaux.router.attempts.request_flow` with the router's own strategies, quotas, breakers and budgets.
Only what lies beyond the wire is made up: a subclass says how long a call takes and how it ends (`answer`), and is told how
each request ended (`finished`). Nothing here reads a real clock, so a run is repeated exactly by its seed.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from random import Random
from typing import Any

from lascaux.pricing import Cost
from lascaux.providers.errors import AttemptTimeout, LascauxError
from lascaux.providers.types import Call, Image, ImageRequest, ImageResult, Target, Task
from lascaux.router.attempts import request_flow
from lascaux.router.cache import Cache, Flights, MemoryCache
from lascaux.router.context import Context, Trail
from lascaux.router.deployment import Deployment
from lascaux.router.effects import Flow, Gather, Join, Land, Lookup, Send, Served, Store, Wait
from lascaux.router.health import HealthPolicy
from lascaux.router.line import Ticket
from lascaux.router.plan import Alias, Planner, Use
from lascaux.router.prices import Price
from lascaux.router.quota import Limits
from lascaux.router.retry import RetryBudget, RetryPolicy
from lascaux.router.strategies import STRATEGIES

__all__ = ["Outcome", "Simulation"]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TODAY = date(2026, 11, 22)

Outcome = Served | LascauxError
"""How a request ended."""


class TrivialProvider:
    """Writes trivial calls: ``n`` images in one call, or one call per image for models named ``single-...``.

    Calls without a seed differ in nothing that the router looks at: each is written once.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, int], tuple[Call, ...]] = {}

    def prepare(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
        """The calls for one request."""
        if request.seed is not None:
            return self._write(request, target)
        key = (target.model, request.n)
        if key not in self._written:
            self._written[key] = self._write(request, target)
        return self._written[key]

    def _write(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
        def call(images: int, seed: int | None) -> Call:
            return Call(
                model=target.model,
                family="test",
                task=Task.TEXT_TO_IMAGE,
                body={"prompt": request.prompt, "seed": seed, "n": images},
                images=images,
                seed=seed,
                effective_seed=seed,
                reproducible=seed is not None,
            )

        if target.model.startswith("single") and request.n > 1:
            return tuple(call(1, None if request.seed is None else request.seed + i) for i in range(request.n))
        return (call(request.n, request.seed),)

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        """Never: the simulation performs the sending."""
        raise AssertionError("the simulation performs the sending")

    def address(self, target: Target) -> tuple[str, int] | None:
        """Nowhere."""
        return None

    def close(self) -> None:
        """Nothing to give back."""


class Simulation(ABC):
    """A router's insides and a clock. Made of deployments and aliases, then fed with ``ask`` or ``at``, then played."""

    deployment_type: type[Deployment] = Deployment

    def __init__(
        self,
        *,
        seed: int = 0,
        health: HealthPolicy | None = None,
        retry: RetryPolicy | None = None,
        strategy: str = "weighted_random",
        cached: bool = True,
        now: float = 1000.0,
        price: Price | None = None,
    ) -> None:
        self.seed = seed
        self.health = health or HealthPolicy()
        self.retry = retry or RetryPolicy()
        self.strategy = strategy
        self.cached = cached
        self.now = now
        self.rng = Random(seed)
        self.deployments: dict[str, Any] = {}
        self.aliases: dict[str, Alias] = {}
        self.breakers: list[tuple[str, str]] = []
        self.flights: Flights[Served] = Flights()
        self.cache: Cache = MemoryCache(max_bytes=1 << 20, ttl=3600, clock=lambda: self.now)
        self._queue: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._sequence = 0
        self._forgotten: set[int] = set()
        self._answers: dict[int, tuple[ImageResult, Cost]] = {}
        self.context = Context(
            planner=Planner(self.aliases.__getitem__, TrivialProvider(), lifecycle="last_resort", price=price),
            clock=lambda: self.now,
            today=lambda: TODAY,
            rng=self.rng,
            budget=RetryBudget(self.retry.budget, self.now),
            billed=RetryBudget.billed(self.retry.billed_budget, self.now),
            panic_threshold=self.health.panic_threshold,
            on_breaker=lambda name, state: self.breakers.append((name, state)),
        )

    # What a subclass decides and is told

    @abstractmethod
    def answer(self, target: Target, call: Call) -> tuple[float, LascauxError | None]:
        """How long a call that starts now takes (seconds), and the error it ends with, if any."""

    @abstractmethod
    def finished(self, trail: Trail, outcome: Outcome) -> None:
        """A request has ended now."""

    # What a router is made of

    def deployment(
        self,
        name: str,
        *,
        model: str = "model-a",
        region: str = "us-west-2",
        rpm: int | None = None,
        concurrency: int | None = None,
        **more: Any,
    ) -> Any:
        """A new deployment with declared limits."""
        target = Target(deployment=name, model=model, model_id=model, region=region)
        made = self.deployment_type(target, health=self.health, limits=Limits(rpm, concurrency), **more)
        self.deployments[name] = made
        return made

    def alias(self, name: str, uses: Sequence[Any], fallbacks: Sequence[str] = ()) -> Alias:
        """A new alias of deployments, or of (deployment, weight, priority)."""
        made = tuple(
            Use(deployment=use)
            if isinstance(use, Deployment)
            else Use(deployment=use[0], weight=use[1], priority=use[2])
            for use in uses
        )
        strategy = STRATEGIES[self.strategy](self.rng)
        self.aliases[name] = Alias(
            name=name, uses=made, strategy=strategy, retry=self.retry, fallbacks=tuple(fallbacks)
        )
        return self.aliases[name]

    # Time

    def at(self, moment: float, action: Callable[[Any], None], argument: Any = None) -> int:
        """Do something at a moment of the virtual clock; of equal moments, first come first served. A number to `forget`."""
        self._sequence = sequence = self._sequence + 1
        heapq.heappush(self._queue, (moment, sequence, action, argument))
        return sequence

    def forget(self, number: int) -> None:
        """What was to be done shall not be, and its moment not be waited for."""
        self._forgotten.add(number)

    def play(self) -> None:
        """Let time pass until nobody waits any more."""
        queue, pop = self._queue, heapq.heappop
        while queue:
            moment, number, action, argument = pop(queue)
            if self._forgotten and number in self._forgotten:
                self._forgotten.remove(number)
                continue
            if moment > self.now:
                self.now = moment
            action(argument)

    # Requests

    def ask(self, alias: str, *, at: float = 0.0, prompt: str = "otter", n: int = 1, seed: int | None = None) -> None:
        """Let a request come in ``at`` seconds from now."""
        request = ImageRequest(prompt=prompt, n=n, seed=seed)
        self.at(self.now + at, partial(self.begin, alias), request)

    def begin(self, alias: str, request: ImageRequest) -> None:
        """A request comes in now."""
        trail = Trail(
            alias=self.aliases[alias],
            started=self.now,
            deadline=self.now + self.retry.deadline,
            attempt_timeout=self.retry.attempt_timeout,
            max_wait=self.retry.max_wait,
            caching=self.cached,
        )
        self._step(request_flow(self.context, request, trail), partial(self.finished, trail), None)

    def _step(self, flow: Flow, done: Callable[[Any], None], value: Any) -> None:
        """Hand an outcome to a flow, and perform what it asks for, until it has to wait."""
        while True:
            try:
                effect = flow.throw(value) if isinstance(value, LascauxError) else flow.send(value)
            except StopIteration as end:
                return done(end.value)
            except LascauxError as error:
                return done(error)
            match effect:
                case Send():
                    return self._send(effect, partial(self._step, flow, done))
                case Wait(ticket, seconds):
                    return self._stand(ticket, seconds, partial(self._step, flow, done))
                case Join(key, timeout):
                    value = self.flights.join(key)
                    if not value.leader:
                        return self._wait(value, timeout, partial(self._step, flow, done))
                case Gather(flows):
                    return self._gather(flows, partial(self._step, flow, done))
                case Lookup(keys):
                    value = self.cache.lookup(keys)
                case Store(key, entry):
                    self.cache.store(key, entry)
                    value = None
                case Land(flight, outcome):
                    flight.land(outcome)
                    value = None

    def _stand(self, ticket: Ticket, seconds: float, resume: Callable[[Any], None]) -> None:
        """Wake who stands in line when it is called, or when its time is over."""
        woken = False

        def wake(_: Any) -> None:
            nonlocal woken
            if not woken:
                woken = True
                if self.now < end:
                    self.forget(timer)
                resume(None)

        end = self.now + seconds
        timer = self.at(end, wake)
        ticket.listen(lambda: self.at(self.now, wake))

    def _send(self, send: Send, resume: Callable[[Any], None]) -> None:
        send.permit.depart(self.now)
        latency, error = self.answer(send.target, send.call)
        left = send.until - self.now
        if latency > left:
            latency, error = left, AttemptTimeout("no answer in time")
        seeded = send.call.seed is not None
        outcome = error or (_answer(send.call) if seeded else self._pictures(send.call))
        self.at(self.now + latency, resume, outcome)

    def _pictures(self, call: Call) -> tuple[ImageResult, Cost]:
        """The answer to a call without a seed, made once for each number of pictures."""
        if call.images not in self._answers:
            self._answers[call.images] = _answer(call)
        return self._answers[call.images]

    def _wait(self, flight: Any, timeout: float, resume: Callable[[Any], None]) -> None:
        """Wake a passenger when the flight has landed, or when its time is over."""
        woken = False

        def wake(_: Any) -> None:
            nonlocal woken
            if not woken:
                woken = True
                resume(flight)

        flight.outcome.add_done_callback(lambda _: self.at(self.now, wake))
        self.at(self.now + timeout, wake)

    def _gather(self, flows: Sequence[Flow], resume: Callable[[Any], None]) -> None:
        outcomes: list[Any] = [None] * len(flows)
        left = len(flows)

        def finish(place: int, outcome: Any) -> None:
            nonlocal left
            outcomes[place] = outcome
            left -= 1
            if not left:
                resume(outcomes)

        for place, flow in enumerate(flows):
            self._step(flow, partial(finish, place), None)


def _answer(call: Call) -> tuple[ImageResult, Cost]:
    images = tuple(Image(PIXEL, seed=call.seed) for _ in range(call.images))
    return ImageResult(images=images), Cost(
        usd=None,
        table="test",
        images=len(images),
        unit_usd=None,
        confidence=None,
        source=None,
        rate=None,
        note=None,
    )
