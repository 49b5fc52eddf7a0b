"""Amazon Nova Canvas."""

from __future__ import annotations

from typing import ClassVar

from .amazon import Amazon

__all__ = ["NovaCanvas"]


class NovaCanvas(Amazon):
    """Free sizes in steps of 16, prompts of 1024 characters, styles, and virtual try-on. Transparent input is refused."""

    name = "nova_canvas"
    opaque: ClassVar[bool] = True
