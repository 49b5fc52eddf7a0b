"""From the catalogue's YAML files to models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from ..types import Task
from .model import Field, InputFacts, Lifecycle, Model, Quota, SeedFacts, Sizes, TaskFacts

__all__ = ["FILES", "builtin", "read"]

_T = TypeVar("_T")

FILES = ("amazon.yaml", "stability.yaml", "services.yaml")


def builtin() -> tuple[Model, ...]:
    """Every model of the shipped files, in their order."""
    folder = Path(__file__).parent
    return tuple(model for name in FILES for model in read((folder / name).read_text(encoding="utf-8")))


def read(text: str) -> tuple[Model, ...]:
    """The models of one catalogue file. Raises KeyError or TypeError when the file is not of this shape."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(text, Loader=loader)
    reader = _Reader(document["sources"])
    return tuple(reader.model(model_id, row) for model_id, row in document["models"].items())


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


class _Reader:
    """Turns one file's rows into models; fields that share a row through a YAML anchor become one object."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._fields: dict[tuple[int, str, str], Field] = {}

    def model(self, model_id: str, row: Mapping[str, Any]) -> Model:
        facts = _tuples(row)
        tasks = {Task(name): self._task(task, facts["confidence"]) for name, task in facts["tasks"].items()}
        parts = {
            "id": model_id,
            "tasks": MappingProxyType(tasks),
            "lifecycle": Lifecycle(**self._cited(facts["lifecycle"])),
            "seed": _maybe(SeedFacts, facts.get("seed")),
            "input": _maybe(InputFacts, facts.get("input")),
            "quota": self._quota(facts.get("quota")),
        }
        return Model(**{**self._cited(facts), **parts})

    def _cited(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return _tuples(row) | {"sources": tuple(self._sources[key] for key in row["sources"])}

    def _quota(self, row: Mapping[str, Any] | None) -> Quota | None:
        return None if row is None else Quota(**{**row, "source": self._sources[row["source"]]})

    def _task(self, row: Mapping[str, Any], confidence: str) -> TaskFacts:
        facts = _tuples(row)
        config = facts.pop("config", {})
        fields = {name: self._field(name, field, confidence) for name, field in {**facts["fields"], **config}.items()}
        sizes = _tuples(facts["sizes"])
        sizes["pairs"] = tuple((width, height) for width, height in sizes.get("pairs", ()))
        return TaskFacts(
            **{**facts, "fields": MappingProxyType(fields), "sizes": Sizes(**sizes), "config": tuple(config)}
        )

    def _field(self, name: str, row: Mapping[str, Any], confidence: str) -> Field:
        key = (id(row), name, confidence)
        found = self._fields.get(key)
        if found is None:
            facts = {"confidence": confidence, **_tuples(row)}
            if "fields" in facts:
                members = {member: self._field(member, part, confidence) for member, part in facts["fields"].items()}
                facts["fields"] = MappingProxyType(members)
            found = self._fields[key] = Field(name=name, **facts)
        return found


def _maybe(kind: type[_T], row: Mapping[str, Any] | None) -> _T | None:
    return None if row is None else kind(**_tuples(row))
