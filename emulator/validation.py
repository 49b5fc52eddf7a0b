"""Text-to-image bodies, checked as strictly as Bedrock does.

Each family has its schema (types, ranges, lengths, enums) and the rules that a schema can not say (pairs of sizes,
ratios). A known task that is not drawn here is refused with a text that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from .errors import BedrockError, malformed, rejected
from .job import Job
from .models import MODELS, Model
from .schema import Array, Integer, Number, Object, Rule, Text, violations

__all__ = ["ASPECT_RATIOS", "check", "guess", "parse"]

_AMAZON_SEED_MAX = 2147483646
_STABILITY_SEED_MAX = 4294967295
_NOVA_STYLES = (
    "3D_ANIMATED_FAMILY_FILM",
    "DESIGN_SKETCH",
    "FLAT_VECTOR_ILLUSTRATION",
    "GRAPHIC_NOVEL_ILLUSTRATION",
    "MAXIMALISM",
    "MIDCENTURY_RETRO",
    "PHOTOREALISM",
    "SOFT_DIGITAL_PAINTING",
)
_EDIT_TASKS = {
    "titan-image-generator-v1": ("INPAINTING", "OUTPAINTING", "IMAGE_VARIATION"),
    "titan-image-generator-v2": (
        "INPAINTING",
        "OUTPAINTING",
        "IMAGE_VARIATION",
        "COLOR_GUIDED_GENERATION",
        "BACKGROUND_REMOVAL",
    ),
    "nova-canvas": (
        "INPAINTING",
        "OUTPAINTING",
        "IMAGE_VARIATION",
        "COLOR_GUIDED_GENERATION",
        "BACKGROUND_REMOVAL",
        "VIRTUAL_TRY_ON",
    ),
}
_CONDITION: dict[str, Rule] = {
    "conditionImage": Text(min=1),
    "controlMode": Text(enum=("CANNY_EDGE", "SEGMENTATION")),
    "controlStrength": Number(min=0, max=1.0),
}
_TITAN_SIDES = (
    "1024x1024 768x768 512x512 768x1152 384x576 1152x768 576x384 768x1280 384x640 1280x768 640x384 896x1152 448x576 "
    "1152x896 576x448 768x1408 384x704 1408x768 704x384 640x1408 320x704 1408x640 704x320 1152x640 1173x640"
)
_SDXL_SIDES = "1024x1024 1152x896 1216x832 1344x768 1536x640 640x1536 768x1344 832x1216 896x1152"


def _pairs(text: str) -> frozenset[tuple[int, int]]:
    return frozenset((int(w), int(h)) for w, _, h in (pair.partition("x") for pair in text.split()))


_TITAN_SIZES = _pairs(_TITAN_SIDES)
_SDXL_SIZES = _pairs(_SDXL_SIDES)

ASPECT_RATIOS: Mapping[str, tuple[int, int]] = {
    "16:9": (1344, 768),
    "1:1": (1024, 1024),
    "21:9": (1536, 640),
    "2:3": (832, 1216),
    "3:2": (1216, 832),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
"""Pixels per ratio of the Stability generators.

AWS names none; these are multiples of 64, about one megapixel, with sides from 640 to 1536.
"""


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

    ``taskType``: Nova Canvas, or Titan v2 when only that accepts the body; ``text_prompts``: SDXL 1.0; anything else:
        SD3.5 Large.
    """
    if "text_prompts" in body:
        return MODELS["stability.stable-diffusion-xl-v1"]
    if "taskType" not in body:
        return MODELS["stability.sd3-5-large-v1:0"]
    canvas, titan = MODELS["amazon.nova-canvas-v1:0"], MODELS["amazon.titan-image-generator-v2:0"]
    return canvas if _accepts(canvas, body) or not _accepts(titan, body) else titan


def not_drawn(task: str) -> BedrockError:
    """The answer to a task that Bedrock knows and this emulator does not draw."""
    return rejected(f"This emulator does not draw {task} yet.")


def _accepts(model: Model, body: dict[str, Any]) -> bool:
    try:
        check(model, body)
    except BedrockError:
        return False
    return True


def _require(schema: Object, body: dict[str, Any]) -> None:
    found = violations(schema, body)
    if found:
        raise malformed(*found)


def _amazon_task(body: dict[str, Any], tasks: tuple[str, ...]) -> None:
    """Stop at bodies that are not for TEXT_IMAGE."""
    _require(Object(fields={"taskType": Text(enum=("TEXT_IMAGE", *tasks))}, required=("taskType",), open=True), body)
    if body["taskType"] != "TEXT_IMAGE":
        raise not_drawn(body["taskType"])


