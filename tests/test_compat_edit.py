"""LiteLLM's functions for pictures out of pictures, and every parameter that it loses, misplaces or fails on."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lascaux
import pytest
from lascaux import (
    InvalidRequest,
    aimage_edit,
    aimage_variation,
    image_edit,
    image_generation,
    image_variation,
)
from lascaux.compat import functions
from lascaux.compat.arguments import Arguments
from lascaux.compat.response import ImageResponse
from lascaux.emulator import Emulator, Rule
from PIL import Image, ImageDraw

MODELS = {
    "nova": ("bedrock/amazon.nova-canvas-v1:0", "us-east-1"),
    "titan": ("bedrock/amazon.titan-image-generator-v2:0", "us-east-1"),
    "sdxl": ("bedrock/stability.stable-diffusion-xl-v1", "us-east-1"),
    "core": ("bedrock/stability.stable-image-core-v1:1", "us-west-2"),
    "sd3": ("bedrock/stability.sd3-5-large-v1:0", "us-west-2"),
}
AMAZON, STABILITY, ALL = ("nova", "titan"), ("sdxl", "core", "sd3"), tuple(MODELS)
PROMPT = "A cute baby sea otter"
SIDE = 640
CONFIG, WORDS = "imageGenerationConfig.", "textToImageParams."


def png(colour: Any = (30, 120, 200), mode: str = "RGB", hole: Any = None) -> bytes:
    """A picture as a file; ``hole`` is the colour of a square in it."""
    picture = Image.new(mode, (SIDE, SIDE), colour)
    if hole is not None:
        ImageDraw.Draw(picture).rectangle((160, 160, 480, 480), fill=hole)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


OTTER, HAT, THIRD = png(), png((200, 30, 30)), png((20, 160, 60))
MASK = png((0, 0, 0, 255), "RGBA", (0, 0, 0, 0))
"""OpenAI's convention: transparent where the picture shall change."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    with Emulator(canvas="fast") as emulator:
        yield emulator


