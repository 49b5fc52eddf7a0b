"""Pixels to files: PNG, JPEG and WebP that say who drew them."""

from __future__ import annotations

import io
import struct
import zlib
from functools import lru_cache

from PIL import Image, ImageChops

from .job import Format

__all__ = ["DRAWN_BY", "encode", "flat"]

DRAWN_BY = "Lascaux emulator"
"""Stands in every picture: PNG text ``Software``, EXIF ``Software`` of JPEG and WebP."""

_EXIF_DESCRIPTION, _EXIF_SOFTWARE = 0x010E, 0x0131
_TRUECOLOUR, _PALETTE, _WITH_ALPHA = 2, 3, 6
_BAND = 128
"""Rows of a PNG that are filtered at a time, so that large pictures are not copied as a whole."""


def encode(picture: Image.Image, format: Format, *, model_id: str, seed: int, exact: bool = False) -> bytes:
    """An RGB or RGBA picture as a file with the model and the seed in its metadata.

    ``exact`` keeps every pixel as it is where the format can (JPEG can not, nor has it an alpha channel: white shows).
    """
    if format == "png":
        colour = _WITH_ALPHA if picture.mode == "RGBA" else _TRUECOLOUR
        return _png(picture.size, 8, colour, b"", _filtered(picture), model_id=model_id, seed=seed)
    exif = Image.Exif()
    exif[_EXIF_SOFTWARE] = DRAWN_BY
    exif[_EXIF_DESCRIPTION] = _description(model_id, seed)
    out = io.BytesIO()
    if format == "webp":
        picture.save(out, "WEBP", quality=0 if exact else 85, method=0, lossless=exact, exact=exact, exif=exif)
        return out.getvalue()
    if picture.mode == "RGBA":
        white = Image.new("RGB", picture.size, (255, 255, 255))
        white.paste(picture, (0, 0), picture)
        picture = white
    picture.save(out, "JPEG", quality=95 if exact else 90, exif=exif)
    return out.getvalue()


def flat(size: tuple[int, int], digest: bytes, format: Format, *, model_id: str, seed: int) -> bytes:
    """One colour, taken from the digest. As PNG with a palette it costs microseconds."""
    if format != "png":
        return encode(Image.new("RGB", size, tuple(digest[:3])), format, model_id=model_id, seed=seed)
    palette = _chunk(b"PLTE", digest[:3])
    return _png(size, 1, _PALETTE, palette, _blank(size), model_id=model_id, seed=seed)


def _png(
    size: tuple[int, int], depth: int, colour: int, palette: bytes, pixels: bytes, *, model_id: str, seed: int
) -> bytes:
    """A PNG file around compressed pixels. Pillow's writer tries five filters per row and takes three times as long."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    texts = (("Software", DRAWN_BY), ("Description", _description(model_id, seed)))
    text = b"".join(_chunk(b"tEXt", f"{name}\0{value}".encode("latin-1", "replace")) for name, value in texts)
    return b"\x89PNG\r\n\x1a\n" + header + text + palette + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _filtered(picture: Image.Image) -> bytes:
    """Pixels, each row as the difference to the row above (PNG filter 2), compressed."""
    width, height = picture.size
    stride = width * len(picture.getbands())
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    parts = []
    for top in range(0, height, _BAND):
        bottom = min(height, top + _BAND)
        # Above the first row everything counts as 0, which is what cropping beyond the edge gives.
        above = picture.crop((0, top - 1, width, bottom - 1))
        rows = memoryview(ImageChops.subtract_modulo(picture.crop((0, top, width, bottom)), above).tobytes())
        raw = (part for start in range(0, len(rows), stride) for part in (b"\x02", rows[start : start + stride]))
        parts.append(deflate.compress(b"".join(raw)))
    return b"".join(parts) + deflate.flush()


@lru_cache(maxsize=64)
def _blank(size: tuple[int, int]) -> bytes:
    """The pixels of a one-colour picture with one bit per pixel, compressed."""
    width, height = size
    return zlib.compress(bytes((1 + (width + 7) // 8) * height), 6)


def _description(model_id: str, seed: int) -> str:
    return f"drawn by the Lascaux emulator; model {model_id}; seed {seed}"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
