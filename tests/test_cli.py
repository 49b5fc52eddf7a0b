"""The commands, run in this process against a real emulator: what they print, write and return."""

from __future__ import annotations

import json
import os
import shlex
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import lascaux
import pytest
import typer
from lascaux.cli import app as cli
from lascaux.cli import emulator as emulator_command
from lascaux.cli.generate import Exporter
from lascaux.emulator import Emulator, Faults, Rule
from lascaux.emulator.__main__ import parser as emulator_parser
from lascaux.router.exporters import EXPORTERS
from typer.testing import CliRunner

ROOT = Path(lascaux.__file__).resolve().parent
COMMANDS = ("generate", "explain", "quote", "demo", "validate", "models", "schema", "emulator")
PLANTED = "PLANTED-wJalrXUtnFEMI-secret"


class Outcome(Protocol):
    """How a command ended."""

    exit_code: int

    @property
    def stdout(self) -> str: ...

    @property
    def stderr(self) -> str: ...


Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests here."""
    with Emulator(canvas="fast", keys={"emulator": "emulator-secret", "AKIDPLANTED": PLANTED}) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    """An empty folder, a machine that knows of no AWS, an emulator without memory."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LASCAUX_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    emulator.faults = Faults()
    emulator.forget()


@pytest.fixture
def run() -> Run:
    """Run a command line."""

    def runner(*args: str | Path, env: Mapping[str, str] | None = None) -> Outcome:
        return CliRunner().invoke(cli.app, [str(arg) for arg in args], prog_name="lascaux", env=env)

    return runner


@pytest.fixture
def config(emulator: Emulator, tmp_path: Path) -> Path:
    """A configuration whose deployments are the running emulator."""
    return written(tmp_path / "router.yaml", emulator)


def written(path: Path, emulator: Emulator, *, key: str = "emulator", secret: str = "emulator-secret") -> Path:
    """A file with two aliases, one of them on two deployments."""
    path.write_text(
        f"""\
credentials:
  demo: {{access_key_id: {key}, secret_access_key: "{secret}"}}
deployments:
  core:  {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{emulator.url}"}}
  ultra: {{model: "stability.stable-image-ultra-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{emulator.url}"}}
  titan: {{model: "amazon.titan-image-generator-v2:0", region: us-east-1, credentials: demo, endpoint_url: "{emulator.url}"}}
aliases:
  hero: {{deployments: [ultra, {{use: core, priority: 1}}]}}
  draft: core
  old: titan
retry: {{attempts: 2, backoff: 0.01s, max_backoff: 0.01s}}
"""
    )
    return path


def examples(help_text: str) -> list[str]:
    """The command lines at the end of a help text."""
    lines = [line.strip() for line in help_text.partition("Examples:")[2].splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS]])
def test_help_promises_in_one_line_and_explains_every_option(command: tuple[str, ...], run: Run) -> None:
    """A one-line promise, a sentence for each option, an example."""
    told = run(*command, "--help")
    assert told.exit_code == 0
    assert examples(told.stdout)
    assert all(line.startswith("lascaux") for line in examples(told.stdout))
    group: Any = typer.main.get_command(cli.app)
    found = group.commands[command[0]] if command else group
    promise = found.help.splitlines()[0]
    assert promise.endswith(".")
    assert " ".join(promise.split()[:5]) in told.stdout
    assert [option.name for option in found.params if not getattr(option, "help", None)] == []


@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS if name != "emulator"]])
def test_the_examples_of_every_help_work(
    command: tuple[str, ...], run: Run, tmp_path: Path, emulator: Emulator
) -> None:
    """Word for word, in an empty folder; those of `emulator` are run in test_cli_process."""
    for number, example in enumerate(examples(run(*command, "--help").stdout)):
        folder = tmp_path / str(number)
        folder.mkdir()
        os.chdir(folder)
        if "validate" in example:
            written(folder / "lascaux.yaml", emulator)
            (folder / "config.yaml").write_text((ROOT / "configs" / "litellm.yaml").read_text())
        program, *args = shlex.split(example.partition(">")[0])
        assert program == "lascaux"
        done = run(*args)
        assert done.exit_code == 0, (example, done.stderr)
        if "--json" in args:
            assert isinstance(json.loads(done.stdout), dict)


