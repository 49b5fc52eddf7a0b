"""From a request to an answer: credentials, identifier, faults, quota, lifecycle, validation, picture. No I/O."""

from __future__ import annotations

import logging
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from urllib.parse import unquote

import orjson

from . import control
from .alterations import altered
from .answers import Paint, answer
from .callers import Caller, Callers
from .errors import DEFAULT_MESSAGES, BedrockError, rejected
from .faults import Faults, Kind, Rule
from .identifiers import Destination, resolve
from .record import SECRET_HEADERS, Record
from .request import Answer, Request
from .validation import check, guess, parse

__all__ = ["BODY_MAX_BYTES", "Bedrock", "Reply"]

BODY_MAX_BYTES = 25_000_000
"""The longest body that InvokeModel takes (botocore's service model)."""

_INVOKE = re.compile(r"/model/(.+)/invoke")
_GUARDRAIL = ("x-amzn-bedrock-guardrailidentifier", "x-amzn-bedrock-guardrailversion")
_LOG = logging.getLogger("lascaux.emulator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, how it is to be delivered (``kind`` of the rule that applies), and what to remember. Times in seconds."""

    answer: Answer
    record: Record
    kind: Kind | None = None
    delay: float = 0.0
    trickle: float = 0.0
    close: bool = False


@dataclass(slots=True, kw_only=True)
class _Call:
    """What is learnt about one call on its way."""

    started: float
    request_id: str
    region: str | None = None
    model_id: str | None = None
    key_id: str | None = None
    body: dict[str, Any] | None = None
    rule: Rule | None = None
    error: BedrockError | None = None
    images: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Bedrock:
    """One look-alike service. ``faults`` may be replaced at any time."""

    callers: Callers
    faults: Faults
    paint: Paint
    profiles: Mapping[str, str]
    lifecycle: Literal["ignore", "enforce"]
    today: Callable[[], date]
    any_region: bool
    region: str | None
    latency: float
    rng: random.Random
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: Request, *, secure: bool) -> Reply:
        """Answer a request. Never raises: what goes wrong becomes an error answer."""
        call = _Call(started=time.time(), request_id=str(uuid.uuid4()))
        begun = time.perf_counter()
        try:
            reply = self._route(request, call, secure)
        except BedrockError as error:
            reply = _error_answer(error, call)
        except Exception:
            _LOG.exception("the emulator failed to answer %s", request.path)
            reply = _error_answer(
                BedrockError(500, "InternalServerException", "The emulator itself failed; see its log."), call
            )
        duration = time.perf_counter() - begun
        rule = call.rule
        if rule is None or rule.kind != "html":
            reply.headers[:0] = [("x-amzn-RequestId", call.request_id), *call.headers]
        slow = rule is not None and rule.kind == "slow"
        return Reply(
            answer=reply,
            record=_record(request, reply, call, duration),
            kind=rule.kind if rule else None,
            delay=self.latency + self.faults.latency + (rule.latency if rule and not slow else 0.0),
            trickle=rule.latency if rule and slow else 0.0,
            close=request.body_length > BODY_MAX_BYTES,
        )

    def _route(self, request: Request, call: _Call, secure: bool) -> Answer:
        if request.body_length > BODY_MAX_BYTES:
            raise rejected(
                "1 validation error detected: Value at 'body' failed to satisfy constraint: "
                f"Member must have length less than or equal to {BODY_MAX_BYTES}"
            )
        caller = self.callers.admit(request, secure=secure)
        call.key_id, call.region = caller.key_id, caller.region or self.region
        match = _INVOKE.fullmatch(request.path)
        if request.method == "POST" and match is not None:
            return self._invoke(request, call, caller, unquote(match[1]))
        if request.method == "GET":
            region = call.region = call.region or "us-east-1"
            enforce = self.lifecycle == "enforce"
            document = control.read(
                request.path, request.query, region, today=self.today(), enforce=enforce, profiles=self.profiles
            )
            return Answer(body=orjson.dumps(document))
        raise BedrockError(
            404, "UnknownOperationException", "The requested operation is not recognized by the service."
        )

    def _invoke(self, request: Request, call: _Call, caller: Caller, identifier: str) -> Answer:
        begun = time.perf_counter()
        call.model_id = identifier
        call.body = _peek(request.body)
        where = resolve(identifier, caller.region or self.region, profiles=self.profiles, any_region=self.any_region)
        call.region = where.region
        base = where.model.id if where.model else identifier
        call.rule = self.faults.strike(where.region, {identifier, base}, _prompt(call.body or {}))
        if call.rule is not None and (early := _early(call.rule)) is not None:
            return early
        self.faults.throttle(where.region, base)
        _check_headers(request)
        answer_body, call.images = self._draw(request, where, call.rule)
        latency = max(1, round((time.perf_counter() - begun) * 1000))
        call.headers.append(("X-Amzn-Bedrock-Invocation-Latency", str(latency)))
        return Answer(body=answer_body)

    def _draw(self, request: Request, where: Destination, rule: Rule | None) -> tuple[bytes, int]:
        if where.model is not None:
            self._check_life(where, where.model.status(self.today()))
        body = parse(request.body)
        model = where.model
        if model is None:
            model = guess(body)
            self._check_life(where, model.status(self.today()))
        job = check(model, body)
        with self._lock:
            rng = random.Random(self.rng.getrandbits(64))
        drawn = answer(job, altered(self.paint, rule), rng)
        return drawn.body, drawn.images

    def _check_life(self, where: Destination, status: str) -> None:
        if self.lifecycle == "enforce" and status == "EOL" and not where.dedicated:
            raise BedrockError(404, "ResourceNotFoundException", DEFAULT_MESSAGES["ResourceNotFoundException"])


