"""From a step of the plan to a place: priorities, retirement, panic, and how little is looked at."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from lascaux.providers.types import ImageRequest
from lascaux.router.choice import choose, least_bad, somebody
from lascaux.router.plan import Step
from lascaux.router.records import Exclusion, Exclusions
from lascaux.router.strategies import STRATEGIES

TODAY = date(2026, 11, 22)


@pytest.fixture(params=sorted(STRATEGIES))
def w(request: pytest.FixtureRequest, world: Any) -> Any:
    """A world with each strategy."""
    return world(strategy=request.param)


def step_of(w: Any, alias: str = "hero", *, n: int = 1, today: date = TODAY) -> Step:
    """The plan of one request."""
    step: Step = w.context.planner.step(w.aliases[alias], ImageRequest(prompt="otter", n=n), today=today)
    return step


def name_of(permit: Any) -> str | None:
    """Who it is for."""
    return permit.candidate.name if permit else None


def test_the_first_priority_that_is_ready_wins(w: Any) -> None:
    """And the next when it was tried."""
    w.alias("hero", [(w.deployment("a"), 1, 1), (w.deployment("b"), 1, 0), (w.deployment("c"), 1, 2)])
    step = step_of(w)
    assert name_of(choose(step, 0.0)) == "b"
    assert name_of(choose(step, 0.0, tried={"b"})) == "a"
    assert choose(step, 0.0, tried={"a", "b", "c"}) is None
    assert somebody(step, 0.0)
    assert not somebody(step, 0.0, tried={"a", "b", "c"})


def test_retired_models_wait_behind_every_priority(w: Any) -> None:
    """Asked only when nobody living is ready, also if that is learned after the plan was made."""
    a, b = w.deployment("a"), w.deployment("b")
    w.alias("hero", [(a, 1, 0), (b, 1, 5)])
    before = step_of(w)
    a.retired = True
    for step in (before, step_of(w)):
        assert name_of(choose(step, 0.0)) == "b"
        assert somebody(step, 0.0, tried={"b"})
        assert name_of(choose(step, 0.0, tried={"b"})) == "a"


def test_a_day_makes_a_model_old(w: Any) -> None:
    """On its last day it is moved behind the others, and its calls say so."""
    w.alias("hero", [(w.deployment("old", eol=date(2026, 12, 1)), 1, 0), (w.deployment("new"), 1, 1)])
    assert name_of(choose(step_of(w), 0.0)) == "old"
    later = step_of(w, today=date(2026, 12, 1))
    assert name_of(choose(later, 0.0)) == "new"
    last = choose(later, 0.0, tried={"new"})
    assert last is not None
    assert [warning.code for warning in last.candidate.calls[0].warnings] == ["retired"]


def test_nobody_is_least_bad_among_the_healthy(w: Any) -> None:
    """Panic is for open breakers only."""
    w.alias("hero", [w.deployment("a"), w.deployment("b")])
    assert least_bad(step_of(w), 0.0, 0.5) is None
    w.alias("none", [])
    assert least_bad(step_of(w, "none"), 0.0, 0.5) is None


def test_a_model_is_matched_once_however_many_deployments_it_has(w: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand deployments of three models are three matches, and a handful of looks."""
    written: list[str] = []
    looked: list[str] = []
    prepare = type(w.context.planner._provider).prepare

    def counted(self: Any, request: ImageRequest, target: Any) -> Any:
        written.append(target.model)
        return prepare(self, request, target)

    monkeypatch.setattr(type(w.context.planner._provider), "prepare", counted)
    ready = type(w.deployment("first")).ready

    def watched(self: Any, now: float) -> Any:
        looked.append(self.name)
        return ready(self, now)

    monkeypatch.setattr(type(w.deployment("first")), "ready", watched)
    w.alias("hero", [w.deployment(f"d{i}", model=f"model-{'abc'[i % 3]}") for i in range(1000)])
    assert w.run("hero").error is None
    assert sorted(written) == ["model-a", "model-b", "model-c"]
    assert len(looked) <= 3
    step = step_of(w)
    looked.clear()
    assert somebody(step, w.now)
    assert len(looked) == 1


def test_who_was_left_out_is_written_out_only_when_somebody_looks() -> None:
    """One reason for many; in the order of the configuration, each alias for itself, each reason once."""
    odd = Exclusion("hero", "too old", [(1, "b"), (3, "d")])
    even = Exclusion("hero", "can not", [(0, "a"), (2, "c")])
    away = Exclusion("draft", "can not", [(0, "a")])
    found = Exclusions([odd, even, away, even])
    assert len(found) == 5
    assert [str(skipped) for skipped in found] == ["a: can not", "b: too old", "c: can not", "d: too old", "a: can not"]
    assert found[-1].alias == "draft"
    assert found == Exclusions([odd, even, away]) == tuple(found)
    assert found != Exclusions([odd])
    assert found != [*found]
    assert hash(found) == hash(tuple(found))
    assert repr(found) == repr(tuple(found))
    assert not Exclusions()
