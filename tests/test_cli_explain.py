"""`lascaux explain` and `lascaux quote`, run in this process."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from lascaux.cli import app as cli
from lascaux.cli import explain, quote
from typer.testing import CliRunner
from typer.testing import Result as Outcome

Run = Callable[..., Outcome]
CONFIG = """
deployments:
  core: {model: "stability.stable-image-core-v1:1", region: us-west-2}
  ultra: {model: "stability.stable-image-ultra-v1:1", region: us-west-2}
  upscaler: {model: "stability.stable-conservative-upscale-v1:0", region: us-west-2}
aliases:
  hero: {deployments: [core, ultra, upscaler], strategy: lowest_cost}
routing: {seed: 7}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration beside it; a machine that knows of no AWS."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LASCAUX_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "routes.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def run(*args: str) -> Outcome:
    """Run ``lascaux``."""
    return CliRunner().invoke(cli.app, list(args), prog_name="lascaux")


@pytest.mark.parametrize("module", [explain, quote], ids=["explain", "quote"])
def test_help_shows_the_examples_and_explains_every_option(module: object) -> None:
    """Each stands there word for word."""
    told = run(module.__name__.rpartition(".")[2], "--help")  # type: ignore[attr-defined]
    assert told.exit_code == 0
    assert all(example in told.stdout for example in module.EXAMPLES)  # type: ignore[attr-defined]
    for option in ("--alias", "--config", "--size", "--strict", "--json", "--param"):
        assert option in told.stdout


@pytest.mark.parametrize("example", [*explain.EXAMPLES, *quote.EXAMPLES])
def test_the_examples_of_the_help_work(example: str) -> None:
    """With no configuration: that of the emulator."""
    done = run(*shlex.split(example)[1:])
    assert done.exit_code == 0, done.stderr
    assert "emulator" in done.stderr


def test_explain_says_who_and_why_not() -> None:
    """The pick is marked, the others have their reasons and prices."""
    done = run("explain", "otter", "-c", "routes.yaml", "--n", "2")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "hero: core, in 2 calls, cache bypass"
    assert any(line.strip().startswith("> core") and "0.08 USD" in line for line in lines)
    assert any("upscaler" in line and "text_to_image" in line for line in lines)


def test_quote_says_what_it_costs_everywhere() -> None:
    """As text and as JSON, to the last digit."""
    done = run("quote", "otter", "-c", "routes.yaml", "--n", "2")
    assert done.stdout.splitlines()[0].startswith("hero: 0.08 USD")
    assert done.stdout.splitlines()[0].endswith("at core")
    document = json.loads(run("quote", "otter", "-c", "routes.yaml", "--n", "2", "--json").stdout)
    assert {one["deployment"]: one["cost"]["usd"] for one in document["candidates"]} == {
        "core": "0.08",
        "ultra": "0.28",
    }
    assert document["pick"] == "core"


def test_json_is_one_document() -> None:
    """With everything that the text says."""
    document = json.loads(run("explain", "otter", "-c", "routes.yaml", "--seed", "1", "--json").stdout)
    assert (document["pick"], document["cache"]) == ("core", "miss")
    assert document["chain"] == [{"alias": "hero", "strategy": "lowest_cost"}]
    assert [one["able"] for one in document["candidates"]] == [True, True, False]


@pytest.mark.parametrize("command", ["explain", "quote"])
def test_nobody_to_ask_ends_with_one_and_a_bad_parameter_with_two(command: str) -> None:
    """The reason stands on the first line; the error names the field."""
    nobody = run(command, "otter", "-c", "routes.yaml", "-m", "upscaler")
    assert nobody.exit_code == 1
    assert "text_to_image" in nobody.stdout.splitlines()[0]
    wrong = run(command, "otter", "-c", "routes.yaml", "-p", "sizze=1")
    assert wrong.exit_code == 2
    assert "sizze" in wrong.stderr