def test_the_version_is_the_packages(run: Run) -> None:
    """And it is all that is printed."""
    assert run("--version").stdout == f"lascaux {lascaux.__version__}\n"


@pytest.mark.parametrize("args", [["nonsense"], ["generate"], ["generate", "x", "--n", "two"], ["models", "--tusk"]])
def test_wrong_usage_ends_with_2(args: list[str], run: Run) -> None:
    """And nothing is on standard output."""
    done = run(*args)
    assert (done.exit_code, done.stdout) == (2, "")


# generate


def test_without_a_configuration_the_emulator_draws_and_that_is_said(run: Run, tmp_path: Path) -> None:
    """On standard error for people, as a field for programs."""
    done = run("generate", "A cute baby sea otter", "--seed", "30", "--json")
    assert done.exit_code == 0
    assert "built-in emulator draws" in done.stderr
    assert "AWS is not called" in done.stderr
    record = json.loads(done.stdout)
    assert record["emulator"] is True
    assert (record["alias"], record["region"], record["seed"]) == ("hero", "us-west-2", 30)
    file = tmp_path / record["images"][0]["file"]
    assert file == tmp_path / "out/a-cute-baby-sea-otter.png"
    assert file.read_bytes().startswith(b"\x89PNG")


def test_the_table_says_who_made_it_and_what_it_cost(run: Run, config: Path, emulator: Emulator) -> None:
    """One call, one row, the file's name below it."""
    done = run("generate", "an otter", "-c", config, "-m", "draft", "--seed", "7", "-o", "otter.png")
    assert done.exit_code == 0, done.stderr
    titles, row, *_ = done.stdout.splitlines()
    order = "alias deployment region model size seed cost prices cache attempts duration"
    assert " ".join(titles.split()) == order
    assert row.split()[:6] == ["draft", "core", "us-west-2", "stability.stable-image-core-v1:1", "1024x1024", "7"]
    assert "0.04 USD" in row
    assert "otter.png  png 1024x1024, seed 7" in done.stdout
    assert "emulator" not in done.stderr
    assert len(emulator.log) == 1


def test_a_narrow_terminal_gets_a_line_for_each_fact(run: Run, config: Path) -> None:
    """80 columns are not enough for the row, and no value is broken."""
    done = run("generate", "an otter", "-c", config, "-o", "x.png", env={"COLUMNS": "80"})
    assert "model       stability.stable-image-ultra-v1:1" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_json_holds_everything_of_the_table_and_no_picture(run: Run, config: Path, tmp_path: Path) -> None:
    """Money is text, attempts and warnings are whole, bytes stay in the file."""
    done = run(
        "generate", "an otter", "-c", config, "--n", "2", "--seed", "5", "--quality", "premium", "-o", "x.png", "--json"
    )
    record = json.loads(done.stdout)
    assert {"alias", "deployment", "region", "model", "size", "seed", "duration", "skipped", "request_id"} <= set(
        record
    )
    assert record["emulator"] is False
    assert Decimal(record["cost"]["usd"]) == Decimal("0.28")
    assert record["cost"]["table"] == "2026-11-22"
    assert [image["file"] for image in record["images"]] == ["x-1.png", "x-2.png"]
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["ok", "ok"]
    assert [warning["parameter"] for warning in record["warnings"]] == ["quality"]
    assert record["missing"] == []
    assert b64encode((tmp_path / "x-1.png").read_bytes()).decode()[:40] not in done.stdout


@pytest.mark.parametrize("way", ["--config", "LASCAUX_CONFIG", "./lascaux.yaml"])
def test_a_configuration_is_found_in_three_places(way: str, run: Run, emulator: Emulator, tmp_path: Path) -> None:
    """Named, in the environment, or lying in this folder."""
    file = written(tmp_path / ("lascaux.yaml" if way == "./lascaux.yaml" else "mine.yaml"), emulator)
    option = ["--config", str(file)] if way == "--config" else []
    env = {"LASCAUX_CONFIG": str(file)} if way == "LASCAUX_CONFIG" else None
    done = run("generate", "an otter", *option, env=env)
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(emulator.log) == 1


