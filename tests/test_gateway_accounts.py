"""The accounts beside an event loop: it never waits for a lock that another process holds, and no cent is lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lascaux import AsyncRouter, Config
from lascaux.gateway.app import create_app
from lascaux.gateway.errors import Refused
from lascaux.gateway.gate import Gate, open_gate
from lascaux.gateway.journal import Busy, Journal
from lascaux.gateway.keys import Key, NewKey
from lascaux.gateway.spend import LocalLedger
from lascaux.providers.fake import FakeProvider

Serve = Callable[[Any], AbstractContextManager[str]]

TEAM = NewKey.make()
BEARER = {"authorization": f"Bearer {TEAM.text}"}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = Key(name="team", usd_per_day=Decimal(9))
CENT = Decimal("0.01")
HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("mine", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held(spend: Path) -> Iterator[None]:
    """Another process has the lock of the accounts."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, f"{spend}.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "mine\n"
        yield
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def config(spend: Path) -> Config:
    """One key with limited money, and accounts on disk."""
    return Config.from_mapping(
        {
            "deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}},
            "aliases": {"hero": "core"},
            "server": {
                "keys": [{"name": "team", "hash": TEAM.hash, "usd_per_day": "0.50", "admin": True}],
                "spend_file": str(spend),
            },
        },
        env={},
    )


def gate_of(made: Config) -> Gate:
    """The gate of a configuration, at noon."""
    return open_gate(made.server, clock=time.monotonic, now=lambda: NOON)


def test_a_lock_that_another_process_holds_does_not_stop_the_loop(serve: Serve, tmp_path: Path) -> None:
    """Others are answered meanwhile; who asked for a picture gets it when the lock is free, booked once."""
    made = config(tmp_path / "spend")
    gate = gate_of(made)
    app = create_app(AsyncRouter(made, provider=FakeProvider(), picture_files=False), gate=gate)
    answers: list[Any] = []

    def ask(path: str) -> None:
        fields = {"json": {"model": "hero", "prompt": "An otter"}} if "generations" in path else {}
        method = "POST" if fields else "GET"
        answers.append(httpx2.request(method, url + path, headers=BEARER, timeout=30, **fields))  # type: ignore[arg-type]

    with serve(app) as url:
        paths = ["/v1/images/generations"] * 3 + ["/v1/usage", "/admin/usage"]
        threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
        with held(tmp_path / "spend"):
            for thread in threads:
                thread.start()
            end, slowest = time.monotonic() + 1.0, 0.0
            with httpx2.Client() as client:
                while time.monotonic() < end:
                    before = time.monotonic()
                    assert client.get(f"{url}/health/live").status_code == 200
                    slowest = max(slowest, time.monotonic() - before)
                    time.sleep(0.005)
            assert answers == []
        for thread in threads:
            thread.join(30)
        assert [answer.status_code for answer in answers] == [200] * 5
        spent = httpx2.get(f"{url}/v1/usage", headers=BEARER).json()
    assert (spent["usd_today"], spent["usd_reserved"], spent["in_flight"]) == ("0.12", "0", 0)
    assert slowest < 4  # who waits for the lock waits for five seconds


def test_what_would_block_is_not_begun(tmp_path: Path) -> None:
    """Neither while another process has the lock, nor while a thread of ours waits for it; nothing is written."""
    with closing(LocalLedger(Journal(tmp_path / "spend"))) as ledger:
        id = ledger.reserve(KEY, CENT, NOON, wait=False)
        before = (tmp_path / "spend").read_bytes()
        with held(tmp_path / "spend"):
            waiting = threading.Thread(target=ledger.settle, args=(id, CENT))
            for _ in range(2):
                for work in (
                    lambda: ledger.reserve(KEY, CENT, NOON, wait=False),
                    lambda: ledger.settle(id, CENT, wait=False),
                    lambda: ledger.spent("team", NOON, wait=False),
                ):
                    with pytest.raises(Busy):
                        work()
                if not waiting.is_alive():
                    waiting.start()
            assert (tmp_path / "spend").read_bytes() == before
        waiting.join(20)
        assert ledger.spent("team", NOON).day == CENT
        assert ledger.spent("team", NOON).open == 0


def test_much_that_others_wrote_is_read_elsewhere(tmp_path: Path) -> None:
    """Many lines at once are nothing for an event loop; read in a thread, they count."""
    with (
        closing(LocalLedger(Journal(tmp_path / "spend"))) as one,
        closing(LocalLedger(Journal(tmp_path / "spend"))) as two,
    ):
        for _ in range(1200):
            two.reserve(KEY, CENT / 100, NOON)
        with pytest.raises(Busy):
            one.spent("team", NOON, wait=False)
        assert one.spent("team", NOON, wait=True).day == 12 * CENT
        assert one.spent("team", NOON, wait=False).day == 12 * CENT


