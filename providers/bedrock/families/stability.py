"""Stable Diffusion 3 and 3.5, Stable Image Core and Ultra: flat bodies, aspect ratios, ``finish_reasons``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ...catalog import Model
from ...types import Call
from . import shared
from .answers import Entry, listed, seed_of, shortened
from .draft import Draft
from .generation import Generation, Priced

__all__ = ["Stability"]

_STAGES = {"input image": "input_image", "output image": "output_image", "prompt": "prompt"}


class Stability(Generation):
    """One picture of about a megapixel per call; seed 0 is random; the seed comes back with the picture.

    ``mode`` is left out: text-to-image is the default of those that know it, and Core does not know it.
    """

    name = "stability"
    seed_path = ("seed",)

    def fill(self, draft: Draft) -> None:
        """Write every parameter but ``n`` and ``seed`` into the body."""
        request, model = draft.request, draft.model
        draft.put("prompt", draft.text("prompt", request.prompt, model.prompt_max), "prompt")
        negative = draft.text("negative_prompt", request.negative_prompt, model.negative_prompt_max)
        if negative:
            draft.put("negative_prompt", negative, "negative_prompt")
        shape = shared.ratio(draft)
        if shape is not None:
            draft.put("aspect_ratio" if request.aspect_ratio else "size", shape, "aspect_ratio")
        draft.number("cfg_scale", request.cfg_scale, "cfg_scale")
        shared.sampling(draft)
        shared.style(draft, "style_preset")
        shared.plain_quality(draft)
        shared.file_format(draft)

    def priced(self, body: Mapping[str, Any], model: Model) -> Priced:
        """Nothing: every picture of such a model costs the same."""
        return Priced()

    def entries(self, call: Call, payload: Mapping[str, Any]) -> Sequence[Entry]:
        """One entry per picture or reason; a reason that is not null means that the picture is missing."""
        images, reasons = listed(payload.get("images")), listed(payload.get("finish_reasons"))
        seeds = listed(payload.get("seeds"))[: max(len(images), len(reasons))]
        return [
            Entry(b64=image, seed=seed_of(seed, call.effective_seed)) if reason is None else _fault(reason)
            for image, reason, seed in zip_longest(images, reasons, seeds)
        ]


def _fault(reason: Any) -> Entry:
    text = shortened(reason)
    kind, _, subject = text.lower().partition(":")
    if kind == "filter reason":
        stage = _STAGES.get(subject.strip(), "output_image")
        return Entry(fault="filtered", stage=stage, message=f"blocked by the content filter ({text})")
    return Entry(fault="failed", message=f"the model failed to make the picture ({text})")
