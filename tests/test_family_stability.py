from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import BadResponse, ContentFiltered, Effect, InvalidRequest, Unavailable
from lascaux.providers.fake import PICTURE
from lascaux.providers.types import Call, Delivery, ImageRequest, ImageResult
from PIL import Image as Drawing

SD3, SD35 = "stability.sd3-large-v1:0", "stability.sd3-5-large-v1:0"
CORE0, CORE = "stability.stable-image-core-v1:0", "stability.stable-image-core-v1:1"
ULTRA0, ULTRA = "stability.stable-image-ultra-v1:0", "stability.stable-image-ultra-v1:1"
FLAT = [SD3, SD35, CORE0, CORE, ULTRA0, ULTRA]
XL0, XL = "stability.stable-diffusion-xl-v0", "stability.stable-diffusion-xl-v1"
XLS = [XL0, XL, "stability.stable-diffusion-xl-v1:0"]


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


def answer(model: str, payload: dict[str, Any], **fields: Any) -> ImageResult:
    call = prepare(model, **fields)[0]
    return family_for(model_of(model)).parse(call, payload, request_id="r-1")


def warned(call: Call) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.parameter) for warning in call.warnings]


def artifact(reason: str | None = "SUCCESS", seed: Any = 123456, b64: Any = PICTURE) -> dict[str, Any]:
    return {"result": "success", "artifacts": [{"seed": seed, "base64": b64, "finishReason": reason}]}


@pytest.mark.parametrize("model", FLAT)
def test_the_smallest_flat_body_is_a_prompt(model: str) -> None:
    """No mode, no ratio, no seed is sent unasked; the model draws the seed, so the call is not reproducible."""
    (call,) = prepare(model)
    assert call.body == {"prompt": "red kite over dunes"}
    assert (call.width, call.height, call.quality, call.steps) == (None, None, None, None)
    assert (call.effective_seed, call.reproducible) == (None, False)


@pytest.mark.parametrize("model", FLAT)
def test_flat_bodies_take_all_their_parameters(model: str) -> None:
    """The full body of the documentation comes out of our own words; mode may ride along natively, but for Core."""
    mode = {} if "core" in model else {"mode": "text-to-image"}
    (call,) = prepare(
        model,
        negative_prompt="people",
        aspect_ratio="16:9",
        seed=1234,
        output_format="png",
        native=mode,
    )
    assert call.body == {
        "prompt": "red kite over dunes",
        "negative_prompt": "people",
        "aspect_ratio": "16:9",
        "seed": 1234,
        "output_format": "png",
        **mode,
    }
    assert (call.seed, call.effective_seed, call.reproducible, call.warnings) == (1234, 1234, True, ())


@pytest.mark.parametrize("model", FLAT)
def test_what_flat_bodies_do_not_have_is_left_out_with_a_warning(model: str) -> None:
    """An unknown field would be answered with an error, so none of these is sent."""
    asked: dict[str, Any] = {
        "cfg_scale": 7.0,
        "steps": 30,
        "sampler": "DDIM",
        "clip_guidance_preset": "NONE",
        "quality": "premium",
        "style": "photographic",
        "output_compression": 50,
    }
    (call,) = prepare(model, **asked)
    assert call.body == {"prompt": "red kite over dunes"}
    assert sorted(warned(call)) == sorted(("ignored", parameter) for parameter in asked)
    for parameter, value in asked.items():
        assert refusal(model, strict=True, **{parameter: value}).parameter == parameter
    assert prepare(model, quality="standard", strict=True)[0].warnings == ()
    assert refusal(model, quality="best").allowed == "standard, premium"


def test_only_sd35_makes_webp() -> None:
    """What the others make is to be converted."""
    assert prepare(SD35, output_format="webp")[0].body["output_format"] == "webp"
    for model in (SD3, CORE, ULTRA):
        (call,) = prepare(model, output_format="webp")
        assert (warned(call), call.delivery) == ([], Delivery(format="webp"))
        assert "output_format" not in call.body


def test_the_largest_seed_depends_on_the_model() -> None:
    """SD3.5 stops one earlier than the others."""
    assert prepare(SD3, seed=4_294_967_295)[0].seed == 4_294_967_295
    error = refusal(SD35, seed=4_294_967_295)
    assert (error.allowed, error.nearest) == ("0 to 4294967294", "4294967294")


@pytest.mark.parametrize("model", FLAT)
@pytest.mark.parametrize(("seed", "told"), [(7, 7), ("7", 7), (None, 30), ("x", 30), (True, 30), (2.5, 30)])
def test_the_answered_seed_is_read_as_number_or_digits(model: str, seed: Any, told: int) -> None:
    """The model's own word counts; without a usable one the seed that was sent does."""
    found = answer(model, {"seeds": [seed], "finish_reasons": [None], "images": [PICTURE]}, seed=30)
    assert [image.seed for image in found.images] == [told]
    assert answer(model, {"images": [PICTURE]}, seed=30).images[0].seed == 30
    assert answer(model, {"images": [PICTURE]}).images[0].seed is None


