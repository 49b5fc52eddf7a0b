"""A world with a virtual clock, in which the real attempt loop meets scripted deployments."""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from lascaux.pricing import Cost
from lascaux.providers.errors import AttemptTimeout, LascauxError
from lascaux.providers.types import Call, Image, ImageRequest, ImageResult, Target, Task
from lascaux.router.attempts import request_flow
from lascaux.router.cache import Cache, Flights, MemoryCache
from lascaux.router.context import Context, Trail
from lascaux.router.deployment import Candidate, Deployment, Permit
from lascaux.router.effects import Flow, Gather, Join, Land, Lookup, Send, Served, Sleep, Store
from lascaux.router.health import HealthPolicy, State
from lascaux.router.plan import Alias, Planner, Use
from lascaux.router.quota import Limits
from lascaux.router.retry import RetryBudget, RetryPolicy
from lascaux.router.strategies import STRATEGIES

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

Script = Callable[[Target, float], tuple[float, LascauxError | None]]
"""(target, now) -> (latency in seconds, error or None)."""


class ScriptedProvider:
    """Writes trivial calls: ``n`` images in one call, or one call per image for models named ``single-...``."""

    def prepare(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
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
        raise AssertionError("the world performs the sending")

    def address(self, target: Target) -> tuple[str, int] | None:
        return None

    def close(self) -> None:
        """Nothing to give back."""


@dataclass
class Begun:
    """A permit, and the breaker's state at the moment it was given."""

    deployment: str
    at: float
    state: State
    probe: bool
    panic: bool


class WatchedDeployment(Deployment):
    """A deployment that notes in which state it was asked."""

    __slots__ = ("begun", "probes")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.begun: list[Begun] = []
        self.probes = 0

    def begin(self, candidate: Candidate, now: float, *, panic: bool = False) -> Permit:
        state = self.state(now)
        permit = super().begin(candidate, now, panic=panic)
        self.begun.append(Begun(self.name, now, state, permit.probe, panic))
        self.probes += permit.probe
        assert self.probes <= 1, "two probes at once"
        return permit

    def settle(self, permit: Permit, *args: Any, **more: Any) -> None:
        self.probes -= permit.probe
        super().settle(permit, *args, **more)


@dataclass
class Ended:
    """How a request ended."""

    trail: Trail
    at: float
    served: Served | None = None
    error: LascauxError | None = None


@dataclass
class World:
    """Deployments, aliases and a clock that only moves when everybody waits."""

    seed: int = 0
    health: HealthPolicy = field(default_factory=HealthPolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    strategy: str = "weighted_random"
    cached: bool = True
    script: Script = lambda target, now: (1.0, None)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.deployments: dict[str, WatchedDeployment] = {}
        self.aliases: dict[str, Alias] = {}
        self.sends: list[tuple[float, str]] = []
        self.ended: list[Ended] = []
        self.breakers: list[tuple[str, str]] = []
        self.flights: Flights[Served] = Flights()
        self.cache: Cache = MemoryCache(max_bytes=1 << 20, ttl=3600, clock=lambda: self.now)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self.context = Context(
            planner=Planner(self.aliases.__getitem__, ScriptedProvider(), lifecycle="last_resort"),
            clock=lambda: self.now,
            today=lambda: date(2026, 11, 22),
            rng=self.rng,
            budget=RetryBudget(self.retry.budget, self.now),
            panic_threshold=self.health.panic_threshold,
            on_breaker=lambda name, state: self.breakers.append((name, state)),
        )

    def deployment(
        self, name: str, *, model: str = "model-a", rpm: int | None = None, concurrency: int | None = None, **more: Any
    ) -> WatchedDeployment:
        target = Target(deployment=name, model=model, model_id=model, region="us-west-2")
        made = WatchedDeployment(target, health=self.health, limits=Limits(rpm, concurrency), **more)
        self.deployments[name] = made
        return made

    def alias(
        self,
        name: str,
        uses: Sequence[WatchedDeployment | tuple[WatchedDeployment, float, int]],
        fallbacks: Sequence[str] = (),
    ) -> Alias:
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

    def ask(self, alias: str, *, at: float = 0.0, prompt: str = "otter", n: int = 1, seed: int | None = None) -> None:
        """Let a request come in ``at`` seconds from now."""

        def arrive() -> None:
            trail = Trail(
                alias=self.aliases[alias],
                started=self.now,
                deadline=self.now + self.retry.deadline,
                attempt_timeout=self.retry.attempt_timeout,
                caching=self.cached,
            )
            request = ImageRequest(prompt=prompt, n=n, seed=seed)

            def done(outcome: Served | LascauxError) -> None:
                failed = isinstance(outcome, LascauxError)
                self.ended.append(
                    Ended(trail, self.now, error=outcome) if failed else Ended(trail, self.now, served=outcome)  # type: ignore[arg-type]
                )

            self._step(request_flow(self.context, request, trail), None, done)

        self._later(at, arrive)

    def run(self, alias: str, **request: Any) -> Ended:
        """One request, to its end."""
        before = len(self.ended)
        self.ask(alias, **request)
        self.play()
        return self.ended[before]

    def play(self) -> None:
        """Let time pass until nobody waits any more."""
        while self._queue:
            at, _, action = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            action()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._sequence), action))

    def _step(self, flow: Flow, value: Any, done: Callable[[Any], None]) -> None:
        try:
            effect = flow.throw(value) if isinstance(value, LascauxError) else flow.send(value)
        except StopIteration as end:
            done(end.value)
        except LascauxError as error:
            done(error)
        else:
            self._perform(effect, lambda outcome: self._step(flow, outcome, done))

    def _perform(self, effect: Any, resume: Callable[[Any], None]) -> None:
        match effect:
            case Send(target, call, until):
                self._send(target, call, until - self.now, resume)
            case Sleep(seconds):
                self._later(seconds, lambda: resume(None))
            case Join(key, timeout):
                self._join(key, timeout, resume)
            case Gather(flows):
                self._gather(flows, resume)
            case Lookup(keys):
                resume(self.cache.lookup(keys))
            case Store(key, entry):
                self.cache.store(key, entry)
                resume(None)
            case Land(flight, outcome):
                flight.land(outcome)
                resume(None)
            case _:
                raise AssertionError(effect)

    def _send(self, target: Target, call: Call, timeout: float, resume: Callable[[Any], None]) -> None:
        self.sends.append((self.now, target.deployment))
        latency, error = self.script(target, self.now)
        if latency > timeout:
            latency, error = timeout, AttemptTimeout("no answer in time")
        images = tuple(Image(PIXEL, seed=call.seed) for _ in range(call.images))
        cost = Cost(
            usd=None,
            table="test",
            images=len(images),
            unit_usd=None,
            confidence=None,
            source=None,
            rate=None,
            note=None,
        )
        outcome: Any = error if error is not None else (ImageResult(images=images), cost)
        self._later(latency, lambda: resume(outcome))

    def _join(self, key: str, timeout: float, resume: Callable[[Any], None]) -> None:
        flight = self.flights.join(key)
        if flight.leader:
            return resume(flight)
        woken: list[bool] = []

        def wake() -> None:
            if not woken:
                woken.append(True)
                resume(flight)

        flight.outcome.add_done_callback(lambda _: self._later(0, wake))
        self._later(timeout, wake)
        return None

    def _gather(self, flows: Sequence[Flow], resume: Callable[[Any], None]) -> None:
        outcomes: list[Any] = [None] * len(flows)
        left = [len(flows)]

        def finish(place: int, outcome: Any) -> None:
            outcomes[place] = outcome
            left[0] -= 1
            if not left[0]:
                resume(outcomes)

        for place, flow in enumerate(flows):
            self._step(flow, None, partial(finish, place))


@pytest.fixture
def world() -> type[World]:
    """The class, so that a test chooses policies before the world is made."""
    return World


@pytest.fixture(scope="session")
def sts() -> Iterator[str]:
    """The URL of moto's STS."""
    from moto.server import ThreadedMotoServer  # takes a second to load, and few tests need it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    assert server._server is not None
    server._server.server_close()
