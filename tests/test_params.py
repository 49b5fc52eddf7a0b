"""Parameter names of every dialect become one request, and nothing given is lost."""

from __future__ import annotations

import enum
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.options import OPTIONS
from lascaux.providers.param_names import IGNORED, NAMES, SPECIAL, reader
from lascaux.providers.param_native import CONTAINERS, LIFTED, MISSPELT, NATIVE_NAMES
from lascaux.providers.param_pictures import PICTURE_NAMES
from lascaux.providers.param_values import shown
from lascaux.providers.params import build_request
from lascaux.providers.types import ImageRequest, Task

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM80W3FgA0wMeAAg1MCADqzAZ3F7ZLKAAAAAElFTkSuQmCC"
"""An 8x8 PNG."""


def otter(**params: Any) -> ImageRequest:
    return build_request("an otter", **params)


def test_a_prompt_alone_is_a_request_with_nothing_given() -> None:
    """Every field that was not given is None, so that the model's own default applies."""
    assert otter() == ImageRequest(prompt="an otter")


@pytest.mark.parametrize("name", sorted({*NAMES, *PICTURE_NAMES, *NATIVE_NAMES, *IGNORED, *SPECIAL} - {"strict"}))
def test_none_is_not_given(name: str) -> None:
    """Clients fill in None for what their users left out."""
    assert otter(**{name: None}) == ImageRequest(prompt="an otter")


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("size", "1024x768", "size", (1024, 768)),
        ("size", "1024X768", "size", (1024, 768)),
        ("size", " 1024 × 768 ", "size", (1024, 768)),
        ("size", "128x512", "size", (128, 512)),
        ("size", (1024, 768), "size", (1024, 768)),
        ("size", ["1024", 768.0], "size", (1024, 768)),
        ("size", "auto", "size", None),
        ("size", "AUTO", "size", None),
        ("aspect_ratio", "16:9", "aspect_ratio", "16:9"),
        ("aspect_ratio", "21:9", "aspect_ratio", "21:9"),
        ("aspect_ratio", " 04:5 ", "aspect_ratio", "4:5"),
        ("aspect_ratio", "auto", "aspect_ratio", None),
        ("n", 3, "n", 3),
        ("n", "3", "n", 3),
        ("numberOfImages", 3, "n", 3),
        ("number_of_images", 3, "n", 3),
        ("num_images", 3, "n", 3),
        ("samples", 3, "n", 3),
        ("seed", 0, "seed", 0),
        ("seed", "30", "seed", 30),
        ("seed", 30.0, "seed", 30),
        ("seed", 4_294_967_295, "seed", 4_294_967_295),
        ("quality", "standard", "quality", "standard"),
        ("quality", "medium", "quality", "standard"),
        ("quality", "premium", "quality", "premium"),
        ("quality", "HD", "quality", "premium"),
        ("quality", "high", "quality", "premium"),
        ("quality", "auto", "quality", None),
        ("style", "vivid", "style", "vivid"),
        ("style_preset", "anime", "style", "anime"),
        ("negative_prompt", "people", "negative_prompt", "people"),
        ("negativeText", "people", "negative_prompt", "people"),
        ("negative_text", "people", "negative_prompt", "people"),
        ("negativePrompt", "people", "negative_prompt", "people"),
        ("cfg_scale", 7, "cfg_scale", 7.0),
        ("cfgScale", "6.5", "cfg_scale", 6.5),
        ("cfgScale", Decimal("6.5"), "cfg_scale", 6.5),
        ("steps", 30, "steps", 30),
        ("sampler", "DDIM", "sampler", "DDIM"),
        ("clip_guidance_preset", "NONE", "clip_guidance_preset", "NONE"),
        ("output_format", "jpg", "output_format", "jpeg"),
        ("output_format", "PNG", "output_format", "png"),
        ("output_compression", 0, "output_compression", 0),
        ("background", "transparent", "background", "transparent"),
        ("background", "auto", "background", None),
        ("task", Task.INPAINT, "task", Task.INPAINT),
        ("task", "text_to_image", "task", Task.TEXT_TO_IMAGE),
        ("task", "search-replace", "task", Task.SEARCH_REPLACE),
        ("mode", "image-to-image", "task", Task.IMAGE_TO_IMAGE),
        ("mode", "image_generation", "task", Task.TEXT_TO_IMAGE),
        ("taskType", "TEXT_IMAGE", "task", Task.TEXT_TO_IMAGE),
        ("taskType", "INPAINTING", "task", Task.INPAINT),
        ("taskType", "OUTPAINTING", "task", Task.OUTPAINT),
        ("taskType", "IMAGE_VARIATION", "task", Task.VARIATION),
        ("taskType", "COLOR_GUIDED_GENERATION", "task", Task.COLOR_GUIDED),
        ("taskType", "BACKGROUND_REMOVAL", "task", Task.REMOVE_BACKGROUND),
        ("taskType", "VIRTUAL_TRY_ON", "task", Task.VIRTUAL_TRY_ON),
    ],
)
def test_every_dialect_is_understood_without_a_warning(name: str, value: Any, field: str, expected: Any) -> None:
    """The value arrives in our words; a number in a string is still that number."""
    request = otter(**{name: value})
    assert getattr(request, field) == expected
    assert type(getattr(request, field)) is type(expected)
    assert request.warnings == ()


