from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.bedrock.families.amazon import Amazon
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.fake import PICTURE
from lascaux.providers.pictures import encode_png, read_picture
from lascaux.providers.types import Call, ImageRequest, Picture, Task
from PIL import Image as Pillow

V1 = "amazon.titan-image-generator-v1"
V1_PROVISIONED = "amazon.titan-image-generator-v1:0"
V2 = "amazon.titan-image-generator-v2:0"
CANVAS = "amazon.nova-canvas-v1:0"
TITANS = [V1, V1_PROVISIONED, V2]
EVERY = [*TITANS, CANVAS]
NEWER = [V2, CANVAS]
BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (200, 0, 0)


def blank(width: int = 320, height: int = 320, color: Any = RED, mode: str = "RGB") -> Picture:
    return encode_png(Pillow.new(mode, (width, height), color))


def saved(kind: str, width: int = 320, height: int = 320) -> Picture:
    file = io.BytesIO()
    Pillow.new("RGB", (width, height), RED).save(file, kind)
    return read_picture(file.getvalue())


def marking(color: Any, rest: Any, mode: str = "RGB", size: tuple[int, int] = (320, 320)) -> Picture:
    """A mask whose left half has one colour and whose right half another."""
    image = Pillow.new(mode, size, rest)
    image.paste(color, (0, 0, size[0] // 2, size[1]))
    return encode_png(image)


IMAGE = blank()
OTHER = blank(400, 320, (0, 90, 0))
MASK = marking((0, 0, 0, 0), (0, 0, 0, 255), "RGBA")
HOLED = marking((0, 0, 200, 0), (0, 0, 200, 255), "RGBA")


def model_of(name: str) -> Model:
    found = Catalog.load().find(name)
    assert found is not None
    return found


def family_of(name: str) -> Amazon:
    family = family_for(model_of(name))
    assert isinstance(family, Amazon)
    return family


def prepare(model: str, task: Task | str, **fields: Any) -> tuple[Call, ...]:
    request = ImageRequest(**{"prompt": "", "task": Task(task), **fields})
    return family_of(model).prepare(request, model_of(model))


def one(model: str, task: Task | str, **fields: Any) -> Call:
    (call,) = prepare(model, task, **fields)
    return call


def refusal(model: str, task: Task | str, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, task, **fields)
    return caught.value


def warned(call: Call) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.parameter) for warning in call.warnings]


def pixels(b64: str) -> Any:
    return Pillow.open(io.BytesIO(read_picture(b64).bytes))


def halves(b64: str) -> tuple[Any, Any]:
    """The colours of the left and of the right half of a mask that has no others."""
    image = pixels(b64)
    assert image.mode == "RGB"
    assert {color for _, color in image.getcolors()} == {BLACK, WHITE}
    return image.getpixel((0, 0)), image.getpixel((image.width - 1, image.height - 1))


