"""LiteLLM's ``config.yaml`` in our words: a pure translation, which the router's loader asks for when it meets one.

Stands below the router and imports nothing of it; `lascaux.compat.functions` stands above.
"""

from __future__ import annotations

from .translation import Note, Translation, is_litellm, translate

__all__ = ["Note", "Translation", "is_litellm", "translate"]
