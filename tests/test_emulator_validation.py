"""What the emulator accepts and refuses, model by model, and what it says."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.emulator.errors import BedrockError
from lascaux.emulator.job import Job
from lascaux.emulator.models import MODELS, SERVICES
from lascaux.emulator.validation import ASPECT_RATIOS, check, guess, parse

TITAN_1, TITAN_2 = "amazon.titan-image-generator-v1", "amazon.titan-image-generator-v2:0"
CANVAS = "amazon.nova-canvas-v1:0"
SDXL_0, SDXL_1 = "stability.stable-diffusion-xl-v0", "stability.stable-diffusion-xl-v1"
SD3, SD35 = "stability.sd3-large-v1:0", "stability.sd3-5-large-v1:0"
CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"
SERVICE = "stability.stable-image-"
GENERATE = ("stability.stable-image-core-v1:0", CORE, "stability.stable-image-ultra-v1:0", ULTRA, SD3, SD35)


def amazon(text: str = "red kite", /, params: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    """A TEXT_IMAGE body."""
    body: dict[str, Any] = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": text, **(params or {})}}
    return {**body, "imageGenerationConfig": config} if config else body


def sdxl(text: str = "red kite", /, **fields: Any) -> dict[str, Any]:
    """A text-to-image body of SDXL."""
    return {"text_prompts": [{"text": text}], **fields}


def accepted(model_id: str, body: dict[str, Any]) -> Job:
    """The job of a good body, which stays unchanged."""
    before = copy.deepcopy(body)
    job = check(MODELS[model_id], body)
    assert body == before
    return job


def refused(model_id: str, body: dict[str, Any]) -> str:
    """The message for a bad body; always a ValidationException."""
    with pytest.raises(BedrockError) as caught:
        check(MODELS[model_id], body)
    assert (caught.value.status, caught.value.error_type) == (400, "ValidationException")
    return caught.value.message


def malformed(rule: str) -> str:
    """The service's frame around one broken rule."""
    return f"Malformed input request: {rule}, please reformat your input and try again."


