"""Stable Diffusion 3 and 3.5, Stable Image Core and Ultra: flat bodies, aspect ratios, ``finish_reasons``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ...catalog import Model
from ...types import Call, Task, Warning
from . import inputs, shared
from .answers import Entry, listed, seed_of, shortened
from .draft import Draft
from .generation import UNPRICED, Generation, Priced

__all__ = ["USUAL_STRENGTH", "Stability", "shaped", "texts"]

USUAL_STRENGTH = 0.6
"""Sent where ``strength`` is required and was not given: the figure of the example in WIRE.md, section 7."""

_STAGES = {"input image": "input_image", "output image": "output_image", "prompt": "prompt"}


class Stability(Generation):
    """One picture of about a megapixel per call; seed 0 is random; the seed comes back with the picture.

    ``mode`` is sent only where the catalogue requires it (image-to-image on SD3 and SD3.5): text-to-image is the default of
    those that know it, Core does not know it, and on Ultra the picture alone makes the call image-to-image.
    """

    name = "stability"
    seed_path = ("seed",)

    def fill(self, draft: Draft) -> None:
        """Write every parameter but ``n`` and ``seed`` into the body."""
        request = draft.request
        texts(draft)
        if request.task is Task.IMAGE_TO_IMAGE:
            _from_picture(draft)
        else:
            shaped(draft)
        draft.number("cfg_scale", request.cfg_scale, "cfg_scale")
        shared.sampling(draft)
        shared.style(draft, "style_preset")
        shared.plain_quality(draft)
        shared.file_format(draft)

    def priced(self, body: Mapping[str, Any], model: Model) -> Priced:
        """The size of the input picture where there is one. Every picture of such a model costs the same."""
        image = body.get("image")
        size = inputs.size_of(image) if image is not None else None
        return Priced(width=size[0], height=size[1]) if size is not None else UNPRICED

    def entries(self, call: Call, payload: Mapping[str, Any]) -> Sequence[Entry]:
        """One entry per picture or reason; a reason that is not null means that the picture is missing."""
        images, reasons = listed(payload.get("images")), listed(payload.get("finish_reasons"))
        seeds = listed(payload.get("seeds"))[: max(len(images), len(reasons))]
        return [
            Entry(b64=image, seed=seed_of(seed, call.effective_seed)) if reason is None else _fault(reason)
            for image, reason, seed in zip_longest(images, reasons, seeds)
        ]


def texts(draft: Draft) -> None:
    """Prompt and negative prompt, each within its limit; a warning where the task has no such field."""
    limits = {"prompt": draft.model.prompt_max, "negative_prompt": draft.model.negative_prompt_max}
    for name, limit in limits.items():
        text = draft.text(name, getattr(draft.request, name), limit)
        if text and draft.field(name, name) is not None:
            draft.put(name, text, name)


def shaped(draft: Draft) -> None:
    """The aspect ratio, where size or aspect ratio were asked for."""
    ratio = shared.ratio(draft)
    if ratio is not None:
        draft.put("aspect_ratio" if draft.request.aspect_ratio else "size", ratio, "aspect_ratio")


def _from_picture(draft: Draft) -> None:
    """What image-to-image has instead of an aspect ratio, which is not documented to go together with it."""
    picture = inputs.picture(draft, "image", draft.request.image, "image")
    mode, strength = draft.facts.fields.get("mode"), draft.facts.fields.get("strength")
    if mode is not None and mode.required:
        draft.put(None, draft.facts.wire, "mode")
    given = draft.option("strength")
    draft.number("strength", given, "strength")
    if given is None and strength is not None and strength.required and draft.native("strength") is None:
        # Nothing that was asked for changes, so a strict request is not refused.
        draft.put(None, USUAL_STRENGTH, "strength")
        message = f"none was given, and {draft.model.name} needs one: {USUAL_STRENGTH} is sent"
        draft.warnings.append(Warning(code="adapted", parameter="strength", message=message))
    shared.from_input(draft, (picture.width, picture.height) if picture else None)


def _fault(reason: Any) -> Entry:
    text = shortened(reason)
    kind, _, subject = text.lower().partition(":")
    if kind == "filter reason":
        stage = _STAGES.get(subject.strip(), "output_image")
        return Entry(fault="filtered", stage=stage, message=f"blocked by the content filter ({text})")
    return Entry(fault="failed", message=f"the model failed to make the picture ({text})")
