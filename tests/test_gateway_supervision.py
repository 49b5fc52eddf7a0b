"""What the supervisor decides: when a worker is started, replaced, given up, killed. No process, no clock."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.gateway.supervision import Patience, Supervision
from lascaux.gateway.supervisor import how_it_ended

PATIENCE = Patience(start=60, first=0.1, most=30, calm=20)


def opened(count: int = 2) -> Supervision:
    """Everybody is ready at 0."""
    supervision = Supervision(count, 0.0, PATIENCE)
    for index in supervision.due(0.0):
        supervision.started(index, 0.0)
        supervision.ready(index, 0.0)
    return supervision


def test_the_gateway_is_open_once_all_are_ready() -> None:
    """All are started at once; the last to be ready opens it, and only once."""
    supervision = Supervision(2, 0.0, PATIENCE)
    assert supervision.due(0.0) == [0, 1]
    for index in (0, 1):
        supervision.started(index, 0.0)
    assert (supervision.due(0.0), supervision.wait(1.0)) == ([], 59.0)
    assert supervision.ready(1, 1.0) is False
    assert supervision.ready(0, 2.0) is True
    assert (supervision.opened, supervision.wait(2.0)) == (True, None)
    supervision.ended(1, 3.0)
    supervision.started(1, 3.0)
    assert supervision.ready(1, 4.0) is False


def test_a_worker_that_ends_is_replaced_at_once_and_in_a_loop_ever_later() -> None:
    """0, 0.1, 0.2, ... 30 seconds; one that lives a while is forgiven."""
    supervision, now, pauses = opened(), 5.0, []
    for _ in range(12):
        pause = supervision.ended(0, now)
        assert pause is not None
        pauses.append(round(pause, 6))
        assert supervision.due(now + pause) == [0]
        assert pause == 0 or supervision.due(now + pause - 0.01) == []
        now += pause
        supervision.started(0, now)
        supervision.ready(0, now)
        now += 19.9
    assert pauses == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    assert supervision.ended(0, now + 0.1) == 0


def test_who_ends_before_the_gateway_was_open_ends_it() -> None:
    """Nobody is replaced; the others are killed, each once, and then it is over."""
    supervision = Supervision(3, 0.0, PATIENCE)
    for index in (0, 1, 2):
        supervision.started(index, 0.0)
    supervision.ready(2, 0.5)
    assert supervision.ended(1, 1.0) is None
    assert (supervision.failed, supervision.over, supervision.due(99.0)) == (True, False, [])
    assert supervision.overdue(1.0) == [0, 2]
    assert supervision.overdue(1.0) == []
    assert supervision.wait(1.0) is None
    supervision.ended(0, 1.1)
    supervision.ended(2, 1.1)
    assert supervision.over


def test_who_never_gets_ready_is_killed() -> None:
    """After its patience, at the first start and later."""
    supervision = opened()
    supervision.ended(0, 5.0)
    supervision.started(0, 5.0)
    assert supervision.overdue(64.9) == []
    assert supervision.wait(64.0) == 1.0
    assert supervision.overdue(65.0) == [0]


def test_stopping_replaces_nobody_and_waits_for_all() -> None:
    """Who is still there at the end of the time is killed; also who was about to be started is not."""
    supervision = opened(3)
    supervision.ended(2, 1.0)
    supervision.stop(10.0)
    assert (supervision.due(99.0), supervision.over) == ([], False)
    assert supervision.ended(0, 2.0) is None
    assert supervision.wait(3.0) == 7.0
    assert supervision.overdue(9.9) == []
    assert supervision.overdue(10.0) == [1]
    supervision.ended(1, 10.1)
    assert supervision.over


def test_a_reload_starts_at_once_who_is_waited_for() -> None:
    """What made them end may be mended; the pauses begin anew."""
    supervision = opened()
    for now in (1.0, 1.1, 1.2, 1.3, 1.4):
        supervision.ended(0, now)
        supervision.started(0, now)
    assert supervision.ended(0, 2.0) == 1.6
    assert supervision.due(2.0) == []
    supervision.hurry(2.1)
    assert supervision.due(2.1) == [0]
    supervision.started(0, 2.1)
    assert supervision.ended(0, 2.2) == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 40)), max_size=60))
def test_nobody_is_forgotten(events: list[tuple[int, float]]) -> None:
    """Whatever dies whenever: each place has a worker, or will have one within the longest pause."""
    supervision, now = opened(3), 0.0
    for index, seconds in events:
        now += seconds
        for due in supervision.due(now):
            supervision.started(due, now)
            supervision.ready(due, now)
        if index not in supervision.due(now) and supervision.wait(now) is None:
            pause = supervision.ended(index, now)
            assert pause is not None
            assert 0 <= pause <= PATIENCE.most
    assert set(supervision.due(now + PATIENCE.most)) >= set(supervision.due(now))
    for due in supervision.due(now + PATIENCE.most):
        supervision.started(due, now)
        supervision.ready(due, now)
    assert (supervision.due(now + 1e9), supervision.wait(now)) == ([], None)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "ended with code 1"),
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-64, "was killed by SIGRTMAX"),
        (-99, "99"),
    ],
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    """As a code, or by the name of the signal."""
    assert words in how_it_ended(code)
