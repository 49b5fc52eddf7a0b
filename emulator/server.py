"""The emulator: its options, its life, and what it remembers."""

from __future__ import annotations

import random
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Literal, Self

from .bedrock import Bedrock, Reply
from .callers import DEMO_BEARER_TOKEN, DEMO_KEY_ID, DEMO_SECRET, Callers
from .connection import Listener
from .faults import Faults
from .gallery import Gallery
from .models import find
from .record import Record
from .request import Request

__all__ = ["Emulator"]

_LOG_BYTES = 256 * 1024 * 1024


class Emulator:
    """A look-alike of Amazon Bedrock on a local port; start it with ``start()`` or ``with``.

    Args:
        host: the address to listen on.
        port: 0 picks a free one; see ``url``.
        keys: access key ids and their secrets. Default: ``emulator`` / ``emulator-secret``.
        session_tokens: for key ids that must come with a session token, that token.
        bearer_tokens: accepted Bedrock API keys. Default: ``emulator-token``.
        allow_plain_bearer: take bearer tokens without TLS as well.
        accept_any_signature: let unknown key ids in; the form of their signature, its date, scope and signed headers
            are still checked.
        profiles: what opaque ARNs stand for: profile or provisioned id (or whole ARN) -> model id. Others are told by
            the body's shape.
        any_region: answer for every model in every region. Default: only where AWS offers the model.
        region: the region of bearer-token calls whose host name has none. Default: the ARN's, or the model's first.
        faults: what goes wrong, and when; may be changed or replaced while running.
        lifecycle: ``ignore`` serves every model ever offered, because people develop against old ones; ``enforce``
            answers 404 for those that have reached the end of their life on ``today`` (default: the current date),
            except through provisioned or custom ARNs.
        latency: seconds added to every answer.
        canvas: ``paint`` draws a picture; ``fast`` fills one flat colour, for load tests.
        tls: paths of a certificate chain and its key, to serve HTTPS.
        rng: the source of random seeds.
        clock: the current time, for signature dates.
        log_limit: how many records ``log`` keeps; fewer when the bodies of their requests exceed 256 MiB together.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keys: Mapping[str, str] | None = None,
        session_tokens: Mapping[str, str] | None = None,
        bearer_tokens: Iterable[str] = (DEMO_BEARER_TOKEN,),
        allow_plain_bearer: bool = False,
        accept_any_signature: bool = False,
        profiles: Mapping[str, str] | None = None,
        any_region: bool = False,
        region: str | None = None,
        faults: Faults | None = None,
        lifecycle: Literal["ignore", "enforce"] = "ignore",
        today: date | None = None,
        latency: float = 0.0,
        canvas: Literal["paint", "fast"] = "paint",
        tls: tuple[str, str] | None = None,
        rng: random.Random | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        log_limit: int = 10_000,
    ) -> None:
        _check(port, latency, lifecycle, profiles or {})
        self._callers = Callers(
            keys=keys if keys is not None else {DEMO_KEY_ID: DEMO_SECRET},
            session_tokens=session_tokens or {},
            bearer_tokens=bearer_tokens,
            allow_plain_bearer=allow_plain_bearer,
            accept_any_signature=accept_any_signature,
            clock=clock,
        )
        self._bedrock = Bedrock(
            callers=self._callers,
            faults=faults or Faults(),
            paint=Gallery(canvas).picture,
            profiles=dict(profiles or {}),
            lifecycle=lifecycle,
            today=lambda: today or date.today(),
            any_region=any_region,
            region=region,
            latency=latency,
            rng=rng or random.Random(),
        )
        self._host, self._port = host, port
        self._tls = _context(tls)
        self._listener: Listener | None = None
        self._lock = threading.Lock()
        self._log: deque[tuple[Record, int]] = deque(maxlen=log_limit)
        self._log_bytes = 0
        self._billed = 0
        self.on_record: Callable[[Record], None] | None = None
        """Called with each record, in the thread that serves the call."""

    def start(self) -> Self:
        """Listen, and serve in the background. Raises OSError when the address is taken."""
        if self._listener is None:
            self._listener = Listener(self._host, self._port, self._respond, self._tls)
        return self

    def stop(self) -> None:
        """Close the port and every connection; calls in flight get no answer."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port in use. Raises RuntimeError when the emulator is not running."""
        if self._listener is None:
            raise RuntimeError("the emulator is not running: call start() or use it in a with statement")
        return self._listener.port

    @property
    def url(self) -> str:
        """Where to send requests, for example ``http://127.0.0.1:4001``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self._bedrock.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._bedrock.faults = faults

    @property
    def log(self) -> list[Record]:
        """The calls so far, oldest first."""
        with self._lock:
            return [record for record, _ in self._log]

    @property
    def billed(self) -> int:
        """How many pictures were delivered, those of truncated answers included."""
        with self._lock:
            return self._billed

    def forget(self) -> None:
        """Empty the log and set ``billed`` to 0."""
        with self._lock:
            self._log.clear()
            self._log_bytes = 0
            self._billed = 0

    def add_key(self, key_id: str, secret: str, session_token: str | None = None) -> None:
        """Accept another access key, for example one that a token service has just issued."""
        self._callers.add(key_id, secret, session_token)

    def _respond(self, request: Request, secure: bool) -> Reply:
        reply = self._bedrock.reply(request, secure=secure)
        with self._lock:
            self._remember(reply.record, len(request.body))
            self._billed += reply.record.images
        if self.on_record is not None:
            self.on_record(reply.record)
        return reply

    def _remember(self, record: Record, size: int) -> None:
        """Keep a record; the oldest go when there are too many, or when the pictures in their bodies are too large."""
        if len(self._log) == self._log.maxlen and self._log:
            self._log_bytes -= self._log.popleft()[1]
        if self._log.maxlen:
            self._log.append((record, size))
            self._log_bytes += size
        while self._log_bytes > _LOG_BYTES and len(self._log) > 1:
            self._log_bytes -= self._log.popleft()[1]


def _context(tls: tuple[str, str] | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    return context


def _check(port: int, latency: float, lifecycle: str, profiles: Mapping[str, str]) -> None:
    if not 0 <= port <= 65535:
        raise ValueError(f"port: {port} is not between 0 and 65535")
    if latency < 0:
        raise ValueError(f"latency: {latency} is not 0 or more seconds")
    if lifecycle not in ("ignore", "enforce"):
        raise ValueError(f"lifecycle: {lifecycle!r} is not one of ignore, enforce")
    for name, model_id in profiles.items():
        if find(model_id.removeprefix("us.")) is None:
            raise ValueError(f"profiles: {name!r} stands for {model_id!r}, which is no image model of Bedrock's")
