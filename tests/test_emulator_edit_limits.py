"""What edits may say and how their pictures may be: every limit, at it and just beyond it."""

from __future__ import annotations

import base64
import io
import itertools
import random
import struct
import time
import zlib
from typing import Any

import orjson
import pytest
from lascaux.emulator.editing.header import Header, sniff
from lascaux.emulator.editing.inputs import Limits, read
from lascaux.emulator.errors import BedrockError
from lascaux.emulator.job import Job
from lascaux.emulator.models import MODELS
from lascaux.emulator.validation import check
from PIL import Image

TITAN_1, TITAN_2 = "amazon.titan-image-generator-v1", "amazon.titan-image-generator-v2:0"
CANVAS, SDXL = "amazon.nova-canvas-v1:0", "stability.stable-diffusion-xl-v1"
SD3, SD35 = "stability.sd3-large-v1:0", "stability.sd3-5-large-v1:0"
CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"
S = "stability.stable-image-"
INPAINT, ERASE, REMOVE = f"{S}inpaint-v1:0", f"{S}erase-object-v1:0", f"{S}remove-background-v1:0"
REPLACE, GUIDE = f"{S}search-replace-v1:0", f"{S}style-guide-v1:0"
OUTPAINT, TRANSFER = "stability.stable-outpaint-v1:0", "stability.stable-style-transfer-v1:0"
CREATIVE, CONSERVATIVE = "stability.stable-creative-upscale-v1:0", "stability.stable-conservative-upscale-v1:0"
FAST = "stability.stable-fast-upscale-v1:0"


def file(size: tuple[int, int], format: str = "PNG", mode: str = "RGB", colour: Any = 0, **options: Any) -> bytes:
    """A picture file of one colour."""
    out = io.BytesIO()
    fast = {"compress_level": 1} if format == "PNG" else {}
    Image.new(mode, size, colour).save(out, format, **fast, **options)
    return out.getvalue()


def b64(data: bytes) -> str:
    """As bodies carry it."""
    return base64.b64encode(data).decode()


def flat(*size: int, **options: Any) -> str:
    """A picture of one colour, as bodies carry it."""
    return b64(file((size[0], size[1]), **options))


def accepted(model_id: str, body: dict[str, Any]) -> Job:
    """The job of a good body."""
    return check(MODELS[model_id], body)


def refused(model_id: str, body: dict[str, Any]) -> str:
    """The message for a bad body; always a ValidationException."""
    with pytest.raises(BedrockError) as caught:
        check(MODELS[model_id], body)
    assert (caught.value.status, caught.value.error_type) == (400, "ValidationException")
    return caught.value.message


def malformed(rule: str) -> str:
    """The service's frame around one broken rule."""
    return f"Malformed input request: {rule}, please reformat your input and try again."


def inpainting(config: dict[str, Any] | None = None, /, **params: Any) -> dict[str, Any]:
    """An INPAINTING body with a mask prompt."""
    body = {"taskType": "INPAINTING", "inPaintingParams": {"image": IMAGE, "maskPrompt": "x", **params}}
    return {**body, "imageGenerationConfig": config} if config else body


def task(name: str, key: str, /, **params: Any) -> dict[str, Any]:
    """A body of any task."""
    return {"taskType": name, f"{key}Params": params}