@pytest.fixture
def bedrock(shared: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """A forgetful emulator behind an environment with keys and nothing else of AWS's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_BEDROCK_RUNTIME_ENDPOINT": shared.url,
        "AWS_ACCESS_KEY_ID": "emulator",
        "AWS_SECRET_ACCESS_KEY": "emulator-secret",
        "AWS_REGION_NAME": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    shared.forget()
    yield shared
    shared.faults.clear()
    functions.close()


def place(name: str) -> dict[str, Any]:
    """The arguments that name a model of the table, or an edit service by the middle of its id."""
    model, region = MODELS.get(name, (f"bedrock/us.stability.stable-{name}-v1:0", "us-east-1"))
    return {"model": model, "aws_region_name": region}


def bodies(bedrock: Emulator) -> list[Mapping[str, Any]]:
    return [call.body or {} for call in bedrock.log]


def at(body: Mapping[str, Any], path: str) -> Any:
    """What stands at a path of a body such as ``imageGenerationConfig.seed``; None if nothing does."""
    found: Any = body
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def warned(response: ImageResponse) -> list[str]:
    """What was said of parameters; that a model is retired is known."""
    return [line for line in response._hidden_params["warnings"] if "end of life" not in line]


def each(models: tuple[str, ...], expected: Any) -> dict[str, Any]:
    return dict.fromkeys(models, expected)


def pixels(**sizes: tuple[int, int]) -> dict[str, Any]:
    """Where the sides are expected, by model."""
    wide = {name: (f"{CONFIG}width", f"{CONFIG}height") if name in AMAZON else ("width", "height") for name in sizes}
    return {name: dict(zip(wide[name], size, strict=True)) for name, size in sizes.items()}


TRY_ON = {
    "sourceImage": b64(OTTER),
    "referenceImage": b64(HAT),
    "maskType": "GARMENT",
    "garmentBasedMask": {"garmentClass": "UPPER_BODY"},
}
UNKNOWN = "unknown parameter '{}'; known are n, size, "
NO_HEADERS = "extra_headers are not sent; for a guardrail give guardrail_id and guardrail_version"


def only_amazon(name: str, values: dict[str, Any], task: str) -> dict[str, Any]:
    """Amazon's models do it, with these values in the body; the others say that they can not."""
    sent = {key if "." in key or key == "taskType" else f"{name}.{key}": value for key, value in values.items()}
    return {**each(AMAZON, sent), **each(STABILITY, f"can not do {task}; allowed: text_to_image")}


# (parameters, what comes of them). By model: values in every body that is sent, with ``calls`` and ``warning`` beside
# them, or, as text, why it is refused.
OPENAI: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"n": 2}, {**each(AMAZON, {f"{CONFIG}numberOfImages": 2, "calls": 1}), **each(STABILITY, {"calls": 2})}),
    ({"n": 1}, each(ALL, {"calls": 1})),
    (
        {"size": "1280x720"},
        {
            **pixels(nova=(1280, 720)),
            "titan": {f"{CONFIG}width": 1152, f"{CONFIG}height": 640, "warning": "size: 1280x720 is not offered"},
            "sdxl": {"width": 1344, "height": 768, "warning": "size: 1280x720 is not offered"},
            **each(("core", "sd3"), {"aspect_ratio": "16:9", "width": None}),
        },
    ),
    (
        {"size": "128x512"},
        {
            "nova": {f"{CONFIG}width": 320, f"{CONFIG}height": 1280, "warning": "size: 128x512 is not offered"},
            "titan": {f"{CONFIG}width": 320, f"{CONFIG}height": 704, "warning": "size: 128x512 is not offered"},
            "sdxl": {"width": 640, "height": 1536, "warning": "size: 128x512 is not offered"},
            **each(("core", "sd3"), {"aspect_ratio": "9:21", "warning": "size: 128x512 can not be asked for"}),
        },
    ),
    ({"size": "auto"}, each(ALL, {"width": None, "aspect_ratio": None})),
    *(
        (
            {"quality": quality},
            {
                **each(AMAZON, {f"{CONFIG}quality": "premium"}),
                **each(STABILITY, {"quality": None, "warning": "has one quality only"}),
            },
        )
        for quality in ("hd", "premium", "high")
    ),
    *(
        (
            {"quality": quality},
            {**each(AMAZON, {f"{CONFIG}quality": "standard"}), **each(STABILITY, {"quality": None})},
        )
        for quality in ("standard", "medium")
    ),
    (
        {"quality": "low"},
        {
            **each(AMAZON, {f"{CONFIG}quality": "standard", "warning": "quality: low became standard"}),
            **each(STABILITY, {"quality": None, "warning": "quality: low became standard"}),
        },
    ),
    ({"quality": "auto"}, each(ALL, {"quality": None, f"{CONFIG}quality": None})),
    ({"response_format": "b64_json"}, each(ALL, {"response_format": None})),
    ({"response_format": "url"}, each(ALL, {"warning": "response_format: ignored: pictures are returned as base64"})),
    ({"style": "vivid"}, each(ALL, {"style": None, "warning": "style: .* has no counterpart of vivid"})),
    ({"user": "u-1"}, each(ALL, {"user": None, "warning": "user: ignored: it is not sent to the provider"})),
    (
        {"output_format": "jpeg"},
        {
            **each(
                ("nova", "titan", "sdxl"), {f"{CONFIG}output_format": None, "warning": "converted from png to jpeg"}
            ),
            **each(("core", "sd3"), {"output_format": "jpeg"}),
        },
    ),
    ({"background": "transparent"}, each(ALL, {"background": None, "warning": "makes opaque pictures only"})),
    ({"bogus": 1}, each(ALL, UNKNOWN.format("bogus"))),
    ({"extra_headers": {"x-team": "red"}}, each(ALL, NO_HEADERS)),
    (
        {"extra_body": {"seed": 5}},
        {**each(AMAZON, {f"{CONFIG}seed": 5}), **each(STABILITY, {"seed": 5, "extra_body": None})},
    ),
]
PROVIDER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"seed": 30, "cfgScale": 7},
        {
            **each(AMAZON, {f"{CONFIG}seed": 30, f"{CONFIG}cfgScale": 7}),
            "sdxl": {"seed": 30, "cfg_scale": 7},
            **each(("core", "sd3"), {"seed": 30, "cfgScale": None, "warning": "cfg_scale: .* has no such parameter"}),
        },
    ),
    *(
        (
            {name: "fog"},
            {
                **each(AMAZON, {f"{WORDS}negativeText": "fog", f"{CONFIG}{name}": None}),
                "sdxl": {"text_prompts": [{"text": PROMPT, "weight": 1}, {"text": "fog", "weight": -1}]},
                **each(("core", "sd3"), {"negative_prompt": "fog"}),
            },
        )
        for name in ("negativeText", "negative_prompt")
    ),
    (
        {"imageGenerationConfig": {"cfgScale": 7}, "n": 2, "quality": "hd"},
        {
            **each(
                AMAZON,
                {f"{CONFIG}cfgScale": 7, f"{CONFIG}numberOfImages": 2, f"{CONFIG}quality": "premium", "calls": 1},
            ),
            "sdxl": {"cfg_scale": 7, "calls": 2, "imageGenerationConfig": None, "warning": "quality: "},
            **each(("core", "sd3"), {"calls": 2, "imageGenerationConfig": None, "warning": "cfg_scale: |cfgScale: "}),
        },
    ),
    (
        {"textToImageParams": {"negativeText": "fog"}},
        {
            **each(AMAZON, {f"{WORDS}text": PROMPT, f"{WORDS}negativeText": "fog"}),
            **each(("core", "sd3"), {"negative_prompt": "fog", "textToImageParams": None}),
            "sdxl": {"text_prompts": [{"text": PROMPT, "weight": 1}, {"text": "fog", "weight": -1}]},
        },
    ),
    ({"taskType": "TEXT_IMAGE"}, {**each(AMAZON, {"taskType": "TEXT_IMAGE"}), **each(STABILITY, {"taskType": None})}),
    (
        {"taskType": "COLOR_GUIDED_GENERATION", "colorGuidedGenerationParams": {"colors": ["#FFFFFF"]}},
        only_amazon(
            "colorGuidedGenerationParams",
            {"taskType": "COLOR_GUIDED_GENERATION", "text": PROMPT, "colors": ["#FFFFFF"]},
            "color_guided",
        ),
    ),
    *(
        (
            {"taskType": "INPAINTING", name: {"image": b64(OTTER), "maskPrompt": "sky"}},
            {
                **each(
                    AMAZON,
                    {
                        "taskType": "INPAINTING",
                        "inPaintingParams": {"image": b64(OTTER), "maskPrompt": "sky", "text": PROMPT},
                    },
                ),
                "sdxl": "mask: inpaint needs a mask",
                **each(("core", "sd3"), "can not do inpaint; allowed: text_to_image"),
            },
        )
        for name in ("inPaintingParams", "inpaintingParams")
    ),
    (
        {"taskType": "OUTPAINTING", "outPaintingParams": {"image": b64(OTTER), "maskPrompt": "otter"}},
        only_amazon(
            "outPaintingParams", {"taskType": "OUTPAINTING", "image": b64(OTTER), "maskPrompt": "otter"}, "outpaint"
        ),
    ),
    (
        {"taskType": "IMAGE_VARIATION", "imageVariationParams": {"images": [b64(OTTER), b64(HAT)]}},
        only_amazon(
            "imageVariationParams", {"taskType": "IMAGE_VARIATION", "images": [b64(OTTER), b64(HAT)]}, "variation"
        ),
    ),
    (
        {"taskType": "BACKGROUND_REMOVAL", "backgroundRemovalParams": {"image": b64(OTTER)}},
        only_amazon(
            "backgroundRemovalParams",
            {"taskType": "BACKGROUND_REMOVAL", "image": b64(OTTER), "text": None},
            "remove_background",
        ),
    ),
    (
        {"taskType": "VIRTUAL_TRY_ON", "virtualTryOnParams": TRY_ON},
        {
            "nova": {"taskType": "VIRTUAL_TRY_ON", "virtualTryOnParams": TRY_ON},
            **each(("titan", *STABILITY), "can not do virtual_try_on; allowed: text_to_image"),
        },
    ),
    (
        {"guardrailIdentifier": "abc123", "guardrailVersion": "1"},
        each(ALL, {"guardrailIdentifier": None, f"{CONFIG}guardrailIdentifier": None, "guardrailVersion": None}),
    ),
    ({"aws_unknown": "x"}, each(ALL, "aws_unknown: is not known")),
    ({"priority": 1}, each(ALL, "'priority' is not a parameter of a picture; it belongs in the configuration")),
    *(({name: "x"}, each(ALL, UNKNOWN.format(name))) for name in ("session_id", "description", "idempotency_key")),
    ({"mode": "image_generation"}, each(ALL, {"mode": None, f"{CONFIG}mode": None})),
    ({"allowed_fails": 1}, each(ALL, {"allowed_fails": None, "warning": "allowed_fails: ignored: "})),
]