@pytest.mark.parametrize("model", FLAT)
@pytest.mark.parametrize(
    ("reason", "stage", "billed"),
    [
        ("Filter reason: prompt", "prompt", False),
        ("Filter reason: input image", "input_image", False),
        ("Filter reason: output image", "output_image", True),
        ("filter reason:  Output Image", "output_image", True),
        ("Filter reason: something new", "output_image", True),
    ],
)
@pytest.mark.parametrize("images", [[], [None], [PICTURE], None])
def test_a_filter_reason_is_a_filter_error(model: str, reason: str, stage: str, billed: bool, images: Any) -> None:
    """Whether pictures come along or not, a filtered answer is never handed out."""
    with pytest.raises(ContentFiltered) as caught:
        answer(model, {"finish_reasons": [reason], "images": images})
    assert (caught.value.stage, caught.value.may_be_billed) == (stage, billed)
    assert (caught.value.upstream_status, caught.value.request_id) == (200, "r-1")


@pytest.mark.parametrize("model", FLAT)
@pytest.mark.parametrize("reason", ["Inference error", "inference error", "Something else", 7, ["x"]])
def test_an_inference_error_is_the_providers_fault(model: str, reason: Any) -> None:
    """It may be tried elsewhere, counts against the deployment, and may have been billed."""
    with pytest.raises(Unavailable) as caught:
        answer(model, {"finish_reasons": [reason], "images": [PICTURE]})
    assert caught.value.retry
    assert caught.value.may_be_billed
    assert caught.value.effect is Effect.FAILURE


def test_a_picture_is_not_lost_to_a_broken_neighbour() -> None:
    """Lists that do not match each other are read as far as they go."""
    payload = {"images": [PICTURE, PICTURE], "seeds": [1], "finish_reasons": [None, "Filter reason: output image"]}
    found = answer(CORE, payload)
    assert [image.seed for image in found.images] == [1]
    assert [(one.index, one.reason) for one in found.missing] == [(1, "filtered")]
    assert payload["seeds"] == [1]
    with pytest.raises(BadResponse):
        answer(CORE, {"images": [], "seeds": [1], "finish_reasons": [None]})


@pytest.mark.parametrize("model", XLS)
def test_the_smallest_sdxl_body_is_a_prompt(model: str) -> None:
    """Price facts are the defaults: 30 steps, the base size, standard."""
    (call,) = prepare(model)
    assert call.body == {"text_prompts": [{"text": "red kite over dunes"}]}
    side = 512 if model == XL0 else 1024
    assert (call.width, call.height, call.quality, call.steps) == (side, side, "standard", 30)
    assert (call.effective_seed, call.reproducible) == (None, False)


@pytest.mark.parametrize("model", XLS)
def test_sdxl_takes_all_its_parameters(model: str) -> None:
    """The full body of the documentation comes out of our own words, in any spelling of its words."""
    (call,) = prepare(
        model,
        negative_prompt="people",
        size=(1152, 896),
        cfg_scale=7,
        steps=30,
        seed=0,
        sampler="k dpmpp-2m",
        clip_guidance_preset="none",
        style="Photographic",
        native={"samples": 1},
    )
    assert call.body == {
        "text_prompts": [{"text": "red kite over dunes", "weight": 1}, {"text": "people", "weight": -1}],
        "width": 1152,
        "height": 896,
        "cfg_scale": 7,
        "steps": 30,
        "seed": 0,
        "samples": 1,
        "sampler": "K_DPMPP_2M",
        "clip_guidance_preset": "NONE",
        "style_preset": "photographic",
    }
    assert (call.seed, call.effective_seed, call.reproducible) == (0, None, False)
    assert [warning.parameter for warning in call.warnings] == ["seed"]


def test_the_small_size_of_the_reference_page_becomes_the_nearest() -> None:
    """128x512 with seed 30 on the oldest model: a picture of 640x1536, and a warning that says so."""
    (call,) = prepare(XL0, size=(128, 512), seed=30)
    assert call.body == {"text_prompts": [{"text": "red kite over dunes"}], "width": 640, "height": 1536, "seed": 30}
    assert [warning.message for warning in call.warnings] == ["128x512 is not offered; the picture is 640x1536"]


def test_three_pictures_are_three_calls() -> None:
    """One picture per call, seeds counting up."""
    assert [call.body["seed"] for call in prepare(XL, n=3, seed=30)] == [30, 31, 32]
    assert [call.body.get("seed") for call in prepare(XL, n=3)] == [None] * 3


