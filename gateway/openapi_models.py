"""The shapes of what the page shows: what may be asked of a name, and how deployments are doing. Pure."""

from __future__ import annotations

from typing import Any

from .openapi_fields import Schema

__all__ = ["models_and_status"]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_NEED: Schema = {"enum": ["required", "optional", "no"], "description": "Required means: by all models."}


def models_and_status() -> dict[str, Schema]:
    """Shapes by name."""
    return {**_models(), **_status()}


def _record(about: str, optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "description": about,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _maybe(schema: Schema) -> Schema:
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else {"anyOf": [schema, {"type": "null"}]}


def _life() -> dict[str, Schema]:
    day = {"type": ["string", "null"], "format": "date"}
    return {"stage": _maybe(_TEXT), "legacy": day, "eol": day, "sources": _TEXTS}


def _models() -> dict[str, Schema]:
    number: Schema = {"type": ["number", "null"]}
    option = _record(
        "One more parameter that a form can offer.",
        name=_TEXT,
        type=_TEXT,
        choices=_TEXTS,
        min=number,
        max=number,
        required=_FLAG,
        hint=_maybe(_TEXT),
    )
    spread = {name: _COUNT for name in ("side_min", "side_max", "multiple_of", "max_pixels")}
    task = _record(
        "What a task takes.",
        models=_TEXTS,
        prompt=_NEED,
        prompt_max=_maybe(_COUNT),
        image=_NEED,
        mask=_NEED,
        references=_NEED,
        sizes=_TEXTS,
        aspect_ratios=_TEXTS,
        size_range=_maybe(_record("Sizes that are free within bounds.", **spread, ratio_max=number)),
        default_size=_maybe(_TEXT),
        max_n=_COUNT,
        seed=_maybe(_record("Seeds that all models take.", min=_COUNT, max=_COUNT)),
        negative_prompt=_FLAG,
        quality=_TEXTS,
        style=_TEXTS,
        options={"type": "array", "items": option},
    )
    life = _record(
        "Where a model stands in its life.",
        model=_TEXT,
        name=_TEXT,
        **_life(),
        earliest_eol={"type": ["string", "null"], "format": "date"},
        replacement=_TEXTS,
    )
    choices = _record(
        "What may be asked of it; only where one is asked for.",
        tasks={"type": "object", "additionalProperties": task},
        lifecycle={"type": "array", "items": life},
    )
    behind = _record(
        "What is behind it.",
        ("choices",),
        kind={"enum": ["alias", "deployment"]},
        models=_TEXTS,
        fallbacks=_TEXTS,
        tasks=_TEXTS,
        choices=choices,
    )
    model = _record(
        "Something that a request may name.",
        id=_TEXT,
        object={"const": "model"},
        created=_COUNT,
        owned_by={"const": "lascaux"},
        lascaux=behind,
    )
    listed = {"type": "array", "items": _ref("Model")}
    return {"Model": model, "ModelList": _record("What requests may name.", object={"const": "list"}, data=listed)}


def _status() -> dict[str, Schema]:
    counts: dict[str, Any] = {name: _COUNT for name in ("in_flight", "waiting", "calls", "failures", "open_at")}
    limits = {name: _maybe(_COUNT) for name in ("rpm", "concurrency", "learned_rpm")}
    deployment = _record(
        "One deployment, over all workers. calls and failures are those of the last half minute; open_at workers have its "
        "breaker not closed.",
        deployment=_TEXT,
        aliases=_TEXTS,
        model=_TEXT,
        model_id=_TEXT,
        region=_TEXT,
        state={"enum": ["closed", "open", "half_open"]},
        probe_in=_maybe(_SECONDS),
        resting=_SECONDS,
        seconds=_maybe(_SECONDS),
        retired=_FLAG,
        replacement=_maybe(_TEXT),
        **counts,
        **limits,
        **_life(),
    )
    whole = _record(
        "How the gateway is doing; spend is null where the accounts can not be read.",
        object={"const": "status"},
        at={"type": "string", "format": "date-time"},
        workers=_COUNT,
        in_flight=_COUNT,
        waiting=_COUNT,
        spend={"anyOf": [{"type": "array", "items": _ref("Usage")}, {"type": "null"}]},
        deployments={"type": "array", "items": deployment},
    )
    return {"Status": whole}
