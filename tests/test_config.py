"""Configurations that work: what every section, shorthand and variable comes to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import lascaux
import pytest
from lascaux.providers.types import Credentials, Secret
from lascaux.router.config import Config, Use, parse_document, read_document
from lascaux.router.config.durations import parse_duration, parse_size
from lascaux.router.errors import ConfigError
from lascaux.router.strategies import STRATEGIES
from pydantic import SecretStr

CONFIGS = Path(lascaux.__file__).resolve().parent / "configs"
OURS = sorted(path for path in CONFIGS.glob("*.yaml") if path.name != "litellm.yaml")
NEEDED = {"EXTERNAL_ID": "an-external-id"}
HASH = f"blake2b:aaaaaaaaaaaa:{'0' * 32}:{'1' * 64}"
CORE = 'deployments: {core: {model: "stability.stable-image-core-v1:1", region: us-west-2}}\n'


def parse(text: str, **env: str) -> Config:
    return Config.parse(text, env=env)


def uses(config: Config, name: str) -> list[tuple[str, float, int]]:
    alias = config.alias(name)
    assert alias is not None
    return [(use.deployment, use.weight, use.priority) for use in alias.uses]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads_without_a_warning(path: Path) -> None:
    """Files to copy must work as they are."""
    config = Config.load(path, env=NEEDED, dotenv=False)
    assert config.deployments
    assert {"hero", "draft"} <= set(config.aliases)
    assert config.warnings == ()
    assert path.read_text().startswith("# yaml-language-server: $schema=lascaux.schema.json\n")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid_for_an_editor(path: Path) -> None:
    """The schema accepts, as written, what the loader accepts."""
    jsonschema.Draft202012Validator(Config.json_schema()).validate(read_document(path).data)


def test_the_shipped_schema_is_what_the_code_says() -> None:
    """`configs/lascaux.schema.json` is generated; `lascaux schema` writes it anew."""
    assert json.loads((CONFIGS / "lascaux.schema.json").read_text("utf-8")) == Config.json_schema()


def test_the_schema_describes_every_setting() -> None:
    """Descriptions are what editors show while one hovers."""
    schema = Config.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    fields = dict(_properties(schema))
    assert len(fields) > 60
    assert [name for name, field in fields.items() if not field.get("description")] == []


def _properties(schema: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield f"{path}/{name}", field
        for name, inner in schema.items():
            yield from _properties(inner, f"{path}/{name}")
    elif isinstance(schema, list):
        for inner in schema:
            yield from _properties(inner, path)


@pytest.mark.parametrize(
    "text",
    [
        "aliases: {a: core}",
        "aliases: {a: {deployments: [core, {use: core, weight: 3}]}}",
        "cache: {ttl: 5m, max_bytes: 1GB}",
        "cache: {ttl: 300, max_bytes: 1024}",
        'cache: {ttl: "${TTL}"}',
        "cache:",
        f'server: {{port: "${{PORT:-4000}}", keys: [{{name: a, hash: "{HASH}", usd_per_day: 0.5, usd_per_month: "20"}}]}}',
        'server: {keys: [{name: a, hash: "${HASH}"}, {name: b, key: "${KEY}", aliases: [core], rpm: 5}]}',
    ],
)
def test_the_schema_knows_every_shorthand(text: str) -> None:
    """An editor must not underline what the loader takes."""
    jsonschema.Draft202012Validator(Config.json_schema()).validate(parse_document(text).data)


@pytest.mark.parametrize(
    "text",
    [
        "aliases: {a: [core]}",
        "aliases: {a: {deployments: []}}",
        "aliases: {a: {deployments: [{use: core, weight: 0}]}}",
        "cache: {ttl: soon}",
        "cache: {tll: 5m}",
        "deployments: {core: {region: us-west-2}}",
        "aliases: {a: {strategy: fastest}}",
        "routing: {seed: -1}",
        "server: {port: 70000}",
        "server: {keys: [plain-text]}",
        "server: {keys: [{name: a, key: plain-text}]}",
        "server: {keys: [{hash: x}]}",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    """An editor finds the usual slips before anybody runs anything."""
    assert not jsonschema.Draft202012Validator(Config.json_schema()).is_valid(parse_document(text).data)


def test_defaults_are_those_of_the_documentation() -> None:
    """What is not written has the values of the design."""
    config = parse(CORE)
    assert config.retry.model_dump() == {
        "attempts": 3,
        "on": {},
        "budget": 0.2,
        "billed_budget": 0.05,
        "max_wait": None,
        "attempt_timeout": 300.0,
        "deadline": 600.0,
        "backoff": 0.5,
        "max_backoff": 20.0,
    }
    assert config.health.model_dump() == {
        "failures": 5,
        "cooldown": 30.0,
        "max_cooldown": 300.0,
        "slow_start": 30.0,
        "panic_threshold": 0.5,
    }
    assert config.cache.model_dump() == {"backend": "memory", "max_bytes": 256 * 2**20, "ttl": 3600.0}
    assert config.pricing.model_dump() == {"table": None, "overrides": ()}
    assert config.lifecycle.retired == "last_resort"
    assert config.telemetry.model_dump() == {"exporter": "none", "endpoint": None}
    assert config.server.model_dump() == {
        "workers": 1,
        "max_buffered": None,
        "host": "127.0.0.1",
        "port": 4000,
        "keys": (),
        "sigv4": (),
        "max_body": 64 * 2**20,
        "max_in_flight": 256,
        "cors_origins": (),
        "page": True,
        "hosts": (),
        "public_url": None,
        "links": {"ttl": 3600.0, "s3": None},
        "link_ttl": None,
        "spend_file": None,
        "log": "text",
        "audit": None,
    }
    assert config == parse(CORE + "credentials:\naliases:\nretry:\nhealth:\ncache:\npricing:\nlifecycle: {}\nserver:")


def test_the_example_of_the_documentation_loads() -> None:
    """All sections together, with the shorthands that the documentation shows."""
    config = Config.parse(
        """
