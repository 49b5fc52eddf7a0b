"""`Router` and `AsyncRouter` over HTTP: the emulator answers, and misbehaves on request."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from lascaux import AsyncRouter, Config, Router
from lascaux.emulator import Emulator, Faults, Rule
from lascaux.router.errors import (
    AttemptsFailed,
    ConfigError,
    ContentFiltered,
    InvalidRequest,
    LascauxError,
    UnknownAlias,
)

CORE, SD35, CANVAS = "stability.stable-image-core-v1:1", "stability.sd3-5-large-v1:0", "amazon.nova-canvas-v1:0"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests here; each starts with no faults and an empty log."""
    with Emulator(canvas="fast") as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(emulator: Emulator) -> None:
    """No faults, no memory."""
    emulator.faults = Faults()
    emulator.forget()


def config(emulator: Emulator, **more: Any) -> dict[str, Any]:
    """Core, SD3.5 behind it in the alias, Canvas as fallback: three deployments that can be broken one by one."""
    place = {"credentials": "demo", "endpoint_url": emulator.url}
    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {
            "core": {"model": CORE, "region": "us-west-2", **place},
            "sd35": {"model": SD35, "region": "us-west-2", **place},
            "canvas": {"model": CANVAS, "region": "us-east-1", **place},
        },
        "aliases": {
            "hero": {"deployments": [{"use": "core"}, {"use": "sd35", "priority": 1}], "fallbacks": ["draft"]},
            "lone": {"deployments": ["core"], "fallbacks": ["draft"]},
            "draft": "canvas",
            "*": {"match": "bedrock/*", "region": "us-west-2", **place},
        },
        "retry": {"attempt_timeout": "1s", "deadline": "20s", "backoff": "10ms", "max_backoff": "50ms"},
        **more,
    }


@pytest.fixture
def router(emulator: Emulator) -> Iterator[Router]:
    """A router on the emulator."""
    with Router(config(emulator)) as made:
        yield made


FAULTS = {
    "429": Rule(status=429, error_type="ThrottlingException", model=CORE),
    "500": Rule(status=500, model=CORE),
    "503": Rule(status=503, model=CORE),
    "529": Rule(status=529, model=CORE),
    "424": Rule(status=424, error_type="ModelErrorException", model=CORE),
    "408": Rule(status=408, error_type="ModelTimeoutException", model=CORE),
    "403": Rule(status=403, error_type="AccessDeniedException", model=CORE),
    "quota": Rule(status=400, error_type="ServiceQuotaExceededException", model=CORE),
    "end of life": Rule(
        status=404,
        error_type="ResourceNotFoundException",
        message="This model version has reached the end of its life.",
        model=CORE,
    ),
    "drop": Rule(kind="drop", model=CORE),
    "truncate": Rule(kind="truncate", model=CORE),
    "garbage": Rule(kind="garbage", model=CORE),
    "empty": Rule(kind="empty", model=CORE),
    "html": Rule(kind="html", model=CORE),
    "timeout": Rule(kind="black_hole", model=CORE),
    "slow body": Rule(kind="slow", latency=5.0, model=CORE),
}
BILLED = {"408", "drop", "truncate", "garbage", "empty", "timeout", "slow body"}


