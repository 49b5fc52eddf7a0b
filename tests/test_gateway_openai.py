"""The gateway as OpenAI's official client sees it, over real HTTP, on the emulator."""

from __future__ import annotations

import base64
import io
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from lascaux import AsyncRouter
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.resends import Repeats
from PIL import Image

Serve = Callable[[Any], AbstractContextManager[str]]

KEYS = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
CORE, CANVAS = "stability.stable-image-core-v1:1", "amazon.nova-canvas-v1:0"


def config(url: str, **more: Any) -> dict[str, Any]:
    """An alias for each kind of model, all on the emulator."""

    def place(model: str, region: str) -> dict[str, Any]:
        return {"model": model, "region": region, "credentials": "demo", "endpoint_url": url}

    return {
        "credentials": {"demo": KEYS},
        "deployments": {
            "core": place(CORE, "us-west-2"),
            "canvas": place(CANVAS, "us-east-1"),
            "inpaint": place("stability.stable-image-inpaint-v1:0", "us-west-2"),
            "cutout": place("stability.stable-image-remove-background-v1:0", "us-west-2"),
        },
        "aliases": {
            "hero": "core",
            CANVAS: "canvas",
            "clear": {"deployments": ["core"], "background_remover": "cutout"},
        },
        "retry": {"attempts": 1},
        **more,
    }


@dataclass(frozen=True, kw_only=True)
class World:
    """A gateway on an emulator."""

    emulator: Emulator
    url: str

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", **options)


@pytest.fixture(scope="module")
def running(serve: Serve) -> Iterator[World]:
    """One gateway for all tests."""
    with Emulator(canvas="fast", any_region=True) as emulator:
        router = AsyncRouter(config(emulator.url), picture_files=False)
        with serve(create_app(router)) as url:
            yield World(emulator=emulator, url=url)


@pytest.fixture
def world(running: World) -> World:
    """The gateway; the emulator has forgotten earlier calls."""
    running.emulator.forget()
    return running


@pytest.fixture
def troubled(serve: Serve) -> Iterator[World]:
    """A gateway of one's own, which may learn from faults without spoiling it for others."""
    with Emulator(canvas="fast") as emulator:
        router = AsyncRouter(config(emulator.url), picture_files=False)
        with serve(create_app(router)) as url:
            yield World(emulator=emulator, url=url)


@pytest.fixture
def client(world: World) -> Iterator[openai.OpenAI]:
    """OpenAI's client as people make it."""
    with world.client() as made:
        yield made


def png(
    width: int = 320, height: int = 320, mode: str = "RGB", colour: Any = (30, 120, 200), hole: Any = None
) -> bytes:
    """A small picture, with a transparent rectangle if one is wanted."""
    picture = Image.new(mode, (width, height), colour)
    if hole:
        picture.paste((0, 0, 0, 0), hole)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


MASK = png(mode="RGBA", colour=(0, 0, 0, 255), hole=(64, 64, 192, 192))


def opened(b64: str | None) -> Image.Image:
    """The picture in an answer."""
    assert b64 is not None
    return Image.open(io.BytesIO(base64.b64decode(b64)))


def facts(answer: Any) -> dict[str, Any]:
    """What stands under ``lascaux``."""
    found: dict[str, Any] = answer.model_extra["lascaux"]
    return found


def warned(answer: Any) -> set[str | None]:
    """The parameters that there are warnings about."""
    return {warning["parameter"] for warning in facts(answer)["warnings"]}


