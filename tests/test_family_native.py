"""What was written for one model is rewritten for another, or refused by it: never forwarded as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux.providers.bedrock.families import FAMILIES, family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.params import build_request
from lascaux.providers.types import Call, ImageRequest

SERVED = {family.name for family in FAMILIES}
MODELS = [model for model in Catalog.load().models() if model.family in SERVED and "text_to_image" in model.tasks]
AMAZON = ("titan", "nova_canvas")
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
amazons = pytest.mark.parametrize("model", [m for m in MODELS if m.family in AMAZON], ids=lambda model: model.id)
others = pytest.mark.parametrize("model", [m for m in MODELS if m.family not in AMAZON], ids=lambda model: model.id)
sdxls = pytest.mark.parametrize("model", [m for m in MODELS if m.family == "sdxl"], ids=lambda model: model.id)

OF_AMAZON = {"taskType", "textToImageParams", "imageGenerationConfig", "numberOfImages", "cfgScale", "negativeText"}
OF_STABILITY = {"prompt", "negative_prompt", "aspect_ratio", "mode", "output_format", "image", "strength"}
OF_SDXL = {"text_prompts", "cfg_scale", "style_preset", "samples", "sampler", "steps", "init_image", "extras"}


def prepare(model: Model, **params: Any) -> tuple[Call, ...]:
    return family_for(model).prepare(build_request("an otter", **params), model)


def direct(model: Model, **fields: Any) -> tuple[Call, ...]:
    return family_for(model).prepare(ImageRequest(**{"prompt": "an otter", **fields}), model)


def refusal(model: Model, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        direct(model, **fields)
    return caught.value


def known(id: str) -> Model:
    model = Catalog.load().find(id)
    assert model is not None
    return model


def every_key(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set(value).union(*map(every_key, value.values()))
    return set().union(*map(every_key, value)) if isinstance(value, list) else set()


@others
def test_amazons_objects_are_the_same_request_elsewhere(model: Model) -> None:
    """The body that a fallback is sent is the one that our own words give, with seeds that count on."""
    theirs = {
        "imageGenerationConfig": {"width": 1024, "height": 1024, "numberOfImages": 3, "seed": 7, "cfgScale": 8},
        "textToImageParams": {"text": "an otter", "negativeText": "people"},
    }
    ours = {"size": "1024x1024", "n": 3, "seed": 7, "cfg_scale": 8, "negative_prompt": "people"}
    assert prepare(model, **theirs) == prepare(model, **ours)
    assert prepare(model, native=theirs) == prepare(model, extra_body=theirs) == prepare(model, **ours)
    assert [call.seed for call in prepare(model, **theirs)] == [7, 8, 9]


@amazons
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_amazons_objects_reach_amazon_field_by_field(model: Model, count: int) -> None:
    """Read and written again, the body is the one that was given, and so is what pricing and caching go by."""
    native: dict[str, Any] = {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "an otter", "negativeText": "people", "new": {"a": 1}},
        "imageGenerationConfig": {
            "width": 1152,
            "height": 640,
            "quality": "premium",
            "numberOfImages": count,
            "seed": 7,
            "cfgScale": 6.5,
            "someNewField": [1],
        },
    }
    if model.family == "nova_canvas":
        native["textToImageParams"]["style"] = "PHOTOREALISM"
    if not model.id.startswith("amazon.titan-image-generator-v1"):
        native["textToImageParams"]["conditionImage"] = "iVBOR"
    (call,) = prepare(model, native=native, strict=True)
    assert call.body == native
    assert (call,) == direct(model, native=native, strict=True)
    assert (call.images, call.seed, call.width, call.quality, call.reproducible) == (count, 7, 1152, "premium", True)


@every_model
def test_a_native_seed_is_counted_on_when_a_request_is_cut(model: Model) -> None:
    """Each part of a request for several pictures is sent its own seed, as when the seed is a parameter."""
    native = {"imageGenerationConfig": {"seed": 7}} if model.family in AMAZON else {"seed": 7}
    request = build_request("an otter", n=7, native=native)
    calls = family_for(model).prepare(request, model)
    for call in calls:
        part = replace(request, n=call.images, seed=call.seed)
        assert family_for(model).prepare(part, model) == (call,)
    assert len({call.seed for call in calls}) == len(calls) > 1


@others
@pytest.mark.parametrize(
    ("native", "field"),
    [
        ({"imageGenerationConfig": {"someNewField": 1}}, "imageGenerationConfig.someNewField"),
        ({"imageGenerationConfig": {"x\n" * 99: 1}}, "imageGenerationConfig.x?x?"),
        ({"textToImageParams": {"conditionImage": "iVBOR"}}, "textToImageParams.conditionImage"),
        ({"imageGenerationConfig": {}}, "imageGenerationConfig"),
        ({"imageGenerationConfig": "none"}, "imageGenerationConfig"),
        ({"taskType": "TEXT_IMAGE"}, "taskType"),
        ({"brand_new": 1, "virtualTryOnParams": {"a": 1}}, "virtualTryOnParams.a"),
    ],
)
def test_amazons_own_fields_are_refused_elsewhere(model: Model, native: dict[str, Any], field: str) -> None:
    """So that the candidate is skipped, with a reason that names the field, its owner, and what there is instead."""
    error = refusal(model, native=native)
    assert error.parameter is not None
    assert error.parameter.startswith(field)
    assert len(error.parameter) <= 80
    assert str(error).startswith(f"{error.parameter}: a field of ")
    assert "nova_canvas bodies" in str(error)
    assert error.allowed is not None
    assert "seed" in error.allowed
    assert str(error).isprintable()


@amazons
@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("mode", "stability"),
        ("aspect_ratio", "stability"),
        ("style_preset", "sdxl"),
        ("text_prompts", "sdxl"),
        ("samples", "sdxl"),
        ("init_image", "sdxl"),
        ("seed", "sdxl"),
        ("search_prompt", "stability_service"),
        ("messages", "nova_omni"),
    ],
)
def test_other_makers_fields_are_refused_by_amazons_models(model: Model, name: str, owner: str) -> None:
    """Whatever their value."""
    for value in (1, "x", None, [{"text": "an otter"}]):
        error = refusal(model, native={name: value})
        assert error.parameter == name
        assert str(error).startswith(f"{name}: a field of {owner}")
        assert error.allowed == "taskType, textToImageParams, imageGenerationConfig"


@every_model
def test_a_field_that_nobody_knows_is_sent_untouched(model: Model) -> None:
    """Without a warning, strict or not: it is honoured as it was given. So is one whose use is an open doubt."""
    fields: dict[str, dict[str, Any]] = {
        "titan": {"brand_new": [1], "textToImageParams": {"newer": {"a": None}}},
        "nova_canvas": {"brand_new": None, "imageGenerationConfig": {"newer": "x"}},
        "sdxl": {"brand_new": {}, "extras": {"a": 1}, "step_schedule_start": 0.5},
        "stability": {"brand_new": 0, "image": "iVBOR", "strength": 0.5},
    }
    if "core" in model.id:
        del fields["stability"]["image"], fields["stability"]["strength"]
    (call,) = direct(model, native=fields[model.family], strict=True)
    assert call.warnings == ()
    for name, value in fields[model.family].items():
        assert call.body[name] == value or value.items() <= call.body[name].items()


@every_model
def test_a_field_of_another_task_is_refused(model: Model) -> None:
    """By the task that has it and the fields that there are instead, before the provider would answer with an error."""
    fields: dict[str, list[tuple[dict[str, Any], str, str]]] = {
        "titan": [
            ({"inPaintingParams": {"image": "iVBOR"}}, "inPaintingParams", "inpaint"),
            ({"textToImageParams": {"similarityStrength": 0.5}}, "textToImageParams.similarityStrength", "variation"),
            ({"textToImageParams": {"returnMask": True}}, "textToImageParams.returnMask", "inpaint, outpaint"),
        ],
        "nova_canvas": [
            ({"virtualTryOnParams": {"maskType": "PROMPT"}}, "virtualTryOnParams", "virtual_try_on"),
            ({"textToImageParams": {"colors": ["#112233"]}}, "textToImageParams.colors", "color_guided"),
            ({"textToImageParams": {"cfgScale": 7}}, "textToImageParams.cfgScale", "textToImageParams"),
        ],
        "sdxl": [
            ({"init_image_mode": "IMAGE_STRENGTH"}, "init_image_mode", "image_to_image"),
            ({"init_image": "iVBOR"}, "init_image", "image_to_image, inpaint"),
            ({"mask_source": "MASK_IMAGE_WHITE"}, "mask_source", "inpaint"),
        ],
        "stability": [({"mode": "text-to-image"}, "mode", "Core")] if "core" in model.id else [],
    }
    for native, path, owner in fields[model.family]:
        error = refusal(model, native=native)
        assert error.parameter == path
        assert owner in str(error)
        assert error.allowed
        assert path.rpartition(".")[2] not in error.allowed.split(", ")


CANVAS, TITAN, XL = "amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0", "stability.stable-diffusion-xl-v1"
SD35 = "stability.sd3-5-large-v1:0"


@pytest.mark.parametrize(
    ("id", "path", "value", "nearest"),
    [
        (CANVAS, "imageGenerationConfig.cfgScale", 99, "10"),
        (CANVAS, "imageGenerationConfig.width", 1000, "992"),
        (CANVAS, "imageGenerationConfig.height", 4112, "4096"),
        (CANVAS, "imageGenerationConfig.numberOfImages", 6, "5"),
        (TITAN, "imageGenerationConfig.width", 768, "896x1152"),
        (TITAN, "imageGenerationConfig.quality", "PREMIUM", "premium"),
        (CANVAS, "textToImageParams.style", "photorealism", "PHOTOREALISM"),
        (CANVAS, "textToImageParams.controlStrength", True, None),
        (CANVAS, "textToImageParams.conditionImage", "data:image/png;base64,iVBOR", None),
        (CANVAS, "textToImageParams.conditionImage", "", None),
        (CANVAS, "textToImageParams.negativeText", "x" * 1025, None),
        (CANVAS, "textToImageParams.text", None, None),
        (XL, "cfg_scale", float("nan"), None),
        (XL, "cfg_scale", -1e30, "0"),
        (XL, "steps", 151, "150"),
        (XL, "steps", 30.0, None),
        (XL, "width", 1000, "1024"),
        (XL, "width", 1216, "1152x896"),
        (XL, "sampler", "k_euler", "K_EULER"),
        (XL, "text_prompts", [], None),
        (XL, "text_prompts", "an otter", None),
        (SD35, "aspect_ratio", "4:3", "5:4"),
        (SD35, "output_format", "JPEG", "jpeg"),
        (SD35, "negative_prompt", 7, None),
    ],
)
def test_a_native_value_is_held_against_the_catalogue(id: str, path: str, value: Any, nearest: str | None) -> None:
    """The error names the field as it was written, what is allowed and what is nearest."""
    outer, _, leaf = path.rpartition(".")
    error = refusal(known(id), native={outer: {leaf: value}} if outer else {leaf: value})
    assert (error.parameter, error.nearest) == (path, nearest)
    assert str(error).startswith(f"{path}: ")
    assert error.allowed
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ([{"weight": 1}], "text_prompts[0].text"),
        ([{"text": "an otter"}, {"text": "people", "weight": "x"}], "text_prompts[1].weight"),
        (["an otter", {"text": "people"}], "text_prompts[0]"),
        ([{"text": "x" * 2001}], "text_prompts[0].text"),
    ],
)
def test_the_place_in_a_list_is_named(entries: list[Any], path: str) -> None:
    """And an entry's fields with it."""
    assert refusal(known(XL), native={"text_prompts": entries}).parameter == path