credentials:
  prod:  {role_arn: "arn:aws:iam::111122223333:role/images", external_id: "${EXTERNAL_ID}"}
  key:   {bearer_token: "${BEDROCK_API_KEY}"}
deployments:
  core:      {model: "stability.stable-image-core-v1:1", region: us-west-2, credentials: prod, limits: {rpm: 90}}
  ultra:     {model: "stability.stable-image-ultra-v1:1", region: us-west-2, credentials: key}
  inpaint:   {model: "us.stability.stable-image-inpaint-v1:0", regions: [us-east-1, us-east-2, us-west-2]}
  team-a:    {model: "amazon.nova-canvas-v1:0", region: eu-west-1,
              inference_profile: "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0"}
aliases:
  hero:      {deployments: [{use: ultra, weight: 3}, {use: core, priority: 1}], strategy: least_request, fallbacks: [draft]}
  draft:     core
  "*":       {match: "bedrock/*"}
retry:     {attempts: 3, budget: 0.2, attempt_timeout: 300s, deadline: 600s}
health:    {failures: 5, cooldown: 30s, max_cooldown: 300s, panic_threshold: 0.5}
cache:     {backend: memory, max_bytes: 256MiB, ttl: 1h}
pricing:   {table: "2026-11-22", overrides: []}
lifecycle: {retired: last_resort}
telemetry: {exporter: none}
server:    {host: 127.0.0.1, port: 4000, keys: [{name: team, key: "${TEAM_KEY}"}]}
""",
        "router.yaml",
        env={"EXTERNAL_ID": "x-1", "BEDROCK_API_KEY": "bedrock-key", "TEAM_KEY": "lsk-one"},
    )
    assert list(config.deployments) == [
        "core",
        "ultra",
        "inpaint-us-east-1",
        "inpaint-us-east-2",
        "inpaint-us-west-2",
        "team-a",
    ]
    assert uses(config, "hero") == [("ultra", 3.0, 0), ("core", 1.0, 1)]
    assert config.aliases["hero"].strategy == "least_request"
    assert config.aliases["hero"].fallbacks == ("draft",)
    assert config.deployments["core"].limits.rpm == 90
    assert config.source == "router.yaml"


def test_regions_make_one_deployment_each() -> None:
    """`regions` is a shorthand: every region has its own name, health and limits."""
    config = parse("deployments: {i: {model: us.stability.stable-outpaint-v1:0, regions: [us-east-1, us-west-2]}}")
    assert [(d.name, d.group, d.region) for d in config.deployments.values()] == [
        ("i-us-east-1", "i", "us-east-1"),
        ("i-us-west-2", "i", "us-west-2"),
    ]


def test_a_deployment_knows_where_it_is_written() -> None:
    """For what only a router can find out about it: the file's line and column, or the variable."""
    text = 'deployments:\n  a: {model: "stability.stable-image-core-v1:1", regions: [us-west-2, us-east-1]}\n'
    found = Config.parse(text, "c.yaml", env={"LASCAUX_DEPLOYMENTS__B__MODEL": "amazon.nova-canvas-v1:0"}).deployments
    assert {name: entry.place for name, entry in found.items()} == {
        "a-us-west-2": "c.yaml:2:3",
        "a-us-east-1": "c.yaml:2:3",
        "b": "environment variable LASCAUX_DEPLOYMENTS__B__MODEL",
    }
    assert Config.from_mapping({"deployments": {"a": {"model": "x.y-v1:0"}}}, env={}).deployments["a"].place is None


