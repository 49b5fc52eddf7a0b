"""Every strategy, under the same contract."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.types import Target
from lascaux.router.deployment import Candidate, Deployment
from lascaux.router.health import HealthPolicy
from lascaux.router.strategies import STRATEGIES, choose, least_bad


def candidates(weights: list[float], priorities: list[int] | None = None) -> list[Candidate]:
    """Healthy candidates d0, d1, ..."""
    return [
        Candidate(
            deployment=Deployment(
                Target(deployment=f"d{i}", model="m", model_id="m", region="us-west-2"), health=HealthPolicy()
            ),
            calls=(),
            weight=weight,
            priority=priorities[i] if priorities else 0,
        )
        for i, weight in enumerate(weights)
    ]


@pytest.fixture(params=sorted(STRATEGIES))
def strategy(request: pytest.FixtureRequest) -> Any:
    """Each strategy, with a fixed seed."""
    return STRATEGIES[request.param](Random(1))


@given(st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=8), st.integers(0, 99))
@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_it_picks_one_of_those_it_is_given(name: str, weights: list[float], seed: int) -> None:
    """Never somebody else, never nobody."""
    pool = candidates(weights)
    strategy = STRATEGIES[name](Random(seed))
    assert all(strategy.pick(pool) in pool for _ in range(5))


def test_weights_are_shares(strategy: Any) -> None:
    """Three times the weight is about three times the traffic, when calls are held for a while."""
    pool = candidates([3.0, 1.0])
    picked: Counter[str] = Counter()
    running: list[Any] = []
    for now in range(4000):
        permit = choose(pool, strategy, float(now))
        assert permit is not None
        running.append(permit)
        picked[permit.candidate.name] += 1
        if len(running) > 40:
            done = running.pop(0)
            done.candidate.deployment.settle(done, float(now))
    assert picked["d0"] / 4000 == pytest.approx(0.75, abs=0.05)


def test_the_same_seed_replays_the_same_picks() -> None:
    """A decision can be repeated exactly."""
    pool = candidates([1.0, 2.0, 3.0])
    for make in STRATEGIES.values():
        first, second = make(Random(7)), make(Random(7))
        assert [first.pick(pool).name for _ in range(50)] == [second.pick(pool).name for _ in range(50)]


def test_round_robin_interleaves() -> None:
    """Weights 2, 1, 1 do not clump: nobody waits longer than a full turn."""
    pool = candidates([2.0, 1.0, 1.0])
    strategy = STRATEGIES["round_robin"](Random(0))
    assert [strategy.pick(pool).name for _ in range(8)] == ["d0", "d1", "d2", "d0"] * 2


def test_least_request_avoids_the_busy() -> None:
    """With everything in flight at one of two, the other is picked."""
    pool = candidates([1.0, 1.0])
    strategy = STRATEGIES["least_request"](Random(0))
    pool[0].deployment.in_flight = 5
    assert {strategy.pick(pool).name for _ in range(20)} == {"d1"}


def test_choose_takes_the_first_priority_that_is_ready(strategy: Any) -> None:
    """And the next when it was tried."""
    pool = candidates([1.0, 1.0, 1.0], [1, 0, 2])
    assert choose(pool, strategy, 0.0).candidate.name == "d1"  # type: ignore[union-attr]
    assert choose(pool, strategy, 0.0, tried={"d1"}).candidate.name == "d0"  # type: ignore[union-attr]
    assert choose(pool, strategy, 0.0, tried={"d0", "d1", "d2"}) is None


def test_retired_models_wait_behind_every_priority(strategy: Any) -> None:
    """Asked only when nobody living is ready."""
    pool = candidates([1.0, 1.0], [0, 5])
    pool[0].deployment.retired = True
    assert choose(pool, strategy, 0.0).candidate.name == "d1"  # type: ignore[union-attr]
    assert choose(pool, strategy, 0.0, tried={"d1"}).candidate.name == "d0"  # type: ignore[union-attr]


def test_nobody_is_least_bad_among_the_healthy() -> None:
    """Panic is for open breakers only."""
    assert least_bad(candidates([1.0, 1.0]), 0.0, 0.5) is None
    assert least_bad([], 0.0, 0.5) is None