def row_name(row: Any) -> str:
    return "+".join(f"{key}={value}" if isinstance(value, (str, int)) else key for key, value in row[0].items())


@pytest.mark.parametrize("row", OPENAI + PROVIDER, ids=row_name)
def test_each_parameter_works_or_says_why_not(row: Any, bedrock: Emulator) -> None:
    """On every family: in the body at the right place, or named in a warning, or refused before a call is made."""
    params, outcomes = row
    for name in ALL:
        expected = outcomes[name]
        bedrock.forget()
        if isinstance(expected, str):
            with pytest.raises(InvalidRequest, match=re.escape(expected)):
                image_generation(PROMPT, **place(name), **params)
            assert bedrock.log == [], name
            continue
        response = image_generation(PROMPT, **place(name), **params)
        expected = dict(expected)
        assert len(response.data) == params.get("n", 1)
        assert len(bedrock.log) == expected.pop("calls", 1), name
        warning = expected.pop("warning", None)
        assert warning is None or any(re.search(warning, line) for line in warned(response)), (name, warned(response))
        for body in bodies(bedrock):
            assert {path: at(body, path) for path in expected} == expected, name


@pytest.mark.parametrize("name", ALL)
def test_a_guardrail_goes_into_the_headers(name: str, bedrock: Emulator) -> None:
    """Where Bedrock reads it; the table above shows that nothing of it stays in the body."""
    image_generation(PROMPT, guardrailIdentifier="abc123", guardrailVersion="1", **place(name))
    (call,) = bedrock.log
    headers = {key.lower(): value for key, value in call.headers.items()}
    assert headers["x-amzn-bedrock-guardrailidentifier"] == "abc123"
    assert headers["x-amzn-bedrock-guardrailversion"] == "1"


