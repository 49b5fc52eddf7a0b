"""Another configuration while requests are under way: nothing is lost, and what did not change keeps its live state."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux import AsyncRouter, Config, ConfigError, Router, UnknownAlias
from lascaux.emulator import Emulator, Faults, Rule
from lascaux.providers.errors import CredentialsError, Unavailable
from lascaux.providers.fake import PICTURE, FakeProvider
from lascaux.providers.types import Image, ImageResult
from lascaux.router.deployment import Candidate
from lascaux.router.errors import AttemptsFailed, NoDeploymentAvailable
from lascaux.router.health import State
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"
KEYS = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
REGIONS = ("us-west-2", "us-east-1", "us-east-2")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A fresh one, which answers for every model everywhere."""
    with Emulator(canvas="fast", any_region=True) as running:
        yield running


def on(emulator: Emulator, deployments: dict[str, Any], aliases: dict[str, Any] | None = None, **more: Any) -> Any:
    """A configuration on the emulator: deployments are Core in us-west-2 unless they say something else."""
    place = {"model": CORE, "region": "us-west-2", "endpoint_url": emulator.url, "credentials": "demo"}
    written = {name: {**place, **entry} for name, entry in deployments.items()}
    return {"credentials": {"demo": KEYS}, "deployments": written, "aliases": aliases or {}, **more}


def fake(deployments: dict[str, Any], aliases: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A configuration for a provider without a cloud."""
    written = {name: {"model": CORE, "region": "us-west-2", **entry} for name, entry in deployments.items()}
    return {"deployments": written, "aliases": aliases or {}, **more}


def at_once(emulator: Emulator, region: str) -> int:
    """The most calls that a region has served at the same time, by the emulator's own log."""
    calls = [record for record in emulator.log if record.region == region]
    edges = [(call.time, 1) for call in calls] + [(call.time + call.duration, -1) for call in calls]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


def join_noted(router: Router) -> threading.Event:
    """Set when the next request makes a call or joins one."""
    joined, join = threading.Event(), router._flights.join

    def noted(*asked: Any) -> Any:
        found = join(*asked)
        joined.set()
        return found

    router._flights.join = noted  # type: ignore[method-assign,assignment]
    return joined


class Gate:
    """A call that begins, says so, and ends when it is let."""

    def __init__(self, outcome: Exception | None = None) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self.outcome = outcome

    def __call__(self, target: Any, call: Any) -> ImageResult:
        self.begun.set()
        assert self.open.wait(20)
        if self.outcome is not None:
            raise self.outcome
        return ImageResult(images=(Image(PICTURE, seed=call.effective_seed),))


def test_a_thousand_requests_in_flight_do_not_notice(emulator: Emulator) -> None:
    """Six reloads under them, one of a bad file: each request is answered once, and by its own picture."""
    go = threading.Event()

    def hold(record: Any) -> None:
        go.wait(100)

    emulator.on_record = hold
    patient = {"retry": {"attempt_timeout": "100s", "deadline": "110s"}}
    first = on(
        emulator,
        {f"core-{i}": {"region": region, "limits": {"concurrency": 450}} for i, region in enumerate(REGIONS)},
        {"hero": ["core-0", "core-1", "core-2"], "gone": "core-0"},
        **patient,
    )
    first["aliases"]["hero"] = {"deployments": first["aliases"]["hero"]}
    second = {**first, "aliases": {"hero": {"deployments": ["core-1", "core-2"]}}}
    second["deployments"] = {**first["deployments"], "ultra": {**first["deployments"]["core-0"], "model": ULTRA}}
    second["deployments"]["core-1"] = {**first["deployments"]["core-1"], "limits": {"concurrency": 440}}

    async def scenario() -> list[Any]:
        async with AsyncRouter(first, max_workers=1100) as router:
            aliases = ["gone" if i % 10 == 0 else "hero" for i in range(1000)]
            tasks = [asyncio.create_task(router.generate(a, f"otter {i}", seed=i + 1)) for i, a in enumerate(aliases)]
            while sum(d.in_flight for d in router._runtime.deployments.values()) < 1000:
                await asyncio.sleep(0.01)
            for source in (second, first, second, first, second):
                report = await router.reload(source)
                assert report.applied
                tasks.append(asyncio.create_task(router.generate("hero", f"otter {len(tasks)}", seed=len(tasks) + 1)))
                assert not all(task.done() for task in tasks[:1000])
            with pytest.raises(ConfigError):
                await router.reload({"deployments": {"x": {"model": "stability.nothing-v1:0"}}})
            with pytest.raises(UnknownAlias):
                await router.generate("gone", "otter")
            assert all(sum(record.region == region for record in emulator.log) <= 450 for region in REGIONS)
            go.set()
            return await asyncio.gather(*tasks)

    results = asyncio.run(scenario())
    assert [result.seed for result in results] == list(range(1, 1006))
    assert all(result.deployment == "core-0" for result in results[:1000:10])
    assert sorted(record.body["seed"] for record in emulator.log if record.body) == list(range(1, 1006))


def test_limits_hold_across_the_swap(emulator: Emulator) -> None:
    """At most five at once, however often the file is read again; and fewer as soon as it says so."""
    emulator.faults = Faults(latency=0.15)
    config = on(emulator, {"core": {"limits": {"concurrency": 5}}})
    with Router(config) as router, ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(router.generate, "core", f"otter {i}") for i in range(20)]
        while not all(call.done() for call in calls):
            router.reload(config)
            threading.Event().wait(0.02)
        assert all(call.result().images for call in calls)
        assert at_once(emulator, "us-west-2") <= 5
        emulator.forget()
        router.reload(on(emulator, {"core": {"limits": {"concurrency": 2}}}))
        list(pool.map(lambda i: router.generate("core", f"seal {i}"), range(8)))
        assert at_once(emulator, "us-west-2") <= 2


