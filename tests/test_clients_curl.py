"""curl against a gateway process: the lines of LiteLLM's page as they stand there, forms, streams, and tries of its own."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lascaux.emulator import Emulator
from lascaux.tests.clients.stage import PLAIN, Stage, png, serving
from PIL import Image

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")

DATA = Path(__file__).parent / "data"
PAGE = (DATA / "reference_page.md").read_text(encoding="utf-8")
CONFIG = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
LINES = [f"curl {line}" for line in (DATA / "reference_curl.sh").read_text(encoding="utf-8").split("curl ")[1:]]
TASKS = ["TEXT_IMAGE", "COLOR_GUIDED_GENERATION"]


def shell(line: str, folder: Path) -> str:
    """What a line prints. It must end well."""
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(stage: Stage, folder: Path, path: str, *args: str) -> str:
    """What curl prints of the gateway's answer to one request."""
    head = f"Authorization: Bearer {stage.keys['all']}"
    done = subprocess.run(
        ["curl", "-sS", f"{stage.wire.url}{path}", "-H", head, *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    stage.quiet()
    return done.stdout


def picture(answer: dict[str, Any]) -> Image.Image:
    """The first picture of an answer."""
    return Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"])))


def test_the_page_line_for_line(tmp_path: Path) -> None:
    """Its config.yaml, served as it stands there, and both of its lines; only the port is another."""
    with Emulator(canvas="fast", keys={"my-id": "my-key"}) as emulator:
        (tmp_path / "config.yaml").write_text(CONFIG)
        env = {"AWS_BEDROCK_RUNTIME_ENDPOINT": emulator.url}
        with serving("--config", "config.yaml", folder=tmp_path, env=env) as url:
            port = url.rpartition(":")[2]
            for line, task in zip(LINES, TASKS, strict=True):
                answer = json.loads(shell(line.replace(":4000", f":{port}"), tmp_path))
                assert answer["lascaux"]["model"] == "amazon.nova-canvas-v1:0"
                assert picture(answer).size == (1024, 1024)
                call = emulator.log[-1]
                assert call.body is not None
                assert (call.key_id, call.body["taskType"]) == ("my-id", task)
    assert emulator.billed == 2


def test_a_form_with_a_mask(stage: Stage, tmp_path: Path) -> None:
    """As OpenAI's own pages write it, with ``-F``."""
    (tmp_path / "otter.png").write_bytes(png())
    (tmp_path / "mask.png").write_bytes(png(hole=(64, 64, 192, 192)))
    fields = ("model=fill", "prompt=a hat for curl", "image[]=@otter.png", "mask=@mask.png", "grow_mask=0")
    said = asked(stage, tmp_path, "/v1/images/edits", *(part for field in fields for part in ("-F", field)))
    made = picture(json.loads(said)).convert("RGB")
    assert (made.getpixel((10, 10)), made.getpixel((128, 128)) == PLAIN) == (PLAIN, False)


def test_a_stream_can_be_read_by_eye(stage: Stage, tmp_path: Path) -> None:
    """An event with its name, and the picture in it."""
    body = {"model": "hero", "prompt": "curl", "stream": True}
    said = asked(stage, tmp_path, "/v1/images/generations", "-N", "--json", json.dumps(body))
    assert re.findall(r"^event: (.*)$", said, re.MULTILINE) == ["image_generation.completed"]
    (data,) = re.findall(r"^data: (.*)$", said, re.MULTILINE)
    assert picture({"data": [json.loads(data)]}).size == (1024, 1024)


def test_models(stage: Stage, tmp_path: Path) -> None:
    """The list; and what there is not is a 404 that ``--fail`` notices."""
    assert json.loads(asked(stage, tmp_path, "/v1/models"))["data"][0]["id"] == "hero"
    assert asked(stage, tmp_path, "/v1/models/nobody", "-o", "body", "-w", "%{http_code}") == "404"


@pytest.mark.parametrize("rule", [{"kind": "truncate"}, {"kind": "delay", "latency": 1.5}], ids=["lost", "slow"])
def test_a_call_with_a_name_is_paid_for_once(stage: Stage, tmp_path: Path, rule: dict[str, Any]) -> None:
    """``--retry`` sends again whatever the gateway says; an Idempotency-Key tells that it is the same call."""
    body = json.dumps({"model": stage.trouble(**rule), "prompt": "curl"})
    billed, sent = stage.emulator.billed, len(stage.wire.paths)
    patience = "10" if rule["kind"] == "truncate" else "0.7"
    asked(
        stage, tmp_path, "/v1/images/generations", "--retry", "3", "--retry-delay", "1", "--max-time", patience,
        "-H", f"Idempotency-Key: {rule}", "--json", body,
    )  # fmt: skip
    assert len(stage.wire.paths) > sent + 1
    assert stage.emulator.billed == billed + 1
