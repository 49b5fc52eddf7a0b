from __future__ import annotations

from typing import Any

import pytest
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import BadResponse, ContentFiltered, InvalidRequest
from lascaux.providers.fake import PICTURE
from lascaux.providers.types import Call, ImageRequest, ImageResult

V1 = "amazon.titan-image-generator-v1"
V2 = "amazon.titan-image-generator-v2:0"
CANVAS = "amazon.nova-canvas-v1:0"
TITANS = [V1, "amazon.titan-image-generator-v1:0", V2]
SOME = "Some generated images have been blocked by our content filters."
ALL = "All of the generated images have been blocked by our content filters."


def model_of(name: str) -> Model:
    found = Catalog.load().find(name)
    assert found is not None
    return found


def prepare(model: str, **fields: Any) -> tuple[Call, ...]:
    request = ImageRequest(**{"prompt": "red kite over dunes", **fields})
    return family_for(model_of(model)).prepare(request, model_of(model))


def refusal(model: str, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, **fields)
    return caught.value


def answer(payload: dict[str, Any], *, model: str = CANVAS, **fields: Any) -> ImageResult:
    (call,) = prepare(model, **fields)
    return family_for(model_of(model)).parse(call, payload, request_id="r-1")


def warned(call: Call) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.parameter) for warning in call.warnings]


@pytest.mark.parametrize("model", TITANS)
def test_titan_is_always_sent_both_sides(model: str) -> None:
    """Its documented default size is not one of its sizes, so 1024x1024 is sent."""
    (call,) = prepare(model)
    assert call.body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "red kite over dunes"},
        "imageGenerationConfig": {"width": 1024, "height": 1024},
    }
    assert (call.width, call.height, call.quality, call.steps) == (1024, 1024, "standard", None)
    assert (call.seed, call.effective_seed, call.reproducible) == (None, 42, True)


@pytest.mark.parametrize("model", TITANS)
def test_titan_takes_all_its_parameters(model: str) -> None:
    """The full body of the documentation comes out of our own words."""
    (call,) = prepare(
        model, negative_prompt="people", quality="premium", n=2, size=(1152, 768), cfg_scale=8.0, seed=1234
    )
    assert call.body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "red kite over dunes", "negativeText": "people"},
        "imageGenerationConfig": {
            "quality": "premium",
            "numberOfImages": 2,
            "width": 1152,
            "height": 768,
            "cfgScale": 8.0,
            "seed": 1234,
        },
    }
    assert (call.images, call.width, call.height, call.quality) == (2, 1152, 768, "premium")
    assert call.warnings == ()


def test_nova_canvas_needs_a_text_only() -> None:
    """Its smallest body is the prompt; price facts are the documented defaults."""
    (call,) = prepare(CANVAS)
    assert call.body == {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "red kite over dunes"}}
    assert (call.width, call.height, call.quality, call.effective_seed) == (1024, 1024, "standard", 12)


def test_nova_canvas_takes_all_its_parameters() -> None:
    """The full body of the documentation comes out of our own words; a style is known in any spelling."""
    (call,) = prepare(
        CANVAS,
        negative_prompt="people",
        style="graphic-novel illustration",
        size=(1280, 720),
        quality="standard",
        cfg_scale=6.5,
        seed=1234,
        n=3,
    )
    assert call.body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {
            "text": "red kite over dunes",
            "negativeText": "people",
            "style": "GRAPHIC_NOVEL_ILLUSTRATION",
        },
        "imageGenerationConfig": {
            "width": 1280,
            "height": 720,
            "quality": "standard",
            "cfgScale": 6.5,
            "seed": 1234,
            "numberOfImages": 3,
        },
    }
    assert call.warnings == ()


def test_more_than_five_pictures_are_two_calls() -> None:
    """The second batch counts on from the pictures of the first, so that no seed is used twice."""
    first, second = prepare(CANVAS, n=7, seed=30)
    assert first.body["imageGenerationConfig"] == {"numberOfImages": 5, "seed": 30}
    assert second.body["imageGenerationConfig"] == {"numberOfImages": 2, "seed": 35}
    assert (first.images, second.images) == (5, 2)


def test_a_second_batch_without_a_seed_is_explained() -> None:
    """The first call keeps the model's default, the second is sent another seed, and both carry the warning."""
    first, second = prepare(CANVAS, n=6)
    assert first.body["imageGenerationConfig"] == {"numberOfImages": 5}
    assert second.body["imageGenerationConfig"] == {"seed": 17}
    assert (first.effective_seed, second.effective_seed) == (12, 17)
    assert first.warnings == second.warnings
    (warning,) = first.warnings
    assert (warning.code, warning.parameter) == ("adapted", "seed")
    assert "would use 12 for each of 2 calls" in warning.message


