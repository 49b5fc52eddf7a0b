"""Bad requests, and word for word what each is told."""

from __future__ import annotations

from typing import Any

import pytest
from lascaux.providers.catalog import Catalog
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.param_names import EVERY
from lascaux.providers.params import build_request

KNOWN = (
    "known are n, size, width, height, aspect_ratio, seed, quality, style, negative_prompt, cfg_scale, "
    "steps, sampler, clip_guidance_preset, output_format, output_compression, background, guardrail_id, "
    "guardrail_version, task, image, references, mask, mask_mode and the options of each task"
)
TASKS = (
    "must be one of text_to_image, image_to_image, variation, inpaint, outpaint, erase, "
    "remove_background, search_replace, search_recolor, color_guided, virtual_try_on, control_sketch, "
    "control_structure, style_guide, style_transfer, upscale_fast, upscale_conservative, upscale_creative"
)
SEED = "seed must be a whole number from 0 to 4294967295 (every model takes 0 to 2147483646)"
QUALITY = "quality must be one of standard, low, medium, premium, hd, high, xhigh, max, auto"
SIZE = "size must be WIDTHxHEIGHT with sides from 16 to 8192 pixels, or auto"
RATIO = "aspect_ratio must be WIDTH:HEIGHT such as 16:9, or auto"
JSON = "must be JSON: text, a finite number, true, false, null, a list or an object"
PICTURE = (
    "a PNG, JPEG or WebP picture as bytes, path, file object, base64, data URL, Pillow image, (name, bytes) or picture"
)
SETTING = "is not a parameter of a picture; it belongs in the configuration"


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