# Bodies, field by field (WIRE.md, sections 4 and 5). ``None`` in place of a mask stands for one that is looked at.
MINIMAL: dict[Task, tuple[dict[str, Any], dict[str, Any]]] = {
    Task.INPAINT: (
        {"prompt": "round window", "image": IMAGE, "options": {"mask_prompt": "the window"}},
        {
            "taskType": "INPAINTING",
            "inPaintingParams": {"image": IMAGE.b64, "maskPrompt": "the window", "text": "round window"},
        },
    ),
    Task.ERASE: (
        {"image": IMAGE, "options": {"mask_prompt": "the window"}},
        {"taskType": "INPAINTING", "inPaintingParams": {"image": IMAGE.b64, "maskPrompt": "the window"}},
    ),
    Task.OUTPAINT: (
        {"prompt": "beach", "image": IMAGE, "options": {"mask_prompt": "the car"}},
        {
            "taskType": "OUTPAINTING",
            "outPaintingParams": {"image": IMAGE.b64, "maskPrompt": "the car", "text": "beach"},
        },
    ),
    Task.VARIATION: (
        {"image": IMAGE},
        {"taskType": "IMAGE_VARIATION", "imageVariationParams": {"images": [IMAGE.b64]}},
    ),
    Task.IMAGE_TO_IMAGE: (
        {"image": IMAGE, "prompt": "in autumn"},
        {"taskType": "IMAGE_VARIATION", "imageVariationParams": {"images": [IMAGE.b64], "text": "in autumn"}},
    ),
    Task.COLOR_GUIDED: (
        {"prompt": "poster", "options": {"colors": ["#112233"]}},
        {
            "taskType": "COLOR_GUIDED_GENERATION",
            "colorGuidedGenerationParams": {"text": "poster", "colors": ["#112233"]},
        },
    ),
    Task.REMOVE_BACKGROUND: (
        {"image": IMAGE},
        {"taskType": "BACKGROUND_REMOVAL", "backgroundRemovalParams": {"image": IMAGE.b64}},
    ),
    Task.CONTROL_STRUCTURE: (
        {"prompt": "hall", "image": IMAGE},
        {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "hall", "conditionImage": IMAGE.b64}},
    ),
    Task.VIRTUAL_TRY_ON: (
        {"image": IMAGE, "references": (OTHER,), "options": {"garment_class": "upper_body"}},
        {
            "taskType": "VIRTUAL_TRY_ON",
            "virtualTryOnParams": {
                "sourceImage": IMAGE.b64,
                "referenceImage": OTHER.b64,
                "maskType": "GARMENT",
                "garmentBasedMask": {"garmentClass": "UPPER_BODY"},
            },
        },
    ),
}
SIZED = {Task.VARIATION, Task.IMAGE_TO_IMAGE, Task.COLOR_GUIDED, Task.CONTROL_STRUCTURE}
PAIRS = [(model, task) for model in EVERY for task in model_of(model).able if task is not Task.TEXT_TO_IMAGE]
every_pair = pytest.mark.parametrize(("model", "task"), PAIRS, ids=lambda value: str(value))


def test_each_model_has_the_tasks_of_its_documents() -> None:
    """Erase, image_to_image and control_structure are played by the task that does the same."""
    basic = {Task.INPAINT, Task.ERASE, Task.OUTPAINT, Task.VARIATION, Task.IMAGE_TO_IMAGE}
    newer = basic | {Task.COLOR_GUIDED, Task.REMOVE_BACKGROUND, Task.CONTROL_STRUCTURE}
    found = {model: {task for other, task in PAIRS if other == model} for model in EVERY}
    assert found == {V1: basic, V1_PROVISIONED: basic, V2: newer, CANVAS: newer | {Task.VIRTUAL_TRY_ON}}
    assert set(MINIMAL) == found[CANVAS]


@every_pair
def test_the_smallest_body_is_the_documented_one(model: str, task: Task) -> None:
    """What is needed and nothing else, with no warning; Titan is always sent both sides where it takes them."""
    fields, body = MINIMAL[task]
    call = one(model, task, **fields, strict=True)
    sides = {"imageGenerationConfig": {"width": 1024, "height": 1024}} if model in TITANS and task in SIZED else {}
    assert call.body == body | sides
    assert (call.model, call.task, call.images, call.warnings) == (model, task, 1, ())
    expected = (1024, 1024) if task in SIZED else (320, 320)
    assert (call.width, call.height, call.quality, call.steps) == (*expected, "standard", None)
    omitted = None if task is Task.REMOVE_BACKGROUND else 42 if model in TITANS else 12
    assert (call.seed, call.effective_seed) == (None, omitted)
    assert call.reproducible  # a removal draws nothing at random