def test_values_of_other_number_types_are_plain_in_the_request() -> None:
    """NumPy's integers have an index, an enum's member is a string: what is sent is an int and a str."""

    class Index:
        def __index__(self) -> int:
            return 7

    class Word(str, enum.Enum):  # noqa: UP042  # the older kind prints differently, which is the point
        DDIM = "DDIM"

    request = otter(seed=Index(), sampler=Word.DDIM, cfg_scale=Fraction(13, 2), native={"word": Word.DDIM})
    assert (request.seed, request.sampler, request.cfg_scale) == (7, "DDIM", 6.5)
    assert type(request.sampler) is str
    assert type(request.native["word"]) is str


def test_width_and_height_are_a_size() -> None:
    """And agree with a size that says the same."""
    assert otter(width=1024, height="768").size == (1024, 768)
    assert otter(size="1024x768", width=1024, height=768).size == (1024, 768)


def test_size_and_ratio_may_say_the_same_to_different_models() -> None:
    """1344x768 is as near to 16:9 as SDXL's sizes come."""
    request = otter(size="1344x768", aspect_ratio="16:9")
    assert (request.size, request.aspect_ratio) == ((1344, 768), "16:9")


@pytest.mark.parametrize(
    ("name", "value", "warning"),
    [
        ("quality", "low", "quality: low became standard, the nearest of the two levels there are"),
        ("quality", "MAX", "quality: max became premium, the nearest of the two levels there are"),
        ("quality", "xhigh", "quality: xhigh became premium, the nearest of the two levels there are"),
        ("response_format", "url", "response_format: ignored: pictures are returned as base64, there is no url"),
        ("user", "u-1", "user: ignored: it is not sent to the provider"),
        ("safety_identifier", "s-1", "safety_identifier: ignored: it is not sent to the provider"),
        ("moderation", "low", "moderation: ignored: the provider's filters can not be loosened"),
        ("partial_images", 2, "partial_images: ignored: pictures arrive whole"),
        ("input_fidelity", "high", "input_fidelity: ignored: there is no input picture"),
        ("complexity", {"level": 3}, "complexity: ignored: no model has it"),
        ("markup", DOT, "markup: ignored: no model reads marks on a picture; a mask says where to edit"),
        (
            "svg",
            {"model": "gpt-5.5", "reasoning": {"effort": "low"}},
            "svg: ignored: no model draws SVG",
        ),
        ("frame_count", 8, "frame_count: ignored: one still picture is made"),
        ("frame_duration_ms", 40, "frame_duration_ms: ignored: one still picture is made"),
        ("negativeText", " ", "negativeText: ignored: it is empty"),
    ],
)
def test_what_is_adapted_or_ignored_is_said_and_strict_refuses_it(name: str, value: Any, warning: str) -> None:
    """One warning each; with strict the same words are an error."""
    request = otter(**{name: value})
    assert [str(one) for one in request.warnings] == [warning]
    assert request.warnings[0].code == ("adapted" if name == "quality" else "ignored")
    for strictly in ({"strict": True}, {"extra_body": {"strict": True}}):
        with pytest.raises(InvalidRequest) as caught:
            otter(**{name: value}, **strictly)
        assert str(caught.value) == f"{warning}; strict allows no such change"
        assert caught.value.parameter == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_format", "b64_json"),
        ("moderation", "auto"),
        ("partial_images", 0),
        ("stream", False),
        ("stream", "false"),
        ("frame_count", 1),
        ("user", ""),
        ("extra_headers", {}),
        ("extra_body", {}),
        ("native", {}),
    ],
)
def test_values_that_ask_for_nothing_are_silent(name: str, value: Any) -> None:
    """They would change nothing anywhere, so there is nothing to warn of, even when strict."""
    assert otter(strict=True, **{name: value}) == ImageRequest(prompt="an otter", strict=True)