IMAGE = flat(320, 352)
BIG = flat(512, 512)
ALPHA = flat(64, 64, mode="RGBA", colour=(1, 2, 3, 0))
IN = "#/inPaintingParams"
TRY = "#/virtualTryOnParams"
COLOR = "colorGuidedGeneration"
GUIDED = {"text": "a", "colors": ["#112233"]}
WORN = {"sourceImage": IMAGE, "referenceImage": IMAGE, "maskType": "PROMPT", "promptBasedMask": {"maskPrompt": "x"}}
VTO = "VIRTUAL_TRY_ON"
BAD_AMAZON: list[tuple[str, dict[str, Any], str]] = [
    (TITAN_1, {"taskType": "INPAINTING"}, "#: required key [inPaintingParams] not found"),
    (CANVAS, task("INPAINTING", "inpainting", image=IMAGE), "2 schema violations found"),
    (CANVAS, task("INPAINTING", "inPainting", maskPrompt="x"), f"{IN}: required key [image] not found"),
    (
        CANVAS,
        task("INPAINTING", "inPainting", image=IMAGE),
        f"{IN}: 0 subschemas matched instead of one (maskPrompt, maskImage)",
    ),
    (TITAN_2, inpainting(maskImage=IMAGE), f"{IN}: 2 subschemas matched instead of one (maskPrompt, maskImage)"),
    (TITAN_2, inpainting(text="a" * 513), f"{IN}/text: expected maxLength: 512, actual: 513"),
    (CANVAS, inpainting(text="a" * 1025), f"{IN}/text: expected maxLength: 1024, actual: 1025"),
    (CANVAS, inpainting(returnMask=True), f"{IN}: extraneous key [returnMask] is not permitted"),
    (TITAN_2, inpainting(returnMask="yes"), f"{IN}/returnMask: expected type: Boolean, found: String"),
    (CANVAS, inpainting(style="PHOTOREALISM"), f"{IN}: extraneous key [style] is not permitted"),
    (CANVAS, inpainting({"width": 512}), "#/imageGenerationConfig: extraneous key [width] is not permitted"),
    (CANVAS, inpainting({"seed": -1}), "#/imageGenerationConfig/seed: -1 is not greater or equal to 0"),
    (
        CANVAS,
        task("OUTPAINTING", "outPainting", image=IMAGE, maskPrompt="x"),
        "#/outPaintingParams: required key [text] not found",
    ),
    (
        TITAN_1,
        task("OUTPAINTING", "outPainting", image=IMAGE, maskPrompt="x", text="x", outPaintingMode="EXACT"),
        "#/outPaintingParams/outPaintingMode: EXACT is not a valid enum value",
    ),
    (
        CANVAS,
        task("IMAGE_VARIATION", "imageVariation", images=[]),
        "#/imageVariationParams/images: expected minimum item count: 1, found: 0",
    ),
    (
        CANVAS,
        task("IMAGE_VARIATION", "imageVariation", images=[IMAGE] * 6),
        "#/imageVariationParams/images: expected maximum item count: 5, found: 6",
    ),
    (
        TITAN_1,
        task("IMAGE_VARIATION", "imageVariation", images=[IMAGE], similarityStrength=0.1),
        "#/imageVariationParams/similarityStrength: 0.1 is not greater or equal to 0.2",
    ),
    (
        CANVAS,
        task("IMAGE_VARIATION", "imageVariation", images=[IMAGE, "!"]),
        "#/imageVariationParams/images/1: the value is not valid base64",
    ),
    (
        CANVAS,
        task("COLOR_GUIDED_GENERATION", COLOR, text="a", colors=[]),
        "#/colorGuidedGenerationParams/colors: expected minimum item count: 1, found: 0",
    ),
    (
        CANVAS,
        task("COLOR_GUIDED_GENERATION", COLOR, text="a", colors=["#112233"] * 11),
        "#/colorGuidedGenerationParams/colors: expected maximum item count: 10, found: 11",
    ),
    *(
        (
            TITAN_2,
            task("COLOR_GUIDED_GENERATION", COLOR, text="a", colors=[colour]),
            f"#/colorGuidedGenerationParams/colors/0: string [{colour}] does not match pattern ^#[0-9A-Fa-f]{{6}}$",
        )
        for colour in ("red", "#123", "112233", "#11223344")
    ),
    (
        TITAN_2,
        {**task("BACKGROUND_REMOVAL", "backgroundRemoval", image=IMAGE), "imageGenerationConfig": {}},
        "#: extraneous key [imageGenerationConfig] is not permitted",
    ),
    (
        CANVAS,
        task("TEXT_IMAGE", "textToImage", text="a", conditionImage=IMAGE, controlMode="DEPTH"),
        "#/textToImageParams/controlMode: DEPTH is not a valid enum value",
    ),
    (
        CANVAS,
        task("TEXT_IMAGE", "textToImage", text="a", controlStrength=0.5),
        "#/textToImageParams: required key [conditionImage] not found",
    ),
    (CANVAS, task(VTO, "virtualTryOn", **WORN, text="a"), f"{TRY}: extraneous key [text] is not permitted"),
    (
        CANVAS,
        task(VTO, "virtualTryOn", **{**WORN, "maskType": "HAND"}),
        f"{TRY}/maskType: HAND is not a valid enum value",
    ),
    (
        CANVAS,
        task(VTO, "virtualTryOn", **{**WORN, "maskType": "GARMENT"}),
        f"{TRY}: required key [garmentBasedMask] not found",
    ),
    (
        CANVAS,
        task(VTO, "virtualTryOn", **{**WORN, "maskType": "IMAGE"}),
        f"{TRY}: required key [imageBasedMask] not found",
    ),
    (
        CANVAS,
        task(VTO, "virtualTryOn", **{**WORN, "maskType": "GARMENT", "garmentBasedMask": {"garmentClass": "HAT"}}),
        f"{TRY}/garmentBasedMask/garmentClass: HAT is not a valid enum value",
    ),
    (
        CANVAS,
        task(VTO, "virtualTryOn", **WORN, maskExclusions={"preserveFace": True}),
        f"{TRY}/maskExclusions/preserveFace: expected type: String, found: Boolean",
    ),
    (
        CANVAS,
        task(VTO, "virtualTryOn", **WORN, mergeStyle="HARD"),
        f"{TRY}/mergeStyle: HARD is not a valid enum value",
    ),
]
PAIR = {"text_prompts": [{"text": "a"}], "init_image": BIG}
ASKED = {"prompt": "a", "image": IMAGE}
SD_EDIT = {"prompt": "a", "mode": "image-to-image", "image": flat(640, 640), "strength": 0.5}
BAD_STABILITY: list[tuple[str, dict[str, Any], str]] = [
    (SDXL, {"init_image": BIG}, "#: required key [text_prompts] not found"),
    (SDXL, {**PAIR, "width": 1024}, "#: extraneous key [width] is not permitted"),
    (SDXL, {**PAIR, "image_strength": 1.1}, "#/image_strength: 1.1 is not less or equal to 1"),
    (SDXL, {**PAIR, "init_image_mode": "MIX"}, "#/init_image_mode: MIX is not a valid enum value"),
    (SDXL, {**PAIR, "mask_image": BIG}, "#: required key [mask_source] not found"),
    (SDXL, {**PAIR, "mask_source": "MASK_IMAGE_WHITE"}, "#: required key [mask_image] not found"),
    (SDXL, {**PAIR, "mask_source": "ALPHA", "mask_image": BIG}, "#/mask_source: ALPHA is not a valid enum value"),
    (
        SDXL,
        {**PAIR, "mask_source": "INIT_IMAGE_ALPHA"},
        "#/init_image: a mask is required when the image has no alpha channel",
    ),
    (
        SDXL,
        {**PAIR, "mask_source": "MASK_IMAGE_BLACK", "mask_image": flat(512, 576)},
        "#/mask_image: the mask is 512x576 and the image is 512x512, they must be of one size",
    ),
    (SD3, {key: SD_EDIT[key] for key in ("prompt", "mode", "image")}, "#: required key [strength] not found"),
    (SD35, {"prompt": "a", "mode": "image-to-image", "strength": 0.5}, "#: required key [image] not found"),
    (ULTRA, {"prompt": "a", "mode": "image-to-image"}, "#: required key [image] not found"),
    (SD35, {**SD_EDIT, "strength": 1.01}, "#/strength: 1.01 is not less or equal to 1"),
    (SD35, {**SD_EDIT, "image": ""}, "#/image: expected minLength: 1, actual: 0"),
    (INPAINT, {"image": IMAGE}, "#: required key [prompt] not found"),
    (INPAINT, ASKED, "#/image: a mask is required when the image has no alpha channel"),
    (ERASE, {"image": IMAGE}, "#/image: a mask is required when the image has no alpha channel"),
    (INPAINT, {**ASKED, "grow_mask": 21}, "#/grow_mask: 21 is not less or equal to 20"),
    (INPAINT, {**ASKED, "seed": 4294967295}, "#/seed: 4294967295 is not less or equal to 4294967294"),
    (INPAINT, {**ASKED, "prompt": "a" * 10001}, "#/prompt: expected maxLength: 10000, actual: 10001"),
    (INPAINT, {**ASKED, "output_format": "gif"}, "#/output_format: gif is not a valid enum value"),
    (INPAINT, {**ASKED, "style_preset": "photo"}, "#/style_preset: photo is not a valid enum value"),
    (OUTPAINT, {"image": IMAGE, "left": 2001}, "#/left: 2001 is not less or equal to 2000"),
    (OUTPAINT, {"image": IMAGE, "left": 1.5}, "#/left: expected type: Integer, found: BigDecimal"),
    (OUTPAINT, {"image": IMAGE, "up": 1, "creativity": 0.05}, "#/creativity: 0.05 is not greater or equal to 0.1"),
    (REPLACE, ASKED, "#: required key [search_prompt] not found"),
    (f"{S}search-recolor-v1:0", ASKED, "#: required key [select_prompt] not found"),
    (f"{S}control-sketch-v1:0", {**ASKED, "control_strength": 2}, "#/control_strength: 2 is not less or equal to 1"),
    (GUIDE, {**ASKED, "aspect_ratio": "4:3"}, "#/aspect_ratio: 4:3 is not a valid enum value"),
    (GUIDE, {**ASKED, "fidelity": -0.1}, "#/fidelity: -0.1 is not greater or equal to 0"),
    (TRANSFER, {"init_image": IMAGE}, "#: required key [style_image] not found"),
    (
        TRANSFER,
        {"init_image": IMAGE, "style_image": IMAGE, "change_strength": 0},
        "#/change_strength: 0 is not greater or equal to 0.1",
    ),
    (CREATIVE, {**ASKED, "creativity": 0.6}, "#/creativity: 0.6 is not less or equal to 0.5"),
    (CONSERVATIVE, {**ASKED, "creativity": 0}, "#/creativity: 0 is not greater or equal to 0.1"),
    (REMOVE, {}, "#: required key [image] not found"),
]


