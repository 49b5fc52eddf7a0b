"""The attempt loop under a virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux.providers.errors import (
    AttemptTimeout,
    ConnectionBroken,
    ContentFiltered,
    CredentialsError,
    LascauxError,
    ModelRetired,
    ModelUnavailable,
    ProviderError,
    Rejected,
    Throttled,
    Unavailable,
)
from lascaux.router.errors import AttemptsFailed, DeadlineExceeded, NoDeploymentAvailable
from lascaux.router.health import HealthPolicy, State
from lascaux.router.retry import RetryPolicy, says_nothing
from lascaux.router.strategies import STRATEGIES

FAILURES: list[Callable[[], LascauxError]] = [
    lambda: Throttled("slow down"),
    lambda: Throttled("slow down", retry_after=2.0),
    lambda: Unavailable("no capacity"),
    lambda: ConnectionBroken("gone"),
    lambda: ModelRetired("end of its life"),
    lambda: CredentialsError("denied"),
    lambda: ModelUnavailable("wrong region"),
    lambda: AttemptTimeout("late"),
]


def down(*names: str, error: Any = lambda: Unavailable("down"), latency: float = 0.1) -> Any:
    """A script in which some deployments fail and the others answer after a second."""
    return lambda target, now: (latency, error()) if target.deployment in names else (1.0, None)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("where", ["alias", "fallback"])
def test_no_request_is_lost_while_a_healthy_deployment_exists(world: Any, failure: Any, where: str) -> None:
    """Whatever one deployment answers, the healthy one in the alias or behind it takes over, without a pause."""
    w = world(script=down("ill", error=failure))
    ill, well = w.deployment("ill"), w.deployment("well", model="model-b")
    if where == "alias":
        w.alias("hero", [(ill, 1, 0), (well, 1, 1)])
    else:
        w.alias("hero", [ill], fallbacks=["draft"])
        w.alias("draft", [well])
    for i in range(50):
        w.ask("hero", at=i * 0.5, prompt=str(i))
    w.play()
    assert [end.error for end in w.ended] == [None] * 50
    assert all(end.at - end.trail.started < 1.5 for end in w.ended)


def test_an_error_of_the_caller_is_never_retried(world: Any) -> None:
    """A blocked prompt or a refused body would be refused everywhere: one call, no breaker, the error as it is."""
    for error in (ContentFiltered("no"), Rejected("bad field")):
        w = world(script=lambda target, now, error=error: (0.1, error))
        w.alias("hero", [w.deployment("a"), w.deployment("b")], fallbacks=["draft"])
        w.alias("draft", [w.deployment("c")])
        for i in range(20):
            assert w.run("hero", prompt=str(i)).error is error
        assert len(w.sends) == 20
        assert [len(end.trail.attempts) for end in w.ended] == [1] * 20
        assert not w.breakers


def test_priorities_come_before_strategies(world: Any) -> None:
    """Priority 1 is asked only while nobody of priority 0 is ready."""
    w = world()
    first, second = w.deployment("first"), w.deployment("second")
    w.alias("hero", [(first, 1, 0), (second, 100, 1)])
    for i in range(10):
        w.run("hero", prompt=str(i))
    assert {name for _, name in w.sends} == {"first"}
    w.script = down("first")
    assert [attempt.deployment for attempt in w.run("hero").trail.attempts] == ["first", "second"]


def test_a_breaker_opens_probes_once_and_closes(world: Any) -> None:
    """After five failures nobody asks until the cooldown is over; then one probe decides for all."""
    w = world(script=down("a"))
    a, b = w.deployment("a"), w.deployment("b")
    w.alias("hero", [(a, 1, 0), (b, 1, 1)])
    for i in range(20):
        w.ask("hero", at=i, prompt=str(i))
    w.play()
    assert sum(name == "a" for _, name in w.sends) == 5
    assert w.breakers == [("a", "open")]
    w.now += 30
    w.script = lambda target, now: (1.0, None)
    for i in range(5):
        w.ask("hero", prompt=f"again {i}")
    w.play()
    assert [begun.probe for begun in a.begun[5:]] == [True]
    assert a.state(w.now) is State.CLOSED


def test_a_probe_that_fails_doubles_the_cooldown(world: Any) -> None:
    """30, 60, 120, 240, 300, 300 seconds: bounded, and one call each."""
    w = world(script=down("a"))
    a, b = w.deployment("a"), w.deployment("b")
    w.alias("hero", [(a, 1, 0), (b, 1, 1)])
    for i in range(2000):
        w.ask("hero", at=i, prompt=str(i))
    w.play()
    probes = [begun.at for begun in a.begun if begun.probe]
    gaps = [round(later - earlier, -1) for earlier, later in pairwise(probes)]
    assert gaps[:5] == [60, 120, 240, 300, 300]
    assert all(end.error is None for end in w.ended)


def test_panic_asks_the_least_bad_instead_of_failing(world: Any) -> None:
    """A single deployment whose breaker is open is still asked, and marked so."""
    w = world(script=down("a"), retry=RetryPolicy(attempts=1))
    a = w.deployment("a")
    w.alias("hero", [a])
    for i in range(8):
        w.run("hero", prompt=str(i))
    assert [begun.panic for begun in a.begun] == [False] * 5 + [True] * 3
    w.script = lambda target, now: (1.0, None)
    assert w.run("hero", prompt="healed").error is None


def test_without_panic_an_open_breaker_is_left_alone(world: Any) -> None:
    """With threshold 0 the request fails at once and says when to come back."""
    w = world(script=down("a"), retry=RetryPolicy(attempts=1), health=HealthPolicy(panic_threshold=0.0))
    w.alias("hero", [w.deployment("a")])
    for i in range(5):
        w.run("hero", prompt=str(i))
    error = w.run("hero").error
    assert isinstance(error, NoDeploymentAvailable)
    assert error.retry_after == pytest.approx(30, abs=0.5)
    assert len(w.sends) == 5


def test_throttling_is_waited_for_when_nobody_else_can_help(world: Any) -> None:
    """Retry-After is honoured to the second, within the deadline."""
    w = world(script=lambda target, now: (0.1, Throttled("slow", retry_after=7.0)) if now < 1005 else (1.0, None))
    w.alias("hero", [w.deployment("a")])
    end = w.run("hero")
    assert end.error is None
    assert end.at == pytest.approx(1000 + 0.1 + 7.0 + 1.0)


def test_a_wait_beyond_the_deadline_is_refused_at_once(world: Any) -> None:
    """The error comes now, not at the deadline, and says how long the wait would be."""
    w = world(script=down("a", error=lambda: Throttled("slow", retry_after=100.0)), retry=RetryPolicy(deadline=10))
    w.alias("hero", [w.deployment("a")])
    end = w.run("hero")
    assert isinstance(end.error, AttemptsFailed)
    assert end.error.status == 429
    assert end.error.retry_after == pytest.approx(100)
    assert end.at - end.trail.started < 1


def test_a_retired_model_is_the_last_resort(world: Any) -> None:
    """What says that it is at the end of its life is not asked again while anybody else answers."""
    w = world(script=down("old", error=lambda: ModelRetired("reached the end of its life")))
    w.alias("hero", [(w.deployment("old"), 1, 0), (w.deployment("new"), 1, 1)])
    for i in range(10):
        assert w.run("hero", prompt=str(i)).error is None
    assert sum(name == "old" for _, name in w.sends) == 1


def test_one_call_for_a_hundred_equal_requests(world: Any) -> None:
    """Whoever comes while the call is under way shares it; whoever comes later finds it in the cache."""
    w = world()
    w.alias("hero", [w.deployment("a"), w.deployment("b")])
    for i in range(100):
        w.ask("hero", at=i * 0.02, seed=7)
    w.play()
    assert len(w.sends) == 1
    states = [piece.cache for end in w.ended for piece in end.served]
    assert {states.count(state) for state in ("miss",)} == {1}
    assert set(states) == {"miss", "coalesced", "hit"}
    assert len(w.flights) == 0


def test_a_failure_is_shared_once_and_leaves_nothing_behind(world: Any) -> None:
    """All who wait get the leader's error, each their own copy; the next request starts afresh."""
    w = world(script=lambda target, now: (1.0, ContentFiltered("blocked")))
    w.alias("hero", [w.deployment("a")])
    for _ in range(100):
        w.ask("hero", seed=7)
    w.play()
    assert len(w.sends) == 1
    assert [type(end.error) for end in w.ended] == [ContentFiltered] * 100
    assert len({id(end.error) for end in w.ended}) == 100
    assert len(w.flights) == 0
    w.script = lambda target, now: (1.0, None)
    assert w.run("hero", seed=7).error is None