def config_of(model: str, task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything that stands beside a task's own fields: our words, and the documented object."""
    size = (1152, 768) if model in TITANS else (1280, 720)
    sides = {"width": size[0], "height": size[1]} if task in SIZED else {}
    ours = {"quality": "premium", "n": 3, "cfg_scale": 8.5, "seed": 1234} | ({"size": size} if sides else {})
    return ours, {"quality": "premium", "numberOfImages": 3, "cfgScale": 8.5, "seed": 1234, **sides}


@pytest.mark.parametrize("model", EVERY)
def test_the_full_inpaint_body(model: str) -> None:
    """Mask image, both texts and the whole config; Titan can return the mask."""
    ours, config = config_of(model, Task.INPAINT)
    options = {"return_mask": True} if model in TITANS else {}
    fields: dict[str, Any] = {"prompt": "round window", "negative_prompt": "bars", "image": IMAGE, "options": options}
    call = one(model, Task.INPAINT, mask=MASK, strict=True, **fields, **ours)
    params = dict(call.body["inPaintingParams"])
    assert halves(params.pop("maskImage")) == (BLACK, WHITE)
    assert params == {
        "image": IMAGE.b64,
        "text": "round window",
        "negativeText": "bars",
        **({"returnMask": True} if model in TITANS else {}),
    }
    assert set(call.body) == {"taskType", "inPaintingParams", "imageGenerationConfig"}
    assert call.body["imageGenerationConfig"] == config
    assert (call.images, call.seed, call.quality, call.width, call.height) == (3, 1234, "premium", 320, 320)


@pytest.mark.parametrize("model", EVERY)
def test_the_full_outpaint_body(model: str) -> None:
    """The same with the other polarity, and a mode."""
    ours, config = config_of(model, Task.OUTPAINT)
    options = {"outpaint_mode": "precise"} | ({"return_mask": False} if model in TITANS else {})
    fields: dict[str, Any] = {"prompt": "beach", "negative_prompt": "people", "image": IMAGE, "options": options}
    call = one(model, Task.OUTPAINT, mask=MASK, strict=True, **fields, **ours)
    params = dict(call.body["outPaintingParams"])
    assert halves(params.pop("maskImage")) == (WHITE, BLACK)
    assert params == {
        "image": IMAGE.b64,
        "text": "beach",
        "negativeText": "people",
        "outPaintingMode": "PRECISE",
        **({"returnMask": False} if model in TITANS else {}),
    }
    assert call.body["imageGenerationConfig"] == config


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("task", [Task.VARIATION, Task.IMAGE_TO_IMAGE])
def test_the_full_variation_body(model: str, task: Task) -> None:
    """Up to five pictures, the first of them as image or all as references."""
    ours, config = config_of(model, task)
    call = one(
        model,
        task,
        prompt="in autumn",
        negative_prompt="people",
        image=IMAGE,
        references=(OTHER,) * 4,
        options={"similarity": 0.6},
        strict=True,
        **ours,
    )
    assert call.body == {
        "taskType": "IMAGE_VARIATION",
        "imageVariationParams": {
            "images": [IMAGE.b64, *[OTHER.b64] * 4],
            "text": "in autumn",
            "negativeText": "people",
            "similarityStrength": 0.6,
        },
        "imageGenerationConfig": config,
    }
    assert (call.width, call.height) == ours["size"]
    error = refusal(model, task, image=IMAGE, references=(OTHER,) * 5)
    assert (error.parameter, error.allowed) == ("references", "at most 5 with image")


@pytest.mark.parametrize("model", NEWER)
@pytest.mark.parametrize("name", ["image", "references"])
def test_the_full_color_guided_body(model: str, name: str) -> None:
    """The reference may be called image or reference; ten colours are the most."""
    ours, config = config_of(model, Task.COLOR_GUIDED)
    colors = [f"#{index:02X}{index:02x}00" for index in range(10, 20)]
    picture: dict[str, Any] = {"image": IMAGE} if name == "image" else {"references": (IMAGE,)}
    fields: dict[str, Any] = {"prompt": "poster", "negative_prompt": "text", "options": {"colors": colors}}
    call = one(model, Task.COLOR_GUIDED, strict=True, **fields, **picture, **ours)
    assert call.body == {
        "taskType": "COLOR_GUIDED_GENERATION",
        "colorGuidedGenerationParams": {
            "text": "poster",
            "negativeText": "text",
            "colors": colors,
            "referenceImage": IMAGE.b64,
        },
        "imageGenerationConfig": config,
    }
    both = one(model, Task.COLOR_GUIDED, image=OTHER, references=(IMAGE, OTHER), **fields)
    assert both.body["colorGuidedGenerationParams"]["referenceImage"] == IMAGE.b64
    assert sorted(warned(both)) == [("ignored", "image"), ("ignored", "references")]


@pytest.mark.parametrize("model", NEWER)
def test_the_full_control_structure_body(model: str) -> None:
    """Conditioning is a text-to-image call with a picture; Nova Canvas has styles there too."""
    ours, config = config_of(model, Task.CONTROL_STRUCTURE)
    style = {"style": "design sketch"} if model == CANVAS else {}
    call = one(
        model,
        Task.CONTROL_STRUCTURE,
        prompt="hall",
        negative_prompt="people",
        image=IMAGE,
        options={"control_mode": "segmentation", "control_strength": 0.4},
        strict=True,
        **ours,
        **style,
    )
    assert call.body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {
            "text": "hall",
            "negativeText": "people",
            "conditionImage": IMAGE.b64,
            "controlMode": "SEGMENTATION",
            "controlStrength": 0.4,
            **({"style": "DESIGN_SKETCH"} if style else {}),
        },
        "imageGenerationConfig": config,
    }
    assert (call.width, call.height) == ours["size"]


