"""The folder in which the processes of one gateway meet: it holds what signs links, so none is left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["meeting_place", "sweep"]

_PREFIX = "lascaux-serve-"


@contextmanager
def meeting_place() -> Iterator[str]:
    """A new folder for this user alone, gone at the end; those of gateways that were killed go before. Raises OSError."""
    sweep(tempfile.gettempdir())
    folder, held = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def sweep(place: str) -> list[str]:
    """Remove the folders of this user's gateways that no process holds any more; their paths.

    Supervisor and workers hold theirs with a lock, which the system takes back however they end. Whatever is not exactly
    such a folder is left alone, and no link is followed.
    """
    removed = []
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and _removed(entry.path):
                removed.append(entry.path)
    return removed


def _made() -> tuple[str, int]:
    """A folder that is held. Another gateway that starts may take one away before it is: then comes the next."""
    while True:
        folder = tempfile.mkdtemp(prefix=_PREFIX)  # 0700
        with suppress(FileNotFoundError):
            held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(held, fcntl.LOCK_SH)
            if os.path.isdir(folder):
                return folder, held
            os.close(held)


def _removed(path: str) -> bool:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        facts = os.fstat(folder)
        if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) != 0o700:
            return False
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)  # follows no links either
        return True
    except OSError:
        return False
    finally:
        os.close(folder)