@pytest.mark.parametrize(("model_id", "body", "rule"), [*BAD_AMAZON, *BAD_STABILITY])
def test_a_broken_rule_of_an_edit_is_named(model_id: str, body: dict[str, Any], rule: str) -> None:
    """Every required field, range, length, enum and condition, in the service's words."""
    assert refused(model_id, body) == malformed(rule)


def test_outpaint_needs_a_side() -> None:
    """Zero everywhere is no job."""
    for sides in ({}, {"left": 0, "down": 0}):
        assert "must be greater than 0" in refused(OUTPAINT, {"image": IMAGE, **sides})
    job = accepted(OUTPAINT, {"image": IMAGE, "left": 2000})
    assert (job.width, job.height) == (2320, 352)


UNKNOWN = {
    REMOVE: ("seed", "prompt", "negative_prompt"),
    FAST: ("seed", "prompt"),
    ERASE: ("prompt", "style_preset"),
    OUTPAINT: ("negative_prompt", "mask"),
    CONSERVATIVE: ("style_preset",),
    TRANSFER: ("image", "style_preset"),
    REPLACE: ("mask", "aspect_ratio"),
    INPAINT: ("strength", "width"),
    CORE: ("image", "strength", "mode"),
}


@pytest.mark.parametrize(("model_id", "field"), [(m, field) for m, fields in UNKNOWN.items() for field in fields])
def test_a_field_that_a_service_does_not_have_is_answered_with_those_it_has(model_id: str, field: str) -> None:
    """The message is a JSON document."""
    needed = {
        "image": IMAGE,
        "prompt": "a",
        "search_prompt": "a",
        "init_image": IMAGE,
        "style_image": IMAGE,
    }
    wanted: dict[str, tuple[str, ...]]
    wanted = {REMOVE: ("image",), FAST: ("image",), ERASE: ("image",), OUTPAINT: ("image",), CORE: ("prompt",)}
    wanted |= {TRANSFER: ("init_image", "style_image"), REPLACE: ("image", "prompt", "search_prompt")}
    body = {key: needed[key] for key in wanted.get(model_id, ("image", "prompt"))}
    detail = orjson.loads(refused(model_id, {**body, field: "1"}))["detail"]
    assert detail.startswith("Invalid field in request. Available fields: [")
    assert f"'{field}'" not in detail
    assert "'output_format'" in detail


