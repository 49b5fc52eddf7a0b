"""Bodies of SD3, SD3.5, Stable Image Core and Ultra."""

from __future__ import annotations

from typing import Any

import orjson

from ..editing.inputs import Limits, read
from ..errors import malformed, rejected
from ..job import Edit, Job
from ..models import Model
from ..schema import Integer, Number, Object, Rule, Text
from .ranges import ASPECT_RATIOS, STABILITY_SEED_MAX, require

__all__ = ["require_known", "stability"]

# AWS names no largest area for SD3.5 and Ultra; this is the image services'.
_SD3_INPUT = Limits(side_min=640, side_max=1536)
_SD35_INPUT = Limits(side_min=64, pixels_max=9_437_184)
_ULTRA_INPUT = Limits(side_min=64, pixels_max=9_437_184)


def stability(model: Model, body: dict[str, Any]) -> Job:
    """The job of a generator's body. Raises BedrockError (400)."""
    core, sd35 = "image-core" in model.id, "sd3-5" in model.id
    seed_max = STABILITY_SEED_MAX - 1 if sd35 else STABILITY_SEED_MAX
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
    require_known(fields, ("prompt",), body)
    width, height = ASPECT_RATIOS[body.get("aspect_ratio", "1:1")]
    parameters: dict[str, Any] = {"prompt": body["prompt"], "negative_prompt": body.get("negative_prompt")}
    edit, words = None, ""
    # One of AWS's samples leaves the mode out although text to image is its default.
    if body.get("mode", "image-to-image" if "image" in body else "text-to-image") == "image-to-image":
        edit, digest, words = _edit(model, body)
        width, height = edit.pictures[0].size
        parameters |= {"mode": "image-to-image", "image": digest, "strength": edit.options["amount"]}
    return Job(
        model_id=model.id,
        family=model.family,
        prompt=body["prompt"],
        width=width,
        height=height,
        seed=body.get("seed") or None,
        seed_max=seed_max,
        format=body.get("output_format", "png"),
        parameters=parameters,
        edit=edit,
        words=words,
    )


def require_known(fields: dict[str, Rule], required: tuple[str, ...], body: dict[str, Any]) -> None:
    """Check a Stability body; an unknown field is answered with the list of those that are known."""
    require(Object(fields=fields, required=required, open=True), body)
    if not fields.keys() >= body.keys():
        raise rejected(orjson.dumps({"detail": f"Invalid field in request. Available fields: {list(fields)}"}).decode())


def _edit(model: Model, body: dict[str, Any]) -> tuple[Edit, str, str]:
    """The edit, the digest of its picture and the text in that picture's metadata."""
    ultra = "image-ultra" in model.id
    for name in ("image",) if ultra else ("image", "strength"):
        if name not in body:
            raise malformed(f"#: required key [{name}] not found")
    limits = _ULTRA_INPUT if ultra else _SD35_INPUT if "sd3-5" in model.id else _SD3_INPUT
    source = read(body["image"], "#/image", limits)
    options = {"amount": float(body.get("strength", 0.35))}
    return Edit(task="image_to_image", pictures=(source.image,), options=options), source.digest, source.note