def test_guardrails_by_any_name() -> None:
    """The id and the version, which may be a number."""
    ours = otter(guardrail_id="gr1", guardrail_version="DRAFT")
    theirs = otter(guardrailIdentifier="gr1", guardrailVersion=3)
    assert (ours.guardrail_id, ours.guardrail_version) == ("gr1", "DRAFT")
    assert (theirs.guardrail_id, theirs.guardrail_version) == ("gr1", "3")
    arn = "arn:aws-us-gov:bedrock:us-gov-west-1:111122223333:guardrail/gr1"
    assert otter(guardrail_id=arn, guardrail_version=1).guardrail_id == arn


def test_extra_body_is_unpacked_as_the_openai_client_does() -> None:
    """As if its fields had been given at top level; the same value twice is fine."""
    request = otter(n=2, extra_body={"samples": 2, "seed": 5, "native": {"extras": {"a": 1}}, "prompt": "an otter"})
    assert request == ImageRequest(prompt="an otter", n=2, seed=5, native={"extras": {"a": 1}})


def test_provider_objects_are_merged_and_read() -> None:
    """At top level, in ``native`` and in ``extra_body``: what every model knows is a parameter, the rest is native."""
    request = otter(
        imageGenerationConfig={"width": 512, "height": 512, "someNewField": {"a": 1}},
        native={"imageGenerationConfig": {"cfgScale": 8, "width": 512, "seed": 7, "quality": "premium"}},
        extra_body={
            "imageGenerationConfig": {"numberOfImages": 2, "someNewField": {"b": None}},
            "textToImageParams": {"text": "an otter", "negativeText": "people", "style": "PHOTOREALISM"},
        },
        strict=True,
    )
    assert request == otter(
        size="512x512",
        cfg_scale=8,
        seed=7,
        quality="premium",
        n=2,
        negative_prompt="people",
        style="PHOTOREALISM",
        task="text_to_image",
        native={"imageGenerationConfig": {"someNewField": {"a": 1, "b": None}}},
        strict=True,
    )


def test_what_is_read_from_provider_objects_is_treated_like_any_parameter() -> None:
    """Adapted and ignored with the same warnings, read from the same spellings; null is not given."""
    request = otter(
        imageGenerationConfig={"quality": "low", "seed": "30", "cfgScale": None, "numberOfImages": 2.0},
        textToImageParams={"negativeText": " ", "style": None},
        native={"taskType": None, "text_prompts": None},
    )
    assert (request.quality, request.seed, request.cfg_scale, request.n) == ("standard", 30, None, 2)
    assert request.native == {}
    assert {(one.code, one.parameter) for one in request.warnings} == {
        ("adapted", "imageGenerationConfig.quality"),
        ("ignored", "textToImageParams.negativeText"),
    }


def test_one_side_alone_stays_the_providers_word() -> None:
    """A model's own default completes it; with a size or the other side given elsewhere it is part of that."""
    alone = otter(imageGenerationConfig={"width": 512, "height": None})
    assert (alone.size, alone.native) == (None, {"imageGenerationConfig": {"width": 512}})
    for request in (
        otter(imageGenerationConfig={"width": 512}, size="512x768"),
        otter(imageGenerationConfig={"width": 512}, height=768),
    ):
        assert (request.size, request.native) == ((512, 768), {})


def test_a_native_seed_is_the_seed_wherever_it_stands() -> None:
    """Further pictures count on from it, so it can not be left where it would be sent again."""
    assert otter(native={"seed": 7}, n=3) == otter(seed=7, n=3)
    assert otter(native={"seed": "x"}).native == {"seed": "x"}


