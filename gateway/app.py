"""The gateway as an ASGI application: addresses, and what every request passes through.

Whoever adds an address here tells of it in `openapi_operations`, too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..router.async_client import AsyncRouter
from ..router.config.server import ServerConfig
from .copies import Copies
from .edge import Edge, answer
from .endpoints import Endpoint, Endpoints
from .errors import Refused, failure_of
from .gate import Gate, open_gate
from .headroom import Headroom
from .intake import Bounds, Intake
from .links import Links
from .memory import keep_trimmed
from .metrics import MetricsPage
from .native import is_native
from .native import routes as native_routes
from .native_answer import failed
from .observe import Observed, Observer
from .openai import Operation
from .openapi import document
from .page import page_routes
from .peers import Peers, Reader
from .request_ids import request_id
from .sendings import Sendings
from .shared_limits import SharedLimits
from .shelf import Shelf
from .sigv4 import Verifier
from .story import notes_of

__all__ = ["create_app", "no_http", "tell"]

_EXPOSED = ("x-request-id", "x-should-retry", "retry-after", "retry-after-ms")


def create_app(
    router: AsyncRouter,
    *,
    gate: Gate | None = None,
    verifier: Verifier | None = None,
    bounds: Bounds | None = None,
    links: Links | None = None,
    shelf: Shelf | None = None,
    cors_origins: Collection[str] = (),
    hosts: Collection[str] = (),
    public_url: str | None = None,
    scarce: Callable[[], bool] | None = None,
    worker: int | None = None,
    peers: Peers | None = None,
    observer: Observer | None = None,
    metrics: Reader | None = None,
    page: bool = True,
    now: Callable[[], float] = time.time,
) -> Starlette:
    """An application for any ASGI server. It closes ``router`` when it ends.

    Make the router with ``picture_files=False``: a path in a stranger's request would read this computer's disk. Without
    ``gate`` nobody needs a key; ``verifier`` checks those who sign as for AWS. ``cors_origins`` are web pages that may ask;
    ``hosts`` are names, apart from localhost, under which it answers without keys; ``public_url`` is what links to pictures
    begin with, by default the address that the client used; ``shelf`` puts pictures into a bucket; ``scarce`` tells that
    memory is about to end, by default from what the system says. ``worker`` is told by the health addresses. ``peers`` are
    the other workers, with which this one acts as one gateway; whatever all of them can be asked is named here (see
    `Peers`). ``observer`` gets spans, metrics, log lines and the audit of all requests; ``metrics`` gives what ``/metrics``
    shows of this process, without it there is no such address. Without ``page`` there is nothing at ``/``. ``now`` gives
    seconds since 1970.
    """
    gate = gate or open_gate(ServerConfig(), clock=time.monotonic, now=lambda: datetime.fromtimestamp(now(), UTC))
    intake = Intake(bounds, scarce=scarce or Headroom(time.monotonic).scarce)
    links, peers = links or (shelf.memory if shelf else Links(now=now)), peers or Peers.none()
    sendings = Sendings(time.monotonic, peers)
    if peers.others:
        _share(peers, router, gate=gate, intake=intake, links=links)
    endpoints = Endpoints(
        router,
        gate=gate,
        intake=intake,
        links=links,
        shelf=shelf,
        sendings=sendings,
        peers=peers,
        public_url=public_url,
        now=now,
        worker=worker,
    )

    if observer is not None:
        observer.watch(gate, intake)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        trimming = asyncio.create_task(keep_trimmed(lambda: intake.answered))
        async with peers.serving():  # until the last: others may wait for what is made here
            try:
                yield
            finally:
                trimming.cancel()
                await router.aclose()
                await endpoints.finish()
                gate.close()
                if observer is not None:
                    await observer.aclose()

    routes = [
        *_routes(endpoints),
        *(page_routes() if page else ()),
        *native_routes(router, gate, intake=intake, verifier=verifier, sendings=sendings),
    ]
    peers.answer("status", endpoints.told_status)
    if metrics is not None:
        peers.answer("metrics", metrics)
        routes.append(Route("/metrics", MetricsPage(gate, partial(peers.gather, "metrics")), methods=["GET"]))
    app = Starlette(
        routes=routes,
        middleware=[
            *([Middleware(Observed, observer=observer)] if observer is not None else []),
            *_middleware(gate.keyed, cors_origins, hosts),
        ],
        exception_handlers={HTTPException: _http_error, Refused: _refused},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect goes where the Host header says, and says nothing about why
    return app


def _share(peers: Peers, router: AsyncRouter, *, gate: Gate, intake: Intake, links: Links) -> None:
    """Act as one gateway with the other workers: pictures, limits, accounts, places and the cache are everybody's."""
    links.share(peers)
    limits = SharedLimits(peers.folder, peers.index, peers.count)
    gate.share(limits.of, os.path.join(peers.folder, "spend.jsonl"))
    intake.share(limits.places)
    router.look(Copies(router, peers, time.monotonic))


