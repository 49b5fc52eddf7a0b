"""The arguments of the functions, told apart: the picture, the way to the model, and what has no effect."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..providers.errors import InvalidRequest
from ..providers.param_names import IGNORED, SPECIAL
from ..providers.param_names import NAMES as PICTURE
from ..providers.param_native import NATIVE_NAMES
from ..providers.param_pictures import PICTURE_NAMES
from ..providers.types import Warning
from .config.credentials import NAMES as CREDENTIALS
from .config.identifiers import parsed
from .config.names import CALL, PARAMS
from .config.notes import is_reference

__all__ = ["Arguments"]

_OF_MODEL = ("model_id", "base_model", "output_cost_per_image")
_WAY = frozenset(
    (
        *CREDENTIALS,
        *_OF_MODEL,
        "aws_region_name",
        "region_name",
        "aws_bedrock_runtime_endpoint",
        "api_base",
        "base_url",
        "ssl_verify",
        "custom_llm_provider",
    )
)
_OF_PICTURE = frozenset((*PICTURE, *PICTURE_NAMES, *IGNORED, *NATIVE_NAMES, *SPECIAL))
_NO_EFFECT = {
    **PARAMS,
    **CALL,
    "extra_query": "a call to Bedrock has no query",
    **dict.fromkeys(("aimage_edit", "aimage_variation"), CALL["aimg_generation"]),
}
_SILENT = ("aimg_generation", "aimage_edit", "aimage_variation", "drop_params")
_ROLE = ("AWS_ROLE_NAME", "AWS_SESSION_NAME", "AWS_EXTERNAL_ID", "AWS_WEB_IDENTITY_TOKEN")
_MOST_RETRIES = 99
_REMOVER = "bedrock/stability.stable-image-remove-background-v1:0"
_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """One call, read and sorted.

    ``document`` says in the words of a LiteLLM configuration how the model is reached, ``environment`` holds the variables
    that this may depend on; both hold secrets. ``picture`` is what the methods of `Router` take.
    """

    prompt: str
    alias: str
    picture: Mapping[str, Any] = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    background_remover: str | None = None
    """The name of the last entry of the document, if that is the one that removes backgrounds."""
    warnings: tuple[Warning, ...] = ()

    @property
    def way(self) -> Mapping[str, Any]:
        """How the first model is reached, with LiteLLM's names. Holds secrets."""
        found: Mapping[str, Any] = self.document["model_list"][0]["litellm_params"]
        return found

    @classmethod
    def read(
        cls, prompt: str, model: str | None, timeout: Any, params: Mapping[str, Any], env: Mapping[str, str]
    ) -> Arguments:
        """Sort what was given; None means not given. Raises InvalidRequest for what can not be understood."""
        if not isinstance(model, str) or not model.strip() or "*" in model:
            message = "model: must be a model such as bedrock/amazon.nova-canvas-v1:0"
            raise InvalidRequest(message, parameter="model", allowed="a model id of Bedrock, with or without bedrock/")
        rest = {name: value for name, value in params.items() if value is not None}
        if "mock_response" in rest:
            message = "mock_response is not available: a call would be made, and billed; use the emulator instead"
            raise InvalidRequest(message, parameter="mock_response")
        retries = _retries(rest)
        seconds = _seconds(rest.pop("request_timeout", timeout))
        caching = rest.pop("caching", False) is True
        entries = list(_entries(model, rest.pop("fallbacks", ()), _way(rest), env))
        aliases = [entry["model_name"] for entry in entries]
        remover = _remover(rest.pop("background_remover", None), entries, env)
        entries += remover
        picture, warnings = _picture(rest)
        return cls(
            prompt=prompt,
            alias=aliases[0],
            picture={
                "attempt_timeout": seconds,
                "deadline": seconds * (retries + 1) * len(entries),
                **picture,
                "cache": caching,
            },
            document={
                "model_list": entries,
                "router_settings": {"num_retries": retries, "fallbacks": [{aliases[0]: aliases[1:]}]},
            },
            environment=_environment(entries, env),
            background_remover=remover[0]["model_name"] if remover else None,
            warnings=warnings,
        )


def _way(rest: dict[str, Any]) -> dict[str, Any]:
    """Take what is about the connection out of ``rest``."""
    return {name: rest.pop(name) for name in tuple(rest) if _is_way(name)}


def _is_way(name: str) -> bool:
    return name in _WAY or name.startswith("aws_")


def _picture(rest: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Warning, ...]]:
    """What is about the picture, unknown names included: the router explains those."""
    idle = {name for name in rest if name in _NO_EFFECT and name not in _OF_PICTURE}
    warnings = tuple(
        Warning(code="ignored", parameter=name, message=f"ignored: {_NO_EFFECT[name]}")
        for name in rest
        if name in idle and name not in _SILENT and rest[name] not in (False, "", [], {})
    )
    return {name: value for name, value in rest.items() if name not in idle}, warnings


