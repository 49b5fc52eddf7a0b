"""Titan Image Generator G1, v1 and v2."""

from __future__ import annotations

from typing import ClassVar

from .amazon import Amazon

__all__ = ["Titan"]


class Titan(Amazon):
    """25 sizes, and a documented default that is not one of them: so a size is always sent. Prompts of 512 characters."""

    name = "titan"
    always_sized: ClassVar[bool] = True
    variation_side_max: ClassVar[int | None] = 4096
    """One AWS page says 1408 as for other input, another 4096: the provider decides."""
