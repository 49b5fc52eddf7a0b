"""What Amazon's edit tasks accept, adapt, leave out with a warning, and answer."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.bedrock.families.amazon import Amazon
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import ContentFiltered, InvalidRequest
from lascaux.providers.fake import PICTURE
from lascaux.providers.options import OPTIONS
from lascaux.providers.pictures import encode_png, read_picture
from lascaux.providers.types import Call, ImageRequest, ImageResult, Picture, Task
from PIL import Image as Pillow

V1 = "amazon.titan-image-generator-v1"
V2 = "amazon.titan-image-generator-v2:0"
CANVAS = "amazon.nova-canvas-v1:0"
EVERY = [V1, V2, CANVAS]
NEWER = [V2, CANVAS]
BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (200, 0, 0)


def blank(width: int = 320, height: int = 320, color: Any = RED, mode: str = "RGB") -> Picture:
    return encode_png(Pillow.new(mode, (width, height), color))


IMAGE = blank()
HOLED = blank(320, 320, (0, 0, 200, 0), "RGBA")
MASK = encode_png(Pillow.linear_gradient("L").resize((320, 320)).convert("RGB"))
OPTION_MINIMUM: dict[Task, dict[str, Any]] = {
    Task.INPAINT: {"mask_prompt": "the window"},
    Task.ERASE: {"mask_prompt": "the window"},
    Task.OUTPAINT: {"mask_prompt": "the car"},
    Task.COLOR_GUIDED: {"colors": ["#112233"]},
    Task.VIRTUAL_TRY_ON: {"garment_class": "SHOES"},
}
TEXTLESS = (Task.ERASE, Task.REMOVE_BACKGROUND, Task.VIRTUAL_TRY_ON)


def model_of(name: str) -> Model:
    found = Catalog.load().find(name)
    assert found is not None
    return found


def family_of(name: str) -> Amazon:
    family = family_for(model_of(name))
    assert isinstance(family, Amazon)
    return family


PAIRS = [(model, task) for model in EVERY for task in model_of(model).able if task is not Task.TEXT_TO_IMAGE]
every_pair = pytest.mark.parametrize(("model", "task"), PAIRS)


def asked(task: Task, **fields: Any) -> ImageRequest:
    """A request with all that the task needs, and ``fields`` on top; options are joined."""
    options = OPTION_MINIMUM.get(task, {}) | fields.pop("options", {})
    least: dict[str, Any] = {"prompt": "" if task in TEXTLESS else "a", "image": IMAGE}
    if task is Task.VIRTUAL_TRY_ON:
        least["references"] = (IMAGE,)
    return ImageRequest(task=task, **{**least, "options": options, **fields})


def prepare(model: str, task: Task, **fields: Any) -> tuple[Call, ...]:
    return family_of(model).prepare(asked(task, **fields), model_of(model))


def one(model: str, task: Task, **fields: Any) -> Call:
    (call,) = prepare(model, task, **fields)
    return call


def refusal(model: str, task: Task, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, task, **fields)
    return caught.value


def params(call: Call) -> dict[str, Any]:
    (found,) = (value for key, value in call.body.items() if key.endswith("Params"))
    assert isinstance(found, dict)
    return found


def warned(call: Call) -> list[tuple[str, str | None]]:
    return sorted((warning.code, warning.parameter) for warning in call.warnings)


def pixels(b64: str) -> Any:
    return Pillow.open(io.BytesIO(read_picture(b64).bytes))


def parse(call: Call, payload: dict[str, Any]) -> ImageResult:
    return family_of(call.model).parse(call, payload, request_id="r-1")


@pytest.mark.parametrize("model", EVERY)
def test_sides_are_added_on_a_larger_canvas(model: str) -> None:
    """Amazon's models extend no sides: they are sent a canvas, and a mask that is white where it is new."""
    options = {"mask_prompt": None, "left": 32, "right": 64, "up": 0, "down": 16}
    call = one(model, Task.OUTPAINT, options=options)
    sent = params(call)
    canvas, mask = pixels(sent["image"]), pixels(sent["maskImage"])
    assert canvas.size == mask.size == (call.width, call.height) == (416, 336)
    assert set(sent) == {"image", "maskImage", "text"}
    box = (32, 0, 352, 320)
    assert {color for _, color in canvas.crop(box).getcolors()} == {RED}
    assert {color for _, color in mask.crop(box).getcolors()} == {BLACK}
    mask.paste(WHITE, box)
    assert {color for _, color in mask.getcolors()} == {WHITE}
    assert warned(call) == [("adapted", "down"), ("adapted", "left"), ("adapted", "right")]
    assert refusal(model, Task.OUTPAINT, options=options, strict=True).parameter == "left"


