from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any, NamedTuple

import orjson
import pybase64
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.catalog import Catalog
from lascaux.providers.errors import BadResponse, ContentFiltered, InvalidRequest, Unavailable
from lascaux.providers.fake import PICTURE
from lascaux.providers.options import OPTIONS
from lascaux.providers.types import Call, ImageRequest, ImageResult, Picture, Task
from PIL import Image as Pillow

SERVICES = {
    task: model for model in Catalog.load().models() if model.family == "stability_service" for task in model.tasks
}
every_service = pytest.mark.parametrize("task", list(SERVICES))
STYLES = "3d-model, analog-film, anime, "


def drawn(width: int, height: int, *, format: str = "png", alpha: bool = False) -> Picture:
    """A picture of which only the header exists: families look no further."""
    head = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 6 if alpha else 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    text = pybase64.b64encode(file).decode()
    return Picture(b64=text, format=format, width=width, height=height, alpha=alpha)


def painted(width: int, height: int, mode: str, *spots: tuple[int, int, Any], ground: Any = 0) -> Picture:
    """A real PNG of one colour with single pixels of others."""
    canvas = Pillow.new(mode, (width, height), ground)
    for x, y, colour in spots:
        canvas.putpixel((x, y), colour)
    file = BytesIO()
    canvas.save(file, "PNG")
    text = pybase64.b64encode(file.getvalue()).decode()
    return Picture(b64=text, format="png", width=width, height=height, alpha=mode.endswith("A"))


def grey(b64: str) -> Pillow.Image:
    return Pillow.open(BytesIO(pybase64.b64decode(b64))).convert("L")


IMAGE = drawn(1000, 800)
CLEAR = drawn(1000, 800, alpha=True)
STYLE = drawn(512, 512)
MASK = painted(4, 2, "L", (1, 0, 255), (2, 0, 128))


def prepare(task: Task | str, **fields: Any) -> tuple[Call, ...]:
    model = SERVICES[Task(task)]
    return family_for(model).prepare(ImageRequest(**{"prompt": "", "task": Task(task), **fields}), model)


def refusal(task: Task | str, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(task, **fields)
    error = caught.value
    assert error.parameter is not None
    assert error.parameter in str(error)
    return error


def warned(call: Call) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.parameter) for warning in call.warnings]


class Example(NamedTuple):
    """A request in our words, and the body that WIRE.md, section 8, has for it."""

    asked: dict[str, Any]
    body: dict[str, Any]