def test_litellms_file_is_a_configuration_too(run: Run, emulator: Emulator, tmp_path: Path) -> None:
    """Its only model needs no name, and its warning is shown."""
    (tmp_path / "config.yaml").write_text(
        f"""\
model_list:
  - model_name: otters
    litellm_params:
      model: bedrock/stability.stable-image-core-v1:1
      aws_region_name: us-west-2
      aws_secret_access_key: emulator-secret
      aws_secret_access_id: emulator
      aws_bedrock_runtime_endpoint: {emulator.url}
"""
    )
    done = run("generate", "an otter", "-c", "config.yaml")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("otters")
    assert "warning: model_list[0].litellm_params.aws_secret_access_id" in done.stdout


def test_every_option_reaches_the_model(run: Run, config: Path, emulator: Emulator) -> None:
    """Named options and --param alike; JSON values keep their type, anything else is text."""
    options = ["--size", "768x768", "--n", "2", "--seed", "3", "--negative-prompt", "rain", "-p", "cfg_scale=7.5", "-p"]
    done = run(
        "generate", "an otter", "-c", config, "-m", "old", *options, "quality=premium", "--no-cache", "-o", "t.png"
    )
    assert done.exit_code == 0, done.stderr
    body = emulator.log[0].body
    assert body is not None
    assert body["textToImageParams"] == {"text": "an otter", "negativeText": "rain"}
    sent = {"width": 768, "height": 768, "numberOfImages": 2, "seed": 3, "cfgScale": 7.5, "quality": "premium"}
    assert body["imageGenerationConfig"] == sent
    assert "bypass" in done.stdout


def test_the_name_of_the_file_decides_the_format(run: Run, config: Path, tmp_path: Path) -> None:
    """A format that contradicts it is refused, and nothing is written."""
    assert run("generate", "an otter", "-c", config, "-o", "deep/er/otter.jpg").exit_code == 0
    assert (tmp_path / "deep/er/otter.jpg").read_bytes().startswith(b"\xff\xd8")
    assert run("generate", "an otter", "-c", config, "-o", "otter.jpg", "--output-format", "png").exit_code == 2
    assert not (tmp_path / "otter.jpg").exists()


def test_a_name_made_up_never_overwrites_and_a_given_one_does(run: Run, config: Path, tmp_path: Path) -> None:
    """The second otter is otter-2; the given file is replaced."""
    for _ in range(2):
        assert run("generate", "Ötter!", "-c", config).exit_code == 0
        assert run("generate", "an otter", "-c", config, "-o", "mine.png").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["otter-2.png", "otter.png"]
    assert run("generate", "かわうそ", "-c", config, "--n", "2", "-m", "old").exit_code == 0
    assert (tmp_path / "out/picture-2.png").exists()


def test_warnings_stand_below_the_table(run: Run, config: Path) -> None:
    """What was adapted, and that the model is gone."""
    done = run("generate", "an otter", "-c", config, "-m", "old", "--size", "1000x1000", "-o", "x.png")
    assert done.exit_code == 0
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert any("size" in line and "1000x1000" in line for line in warnings)
    assert any("2026-06-30" in line for line in warnings)


def test_a_picture_that_was_held_back_leaves_its_number_out(run: Run, config: Path, tmp_path: Path) -> None:
    """The others are saved, and the gap is named."""
    done = run("generate", "otters [blocked-some]", "-c", config, "-m", "old", "--n", "2", "-o", "x.png")
    assert done.exit_code == 0, done.stderr
    assert len(list(tmp_path.glob("x-*.png"))) == 1
    assert "missing: picture" in done.stdout


