"""Bodies, checked as strictly as Bedrock does.

Each family has its schema (types, ranges, lengths, enums) and the rules that a schema can not say (pairs of sizes,
ratios, pictures, masks). Where AWS's documents leave a doubt the wider reading passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from .bodies.amazon import nova_canvas, titan
from .bodies.ranges import ASPECT_RATIOS, not_drawn
from .bodies.sdxl import sdxl
from .bodies.services import service
from .bodies.stability import stability
from .errors import BedrockError, malformed, rejected
from .job import Job
from .models import MODELS, Model
from .schema import Object, violations

__all__ = ["ASPECT_RATIOS", "check", "guess", "parse"]

_TELLING = (
    ({"style_image", "init_image"}, "stability.stable-style-transfer-v1:0"),
    ({"select_prompt"}, "stability.stable-image-search-recolor-v1:0"),
    ({"search_prompt"}, "stability.stable-image-search-replace-v1:0"),
    ({"left", "right", "up", "down"}, "stability.stable-outpaint-v1:0"),
    ({"fidelity"}, "stability.stable-image-style-guide-v1:0"),
    ({"control_strength"}, "stability.stable-image-control-structure-v1:0"),
    ({"strength", "mode"}, "stability.sd3-5-large-v1:0"),
    ({"creativity"}, "stability.stable-conservative-upscale-v1:0"),
)
"""Fields, one of which tells the model of a Stability body that has a picture."""


def parse(body: bytes) -> dict[str, Any]:
    """Read a body as a JSON object, or raise the service's complaint."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise rejected("Malformed input request, please reformat your input and try again.") from None
    if not isinstance(document, dict):
        raise malformed(*violations(Object(), document))
    return document


def check(model: Model, body: dict[str, Any]) -> Job:
    """Validate a body for a model. Raises BedrockError (400) with the first broken rule, in the service's wording."""
    drawn = _FAMILIES.get(model.family)
    if drawn is None:
        raise not_drawn(model.name)
    return drawn(model, body)


def guess(body: dict[str, Any]) -> Model:
    """The model that an opaque ARN most likely stands for, told by the shape of the body.

    ``taskType``: Nova Canvas, or Titan v2 when only that accepts the body; ``text_prompts``: SDXL 1.0; a picture and a
        field that only one service has: that service; anything else: SD3.5 Large.
    """
    if "text_prompts" in body:
        return MODELS["stability.stable-diffusion-xl-v1"]
    if "taskType" not in body:
        return MODELS[_guess_stability(body)]
    canvas, titan_2 = MODELS["amazon.nova-canvas-v1:0"], MODELS["amazon.titan-image-generator-v2:0"]
    return canvas if _accepts(canvas, body) or not _accepts(titan_2, body) else titan_2


def _guess_stability(body: dict[str, Any]) -> str:
    if body.keys().isdisjoint(("image", "init_image")):
        return "stability.sd3-5-large-v1:0"
    for fields, id in _TELLING:
        if not body.keys().isdisjoint(fields):
            return id
    masked = not body.keys().isdisjoint(("mask", "grow_mask"))
    if "prompt" in body:
        return f"stability.stable-image-{'inpaint' if masked else 'control-structure'}-v1:0"
    return f"stability.stable-image-{'erase-object' if masked else 'remove-background'}-v1:0"


def _accepts(model: Model, body: dict[str, Any]) -> bool:
    try:
        check(model, body)
    except BedrockError:
        return False
    return True


_FAMILIES: Mapping[str, Callable[[Model, dict[str, Any]], Job]] = {
    "titan-image": titan,
    "nova-canvas": nova_canvas,
    "sdxl": sdxl,
    "stability-generate": stability,
    "stability-service": service,
}
