"""Sizes, seeds and enumerations, as AWS's parameter pages list them."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import BedrockError, malformed, rejected
from ..schema import Object, violations

__all__ = [
    "AMAZON_SEED_MAX",
    "ASPECT_RATIOS",
    "GARMENTS",
    "NOVA_STYLES",
    "SDXL_SIDES",
    "STABILITY_SEED_MAX",
    "STYLE_PRESETS",
    "TITAN_SIDES",
    "not_drawn",
    "pairs",
    "require",
]

AMAZON_SEED_MAX = 2147483646
STABILITY_SEED_MAX = 4294967295
NOVA_STYLES = (
    "3D_ANIMATED_FAMILY_FILM",
    "DESIGN_SKETCH",
    "FLAT_VECTOR_ILLUSTRATION",
    "GRAPHIC_NOVEL_ILLUSTRATION",
    "MAXIMALISM",
    "MIDCENTURY_RETRO",
    "PHOTOREALISM",
    "SOFT_DIGITAL_PAINTING",
)
STYLE_PRESETS = (
    "3d-model",
    "analog-film",
    "anime",
    "cinematic",
    "comic-book",
    "digital-art",
    "enhance",
    "fantasy-art",
    "isometric",
    "line-art",
    "low-poly",
    "modeling-compound",
    "neon-punk",
    "origami",
    "photographic",
    "pixel-art",
    "tile-texture",
)
GARMENTS = (
    "UPPER_BODY",
    "LOWER_BODY",
    "FULL_BODY",
    "FOOTWEAR",
    "LONG_SLEEVE_SHIRT",
    "SHORT_SLEEVE_SHIRT",
    "NO_SLEEVE_SHIRT",
    "OTHER_UPPER_BODY",
    "LONG_PANTS",
    "SHORT_PANTS",
    "OTHER_LOWER_BODY",
    "LONG_DRESS",
    "SHORT_DRESS",
    "FULL_BODY_OUTFIT",
    "OTHER_FULL_BODY",
    "SHOES",
    "BOOTS",
    "OTHER_FOOTWEAR",
)
TITAN_SIDES = (
    "1024x1024 768x768 512x512 768x1152 384x576 1152x768 576x384 768x1280 384x640 1280x768 640x384 896x1152 448x576 "
    "1152x896 576x448 768x1408 384x704 1408x768 704x384 640x1408 320x704 1408x640 704x320 1152x640 1173x640"
)
SDXL_SIDES = "1024x1024 1152x896 1216x832 1344x768 1536x640 640x1536 768x1344 832x1216 896x1152"

ASPECT_RATIOS: Mapping[str, tuple[int, int]] = {
    "16:9": (1344, 768),
    "1:1": (1024, 1024),
    "21:9": (1536, 640),
    "2:3": (832, 1216),
    "3:2": (1216, 832),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
"""Pixels per ratio of the Stability generators.

AWS names none; these are multiples of 64, about one megapixel, with sides from 640 to 1536.
"""


def pairs(text: str) -> frozenset[tuple[int, int]]:
    """``"1x2 3x4"`` as pairs of sides."""
    return frozenset((int(w), int(h)) for w, _, h in (pair.partition("x") for pair in text.split()))


def require(schema: Object, body: object) -> None:
    """Raise BedrockError (400) unless a body follows its schema."""
    found = violations(schema, body)
    if found:
        raise malformed(*found)


def not_drawn(task: str) -> BedrockError:
    """The answer to a task that Bedrock knows and this emulator does not draw."""
    return rejected(f"This emulator does not draw {task} yet.")
