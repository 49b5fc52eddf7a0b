"""Workers as real processes: killed, signalled, reloaded under load, with outages upstream. Money agrees to the cent."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.books import Books
from lascaux.gateway.journal import Journal
from lascaux.gateway.keys import NewKey

KEY = NewKey.make()
CORE, ULTRA, ZERO = Decimal("0.04"), Decimal("0.14"), Decimal(0)
PATIENCE = 60.0
"""Seconds after which something has certainly not happened."""


def written(
    folder: Path,
    url: str,
    *,
    hero: str = "core",
    workers: int = 2,
    limit: str = ", usd_per_day: 1000",
    server: str = "",
    more: str = "",
) -> None:
    """The configuration: a key with plenty of money, two models."""
    draft = folder / "draft"
    draft.write_text(
        f"""\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments:
  core: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{url}"}}
  ultra: {{model: "stability.stable-image-ultra-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{url}"}}
  rare: {{model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: demo, endpoint_url: "{url}",
    limits: {{rpm: 3}}}}
aliases: {{hero: {hero}, {hero}-only: {hero}}}
server:
  workers: {workers}
  keys: [{{name: team, hash: "{KEY.hash}"{limit}}}]
  {server}
{more}
"""
    )
    draft.rename(folder / "mine.yaml")


@dataclass(frozen=True)
class Answer:
    """What a client sees; status 0: the connection broke."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Caller:
    """One connection, which stays with the worker that has taken it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)

    def ask(self, path: str, **fields: Any) -> Answer:
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY.text}"}
        try:
            self._connection.request("POST" if fields else "GET", path, json.dumps(fields) if fields else None, headers)
            response = self._connection.getresponse()
            body = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(0, repr(error))
        return Answer(response.status, body, {name.lower(): value for name, value in response.headers.items()})

    def draw(self, prompt: str, model: str = "hero") -> Answer:
        return self.ask("/v1/images/generations", model=model, prompt=prompt, max_wait=0)

    def worker(self) -> str | None:
        return self.ask("/health/live").headers.get("x-lascaux-worker")

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Gateway:
    """``lascaux serve`` as a process, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._callers: list[Caller] = []
        assert process.stdout is not None
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        line = process.stdout.readline()
        self.url = line.split()[3] if line else ""

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    @property
    def text(self) -> str:
        return "".join(self.said)

    def pid(self, worker: int) -> int:
        """The newest worker of that place."""
        ready = rf"worker {worker} is ready \(pid (\d+)\)"
        until(lambda: re.search(ready, self.text), f"worker {worker} does not get ready")
        return int(re.findall(ready, self.text)[-1])

    def callers(self, worker: str, count: int) -> list[Caller]:
        """Connections to one worker."""
        found: list[Caller] = []
        end = time.monotonic() + PATIENCE
        while len(found) < count:
            assert time.monotonic() < end, f"worker {worker} takes no connection"
            caller = Caller(self.url)
            self._callers.append(caller)
            if caller.worker() == worker:
                found.append(caller)
            else:
                caller.close()
        return found

    def draw(self, prompt: str) -> Answer:
        """On a connection of its own."""
        with Caller(self.url) as caller:
            return caller.draw(prompt)

    @property
    def listens(self) -> bool:
        """Is there somebody who takes a connection?"""
        with Caller(self.url) as caller:
            return caller.worker() is not None

    def usage(self) -> tuple[Decimal, Decimal]:
        """US dollars spent today, and those of them that are only reserved."""
        with Caller(self.url) as caller:
            body = caller.ask("/v1/usage").body
        return Decimal(body["usd_today"]), Decimal(body["usd_reserved"])

    def ended(self) -> int:
        """The exit code, once every process has let go of the gateway's output."""
        for caller in self._callers:
            caller.close()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "somebody was left behind"
        return self.process.returncode


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody without AWS, with a folder of their own for temporary files."""
    (tmp_path / "tmp").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path / "tmp"),
        "AWS_EC2_METADATA_DISABLED": "true",
        **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
    }


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator that counts what it bills."""
    with Emulator(canvas="fast") as running:
        yield running


Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, env: dict[str, str]) -> Iterator[Start]:
    """Starts a gateway on ``mine.yaml``; at the end nobody is left, and no temporary file."""
    started: list[Gateway] = []

    def begin(*args: str, opens: bool = True) -> Gateway:
        process = subprocess.Popen(
            [sys.executable, "-m", "lascaux", "serve", "--config", "mine.yaml", "--port", "0", *args],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        started.append(Gateway(process))
        assert bool(started[-1].url) is opens, started[-1].text
        return started[-1]

    yield begin
    for gateway in started:
        gateway.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            gateway.process.wait(PATIENCE)
        gateway.process.kill()
        gateway.ended()
        assert gateway.process.stdout is not None
        assert gateway.process.stderr is not None
        gateway.process.stdout.close()
        gateway.process.stderr.close()
        assert "Traceback" not in gateway.text
    assert list((tmp_path / "tmp").iterdir()) == []


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, what
        threading.Event().wait(0.02)


@contextmanager
def load(ask: Callable[[str], Answer], clients: int) -> Iterator[list[Answer]]:
    """Clients that ask all the time; the answers are complete at the end."""
    answers: list[Answer] = []
    over = threading.Event()

    def client(number: int) -> None:
        count = 0
        while not over.is_set():
            answers.append(ask(f"otter {number} {count}"))
            count += 1

    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(client, number) for number in range(clients)]
        try:
            yield answers
        finally:
            over.set()
        for future in futures:
            future.result()


