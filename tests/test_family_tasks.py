"""What every family promises for every task of every model: one vocabulary, whoever is asked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import orjson
import pybase64
import pytest
from lascaux.providers.bedrock.families import FAMILIES, family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import BadResponse, InvalidRequest
from lascaux.providers.fake import PICTURE
from lascaux.providers.options import OPTIONS
from lascaux.providers.types import Call, ImageRequest, Picture, Task
from PIL import Image as Pillow

SERVED = {family.name for family in FAMILIES}
PAIRS = [
    (model, task)
    for model in Catalog.load().models()
    if model.family in SERVED
    for task in model.tasks
    if task is not Task.TEXT_TO_IMAGE
]
every_task = pytest.mark.parametrize(("model", "task"), PAIRS, ids=lambda value: getattr(value, "id", str(value)))
AMAZON = ("titan", "nova_canvas")


def painted(mode: str, ground: Any, left: Any = None) -> Picture:
    """A PNG of 1024x1024 in one colour, its left half in another."""
    canvas = Pillow.new(mode, (1024, 1024), ground)
    if left is not None:
        canvas.paste(left, (0, 0, 512, 1024))
    file = BytesIO()
    canvas.save(file, "PNG")
    text = pybase64.b64encode(file.getvalue()).decode()
    return Picture(b64=text, format="png", width=1024, height=1024, alpha=mode == "RGBA")


IMAGE, OTHER = painted("RGB", "peru"), painted("RGB", "olive")
MASK = painted("RGBA", (0, 0, 0, 255), (0, 0, 0, 0))
WORDS = {"image": IMAGE, "prompt": "a red kite"}
ASKED: dict[Task, dict[str, Any]] = {
    Task.IMAGE_TO_IMAGE: {**WORDS, "options": {"strength": 0.6}},
    Task.VARIATION: WORDS,
    Task.INPAINT: {**WORDS, "mask": MASK},
    Task.OUTPAINT: {**WORDS, "options": {"left": 128}},
    Task.ERASE: {"image": IMAGE, "mask": MASK},
    Task.REMOVE_BACKGROUND: {"image": IMAGE},
    Task.SEARCH_REPLACE: {**WORDS, "options": {"search_prompt": "bird"}},
    Task.SEARCH_RECOLOR: {**WORDS, "options": {"select_prompt": "bird"}},
    Task.COLOR_GUIDED: {"prompt": "a red kite", "options": {"colors": ["#112233"]}},
    Task.VIRTUAL_TRY_ON: {"image": IMAGE, "references": (OTHER,), "options": {"garment_class": "upper_body"}},
    Task.CONTROL_SKETCH: WORDS,
    Task.CONTROL_STRUCTURE: WORDS,
    Task.STYLE_GUIDE: WORDS,
    Task.STYLE_TRANSFER: {"image": IMAGE, "references": (OTHER,)},
    Task.UPSCALE_FAST: {"image": IMAGE},
    Task.UPSCALE_CONSERVATIVE: WORDS,
    Task.UPSCALE_CREATIVE: WORDS,
}
"""One request for each task, which every model takes that has the task."""


def prepare(model: Model, task: Task, **fields: Any) -> tuple[Call, ...]:
    request = ImageRequest(**{"prompt": "", "task": task, **ASKED[task], **fields})
    return family_for(model).prepare(request, model)


def refusal(model: Model, task: Task, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, task, **fields)
    return caught.value


def leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for part in value.values() for leaf in leaves(part)]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list) else [value]


def answer(call: Call) -> dict[str, Any]:
    if call.family in AMAZON:
        return {"images": [PICTURE] * call.images}
    if call.family == "sdxl":
        return {"result": "success", "artifacts": [{"seed": 9, "base64": PICTURE, "finishReason": "SUCCESS"}]}
    return {"seeds": [9], "finish_reasons": [None], "images": [PICTURE]}


@every_task
def test_one_request_fits_all_models_of_a_task(model: Model, task: Task) -> None:
    """The body is JSON and holds what was given; the picture's bytes are not touched."""
    (call,) = prepare(model, task)
    assert (call.model, call.family, call.task, call.images) == (model.id, model.family, task, 1)
    assert {warning.code for warning in call.warnings} <= {"adapted"}
    orjson.dumps(call.body)
    sent = leaves(call.body)
    asked = ASKED[task]
    extended = task is Task.OUTPAINT and model.family in AMAZON
    if "image" in asked and not extended:
        assert IMAGE.b64 in sent
    if "references" in asked:
        assert OTHER.b64 in sent
    if asked.get("prompt"):
        assert "a red kite" in orjson.dumps(call.body).decode()
    if "mask" in asked:
        assert MASK.b64 not in sent


