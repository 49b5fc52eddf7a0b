"""Parameters that several families treat alike: shape of the picture, style, quality, format."""

from __future__ import annotations

from math import sqrt

from ...options import OPTIONS
from ...types import Delivery, Task
from . import sizes
from .draft import Draft

__all__ = [
    "delivery",
    "file_format",
    "from_input",
    "left_over",
    "made_as",
    "pair",
    "plain_quality",
    "ratio",
    "sampling",
    "style",
    "unused",
    "usual_format",
]

_OPENAI_STYLES = ("vivid", "natural")
_FORMATS = ("png", "jpeg", "webp")
_LARGEST_SIDE = 65_535


def pair(draft: Draft) -> tuple[int, int] | None:
    """Width and height for a model that takes pixels: the nearest it has, with a warning where that is another one.

    An aspect ratio becomes the nearest size of about one megapixel; within 2 % it counts as met.
    """
    size, shape = _asked(draft)
    offered = draft.facts.sizes
    if size is not None:
        chosen = _nearest(draft, size)
        if chosen != size:
            message = f"{sizes.show(size)} is not offered; the picture is {sizes.show(chosen)}"
            draft.adapt("size", message, allowed=sizes.allowed(offered, size), nearest=sizes.show(chosen))
        return chosen
    if shape is None:
        return None
    asked = sqrt(sizes.MEGAPIXEL * shape), sqrt(sizes.MEGAPIXEL / shape)
    chosen = _nearest(draft, asked)
    if not sizes.same_shape(chosen[0] / chosen[1], shape):
        message = f"{draft.request.aspect_ratio} is not offered; the picture is {sizes.show(chosen)}"
        draft.adapt("aspect_ratio", message, allowed=sizes.allowed(offered, asked), nearest=sizes.show(chosen))
    return chosen


def ratio(draft: Draft) -> str | None:
    """The aspect ratio for a model that takes ratios: the nearest it has, with a warning where the picture will differ.

    Such models make about one megapixel and do not document the exact sides, so a size is met when its ratio is exactly
    an offered one and its area within 25 % of a megapixel.
    """
    size, shape = _asked(draft)
    if shape is None:
        return None
    offered = draft.facts.sizes.ratios
    chosen = sizes.nearest_ratio(shape, offered)
    exact = abs((sizes.parse_ratio(chosen) or 0) - shape) < 1e-9
    if draft.request.aspect_ratio is None and size is not None:
        if not exact or not sizes.about_a_megapixel(size):
            message = f"{sizes.show(size)} can not be asked for; the picture is {chosen}, about one megapixel"
            draft.adapt("size", message, allowed=", ".join(offered), nearest=chosen)
    elif not exact:
        message = f"{draft.request.aspect_ratio} is not offered; the picture is {chosen}"
        draft.adapt("aspect_ratio", message, allowed=", ".join(offered), nearest=chosen)
    elif size is not None and not sizes.about_a_megapixel(size):
        draft.adapt("size", f"the picture is {chosen}, about one megapixel", allowed=", ".join(offered), nearest=chosen)
    return chosen


def style(draft: Draft, wire: str, *path: str) -> None:
    """One of the model's styles. OpenAI's ``vivid`` and ``natural`` mean nothing here and are left out with a warning."""
    value = draft.request.style
    if isinstance(value, str) and value.strip().lower() in _OPENAI_STYLES:
        field = draft.facts.fields.get(wire)
        allowed = ", ".join(field.enum) if field else None
        draft.ignore("style", f"{draft.model.name} has no counterpart of {value.strip().lower()}", allowed=allowed)
    else:
        draft.choice("style", value, wire, *path)


def plain_quality(draft: Draft) -> None:
    """Quality on a model that has one quality: ``standard`` is what it does, ``premium`` is left out with a warning."""
    if draft.request.quality is None:
        return
    if draft.word("quality", draft.request.quality, ("standard", "premium")) == "premium":
        draft.ignore("quality", f"{draft.model.name} has one quality only", allowed="standard", nearest="standard")


def file_format(draft: Draft) -> None:
    """The file format, where the model offers it; else `delivery` has the picture converted. Transparency has no jpeg."""
    word = _format_asked(draft)
    if word == "jpeg" and draft.request.task is Task.REMOVE_BACKGROUND:
        message = "what is removed becomes transparent, and jpeg can not hold transparency"
        raise draft.wrong("output_format", message, allowed="png, webp", nearest="png")
    if word in draft.model.output_formats and "output_format" in draft.facts.fields:
        draft.put("output_format", word, "output_format")


def made_as(draft: Draft) -> str | None:
    """The format that the model must answer with; None where it may choose (a default that nobody documents)."""
    said = draft.body.get("output_format", usual_format(draft))
    if isinstance(said, str):
        return said if said in _FORMATS else None
    made = draft.model.output_formats
    return made[0] if len(made) == 1 else None


def usual_format(draft: Draft) -> str | None:
    """The documented format of a model that is told none; None where it can not be told, or nobody documents it."""
    field = draft.facts.fields.get("output_format")
    return field.default if field is not None and field.default in _FORMATS else None