CONFIG = "#/imageGenerationConfig"
PARAMS = "#/textToImageParams"
BAD_AMAZON = [
    (TITAN_2, {}, "#: required key [taskType] not found"),
    (TITAN_2, {"taskType": "TEXT_IMAGE"}, "#: required key [textToImageParams] not found"),
    (TITAN_2, {"taskType": 7}, "#/taskType: expected type: String, found: Integer"),
    (TITAN_2, {"taskType": "PAINT"}, "#/taskType: PAINT is not a valid enum value"),
    (TITAN_1, {"taskType": "BACKGROUND_REMOVAL"}, "#/taskType: BACKGROUND_REMOVAL is not a valid enum value"),
    (TITAN_2, {"taskType": "VIRTUAL_TRY_ON"}, "#/taskType: VIRTUAL_TRY_ON is not a valid enum value"),
    (TITAN_2, {"taskType": "TEXT_IMAGE", "textToImageParams": {}}, f"{PARAMS}: required key [text] not found"),
    (
        TITAN_2,
        {"taskType": "TEXT_IMAGE", "textToImageParams": []},
        f"{PARAMS}: expected type: JSONObject, found: JSONArray",
    ),
    (TITAN_2, amazon("a" * 513), f"{PARAMS}/text: expected maxLength: 512, actual: 513"),
    (
        TITAN_2,
        amazon(params={"negativeText": "a" * 513}),
        f"{PARAMS}/negativeText: expected maxLength: 512, actual: 513",
    ),
    (TITAN_2, amazon(params={"style": "PHOTOREALISM"}), f"{PARAMS}: extraneous key [style] is not permitted"),
    (TITAN_1, amazon(params={"conditionImage": "aaaa"}), f"{PARAMS}: extraneous key [conditionImage] is not permitted"),
    (TITAN_2, amazon(params={"controlMode": "CANNY_EDGE"}), f"{PARAMS}: required key [conditionImage] not found"),
    (TITAN_2, amazon(params={"controlStrength": 2}), f"{PARAMS}/controlStrength: 2 is not less or equal to 1.0"),
    (TITAN_2, {**amazon(), "n": 2}, "#: extraneous key [n] is not permitted"),
    (TITAN_2, amazon(steps=3), f"{CONFIG}: extraneous key [steps] is not permitted"),
    (TITAN_2, amazon(quality="best"), f"{CONFIG}/quality: best is not a valid enum value"),
    (TITAN_2, amazon(numberOfImages=0), f"{CONFIG}/numberOfImages: 0 is not greater or equal to 1"),
    (TITAN_2, amazon(numberOfImages=6), f"{CONFIG}/numberOfImages: 6 is not less or equal to 5"),
    (TITAN_2, amazon(numberOfImages=True), f"{CONFIG}/numberOfImages: expected type: Integer, found: Boolean"),
    (TITAN_2, amazon(numberOfImages="2"), f"{CONFIG}/numberOfImages: expected type: Integer, found: String"),
    (TITAN_2, amazon(cfgScale=1.0), f"{CONFIG}/cfgScale: 1.0 is not greater or equal to 1.1"),
    (TITAN_2, amazon(cfgScale=10.5), f"{CONFIG}/cfgScale: 10.5 is not less or equal to 10.0"),
    (TITAN_2, amazon(cfgScale=None), f"{CONFIG}/cfgScale: expected type: Number, found: Null"),
    (TITAN_2, amazon(seed=-1), f"{CONFIG}/seed: -1 is not greater or equal to 0"),
    (TITAN_2, amazon(seed=2147483647), f"{CONFIG}/seed: 2147483647 is not less or equal to 2147483646"),
    (TITAN_2, amazon(seed=1.5), f"{CONFIG}/seed: expected type: Integer, found: BigDecimal"),
    (CANVAS, amazon(""), f"{PARAMS}/text: expected minLength: 1, actual: 0"),
    (CANVAS, amazon("a" * 1025), f"{PARAMS}/text: expected maxLength: 1024, actual: 1025"),
    (CANVAS, amazon(params={"negativeText": ""}), f"{PARAMS}/negativeText: expected minLength: 1, actual: 0"),
    (CANVAS, amazon(params={"style": "PHOTO"}), f"{PARAMS}/style: PHOTO is not a valid enum value"),
    (CANVAS, amazon(params={"images": ["a"]}), f"{PARAMS}: extraneous key [images] is not permitted"),
    (CANVAS, amazon(width=1000), f"{CONFIG}/width: 1000 is not a multiple of 16"),
    (CANVAS, amazon(width=304), f"{CONFIG}/width: 304 is not greater or equal to 320"),
    (CANVAS, amazon(height=4112, width=1040), f"{CONFIG}/height: 4112 is not less or equal to 4096"),
    (CANVAS, amazon(width=320, height=1296), f"{CONFIG}: the aspect ratio of 320x1296 must be between 1:4 and 4:1"),
    (CANVAS, amazon(width=4096, height=1040), f"{CONFIG}: 4096x1040 has more than 4194304 pixels"),
    (CANVAS, amazon(seed=2147483647), f"{CONFIG}/seed: 2147483647 is not less or equal to 2147483646"),
]
BAD_SDXL = [
    (SDXL_1, {}, "#: required key [text_prompts] not found"),
    (SDXL_1, {"text_prompts": []}, "#/text_prompts: expected minimum item count: 1, found: 0"),
    (SDXL_1, {"text_prompts": "kite"}, "#/text_prompts: expected type: JSONArray, found: String"),
    (SDXL_1, {"text_prompts": [{"weight": 1}]}, "#/text_prompts/0: required key [text] not found"),
    (
        SDXL_1,
        {"text_prompts": [{"text": "a", "weight": "1"}]},
        "#/text_prompts/0/weight: expected type: Number, found: String",
    ),
    (SDXL_1, sdxl("a" * 2001), "#/text_prompts/0/text: expected maxLength: 2000, actual: 2001"),
    (SDXL_1, {**sdxl(), "prompt": "a"}, "#: extraneous key [prompt] is not permitted"),
    (SDXL_1, sdxl(cfg_scale=35.5), "#/cfg_scale: 35.5 is not less or equal to 35"),
    (SDXL_0, sdxl(cfg_scale=31), "#/cfg_scale: 31 is not less or equal to 30"),
    (SDXL_1, sdxl(steps=9), "#/steps: 9 is not greater or equal to 10"),
    (SDXL_1, sdxl(steps=151), "#/steps: 151 is not less or equal to 150"),
    (SDXL_1, sdxl(samples=2), "#/samples: 2 is not less or equal to 1"),
    (SDXL_1, sdxl(seed=4294967296), "#/seed: 4294967296 is not less or equal to 4294967295"),
    (SDXL_1, sdxl(sampler="EULER"), "#/sampler: EULER is not a valid enum value"),
    (SDXL_1, sdxl(clip_guidance_preset="FAST"), "#/clip_guidance_preset: FAST is not a valid enum value"),
    (SDXL_1, sdxl(style_preset="photo"), "#/style_preset: photo is not a valid enum value"),
    (SDXL_1, sdxl(extras=[]), "#/extras: expected type: JSONObject, found: JSONArray"),
    (SDXL_1, sdxl(width=1000, height=1024), "#/width: 1000 is not a multiple of 64"),
    (SDXL_0, sdxl(width=1088, height=1024), "#: 1088x1024 has more than 1048576 pixels"),
]
BAD_STABILITY = [
    (CORE, {}, "#: required key [prompt] not found"),
    (CORE, {"prompt": 3}, "#/prompt: expected type: String, found: Integer"),
    (CORE, {"prompt": "a" * 10001}, "#/prompt: expected maxLength: 10000, actual: 10001"),
    (
        CORE,
        {"prompt": "a", "negative_prompt": "a" * 10001},
        "#/negative_prompt: expected maxLength: 10000, actual: 10001",
    ),
    (CORE, {"prompt": "a", "seed": -1}, "#/seed: -1 is not greater or equal to 0"),
    (CORE, {"prompt": "a", "seed": 4294967296}, "#/seed: 4294967296 is not less or equal to 4294967295"),
    (SD35, {"prompt": "a", "seed": 4294967295}, "#/seed: 4294967295 is not less or equal to 4294967294"),
    (SD3, {"prompt": "a", "output_format": "webp"}, "#/output_format: webp is not a valid enum value"),
    (CORE, {"prompt": "a", "output_format": "PNG"}, "#/output_format: PNG is not a valid enum value"),
    (CORE, {"prompt": "a", "aspect_ratio": "4:3"}, "#/aspect_ratio: 4:3 is not a valid enum value"),
    (ULTRA, {"prompt": "a", "mode": "video"}, "#/mode: video is not a valid enum value"),
]