def test_verbose_tells_every_call_and_the_sources(run: Run, config: Path, emulator: Emulator) -> None:
    """Calls on standard error as they happen; ids and the price's source in the table."""
    emulator.faults.add(Rule(status=503, model="stability.stable-image-ultra-v1:1"))
    done = run("generate", "an otter", "-c", config, "-v", "-o", "x.png", env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith("call: ultra (us-west-2)")
    assert "HTTP 503" in first
    assert second.startswith("call: core (us-west-2)")
    assert "attempts    2 (1 failed)" in done.stdout
    assert "price       documented" in done.stdout


def test_console_telemetry_goes_to_standard_error(run: Run, config: Path) -> None:
    """So that --json stays one document."""
    done = run("generate", "an otter", "-c", config, "--telemetry", "console", "--json", "-o", "x.png")
    assert json.loads(done.stdout)["alias"] == "hero"
    assert "span    lascaux.generate hero" in done.stderr
    assert "metric  lascaux.cost" in done.stderr


def test_the_exporters_are_those_that_exist() -> None:
    """The option's choices are spelt out for the help, so they are compared."""
    assert tuple(exporter.value for exporter in Exporter) == EXPORTERS


BAD_PARAMS = [
    ("novalue", "'novalue' is not KEY=VALUE"),
    ("=3", "'=3' is not KEY=VALUE"),
    ('native={"a": ', "native: not JSON"),
    ("native=" + "[" * 5000, "native: not JSON"),
    ("seed=4", "seed is given twice"),
]


@pytest.mark.parametrize(("param", "said"), BAD_PARAMS)
def test_a_param_that_can_not_be_read_is_wrong_usage(param: str, said: str, run: Run, emulator: Emulator) -> None:
    """Named, and nobody is called."""
    done = run("generate", "an otter", "--seed", "3", "--param", param)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


FAILURES: list[tuple[list[str], int, str]] = [
    (["-c", "nope.yaml"], 1, "nope.yaml: can not be read: no such file or directory"),
    (["-c", "."], 1, "can not be read: is a directory"),
    (["-m", "herp"], 2, "no alias or deployment is called 'herp'; did you mean 'hero'?"),
    (["--size", "banana"], 2, "size must be WIDTHxHEIGHT"),
    (["--n", "0"], 2, "n must be a whole number from 1 to 10, not 0 (nearest: 1)"),
    (["-p", "colour=red"], 2, "unknown parameter 'colour'"),
    (["-p", "steps=NaN"], 2, "steps must be"),
    (["-p", "deadline=soon"], 2, "deadline must be"),
    (["-p", "cache=maybe"], 2, "cache must be"),
    (["--quality", "premium", "--strict"], 2, "quality"),
    (["-o", "."], 2, "output: '.' is a folder; name a file, such as picture.png"),
    (["-o", "new/"], 2, "output: 'new/' is a folder"),
    (["-o", ""], 2, "output: the name is empty"),
    (["-o", "file/x.png"], 2, "is not a folder"),
    (["-m", "\x1b[31mred"], 2, "'\\x1b[31mred'"),
    (
        ["-o", "a.gif"],
        2,
        "output: 'a.gif' names no format that is made here; end it in .png, .jpg, .jpeg or .webp, such as",
    ),
    (["-o", "a.wepb"], 2, "such as a.webp"),
]


@pytest.mark.parametrize(("options", "code", "said"), FAILURES)
def test_what_fails_says_so_in_one_line(
    options: list[str], code: int, said: str, run: Run, config: Path, emulator: Emulator
) -> None:
    """It ends with 2 if the request is at fault. No traceback, no control character, nothing on standard output, no call."""
    Path("file").touch()
    arguments = options if "-c" in options else ["-c", str(config), *options]
    done = run("generate", "an otter", *arguments)
    assert (done.exit_code, done.stdout, len(emulator.log)) == (code, "", 0)
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(("options", "code", "said"), FAILURES)
def test_with_json_errors_are_json(options: list[str], code: int, said: str, run: Run, config: Path) -> None:
    """One object on standard output, with the names a program looks for."""
    Path("file").touch()
    arguments = options if "-c" in options else ["-c", str(config), *options]
    done = run("generate", "an otter", "--json", *arguments)
    assert (done.exit_code, done.stderr) == (code, "")
    error = json.loads(done.stdout)["error"]
    assert {"code", "message", "parameter", "allowed", "nearest", "attempts"} <= set(error)
    assert said in error["message"] or said.encode().decode("unicode_escape") in error["message"]


def test_an_invalid_parameter_is_told_in_parts(run: Run, config: Path) -> None:
    """The field, what is allowed, and the nearest valid choice."""
    error = json.loads(run("generate", "an otter", "-c", config, "--n", "99", "--json").stdout)["error"]
    assert (error["code"], error["parameter"], error["nearest"]) == ("invalid_request", "n", "10")
    assert "1 to 10" in error["allowed"]


def test_when_everybody_fails_the_attempts_are_listed(run: Run, config: Path, emulator: Emulator) -> None:
    """One line for each, with region and reason; the same for programs."""
    emulator.faults.add(Rule(status=503, error_type="ServiceUnavailableException", message="come back later"))
    done = run("generate", "an otter", "-c", config)
    assert done.exit_code == 1
    headline, *attempts = done.stderr.splitlines()
    assert headline == "error: every attempt for 'hero' failed"
    assert [line.split()[1] for line in attempts] == ["ultra:", "core:"]
    assert all("us-west-2" in line and "come back later" in line for line in attempts)
    emulator.faults = Faults(rules=[Rule(kind="drop")])
    error = json.loads(run("generate", "an otter", "-c", config, "--json").stdout)["error"]
    assert [attempt["deployment"] for attempt in error["attempts"]] == ["ultra", "core"]
    assert error["may_be_billed"] is True


def test_a_filters_refusal_is_final(run: Run, config: Path, emulator: Emulator) -> None:
    """One call, one line about it."""
    done = run("generate", "an otter [blocked-prompt]", "-c", config)
    assert done.exit_code == 1
    assert "content filter" in done.stderr.splitlines()[0]
    assert len(emulator.log) == 1


def test_a_secret_is_in_no_output(run: Run, emulator: Emulator, tmp_path: Path) -> None:
    """Planted as key, in .env and in a broken file; success and failure, every way of printing."""
    good = written(tmp_path / "good.yaml", emulator, key="AKIDPLANTED", secret="${PLANTED_SECRET}")
    (tmp_path / ".env").write_text(f"PLANTED_SECRET={PLANTED}\n")
    wrong = written(tmp_path / "wrong.yaml", emulator, key="AKIDUNKNOWN", secret=PLANTED)
    broken = tmp_path / "broken.yaml"
    broken.write_text(f"credentials:\n  a: {{access_key_id: x, secret_key: {PLANTED}, bearer_token: {PLANTED}}}\n")
    said = []
    for file, code in ((good, 0), (wrong, 1), (broken, 1)):
        for more in ((), ("--json",), ("-v",), ("--telemetry", "console")):
            done = run("generate", "an otter", "-c", file, "-o", "x.png", *more)
            assert done.exit_code == code, (file, done.stderr)
            said.append(done.stdout + done.stderr)
        for more in ((), ("--json",)):
            done = run("validate", file, *more)
            said.append(done.stdout + done.stderr)
    assert all(said)
    assert not [text for text in said if PLANTED in text or PLANTED[:16] in text]


def test_a_refusal_after_a_call_is_no_wrong_usage(run: Run, config: Path, emulator: Emulator) -> None:
    """The model said no: 1, because somebody was called."""
    emulator.faults.add(Rule(status=400, error_type="ValidationException", message="not today"))
    done = run("generate", "an otter", "-c", config, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"]["attempts"]


def test_help_states_the_exit_codes(run: Run) -> None:
    """0, 1, 2 and 130."""
    told = " ".join(run("--help").stdout.split())
    assert "Exit codes: 0 done; 1 failed; 2 asked wrongly" in told
    assert "130 interrupted" in told


# validate


def test_validate_counts_what_a_good_file_holds(run: Run, config: Path) -> None:
    """And LiteLLM's format is named, with its warnings."""
    done = run("validate", config, ROOT / "configs/litellm.yaml")
    assert (done.exit_code, done.stderr) == (0, "")
    first, second, warning = done.stdout.splitlines()
    assert first == f"ok: {config}: 3 aliases, 3 deployments, 1 set of credentials"
    assert "(LiteLLM's format): 1 alias, 1 deployment" in second
    assert "aws_secret_access_id" in warning


def test_validate_names_every_problem_with_its_place(run: Run, tmp_path: Path, config: Path) -> None:
    """File, line and column; one bad file is enough to fail, and the good one is still reported."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        'deployments:\n  a: {model: "stability.stable-image-core-v1:1", regoin: us-west-2}\naliases: {hero: aa}\n'
    )
    done = run("validate", bad, config, "nope.yaml")
    assert done.exit_code == 1
    first, second, third = done.stderr.splitlines()
    assert first.startswith(f"error: {bad}:2:")
    assert "did you mean 'region'?" in first
    assert second.startswith(f"error: {bad}:3:")
    assert third.startswith("error: nope.yaml: can not be read: no such file or directory")
    assert done.stdout.startswith("ok: ")


def test_validate_knows_what_only_a_router_finds_out(run: Run, tmp_path: Path) -> None:
    """A model that nobody knows is found at its deployment's line."""
    bad = tmp_path / "bad.yaml"
    bad.write_text('deployments:\n  a: {model: "stability.stable-image-corn-v1:1", region: us-west-2}\n')
    done = run("validate", bad)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {bad}:2:")
    assert "did you mean stability.stable-image-core-v1:1" in done.stderr


def test_validate_knows_what_workers_can_not_share(run: Run, tmp_path: Path) -> None:
    """As the gateway would say at its start."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        'deployments:\n  a: {model: "stability.stable-image-core-v1:1", region: us-west-2, limits: {concurrency: 3}}\n'
        "server: {workers: 4}\n"
    )
    done = run("validate", bad)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {bad}:2:")
    assert "deployments.a.limits.concurrency: 3 can not be shared by 4 workers" in " ".join(done.stderr.split())


def test_validate_json_lists_files_problems_and_warnings(run: Run, tmp_path: Path, config: Path) -> None:
    """`ok` for all and for each."""
    (tmp_path / "bad.yaml").write_text("nonsense: 1\n")
    done = run("validate", config, "bad.yaml", "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert (report["ok"], [file["ok"] for file in report["files"]]) == (False, [True, False])
    assert report["files"][0]["aliases"] == 3
    assert report["files"][1]["problems"][0].startswith("bad.yaml:1:1: nonsense: unknown key")


def test_a_configuration_without_a_place_for_its_region_is_refused(run: Run, tmp_path: Path) -> None:
    """Nothing falls back to a region nobody chose."""
    (tmp_path / "bad.yaml").write_text('deployments: {a: {model: "stability.stable-image-core-v1:1"}}\n')
    done = run("validate", "bad.yaml")
    assert done.exit_code == 1
    assert "bad.yaml:1:" in done.stderr
    assert "region" in done.stderr


# models, schema, demo, emulator


def test_models_shows_the_live_ones_first_and_names_the_retired(run: Run) -> None:
    """State, price and all else that is to be known, and what comes after a retired model."""
    done = run("models")
    assert done.exit_code == 0
    live, _, retired = done.stdout.partition("retired model")
    assert "stability.stable-image-core-v1:1 " in live
    assert "0.04" in live
    assert "text_to_image" in live
    assert "us-west-2" in live
    assert "amazon.nova-canvas-v1:0" not in live
    assert "amazon.nova-canvas-v1:0" in retired
    assert "2026-09-30" in retired
    assert "stability.stable-image-core-v1:1" in retired


def test_models_all_tells_of_retired_ones_in_full(run: Run) -> None:
    """Sizes, regions and last prices included."""
    told = " ".join(run("models", "--all").stdout.split())
    assert "retired since 2026-09-30" in told
    assert "320-4096 px a side" in told
    assert "then stability.stable-image-core-v1:1" in told


def test_models_can_be_narrowed_to_a_task_and_a_region(run: Run) -> None:
    """Both spellings of a task; a region and a task together."""
    record = json.loads(run("models", "--task", "text-to-image", "--region", "us-west-2", "--all", "--json").stdout)
    assert all("text_to_image" in model["tasks"] and "us-west-2" in model["regions"] for model in record["models"])
    assert {model["retired"] for model in record["models"]} == {True, False}
    core = next(model for model in record["models"] if model["id"] == "stability.stable-image-core-v1:1")
    assert Decimal(core["price"]["usd"]) == Decimal("0.04")
    assert core["sizes"]["ratios"]
    assert record["price_table"] == "2026-11-22"


def test_models_lists_what_a_model_does_under_another_name(run: Run) -> None:
    """Amazon's models erase by inpainting without words: they are found by that task, with its price."""
    record = json.loads(run("models", "--task", "erase", "--all", "--json").stdout)
    prices = {model["id"]: model["price"]["usd"] for model in record["models"] if "erase" in model["tasks"]}
    assert {"amazon.nova-canvas-v1:0", "stability.stable-image-erase-object-v1:0"} <= prices.keys()
    assert len(prices) == len(record["models"]) == 5
    paint = json.loads(run("models", "--task", "inpaint", "--all", "--json").stdout)["models"]
    assert {model["id"]: model["price"]["usd"] for model in paint}.items() >= {
        (id, usd) for id, usd in prices.items() if id.startswith("amazon.")
    }
    assert "erase" in run("models", "--all").stdout


@pytest.mark.parametrize(
    ("option", "value", "near"), [("--task", "inpant", "inpaint"), ("--region", "us-west-3", "us-west-2")]
)
def test_models_refuses_what_does_not_exist(option: str, value: str, near: str, run: Run) -> None:
    """An empty list would look like an answer."""
    done = run("models", option, value)
    assert done.exit_code == 2
    assert f"did you mean {near}?" in done.stderr
    assert json.loads(run("models", option, value, "--json").stdout)["error"]["nearest"] == near


def test_schema_prints_the_file_that_editors_use(run: Run) -> None:
    """To the letter, so that `make schema` changes nothing."""
    done = run("schema")
    assert done.exit_code == 0
    assert done.stdout == (ROOT / "configs/lascaux.schema.json").read_text("utf-8")


def test_the_demo_makes_one_call_for_two_requests(run: Run, tmp_path: Path) -> None:
    """Every station of the path is shown, and both rows."""
    done = run("demo")
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / "out/otter.png").read_bytes().startswith(b"\x89PNG")
    for station in ("yaml", "router", "http", "picture", "price", "cache", "spans"):
        assert f"\n  {station} " in done.stdout
    assert "quickstart.yaml" in done.stdout
    assert "the emulator's log still holds 1 call" in done.stdout
    assert "lascaux.generate hero (x2), generate_content stability.stable-image-ultra-v1:1" in done.stdout
    first, again = (line for line in done.stdout.splitlines() if line.startswith(("first", "again")))
    assert "0.14 USD" in first
    assert " miss " in first
    assert "0.00 USD, saved 0.14" in again
    assert " hit " in again


def test_the_demo_is_not_moved_by_the_environment(run: Run) -> None:
    """Settings and credentials of a real account stay out of it."""
    env = {
        "LASCAUX_CACHE__BACKEND": "none",
        "AWS_SESSION_TOKEN": PLANTED,
        "LASCAUX_CONFIG": "nope.yaml",
        "AWS_REGION": "x",
    }
    done = run("demo", "-o", "deep/otter.png", env=env)
    assert done.exit_code == 0, done.stderr
    assert " hit " in done.stdout


def test_the_demo_says_where_it_can_not_write(run: Run) -> None:
    """Before anything is drawn."""
    done = run("demo", "-o", ".")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: output: '.' is a folder")


def test_the_emulators_options_are_those_of_its_own_program() -> None:
    """Two programs, one set of options with the same defaults."""
    group: Any = typer.main.get_command(cli.app)
    ours = {name for option in group.commands["emulator"].params for name in option.opts}
    theirs = {name for action in emulator_parser()._actions for name in action.option_strings}
    assert {name for name in theirs if name.startswith("--")} - {"--help"} <= ours
    assert ours - theirs <= {"-q"}
    defaults = vars(emulator_parser().parse_args([]))
    for option in group.commands["emulator"].params:
        assert (option.default or None) == (defaults[option.name] or None), option.name


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--fault", '{"kin": 1}'], 2, "did you mean kind?"),
        (["--fault", "nonsense"], 2, "not JSON"),
        (["--quota", "us-west-2"], 2, "REGION=CALLS_PER_MINUTE"),
        (["--key", "secretly"], 2, "is not NAME=VALUE"),
        (["--profile", "abc=no-such-model"], 2, "no-such-model"),
        (["--today", "yesterday"], 2, "yesterday"),
        (["--lifecycle", "sometimes"], 2, "sometimes"),
        (["--port", "70000"], 2, "65535"),
        (["--tls", "no.pem", "no.key"], 1, "tls: certificate or key can not be used"),
    ],
)
def test_the_emulator_refuses_what_it_can_not_use(args: list[str], code: int, said: str, run: Run) -> None:
    """Before it listens."""
    done = run("emulator", "--port", "0", *args)
    assert done.exit_code == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "secretly" not in done.stderr


def test_the_emulator_says_that_its_port_is_taken(run: Run, emulator: Emulator) -> None:
    """With the address."""
    done = run("emulator", "--port", str(emulator.port))
    assert done.exit_code == 1
    assert done.stderr == f"error: can not listen on 127.0.0.1:{emulator.port}: Address already in use\n"
    assert emulator_command.EXAMPLES