def canvas_edit(image: str) -> dict[str, Any]:
    return task("BACKGROUND_REMOVAL", "backgroundRemoval", image=image)


def single(field: str = "image", **more: Any) -> Any:
    return lambda image: {field: image, **more}


EDITS = {
    CANVAS: canvas_edit,
    TITAN_2: canvas_edit,
    SDXL: single("init_image", text_prompts=[{"text": "a"}]),
    SD3: single(prompt="a", strength=0.5),
    SD35: single(prompt="a", strength=0.5),
    ULTRA: single(prompt="a"),
    REMOVE: single(),
    GUIDE: single(prompt="a"),
    CREATIVE: single(prompt="a"),
    CONSERVATIVE: single(prompt="a"),
    FAST: single(),
    TRANSFER: lambda image: {"init_image": IMAGE, "style_image": image},
}
SIZES: list[tuple[str, list[tuple[int, int]], list[tuple[tuple[int, int], str]]]] = [
    (
        CANVAS,
        [(320, 320), (320, 1280), (333, 401), (2048, 2048), (4096, 1024)],
        [
            ((319, 400), "at least 320"),
            ((4097, 1024), "at most 4096"),
            ((320, 1281), "aspect ratio must be between 1:4 and 4:1"),
            ((2049, 2048), "at most 4194304 pixels"),
        ],
    ),
    (TITAN_2, [(1408, 1408), (64, 1408)], [((1409, 64), "at most 1408"), ((64, 1409), "at most 1408")]),
    (SDXL, [(512, 512), (1024, 1024)], [((511, 512), "at least 262144 pixels"), ((1025, 1024), "at most 1048576")]),
    (SD3, [(640, 1536)], [((639, 700), "at least 640"), ((640, 1537), "at most 1536")]),
    (SD35, [(64, 64), (64, 2000)], [((63, 700), "at least 64")]),
    (ULTRA, [(64, 64)], [((3073, 3072), "at most 9437184")]),
    *(
        (
            model,
            [(64, 64), (64, 160), (160, 64), (3072, 3072)],
            [
                ((63, 64), "at least 64"),
                ((161, 64), "between 1:2.5 and 2.5:1"),
                ((64, 161), "between 1:2.5 and 2.5:1"),
                ((3073, 3072), "at most 9437184 pixels"),
            ],
        )
        for model in (REMOVE, CONSERVATIVE, TRANSFER)
    ),
    (CREATIVE, [(64, 64), (1024, 1024)], [((63, 100), "at least 64"), ((1025, 1024), "at most 1048576")]),
    (
        FAST,
        [(32, 32), (1536, 682)],
        [((31, 100), "at least 32"), ((1537, 100), "at most 1536"), ((1024, 1025), "at most 1048576")],
    ),
]


