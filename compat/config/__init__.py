"""LiteLLM's ``config.yaml`` in our words: a pure translation, which the router's loader asks for when it meets one.

Stands below the router and imports nothing of it; `lascaux.compat.functions` stands above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .recognition import is_litellm

if TYPE_CHECKING:
    from .translation import Translation

__all__ = ["is_litellm", "translate"]


def translate(data: Mapping[str, Any], *, needed: str | None = None) -> Translation:
    """`translation.translate`, loaded when it is first needed: most configurations are in our own words."""
    from .translation import translate

    return translate(data, needed=needed)
