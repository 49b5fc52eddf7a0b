"""What `image_edit` asks of a model when nobody names a task: LiteLLM's callers name the model alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..providers.catalog import Catalog
from ..providers.param_names import NAMES
from ..providers.param_native import CONTAINERS, MISSPELT
from ..providers.param_pictures import PICTURE_NAMES
from ..providers.param_tasks import infer_task
from ..providers.types import Task
from .config.identifiers import base_of

__all__ = ["task_for"]

_NATIVE = frozenset((*(name for name, task in CONTAINERS.items() if task), *MISSPELT))


def task_for(way: Mapping[str, Any], picture: Mapping[str, Any]) -> Task | None:
    """The task of an edit; None if a task is named, or if the model is not known before it is asked.

    ``way`` holds ``model``, ``base_model`` and ``model_id``. A model with one task does that one. Of the others a picture
    alone asks for image_to_image or, where a model has not got that, for a variation.
    """
    given = _given(picture)
    if "task" in given or given & _NATIVE:
        return None
    found = (base_of(way.get(name)) for name in ("base_model", "model", "model_id"))
    model = next((model for base in found if base and (model := Catalog.load().find(base))), None)
    if model is None:
        return None
    tasks = tuple(model.tasks)
    if len(tasks) == 1 and tasks[0] is not Task.TEXT_TO_IMAGE:
        return tasks[0]
    task = infer_task(given)
    alone = task is Task.IMAGE_TO_IMAGE and task not in tasks and Task.VARIATION in tasks
    return Task.VARIATION if alone else task


def _given(picture: Mapping[str, Any]) -> set[str]:
    """The names that were used, ours for those that clients write, and those inside ``native`` and ``extra_body``."""
    said = dict(picture)
    for name in ("native", "extra_body"):
        inner = said.pop(name, None)
        said |= inner if isinstance(inner, Mapping) else {}
    names = {name for name, value in said.items() if value is not None}
    ours = {owner[name] for owner in (NAMES, PICTURE_NAMES) for name in names if name in owner}
    return {"image", *ours, *names}