def test_an_alias_takes_a_group_of_regions_with_its_weight_and_priority() -> None:
    """What is said about the group holds for each of its regions."""
    text = """
deployments:
  i: {model: "us.stability.stable-outpaint-v1:0", regions: [us-east-1, us-west-2]}
  core: {model: "stability.stable-image-core-v1:1", region: us-west-2}
aliases:
  all: {deployments: [{use: i, weight: 2.5, priority: 1}, core]}
  one: i-us-west-2
  second: all
"""
    config = parse(text)
    assert uses(config, "all") == [("i-us-east-1", 2.5, 1), ("i-us-west-2", 2.5, 1), ("core", 1.0, 0)]
    assert uses(config, "one") == [("i-us-west-2", 1.0, 0)]
    assert uses(config, "second") == uses(config, "all")
    assert config.aliases["second"].name == "second"


def test_clients_may_send_the_name_of_a_deployment_or_of_its_group() -> None:
    """Unless an alias has that name."""
    text = """
deployments:
  i: {model: "us.stability.stable-outpaint-v1:0", regions: [us-east-1, us-west-2]}
  core: {model: "stability.stable-image-core-v1:1", region: us-west-2}
  ultra: {model: "stability.stable-image-ultra-v1:1", region: us-west-2}
aliases: {core: ultra}
"""
    config = parse(text)
    assert uses(config, "i") == [("i-us-east-1", 1.0, 0), ("i-us-west-2", 1.0, 0)]
    assert uses(config, "i-us-east-1") == [("i-us-east-1", 1.0, 0)]
    assert uses(config, "ultra") == [("ultra", 1.0, 0)]
    assert uses(config, "core") == [("ultra", 1.0, 0)]
    assert config.alias("nobody") is None


