"""Pictures that say how they are to be turned arrive as one sees them, and so do their masks."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.picture_exif import orientation
from lascaux.providers.picture_files import inspect_file
from lascaux.providers.pictures import adapted_picture, open_picture
from PIL import Image, ImageChops, ImageOps

WIDE = (96, 64)


def exif(turn: int) -> bytes:
    """An Exif block with one orientation."""
    made = Image.Exif()
    made[0x0112] = turn
    return made.tobytes()


def photo(turn: int | None, format: str = "jpeg", mode: str = "RGB", **how: Any) -> bytes:
    """Four quarters of different colours, and what the metadata says."""
    picture = Image.new("RGB", WIDE, "red")
    picture.paste("lime", (WIDE[0] // 2, 0, *WIDE))
    picture.paste("blue", (0, WIDE[1] // 2, WIDE[0] // 2, WIDE[1]))
    file = io.BytesIO()
    picture.convert(mode).save(file, format, **how, **({"exif": exif(turn)} if turn else {}))
    return file.getvalue()


def seen(data: bytes) -> Image.Image:
    """What a viewer shows."""
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("turn", range(2, 9))
def test_a_turned_picture_is_as_one_sees_it(turn: int, format: str) -> None:
    """Size and pixels, once; a JPEG stays a JPEG; that it was turned is said."""
    fine: dict[str, dict[str, Any]] = {
        "jpeg": {"quality": 100, "subsampling": 0},
        "webp": {"lossless": True},
        "png": {},
    }
    how = fine[format]
    data = photo(turn, format, **how)
    assert inspect_file(data).orientation == turn
    picture, (warning,) = adapted_picture(data)
    shown = seen(data)
    assert (picture.width, picture.height) == shown.size == (WIDE if turn < 5 else WIDE[::-1])
    assert (warning.code, warning.parameter) == ("adapted", "image")
    assert f"orientation {turn}" in warning.message
    assert picture.format == ("jpeg" if format == "jpeg" else "png")
    assert inspect_file(picture.bytes).orientation == 1
    bands: Any = ImageChops.difference(open_picture(picture).convert("RGB"), shown).getextrema()
    assert max(high for _, high in bands) <= (16 if format == "jpeg" else 0)


@pytest.mark.parametrize("turn", [None, 1])
def test_an_upright_picture_is_not_touched(turn: int | None) -> None:
    """Not a byte of it."""
    data = photo(turn)
    picture, warnings = adapted_picture(data)
    assert (picture.bytes, warnings) == (data, ())


def test_turned_and_converted_in_one_step() -> None:
    """A CMYK photo becomes an upright PNG, with one warning that says both."""
    data = photo(6, mode="CMYK")
    picture, (warning,) = adapted_picture(data)
    assert (picture.format, picture.width, picture.height) == ("png", *WIDE[::-1])
    assert "CMYK" in warning.message
    assert "turned" in warning.message


def test_a_pillow_image_is_taken_as_its_pixels_are() -> None:
    """Pillow shows it like that, and so a mask of its size fits."""
    with Image.open(io.BytesIO(photo(6))) as image:
        picture, warnings = adapted_picture(image)
    assert ((picture.width, picture.height), warnings) == (WIDE, ())


def test_both_byte_orders_are_read() -> None:
    """With and without the prefix that JPEGs have."""
    little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    assert [orientation(prefix + data) for prefix in (b"", b"Exif\0\0") for data in (little, big)] == [6] * 4


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_broken_metadata_says_nothing(noise: bytes, start: int) -> None:
    """Whatever stands there, the answer is one of eight, and soon."""
    for data in (noise, b"II*\0" + noise, b"MM\0*" + start.to_bytes(4, "big") + noise):
        assert 1 <= orientation(data) <= 8


def test_an_unknown_turn_is_none() -> None:
    """Exif knows eight."""
    data = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0"
    assert orientation(data) == 1
