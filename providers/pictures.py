"""Input pictures: whatever a caller hands over becomes one checked `Picture`, or an error that says why not."""

from __future__ import annotations

import binascii
import inspect
import io
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pybase64

from .decoding import OtherSize, decoded
from .errors import InvalidRequest
from .param_values import shown
from .picture_files import MAX_PIXELS, MAX_SIDE, Features, inspect_file
from .picture_urls import UrlFetcher
from .types import Image, Picture, Warning

__all__ = ["MAX_BYTES", "MAX_TEXT", "Sources", "adapted_picture", "encode_png", "open_picture", "read_picture"]

MAX_BYTES = 25_000_000
"""Of one file. More than Bedrock takes as base64, so that a picture that shrinks when it is converted may come in."""
MAX_TEXT = 25_000_000
"""Letters of base64: Bedrock's limit for a whole body (WIRE.md, section 2)."""

ALLOWED = (
    "a PNG, JPEG or WebP picture as bytes, path, file object, base64, data URL, Pillow image, (name, bytes) or picture"
)
_ALLOWED_AFAR = "a PNG, JPEG or WebP picture as base64, as a data URL or as a file of a form"
_WHOLE = "a PNG, JPEG or WebP picture whose pixels can be read"
_LONGEST_PATH = 4096
_QUALITY = 95
"""Of a JPEG that had to be turned: Pillow's documentation advises against more."""
_LONGEST_TEXT = MAX_BYTES // 3 * 4 + 1_000_000
"""Letters, line ends among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where pictures may be read from: ``files`` of this computer by path, and ``urls``.

    A service that passes on what strangers send allows neither: a path would read its own disk.
    """

    files: bool = True
    urls: bool = False
    fetcher: UrlFetcher = field(default_factory=UrlFetcher)

    @property
    def allowed(self) -> str:
        """What a picture may be: strangers over HTTP can send no path and no object of Python's."""
        return ALLOWED if self.files else _ALLOWED_AFAR


def read_picture(
    value: Any, *, name: str = "image", allow_urls: bool = False, sources: Sources | None = None
) -> Picture:
    """The checked picture in ``value``; see `adapted_picture`, whose warnings this leaves out."""
    return adapted_picture(value, name=name, sources=sources or Sources(urls=allow_urls))[0]


def adapted_picture(
    value: Any, *, name: str = "image", sources: Sources | None = None
) -> tuple[Picture, tuple[Warning, ...]]:
    """The checked picture in ``value``, and what had to be changed in it.

    Taken are bytes, bytearray, memoryview, a path, an open file, base64, a data URL, a Pillow image, (file name, bytes[,
    type]) and {b64_json | image_url | url: ...} as OpenAI's clients write them, an `Image` and a `Picture`; with
    ``sources.urls`` an https URL. The format is read from the bytes. The file is walked to its end, not decoded, unless it
    has 16 bits per channel or CMYK colours, which no model takes: it becomes an 8-bit RGB PNG, with a warning. So is one
    that says how it is to be turned (Exif): nobody documents that models do it, so it is turned here, and a mask fits what
    one sees. A JPEG stays one. A Pillow image is taken as its pixels are.

    Raises InvalidRequest that names ``name``: not a picture, cut short, animated, too large, without size.
    """
    if isinstance(value, Picture):
        return value, ()
    sources = sources or Sources()
    data, text = _content(value, name, sources)
    try:
        found = inspect_file(data)
    except ValueError as error:
        message = f"{name} is {error}" if not str(error).startswith("not") else f"{name}: {error}"
        raise InvalidRequest(message, parameter=name, allowed=sources.allowed) from None
    if found.depth == 16 or found.cmyk or found.orientation != 1:
        return _plain(data, found, name)
    text = text if text is not None else pybase64.b64encode(data).decode()
    return _fitting(text, name, found), ()


def encode_png(image: Any) -> Picture:
    """A Pillow image as a PNG picture. Modes that a PNG has not are not converted here."""
    file = io.BytesIO()
    image.save(file, "png")
    data = file.getvalue()
    width, height = image.size
    text = pybase64.b64encode(data).decode()
    return Picture(b64=text, format="png", width=width, height=height, alpha=image.mode in ("RGBA", "LA"))


def open_picture(picture: Picture, *, name: str = "image") -> Any:
    """The decoded Pillow image. Raises InvalidRequest if its pixels are damaged."""
    return _decoded(picture.bytes, name, (picture.width, picture.height))


def _decoded(data: bytes, name: str, size: tuple[int, int]) -> Any:
    try:
        return decoded(data, size)
    except OtherSize as error:
        raise InvalidRequest(f"{name} is damaged: {error}", parameter=name, allowed=_WHOLE) from None
    except (
        Exception
    ):  # Pillow's decoders raise whatever the damage leads to: SyntaxError, struct.error, IndexError, ...
        message = f"{name} is damaged: its pixels can not be decoded"
        raise InvalidRequest(message, parameter=name, allowed=_WHOLE) from None