@pytest.mark.parametrize("model", [*TITANS, CANVAS])
def test_what_amazon_does_not_have_is_left_out_with_a_warning(model: str) -> None:
    """Steps, sampler, guidance preset and OpenAI's styles have no place in the body."""
    asked: dict[str, Any] = {
        "steps": 30,
        "sampler": "DDIM",
        "clip_guidance_preset": "NONE",
        "style": "Vivid",
    }
    (call,) = prepare(model, **asked)
    assert sorted(warned(call)) == sorted(("ignored", parameter) for parameter in asked)
    assert call.body["textToImageParams"] == {"text": "red kite over dunes"}
    for parameter, value in asked.items():
        assert refusal(model, strict=True, **{parameter: value}).parameter == parameter


def test_titan_has_no_styles_at_all() -> None:
    """Any style is left out with a warning there, while Nova Canvas names its own."""
    (call,) = prepare(V2, style="PHOTOREALISM")
    assert warned(call) == [("ignored", "style")]
    error = refusal(CANVAS, style="photorealistic")
    assert (error.parameter, error.nearest) == ("style", "PHOTOREALISM")
    assert error.allowed is not None
    assert error.allowed.startswith("3D_ANIMATED_FAMILY_FILM, ")
    assert refusal(CANVAS, style="vivid", strict=True).allowed == error.allowed


@pytest.mark.parametrize("model", [V1, CANVAS])
@pytest.mark.parametrize("value", [0, 1.0, 10.1, float("nan"), float("inf"), -1, True, "8"])
def test_cfg_scale_has_a_range(model: str, value: Any) -> None:
    """The error names the range and the nearest value."""
    error = refusal(model, cfg_scale=value)
    assert (error.parameter, error.allowed) == ("cfg_scale", "a number from 1.1 to 10")
    nearest = {0: "1.1", -1: "1.1", 1.0: "1.1", 10.1: "10", float("inf"): "10"}
    assert error.nearest == (None if value is True else nearest.get(value))


@pytest.mark.parametrize("model", [V1, CANVAS])
def test_quality_is_one_of_two(model: str) -> None:
    """Another word is refused with the nearest one."""
    error = refusal(model, quality="premum")
    assert (error.parameter, error.allowed, error.nearest) == ("quality", "standard, premium", "premium")


@pytest.mark.parametrize("model", [V2, CANVAS])
def test_native_objects_are_merged_deeply(model: str) -> None:
    """Native fields join ours and win over ours; what the call says about itself is what is sent."""
    native = {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"controlMode": "CANNY_EDGE"},
        "imageGenerationConfig": {"numberOfImages": 4, "width": 768, "height": 1152, "quality": "premium", "seed": 3},
    }
    (call,) = prepare(model, cfg_scale=7, native=native)
    assert call.body["textToImageParams"] == {"text": "red kite over dunes", "controlMode": "CANNY_EDGE"}
    assert call.body["imageGenerationConfig"] == {**native["imageGenerationConfig"], "cfgScale": 7}  # type: ignore[dict-item]
    assert (call.images, call.width, call.height, call.quality, call.seed) == (4, 768, 1152, "premium", 3)
    assert call.warnings == ()


def test_native_fields_that_contradict_parameters_are_named() -> None:
    """Native wins, each contradicted parameter is said, and strict refuses."""
    native = {
        "textToImageParams": {"text": "blue"},
        "imageGenerationConfig": {"numberOfImages": 2, "width": 512, "height": 512, "quality": "premium", "seed": 1},
    }
    asked: dict[str, Any] = {"n": 3, "size": (1024, 1024), "quality": "standard", "seed": 9}
    (call,) = prepare(CANVAS, native=native, **asked)
    assert call.body["textToImageParams"] == {"text": "blue"}
    assert call.body["imageGenerationConfig"] == native["imageGenerationConfig"]
    assert (call.images, call.width, call.height, call.quality, call.seed) == (2, 512, 512, "premium", 1)
    assert {code for code, _ in warned(call)} == {"adapted"}
    assert {parameter for _, parameter in warned(call)} == {"prompt", *asked}
    for parameter, value in asked.items():
        config = {"imageGenerationConfig": native["imageGenerationConfig"]}
        assert refusal(CANVAS, native=config, strict=True, **{parameter: value}).parameter == parameter
    equal = {"imageGenerationConfig": {"seed": 9}}
    assert prepare(CANVAS, native=equal, seed=9, strict=True)[0].warnings == ()


