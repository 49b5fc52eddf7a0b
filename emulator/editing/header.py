"""Format and size of a picture from its first bytes, so that nothing absurd is ever decoded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Header", "sniff"]

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_MAX_SEGMENTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself. ``depth`` is bits per channel, ``channels`` counts JPEG's components (PNG, WebP: 0)."""

    format: str
    width: int
    height: int
    depth: int = 8
    channels: int = 0


def sniff(data: bytes) -> Header | None:
    """The header of a PNG, JPEG or WebP file; None for anything else, and for files that end within it."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data)
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _png(data: bytes) -> Header | None:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    return Header(format="png", width=_big(data[16:20]), height=_big(data[20:24]), depth=data[24])


def _jpeg(data: bytes) -> Header | None:
    """Walk over the segments until the one that starts the frame."""
    place = 2
    for _ in range(_MAX_SEGMENTS):
        if place + 4 > len(data) or data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _STANDALONE:
            place += 2
        elif marker in _START_OF_FRAME:
            if place + 10 > len(data):
                return None
            frame = data[place + 4 :]
            return Header(
                format="jpeg", depth=frame[0], height=_big(frame[1:3]), width=_big(frame[3:5]), channels=frame[5]
            )
        else:
            place += 2 + _big(data[place + 2 : place + 4])
    return None


def _webp(data: bytes) -> Header | None:
    kind, start = data[12:16], data[20:30]
    if len(start) < 10:
        return None
    if kind == b"VP8X":
        return Header(format="webp", width=1 + _little(start[4:7]), height=1 + _little(start[7:10]))
    if kind == b"VP8L" and start[0] == 0x2F:
        bits = _little(start[1:5])
        return Header(format="webp", width=1 + (bits & 0x3FFF), height=1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 " and start[3:6] == b"\x9d\x01\x2a":
        return Header(format="webp", width=_little(start[6:8]) & 0x3FFF, height=_little(start[8:10]) & 0x3FFF)
    return None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
