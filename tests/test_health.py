"""The circuit breaker, told the time."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.errors import Effect
from lascaux.router.health import CircuitBreaker, HealthPolicy, State

POLICY = HealthPolicy(failures=3, cooldown=30, max_cooldown=300)


def opened() -> CircuitBreaker:
    """A breaker that three failures at time 0 have opened."""
    breaker = CircuitBreaker(POLICY)
    for _ in range(3):
        breaker.failed(Effect.FAILURE, 0.0, probe=False)
    return breaker


def test_failures_open_it_when_they_are_half_of_the_calls() -> None:
    """Two of three calls fail: no three failures in a row, and yet it is ill. One of three is not."""
    breaker = CircuitBreaker(POLICY)
    for _ in range(2):
        breaker.failed(Effect.FAILURE, 0.0, probe=False)
        breaker.succeeded(0.0, probe=False)
    assert breaker.state(0.0) is State.CLOSED
    breaker.failed(Effect.FAILURE, 0.0, probe=False)
    assert breaker.state(0.0) is State.OPEN
    well = CircuitBreaker(POLICY)
    for second in range(100):
        well.failed(Effect.FAILURE, second / 10, probe=False)
        well.succeeded(second / 10, probe=False)
        well.succeeded(second / 10, probe=False)
    assert well.state(10.0) is State.CLOSED


def test_a_few_calls_are_no_evidence() -> None:
    """Every second call of a quiet service fails: the window never holds enough of them to tell."""
    breaker = CircuitBreaker(POLICY)
    for minute in range(30):
        breaker.failed(Effect.FAILURE, minute * 20.0, probe=False)
        breaker.succeeded(minute * 20.0 + 1.0, probe=False)
    assert breaker.state(600.0) is State.CLOSED


def test_cooldowns_have_jitter_within_their_bounds() -> None:
    """A tenth more or less, never the same twice, never above max_cooldown."""
    waits, longest = [], []
    for seed in range(50):
        breaker = CircuitBreaker(POLICY, Random(seed))
        for _ in range(3):
            breaker.failed(Effect.FAILURE, 0.0, probe=False)
        waits.append(breaker.ready_in(0.0))
        breaker.failed(Effect.OUT, 0.0, probe=False)
        longest.append(breaker.ready_in(0.0))
    assert len(set(waits)) == len(set(longest)) == 50
    assert all(270 <= wait <= 300 for wait in longest)
    assert all(27 <= wait <= 33 for wait in waits)


def test_who_comes_back_starts_slowly() -> None:
    """A tenth of the traffic after the probe, all of it after slow_start; one that never fell takes all."""
    breaker = opened()
    assert CircuitBreaker(POLICY).share(0.0) == 1.0
    breaker.begin(30.0)
    breaker.succeeded(31.0, probe=True)
    shares = [breaker.share(31.0 + seconds) for seconds in (0, 10, 20, 30, 40)]
    assert shares == pytest.approx([0.1, 0.4, 0.7, 1.0, 1.0])


def test_slow_start_can_be_switched_off() -> None:
    """Zero seconds."""
    breaker = CircuitBreaker(HealthPolicy(failures=1, slow_start=0.0))
    breaker.failed(Effect.FAILURE, 0.0, probe=False)
    breaker.begin(30.0)
    breaker.succeeded(30.0, probe=True)
    assert breaker.share(30.0) == 1.0


def test_it_opens_half_opens_and_closes() -> None:
    """30 seconds, one probe, and back."""
    breaker = opened()
    assert breaker.state(29.9) is State.OPEN
    assert not breaker.admits(29.9)
    assert breaker.ready_in(10.0) == 20.0
    assert breaker.state(30.0) is State.HALF_OPEN
    assert breaker.begin(30.0)
    assert not breaker.admits(30.0)
    assert not breaker.begin(30.0)
    breaker.succeeded(30.0, probe=True)
    assert breaker.state(30.0) is State.CLOSED


def test_late_answers_of_older_calls_change_nothing() -> None:
    """Neither a late success closes an open breaker, nor a late failure keeps it open."""
    breaker = opened()
    breaker.succeeded(24.0, probe=False)
    breaker.failed(Effect.FAILURE, 25.0, probe=False)
    assert breaker.state(29.0) is State.OPEN
    assert breaker.state(30.0) is State.HALF_OPEN


def test_an_abandoned_probe_makes_room_for_the_next() -> None:
    """A caller who goes away proves nothing."""
    breaker = opened()
    assert breaker.begin(30.0)
    breaker.abandoned(probe=True)
    assert breaker.admits(30.0)


def test_throttling_rests_without_opening() -> None:
    """Retry-After to the second; without it one second, then longer, never beyond the cooldown."""
    breaker = CircuitBreaker(POLICY)
    breaker.failed(Effect.COOLDOWN, 0.0, probe=False, retry_after=7.0)
    assert breaker.state(0.0) is State.CLOSED
    assert not breaker.admits(6.9)
    assert breaker.admits(7.0)
    now, rests = 100.0, []
    breaker = CircuitBreaker(POLICY)
    for _ in range(8):
        breaker.failed(Effect.COOLDOWN, now, probe=False)
        rests.append(breaker.ready_in(now))
        now += rests[-1]
    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]


def test_retry_after_is_bounded() -> None:
    """A provider that says "a day" does not take a deployment out for a day."""
    breaker = CircuitBreaker(POLICY)
    breaker.failed(Effect.COOLDOWN, 0.0, probe=False, retry_after=86400.0)
    assert breaker.ready_in(0.0) == 300


def test_a_burst_of_throttled_answers_is_one_rest() -> None:
    """Calls that were on their way already do not stretch the rest."""
    breaker = CircuitBreaker(POLICY)
    for _ in range(50):
        breaker.failed(Effect.COOLDOWN, 0.0, probe=False)
    assert breaker.ready_in(0.0) == 1.0


def test_credentials_take_it_out_at_once_and_for_long() -> None:
    """One refused signature is enough."""
    breaker = CircuitBreaker(POLICY)
    breaker.failed(Effect.OUT, 0.0, probe=False)
    assert breaker.ready_in(0.0) == pytest.approx(300)


@given(st.lists(st.tuples(st.sampled_from([*Effect, "ok", "gone"]), st.floats(0, 100)), max_size=60))
def test_it_never_lets_two_probes_through_and_never_stays_shut(steps: list[tuple[str, float]]) -> None:
    """After any history, waiting max_cooldown lets exactly one call through."""
    breaker, now = CircuitBreaker(POLICY), 0.0
    for outcome, seconds in steps:
        now += seconds
        if not breaker.admits(now):
            continue
        probe = breaker.begin(now)
        if probe:
            assert not breaker.admits(now)
        if outcome == "ok":
            breaker.succeeded(now, probe=probe)
        elif outcome == "gone":
            breaker.abandoned(probe=probe)
        else:
            breaker.failed(Effect(outcome), now, probe=probe)
    assert breaker.admits(now + POLICY.max_cooldown)


def test_an_early_probe_is_let_through_before_the_cooldown_is_over() -> None:
    """After 10 s the first time, later each time, after 20 s at the most; one at a time; it is no ordinary call."""
    breaker, now, waits = opened(), 0.0, []
    for _ in range(6):
        early = breaker.early_in(now)
        assert early is not None
        waits.append(early)
        assert not breaker.admits_early(now + early - 0.1)
        now += early
        assert breaker.admits_early(now)
        assert not breaker.admits(now)
        assert breaker.begin(now, early=True)
        assert not breaker.admits_early(now)
        assert breaker.early_in(now) is None
        breaker.failed(Effect.FAILURE, now, probe=True)
    assert waits == pytest.approx([10.0, 12.5, 15.625, 19.53125, 20.0, 20.0])
    now += 20.0
    breaker.begin(now, early=True)
    breaker.succeeded(now + 1.0, probe=True)
    assert breaker.state(now + 1.0) is State.CLOSED
    assert not breaker.admits_early(now + 1.0)


@pytest.mark.parametrize("rng", [None, Random(1), Random(2)])
def test_who_is_out_gets_no_early_probe(rng: Random | None) -> None:
    """Refused credentials do not mend themselves: nothing before the cooldown is over, nor while it rests."""
    breaker = CircuitBreaker(POLICY, rng)
    breaker.failed(Effect.OUT, 0.0, probe=False)
    end = breaker.ready_in(0.0)
    assert end >= 270
    assert breaker.early_in(0.0) == pytest.approx(end)
    assert not any(breaker.admits_early(second * 1.0) for second in range(270))
    resting = opened()
    resting.rest(0.0, 25.0)
    assert not resting.admits_early(24.0)
