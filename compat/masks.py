"""Masks as LiteLLM's callers give them: LiteLLM sends them as they are, so they have the model's own colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..providers.catalog import Catalog
from ..providers.masks import two_toned
from ..providers.param_names import NAMES
from ..providers.pictures import Sources, adapted_picture
from ..providers.types import Warning
from .arguments import Arguments
from .config.identifiers import base_of

__all__ = ["with_raw_mask", "without_unused_mask"]

_NAMES = ("mask", "mask_image")


def with_raw_mask(asked: Arguments) -> Arguments:
    """The same call, with the colour of an opaque black and white mask named after the model that is asked.

    A mask without transparency can not be meant in OpenAI's way. With LiteLLM it reaches the model unchanged: black is
    changed by Amazon's models (white when they outpaint), white by Stability's. That this was assumed is a warning. A
    call that is strict, names ``mask_mode``, or has another kind of mask stays as it is.
    """
    picture = asked.picture
    name = next((name for name in _NAMES if picture.get(name) is not None), None)
    if name is None or _said(picture, "mask_mode") or _said(picture, "strict"):
        return asked
    given = picture[name]
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    mask, warnings = adapted_picture(given, name=name, sources=Sources())
    more: dict[str, Any] = {name: mask}
    if two_toned(mask):
        amazon = _is_amazon(asked.way)
        # Under Amazon's own name the mask is read in Amazon's colours, which depend on the task.
        more = {name: None, "maskImage": mask} if amazon else {name: mask, "mask_mode": "white"}
        warnings = (*warnings, _warning(name, amazon=amazon))
    return replace(asked, picture={**picture, **more}, warnings=(*asked.warnings, *warnings))


def without_unused_mask(ours: tuple[Warning, ...], found: tuple[Warning, ...]) -> tuple[Warning, ...]:
    """``ours`` without what was made of a mask, if ``found``, the result's own warnings, say that it had no use for it."""
    if not any(one.code == "ignored" and one.parameter == "mask" for one in found):
        return ours
    return tuple(one for one in ours if one.parameter not in _NAMES)


def _said(picture: Mapping[str, Any], field: str) -> bool:
    """Is something given under one of a field's names?"""
    inner = picture.get("extra_body")
    given = {**(inner if isinstance(inner, Mapping) else {}), **picture}
    return any(value not in (None, False) and NAMES.get(name, name) == field for name, value in given.items())


def _is_amazon(way: Mapping[str, Any]) -> bool:
    """Is the model that is asked Amazon's? ``way`` holds ``model``, ``base_model`` and ``model_id``."""
    found = (base_of(way.get(name)) for name in ("base_model", "model", "model_id"))
    models = (Catalog.load().find(base) for base in found if base)
    model = next((model for model in models if model), None)
    return model is not None and model.provider == "Amazon"


def _warning(name: str, *, amazon: bool) -> Warning:
    colour = "black, or white to outpaint," if amazon else "white"
    return Warning(
        code="adapted",
        parameter=name,
        message=f"it has no transparency, so {colour} marks what changes, as the model itself reads it; mask_mode says so",
    )