def test_a_random_picture_is_never_cached(world: Any) -> None:
    """Without a seed every request is a call of its own."""
    w = world()
    w.alias("hero", [w.deployment("a")])
    for _ in range(5):
        assert w.run("hero").served[0].cache == "bypass"
    assert len(w.sends) == 5


def test_n_on_a_one_image_model_is_n_calls_side_by_side(world: Any) -> None:
    """Seeds count up, the calls overlap, and one that fails does not throw the others away."""
    w = world(cached=False)
    w.alias("hero", [w.deployment("a", model="single-a")])
    end = w.run("hero", n=4, seed=30)
    assert [piece.entry.call.seed for piece in end.served] == [30, 31, 32, 33]
    assert end.at == 1001.0
    outcomes = iter([None, ContentFiltered("no"), None, None])
    w.script = lambda target, now: (1.0, next(outcomes))
    end = w.run("hero", n=4, seed=30)
    assert [piece.error is None for piece in end.served] == [True, False, True, True]


def test_a_fallback_that_makes_one_image_a_call_still_makes_all(world: Any) -> None:
    """Three pictures in one call at home become three calls at the fallback."""
    w = world(script=down("home"))
    w.alias("hero", [w.deployment("home")], fallbacks=["away"])
    w.alias("away", [w.deployment("away", model="single-b")])
    end = w.run("hero", n=3, seed=5)
    assert [piece.entry.call.seed for piece in end.served] == [5, 6, 7]
    assert [name for _, name in w.sends] == ["home", "away", "away", "away"]


