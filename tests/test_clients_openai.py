"""OpenAI's own clients, each in its interpreter, against a gateway process: the same scenes and facts, no second bill."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lascaux.tests.clients.scenes import MISTAKES, TROUBLES, VALUES, Mistake, Trouble
from lascaux.tests.clients.stage import CANVAS, CORE, PLAIN, Driver, Facts, Stage, png

PYTHON = ["python", "python-2"]
Play = Callable[..., Facts]


@pytest.fixture(params=["python", "python-awaited", "python-2", "python-2-awaited", "node"])
def client(request: pytest.FixtureRequest, drivers: Callable[[str], Driver]) -> Play:
    """Plays an order with one client: the newest for Python, that of the line before it, that for Node."""
    name = request.param.removesuffix("-awaited")
    drive = drivers(name)
    awaited: dict[str, Any] = {"awaited": True} if request.param.endswith("-awaited") else {}

    def play(do: str, **order: Any) -> Facts:
        return drive(do, **awaited, **order)

    play.__name__ = request.param
    return play


@pytest.fixture(params=[*PYTHON, "node"])
def once(request: pytest.FixtureRequest, drivers: Callable[[str], Driver]) -> Driver:
    """One client for each package: where waiting or awaiting makes no difference."""
    return drivers(request.param)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Pictures on disk: a plain one, another, and a mask with a hole."""
    made = {"plain": png(), "other": png(colour=(200, 40, 40)), "mask": png(hole=(64, 64, 192, 192))}
    for name, data in made.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    return {name: str(tmp_path / f"{name}.png") for name in made}


def test_two_pictures_of_one_seed(client: Play) -> None:
    """OpenAI's fields and ours; asked again, the same pictures come and cost nothing."""
    order: dict[str, Any] = {
        "params": {"model": "hero", "prompt": f"two {client.__name__}", "n": 2, "size": "1024x1024"},
        "extra": {"seed": 30},
    }
    first, second = client("generate", **order), client("generate", **order)
    assert [picture.size for picture in first.pictures] == [(1024, 1024)] * 2
    assert [one["lascaux"]["seed"] for one in first.answer["data"]] == [30, 31]
    assert len(set(first.digests)) == 2
    assert first.digests == second.digests
    told = first.told
    assert (told["deployment"], told["model"], told["cost"]["usd"], told["seed"]) == ("core", CORE, "0.08", 30)
    assert (second.told["cache"], second.told["cost"]["usd"]) == ("hit", "0")
    assert (first.answer["size"], first.answer["usage"]["total_tokens"]) == ("1024x1024", 0)
    assert first.answer["request_id"].startswith("req_")
    assert (first.billed, second.billed) == (2, 0)
    assert sorted(call.body["seed"] for call in first.calls if call.body) == [30, 31]
    assert (first.sent, second.sent) == (["/v1/images/generations"],) * 2


def test_a_link_leads_to_the_picture(client: Play) -> None:
    """The client gets an address, and a picture from there."""
    facts = client("generate", params={"model": "hero", "prompt": "a link", "response_format": "url"})
    assert "/v1/images/files/" in facts.answer["data"][0]["url"]
    assert facts.pictures[0].size == (1024, 1024)
    assert [path.split("/")[3] for path in facts.sent] == ["generations", "files"]


@pytest.mark.parametrize(("params", "said"), VALUES, ids=lambda value: "-".join(map(str, value.values())) or "any")
def test_legal_values_of_all_times_are_taken(once: Driver, params: dict[str, Any], said: dict[str, Any]) -> None:
    """Each makes a picture, and the answer says in which form it came."""
    facts = once("generate", params={"model": "hero", "prompt": "legal", **params})
    assert {name: facts.answer[name] for name in said} == said
    picture = facts.pictures[0]
    assert facts.answer["size"] == f"{picture.width}x{picture.height}"
    assert (picture.format or "").lower() == facts.answer["output_format"]
    if "x" in params.get("size", "auto"):
        width, height = map(int, params["size"].split("x"))
        assert (picture.width > picture.height) == (width > height)
    assert facts.billed == 1


