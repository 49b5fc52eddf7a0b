"""The gateway's description as OpenAPI 3.1, made out of the tables that it works by. Pure.

Operations stand in `openapi_operations`, shapes in `openapi_schemas`, the fields of requests in `openapi_fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson

from .. import __version__
from .openapi_fields import Schema
from .openapi_operations import OPERATIONS, Operation
from .openapi_schemas import ref, schemas

__all__ = ["description", "document"]

_ABOUT = """\
Pictures from Amazon Bedrock for every client of OpenAI and of Bedrock. Addresses that begin with /v1 are there without it, \
too. HEAD works wherever GET does.

OpenAI's clients send a request again by themselves unless `x-should-retry` is false: what may have been billed is not \
asked for a second time."""

_REASONS: Mapping[int, str] = {
    200: "Done",
    400: "The request is wrong: the error names the field, what is allowed, and the nearest choice",
    401: "No key, or one that is not valid",
    403: "Whoever asks may not",
    404: "There is no such thing",
    408: "The body, or the model, took too long",
    413: "The body is too large",
    424: "It may have been billed, or the gateway's own access is broken: not to be sent again",
    429: "Too much at once, or out of money; Retry-After says when to ask again",
    500: "The gateway failed; its log says why",
    502: "Everybody who was asked failed",
    503: "Nobody could be asked",
    504: "The deadline is over",
}
_TEXT: Schema = {"type": "string"}
_DIGITS: Schema = {"type": "string", "pattern": "^[0-9]+$"}
_AMOUNT: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
_FACTS: Mapping[str, tuple[str, Schema, bool]] = {
    "deployment": ("Who answered.", _TEXT, True),
    "model": ("The model that answered.", _TEXT, True),
    "region": ("Where it is.", _TEXT, True),
    "cache": ("hit, miss, coalesced or bypass.", {"enum": ["hit", "miss", "coalesced", "bypass"]}, True),
    "attempts": ("How many calls were made.", _DIGITS, True),
    "price-table": ("The version of the price table.", _TEXT, True),
    "cost-usd": (
        "US dollars, exact; absent if nobody knows.",
        _AMOUNT,
        False,
    ),
    "charged-usd": ("US dollars, exact, that were settled against the key; 0 if it joined.", _AMOUNT, True),
    "joined": ("true: answered with what an earlier sending of the same call brought.", {"const": "true"}, False),
    "seed": ("The seed of the first picture.", _DIGITS, False),
    "upstream-request-id": ("AWS's.", _TEXT, False),
    "warnings": ("What was adapted or ignored.", _TEXT, False),
    "missing": ("How many pictures did not come.", _DIGITS, False),
}
"""The headers of an answer with pictures, without ``x-lascaux-``: about, shape, always there."""


@cache
def document(*, keyed: bool) -> bytes:
    """The description as JSON. ``keyed``: callers need keys."""
    return orjson.dumps(description(keyed=keyed))


def description(*, keyed: bool) -> dict[str, Any]:
    """The description as plain data."""
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one, keyed)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lascaux", "version": __version__, "description": _ABOUT, "license": _license()},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": _schemes()},
    }


def _license() -> dict[str, str]:
    return {"name": "Apache 2.0", "identifier": "Apache-2.0"}


def _schemes() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A key as `lascaux keys new` makes it."},
        "sigv4": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "AWS Signature Version 4 for the service bedrock, with a pair of server.sigv4.",
            "x-amazon-apigateway-authtype": "awsSigv4",
        },
    }


def _operation(one: Operation, keyed: bool) -> dict[str, Any]:
    schemes: list[dict[str, list[str]]] = [{"bearer": []}, {"sigv4": []}] if one.native else [{"bearer": []}]
    told: dict[str, Any] = {
        "operationId": one.id,
        "summary": one.about,
        "tags": [one.tag],
        "security": schemes if keyed and one.keyed else [],
        "responses": _responses(one, keyed),
    }
    if one.more:
        told["description"] = one.more
    if one.parameters:
        told["parameters"] = list(one.parameters)
    if one.bodies:
        told["requestBody"] = {"required": True, "content": {kind: _media(one, kind) for kind in one.bodies}}
    return told


def _media(one: Operation, kind: str) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": one.bodies[kind]}
    if one.examples and kind == "application/json":
        media["examples"] = {name: {"value": value} for name, value in one.examples.items()}
    return media


def _responses(one: Operation, keyed: bool) -> dict[str, Any]:
    found = {}
    if one.answers:
        content = {kind: {"schema": schema} for kind, schema in one.answers.items()}
        found["200"] = {"description": _REASONS[200], "headers": _headers(one, 200), "content": content}
    for status in sorted({*one.failures, *one.others}):
        schema = one.others.get(status) or ref("BedrockError" if one.native else "Error")
        if status == 401 and not keyed:
            continue
        headers = _headers(one, status) if status not in one.others else _headers(one, 200)
        content = {"application/json": {"schema": schema}}
        found[str(status)] = {"description": _REASONS[status], "headers": headers, "content": content}
    return found


def _header(about: str, schema: Schema, required: bool) -> dict[str, Any]:
    return {"description": about, "schema": schema, "required": required}


def _headers(one: Operation, status: int) -> dict[str, Any]:
    found = {"x-request-id": _header("The client's, or a new one.", _TEXT, True)}
    if one.native:
        found["x-amzn-requestid"] = _header("As Bedrock's.", _TEXT, True)
    if status == 200:
        if one.pictures:
            filtered = one.native  # a filtered prompt of Stability's is a 200 without a picture
            for name, (about, schema, always) in _FACTS.items():
                found[f"x-lascaux-{name}"] = _header(about, schema, always and not filtered)
        return found
    if one.pictures:
        for name in ("charged-usd", "joined"):
            about, schema, _ = _FACTS[name]
            found[f"x-lascaux-{name}"] = _header(about, schema, False)
    if one.native:
        found["x-amzn-errortype"] = _header("The type of the error, such as ValidationException.", _TEXT, True)
    else:
        found["x-should-retry"] = _header("May it be sent again?", {"enum": ["true", "false"]}, True)
    if status in (429, 503):
        found["retry-after"] = _header("Seconds.", _DIGITS, False)
    return found