def test_a_picture_comes_with_everything_that_is_known_about_it(client: openai.OpenAI) -> None:
    """OpenAI's fields where OpenAI's clients look, our own under ``lascaux`` and in headers."""
    raw = client.images.with_raw_response.generate(
        model="hero", prompt="An otter", size="1024x1024", n=2, extra_body={"seed": 30}
    )
    answer = raw.parse()
    assert answer.data is not None
    assert [opened(image.b64_json).size for image in answer.data] == [(1024, 1024)] * 2
    assert (answer.size, answer.output_format, answer.background) == ("1024x1024", "png", None)
    assert answer.usage is not None
    assert answer.usage.total_tokens == 0
    told = facts(answer)
    assert (told["deployment"], told["model"], told["region"], told["cache"]) == ("core", CORE, "us-west-2", "miss")
    assert (told["cost"]["usd"], told["seed"], told["warnings"], told["missing"]) == ("0.08", 30, [], [])
    assert [image.model_extra["lascaux"]["seed"] for image in answer.data if image.model_extra] == [30, 31]
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["ok", "ok"]
    assert raw.headers["x-lascaux-cost-usd"] == "0.08"
    assert raw.headers["x-lascaux-deployment"] == "core"
    assert raw.headers["x-request-id"] == answer._request_id


def test_the_same_seed_is_paid_for_once(client: openai.OpenAI, world: World) -> None:
    """The second answer is a hit, costs nothing, and holds the same picture."""
    ask: dict[str, Any] = {"model": "hero", "prompt": "A twin", "extra_body": {"seed": 7}}
    first, second = (client.images.generate(**ask) for _ in range(2))
    assert first.data is not None
    assert second.data is not None
    assert first.data[0].b64_json == second.data[0].b64_json
    assert (facts(second)["cache"], facts(second)["cost"]["usd"], world.emulator.billed) == ("hit", "0", 1)


@pytest.mark.parametrize(
    ("params", "about"),
    [
        ({"quality": "hd", "style": "vivid", "size": "1792x1024"}, {"quality", "style", "size"}),
        ({"quality": "standard", "style": "natural", "size": "256x256"}, {"style", "size"}),
        ({"quality": "auto", "size": "auto", "background": "auto", "moderation": "auto"}, set()),
        ({"quality": "low", "moderation": "low", "size": "1536x1024"}, {"quality", "moderation", "size"}),
        ({"quality": "xhigh", "background": "opaque", "user": "me", "n": 1}, {"quality", "user"}),
        ({"output_format": "webp", "output_compression": 80}, set()),
        ({"output_format": "jpeg", "response_format": "b64_json"}, set()),
        ({"extra_body": {"safety_identifier": "me", "complexity": "high", "partial_images": 0}}, {"safety_identifier"}),
        ({"extra_body": {"metadata": {"team": "a"}, "tags": ["x"]}}, {"metadata", "tags"}),
        ({"n": None, "size": None, "user": None}, set()),
    ],
)
def test_every_legal_value_is_taken_or_warned_about(
    client: openai.OpenAI, params: dict[str, Any], about: set[str]
) -> None:
    """Those of today's clients, of the dall-e time, and of programs that were written for LiteLLM."""
    answer = client.images.generate(model="hero", prompt="An otter", **params)
    assert answer.data is not None
    assert opened(answer.data[0].b64_json).format
    assert about <= warned(answer)


def test_a_file_format_is_delivered(client: openai.OpenAI) -> None:
    """The format that was asked for, told in the answer."""
    answer = client.images.generate(model="hero", prompt="An otter", output_format="webp")
    assert answer.data is not None
    assert (opened(answer.data[0].b64_json).format, answer.output_format) == ("WEBP", "webp")


def test_a_transparent_background_is_told(client: openai.OpenAI) -> None:
    """Made in two stages by models that know only opaque pictures."""
    answer = client.images.generate(model="clear", prompt="An otter", background="transparent")
    assert (answer.background, len(facts(answer)["attempts"])) == ("transparent", 2)


