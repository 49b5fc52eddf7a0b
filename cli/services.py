"""The configuration of ``lascaux edit`` for those who have none: an alias for every task, on an emulator of this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any

import yaml

from .. import configs
from ..emulator import Emulator
from ..providers.bedrock.families import FAMILIES
from ..providers.catalog import Catalog, Model
from ..providers.types import Task
from ..router.config import Config
from .quickstart import NAME

__all__ = ["SHORT", "alias_of", "services"]

SHORT = {
    "edit": Task.IMAGE_TO_IMAGE,
    "sketch": Task.CONTROL_SKETCH,
    "structure": Task.CONTROL_STRUCTURE,
    "upscale": Task.UPSCALE_FAST,
}
"""Further aliases of the built-in configuration, and what they are for."""

_SERVED = frozenset(family.name for family in FAMILIES)


def alias_of(task: Task) -> str:
    """What the alias for a task is called: ``remove-background``."""
    return str(task).replace("_", "-")


@contextmanager
def services(env: Mapping[str, str]) -> Iterator[tuple[Config, Emulator]]:
    """The quickstart's aliases and one for every task, on a fresh emulator for as long as this lasts."""
    with Emulator() as emulator:
        shipped = yaml.safe_load(files(configs).joinpath(NAME).read_text("utf-8"))
        plain = _with_services(shipped, datetime.now(UTC).date())
        yield Config.from_mapping(plain, env={**env, "LASCAUX_EMULATOR_URL": emulator.url}), emulator


def _with_services(shipped: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The shipped sections and, for every task, the best model that can do it."""
    pattern = next(iter(shipped["deployments"].values()))
    deployments, aliases = dict(shipped["deployments"]), dict(shipped["aliases"])
    for task in Task:
        if task is Task.TEXT_TO_IMAGE:
            continue
        model = _best(task, today)
        name = alias_of(task)
        region = pattern["region"] if pattern["region"] in model.regions else model.regions[0]
        deployments[f"{name}-model"] = {**pattern, "model": model.id, "region": region}
        aliases[name] = f"{name}-model"
    aliases |= {short: f"{alias_of(task)}-model" for short, task in SHORT.items()}
    return {**shipped, "deployments": deployments, "aliases": aliases}


def _best(task: Task, today: date) -> Model:
    """Living before retired, one that was made for this task before one that can do much, then the newest."""
    able = [model for model in Catalog.load().models() if task in model.tasks and model.family in _SERVED]
    return max(
        able,
        key=lambda model: (
            not model.retired(today),
            -len(model.tasks),
            model.lifecycle.launched or date.min,
        ),
    )
