"""What `import lascaux` promises, and what it must not cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import lascaux
import pytest

ROOT = Path(lascaux.__file__).resolve().parent
PACKAGES = ["pricing", "providers", "router", "compat", "gateway", "cli", "emulator"]
HEAVY = [
    "boto3",
    "botocore",
    "PIL",
    "urllib3",
    "starlette",
    "uvicorn",
    "yaml",
    "pydantic",
    "opentelemetry",
    "typer",
    "rich",
]


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after ``statement``."""
    program = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_lascaux_loads_nothing_heavy() -> None:
    """Neither AWS, nor pictures, nor the web, nor YAML: names are loaded when they are used."""
    assert modules_after("import lascaux").isdisjoint(HEAVY)


def test_naming_the_router_loads_no_aws_pictures_or_web() -> None:
    """boto3, Pillow and urllib3 come with the first router, not with its class."""
    loaded = modules_after("from lascaux import Router, AsyncRouter, image_generation")
    assert loaded.isdisjoint(["boto3", "botocore", "PIL", "urllib3", "starlette", "uvicorn"])


def test_naming_the_router_loads_no_translation() -> None:
    """LiteLLM's dialect comes with the first file in it."""
    assert "lascaux.compat.config.translation" not in modules_after("from lascaux import Router")


def test_every_public_name_is_there_and_sorted() -> None:
    """``__all__`` is complete, sorted, and agrees with what is loaded on demand."""
    assert sorted(lascaux.__all__) == lascaux.__all__
    assert set(lascaux.__all__) == set(lascaux._HOMES)
    for name in lascaux.__all__:
        assert getattr(lascaux, name).__doc__
    assert set(lascaux.__all__) <= set(dir(lascaux))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="no attribute 'Ruter'"):
        _ = lascaux.Ruter


def sources() -> list[Path]:
    """Every source file that is shipped."""
    return [path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_house_rules_that_no_linter_knows(path: Path) -> None:
    """At most 400 lines; relative imports inside; no clock, sleep or random of its own in the router."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "lascaux" for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level or (node.module or "").split(".")[0] != "lascaux"
        if "router" in path.parts and isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("time.time", "time.sleep", "time.monotonic")
            assert not called.startswith("random.")
