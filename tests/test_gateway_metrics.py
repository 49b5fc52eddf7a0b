"""``/metrics``, read by Prometheus's own parser; that the dashboard asks only for what is there; that labels stay few."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import lascaux
import pytest
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.gate import open_gate
from lascaux.gateway.intake import Bounds
from lascaux.gateway.keys import NewKey
from lascaux.gateway.metrics import Scrape, merge
from lascaux.gateway.observe import Observer
from lascaux.gateway.story import busy
from lascaux.router import telemetry_names as names
from lascaux.router.exporters import configure
from lascaux.router.records import Attempt
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(lascaux.__file__).resolve().parent
Serve = Callable[[Any], AbstractContextManager[str]]
ASK = {"model": "hero", "prompt": "An otter", "seed": 3}
GENERATIONS = "/v1/images/generations"
CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"
LARGE = "stability.sd3-5-large-v1:0"


@dataclass(frozen=True)
class Gateway:
    """A gateway before an emulator."""

    url: str
    emulator: Emulator
    scrape: Scrape
    router: AsyncRouter

    def ask(self, **fields: Any) -> httpx2.Response:
        return httpx2.post(f"{self.url}{GENERATIONS}", json={**ASK, **fields}, timeout=30)

    def families(self, **headers: str) -> dict[str, Metric]:
        answer = httpx2.get(f"{self.url}/metrics", headers=headers, timeout=30)
        assert answer.status_code == 200
        return parsed(answer.text)


def parsed(text: str) -> dict[str, Metric]:
    """By name; a family that stands there twice is an error."""
    families: list[Metric] = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


def samples(families: Mapping[str, Metric], name: str, **labels: str) -> float:
    """The sum of all samples with these labels."""
    found = [one for family in families.values() for one in family.samples if one.name == name]
    return sum(one.value for one in found if labels.items() <= one.labels.items())


@contextmanager
def running(
    serve: Serve, *, worker: str = "0", server: Mapping[str, Any] | None = None, **more: Any
) -> Iterator[Gateway]:
    """Aliases hero (core), slow (one call at a time), and whatever begins with bedrock/."""
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator(canvas="fast"))
        place = {"credentials": "demo", "endpoint_url": emulator.url}
        config = Config.from_mapping(
            {
                "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
                "deployments": {
                    "core": {"model": CORE, "region": "us-west-2", **place},
                    "ultra": {"model": ULTRA, "region": "us-west-2", "limits": {"concurrency": 1}, **place},
                    "limited": {"model": LARGE, "region": "us-west-2", **place},
                },
                "aliases": {
                    "hero": "core",
                    "slow": "ultra",
                    "spare": {"deployments": ["limited", {"use": "core", "priority": 1}]},
                    "any": {"match": "bedrock/*", "region": "us-west-2", **place},
                    "free": {"match": "free/*", **place},
                },
                "health": {"failures": 1},
                "retry": {"attempts": 2, "backoff": 0, "budget": 1},
                **({"server": server} if server else {}),
            },
            env={},
        )
        scrape = Scrape(worker)
        tracers, meters, shutdown = configure("none", readers=[scrape.reader])
        stack.callback(shutdown)
        router = AsyncRouter(config, picture_files=False, tracer_provider=tracers, meter_provider=meters)
        gate = open_gate(config.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
        observer = Observer(tracer_provider=tracers, meter_provider=meters)
        app = create_app(router, gate=gate, observer=observer, metrics=scrape.told, **more)
        yield Gateway(stack.enter_context(serve(app)), emulator, scrape, router)


@pytest.fixture(scope="module")
def busy_day(serve: Serve) -> Iterator[tuple[Gateway, dict[str, Metric]]]:
    """A gateway to which everything has happened once, and what it then tells Prometheus."""
    with running(serve) as gateway:
        assert [gateway.ask().status_code for _ in range(2)] == [200, 200]  # made, then found in the cache
        assert gateway.ask(size="banana").status_code == 400
        gateway.emulator.faults.add(Rule(kind="slow", latency=0.5, model=ULTRA))
        with ThreadPoolExecutor(3) as crowd:  # one waits in line for the other
            answers = list(crowd.map(lambda seed: gateway.ask(model="slow", seed=seed), range(2)))
        assert [answer.status_code for answer in answers] == [200, 200]
        gateway.emulator.faults.add(Rule(status=429, error_type="ThrottlingException", times=1, model=LARGE))
        assert gateway.ask(model="spare", seed=11).status_code == 200  # by the other one; a quota was learned
        gateway.emulator.faults.add(Rule(status=500, model=CORE, match="doomed"))
        assert gateway.ask(prompt="doomed").status_code in (502, 503)
        asyncio.run(gateway.router.reload(gateway.router.config))
        yield gateway, gateway.families()


def test_prometheus_reads_what_a_busy_gateway_tells(busy_day: tuple[Gateway, dict[str, Metric]]) -> None:
    """Requests, money, errors, the cache, breakers, the process: each with the figure that it must have."""
    _, families = busy_day
    count = "http_server_request_duration_seconds_count"
    route = {"http_route": GENERATIONS, "http_request_method": "POST"}
    assert samples(families, count, http_response_status_code="400", **route) == 1
    assert samples(families, count, http_response_status_code="200", **route) >= 4
    assert samples(families, "lascaux_gateway_errors_total", error_type="invalid_request") == 1
    assert samples(families, "lascaux_cache_total", lascaux_cache_result="hit") == 1
    assert samples(families, "lascaux_cost_saved_usd_total") == 0.04
    paid = samples(families, "lascaux_cost_usd_total")
    made = samples(families, "lascaux_images_total", lascaux_model=CORE, lascaux_outcome="ok")
    assert paid == pytest.approx(0.04 * made + 2 * 0.14)
    assert samples(families, "lascaux_gateway_spent_usd_total", lascaux_key="anybody") == pytest.approx(paid)
    core = {"lascaux_deployment": "core"}
    assert samples(families, "lascaux_deployment_breaker", **core) == 1
    assert samples(families, "lascaux_deployment_breaker", lascaux_breaker_state="open", **core) == 1
    assert samples(families, "lascaux_deployment_in_flight") == 0
    assert samples(families, "http_server_active_requests", http_request_method="POST") == 0
    assert samples(families, "http_server_active_requests", http_request_method="GET") == 1  # the scrape itself
    assert samples(families, "lascaux_gateway_bodies_bytes") == 0
    assert samples(families, "process_resident_memory_bytes") > 10_000_000
    assert samples(families, "process_open_fds") > 3
    assert samples(families, "lascaux_build_info", version=lascaux.__version__) == 1
    assert samples(families, "lascaux_line_wait_seconds_count", lascaux_alias="slow") == 1
    assert samples(families, "lascaux_reloads_total", lascaux_outcome="ok") == 1


def test_the_exposition_is_lean(busy_day: tuple[Gateway, dict[str, Metric]]) -> None:
    """No label without a value, no scope, no target; names have their units, and every sample its worker."""
    _, families = busy_day
    for family in families.values():
        assert family.documentation
        for sample in family.samples:
            assert sample.labels["worker"] == "0"
            assert "" not in sample.labels.values()
            assert not any(label.startswith("otel_") for label in sample.labels)
    assert "target" not in families
    assert not any(word in name for name in families for word in ("USD", "__", "_ratio"))


def test_openmetrics_is_there_for_who_asks(busy_day: tuple[Gateway, dict[str, Metric]]) -> None:
    """Its own strict parser takes it, and reads the same figures."""
    gateway, families = busy_day
    answer = httpx2.get(
        f"{gateway.url}/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0,text/plain"}
    )
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    read = {family.name: family for family in read_openmetrics(answer.text)}
    assert samples(read, "lascaux_cost_usd_total") == samples(families, "lascaux_cost_usd_total")
    plain = httpx2.get(f"{gateway.url}/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_scrapes_at_the_same_time_do_not_meet() -> None:
    """What one has collected is not written out by the other, though both pass through the same reader."""
    scrape = Scrape()
    _, meters, shutdown = configure("none", readers=[scrape.reader])
    meters.get_meter("test").create_counter("lascaux.test").add(1)
    collector: Any = next(iter(scrape._registry._collector_to_names))
    hand_over, both = collector.add_metrics_data, threading.Barrier(2)

    def slowly(data: Any) -> None:
        hand_over(data)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # until the other one has collected, too, if nothing keeps it from that

    collector.add_metrics_data = slowly
    with ThreadPoolExecutor(2) as crowd:
        read = [parsed(text.decode()) for text in crowd.map(lambda _: scrape.render(), range(2))]
    assert [samples(one, "lascaux_test_total") for one in read] == [1, 1]
    shutdown()


def test_the_dashboard_asks_for_what_is_there(busy_day: tuple[Gateway, dict[str, Metric]]) -> None:
    """Every metric and every label of every query stands in a scrape; every value it selects by can occur."""
    _, families = busy_day
    known: dict[str, set[str]] = {}
    for family in families.values():
        for sample in family.samples:
            known.setdefault(sample.name, set()).update(sample.labels)
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 30
    for query in queries:
        found, labels = terms(query)
        assert found, query
        for metric in found:
            assert metric in known, f"{metric}: {query}"
            assert labels <= known[metric], f"{labels - known[metric]}: {query}"


def terms(query: str) -> tuple[set[str], set[str]]:
    """Metric names and label names of a PromQL expression. Fails for words that are neither."""
    functions = {"sum", "max", "min", "rate", "increase", "histogram_quantile"}
    bare = re.sub(r"\[[^\]]+\]", "", query)
    labels = {label for group in re.findall(r"\bby \(([^)]*)\)", bare) for label in re.split(r",\s*", group)}
    bare = re.sub(r"\bby \([^)]*\)", "", bare)
    for selector in re.findall(r"\{([^}]*)\}", bare):
        pairs = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"', selector)
        assert pairs, selector
        labels |= set(pairs)
    words = set(re.findall(r"[a-zA-Z_:][\w:]*", re.sub(r"\{[^}]*\}", "", bare)))
    assert bare.count("(") == bare.count(")")
    return words - functions, labels


def test_the_dashboard_imports_cleanly() -> None:
    """Own ids, one variable for the data source, no place for two panels."""
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [one["type"] for one in dashboard["templating"]["list"]] == ["datasource"]
    assert "id" not in dashboard
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == [
        "Traffic",
        "Errors",
        "Latency",
        "What the gateway adds",
        "Cost",
        "Cache",
        "Deployments",
        "Line",
        "Processes",
    ]


def test_the_page_names_every_metric_as_prometheus_has_it(busy_day: tuple[Gateway, dict[str, Metric]]) -> None:
    """The table's two names belong together, and nothing is missing or made up."""
    _, families = busy_day
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([a-z_.]+)` \| `([a-z_]+)` \|", page, re.MULTILINE))
    ours = {name: family for name, family in families.items() if not name.startswith(("process_", "lascaux_build"))}
    spelt = {f"{name}_total" if family.type == "counter" else name for name, family in ours.items()}
    assert set(table.values()) == spelt
    prefixes = ("lascaux.", "http.server.", "gen_ai.client.")
    metrics = {value for value in vars(names).values() if isinstance(value, str) and value in table}
    assert metrics == set(table)
    assert all(name.startswith(prefixes) for name in table)
    for name, translated in table.items():
        assert translated.startswith(name.replace(".", "_"))


def test_nobody_makes_up_labels(serve: Serve) -> None:
    """A thousand models that are none, made-up addresses and methods, and models that pass through by ever new names."""
    with running(serve) as gateway:
        gateway.ask()
        gateway.ask(model="bedrock/" + CORE, seed=1)
        account = "arn:aws:bedrock:{region}:{account:012d}:application-inference-profile/{name}"
        with httpx2.Client(base_url=gateway.url, timeout=30) as client:
            strangers = [f"made-up-{number}" for number in range(1000)]
            for stranger in strangers:
                client.post(GENERATIONS, content=json.dumps({**ASK, "model": stranger}).encode())
            before = gateway.families()
            for number in range(20):
                passed = f"bedrock/us.{CORE}" if number % 2 else f"bedrock/{CORE}"
                client.post(GENERATIONS, json={**ASK, "model": passed, "seed": number})
                arn = account.format(region=f"xx-{number}", account=number, name=f"stranger{number}")
                client.post(f"/model/{arn}/invoke", json={"prompt": "x"})
                client.post(f"/model/made-up-{number}/invoke", json={"prompt": "x"})
                client.get(f"/v1/models/made-up-{number}")
                client.get(f"/made-up-{number}")
                client.request(f"MADEUP{number}", "/v1/models")
            for number in range(5, 10):  # spelt like regions, so they are asked
                arn = f"arn:aws:bedrock:eu-west-{number}::foundation-model/{CORE}"
                drawn = client.post(GENERATIONS, json={**ASK, "model": f"free/{arn}", "seed": 1000 + number})
                assert drawn.status_code == 503  # the attempt has failed, and counts
        after = gateway.families()
    values = {value for family in after.values() for one in family.samples for value in one.labels.values()}
    assert not [
        value for value in values if re.search(r"made-?up|eu-west-[5-9]|stranger|xx-|arn:", value, re.IGNORECASE)
    ]
    assert {"any", "free", "other"} <= values
    assert "_OTHER" in values
    assert sum(len(one.samples) for one in before.values()) < 400
    assert sum(len(one.samples) for one in after.values()) < 800


def test_with_keys_only_an_admin_reads_them(serve: Serve) -> None:
    """Costs and deployments of everybody are shown; without keys it is open, as all is."""
    team, ops = NewKey.make(), NewKey.make()
    keys = [{"name": "team", "hash": team.hash}, {"name": "ops", "hash": ops.hash, "admin": True}]
    with running(serve, server={"keys": keys}) as gateway:
        answers = [
            httpx2.get(f"{gateway.url}/metrics", headers=headers)
            for headers in ({}, {"authorization": f"Bearer {team.text}"}, {"authorization": f"Bearer {ops.text}"})
        ]
        gateway.ask()
        mine = {"authorization": f"Bearer {team.text}"}
        assert httpx2.post(f"{gateway.url}{GENERATIONS}", json=ASK, headers=mine, timeout=30).status_code == 200
        families = gateway.families(authorization=f"Bearer {ops.text}")
    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert samples(families, "lascaux_gateway_spent_usd_total", lascaux_key="team") == 0.04
    assert samples(families, "lascaux_gateway_errors_total", error_type="invalid_api_key") == 2
    assert samples(families, "lascaux_gateway_errors_total", error_type="admin_only") == 1


def test_without_metrics_there_is_no_such_address(serve: Serve) -> None:
    """And nothing else changes."""
    with serve(
        create_app(AsyncRouter({"deployments": {"core": {"model": CORE, "region": "us-west-2"}}}, picture_files=False))
    ) as url:
        assert httpx2.get(f"{url}/metrics").status_code == 404


def test_several_workers_are_put_together(serve: Serve) -> None:
    """One HELP and TYPE for each family, its samples together, each of its worker; sums are sums."""
    with running(serve, worker="0") as first, running(serve, worker="1") as second:
        first.ask()
        second.ask()
        second.ask(seed=4)
        texts = [first.scrape.render(), second.scrape.render()]
    body, kind = merge(texts)
    assert kind.startswith("text/plain")
    families = parsed(body.decode())
    assert samples(families, "lascaux_images_total", worker="0") == 1
    assert samples(families, "lascaux_images_total", worker="1") == 2
    names_told = re.findall(r"^# TYPE (\S+) ", body.decode(), re.MULTILINE)
    assert len(names_told) == len(set(names_told))
    assert merge([body])[0] == body
    strict = merge(texts, "application/openmetrics-text")[0].decode()
    assert {family.name for family in read_openmetrics(strict)} == set(families)
    assert merge([]) == (b"", kind)


def test_what_the_gateway_adds_is_what_is_left(serve: Serve) -> None:
    """A call of half a second, and a wait in line for it, are not the gateway's own time."""
    with running(serve, bounds=Bounds()) as gateway:
        gateway.ask(model="slow", seed=100)
        before = gateway.families()
        gateway.emulator.faults.add(Rule(kind="slow", latency=0.5, model=ULTRA))
        with ThreadPoolExecutor(2) as crowd:
            answers = list(crowd.map(lambda seed: gateway.ask(model="slow", seed=seed), range(2)))
        assert [answer.status_code for answer in answers] == [200, 200]
        after = gateway.families()

    def grown(name: str) -> float:
        return samples(after, name) - samples(before, name)

    assert grown("lascaux_gateway_added_seconds_count") == 2
    added, whole = grown("lascaux_gateway_added_seconds_sum"), grown("http_server_request_duration_seconds_sum")
    waited = grown("lascaux_line_wait_seconds_sum")
    assert 0 < added < whole - waited - 0.95  # two calls of 0.5 s, one after the other


def made(started: float, duration: float, waited: float = 0.0) -> Attempt:
    """An attempt with these times."""
    return Attempt(
        ordinal=1, part=0, alias="a", deployment="d", model="m", model_id="m", region="r", task="t", images=1,
        started=started, duration=duration, waited=waited, outcome="ok",
    )  # fmt: skip


def test_time_side_by_side_counts_once() -> None:
    """The union of calls and waits."""
    assert busy([]) == 0
    assert busy([made(0, 2), made(1, 2)]) == 3
    assert busy([made(0, 5), made(1, 2)]) == 5
    assert busy([made(0, 5), made(1, 1), made(4, 2)]) == 6
    assert busy([made(0, 1), made(3, 1)]) == 2
    assert busy([made(3, 1, waited=2), made(0, 1)]) == 4
    assert busy([made(1, 1, waited=1), made(0.5, 1.5, waited=0.5)]) == 2