def test_the_full_virtual_try_on_body() -> None:
    """The documented example, in our words."""
    ours, config = config_of(CANVAS, Task.VIRTUAL_TRY_ON)
    options = {
        "garment_class": "upper body",
        "mask_shape": "contour",
        "long_sleeve_style": "sleeve_down",
        "tucking_style": "untucked",
        "outer_layer_style": "open",
        "preserve_face": "on",
        "preserve_hands": "ON",
        "preserve_body_pose": "default",
        "merge_style": "seamless",
        "return_mask": True,
    }
    call = one(CANVAS, Task.VIRTUAL_TRY_ON, image=IMAGE, references=(OTHER,), options=options, strict=True, **ours)
    assert call.body == {
        "taskType": "VIRTUAL_TRY_ON",
        "virtualTryOnParams": {
            "sourceImage": IMAGE.b64,
            "referenceImage": OTHER.b64,
            "maskType": "GARMENT",
            "garmentBasedMask": {
                "garmentClass": "UPPER_BODY",
                "maskShape": "CONTOUR",
                "garmentStyling": {
                    "longSleeveStyle": "SLEEVE_DOWN",
                    "tuckingStyle": "UNTUCKED",
                    "outerLayerStyle": "OPEN",
                },
            },
            "maskExclusions": {"preserveFace": "ON", "preserveHands": "ON", "preserveBodyPose": "DEFAULT"},
            "mergeStyle": "SEAMLESS",
            "returnMask": True,
        },
        "imageGenerationConfig": config,
    }


def test_virtual_try_on_infers_the_kind_of_mask() -> None:
    """A mask, a garment or words: exactly one, each with the object that goes with it, and what does not is said."""
    person: dict[str, Any] = {"image": IMAGE, "references": (OTHER,)}
    params = one(CANVAS, Task.VIRTUAL_TRY_ON, mask=MASK, **person).body["virtualTryOnParams"]
    assert params["maskType"] == "IMAGE"
    assert halves(params["imageBasedMask"]["maskImage"]) == (BLACK, WHITE)
    options = {"mask_prompt": "the jacket", "mask_shape": "bounding box"}
    params = one(CANVAS, Task.VIRTUAL_TRY_ON, options=options, **person).body["virtualTryOnParams"]
    assert params["maskType"] == "PROMPT"
    assert params["promptBasedMask"] == {"maskPrompt": "the jacket", "maskShape": "BOUNDING_BOX"}
    for options in ({}, {"mask_prompt": "x", "garment_class": "SHOES"}):
        error = refusal(CANVAS, Task.VIRTUAL_TRY_ON, options=options, **person)
        assert error.allowed == "exactly one of mask, garment_class and mask_prompt"
    call = one(
        CANVAS, Task.VIRTUAL_TRY_ON, mask=MASK, options={"mask_shape": "default", "tucking_style": "tucked"}, **person
    )
    assert sorted(warned(call)) == [("ignored", "mask_shape"), ("ignored", "tucking_style")]
    error = refusal(CANVAS, Task.VIRTUAL_TRY_ON, options={"garment_class": "boot"}, **person)
    assert (error.parameter, error.nearest) == ("garment_class", "BOOTS")
    assert refusal(CANVAS, Task.VIRTUAL_TRY_ON, image=IMAGE, mask=MASK).parameter == "references"
    call = one(CANVAS, Task.VIRTUAL_TRY_ON, mask=MASK, image=IMAGE, references=(OTHER, OTHER), prompt="red")
    assert sorted(warned(call)) == [("ignored", "prompt"), ("ignored", "references")]


