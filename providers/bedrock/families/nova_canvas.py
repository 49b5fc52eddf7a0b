"""Amazon Nova Canvas."""

from __future__ import annotations

from .amazon import Amazon

__all__ = ["NovaCanvas"]


class NovaCanvas(Amazon):
    """Free sizes in steps of 16, prompts of 1024 characters, and styles."""

    name = "nova_canvas"
