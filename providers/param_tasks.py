"""Which task a request is, when nobody named it: what was given tells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import Any

from .errors import InvalidRequest
from .param_names import NAMES
from .param_pictures import PICTURE_NAMES
from .types import Task

__all__ = ["given_in", "infer_task"]

_SIGNS: tuple[tuple[Task, frozenset[str]], ...] = tuple(
    (task, frozenset(names.split()))
    for task, names in (
        (
            Task.VIRTUAL_TRY_ON,
            "garment garment_image garment_class mask_shape long_sleeve_style tucking_style outer_layer_style "
            "preserve_face preserve_hands preserve_body_pose merge_style",
        ),
        (Task.SEARCH_REPLACE, "search_prompt"),
        (Task.SEARCH_RECOLOR, "select_prompt"),
        (Task.OUTPAINT, "left right up down outpaint_mode"),
        (Task.COLOR_GUIDED, "colors"),
        (Task.INPAINT, "mask mask_prompt mask_mode"),
        (Task.STYLE_TRANSFER, "style_strength change_strength composition_fidelity"),
        (Task.STYLE_GUIDE, "fidelity"),
        (Task.CONTROL_STRUCTURE, "condition_image conditionImage control_mode control_strength"),
        (Task.VARIATION, "similarity"),
    )
)
"""In this order: the first task of which something was given."""


_MASK = frozenset(("mask", "mask_prompt"))
_NEEDS = {
    Task.INPAINT: _MASK,
    Task.ERASE: _MASK,
    Task.OUTPAINT: frozenset(("left", "right", "up", "down", "outpaint_mode")),
    Task.SEARCH_REPLACE: frozenset(("search_prompt",)),
    Task.SEARCH_RECOLOR: frozenset(("select_prompt",)),
    Task.COLOR_GUIDED: frozenset(("colors",)),
    Task.VIRTUAL_TRY_ON: frozenset(("references",)),
    Task.STYLE_TRANSFER: frozenset(("references",)),
}
"""One of these must be given for the task to make sense."""
_STYLE = frozenset(("references", "style_image", "styleImage"))
_CONTROL = frozenset(("condition_image", "conditionImage", "control_strength"))
_MASKED = frozenset(("mask", "mask_prompt", "mask_mode"))
_ALSO = {
    Task.ERASE: _MASKED,
    Task.OUTPAINT: _MASKED,
    Task.VIRTUAL_TRY_ON: _MASKED | {"references"},
    Task.COLOR_GUIDED: frozenset(("references",)),
    Task.VARIATION: frozenset(("references",)),
    Task.STYLE_TRANSFER: _STYLE,
    Task.STYLE_GUIDE: _STYLE,
    Task.CONTROL_SKETCH: _CONTROL,
}
"""What a task has a use for, besides what speaks of it."""
_SPEAKING = frozenset(("references", "style_image", "styleImage")).union(*(names for _, names in _SIGNS))

_TELLING = _SPEAKING | {"image"}
"""Nothing else tells of a task."""


def given_in(params: Mapping[str, Any]) -> set[str]:
    """The names that were used, and our own for those that clients write."""
    names = {name for name, value in params.items() if value is not None}
    return names | {owner[name] for owner in (NAMES, PICTURE_NAMES) for name in names if name in owner}


def infer_task(given: Set[str], offered: Collection[Task] = ()) -> Task:
    """The task that fields, options and picture names speak of.

    Only colours work without a picture. A style picture beside another one means style_transfer, alone style_guide. A
    picture alone is for image_to_image, several without another sign are for variation.

    ``offered`` are the tasks of the models that may be asked. A single one is what they are asked for, whatever is given
    with the picture. If what is given speaks of a task that nobody offers, it is for the one offered task that it fits; the
    first guess stands if there is none, so that the models say what they miss.

    Raises InvalidRequest, which lists them, if it fits several.
    """
    found = _spoken_of(given)
    if found in offered or not given & {"image", "references"}:
        return found
    if len(offered) == 1 and Task.TEXT_TO_IMAGE not in offered:
        return next(iter(offered))
    fitting = [task for task in Task if task in offered and _fits(task, given)]
    if len(fitting) > 1:
        allowed = ", ".join(fitting)
        message = f"task: what is given fits several tasks here; name one of {allowed}"
        raise InvalidRequest(message, parameter="task", allowed=allowed, nearest=str(fitting[0]))
    if not fitting and {"image", "references"} <= given:
        # Nobody here has a use for further pictures: it is about the first, and of the others that is said.
        plain = infer_task(given - {"references"}, offered)
        return plain if plain in offered else found
    return fitting[0] if fitting else found


def _fits(task: Task, given: Set[str]) -> bool:
    """Has the task what it needs, and a use for everything that speaks of a task?"""
    if task is Task.TEXT_TO_IMAGE or (task is Task.STYLE_GUIDE and {"image", "references"} <= given):
        return False
    own = dict(_SIGNS).get(task, frozenset()) | _ALSO.get(task, frozenset())
    return (task not in _NEEDS or bool(given & _NEEDS[task])) and not given & (_SPEAKING - own)


def _spoken_of(given: Set[str]) -> Task:
    if given.isdisjoint(_TELLING):
        return Task.TEXT_TO_IMAGE
    pictured = bool(given & {"image", "references"})
    for task, names in _SIGNS:
        if given & names and (pictured or task is Task.COLOR_GUIDED):
            return task
    if given & {"style_image", "styleImage"}:
        return Task.STYLE_TRANSFER if "image" in given else Task.STYLE_GUIDE
    if "references" in given:
        return Task.VARIATION
    return Task.IMAGE_TO_IMAGE if "image" in given else Task.TEXT_TO_IMAGE
