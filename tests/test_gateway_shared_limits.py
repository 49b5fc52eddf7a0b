"""The limits of a key hold over all workers: exact whatever the interleaving, and after a worker was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux.gateway.errors import Refused
from lascaux.gateway.gate import Gate, open_gate
from lascaux.gateway.keys import Key
from lascaux.gateway.limits import LocalTraffic, Traffic, Use
from lascaux.gateway.shared_limits import SharedLimits
from lascaux.providers.errors import InvalidRequest
from lascaux.router.config import ServerConfig

WORKERS = 3


class Clock:
    """The clock of the machine, moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A thousand seconds after the start of the machine."""
    return Clock()


Make = Callable[[str], Traffic]


@pytest.fixture(params=["local", "shared"])
def make(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Make:
    """Both implementations; by the name of the key."""
    if request.param == "local":
        return lambda name: LocalTraffic(clock)
    limits = SharedLimits(str(tmp_path), 0, 1)
    return lambda name: limits.of(name, clock)


# What holds for both


def test_requests_at_once_are_bounded(make: Make) -> None:
    """The refusal says how many there are and when to ask again; it is not counted."""
    traffic, key = make("team"), Key(name="team", concurrency=2)
    for _ in range(2):
        traffic.enter(key)
    for ask in (traffic.check, traffic.enter):
        with pytest.raises(Refused, match="has 2 requests under way, and may have 2 at once") as caught:
            ask(key)
        error = caught.value
        assert (error.status, error.code, error.retry_after) == (429, "rate_limit_exceeded", 1.0)
        assert error.should_retry
    traffic.leave()
    traffic.enter(key)
    assert traffic.use() == Use(in_flight=2, requests=0)


def test_requests_in_a_minute_are_bounded(make: Make, clock: Clock) -> None:
    """The refusal says when there is room, to the instant: a request counts for 60 seconds, not less."""
    traffic, key = make("team"), Key(name="team", rpm=3)
    for _ in range(3):
        assert traffic.enter(key) == clock.now
        traffic.leave()
        clock.now += 8
    with pytest.raises(Refused, match="may make 3 requests in 60 seconds, and has made them") as caught:
        traffic.enter(key)
    assert caught.value.retry_after == 36
    clock.now += 35.5
    with pytest.raises(Refused):
        traffic.check(key)
    clock.now += 0.5
    traffic.check(key)
    traffic.enter(key)
    assert traffic.use() == Use(in_flight=1, requests=3)


def test_what_is_withdrawn_does_not_count(make: Make, clock: Clock) -> None:
    """The newest, or one before it, often; the others keep their moments."""
    traffic, key = make("team"), Key(name="team", rpm=3)
    for _ in range(100):
        clock.now += 61
        traffic.enter(key)
        withdrawn = []
        for _ in range(2):
            clock.now += 1
            withdrawn.append(traffic.enter(key))
        for moment in withdrawn:
            traffic.withdraw(moment)
        assert traffic.use() == Use(in_flight=1, requests=1)
        for _ in range(2):
            clock.now += 1
            traffic.enter(key)
        with pytest.raises(Refused) as caught:
            traffic.enter(key)
        assert caught.value.retry_after == 56
        for _ in range(3):
            traffic.leave()
    traffic.withdraw(1.0)


def test_another_limit_counts_what_was_counted(make: Make, clock: Clock) -> None:
    """Lower, higher, none at all: what was asked of late is known, as far as it was counted."""
    traffic = make("team")
    for _ in range(200):
        traffic.enter(Key(name="team", rpm=200))
    for rpm in (1, 199, 200):
        with pytest.raises(Refused):
            traffic.enter(Key(name="team", rpm=rpm))
    traffic.enter(Key(name="team", rpm=10**12))
    traffic.enter(Key(name="team"))
    assert traffic.use() == Use(in_flight=202, requests=201)
    clock.now += 60
    assert traffic.use().requests == 0
    traffic.enter(Key(name="team", rpm=1))
    with pytest.raises(Refused):
        traffic.enter(Key(name="team", rpm=1))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, WORKERS - 1)),
        st.tuples(st.just("ask"), st.integers(0, WORKERS - 1)),
        st.tuples(st.just("leave"), st.integers(0, WORKERS - 1)),
        st.tuples(st.just("withdraw"), st.integers(0, WORKERS - 1)),
        st.tuples(st.just("kill"), st.integers(0, WORKERS - 1)),
        st.tuples(st.just("wait"), st.floats(0, 40)),
        st.tuples(st.just("rpm"), st.integers(1, 6)),
    ),
    max_size=80,
)


@given(steps, st.integers(1, 6), st.integers(1, 4), st.booleans())
@settings(max_examples=150)
def test_all_workers_together_keep_the_limits(
    plan: list[tuple[str, Any]], rpm: int, concurrency: int, together: bool
) -> None:
    """Never more than ``rpm`` in 60 s nor more than ``concurrency`` at once, and no refusal when there is room."""
    clock, let, under_way = Clock(), [], [[] for _ in range(WORKERS)]  # type: ignore[var-annotated]
    with tempfile.TemporaryDirectory() as folder:

        def start(index: int) -> Traffic:
            return SharedLimits(folder, index, WORKERS).of("team", clock)

        one = LocalTraffic(clock)
        workers = [start(index) if together else one for index in range(WORKERS)]
        for what, which in plan:
            key = Key(name="team", rpm=rpm, concurrency=concurrency)
            if what == "wait":
                clock.now += which
            elif what == "rpm":
                rpm = which
            elif what == "kill" and together:
                workers[which], under_way[which] = start(which), []
            elif what == "leave" and under_way[which]:
                under_way[which].pop(0)
                workers[which].leave()
            elif what == "withdraw" and under_way[which]:
                moment = under_way[which].pop()
                let.remove(moment)
                workers[which].withdraw(moment)
            elif what == "ask":
                recent, busy = sum(moment > clock.now - 60 for moment in let), sum(map(len, under_way))
                room = recent < rpm and busy < concurrency
                if room:
                    moment = workers[which].enter(key)
                    let.append(moment)
                    under_way[which].append(moment)
                else:
                    with pytest.raises(Refused) as caught:
                        workers[which].enter(key)
                    if busy < concurrency:
                        assert caught.value.retry_after == max(sorted(let)[-rpm] + 60 - clock.now, 0.001)
            recent = sum(moment > clock.now - 60 for moment in let)
            assert all(worker.use() == Use(in_flight=sum(map(len, under_way)), requests=recent) for worker in workers)


# What is shared


def test_files_tell_nobody_whose_they_are(tmp_path: Path, clock: Clock) -> None:
    """No name of a key stands in the folder, in a name or a file; only the owner can look."""
    SharedLimits(str(tmp_path), 0, 2).of("team-otter", clock).enter(Key(name="team-otter", rpm=1))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        assert b"otter" not in str(path).encode() + path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "limits").stat().st_mode) == 0o700


def test_a_file_that_was_only_begun_is_made_anew(tmp_path: Path, clock: Clock) -> None:
    """Its maker was killed. A ring that nobody was told of is passed over, and a larger one is found by all."""
    key = Key(name="team", rpm=1)
    SharedLimits(str(tmp_path), 0, 2).of("team", clock)
    (file,) = (path for path in (tmp_path / "limits").iterdir() if path.name != "workers")
    file.write_bytes(file.read_bytes()[:24])
    traffic = SharedLimits(str(tmp_path), 0, 2).of("team", clock)
    other = SharedLimits(str(tmp_path), 1, 2).of("team", clock)
    with file.open("ab") as stream:
        stream.write(b"x" * 1001)
    for _ in range(300):
        traffic.enter(Key(name="team", rpm=300))
    assert other.use() == traffic.use() == Use(in_flight=300, requests=300)
    with pytest.raises(Refused):
        other.enter(key)


def test_without_a_disk_nobody_is_let_in(tmp_path: Path, clock: Clock) -> None:
    """503, with a time to come again."""
    limits = SharedLimits(str(tmp_path), 0, 2)
    for path in (tmp_path / "limits").iterdir():
        path.unlink()
    (tmp_path / "limits").rmdir()
    with pytest.raises(Refused) as caught:
        limits.of("team", clock)
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "limits_unavailable", 5.0)


def test_a_late_predecessor_takes_nothing_from_its_successor(tmp_path: Path, clock: Clock) -> None:
    """Whoever still drains when the next one has started is not counted any more, nor counts down."""
    key = Key(name="team", concurrency=2)
    old = SharedLimits(str(tmp_path), 1, 2).of("team", clock)
    old.enter(key)
    new = SharedLimits(str(tmp_path), 1, 2).of("team", clock)
    assert new.use().in_flight == 0
    new.enter(key)
    old.leave()
    old.enter(key)
    assert new.use().in_flight == old.use().in_flight == 1
    old.leave()
    new.leave()
    assert new.use().in_flight == 0


WORKER = """
import sys, time
from lascaux.gateway.errors import Refused
from lascaux.gateway.keys import Key
from lascaux.gateway.shared_limits import SharedLimits
folder, index, count, rpm, concurrency, seconds = sys.argv[1], *map(int, sys.argv[2:])
traffic = SharedLimits(folder, index, count).of("team", time.monotonic)
key = Key(name="team", rpm=rpm, concurrency=concurrency)
print("ready", flush=True)
if not seconds:
    print(traffic.enter(key), flush=True)
    sys.stdin.read()