B = IMAGE.b64
LEAST: dict[str, Example] = {
    "inpaint": Example({"image": CLEAR, "prompt": "a fountain"}, {"image": CLEAR.b64, "prompt": "a fountain"}),
    "outpaint": Example({"image": IMAGE, "options": {"left": 256}}, {"image": B, "left": 256}),
    "erase": Example({"image": CLEAR}, {"image": CLEAR.b64}),
    "remove_background": Example({"image": IMAGE}, {"image": B}),
    "search_replace": Example(
        {"image": IMAGE, "prompt": "straw hat", "options": {"search_prompt": "cap"}},
        {"image": B, "prompt": "straw hat", "search_prompt": "cap"},
    ),
    "search_recolor": Example(
        {"image": IMAGE, "prompt": "blue cap", "options": {"select_prompt": "cap"}},
        {"image": B, "prompt": "blue cap", "select_prompt": "cap"},
    ),
    "control_sketch": Example({"image": IMAGE, "prompt": "stone house"}, {"image": B, "prompt": "stone house"}),
    "control_structure": Example({"image": IMAGE, "prompt": "stone house"}, {"image": B, "prompt": "stone house"}),
    "style_guide": Example({"image": IMAGE, "prompt": "city by night"}, {"image": B, "prompt": "city by night"}),
    "style_transfer": Example({"image": IMAGE, "references": (STYLE,)}, {"init_image": B, "style_image": STYLE.b64}),
    "upscale_creative": Example({"image": IMAGE, "prompt": "sharp portrait"}, {"image": B, "prompt": "sharp portrait"}),
    "upscale_conservative": Example(
        {"image": IMAGE, "prompt": "sharp portrait"}, {"image": B, "prompt": "sharp portrait"}
    ),
    "upscale_fast": Example({"image": IMAGE}, {"image": B}),
}
SEARCH = Example(
    {"options": {"grow_mask": 3}, "negative_prompt": "logo", "seed": 9, "style": "enhance", "output_format": "png"},
    {"grow_mask": 3, "negative_prompt": "logo", "seed": 9, "style_preset": "enhance", "output_format": "png"},
)
CONTROL = Example(
    {
        "options": {"control_strength": 0.7},
        "negative_prompt": "cars",
        "seed": 9,
        "style": "line-art",
        "output_format": "png",
    },
    {"control_strength": 0.7, "negative_prompt": "cars", "seed": 9, "style_preset": "line-art", "output_format": "png"},
)
FULL: dict[str, Example] = {
    "inpaint": Example(
        {
            "negative_prompt": "people",
            "options": {"grow_mask": 5},
            "seed": 9,
            "style": "photographic",
            "output_format": "webp",
        },
        {
            "negative_prompt": "people",
            "grow_mask": 5,
            "seed": 9,
            "style_preset": "photographic",
            "output_format": "webp",
        },
    ),
    "outpaint": Example(
        {
            "options": {"left": 256, "right": 256, "up": 0, "down": 128, "creativity": 0.5},
            "prompt": "sea",
            "seed": 9,
            "style": "cinematic",
            "output_format": "png",
        },
        {
            "left": 256,
            "right": 256,
            "up": 0,
            "down": 128,
            "prompt": "sea",
            "creativity": 0.5,
            "seed": 9,
            "style_preset": "cinematic",
            "output_format": "png",
        },
    ),
    "erase": Example(
        {"options": {"grow_mask": 10}, "seed": 9, "output_format": "jpeg"},
        {"grow_mask": 10, "seed": 9, "output_format": "jpeg"},
    ),
    "remove_background": Example({"output_format": "webp"}, {"output_format": "webp"}),
    "search_replace": SEARCH,
    "search_recolor": SEARCH,
    "control_sketch": CONTROL,
    "control_structure": CONTROL,
    "style_guide": Example(
        {
            "aspect_ratio": "3:2",
            "options": {"fidelity": 0.5},
            "negative_prompt": "text",
            "seed": 9,
            "style": "neon-punk",
            "output_format": "png",
        },
        {
            "aspect_ratio": "3:2",
            "fidelity": 0.5,
            "negative_prompt": "text",
            "seed": 9,
            "style_preset": "neon-punk",
            "output_format": "png",
        },
    ),
    "style_transfer": Example(
        {
            "prompt": "statue",
            "negative_prompt": "text",
            "options": {"composition_fidelity": 0.9, "style_strength": 1, "change_strength": 0.9},
            "seed": 9,
            "output_format": "png",
        },
        {
            "prompt": "statue",
            "negative_prompt": "text",
            "composition_fidelity": 0.9,
            "style_strength": 1,
            "change_strength": 0.9,
            "seed": 9,
            "output_format": "png",
        },
    ),
    "upscale_creative": Example(
        {
            "options": {"creativity": 0.3},
            "negative_prompt": "noise",
            "seed": 9,
            "style": "photographic",
            "output_format": "png",
        },
        {
            "creativity": 0.3,
            "negative_prompt": "noise",
            "seed": 9,
            "style_preset": "photographic",
            "output_format": "png",
        },
    ),
    "upscale_conservative": Example(
        {"options": {"creativity": 0.35}, "negative_prompt": "noise", "seed": 9, "output_format": "png"},
        {"creativity": 0.35, "negative_prompt": "noise", "seed": 9, "output_format": "png"},
    ),
    "upscale_fast": Example({"output_format": "png"}, {"output_format": "png"}),
}
"""What each adds to its least."""