@pytest.mark.parametrize("format", ["gif", "svg"])
def test_formats_that_no_model_makes_are_refused_by_name(client: openai.OpenAI, format: Any) -> None:
    """The error names the field and what is allowed."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="hero", prompt="An otter", output_format=format)
    assert caught.value.param == "output_format"
    assert caught.value.type == "invalid_request_error"
    assert "png, jpeg, webp" in caught.value.message


@pytest.mark.parametrize(
    "extra",
    [
        {"seed": 12, "negative_prompt": "cats"},
        {"lascaux": {"seed": 12, "negative_prompt": "cats"}},
        {"extra_body": {"seed": 12, "negative_prompt": "cats"}},
        {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"negativeText": "cats"},
            "imageGenerationConfig": {"seed": 12},
        },
    ],
)
def test_further_parameters_are_taken_wherever_they_stand(
    client: openai.OpenAI, world: World, extra: dict[str, Any]
) -> None:
    """Flat, under ``lascaux``, under ``extra_body``, or in Amazon's own objects."""
    client.images.generate(model=CANVAS, prompt="A dog", extra_body={**extra, "cache": False})
    (record,) = world.emulator.log
    assert record.body is not None
    assert record.body["textToImageParams"] == {"text": "A dog", "negativeText": "cats"}
    assert record.body["imageGenerationConfig"]["seed"] == 12


def test_strict_refuses_what_would_be_adapted(client: openai.OpenAI) -> None:
    """Warnings become errors, our own included."""
    for params in ({"model": "hero", "quality": "hd"}, {"size": "auto"}):
        with pytest.raises(openai.BadRequestError):
            client.images.generate(prompt="An otter", extra_body={"strict": True}, **params)  # type: ignore[call-overload]


def test_without_a_model_the_first_one_is_asked(client: openai.OpenAI) -> None:
    """OpenAI's client need not name one; the answer says who served."""
    answer = client.images.generate(prompt="An otter")
    assert (facts(answer)["alias"], warned(answer)) == ("hero", {"model"})


def test_an_edit_changes_what_its_mask_marks(client: openai.OpenAI) -> None:
    """Bytes without a name, as OpenAI's client sends them; the rest of the picture stays."""
    answer = client.images.edit(
        model="inpaint", prompt="a straw hat", image=png(), mask=MASK, extra_body={"seed": 4, "grow_mask": 0}
    )
    assert answer.data is not None
    made = opened(answer.data[0].b64_json).convert("RGB")
    assert made.size == (320, 320)
    assert made.getpixel((10, 10)) == (30, 120, 200)
    assert made.getpixel((128, 128)) != (30, 120, 200)
    assert facts(answer)["seed"] == 4


def test_several_pictures_and_nested_fields_come_through_a_form(client: openai.OpenAI, world: World) -> None:
    """``image[]``, and objects in bracket notation."""
    client.images.edit(
        model=CANVAS,
        prompt="an owl",
        image=[("a.png", png()), ("b.png", png(colour=(1, 2, 3)))],
        n=2,
        extra_body={"imageGenerationConfig": {"seed": 5, "cfgScale": 6.5}, "strict": False},
    )
    (record,) = world.emulator.log
    assert record.body is not None
    assert record.body["taskType"] == "IMAGE_VARIATION"
    assert len(record.body["imageVariationParams"]["images"]) == 2
    config = record.body["imageGenerationConfig"]
    assert (config["seed"], config["cfgScale"], config["numberOfImages"]) == (5, 6.5, 2)


def test_edits_come_as_json_too(world: World) -> None:
    """OpenAI's newer form: a list of addresses, which here are data URLs."""
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    mask = {"image_url": "data:image/png;base64," + base64.b64encode(MASK).decode()}
    body = {"model": "inpaint", "prompt": "a hat", "images": [{"image_url": url}], "mask": mask}
    answer = httpx2.post(f"{world.url}/v1/images/edits", json=body)
    assert (answer.status_code, answer.json()["size"]) == (200, "320x320")
    body["images"] = [{"file_id": "file-abc"}]
    error = httpx2.post(f"{world.url}/v1/images/edits", json=body).json()["error"]
    assert (error["param"], "as base64 or as a data URL" in error["message"]) == ("image", True)
    assert "Pillow" not in str(error)


