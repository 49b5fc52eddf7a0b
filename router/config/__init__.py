"""The YAML file: read within bounds, judged as a whole, frozen.

Owns everything between a file (or LiteLLM's) and a `Config`; every complaint names file, line, column, key, what would be
allowed and the nearest spelling. Must not know what a deployment does.
"""

from __future__ import annotations

from .collector import uncollected
from .config import Config
from .document import Document
from .entries import AliasConfig, DeploymentConfig, Use
from .identity import CredentialsConfig
from .origin import Origin
from .schema import (
    CacheConfig,
    HealthConfig,
    LifecycleConfig,
    Limits,
    PricingConfig,
    RetryConfig,
    RoutingConfig,
    TelemetryConfig,
)
from .server import KeyConfig, ServerConfig
from .yamlfile import parse_document, read_document

__all__ = [
    "AliasConfig",
    "CacheConfig",
    "Config",
    "CredentialsConfig",
    "DeploymentConfig",
    "Document",
    "HealthConfig",
    "KeyConfig",
    "LifecycleConfig",
    "Limits",
    "Origin",
    "PricingConfig",
    "RetryConfig",
    "RoutingConfig",
    "ServerConfig",
    "TelemetryConfig",
    "Use",
    "parse_document",
    "read_document",
    "uncollected",
]