PRICED = {
    "outpaint": (1000 + 256, 800),
    "upscale_fast": (4000, 3200),
    "style_guide": (None, None),
    "upscale_creative": (None, None),
    "upscale_conservative": (None, None),
}


def test_there_are_thirteen_services() -> None:
    """One task each, and an example for every one."""
    assert len(SERVICES) == 13
    assert set(SERVICES) == set(LEAST) == set(FULL)


@every_service
def test_the_least_that_a_service_needs(task: Task) -> None:
    """The smallest body of the documentation, and the size of what comes out where it is known."""
    example = LEAST[task]
    (call,) = prepare(task, **example.asked)
    assert call.body == example.body
    assert (call.model, call.family, call.task) == (SERVICES[task].id, "stability_service", task)
    assert (call.warnings, call.headers, call.images) == ((), {}, 1)
    assert (call.seed, call.effective_seed, call.reproducible) == (None, None, task is Task.REMOVE_BACKGROUND)
    assert (call.width, call.height) == PRICED.get(task, (1000, 800))
    assert prepare(task, **example.asked, strict=True) == (call,)


@every_service
def test_everything_that_a_service_takes(task: Task) -> None:
    """The full body of the documentation comes out of our own words, even when strict."""
    least, more = LEAST[task], FULL[task]
    options = {**least.asked.get("options", {}), **more.asked.get("options", {})}
    (call,) = prepare(task, **{**least.asked, **more.asked, "options": options, "strict": True})
    assert call.body == {**least.body, **more.body}
    if SERVICES[task].seed is not None:
        assert (call.seed, call.effective_seed, call.reproducible) == (9, 9, True)


@every_service
def test_no_field_is_forgotten(task: Task) -> None:
    """The full bodies and the mask are all the fields that the catalogue knows."""
    fields = set(SERVICES[task].tasks[task].fields)
    assert set(LEAST[task].body) | set(FULL[task].body) | ({"mask"} & fields) == fields


@every_service
def test_what_a_service_needs_is_asked_for(task: Task) -> None:
    """Without a picture, a prompt, or words to search for, nothing is sent."""
    asked = LEAST[task].asked
    names = [name for name in asked if name != "options"] + list(asked.get("options", ()))
    for name in names:
        less = {**asked, "options": {k: v for k, v in asked.get("options", {}).items() if k != name}}
        less.pop(name, None)
        assert refusal(task, **less).parameter == name
    if "prompt" in names:
        assert refusal(task, **{**asked, "prompt": " \n"}).parameter == "prompt"


@pytest.mark.parametrize("task", ["search_replace", "search_recolor"])
@pytest.mark.parametrize("value", ["", "  ", 7, ["cap"], "\ud800", "x" * 10_001])
def test_words_to_search_for_are_a_text(task: str, value: Any) -> None:
    """Neither empty nor longer than 10000 characters."""
    name = "search_prompt" if task == "search_replace" else "select_prompt"
    fields = {"image": IMAGE, "prompt": "blue cap"}
    assert refusal(task, **fields, options={name: value}).parameter == name
    assert prepare(task, **fields, options={name: "x" * 10_000})[0].body[name] == "x" * 10_000


@pytest.mark.parametrize("task", ["erase", "remove_background", "upscale_fast"])
def test_a_prompt_that_nobody_reads_is_left_out(task: str) -> None:
    """With a warning, or refused when strict; no prompt, or an empty one, is nothing to speak of."""
    asked = LEAST[task].asked
    (call,) = prepare(task, **asked, prompt="a fountain")
    assert "prompt" not in call.body
    assert warned(call) == [("ignored", "prompt")]
    assert refusal(task, **asked, prompt="a fountain", strict=True).parameter == "prompt"


