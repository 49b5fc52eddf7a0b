"""Every strategy, under the same contract."""

from __future__ import annotations

import copy
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.types import Target
from lascaux.router.deployment import Deployment, Permit
from lascaux.router.health import HealthPolicy
from lascaux.router.pool import Field, Selection, Tier, Use
from lascaux.router.strategies import STRATEGIES

NAMES = sorted(STRATEGIES)


class Counted(Deployment):
    """A deployment that counts how often it was looked at."""

    __slots__ = ("looks",)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.looks = 0

    def ready(self, now: float) -> bool:
        self.looks += 1
        return super().ready(now)


def some(weights: list[float], priorities: list[int] | None = None) -> list[Use]:
    """Healthy deployments d0, d1, ..."""
    return [
        Use(
            deployment=Counted(
                Target(deployment=f"d{i}", model="m", model_id="m", region="us-west-2"), health=HealthPolicy()
            ),
            weight=weight,
            priority=priorities[i] if priorities else 0,
        )
        for i, weight in enumerate(weights)
    ]


def looks(tier: Tier) -> int:
    """How often anybody was looked at."""
    return sum(use.deployment.looks for use in tier.uses if isinstance(use.deployment, Counted))


def name_of(use: Use | None) -> str | None:
    """Who was picked."""
    return use.name if use else None


def rest(use: Use, seconds: float) -> None:
    """Let nobody ask it for a while."""
    use.deployment._breaker.rest_until = seconds


@pytest.fixture(params=NAMES)
def strategy(request: pytest.FixtureRequest) -> Any:
    """Each strategy, with a fixed seed."""
    return STRATEGIES[request.param](Random(1))


@given(st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=8), st.integers(0, 99))
@pytest.mark.parametrize("name", NAMES)
def test_it_picks_one_of_those_it_is_given(name: str, weights: list[float], seed: int) -> None:
    """Never somebody else, never nobody."""
    tier = Tier(some(weights))
    strategy = STRATEGIES[name](Random(seed))
    assert all(strategy.pick(Field(tier, 0.0)) in tier.uses for _ in range(5))


@given(
    st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=60),
    st.sets(st.integers(0, 59)),
    st.sets(st.integers(0, 59)),
    st.integers(0, 99),
)
@pytest.mark.parametrize("name", NAMES)
def test_it_picks_exactly_when_somebody_may_be_asked(
    name: str, weights: list[float], resting: set[int], tried: set[int], seed: int
) -> None:
    """Never one who rests or was tried; nobody only if that holds for all."""
    tier = Tier(some(weights))
    for place in resting & set(range(len(weights))):
        rest(tier.uses[place], 60.0)
    names = {f"d{place}" for place in tried}
    left = {use.name for place, use in enumerate(tier.uses) if place not in resting and use.name not in names}
    strategy = STRATEGIES[name](Random(seed))
    for _ in range(5):
        picked = strategy.pick(Field(tier, 0.0, tried=names))
        assert (picked.name in left) if picked else not left


def test_weights_are_shares(strategy: Any) -> None:
    """Three times the weight is about three times the traffic, when calls are held for a while."""
    tier = Tier(some([3.0, 1.0]))
    picked: Counter[str] = Counter()
    running: list[Permit] = []
    for now in range(4000):
        use = strategy.pick(Field(tier, float(now)))
        running.append(use.deployment.begin(use, float(now)))
        picked[use.name] += 1
        if len(running) > 40:
            done = running.pop(0)
            done.candidate.deployment.settle(done, float(now))
    assert picked["d0"] / 4000 == pytest.approx(0.75, abs=0.05)


def test_weights_are_shares_of_single_calls_too(strategy: Any) -> None:
    """Also when never more than one call is under way."""
    tier = Tier(some([3.0, 1.0]))
    picked = Counter(name_of(strategy.pick(Field(tier, float(now)))) for now in range(4000))
    assert picked["d0"] / 4000 == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_replays_the_same_picks(name: str) -> None:
    """A decision can be repeated exactly, and a copy of the strategy decides as the strategy will."""
    tier = Tier(some([1.0, 2.0, 3.0]))
    first, second = STRATEGIES[name](Random(7)), STRATEGIES[name](Random(7))
    picks = [first.pick(Field(tier, 0.0)) for _ in range(50)]
    assert [second.pick(Field(tier, 0.0)) for _ in range(50)] == picks
    twin = copy.deepcopy(first)
    ahead = [twin.pick(Field(tier, 0.0)) for _ in range(50)]
    assert [first.pick(Field(tier, 0.0)) for _ in range(50)] == ahead


@pytest.mark.parametrize("resting", [0, 500])
def test_a_pick_does_not_look_at_everybody(strategy: Any, resting: int) -> None:
    """Among a thousand a few are looked at, also when half of them rest."""
    tier = Tier(some([1.0, 2.0, 3.0, 4.0] * 250))
    for use in tier.uses[:resting]:
        rest(use, 1e9)
    for now in range(200):
        assert strategy.pick(Field(tier, float(now))) is not None
    assert looks(tier) / 200 <= (3 if not resting else 12)


def test_who_is_let_in_slowly_gets_a_share(strategy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of its weight is a tenth of its traffic; and alone it takes all."""
    monkeypatch.setattr(Counted, "share", lambda self, now: 0.1 if self.name == "d0" else 1.0, raising=False)
    tier = Tier(some([1.0] * 4))
    picked = Counter(name_of(strategy.pick(Field(tier, float(now)))) for now in range(4000))
    assert picked["d0"] / 4000 < 0.06
    assert all(name_of(strategy.pick(Field(Tier(tier.uses[:1]), 0.0))) == "d0" for _ in range(20))


def test_round_robin_interleaves() -> None:
    """Weights 2, 1, 1 do not clump: nobody waits longer than a full turn."""
    tier = Tier(some([2.0, 1.0, 1.0]))
    strategy = STRATEGIES["round_robin"](Random(0))
    assert [name_of(strategy.pick(Field(tier, 0.0))) for _ in range(8)] == ["d0", "d1", "d2", "d0"] * 2


def test_round_robin_owes_nothing_to_who_was_away() -> None:
    """After a rest of many turns it takes its share again, not all that it has missed."""
    tier = Tier(some([1.0, 1.0]))
    strategy = STRATEGIES["round_robin"](Random(0))
    rest(tier.uses[1], 100.0)
    assert {name_of(strategy.pick(Field(tier, float(now)))) for now in range(100)} == {"d0"}
    back = [name_of(strategy.pick(Field(tier, 100.0))) for _ in range(10)]
    assert Counter(back) == {"d0": 5, "d1": 5}


def test_least_request_avoids_the_busy() -> None:
    """With everything in flight at one of two, the other is picked."""
    tier = Tier(some([1.0, 1.0]))
    strategy = STRATEGIES["least_request"](Random(0))
    tier.uses[0].deployment.in_flight = 5
    assert {name_of(strategy.pick(Field(tier, 0.0))) for _ in range(20)} == {"d1"}


def test_tiers_are_the_living_by_priority_then_the_retired() -> None:
    """In the order in which they are asked."""
    uses = some([1.0] * 4, [1, 0, 2, 0])
    uses[1].deployment.retired = True
    tiers = Selection.of(uses).tiers
    assert [([use.name for use in tier.uses], tier.retired) for tier in tiers] == [
        (["d3"], False),
        (["d0"], False),
        (["d2"], False),
        (["d1"], True),
    ]
