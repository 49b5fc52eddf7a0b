"""`Traffic` of all worker processes of one gateway, counted in files that they map into memory: one for each key.

A file is a row of 8-byte fields: where its ring begins, a pair for each worker (which start of it, requests under way), and
the ring of moments. What is written in it at any instant can be read after its writer was killed: at worst a request counts
that was just about to begin.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from .journal import Busy
from .keys import Key
from .limits import WINDOW, Use, check_places, check_rate, counted, uncounted

__all__ = ["SharedLimits", "SharedTraffic"]

_FIELD = 8
_HEAD = 3
"""Fields before a ring's moments: how many there is room for, the number of the oldest, the number of the next."""
_ROOM = 64
"""Moments for which a ring has room at first; it doubles when they do not suffice."""
_PATIENCE = 2.0
"""Seconds."""
_PAUSE = 0.005


class SharedLimits:
    """The files of all keys, and the lock under which they are read and written: held for microseconds.

    A process that is stopped may hold it longer. Nobody waits for it without an end; what has ended meanwhile is counted
    with the next access, by a thread if there is none.

    The file ``workers`` tells how often each worker has started. What a killed worker had under way counts until its
    successor starts, under the same ``index``: then it belongs to an earlier start, and is nobody's.
    """

    def __init__(self, folder: str, index: int, count: int) -> None:
        """``folder`` is that of `Peers`, ``count`` the workers of the gateway. Raises OSError."""
        self.folder = os.path.join(folder, "limits")
        self.index = index
        self.count = count
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self._thread_lock = threading.Lock()
        self._late_lock = threading.Lock()
        self._late: list[Callable[[], None]] = []
        self._catcher: threading.Thread | None = None
        self._lock = os.open(os.path.join(self.folder, "workers"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._lock)
        with self.locked():
            if os.fstat(self._lock).st_size < count * _FIELD:
                _write(self._lock, bytes(count * _FIELD), 0)
            self.starts = memoryview(mmap.mmap(self._lock, count * _FIELD)).cast("q")
            self.start = self.starts[index] + 1
            self.starts[index] = self.start

    @contextmanager
    def locked(self, wait: bool = True) -> Iterator[None]:
        """Nobody else reads or writes inside. The lock ends with the process, whatever happens to it.

        Raises Busy if somebody else has it and we do not ``wait``, else TimeoutError after two seconds.
        """
        end = time.monotonic() + _PATIENCE
        while not self._taken():
            if not wait:
                raise Busy
            if time.monotonic() >= end:
                raise TimeoutError("another process holds the counts")
            threading.Event().wait(_PAUSE)
        try:
            self._catch_up()
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._thread_lock.release()

    def later(self, change: Callable[[], None]) -> None:
        """Make a change under the lock: now if it is free, else as soon as it is. Never blocks, never fails."""
        with self._late_lock:
            self._late.append(change)
        try:
            with self.locked(wait=False):
                return
        except (Busy, OSError):
            with self._late_lock:
                if self._late and self._catcher is None:
                    self._catcher = threading.Thread(target=self._catch, name="lascaux-limits", daemon=True)
                    self._catcher.start()

    def of(self, name: str, clock: Callable[[], float], *, wait: bool = True) -> SharedTraffic:
        """What the key ``name`` is counted with. ``clock`` is that of the machine. Raises `Refused` (503), or Busy."""
        with _readable():
            return SharedTraffic(self, name, clock, wait=wait)

    def _taken(self) -> bool:
        """The file's lock is never waited for: a thread that does would keep all others from trying."""
        self._thread_lock.acquire()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            self._thread_lock.release()
            if isinstance(error, BlockingIOError):
                return False
            raise
        return True

    def _catch_up(self) -> None:
        """Called with the lock."""
        while self._late:
            with self._late_lock:
                change = self._late.pop(0) if self._late else None
            if change is not None:
                with suppress(OSError):  # a file of counts that nobody can open has none
                    change()

    def _catch(self) -> None:
        """Until all is counted that came late."""
        while True:
            with suppress(OSError), self.locked():
                pass
            with self._late_lock:
                if not self._late:
                    self._catcher = None
                    return
            threading.Event().wait(_PAUSE)

    def places(self, name: str) -> SharedTraffic:
        """What requests of everybody are counted with, under a name that no key can have. Raises `Refused` (503)."""
        return self.of(f"\0{name}", lambda: 0.0)


class SharedTraffic:
    """`Traffic` of one key in all workers, or the `Places` of all requests.

    Costs the same however much was asked; raises `Refused` (503) without a disk.
    """

    __slots__ = ("_clock", "_file", "_ints", "_limits", "_moments", "_path", "_ring")

    def __init__(self, limits: SharedLimits, name: str, clock: Callable[[], float], *, wait: bool = True) -> None:
        """Raises OSError, Busy."""
        self._limits = limits
        self._clock = clock
        self._path = os.path.join(limits.folder, hashlib.blake2b(name.encode(), digest_size=16).hexdigest())
        with limits.locked(wait):
            file = self._opened()
            try:
                first = 1 + 2 * limits.count
                if os.fstat(file).st_size < (first + _HEAD + _ROOM) * _FIELD:  # new, or its maker was killed
                    head = struct.pack(f"{first}q", first, *[0] * (2 * limits.count))
                    _write(file, head + _ring([], _ROOM), 0)
                self._map(file)
            finally:
                os.close(file)

    def check(self, key: Key, *, wait: bool = True) -> None:
        """See `Traffic`."""
        with _readable(), self._limits.locked(wait):
            self._checked(key)

    def enter(self, key: Key, *, wait: bool = True) -> float:
        """See `Traffic`."""
        with _readable(), self._limits.locked(wait):
            now = self._checked(key)
            if key.rpm is not None:
                self._append(now)
            self._count(1)
            return now

    async def take(self, most: int) -> bool:
        """See `Places`."""

        def tried() -> bool:
            with _readable(), self._limits.locked(wait=False):
                free = self._in_flight() < most
                if free:
                    self._count(1)
                return free

        return await counted(tried)

    def taken(self) -> int:
        """See `Places`. Read without the lock: a moment later it would be another number anyway."""
        with _readable():
            return self._in_flight()

    def leave(self) -> None:
        """See `Traffic` and `Places`."""
        self._limits.later(partial(self._count, -1))

    def withdraw(self, moment: float) -> None:
        """See `Traffic`."""
        self._limits.later(partial(self._withdrawn, moment))

    def use(self, *, wait: bool = True) -> Use:
        """See `Traffic`."""
        with _readable(), self._limits.locked(wait):
            self._follow()
            now, (oldest, end) = self._clock(), self._bounds()
            recent = 0
            while end - recent > oldest and self._moment(end - recent - 1) > now - WINDOW:
                recent += 1
            return Use(in_flight=self._in_flight(), requests=recent)

    # All of these are called with the lock.

    def _checked(self, key: Key) -> float:
        self._follow()
        now = self._clock()
        check_places(key, self._in_flight())
        oldest, end = self._bounds()
        if key.rpm is not None and end - oldest >= key.rpm:
            check_rate(key, self._moment(end - key.rpm), now)
        return now

    def _withdrawn(self, moment: float) -> None:
        self._count(-1)
        self._follow()
        oldest, end = self._bounds()
        at = next((one for one in range(end - 1, oldest - 1, -1) if self._moment(one) == moment), None)
        if at is None:
            return
        for one in range(at, end - 1):
            self._moments[self._slot(one)] = self._moment(one + 1)
        self._ints[self._ring + 2] = end - 1

    def _append(self, now: float) -> None:
        """What gets lost counts no more; if the oldest still does, there has to be more room."""
        oldest, end = self._bounds()
        if end - oldest == self._ints[self._ring]:
            if self._moment(oldest) > now - WINDOW:
                self._grow()
                oldest, end = self._bounds()
            else:
                self._ints[self._ring + 1] = oldest + 1
        self._moments[self._slot(end)] = now
        self._ints[self._ring + 2] = end + 1

    def _in_flight(self) -> int:
        ints, starts = self._ints, self._limits.starts
        return sum(ints[2 + 2 * one] for one in range(self._limits.count) if ints[1 + 2 * one] == starts[one])

    def _count(self, change: int) -> None:
        """One more or one less of this worker, unless its successor has started meanwhile."""
        limits, at = self._limits, 1 + 2 * self._limits.index
        if limits.starts[limits.index] != limits.start:
            return
        if self._ints[at] != limits.start:
            self._ints[at + 1] = 0
            self._ints[at] = limits.start
        self._ints[at + 1] += change

    def _bounds(self) -> tuple[int, int]:
        """The numbers of the oldest moment, and of the next: they only get larger."""
        return self._ints[self._ring + 1], self._ints[self._ring + 2]

    def _slot(self, number: int) -> int:
        return self._ring + _HEAD + number % self._ints[self._ring]

    def _moment(self, number: int) -> float:
        return self._moments[self._slot(number)]

    def _grow(self) -> None:
        """Write a ring of twice the room behind all others, then let it be the one: whoever comes later follows."""
        oldest, end = self._bounds()
        moments = [self._moment(one) for one in range(oldest, end)]
        file = self._opened()
        try:
            size = os.fstat(file).st_size // _FIELD * _FIELD
            _write(file, _ring(moments, 2 * len(moments)), size)
            self._ints[0] = size // _FIELD
            self._map(file)
        finally:
            os.close(file)

    def _follow(self) -> None:
        """Another worker may have made the ring larger."""
        if self._ints[0] != self._ring:
            file = self._opened()
            try:
                self._map(file)
            finally:
                os.close(file)

    def _opened(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _map(self, file: int) -> None:
        whole = memoryview(mmap.mmap(file, os.fstat(file).st_size // _FIELD * _FIELD))
        self._ints, self._moments = whole.cast("q"), whole.cast("d")
        self._ring = self._ints[0]


def _write(file: int, data: bytes, at: int) -> None:
    """Written, not only reserved: a mapped hole in a file on a full disk would end the process. Raises OSError."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, at)
        rest, at = rest[written:], at + written


def _ring(moments: list[float], room: int) -> bytes:
    filled = struct.pack(f"{_HEAD}q{len(moments)}d", room, 0, len(moments), *moments)
    return filled + bytes((room - len(moments)) * _FIELD)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise uncounted((error.strerror or str(error)).lower()) from None