@pytest.mark.parametrize(("model_id", "body", "rule"), [*BAD_AMAZON, *BAD_SDXL, *BAD_STABILITY])
def test_a_broken_rule_is_named_with_its_pointer(model_id: str, body: dict[str, Any], rule: str) -> None:
    """Every range, length, enum, type and required field, each in the service's words."""
    assert refused(model_id, body) == malformed(rule)


def test_of_several_violations_only_the_number_is_told() -> None:
    """As on the live service."""
    body = amazon("a" * 2000, seed=-1, quality="best")
    assert refused(CANVAS, body) == malformed("3 schema violations found")


@pytest.mark.parametrize(
    ("raw", "kind"), [(b"[1]", "JSONArray"), (b'"x"', "String"), (b"null", "Null"), (b"1.5", "BigDecimal")]
)
def test_a_body_that_is_no_object_is_malformed(raw: bytes, kind: str) -> None:
    """JSON of another kind is named as such."""
    with pytest.raises(BedrockError) as caught:
        parse(raw)
    assert caught.value.message == malformed(f"#: expected type: JSONObject, found: {kind}")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a": NaN}', b"prompt=x"])
def test_a_body_that_is_no_json_is_malformed(raw: bytes) -> None:
    """Without a pointer, as nothing could be read."""
    with pytest.raises(BedrockError) as caught:
        parse(raw)
    assert caught.value.message == "Malformed input request, please reformat your input and try again."


@pytest.mark.parametrize("model_id", [TITAN_1, TITAN_2])
def test_titan_takes_the_documented_pairs_only(model_id: str) -> None:
    """25 pairs; a valid side with the other left out does not make one, since the default is 1408."""
    for width, height in [(1024, 1024), (512, 512), (320, 704), (1173, 640), (1408, 768)]:
        job = accepted(model_id, amazon(width=width, height=height))
        assert (job.width, job.height) == (width, height)
    bad: list[dict[str, Any]] = [
        {"width": 1024, "height": 1000},
        {"width": 512},
        {"height": 768, "width": 512},
        {"width": 1408, "height": 1408},
    ]
    for config in bad:
        assert "are not a supported pair: 1024x1024 " in refused(model_id, amazon(**config))
    job = accepted(model_id, amazon())
    assert (job.width, job.height) == (1408, 1408)