def _amazon_schema(text: Mapping[str, Rule], config: Mapping[str, Rule]) -> Object:
    return Object(
        fields={
            "taskType": Text(),
            "textToImageParams": Object(fields=text, required=("text",)),
            "imageGenerationConfig": Object(fields=config),
        },
        required=("taskType", "textToImageParams"),
    )


def _amazon_config(side: Integer) -> dict[str, Rule]:
    return {
        "quality": Text(enum=("standard", "premium")),
        "numberOfImages": Integer(min=1, max=5),
        "width": side,
        "height": side,
        "cfgScale": Number(min=1.1, max=10.0),
        "seed": Integer(min=0, max=_AMAZON_SEED_MAX),
    }


def _amazon_job(model: Model, body: dict[str, Any], *, side: int, cfg_scale: float, seed: int) -> Job:
    text = body["textToImageParams"]
    if "conditionImage" in text:
        raise not_drawn("TEXT_IMAGE with conditionImage")
    if "controlMode" in text or "controlStrength" in text:
        raise malformed("#/textToImageParams: required key [conditionImage] not found")
    config = {
        "quality": "standard",
        "numberOfImages": 1,
        "width": side,
        "height": side,
        "cfgScale": cfg_scale,
        "seed": seed,
        **body.get("imageGenerationConfig", {}),
    }
    return Job(
        model_id=model.id,
        family=model.family,
        prompt=text["text"],
        width=config["width"],
        height=config["height"],
        count=config["numberOfImages"],
        seed=config["seed"],
        seed_max=_AMAZON_SEED_MAX,
        parameters={**text, "quality": config["quality"], "cfgScale": float(config["cfgScale"])},
    )


def _titan(model: Model, body: dict[str, Any]) -> Job:
    first = "-v1" in model.id
    _amazon_task(body, _EDIT_TASKS["titan-image-generator-v1" if first else "titan-image-generator-v2"])
    text: dict[str, Rule] = {"text": Text(max=512), "negativeText": Text(max=512), **({} if first else _CONDITION)}
    _require(_amazon_schema(text, _amazon_config(Integer())), body)
    job = _amazon_job(model, body, side=1408, cfg_scale=8.0, seed=42)
    # 1408 x 1408 is AWS's documented default although it is not in AWS's list: it passes only when both sides are left out.
    config = body.get("imageGenerationConfig", {})
    if ("width" in config or "height" in config) and (job.width, job.height) not in _TITAN_SIZES:
        raise malformed(
            f"#/imageGenerationConfig: width {job.width} and height {job.height} are not a supported pair: {_TITAN_SIDES}"
        )
    return job


def _nova_canvas(model: Model, body: dict[str, Any]) -> Job:
    _amazon_task(body, _EDIT_TASKS["nova-canvas"])
    text: dict[str, Rule] = {
        "text": Text(min=1, max=1024),
        "negativeText": Text(min=1, max=1024),
        "style": Text(enum=_NOVA_STYLES),
        **_CONDITION,
    }
    _require(_amazon_schema(text, _amazon_config(Integer(min=320, max=4096, multiple_of=16))), body)
    job = _amazon_job(model, body, side=1024, cfg_scale=6.5, seed=12)
    if max(job.width, job.height) > 4 * min(job.width, job.height):
        raise malformed(
            f"#/imageGenerationConfig: the aspect ratio of {job.width}x{job.height} must be between 1:4 and 4:1"
        )
    # 2048 x 2048 is exactly 4,194,304: one page excludes it, others name it as usable. Accepted.
    if job.width * job.height > 4_194_304:
        raise malformed(f"#/imageGenerationConfig: {job.width}x{job.height} has more than 4194304 pixels")
    return job


