"""The state of all deployments: as the router knows it, as an address tells it, and as several workers tell it together."""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from lascaux import Router
from lascaux.gateway.app import create_app
from lascaux.gateway.gate import open_gate
from lascaux.gateway.status import merged, worker_status
from lascaux.providers.errors import LascauxError, Throttled, Unavailable
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Call, ImageResult, Target
from lascaux.router.async_client import AsyncRouter
from lascaux.router.config import ServerConfig
from starlette.testclient import TestClient

CORE, CANVAS = "stability.stable-image-core-v1:1", "amazon.nova-canvas-v1:0"
SECTIONS: dict[str, Any] = {
    "deployments": {
        "core": {"model": CORE, "region": "us-west-2", "limits": {"rpm": 90, "concurrency": 4}},
        "canvas": {"model": CANVAS, "region": "us-east-1"},
    },
    "aliases": {"hero": {"deployments": ["core", {"use": "canvas", "priority": 1}]}, "old": "canvas"},
    "health": {"failures": 2, "cooldown": "60s"},
    "retry": {"attempts": 1},
}
KEYS: list[dict[str, Any]] = [
    {"name": "ops", "key": "an-admin-key-for-this-test", "admin": True},
    {"name": "team", "key": "a-team-key-for-this"},
]


class Moody(FakeProvider):
    """Fails as it is told; each call takes two seconds of a clock that it moves itself."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.error: LascauxError | None = None

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        self.now += 2.0
        if self.error is not None:
            raise self.error
        return super().send(target, call, timeout=timeout)


def router_of(provider: Moody, **more: Any) -> Router:
    """A router under the provider's clock."""
    today = date(2026, 11, 22)
    return Router(
        {**SECTIONS, **more}, provider=provider, clock=lambda: provider.now, today=lambda: today, rng=random.Random(1)
    )


def test_a_router_tells_how_its_deployments_are_doing() -> None:
    """Identity, limits, lifecycle with its source; and once asked, seconds and calls."""
    provider = Moody()
    with router_of(provider) as router:
        core, canvas = router.status().deployments
        assert (core.deployment, core.aliases, core.model, core.region) == ("core", ("hero",), CORE, "us-west-2")
        assert (core.state, core.probe_in, core.resting, core.in_flight, core.waiting) == ("closed", None, 0.0, 0, 0)
        assert (core.rpm, core.concurrency, core.learned_rpm, core.seconds) == (90, 4, None, None)
        assert (core.stage, canvas.stage, canvas.eol) == ("active", "eol", date(2026, 9, 30))
        assert canvas.sources
        assert canvas.aliases == ("hero", "old")
        router.generate("hero", "An otter", seed=1)
        core = router.status().deployments[0]
        assert (core.seconds, core.calls, core.failures) == (2.0, 1, 0)
        provider.now += 31
        assert router.status().deployments[0].calls == 0


def test_an_open_breaker_says_when_it_probes_again() -> None:
    """Failures are counted while they are recent; the probe comes when the cooldown is over."""
    provider = Moody()
    with router_of(provider) as router:
        provider.error = Unavailable("down")
        for seed in (1, 2):
            with pytest.raises(LascauxError):
                router.generate("core", "An otter", seed=seed)
        core = router.status().deployments[0]
        assert (core.state, core.calls, core.failures) == ("open", 2, 2)
        assert core.probe_in is not None
        assert 50.0 < core.probe_in <= 66.0
        provider.now += core.probe_in
        core = router.status().deployments[0]
        assert (core.state, core.probe_in) == ("half_open", 0.0)


def test_a_throttled_deployment_rests_and_teaches_its_limit() -> None:
    """Both are told, beside a breaker that stays closed."""
    provider = Moody()
    with router_of(provider) as router:
        router.generate("core", "An otter", seed=1)
        provider.error = Throttled("too many", retry_after=7.0)
        with pytest.raises(LascauxError):
            router.generate("core", "An otter", seed=2, max_wait=0)
        core = router.status().deployments[0]
        assert (core.state, core.learned_rpm, core.resting) == ("closed", 1, 7.0)


