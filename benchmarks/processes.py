"""What a process and its children use, read from /proc (Linux)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all that it has started."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def resident(pid: int) -> int:
    """Bytes of memory of the tree: resident sets, where pages that several share count for each in part."""
    return sum(_resident(one) for one in tree(pid))


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def descriptors(pid: int) -> int:
    """Open descriptors of the tree."""
    found = 0
    for one in tree(pid):
        try:
            found += len(os.listdir(f"/proc/{one}/fd"))
        except OSError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that the tree has used, as far as its members still live."""
    total = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


class Peak:
    """The most memory that was seen."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def watching(pid: int, every: float = 0.1) -> Iterator[Peak]:
    """Look at the memory of a tree ten times a second."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(every):
            peak.bytes = max(peak.bytes, resident(pid))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