def test_a_task_without_words_says_that_it_takes_none(bedrock: Emulator) -> None:
    """image_generation must have a prompt; background removal has no place for it."""
    picture: dict[str, Any] = {"backgroundRemovalParams": {"image": b64(OTTER)}}
    response = image_generation(PROMPT, **place("nova"), taskType="BACKGROUND_REMOVAL", **picture)
    assert warned(response) == ["prompt: remove_background takes no text"]
    assert Image.open(io.BytesIO(base64.b64decode(response.data[0].b64_json or ""))).mode == "RGBA"


@pytest.mark.parametrize("value", [OTTER, ("otter.png", OTTER), ("otter.png", io.BytesIO(OTTER), "image/png")])
@pytest.mark.parametrize("name", AMAZON)
def test_a_mask_means_inpaint(name: str, value: Any, bedrock: Emulator) -> None:
    """Files as OpenAI's clients write them, (name, content, type) too; the polarity becomes the model's."""
    if isinstance(value, tuple) and isinstance(value[1], io.BytesIO):
        value[1].seek(0)
    response = image_edit(image=value, prompt="a straw hat", mask=("mask.png", MASK), n=2, seed=7, **place(name))
    (body,) = bodies(bedrock)
    assert body["taskType"] == "INPAINTING"
    assert body["inPaintingParams"]["image"] == b64(OTTER)
    assert body["imageGenerationConfig"]["numberOfImages"] == len(response.data) == 2
    before = Image.open(io.BytesIO(OTTER)).convert("RGB")
    after = Image.open(io.BytesIO(base64.b64decode(response.data[0].b64_json or ""))).convert("RGB")
    assert before.getpixel((20, 20)) == after.getpixel((20, 20))
    assert before.getpixel((320, 320)) != after.getpixel((320, 320))


