"""Frozen data that is put together nearly as fast as data that is not."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import update_wrapper
from inspect import signature
from typing import Any, TypeVar

__all__ = ["quick"]

T = TypeVar("T")


def quick(made: type[T]) -> type[T]:
    """For a frozen dataclass with slots of which every call makes some: another ``__init__`` that does the same.

    The one that `dataclasses` writes looks each field's slot up by its name. This one has the slots at hand, and takes half
    the time. Nothing else about the class is changed.
    """
    written: Any = made.__init__
    told = signature(written)
    known: dict[str, Any] = {}
    lines = []
    for one in fields(made):  # type: ignore[arg-type]
        value = one.name
        if one.default_factory is not MISSING:
            known[f"make_{one.name}"] = one.default_factory
            value = f"make_{one.name}()"
            if one.init:
                known[f"absent_{one.name}"] = told.parameters[one.name].default
                value += f" if {one.name} is absent_{one.name} else {one.name}"
        elif not one.init:
            continue  # left to __post_init__, or never set
        known[f"put_{one.name}"] = getattr(made, one.name).__set__
        lines.append(f"put_{one.name}(self, {value})")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    bare = [one.replace(annotation=one.empty, default=one.empty) for one in told.parameters.values()]
    head = told.replace(parameters=bare, return_annotation=told.empty)
    exec(f"def __init__{head}:\n    " + "\n    ".join(lines), known)  # names of fields, and nothing from outside
    init = known["__init__"]
    init.__defaults__, init.__kwdefaults__ = written.__defaults__, written.__kwdefaults__
    made.__init__ = update_wrapper(init, written)  # type: ignore[method-assign]
    return made
