"""Every parameter name that is known: what it becomes, or why it is ignored or refused."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from .errors import InvalidRequest
from .param_native import NATIVE_NAMES
from .param_options import OPTION_FIELDS, OPTION_NAMES, inverse
from .param_pictures import PICTURE_NAMES, mask_mode
from .param_values import (
    MAX_SIDE,
    MIN_SIDE,
    Reader,
    aspect_ratio,
    choice,
    integer,
    named,
    number,
    pattern,
    refuse,
    shown,
    size,
    task,
    text,
)

__all__ = [
    "EVERY",
    "FIELDS",
    "IGNORED",
    "MAX_IMAGES",
    "MAX_PROMPT",
    "MAX_SEED",
    "NAMES",
    "SPECIAL",
    "Ignored",
    "reader",
    "unknown",
]

MAX_IMAGES = 10
"""Pictures per request, as in OpenAI's images API. More is another request, and another decision to pay."""
MAX_PROMPT = 32_000
"""Characters, as in OpenAI's images API. Models take 512 to 10,000; their families say so."""
MAX_SEED = 4_294_967_295
"""The largest seed of any model (Stability; WIRE.md, section 3)."""

_QUALITY = {
    **dict.fromkeys(("standard", "low", "medium"), "standard"),
    **dict.fromkeys(("premium", "hd", "high", "xhigh", "max"), "premium"),
    "auto": None,
}
_FORMATS = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
_BACKGROUNDS = {"transparent": "transparent", "opaque": "opaque", "auto": None}

# Patterns of the guardrail headers: service model bedrock-runtime 2023-09-30, operation InvokeModel.
_GUARDRAIL = r"[a-z0-9]+|arn:aws(-[^:\s]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+"

EVERY: Mapping[str, tuple[Any, Any]] = {"seed": (0, 2_147_483_646), "cfg_scale": (1.1, 10), "steps": (10, 150)}
"""The range that every model takes that has the field at all (models.yaml). Each model checks its own."""

_GENERAL: Mapping[str, Reader] = {
    "n": integer(1, MAX_IMAGES),
    "size": size,
    "width": integer(MIN_SIDE, MAX_SIDE),
    "height": integer(MIN_SIDE, MAX_SIDE),
    "aspect_ratio": aspect_ratio,
    "seed": integer(0, MAX_SEED, EVERY["seed"]),
    "quality": choice(_QUALITY),
    "style": text(100),
    "negative_prompt": text(MAX_PROMPT),
    "cfg_scale": number(0, 35, EVERY["cfg_scale"]),
    "steps": integer(1, 150, EVERY["steps"]),
    "sampler": text(100),
    "clip_guidance_preset": text(100),
    "output_format": choice(_FORMATS, ("png", "jpeg", "webp")),
    "output_compression": integer(0, 100),
    "background": choice(_BACKGROUNDS),
    "guardrail_id": pattern(_GUARDRAIL, "a guardrail's id or ARN"),
    "guardrail_version": pattern("[1-9][0-9]{0,7}|DRAFT", "a version number or DRAFT"),
    "task": task,
}

FIELDS: Mapping[str, Reader] = {**_GENERAL, "mask_mode": mask_mode, **OPTION_FIELDS}
"""What the request holds beside pictures; ``width`` and ``height`` become ``size``.

cfg_scale and steps have the widest range of any model: SDXL's (models.yaml).
"""

NAMES: Mapping[str, str] = {
    **{name: name for name in FIELDS},
    **dict.fromkeys(("numberOfImages", "number_of_images", "num_images", "samples"), "n"),
    **dict.fromkeys(("negativeText", "negative_text", "negativePrompt"), "negative_prompt"),
    **dict.fromkeys(("guardrailIdentifier", "guardrail_identifier"), "guardrail_id"),
    **dict.fromkeys(("taskType", "task_type", "mode"), "task"),
    "cfgScale": "cfg_scale",
    "style_preset": "style",
    "guardrailVersion": "guardrail_version",
    **dict.fromkeys(("mask_source", "maskMode"), "mask_mode"),
    **OPTION_NAMES,
}
"""Name as clients write it -> key of `FIELDS`."""


def reader(name: str) -> Reader:
    """What reads the value of a name of `NAMES`."""
    return inverse if name in ("image_strength", "imageStrength") else FIELDS[NAMES[name]]


def _anything(name: str, value: Any) -> bool:
    return True


def _label(name: str, value: Any) -> str:
    """Clients' metadata: nobody reads it, so its only limit is one that no honest label reaches."""
    if isinstance(value, str) and len(value) <= 1000:
        return value.strip()
    raise refuse(name, value, "a text of at most 1000 characters")


def _settings(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise refuse(name, value, "an object of settings")


class Ignored(NamedTuple):
    """A parameter that is legal elsewhere and has no effect here. ``silent`` is the value that asks for nothing."""

    read: Reader
    silent: Any
    reason: str


IGNORED: Mapping[str, Ignored] = {
    "user": Ignored(_label, "", "it is not sent to the provider"),
    "safety_identifier": Ignored(_label, "", "it is not sent to the provider"),
    "moderation": Ignored(choice({"auto": "auto", "low": "low"}), "auto", "the provider's filters can not be loosened"),
    "response_format": Ignored(
        choice({"b64_json": "b64_json", "url": "url"}), "b64_json", "pictures are returned as base64, there is no url"
    ),
    "partial_images": Ignored(integer(0, 3), 0, "pictures arrive whole"),
    "markup": Ignored(_anything, None, "no model reads marks on a picture; a mask says where to edit"),
    "complexity": Ignored(_anything, None, "no model has it"),
    "svg": Ignored(_settings, {}, "no model draws SVG"),
    "frame_count": Ignored(integer(1, 16), 1, "one still picture is made"),
    "frame_duration_ms": Ignored(integer(0, 10**6), None, "one still picture is made"),
}

SPECIAL = ("stream", "native", "strict", "extra_body", "extra_headers", "input_fidelity")
"""Parameters about the request itself."""

_SETTINGS = """
    api_key api_base region region_name credentials endpoint_url model_id model_info priority weight rpm tpm order
    allowed_fails cooldown_time num_retries max_retries fallbacks
"""
_SETTING_NAMES = frozenset(_SETTINGS.split())


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


_OURS_LAST = (*[*NAMES][::-1], *[*PICTURE_NAMES][::-1])
# Our own spelling of a name comes last here and so wins over others that differ in case or underscores alone.
_BY_PLAIN_NAME = {_plain(name): name for name in (*SPECIAL, *IGNORED, *NATIVE_NAMES, *_OURS_LAST)}


def unknown(name: str) -> InvalidRequest:
    """The error for a name that is none of a picture's parameters: what it may have meant, or where it belongs."""
    short, words = named(name), shown(name)
    if name in _SETTING_NAMES or name.startswith("aws_"):
        message = f"{words} is not a parameter of a picture; it belongs in the configuration"
        return InvalidRequest(message, parameter=short, allowed="parameters of a picture")
    allowed = f"{', '.join(_GENERAL)}, image, references, mask, mask_mode and the options of each task"
    close = get_close_matches(_plain(short), _BY_PLAIN_NAME, n=1, cutoff=0.7)
    nearest = _BY_PLAIN_NAME[close[0]] if close else name
    if nearest != name:  # some are known to the library, and have no place in a request to a gateway
        message = f"unknown parameter {words}; did you mean '{nearest}'?"
        return InvalidRequest(message, parameter=short, allowed=allowed, nearest=nearest)
    return InvalidRequest(f"unknown parameter {words}; known are {allowed}", parameter=short, allowed=allowed)
