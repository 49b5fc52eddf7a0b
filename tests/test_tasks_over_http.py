"""Every task of every model, through the Router and over HTTP: a picture of the documented size comes back."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from lascaux import InvalidRequest, Router
from lascaux.emulator import Emulator
from lascaux.providers.bedrock.families import FAMILIES
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.types import Task
from PIL import Image, ImageDraw

SIDE = 640
ASKS: dict[Task, dict[str, Any]] = {
    Task.IMAGE_TO_IMAGE: {"strength": 0.6},
    Task.VARIATION: {},
    Task.INPAINT: {"mask": True, "grow_mask": 0},
    Task.OUTPAINT: {"right": 128},
    Task.ERASE: {"mask": True, "grow_mask": 0},
    Task.REMOVE_BACKGROUND: {},
    Task.SEARCH_REPLACE: {"search_prompt": "ball"},
    Task.SEARCH_RECOLOR: {"select_prompt": "ball"},
    Task.COLOR_GUIDED: {"colors": ["#112233", "#FFAA00"]},
    Task.VIRTUAL_TRY_ON: {"garment_class": "UPPER_BODY", "references": True},
    Task.CONTROL_SKETCH: {},
    Task.CONTROL_STRUCTURE: {},
    Task.STYLE_GUIDE: {},
    Task.STYLE_TRANSFER: {"references": True},
    Task.UPSCALE_FAST: {},
    Task.UPSCALE_CONSERVATIVE: {},
    Task.UPSCALE_CREATIVE: {},
}
SERVED = {family.name for family in FAMILIES}
PAIRS = [
    (model, task)
    for model in Catalog.load().models()
    if model.family in SERVED
    for task in model.tasks
    if task is not Task.TEXT_TO_IMAGE
]


def png(draw: Any = None, mode: str = "RGB", colour: Any = (30, 120, 200)) -> bytes:
    """A small picture as a file."""
    picture = Image.new(mode, (SIDE, SIDE), colour)
    if draw:
        draw(ImageDraw.Draw(picture))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


INPUT = png(lambda pen: pen.ellipse((200, 200, 440, 440), fill=(240, 200, 40)))
STYLE = png(lambda pen: pen.rectangle((0, 0, 320, 640), fill=(200, 30, 30)))
MASK = png(lambda pen: pen.rectangle((160, 160, 480, 480), fill=(0, 0, 0, 0)), "RGBA", (0, 0, 0, 255))
"""OpenAI's convention: transparent where the picture shall change."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """It knows every model and paints nothing elaborate."""
    with Emulator(canvas="fast") as running:
        yield running


def router_for(model: Model, emulator: Emulator) -> Router:
    """A router with one deployment of the model, where AWS offers it."""
    arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefabcdef"
    provisioned = "on_demand" not in model.invoke and not model.profile_only
    deployment = {
        "region": "us-east-1" if provisioned else model.regions[0],
        "credentials": "demo",
        "endpoint_url": emulator.url,
        **({"model": arn, "base_model": model.id} if provisioned else {"model": model.id}),
    }
    keys = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
    return Router({"credentials": {"demo": keys}, "deployments": {"it": deployment}})


def asked(task: Task) -> dict[str, Any]:
    """The parameters of a task, with real pictures."""
    params = dict(ASKS[task])
    if params.get("mask"):
        params["mask"] = MASK
    if params.get("references"):
        params["references"] = [STYLE]
    return params


