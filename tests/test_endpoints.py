"""Where a call goes, and what is trusted on the way."""

from __future__ import annotations

import pytest
from lascaux.providers.bedrock.endpoints import ca_bundle, endpoint_for, is_loopback, parse_endpoint
from lascaux.providers.errors import ModelUnavailable
from lascaux.providers.types import Target

SERVICE = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
LITELLM = "AWS_BEDROCK_RUNTIME_ENDPOINT"
GLOBAL = "AWS_ENDPOINT_URL"
IGNORE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
US_EAST = "https://bedrock-runtime.us-east-1.amazonaws.com"


def target(region: str = "us-east-1", **fields: object) -> Target:
    """A target in a region."""
    given: dict[str, object] = {"deployment": "d", "model": "m", "model_id": "m", "region": region} | fields
    return Target(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("region", "fields", "url"),
    [
        ("us-east-1", {}, US_EAST),
        ("eu-west-1", {}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("cn-north-1", {}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", {}, "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("us-west-2", {"use_fips": True}, "https://bedrock-runtime-fips.us-west-2.amazonaws.com"),
        ("us-west-2", {"use_dualstack": True}, "https://bedrock-runtime.us-west-2.api.aws"),
        (
            "us-west-2",
            {"use_fips": True, "use_dualstack": True},
            "https://bedrock-runtime-fips.us-west-2.api.aws",
        ),
    ],
)
def test_the_endpoint_of_a_region(region: str, fields: dict[str, bool], url: str) -> None:
    """Each partition has its own domain, FIPS and dual-stack their own hosts: those that boto3 uses too."""
    assert endpoint_for(target(region, **fields), env={}, settings={}).url == url


@pytest.mark.parametrize(
    ("env", "settings", "url"),
    [
        ({SERVICE: "http://a", LITELLM: "http://b", GLOBAL: "http://c"}, {}, "http://a"),
        ({LITELLM: "http://b", GLOBAL: "http://c"}, {"endpoint_url": "http://d"}, "http://b"),
        ({GLOBAL: "http://c"}, {"bedrock_runtime.endpoint_url": "http://e"}, "http://c"),
        ({}, {"bedrock_runtime.endpoint_url": "http://e", "endpoint_url": "http://d"}, "http://e"),
        ({}, {"endpoint_url": "http://d"}, "http://d"),
        ({SERVICE: "http://a", IGNORE: "true"}, {}, US_EAST),
        ({IGNORE: "True"}, {"endpoint_url": "http://d"}, US_EAST),
        ({SERVICE: "http://a"}, {"ignore_configured_endpoint_urls": "true"}, US_EAST),
        ({SERVICE: "http://a", IGNORE: "false"}, {}, "http://a"),
        ({SERVICE: ""}, {}, US_EAST),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, {}, "https://bedrock-runtime-fips.us-east-1.amazonaws.com"),
        ({}, {"use_dualstack_endpoint": "true"}, "https://bedrock-runtime.us-east-1.api.aws"),
    ],
)
def test_settings_in_their_order(env: dict[str, str], settings: dict[str, str], url: str) -> None:
    """Variables before the profile, the service's before the general ones, LiteLLM's in between."""
    assert endpoint_for(target(), env=env, settings=settings).url == url


def test_the_deployment_beats_all_settings() -> None:
    """An endpoint of the deployment is used even where configured ones are ignored."""
    own = target(endpoint_url="https://vpce-1.example:8443/base/")
    endpoint = endpoint_for(own, env={SERVICE: "http://a", IGNORE: "true"}, settings={"endpoint_url": "http://d"})
    assert endpoint.url == "https://vpce-1.example:8443/base"
    assert (endpoint.host, endpoint.port, endpoint.path) == ("vpce-1.example", 8443, "/base")


def test_no_fips_with_an_endpoint_of_ones_own() -> None:
    """A URL and a kind of endpoint contradict each other, as they do in boto3."""
    with pytest.raises(ModelUnavailable, match="use_fips and use_dualstack can not be used with an endpoint URL"):
        endpoint_for(target(endpoint_url="https://a", use_fips=True), env={}, settings={})
    with pytest.raises(ModelUnavailable, match="can not be used"):
        endpoint_for(target(use_dualstack=True), env={GLOBAL: "https://a"}, settings={})


@pytest.mark.parametrize("region", ["mars-1", "US-EAST-1", "us-east-1\r\nx: y", "us-east-1/evil.example/"])
def test_a_region_never_makes_a_host(region: str) -> None:
    """What is not a region is not put into a host name."""
    with pytest.raises(ModelUnavailable, match="is not an AWS region"):
        endpoint_for(target(region), env={}, settings={})


def test_any_region_name_with_an_endpoint() -> None:
    """Behind a URL of one's own a region needs only the shape of one; it goes into the signature."""
    assert endpoint_for(target("local", endpoint_url="http://a"), env={}, settings={}).host == "a"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("bedrock.example", "'bedrock.example' must start with http:// or https:// and a host name"),
        ("ftp://a", "'ftp://a' must start with http:// or https:// and a host name"),
        ("https://", "'https://' must start with http:// or https:// and a host name"),
        ("https://me:hunter2@a", "must not contain a user name or password"),
        ("https://a:99999", "is not a URL"),
        ("https://a/b?c=d", "may have a plain path after the host, and nothing else"),
        ("https://a/../b", "may have a plain path after the host, and nothing else"),
        ("https://a b/", "has no proper host name"),
    ],
)
def test_bad_endpoints(url: str, message: str) -> None:
    """A URL that can not be used is refused with the rule; one with a password is not repeated."""
    with pytest.raises(ModelUnavailable) as caught:
        parse_endpoint(url)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.code == "endpoint"


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://a", "a"),
        ("https://a:443/", "a"),
        ("http://a:80", "a"),
        ("http://a:443", "a:443"),
        ("http://[::1]:4001", "[::1]:4001"),
    ],
)
def test_the_host_header(url: str, authority: str) -> None:
    """The port stands in it only if it is not the usual one, as the signature wants it."""
    assert parse_endpoint(url).authority == authority


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("api.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("0.0.0.0", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only what never leaves the machine is loopback."""
    assert is_loopback(host) is expected


def test_whom_to_trust() -> None:
    """The deployment's own word, else AWS_CA_BUNDLE, else the profile's, else the usual authorities."""
    env, settings = {"AWS_CA_BUNDLE": "/env.pem"}, {"ca_bundle": "/profile.pem"}
    assert ca_bundle(target(verify=False), env=env, settings=settings) is False
    assert ca_bundle(target(verify="/own.pem"), env=env, settings=settings) == "/own.pem"
    assert ca_bundle(target(), env=env, settings=settings) == "/env.pem"
    assert ca_bundle(target(), env={}, settings=settings) == "/profile.pem"
    assert ca_bundle(target(), env={}, settings={}) is True