def test_a_large_picture_comes_through(client: openai.OpenAI) -> None:
    """Some megabytes, as a form and in a data URL."""
    noise = Image.frombytes("RGB", (1408, 1408), random.Random(1).randbytes(1408 * 1408 * 3))
    stream = io.BytesIO()
    noise.save(stream, "PNG", compress_level=0)
    answer = client.images.edit(model="cutout", prompt="", image=stream.getvalue())
    assert answer.size == "1408x1408"
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    again = httpx2.post(
        f"{client.base_url}images/edits", json={"model": "cutout", "images": [{"image_url": url}]}, timeout=20
    )
    assert (again.status_code, again.json()["size"]) == (200, "1408x1408")


def test_an_edit_without_a_picture_is_refused(world: World) -> None:
    """With the name of what is missing."""
    answer = httpx2.post(f"{world.url}/v1/images/edits", json={"model": "inpaint", "prompt": "a hat"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")


@pytest.mark.parametrize("image", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x.png", "README.md"])
def test_neither_files_nor_addresses_are_read(world: World, image: str) -> None:
    """A stranger's request must not reach this computer's disk or network."""
    answer = httpx2.post(f"{world.url}/v1/images/edits", json={"model": "inpaint", "prompt": "x", "image": image})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")
    assert "root" not in answer.text
    assert world.emulator.log == []


def test_variations(client: openai.OpenAI) -> None:
    """Gone from OpenAI, still in its client."""
    with pytest.deprecated_call():
        answer = client.images.create_variation(model=CANVAS, image=png(), size="512x512", n=2)
    assert answer.data is not None
    assert [opened(image.b64_json).size for image in answer.data] == [(512, 512)] * 2


def test_a_stream_brings_the_finished_pictures(client: openai.OpenAI) -> None:
    """One ``completed`` event for each; partial ones are optional in OpenAI's protocol, too."""
    events = list(client.images.generate(model="hero", prompt="An otter", n=2, stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_generation.completed"] * 2
    assert [opened(event.b64_json).size for event in events] == [(1024, 1024)] * 2
    assert "cost" in facts(events[-1])
    assert "partial_images" in warned(events[-1])
    with world_stream(client) as edited:
        assert [event.type for event in edited] == ["image_edit.completed"]


def world_stream(client: openai.OpenAI) -> Any:
    """An edit as a stream."""
    return client.images.edit(model="inpaint", prompt="a hat", image=png(), mask=MASK, stream=True)


def test_a_stream_that_can_not_begin_is_an_error(client: openai.OpenAI) -> None:
    """With its status, not as an event that nobody expects."""
    with pytest.raises(openai.NotFoundError):
        client.images.generate(model="nobody", prompt="An otter", stream=True)


def test_links_lead_to_the_pictures(client: openai.OpenAI) -> None:
    """Signed, with the right type; a changed link leads nowhere."""
    answer = client.images.generate(model="hero", prompt="An otter", response_format="url")
    assert answer.data is not None
    assert answer.data[0].b64_json is None
    url = answer.data[0].url or ""
    found = httpx2.get(url)
    assert (found.status_code, found.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(found.content)).size == (1024, 1024)
    for wrong in (
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace("expires=1", "expires=2"),
        url.split("?")[0],
    ):
        assert httpx2.get(wrong).status_code == 404


def test_models(client: openai.OpenAI) -> None:
    """What a picker shows: aliases and deployments."""
    names = [model.id for model in client.models.list()]
    assert names[:3] == ["hero", CANVAS, "clear"]
    found = client.models.retrieve("hero")
    assert (found.object, found.owned_by) == ("model", "lascaux")
    assert facts(found)["models"] == [CORE]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("dall-e-9/x")


@pytest.mark.parametrize(
    ("params", "kind", "code", "param"),
    [
        ({"model": "heroo"}, openai.NotFoundError, "model_not_found", "model"),
        ({"size": "huge"}, openai.BadRequestError, "invalid_request", "size"),
        ({"n": 11}, openai.BadRequestError, "invalid_request", "n"),
        ({"prompt": ""}, openai.BadRequestError, "invalid_request", "prompt"),
        ({"prompt": "[blocked-prompt]"}, openai.BadRequestError, "content_policy_violation", None),
        ({"response_format": "gopher"}, openai.BadRequestError, "invalid_request", "response_format"),
        ({"extra_body": {"sized": 1}}, openai.BadRequestError, "invalid_request", "sized"),
        ({"extra_body": {"api_key": "x"}}, openai.BadRequestError, "invalid_request", "api_key"),
        ({"extra_body": {"tenant": "x"}}, openai.BadRequestError, "invalid_request", "tenant"),
        ({"extra_body": {"seed": 1, "lascaux": {"seed": 2}}}, openai.BadRequestError, "invalid_request", "seed"),
    ],
)
def test_mistakes_are_told_as_openais_client_knows_them(
    client: openai.OpenAI,
    world: World,
    params: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    param: Any,
) -> None:
    """The class, the code, the field; and nothing is made or sent twice."""
    with pytest.raises(kind) as caught:
        client.images.generate(**{"model": "hero", "prompt": "An otter", **params})
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert world.emulator.billed == 0


def test_a_name_is_no_suggestion_for_itself(client: openai.OpenAI) -> None:
    """LiteLLM's Router sends ``extra_headers`` in the body: known elsewhere, and of no use here."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="hero", prompt="An otter", extra_body={"extra_headers": {"a": "b"}})
    assert (caught.value.param, "did you mean" in caught.value.message) == ("extra_headers", False)


ACCOUNT = "User: arn:aws:iam::111122223333:user/eve is not authorized to perform: bedrock:InvokeModel"


@pytest.mark.parametrize(
    ("rule", "status", "retry", "calls"),
    [
        (Rule(kind="drop"), 502, "false", 1),
        (Rule(kind="truncate"), 502, "false", 1),
        (Rule(kind="garbage"), 502, "false", 1),
        (Rule(status=403, error_type="AccessDeniedException", message=ACCOUNT), 503, "false", 1),
        (
            Rule(status=404, error_type="ResourceNotFoundException", message="reached the end of its life"),
            404,
            "false",
            1,
        ),
        (Rule(status=400, error_type="ValidationException", message=f"{ACCOUNT} nonsense"), 400, "false", 1),
    ],
    ids=["drop", "truncate", "garbage", "access", "retired", "rejected"],
)
def test_the_clients_own_retries_never_pay_twice(
    troubled: World, rule: Rule, status: int, retry: str, calls: int
) -> None:
    """What may have been billed, or can not get better, is asked for once, though the client would try three times."""
    troubled.emulator.faults.add(rule)
    with troubled.client() as client, pytest.raises(openai.APIStatusError) as caught:
        client.images.generate(model="hero", prompt="An otter")
    assert (caught.value.status_code, caught.value.response.headers["x-should-retry"]) == (status, retry)
    assert len(troubled.emulator.log) == calls
    assert "111122223333" not in caught.value.response.text
    assert "Traceback" not in caught.value.response.text


def test_throttling_tells_when_to_come_again(troubled: World) -> None:
    """429 with Retry-After."""
    troubled.emulator.faults.add(Rule(status=429, error_type="ThrottlingException", retry_after=20, times=1))
    with troubled.client(max_retries=0) as client, pytest.raises(openai.RateLimitError) as caught:
        client.images.generate(model="hero", prompt="An otter")
    headers = caught.value.response.headers
    assert (caught.value.code, headers["x-should-retry"]) == ("rate_limit_exceeded", "true")
    assert 15 <= int(headers["retry-after"]) <= 20
    assert 15_000 < int(headers["retry-after-ms"]) <= 20_000


def test_after_an_outage_the_clients_own_second_try_brings_the_picture(troubled: World) -> None:
    """Nothing was billed: 503, and the client may ask again, which it does."""
    troubled.emulator.faults.add(Rule(status=503, times=2))
    with troubled.client(max_retries=0) as client, pytest.raises(openai.InternalServerError) as caught:
        client.images.generate(model="hero", prompt="An otter")
    assert (caught.value.status_code, caught.value.response.headers["x-should-retry"]) == (503, "true")
    with troubled.client(max_retries=1) as client:
        assert client.images.generate(model="hero", prompt="An otter").data
    assert [record.status for record in troubled.emulator.log] == [503, 503, 200]


def test_a_deadline_that_is_over_is_final(troubled: World) -> None:
    """The picture may be made and billed all the same, so the client must not ask for it again."""
    troubled.emulator.faults.add(Rule(kind="delay", latency=1.0, times=1))
    with troubled.client() as client, pytest.raises(openai.InternalServerError) as caught:
        client.images.generate(model="hero", prompt="An otter", extra_body={"deadline": 0.3})
    assert caught.value.status_code == 504
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_awaited_clients_work_the_same(world: World) -> None:
    """`AsyncOpenAI`, many at a time."""
    import asyncio

    async def ask() -> int:
        async with openai.AsyncOpenAI(base_url=f"{world.url}/v1", api_key="none") as client:
            answers = await asyncio.gather(
                *(
                    client.images.generate(model="hero", prompt="An otter", extra_body={"seed": seed})
                    for seed in range(8)
                )
            )
        return len({answer.model_extra["lascaux"]["seed"] for answer in answers if answer.model_extra})

    assert asyncio.run(ask()) == 8
    assert threading.active_count() < 600


@pytest.mark.parametrize("edit", [False, True])
def test_what_a_client_sends_again_by_itself_is_paid_for_once(running: World, edit: bool) -> None:
    """It has timed out, and counts its sendings; a form has another boundary each time. Who asks anew is served anew."""
    running.emulator.faults.add(Rule(kind="delay", latency=0.8, times=1))
    client, before = running.client(timeout=0.4, max_retries=4), len(running.emulator.log)
    fresh = {"cache": False}

    def ask(client: openai.OpenAI) -> None:
        if edit:
            client.images.edit(model=CANVAS, image=("a.png", png()), prompt="impatient", extra_body=fresh)
        else:
            client.images.generate(model="hero", prompt="impatient", extra_body=fresh)

    with client:
        ask(client)
    assert len(running.emulator.log) == before + 1
    with running.client() as client:
        ask(client)
    assert len(running.emulator.log) == before + 2


def test_an_idempotency_key_is_honoured(running: World) -> None:
    """The same name and the same body: the same answer. Another body is another call."""
    before = len(running.emulator.log)
    headers = {"idempotency-key": "order-66"}

    def ask(prompt: str, more: dict[str, str]) -> bytes:
        fields = {"model": "hero", "prompt": prompt}
        return httpx2.post(f"{running.url}/v1/images/generations", json=fields, headers=more).content

    assert ask("a named otter", headers) == ask("a named otter", headers)
    assert len(running.emulator.log) == before + 1
    ask("another named otter", headers)
    assert len(running.emulator.log) == before + 2


def test_a_later_sending_finds_the_call_it_belongs_to() -> None:
    """Two equal calls under way: each of their repetitions finds one. A first sending finds none."""
    repeats = Repeats(most=3)
    one, two = repeats.token("a", 0), repeats.token("a", 0)
    assert one != two
    assert {repeats.token("a", 1), repeats.token("a", 1)} == {one, two}
    assert repeats.token("b", 1) not in (one, two)
    assert repeats.token("a", 1) not in (one, two), "both have been found"


@pytest.mark.parametrize("name", ["prompt", "model", "stream"])
def test_a_field_of_openais_has_no_place_under_ours(running: World, name: str) -> None:
    """It is refused where it would be lost or be there twice, and nobody is called."""
    before = len(running.emulator.log)
    fields = {"model": CANVAS, "image": base64.b64encode(png()).decode(), "lascaux": {name: "x"}}
    answer = httpx2.post(f"{running.url}/v1/images/variations", json=fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, f"lascaux.{name}")
    assert len(running.emulator.log) == before
