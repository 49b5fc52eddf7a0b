"""The configuration as people write it: every section, every shorthand. Not yet resolved; see `resolve`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from .identity import CredentialsConfig
from .scalars import (
    Backend,
    Bytes,
    Duration,
    ErrorCode,
    Exporter,
    Extra,
    Flag,
    ModelId,
    Names,
    Pattern,
    Positive,
    Priority,
    Profile,
    Region,
    Retired,
    Seed,
    Share,
    StrategyName,
    Text,
    Trust,
    Url,
    Wait,
    Weight,
    Whole,
)
from .section import Section, spelt
from .server import ServerConfig

__all__ = [
    "AliasEntry",
    "CacheConfig",
    "ConfigFile",
    "DeploymentEntry",
    "HealthConfig",
    "LifecycleConfig",
    "Limits",
    "PricingConfig",
    "RetryConfig",
    "RoutingConfig",
    "TelemetryConfig",
    "UseEntry",
    "json_schema",
]


class Limits(Section):
    """What a deployment may be asked for. Above it, other deployments are picked, or requests stand in line."""

    rpm: Whole | None = None
    """Requests in any 60 seconds. Undeclared, it is learned from what is throttled."""
    concurrency: Whole | None = None
    """Requests at the same time."""


class Place(Section):
    """Where calls go and who pays for them."""

    region: Region | None = None
    """AWS region. Without it: the ARN's, else the profile's, else AWS_REGION's. There is no default region."""
    credentials: Text | None = None
    """Name of an entry under 'credentials'. Without it, boto3's default chain."""
    endpoint_url: Url | None = None
    """Another endpoint than the region's own: a VPC endpoint, or the emulator."""
    use_fips: Flag = False
    """Use the region's FIPS endpoint."""
    use_dualstack: Flag = False
    """Use the region's dual-stack (IPv4 and IPv6) endpoint."""
    verify: Trust = True
    """Check TLS certificates: true, false, or the path of a file with CA certificates."""


class DeploymentEntry(Place):
    """One place that can serve a model, or the same in several regions."""

    model: ModelId
    """Model id as Bedrock spells it, a system profile id (us.…), or an ARN."""
    regions: tuple[Region, ...] | None = Field(default=None, min_length=1)
    """Instead of 'region': one deployment for each, named after it, such as inpaint-us-east-1."""
    inference_profile: Profile | None = None
    """Inference profile that is called instead of the model: its ARN or id."""
    base_model: ModelId | None = None
    """Model behind an ARN that does not tell (application profile, provisioned or custom model)."""
    limits: Limits = Limits()
    """What this deployment may be asked for; with 'regions', each of them."""


class UseEntry(Section):
    """One deployment of an alias."""

    use: Text
    """Name of a deployment; with 'regions', all of them, or one as in inpaint-us-east-1."""
    weight: Weight = 1
    """Share of the calls among deployments of the same priority."""
    priority: Priority = 0
    """0 first. The next number is asked when nobody before it can be."""

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_text(
            super().__get_pydantic_json_schema__(core, handler), "Name of a deployment, with weight 1 and priority 0."
        )


class RetryConfig(Section):
    """How long and how often to try again."""

    attempts: Positive = 3
    """Calls per alias at the most, the first included."""
    on: dict[ErrorCode, Extra] = Field(default_factory=dict)
    """By error, the calls that may follow it in the same alias, such as {attempt_timeout: 0}; 'attempts' still holds."""
    budget: Share = 0.2
    """Share of the traffic that may be retries and fallbacks."""
    billed_budget: Share = 0.05
    """Share of the traffic that may be calls after one that may have been billed. Each takes from 'budget', too."""
    max_wait: Wait | None = None
    """Longest time to stand in line when all are at their limits. Default: as long as the deadline allows."""
    attempt_timeout: Duration = spelt("300s")
    """Time for one call."""
    deadline: Duration = spelt("600s")
    """Time for the whole request: all calls and all waiting."""
    backoff: Wait = spelt("0.5s")
    """Wait before the same deployment is asked again; doubles each time, with full jitter."""
    max_backoff: Wait = spelt("20s")
    """Longest such wait."""


class AliasEntry(Place):
    """What a client may send as 'model': a group of interchangeable deployments, or model ids passed through."""

    deployments: tuple[UseEntry, ...] | None = Field(default=None, min_length=1)
    """Deployments that may serve it."""
    strategy: StrategyName = "weighted_random"
    """How one of them is picked."""
    fallbacks: tuple[Text, ...] = ()
    """Aliases or deployments to go to when none of these can serve the request."""
    background_remover: Text | None = None
    """Alias or deployment that removes the background where a transparent one is asked for: a second call, at extra cost."""
    strict: Flag = False
    """Refuse what a model can not do exactly, instead of adapting it with a warning."""
    retry: RetryConfig | None = None
    """Other values than the general 'retry', for this alias."""
    match: Pattern | None = None
    """Instead of 'deployments': pass model ids through, such as "bedrock/*"; what * stands for is the model id."""

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"deployments": [value]} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_text(
            super().__get_pydantic_json_schema__(core, handler),
            "Name of the only deployment, or of the alias that this is a second name for.",
        )


