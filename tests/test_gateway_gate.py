"""The gate as a whole: who is let in, what is reserved, and what every ending costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux import Router
from lascaux.gateway.errors import Refused
from lascaux.gateway.gate import Admission, Gate, open_gate
from lascaux.gateway.keys import ANYBODY, Key, NewKey
from lascaux.gateway.limits import LocalTraffic
from lascaux.providers.errors import AttemptTimeout, ContentFiltered, LascauxError, Throttled, Unavailable
from lascaux.providers.fake import FakeProvider
from lascaux.router.config import Config, ServerConfig
from lascaux.router.errors import ConfigError
from lascaux.router.explain import Quote
from lascaux.router.listing import PriceList

KEY = NewKey.make()
BEARER = f"Bearer {KEY.text}"
CONFIG = """
deployments:
  core: {model: "stability.stable-image-core-v1:1", region: us-west-2}
  ultra: {model: "stability.stable-image-ultra-v1:1", region: us-west-2}
aliases:
  hero: {deployments: [core], fallbacks: [best]}
  best: ultra
  cheap: core
retry: {backoff: 0s, max_backoff: 0s, budget: 1, billed_budget: 1}
"""
CORE, ULTRA = Decimal("0.04"), Decimal("0.14")


@dataclass
class Clock:
    """Both kinds of time, moved by hand."""

    seconds: float = 1000.0
    day: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.day += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """Noon."""
    return Clock()


Open = Callable[..., Gate]


@pytest.fixture
def opened(clock: Clock) -> Open:
    """A gate with one key of the given limits, and another without any."""

    def make(**limits: Any) -> Gate:
        keys = [
            {"name": "team", "hash": KEY.hash, **limits},
            {"name": "ops", "key": "ops-key-0123456789", "admin": True},
        ]
        server = ServerConfig.model_validate({"keys": keys})
        return open_gate(server, clock=lambda: clock.seconds, now=lambda: clock.day)

    return make


@pytest.fixture
def provider() -> FakeProvider:
    """Nobody is called; tests script the answers."""
    return FakeProvider()


@pytest.fixture
def router(provider: FakeProvider) -> Router:
    """Two models at two prices."""
    return Router(Config.parse(CONFIG, env={}), provider=provider, sleep=lambda seconds: None)


def unasked() -> Quote:
    raise AssertionError("a quote was asked for in vain")


def admitted(gate: Gate, router: Router, alias: str = "hero", **params: Any) -> Admission:
    return gate.admit(gate.identify(BEARER), alias, lambda: router.quote(alias, "an otter", **params))


def today(gate: Gate) -> tuple[str, str]:
    """What the key has spent, and what of it is only reserved."""
    told = gate.usage(gate.identify(BEARER))
    return told["usd_today"], told["usd_reserved"]


# Who


def test_a_key_is_needed_where_there_are_keys(opened: Open) -> None:
    """Missing, wrong and right ones; an error repeats nothing."""
    gate = opened()
    assert gate.identify(BEARER).name == "team"
    for header in (None, "", "Basic x", "Bearer pl4nted", BEARER + "x"):
        with pytest.raises(Refused) as caught:
            gate.identify(header)
        assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
        assert not header or header.partition(" ")[2] not in caught.value.message.split()


def test_without_keys_everybody_is_let_in_and_nobody_is_admin(clock: Clock) -> None:
    """Whatever the header says: OpenAI's clients always send something."""
    gate = open_gate(ServerConfig(), clock=lambda: clock.seconds, now=lambda: clock.day)
    assert not gate.keyed
    assert gate.identify("Bearer anything") is gate.identify(None) is ANYBODY
    with pytest.raises(Refused) as caught:
        gate.identify_admin("Bearer anything")
    assert caught.value.status == 403
    with gate.admit(ANYBODY, "hero", unasked):
        assert [told["in_flight"] for told in gate.usage_of_all()] == [1]


def test_only_admins_see_all(opened: Open) -> None:
    """The order is that of the configuration."""
    gate = opened(usd_per_day="5", rpm=2, aliases=["hero"])
    with pytest.raises(Refused, match="'team' is no admin key") as caught:
        gate.identify_admin(BEARER)
    assert caught.value.status == 403
    assert gate.identify_admin("Bearer ops-key-0123456789").name == "ops"
    team, ops = gate.usage_of_all()
    assert team == {
        "key": "team",
        "day": "2026-11-22",
        "usd_today": "0",
        "usd_per_day": "5",
        "usd_this_month": "0",
        "usd_per_month": None,
        "usd_reserved": "0",
        "in_flight": 0,
        "concurrency": None,
        "requests_last_minute": 0,
        "rpm": 2,
        "aliases": ["hero"],
        "admin": False,
    }
    assert (ops["key"], ops["requests_last_minute"]) == ("ops", None)