def test_virtual_try_on_takes_native_objects() -> None:
    """What stands in native counts as given, and the kind of mask follows from it too."""
    native = {"virtualTryOnParams": {"garmentBasedMask": {"garmentClass": "BOOTS"}, "referenceImage": PICTURE}}
    call = one(CANVAS, Task.VIRTUAL_TRY_ON, image=IMAGE, options={"mask_shape": "contour"}, native=native)
    assert call.body["virtualTryOnParams"] == {
        "sourceImage": IMAGE.b64,
        "referenceImage": PICTURE,
        "maskType": "GARMENT",
        "garmentBasedMask": {"garmentClass": "BOOTS", "maskShape": "CONTOUR"},
    }
    options = {"mask_prompt": "shoes"}
    error = refusal(CANVAS, Task.VIRTUAL_TRY_ON, image=IMAGE, options=options, native=native)
    assert "native garmentBasedMask" in str(error)


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("task", [Task.INPAINT, Task.ERASE, Task.OUTPAINT])
@pytest.mark.parametrize(
    ("mode", "mask"),
    [
        ("alpha", MASK),
        ("white", marking(WHITE, BLACK)),
        ("black", marking(BLACK, WHITE)),
        ("white", marking((160,) * 3, (90,) * 3)),
        ("black", marking(40, 200, "L")),
    ],
)
def test_masks_mark_the_same_area_in_any_convention(model: str, task: Task, mode: str, mask: Picture) -> None:
    """Inpainting changes what is black, outpainting what is white; greys go to the nearer end."""
    call = one(model, task, prompt="x" if task is Task.OUTPAINT else "", image=IMAGE, mask=mask, mask_mode=mode)
    key = "outPaintingParams" if task is Task.OUTPAINT else "inPaintingParams"
    assert halves(call.body[key]["maskImage"]) == ((WHITE, BLACK) if task is Task.OUTPAINT else (BLACK, WHITE))
    assert call.warnings == ()


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("task", [Task.INPAINT, Task.ERASE, Task.OUTPAINT])
def test_what_shall_change_is_said_exactly_once(model: str, task: Task) -> None:
    """No mask, or two ways of telling, is refused; a mask of another size is stretched with a warning."""
    fields: dict[str, Any] = {"prompt": "x", "image": IMAGE}
    assert refusal(model, task, **fields).parameter == "mask"
    error = refusal(model, task, mask=MASK, options={"mask_prompt": "the window"}, **fields)
    assert (error.parameter, str(error.allowed).startswith("exactly one of mask")) == ("mask_prompt", True)
    key = "outPaintingParams" if task is Task.OUTPAINT else "inPaintingParams"
    native = {key: {"maskPrompt": "the window"}}
    assert refusal(model, task, mask=MASK, native=native, **fields).parameter == "mask"
    assert one(model, task, native=native, **fields).body[key]["maskPrompt"] == "the window"
    small = marking((0, 0, 0, 0), (0, 0, 0, 255), "RGBA", (64, 64))
    call = one(model, task, mask=small, image=IMAGE, prompt="x" if task is not Task.ERASE else "")
    assert warned(call) == [("adapted", "mask")]
    assert pixels(call.body[key]["maskImage"]).size == (320, 320)
    assert refusal(model, task, mask=small, strict=True, **fields).parameter in ("mask", "prompt")
    for words in ("", "  ", 7):
        assert refusal(model, task, options={"mask_prompt": words}, **fields).parameter == "mask_prompt"
    assert refusal(model, task, prompt="x", mask=MASK, native={key: {"image": PICTURE}}).parameter == "mask"


@pytest.mark.parametrize("model", EVERY)
def test_a_picture_with_holes_is_its_own_mask(model: str) -> None:
    """As in OpenAI's API: without a mask its transparent parts change, and it is sent without transparency."""
    call = one(model, Task.INPAINT, prompt="a boat", image=HOLED, strict=True)
    params = call.body["inPaintingParams"]
    assert halves(params["maskImage"]) == (BLACK, WHITE)
    sent = pixels(params["image"])
    assert (sent.mode, sent.getpixel((319, 319))) == ("RGB", (0, 0, 200))
    solid = blank(320, 320, (0, 0, 200, 255), "RGBA")
    assert refusal(model, Task.INPAINT, image=solid).parameter == "mask"