class HealthConfig(Section):
    """The circuit breaker of each deployment."""

    failures: Positive = 5
    """Failures that open it: so many in a row, or within half a minute if they are half of the calls."""
    cooldown: Duration = spelt("30s")
    """How long it stays open the first time; doubles while probes fail."""
    max_cooldown: Duration = spelt("300s")
    """Longest time it stays open."""
    slow_start: Wait = spelt("30s")
    """Time in which a deployment that has recovered gets back its share of the traffic; 0 at once."""
    panic_threshold: Share = 0.5
    """If fewer than this share of the candidates are left, the least bad is asked all the same."""


class CacheConfig(Section):
    """Results of reproducible calls (an explicit seed, or a fixed default one), kept for the next who asks the same."""

    backend: Backend = "memory"
    """Where results are kept: memory (of this process) or none."""
    max_bytes: Bytes = spelt("256MiB")
    """Most that is kept; the least recently used go first."""
    ttl: Duration = spelt("1h")
    """How long a result is kept."""


class PricingConfig(Section):
    """What images cost."""

    table: Text | None = None
    """Version of the price table, such as "2026-11-22". Default: the newest that is installed."""
    overrides: tuple[dict[str, Any], ...] = ()
    """Your own prices. Each has 'model' and 'usd_per_image', and what it depends on; the first that fits counts."""

    @field_validator("overrides", mode="after")
    @classmethod
    def _exact(cls, overrides: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        # A float means the figure that was written: 0.04 is four cents, not 0.040000000000000000832.
        return tuple(
            {key: Decimal(str(value)) if isinstance(value, float) else value for key, value in override.items()}
            for override in overrides
        )


class RoutingConfig(Section):
    """How deployments are picked, for all aliases."""

    seed: Seed | None = None
    """Makes every draw repeatable: the same requests in the same order are sent the same ways. Default: none."""


class LifecycleConfig(Section):
    """Models that AWS has retired."""

    retired: Retired = "last_resort"
    """last_resort: asked only when nobody else is left; refuse: never; allow: like any other."""


class TelemetryConfig(Section):
    """Where spans and metrics go when Lascaux runs as a program. As a library it uses what the program around it set up."""

    exporter: Exporter = "none"
    """none, console, or otlp (OTLP over HTTP)."""
    endpoint: Url | None = None
    """OTLP endpoint such as http://localhost:4318."""


class ConfigFile(Section):
    """The whole file."""

    credentials: dict[Names, CredentialsConfig] = Field(default_factory=dict)
    """Ways to prove who calls, by name. Without any, boto3's default chain."""
    deployments: dict[Names, DeploymentEntry] = Field(default_factory=dict)
    """Places that can serve a model, by name."""
    aliases: dict[Names, AliasEntry] = Field(default_factory=dict)
    """What clients send as 'model'. A deployment's name can be sent, too, unless an alias has it."""
    retry: RetryConfig = RetryConfig()
    """How long and how often to try again."""
    health: HealthConfig = HealthConfig()
    """When a deployment is left alone, and for how long."""
    cache: CacheConfig = CacheConfig()
    """Identical requests cost once."""
    pricing: PricingConfig = PricingConfig()
    """What images cost."""
    routing: RoutingConfig = RoutingConfig()
    """How deployments are picked."""
    lifecycle: LifecycleConfig = LifecycleConfig()
    """Models that AWS has retired."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """Spans and metrics."""
    server: ServerConfig = ServerConfig()
    """The HTTP gateway."""

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, value: Any) -> Any:
        # A section whose entries are all commented out reads as null.
        if not isinstance(value, dict):
            return value
        return {key: inner for key, inner in value.items() if inner is not None or key not in cls.model_fields}


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file, for editors and other checkers. Holds no example of a secret."""
    schema = ConfigFile.model_json_schema()
    for name, section in schema["properties"].items():
        section.pop("default", None)
        section.pop("title", None)
        # Every section may be empty.
        description = section.pop("description")
        schema["properties"][name] = {"anyOf": [section, {"type": "null"}], "description": description}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Lascaux configuration",
        "description": "Which models answer to which names, where they run, who pays, and what happens when one fails.",
    }


def _or_text(schema: JsonSchemaValue, description: str) -> JsonSchemaValue:
    return {"anyOf": [{"type": "string", "minLength": 1, "description": description}, schema]}
