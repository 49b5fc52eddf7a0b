"""SDXL on a picture: another one like it, or one area of it painted anew."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pybase64
import pytest
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import ContentFiltered, InvalidRequest
from lascaux.providers.fake import PICTURE
from lascaux.providers.types import Call, ImageRequest, Picture, Task
from PIL import Image as Pillow

MODELS = [model for model in Catalog.load().models() if model.family == "sdxl"]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)


def painted(width: int, height: int, mode: str = "RGB", *, left: Any = None, ground: Any = 0) -> Picture:
    """A PNG of one colour, its left half of another."""
    canvas = Pillow.new(mode, (width, height), ground)
    if left is not None:
        canvas.paste(left, (0, 0, width // 2, height))
    file = BytesIO()
    canvas.save(file, "PNG")
    text = pybase64.b64encode(file.getvalue()).decode()
    return Picture(b64=text, format="png", width=width, height=height, alpha=mode == "RGBA")


IMAGE = painted(1024, 768)
CLEAR = painted(1024, 768, "RGBA")
WHITE = painted(1024, 768, "L", left=255)
BLACK = painted(1024, 768, "L", left=0, ground=255)
ALPHA = painted(1024, 768, "RGBA", left=(0, 0, 0, 0), ground=(0, 0, 0, 255))


def prepare(model: Model, task: Task, **fields: Any) -> tuple[Call, ...]:
    request = ImageRequest(**{"prompt": "as oil painting", "task": task, "image": IMAGE, **fields})
    return family_for(model).prepare(request, model)


def refusal(model: Model, task: Task, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, task, **fields)
    return caught.value


def warned(call: Call) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.parameter) for warning in call.warnings]


def halves(b64: str) -> tuple[tuple[int, int], int, int]:
    """Size of a mask, and the grey of its left and right half."""
    mask = Pillow.open(BytesIO(pybase64.b64decode(b64))).convert("L")
    greys = mask.tobytes()
    return mask.size, greys[0], greys[mask.width - 1]


@every_model
def test_image_to_image_needs_a_prompt_and_a_picture(model: Model) -> None:
    """How much of the picture is kept is left to the model when nobody says; its size decides the price."""
    (call,) = prepare(model, Task.IMAGE_TO_IMAGE)
    assert call.body == {"text_prompts": [{"text": "as oil painting"}], "init_image": IMAGE.b64}
    assert (call.width, call.height, call.steps, call.quality) == (1024, 768, 30, "standard")
    assert (call.task, call.warnings) == (Task.IMAGE_TO_IMAGE, ())
    error = refusal(model, Task.IMAGE_TO_IMAGE, image=None)
    assert (error.parameter, error.allowed) == ("image", "png, 262144 to 1048576 pixels in all")
    assert refusal(model, Task.IMAGE_TO_IMAGE, prompt=" ").parameter == "prompt"


@every_model
def test_image_to_image_in_full(model: Model) -> None:
    """Our strength says how far to go, theirs how much to keep. No width and height are sent."""
    (call,) = prepare(
        model,
        Task.IMAGE_TO_IMAGE,
        negative_prompt="people",
        options={"strength": 0.6},
        cfg_scale=7,
        steps=40,
        seed=9,
        sampler="DDIM",
        clip_guidance_preset="NONE",
        style="anime",
        size=(1024, 768),
        strict=True,
    )
    assert call.body == {
        "text_prompts": [{"text": "as oil painting", "weight": 1}, {"text": "people", "weight": -1}],
        "init_image": IMAGE.b64,
        "init_image_mode": "IMAGE_STRENGTH",
        "image_strength": 0.4,
        "cfg_scale": 7,
        "steps": 40,
        "seed": 9,
        "sampler": "DDIM",
        "clip_guidance_preset": "NONE",
        "style_preset": "anime",
    }
    assert (call.seed, call.steps, call.warnings) == (9, 40, ())


@every_model
@pytest.mark.parametrize(("ours", "theirs"), [(0, 1), (1, 0), (0.9, 0.1), (0.65, 0.35)])
def test_strength_is_turned_round(model: Model, ours: float, theirs: float) -> None:
    """Without the crumbs of binary fractions; a native figure wins, and is said to when it differs."""
    (call,) = prepare(model, Task.IMAGE_TO_IMAGE, options={"strength": ours})
    assert call.body["image_strength"] == theirs
    (same,) = prepare(
        model, Task.IMAGE_TO_IMAGE, options={"strength": ours}, native={"image_strength": theirs}, strict=True
    )
    assert same.warnings == ()
    (other,) = prepare(model, Task.IMAGE_TO_IMAGE, options={"strength": ours}, native={"image_strength": 0.5})
    assert warned(other) == [("adapted", "strength")]


@every_model
@pytest.mark.parametrize("value", [-0.001, 1.001, "1", True, float("nan")])
def test_strength_has_a_range(model: Model, value: Any) -> None:
    """0 to 1."""
    error = refusal(model, Task.IMAGE_TO_IMAGE, options={"strength": value})
    assert (error.parameter, error.allowed) == ("strength", "a number from 0 to 1")


@every_model
@pytest.mark.parametrize(
    ("mask", "mode", "source", "left", "right"),
    [
        (WHITE, "white", "MASK_IMAGE_WHITE", 255, 0),
        (BLACK, "black", "MASK_IMAGE_BLACK", 0, 255),
        (ALPHA, "alpha", "MASK_IMAGE_WHITE", 255, 0),
    ],
)
def test_inpaint_marks_what_changes(model: Model, mask: Picture, mode: str, source: str, left: int, right: int) -> None:
    """In the colour that ``mask_source`` names, whichever way the caller marks it."""
    (call,) = prepare(model, Task.INPAINT, prompt="a fountain", mask=mask, mask_mode=mode, strict=True)
    assert call.body == {
        "text_prompts": [{"text": "a fountain"}],
        "init_image": IMAGE.b64,
        "mask_source": source,
        "mask_image": call.body["mask_image"],
    }
    assert halves(call.body["mask_image"]) == ((1024, 768), left, right)
    assert (call.width, call.height, call.warnings) == (1024, 768, ())


@every_model
def test_a_mask_of_another_size_is_stretched(model: Model) -> None:
    """The model refuses it otherwise; the caller is told, or refused when strict."""
    small = painted(64, 64, "L", left=255)
    (call,) = prepare(model, Task.INPAINT, mask=small, mask_mode="white")
    assert halves(call.body["mask_image"]) == ((1024, 768), 255, 0)
    assert warned(call) == [("adapted", "mask")]
    error = refusal(model, Task.INPAINT, mask=small, mask_mode="white", strict=True)
    assert (error.parameter, error.nearest) == ("mask", "1024x768")


@every_model
def test_transparent_parts_are_a_mask(model: Model) -> None:
    """Without one. An opaque picture without a mask is refused: nothing says what shall change."""
    (call,) = prepare(model, Task.INPAINT, image=CLEAR, strict=True)
    assert call.body == {
        "text_prompts": [{"text": "as oil painting"}],
        "init_image": CLEAR.b64,
        "mask_source": "INIT_IMAGE_ALPHA",
    }
    assert refusal(model, Task.INPAINT).parameter == "mask"
    native = {"mask_source": "MASK_IMAGE_WHITE", "mask_image": WHITE.b64}
    assert native.items() <= prepare(model, Task.INPAINT, native=native, strict=True)[0].body.items()
    native = {"init_image": CLEAR.b64}
    assert prepare(model, Task.INPAINT, image=None, native=native)[0].body["mask_source"] == "INIT_IMAGE_ALPHA"


@every_model
@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINT])
@pytest.mark.parametrize(
    ("size", "fits"),
    [((512, 512), True), ((511, 512), False), ((1024, 1024), True), ((1025, 1024), False), ((300, 800), False)],
)
def test_pictures_have_limits(model: Model, task: Task, size: tuple[int, int], fits: bool) -> None:
    """262144 to 1048576 pixels, PNG only; the error names a size that fits."""
    image = painted(*size, mode="RGBA")
    if fits:
        assert prepare(model, task, image=image)[0].width == size[0]
        return
    error = refusal(model, task, image=image)
    assert error.parameter == "image"
    assert error.nearest is not None
    width, height = map(int, error.nearest.split("x"))
    assert prepare(model, task, image=painted(width, height, "RGBA"))[0].height == height


@every_model
def test_only_png_is_taken(model: Model) -> None:
    """Other formats are refused before they are sent."""
    jpeg = Picture(b64=IMAGE.b64, format="jpeg", width=1024, height=768)
    assert refusal(model, Task.IMAGE_TO_IMAGE, image=jpeg).nearest == "png"


@every_model
@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINT])
def test_what_the_task_does_not_have_is_left_out_with_a_warning(model: Model, task: Task) -> None:
    """Another size, options of other tasks, further pictures."""
    asked: dict[str, Any] = {"size": (512, 512), "references": (IMAGE,), "options": {"creativity": 0.5}}
    names = {"size", "references", "creativity"}
    if task is Task.IMAGE_TO_IMAGE:
        asked["mask"], names = WHITE, names | {"mask"}
    else:
        asked["options"]["strength"], names = 0.5, names | {"strength"}
    (call,) = prepare(model, task, **{"image": CLEAR, **asked})
    assert {parameter for _, parameter in warned(call)} == names
    assert not {"width", "height", "creativity", "image_strength"} & call.body.keys()
    for name, value in asked.items():
        assert refusal(model, task, **{"image": CLEAR, name: value, "strict": True}).parameter in names


@every_model
@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINT])
def test_several_edits_are_several_calls(model: Model, task: Task) -> None:
    """One picture per call, seeds counting up; answers are those of text-to-image."""
    calls = prepare(model, task, image=CLEAR, n=3, seed=30)
    assert [call.body["seed"] for call in calls] == [30, 31, 32]
    artifact = {"seed": 31, "base64": PICTURE, "finishReason": "SUCCESS"}
    family = family_for(model)
    assert family.parse(calls[1], {"result": "success", "artifacts": [artifact]}).images[0].seed == 31
    blurred = {"artifacts": [{**artifact, "finishReason": "CONTENT_FILTERED"}]}
    with pytest.raises(ContentFiltered):
        family.parse(calls[1], blurred)


@every_model
def test_a_native_picture_is_measured(model: Model) -> None:
    """What a price depends on is read from the body, wherever it came from; junk counts as the base size."""
    (call,) = prepare(model, Task.IMAGE_TO_IMAGE, image=None, native={"init_image": IMAGE.b64})
    assert (call.width, call.height) == (1024, 768)
    (call,) = prepare(model, Task.IMAGE_TO_IMAGE, image=None, native={"init_image": "junk"})
    assert call.width in (512, 1024)
