"""The gateway as an ASGI application: addresses, and what every request passes through."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..router.async_client import AsyncRouter
from ..router.config.server import ServerConfig
from .edge import Edge, answer
from .endpoints import Endpoint, Endpoints
from .errors import Failure, Refused, failure_of
from .gate import Gate, open_gate
from .headroom import Headroom
from .intake import Bounds, Intake
from .links import Links
from .memory import keep_trimmed
from .metrics import MetricsPage
from .native import routes as native_routes
from .observe import Observed, Observer
from .openai import Operation
from .peers import Peers, Reader
from .sendings import Sendings
from .shared_limits import SharedLimits
from .shelf import Shelf
from .sigv4 import Verifier
from .story import notes_of

__all__ = ["create_app"]

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
    shows of this process, without it there is no such address. ``now`` gives seconds since 1970.
    """
    gate = gate or open_gate(ServerConfig(), clock=time.monotonic, now=lambda: datetime.fromtimestamp(now(), UTC))
    intake = Intake(bounds, scarce=scarce or Headroom(time.monotonic).scarce)
    links, peers = links or (shelf.memory if shelf else Links(now=now)), peers or Peers.none()
    sendings = Sendings(time.monotonic, peers)
    if peers.others:
        links.share(peers)
        limits = SharedLimits(peers.folder, peers.index, peers.count)
        gate.share(limits.of, os.path.join(peers.folder, "spend.jsonl"))
    endpoints = Endpoints(
        router,
        gate=gate,
        intake=intake,
        links=links,
        shelf=shelf,
        sendings=sendings,
        public_url=public_url,
        now=now,
        worker=worker,
    )

    if observer is not None:
        observer.watch(gate, intake)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
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

    routes = [*_routes(endpoints), *native_routes(router, gate, intake=intake, verifier=verifier, sendings=sendings)]
    if metrics is not None:
        peers.answer("metrics", metrics)
        routes.append(Route("/metrics", MetricsPage(gate, partial(peers.gather, "metrics")), methods=["GET"]))
    return Starlette(
        routes=routes,
        middleware=[
            *([Middleware(Observed, observer=observer)] if observer is not None else []),
            *_middleware(gate.keyed, cors_origins, hosts),
        ],
        exception_handlers={HTTPException: _http_error, Refused: _refused},
        lifespan=lifespan,
    )


def _routes(endpoints: Endpoints) -> list[BaseRoute]:
    """Every address, with and without ``/v1``."""
    posts = {
        "/images/generations": endpoints.images(Operation.GENERATE),
        "/images/edits": endpoints.images(Operation.EDIT),
        "/images/variations": endpoints.images(Operation.VARIATION),
        "/images/quote": endpoints.quote,
        "/images/explain": endpoints.explain,
    }
    routes: list[BaseRoute] = []
    for prefix in ("/v1", ""):
        for path, make in posts.items():
            routes.append(Route(f"{prefix}{path}", Endpoint(endpoints.gate, endpoints.intake, make), methods=["POST"]))
        routes += [
            Route(f"{prefix}/images/files/{{name}}", endpoints.file, methods=["GET"]),
            Route(f"{prefix}/models", endpoints.models, methods=["GET"]),
            Route(f"{prefix}/models/{{name:path}}", endpoints.model, methods=["GET"]),
            Route(f"{prefix}/usage", endpoints.usage, methods=["GET"]),
        ]
    routes += [
        Route("/admin/usage", endpoints.usage_of_all, methods=["GET"]),
        Route("/health/live", endpoints.live, methods=["GET"]),
        Route("/health/ready", endpoints.ready, methods=["GET"]),
    ]
    return routes


def _middleware(keyed: bool, origins: Collection[str], hosts: Collection[str]) -> list[Middleware]:
    found = [Middleware(Edge, keyed=keyed, origins=origins, hosts=hosts)]
    if origins:
        found.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=list(_EXPOSED),
            )
        )
    return found


async def _refused(request: Request, error: Exception) -> Response:
    notes_of(request.scope).refused(error)
    return answer(failure_of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    """An address or a method that there is not, in OpenAI's envelope."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    notes_of(request.scope).code = code
    message = {
        404: f"there is nothing at {request.url.path[:200]}",
        405: f"{request.method} is not possible at {request.url.path[:200]}",
    }.get(error.status_code, str(error.detail)[:500])
    failure = Failure(status=error.status_code, message=message, type="invalid_request_error", code=code)
    response = answer(failure)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response
