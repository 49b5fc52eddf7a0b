"""`explain` and `quote` where a request has two stages or must wait, and what of it rides on the result."""

from __future__ import annotations

import base64
import io
import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from lascaux import LascauxError, NoDeploymentAvailable, Router
from lascaux.providers.errors import Throttled, Unavailable
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Call, Image, ImageResult, Target
from lascaux.router.attempts import request_flow
from lascaux.router.effects import Effect, Flow, Wait
from lascaux.router.readings import facts_of
from lascaux.router.runtime import Run
from lascaux.router.strategies import STRATEGIES
from PIL import Image as Pillow

CORE, REMOVER = "stability.stable-image-core-v1:1", "stability.stable-image-remove-background-v1:0"
CANVAS = "amazon.nova-canvas-v1:0"
TODAY = date(2026, 11, 22)


class Clock:
    """A clock that sleeping moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def made(provider: FakeProvider | None = None, clock: Clock | None = None, **config: Any) -> Router:
    clock = clock or Clock()
    parts = {"clock": clock, "sleep": clock.sleep, "today": lambda: TODAY}
    return Router(config, provider=provider or FakeProvider(), **parts)


def cut_out(provider: FakeProvider | None = None, *, hero: str = CORE, **more: Any) -> Router:
    """An alias whose models make opaque pictures, and who removes the background."""
    region = "us-east-1" if hero == CANVAS else "us-west-2"
    deployments = {"hero-1": {"model": hero, "region": region}} | {
        f"remover-{i}": {"model": REMOVER, "region": place} for i, place in enumerate(("us-west-2", "us-east-1"))
    }
    aliases = {
        "hero": {"deployments": ["hero-1"], "background_remover": "cutout"},
        "cutout": {"deployments": ["remover-0", "remover-1"]},
    }
    more.setdefault("routing", {"seed": 3})
    return made(provider or Large(), deployments=deployments, aliases=aliases, lifecycle={"retired": "allow"}, **more)


class Large(FakeProvider):
    """Its pictures are large enough for a remover, and no two are the same."""

    drawn = 0

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        found = super().send(target, call, timeout=timeout)
        self.drawn += 1
        images = (Image(_square(self.drawn, place), seed=image.seed) for place, image in enumerate(found.images))
        return replace(found, images=tuple(images))


def _square(number: int, place: int) -> str:
    buffer = io.BytesIO()
    Pillow.new("RGB", (64, 64), (200, number, place)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize("hero", [CORE, CANVAS])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("seed", [None, 30])
def test_the_price_of_both_stages_is_what_the_bill_says(hero: str, n: int, seed: int | None) -> None:
    """Per picture, whatever format is asked for; and again when the cache has some of it, or all."""
    with cut_out(hero=hero) as router:
        for asked in ({}, {}, {"output_format": "webp"}):
            params = {"background": "transparent", "n": n, "seed": seed, "output_format": "png"} | asked
            told, quote = router.explain("hero", "otter", **params), router.quote("hero", "otter", **params)
            assert told.second is not None
            assert {one.deployment for one in told.second.candidates} == {"remover-0", "remover-1"}
            result = router.generate("hero", "otter", **params)
            assert quote.cost is not None
            assert quote.cost.usd == result.cost.usd
            assert (quote.cost.saved_usd, quote.cost.table) == (result.cost.saved_usd, result.cost.table)


def test_the_second_pick_is_where_the_second_call_goes() -> None:
    """Of one picture: the rng is drawn from in the same order."""
    with cut_out() as router:
        for i in range(10):
            told = router.explain("hero", f"otter {i}", background="transparent")
            result = router.generate("hero", f"otter {i}", background="transparent")
            assert told.second is not None
            assert told.second.pick is not None
            assert [told.pick.deployment if told.pick else None, told.second.pick.deployment] == [
                attempt.deployment for attempt in result.attempts
            ]
        told = router.explain("hero", "otter", background="transparent", n=2)
        name = told.as_dict()["second"]["pick"]
        assert name in ("remover-0", "remover-1")
        assert f"> {name}" in str(told)
        quote = router.quote("hero", "otter", background="transparent", n=2)
        assert quote.second is not None
        assert quote.cost is not None
        assert quote.second.cost is not None
        assert quote.second.cost.usd is not None
        assert quote.cost.usd == Decimal("0.08") + quote.second.cost.usd
        assert quote.as_dict()["second"]["cost"]["usd"] == str(quote.second.cost.usd)
        assert "remove the background" in str(quote)


def test_what_a_strict_request_or_jpeg_can_not_have_is_told() -> None:
    """The reason is the error that the request ends with."""
    with cut_out() as router:
        for params in ({"output_format": "jpeg"}, {"strict": True, "size": "1280x1280"}):
            told = router.explain("hero", "otter", background="transparent", **params)
            assert told.refused
            with pytest.raises(LascauxError) as caught:
                router.generate("hero", "otter", background="transparent", **params)
            assert told.reason == caught.value.message
    with made(deployments={"hero": {"model": CORE, "region": "us-west-2"}}) as router:
        params = {"background": "transparent", "strict": True}
        with pytest.raises(LascauxError, match="background_remover") as caught:
            router.generate("hero", "otter", **params)
        assert router.explain("hero", "otter", **params).reason == caught.value.message


def limited(rpm: int = 1, count: int = 1, **more: Any) -> Router:
    """One alias of deployments with few calls a minute."""
    deployments = {f"d{i}": {"model": CORE, "region": "us-west-2", "limits": {"rpm": rpm}} for i in range(count)}
    return made(deployments=deployments, aliases={"hero": {"deployments": list(deployments), **more}})


def test_a_wait_is_told_and_takes_as_long() -> None:
    """Seconds until it goes, the price that it will have, and on the result how long it stood there."""
    with limited() as router:
        first = router.generate("hero", "otter")
        assert first.attempts[0].waited == 0.0
        told, quote = router.explain("hero", "otter"), router.quote("hero", "otter")
        assert (told.pick, told.refused, told.ahead) == (None, False, 0)
        assert told.wait is not None
        assert quote.cost is not None
        assert not quote.refused
        result = router.generate("hero", "otter")
        assert result.attempts[0].waited == pytest.approx(told.wait, rel=0.02)
        assert result.attempts[0].waited == pytest.approx(result.duration)
        assert "s in line before" in str(result.attempts[0])
        assert quote.cost.usd == result.cost.usd
        assert "stands in line" in str(told)


def test_a_wait_that_does_not_fit_is_told_with_the_same_retry_after() -> None:
    """``max_wait`` and the deadline, word for word as the error that the request ends with."""
    with limited() as router:
        router.generate("hero", "otter")
        for params in ({"max_wait": 5}, {"max_wait": 0}, {"deadline": 10}):
            told = router.explain("hero", "otter", **params)
            assert told.refused
            with pytest.raises(NoDeploymentAvailable) as caught:
                router.generate("hero", "otter", **params)
            assert told.reason == caught.value.message.replace("of 'hero' ", "")
            assert told.retry_after == caught.value.retry_after
            assert router.quote("hero", "otter", **params).refused


def wait_in_line(router: Router, prompt: str) -> tuple[Flow, Effect]:
    """Let a request come in; it stops where it would have to wait, or to call."""
    run = Run(router._runtime, "hero", prompt, {"cache": False})
    flow = request_flow(run.runtime.context, run.request, run.trail)
    return flow, next(flow)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_newcomer_is_told_of_those_who_came_before(strategy: str) -> None:
    """A place that comes free belongs to those in line: the newcomer waits behind them, as the next request does."""
    clock = Clock()
    config: dict[str, Any] = {"deployments": {"d0": {"model": CORE, "region": "us-west-2", "limits": {"rpm": 2}}}}
    config["aliases"] = {"hero": {"deployments": ["d0"], "strategy": strategy}}
    with made(clock=clock, **config) as router:
        router.generate("hero", "otter")
        clock.now += 20.0
        router.generate("hero", "otter")
        flows = [wait_in_line(router, f"waiter {i}") for i in range(2)]
        assert all(isinstance(effect, Wait) for _, effect in flows)
        told = router.explain("hero", "otter")
        assert (told.pick, told.ahead, told.candidates[0].waiting) == (None, 2, 2)
        assert told.wait == pytest.approx(40.0 + 60.0, abs=3.0)
        clock.now += 41.0  # one place is free, and it is not ours
        told = router.explain("hero", "otter")
        assert told.pick is None
        assert told.candidates[0].reason == "its free places belong to those who wait in line, 2 for it"
        newcomer, effect = wait_in_line(router, "newcomer")
        assert isinstance(effect, Wait)
        for flow in (newcomer, *(flow for flow, _ in flows)):
            flow.close()
        told = router.explain("hero", "otter")
        assert told.pick is not None
        assert (told.ahead, told.wait, told.candidates[0].waiting) == (0, 0.0, 0)


def test_the_budgets_are_told() -> None:
    """Extra calls that could be made now; looking takes none."""
    provider = FakeProvider({f"d{i}": [Unavailable("down")] for i in range(2)})
    deployments = {f"d{i}": {"model": CORE, "region": "us-west-2"} for i in range(2)}
    with made(provider, deployments=deployments, aliases={"hero": {"deployments": list(deployments)}}) as router:
        assert dict(router.explain("hero", "otter").budgets) == {"retry": 100, "billed": 10}
        router.generate("hero", "otter")
        told = [router.explain("hero", "otter").as_dict()["budgets"] for _ in range(2)]
        assert told[0] == told[1]
        assert told[0]["retry"] < 100
    with made(deployments=deployments, retry={"budget": 0}) as router:
        assert router.explain("d0", "otter").budgets["retry"] == 0


def test_the_learned_rate_is_told() -> None:
    """In the text and as data."""
    provider = FakeProvider()
    with made(provider, deployments={"d0": {"model": CORE, "region": "us-west-2"}}) as router:
        for _ in range(2):
            router.generate("d0", "otter")
        provider.then("d0", Throttled("slow"))
        router.generate("d0", "otter")
        told = router.explain("d0", "otter")
        assert told.candidates[0].learned_rpm == 3
        assert "learned limit 3 a minute" in str(told)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_result_has_the_score_that_explain_tells(strategy: str) -> None:
    """And who was picked."""
    deployments = {f"d{i}": {"model": CORE, "region": "us-west-2"} for i in range(3)}
    aliases = {"hero": {"deployments": list(deployments), "strategy": strategy}}
    with made(deployments=deployments, aliases=aliases, routing={"seed": 1}) as router:
        for i in range(5):
            told, result = router.explain("hero", f"otter {i}"), router.generate("hero", f"otter {i}")
            assert told.pick is not None
            assert result.route is not None
            assert (result.route.deployment, result.route.score) == (told.pick.deployment, told.pick.score)


def test_the_lock_is_held_for_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No price is asked for under it, and of a thousand deployments no more than fifty are read at once."""
    deployments = {f"d{i}": {"model": CORE, "region": "us-west-2"} for i in range(1000)}
    aliases = {"hero": {"deployments": list(deployments), "strategy": "lowest_cost"}}
    with made(deployments=deployments, aliases=aliases) as router:
        context, held, read = router._runtime.context, [False], [0]
        most = []
        lock = threading.Lock()

        class Watched:
            def __enter__(self) -> None:
                lock.acquire()
                held[0], read[0] = True, 0

            def __exit__(self, *exception: object) -> None:
                most.append(read[0])
                held[0] = False
                lock.release()

        priced: list[bool] = []
        price = context.planner._price
        assert price is not None

        def watched_price(target: Target, call: Call) -> Any:
            priced.append(held[0])
            return price(target, call)

        def watched_facts(*args: Any) -> Any:
            read[0] += 1
            return facts_of(*args)

        context.planner._price = watched_price
        context.guard.lock = Watched()  # type: ignore[assignment]
        monkeypatch.setattr("lascaux.router.explain.facts_of", watched_facts)
        told = router.explain("hero", "otter")
        assert len(told.candidates) == 1000
        assert priced == [False]
        assert max(most) == 50
