from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest
import yaml
from lascaux import (
    AttemptsFailed,
    ContentFiltered,
    InvalidRequest,
    LascauxError,
    Router,
    aimage_generation,
    image_generation,
)
from lascaux.compat import functions
from lascaux.compat.arguments import Arguments
from lascaux.compat.response import ImageObject, ImageResponse
from lascaux.compat.routers import Connection, Routers
from lascaux.emulator import Emulator, Rule
from lascaux.providers.errors import CredentialsError

SDXL = "bedrock/stability.stable-diffusion-xl-v1"
NOVA = "bedrock/amazon.nova-canvas-v1:0"
CORE = "bedrock/stability.stable-image-core-v1:1"
ARN = "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0"
KEYS = {"AKIDENV": "env-secret", "AKIDGIVEN": "given-secret", "AKIDPROFILE": "profile-secret"}
CORPUS = yaml.safe_load((Path(__file__).parent / "data" / "litellm_corpus.yaml").read_text())["arguments"]
GIVEN: dict[str, Any] = {"aws_access_key_id": "AKIDGIVEN", "aws_secret_access_key": "given-secret"}
PROMPT = "A cute baby sea otter"


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    options: Any = {"keys": KEYS, "bearer_tokens": ["given-token"], "allow_plain_bearer": True, "region": "us-east-1"}
    with Emulator(profiles={"a0a0a0a0a0a0": "amazon.nova-canvas-v1:0"}, canvas="fast", **options) as emulator:
        yield emulator


@pytest.fixture
def bedrock(shared: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """A forgetful emulator behind an environment with keys and a region, and with nothing else of AWS's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    found = {
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_BEDROCK_RUNTIME_ENDPOINT": shared.url,
        "AWS_ACCESS_KEY_ID": "AKIDENV",
        "AWS_SECRET_ACCESS_KEY": "env-secret",
        "AWS_REGION_NAME": "us-east-1",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    shared.forget()
    yield shared
    shared.faults.clear()
    functions.close()


def test_existing_code_can_read_the_answer(bedrock: Emulator) -> None:
    """Attributes, items, dict(), json(): all ways that LiteLLM's answer has."""
    response = image_generation(
        prompt=PROMPT, model=NOVA, n=2, quality="hd", size="512x512", response_format="b64_json"
    )
    assert isinstance(response.created, int)
    assert [image.b64_json for image in response.data] == [image.b64 for image in response.lascaux.images]
    assert response["data"][1]["b64_json"] == response.data[1].b64_json
    assert (response.data[0].url, response.data[0].revised_prompt) == (None, None)
    assert (response.size, response.quality, response.output_format) == ("512x512", "premium", "png")
    assert response.background is None
    assert response.usage.total_tokens == response["usage"]["input_tokens_details"]["image_tokens"] == 0
    assert list(dict(response)) == ["created", "data", "background", "output_format", "quality", "size", "usage"]
    assert response.json() == response.model_dump() == response.dict() == json.loads(response.model_dump_json())
    assert response.model_dump()["data"][0] == {
        "b64_json": response.data[0].b64_json,
        "url": None,
        "revised_prompt": None,
    }
    assert "background" not in response.model_dump(exclude_none=True)
    assert "data" in response
    assert "nothing" not in response
    assert (response.get("nothing"), response.get("size")) == (None, "512x512")
    with pytest.raises(KeyError):
        response["nothing"]
    hidden = response._hidden_params
    assert hidden["response_cost"] == 0.12
    assert hidden["lascaux"]["cost_usd"] == str(response.lascaux.cost.usd) == "0.12"
    assert (hidden["model"], hidden["model_id"]) == ("amazon.nova-canvas-v1:0", f"{NOVA}-us-east-1")


def test_the_answer_can_be_changed(bedrock: Emulator) -> None:
    """Callers put addresses of uploads into it."""
    response = image_generation(PROMPT, NOVA)
    response.data[0].url = "https://example.com/otter.png"
    response["data"][0]["b64_json"] = None
    assert response.data == [ImageObject(url="https://example.com/otter.png")]


def test_an_answer_prints_in_one_short_line(bedrock: Emulator) -> None:
    """Without the base64 of its pictures, whatever is in them."""
    response = image_generation(PROMPT, NOVA)
    assert len(str(response)) < 250
    assert "b64_json=<png 1024x1024, " in f"{response}"
    assert "response_cost=0.04" in f"{response}"
    assert repr(ImageObject(b64_json="?" * 5000)) == (
        "ImageObject(b64_json=<5000 characters>, url=None, revised_prompt=None)"
    )


def test_pictures_of_a_model_that_makes_one_at_a_time(bedrock: Emulator) -> None:
    """n becomes n calls with following seeds, one answer and one bill."""
    response = image_generation(PROMPT, CORE, n=3, seed=7, aws_region_name="us-west-2")
    assert len(response.data) == 3
    assert response._hidden_params["response_cost"] == 0.12
    assert sorted(call.body["seed"] for call in bedrock.log if call.body) == [7, 8, 9]


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"cfg_scale": 7, "seed": 3}, {"imageGenerationConfig": {"cfgScale": 7, "seed": 3}}),
        ({"cfgScale": 7, "negativeText": "fog"}, {"imageGenerationConfig": {"cfgScale": 7}}),
        ({"textToImageParams": {"negativeText": "fog"}, "taskType": "TEXT_IMAGE"}, {"taskType": "TEXT_IMAGE"}),
        ({"imageGenerationConfig": {"seed": 9}, "n": 2}, {"imageGenerationConfig": {"seed": 9, "numberOfImages": 2}}),
        ({"extra_body": {"seed": 5}}, {"imageGenerationConfig": {"seed": 5}}),
    ],
)
def test_parameters_by_any_of_their_names(params: dict[str, Any], body: dict[str, Any], bedrock: Emulator) -> None:
    """Where LiteLLM drops or misplaces them, they arrive where the model reads them."""
    image_generation(PROMPT, NOVA, **params)
    (call,) = bedrock.log
    assert call.body is not None
    for key, value in body.items():
        assert call.body[key] == value or value.items() <= call.body[key].items()


