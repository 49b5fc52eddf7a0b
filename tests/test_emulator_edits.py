"""Every image task that the emulator draws: its body, its picture, and that masks mean what each model says."""

from __future__ import annotations

import base64
import functools
import io
import json
import random
from collections.abc import Iterator
from typing import Any

import boto3
import orjson
import pytest
from botocore.config import Config
from lascaux.emulator import DEMO_KEY_ID, DEMO_SECRET, Emulator
from lascaux.emulator.answers import answer
from lascaux.emulator.canvas import encode
from lascaux.emulator.editing.cutout import cutout
from lascaux.emulator.editing.masks import grown
from lascaux.emulator.editing.regions import region
from lascaux.emulator.errors import BedrockError
from lascaux.emulator.gallery import Gallery
from lascaux.emulator.models import MODELS, SERVICES
from lascaux.emulator.validation import check
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, ImageStat, PngImagePlugin

TITAN_1, TITAN_2 = "amazon.titan-image-generator-v1", "amazon.titan-image-generator-v2:0"
CANVAS, SDXL = "amazon.nova-canvas-v1:0", "stability.stable-diffusion-xl-v1"
SD3, SD35 = "stability.sd3-large-v1:0", "stability.sd3-5-large-v1:0"
ULTRA = "stability.stable-image-ultra-v1:1"
S = "stability.stable-image-"
INPAINT, ERASE = f"{S}inpaint-v1:0", f"{S}erase-object-v1:0"
OUTPAINT, TRANSFER = "stability.stable-outpaint-v1:0", "stability.stable-style-transfer-v1:0"
CREATIVE, CONSERVATIVE = "stability.stable-creative-upscale-v1:0", "stability.stable-conservative-upscale-v1:0"
FAST = "stability.stable-fast-upscale-v1:0"


def b64(picture: Image.Image, format: str = "PNG", **options: Any) -> str:
    """A picture as bodies carry it."""
    out = io.BytesIO()
    quick = {"compress_level": 1} if format == "PNG" else {}
    picture.save(out, format, **quick, **options)
    return base64.b64encode(out.getvalue()).decode()


def opened(data: str) -> Image.Image:
    """A decoded picture of an answer."""
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    picture.load()
    return picture


