"""Identifiers, regions, lifecycles and the control plane's reads of the emulator."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from lascaux.emulator.control import read
from lascaux.emulator.errors import BedrockError
from lascaux.emulator.identifiers import Destination, resolve
from lascaux.emulator.models import MODELS, SERVICES

CANVAS = "amazon.nova-canvas-v1:0"
CORE = "stability.stable-image-core-v1:1"
INPAINT = "stability.stable-image-inpaint-v1:0"
APPLICATION = "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/a0a0a0a0a0a0"
PROVISIONED = "arn:aws:bedrock:us-west-2:123456789012:provisioned-model/abcdefghij12"


def found(identifier: str, region: str | None = "us-west-2", **options: Any) -> Destination:
    """Where an identifier leads."""
    return resolve(identifier, region, **{"profiles": {}, **options})


def refusal(identifier: str, region: str | None = "us-west-2", **options: Any) -> BedrockError:
    """The error of an identifier that leads nowhere."""
    with pytest.raises(BedrockError) as caught:
        found(identifier, region, **options)
    return caught.value


@pytest.mark.parametrize(
    "model", [model for model in MODELS.values() if "ON_DEMAND" in model.inference], ids=lambda m: m.id
)
def test_a_model_answers_by_id_and_arn_in_its_regions_only(model: Any) -> None:
    """In every other region the identifier is invalid."""
    for region in ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-west-2", "ap-northeast-1", "ap-south-1"):
        for identifier in (model.id, f"arn:aws:bedrock:{region}::foundation-model/{model.id}"):
            if region in model.regions:
                assert found(identifier, region) == Destination(model=model, region=region)
            else:
                assert refusal(identifier, region).message == "The provided model identifier is invalid."
            assert found(identifier, region, any_region=True).model == model


@pytest.mark.parametrize("middle", list(SERVICES))
def test_a_service_needs_its_profile(middle: str) -> None:
    """By its bare id the answer is the on-demand message, with the live service's typographic apostrophe."""
    id = f"stability.{middle}-v1:0"
    error = refusal(id)
    assert (error.status, error.error_type) == (400, "ValidationException")
    assert error.message.startswith(
        f"Invocation of model ID {id} with on-demand throughput isn\u2019t supported. Retry"
    )
    for region in ("us-east-1", "us-east-2", "us-west-2"):
        arn = f"arn:aws:bedrock:{region}:123456789012:inference-profile/us.{id}"
        assert found(f"us.{id}", region) == found(arn, region) == Destination(model=MODELS[id], region=region)
    assert refusal(f"us.{id}", "eu-west-1").message == "The provided model identifier is invalid."


@pytest.mark.parametrize("id", ["amazon.titan-image-generator-v1:0", "stability.stable-diffusion-xl-v1:0"])
def test_provisioned_ids_are_not_sold_on_demand(id: str) -> None:
    """These two exist in the catalogue for provisioned throughput alone."""
    assert f"The model {id} doesn't support on-demand throughput." in refusal(id, "us-east-1").message


@pytest.mark.parametrize(
    "identifier",
    [
        "nonsense",
        f"us.{CANVAS}",
        "us.stability.sd3-large-v1:0",
        f"eu.{INPAINT}",
        f"us.{CORE}",
        "stability.stable-image-core-v1",
        "amazon.titan-image-generator-v2",
        "stability.stable-image-core-v1%3A1",
        "stability.stability.sd3-large-v1:0",
        "arn:aws:bedrock",
        f"arn:aws:bedrock:us-west-2:123456789012:foundation-model/{CORE}",
        f"arn:aws:bedrock:us-west-2::inference-profile/us.{INPAINT}",
        f"arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.{CORE}",
        "arn:aws:bedrock:us-west-2:12345:application-inference-profile/a0",
        "arn:aws:bedrock:us-west-2:123456789012:provisioned-model/SHORT",
        "arn:aws:bedrock:us-west-2:123456789012:guardrail/abcdefghij12",
        "arn:aws:s3:::bucket",
    ],
)
def test_what_is_no_identifier_is_invalid(identifier: str) -> None:
    """Suffixes are never added, prefixes never guessed, and the path is decoded once."""
    error = refusal(identifier)
    assert (error.status, error.message) == (400, "The provided model identifier is invalid.")


