"""Edits made with Pillow alone: each task of Bedrock's image models, done so that one can see that it was done.

``edited`` is a pure function of the job and a digest, as ``paint`` is for text to image. Where a task has a mask, what
the mask does not cover is returned exactly as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageFilter

from ..job import Job
from .cutout import cutout
from .repaint import erase, inpaint, outpaint, recolor, try_on
from .restyle import color_guided, control, image_to_image, style_guide, style_transfer, variation
from .upscale import upscale

__all__ = ["edited", "exact"]

Draw = Callable[[Job, bytes, dict[str, Any]], Image.Image]


def _remove_background(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    assert job.edit is not None
    return cutout(job.edit.pictures[0])


_TASKS: Mapping[str, Draw] = {
    "color_guided": color_guided,
    "control": control,
    "erase": erase,
    "image_to_image": image_to_image,
    "inpaint": inpaint,
    "outpaint": outpaint,
    "recolor": recolor,
    "remove_background": _remove_background,
    "style_guide": style_guide,
    "style_transfer": style_transfer,
    "try_on": try_on,
    "upscale": upscale,
    "variation": variation,
}


def exact(job: Job) -> bool:
    """Whether pixels of the input must come back unchanged, which a lossy file could not do."""
    return job.edit is not None and (job.edit.mask is not None or job.edit.task in ("outpaint", "remove_background"))


def edited(job: Job, digest: bytes, *, fast: bool = False, blurred: bool = False) -> Image.Image:
    """The result of an edit, in RGB, or RGBA where a background was removed.

    ``fast`` paints nothing: one colour of the digest's stands for all that is new.
    """
    edit = job.edit
    if edit is None:
        raise ValueError("not an edit")
    if fast:
        return _sketched(job, digest)
    result = _TASKS[edit.task](job, digest, dict(edit.options))
    return result.filter(ImageFilter.GaussianBlur(max(result.size) / 32)) if blurred else result


def _sketched(job: Job, digest: bytes) -> Image.Image:
    edit, size = job.edit, (job.width, job.height)
    assert edit is not None
    colour = (digest[0], digest[1], digest[2])
    if edit.mask is not None:
        picture = edit.pictures[0].convert("RGB")
        return Image.composite(Image.new("RGB", size, colour), picture, edit.mask)
    if edit.task == "remove_background":
        return cutout(edit.pictures[0], fast=True)
    result = Image.new("RGB", size, colour)
    if edit.task == "outpaint":
        result.paste(edit.pictures[0].convert("RGB"), edit.options["corner"])
    return result
