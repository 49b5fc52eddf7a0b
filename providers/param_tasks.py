"""Which task a request is, when nobody named it: what was given tells."""

from __future__ import annotations

from collections.abc import Set

from .types import Task

__all__ = ["infer_task"]

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


def infer_task(given: Set[str]) -> Task:
    """The task that fields, options and picture names speak of.

    Only colours work without a picture. A style picture beside another one means style_transfer, alone style_guide. A
    picture alone is for image_to_image, several without another sign are for variation.
    """
    pictured = bool(given & {"image", "references"})
    for task, names in _SIGNS:
        if given & names and (pictured or task is Task.COLOR_GUIDED):
            return task
    if given & {"style_image", "styleImage"}:
        return Task.STYLE_TRANSFER if "image" in given else Task.STYLE_GUIDE
    if "references" in given:
        return Task.VARIATION
    return Task.IMAGE_TO_IMAGE if "image" in given else Task.TEXT_TO_IMAGE
