"""The Bedrock-shaped endpoint: a program that was written for boto3 works with ``endpoint_url`` at the gateway.

``POST /model/{modelId}/invoke`` and the look-ups of the control plane. Thin: bodies are read in ``native_request``, names in
``native_names``, answers written in ``native_answer``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from time import monotonic
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ..providers.errors import InvalidRequest
from ..router.async_client import AsyncRouter
from ..router.interest import CLIENT_LEFT, Interest
from ..router.records import Result
from .answers import charge, joined
from .aside import aside
from .errors import Refused, Stopped
from .gate import Gate
from .intake import Intake
from .keys import ANYBODY, Key
from .native_answer import Reply, failed, found, served
from .native_control import model_details, model_summaries, profile, profile_summaries
from .native_names import offers, resolve
from .native_request import MAX_BODY, Dialect, Invocation, read_invocation
from .pieces import Pieces
from .presence import Client, Presence, presence_of
from .sendings import Sendings
from .sigv4 import ALGORITHM, Opened, SignatureError, Signed, Verifier
from .story import Notes, notes_of

__all__ = ["NativeEndpoints", "is_native", "routes"]

log = logging.getLogger("lascaux.gateway")

_LONGEST_TOKEN = 128
_FIRST = re.compile(r"(?:^|;)\s*attempt=1\s*(?:;|$)")
_PLACES = frozenset(("model", "foundation-models", "inference-profiles"))
_JSON = ("", "*/*", "application/*", "application/json")

Make = Callable[[Request, list[bytes], str, Key], Awaitable[Reply]]
"""(request, body to be taken out, id of the answer, who asks) -> the answer: a picture is waited for without it."""


def routes(
    router: AsyncRouter,
    gate: Gate | None = None,
    *,
    intake: Intake | None = None,
    verifier: Verifier | None = None,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    clock: Callable[[], float] = monotonic,
    sendings: Sendings | None = None,
) -> list[BaseRoute]:
    """Bedrock's addresses, for an application. Without a ``gate`` everybody may ask; ``verifier`` checks SigV4.

    Make the router with ``picture_files=False``, as for every application that strangers reach.
    """
    endpoints = NativeEndpoints(router, gate, today=today, sendings=sendings or Sendings(clock))
    door = _Door(intake or Intake(), gate, verifier or Verifier(()))
    posts = {
        "/model/{model_id:path}/invoke": endpoints.invoke,
        "/model/{model_id:path}/{operation}": endpoints.other,
    }
    gets = {
        "/foundation-models": endpoints.models,
        "/foundation-models/{model_id:path}": endpoints.model,
        "/inference-profiles": endpoints.profiles,
        "/inference-profiles/{name:path}": endpoints.profile,
    }
    return [
        Route(path, _Address(door, make), methods=[method])
        for method, table in (("POST", posts), ("GET", gets))
        for path, make in table.items()
    ]


def is_native(path: str) -> bool:
    """Is this one of Bedrock's addresses, or below one?"""
    return path.lstrip("/").partition("/")[0] in _PLACES


class _Door:
    """Where callers say who they are: by bearer key or SigV4, and without keys anybody is let in, whatever is said."""

    def __init__(self, intake: Intake, gate: Gate | None, verifier: Verifier) -> None:
        self.intake = intake
        self._lobby = intake.lobby(MAX_BODY)
        self._gate = gate
        self._verifier = verifier

    @asynccontextmanager
    async def caller(self, request: Request) -> AsyncIterator[tuple[Key, list[bytes]]]:
        """Who asks, and the body in a list to be taken out, with a place that is held for as long as this lasts.

        Nothing is read of who is not known. Whoever signs without a digest of the body can be known by it only: until
        then they wait in the lobby. Raises `Refused`, SignatureError, ClientDisconnect.
        """
        who = self._known(request)
        if isinstance(who, Opened) and not who.proven:
            async with self._lobby.body(request, MAX_BODY) as body:
                key = await self._finished(who, body)
            held = [body]
            async with self.intake.place(len(body)):
                del body
                yield key, held
            return
        name, reading = self._share(who)
        async with self.intake.body(request, MAX_BODY, who=name, most_reading=reading) as body:
            key = await self._finished(who, body) if isinstance(who, Opened) else who
            held = [body]
            del body
            yield key, held

    def _share(self, who: Key | Opened) -> tuple[str, int | None]:
        """Whose body it is, and how many of theirs may come at the same time."""
        if self._gate is None:
            return "", None
        key = self._gate.named(who.pair.key) if isinstance(who, Opened) else who
        return key.name, self._gate.bodies(key, self.intake.bounds.in_flight)

    def _known(self, request: Request) -> Key | Opened:
        """By the headers alone."""
        if self._gate is None:
            return ANYBODY
        authorization = request.headers.get("authorization", "")
        if not self._gate.keyed or not authorization.startswith(ALGORITHM):
            return self._gate.identify(authorization)
        return self._verifier.open(_signed(request))

    async def _finished(self, opened: Opened, body: bytes) -> Key:
        assert self._gate is not None
        return self._gate.named(await aside(len(body), opened.finish, body))


