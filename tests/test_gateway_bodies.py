"""Large bodies and half-sent ones: nobody's health check waits for them, and no key holds the places of all."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lascaux.cli.serve import links_warning
from lascaux.gateway.aside import SMALL, aside
from lascaux.gateway.errors import Refused
from lascaux.gateway.folders import meeting_place, sweep
from lascaux.gateway.forms import read_fields
from lascaux.gateway.gate import Gate, open_gate
from lascaux.gateway.intake import Bounds, Intake
from lascaux.gateway.keys import Key, NewKey
from lascaux.gateway.quiet import Quiet
from lascaux.gateway.turns import Turns
from lascaux.providers.types import Image
from lascaux.router.config import ServerConfig
from starlette.requests import Request

ROOM = 1_000_000


def coming(headers: dict[str, str], messages: asyncio.Queue[dict[str, Any]]) -> Request:
    """A request whose body is what is put into the queue."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, messages.get)


def piece(data: bytes, more: bool = False) -> dict[str, Any]:
    """A message of ASGI."""
    return {"type": "http.request", "body": data, "more_body": more}


def gate(*names: str) -> Gate:
    """With keys of these names."""
    server = ServerConfig.model_validate({"keys": [{"name": name, "hash": NewKey.make().hash} for name in names]})
    return open_gate(server, clock=lambda: 0.0, now=lambda: cast(Any, None))


def test_half_sent_bodies_of_one_key_leave_places_to_others() -> None:
    """One more than it may have is refused before anything is read; others are let in, and it is when one has ended."""

    async def play() -> None:
        intake, stalled = Intake(Bounds(in_flight=10)), asyncio.Queue[dict[str, Any]]()

        async def send(messages: asyncio.Queue[dict[str, Any]], who: str) -> bytes:
            async with intake.body(coming({}, messages), who=who, most_reading=2) as body:
                return body

        held = [asyncio.create_task(send(stalled, "weak")) for _ in range(2)]
        await asyncio.sleep(0)
        ready = asyncio.Queue[dict[str, Any]]()
        ready.put_nowait(piece(b"{}"))
        with pytest.raises(Refused, match="2 bodies of key 'weak'") as refused:
            await send(ready, "weak")
        assert (refused.value.status, ready.qsize(), intake.in_flight) == (429, 1, 2)
        assert await send(ready, "other") == b"{}"
        for message in (piece(b"[]"), piece(b"[]")):
            stalled.put_nowait(message)
        assert await asyncio.gather(*held) == [b"[]", b"[]"]
        ready.put_nowait(piece(b"{}"))
        assert await send(ready, "weak") == b"{}"
        assert (intake.in_flight, intake.buffered) == (0, 0)

    asyncio.run(play())


def test_how_many_bodies_a_key_may_send_at_once() -> None:
    """As many as it may have under way, and half of all where there are others."""
    alone, among = gate("a"), gate("a", "b")
    assert [alone.bodies(Key(name="a", concurrency=most), 256) for most in (None, 3, 300)] == [None, 3, 300]
    assert [among.bodies(Key(name="a", concurrency=most), 256) for most in (None, 3, 300)] == [128, 3, 128]
    assert among.bodies(Key(name="a"), 1) == 1


def test_bodies_have_their_memory_to_the_byte() -> None:
    """What fits is taken, one byte more is not."""

    async def play(size: int) -> int:
        intake, messages = Intake(Bounds(buffered=ROOM)), asyncio.Queue[dict[str, Any]]()
        messages.put_nowait(piece(b"x" * size))
        async with intake.body(coming({}, messages)):
            return intake.buffered

    assert asyncio.run(play(ROOM)) == ROOM
    with pytest.raises(Refused, match="memory"):
        asyncio.run(play(ROOM + 1))


def test_large_bodies_are_read_beside_the_event_loop_one_at_a_time() -> None:
    """Small ones are read at once."""
    begun: list[int] = []
    together: list[int] = []

    def read() -> int:
        begun.append(1)
        together.append(len(begun))
        begun.pop()
        return threading.get_ident()

    async def play() -> None:
        assert await aside(SMALL, read) == threading.get_ident()
        threads = set(await asyncio.gather(*(aside(SMALL + 1, read) for _ in range(20))))
        assert len(threads) == 1
        assert threads != {threading.get_ident()}

    asyncio.run(play())
    assert max(together) == 1