def _entries(model: str, fallbacks: Any, way: dict[str, Any], env: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The model and its fallbacks as entries of a ``model_list``."""
    names = {model}
    yield _entry(model, model, way, env)
    if isinstance(fallbacks, (str, Mapping)) or not isinstance(fallbacks, (list, tuple)):
        message = "fallbacks: must be a list of models, or of mappings with model and other connection arguments"
        raise InvalidRequest(message, parameter="fallbacks", allowed="a list of models")
    for index, fallback in enumerate(fallbacks):
        own = {"model": fallback} if isinstance(fallback, str) else fallback
        where = f"fallbacks[{index}]"
        if not isinstance(own, Mapping) or not isinstance(own.get("model"), str) or "*" in own["model"]:
            raise InvalidRequest(f"{where}: must be a model or a mapping with model", parameter="fallbacks")
        strange = [name for name in own if name != "model" and not (isinstance(name, str) and _is_way(name))]
        if strange:
            message = (
                f"{where}: {str(strange[0])[:80]!r} is no connection argument; give it to all models, beside fallbacks"
            )
            raise InvalidRequest(message, parameter="fallbacks", allowed=", ".join(sorted(_WAY)))
        shared = {name: value for name, value in way.items() if name not in _OF_MODEL}
        if any(name in CREDENTIALS for name in own):
            shared = {name: value for name, value in shared.items() if name not in CREDENTIALS}
        name = own["model"] if own["model"] not in names else f"{own['model']} ({index + 2})"
        names.add(name)
        more = {key: value for key, value in own.items() if key != "model" and value is not None}
        yield _entry(name, own["model"], {**shared, **more}, env)


def _remover(model: Any, entries: list[dict[str, Any]], env: Mapping[str, str]) -> list[dict[str, Any]]:
    """The entry of the model that removes backgrounds, reached like the first; none without one."""
    if model is None:
        return []
    if not isinstance(model, str) or not model.strip() or "*" in model:
        message = f"background_remover: must be a model such as {_REMOVER}"
        raise InvalidRequest(
            message, parameter="background_remover", allowed=f"a model id of Bedrock such as {_REMOVER}"
        )
    way = {name: value for name, value in entries[0]["litellm_params"].items() if name not in (*_OF_MODEL, "model")}
    made = _entry(f"{model} (background_remover)", model, {}, env)
    made["litellm_params"] = {**way, "model": made["litellm_params"]["model"]}
    return [made]


def _entry(name: str, model: str, way: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    params = {"model": model, **_identity(way, env), **way}
    # A profile that the caller names may have a region of its own, which is stronger than the environment's.
    if not any(key in way for key in ("aws_region_name", "region_name", "aws_profile_name")):
        refs = [parsed(text) for text in (model, params.get("model_id"))]
        if env.get("AWS_REGION_NAME") and not any(ref and ref.region for ref in refs):
            params["aws_region_name"] = env["AWS_REGION_NAME"]
    # What a program hands over is meant as it is; only in files is ${NAME} a reference.
    plain = {key: value.replace("${", "$${") if isinstance(value, str) else value for key, value in params.items()}
    return {"model_name": name, "litellm_params": plain}


def _identity(way: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """LiteLLM's own variables, for who names nobody; boto3's are left to boto3."""
    if any(name in way for name in CREDENTIALS):
        return {}
    if env.get("AWS_ROLE_NAME"):
        return {name.lower(): env[name] for name in _ROLE if env.get(name)}
    return {"aws_profile_name": env["AWS_PROFILE_NAME"]} if env.get("AWS_PROFILE_NAME") else {}


def _environment(entries: list[dict[str, Any]], env: Mapping[str, str]) -> dict[str, str]:
    """The variables that decide where a call goes and who pays: a connection holds as long as they stay as they are."""
    values = [value for entry in entries for value in entry["litellm_params"].values()]
    named = {str(value).removeprefix("os.environ/") for value in values if is_reference(value)}
    return {name: value for name, value in env.items() if name.startswith("AWS_") or name in named}


def _retries(rest: dict[str, Any]) -> int:
    found = rest.pop("max_retries", 0)
    found = rest.pop("num_retries", found)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _MOST_RETRIES:
        allowed = f"a whole number from 0 to {_MOST_RETRIES}"
        raise InvalidRequest(f"num_retries: must be {allowed}", parameter="num_retries", allowed=allowed)
    return found


def _seconds(timeout: Any) -> float:
    """A number of seconds, as such or as text, or httpx's timeout, of which the time to read counts."""
    found = getattr(timeout, "read", timeout)
    if found is None:
        return _SECONDS
    try:
        seconds = float(found)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(found, bool) or not 0 < seconds < math.inf:
        raise InvalidRequest(
            "timeout: must be a number of seconds greater than 0", parameter="timeout", allowed="seconds, such as 60"
        )
    return seconds
