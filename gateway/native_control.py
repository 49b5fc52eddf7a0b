"""What Bedrock clients look up before they call: models and inference profiles, as the configuration offers them. Pure.

Shapes as in botocore's service model ``bedrock`` (2023-04-20). Every alias is listed as an inference profile, whose id can
be used as modelId; models are listed if a deployment leads to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ..providers.catalog import Catalog, Model
from ..providers.types import Task
from ..router.config import Config
from ..router.errors import UnknownAlias
from .native_names import ACCOUNT, Place, places, profile_arn

__all__ = ["model_details", "model_summaries", "profile", "profile_summaries"]

_MOST_MODELS = 5
"""Of one profile, as in the service model."""
_INFERENCE = {"on_demand": "ON_DEMAND", "provisioned": "PROVISIONED"}


def model_summaries(config: Config, names: Iterable[str], today: date, query: Mapping[str, str]) -> dict[str, Any]:
    """ListFoundationModels: the models that ``names`` lead to. ``query`` filters as AWS does."""
    found = [_summary(model, region, today) for model, region in _models(config, names).values()]
    return {"modelSummaries": [one for one in found if _wanted(one, query)]}


def model_details(config: Config, names: Iterable[str], today: date, model_id: str) -> dict[str, Any]:
    """GetFoundationModel. Raises UnknownAlias for a model that nobody here leads to."""
    offered = _models(config, names)
    model = Catalog.load().find(model_id)
    if model is None or model.id not in offered:
        listed = ", ".join(offered) or "none"
        raise UnknownAlias(f"no deployment here leads to the model {model_id[:100]!r}; there are: {listed}")
    return {"modelDetails": _summary(*offered[model.id], today)}


def profile_summaries(config: Config, names: Iterable[str], query: Mapping[str, str]) -> dict[str, Any]:
    """ListInferenceProfiles: the aliases of the configuration among ``names``, then AWS's own profiles behind them."""
    names = list(names)
    made = [_application(config, name) for name in names if name in config.aliases and places(config, name)]
    made += _system(config, names)
    kind = query.get("type")
    return {"inferenceProfileSummaries": [one for one in made if kind in (None, one["type"])]}


def profile(config: Config, names: Iterable[str], identifier: str) -> dict[str, Any]:
    """GetInferenceProfile by id or ARN; a deployment's name is as good as an alias. Raises UnknownAlias."""
    names = list(names)
    short = identifier.partition(f":{ACCOUNT}:application-inference-profile/")[2] or identifier
    if short in names and places(config, short):
        return _application(config, short)
    tail = identifier.rpartition("/")[2]
    for one in _system(config, names):
        if one["inferenceProfileId"] == tail:
            return one
    raise UnknownAlias(f"there is no inference profile {identifier[:100]!r} here; aliases are: {', '.join(names)}")


def _models(config: Config, names: Iterable[str]) -> dict[str, tuple[Model, str]]:
    """By id: the model, and the first region in which it is asked."""
    found: dict[str, tuple[Model, str]] = {}
    for name in names:
        for place in places(config, name):
            model = Catalog.load().find(place.model)
            if model is not None:
                found.setdefault(model.id, (model, _region(place)))
    return found


def _region(place: Place) -> str:
    """The region of a place; where only the environment knows it, the first in which AWS offers the model."""
    model = Catalog.load().find(place.model)
    return place.region or (model.regions[0] if model and model.regions else "us-east-1")


def _arn(model: str, region: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


def _summary(model: Model, region: str, today: date) -> dict[str, Any]:
    life = model.lifecycle
    stage = "LEGACY" if model.stage(today) in ("legacy", "extended_access", "eol") else "ACTIVE"
    times = {"startOfLifeTime": life.launched, "legacyTime": life.legacy, "endOfLifeTime": life.eol}
    pictured = model.input is not None or any(task is not Task.TEXT_TO_IMAGE for task in model.tasks)
    worded = any(facts.fields.keys() & {"prompt", "text", "text_prompts"} for facts in model.tasks.values())
    return {
        "modelArn": _arn(model.id, region),
        "modelId": model.id,
        "modelName": model.name,
        "providerName": model.provider,
        "inputModalities": ["TEXT"] * worded + ["IMAGE"] * pictured,
        "outputModalities": ["IMAGE"],
        "responseStreamingSupported": False,
        "customizationsSupported": [],
        "inferenceTypesSupported": [_INFERENCE[one] for one in model.invoke if one in _INFERENCE],
        "modelLifecycle": {"status": stage}
        | {name: f"{day.isoformat()}T00:00:00Z" for name, day in times.items() if day is not None},
    }


def _wanted(summary: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    provider = query.get("byProvider", summary["providerName"]).lower()
    return (
        provider in (summary["providerName"].lower(), summary["modelId"].partition(".")[0])
        and query.get("byOutputModality", "IMAGE") == "IMAGE"
        and ("byInferenceType" not in query or query["byInferenceType"] in summary["inferenceTypesSupported"])
        and "byCustomizationType" not in query
    )


def _application(config: Config, name: str) -> dict[str, Any]:
    found = places(config, name)
    arns = dict.fromkeys(_arn(place.model, _region(place)) for place in found)
    return {
        "inferenceProfileName": name,
        "description": f"alias of this gateway, {len(found)} deployment{'s' * (len(found) != 1)}",
        "inferenceProfileArn": profile_arn(name, _region(found[0])),
        "inferenceProfileId": name,
        "models": [{"modelArn": arn} for arn in list(arns)[:_MOST_MODELS]],
        "status": "ACTIVE",
        "type": "APPLICATION",
    }


def _system(config: Config, names: Iterable[str]) -> list[dict[str, Any]]:
    """AWS's own profiles of the models, for those that have one."""
    return [
        {
            "inferenceProfileName": f"US {model.name}",
            "inferenceProfileArn": f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{model.profile}",
            "inferenceProfileId": model.profile,
            "models": [{"modelArn": _arn(model.id, there)} for there in model.regions[:_MOST_MODELS] or (region,)],
            "status": "ACTIVE",
            "type": "SYSTEM_DEFINED",
        }
        for model, region in _models(config, names).values()
        if model.profile
    ]