def test_existing_code_can_read_the_answer_of_an_edit(bedrock: Emulator) -> None:
    """The same object as from image_generation, with the bill."""
    response = image_edit(OTTER, "a straw hat", mask=MASK, response_format="b64_json", **place("nova"))
    assert isinstance(response, ImageResponse)
    assert response["data"][0]["b64_json"] == response.data[0].b64_json == response.lascaux.images[0].b64
    assert (response.size, response.output_format, response.usage.total_tokens) == (f"{SIDE}x{SIDE}", "png", 0)
    assert response._hidden_params["response_cost"] == float(response.lascaux.cost.usd or 0) > 0


@pytest.mark.parametrize("name", AMAZON)
@pytest.mark.parametrize("function", [image_edit, image_variation])
def test_all_pictures_of_a_list_are_used(name: str, function: Any, bedrock: Emulator) -> None:
    """LiteLLM sends the first one and loses the others."""
    pictures = [OTTER, ("hat.png", HAT), io.BytesIO(THIRD)]
    response = function(image=pictures, prompt=PROMPT, **place(name))
    (body,) = bodies(bedrock)
    assert body["taskType"] == "IMAGE_VARIATION"
    assert body["imageVariationParams"]["images"] == [b64(OTTER), b64(HAT), b64(THIRD)]
    assert body["imageVariationParams"]["text"] == PROMPT
    assert warned(response) == []


@pytest.mark.parametrize("name", ["sdxl", "sd3", "creative-upscale", "image-control-sketch", "image-search-recolor"])
def test_pictures_that_a_model_has_no_use_for_are_named(name: str, bedrock: Emulator) -> None:
    """One picture is worked on, the others stand in a warning."""
    params: dict[str, Any] = {"select_prompt": "hat"} if name == "image-search-recolor" else {}
    response = image_edit([OTTER, HAT], PROMPT, **params, **place(name))
    (line,) = [line for line in warned(response) if line.startswith("references: ")]
    assert line.endswith("has no use for it")
    assert len(bedrock.log) == 1


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("creative-upscale", {}, "image"),
        ("conservative-upscale", {}, "image"),
        ("image-inpaint", {"mask": MASK}, "mask"),
        ("outpaint", {"left": 64}, "left"),
        ("image-erase-object", {"mask": MASK}, "mask"),
        ("image-search-replace", {"search_prompt": "otter"}, "search_prompt"),
        ("image-search-recolor", {"select_prompt": "otter"}, "select_prompt"),
        ("image-control-sketch", {}, "image"),
        ("image-control-structure", {}, "image"),
        ("image-style-guide", {}, "image"),
        ("style-transfer", {"style_image": HAT}, "style_image"),
        ("sd3", {"strength": 0.5}, "strength"),
        ("sdxl", {"mask": MASK}, "mask_image"),
    ],
)
def test_n_on_models_that_make_one_at_a_time(name: str, params: dict[str, Any], field: str, bedrock: Emulator) -> None:
    """A service does its one task without being told; n becomes n calls with following seeds."""
    response = image_edit(OTTER, PROMPT, n=2, seed=7, **params, **place(name))
    assert len(response.data) == len(bedrock.log) == 2
    assert sorted(body["seed"] for body in bodies(bedrock)) == [7, 8]
    assert all(field in body for body in bodies(bedrock))