@pytest.mark.parametrize(("model", "task"), PAIRS, ids=lambda value: getattr(value, "id", str(value)))
def test_every_task_of_every_model_makes_a_picture(model: Model, task: Task, emulator: Emulator) -> None:
    """One call, accepted by an emulator that was written without our code; priced where a price is known."""
    emulator.forget()
    with router_for(model, emulator) as router:
        result = router.edit("it", "a straw hat", image=INPUT, task=task, **asked(task))
    (record,) = emulator.log
    assert record.status == 200
    image = result.images[0]
    expected = {
        Task.UPSCALE_FAST: (4 * SIDE, 4 * SIDE),
        Task.OUTPAINT: (SIDE + 128, SIDE),
    }.get(task, (SIDE, SIDE))
    free = task in (
        Task.UPSCALE_CONSERVATIVE,
        Task.UPSCALE_CREATIVE,
        Task.STYLE_GUIDE,
        Task.COLOR_GUIDED,
        Task.VARIATION,
        Task.CONTROL_STRUCTURE,
        Task.IMAGE_TO_IMAGE,
    )
    assert free or (image.width, image.height) == expected
    assert image.width >= 512
    if task is Task.REMOVE_BACKGROUND:
        assert Image.open(io.BytesIO(image.bytes)).mode == "RGBA"


@pytest.mark.parametrize(
    ("model", "task"),
    [(model, task) for model, task in PAIRS if ASKS[task].get("mask")],
    ids=lambda value: getattr(value, "id", str(value)),
)
@pytest.mark.parametrize("mode", ["alpha", "white", "black"])
def test_the_pixels_that_change_are_those_the_caller_marked(
    model: Model, task: Task, mode: str, emulator: Emulator
) -> None:
    """Whatever polarity the model wants: outside the mark nothing changes, inside it does."""
    params = asked(task)
    if mode != "alpha":
        inside, outside = ("white", "black") if mode == "white" else ("black", "white")
        params["mask"] = png(lambda pen: pen.rectangle((160, 160, 480, 480), fill=inside), "RGB", outside)
        params["mask_mode"] = mode
    with router_for(model, emulator) as router:
        result = router.edit("it", "a straw hat", image=INPUT, task=task, seed=7, **params)
    before = Image.open(io.BytesIO(INPUT)).convert("RGB")
    after = Image.open(io.BytesIO(result.images[0].bytes)).convert("RGB")
    assert all(before.getpixel(spot) == after.getpixel(spot) for spot in [(10, 10), (150, 320), (320, 150), (630, 630)])
    changed = [
        before.getpixel(spot) != after.getpixel(spot) for spot in [(200, 200), (320, 320), (450, 450), (180, 470)]
    ]
    assert sum(changed) >= 3


def test_the_curl_of_the_reference_page_works_on_every_model_that_has_the_task(emulator: Emulator) -> None:
    """taskType COLOR_GUIDED_GENERATION with its params, as LiteLLM's users write it."""
    model = Catalog.load().find("amazon.nova-canvas-v1:0")
    assert model is not None
    emulator.forget()
    with router_for(model, emulator) as router:
        result = router.generate(
            "it",
            "A cute baby sea otter",
            taskType="COLOR_GUIDED_GENERATION",
            colorGuidedGenerationParams={"colors": ["#FFFFFF"]},
        )
    assert result.images
    (record,) = emulator.log
    assert record.body is not None
    assert record.body["taskType"] == "COLOR_GUIDED_GENERATION"
    assert record.body["colorGuidedGenerationParams"] == {"text": "A cute baby sea otter", "colors": ["#FFFFFF"]}


def test_pictures_may_come_as_base64_as_a_data_url_and_as_a_result(emulator: Emulator) -> None:
    """One picture after the other, without files."""
    model = Catalog.load().find("stability.stable-fast-upscale-v1:0")
    assert model is not None
    with router_for(model, emulator) as router:
        text = base64.b64encode(INPUT).decode()
        first = router.edit("it", image=text, task="upscale_fast").images[0]
        assert (first.width, first.height) == (4 * SIDE, 4 * SIDE)
        with pytest.raises(InvalidRequest, match="image"):
            router.edit("it", image=first, task="upscale_fast")  # sides of 1536 at the most: refused before a call
        link = f"data:image/png;base64,{text}"
        assert router.edit("it", image=link, task="upscale_fast").images[0].width == 4 * SIDE
