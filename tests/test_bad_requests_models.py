"""Requests that a model can not do, and word for word what each is told."""

from __future__ import annotations

from typing import Any

import pytest
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.catalog import Catalog
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.params import build_request

SAMPLERS = (
    "allowed: DDIM, DDPM, K_DPMPP_2M, K_DPMPP_2S_ANCESTRAL, K_DPM_2, K_DPM_2_ANCESTRAL, K_EULER, "
    "K_EULER_ANCESTRAL, K_HEUN, K_LMS"
)
STYLES = (
    "allowed: 3d-model, analog-film, anime, cinematic, comic-book, digital-art, enhance, fantasy-art, "
    "isometric, line-art, low-poly, modeling-compound, neon-punk, origami, photographic, pixel-art, tile-"
    "texture"
)
CONTAINER = "a field of titan and nova_canvas bodies"
AMAZON_FIELDS = "allowed: taskType, textToImageParams, imageGenerationConfig"
FLAT_FIELDS = "allowed: prompt, negative_prompt, seed, output_format, aspect_ratio, mode"
XL_FIELDS = (
    "allowed: text_prompts, cfg_scale, clip_guidance_preset, sampler, samples, seed, steps, style_preset, extras, "
    "width, height"
)
CANVAS_STYLES = (
    "allowed: 3D_ANIMATED_FAMILY_FILM, DESIGN_SKETCH, FLAT_VECTOR_ILLUSTRATION, "
    "GRAPHIC_NOVEL_ILLUSTRATION, MAXIMALISM, MIDCENTURY_RETRO, PHOTOREALISM, SOFT_DIGITAL_PAINTING"
)

CANVAS = "amazon.nova-canvas-v1:0"
TITAN = "amazon.titan-image-generator-v2:0"
XL = "stability.stable-diffusion-xl-v1"
CORE = "stability.stable-image-core-v1:1"
SD35 = "stability.sd3-5-large-v1:0"
INPAINT = "stability.stable-image-inpaint-v1:0"
OMNI = "amazon.nova-2-omni-v1:0"

