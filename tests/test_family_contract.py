"""What every family promises for every model it serves."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lascaux.providers.bedrock.families import FAMILIES, family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import BadResponse, ContentFiltered, InvalidRequest, Unavailable
from lascaux.providers.fake import PICTURE
from lascaux.providers.types import Call, Delivery, ImageRequest, ImageResult, Task

SERVED = {family.name for family in FAMILIES}
MODELS = [model for model in Catalog.load().models() if model.family in SERVED and Task.TEXT_TO_IMAGE in model.tasks]
OTHERS = [model for model in Catalog.load().models() if model.family not in SERVED]
AMAZON = ("titan", "nova_canvas")
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)


def prepare(model: Model, **fields: Any) -> tuple[Call, ...]:
    return family_for(model).prepare(ImageRequest(**{"prompt": "red kite over dunes", **fields}), model)


def refusal(model: Model, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepare(model, **fields)
    return caught.value


def parse(call: Call, payload: Any) -> ImageResult:
    model = Catalog.load().find(call.model)
    assert model is not None
    return family_for(model).parse(call, payload, request_id="r-1")


def seed_in(call: Call) -> Any:
    config = call.body.get("imageGenerationConfig", {}) if call.family in AMAZON else call.body
    return config.get("seed")


def good_answer(call: Call) -> dict[str, Any]:
    if call.family in AMAZON:
        return {"images": [PICTURE] * call.images}
    if call.family == "sdxl":
        return {"result": "success", "artifacts": [{"seed": 9, "base64": PICTURE, "finishReason": "SUCCESS"}]}
    return {"seeds": [9], "finish_reasons": [None], "images": [PICTURE]}


@every_model
def test_a_prompt_alone_is_enough(model: Model) -> None:
    """The smallest request makes one call whose facts are those of the model, and whose body is JSON."""
    (call,) = prepare(model)
    assert (call.model, call.family, call.task, call.images) == (model.id, model.family, Task.TEXT_TO_IMAGE, 1)
    assert call.warnings == ()
    assert call.headers == {}
    assert "red kite over dunes" in orjson.dumps(call.body).decode()
    assert seed_in(call) is None
    assert call.seed is None
    assert model.seed is not None
    assert call.effective_seed == model.seed.omitted
    assert call.reproducible is (model.seed.omitted is not None)


@every_model
def test_a_request_is_not_touched_and_the_answer_is_always_the_same(model: Model) -> None:
    """Families are pure: the same request gives equal calls, and its native fields stay as they were."""
    native = {"list": {"x": [1]}, "deep": {"er": {"a": 1}}}
    before = copy.deepcopy(native)
    request = ImageRequest(prompt="a", n=3, seed=5, native=native)
    family = family_for(model)
    assert family.prepare(request, model) == family.prepare(request, model)
    for call in family.prepare(request, model):
        body: Any = call.body
        body["deep"]["er"]["a"] = 2
        body["list"]["x"].append(2)
    assert native == before


@every_model
@pytest.mark.parametrize("n", range(1, 11))
def test_n_pictures_are_shared_out(model: Model, n: int) -> None:
    """The calls make n pictures in all, none more than the model makes per call, each from another seed."""
    calls = prepare(model, n=n, seed=30)
    assert sum(call.images for call in calls) == n
    assert all(1 <= call.images <= model.images_per_call for call in calls)
    assert len(calls) == -(-n // model.images_per_call)
    before = 0
    for call in calls:
        assert (seed_in(call), call.seed, call.effective_seed) == (30 + before, 30 + before, 30 + before)
        assert call.reproducible
        assert call.warnings == ()
        before += call.images


@every_model
@pytest.mark.parametrize("n", [0, 11, -1, 10**9, 1.0, "2", None, True])
def test_n_out_of_range_is_refused(model: Model, n: Any) -> None:
    """One to ten pictures per request, as in OpenAI's API."""
    error = refusal(model, n=n)
    assert (error.parameter, error.allowed) == ("n", "1 to 10")


@every_model
def test_fan_out_is_no_reason_to_refuse_when_strict(model: Model) -> None:
    """Several calls for several pictures are what was asked for, with and without a seed."""
    assert sum(call.images for call in prepare(model, n=10, strict=True)) == 10
    assert sum(call.images for call in prepare(model, n=10, seed=1, strict=True)) == 10