def _plain(data: bytes, found: Features, name: str) -> tuple[Picture, tuple[Warning, ...]]:
    """The same picture upright, with 8 bits of red, green and blue, and alpha if it had that."""
    image = _turned(_decoded(data, name, (found.width, found.height)), found.orientation)
    if found.depth != 16 and not found.cmyk:
        text, format = _encoded(image, found)
        message = (
            f"its metadata (Exif orientation {found.orientation}) says how to turn it; it was turned, as one sees it"
        )
        made = Features(format=format, width=image.width, height=image.height, alpha=found.alpha)
        return _fitting(text, name, made), (Warning(code="adapted", parameter=name, message=message),)
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
        image = image.convert("I").point(lambda level: level / 257).convert("L")
    mode = "RGBA" if found.alpha else "RGB"
    image = image.convert(mode)
    image.info.clear()  # its colour profile belongs to what it was before
    picture = encode_png(image)
    was = "CMYK colours" if found.cmyk else "16 bits per channel"
    warning = Warning(
        code="adapted",
        parameter=name,
        message=f"it had {was}, which no model takes; it became an 8-bit PNG"
        + (", turned as one sees it" if found.orientation != 1 else ""),
    )
    made = Features(format="png", width=image.width, height=image.height, alpha=found.alpha)
    return _fitting(picture.b64, name, made), (warning,)


def _turned(image: Any, orientation: int) -> Any:
    """The pixels as Exif's orientation says that they are looked at."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _encoded(image: Any, found: Features) -> tuple[str, str]:
    """The turned picture as base64, and its format: a JPEG as a fine JPEG, for as a PNG a photo would be huge; else PNG."""
    profile = {"icc_profile": image.info["icc_profile"]} if image.info.get("icc_profile") else {}
    if found.format == "jpeg":
        file = io.BytesIO()
        image.save(file, "jpeg", quality=_QUALITY, subsampling=0, **profile)
        return pybase64.b64encode(file.getvalue()).decode(), "jpeg"
    if image.mode not in ("RGB", "RGBA", "L", "LA"):
        image = image.convert("RGBA" if found.alpha else "RGB")
    image.info = profile
    return encode_png(image).b64, "png"


def _fitting(text: str, name: str, found: Features) -> Picture:
    if len(text) > MAX_TEXT:
        message = f"{name} is {len(text):,} letters as base64; a request holds at most {MAX_TEXT:,}"
        raise InvalidRequest(message, parameter=name, allowed=f"a file of at most {MAX_TEXT // 4 * 3:,} bytes")
    return Picture(b64=text, format=found.format, width=found.width, height=found.height, alpha=found.alpha)


def _content(value: Any, name: str, sources: Sources) -> tuple[bytes, str | None]:
    """The file's bytes, and their base64 if that is how they came."""
    if isinstance(value, Image):
        value = value.b64
        return _base64(value, name, sources)
    if isinstance(value, str):
        return _text(value, name, sources)
    if isinstance(value, tuple) and 2 <= len(value) <= 4 and not isinstance(value[1], (str, tuple, Mapping)):
        return _content(value[1], name, sources)
    if isinstance(value, Mapping):
        return _content(_named(value, name), name, Sources(files=False, urls=sources.urls, fetcher=sources.fetcher))
    if isinstance(value, (bytes, bytearray, memoryview)):
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        if size > MAX_BYTES:
            raise _too_large(size, name)
        return bytes(value), None
    if isinstance(value, os.PathLike):
        return _file(Path(value), name, sources), None
    if callable(getattr(value, "read", None)):
        return _stream(value, name), None
    if any(kind.__module__.startswith("PIL.") for kind in type(value).__mro__):
        return _pillow(value, name), None
    raise _wrong(name, value, sources)


def _wrong(name: str, value: Any, sources: Sources) -> InvalidRequest:
    allowed = sources.allowed
    return InvalidRequest(f"{name} must be {allowed}, not {_short(value)}", parameter=name, allowed=allowed)


def _short(value: Any) -> str:
    """A number or a short text itself, of anything else the type: pictures are not quoted."""
    if isinstance(value, (int, float, bool, type(None))) or (isinstance(value, str) and len(value) <= 80):
        return shown(value)
    return f"{len(value):,} characters" if isinstance(value, str) else shown(type(value).__name__).strip("'")


def _too_large(size: int, name: str) -> InvalidRequest:
    message = f"{name} holds {size:,} bytes or more; at most {MAX_BYTES:,} are read"
    return InvalidRequest(message, parameter=name, allowed=f"a file of at most {MAX_BYTES:,} bytes")


def _named(value: Mapping[Any, Any], name: str) -> Any:
    """What stands in {b64_json | image_url | url: ...}."""
    if value.get("file_id") is not None:
        message = f"{name}: file ids are not available here; send the picture itself, as base64 or as a data URL"
        raise InvalidRequest(message, parameter=name, allowed="b64_json or image_url", nearest="image_url")
    given = [key for key in ("b64_json", "image_url", "url") if value.get(key) is not None]
    inner = value[given[0]] if len(given) == 1 else None
    if isinstance(inner, Mapping) and given == ["image_url"]:
        inner = inner.get("url")
    if not isinstance(inner, str):
        message = f"{name}: an object must hold exactly one of b64_json, image_url and url, as a text"
        raise InvalidRequest(message, parameter=name, allowed="one of b64_json, image_url and url")
    return inner


