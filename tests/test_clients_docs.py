"""The programs of docs/clients.md, run as they stand there against ``lascaux serve``; only the port is another."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lascaux.tests.clients.interpreters import NODE_MODULES, interpreter, node
from lascaux.tests.clients.stage import ROOT, serving
from openai import OpenAI
from PIL import Image

PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```(python|js|sh)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a gateway that was started with nothing but its name."""
    with serving(folder=tmp_path_factory.mktemp("gateway"), env={}) as url:
        yield url.rpartition(":")[2]


@pytest.fixture(scope="module")
def paid() -> set[str]:
    """Who has asked this gateway."""
    return set()


def command(language: str, code: str, folder: Path, client: str) -> list[str]:
    """What runs the program."""
    name = {"python": "program.py", "js": "program.mjs", "sh": "program.sh"}[language]
    (folder / name).write_text(code)
    if language == "sh":
        return ["bash", "-eu", name]
    if language == "js":
        (folder / "node_modules").symlink_to(NODE_MODULES)
        return [str(node()), name]
    return [str(interpreter(client)), name]


def programs() -> list[tuple[str, str, str]]:
    """(client, language, code) of each; that for OpenAI's package runs with both versions of it."""
    found = []
    for language, code in PROGRAMS:
        if language != "python":
            found.append((language, language, code))
        elif "from openai" in code:
            found += [("python", language, code), ("python-2", language, code)]
        else:
            found.append(("litellm" if "litellm" in code else "boto3", language, code))
    return found


@pytest.mark.parametrize(("client", "language", "code"), programs(), ids=[name for name, _, _ in programs()])
def test_a_program_of_the_page_runs(
    port: str, paid: set[str], tmp_path: Path, client: str, language: str, code: str
) -> None:
    """It tells price and deployment, and leaves a picture."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    line = command(language, code.replace(":4000", f":{port}"), tmp_path, client)
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    cost = "0" if client == "python-2" and "python" in paid else "0.14"  # the same seed once more comes from the cache
    assert sorted(done.stdout.split()) == [cost, "ultra"]
    paid.add(client)
    if language != "sh":
        with Image.open(tmp_path / "otter.png") as picture:
            assert picture.size == (1024, 1024)


@pytest.mark.parametrize("named", [True, False])
def test_the_edit_of_the_page_runs(port: str, tmp_path: Path, named: bool) -> None:
    """By name, and without one at the first alias that has a use for a mask."""
    Image.new("RGB", (512, 512), "navy").save(tmp_path / "otter.png")
    Image.new("L", (512, 512), "white").save(tmp_path / "mask.png")
    found = re.search(r"^An edit is a form: `(.*)`\.$", PAGE, re.MULTILINE)
    assert found is not None
    fields = shlex.split(found[1] if named else found[1].replace("-F model=hero ", ""))
    form = ["curl", "-sS", f"http://localhost:{port}/v1/images/edits", *fields, "-F", "mask_mode=white"]
    done = subprocess.run(form, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True)
    told = json.loads(done.stdout)["lascaux"]
    assert (told["alias"], told["model"]) == ("hero", "stability.stable-image-inpaint-v1:0")
    said = [one["message"] for one in told["warnings"] if one["parameter"] == "model"]
    assert said == ([] if named else ["not given; hero, the first that can do inpaint, was asked"])


def test_a_variation_needs_no_name(port: str) -> None:
    """OpenAI's clients send nothing but the picture; one alias of the built-in configuration has variations."""
    file = io.BytesIO()
    Image.new("RGB", (512, 512), "navy").save(file, "png")
    with OpenAI(base_url=f"http://localhost:{port}/v1", api_key="none") as client, pytest.deprecated_call():
        answer = client.images.create_variation(image=file.getvalue())
    assert (answer.model_extra or {})["lascaux"]["alias"] == "variation"
    assert answer.data is not None
    assert answer.data[0].b64_json


def test_the_page_has_what_is_tested_here() -> None:
    """Five clients, one of them in two versions."""
    assert [name for name, _, _ in programs()] == ["python", "python-2", "js", "litellm", "boto3", "sh"]
