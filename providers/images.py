"""Reading pictures without decoding them."""

from __future__ import annotations

from dataclasses import dataclass

import pybase64

from .quick import quick

__all__ = ["Letters", "PictureHeader", "is_base64", "read_header", "read_tail"]

Letters = str | memoryview
"""Base64: a text, or a view of its ASCII letters in a larger buffer."""

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_SEGMENTS = 1024
_STEP = 128 * 1024
"""Letters that are decoded at a time to check them: what comes of them stays in the processor's cache."""
_LOSSY_START = b"\x9d\x01\x2a"


@quick
@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the first bytes of a picture say: ``png``, ``jpeg`` or ``webp``, and its size in pixels."""

    format: str
    width: int
    height: int


def read_header(b64: Letters) -> PictureHeader:
    """The header of a base64 picture. Raises ValueError if it is none of the three formats.

    Only the bytes that are looked at are decoded, wherever they lie: a JPEG whose size stands behind a megabyte of
    metadata costs no more than one without. The rest of the text is not checked.
    """
    if not isinstance(b64, Letters) or len(b64) % 4:
        raise ValueError("not base64")
    start = _bytes(b64, 0, 16)
    if start[:8] == _PNG:
        header = _png(b64)
    elif start[:2] == b"\xff\xd8":
        header = _jpeg(b64)
    elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        header = _webp(b64)
    else:
        raise ValueError("not a PNG, JPEG or WebP picture")
    if header.width == 0 or header.height == 0:
        raise ValueError("a picture without size")
    return header


def is_base64(b64: memoryview) -> bool:
    """Would all of it decode? Nothing of it is kept, so a picture of any size needs no memory for this."""
    try:
        for start in range(0, len(b64), _STEP):
            piece = pybase64.b64decode(b64[start : start + _STEP], validate=True)
            if len(piece) != _STEP // 4 * 3 and start + _STEP < len(b64):
                return False  # it ends, with a "=", before its end
    except ValueError:
        return False
    return True


def read_tail(b64: memoryview, count: int) -> bytes:
    """The last ``count`` bytes of the file, or a few more; all of them if it has no more."""
    return pybase64.b64decode(b64[-(count // 3 + 2) * 4 :], validate=True)


def _bytes(b64: Letters, offset: int, length: int) -> bytes:
    """The bytes at ``offset``; 4 letters hold 3 bytes, so any place can be read alone."""
    first = offset // 3
    last = -(-(offset + length) // 3)
    data = pybase64.b64decode(b64[first * 4 : last * 4], validate=True)
    found = data[offset - first * 3 : offset - first * 3 + length]
    if len(found) < length:
        raise ValueError("a picture that ends too soon")
    return found


def _png(b64: Letters) -> PictureHeader:
    data = _bytes(b64, 8, 16)
    if data[4:8] != b"IHDR":
        raise ValueError("a PNG that does not begin with its size")
    return PictureHeader("png", int.from_bytes(data[8:12], "big"), int.from_bytes(data[12:16], "big"))


def _jpeg(b64: Letters) -> PictureHeader:
    offset = 2
    for _ in range(_MOST_SEGMENTS):
        mark, kind = _bytes(b64, offset, 2)
        if mark != 0xFF or kind in (0xD9, 0xDA):  # the picture data begins, or ends, before its size was told
            break
        if kind == 0xFF:  # filling
            offset += 1
        elif kind == 0x01 or 0xD0 <= kind <= 0xD8:  # marks without content
            offset += 2
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            data = _bytes(b64, offset + 5, 4)
            return PictureHeader("jpeg", int.from_bytes(data[2:], "big"), int.from_bytes(data[:2], "big"))
        else:
            offset += 2 + int.from_bytes(_bytes(b64, offset + 2, 2), "big")
    raise ValueError("a JPEG that does not tell its size")


def _webp(b64: Letters) -> PictureHeader:
    kind = _bytes(b64, 12, 4)
    if kind == b"VP8X":
        data = _bytes(b64, 24, 6)
        return PictureHeader("webp", 1 + int.from_bytes(data[:3], "little"), 1 + int.from_bytes(data[3:], "little"))
    if kind == b"VP8L":
        data = _bytes(b64, 20, 5)
        bits = int.from_bytes(data[1:], "little")
        if data[0] == 0x2F:
            return PictureHeader("webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        data = _bytes(b64, 23, 7)
        if data[:3] == _LOSSY_START:
            width, height = int.from_bytes(data[3:5], "little"), int.from_bytes(data[5:], "little")
            return PictureHeader("webp", width & 0x3FFF, height & 0x3FFF)
    raise ValueError("a WebP that does not tell its size")