@pytest.mark.parametrize("name", ["fast-upscale", "image-remove-background"])
def test_a_service_that_makes_the_same_picture_every_time(name: str, bedrock: Emulator) -> None:
    """Nobody pays twice for one picture: it is made once, and that is said."""
    response = image_edit(OTTER, n=2, **place(name))
    assert len(response.data) == len(bedrock.log) == 1
    assert any(line.startswith("n: ") and "the same picture every time" in line for line in warned(response))
    with pytest.raises(InvalidRequest, match="makes the same picture every time"):
        image_edit(OTTER, n=2, strict=True, **place(name))
    assert len(bedrock.log) == 1


@pytest.mark.parametrize(
    ("params", "task", "container"),
    [
        ({"taskType": "OUTPAINTING", "mask": MASK}, "OUTPAINTING", "outPaintingParams"),
        ({"taskType": "BACKGROUND_REMOVAL"}, "BACKGROUND_REMOVAL", "backgroundRemovalParams"),
        ({"task": "variation", "similarity": 0.5}, "IMAGE_VARIATION", "imageVariationParams"),
        ({"maskPrompt": "sky"}, "INPAINTING", "inPaintingParams"),
        ({"inPaintingParams": {"maskPrompt": "sky"}}, "INPAINTING", "inPaintingParams"),
        ({"extra_body": {"maskPrompt": "sky"}}, "INPAINTING", "inPaintingParams"),
        ({"taskType": "COLOR_GUIDED_GENERATION", "colors": ["#112233"]}, "COLOR_GUIDED_GENERATION", None),
    ],
)
@pytest.mark.parametrize("name", AMAZON)
def test_amazons_tasks(name: str, params: dict[str, Any], task: str, container: str | None, bedrock: Emulator) -> None:
    """Named or inferred, on Nova Canvas and on Titan, which LiteLLM does not edit with."""
    image_edit(OTTER, PROMPT, **params, **place(name))
    (body,) = bodies(bedrock)
    assert body["taskType"] == task
    assert b64(OTTER) in str(body[container or "colorGuidedGenerationParams"])


@pytest.mark.parametrize(
    "params",
    [
        {"image": [OTTER, HAT], "garment_class": "UPPER_BODY"},
        {"image": OTTER, "garment": HAT, "garment_class": "UPPER_BODY"},
        {"image": [OTTER, HAT], "mask": MASK, "taskType": "VIRTUAL_TRY_ON"},
        {"image": OTTER, "virtualTryOnParams": {key: TRY_ON[key] for key in TRY_ON if key != "sourceImage"}},
    ],
)
def test_virtual_try_on(params: dict[str, Any], bedrock: Emulator) -> None:
    """The first picture is the person, the second the garment."""
    image_edit(prompt="", **params, **place("nova"))
    (body,) = bodies(bedrock)
    assert body["taskType"] == "VIRTUAL_TRY_ON"
    found = body["virtualTryOnParams"]
    assert (found["sourceImage"], found["referenceImage"]) == (b64(OTTER), b64(HAT))


@pytest.mark.parametrize(
    ("function", "name", "params", "message"),
    [
        (image_edit, "nova", {"image": None}, "image: a picture is needed"),
        (image_edit, "nova", {"image": []}, "image must be 1 to 16 pictures, not 0"),
        (image_edit, "nova", {"image": b"GIF89a"}, "image"),
        (image_edit, "nova", {"image": OTTER, "mask": HAT}, "mask has no transparency to mark what shall change"),
        (image_edit, "core", {"image": OTTER}, "can not do image_to_image; allowed: text_to_image"),
        (image_edit, "sd3", {"image": OTTER, "mask": MASK}, "can not do inpaint"),
        (image_edit, "nova", {"image": OTTER, "sead": 3}, "did you mean 'seed'"),
        (image_edit, "nova", {"image": OTTER, "extra_headers": {"a": "b"}}, "extra_headers are not sent"),
        (image_variation, "core", {"image": OTTER}, "can not do variation"),
        (image_variation, "nova", {"image": OTTER, "task": "inpaint"}, "task must be variation here"),
        (image_variation, "nova", {"image": None}, "image: a picture is needed"),
        (image_variation, "nova", {"image": [OTTER] * 6}, "6 pictures are too many"),
    ],
)
def test_mistakes_cost_nothing(
    function: Any, name: str, params: dict[str, Any], message: str, bedrock: Emulator
) -> None:
    """They are named before a call is made, with what LiteLLM's errors have."""
    with pytest.raises(InvalidRequest, match=re.escape(message)) as caught:
        function(**{"prompt": PROMPT, **params}, **place(name))
    facts = {name: getattr(caught.value, name) for name in ("status_code", "llm_provider", "model")}
    assert facts == {"status_code": 400, "llm_provider": "bedrock", "model": MODELS[name][0]}
    assert bedrock.log == []


