"""Masks: from the caller's way of marking what shall change to the model's. Pure; the pixels are Pillow's work.

A caller marks by transparency (``alpha``, OpenAI's convention) or by a colour (``white``, ``black``). Models go by colour,
and not by the same one: see ``mask`` in the catalogue (WIRE.md, section 3).
"""

from __future__ import annotations

from typing import Any

from .errors import InvalidRequest
from .pictures import encode_png, open_picture
from .types import Picture, Warning

__all__ = ["MODES", "adapted_mask", "flatten", "mask_for", "two_toned"]

MODES = ("alpha", "white", "black")
"""What may mark the area to change: transparency or a colour."""

_HALF = 128
_NEAR = 16
"""Grey levels from black or white that a compressed picture of these two may have."""
_EDGES = 0.05
"""The share of a picture in black and white that may lie between them, on soft edges."""


def mask_for(
    mask: Picture, image: Picture | None, *, mode: str, change: str, resize: bool = True, binary: bool = False
) -> Picture:
    """The mask as the model wants it; see `adapted_mask`, whose warnings this leaves out."""
    return adapted_mask(mask, image, mode=mode, change=change, resize=resize, binary=binary)[0]


def adapted_mask(
    mask: Picture, image: Picture | None, *, mode: str, change: str, resize: bool = True, binary: bool = False
) -> tuple[Picture, tuple[Warning, ...]]:
    """The mask as an opaque 8-bit RGB PNG in which ``change`` (``black`` or ``white``) marks what shall change.

    ``mode`` says how ``mask`` marks it. Grey, or half transparency, changes in part; with ``binary`` every pixel goes to
    the nearer end, half to what is changed. A mask of another size than ``image`` is stretched to it, which is a warning:
    here with ``resize``, without blending; else by the model, and it keeps its own. The work is done once per picture.

    Raises InvalidRequest when the mask marks nothing: ``mode`` is ``alpha`` and it has no transparency, or the colour is
    nowhere in it.
    """
    if mode not in MODES or change not in MODES[1:]:
        parameter, words = ("mask_mode", MODES) if mode not in MODES else ("change", MODES[1:])
        allowed = ", ".join(words)
        raise InvalidRequest(f"{parameter} must be one of {allowed}", parameter=parameter, allowed=allowed)
    size = (image.width, image.height) if image is not None else None
    return mask.once(
        ("mask", size, mode, change, resize, binary), lambda: _made(mask, size, mode, change, resize, binary)
    )


def _made(
    mask: Picture, size: tuple[int, int] | None, mode: str, change: str, resize: bool, binary: bool
) -> tuple[Picture, tuple[Warning, ...]]:
    levels = _levels(mask, mode)
    if binary:
        levels = levels.point(lambda level: 255 if level >= _HALF else 0)
    if levels.getextrema()[1] == 0:
        marked = "transparent" if mode == "alpha" else mode
        message = f"mask marks nothing: it is {marked} nowhere (mask_mode is {mode})"
        raise InvalidRequest(
            message, parameter="mask", allowed=f"a mask that is {marked} where the picture shall change"
        )
    warnings: tuple[Warning, ...] = ()
    if size is not None and levels.size != size:
        before, after = f"{mask.width}x{mask.height}", f"{size[0]}x{size[1]}"
        message = f"it has {before} pixels and is stretched to the image's {after}"
        warnings = (Warning(code="adapted", parameter="mask", message=message),)
        if resize:
            from PIL.Image import Resampling

            levels = levels.resize(size, Resampling.NEAREST)
    if change == "black":
        levels = levels.point(lambda level: 255 - level)
    return encode_png(levels.convert("RGB")), warnings


def two_toned(mask: Picture) -> bool:
    """Is this an opaque picture in black and white, so that transparency can not be what marks anything in it?

    Raises InvalidRequest when its pixels are damaged.
    """
    image = open_picture(mask, name="mask")
    if mask.alpha and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        return False
    counts = image.convert("L").histogram()
    return bool(sum(counts[_NEAR:-_NEAR]) <= _EDGES * image.width * image.height)


def flatten(picture: Picture, *, name: str = "image") -> Picture:
    """The picture without alpha channel: what is transparent becomes white. One that has none is returned as it is.

    Nova Canvas refuses pictures with transparent pixels, and takes JPEG and PNG only (WIRE.md, section 5); a WebP becomes
    a PNG too.
    """
    if not picture.alpha and picture.format != "webp":
        return picture
    return picture.once("flat", lambda: _flattened(picture, name))


def _flattened(picture: Picture, name: str) -> Picture:
    from PIL import Image as Pillow

    image = open_picture(picture, name=name)
    profile = image.info.get("icc_profile")
    if picture.alpha:
        image = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image)
    plain = image.convert("RGB")
    plain.info = {"icc_profile": profile} if profile else {}
    return encode_png(plain)


def _levels(mask: Picture, mode: str) -> Any:
    """How much each pixel shall change, 0 to 255, as a Pillow image of one channel."""
    if mode == "alpha":
        if not mask.alpha:
            message = (
                "mask has no transparency to mark what shall change; give a PNG that is transparent there, "
                "or say with mask_mode='white' or 'black' which colour marks it"
            )
            raise InvalidRequest(message, parameter="mask", allowed="a PNG with alpha, or mask_mode white or black")
        alpha = open_picture(mask, name="mask").convert("RGBA").getchannel("A")
        return alpha.point(lambda level: 255 - level)
    from PIL import Image as Pillow

    image = open_picture(mask, name="mask")
    if mask.alpha:  # what is transparent has no colour, so it marks nothing
        image = image.convert("RGBA")
        ground = Pillow.new("RGBA", image.size, "black" if mode == "white" else "white")
        image = Pillow.alpha_composite(ground, image)
    grey = image.convert("L")
    return grey if mode == "white" else grey.point(lambda level: 255 - level)