def test_a_few_go_on_in_each_round() -> None:
    """In the order in which they came; one that has gone takes nobody's turn."""

    async def play() -> None:
        turns, over = Turns(2), list[int]()

        async def wait(number: int) -> None:
            await turns.next()
            over.append(number)

        tasks = [asyncio.create_task(wait(number)) for number in range(7)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        seen = []
        for _ in range(8):
            await asyncio.sleep(0)
            seen.append(len(over))
        assert over == [0, 2, 3, 4, 5, 6]
        assert all(later - earlier <= 2 for earlier, later in itertools.pairwise(seen))
        await asyncio.wait_for(turns.next(), 10)

    asyncio.run(play())


@pytest.mark.parametrize("wrap", [lambda url: url, lambda url: [{"image_url": url}], lambda url: [url]])
def test_a_large_picture_is_held_without_the_head_of_its_url(wrap: Any) -> None:
    """What the router would cut off again, at the cost of another copy. Small ones and other fields stay as they came."""
    text = "A" * 100_000
    url = f"data:image/png;base64,{text}"
    body = json.dumps({"image": wrap(url), "prompt": url, "mask": "data:image/png;base64,AAAA"}).encode()
    fields = read_fields("application/json", body)
    found = fields["image"][0] if isinstance(fields["image"], list) else fields["image"]
    assert isinstance(found, Image)
    assert found.b64 == text
    assert (fields["prompt"], fields["mask"]) == (url, "data:image/png;base64,AAAA")
    plain = read_fields("application/json", body.replace(b";base64,", b";base65,"))
    assert plain["image"] == wrap(url.replace(";base64", ";base65"))


def test_the_same_trouble_is_told_once_a_minute_with_its_number() -> None:
    """Figures make no other kind of it, other words do."""
    clock, told = SimpleNamespace(now=0.0), list[str]()
    quiet = Quiet(told.append, lambda: clock.now)
    for usd in ("0.04", "0.08", "1.20"):
        quiet(f"a bill of {usd} USD is not written down")
    quiet("the journal can not be used")
    assert told == ["a bill of 0.04 USD is not written down", "the journal can not be used"]
    clock.now = 60.0
    quiet("a bill of 3 USD is not written down")
    assert told[2:] == ["a bill of 3 USD is not written down (and 2 more times since this was last told)"]


def test_folders_of_gateways_that_were_killed_go_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that nobody holds; not what is held, open to others, reached by a link, or not a gateway's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept = tmp_path / "elsewhere"
    names = ("lascaux-serve-dead", "lascaux-serve-held", "lascaux-serve-open", "lascaux-mine")
    dead, held, wide, mine = folders = [tmp_path / name for name in names]
    for folder in (*folders, kept):
        folder.mkdir(mode=0o700)
        (folder / "secret").write_text("x")
    wide.chmod(0o755)
    link = tmp_path / "lascaux-serve-link"
    link.symlink_to(kept)
    (dead / "link").symlink_to(kept)
    holder = os.open(held, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_SH)
        with meeting_place() as place:
            assert Path(place).stat().st_mode & 0o777 == 0o700
            assert not dead.exists()
            assert sweep(str(tmp_path)) == []
            assert Path(place).is_dir()
        assert not Path(place).exists()
        assert all((folder / "secret").exists() for folder in (held, wide, mine, kept))
        assert link.is_symlink()
    finally:
        os.close(holder)
    assert sweep(str(tmp_path)) == [str(held)]


def test_links_that_begin_with_what_clients_say_are_warned_of() -> None:
    """Where others may say it: with keys, or at an address that they reach. Links into a bucket begin with its name."""
    keys = {"keys": [{"name": "a", "hash": NewKey.make().hash}]}
    bucket = {"links": {"s3": {"bucket": "pictures", "region": "us-west-2"}}}
    for server, host, public_url, warned in (
        ({}, "127.0.0.1", None, False),
        ({}, "0.0.0.0", None, True),
        (keys, "127.0.0.1", None, True),
        (keys, "127.0.0.1", "https://images.example.com", False),
        (keys | {"public_url": "https://images.example.com"}, "0.0.0.0", None, False),
        (keys | bucket, "0.0.0.0", None, False),
    ):
        told = links_warning(ServerConfig.model_validate(server), host, public_url)
        assert (told is not None) is warned, (server, host)
        assert told is None or "server.public_url" in told
