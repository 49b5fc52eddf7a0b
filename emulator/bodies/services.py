"""Bodies of the thirteen Stability image services: one task per model, told by the model alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ..editing.inputs import Limits, Source, read
from ..editing.masks import alpha_mask, grown, scaled_mask
from ..editing.regions import region
from ..editing.upscale import PIXELS_OF_4K, enlarged
from ..errors import rejected
from ..job import Edit, Job
from ..models import Model
from ..schema import Integer, Number, Rule, Text
from .ranges import ASPECT_RATIOS, STABILITY_SEED_MAX, STYLE_PRESETS
from .stability import require_known

__all__ = ["service"]

_SEED_MAX = STABILITY_SEED_MAX - 1
_PROMPT, _PICTURE, _UNIT = Text(max=10000), Text(min=1), Number(min=0, max=1)
_INPUT = Limits(side_min=64, pixels_max=9_437_184, ratio=2.5)
_MASK = Limits(pixels_max=9_437_184)
_PICTURES = ("image", "mask", "init_image", "style_image")
_TEXTS = ("prompt", "search_prompt", "select_prompt")

Body = dict[str, Any]
Sources = Mapping[str, Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One service: what it must and may be told beside ``output_format``, what pictures it takes, and its edit."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    draw: Callable[[Body, Sources], tuple[Edit, tuple[int, int]]]
    limits: Limits = _INPUT
    rules: Mapping[str, Rule] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


_FIELDS: Mapping[str, Rule] = {
    "prompt": _PROMPT,
    "negative_prompt": _PROMPT,
    "search_prompt": _PROMPT,
    "select_prompt": _PROMPT,
    "image": _PICTURE,
    "mask": _PICTURE,
    "init_image": _PICTURE,
    "style_image": _PICTURE,
    "grow_mask": Integer(min=0, max=20),
    "seed": Integer(min=0, max=_SEED_MAX),
    "output_format": Text(enum=("jpeg", "png", "webp")),
    "style_preset": Text(enum=STYLE_PRESETS),
    "aspect_ratio": Text(enum=tuple(ASPECT_RATIOS)),
    "control_strength": _UNIT,
    "fidelity": _UNIT,
    "composition_fidelity": _UNIT,
    "style_strength": _UNIT,
    "change_strength": Number(min=0.1, max=1),
    "creativity": Number(min=0.1, max=0.5),
    **dict.fromkeys(("left", "right", "up", "down"), Integer(min=0, max=2000)),
}


def service(model: Model, body: Body) -> Job:
    """The job of a service's body. Raises BedrockError (400)."""
    name = model.id.removeprefix("stability.").removesuffix("-v1:0")
    asked = _SERVICES[name]
    names = (*asked.required, *asked.optional, "output_format")
    require_known({each: asked.rules.get(each, _FIELDS[each]) for each in names}, asked.required, body)
    whole = {**asked.defaults, **body}
    sources = {
        each: read(body[each], f"#/{each}", _MASK if each == "mask" else asked.limits)
        for each in _PICTURES
        if each in body
    }
    edit, size = asked.draw(whole, sources)
    plain = {key: value for key, value in whole.items() if key not in ("seed", "output_format")}
    parameters = plain | {each: source.digest for each, source in sources.items()}
    seed = body.get("seed") or None
    if "seed" not in names:
        seed = _fixed(parameters)
    return Job(
        model_id=model.id,
        family=model.family,
        prompt=body.get("prompt", ""),
        width=size[0],
        height=size[1],
        seed=seed,
        seed_max=_SEED_MAX,
        format=body.get("output_format", "png"),
        parameters=parameters,
        edit=edit,
        words="\n".join([*(body[each] for each in _TEXTS if each in body), *(s.note for s in sources.values())]),
    )


def _fixed(parameters: Mapping[str, Any]) -> int:
    """The seed of services that take none: the same for the same input."""
    digest = hashlib.sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).digest()
    return 1 + int.from_bytes(digest[:4], "big") % _SEED_MAX