@every_pair
def test_transparent_pictures_are_flattened_where_the_model_refuses_them(model: str, task: Task) -> None:
    """Nova Canvas takes an alpha channel only when it hides nothing; the change is said, and refused when strict."""
    fields = MINIMAL[task][0] | {"image": HOLED}
    call = one(model, task, **fields)
    params = next(value for value in call.body.values() if isinstance(value, dict) and set(value) & set(IMAGE_KEYS))
    sent = next(params[key] for key in IMAGE_KEYS if key in params)
    sent = sent[0] if isinstance(sent, list) else sent
    if model == CANVAS:
        assert pixels(sent).mode == "RGB"
        assert ("adapted", "image") in warned(call)
        assert refusal(model, task, strict=True, **fields).parameter == "image"
    else:
        assert sent == HOLED.b64
        assert call.warnings == ()
    solid = blank(320, 320, (1, 2, 3, 255), "RGBA")
    assert one(model, task, **(fields | {"image": solid}), strict=True).warnings == ()


IMAGE_KEYS = ("image", "images", "conditionImage", "sourceImage", "referenceImage")
NEEDS_PICTURE = [(model, task) for model, task in PAIRS if task is not Task.COLOR_GUIDED]


@pytest.mark.parametrize(("model", "task"), NEEDS_PICTURE)
def test_a_picture_is_needed(model: str, task: Task) -> None:
    """Without one the request is refused; one among the native fields will do."""
    fields, body = MINIMAL[task]
    bare = {key: value for key, value in fields.items() if key != "image"}
    error = refusal(model, task, **bare)
    assert (error.parameter, "needs a picture" in str(error)) == ("image", True)
    native = {key: value for key, value in body.items() if key != "taskType"}
    call = one(model, task, **bare, native=native)
    assert {key: call.body[key] for key in body} == body


@pytest.mark.parametrize(("model", "task"), NEEDS_PICTURE)
def test_input_pictures_have_limits(model: str, task: Task) -> None:
    """Format, sides, pixels and ratio are checked at and just beyond every documented limit, before any call."""
    fields = MINIMAL[task][0]
    wide = model in TITANS and task in (Task.VARIATION, Task.IMAGE_TO_IMAGE)
    longest = 4096 if wide or model == CANVAS else 1408
    error = refusal(model, task, **(fields | {"image": saved("webp")}))
    assert (error.parameter, error.nearest) == ("image", "png")
    assert "jpeg or png" in str(error)
    assert one(model, task, **(fields | {"image": saved("jpeg")})).warnings == ()
    inside = [(longest, 1024), (1024, longest)]
    beyond = [(longest + 1, 1024), (1024, longest + 1)]
    if model == CANVAS:
        inside += [(320, 320), (320, 1280), (2048, 2048)]
        beyond += [(319, 320), (320, 319), (320, 1281), (1281, 320), (2049, 2048), (4096, 1025)]
    for size in inside:
        call = one(model, task, **(fields | {"image": shaped(size)}))
        if task not in SIZED:
            assert (call.width, call.height) == size
    for size in beyond:
        error = refusal(model, task, **(fields | {"image": shaped(size)}))
        assert error.parameter == "image"
        assert error.allowed is not None
        assert error.nearest is not None
        near = tuple(int(side) for side in error.nearest.split("x"))
        assert one(model, task, **(fields | {"image": shaped((near[0], near[1]))})).images == 1


def shaped(size: tuple[int, int]) -> Picture:
    """A picture of this size in few bytes."""
    file = io.BytesIO()
    Pillow.new("1", size).save(file, "PNG")
    return read_picture(file.getvalue())


@pytest.mark.parametrize("extra", [0, 1])
def test_titan_takes_files_of_five_mebibytes(extra: int) -> None:
    """One byte more is refused, with the limit; Nova Canvas documents none."""
    limit = 5_242_880
    raw = IMAGE.bytes + b"\0" * (limit + extra - len(IMAGE.bytes))
    picture = Picture(b64=base64.b64encode(raw).decode(), format="png", width=320, height=320)
    assert one(CANVAS, Task.VARIATION, image=picture).images == 1
    if extra:
        assert str(limit) in str(refusal(V2, Task.VARIATION, image=picture).allowed)
    else:
        assert one(V2, Task.VARIATION, image=picture).images == 1