def _early(rule: Rule) -> Answer | None:
    """The answers of rules that draw nothing."""
    match rule.kind:
        case "error":
            raise rule.error()
        case "html":
            status = rule.status or 502
            page = f"<html><body><h1>{status}</h1><p>{rule.message or 'Bad Gateway'}</p></body></html>"
            return Answer(status=status, body=page.encode(), content_type="text/html")
        case "drop" | "black_hole" | "empty":
            return Answer()
        case "garbage":
            return Answer(body=b'{"images": ["iVBORw0KGgo\xff\xfe <<this is not JSON>> \x00')
        case _:
            return None


def _error_answer(error: BedrockError, call: _Call) -> Answer:
    call.error = error
    headers = [("x-amzn-ErrorType", error.type_header)]
    if error.retry_after is not None:
        headers.append(("Retry-After", f"{error.retry_after:g}"))
    return Answer(status=error.status, headers=headers, body=error.body())


def _check_headers(request: Request) -> None:
    given = [name for name in _GUARDRAIL if request.header(name)]
    if len(given) == 1:
        raise rejected("The guardrail identifier and the guardrail version must be given together.")
    content_type = (request.header("content-type") or "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise rejected(
            f"The provided content type {content_type[:80]} is not supported by this model. Use application/json."
        )


def _peek(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _prompt(body: dict[str, Any]) -> str:
    """Every piece of text that could be a prompt, however wrong the rest of the body is."""
    found = [body.get(name) for name in ("prompt", "search_prompt", "select_prompt")]
    for name, params in body.items():
        if name.endswith("Params") and isinstance(params, dict):
            found += [params.get("text"), params.get("maskPrompt")]
    entries = body.get("text_prompts")
    if isinstance(entries, list):
        found += [entry.get("text") for entry in entries if isinstance(entry, dict)]
    return "\n".join(text for text in found if isinstance(text, str))


def _record(request: Request, reply: Answer, call: _Call, duration: float) -> Record:
    silent = call.rule is not None and call.rule.kind in ("drop", "black_hole")
    return Record(
        time=call.started,
        method=request.method,
        path=unquote(request.path),
        region=call.region,
        model_id=call.model_id,
        key_id=call.key_id,
        status=None if silent else reply.status,
        error_type=call.error.error_type if call.error else None,
        message=call.error.message if call.error else None,
        body=call.body,
        headers={name: value for name, value in request.headers if name not in SECRET_HEADERS},
        images=call.images,
        fault=call.rule.kind if call.rule else None,
        request_id=call.request_id,
        duration=duration,
    )