@pytest.mark.parametrize(("model_id", "good", "bad"), SIZES)
def test_input_pictures_have_documented_sizes(model_id: str, good: Any, bad: Any) -> None:
    """At each limit they pass, one pixel beyond it they do not."""
    for size in good:
        accepted(model_id, EDITS[model_id](flat(*size)))
    for size, fragment in bad:
        message = refused(model_id, EDITS[model_id](flat(*size)))
        assert f"the image is {size[0]}x{size[1]}" in message
        assert fragment in message


def test_a_variation_of_titan_may_be_larger() -> None:
    """One page says 1408, another 4096: the wider reading passes."""
    accepted(TITAN_1, task("IMAGE_VARIATION", "imageVariation", images=[flat(4096, 64)]))
    assert "at most 4096" in refused(TITAN_1, task("IMAGE_VARIATION", "imageVariation", images=[flat(4097, 64)]))


FORMATS = {
    CANVAS: {"PNG", "JPEG"},
    TITAN_2: {"PNG", "JPEG"},
    SDXL: {"PNG"},
    SD35: {"PNG", "JPEG", "WEBP"},
    REMOVE: {"PNG", "JPEG", "WEBP"},
}


@pytest.mark.parametrize("model_id", FORMATS)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_input_pictures_have_documented_formats(model_id: str, format: str) -> None:
    """Told by their bytes."""
    body = EDITS[model_id](flat(512, 512, format=format))
    if format in FORMATS[model_id]:
        accepted(model_id, body)
    else:
        assert "the image format is not supported" in refused(model_id, body)


