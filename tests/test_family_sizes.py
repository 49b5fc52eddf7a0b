from __future__ import annotations

from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.bedrock.families import family_for, sizes
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.types import Call, ImageRequest

TITAN = "amazon.titan-image-generator-v2:0"
CANVAS = "amazon.nova-canvas-v1:0"
XL0 = "stability.stable-diffusion-xl-v0"
XL1 = "stability.stable-diffusion-xl-v1"
CORE = "stability.stable-image-core-v1:1"
sides = st.integers(1, 65_535)


def model_of(name: str) -> Model:
    found = Catalog.load().find(name)
    assert found is not None
    return found


def prepare(model: str, **fields: Any) -> Call:
    found = model_of(model)
    (call,) = family_for(found).prepare(ImageRequest(prompt="a", **fields), found)
    return call


def sent(call: Call) -> str:
    body = call.body.get("imageGenerationConfig", call.body)
    return body.get("aspect_ratio") or f"{body.get('width')}x{body.get('height')}"


@pytest.mark.parametrize(
    ("model", "asked", "made"),
    [
        (XL0, (128, 512), "640x1536"),  # the shape decides: 1:4 is nearest to the tallest there is
        (XL0, (512, 512), "512x512"),
        (XL0, (600, 600), "512x512"),
        (XL0, (800, 800), "1024x1024"),
        (XL1, (512, 512), "1024x1024"),
        (XL1, (1792, 1024), "1344x768"),
        (XL1, (1024, 1792), "768x1344"),
        (XL1, (1344, 768), "1344x768"),
        (TITAN, (1408, 1408), "1024x1024"),
        (TITAN, (256, 256), "512x512"),
        (TITAN, (640, 640), "768x768"),
        (TITAN, (1920, 1080), "1152x640"),
        (TITAN, (1173, 640), "1173x640"),
        (TITAN, (4, 1000), "320x704"),
        (CANVAS, (1280, 720), "1280x720"),
        (CANVAS, (2048, 2048), "2048x2048"),
        (CANVAS, (4096, 1024), "4096x1024"),
        (CANVAS, (1920, 1080), "1920x1088"),
        (CANVAS, (1000, 1000), "1008x1008"),
        (CANVAS, (256, 256), "320x320"),
        (CANVAS, (128, 512), "320x1280"),
        (CANVAS, (4096, 4096), "2048x2048"),
        (CANVAS, (10_000, 100), "1984x496"),
    ],
)
def test_the_nearest_size_is_made_and_named(model: str, asked: tuple[int, int], made: str) -> None:
    """Shape first, then area; the warning names what was asked and what is made, and strict refuses with the same."""
    call = prepare(model, size=asked)
    assert sent(call) == made
    assert f"{call.width}x{call.height}" == made
    shown = f"{asked[0]}x{asked[1]}"
    if shown == made:
        assert call.warnings == ()
        assert prepare(model, size=asked, strict=True).body == call.body
        return
    (warning,) = call.warnings
    assert (warning.code, warning.parameter) == ("adapted", "size")
    assert warning.message == f"{shown} is not offered; the picture is {made}"
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, size=asked, strict=True)
    assert (caught.value.parameter, caught.value.nearest) == ("size", made)
    assert caught.value.allowed


@pytest.mark.parametrize(
    ("asked", "made", "warned"),
    [
        ((1024, 1024), "1:1", False),
        ((1000, 1000), "1:1", False),
        ((512, 512), "1:1", True),
        ((2048, 2048), "1:1", True),
        ((1344, 768), "16:9", True),  # 7:4, so it will not be exactly this
        ((1280, 720), "16:9", False),
        ((1920, 1080), "16:9", True),
        ((832, 1248), "2:3", False),
        ((1024, 1792), "9:16", True),
        ((128, 512), "9:21", True),
        ((1152, 864), "5:4", True),
        ((3000, 10), "21:9", True),
    ],
)
def test_models_of_ratios_make_about_a_megapixel(asked: tuple[int, int], made: str, warned: bool) -> None:
    """A size is met by its exact ratio near one megapixel; otherwise the nearest ratio comes with a warning."""
    call = prepare(CORE, size=asked)
    assert sent(call) == made
    assert (call.width, call.height) == (None, None)
    assert [(one.code, one.parameter) for one in call.warnings] == ([("adapted", "size")] if warned else [])
    if warned:
        assert f"{asked[0]}x{asked[1]}" in call.warnings[0].message
        with pytest.raises(InvalidRequest) as caught:
            prepare(CORE, size=asked, strict=True)
        assert (caught.value.parameter, caught.value.nearest) == ("size", made)
        assert caught.value.allowed == "16:9, 1:1, 21:9, 2:3, 3:2, 4:5, 5:4, 9:16, 9:21"


