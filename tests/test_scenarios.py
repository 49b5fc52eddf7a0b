"""Thousands of simulated days: random outages, quotas and latencies, and rules that hold on every one of them.

A few hundred run with the suite; ``make scenarios`` runs ten thousand (``LASCAUX_SCENARIOS``). Every day is made from its
number alone, so a finding is repeated by ``check(Day(number))``.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from random import Random
from typing import Any

import pytest
from lascaux.benchmarks.regions import (
    Latency,
    Outage,
    Quota,
    Region,
    SlidingWindow,
    TokenBucket,
)
from lascaux.providers.errors import LascauxError
from lascaux.router.context import Trail
from lascaux.router.errors import DeadlineExceeded
from lascaux.router.health import HealthPolicy, State
from lascaux.router.retry import RetryPolicy
from lascaux.router.strategies import STRATEGIES

SCENARIOS = int(os.environ.get("LASCAUX_SCENARIOS", "300"))
SHARES = 10
"""The days are split among so many tests, so that none of them takes long."""
RESERVE, REFILL = 100.0, 10.0
"""The retry budget of a quiet service: calls, and calls a second (`RetryBudget`)."""


def random_region(rng: Random, seconds: float) -> Region:
    """A region with a hidden quota or none, and up to three pieces of bad luck."""
    median = rng.uniform(0.3, 5.0)
    rpm = rng.randint(6, 90)
    quota: Quota | None = rng.choice([None, SlidingWindow(rpm), TokenBucket(rpm, rng.randint(1, rpm))])
    outages = []
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        start = rng.uniform(-30.0, seconds)
        kinds: list[Any] = ["error", "throttle", "black_hole", "slow"]
        end = start + rng.choice([2.0, 20.0, seconds])
        share = rng.choice([1.0, 1.0, 0.4])
        outages.append(Outage(kind=rng.choice(kinds), start=1000 + start, end=1000 + end, share=share, factor=10.0))
    return Region(Latency(median, median * rng.uniform(1.2, 5.0)), quota, outages)


class Day:
    """A world of random regions behind one alias and a fallback, and what is asked of it.

    On three days of four there is a *rock*: a region that answers everything, and enough attempts, time and budget to reach
    it. One day in twenty is a *storm*: more requests than the reserve of the retry budget, while everything else is down.
    """

    def __init__(self, world: Any, number: int) -> None:
        self.rng = rng = Random(number)
        self.number = number
        self.storm = number % 20 == 7
        self.rock = number % 4 != 3 and not self.storm
        self.seconds = 4.0 if self.storm else rng.choice([20.0, 60.0, 180.0])
        self.regions = {f"r{i}": self._region(rng) for i in range(rng.randint(1, 4))}
        timeout = rng.choice([2.0, 10.0, 30.0])
        retry = RetryPolicy(
            attempts=6 if self.rock or self.storm else rng.randint(1, 5),
            budget=0.2 if self.rock else rng.choice([0.0, 0.1, 0.2]),
            attempt_timeout=timeout,
            deadline=max(60.0, timeout * 8) if self.rock else rng.choice([5.0, 30.0, 120.0]),
        )
        cooldown = rng.choice([1.0, 10.0, 30.0])
        self.world = world(
            seed=number,
            strategy=rng.choice(sorted(STRATEGIES)),
            cached=False,
            retry=retry,
            health=HealthPolicy(
                failures=rng.randint(1, 6),
                cooldown=cooldown,
                max_cooldown=cooldown * 10,
                panic_threshold=rng.choice([0.0, 0.5, 1.0]),
            ),
            script=lambda target, now: self.regions[target.deployment].ask(now, rng),
        )
        self.lost: list[str] = []
        self.finished, self.world.finished = self.world.finished, self._watch
        self._build(rng)
        self.arrivals = sorted(rng.uniform(0.0, self.seconds) for _ in range(400 if self.storm else rng.randint(1, 60)))
        for place, at in enumerate(self.arrivals):
            self.world.ask("hero", at=at, prompt=str(place))

    def _region(self, rng: Random) -> Region:
        region = random_region(rng, self.seconds)
        if self.storm:
            kind: Any = rng.choice(["error", "throttle"])
            region.outages = [Outage(kind=kind, start=0.0, end=1e9)]
        return region

    def _build(self, rng: Random) -> None:
        """Some deployments in the alias, the others behind it; declared limits on a few. The rock has none."""
        limits = [{}, {}, {"rpm": rng.randint(5, 60)}, {"concurrency": rng.randint(1, 5)}]
        made = [self.world.deployment(name, **({} if self.rock else rng.choice(limits))) for name in self.regions]
        if self.rock:
            self.regions["rock"] = Region(Latency(0.5, 0.8))
            made.append(self.world.deployment("rock"))
        rng.shuffle(made)
        uses = [(deployment, rng.choice([1, 3]), rng.choice([0, 0, 1])) for deployment in made]
        cut = rng.randint(1, len(uses))
        self.world.alias("hero", uses[:cut], fallbacks=["draft"] if uses[cut:] else [])
        if uses[cut:]:
            self.world.alias("draft", uses[cut:])

    def _watch(self, trail: Trail, outcome: Any) -> None:
        """At the end of every request: could somebody have served it?"""
        self.finished(trail, outcome)
        if isinstance(outcome, LascauxError) and not over_budget(outcome):
            spare = self._spare(trail)
            ended = trail.attempts and trail.attempts[-1].started + trail.attempts[-1].duration
            cut_short = isinstance(outcome, DeadlineExceeded) and ended == trail.deadline - trail.started
            if spare and not cut_short:
                self.lost.append(f"{outcome!r} while {', '.join(spare)} could have served it")

    def _spare(self, trail: Trail) -> list[str]:
        """The deployments that are well, have room, are free to be asked, and that this request may still ask."""
        w, found = self.world, []
        if trail.attempts and not w.context.budget.available(w.now):
            return []
        for alias in w.aliases.values():
            used = sum(attempt.alias == alias.name for attempt in trail.attempts)
            if used < w.retry.attempts:
                found += [use.deployment.name for use in alias.uses if self._has_room(use.deployment, trail)]
        return found

    def _has_room(self, deployment: Any, trail: Trail) -> bool:
        """Well, below its hidden quota, free to be asked.

        Whoever has failed this very request must be trusted again, and there must be time for a backoff.
        """
        now, region = self.world.now, self.regions[deployment.name]
        tried = any(attempt.deployment == deployment.name for attempt in trail.attempts)
        late = now + self.world.retry.max_backoff >= trail.deadline
        doubted = tried and (late or deployment.state(now) is not State.CLOSED)
        room = region.quota is None or region.quota.free_at(now) <= now
        own = deployment.free(now) > self.world.context.line.waiting(deployment)  # the others' places are not ours
        return room and own and not region.ill(now) and deployment.ready(now) and not doubted

    def play(self) -> Day:
        """To the end."""
        self.world.play()
        return self


def over_budget(error: LascauxError) -> bool:
    """Was one more call forbidden by a retry budget? That is what budgets are for."""
    return "retry budget" in str(error)


def check(day: Day) -> list[str]:
    """Every rule that was broken."""
    return [*day.lost, *ends(day), *storms(day), *limits(day), *breakers(day), *starvation(day)]


def ends(day: Day) -> list[str]:
    """Everybody gets one answer, in time; what was taken is given back; a rock means a picture for everybody."""
    w, found = day.world, []
    if len(w.ended) != len(day.arrivals):
        found.append(f"{len(day.arrivals)} asked, {len(w.ended)} answered")
    found += [f"late by {end.at - end.trail.deadline} s" for end in w.ended if end.at > end.trail.deadline + 1e-6]
    found += [f"{d.name} keeps {d.in_flight} places" for d in w.deployments.values() if d.in_flight]
    if day.rock:
        lost = [end.error for end in w.ended if end.error and not over_budget(end.error)]
        found += [f"lost beside a healthy deployment: {error}" for error in lost]
    for end in w.ended:
        counts = Counter(attempt.alias for attempt in end.trail.attempts)
        found += [f"{n} attempts in {alias}" for alias, n in counts.items() if n > w.retry.attempts]
        wrong = [a for a in end.trail.attempts if (a.error is None) != (a.outcome == "ok") or a.duration < 0]
        found += [f"a record that makes no sense: {attempt}" for attempt in wrong]
    if sum(len(end.trail.attempts) for end in w.ended) != len(w.sends):
        found.append("calls without a record")
    return found


def storms(day: Day) -> list[str]:
    """At no moment were there more extra calls than the budget's share of the requests so far, its reserve and refill."""
    w = day.world
    firsts = sorted(end.trail.started + end.trail.attempts[0].started for end in w.ended if end.trail.attempts)
    for calls, (at, _) in enumerate(w.sends, 1):
        asked = bisect_right(day.arrivals, at - 1000.0 + 1e-9)
        allowed = RESERVE + REFILL * (at - 1000.0) + w.retry.budget * asked if w.retry.budget else 0.0
        if calls - bisect_right(firsts, at + 1e-9) > allowed + 1e-6:
            return [f"a retry storm: {calls} calls for {asked} requests after {at - 1000.0:.1f} s"]
    return []


