"""What stands behind each address: thin, from a request to a response."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..providers.errors import LascauxError
from ..providers.types import Warning
from ..router.async_client import AsyncRouter
from ..router.explain import Quote
from ..router.interest import CLIENT_LEFT, Interest
from ..router.listing import PriceList
from ..router.records import Result
from .answers import charge, document, events, headers, joined
from .aside import aside
from .choices import choices_of_ids
from .edge import answer
from .errors import Refused, Stopped, failure_of
from .forms import read_fields
from .gate import Gate
from .intake import Intake, header
from .keys import Key
from .links import Links
from .native_answer import Reply
from .openai import Ask, Operation, bounded, read_ask
from .peers import Peers
from .pieces import Pieces
from .presence import Client, Presence, presence_of
from .sendings import Sendings
from .shelf import Shelf
from .status import merged, worker_status
from .story import Notes, notes_of

__all__ = ["Endpoint", "Endpoints"]

log = logging.getLogger("lascaux.gateway")

Answer = Callable[[Request, list[bytes], Key], Awaitable[Response]]
"""The body comes in a list, to be taken out: a request waits long for its picture, and megabytes of it need not."""

_LONGEST_TOKEN = 255


class Endpoint:
    """One address that takes bodies. Its request holds a place until the answer has been sent."""

    def __init__(self, gate: Gate, intake: Intake, make: Answer) -> None:
        self._gate = gate
        self._intake = intake
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        A client that hangs up ends nothing that was sent to a model: it is made, and kept in the cache.
        """
        request, presence = Request(scope, receive), Presence()
        notes = notes_of(scope)
        try:
            key = self._gate.identify(header(request, b"authorization"))  # before a byte of the body is read
            notes.key = key.name
            async with self._intake.body(request, who=key.name, most_reading=self._reading(key)) as body:
                notes.complete(len(body))
                holder = [body]
                del body
                async with presence.watched(request, receive):
                    response = await self._answered(request, holder, key)
                    notes.answered()
                if presence.left:
                    notes.left()
                    return
                try:
                    async with asyncio.timeout(self._intake.bounds.answer_seconds):
                        await response(scope, receive, send)
                except TimeoutError:
                    log.warning("request %s: its client took too long to read the answer", scope["state"]["request_id"])
        except Refused as error:
            notes.refused(error)
            await answer(failure_of(error))(scope, receive, send)
        except ClientDisconnect:
            return

    def _reading(self, key: Key) -> int | None:
        return self._gate.bodies(key, self._intake.bounds.in_flight)

    async def _answered(self, request: Request, body: list[bytes], key: Key) -> Response:
        try:
            return await self._make(request, body, key)
        except LascauxError as error:
            notes_of(request.scope).refused(error)
            return _response(_refusal(request, error))
        except asyncio.CancelledError:  # the time to drain is over: a bare 500 would make clients ask, and pay, again
            notes_of(request.scope).refused(Stopped())
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
        shelf: Shelf | None = None,
        sendings: Sendings | None = None,
        peers: Peers | None = None,
        public_url: str | None = None,
        now: Callable[[], float] = time.time,
        worker: int | None = None,
    ) -> None:
        self.router = router
        self.gate = gate
        self.intake = intake
        self.links = links
        self.shelf = shelf or Shelf(links)
        self._public_url = public_url.rstrip("/") if public_url else None
        self._now = now
        self._started = int(now())
        self._marks = {} if worker is None else {"x-lascaux-worker": str(worker)}
        self.peers = peers or Peers.none()
        self._sendings = sendings or Sendings(time.monotonic)

    async def finish(self) -> None:
        """Book what is under way, once the router is closed."""
        await self._sendings.finish()
        self.shelf.close()

    def images(self, operation: Operation) -> Answer:
        """Pictures from words, or from pictures."""

        async def make(request: Request, body: list[bytes], key: Key) -> Response:
            interest, notes = Interest(), notes_of(request.scope)

            async def answered() -> Reply:
                try:
                    return await self._made(operation, request, body, key, interest, notes)
                except LascauxError as error:
                    return replace(_refusal(request, error, notes.charged_usd), story=notes.failed(error))
                except BaseException as error:
                    notes.failed(Stopped() if isinstance(error, asyncio.CancelledError) else error)
                    raise

            reply = await self._once(request, body, key, answered, interest)
            notes.told(reply.story)
            return _response(replace(reply, headers=joined(reply.headers)) if notes.joined else reply)

        return make

    async def _made(
        self, operation: Operation, request: Request, body: list[bytes], key: Key, interest: Interest, notes: Notes
    ) -> Reply:
        ask = await self._ask(operation, request, body, key)
        notes.asked(ask.alias, ask.prompt, ask.whole)
        async with await self.gate.admit_soon(key, ask.alias, lambda: self._prices(ask), notes.charged) as admission:
            try:
                call = self._call(ask, key, interest)
            except Exception:
                await admission.withdraw_soon()
                raise
            result = await call
            await admission.settle_soon(result)
        return await self._respond(request, ask, result, notes)

    async def _once(
        self, request: Request, body: list[bytes], key: Key, make: Callable[[], Awaitable[Reply]], interest: Interest
    ) -> Reply:
        """The answer for this sending and for all others of its call."""
        name = (header(request, b"idempotency-key") or "")[: _LONGEST_TOKEN + 1]
        sent = header(request, b"x-stainless-retry-count") or ""
        named, counted = 0 < len(name) <= _LONGEST_TOKEN, sent.isascii() and sent.isdecimal() and len(sent) < 5
        client = Client(interest=interest, presence=presence_of(request))
        if not named and not counted:
            return await self._sendings.once(None, make, client)
        parts = (key.name, str(request.scope["path"]).removeprefix("/v1"), name if named else "")
        content = await aside(len(body[0]), _digest, parts, header(request, b"content-type") or "", body[0])
        if named:
            return await self._sendings.once(content, make, client, again=True)
        return await self._sendings.repeated(content, int(sent), make, client)

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
        return _json(await self.gate.usage_soon(self._identify(request)))

    async def usage_of_all(self, request: Request) -> Response:
        """The same of every key: for admins, or without keys for everybody."""
        self.gate.identify_watcher(request.headers.get("authorization"))
        return _json({"object": "list", "data": await self.gate.usage_of_all_soon()})

    async def status(self, request: Request) -> Response:
        """How every deployment is doing, and what was spent today: for admins, or without keys for everybody."""
        self.gate.identify_watcher(request.headers.get("authorization"))
        told = await self.peers.gather("status")
        return _json(merged([orjson.loads(one) for one in told.values()], self.router.config.deployments))

    async def told_status(self, question: bytes = b"") -> bytes:
        """What this worker knows of it."""
        try:
            spend = await self.gate.usage_of_all_soon()
        except Refused:
            spend = None
        now = datetime.fromtimestamp(self._now(), UTC)
        return orjson.dumps(worker_status(self.router.status(), spend, in_flight=self.intake.in_flight, now=now))

    async def file(self, request: Request) -> Response:
        """A picture behind a link of a ``url`` answer."""
        query = request.query_params
        found = await self.links.seek(request.path_params["name"], query.get("expires", ""), query.get("signature", ""))
        if found is None:
            message = "there is no picture here: the link is wrong or over, or the picture had to make room"
            raise Refused(message, status=404, code="not_found")
        kept = {"cache-control": "private, max-age=3600", "content-disposition": "inline"}
        return Pieces(found.data, headers=kept, media_type=found.media_type)

    async def live(self, request: Request) -> Response:
        """The process answers."""
        return _json({"status": "ok"}, marks=self._marks)

    async def ready(self, request: Request) -> Response:
        """There is somebody to ask, and room to ask in."""
        full = self.intake.full
        good = bool(self.router.aliases or self.router.config.aliases) and not full
        return _json({"status": "ok" if good else "busy" if full else "no aliases"}, 200 if good else 503, self._marks)

    def _identify(self, request: Request) -> Key:
        return self.gate.identify(request.headers.get("authorization"))

    def _names(self, key: Key) -> list[str]:
        return [name for name in self.router.aliases if key.may_use(name)]

    async def _ask(self, operation: Operation, request: Request, body: list[bytes], key: Key) -> Ask:
        content_type = header(request, b"content-type") or ""
        fields = await aside(len(body[0]), read_fields, content_type, body.pop())
        ask = read_ask(operation, fields, lambda: self._names(key), lambda name: self._choices(name)["tasks"])
        alias = self.router.config.alias(ask.alias)
        retry = (alias.retry if alias else None) or self.router.config.retry
        return bounded(ask, retry.deadline)

    async def _quote(self, ask: Ask, tenant: str | None) -> Quote:
        return await self.router.quote(ask.alias, ask.prompt, tenant=tenant, **ask.whole())

    async def _prices(self, ask: Ask) -> Quote | PriceList:
        return await self.router.prices(ask.alias, ask.prompt, **ask.whole())

    def _tenant(self, key: Key) -> str | None:
        """Answers in the cache are not shared between keys: one must not find out what another has asked."""
        return key.name if self.gate.keyed else None

    def _call(self, ask: Ask, key: Key, interest: Interest) -> Coroutine[Any, Any, Result]:
        """The call, not yet begun."""
        way: dict[str, Any] = {"tenant": self._tenant(key), "interest": interest}
        if ask.operation is Operation.VARIATION:
            more = {"prompt": ask.prompt} if ask.prompt else {}
            return self.router.variation(ask.alias, image=ask.image, **way, **ask.params, **more)
        if ask.calls_edit:
            return self.router.edit(ask.alias, ask.prompt, image=ask.image, **way, **ask.params)
        return self.router.generate(ask.alias, ask.prompt, **way, **ask.params)

    async def _respond(self, request: Request, ask: Ask, result: Result, notes: Notes) -> Reply:
        charged = notes.charged_usd
        warnings: list[Warning] = [*ask.warnings, *result.warnings]
        links: Sequence[str | None] = [None] * len(result.images)
        if ask.url:
            base = self._public_url or str(request.base_url).rstrip("/")
            request_id = request.scope["state"]["request_id"]
            linked = await self.shelf.links(result.images, base=base, request_id=request_id)
            links = linked.links
            warnings += linked.warnings
        marks = headers(result, warnings) | charge(charged)
        if ask.stream:
            body = events(ask, result, warnings, links, int(self._now()), charged)
            marks |= {"cache-control": "no-cache", "content-type": "text/event-stream; charset=utf-8"}
        else:
            body = document(ask, result, warnings, links, int(self._now()), charged)
            marks["content-type"] = "application/json"
        return Reply(status=200, body=body, headers=marks, story=notes.served(result))

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


def _json(plain: Any, status: int = 200, marks: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(plain), status, headers=marks, media_type="application/json")


def _response(reply: Reply) -> Response:
    return Pieces(reply.body, reply.status, headers=reply.headers)


def _refusal(request: Request, error: LascauxError, charged: Decimal | None = None) -> Reply:
    failure = failure_of(error)
    if charged:
        failure = replace(failure, more=failure.more | {"charged_usd": f"{charged:f}"})
    if failure.status >= 500 and failure.code != CLIENT_LEFT:
        log.warning("request %s: %s", request.scope["state"]["request_id"], error)
    response = answer(failure)
    return Reply(
        status=failure.status, body=bytes(response.body), headers=dict(response.headers) | charge(charged or None)
    )


def _digest(parts: Sequence[str], content_type: str, body: bytes) -> str:
    """What all sendings of a call have in common. Clients make up another boundary for each sending of a form."""
    boundary = content_type.partition("boundary=")[2].partition(";")[0].strip().strip('"')
    if len(boundary) > 7:
        body = body.replace(boundary.encode("utf-8", "surrogateescape"), b"")
    digest = hashlib.blake2b(body, digest_size=16)
    for part in parts:
        digest.update(f"\0{part}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