LIMITS = [
    ("inpaint", "grow_mask", 0, 20, True),
    ("erase", "grow_mask", 0, 20, True),
    ("search_replace", "grow_mask", 0, 20, True),
    ("search_recolor", "grow_mask", 0, 20, True),
    ("outpaint", "creativity", 0.1, 1, False),
    ("outpaint", "right", 0, 2000, True),
    ("outpaint", "up", 0, 2000, True),
    ("outpaint", "down", 0, 2000, True),
    ("control_sketch", "control_strength", 0, 1, False),
    ("control_structure", "control_strength", 0, 1, False),
    ("style_guide", "fidelity", 0, 1, False),
    ("style_transfer", "composition_fidelity", 0, 1, False),
    ("style_transfer", "style_strength", 0, 1, False),
    ("style_transfer", "change_strength", 0.1, 1, False),
    ("upscale_creative", "creativity", 0.1, 0.5, False),
    ("upscale_conservative", "creativity", 0.1, 0.5, False),
]


@pytest.mark.parametrize(("task", "name", "low", "high", "whole"), LIMITS)
def test_options_have_limits(task: str, name: str, low: float, high: float, whole: bool) -> None:
    """Both ends pass; a step beyond, or another type, is refused with the range and the nearest value."""
    asked = dict(LEAST[task].asked)
    options = asked.pop("options", {})
    step = 1 if whole else 0.001
    for value in (low, high):
        assert prepare(task, **asked, options={**options, name: value})[0].body[name] == value
    for value, nearest in ((low - step, low), (high + step, high)):
        error = refusal(task, **asked, options={**options, name: value})
        assert (error.parameter, error.nearest) == (name, f"{nearest:g}")
        assert error.allowed == f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}"
    for junk in ("1", True, [1], float("nan"), 10**400):
        assert refusal(task, **asked, options={**options, name: junk}).parameter == name


def test_a_side_to_extend_is_needed() -> None:
    """Any one will do; none, or zeros only, would pay for a copy."""
    for side in ("left", "right", "up", "down"):
        (call,) = prepare("outpaint", image=IMAGE, options={side: 1})
        assert call.body == {"image": B, side: 1}
        assert call.width is not None
        assert call.height is not None
        assert call.width + call.height == 1801
        assert prepare("outpaint", image=IMAGE, native={side: 1})[0].width == call.width
    for options in ({}, {"left": 0}, {"left": 0, "right": 0, "up": 0, "down": 0}):
        error = refusal("outpaint", image=IMAGE, options=options)
        assert (error.parameter, error.allowed) == ("left", "left, right, up or down of 1 to 2000 pixels")


@every_service
def test_prompts_have_a_length(task: Task) -> None:
    """10000 characters, wherever there is such a field."""
    fields = SERVICES[task].tasks[task].fields
    for name in ("prompt", "negative_prompt"):
        if name in fields:
            asked = LEAST[task].asked
            assert prepare(task, **{**asked, name: "x" * 10_000})[0].body[name] == "x" * 10_000
            error = refusal(task, **{**asked, name: "x" * 10_001})
            assert (error.parameter, error.allowed) == (name, "at most 10000 characters")


@every_service
def test_styles_are_a_list(task: Task) -> None:
    """A style that is misspelt is refused with the nearest; where there are none it is left out."""
    asked = LEAST[task].asked
    if "style_preset" in SERVICES[task].tasks[task].fields:
        assert prepare(task, **asked, style="Neon Punk")[0].body["style_preset"] == "neon-punk"
        error = refusal(task, **asked, style="photo-graphic")
        assert error.nearest == "photographic"
        assert (error.allowed or "").startswith(STYLES)
        assert warned(prepare(task, **asked, style="vivid")[0]) == [("ignored", "style")]
    else:
        assert warned(prepare(task, **asked, style="anime")[0]) == [("ignored", "style")]
        assert refusal(task, **asked, style="anime", strict=True).parameter == "style"


