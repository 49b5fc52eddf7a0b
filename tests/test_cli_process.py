"""The command line as a process: terminals, signals, pipes, encodings, and what an import costs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from lascaux.cli.emulator import EXAMPLES
from lascaux.emulator import Emulator

LASCAUX = [sys.executable, "-m", "lascaux"]


@pytest.fixture(scope="module")
def slow() -> Iterator[Emulator]:
    """An emulator that thinks for a long time before it answers."""
    with Emulator(canvas="fast", latency=30) as running:
        yield running


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody without AWS."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}


def lascaux(
    *args: str, cwd: Path, env: Mapping[str, str], stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run the program to its end."""
    return subprocess.run([*LASCAUX, *args], cwd=cwd, env=env, stdout=stdout, stderr=subprocess.PIPE, timeout=30)


def config(folder: Path, url: str) -> str:
    """A file with one alias on that endpoint."""
    (folder / "mine.yaml").write_text(
        f"""\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments:
  core: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{url}"}}
aliases: {{hero: core}}
"""
    )
    return "mine.yaml"


@contextmanager
def terminal(
    *args: str, cwd: Path, env: Mapping[str, str], columns: int = 80
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the program on a terminal of its own; Ctrl-C is the byte 3, as on a keyboard."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*LASCAUX, *args],
        cwd=cwd,
        env={**env, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        os.close(ours)
        process.kill()
        process.wait()


def read_until(fd: int, wanted: str, *, seconds: float = 20) -> str:
    """What appears on a terminal, up to the text that fits the pattern or its end."""
    seen, end = b"", time.monotonic() + seconds
    while not re.search(wanted.encode(), seen) and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                more = os.read(fd, 65536)
            except OSError:
                break
            if not more:
                break
            seen += more
    return seen.decode()


@contextmanager
def serving(command: str, *, cwd: Path, env: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``lascaux emulator`` on a free port, once it says that it listens; with what it said."""
    process = subprocess.Popen(
        [*LASCAUX, *shlex.split(command)[1:], "--port", "0"],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while "AWS_REGION" not in said:
            line = process.stdout.readline()
            assert line, process.communicate()
            said += line
        yield process, said
    finally:
        process.kill()
        process.communicate()


def test_a_terminal_shows_alias_deployment_and_seconds_while_a_picture_is_made(
    slow: Emulator, tmp_path: Path, env: dict[str, str]
) -> None:
    """And Ctrl-C ends it at once, quietly, with 130, even while several calls are under way."""
    for more in ((), ("--n", "3")):
        args = ("generate", "an otter", "-c", config(tmp_path, slow.url), *more)
        with terminal(*args, cwd=tmp_path, env=env) as (process, screen):
            seen = read_until(screen, shown := r"hero  core \(us-west-2\)  [1-9]\d* s", seconds=60)
            assert re.search(shown, seen)
            os.write(screen, b"\x03")
            rest = read_until(screen, "nothing of the kind")
            assert process.wait(10) == 130
            assert "Traceback" not in rest
            assert "error" not in rest.lower()


def test_an_interrupt_without_a_terminal_is_quiet_too(slow: Emulator, tmp_path: Path, env: dict[str, str]) -> None:
    """130 and not a word."""
    command = [*LASCAUX, "generate", "an otter", "-c", config(tmp_path, slow.url), "-v"]
    arrived = threading.Event()
    slow.on_record = lambda _: arrived.set()
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert arrived.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


def test_the_demo_is_quick_and_ends_with_0(tmp_path: Path, env: dict[str, str]) -> None:
    """One process, from nothing to a picture."""
    before = os.times().children_user
    done = lascaux("demo", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out/otter.png").exists()
    assert os.times().children_user - before < 10


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_examples_of_the_emulator_work(command: str, tmp_path: Path, env: dict[str, str]) -> None:
    """Each starts, says where it is, and ends with 0 on SIGTERM or Ctrl-C."""
    with serving(command, cwd=tmp_path, env=env) as (process, said):
        assert re.match(r"Lascaux emulator on http://127\.0\.0\.1:\d+  \(Ctrl-C stops it\)\n", said)
        process.send_signal(signal.SIGTERM if "latency" in command else signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")


def test_the_emulator_is_reached_in_the_way_it_says(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines it prints, exported, lead boto3 and Lascaux there; each call gets a line."""
    with serving("lascaux emulator --canvas fast", cwd=tmp_path, env=env) as (process, said):
        exports = dict(
            word.split("=", 1) for line in said.splitlines() if "export" in line for word in line.split()[1:]
        )
        assert set(exports) >= {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_REGION"}
        (tmp_path / "mine.yaml").write_text('deployments: {hero: {model: "stability.stable-image-core-v1:1"}}\n')
        done = lascaux("generate", "an otter", "-c", "mine.yaml", "-o", "x.png", cwd=tmp_path, env={**env, **exports})
        assert done.returncode == 0, done.stderr
        for name, value in {**exports, "AWS_DEFAULT_REGION": exports["AWS_REGION"]}.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("bedrock-runtime")
        answer = client.invoke_model(
            modelId="stability.stable-image-core-v1:1", body=json.dumps({"prompt": "an otter"})
        )
        assert json.loads(answer["body"].read())["images"]
        client.close()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        lines = err.splitlines()
        assert len(lines) == 2
        assert all("200  us-west-2  stability.stable-image-core-v1:1  1 image" in line for line in lines)


@pytest.mark.parametrize("args", [("schema",), ("models",), ("--help",)])
def test_a_reader_that_goes_away_is_no_traceback(args: tuple[str, ...], tmp_path: Path, env: dict[str, str]) -> None:
    """As in `lascaux models | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = lascaux(*args, cwd=tmp_path, env=env, stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""


def test_a_full_disk_is_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    """Whoever writes the output."""
    for args in (("schema",), ("--version",), ("models",)):
        with Path("/dev/full").open("wb") as full:
            done = lascaux(*args, cwd=tmp_path, env=env, stdout=full.fileno())
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: ")
        assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_terminal_without_unicode_gets_escapes(more: tuple[str, ...], tmp_path: Path, env: dict[str, str]) -> None:
    """Names that it can not show are written all the same, and JSON stays JSON."""
    name = "ötter\N{OTTER}.png"
    ascii_only = {**env, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    done = lascaux("generate", "Ötter \N{OTTER}", "-m", "otter", "-o", name, *more, cwd=tmp_path, env=ascii_only)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).exists()
    out = done.stdout.decode("ascii")
    assert json.loads(out)["images"][0]["file"] == name if more else "\\xf6tter\\U0001f9a6.png" in out


def test_help_loads_nothing_that_is_only_needed_to_work(tmp_path: Path, env: dict[str, str]) -> None:
    """Start-up stays quick: no AWS, no Pillow, no router, no emulator, no telemetry."""
    program = (
        "import sys\n"
        "from lascaux.cli.app import app\n"
        "for args in (['--help'], ['generate', '--help'], ['emulator', '--help'], ['--version']):\n"
        "    try: app(args)\n"
        "    except SystemExit as end: assert not end.code, end\n"
        "heavy = ('boto3', 'botocore', 'urllib3', 'PIL', 'yaml', 'opentelemetry', 'cachetools',\n"
        "         'lascaux.router.client', 'lascaux.router.config', 'lascaux.emulator', 'lascaux.pricing')\n"
        "sys.stderr.write(' '.join(name for name in heavy if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "lascaux 0" in done.stdout
    assert done.stderr == ""