def test_declared_rpm_is_never_exceeded_in_any_minute(world: Any) -> None:
    """Requests wait for their place instead of failing."""
    w = world(retry=RetryPolicy(deadline=600))
    w.alias("hero", [w.deployment("a", rpm=10)])
    for i in range(60):
        w.ask("hero", at=i, prompt=str(i))
    w.play()
    assert all(end.error is None for end in w.ended)
    times = sorted(at for at, _ in w.sends)
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[10:], strict=False))


def test_concurrency_is_never_exceeded(world: Any) -> None:
    """Three places, thirty requests: all served, three at a time."""
    w = world(script=lambda target, now: (2.0, None))
    a = w.deployment("a", concurrency=3)
    w.alias("hero", [a])
    for i in range(30):
        w.ask("hero", prompt=str(i))
    w.play()
    assert all(end.error is None for end in w.ended)
    times = sorted(at for at, _ in w.sends)
    assert all(later - earlier >= 2.0 for earlier, later in zip(times, times[3:], strict=False))
    assert w.now - 1000 < 25


def test_closing_a_flow_gives_everything_back(world: Any) -> None:
    """A caller who goes away frees the place and hands the flight to one of those who wait."""
    from lascaux.providers.types import ImageRequest
    from lascaux.router.attempts import request_flow
    from lascaux.router.context import Trail
    from lascaux.router.effects import Join, Lookup, Send

    w = world()
    a = w.deployment("a")
    alias = w.alias("hero", [a])
    trail = Trail(alias=alias, started=w.now, deadline=w.now + 60, attempt_timeout=30)
    flow = request_flow(w.context, ImageRequest(prompt="otter", seed=1), trail)
    assert isinstance(next(flow), Lookup)
    assert isinstance(flow.send(None), Join)
    flight = w.flights.join("k")
    assert isinstance(flow.send(flight), Lookup)
    assert isinstance(flow.send(None), Send)
    assert a.in_flight == 1
    flow.close()
    assert a.in_flight == 0
    assert flight.outcome.result(0) is None
    assert len(w.flights) == 0


