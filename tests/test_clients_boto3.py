"""boto3 in its own interpreter, ``endpoint_url`` at a gateway process: pictures, exceptions, retries, one bill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lascaux.tests.clients.stage import CANVAS, CORE, PLAIN, Driver, Facts, Stage, png
from PIL import Image

Play = Callable[..., Facts]
PROMPT = {"prompt": "An otter"}


@pytest.fixture
def play(drivers: Callable[[str], Driver]) -> Play:
    """Plays an order with boto3, signed with the pair that belongs to the key."""
    drive = drivers("boto3")

    def order(do: str, *, key: str = "all", id: str = "", **more: Any) -> Facts:
        return drive(do, key=key, id=id or f"ID-{key.upper()}", **more)

    return order


def test_pictures_of_both_makers(play: Play) -> None:
    """An alias and a model id, in Stability's words and in Amazon's."""
    facts = play("invoke", model="hero", body={**PROMPT, "seed": 30})
    assert (facts.answer["seeds"], facts.answer["finish_reasons"]) == ([30], [None])
    assert (facts.pictures[0].size, facts.answer["headers"]["x-lascaux-cost-usd"]) == ((1024, 1024), "0.04")
    again = play("invoke", model=CORE, body={**PROMPT, "seed": 30})
    assert (again.digests, again.billed) == (facts.digests, 0)
    body = {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "two otters"},
        "imageGenerationConfig": {"numberOfImages": 2, "width": 512, "height": 512, "seed": 7},
    }
    facts = play("invoke", model=CANVAS, body=body)
    assert [picture.size for picture in facts.pictures] == [(512, 512)] * 2
    assert [call.body for call in facts.calls] == [body]
    assert facts.sent == [f"/model/{CANVAS.replace(':', '%3A')}/invoke"]


def test_an_edit_changes_what_its_mask_marks(play: Play, tmp_path: Path) -> None:
    """White is what changes, as Stability says; not a pixel beside it."""
    (tmp_path / "plain.png").write_bytes(png())
    (tmp_path / "mask.png").write_bytes(png(colour=(255, 255, 255)))
    body = {**PROMPT, "image": f"file:{tmp_path / 'plain.png'}", "grow_mask": 0, "seed": 4}
    whole = play("invoke", model="fill", body={**body, "mask": f"file:{tmp_path / 'mask.png'}"})
    assert whole.pictures[0].convert("RGB").getpixel((10, 10)) != PLAIN
    mask = Image.new("L", (320, 320), 0)
    mask.paste(255, (64, 64, 192, 192))
    mask.save(tmp_path / "mask.png")
    facts = play("invoke", model="fill", body={**body, "mask": f"file:{tmp_path / 'mask.png'}"})
    picture = facts.pictures[0].convert("RGB")
    places = [(x, y) for x in range(0, 320, 8) for y in range(0, 320, 8)]
    painted = {place for place in places if picture.getpixel(place) != PLAIN}
    assert painted == {(x, y) for x, y in places if 64 <= x < 192 and 64 <= y < 192}
    assert facts.billed == 1


def test_models(play: Play) -> None:
    """What the key may use."""
    assert {CORE, CANVAS} <= set(play("models").answer["data"])
    assert play("models", key="narrow").answer["data"] == [CORE]


@pytest.mark.parametrize(
    ("order", "code", "status"),
    [
        ({"body": {**PROMPT, "seed": "x"}}, "ValidationException", 400),
        ({"model": "heroo"}, "ResourceNotFoundException", 404),
        ({"id": "ID-NOBODY"}, "UnrecognizedClientException", 403),
        ({"id": "ID-NARROW"}, "InvalidSignatureException", 403),
        ({"model": "paint", "key": "narrow"}, "AccessDeniedException", 403),
        ({"key": "poor"}, "ServiceQuotaExceededException", 400),
    ],
    ids=["field", "model", "stranger", "secret", "alias", "money"],
)
def test_mistakes_are_told_by_their_codes(play: Play, order: dict[str, Any], code: str, status: int) -> None:
    """Sent once, and nobody is paid."""
    facts = play("invoke", **{"model": "hero", "body": PROMPT, **order})
    assert (facts.error["code"], facts.error["status"], facts.error["retries"]) == (code, status, 0)
    assert "ClientError" in facts.error["classes"]
    assert (len(facts.sent), facts.billed) == (1, 0)


def test_a_filter_is_told_in_the_models_words(play: Play) -> None:
    """Stability's models say it inside a 200."""
    facts = play("invoke", model="hero", body={"prompt": "[blocked-prompt]"})
    assert facts.answer["finish_reasons"] == ["Filter reason: prompt"]
    assert (facts.answer["data"], facts.billed) == ([], 0)


def test_a_key_that_asks_too_often_is_throttled(play: Play, stage: Stage) -> None:
    """With the time to wait."""
    key = stage.lent()
    assert play("invoke", key=key, model="hero", body=PROMPT).billed == 1
    facts = play("invoke", key=key, model="hero", body=PROMPT, client={"retries": 0})
    assert (facts.error["code"], facts.error["status"]) == ("ThrottlingException", 429)
    assert 1 <= int(facts.error["headers"]["retry-after"]) <= 60
    assert (len(facts.sent), facts.billed) == (1, 0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault, and how boto3 takes it: ``code`` None is a picture, ``sent`` None its own affair."""

    name: str
    rule: dict[str, Any] = field(default_factory=dict)
    cut: int | None = None
    client: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    sent: int | None = None
    calls: int = 1
    billed: int = 1


CASES = (
    Case(name="throttled", rule={"status": 429, "error_type": "ThrottlingException", "retry_after": 0.1}, sent=2, calls=2),
    Case(name="away", rule={"status": 503}, sent=2, calls=2),
    Case(name="away for good", rule={"status": 503, "times": 9}, client={"retries": 1}, code="ServiceUnavailableException",
         sent=2, calls=2, billed=0),
    Case(name="broken", rule={"kind": "truncate"}, code="ModelErrorException", sent=1),
    Case(name="dropped", rule={"kind": "drop"}, code="ModelErrorException", sent=1, billed=0),
    Case(name="timeout of Bedrock's", rule={"status": 408, "error_type": "ModelTimeoutException"},
         code="ModelTimeoutException", sent=1, billed=0),
    Case(name="impatient", rule={"kind": "delay", "latency": 1.5}, client={"timeout": 0.7, "retries": 6}),
    Case(name="impatient, legacy", rule={"kind": "delay", "latency": 1.5},
         client={"timeout": 0.7, "retries": 6, "mode": "legacy"}),
    Case(name="answer lost", cut=0),
    Case(name="answer cut", cut=100, code="ResponseStreamingError", sent=1),  # a body that has begun is not asked for again
    Case(name="no patience", rule={"kind": "delay", "latency": 1.0}, client={"timeout": 0.4, "retries": 0},
         code="ReadTimeoutError", sent=1),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_boto3_sends_again_is_paid_for_once(play: Play, stage: Stage, case: Case) -> None:
    """Whatever happens between client, gateway and Bedrock."""
    model = stage.trouble(**case.rule) if case.rule else stage.fresh()
    stage.wire.cut = case.cut
    facts = play("invoke", model=model, body={"prompt": case.name}, client=case.client)
    assert (len(facts.calls), facts.billed) == (case.calls, case.billed)
    assert case.sent is None or len(facts.sent) == case.sent
    if case.code is None:
        assert facts.pictures[0].size == (1024, 1024)
        assert len(facts.sent) > 1
    else:
        assert case.code in (facts.error.get("code"), facts.error["classes"][0])
