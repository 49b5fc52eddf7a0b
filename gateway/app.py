"""The gateway as an ASGI application: addresses, and what every request passes through."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime

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
from .intake import Bounds, Intake
from .links import Links
from .native import routes as native_routes
from .openai import Operation
from .page import page_routes
from .resends import Resends
from .sigv4 import Verifier

__all__ = ["create_app"]

_EXPOSED = ("x-request-id", "x-should-retry", "retry-after", "retry-after-ms")


def create_app(
    router: AsyncRouter,
    *,
    gate: Gate | None = None,
    verifier: Verifier | None = None,
    bounds: Bounds | None = None,
    links: Links | None = None,
    cors_origins: Collection[str] = (),
    hosts: Collection[str] = (),
    public_url: str | None = None,
    page: bool = True,
    now: Callable[[], float] = time.time,
) -> Starlette:
    """An application for any ASGI server. It closes ``router`` when it ends.

    Make the router with ``picture_files=False``: a path in a stranger's request would read this computer's disk. Without
    ``gate`` nobody needs a key; ``verifier`` checks those who sign as for AWS. ``cors_origins`` are web pages that may ask;
    ``hosts`` are names, apart from localhost, under which it answers without keys; ``public_url`` is what links to pictures
    begin with, by default the address that the client used. Without ``page`` there is nothing at ``/``. ``now`` gives
    seconds since 1970.
    """
    gate = gate or open_gate(ServerConfig(), clock=time.monotonic, now=lambda: datetime.fromtimestamp(now(), UTC))
    intake = Intake(bounds)
    links, resends = links or Links(now=now), Resends(time.monotonic)
    endpoints = Endpoints(
        router, gate=gate, intake=intake, links=links, resends=resends, public_url=public_url, now=now
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await router.aclose()
            await endpoints.finish()
            gate.close()

    return Starlette(
        routes=[
            *_routes(endpoints),
            *(page_routes() if page else ()),
            *native_routes(router, gate, intake=intake, verifier=verifier, resends=resends),
        ],
        middleware=_middleware(gate.keyed, cors_origins, hosts),
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
        Route("/admin/status", endpoints.status, methods=["GET"]),
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
    return answer(failure_of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    """An address or a method that there is not, in OpenAI's envelope."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    message = {
        404: f"there is nothing at {request.url.path[:200]}",
        405: f"{request.method} is not possible at {request.url.path[:200]}",
    }.get(error.status_code, str(error.detail)[:500])
    failure = Failure(status=error.status_code, message=message, type="invalid_request_error", code=code)
    response = answer(failure)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response