def test_sides_are_judged_together_with_those_that_are_parameters() -> None:
    """The pair that would be sent has to be one that is offered, whoever said which half of it."""
    assert refusal(known(XL), size=(1152, 896), native={"width": 1216}).nearest == "1152x896"
    (call,) = direct(known(XL), size=(1152, 896), native={"width": 896, "height": 1152})
    assert (call.width, call.height) == (896, 1152)
    for sides in ({"width": 4096, "height": 1008}, {"width": 2048, "height": 2064}):
        assert (
            refusal(known(CANVAS), native={"imageGenerationConfig": sides}).parameter == "imageGenerationConfig.width"
        )
    preview = known("stability.stable-diffusion-xl-v0")
    direct(preview, native={"width": 576, "height": 1024})  # its sizes are not known: the provider decides
    assert refusal(preview, native={"width": 500}).nearest == "512"


def test_secrets_and_prompts_stand_in_no_error() -> None:
    """A text that is too long, or in the wrong place, is counted and not shown."""
    for params in ({"negativeText": "my secret" * 200}, {"style": "my secret" * 9}, {"conditionImage": ["my secret"]}):
        assert "secret" not in str(refusal(known(CANVAS), native={"textToImageParams": params}))


@every_model
@pytest.mark.parametrize("value", ["none", None, 7, [1], True])
def test_where_an_object_is_needed_nothing_else_is_sent(model: Model, value: Any) -> None:
    """Whether our own words put something into that object or not."""
    for name in {"sdxl": ("extras",), "stability": ()}.get(
        model.family, ("imageGenerationConfig", "textToImageParams", "inPaintingParams")
    ):
        error = refusal(model, native={name: value})
        assert error.parameter == "native"
        assert str(error) == f"native: {name} must be an object ({model.id})"