def test_a_key_keeps_to_its_aliases(opened: Open) -> None:
    """The refusal names those that it may use, and costs nothing."""
    gate = opened(aliases=["cheap"], rpm=1)
    key = gate.identify(BEARER)
    with pytest.raises(Refused, match="may not use 'hero'; it may use: cheap") as caught:
        gate.admit(key, "hero", unasked)
    assert (caught.value.status, caught.value.parameter) == (403, "model")
    with gate.admit(key, "cheap", PriceList):
        pass


def test_a_key_that_can_be_guessed_stops_the_start(clock: Clock, tmp_path: Path) -> None:
    """And so does a file of accounts that is none."""
    damaged = tmp_path / "spend"
    damaged.write_text("nonsense\n")
    for server, said in (
        ({"keys": [{"name": "a", "key": ""}]}, "key 'a' is empty"),
        ({"spend_file": str(damaged)}, "the line at byte 0 is no record"),
        ({"spend_file": str(tmp_path / "none" / "spend")}, "no such file"),
    ):
        with pytest.raises(ConfigError, match=said):
            open_gate(ServerConfig.model_validate(server), clock=lambda: clock.seconds, now=lambda: clock.day)


def test_keys_of_a_changed_configuration_count_at_once(clock: Clock) -> None:
    """Accounts and limits go on by name; keys that can not be used, or no keys at all, change nothing."""
    new = NewKey.make()
    said: list[str] = []

    def server(**keys: str) -> ServerConfig:
        kind = {name: "hash" if text.startswith("blake2b:") else "key" for name, text in keys.items()}
        return ServerConfig.model_validate(
            {"keys": [{"name": name, kind[name]: text, "rpm": 1} for name, text in keys.items()]}
        )

    now = server(team=KEY.hash)
    gate = open_gate(now, clock=lambda: clock.seconds, now=lambda: clock.day)
    gate.follow(lambda: now, said.append)
    with gate.admit(gate.identify(BEARER), "hero", PriceList):
        now = server(team=new.hash, other="other-key-0123456789")
        team = gate.identify(f"Bearer {new.text}")
        with pytest.raises(Refused, match="may make 1 requests"):
            gate.admit(team, "hero", unasked)
    with pytest.raises(Refused, match="not valid"):
        gate.identify(BEARER)
    for bad, why in ((server(weak="short"), "'weak' must have 16"), (server(), "none any more")):
        now = bad
        assert gate.identify("Bearer other-key-0123456789").name == "other"
        assert gate.identify(f"Bearer {new.text}").name == "team"
        assert why in said.pop()
        assert said == []
    assert gate.keyed
    assert gate.named("team").name == "team"
    with pytest.raises(Refused) as caught:
        gate.named("weak")
    assert caught.value.status == 401


# How much


def test_requests_a_minute_are_counted_in_a_sliding_window(opened: Open, clock: Clock) -> None:
    """The answer tells when the next one fits, and then it does; refused ones do not count."""
    gate = opened(rpm=2)
    key = gate.identify(BEARER)
    for _ in range(2):
        with gate.admit(key, "hero", PriceList):
            clock.pass_by(10)
    for _ in range(3):
        with pytest.raises(Refused) as caught:
            gate.admit(key, "hero", unasked)
    error = caught.value
    assert (error.status, error.code, error.should_retry) == (429, "rate_limit_exceeded", True)
    assert error.retry_after == pytest.approx(40)
    clock.pass_by(error.retry_after or 0)
    with gate.admit(key, "hero", PriceList):
        pass
    with pytest.raises(Refused):
        gate.admit(key, "hero", unasked)


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_no_minute_holds_more_than_the_limit(pauses: list[float], rpm: int) -> None:
    """Whatever the pauses; and nobody waits longer than needed."""
    now, key = 0.0, Key(name="a", rpm=rpm)
    traffic = LocalTraffic(lambda: now)
    let: list[float] = []
    waits: list[tuple[float, float]] = []
    for pause in pauses:
        now += pause
        try:
            let.append(traffic.enter(key))
        except Refused as refused:
            waits.append((now, refused.retry_after or 0.0))
    for asked, wait in waits:
        assert sum(asked - 60 < moment <= asked for moment in let) == rpm
        assert sum(asked + wait + 1e-9 - 60 < moment <= asked for moment in let) < rpm
    for moment in let:
        assert sum(moment - 60 < other <= moment for other in let) <= rpm