def test_a_pass_through_takes_the_model_from_the_name() -> None:
    """What the star stands for is the model id; the longest pattern that fits wins."""
    text = """
aliases:
  "*": {match: "bedrock/*", region: us-west-2, endpoint_url: "http://127.0.0.1:4001/", credentials: demo, verify: false}
  west: {match: "bedrock/west/*-now"}
credentials: {demo: {profile: demo}}
"""
    config = parse(text)
    alias = config.alias("bedrock/amazon.nova-canvas-v1:0")
    assert alias is not None
    assert alias.name == "*"
    deployment = alias.deployment_for("bedrock/amazon.nova-canvas-v1:0")
    assert deployment is not None
    assert (deployment.name, deployment.model) == ("bedrock/amazon.nova-canvas-v1:0", "amazon.nova-canvas-v1:0")
    assert (deployment.region, deployment.credentials, deployment.verify) == ("us-west-2", "demo", False)
    assert deployment.endpoint_url == "http://127.0.0.1:4001"
    assert config.aliases["west"].model_of("bedrock/west/x-now") == "x"
    west = config.alias("bedrock/west/x-now")
    assert west is not None
    assert west.name == "west"
    assert west.deployment_for("bedrock/west/then") is None
    assert config.alias("bedrock/") is None
    assert config.alias("*") is None
    assert config.alias("other/model") is None


def test_an_alias_may_have_its_own_retry_values() -> None:
    """Those it does not name are the general ones."""
    text = (
        CORE + "retry: {attempts: 5, backoff: 1s}\naliases: {a: {deployments: [core], retry: {deadline: 1m}}, b: core}"
    )
    config = parse(text)
    own = config.aliases["a"].retry
    assert own is not None
    assert (own.attempts, own.backoff, own.deadline) == (5, 1.0, 60.0)
    assert config.aliases["b"].retry is None


def test_the_strategies_are_those_of_the_router() -> None:
    """The schema offers what exists, and only that."""
    schema = Config.json_schema()["$defs"]["AliasEntry"]["anyOf"][1]["properties"]["strategy"]
    assert set(schema["anyOf"][0]["enum"]) == set(STRATEGIES)


def test_what_was_read_can_not_be_changed() -> None:
    """A configuration is shared by threads."""
    config = parse(CORE + "aliases: {a: core}")
    for part, field in (
        (config, "cache"),
        (config.cache, "ttl"),
        (config.deployments["core"], "region"),
        (config.aliases["a"], "uses"),
    ):
        with pytest.raises((AttributeError, ValueError)):
            setattr(part, field, None)


def test_overrides_of_prices_are_exact() -> None:
    """Four cents are four cents."""
    config = parse(
        CORE + "pricing: {table: 2026-11-22, overrides: [{model: m, usd_per_image: 0.04, quality: premium}]}"
    )
    assert config.pricing.table == "2026-11-22"
    assert config.pricing.overrides == ({"model": "m", "usd_per_image": Decimal("0.04"), "quality": "premium"},)


def test_values_follow_yaml_1_2() -> None:
    """No Norway: only true and false are flags, and what looks like a date or a clock is text."""
    data = parse_document(
        "{no: yes, on: off, 012: 012, a: 1:30, b: 2026-11-22, c: 1_000, d: 1e3, e: ~, f: -7, g: true}"
    ).data
    assert data == {
        "no": "yes",
        "on": "off",
        "012": "012",
        "a": "1:30",
        "b": "2026-11-22",
        "c": "1_000",
        "d": 1000.0,
        "e": None,
        "f": -7,
        "g": True,
    }


def test_numbers_too_long_for_a_number_stay_text() -> None:
    """An id of 30 digits is not rounded, and one of 100 000 digits does no harm."""
    data = parse_document(f"a: {'9' * 30}\nb: {'9' * 100_000}").data
    assert data == {"a": "9" * 30, "b": "9" * 100_000}


