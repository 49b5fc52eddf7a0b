"""The bodies of Amazon's edit tasks, one function per task (WIRE.md, sections 4 and 5).

``path`` is where the task's fields stand in the body. ``opaque`` tells that the model takes no transparent pictures.
"""

from __future__ import annotations

import re
from typing import Any

from . import amazon_inputs as inputs
from .amazon_masks import area
from .draft import Draft

__all__ = ["background", "colours", "condition", "inpaint", "outpaint", "variation"]

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_NEARLY = re.compile(r"#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")


def inpaint(draft: Draft, path: str, *, opaque: bool) -> None:
    """Paint anew what a mask marks; with no text (erase) the surroundings fill it."""
    area(draft, path, opaque=opaque)
    draft.flag("return_mask", draft.option("return_mask"), "returnMask", path)


def outpaint(draft: Draft, path: str, *, opaque: bool) -> None:
    """Paint anew all around, or what is added to the sides."""
    area(draft, path, opaque=opaque, sides=True)
    draft.choice("outpaint_mode", draft.option("outpaint_mode"), "outPaintingMode", path)
    draft.flag("return_mask", draft.option("return_mask"), "returnMask", path)


def variation(draft: Draft, path: str, *, opaque: bool, side_max: int | None = None) -> None:
    """Another picture like one to five others. ``strength``, where it is given, is the opposite of similarity."""
    first = inputs.source(draft, "images")
    draft.take("references")
    pictures = [] if first is None else [("image", first)]
    pictures += [("references", one) for one in draft.request.references]
    most = draft.facts.fields["images"].max_length or len(pictures)
    if len(pictures) > most:
        message = f"{len(pictures)} pictures are too many"
        raise draft.wrong("references", message, allowed=f"at most {most} with image", nearest=str(most - 1))
    for name, picture in pictures:
        inputs.check(draft, name, picture, side_max=side_max)
    if pictures:
        sent = [inputs.flat(draft, name, one, opaque=opaque).b64 for name, one in pictures]
        draft.put("image" if first is not None else "references", sent, path, "images")
    strength, similarity = draft.option("strength"), draft.option("similarity")
    draft.number("similarity", similarity, "similarityStrength", path)
    if strength is not None:
        _strength(draft, strength, similarity, path)


def _strength(draft: Draft, strength: Any, similarity: Any, path: str) -> None:
    allowed = "a number from 0 to 1"
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or strength != strength:
        raise draft.wrong("strength", "a number is needed", allowed=allowed)
    if not 0 <= strength <= 1:
        nearest = f"{min(max(strength, 0), 1):g}"
        raise draft.wrong("strength", f"{strength:g} is out of range", allowed=allowed, nearest=nearest)
    if similarity is not None:
        raise draft.wrong("strength", "similarity is given too, its opposite", allowed="one of strength and similarity")
    field = draft.facts.fields["similarityStrength"]
    low, high = field.min or 0, field.max or 1
    value = round(min(max(1 - strength, low), high), 6)
    draft.adapt("strength", f"it is sent as similarityStrength {value:g}", allowed="similarity", nearest=f"{value:g}")
    draft.put("strength", value, path, "similarityStrength")


def colours(draft: Draft, path: str, *, opaque: bool) -> None:
    """A picture in given colours; a reference lends its content, and is the one picture that can be given."""
    colors = draft.option("colors")
    if colors is not None:
        draft.put("colors", _palette(draft, colors), path, "colors")
    elif draft.native("colors") is None:
        raise draft.wrong("colors", "colours are needed", allowed=_allowed_colours(draft))
    name, reference = "references", inputs.only(draft)
    if reference is None:
        name, reference = "image", draft.request.image
        draft.take("image")
    inputs.place(draft, name, reference, path, "referenceImage", opaque=opaque)


def _palette(draft: Draft, colors: Any) -> list[str]:
    most = draft.facts.fields["colors"].max_length or 10
    if not isinstance(colors, (list, tuple)) or not 1 <= len(colors) <= most:
        raise draft.wrong("colors", f"1 to {most} colours are needed", allowed=_allowed_colours(draft))
    for color in colors:
        if not isinstance(color, str) or not _COLOUR.fullmatch(color):
            near = _NEARLY.fullmatch(color.strip()) if isinstance(color, str) else None
            digits = "".join(digit * (6 // len(near[1])) for digit in near[1]) if near else ""
            message = f"{color!r:.40} is not a colour"
            raise draft.wrong(
                "colors", message, allowed=_allowed_colours(draft), nearest=f"#{digits}" if near else None
            )
    return list(colors)


def _allowed_colours(draft: Draft) -> str:
    return f"1 to {draft.facts.fields['colors'].max_length} colours as #RRGGBB"


def condition(draft: Draft, path: str, *, opaque: bool) -> None:
    """A new picture that keeps the edges or the areas of another."""
    inputs.place(draft, "image", inputs.source(draft, "conditionImage"), path, "conditionImage", opaque=opaque)
    draft.choice("control_mode", draft.option("control_mode"), "controlMode", path)
    draft.number("control_strength", draft.option("control_strength"), "controlStrength", path)


def background(draft: Draft, path: str, *, opaque: bool) -> None:
    """Cut out what stands in front."""
    inputs.place(draft, "image", inputs.source(draft, "image"), path, "image", opaque=opaque)