def ramp(size: tuple[int, int]) -> Image.Image:
    """A picture with colours that change everywhere and a few shapes in it."""
    grey = Image.linear_gradient("L").resize(size)
    side = Image.linear_gradient("L").rotate(90).resize(size)
    picture = Image.merge("RGB", (grey, side, ImageOps.invert(grey)))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((size[0] // 3, size[1] // 4, size[0] * 2 // 3, size[1] * 3 // 4), fill=(230, 220, 40))
    draw.line((0, size[1] * 4 // 5, size[0], size[1] * 3 // 5), fill=(10, 10, 10), width=6)
    return picture


SIZE = (352, 320)
LARGE = (640, 640)
PICTURE, BIG = ramp(SIZE), ramp(LARGE)
BOX = (100, 90, 219, 199)


def marked(size: tuple[int, int], box: tuple[int, int, int, int] = BOX) -> Image.Image:
    """A mask, white in the box."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    return mask


WHITE, BLACK = marked(SIZE), ImageOps.invert(marked(SIZE))
IMAGE, REFERENCE = b64(PICTURE), b64(ramp((400, 330)).rotate(180))


def amazon(task: str, key: str, config: dict[str, Any] | None = None, /, **params: Any) -> dict[str, Any]:
    """A body of Titan or Canvas."""
    body: dict[str, Any] = {"taskType": task, f"{key}Params": params}
    return {**body, "imageGenerationConfig": config} if config else body


SMALL = {"width": 384, "height": 640}
EDIT = {"quality": "premium", "cfgScale": 7.5, "seed": 7, "numberOfImages": 2}
FULL = {**EDIT, **SMALL}
TEXTS = {"text": "a beach at dawn", "negativeText": "people"}


def amazon_cases() -> Iterator[tuple[str, dict[str, Any], tuple[int, int], int]]:
    """(model, body, size, images), minimal and full."""
    for model in (TITAN_1, TITAN_2, CANVAS):
        side = 1024 if model == CANVAS else 1408
        back = {} if model == CANVAS else {"returnMask": True}
        yield model, amazon("INPAINTING", "inPainting", image=IMAGE, maskPrompt="the window"), SIZE, 1
        yield (
            model,
            amazon("INPAINTING", "inPainting", EDIT, image=IMAGE, maskImage=b64(BLACK), **TEXTS, **back),
            SIZE,
            2,
        )
        yield model, amazon("OUTPAINTING", "outPainting", image=IMAGE, maskPrompt="the car", text="beach"), SIZE, 1
        out = {"image": IMAGE, "maskImage": b64(WHITE), "outPaintingMode": "PRECISE", **TEXTS, **back}
        yield model, amazon("OUTPAINTING", "outPainting", EDIT, **out), SIZE, 2
        yield model, amazon("IMAGE_VARIATION", "imageVariation", images=[IMAGE]), (side, side), 1
        variation = {"images": [IMAGE, REFERENCE] * 2 + [IMAGE], "similarityStrength": 0.2, **TEXTS}
        yield model, amazon("IMAGE_VARIATION", "imageVariation", FULL, **variation), (384, 640), 2
    for model in (TITAN_2, CANVAS):
        side = 1024 if model == CANVAS else 1408
        yield model, amazon("BACKGROUND_REMOVAL", "backgroundRemoval", image=IMAGE), SIZE, 1
        colour = amazon("COLOR_GUIDED_GENERATION", "colorGuidedGeneration", text="poster", colors=["#112233"])
        yield model, colour, (side, side), 1
        guided = {"colors": ["#112233", "#ffAA00"] * 5, "referenceImage": REFERENCE, **TEXTS}
        yield model, amazon("COLOR_GUIDED_GENERATION", "colorGuidedGeneration", FULL, **guided), (384, 640), 2
        yield model, amazon("TEXT_IMAGE", "textToImage", SMALL, text="hall", conditionImage=IMAGE), (384, 640), 1
        control = {"conditionImage": IMAGE, "controlMode": "SEGMENTATION", "controlStrength": 1.0, **TEXTS}
        yield model, amazon("TEXT_IMAGE", "textToImage", FULL, **control), (384, 640), 2
    yield CANVAS, try_on("GARMENT", garmentBasedMask={"garmentClass": "UPPER_BODY"}), SIZE, 1
    yield CANVAS, try_on("IMAGE", EDIT, imageBasedMask={"maskImage": b64(BLACK)}, mergeStyle="DETAILED"), SIZE, 2
    yield CANVAS, try_on("PROMPT", promptBasedMask={"maskPrompt": "shirt", "maskShape": "BOUNDING_BOX"}), SIZE, 1
    yield CANVAS, FULL_TRY_ON, SIZE, 1


def try_on(kind: str, config: dict[str, Any] | None = None, /, **params: Any) -> dict[str, Any]:
    """A VIRTUAL_TRY_ON body."""
    given = {"sourceImage": IMAGE, "referenceImage": REFERENCE, "maskType": kind, **params}
    return amazon("VIRTUAL_TRY_ON", "virtualTryOn", config, **given)


FULL_TRY_ON = try_on(
    "GARMENT",
    {"quality": "standard", "cfgScale": 6.5, "seed": 7, "numberOfImages": 1},
    garmentBasedMask={
        "garmentClass": "UPPER_BODY",
        "maskShape": "CONTOUR",
        "garmentStyling": {
            "longSleeveStyle": "SLEEVE_DOWN",
            "tuckingStyle": "UNTUCKED",
            "outerLayerStyle": "OPEN",
        },
    },
    maskExclusions={"preserveFace": "ON", "preserveHands": "ON", "preserveBodyPose": "DEFAULT"},
    mergeStyle="SEAMLESS",
    returnMask=True,
)
PROMPTS = [{"text": "as oil painting", "weight": 1}, {"text": "people", "weight": -1}]
SDXL_FULL = {
    "text_prompts": PROMPTS,
    "cfg_scale": 7,
    "steps": 30,
    "seed": 5,
    "samples": 1,
    "sampler": "K_DPMPP_2M",
    "clip_guidance_preset": "NONE",
    "style_preset": "photographic",
}
STYLED = {"negative_prompt": "text", "seed": 9, "style_preset": "cinematic"}
ASKED = {"prompt": "a fountain", "image": IMAGE}


@functools.cache
def stability_cases() -> list[tuple[str, dict[str, Any], tuple[int, int], str]]:
    """(model, body, size, format), minimal and full."""
    return list(_stability_cases())


def _stability_cases() -> Iterator[tuple[str, dict[str, Any], tuple[int, int], str]]:
    init = {"init_image": b64(BIG)}
    yield SDXL, {"text_prompts": PROMPTS, **init}, LARGE, "PNG"
    yield SDXL, {**SDXL_FULL, **init, "init_image_mode": "IMAGE_STRENGTH", "image_strength": 0.4}, LARGE, "PNG"
    schedule = {"init_image_mode": "STEP_SCHEDULE", "step_schedule_start": 0.3, "step_schedule_end": 0.9}
    yield SDXL, {**SDXL_FULL, **init, **schedule}, LARGE, "PNG"
    mask = {"mask_source": "MASK_IMAGE_WHITE", "mask_image": b64(marked(LARGE))}
    yield SDXL, {"text_prompts": PROMPTS, **init, **mask}, LARGE, "PNG"
    yield SDXL, {**SDXL_FULL, **init, **mask, "mask_source": "MASK_IMAGE_BLACK"}, LARGE, "PNG"
    for model in (SD3, SD35, ULTRA):
        change = {"prompt": "as oil painting", "image": b64(BIG, "JPEG")}
        yield model, {**change, **({} if model == ULTRA else {"strength": 0.6})}, LARGE, "PNG"
        more = {
            "mode": "image-to-image",
            "strength": 0.6,
            "negative_prompt": "text",
            "seed": 4,
            "output_format": "jpeg",
        }
        yield model, {**change, **more}, LARGE, "JPEG"
    yield INPAINT, {**ASKED, "mask": b64(WHITE)}, SIZE, "PNG"
    yield INPAINT, {**ASKED, "mask": b64(WHITE), "grow_mask": 5, **STYLED, "output_format": "webp"}, SIZE, "WEBP"
    yield OUTPAINT, {"image": IMAGE, "left": 64}, (416, 320), "PNG"
    sides = {"left": 100, "right": 50, "up": 0, "down": 128, "creativity": 1, "prompt": "sea"}
    full = {"image": IMAGE, **sides, "seed": 9, "style_preset": "cinematic", "output_format": "webp"}
    yield OUTPAINT, full, (502, 448), "WEBP"
    yield ERASE, {"image": IMAGE, "mask": b64(WHITE)}, SIZE, "PNG"
    yield ERASE, {"image": IMAGE, "mask": b64(WHITE), "grow_mask": 10, "seed": 9, "output_format": "jpeg"}, SIZE, "JPEG"
    yield f"{S}remove-background-v1:0", {"image": IMAGE}, SIZE, "PNG"
    yield f"{S}remove-background-v1:0", {"image": IMAGE, "output_format": "webp"}, SIZE, "WEBP"
    for name, search in (("search-replace", "search_prompt"), ("search-recolor", "select_prompt")):
        yield f"{S}{name}-v1:0", {**ASKED, search: "cap"}, SIZE, "PNG"
        full = {**ASKED, search: "cap", "grow_mask": 3, **STYLED, "output_format": "webp"}
        yield f"{S}{name}-v1:0", full, SIZE, "WEBP"
    for name in ("control-sketch", "control-structure"):
        yield f"{S}{name}-v1:0", ASKED, SIZE, "PNG"
        yield f"{S}{name}-v1:0", {**ASKED, "control_strength": 1, **STYLED, "output_format": "jpeg"}, SIZE, "JPEG"
    yield f"{S}style-guide-v1:0", ASKED, (1024, 1024), "PNG"
    full = {**ASKED, "aspect_ratio": "3:2", "fidelity": 0.9, **STYLED, "output_format": "webp"}
    yield f"{S}style-guide-v1:0", full, (1216, 832), "WEBP"
    both = {"init_image": IMAGE, "style_image": REFERENCE}
    yield TRANSFER, both, SIZE, "PNG"
    strengths = {"composition_fidelity": 0.5, "style_strength": 1, "change_strength": 0.9}
    more = {"prompt": "statue", "negative_prompt": "text", **strengths, "seed": 9, "output_format": "webp"}
    yield TRANSFER, {**both, **more}, SIZE, "WEBP"
    tiny = {"prompt": "sharp", "image": b64(PICTURE.resize((96, 64)))}
    yield CREATIVE, {**tiny, "output_format": "jpeg"}, (3527, 2352), "JPEG"
    yield CREATIVE, {**tiny, "creativity": 0.5, **STYLED, "output_format": "jpeg"}, (3527, 2352), "JPEG"
    yield CONSERVATIVE, {**tiny, "output_format": "webp"}, (3527, 2352), "WEBP"
    full = {**tiny, "creativity": 0.1, "negative_prompt": "noise", "seed": 9, "output_format": "jpeg"}
    yield CONSERVATIVE, full, (3527, 2352), "JPEG"
    yield FAST, {"image": tiny["image"]}, (384, 256), "PNG"
    yield FAST, {"image": tiny["image"], "output_format": "webp"}, (384, 256), "WEBP"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One for all."""
    with Emulator(rng=random.Random(1)) as running:
        yield running
    client.cache_clear()


@functools.cache
def client(url: str, region: str) -> Any:
    """A Bedrock client; making one takes longer than most pictures."""
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=DEMO_KEY_ID,
        aws_secret_access_key=DEMO_SECRET,
        config=Config(retries={"total_max_attempts": 1}),
    )


def invoke(emulator: Emulator, model_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call with boto3; the services by their profile."""
    model = MODELS[model_id]
    caller = client(emulator.url, model.regions[0])
    answered = caller.invoke_model(modelId=model.profile or model.id, body=json.dumps(body))
    document: dict[str, Any] = orjson.loads(answered["body"].read())
    return document


def drawn(model_id: str, body: dict[str, Any], canvas: Any = "paint") -> dict[str, Any]:
    """The answer without HTTP."""
    made = answer(check(MODELS[model_id], body), Gallery(canvas).picture, random.Random(1))
    document: dict[str, Any] = orjson.loads(made.body)
    return document


def first(document: dict[str, Any]) -> Image.Image:
    """The first picture of any family's answer."""
    return opened(document["images"][0] if "images" in document else document["artifacts"][0]["base64"])


@pytest.mark.parametrize(("model_id", "body", "size", "count"), list(amazon_cases()))
def test_amazon_draws_every_task_over_http(
    emulator: Emulator, model_id: str, body: dict[str, Any], size: tuple[int, int], count: int
) -> None:
    """Minimal and full bodies: PNG pictures of the right size, as many as asked for, all different but for cut-outs."""
    document = invoke(emulator, model_id, body)
    pictures = [opened(data) for data in document["images"]]
    assert [(picture.format, picture.size) for picture in pictures] == [("PNG", size)] * count
    assert len(set(document["images"])) == count
    params = next(value for key, value in body.items() if key.endswith("Params"))
    assert list(document) == (["images", "maskImage"] if params.get("returnMask") else ["images"])
    assert pictures[0].mode == ("RGBA" if body["taskType"] == "BACKGROUND_REMOVAL" else "RGB")


@pytest.mark.parametrize(("model_id", "body", "size", "format"), stability_cases())
def test_stability_draws_every_task_over_http(
    emulator: Emulator, model_id: str, body: dict[str, Any], size: tuple[int, int], format: str
) -> None:
    """Minimal and full bodies; the asked seed, or one that was drawn."""
    document = invoke(emulator, model_id, body)
    picture = first(document)
    assert (picture.format, picture.size) == (format, size)
    seed = document["artifacts"][0]["seed"] if model_id == SDXL else document["seeds"][0]
    assert seed == body.get("seed", seed) > 0
    if model_id != SDXL:
        assert list(document) == ["seeds", "finish_reasons", "images"]


def test_every_service_is_exercised() -> None:
    """None of the thirteen is forgotten above."""
    done = {model.removeprefix("stability.").removesuffix("-v1:0") for model, *_ in stability_cases()}
    assert done >= set(SERVICES)


def changed(before: Image.Image, after: Image.Image) -> Image.Image:
    """White where any channel differs."""
    bands = ImageChops.difference(before.convert("RGB"), after.convert("RGB")).split()
    return ImageChops.lighter(ImageChops.lighter(*bands[:2]), bands[2]).point([0] + [255] * 255)


def share(mask: Image.Image, where: Image.Image) -> float:
    """The share of an area that is white in a mask."""
    return ImageStat.Stat(mask, where).mean[0] / 255


RGBA = PICTURE.copy()
RGBA.putalpha(BLACK)
BIG_RGBA = BIG.copy()
BIG_RGBA.putalpha(ImageOps.invert(marked(LARGE)))
BIG_WHITE, BIG_BLACK = b64(marked(LARGE)), b64(ImageOps.invert(marked(LARGE)))
PAIR = {"text_prompts": [{"text": "dunes"}], "init_image": b64(BIG), "seed": 3}
POLARITY: list[tuple[str, dict[str, Any], Image.Image]] = [
    *(
        (model, amazon(task, key, image=IMAGE, maskImage=b64(mask), text="dunes"), PICTURE)
        for model in (TITAN_1, TITAN_2, CANVAS)
        for task, key, mask in (("INPAINTING", "inPainting", BLACK), ("OUTPAINTING", "outPainting", WHITE))
    ),
    *(
        (model, amazon("INPAINTING", "inPainting", image=IMAGE, maskImage=b64(BLACK)), PICTURE)
        for model in (TITAN_1, TITAN_2, CANVAS)
    ),
    (CANVAS, try_on("IMAGE", imageBasedMask={"maskImage": b64(BLACK)}), PICTURE),
    (SDXL, {**PAIR, "mask_source": "MASK_IMAGE_WHITE", "mask_image": BIG_WHITE}, BIG),
    (SDXL, {**PAIR, "mask_source": "MASK_IMAGE_BLACK", "mask_image": BIG_BLACK}, BIG),
    (SDXL, {**PAIR, "init_image": b64(BIG_RGBA), "mask_source": "INIT_IMAGE_ALPHA"}, BIG),
    (INPAINT, {**ASKED, "mask": b64(WHITE), "grow_mask": 0, "seed": 3}, PICTURE),
    (INPAINT, {**ASKED, "mask": b64(WHITE), "grow_mask": 0, "seed": 3, "output_format": "webp"}, PICTURE),
    (INPAINT, {**ASKED, "image": b64(RGBA), "grow_mask": 0, "seed": 3}, PICTURE),
    (ERASE, {"image": IMAGE, "mask": b64(WHITE), "grow_mask": 0, "seed": 3}, PICTURE),
    (ERASE, {"image": b64(RGBA), "grow_mask": 0, "seed": 3}, PICTURE),
]


@pytest.mark.parametrize("canvas", ["paint", "fast"])
@pytest.mark.parametrize(("model_id", "body", "before"), POLARITY)
def test_exactly_what_is_marked_changes(model_id: str, body: dict[str, Any], before: Image.Image, canvas: Any) -> None:
    """Outside of the mask every pixel is the input's; inside nearly every one is new, whatever colour marks it."""
    after = first(drawn(model_id, body, canvas))
    area = marked(before.size)
    difference = changed(before, after)
    assert share(difference, ImageOps.invert(area)) == 0
    assert share(difference, area) > 0.97


def test_a_mask_is_brought_to_size_and_grey_is_partial() -> None:
    """On the services only."""
    mask = b64(marked((176, 160), (50, 45, 109, 99)))
    body = {**ASKED, "mask": mask, "grow_mask": 0, "seed": 3}
    difference = changed(PICTURE, first(drawn(INPAINT, body)))
    inner, outer = marked(SIZE, (104, 94, 214, 194)), marked(SIZE, (96, 86, 223, 203))
    assert share(difference, inner) > 0.97
    assert share(difference, ImageOps.invert(outer)) == 0
    whole, half = (first(drawn(INPAINT, {**body, "mask": b64(WHITE.point([0] * 255 + [grey]))})) for grey in (255, 128))
    distances = [ImageStat.Stat(ImageChops.difference(PICTURE, each), WHITE).mean[0] for each in (whole, half)]
    assert distances[1] == pytest.approx(distances[0] / 2, rel=0.3)


@pytest.mark.parametrize("pixels", [0, 1, 5, 20])
def test_a_grown_mask_reaches_exactly_that_far(pixels: int) -> None:
    """The area itself stays white, what is added fades, and nothing changes beyond."""
    mask = grown(WHITE, pixels)
    assert mask.getbbox() == (BOX[0] - pixels, BOX[1] - pixels, BOX[2] + 1 + pixels, BOX[3] + 1 + pixels)
    assert ImageChops.lighter(mask, WHITE).tobytes() == mask.tobytes()


def test_the_services_grow_their_masks_by_five_pixels() -> None:
    """The documented default."""
    body = {**ASKED, "mask": b64(WHITE), "seed": 3}
    assert drawn(INPAINT, body) == drawn(INPAINT, {**body, "grow_mask": 5})
    difference = changed(PICTURE, first(drawn(INPAINT, body)))
    assert share(difference, ImageOps.invert(grown(WHITE, 5).point([0] + [255] * 255))) == 0
    assert share(difference, ImageOps.invert(WHITE)) > 0


def test_an_erased_object_is_gone() -> None:
    """The hole has the colours of what is around it."""
    plain = Image.new("RGB", SIZE, (120, 150, 180))
    spotted = plain.copy()
    ImageDraw.Draw(spotted).rectangle((110, 100, 209, 189), fill=(250, 0, 0))
    after = first(drawn(ERASE, {"image": b64(spotted), "mask": b64(WHITE), "seed": 1}))
    assert max(ImageStat.Stat(ImageChops.difference(plain, after)).mean) < 3


@pytest.mark.parametrize("canvas", ["paint", "fast"])
@pytest.mark.parametrize("prompt", ["sea", None])
def test_outpainting_keeps_the_picture_in_its_place(canvas: Any, prompt: str | None) -> None:
    """And paints something around it."""
    sides = {"left": 33, "right": 400, "up": 21, "down": 8}
    body = {"image": IMAGE, **sides, "seed": 3, "output_format": "webp", **({"prompt": prompt} if prompt else {})}
    after = first(drawn(OUTPAINT, body, canvas)).convert("RGB")
    assert after.size == (SIZE[0] + 433, SIZE[1] + 29)
    assert after.crop((33, 21, 33 + SIZE[0], 21 + SIZE[1])).tobytes() == PICTURE.tobytes()
    if canvas == "paint":
        assert len(after.crop((400, 0, *after.size)).resize((16, 16)).getcolors() or []) > 100


def test_a_returned_mask_is_black_where_it_changed() -> None:
    """Outside of it nothing did; excluded places are not in it."""
    document = drawn(CANVAS, FULL_TRY_ON)
    mask = opened(document["maskImage"]).convert("L")
    assert mask.size == SIZE
    assert {colour for _, colour in mask.getcolors() or []} == {0, 255}
    assert share(changed(PICTURE, first(document)), mask) == 0
    assert share(changed(PICTURE, first(document)), ImageOps.invert(mask)) > 0.9
    titan = amazon("INPAINTING", "inPainting", image=IMAGE, maskImage=b64(BLACK), text="x", returnMask=True)
    assert opened(drawn(TITAN_2, titan)["maskImage"]).convert("L").tobytes() == BLACK.tobytes()


def test_exclusions_make_the_mask_smaller() -> None:
    """A face that is preserved stays."""
    params = {"garmentBasedMask": {"garmentClass": "FULL_BODY_OUTFIT", "maskShape": "BOUNDING_BOX"}, "returnMask": True}
    masks = [
        opened(drawn(CANVAS, try_on("GARMENT", **params, **more))["maskImage"]).convert("L")
        for more in ({}, {"maskExclusions": {"preserveFace": "ON", "preserveHands": "ON"}})
    ]
    assert ImageStat.Stat(masks[0]).mean[0] < ImageStat.Stat(masks[1]).mean[0]


def test_a_background_is_removed() -> None:
    """What stands out from the borders stays, with its colours; an alpha channel is kept; JPEG shows white."""
    portrait = Image.new("RGB", (300, 200), (200, 210, 220))
    ImageDraw.Draw(portrait).ellipse((100, 50, 199, 149), fill=(180, 40, 40))
    model = f"{S}remove-background-v1:0"
    for format in ("png", "webp"):
        after = first(drawn(model, {"image": b64(portrait), "output_format": format}))
        assert after.getpixel((150, 100)) == (180, 40, 40, 255)
        assert after.getpixel((5, 5)) == (200, 210, 220, 0)
        assert after.convert("RGB").tobytes() == portrait.tobytes()
    jpeg = first(drawn(model, {"image": b64(portrait), "output_format": "jpeg"}))
    assert jpeg.getpixel((5, 5)) == (255, 255, 255)
    assert cutout(RGBA).getpixel((150, 150)) == (*PICTURE.getpixel((150, 150)), 0)  # type: ignore[misc]
    flat = cutout(Image.new("RGB", (90, 80), (9, 9, 9))).getchannel("A").getextrema()
    assert flat == (0, 255)


@pytest.mark.parametrize("name", ["search-replace", "search-recolor"])
def test_a_search_changes_one_region_and_finds_it_again(name: str) -> None:
    """Told by the words that are searched for; all else stays."""
    key = "search_prompt" if name == "search-replace" else "select_prompt"
    seen = []
    for words in ("cap", "sky", "the cat", "background"):
        body = {**ASKED, "prompt": "purple", key: words, "grow_mask": 0, "seed": 3}
        area = region(words, PICTURE)
        difference = changed(PICTURE, first(drawn(f"{S}{name}-v1:0", body)))
        assert share(difference, ImageOps.invert(area)) == 0
        assert share(difference, area) > 0.9
        seen.append(area.tobytes())
    assert len(set(seen)) == 4


def edges(picture: Image.Image) -> Image.Image:
    """Where brightness jumps, as a rough mask."""
    grey = picture.convert("L").filter(ImageFilter.GaussianBlur(1))
    across, down = (ImageChops.difference(grey, ImageChops.offset(grey, *step)) for step in ((1, 0), (0, 1)))
    return (
        ImageChops.lighter(across, down).crop((4, 4, grey.width - 4, grey.height - 4)).filter(ImageFilter.MaxFilter(5))
    )


@pytest.mark.parametrize("model_id", [f"{S}control-sketch-v1:0", f"{S}control-structure-v1:0"])
def test_control_keeps_the_lines_of_the_input(model_id: str) -> None:
    """They are stronger in the result where the input has them; without control they are not."""
    sketch = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(sketch).polygon([(60, 270), (176, 60), (290, 270)], outline="black", width=5)
    lines = edges(sketch).point([0] * 30 + [255] * 226)

    def contrast(strength: float) -> float:
        full = {"image": b64(sketch), "prompt": "a quiet sea", "seed": 3, "control_strength": strength}
        found = edges(first(drawn(model_id, full)))
        return ImageStat.Stat(found, lines).mean[0] / max(1.0, ImageStat.Stat(found, ImageOps.invert(lines)).mean[0])

    assert contrast(1) > 3
    assert contrast(0) < 2


def test_styles_bring_their_colours_and_leave_the_composition() -> None:
    """Style transfer and style guide towards the style's colours; the given colours in guided generation."""
    red = Image.blend(ramp((320, 320)), Image.new("RGB", (320, 320), (200, 30, 20)), 0.8)
    before = ImageStat.Stat(PICTURE).mean
    after = first(drawn(TRANSFER, {"init_image": IMAGE, "style_image": b64(red), "seed": 3}))
    target = ImageStat.Stat(red).mean
    assert ImageStat.Stat(after).mean == pytest.approx(target, abs=30)
    assert before != pytest.approx(target, abs=30)
    lines = edges(PICTURE).point([0] * 60 + [255] * 196)
    found = edges(after)
    assert ImageStat.Stat(found, lines).mean[0] > 2 * ImageStat.Stat(found, ImageOps.invert(lines)).mean[0]
    guide = {"prompt": "a calm sea", "image": b64(red), "fidelity": 1, "seed": 3}
    assert ImageStat.Stat(first(drawn(f"{S}style-guide-v1:0", guide))).mean == pytest.approx(target, abs=40)
    colours = amazon("COLOR_GUIDED_GENERATION", "colorGuidedGeneration", SMALL, text="sea", colors=["#FF0000"])
    red_mean, green_mean, _ = ImageStat.Stat(first(drawn(CANVAS, colours))).mean
    assert red_mean > 2 * green_mean


def test_strengths_go_from_the_input_to_the_prompt() -> None:
    """0 returns the input on SD3; 1 does on SDXL, and a later start of the schedule keeps more."""

    def distance(model_id: str, body: dict[str, Any]) -> float:
        return sum(ImageStat.Stat(ImageChops.difference(BIG, first(drawn(model_id, body)).convert("RGB"))).mean)

    sd35 = {"prompt": "night", "image": b64(BIG), "seed": 3}
    found = [distance(SD35, {**sd35, "strength": strength}) for strength in (0, 0.3, 0.6, 1)]
    assert found[0] == 0
    assert found == sorted(found)
    assert distance(ULTRA, sd35) == distance(ULTRA, {**sd35, "strength": 0.35})
    sdxl = {"text_prompts": [{"text": "night"}], "init_image": b64(BIG), "seed": 3}
    assert distance(SDXL, {**sdxl, "image_strength": 1}) == 0
    late, early = (
        distance(SDXL, {**sdxl, "init_image_mode": "STEP_SCHEDULE", "step_schedule_start": start})
        for start in (0.9, 0.1)
    )
    assert 0 < late < early


def test_a_variation_resembles_its_input_the_more_it_is_told_to() -> None:
    """By similarityStrength; each of a batch is another one."""

    def distance(strength: float) -> float:
        params = {"images": [b64(ramp((640, 640)))], "similarityStrength": strength, "text": "night"}
        document = drawn(CANVAS, amazon("IMAGE_VARIATION", "imageVariation", {"width": 640, "height": 640}, **params))
        return sum(ImageStat.Stat(ImageChops.difference(BIG, first(document))).mean)

    assert 1 < distance(1.0) < distance(0.2)


def test_upscaled_pictures_are_the_same_pictures() -> None:
    """Only larger: sides times four, or to 4K; what is larger already keeps its size."""
    small = ramp((200, 120))
    for model, body in ((FAST, {}), (CONSERVATIVE, {"prompt": "x", "seed": 3}), (CREATIVE, {"prompt": "x", "seed": 3})):
        after = first(drawn(model, {"image": b64(small), "output_format": "jpeg", **body}))
        assert after.width / after.height == pytest.approx(200 / 120, rel=0.002)
        back = after.resize(small.size, Image.Resampling.BOX)
        assert max(ImageStat.Stat(ImageChops.difference(small, back)).mean) < 30
    large = check(MODELS[CONSERVATIVE], {"prompt": "x", "image": b64(Image.new("RGB", (3072, 3072)))})
    assert (large.width, large.height) == (3072, 3072)


DETERMINED = [
    *((model, body) for model, body, size, _ in amazon_cases() if size in (SIZE, (384, 640)) and model == CANVAS),
    *((model, {**body, "seed": 3}) for model, body, size, _ in stability_cases() if "prompt" in body and size == SIZE),
]


@pytest.mark.parametrize(("model_id", "body"), DETERMINED[::4])
def test_the_same_request_gives_the_same_bytes(model_id: str, body: dict[str, Any]) -> None:
    """From different galleries, so that nothing is remembered; another seed gives others."""
    assert drawn(model_id, body) == drawn(model_id, body)


def test_another_seed_or_input_is_another_picture() -> None:
    """Seeds, input pictures, masks and parameters all count; asking for the mask back does not."""
    body = {**ASKED, "mask": b64(WHITE), "seed": 3}
    others = [
        body,
        {**body, "seed": 4},
        {**body, "image": b64(ImageOps.mirror(PICTURE))},
        {**body, "mask": b64(BLACK)},
        {**body, "style_preset": "anime"},
    ]
    assert len({drawn(INPAINT, other)["images"][0] for other in others}) == 5
    paint = amazon("INPAINTING", "inPainting", image=IMAGE, maskImage=b64(BLACK), text="x")
    asked = amazon("INPAINTING", "inPainting", image=IMAGE, maskImage=b64(BLACK), text="x", returnMask=True)
    assert drawn(TITAN_2, paint)["images"] == drawn(TITAN_2, asked)["images"]


@pytest.mark.parametrize("model_id", [f"{S}remove-background-v1:0", FAST])
def test_services_without_a_seed_are_deterministic(emulator: Emulator, model_id: str) -> None:
    """The seed in their answer depends on the input alone."""
    assert invoke(emulator, model_id, {"image": IMAGE}) == invoke(emulator, model_id, {"image": IMAGE})


@pytest.mark.parametrize("canvas", ["paint", "fast"])
@pytest.mark.parametrize("size", [(64, 64), (64, 160), (157, 64), (131, 97)])
def test_small_and_odd_pictures_are_edited_too(size: tuple[int, int], canvas: Any) -> None:
    """With masks of one pixel, of everything and of nothing."""
    picture = ramp(size)
    image = b64(picture)
    masks = [marked(size, (3, 3, 3, 3)), Image.new("L", size, 255), Image.new("L", size)]
    for mask in masks:
        for model, more in ((INPAINT, {"prompt": ""}), (ERASE, {})):
            body = {"image": image, "mask": b64(mask), "seed": 1, "grow_mask": 0, **more}
            difference = changed(picture, first(drawn(model, body, canvas)))
            assert ImageChops.darker(difference, ImageOps.invert(mask)).getbbox() is None
    for name in ("control-sketch", "control-structure"):
        assert first(drawn(f"{S}{name}-v1:0", {"prompt": "x", "image": image}, canvas)).size == size
    assert first(drawn(TRANSFER, {"init_image": image, "style_image": IMAGE}, canvas)).size == size
    assert first(drawn(OUTPAINT, {"image": image, "up": 1}, canvas)).size == (size[0], size[1] + 1)


BLOCKED = [
    (TITAN_2, amazon("INPAINTING", "inPainting", image=IMAGE, maskPrompt="x", text="%s"), "flagged the input image"),
    (CANVAS, amazon("INPAINTING", "inPainting", image=IMAGE, maskPrompt="%s"), "The input image has been blocked"),
    (SDXL, {"text_prompts": [{"text": "%s"}], "init_image": b64(BIG)}, "blocked by our content filters"),
]


def filled_in(body: Any, word: str) -> Any:
    """The body with a word in place of its gap."""
    return orjson.loads(orjson.dumps(body).replace(b"%s", word.encode()))


@pytest.mark.parametrize(("model_id", "body", "fragment"), BLOCKED)
def test_a_blocked_input_is_a_400(model_id: str, body: dict[str, Any], fragment: str) -> None:
    """On Titan, Canvas and SDXL; their other failures are as in text to image."""
    with pytest.raises(BedrockError, match=fragment) as caught:
        drawn(model_id, filled_in(body, "[blocked-input]"))
    assert (caught.value.status, caught.value.error_type) == (400, "ValidationException")
    with pytest.raises(BedrockError, match="blocked by our content filters"):
        drawn(model_id, filled_in(body, "[blocked-prompt]"))


def test_stability_filters_inputs_inside_a_200() -> None:
    """By a word in any prompt, or in the metadata of a picture where there is no prompt."""
    reason = {"finish_reasons": ["Filter reason: input image"]}
    body = {**ASKED, "search_prompt": "a [blocked-input] cap", "seed": 1}
    assert drawn(f"{S}search-replace-v1:0", body) == reason
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "[blocked-input]")
    exif = Image.Exif()
    exif[0x010E] = "[blocked-input]"
    pictures = [b64(PICTURE, pnginfo=text), b64(PICTURE, "JPEG", exif=exif), b64(PICTURE, "WEBP", exif=exif)]
    for picture in pictures:
        assert drawn(f"{S}remove-background-v1:0", {"image": picture}) == reason
    assert "images" in drawn("stability.stable-image-core-v1:1", {"prompt": "a [blocked-input] kite"}, "fast")


def test_a_filtered_edit_of_sdxl_is_blurred() -> None:
    """As a filtered picture is."""
    body = {"text_prompts": [{"text": "a kite [blocked-output]"}], "init_image": b64(BIG), "seed": 1}
    document = drawn(SDXL, body)
    assert document["artifacts"][0]["finishReason"] == "CONTENT_FILTERED"
    plain = first(drawn(SDXL, {**body, "text_prompts": [{"text": "a kite"}]}))
    assert ImageStat.Stat(edges(first(document))).mean[0] < ImageStat.Stat(edges(plain)).mean[0] / 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("format", ["png", "webp"])
def test_exact_files_lose_nothing(mode: str, format: Any) -> None:
    """Not even the colours of transparent pixels, over several bands of rows."""
    picture = ramp((61, 300)).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = encode(picture, format, model_id="m", seed=1, exact=True)
    with Image.open(io.BytesIO(data)) as file:
        assert (file.mode, file.tobytes()) == (mode, picture.tobytes())


def test_the_log_forgets_the_oldest_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies with pictures are large, so that the log is bounded by bytes as well."""
    monkeypatch.setattr("lascaux.emulator.server._LOG_BYTES", 100_000)
    noise = Image.effect_noise((128, 128), 90).convert("RGB")
    with Emulator(canvas="fast") as running:
        for _ in range(8):
            invoke(running, f"{S}remove-background-v1:0", {"image": b64(noise)})
        assert 1 <= len(running.log) < 8
        assert running.billed == 8
        running.forget()
        assert running.log == []
