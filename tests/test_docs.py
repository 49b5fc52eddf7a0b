"""What the documentation shows is true: its Python runs, its YAML loads, its names exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import lascaux
import pytest
from lascaux import Config
from lascaux.emulator import Emulator
from lascaux.router import telemetry_names
from lascaux.router.config import ServerConfig
from PIL import Image

ROOT = Path(lascaux.__file__).resolve().parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, code) of every fenced block of a language."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [(page.name, code) for page in PAGES for code in pattern.findall(page.read_text(encoding="utf-8"))]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A folder with the shipped configurations, and an emulator that the environment points to."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    Image.new("RGB", (256, 256), (30, 120, 200)).save(tmp_path / "otter.png")
    mask = Image.new("RGBA", (256, 256), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (64, 64, 192, 192))
    mask.save(tmp_path / "mask.png")
    monkeypatch.chdir(tmp_path)
    with Emulator(canvas="fast", accept_any_signature=True) as emulator:
        monkeypatch.setenv("LASCAUX_EMULATOR_URL", emulator.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator-secret")
        monkeypatch.setenv("AWS_REGION_NAME", "us-west-2")
        monkeypatch.delenv("AWS_REGION", raising=False)
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        yield emulator


#: The programs of docs/clients.md need a gateway and other interpreters: tests/test_clients_docs.py runs them.
PYTHON = [(page, code) for page, code in blocks("python") if page != "clients.md"]


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=lambda value: value[:24])
def test_python_examples_run(place: Emulator, page: str, code: str) -> None:
    """Each as it stands, in a folder of its own."""
    exec(compile(code, page, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize(("page", "code"), blocks("yaml"), ids=lambda value: value[:24])
def test_yaml_examples_load(page: str, code: str) -> None:
    """Each is a whole configuration."""
    assert Config.parse(code, page, env={"EXTERNAL_ID": "x"}).aliases


def test_the_readmes_output_is_what_its_example_prints(place: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks below the examples: pictures, and what would be asked for them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code, shown = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL)[0]
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == shown
    assert sorted(path.name for path in Path("out").iterdir()) == ["otter-30.png", "otter-31.png"]
    code, shown = re.findall(r"```python\n((?:(?!```).)*)```\n\n```\n(.*?)```", text, re.DOTALL)[1]
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == shown


def test_the_telemetry_page_names_everything() -> None:
    """Every span, attribute and metric there is, and none that there is not."""
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    known = {value for name, value in vars(telemetry_names).items() if name.isupper() and isinstance(value, str)}
    shown = {name for name in re.findall(r"`((?:lascaux|gen_ai|server|cloud|aws|error)\.[a-z_.]+)", page)}
    assert shown <= known | {f"server.{field}" for field in ServerConfig.model_fields}
    unsaid = {name for name in known if name.startswith("lascaux.")} - shown
    assert unsaid <= {telemetry_names.OUTCOME, telemetry_names.BREAKER_STATE}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links only; the targets exist."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target