@every_task
def test_edits_are_pure(model: Model, task: Task) -> None:
    """The same request gives equal calls, and stays as it was."""
    options = copy.deepcopy(ASKED[task].get("options", {}))
    assert prepare(model, task) == prepare(model, task)
    assert ASKED[task].get("options", {}) == options


@every_task
def test_a_picture_is_needed(model: Model, task: Task) -> None:
    """Where the task works on one; the error names the parameter."""
    if task is not Task.COLOR_GUIDED:
        assert refusal(model, task, image=None).parameter in ("image", "mask", "references")


@every_task
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_n_pictures_are_made_or_refused(model: Model, task: Task, n: int) -> None:
    """The calls make n in all, from seeds that differ; or the caller is told that one is all there is."""
    try:
        calls = prepare(model, task, n=n, seed=30)
    except InvalidRequest as error:
        refused, calls = error, ()
    if not calls:
        assert refused.parameter == "n"
        assert n > 1
        return
    made = sum(call.images for call in calls)
    assert made == n or "n" in {warning.parameter for warning in calls[0].warnings}
    seeds = [call.seed for call in calls]
    assert len(set(seeds)) == len(seeds)
    assert seeds[0] == 30 or "seed" in {warning.parameter for warning in calls[0].warnings}


@every_task
def test_an_option_that_nobody_knows_is_refused(model: Model, task: Task) -> None:
    """With the nearest name; one that only other tasks know is left out with a warning."""
    options = ASKED[task].get("options", {})
    error = refusal(model, task, options={**options, "crativity": 0.5})
    assert (error.parameter, error.nearest) == ("crativity", "creativity")
    for name in list(OPTIONS)[:: len(OPTIONS) // 5]:
        try:
            calls = prepare(model, task, options={**options, name: "\x00"})
        except InvalidRequest as error:
            refused, calls = error, ()
        if not calls:
            assert refused.parameter is not None
        else:
            warned = {warning.parameter for warning in calls[0].warnings}
            assert name in warned or "\x00" in leaves(calls[0].body), name


@every_task
def test_guardrails_go_with_edits_too(model: Model, task: Task) -> None:
    """As two headers."""
    (call,) = prepare(model, task, guardrail_id="gr1", guardrail_version="1")
    assert set(call.headers.values()) == {"gr1", "1"}
    assert refusal(model, task, guardrail_id="gr1").parameter == "guardrail_version"


@every_task
def test_answers_become_pictures(model: Model, task: Task) -> None:
    """As many as were asked for; an answer without any is an error that may have been billed."""
    family = family_for(model)
    (call,) = prepare(model, task)
    found = family.parse(call, answer(call), request_id="r-1")
    assert [(image.format, image.width) for image in found.images] == [("png", 8)]
    assert (found.missing, found.warnings) == ((), ())
    empty: list[Any] = [{}, {"images": []}, {"artifacts": []}, None]
    for payload in empty:
        with pytest.raises(BadResponse) as caught:
            family.parse(call, payload, request_id="r-1")
        assert caught.value.may_be_billed


@pytest.mark.parametrize("model", [model for model in Catalog.load().models() if model.family in SERVED])
def test_tasks_that_a_model_lacks_are_refused_by_name(model: Model) -> None:
    """The error lists what it can do."""
    family = family_for(model)
    for task in Task:
        if task not in model.able:
            with pytest.raises(InvalidRequest) as caught:
                family.prepare(ImageRequest(prompt="a", task=task), model)
            assert caught.value.parameter == "task"
            assert str(caught.value).startswith(f"task: {model.id} can not do {task}; allowed: ")
            assert next(iter(model.tasks)) in str(caught.value)