def scenario(world: Any, seed: int) -> Any:
    """A random world: aliases, policies, limits, outages, and a burst of requests."""
    rng = Random(seed)
    moods = {f"d{i}": rng.choice(["well", "flaky", "down", "slow", "random"]) for i in range(rng.randint(1, 5))}
    errors: list[Any] = [*FAILURES, lambda: ContentFiltered("blocked"), lambda: Rejected("bad")]

    def script(target: Any, now: float) -> tuple[float, LascauxError | None]:
        mood = moods[target.deployment]
        if mood == "random" or rng.random() < 0.01:
            moods[target.deployment] = rng.choice(["well", "flaky", "down", "slow", "random"])
        latency = rng.uniform(0.01, 3.0) if mood != "slow" else rng.uniform(1.0, 60.0)
        fails = {"well": 0.0, "flaky": 0.4, "down": 1.0, "slow": 0.1, "random": 0.5}[mood]
        return latency, rng.choice(errors)() if rng.random() < fails else None

    w = world(
        seed=seed,
        script=script,
        strategy=rng.choice(sorted(STRATEGIES)),
        cached=rng.random() < 0.5,
        retry=RetryPolicy(
            attempts=rng.randint(1, 4),
            budget=rng.choice([0.0, 0.1, 0.5]),
            attempt_timeout=rng.choice([1.0, 10.0, 40.0]),
            deadline=rng.choice([5.0, 30.0, 120.0]),
        ),
        health=HealthPolicy(
            failures=rng.randint(1, 5),
            cooldown=rng.choice([1.0, 10.0]),
            max_cooldown=rng.choice([10.0, 60.0]),
            panic_threshold=rng.choice([0.0, 0.5, 1.0]),
        ),
    )
    made = [
        w.deployment(
            name,
            model=rng.choice(["model-a", "model-b", "single-c"]),
            rpm=rng.choice([None, None, 5, 30]),
            concurrency=rng.choice([None, None, 2]),
        )
        for name in moods
    ]
    names = ["hero", "second", "third"][: rng.randint(1, 3)]
    for place, name in enumerate(names):
        uses = [(d, rng.choice([1, 3]), rng.choice([0, 0, 1])) for d in rng.sample(made, rng.randint(1, len(made)))]
        w.alias(name, uses, fallbacks=names[place + 1 : place + 2])
    for i in range(rng.randint(1, 40)):
        w.ask("hero", at=rng.uniform(0, 60), prompt=str(i % 7), n=rng.choice([1, 1, 3]), seed=rng.choice([None, 1, 2]))
    return w


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_the_rules_hold(world: Any, seed: int) -> None:
    """It ends before the deadline, keeps to attempts, budget, breakers and limits, and its records add up."""
    w = scenario(world, seed)
    start = w.now
    w.play()
    for end in w.ended:
        trail = end.trail
        assert end.at <= trail.deadline + 1e-6
        made: dict[tuple[int, str], int] = {}
        for attempt in trail.attempts:
            place = (attempt.part, attempt.alias)
            made[place] = made.get(place, 0) + 1
            assert (attempt.error is None) == (attempt.outcome == "ok")
            assert attempt.duration >= 0
            assert trail.started + attempt.started + attempt.duration <= end.at + 1e-6
        assert all(count <= w.retry.attempts for count in made.values())
        assert (end.served is None) != (end.error is None)
        assert all((piece.entry is None) != (piece.error is None) for piece in end.served or ())
        ordinals = sorted(attempt.ordinal for attempt in trail.attempts)
        assert ordinals == list(range(1, len(ordinals) + 1))
    assert sum(len(end.trail.attempts) for end in w.ended) == len(w.sends)
    parts = sum(len({attempt.part for attempt in end.trail.attempts}) for end in w.ended)
    requests = len(w.ended)
    budget = 100 + 10 * (w.now - start) + w.retry.budget * requests if w.retry.budget else 0
    assert len(w.sends) - parts <= budget + 1e-6
    for deployment in w.deployments.values():
        assert deployment.in_flight == 0
        for begun in deployment.begun:
            assert begun.state is not State.OPEN or begun.panic or begun.probe
            assert begun.state is not State.HALF_OPEN or begun.probe or begun.panic
        check_limits(w, deployment)
    assert len(w.flights) == 0


