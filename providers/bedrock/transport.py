"""One signed HTTP exchange with Bedrock per call. With its parts (`connections`, `dialling`) the only code that talks to it.

Nothing is retried here: a call that is sent again may be billed again, so that is the router's to decide.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from ... import __version__
from ..errors import AttemptTimeout, BadResponse, ConnectionBroken, CredentialsError, InvalidRequest, LascauxError
from ..types import Target
from .answer_json import read_json
from .connections import Connections
from .credentials import Keyring
from .dialling import dialler
from .endpoints import Endpoint, ca_bundle, endpoint_for, is_loopback
from .faults import clean, fault, request_id_of
from .ids import encode
from .in_loop import awaited
from .keys import Proof, Sealed, Token
from .replies import Reply
from .sigv4 import sign
from .spec import SpecKind, kind_of, secrets_of
from .waiting import Late, forked

__all__ = ["MAX_BODY", "Answer", "Transport", "encode_body"]

log = logging.getLogger(__name__)

MAX_BODY = 25_000_000
"""Bytes; InvokeModel takes no more (service model of bedrock-runtime in botocore 1.44.5)."""

_MOST_PLACES = 4096
_MUCH = 64 * 1024
"""Bytes of a body from which on it is not signed in an event loop."""
_GRACE = 0.25
"""Seconds by which whoever looks something up may be late to say what is wrong."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "authorization", "x-amz-security-token"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The JSON object of an HTTP 200 answer, and the id under which AWS knows the request."""

    payload: dict[str, Any]
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """A resolved endpoint with its connections."""

    endpoint: Endpoint
    connections: Connections
    forwarded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A target that has been called, with all that does not change from call to call.

    To find it by the target itself would mean to hash its credentials, field by field, for every call.
    """

    target: Target
    route: _Route
    path: str
    where: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Order:
    """A request that is ready to go, and when (on the transport's clock) it was ready."""

    place: _Place
    proof: Proof
    head: Sealed
    made: float


class Transport:
    """Sends bodies to models. Thread-safe; one per process is enough.

    ``connect_timeout`` is in seconds. ``max_idle`` connections are kept per endpoint; there is no limit on those in use.
    ``clock`` is monotonic, ``wall`` Unix time; ``env`` is read for endpoints, CA bundle and region-free settings.
    """

    def __init__(
        self,
        *,
        keyring: Keyring | None = None,
        connect_timeout: float = 5.0,
        max_idle: int = 64,
        env: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._keyring = keyring or Keyring(env=env, clock=clock, wall=wall)
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle
        self._env = env
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._routes: dict[tuple[Any, ...], _Route] = {}
        self._places: dict[int, _Place] = {}
        """By the target's identity, which is its own as long as it stands here."""
        self._connections: dict[tuple[Endpoint, bool | str], tuple[Connections, bool]] = {}
        forked(self)

    def send(self, target: Target, body: Mapping[str, Any], *, headers: Mapping[str, str], timeout: float) -> Answer:
        """POST ``body`` to the target's model, once, and read the JSON object that comes back.

        ``timeout`` bounds the whole attempt in seconds: connecting, sending, waiting, reading. Raises `LascauxError`; what
        AWS answered carries its request id.
        """
        deadline = self._clock() + timeout
        data = encode_body(body)
        order = self._order(target, data, headers, deadline)
        connections = order.place.route.connections
        reply = connections.exchange(order.head, data, deadline=deadline, connect_timeout=self._connect_timeout)
        return self._answer(reply, order)

    async def asend(
        self, target: Target, body: Mapping[str, Any], *, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """`send` for an event loop. What has to be looked up first, or is much to sign, takes a thread."""
        deadline = self._clock() + timeout
        data = encode_body(body)
        order = self._order_at_hand(target, data, headers) if len(data) <= _MUCH else None
        if order is None:
            order = await self._order_aside(target, data, headers, deadline)
        connections = order.place.route.connections
        reply = await connections.aexchange(order.head, data, deadline=deadline, connect_timeout=self._connect_timeout)
        return self._answer(reply, order)

    def address(self, target: Target) -> tuple[str, int] | None:
        """Host and port that ``target`` is called at; None if its endpoint can not be resolved."""
        try:
            endpoint = self._place(target).route.endpoint
        except LascauxError:
            return None
        return endpoint.host, endpoint.port

    def retain(self, targets: Iterable[Target]) -> None:
        """Forget routes and identities of all others. Connections end with their last user, for which they stay usable.

        A target that was left out may still be called: what it needs is then made anew.
        """
        targets = list(targets)
        wanted = {_key(target) for target in targets}
        with self._lock:
            self._routes = {key: route for key, route in self._routes.items() if key in wanted}
            self._places = {}
            used = {id(route.connections) for route in self._routes.values()}
            # Whoever looked a route up a moment ago may go on with it: once nobody does, what is idle closes by itself.
            self._connections = {key: made for key, made in self._connections.items() if id(made[0]) in used}
        self._keyring.retain({target.credentials for target in targets})

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            pools = [connections for connections, _ in self._connections.values()]
        for connections in pools:
            connections.close()

    def after_fork(self) -> None:
        """A lock of the parent's may never be released."""
        self._lock = threading.Lock()

    def _order(self, target: Target, data: bytes, headers: Mapping[str, str], deadline: float) -> _Order:
        """All that can be said before anything is sent. May look for endpoints, certificates and credentials."""
        place = self._place(target)
        left = max(deadline - self._clock(), 0.0)
        proof = self._keyring.proof(target.credentials, target.region, timeout=left)
        head = self._head(place, headers, data, proof)
        if self._clock() >= deadline:
            raise _no_time()
        return _Order(place, proof, head, self._clock())

    def _order_at_hand(self, target: Target, data: bytes, headers: Mapping[str, str]) -> _Order | None:
        """The same if nothing has to be looked for, else None."""
        place = self._places.get(id(target))
        if place is None or place.target is not target:
            return None
        proof = self._keyring.at_hand(target.credentials, target.region)
        if proof is None:
            return None
        return _Order(place, proof, self._head(place, headers, data, proof), self._clock())

    async def _order_aside(self, target: Target, data: bytes, headers: Mapping[str, str], deadline: float) -> _Order:
        work = partial(self._order, target, data, headers, deadline)
        try:
            # Whoever looks for credentials ends in time by himself, and says then what is missing.
            return await awaited(deadline - self._clock() + _GRACE, work)
        except Late:
            raise _no_time() from None

    def _answer(self, reply: Reply, order: _Order) -> Answer:
        target, proof = order.place.target, order.proof
        request_id = request_id_of(reply.headers)
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s %s: HTTP %d, %d bytes, request id %s, %.3f s",
                order.place.route.endpoint.url,
                target.model_id,
                reply.status,
                len(reply.body),
                request_id,
                self._clock() - order.made,
            )
        if reply.status != 200:
            secrets = (*secrets_of(target.credentials), *proof.secrets)
            error = fault(reply.status, reply.headers, reply.body, secrets=secrets, now=self._wall())
            del secrets
            raise error
        facts: dict[str, Any] = {"upstream_status": 200, "request_id": request_id}
        if not reply.complete:
            raise ConnectionBroken(f"the answer ended after {len(reply.body)} bytes, before it was complete", **facts)
        try:
            payload = read_json(reply.body)
        except orjson.JSONDecodeError:
            kind = clean(reply.headers.get("content-type", "no content type"))[:100]
            raise BadResponse(f"the answer is not JSON ({kind}, {len(reply.body)} bytes)", **facts) from None
        if not isinstance(payload, dict):
            raise BadResponse(f"the answer is JSON, but not an object ({type(payload).__name__})", **facts)
        return Answer(payload=payload, request_id=request_id)

    def _head(self, place: _Place, headers: Mapping[str, str], data: bytes, proof: Proof) -> Sealed:
        """Request line and headers, signed."""
        target, endpoint = place.target, place.route.endpoint
        sent = {**place.headers, **_checked(headers)}
        if isinstance(proof, Token):
            if endpoint.scheme != "https" and not is_loopback(endpoint.host):
                raise CredentialsError(
                    f"credentials {target.credentials.name!r}: a bearer token is not sent over plain http to "
                    f"{endpoint.host}; use https",
                    code="bearer_over_http",
                )
            sent["authorization"] = f"Bearer {proof.value}"
        else:
            sent |= sign(proof, path=place.path, headers=sent, body=data, region=target.region, now=self._wall())
        sent["user-agent"] = f"lascaux/{__version__}"
        sent["content-length"] = str(len(data))
        lines = "".join([f"{name}: {value}\r\n" for name, value in sent.items()])
        return Sealed(f"POST {place.where} HTTP/1.1\r\n{lines}\r\n".encode("ascii"))

    def _place(self, target: Target) -> _Place:
        """The target with what its calls have in common, put together when it is first called."""
        place = self._places.get(id(target))
        if place is not None and place.target is target:
            return place
        route = self._route(target)
        endpoint = route.endpoint
        path = f"{endpoint.path}/model/{encode(target.model_id)}/invoke"
        place = _Place(
            target=target,
            route=route,
            path=path,
            where=f"{endpoint.scheme}://{endpoint.authority}{path}" if route.forwarded else path,
            headers={"host": endpoint.authority, "accept": "application/json", "content-type": "application/json"},
        )
        with self._lock:
            if len(self._places) >= _MOST_PLACES:
                self._places = {}
            if self._routes.get(_key(target)) is route:  # else forgotten by `retain` in between
                self._places[id(target)] = place
        return place

    def _route(self, target: Target) -> _Route:
        """Endpoint and connections of a target, resolved once. The profile counts only where its settings do."""
        key = _key(target)
        route = self._routes.get(key)
        if route is None:
            route = self._resolve(target, key)
        return route

    def _resolve(self, target: Target, key: tuple[Any, ...]) -> _Route:
        plain = target.endpoint_url is not None and target.endpoint_url.startswith("http://")
        settings = {} if plain else self._keyring.settings(target.credentials)
        endpoint = endpoint_for(target, env=self._env, settings=settings)
        verify = ca_bundle(target, env=self._env, settings=settings)
        found = self._connections.get((endpoint, verify))
        if found is None:
            dial, forwarded = dialler(endpoint, verify)  # reads certificates, so nobody waits for it
            name = f"{endpoint.host}:{endpoint.port}"
            found = Connections(name, dial, size=self._max_idle, clock=self._clock), forwarded
        with self._lock:
            connections, forwarded = self._connections.setdefault((endpoint, verify), found)
            route = _Route(endpoint=endpoint, connections=connections, forwarded=forwarded)
            return self._routes.setdefault(key, route)


def _no_time() -> AttemptTimeout:
    return AttemptTimeout("no time left to send the request after getting credentials", may_be_billed=False)


def _key(target: Target) -> tuple[Any, ...]:
    """What decides endpoint and connections."""
    spec = target.credentials
    with_profile = kind_of(spec) in (SpecKind.DEFAULT, SpecKind.PROFILE)
    return (
        target.region,
        target.endpoint_url,
        target.use_fips,
        target.use_dualstack,
        target.verify,
        (spec.profile,) if with_profile else None,
    )


def encode_body(body: Mapping[str, Any]) -> bytes:
    """The body as JSON. Raises InvalidRequest if it can not be written, or is larger than Bedrock accepts."""
    try:
        data = orjson.dumps(body if isinstance(body, dict) else dict(body))
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"the request can not be written as JSON: {error}", parameter="body") from None
    if len(data) > MAX_BODY:
        raise InvalidRequest(
            f"the request body has {len(data):,} bytes, Bedrock takes at most {MAX_BODY:,}; send smaller pictures",
            parameter="body",
            allowed=f"at most {MAX_BODY} bytes",
        )
    return data


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """A call's own headers, none of which may break out of its line or take the place of ours."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise InvalidRequest(f"header {name[:80]!r} can not be set", parameter="headers")
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidRequest(f"header {name}: its value has characters that a header can not hold", parameter=name)
    return {name.lower(): value for name, value in headers.items()}
