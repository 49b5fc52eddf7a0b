"""The pictures and masks inside the task parameters of Titan and Nova Canvas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageChops

from ..editing.inputs import Limits, Source, read
from ..editing.masks import pure_mask
from ..editing.regions import exclusion, garment_region, region
from ..errors import malformed
from ..job import Edit

__all__ = ["picture_edit"]

_PICTURE_KEYS = frozenset({"image", "images", "maskImage", "conditionImage", "referenceImage", "sourceImage"})

Params = dict[str, Any]


def picture_edit(task: str, params: Params, key: str, limits: Limits) -> tuple[Edit | None, dict[str, Any], str]:
    """The edit, its parameters with digests in place of pictures, and the words in prompts and pictures' metadata.

    The edit is None for text to image. Raises BedrockError (400) for pictures and masks that the model does not take.
    """
    reader = _Reader(f"#/{key}", limits)
    draw = _TASKS.get(task)
    edit = draw(params, reader) if draw is not None else None
    plain = _plain(params, reader.digests)
    # Returning the mask does not change the picture.
    plain.pop("returnMask", None)
    return edit, plain, "\n".join([*_texts(params), *reader.notes])


class _Reader:
    """Reads pictures of one body, and remembers their digests and notes."""

    def __init__(self, pointer: str, limits: Limits) -> None:
        self.pointer, self.limits = pointer, limits
        self.digests: dict[str, str] = {}
        self.notes: list[str] = []

    def __call__(self, value: str, place: str) -> Source:
        source = read(value, f"{self.pointer}/{place}", self.limits)
        self.digests[value] = source.digest
        self.notes.append(source.note)
        return source


def _text_image(params: Params, reader: _Reader) -> Edit | None:
    if "conditionImage" not in params:
        return None
    source = reader(params["conditionImage"], "conditionImage")
    mode = "segmentation" if params.get("controlMode") == "SEGMENTATION" else "edges"
    options = {"mode": mode, "amount": float(params.get("controlStrength", 0.7))}
    return Edit(task="control", pictures=(source.image,), options=options)


def _painting(params: Params, reader: _Reader, *, edit: str) -> Edit:
    masks = ("maskPrompt" in params) + ("maskImage" in params)
    if masks != 1:
        raise malformed(f"{reader.pointer}: {masks} subschemas matched instead of one (maskPrompt, maskImage)")
    source = reader(params["image"], "image")
    if "maskImage" in params:
        given = reader(params["maskImage"], "maskImage")
        mask = pure_mask(given, source.image.size, f"{reader.pointer}/maskImage", edit=edit)
    else:
        named = region(params["maskPrompt"], source.image)
        # What the prompt names is changed by inpainting and kept by outpainting.
        mask = named if edit == "black" else ImageChops.invert(named)
    task = "inpaint" if params.get("text") else "erase"
    return Edit(task=task, pictures=(source.image,), mask=mask, returns_mask=params.get("returnMask", False))


def _inpainting(params: Params, reader: _Reader) -> Edit:
    return _painting(params, reader, edit="black")


def _outpainting(params: Params, reader: _Reader) -> Edit:
    return _painting(params, reader, edit="white")


def _variation(params: Params, reader: _Reader) -> Edit:
    sources = [reader(value, f"images/{index}") for index, value in enumerate(params["images"])]
    options = {"amount": float(params.get("similarityStrength", 0.7))}
    return Edit(task="variation", pictures=tuple(source.image for source in sources), options=options)


def _color_guided(params: Params, reader: _Reader) -> Edit:
    pictures = (reader(params["referenceImage"], "referenceImage").image,) if "referenceImage" in params else ()
    colours = [(int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)) for text in params["colors"]]
    return Edit(task="color_guided", pictures=pictures, options={"colours": colours})


def _background_removal(params: Params, reader: _Reader) -> Edit:
    return Edit(task="remove_background", pictures=(reader(params["image"], "image").image,))


def _try_on(params: Params, reader: _Reader) -> Edit:
    kind: str = params["maskType"]
    holder = {"IMAGE": "imageBasedMask", "GARMENT": "garmentBasedMask", "PROMPT": "promptBasedMask"}[kind]
    if holder not in params:
        raise malformed(f"{reader.pointer}: required key [{holder}] not found")
    source = reader(params["sourceImage"], "sourceImage")
    garment = reader(params["referenceImage"], "referenceImage")
    mask = _try_on_mask(kind, params[holder], source.image, reader)
    for name, value in params.get("maskExclusions", {}).items():
        if value == "ON":
            mask = ImageChops.subtract(mask, exclusion(name, mask.size))
    return Edit(
        task="try_on",
        pictures=(source.image, garment.image),
        mask=mask,
        returns_mask=params.get("returnMask", False),
        options={"merge": params.get("mergeStyle", "BALANCED")},
    )


def _try_on_mask(kind: str, given: Params, picture: Image.Image, reader: _Reader) -> Image.Image:
    boxed = given.get("maskShape") == "BOUNDING_BOX"
    if kind == "GARMENT":
        return garment_region(given["garmentClass"], picture.size, boxed=boxed)
    if kind == "PROMPT":
        return region(given["maskPrompt"], picture, boxed=boxed)
    place = "imageBasedMask/maskImage"
    return pure_mask(reader(given["maskImage"], place), picture.size, f"{reader.pointer}/{place}", edit="black")


_TASKS: Mapping[str, Callable[[Params, _Reader], Edit | None]] = {
    "TEXT_IMAGE": _text_image,
    "INPAINTING": _inpainting,
    "OUTPAINTING": _outpainting,
    "IMAGE_VARIATION": _variation,
    "COLOR_GUIDED_GENERATION": _color_guided,
    "BACKGROUND_REMOVAL": _background_removal,
    "VIRTUAL_TRY_ON": _try_on,
}


def _plain(value: Any, digests: Mapping[str, str], key: str = "") -> Any:
    """The parameters with digests in place of pictures."""
    if isinstance(value, dict):
        return {name: _plain(item, digests, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, digests, key) for item in value]
    # A mask of another maskType is not looked at.
    return digests.get(value, "unused") if key in _PICTURE_KEYS else value


def _texts(value: Any, key: str = "") -> list[str]:
    """Every text in the parameters that is no picture."""
    if isinstance(value, dict):
        return [text for name, item in value.items() for text in _texts(item, name)]
    return [value] if isinstance(value, str) and key in ("text", "maskPrompt") else []
