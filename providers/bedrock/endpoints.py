"""Where a call goes: the URL of bedrock-runtime for a target. The settings that boto3 honours are honoured here too.

Order: the deployment's ``endpoint_url``; AWS_ENDPOINT_URL_BEDROCK_RUNTIME; AWS_BEDROCK_RUNTIME_ENDPOINT (LiteLLM's);
AWS_ENDPOINT_URL; the profile's settings; botocore's rules for region, FIPS and dual-stack. The settings in the middle are
skipped under AWS_IGNORE_CONFIGURED_ENDPOINT_URLS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ..errors import ModelUnavailable
from ..types import Target
from .ids import partition_of

__all__ = ["Endpoint", "ca_bundle", "endpoint_for", "is_loopback", "parse_endpoint"]

URL_VARIABLES = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL")
URL_SETTINGS = ("bedrock_runtime.endpoint_url", "endpoint_url")
_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A base URL, taken apart. ``path`` is empty or a prefix that starts with a slash."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """What goes into the Host header: the port only if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL as text."""
        return f"{self.scheme}://{self.authority}{self.path}"


def endpoint_for(target: Target, *, env: Mapping[str, str], settings: Mapping[str, str]) -> Endpoint:
    """The endpoint of ``target``; ``settings`` are those of the profile in use. Raises ModelUnavailable."""
    if not _REGION.fullmatch(target.region):
        raise ModelUnavailable(f"region {target.region[:40]!r} is not an AWS region", code="endpoint")
    url = target.endpoint_url or _configured(env, settings)
    if url:
        if target.use_fips or target.use_dualstack:
            raise ModelUnavailable("use_fips and use_dualstack can not be used with an endpoint URL", code="endpoint")
        return parse_endpoint(url)
    fips = target.use_fips or _flag(env, settings, "use_fips_endpoint")
    dualstack = target.use_dualstack or _flag(env, settings, "use_dualstack_endpoint")
    if partition_of(target.region) is None:
        raise ModelUnavailable(f"region {target.region!r} is not an AWS region", code="endpoint")
    return parse_endpoint(_by_rules(target.region, fips, dualstack))


def ca_bundle(target: Target, *, env: Mapping[str, str], settings: Mapping[str, str]) -> bool | str:
    """False for no verification, a path, or True for the usual certificate authorities."""
    if target.verify is not True:
        return target.verify
    return env.get("AWS_CA_BUNDLE") or settings.get("ca_bundle") or True


def parse_endpoint(url: str) -> Endpoint:
    """Take a base URL apart. Raises ModelUnavailable, which repeats the URL only if there can be no password in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise _refused("must not contain a user name or password")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _refused(f"{url[:200]!r} must start with http:// or https:// and a host name")
    path = parts.path.rstrip("/")
    if parts.query or parts.fragment or not _PATH.fullmatch(path):
        raise _refused(f"{url[:200]!r} may have a plain path after the host, and nothing else")
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", parts.hostname):
        raise _refused(f"{url[:200]!r} has no proper host name")
    return Endpoint(scheme=parts.scheme, host=parts.hostname, port=port or _PORTS[parts.scheme], path=path)


def is_loopback(host: str) -> bool:
    """True if what is sent to ``host`` never leaves this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _configured(env: Mapping[str, str], settings: Mapping[str, str]) -> str | None:
    if _flag(env, settings, "ignore_configured_endpoint_urls"):
        return None
    from_env = (env.get(name) for name in URL_VARIABLES)
    from_profile = (settings.get(name) for name in URL_SETTINGS)
    return next((url for url in (*from_env, *from_profile) if url), None)


def _flag(env: Mapping[str, str], settings: Mapping[str, str], name: str) -> bool:
    value = env.get(f"AWS_{name.upper()}") or settings.get(name) or ""
    return value.strip().lower() == "true"


@lru_cache(maxsize=256)
def _by_rules(region: str, fips: bool, dualstack: bool) -> str:
    """What botocore's endpoint rules for bedrock-runtime say; covers China, GovCloud and the isolated partitions."""
    from botocore.exceptions import BotoCoreError

    try:
        found = _rules().resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dualstack)
    except BotoCoreError as error:
        raise ModelUnavailable(f"no endpoint of Bedrock in {region}: {error}", code="endpoint") from None
    return str(found.url)


@lru_cache(maxsize=1)
def _rules() -> Any:
    from botocore.endpoint_provider import EndpointProvider
    from botocore.loaders import create_loader

    loader = create_loader()
    rules = loader.load_service_model("bedrock-runtime", "endpoint-rule-set-1")
    return EndpointProvider(rules, loader.load_data("partitions"))


def _refused(message: str) -> ModelUnavailable:
    return ModelUnavailable(f"endpoint_url {message}", code="endpoint")
