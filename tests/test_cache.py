"""Keys, the memory cache under its contract, and single flight."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.pricing import Cost
from lascaux.providers.errors import Unavailable
from lascaux.providers.types import Call, Image, ImageResult, Target, Task
from lascaux.router.cache import Cache, Copy, Entry, Flights, MemoryCache, NoCache, call_key

CALL = Call(
    model="amazon.nova-canvas-v1:0",
    family="nova_canvas",
    task=Task.TEXT_TO_IMAGE,
    body={"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "otter"}, "imageGenerationConfig": {"seed": 30}},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


def entry(kilobytes: int = 1) -> Entry:
    """An answer of about this size."""
    result = ImageResult(images=(Image("A" * 1024 * kilobytes),))
    target = Target(deployment="d", model=CALL.model, model_id=CALL.model, region="us-east-1")
    return Entry(result, Cost(usd=None, table="t", images=1), target, CALL)


class Clock:
    """A clock that is turned by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_equal_bodies_have_equal_keys_whatever_their_order(body: dict[str, Any]) -> None:
    """Canonical: the order of keys does not matter."""
    turned = dict(reversed(body.items()))
    assert call_key(replace(CALL, body=body)) == call_key(replace(CALL, body=turned))


@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_different_bodies_have_different_keys(first: dict[str, Any], second: dict[str, Any]) -> None:
    """No picture is ever served for another request."""
    if first != second:
        assert call_key(replace(CALL, body=first)) != call_key(replace(CALL, body=second))


def test_what_decides_the_picture_is_in_the_key() -> None:
    """Model, body, guardrail and tenant each change it."""
    keys = {
        call_key(CALL),
        call_key(replace(CALL, model="amazon.titan-image-generator-v2:0")),
        call_key(replace(CALL, body={**CALL.body, "x": 1})),
        call_key(replace(CALL, headers={"X-Amzn-Bedrock-GuardrailIdentifier": "g"})),
        call_key(CALL, "tenant-a"),
        call_key(CALL, "tenant-b"),
    }
    assert len(keys) == 6


@pytest.fixture(params=["memory", "none"])
def cache(request: pytest.FixtureRequest) -> Cache:
    """Every cache there is."""
    return NoCache() if request.param == "none" else MemoryCache(max_bytes=100_000, ttl=60, clock=Clock())


def test_an_unknown_key_is_a_miss(cache: Cache) -> None:
    """Contract: None, no error."""
    assert cache.lookup(["nothing"]) is None
    assert cache.lookup([]) is None


def test_what_is_stored_is_found_or_was_not_kept(cache: Cache) -> None:
    """Contract: the same entry, or nothing; never another."""
    first, second = entry(), entry()
    cache.store("a", first)
    cache.store("b", second)
    assert cache.lookup(["a"]) in (first, None)
    assert cache.lookup(["x", "b"]) in (second, None)


def test_an_answer_larger_than_the_cache_is_not_kept(cache: Cache) -> None:
    """Contract: no error, and nothing else is lost for it."""
    cache.store("small", entry())
    before = cache.lookup(["small"])
    cache.store("huge", entry(200))
    assert cache.lookup(["huge"]) is None
    assert cache.lookup(["small"]) is before


def test_the_memory_cache_is_bounded_by_bytes() -> None:
    """The least recently used goes first."""
    memory = MemoryCache(max_bytes=50_000, ttl=60, clock=Clock())
    for i in range(100):
        memory.store(str(i), entry(10))
        memory.lookup(["0"])
        assert memory.bytes <= 50_000
    assert memory.lookup(["99"]) is not None
    assert memory.lookup(["50"]) is None
    assert memory.lookup(["0"]) is not None
    assert len(memory) == 4


def test_entries_expire() -> None:
    """After ttl seconds the answer is gone, and so are its bytes."""
    clock = Clock()
    memory = MemoryCache(max_bytes=100_000, ttl=60, clock=clock)
    memory.store("a", entry())
    clock.now = 59.9
    assert memory.lookup(["a"]) is not None
    clock.now = 60.1
    assert memory.lookup(["a"]) is None
    assert memory.bytes == 0


def test_what_is_stored_anew_lives_anew() -> None:
    """Its first end does not take it away; and what made room for others leaves nothing behind."""
    clock = Clock()
    memory = MemoryCache(max_bytes=50_000, ttl=60, clock=clock)
    memory.store("a", entry())
    clock.now = 30.0
    memory.store("a", entry(2))
    clock.now = 61.0
    memory.store("b", entry())
    assert memory.lookup(["a"]) is not None
    assert memory.bytes == entry(2).size + entry().size
    for i in range(1000):
        memory.store(str(i), entry(10))
        memory.store("c", entry())
    clock.now = 200.0
    assert (len(memory), memory.bytes) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30), st.integers(0, 40)), max_size=40))
def test_bytes_are_the_sum_of_what_is_kept(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is stored, looked up, resized and let go."""
    clock = Clock()
    memory = MemoryCache(max_bytes=50_000, ttl=60, clock=clock)
    for key, kilobytes, seconds in steps:
        clock.now += seconds
        if kilobytes:
            memory.store(key, entry(kilobytes))
        else:
            memory.resize(max_bytes=30_000 + 1000 * seconds, ttl=30 + seconds)
        found = {one: memory.peek([one]) for one in "abcdef"}
        assert memory.bytes == sum(kept.size for kept in found.values() if kept) <= memory.max_bytes
        assert len(memory) == sum(kept is not None for kept in found.values())


def test_what_is_adopted_ends_when_it_would_have_ended() -> None:
    """However often it is handed on; it does not replace what is there, and one that is over is not kept."""
    now = 0.0
    caches = [MemoryCache(max_bytes=1 << 20, ttl=60, clock=lambda: now) for _ in range(3)]
    caches[0].store("a", entry())
    for giver, taker in pairwise(caches):
        now += 25
        copy = giver.copy(["b", "a"])
        assert copy is not None
        assert (copy.key, copy.age) == ("a", now)
        taker.adopt(copy)
    own = entry()
    caches[2].store("b", own)
    caches[2].adopt(Copy(key="b", entry=entry(), age=1.0))
    assert caches[2].lookup(["b"]) is own
    now += 10
    assert [cache.lookup(["a"]) for cache in caches] == [None] * 3
    caches[2].adopt(Copy(key="c", entry=entry(), age=61.0))
    caches[2].adopt(Copy(key="d", entry=entry(2048), age=0.0))
    assert (caches[2].copy(["c", "d"]), caches[2].lookup(["b"])) == (None, own)


def test_many_threads_may_use_it_at_once() -> None:
    """No entry is torn, no error escapes."""
    memory = MemoryCache(max_bytes=30_000, ttl=60, clock=Clock())
    errors: list[BaseException] = []

    def work(place: int) -> None:
        try:
            for i in range(300):
                memory.store(str((place * i) % 17), entry())
                memory.lookup([str(i % 17)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_one_leads_and_the_others_wait() -> None:
    """Passengers see what the leader lands, be it an answer, an error or nothing."""
    for outcome in ("answer", Unavailable("down"), None):
        flights: Flights[str] = Flights()
        leader, passenger = flights.join("k"), flights.join("k")
        assert (leader.leader, passenger.leader) == (True, False)
        leader.land(outcome)
        if isinstance(outcome, Unavailable):
            assert passenger.outcome.exception(0) is outcome
        else:
            assert passenger.outcome.result(0) == outcome
        assert len(flights) == 0
        assert flights.join("k").leader
