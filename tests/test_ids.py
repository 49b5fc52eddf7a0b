"""Model identifiers and regions."""

from __future__ import annotations

import string
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.providers.bedrock.ids import (
    Kind,
    ModelRef,
    check_region,
    encode,
    environment_region,
    partition_of,
    resolve_region,
)
from lascaux.providers.errors import InvalidRequest

CANVAS = "amazon.nova-canvas-v1:0"
INPAINT = "stability.stable-image-inpaint-v1:0"
ACCOUNT = "111122223333"


@pytest.mark.parametrize(
    ("text", "kind", "base", "region", "account", "partition"),
    [
        (CANVAS, Kind.FOUNDATION_MODEL, CANVAS, None, None, None),
        (
            "stability.stable-diffusion-xl-v0",
            Kind.FOUNDATION_MODEL,
            "stability.stable-diffusion-xl-v0",
            None,
            None,
            None,
        ),
        (f"us.{INPAINT}", Kind.SYSTEM_PROFILE, INPAINT, None, None, None),
        (f"eu.{CANVAS}", Kind.SYSTEM_PROFILE, CANVAS, None, None, None),
        (f"apac.{CANVAS}", Kind.SYSTEM_PROFILE, CANVAS, None, None, None),
        (f"global.{CANVAS}", Kind.SYSTEM_PROFILE, CANVAS, None, None, None),
        (
            f"arn:aws:bedrock:us-east-1::foundation-model/{CANVAS}",
            Kind.FOUNDATION_MODEL,
            CANVAS,
            "us-east-1",
            None,
            "aws",
        ),
        (
            f"arn:aws:bedrock:us-east-2:{ACCOUNT}:inference-profile/us.{INPAINT}",
            Kind.SYSTEM_PROFILE,
            INPAINT,
            "us-east-2",
            ACCOUNT,
            "aws",
        ),
        (
            "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0",
            Kind.APPLICATION_PROFILE,
            None,
            "eu-west-1",
            "000000000000",
            "aws",
        ),
        (
            f"arn:aws:bedrock:us-west-2:{ACCOUNT}:provisioned-model/abc123def456",
            Kind.PROVISIONED,
            None,
            "us-west-2",
            ACCOUNT,
            "aws",
        ),
        (
            f"arn:aws:bedrock:us-west-2:{ACCOUNT}:custom-model-deployment/abc123def456",
            Kind.CUSTOM_DEPLOYMENT,
            None,
            "us-west-2",
            ACCOUNT,
            "aws",
        ),
        (
            f"arn:aws:bedrock:us-west-2:{ACCOUNT}:imported-model/abc123def456",
            Kind.IMPORTED,
            None,
            "us-west-2",
            ACCOUNT,
            "aws",
        ),
        (
            f"arn:aws:sagemaker:us-west-2:{ACCOUNT}:endpoint/my-sdxl",
            Kind.MARKETPLACE_ENDPOINT,
            None,
            "us-west-2",
            ACCOUNT,
            "aws",
        ),
        (
            f"arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/{CANVAS}",
            Kind.FOUNDATION_MODEL,
            CANVAS,
            "us-gov-west-1",
            None,
            "aws-us-gov",
        ),
        (
            f"arn:aws-cn:bedrock:cn-north-1:{ACCOUNT}:application-inference-profile/a1b2",
            Kind.APPLICATION_PROFILE,
            None,
            "cn-north-1",
            ACCOUNT,
            "aws-cn",
        ),
    ],
)
def test_every_kind_of_identifier_is_understood(
    text: str, kind: Kind, base: str | None, region: str | None, account: str | None, partition: str | None
) -> None:
    """Each shape that InvokeModel takes is read, goes on the wire unchanged, and tells what it can tell."""
    ref = ModelRef.parse(text)
    assert ref == ModelRef(
        kind=kind, model_id=text, base_model=base, region=region, account=account, partition=partition
    )
    assert ref.is_arn == text.startswith("arn:")