BAD_PARAMETERS: list[tuple[dict[str, Any], str]] = [
    (dict(size="1024"), f"{SIZE}, not '1024' (nearest: 1024x1024)"),
    (dict(size="axb"), f"{SIZE}, not 'axb'"),
    (dict(size="0x10"), f"{SIZE}, not '0x10' (nearest: 16x16)"),
    (dict(size="1024x99999"), f"{SIZE}, not '1024x99999' (nearest: 1024x8192)"),
    (dict(size="1024x"), f"{SIZE}, not '1024x' (nearest: 1024x1024)"),
    (dict(size="1024x768x3"), f"{SIZE}, not '1024x768x3'"),
    (dict(size=1024), f"{SIZE}, not 1024 (nearest: 1024x1024)"),
    (dict(size=(1024,)), f"{SIZE}, not (1024,) (nearest: 1024x1024)"),
    (dict(size=(1024, 1, 1)), f"{SIZE}, not (1024, 1, 1)"),
    (dict(size=(1024, "wide")), f"{SIZE}, not (1024, 'wide')"),
    (dict(size=[0, 512]), f"{SIZE}, not [0, 512] (nearest: 16x512)"),
    (dict(size={"width": 512}), f"{SIZE}, not {{'width': 512}}"),
    (dict(size="large"), f"{SIZE}, not 'large'"),
    (dict(width=512), "width is given without height; give both, or size"),
    (dict(height=512), "height is given without width; give both, or size"),
    (dict(width=8, height=512), "width must be a whole number from 16 to 8192, not 8 (nearest: 16)"),
    (dict(width="wide", height=512), "width must be a whole number from 16 to 8192, not 'wide'"),
    (
        dict(size="512x512", width=512, height=768),
        "size and width/height disagree: (512, 512) and (512, 768); give one of them",
    ),
    (
        dict(size="1024x1024", aspect_ratio="16:9"),
        "size and aspect_ratio disagree: '1024x1024' and '16:9'; give one of them",
    ),
    (
        dict(size="512x512", imageGenerationConfig={"width": 1024, "height": 512}),
        "size and imageGenerationConfig.width/height disagree: (512, 512) and (1024, 512); give one of them",
    ),
    (
        dict(size="512x512", imageGenerationConfig={"width": 1024}),
        "size and imageGenerationConfig.width disagree: 512 and 1024; give one of them",
    ),
    (
        dict(aspect_ratio="16:9", imageGenerationConfig={"width": 512, "height": 512}),
        "imageGenerationConfig.width/height and aspect_ratio disagree: '512x512' and '16:9'; give one of them",
    ),
    (dict(aspect_ratio="16/9"), f"{RATIO}, not '16/9' (nearest: 16:9)"),
    (dict(aspect_ratio="16x9"), f"{RATIO}, not '16x9' (nearest: 16:9)"),
    (dict(aspect_ratio="0:1"), f"{RATIO}, not '0:1'"),
    (dict(aspect_ratio="wide"), f"{RATIO}, not 'wide'"),
    (dict(aspect_ratio="1.91:1"), f"{RATIO}, not '1.91:1'"),
    (dict(aspect_ratio=1.5), f"{RATIO}, not 1.5"),
    (dict(n=0), "n must be a whole number from 1 to 10, not 0 (nearest: 1)"),
    (dict(n=11), "n must be a whole number from 1 to 10, not 11 (nearest: 10)"),
    (dict(n=2.5), "n must be a whole number from 1 to 10, not 2.5"),
    (dict(n="two"), "n must be a whole number from 1 to 10, not 'two'"),
    (dict(n=True), "n must be a whole number from 1 to 10, not True"),
    (dict(n=[1]), "n must be a whole number from 1 to 10, not [1]"),
    (dict(n=2, numberOfImages=3), "n and numberOfImages disagree: 2 and 3; give one of them"),
    (
        dict(n=2, imageGenerationConfig={"numberOfImages": 3}),
        "n and imageGenerationConfig.numberOfImages disagree: 2 and 3; give one of them",
    ),
    (dict(samples=0), "samples must be a whole number from 1 to 10, not 0 (nearest: 1)"),
    (
        dict(seed=-1),
        f"{SEED}, not -1 (nearest: 0)",
    ),
    (dict(seed=True), f"{SEED}, not True"),
    (
        dict(seed="random"),
        f"{SEED}, not 'random'",
    ),
    (dict(seed=1.5), f"{SEED}, not 1.5"),
    (
        dict(seed=4294967296),
        f"{SEED}, not 4294967296 (nearest: 2147483646)",
    ),
    (
        dict(seed=10**30),
        f"{SEED}, not 1000000000000000000000000000000 (nearest: 2147483646)",
    ),
    (
        dict(seed=10**5000),
        f"{SEED}, not a very long number (nearest: 2147483646)",
    ),
    (dict(seed=1, extra_body={"seed": 2}), "seed and extra_body.seed disagree: 1 and 2; give one of them"),
    (dict(seed=1, native={"seed": 2}), "seed and native.seed disagree: 1 and 2; give one of them"),
    (dict(seed=1, native={"seed": True}), "seed and native.seed disagree: 1 and True; give one of them"),
    (dict(quality="ultra"), f"{QUALITY}, not 'ultra'"),
    (dict(quality="premum"), f"{QUALITY}, not 'premum' (nearest: premium)"),
    (dict(quality=1), f"{QUALITY}, not 1"),
    (
        dict(quality="hd", native={"imageGenerationConfig": {"quality": "standard"}}),
        "quality and imageGenerationConfig.quality disagree: 'premium' and 'standard'; give one of them",
    ),
    (dict(style=""), "style is empty; give a text of 1 to 100 characters"),
    (dict(style=3), "style must be a text of 1 to 100 characters, not 3"),
    (dict(style="x" * 101), "style has 101 characters; at most 100 are allowed"),
    (
        dict(style="vivid", style_preset="anime"),
        "style and style_preset disagree: 'vivid' and 'anime'; give one of them",
    ),
    (dict(negative_prompt=["people"]), "negative_prompt must be a text of 1 to 32000 characters, not ['people']"),
    (dict(negative_prompt="a\0b"), "negative_prompt holds '\\x00' at character 2, which can not be sent"),
    (
        dict(negative_prompt="people", negativeText="cars"),
        "negative_prompt and negativeText disagree; give one of them",
    ),
    (
        dict(negative_prompt="people", textToImageParams={"negativeText": "cars"}),
        "negative_prompt and textToImageParams.negativeText disagree; give one of them",
    ),
    (dict(cfg_scale="strong"), "cfg_scale must be a number from 0 to 35 (every model takes 1.1 to 10), not 'strong'"),
    (
        dict(cfg_scale=-0.5),
        "cfg_scale must be a number from 0 to 35 (every model takes 1.1 to 10), not -0.5 (nearest: 1.1)",
    ),
    (dict(cfg_scale=36), "cfg_scale must be a number from 0 to 35 (every model takes 1.1 to 10), not 36 (nearest: 10)"),
    (dict(cfgScale=float("nan")), "cfgScale must be a number from 0 to 35 (every model takes 1.1 to 10), not nan"),
    (
        dict(cfgScale=float("inf")),
        "cfgScale must be a number from 0 to 35 (every model takes 1.1 to 10), not inf (nearest: 10)",
    ),
    (dict(cfg_scale=True), "cfg_scale must be a number from 0 to 35 (every model takes 1.1 to 10), not True"),
    (dict(steps=0), "steps must be a whole number from 1 to 150 (every model takes 10 to 150), not 0 (nearest: 10)"),
    (
        dict(steps=151),
        "steps must be a whole number from 1 to 150 (every model takes 10 to 150), not 151 (nearest: 150)",
    ),
    (dict(steps="many"), "steps must be a whole number from 1 to 150 (every model takes 10 to 150), not 'many'"),
    (dict(sampler=7), "sampler must be a text of 1 to 100 characters, not 7"),
    (dict(clip_guidance_preset=""), "clip_guidance_preset is empty; give a text of 1 to 100 characters"),
    (dict(output_format="gif"), "output_format must be one of png, jpeg, webp, not 'gif'"),
    (dict(output_format="svg"), "output_format must be one of png, jpeg, webp, not 'svg'"),
    (dict(output_format="wepb"), "output_format must be one of png, jpeg, webp, not 'wepb' (nearest: webp)"),
    (dict(output_compression=101), "output_compression must be a whole number from 0 to 100, not 101 (nearest: 100)"),
    (dict(output_compression=-1), "output_compression must be a whole number from 0 to 100, not -1 (nearest: 0)"),
    (dict(background="blue"), "background must be one of transparent, opaque, auto, not 'blue'"),
    (
        dict(background="transparant"),
        "background must be one of transparent, opaque, auto, not 'transparant' (nearest: transparent)",
    ),
    (dict(response_format="json"), "response_format must be b64_json or url, not 'json' (nearest: b64_json)"),
    (dict(response_format="b64"), "response_format must be b64_json or url, not 'b64'"),
    (dict(user=5), "user must be a text of at most 1000 characters, not 5"),
    (
        dict(user="x" * 1001),
        "user must be a text of at most 1000 characters, not "
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
    ),
    (dict(safety_identifier=["s"]), "safety_identifier must be a text of at most 1000 characters, not ['s']"),
    (dict(moderation="none"), "moderation must be auto or low, not 'none'"),
    (dict(partial_images=4), "partial_images must be a whole number from 0 to 3, not 4 (nearest: 3)"),
    (dict(stream=True), "stream must be false: pictures arrive whole, not in parts"),
    (dict(stream="yes"), "stream must be true or false, not 'yes'"),
    (dict(input_fidelity="medium"), "input_fidelity must be high or low, not 'medium'"),
    (dict(frame_count=0), "frame_count must be a whole number from 1 to 16, not 0 (nearest: 1)"),
    (dict(guardrail_id="gr1"), "guardrail_id is given without guardrail_version; a guardrail needs both"),
    (dict(guardrail_version="1"), "guardrail_version is given without guardrail_id; a guardrail needs both"),
    (dict(guardrail_id="GR 1", guardrail_version="1"), "guardrail_id must be a guardrail's id or ARN, not 'GR 1'"),
    (
        dict(guardrail_id="gr1\r\nX-Evil: 1", guardrail_version="1"),
        "guardrail_id must be a guardrail's id or ARN, not 'gr1\\r\\nX-Evil: 1'",
    ),
    (
        dict(guardrail_id="gr1", guardrail_version="latest"),
        "guardrail_version must be a version number or DRAFT, not 'latest'",
    ),
    (
        dict(guardrailIdentifier="gr1", guardrailVersion=0),
        "guardrailVersion must be a version number or DRAFT, not '0'",
    ),
    (
        dict(guardrail_id="gr1", guardrailIdentifier="gr2", guardrailVersion=1),
        "guardrail_id and guardrailIdentifier disagree: 'gr1' and 'gr2'; give one of them",
    ),
    (
        dict(extra_headers={"Authorization": "Bearer hunter2"}),
        "extra_headers are not sent; for a guardrail give guardrail_id and guardrail_version",
    ),
    (
        dict(extra_headers="X-A: hunter2"),
        "extra_headers are not sent; for a guardrail give guardrail_id and guardrail_version",
    ),
    (dict(extra_body="seed=1"), "extra_body must be an object whose keys are parameter names, not 'seed=1'"),
    (dict(extra_body={1: 2}), "extra_body must be an object whose keys are parameter names, not {1: 2}"),
    (dict(extra_body={"sead": 1}), "unknown parameter 'sead'; did you mean 'seed'?"),
    (dict(extra_body={"extra_body": {}}), "extra_body can not hold another extra_body"),
    (dict(extra_body={"prompt": "a walrus"}), "the prompt and extra_body.prompt disagree; give one of them"),
    (dict(extra_body={"prompt": 5}), "prompt must be a text of 1 to 32000 characters, not 5"),
    (dict(native="seed"), "native must be an object of provider fields, not 'seed'"),
    (dict(native=[("seed", 1)]), "native must be an object of provider fields, not [('seed', 1)]"),
    (dict(native={1: 2}), "native has the key 1; keys must be texts"),
    (dict(native={"extras": {"when": object}}), f"native.extras.when {JSON}, not <class 'object'>"),
    (dict(native={"extras": [1, {"x": b"raw"}]}), f"native.extras[1].x {JSON}, not b'raw'"),
    (dict(native={"extras": float("inf")}), f"native.extras {JSON}, not inf"),
    (dict(native={"extras": 2**70}), f"native.extras {JSON}, not 1180591620717411303424"),
    (dict(native={"extras": "\udfff"}), "native.extras holds '\\udfff' at character 1, which can not be sent"),
    (dict(native={"\udfff": 1}), "native holds '\\udfff' at character 1, which can not be sent"),
    (
        dict(native=nested(40)),
        "native.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a is nested deeper than 32 levels",
    ),
    (
        dict(native={"seed": 1}, extra_body={"native": {"seed": 2}}),
        "native.seed and another native.seed disagree: 1 and 2; give one of them",
    ),
    (dict(native={"mode": "text-to-video"}), f"native.mode {TASKS}, not 'text-to-video' (nearest: text_to_image)"),
    (dict(imageGenerationConfig=5), "imageGenerationConfig must be an object of provider fields, not 5"),
    (
        dict(imageGenerationConfig={"cfgScale": 8}, native={"imageGenerationConfig": {"cfgScale": 9}}),
        "native.imageGenerationConfig.cfgScale and another native.imageGenerationConfig.cfgScale "
        "disagree: 8 and 9; give one of them",
    ),
    (
        dict(imageGenerationConfig={"cfgScale": 8}, native={"imageGenerationConfig": "none"}),
        "native.imageGenerationConfig and another native.imageGenerationConfig disagree: {'cfgScale': "
        "8} and 'none'; give one of them",
    ),
    (dict(textToImageParams={"text": "a walrus"}), "the prompt and textToImageParams.text disagree; give one of them"),
    (
        dict(imageGenerationConfig={"seed": "random"}),
        f"imageGenerationConfig.{SEED}, not 'random'",
    ),
    (
        dict(imageGenerationConfig={"numberOfImages": 20}),
        "imageGenerationConfig.numberOfImages must be a whole number from 1 to 10, not 20 (nearest: 10)",
    ),
    (
        dict(native={"imageGenerationConfig": {"quality": "premum"}}),
        f"imageGenerationConfig.{QUALITY}, not 'premum' (nearest: premium)",
    ),
    (
        dict(quality="low", textToImageParams={"negativeText": ["people"]}),
        "textToImageParams.negativeText must be a text of 1 to 32000 characters, not ['people']",
    ),
    (
        dict(style="anime", textToImageParams={"style": "PHOTOREALISM"}),
        "style and textToImageParams.style disagree: 'anime' and 'PHOTOREALISM'; give one of them",
    ),
    (
        dict(negative_prompt="people", text_prompts=[{"text": "an otter"}, {"text": "cars", "weight": -1}]),
        "negative_prompt and text_prompts[1].text disagree; give one of them",
    ),
    (
        dict(native={"seed": -1}),
        f"native.{SEED}, not -1 (nearest: 0)",
    ),
    (
        dict(textToImageParams={"text": "an otter"}, taskType="INPAINTING"),
        "textToImageParams belongs to the task text_to_image, but taskType says inpaint",
    ),
    (
        dict(inPaintingParams={"text": "an otter"}, outPaintingParams={"text": "an otter"}),
        "outPaintingParams belongs to the task outpaint, but inPaintingParams says inpaint",
    ),
    (
        dict(inpaintingParams={"text": "a walrus"}),
        "the prompt and inPaintingParams.text disagree; give one of them",
    ),
    (
        dict(colorGuidedGenerationParams=["#FFFFFF"]),
        "colorGuidedGenerationParams must be an object of provider fields, not ['#FFFFFF']",
    ),
    (dict(text_prompts="an otter"), "text_prompts must be a list of {text, weight}, not 'an otter'"),
    (
        dict(text_prompts=[{"text": "a walrus"}]),
        "text_prompts does not contain the prompt; add it as one of the texts",
    ),
    (dict(text_prompts=["an otter"]), "text_prompts does not contain the prompt; add it as one of the texts"),
    (dict(task="paint"), f"task {TASKS}, not 'paint' (nearest: inpaint)"),
    (dict(task="inpant"), f"task {TASKS}, not 'inpant' (nearest: inpaint)"),
    (dict(task="TEXT_IMAG"), f"task {TASKS}, not 'TEXT_IMAG' (nearest: text_to_image)"),
    (dict(task=3), f"task {TASKS}, not 3"),
    (
        dict(taskType="INPAINTING", task="outpaint"),
        "taskType and task disagree: 'inpaint' and 'outpaint'; give one of them",
    ),
    (dict(mode="chat"), f"mode {TASKS}, not 'chat'"),
    (dict(image=b"\x89PNG"), "image: not a PNG, JPEG or WebP picture"),
    (dict(image=7), f"image must be {PICTURE}, not 7"),
    (dict(mask="mask.png"), "mask: 'mask.png' is neither an existing file nor base64"),
    (dict(init_image="iVBOR"), "init_image: 'iVBOR' is neither an existing file nor base64"),
    (dict(strength=4), "strength must be a number from 0 to 1, not 4 (nearest: 1)"),
    (dict(search_prompt=""), "search_prompt is empty; give a text of 1 to 10000 characters"),
    (dict(aws_region_name="us-east-1"), f"'aws_region_name' {SETTING}"),
    (dict(aws_unknown="x"), f"'aws_unknown' {SETTING}"),
    (dict(api_key="sk-secret"), f"'api_key' {SETTING}"),
    (dict(priority=1), f"'priority' {SETTING}"),
    (dict(allowed_fails=3), f"'allowed_fails' {SETTING}"),
    (
        dict(model_id="arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0"),
        f"'model_id' {SETTING}",
    ),
    (dict(sead=30), "unknown parameter 'sead'; did you mean 'seed'?"),
    (dict(Seed=30), "unknown parameter 'Seed'; did you mean 'seed'?"),
    (dict(aspectRatio="1:1"), "unknown parameter 'aspectRatio'; did you mean 'aspect_ratio'?"),
    (dict(negativeprompt="people"), "unknown parameter 'negativeprompt'; did you mean 'negative_prompt'?"),
    (dict(number_images=2), "unknown parameter 'number_images'; did you mean 'numberOfImages'?"),
    (dict(styl="anime"), "unknown parameter 'styl'; did you mean 'style'?"),
    (dict(session_id="s-1"), f"unknown parameter 'session_id'; {KNOWN}"),
    (dict(description="d"), f"unknown parameter 'description'; {KNOWN}"),
    (dict(idempotency_key="k"), f"unknown parameter 'idempotency_key'; {KNOWN}"),
    (dict(guidance_scale=7), f"unknown parameter 'guidance_scale'; {KNOWN}"),
    (dict(zzz=1), f"unknown parameter 'zzz'; {KNOWN}"),
    (dict(**{"": 1}), f"unknown parameter ''; {KNOWN}"),
    (
        dict(**{"x" * 500: 1}),
        f"unknown parameter 'xxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxx'; {KNOWN}",
    ),
    (dict(**{"new\nline": 1}), f"unknown parameter 'new\\nline'; {KNOWN}"),
    (dict(strict="yes"), "strict must be true or false, not 'yes'"),
    (dict(strict=2), "strict must be true or false, not 2"),
]

