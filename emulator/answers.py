"""What each family answers: pictures, seeds, and the failures that hide inside an HTTP 200.

Words in the prompt set the content filters off, as each family shows them. They are looked for in search and mask
prompts too, and in the text metadata of input pictures (PNG text, EXIF description), for tasks that have no prompt:

``[blocked-prompt]``
    Titan, Canvas and SDXL: 400 ValidationException. Stability: 200 with ``finish_reasons: ["Filter reason: prompt"]``.
``[blocked-output]``
    Titan and Canvas: 200 with ``images: []`` and ``error``. SDXL: 200 with a blurred artifact, ``CONTENT_FILTERED``.
    Stability: 200 with ``finish_reasons: ["Filter reason: output image"]``.
``[blocked-some]``
    Titan and Canvas: 200 with fewer images than asked for, and ``error`` (a single image: like ``[blocked-output]``).
    Others make one image only: like ``[blocked-output]``.
``[blocked-input]``
    Only where there is an input picture. Titan, Canvas and SDXL: 400 ValidationException. Stability: 200 with
        ``finish_reasons: ["Filter reason: input image"]``.
``[inference-error]``
    Stability: 200 with ``finish_reasons: ["Inference error"]``. SDXL: 200 with an artifact ``ERROR``. Titan and
        Canvas: 500.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from PIL import ImageOps

from .canvas import encode
from .errors import DEFAULT_MESSAGES, BedrockError, rejected
from .job import Job

__all__ = ["TRIGGERS", "Drawn", "answer"]

TRIGGERS = ("[blocked-prompt]", "[blocked-output]", "[blocked-some]", "[blocked-input]", "[inference-error]")
"""The words in a prompt that set a failure off."""

_TITAN_BLOCKED = (
    "This request has been blocked by our content filters. Our filters automatically flagged this prompt because it may "
    "conflict our AUP or AWS Responsible AI Policy. Please adjust your text prompt to submit a new request."
)
_TITAN_INPUT_BLOCKED = (
    "This request has been blocked by our content filters. Our filters automatically flagged the input image because it "
    "may conflict our AUP or AWS Responsible AI Policy. Please adjust your input image to submit a new request."
)
_CANVAS_INPUT_BLOCKED = (
    "The input image has been blocked by our content filters. Please adjust your input image to submit a new request."
)
_CANVAS_BLOCKED = (
    "The text prompt has been blocked by our content filters. Please adjust your text prompt to submit a new request."
)
_SDXL_INPUT_BLOCKED = (
    "This request has been blocked by our content filters. Please adjust your input image and try again."
)
_SDXL_BLOCKED = "This request has been blocked by our content filters. Please adjust your text prompts and try again."

Paint = Callable[[Job, int, int, bool], bytes]
"""(job, seed, index, blurred) -> the encoded picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The JSON body of a 200 and how many good pictures are in it."""

    body: bytes
    images: int


def answer(job: Job, paint: Paint, rng: random.Random) -> Drawn:
    """Draw a job and put it into its family's words. Raises BedrockError where the family answers with an error status."""
    text = f"{job.prompt}\n{job.words}"
    pictures = job.edit is not None and job.edit.pictures
    trigger = next((word for word in TRIGGERS if word in text and (pictures or word != "[blocked-input]")), None)
    return _FAMILIES[job.family](job, paint, rng, trigger)


def _drawn(document: Mapping[str, Any], images: int) -> Drawn:
    return Drawn(body=orjson.dumps(document), images=images)


def _b64(picture: bytes) -> str:
    return base64.b64encode(picture).decode("ascii")


def _seed(job: Job, rng: random.Random) -> int:
    return job.seed if job.seed is not None else rng.randint(1, job.seed_max)


def _amazon(job: Job, paint: Paint, rng: random.Random, trigger: str | None) -> Drawn:
    if trigger == "[blocked-prompt]":
        raise rejected(_TITAN_BLOCKED if job.family == "titan-image" else _CANVAS_BLOCKED)
    if trigger == "[blocked-input]":
        raise rejected(_TITAN_INPUT_BLOCKED if job.family == "titan-image" else _CANVAS_INPUT_BLOCKED)
    if trigger == "[inference-error]":
        raise BedrockError(500, "InternalServerException", DEFAULT_MESSAGES["InternalServerException"])
    kept = job.count
    if trigger == "[blocked-output]":
        kept = 0
    elif trigger == "[blocked-some]":
        kept = job.count // 2
    seed = _seed(job, rng)
    document: dict[str, Any] = {"images": [_b64(paint(job, seed, index, False)) for index in range(kept)]}
    if kept and job.edit is not None and job.edit.returns_mask and job.edit.mask is not None:
        shown = ImageOps.invert(job.edit.mask).convert("RGB")
        document["maskImage"] = _b64(encode(shown, "png", model_id=job.model_id, seed=seed))
    if kept < job.count:
        share = "Some" if kept else "All"
        document["error"] = f"{share} of the generated images have been blocked by our content filters."
    return _drawn(document, kept)


def _sdxl(job: Job, paint: Paint, rng: random.Random, trigger: str | None) -> Drawn:
    if trigger == "[blocked-prompt]":
        raise rejected(_SDXL_BLOCKED)
    if trigger == "[blocked-input]":
        raise rejected(_SDXL_INPUT_BLOCKED)
    seed = _seed(job, rng)
    if trigger == "[inference-error]":
        return _drawn({"result": "error", "artifacts": [{"seed": seed, "finishReason": "ERROR"}]}, 0)
    filtered = trigger is not None
    artifact = {
        "seed": seed,
        "base64": _b64(paint(job, seed, 0, filtered)),
        "finishReason": "CONTENT_FILTERED" if filtered else "SUCCESS",
    }
    return _drawn({"result": "success", "artifacts": [artifact]}, 0 if filtered else 1)


_REASONS = {
    "[blocked-prompt]": "Filter reason: prompt",
    "[blocked-output]": "Filter reason: output image",
    "[blocked-some]": "Filter reason: output image",
    "[blocked-input]": "Filter reason: input image",
    "[inference-error]": "Inference error",
}


def _stability(job: Job, paint: Paint, rng: random.Random, trigger: str | None) -> Drawn:
    if trigger is not None:
        return _drawn({"finish_reasons": [_REASONS[trigger]]}, 0)
    seed = _seed(job, rng)
    return _drawn({"seeds": [seed], "finish_reasons": [None], "images": [_b64(paint(job, seed, 0, False))]}, 1)


_FAMILIES: Mapping[str, Callable[[Job, Paint, random.Random, str | None], Drawn]] = {
    "titan-image": _amazon,
    "nova-canvas": _amazon,
    "sdxl": _sdxl,
    "stability-generate": _stability,
    "stability-service": _stability,
}
