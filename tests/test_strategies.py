"""Every strategy, under the same contract."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.pricing import Cost
from lascaux.providers.errors import AttemptTimeout, LascauxError, Throttled, Unavailable
from lascaux.providers.types import Call, Target, Task
from lascaux.router.deployment import Deployment, Permit
from lascaux.router.health import HealthPolicy
from lascaux.router.latency import Latencies
from lascaux.router.pool import Field, Offer, Order, Selection, Tier, Use
from lascaux.router.rendezvous import Tree, mix
from lascaux.router.strategies import STRATEGIES, LowestLatency

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
        use = strategy.pick(Field(tier, float(now), order=order(mix(now, 0))))
        running.append(use.deployment.begin(use, float(now)))
        picked[use.name] += 1
        if len(running) > 40:
            done = running.pop(0)
            done.candidate.deployment.settle(done, float(now))
    assert picked["d0"] / 4000 == pytest.approx(0.75, abs=0.05)


def test_weights_are_shares_of_single_calls_too(strategy: Any) -> None:
    """Also when never more than one call is under way."""
    tier = Tier(some([3.0, 1.0]))
    picked = Counter(name_of(strategy.pick(Field(tier, float(now), order=order(mix(now, 0))))) for now in range(4000))
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
        assert strategy.pick(Field(tier, float(now), order=order(mix(now, 0)))) is not None
    assert looks(tier) / 200 <= (3 if not resting else 12)


def test_who_is_let_in_slowly_gets_a_share(strategy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of its weight is a tenth of its traffic; and alone it takes all."""
    monkeypatch.setattr(Counted, "share", lambda self, now: 0.1 if self.name == "d0" else 1.0, raising=False)
    tier = Tier(some([1.0] * 4))
    picked = Counter(name_of(strategy.pick(Field(tier, float(now), order=order(mix(now, 0))))) for now in range(4000))
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


def order(key: int = 0, price: Any = None, *, model: str = "m", **call: Any) -> Order:
    """A request for one picture."""
    made = Call(model=model, family="f", task=Task.TEXT_TO_IMAGE, body={}, **call)
    return Order(offers={model: Offer(calls=(made,))}, price=price, key=lambda: key)


def taught(strategy: LowestLatency, tier: Tier, seconds: dict[str, float], **more: Any) -> None:
    """Let every deployment answer once."""
    for use in tier.uses:
        candidate = order(**more).offers["m"].by(use)
        strategy.learn(candidate, 0.0, seconds[use.name], None)


def test_lowest_latency_prefers_the_fast() -> None:
    """And comes back to the slow one when what it knows has faded."""
    tier = Tier(some([1.0, 1.0]))
    strategy = LowestLatency(Random(0))
    taught(strategy, tier, {"d0": 2.0, "d1": 6.0})
    for now in range(20):
        assert name_of(strategy.pick(Field(tier, float(now), order=order()))) == "d0"
        strategy.learn(order().offers["m"].by(tier.uses[0]), float(now), 2.0, None)
    later = set()
    for now in range(20, 120):
        later.add(name_of(strategy.pick(Field(tier, float(now), order=order()))))
        strategy.learn(order().offers["m"].by(tier.uses[0]), float(now), 2.0, None)
    assert "d1" in later


def test_lowest_latency_sends_the_queue_elsewhere() -> None:
    """A fast one with many calls before ours is slower than a slow one with none."""
    tier = Tier(some([1.0, 1.0]))
    strategy = LowestLatency(Random(0))
    taught(strategy, tier, {"d0": 2.0, "d1": 6.0})
    tier.uses[0].deployment.in_flight = 4
    assert name_of(strategy.pick(Field(tier, 0.0, order=order()))) == "d1"


def test_lowest_latency_does_not_take_a_long_task_for_an_illness() -> None:
    """Who was asked for large pictures is as fast as who was asked for small ones."""
    latencies = Latencies()
    for now in range(10):
        latencies.learn("small", ("m", "t", 1, 1), float(now), 2.0)
        latencies.learn("large", ("m", "t", 8, 1), float(now), 60.0)
    assert latencies.ratio("small", 10.0) == latencies.ratio("large", 10.0)
    assert latencies.typical(("m", "t", 8, 1)) == 60.0