@pytest.mark.parametrize(("model", "longest"), [(V1, 1408), (V2, 1408), (CANVAS, 1280)])
def test_the_larger_canvas_has_limits(model: str, longest: int) -> None:
    """Up to the longest input side (or ratio) it is sent; one pixel more is refused before a canvas is made."""
    added = longest - 320
    assert one(model, Task.OUTPAINT, options={"mask_prompt": None, "right": added}).width == longest
    error = refusal(model, Task.OUTPAINT, options={"mask_prompt": None, "right": added + 1})
    assert (error.parameter, error.nearest is not None) == ("right", True)
    assert refusal(model, Task.OUTPAINT, options={"mask_prompt": None, "up": 65_535}).parameter == "up"
    small = encode_png(Pillow.new("RGB", (100, 100)))
    options = {"mask_prompt": None, "left": 110, "right": 110, "up": 110, "down": 110}
    assert one(model, Task.OUTPAINT, image=small, options=options).width == 320


@pytest.mark.parametrize("model", EVERY)
def test_sides_are_whole_numbers_and_exclude_a_mask(model: str) -> None:
    """Each bad value is named; sides together with a mask or words for it are two answers to one question."""
    for value in (-1, 65_536, 1.5, "8", True):
        assert refusal(model, Task.OUTPAINT, options={"mask_prompt": None, "up": value}).parameter == "up"
    assert "no side" in str(refusal(model, Task.OUTPAINT, options={"mask_prompt": None, "up": 0, "left": 0}))
    assert refusal(model, Task.OUTPAINT, options={"up": 8}).parameter == "up"
    both = {"mask_prompt": None, "up": 8}
    assert refusal(model, Task.OUTPAINT, mask=MASK, mask_mode="white", options=both).parameter == "up"
    native = {"outPaintingParams": {"image": PICTURE}}
    assert refusal(model, Task.OUTPAINT, image=None, native=native, options=both).parameter == "up"
    assert warned(one(model, Task.INPAINT, options={"left": 8})) == [("ignored", "left")]


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("task", [Task.VARIATION, Task.IMAGE_TO_IMAGE])
def test_strength_is_the_opposite_of_similarity(model: str, task: Task) -> None:
    """It is turned round and kept within 0.2 to 1, always with a warning; strict and both at once are refused."""
    for strength, similarity in ((0, 1.0), (0.3, 0.7), (0.8, 0.2), (0.9, 0.2), (1, 0.2)):
        call = one(model, task, options={"strength": strength})
        assert params(call)["similarityStrength"] == similarity
        assert warned(call) == [("adapted", "strength")]
    for value in (-0.1, 1.1, float("nan"), "1", True):
        assert refusal(model, task, options={"strength": value}).parameter == "strength"
    assert refusal(model, task, options={"strength": 0.5}, strict=True).parameter == "strength"
    assert refusal(model, task, options={"strength": 0.5, "similarity": 0.5}).parameter == "strength"
    for value in (0.2, 1):
        assert params(one(model, task, options={"similarity": value}))["similarityStrength"] == value
    for value, nearest in ((0.19, "0.2"), (1.01, "1")):
        error = refusal(model, task, options={"similarity": value})
        assert (error.parameter, error.allowed, error.nearest) == ("similarity", "a number from 0.2 to 1", nearest)


