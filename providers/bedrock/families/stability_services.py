"""Stability AI's thirteen image services: one task per model, flat bodies, the answers of `Stability`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...catalog import Model, Sizes
from ...options import OPTIONS
from ...types import Picture, Task
from . import inputs, shared
from .draft import Draft
from .generation import Priced
from .stability import Stability, shaped, texts

__all__ = ["StabilityServices"]

_SIDES = ("left", "right", "up", "down")
_ENLARGED = 4
"""How often the fast upscaler takes each side; what the two slow ones make is documented as "about 4K" only."""


class StabilityServices(Stability):
    """Edits of one picture per call. Which fields a service has, and their limits, is the catalogue's to say.

    White parts of a mask are changed, grey ones in part, and the service resizes the mask to the picture. Without a mask
    it changes what is transparent in the picture. Two services (remove_background, upscale_fast) have no seed. Facts:
    WIRE.md, section 8.
    """

    name = "stability_service"

    def fill(self, draft: Draft) -> None:
        """Write every parameter but ``n`` and ``seed`` into the body."""
        request = draft.request
        texts(draft)
        _pictures(draft)
        _options(draft)
        if draft.facts.sizes.kind == "aspect_ratio":
            shaped(draft)
        else:
            shared.from_input(draft, _made(draft.body, request.task, draft.facts.sizes))
        draft.number("cfg_scale", request.cfg_scale, "cfg_scale")
        shared.sampling(draft)
        shared.style(draft, "style_preset")
        shared.plain_quality(draft)
        shared.file_format(draft)

    def priced(self, body: Mapping[str, Any], model: Model) -> Priced:
        """The size of the picture that comes out, as far as it is documented. A service has one price for all sizes."""
        task, facts = next(iter(model.tasks.items()))
        width, height = _made(body, task, facts.sizes) or (None, None)
        return Priced(width=width, height=height)


def _pictures(draft: Draft) -> None:
    request, fields = draft.request, draft.facts.fields
    if "style_image" in fields:
        inputs.picture(draft, "image", request.image, "init_image")
        _reference(draft, "style_image")
    elif request.task is Task.STYLE_GUIDE and request.image is None and request.references:
        # The one picture of this service is the style, so it may come as a reference too.
        _reference(draft, "image")
    else:
        image = inputs.picture(draft, "image", request.image, "image")
        if "mask" in fields:
            _mask(draft, image)


def _reference(draft: Draft, wire: str) -> None:
    first, *others = draft.request.references or (None,)
    inputs.picture(draft, "references", first, wire)
    if others:
        draft.ignore("references", f"{draft.model.name} follows one style: the first is used", allowed="1 picture")


def _mask(draft: Draft, image: Picture | None) -> None:
    draft.take("mask")
    mask = draft.request.mask
    if mask is not None:
        # The service resizes it, so it keeps its own size.
        draft.put("mask", inputs.mask(draft, mask, image, change="white", resize=False), "mask")
    elif draft.native("mask") is None and image is not None and not image.alpha:
        message = f"{draft.request.task} needs a mask, or a picture whose transparent parts are what shall change"
        raise draft.wrong("mask", message, allowed="a picture of the area to change")


def _options(draft: Draft) -> None:
    """Every option that the service has a field for, under the same name."""
    for name, field in draft.facts.fields.items():
        if name not in OPTIONS:
            continue
        if field.type == "string":
            _words(draft, name, field.max_length)
        else:
            draft.number(name, draft.option(name), name)
    if "left" in draft.facts.fields:
        native = {side: draft.native(side) for side in _SIDES}  # wins over the parameter of the same name
        added = [draft.body.get(side) if native[side] is None else native[side] for side in _SIDES]
        if not any(added):
            allowed = "left, right, up or down of 1 to 2000 pixels"
            raise draft.wrong("left", "outpaint needs pixels to add on at least one side", allowed=allowed)


def _words(draft: Draft, name: str, limit: int | None) -> None:
    """A text that the service can not do without."""
    text = draft.text(name, draft.option(name), limit)
    if text is not None and text.strip():
        draft.put(name, text, name)
    elif draft.native(name) is None:
        raise draft.wrong(name, f"{draft.request.task} needs it: {OPTIONS[name]}", allowed="a text that is not empty")


def _made(body: Mapping[str, Any], task: Task, sizes: Sizes) -> tuple[int, int] | None:
    """Width and height of what comes out; None where nobody documents it."""
    size = inputs.size_of(body.get("image", body.get("init_image")))
    if size is None or sizes.kind == "aspect_ratio":
        return None
    width, height = size
    if sizes.kind == "upscale":
        return (width * _ENLARGED, height * _ENLARGED) if task is Task.UPSCALE_FAST else None
    left, right, up, down = (_pixels(body.get(side)) for side in _SIDES)
    return width + left + right, height + up + down


def _pixels(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
