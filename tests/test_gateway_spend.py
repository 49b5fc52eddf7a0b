"""Budgets: nobody spends more than is allowed, every bill is kept, whatever happens to the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux import Router
from lascaux.gateway.bills import most
from lascaux.gateway.books import Books, Damaged, Spent, reserved, settled
from lascaux.gateway.errors import Refused
from lascaux.gateway.journal import Journal
from lascaux.gateway.keys import Key
from lascaux.gateway.spend import LocalLedger

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOON.date()
FREE = Key(name="free")
CENTS = st.integers(0, 500).map(lambda cents: Decimal(cents) / 100)


def spent(day: str, month: str | None = None, open: str = "0") -> Spent:
    return Spent(day=Decimal(day), month=Decimal(month or day), open=Decimal(open))


@pytest.fixture(params=["memory", "file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalLedger]:
    """Both keep the same promises."""
    made = LocalLedger(Journal(tmp_path / "spend") if request.param == "file" else None)
    with closing(made):
        yield made


def test_a_bill_takes_the_place_of_its_reservation(ledger: LocalLedger) -> None:
    """Which counts until then; a second bill for it changes nothing."""
    id = ledger.reserve(FREE, Decimal("0.14"), NOON)
    assert ledger.spent("free", NOON) == spent("0.14", open="0.14")
    ledger.settle(id, Decimal("0.04"))
    ledger.settle(id, Decimal("9"))
    ledger.settle("unknown", Decimal("9"))
    assert ledger.spent("free", NOON) == spent("0.04")
    assert ledger.spent("other", NOON) == spent("0")


@pytest.mark.parametrize(
    ("key", "period"),
    [
        (Key(name="a", usd_per_day=Decimal("0.10")), "day"),
        (Key(name="a", usd_per_month=Decimal("0.10"), usd_per_day=Decimal(5)), "month"),
    ],
)
def test_beyond_the_budget_nothing_is_reserved(ledger: LocalLedger, key: Key, period: str) -> None:
    """To the cent: what fits exactly is let through, and clients are told not to ask again by themselves."""
    ledger.reserve(key, Decimal("0.04"), NOON)
    ledger.reserve(key, Decimal("0.06"), NOON)
    with pytest.raises(Refused, match=f"0.10 USD a {period} and has spent or reserved 0.10") as caught:
        ledger.reserve(key, Decimal("0.000000001"), NOON)
    error = caught.value
    assert (error.status, error.code, error.should_retry) == (429, "insufficient_quota", False)
    ledger.reserve(key, Decimal(0), NOON)
    assert ledger.spent("a", NOON) == spent("0.10", open="0.10")


def test_days_and_months_are_those_of_utc(ledger: LocalLedger) -> None:
    """A bill belongs to the day on which its money was reserved; a new day and a new month begin at 0."""
    key = Key(name="a", usd_per_day=Decimal(1), usd_per_month=Decimal(2))
    tokyo = timezone(timedelta(hours=9))
    late = datetime(2026, 11, 29, 8, 59, tzinfo=tokyo)  # still the 28th in UTC
    first = ledger.reserve(key, Decimal(1), late)
    ledger.reserve(key, Decimal(1), late + timedelta(minutes=1))
    with pytest.raises(Refused, match="a month"):
        ledger.reserve(key, Decimal(1), late + timedelta(days=2))
    ledger.settle(first, Decimal("0.5"))
    assert ledger.spent("a", late) == spent("0.5", "1.5", "1")
    ledger.reserve(key, Decimal(1), datetime(2026, 12, 1, tzinfo=UTC))
    assert ledger.spent("a", datetime(2026, 12, 1, tzinfo=UTC)) == spent("1", "1", "1")


@given(limit=CENTS, prices=st.lists(st.tuples(CENTS, CENTS), max_size=30), order=st.randoms())
def test_the_sums_are_exact_and_never_above_the_limit(
    limit: Decimal, prices: list[tuple[Decimal, Decimal]], order: Random
) -> None:
    """Whatever the order: open reservations and bills together stay within, and what is left in the end are the bills."""
    ledger, key = LocalLedger(), Key(name="a", usd_per_day=limit)
    open: dict[str, Decimal] = {}
    bills = Decimal(0)
    for price, share in prices:
        try:
            open[ledger.reserve(key, price, NOON)] = min(price, share)
        except Refused:
            assert ledger.spent("a", NOON).day + price > limit
        assert ledger.spent("a", NOON).day <= limit
        for id in [id for id in open if order.random() < 0.4]:
            bills += open[id]
            ledger.settle(id, open.pop(id))
    for id, bill in open.items():
        bills += bill
        ledger.settle(id, bill)
    assert ledger.spent("a", NOON) == Spent(day=bills, month=bills, open=Decimal(0))


def test_side_by_side_nobody_gets_beyond_the_limit(ledger: LocalLedger) -> None:
    """Many threads, one budget: exactly as many as fit are let through."""
    key = Key(name="a", usd_per_day=Decimal("1.00"))
    granted: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        for _ in range(10):
            try:
                granted.append(ledger.reserve(key, Decimal("0.04"), NOON))
            except Refused:
                continue

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(granted)) == len(granted) == 25
    assert ledger.spent("a", NOON).day == 1


# On disk


def test_accounts_outlive_their_process(tmp_path: Path) -> None:
    """What nobody settled stays spent: the call may have been billed."""
    with closing(LocalLedger(Journal(tmp_path / "spend"))) as before:
        before.settle(before.reserve(FREE, Decimal("0.14"), NOON), Decimal("0.04"))
        before.reserve(FREE, Decimal("0.08"), NOON)
    with closing(LocalLedger(Journal(tmp_path / "spend"))) as after:
        assert after.spent("free", NOON) == spent("0.12", open="0.08")
    assert (tmp_path / "spend").stat().st_mode & 0o777 == 0o600


def test_two_ledgers_on_one_file_share_a_budget(tmp_path: Path) -> None:
    """As the processes of one machine do; each may settle what it reserved, also after the file was written anew."""
    key = Key(name="a", usd_per_day=Decimal("0.10"))
    with (
        closing(LocalLedger(Journal(tmp_path / "spend", most=300))) as one,
        closing(LocalLedger(Journal(tmp_path / "spend", most=300))) as two,
    ):
        first = one.reserve(key, Decimal("0.06"), NOON)
        with pytest.raises(Refused):
            two.reserve(key, Decimal("0.06"), NOON)
        for _ in range(20):
            two.settle(two.reserve(FREE, Decimal("0.01"), NOON), Decimal("0.01"))
        one.settle(first, Decimal("0.01"))
        two.reserve(key, Decimal("0.09"), NOON)
        assert one.spent("a", NOON) == two.spent("a", NOON) == spent("0.10", open="0.09")
        assert one.spent("free", NOON) == spent("0.20")
    assert (tmp_path / "spend").stat().st_size < 1500


def test_the_file_stays_small(tmp_path: Path) -> None:
    """However many calls there are; past months leave it."""
    with closing(LocalLedger(Journal(tmp_path / "spend", most=2000))) as ledger:
        for day in range(200):
            now = NOON + timedelta(days=day)
            for _ in range(5):
                ledger.settle(ledger.reserve(FREE, Decimal("0.01"), now), Decimal("0.01"))
    assert (tmp_path / "spend").stat().st_size < 6000
    with closing(LocalLedger(Journal(tmp_path / "spend"))) as ledger:
        assert ledger.spent("free", now) == spent("0.05", str(Decimal("0.05") * now.day))


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    """At whatever byte the file ends: the whole lines before it count, and what follows is readable."""
    path = tmp_path / "spend"
    with closing(LocalLedger(Journal(path))) as ledger:
        for _ in range(3):
            ledger.reserve(FREE, Decimal("0.01"), NOON)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        with closing(LocalLedger(Journal(path))) as ledger:
            lines = whole[:length].count(b"\n")
            assert ledger.spent("free", NOON).day == Decimal("0.01") * lines
            ledger.reserve(FREE, Decimal("0.01"), NOON)
        assert path.read_bytes().count(b"\n") == lines + 1


WRITER = """
import sys
from datetime import UTC, datetime
from decimal import Decimal
from lascaux.gateway.journal import Journal
from lascaux.gateway.keys import Key
from lascaux.gateway.spend import LocalLedger
ledger = LocalLedger(Journal(sys.argv[1], most=20_000))
key = Key(name="a", usd_per_day=Decimal("1000"))
while True:
    id = ledger.reserve(key, Decimal("0.14"), datetime(2026, 11, 22, tzinfo=UTC))
    print("r", flush=True)
    ledger.settle(id, Decimal("0.04"))
    print("s", flush=True)