def _routes(endpoints: Endpoints) -> list[BaseRoute]:
    """Every address, with and without ``/v1``."""
    posts = {
        "/images/generations": endpoints.images(Operation.GENERATE),
        "/images/edits": endpoints.images(Operation.EDIT),
        "/images/variations": endpoints.images(Operation.VARIATION),
        "/images/quote": endpoints.quote,
        "/images/explain": endpoints.explain,
    }
    described = partial(_description, endpoints.gate)
    routes: list[BaseRoute] = []
    for prefix in ("/v1", ""):
        for path, make in posts.items():
            routes.append(Route(f"{prefix}{path}", Endpoint(endpoints.gate, endpoints.intake, make), methods=["POST"]))
        routes += [
            Route(f"{prefix}/images/files/{{name}}", endpoints.file, methods=["GET"]),
            Route(f"{prefix}/models", endpoints.models, methods=["GET"]),
            Route(f"{prefix}/models/{{name:path}}", endpoints.model, methods=["GET"]),
            Route(f"{prefix}/usage", endpoints.usage, methods=["GET"]),
            Route(f"{prefix}/openapi.json", described, methods=["GET"]),
        ]
    routes += [
        Route("/admin/usage", endpoints.usage_of_all, methods=["GET"]),
        Route("/admin/status", endpoints.status, methods=["GET"]),
        Route("/health/live", endpoints.live, methods=["GET"]),
        Route("/health/ready", endpoints.ready, methods=["GET"]),
    ]
    return routes


class _Origins(CORSMiddleware):
    """CORS, whose refusals are in the gateway's envelope, too."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to what a browser asks before it asks."""
        plain = super().preflight_response(request_headers)
        if plain.status_code < 400:
            return plain
        told = bytes(plain.body).decode()
        kind = "permission_error"
        response = answer(failure_of(Refused(told, status=plain.status_code, code="origin_not_allowed", type=kind)))
        kept = {name: value for name, value in plain.headers.items() if not name.startswith("content-")}
        response.headers.update(kept)
        return response


def _middleware(keyed: bool, origins: Collection[str], hosts: Collection[str]) -> list[Middleware]:
    found = [Middleware(Edge, keyed=keyed, origins=origins, hosts=hosts, tell=tell)]
    if origins:
        found.append(
            Middleware(
                _Origins,
                allow_origins=list(origins),
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=list(_EXPOSED),
            )
        )
    return found


async def _description(gate: Gate, request: Request) -> Response:
    """What there is, for everybody: it tells of no alias and no key."""
    return Response(document(keyed=gate.keyed), media_type="application/json")


def tell(path: str, error: BaseException) -> Response:
    """An error in the envelope of its address: Bedrock's on Bedrock's, else OpenAI's."""
    if not is_native(path):
        return answer(failure_of(error))
    reply = failed(error, None, str(uuid4()))
    return Response(bytes(reply.body), reply.status, headers=dict(reply.headers))


def no_http(path: str) -> Response:
    """The answer to what is no HTTP; ``path`` is empty if not even that could be read."""
    response = tell(path, Refused("what came is no HTTP/1.1 request", status=400, code="bad_http"))
    response.headers["x-request-id"] = request_id()
    response.headers["x-content-type-options"] = "nosniff"
    return response


async def _refused(request: Request, error: Exception) -> Response:
    notes_of(request.scope).refused(error)
    return tell(request.url.path, error)


async def _http_error(request: Request, error: Exception) -> Response:
    """An address or a method that there is not."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    notes_of(request.scope).code = code
    message = {
        404: f"there is nothing at {request.url.path[:200]}",
        405: f"{request.method} is not possible at {request.url.path[:200]}",
    }.get(error.status_code, str(error.detail)[:500])
    response = tell(request.url.path, Refused(message, status=error.status_code, code=code))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response