sys.stdin.readline()
until = time.monotonic() + seconds
while time.monotonic() < until:
    try:
        began = traffic.enter(key)
    except Refused as refused:
        if "60 seconds" in refused.message:
            break
        continue
    ended = time.monotonic()
    traffic.leave()
    print(began, ended)
"""


def process(folder: Path, *numbers: int) -> subprocess.Popen[str]:
    """A worker of its own."""
    command = [sys.executable, "-c", WORKER, str(folder), *map(str, numbers)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_processes_that_race_keep_to_the_limits(tmp_path: Path) -> None:
    """As fast as they can: exactly ``rpm`` are let in, and never more than ``concurrency`` at once."""
    rpm, concurrency = 600, 2
    racers = [process(tmp_path, index, 3, rpm, concurrency, 50) for index in range(3)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    spans = [tuple(map(float, line.split())) for racer in racers for line in racer.communicate()[0].splitlines()]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert len(spans) == rpm
    turns = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    at_once = most = 0
    for _, change in turns:
        at_once += change
        most = max(most, at_once)
    assert 1 <= most <= concurrency


def test_what_a_killed_worker_had_under_way_is_given_back(tmp_path: Path) -> None:
    """When its successor starts; its requests of the last minute still count."""
    key = Key(name="team", rpm=2, concurrency=1)
    mine = SharedLimits(str(tmp_path), 0, 2).of("team", time.monotonic)
    holder = process(tmp_path, 1, 2, 2, 1, 0)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with pytest.raises(Refused, match="at once"):
        mine.enter(key)
    SharedLimits(str(tmp_path), 1, 2)
    mine.enter(key)
    mine.leave()
    with pytest.raises(Refused, match="60 seconds"):
        mine.enter(key)


def unknown() -> Any:
    """Nobody knows a price: that keeps no key without a limit in dollars."""
    raise InvalidRequest("n: not here", parameter="n")


def test_gates_of_all_workers_tell_the_same(tmp_path: Path, clock: Clock) -> None:
    """A request at one is under way for all, and counts in `usage`; threads of one worker are counted right, too."""
    server = ServerConfig.model_validate({"keys": [{"name": "team", "key": "team-key-0123456789", "rpm": 500}]})

    def gate(index: int) -> Gate:
        opened = open_gate(server, clock=clock, now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
        opened.share(SharedLimits(str(tmp_path), index, 2).of, str(tmp_path / "spend.jsonl"))
        return opened

    one, other = gate(0), gate(1)
    key = one.identify("Bearer team-key-0123456789")

    def ask() -> None:
        for _ in range(50):
            with one.admit(key, "hero", unknown) as admission:
                admission.withdraw()

    with ExitStack() as stack:
        stack.enter_context(one.admit(key, "hero", unknown))
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = other.usage(key)
        assert (told["in_flight"], told["requests_last_minute"]) == (1, 201)
    assert other.usage_of_all()[0]["in_flight"] == 0
    assert sorted(os.listdir(tmp_path)) == ["limits", "spend.jsonl", "spend.jsonl.lock"]
    one.close()
    other.close()


HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("ready", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Another process has the counts, and is stopped."""
    command = [sys.executable, "-c", HOLDER, str(folder / "limits" / "workers")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    holder.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        holder.kill()
        holder.communicate()


def test_counts_that_a_stopped_process_holds_stop_nobody(tmp_path: Path) -> None:
    """Who asks is refused after two seconds, the event loop goes on; who ends is counted when the counts are free."""
    server = ServerConfig.model_validate({"keys": [{"name": "team", "key": "team-key-0123456789", "rpm": 500}]})
    gate = open_gate(server, clock=time.monotonic, now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    gate.share(SharedLimits(str(tmp_path), 0, 2).of, str(tmp_path / "spend.jsonl"))
    other = SharedLimits(str(tmp_path), 1, 2).of("team", time.monotonic)
    key = gate.identify("Bearer team-key-0123456789")

    async def unasked() -> Any:
        return unknown()

    async def play() -> None:
        ending = await gate.admit_soon(key, "hero", unasked)
        refused = await gate.admit_soon(key, "hero", unasked)
        traffic = gate._traffic_of(key)
        with held(tmp_path):
            asked = [asyncio.ensure_future(gate.admit_soon(key, "hero", unasked)) for _ in range(5)]
            before = last = time.monotonic()
            slowest = 0.0
            await ending.settle_soon(None)
            traffic.withdraw(before)
            while not all(one.done() for one in asked):
                await asyncio.sleep(0.001)
                slowest, last = max(slowest, time.monotonic() - last), time.monotonic()
            assert slowest < 1.9, "who waits for the counts waits for two seconds"
            assert last - before < 10
            for one in asked:
                error = one.exception()
                assert isinstance(error, Refused)
                assert (error.status, error.code, error.should_retry) == (503, "limits_unavailable", True)
            with pytest.raises(Refused, match="holds the counts"):
                await asyncio.to_thread(traffic.enter, key)
        end = time.monotonic() + 30
        while other.use().in_flight:
            assert time.monotonic() < end, "nobody asked this worker again, and it was to be counted all the same"
            await asyncio.sleep(0.01)
        assert refused.reserved == 0

    asyncio.run(play())
    gate.close()
