"""The body of VIRTUAL_TRY_ON, which Nova Canvas alone has (WIRE.md, section 5)."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidRequest
from . import amazon_inputs as inputs
from .amazon_masks import mask_image, words
from .draft import Draft

__all__ = ["try_on"]

_KINDS = {
    "mask": ("IMAGE", "imageBasedMask", "maskImage"),
    "garment_class": ("GARMENT", "garmentBasedMask", "garmentClass"),
    "mask_prompt": ("PROMPT", "promptBasedMask", "maskPrompt"),
}
"""What the caller gives -> ``maskType``, the object that goes with it, and its required field."""
_STYLING = {
    "long_sleeve_style": "longSleeveStyle",
    "tucking_style": "tuckingStyle",
    "outer_layer_style": "outerLayerStyle",
}
_EXCLUSIONS = {
    "preserve_face": "preserveFace",
    "preserve_hands": "preserveHands",
    "preserve_body_pose": "preserveBodyPose",
}


def try_on(draft: Draft, path: str, *, opaque: bool) -> None:
    """Dress the person in ``image`` with the one of ``references``; what changes follows from what is given."""
    person = inputs.source(draft, "sourceImage")
    garment = inputs.only(draft)
    if garment is None and draft.native("referenceImage") is None:
        raise draft.wrong("references", "a picture of the garment is needed", allowed="one picture")
    inputs.place(draft, "image", person, path, "sourceImage", opaque=opaque)
    inputs.place(draft, "references", garment, path, "referenceImage", opaque=opaque)
    _mask(draft, path)
    for name, wire in _EXCLUSIONS.items():
        _nested(draft, name, "maskExclusions", wire, path, "maskExclusions")
    draft.choice("merge_style", draft.option("merge_style"), "mergeStyle", path)
    draft.flag("return_mask", draft.option("return_mask"), "returnMask", path)


def _mask(draft: Draft, path: str) -> None:
    """Infer ``maskType``, and write the object that belongs to it."""
    draft.take("mask")
    values = {"mask": draft.request.mask, **{name: draft.option(name) for name in ("garment_class", "mask_prompt")}}
    given = [name for name, value in values.items() if value is not None]
    native = [name for name, (_, holder, _) in _KINDS.items() if draft.native(holder) is not None and name not in given]
    if len(given) + len(native) != 1:
        raise _not_one(draft, given, native)
    chosen = (given or native)[0]
    kind, holder, wire = _KINDS[chosen]
    draft.put(None, kind, path, "maskType")
    if chosen == "mask" and given:
        draft.put("mask", mask_image(draft, values["mask"], draft.request.image), path, holder, wire)
    elif chosen == "mask_prompt" and given:
        draft.put("mask_prompt", words(draft, values["mask_prompt"]), path, holder, wire)
    elif chosen == "garment_class":
        _nested(draft, "garment_class", holder, wire, path, holder)
    _details(draft, chosen, holder, path)


def _details(draft: Draft, chosen: str, holder: str, path: str) -> None:
    """The shape of a mask that is not a picture, and how a garment is worn; elsewhere they have no effect."""
    if chosen == "mask":
        _useless(draft, "mask_shape", "a mask that is a picture has its own shape")
    else:
        _nested(draft, "mask_shape", holder, "maskShape", path, holder)
    for name, wire in _STYLING.items():
        if chosen == "garment_class":
            _nested(draft, name, "garmentBasedMask", wire, path, holder, "garmentStyling")
        else:
            _useless(draft, name, "it goes with garment_class")


def _nested(draft: Draft, name: str, holder: str, wire: str, *path: str) -> None:
    """Write one of a field's words, the field standing in an object (or in an object of that object)."""
    value: Any = draft.option(name)
    if value is None:
        return
    fields = draft.facts.fields[holder].fields
    inner = fields.get(wire) or fields["garmentStyling"].fields[wire]
    draft.put(name, draft.word(name, value, inner.enum), *path, wire)


def _useless(draft: Draft, name: str, reason: str) -> None:
    if draft.option(name) is not None:
        draft.ignore(name, reason)


def _not_one(draft: Draft, given: list[str], native: list[str]) -> InvalidRequest:
    allowed = "exactly one of mask, garment_class and mask_prompt"
    named = [*given, *(f"native {_KINDS[name][1]}" for name in native)]
    if not named:
        return draft.wrong("mask", "what shall be dressed is not said", allowed=allowed)
    return draft.wrong(given[0] if given else "native", f"{' and '.join(named)} exclude each other", allowed=allowed)
