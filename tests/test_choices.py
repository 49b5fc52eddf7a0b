"""What a form is told of an alias: derived from the catalogue, and true for the models that are asked."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from lascaux.gateway.choices import choices_of, choices_of_ids, lifecycle_of
from lascaux.providers.bedrock.families import FAMILIES
from lascaux.providers.catalog import Catalog
from lascaux.providers.params import build_request
from lascaux.providers.types import Task

TODAY = date(2026, 11, 22)
SERVED = [one for one in Catalog.load().models() if one.family in {family.name for family in FAMILIES}]
CORE, ULTRA, CANVAS = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1", "amazon.nova-canvas-v1:0"
INPAINT, UPSCALE = "stability.stable-image-inpaint-v1:0", "stability.stable-fast-upscale-v1:0"


def tasks(*ids: str) -> dict[str, Any]:
    """The tasks of these models together."""
    return choices_of_ids(ids, TODAY)["tasks"]  # type: ignore[no-any-return]


def test_what_one_model_takes() -> None:
    """Core: words, ratios, a seed, what to leave out; no picture, no quality."""
    told = tasks(CORE)
    assert list(told) == ["text_to_image"]
    task = told["text_to_image"]
    assert (task["prompt"], task["image"], task["mask"], task["references"]) == ("required", "no", "no", "no")
    assert task["aspect_ratios"][:2] == ["1:1", "21:9"]
    assert "9:16" in task["aspect_ratios"]
    assert (task["sizes"], task["size_range"], task["default_size"]) == ([], None, "1:1")
    assert (task["max_n"], task["negative_prompt"]) == (10, True)
    assert task["seed"] == {"min": 1, "max": 4_294_967_295}
    assert (task["quality"], task["style"]) == ([], [])


def test_several_models_are_told_together() -> None:
    """Tasks, sizes and words of all of them; of seeds the range that each takes."""
    task = tasks(CORE, CANVAS)["text_to_image"]
    assert task["models"] == [CORE, CANVAS]
    assert "1024x1024" in task["sizes"]
    assert "16:9" in task["aspect_ratios"]
    assert task["size_range"] == {
        "side_min": 320,
        "side_max": 4096,
        "multiple_of": 16,
        "max_pixels": 4194304,
        "ratio_max": 4,
    }
    assert task["seed"] == {"min": 1, "max": 2_147_483_646}
    assert tasks(CANVAS)["text_to_image"]["seed"] == {"min": 0, "max": 2_147_483_646}
    assert task["quality"] == ["standard", "premium"]
    assert "PHOTOREALISM" in task["style"]
    assert {"virtual_try_on", "remove_background", "inpaint"} <= set(tasks(CORE, CANVAS))


def test_pictures_and_masks_that_a_task_needs() -> None:
    """A mask is needed where nothing else can say what changes."""
    assert tasks(INPAINT)["inpaint"]["image"] == "required"
    assert tasks(INPAINT)["inpaint"]["mask"] == "required"
    both = tasks(INPAINT, CANVAS)["inpaint"]
    assert both["mask"] == "optional"
    assert "mask_prompt" in [one["name"] for one in both["options"]]
    assert tasks("stability.stable-style-transfer-v1:0")["style_transfer"]["references"] == "required"
    upscale = tasks(UPSCALE)["upscale_fast"]
    assert (upscale["prompt"], upscale["seed"], upscale["max_n"]) == ("no", None, 1)


def test_options_have_ranges_words_and_hints() -> None:
    """In the vocabulary that requests use, whatever the model calls them."""
    options = {
        one["name"]: one for one in tasks("stability.stable-image-search-replace-v1:0")["search_replace"]["options"]
    }
    assert options["search_prompt"]["required"]
    assert options["search_prompt"]["type"] == "string"
    assert (options["grow_mask"]["min"], options["grow_mask"]["max"]) == (0, 20)
    assert "widened" in options["grow_mask"]["hint"]
    garments = {one["name"]: one for one in tasks(CANVAS)["virtual_try_on"]["options"]}
    assert "upper_body" in garments["garment_class"]["choices"]
    assert garments["preserve_face"]["choices"][:2] == [
        "on",
        "off",
    ]
    assert tasks(CANVAS)["color_guided"]["options"][0] | {"hint": ""} == {
        "name": "colors",
        "type": "colors",
        "choices": [],
        "min": None,
        "max": None,
        "required": True,
        "hint": "",
    }


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_whatever_a_form_offers_is_a_parameter(model: Any) -> None:
    """Each choice of each task of each model can be said in a request, both ends of each range included."""
    for name, task in choices_of([model], TODAY)["tasks"].items():
        said: list[dict[str, Any]] = [{"task": name}, {"n": task["max_n"]}]
        said += [{"size": size} for size in task["sizes"]] + [
            {"aspect_ratio": ratio} for ratio in task["aspect_ratios"]
        ]
        said += [{"seed": task["seed"][end]} for end in ("min", "max") if task["seed"]]
        said += [{"quality": word} for word in task["quality"]] + [{"style": word} for word in task["style"]]
        for option in task["options"]:
            values = option["choices"] or [option[end] for end in ("min", "max") if option[end] is not None]
            if option["type"] == "colors":
                values = [["#FFB703"]]
            if option["type"] == "integer":
                values = [int(value) for value in values]
            said += [{option["name"]: value} for value in values or ["words"]]
        for params in said:
            build_request("an otter", None, tuple(Task), **params)


def test_the_lifecycle_with_its_dates_and_sources() -> None:
    """A retired model says so; a policy that refuses it takes its tasks out of the choice."""
    canvas = Catalog.load().find(CANVAS)
    assert canvas is not None
    told = lifecycle_of(canvas, TODAY)
    assert (told["stage"], told["eol"]) == ("eol", "2026-09-30")
    assert told["sources"]
    assert "virtual_try_on" not in choices_of_ids((CORE, CANVAS), TODAY, True)["tasks"]
    assert choices_of_ids(("no-such-model",), TODAY) == {"tasks": {}, "lifecycle": []}