@pytest.mark.parametrize("model", NEWER)
def test_colors_are_one_to_ten_hexadecimals(model: str) -> None:
    """The error says what is allowed and, where it can be guessed, what was meant."""
    assert params(one(model, Task.COLOR_GUIDED, image=None, options={"colors": ["#abcdef"] * 10}))["colors"]
    cases: list[tuple[Any, str | None]] = [
        ([], None),
        (["#112233"] * 11, None),
        ("#112233", None),
        ([7], None),
        (["red"], None),
        (["#1234567"], None),
        (["#fa0"], "#ffaa00"),
        (["112233"], "#112233"),
        ([" #112233"], "#112233"),
        (["#112233\n"], "#112233"),
        (None, None),
    ]
    for colors, nearest in cases:
        error = refusal(model, Task.COLOR_GUIDED, options={"colors": colors})
        assert (error.parameter, error.allowed) == ("colors", "1 to 10 colours as #RRGGBB")
        assert error.nearest == nearest


@pytest.mark.parametrize("model", NEWER)
def test_control_has_limits(model: str) -> None:
    """Strength from 0 to 1, two modes."""
    for inside in (0, 1):
        sent = params(one(model, Task.CONTROL_STRUCTURE, options={"control_strength": inside}))
        assert sent["controlStrength"] == inside
    for beyond in (-0.01, 1.01):
        error = refusal(model, Task.CONTROL_STRUCTURE, options={"control_strength": beyond})
        assert (error.parameter, error.allowed) == ("control_strength", "a number from 0 to 1")
    error = refusal(model, Task.CONTROL_STRUCTURE, options={"control_mode": "canny"})
    assert (error.parameter, error.nearest) == ("control_mode", "CANNY_EDGE")
    error = refusal(model, Task.OUTPAINT, options={"outpaint_mode": "exact"})
    assert (error.parameter, error.allowed) == ("outpaint_mode", "DEFAULT, PRECISE")


@pytest.mark.parametrize("model", NEWER)
def test_remove_background_takes_a_picture_and_nothing_else(model: str) -> None:
    """There is no config at all: whatever would stand in it is left out with a warning, or refused when strict."""
    given: dict[str, Any] = {
        "n": 3,
        "seed": 7,
        "quality": "premium",
        "cfg_scale": 5,
        "prompt": "a",
        "negative_prompt": "b",
    }
    call = one(model, Task.REMOVE_BACKGROUND, **given)
    assert set(call.body) == {"taskType", "backgroundRemovalParams"}
    assert set(params(call)) == {"image"}
    assert (call.images, call.seed, call.effective_seed, call.reproducible) == (1, None, None, True)
    assert warned(call) == sorted(("ignored", name) for name in given)
    for name, value in given.items():
        assert refusal(model, Task.REMOVE_BACKGROUND, strict=True, **{name: value}).parameter == name
    native = {"imageGenerationConfig": {"seed": 7}}
    error = refusal(model, Task.REMOVE_BACKGROUND, native=native)
    assert (error.parameter, error.allowed) == ("imageGenerationConfig", "taskType, backgroundRemovalParams")
    assert one(model, Task.REMOVE_BACKGROUND, background="transparent", strict=True).warnings == ()
    assert warned(one(model, Task.REMOVE_BACKGROUND, background="opaque")) == [("ignored", "background")]


