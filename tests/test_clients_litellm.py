"""LiteLLM's SDK in its own interpreter, with a gateway process as its OpenAI endpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lascaux.tests.clients.scenes import MISTAKES, TROUBLES, VALUES, Mistake, Trouble
from lascaux.tests.clients.stage import PLAIN, Driver, Facts, Stage, png

CLASSES = {
    "alias": "APIError",  # 403: LiteLLM has no class for it where the provider is OpenAI
    "filter": "ContentPolicyViolationError",
}
OUTAGES = {502: "BadGatewayError", 503: "ServiceUnavailableError"}
OWN_AFFAIRS = {"style", "response_format"}
"""What LiteLLM itself refuses to send to a model that OpenAI does not have; in ``extra_body`` it goes through."""


@pytest.fixture(params=["called", "awaited"])
def play(request: pytest.FixtureRequest, drivers: Callable[[str], Driver]) -> Callable[..., Facts]:
    """Plays an order with LiteLLM's functions, or with those that are awaited."""
    drive = drivers("litellm")
    awaited: dict[str, Any] = {"awaited": True} if request.param == "awaited" else {}
    return lambda do, **order: drive(do, **awaited, **order)


@pytest.fixture
def drive(drivers: Callable[[str], Driver]) -> Driver:
    """LiteLLM's functions."""
    return drivers("litellm")


def written(folder: Path, name: str, data: bytes) -> str:
    """The path of a picture."""
    (folder / f"{name}.png").write_bytes(data)
    return str(folder / f"{name}.png")


def test_pictures(play: Callable[..., Facts], request: pytest.FixtureRequest) -> None:
    """With a field of ours in ``extra_body``; LiteLLM keeps the gateway's headers."""
    params = {"model": "hero", "prompt": request.node.name, "n": 2, "size": "1024x1024"}
    facts = play("generate", params=params, extra={"seed": 30})
    assert [picture.size for picture in facts.pictures] == [(1024, 1024)] * 2
    assert len(set(facts.digests)) == facts.billed == 2
    assert sorted(call.body["seed"] for call in facts.calls if call.body) == [30, 31]
    headers = facts.answer["headers"]
    told = {name: headers[f"llm_provider-x-lascaux-{name}"] for name in ("deployment", "cost-usd", "seed")}
    assert told == {"deployment": "core", "cost-usd": "0.08", "seed": "30"}
    assert facts.sent == ["/v1/images/generations"]


@pytest.mark.parametrize(("params", "said"), VALUES, ids=lambda value: "-".join(map(str, value.values())) or "any")
def test_legal_values_of_all_times_are_taken(drive: Driver, params: dict[str, Any], said: dict[str, Any]) -> None:
    """By LiteLLM's own parameters, or in ``extra_body`` where LiteLLM knows none for the model."""
    extra = {name: value for name, value in params.items() if name in OWN_AFFAIRS}
    plain = {name: value for name, value in params.items() if name not in OWN_AFFAIRS}
    facts = drive("generate", params={"model": "hero", "prompt": "legal", **plain}, extra=extra)
    assert {name: facts.answer[name] for name in said} == said
    assert facts.answer["size"] == f"{facts.pictures[0].width}x{facts.pictures[0].height}"
    assert facts.billed == 1