@pytest.mark.parametrize(("before", "after", "refused"), [(5, 5, True), (5, 4, True), (5, 6, False), (None, 5, True)])
def test_the_minute_goes_on(emulator: Emulator, before: int | None, after: int, refused: bool) -> None:
    """Five calls were made; whether a sixth fits says the new limit, over the minute that began with the old one."""
    with Router(on(emulator, {"core": {"limits": {"rpm": before} if before else {}}})) as router:
        for i in range(5):
            router.generate("core", f"otter {i}")
        router.reload(on(emulator, {"core": {"limits": {"rpm": after}}}))
        if refused:
            with pytest.raises(NoDeploymentAvailable) as caught:
                router.generate("core", "otter 5", deadline=5)
            assert caught.value.retry_after is not None
            assert 30 < caught.value.retry_after <= 61
        else:
            router.generate("core", "otter 5", deadline=5)
    assert len(emulator.log) == (5 if refused else 6)


def test_a_deployment_that_is_taken_out_and_put_back_is_the_same(emulator: Emulator) -> None:
    """An edit that is taken back can not be used to call more than the limit."""
    config = on(emulator, {"core": {"limits": {"rpm": 2}}})
    with Router(config) as router:
        for i in range(2):
            router.generate("core", f"otter {i}")
        router.reload(on(emulator, {"other": {}}))
        router.reload(config)
        with pytest.raises(NoDeploymentAvailable):
            router.generate("core", "otter", deadline=5)


def test_an_open_breaker_stays_open(emulator: Emulator) -> None:
    """A reload does not send traffic to a dead deployment, and new settings count from then on."""
    emulator.faults = Faults(rules=[Rule(status=503, region="us-west-2")])
    two = {"core": {}, "spare": {"region": "us-east-1"}}
    aliases = {"hero": {"deployments": [{"use": "core"}, {"use": "spare", "priority": 1}]}}
    with Router(on(emulator, two, aliases)) as router:
        for i in range(8):
            router.generate("hero", f"otter {i}")
        clock = router._runtime.context.clock
        assert router._runtime.deployments["core"].state(clock()) is State.OPEN
        router.reload(on(emulator, two, aliases, health={"failures": 2, "cooldown": "7s"}))
        assert router._runtime.deployments["core"].state(clock()) is State.OPEN
        emulator.forget()
        assert router.generate("hero", "otter").deployment == "spare"
        assert [record.region for record in emulator.log] == ["us-east-1"]


