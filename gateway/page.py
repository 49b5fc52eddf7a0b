"""The page at ``/``: a handful of files that are shipped with Lascaux, served with headers that let nothing else in."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .errors import Refused

__all__ = ["POLICY", "page_routes"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may load for the page: its own files, and pictures that it made itself."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",  # kept, but asked for each time: the ETag saves the bytes
}


def page_routes() -> list[BaseRoute]:
    """The page and its files. It is open to everybody, because it holds no data: what it shows, it asks for with a key."""
    return [
        Route("/", _index, methods=["GET"]),
        Route("/static/{name}", _file, methods=["GET"]),
    ]


async def _index(request: Request) -> Response:
    return _answer(request, "index.html")


async def _file(request: Request) -> Response:
    return _answer(request, request.path_params["name"])


def _answer(request: Request, name: str) -> Response:
    found = _shipped().get(name)
    if found is None:
        raise Refused(f"there is nothing at {request.url.path[:200]}", status=404, code="not_found")
    content, etag, media_type = found
    headers = {**_HEADERS, "etag": etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


@cache
def _shipped() -> dict[str, tuple[bytes, str, str]]:
    """Content, ETag and type of each file by its name: the only names there are, so no path leads anywhere else."""
    found = {}
    for entry in files(__package__).joinpath("static").iterdir():
        kind = _TYPES.get(entry.name[entry.name.rfind(".") :])
        if kind is not None:
            content = entry.read_bytes()
            found[entry.name] = (content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', kind)
    return found
