"""Samples where every process of a tree spends its CPU: put this folder on PYTHONPATH and name a folder in SAMPLES_INTO.

Python imports a module of this name when it starts. Every millisecond of CPU, or as often as the system's clock ticks, the
main thread's stack is looked at; at the end the counts are written down: a file for each process, with a line for each
place: samples, file, function.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections import Counter
from types import FrameType

_FOLDER = os.environ.get("SAMPLES_INTO")
_SECONDS = 0.001
_BEGIN = 2.0
"""Seconds of CPU that are let pass: imports are not what is looked for."""
_samples: Counter[tuple[str, str]] = Counter()


def _look(number: int, frame: FrameType | None) -> None:
    if frame is not None:
        _samples[frame.f_code.co_filename, frame.f_code.co_qualname] += 1


def _write() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    with open(f"{_FOLDER}/{os.getpid()}", "w", encoding="utf-8") as file:
        for (path, function), count in _samples.most_common():
            file.write(f"{count}\t{path}\t{function}\n")


if _FOLDER:
    signal.signal(signal.SIGPROF, _look)
    signal.setitimer(signal.ITIMER_PROF, _BEGIN, _SECONDS)
    atexit.register(_write)