def test_rotated_keys_take_effect_at_once(emulator: Emulator) -> None:
    """Wrong keys took the deployment out for minutes; right ones under the same name bring it back. Its minute goes on."""
    config = on(emulator, {"core": {"limits": {"rpm": 3}}}, health={"panic_threshold": 0})
    wrong = {**config, "credentials": {"demo": {**KEYS, "secret_access_key": "yesterday's"}}}
    with Router(wrong) as router:
        with pytest.raises(AttemptsFailed, match="signature"):
            router.generate("core", "otter")
        with pytest.raises(NoDeploymentAvailable):
            router.generate("core", "otter")
        report = router.reload(config)
        assert report.deployments.changed == ("core",)
        assert router.generate("core", "otter").images
        assert router.generate("core", "otter").images
        with pytest.raises(NoDeploymentAvailable):
            router.generate("core", "otter", deadline=5)


def test_calls_with_the_old_keys_say_nothing_about_the_new_ones() -> None:
    """A call that was under way when the keys were rotated fails; the deployment is not taken out for it."""
    gate = Gate(CredentialsError("expired", code="expired"))
    provider = FakeProvider({"core": [gate]})
    first = fake({"core": {"credentials": "demo"}}, credentials={"demo": KEYS}, retry={"attempts": 1})
    second = {**first, "credentials": {"demo": {**KEYS, "secret_access_key": "new"}}}
    with Router(first, provider=provider) as router, ThreadPoolExecutor(1) as pool:
        failing = pool.submit(router.generate, "core", "otter")
        assert gate.begun.wait(20)
        deployment = router._runtime.deployments["core"]
        router.reload(second)
        gate.open.set()
        assert isinstance(failing.exception(), Exception)
        assert router._runtime.deployments["core"] is deployment
        assert deployment.in_flight == 0
        assert router.generate("core", "otter").images