@pytest.mark.parametrize("alias", ["hero", "lone"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_broken_deployment_loses_no_request(router: Router, emulator: Emulator, fault: str, alias: str) -> None:
    """Somebody else in the alias, or its fallback, delivers; the failed attempt is on record, once."""
    emulator.faults = Faults(rules=[FAULTS[fault]])
    result = router.generate(alias, "A cute baby sea otter")
    assert result.deployment == ("sd35" if alias == "hero" else "canvas")
    failed, served = result.attempts
    assert failed.deployment == "core"
    assert failed.error is not None
    assert failed.may_be_billed is (fault in BILLED)
    assert ("may_be_billed" in {warning.code for warning in result.warnings}) is (fault in BILLED)
    assert served.outcome == "ok"
    assert [record.model_id for record in emulator.log] == [CORE, result.model]


def test_an_outage_is_noticed(router: Router, emulator: Emulator) -> None:
    """Twenty requests against a dead deployment: it is asked five times, then left alone."""
    emulator.faults = Faults(rules=[FAULTS["503"]])
    for i in range(20):
        assert router.generate("hero", f"otter {i}").deployment == "sd35"
    assert sum(record.model_id == CORE for record in emulator.log) == 5


def test_a_blocked_prompt_is_final(router: Router, emulator: Emulator) -> None:
    """Nobody else is asked to draw what a filter refused."""
    with pytest.raises(ContentFiltered) as caught:
        router.generate("hero", "an otter [blocked-prompt]")
    assert len(emulator.log) == 1
    assert len(caught.value.attempts) == 1


def test_strict_refuses_before_anything_is_sent(router: Router, emulator: Emulator) -> None:
    """A size that no model of the chain has is an error that names the nearest."""
    with pytest.raises(InvalidRequest, match=r"no deployment of 'hero' can do this: core: size: .*; canvas: size: "):
        router.generate("hero", "otter", size="1000x333", strict=True)
    assert emulator.log == []


def test_a_fallback_gets_the_request_in_its_own_words(router: Router, emulator: Emulator) -> None:
    """Stability's fields become Canvas's; nothing is forwarded as it is."""
    emulator.faults = Faults(rules=[Rule(status=503, model=CORE)])
    result = router.generate("lone", "otter", size="1280x720", seed=5, n=2, negative_prompt="people")
    assert result.model == CANVAS
    bodies = sorted(
        (record.body for record in emulator.log if record.model_id == CANVAS and record.body),
        key=lambda body: body["imageGenerationConfig"]["seed"],
    )
    assert bodies == [
        {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": "otter", "negativeText": "people"},
            "imageGenerationConfig": {"width": 1280, "height": 720, "seed": seed},
        }
        for seed in (5, 6)
    ]


def test_when_all_fail_the_error_tells_the_story(router: Router, emulator: Emulator) -> None:
    """Every attempt with its place, its cause and whether it may have been billed."""
    emulator.faults = Faults(rules=[Rule(status=503), Rule(status=503)])
    with pytest.raises(AttemptsFailed) as caught:
        router.generate("lone", "otter")
    error = caught.value
    assert error.status == 503
    assert {attempt.deployment for attempt in error.attempts} == {"core", "canvas"}
    assert str(error).startswith("every attempt for 'lone' failed")
    assert "\n" not in str(error)


def test_a_hundred_threads_cause_one_call(router: Router, emulator: Emulator) -> None:
    """Same model, prompt and seed at once: one upstream call, one bill, a hundred pictures."""
    emulator.faults = Faults(latency=0.2)
    gate = Barrier(100)

    def ask(_: int) -> Any:
        gate.wait()
        return router.generate("hero", "otter", seed=7)

    with ThreadPoolExecutor(100) as pool:
        results = list(pool.map(ask, range(100)))
    assert len(emulator.log) == 1
    assert {result.images[0].b64 for result in results} == {results[0].images[0].b64}
    assert sum((result.cost.usd for result in results), Decimal(0)) == Decimal("0.04")
    assert sorted({result.cache for result in results}) in (["coalesced", "miss"], ["coalesced", "hit", "miss"])


def test_a_hundred_tasks_cause_one_call(emulator: Emulator) -> None:
    """The same with asyncio."""
    emulator.faults = Faults(latency=0.2)

    async def ask() -> list[Any]:
        async with AsyncRouter(config(emulator)) as router:
            return await asyncio.gather(*(router.generate("hero", "otter", seed=7) for _ in range(100)))

    results = asyncio.run(ask())
    assert len(emulator.log) == 1
    assert [result.cache for result in results].count("miss") == 1


def test_a_failing_call_fails_all_waiters_once(router: Router, emulator: Emulator) -> None:
    """One call, a hundred errors, and the next request starts afresh."""
    emulator.faults = Faults(latency=0.2)
    gate = Barrier(50)

    def ask(_: int) -> LascauxError:
        gate.wait()
        with pytest.raises(ContentFiltered) as caught:
            router.generate("hero", "[blocked-prompt]", seed=7)
        return caught.value

    with ThreadPoolExecutor(50) as pool:
        errors = list(pool.map(ask, range(50)))
    assert len(emulator.log) < 50
    assert len({id(error) for error in errors}) == 50
    emulator.forget()
    with pytest.raises(ContentFiltered):
        router.generate("hero", "[blocked-prompt]", seed=7)
    assert len(emulator.log) == 1


def test_n_images_are_priced_and_ordered(router: Router) -> None:
    """Four pictures on a one-image model: seeds in order, one bill."""
    result = router.generate("hero", "otter", n=4, seed=30)
    assert [image.seed for image in result.images] == [30, 31, 32, 33]
    assert result.cost.usd == Decimal("0.16")
    assert result.missing == ()


def test_one_blocked_picture_does_not_lose_the_others(router: Router, emulator: Emulator) -> None:
    """Canvas returns fewer than asked: the rest is delivered, the gap is named, the bill counts what came."""
    result = router.generate("canvas", "otters [blocked-some]", n=3, seed=1)
    assert len(result.images) + len(result.missing) == 3
    assert result.missing
    assert {gap.reason for gap in result.missing} == {"filtered"}
    assert result.cost.usd == Decimal("0.04") * len(result.images)
    assert router.generate("canvas", "otters [blocked-some]", n=3, seed=1).cache == "miss"


def test_tenants_do_not_share_answers(router: Router, emulator: Emulator) -> None:
    """The cache key holds the tenant."""
    states = [router.generate("hero", "otter", seed=1, tenant=tenant).cache for tenant in ("a", "b", "a")]
    assert states == ["miss", "miss", "hit"]
    assert router.generate("hero", "otter", seed=1, tenant="a", cache=False).cache == "bypass"


def test_a_model_id_passes_through(router: Router, emulator: Emulator) -> None:
    """With a pattern in the configuration, clients may name models."""
    assert router.generate("bedrock/stability.sd3-5-large-v1:0", "otter").model == SD35
    with pytest.raises(UnknownAlias, match=r"'acme\.unknown-v1:0' is not an image model"):
        router.generate("bedrock/acme.unknown-v1:0", "otter")


def test_an_unknown_alias_names_the_nearest(router: Router) -> None:
    """A typing error is answered with what was probably meant."""
    with pytest.raises(UnknownAlias, match="did you mean 'hero'"):
        router.generate("heros", "otter")


@pytest.mark.parametrize("retired", ["last_resort", "refuse", "allow"])
def test_retired_models(emulator: Emulator, retired: str) -> None:
    """Last resort: only when nobody living is there. Refuse: never. Allow: like any other. Always said."""
    settings = config(emulator, lifecycle={"retired": retired})
    settings["aliases"]["mixed"] = {"deployments": [{"use": "canvas"}, {"use": "core", "priority": 1}]}
    with Router(settings) as router:
        served = router.generate("mixed", "otter")
        assert served.deployment == ("canvas" if retired == "allow" else "core")
        if retired == "refuse":
            with pytest.raises(InvalidRequest, match=r"reached its end of life on 2026-09-30"):
                router.generate("canvas", "otter")
        else:
            result = router.generate("canvas", "another otter")
            assert "retired" in {warning.code for warning in result.warnings}
            assert (result.cost.usd, result.cost.confidence) == (Decimal("0.04"), "expired")


def test_a_model_that_says_it_is_gone_is_believed(emulator: Emulator) -> None:
    """After one 404 end-of-life it is asked only when nobody else is left."""
    emulator.faults = Faults(rules=[FAULTS["end of life"]])
    with Router(config(emulator)) as router:
        for i in range(5):
            router.generate("hero", f"otter {i}")
    assert sum(record.model_id == CORE for record in emulator.log) == 1


def test_the_attempt_timeout_bounds_one_call(router: Router, emulator: Emulator) -> None:
    """A black hole costs one attempt timeout, not the deadline."""
    emulator.faults = Faults(rules=[Rule(kind="black_hole", model=CORE)])
    result = router.generate("hero", "otter", attempt_timeout=0.3)
    assert 0.25 < result.attempts[0].duration < 0.9


def test_unknown_models_are_found_when_the_router_is_built(emulator: Emulator) -> None:
    """All of them at once, each with the nearest id."""
    with pytest.raises(ConfigError) as caught:
        Router(
            {
                "deployments": {
                    "a": {"model": "amazon.nova-canvas-v1:1", "region": "us-east-1"},
                    "b": {"model": "stability.stable-image-cores-v1:1", "region": "us-west-2"},
                }
            }
        )
    assert len(caught.value.problems) == 2
    assert "did you mean amazon.nova-canvas-v1:0" in str(caught.value)
    assert "did you mean stability.stable-image-core-v1:" in str(caught.value)


def test_an_inference_profile_is_called_where_its_arn_says(emulator: Emulator) -> None:
    """The ARN goes on the wire, its region is called, the base model decides body and price."""
    arn = "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0"
    settings = config(emulator)
    settings["deployments"]["team"] = {
        "model": CANVAS,
        "inference_profile": arn,
        "credentials": "demo",
        "endpoint_url": emulator.url,
    }
    with Router(settings) as router:
        result = router.generate("team", "otter")
    assert (result.region, result.model, result.model_id) == ("eu-west-1", CANVAS, arn)
    assert [record.region for record in emulator.log] == ["eu-west-1"]
    assert result.cost.usd is None
    assert "price_unknown" in {warning.code for warning in result.warnings}


def test_both_routers_have_the_same_methods() -> None:
    """Whatever `Router` can do, `AsyncRouter` can do awaited, with the same parameters."""
    for name, method in inspect.getmembers(Router, inspect.isfunction):
        if name.startswith("_") or name == "close":
            continue
        twin = getattr(AsyncRouter, name)
        assert inspect.signature(method).parameters.keys() == inspect.signature(twin).parameters.keys()


def test_a_cancelled_task_gives_its_place_back(emulator: Emulator) -> None:
    """The caller leaves; the next one is not blocked, and somebody who waited takes over."""
    emulator.faults = Faults(latency=0.5)

    async def scenario() -> Any:
        async with AsyncRouter(config(emulator)) as router:
            first = asyncio.create_task(router.generate("hero", "otter", seed=1))
            await asyncio.sleep(0.1)
            second = asyncio.create_task(router.generate("hero", "otter", seed=1))
            await asyncio.sleep(0.1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await second

    assert asyncio.run(scenario()).images[0].seed == 1


def test_config_objects_and_mappings_are_the_same(emulator: Emulator) -> None:
    """A router takes either."""
    with Router(Config.from_mapping(config(emulator))) as router:
        assert router.generate("hero", "otter").deployment == "core"


BAD_CALLS: list[tuple[dict[str, Any], str]] = [
    ({"deadline": "soon"}, "deadline must be seconds above 0, such as 30, or a duration such as '30s' (got 'soon')"),
    ({"deadline": 0}, "deadline must be seconds above 0, such as 30, or a duration such as '30s' (got '0')"),
    ({"deadline": -1}, "deadline must be seconds above 0, such as 30, or a duration such as '30s' (got '-1')"),
    (
        {"attempt_timeout": []},
        "attempt_timeout must be seconds above 0, such as 30, or a duration such as '30s' (got '[]')",
    ),
    (
        {"attempt_timeout": float("nan")},
        "attempt_timeout must be seconds above 0, such as 30, or a duration such as '30s' (got 'nan')",
    ),
    ({"strict": "yes"}, "strict must be true or false (got str)"),
    ({"cache": "no"}, "cache must be true or false (got str)"),
    ({"tenant": 7}, "tenant must be a name (got int)"),
    ({"sead": 7}, "unknown parameter 'sead'; did you mean 'seed'?"),
]


@pytest.mark.parametrize(("params", "message"), BAD_CALLS, ids=lambda value: str(value)[:30])
def test_bad_options_of_a_call_are_named(
    router: Router, emulator: Emulator, params: dict[str, Any], message: str
) -> None:
    """What is said about the way is checked like what is said about the picture, before anything is sent."""
    with pytest.raises(InvalidRequest) as caught:
        router.generate("hero", "otter", **params)
    assert str(caught.value) == message
    assert caught.value.parameter == next(iter(params))
    assert emulator.log == []


@pytest.mark.parametrize("alias", [None, 7, ["hero"], b"hero"])
def test_an_alias_is_a_name(router: Router, alias: Any) -> None:
    """Anything else is an error of the caller, not of ours."""
    with pytest.raises(InvalidRequest, match="alias must be a name"):
        router.generate(alias, "otter")


@pytest.mark.parametrize("prompt", [None, 7, "", "   ", b"otter", "x" * 40_000])
def test_a_prompt_is_a_text(router: Router, emulator: Emulator, prompt: Any) -> None:
    """Refused before anything is sent."""
    with pytest.raises(InvalidRequest, match="prompt"):
        router.generate("hero", prompt)
    assert emulator.log == []


def test_a_strict_fallback_is_strict(emulator: Emulator) -> None:
    """An alias that refuses to adapt does so also for those who fall back to it."""
    settings = config(emulator)
    settings["aliases"]["draft"] = {"deployments": ["canvas"], "strict": True}
    emulator.faults = Faults(rules=[Rule(status=503, model=CORE), Rule(status=503, model=SD35)])
    with Router(settings) as router:
        with pytest.raises(AttemptsFailed):
            router.generate("lone", "otter", size="1000x1000")
        assert router.generate("lone", "otter", size="1008x1008").deployment == "canvas"


@pytest.mark.parametrize("wrong", ["configs/quickstart.yaml", 7, None, [], {}])
def test_what_is_not_a_configuration_is_said_so(wrong: Any) -> None:
    """A path belongs to from_yaml."""
    with pytest.raises(ConfigError):
        Router(wrong)


def test_a_missing_file_is_said_so(tmp_path: Any) -> None:
    """With its name, and no traceback of ours."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        Router.from_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match=r"directory|folder"):
        Router.from_yaml(tmp_path)