def test_identifiers_have_a_longest_length() -> None:
    """2048 characters, as the service model says."""
    assert "less than or equal to 2048" in refusal("a" * 2049).message
    assert "identifier is invalid" in refusal("a" * 2048).message


@pytest.mark.parametrize(
    "identifier",
    [
        "arn:aws:bedrock:us-west-2:123456789012:imported-model/abcdefghij12",
        "arn:aws:sagemaker:us-west-2:123456789012:endpoint/mine",
    ],
)
def test_arns_without_an_image_model_are_not_found(identifier: str) -> None:
    """No image family is known behind imported models and Marketplace endpoints."""
    assert (refusal(identifier).status, refusal(identifier).error_type) == (404, "ResourceNotFoundException")


def test_opaque_arns_work_unmapped_and_mapped() -> None:
    """By whole ARN or by id; in their own region only; in other partitions too."""
    assert found(APPLICATION, "eu-west-1") == Destination(model=None, region="eu-west-1")
    for key in (APPLICATION, "a0a0a0a0a0a0"):
        assert found(APPLICATION, "eu-west-1", profiles={key: CANVAS}).model == MODELS[CANVAS]
    assert found(APPLICATION, "eu-west-1", profiles={"a0a0a0a0a0a0": f"us.{INPAINT}"}).model == MODELS[INPAINT]
    assert refusal(APPLICATION, "us-west-2").message == "The provided model identifier is invalid."
    gov = APPLICATION.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-west-1", "us-gov-west-1")
    assert found(gov, "us-gov-west-1").region == "us-gov-west-1"


def test_provisioned_and_custom_models_are_dedicated() -> None:
    """They outlive the end of a model's life."""
    assert found(PROVISIONED, profiles={"abcdefghij12": CORE}) == Destination(
        model=MODELS[CORE], region="us-west-2", dedicated=True
    )
    assert found(PROVISIONED.replace("provisioned-model", "custom-model-deployment")).dedicated
    assert not found(APPLICATION, "eu-west-1").dedicated


def test_without_a_region_the_arn_or_the_model_gives_one() -> None:
    """For bearer tokens, whose calls carry no credential scope."""
    assert found(APPLICATION, None).region == "eu-west-1"
    assert found(CANVAS, None).region == "us-east-1"
    assert found(f"us.{INPAINT}", None).region == "us-east-1"


@pytest.mark.parametrize(
    ("id", "eol"),
    [
        ("stability.stable-diffusion-xl-v0", date(2024, 4, 30)),
        ("stability.stable-diffusion-xl-v1", date(2025, 5, 20)),
        ("stability.sd3-large-v1:0", date(2025, 9, 4)),
        ("amazon.titan-image-generator-v1", date(2025, 8, 15)),
        ("amazon.titan-image-generator-v2:0", date(2026, 6, 30)),
        (CANVAS, date(2026, 9, 30)),
    ],
)
def test_models_end_on_their_day(id: str, eol: date) -> None:
    """The day of the end of life is the first without the model."""
    assert MODELS[id].status(eol) == "EOL"
    assert MODELS[id].status(date.fromordinal(eol.toordinal() - 1)) == "LEGACY"
    assert MODELS[CORE].status(date(2026, 11, 22)) == "ACTIVE"


def control(path: str, query: str = "", region: str = "us-west-2", **options: Any) -> dict[str, Any]:
    """A read of the control plane on 2026-11-22."""
    return read(path, query, region, **{"today": date(2026, 11, 22), "enforce": False, "profiles": {}, **options})


