"""How much memory is left, from the texts that Linux gives: machine, cgroups of version 1 and 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lascaux import AsyncRouter
from lascaux.gateway.app import create_app
from lascaux.gateway.headroom import Headroom, Memory, default_buffered, measure, of_group, of_machine, paths_of
from lascaux.gateway.worker import bounds_of
from lascaux.providers.fake import FakeProvider
from lascaux.router.config import ServerConfig
from lascaux.router.share import Share

PLAIN = {
    "deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}},
    "aliases": {"hero": "core"},
}
MIB = 1024 * 1024
MEMINFO = (
    "MemTotal:       8388608 kB\nMemFree:         131072 kB\nMemAvailable:    4194304 kB\nHugePages_Total:       0\n"
)
STAT = "anon 104857600\nfile 209715200\ninactive_file 52428800\ntotal_inactive_file 31457280\n"


def system(folder: Path, files: Mapping[str, str]) -> Path:
    """A root with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_machine_tells() -> None:
    """What is available, not what is merely free; nothing from a text that does not say."""
    assert of_machine(MEMINFO) == Memory(total=8192 * MIB, free=4096 * MIB)
    assert of_machine("MemTotal: 8388608 kB\n") is None
    assert of_machine("MemTotal:\nMemAvailable: many kB\n") is None
    assert of_machine("") is None


def test_a_group_tells() -> None:
    """Limit minus usage; files that nobody used lately count as free; no limit is no figure."""
    two = {"memory.max": "268435456\n", "memory.current": "209715200\n", "memory.stat": STAT}
    assert of_group(2, two) == Memory(total=256 * MIB, free=106 * MIB)
    assert of_group(2, two | {"memory.max": "max\n"}) is None
    assert of_group(2, two | {"memory.current": "999999999999\n"}) == Memory(total=256 * MIB, free=0)
    one = {"memory.limit_in_bytes": "268435456\n", "memory.usage_in_bytes": "209715200\n", "memory.stat": STAT}
    assert of_group(1, one) == Memory(total=256 * MIB, free=86 * MIB)
    assert of_group(1, one | {"memory.limit_in_bytes": "9223372036854771712\n"}) is None
    assert of_group(1, {"memory.limit_in_bytes": "268435456\n"}) is None


def test_the_groups_of_a_process_are_found() -> None:
    """Version 1 by the name of its controller, version 2 by having none."""
    assert paths_of("9:name=systemd:/\n4:cpu,memory:/a/b\n1:cpu:/\n0::/user.slice\n") == (
        (1, "/a/b"),
        (2, "/user.slice"),
    )
    assert paths_of("nonsense\n\n") == ()


@pytest.mark.parametrize(
    ("cgroup", "files", "least"),
    [
        ("0::/\n", {}, 4096),
        ("0::/\n", {"sys/fs/cgroup/memory.max": "314572800", "sys/fs/cgroup/memory.current": "209715200"}, 100),
        (
            "0::/a/b\n",
            {
                "sys/fs/cgroup/a/memory.max": "314572800",
                "sys/fs/cgroup/a/memory.current": "209715200",
                "sys/fs/cgroup/a/b/memory.max": "max",
                "sys/fs/cgroup/a/b/memory.current": "1048576",
            },
            100,
        ),
        (
            "4:memory:/docker/of/the/host\n",
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "314572800",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "209715200",
            },
            100,
        ),
    ],
    ids=["no limit", "container, version 2", "a limit further up", "container, version 1"],
)
def test_the_least_counts(tmp_path: Path, cgroup: str, files: Mapping[str, str], least: int) -> None:
    """The machine and every group up to the root are looked at."""
    root = system(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/cgroup": cgroup, **files})
    assert min(memory.free for memory in measure(root)) == least * MIB


def test_a_system_that_does_not_tell_is_not_scarce(tmp_path: Path) -> None:
    """As on macOS: then the bounds alone hold."""
    assert measure(tmp_path) == ()
    assert Headroom(lambda: 0.0, lambda: measure(tmp_path)).scarce() is False
    assert default_buffered(()) == 512 * MIB


@pytest.mark.parametrize(
    ("total", "free", "scarce"),
    [(24_000, 255, True), (24_000, 257, False), (1000, 51, False), (1000, 49, True), (256, 31, True), (256, 33, False)],
)
def test_memory_is_scarce_before_it_ends(total: int, free: int, scarce: bool) -> None:
    """Below a twentieth, within 32 and 256 MiB."""
    assert Memory(total=total * MIB, free=free * MIB).scarce is scarce


def test_asking_often_looks_rarely() -> None:
    """Once a second."""
    now, looks = 0.0, []

    def look() -> tuple[Memory, ...]:
        looks.append(now)
        return (Memory(total=MIB, free=0), Memory(total=8192 * MIB, free=8192 * MIB))

    headroom = Headroom(lambda: now, look)
    for tenth in range(25):
        now = tenth / 10
        assert headroom.scarce()
    assert looks == [0.0, 1.0, 2.0]


def test_bodies_have_a_quarter_of_a_small_machine() -> None:
    """And 512 MiB of a large one."""
    large, small = Memory(total=8192 * MIB, free=0), Memory(total=1024 * MIB, free=0)
    assert default_buffered([large]) == 512 * MIB
    assert default_buffered([large, small]) == 256 * MIB


def test_workers_share_the_bounds_of_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    """Memory adds up, places are those of all; a body that does not fit into one worker's part is refused, which is told."""
    server = ServerConfig(max_in_flight=5, max_buffered="130MiB")
    parts = [bounds_of(server, Share(index=index, count=2)) for index in (0, 1)]
    assert [part.in_flight for part in parts] == [5, 5]
    assert sum(part.buffered for part in parts) == 130 * MIB
    assert [part.body for part in parts] == [64 * MIB, 64 * MIB]
    assert not caplog.records
    tight = bounds_of(ServerConfig(), Share(index=0, count=4), buffered=128 * MIB)
    assert (tight.body, tight.buffered) == (32 * MIB, 32 * MIB)
    assert "server.max_body: bodies above 33554432 bytes are refused" in caplog.text


def test_nobody_is_let_in_when_memory_is_about_to_end(serve: Callable[[Any], AbstractContextManager[str]]) -> None:
    """429 before the body is read, with a time to ask again; ready says so; alive it is. Then it goes on."""
    scarce = True
    provider = FakeProvider()
    router = AsyncRouter(PLAIN, provider=provider, picture_files=False)
    with serve(create_app(router, scarce=lambda: scarce)) as url:
        ask = {"model": "hero", "prompt": "An otter"}
        refused = httpx2.post(f"{url}/v1/images/generations", json=ask)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert "memory of the machine" in refused.json()["error"]["message"]
        assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
        native = httpx2.post(f"{url}/model/hero/invoke", json={"prompt": "An otter"})
        assert native.status_code == 429
        assert httpx2.get(f"{url}/health/ready").status_code == 503
        assert httpx2.get(f"{url}/health/live").status_code == 200
        assert provider.sent == ()
        scarce = False
        assert httpx2.post(f"{url}/v1/images/generations", json=ask).status_code == 200
        assert httpx2.get(f"{url}/health/ready").status_code == 200
