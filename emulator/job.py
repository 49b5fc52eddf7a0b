"""What a valid body asks for, in words that hold for every family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Format", "Job"]

Format = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Pictures to draw, in words that hold for every family.

    Sizes in pixels. ``seed`` None means that the model draws one, from 1 to ``seed_max``. ``parameters`` is everything else
    that shapes the picture, defaults filled in, without the count and the file format.
    """

    model_id: str
    family: str
    prompt: str
    width: int
    height: int
    count: int = 1
    seed: int | None
    seed_max: int
    format: Format = "png"
    parameters: Mapping[str, Any]
