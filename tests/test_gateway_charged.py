"""What was settled for a request is told alike everywhere: accounts, audit, log, answers and errors agree to the cent."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.audit import open_audit
from lascaux.gateway.gate import open_gate
from lascaux.gateway.keys import NewKey
from lascaux.gateway.lines import Line
from lascaux.gateway.observe import Observer
from lascaux.providers.fake import FakeProvider

Serve = Callable[[Any], AbstractContextManager[str]]
TEAM = NewKey.make()
CORE, CANVAS = "stability.stable-image-core-v1:1", "amazon.nova-canvas-v1:0"
PRICE, ZERO = Decimal("0.04"), Decimal(0)
PICTURES, INVOKE = "/v1/images/generations", "/model/hero/invoke"


class Lines(logging.Handler):
    """The lines of the access log."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        line: Line = record.line  # type: ignore[attr-defined]
        self.found.append(line)


@dataclass(frozen=True)
class World:
    """A gateway with a key that has no limit, and everything that is told of it."""

    url: str
    emulator: Emulator
    log: Lines

    def ask(self, path: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
        told = {"authorization": f"Bearer {TEAM.text}", **headers}
        return httpx2.post(f"{self.url}{path}", json=body, headers=told, timeout=60)

    def draw(self, prompt: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
        return self.ask(PICTURES, {"model": "hero", "prompt": prompt, **fields}, **(headers or {}))

    def usage(self) -> tuple[Decimal, Decimal]:
        """Spent today, and what of that is reserved."""
        told = httpx2.get(f"{self.url}/v1/usage", headers={"authorization": f"Bearer {TEAM.text}"}, timeout=60).json()
        return Decimal(told["usd_today"]), Decimal(told["usd_reserved"])


@pytest.fixture
def log() -> Iterator[Lines]:
    """Of this test."""
    logger, lines = logging.getLogger("lascaux.access"), Lines()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    """The file of the audit; it is complete when the world has ended."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def world(serve: Serve, audit: Path, log: Lines) -> Iterator[World]:
    """Two tries, at two deployments of one model."""
    with Emulator(canvas="fast") as emulator:
        place = {"credentials": "demo", "endpoint_url": emulator.url}
        config = Config.from_mapping(
            {
                "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
                "deployments": {
                    "core": {"model": CORE, "region": "us-west-2", **place},
                    "canvas": {"model": CANVAS, "region": "us-east-1", **place},
                },
                "aliases": {"hero": "core", "nova": "canvas"},
                "retry": {"attempts": 2, "backoff": 0, "budget": 1, "billed_budget": 1},
                "health": {"failures": 100},
                "server": {
                    "keys": [{"name": "team", "hash": TEAM.hash}],
                    "audit": {"file": str(audit), "key": "${AUDIT_KEY}"},
                },
            },
            env={"AUDIT_KEY": "a-key-of-the-audit"},
        )
        gate = open_gate(config.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
        observer = Observer(audit=open_audit(config.server.audit), access=True)
        app = create_app(AsyncRouter(config, picture_files=False), gate=gate, observer=observer)
        with serve(app) as url:
            yield World(url, emulator, log)


def charge(answer: httpx2.Response) -> Decimal:
    """As the header has it."""
    return Decimal(answer.headers.get("x-lascaux-charged-usd", "0"))


def test_a_lost_call_is_in_the_answer(world: World) -> None:
    """Beside the price of the picture: with the second try two calls may have been billed."""
    world.emulator.faults.add(Rule(kind="drop", times=1))
    told = world.draw("an otter")
    assert told.status_code == 200, told.text
    facts = told.json()["lascaux"]
    assert (facts["cost"]["usd"], facts["charged_usd"], charge(told)) == ("0.04", "0.08", 2 * PRICE)
    assert told.headers["x-lascaux-cost-usd"] == "0.04"
    assert "x-lascaux-joined" not in told.headers
    assert world.usage() == (2 * PRICE, ZERO)


def test_an_error_names_what_it_cost(world: World) -> None:
    """In the envelope and the header if it is not nothing; on Bedrock's addresses in the header."""
    world.emulator.faults.add(Rule(kind="drop", times=2))
    lost = world.draw("an otter")
    assert lost.status_code == 502
    assert (lost.json()["error"]["lascaux"]["charged_usd"], charge(lost)) == ("0.08", 2 * PRICE)
    world.emulator.faults.add(Rule(kind="drop", times=2))
    lost = world.ask(INVOKE, {"prompt": "an otter"})
    assert (lost.status_code, charge(lost)) == (424, 2 * PRICE)
    blocked = world.ask(INVOKE, {"prompt": "an otter [blocked-output]"})
    assert (blocked.status_code, charge(blocked)) == (200, PRICE)
    world.emulator.faults.add(Rule(status=503, error_type="ServiceUnavailableException", times=2))
    free = world.draw("an otter")
    assert free.status_code == 503
    assert "charged_usd" not in free.json()["error"]["lascaux"]
    assert "x-lascaux-charged-usd" not in free.headers
    assert world.usage() == (5 * PRICE, ZERO)


@pytest.mark.parametrize("path", [PICTURES, INVOKE])
def test_an_answer_that_joined_says_so(world: World, path: str) -> None:
    """In its headers alone: the body is that of the first, byte for byte."""
    body = {"prompt": "an otter", **({"model": "hero"} if path == PICTURES else {})}
    mark = {"idempotency-key": "k"} if path == PICTURES else {"amz-sdk-invocation-id": "k"}
    first, again = (world.ask(path, body, **mark) for _ in range(2))
    assert again.content == first.content
    assert "x-lascaux-joined" not in first.headers
    assert again.headers["x-lascaux-joined"] == "true"
    assert (charge(first), charge(again)) == (PRICE, ZERO)
    assert again.headers["x-lascaux-cost-usd"] == "0.04"
    assert world.usage() == (PRICE, ZERO)


def test_a_failure_that_was_shared_is_charged_once(world: World) -> None:
    """Equal requests under way are one call; lost, it is the bill of one of them."""
    world.emulator.faults.latency = 0.5
    world.emulator.faults.add(Rule(kind="drop", latency=0.5))
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: world.draw("an otter", seed=3), range(3)))
    dropped = sum(record.fault == "drop" for record in world.emulator.log)
    assert {answer.status_code for answer in answers} == {502}
    assert world.usage() == (dropped * PRICE, ZERO)
    assert sum(map(charge, answers)) == dropped * PRICE


