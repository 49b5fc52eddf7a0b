"""From a body of Bedrock's InvokeModel to a request of ours: in whose words it is, and what it asks for. Pure.

Three dialects cover all models: Amazon's objects (Titan, Nova Canvas), SDXL's list of prompts, and the flat bodies of
Stability's newer models and services (WIRE.md, sections 4 to 8). The dialect is the body's own, whatever model was named,
since an alias may lead to models of several makers; so the answer is given in it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from ..providers.catalog import Catalog, Model
from ..providers.errors import InvalidRequest
from ..providers.param_names import NAMES
from ..providers.param_native import CONTAINERS, MISSPELT, NATIVE_NAMES
from ..providers.param_pictures import PICTURE_NAMES
from ..providers.param_values import named, shown
from ..providers.types import Image
from .errors import Refused
from .forms import read_json

__all__ = ["MAX_BODY", "Dialect", "Invocation", "read_invocation"]

MAX_BODY = 25_000_000
"""Bytes; the service model's limit for the body of InvokeModel."""

_GUARDRAIL = {
    "x-amzn-bedrock-guardrailidentifier": "guardrail_id",
    "x-amzn-bedrock-guardrailversion": "guardrail_version",
}
_PLAIN_WAYS = {"x-amzn-bedrock-performanceconfig-latency": "standard", "x-amzn-bedrock-service-tier": "default"}
"""What image models can do of two headers: AWS offers them no other way (WIRE.md, section 2)."""
_SIDES = ("width", "height")
_MOST_PROMPTS = 100
"""Entries of SDXL's list, of which AWS names no limit: a bound of ours, far above what is in use."""


class Dialect(StrEnum):
    """In whose words a body is written."""

    AMAZON = "amazon"
    SDXL = "sdxl"
    STABILITY = "stability"


