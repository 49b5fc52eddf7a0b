"""How much memory is left, for the machine and for the container: from what Linux tells in ``/proc`` and in cgroups.

Facts: proc_meminfo(5), cgroups(7); the kernel's cgroup-v2.rst (``memory.max``, ``memory.current``, ``memory.stat``) and
cgroup-v1/memory.rst (``memory.limit_in_bytes``, ``memory.usage_in_bytes``). Pages of files that were not used lately
(``inactive_file``) are taken back before anybody runs out, so they count as free, as kubelet counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Headroom", "Memory", "default_buffered", "measure", "of_group", "of_machine", "paths_of"]

_BUFFERED = 512 * 1024 * 1024
_LEAST = 32 * 1024 * 1024
_MOST = 256 * 1024 * 1024
_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as the largest multiple of a page that fits into 63 bits."""
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
_MOUNTS = {1: ("sys/fs/cgroup/memory",), 2: ("sys/fs/cgroup", "sys/fs/cgroup/unified")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes that there are, and bytes that are left of them."""

    total: int
    free: int

    @property
    def scarce(self) -> bool:
        """Is it about to end? Less than a twentieth is left, but 32 MiB at least and 256 MiB at the most."""
        return self.free < min(max(self.total // 20, _LEAST), _MOST)


def of_machine(meminfo: str) -> Memory | None:
    """From the text of ``/proc/meminfo``; None if it does not tell."""
    figures = {name: rest.split() for name, _, rest in (line.partition(":") for line in meminfo.splitlines())}
    try:
        return Memory(total=int(figures["MemTotal"][0]) * 1024, free=int(figures["MemAvailable"][0]) * 1024)
    except (KeyError, ValueError, IndexError):
        return None


def paths_of(cgroup: str) -> tuple[tuple[int, str], ...]:
    """From the text of ``/proc/self/cgroup``: (version, path) of the groups that may bound memory."""
    found = []
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            found.append((2, path))
        elif "memory" in names.split(","):
            found.append((1, path))
    return tuple(found)


def of_group(version: int, files: Mapping[str, str]) -> Memory | None:
    """From the texts of a group's files, by name; None without a limit, or where they do not tell."""
    limit, usage, inactive = _FILES[version]
    stat = dict(line.split()[:2] for line in files.get("memory.stat", "").splitlines() if len(line.split()) >= 2)
    try:
        total = int(files[limit])  # "max" is no number
        used = int(files[usage]) - int(stat.get(inactive, 0))
    except (KeyError, ValueError):
        return None
    return None if total >= _UNLIMITED else Memory(total=total, free=max(0, total - max(0, used)))


def measure(root: Path = Path("/")) -> tuple[Memory, ...]:
    """The machine's memory, and that of every group with a limit that this process is in.

    Nothing where the system does not tell, as on macOS.
    """
    found = [of_machine(_text(root / "proc/meminfo")), *_groups(root)]
    return tuple(memory for memory in found if memory is not None)


def default_buffered(memory: Iterable[Memory]) -> int:
    """Bytes for bodies where nothing is said: 512 MiB, or a quarter of the smallest memory if that is less."""
    return min([_BUFFERED, *(one.total // 4 for one in memory)])


class Headroom:
    """Tells whether memory is about to end. Looks at most once in ``every`` seconds, so that asking costs nothing."""

    def __init__(
        self, clock: Callable[[], float], look: Callable[[], Iterable[Memory]] = measure, *, every: float = 1.0
    ) -> None:
        self._clock = clock
        self._look = look
        self._every = every
        self._next: float | None = None
        self._scarce = False

    def scarce(self) -> bool:
        """Is it? False where the system does not tell."""
        now = self._clock()
        if self._next is None or now >= self._next:
            self._next = now + self._every
            self._scarce = any(memory.scarce for memory in self._look())
        return self._scarce


def _groups(root: Path) -> list[Memory | None]:
    """Every group from this process's own up to the root: each of them may have a limit."""
    found = []
    for version, path in paths_of(_text(root / "proc/self/cgroup")):
        for mount in _MOUNTS[version]:
            place = root / mount
            inner = [part for part in path.split("/") if part not in ("", ".", "..")]
            for depth in range(
                len(inner), -1, -1
            ):  # in a container the path may be the host's: then only the root is there
                found.append(_group(version, place.joinpath(*inner[:depth])))
    return found


def _group(version: int, folder: Path) -> Memory | None:
    limit = _text(folder / _FILES[version][0])
    if not limit or limit.strip() == "max":  # most have none: no need to read on
        return None
    more = (_FILES[version][1], "memory.stat")
    return of_group(version, {_FILES[version][0]: limit} | {name: _text(folder / name) for name in more})


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
