"""Keys, limits and money over HTTP: what the gateway says was spent is what the emulator counted."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Faults, Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.gate import open_gate
from lascaux.gateway.keys import NewKey

TEAM, POOR, OPS = NewKey.make(), NewKey.make(), NewKey.make()
CORE = "stability.stable-image-core-v1:1"


@dataclass(frozen=True)
class Answer:
    """What a client sees."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["error"]
        return found


@dataclass(frozen=True)
class Running:
    """A gateway with three keys before an emulator."""

    url: str
    emulator: Emulator
    journal: Path

    def ask(self, path: str, key: str | None, **fields: Any) -> Answer:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        data = json.dumps(fields).encode() if fields else None
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request) as response:
                return Answer(response.status, json.load(response), {k.lower(): v for k, v in response.headers.items()})
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error), {k.lower(): v for k, v in error.headers.items()})

    def draw(self, key: str | None, prompt: str = "an otter", **fields: Any) -> Answer:
        return self.ask("/v1/images/generations", key, model="hero", prompt=prompt, **fields)

    def spent(self, key: str) -> Decimal:
        return Decimal(self.ask("/v1/usage", key).body["usd_today"])


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Limits differ by key; the journal is on disk."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LASCAUX_"))]:
        monkeypatch.delenv(name)
    with Emulator(canvas="fast") as emulator:
        place = {"region": "us-west-2", "credentials": "demo", "endpoint_url": emulator.url}
        config = Config.from_mapping(
            {
                "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
                "deployments": {"core": {"model": CORE, **place}},
                "aliases": {"hero": "core", "other": "core"},
                "retry": {"attempts": 1},
                "server": {
                    "keys": [
                        {"name": "team", "hash": TEAM.hash, "usd_per_day": "0.42"},
                        {"name": "poor", "hash": POOR.hash, "rpm": 1, "usd_per_month": "0.05", "aliases": ["hero"]},
                        {"name": "ops", "hash": OPS.hash, "admin": True},
                    ],
                    "spend_file": str(tmp_path / "spend"),
                },
            },
            env={},
        )
        router = AsyncRouter(config, picture_files=False)
        gate = open_gate(config.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
        server = uvicorn.Server(
            uvicorn.Config(create_app(router, gate=gate), port=0, log_config=None, ws="none", lifespan="on")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            threading.Event().wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", emulator, tmp_path / "spend")
        server.should_exit = True
        thread.join()


def test_strangers_stay_out(gateway: Running) -> None:
    """On every address but those for the watchmen of a cluster. Nobody is called, and no key is repeated."""
    wrong = "lsk-" + "a" * 12 + "-" + "b" * 52
    for path in ("/v1/models", "/v1/usage", "/admin/usage", "/models/hero"):
        for key in (None, wrong):
            answer = gateway.ask(path, key)
            assert (answer.status, answer.error["code"]) == (401, "invalid_api_key"), path
            assert wrong not in str(answer)
    for key in (None, wrong):
        answer = gateway.draw(key)
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        assert answer.headers["x-should-retry"] == "false"
    assert gateway.ask("/health/live", None).status == 200
    assert len(gateway.emulator.log) == 0


def test_a_key_sees_and_does_what_it_may(gateway: Running) -> None:
    """Its aliases, its own accounts; those of all are for admins."""
    assert [one["id"] for one in gateway.ask("/v1/models", POOR.text).body["data"]] == ["hero"]
    refused = gateway.ask("/v1/images/generations", POOR.text, model="other", prompt="an otter")
    assert (refused.status, refused.error["param"]) == (403, "model")
    assert gateway.ask("/v1/usage", POOR.text).body["key"] == "poor"
    assert gateway.ask("/admin/usage", POOR.text).status == 403
    told = gateway.ask("/admin/usage", OPS.text).body["data"]
    assert [one["key"] for one in told] == ["team", "poor", "ops"]
    assert len(gateway.emulator.log) == 0


def test_limits_are_told_with_their_reason(gateway: Running) -> None:
    """Requests a minute: again, and when. Money: not by itself."""
    assert gateway.draw(POOR.text).status == 200
    again = gateway.draw(POOR.text)
    assert (again.status, again.error["code"], again.headers["x-should-retry"]) == (429, "rate_limit_exceeded", "true")
    assert 50 <= int(again.headers["retry-after"]) <= 60
    broke = gateway.draw(TEAM.text, n=10)
    assert broke.status == 200
    broke = gateway.draw(TEAM.text, prompt="another")
    assert (broke.status, broke.error["code"], broke.headers["x-should-retry"]) == (429, "insufficient_quota", "false")
    assert "0.42 USD a day and has spent or reserved 0.40" in broke.error["message"]
    assert "retry-after" not in broke.headers


def test_many_at_once_spend_no_cent_too_much(gateway: Running) -> None:
    """Twenty ask side by side, ten fit: the emulator was called as often as was settled, to the cent."""
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: gateway.draw(TEAM.text, prompt=f"otter {number}"), range(20)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200] * 10 + [429] * 10
    assert len(gateway.emulator.log) == 10
    assert gateway.spent(TEAM.text) == Decimal("0.04") * 10
    assert gateway.ask("/v1/usage", TEAM.text).body["usd_reserved"] == "0"


def test_who_shares_an_answer_shares_no_bill(gateway: Running) -> None:
    """Identical requests under way are made once, and paid once; from the cache they cost nothing."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: gateway.draw(TEAM.text, lascaux={"seed": 7}), range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert gateway.draw(TEAM.text, lascaux={"seed": 7}).status == 200
    assert len(gateway.emulator.log) == 1
    assert gateway.spent(TEAM.text) == Decimal("0.04")


def test_failures_cost_what_they_may_have_cost(gateway: Running) -> None:
    """Refused by Bedrock: nothing. Lost after sending: the price of the picture. Both are on disk."""
    gateway.emulator.faults.add(Rule(status=503, error_type="ServiceUnavailableException"))
    assert gateway.draw(TEAM.text).status == 503
    assert gateway.spent(TEAM.text) == 0
    gateway.emulator.faults = Faults(rules=[Rule(kind="drop")])
    lost = gateway.draw(TEAM.text)
    assert lost.status >= 500
    assert lost.headers["x-should-retry"] == "false"
    assert gateway.spent(TEAM.text) == Decimal("0.04")
    assert [json.loads(line)["usd"] for line in gateway.journal.read_text().splitlines()] == [
        "0.04",
        "0",
        "0.04",
        "0.04",
    ]
    assert TEAM.text.rpartition("-")[2] not in gateway.journal.read_text()