@every_model
def test_without_a_seed_no_two_calls_draw_the_same(model: Model) -> None:
    """Where an omitted seed is fixed, later calls are sent others, and the caller is told."""
    calls = prepare(model, n=10)
    assert model.seed is not None
    if model.seed.omitted is None:
        assert [seed_in(call) for call in calls] == [None] * 10
        assert not any(call.reproducible or call.warnings for call in calls)
    else:
        fixed = model.seed.omitted
        assert [seed_in(call) for call in calls] == [None, fixed + 5]
        assert [call.effective_seed for call in calls] == [fixed, fixed + 5]
        assert {warning.parameter for call in calls for warning in call.warnings} == {"seed"}


@every_model
def test_seeds_start_again_after_the_largest(model: Model) -> None:
    """Counting past the largest seed never leaves the range and never reaches a random 0."""
    facts = model.seed
    assert facts is not None
    seeds = [call.seed for call in prepare(model, n=10, seed=facts.max)]
    assert len(set(seeds)) == len(seeds)
    assert all(seed is not None and 0 <= seed <= facts.max for seed in seeds)
    assert seeds[0] == facts.max
    assert seeds[1] == (1 if facts.zero_is_random else 4)


@every_model
def test_seed_zero_is_what_the_model_makes_of_it(model: Model) -> None:
    """Zero is an ordinary seed on Amazon's models; on Stability's it is random, so it stays 0 and is not cached."""
    calls = prepare(model, n=2, seed=0)
    assert model.seed is not None
    if model.seed.zero_is_random:
        assert [(call.seed, call.effective_seed, call.reproducible) for call in calls] == [(0, None, False)] * 2
        said = f"seed: 0 lets this model choose; 1 to {model.seed.max} are repeatable"
        assert [str(warning) for warning in calls[0].warnings] == [said]
        assert prepare(model, seed=0, strict=True)[0].warnings == calls[0].warnings
    else:
        assert [(call.seed, call.effective_seed, call.reproducible) for call in calls] == [(0, 0, True)]
        assert calls[0].warnings == prepare(model, n=2, seed=0, strict=True)[0].warnings == ()


@every_model
@pytest.mark.parametrize("seed", [-1, 2**32, 2**70, 1.5, "7", False])
def test_a_seed_out_of_range_is_refused(model: Model, seed: Any) -> None:
    """The error names the range and the nearest seed."""
    error = refusal(model, seed=seed)
    assert model.seed is not None
    assert error.parameter == "seed"
    assert error.allowed == f"0 to {model.seed.max}"
    if type(seed) is int:
        assert error.nearest == ("0" if seed < 0 else str(model.seed.max))


@every_model
def test_a_native_seed_is_a_seed(model: Model) -> None:
    """A seed among the native fields counts like any other, and wins over the parameter with a warning."""
    native = {"imageGenerationConfig": {"seed": 7}} if model.family in AMAZON else {"seed": 7}
    calls = prepare(model, n=6, native=native)
    assert calls[0].seed == 7
    assert len({call.seed for call in calls}) == len(calls)
    (call,) = prepare(model, seed=8, native=native)
    assert call.seed == 7
    assert [(warning.code, warning.parameter) for warning in call.warnings] == [("adapted", "seed")]
    assert refusal(model, seed=8, native=native, strict=True).parameter == "seed"


@every_model
def test_a_native_seed_that_is_none_is_refused(model: Model) -> None:
    """By the name of the field, as it was written, with the nearest seed where it is a number."""
    assert model.seed is not None
    for seed, nearest in (("x", None), (None, None), (1.5, None), (-1, "0"), (model.seed.max + 1, str(model.seed.max))):
        amazon = model.family in AMAZON
        error = refusal(model, n=6, native={"imageGenerationConfig": {"seed": seed}} if amazon else {"seed": seed})
        assert (error.parameter, error.nearest) == ("imageGenerationConfig.seed" if amazon else "seed", nearest)
        assert error.allowed == f"a whole number from 0 to {model.seed.max}"


@every_model
def test_the_prompt_has_a_length(model: Model) -> None:
    """The longest prompt passes; one character more, or none at all, is refused with the limit and the length."""
    assert model.prompt_max is not None
    assert model.negative_prompt_max is not None
    prepare(model, prompt="x" * model.prompt_max, negative_prompt="x" * model.negative_prompt_max)
    for parameter, limit in (("prompt", model.prompt_max), ("negative_prompt", model.negative_prompt_max)):
        error = refusal(model, **{parameter: "x" * (limit + 1)})
        assert error.parameter == parameter
        assert error.allowed == f"at most {limit} characters"
        assert f"{limit + 1} characters" in str(error)
    for prompt in ("", "  \n", None, 7):
        assert refusal(model, prompt=prompt).parameter == "prompt"
    assert refusal(model, prompt="\ud800").parameter == "prompt"


