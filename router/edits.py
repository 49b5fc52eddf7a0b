"""What `edit` and `variation` add to the parameters of a request."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from ..providers.catalog import Catalog
from ..providers.errors import InvalidRequest
from ..providers.param_values import task as read_task
from ..providers.types import Task
from .plan import Alias

__all__ = ["edit_params", "explained_params", "offered", "variation_params"]


def edit_params(image: Any, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an edit. Raises InvalidRequest without an image."""
    if image is None:
        raise InvalidRequest("image: a picture is needed", parameter="image", allowed="a PNG, JPEG or WebP picture")
    return {**params, "image": image}


def explained_params(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of what is explained: with ``image`` those of an edit, so that it is refused as that would be."""
    return edit_params(params["image"], params) if "image" in params else params


def variation_params(image: Any, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Prompt and parameters of a variation. Raises InvalidRequest if another task is named."""
    named = params.get("task")
    if named is not None and read_task("task", named) is not Task.VARIATION:
        message = f"task must be variation here, not {read_task('task', named)}; for other tasks there is edit"
        raise InvalidRequest(message, parameter="task", allowed="variation", nearest="variation")
    given = {key: value for key, value in params.items() if key != "prompt"}
    return params.get("prompt") or "", edit_params(image, {**given, "task": Task.VARIATION})


def offered(alias: Alias) -> tuple[Task, ...]:
    """The tasks of the models that this alias may ask; those of its fallbacks do not count."""
    return _offered(alias.pool.models)


@lru_cache(maxsize=256)
def _offered(models: tuple[str, ...]) -> tuple[Task, ...]:
    return tuple(dict.fromkeys(task for name in models for task in _tasks(name)))


@cache
def _tasks(model: str) -> tuple[Task, ...]:
    found = Catalog.load().find(model)
    return tuple(found.able) if found else ()
