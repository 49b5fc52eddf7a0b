"""What Titan Image Generator and Nova Canvas share: ``taskType``, ``imageGenerationConfig``, and an ``error`` in a 200."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ...catalog import Model
from ...types import Call, ImageResult, Task, Warning
from . import shared
from .answers import Entry, listed, shortened
from .draft import Draft, at
from .generation import Generation, Priced, whole
from .sizes import parse_size

__all__ = ["Amazon"]

_PARAMS = "textToImageParams"
_CONFIG = "imageGenerationConfig"
_TASK = "TEXT_IMAGE"


class Amazon(Generation):
    """Amazon's image models. Up to five pictures per call; ``native`` speaks their own JSON."""

    seed_path = (_CONFIG, "seed")
    count_path = (_CONFIG, "numberOfImages")
    always_sized: ClassVar[bool] = False
    """Send width and height even when no size was asked for."""

    def fill(self, draft: Draft) -> None:
        """Write every parameter but ``n`` and ``seed`` into the body."""
        request, model = draft.request, draft.model
        task = request.native.get("taskType", _TASK)
        if task != _TASK:
            raise draft.wrong("taskType", f"this version does not serve {task!r:.60}", allowed=_TASK, nearest=_TASK)
        draft.put(None, _TASK, "taskType")
        draft.put("prompt", draft.text("prompt", request.prompt, model.prompt_max), _PARAMS, "text")
        negative = draft.text("negative_prompt", request.negative_prompt, model.negative_prompt_max)
        if negative:
            draft.put("negative_prompt", negative, _PARAMS, "negativeText")
        shared.style(draft, "style", _PARAMS)
        size = shared.pair(draft)
        given = "size" if request.size else "aspect_ratio" if request.aspect_ratio else None
        if size is None and self.always_sized:
            size = parse_size(draft.facts.sizes.default or "")
        if size is not None:
            draft.put(given, size[0], _CONFIG, "width")
            draft.put(given, size[1], _CONFIG, "height")
        draft.choice("quality", request.quality, "quality", _CONFIG)
        draft.number("cfg_scale", request.cfg_scale, "cfgScale", _CONFIG)
        shared.sampling(draft)
        shared.file_format(draft)

    def priced(self, body: Mapping[str, Any], model: Model) -> Priced:
        """Size and quality, with the model's defaults where the body is silent."""
        width, height = parse_size(model.tasks[Task.TEXT_TO_IMAGE].sizes.default or "")
        quality = at(body, (_CONFIG, "quality"))
        return Priced(
            width=whole(at(body, (_CONFIG, "width"))) or width,
            height=whole(at(body, (_CONFIG, "height"))) or height,
            quality=quality if isinstance(quality, str) else "standard",
        )

    def entries(self, call: Call, payload: Mapping[str, Any]) -> Sequence[Entry]:
        """The pictures, then one filtered entry for each that ``error`` explains."""
        images = [Entry(b64=image, seed=call.effective_seed) for image in listed(payload.get("images"))]
        if not payload.get("error"):
            return images
        refused = Entry(fault="filtered", message=shortened(payload["error"]))
        return images + [refused] * (call.images - len(images))

    def parse(self, call: Call, payload: Mapping[str, Any], *, request_id: str | None = None) -> ImageResult:
        """Read an HTTP 200 answer. An ``error`` beside all the pictures becomes a warning."""
        found = super().parse(call, payload, request_id=request_id)
        if not payload.get("error") or any(one.reason == "filtered" for one in found.missing):
            return found
        said = Warning(code="filtered", message=shortened(payload["error"]))
        return replace(found, warnings=(*found.warnings, said))