def test_anchors_and_merge_keys_work() -> None:
    """Common settings are written once; what stands beside the merge wins."""
    text = """
deployments:
  core: &west {model: "stability.stable-image-core-v1:1", region: us-west-2, limits: {rpm: 9}}
  ultra: {<<: *west, model: "stability.stable-image-ultra-v1:1"}
  both: {<<: [*west, {use_fips: true}], region: us-east-1}
"""
    config = parse(text)
    ultra, both = config.deployments["ultra"], config.deployments["both"]
    assert (ultra.model, ultra.region, ultra.limits.rpm) == ("stability.stable-image-ultra-v1:1", "us-west-2", 9)
    assert (both.model, both.region, both.use_fips) == ("stability.stable-image-core-v1:1", "us-east-1", True)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """Some editors write one."""
    path = tmp_path / "c.yaml"
    path.write_text("\ufeff" + CORE, "utf-8")
    assert list(Config.load(path, env={}, dotenv=False).deployments) == ["core"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "one"),
        ("x-${A}-${B}-y", "x-one--y"),
        ("${B:-two}", "two"),
        ("${C:-two}", "two"),
        ("${C:-}x", "x"),
        ("${A:-two}", "one"),
        ("$${A}", "${A}"),
        ("$A ${A}", "$A one"),
        ("os.environ/A", "one"),
        ("see os.environ/A", "see os.environ/A"),
        ("${D}", "{a: b}\n- c"),
    ],
)
def test_variables_are_put_into_text_only(written: str, value: str) -> None:
    """A variable can not become structure, whatever it holds."""
    config = Config.from_mapping(
        {
            "deployments": {"core": {"model": "stability.stable-image-core-v1:1"}},
            "pricing": {"overrides": [{"model": written, "usd_per_image": 1}]},
        },
        env={"A": "one", "B": "", "D": "{a: b}\n- c"},
    )
    assert config.pricing.overrides[0]["model"] == value


def test_variables_can_hold_numbers_and_flags() -> None:
    """Text that reads like the value that is wanted is that value."""
    text = (
        CORE.replace("}}", ', use_fips: "${F}", limits: {rpm: "${N}"}}}') + 'retry: {budget: "${B}", deadline: "${D}"}'
    )
    config = parse(text, F="True", N="60", B="0.5", D="90")
    assert config.deployments["core"].use_fips is True
    assert config.deployments["core"].limits.rpm == 60
    assert (config.retry.budget, config.retry.deadline) == (0.5, 90.0)


def test_the_environment_lies_on_top_of_the_file() -> None:
    """Two underscores go one level down; lists and mappings are JSON; everything else is text."""
    text = CORE + "aliases: {touch-up: core}\ncache: {ttl: 1h, max_bytes: 1MiB}\ncredentials: {Prod: {profile: p}}"
    config = parse(
        text,
        LASCAUX_CACHE__TTL="5m",
        LASCAUX_RETRY='{"attempts": 7}',
        LASCAUX_ALIASES__TOUCH_UP__STRATEGY="round_robin",
        LASCAUX_ALIASES__NEW="core",
        LASCAUX_ALIASES__LIST='{"deployments": ["core"], "strict": true}',
        LASCAUX_DEPLOYMENTS__CORE__LIMITS__RPM="12",
        LASCAUX_CREDENTIALS__PROD__PROFILE="1e5",
        LASCAUX_SERVER__KEYS='[{"name": "one", "key": "lsk-one"}, {"name": "two", "key": "lsk-two"}]',
        LASCAUX_CONFIG="elsewhere.yaml",
        lascaux_health__failures="9",
    )
    assert (config.cache.ttl, config.cache.max_bytes) == (300.0, 2**20)
    assert config.retry.attempts == 7
    assert config.health.failures == 9
    assert config.aliases["touch-up"].strategy == "round_robin"
    assert uses(config, "touch-up") == uses(config, "new") == uses(config, "list") == [("core", 1.0, 0)]
    assert config.aliases["list"].strict
    assert config.deployments["core"].limits.rpm == 12
    assert config.credentials["Prod"].profile == "1e5"
    assert [key.key.get_secret_value() for key in config.server.keys if key.key] == ["lsk-one", "lsk-two"]


def test_what_the_environment_sets_needs_no_variable_of_the_file() -> None:
    """A reference that is overruled is not missed."""
    text = CORE + 'cache: {ttl: "${TTL}"}'
    assert parse(text, LASCAUX_CACHE__TTL="5m").cache.ttl == 300.0