def _text(value: str, name: str, sources: Sources) -> tuple[bytes, str | None]:
    if not value.strip():
        raise InvalidRequest(f"{name} is empty", parameter=name, allowed=sources.allowed)
    start = value[:16].lstrip().lower()
    if start.startswith("data:"):
        head, comma, text = value.lstrip().partition(",")
        if not comma or not head.lower().endswith(";base64"):
            message = f"{name}: a data URL must be data:image/png;base64,... (or another type)"
            raise InvalidRequest(message, parameter=name, allowed="data:image/png;base64,...")
        return _base64(text, name, sources)
    if start.startswith(("https:", "http:")):
        if not sources.urls:
            message = f"{name}: URLs are not fetched here; give the picture itself"
            raise InvalidRequest(message, parameter=name, allowed=sources.allowed)
        return sources.fetcher.fetch(value.strip(), name), None
    if sources.files and len(value) <= _LONGEST_PATH and "\0" not in value:
        with suppress(OSError, ValueError):
            path = Path(value).expanduser() if value.startswith("~") else Path(value)
            if path.is_file():
                return _file(path, name, sources), None
    try:
        return _base64(value, name, sources)
    except InvalidRequest:
        if len(value) > _LONGEST_PATH or not sources.files:
            raise
        message = f"{name}: {_short(value)} is neither an existing file nor base64"
        raise InvalidRequest(message, parameter=name, allowed=sources.allowed) from None


def _base64(text: str, name: str, sources: Sources) -> tuple[bytes, str | None]:
    """The bytes, and the text if it can be sent as it is."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidRequest(f"{name} is empty", parameter=name, allowed=sources.allowed)
    if len(text) > _LONGEST_TEXT:
        raise _too_large(len(text) // 4 * 3, name)
    with suppress(ValueError, binascii.Error):
        return pybase64.b64decode(text, validate=True), str.__str__(text)
    with suppress(ValueError, binascii.Error):  # lines of 76 letters, as in mail
        return pybase64.b64decode("".join(text.split()), validate=True), None
    message = f"{name} is not base64 (A-Z a-z 0-9 + / and = at the end)"
    raise InvalidRequest(message, parameter=name, allowed=sources.allowed)


def _file(path: Path, name: str, sources: Sources) -> bytes:
    if not sources.files:
        raise InvalidRequest(f"{name}: files are not read here", parameter=name, allowed="the picture itself")
    try:
        if not path.is_file():
            message = f"{name}: there is no file {shown(str(path))}"
            raise InvalidRequest(message, parameter=name, allowed="a path to a picture")
        with path.open("rb") as file:
            return _stream(file, name)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such path"
        message = f"{name}: {shown(str(path))} can not be read ({why})"
        raise InvalidRequest(message, parameter=name, allowed="a path to a picture") from None


def _stream(file: Any, name: str) -> bytes:
    """What is left in an open file, if it is not too much."""
    try:
        data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, TypeError) as error:
        message = f"{name}: the file can not be read ({type(error).__name__})"
        raise InvalidRequest(message, parameter=name, allowed="a file opened for reading bytes") from None
    if inspect.iscoroutine(data):
        data.close()
    if not isinstance(data, (bytes, bytearray)):
        message = f"{name}: the file does not give bytes; open it with mode 'rb'"
        raise InvalidRequest(message, parameter=name, allowed="a file opened for reading bytes")
    if not data:
        message = f"{name}: the file is empty, or was read before; rewind it with seek(0)"
        raise InvalidRequest(message, parameter=name, allowed="a file with a picture in it")
    if len(data) > MAX_BYTES:
        raise _too_large(len(data), name)
    return bytes(data)


def _pillow(image: Any, name: str) -> bytes:
    """A Pillow image as a PNG."""
    size = getattr(image, "size", None)
    if not isinstance(size, tuple) or not callable(getattr(image, "save", None)):
        raise _wrong(name, image, Sources())
    width, height = size
    if not width or not height or width * height > MAX_PIXELS or max(size) > MAX_SIDE:
        message = f"{name} has {width}x{height} pixels; 1 to {MAX_PIXELS:,} are read"
        raise InvalidRequest(message, parameter=name, allowed=f"1 to {MAX_PIXELS:,} pixels")
    if getattr(image, "is_animated", False):
        message = f"{name} is animated; give one still picture, such as frame.copy()"
        raise InvalidRequest(message, parameter=name, allowed=ALLOWED)
    try:
        if image.mode in ("I", "F"):
            message = f"{name}: a Pillow image of mode {image.mode} has no known white; convert it to RGB"
            raise InvalidRequest(message, parameter=name, allowed="a Pillow image of mode RGB, RGBA, L or LA")
        if image.mode not in ("RGB", "RGBA", "L", "LA", "I;16"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        return encode_png(image).bytes
    except (OSError, ValueError, SyntaxError) as error:
        message = f"{name}: the Pillow image can not be read ({type(error).__name__})"
        raise InvalidRequest(message, parameter=name, allowed=ALLOWED) from None
