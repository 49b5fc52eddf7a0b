"""Bodies of Titan Image Generator and Nova Canvas: one task each, beside an optional ``imageGenerationConfig``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..editing.inputs import Limits
from ..errors import malformed
from ..job import Job
from ..models import Model
from ..schema import Array, Boolean, Integer, Number, Object, Rule, Text
from .amazon_edits import picture_edit
from .ranges import AMAZON_SEED_MAX, GARMENTS, NOVA_STYLES, TITAN_SIDES, pairs, require

__all__ = ["nova_canvas", "titan"]

_CONFIG = "imageGenerationConfig"
_TITAN_SIZES = pairs(TITAN_SIDES)
_PICTURE = Text(min=1)
_COLOUR = Text(pattern="#[0-9A-Fa-f]{6}")
_SWITCH = Text(enum=("ON", "OFF", "DEFAULT"))
_MASK_SHAPE = Text(enum=("CONTOUR", "BOUNDING_BOX", "DEFAULT"))
_KEYS = {
    "TEXT_IMAGE": "textToImageParams",
    "INPAINTING": "inPaintingParams",
    "OUTPAINTING": "outPaintingParams",
    "IMAGE_VARIATION": "imageVariationParams",
    "COLOR_GUIDED_GENERATION": "colorGuidedGenerationParams",
    "BACKGROUND_REMOVAL": "backgroundRemovalParams",
    "VIRTUAL_TRY_ON": "virtualTryOnParams",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    """What tells Titan's bodies from Canvas's. ``sized`` are the edits that have ``width`` and ``height`` as well."""

    text: Text
    tasks: tuple[str, ...]
    side: Integer
    default_side: int
    cfg_scale: float
    seed: int
    inputs: Limits
    variation_inputs: Limits
    conditioning: bool
    styles: bool
    returns_mask: bool
    sized: frozenset[str]


_SIZED = frozenset({"TEXT_IMAGE", "IMAGE_VARIATION", "COLOR_GUIDED_GENERATION"})
# 5 MB is what clients were seen to run into. The variation's side is 1408 on one page and 4096 on another.
_TITAN_INPUT = Limits(formats=("jpeg", "png"), side_max=1408, bytes_max=5_242_880)
_TITAN_2 = _Dialect(
    text=Text(max=512),
    tasks=tuple(task for task in _KEYS if task != "VIRTUAL_TRY_ON"),
    side=Integer(),
    default_side=1408,
    cfg_scale=8.0,
    seed=42,
    inputs=_TITAN_INPUT,
    variation_inputs=Limits(formats=("jpeg", "png"), side_max=4096, bytes_max=5_242_880),
    conditioning=True,
    styles=False,
    returns_mask=True,
    sized=_SIZED | {"INPAINTING", "OUTPAINTING"},
)
_TITAN_1 = _Dialect(
    text=_TITAN_2.text,
    tasks=("TEXT_IMAGE", "INPAINTING", "OUTPAINTING", "IMAGE_VARIATION"),
    side=_TITAN_2.side,
    default_side=_TITAN_2.default_side,
    cfg_scale=_TITAN_2.cfg_scale,
    seed=_TITAN_2.seed,
    inputs=_TITAN_INPUT,
    variation_inputs=_TITAN_2.variation_inputs,
    conditioning=False,
    styles=False,
    returns_mask=True,
    sized=_TITAN_2.sized,
)
# 2048 x 2048 is exactly 4,194,304: one page excludes it, others name it as usable. Accepted, in and out.
_CANVAS_INPUT = Limits(
    formats=("jpeg", "png"), side_min=320, side_max=4096, pixels_max=4_194_304, ratio=4.0, strict=True
)
_CANVAS = _Dialect(
    text=Text(min=1, max=1024),
    tasks=tuple(_KEYS),
    side=Integer(min=320, max=4096, multiple_of=16),
    default_side=1024,
    cfg_scale=6.5,
    seed=12,
    inputs=_CANVAS_INPUT,
    variation_inputs=_CANVAS_INPUT,
    conditioning=True,
    styles=True,
    returns_mask=False,
    sized=_SIZED,
)


def titan(model: Model, body: dict[str, Any]) -> Job:
    """The job of a Titan body; v1 knows fewer tasks. Raises BedrockError (400)."""
    job = _job(_TITAN_1 if "-v1" in model.id else _TITAN_2, model, body)
    # 1408 x 1408 is AWS's documented default although it is not in AWS's list: it passes only when both sides are left out.
    config = body.get(_CONFIG, {})
    given = (config.get("width", 1408), config.get("height", 1408))
    if ("width" in config or "height" in config) and given not in _TITAN_SIZES:
        raise malformed(f"#/{_CONFIG}: width {given[0]} and height {given[1]} are not a supported pair: {TITAN_SIDES}")
    return job


def nova_canvas(model: Model, body: dict[str, Any]) -> Job:
    """The job of a Nova Canvas body. Raises BedrockError (400)."""
    return _job(_CANVAS, model, body)


def _job(dialect: _Dialect, model: Model, body: dict[str, Any]) -> Job:
    require(Object(fields={"taskType": Text(enum=dialect.tasks)}, required=("taskType",), open=True), body)
    task: str = body["taskType"]
    key = _KEYS[task]
    fields: dict[str, Rule] = {"taskType": Text(), key: _params(dialect, task)}
    if task != "BACKGROUND_REMOVAL":
        fields[_CONFIG] = Object(fields=_config(dialect, task))
    require(Object(fields=fields, required=("taskType", key)), body)
    config = _defaults(dialect) | body.get(_CONFIG, {})
    width, height = config["width"], config["height"]
    if dialect is _CANVAS and task in dialect.sized:
        _check_canvas_size(width, height)
    params: dict[str, Any] = body[key]
    if "conditionImage" not in params and not params.keys().isdisjoint(("controlMode", "controlStrength")):
        raise malformed(f"#/{key}: required key [conditionImage] not found")
    inputs = dialect.variation_inputs if task == "IMAGE_VARIATION" else dialect.inputs
    edit, plain, words = picture_edit(task, params, key, inputs)
    if edit is not None:
        plain["taskType"] = task
        if task not in _SIZED:
            width, height = edit.pictures[0].size
    return Job(
        model_id=model.id,
        family=model.family,
        prompt=params.get("text", ""),
        width=width,
        height=height,
        count=config["numberOfImages"],
        seed=config["seed"],
        seed_max=AMAZON_SEED_MAX,
        parameters={**plain, "quality": config["quality"], "cfgScale": float(config["cfgScale"])},
        edit=edit,
        words=words,
    )


def _check_canvas_size(width: int, height: int) -> None:
    if max(width, height) > 4 * min(width, height):
        raise malformed(f"#/{_CONFIG}: the aspect ratio of {width}x{height} must be between 1:4 and 4:1")
    if width * height > 4_194_304:
        raise malformed(f"#/{_CONFIG}: {width}x{height} has more than 4194304 pixels")


def _defaults(dialect: _Dialect) -> dict[str, Any]:
    return {
        "quality": "standard",
        "numberOfImages": 1,
        "width": dialect.default_side,
        "height": dialect.default_side,
        "cfgScale": dialect.cfg_scale,
        "seed": dialect.seed,
    }


def _config(dialect: _Dialect, task: str) -> dict[str, Rule]:
    sides: dict[str, Rule] = {"width": dialect.side, "height": dialect.side} if task in dialect.sized else {}
    return {
        "quality": Text(enum=("standard", "premium")),
        "numberOfImages": Integer(min=1, max=5),
        **sides,
        "cfgScale": Number(min=1.1, max=10.0),
        "seed": Integer(min=0, max=AMAZON_SEED_MAX),
    }


def _params(dialect: _Dialect, task: str) -> Object:
    texts: dict[str, Rule] = {"text": dialect.text, "negativeText": dialect.text}
    masks: dict[str, Rule] = {"image": _PICTURE, "maskPrompt": Text(min=1), "maskImage": _PICTURE}
    if dialect.returns_mask:
        masks["returnMask"] = Boolean()
    match task:
        case "TEXT_IMAGE":
            return Object(fields=texts | _text_image(dialect), required=("text",))
        case "INPAINTING":
            return Object(fields={**texts, **masks}, required=("image",))
        case "OUTPAINTING":
            mode = Text(enum=("DEFAULT", "PRECISE"))
            return Object(fields={**texts, **masks, "outPaintingMode": mode}, required=("image", "text"))
        case "IMAGE_VARIATION":
            images = Array(items=_PICTURE, min=1, max=5)
            strength = Number(min=0.2, max=1.0)
            return Object(fields={**texts, "images": images, "similarityStrength": strength}, required=("images",))
        case "COLOR_GUIDED_GENERATION":
            colours = Array(items=_COLOUR, min=1, max=10)
            fields = {**texts, "colors": colours, "referenceImage": _PICTURE}
            return Object(fields=fields, required=("text", "colors"))
        case "BACKGROUND_REMOVAL":
            return Object(fields={"image": _PICTURE}, required=("image",))
        case _:
            return _TRY_ON


def _text_image(dialect: _Dialect) -> dict[str, Rule]:
    fields: dict[str, Rule] = {}
    if dialect.styles:
        fields["style"] = Text(enum=NOVA_STYLES)
    if dialect.conditioning:
        fields["conditionImage"] = _PICTURE
        fields["controlMode"] = Text(enum=("CANNY_EDGE", "SEGMENTATION"))
        fields["controlStrength"] = Number(min=0, max=1.0)
    return fields


_STYLING = Object(
    fields={
        "longSleeveStyle": Text(enum=("SLEEVE_DOWN", "SLEEVE_UP")),
        "tuckingStyle": Text(enum=("UNTUCKED", "TUCKED")),
        "outerLayerStyle": Text(enum=("CLOSED", "OPEN")),
    }
)
_TRY_ON = Object(
    fields={
        "sourceImage": _PICTURE,
        "referenceImage": _PICTURE,
        "maskType": Text(enum=("IMAGE", "GARMENT", "PROMPT")),
        "imageBasedMask": Object(fields={"maskImage": _PICTURE}, required=("maskImage",)),
        "garmentBasedMask": Object(
            fields={"maskShape": _MASK_SHAPE, "garmentClass": Text(enum=GARMENTS), "garmentStyling": _STYLING},
            required=("garmentClass",),
        ),
        "promptBasedMask": Object(
            fields={"maskShape": _MASK_SHAPE, "maskPrompt": Text(min=1)}, required=("maskPrompt",)
        ),
        "maskExclusions": Object(
            fields={"preserveBodyPose": _SWITCH, "preserveHands": _SWITCH, "preserveFace": _SWITCH}
        ),
        "mergeStyle": Text(enum=("BALANCED", "SEAMLESS", "DETAILED")),
        "returnMask": Boolean(),
    },
    required=("sourceImage", "referenceImage", "maskType"),
)