@pytest.mark.parametrize("limit", [", usd_per_day: 1000", ""], ids=["limited", "unlimited"])
def test_a_killed_worker_harms_nobody_else(tmp_path: Path, emulator: Emulator, start: Start, limit: str) -> None:
    """Requests of the other go on, another takes its place, and what it had under way stays spent: it was billed."""
    written(tmp_path, emulator.url, limit=limit)
    gateway = start()
    assert gateway.pid(0) != gateway.pid(1) != gateway.process.pid
    killed, others = gateway.callers("0", 4), gateway.callers("1", 3)
    emulator.faults.latency = PATIENCE  # those that are killed do not end before
    with ThreadPoolExecutor(4) as pool:
        lost = [pool.submit(caller.draw, f"lost otter {number}") for number, caller in enumerate(killed)]
        until(lambda: emulator.billed == 4, "the calls do not arrive")
        emulator.faults.latency = 0.05
        dead = gateway.pid(0)
        with load(lambda prompt: others[int(prompt.split()[1])].draw(prompt), 3) as answers:
            until(lambda: len(answers) > 5, "there is no load")
            os.kill(dead, signal.SIGKILL)
            until(lambda: gateway.pid(0) != dead, "nobody takes its place")
            (back,) = gateway.callers("0", 1)
            assert back.draw("an otter of the new one").status == 200
        assert [future.result().status for future in lost] == [0] * 4
    assert {answer.status for answer in answers} == {200}
    assert all(gateway.draw(f"a later otter {number}").status == 200 for number in range(6))
    assert gateway.usage() == (emulator.billed * CORE, 4 * CORE)
    assert emulator.billed == len(answers) + 4 + 1 + 6
    for worker in ("0", "1"):
        told = gateway.callers(worker, 1)[0].ask("/v1/usage").body
        assert (Decimal(told["usd_today"]), told["in_flight"]) == (emulator.billed * CORE, 0)
    assert f"worker 0 (pid {dead}) was killed by SIGKILL; another one takes its place at once" in gateway.text
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_stop_under_load_answers_all_that_is_under_way(
    tmp_path: Path, emulator: Emulator, start: Start, number: int
) -> None:
    """By both workers; then the exit code is 0, and the accounts say what was billed."""
    written(tmp_path, emulator.url, server="spend_file: spend")
    gateway = start()
    emulator.faults.latency = 1.0
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(gateway.draw, f"otter {one}") for one in range(16)]
        until(lambda: emulator.billed == 16, "the calls do not arrive")
        os.killpg(gateway.process.pid, number)  # as a terminal does it
        assert [future.result().status for future in asked] == [200] * 16
    assert gateway.ended() == 0
    assert not gateway.listens
    books, journal = Books(), Journal(tmp_path / "spend", durable=False)
    days = set()
    with journal.locked():
        for record in journal.read():
            books.apply(record)
            days |= {record["day"]} if "day" in record else set()
    journal.close()
    sums = [record for record in books.records() if record["op"] == "sum"]
    assert sum(Decimal(record["usd"]) for record in sums) == emulator.billed * CORE == 16 * CORE
    assert {record["op"] for record in books.records()} == {"sum"}