@every_pair
def test_a_size_that_the_input_decides_is_not_asked_for(model: str, task: Task) -> None:
    """The input's own size is what comes out, so it may be named; another is left out with a warning."""
    decided = model_of(model).able[task].sizes.kind == "from_input"
    call = one(model, task, size=(1024, 1024))
    assert warned(call) == ([("ignored", "size")] if decided else [])
    assert (call.width, call.height) == ((320, 320) if decided else (1024, 1024))
    assert ("width" in call.body.get("imageGenerationConfig", {})) is not decided
    if decided:
        assert one(model, task, size=(320, 320), aspect_ratio="1:1", strict=True).warnings == ()
        assert warned(one(model, task, aspect_ratio="16:9")) == [("ignored", "aspect_ratio")]
        error = refusal(model, task, size=(1024, 1024), strict=True)
        assert (error.parameter, error.nearest) == ("size", "320x320")


@every_pair
def test_prompts_have_the_length_of_the_model(model: str, task: Task) -> None:
    """At the limit they pass, one character more is refused; where there is no text they are left out with a warning."""
    limit = model_of(model).prompt_max or 0
    fields = model_of(model).able[task].fields
    call = one(model, task, prompt="x" * limit, negative_prompt="y" * limit)
    assert ("text" in params(call)) is (task not in TEXTLESS)
    assert ("negativeText" in params(call)) is ("negativeText" in fields)
    names = {
        name for name, wire in (("prompt", "text"), ("negative_prompt", "negativeText")) if wire not in params(call)
    }
    assert warned(call) == sorted(("ignored", name) for name in names)
    for name in ("prompt", "negative_prompt"):
        error = refusal(model, task, **{name: "x" * (limit + 1)})
        assert (error.parameter, error.allowed) == (name, f"at most {limit} characters")
    if fields.get("text") and fields["text"].required and task is not Task.ERASE:
        assert refusal(model, task, prompt=" ").parameter == "prompt"
    else:
        assert "text" not in params(one(model, task, prompt="", strict=True))


@every_pair
def test_pictures_per_call_and_seeds_are_those_of_the_model(model: str, task: Task) -> None:
    """Up to five per call, counting on; the largest seed passes and the next is refused."""
    if task is Task.REMOVE_BACKGROUND:
        assert len(prepare(model, task, n=10)) == 1
        return
    calls = prepare(model, task, n=10, seed=30, strict=True)
    assert [(call.images, call.seed) for call in calls] == [(5, 30), (5, 35)]
    assert [call.body["imageGenerationConfig"]["numberOfImages"] for call in calls] == [5, 5]
    assert one(model, task, seed=2_147_483_646).seed == 2_147_483_646
    assert refusal(model, task, seed=2_147_483_647).nearest == "2147483646"


@every_pair
def test_native_fields_join_those_of_the_task(model: str, task: Task) -> None:
    """They are merged at their place and win with a warning; the name of another task is refused."""
    facts = model_of(model).able[task]
    key = facts.params_key or ""
    call = one(model, task, native={"taskType": facts.wire, key: {"brand_new": [1]}}, strict=True)
    assert params(call)["brand_new"] == [1]
    first = next(
        iter(name for name in ("image", "images", "sourceImage", "conditionImage", "colors") if name in params(call))
    )
    other = {"images": [PICTURE], "colors": ["#FFFFFF"]}.get(first, PICTURE)
    call = one(model, task, native={key: {first: other}})
    assert params(call)[first] == other
    assert warned(call) == [("adapted", "colors" if first == "colors" else "image")]
    if facts.sizes.kind == "from_input":
        assert (call.width, call.height) == (8, 8)
    assert refusal(model, task, native={"taskType": "VIDEO"}).nearest == facts.wire
    assert refusal(model, task, native={key: "x"}).parameter == "native"


@pytest.mark.parametrize("model", EVERY)
def test_text_to_image_has_no_use_for_pictures(model: str) -> None:
    """They are left out with a warning each, and so are options of other tasks."""
    fields: dict[str, Any] = {"image": IMAGE, "references": (IMAGE,), "mask": MASK, "options": {"colors": ["#112233"]}}
    call = one(model, Task.TEXT_TO_IMAGE, **fields)
    assert set(params(call)) == {"text"}
    assert warned(call) == sorted(("ignored", name) for name in ("image", "references", "mask", "colors"))
    error = refusal(model, Task.TEXT_TO_IMAGE, image=None, options={"colours": ["#112233"]})
    assert (error.parameter, error.nearest) == ("colours", "colors")