def test_titan_takes_five_megabytes() -> None:
    """As clients found out."""
    data = file((64, 64)) + bytes(5_242_880)
    assert "at most 5242880 are allowed" in refused(TITAN_2, canvas_edit(b64(data)))
    accepted(TITAN_2, canvas_edit(b64(data[:5_242_880])))


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (file((320, 320), mode="RGBA", colour=(1, 2, 3, 254)), "its alpha channel must be opaque"),
        (file((320, 320), mode="I;16"), "16 bits per channel, 8 are allowed"),
        (file((320, 320), format="JPEG", mode="CMYK"), "the image is not RGB"),
    ],
)
def test_canvas_is_strict_about_pixels(data: bytes, fragment: str) -> None:
    """8 bits, RGB, opaque; the services take all of these."""
    assert fragment in refused(CANVAS, canvas_edit(b64(data)))
    accepted(REMOVE, {"image": b64(data)})
    accepted(CANVAS, canvas_edit(b64(file((320, 320), mode="RGBA", colour=(1, 2, 3, 255)))))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_becomes_rgb(mode: str) -> None:
    """Also grey, palettes, one bit and 16 bits."""
    source = read(flat(64, 64, mode=mode, colour=65535 if mode == "I;16" else None), "#/image", Limits())
    assert source.image.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")
    if mode == "I;16":
        assert source.image.getpixel((0, 0)) == (255, 255, 255)


MASK_SIZE = (320, 352)


@pytest.mark.parametrize("model_id", [TITAN_1, TITAN_2, CANVAS])
def test_amazons_masks_are_of_one_size_and_pure(model_id: str) -> None:
    """Other sizes and colours are refused; a JPEG mask passes if its quality is full."""
    mask = Image.new("L", MASK_SIZE, 255)
    mask.paste(0, (43, 41, 199, 203))
    jpegs = []
    for quality in (100, 20):
        noisy = io.BytesIO()
        mask.save(noisy, "JPEG", quality=quality)
        jpegs.append(b64(noisy.getvalue()))

    def body(given: str) -> dict[str, Any]:
        return task("INPAINTING", "inPainting", image=IMAGE, maskImage=given)

    job = accepted(model_id, body(jpegs[0]))
    assert job.edit is not None
    assert job.edit.mask is not None
    assert job.edit.mask.getbbox() == (43, 41, 199, 203)
    assert "other than pure black and pure white" in refused(model_id, body(jpegs[1]))
    for colour in ((128, 128, 128), (1, 1, 1), (255, 0, 0), (254, 255, 255)):
        message = refused(model_id, body(flat(*MASK_SIZE, colour=colour)))
        assert message == malformed(f"{IN}/maskImage: the mask has colours other than pure black and pure white")
    message = refused(model_id, body(flat(320, 351)))
    assert "the mask is 320x351 and the image is 320x352, they must be of one size" in message


def test_a_mask_wins_over_alpha_and_may_have_any_size() -> None:
    """On the services."""
    explicit = accepted(INPAINT, {"prompt": "", "image": ALPHA, "mask": flat(9, 300, mode="L"), "grow_mask": 0}).edit
    implied = accepted(INPAINT, {"prompt": "", "image": ALPHA, "grow_mask": 0}).edit
    assert explicit is not None
    assert implied is not None
    assert explicit.mask is not None
    assert implied.mask is not None
    assert explicit.mask.size == implied.mask.size == (64, 64)
    assert (explicit.mask.getextrema(), implied.mask.getextrema()) == ((0, 0), (255, 255))


