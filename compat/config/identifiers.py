"""What a model's name tells, and nothing if it does not: what is wrong with it, the loader will say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...providers.bedrock.ids import ModelRef
from ...providers.errors import InvalidRequest

__all__ = ["base_of", "parsed", "region_of"]


def parsed(text: object) -> ModelRef | None:
    """The identifier, taken apart."""
    try:
        return ModelRef.parse(text) if isinstance(text, str) else None
    except InvalidRequest:
        return None


def base_of(text: object) -> str | None:
    """The foundation model that an identifier leads to."""
    ref = parsed(text)
    return ref.base_model if ref else None


def region_of(deployment: Mapping[str, Any]) -> str | None:
    """The region in the ARNs of a deployment, or in the route of its model."""
    refs = (parsed(deployment.get(field)) for field in ("inference_profile", "model"))
    return next((ref.region for ref in refs if ref and ref.region), None)