@sdxls
@pytest.mark.parametrize(
    "entries",
    [
        [{"text": "an otter"}, {"text": "people", "weight": -1}],
        ({"weight": -0.5, "text": "people"}, {"text": "on ice", "weight": 0.2}, {"text": "an otter", "weight": 0.7}),
    ],
)
def test_a_list_that_holds_the_prompts_contradicts_nothing(model: Model, entries: Any) -> None:
    """Neither a warning nor a refusal; the list is sent as it is."""
    (call,) = direct(model, negative_prompt="people", native={"text_prompts": entries}, strict=True)
    assert call.body["text_prompts"] == list(entries)


@sdxls
@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"text": "an otter", "weight": -1}, {"text": "people"}], {"prompt", "negative_prompt"}),
        ([{"text": "an otter"}, {"text": "people"}], {"negative_prompt"}),
        ([{"text": "a seal"}, {"text": "people", "weight": -1}], {"prompt"}),
        ([{"text": "a seal"}], {"prompt", "negative_prompt"}),
    ],
)
def test_a_list_that_lacks_a_prompt_is_said_to(model: Model, entries: Any, said: set[str]) -> None:
    """Also where it stands with the other sign."""
    (call,) = direct(model, negative_prompt="people", native={"text_prompts": entries})
    assert {warning.parameter for warning in call.warnings} == said