def test_places_are_given_back_however_a_request_ends(opened: Open, router: Router) -> None:
    """Done, failed, cancelled, refused for money, or refused by its quote."""
    gate = opened(concurrency=1, usd_per_day="0.30")
    with admitted(gate, router), pytest.raises(Refused, match="may have 1 at once") as caught:
        admitted(gate, router)
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
    for error in (Unavailable("no"), asyncio.CancelledError(), KeyboardInterrupt()):
        with pytest.raises(type(error)), admitted(gate, router, alias="cheap"):
            raise error
    with pytest.raises(Refused, match="may spend"):
        admitted(gate, router)
    with pytest.raises(LascauxError, match="steps"):
        admitted(gate, router, steps="many")
    assert gate.usage(gate.identify(BEARER))["in_flight"] == 0


# Money


def test_the_most_expensive_candidate_is_reserved_and_the_bill_settled(opened: Open, router: Router) -> None:
    """Fallbacks included, for all pictures of the request."""
    gate = opened(usd_per_day="1")
    with admitted(gate, router, n=3) as admission:
        assert admission.reserved == 3 * ULTRA
        assert today(gate) == ("0.42", "0.42")
        assert admission.settle(router.generate("hero", "an otter", n=3)) == 3 * CORE
        assert admission.settle(None) is None
    assert today(gate) == ("0.12", "0")


def test_a_key_without_a_budget_reserves_all_the_same(opened: Open, router: Router) -> None:
    """Its process may be killed. What came from the cache costs nothing; who asks is told the bill."""
    gate, told = opened(), list[Decimal]()
    for _ in range(2):
        quote = partial(router.quote, "cheap", "an otter")
        with gate.admit(gate.identify(BEARER), "hero", quote, told.append) as admission:
            assert admission.reserved == CORE
            admission.settle(router.generate("cheap", "an otter", seed=7))
    assert today(gate) == ("0.04", "0")
    assert told == [CORE, 0]


def test_a_key_without_a_budget_is_not_refused_for_a_price(opened: Open, router: Router) -> None:
    """What is known is reserved, and a quote that fails leaves the word to the call itself."""
    gate = opened()
    key = gate.identify(BEARER)
    partly = Quote(alias="hero", pick=None, cost=None, candidates=tuple(blank(router)))
    with gate.admit(key, "hero", lambda: partly) as admission:
        assert admission.reserved == CORE
        admission.withdraw()
    with gate.admit(key, "hero", lambda: router.quote("hero", "an otter", steps="many")) as admission:
        assert admission.reserved == 0
    with pytest.raises(AssertionError, match="in vain"):  # a fault of ours is none of these
        gate.admit(key, "hero", unasked)
    assert today(gate) == ("0.00", "0")


def test_without_keys_only_lasting_accounts_reserve(clock: Clock, tmp_path: Path, router: Router) -> None:
    """Others end with the process that counts in them."""
    server = ServerConfig.model_validate({"spend_file": str(tmp_path / "spend")})
    for durable, held in ((True, CORE), (False, Decimal(0))):
        gate = open_gate(server, clock=lambda: clock.seconds, now=lambda: clock.day, durable=durable)
        quote = partial(router.quote, "cheap", "an otter") if durable else unasked
        with gate.admit(ANYBODY, "cheap", quote) as admission:
            assert admission.reserved == held
            admission.withdraw()
        gate.close()


@pytest.mark.parametrize(
    ("error", "usd"),
    [
        (Throttled("slow down"), "0"),
        (Unavailable("no capacity"), "0"),
        (ContentFiltered("no"), "0"),
        (ContentFiltered("no", stage="output_image"), "0.14"),
        (AttemptTimeout("too late"), "0.14"),
        (ValueError("a bug"), "0.14"),
        (asyncio.CancelledError(), "0.14"),
    ],
)
def test_what_may_have_been_billed_stays_spent(opened: Open, router: Router, error: BaseException, usd: str) -> None:
    """What was not is given back."""
    gate = opened(usd_per_day="1")
    with pytest.raises(type(error)), admitted(gate, router):
        raise error
    assert Decimal(today(gate)[0]) == Decimal(usd)
    assert today(gate)[1] == "0"