@pytest.mark.parametrize("name", PYTHON)
def test_every_value_that_the_package_lists_is_known(drivers: Callable[[str], Driver], name: str) -> None:
    """Whatever its own types allow brings a picture; only formats that no model makes are refused, by name."""
    drive = drivers(name)
    listed = drive("legal").answer
    assert {"quality", "size", "style", "moderation", "background", "output_format", "response_format"} <= set(listed)
    listed["model"] = []  # OpenAI's own models are not here
    for parameter, values in listed.items():
        for value in values:
            facts = drive("generate", params={"model": "clear", "prompt": "listed", parameter: value})
            if value in ("gif", "svg"):
                assert (facts.error["classes"][0], facts.error["param"]) == ("BadRequestError", "output_format")
            else:
                assert facts.pictures, (parameter, value)


def test_an_edit_changes_what_its_mask_marks(client: Play, files: dict[str, str]) -> None:
    """The hole is painted, and not a pixel beside it."""
    facts = client(
        "edit",
        params={"model": "fill", "prompt": f"a straw hat {client.__name__}"},
        images=[files["plain"]],
        mask=files["mask"],
        extra={"seed": 4, "grow_mask": 0},
    )
    picture = facts.pictures[0].convert("RGB")
    assert picture.size == (320, 320)
    pixels = {(x, y): picture.getpixel((x, y)) for x in range(0, 320, 8) for y in range(0, 320, 8)}
    painted = {place for place, pixel in pixels.items() if pixel != PLAIN}
    assert painted == {(x, y) for x, y in pixels if 64 <= x < 192 and 64 <= y < 192}
    (call,) = facts.calls
    assert call.body is not None
    assert (call.body["prompt"][:11], call.body["seed"], facts.told["seed"]) == ("a straw hat", 4, 4)
    assert facts.sent == ["/v1/images/edits"]


def test_several_pictures_go_into_one_edit(once: Driver, files: dict[str, str]) -> None:
    """All of them reach the model, with the objects beside them."""
    facts = once(
        "edit",
        params={"model": "paint", "prompt": "an owl", "n": 2},
        images=[files["plain"], files["other"]],
        extra={"imageGenerationConfig": {"seed": 5, "cfgScale": 6.5}, "strict": False, "cache": False},
    )
    (call,) = facts.calls
    assert call.body is not None
    assert len(set(call.body["imageVariationParams"]["images"])) == 2
    settings = call.body["imageGenerationConfig"]
    assert (settings["seed"], settings["cfgScale"], settings["numberOfImages"]) == (5, 6.5, 2)
    assert len(facts.pictures) == facts.billed == 2


def test_an_edit_comes_as_json_too(once: Driver, files: dict[str, str]) -> None:
    """OpenAI's newer form, through the method that clients have for addresses of their own choice."""
    urls = {
        name: "data:image/png;base64," + base64.b64encode(Path(files[name]).read_bytes()).decode() for name in files
    }
    body = {
        "model": "fill",
        "prompt": "a hat",
        "images": [{"image_url": urls["plain"]}],
        "mask": {"image_url": urls["mask"]},
        "grow_mask": 0,
    }
    picture = once("json", path="edits", params=body).pictures[0].convert("RGB")
    assert (picture.getpixel((10, 10)), picture.getpixel((128, 128)) == PLAIN) == (PLAIN, False)


def test_variations(client: Play, files: dict[str, str]) -> None:
    """Gone from OpenAI, still in its clients."""
    params = {"model": "paint", "n": 2, "size": "512x512"}
    facts = client("variation", params=params, images=[files["plain"]], extra={"cache": False})
    assert [picture.size for picture in facts.pictures] == [(512, 512)] * 2
    assert [call.body["taskType"] for call in facts.calls if call.body] == ["IMAGE_VARIATION"]
    assert facts.told["model"] == CANVAS


def test_models(client: Play) -> None:
    """What a picker shows, and one by its name. A key sees what it may use."""
    names = [model["id"] for model in client("models").answer["data"]]
    assert names[:3] == ["hero", "paint", "clear"]
    assert client("model", params={"model": "hero"}).told["models"] == [CORE]
    assert [model["id"] for model in client("models", key="narrow").answer["data"]] == ["hero"]
    error = client("model", params={"model": "nobody/x"}).error
    assert (error["classes"][0], error["code"]) == ("NotFoundError", "model_not_found")


