"""Input pictures: from base64 to pixels, refused as early as possible.

The header is read first; only a picture within the limits is decoded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image

from ..errors import malformed
from .header import Header, sniff

__all__ = ["CEILING", "Limits", "Source", "read"]

CEILING = 16_777_216
"""Pixels above which no picture is decoded, even where AWS documents no limit (4096 x 4096)."""

_NOTE_MAX = 4000
_EXIF_DESCRIPTION = 0x010E
# Pillow asserts that a picture with a palette has colours in it, and warns of broken EXIF (where warnings are errors).
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    AssertionError,
    UserWarning,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a model takes as input picture. Sides and areas in pixels, both ends included; ``ratio`` is long to short side.

    ``strict`` is Nova Canvas's rule: 8 bits per channel, no CMYK, and an alpha channel only if it is opaque throughout.
    """

    formats: tuple[str, ...] = ("jpeg", "png", "webp")
    side_min: int = 1
    side_max: int | None = None
    pixels_min: int = 1
    pixels_max: int = CEILING
    ratio: float | None = None
    bytes_max: int | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A decoded input picture: RGB or RGBA pixels, digest of the file, its format, and the text in its metadata."""

    image: Image.Image
    digest: str
    format: str
    note: str


def read(value: str, pointer: str, limits: Limits) -> Source:
    """Decode a picture in base64. Raises BedrockError (400) that names the field and the limit."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise malformed(f"{pointer}: the value is not valid base64") from None
    if limits.bytes_max is not None and len(data) > limits.bytes_max:
        raise malformed(f"{pointer}: the image has {len(data)} bytes, at most {limits.bytes_max} are allowed")
    header = sniff(data)
    if header is None or header.format not in limits.formats:
        allowed = ", ".join(limits.formats)
        raise malformed(f"{pointer}: the image format is not supported, it must be one of {allowed}")
    _measure(header, pointer, limits)
    picture, note = _decode(data, header, pointer)
    if limits.strict and "A" in picture.getbands() and picture.getextrema()[-1] != (255, 255):
        raise malformed(f"{pointer}: the image has transparent pixels, its alpha channel must be opaque")
    if "A" in picture.getbands() and limits.strict:
        picture = picture.convert("RGB")
    return Source(image=picture, digest=hashlib.sha256(data).hexdigest(), format=header.format, note=note)


def _measure(header: Header, pointer: str, limits: Limits) -> None:
    width, height = header.width, header.height
    size = f"{pointer}: the image is {width}x{height}"
    low, high = min(width, height), max(width, height)
    if low < limits.side_min:
        raise malformed(f"{size}, each side must have at least {limits.side_min} pixels")
    if limits.side_max is not None and high > limits.side_max:
        raise malformed(f"{size}, each side must have at most {limits.side_max} pixels")
    if width * height < limits.pixels_min:
        raise malformed(f"{size}, it must have at least {limits.pixels_min} pixels")
    if width * height > limits.pixels_max:
        raise malformed(f"{size}, it must have at most {limits.pixels_max} pixels")
    if limits.ratio is not None and high > low * limits.ratio:
        raise malformed(f"{size}, its aspect ratio must be between 1:{limits.ratio:g} and {limits.ratio:g}:1")
    if limits.strict and header.depth > 8:
        raise malformed(f"{pointer}: the image has {header.depth} bits per channel, 8 are allowed")
    if limits.strict and header.channels == 4:
        raise malformed(f"{pointer}: the image is not RGB")


def _decode(data: bytes, header: Header, pointer: str) -> tuple[Image.Image, str]:
    """The first frame in RGB or RGBA, and the text in the metadata."""
    try:
        with Image.open(io.BytesIO(data), formats=(header.format,)) as file:
            if file.size != (header.width, header.height):
                raise ValueError("two sizes in one file")
            file.load()
            return _pixels(file), _note(file)
    except (*_BROKEN, Image.DecompressionBombError):
        raise malformed(f"{pointer}: the image can not be decoded") from None


def _pixels(file: Image.Image) -> Image.Image:
    if file.mode.startswith(("I", "F")):
        return file.convert("I").point(_high_byte).convert("L").convert("RGB")
    return file.convert("RGBA" if file.has_transparency_data else "RGB")


def _high_byte(value: float) -> float:
    """Pillow reads this as a scale: 16 bits to 8."""
    return value * (1 / 257)


def _note(file: Image.Image) -> str:
    """Words in the metadata; they can set failures off where a task has no prompt."""
    texts = [value for value in file.info.values() if isinstance(value, str)]
    try:
        description = file.getexif().get(_EXIF_DESCRIPTION)
    except _BROKEN:
        description = None
    if isinstance(description, str):
        texts.append(description)
    return "\n".join(texts)[:_NOTE_MAX]