@pytest.mark.parametrize(
    ("text", "wire", "region"),
    [
        (f"bedrock/{CANVAS}", CANVAS, None),
        (f"bedrock/us-east-1/{CANVAS}", CANVAS, "us-east-1"),
        (f"  bedrock/us.{INPAINT} ", f"us.{INPAINT}", None),
        ("bedrock/stability.stability.sd3-large-v1:0", "stability.sd3-large-v1:0", None),
        (
            "bedrock/arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0",
            "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0",
            "eu-west-1",
        ),
        (
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Famazon.nova-canvas-v1%3A0",
            f"arn:aws:bedrock:us-east-1::foundation-model/{CANVAS}",
            "us-east-1",
        ),
    ],
)
def test_litellm_spellings(text: str, wire: str, region: str | None) -> None:
    """The bedrock/ route, its region, the doubled provider and an encoded ARN mean the plain identifier."""
    ref = ModelRef.parse(text)
    assert (ref.model_id, ref.region) == (wire, region)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the model id is empty (allowed: a model id, an inference profile id or an ARN)"),
        ("bedrock/", "the model id is empty (allowed: a model id, an inference profile id or an ARN)"),
        ("nova-canvas", "'nova-canvas' is not a model id (allowed: provider.name such as"),
        (
            "Amazon.Nova-Canvas-v1:0",
            "'Amazon.Nova-Canvas-v1:0' is not a model id; did you mean amazon.nova-canvas-v1:0?",
        ),
        ("amazon.nova canvas", "'amazon.nova canvas' is not a model id"),
        ("amazon.nova\ncanvas", "'amazon.nova\\ncanvas' is not a model id"),
        ("a." + "b" * 2100, "the model id has 2102 characters (allowed: at most 2048)"),
        ("arn:aws:bedrock", "'arn:aws:bedrock' is not a complete ARN: it has 3 of 6 parts"),
        ("arn:aws-chn:bedrock:us-east-1::x/y", "partition 'aws-chn' is unknown; did you mean aws-cn?"),
        ("arn:aws:bedrok:us-east-1::x/y", "service 'bedrok' is unknown; did you mean bedrock?"),
        ("arn:aws:s3:us-east-1::bucket/y", "service 's3' is unknown (allowed: bedrock, sagemaker)"),
        (
            f"arn:aws:bedrock:us-gov-west-1::foundation-model/{CANVAS}",
            "region us-gov-west-1 is in partition aws-us-gov, the ARN says aws",
        ),
        (
            f"arn:aws:bedrock:us-east-1:{ACCOUNT}:foundation-model/{CANVAS}",
            "a foundation model has no account",
        ),
        (f"arn:aws:bedrock:us-east-1:12:provisioned-model/{'a' * 12}", "account '12' is not an account id"),
        (
            f"arn:aws:bedrock:us-east-1:{ACCOUNT}:provisioned-model/short",
            "'short' is not an id of a provisioned-model (allowed: 12 lower-case letters and digits)",
        ),
        (
            f"arn:aws:bedrock:us-east-1:{ACCOUNT}:aplication-inference-profile/abc",
            "resource type 'aplication-inference-profile' is unknown; did you mean application-inference-profile?",
        ),
        (f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/abc", "resource type 'model' is unknown (allowed: endpoint)"),
        (f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/", "'' is not an id of a inference-profile"),
        (
            f"bedrock/us-east-1/arn:aws:bedrock:us-west-2::foundation-model/{CANVAS}",
            "the route says region us-east-1, its ARN says us-west-2",
        ),
    ],
)
def test_malformed_identifiers_say_what_is_wrong(text: str, message: str) -> None:
    """A malformed identifier is refused with the rule it breaks, on one line, and the field it came from."""
    with pytest.raises(InvalidRequest) as caught:
        ModelRef.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.parameter == "model"


def test_a_region_in_an_arn_is_checked() -> None:
    """A region that does not exist is refused where it stands, with the nearest one."""
    with pytest.raises(InvalidRequest, match="'us-est-1' is not an AWS region; did you mean us-east-1") as caught:
        ModelRef.parse(f"arn:aws:bedrock:us-est-1::foundation-model/{CANVAS}")
    assert caught.value.nearest == "us-east-1"
    with pytest.raises(InvalidRequest, match="'mars-1' is not an AWS region"):
        ModelRef.parse(f"bedrock/mars-1/{CANVAS}")