"""


@pytest.mark.parametrize("after", [1, 2, 301, 700])
def test_a_killed_process_leaves_a_readable_journal(after: int, tmp_path: Path) -> None:
    """Nothing that it has said it reserved is lost, and nothing is counted twice."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "spend")], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    calls, bills = said.count("r\n"), said.count("s\n")
    with closing(LocalLedger(Journal(tmp_path / "spend"))) as ledger:
        found = ledger.spent("a", NOON)
    written = found.day - found.open
    assert Decimal("0.04") * bills <= written <= Decimal("0.04") * (bills + 1)
    assert found.open in (0, Decimal("0.14"))
    assert calls <= (written / Decimal("0.04")) + found.open / Decimal("0.14") <= calls + 1


@pytest.mark.parametrize(
    "line",
    [b"nonsense\n", b"[]\n", b'{"op":"reserve"}\n', b'{"op":"sum","key":"a","day":"soon","usd":"1"}\n', b"\xff\n"]
    + [f'{{"op":"sum","key":"a","day":"2026-11-22","usd":{usd}}}\n'.encode() for usd in ('"-1"', '"NaN"', "1", "null")],
)
def test_a_file_that_is_no_journal_is_refused(line: bytes, tmp_path: Path) -> None:
    """It is not written to, and no money is guessed."""
    path = tmp_path / "spend"
    path.write_bytes(line)
    journal = Journal(path)
    with closing(journal), pytest.raises(Damaged):
        LocalLedger(journal)
    assert path.read_bytes() == line