_SDXL_BASE: dict[str, Rule] = {
    "text_prompts": Array(items=Object(fields={"text": Text(max=2000), "weight": Number()}, required=("text",)), min=1),
    "clip_guidance_preset": Text(enum=("FAST_BLUE", "FAST_GREEN", "NONE", "SIMPLE", "SLOW", "SLOWER", "SLOWEST")),
    "sampler": Text(
        enum=(
            "DDIM",
            "DDPM",
            "K_DPMPP_2M",
            "K_DPMPP_2S_ANCESTRAL",
            "K_DPM_2",
            "K_DPM_2_ANCESTRAL",
            "K_EULER",
            "K_EULER_ANCESTRAL",
            "K_HEUN",
            "K_LMS",
        )
    ),
    "samples": Integer(min=1, max=1),
    "seed": Integer(min=0, max=_STABILITY_SEED_MAX),
    # The step maximum is 50 on one page and 150 in older copies.
    "steps": Integer(min=10, max=150),
    "style_preset": Text(
        enum=(
            "3d-model",
            "analog-film",
            "anime",
            "cinematic",
            "comic-book",
            "digital-art",
            "enhance",
            "fantasy-art",
            "isometric",
            "line-art",
            "low-poly",
            "modeling-compound",
            "neon-punk",
            "origami",
            "photographic",
            "pixel-art",
            "tile-texture",
        )
    ),
    "extras": Object(open=True),
}
_SIDE_64 = Integer(min=64, multiple_of=64)
_SDXL: dict[str, Rule] = {**_SDXL_BASE, "cfg_scale": Number(min=0, max=35), "width": _SIDE_64, "height": _SIDE_64}


def _sdxl(model: Model, body: dict[str, Any]) -> Job:
    if "init_image" in body or "mask_source" in body:
        raise not_drawn("image-to-image")
    preview = model.id.endswith("-v0")
    fields = {**_SDXL, "cfg_scale": Number(min=0, max=30)} if preview else _SDXL
    _require(Object(fields=fields, required=("text_prompts",)), body)
    side = 512 if preview else 1024
    width, height = body.get("width", side), body.get("height", side)
    if preview:
        # No list of sizes of 0.8 is left. Any multiple of 64 up to the area of the later list passes.
        if width * height > 1024 * 1024:
            raise malformed(f"#: {width}x{height} has more than 1048576 pixels")
    elif (width, height) not in _SDXL_SIZES:
        raise malformed(f"#: width {width} and height {height} are not a supported pair: {_SDXL_SIDES}")
    positive = [entry["text"] for entry in body["text_prompts"] if entry.get("weight", 1) >= 0]
    defaults = {
        "cfg_scale": 10 if preview else 7,
        "steps": 30,
        "style_preset": None,
        "sampler": None,
        "clip_guidance_preset": "NONE",
    }
    asked = {name: value for name, value in body.items() if name not in ("seed", "samples", "width", "height")}
    merged = {**defaults, **asked}
    return Job(
        model_id=model.id,
        family=model.family,
        prompt=" ".join(positive),
        width=width,
        height=height,
        seed=body.get("seed") or None,
        seed_max=_STABILITY_SEED_MAX,
        parameters={**merged, "cfg_scale": float(merged["cfg_scale"])},
    )


def _stability(model: Model, body: dict[str, Any]) -> Job:
    core, sd35 = "image-core" in model.id, "sd3-5" in model.id
    seed_max = _STABILITY_SEED_MAX - 1 if sd35 else _STABILITY_SEED_MAX
    fields: dict[str, Rule] = {
        "prompt": Text(max=10000),
        "negative_prompt": Text(max=10000),
        "seed": Integer(min=0, max=seed_max),
        "output_format": Text(enum=("jpeg", "png", "webp") if sd35 else ("jpeg", "png")),
        "aspect_ratio": Text(enum=tuple(ASPECT_RATIOS)),
    }
    if not core:
        fields |= {
            "mode": Text(enum=("text-to-image", "image-to-image")),
            "strength": Number(min=0, max=1),
            "image": Text(min=1),
        }
    _require(Object(fields=fields, required=("prompt",), open=True), body)
    if not fields.keys() >= body.keys():
        raise rejected(orjson.dumps({"detail": f"Invalid field in request. Available fields: {list(fields)}"}).decode())
    if body.get("mode") == "image-to-image" or "image" in body:
        raise not_drawn("image-to-image")
    width, height = ASPECT_RATIOS[body.get("aspect_ratio", "1:1")]
    return Job(
        model_id=model.id,
        family=model.family,
        prompt=body["prompt"],
        width=width,
        height=height,
        seed=body.get("seed") or None,
        seed_max=seed_max,
        format=body.get("output_format", "png"),
        parameters={"prompt": body["prompt"], "negative_prompt": body.get("negative_prompt")},
    )


_FAMILIES: Mapping[str, Callable[[Model, dict[str, Any]], Job]] = {
    "titan-image": _titan,
    "nova-canvas": _nova_canvas,
    "sdxl": _sdxl,
    "stability-generate": _stability,
}