@given(
    st.text(max_size=80) | st.from_regex(r"(bedrock/)?arn:aws[a-z-]*(:[a-z0-9-]*){2,5}/?[a-z0-9:.]*", fullmatch=True)
)
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever is parsed is either understood or refused with InvalidRequest."""
    try:
        ref = ModelRef.parse(text)
    except InvalidRequest:
        return
    assert ModelRef.parse(ref.model_id).model_id == ref.model_id


@given(st.text(alphabet=string.printable, min_size=1, max_size=60))
def test_encoding_is_one_path_segment_and_reversible(text: str) -> None:
    """An encoded identifier is one segment of a URL, and decodes to itself."""
    encoded = encode(text)
    assert unquote(encoded) == text
    assert not set(encoded) & set(":/?# ")


def test_an_arn_is_encoded_as_documented() -> None:
    """Colons and slashes of an ARN are encoded exactly once."""
    assert (
        encode("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456")
        == "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123def456"
    )


def test_regions_agree_with_botocore() -> None:
    """Every region that botocore knows is one for us, in the same partition."""
    from botocore.loaders import create_loader

    for partition in create_loader().load_data("partitions")["partitions"]:
        for region in partition["regions"]:
            if not region.endswith("-global"):
                assert partition_of(region) == partition["id"], region


@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        ("US-EAST-1", "us-east-1"),
        ("us_east_1", "us-east-1"),
        (" us-east-1", "us-east-1"),
        ("us-east1", "us-east-1"),
        ("us-esat-1", "us-east-1"),
        ("eu-wets-1", "eu-west-1"),
        ("us-east-1a", "us-east-1"),
        ("mars-1", None),
        ("aws-global", None),
    ],
)
def test_what_is_no_region_is_refused_with_the_nearest(region: str, nearest: str | None) -> None:
    """A misspelt region is refused, and the nearest one is named."""
    with pytest.raises(InvalidRequest) as caught:
        check_region(region)
    assert caught.value.nearest == nearest
    hint = f"; did you mean {nearest}?" if nearest else ""
    assert str(caught.value) == f"region: {region!r} is not an AWS region{hint}"


def test_the_order_of_region_sources() -> None:
    """Deployment, ARN, profile, environment: the first that is there."""
    assert resolve_region(deployment="us-east-1", profile="eu-west-1", environment="us-west-2") == "us-east-1"
    assert resolve_region(arn="eu-central-1", profile="eu-west-1", environment="us-west-2") == "eu-central-1"
    assert resolve_region(profile="eu-west-1", environment="us-west-2") == "eu-west-1"
    assert resolve_region(environment="us-west-2") == "us-west-2"
    assert resolve_region(deployment="us-east-1", arn="us-east-1") == "us-east-1"


def test_no_region_is_an_error_not_a_default() -> None:
    """Without any source there is an error that says where to put a region."""
    with pytest.raises(InvalidRequest, match="region: none is known; set it on the deployment") as caught:
        resolve_region(deployment="", environment=None)
    assert caught.value.parameter == "region"


def test_deployment_and_arn_must_agree() -> None:
    """Two regions that contradict each other are an error that names both."""
    with pytest.raises(InvalidRequest, match="the deployment says us-east-1, the model id says eu-west-1"):
        resolve_region(deployment="us-east-1", arn="eu-west-1")


@pytest.mark.parametrize("source", ["deployment", "arn", "profile", "environment"])
def test_a_bad_region_is_found_in_every_source(source: str) -> None:
    """No source is trusted: a misspelt region is named together with where it came from."""
    with pytest.raises(InvalidRequest, match="'US-EAST-1' is not an AWS region; did you mean us-east-1"):
        resolve_region(**{source: "US-EAST-1"})


def test_the_order_of_environment_variables() -> None:
    """AWS_REGION, AWS_DEFAULT_REGION, then LiteLLM's AWS_REGION_NAME; empty ones do not count."""
    env = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-2", "AWS_REGION_NAME": "us-west-2"}
    assert environment_region(env) == "us-east-1"
    assert environment_region(env | {"AWS_REGION": ""}) == "us-east-2"
    assert environment_region({"AWS_REGION_NAME": "us-west-2"}) == "us-west-2"
    assert environment_region({}) is None
