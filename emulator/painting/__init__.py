"""Pictures in the manner of painted landscapes and cave walls, made with Pillow alone.

``paint`` is a pure function: the prompt chooses the scene, the season and the colours, and a digest of everything
else chooses the composition, so another seed is another picture of the same thing. Scenes are painted at half the
size and brought up softly; a fine grain hides the steps of the gradients.
"""

from __future__ import annotations

import random

from PIL import Image, ImageFilter

from .brush import grain
from .cave import cave
from .landscape import landscape
from .subject import Subject, subject

__all__ = ["Subject", "paint", "subject"]


def paint(prompt: str, digest: bytes, size: tuple[int, int], *, blurred: bool = False) -> Image.Image:
    """An RGB picture of this size (pixels). The same arguments give the same pixels; ``blurred`` makes it unrecognisable."""
    rng = random.Random(int.from_bytes(digest, "big"))
    about = subject(prompt, rng)
    work = (max(2, -(-size[0] // 2)), max(2, -(-size[1] // 2)))
    picture = cave(work, about, rng) if about.terrain == "cave" else landscape(work, about, rng)
    if blurred:
        return picture.filter(ImageFilter.GaussianBlur(max(work) / 16)).resize(size, Image.Resampling.BICUBIC)
    return grain(picture.resize(size, Image.Resampling.BICUBIC), rng, strength=10)