def test_a_name_that_the_file_refers_to_is_no_setting() -> None:
    """One may call one's own variables LASCAUX_SOMETHING."""
    assert parse(CORE + 'cache: {ttl: "${LASCAUX_MY_TTL}"}', LASCAUX_MY_TTL="5m").cache.ttl == 300.0


def test_dotenv_and_secrets_lie_below_the_environment(tmp_path: Path) -> None:
    """Both feed references as well as settings; nothing else in them matters."""
    (tmp_path / "c.yaml").write_text(
        CORE + 'credentials: {k: {bearer_token: "${KEY}"}, s: {bearer_token: "${FILE_KEY}"}}'
    )
    (tmp_path / "env").write_text(
        "KEY='from dotenv'\nLASCAUX_CACHE__TTL=5m\nLASCAUX_RETRY__ATTEMPTS=4\nOTHER=1\n".replace(" ", "_")
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "FILE_KEY").write_text("from-file\n")
    (secrets / "KEY").write_text("never")
    (secrets / "lascaux_health__failures").write_text("8")
    (secrets / ".hidden").write_text("LASCAUX")
    env = {"LASCAUX_RETRY__ATTEMPTS": "6", "LASCAUX_SECRETS_DIR": str(secrets)}
    config = Config.load(tmp_path / "c.yaml", env=env, dotenv=tmp_path / "env")
    assert config.credentials_for("k").bearer_token == Secret("from_dotenv")
    assert config.credentials_for("s").bearer_token == Secret("from-file")
    assert (config.cache.ttl, config.retry.attempts, config.health.failures) == (300.0, 6, 8)


def test_dotenv_of_the_current_folder_is_read_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everybody expects; and it can be switched off."""
    (tmp_path / "c.yaml").write_text(CORE)
    monkeypatch.chdir(tmp_path)
    assert Config.load("c.yaml", env={}).cache.ttl == 3600.0
    (tmp_path / ".env").write_text("LASCAUX_CACHE__TTL=5m")
    assert Config.load("c.yaml", env={}).cache.ttl == 300.0
    assert Config.load("c.yaml", env={}, dotenv=False).cache.ttl == 3600.0


def test_the_process_environment_is_used_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """All loaders read it, not only that for files."""
    monkeypatch.setenv("LASCAUX_CACHE__TTL", "7m")
    assert Config.parse(CORE).cache.ttl == 420.0
    assert Config.from_mapping({"deployments": {"c": {"model": "amazon.nova-canvas-v1:0"}}}).cache.ttl == 420.0


def test_credentials_become_what_the_provider_wants() -> None:
    """Every field arrives, sources included, and secrets are sealed."""
    text = """
credentials:
  base: {access_key_id: AKIAEXAMPLE, secret_access_key: s1, session_token: s2}
  prod: {role_arn: "arn:aws:iam::111122223333:role/images", source: base, external_id: 12345, session_name: lascaux,
         session_tags: {team: studio}, duration: 2h, sts_endpoint: "https://sts.us-west-2.amazonaws.com/"}
  web: {role_arn: "arn:aws:iam::111122223333:role/web", web_identity_token_file: /var/run/token}
  key: {bearer_token: s3}
deployments:
  core: {model: "stability.stable-image-core-v1:1", credentials: prod}
