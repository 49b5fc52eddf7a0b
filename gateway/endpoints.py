"""What stands behind each address: thin, from a request to a response."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..providers.errors import LascauxError
from ..providers.types import Warning
from ..router.async_client import AsyncRouter
from ..router.records import Result
from .answers import document, events, headers
from .edge import answer
from .errors import Refused, failure_of
from .forms import read_fields
from .intake import Intake
from .links import Links
from .openai import Ask, Operation, read_ask

__all__ = ["Endpoint", "Endpoints"]

log = logging.getLogger("lascaux.gateway")

Answer = Callable[[Request, bytes], Awaitable[Response]]


class Endpoint:
    """One address that takes bodies. Its request holds a place until the answer has been sent."""

    def __init__(self, intake: Intake, make: Answer) -> None:
        self._intake = intake
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A client that hangs up ends nothing: what it asked for is made, and kept in the cache."""
        request = Request(scope, receive)
        try:
            async with self._intake.body(request) as body:
                response = await self._answered(request, body)
                try:
                    async with asyncio.timeout(self._intake.bounds.answer_seconds):
                        await response(scope, receive, send)
                except TimeoutError:
                    log.warning("request %s: its client took too long to read the answer", scope["state"]["request_id"])
        except Refused as error:
            await answer(failure_of(error))(scope, receive, send)
        except ClientDisconnect:
            return

    async def _answered(self, request: Request, body: bytes) -> Response:
        try:
            return await self._make(request, body)
        except LascauxError as error:
            failure = failure_of(error)
            if failure.status >= 500:
                log.warning("request %s: %s", request.scope["state"]["request_id"], error)
            return answer(failure)


class Endpoints:
    """All of OpenAI's addresses, and our own beside them."""

    def __init__(
        self,
        router: AsyncRouter,
        *,
        intake: Intake,
        links: Links,
        public_url: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.router = router
        self.intake = intake
        self.links = links
        self._public_url = public_url.rstrip("/") if public_url else None
        self._now = now
        self._started = int(now())

    def images(self, operation: Operation) -> Answer:
        """Pictures from words, or from pictures."""

        async def make(request: Request, body: bytes) -> Response:
            ask = await self._ask(operation, request, body)
            result = await self._perform(ask)
            return self._respond(request, ask, result)

        return make

    async def quote(self, request: Request, body: bytes) -> Response:
        """What a generation or an edit would cost."""
        ask = await self._ask(Operation.EDIT, request, body)
        quote = await self.router.quote(ask.alias, ask.prompt, **_with_image(ask))
        return _json(quote.as_dict())

    async def explain(self, request: Request, body: bytes) -> Response:
        """Where a generation or an edit would go, and why."""
        ask = await self._ask(Operation.EDIT, request, body)
        told = await self.router.explain(ask.alias, ask.prompt, **_with_image(ask))
        return _json(told.as_dict())

    async def models(self, request: Request) -> Response:
        """Every alias and deployment that a request may name."""
        return _json({"object": "list", "data": [self._model(name) for name in self.router.aliases]})

    async def model(self, request: Request) -> Response:
        """One of them, or a model that passes through."""
        name = request.path_params["name"]
        if self.router.config.alias(name) is None:
            message = f"no alias or deployment is called {name[:200]!r}"
            return answer(failure_of(Refused(message, status=404, code="model_not_found", parameter="model")))
        return _json(self._model(name))

    async def file(self, request: Request) -> Response:
        """A picture behind a link of a ``url`` answer."""
        query = request.query_params
        found = self.links.find(request.path_params["name"], query.get("expires", ""), query.get("signature", ""))
        if found is None:
            message = "there is no picture here: the link is wrong or over, or the picture had to make room"
            return answer(failure_of(Refused(message, status=404, code="not_found")))
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

    async def _ask(self, operation: Operation, request: Request, body: bytes) -> Ask:
        fields = await read_fields(request.headers.get("content-type", ""), body)
        return read_ask(operation, fields, self.router.aliases)

    async def _perform(self, ask: Ask) -> Result:
        if ask.operation is Operation.VARIATION:
            more = {"prompt": ask.prompt} if ask.prompt else {}
            return await self.router.variation(ask.alias, image=ask.image, **ask.params, **more)
        if ask.calls_edit:
            return await self.router.edit(ask.alias, ask.prompt, image=ask.image, **ask.params)
        return await self.router.generate(ask.alias, ask.prompt, **ask.params)

    def _respond(self, request: Request, ask: Ask, result: Result) -> Response:
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
            return Response(body, headers=marks, media_type="text/event-stream")
        body = document(ask, result, warnings, links, int(self._now()))
        return Response(body, headers=marks, media_type="application/json")

    def _link(self, request: Request, data: bytes, format: str) -> str | None:
        path = self.links.keep(data, format)
        base = self._public_url or str(request.base_url).rstrip("/")
        return None if path is None else f"{base}/v1/images/files/{path}"

    def _model(self, name: str) -> dict[str, Any]:
        """OpenAI's four fields, and which models are behind the name."""
        config = self.router.config
        alias = config.alias(name)
        uses = [config.deployments[use.deployment] for use in alias.uses] if alias else []
        behind = list(dict.fromkeys(one.model for one in uses))
        facts = {"models": behind, "fallbacks": list(alias.fallbacks) if alias else []}
        return {"id": name, "object": "model", "created": self._started, "owned_by": "lascaux", "lascaux": facts}


def _with_image(ask: Ask) -> dict[str, Any]:
    return dict(ask.params) if ask.image is None else {**ask.params, "image": ask.image}


def _json(plain: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(plain), status, media_type="application/json")
