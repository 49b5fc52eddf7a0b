"""Pictures that were made, and paid for, and can not be written where they should be."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lascaux.cli.app import app
from lascaux.emulator import Emulator
from typer.testing import CliRunner, Result


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests here."""
    with Emulator(canvas="fast") as running:
        yield running


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Path:
    """A temp folder of our own, beside the folder of work; `mine.yaml` leads to the emulator."""
    work, temp = tmp_path / "work", tmp_path / "temp"
    work.mkdir()
    temp.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(work)
    place = f'region: us-west-2, credentials: demo, endpoint_url: "{emulator.url}"'
    Path("mine.yaml").write_text(
        f"""\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments: {{hero: {{model: "stability.stable-image-core-v1:1", {place}}}}}
"""
    )
    emulator.forget()
    return temp


def generate(*options: str) -> Result:
    """One run of the command."""
    return CliRunner().invoke(app, ["generate", "an otter", "-c", "mine.yaml", *options], prog_name="lascaux")


@pytest.mark.parametrize(
    ("output", "reason"), [("/dev/full", "No space left on device"), ("x" * 251 + ".png", "File name too long")]
)
def test_a_picture_that_can_not_be_written_goes_to_the_temp_folder(output: str, reason: str, temp: Path) -> None:
    """It is reported with its cost and its place, and the command fails."""
    more = ["--n", "2"] if output != "/dev/full" else []
    done = generate("-o", output, *more)
    assert done.exit_code == 1
    saved = list(temp.iterdir())
    assert len(saved) == (2 if more else 1)
    assert all(file.read_bytes().startswith(b"\x89PNG") and file.suffix == ".png" for file in saved)
    assert ("0.08 USD" if more else "0.04 USD") in done.stdout
    assert all(f"{file}  png 1536x1536" in done.stdout or f"{file}  png 1024x1024" in done.stdout for file in saved)
    errors = done.stderr.splitlines()
    assert len(errors) == len(saved)
    assert all(line.startswith("error: output: ") and f"can not be written: {reason};" in line for line in errors)
    assert all(f"the picture is in {file}" in done.stderr for file in saved)
    assert Path("/dev/full").exists()


def test_the_others_are_saved_where_they_should_be(temp: Path) -> None:
    """One name of three is taken by a folder; programs read the result and the error from one document."""
    Path("x-2.png").mkdir()
    done = generate("-o", "x.png", "--n", "3", "--json")
    assert (done.exit_code, done.stderr) == (1, "")
    (lost,) = temp.iterdir()
    record = json.loads(done.stdout)
    assert [image["file"] for image in record["images"]] == ["x-1.png", str(lost), "x-3.png"]
    assert record["cost"]["usd"] == "0.12"
    assert (record["error"]["code"], record["error"]["may_be_billed"]) == ("output", True)
    assert record["error"]["problems"] == [
        f"output: x-2.png can not be written: Is a directory; the picture is in {lost}"
    ]
    assert Path("x-3.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_picture_that_fits_nowhere_still_has_its_cost(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a temp folder the picture is lost, and that is said; what it cost is not lost."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    done = generate("-o", "/dev/full", *(["--json"] if as_json else []))
    assert done.exit_code == 1
    if as_json:
        record = json.loads(done.stdout)
        assert record["images"][0]["file"] is None
        assert record["cost"]["usd"] == "0.04"
        assert "the picture is lost" in record["error"]["message"]
    else:
        assert "0.04 USD" in done.stdout
        assert "(not saved)  png" in done.stdout
        assert "the picture is lost" in done.stderr


def test_the_demo_says_where_its_picture_went(temp: Path) -> None:
    """The whole path is shown all the same."""
    done = CliRunner().invoke(app, ["demo", "-o", "/dev/full"])
    assert done.exit_code == 1
    (saved,) = temp.iterdir()
    assert f"{saved}  png" in done.stdout
    assert done.stderr.startswith("error: output: /dev/full can not be written: No space left on device")


def test_the_demo_draws_in_the_format_of_its_file() -> None:
    """No PNG in a file called .jpg."""
    assert CliRunner().invoke(app, ["demo", "-o", "otter.jpg"]).exit_code == 0
    assert Path("otter.jpg").read_bytes().startswith(b"\xff\xd8")