def test_an_edit_changes_what_its_mask_marks(
    play: Callable[..., Facts], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """LiteLLM sends one picture as ``image[]``."""
    facts = play(
        "edit",
        params={"model": "fill", "prompt": request.node.name},
        images=[written(tmp_path, "plain", png())],
        mask=written(tmp_path, "mask", png(hole=(64, 64, 192, 192))),
        extra={"seed": 4, "grow_mask": 0},
    )
    picture = facts.pictures[0].convert("RGB")
    places = [(x, y) for x in range(0, 320, 8) for y in range(0, 320, 8)]
    painted = {place for place in places if picture.getpixel(place) != PLAIN}
    assert painted == {(x, y) for x, y in places if 64 <= x < 192 and 64 <= y < 192}
    assert [call.body["seed"] for call in facts.calls if call.body] == [4]
    assert facts.sent == ["/v1/images/edits"]


def test_several_pictures_go_into_one_edit(drive: Driver, tmp_path: Path) -> None:
    """All of them reach the model."""
    images = [written(tmp_path, "plain", png()), written(tmp_path, "other", png(colour=(200, 40, 40)))]
    facts = drive("edit", params={"model": "paint", "prompt": "an owl", "n": 2}, images=images, extra={"cache": False})
    (call,) = facts.calls
    assert call.body is not None
    assert len(set(call.body["imageVariationParams"]["images"])) == 2
    assert len(facts.pictures) == facts.billed == 2


def test_variations(drive: Driver, tmp_path: Path) -> None:
    """LiteLLM sends nothing but the picture, so the key's first alias is asked."""
    image = written(tmp_path, "plain", png(colour=(7, 7, 7)))
    facts = drive("variation", key="painter", params={"model": "paint"}, images=[image])
    assert [call.body["taskType"] for call in facts.calls if call.body] == ["IMAGE_VARIATION"]
    assert (len(facts.pictures), facts.sent) == (1, ["/v1/images/variations"])


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
@pytest.mark.parametrize("awaited", [False, True])
def test_mistakes_raise_the_class_that_is_documented(drive: Driver, mistake: Mistake, awaited: bool) -> None:
    """LiteLLM's own classes, which are OpenAI's as well; the gateway's words are in the message."""
    params = {"model": "hero", "prompt": "a mistake", **mistake.params}
    facts = drive(mistake.do, awaited=awaited, key=mistake.key, params=params, extra=mistake.extra)
    assert facts.error["classes"][0] == CLASSES.get(mistake.name, mistake.kind)
    assert facts.error["status"] == mistake.status
    if not awaited:  # these tell the words alone
        assert f"'code': '{mistake.code}'" in facts.error["message"]
        assert f"'param': {mistake.param!r}" in facts.error["message"]
    assert (facts.sent, facts.billed) == (["/v1/images/generations"], 0)


def test_a_key_that_asks_too_often(drive: Driver, stage: Stage, tmp_path: Path) -> None:
    """RateLimitError; an edit is not sent again by LiteLLM."""
    key, images = stage.lent(), [written(tmp_path, "plain", png())]
    order: dict[str, Any] = {"key": key, "params": {"model": "paint", "prompt": "often"}, "images": images}
    assert drive("edit", **order).billed == 1
    facts = drive("edit", **order)
    assert (facts.error["classes"][0], facts.error["status"], facts.billed) == ("RateLimitError", 429, 0)
    assert facts.sent == ["/v1/images/edits"]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_what_litellm_sends_again_is_paid_for_once(drive: Driver, stage: Stage, trouble: Trouble) -> None:
    """It sends up to three times, as OpenAI's client inside it does; its own ``max_retries`` does not reach there."""
    if trouble.name == "no patience at all":
        trouble = replace(trouble, rule={"kind": "delay", "latency": 4.0}, sent=3)
    if trouble.status == 503:
        trouble = replace(trouble, sent=3, calls=3)
    alias = stage.trouble(**trouble.rule) if trouble.rule else stage.fresh()
    stage.wire.cut = trouble.cut
    client = {name: value for name, value in trouble.client.items() if name == "timeout"}
    facts = drive("generate", params={"model": alias, "prompt": trouble.name}, client=client)
    assert (len(facts.calls), facts.billed) == (trouble.calls, trouble.billed)
    assert trouble.sent is None or len(facts.sent) == trouble.sent
    if trouble.kind is None:
        assert facts.pictures[0].size == (1024, 1024)
    elif trouble.kind == "APITimeoutError":
        assert facts.error["classes"][:2] == ["Timeout", "APITimeoutError"]
    else:
        assert facts.error["classes"][0] == OUTAGES[facts.error["status"]]


@pytest.mark.parametrize("trouble", [one for one in TROUBLES if one.billed == 1 and one.kind], ids=lambda one: one.name)
def test_litellms_router_pays_once_if_its_calls_have_names(drive: Driver, stage: Stage, trouble: Trouble) -> None:
    """It asks again whatever the gateway says, as if anew; an Idempotency-Key tells that it is the same call."""
    params = {"model": stage.trouble(**trouble.rule), "prompt": trouble.name}
    facts = drive("router", params=params, client=trouble.client, headers={"Idempotency-Key": trouble.name})
    assert len(facts.sent) > 1
    assert (len(facts.calls), facts.billed) == (1, 1)
