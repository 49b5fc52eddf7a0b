"""The audit: what was made, for whom and at what price, without a prompt and without a picture."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import lascaux
import pytest
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.audit import Audit, AuditLine, open_audit, pictures_in, prompt_of
from lascaux.gateway.gate import open_gate
from lascaux.gateway.keys import NewKey
from lascaux.gateway.observe import Observer
from lascaux.gateway.story import Asked, Notes, Story
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Call, ImageResult, Target
from lascaux.router.config import ServerConfig
from lascaux.router.errors import ConfigError
from PIL import Image

ROOT = Path(lascaux.__file__).resolve().parent
Serve = Callable[[Any], AbstractContextManager[str]]
KEY = "a-key-of-the-audit"
CORE, ULTRA, CANVAS = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1", "amazon.nova-canvas-v1:0"
PROMPT = "An otter called Ludmilla"
TEAM = NewKey.make()
FIELDS = [field.name for field in fields(AuditLine)]


def png(colour: tuple[int, int, int], size: int = 512) -> bytes:
    """A picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, "PNG")
    return buffer.getvalue()


def digest(data: bytes) -> str:
    """As ``sha256sum`` prints it."""
    return hashlib.sha256(data).hexdigest()


@contextmanager
def audited(serve: Serve, file: Path) -> Iterator[tuple[str, Emulator]]:
    """A gateway with a key, that writes an audit."""
    with Emulator(canvas="fast") as emulator:
        place = {"credentials": "demo", "endpoint_url": emulator.url}
        config = Config.from_mapping(
            {
                "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
                "deployments": {
                    "core": {"model": CORE, "region": "us-west-2", **place},
                    "ultra": {"model": ULTRA, "region": "us-west-2", **place},
                    "canvas": {"model": CANVAS, "region": "us-east-1", **place},
                },
                "aliases": {"hero": "core", "edits": "ultra", "nova": "canvas"},
                "retry": {"attempts": 2, "backoff": 0, "budget": 1},
                "server": {
                    "keys": [{"name": "team", "hash": TEAM.hash}],
                    "audit": {"file": str(file), "key": "${AUDIT_KEY}"},
                },
            },
            env={"AUDIT_KEY": KEY},
        )
        router = AsyncRouter(config, picture_files=False)
        gate = open_gate(config.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
        observer = Observer(audit=open_audit(config.server.audit))
        with serve(create_app(router, gate=gate, observer=observer)) as url:
            yield url, emulator


def post(url: str, path: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
    """With the team's key."""
    told = {"authorization": f"Bearer {TEAM.text}", **headers}
    return httpx2.post(f"{url}{path}", json=body, headers=told, timeout=30)


def lines(file: Path) -> list[dict[str, Any]]:
    """Every line of the file, whole."""
    text = file.read_text(encoding="utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_for_each_call(serve: Serve, tmp_path: Path) -> None:
    """Made, found in the cache, joined, edited, failed, refused; over OpenAI's address and over Bedrock's."""
    file = tmp_path / "audit.jsonl"
    source = png((20, 90, 160))
    with audited(serve, file) as (url, emulator):
        ask = {"model": "hero", "prompt": PROMPT, "seed": 30}
        first = post(url, "/v1/images/generations", ask, **{"x-request-id": "r-1", "idempotency-key": "k"})
        assert post(url, "/v1/images/generations", ask, **{"idempotency-key": "k"}).status_code == 200  # joins
        assert post(url, "/v1/images/generations", ask).json()["lascaux"]["cache"] == "hit"
        picture = "data:image/png;base64," + base64.b64encode(source).decode()
        edit = {"model": "edits", "prompt": "at night", "images": [{"image_url": picture}], "seed": 1}
        edited = post(url, "/v1/images/edits", edit)
        assert edited.status_code == 200, edited.text
        native = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": PROMPT}, "imageGenerationConfig": {"seed": 7}}
        made = post(url, "/model/nova/invoke", native)
        assert made.status_code == 200, made.text
        emulator.faults.add(Rule(status=500, times=2, match="doomed"))
        assert post(url, "/v1/images/generations", {**ask, "prompt": "doomed"}).status_code in (502, 503)
        assert post(url, "/v1/images/generations", {**ask, "model": "nobody"}).status_code == 404
        assert post(url, "/v1/images/generations", {**ask, "size": "banana"}).status_code == 400
    found = lines(file)
    assert all(list(one) == FIELDS for one in found)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keyed = hmac.new(KEY.encode(), PROMPT.encode(), "sha256").hexdigest()
    delivered = base64.b64decode(first.json()["data"][0]["b64_json"])
    assert {name: found[0][name] for name in FIELDS if name not in ("time", "attempts")} == {
        "request_id": "r-1", "trace_id": None, "key": "team", "alias": "hero", "task": "text_to_image",
        "prompt_hmac": keyed, "inputs": [], "outputs": [digest(delivered)], "seeds": [30],
        "size": first.json()["size"], "cost_usd": "0.04", "charged_usd": "0.04",
        "price_table": first.json()["lascaux"]["cost"]["table"],
        "deployment": "core", "model": CORE, "region": "us-west-2", "cache": "miss", "code": None,
    }  # fmt: skip
    call = {"deployment": "core", "model": CORE, "region": "us-west-2", "outcome": "ok", "cost_usd": "0.04"}
    assert found[0]["attempts"] == [{**call, "may_be_billed": False}]
    assert (found[1]["cache"], found[1]["cost_usd"], found[1]["prompt_hmac"]) == ("hit", "0", keyed)
    assert (found[2]["inputs"], found[2]["alias"]) == ([digest(source)], "edits")
    assert found[2]["outputs"] == [digest(base64.b64decode(edited.json()["data"][0]["b64_json"]))]
    assert (found[3]["prompt_hmac"], found[3]["seeds"], found[3]["deployment"]) == (keyed, [7], "canvas")
    assert found[3]["outputs"] == [digest(base64.b64decode(made.json()["images"][0]))]
    assert [one["outcome"] for one in found[4]["attempts"]] == ["internal", "internal"]
    assert (found[4]["code"], found[4]["outputs"], found[4]["deployment"]) == ("internal", [], "core")
    assert [one["code"] for one in found[5:]] == ["model_not_found", "invalid_request"]
    assert found[2]["cost_usd"] == edited.headers.get("x-lascaux-cost-usd")  # none: nobody has published that price
    assert found[3]["cost_usd"] == made.headers["x-lascaux-cost-usd"]
    assert sum(Decimal(one["cost_usd"] or 0) for one in found) == Decimal("0.08")
    assert "Ludmilla" not in file.read_text()
    assert KEY not in file.read_text()


class Held(FakeProvider):
    """A provider whose calls wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        self.begun.set()
        assert self.go.wait(20)
        return super().send(target, call, timeout=timeout)


def test_who_hangs_up_is_written_down(serve: Serve, tmp_path: Path) -> None:
    """The picture is made and paid for; the audit knows by whom."""
    file, provider = tmp_path / "audit.jsonl", Held()
    config = {"deployments": {"core": {"model": CORE, "region": "us-west-2"}}, "aliases": {"hero": "core"}}
    audit = open_audit(ServerConfig.model_validate({"audit": {"file": str(file), "key": KEY}}).audit)
    router = AsyncRouter(config, provider=provider, picture_files=False)
    with serve(create_app(router, observer=Observer(audit=audit))) as url:
        parts, body = urlsplit(url), json.dumps({"model": "hero", "prompt": PROMPT, "seed": 1})
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as hasty:
            head = f"POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            hasty.sendall((head + body).encode())
            assert provider.begun.wait(20)
        provider.go.set()
        end = time.monotonic() + 20
        while not file.read_text():
            assert time.monotonic() < end
            time.sleep(0.02)
    (line,) = lines(file)
    assert (line["key"], line["cost_usd"], len(line["outputs"]), line["code"]) == ("anybody", "0.04", 1, None)


def test_the_recipe_of_the_page_finds_a_prompt(serve: Serve, tmp_path: Path) -> None:
    """As it stands there."""
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```\n(python3 .*)\n```", page, re.MULTILINE)
    command = shlex.split(recipe)
    env = {"PATH": os.environ["PATH"], "AUDIT_KEY": KEY}
    done = subprocess.run(
        [sys.executable, *command[1:]], env=env, capture_output=True, text=True, check=True, timeout=30
    )
    file = tmp_path / "audit.jsonl"
    with audited(serve, file) as (url, _):
        post(url, "/v1/images/generations", {"model": "hero", "prompt": command[-1]})
        post(url, "/v1/images/generations", {"model": "hero", "prompt": "another"})
    assert [done.stdout.strip() in json.dumps(line) for line in lines(file)] == [True, False]


def told(audit: Audit, alias: str, prompt: str = "x") -> None:
    """One failed call."""
    story = Story.failed(alias, ValueError("broken"))
    audit.sink(Notes(lambda: 0.0), Asked(alias=alias, prompt=prompt, params={}), story, None)


def drained(audit: Audit) -> None:
    """Close it, once all is written."""
    import asyncio

    asyncio.run(audit.aclose())


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    """Hundreds of lines from several writers at once, and each is whole."""
    file = tmp_path / "audit.jsonl"
    program = (
        "import sys\n"
        "from lascaux.gateway.audit import Audit\n"
        "from lascaux.gateway.story import Asked, Notes, Story\n"
        "import asyncio\n"
        "audit = Audit(sys.argv[1], b'k' * 16)\n"
        "for n in range(200):\n"
        "    story = Story.failed(f'{sys.argv[2]}-{n}' + 'x' * 6000, ValueError())\n"
        "    audit.sink(Notes(lambda: 0.0), Asked(alias=story.alias, prompt='p', params={}), story, None)\n"
        "asyncio.run(audit.aclose())\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(file), name]) for name in "abc"]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert sorted(line["alias"].rstrip("x") for line in lines(file)) == sorted(
        f"{a}-{n}" for a in "abc" for n in range(200)
    )


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """With the next line, and with mode 0600; the old one is left as it is."""
    file = tmp_path / "audit.jsonl"
    audit = Audit(str(file), b"k" * 16)
    told(audit, "one")
    end = time.monotonic() + 20
    while not file.stat().st_size:
        assert time.monotonic() < end
    file.rename(tmp_path / "audit.jsonl.1")
    told(audit, "two")
    drained(audit)
    assert [line["alias"] for line in lines(tmp_path / "audit.jsonl.1")] == ["one"]
    assert [line["alias"] for line in lines(file)] == ["two"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


FULL = """
import asyncio, json, logging, resource, signal, sys
from lascaux.gateway.audit import Audit
from lascaux.gateway.story import Asked, Notes, Story
logging.basicConfig(stream=sys.stdout, format="%(message)s")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lost = []
audit = Audit(sys.argv[1], b"k" * 16, lost=lambda: lost.append(1))
def tell(alias):
    audit._writer.submit(lambda: None).result()
    audit.sink(Notes(lambda: 0.0), Asked(alias=alias, prompt="p", params={}), Story.failed(alias, ValueError()), None)
    audit._writer.submit(lambda: None).result()
tell("first")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for _ in range(5):
    tell("lost")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
tell("last")
asyncio.run(audit.aclose())
print(len(lost))
"""


def test_a_full_disk_fails_nothing(tmp_path: Path) -> None:
    """A limit of the system stands for it: what is lost is counted, and said once; then lines are whole again."""
    file = tmp_path / "audit.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *said, lost = done.stdout.splitlines()
    whole = [line for line in file.read_text().splitlines() if line.endswith("}")]
    aliases = [json.loads(line)["alias"] for line in whole]
    assert aliases[0] == "first"
    assert aliases[-1] == "last"
    assert int(lost) >= 3
    assert len(whole) == 7 - int(lost)
    assert len(said) == 1
    assert "the audit can not be written" in said[0]


def test_what_can_not_be_opened_is_said_at_start(tmp_path: Path) -> None:
    """A folder that is not there, a key that is empty, too short, or written down."""
    missing = ServerConfig.model_validate({"audit": {"file": str(tmp_path / "no" / "audit"), "key": KEY}})
    make = open_audit(missing.audit)
    assert make is not None
    with pytest.raises(ConfigError, match=r"server\.audit\.file: .*no such file"):
        make(lambda: None)
    empty = ServerConfig.model_validate({"audit": {"file": "x", "key": ""}})
    with pytest.raises(ConfigError, match=r"server\.audit\.key: is empty"):
        open_audit(empty.audit)
    assert open_audit(None) is None
    config = (
        'deployments: {{core: {{model: "stability.stable-image-core-v1:1", region: us-west-2}}}}\n'
        'server: {{audit: {{file: a, key: "{}"}}}}\n'
    )
    with pytest.raises(ConfigError, match="at least 16 characters"):
        Config.parse(config.format("${KEY}"), "c.yaml", env={"KEY": "short"})
    with pytest.raises(ConfigError, match="is written in the file") as written:
        Config.parse(config.format("in-plain-sight-and-long"), "c.yaml", env={})
    assert "plain-sight" not in str(written.value)
    loaded = Config.parse(config.format("${KEY}"), "c.yaml", env={"KEY": KEY})
    assert KEY not in repr(loaded)


def test_digests_are_made_beside_the_event_loop(tmp_path: Path) -> None:
    """Of a crowd that brings more than the thread can write, some write themselves, and no line is lost."""
    file = tmp_path / "audit.jsonl"
    threads: set[str] = set()
    losses: list[int] = []
    audit = Audit(str(file), b"k" * 16, lost=lambda: losses.append(1))
    append = audit._file.append

    def watched(line: bytes) -> None:
        threads.add(threading.current_thread().name)
        append(line)

    audit._file.append = watched  # type: ignore[method-assign]
    with ThreadPoolExecutor(8, thread_name_prefix="crowd") as crowd:
        list(crowd.map(lambda n: told(audit, str(n)), range(500)))
    drained(audit)
    assert sorted(int(line["alias"]) for line in lines(file)) == list(range(500))
    assert any(name.startswith("lascaux-audit") for name in threads)
    assert not losses


@pytest.mark.parametrize(
    ("prompt", "params", "found"),
    [
        ("words", {}, "words"),
        ("", {"textToImageParams": {"text": "words"}}, "words"),
        ("", {"native": {"taskType": "INPAINTING", "inPaintingParams": {"image": "x", "text": "words"}}}, "words"),
        ("", {"extra_body": {"prompt": "words"}}, "words"),
        ("", {"imageGenerationConfig": {"seed": 3}}, None),
        (["no", "text"], {}, None),
    ],
)
def test_the_prompt_is_found_where_it_stands(prompt: Any, params: dict[str, Any], found: str | None) -> None:
    """OpenAI's field, else a provider's object."""
    assert prompt_of(prompt, params) == found


def test_pictures_are_found_wherever_they_stand() -> None:
    """As bytes, base64 with and without padding and line ends, data URLs, in lists and objects; words are none."""
    data = png((1, 2, 3))
    text = base64.b64encode(data).decode()
    spelt: list[Any] = [
        data,
        text,
        text.rstrip("="),
        "\n".join(text[place : place + 76] for place in range(0, len(text), 76)),
        f"data:image/png;base64,{text}",
        {"image_url": f"data:image/png;base64,{text}"},
        [{"native": {"inPaintingParams": {"image": text}}}],
        ("otter.png", data),
    ]
    for value in spelt:
        assert [digest(one) for one in pictures_in({"x": value, "prompt": "an otter" * 20})] == [digest(data)]
    assert not list(
        pictures_in({"prompt": "An otter, painted. " * 50, "seed": 3, "x": b"no picture", "y": "iVBORw0KGgo!" * 20})
    )


def test_every_field_is_explained() -> None:
    """In the docs' table, in the order of the lines."""
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    section = page.partition("## The audit")[2]
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", section, re.MULTILINE) == FIELDS