def limits(day: Day) -> list[str]:
    """No window of 60 s holds more calls than a declared rpm, no moment more than a declared concurrency."""
    w, found = day.world, []
    for name, deployment in w.deployments.items():
        times = sorted(at for at, to in w.sends if to == name)
        rpm, most = deployment.limits.rpm, deployment.limits.concurrency
        if rpm is not None and any(b - a < 60 - 1e-6 for a, b in zip(times, times[rpm:], strict=False)):
            found.append(f"{name} saw more than {rpm} calls in a minute")
        if most is not None:
            spans = [
                (end.trail.started + a.started, end.trail.started + a.started + a.duration)
                for end in w.ended
                for a in end.trail.attempts
                if a.deployment == name
            ]
            edges = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
            running = 0
            for _, step in edges:
                running += step
                if running > most:
                    found.append(f"{name} saw {running} calls at once")
                    break
    return found


def breakers(day: Day) -> list[str]:
    """An open breaker lets nobody through but in panic, a half-open one a single probe."""
    return [
        f"{begun.deployment} was asked while {begun.state}"
        for deployment in day.world.deployments.values()
        for begun in deployment.begun
        if begun.state is not State.CLOSED and not (begun.probe or begun.panic)
    ]


def starvation(day: Day) -> list[str]:
    """Nobody waits in vain, without a single call, while several who came later get their pictures."""
    w, found = day.world, []
    served = [(e.trail.started, e.trail.started + e.trail.attempts[0].started) for e in w.ended if e.served]
    for end in w.ended:
        if end.trail.attempts or end.at == end.trail.started:
            continue
        overtook = sum(started > end.trail.started and first < end.at for started, first in served)
        if overtook > len(w.deployments):
            found.append(f"starved: waited {end.at - end.trail.started:.1f} s, {overtook} who came later were served")
    return found