@pytest.mark.parametrize(("model", "task"), [(V1, Task.INPAINT), (V2, Task.OUTPAINT), (CANVAS, Task.VIRTUAL_TRY_ON)])
def test_a_returned_mask_stands_beside_the_pictures(model: str, task: Task) -> None:
    """It is read like a picture; one that was asked for and did not come is said."""
    call = one(model, task, options={"return_mask": True})
    assert params(call)["returnMask"] is True
    found = parse(call, {"images": [PICTURE], "maskImage": PICTURE})
    assert found.mask is not None
    assert (found.mask.b64, found.mask.width, found.warnings) == (PICTURE, 8, ())
    for junk in ({}, {"maskImage": None}, {"maskImage": "x"}, {"maskImage": 7}):
        found = parse(call, {"images": [PICTURE], **junk})
        assert found.mask is None
        assert [(one.code, one.parameter) for one in found.warnings] == [("ignored", "return_mask")]
    plain = one(model, task)
    assert parse(plain, {"images": [PICTURE]}).warnings == ()
    for value in ("yes", 1):
        assert refusal(model, task, options={"return_mask": value}).parameter == "return_mask"


def test_nova_canvas_returns_masks_of_virtual_try_on_only() -> None:
    """Elsewhere the option is left out with a warning."""
    for task in (Task.INPAINT, Task.OUTPAINT, Task.ERASE):
        assert warned(one(CANVAS, task, options={"return_mask": True})) == [("ignored", "return_mask")]


@every_pair
def test_answers_of_edits_are_read_like_others(model: str, task: Task) -> None:
    """Pictures, blocked pictures, and the seed that the model used."""
    call = one(model, task, **({} if task is Task.REMOVE_BACKGROUND else {"n": 2, "seed": 5}))
    found = parse(call, {"images": [PICTURE] * call.images})
    assert [image.seed for image in found.images] == ([None] if task is Task.REMOVE_BACKGROUND else [5, 5])
    assert (found.missing, found.warnings, found.mask) == ((), (), None)
    with pytest.raises(ContentFiltered):
        parse(call, {"images": [], "error": "All of the images have been blocked by our content filters."})