@every_service
def test_seeds_of_services(task: Task) -> None:
    """0 to 4294967294, 0 is random; two services have none, and say so."""
    asked = LEAST[task].asked
    if SERVICES[task].seed is None:
        (call,) = prepare(task, **asked, seed=9)
        assert "seed" not in call.body
        assert warned(call) == [("ignored", "seed")]
        assert refusal(task, **asked, seed=9, strict=True).parameter == "seed"
        return
    assert prepare(task, **asked, seed=4_294_967_294)[0].body["seed"] == 4_294_967_294
    error = refusal(task, **asked, seed=4_294_967_295)
    assert (error.parameter, error.allowed, error.nearest) == ("seed", "0 to 4294967294", "4294967294")
    assert not prepare(task, **asked, seed=0)[0].reproducible


@every_service
def test_several_pictures_are_several_calls(task: Task) -> None:
    """With seeds that count up. Without seeds they would all be the same picture: it is made once, and that is said."""
    asked = LEAST[task].asked
    if SERVICES[task].seed is None:
        error = refusal(task, **asked, n=2, strict=True)
        assert (error.parameter, error.allowed, error.nearest) == ("n", "1", "1")
        (call,) = prepare(task, **asked, n=2)
        assert warned(call) == [("ignored", "n")]
        return
    assert [call.body["seed"] for call in prepare(task, **asked, n=3, seed=30)] == [30, 31, 32]
    assert [call.body.get("seed") for call in prepare(task, **asked, n=3)] == [None] * 3
    assert [call.seed for call in prepare(task, **asked, n=2, seed=4_294_967_294)] == [4_294_967_294, 1]


@every_service
def test_formats_of_services(task: Task) -> None:
    """All three are native; what was removed can not be transparent in a jpeg, so that is refused."""
    asked = LEAST[task].asked
    for word, sent in (("png", "png"), ("webp", "webp"), ("JPG", "jpeg")):
        if task is Task.REMOVE_BACKGROUND and sent == "jpeg":
            error = refusal(task, **asked, output_format=word)
            assert (error.parameter, error.allowed, error.nearest) == ("output_format", "png, webp", "png")
        else:
            (call,) = prepare(task, **asked, output_format=word)
            assert call.body["output_format"] == call.format == sent
            assert call.warnings == ()
    assert refusal(task, **asked, output_format="gif").parameter == "output_format"


def test_a_removed_background_is_transparent() -> None:
    """That is what was asked for; opaque can not be had here, transparent can not be had elsewhere."""
    assert prepare("remove_background", image=IMAGE, background="transparent", strict=True)[0].warnings == ()
    assert warned(prepare("remove_background", image=IMAGE, background="opaque")[0]) == [("ignored", "background")]
    call = prepare("upscale_fast", image=IMAGE, background="transparent")[0]
    assert warned(call) == [("ignored", "background")]


@every_service
def test_what_services_do_not_have_is_left_out_with_a_warning(task: Task) -> None:
    """An unknown field would be answered with an error, so none of these is sent."""
    asked: dict[str, Any] = {
        "cfg_scale": 7.0,
        "steps": 30,
        "sampler": "DDIM",
        "clip_guidance_preset": "NONE",
        "quality": "premium",
        "output_compression": 50,
    }
    least = LEAST[task].asked
    (call,) = prepare(task, **least, **asked)
    assert call.body == LEAST[task].body
    assert sorted(warned(call)) == sorted(("ignored", name) for name in asked)
    for name, value in asked.items():
        assert refusal(task, **least, strict=True, **{name: value}).parameter == name


@every_service
def test_options_of_other_tasks_are_left_out_with_a_warning(task: Task) -> None:
    """Every option of the vocabulary is either a field of the service or named in a warning."""
    fields = SERVICES[task].tasks[task].fields
    least = dict(LEAST[task].asked)
    options = least.pop("options", {})
    for name in OPTIONS:
        if name not in fields:
            (call,) = prepare(task, **least, options={**options, name: 1})
            assert call.body == LEAST[task].body
            assert warned(call) == [("ignored", name)]
            assert refusal(task, **least, options={**options, name: 1}, strict=True).parameter == name