def test_reloads_under_load_lose_nothing(tmp_path: Path, emulator: Emulator, start: Start) -> None:
    """By signal and by file: every answer is that of one of the configurations, at its price; then all have the last."""
    written(tmp_path, emulator.url)
    gateway = start()
    with load(gateway.draw, 4) as answers:
        for turn, hero in enumerate(("ultra", "core", "ultra")):
            written(tmp_path, emulator.url, hero=hero, more=f"retry: {{attempts: {turn + 2}}}")
            if turn != 1:
                gateway.process.send_signal(signal.SIGHUP)
            for worker in ("0", "1"):
                (caller,) = gateway.callers(worker, 1)
                path = f"/v1/models/{hero}-only"
                until(lambda: caller.ask(path).status == 200, "the file was not loaded")  # noqa: B023
    assert {answer.status for answer in answers} == {200}
    made = Counter(answer.body["lascaux"]["deployment"] for answer in answers)
    assert all(
        Decimal(answer.body["lascaux"]["cost"]["usd"])
        == {"core": CORE, "ultra": ULTRA}[answer.body["lascaux"]["deployment"]]
        for answer in answers
    )
    assert made["ultra"] > 0
    assert made["core"] > 0
    assert made.total() == emulator.billed
    assert gateway.usage() == (made["core"] * CORE + made["ultra"] * ULTRA, ZERO)
    assert gateway.draw("the last otter").body["lascaux"]["deployment"] == "ultra"


def test_an_outage_is_told_and_booked(tmp_path: Path, emulator: Emulator, start: Start) -> None:
    """Answers are right, and the sum is that of the emulator.

    It does not know whether a call that it dropped would have been billed by AWS, nor does the gateway: such calls count as
    billed. Cut answers were made, and the emulator counts them itself; errors with a status of Bedrock's cost nothing.
    """
    written(tmp_path, emulator.url, more="retry: {attempts: 2}\nhealth: {failures: 100}")
    gateway = start()
    with load(gateway.draw, 4) as answers:
        until(lambda: len(answers) > 10, "there is no load")
        emulator.faults.add(
            Rule(kind="drop", probability=0.2),
            Rule(kind="truncate", probability=0.1),
            Rule(status=503, error_type="ServiceUnavailableException", probability=0.3),
        )
        begun = len(answers)
        until(lambda: len(answers) > begun + 60, "nobody answers")
        until(
            lambda: {"drop", "truncate", "error"} <= {one.fault for one in list(emulator.log)}, "not every fault is met"
        )
        emulator.faults.clear()
        ended = len(answers)
        until(lambda: len(answers) > ended + 20, "nobody answers")
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 502, 503}, [answer for answer in answers if not answer.status]
    assert statuses[200] > 30
    for answer in answers:
        if answer.status != 200:
            told = answer.body["error"]["lascaux"]
            assert answer.headers["x-should-retry"] == ("false" if told["may_be_billed"] else "true")
    faults = Counter(record.fault for record in emulator.log)
    assert min(faults["drop"], faults["truncate"], faults["error"]) > 0
    assert gateway.usage() == ((emulator.billed + faults["drop"]) * CORE, ZERO)
    assert statuses[200] + faults["truncate"] == emulator.billed


