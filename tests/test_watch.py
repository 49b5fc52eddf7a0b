"""The watcher: every way in which files change is seen, once, and what is no change is none."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lascaux.router.watch import Watcher


class Watched:
    """A watcher without its thread: `looks` returns how often it called while it looked as often as it wanted to."""

    def __init__(self, *paths: Path) -> None:
        self.watcher = Watcher(paths)
        self.calls = 0

    def changed(self) -> None:
        self.calls += 1

    def looks(self, seconds: float = 1.5) -> int:
        before, left = self.calls, seconds
        while left > 0:
            left -= self.watcher.look(self.changed)
        return self.calls - before


def in_place(path: Path) -> None:
    path.write_text("two")


def saved_by_renaming(path: Path) -> None:
    path.with_suffix(".new").write_text("two")
    path.with_suffix(".new").replace(path)


def deleted_and_written(path: Path) -> None:
    path.unlink()
    path.write_text("two")


def under_an_old_date(path: Path) -> None:
    dates = path.stat()
    path.write_text("two")
    os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))


@pytest.mark.parametrize("write", [in_place, saved_by_renaming, deleted_and_written, under_an_old_date])
def test_a_new_content_is_seen_once(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """However it got there: same length, same name, even the same date."""
    path = tmp_path / "file"
    path.write_text("one")
    watched = Watched(path)
    assert watched.looks() == 0
    write(path)
    assert watched.looks() == 1
    assert watched.looks() == 0


def test_a_file_that_only_looks_new_is_no_change(tmp_path: Path) -> None:
    """Touched, copied over itself, written with the same words."""
    path = tmp_path / "file"
    path.write_text("one")
    watched = Watched(path)
    os.utime(path, (1, 1))
    assert watched.looks() == 0
    path.with_suffix(".new").write_text("one")
    path.with_suffix(".new").replace(path)
    assert watched.looks() == 0


def test_a_kubernetes_volume_is_followed(tmp_path: Path) -> None:
    """The file is a symlink through ``..data``, which is swapped to another folder."""
    for name, text in (("..first", "one"), ("..second", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    (tmp_path / "..data").symlink_to("..first")
    (tmp_path / "file").symlink_to("..data/file")
    alone, volume = Watched(tmp_path / "file"), Watched(tmp_path)
    assert alone.looks() == volume.looks() == 0
    (tmp_path / "..tmp").symlink_to("..second")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    assert alone.looks() == volume.looks() == 1


def test_a_file_may_be_away_for_a_moment(tmp_path: Path) -> None:
    """Back with the same content it never changed; away for good it has, and whoever needs it shall say so."""
    path = tmp_path / "file"
    path.write_text("one")
    watched = Watched(path)
    path.unlink()
    assert watched.looks(3) == 0
    path.write_text("one")
    assert watched.looks() == 0
    path.unlink()
    assert watched.looks(10) == 1
    path.write_text("one")
    assert watched.looks() == 1


def test_half_a_file_is_waited_for(tmp_path: Path) -> None:
    """As long as two looks differ, somebody is writing."""
    path = tmp_path / "file"
    path.write_text("one")
    watched = Watched(path)
    for text in ("", "tw", "two and"):
        path.write_text(text)
        assert watched.watcher.look(watched.changed) < 0.5
    assert watched.calls == 0
    assert watched.looks() == 1


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    """A file that is added, changed or taken away; hidden ones do not count, and neither do folders."""
    (tmp_path / "one").write_text("1")
    watched = Watched(tmp_path)
    (tmp_path / "two").write_text("2")
    assert watched.looks() == 1
    (tmp_path / "two").write_text("3")
    assert watched.looks() == 1
    (tmp_path / "two").rename(tmp_path / "three")
    assert watched.looks() == 1
    (tmp_path / ".hidden").write_text("4")
    (tmp_path / "folder").mkdir()
    assert watched.looks() == 0
    (tmp_path / "three").unlink()
    assert watched.looks() == 1


def test_a_file_that_is_not_there_yet_is_watched(tmp_path: Path) -> None:
    """A ``.env`` may come later."""
    watched = Watched(tmp_path / ".env")
    assert watched.looks() == 0
    (tmp_path / ".env").write_text("A=1")
    assert watched.looks() == 1


def test_other_files_are_watched_from_what_they_hold(tmp_path: Path) -> None:
    """The old ones no more."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    watched = Watched(one)
    watched.watcher.watch([two, tmp_path / "not there"])
    one.write_text("3")
    assert watched.looks(10) == 0
    two.write_text("4")
    assert watched.looks() == 1


def test_what_was_loaded_by_hand_is_no_change_and_the_way_back_is_one(tmp_path: Path) -> None:
    """Also if nobody has looked in between; what came after the loading began is seen."""
    path = tmp_path / "file"
    path.write_text("one")
    watched = Watched(path)
    path.write_text("two")
    watched.watcher.watch([path], watched.watcher.content())
    assert watched.looks() == 0
    path.write_text("three")
    before = watched.watcher.content()
    path.write_text("two")
    watched.watcher.watch([path], before)
    assert watched.looks() == 1
    assert watched.looks() == 0


def test_what_goes_wrong_does_not_end_the_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; the next change is seen, and this one is not tried again and again."""
    path = tmp_path / "file"
    path.write_text("one")
    watcher = Watcher([path])
    calls = []

    def fails() -> None:
        calls.append(path.read_text())
        raise RuntimeError("no")

    for text in ("two", "three"):
        path.write_text(text)
        for _ in range(4):
            watcher.look(fails)
    assert calls == ["two", "three"]
    assert len(caplog.records) == 2


def until(seen: Callable[[], object]) -> None:
    """Wait for another thread, at most half a minute."""
    end = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_the_thread_ends_when_it_is_told(tmp_path: Path) -> None:
    """And it does its work until then."""
    path = tmp_path / "file"
    path.write_text("one")
    changed = threading.Event()
    before = threading.active_count()
    watcher = Watcher([path], interval=0.01)
    watcher.start(changed.set)
    path.write_text("two")
    until(changed.is_set)
    watcher.stop()
    until(lambda: threading.active_count() == before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_can_watch_on(tmp_path: Path) -> None:
    """Its parent's thread is not there; it gets one of its own, unless the parent had stopped."""
    path = tmp_path / "file"
    path.write_text("one")
    changed = threading.Event()
    watcher = Watcher([path], interval=0.01)
    watcher.start(changed.set)

    def work() -> None:
        watcher.after_fork()
        path.write_text("two")
        until(changed.is_set)
        watcher.stop()
        watcher.after_fork()
        assert watcher.stopped

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(20)
    watcher.stop()
    assert child.exitcode == 0