def test_the_address_is_for_admins_where_there_are_keys() -> None:
    """And open where there are none, as all else is."""
    server = ServerConfig.model_validate({"keys": KEYS})
    gate = open_gate(server, clock=time.monotonic, now=lambda: datetime.now(UTC))
    app = create_app(AsyncRouter(SECTIONS, provider=FakeProvider()), gate=gate)
    with TestClient(app, base_url="http://localhost") as ask:
        found = [
            ask.get("/admin/status", headers={"authorization": f"Bearer {one['key']}"}).status_code for one in KEYS
        ]
        assert [ask.get("/admin/status").status_code, *found] == [401, 200, 403]
    with TestClient(create_app(AsyncRouter(SECTIONS, provider=FakeProvider())), base_url="http://localhost") as ask:
        ask.post("/v1/images/generations", json={"model": "core", "prompt": "An otter"})
        told = ask.get("/admin/status").json()
        assert [one["deployment"] for one in told["deployments"]] == ["core", "canvas"]
        assert [(one["key"], one["usd_today"]) for one in told["spend"]] == [("anybody", "0.04")]
        assert ask.get("/admin/usage").json()["data"] == told["spend"]
        assert told["workers"] == 1
        listed = {one["id"]: one["lascaux"] for one in ask.get("/v1/models").json()["data"]}
        assert (listed["hero"]["kind"], listed["core"]["kind"]) == ("alias", "deployment")
        assert "inpaint" in listed["hero"]["tasks"]
        assert "choices" not in listed["hero"]
        assert list(ask.get("/v1/models/hero").json()["lascaux"]["choices"]["tasks"]) == listed["hero"]["tasks"]


def worker(*, at: int = 0, usd: str = "0.10", **deployment: Any) -> dict[str, Any]:
    """What one worker tells, with its first deployment changed."""
    gate = open_gate(ServerConfig(), clock=lambda: 0.0, now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=at)
    with router_of(Moody()) as router:
        told = worker_status(router.status(), gate.usage_of_all(), in_flight=1, now=now)
    told["deployments"][0] |= deployment
    told["spend"][0] |= {"usd_today": usd, "in_flight": 1}
    return told


def test_several_workers_make_one_picture() -> None:
    """Calls are added, the worst breaker counts, seconds are averaged, learned limits are what all get through."""
    well = worker(in_flight=2, calls=5, seconds=2.0, learned_rpm=20)
    ill = worker(at=3, state="open", probe_in=12.5, failures=2, calls=2, seconds=4.0, learned_rpm=10)
    for order in ([well, ill, worker()], [ill, worker(), well]):
        told = merged(order)
        core, canvas = told["deployments"]
        assert (told["workers"], told["in_flight"], told["at"]) == (3, 3, ill["at"])
        assert (core["state"], core["open_at"], core["probe_in"]) == ("open", 1, 12.5)
        assert (core["in_flight"], core["calls"], core["failures"]) == (2, 7, 2)
        assert (core["seconds"], core["learned_rpm"], core["rpm"]) == (3.0, 30, 90 + 90 + 90)
        assert (canvas["state"], canvas["open_at"], canvas["seconds"], canvas["learned_rpm"]) == (
            "closed",
            0,
            None,
            None,
        )


def test_limits_are_told_as_they_are_declared() -> None:
    """Of all workers together, also where one is missing; of what is declared nowhere, what those who answer have."""
    parts = [worker(rpm=30, concurrency=2), worker(at=1, rpm=30, concurrency=2)]
    with router_of(Moody()) as router:
        declared = router.config.deployments
    for answering in (parts, parts[:1]):
        told = merged(answering, declared)["deployments"]
        assert [(one["rpm"], one["concurrency"]) for one in told] == [(90, 4), (None, None)]
    told = merged(parts)["deployments"]
    assert [(one["rpm"], one["concurrency"]) for one in told] == [(60, 4), (None, None)]


def test_accounts_are_not_counted_twice() -> None:
    """Workers share them and tell the same figures; one that can not read them does not hide them."""
    told = merged([worker() | {"spend": None}, worker(), worker()])
    assert (told["spend"][0]["usd_today"], told["spend"][0]["in_flight"]) == ("0.10", 1)
    assert merged([worker() | {"spend": None}])["spend"] is None
    with pytest.raises(ValueError, match="no worker"):
        merged([])


def test_merging_is_the_same_in_steps() -> None:
    """One worker changes nothing but what is said of several; what is merged can be merged again."""
    one = worker(calls=3)
    alone = merged([one])
    assert {name: alone["deployments"][0][name] for name in one["deployments"][0]} == one["deployments"][0]
    assert merged([merged([one, worker()]), worker()])["workers"] == 3
