"""A larger canvas around a picture, for models that paint where a mask says and do not count pixels per side."""

from __future__ import annotations

from ...masks import flatten
from ...pictures import encode_png, open_picture
from ...types import Picture

__all__ = ["Sides", "extended"]

Sides = tuple[int, int, int, int]
"""Pixels to add: left, right, up, down."""

_GREY = (128, 128, 128)


def extended(picture: Picture, sides: Sides, change: str) -> tuple[Picture, Picture]:
    """The picture on a grey canvas that is larger by ``sides``, and the mask: new area in the colour ``change``.

    What is transparent in the picture becomes white, and is picture like the rest. Raises InvalidRequest for a picture
    that can not be decoded. Made once per picture.
    """
    return picture.once(("extended", sides, change), lambda: _extended(picture, sides, change))


def _extended(picture: Picture, sides: Sides, change: str) -> tuple[Picture, Picture]:
    from PIL import Image as Pillow

    left, right, up, down = sides
    size = picture.width + left + right, picture.height + up + down
    canvas = Pillow.new("RGB", size, _GREY)
    canvas.paste(open_picture(flatten(picture)).convert("RGB"), (left, up))
    mask = Pillow.new("RGB", size, change)
    mask.paste("black" if change == "white" else "white", (left, up, left + picture.width, up + picture.height))
    return encode_png(canvas), encode_png(mask)