_FAMILIES = {
    "titan": Dialect.AMAZON,
    "nova_canvas": Dialect.AMAZON,
    "sdxl": Dialect.SDXL,
    "stability": Dialect.STABILITY,
    "stability_service": Dialect.STABILITY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What one InvokeModel asks for: ``prompt`` and ``params`` are those of `AsyncRouter.generate`."""

    dialect: Dialect
    prompt: str
    params: Mapping[str, Any] = field(default_factory=dict)


def read_invocation(model_id: str, body: bytes, headers: Mapping[str, str] | None = None) -> Invocation:
    """Read a body. ``model_id`` is what stands in the path; ``headers`` have lower-case names.

    Raises InvalidRequest. Fields that no model is known to have are handed on as native ones: the model judges them.
    """
    document = _document(body)
    model = Catalog.load().find(model_id)
    dialect = _dialect(document, model)
    if dialect is Dialect.AMAZON:
        prompt, params = "", dict[str, Any](native=document)
    else:
        prompt, params = _flat(document, dialect)
    if model is not None and model.family == "stability_service" and dialect is Dialect.STABILITY:
        params.setdefault(
            "task", str(next(iter(model.tasks)))
        )  # the services have no task field: the model is the task
    params |= _from_headers(headers or {})
    return Invocation(dialect=dialect, prompt=prompt, params=params)


def _document(body: bytes) -> dict[str, Any]:
    allowed = "a JSON object"
    try:
        document = read_json(body)
    except ValueError:
        raise InvalidRequest(
            "Malformed input request: the body is not JSON, please reformat your input and try again.",
            parameter="body",
            allowed=allowed,
        ) from None
    except Refused as refused:
        message = f"Malformed input request: {refused}, please reformat your input and try again."
        raise InvalidRequest(message, parameter="body", allowed=allowed) from None
    if not isinstance(document, dict):
        message = "Malformed input request: expected type: JSONObject, please reformat your input and try again."
        raise InvalidRequest(message, parameter="body", allowed=allowed)
    return document


def _dialect(document: Mapping[str, Any], model: Model | None) -> Dialect:
    """The dialect that the fields are of; where they do not tell, that of the model that was named."""
    if "messages" in document:
        message = "messages: chat bodies make no pictures here; use the body of an image model"
        raise InvalidRequest(message, parameter="messages", allowed="the body of an image model")
    if "taskType" in document or not document.keys().isdisjoint((*CONTAINERS, *MISSPELT)):
        return Dialect.AMAZON
    if "text_prompts" in document:
        return Dialect.SDXL
    if not document.keys().isdisjoint(_fields(Dialect.STABILITY)):
        return Dialect.STABILITY
    if model is not None and model.family in _FAMILIES:
        return _FAMILIES[model.family]
    given = ", ".join(named(key) for key in list(document)[:5])
    wrong = f"no image model's body has {given}" if given else "the body is empty"
    allowed = "taskType (Titan, Nova Canvas), text_prompts (SDXL), prompt or image (Stability)"
    message = f"Malformed input request: {wrong}; it must have {allowed}"
    raise InvalidRequest(message, parameter="body", allowed=allowed)


@cache
def _fields(dialect: Dialect) -> frozenset[str]:
    """The top-level fields of a flat dialect, as the catalogue tells."""
    return frozenset(
        name
        for model in Catalog.load().models()
        if _FAMILIES.get(model.family) is dialect
        for facts in model.tasks.values()
        if facts.params_key is None
        for name in facts.fields
    )


def _flat(document: Mapping[str, Any], dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """Prompt and parameters of a flat body: known fields by their names, others as native ones."""
    params: dict[str, Any] = {}
    native: dict[str, Any] = {}
    alone = sum(document.get(name) is not None for name in _SIDES) == 1  # the model's own default completes it
    known = _fields(dialect)
    for key, value in document.items():
        if key == "prompt" or value is None:
            continue
        if key in known and key in PICTURE_NAMES:
            params[key] = _picture(key, value)
        elif key in known and (key in NAMES or key in NATIVE_NAMES) and not (alone and key in _SIDES):
            params[key] = value
        else:
            native[key] = value
    if native:
        params["native"] = native
    if dialect is Dialect.STABILITY and "mask" in params:
        params["mask_mode"] = "white"  # what is white is changed (WIRE.md, section 8)
    return (_first_text(document) if dialect is Dialect.SDXL else _prompt(document)), params


def _picture(name: str, value: Any) -> Image:
    """A picture in base64, marked as such: whatever it looks like, it is never a path or a URL."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a picture as base64", parameter=name, allowed="a picture as base64")
    return Image(value)


def _prompt(document: Mapping[str, Any]) -> str:
    prompt = document.get("prompt")
    if prompt is None:
        return ""
    if not isinstance(prompt, str):
        raise InvalidRequest(f"prompt must be a text, not {shown(prompt)}", parameter="prompt", allowed="a text")
    return prompt


def _first_text(document: Mapping[str, Any]) -> str:
    """The first of SDXL's prompts that is not a negative one."""
    entries = document.get("text_prompts")
    if isinstance(entries, list) and len(entries) > _MOST_PROMPTS:
        message = f"text_prompts has {len(entries):,} entries; at most {_MOST_PROMPTS} are taken"
        raise InvalidRequest(message, parameter="text_prompts", allowed=f"at most {_MOST_PROMPTS} entries")
    for entry in entries if isinstance(entries, list) else ():
        text, weight = (entry.get("text"), entry.get("weight", 1)) if isinstance(entry, dict) else (None, 1)
        if isinstance(text, str) and text and isinstance(weight, (int, float)) and weight > 0:
            return text
    allowed = "a list of {text, weight}, one weight of them above 0"
    raise InvalidRequest(f"text_prompts must be {allowed}", parameter="text_prompts", allowed=allowed)


def _from_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """What stands in headers: a guardrail. Raises InvalidRequest for a way to run that image models do not have."""
    for name, only in _PLAIN_WAYS.items():
        if headers.get(name, only).lower() != only:
            message = f"{name}: image models know {only} only, not {shown(headers[name])}"
            raise InvalidRequest(message, parameter=name, allowed=only, nearest=only)
    return {params: headers[name] for name, params in _GUARDRAIL.items() if headers.get(name)}
