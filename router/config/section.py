"""What all sections of the configuration have in common."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

__all__ = ["Section", "spelt"]


class Section(BaseModel):
    """Frozen, and nothing unknown is let in. Docstrings of fields are their descriptions in the JSON Schema."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # Pydantic's use_attribute_docstrings reads the sources whenever the package is imported.
        schema = handler(core)
        fields = handler.resolve_ref_schema(schema)["properties"]
        for name, text in _descriptions(cls).items():
            fields[name]["description"] = text
        return schema


def spelt(default: str) -> Any:
    """A default with its unit, as the JSON Schema shall show it. It is read like any other value."""
    return Field(default=default)


def _descriptions(model: type[Section]) -> dict[str, str]:
    """What is said below each field, inherited ones included."""
    sections = [section for section in reversed(model.__mro__) if issubclass(section, Section)]
    return {name: text for section in sections for name, text in _documented(section)}


def _documented(section: type[Section]) -> Iterator[tuple[str, str]]:
    (source,) = ast.parse(inspect.getsource(section)).body
    for field, below in pairwise(ast.iter_child_nodes(source)):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
