"""``lascaux serve`` as a process: where it listens, what signals do, and when it refuses to start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from lascaux.emulator import Emulator, Record, Rule
from lascaux.gateway.keys import NewKey

ASK = {"model": "hero", "prompt": "An otter", "seed": 3}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody without AWS."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
    }


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator."""
    with Emulator(canvas="fast") as running:
        yield running


def written(folder: Path, url: str, more: str = "", alias: str = "hero") -> str:
    """A file with one alias on that endpoint."""
    (folder / "mine.yaml").write_text(
        f"""\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments:
  core: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{url}"}}
aliases: {{{alias}: core}}
{more}
"""
    )
    return "mine.yaml"


@contextmanager
def serving(*args: str, cwd: Path, env: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``lascaux serve`` on a free port, once it says that it listens; with its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lascaux", "serve", "--port", "0", *args],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("Lascaux gateway on http://"), process.communicate(timeout=10)
        yield process, line.split()[3]
    finally:
        process.kill()
        process.communicate(timeout=20)


def refused(*args: str, cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """The exit code, and what it said, of a gateway that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "lascaux", "serve", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=30
    )
    return done.returncode, " ".join(done.stderr.split())


def test_without_a_configuration_the_emulator_draws(tmp_path: Path, env: dict[str, str]) -> None:
    """At once, and it says so."""
    with serving(cwd=tmp_path, env=env) as (process, url):
        answer = httpx2.post(f"{url}/v1/images/generations", json=ASK, timeout=20)
        assert (answer.status_code, answer.json()["lascaux"]["deployment"]) == (200, "ultra")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "the built-in emulator draws" in said
    assert "Traceback" not in said


def test_sigterm_lets_requests_under_way_end(tmp_path: Path, env: dict[str, str]) -> None:
    """The picture arrives, the process ends with 0."""
    with Emulator(canvas="fast") as emulator:
        # The call itself sends the signal: a request is under way for certain.
        started: list[subprocess.Popen[str]] = []

        def terminate(record: Record) -> None:
            started[0].send_signal(signal.SIGTERM)

        emulator.on_record = terminate
        emulator.faults.add(Rule(kind="slow", latency=0.5))
        with serving("--config", written(tmp_path, emulator.url), cwd=tmp_path, env=env) as (process, url):
            started.append(process)
            answer = httpx2.post(f"{url}/v1/images/generations", json=ASK, timeout=20)
            _, said = process.communicate(timeout=20)
    assert (answer.status_code, process.returncode) == (200, 0)
    assert "Traceback" not in said


@pytest.mark.parametrize("by_signal", [True, False], ids=["SIGHUP", "file"])
def test_the_configuration_is_loaded_anew(
    tmp_path: Path, env: dict[str, str], emulator: Emulator, by_signal: bool
) -> None:
    """By a signal, or when the file changes; a bad file changes nothing and is told."""
    name = written(tmp_path, emulator.url)
    watch = "--no-watch" if by_signal else "--watch"
    with serving("--config", name, watch, cwd=tmp_path, env=env) as (process, url):

        def until(status: int) -> None:
            end = time.monotonic() + 15
            while httpx2.get(f"{url}/v1/models/fresh").status_code != status:
                assert time.monotonic() < end, "the file was not loaded"

        assert httpx2.get(f"{url}/v1/models/fresh").status_code == 404
        written(tmp_path, emulator.url, alias="fresh")
        if by_signal:
            process.send_signal(signal.SIGHUP)
        until(200)
        (tmp_path / name).write_text("aliases: {hero: nobody}\n")
        if by_signal:
            process.send_signal(signal.SIGHUP)
            assert process.stderr is not None
            while "nobody" not in process.stderr.readline():
                pass
        assert httpx2.get(f"{url}/v1/models/fresh").status_code == 200


def test_litellms_file_is_served_as_it_is(tmp_path: Path, env: dict[str, str], emulator: Emulator) -> None:
    """Without a word changed."""
    (tmp_path / "config.yaml").write_text(
        f"""\
model_list:
  - model_name: otter
    litellm_params:
      model: bedrock/stability.stable-image-core-v1:1
      aws_region_name: us-west-2
      aws_access_key_id: emulator
      aws_secret_access_key: emulator-secret
      aws_bedrock_runtime_endpoint: "{emulator.url}"
"""
    )
    with serving("--config", "config.yaml", cwd=tmp_path, env=env) as (_, url):
        answer = httpx2.post(f"{url}/v1/images/generations", json={**ASK, "model": "otter"}, timeout=20)
    assert (answer.status_code, emulator.billed) == (200, 1)


def test_an_address_that_strangers_reach_needs_keys(tmp_path: Path, env: dict[str, str], emulator: Emulator) -> None:
    """Refused without; with one, whoever shows it is served and nobody else."""
    name = written(tmp_path, emulator.url)
    code, said = refused("--config", name, "--host", "0.0.0.0", cwd=tmp_path, env=env)
    assert (code, "add server.keys" in said) == (1, True)
    key = NewKey.make()
    name = written(tmp_path, emulator.url, f"server: {{keys: [{{name: team-a, hash: '{key.hash}'}}]}}")
    with serving("--config", name, "--host", "0.0.0.0", cwd=tmp_path, env=env) as (_, url):
        assert httpx2.get(f"{url}/v1/models").status_code == 401
        wrong = httpx2.post(f"{url}/v1/images/generations", json=ASK, headers={"authorization": "Bearer lsk-no"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
        mine = {"authorization": f"Bearer {key.text}"}
        assert httpx2.post(f"{url}/v1/images/generations", json=ASK, headers=mine, timeout=20).status_code == 200
        assert httpx2.get(f"{url}/v1/usage", headers=mine).json()["usd_today"] == "0.04"
        assert httpx2.get(f"{url}/admin/usage", headers=mine).status_code == 403
    assert emulator.billed == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--config", "nowhere.yaml"), "nowhere.yaml"),
        (("--config", "mine.yaml", "--host", "203.0.113.9"), "add server.keys"),
        (("--config", "mine.yaml", "--host", "evil.example"), "add server.keys"),
    ],
)
def test_what_can_not_be_served_is_one_line(
    tmp_path: Path, env: dict[str, str], args: tuple[str, ...], words: str
) -> None:
    """Exit code 1, no traceback."""
    written(tmp_path, "http://127.0.0.1:1")
    code, said = refused(*args, cwd=tmp_path, env=env)
    assert code == 1
    assert said.startswith("error: ")
    assert words in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_told(tmp_path: Path, env: dict[str, str]) -> None:
    """With the address."""
    written(tmp_path, "http://127.0.0.1:1")
    with serving("--config", "mine.yaml", cwd=tmp_path, env=env) as (_, url):
        code, said = refused("--config", "mine.yaml", "--port", url.rpartition(":")[2], cwd=tmp_path, env=env)
    assert (code, "can not listen on 127.0.0.1:" in said) == (1, True)
