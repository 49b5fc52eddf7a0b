"""The fields of a request as JSON Schema, out of the tables by which requests are read. Pure.

What a reader takes it says itself, in the error for a value that nobody could mean: so this can not tell anything else than
errors do. Spellings of one field, and names that are taken and have no effect, are told by name and not described twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..providers.errors import InvalidRequest
from ..providers.param_names import FIELDS, IGNORED, MAX_PROMPT, NAMES
from ..providers.param_native import CONTAINERS, MISSPELT, NATIVE_NAMES
from ..providers.param_pictures import MAX_PICTURES, PICTURE_NAMES
from ..providers.param_values import MAX_SIDE, MIN_SIDE
from ..providers.types import Task

__all__ = ["Schema", "edit_fields", "fields", "form_fields", "other_names"]

Schema = dict[str, Any]

_WORD = re.compile(r"one of (?P<words>.+)|(?P<two>[a-z_0-9]+ or [a-z_0-9]+)")
_WHOLE = re.compile(r"a whole number from (?P<low>\d+) to (?P<high>\d+)(?P<more> \(.*\))?")
_NUMBER = re.compile(r"a number from (?P<low>[\d.]+) to (?P<high>[\d.]+)(?P<more> \(.*\))?")
_TEXT = re.compile(r"a text of (?:1 to |at most )(?P<most>\d+) characters")
_FORMS: Mapping[str, Schema] = {
    f"WIDTHxHEIGHT with sides from {MIN_SIDE} to {MAX_SIDE} pixels, or auto": {
        "type": ["string", "null"],
        "pattern": "^([1-9][0-9]{1,3}x[1-9][0-9]{1,3}|auto)$",
    },
    "true or false": {"type": ["boolean", "null"]},
    "WIDTH:HEIGHT such as 16:9, or auto": {
        "type": ["string", "null"],
        "pattern": "^([1-9][0-9]{0,3}:[1-9][0-9]{0,3}|auto)$",
    },
    "a guardrail's id or ARN": {"type": ["string", "null"], "pattern": "^[a-z0-9]{1,200}$"},
    "a version number or DRAFT": {"type": ["string", "null"], "pattern": "^([1-9][0-9]{0,7}|DRAFT)$"},
    "an object of settings": {"type": ["object", "null"]},
    "1 to 10 colours as #RRGGBB": {
        "type": ["array", "null"],
        "items": {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"},
        "minItems": 1,
        "maxItems": 10,
    },
}
"""Allowed, in the words of an error -> the schema of that."""

_ABOUT: Mapping[str, str] = {
    "n": "How many pictures.",
    "size": "Width and height in pixels. A model that has not this size is asked for the nearest, with a warning.",
    "width": "Pixels, together with height: instead of size.",
    "height": "Pixels, together with width: instead of size.",
    "seed": "What makes a picture come again. The same request with a seed is paid for once while it is in the cache.",
    "quality": "Amazon's models have standard and premium; OpenAI's words are translated.",
    "style": "A style that the model knows by name.",
    "negative_prompt": "What is not wanted in the picture.",
    "cfg_scale": "How closely the model keeps to the prompt.",
    "output_format": "What the pictures are stored as.",
    "task": "What is to be done. Told from the pictures that come along where it is not given.",
    "mask_mode": "Which part of the mask is changed: the transparent, the white or the black one.",
    "strength": "How far the picture may go from the one that was given.",
    "colors": "The colours of a colour-guided picture.",
}


def _spoken(read: Callable[[str, Any], Any], name: str) -> Schema:
    """What a reader takes, as a schema. Raises LookupError for a sentence that has no schema yet."""
    try:
        read(name, object())
    except InvalidRequest as error:
        allowed = error.allowed or ""
    else:
        return {"description": "Anything."}
    return {"description": f"{allowed[:1].upper()}{allowed[1:]}.", **_schema(allowed)}


def _schema(allowed: str) -> Schema:
    if allowed in _FORMS:
        return dict(_FORMS[allowed])
    if found := _WHOLE.fullmatch(allowed):
        return {"type": ["integer", "null"], "minimum": int(found["low"]), "maximum": int(found["high"])}
    if found := _NUMBER.fullmatch(allowed):
        return {"type": ["number", "null"], "minimum": float(found["low"]), "maximum": float(found["high"])}
    if found := _TEXT.fullmatch(allowed):
        least = {} if "at most" in allowed else {"minLength": 1}
        return {"type": ["string", "null"], "maxLength": int(found["most"]), **least}
    if found := _WORD.fullmatch(allowed):
        words = found["words"].split(", ") if found["words"] else found["two"].split(" or ")
        return {"type": ["string", "null"], "enum": [*words, None]}
    raise LookupError(f"no schema for: {allowed}")


def _described(name: str, schema: Schema) -> Schema:
    about = _ABOUT.get(name)
    return schema if about is None else {**schema, "description": f"{about} {schema['description']}"}


_WIRE: Mapping[str, Schema] = {
    "model": {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": 2048,
        "description": "An alias, a deployment, or a model that a pattern lets through. Default: the first that can do it.",
    },
    "prompt": {
        "type": ["string", "null"],
        "maxLength": MAX_PROMPT,
        "description": "What the picture shows. Models take 512 to 10,000 characters of it.",
    },
    "response_format": {
        "type": ["string", "null"],
        "enum": ["b64_json", "url", None],
        "description": "Pictures in the answer, which is the default, or as links that end after server.link_ttl.",
    },
    "stream": {"type": ["boolean", "null"], "description": "Server-sent events instead of one JSON document."},
    "partial_images": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 3,
        "description": "Taken, with a warning if it is above 0: pictures arrive whole.",
    },
    "lascaux": {
        "type": ["object", "null"],
        "description": "Any parameter that is none of OpenAI's, in an object of its own.",
    },
}

_WAY: Mapping[str, Schema] = {
    "strict": {"type": ["boolean", "null"], "description": "Refuse what would be adapted or ignored."},
    "cache": {"type": ["boolean", "null"], "description": "False: make it anew, and do not keep it."},
    "deadline": {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": 31622400},
            {"type": "string", "pattern": r"^[1-9][0-9]{0,3}(\.[0-9]{1,3})?(ms|s|m|h)?$"},
            {"type": "null"},
        ],
        "description": "Seconds for the whole request, or a duration such as 90s. At most that of the configuration.",
    },
    "routing_key": {
        "type": ["string", "null"],
        "maxLength": 256,
        "description": "Requests with the same key go to the same deployment, where the strategy is sticky.",
    },
    "input_fidelity": {
        "type": ["string", "null"],
        "enum": ["high", "low", None],
        "description": "How close to stay to the pictures.",
    },
    "native": {
        "type": ["object", "null"],
        "description": "Fields of the model's own body, which go to it as they are.",
    },
    "extra_body": {"type": ["object", "null"], "description": "The same as the parameters in it beside the others."},
}
_WAY = {
    **_WAY,
    "attempt_timeout": {**_WAY["deadline"], "description": "The same for one call to one deployment."},
    "max_wait": {**_WAY["deadline"], "description": "The longest time in line for a deployment at its limit."},
}

_BASE64 = {"type": "string", "minLength": 1}
_IN_JSON: Schema = {
    "description": "A picture as base64 or a data URL, or several. Paths and addresses are not read.",
    "anyOf": [_BASE64, {"type": "array", "items": _BASE64, "minItems": 1, "maxItems": MAX_PICTURES}, {"type": "null"}],
}
_IMAGES: Schema = {
    "description": "Pictures as OpenAI's JSON has them.",
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": MAX_PICTURES,
    "items": {
        "anyOf": [
            _BASE64,
            {
                "type": "object",
                "properties": {"image_url": {"type": "string", "pattern": "^data:", "description": "A data URL."}},
                "required": ["image_url"],
                "additionalProperties": False,
            },
        ]
    },
}
_MASK: Schema = {
    "description": "Which part is to be changed, as a picture of the same size: base64, or OpenAI's {image_url}.",
    "anyOf": [_BASE64, _IMAGES["items"]["anyOf"][1], {"type": "null"}],
}
_FILE: Schema = {"type": "string", "format": "binary", "description": "A picture: PNG, JPEG or WebP."}


_SDXL: Mapping[str, Schema] = {
    "init_image_mode": {"enum": ["IMAGE_STRENGTH", "STEP_SCHEDULE", None], "type": ["string", "null"]},
    "text_prompts": {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "weight": {"type": "number"}},
            "required": ["text"],
        },
    },
}
"""What is no object among the models' own fields."""