@every_service
def test_pictures_that_a_service_has_no_use_for_are_named(task: Task) -> None:
    """A mask or a reference that is not sent is not kept quiet about."""
    fields = SERVICES[task].tasks[task].fields
    least = LEAST[task].asked
    if "mask" not in fields:
        assert warned(prepare(task, **least, mask=MASK)[0]) == [("ignored", "mask")]
        assert refusal(task, **least, mask=MASK, strict=True).parameter == "mask"
    (call,) = prepare(task, **{**least, "references": (STYLE, STYLE)})
    assert call.body == LEAST[task].body
    assert warned(call) == [("ignored", "references")]
    assert refusal(task, **{**least, "references": (STYLE, STYLE)}, strict=True).parameter == "references"


def test_a_style_may_come_as_a_reference() -> None:
    """The one picture of style_guide is the style, under either name."""
    (call,) = prepare("style_guide", prompt="city by night", references=(STYLE,), strict=True)
    assert call.body == {"prompt": "city by night", "image": STYLE.b64}
    small = refusal("style_guide", prompt="city by night", references=(drawn(63, 64),))
    assert small.parameter == "references"


@pytest.mark.parametrize("task", ["inpaint", "erase"])
@pytest.mark.parametrize(
    ("mode", "mask"),
    [
        ("white", MASK),
        ("black", painted(4, 2, "L", (1, 0, 0), (2, 0, 127), ground=255)),
        ("alpha", painted(4, 2, "RGBA", (1, 0, (9, 9, 9, 0)), (2, 0, (9, 9, 9, 127)), ground=(9, 9, 9, 255))),
    ],
)
def test_a_mask_is_white_where_it_changes(task: str, mode: str, mask: Picture) -> None:
    """However the caller marks it; grey stays grey, and the size stays the mask's own, for the service resizes it."""
    (call,) = prepare(task, **{**LEAST[task].asked, "image": IMAGE}, mask=mask, mask_mode=mode)
    assert warned(call) == [("adapted", "mask")]
    assert call.body["image"] == IMAGE.b64
    sent = grey(call.body["mask"])
    assert sent.size == (4, 2)
    assert list(sent.tobytes()) == [0, 255, 128, 0, 0, 0, 0, 0]
    assert (call.width, call.height) == (1000, 800)


@pytest.mark.parametrize("task", ["inpaint", "erase"])
def test_without_a_mask_the_picture_must_be_transparent_somewhere(task: str) -> None:
    """Else nothing would change, for money. A mask among the native fields will do."""
    error = refusal(task, **{**LEAST[task].asked, "image": IMAGE})
    assert (error.parameter, error.allowed) == ("mask", "a picture of the area to change")
    (call,) = prepare(task, **{**LEAST[task].asked, "image": IMAGE}, native={"mask": MASK.b64})
    assert call.body["mask"] == MASK.b64
    (call,) = prepare(task, **LEAST[task].asked, mask=MASK, mask_mode="white")
    assert {"image", "mask"} <= call.body.keys()


USUAL = [
    ((64, 64), None),
    ((63, 64), "64x64"),
    ((160, 64), None),
    ((161, 64), "160x64"),
    ((64, 161), "64x160"),
    ((3072, 3072), None),
    ((3073, 3072), "3072x3071"),
    ((4857, 1943), None),
]
LITTLE = [((64, 64), None), ((63, 64), "64x64"), ((1024, 1024), None), ((1025, 1024), "1024x1023"), ((9000, 116), None)]
FAST = [
    ((32, 32), None),
    ((31, 32), "32x32"),
    ((1536, 682), None),
    ((1537, 600), "1536x600"),
    ((1024, 1024), None),
    ((1025, 1024), "1024x1023"),
]