@every_model
def test_guardrails_are_two_headers_or_none(model: Model) -> None:
    """Half a guardrail would be no guardrail, so it is refused; so is what could break a header."""
    calls = prepare(model, n=2, guardrail_id="gr-1", guardrail_version="DRAFT")
    for call in calls:
        assert call.headers == {
            "X-Amzn-Bedrock-GuardrailIdentifier": "gr-1",
            "X-Amzn-Bedrock-GuardrailVersion": "DRAFT",
        }
    assert refusal(model, guardrail_id="gr-1").parameter == "guardrail_version"
    assert refusal(model, guardrail_version="1").parameter == "guardrail_id"
    assert refusal(model, guardrail_id="a\r\nX-Evil: 1", guardrail_version="1").parameter == "guardrail_id"


@pytest.mark.parametrize("model", OTHERS, ids=lambda model: model.id)
def test_models_without_a_family_are_refused_by_name(model: Model) -> None:
    """The preview model is known, and known not to be served."""
    with pytest.raises(InvalidRequest, match="this version does not serve") as caught:
        family_for(model)
    assert caught.value.parameter == "model"
    assert model.id in str(caught.value)


@every_model
@pytest.mark.parametrize("value", ["transparent", "Transparent"])
def test_a_transparent_background_is_said_to_be_impossible(model: Model, value: str) -> None:
    """Opaque and auto are what these models do; transparent is left out with a warning, or refused."""
    assert prepare(model, background="auto", strict=True)[0].warnings == ()
    assert prepare(model, background="opaque", strict=True)[0].warnings == ()
    (warning,) = prepare(model, background=value)[0].warnings
    assert (warning.code, warning.parameter) == ("ignored", "background")
    assert refusal(model, background=value, strict=True).nearest == "opaque"
    assert refusal(model, background="blue").allowed == "auto, opaque, transparent"


@every_model
def test_formats_are_sent_where_they_are_offered(model: Model) -> None:
    """The model makes what it can (jpg is jpeg), the rest is to be converted, even if strict; other words are refused."""
    for asked, made in (("png", "png"), ("JPG", "jpeg"), ("jpeg", "jpeg"), ("webp", "webp")):
        (call,) = prepare(model, output_format=asked, strict=True)
        assert call.warnings == ()
        assert call.delivery == Delivery(format=made)
        told = made in model.output_formats and model.family == "stability"
        assert call.body.get("output_format") == (made if told else None)
        makes = model.output_formats == ("png",) or model.id.startswith("stability.sd3-5")
        assert call.format == (made if told else "png" if makes else None)
    assert prepare(model)[0].delivery is None
    assert refusal(model, output_format="gif").allowed == "png, jpeg, webp"
    assert refusal(model, output_format="pgn").nearest == "png"


@every_model
def test_compression_is_for_files_that_lose_something(model: Model) -> None:
    """It goes with jpeg and webp; png is none of them, which is said, and is what comes when nothing is asked for."""
    (call,) = prepare(model, output_format="jpg", output_compression=40, strict=True)
    assert (call.delivery, call.warnings) == (Delivery(format="jpeg", quality=40), ())
    for asked in ({}, {"output_format": "png"}):
        (call,) = prepare(model, output_compression=40, **asked)
        assert [(warning.code, warning.parameter) for warning in call.warnings] == [("ignored", "output_compression")]
        assert refusal(model, output_compression=40, strict=True, **asked).nearest == "jpeg"
    assert refusal(model, output_compression=101, output_format="webp").nearest == "100"
    assert refusal(model, output_compression=True, output_format="webp").allowed == "0 to 100"


@every_model
def test_unknown_native_fields_pass_untouched(model: Model) -> None:
    """What we do not know is for the provider to judge."""
    (call,) = prepare(model, native={"brand_new": {"field": [1, {"x": None}]}})
    assert call.body["brand_new"] == {"field": [1, {"x": None}]}
    assert call.warnings == ()


@every_model
def test_native_fields_may_be_read_only(model: Model) -> None:
    """Any mapping will do; the body is made of plain objects."""
    (call,) = prepare(model, native=MappingProxyType({"x": MappingProxyType({"y": (1, 2)})}))
    assert call.body["x"] == {"y": [1, 2]}
    orjson.dumps(call.body)