@pytest.mark.parametrize(
    ("model", "asked", "made", "warned"),
    [
        (CORE, "16:9", "16:9", False),
        (CORE, "32:18", "16:9", False),
        (CORE, "1:1", "1:1", False),
        (CORE, "4:3", "5:4", True),
        (CORE, "1:10", "9:21", True),
        (XL1, "16:9", "1344x768", False),
        (XL1, "1:1", "1024x1024", False),
        (XL1, "4:3", "1152x896", True),
        (TITAN, "3:2", "1152x768", False),
        (TITAN, "1:1", "1024x1024", False),
        (CANVAS, "16:9", "1360x768", False),
        (CANVAS, "1:1", "1024x1024", False),
        (CANVAS, "4:1", "2048x512", False),
        (CANVAS, "8:1", "2048x512", True),
    ],
)
def test_a_ratio_becomes_what_the_model_has(model: str, asked: str, made: str, warned: bool) -> None:
    """Models of pixels make about a megapixel of that shape; more than 2 % off is said."""
    call = prepare(model, aspect_ratio=asked)
    assert sent(call) == made
    assert [(one.code, one.parameter) for one in call.warnings] == ([("adapted", "aspect_ratio")] if warned else [])
    if warned:
        with pytest.raises(InvalidRequest) as caught:
            prepare(model, aspect_ratio=asked, strict=True)
        assert (caught.value.parameter, caught.value.nearest) == ("aspect_ratio", made)


@pytest.mark.parametrize("model", [TITAN, CANVAS, XL1, CORE])
def test_size_and_ratio_may_agree_but_not_contradict(model: str) -> None:
    """Both may be given when they mean the same shape."""
    assert sent(prepare(model, size=(1024, 1024), aspect_ratio="1:1")) in ("1024x1024", "1:1")
    with pytest.raises(InvalidRequest, match="16:9 contradicts the size 1024x1024"):
        prepare(model, size=(1024, 1024), aspect_ratio="16:9")


def test_an_agreeing_ratio_does_not_hide_a_size_that_is_not_met() -> None:
    """The size is still adapted when the ratio is exact."""
    (warning,) = prepare(CORE, size=(512, 512), aspect_ratio="1:1").warnings
    assert (warning.code, warning.parameter) == ("adapted", "size")


@pytest.mark.parametrize("model", [TITAN, CANVAS, XL1, CORE])
@pytest.mark.parametrize(
    "size", [(0, 512), (512, -1), (512,), (1, 2, 3), ("512", 512), (512.0, 512), (1, 70_000), 7, "x"]
)
def test_a_size_must_be_two_sides(model: str, size: Any) -> None:
    """What is not a width and a height is refused with what is allowed."""
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, size=size)
    assert caught.value.parameter == "size"
    assert caught.value.allowed


@pytest.mark.parametrize("ratio", ["", "16", "16x9", "0:1", "1:0", "-1:1", "a:b", "1:1:1", "9" * 500 + ":1", 1.5])
def test_a_ratio_must_be_a_ratio(ratio: Any) -> None:
    """What is not width:height is refused."""
    for model in (TITAN, CANVAS, XL1, CORE):
        with pytest.raises(InvalidRequest) as caught:
            prepare(model, aspect_ratio=ratio)
        assert caught.value.parameter == "aspect_ratio"


def test_what_is_allowed_is_said_in_one_line() -> None:
    """Long lists show the nearest ten, ranges their limits."""
    assert sizes.allowed(model_of(TITAN).sizes, (1, 4)).startswith("320x704, 640x1408, ")
    assert sizes.allowed(model_of(TITAN).sizes).endswith(" and 15 more")
    assert sizes.allowed(model_of(CANVAS).sizes) == (
        "sides of 320 to 4096 in steps of 16, ratio up to 4:1, at most 4194304 pixels"
    )
    assert sizes.allowed(model_of(XL1).sizes).count("x") == 9


@given(sides, sides)
def test_a_fitted_size_keeps_every_limit(width: int, height: int) -> None:
    """Whatever is asked of Nova Canvas, the answer is within its limits, lies the same way round, and stays put."""
    limits = model_of(CANVAS).sizes
    made = sizes.fit((width, height), limits)
    assert all(320 <= side <= 4096 and side % 16 == 0 for side in made)
    assert max(made) <= 4 * min(made)
    assert made[0] * made[1] <= 2048 * 2048
    assert (width - height) * (made[0] - made[1]) >= 0
    assert sizes.fit(made, limits) == made
    assert sizes.fit((height, width), limits) == (made[1], made[0])


@given(st.integers(320, 2048), st.integers(320, 2048))
def test_a_size_within_the_range_is_only_rounded(width: int, height: int) -> None:
    """Both sides move by half a step at most when nothing else is in the way."""
    if max(width, height) <= 3.8 * min(width, height) and max(width, height) < 2040:
        made = sizes.fit((width, height), model_of(CANVAS).sizes)
        assert abs(made[0] - width) <= 8
        assert abs(made[1] - height) <= 8


@given(sides, sides, st.sampled_from([TITAN, XL0, XL1]))
def test_no_other_pair_is_nearer(width: int, height: int, model: str) -> None:
    """The chosen pair has the nearest shape, and the nearest area among those of that shape."""
    pairs = model_of(model).sizes.pairs
    made = sizes.nearest_pair((width, height), pairs)

    def off(pair: tuple[int, int]) -> tuple[float, float]:
        shape = abs(log(width / height * pair[1] / pair[0]))
        return shape, abs(log(width * height / pair[0] / pair[1]))

    for pair in pairs:
        assert off(made)[0] <= off(pair)[0] + 1e-6
        if abs(off(made)[0] - off(pair)[0]) < 1e-12:
            assert off(made)[1] <= off(pair)[1] + 1e-6
