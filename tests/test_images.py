from __future__ import annotations

import base64
import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.images import PictureHeader, read_header
from lascaux.providers.types import Image
from PIL import Image as Pillow

KINDS = [("png", {}), ("jpeg", {}), ("jpeg", {"progressive": True}), ("webp", {}), ("webp", {"lossless": True})]
MODES = {"png": ("RGB", "RGBA", "L"), "jpeg": ("RGB", "L"), "webp": ("RGB", "RGBA")}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def picture(kind: str, size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Pillow.new(mode, size, 120).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (1173, 640), (320, 704), (2047, 3)])
def test_the_size_of_a_real_picture_is_read(kind: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    """What Pillow writes, in each mode the format has, is recognised with its size."""
    for mode in MODES[kind]:
        text = b64(picture(kind, size, mode, **options))
        assert read_header(text) == PictureHeader(kind, *size)


def test_a_webp_with_metadata_is_read() -> None:
    """The extended WebP container (VP8X) tells its canvas size."""
    data = picture("webp", (640, 1536), exif=b"Exif\0\0" + bytes(200))
    assert data[12:16] == b"VP8X"
    assert read_header(b64(data)) == PictureHeader("webp", 640, 1536)


def test_a_jpeg_size_behind_a_megabyte_of_metadata_is_found() -> None:
    """Application segments are jumped over, however many there are."""
    plain = picture("jpeg", (1024, 768))
    segment = b"\xff\xe1" + struct.pack(">H", 65_535) + bytes(65_533)
    filling, restart = b"\xff\xff\xff\x01", b"\xff\xd0"
    data = plain[:2] + filling + restart + segment * 17 + plain[2:]
    assert len(data) > 1_000_000
    assert read_header(b64(data)) == PictureHeader("jpeg", 1024, 768)


def test_a_jpeg_without_a_size_is_refused() -> None:
    """A stream of segments that never comes to a frame ends in an error, not in a long search."""
    endless = b"\xff\xd8" + b"\xff\xe0\x00\x02" * 5000
    with pytest.raises(ValueError, match="does not tell its size"):
        read_header(b64(endless))
    with pytest.raises(ValueError, match="does not tell its size"):
        read_header(b64(b"\xff\xd8\xff\xda" + bytes(20)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "not base64 at all",
        "data:image/png;base64," + b64(picture("png", (8, 8))),
        b64(b"GIF89a" + bytes(40)),
        b64(picture("png", (8, 8))[:20]),
        b64(picture("png", (8, 8)))[:-1],
        b64(picture("png", (8, 8))[:8] + bytes(40)),
        b64(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 0, 8) + bytes(20)),
        b64(b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(40)),
        b64(b"RIFF" + bytes(4) + b"WEBPVP8L" + bytes(40)),
        b64(b"RIFF" + bytes(4) + b"WEBPXXXX" + bytes(40)),
        "\N{BLACK HEART SUIT}" * 40,
        "\ud800" * 40,
    ],
)
def test_what_is_not_a_picture_is_a_value_error(text: str) -> None:
    """Nothing but PNG, JPEG and WebP with a size passes, and the error is always a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        read_header(text)


@pytest.mark.parametrize("value", [None, 7, b"AAAA", ["AAAA"]])
def test_what_is_not_text_is_a_value_error(value: object) -> None:
    """A null or a number in an answer is refused like any other non-picture."""
    with pytest.raises(ValueError, match="not base64"):
        read_header(value)  # type: ignore[arg-type]


@given(st.sampled_from(KINDS), st.data())
def test_damage_never_raises_anything_else(kind: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    """Cut and overwritten pictures are either read or refused with a ValueError."""
    whole = bytearray(picture(kind[0], (16, 16), **kind[1]))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    text = b64(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    try:
        header = read_header(text)
    except ValueError:
        return
    assert header.format in ("png", "jpeg", "webp")
    assert header.width > 0
    assert header.height > 0


@given(st.one_of(st.text(), st.binary().map(b64), st.binary().map(lambda tail: b64(b"\xff\xd8\xff" + tail))))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Arbitrary text raises ValueError or gives a header with a size."""
    try:
        header = read_header(text)
    except ValueError:
        return
    assert header.width > 0


def test_an_image_tells_its_format_from_its_bytes() -> None:
    """`Image` reads format and size lazily, and its bytes are those that came."""
    data = picture("webp", (30, 20))
    image = Image(b64(data), seed=7)
    assert (image.format, image.width, image.height, image.bytes) == ("webp", 30, 20, data)
    assert repr(image) == "<Image webp 30x20 seed=7>"
    assert repr(Image("AAAA")) == "<Image unreadable seed=None>"
