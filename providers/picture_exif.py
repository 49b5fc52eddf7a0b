"""How a picture's metadata says it is to be turned before it is looked at."""

from __future__ import annotations

__all__ = ["orientation"]

_TAG = 0x0112
_PREFIX = b"Exif\0\0"
_MOST_ENTRIES = 512
_SHORT = 3


def orientation(exif: bytes) -> int:
    """1 to 8 as in the Exif standard (2.32, section 4.6.4 A): 1 is upright, 6 is a telephone held upright.

    ``exif`` is the content of a JPEG's APP1 segment, a PNG's eXIf or a WebP's EXIF chunk. What can not be read says
    nothing: 1.
    """
    data = exif.removeprefix(_PREFIX)
    orders = {b"II*\0": "little", b"MM\0*": "big"}
    order = orders.get(data[:4])
    if order is None:
        return 1

    def number(at: int, length: int) -> int:
        return int.from_bytes(data[at : at + length], "little" if order == "little" else "big")

    start = number(4, 4)
    for place in range(min(number(start, 2), _MOST_ENTRIES)):
        entry = start + 2 + 12 * place
        if number(entry, 2) == _TAG and number(entry + 2, 2) == _SHORT:
            found = number(entry + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1