def test_foundation_models_are_listed_by_region() -> None:
    """With Bedrock's filters, and without retired ones when lifecycles are enforced."""
    oregon = {entry["modelId"] for entry in control("/foundation-models")["modelSummaries"]}
    assert CORE in oregon
    assert CANVAS not in oregon
    kept = {entry["modelId"] for entry in control("/foundation-models", enforce=True)["modelSummaries"]}
    assert kept == {
        CORE,
        "stability.stable-image-ultra-v1:1",
        "stability.sd3-5-large-v1:0",
        "amazon.nova-2-omni-v1:0",
        *(f"stability.{middle}-v1:0" for middle in SERVICES),
    }
    amazon = control("/foundation-models", "byProvider=amazon&byOutputModality=IMAGE")["modelSummaries"]
    assert {entry["providerName"] for entry in amazon} == {"Amazon"}
    assert control("/foundation-models", "byOutputModality=TEXT")["modelSummaries"] == []
    sold = control("/foundation-models", "byInferenceType=PROVISIONED")["modelSummaries"]
    assert "amazon.titan-image-generator-v1:0" in {entry["modelId"] for entry in sold}
    assert CORE not in {entry["modelId"] for entry in sold}


def test_a_foundation_model_is_read_by_id_or_arn() -> None:
    """The shape of GetFoundationModel, with the lifecycle."""
    details = control(f"/foundation-models/{CANVAS.replace(':', '%3A')}", region="eu-west-1")["modelDetails"]
    assert details["modelArn"] == f"arn:aws:bedrock:eu-west-1::foundation-model/{CANVAS}"
    assert details["modelLifecycle"] == {
        "status": "LEGACY",
        "startOfLifeTime": "2024-12-04T00:00:00Z",
        "legacyTime": "2026-03-30T00:00:00Z",
        "endOfLifeTime": "2026-09-30T00:00:00Z",
    }
    arn = f"arn:aws:bedrock:us-west-2::foundation-model/{CORE}"
    assert control(f"/foundation-models/{arn}")["modelDetails"]["modelLifecycle"]["status"] == "ACTIVE"
    for region, enforce in (("us-west-2", False), ("eu-west-1", True)):
        with pytest.raises(BedrockError, match="model identifier is invalid"):
            control(f"/foundation-models/{CANVAS}", region=region, enforce=enforce)


def test_inference_profiles_are_read() -> None:
    """System profiles by id or ARN, application profiles when they are mapped; others do not exist."""
    system = control(f"/inference-profiles/us.{INPAINT}")
    assert (system["type"], system["status"], system["inferenceProfileId"]) == (
        "SYSTEM_DEFINED",
        "ACTIVE",
        f"us.{INPAINT}",
    )
    assert [entry["modelArn"] for entry in system["models"]] == [
        f"arn:aws:bedrock:{region}::foundation-model/{INPAINT}" for region in ("us-east-1", "us-east-2", "us-west-2")
    ]
    assert len(control("/inference-profiles")["inferenceProfileSummaries"]) == len(SERVICES) + 1
    mapped = control(f"/inference-profiles/{APPLICATION}", region="eu-west-1", profiles={"a0a0a0a0a0a0": CANVAS})
    assert (mapped["type"], mapped["inferenceProfileArn"]) == ("APPLICATION", APPLICATION)
    assert mapped["models"] == [{"modelArn": f"arn:aws:bedrock:eu-west-1::foundation-model/{CANVAS}"}]
    with pytest.raises(BedrockError) as caught:
        control("/inference-profiles/a0a0a0a0a0a0")
    assert (caught.value.status, caught.value.error_type) == (404, "ResourceNotFoundException")


def test_provisioned_throughput_is_read_when_mapped() -> None:
    """For the base model behind a provisioned ARN."""
    document = control(f"/provisioned-model-throughput/{PROVISIONED}", profiles={"abcdefghij12": CORE})
    assert document["foundationModelArn"] == f"arn:aws:bedrock:us-west-2::foundation-model/{CORE}"
    for path in ("/provisioned-model-throughput/abcdefghij12", "/provisioned-model-throughput", "/guardrails"):
        with pytest.raises(BedrockError) as caught:
            control(path)
        assert caught.value.status == 404
