"""The wheel, outside the checkout: complete, nothing else in it, and it works."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import lascaux
import pytest

ROOT = Path(lascaux.__file__).resolve().parent
NOT_SHIPPED = {"tests", "benchmarks", "docs", "build", "dist", "out"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built from what is tracked or new in the checkout."""
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "lascaux"
    source.mkdir()
    for name in [
        *shipped_folders(),
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "__init__.py",
        "__main__.py",
        "py.typed",
    ]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", str(ROOT / name), str((source / name).parent)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


def shipped_folders() -> list[str]:
    """The top folders that hold packages."""
    return sorted(
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and path.name not in NOT_SHIPPED and (path / "__init__.py").exists()
    )


def wanted() -> set[str]:
    """Every file below a package folder that a user needs."""
    kinds = {".py", ".yaml", ".json", ".typed", ".html", ".css", ".js", ".svg"}
    found = {
        f"lascaux/{path.relative_to(ROOT)}"
        for folder in shipped_folders()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in kinds and "__pycache__" not in path.parts
    }
    return found | {"lascaux/__init__.py", "lascaux/__main__.py", "lascaux/py.typed"}


def test_the_wheel_holds_every_file_of_every_package_and_nothing_else(dist: Path) -> None:
    """A package or a data file that pyproject.toml forgot would be missed here."""
    (wheel,) = dist.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == wanted()


def test_the_sdist_can_be_built_again(dist: Path) -> None:
    """It carries the licence, the readme and the build file."""
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "router/client.py", "pricing/tables/aws-bedrock.yaml"} <= names


def test_the_installed_wheel_makes_a_picture(dist: Path, tmp_path: Path) -> None:
    """Outside the checkout, from the wheel alone: the command line draws on the emulator."""
    (wheel,) = dist.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)], check=True
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(site)}
    program = "import lascaux, sys; print(lascaux.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", program], cwd=elsewhere, env=env, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(site))
    made = subprocess.run(
        [sys.executable, "-m", "lascaux", "generate", "an otter", "--output", "otter.png"],
        cwd=elsewhere,
        env=env,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert (elsewhere / "otter.png").read_bytes().startswith(b"\x89PNG")
