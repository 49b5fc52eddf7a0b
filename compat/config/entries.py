"""One entry of ``model_list``: which deployment it is, and what it says about its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...providers.bedrock.ids import Kind
from ...providers.param_names import IGNORED
from ...providers.param_names import NAMES as PICTURE
from ...providers.param_native import NATIVE_NAMES
from .credentials import NAMES as CREDENTIALS
from .credentials import Identities
from .identifiers import base_of, parsed, region_of
from .names import PARAMS
from .notes import Draft, Found, Params, Path, is_reference, near
from .prices import Prices
from .strangers import Stranger, leave_out, stranger

__all__ = ["Entry", "read_entries", "write_deployment", "write_place"]

_PROFILES = (Kind.SYSTEM_PROFILE, Kind.APPLICATION_PROFILE)
_GROUP = ("weight", "rpm", "tpm", "order", "timeout", "num_retries", "max_retries")
_PLACE = (
    "model",
    "custom_llm_provider",
    "litellm_credential_name",
    "aws_region_name",
    "region_name",
    "model_id",
    "base_model",
    "aws_bedrock_runtime_endpoint",
    "api_base",
    "base_url",
    "ssl_verify",
    "max_parallel_requests",
    "output_cost_per_image",
    "mock_response",
)
_KNOWN = (*_PLACE, *_GROUP, *CREDENTIALS, *PARAMS)
_PICTURE = frozenset((*PICTURE, *IGNORED, *NATIVE_NAMES, "size", "strict"))
_GUARDRAILS = ("guardrail_id", "guardrail_version")
_MODES = ("image_generation", "image_edit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry that can be translated: a client's name for it, our name for the deployment, and its keys."""

    path: Path
    alias: str
    deployment: str
    model: Found
    params: Params
    info: Params
    group: Mapping[str, Found]
    """What it says about its share and its retries: weight, rpm, tpm, order, timeout, num_retries."""


def read_entries(
    data: Mapping[str, Any], draft: Draft, needed: str | None = None
) -> tuple[list[Entry], frozenset[str]]:
    """All entries that make sense so far, and the aliases that are left out; the draft says why.

    Entries that are not for us are left out beside others, unless they are for ``needed``.
    """
    rows = data.get("model_list")
    if not isinstance(rows, (list, tuple)) or not rows:
        draft.refuse(("model_list",), "must be a list of entries, each with model_name and litellm_params")
        return [], frozenset()
    names = [row.get("model_name") for row in rows if isinstance(row, Mapping)]
    taken = {str(name) for name in names}
    named = _credentials_by_name(data)
    read = [_read(row, ("model_list", index), taken, named, draft) for index, row in enumerate(rows)]
    entries = [one for one in read if isinstance(one, Entry)]
    strangers = [one for one in read if isinstance(one, Stranger)]
    return entries, leave_out(strangers, {entry.alias for entry in entries}, draft, needed)


def _read(
    row: Any, path: Path, taken: set[str], credentials: Mapping[str, dict[str, Found]], draft: Draft
) -> Entry | Stranger | None:
    params = row.get("litellm_params") if isinstance(row, Mapping) else None
    if not isinstance(row, Mapping) or not isinstance(params, Mapping):
        draft.refuse(path, "must be a mapping with model_name and litellm_params")
        return None
    alias, info = row.get("model_name"), row.get("model_info")
    if alias is None or isinstance(alias, (list, dict)) or not str(alias).strip():
        draft.refuse((*path, "model_name"), "must be the name that clients send as model")
        return None
    own = {str(key): Found(value, (*path, "litellm_params", str(key))) for key, value in params.items()}
    name = own.get("litellm_credential_name")
    found = Params({**(credentials.get(str(name.value), {}) if name else {}), **own})
    model = _model_of(path, found, draft)
    if model is None:
        return None
    about = Params.of(info if isinstance(info, Mapping) else {}, (*path, "model_info"))
    other = stranger(str(alias), model, found, found.rest.get("base_model") or about.rest.get("base_model"))
    if other and not other.misspelt:
        return other
    if other:
        draft.refuse(other.tells.path, other.reason)
        return None
    _check(row, path, found.take("litellm_credential_name"), credentials, draft)
    return Entry(
        path=path,
        alias=str(alias),
        deployment=_deployment_name(str(alias), about, own, taken, draft),
        model=model,
        params=found,
        info=about,
        group={name: one for name in _GROUP if (one := found.take(name))},
    )


def _model_of(path: Path, params: Params, draft: Draft) -> Found | None:
    model = params.take("model")
    if model is None:
        draft.refuse((*path, "litellm_params"), "has no model")
    elif not isinstance(model.value, str) or not model.value.strip():
        draft.refuse(model.path, "must be a model such as bedrock/amazon.nova-canvas-v1:0")
    else:
        return model
    return None


def _check(
    row: Mapping[Any, Any], path: Path, shared: Found | None, credentials: Mapping[str, Any], draft: Draft
) -> None:
    """What else is wrong with an entry of ours, as far as its outline goes."""
    for key in row:
        if key not in ("model_name", "litellm_params", "model_info"):
            where = (
                "; it belongs under litellm_params"
                if key in _KNOWN
                else near(str(key), ("litellm_params", "model_info"))
            )
            draft.warn((*path, str(key)), f"has no effect{where}")
    if shared and str(shared.value) not in credentials:
        draft.refuse(shared.path, f"must be a name in credential_list{near(str(shared.value), credentials)}")
    if row.get("model_info") is not None and not isinstance(row["model_info"], Mapping):
        draft.refuse((*path, "model_info"), "must be a mapping")