def fields() -> dict[str, Schema]:
    """Every field of a request for pictures from words, by OpenAI's name or ours."""
    return {
        **_WIRE,
        **{name: _described(name, _spoken(read, name)) for name, read in FIELDS.items()},
        **{name: _ignored(name) for name in IGNORED if name not in _WIRE},
        **_WAY,
        **{name: _native(name) for name in NATIVE_NAMES if name not in MISSPELT},
    }


def edit_fields() -> dict[str, Schema]:
    """The same with pictures, in JSON."""
    return {**fields(), "image": _IN_JSON, "images": _IMAGES, "mask": _MASK, "references": _IN_JSON}


def form_fields() -> dict[str, Schema]:
    """The same as a form: files, and objects as ``a[b]``."""
    pictures = {"type": "array", "items": _FILE, "maxItems": MAX_PICTURES}
    files = {
        "image": _FILE,
        "image[]": {**pictures, "description": "Several pictures: the first is worked on, the others are references."},
        "mask": {**_FILE, "description": "Which part is to be changed."},
        "references": {**pictures, "description": "Pictures to go by."},
    }
    plain = {name: schema for name, schema in fields().items() if "object" not in _types(schema)}
    return {**files, **{name: _single(schema) for name, schema in plain.items() if "array" not in _types(schema)}}


def other_names() -> dict[str, str]:
    """Further spellings -> the field that they stand for."""
    spelt = {name: meant for name, meant in {**NAMES, **PICTURE_NAMES}.items() if name != meant and name != "images"}
    return {**spelt, **MISSPELT}


def _types(schema: Schema) -> list[str]:
    return [one for option in schema.get("anyOf", [schema]) for one in _listed(option.get("type", "object"))]


def _listed(one: Any) -> list[str]:
    return one if isinstance(one, list) else [one]


def _single(schema: Schema) -> Schema:
    """Without null, for which a form has no word."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [one for one in schema["anyOf"] if one.get("type") != "null"]}
    plain = {**schema, "type": next(one for one in _types(schema) if one != "null")}
    if "enum" in schema:
        plain["enum"] = [one for one in schema["enum"] if one is not None]
    return plain


def _ignored(name: str) -> Schema:
    schema = _spoken(IGNORED[name].read, name)
    return {**schema, "description": f"{schema['description']} Has no effect: {IGNORED[name].reason}."}


def _native(name: str) -> Schema:
    task: Task | None = CONTAINERS.get(name)
    whose = "Amazon's" if name in CONTAINERS else "SDXL's"
    what = f" for the task {task}" if task else ""
    about = f"{whose} field of this name{what}; every other model is asked in its own words."
    return {**_SDXL.get(name, {"type": ["object", "null"]}), "description": about}
