"""The page on tasks says what the catalogue says, and its picture is there."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import lascaux
import pytest
from lascaux.providers.catalog import Catalog
from lascaux.providers.types import Task
from PIL import Image

DOCS = Path(lascaux.__file__).resolve().parent / "docs"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The names of the script that writes the page."""
    return runpy.run_path(str(DOCS / "make_tasks.py"))


@pytest.fixture(scope="module")
def page(script: dict[str, Any]) -> str:
    """What the script would write now."""
    written = script["page"]()
    assert isinstance(written, str)
    return written


def test_the_page_is_fresh(page: str) -> None:
    """`make docs` would change nothing."""
    assert (DOCS / "tasks.md").read_text("utf-8") == page


def test_a_few_facts_stand_in_it(page: str) -> None:
    """Ranges, requirements, and each task with somebody who does it."""
    section = page.partition("### stability.stable-creative-upscale-v1:0")[2].partition("###")[0]
    assert "| `creativity` | number; 0.1 to 0.5 | `0.3` |  | upscale_creative |" in section
    assert "| `image` | image |  | upscale_creative |  |" in section
    assert "| `control_structure` | `amazon.titan-image-generator-v2:0`, `amazon.nova-canvas-v1:0`, `stability." in page
    for task in Task:
        assert f"| `{task}` | `" in page


def test_the_picture_is_small_enough_for_a_page() -> None:
    """A contact sheet of at most 1.5 MB."""
    path = DOCS / "tasks.png"
    assert path.stat().st_size < 1_500_000
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 800


def test_the_picture_shows_every_task_of_every_model(script: dict[str, Any]) -> None:
    """It was drawn from the catalogue as it is now: `make docs` would show nobody else."""
    with Image.open(DOCS / "tasks.png") as sheet:
        assert sheet.info[script["SHOWS"]] == script["shown"]()


def test_the_page_has_every_model_every_task_and_every_field(page: str) -> None:
    """The table is complete: fields inside objects too."""
    for model in Catalog.load().models():
        section = page.partition(f"\n### {model.id}\n")[2].partition("\n### ")[0]
        assert bool(section) == (model.family != "nova_omni"), model.id
        for task, facts in model.tasks.items() if section else ():
            assert f"- `{task}`: " in section
            assert all(f"| `{field}`" in section for field in facts.fields), (model.id, task)