@amazons
def test_a_far_fetched_choice_is_not_offered(model: Model) -> None:
    """Words that merely share letters are no hint; what was misspelt or shortened still gets one."""
    if "style" not in next(iter(model.tasks.values())).fields:
        return
    nearest = {
        word: refusal(model, style=word).nearest for word in ("anime", "film", "origami", "photo", "desgin sketch")
    }
    assert nearest == {
        "anime": None,
        "film": None,
        "origami": None,
        "photo": "PHOTOREALISM",
        "desgin sketch": "DESIGN_SKETCH",
    }


CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "sides": st.sampled_from([(1024, 1024), (1152, 768), (512, 512), (1000, 1000), (128, 512)]),
        "quality": st.sampled_from(["standard", "premium", "low"]),
        "numberOfImages": st.integers(1, 7),
        "seed": st.integers(0, 2**31 - 2) | st.just(2**32 - 1),
        "cfgScale": st.sampled_from([1.5, 7, 12]),
        "someNewField": st.sampled_from([1, None, {"deep": []}]),
    },
).map(lambda config: {key: value for key, value in config.items() if key != "sides"} | sides_of(config))
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "text": st.just("an otter"),
        "negativeText": st.sampled_from(["people", " "]),
        "style": st.sampled_from(["PHOTOREALISM", "photographic", "vivid"]),
        "conditionImage": st.just("iVBOR"),
    },
)
PROMPTS = st.lists(
    st.fixed_dictionaries(
        {"text": st.sampled_from(["an otter", "people"])}, optional={"weight": st.sampled_from([1, -1, 0.5])}
    ),
    max_size=2,
).map(lambda entries: [{"text": "an otter"}, *entries])
FLAT = st.dictionaries(st.sampled_from([*sorted(OF_STABILITY | OF_SDXL), "brand_new"]), st.just("an otter"), max_size=2)
REQUESTS = st.fixed_dictionaries(
    {"strict": st.booleans()},
    optional={
        "imageGenerationConfig": CONFIG,
        "textToImageParams": PARAMS,
        "text_prompts": PROMPTS,
        "native": FLAT | st.fixed_dictionaries({"imageGenerationConfig": CONFIG, "seed": st.just(3)}),
        "seed": st.sampled_from([0, 3]),
        "steps": st.just(30),
    },
)