@pytest.mark.parametrize(
    ("params", "warning"),
    [
        ({"metadata": {"team": "red"}}, "metadata: ignored: it belongs to LiteLLM's library"),
        ({"tags": ["free"]}, "tags: ignored: tags do not route"),
        ({"user": "u-1"}, "user: ignored: it is not sent to the provider"),
        ({"response_format": "url"}, "response_format: ignored: pictures are returned as base64, there is no url"),
        ({"api_version": "2"}, "api_version: ignored: Bedrock has none"),
        ({"region_name": "us-east-1"}, "region_name: is understood as aws_region_name"),
        (
            {"aws_secret_access_id": "AKIDGIVEN", "aws_secret_access_key": "given-secret"},
            "aws_secret_access_id: is a misspelling, understood as aws_access_key_id",
        ),
    ],
)
def test_arguments_without_effect_are_named(
    params: dict[str, Any], warning: str, bedrock: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """In the answer and in the log; the call is made all the same."""
    response = image_generation(PROMPT, NOVA, **params)
    assert warning in response._hidden_params["warnings"]
    assert [record for record in caplog.records if record.name == "lascaux" and record.levelno == logging.WARNING]
    assert warning in caplog.text


def test_arguments_that_ask_for_nothing_are_not_worth_a_word(bedrock: Emulator) -> None:
    """A model that is still offered, called plainly, comes without any warning."""
    params: dict[str, Any] = {
        "drop_params": True,
        "metadata": {},
        "tags": [],
        "verbose": False,
        "aimg_generation": True,
    }
    response = image_generation(PROMPT, CORE, aws_region_name="us-west-2", **params)
    assert response._hidden_params["warnings"] == []


@pytest.mark.parametrize("row", CORPUS, ids=lambda row: ",".join(row["params"]))
def test_mistakes_name_the_argument(row: dict[str, Any], bedrock: Emulator) -> None:
    """As the caller wrote it, not the section of a file; nobody is called, and nothing secret is repeated."""
    with pytest.raises(InvalidRequest) as caught:
        image_generation(**{"prompt": PROMPT, "model": NOVA, **row["params"]})
    assert str(caught.value) == row["error"]
    assert caught.value.status == caught.value.status_code == 400
    assert bedrock.log == []


def test_there_is_no_default_region(bedrock: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM goes to us-west-2 without a word."""
    monkeypatch.delenv("AWS_REGION_NAME")
    with pytest.raises(InvalidRequest, match="region: none is known"):
        image_generation(PROMPT, NOVA)


@pytest.mark.parametrize(
    ("env", "params", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, {}, "us-east-1"),
        ({"AWS_REGION_NAME": "", "AWS_REGION": "eu-west-1"}, {}, "eu-west-1"),
        ({}, {"aws_region_name": "eu-west-1"}, "eu-west-1"),
        ({}, {"region_name": "eu-west-1"}, "eu-west-1"),
        ({}, {"model_id": ARN}, "eu-west-1"),
        ({}, {"model": "bedrock/eu-west-1/amazon.nova-canvas-v1:0"}, "eu-west-1"),
    ],
)
def test_regions(
    env: dict[str, str], params: dict[str, Any], region: str, bedrock: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument, else the ARN or the route, else AWS_REGION_NAME, else AWS_REGION."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    image_generation(**{"prompt": PROMPT, "model": NOVA, **params})
    assert [call.region for call in bedrock.log] == [region]


def test_given_keys_do_not_mix_with_the_environment(bedrock: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a foreign session token, nor a Bedrock API key, nor a profile or role in the environment gets in."""
    foreign = {
        "AWS_SESSION_TOKEN": "foreign",
        "AWS_BEARER_TOKEN_BEDROCK": "foreign",
        "AWS_PROFILE_NAME": "foreign",
        "AWS_ROLE_NAME": "arn:aws:iam::111122223333:role/foreign",
    }
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    image_generation(PROMPT, NOVA, **GIVEN)
    assert [call.key_id for call in bedrock.log] == ["AKIDGIVEN"]


def test_a_bedrock_api_key(bedrock: Emulator) -> None:
    """api_key is sent as a bearer token."""
    response = image_generation(PROMPT, NOVA, api_key="given-token", api_base=bedrock.url)
    assert len(response.data) == 1
    with pytest.raises(AttemptsFailed) as caught:
        image_generation(PROMPT, NOVA, api_key="wrong-token", api_base=bedrock.url)
    assert isinstance(caught.value.__cause__, CredentialsError)


@pytest.mark.parametrize("named", [True, False])
def test_profiles(named: bool, bedrock: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As an argument with the profile's own region, or as AWS_PROFILE_NAME, before the keys in the environment."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[profile images]\nregion = eu-west-1\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = profile-secret\n"
    )
    if named:
        image_generation(PROMPT, NOVA, aws_profile_name="images")
    else:
        monkeypatch.setenv("AWS_PROFILE_NAME", "images")
        image_generation(PROMPT, NOVA)
    (call,) = bedrock.log
    assert (call.key_id, call.region) == ("AKIDPROFILE", "eu-west-1" if named else "us-east-1")


def read(params: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    """What the arguments say about the connection, as keys of ``litellm_params``."""
    arguments = Arguments.read(PROMPT, NOVA, 600, params, env)
    found: dict[str, Any] = arguments.document["model_list"][0]["litellm_params"]
    return found


def test_roles_come_from_litellms_variables() -> None:
    """AWS_ROLE_NAME and its companions, unless the caller names somebody."""
    env = {
        "AWS_ROLE_NAME": "arn:aws:iam::111122223333:role/images",
        "AWS_SESSION_NAME": "images",
        "AWS_WEB_IDENTITY_TOKEN": "/run/token",
        "AWS_PROFILE_NAME": "other",
    }
    assert read({}, env) == {
        "model": NOVA,
        "aws_role_name": "arn:aws:iam::111122223333:role/images",
        "aws_session_name": "images",
        "aws_web_identity_token": "/run/token",
    }
    assert read({"aws_profile_name": "mine"}, env) == {"model": NOVA, "aws_profile_name": "mine"}


def test_what_a_program_hands_over_is_no_reference() -> None:
    """A secret may hold ${...}; os.environ/NAME is a reference, as in LiteLLM, and its variable decides with."""
    assert read({"aws_session_token": "a${b}"}, {})["aws_session_token"] == "a$${b}"
    arguments = Arguments.read(PROMPT, NOVA, 600, {"api_key": "os.environ/MINE"}, {"MINE": "1", "YOURS": "2"})
    assert arguments.environment == {"MINE": "1"}


def test_one_call_unless_more_are_asked_for(bedrock: Emulator) -> None:
    """LiteLLM's function does not retry by itself; the error has what its callers look at."""
    bedrock.faults.add(Rule(status=503))
    with pytest.raises(AttemptsFailed) as caught:
        image_generation(PROMPT, NOVA)
    assert len(bedrock.log) == 1
    facts = {name: getattr(caught.value, name) for name in ("status_code", "llm_provider", "model")}
    assert facts == {"status_code": 503, "llm_provider": "bedrock", "model": NOVA}


def test_num_retries(bedrock: Emulator) -> None:
    """So many calls more, where that may help."""
    bedrock.faults.add(Rule(status=500, times=1))
    response = image_generation(PROMPT, NOVA, num_retries=1)
    assert len(bedrock.log) == len(response.lascaux.attempts) == 2


def test_fallbacks(bedrock: Emulator) -> None:
    """Other models in their turn, the request rewritten for each; mappings bring their own connection."""
    bedrock.faults.add(Rule(status=503, model="amazon.nova-canvas-v1:0"))
    bedrock.faults.add(Rule(status=404, model="stability.stable-image-core-v1:1", region="us-east-1"))
    other = {"model": CORE, "aws_region_name": "us-west-2", **GIVEN}
    response = image_generation(PROMPT, NOVA, size="1024x1024", seed=3, fallbacks=[CORE, other])
    assert response._hidden_params["model"] == "stability.stable-image-core-v1:1"
    assert [(call.region, call.key_id) for call in bedrock.log] == [
        ("us-east-1", "AKIDENV"),
        ("us-east-1", "AKIDENV"),
        ("us-west-2", "AKIDGIVEN"),
    ]
    assert bedrock.log[-1].body == {"prompt": PROMPT, "aspect_ratio": "1:1", "seed": 3}


class Timeout:
    """As httpx has them."""

    read = 0.4


@pytest.mark.parametrize("timeout", [0.4, "0.4", Timeout()])
def test_timeout(timeout: Any, bedrock: Emulator) -> None:
    """It is kept, which LiteLLM's function does not do for Bedrock; the call may have been billed, and that is said."""
    bedrock.faults.add(Rule(kind="delay", latency=1.5, times=1))
    with pytest.raises(LascauxError) as caught:
        image_generation(PROMPT, NOVA, timeout=timeout)
    assert caught.value.status == 504
    assert caught.value.may_be_billed


def test_a_blocked_prompt_is_final(bedrock: Emulator) -> None:
    """The caller's fault is not retried, and no other model is asked."""
    with pytest.raises(ContentFiltered) as caught:
        image_generation(f"{PROMPT} [blocked-prompt]", NOVA, num_retries=3, fallbacks=[CORE])
    assert len(bedrock.log) == 1
    assert caught.value.status_code == 400


def test_caching_only_when_asked_for(bedrock: Emulator) -> None:
    """caching=True reuses the answer to the same seeded request, for nothing."""
    first = image_generation(PROMPT, NOVA, seed=3, caching=True)
    second = image_generation(PROMPT, NOVA, seed=3, caching=True)
    image_generation(PROMPT, NOVA, seed=3)
    assert len(bedrock.log) == 2
    assert second.data == first.data
    assert (second._hidden_params["cache_hit"], second._hidden_params["response_cost"]) == (True, 0.0)


def test_strict_refuses_what_would_be_adapted(bedrock: Emulator) -> None:
    """Our own options are taken as well."""
    with pytest.raises(InvalidRequest, match="size"):
        image_generation(PROMPT, SDXL, size="128x512", strict=True)


def test_own_price(bedrock: Emulator) -> None:
    """output_cost_per_image is what an image costs, which LiteLLM ignores for Bedrock."""
    response = image_generation(PROMPT, NOVA, model_id=ARN, output_cost_per_image=0.05)
    assert response._hidden_params["response_cost"] == 0.05


def test_aimage_generation(bedrock: Emulator) -> None:
    """The same, awaited; many at once, in any number of event loops."""

    async def many() -> list[ImageResponse]:
        return await asyncio.gather(*(aimage_generation(PROMPT, model=NOVA, seed=seed) for seed in range(12)))

    for _ in range(2):
        responses = asyncio.run(many())
        assert len({response.data[0].b64_json for response in responses}) == 12
    assert len(bedrock.log) == 24
    assert len(functions._PROCESS.routers) == 1


def test_aimage_generation_raises_the_same_errors(bedrock: Emulator) -> None:
    """With the same facts on them."""
    with pytest.raises(InvalidRequest) as caught:
        asyncio.run(aimage_generation(prompt=PROMPT, model=NOVA, sead=3))
    assert caught.value.status_code == 400


def test_a_connection_is_shared_and_follows_the_environment(bedrock: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty threads use one; other keys in the environment are another, though the arguments are the same."""
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda seed: image_generation(PROMPT, NOVA, seed=seed), range(50)))
    assert len(functions._PROCESS.routers) == 1
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDGIVEN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "given-secret")
    image_generation(PROMPT, NOVA)
    assert [call.key_id for call in bedrock.log] == ["AKIDENV"] * 50 + ["AKIDGIVEN"]


class Watched(Router):
    """A router that remembers that it was closed."""

    def __init__(self) -> None:
        super().__init__({"deployments": {"one": {"model": "amazon.nova-canvas-v1:0", "region": "us-east-1"}}})
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


def test_connections_are_bounded() -> None:
    """The one used longest ago goes first; one in use is closed when its last call has ended, and only once."""
    routers, made = Routers(2), [Watched() for _ in range(3)]

    def facts(index: int) -> tuple[dict[str, Any], Any]:
        return {"index": index}, lambda: Connection(router=made[index])

    with routers.connection(*facts(0)) as first, routers.connection(*facts(0)) as again:
        assert first is again
        for index in (1, 2):
            with routers.connection(*facts(index)):
                assert len(routers) <= 2
        assert [one.closed for one in made] == [0, 0, 0]
    assert [one.closed for one in made] == [1, 0, 0]
    with routers.connection(*facts(1)) as kept:
        assert kept.router is made[1]
        routers.close()
        assert [one.closed for one in made] == [1, 0, 1]
    assert [one.closed for one in made] == [1, 1, 1]
    assert len(routers) == 0


def test_a_slow_connection_is_made_once_and_holds_up_nobody_else() -> None:
    """Those who want the same wait for it; other calls and close() do not."""
    routers, started, go, made = Routers(), Event(), Event(), [Watched(), Watched()]
    count: list[int] = []

    def slow() -> Connection:
        count.append(1)
        started.set()
        assert go.wait(20)
        return Connection(router=made[0])

    def use() -> Router:
        with routers.connection({"slow": True}, slow) as found:
            return found.router

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(use) for _ in range(8)]
        try:
            assert started.wait(20)
            with ThreadPoolExecutor(1) as other:
                fast = other.submit(_fast, routers, made[1])
                assert fast.result(10) is made[1]
        finally:
            go.set()
        assert {one.result(20) for one in asked} == {made[0]}
    assert (len(count), len(routers)) == (1, 2)
    routers.close()
    assert [one.closed for one in made] == [1, 1]


def _fast(routers: Routers, router: Router) -> Router:
    with routers.connection({}, lambda: Connection(router=router)) as found:
        return found.router


def test_close_while_a_connection_is_made() -> None:
    """It serves the call that it is made for, and is closed then; a later call connects anew."""
    routers, made = Routers(), [Watched(), Watched()]

    def make() -> Connection:
        routers.close()
        return Connection(router=made[0])

    with routers.connection({}, make) as found:
        assert (found.router, len(routers)) == (made[0], 0)
    assert made[0].closed == 1
    assert _fast(routers, made[1]) is made[1]
    routers.close()


class Turnstile:
    """A lock that tells when so many have passed: the last of them waits for what it has found."""

    def __init__(self, most: int) -> None:
        self.lock, self.left, self.passed = Lock(), most, Event()

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.left -= 1
        self.lock.release()
        if not self.left:
            self.passed.set()


@pytest.mark.parametrize("failure", [InvalidRequest("region: none is known"), KeyboardInterrupt()])
def test_a_connection_that_can_not_be_made(failure: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arguments are wrong for all who wait, an interrupt ends one call; neither leaves anything behind."""
    routers, started, go, one, lock = Routers(), Event(), Event(), Watched(), Turnstile(2)
    monkeypatch.setattr(routers, "_lock", lock)
    count: list[int] = []

    def make() -> Connection:
        count.append(1)
        if len(count) > 1:
            return Connection(router=one)
        started.set()
        assert go.wait(20)
        raise failure

    def use() -> Router:
        with routers.connection({}, make) as found:
            return found.router

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(use)
        assert started.wait(20)
        second = pool.submit(use)
        assert lock.passed.wait(20)
        go.set()
        assert first.exception(20) is failure
        error = second.exception(20)
    assert error is not failure
    if isinstance(failure, InvalidRequest):
        assert (type(error), str(error), len(count)) == (InvalidRequest, str(failure), 1)
    else:
        assert (error, second.result(), len(count)) == (None, one, 2)
    assert _fast(routers, one) is one
    routers.close()


def test_a_fork_begins_anew() -> None:
    """The parent's connections are left to the parent."""
    routers, one = Routers(), Watched()
    with routers.connection({}, lambda: Connection(router=one)):
        routers.forget()
        assert len(routers) == 0
    assert one.closed == 0


def test_no_secret_is_ever_repeated(bedrock: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Not in answers, errors, logs, or what is kept between calls."""
    caplog.set_level(logging.DEBUG)
    planted = ["given-secret", "planted-token", "planted-key"]
    seen = [repr(image_generation(PROMPT, NOVA, **GIVEN)._hidden_params)]
    cases: tuple[dict[str, Any], ...] = (
        {**GIVEN, "aws_session_token": "planted-token"},
        {"api_key": "planted-key"},
        {"api_key": "planted key"},
        {**GIVEN, "api_key": "planted-key"},
        {**GIVEN, "headers": {"Authorization": "planted-key"}},
        {**GIVEN, "vertex_credentials": "planted-key"},
    )
    for params in cases:
        try:
            seen.append(repr(image_generation(PROMPT, NOVA, **params)._hidden_params))
        except LascauxError as error:
            seen += [str(error), repr(error), str(error.__cause__)]
    seen += [repr(vars(functions._PROCESS.routers)), caplog.text]
    assert len(seen) > 12
    assert not [secret for secret in planted for text in seen if secret in text]


def test_a_program_ends_quietly(bedrock: Emulator) -> None:
    """No warning about something left open, after calls of both kinds and without any closing."""
    script = (
        "import asyncio; from lascaux import image_generation, aimage_generation\n"
        f"print(len(image_generation('otter', {NOVA!r}).data))\n"
        f"print(len(asyncio.run(aimage_generation('otter', {NOVA!r})).data))\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("1\n1\n", 0)
    assert "Warning" not in done.stderr