@pytest.fixture
def day(world: World) -> World:
    """Of everything something, side by side."""
    faults = world.emulator.faults
    faults.add(
        Rule(kind="drop", match="dropped", probability=0.5),
        Rule(kind="truncate", match="cut 0"),
        Rule(kind="truncate", match="cut", probability=0.5),
        Rule(status=503, error_type="ServiceUnavailableException", match="full", probability=0.5),
        Rule(kind="drop", match="gone"),
    )
    asks: list[Callable[[], httpx2.Response]] = []
    for number in range(6):
        for what in ("dropped", "cut", "full", "gone", "[blocked-output]", "[blocked-prompt]"):
            asks.append(lambda what=what, number=number: world.draw(f"{what} {number}"))  # type: ignore[misc]
            asks.append(lambda what=what, number=number: world.ask(INVOKE, {"prompt": f"{what} native {number}"}))  # type: ignore[misc]
        asks.append(lambda number=number: world.draw("joined", {"idempotency-key": f"k{number // 3}"}))  # type: ignore[misc]
        asks.append(lambda number=number: world.draw("shared", seed=number // 3))  # type: ignore[misc]
        asks.append(lambda number=number: world.draw(f"some [blocked-some] {number}", model="nova", n=3))  # type: ignore[misc]
        asks.append(lambda: world.draw("wrong", size="banana"))
    with ThreadPoolExecutor(8) as pool:
        answers = [future.result() for future in [pool.submit(ask) for ask in asks]]
    statuses = Counter(answer.status_code for answer in answers)
    assert 500 not in statuses
    assert min(statuses[200], statuses[400], statuses[502]) > 0
    assert sum(map(charge, answers)) == world.usage()[0] > 0
    assert sum(answer.headers.get("x-lascaux-joined") == "true" for answer in answers) == 4
    for answer in answers:
        if answer.headers.get("x-lascaux-joined") != "true" and "lascaux" in (body := answer.json()):
            assert Decimal(body["lascaux"]["charged_usd"]) == charge(answer)
    return world


def test_the_sums_of_a_day_agree(day: World, audit: Path) -> None:
    """Usage, audit and log; with calls that were dropped and cut off among them, which nobody but the bill knows of."""
    usd, held = day.usage()
    deadline = time.monotonic() + 60
    while len(audit.read_text().splitlines()) < 92 or len([line for line in day.log.found if line.key]) < 96:
        assert time.monotonic() < deadline, "not everything is written down"
        time.sleep(0.05)
    told = [json.loads(line) for line in audit.read_text().splitlines()]
    assert held == 0
    assert sum(Decimal(line["charged_usd"]) for line in told) == usd
    assert sum(Decimal(line.charged_usd or 0) for line in day.log.found) == usd
    assert sum(bool(line.joined) for line in day.log.found) == 4
    assert {line.charged_usd for line in day.log.found if line.joined} == {None}
    assert {line["charged_usd"] for line in told if line["cache"] in ("hit", "coalesced")} == {"0"}
    lost = Counter(record.fault for record in day.emulator.log)
    assert lost["drop"] > 0
    assert lost["truncate"] > 0


def test_prices_are_those_of_a_quote() -> None:
    """At every candidate, fallbacks and second stages included; what nobody can do has none."""
    text = """
deployments:
  core: {model: "stability.stable-image-core-v1:1", region: us-west-2}
  ultra: {model: "stability.stable-image-ultra-v1:1", region: us-west-2}
  remover: {model: "stability.stable-image-remove-background-v1:0", region: us-west-2}
aliases:
  hero: {deployments: [core], fallbacks: [best], background_remover: cut}
  best: ultra
  cut: remover
"""
    asks: list[dict[str, Any]] = [
        {},
        {"n": 3},
        {"seed": 5},
        {"background": "transparent"},
        {"size": "640x640", "strict": True},
    ]

    async def both(router: AsyncRouter, **ask: Any) -> list[Any]:
        found = []
        for told in (await router.prices("hero", "an otter", **ask), await router.quote("hero", "an otter", **ask)):
            second = told.second.candidates if told.second else ()
            found.append([(one.alias, one.deployment, one.model, one.cost) for one in (*told.candidates, *second)])
        return found

    async def all_of_them() -> None:
        async with AsyncRouter(Config.parse(text, env={}), provider=FakeProvider()) as router:
            for ask in asks:
                listed, quoted = await both(router, **ask)
                assert listed == quoted, ask
                assert bool(listed) is not ask.get("strict", False)

    asyncio.run(all_of_them())
