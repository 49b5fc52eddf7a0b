"""Where things are in a picture, told by words: a deterministic stand-in for segmentation.

Words that name a place (sky, ground, background, face, hat) choose that place; others choose an oval by their digest.
"""

from __future__ import annotations

import hashlib
import re

from PIL import Image, ImageDraw

from .cutout import foreground

__all__ = ["exclusion", "garment_region", "region"]

Box = tuple[float, float, float, float]

_BANDS: dict[str, tuple[str, Box]] = {
    "top": ("sky ceiling top above clouds", (0, 0, 1, 0.38)),
    "bottom": ("ground floor grass water sea road table bottom below snow sand", (0, 0.64, 1, 1)),
    "left": ("left", (0, 0, 0.36, 1)),
    "right": ("right", (0.64, 0, 1, 1)),
}
_OVALS: dict[str, tuple[str, Box]] = {
    "head": ("hat cap hair crown helmet", (0.34, 0.04, 0.66, 0.3)),
    "face": ("face head eyes mouth", (0.36, 0.1, 0.64, 0.42)),
    "body": ("shirt jacket coat dress sweater suit person man woman body", (0.24, 0.32, 0.76, 0.9)),
    "middle": ("middle center centre subject object", (0.25, 0.25, 0.75, 0.75)),
}
_GARMENTS: dict[str, Box] = {
    "UPPER_BODY": (0.24, 0.24, 0.76, 0.6),
    "LOWER_BODY": (0.28, 0.54, 0.72, 0.92),
    "FULL_BODY": (0.24, 0.24, 0.76, 0.92),
    "FOOTWEAR": (0.3, 0.86, 0.7, 1.0),
    "LONG_SLEEVE_SHIRT": (0.18, 0.24, 0.82, 0.6),
    "SHORT_SLEEVE_SHIRT": (0.24, 0.24, 0.76, 0.56),
    "NO_SLEEVE_SHIRT": (0.3, 0.24, 0.7, 0.56),
    "OTHER_UPPER_BODY": (0.24, 0.24, 0.76, 0.6),
    "LONG_PANTS": (0.28, 0.54, 0.72, 0.94),
    "SHORT_PANTS": (0.28, 0.54, 0.72, 0.72),
    "OTHER_LOWER_BODY": (0.28, 0.54, 0.72, 0.86),
    "LONG_DRESS": (0.24, 0.24, 0.76, 0.92),
    "SHORT_DRESS": (0.26, 0.24, 0.74, 0.74),
    "FULL_BODY_OUTFIT": (0.2, 0.22, 0.8, 0.94),
    "OTHER_FULL_BODY": (0.22, 0.24, 0.78, 0.92),
    "SHOES": (0.3, 0.88, 0.7, 1.0),
    "BOOTS": (0.3, 0.78, 0.7, 1.0),
    "OTHER_FOOTWEAR": (0.3, 0.86, 0.7, 1.0),
}
_EXCLUSIONS: dict[str, tuple[Box, ...]] = {
    "preserveFace": ((0.38, 0.04, 0.62, 0.24),),
    "preserveHands": ((0.12, 0.5, 0.24, 0.62), (0.76, 0.5, 0.88, 0.62)),
    "preserveBodyPose": (),
}


def region(words: str, picture: Image.Image, *, boxed: bool = False) -> Image.Image:
    """A mask of the place that the words name, white there. ``boxed`` makes it a rectangle."""
    told = set(re.findall(r"[a-z]+", words.lower()))
    if "background" in told:
        return foreground(picture).point([255 if value < 128 else 0 for value in range(256)])
    for hints, box in _BANDS.values():
        if not told.isdisjoint(hints.split()):
            return _shape(picture.size, box, "rectangle")
    for hints, box in _OVALS.values():
        if not told.isdisjoint(hints.split()):
            return _shape(picture.size, box, "rectangle" if boxed else "ellipse")
    dice = hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()
    x, y = 0.34 + 0.32 * dice[0] / 255, 0.36 + 0.28 * dice[1] / 255
    half, high = 0.16 + 0.08 * dice[2] / 255, 0.16 + 0.08 * dice[3] / 255
    return _shape(picture.size, (x - half, y - high, x + half, y + high), "rectangle" if boxed else "ellipse")


def garment_region(garment: str, size: tuple[int, int], *, boxed: bool = False) -> Image.Image:
    """Where a piece of clothing is on somebody who stands upright and fills the picture."""
    return _shape(size, _GARMENTS[garment], "rectangle" if boxed else "rounded")


def exclusion(name: str, size: tuple[int, int]) -> Image.Image:
    """What ``preserveFace`` and its like keep, white there."""
    mask = Image.new("L", size)
    for box in _EXCLUSIONS[name]:
        mask.paste(255, (0, 0), _shape(size, box, "ellipse"))
    return mask


def _shape(size: tuple[int, int], box: Box, kind: str) -> Image.Image:
    """A pure black and white mask with one shape; ``box`` in shares of the sides."""
    mask = Image.new("L", size)
    width, height = size
    corners = (round(box[0] * width), round(box[1] * height), round(box[2] * width) - 1, round(box[3] * height) - 1)
    draw = ImageDraw.Draw(mask)
    if kind == "ellipse":
        draw.ellipse(corners, fill=255)
    elif kind == "rounded":
        draw.rounded_rectangle(corners, radius=0.12 * min(corners[2] - corners[0], corners[3] - corners[1]), fill=255)
    else:
        draw.rectangle(corners, fill=255)
    return mask
