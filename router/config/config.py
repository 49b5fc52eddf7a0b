"""The configuration of a router: read from YAML, the environment on top, checked as a whole, then frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...providers.types import Credentials, Warning
from .aliases import resolve_aliases
from .collector import uncollected
from .dialects import in_our_words
from .document import Document
from .entries import AliasConfig, DeploymentConfig, Use
from .identity import CredentialsConfig
from .keys import check_keys
from .origin import Origin
from .overlay import merge, read_overlay
from .prices import check_prices
from .report import Report, validate
from .resolve import check_credentials, check_sections, findings, resolve_deployments
from .schema import (
    CacheConfig,
    HealthConfig,
    LifecycleConfig,
    PricingConfig,
    RetryConfig,
    RoutingConfig,
    TelemetryConfig,
    json_schema,
)
from .server import ServerConfig
from .variables import Variables, gather, substitute
from .yamlfile import parse_document, read_document

__all__ = ["Config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a router is built from. Names are looked up, regions spelt out; nothing in it refers to a file any more.

    All loaders lay ``LASCAUX_*`` variables over what they read, put ``${NAME}`` in place, and raise one ConfigError with
    every finding: file, line, column, key, what would be allowed. ``env`` stands in for the process's environment.
    """

    credentials: Mapping[str, CredentialsConfig] = field(default_factory=dict)
    deployments: Mapping[str, DeploymentConfig] = field(default_factory=dict)
    aliases: Mapping[str, AliasConfig] = field(default_factory=dict)
    retry: RetryConfig = field(default_factory=RetryConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    pricing: PricingConfig = field(default_factory=PricingConfig)
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    lifecycle: LifecycleConfig = field(default_factory=LifecycleConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    warnings: tuple[Warning, ...] = ()
    source: str | None = None
    """The file it came from, for messages."""
    origin: Origin | None = field(default=None, repr=False, compare=False)
    """What it can be read from again; None if it did not come from a file."""
    _groups: Mapping[str, list[str]] = field(init=False, repr=False, compare=False)
    """The deployments of each group that has another name than they."""

    def __post_init__(self) -> None:
        groups: dict[str, list[str]] = {}
        for entry in self.deployments.values():
            if entry.group != entry.name:
                groups.setdefault(entry.group, []).append(entry.name)
        object.__setattr__(self, "_groups", groups)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        env: Mapping[str, str] | None = None,
        dotenv: str | os.PathLike[str] | bool = True,
        secrets_dir: str | os.PathLike[str] | None = None,
    ) -> Config:
        """Read a YAML file.

        ``dotenv`` is a path, or True for ``.env`` in the current folder if there is one. ``secrets_dir`` (else
        LASCAUX_SECRETS_DIR) is a folder with one file for each variable. The environment wins over both.
        """
        return cls.from_origin(Origin.of(path, env=env, dotenv=dotenv, secrets_dir=secrets_dir))

    @classmethod
    @uncollected()
    def from_origin(cls, origin: Origin) -> Config:
        """Read a file, perhaps once more."""
        document = read_document(origin.file)
        return cls._judged(
            document, gather(origin.env, dotenv=origin.variables, secrets_dir=origin.secrets), origin=origin
        )

    @classmethod
    def parse(cls, text: str, filename: str = "<config>", *, env: Mapping[str, str] | None = None) -> Config:
        """Read YAML from a string."""
        return cls.from_document(parse_document(text, filename), env=env)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, env: Mapping[str, str] | None = None) -> Config:
        """Take the sections as plain data, with the shorthands of the file."""
        return cls.from_document(Document(data=mapping), env=env)

    @classmethod
    def from_document(
        cls,
        document: Document,
        *,
        env: Mapping[str, str] | None = None,
        dotenv: str | os.PathLike[str] | bool = False,
        secrets_dir: str | os.PathLike[str] | None = None,
    ) -> Config:
        """Take what `read_document` read, in our words or in LiteLLM's; messages point into the original file."""
        return cls._judged(document, gather(env, dotenv=dotenv, secrets_dir=secrets_dir))

    @classmethod
    def _judged(cls, document: Document, variables: Variables, *, origin: Origin | None = None) -> Config:
        document, said = in_our_words(document)
        report = _lay_out(document, variables)
        file = validate(report)
        check_credentials(file.credentials, report)
        deployments = resolve_deployments(file, report)
        aliases = resolve_aliases(file, deployments, report)
        check_sections(file, report)
        check_keys(file.server, aliases, deployments, report)
        check_prices(file.pricing, report)
        report.check()
        return cls(
            credentials=file.credentials,
            deployments=deployments,
            aliases=aliases,
            retry=file.retry,
            health=file.health,
            cache=file.cache,
            pricing=file.pricing,
            routing=file.routing,
            lifecycle=file.lifecycle,
            telemetry=file.telemetry,
            server=file.server,
            warnings=(*said, *findings(file)),
            source=document.filename,
            origin=origin,
        )

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """JSON Schema (2020-12) of the file, with every shorthand."""
        return json_schema()

    def alias(self, name: str) -> AliasConfig | None:
        """What a client's ``name`` stands for: an alias, else a deployment (all regions of it), else a pass-through.

        None if nothing fits. A pass-through is returned as it is; see `AliasConfig.deployment_for`.
        """
        if name in self.aliases and not self.aliases[name].match:
            return self.aliases[name]
        members = [name] if name in self.deployments else self._groups.get(name)
        if members:
            return AliasConfig(name=name, uses=tuple(Use(deployment=member) for member in members))
        fitting = [alias for alias in self.aliases.values() if alias.model_of(name) is not None]
        return max(fitting, key=lambda alias: len(alias.match or ""), default=None)

    def credentials_for(self, name: str | None) -> Credentials:
        """The credentials of that name, ready for the provider; boto3's default chain for None."""
        if name is None:
            return Credentials()
        return self.credentials[name].to_credentials(name, self.credentials)


def _lay_out(document: Document, variables: Variables) -> Report:
    """References replaced, the environment laid over: the data to be judged, in a fresh report."""
    substituted = substitute(document.data, variables)
    referred = {name for names in substituted.references.values() for name in names}
    overlay = read_overlay(variables, substituted.data, referred=referred)
    references = {path: names for path, names in substituted.references.items() if not overlay.holds(path)}
    report = Report(document, merge(substituted.data, overlay.values), overlay, references)
    for path, message in substituted.problems:
        if not overlay.holds(path):
            report.settle(path, message)
    return report