@pytest.mark.parametrize(
    ("model", "parameter", "value", "allowed", "nearest"),
    [
        (XL, "steps", 151, "a whole number from 10 to 150", "150"),
        (XL, "steps", 9, "a whole number from 10 to 150", "10"),
        (XL, "steps", 30.5, "a whole number from 10 to 150", None),
        (XL0, "steps", 151, "a whole number from 10 to 150", "150"),
        (XL, "cfg_scale", 36, "a number from 0 to 35", "35"),
        (XL0, "cfg_scale", 31, "a number from 0 to 30", "30"),
        (XL, "sampler", "K_DPMPP_2", "DDIM, DDPM, ", "K_DPMPP_2M"),
        (XL, "clip_guidance_preset", "slowst", "FAST_BLUE, FAST_GREEN, NONE, ", "SLOWEST"),
        (XL, "style", "photo-graphic", "3d-model, analog-film, ", "photographic"),
        (XL, "style", "zzzzzzzzz", "3d-model, analog-film, ", None),
    ],
)
def test_a_value_that_sdxl_does_not_know_is_refused(
    model: str, parameter: str, value: Any, allowed: str, nearest: str | None
) -> None:
    """The error names the field, what is allowed, and the nearest choice."""
    error = refusal(model, **{parameter: value})
    assert error.parameter == parameter
    assert error.allowed is not None
    assert error.allowed.startswith(allowed)
    assert error.nearest == nearest


def test_many_steps_are_the_premium_tier() -> None:
    """AWS sells SDXL by steps: more than 50 is premium. Quality itself is no parameter."""
    (call,) = prepare(XL0, steps=51)
    assert (call.steps, call.quality) == (51, "premium")
    (call,) = prepare(XL, native={"steps": 70, "width": 640, "height": 1536})
    assert (call.steps, call.quality, call.width, call.height) == (70, "premium", 640, 1536)
    (call,) = prepare(XL, quality="premium")
    assert (call.quality, warned(call)) == ("standard", [("ignored", "quality")])


def test_native_prompts_win_and_the_replaced_ones_are_named() -> None:
    """A native list replaces ours, and prompt and negative prompt are both said to be replaced."""
    own = [{"text": "other", "weight": 0.5}]
    (call,) = prepare(XL, negative_prompt="people", native={"text_prompts": own})
    assert call.body["text_prompts"] == own
    assert {parameter for _, parameter in warned(call)} == {"prompt", "negative_prompt"}


@pytest.mark.parametrize("model", XLS)
def test_a_blurred_picture_is_never_handed_out(model: str) -> None:
    """CONTENT_FILTERED comes with a picture, which is a placeholder, and is probably billed."""
    with pytest.raises(ContentFiltered) as caught:
        answer(model, artifact("CONTENT_FILTERED"))
    assert (caught.value.stage, caught.value.may_be_billed) == ("output_image", True)


@pytest.mark.parametrize("payload", [artifact("ERROR"), {"result": "error", "artifacts": []}, {"result": "error"}])
def test_a_failed_artifact_is_the_providers_fault(payload: dict[str, Any]) -> None:
    """The model says itself that it failed, beside the artifact or above all of them."""
    with pytest.raises(Unavailable) as caught:
        answer(XL, payload)
    assert caught.value.may_be_billed


@pytest.mark.parametrize(("seed", "told"), [(123456, 123456), ("77", 77), (None, 30)])
def test_an_artifact_tells_its_seed(seed: Any, told: int) -> None:
    """The seed of the answer counts, else the one that was sent."""
    found = answer(XL, artifact(seed=seed), seed=30)
    assert [image.seed for image in found.images] == [told]
    assert answer(XL, artifact(None)).images[0].seed == 123456


def picture_file(kind: str) -> bytes:
    file = io.BytesIO()
    Drawing.linear_gradient("L").convert("RGB").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_read_to_its_end(kind: str) -> None:
    """A file that is cut, or broken in the middle, is no picture; a little filling behind the end is."""
    whole = picture_file(kind)
    for data in (whole, whole + bytes(3)):
        assert answer(CORE, {"images": [base64.b64encode(data).decode()]}).images[0].bytes == data
    text = base64.b64encode(whole).decode()
    middle = len(text) // 2
    for broken in (
        base64.b64encode(whole[:-6]).decode(),
        f"{text[:middle]}!!!!{text[middle + 4 :]}",
        f"{text[:middle]}===={text[middle + 4 :]}",
        f"{text[:middle]}éééé{text[middle + 4 :]}",
    ):
        with pytest.raises(BadResponse, match="something that is not a picture"):
            answer(CORE, {"images": [broken]})
