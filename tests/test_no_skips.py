"""Where everything is installed nothing is skipped: NO_SKIPS makes a failure of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = """
import pytest

def test_good():
    pass

@pytest.mark.skip(reason="no chromium here")
def test_marked():
    pass

def test_inside():
    pytest.skip("no node here")

@pytest.mark.xfail(reason="not yet")
def test_expected():
    assert False
"""
WHOLE = "import pytest\npytest.importorskip('no_such_module', reason='no module here')\n"


@pytest.mark.parametrize(
    ("value", "counts"),
    [("1", "2 failed, 1 passed, 2 errors"), ("0", "1 passed, 3 skipped, 1 xfailed")],
    ids=["CI", "elsewhere"],
)
def test_a_skip_is_a_failure_where_nothing_may_be_skipped(tmp_path: Path, value: str, counts: str) -> None:
    """Marked, in a test, of a whole file, or expected; each tells its reason."""
    (tmp_path / "test_some.py").write_text(FILE)
    (tmp_path / "test_whole.py").write_text(WHOLE)
    args = [
        "-p",
        "lascaux.tests.conftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-rA",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *args, "--continue-on-collection-errors", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "NO_SKIPS": value},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert counts in done.stdout, done.stdout
    assert all(reason in done.stdout for reason in ("no chromium here", "no node here", "not yet", "no module here"))
    assert done.returncode == (1 if value == "1" else 0)
