"""The gateway's log: one shape for everything, a closed set of fields, nothing of a prompt, and no forged lines."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import lascaux
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux import Config
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Rule
from lascaux.gateway.lines import JsonLines, Line, TextLines, set_up_logs
from lascaux.router.errors import ConfigError

ROOT = Path(lascaux.__file__).resolve().parent
FIELDS = {field.name for field in fields(Line)}
PLAIN = {"deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}}}
GENERATIONS = "/v1/images/generations"
SECRET = "otter-called-ludmilla"
TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+: .*")


def record(message: str, *args: Any, **more: Any) -> logging.LogRecord:
    """What a logger hands to a formatter."""
    made = logging.LogRecord("lascaux.gateway", logging.WARNING, "file", 1, message, args, None)
    for name, value in more.items():
        setattr(made, name, value)
    return made


@given(st.text())
def test_json_has_one_line_for_whatever_is_said(text: str) -> None:
    """In ASCII, without a control character; the text comes back as it was, if it is not too long."""
    written = JsonLines(0).format(record("%s", text))
    assert written.isascii()
    assert written.isprintable()
    told = json.loads(written)
    assert told["message"] == text
    assert set(told) == {"time", "level", "event", "logger", "message", "worker"}


@given(st.text())
def test_text_never_begins_a_line_of_its_own(text: str) -> None:
    """What follows a line end is marked; nothing else moves a cursor or counts as a line end."""
    for message in (text, f"x\n{text}", f"x\r\n2026-01-01T00:00:00.000Z INFO lascaux.access: {text}"):
        first, *others = TextLines().format(record("%s", message)).splitlines()
        assert TEXT.fullmatch(first)
        assert all(line.startswith("  | ") for line in others)
        assert all(letter.isprintable() or letter == "\t" for line in (first, *others) for letter in line)


@given(st.text(), st.text())
def test_fields_can_not_pretend_to_be_others(alias: str, code: str) -> None:
    """In both shapes: what a client calls an alias stays inside that field."""
    line = Line(event="request", status=200, alias=alias, code=code)
    told = json.loads(JsonLines(3).format(record("request", line=line)))
    assert (told["status"], told["worker"]) == (200, 3)
    assert told["alias"].removesuffix("...") == alias[: len(told["alias"].removesuffix("..."))]
    written = TextLines().format(record("request", line=line))
    assert len(written.splitlines()) == 1
    assert len(re.findall(r"(?:^| )status=", re.sub(r'"(?:[^"\\]|\\.)*"', '""', written))) == 1


def test_the_supervisor_is_no_worker() -> None:
    """Its lines are like all others and name none, not the first."""
    told = json.loads(JsonLines().format(record("worker 0 ended")))
    assert set(told) == {"time", "level", "event", "logger", "message"}


def test_long_values_are_cut() -> None:
    """A megabyte of alias is no megabyte of log."""
    line = Line(event="request", alias="a" * 1_000_000)
    assert len(JsonLines().format(record("request", line=line))) < 1000
    assert len(TextLines().format(record("%s", "b" * 1_000_000))) < 30_000


def test_everything_that_is_logged_has_the_shape() -> None:
    """Ours, uvicorn's, a traceback, and Python's own warnings."""
    stream, root = io.StringIO(), logging.getLogger()
    former, level = root.handlers[:], root.level
    loggers = {name: logging.getLogger(name).level for name in ("uvicorn", "python_multipart")}
    try:
        set_up_logs("json", worker=2, stream=stream)
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request\nreceived.")
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("lascaux.gateway").exception("request %s failed", "req_1")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.getLogger("lascaux.gateway").debug("not told")
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = former
        root.setLevel(level)
        for name, before in loggers.items():
            logging.getLogger(name).setLevel(before)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["logger"] for one in told] == ["uvicorn.error", "lascaux.gateway", "py.warnings"]
    assert all(set(one) <= FIELDS and one["worker"] == 2 for one in told)
    assert "Traceback" in told[1]["message"]
    assert "ValueError: broken" in told[1]["message"]


@contextmanager
def serving(folder: Path, *args: str, log: str = "json") -> Iterator[tuple[subprocess.Popen[str], str, Emulator]]:
    """``lascaux serve`` as a process."""
    path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    with Emulator(canvas="fast") as emulator:
        (folder / "lascaux.yaml").write_text(
            f"""\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments:
  core: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{emulator.url}"}}
aliases: {{hero: core}}
retry: {{attempts: 1}}
server: {{log: {log}}}
"""
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "lascaux", "serve", "--port", "0", *args],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true", **path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()[3], emulator
        finally:
            process.kill()
            process.wait(20)


def ended(process: subprocess.Popen[str]) -> str:
    """What it has logged until SIGTERM."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return said


