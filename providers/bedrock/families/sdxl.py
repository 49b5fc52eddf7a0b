"""Stable Diffusion XL: ``text_prompts`` with weights, ``artifacts`` with reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...catalog import Model
from ...types import Call, Task
from . import inputs, shared
from .answers import Entry, listed, seed_of, shortened
from .draft import Draft
from .generation import Generation, Priced, whole
from .sdxl_edits import edit
from .sizes import parse_size

__all__ = ["Sdxl"]

_PREMIUM_STEPS = 50
"""AWS sells more steps than this as premium."""


class Sdxl(Generation):
    """Version 0.8 and 1.0. One picture per call; seed 0 is random; the seed comes back with the picture."""

    name = "sdxl"
    seed_path = ("seed",)

    def fill(self, draft: Draft) -> None:
        """Write every parameter but ``n`` and ``seed`` into the body."""
        request, model = draft.request, draft.model
        prompt = draft.text("prompt", request.prompt, model.prompt_max)
        prompts: list[dict[str, Any]] = [{"text": prompt}]
        negative = draft.text("negative_prompt", request.negative_prompt, model.negative_prompt_max)
        if negative:
            prompts[0]["weight"] = 1
            prompts.append({"text": negative, "weight": -1})
            draft.put("negative_prompt", prompts, "text_prompts", says=_weighs(negative, -1))
        draft.put("prompt", prompts, "text_prompts", says=_weighs(prompt, 1))
        if request.task is Task.TEXT_TO_IMAGE:
            _size(draft)
        else:
            edit(draft)
        draft.number("cfg_scale", request.cfg_scale, "cfg_scale")
        shared.sampling(draft)
        shared.style(draft, "style_preset")
        shared.plain_quality(draft)
        shared.file_format(draft)

    def priced(self, body: Mapping[str, Any], model: Model) -> Priced:
        """Size and steps, with the model's defaults where the body is silent; quality follows from the steps.

        A picture that goes in decides the size.
        """
        facts = model.tasks[Task.TEXT_TO_IMAGE]
        width, height = inputs.size_of(body.get("init_image")) or parse_size(facts.sizes.default or "")
        steps = whole(body.get("steps")) or int(facts.fields["steps"].default)
        return Priced(
            width=whole(body.get("width")) or width,
            height=whole(body.get("height")) or height,
            quality="premium" if steps > _PREMIUM_STEPS else "standard",
            steps=steps,
        )

    def entries(self, call: Call, payload: Mapping[str, Any]) -> Sequence[Entry]:
        """One entry per artifact. A filtered artifact still holds a (blurred) picture, which is never handed out."""
        found = [_entry(call, one) for one in listed(payload.get("artifacts"))]
        outcome = payload.get("result", "success")
        if not found and outcome != "success":
            return [Entry(fault="failed", message=f"the model answered {shortened(outcome)!r}")]
        return found


def _size(draft: Draft) -> None:
    size = shared.pair(draft)
    if size is not None:
        given = "size" if draft.request.size else "aspect_ratio"
        draft.put(given, size[0], "width")
        draft.put(given, size[1], "height")


def _weighs(text: str | None, sign: int) -> Callable[[Any], bool]:
    """Tells whether a list of prompts holds this text with a weight of this sign."""

    def says(entries: Any) -> bool:
        known = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, (list, tuple)) else []
        weights = [entry.get("weight", 1) for entry in known if entry.get("text") == text]
        return any(isinstance(weight, (int, float)) and weight * sign > 0 for weight in weights)

    return says


def _entry(call: Call, artifact: Any) -> Entry:
    if not isinstance(artifact, Mapping):
        return Entry(fault="unreadable", message="the answer holds an artifact that is not an object")
    reason = artifact.get("finishReason") or "SUCCESS"
    if reason == "CONTENT_FILTERED":
        return Entry(fault="filtered", message="the picture was blocked by the content filter (CONTENT_FILTERED)")
    if reason != "SUCCESS":
        return Entry(fault="failed", message=f"the model failed to make the picture ({shortened(reason)})")
    return Entry(b64=artifact.get("base64"), seed=seed_of(artifact.get("seed"), call.effective_seed))
