"""What Titan Image Generator and Nova Canvas share: ``taskType``, ``imageGenerationConfig``, and an ``error`` in a 200."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ...catalog import Model, TaskFacts
from ...types import Call, Image, ImageResult, Task, Warning
from . import amazon_tasks, dialects, shared
from .amazon_try_on import try_on
from .answers import Entry, listed, shortened
from .draft import Draft, at
from .generation import Generation, Priced, whole
from .inputs import size_of
from .sizes import parse_size

__all__ = ["Amazon"]

_CONFIG = "imageGenerationConfig"
_SOURCES = ("image", "sourceImage")
"""What the picture is called whose size decides that of the result."""


class Amazon(Generation):
    """Amazon's image models. Up to five pictures per call; ``native`` speaks their own JSON."""

    seed_path = (_CONFIG, "seed")
    count_path = (_CONFIG, "numberOfImages")
    always_sized: ClassVar[bool] = False
    """Send width and height even when no size was asked for."""
    opaque: ClassVar[bool] = False
    """Input pictures must not be transparent."""
    variation_side_max: ClassVar[int | None] = None
    """The longest side of a variation's input, where it is not that of other tasks."""

    def fill(self, draft: Draft) -> None:
        """Write every parameter but ``n`` and ``seed`` into the body."""
        request, params = draft.request, draft.facts.params_key or ""
        self._check_native(draft)
        draft.put(None, draft.facts.wire, "taskType")
        self._pictures(draft, params)
        self._words(draft, params)
        shared.style(draft, "style", params)
        self._size(draft)
        draft.choice("quality", request.quality, "quality", _CONFIG)
        draft.number("cfg_scale", request.cfg_scale, "cfgScale", _CONFIG)
        shared.sampling(draft)
        shared.file_format(draft)

    def _check_native(self, draft: Draft) -> None:
        """Refuse another task's name, and a config where there is none, before pictures are looked at."""
        native, wire = draft.request.native, draft.facts.wire
        said = native.get("taskType", wire)
        if said != wire:
            message = f"{said!r:.60} is not what {draft.request.task} is called"
            raise draft.wrong("taskType", message, allowed=wire, nearest=wire)
        if _CONFIG in native and not draft.facts.config:
            allowed = ", ".join(dialects.top(draft.facts))
            raise draft.wrong(_CONFIG, f"{draft.request.task} takes none", allowed=allowed)

    def _pictures(self, draft: Draft, params: str) -> None:
        """What the task works on, where that is more than words."""
        match draft.request.task:
            case Task.INPAINT | Task.ERASE:
                amazon_tasks.inpaint(draft, params, opaque=self.opaque)
            case Task.OUTPAINT:
                amazon_tasks.outpaint(draft, params, opaque=self.opaque)
            case Task.VARIATION | Task.IMAGE_TO_IMAGE:
                amazon_tasks.variation(draft, params, opaque=self.opaque, side_max=self.variation_side_max)
            case Task.COLOR_GUIDED:
                amazon_tasks.colours(draft, params, opaque=self.opaque)
            case Task.CONTROL_STRUCTURE:
                amazon_tasks.condition(draft, params, opaque=self.opaque)
            case Task.REMOVE_BACKGROUND:
                amazon_tasks.background(draft, params, opaque=self.opaque)
            case Task.VIRTUAL_TRY_ON:
                try_on(draft, params, opaque=self.opaque)

    def _words(self, draft: Draft, params: str) -> None:
        request, model, fields = draft.request, draft.model, draft.facts.fields
        prompt = draft.text("prompt", request.prompt, model.prompt_max)
        if prompt and prompt.strip():
            if request.task is Task.ERASE or "text" not in fields:
                draft.ignore("prompt", f"{request.task} takes no text")
            else:
                draft.put("prompt", prompt, params, "text")
        negative = draft.text("negative_prompt", request.negative_prompt, model.negative_prompt_max)
        if negative and draft.field("negative_prompt", "negativeText"):
            draft.put("negative_prompt", negative, params, "negativeText")

    def _size(self, draft: Draft) -> None:
        request = draft.request
        if draft.facts.sizes.kind == "from_input":
            shared.from_input(draft, _input_size(draft.body, draft.facts))
            return
        size = shared.pair(draft)
        given = "size" if request.size else "aspect_ratio" if request.aspect_ratio else None
        if size is None and self.always_sized:
            size = parse_size(draft.facts.sizes.default or "")
        if size is not None:
            draft.put(given, size[0], _CONFIG, "width")
            draft.put(given, size[1], _CONFIG, "height")

    def priced(self, body: Mapping[str, Any], model: Model) -> Priced:
        """Size and quality, with the model's defaults where the body is silent; an edit has the size of its input."""
        facts = next(facts for facts in model.tasks.values() if facts.wire == body["taskType"])
        quality = at(body, (_CONFIG, "quality"))
        if facts.sizes.kind == "from_input":
            size = _input_size(body, facts)
        else:
            default = parse_size(facts.sizes.default or "")
            width, height = (whole(at(body, (_CONFIG, side))) for side in ("width", "height"))
            size = width or default[0], height or default[1]
        return Priced(
            width=size[0] if size else None,
            height=size[1] if size else None,
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
        """Read an HTTP 200 answer. An ``error`` beside all the pictures becomes a warning, as does an absent mask."""
        found = super().parse(call, payload, request_id=request_id)
        said = list(found.warnings)
        if payload.get("error") and not any(one.reason == "filtered" for one in found.missing):
            said.append(Warning(code="filtered", message=shortened(payload["error"])))
        mask = _mask(payload.get("maskImage"))
        if mask is None and _wants_mask(call.body):
            said.append(Warning(code="ignored", parameter="return_mask", message="the answer holds no mask"))
        return replace(found, warnings=tuple(said), mask=mask)


def _input_size(body: Mapping[str, Any], facts: TaskFacts) -> tuple[int, int] | None:
    """The size of the picture in the body, wherever it came from; None when it can not be told."""
    found = [at(body, (facts.params_key or "", wire)) for wire in _SOURCES]
    return next((size for size in map(size_of, found) if size is not None), None)


def _mask(value: Any) -> Image | None:
    image = Image(value) if isinstance(value, str) else None
    try:
        return image if image is not None and image.header else None
    except ValueError:
        return None


def _wants_mask(body: Mapping[str, Any]) -> bool:
    return any(isinstance(part, Mapping) and part.get("returnMask") is True for part in body.values())