def ask(url: str, emulator: Emulator) -> None:
    """Requests that go well, that fail, and that would like to be something else."""
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "x-secret": SECRET, "x-request-id": "mine-1"}
    body = {"model": "hero", "prompt": SECRET, "seed": 3}
    for _ in range(2):
        assert httpx2.post(f"{url}{GENERATIONS}", json=body, headers=headers, timeout=30).status_code == 200
    assert httpx2.post(f"{url}/model/hero/invoke", json={"prompt": SECRET}, timeout=30).status_code == 200
    forged = {**body, "model": 'x"}\n{"event":"request","status":200}'}
    assert httpx2.post(f"{url}{GENERATIONS}", json=forged).status_code == 404
    assert httpx2.post(f"{url}{GENERATIONS}", json={**body, "size": SECRET}).status_code == 400
    assert httpx2.post(f"{url}{GENERATIONS}", content=b"{" + SECRET.encode()).status_code == 400
    emulator.faults.add(Rule(status=500, times=1))
    assert httpx2.post(f"{url}{GENERATIONS}", json={**body, "seed": 4}, timeout=30).status_code in (502, 503)
    assert httpx2.get(f"{url}/v1/images/files/x.png?signature={SECRET}").status_code == 404
    assert httpx2.get(f"{url}/no%0Awhere%1b[2J").status_code == 404
    for quiet in ("/health/live", "/health/ready", "/metrics"):
        assert httpx2.get(f"{url}{quiet}").status_code == 200
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as raw:
        raw.sendall(f"NONSENSE {SECRET}\r\n\r\n".encode())
        raw.recv(1000)


def test_json_lines_of_a_process(tmp_path: Path) -> None:
    """One for each request, with all its facts; everything else in the same shape; of prompts nothing."""
    with serving(tmp_path) as (process, url, emulator):
        ask(url, emulator)
        said = ended(process)
    told = [json.loads(line) for line in said.splitlines()]
    assert all(set(one) <= FIELDS for one in told)
    assert SECRET not in said
    requests = [one for one in told if one["event"] == "request"]
    first, again, native, forged, wrong, unread, failed, link, nowhere = requests
    assert {name: first[name] for name in first if name not in ("time", "seconds", "added_seconds", "bytes_out")} == {
        "level": "INFO", "event": "request", "logger": "lascaux.access", "request_id": "mine-1", "trace_id": "a" * 32,
        "method": "POST", "route": GENERATIONS, "status": 200, "key": "anybody", "alias": "hero", "task": "text_to_image",
        "deployment": "core", "model": "stability.stable-image-core-v1:1", "region": "us-west-2", "cache": "miss",
        "cost_usd": "0.04", "charged_usd": "0.04", "images": 1, "attempts": 1, "bytes_in": first["bytes_in"], "worker": 0,
    }  # fmt: skip
    assert 0 < first["added_seconds"] < first["seconds"]
    assert first["bytes_out"] > 500
    assert (again["cache"], again["cost_usd"], again["attempts"]) == ("hit", "0", 0)
    assert (native["route"], native["alias"]) == ("/model/{model_id}/invoke", "hero")
    assert (forged["code"], forged["alias"]) == ("model_not_found", 'x"}\n{"event":"request","status":200}')
    assert (wrong["status"], wrong["code"], unread["code"]) == (400, "invalid_request", "invalid_body")
    assert (failed["code"], failed["deployment"], failed["attempts"]) == ("internal", "core", 1)
    assert (link["route"], link["code"]) == ("/v1/images/files/{name}", "not_found")
    assert "route" not in nowhere
    others = [one for one in told if one["event"] == "log"]
    assert all(one["message"] for one in others)
    assert any(one["level"] == "WARNING" and failed["request_id"] in one["message"] for one in others)


def test_text_lines_of_a_process(tmp_path: Path) -> None:
    """The option wins over the file; every line is one of ours, or a marked continuation."""
    with serving(tmp_path, "--log-format", "text") as (process, url, emulator):
        ask(url, emulator)
        said = ended(process)
    assert SECRET not in said
    lines = said.splitlines()
    assert all(TEXT.fullmatch(line) or line.startswith("  | ") for line in lines)
    requests = [line for line in lines if " lascaux.access: " in line]
    assert len(requests) == 9
    assert " status=200 key=anybody alias=hero " in requests[0]
    assert "cost_usd=0.04" in requests[0]


def test_a_format_that_is_none_is_refused(tmp_path: Path) -> None:
    """On the command line and in the file, with what is allowed."""
    command = [sys.executable, "-m", "lascaux", "serve", "--log-format", "xml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, "must be text or json" in done.stderr) == (2, True)
    with pytest.raises(ConfigError, match=r"server\.log: .*json"):
        Config.from_mapping({**PLAIN, "server": {"log": "jsno"}}, env={})


def test_every_field_is_explained() -> None:
    """In the docs' table, which has no others."""
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    section = page.partition("## Logs")[2].partition("## The audit")[0]
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", section, re.MULTILINE) == [field.name for field in fields(Line)]