@pytest.mark.parametrize(
    ("error", "picked"), [(Unavailable("down"), "d0"), (AttemptTimeout("hangs"), "d0"), (Throttled("slow"), "d1")]
)
def test_a_quick_failure_is_not_fast(error: LascauxError, picked: str) -> None:
    """It counts as slow; throttling, which says nothing about speed, does not count."""
    tier = Tier(some([1.0, 1.0]))
    strategy = LowestLatency(Random(0))
    taught(strategy, tier, {"d0": 2.1, "d1": 2.0})
    strategy.learn(order().offers["m"].by(tier.uses[1]), 0.0, 0.01, error)
    assert {name_of(strategy.pick(Field(tier, 0.0, order=order()))) for _ in range(9)} == {picked}


def test_lowest_cost_picks_the_cheapest_and_the_unknown_last() -> None:
    """By the price of this very request at each place; ties are shared."""

    def price(target: Target, call: Call) -> Cost:
        usd = {"d0": None, "d1": "0.08", "d2": "0.04", "d3": "0.04"}[target.deployment]
        return Cost(usd=Decimal(usd) if usd else None, table="t", images=1)

    uses = [placed(use, region) for use, region in zip(some([1.0] * 4), "abcc", strict=True)]
    tier = Tier(uses)
    strategy = STRATEGIES["lowest_cost"](Random(0))
    field = Field(tier, 0.0, order=order(price=price))
    assert {name_of(strategy.pick(field)) for _ in range(20)} == {"d2", "d3"}
    for tried, left in (({"d2"}, "d3"), ({"d2", "d3"}, "d1"), ({"d1", "d2", "d3"}, "d0")):
        assert name_of(strategy.pick(Field(tier, 0.0, tried=tried, order=order(price=price)))) == left


def placed(use: Use, region: str) -> Use:
    """The same somewhere else."""
    use.deployment.target = replace(use.deployment.target, region=region)
    return use


def test_sticky_finds_the_same_again() -> None:
    """Also in another process, another order and with another rng; keys are spread by weight."""
    uses = some([1.0, 2.0, 1.0])
    here, there = Tier(uses), Tier(reversed(uses))
    first, second = STRATEGIES["sticky"](Random(1)), STRATEGIES["sticky"](Random(2))
    keys = [mix(key, 1) for key in range(4000)]
    found = [name_of(first.pick(Field(here, 0.0, order=order(key)))) for key in keys]
    assert [name_of(second.pick(Field(there, 0.0, order=order(key)))) for key in keys] == found
    assert Counter(found)["d1"] / 4000 == pytest.approx(0.5, abs=0.04)


def test_sticky_spreads_the_keys_of_one_that_is_away() -> None:
    """Over all others, and nobody else's key moves."""
    tier = Tier(some([1.0] * 5))
    strategy = STRATEGIES["sticky"](Random(1))
    keys = [mix(key, 2) for key in range(4000)]
    before = {key: name_of(strategy.pick(Field(tier, 0.0, order=order(key)))) for key in keys}
    rest(tier.uses[0], 10.0)
    after = {key: name_of(strategy.pick(Field(tier, 0.0, order=order(key)))) for key in keys}
    moved = Counter(after[key] for key in keys if before[key] == "d0")
    assert all(after[key] == before[key] for key in keys if before[key] != "d0")
    assert min(moved[f"d{i}"] for i in range(1, 5)) > 0.15 * sum(moved.values())


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_a_tree_moves_few_keys_when_one_member_goes(n: int) -> None:
    """Its own, and about as many again from its groups; weights hold before and after."""
    members = [(f"d{i}", 1.0 + i % 3) for i in range(n)]
    whole, less = Tree(members), Tree(members[1:])
    keys = [mix(key, 3) for key in range(5_000)]
    moved = sum(members[whole.find(key)][0] != members[1:][less.find(key)][0] for key in keys)
    assert moved / len(keys) <= 3.5 / sum(weight for _, weight in members) + 0.01


def test_a_name_that_stands_there_twice_has_both_weights() -> None:
    """A tree of one name is no endless one."""
    assert Tree([("a", 1.0), ("a", 2.0)]).find(7) == 0


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