def check_limits(w: Any, deployment: Any) -> None:
    """No window of a minute saw more than rpm."""
    rpm = deployment.limits.rpm
    if rpm is not None:
        times = sorted(at for at, name in w.sends if name == deployment.name)
        assert all(later - earlier >= 60 - 1e-6 for earlier, later in zip(times, times[rpm:], strict=False))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_healthy_deployment_behind_the_chain_saves_every_request(world: Any, seed: int) -> None:
    """With one deployment that always answers, only errors of the caller are ever seen."""
    rng = Random(seed)
    w = world(
        seed=seed,
        script=lambda target, now: (
            (0.5, None) if target.deployment == "rock" else (rng.uniform(0, 2), rng.choice(FAILURES)())
        ),
        retry=RetryPolicy(deadline=60, attempt_timeout=10, billed_budget=1.0),  # a spent one may end a request
    )
    ill = [w.deployment(f"ill{i}", model=rng.choice(["model-a", "single-a"])) for i in range(rng.randint(1, 4))]
    w.alias("hero", ill, fallbacks=["draft"])
    w.alias("draft", [w.deployment("rock", model=rng.choice(["model-a", "single-b"]))])
    for i in range(60):
        w.ask("hero", at=rng.uniform(0, 60), prompt=str(i), n=rng.choice([1, 2]))
    w.play()
    assert [str(end.error) for end in w.ended if end.error] == []
    assert all(piece.error is None for end in w.ended for piece in end.served)


def test_the_retry_budget_ends_a_storm(world: Any) -> None:
    """When everything is down, extra calls stay within reserve, refill and share."""
    w = world(script=down("a", "b"), retry=RetryPolicy(attempts=10))
    w.alias("hero", [w.deployment("a"), w.deployment("b")])
    for i in range(500):
        w.ask("hero", at=i * 0.001, prompt=str(i))
    w.play()
    elapsed = w.now - 1000
    assert len(w.sends) - 500 <= 100 + 10 * elapsed + 0.2 * 500
    assert any("retry budget" in str(end.error) for end in w.ended)


def test_the_deadline_ends_everything(world: Any) -> None:
    """A deployment that never answers holds a request until its deadline, not longer."""
    w = world(script=lambda target, now: (1e9, None), retry=RetryPolicy(attempt_timeout=300, deadline=20))
    w.alias("hero", [w.deployment("a")])
    end = w.run("hero")
    assert isinstance(end.error, DeadlineExceeded)
    assert end.at == 1020
    assert [attempt.outcome for attempt in end.error.attempts] == ["attempt_timeout"]
    assert end.error.may_be_billed


def test_every_error_carries_its_attempts(world: Any) -> None:
    """Also an error of the caller that came after a failed attempt elsewhere."""
    answers = iter([Unavailable("down"), ContentFiltered("blocked")])
    w = world(script=lambda target, now: (0.1, next(answers)))
    w.alias("hero", [w.deployment("a"), w.deployment("b")])
    error = w.run("hero").error
    assert isinstance(error, ContentFiltered)
    assert [attempt.outcome for attempt in error.attempts] == ["unavailable", "content_filtered"]
    assert isinstance(error.attempts[0].error, ProviderError)


@pytest.mark.parametrize("deadline", [2, 8, 12])
def test_a_short_deadline_of_the_alias_still_opens_breakers(world: Any, deadline: float) -> None:
    """Who never answers within the time that the alias itself allows is taken out, however short that is."""
    w = world(
        script=lambda target, now: (1e6 if target.deployment == "hole" else 1.0, None),
        retry=RetryPolicy(deadline=deadline),
    )
    w.alias("hero", [w.deployment("hole"), w.deployment("well")])
    for i in range(200):
        w.ask("hero", at=i * 1.0, prompt=str(i))
    w.play()
    assert w.breakers[0] == ("hole", "open")
    assert sum(name == "hole" for _, name in w.sends) < 25