def test_open_doubts_are_accepted() -> None:
    """Where AWS's documents contradict each other, or say nothing."""
    accepted(CANVAS, inpainting())
    accepted(CANVAS, task("IMAGE_VARIATION", "imageVariation", images=[IMAGE]))
    accepted(SD35, {**SD_EDIT, "aspect_ratio": "16:9"})
    job = accepted(SD35, {key: SD_EDIT[key] for key in ("prompt", "image", "strength")})
    assert (job.edit is not None, job.width, job.height) == (True, 640, 640)
    assert accepted(SD35, {**SD_EDIT, "mode": "text-to-image"}).edit is None
    accepted(ULTRA, {"prompt": "a", "mode": "image-to-image", "image": BIG})
    accepted(TITAN_2, inpainting({"width": 1024, "height": 1024}))


def chunk(name: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """The start of a PNG file that claims a size."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def absurd() -> list[bytes]:
    """200 files that must never be decoded, or fail at once."""
    bomb = zlib.compress(bytes(40_000_000), 9)
    text = chunk(b"zTXt", b"Comment\0\0" + bomb)
    jpeg, webp = file((640, 640), "JPEG"), file((640, 640), "WEBP", lossless=True)
    png = file((640, 640))
    start = jpeg.index(b"\xff\xc0")
    extended = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (49_999).to_bytes(3, "little") * 2
    made = [
        b"",
        b"no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='640' height='640'/>",
        png_header(50_000, 50_000) + chunk(b"IDAT", bomb) + chunk(b"IEND", b""),
        png_header(2**31 - 1, 2**31 - 1),
        png_header(0, 640),
        png_header(640, 0),
        png_header(640, 640),
        png_header(640, 640) + text + chunk(b"IDAT", b"x"),
        png_header(640, 640, 7, 9) + chunk(b"IDAT", bomb[:1000]) + chunk(b"IEND", b""),
        png_header(640, 640) + chunk(b"IDAT", b"no zlib") + chunk(b"IEND", b""),
        jpeg[: start + 5] + struct.pack(">HH", 50_000, 50_000) + jpeg[start + 9 :],
        jpeg[: start + 5] + struct.pack(">HH", 0, 640) + jpeg[start + 9 :],
        b"\xff\xd8" + b"\xff\xe0\0\x02" * 5000,
        b"\xff\xd8" + b"\xff" * 5000,
        b"\xff\xd8\xff\xe0\xff\xff",
        extended,
        b"RIFF\0\0\0\0WEBP",
        b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f" + b"\xff" * 9,
        b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\xff\xff\xff",
    ]
    rng = random.Random(7)
    for data in itertools.cycle((png, jpeg, webp)):
        if len(made) == 200:
            return made
        made.append(data[: rng.randrange(1, len(data) * 3 // 4)])
    raise AssertionError


@pytest.mark.parametrize("model_id", [SD3, CANVAS])
def test_200_malformed_pictures_are_refused_quickly(model_id: str) -> None:
    """Truncated, bombs, of another kind, empty, of 50,000 x 50,000 pixels: a ValidationException each, at once."""
    files = absurd()
    begun = time.process_time()
    for data in files:
        message = refused(model_id, EDITS[model_id](b64(data) or "="))
        assert message.startswith("Malformed input request: #/")
        assert len(message) < 250
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("value", ["data:image/png;base64," + IMAGE, IMAGE[:-3], IMAGE + "\n", "é", "%%%%"])
def test_only_plain_base64_is_taken(value: str) -> None:
    """No data URLs, no line ends."""
    assert refused(REMOVE, {"image": value}) == malformed("#/image: the value is not valid base64")


def test_headers_are_read_without_decoding() -> None:
    """Size and kind of the three formats, WebP's three kinds included."""
    assert sniff(file((33, 44), "PNG")) == Header(format="png", width=33, height=44)
    assert sniff(file((33, 44), "JPEG", progressive=True)) == Header(format="jpeg", width=33, height=44, channels=3)
    for options in ({"lossless": True}, {"lossless": False}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}):
        assert sniff(file((33, 44), "WEBP", **options)) == Header(format="webp", width=33, height=44)
    assert sniff(file((33, 44), "GIF")) is None