BAD_FOR_MODEL: list[tuple[str, dict[str, Any], str]] = [
    (
        CANVAS,
        dict(size="100x100", strict=True),
        f"size: 100x100 is not offered; the picture is 320x320 ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(size="1024x1000", strict=True),
        f"size: 1024x1000 is not offered; the picture is 1024x1008 ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(size="4096x512", strict=True),
        f"size: 4096x512 is not offered; the picture is 2880x720 ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(size="1000x1000", strict=True),
        f"size: 1000x1000 is not offered; the picture is 1008x1008 ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(aspect_ratio="5:1", strict=True),
        f"aspect_ratio: 5:1 is not offered; the picture is 2048x512 ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(seed=2147483647),
        f"seed: 2147483647 is out of range; allowed: 0 to 2147483646; nearest: 2147483646 ({CANVAS})",
    ),
    (
        CANVAS,
        dict(cfg_scale=0.5),
        f"cfg_scale: 0.5 is out of range; allowed: a number from 1.1 to 10; nearest: 1.1 ({CANVAS})",
    ),
    (
        CANVAS,
        dict(cfg_scale=12),
        f"cfg_scale: 12 is out of range; allowed: a number from 1.1 to 10; nearest: 10 ({CANVAS})",
    ),
    (CANVAS, dict(steps=30, strict=True), f"steps: Amazon Nova Canvas has no such parameter ({CANVAS}, strict)"),
    (
        CANVAS,
        dict(sampler="DDIM", strict=True),
        f"sampler: Amazon Nova Canvas has no such parameter ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(style="vivid", strict=True),
        f"style: Amazon Nova Canvas has no counterpart of vivid ({CANVAS}, strict)",
    ),
    (CANVAS, dict(style="anime"), f"style: 'anime' is not known; {CANVAS_STYLES} ({CANVAS})"),
    (
        CANVAS,
        dict(style="PHOTOREALISTIC"),
        f"style: 'PHOTOREALISTIC' is not known; {CANVAS_STYLES}; nearest: PHOTOREALISM ({CANVAS})",
    ),
    (
        CANVAS,
        dict(negative_prompt="x" * 1025),
        f"negative_prompt: 1025 characters are too many; allowed: at most 1024 characters ({CANVAS})",
    ),
    (
        CANVAS,
        dict(output_compression=50, strict=True),
        f"output_compression: png loses nothing however it is compressed; it has no effect ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(background="transparent", strict=True),
        f"background: Amazon Nova Canvas makes opaque pictures only ({CANVAS}, strict)",
    ),
    (
        CANVAS,
        dict(taskType="COLOR_GUIDED_GENERATION"),
        f"colors: colours are needed; allowed: 1 to 10 colours as #RRGGBB ({CANVAS})",
    ),
    (
        CANVAS,
        dict(taskType="VIRTUAL_TRY_ON"),
        "image: virtual_try_on needs a picture; allowed: jpeg or png, sides of 320 to 4096 pixels, 102400 to 4194304 "
        f"pixels in all, a ratio of 1:4 to 4:1 ({CANVAS})",
    ),
    (
        CANVAS,
        dict(task="search_replace"),
        f"task: {CANVAS} can not do search_replace; allowed: text_to_image, variation, inpaint, "
        "outpaint, color_guided, remove_background, virtual_try_on, erase, image_to_image, control_structure",
    ),
    (
        TITAN,
        dict(size="1025x1024", strict=True),
        f"size: 1025x1024 is not offered; the picture is 1024x1024 ({TITAN}, strict)",
    ),
    (
        TITAN,
        dict(size="2048x2048", strict=True),
        f"size: 2048x2048 is not offered; the picture is 1024x1024 ({TITAN}, strict)",
    ),
    (
        TITAN,
        dict(aspect_ratio="9:16", strict=True),
        f"aspect_ratio: 9:16 is not offered; the picture is 768x1408 ({TITAN}, strict)",
    ),
    (
        TITAN,
        dict(seed=2147483647),
        f"seed: 2147483647 is out of range; allowed: 0 to 2147483646; nearest: 2147483646 ({TITAN})",
    ),
    (
        TITAN,
        dict(cfg_scale=1),
        f"cfg_scale: 1 is out of range; allowed: a number from 1.1 to 10; nearest: 1.1 ({TITAN})",
    ),
    (
        TITAN,
        dict(cfg_scale=10.5),
        f"cfg_scale: 10.5 is out of range; allowed: a number from 1.1 to 10; nearest: 10 ({TITAN})",
    ),
    (
        TITAN,
        dict(style="anime", strict=True),
        f"style: Titan Image Generator G1 v2 has no such parameter ({TITAN}, strict)",
    ),
    (
        TITAN,
        dict(negative_prompt="x" * 513),
        f"negative_prompt: 513 characters are too many; allowed: at most 512 characters ({TITAN})",
    ),
    (
        TITAN,
        dict(task="outpaint"),
        f"image: outpaint needs a picture; allowed: jpeg or png, sides of 1 to 1408 pixels ({TITAN})",
    ),
    (XL, dict(size="128x512", strict=True), f"size: 128x512 is not offered; the picture is 640x1536 ({XL}, strict)"),
    (XL, dict(size="1024x768", strict=True), f"size: 1024x768 is not offered; the picture is 1152x896 ({XL}, strict)"),
    (XL, dict(steps=5), f"steps: 5 is out of range; allowed: a whole number from 10 to 150; nearest: 10 ({XL})"),
    (XL, dict(sampler="EULER"), f"sampler: 'EULER' is not known; {SAMPLERS}; nearest: K_EULER ({XL})"),
    (
        XL,
        dict(clip_guidance_preset="FASTER"),
        "clip_guidance_preset: 'FASTER' is not known; allowed: FAST_BLUE, FAST_GREEN, NONE, SIMPLE, "
        f"SLOW, SLOWER, SLOWEST; nearest: FAST_BLUE ({XL})",
    ),
    (XL, dict(style="vivid", strict=True), f"style: SDXL 1.0 has no counterpart of vivid ({XL}, strict)"),
    (XL, dict(style="photo"), f"style: 'photo' is not known; {STYLES}; nearest: photographic ({XL})"),
    (XL, dict(quality="hd", strict=True), f"quality: SDXL 1.0 has one quality only ({XL}, strict)"),
    (
        XL,
        dict(negative_prompt="x" * 2001),
        f"negative_prompt: 2001 characters are too many; allowed: at most 2000 characters ({XL})",
    ),
    (XL, dict(task="inpaint"), f"image: inpaint needs a picture; allowed: png, 262144 to 1048576 pixels in all ({XL})"),
    (
        CORE,
        dict(size="1024x768", strict=True),
        f"size: 1024x768 can not be asked for; the picture is 5:4, about one megapixel ({CORE}, strict)",
    ),
    (
        CORE,
        dict(aspect_ratio="4:3", strict=True),
        f"aspect_ratio: 4:3 is not offered; the picture is 5:4 ({CORE}, strict)",
    ),
    (CORE, dict(cfg_scale=7, strict=True), f"cfg_scale: Stable Image Core 1.0 has no such parameter ({CORE}, strict)"),
    (CORE, dict(steps=30, strict=True), f"steps: Stable Image Core 1.0 has no such parameter ({CORE}, strict)"),
    (CORE, dict(style="anime", strict=True), f"style: Stable Image Core 1.0 has no such parameter ({CORE}, strict)"),
    (CORE, dict(quality="hd", strict=True), f"quality: Stable Image Core 1.0 has one quality only ({CORE}, strict)"),
    (
        CORE,
        dict(negative_prompt="x" * 10001),
        f"negative_prompt: 10001 characters are too many; allowed: at most 10000 characters ({CORE})",
    ),
    (
        CORE,
        dict(background="transparent", strict=True),
        f"background: Stable Image Core 1.0 makes opaque pictures only ({CORE}, strict)",
    ),
    (CORE, dict(mode="image-to-image"), f"task: {CORE} can not do image_to_image; allowed: text_to_image"),
    (
        SD35,
        dict(seed=4294967295),
        f"seed: 4294967295 is out of range; allowed: 0 to 4294967294; nearest: 4294967294 ({SD35})",
    ),
    (
        SD35,
        dict(aspect_ratio="16:10", strict=True),
        f"aspect_ratio: 16:10 is not offered; the picture is 3:2 ({SD35}, strict)",
    ),
    (
        SD35,
        dict(mode="image-to-image"),
        f"image: image_to_image needs a picture; allowed: jpeg or png or webp, sides of at least 64 pixels ({SD35})",
    ),
    (
        SD35,
        dict(imageGenerationConfig={"seed": 7, "someNewField": 1}),
        f"imageGenerationConfig.someNewField: {CONTAINER}, which stability bodies do not have; {FLAT_FIELDS} ({SD35})",
    ),
    (
        XL,
        dict(textToImageParams={"conditionImage": "iVBOR", "controlMode": "CANNY_EDGE"}),
        f"textToImageParams.conditionImage: {CONTAINER}, which sdxl bodies do not have; {XL_FIELDS} ({XL})",
    ),
    (
        CORE,
        dict(imageGenerationConfig={"width": 512}),
        f"imageGenerationConfig.width: {CONTAINER}, which stability bodies do not have; "
        f"{FLAT_FIELDS.removesuffix(', mode')} ({CORE})",
    ),
    (
        XL,
        dict(native={"imageGenerationConfig": "none"}),
        f"imageGenerationConfig: {CONTAINER}, which sdxl bodies do not have; {XL_FIELDS} ({XL})",
    ),
    (
        SD35,
        dict(text_prompts=[{"text": "an otter", "weight": 0.5}]),
        f"text_prompts: a field of sdxl bodies, which stability bodies do not have; {FLAT_FIELDS} ({SD35})",
    ),
    (
        CANVAS,
        dict(text_prompts=[{"text": "an otter", "weight": 0.5}]),
        f"text_prompts: a field of sdxl bodies, which nova_canvas bodies do not have; {AMAZON_FIELDS} ({CANVAS})",
    ),
    (
        CANVAS,
        dict(native={"aspect_ratio": "16:9"}),
        "aspect_ratio: a field of stability and stability_service bodies, which nova_canvas bodies do not have; "
        f"{AMAZON_FIELDS} ({CANVAS})",
    ),
    (
        TITAN,
        dict(native={"style_preset": "anime"}),
        "style_preset: a field of sdxl and stability_service bodies, which titan bodies do not have; "
        f"{AMAZON_FIELDS} ({TITAN})",
    ),
    (
        XL,
        dict(native={"prompt": "an otter"}),
        f"prompt: a field of stability and stability_service bodies, which sdxl bodies do not have; {XL_FIELDS} ({XL})",
    ),
    (
        CANVAS,
        dict(native={"imageGenerationConfig": "none"}),
        f"native: imageGenerationConfig must be an object ({CANVAS})",
    ),
    (TITAN, dict(native={"imageGenerationConfig": [1]}), f"native: imageGenerationConfig must be an object ({TITAN})"),
    (INPAINT, dict(seed=1), f"task: {INPAINT} can not do text_to_image; allowed: inpaint"),
    (OMNI, dict(seed=1), f"model: this version does not serve {OMNI} (Amazon Nova 2 Omni (preview): text_to_image)"),
]


@pytest.mark.parametrize(("model", "params", "message"), BAD_FOR_MODEL)
def test_a_model_says_what_it_can_not_do(model: str, params: dict[str, Any], message: str) -> None:
    """Each names the parameter, and which model it was."""
    facts = Catalog.load().find(model)
    assert facts is not None
    with pytest.raises(InvalidRequest) as caught:  # which of the two refuses is not the caller's concern
        family_for(facts).prepare(build_request("an otter", **params), facts)
    error = caught.value
    assert str(error) == message
    assert error.parameter is not None
    assert error.parameter in message
    assert model in message