"""
    config = parse(text)
    base = Credentials(
        name="base", access_key_id="AKIAEXAMPLE", secret_access_key=Secret("s1"), session_token=Secret("s2")
    )
    assert config.credentials_for("base") == base
    assert config.credentials_for("prod") == Credentials(
        name="prod",
        role_arn="arn:aws:iam::111122223333:role/images",
        source=base,
        external_id=Secret("12345"),
        session_name="lascaux",
        session_tags=(("team", "studio"),),
        duration=7200,
        sts_endpoint="https://sts.us-west-2.amazonaws.com",
    )
    assert config.credentials_for("web").web_identity_token_file == "/var/run/token"
    assert config.credentials_for("key").bearer_token == Secret("s3")
    assert config.credentials_for(None) == Credentials()


def test_odd_things_that_work_are_warnings() -> None:
    """They are told, and they do not stop anybody."""
    text = (
        CORE.replace("}}", ", verify: false}}")
        + "credentials: {spare: {profile: x}}\ntelemetry: {endpoint: 'http://localhost:4318'}\nretry: {attempt_timeout: 2h}"
    )
    assert [(w.code, w.parameter, w.message) for w in parse(text).warnings] == [
        ("config", "credentials.spare", "is used by no deployment"),
        ("config", "deployments.core.verify", "TLS certificates are not checked"),
        ("config", "retry.attempt_timeout", "is longer than the deadline, which ends the call first"),
        ("config", "telemetry.endpoint", "is used by the exporter otlp only"),
    ]


def test_a_translator_keeps_the_places_of_the_original() -> None:
    """A file in another dialect is complained about in its own words and lines."""
    document = parse_document("model_list:\n  - name: core\n    params: {model: 'no model', weight: 3}\n", "other.yaml")
    params = document.data["model_list"][0]["params"]
    reshaped = document.reshaped(
        {"deployments": {"core": {"model": params["model"]}}, "aliases": {"a": {"deployments": [{"use": "cor"}]}}},
        {
            ("deployments", "core"): ("model_list", 0, "params"),
            ("aliases", "a"): ("model_list", 0),
        },
    )
    assert document.locate(("model_list", 0, "params", "weight")) == (3, 41)
    assert document.locate(("model_list", 0, "params", "weight"), key=True) == (3, 33)
    assert document.locate(("model_list", 0, "params", "nothing")) == (3, 5)
    with pytest.raises(ConfigError) as caught:
        Config.from_document(reshaped, env={})
    assert caught.value.problems[0].startswith("other.yaml:2:5: model_list[0].deployments[0].use: must be the name")
    assert caught.value.problems[1].startswith("other.yaml:3:21: model_list[0].params.model: must be a model id")


def test_certificates_are_checked_with_the_file_that_is_named() -> None:
    """A path stays a path; the words for flags are flags, also in variables."""
    for written, value in (("ca.pem", "ca.pem"), ("true", True), ('"${OFF}"', False)):
        config = parse(CORE.replace("}}", f", verify: {written}}}}}"), OFF="False")
        assert config.deployments["core"].verify == value


def test_plain_data_is_taken_with_tuples_and_numbers_as_names() -> None:
    """Programs build configurations, too."""
    config = Config.from_mapping(
        {
            "deployments": {1: {"model": "amazon.nova-canvas-v1:0", "region": "us-east-1"}},
            "aliases": {"a": {"deployments": ("1",)}},
            "credentials": {"key": {"bearer_token": SecretStr("sealed")}},
        },
        env={},
    )
    assert config.aliases["a"].uses == (Use(deployment="1"),)
    assert config.credentials_for("key").bearer_token == Secret("sealed")
    assert config.source is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("1.5h", 5400.0),
        ("7", 7.0),
        (0, 0.0),
        (2.5, 2.5),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    """Units as people write them; a plain number is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "5 s", "-1s", "1h30m", "5M", "1e3", "٣s", "5parsecs", -1, True, None, float("inf"), "367d", "9" * 99],
)
def test_what_is_no_duration(text: object) -> None:
    """Nothing is guessed."""
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256MiB", 2**28),
        ("512KiB", 2**19),
        ("1GB", 10**9),
        ("3kB", None),
        ("3KB", 3000),
        ("1.5GiB", 3 * 2**29),
        ("9B", 9),
        (123, 123),
        ("2TiB", 2**41),
        ("1 MB", None),
        ("-1B", None),
        ([], None),
    ],
)
def test_sizes(text: object, size: int | None) -> None:
    """KiB is 1024 bytes, KB is 1000."""
    assert parse_size(text) == size