def test_what_can_not_be_written_is_not_spent(tmp_path: Path) -> None:
    """A full disk: nothing new is let through, a bill is written as soon as there is room."""
    import resource

    said: list[str] = []
    path = tmp_path / "spend"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with closing(LocalLedger(Journal(path), failed=said.append)) as ledger:
        id = ledger.reserve(FREE, Decimal("0.14"), NOON)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
            ledger.settle(id, Decimal("0.04"))
            with pytest.raises(Refused) as caught:
                ledger.reserve(FREE, Decimal("0.14"), NOON)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert (caught.value.status, caught.value.code) == (503, "spend_unavailable")
        assert ["a bill of 0.04 USD is not written down" in said[0], len(said)] == [True, 2]
        assert ledger.spent("free", NOON) == spent("0.04")
        ledger.reserve(FREE, Decimal("0.01"), NOON)
    assert [json.loads(line)["op"] for line in path.read_text().splitlines()] == ["reserve", "settle", "reserve"]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle"]), st.integers(0, 5), st.sampled_from("ab"), st.integers(0, 40), CENTS
    ),
    max_size=40,
)


@given(OPERATIONS, st.integers(0, 40))
def test_the_fewest_records_make_the_same_books(operations: list[tuple[str, int, str, int, Decimal]], cut: int) -> None:
    """Open reservations stay open; months before the one that counts are left out. So do those that read every record."""
    books, reader = Books(), Books()
    opened: set[int] = set()
    for op, id, key, days, usd in operations:
        if op == "settle":
            books.settle(str(id), usd)
            reader.apply(settled(str(id), usd))
            opened.discard(id)
        elif id not in opened:
            day = date(2026, 10, 20) + timedelta(days=days)
            books.reserve(str(id), key, day.isoformat(), usd)
            reader.apply(reserved(str(id), key, day, usd))
            opened.add(id)
    today = date(2026, 10, 20) + timedelta(days=cut)
    for one in (books, reader):
        one.forget_before(today.replace(day=1))
    assert list(reader.records()) == list(books.records())
    twin = Books()
    for record in books.records():
        twin.apply(json.loads(json.dumps(record)))
    for day in (today, today.replace(day=1)):
        assert [twin.spent(key, day) for key in "ab"] == [books.spent(key, day) for key in "ab"]
    twin.apply(settled("0", Decimal(7)))
    books.apply(settled("0", Decimal(7)))
    assert [twin.spent(key, today) for key in "ab"] == [books.spent(key, today) for key in "ab"]


@pytest.mark.parametrize("n", [1, 3])
def test_a_second_stage_is_reserved_with_the_first(n: int) -> None:
    """A transparent background is a second call for each picture, on the same bill."""
    place = {"region": "us-west-2"}
    deployments = {
        "core": {"model": "stability.stable-image-core-v1:1", **place},
        "cutout": {"model": "stability.stable-image-remove-background-v1:0", **place},
    }
    aliases = {"hero": {"deployments": ["core"], "background_remover": "cutout"}}
    with Router({"deployments": deployments, "aliases": aliases}) as router:
        quote = router.quote("hero", "otter", background="transparent", n=n)
    assert quote.cost is not None
    assert most(Key(name="a"), quote) == quote.cost.usd == n * Decimal("0.11")
