"""`lascaux keys new`, run in this process: what it prints is what the gateway takes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml
from lascaux.cli import app as cli
from lascaux.cli import keys
from lascaux.gateway.keys import Key, KeyRing
from lascaux.router.config import Config
from typer.testing import CliRunner
from typer.testing import Result as Outcome

DEPLOYMENTS = {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Outcome:
    """Run ``lascaux``."""
    return CliRunner().invoke(cli.app, list(args), prog_name="lascaux")


def test_help_shows_the_examples_and_explains_every_option() -> None:
    """Those of the group, and those of the one command in it."""
    assert all(example in run("keys", "--help").stdout for example in keys.EXAMPLES)
    told = run("keys", "new", "--help").stdout
    for option in (
        "--name",
        "--alias",
        "--rpm",
        "--concurrency",
        "--usd-per-day",
        "--usd-per-month",
        "--admin",
        "--json",
    ):
        assert option in told


@pytest.mark.parametrize("example", keys.EXAMPLES)
def test_the_examples_of_the_help_work(example: str) -> None:
    """In an empty folder, which stays empty."""
    done = run(*shlex.split(example)[1:])
    assert (done.exit_code, done.stderr) == (0, "")
    assert list(Path().iterdir()) == []


def test_what_is_printed_can_be_pasted(place: Path) -> None:
    """The key on the first line, then YAML that lets it in with all its limits. The YAML does not hold the key."""
    options = ["--alias", "core", "--alias", "bedrock/*", "--rpm", "60", "--concurrency", "4", "--admin"]
    done = run("keys", "new", "--name", "team-a", *options, "--usd-per-day", "0.5", "--usd-per-month", "20")
    key, _, section = done.stdout.partition("\n")
    (place / "lascaux.yaml").write_text(
        yaml.safe_dump({"deployments": DEPLOYMENTS, "aliases": {"*": {"match": "bedrock/*"}}}) + section
    )
    found = KeyRing(Config.load(place / "lascaux.yaml", env={}).server.keys).find(key)
    assert found is not None
    assert (found.name, found.admin, found.aliases, found.rpm, found.concurrency) == (
        "team-a",
        True,
        ("core", "bedrock/*"),
        60,
        4,
    )
    assert (str(found.usd_per_day), str(found.usd_per_month)) == ("0.5", "20")
    assert key.rpartition("-")[2] not in section


def test_json_holds_the_key_and_its_entry() -> None:
    """For programs; every key is another one."""
    said = [json.loads(run("keys", "new", "--name", "ops", "--json").stdout) for _ in range(2)]
    for one in said:
        config = Config.from_mapping({"deployments": DEPLOYMENTS, "server": {"keys": [one["entry"]]}}, env={})
        assert KeyRing(config.server.keys).find(one["key"]) == Key(name="ops")
    assert said[0]["key"] != said[1]["key"]
    assert said[0]["entry"]["hash"] != said[1]["entry"]["hash"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--name", "two words"], "--name must be 1 to 64 letters"),
        (["--name", "a", "--rpm", "0"], "--rpm must be a whole number from 1"),
        (["--name", "a", "--usd-per-day", "-3"], "--usd-per-day must be an amount in US dollars"),
        (["--name", "a", "--usd-per-month", "much"], "--usd-per-month must be an amount in US dollars"),
        (["--name", "a", "--alias", ""], "--alias must be a name, not empty"),
    ],
)
def test_what_the_configuration_would_refuse_is_refused(options: list[str], said: str) -> None:
    """In one line, with 2, and without a key."""
    done = run("keys", "new", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    error = json.loads(run("keys", "new", *options, "--json").stdout)["error"]
    assert said in error["message"]