@pytest.mark.parametrize("share", range(SHARES))
def test_on_every_simulated_day_the_rules_hold(world: Any, share: int) -> None:
    """No request lost while somebody could serve it, no starvation, no retry storm; limits and breakers are kept."""
    found = {number: check(Day(world, number).play())[:3] for number in range(share, SCENARIOS, SHARES)}
    assert {number: broken for number, broken in found.items() if broken} == {}


def test_a_day_is_repeated_exactly_by_its_number(world: Any) -> None:
    """The same calls at the same moments to the same places."""
    first, second = Day(world, 5).play(), Day(world, 5).play()
    assert first.world.sends == second.world.sends
    assert [end.at for end in first.world.ended] == [end.at for end in second.world.ended]


def test_the_days_have_what_they_are_for(world: Any) -> None:
    """Among them are outages, throttling, full lines, storms and losses: rules that nothing touches prove nothing."""
    days = [Day(world, number).play() for number in (*range(40), *range(47, 200, 20))]
    outcomes = Counter(a.outcome for day in days for end in day.world.ended for a in end.trail.attempts)
    assert all(outcomes[kind] > 10 for kind in ("ok", "throttled", "unavailable", "attempt_timeout"))
    assert any(end.error for day in days for end in day.world.ended if not day.storm)
    assert any(end.error and over_budget(end.error) for day in days if day.storm for end in day.world.ended)
    assert any(day.world.breakers for day in days)
