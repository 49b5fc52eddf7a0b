"""The snippets of LiteLLM's page on Bedrock image generation, run as they stand there but for the import."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lascaux import Router, image_generation
from lascaux.compat import functions
from lascaux.compat.response import ImageResponse
from lascaux.emulator import Emulator
from lascaux.router.records import Result

HERE = Path(__file__).parent
PAGE = (HERE / "data" / "reference_page.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CALLS = re.findall(r"`(image_generation\(.*?\))`", PAGE)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example-secret"}
ENDPOINTS = ("AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
REGIONS = {"stability.stability.sd3-large-v1:0": "us-west-2"}
COSTS = {
    "stability.sd3-large-v1:0": 0.08,
    "stability.stable-diffusion-xl-v0": 0.018,
    "stability.stable-diffusion-xl-v1": 0.04,
    "amazon.titan-image-generator-v1": 0.01,
    "amazon.titan-image-generator-v2:0": 0.01,
    "amazon.nova-canvas-v1:0": 0.04,
}
"""USD for one picture of the model's default size: the last rates that AWS published for these retired models."""


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Emulator]:
    keys = {KEYS["AWS_ACCESS_KEY_ID"]: KEYS["AWS_SECRET_ACCESS_KEY"], "my-id": "my-key"}
    with Emulator(keys=keys, profiles={"a0a0a0a0a0a0": "amazon.nova-canvas-v1:0"}, canvas="fast") as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def surroundings(bedrock: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Nothing of AWS in the environment or in the home folder but an endpoint; the log is empty."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(ENDPOINTS[0], bedrock.url)
    bedrock.forget()
    yield monkeypatch
    functions.close()


def credentials(monkeypatch: pytest.MonkeyPatch, region: str | None = "us-east-1") -> None:
    for name, value in {**KEYS, "AWS_REGION_NAME": region}.items():
        if value is not None:
            monkeypatch.setenv(name, value)


def run(snippet: str) -> ImageResponse:
    """The snippet with our import, and with its empty placeholders filled in."""
    ours = snippet.replace("from litellm import", "from lascaux import")
    for name, value in {**KEYS, "AWS_REGION_NAME": "us-east-1"}.items():
        ours = ours.replace(f'os.environ["{name}"] = ""', f'os.environ["{name}"] = "{value}"')
    scope: dict[str, Any] = {}
    exec(compile(ours, "reference_page.md", "exec"), scope)
    response = scope["response"]
    assert isinstance(response, ImageResponse)
    return response


def test_the_page_has_what_is_tested_here() -> None:
    """Three programs, six models, two configurations."""
    assert (len(PYTHON), len(CALLS), len(YAML)) == (3, 6, 2)


def test_basic_usage(surroundings: pytest.MonkeyPatch, bedrock: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture of the model's default size, its cost, and a line that can be read."""
    credentials(surroundings)
    response = run(PYTHON[0])
    assert response.size == "512x512"
    assert response._hidden_params["response_cost"] == 0.018
    (call,) = bedrock.log
    assert (call.model_id, call.region, call.key_id) == ("stability.stable-diffusion-xl-v0", "us-east-1", "AKIDEXAMPLE")
    printed = capsys.readouterr().out
    assert printed.startswith("response: ImageResponse(created=")
    assert len(printed) < 300
    assert "example-secret" not in printed


def test_optional_parameters(surroundings: pytest.MonkeyPatch, bedrock: Emulator) -> None:
    """The model has no 128x512: the nearest shape is made, and a warning says so. The seed is sent."""
    credentials(surroundings)
    response = run(PYTHON[1])
    assert response.size == "640x1536"
    assert (response.lascaux.images[0].width, response.lascaux.images[0].height) == (640, 1536)
    assert "size: 128x512 is not offered; the picture is 640x1536" in response._hidden_params["warnings"]
    assert response._hidden_params["response_cost"] == 0.036
    (call,) = bedrock.log
    assert call.body is not None
    assert {key: call.body[key] for key in ("width", "height", "seed")} == {"width": 640, "height": 1536, "seed": 30}


def test_the_same_seed_makes_the_same_picture(surroundings: pytest.MonkeyPatch, bedrock: Emulator) -> None:
    """Twice the page's seeded call is twice the same bytes, by two calls: nothing is cached unless asked for."""
    credentials(surroundings)
    assert run(PYTHON[1]).data == run(PYTHON[1]).data
    assert len(bedrock.log) == 2


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("call", CALLS)
def test_every_model_of_the_table(
    call: str, endpoint: str, surroundings: pytest.MonkeyPatch, bedrock: Emulator
) -> None:
    """Each makes a picture and has a cost, with three variables and either endpoint variable set."""
    surroundings.delenv(ENDPOINTS[0])
    surroundings.setenv(endpoint, bedrock.url)
    name = call.partition("bedrock/")[2].partition('"')[0]
    credentials(surroundings, REGIONS.get(name, "us-east-1"))
    response = eval(call, {"image_generation": image_generation, "prompt": "A cute baby sea otter"})
    model = response._hidden_params["model"]
    assert model == name.replace("stability.stability.", "stability.")
    assert response._hidden_params["response_cost"] == COSTS[model]
    assert response.lascaux.cost.confidence == "expired"
    assert response.output_format == response.lascaux.images[0].format == "png"
    assert [record.model_id for record in bedrock.log] == [model]


@pytest.mark.parametrize("region", [None, "us-east-1"])
def test_an_inference_profile_goes_where_its_arn_says(
    region: str | None, surroundings: pytest.MonkeyPatch, bedrock: Emulator
) -> None:
    """To eu-west-1 without being told, whatever the environment says. No rate is known there, and that is said."""
    credentials(surroundings, region)
    response = run(PYTHON[2])
    (call,) = bedrock.log
    assert call.region == "eu-west-1"
    assert call.path.endswith("application-inference-profile/a0a0a0a0a0a0/invoke")
    assert response._hidden_params["region_name"] == "eu-west-1"
    assert response._hidden_params["response_cost"] is None
    gaps = [text for text in response._hidden_params["warnings"] if "no rate" in text]
    assert len(gaps) == 1
    assert gaps[0].startswith("no rate for amazon.nova-canvas-v1:0 in eu-west-1: ")


def generate(path: Path) -> Result:
    """The request of the page's curl command, by way of the router."""
    with Router.from_yaml(path) as router:
        alias = yaml.safe_load(path.read_text())["model_list"][0]["model_name"]
        return router.generate(alias, "A cute baby sea otter")


def test_the_proxy_config(tmp_path: Path, bedrock: Emulator) -> None:
    """Word for word: its keys sign the call, the misspelt one included, and the misspelling is reported."""
    path = tmp_path / "config.yaml"
    path.write_text(YAML[0])
    with Router.from_yaml(path) as router:
        assert [str(warning) for warning in router.warnings] == [
            "model_list[0].litellm_params.aws_secret_access_id: is a misspelling, understood as aws_access_key_id "
            f"({path}:7:7)"
        ]
    result = generate(path)
    (call,) = bedrock.log
    assert (call.key_id, call.region, call.model_id) == ("my-id", "us-east-1", "amazon.nova-canvas-v1:0")
    assert str(result.cost.usd) == "0.04"


def test_the_shipped_config_is_the_pages() -> None:
    """configs/litellm.yaml is the page's config.yaml."""
    assert (HERE.parent / "configs" / "litellm.yaml").read_text() == YAML[0]


def test_the_proxy_config_with_an_inference_profile(
    tmp_path: Path, surroundings: pytest.MonkeyPatch, bedrock: Emulator
) -> None:
    """The ARN is called, in its region, with the environment's keys."""
    credentials(surroundings, None)
    path = tmp_path / "config.yaml"
    path.write_text(YAML[1])
    result = generate(path)
    (call,) = bedrock.log
    assert (call.key_id, call.region) == ("AKIDEXAMPLE", "eu-west-1")
    assert result.model_id.endswith("application-inference-profile/a0a0a0a0a0a0")
    assert result.cost.usd is None
