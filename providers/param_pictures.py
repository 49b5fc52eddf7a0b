"""Pictures and masks among the parameters: under which names they come, and how they are gathered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidRequest
from .param_values import choice, named, refuse
from .pictures import MAX_TEXT, Sources, adapted_picture
from .types import Picture, Warning

__all__ = ["MAX_PICTURES", "PICTURE_NAMES", "Gathered", "mask_mode"]

MAX_PICTURES = 16
"""Under one name, as in OpenAI's images API. Models take one to five; their families say so."""

PICTURE_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("image", "image[]", "images", "init_image", "initImage", "input_image"), "image"),
    **dict.fromkeys(("source_image", "sourceImage", "condition_image", "conditionImage"), "image"),
    **dict.fromkeys(("references", "reference", "reference_image", "referenceImage", "reference_images"), "references"),
    **dict.fromkeys(("style_image", "styleImage", "garment", "garment_image"), "references"),
    **dict.fromkeys(("mask", "mask_image", "maskImage"), "mask"),
}
"""Name as clients write it -> what of the request it is."""

_MODES = {
    **{mode: mode for mode in ("alpha", "white", "black")},
    "mask_image_white": "white",
    "mask_image_black": "black",
    "init_image_alpha": "alpha",
}
mask_mode = choice(_MODES, ("alpha", "white", "black"))
"""Reads ``mask_mode``, and SDXL's ``mask_source`` (WIRE.md, section 6)."""


class Gathered:
    """The pictures of one request, read when they are named, put in order at the end."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.warnings: list[Warning] = []
        self.given: dict[str, tuple[str, tuple[Picture, ...]]] = {}
        """Slot -> (name as given, pictures)."""
        self.names: set[str] = set()
        """The names that were used, without what stands around them."""

    def take(self, written: str, name: str, value: Any, *, native: bool = False) -> None:
        """Read what was given under one name. Raises InvalidRequest. In ``native`` a text is base64 and never a path."""
        slot = PICTURE_NAMES[name]
        listed = value if isinstance(value, list) or _is_several(value) else [value]
        most = 1 if slot == "mask" else MAX_PICTURES
        if not 1 <= len(listed) <= most:
            allowed = "one picture" if most == 1 else f"1 to {most} pictures"
            message = f"{named(written)} must be {allowed}, not {len(listed)}"
            raise InvalidRequest(message, parameter=named(written), allowed=allowed)
        found = tuple(
            self._read(f"{written}[{place}]" if len(listed) > 1 else written, one, native)
            for place, one in enumerate(listed)
        )
        before = self.given.setdefault(slot, (written, found))
        if before[1] != found:
            message = f"{named(before[0])} and {named(written)} are different pictures; give one of them"
            raise InvalidRequest(message, parameter=named(written), allowed="one picture for one purpose")
        self.names.add(name)

    def _read(self, written: str, value: Any, native: bool) -> Picture:
        if native and not isinstance(value, (str, Picture)):
            raise refuse(named(written), value, "a picture as base64")
        sources = Sources(files=False) if native else self.sources
        picture, warnings = adapted_picture(value, name=named(written), sources=sources)
        self.warnings += warnings
        return picture

    def slots(self) -> set[str]:
        """Which of ``image``, ``references`` and ``mask`` there will be."""
        several = len(self.given.get("image", ("", ()))[1]) > 1
        return {*self.given, "references"} if several else set(self.given)

    def fields(self) -> dict[str, Any]:
        """``image``, ``references`` and ``mask`` of the request. Raises InvalidRequest if they are too much for any body."""
        fields: dict[str, Any] = {}
        if not self.given:
            return fields
        several = self.given.get("image", ("", ()))[1]
        if several:
            fields["image"] = several[0]
        references = several[1:] + self.given.get("references", ("", ()))[1]
        if references:
            fields["references"] = references
        if "mask" in self.given:
            fields["mask"] = self.given["mask"][1][0]
        total = sum(len(one.b64) for _, pictures in self.given.values() for one in pictures)
        if total > MAX_TEXT:
            name = self.given.get("image", next(iter(self.given.values())))[0]
            message = (
                f"{named(name)}: all pictures are {total:,} letters as base64; a request holds at most {MAX_TEXT:,}"
            )
            raise InvalidRequest(message, parameter=named(name), allowed=f"at most {MAX_TEXT:,} letters of base64")
        return fields

    def amazon_mask(self) -> bool:
        """True if the mask came under Amazon's own name, and so in Amazon's own colours."""
        return "maskImage" in self.names


def _is_several(value: Any) -> bool:
    """A tuple of pictures; (file name, content) and (file name, content, type) are one."""
    if not isinstance(value, tuple):
        return False
    named_first = 2 <= len(value) <= 4 and (value[0] is None or isinstance(value[0], str))
    return not (named_first and not isinstance(value[1], str))
