"""What SDXL makes of a picture: another one like it, or the same with one area changed."""

from __future__ import annotations

from ...types import Picture, Task
from . import inputs, shared
from .draft import Draft

__all__ = ["edit"]

_DIGITS = 6
"""Decimals kept of ``1 - strength``, so that 0.9 becomes 0.1 and not 0.09999999999999998."""


def edit(draft: Draft) -> None:
    """Write the picture, and the strength or the mask. The picture that comes out has the size of the one that goes in."""
    picture = inputs.picture(draft, "image", draft.request.image, "init_image")
    if draft.request.task is Task.IMAGE_TO_IMAGE:
        _strength(draft)
    else:
        _mask(draft, picture)
    shared.from_input(draft, (picture.width, picture.height) if picture else None)


def _strength(draft: Draft) -> None:
    """Ours says how far to go, SDXL's how much to keep. Without one its own default applies, which nobody documents."""
    strength = draft.option("strength")
    if strength is not None:
        draft.put(None, "IMAGE_STRENGTH", "init_image_mode")
        draft.number("strength", strength, "image_strength", turned=lambda value: round(1 - value, _DIGITS))


def _mask(draft: Draft, picture: Picture | None) -> None:
    """A mask, or the transparent parts of the picture."""
    draft.take("mask")
    mask, mode = draft.request.mask, draft.request.mask_mode
    if mask is not None:
        # The model reads either colour, so black on white stays what it is.
        change = "black" if mode == "black" else "white"
        draft.put("mask", inputs.mask(draft, mask, picture, change=change), "mask_image")
        draft.put(None, f"MASK_IMAGE_{change.upper()}", "mask_source")
    elif draft.native("mask_source") is None and draft.native("mask_image") is None:
        if picture is not None and not picture.alpha:
            message = "inpaint needs a mask, or a picture whose transparent parts are what shall change"
            raise draft.wrong("mask", message, allowed="a picture of the area to change")
        draft.put(None, "INIT_IMAGE_ALPHA", "mask_source")