@every_model
def test_a_model_without_seeds_is_served_too(model: Model) -> None:
    """A seed is then left out with a warning, and no call is reproducible."""
    seedless = replace(model, seed=None)
    calls = prepare(seedless, n=6, seed=1)
    assert all(
        (seed_in(call), call.seed, call.effective_seed, call.reproducible) == (None, None, None, False)
        for call in calls
    )
    assert [(one.code, one.parameter) for one in calls[0].warnings] == [("ignored", "seed")]
    assert refusal(seedless, seed=1, strict=True).parameter == "seed"


@every_model
@pytest.mark.parametrize("native", [{"x": object()}, {"x": {1}}, {"x": 2**80}, {7: "x"}, {"x": "\ud800"}])
def test_native_fields_must_be_json(model: Model, native: Any) -> None:
    """What can not be sent is refused before anything is sent."""
    assert refusal(model, native=native).parameter == "native"


@every_model
@pytest.mark.parametrize("native", [None, [], "x", 7])
def test_native_must_be_an_object(model: Model, native: Any) -> None:
    """Anything but an object of fields is refused."""
    assert refusal(model, native=native).parameter == "native"


@every_model
def test_good_answers_become_pictures(model: Model) -> None:
    """Each picture carries its seed; nothing is missing and nothing is warned of."""
    for call in prepare(model, n=6, seed=40):
        found = parse(call, good_answer(call))
        assert len(found.images) == call.images
        assert found.missing == ()
        assert found.warnings == ()
        assert found.request_id == "r-1"
        expected = call.effective_seed if call.family in AMAZON else 9
        assert {image.seed for image in found.images} == {expected}
        assert (found.images[0].format, found.images[0].width, found.images[0].finish_reason) == ("png", 8, "success")


@every_model
@pytest.mark.parametrize("junk", [None, "", 7, "####", "R0lGODlhAQABAAAAACw=", ["x"], {"a": 1}, "iVBORw0KGgo="])
def test_what_is_not_a_picture_is_a_bad_response(model: Model, junk: Any) -> None:
    """Nulls, numbers, broken base64 and other files in a picture's place fail, and may have been billed."""
    (call,) = prepare(model)
    answer = orjson.loads(orjson.dumps(good_answer(call)).replace(f'"{PICTURE}"'.encode(), orjson.dumps(junk)))
    with pytest.raises(BadResponse) as caught:
        parse(call, answer)
    assert caught.value.may_be_billed
    assert caught.value.request_id == "r-1"


@every_model
@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"images": None},
        {"images": []},
        {"images": "x"},
        {"images": {}},
        {"artifacts": None},
        {"artifacts": [None]},
        {"artifacts": [], "result": "success"},
        {"seeds": [1], "finish_reasons": [None]},
        [],
        None,
        "x",
    ],
)
def test_an_answer_without_pictures_is_a_bad_response(model: Model, payload: Any) -> None:
    """Whatever is absent or of the wrong type, the error says so instead of a traceback."""
    (call,) = prepare(model)
    with pytest.raises(BadResponse):
        parse(call, payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(PICTURE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "images": JSON | st.lists(st.just(PICTURE) | JSON, max_size=6),
        "error": JSON,
        "seeds": JSON | st.lists(st.integers() | st.text(max_size=4), max_size=3),
        "finish_reasons": JSON
        | st.lists(st.none() | st.just("Filter reason: prompt") | st.text(max_size=9), max_size=3),
        "result": JSON,
        "artifacts": JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "seed": JSON,
                    "base64": st.just(PICTURE) | JSON,
                    "finishReason": st.sampled_from(["SUCCESS", "ERROR", "CONTENT_FILTERED"]) | JSON,
                },
            ),
            max_size=3,
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(MODELS), st.integers(1, 5), ANSWERS)
def test_any_answer_is_a_result_or_a_known_error(model: Model, n: int, payload: Any) -> None:
    """No JSON can make a family raise anything but the three errors, or hand out what is not a picture."""
    call = prepare(model, n=n)[0]
    try:
        found = parse(call, payload)
    except (ContentFiltered, Unavailable, BadResponse) as error:
        message = str(error)
    else:
        message = ""
        check_result(call, found, payload)
    assert "\n" not in message
    assert len(message) < 600


def check_result(call: Call, found: ImageResult, payload: Mapping[str, Any]) -> None:
    assert found.images
    assert all(image.format == "png" for image in found.images)
    assert len(found.images) + len(found.missing) >= call.images
    if found.missing or len(found.images) > call.images:
        assert {warning.code for warning in found.warnings} <= {"filtered", "may_be_billed"}
        assert found.warnings
    elif not payload.get("error"):
        assert found.warnings == ()


