"""Whose words a configuration is written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from .names import OWN_SECTIONS

__all__ = ["SETTINGS", "is_litellm"]

SETTINGS = ("router_settings", "litellm_settings", "general_settings")


def is_litellm(data: object) -> TypeGuard[Mapping[str, Any]]:
    """True if this is a LiteLLM configuration: it has a ``model_list``, or LiteLLM's settings and none of our sections."""
    if not isinstance(data, Mapping):
        return False
    settings = any(name in data for name in SETTINGS)
    return "model_list" in data or (settings and not any(name in data for name in OWN_SECTIONS))
