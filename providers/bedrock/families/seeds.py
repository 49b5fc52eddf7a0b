"""Seeds that differ, and what a seed means to a model."""

from __future__ import annotations

from typing import Any

from ...catalog import Model

__all__ = ["following", "sent"]


def following(seed: int, step: int, model: Model) -> int:
    """The seed ``step`` places after ``seed``, starting again after the largest.

    Where 0 means random it is never reached by counting, and stays 0 when it is what was asked for.
    """
    if model.seed is None or not model.seed.zero_is_random:
        return (seed + step) % ((model.seed.max if model.seed else seed + step) + 1)
    return 0 if seed == 0 else (seed - 1 + step) % model.seed.max + 1


def sent(value: Any, model: Model) -> int | None:
    """The seed in a body, if it is one that the model takes."""
    if model.seed is None or isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= model.seed.max else None