@given(width=st.integers(300, 4200), height=st.integers(300, 4200))
def test_canvas_takes_exactly_the_documented_sizes(width: int, height: int) -> None:
    """Sides 320-4096, multiples of 16, 1:4 to 4:1, up to 4,194,304 pixels."""
    good = (
        320 <= width <= 4096
        and 320 <= height <= 4096
        and width % 16 == height % 16 == 0
        and max(width, height) <= 4 * min(width, height)
        and width * height <= 4_194_304
    )
    if good:
        job = accepted(CANVAS, amazon(width=width, height=height))
        assert (job.width, job.height) == (width, height)
    else:
        assert refused(CANVAS, amazon(width=width, height=height)).startswith("Malformed input request: ")


def test_canvas_takes_the_size_that_is_in_doubt() -> None:
    """2048 x 2048 is excluded by one page and used by others."""
    assert accepted(CANVAS, amazon(width=2048, height=2048)).width == 2048


def test_sdxl_takes_nine_pairs_and_its_preview_any_multiple_of_64() -> None:
    """The list of 0.8 is lost, so its sizes are not refused."""
    assert (accepted(SDXL_1, sdxl()).width, accepted(SDXL_0, sdxl()).width) == (1024, 512)
    assert accepted(SDXL_1, sdxl(width=1536, height=640)).height == 640
    assert "are not a supported pair" in refused(SDXL_1, sdxl(width=512, height=512))
    assert "are not a supported pair" in refused(SDXL_1, sdxl(width=1152))
    assert accepted(SDXL_0, sdxl(width=128, height=512)).width == 128


@pytest.mark.parametrize("model_id", GENERATE)
def test_stability_names_the_fields_it_knows(model_id: str) -> None:
    """The message of an unknown field is itself a JSON document."""
    message = refused(model_id, {"prompt": "a", "width": 1024})
    detail = orjson.loads(message)["detail"]
    assert detail.startswith("Invalid field in request. Available fields: ['prompt', 'negative_prompt'")
    assert ("'mode'" in detail) == ("image-core" not in model_id)


def test_core_does_not_know_mode() -> None:
    """The other generators do."""
    assert "Available fields" in refused(CORE, {"prompt": "a", "mode": "text-to-image"})
    for model_id in (SD3, SD35, ULTRA):
        assert accepted(model_id, {"prompt": "a", "mode": "text-to-image"}).prompt == "a"


@pytest.mark.parametrize("model_id", GENERATE)
@pytest.mark.parametrize("ratio", list(ASPECT_RATIOS))
def test_every_aspect_ratio_is_about_a_megapixel(model_id: str, ratio: str) -> None:
    """Multiples of 64 with sides from 640 to 1536, close to the ratio that was asked for."""
    job = accepted(model_id, {"prompt": "a", "aspect_ratio": ratio})
    across, _, down = ratio.partition(":")
    assert job.width % 64 == job.height % 64 == 0
    assert 640 <= min(job.width, job.height) <= max(job.width, job.height) <= 1536
    assert 0.9 <= job.width * job.height / 2**20 <= 1.0
    assert job.width / job.height == pytest.approx(int(across) / int(down), rel=0.04)


@pytest.mark.parametrize(
    ("model_id", "body", "seed"),
    [
        (TITAN_1, amazon(), 42),
        (TITAN_2, amazon(), 42),
        (CANVAS, amazon(), 12),
        (TITAN_2, amazon(seed=0), 0),
        (CANVAS, amazon(seed=0), 0),
        (CANVAS, amazon(seed=2147483646), 2147483646),
        (SDXL_1, sdxl(), None),
        (SDXL_1, sdxl(seed=0), None),
        (SDXL_1, sdxl(seed=4294967295), 4294967295),
        (CORE, {"prompt": "a"}, None),
        (CORE, {"prompt": "a", "seed": 0}, None),
        (CORE, {"prompt": "a", "seed": 4294967295}, 4294967295),
        (SD35, {"prompt": "a", "seed": 4294967294}, 4294967294),
    ],
)
def test_an_omitted_seed_is_what_each_family_makes_of_it(model_id: str, body: dict[str, Any], seed: int | None) -> None:
    """Fixed defaults on Amazon's models, where 0 is ordinary; a random one for omitted or 0 on Stability's."""
    assert accepted(model_id, body).seed == seed


