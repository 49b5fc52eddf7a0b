"""The shapes of answers as JSON Schema: what `answers`, `errors`, `gate`, `native_answer` and `native_control` write. Pure.

Closed on purpose: an answer with a field that is not written down here is a fault, and tests look for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..pricing.types import CONFIDENCES
from ..router.health import State
from .codes import CODES, KINDS
from .openapi_fields import Schema, edit_fields, fields, form_fields, other_names
from .openapi_models import models_and_status

__all__ = ["ref", "schemas"]

_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_SEED: Schema = {"type": ["integer", "null"], "description": "What brings this picture again; null if nobody knows it."}
_USD: Schema = {
    "type": ["string", "null"],
    "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
    "description": "US dollars, exact, as a text; null if nobody knows.",
}
_BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
_SIZE: Schema = {"type": "string", "pattern": "^[0-9]+x[0-9]+$"}
_SIDES: Schema = {"dependentRequired": {"width": ["height"], "height": ["width"]}}
_SIDES_OR_NULL: Schema = {
    "anyOf": [
        {"required": ["width", "height"], "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}},
        {"properties": {"width": {"type": "null"}, "height": {"type": "null"}}},
    ]
}
"""In JSON null is as good as nothing; a form has none."""
_FORMAT: Schema = {"type": "string", "enum": ["png", "jpeg", "webp"]}


def ref(name: str) -> Schema:
    """A reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def _record(about: str, optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": about,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def schemas() -> dict[str, Schema]:
    """Every shape by its name."""
    return {**_requests(), **_pictures(), **_prices(), **_errors(), **_lists(), **models_and_status(), **_bedrock()}


def _requests() -> dict[str, Schema]:
    spelt: dict[str, list[str]] = {}
    for name, meant in other_names().items():
        spelt.setdefault(meant, []).append(name)

    def request(about: str, make: Callable[[], dict[str, Schema]], sides: Schema = _SIDES_OR_NULL) -> Schema:
        properties = {name: _with_names(schema, spelt.get(name, [])) for name, schema in make().items()}
        return {
            "type": "object",
            "description": about,
            "properties": properties,
            "additionalProperties": False,
            **sides,
        }

    return {
        "ImagesRequest": request(
            "Pictures from words. All fields but the prompt may be left out; what no model has is refused.", fields
        ),
        "EditRequest": request("Pictures from pictures, in JSON.", edit_fields),
        "EditForm": request("Pictures from pictures, as a form. Objects are written a[b].", form_fields, _SIDES),
    }


def _with_names(schema: Schema, names: list[str]) -> Schema:
    if not names:
        return schema
    told = f"{schema.get('description', '')} Also called {', '.join(names)}."
    return {**schema, "description": told.strip()}


def _pictures() -> dict[str, Schema]:
    about = _record(
        "What is known of one picture.",
        seed=_SEED,
        format=_FORMAT,
        width={"type": "integer", "minimum": 1, "description": "Pixels."},
        height={"type": "integer", "minimum": 1, "description": "Pixels."},
        finish_reason=_TEXT,
    )
    item = {
        "b64_json": _BASE64,
        "url": {"type": "string", "format": "uri", "description": "Ends after server.link_ttl."},
    }
    common = {
        "background": {"enum": ["transparent", "opaque", None], "description": "As far as it is known."},
        "output_format": _FORMAT,
        "quality": _MAYBE,
        "size": _SIZE,
        "usage": ref("TokenUsage"),
    }
    token = {"type": "integer", "const": 0}
    details = _record("Zero.", image_tokens=token, text_tokens=token)
    facts = _facts()
    last = {**facts, "properties": {**facts["properties"], **about["properties"]}}
    event = _record(
        "One picture, in a server-sent event; with the last comes what stands under lascaux of an ImagesAnswer, too.",
        ("b64_json", "url"),
        type={"enum": ["image_generation.completed", "image_edit.completed"]},
        created_at=_COUNT,
        lascaux={
            "anyOf": [ref("PictureFacts"), {**last, "required": sorted({*facts["required"], *about["properties"]})}]
        },
        **item,
        **common,
    )
    return {
        "ImagesAnswer": _record(
            "Pictures, with OpenAI's fields and our own under lascaux.",
            created=_COUNT,
            data=_list(ref("Picture"), minItems=1),
            lascaux=ref("Facts"),
            **common,
        ),
        "Picture": _record(
            "A picture, as base64 or as a link.", ("b64_json", "url"), **item, lascaux=ref("PictureFacts")
        )
        | {"oneOf": [{"required": ["b64_json"]}, {"required": ["url"]}]},
        "PictureFacts": about,
        "PictureEvent": event,
        "TokenUsage": _record(
            "Zero: Bedrock's image models count no tokens. The bill is lascaux.cost.",
            input_tokens=token,
            output_tokens=token,
            total_tokens=token,
            input_tokens_details=details,
        ),
        "Facts": facts,
        "Attempt": _attempt(cost_usd=_USD),
        "FailedAttempt": _attempt(),
        "Warning": _record(
            "Something that was adapted or ignored, or is worth knowing.", code=_TEXT, parameter=_MAYBE, message=_TEXT
        ),
    }


def _facts() -> Schema:
    gap = _record(
        "A picture that was asked for and did not come.",
        index=_COUNT,
        reason={"enum": ["filtered", "failed"]},
        message=_TEXT,
        may_be_billed=_FLAG,
    )
    return _record(
        "How the pictures came about.",
        ("mask",),
        alias=_TEXT,
        deployment=_TEXT,
        model=_TEXT,
        model_id=_TEXT,
        region=_TEXT,
        cost=ref("Cost"),
        charged_usd={**_USD, "type": "string", "description": "US dollars, exact, that were settled against the key."},
        cache={"enum": ["hit", "miss", "coalesced", "bypass"]},
        seed=_SEED,
        duration=_SECONDS,
        request_id={**_MAYBE, "description": "AWS's."},
        attempts=_list(ref("Attempt")),
        warnings=_list(ref("Warning")),
        missing=_list(gap),
        mask=_record("The mask that the model made, where return_mask asked for it.", b64_json=_BASE64),
    )


def _attempt(**more: Schema) -> Schema:
    return _record(
        "One call to one deployment.",
        deployment=_TEXT,
        model=_TEXT,
        region=_TEXT,
        outcome={"type": "string", "description": "ok, or the code of the error."},
        duration=_SECONDS,
        may_be_billed=_FLAG,
        **more,
    )


def _prices() -> dict[str, Schema]:
    cost: dict[str, Schema] = {
        "usd": _USD,
        "unit_usd": _USD,
        "saved_usd": _USD,
        "images": _COUNT,
        "table": {"type": "string", "description": "The version of the price table."},
        "confidence": {"enum": [*CONFIDENCES, None]},
        "note": _MAYBE,
    }
    place = {"alias": _TEXT, "deployment": _TEXT, "model": _TEXT, "region": _TEXT}
    cost_here = _or_null(ref("QuotedCost"))
    considered = _record(
        "A deployment that was considered; reason says why it would not be asked now.",
        **place,
        priority={"type": "integer"},
        weight={"type": "number"},
        able={**_FLAG, "description": "False if its model can not do the request at all."},
        reason=_MAYBE,
        retired=_FLAG,
        state={"enum": [str(state) for state in State]},
        in_flight=_COUNT,
        learned_rpm={"type": ["integer", "null"]},
        waiting=_COUNT,
        calls=_COUNT,
        share={"type": ["number", "null"]},
        score={"type": ["number", "null"]},
        cost=cost_here,
        warnings=_list(ref("Warning")),
    )
    return {
        "Cost": _record("What the pictures cost, and where the rate comes from.", **cost, source=_MAYBE),
        "QuotedCost": _record("What pictures would cost.", **cost),
        "Quote": _record(
            "What a request would cost, exactly, at every candidate that can do it.",
            alias=_TEXT,
            pick=_MAYBE,
            cost=cost_here,
            reason={**_MAYBE, "description": "Why there is no cost."},
            candidates=_list(_record("One candidate.", **place, cost=cost_here)),
            second=_or_null(ref("Quote")),
        ),
        "Explanation": _record(
            "Where a request would go at this moment, and why.",
            alias=_TEXT,
            chain=_list(_record("An alias that would be asked, in this order.", alias=_TEXT, strategy=_TEXT)),
            pick=_MAYBE,
            pick_alias=_MAYBE,
            panic=_FLAG,
            cache={"enum": ["hit", "miss", "bypass"]},
            parts={**_COUNT, "description": "Calls side by side."},
            cost=cost_here,
            reason=_MAYBE,
            retry_after={"type": ["number", "null"], "description": "Seconds."},
            wait={"type": ["number", "null"], "description": "Seconds in line; null if it would be refused."},
            ahead=_COUNT,
            budgets={"type": "object", "additionalProperties": {"type": "integer"}},
            candidates=_list(ref("Considered")),
            warnings=_list(ref("Warning")),
            second=_or_null(ref("Explanation")),
        ),
        "Considered": considered,
    }


def _errors() -> dict[str, Schema]:
    more = _record(
        "What else is known.",
        ("allowed", "nearest", "stage", "attempts", "may_be_billed", "charged_usd"),
        allowed={"type": "string", "description": "What would be accepted."},
        nearest={"type": "string", "description": "The closest valid choice."},
        stage={"enum": ["prompt", "input_image", "output_image"]},
        attempts=_list(ref("FailedAttempt")),
        may_be_billed=_FLAG,
        charged_usd={
            **_USD,
            "type": "string",
            "description": "US dollars, exact, that were settled against the key all the same; left out if none.",
        },
    )
    codes = "\n".join(f"- `{code}`: {meaning}" for code, meaning in CODES.items())
    error = _record(
        "OpenAI's four fields, and what else is known.",
        ("lascaux",),
        message=_TEXT,
        type={"enum": list(KINDS)},
        param={**_MAYBE, "description": "The field that is wrong."},
        code={"type": "string", "enum": list(CODES), "description": codes},
        lascaux=more,
    )
    return {"Error": _record("OpenAI's envelope.", error=error)}


def _lists() -> dict[str, Schema]:
    usage = _record(
        "What a key has spent and has under way, beside its limits (null: none).",
        key=_TEXT,
        day={"type": "string", "format": "date"},
        usd_today=_USD,
        usd_per_day=_USD,
        usd_this_month=_USD,
        usd_per_month=_USD,
        usd_reserved=_USD,
        in_flight=_COUNT,
        concurrency={"type": ["integer", "null"]},
        requests_last_minute={"type": ["integer", "null"]},
        rpm={"type": ["integer", "null"]},
        aliases=_or_null(_list(_TEXT)),
        admin=_FLAG,
    )
    return {
        "Usage": usage,
        "UsageList": _record("The usage of every key.", object={"const": "list"}, data=_list(ref("Usage"))),
        "Description": {"type": "object", "required": ["openapi", "info", "paths"], "description": "OpenAPI 3.1."},
        "Health": _record("How the process is.", status={"enum": ["ok", "busy", "no aliases"]}),
    }


def _bedrock() -> dict[str, Schema]:
    arn = {"type": "string", "pattern": "^arn:aws"}
    summary = _record(
        "A model, as Bedrock tells it.",
        modelArn=arn,
        modelId=_TEXT,
        modelName=_TEXT,
        providerName=_TEXT,
        inputModalities=_list({"enum": ["TEXT", "IMAGE"]}),
        outputModalities=_list({"enum": ["IMAGE"]}),
        responseStreamingSupported={"const": False},
        customizationsSupported=_list(_TEXT, maxItems=0),
        inferenceTypesSupported=_list({"enum": ["ON_DEMAND", "PROVISIONED"]}),
        modelLifecycle=_record(
            "AWS's dates.",
            ("startOfLifeTime", "legacyTime", "endOfLifeTime"),
            status={"enum": ["ACTIVE", "LEGACY"]},
            startOfLifeTime=_TEXT,
            legacyTime=_TEXT,
            endOfLifeTime=_TEXT,
        ),
    )
    profile = _record(
        "An alias of the gateway, or a profile of AWS's.",
        inferenceProfileName=_TEXT,
        description=_TEXT,
        inferenceProfileArn=arn,
        inferenceProfileId=_TEXT,
        models=_list(_record("A model behind it.", modelArn=arn)),
        status={"const": "ACTIVE"},
        type={"enum": ["APPLICATION", "SYSTEM_DEFINED"]},
    )
    profile["required"].remove("description")
    return {
        "NativeBody": {
            "type": "object",
            "description": "A body of Amazon's (Titan, Nova Canvas), SDXL's or Stability's, as Bedrock documents them.",
            "examples": [
                {"prompt": "An otter", "seed": 30},
                {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "An otter"}},
            ],
        },
        "NativeAnswer": {
            "description": "In the words of the body that was sent: images, artifacts, or seeds, finish_reasons and images.",
            "type": "object",
            "anyOf": [{"required": ["images"]}, {"required": ["artifacts"]}, {"required": ["finish_reasons"]}],
        },
        "BedrockError": _record(
            "Bedrock's error. Its type stands in the header x-amzn-ErrorType.",
            ("originalStatusCode", "resourceName"),
            message=_TEXT,
            originalStatusCode={"type": "integer"},
            resourceName=_TEXT,
        ),
        "FoundationModel": summary,
        "FoundationModelList": _record("ListFoundationModels.", modelSummaries=_list(ref("FoundationModel"))),
        "FoundationModelAnswer": _record("GetFoundationModel.", modelDetails=ref("FoundationModel")),
        "InferenceProfile": profile,
        "InferenceProfileList": _record(
            "ListInferenceProfiles.", inferenceProfileSummaries=_list(ref("InferenceProfile"))
        ),
    }
