"""Threads that make calls: bounded, first come first served, and nothing is lost when one has just given up waiting."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest
from lascaux.router import crew as module
from lascaux.router.crew import Crew, Errand

PATIENCE = 60.0


class Told:
    """Errands of a test, and the moments at which they said that they were over."""

    def __init__(self) -> None:
        self.over = threading.Semaphore(0)

    def errand(self, work: object = None) -> Errand:
        return Errand(work if callable(work) else lambda: work, self.over.release)

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.over.acquire(timeout=PATIENCE)


def test_an_errand_comes_back_with_what_it_came_to() -> None:
    """Outcome or error, and one word that it is over."""
    told, crew = Told(), Crew(2, "test")

    def broken() -> None:
        raise ValueError("no")

    good, bad = told.errand(7), told.errand(broken)
    for errand in (good, bad):
        crew.send(errand)
    told.wait(2)
    assert (good.done, good.cancelled, good.result()) == (True, False, 7)
    with pytest.raises(ValueError, match="no"):
        bad.result()
    crew.shutdown()


def test_no_more_threads_than_allowed() -> None:
    """Others wait for one that is free, and are served in order; who is called off meanwhile is never begun."""
    told, crew = Told(), Crew(2, "test")
    gate, begun, order = threading.Event(), threading.Semaphore(0), []

    def held() -> None:
        begun.release()
        assert gate.wait(PATIENCE)

    for _ in range(2):
        crew.send(told.errand(held))
    for _ in range(2):
        assert begun.acquire(timeout=PATIENCE)
    waiting = [told.errand(lambda number=number: order.append(number)) for number in range(5)]
    for errand in waiting:
        crew.send(errand)
    assert waiting[2].cancel()
    assert not waiting[2].cancel()
    assert not any(errand.done for errand in waiting if errand is not waiting[2])
    gate.set()
    told.wait(7)
    crew.shutdown()
    assert sorted(order) == [0, 1, 3, 4]
    assert waiting[2].cancelled


def test_what_has_begun_is_not_called_off() -> None:
    """Its answer is paid for."""
    told, crew = Told(), Crew(1, "test")
    gate, begun = threading.Event(), threading.Event()

    def held() -> str:
        begun.set()
        assert gate.wait(PATIENCE)
        return "paid"

    errand = told.errand(held)
    crew.send(errand)
    assert begun.wait(PATIENCE)
    assert not errand.cancel()
    gate.set()
    told.wait()
    assert errand.result() == "paid"
    crew.shutdown()


def test_nothing_is_lost_when_threads_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """With threads that hardly wait at all every errand meets one that is just leaving: all are done all the same."""
    monkeypatch.setattr(module, "_LINGER", 0.0001)
    told, crew = Told(), Crew(3, "test")
    for round_ in range(2000):
        crew.send(told.errand(round_))
        if round_ % 3 == 0:
            told.wait(3 if round_ else 1)
    told.wait(2000 - 1 - 3 * (1999 // 3))
    crew.shutdown()
    assert crew._owed == crew._idle == crew._taken == crew._open == 0


def test_who_is_sent_home_finishes_what_was_begun_and_what_waits() -> None:
    """After that nothing is taken, and no thread is left; nobody waits for threads that only linger."""
    told, crew = Told(), Crew(1, "crew-that-goes")
    errands = [told.errand(number) for number in range(20)]
    for errand in errands:
        crew.send(errand)
    crew.shutdown()
    assert [errand.result() for errand in errands] == list(range(20))
    with pytest.raises(RuntimeError, match="sent home"):
        crew.send(told.errand())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("crew-that-goes")]


def test_a_thread_that_lingers_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome of the last call is megabytes, and its error holds the frames it came through."""
    monkeypatch.setattr(module, "_LINGER", PATIENCE)

    class Picture:
        pass

    def failing() -> None:
        picture = Picture()
        seen.append(weakref.ref(picture))
        raise ValueError(picture)

    told, crew, seen = Told(), Crew(1, "test"), list[weakref.ref[Picture]]()
    gc.collect()
    gc.disable()
    try:
        errand = told.errand(failing)
        crew.send(errand)
        told.wait()
        del errand
        deadline = time.monotonic() + PATIENCE
        while seen[0]() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
        assert seen[0]() is None
    finally:
        gc.enable()
        crew.shutdown()


def test_who_can_not_be_told_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in what is told is logged, and the thread goes on."""
    told, crew = Told(), Crew(1, "test")

    def mistaken() -> None:
        raise KeyError("oh")

    crew.send(Errand(lambda: 1, mistaken))
    after = told.errand(2)
    crew.send(after)
    told.wait()
    assert after.result() == 2
    crew.shutdown()
    assert "nobody could be told" in caplog.text
