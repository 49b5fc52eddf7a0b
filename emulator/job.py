"""What a valid body asks for, in words that hold for every family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

__all__ = ["Edit", "Format", "Job"]

Format = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The pictures that a job starts from.

    ``pictures`` are RGB or RGBA, the one to be changed first. ``mask`` is grey, as large as that one, and white where it
    is to be changed. ``returns_mask`` tells that the caller wants the mask back, black where it was changed. ``options``
    are the task's own numbers and words, in the names of the functions that draw.
    """

    task: str
    pictures: tuple[Image.Image, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    mask: Image.Image | None = None
    returns_mask: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Pictures to draw, in words that hold for every family.

    Sizes in pixels. ``seed`` None means that the model draws one, from 1 to ``seed_max``. ``parameters`` is everything else
    that shapes the picture, defaults filled in, without the count and the file format; input pictures stand there as
    digests. ``words`` is further text in which the words that set failures off are looked for.
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
    edit: Edit | None = None
    words: str = ""
