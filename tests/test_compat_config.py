from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lascaux import Config, ConfigError, Router
from lascaux.compat.config import is_litellm, translate
from lascaux.providers.fake import FakeProvider

CONFIGS = Path(__file__).parent.parent / "configs"
NOVA = "bedrock/amazon.nova-canvas-v1:0"
CORE = "bedrock/stability.stable-image-core-v1:1"
ARN = "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0"
KEYS: dict[str, Any] = {"aws_access_key_id": "id", "aws_secret_access_key": "key"}
CORPUS = yaml.safe_load((Path(__file__).parent / "data" / "litellm_corpus.yaml").read_text())
SECRETS = ("AKIAPLANTED", "planted-secret", "planted-token", "planted-key", "planted-id")


def entry(name: str = "hero", model: str = CORE, info: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    made = {"model_name": name, "litellm_params": {"model": model, "aws_region_name": "us-west-2", **params}}
    return made if info is None else {**made, "model_info": info}


def load(*entries: dict[str, Any], env: dict[str, str] | None = None, **sections: Any) -> Config:
    document = {"model_list": list(entries) or [entry()], **sections}
    return Config.parse(yaml.safe_dump(document, sort_keys=False), "litellm.yaml", env=env or {})


def said(config: Config) -> list[str]:
    """Warnings without their places."""
    return [str(warning).partition(" (litellm.yaml:")[0] for warning in config.warnings]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.parse(dedent(text), "litellm.yaml", env={})
    return list(caught.value.problems)


def test_the_pages_config_loads_word_for_word() -> None:
    """The misspelt aws_secret_access_id is understood as the access key id, and reported."""
    config = Config.load(CONFIGS / "litellm.yaml", env={}, dotenv=False)
    name = "amazon.nova-canvas-v1:0"
    (use,) = config.aliases[name].uses
    deployment = config.deployments[use.deployment]
    assert (deployment.model, deployment.region) == (NOVA, "us-east-1")
    credentials = config.credentials_for(deployment.credentials)
    assert credentials.access_key_id == "my-id"
    assert credentials.secret_access_key is not None
    assert credentials.secret_access_key.reveal() == "my-key"
    (warning,) = config.warnings
    assert warning.code == "config"
    assert str(warning) == (
        "model_list[0].litellm_params.aws_secret_access_id: is a misspelling, understood as aws_access_key_id "
        f"({CONFIGS / 'litellm.yaml'}:7:7)"
    )


def test_entries_of_one_name_are_deployments_of_one_alias() -> None:
    """order is the priority, weight the weight, rpm and max_parallel_requests the limits, id the name."""
    config = load(
        entry(weight=3, rpm=60, order=1, info={"id": "ultra", "mode": "image_generation"}),
        entry(aws_region_name="us-east-1", weight=1, order=1, max_parallel_requests=4),
        entry(order=5),
    )
    assert [(use.deployment, use.weight, use.priority) for use in config.aliases["hero"].uses] == [
        ("ultra", 3, 0),
        ("hero-us-east-1", 1, 0),
        ("hero-us-west-2", 1, 1),
    ]
    assert config.deployments["ultra"].limits.rpm == 60
    assert config.deployments["hero-us-east-1"].limits.concurrency == 4
    assert said(config) == []


@pytest.mark.parametrize(
    ("first", "second", "weights"),
    [
        ({"rpm": 30, "weight": 1}, {"rpm": 10, "weight": 9}, [1, 9]),
        ({"rpm": 30, "tpm": 1}, {"rpm": 10, "tpm": 9}, [30, 10]),
        ({"tpm": 500}, {"tpm": 100}, [500, 100]),
        ({"rpm": 30}, {}, [1, 1]),
        ({"weight": 5}, {}, [5, 1]),
        ({"weight": 0}, {"weight": 0}, [1, 1]),
        ({"weight": 2}, {"weight": 0}, [1]),
    ],
)
def test_shares_follow_simple_shuffle(first: dict[str, Any], second: dict[str, Any], weights: list[float]) -> None:
    """By weight, else by rpm, else by tpm; nothing that is left out or odd stays unsaid."""
    config = load(entry(**first), entry(aws_region_name="us-east-1", **second))
    assert [use.weight for use in config.aliases["hero"].uses] == weights
    odd = first == {"rpm": 30} or first == {"weight": 5} or (0 in second.values() and 0 not in first.values())
    tokens = "rpm" in first and "tpm" in first
    assert len(config.warnings) == (2 if tokens else int(odd))


def test_a_drained_deployment_still_answers_to_its_own_name() -> None:
    """Weight 0 takes an entry out of the alias and not out of the file."""
    config = load(entry(weight=1), entry(weight=0, info={"id": "spare"}))
    assert [use.deployment for use in config.aliases["hero"].uses] == ["hero-us-west-2"]
    assert "spare" in config.deployments
    assert said(config) == [
        "model_list[1].litellm_params.weight: of 0 leaves 'spare' out of 'hero'; it answers to its own name"
    ]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"aws_access_key_id": "id", "aws_secret_access_key": "key"}, {"access_key_id": "id"}),
        ({"aws_profile_name": "prod"}, {"profile": "prod"}),
        (
            {
                "aws_role_name": "arn:aws:iam::111122223333:role/images",
                "aws_session_name": "images",
                "aws_external_id": "planted-id",
                "aws_session_tags": [{"Key": "team", "Value": "red"}],
                "aws_sts_endpoint": "https://sts.example",
            },
            {
                "role_arn": "arn:aws:iam::111122223333:role/images",
                "session_name": "images",
                "session_tags": (("team", "red"),),
                "sts_endpoint": "https://sts.example",
            },
        ),
        (
            {"aws_role_name": "arn:aws:iam::111122223333:role/i", "aws_web_identity_token": "/run/token"},
            {"web_identity_token_file": "/run/token"},
        ),
        (
            {"aws_role_name": "arn:aws:iam::111122223333:role/i", "aws_web_identity_token": "os.environ/OIDC_FILE"},
            {"web_identity_token_file": "/from/env"},
        ),
        (
            {"aws_role_name": "arn:aws:iam::111122223333:role/i", "aws_web_identity_token": "oidc/env_path/OIDC_FILE"},
            {"web_identity_token_file": "/from/env"},
        ),
    ],
)
def test_credentials(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Every way to prove who calls is understood."""
    config = load(entry(**given), env={"OIDC_FILE": "/from/env"})
    credentials = config.credentials_for(config.deployments["hero-us-west-2"].credentials)
    assert {field: getattr(credentials, field) for field in wanted} == wanted
    assert said(config) == []


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"api_key": "os.environ/PLANTED"}, "bearer_token", "planted-token"),
        (
            {"aws_session_token": "planted-token", "aws_access_key_id": "i", "aws_secret_access_key": "k"},
            "session_token",
            "planted-token",
        ),
        (
            {"aws_role_name": "arn:aws:iam::111122223333:role/i", "aws_web_identity_token": "os.environ/PLANTED"},
            "web_identity_token",
            "planted-token",
        ),
        (
            {"aws_role_name": "arn:aws:iam::111122223333:role/i", "aws_web_identity_token": "oidc/env/PLANTED"},
            "web_identity_token",
            "planted-token",
        ),
        ({"aws_role_name": "arn:aws:iam::111122223333:role/i", "aws_external_id": "e-1"}, "external_id", "e-1"),
    ],
)
def test_secrets_are_understood_and_sealed(given: dict[str, Any], field: str, value: str) -> None:
    """A secret arrives where it belongs and shows nowhere."""
    config = load(entry(**given), env={"PLANTED": "planted-token"})
    secret = getattr(config.credentials_for(config.deployments["hero-us-west-2"].credentials), field)
    assert secret.reveal() == value
    assert value not in repr(secret)


def test_keys_beside_a_role_assume_it() -> None:
    """LiteLLM assumes a role with the keys beside it; here they are the role's source."""
    config = load(
        entry(
            aws_role_name="arn:aws:iam::111122223333:role/images",
            aws_access_key_id="id",
            aws_secret_access_key="key",
        )
    )
    credentials = config.credentials_for("hero-us-west-2")
    assert credentials.source is not None
    assert credentials.source.access_key_id == "id"
    assert credentials.access_key_id is None


def test_equal_credentials_are_shared() -> None:
    """One role in two regions is one identity, assumed once."""
    role: dict[str, Any] = {"aws_role_name": "arn:aws:iam::111122223333:role/images", "aws_session_name": "images"}
    config = load(entry(**role), entry(aws_region_name="us-east-1", **role), entry("other", aws_profile_name="prod"))
    assert list(config.credentials) == ["hero-us-west-2", "other-us-west-2"]
    assert config.deployments["hero-us-east-1"].credentials == "hero-us-west-2"


def test_entries_may_share_named_credentials() -> None:
    """credential_list is looked up by litellm_credential_name; an entry's own keys win."""
    shared = [
        {"credential_name": "prod", "credential_values": {"aws_profile_name": "prod", "aws_region_name": "us-east-1"}}
    ]
    config = load(entry(litellm_credential_name="prod"), credential_list=shared)
    assert config.deployments["hero-us-west-2"].region == "us-west-2"
    assert config.credentials_for("hero-us-west-2").profile == "prod"
    assert said(config) == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"model": NOVA, "model_id": ARN, "aws_region_name": None}, {"inference_profile": ARN, "model": NOVA}),
        (
            {
                "model": NOVA,
                "aws_region_name": None,
                "model_id": "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefabcdef",
            },
            {
                "model": "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefabcdef",
                "base_model": "amazon.nova-canvas-v1:0",
            },
        ),
        (
            {"model": f"bedrock/{ARN}", "aws_region_name": None, "base_model": NOVA},
            {"model": f"bedrock/{ARN}", "base_model": "amazon.nova-canvas-v1:0"},
        ),
        ({"model": "bedrock/us-east-1/amazon.nova-canvas-v1:0", "aws_region_name": None}, {"region": None}),
        ({"model": "bedrock/invoke/amazon.nova-canvas-v1:0"}, {"model": NOVA}),
        ({"model": "amazon.nova-canvas-v1:0", "custom_llm_provider": "bedrock"}, {"model": "amazon.nova-canvas-v1:0"}),
        ({"api_base": "http://127.0.0.1:1/"}, {"endpoint_url": "http://127.0.0.1:1"}),
        (
            {"aws_bedrock_runtime_endpoint": "http://127.0.0.1:2", "ssl_verify": False},
            {"endpoint_url": "http://127.0.0.1:2", "verify": False},
        ),
    ],
)
def test_places(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Every way to name a model and the place that serves it is understood."""
    model = given.pop("model", CORE)
    (deployment,) = load(entry("hero", model, **given)).deployments.values()
    assert {field: getattr(deployment, field) for field in wanted} == wanted


def test_the_region_of_a_route_or_an_arn_is_used() -> None:
    """Nobody has to repeat it in aws_region_name."""
    route = entry("route", "bedrock/eu-west-1/amazon.nova-canvas-v1:0", aws_region_name=None)
    profile = entry("profile", NOVA, model_id=ARN, aws_region_name=None)
    with Router(load(route, profile), provider=FakeProvider()) as router:
        assert {router.generate(name, "otter").region for name in ("route", "profile")} == {"eu-west-1"}


def test_settings() -> None:
    """Retries count the first call, failures the one that opens the breaker; long times stretch what bounds them."""
    config = load(
        router_settings={
            "routing_strategy": "least-busy",
            "num_retries": 4,
            "timeout": 900,
            "allowed_fails": 2,
            "cooldown_time": 400,
            "default_max_parallel_requests": 7,
        },
        litellm_settings={"cache": True, "cache_params": {"type": "local", "ttl": 60}, "drop_params": True},
    )
    assert (config.retry.attempts, config.retry.attempt_timeout, config.retry.deadline) == (5, 900, 900)
    assert (config.health.failures, config.health.cooldown, config.health.max_cooldown) == (3, 400, 400)
    assert config.aliases["hero"].strategy == "least_request"
    assert config.deployments["hero-us-west-2"].limits.concurrency == 7
    assert (config.cache.backend, config.cache.ttl) == ("memory", 60)
    assert said(config) == []


def test_litellm_settings_hold_where_router_settings_are_silent() -> None:
    """router_settings win, and the loser is named."""
    config = load(
        litellm_settings={"num_retries": 1, "request_timeout": 20, "cache": False}, router_settings={"num_retries": 0}
    )
    assert (config.retry.attempts, config.retry.attempt_timeout) == (1, 20)
    assert config.cache.backend == "none"
    assert said(config) == ["litellm_settings.num_retries: has no effect: router_settings.num_retries wins"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("usage-based-routing", "round_robin"),
        ("usage-based-routing-v2", "round_robin"),
    ],
)
def test_strategies_that_are_missing_become_the_nearest(theirs: str, ours: str) -> None:
    """And a warning says so."""
    config = load(router_settings={"routing_strategy": theirs})
    assert config.aliases["hero"].strategy == ours
    assert said(config) == [
        f"router_settings.routing_strategy: {theirs} is not available; {ours}, the nearest strategy, is used"
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("simple-shuffle", "weighted_random"),
        ("least-busy", "least_request"),
        ("latency-based-routing", "lowest_latency"),
        ("cost-based-routing", "lowest_cost"),
    ],
)
def test_strategies_that_we_have_are_taken_over(theirs: str, ours: str) -> None:
    """Without a word."""
    config = load(router_settings={"routing_strategy": theirs})
    assert config.aliases["hero"].strategy == ours
    assert said(config) == []


def test_time_and_retries_of_an_alias() -> None:
    """They hold where all entries of the name agree; otherwise they are named."""
    config = load(
        entry("same", timeout=30, num_retries=0),
        entry("same", timeout=30, num_retries=0),
        entry("differ", timeout=30, max_retries=5),
        entry("differ", timeout=40),
        router_settings={"num_retries": 1},
    )
    same = config.aliases["same"].retry
    assert same is not None
    assert (same.attempts, same.attempt_timeout) == (1, 30)
    assert config.aliases["differ"].retry is None
    assert config.retry.attempts == 2
    assert said(config) == [
        "model_list[2].litellm_params.timeout: has no effect: not every entry of 'differ' says the same",
        "model_list[2].litellm_params.max_retries: has no effect: not every entry of 'differ' says the same",
        "model_list[3].litellm_params.timeout: has no effect: not every entry of 'differ' says the same",
    ]


def test_fallbacks() -> None:
    """Named ones, general ones for who has none, and '*'; an alias never falls back to itself."""
    config = load(
        *(entry(name) for name in ("a", "b", "c", "d")),
        router_settings={"fallbacks": [{"a": ["b", "c"]}, {"c": "d"}], "default_fallbacks": ["d"]},
    )
    assert {name: alias.fallbacks for name, alias in config.aliases.items()} == {
        "a": ("b", "c"),
        "b": ("d",),
        "c": ("d",),
        "d": (),
    }
    assert load(entry("a"), entry("b"), litellm_settings={"fallbacks": [{"*": ["b"]}]}).aliases["a"].fallbacks == ("b",)


def test_fallbacks_in_a_circle() -> None:
    """LiteLLM allows them; here each alias names the deployments of the others, so a request ends."""
    config = load(
        entry("a"), entry("b"), entry("b", aws_region_name="us-east-1"), entry("c"),
        router_settings={"fallbacks": [{"a": ["b"]}, {"b": ["a", "c"]}]},
    )  # fmt: skip
    assert config.aliases["a"].fallbacks == ("b-us-west-2", "b-us-east-1", "c-us-west-2")
    assert config.aliases["b"].fallbacks == ("a-us-west-2", "c-us-west-2")
    assert config.aliases["c"].fallbacks == ()


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from("abcd"), max_size=4)), max_size=5))
def test_any_fallbacks_can_be_loaded(pairs: list[tuple[str, list[str]]]) -> None:
    """Whatever refers to whatever, the result is free of circles and reaches what LiteLLM would reach."""
    data = {
        "model_list": [entry(name) for name in "abcd"],
        "router_settings": {"fallbacks": [{name: targets} for name, targets in pairs]},
    }
    config = Config.from_mapping(data, env={})
    for name in "abcd":
        wanted, queue = set(), [name]
        while queue:
            for other in [t for n, targets in pairs if n == queue[0] for t in targets]:
                if other not in wanted:
                    wanted.add(other)
                    queue.append(other)
            queue.pop(0)
        found, queue = set(), list(config.aliases[name].fallbacks)
        while queue:
            here = queue.pop()
            found.add(here.removesuffix("-us-west-2"))
            queue += config.aliases[here].fallbacks if here in config.aliases else ()
        assert found == wanted - {name}


def test_second_names() -> None:
    """model_group_alias, in both forms; a fallback of a second name is one of the first."""
    config = load(
        entry("a"), entry("b"),
        router_settings={
            "model_group_alias": {"best": "a", "old": {"model": "a", "hidden": True}},
            "fallbacks": [{"a": ["b"]}, {"b": ["best"]}, {"old": ["b"]}],
        },
    )  # fmt: skip
    assert config.aliases["best"].uses == config.aliases["old"].uses == config.aliases["a"].uses
    assert config.aliases["best"].fallbacks == ("b-us-west-2",)
    assert said(config) == [
        "router_settings.model_group_alias.old.hidden: has no effect: the name is listed like any other",
        "router_settings.fallbacks[2].old[0]: has no effect: 'old' is a second name of 'a', whose fallbacks count",
    ]


def test_patterns_pass_model_ids_through() -> None:
    """bedrock/* reaches every model, with the entry's region."""
    config = load(entry("bedrock/*", "bedrock/*"), router_settings={"routing_strategy": "least-busy"})
    with Router(config, provider=FakeProvider()) as router:
        result = router.generate("bedrock/stability.stable-image-core-v1:1", "otter")
    assert (result.model, result.region) == ("stability.stable-image-core-v1:1", "us-west-2")


def test_own_prices() -> None:
    """output_cost_per_image holds for the model in the entry's region, and is what an image costs."""
    config = load(
        entry("mine", output_cost_per_image=0.031),
        entry("info", "bedrock/stability.stability.sd3-large-v1:0", {"output_cost_per_image": "0.05"}),
        entry("same", output_cost_per_image="0.0310"),
        entry("anywhere", NOVA, aws_region_name="os.environ/REGION", output_cost_per_image=0),
        env={"REGION": "eu-west-1"},
    )
    with Router(config, provider=FakeProvider()) as router:
        costs = {name: router.generate(name, "otter").cost.usd for name in ("mine", "info", "anywhere")}
    assert {name: str(usd) for name, usd in costs.items()} == {"mine": "0.031", "info": "0.05", "anywhere": "0"}
    assert said(config) == [
        "model_list[3].litellm_params.output_cost_per_image: is taken for amazon.nova-canvas-v1:0 in every region, "
        "because an entry names none",
    ]


PRICED = ("first", "second", "third")


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ((0.09, 0.05, None), "different prices in model_list[0], model_list[1]; none in model_list[2]"),
        ((None, 0.09, 0.09), "a price in model_list[1], model_list[2]; none in model_list[0]"),
        ((0.09, 0.05, 0.09), "different prices in model_list[0], model_list[1], model_list[2]"),
    ],
)
@pytest.mark.parametrize("region", ["us-west-2", "os.environ/REGION"])
def test_no_price_leaks_to_another_entry(prices: tuple[float | None, ...], told: str, region: str) -> None:
    """Where entries of one model and region disagree, all cost what the table says, and one warning names them."""
    places = (region, "us-west-2", "us-west-2")
    config = load(
        *(
            entry(name, CORE, aws_region_name=place, output_cost_per_image=price)
            for name, place, price in zip(PRICED, places, prices, strict=True)
        ),
        entry("elsewhere", NOVA, output_cost_per_image=0.01),
        env={"REGION": "us-west-2"},
    )
    with Router(config, provider=FakeProvider()) as router:
        costs = [str(router.generate(name, "otter").cost.usd) for name in (*PRICED, "elsewhere")]
    assert costs == ["0.04", "0.04", "0.04", "0.01"]
    index = next(index for index, price in enumerate(prices) if price)
    where = "us-west-2" if region == "us-west-2" else "every region"
    assert said(config) == [
        f"model_list[{index}].litellm_params.output_cost_per_image: has no effect: there is one price for "
        f"stability.stable-image-core-v1:1 in {where}, and its entries disagree: {told}"
    ]


def test_regions_have_their_own_prices() -> None:
    """Entries of one model in two regions may differ."""
    config = load(entry("west", output_cost_per_image=0.09), entry("east", aws_region_name="us-east-1"))
    assert [(row["region"], str(row["usd_per_image"])) for row in config.pricing.overrides] == [("us-west-2", "0.09")]
    assert said(config) == []


@pytest.mark.parametrize("row", CORPUS["settings"], ids=lambda row: row["key"])
def test_settings_without_effect_are_named(row: dict[str, Any]) -> None:
    """Each with its reason or its nearest spelling, and never with its value."""
    found = said(load(**{row["section"]: {row["key"]: row["value"]}}))
    assert found == [f"{row['section']}.{row['key']}: {row['warning']}"]


def test_what_is_inside_a_setting_is_named_where_it_stands() -> None:
    """Parts of a setting without effect, with the path to each."""
    config = load(
        entry("hero", model_id="os.environ/PROFILE", output_cost_per_image=1, aws_secret_access_id="x", **KEYS),
        entry("bedrock/*", "bedrock/*", rpm=3, seed=1),
        router_settings={"fallbacks": [{"herro": ["hero"]}], "retry_after": 30},
        litellm_settings={"cache_params": {"type": "redis", "host": "localhost"}},
        env={"PROFILE": ARN.replace("eu-west-1", "us-west-2")},
    )
    assert config.retry.max_backoff == 30
    assert said(config) == [
        "model_list[0].litellm_params.aws_secret_access_id: has no effect: aws_access_key_id stands beside it",
        "model_list[1].litellm_params.rpm: has no effect on a pattern",
        "model_list[1].litellm_params.seed: has no effect on a pattern",
        "router_settings.fallbacks[0].herro: has no effect: no model_name is 'herro'; did you mean hero?",
        "router_settings.retry_after: becomes the longest first wait: waits are drawn at random up to it, and it doubles",
        "litellm_settings.cache_params.type: is not available: results are kept in the memory of this process",
        "litellm_settings.cache_params.host: has no effect: the cache has 'type' and 'ttl'",
    ]


@pytest.mark.parametrize("value", [False, None, [], {}, ""])
def test_what_asks_for_nothing_is_not_worth_a_word(value: Any) -> None:
    """A setting that is switched off has its effect."""
    assert said(load(router_settings={"enable_tag_filtering": value}, general_settings={"alerting": value})) == []


@pytest.mark.parametrize("row", CORPUS["params"], ids=lambda row: row["key"])
def test_keys_of_an_entry_without_effect_are_named(row: dict[str, Any]) -> None:
    """Default parameters, other providers' keys, misspellings."""
    found = said(load(entry(**{row["key"]: row["value"]})))
    assert found == [f"model_list[0].litellm_params.{row['key']}: {row['warning']}"]


def test_the_rest_of_an_entry_and_of_the_file_is_named() -> None:
    """Sections, keys beside litellm_params, and model_info."""
    row = {**entry(info={"mode": "chat", "description": "nice", "base_mdel": "x"}), "rpm": 3, "modle_info": {}}
    config = load(row, environment_variables={"A": "planted-secret"}, modle_list=[], guardrails=[{}], mcp_servers=None)
    assert said(config) == [
        "model_list[0].model_info.mode: has no effect: pictures are all that is made here; expected image_generation",
        "model_list[0].model_info.description: is not used",
        "model_list[0].model_info.base_mdel: is not used; did you mean base_model?",
        "model_list[0].rpm: has no effect; it belongs under litellm_params",
        "model_list[0].modle_info: has no effect; did you mean model_info?",
        "environment_variables: has no effect: it sets no variables: set them in the environment",
        "modle_list: is not known and has no effect; did you mean model_list?",
        "guardrails: has no effect: it belongs to LiteLLM's proxy",
    ]


@pytest.mark.parametrize(("text", "wanted"), [(row["text"], row["error"]) for row in CORPUS["mistakes"]])
def test_mistakes_point_into_the_file(text: str, wanted: str) -> None:
    """File, line, column and path are those of the LiteLLM file, whatever became of the value."""
    assert problems(text) == [wanted]


def test_all_mistakes_are_told_at_once() -> None:
    """Those of the translation together with those of the loader, in the order of the file."""
    found = problems(
        """
        model_list:
        - model_name: a
          litellm_params: {model: bedrok/amazon.nova-canvas-v1:0}
        - model_name: b
          litellm_params: {model: bedrock/amazon.nova-canvas-v1:0, aws_region_name: mars-1}
        router_settings: {cooldown_time: soon}
        """
    )
    assert [line.split(": ")[1] for line in found] == [
        "model_list[0].litellm_params.model",
        "model_list[1].litellm_params.aws_region_name",
        "router_settings.cooldown_time",
    ]


def test_no_secret_is_ever_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """Not in warnings, errors or logs, wherever the secret was put."""
    caplog.set_level(logging.DEBUG)
    planted: dict[str, Any] = {
        "aws_access_key_id": "AKIAPLANTED",
        "aws_secret_access_key": "planted-secret",
        "aws_secret_access_id": "planted-id",
        "aws_session_tokn": "planted-token",
        "vertex_credentials": "planted-key",
        "api_key": "planted-key",
    }
    document: dict[str, Any] = {
        "model_list": [entry(**planted)],
        "environment_variables": {"AWS_SECRET_ACCESS_KEY": "planted-secret"},
        "router_settings": {"redis_password": "planted-secret", "redis_pasword": "planted-secret"},
        "general_settings": {"master_key": "planted-key"},
    }
    with pytest.raises(ConfigError) as caught:
        Config.parse(yaml.safe_dump(document), "litellm.yaml", env={})
    planted.pop("aws_session_tokn"), planted.pop("api_key")
    config = load(entry(**planted), **{key: value for key, value in document.items() if key != "model_list"})
    seen = " ".join([str(caught.value), repr(caught.value), repr(config), *map(str, config.warnings), caplog.text])
    assert len(config.warnings) == 6
    assert not [secret for secret in SECRETS if secret in seen]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"model_list": []}, True),
        ({"router_settings": {}}, True),
        ({"aliases": {}, "router_settings": {}}, False),
        ({"aliases": {}, "deployments": {}}, False),
        ({}, False),
        ("model_list", False),
    ],
)
def test_litellm_is_recognised(data: Any, wanted: bool) -> None:
    """By its sections; a file of ours with a stray section stays ours, and is told so."""
    assert is_litellm(data) is wanted


WORDS = (
    "model_name litellm_params model_info model order weight timeout fallbacks a aws_session_tags aws_web_identity_token "
    "model_group_alias cache cache_params num_retries routing_strategy credential_name credential_values"
)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=4)
            | st.fixed_dictionaries({"model_name": inner, "litellm_params": inner})
        ),
        max_leaves=12,
    )
)
def test_nonsense_is_translated_or_refused(data: Any) -> None:
    """Whatever the file holds, the translation ends with data or findings, never with a traceback."""
    document = {"model_list": data, "router_settings": data, "litellm_settings": data, "credential_list": data}
    found = translate(document)
    assert found.problems or found.data["deployments"] or found.data["aliases"]
    with suppress(ConfigError):
        Config.from_mapping(document, env={})