class _Address:
    """One address. Its request holds a place until the answer has been sent; every error is told in Bedrock's words."""

    def __init__(self, door: _Door, make: Make) -> None:
        self._door = door
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every error is told in Bedrock's words.

        A client that hangs up ends nothing that was sent to a model: it is made, and kept in the cache.
        """
        request, request_id, presence = Request(scope, receive), str(uuid4()), Presence()
        notes = notes_of(scope)
        try:
            async with self._door.caller(request) as (key, body):
                notes.key = key.name
                notes.complete(len(body[0]))
                async with presence.watched(request, receive):
                    response = _response(await self._made(request, body, request_id, key))
                    notes.answered()
                if presence.left:
                    notes.left()
                    return
                try:
                    async with asyncio.timeout(self._door.intake.bounds.answer_seconds):
                        await response(scope, receive, send)
                except TimeoutError:
                    log.warning("request %s: its client took too long to read the answer", request_id)
        except (Refused, SignatureError) as error:
            notes.refused(error)
            await _response(failed(error, None, request_id))(scope, receive, send)
        except ClientDisconnect:
            return

    async def _made(self, request: Request, body: list[bytes], request_id: str, key: Key) -> Reply:
        try:
            return await self._make(request, body, request_id, key)
        except Exception as error:
            notes_of(request.scope).refused(error)
            return _told(error, None, request_id)
        except asyncio.CancelledError:  # the time to drain is over: a bare 500 would make SDKs ask, and pay, again
            notes_of(request.scope).refused(Stopped())
            return _told(Stopped(), None, request_id)


def _told(error: Exception, dialect: Dialect | None, request_id: str, name: str = "") -> Reply:
    """An error as an answer; what is not the caller's fault is logged."""
    reply = failed(error, dialect, request_id, name=name)
    if reply.status in (408, 424) or (reply.status >= 500 and getattr(error, "code", None) != CLIENT_LEFT):
        unexpected = None if hasattr(error, "code") else error
        log.warning("request %s: %s", request_id, error, exc_info=unexpected)
    return reply


def _response(reply: Reply) -> Response:
    return Pieces(reply.body, reply.status, headers=dict(reply.headers))


