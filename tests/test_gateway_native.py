"""Bedrock's bodies, names and answers without a server: every documented body is understood and rewritten as it was."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import sys
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux import Config
from lascaux.gateway.errors import Refused
from lascaux.gateway.forms import read_fields
from lascaux.gateway.native_answer import Reply, failed, served
from lascaux.gateway.native_control import model_summaries, profile_summaries
from lascaux.gateway.native_names import offers, resolve
from lascaux.gateway.native_request import Dialect, read_invocation
from lascaux.gateway.resends import Resends
from lascaux.pricing import Cost
from lascaux.providers.bedrock.families import family_for
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.errors import (
    ConnectionBroken,
    ConnectionFailed,
    ContentFiltered,
    CredentialsError,
    InvalidRequest,
    LascauxError,
    ModelRetired,
    ModelTimeout,
    Rejected,
    Throttled,
    Unavailable,
)
from lascaux.providers.params import build_request
from lascaux.providers.pictures import Sources
from lascaux.providers.types import Image, Missing
from lascaux.router.errors import AttemptsFailed, DeadlineExceeded, NoDeploymentAvailable, UnknownAlias
from lascaux.router.records import Attempt, Result

CATALOG = Catalog.load()
CORE, CANVAS, OUTPAINT = "stability.stable-image-core-v1:1", "amazon.nova-canvas-v1:0", "stability.stable-outpaint-v1:0"
OPAQUE = "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/a0a0a0a0a0a0"


def wire_examples() -> ModuleType:
    """The neighbouring test's pictures and comparisons."""
    path = Path(__file__).parent / "test_wire_examples.py"
    spec = importlib.util.spec_from_file_location("wire_examples_of_native", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WIRE = wire_examples()
PICTURES = {**WIRE.PICTURES, **{name: WIRE.png(*colours) for name, colours in WIRE.MASKS.items()}}
CASES = [
    pytest.param(example, CATALOG.find(id), id=f"{id.partition('.')[2]}-{example['task']}-{place}")
    for place, example in enumerate(WIRE.EXAMPLES)
    for id in example["models"]
]
DIALECTS = {"titan": "amazon", "nova_canvas": "amazon", "sdxl": "sdxl"}


def given_in(value: Any) -> Any:
    """A body with pictures in place of their names."""
    if isinstance(value, dict):
        return {name: given_in(item) for name, item in value.items()}
    if isinstance(value, list):
        return [given_in(item) for item in value]
    return base64.b64encode(PICTURES[value]).decode() if isinstance(value, str) and value in PICTURES else value


@pytest.mark.parametrize(("example", "model"), CASES)
def test_every_documented_body_reaches_its_model_unchanged(example: Mapping[str, Any], model: Model) -> None:
    """Read as a request and written again: the same body in one call; of SDXL's seed 0 it is said that it is none."""
    asked = read_invocation(model.id, orjson.dumps(given_in(example["body"])))
    assert asked.dialect == DIALECTS.get(model.family, "stability")
    request = build_request(asked.prompt, Sources(files=False), tuple(model.able), **asked.params)
    (call,) = family_for(model).prepare(request, model)
    assert WIRE.leaves(dict(call.body)) == WIRE.leaves(WIRE.expected(example))
    assert [warning.parameter for warning in call.warnings] == (["seed"] if request.seed == 0 else [])


def test_the_body_decides_the_dialect_and_the_model_where_it_does_not() -> None:
    """Whatever model is named: an alias says nothing about words."""
    amazon = b'{"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "x"}}'
    assert read_invocation(CORE, amazon).dialect is Dialect.AMAZON
    assert read_invocation(CANVAS, b'{"prompt": "x"}').dialect is Dialect.STABILITY
    assert read_invocation("hero", b'{"text_prompts": [{"text": "x"}]}').dialect is Dialect.SDXL
    assert read_invocation(CANVAS, b"{}").dialect is Dialect.AMAZON
    with pytest.raises(InvalidRequest, match="taskType"):
        read_invocation("hero", b'{"words": "x"}')


def test_only_fields_of_a_body_become_parameters() -> None:
    """Names of ours that no body has (tenant, cache, n) reach the model as they are, for it to refuse."""
    asked = read_invocation(CORE, b'{"prompt": "x", "tenant": "a", "cache": false, "n": 3, "seed": null}')
    assert asked.params == {"native": {"tenant": "a", "cache": False, "n": 3}}
    alone = read_invocation("hero", b'{"text_prompts": [{"text": "x"}], "width": 512}')
    assert alone.params["native"] == {"width": 512}


@pytest.mark.parametrize(
    "body",
    [
        b"{}" * 10_000_000,
        b'{"a": [' + b"{}," * 5_000_000 + b"{}]}",
        b"[" * 20_000_001,
        b'{"prompt": ["' + b"," * 20_000,
    ],
    ids=["objects", "list", "depth", "commas"],
)
def test_a_body_of_very_many_values_is_refused_before_it_is_read(body: bytes) -> None:
    """By both kinds of addresses, at once, and without the memory that its values would take."""
    tracemalloc.start()
    with pytest.raises(InvalidRequest, match="too many values") as native:
        read_invocation(CORE, body)
    with pytest.raises(Refused, match="too many values") as ours:
        read_fields("application/json", body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
    assert failed(native.value, None, "id").status == ours.value.status == 400


def test_a_large_picture_and_a_long_prompt_are_no_many_values() -> None:
    """Base64 has no commas, and a prompt is all commas at most once."""
    body = orjson.dumps({"prompt": "a, " * 3000, "image": "A" * 20_000_000})
    assert len(read_invocation(CORE, body).prompt) == len(read_fields("", body)["prompt"]) == 9000


def test_a_list_of_prompts_has_an_end() -> None:
    """Before it is gone through."""
    prompts = [{"text": "", "weight": 1}] * 100
    assert read_invocation("hero", orjson.dumps({"text_prompts": [*prompts[1:], {"text": "x"}]})).prompt == "x"
    with pytest.raises(InvalidRequest, match="at most 100"):
        read_invocation("hero", orjson.dumps({"text_prompts": [*prompts, {"text": "x"}]}))


def test_headers_say_more() -> None:
    """A guardrail is handed on; a way to run that image models do not have is refused."""
    guarded = {"x-amzn-bedrock-guardrailidentifier": "abc", "x-amzn-bedrock-guardrailversion": "2"}
    assert read_invocation(CORE, b'{"prompt": "x"}', guarded).params == {
        "guardrail_id": "abc",
        "guardrail_version": "2",
    }
    with pytest.raises(InvalidRequest, match="standard only"):
        read_invocation(CORE, b'{"prompt": "x"}', {"x-amzn-bedrock-performanceconfig-latency": "optimized"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = """
    prompt image mask seed mode text_prompts taskType textToImageParams imageGenerationConfig inPaintingParams native n
    width messages task strict extra_body init_image style_image samples
"""
NAMES = st.sampled_from(FIELDS.split())


@given(st.dictionaries(NAMES, JSON, max_size=4), st.sampled_from([CORE, CANVAS, OUTPAINT, "hero", ""]))
def test_any_json_is_read_or_refused(document: dict[str, Any], model_id: str) -> None:
    """No other error, whatever stands in it."""
    try:
        asked = read_invocation(model_id, orjson.dumps(document))
        build_request(asked.prompt, Sources(files=False), (), **asked.params)
    except InvalidRequest:
        return
    assert asked.dialect in Dialect


def result(images: int = 1, **more: Any) -> Result:
    facts: dict[str, Any] = {
        "alias": "hero",
        "images": tuple(Image("AAAA", seed=7 + place) for place in range(images)),
        "model": CORE,
        "model_id": CORE,
        "deployment": "core",
        "region": "us-west-2",
        "cost": Cost(usd=Decimal("0.04"), unit_usd=Decimal("0.04"), images=images, table="t"),
        "cache": "miss",
        "duration": 1.2345,
    }
    return Result(**facts | more)


def test_answers_have_the_shape_of_their_dialect() -> None:
    """With the mask where one was asked for, and every gap at its place."""
    mask = Image("BBBB")
    gap = Missing(index=0, reason="filtered", message="blocked")
    assert body(served(result(2, mask=mask), Dialect.AMAZON, "id")) == {"images": ["AAAA", "AAAA"], "maskImage": "BBBB"}
    told = body(served(result(missing=(gap,)), Dialect.AMAZON, "id"))
    assert told["error"].startswith("Some of the generated images")
    assert body(served(result(missing=(gap,)), Dialect.SDXL, "id"))["artifacts"] == [
        {"seed": None, "base64": "", "finishReason": "CONTENT_FILTERED"},
        {"seed": 7, "base64": "AAAA", "finishReason": "SUCCESS"},
    ]
    whole = {"seeds": [7], "finish_reasons": [None], "images": ["AAAA"]}
    assert body(served(result(), Dialect.STABILITY, "id")) == whole
    seedless = replace(result(), images=(Image("AAAA"),))
    assert "seeds" not in body(served(seedless, Dialect.STABILITY, "id"))


def body(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(bytes(reply.body))
    return found


def test_headers_are_bedrocks_and_ours() -> None:
    """The latency in milliseconds; a warning in any script fits into ASCII."""
    headers = served(result(), Dialect.STABILITY, "the-id").headers
    assert headers["x-amzn-requestid"] == "the-id"
    assert headers["x-amzn-bedrock-invocation-latency"] in ("1234", "1235")
    assert headers["x-lascaux-cost-usd"] == "0.04"
    assert all(value.isascii() for value in headers.values())


def attempt(error: LascauxError | None, *, billed: bool = False, outcome: str = "x") -> Attempt:
    facts: dict[str, Any] = {"ordinal": 1, "part": 0, "alias": "hero", "deployment": "core", "model": CORE}
    facts |= {"model_id": CORE, "region": "us-west-2", "task": "text_to_image", "images": 1, "started": 0.0}
    return Attempt(**facts, duration=1.0, outcome=outcome, error=error, may_be_billed=billed)


def after(*attempts: Attempt) -> AttemptsFailed:
    return AttemptsFailed("every attempt failed", attempts=attempts, retry_after=3.0)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("seed is wrong"), 400, "ValidationException"),
        (Rejected("ValidationException (HTTP 400): no"), 400, "ValidationException"),
        (ContentFiltered("no", stage="prompt"), 400, "ValidationException"),
        (UnknownAlias("none"), 404, "ResourceNotFoundException"),
        (ModelRetired("gone"), 404, "ResourceNotFoundException"),
        (Throttled("slow"), 429, "ThrottlingException"),
        (NoDeploymentAvailable("none"), 503, "ServiceUnavailableException"),
        (Unavailable("down"), 503, "ServiceUnavailableException"),
        (ConnectionFailed("down"), 503, "ServiceUnavailableException"),
        (ModelTimeout("late"), 408, "ModelTimeoutException"),
        (DeadlineExceeded("late"), 408, "ModelTimeoutException"),
        (ConnectionBroken("lost"), 424, "ModelErrorException"),
        (Unavailable("down", may_be_billed=True), 424, "ModelErrorException"),
        (CredentialsError("arn:aws:iam::111122223333:user/x may not"), 424, "ModelErrorException"),
        (after(attempt(Throttled("slow"))), 429, "ThrottlingException"),
        (after(attempt(ConnectionBroken("x"), billed=True), attempt(Throttled("slow"))), 424, "ModelErrorException"),
        (after(attempt(None, outcome="ok"), attempt(Throttled("slow"))), 424, "ModelErrorException"),
        (Refused("x", status=429, code="insufficient_quota"), 400, "ServiceQuotaExceededException"),
        (Refused("x", status=429, code="rate_limit_exceeded", retry_after=2.0), 429, "ThrottlingException"),
        (Refused("x", status=401, code="invalid_api_key"), 403, "AccessDeniedException"),
        (RuntimeError("a fault of ours"), 424, "ModelErrorException"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_errors_have_bedrocks_types(error: Exception, status: int, kind: str) -> None:
    """What may have been billed never has a status that SDKs send again, and nothing of an account is told."""
    reply = failed(error, Dialect.AMAZON, "id", name="hero")
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, kind)
    message = body(reply)["message"]
    assert message
    assert "111122223333" not in message
    assert "fault of ours" not in message
    if getattr(error, "may_be_billed", False):
        assert reply.status in (408, 424)
    if status == 429:
        assert ("retry-after" in reply.headers) == (getattr(error, "retry_after", None) is not None)


CONFIG = Config.from_mapping(
    {
        "deployments": {
            "core": {"model": CORE, "region": "us-west-2"},
            "canvas": {"model": CANVAS, "regions": ["us-east-1", "eu-west-1"]},
            "team": {"model": CANVAS, "inference_profile": OPAQUE},
            "out": {"model": f"us.{OUTPAINT}", "region": "us-east-1"},
        },
        "aliases": {
            "hero": {"deployments": ["core", "canvas"]},
            "both": {"deployments": ["canvas"]},
            "*": {"match": "bedrock/*"},
        },
    }
)


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("hero", "hero"),
        ("canvas-eu-west-1", "canvas-eu-west-1"),
        (CORE, "core"),
        (CANVAS, "both"),
        (f"arn:aws:bedrock:eu-west-1::foundation-model/{CANVAS}", "canvas-eu-west-1"),
        (OPAQUE, "team"),
        (OUTPAINT, "out"),
        (f"us.{OUTPAINT}", "out"),
        (f"arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.{OUTPAINT}", "out"),
        ("arn:aws:bedrock:us-west-2:000000000000:application-inference-profile/hero", "hero"),
        ("bedrock/stability.sd3-5-large-v1:0", "bedrock/stability.sd3-5-large-v1:0"),
        ("stability.sd3-5-large-v1:0", "bedrock/stability.sd3-5-large-v1:0"),
    ],
)
def test_a_model_id_leads_to_an_alias_of_that_model_only(model_id: str, name: str) -> None:
    """The one with most deployments; an ARN to its region; the rest passes through where the configuration lets it."""
    assert resolve(CONFIG, model_id) == name


def test_a_caller_is_led_to_what_it_may_use() -> None:
    """Though another alias has more deployments."""
    assert resolve(CONFIG, CANVAS, lambda name: name == "canvas-us-east-1") == "canvas-us-east-1"


def test_an_unknown_name_is_told_what_there_is() -> None:
    """Of what the caller may use."""
    plain = Config.from_mapping({"deployments": {"core": {"model": CORE, "region": "us-west-2"}}})
    for model_id in (CANVAS, "nobody", "x" * 3000, "arn:aws:bedrock:", OPAQUE, "../core", ""):
        with pytest.raises(UnknownAlias, match="there are: core"):
            resolve(plain, model_id)
    with pytest.raises(UnknownAlias, match="there are: none"):
        resolve(plain, CANVAS, lambda name: False)


def test_lists_hold_what_the_names_lead_to() -> None:
    """Each model once, each alias as a profile; filters as AWS's."""
    names, today = offers(CONFIG), date(2026, 11, 22)
    models = model_summaries(CONFIG, names, today, {})["modelSummaries"]
    assert [one["modelId"] for one in models] == [CORE, CANVAS, OUTPAINT]
    assert model_summaries(CONFIG, names, today, {"byProvider": "nobody"})["modelSummaries"] == []
    assert model_summaries(CONFIG, ["core"], today, {})["modelSummaries"][0]["modelId"] == CORE
    found = profile_summaries(CONFIG, names, {})["inferenceProfileSummaries"]
    assert [one["inferenceProfileId"] for one in found] == ["hero", "both", f"us.{OUTPAINT}"]


def test_sendings_of_one_call_share_its_answer() -> None:
    """While it is made and for a moment after; an answer that asks to come again is made anew; memory is bounded."""
    now, made = 0.0, 0
    statuses = iter([200, 503, 200, 200, 200])

    async def make() -> Reply:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return Reply(status=next(statuses), body=b"x" * 60)

    async def play() -> None:
        nonlocal now
        resends = Resends(lambda: now, keep=10, max_bytes=100)
        both = await asyncio.gather(resends.once("a", make), resends.once("a", make))
        assert both[0] is both[1] is await resends.once("a", make)
        assert made == 1
        assert (await resends.once("b", make)).status == 503
        assert (await resends.once("b", make)).status == 200
        assert resends.bytes == 60, "the older one made room"
        now = 11.0
        await resends.once("b", make)
        assert made == 4
        await resends.once(None, make)
        assert made == 5

    asyncio.run(play())


def test_a_sending_whose_client_has_gone_is_carried_out() -> None:
    """What has begun is paid for: the next sending gets it."""
    gate = asyncio.Event()

    async def make() -> Reply:
        await gate.wait()
        return Reply(status=200, body=b"made")

    async def play() -> None:
        resends = Resends(lambda: 0.0)
        first = asyncio.ensure_future(resends.once("a", make))
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.ensure_future(resends.once("a", make))
        await asyncio.sleep(0)
        gate.set()
        assert (await second).body == b"made"

    asyncio.run(play())
