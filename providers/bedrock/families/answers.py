"""From what stands in an answer to a result, or to the error that says why there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ...errors import BadResponse, ContentFiltered, Unavailable
from ...images import read_tail
from ...quick import quick
from ...types import Call, Image, ImageResult, Missing, Warning

__all__ = ["Entry", "listed", "result", "seed_of", "shortened"]

_LONGEST = 300
_PNG_END = b"IEND\xaeB`\x82"
_TAIL = 512
"""Bytes at the end of a picture in which its end is looked for first: most files have nothing behind it."""
_NUMBER = re.compile(r"\d{1,20}")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One picture of an answer, or what came in its place.

    ``fault`` is empty for a picture, ``filtered`` (then ``stage`` tells where), ``failed`` when the model says that it
    failed, or ``unreadable``.
    """

    b64: Any = None
    seed: int | None = None
    fault: str = ""
    message: str = ""
    stage: str = "output_image"


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def shortened(value: Any) -> str:
    """A provider's own words as one line of bounded length."""
    return " ".join(str(value).split())[:_LONGEST]


def seed_of(value: Any, otherwise: int | None) -> int | None:
    """A seed as a number: Stability's models answer with a number or with a text of digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return otherwise


def result(call: Call, entries: Sequence[Entry], request_id: str | None) -> ImageResult:
    """The pictures of an answer, with what is missing.

    Raises ContentFiltered, Unavailable or BadResponse when there is not one picture. When there are some, the others are
    reported as missing: a picture that was paid for is not thrown away because its neighbour was refused.
    """
    checked: list[Entry | Image] = [_checked(entry) for entry in entries]
    if len(checked) == call.images and not any(type(found) is Entry for found in checked):
        return ImageResult(images=cast(tuple[Image, ...], tuple(checked)), request_id=request_id)
    checked += [
        Entry(fault="unreadable", message=f"the answer holds {len(checked)} of {call.images} pictures")
        for _ in range(call.images - len(checked))
    ]
    images = tuple(found for found in checked if isinstance(found, Image))
    lost = [(index, found) for index, found in enumerate(checked) if isinstance(found, Entry)]
    if not images:
        raise _error([entry for _, entry in lost], request_id)
    missing = tuple(
        Missing(index=index, reason="filtered" if entry.fault == "filtered" else "failed", message=entry.message)
        for index, entry in lost
    )
    return ImageResult(images=images, missing=missing, request_id=request_id, warnings=_warnings(call, images, missing))


def _checked(entry: Entry) -> Entry | Image:
    """The picture, if it is one that is whole. Its header has been read, and is kept."""
    if entry.fault:
        return entry
    try:
        picture = Image(entry.b64, seed=entry.seed)
        if not _ends_well(picture):
            _check_end(picture.format, picture.bytes)
    except ValueError as error:
        return Entry(fault="unreadable", message=f"the answer holds something that is not a picture: {error}")
    return picture


def _ends_well(picture: Image) -> bool:
    """Do a few bytes suffice to see that the file is whole? False where they do not tell.

    Letters that come as a view were checked, all of them, when they were cut out of the answer.
    """
    letters = picture.letters
    if not isinstance(letters, memoryview) or picture.format == "webp":
        return False
    try:
        _check_end(picture.format, read_tail(letters, _TAIL))
    except ValueError:
        return False
    return True


def _check_end(kind: str, data: bytes) -> None:
    """Raise ValueError if a file ends before its format says so: a cut picture would be kept like a whole one."""
    if kind == "png":
        whole = data.rfind(_PNG_END) > 0
    elif kind == "jpeg":
        whole = data.rstrip(b"\0").endswith(b"\xff\xd9")
    else:
        whole = len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if not whole:
        raise ValueError("a picture that ends too soon")


def _error(lost: Sequence[Entry], request_id: str | None) -> Exception:
    for entry in lost:
        if entry.fault == "filtered":
            return ContentFiltered(entry.message, stage=entry.stage, upstream_status=200, request_id=request_id)
    for entry in lost:
        if entry.fault == "failed":
            return Unavailable(entry.message, upstream_status=200, request_id=request_id, may_be_billed=True)
    message = lost[0].message if lost else "the answer holds no picture"
    return BadResponse(message, upstream_status=200, request_id=request_id)


def _warnings(call: Call, images: Sequence[Image], missing: Sequence[Missing]) -> tuple[Warning, ...]:
    found = []
    for reason, code in (("filtered", "filtered"), ("failed", "may_be_billed")):
        of_reason = [one for one in missing if one.reason == reason]
        if of_reason:
            message = f"{len(of_reason)} of {call.images} pictures are missing: {of_reason[0].message}"
            found.append(Warning(code=code, message=message))
    if len(images) > call.images:
        message = f"the answer holds {len(images)} pictures, {call.images} were asked for"
        found.append(Warning(code="may_be_billed", message=message))
    return tuple(found)