def test_other_native_fields_stay_as_they_are() -> None:
    """They are one provider's, and it decides about them."""
    native = {"aspect_ratio": "16:9", "samples": 1, "imageGenerationConfig": "none", "brand_new": [1]}
    assert otter(native=native) == ImageRequest(prompt="an otter", native=native)


def test_native_and_parameters_may_say_the_same() -> None:
    """In either's words."""
    request = otter(
        n=2,
        quality="hd",
        size="512x512",
        negative_prompt="people",
        imageGenerationConfig={"numberOfImages": 2, "quality": "premium", "width": 512, "height": 512},
        textToImageParams={"text": "an otter", "negativeText": "people"},
    )
    assert (request.n, request.quality, request.size) == (2, "premium", (512, 512))


def test_native_is_a_copy() -> None:
    """What the caller does to their dict afterwards does not reach the request."""
    mine: dict[str, Any] = {"extras": {"list": [1]}}
    request = otter(native=mine)
    mine["extras"]["list"].append(2)
    assert request.native == {"extras": {"list": [1]}}


@pytest.mark.parametrize(("name", "task"), [(name, task) for name, task in CONTAINERS.items() if task])
def test_a_tasks_own_parameters_say_which_task_it_is(name: str, task: Task) -> None:
    """Without taskType, beside the right one, and inside native."""
    assert otter(**{name: {"seam": 1}}).task is task
    assert otter(**{name: {"seam": 1}}, task=task).task is task
    assert otter(native={name: {"seam": 1}}).task is task


def test_native_task_names_count() -> None:
    """A body that names a task is that task."""
    assert otter(native={"taskType": "INPAINTING"}).task is Task.INPAINT
    assert otter(native={"mode": "image-to-image"}).task is Task.IMAGE_TO_IMAGE
    assert otter(native={"taskType": None}).task is Task.TEXT_TO_IMAGE
    assert otter(native={"taskType": "TEXT_IMAGE", "mode": "text-to-image"}).native == {}


def test_color_guided_as_in_litellm_documentation() -> None:
    """The colours are an option, so that any model that can do it may answer; the prompt is the text."""
    request = otter(taskType="COLOR_GUIDED_GENERATION", colorGuidedGenerationParams={"colors": ["#FFFFFF"]})
    assert request == otter(colors=["#ffffff".upper()])
    assert (request.task, request.native) == (Task.COLOR_GUIDED, {})
    assert request.options == {"colors": ("#FFFFFF",)}


@pytest.mark.parametrize(
    "entries",
    [
        [{"text": "an otter", "weight": 1}, {"text": "people", "weight": -1}],
        [{"text": "people", "weight": -1.0}, {"text": "an otter"}],
    ],
)
def test_a_list_of_prompt_and_negative_prompt_is_just_that(entries: list[dict[str, Any]]) -> None:
    """Any model can be asked for it."""
    assert otter(text_prompts=entries) == otter(negative_prompt="people")
    assert otter(text_prompts=entries, negative_prompt="people", strict=True).native == {}
    assert otter(text_prompts=[{"text": "an otter"}], negative_prompt="people") == otter(negative_prompt="people")


@pytest.mark.parametrize(
    "entries",
    [
        [{"text": "an otter", "weight": 0.5}],
        [{"text": "an otter", "weight": True}],
        [{"text": "an otter", "weight": None}],
        [{"text": "an otter"}, {"text": "on ice"}],
        [{"text": "an otter"}, {"text": "an otter"}],
        [{"text": "an otter"}, {"text": "people", "weight": -1}, {"text": "cars", "weight": -1}],
        [{"text": "an otter"}, {"text": "people", "weight": -0.5}],
        [{"text": "an otter"}, {"text": "", "weight": -1}],
        [{"text": "an otter", "size": 1}],
        [{"text": "an otter"}, "people"],
    ],
)
def test_weighted_prompts_stay_sdxls(entries: list[Any]) -> None:
    """What only its own list can say is left as it is, if the prompt is part of it."""
    request = otter(text_prompts=entries)
    assert (request.native, request.negative_prompt, request.warnings) == ({"text_prompts": entries}, None, ())


def test_shown_is_short_and_never_fails() -> None:
    """Whatever it is given: endless, unprintable, hostile."""

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    class Long:
        def __repr__(self) -> str:
            return "long\n" * 1000

    for value in (Hostile(), Long(), "\ud800\0\x1b[31m" * 99, 10**5000, [[["x" * 99] * 99] * 99] * 99, {"k" * 999: 1}):
        words = shown(value)
        assert len(words) <= 80
        assert words.isprintable()