@every_service
def test_pictures_have_limits(task: Task) -> None:
    """At each limit a picture passes, a pixel beyond it is refused with what is accepted and the nearest size."""
    limits = {"upscale_fast": FAST, "upscale_creative": LITTLE}.get(task, USUAL)
    for size, nearest in limits:
        fields = {**LEAST[task].asked, "image": drawn(*size, alpha=LEAST[task].asked["image"].alpha)}
        if nearest is None:
            assert prepare(task, **fields)[0].warnings == ()
        else:
            error = refusal(task, **fields)
            assert error.parameter == "image"
            assert error.nearest is not None
            width, height = map(int, error.nearest.split("x"))
            prepare(task, **{**fields, "image": drawn(width, height, alpha=fields["image"].alpha)})
            assert (error.allowed or "").startswith("jpeg or png or webp, sides of ")
    assert refusal(task, **{**LEAST[task].asked, "image": drawn(64, 64, format="gif")}).nearest == "png"


def test_both_pictures_of_a_style_transfer_have_limits() -> None:
    """The style is checked like the picture."""
    error = refusal("style_transfer", image=IMAGE, references=(drawn(64, 161),))
    assert error.parameter == "references"
    assert error.nearest == "64x160"


@every_service
def test_a_size_is_met_or_said_to_be_the_inputs(task: Task) -> None:
    """What comes out anyway may be asked for; another size is left out with a warning, or refused."""
    asked = LEAST[task].asked
    if task is Task.STYLE_GUIDE:
        assert prepare(task, **asked, size=(1024, 1024), strict=True)[0].body["aspect_ratio"] == "1:1"
        assert warned(prepare(task, **asked, aspect_ratio="4:3")[0]) == [("adapted", "aspect_ratio")]
        return
    width, height = PRICED.get(task, (1000, 800))
    if width is not None:
        call = prepare(task, **asked, size=(width, height), aspect_ratio=f"{width}:{height}", strict=True)[0]
        assert call.body == LEAST[task].body
    (call,) = prepare(task, **asked, size=(640, 480))
    assert warned(call) == [("ignored", "size")]
    assert refusal(task, **asked, size=(640, 480), strict=True).parameter == "size"
    assert warned(prepare(task, **asked, aspect_ratio="9:21")[0]) == [("ignored", "aspect_ratio")]
    assert refusal(task, **asked, size=(0, 480)).parameter == "size"


@every_service
def test_native_fields_win(task: Task) -> None:
    """Also over pictures, which are then the provider's to judge; new ones pass, other makers' are refused."""
    asked = LEAST[task].asked
    (call,) = prepare(task, **asked, native={"brand_new": [1]})
    assert call.body == {**LEAST[task].body, "brand_new": [1]}
    wire = "init_image" if task is Task.STYLE_TRANSFER else "image"
    less = {name: value for name, value in asked.items() if name != "image"}
    (call,) = prepare(task, **less, native={wire: B, **({"mask": MASK.b64} if "mask" in call.body else {})})
    assert call.body[wire] == B
    assert warned(prepare(task, **asked, native={wire: STYLE.b64})[0]) == [("adapted", "image")]
    assert prepare(task, **less, native={wire: "junk"})[0].width is None
    error = refusal(task, **asked, native={"imageGenerationConfig": {}})
    assert error.parameter == "imageGenerationConfig"


def parse(task: Task | str, payload: Any, **fields: Any) -> ImageResult:
    model = SERVICES[Task(task)]
    (call,) = prepare(task, **LEAST[task].asked, **fields)
    return family_for(model).parse(call, payload, request_id="r-1")


@every_service
def test_answers_of_services(task: Task) -> None:
    """The seed of the answer counts; the two services without seeds may leave the list out."""
    found = parse(task, {"seeds": [9], "finish_reasons": [None], "images": [PICTURE]})
    assert [(image.seed, image.width, image.format) for image in found.images] == [(9, 8, "png")]
    assert (found.missing, found.warnings, found.request_id) == ((), (), "r-1")
    found = parse(task, {"finish_reasons": [None], "images": [PICTURE]})
    assert [image.seed for image in found.images] == [None]


