"""Masks: grey pictures that are white where something is to be changed, whatever the model's own convention is."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter, ImageOps

from ..errors import malformed
from .inputs import Source

__all__ = ["alpha_mask", "bounds", "grown", "pure_mask", "scaled_mask", "sized_mask", "soft"]

_JPEG_NOISE = 12
"""Grey levels by which a black or white pixel of a JPEG mask may be off; such a mask must be saved at full quality."""


def pure_mask(mask: Source, size: tuple[int, int], pointer: str, *, edit: str) -> Image.Image:
    """Amazon's masks: as large as the picture, pure black and pure white only; ``edit`` is the colour to be changed."""
    _same_size(mask, size, pointer)
    slack = _JPEG_NOISE if mask.format == "jpeg" else 0
    picture = mask.image.convert("RGB")
    middle = [255 if slack < value < 255 - slack else 0 for value in range(256)]
    impure = any(band.point(middle).getbbox() is not None for band in picture.split())
    bands = [band.point([0] * 128 + [255] * 128) for band in picture.split()]
    if impure or any(ImageChops.difference(bands[0], band).getbbox() for band in bands[1:]):
        raise malformed(f"{pointer}: the mask has colours other than pure black and pure white")
    return bands[0] if edit == "white" else ImageOps.invert(bands[0])


def sized_mask(mask: Source, size: tuple[int, int], pointer: str, *, edit: str) -> Image.Image:
    """SDXL's masks: as large as the picture; grey is partial."""
    _same_size(mask, size, pointer)
    grey = mask.image.convert("L")
    return grey if edit == "white" else ImageOps.invert(grey)


def scaled_mask(mask: Source, size: tuple[int, int]) -> Image.Image:
    """The Stability services' masks: brought to the picture's size; white is changed, grey is partial."""
    grey = mask.image.convert("L")
    return grey if grey.size == size else grey.resize(size, Image.Resampling.BILINEAR)


def alpha_mask(picture: Image.Image, pointer: str) -> Image.Image:
    """Transparent pixels are to be changed. Raises BedrockError (400) for a picture without an alpha channel."""
    if "A" not in picture.getbands():
        raise malformed(f"{pointer}: a mask is required when the image has no alpha channel")
    return ImageOps.invert(picture.getchannel("A"))


def grown(mask: Image.Image, pixels: int) -> Image.Image:
    """The mask grown in all directions; what is added fades outwards, what was there stays."""
    if pixels <= 0:
        return mask
    wide, done = mask, 0
    while done < pixels:
        step = min(pixels - done, done + 1)
        for shift in ((step, 0), (-step, 0)):
            wide = ImageChops.lighter(wide, _moved(wide, shift))
        for shift in ((0, step), (0, -step)):
            wide = ImageChops.lighter(wide, _moved(wide, shift))
        done += step
    faded = ImageChops.darker(wide, wide.filter(ImageFilter.BoxBlur(max(1, pixels // 2))))
    return ImageChops.lighter(mask, faded)


def soft(mask: Image.Image, radius: float) -> Image.Image:
    """The mask with its inner edge softened by half; outside of it nothing is added."""
    inner = ImageChops.darker(mask, mask.filter(ImageFilter.GaussianBlur(radius)))
    return ImageChops.lighter(inner, mask.point([value * 3 // 5 for value in range(256)]))


def bounds(mask: Image.Image) -> tuple[int, int, int, int]:
    """The box around everything that is not black; the whole picture if all is."""
    return mask.getbbox() or (0, 0, *mask.size)


def _moved(mask: Image.Image, shift: tuple[int, int]) -> Image.Image:
    moved = Image.new("L", mask.size)
    moved.paste(mask, shift)
    return moved


def _same_size(mask: Source, size: tuple[int, int], pointer: str) -> None:
    if mask.image.size != size:
        width, height = mask.image.size
        raise malformed(
            f"{pointer}: the mask is {width}x{height} and the image is {size[0]}x{size[1]}, they must be of one size"
        )