LONG = "loooong " * 60
WORDS = [
    *("auto", "1024x1024", "1:1", "16:9", "low", "hd", "png", "url", "b64_json", "TEXT_IMAGE", "inpaint", "true"),
    *(DOT, "#FFFFFF", "CANNY_EDGE", "white", "high", "on", "0.5", "UPPER_BODY"),
    *("", " ", "an otter", "5", "-5", "1e3", "nan", "\ud800", "a\0b", LONG, "DRAFT", "gr1"),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 20),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=20),
    st.binary(max_size=4),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from([*NAMES, "text", "prompt", "x", LONG]), inner, max_size=3),
        st.dictionaries(SCALARS, inner, max_size=1),
    ),
    max_leaves=6,
)
KNOWN = sorted({*NAMES, *PICTURE_NAMES, *NATIVE_NAMES, *IGNORED, *SPECIAL} - {"strict"})
PARAMS = st.dictionaries(st.one_of(st.sampled_from(KNOWN), st.text(max_size=12)), VALUES, max_size=4).filter(
    lambda params: "self" not in params
)


@settings(max_examples=600, deadline=None)
@given(PARAMS, st.booleans())
def test_anything_is_a_request_or_an_invalid_request(params: dict[str, Any], strict: bool) -> None:
    """Never another error; no long quotation; and each thing given can be found again."""
    request, error = attempt(strict, params)
    if request is None:
        assert error is not None
        assert error.parameter is not None
        assert str(error).isprintable()
        assert LONG[:200] not in str(error)
        assert len(str(error)) < 700
        return
    json.dumps(dict(request.native), allow_nan=False).encode()
    request.prompt.encode()
    assert not (strict and request.warnings)
    given_pairs = {**params, **(params.get("extra_body") or {})}
    for name, value in given_pairs.items():
        assert value is None or is_visible(request, name, value), (name, value, request)


def attempt(strict: bool, params: dict[str, Any]) -> tuple[ImageRequest | None, InvalidRequest | None]:
    try:
        return build_request("an otter", strict=strict, **params), None
    except InvalidRequest as error:
        return None, error


def is_visible(request: ImageRequest, name: str, value: Any) -> bool:
    if name in {warning.parameter for warning in request.warnings}:
        return True
    if name in NAMES:
        return is_held(request, name, value)
    if name in PICTURE_NAMES:
        return getattr(request, PICTURE_NAMES[name]) not in (None, ())
    if name in NATIVE_NAMES:
        return is_native(request, name, value)
    if name == "native":
        return all(is_native(request, key, item) for key, item in value.items())
    if name in IGNORED:
        return bool(IGNORED[name].read(name, value) == IGNORED[name].silent)
    if name == "prompt":
        return bool(value == request.prompt)
    return name in SPECIAL and (not value or name in ("extra_body", "strict") or value == "false")


def is_held(request: ImageRequest, name: str, value: Any) -> bool:
    field = {"width": "size", "height": "size"}.get(NAMES[name], NAMES[name])
    read = reader(name)(name, value)
    held: Any = request.options.get(field) if field in OPTIONS else getattr(request, field)
    return read is None or held == read or (field == "size" and read in held)


def is_native(request: ImageRequest, key: str, value: Any) -> bool:
    key = MISSPELT.get(key, key)
    if key in request.native and (key not in LIFTED or not isinstance(value, dict)):
        return True
    if key in LIFTED and isinstance(value, dict):
        kept, warned = request.native.get(key, {}), {warning.parameter for warning in request.warnings}
        return all(
            item is None or inner in kept or f"{key}.{inner}" in warned or is_said(request, inner, item)
            for inner, item in value.items()
        )
    if key == "text_prompts" and value is not None:
        return {entry["text"] for entry in value} <= {request.prompt, request.negative_prompt}
    return value is None or is_said(request, key, value)


def is_said(request: ImageRequest, name: str, value: Any) -> bool:
    if name in PICTURE_NAMES:
        return getattr(request, PICTURE_NAMES[name]) not in (None, ())
    return bool(value == request.prompt) if name == "text" else is_held(request, name, value)