@pytest.mark.parametrize("count", ["3", None, 2.5, True, -1, [2]])
def test_a_native_count_that_is_none_is_refused(count: Any) -> None:
    """By the name of the field, as it was written, with what is allowed."""
    error = refusal(CANVAS, native={"imageGenerationConfig": {"numberOfImages": count}})
    assert (error.parameter, error.allowed) == ("imageGenerationConfig.numberOfImages", "a whole number from 1 to 5")


@pytest.mark.parametrize("model", [V2, CANVAS])
def test_other_task_types_are_refused_by_name(model: str) -> None:
    """A native taskType of another task is not sent with a text-to-image body."""
    native = {"taskType": "COLOR_GUIDED_GENERATION", "colorGuidedGenerationParams": {"colors": ["#FFFFFF"]}}
    error = refusal(model, native=native)
    assert (error.parameter, error.allowed) == ("taskType", "TEXT_IMAGE")
    assert "'COLOR_GUIDED_GENERATION'" in str(error)
    assert refusal(model, native={"taskType": ["x"]}).parameter == "taskType"


@pytest.mark.parametrize("model", [V2, CANVAS])
@pytest.mark.parametrize("key", ["textToImageParams", "imageGenerationConfig"])
def test_an_object_can_not_be_replaced_by_something_else(model: str, key: str) -> None:
    """Where the body needs an object, native may not put anything else."""
    error = refusal(model, seed=1, native={key: "x"})
    assert error.parameter == "native"
    assert key in str(error)


@pytest.mark.parametrize("model", [V1, V2, CANVAS])
def test_blocked_pictures_are_counted(model: str) -> None:
    """Two of five came: three are missing, by filter, and a warning repeats the provider's words."""
    found = answer({"images": [PICTURE, PICTURE], "error": SOME}, model=model, n=5, seed=3)
    assert [image.seed for image in found.images] == [3, 3]
    assert [(one.index, one.reason, one.message) for one in found.missing] == [
        (index, "filtered", SOME) for index in (2, 3, 4)
    ]
    assert [(one.code, one.message) for one in found.warnings] == [("filtered", f"3 of 5 pictures are missing: {SOME}")]


@pytest.mark.parametrize("payload", [{"images": [], "error": ALL}, {"error": ALL}, {"images": None, "error": ALL}])
@pytest.mark.parametrize("model", [V1, V2, CANVAS])
def test_all_pictures_blocked_is_a_filter_error(model: str, payload: dict[str, Any]) -> None:
    """Whether the list is empty or absent, the caller learns that the output was refused."""
    with pytest.raises(ContentFiltered, match="All of the generated images") as caught:
        answer(payload, model=model, n=2)
    assert caught.value.stage == "output_image"
    assert caught.value.may_be_billed
    assert (caught.value.upstream_status, caught.value.request_id) == (200, "r-1")


def test_an_error_beside_all_the_pictures_is_a_warning() -> None:
    """Nothing is missing, but what the provider said is not lost."""
    found = answer({"images": [PICTURE], "error": SOME})
    assert found.missing == ()
    assert [(one.code, one.message) for one in found.warnings] == [("filtered", SOME)]


def test_fewer_pictures_without_a_reason_are_missing_too() -> None:
    """They may have been billed, and the warning says so."""
    found = answer({"images": [PICTURE]}, n=3)
    assert [(one.index, one.reason) for one in found.missing] == [(1, "failed"), (2, "failed")]
    assert [one.code for one in found.warnings] == ["may_be_billed"]
    assert found.missing[0].message == "the answer holds 1 of 3 pictures"


def test_a_broken_picture_does_not_cost_its_neighbours() -> None:
    """What can be read is handed out, what can not is missing."""
    found = answer({"images": [PICTURE, None, PICTURE]}, n=3)
    assert len(found.images) == 2
    assert [(one.index, one.reason) for one in found.missing] == [(1, "failed")]
    assert "not a picture" in found.missing[0].message


def test_more_pictures_than_asked_for_are_all_handed_out() -> None:
    """They may have been billed, so none is thrown away."""
    found = answer({"images": [PICTURE] * 3}, n=2)
    assert len(found.images) == 3
    assert found.missing == ()
    assert [one.code for one in found.warnings] == ["may_be_billed"]


def test_a_long_error_is_cut_to_one_line() -> None:
    """A provider's text never floods a log."""
    with pytest.raises(ContentFiltered) as caught:
        answer({"error": "blocked\nby\n" + "x" * 5000})
    assert str(caught.value).startswith("blocked by xxx")
    assert len(str(caught.value)) <= 300
    with pytest.raises(BadResponse):
        answer({"error": ""})
