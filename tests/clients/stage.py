"""Where every client plays the same scenes: an emulator, a gateway process, a wire, and a driver for each client.

A driver is a program in the client's own language and interpreter. It reads orders, one JSON object a line, and answers
each with one: what its client made of it. It judges nothing; the tests do.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import lascaux
import yaml
from lascaux.emulator import Emulator, Record, Rule
from PIL import Image

from .wire import Wire

__all__ = ["CANVAS", "CORE", "PLAIN", "Driver", "Facts", "Stage", "png", "serving", "staged"]

ROOT = Path(lascaux.__file__).resolve().parent
CORE, CANVAS = "stability.stable-image-core-v1:1", "amazon.nova-canvas-v1:0"
INPAINT, CUTOUT = "stability.stable-image-inpaint-v1:0", "stability.stable-image-remove-background-v1:0"
PLAIN = (30, 120, 200)
_TROUBLED = 64
"""Deployments to be spoilt: what the gateway learns of a fault must not reach another scene."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What came of an order: the driver's answer, the requests that were sent for it, and the emulator's record."""

    said: dict[str, Any]
    sent: list[str]
    calls: list[Record]

    @property
    def answer(self) -> dict[str, Any]:
        """The client's answer. A failure is shown."""
        assert "answer" in self.said, self.said
        found: dict[str, Any] = self.said["answer"]
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The client's exception: ``classes`` from the most special on, and what it holds."""
        assert "error" in self.said, str(self.said)[:2000]
        found: dict[str, Any] = self.said["error"]
        return found

    @property
    def told(self) -> dict[str, Any]:
        """What stands under ``lascaux`` in the answer."""
        found: dict[str, Any] = self.answer["lascaux"]
        return found

    @property
    def pictures(self) -> list[Image.Image]:
        """The pictures of the answer, which the driver has written to files."""
        return [Image.open(io.BytesIO(Path(one["file"]).read_bytes())) for one in self.answer["data"]]

    @property
    def digests(self) -> list[str]:
        """One for each picture."""
        return [hashlib.sha256(Path(one["file"]).read_bytes()).hexdigest() for one in self.answer["data"]]

    @property
    def billed(self) -> int:
        """How many pictures Bedrock has made for it."""
        return sum(call.images for call in self.calls)