def test_a_request_that_never_began_is_not_waited_for() -> None:
    """A task that is cancelled before its first step leaves its configuration all the same."""

    async def scenario() -> None:
        async with AsyncRouter(fake({"core": {}}), provider=FakeProvider()) as router:
            for turns in range(4):
                task = asyncio.create_task(router.generate("core", "otter"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            while router._requests:
                await asyncio.sleep(0.01)
            old = router._runtime
            assert router._generations._running[id(old)] == 0
            await router.reload(fake({"other": {}}))
            assert not router._generations._past

    asyncio.run(scenario())


def test_a_removed_alias_ends_its_requests_and_takes_no_more() -> None:
    """Who began with it is served; who comes later is told what there is."""
    gate = Gate()
    provider = FakeProvider({"old": [gate]})
    with Router(fake({"old": {}}, {"hero": "old"}), provider=provider) as router, ThreadPoolExecutor(1) as pool:
        running = pool.submit(router.generate, "hero", "otter")
        assert gate.begun.wait(20)
        router.reload(fake({"new": {}}, {"star": "new"}))
        assert router.aliases == ("star", "new")
        with pytest.raises(UnknownAlias, match="there are: star, new"):
            router.generate("hero", "otter")
        gate.open.set()
        assert running.result().deployment == "old"


BAD = {
    "no YAML": ("deployments: {", "is not YAML"),
    "an unknown key": ("deployments: {core: {modle: x}}", "did you mean 'model'"),
    "an unknown model": (f"deployments: {{core: {{model: {CORE}x, region: us-west-2}}}}", "not an image model"),
    "a missing variable": (f"deployments: {{core: {{model: {CORE}, region: '${{NOT_SET_HERE}}'}}}}", "NOT_SET_HERE"),
    "no file": (None, "can not be read"),
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_a_bad_file_changes_nothing(tmp_path: Path, kind: str) -> None:
    """It is refused as a whole, with its place, and the report says so; requests go on."""
    text, message = BAD[kind]
    path = tmp_path / "lascaux.yaml"
    path.write_text(yaml.safe_dump(fake({"core": {"limits": {"rpm": 7}}}, {"hero": "core"})))
    with Router.from_yaml(path, provider=FakeProvider()) as router:
        router.generate("hero", "otter")
        runtime, config, first = router._runtime, router.config, router.last_reload
        assert first is None
        path.unlink() if text is None else path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            router.reload()
        assert router._runtime is runtime
        assert router.config is config
        assert router.last_reload is not None
        assert not router.last_reload.applied
        assert "nothing has changed" in str(router.last_reload)
        assert str(path) in str(router.last_reload)
        assert router.generate("hero", "otter").images
        path.write_text(yaml.safe_dump(fake({"core": {}}, {"hero": "core"})))
        assert router.reload().applied


def test_the_report_names_what_became_of_everything() -> None:
    """Added, removed, changed, kept; a setting that only a new start reads is said to be one."""
    before = fake({"a": {}, "b": {}, "c": {}}, {"x": "a", "y": "b"})
    after = fake({"d": {}, "b": {"limits": {"rpm": 3}}, "a": {}}, {"x": "a", "y": "a", "z": "d"}, server={"port": 5})
    with Router(before, provider=FakeProvider()) as router:
        report = router.reload(after)
        assert report == router.last_reload
    assert report.deployments.added == ("d",)
    assert report.deployments.removed == ("c",)
    assert report.deployments.changed == ("b",)
    assert report.deployments.kept == ("a",)
    assert str(report).splitlines() == [
        "loaded a configuration",
        "deployments: 1 kept, 1 changed (b), 1 added (d), 1 removed (c)",
        "aliases: 1 kept, 1 changed (y), 1 added (z)",
        "warning: server.port: has changed; it is read when the program starts",
    ]


BUCKET = {"bucket": "my-pictures", "region": "us-west-2"}
KEY = {"name": "team", "key": "a-key-of-the-team"}
PAIR = {"access_key_id": "TEAM", "secret": "a-secret-of-the-team", "key": "team"}


@pytest.mark.parametrize(
    ("server", "named"),
    [
        ({"keys": [KEY]}, []),
        ({"keys": [KEY], "sigv4": [PAIR]}, []),
        ({"links": {"s3": BUCKET, "ttl": "2h"}}, []),
        ({"links": {"ttl": "2h"}}, ["server.links.ttl"]),
        ({"link_ttl": "2h"}, ["server.links.ttl"]),
        ({"link_ttl": "1h"}, []),
        (
            {"page": False, "keys": [KEY], "host": "::1", "log": "json", "workers": 2, "max_body": "1MiB"},
            ["server.host", "server.workers", "server.max_body", "server.page", "server.log"],
        ),
    ],
)
def test_the_report_tells_what_needs_a_new_start(server: dict[str, Any], named: list[str]) -> None:
    """By its name, and nothing else: keys, pairs and buckets count at once, so the report is silent about them."""
    with Router(fake({"a": {}}, {"x": "a"}), provider=FakeProvider()) as router:
        report = router.reload(fake({"a": {}}, {"x": "a"}, server=server))
        assert [warning.parameter for warning in report.warnings] == named


def test_a_router_without_a_file_says_so() -> None:
    """And one that is closed takes nothing at all."""
    router = Router(fake({"core": {}}), provider=FakeProvider())
    with pytest.raises(ConfigError, match="not made from a file"):
        router.reload()
    for nothing in (5, b"lascaux.yaml", ["core"]):
        with pytest.raises(ConfigError, match="takes a path, a Config or its sections"):
            router.reload(nothing)  # type: ignore[arg-type]
    router.close()
    with pytest.raises(ConfigError, match="closed"):
        router.reload(fake({"core": {}}))


def test_the_file_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its .env and its secrets, from whatever folder the program has gone to."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets").mkdir()
    for name, text in {".env": "REGION=us-west-2", "secrets/RPM": "4"}.items():
        (tmp_path / name).write_text(text)
    Path("lascaux.yaml").write_text(
        yaml.safe_dump(fake({"core": {"region": "${REGION}", "limits": {"rpm": "${RPM}"}}}))
    )
    config = Config.load("lascaux.yaml", secrets_dir="secrets")
    monkeypatch.chdir("/")
    (tmp_path / ".env").write_text("REGION=us-east-1")
    (tmp_path / "secrets" / "RPM").write_text("9")
    with Router(config, provider=FakeProvider()) as router:
        router.reload()
        deployment = router._runtime.deployments["core"]
        assert (deployment.target.region, deployment.limits.rpm) == ("us-east-1", 9)
    assert config.origin is not None
    assert [Path(path).name for path in config.origin.watched] == ["lascaux.yaml", ".env", "secrets"]


def test_the_cache_goes_on(emulator: Emulator) -> None:
    """Paid answers stay, within the new bounds; without a cache they are gone."""

    def with_cache(**cache: Any) -> Any:
        return on(emulator, {"core": {}}, cache=cache)

    with Router(with_cache()) as router:

        def ask(seed: int) -> str:
            return router.generate("core", "otter", seed=seed).cache

        assert [ask(1), ask(2), ask(2)] == ["miss", "miss", "hit"]
        router.reload(with_cache(ttl="2h"))
        assert [ask(1), ask(2)] == ["hit", "hit"]
        size = max(entry[1].size for entry in router._runtime.cache._entries.values())  # type: ignore[attr-defined]
        router.reload(with_cache(max_bytes=size + 100))
        assert [ask(2), ask(1)] == ["hit", "miss"]
        router.reload(with_cache(backend="none"))
        assert [ask(1), ask(1)] == ["miss", "miss"]
        router.reload(with_cache())
        assert ask(1) == "miss"


def test_an_identical_request_under_way_is_shared_but_not_its_failure() -> None:
    """Across the swap an answer is an answer; a failure may be what the new configuration has mended."""
    for outcome, expected in ((None, "coalesced"), (Unavailable("down"), "miss")):
        gate = Gate(outcome)
        config = fake({"core": {}}, retry={"attempts": 1})
        provider = FakeProvider({"core": [gate]})
        with Router(config, provider=provider) as router, ThreadPoolExecutor(2) as pool:
            first = pool.submit(router.generate, "core", "otter", seed=1)
            assert gate.begun.wait(20)
            router.reload(config)
            joined = join_noted(router)
            second = pool.submit(router.generate, "core", "otter", seed=1)
            assert joined.wait(20)
            gate.open.set()
            assert second.result().cache == expected
            assert (first.exception() is None) is (outcome is None)


def test_what_nobody_uses_any_more_is_given_back() -> None:
    """Routes, connections and keys of a removed deployment stay while a request needs them, and not longer."""
    with (
        Emulator(canvas="fast", faults=Faults(latency=0.4)) as one,
        Emulator(canvas="fast", allow_plain_bearer=True) as two,
    ):
        both = on(one, {"core": {}, "spare": {}, "kept": {}})
        both["credentials"]["own"] = {"bearer_token": "emulator-token"}
        both["deployments"]["spare"] |= {"endpoint_url": two.url, "credentials": "own"}
        with Router(both) as router, ThreadPoolExecutor(1) as pool:
            transport = router._runtime.provider._transport  # type: ignore[attr-defined]
            router.generate("spare", "otter")
            router.generate("kept", "otter")
            assert len(transport._routes) == len(transport._connections) == len(transport._keyring._sources) == 2
            running = pool.submit(router.generate, "core", "otter")
            while not router._runtime.deployments["core"].in_flight:
                threading.Event().wait(0.005)
            less = on(one, {"kept": {}})
            router.reload(less)
            assert len(transport._connections) == 2
            assert running.result().images
            assert len(transport._routes) == len(transport._connections) == len(transport._keyring._sources) == 1
            idle = next(iter(transport._connections.values()))[0].idle
            assert idle == 1
            router.generate("kept", "otter")
            assert not router._generations._past


def test_models_that_pass_through_keep_their_state() -> None:
    """As long as the pattern says the same of them; they need not be written anywhere."""
    pattern = {"*": {"match": "bedrock/*", "region": "us-west-2"}}
    with Router(fake({"core": {}}, pattern), provider=FakeProvider()) as router:
        router.generate(f"bedrock/{ULTRA}", "otter")
        made = router._runtime.aliases.find(f"bedrock/{ULTRA}").uses[0].deployment
        router.reload(fake({"core": {}}, pattern, health={"failures": 9}))
        assert router._runtime.aliases.find(f"bedrock/{ULTRA}").uses[0].deployment is made
        assert made._breaker.policy.failures == 9
        pattern["*"] = {"match": "bedrock/*", "region": "us-east-1"}
        router.reload(fake({"core": {}}, pattern))
        assert router._runtime.aliases.find(f"bedrock/{ULTRA}").uses[0].deployment is not made


def test_what_counts_as_retired_may_change() -> None:
    """A mark is kept with its deployment, but not under another policy."""
    canvas = {"canvas": {"model": "amazon.nova-canvas-v1:0", "region": "us-east-1"}}
    with Router(fake(canvas), provider=FakeProvider()) as router:
        router.generate("canvas", "otter")
        deployment = router._runtime.deployments["canvas"]
        assert deployment.retired
        router.reload(fake(canvas))
        assert deployment.retired
        router.reload(fake(canvas, lifecycle={"retired": "allow"}))
        router.generate("canvas", "otter")
        assert router._runtime.deployments["canvas"] is deployment
        assert not deployment.retired


def test_a_provider_that_was_given_is_kept() -> None:
    """It is neither replaced nor closed before the router is."""
    provider = FakeProvider()
    with Router(fake({"core": {}}), provider=provider) as router:
        router.reload(fake({"other": {}}))
        router.generate("other", "otter")
        assert router._runtime.provider is provider
        assert not provider.closed
    assert provider.closed


def test_reloads_are_counted() -> None:
    """By outcome."""
    reader = InMemoryMetricReader()
    with Router(fake({"core": {}}), provider=FakeProvider(), meter_provider=MeterProvider([reader])) as router:
        router.reload(fake({"core": {}}))
        with pytest.raises(ConfigError):
            router.reload({"nothing": 1})
    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    points = next(metric for metric in metrics if metric.name == "lascaux.reloads").data.data_points
    assert {point.attributes["lascaux.outcome"]: point.value for point in points} == {"ok": 1, "failed": 1}  # type: ignore[index,union-attr]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_is_forked_during_a_reload_starts_afresh() -> None:
    """The parent's locks, requests and reloads are not the child's, which can reload and ask."""
    gate = Gate()
    provider = FakeProvider({"core": [gate]})
    config = fake({"core": {"limits": {"concurrency": 1}}})
    with Router(config, provider=provider) as router, ThreadPoolExecutor(1) as pool:
        running = pool.submit(router.generate, "core", "otter")
        assert gate.begun.wait(20)
        router.reload(fake({"other": {}}))

        def work() -> None:
            router.reload(config)
            assert router._runtime.deployments["core"].in_flight == 0
            assert router.generate("core", "otter", deadline=5).images

        generations = router._generations
        with generations._reloading, generations._lock, router._runtime.context.lock:
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
        child.join(20)
        assert child.exitcode == 0
        gate.open.set()
        running.result()


def test_a_router_watches_its_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new file is taken within seconds, a bad one is logged and changes nothing, and the end of the router ends it."""
    caplog.set_level("INFO", "lascaux")
    path = tmp_path / "lascaux.yaml"
    path.write_text(yaml.safe_dump(fake({"core": {}})))
    with Router.from_yaml(path, watch=True, provider=FakeProvider()) as router:
        assert router._watcher is not None

        def written(text: str, seen: Callable[[], bool]) -> None:
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").replace(path)
            for _ in range(500):
                if seen():
                    return
                threading.Event().wait(0.02)
            raise AssertionError("nobody has noticed")

        written(yaml.safe_dump(fake({"other": {}})), lambda: router.aliases == ("other",))
        written("deployments: {", lambda: router.last_reload is not None and not router.last_reload.applied)
        assert router.generate("other", "otter").images
        written(yaml.safe_dump(fake({"third": {}})), lambda: router.aliases == ("third",))
        other = tmp_path / "other.yaml"
        other.write_text(yaml.safe_dump(fake({"fourth": {}})))
        router.reload(other)
        path = other
        written(yaml.safe_dump(fake({"fifth": {}})), lambda: router.aliases == ("fifth",))
    assert router._watcher.stopped
    for _ in range(500):
        if len(caplog.records) >= 4:
            break
        threading.Event().wait(0.02)
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR", "INFO", "INFO"]
    assert "is not YAML" in caplog.text


NAMES = st.sampled_from(["a", "b", "c"])
ENTRIES = st.fixed_dictionaries(
    {
        "model": st.sampled_from([CORE, ULTRA]),
        "region": st.sampled_from(["us-west-2", "us-east-1"]),
        "credentials": st.sampled_from(["one", "two"]),
        "limits": st.fixed_dictionaries({}, optional={"rpm": st.integers(5, 9), "concurrency": st.integers(5, 9)}),
    }
)
CONFIGS = st.fixed_dictionaries(
    {
        "deployments": st.dictionaries(NAMES, ENTRIES, min_size=1),
        "secret": st.sampled_from(["s", "t"]),
        "budget": st.sampled_from([0.1, 0.2]),
        "strategy": st.sampled_from(["round_robin", "least_request"]),
        "failures": st.integers(1, 3),
        "ttl": st.integers(100, 101),
    }
)


@settings(max_examples=30)
@given(st.lists(CONFIGS, min_size=2, max_size=5))
def test_state_is_kept_if_and_only_if_its_place_is(configs: list[dict[str, Any]]) -> None:
    """Any sequence: objects go on by place, breakers by place and keys, strategies by what they pick among."""
    seen: dict[tuple[str, ...], tuple[Any, Any, str]] = {}
    router: Router | None = None
    last: dict[str, Any] | None = None
    calls = 0
    for drawn in configs:
        config = {
            "credentials": {"one": {**KEYS, "secret_access_key": drawn["secret"]}, "two": {"bearer_token": "x"}},
            "deployments": drawn["deployments"],
            "aliases": {"all": {"deployments": sorted(drawn["deployments"]), "strategy": drawn["strategy"]}},
            "retry": {"budget": drawn["budget"]},
            "health": {"failures": drawn["failures"]},
            "cache": {"ttl": drawn["ttl"]},
        }
        before = router._runtime if router else None
        if router is None:
            router = Router(config, provider=FakeProvider())
        else:
            router.reload(config)
        runtime = router._runtime
        for name, entry in drawn["deployments"].items():
            made = runtime.deployments[name]
            place = (name, entry["model"], entry["region"], entry["credentials"])
            keys = drawn["secret"] if entry["credentials"] == "one" else ""
            if place in seen:
                known, breaker, old_keys = seen[place]
                assert made is known
                assert made.in_flight > 0
                assert (made._breaker is breaker) is (keys == old_keys)
            else:
                assert all(made is not known for known, _, _ in seen.values())
                assert made.in_flight == 0
            seen[place] = (made, made._breaker, keys)
            assert made._breaker.policy.failures == drawn["failures"]
            assert made.limits.rpm == entry["limits"].get("rpm")
            assert made.limits.concurrency == entry["limits"].get("concurrency")
            made.begin(Candidate(deployment=made, calls=()), 0.0)
            calls += 1
        assert sum(known.in_flight for known, _, _ in seen.values()) == calls
        if before is not None and last is not None:
            same = {n: runtime.deployments[n] for n in drawn["deployments"]} == dict(before.deployments)
            old, new = before.aliases.find("all").strategy, runtime.aliases.find("all").strategy
            assert (old is new) is (same and drawn["strategy"] == last["strategy"])
            assert (before.context.budget is runtime.context.budget) is (drawn["budget"] == last["budget"])
            assert before.cache is runtime.cache
            assert runtime.cache.ttl == drawn["ttl"]  # type: ignore[attr-defined]
            assert before.context.lock is runtime.context.lock
        last = drawn
