"""What stands behind each address: thin, from a request to a response."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..providers.errors import LascauxError
from ..providers.types import Warning
from ..router.async_client import AsyncRouter
from ..router.explain import Quote
from ..router.records import Result
from .answers import document, events, headers
from .choices import choices_of_ids
from .edge import answer
from .errors import Refused, Stopped, failure_of
from .forms import read_fields
from .gate import Gate
from .intake import Intake
from .keys import Key
from .links import Links
from .native_answer import Reply
from .openai import Ask, Operation, bounded, read_ask
from .resends import Repeats, Resends
from .status import worker_status

__all__ = ["Endpoint", "Endpoints"]

log = logging.getLogger("lascaux.gateway")

Answer = Callable[[Request, list[bytes], Key], Awaitable[Response]]
"""The body comes in a list, to be taken out: a request waits long for its picture, and megabytes of it need not."""

_LONGEST_TOKEN = 255
_JUST_ENDED = 30.0
"""Seconds. OpenAI's clients send again after at most 8, but may have to connect anew."""

_LARGE = 4 * 1024 * 1024
"""Bytes of a body that are not read in the event loop: 20 MB take 35 ms."""


class Endpoint:
    """One address that takes bodies. Its request holds a place until the answer has been sent."""

    def __init__(self, gate: Gate, intake: Intake, make: Answer) -> None:
        self._gate = gate
        self._intake = intake
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A client that hangs up ends nothing: what it asked for is made, and kept in the cache."""
        request = Request(scope, receive)
        try:
            key = self._gate.identify(request.headers.get("authorization"))  # before a byte of the body is read
            async with self._intake.body(request) as body:
                holder = [body]
                del body
                response = await self._answered(request, holder, key)
                try:
                    async with asyncio.timeout(self._intake.bounds.answer_seconds):
                        await response(scope, receive, send)
                except TimeoutError:
                    log.warning("request %s: its client took too long to read the answer", scope["state"]["request_id"])
        except Refused as error:
            await answer(failure_of(error))(scope, receive, send)
        except ClientDisconnect:
            return

    async def _answered(self, request: Request, body: list[bytes], key: Key) -> Response:
        try:
            return await self._make(request, body, key)
        except LascauxError as error:
            return _response(_refusal(request, error))
        except asyncio.CancelledError:  # the time to drain is over: a bare 500 would make clients ask, and pay, again
            return _response(_refusal(request, Stopped()))


class Endpoints:
    """All of OpenAI's addresses, and our own beside them."""

    def __init__(
        self,
        router: AsyncRouter,
        *,
        gate: Gate,
        intake: Intake,
        links: Links,
        resends: Resends | None = None,
        public_url: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.router = router
        self.gate = gate
        self.intake = intake
        self.links = links
        self._public_url = public_url.rstrip("/") if public_url else None
        self._now = now
        self._started = int(now())
        self._named = resends or Resends(time.monotonic)
        self._counted = Resends(time.monotonic, keep=_JUST_ENDED)
        self._repeats = Repeats()

    async def finish(self) -> None:
        """Book what is under way, once the router is closed."""
        await self._named.finish()
        await self._counted.finish()

    def images(self, operation: Operation) -> Answer:
        """Pictures from words, or from pictures."""

        async def make(request: Request, body: list[bytes], key: Key) -> Response:
            resends, token = await self._sending(request, body, key)

            async def answered() -> Reply:
                try:
                    return await self._made(operation, request, body, key)
                except LascauxError as error:
                    return _refusal(request, error)

            return _response(await resends.once(token, answered))

        return make

    async def _made(self, operation: Operation, request: Request, body: list[bytes], key: Key) -> Reply:
        ask = await self._ask(operation, request, body, key)
        with await self.gate.admit_soon(key, ask.alias, lambda: self._quote(ask)) as admission:
            try:
                call = self._call(ask, key)
            except Exception:
                admission.withdraw()
                raise
            result = await call
            admission.settle(result)
        return self._respond(request, ask, result)

    async def _sending(self, request: Request, body: list[bytes], key: Key) -> tuple[Resends, str | None]:
        """Where earlier sendings of this call would be found, and under which token; None: there are none to expect."""
        name = request.headers.get("idempotency-key", "")[: _LONGEST_TOKEN + 1]
        sent = request.headers.get("x-stainless-retry-count", "")
        named, counted = 0 < len(name) <= _LONGEST_TOKEN, sent.isascii() and sent.isdecimal() and len(sent) < 5
        if not named and not counted:
            return self._named, None
        parts = (key.name, request.url.path.removeprefix("/v1"), name if named else "")
        if len(body[0]) > _LARGE:
            content = await asyncio.to_thread(_digest, parts, request.headers.get("content-type", ""), body[0])
        else:
            content = _digest(parts, request.headers.get("content-type", ""), body[0])
        return (self._named, content) if named else (self._counted, self._repeats.token(content, int(sent)))

    async def quote(self, request: Request, body: list[bytes], key: Key) -> Response:
        """What a generation or an edit would cost."""
        ask = await self._ask(Operation.EDIT, request, body, key)
        self.gate.permit(key, ask.alias)
        return _json((await self._quote(ask, self._tenant(key))).as_dict())

    async def explain(self, request: Request, body: list[bytes], key: Key) -> Response:
        """Where a generation or an edit would go, and why."""
        ask = await self._ask(Operation.EDIT, request, body, key)
        self.gate.permit(key, ask.alias)
        told = await self.router.explain(ask.alias, ask.prompt, tenant=self._tenant(key), **ask.whole())
        return _json(told.as_dict())

    async def models(self, request: Request) -> Response:
        """Every alias and deployment that the key may name."""
        key = self._identify(request)
        return _json({"object": "list", "data": [self._model(name) for name in self._names(key)]})

    async def model(self, request: Request) -> Response:
        """One of them, or a model that passes through."""
        key, name = self._identify(request), request.path_params["name"]
        if self.router.config.alias(name) is None or not key.may_use(name):
            message = f"no alias or deployment is called {name[:200]!r}"
            raise Refused(message, status=404, code="model_not_found", parameter="model")
        return _json(self._model(name, whole=True))

    async def usage(self, request: Request) -> Response:
        """What the key that asks has spent, beside its limits."""
        return _json(self.gate.usage(self._identify(request)))

    async def usage_of_all(self, request: Request) -> Response:
        """The same of every key, for admins."""
        self.gate.identify_admin(request.headers.get("authorization"))
        return _json({"object": "list", "data": self.gate.usage_of_all()})

    async def status(self, request: Request) -> Response:
        """How every deployment is doing, and what was spent today: for admins, or without keys for everybody."""
        self.gate.identify_watcher(request.headers.get("authorization"))
        now = datetime.fromtimestamp(self._now(), UTC)
        told = worker_status(
            self.router.status(), self.gate, in_flight=self.intake.in_flight, shared=self.gate.shared, now=now
        )
        return _json(told)

    async def file(self, request: Request) -> Response:
        """A picture behind a link of a ``url`` answer."""
        query = request.query_params
        found = self.links.find(request.path_params["name"], query.get("expires", ""), query.get("signature", ""))
        if found is None:
            message = "there is no picture here: the link is wrong or over, or the picture had to make room"
            raise Refused(message, status=404, code="not_found")
        kept = {"cache-control": "private, max-age=3600", "content-disposition": "inline"}
        return Response(found.data, headers=kept, media_type=found.media_type)

    async def live(self, request: Request) -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """There is somebody to ask, and room to ask in."""
        full = self.intake.in_flight >= self.intake.bounds.in_flight
        good = bool(self.router.aliases or self.router.config.aliases) and not full
        return _json({"status": "ok" if good else "busy" if full else "no aliases"}, 200 if good else 503)

    def _identify(self, request: Request) -> Key:
        return self.gate.identify(request.headers.get("authorization"))

    def _names(self, key: Key) -> list[str]:
        return [name for name in self.router.aliases if key.may_use(name)]

    async def _ask(self, operation: Operation, request: Request, body: list[bytes], key: Key) -> Ask:
        content_type = request.headers.get("content-type", "")
        if len(body[0]) > _LARGE:
            fields = await asyncio.to_thread(read_fields, content_type, body.pop())
        else:
            fields = read_fields(content_type, body.pop())
        ask = read_ask(operation, fields, self._names(key))
        alias = self.router.config.alias(ask.alias)
        retry = (alias.retry if alias else None) or self.router.config.retry
        return bounded(ask, retry.deadline)

    async def _quote(self, ask: Ask, tenant: str | None = None) -> Quote:
        return await self.router.quote(ask.alias, ask.prompt, tenant=tenant, **ask.whole())

    def _tenant(self, key: Key) -> str | None:
        """Answers in the cache are not shared between keys: one must not find out what another has asked."""
        return key.name if self.gate.keyed else None

    def _call(self, ask: Ask, key: Key) -> Coroutine[Any, Any, Result]:
        """The call, not yet begun."""
        tenant = self._tenant(key)
        if ask.operation is Operation.VARIATION:
            more = {"prompt": ask.prompt} if ask.prompt else {}
            return self.router.variation(ask.alias, image=ask.image, tenant=tenant, **ask.params, **more)
        if ask.calls_edit:
            return self.router.edit(ask.alias, ask.prompt, image=ask.image, tenant=tenant, **ask.params)
        return self.router.generate(ask.alias, ask.prompt, tenant=tenant, **ask.params)

    def _respond(self, request: Request, ask: Ask, result: Result) -> Reply:
        warnings: list[Warning] = [*ask.warnings, *result.warnings]
        links: Sequence[str | None] = [None] * len(result.images)
        if ask.url:
            links = [self._link(request, image.bytes, image.format) for image in result.images]
            if None in links:
                message = "a picture was too large to be kept for a link, so it came as base64"
                warnings.append(Warning(code="adapted", parameter="response_format", message=message))
        marks = headers(result, warnings)
        if ask.stream:
            body = b"".join(events(ask, result, warnings, links, int(self._now())))
            marks["cache-control"] = "no-cache"
            return Reply(status=200, body=body, headers=marks | {"content-type": "text/event-stream; charset=utf-8"})
        body = document(ask, result, warnings, links, int(self._now()))
        return Reply(status=200, body=body, headers=marks | {"content-type": "application/json"})

    def _link(self, request: Request, data: bytes, format: str) -> str | None:
        path = self.links.keep(data, format)
        base = self._public_url or str(request.base_url).rstrip("/")
        return None if path is None else f"{base}/v1/images/files/{path}"

    def _model(self, name: str, *, whole: bool = False) -> dict[str, Any]:
        """OpenAI's four fields, and which models are behind the name; the ``whole`` of it has what a form needs."""
        config = self.router.config
        alias = config.alias(name)
        uses = [config.deployments[use.deployment] for use in alias.uses] if alias else []
        choices = self._choices(name)
        facts = {
            "kind": "alias" if name in config.aliases else "deployment",
            "models": list(dict.fromkeys(one.model for one in uses)),
            "fallbacks": list(alias.fallbacks) if alias else [],
            "tasks": list(choices["tasks"]),
            **({"choices": choices} if whole else {}),
        }
        return {"id": name, "object": "model", "created": self._started, "owned_by": "lascaux", "lascaux": facts}

    def _choices(self, name: str) -> dict[str, Any]:
        """What may be asked of it. A model that passes through is looked up and not made: nobody has asked it yet."""
        config = self.router.config
        alias = config.alias(name)
        passed = alias.model_of(name) if alias and name not in self.router.aliases else None
        models = (passed,) if passed else self.router.models(name)
        today = datetime.fromtimestamp(self._now(), UTC).date()
        return choices_of_ids(models, today, config.lifecycle.retired == "refuse")


def _json(plain: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(plain), status, media_type="application/json")


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, headers=dict(reply.headers))


def _refusal(request: Request, error: LascauxError) -> Reply:
    failure = failure_of(error)
    if failure.status >= 500:
        log.warning("request %s: %s", request.scope["state"]["request_id"], error)
    response = answer(failure)
    return Reply(status=failure.status, body=bytes(response.body), headers=dict(response.headers))


def _digest(parts: Sequence[str], content_type: str, body: bytes) -> str:
    """What all sendings of a call have in common. Clients make up another boundary for each sending of a form."""
    boundary = content_type.partition("boundary=")[2].partition(";")[0].strip().strip('"')
    if len(boundary) > 7:
        body = body.replace(boundary.encode("utf-8", "surrogateescape"), b"")
    digest = hashlib.blake2b(body, digest_size=16)
    for part in parts:
        digest.update(f"\0{part}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