def test_a_long_journal_is_shortened_beside_the_loop(tmp_path: Path) -> None:
    """The flush to the disk that this needs takes place in a thread; what is asked meanwhile is booked all the same."""
    spend, end = tmp_path / "spend", time.monotonic() + 30
    with closing(LocalLedger(Journal(spend, most=2000))) as ledger:
        first = spend.stat().st_ino
        booked = 0
        while spend.stat().st_ino == first:  # until another file is in its place
            assert time.monotonic() < end
            try:
                ledger.settle(ledger.reserve(KEY, CENT / 100, NOON, wait=False), CENT / 100)
                booked += 1
            except Busy:
                continue
        assert ledger.spent("team", NOON).day == booked * CENT / 100
    with closing(LocalLedger(Journal(spend))) as again:
        assert again.spent("team", NOON).day == booked * CENT / 100


def test_who_is_gone_when_money_was_set_aside_gets_it_back(tmp_path: Path) -> None:
    """A request that is ended while it waits for the accounts reserves nothing in the end."""

    async def play() -> None:
        made = config(tmp_path / "spend")
        gate = gate_of(made)
        router = AsyncRouter(made, provider=FakeProvider())
        key = gate.identify(BEARER["authorization"])
        with held(tmp_path / "spend"):
            asked = asyncio.ensure_future(gate.admit_soon(key, "hero", lambda: router.quote("hero", "An otter")))
            end = time.monotonic() + 30
            while not gate._traffic_of(key).use().in_flight:
                assert time.monotonic() < end
                await asyncio.sleep(0.005)
            asked.cancel()
            await asyncio.wait([asked])
            assert asked.cancelled()
        told = await asyncio.to_thread(gate.usage, key)
        while Decimal(told["usd_reserved"]):
            assert time.monotonic() < end
            told = await asyncio.to_thread(gate.usage, key)
        assert (Decimal(told["usd_today"]), told["in_flight"]) == (Decimal(0), 0)
        await router.aclose()
        gate.close()
        assert (tmp_path / "spend").read_text() == ""

    asyncio.run(play())


def test_accounts_that_another_process_holds_are_not_waited_for_without_an_end(tmp_path: Path) -> None:
    """After seconds, 503; a bill is written when the lock is free, and holds no place until then."""

    async def play() -> None:
        made = config(tmp_path / "spend")
        gate = gate_of(made)
        router = AsyncRouter(made, provider=FakeProvider())
        key = gate.identify(BEARER["authorization"])

        async def quote() -> Any:
            return await router.quote("hero", "An otter")

        admission = await gate.admit_soon(key, "hero", quote)
        with held(tmp_path / "spend"):
            refused = [asyncio.ensure_future(gate.admit_soon(key, "hero", quote)) for _ in range(10)]
            before = time.monotonic()
            result = await router.generate("hero", "An otter")
            assert await admission.settle_soon(result) == Decimal("0.04")
            assert time.monotonic() - before < 4.5, "who waits for the lock waits for five seconds"
            asked = await asyncio.gather(*refused, gate.usage_soon(key), return_exceptions=True)
            assert time.monotonic() - before < 30, "together, not one after another"
            for error in asked:
                assert isinstance(error, Refused)
                assert (error.status, error.code, error.should_retry) == (503, "spend_unavailable", True)
            assert gate._traffic_of(key).use().in_flight == 0
        end = time.monotonic() + 30
        while '"settle"' not in (tmp_path / "spend").read_text():
            assert time.monotonic() < end, "nobody asked for it, and it was to be written all the same"
            await asyncio.sleep(0.01)
        told = await gate.usage_soon(key)
        assert (told["usd_today"], told["usd_reserved"], told["in_flight"]) == ("0.04", "0", 0)
        await router.aclose()
        gate.close()

    asyncio.run(play())


def test_a_bill_that_is_owed_at_the_end_is_written_before_it(tmp_path: Path) -> None:
    """`close` waits for the lock."""
    ledger = LocalLedger(Journal(tmp_path / "spend"))
    id = ledger.reserve(KEY, CENT, NOON)
    with held(tmp_path / "spend"):
        ledger.owe(id, CENT / 2)
        closing_one = threading.Thread(target=ledger.close)
        closing_one.start()
    closing_one.join(20)
    with closing(LocalLedger(Journal(tmp_path / "spend"))) as again:
        assert (again.spent("team", NOON).day, again.spent("team", NOON).open) == (CENT / 2, Decimal(0))
