"""`Router.explain` and `Router.quote`: what is told is what happens, and telling changes nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from lascaux import AsyncRouter, AttemptsFailed, InvalidRequest, Router, UnknownAlias
from lascaux.providers.errors import ModelUnavailable, Throttled, Unavailable
from lascaux.providers.fake import FakeProvider
from lascaux.router.strategies import STRATEGIES

CORE, ULTRA, SD35 = (
    "stability.stable-image-core-v1:1",
    "stability.stable-image-ultra-v1:1",
    "stability.sd3-5-large-v1:0",
)
TODAY = date(2026, 11, 22)


def made(
    kind: Any = Router, *, strategy: str = "weighted_random", provider: FakeProvider | None = None, **config: Any
) -> Any:
    """A router with three models under one alias and a fallback, and a clock that stands."""
    return kind(
        {
            "deployments": {
                "core": {"model": CORE, "region": "us-west-2"},
                "ultra": {"model": ULTRA, "region": "us-west-2"},
                "large": {"model": SD35, "region": "us-west-2", "limits": {"rpm": 1}},
                "upscaler": {"model": "stability.stable-conservative-upscale-v1:0", "region": "us-west-2"},
            },
            "aliases": {
                "hero": {
                    "deployments": [{"use": "core", "weight": 3}, "ultra", "upscaler"],
                    "strategy": strategy,
                    "fallbacks": ["draft"],
                },
                "draft": {"deployments": ["large"]},
            },
            **config,
        },
        provider=provider or FakeProvider(),
        clock=lambda: 1000.0,
        today=lambda: TODAY,
    )


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("n", [1, 2])
def test_the_pick_is_where_the_next_request_goes(strategy: str, n: int) -> None:
    """For every strategy, many times in a row, and however often it is asked."""
    with made(strategy=strategy, routing={"seed": 7}) as router:
        for i in range(12):
            told = [router.explain("hero", f"otter {i}", n=n) for _ in range(2)]
            assert told[0] == told[1]
            result = router.generate("hero", f"otter {i}", n=n)
            first = min(result.attempts, key=lambda attempt: (attempt.part, attempt.ordinal))
            assert told[0].pick.deployment == first.deployment
            assert told[0].parts == n
            assert result.route.strategy == strategy
            assert result.route.candidates == 2


def test_a_seed_replays_the_whole_way() -> None:
    """Two routers with one seed send the same requests to the same places; with another one they do not."""

    def way(**parts: Any) -> list[str]:
        with made(**parts) as router:
            return [router.generate("hero", "otter").deployment for _ in range(40)]

    assert way(routing={"seed": 7}) == way(routing={"seed": 7}) != way(routing={"seed": 8})


def test_every_exclusion_has_its_reason() -> None:
    """The model can not, the breaker is open, a rest, a limit."""
    provider = FakeProvider({"core": [Throttled("slow", retry_after=9.0)], "ultra": [ModelUnavailable("no access")]})
    with made(provider=provider) as router:
        router.generate("hero", "otter")
        told = router.explain("hero", "otter")
        reasons = {one.deployment: one.reason for one in told.candidates}
        assert "text_to_image" in reasons.pop("upscaler")
        assert reasons.pop("ultra").startswith("its circuit breaker is open for ")  # up to 300 s, with jitter
        assert reasons == {
            "core": "resting for 9.0 s after it was throttled",
            "large": "at its limit of 1 calls a minute for 60.6 s",
        }
        assert told.chain == ("hero", "draft")
        assert len(provider.sent) == 3


def test_panic_is_told() -> None:
    """When the only one's breaker is open it would be asked all the same."""
    provider = FakeProvider({"core": [Unavailable("down")] * 2})
    with made(provider=provider, health={"failures": 1}, retry={"attempts": 1}) as router:
        with pytest.raises(AttemptsFailed):
            router.generate("core", "otter")
        told = router.explain("core", "otter")
        assert (told.panic, told.pick.deployment) == (True, "core")
        assert "circuit breaker is open" in told.pick.reason
        assert "core in panic" in str(told)


def test_when_somebody_may_be_asked_again_is_told() -> None:
    """Without panic nobody is picked, and the time is said."""
    provider = FakeProvider({"core": [Unavailable("down")]})
    health = {"failures": 1, "cooldown": 20, "panic_threshold": 0}
    with made(provider=provider, health=health, retry={"attempts": 1}) as router:
        with pytest.raises(AttemptsFailed):
            router.generate("core", "otter")
        told = router.explain("core", "otter")
        assert (told.pick, told.reason) == (None, "no deployment can take a request now")
        assert told.retry_after == pytest.approx(20.0, rel=0.1)  # the cooldown has jitter
        assert router.quote("core", "otter").cost is None


