"""Image to image on SD3, SD3.5 and Ultra."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pybase64
import pytest
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import ContentFiltered, InvalidRequest
from lascaux.providers.fake import PICTURE
from lascaux.providers.types import Call, ImageRequest, Picture, Task

SD3, SD35 = "stability.sd3-large-v1:0", "stability.sd3-5-large-v1:0"
ULTRA0, ULTRA = "stability.stable-image-ultra-v1:0", "stability.stable-image-ultra-v1:1"
CORE = "stability.stable-image-core-v1:1"
SD, ULTRAS = (SD3, SD35), (ULTRA0, ULTRA)
every_model = pytest.mark.parametrize("model", [*SD, *ULTRAS])


def drawn(width: int, height: int, format: str = "png") -> Picture:
    """A picture of which only the header exists: families look no further."""
    head = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return Picture(b64=pybase64.b64encode(file).decode(), format=format, width=width, height=height)


IMAGE = drawn(1024, 768)


def model_of(name: str) -> Model:
    found = Catalog.load().find(name)
    assert found is not None
    return found


def prepare(model: str, **fields: Any) -> tuple[Call, ...]:
    given = {"prompt": "as oil painting", "task": Task.IMAGE_TO_IMAGE, "image": IMAGE, **fields}
    return family_for(model_of(model)).prepare(ImageRequest(**given), model_of(model))


def refusal(model: str, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, **fields)
    return caught.value


def warned(call: Call) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.parameter) for warning in call.warnings]


@pytest.mark.parametrize("model", SD)
def test_where_a_strength_is_required_a_usual_one_is_sent(model: str) -> None:
    """With a warning that says which. Nothing that was asked for changes, so a strict request is not refused."""
    for strict in (False, True):
        (call,) = prepare(model, strict=strict)
        assert call.body == {
            "mode": "image-to-image",
            "prompt": "as oil painting",
            "image": IMAGE.b64,
            "strength": 0.6,
        }
        (warning,) = call.warnings
        assert (warning.code, warning.parameter) == ("adapted", "strength")
        assert warning.message.endswith("needs one: 0.6 is sent")
    assert prepare(model, native={"strength": 0.2})[0].warnings == ()
    assert prepare(model, native={"strength": 0.2})[0].body["strength"] == 0.2


@pytest.mark.parametrize("model", ULTRAS)
def test_ultra_has_a_strength_of_its_own(model: str) -> None:
    """None is sent unless given, and no mode: the picture makes the call image-to-image."""
    (call,) = prepare(model, strict=True)
    assert call.body == {"prompt": "as oil painting", "image": IMAGE.b64}
    assert call.warnings == ()
    assert prepare(model, native={"mode": "image-to-image"}, strict=True)[0].body["mode"] == "image-to-image"


@every_model
def test_all_parameters_of_image_to_image(model: str) -> None:
    """The full body of the documentation comes out of our own words. The aspect ratio is never sent."""
    (call,) = prepare(
        model,
        negative_prompt="people",
        options={"strength": 0.6},
        seed=1234,
        output_format="png",
        aspect_ratio="4:3",
        size=(1024, 768),
        strict=True,
    )
    body = {
        "prompt": "as oil painting",
        "negative_prompt": "people",
        "image": IMAGE.b64,
        "strength": 0.6,
        "seed": 1234,
        "output_format": "png",
    }
    assert call.body == ({"mode": "image-to-image", **body} if model in SD else body)
    assert (call.task, call.seed, call.reproducible, call.warnings) == (Task.IMAGE_TO_IMAGE, 1234, True, ())
    assert (call.width, call.height) == (1024, 768)


@every_model
@pytest.mark.parametrize("value", [-0.001, 1.001, "1", True, float("nan")])
def test_strength_has_a_range(model: str, value: Any) -> None:
    """0 returns the picture, 1 ignores it; beyond is refused."""
    for good in (0, 1, 0.35):
        assert prepare(model, options={"strength": good})[0].body["strength"] == good
    error = refusal(model, options={"strength": value})
    assert (error.parameter, error.allowed) == ("strength", "a number from 0 to 1")


@every_model
def test_a_picture_and_a_prompt_are_needed(model: str) -> None:
    """Without either nothing is sent; a native picture will do."""
    assert refusal(model, image=None).parameter == "image"
    assert refusal(model, prompt="").parameter == "prompt"
    (call,) = prepare(model, image=None, native={"image": IMAGE.b64})
    assert (call.body["image"], call.width) == (IMAGE.b64, 1024)


@pytest.mark.parametrize(
    ("model", "size", "nearest"),
    [
        (SD3, (640, 1536), None),
        (SD3, (639, 1000), "640x1000"),
        (SD3, (1537, 700), "1536x700"),
        (SD35, (64, 64), None),
        (SD35, (63, 64), "64x64"),
        (SD35, (9000, 64), None),
        (ULTRA, (1, 1), None),
    ],
)
def test_pictures_have_limits(model: str, size: tuple[int, int], nearest: str | None) -> None:
    """At the limit a picture passes, a pixel beyond it is refused with the nearest size."""
    if nearest is None:
        assert prepare(model, image=drawn(*size))[0].width == size[0]
    else:
        error = refusal(model, image=drawn(*size))
        assert error.parameter == "image"
        assert error.nearest is not None
        width, height = map(int, error.nearest.split("x"))
        assert prepare(model, image=drawn(width, height))[0].body["image"]
    assert refusal(model, image=drawn(800, 800, "gif")).allowed is not None


@every_model
def test_what_the_task_does_not_have_is_left_out_with_a_warning(model: str) -> None:
    """Another size or shape than the picture's, a mask, a reference, options of other tasks."""
    asked: dict[str, Any] = {
        "size": (640, 640),
        "mask": IMAGE,
        "references": (IMAGE,),
        "options": {"strength": 0.6, "grow_mask": 3},
        "style": "anime",
        "quality": "premium",
    }
    (call,) = prepare(model, **asked)
    names = {"size", "mask", "references", "grow_mask", "style", "quality"}
    assert {parameter for _, parameter in warned(call)} == names
    assert {code for code, _ in warned(call)} == {"ignored"}
    assert call.body.keys() - {"mode"} == {"prompt", "image", "strength"}
    assert warned(prepare(model, options={"strength": 0.6}, aspect_ratio="1:1")[0]) == [("ignored", "aspect_ratio")]
    for name, value in asked.items():
        error = refusal(model, **{"options": {"strength": 0.6}, name: value, "strict": True})
        assert error.parameter in names


@every_model
def test_text_to_image_has_no_use_for_pictures(model: str) -> None:
    """They are named, not sent."""
    (call,) = prepare(model, task=Task.TEXT_TO_IMAGE, options={"strength": 0.5})
    assert call.body == {"prompt": "as oil painting"}
    assert sorted(warned(call)) == [("ignored", "image"), ("ignored", "strength")]


@every_model
def test_several_edits_are_several_calls(model: str) -> None:
    """One picture per call, seeds counting up; answers are those of text-to-image."""
    calls = prepare(model, n=3, seed=30, options={"strength": 0.5})
    assert [call.body["seed"] for call in calls] == [30, 31, 32]
    family = family_for(model_of(model))
    payload = {"seeds": ["31"], "finish_reasons": [None], "images": [PICTURE]}
    assert family.parse(calls[1], payload).images[0].seed == 31
    with pytest.raises(ContentFiltered) as caught:
        family.parse(calls[1], {"finish_reasons": ["Filter reason: input image"]})
    assert caught.value.stage == "input_image"


def test_core_works_from_words_alone() -> None:
    """It is refused by name, with what it can do."""
    error = refusal(CORE)
    assert (error.parameter, error.allowed) == ("task", "text_to_image")
