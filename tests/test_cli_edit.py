"""`lascaux edit`, run in this process: what it makes, says and refuses."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lascaux.cli import app as cli
from lascaux.cli.edit import EXAMPLES
from lascaux.cli.services import SHORT, alias_of, services
from lascaux.emulator import Emulator
from lascaux.providers.types import Task
from PIL import Image, ImageDraw
from typer.testing import CliRunner
from typer.testing import Result as Outcome

SIDE = 512
Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a photo, a mask and a style; a machine that knows of no AWS."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LASCAUX_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    for name, ground, shape in (("photo", "navy", "gold"), ("mask", "black", "white"), ("style", "red", "teal")):
        picture = Image.new("RGB", (SIDE, SIDE), ground)
        ImageDraw.Draw(picture).rectangle((128, 128, 384, 384), fill=shape)
        picture.save(tmp_path / f"{name}.png")


@pytest.fixture
def run() -> Run:
    """Run ``lascaux edit``."""

    def runner(*args: str) -> Outcome:
        return CliRunner().invoke(cli.app, ["edit", *args], prog_name="lascaux")

    return runner


def test_help_shows_the_examples_and_explains_every_option(run: Run) -> None:
    """Each stands there word for word."""
    told = run("--help")
    assert told.exit_code == 0
    assert all(example in told.stdout for example in EXAMPLES)
    for option in ("--mask-mode", "--reference", "--negative-prompt", "--output-format", "--no-cache", "--telemetry"):
        assert option in told.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_help_work(example: str, run: Run, tmp_path: Path) -> None:
    """Beside a photo, a mask and a style, with no configuration: the emulator says that it draws."""
    program, command, *args = shlex.split(example)
    assert (program, command) == ("lascaux", "edit")
    done = run(*args)
    assert done.exit_code == 0, done.stderr
    assert "emulator" in done.stderr
    made = [*tmp_path.glob("out/*"), *tmp_path.glob("cutout.png")]
    assert len(made) == 1
    with Image.open(made[0]) as picture:
        assert min(picture.size) >= SIDE
        assert ("remove-background" not in args) or picture.mode == "RGBA"


@pytest.mark.parametrize(
    ("args", "model", "size"),
    [
        (["x", "--mask", "mask.png", "--mask-mode", "white"], "stability.stable-image-inpaint-v1:0", (SIDE, SIDE)),
        (["-p", "left=64"], "stability.stable-outpaint-v1:0", (SIDE + 64, SIDE)),
        (
            ["--task", "erase", "--mask", "mask.png", "--mask-mode", "white"],
            "stability.stable-image-erase-object-v1:0",
            None,
        ),
        (["--task", "upscale_fast"], "stability.stable-fast-upscale-v1:0", (4 * SIDE, 4 * SIDE)),
        (["x", "-p", "select_prompt=box"], "stability.stable-image-search-recolor-v1:0", (SIDE, SIDE)),
        (["x", "-m", "sketch", "--task", "control-sketch"], "stability.stable-image-control-sketch-v1:0", (SIDE, SIDE)),
    ],
)
def test_the_alias_follows_from_the_task(args: list[str], model: str, size: tuple[int, int] | None, run: Run) -> None:
    """Named or told by the parameters; the record says who did it and where the picture is."""
    done = run("photo.png", *args, "--json")
    assert done.exit_code == 0, done.stdout
    told = json.loads(done.stdout)
    (image,) = told["images"]
    assert (told["model"], told["emulator"]) == (model, True)
    assert size is None or (image["width"], image["height"]) == size
    assert Path(image["file"]).is_file()


def test_a_picture_without_words_is_named_after_its_source(run: Run, tmp_path: Path) -> None:
    """And a second one does not replace the first."""
    for _ in range(2):
        assert run("photo.png", "--task", "remove-background").exit_code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["photo-remove-background-2.png", "photo-remove-background.png"]


def test_an_alias_for_one_task_needs_no_task(run: Run, tmp_path: Path) -> None:
    """The picture is named after the alias then."""
    done = run("photo.png", "-m", "upscale", "--json")
    assert done.exit_code == 0, done.stdout
    assert json.loads(done.stdout)["model"] == "stability.stable-fast-upscale-v1:0"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo-upscale.png"]


def test_the_pixels_outside_the_mask_stay(run: Run, tmp_path: Path) -> None:
    """White is what changes, if white is said to mark it."""
    args = ("--mask", "mask.png", "--mask-mode", "white", "-p", "grow_mask=0", "-o", "hat.png")
    assert run("photo.png", "a straw hat", *args).exit_code == 0
    with Image.open("photo.png") as before, Image.open("hat.png") as after:
        assert before.getpixel((20, 20)) == after.convert("RGB").getpixel((20, 20))
        assert before.tobytes() != after.convert("RGB").tobytes()


def test_the_built_in_configuration_has_an_alias_for_every_task() -> None:
    """And each alias leads to a model that has the task."""
    with services({}) as (config, _):
        assert {alias_of(task) for task in Task if task is not Task.TEXT_TO_IMAGE} | set(SHORT) <= set(config.aliases)
        assert {"hero", "draft"} <= set(config.aliases)


def test_a_configuration_of_ones_own_is_used(run: Run) -> None:
    """The first alias that can do the task; one that nobody can do is refused, and what there is is told."""
    with Emulator(canvas="fast") as emulator:
        Path("lascaux.yaml").write_text(
            f"""\
credentials:
  demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}
deployments:
  core: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{emulator.url}"}}
  cut:
    model: stability.stable-image-erase-object-v1:0
    region: us-west-2
    credentials: demo
    endpoint_url: {emulator.url}
aliases: {{hero: core, eraser: cut}}
"""
        )
        done = run("photo.png", "--task", "erase", "--mask", "mask.png", "--mask-mode", "white", "--json")
        assert done.exit_code == 0, done.stdout
        told = json.loads(done.stdout)
        assert (told["alias"], told["emulator"]) == ("eraser", False)
        done = run("photo.png", "--mask", "mask.png", "--mask-mode", "white", "--json")  # it could be nothing else
        assert json.loads(done.stdout)["alias"] == "eraser", done.stdout
        refused = run("photo.png", "--task", "upscale-fast")
        assert refused.exit_code != 0
        assert "no alias here is known to do upscale_fast (they do: erase, text_to_image)" in refused.stderr
        assert len(emulator.log) == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere.png", "x"], "there is no file"),
        (["photo.png", "x", "--mask", "nowhere.png"], "mask"),
        (["photo.png", "x", "--task", "inpant"], "inpaint"),
        (["photo.png", "x", "--task", "search-replace"], "search_prompt"),
        (["photo.png", "--mask", "mask.png", "--mask-mode", "grey"], "mask_mode"),
        (["photo.png", "x", "-o", "."], "is a folder"),
        (["lascaux.txt", "x"], "image"),
    ],
)
def test_what_can_not_be_done_is_said_without_a_traceback(args: list[str], said: str, run: Run) -> None:
    """The field is named; in JSON too."""
    Path("lascaux.txt").write_text("no picture")
    done = run(*args)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    told: dict[str, Any] = json.loads(run(*args, "--json").stdout)
    assert said in told["error"]["message"]


def test_wrong_usage_ends_with_2(run: Run) -> None:
    """A picture is needed, and KEY=VALUE is a pair."""
    assert run().exit_code == 2
    assert run("photo.png", "x", "-p", "nonsense").exit_code == 2
