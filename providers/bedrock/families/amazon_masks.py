"""What may change: Amazon's tasks take exactly one of a mask, words for it, or (our own addition) sides to add to."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidRequest
from ...masks import flatten
from ...types import Picture
from . import amazon_inputs as inputs
from .amazon_canvas import Sides, extended
from .draft import Draft
from .inputs import mask as write_mask
from .sizes import show

__all__ = ["area", "mask_image", "words"]

_SIDES = ("left", "right", "up", "down")
_FURTHEST = 65_535


def area(draft: Draft, path: str, *, opaque: bool, sides: bool = False) -> None:
    """Write the picture and what marks the area of it that changes. With ``sides`` its canvas may be extended instead.

    A picture that is transparent in parts and comes without a mask is its own mask, as in OpenAI's API. With ``opaque``
    the model takes no transparent pictures.
    """
    picture, prompt = inputs.source(draft, "image"), draft.option("mask_prompt")
    added = _sides(draft) if sides else None
    draft.take("mask")
    given = [name for name, value in (("mask", draft.request.mask), ("mask_prompt", prompt)) if value is not None]
    given += [next(name for name in _SIDES if draft.option(name))] if added else []
    native = [wire for wire in ("maskImage", "maskPrompt") if draft.native(wire) not in (None, prompt)]
    own = not given and not native and picture is not None and picture.alpha
    if len(given) + len(native) + own != 1:
        raise _not_one(draft, given, native, sides=sides)
    if added:
        _extend(draft, picture, added, given[0], path)
    elif own and picture is not None:
        inputs.check(draft, "image", picture)
        draft.put("image", flatten(picture).b64, path, "image")
        draft.put("image", mask_image(draft, picture, picture, "alpha"), path, "maskImage")
    else:
        inputs.place(draft, "image", picture, path, "image", opaque=opaque)
        if prompt is not None:
            draft.put("mask_prompt", words(draft, prompt), path, "maskPrompt")
        if draft.request.mask is not None:
            draft.put("mask", mask_image(draft, draft.request.mask, picture), path, "maskImage")


def mask_image(draft: Draft, mask: Picture, picture: Picture | None, mode: str | None = None) -> str:
    """The mask as this task needs it, as base64: the picture's size, pure black and white, the right way round."""
    if picture is None:
        message = "it goes with image, which native has instead; give both there, or none"
        raise draft.wrong("mask", message, allowed="image and mask, both as parameters")
    return write_mask(draft, mask, picture, change=draft.facts.mask or "black", mode=mode, binary=True)


def words(draft: Draft, value: Any) -> str:
    """Words for the area. No limit of their length is documented."""
    text = draft.text("mask_prompt", value, None)
    if text is None or not text.strip():
        raise draft.wrong("mask_prompt", "a text is needed", allowed="a text that is not empty")
    return text


def _not_one(draft: Draft, given: list[str], native: list[str], *, sides: bool) -> InvalidRequest:
    allowed = "exactly one of mask and mask_prompt"
    if sides:
        allowed = "exactly one of mask, mask_prompt, and pixels to add (left, right, up, down)"
    named = [*given, *(f"native {wire}" for wire in native)]
    if not named:
        return draft.wrong("mask", "what shall change is not said", allowed=allowed)
    message = f"{' and '.join(named)} exclude each other"
    return draft.wrong(given[-1] if given else "native", message, allowed=allowed)


def _sides(draft: Draft) -> Sides | None:
    """Pixels to add on each side; None when no side was given."""
    values = {name: draft.option(name) for name in _SIDES}
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not 0 <= value <= _FURTHEST:
            nearest = str(min(max(value, 0), _FURTHEST)) if whole else None
            allowed = f"a whole number from 0 to {_FURTHEST}"
            raise draft.wrong(name, "pixels to add are needed", allowed=allowed, nearest=nearest)
    if given and not any(given.values()):
        allowed = "at least one of left, right, up and down above 0"
        raise draft.wrong(next(iter(given)), "no side is extended", allowed=allowed)
    left, right, up, down = (value or 0 for value in values.values())
    return (left, right, up, down) if given else None


def _extend(draft: Draft, picture: Picture | None, added: Sides, parameter: str, path: str) -> None:
    """Write a larger canvas, and a mask that leaves the picture as it is."""
    if picture is None:
        message = "it goes with image, which native has instead"
        raise draft.wrong(parameter, message, allowed="image as a parameter")
    size = picture.width + added[0] + added[1], picture.height + added[2] + added[3]
    inputs.check_size(draft, parameter, size)
    canvas, mask = extended(picture, added, draft.facts.mask or "white")
    inputs.check(draft, parameter, canvas)
    draft.put(parameter, mask.b64, path, "maskImage")
    draft.put("image", canvas.b64, path, "image")
    message = f"{draft.model.name} extends no sides: it is sent a canvas of {show(size)}, with a mask for what is new"
    for name in _SIDES:
        if draft.option(name):
            draft.adapt(name, message, allowed="mask or mask_prompt")
