"""The options of single tasks as parameters: every spelling of each, and how its value is read (see ``options``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .param_values import Reader, choice, flag, integer, number, refuse, text

__all__ = ["OPTION_FIELDS", "OPTION_NAMES", "inverse"]

_MAX_WORDS = 10_000
"""Characters of a prompt for an area, as Stability's services take them (models.yaml)."""
_MAX_COLORS = 10
_COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_GARMENTS = (
    "upper_body",
    "lower_body",
    "full_body",
    "footwear",
    "long_sleeve_shirt",
    "short_sleeve_shirt",
    "no_sleeve_shirt",
    "other_upper_body",
    "long_pants",
    "short_pants",
    "other_lower_body",
    "long_dress",
    "short_dress",
    "full_body_outfit",
    "other_full_body",
    "shoes",
    "boots",
    "other_footwear",
)


def _words(*names: str) -> Reader:
    """One of the names; ``-`` and blanks may stand for ``_``."""
    read = choice({name: name for name in names})

    def reader(name: str, value: Any) -> Any:
        return read(name, value.strip().replace("-", "_").replace(" ", "_") if isinstance(value, str) else value)

    return reader


def _colors(name: str, value: Any) -> tuple[str, ...]:
    """Colours as ``#RRGGBB``, from a list or from one text with commas; ``#RGB`` is written out."""
    allowed = f"1 to {_MAX_COLORS} colours as #RRGGBB"
    if isinstance(value, str) and len(value) <= 200:
        value = [part for part in re.split(r"[,\s]+", value.strip()) if part]
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= _MAX_COLORS:
        raise refuse(name, value, allowed)
    found = []
    for one in value:
        match = _COLOR.fullmatch(one.strip()) if isinstance(one, str) and len(one) <= 20 else None
        if match is None:
            raise refuse(name, one, allowed)
        digits = match[1]
        full = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
        if not one.strip().startswith("#"):
            raise refuse(name, one, allowed, f"#{full}")
        found.append(f"#{full}")
    return tuple(found)


def inverse(name: str, value: Any) -> float:
    """SDXL's ``image_strength`` says how much to keep, ours how far to go: the one is 1 minus the other."""
    share: float = _SHARE(name, value)
    return round(1 - share, 6)


_SHARE = number(0, 1)
_TEXT = text(_MAX_WORDS)
_SIDE = integer(0, 2000)
_KEEP = _words("on", "off", "default")


def _keep(name: str, value: Any) -> Any:
    return _KEEP(name, ("off", "on")[value] if isinstance(value, bool) else value)


OPTION_FIELDS: Mapping[str, Reader] = {
    "strength": _SHARE,
    "similarity": _SHARE,
    "mask_prompt": _TEXT,
    "search_prompt": _TEXT,
    "select_prompt": _TEXT,
    "grow_mask": integer(0, 20),
    "control_strength": _SHARE,
    "control_mode": _words("canny_edge", "segmentation"),
    "creativity": _SHARE,
    "fidelity": _SHARE,
    "composition_fidelity": _SHARE,
    "style_strength": _SHARE,
    "change_strength": _SHARE,
    "colors": _colors,
    **dict.fromkeys(("left", "right", "up", "down"), _SIDE),
    "outpaint_mode": _words("default", "precise"),
    "garment_class": _words(*_GARMENTS),
    "mask_shape": _words("contour", "bounding_box", "default"),
    "long_sleeve_style": _words("sleeve_down", "sleeve_up"),
    "tucking_style": _words("untucked", "tucked"),
    "outer_layer_style": _words("closed", "open"),
    **dict.fromkeys(("preserve_face", "preserve_hands", "preserve_body_pose"), _keep),
    "merge_style": _words("balanced", "seamless", "detailed"),
    "return_mask": flag,
}
"""Option -> reader, with the widest range of any model (models.yaml). Words are lower case with underscores."""

_CAMEL = """
    maskPrompt searchPrompt selectPrompt growMask controlStrength controlMode compositionFidelity styleStrength
    changeStrength garmentClass maskShape longSleeveStyle tuckingStyle outerLayerStyle preserveFace preserveHands
    preserveBodyPose mergeStyle returnMask
"""
OPTION_NAMES: Mapping[str, str] = {
    **{name: name for name in OPTION_FIELDS},
    **{name: re.sub("([A-Z])", r"_\1", name).lower() for name in _CAMEL.split()},
    "similarityStrength": "similarity",
    "similarity_strength": "similarity",
    "image_strength": "strength",
    "imageStrength": "strength",
    "outPaintingMode": "outpaint_mode",
    "outpaintingMode": "outpaint_mode",
    "outpainting_mode": "outpaint_mode",
    "colours": "colors",
}
"""Name as clients write it -> key of `OPTION_FIELDS`."""