def delivery(draft: Draft) -> Delivery | None:
    """What is to be done with the pictures when they have come. For a body that is complete.

    A model that ``native`` tells to make another format than the one asked for has its way, which `Draft.merge` says.
    """
    if draft.request.output_format is None is draft.request.output_compression:
        return None
    word, said = _format_asked(draft), made_as(draft)
    offered = "output_format" in draft.facts.fields and word in draft.model.output_formats
    if offered and said != word:
        word = None
    quality = draft.request.output_compression
    if quality is not None:
        allowed = "0 to 100"
        if isinstance(quality, bool) or not isinstance(quality, int):
            raise draft.wrong("output_compression", "a whole number is needed", allowed=allowed)
        if not 0 <= quality <= 100:
            nearest = str(min(max(quality, 0), 100))
            raise draft.wrong("output_compression", f"{quality} is out of range", allowed=allowed, nearest=nearest)
        if (word or said or "png") == "png":
            message = "png loses nothing however it is compressed; it has no effect"
            draft.ignore("output_compression", message, allowed="output_format jpeg or webp", nearest="jpeg")
            quality = None
    return None if word is None and quality is None else Delivery(format=word, quality=quality)


def _format_asked(draft: Draft) -> str | None:
    asked = draft.request.output_format
    if asked is None:
        return None
    is_jpeg = isinstance(asked, str) and asked.strip().lower() == "jpg"
    return "jpeg" if is_jpeg else draft.word("output_format", asked, _FORMATS)


def sampling(draft: Draft) -> None:
    """Steps, sampler and guidance preset, which only SDXL has."""
    draft.number("steps", draft.request.steps, "steps")
    draft.choice("sampler", draft.request.sampler, "sampler")
    draft.choice("clip_guidance_preset", draft.request.clip_guidance_preset, "clip_guidance_preset")


def unused(draft: Draft) -> None:
    """Parameters that no model here has."""
    request, name = draft.request, draft.model.name
    if request.background is not None:
        words = ("auto", "opaque", "transparent")
        word = draft.word("background", request.background, words)
        if request.task is Task.REMOVE_BACKGROUND:
            if word == "opaque":
                draft.ignore("background", "what is removed becomes transparent", allowed="auto, transparent")
        elif word == "transparent":
            draft.ignore("background", f"{name} makes opaque pictures only", allowed="auto, opaque", nearest="opaque")


def from_input(draft: Draft, made: tuple[int, int] | None) -> None:
    """Size and shape where the input decides both: another one than it ``made`` is left out with a warning."""
    size, shape = _asked(draft)
    if size is not None and size != made:
        message = f"the input decides the size of {draft.request.task}"
        draft.ignore(
            "size", message, allowed=sizes.show(made) if made else None, nearest=sizes.show(made) if made else None
        )
    if (
        draft.request.aspect_ratio is not None
        and shape
        and (made is None or not sizes.same_shape(made[0] / made[1], shape))
    ):
        draft.ignore("aspect_ratio", f"the input decides the shape of {draft.request.task}")


def left_over(draft: Draft) -> None:
    """Pictures and options that the task has no use for. Raises InvalidRequest for an option that nobody knows."""
    request = draft.request
    for name in ("image", "references", "mask"):
        if getattr(request, name) not in (None, ()) and name not in draft.taken:
            draft.ignore(name, f"{request.task} on {draft.model.name} has no use for it")
    if request.mask_mode != "alpha" and request.mask is None:  # one that is of no use has been told above
        draft.ignore("mask_mode", "there is no mask to read", allowed="mask_mode together with mask")
    for name, value in request.options.items():
        if name not in OPTIONS:
            draft.word(str(name), str(name), tuple(OPTIONS))
        if value is not None and name not in draft.taken:
            draft.ignore(name, f"{request.task} on {draft.model.name} has no such option")


def _asked(draft: Draft) -> tuple[tuple[int, int] | None, float | None]:
    """The size and the shape (width over height) that the request speaks of."""
    size, text = draft.request.size, draft.request.aspect_ratio
    if size is not None:
        sides = tuple(size) if isinstance(size, (tuple, list)) else ()
        if len(sides) != 2 or not all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in sides):
            allowed = sizes.allowed(draft.facts.sizes)
            raise draft.wrong("size", f"width and height from 1 to {_LARGEST_SIDE} pixels are needed", allowed=allowed)
        size = (sides[0], sides[1])
    shape = None
    if text is not None:
        shape = sizes.parse_ratio(text) if isinstance(text, str) else None
        if shape is None:
            raise draft.wrong("aspect_ratio", "not a ratio", allowed="width:height such as 16:9")
        if size is not None and not sizes.same_shape(size[0] / size[1], shape):
            message = f"{text} contradicts the size {sizes.show(size)}"
            raise draft.wrong("aspect_ratio", message, allowed="one of size and aspect_ratio")
    elif size is not None:
        shape = size[0] / size[1]
    return size, shape


def _nearest(draft: Draft, asked: tuple[float, float]) -> tuple[int, int]:
    offered = draft.facts.sizes
    return sizes.fit(asked, offered) if offered.kind == "range" else sizes.nearest_pair(asked, offered.pairs)