class NativeEndpoints:
    """What stands behind Bedrock's addresses."""

    def __init__(
        self,
        router: AsyncRouter,
        gate: Gate | None,
        *,
        today: Callable[[], date],
        sendings: Sendings,
    ) -> None:
        self._router = router
        self._gate = gate
        self._today = today
        self._sendings = sendings

    async def invoke(self, request: Request, body: list[bytes], request_id: str, key: Key) -> Reply:
        """InvokeModel."""
        _check(request)
        model_id = request.path_params["model_id"]
        size = len(body[0])
        token = await aside(size, _token, request, key, body[0])
        invocation = await aside(size, read_invocation, model_id, body.pop(), request.headers)
        name, notes = resolve(self._router.config, model_id, key.may_use), notes_of(request.scope)
        interest = Interest()

        async def make() -> Reply:
            notes.asked(name, invocation.prompt, lambda: invocation.params)
            try:
                result = await self._perform(key, name, invocation, interest, notes)
                reply = served(result, invocation.dialect, request_id)
                return replace(
                    reply, headers={**reply.headers, **charge(notes.charged_usd)}, story=notes.served(result)
                )
            except Exception as error:
                reply = _told(error, invocation.dialect, request_id, name)
                paid = charge(notes.charged_usd or None)
                return replace(reply, headers={**reply.headers, **paid}, story=notes.failed(error))
            except BaseException:
                notes.failed(Stopped())
                raise

        client = Client(interest=interest, presence=presence_of(request))
        reply = await self._sendings.once(token, make, client, again=_is_later(request))
        notes.told(reply.story)
        return replace(reply, headers=joined(reply.headers)) if notes.joined else reply

    async def _perform(self, key: Key, name: str, invocation: Invocation, interest: Interest, notes: Notes) -> Result:
        """Let in, made, and booked."""
        prompt, params = invocation.prompt, dict(invocation.params)
        if self._gate is None:
            return await self._router.generate(name, prompt, interest=interest, **params)
        if self._gate.keyed:
            params["tenant"] = key.name  # what one key has paid for is not shown to another
        ask = partial(self._router.prices, name, prompt, **params)
        async with await self._gate.admit_soon(key, name, ask, notes.charged) as admission:
            result = await self._router.generate(name, prompt, interest=interest, **params)
            await admission.settle_soon(result)
            return result

    async def other(self, request: Request, body: list[bytes], request_id: str, key: Key) -> Reply:
        """Operations that image models do not have: streaming, Converse."""
        operation = request.path_params["operation"][:60]
        message = f"The operation {operation!r} is not supported for image models; use InvokeModel."
        raise InvalidRequest(message, parameter="operation", allowed="invoke", nearest="invoke")

    async def models(self, request: Request, body: list[bytes], request_id: str, key: Key) -> Reply:
        """ListFoundationModels."""
        names = self._names(key)
        return found(model_summaries(self._router.config, names, self._today(), request.query_params), request_id)

    async def model(self, request: Request, body: list[bytes], request_id: str, key: Key) -> Reply:
        """GetFoundationModel."""
        names = self._names(key)
        wanted = request.path_params["model_id"]
        return found(model_details(self._router.config, names, self._today(), wanted), request_id)

    async def profiles(self, request: Request, body: list[bytes], request_id: str, key: Key) -> Reply:
        """ListInferenceProfiles."""
        names = self._names(key)
        return found(profile_summaries(self._router.config, names, request.query_params), request_id)

    async def profile(self, request: Request, body: list[bytes], request_id: str, key: Key) -> Reply:
        """GetInferenceProfile."""
        names = self._names(key)
        return found(profile(self._router.config, names, request.path_params["name"]), request_id)

    def _names(self, key: Key) -> Sequence[str]:
        """What the caller may see: only what it may use."""
        return [name for name in offers(self._router.config) if key.may_use(name)]


def _signed(request: Request) -> Signed:
    """The head of the request as it stood on the wire: the signature is over the path before it was decoded."""
    scope = request.scope
    return Signed(
        method=request.method,
        path=scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=[(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
        body=b"",
    )


def _check(request: Request) -> None:
    """What Bedrock checks before it looks into a body."""
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    if not any(part in _JSON for part in accepted):
        message = "The Accept type is invalid. Answers are application/json."
        raise InvalidRequest(message, parameter="accept", allowed="application/json", nearest="application/json")


def _token(request: Request, key: Key, body: bytes) -> str | None:
    """What two sendings of one call have in common, and no other call has."""
    invocation = request.headers.get("amz-sdk-invocation-id", "")
    if not invocation or len(invocation) > _LONGEST_TOKEN:
        return None
    digest = hashlib.blake2b(body, digest_size=16)
    for part in (key.name, invocation, request.url.path):
        digest.update(f"\0{part}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _is_later(request: Request) -> bool:
    """False only for what says that it is the first sending: ``amz-sdk-request: attempt=1`` (botocore, ``handlers.py``)."""
    return _FIRST.search(request.headers.get("amz-sdk-request", "")) is None
