"""What all sections of the configuration have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Section", "spelt"]


class Section(BaseModel):
    """Frozen, and nothing unknown is let in. Docstrings of fields are their descriptions in the JSON Schema."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )


def spelt(default: str) -> Any:
    """A default with its unit, as the JSON Schema shall show it. It is read like any other value."""
    return Field(default=default)