@pytest.mark.parametrize("function", [image_edit, image_variation])
def test_a_model_must_be_named(function: Any, bedrock: Emulator) -> None:
    """There is no dall-e-2 here to fall back on."""
    with pytest.raises(InvalidRequest, match="model: must be a model such as bedrock/"):
        function(OTTER)


def test_arguments_without_effect_are_named(bedrock: Emulator) -> None:
    """And LiteLLM's own marks are not worth a word."""
    response = image_edit(OTTER, PROMPT, extra_query={"a": "b"}, user="u-1", aimage_edit=True, **place("nova"))
    assert sorted(warned(response)) == [
        "extra_query: ignored: a call to Bedrock has no query",
        "user: ignored: it is not sent to the provider",
    ]


def test_a_fallback_gets_the_pictures_too(bedrock: Emulator) -> None:
    """An open file is read once; the mask is rewritten for the other model."""
    bedrock.faults.add(Rule(status=503, model="amazon.nova-canvas-v1:0"))
    other = "bedrock/us.stability.stable-image-inpaint-v1:0"
    response = image_edit(io.BytesIO(OTTER), PROMPT, mask=io.BytesIO(MASK), fallbacks=[other], **place("nova"))
    assert response._hidden_params["model"] == "stability.stable-image-inpaint-v1:0"
    first, second = bodies(bedrock)
    assert first["inPaintingParams"]["image"] == second["image"] == b64(OTTER)


def test_an_opaque_arn_is_known_by_its_model(bedrock: Emulator) -> None:
    """The service behind a provisioned model tells the task; one that is named stands."""
    arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefabcdef"
    service = "bedrock/us.stability.stable-image-erase-object-v1:0"
    ways: list[dict[str, Any]] = [
        {"model": service, "model_id": arn},
        {"model": f"bedrock/{arn}", "base_model": service},
    ]
    for way in ways:
        with pytest.raises(InvalidRequest, match="mask: erase needs a mask"):
            image_edit(OTTER, aws_region_name="us-east-1", **way)
        with pytest.raises(InvalidRequest, match="can not do inpaint; allowed: erase"):
            image_edit(OTTER, mask=MASK, native={"taskType": "INPAINTING"}, aws_region_name="us-east-1", **way)


@pytest.mark.parametrize(("name", "changes"), [("nova", "black"), ("titan", "black"), ("image-inpaint", "white")])
@pytest.mark.parametrize("form", ["bytes", "list", "opaque alpha"])
def test_a_raw_mask_in_black_and_white_means_what_litellm_sends(
    name: str, changes: str, form: str, bedrock: Emulator
) -> None:
    """Black is changed by Amazon's models, white by Stability's; that this was assumed is said."""
    mode = "RGBA" if form == "opaque alpha" else "L"
    tones = {"L": (0, 255), "RGBA": ((0, 0, 0, 255), (255, 255, 255, 255))}[mode]
    mask = png(tones[0], mode, tones[1])
    response = image_edit(OTTER, PROMPT, mask=[mask] if form == "list" else mask, **place(name))
    (line,) = warned(response)
    assert line.startswith(f"mask: it has no transparency, so {changes}")
    assert "mask_mode" in line
    (body,) = bodies(bedrock)
    sent = Image.open(io.BytesIO(base64.b64decode(at(body, "inPaintingParams.maskImage") or body["mask"])))
    assert sent.convert("L").tobytes() == Image.open(io.BytesIO(mask)).convert("L").tobytes()