BAD_PROMPTS: list[tuple[Any, str]] = [
    ("", "prompt is empty; give a text of 1 to 32000 characters"),
    (" \n", "prompt is empty; give a text of 1 to 32000 characters"),
    (None, "prompt must be a text of 1 to 32000 characters, not None"),
    (b"an otter", "prompt must be a text of 1 to 32000 characters, not b'an otter'"),
    (["an otter"], "prompt must be a text of 1 to 32000 characters, not ['an otter']"),
    ("x" * 32_001, "prompt has 32001 characters; at most 32000 are allowed"),
    ("an \ud83e otter", "prompt holds '\\ud83e' at character 4, which can not be sent"),
    ("an otter\0", "prompt holds '\\x00' at character 9, which can not be sent"),
]


def refusal(prompt: Any, params: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        build_request(prompt, **params)
    return caught.value


@pytest.mark.parametrize(("params", "message"), BAD_PARAMETERS)
def test_a_bad_parameter_is_told_so(params: dict[str, Any], message: str) -> None:
    """In one line that names the parameter, and with what would be allowed."""
    error = refusal("an otter", params)
    assert str(error) == message
    assert str(error).isprintable()
    assert error.parameter is not None
    assert error.allowed
    if error.nearest is not None:
        assert error.nearest in message


@pytest.mark.parametrize(("prompt", "message"), BAD_PROMPTS)
def test_a_bad_prompt_is_told_so(prompt: Any, message: str) -> None:
    """Whatever stands where the prompt should be."""
    error = refusal(prompt, {})
    assert str(error) == message
    assert error.parameter == "prompt"


def test_a_refused_value_is_never_quoted_at_length() -> None:
    """Two hundred characters of it at most, wherever it stands and whatever it is."""
    long = "secret " * 1000
    for name in ("size", "n", "seed", "quality", "cfg_scale", "task", "output_format", "user", "guardrail_id", long):
        for value in (long, [long], {long: long}, {"k": [long]}, long.encode()):
            assert long[:200] not in str(refusal("an otter", {name: value}))


def test_what_is_called_nearest_is_taken_by_every_model() -> None:
    """A number that no model takes is refused before one is chosen; what is offered instead must not be refused again."""
    wire = {"seed": ("seed",), "cfg_scale": ("cfg_scale", "cfgScale"), "steps": ("steps",)}
    for name, names in wire.items():
        facts = [
            task.fields[one]
            for model in Catalog.load().models()
            for task in model.tasks.values()
            for one in names
            if one in task.fields
        ]
        low, high = max(fact.min or 0 for fact in facts), min(fact.max for fact in facts if fact.max is not None)
        assert (low, high) == EVERY[name]
