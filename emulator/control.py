"""The control plane's reads: foundation models, inference profiles, provisioned throughput.

Shapes as in botocore's service model ``bedrock`` (2023-04-20).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from .errors import BedrockError, rejected
from .models import MODELS, Model, find

__all__ = ["read"]

_PATH = re.compile(r"/(foundation-models|inference-profiles|provisioned-model-throughput)(?:/(.+))?")
_ACCOUNT = "000000000000"


def read(
    path: str, query: str, region: str, *, today: date, enforce: bool, profiles: Mapping[str, str]
) -> dict[str, Any]:
    """Answer a GET. ``enforce`` hides models that have reached the end of their life. Raises BedrockError (400, 404)."""
    match = _PATH.fullmatch(path)
    if match is None or (match[2] is None and match[1] == "provisioned-model-throughput"):
        raise BedrockError(
            404, "UnknownOperationException", "The requested operation is not recognized by the service."
        )
    kind, name = match[1], unquote(match[2] or "")
    here = [m for m in MODELS.values() if region in m.regions and not (enforce and m.status(today) == "EOL")]
    if kind == "foundation-models":
        if not name:
            return {"modelSummaries": [_summary(m, region, today) for m in here if _wanted(m, query)]}
        model = find(name.rpartition("foundation-model/")[2])
        if model is None or model not in here:
            raise rejected("The provided model identifier is invalid.")
        return {"modelDetails": _summary(model, region, today)}
    if kind == "inference-profiles":
        if not name:
            return {"inferenceProfileSummaries": [_system_profile(m, region) for m in here if m.profile]}
        return _profile(name, region, here, profiles)
    return _provisioned(name, region, profiles)


def _wanted(model: Model, query: str) -> bool:
    asked = {key: values[-1] for key, values in parse_qs(query).items()}
    return (
        asked.get("byProvider", model.provider).lower() == model.provider.lower()
        and asked.get("byOutputModality", "IMAGE") == "IMAGE"
        and asked.get("byInferenceType", model.inference[0]) in model.inference
        and asked.get("byCustomizationType") is None
    )


def _summary(model: Model, region: str, today: date) -> dict[str, Any]:
    life: dict[str, Any] = {"status": "ACTIVE" if model.status(today) == "ACTIVE" else "LEGACY"}
    for key, day in (("startOfLifeTime", model.launched), ("legacyTime", model.legacy), ("endOfLifeTime", model.eol)):
        if day is not None:
            life[key] = _stamp(day)
    return {
        "modelArn": _model_arn(model, region),
        "modelId": model.id,
        "modelName": model.name,
        "providerName": model.provider,
        "inputModalities": list(model.modalities),
        "outputModalities": ["IMAGE"],
        "responseStreamingSupported": False,
        "customizationsSupported": [],
        "inferenceTypesSupported": [kind for kind in model.inference if kind != "INFERENCE_PROFILE"],
        "modelLifecycle": life,
    }


def _stamp(day: date) -> str:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat().replace("+00:00", "Z")


def _model_arn(model: Model, region: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model.id}"


def _system_profile(model: Model, region: str) -> dict[str, Any]:
    return {
        "inferenceProfileName": f"US {model.name}",
        "inferenceProfileArn": f"arn:aws:bedrock:{region}:{_ACCOUNT}:inference-profile/{model.profile}",
        "inferenceProfileId": model.profile,
        "models": [{"modelArn": _model_arn(model, there)} for there in model.regions],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }


def _profile(name: str, region: str, here: list[Model], profiles: Mapping[str, str]) -> dict[str, Any]:
    short = name.rpartition("/")[2]
    for model in here:
        if model.profile == short:
            return _system_profile(model, region)
    model_id = profiles.get(name) or profiles.get(short)
    mapped = None if model_id is None else find(model_id) or find(model_id.removeprefix("us."))
    if mapped is None:
        raise BedrockError(404, "ResourceNotFoundException", "The provided inference profile identifier was not found.")
    places = mapped.regions if mapped.profile else (region,)
    return {
        "inferenceProfileName": short,
        "inferenceProfileArn": name
        if name.startswith("arn:")
        else f"arn:aws:bedrock:{region}:{_ACCOUNT}:application-inference-profile/{short}",
        "inferenceProfileId": short,
        "models": [{"modelArn": _model_arn(mapped, there)} for there in places],
        "status": "ACTIVE",
        "type": "APPLICATION",
    }


def _provisioned(name: str, region: str, profiles: Mapping[str, str]) -> dict[str, Any]:
    short = name.rpartition("/")[2]
    model = find(profiles.get(name) or profiles.get(short) or "")
    if model is None:
        raise BedrockError(404, "ResourceNotFoundException", "The provided provisioned model identifier was not found.")
    arn, made = _model_arn(model, region), _stamp(date(2025, 1, 1))
    return {
        "modelUnits": 1,
        "desiredModelUnits": 1,
        "provisionedModelName": short,
        "provisionedModelArn": f"arn:aws:bedrock:{region}:{_ACCOUNT}:provisioned-model/{short}",
        "modelArn": arn,
        "desiredModelArn": arn,
        "foundationModelArn": arn,
        "status": "InService",
        "creationTime": made,
        "lastModifiedTime": made,
    }