@every_service
@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"finish_reasons": ["Filter reason: prompt"]}, ContentFiltered),
        ({"finish_reasons": ["Filter reason: input image"], "images": [PICTURE]}, ContentFiltered),
        ({"finish_reasons": ["Filter reason: output image"], "images": [None]}, ContentFiltered),
        ({"finish_reasons": ["Inference error"], "images": []}, Unavailable),
        ({"finish_reasons": [None], "images": []}, BadResponse),
        ({"finish_reasons": [None], "images": ["####"]}, BadResponse),
        ({}, BadResponse),
        (None, BadResponse),
    ],
)
def test_failures_inside_a_200(task: Task, payload: Any, kind: type[Exception]) -> None:
    """Filters, inference errors and answers without a picture are errors with the request id."""
    with pytest.raises(kind) as caught:
        parse(task, payload)
    assert caught.value.request_id == "r-1"  # type: ignore[attr-defined]


SIMPLE = st.none() | st.booleans() | st.integers(-5, 3000) | st.floats() | st.sampled_from(["", "cap", "x" * 10_001])
ASKED = st.fixed_dictionaries(
    {"strict": st.booleans(), "prompt": st.sampled_from(["", "a hat"])},
    optional={
        "negative_prompt": st.sampled_from(["", "people"]),
        "size": st.sampled_from([(1000, 800), (64, 64), (4000, 3200)]),
        "aspect_ratio": st.sampled_from(["1:1", "5:4", "4:3"]),
        "n": st.integers(1, 3),
        "seed": st.sampled_from([0, 9, 4_294_967_294, 4_294_967_295]),
        "style": st.sampled_from(["anime", "vivid"]),
        "steps": st.just(30),
        "output_format": st.sampled_from(["png", "jpeg", "webp"]),
        "background": st.sampled_from(["transparent", "opaque"]),
        "image": st.sampled_from([IMAGE, CLEAR, drawn(10, 10)]),
        "references": st.sampled_from([(STYLE,), (STYLE, IMAGE)]),
        "mask": st.just(MASK),
        "mask_mode": st.sampled_from(["white", "alpha"]),
        "options": st.dictionaries(st.sampled_from([*OPTIONS, "brand_new"]), SIMPLE, max_size=3),
    },
)
WIRES = {
    "style": ("style_preset",),
    "image": ("image", "init_image"),
    "references": ("style_image", "image"),
    "size": ("aspect_ratio",),
}


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(SERVICES)), ASKED, st.booleans())
def test_nothing_is_dropped_silently(task: Task, fields: dict[str, Any], least: bool) -> None:
    """Each thing given is in the body, in a warning, or in the error."""
    if least:
        options = {**LEAST[task].asked.get("options", {}), **fields.get("options", {})}
        fields = {**LEAST[task].asked, **fields, "options": options, "prompt": fields["prompt"] or "a hat"}
    try:
        calls = prepare(task, **fields)
    except InvalidRequest as error:
        refused, calls = error, ()
    if not calls:
        assert refused.parameter is not None
        assert refused.parameter in str(refused)
        return
    (body, said) = calls[0].body, {warning.parameter for warning in calls[0].warnings}
    zero = {"seed"} if fields.get("seed") == 0 else set()  # means any seed, which nobody refuses: a warning says so
    assert not (fields["strict"] and said - zero)
    once = SERVICES[task].seed is None
    assert len(calls) == (1 if once else fields.get("n", 1))
    assert not once or fields.get("n", 1) == 1 or "n" in said
    orjson.dumps(body)
    given = {**fields, **fields.get("options", {})}
    for name, value in given.items():
        if name in ("strict", "n", "mask_mode", "options") or value in (None, "", ()):
            continue
        met = name == "size" and value == (calls[0].width, calls[0].height)
        met = met or (name == "aspect_ratio" and value == "5:4" and "aspect_ratio" not in body)
        met = met or (name == "background" and value == ("transparent" if task == "remove_background" else "opaque"))
        assert met or name in said or body.keys() & {name, *WIRES.get(name, ())}, (name, value, body.keys())
