"""Bodies of SDXL: what is asked for is told by the presence of ``init_image`` and ``mask_source``."""

from __future__ import annotations

from typing import Any

from ..editing.inputs import Limits, Source, read
from ..editing.masks import alpha_mask, sized_mask
from ..errors import malformed
from ..job import Edit, Job
from ..models import Model
from ..schema import Array, Integer, Number, Object, Rule, Text
from .ranges import SDXL_SIDES, STABILITY_SEED_MAX, STYLE_PRESETS, pairs, require

__all__ = ["sdxl"]

_SIZES = pairs(SDXL_SIDES)
_SIDE = Integer(min=64, multiple_of=64)
# PNG and these areas are what clients were seen to be held to.
_INPUT = Limits(formats=("png",), pixels_min=262_144, pixels_max=1_048_576)
_SHARED: dict[str, Rule] = {
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
    "seed": Integer(min=0, max=STABILITY_SEED_MAX),
    # The step maximum is 50 on one page and 150 in older copies.
    "steps": Integer(min=10, max=150),
    "style_preset": Text(enum=STYLE_PRESETS),
    "extras": Object(open=True),
    "cfg_scale": Number(min=0, max=35),
}
_TEXT: dict[str, Rule] = {**_SHARED, "width": _SIDE, "height": _SIDE}
_IMAGE: dict[str, Rule] = {
    **_SHARED,
    "init_image": Text(min=1),
    "init_image_mode": Text(enum=("IMAGE_STRENGTH", "STEP_SCHEDULE")),
    "image_strength": Number(min=0, max=1),
    # Of Stability's own interface, which STEP_SCHEDULE comes from.
    "step_schedule_start": Number(min=0, max=1),
    "step_schedule_end": Number(min=0, max=1),
}
_MASKED: dict[str, Rule] = {
    **_SHARED,
    "init_image": Text(min=1),
    "mask_source": Text(enum=("MASK_IMAGE_WHITE", "MASK_IMAGE_BLACK", "INIT_IMAGE_ALPHA")),
    "mask_image": Text(min=1),
}


def sdxl(model: Model, body: dict[str, Any]) -> Job:
    """The job of an SDXL body. Raises BedrockError (400)."""
    preview = model.id.endswith("-v0")
    edit: Edit | None = None
    digests: dict[str, str] = {}
    words = ""
    if "init_image" in body or "mask_source" in body or "mask_image" in body:
        edit, digests, words = _edit(body, preview)
        width, height = edit.pictures[0].size
    else:
        require(Object(fields=_ranged(_TEXT, preview), required=("text_prompts",)), body)
        width, height = _size(body, preview)
    positive = [entry["text"] for entry in body["text_prompts"] if entry.get("weight", 1) >= 0]
    defaults = {
        "cfg_scale": 10 if preview else 7,
        "steps": 30,
        "style_preset": None,
        "sampler": None,
        "clip_guidance_preset": "NONE",
    }
    asked = {name: value for name, value in body.items() if name not in ("seed", "samples", "width", "height")}
    merged = {**defaults, **asked, **digests}
    return Job(
        model_id=model.id,
        family=model.family,
        prompt=" ".join(positive),
        width=width,
        height=height,
        seed=body.get("seed") or None,
        seed_max=STABILITY_SEED_MAX,
        parameters={**merged, "cfg_scale": float(merged["cfg_scale"])},
        edit=edit,
        words=words,
    )


def _ranged(fields: dict[str, Rule], preview: bool) -> dict[str, Rule]:
    return {**fields, "cfg_scale": Number(min=0, max=30)} if preview else fields


def _size(body: dict[str, Any], preview: bool) -> tuple[int, int]:
    side = 512 if preview else 1024
    width, height = body.get("width", side), body.get("height", side)
    if preview:
        # No list of sizes of 0.8 is left. Any multiple of 64 up to the area of the later list passes.
        if width * height > 1024 * 1024:
            raise malformed(f"#: {width}x{height} has more than 1048576 pixels")
    elif (width, height) not in _SIZES:
        raise malformed(f"#: width {width} and height {height} are not a supported pair: {SDXL_SIDES}")
    return width, height


def _edit(body: dict[str, Any], preview: bool) -> tuple[Edit, dict[str, str], str]:
    """The edit, the digests of its pictures by field, and the text in their metadata."""
    masked = "mask_source" in body or "mask_image" in body
    required = ["text_prompts", "init_image"]
    if masked:
        required.append("mask_source")
        if body.get("mask_source") != "INIT_IMAGE_ALPHA":
            required.append("mask_image")
    require(Object(fields=_ranged(_MASKED if masked else _IMAGE, preview), required=required), body)
    source = read(body["init_image"], "#/init_image", _INPUT)
    digests = {"init_image": source.digest}
    if not masked:
        return _reworked(body, source), digests, source.note
    kind, notes = body["mask_source"], [source.note]
    if kind == "INIT_IMAGE_ALPHA":
        mask = alpha_mask(source.image, "#/init_image")
        digests |= {"mask_image": "unused"} if "mask_image" in body else {}
    else:
        given = read(body["mask_image"], "#/mask_image", _INPUT)
        notes.append(given.note)
        digests["mask_image"] = given.digest
        colour = "white" if kind == "MASK_IMAGE_WHITE" else "black"
        mask = sized_mask(given, source.image.size, "#/mask_image", edit=colour)
    return Edit(task="inpaint", pictures=(source.image,), mask=mask), digests, "\n".join(notes)


def _reworked(body: dict[str, Any], source: Source) -> Edit:
    """Image to image. A strength near 1 keeps the source; so does a schedule that starts late."""
    if body.get("init_image_mode") == "STEP_SCHEDULE":
        kept = float(body.get("step_schedule_start", 0.65))
    else:
        kept = float(body.get("image_strength", 0.35))
    return Edit(task="image_to_image", pictures=(source.image,), options={"amount": 1 - kept})
