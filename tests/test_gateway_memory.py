"""What the gateway's memory does under a load of large pictures, seen from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = Path(__file__).parent.parent / "benchmarks" / "gateway_memory.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_peaks_below_600_mb_and_returns() -> None:
    """128 requests at a time, with pictures of 2 MB in both directions: it peaks below 600 MB, and is then given back."""
    ran = subprocess.run(
        [sys.executable, str(MEASURE), "--seconds", "6", "--rest", "7"], capture_output=True, text=True, timeout=110
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