def _masked(task: str) -> Callable[[Body, Sources], tuple[Edit, tuple[int, int]]]:
    """Inpaint and erase: an explicit mask wins over the alpha channel."""

    def draw(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
        picture = sources["image"].image
        given = sources.get("mask")
        mask = alpha_mask(picture, "#/image") if given is None else scaled_mask(given, picture.size)
        mask = grown(mask, body["grow_mask"])
        return Edit(task=task, pictures=(picture,), mask=mask), picture.size

    return draw


def _searched(task: str, prompt: str) -> Callable[[Body, Sources], tuple[Edit, tuple[int, int]]]:
    """Search and replace, search and recolor."""

    def draw(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
        picture = sources["image"].image
        mask = grown(region(body[prompt], picture), body["grow_mask"])
        return Edit(task=task, pictures=(picture,), mask=mask), picture.size

    return draw


def _outpaint(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
    picture = sources["image"].image
    left, right, up, down = (body[side] for side in ("left", "right", "up", "down"))
    if not left + right + up + down:
        raise rejected("At least one of left, right, up and down must be greater than 0.")
    options = {"corner": (left, up), "creativity": float(body["creativity"])}
    size = (picture.width + left + right, picture.height + up + down)
    return Edit(task="outpaint", pictures=(picture,), options=options), size


def _remove_background(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
    picture = sources["image"].image
    return Edit(task="remove_background", pictures=(picture,)), picture.size


def _control(mode: str) -> Callable[[Body, Sources], tuple[Edit, tuple[int, int]]]:
    def draw(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
        picture = sources["image"].image
        options = {"mode": mode, "amount": float(body["control_strength"])}
        return Edit(task="control", pictures=(picture,), options=options), picture.size

    return draw


def _style_guide(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
    options = {"amount": float(body["fidelity"])}
    edit = Edit(task="style_guide", pictures=(sources["image"].image,), options=options)
    return edit, ASPECT_RATIOS[body["aspect_ratio"]]


def _style_transfer(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
    picture = sources["init_image"].image
    options = {
        "amount": float(body["style_strength"] * body["change_strength"]),
        "fidelity": float(body["composition_fidelity"]),
    }
    return Edit(task="style_transfer", pictures=(picture, sources["style_image"].image), options=options), picture.size


def _upscale(pixels: int | None) -> Callable[[Body, Sources], tuple[Edit, tuple[int, int]]]:
    """To about this many pixels; None: four times each side."""

    def draw(body: Body, sources: Sources) -> tuple[Edit, tuple[int, int]]:
        picture = sources["image"].image
        size = (picture.width * 4, picture.height * 4) if pixels is None else enlarged(picture.size, pixels)
        options = {"amount": float(body.get("creativity", 0))}
        return Edit(task="upscale", pictures=(picture,), options=options), size

    return draw


_STYLED = ("negative_prompt", "seed", "style_preset")
_INPAINT = _Service(
    required=("prompt", "image"),
    optional=("mask", "grow_mask", *_STYLED),
    draw=_masked("inpaint"),
    defaults={"grow_mask": 5},
)
_STRUCTURE = _Service(
    required=("prompt", "image"),
    optional=("control_strength", *_STYLED),
    draw=_control("structure"),
    defaults={"control_strength": 0.7},
)
_SERVICES: Mapping[str, _Service] = {
    "stable-image-inpaint": _INPAINT,
    "stable-outpaint": _Service(
        required=("image",),
        optional=("prompt", "left", "right", "up", "down", "creativity", "seed", "style_preset"),
        draw=_outpaint,
        rules={"creativity": Number(min=0.1, max=1)},
        defaults={"left": 0, "right": 0, "up": 0, "down": 0, "creativity": 0.5},
    ),
    "stable-image-erase-object": _Service(
        required=("image",), optional=("mask", "grow_mask", "seed"), draw=_masked("erase"), defaults={"grow_mask": 5}
    ),
    "stable-image-remove-background": _Service(required=("image",), draw=_remove_background),
    "stable-image-search-replace": replace(
        _INPAINT,
        required=("prompt", "image", "search_prompt"),
        optional=("grow_mask", *_STYLED),
        draw=_searched("inpaint", "search_prompt"),
    ),
    "stable-image-search-recolor": replace(
        _INPAINT,
        required=("prompt", "image", "select_prompt"),
        optional=("grow_mask", *_STYLED),
        draw=_searched("recolor", "select_prompt"),
    ),
    "stable-image-control-sketch": replace(_STRUCTURE, draw=_control("sketch")),
    "stable-image-control-structure": _STRUCTURE,
    "stable-image-style-guide": _Service(
        required=("prompt", "image"),
        optional=("aspect_ratio", "fidelity", *_STYLED),
        draw=_style_guide,
        defaults={"aspect_ratio": "1:1", "fidelity": 0.5},
    ),
    "stable-style-transfer": _Service(
        required=("init_image", "style_image"),
        optional=(
            "prompt",
            "negative_prompt",
            "composition_fidelity",
            "style_strength",
            "change_strength",
            "seed",
        ),
        draw=_style_transfer,
        defaults={"composition_fidelity": 0.9, "style_strength": 1, "change_strength": 0.9},
    ),
    "stable-creative-upscale": _Service(
        required=("prompt", "image"),
        optional=("creativity", *_STYLED),
        draw=_upscale(PIXELS_OF_4K),
        limits=Limits(side_min=64, pixels_min=4096, pixels_max=1_048_576),
        defaults={"creativity": 0.3},
    ),
    "stable-conservative-upscale": _Service(
        required=("prompt", "image"),
        optional=("creativity", "negative_prompt", "seed"),
        draw=_upscale(PIXELS_OF_4K),
        defaults={"creativity": 0.35},
    ),
    # output_format is listed as required, but has a default, and the samples leave it out.
    "stable-fast-upscale": _Service(
        required=("image",),
        draw=_upscale(None),
        limits=Limits(side_min=32, side_max=1536, pixels_min=1024, pixels_max=1_048_576),
    ),
}
