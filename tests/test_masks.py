"""Masks reach each model with the right colours, in the right size, and say what the caller meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.masks import adapted_mask, flatten, mask_for
from lascaux.providers.pictures import encode_png, open_picture, read_picture
from lascaux.providers.types import Picture
from PIL import Image as Pillow

SIZE = (4, 2)
IMAGE = read_picture(Pillow.new("RGB", SIZE, "teal"))
CHANGED = [[255, 255, 0, 0], [0, 0, 0, 255]]
"""What shall change in the tests here, as levels."""


def grey(rows: list[list[int]], mode: str = "L") -> Picture:
    image = Pillow.frombytes("L", (len(rows[0]), len(rows)), bytes(level for row in rows for level in row))
    return encode_png(image.convert(mode))


def inverted(rows: list[list[int]]) -> list[list[int]]:
    return [[255 - level for level in row] for row in rows]


def transparent(rows: list[list[int]], colour: str = "red") -> Picture:
    """OpenAI's way: a picture whose transparent parts shall change."""
    image = Pillow.new("RGBA", (len(rows[0]), len(rows)), colour)
    image.putalpha(open_picture(grey(inverted(rows))))
    return encode_png(image)


def rows(picture: Picture) -> list[list[int]]:
    image = open_picture(picture)
    assert image.mode == "RGB"
    red, green, blue = (image.getchannel(name).tobytes() for name in "RGB")
    assert red == green == blue
    return [list(red[start : start + image.width]) for start in range(0, len(red), image.width)]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("change", ["white", "black"])
@pytest.mark.parametrize(
    ("mode", "mask"),
    [
        ("alpha", transparent(CHANGED)),
        ("alpha", transparent(CHANGED, "white")),
        ("alpha", transparent(CHANGED, "black")),
        ("white", grey(CHANGED)),
        ("white", grey(CHANGED, "RGB")),
        ("black", grey(inverted(CHANGED))),
    ],
)
def test_every_convention_becomes_every_other(mode: str, mask: Picture, change: str, binary: bool) -> None:
    """The same area in the model's colour, as an opaque 8-bit RGB PNG without warnings."""
    made, warnings = adapted_mask(mask, IMAGE, mode=mode, change=change, binary=binary)
    assert rows(made) == (CHANGED if change == "white" else inverted(CHANGED))
    assert (made.format, made.alpha, made.width, made.height, warnings) == ("png", False, *SIZE, ())
    assert read_picture(made.bytes) == made


def test_grey_changes_in_part_or_goes_to_the_nearer_end() -> None:
    """Stability takes grey, Amazon black and white only; half counts as marked."""
    levels = [[0, 100, 127, 128], [129, 200, 254, 255]]
    soft = mask_for(grey(levels), IMAGE, mode="white", change="white")
    hard = mask_for(grey(levels), IMAGE, mode="white", change="white", binary=True)
    assert rows(soft) == levels
    assert rows(hard) == [[0, 0, 0, 255], [255, 255, 255, 255]]
    assert rows(mask_for(transparent(levels), IMAGE, mode="alpha", change="black")) == inverted(levels)


@given(
    st.lists(st.lists(st.integers(0, 255), min_size=4, max_size=4), min_size=2, max_size=2),
    st.sampled_from(["white", "black"]),
    st.sampled_from(["white", "black"]),
)
def test_no_mask_ever_changes_its_meaning(levels: list[list[int]], mode: str, change: str) -> None:
    """Pixels of the caller's colour, and only they, get the model's colour."""
    marked = [[level if mode == "white" else 255 - level for level in row] for row in levels]
    if not any(level for row in marked for level in row):
        with pytest.raises(InvalidRequest, match="mask marks nothing"):
            mask_for(grey(levels), IMAGE, mode=mode, change=change)
        return
    made = rows(mask_for(grey(levels), IMAGE, mode=mode, change=change))
    assert made == (marked if change == "white" else inverted(marked))


def test_a_mask_of_another_size_is_stretched_without_blending() -> None:
    """Two columns become four, with a warning; pure colours stay pure."""
    made, (warning,) = adapted_mask(grey([[255, 0]]), IMAGE, mode="white", change="black", binary=True)
    assert rows(made) == [[0, 0, 255, 255], [0, 0, 255, 255]]
    assert str(warning) == "mask: it has 2x1 pixels and is stretched to the image's 4x2"
    assert warning.code == "adapted"


def test_a_mask_keeps_its_size_for_models_that_stretch_it() -> None:
    """With a warning all the same; and where the image is not known."""
    small = grey([[255, 0]])
    made, (warning,) = adapted_mask(small, IMAGE, mode="white", change="white", resize=False)
    assert rows(made) == [[255, 0]]
    assert (warning.code, warning.parameter) == ("adapted", "mask")
    assert rows(mask_for(small, None, mode="white", change="white")) == [[255, 0]]


def test_transparent_parts_of_a_coloured_mask_mark_nothing() -> None:
    """Where a colour marks, what has no colour is left alone, whatever lies beneath."""
    for colour in ("white", "black"):
        mask = transparent(inverted(CHANGED), colour)
        assert rows(mask_for(mask, IMAGE, mode=colour, change="white")) == CHANGED


@pytest.mark.parametrize(
    ("mask", "mode", "message"),
    [
        (grey(CHANGED), "alpha", "mask has no transparency to mark what shall change; .*mask_mode='white' or 'black'"),
        (
            transparent([[0, 0, 0, 0]] * 2),
            "alpha",
            r"mask marks nothing: it is transparent nowhere \(mask_mode is alpha",
        ),
        (grey([[0, 0, 0, 0]] * 2), "white", r"mask marks nothing: it is white nowhere \(mask_mode is white\)"),
        (grey([[255] * 4] * 2), "black", r"mask marks nothing: it is black nowhere \(mask_mode is black\)"),
    ],
)
def test_a_mask_that_marks_nothing_is_refused(mask: Picture, mode: str, message: str) -> None:
    """Before a call is paid for that changes nothing, or everything."""
    with pytest.raises(InvalidRequest, match=message) as caught:
        mask_for(mask, IMAGE, mode=mode, change="white")
    assert caught.value.parameter == "mask"


@pytest.mark.parametrize(("mode", "change", "parameter"), [("red", "white", "mask_mode"), ("white", "alpha", "change")])
def test_unknown_words_are_refused(mode: str, change: str, parameter: str) -> None:
    """Both of the caller's and of the model's side."""
    with pytest.raises(InvalidRequest) as caught:
        mask_for(grey(CHANGED), IMAGE, mode=mode, change=change)
    assert caught.value.parameter == parameter


def test_a_flat_picture_is_opaque() -> None:
    """What was transparent is white, half transparency blends with it; a picture without alpha is not touched."""
    picture = transparent([[0, 255], [255, 0]], "black")
    flat = flatten(picture)
    assert (flat.format, flat.alpha) == ("png", False)
    assert rows(flat) == [[0, 255], [255, 0]]
    assert flatten(IMAGE) is IMAGE
    half = transparent([[128]], "black")
    assert rows(flatten(half)) == [[128]]


def test_damage_names_the_parameter() -> None:
    """A mask that can not be decoded is the mask's fault."""
    broken = Picture(b64="iVBORw0KGgo=", format="png", width=4, height=2)
    with pytest.raises(InvalidRequest, match="mask is damaged"):
        mask_for(broken, IMAGE, mode="white", change="white")
