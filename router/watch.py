"""Notices that files have changed, by their content, however they were written."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping

__all__ = ["Watcher"]

log = logging.getLogger(__name__)

_SETTLE = 0.1
"""Seconds between two looks that must agree: whoever writes a file in place is not done at once."""
_PATIENCE = 5.0
"""Seconds for which a file may be away before that is a change: some programs delete and write anew."""
_RECENT = 3
"""Looks that read a file again after its dates have changed: clocks of file systems tick slowly."""
_MOST = 1 << 20
"""Bytes of a file that count. No configuration is larger."""

_Stamp = tuple[int, ...]
_Content = dict[str, bytes | None]
"""A digest for each path; None where there is nothing to read."""


class Watcher:
    """Calls ``on_change`` when a file, or a file in a folder, holds something else. Looks every ``interval`` seconds.

    It goes by path, so that a new file in the old one's place is seen, as editors leave it, and a symlink that leads
    elsewhere, as Kubernetes leaves it. Paths need not exist. What the files hold when the watcher is made is where it starts
    from. ``on_change`` runs in the watcher's own thread; what it raises is logged, and the watch goes on.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], *, interval: float = 1.0) -> None:
        self.interval = interval
        self._paths = _unique(paths)
        self._stamps: dict[str, tuple[_Stamp, int, bytes | None]] = {}
        self._known = self._read()
        self._seen = self._known
        self._away = 0.0
        self._wanted: tuple[_Content, bool] | None = None
        self._on_change: Callable[[], object] | None = None
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        """True once `stop` was called."""
        return self._stop.is_set()

    def start(self, on_change: Callable[[], object]) -> None:
        """Look from now on, in a thread of its own that does not keep the program alive."""
        self._on_change = on_change
        threading.Thread(target=self._run, name="lascaux-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more. A call of ``on_change`` that is under way ends by itself."""
        self._stop.set()

    def content(self) -> Mapping[str, bytes | None]:
        """What the files hold now, for `watch`."""
        return {path: _content(path) for path in self._paths}

    def watch(self, paths: Iterable[str | os.PathLike[str]], loaded: Mapping[str, bytes | None] | None = None) -> None:
        """Look at these from now on. Those that are new start from what they hold now.

        ``loaded``: somebody has just loaded what the files held at that `content`, so only what differs from it is a change.
        """
        found = {path: _content(path) for path in _unique(paths)}
        self._wanted = {path: (loaded or {}).get(path, digest) for path, digest in found.items()}, loaded is not None

    def after_fork(self) -> None:
        """In a child process, which has no thread of ours: begin anew, if the parent was looking."""
        on_change, stopped = self._on_change, self.stopped
        self._stop = threading.Event()
        if stopped:
            self._stop.set()
        elif on_change is not None:
            self.start(on_change)

    def look(self, on_change: Callable[[], object]) -> float:
        """Look once; seconds until the next look is due. A change counts when two looks in a row agree on it."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            content, is_loaded = wanted
            self._paths = tuple(content)
            known = {} if is_loaded else self._known
            self._known = {path: known.get(path, digest) for path, digest in content.items()}
        content = self._read()
        if content == self._known:
            self._seen, self._away = content, 0.0
            return self.interval
        if content != self._seen:
            self._seen, self._away = content, 0.0
            return min(_SETTLE, self.interval)
        gone = any(digest is None and self._known.get(path) is not None for path, digest in content.items())
        if gone and self._away < _PATIENCE:
            self._away += min(_SETTLE, self.interval)
            return min(_SETTLE, self.interval)
        self._known, self._away = content, 0.0
        try:
            on_change()
        except Exception:
            log.exception("what should follow a change of %s failed", ", ".join(content))
        return self.interval

    def _run(self) -> None:
        stop, on_change = self._stop, self._on_change
        seconds = self.interval
        while on_change is not None and not stop.wait(seconds):
            seconds = self.look(on_change)

    def _read(self) -> _Content:
        return {path: self._digest(path) for path in self._paths}

    def _digest(self, path: str) -> bytes | None:
        """The content's digest; read only if the dates changed lately."""
        try:
            found = _stamp(path)
        except OSError:
            self._stamps.pop(path, None)
            return None
        stamp, looks, digest = self._stamps.get(path, ((), 0, None))
        if found != stamp:
            looks = 0
        if looks <= _RECENT:
            digest = _content(path)
            self._stamps[path] = (found, looks + 1, digest)
        return digest


def _unique(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.abspath(path) for path in paths))


def _files(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if not name.startswith(".")]


def _stamp(path: str) -> _Stamp:
    """What changes when the file is written or replaced; of a folder, that of each of its files."""
    found = os.stat(path)
    stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if not os.path.isdir(path):
        return stamp
    return sum((_stamp(file) for file in _files(path) if os.path.isfile(file)), stamp)


def _content(path: str) -> bytes | None:
    """A digest of a file, or of a folder's files; None if there is nothing to read."""
    if not os.path.exists(path):
        return None
    digest = hashlib.blake2b(digest_size=16)
    try:
        for file in _files(path) if os.path.isdir(path) else [path]:
            if os.path.isfile(file):
                with open(file, "rb") as opened:
                    content = opened.read(_MOST + 1)
                digest.update(f"{os.path.basename(file)}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
                digest.update(content)
    except OSError:
        return None
    return digest.digest()
