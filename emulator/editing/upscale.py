"""Larger pictures.

fast: four times each side ("4x resolution"). conservative and creative: up to the pixels of 4K ("about 4K, 20x to 40x",
which fits pictures of 0.2 to 0.4 megapixels). What is larger already keeps its size.
"""

from __future__ import annotations

import math
import random
from typing import Any

from PIL import Image, ImageChops, ImageFilter

from ..job import Job
from ..painting.brush import clouds
from .scene import scene
from .tones import from_picture, toned

__all__ = ["PIXELS_OF_4K", "enlarged", "upscale"]

PIXELS_OF_4K = 3840 * 2160


def enlarged(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """The size with this many pixels and the same ratio; never smaller than before."""
    factor = max(1.0, math.sqrt(pixels / (size[0] * size[1])))
    return round(size[0] * factor), round(size[1] * factor)


def upscale(job: Job, digest: bytes, options: dict[str, Any]) -> Image.Image:
    """The picture, larger and sharper. ``amount`` is the share of invented detail."""
    assert job.edit is not None
    picture, amount = job.edit.pictures[0].convert("RGB"), options["amount"]
    if amount > 0:
        painted = toned(scene(job.prompt, digest, picture.size), from_picture(picture))
        picture = Image.blend(picture, ImageChops.soft_light(picture, painted), amount)
    size = (job.width, job.height)
    result = picture.resize(size, Image.Resampling.BICUBIC)
    if amount > 0:
        fine = clouds(random.Random(digest), (size[0] // 4, size[1] // 4), cell=6, octaves=3)
        swing = round(96 * amount)
        fine = fine.point([128 - swing // 2 + swing * value // 255 for value in range(256)])
        fine = fine.resize(size, Image.Resampling.BILINEAR)
        result = ImageChops.soft_light(result, Image.merge("RGB", (fine,) * 3))
    return result.filter(ImageFilter.Kernel((3, 3), (0, -1, 0, -1, 8, -1, 0, -1, 0), scale=4))
