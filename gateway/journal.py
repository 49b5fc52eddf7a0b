"""An append-only file of records, one JSON line each, that processes of one machine share and that survives their end."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import orjson

from .books import Damaged, Record

__all__ = ["Busy", "Journal"]

_MODE = 0o600
_BLOCK = 1 << 20


_PATIENCE = 5.0
"""Seconds for which the lock is waited for: it is held for less than a millisecond, unless somebody was stopped."""
_PAUSE = 0.01


class Busy(Exception):
    """It would take a while, and who asked can not wait here. If it ``passes``, the next try may succeed."""

    def __init__(self, *, passes: bool = True) -> None:
        super().__init__()
        self.passes = passes


class Journal:
    """Written at once, so that a killed process loses nothing; flushed to the disk by a thread right after.

    All but `close` is called between `locked`: one process at a time reads what others have added, decides, and adds. So a
    line without its end is what a process left when it was killed: it is cut off. OSError is raised as it comes.
    """

    def __init__(self, path: str | os.PathLike[str], *, most: int = 4 << 20, durable: bool = True) -> None:
        """``most`` is the size in bytes from which the file is written anew. Raises OSError.

        Without ``durable`` it is not flushed to the disk: it outlives processes, but not the machine.
        """
        self._path = os.fspath(path)
        self._most = most
        self._base = 0
        self._offset = 0
        self._size = 0
        self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            self._file = self._opened(os.O_CREAT)
        except OSError:
            os.close(self._lock)
            raise
        self._identity = _identity(os.fstat(self._file))
        self._dirty = threading.Event()
        self._closing = False
        self._durable = durable
        self._flusher = threading.Thread(target=self._flush, name="lascaux-spend", daemon=True)
        if durable:
            self._flusher.start()

    @property
    def path(self) -> str:
        """Where it is."""
        return self._path

    @property
    def is_long(self) -> bool:
        """True if it is time to write it anew."""
        return self._offset > max(self._most, 2 * self._base)

    @property
    def unread(self) -> int:
        """Bytes that were still to be read when `replaced` was asked."""
        return self._size - self._offset

    @contextmanager
    def locked(self, *, wait: bool = True) -> Iterator[None]:
        """Nobody else reads or writes inside. The lock ends with the process, whatever happens to it.

        Raises Busy if somebody else has it and we do not ``wait``, else TimeoutError after five seconds.
        """
        self.lock(wait=wait)
        try:
            yield
        finally:
            self.unlock()

    def lock(self, *, wait: bool = True) -> None:
        """Begin to be alone, as `locked` does."""
        end = None
        while not self._taken():
            if not wait:
                raise Busy
            end = end or time.monotonic() + _PATIENCE
            if time.monotonic() >= end:
                raise TimeoutError("another process holds the lock")
            threading.Event().wait(_PAUSE)

    def unlock(self) -> None:
        """Let others in."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def replaced(self) -> bool:
        """True if another process has written the file anew: all that was read is to be forgotten, and read again."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if there is not None and there.st_size >= self._offset and _identity(there) == self._identity:
            self._size = there.st_size
            return False
        fresh = self._opened(os.O_CREAT)
        os.close(self._file)
        self._file, self._offset = fresh, 0
        mine = os.fstat(fresh)
        self._identity, self._size = _identity(mine), mine.st_size
        return True

    def read(self) -> Iterator[Record]:
        """What was added since the last time. Raises Damaged, with the place, for a line that is no JSON object."""
        rest = self._rest()
        whole = rest[: rest.rfind(b"\n") + 1]
        if len(whole) < len(rest):
            os.ftruncate(self._file, self._offset + len(whole))
        for line in whole.splitlines(keepends=True):
            try:
                record = orjson.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise Damaged(f"the line at byte {self._offset} is no record")
            self._offset += len(line)
            yield record
        self._base = self._base or self._offset

    def append(self, record: Record) -> None:
        """Add one record, after everything was read. Of one that can not be written whole, nothing will be read."""
        line = _line(record)
        self._write(self._file, line)
        self._offset += len(line)
        if self._durable:
            self._dirty.set()

    def rewrite(self, records: Iterable[Record]) -> None:
        """Put a new file in the place of this one, at once: whoever looks finds the old one or the new one."""
        beside = f"{self._path}.new"
        fresh = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, _MODE)
        try:
            self._write(fresh, b"".join(map(_line, records)))
            os.fsync(fresh)
            os.replace(beside, self._path)
            _sync_folder(os.path.dirname(os.path.abspath(self._path)))
        except OSError:
            os.close(fresh)
            raise
        old, self._file = self._file, fresh
        mine = os.fstat(fresh)
        self._identity = _identity(mine)
        self._base = self._offset = mine.st_size
        os.close(old)
        self._dirty.set()

    def close(self) -> None:
        """Flush, and let go of the file."""
        self._closing = True
        self._dirty.set()
        if self._durable:
            self._flusher.join()
        os.close(self._file)
        os.close(self._lock)

    def _opened(self, more: int) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | more, _MODE)

    def _rest(self) -> bytes:
        parts = []
        at = self._offset
        while part := os.pread(self._file, _BLOCK, at):
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    @staticmethod
    def _write(file: int, data: bytes) -> None:
        while data:
            data = data[os.write(file, data) :]

    def _flush(self) -> None:
        """One flush for all that was added since the last: nobody who asks waits for the disk."""
        while not self._closing:
            self._dirty.wait()
            self._dirty.clear()
            try:
                copy = os.dup(self._file)
                try:
                    os.fsync(copy)
                finally:
                    os.close(copy)
            except OSError:  # what was written is still in the hands of the system; the next flush tries again
                continue


def _line(record: Record) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _identity(found: os.stat_result) -> tuple[int, int]:
    """Which file it is, for as long as it is open."""
    return found.st_dev, found.st_ino


def _sync_folder(path: str) -> None:
    """A file's name is on the disk only when its folder is."""
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