def words(*known: str) -> st.SearchStrategy[str]:
    return st.sampled_from(known) | st.text(max_size=12)


REQUESTS = st.fixed_dictionaries(
    {"prompt": st.text(max_size=40), "strict": st.booleans()},
    optional={
        "negative_prompt": st.text(max_size=20),
        "size": st.tuples(st.integers(-1, 70_000), st.integers(-1, 70_000))
        | st.sampled_from([(1024, 1024), (512, 512), (128, 512), (1280, 720)]),
        "aspect_ratio": words("1:1", "16:9", "4:3", "1.5:1", "0:1", "9:21"),
        "n": st.integers(-1, 12),
        "seed": st.integers(-5, 2**33),
        "quality": words("standard", "premium"),
        "style": words("vivid", "natural", "photographic", "photorealism", "Design Sketch"),
        "cfg_scale": st.floats() | st.integers(-1, 40),
        "steps": st.integers(-1, 200),
        "sampler": words("DDIM", "k_euler"),
        "clip_guidance_preset": words("NONE", "fast blue"),
        "output_format": words("png", "jpg", "webp"),
        "output_compression": st.integers(0, 100),
        "background": words("auto", "opaque", "transparent"),
        "guardrail_id": st.text(max_size=6),
        "guardrail_version": st.text(max_size=6),
        "native": st.dictionaries(
            words("seed", "width", "prompt", "imageGenerationConfig", "taskType"), JSON, max_size=3
        )
        | JSON.map(lambda value: {"imageGenerationConfig": {"numberOfImages": value, "seed": value, "width": value}}),
    },
)

_FULFILLED = {
    "quality": ("standard",),  # what a model of one quality does anyway
    "background": ("auto", "opaque"),
    "output_format": ("png",),
}
_PLACE = {
    "prompt": ("text", "text_prompts", "prompt"),
    "negative_prompt": ("negativeText", "text_prompts", "negative_prompt"),
    "size": ("width", "aspect_ratio"),
    "aspect_ratio": ("width", "aspect_ratio"),
    "n": ("numberOfImages",),
    "style": ("style", "style_preset"),
    "cfg_scale": ("cfgScale", "cfg_scale"),
}


def every_key(body: Mapping[str, Any]) -> set[str]:
    return set(body).union(*(every_key(value) for value in body.values() if isinstance(value, Mapping)))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.sampled_from(MODELS), REQUESTS)
def test_nothing_is_dropped_silently(model: Model, fields: dict[str, Any]) -> None:
    """Whatever is asked, each parameter stands in the body, in a warning, or in an InvalidRequest."""
    request = ImageRequest(**fields)
    family = family_for(model)
    try:
        calls = family.prepare(request, model)
    except InvalidRequest as error:
        refused, calls = error, ()
    if not calls:
        assert refused.parameter is not None
        written_by = {*fields, *fields.get("native", ()), "guardrail_id", "guardrail_version", "taskType"}
        assert refused.parameter.partition(".")[0] in written_by
        assert refused.parameter in str(refused)
        return
    warned = {warning.parameter for call in calls for warning in call.warnings}
    keys = every_key(calls[0].body)
    delivery = calls[0].delivery or Delivery()
    for parameter, value in fields.items():
        if parameter == "output_format" and delivery.format == value.replace("jpg", "jpeg"):
            continue
        if parameter == "output_compression" and delivery.quality == value:
            continue
        if parameter in ("strict", "native", "guardrail_id", "guardrail_version") or parameter in warned:
            continue
        plain = value.strip().lower() if isinstance(value, str) else value
        if plain in _FULFILLED.get(parameter, ()) or (parameter == "negative_prompt" and not value):
            continue
        if parameter == "n" and (value == 1 or len(calls) == value):
            continue
        assert keys & set(_PLACE.get(parameter, (parameter,))), (parameter, value, calls[0].body)
    if request.strict:
        assert warned <= {"seed"}
    for call in calls:
        orjson.dumps(call.body)
        assert call.images >= 1


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODELS), st.sampled_from(["size", "style", "cfg_scale", "steps", "n", "quality", "native"]), JSON
)
def test_wrong_types_are_invalid_requests(model: Model, parameter: str, value: Any) -> None:
    """Even a request that breaks its own types never becomes a traceback."""
    assume(value is not None)
    try:
        prepare(model, **{parameter: value})
    except InvalidRequest as error:
        refused = error.parameter
    else:
        return
    assert refused is not None