def test_a_stream_brings_the_finished_pictures(client: Play, files: dict[str, str]) -> None:
    """One event each; the last tells the cost."""
    facts = client("generate", params={"model": "hero", "prompt": "stream", "n": 2, "stream": True})
    events = facts.answer["events"]
    assert [event["type"] for event in events] == ["image_generation.completed"] * 2
    assert events[-1]["lascaux"]["cost"]["usd"] == "0.08"
    assert [picture.size for picture in facts.pictures] == [(1024, 1024)] * 2
    params = {"model": "fill", "prompt": "a hat", "stream": True}
    edited = client("edit", params=params, images=[files["plain"]], mask=files["mask"])
    assert [event["type"] for event in edited.answer["events"]] == ["image_edit.completed"]
    error = client("generate", params={"model": "heroo", "prompt": "stream", "stream": True}).error
    assert error["classes"][0] == "NotFoundError"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_mistakes_raise_the_class_that_is_documented(client: Play, mistake: Mistake) -> None:
    """With code and field; sent once, and nobody is paid."""
    params = {"model": "hero", "prompt": "a mistake", **mistake.params}
    facts = client(mistake.do, key=mistake.key, params=params, extra=mistake.extra)
    error = facts.error
    assert error["classes"][:2] == [mistake.kind, "APIStatusError" if "python" in client.__name__ else "APIError"]
    assert (error["status"], error["code"], error["param"]) == (mistake.status, mistake.code, mistake.param)
    assert error["request_id"] == error["headers"]["x-request-id"]
    assert (facts.sent, facts.billed) == (["/v1/images/generations"], 0)


def test_a_key_that_asks_too_often_is_told_when_to_come_again(once: Driver, stage: Stage) -> None:
    """RateLimitError, with the time to wait."""
    key, params = stage.lent(), {"model": "hero", "prompt": "often"}
    assert once("generate", key=key, params=params).billed == 1
    facts = once("generate", key=key, params=params, client={"retries": 0})
    error = facts.error
    assert (error["classes"][0], error["code"], error["status"]) == ("RateLimitError", "rate_limit_exceeded", 429)
    assert error["headers"]["x-should-retry"] == "true"
    assert 1 <= int(error["headers"]["retry-after"]) <= 60
    assert facts.billed == 0


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_what_a_client_sends_again_is_paid_for_once(once: Driver, stage: Stage, trouble: Trouble) -> None:
    """Whatever happens between client, gateway and Bedrock: Bedrock's own count says so."""
    alias = stage.trouble(**trouble.rule) if trouble.rule else stage.fresh()
    stage.wire.cut = trouble.cut
    params = {"model": alias, "prompt": trouble.name}
    facts = once("generate", params=params, client=trouble.client)
    assert (len(facts.calls), facts.billed) == (trouble.calls, trouble.billed)
    if once.name == "node" and trouble.cut:
        assert facts.error["classes"] == ["TypeError"]  # of Node's own; its package does not send such a request again
    else:
        judge(facts, trouble)


def judge(facts: Facts, trouble: Trouble) -> None:
    """What the client made of it. For Node a timeout has another name."""
    if trouble.kind is None:
        assert facts.pictures[0].size == (1024, 1024)
        assert trouble.sent is not None or len(facts.sent) > 1
    else:
        classes = [name.replace("APIConnectionTimeout", "APITimeout") for name in facts.error["classes"]]
        assert classes[0] == trouble.kind
        assert facts.error["status"] == trouble.status
    assert trouble.sent is None or len(facts.sent) == trouble.sent


@pytest.mark.parametrize("do", ["edit", "variation"])
def test_a_form_that_is_sent_again_is_paid_for_once(once: Driver, stage: Stage, files: dict[str, str], do: str) -> None:
    """Its boundary is another one each time; the pictures in it are the same."""
    prompt = {"prompt": "form"} if do == "edit" else {}
    stage.wire.cut = 0
    facts = once(do, params={"model": "paint", **prompt}, images=[files["plain"]], extra={"cache": False})
    assert (len(facts.sent), len(facts.calls), facts.billed) == (2, 1, 1)
    assert facts.pictures
