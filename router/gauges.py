"""What metrics ask a router for whenever they are collected."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import partial

from .labels import Labels
from .reload import Generations
from .runtime import Runtime

__all__ = ["observe"]

Current = Callable[[], Runtime | None]
"""What metrics ask, which may outlive the router: None then."""


def observe(generations: Generations) -> None:
    """Let telemetry ask the configuration in use, for as long as its router is there."""
    current, telemetry = partial(_current, weakref.ref(generations)), generations.current.telemetry
    telemetry.watch(partial(_learned, current), partial(_standing, current))
    telemetry.labels = partial(_labels, current)


def _current(generations: weakref.ref[Generations]) -> Runtime | None:
    alive = generations()
    return alive.current if alive is not None else None


def _learned(current: Current) -> Iterable[tuple[str, str, str, int]]:
    runtime = current()
    return runtime.learned() if runtime is not None else ()


def _standing(current: Current) -> Iterable[tuple[str, str, str, str, int]]:
    runtime = current()
    return runtime.standing() if runtime is not None else ()


def _labels(current: Current) -> Labels:
    runtime = current()
    return runtime.labels if runtime is not None else Labels(names=frozenset())