def test_defaults_written_out_are_the_same_job() -> None:
    """What a body leaves to the model is the same as saying it."""
    assert accepted(CANVAS, amazon()) == accepted(
        CANVAS, amazon(width=1024, height=1024, cfgScale=6.5, seed=12, quality="standard", numberOfImages=1)
    )
    assert accepted(TITAN_2, amazon(width=512, height=512)) == accepted(
        TITAN_2, amazon(width=512, height=512, cfgScale=8, seed=42)
    )
    assert accepted(SDXL_1, sdxl()).parameters == accepted(SDXL_1, sdxl(cfg_scale=7.0, steps=30, seed=9)).parameters


def test_negative_prompts_of_sdxl_are_not_part_of_the_prompt() -> None:
    """An entry with a negative weight says what not to draw."""
    body = {"text_prompts": [{"text": "kite", "weight": 1}, {"text": "people", "weight": -1}, {"text": "dunes"}]}
    assert accepted(SDXL_1, body).prompt == "kite dunes"


def test_a_model_that_is_not_drawn_here_is_named() -> None:
    """Nobody is left to guess why a listed model is refused."""
    message = refused("amazon.nova-2-omni-v1:0", {"messages": []})
    assert message == "This emulator does not draw Nova 2 Omni yet."


@pytest.mark.parametrize(
    ("body", "model_id"),
    [
        (amazon(), CANVAS),
        (amazon(width=1173, height=640), TITAN_2),
        (amazon("a" * 800), CANVAS),
        (amazon("a" * 8000), CANVAS),
        (sdxl(), SDXL_1),
        ({"prompt": "a"}, SD35),
        ({"prompt": "a", "output_format": "webp"}, SD35),
        ({"prompt": "a", "image": "a", "strength": 0.5}, SD35),
        ({"init_image": "a", "style_image": "a"}, "stability.stable-style-transfer-v1:0"),
        ({"image": "a", "prompt": "a", "select_prompt": "a", "grow_mask": 3}, f"{SERVICE}search-recolor-v1:0"),
        ({"image": "a", "prompt": "a", "search_prompt": "a"}, f"{SERVICE}search-replace-v1:0"),
        ({"image": "a", "down": 3, "creativity": 0.5}, "stability.stable-outpaint-v1:0"),
        ({"image": "a", "prompt": "a", "fidelity": 0.5}, f"{SERVICE}style-guide-v1:0"),
        ({"image": "a", "prompt": "a", "control_strength": 0.5}, f"{SERVICE}control-structure-v1:0"),
        ({"image": "a", "prompt": "a", "creativity": 0.3}, "stability.stable-conservative-upscale-v1:0"),
        ({"image": "a", "prompt": "a", "mask": "a"}, f"{SERVICE}inpaint-v1:0"),
        ({"image": "a", "grow_mask": 3}, f"{SERVICE}erase-object-v1:0"),
        ({"image": "a", "prompt": "a"}, f"{SERVICE}control-structure-v1:0"),
        ({"image": "a"}, f"{SERVICE}remove-background-v1:0"),
    ],
)
def test_the_shape_of_a_body_tells_the_family(body: dict[str, Any], model_id: str) -> None:
    """For calls through an opaque ARN that nobody mapped."""
    assert guess(body).id == model_id


def test_the_catalogue_is_complete() -> None:
    """Every image model that Bedrock ever listed: 27 entries, the two for provisioned throughput included."""
    families: dict[str, int] = {}
    for model in MODELS.values():
        families[model.family] = families.get(model.family, 0) + 1
    assert families == {
        "titan-image": 3,
        "nova-canvas": 1,
        "nova-omni": 1,
        "sdxl": 3,
        "stability-generate": 6,
        "stability-service": len(SERVICES),
    }
    assert len(SERVICES) == 13