def sides_of(config: Mapping[str, Any]) -> dict[str, int]:
    return dict(zip(("width", "height"), config.get("sides", ()), strict=False))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(MODELS), REQUESTS)
def test_every_body_is_of_one_dialect_and_nothing_is_lost(model: Model, params: dict[str, Any]) -> None:
    """Each thing given is in the bodies, in a warning, or in the error; no field is another family's."""
    try:
        request = build_request("an otter", **params)
        calls = family_for(model).prepare(request, model)
    except InvalidRequest as error:
        refused, calls = error, ()
    if not calls:
        assert refused.parameter is not None
        assert refused.parameter in str(refused) or " disagree" in str(refused)
        assert str(refused).isprintable()
        return
    keys = set().union(*(every_key(call.body) for call in calls))
    foreign = {
        "sdxl": OF_AMAZON | OF_STABILITY,
        "stability": OF_AMAZON | OF_SDXL,
    }.get(model.family, OF_STABILITY | OF_SDXL)
    assert not keys & foreign
    warned = {warning.parameter for call in calls for warning in (*request.warnings, *call.warnings)}
    for name, value in given_in(params):
        assert name.rpartition(".")[2] in warned or name in warned or is_sent(model, calls, name, value, warned)


def given_in(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for name, value in params.items():
        if name == "native":
            found += given_in(value)
        elif name in ("imageGenerationConfig", "textToImageParams"):
            found += [(f"{name}.{key}", item) for key, item in value.items()]
        elif name != "strict":
            found.append((name, value))
    return found


_WORDS = {
    "width": {"size"},
    "height": {"size"},
    "cfgScale": {"cfg_scale"},
    "numberOfImages": {"n"},
    "negativeText": {"negative_prompt"},
}


def is_sent(model: Model, calls: tuple[Call, ...], path: str, value: Any, warned: set[str | None]) -> bool:
    name = path.rpartition(".")[2]
    if _WORDS.get(name, set()) & warned:
        return True
    body = calls[0].body
    if name == "numberOfImages":
        return bool(sum(call.images for call in calls) == value)
    if name == "seed":
        return bool(calls[0].seed == value)
    if name in ("width", "height") and model.family == "stability":
        return "aspect_ratio" in body
    if name == "quality" and model.family not in AMAZON:
        return bool(value == "standard")
    if name == "text_prompts":
        written = orjson.dumps(body).decode()
        return all(entry["text"] in written for entry in value)
    inside = body.get(path.partition(".")[0]) if model.family in AMAZON and "." in path else body
    values = [inside.get(name)] if isinstance(inside, Mapping) and name in inside else list(flat(body))
    return any(item == value or str(item).lower() == str(value).lower() for item in values)


def flat(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for part in value.values() for leaf in flat(part)]
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, list) else [value]