def test_the_limit_of_one_caller_opens_no_breaker() -> None:
    """It is shorter than the alias's own and than ten seconds. A wait of our own never counts either."""
    late = AttemptTimeout("late")
    assert says_nothing(late, 3.0, RetryPolicy())
    assert says_nothing(late, 3.0, RetryPolicy(deadline=8.0))
    assert not says_nothing(late, 7.9, RetryPolicy(deadline=8.0))
    assert not says_nothing(late, 1.0, RetryPolicy(attempt_timeout=1.0))
    assert says_nothing(AttemptTimeout("queue", may_be_billed=False), 300.0, RetryPolicy())
    assert not says_nothing(Unavailable("down"), 0.1, RetryPolicy())


def test_a_request_that_is_cut_into_parts_pays_once(world: Any) -> None:
    """Ten pictures at a fallback after one call that may be billed: one token of either budget, not ten."""
    w = world(
        script=lambda target, now: (20.0, AttemptTimeout("late")) if target.deployment == "home" else (5.0, None),
        retry=RetryPolicy(),
    )
    w.alias("hero", [w.deployment("home")], fallbacks=["away"])
    w.alias("away", [w.deployment("away", model="single-b")])
    for i in range(3):
        w.ask("hero", n=10, prompt=str(i))
    before = w.context.budget.left(w.now)
    w.play()
    assert [len(end.served) for end in w.ended] == [10, 10, 10]
    assert not any(piece.error for end in w.ended for piece in end.served)
    assert w.context.budget._tokens == pytest.approx(before - 3 + 3 * 0.2)


def test_a_part_pays_for_its_own_second_call(world: Any) -> None:
    """Only the first call of each part is paid for: what it repeats costs a token."""
    failing = {0: True, 1: True}
    calls = iter(range(100))
    w = world(script=lambda target, now: (1.0, ConnectionBroken("gone") if failing.get(next(calls)) else None))
    w.alias("hero", [w.deployment("a", model="single-a"), w.deployment("b", model="single-a")])
    w.ask("hero", n=4)
    w.play()
    assert len(w.sends) == 6
    assert w.context.billed._tokens < 10 - 1.5


def early_world(world: Any, *, waiting: bool) -> Any:
    """One region heals after 40 s, the other is at its limit: requests wait there, or do not."""
    w = world(
        script=lambda target, now: (
            (1.0, Unavailable("down")) if target.deployment == "ill" and 1010 < now < 1045 else (2.0, None)
        ),
        health=HealthPolicy(cooldown=300.0, panic_threshold=0.0),
        retry=RetryPolicy(deadline=120.0),
        strategy="least_request",
    )
    w.alias("hero", [w.deployment("ill"), w.deployment("well", concurrency=1 if waiting else None)])
    for i in range(200):
        w.ask("hero", at=i * 0.5, prompt=str(i))
    w.play()
    return w


def test_a_region_that_heals_is_used_again_while_requests_wait(world: Any) -> None:
    """Within 20 s of its healing, although its cooldown is five minutes."""
    w = early_world(world, waiting=True)
    assert w.breakers[0] == ("ill", "open")
    well_again = [at for at, name in w.sends if name == "ill" and at >= 1045]
    assert well_again[0] <= 1065
    assert w.deployments["ill"].state(w.now) is State.CLOSED


def test_nobody_probes_early_while_others_take_the_requests(world: Any) -> None:
    """The cooldown holds: no request is risked without need."""
    w = early_world(world, waiting=False)
    opened = next(at for at, name in reversed(w.sends) if name == "ill")
    assert opened < 1045
    assert not any(begun.probe for begun in w.deployments["ill"].begun)
    assert all(end.error is None for end in w.ended)


def test_refused_credentials_are_not_probed_early(world: Any) -> None:
    """They need a human: one call, then none, however many wait elsewhere."""
    w = world(
        script=down("ill", error=lambda: CredentialsError("denied")),
        health=HealthPolicy(panic_threshold=0.0),
        retry=RetryPolicy(deadline=120.0),
    )
    w.alias("hero", [(w.deployment("ill"), 1, 0), (w.deployment("well", concurrency=1), 1, 1)])
    for i in range(100):
        w.ask("hero", at=i * 0.8, prompt=str(i))
    w.play()
    assert sum(name == "ill" for _, name in w.sends) == 1
