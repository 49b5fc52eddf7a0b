"""What holds for every request: an id, no answer without one, no web page of a stranger, no traceback."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Collection
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import Failure, Refused, failure_of
from .request_ids import request_id
from .story import notes_of

__all__ = ["Edge", "Tell", "answer", "is_loopback"]

Tell = Callable[[str, BaseException], Response]
"""(path, error) -> the error in the words that are spoken at that address."""

log = logging.getLogger("lascaux.gateway")

_LONGEST_NAME = 255
"""Letters of a host's name, as DNS has it. Longer ones are not kept in mind."""
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def answer(failure: Failure) -> Response:
    """A failure as a response."""
    marks = failure.headers() | ({"www-authenticate": "Bearer"} if failure.status == 401 else {})
    return Response(failure.body(), failure.status, headers=marks, media_type="application/json")


def is_loopback(host: str) -> bool:
    """Does this address lead nowhere but to this computer?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Edge:
    """The outermost layer, as plain ASGI.

    ``x-request-id`` is the client's, if it sent a decent one, else new. A gateway without keys answers whoever reaches it,
    and that may be a web page in the browser of its owner: so without keys requests of other ``origins`` are refused, and
    those for a host that is neither an address nor localhost, whose name a stranger may have led here (DNS rebinding).
    ``tell`` words the errors.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keyed: bool,
        origins: Collection[str] = (),
        hosts: Collection[str] = (),
        tell: Tell = lambda path, error: answer(failure_of(error)),
    ) -> None:
        self.app = app
        self.tell = tell
        self.keyed = keyed
        self.origins = frozenset(origins)
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        name = given if _ID.fullmatch(given) else request_id()
        scope.setdefault("state", {})["request_id"] = name
        notes = notes_of(scope)
        notes.request_id = name
        started = False

        async def marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                marks = MutableHeaders(scope=message)
                marks["x-request-id"] = name
                marks.setdefault("x-content-type-options", "nosniff")
            await send(message)

        try:
            stranger = None if self.keyed else self._stranger(headers)
            if stranger is not None:
                notes.refused(stranger)
                await self.tell(scope["path"], stranger)(scope, receive, marked)
                return
            await self.app(scope, receive, marked)
        except Exception as error:
            log.exception("request %s failed", name)
            notes.refused(error)
            if not started:
                await self.tell(scope["path"], error)(scope, receive, marked)

    def _stranger(self, headers: Headers) -> Refused | None:
        host = headers.get("host", "").lower()
        origin = headers.get("origin")
        if origin is not None and not self.origins & {origin, "*"} and _host_of(origin) != host:
            message = (
                "web pages of other origins may not ask here; server.cors_origins in the configuration allows them"
            )
            return Refused(message, status=403, code="origin_not_allowed", type="permission_error")
        name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
        if name not in self.hosts and (len(name) > _LONGEST_NAME or not _is_nobodys(name)):
            message = (
                "a gateway without keys answers to localhost, to addresses and to the names in server.hosts only; "
                "name this one there, or give it keys (server.keys)"
            )
            return Refused(message, status=403, code="host_not_allowed", type="permission_error")
        return None


@lru_cache(maxsize=256)
def _is_nobodys(host: str) -> bool:
    """Is it a name that no stranger can lead here: none, localhost, an address? Clients ask under the same ones."""
    if not host or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _host_of(origin: str) -> str | None:
    """None for what is no origin at all."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
