"""Looking through a picture's file without decoding it: what it is, whether it is whole, what it would cost to open."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace

from .picture_exif import orientation

__all__ = ["MAX_PIXELS", "MAX_SIDE", "Features", "inspect_file", "kind_of"]

MAX_PIXELS = 50_000_000
"""Above what telephones make and five times what any model takes (models.yaml: 9,437,184)."""
MAX_SIDE = 20_000

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 100_000
_MOST_SEGMENTS = 4096
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends a run of JPEG picture data: 0xFF before anything but stuffing, filling and restart marks."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""PNG colour type -> bits per channel (PNG specification, table 11.1)."""

_STARTS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"II+\0", "a TIFF"),
    (b"MM\0+", "a TIFF"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"\0\0\1\0", "an icon"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
)
_BRANDS = {b"heic": "a HEIC", b"heix": "a HEIC", b"hevc": "a HEIC", b"mif1": "a HEIC", b"msf1": "a HEIC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a file says of itself. ``depth`` is bits per channel, ``cmyk`` tells of four inks instead of light.

    ``width`` and ``height`` are those of the pixels as they are stored; ``orientation`` (1 to 8, see `orientation`) tells
    how they are turned for the viewer.
    """

    format: str
    width: int
    height: int
    alpha: bool = False
    depth: int = 8
    cmyk: bool = False
    orientation: int = 1


def kind_of(data: bytes) -> str | None:
    """``png``, ``jpeg`` or ``webp`` by the first bytes, whatever the name says; else None."""
    if data[:8] == _PNG:
        return "png"
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def inspect_file(data: bytes) -> Features:
    """What the file is. Raises ValueError, in words that follow "it is", if no model could use it.

    The file is walked from part to part up to its end, so one that was cut short is found; its pixels are not decoded.
    """
    kind = kind_of(data)
    if kind is None:
        raise ValueError(_foreign(data))
    try:
        found = {"png": _png, "jpeg": _jpeg, "webp": _webp}[kind](data)
    except IndexError:
        raise ValueError(f"a {_NAMES[kind]} that ends too soon") from None
    _sized(kind, found.width, found.height)
    return found


_NAMES = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP"}


def _sized(kind: str, width: int, height: int) -> None:
    if not width or not height:
        raise ValueError(f"a {_NAMES[kind]} without size ({width}x{height})")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        limits = f"at most {MAX_PIXELS:,} pixels and {MAX_SIDE:,} per side are read"
        raise ValueError(f"a {_NAMES[kind]} of {width}x{height} pixels; {limits}")


def _foreign(data: bytes) -> str:
    """What the file is instead of a picture that models take."""
    named = next((name for start, name in _STARTS if data.startswith(start)), None)
    if data[4:8] == b"ftyp":
        named = "an AVIF" if b"avi" in data[8:32] else _BRANDS.get(data[8:12], "a video")
    elif named is None and b"<svg" in data[:4096].lower():
        named = "an SVG"
    if named is None:
        return "not a PNG, JPEG or WebP picture"
    return f"{named}; convert it to PNG, JPEG or WebP"


def _number(data: bytes, start: int, length: int, order: str = "big") -> int:
    if start + length > len(data):
        raise IndexError
    return int.from_bytes(data[start : start + length], "big" if order == "big" else "little")


def _png(data: bytes) -> Features:
    if data[12:16] != b"IHDR" or _number(data, 8, 4) != 13:
        raise ValueError("a PNG that does not begin with its size")
    width, height, depth, colour = (
        _number(data, 16, 4),
        _number(data, 20, 4),
        _number(data, 24, 1),
        _number(data, 25, 1),
    )
    _sized("png", width, height)
    if depth not in _DEPTHS.get(colour, ()):
        raise ValueError(f"a broken PNG (colour type {colour} with {depth} bits)")
    seen: set[bytes] = set()
    offset, turned = 8, 1
    for _ in range(_MOST_CHUNKS):
        length, kind = _number(data, offset, 4), data[offset + 4 : offset + 8]
        end = offset + 8 + length
        if _number(data, end, 4) != zlib.crc32(memoryview(data)[offset + 4 : end]):
            raise ValueError("a damaged PNG (a checksum is wrong)")
        if kind == b"IHDR" and kind in seen:  # decoders do not agree which of them counts
            raise ValueError("a damaged PNG (it tells its size twice)")
        if kind == b"acTL":
            raise ValueError("an animated PNG; give one still picture")
        if kind == b"eXIf":
            turned = orientation(data[offset + 8 : end])
        seen.add(kind)
        offset = end + 4
        if kind == b"IEND":
            break
    else:
        raise ValueError(f"a PNG of too many parts (at most {_MOST_CHUNKS:,} are read)")
    if b"IDAT" not in seen:
        raise ValueError("a PNG without its pixels")
    if colour == 3 and b"PLTE" not in seen:
        raise ValueError("a PNG without its palette")
    alpha = colour in (4, 6) or b"tRNS" in seen
    return Features(format="png", width=width, height=height, alpha=alpha, depth=depth, orientation=turned)


def _jpeg(data: bytes) -> Features:
    offset, frame, scanned, turned = 2, None, False, 1
    for _ in range(_MOST_SEGMENTS):
        offset = _filled(data, offset)
        mark, kind = _number(data, offset, 1), _number(data, offset + 1, 1)
        if mark != 0xFF:
            raise ValueError("a damaged JPEG (a part does not begin where the last one ends)")
        if kind == 0xD9:
            break
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:
            offset += 2
            continue
        length = _number(data, offset + 2, 2)
        if length < 2:
            raise ValueError("a damaged JPEG (a part without length)")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            if frame is not None:
                raise ValueError("a damaged JPEG (it tells its size twice)")
            frame = _frame(data, offset, kind)
        elif kind == 0xE1 and data[offset + 4 : offset + 8] == b"Exif":
            turned = orientation(data[offset + 4 : offset + 2 + length])
        offset += 2 + length
        if kind == 0xDA:
            scanned = True
            found = _MARKER.search(data, offset)
            if found is None:
                raise IndexError
            offset = found.start()
    else:
        raise ValueError("a JPEG of too many parts")
    if frame is None or not scanned:
        raise ValueError("a JPEG without size or pixels")
    return replace(frame, orientation=turned)


def _filled(data: bytes, offset: int) -> int:
    """Where the filling before a mark ends."""
    while _number(data, offset, 1) == 0xFF and _number(data, offset + 1, 1) == 0xFF:
        offset += 1
        if data[offset : offset + 64] == b"\xff" * 64:
            raise ValueError("a damaged JPEG (nothing but filling)")
    return offset


def _frame(data: bytes, offset: int, kind: int) -> Features:
    depth, inks = _number(data, offset + 4, 1), _number(data, offset + 9, 1)
    if kind not in (0xC0, 0xC1, 0xC2) or depth != 8 or inks not in (1, 3, 4):
        raise ValueError(
            f"a JPEG of a rare kind ({depth} bits, {inks} channels, coding {kind - 0xC0}); convert it to PNG"
        )
    height, width = _number(data, offset + 5, 2), _number(data, offset + 7, 2)
    _sized("jpeg", width, height)
    return Features(format="jpeg", width=width, height=height, cmyk=inks == 4)


def _webp(data: bytes) -> Features:
    end = 8 + _number(data, 4, 4, "little")
    if end > len(data):
        raise IndexError
    canvas: tuple[int, int] | None = None
    frame: tuple[int, int] | None = None
    alpha, offset, turned = False, 12, 1
    for _ in range(_MOST_CHUNKS):
        if offset >= end:
            break
        kind, length = data[offset : offset + 4], _number(data, offset + 4, 4, "little")
        body = offset + 8
        if body + length > end:
            raise IndexError
        if kind == b"VP8X":
            flags = _number(data, body, 1)
            canvas = 1 + _number(data, body + 4, 3, "little"), 1 + _number(data, body + 7, 3, "little")
            alpha = alpha or bool(flags & 0x10)
        elif kind in (b"ANIM", b"ANMF"):
            raise ValueError("an animated WebP; give one still picture")
        elif kind == b"EXIF":
            turned = orientation(data[body : body + length])
        elif kind in (b"VP8 ", b"VP8L") and frame is None:
            *frame_size, has_alpha = _bitstream(kind, data, body)
            frame, alpha = (frame_size[0], frame_size[1]), alpha or bool(has_alpha)
        offset = body + length + length % 2
    else:
        raise ValueError(f"a WebP of too many parts (at most {_MOST_CHUNKS:,} are read)")
    if frame is None:
        raise ValueError("a WebP without pixels")
    if canvas not in (None, frame):
        raise ValueError("a damaged WebP (it tells two sizes)")
    return Features(format="webp", width=frame[0], height=frame[1], alpha=alpha, orientation=turned)


def _bitstream(kind: bytes, data: bytes, body: int) -> tuple[int, int, int]:
    """Width, height, and whether there is alpha."""
    if kind == b"VP8L":
        bits = _number(data, body + 1, 4, "little")
        if data[body] != 0x2F:
            raise ValueError("a damaged WebP (no picture data)")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), bits >> 28 & 1
    if data[body + 3 : body + 6] != b"\x9d\x01\x2a":
        raise ValueError("a damaged WebP (no picture data)")
    return _number(data, body + 6, 2, "little") & 0x3FFF, _number(data, body + 8, 2, "little") & 0x3FFF, 0
