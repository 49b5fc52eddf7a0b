"""Which fields stand at the top of which family's bodies, as the catalogue tells."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import chain

from ...catalog import Catalog, Model, TaskFacts

__all__ = ["fields", "owners", "top"]


def top(facts: TaskFacts) -> dict[str, bool]:
    """The top-level fields of one task's body, in order; True where the value must be an object."""
    if facts.params_key is None:
        return {name: field.type == "object" for name, field in facts.fields.items()}
    found = {"taskType": False, facts.params_key: True}
    return found | {"imageGenerationConfig": True} if facts.config else found


def fields(model: Model) -> Mapping[str, bool]:
    """The top-level fields of a model's and its whole family's bodies, as in `top`.

    Models of one family share a wire format. Which of its fields one task of one model has is `native_fields`' to say.
    """
    return _families().get(model.family, {}) | _of(model)


def owners(name: str) -> str:
    """The families that have this top-level field, in words; empty when nobody knows it."""
    *others, last = [family for family, known in _families().items() if name in known] or [""]
    return f"{', '.join(others)} and {last}" if others else last


@cache
def _families() -> dict[str, dict[str, bool]]:
    found: dict[str, dict[str, bool]] = {}
    for model in Catalog.load().models():
        found.setdefault(model.family, {}).update(_of(model))
    return found


def _of(model: Model) -> dict[str, bool]:
    return dict(chain.from_iterable(top(facts).items() for facts in model.tasks.values()))