def test_a_supervisor_that_is_killed_leaves_nobody_behind(tmp_path: Path, emulator: Emulator, start: Start) -> None:
    """Its workers answer what is under way, and end; the last takes the folder away."""
    written(tmp_path, emulator.url)
    gateway = start()
    emulator.faults.latency = 1.0
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(gateway.draw, f"otter {one}") for one in range(4)]
        until(lambda: emulator.billed == 4, "the calls do not arrive")
        gateway.process.kill()
        assert [future.result().status for future in asked] == [200] * 4
    assert gateway.ended() == -signal.SIGKILL
    assert not gateway.listens


def test_a_second_signal_ends_at_once(tmp_path: Path, emulator: Emulator, start: Start) -> None:
    """Whoever does not want to wait need not."""
    written(tmp_path, emulator.url, workers=1)
    gateway = start()
    emulator.faults.add(Rule(kind="black_hole"))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(gateway.draw, "an otter")
        until(lambda: emulator.log, "the call does not arrive")
        gateway.process.send_signal(signal.SIGINT)
        until(lambda: not gateway.listens, "it does not stop listening")
        assert gateway.process.poll() is None
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.ended() == 130
        assert asked.result().status == 0


def test_who_does_not_drain_is_killed(tmp_path: Path, emulator: Emulator, start: Start) -> None:
    """Some seconds after the time to drain; the exit code tells."""
    written(tmp_path, emulator.url, workers=1)
    gateway = start("--drain", "0")
    os.kill(gateway.pid(0), signal.SIGSTOP)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.ended() == 1
    assert "has not drained in time and is killed" in gateway.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"more": "health: {failures: many}"}, "health.failures"),
        ({"more": "pricing: {table: nowhere.yaml}"}, "nowhere.yaml"),
        ({"server": "spend_file: nowhere/spend"}, "server.spend_file: nowhere/spend"),
        ({"workers": 4}, "4 or more here, or set server.workers (--workers) to 3 or less"),
    ],
)
def test_what_can_not_start_says_why_and_ends(
    tmp_path: Path, emulator: Emulator, start: Start, settings: dict[str, Any], words: str
) -> None:
    """Whoever finds it, the supervisor or a worker: one line, once, exit code 1."""
    written(tmp_path, emulator.url, **settings)
    gateway = start(opens=False)
    assert gateway.ended() == 1
    lines = [line for line in gateway.said if line.startswith("error: ")]
    assert [words in " ".join(line.split()) for line in lines] == [True], gateway.text


def test_the_limits_of_a_deployment_are_shared(tmp_path: Path, emulator: Emulator, start: Start) -> None:
    """What is declared holds for the gateway: its workers have parts of it, that of a reloaded file as well."""
    written(tmp_path, emulator.url)
    gateway = start()
    callers = [gateway.callers(worker, 1)[0] for worker in ("0", "1")]
    answers = [[caller.draw(f"otter {turn}", "rare").status for turn in range(3)] for caller in callers]
    assert answers == [[200, 429, 429], [200, 200, 429]]
    file = tmp_path / "mine.yaml"
    file.write_text(file.read_text().replace("rpm: 3", "rpm: 5"))
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: gateway.text.count("1 changed (rare)") == 2, "the file was not loaded")
    answers = [[caller.draw(f"late otter {turn}", "rare").status for turn in range(2)] for caller in callers]
    assert answers == [[200, 429], [200, 429]]
    assert emulator.billed == 5


def test_a_replacement_that_finds_a_bad_file_tries_again(tmp_path: Path, emulator: Emulator, start: Start) -> None:
    """The other goes on meanwhile; a file without the keys lets nobody in; SIGHUP brings the one that is missing at once."""
    written(tmp_path, emulator.url)
    gateway = start("--no-watch")
    good = (tmp_path / "mine.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(re.sub(r"  keys: .*\n", "", good))
    dead = gateway.pid(0)
    os.kill(dead, signal.SIGKILL)
    until(lambda: "worker 0: server.keys: there are none any more" in gateway.text, "the file was not read")
    assert gateway.draw("an otter").status == 200
    (tmp_path / "mine.yaml").write_text(good)
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: gateway.pid(0) != dead, "nobody takes its place")
    assert gateway.callers("0", 1)[0].draw("another otter").status == 200
