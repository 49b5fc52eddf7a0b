"""From the model identifier of a path to the model it means, by AWS's rules for ids, profiles and ARNs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import BedrockError, rejected
from .models import MODELS, Model, find

__all__ = ["Destination", "resolve"]

_ARN = re.compile(r"arn:aws(?:-[^:/]+)?:bedrock:([a-z0-9-]{1,20}):([0-9]{12})?:([a-z-]+)/(.+)")
_DEDICATED = {"provisioned-model": r"[a-z0-9]{12}", "custom-model-deployment": r"[a-z0-9]{12}"}
_MAX_LENGTH = 2048
_PROFILES: Mapping[str, Model] = {model.profile: model for model in MODELS.values() if model.profile}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a call goes.

    ``model`` is None behind an opaque ARN that nobody mapped; ``dedicated`` capacity outlives a model's end of life.
    """

    model: Model | None
    region: str
    dedicated: bool = False


def resolve(
    identifier: str, region: str | None, *, profiles: Mapping[str, str], any_region: bool = False
) -> Destination:
    """Find the model behind an identifier (percent-decoded once). ``profiles`` maps opaque ids or whole ARNs to model ids.

    Raises BedrockError as the service does: an invalid identifier, a wrong region, a model that needs a profile.
    """
    if not 1 <= len(identifier) <= _MAX_LENGTH:
        raise rejected(
            "1 validation error detected: Value at 'modelId' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MAX_LENGTH}"
        )
    if not identifier.startswith("arn:"):
        return _by_id(identifier, region, any_region=any_region)
    if identifier.startswith("arn:aws:sagemaker:"):
        raise BedrockError(404, "ResourceNotFoundException", "The Marketplace endpoint of this ARN does not exist.")
    match = _ARN.fullmatch(identifier)
    if match is None or (region is not None and match[1] != region and not any_region):
        raise _invalid()
    arn_region, account, kind, resource = match[1], match[2], match[3], match[4]
    if kind == "foundation-model" and not account:
        return _on_demand(find(resource), arn_region, any_region=any_region)
    if not account:
        raise _invalid()
    if kind == "inference-profile":
        return _in_region(_PROFILES.get(resource), arn_region, any_region=any_region)
    return _opaque(identifier, arn_region, kind, resource, profiles)


def _by_id(identifier: str, region: str | None, *, any_region: bool) -> Destination:
    profile = _PROFILES.get(identifier)
    if profile is not None:
        return _in_region(profile, region, any_region=any_region)
    return _on_demand(find(identifier), region, any_region=any_region)


def _on_demand(model: Model | None, region: str | None, *, any_region: bool) -> Destination:
    destination = _in_region(model, region, any_region=any_region)
    assert model is not None
    if "ON_DEMAND" in model.inference:
        return destination
    if model.profile:
        raise rejected(
            f"Invocation of model ID {model.id} with on-demand throughput isn’t supported. Retry your request with the ID "
            "or ARN of an inference profile that contains this model."
        )
    raise rejected(
        f"The model {model.id} doesn't support on-demand throughput. Buy provisioned throughput for it and call that ARN."
    )


def _in_region(model: Model | None, region: str | None, *, any_region: bool) -> Destination:
    if model is None or not (region is None or any_region or region in model.regions):
        raise _invalid()
    return Destination(model=model, region=region or model.regions[0])


def _opaque(identifier: str, region: str, kind: str, resource: str, profiles: Mapping[str, str]) -> Destination:
    dedicated = kind in _DEDICATED
    if kind == "imported-model":
        raise BedrockError(
            404, "ResourceNotFoundException", "Could not resolve an image model from the imported model identifier."
        )
    if not re.fullmatch(_DEDICATED.get(kind, r"[a-zA-Z0-9.:-]{1,64}"), resource) or not (
        dedicated or kind == "application-inference-profile"
    ):
        raise _invalid()
    named = profiles.get(identifier) or profiles.get(resource)
    model = None if named is None else _PROFILES.get(named) or find(named)
    return Destination(model=model, region=region, dedicated=dedicated)


def _invalid() -> BedrockError:
    return rejected("The provided model identifier is invalid.")
