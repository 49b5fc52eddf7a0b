"""From what stands in a Bedrock path to a name of the configuration: an alias, a model id, a profile or an ARN. Pure.

A program that was written for Bedrock names a model. It is asked for at the alias that leads to this model and no other, so
that limits, several regions and fallbacks hold for it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..providers.bedrock.ids import Kind, ModelRef
from ..providers.catalog import Catalog
from ..providers.errors import InvalidRequest
from ..router.config import Config, DeploymentConfig
from ..router.errors import UnknownAlias

__all__ = ["ACCOUNT", "Place", "offers", "places", "profile_arn", "resolve"]

ACCOUNT = "000000000000"
"""The account in the ARNs that the gateway gives its aliases. AWS has none of this number."""
_MOST = 2048
"""Characters of a model id, as in the service model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a name leads to: one model in one region. ``model_id`` is what AWS is asked for, ``region`` None if unsaid."""

    model: str
    model_id: str
    region: str | None


def profile_arn(alias: str, region: str) -> str:
    """The ARN under which an alias is listed, and may be asked for, as if it were an application inference profile."""
    return f"arn:aws:bedrock:{region}:{ACCOUNT}:application-inference-profile/{alias}"


def places(config: Config, name: str) -> tuple[Place, ...]:
    """Where the deployments of an alias, or of that name, are; empty for what passes model ids through."""
    alias = config.alias(name)
    return tuple(_place(config.deployments[use.deployment]) for use in alias.uses) if alias is not None else ()


def offers(config: Config) -> tuple[str, ...]:
    """Every name that can be asked for: aliases, then deployments that were written for themselves."""
    aliases = [name for name, alias in config.aliases.items() if not alias.match]
    groups = [deployment.group for deployment in config.deployments.values()]
    return tuple(dict.fromkeys((*aliases, *groups, *config.deployments)))


def resolve(config: Config, model_id: str, allowed: Callable[[str], bool] = lambda name: True) -> str:
    """The name to ask the router for. ``allowed`` tells which names the caller may use.

    In this order: a name of the configuration; one of our own ARNs of an alias; the alias (else the deployments) that
    leads to this model only, the one with most deployments first, and for an ARN in its region only; a pattern that passes
    the id through, as it is or behind ``bedrock/``. Raises UnknownAlias, which says what there is.
    """
    found = config.alias(model_id)
    if found is not None and not found.match:
        return model_id
    own = _own(config, model_id)
    if own is not None:
        return own
    fitting = [name for name in offers(config) if _leads_to(config, name, model_id)]
    if fitting:
        return max(fitting, key=lambda name: (allowed(name), _plain(config, name, model_id), len(places(config, name))))
    for name in (model_id, f"bedrock/{model_id}"):
        if config.alias(name) is not None:
            return name
    raise UnknownAlias(_unknown(config, model_id, allowed))


def _own(config: Config, model_id: str) -> str | None:
    head, _, name = model_id.partition(f":{ACCOUNT}:application-inference-profile/")
    return name if head.startswith("arn:aws:bedrock:") and name in offers(config) else None


def _place(deployment: DeploymentConfig) -> Place:
    wire = ModelRef.parse(deployment.inference_profile or deployment.model)
    ref = ModelRef.parse(deployment.model)
    base = deployment.base_model or ref.base_model or wire.base_model or deployment.model
    model = Catalog.load().find(base)
    return Place(
        model=model.id if model else base,
        model_id=wire.model_id,
        region=deployment.region or wire.region or ref.region,
    )


def _plain(config: Config, name: str, model_id: str) -> bool:
    """Is nobody behind the name asked for by an ARN that the caller did not name? Such ones are somebody's own."""
    return all(place.model_id == model_id or not place.model_id.startswith("arn:") for place in places(config, name))


def _leads_to(config: Config, name: str, model_id: str) -> bool:
    """Is everybody behind the name this model, in the region that an ARN names?"""
    found = places(config, name)
    if not found:
        return False
    if all(place.model_id == model_id for place in found):
        return True
    wanted = _parsed(model_id)
    if wanted is None or wanted.base_model is None:
        return False
    model = Catalog.load().find(wanted.base_model)
    if model is None or (wanted.kind is Kind.SYSTEM_PROFILE and f"us.{model.id}" not in model_id):
        return False
    return all(
        place.model == model.id and (not wanted.is_arn or place.region in (None, wanted.region)) for place in found
    )


def _parsed(model_id: str) -> ModelRef | None:
    try:
        return ModelRef.parse(model_id) if len(model_id) <= _MOST else None
    except InvalidRequest:
        return None


def _unknown(config: Config, model_id: str, allowed: Callable[[str], bool]) -> str:
    shown = model_id if len(model_id) <= 100 else f"{model_id[:97]}..."
    names = [name for name in offers(config) if allowed(name)]
    listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    elsewhere = list(_regions(config, model_id, names))
    if elsewhere:
        return f"{shown!r} is served here in {', '.join(elsewhere)} only"
    return f"no alias or deployment here leads to {shown!r}; there are: {listed or 'none'}"


def _regions(config: Config, model_id: str, names: list[str]) -> Iterator[str]:
    """The regions in which the model of an ARN is served."""
    wanted = _parsed(model_id)
    if wanted is not None and wanted.is_arn and wanted.base_model:
        found = {place.region for name in names for place in places(config, name) if place.model == wanted.base_model}
        yield from sorted(region for region in found if region)
