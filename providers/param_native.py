"""Provider fields: checked to be JSON, merged, read as parameters where every model knows them, else passed through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import InvalidRequest
from .param_values import named, sendable, shown
from .types import Task

__all__ = ["CONTAINERS", "LIFTED", "MISSPELT", "NATIVE_NAMES", "copy_json", "leaves", "lift", "merge", "said_twice"]

CONTAINERS: Mapping[str, Task | None] = {
    "imageGenerationConfig": None,
    "textToImageParams": Task.TEXT_TO_IMAGE,
    "colorGuidedGenerationParams": Task.COLOR_GUIDED,
    "inPaintingParams": Task.INPAINT,
    "outPaintingParams": Task.OUTPAINT,
    "imageVariationParams": Task.VARIATION,
    "backgroundRemovalParams": Task.REMOVE_BACKGROUND,
    "virtualTryOnParams": Task.VIRTUAL_TRY_ON,
}
"""Objects of Amazon's bodies that are taken at top level, and the task each belongs to (WIRE.md, sections 4 and 5)."""

MISSPELT: Mapping[str, str] = {"inpaintingParams": "inPaintingParams", "outpaintingParams": "outPaintingParams"}
"""How some clients write Amazon's names."""

NATIVE_NAMES = (*CONTAINERS, *MISSPELT, "text_prompts", "extras", "init_image_mode")
"""Every parameter that goes to ``native`` as it is; the last three are SDXL's (WIRE.md, section 6)."""

_WORDS = ("text", "negativeText")
_MASKED = (*_WORDS, "image", "maskPrompt", "maskImage", "returnMask")

LIFTED: Mapping[str, tuple[str, ...]] = {
    "imageGenerationConfig": ("width", "height", "quality", "numberOfImages", "seed", "cfgScale"),
    "textToImageParams": (*_WORDS, "style"),
    "colorGuidedGenerationParams": (*_WORDS, "colors", "referenceImage"),
    "inPaintingParams": _MASKED,
    "outPaintingParams": (*_MASKED, "outPaintingMode"),
    "imageVariationParams": (*_WORDS, "images", "similarityStrength"),
    "backgroundRemovalParams": ("image",),
    "virtualTryOnParams": ("sourceImage", "referenceImage", "mergeStyle", "returnMask"),
    "virtualTryOnParams.imageBasedMask": ("maskImage",),
    "virtualTryOnParams.garmentBasedMask": ("garmentClass", "maskShape"),
    "virtualTryOnParams.garmentBasedMask.garmentStyling": ("longSleeveStyle", "tuckingStyle", "outerLayerStyle"),
    "virtualTryOnParams.promptBasedMask": ("maskPrompt", "maskShape"),
    "virtualTryOnParams.maskExclusions": ("preserveFace", "preserveHands", "preserveBodyPose"),
}
"""What Amazon's objects, and those in them, say in other words for what any model is asked (WIRE.md, sections 4, 5)."""

_TASK_NAMES = ("taskType", "mode")
_SIDES = ("width", "height")
_MAX_DEPTH = 32
_MAX_INT = 2**63


def said_twice(name: str, first: tuple[str, object], second: tuple[str, object]) -> InvalidRequest:
    """The error for one thing given twice, differently. The pairs are (name as given, value).

    Prompts are not quoted: errors end in logs.
    """
    values = "" if name in ("prompt", "negative_prompt") else f": {shown(first[1])} and {shown(second[1])}"
    message = f"{named(first[0])} and {named(second[0])} disagree{values}; give one of them"
    return InvalidRequest(message, parameter=name, allowed="one value")