@dataclass(kw_only=True)
class Stage:
    """A gateway process on an emulator."""

    emulator: Emulator
    wire: Wire
    url: str
    folder: Path
    keys: dict[str, str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lent: Iterator[int] = field(default_factory=itertools.count)

    def fresh(self) -> str:
        """An alias that nobody has spoilt yet."""
        return f"trouble-{next(self._numbers) % _TROUBLED}"

    def lent(self) -> str:
        """The name of a key that may ask once a minute."""
        return f"once-{next(self._lent)}"

    def trouble(self, **rule: Any) -> str:
        """An alias whose deployment has this fault; ``times`` is how often, and 1 if nothing is said."""
        name = self.fresh()
        number = int(name.rpartition("-")[2])
        self.emulator.faults.add(Rule(region=_region(number), **{"times": 1, **rule}))
        return name

    def quiet(self) -> None:
        """Wait until nothing is under way: what a client has given up goes on without it."""
        headers = {"authorization": f"Bearer {self.keys['admin']}"}
        end = time.monotonic() + 30
        while True:
            rows = httpx2.get(f"{self.url}/admin/usage", headers=headers).json()["data"]
            if not any(row["in_flight"] for row in rows):
                return
            assert time.monotonic() < end, rows


def _region(number: int) -> str:
    return f"us-west-{number + 10}"


class Driver:
    """One client, in its own interpreter."""

    def __init__(self, name: str, stage: Stage, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.stage = stage
        self._process = process
        self._count = itertools.count()

    @property
    def alive(self) -> bool:
        """False once its process has ended."""
        return self._process.poll() is None

    def __call__(self, do: str, *, key: str = "all", **order: Any) -> Facts:
        """Carry out an order; what it has caused is told once nothing is under way any more."""
        stage = self.stage
        sent, calls = len(stage.wire.paths), len(stage.emulator.log)
        name = stage.folder / f"{self._process.pid}-{next(self._count)}"
        client = {"timeout": 30, "retries": 2, **order.pop("client", {})}
        client |= {"url": stage.wire.url, "key": stage.keys.get(key, key)}
        whole = {"do": do, "pictures": str(name), "client": client, **order}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(whole), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"the driver has ended with {self._process.wait()}"
        stage.quiet()
        return Facts(said=json.loads(line), sent=stage.wire.paths[sent:], calls=stage.emulator.log[calls:])


@contextmanager
def driving(name: str, stage: Stage, *command: str | Path, **env: str) -> Iterator[Driver]:
    """A driver that has started."""
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(stage.folder), **env}
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=Path(__file__).parent,
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Driver(name, stage, process)
    finally:
        process.kill()  # it has nothing to put in order, and LiteLLM takes its time to end
        process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()


def settings(url: str) -> dict[str, Any]:
    """An alias for each kind of model, and for each kind of key one."""

    def place(model: str, region: str = "us-west-2") -> dict[str, Any]:
        return {"model": model, "region": region, "credentials": "demo", "endpoint_url": url}

    troubled = {f"trouble-{number}": place(CORE, _region(number)) for number in range(_TROUBLED)}
    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {
            "core": place(CORE),
            "canvas": place(CANVAS, "us-east-1"),
            "fill": place(INPAINT),
            "cutout": place(CUTOUT),
            **troubled,
        },
        "aliases": {
            "hero": "core",
            "paint": "canvas",
            "clear": {"deployments": ["core"], "background_remover": "cutout"},
        },
        "retry": {"attempts": 1},
        "lifecycle": {"retired": "allow"},
        "server": {
            "keys": [
                {"name": "all", "key": "${KEY_ALL}"},
                {"name": "admin", "key": "${KEY_ADMIN}", "admin": True},
                {"name": "narrow", "key": "${KEY_NARROW}", "aliases": ["hero"]},
                {"name": "painter", "key": "${KEY_PAINTER}", "aliases": ["paint"]},
                {"name": "poor", "key": "${KEY_POOR}", "usd_per_day": "0.01"},
                *({"name": f"once-{n}", "key": f"${{KEY_ONCE_{n}}}", "rpm": 1} for n in range(16)),
            ],
            "sigv4": [
                {
                    "access_key_id": f"ID-{name.upper()}",
                    "secret": f"${{KEY_{name.upper().replace('-', '_')}}}",
                    "key": name,
                }
                for name in ("all", "narrow", "poor", *(f"once-{n}" for n in range(16)))
            ],
        },
    }


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """The emulator in this process, the gateway in one of its own, as anybody starts it."""
    names = ["all", "admin", "narrow", "painter", "poor", *(f"once-{n}" for n in range(16))]
    keys = {name: f"a-key-for-a-test-{name}" for name in names}
    env = {f"KEY_{name.upper().replace('-', '_')}": text for name, text in keys.items()}
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator(canvas="fast", any_region=True))
        (folder / "gateway.yaml").write_text(yaml.safe_dump(settings(emulator.url), sort_keys=False))
        url = stack.enter_context(serving("--config", "gateway.yaml", "--no-watch", folder=folder, env=env))
        wire = stack.enter_context(Wire(url))
        yield Stage(emulator=emulator, wire=wire, url=url, folder=folder, keys=keys)


@contextmanager
def serving(*args: str, folder: Path, env: dict[str, str]) -> Iterator[str]:
    """The URL of ``lascaux serve`` on a free port, once it says that it listens."""
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true", **env}
    if "PYTHONPATH" in os.environ:
        surroundings["PYTHONPATH"] = os.environ["PYTHONPATH"]
    complaints = (folder / "gateway.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "lascaux", "serve", "--port", "0", *args],
        cwd=folder,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
    )
    assert process.stdout is not None
    with complaints, process.stdout:
        try:
            line = process.stdout.readline()
            assert line.startswith("Lascaux gateway on http://"), (folder / "gateway.log").read_text()
            yield line.split()[3]
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait(10)
    assert "Traceback" not in (folder / "gateway.log").read_text()


def png(
    width: int = 320, height: int = 320, colour: Sequence[int] = PLAIN, hole: tuple[int, int, int, int] | None = None
) -> bytes:
    """A picture of one colour; with ``hole`` (left, top, right, bottom) a black one, transparent there."""
    picture = Image.new("RGB", (width, height), tuple(colour))
    if hole:
        picture = Image.new("RGBA", (width, height), (0, 0, 0, 255))
        picture.paste((0, 0, 0, 0), hole)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
