"""What the gateway answers to: one entry for each address and method. Pure.

Whoever adds an address to the application adds an `Operation` to `OPERATIONS`, and the shape of its answer to
`openapi_schemas` if that is JSON; text and pages are ``{"type": "string"}`` under their content type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .openapi_fields import Schema
from .openapi_schemas import ref

__all__ = ["OPERATIONS", "Operation", "parameter"]

_JSON, _FORM, _EVENTS = "application/json", "multipart/form-data", "text/event-stream"
_WORDS_ONLY: Schema = {"type": "string"}
_ASKED = (400, 401, 403, 404, 408, 413, 429)
"""What may be wrong with a request that has a body."""
_MADE = (*_ASKED, 500, 502, 503, 504)
_READ = (400, 401, 403)
_OPEN = (400, 403)
"""Of an address that needs no key: bad HTTP, and strangers' web pages at a gateway without keys."""
_NATIVE = (400, 403, 404, 408, 413, 424, 429, 503)
_LOOKED_UP = (400, 403, 404, 408, 413, 429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one address.

    ``answers`` and ``bodies`` are schemas by content type, ``failures`` statuses with the envelope of the address, which is
    Bedrock's if ``native``. ``others`` are further statuses, with another body. ``pictures``: the answer has the headers
    of `answers.headers`. ``examples`` are bodies, by name. Paths of ours are written with
    ``/v1``, though they are there without it, too.
    """

    method: str
    path: str
    id: str
    about: str
    tag: str
    answers: Mapping[str, Schema]
    more: str = ""
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    parameters: tuple[Schema, ...] = ()
    failures: tuple[int, ...] = _READ
    others: Mapping[int, Schema] = field(default_factory=dict)
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    keyed: bool = True
    """False for what is shown to everybody, keys or not."""
    native: bool = False
    pictures: bool = False


def parameter(name: str, place: str, about: str, schema: Schema | None = None, *, example: Any = None) -> Schema:
    """A parameter in the ``path``, the ``query`` or a ``header``."""
    found: Schema = {"name": name, "in": place, "description": about, "schema": schema or {"type": "string"}}
    if place == "path":
        found["required"] = True
    return found if example is None else {**found, "example": example}


_OTTER = {"model": "hero", "prompt": "A cute baby sea otter", "size": "1024x1024", "seed": 30}
_COLOURS = {
    "model": "amazon.nova-canvas-v1:0",
    "prompt": "A cute baby sea otter",
    "taskType": "COLOR_GUIDED_GENERATION",
    "colorGuidedGenerationParams": {"colors": ["#FFFFFF", "#0a4f6d"]},
}
_ONCE = parameter(
    "Idempotency-Key", "header", "The same body with the same key is answered with the same pictures for two minutes."
)
_NAME = parameter("name", "path", "An alias or a deployment; it may hold slashes.", example="hero")
_SPELLING = "Further spellings of a field, and LiteLLM's fields without effect here, are taken as well."


def _images(path: str, id: str, about: str, bodies: Mapping[str, Schema], **more: Any) -> Operation:
    answers = {_JSON: ref("ImagesAnswer"), _EVENTS: _STREAM}
    return Operation(
        method="post", path=f"/v1/images/{path}", id=id, about=about, tag="Pictures", answers=answers, bodies=bodies,
        parameters=(_ONCE,), failures=_MADE, pictures=True, more=_SPELLING, **more,
    )  # fmt: skip


_STREAM: Schema = {
    "type": "string",
    "description": "Server-sent events, one for each picture: `event` is the type, `data` is a PictureEvent.",
    "x-event-data": ref("PictureEvent"),
}
_WORDS = {_JSON: ref("ImagesRequest")}
_EITHER = {_JSON: ref("EditRequest"), _FORM: ref("EditForm")}
_INVOKED = parameter("modelId", "path", "An alias, a deployment, a model id, or an ARN.", example="hero")
_GUARDS = (
    parameter("X-Amzn-Bedrock-GuardrailIdentifier", "header", "A guardrail's id or ARN."),
    parameter("X-Amzn-Bedrock-GuardrailVersion", "header", "Its version, or DRAFT."),
    parameter("amz-sdk-invocation-id", "header", "AWS's SDKs send it: sendings of one call are answered once."),
)


def _look_up(path: str, id: str, about: str, answer: str, *parameters: Schema) -> Operation:
    return Operation(
        method="get", path=path, id=id, about=about, tag="Bedrock", answers={_JSON: ref(answer)}, native=True,
        parameters=parameters, failures=_LOOKED_UP,
    )  # fmt: skip


def _told(path: str, id: str, about: str, answer: str, tag: str, **more: Any) -> Operation:
    return Operation(method="get", path=path, id=id, about=about, tag=tag, answers={_JSON: ref(answer)}, **more)


OPERATIONS: tuple[Operation, ...] = (
    _images("generations", "generate", "Pictures from words", _WORDS, examples={"otter": _OTTER, "colours": _COLOURS}),
    _images("edits", "edit", "Pictures from pictures", _EITHER),
    _images("variations", "vary", "Variations of a picture", _EITHER),
    Operation(
        method="post", path="/v1/images/quote", id="quote", about="What a request would cost; nobody is called",
        tag="Beforehand", answers={_JSON: ref("Quote")}, bodies=_EITHER, failures=(*_ASKED, 500, 503),
        examples={"otter": _OTTER}, more=_SPELLING,
    ),
    Operation(
        method="post", path="/v1/images/explain", id="explain", about="Where a request would go, and why; nobody is called",
        tag="Beforehand", answers={_JSON: ref("Explanation")}, bodies=_EITHER, failures=(*_ASKED, 500, 503),
        examples={"otter": _OTTER}, more=_SPELLING,
    ),
    Operation(
        method="get", path="/v1/images/files/{name}", id="file", about="A picture behind a link", tag="Pictures",
        answers={f"image/{one}": {"type": "string", "format": "binary"} for one in ("png", "jpeg", "webp")},
        parameters=(
            parameter("name", "path", "As in the link."),
            parameter("expires", "query", "As in the link: seconds since 1970."),
            parameter("signature", "query", "As in the link."),
        ),
        failures=(*_OPEN, 404), keyed=False,
    ),
    _told("/v1/models", "models", "What requests may name", "ModelList", "Models"),
    _told("/v1/models/{name}", "model", "One of them", "Model", "Models", parameters=(_NAME,), failures=(*_READ, 404)),
    _told("/v1/usage", "usage", "What the key that asks has spent", "Usage", "Money"),
    _told("/admin/usage", "usage_of_all", "What every key has spent; with keys for admins", "UsageList", "Money"),
    _told("/health/live", "live", "The process answers", "Health", "Process", keyed=False, failures=_OPEN),
    _told(
        "/health/ready", "ready", "There is room, and somebody to ask", "Health", "Process", keyed=False, failures=_OPEN,
        others={503: ref("Health")},
    ),
    _told("/admin/status", "status", "How every deployment is doing; with keys for admins", "Status", "Process"),
    Operation(
        method="get", path="/metrics", id="metrics", about="For Prometheus; with keys for admins", tag="Process",
        answers={"text/plain": _WORDS_ONLY, "application/openmetrics-text": _WORDS_ONLY},
    ),
    Operation(
        method="get", path="/", id="page", about="The page", tag="Page", answers={"text/html": _WORDS_ONLY},
        keyed=False, failures=_OPEN,
    ),
    Operation(
        method="get", path="/static/{name}", id="static", about="A file of the page", tag="Page", keyed=False,
        answers={kind: _WORDS_ONLY for kind in ("text/css", "text/javascript", "image/svg+xml")},
        parameters=(parameter("name", "path", "Its name.", example="style.css"),), failures=(*_OPEN, 404),
    ),
    _told("/openapi.json", "openapi", "This description", "Description", "Process", keyed=False, failures=_OPEN),
    Operation(
        method="post", path="/model/{modelId}/invoke", id="invoke", about="InvokeModel", tag="Bedrock", native=True,
        answers={_JSON: ref("NativeAnswer")}, bodies={_JSON: ref("NativeBody")}, pictures=True, failures=_NATIVE,
        parameters=(_INVOKED, *_GUARDS), examples={"otter": {"prompt": "A cute baby sea otter", "seed": 30}},
    ),
    Operation(
        method="post", path="/model/{modelId}/{operation}", id="other", about="Operations that image models do not have",
        tag="Bedrock", native=True, answers={}, bodies={_JSON: ref("NativeBody")}, failures=_NATIVE,
        more="Always refused: image models have no streaming and no Converse.",
        parameters=(_INVOKED, parameter("operation", "path", "Such as converse.", example="converse")),
    ),
    _look_up(
        "/foundation-models", "ListFoundationModels", "The models behind what the key may use", "FoundationModelList",
        *(parameter(name, "query", "As in AWS's API.") for name in (
            "byProvider", "byOutputModality", "byInferenceType", "byCustomizationType"
        )),
    ),
    _look_up(
        "/foundation-models/{modelIdentifier}", "GetFoundationModel", "One of them", "FoundationModelAnswer",
        parameter("modelIdentifier", "path", "A model id or an ARN.", example="stability.stable-image-core-v1:1"),
    ),
    _look_up(
        "/inference-profiles", "ListInferenceProfiles", "Aliases, and AWS's own profiles", "InferenceProfileList",
        parameter("type", "query", "APPLICATION or SYSTEM_DEFINED."),
    ),
    _look_up(
        "/inference-profiles/{inferenceProfileIdentifier}", "GetInferenceProfile", "One of them", "InferenceProfile",
        parameter("inferenceProfileIdentifier", "path", "An id or an ARN.", example="hero"),
    ),
)  # fmt: skip
"""Every operation, in the order of the document."""