def copy_json(path: str, value: Any, depth: int = 0) -> Any:
    """A copy of ``value``, so that the request stays as it was. Raises InvalidRequest if it can not be JSON."""
    if depth > _MAX_DEPTH:
        message = f"{named(path)} is nested deeper than {_MAX_DEPTH} levels"
        raise InvalidRequest(message, parameter=_root(path), allowed=f"at most {_MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return sendable(named(path), value)
    if isinstance(value, int) and -_MAX_INT <= value < _MAX_INT:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Mapping):
        return {_key(path, key): copy_json(f"{path}.{key}", item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_json(f"{path}[{index}]", item, depth + 1) for index, item in enumerate(value)]
    allowed = "JSON: text, a finite number, true, false, null, a list or an object"
    raise InvalidRequest(f"{named(path)} must be {allowed}, not {shown(value)}", parameter=_root(path), allowed=allowed)


def _root(path: str) -> str:
    return named(path).split(".", 1)[0].split("[", 1)[0]


def _key(path: str, key: Any) -> str:
    if isinstance(key, str):
        return sendable(named(path), key)
    message = f"{named(path)} has the key {shown(key)}; keys must be texts"
    raise InvalidRequest(message, parameter=_root(path), allowed="texts as keys")


def merge(into: dict[str, Any], new: Mapping[str, Any], path: str = "native") -> None:
    """Add ``new`` to ``into``, objects inside objects too. Raises InvalidRequest where both differ."""
    for key, value in new.items():
        here = f"{path}.{key}"
        if key not in into:
            into[key] = value
        elif isinstance(into[key], dict) and isinstance(value, dict):
            merge(into[key], value, here)
        elif into[key] != value or type(into[key]) is not type(value):
            raise said_twice("native", (here, into[key]), (f"another {here}", value))


def lift(native: Mapping[str, Any], prompt: str, *, sized: bool) -> tuple[list[tuple[str, str, Any]], dict[str, Any]]:
    """Take out of ``native`` what is a parameter in a provider's words: (name as written, name, value) of each; the rest.

    A request can be served by another model than the one it was written for, so only what no parameter can say may stay
    in one provider's words. ``mode`` and ``taskType`` are left out: the task of the request says the same. A side without
    the other one stays, unless the request is ``sized`` otherwise: the model's own default completes it. A seed is taken
    wherever it stands, since further pictures count on from it.
    """
    said: list[tuple[str, str, Any]] = []
    rest: dict[str, Any] = {}
    for key, value in native.items():
        if key in _TASK_NAMES or (value is None and key in (*LIFTED, "text_prompts")):
            continue
        found: list[tuple[str, str, Any]] | None = None
        if key in LIFTED and isinstance(value, dict):
            found, value = _taken(key, value, sized)
            if value:
                rest[key] = value
        elif key == "text_prompts":
            found = _plain_prompts(value, prompt)
        elif key == "seed" and type(value) is int:
            found = [("native.seed", "seed", value)]
        if found is None:
            rest[key] = value
        else:
            said += found
    return said, rest


def _taken(path: str, value: Mapping[str, Any], sized: bool) -> tuple[list[tuple[str, str, Any]], dict[str, Any]]:
    """What one object says in other words, as `lift` gives it, and what is left of the object."""
    names = _lifted(path, value, sized)
    said = [(f"{path}.{name}", name, value[name]) for name in names]
    rest: dict[str, Any] = {}
    for name, item in value.items():
        if name in names:
            continue
        if f"{path}.{name}" in LIFTED and isinstance(item, dict) and item:
            more, item = _taken(f"{path}.{name}", item, sized)
            said += more
            if not item:
                continue
        rest[name] = item
    return said, rest


def _lifted(container: str, value: Mapping[str, Any], sized: bool) -> list[str]:
    sides = [name for name in _SIDES if value.get(name) is not None]
    alone = sides if len(sides) == 1 and not sized else []
    return [name for name in LIFTED[container] if name in value and name not in alone]


def _plain_prompts(entries: Any, prompt: str) -> list[tuple[str, str, Any]] | None:
    """The negative prompt in SDXL's list, as `lift` gives it, if the list says no more than prompt and negative prompt."""
    positive, negative = [], []
    for index, entry in enumerate(entries if isinstance(entries, list) else [None]):
        if not isinstance(entry, dict) or not entry.keys() <= {"text", "weight"}:
            return None
        words, weight = entry.get("text"), entry.get("weight", 1)
        if not isinstance(words, str) or not words.strip() or isinstance(weight, bool) or weight not in (1, -1):
            return None
        if weight == 1:
            positive.append(words)
        else:
            negative.append((f"text_prompts[{index}].text", "negative_prompt", words))
    return negative if positive == [prompt] and len(negative) <= 1 else None


def leaves(native: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(name as written, key, value) of every native field that may say the same as a parameter."""
    for key, value in native.items():
        if key in CONTAINERS and isinstance(value, dict):
            yield from ((f"{key}.{inner}", inner, item) for inner, item in value.items())
        else:
            yield f"native.{key}", key, value