def test_shares_scores_and_warnings() -> None:
    """What the strategy goes by, and what would be adapted."""
    with made(strategy="least_request") as router:
        told = router.explain("hero", "otter", quality="premium")
        by_name = {one.deployment: one for one in told.candidates}
        assert by_name["core"].share == 0.75
        assert by_name["core"].score == pytest.approx(1 / 3)
        assert by_name["ultra"].score == 1.0
        assert [warning.parameter for warning in by_name["core"].warnings] == ["quality"]
        strict = router.explain("hero", "otter", quality="premium", strict=True)
        assert strict.pick is None
        assert "quality" in strict.reason


def test_what_nobody_can_do_is_told_and_bad_parameters_are_refused() -> None:
    """The first is an answer, the second an error."""
    with made() as router:
        told = router.explain("upscaler", "otter")
        assert told.pick is None
        assert not told.candidates[0].able
        assert told.retry_after is None
        with pytest.raises(InvalidRequest, match="sizze"):
            router.explain("hero", "otter", sizze="1x1")
        with pytest.raises(UnknownAlias):
            router.explain("nobody", "otter")


def test_the_cache_is_looked_at_and_not_touched() -> None:
    """bypass without a seed, miss before, hit after, and a hit costs nothing."""
    with made() as router:
        assert router.explain("hero", "otter").cache == "bypass"
        assert router.explain("hero", "otter", seed=1).cache == "miss"
        deployment = router.generate("hero", "otter", seed=1).deployment
        told = router.explain("hero", "otter", seed=1)
        assert told.cache == "hit"
        quote = router.quote("hero", "otter", seed=1)
        assert quote.cost.usd == 0
        assert router.explain("hero", "otter", seed=1, cache=False).cache == "bypass"
        assert deployment in {one.deployment for one in quote.candidates}


def test_a_quote_is_exact_and_covers_every_picture() -> None:
    """Decimal, per candidate, and that of the pick; nothing is sent."""
    provider = FakeProvider()
    with made(strategy="lowest_cost", provider=provider) as router:
        quote = router.quote("hero", "otter", n=3)
        assert {one.deployment: one.cost.usd for one in quote.candidates} == {
            "core": Decimal("0.12"),
            "ultra": Decimal("0.42"),
            "large": Decimal("0.24"),
        }
        assert (quote.pick, quote.cost.usd) == ("core", Decimal("0.12"))
        assert not provider.sent
        assert router.generate("hero", "otter", n=3).cost.usd == quote.cost.usd


def test_an_unknown_price_is_none_with_its_reason() -> None:
    """Never 0, never a guess."""
    arn = "arn:aws:bedrock:us-west-2:111122223333:provisioned-model/abcdefghijkl"
    config = {"deployments": {"own": {"model": arn, "base_model": CORE}}}
    with Router(config, provider=FakeProvider(), today=lambda: TODAY) as router:
        quote = router.quote("own", "otter")
    assert quote.cost is not None
    assert quote.cost.usd is None
    assert quote.cost.note is not None
    assert "by the hour" in quote.cost.note
    assert "by the hour" in str(quote)


def test_both_are_plain_data_and_readable() -> None:
    """JSON without loss, and a text that marks the pick."""
    with made(routing={"seed": 1}) as router:
        told, quote = router.explain("hero", "otter", n=2), router.quote("hero", "otter", n=2)
    plain = json.loads(json.dumps(told.as_dict()))
    assert plain["pick"] == told.pick.deployment
    assert [one["deployment"] for one in plain["candidates"]] == ["core", "ultra", "upscaler", "large"]
    assert plain["candidates"][0]["cost"]["usd"] == "0.08"
    assert json.loads(json.dumps(quote.as_dict()))["cost"]["usd"] in ("0.08", "0.28")
    assert f"> {told.pick.deployment}" in str(told)
    assert "upscaler" in str(told)
    assert "upscaler" not in str(quote)


def test_the_async_router_tells_the_same() -> None:
    """Awaited."""

    async def ask() -> tuple[Any, Any]:
        async with made(AsyncRouter, routing={"seed": 7}) as router:
            return await router.explain("hero", "otter"), await router.quote("hero", "otter")

    with made(routing={"seed": 7}) as router:
        assert asyncio.run(ask()) == (router.explain("hero", "otter"), router.quote("hero", "otter"))


def test_explaining_leaves_the_rng_alone() -> None:
    """Also one that was injected."""
    rng = Random(3)
    router = Router({"deployments": {"core": {"model": CORE, "regions": ["us-west-2", "us-east-1"]}}}, rng=rng)
    before = rng.getstate()
    router.explain("core", "otter")
    assert rng.getstate() == before
    router.close()