def test_a_call_that_may_have_been_billed_counts_beside_the_one_that_served(
    opened: Open, router: Router, provider: FakeProvider
) -> None:
    """At its own price, by the attempts: here the cheap one was lost and the dear one delivered."""
    provider.then("core", *[AttemptTimeout("too late")] * 3)
    gate = opened(usd_per_day="1")
    with admitted(gate, router) as admission:
        result = router.generate("hero", "an otter")
        lost = sum(attempt.may_be_billed for attempt in result.attempts)
        assert lost >= 1
        assert admission.settle(result) == ULTRA + lost * CORE


def test_when_everybody_fails_only_what_may_be_billed_is_spent(
    opened: Open, router: Router, provider: FakeProvider
) -> None:
    """The attempts in the error tell."""
    provider.then("core", Unavailable("no"), AttemptTimeout("too late"), Unavailable("no"))
    provider.then("ultra", *[Unavailable("no")] * 3)
    gate = opened(usd_per_day="1")
    with pytest.raises(LascauxError) as caught, admitted(gate, router):
        router.generate("hero", "an otter")
    assert [attempt.outcome for attempt in caught.value.attempts].count("attempt_timeout") == 1
    assert today(gate) == ("0.04", "0")


def test_a_shared_failure_is_billed_once(opened: Open, router: Router) -> None:
    """To the request whose call it was."""
    gate = opened(usd_per_day="1")
    error = AttemptTimeout("too late")
    error.shared = True
    with pytest.raises(AttemptTimeout), admitted(gate, router):
        raise error
    assert today(gate) == ("0.00", "0")


def test_an_unknown_price_is_refused_for_a_key_with_a_budget(opened: Open, clock: Clock) -> None:
    """Unless the key may; then what is known is reserved."""
    text = (
        CONFIG.replace("pricing:", "")
        + 'pricing: {overrides: [{model: "stability.stable-image-ultra-v1:1", usd_per_image: 0.5}]}\n'
    )
    known = Router(Config.parse(text, env={}), provider=FakeProvider())
    with admitted(opened(usd_per_day="1"), known) as admission:
        assert admission.reserved == Decimal("0.5")
    nobody_knows = Quote(alias="hero", pick=None, cost=None, candidates=tuple(blank(known)))
    key = Key(name="team", usd_per_day=Decimal(1))
    gate = opened()
    with pytest.raises(Refused, match="unknown, and key 'team' has a limit in dollars") as caught:
        gate.admit(key, "hero", lambda: nobody_knows)
    assert (caught.value.status, caught.value.code) == (403, "unknown_price")
    allowed = Key(name="team", usd_per_day=Decimal(1), allow_unknown_price=True)
    with gate.admit(allowed, "hero", lambda: nobody_knows) as admission:
        assert admission.reserved == CORE


def blank(router: Router) -> Any:
    """The candidates of a quote, all but the first without a price."""
    from dataclasses import replace

    for index, one in enumerate(router.quote("hero", "an otter").candidates):
        assert one.cost is not None
        yield replace(one, cost=replace(one.cost, usd=None, unit_usd=None)) if index else one


def test_the_next_day_has_its_own_money(opened: Open, router: Router, clock: Clock) -> None:
    """Midnight is that of UTC."""
    gate = opened(usd_per_day="0.14")
    with admitted(gate, router):
        pass  # left without a word: all that was reserved counts
    with pytest.raises(Refused) as caught:
        admitted(gate, router)
    assert (caught.value.status, caught.value.code, caught.value.should_retry) == (429, "insufficient_quota", False)
    clock.pass_by(12 * 3600)
    with admitted(gate, router):
        pass


def test_a_quote_may_be_awaited(opened: Open, router: Router) -> None:
    """The same gate, for an event loop."""
    gate = opened(usd_per_day="1")

    async def quote() -> Quote:
        return router.quote("hero", "an otter")

    async def ask() -> Decimal:
        with await gate.admit_soon(gate.identify(BEARER), "hero", quote) as admission:
            return admission.reserved

    assert asyncio.run(ask()) == ULTRA


def test_what_fails_before_anybody_is_asked_costs_nothing(opened: Open, router: Router) -> None:
    """Whatever else is said later."""
    gate = opened(usd_per_day="1")
    with admitted(gate, router) as admission:
        assert admission.reserved == ULTRA
        admission.withdraw()
        assert admission.settle(None) is None
    assert today(gate) == ("0.00", "0")