def _deployment_name(alias: str, info: Params, own: Mapping[str, Found], taken: set[str], draft: Draft) -> str:
    """A name that no alias and no other deployment has: its id, else the alias with its region or its number."""
    given = info.take("id")
    written = {"region": "aws_region_name", "model": "model", "inference_profile": "model_id"}
    place = {ours: own[theirs].value for ours, theirs in written.items() if theirs in own}
    region = place.get("region") or region_of(place)
    plain = isinstance(region, str) and not is_reference(region)
    name = str(given.value) if given else f"{alias}-{region}" if plain else alias
    if given and name in taken and name != alias:
        draft.warn(given.path, "is taken already, so the deployment gets a number")
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}-{count if name != alias else count - 1}"
    taken.add(free)
    return free


def write_deployment(
    entry: Entry, identities: Identities, prices: Prices, default_concurrency: Found | None, draft: Draft
) -> None:
    """Put the entry among the deployments, with its credentials, its limits and its price."""
    path = ("deployments", entry.deployment)
    draft.put(path, {}, entry.path)
    params = entry.params
    _model(entry, path, draft)
    write_place(entry, path, identities, draft)
    for found, limit in (
        (entry.group.get("rpm"), "rpm"),
        (params.take("max_parallel_requests") or default_concurrency, "concurrency"),
    ):
        if found:
            draft.put((*path, "limits", limit), found.value, found.path)
    own, about = params.take("output_cost_per_image"), entry.info.take("output_cost_per_image")
    if price := own or about:
        prices.add(entry.deployment, price)
    _leftovers(entry, draft)


def write_place(entry: Entry, path: Path, identities: Identities, draft: Draft) -> None:
    """Region, endpoint, TLS and credentials, for a deployment or for an alias that passes model ids through."""
    params = entry.params
    region, other = params.take("aws_region_name"), params.take("region_name")
    if other and region is None:
        draft.warn(other.path, "is understood as aws_region_name")
    elif other and region and other.value != region.value:
        draft.warn(other.path, "has no effect: aws_region_name stands beside it")
    endpoints = [one for name in ("aws_bedrock_runtime_endpoint", "api_base", "base_url") if (one := params.take(name))]
    for found in endpoints[1:]:
        if found.value != endpoints[0].value:
            draft.warn(found.path, f"has no effect: {endpoints[0].path[-1]} stands beside it")
    fields = {
        "region": region or other,
        "endpoint_url": next(iter(endpoints), None),
        "verify": params.take("ssl_verify"),
    }
    for field, one in fields.items():
        if one:
            draft.put((*path, field), one.value, one.path)
    name = identities.name_for(params, entry.deployment, (*entry.path, "litellm_params"))
    if name:
        draft.put((*path, "credentials"), name, (*entry.path, "litellm_params"))


def _model(entry: Entry, path: Path, draft: Draft) -> None:
    model = entry.model
    text = str(model.value).strip().replace("bedrock/invoke/", "bedrock/", 1)
    own, about = entry.params.take("base_model"), entry.info.take("base_model")
    base = own or about
    wire = entry.params.take("model_id")
    ref = parsed(wire.value) if wire else None
    if wire and ref and ref.kind not in _PROFILES:
        draft.put((*path, "model"), wire.value, wire.path)
        if ref.base_model is None:
            draft.put((*path, "base_model"), text.removeprefix("bedrock/"), model.path)
        elif ref.base_model != base_of(text):
            draft.refuse(wire.path, f"is {ref.base_model}, not the model of this entry")
        return
    draft.put((*path, "model"), text, model.path)
    if wire:
        draft.put((*path, "inference_profile"), wire.value, wire.path)
    known = base_of(text)
    if base and known is None:
        draft.put((*path, "base_model"), str(base.value).removeprefix("bedrock/"), base.path)
    elif base and base_of(base.value) != known:
        draft.warn(base.path, f"has no effect: the model of this entry is {known}")


def _leftovers(entry: Entry, draft: Draft) -> None:
    """Name every key that was not understood, or that has no effect."""
    mode = entry.info.take("mode")
    if mode and mode.value not in _MODES:
        draft.warn(mode.path, "has no effect: pictures are all that is made here; expected image_generation")
    for name, found in entry.info.rest.items():
        draft.warn(found.path, f"is not used{near(name, ('id', 'base_model', 'mode', 'output_cost_per_image'))}")
    for name, found in entry.params.rest.items():
        if name == "mock_response":
            draft.refuse(found.path, "is not available: the call would be made, and billed; use the emulator instead")
        elif PICTURE.get(name) in _GUARDRAILS:
            draft.refuse(
                found.path, "can not be set on a deployment, and is not left out silently: send it with each request"
            )
        elif name in _PICTURE:
            draft.warn(found.path, "is not applied: deployments carry no default parameters; send it with the request")
        elif name in PARAMS:
            if found.value not in (False, [], {}, ""):
                draft.warn(found.path, f"has no effect: {PARAMS[name]}")
        elif name.startswith("aws_"):
            # Whoever misspells a key of credentials would otherwise run, and pay, as somebody else.
            draft.refuse(found.path, f"is not known{near(name, _KNOWN)}")
        else:
            draft.warn(found.path, f"is not known and has no effect{near(name, (*_KNOWN, *_PICTURE))}")


def _credentials_by_name(data: Mapping[str, Any]) -> dict[str, dict[str, Found]]:
    """``credential_list``: keys that entries take over by ``litellm_credential_name``."""
    rows = data.get("credential_list")
    return {
        str(row["credential_name"]): {
            str(key): Found(value, ("credential_list", index, "credential_values", str(key)))
            for key, value in row["credential_values"].items()
        }
        for index, row in enumerate(rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and "credential_name" in row and isinstance(row.get("credential_values"), Mapping)
    }