_WORDS: dict[str, list[Any]] = {
    "mask_prompt": ["the window"],
    "control_mode": ["canny_edge", "segmentation"],
    "outpaint_mode": ["default", "precise"],
    "garment_class": ["upper body", "SHOES"],
    "mask_shape": ["contour", "bounding_box"],
    "long_sleeve_style": ["sleeve_up"],
    "tucking_style": ["tucked"],
    "outer_layer_style": ["open"],
    "preserve_face": ["on"],
    "preserve_hands": ["off"],
    "preserve_body_pose": ["default"],
    "merge_style": ["seamless"],
    "return_mask": [True, False],
    "colors": [["#112233"], ["#112233", "#ffaa00"]],
    "left": [0, 16],
    "right": [0, 32],
    "up": [64],
    "down": [8],
}
_JUNK: st.SearchStrategy[Any] = st.sampled_from(["", "x", -2, 2.5, 70_000, True, ["red"], None])
_OPTION = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.sampled_from(_WORDS[name]) if name in _WORDS else st.sampled_from([0.2, 0.5, 1])
    )
)
_OPTIONS = st.lists(_OPTION | st.tuples(st.sampled_from(sorted(OPTIONS)), _JUNK), max_size=3) | st.lists(
    _OPTION, max_size=3
)
_PICTURES = st.sampled_from([IMAGE, IMAGE, blank(400, 320), blank(8, 8), HOLED])
REQUESTS = st.fixed_dictionaries(
    {"strict": st.sampled_from([False, False, True]), "options": _OPTIONS.map(dict)},
    optional={
        "prompt": st.text(max_size=5),
        "negative_prompt": st.text(min_size=1, max_size=5),
        "image": _PICTURES,
        "references": st.lists(_PICTURES, max_size=5).map(tuple),
        "mask": st.just(MASK),
        "mask_mode": st.sampled_from(["alpha", "white", "black", "grey"]),
        "size": st.sampled_from([(1024, 1024), (320, 320), (10, 10)]),
        "aspect_ratio": st.sampled_from(["1:1", "16:9"]),
        "n": st.integers(1, 7),
        "seed": st.integers(0, 9),
        "quality": st.sampled_from(["standard", "premium"]),
        "style": st.sampled_from(["vivid", "photorealism"]),
        "cfg_scale": st.floats(1.1, 11),
        "steps": st.just(30),
        "output_format": st.sampled_from(["png", "webp"]),
        "background": st.sampled_from(["auto", "opaque", "transparent"]),
    },
)
_PLACES = {
    "prompt": "text",
    "negative_prompt": "negativeText",
    "size": "width",
    "aspect_ratio": "width",
    "n": "numberOfImages",
    "cfg_scale": "cfgScale",
    "similarity": "similarityStrength",
    "strength": "similarityStrength",
    "mask": "maskImage",
    "mask_mode": "maskImage",
    "outpaint_mode": "outPaintingMode",
}
_SENT_AS: dict[str, set[str]] = {
    "image": {"image", "images", "sourceImage", "conditionImage", "referenceImage"},
    "references": {"images", "referenceImage"},
    **{side: {"maskImage"} for side in ("left", "right", "up", "down")},
}
_BY_NATURE = {"quality": "standard", "output_format": "png", "n": 1, "background": "auto", "mask_mode": "alpha"}


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def every_key(value: Any) -> set[str]:
    return set(value).union(*map(every_key, value.values())) if isinstance(value, dict) else set()


def fulfilled(call: Call, name: str, value: Any) -> bool:
    """True for what the task does anyway, or what asks for nothing."""
    if value in (None, (), "") or value == _BY_NATURE.get(name, ...) or (name == "prompt" and not value.strip()):
        return True
    if name == "output_format":
        return call.delivery is not None and call.delivery.format == value
    if name == "background":
        return (value == "transparent") is (call.task is Task.REMOVE_BACKGROUND)
    if name in ("size", "aspect_ratio") and call.width and call.height:
        return value in ((call.width, call.height), "1:1") and (name == "size" or call.width == call.height)
    return name in ("left", "right", "up", "down") and value == 0


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.sampled_from(PAIRS), REQUESTS)
def test_nothing_is_dropped_silently(pair: tuple[str, Task], fields: dict[str, Any]) -> None:
    """Whatever is asked of any task, each parameter stands in the body, in a warning, or in an InvalidRequest."""
    model, task = pair
    request = asked(task, **fields)
    calls: tuple[Call, ...] = ()
    refused = None
    try:
        calls = family_of(model).prepare(request, model_of(model))
    except InvalidRequest as error:
        refused = error
    if refused is not None:
        assert refused.parameter in {*OPTIONS, "mask", "mask_mode", "image", "references", *fields}
        assert refused.parameter in str(refused)
        return
    body = calls[0].body
    orjson.dumps(body)
    names = {warning.parameter for warning in calls[0].warnings}
    keys = every_key(body)
    given = {name: value for name, value in fields.items() if name not in ("options", "strict")}
    for name, value in (given | dict(request.options)).items():
        if name == "mask_mode" and "mask" in names:
            continue  # how to read a mask that is of no use is told with the mask
        if name in names or fulfilled(calls[0], name, value) or (name == "n" and len(calls) > 1):
            continue
        assert keys & (_SENT_AS.get(name) or {_PLACES.get(name, camel(name))}), (name, value, body)
    assert not request.strict or names <= {"seed"}
