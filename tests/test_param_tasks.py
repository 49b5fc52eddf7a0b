"""The task of a request that names none: what is given tells, and what the models that may be asked can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from lascaux import Router
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.fake import FakeProvider
from lascaux.providers.param_tasks import given_in, infer_task
from lascaux.providers.params import build_request
from lascaux.providers.pictures import encode_png
from lascaux.providers.types import Task
from PIL import Image as Pillow

PHOTO = encode_png(Pillow.new("RGB", (640, 512), "teal"))
HOLE = encode_png(Pillow.new("RGBA", (640, 512)))
IDS = {
    "canvas": "amazon.nova-canvas-v1:0",
    "ultra": "stability.stable-image-ultra-v1:1",
    "inpaint": "stability.stable-image-inpaint-v1:0",
    "erase": "stability.stable-image-erase-object-v1:0",
    "cutout": "stability.stable-image-remove-background-v1:0",
    "fast": "stability.stable-fast-upscale-v1:0",
    "slow": "stability.stable-conservative-upscale-v1:0",
    "style": "stability.stable-style-transfer-v1:0",
    "guide": "stability.stable-image-style-guide-v1:0",
    "sketch": "stability.stable-image-control-sketch-v1:0",
}


def config(**aliases: Any) -> Mapping[str, Any]:
    """A deployment for each model, called like it, and these aliases."""
    places = {
        name: {"model": model, "region": "us-west-2" if name == "ultra" else "us-east-1"} for name, model in IDS.items()
    }
    return {"deployments": places, "aliases": aliases, "lifecycle": {"retired": "allow"}}


def asked(uses: str, **params: Any) -> Task:
    """The task that reaches the first call of an alias over these deployments."""
    provider = FakeProvider()
    with Router(config(it={"deployments": uses.split()}), provider=provider) as router:
        router.edit("it", "a hat", image=PHOTO, **params)
    return provider.sent[0].call.task


@pytest.mark.parametrize(
    ("uses", "params", "task"),
    [
        ("fast", {}, Task.UPSCALE_FAST),
        ("cutout", {}, Task.REMOVE_BACKGROUND),
        ("erase", {"mask": HOLE}, Task.ERASE),
        ("sketch", {"control_strength": 0.4}, Task.CONTROL_SKETCH),
        ("guide", {}, Task.STYLE_GUIDE),
        ("style", {"references": PHOTO}, Task.STYLE_TRANSFER),
        ("erase fast", {"mask": HOLE}, Task.ERASE),
        ("erase fast", {}, Task.UPSCALE_FAST),
        ("style fast", {"references": PHOTO}, Task.STYLE_TRANSFER),
        ("sketch fast", {"control_strength": 0.4}, Task.CONTROL_SKETCH),
        ("inpaint erase", {"mask": HOLE}, Task.INPAINT),
        ("canvas fast", {}, Task.IMAGE_TO_IMAGE),
        ("ultra fast", {}, Task.IMAGE_TO_IMAGE),
        ("canvas", {"mask": HOLE}, Task.INPAINT),
        ("ultra fast", {"task": "upscale-fast"}, Task.UPSCALE_FAST),
    ],
)
def test_the_models_of_the_alias_help_to_tell(uses: str, params: dict[str, Any], task: Task) -> None:
    """The one task there is; else the usual one; else the only one that what is given fits. A named task stands."""
    assert asked(uses, **params) is task


def test_several_tasks_that_fit_are_listed() -> None:
    """And one of them is to be named."""
    with pytest.raises(InvalidRequest, match="fits several tasks here") as caught:
        asked("fast slow cutout")
    assert caught.value.parameter == "task"
    assert caught.value.allowed == "remove_background, upscale_fast, upscale_conservative"
    assert caught.value.nearest == "remove_background"


@pytest.mark.parametrize(
    ("uses", "params", "message"),
    [
        ("ultra", {"mask": HOLE}, "can not do inpaint"),
        ("fast slow", {"search_prompt": "ball"}, "can not do search_replace"),
        ("erase", {}, "erase needs a mask"),
    ],
)
def test_what_fits_nothing_is_refused_by_the_models(uses: str, params: dict[str, Any], message: str) -> None:
    """A mask is not dropped to make a task fit."""
    with pytest.raises(InvalidRequest, match=message):
        asked(uses, **params)


def test_the_alias_that_was_asked_decides_for_its_fallbacks() -> None:
    """An upscaler stays one on the way to a model that would do something else with a picture."""
    provider = FakeProvider()
    aliases = {"large": {"deployments": ["fast"], "fallbacks": ["any"]}, "any": "ultra"}
    with Router(config(**aliases), provider=provider) as router:
        result = router.edit("large", image=PHOTO)
    assert provider.sent[0].call.task is Task.UPSCALE_FAST
    assert [skip.deployment for skip in result.skipped] == ["ultra"]


def test_words_alone_stay_text_to_image() -> None:
    """What an alias offers matters to pictures only."""
    assert infer_task(set(), [Task.UPSCALE_FAST]) is Task.TEXT_TO_IMAGE
    assert infer_task({"colors"}, [Task.UPSCALE_FAST]) is Task.COLOR_GUIDED
    assert build_request("an otter", None, (Task.UPSCALE_FAST,)).task is Task.TEXT_TO_IMAGE


@pytest.mark.parametrize("task", [task for task in Task if task is not Task.TEXT_TO_IMAGE])
def test_a_task_that_stands_alone_is_always_meant(task: Task) -> None:
    """Whatever is given with the picture."""
    for given in ({"image"}, {"image", "mask"}, {"image", "references"}, {"image", "left"}):
        assert infer_task(given, [task]) is task


def test_further_pictures_without_use_do_not_decide() -> None:
    """They are named in a warning; where a task wants them, it is meant."""
    given = {"image", "references"}
    assert infer_task(given, [Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE]) is Task.IMAGE_TO_IMAGE
    assert infer_task(given, [Task.IMAGE_TO_IMAGE, Task.STYLE_TRANSFER]) is Task.STYLE_TRANSFER
    assert infer_task(given, [Task.TEXT_TO_IMAGE]) is Task.VARIATION


def test_names_are_read_as_clients_write_them() -> None:
    """And what is None was not given."""
    assert {"mask", "similarity"} <= given_in({"maskImage": b"", "similarityStrength": 0.5, "seed": None})
    assert "seed" not in given_in({"seed": None})