@pytest.mark.parametrize(
    ("name", "params"),
    [("nova", {"taskType": "IMAGE_VARIATION"}), ("sd3", {"task": "image_to_image", "strength": 0.5})],
)
def test_a_raw_mask_without_use_is_one_warning(name: str, params: dict[str, Any], bedrock: Emulator) -> None:
    """Not that it marks something, and that there is none, as well."""
    response = image_edit(OTTER, PROMPT, mask=png(0, "L", 255), **params, **place(name))
    (line,) = [line for line in warned(response) if "mask" in line]
    assert line.startswith("mask: ")
    assert line.endswith("has no use for it")


def test_a_raw_mask_to_outpaint_changes_what_is_white(bedrock: Emulator) -> None:
    """Amazon's colours are the other way round in this task."""
    mask = png(0, "L", 255)
    image_edit(OTTER, PROMPT, mask=mask, taskType="OUTPAINTING", **place("nova"))
    (body,) = bodies(bedrock)
    sent = Image.open(io.BytesIO(base64.b64decode(at(body, "outPaintingParams.maskImage"))))
    assert sent.convert("L").tobytes() == Image.open(io.BytesIO(mask)).convert("L").tobytes()


@pytest.mark.parametrize(
    ("mask", "params"), [(png(0, "L", 255), {"strict": True}), (png(128, "L", 255), {}), (png("blue"), {})]
)
def test_other_masks_without_transparency_are_refused(mask: bytes, params: dict[str, Any], bedrock: Emulator) -> None:
    """Grey, coloured, or strict: nothing is assumed."""
    with pytest.raises(InvalidRequest, match="mask has no transparency to mark what shall change"):
        image_edit(OTTER, PROMPT, mask=mask, **params, **place("nova"))
    assert bedrock.log == []


def test_a_mask_mode_that_is_named_stands(bedrock: Emulator) -> None:
    """Then there is nothing to say."""
    response = image_edit(OTTER, PROMPT, mask=png(0, "L", 255), mask_mode="white", **place("nova"))
    assert warned(response) == []
    (body,) = bodies(bedrock)
    sent = Image.open(io.BytesIO(base64.b64decode(body["inPaintingParams"]["maskImage"])))
    assert sent.convert("L").getpixel((320, 320)) == 0


def test_the_awaited_functions(bedrock: Emulator) -> None:
    """Same arguments, answers and errors; they run side by side."""

    async def many() -> Any:
        return await asyncio.gather(
            aimage_edit(OTTER, PROMPT, mask=MASK, **place("nova")),
            aimage_edit(image=OTTER, prompt=PROMPT, **place("creative-upscale")),
            aimage_variation(image=[OTTER, HAT], n=2, **place("titan")),
            aimage_variation(OTTER, **place("core")),
            return_exceptions=True,
        )

    inpainted, larger, varied, refused = asyncio.run(many())
    assert [len(one.data) for one in (inpainted, larger, varied)] == [1, 1, 2]
    assert isinstance(refused, InvalidRequest)
    assert len(bedrock.log) == 3


def test_pictures_do_not_show(bedrock: Emulator) -> None:
    """Neither in what the arguments print nor in an error."""
    arguments = Arguments.read(PROMPT, MODELS["nova"][0], 600, {"image": OTTER}, {})
    assert "PNG" not in repr(arguments)
    with pytest.raises(InvalidRequest) as caught:
        image_edit(b64(OTTER)[:400], PROMPT, **place("nova"))
    assert b64(OTTER)[:40] not in str(caught.value)


@pytest.mark.parametrize("name", ["aimage_edit", "aimage_variation", "image_edit", "image_variation"])
def test_the_functions_are_public(name: str) -> None:
    """Under LiteLLM's names."""
    assert getattr(lascaux, name) is getattr(functions, name)
    assert name in lascaux.__all__
