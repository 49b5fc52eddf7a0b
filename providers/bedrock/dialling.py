"""Opening a connection: TCP with keep-alive, TLS, and the proxies of the environment. urllib3 does the work."""

from __future__ import annotations

import logging
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NameResolutionError
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.url import Url, parse_url

from ..errors import ConnectionFailed
from ..types import Secret
from .connections import Line
from .endpoints import Endpoint, is_loopback

__all__ = ["Proxy", "dialler", "proxy_for"]

log = logging.getLogger(__name__)

KEEPALIVE_IDLE = 60
KEEPALIVE_INTERVAL = 30
KEEPALIVE_COUNT = 5


def dialler(endpoint: Endpoint, verify: bool | str) -> tuple[Callable[[float], Line], bool]:
    """How to open a connection to ``endpoint``, and whether a proxy forwards (then the request line holds the whole URL).

    What is returned takes a timeout in seconds and raises ConnectionFailed. ``verify`` as in `ca_bundle`.
    """
    proxy = proxy_for(endpoint)
    context = _context(verify) if endpoint.scheme == "https" else None
    log.debug("%s: proxy %s, verification %s", endpoint.url, proxy.host if proxy else None, verify)
    forwarded = proxy is not None and endpoint.scheme == "http"

    def dial(timeout: float) -> Line:
        connection = _connection(endpoint, proxy, context, timeout)
        try:
            connection.connect()
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            connection.close()
            failed = _failed(endpoint, proxy, error, timeout)
        except BaseException:
            connection.close()
            raise
        else:
            return Line(connection.sock, connection)
        # Raised out here, so that no frame of urllib3 hangs on it: they hold the proxy's password.
        raise failed

    return dial, forwarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy of the environment. ``auth`` is ``user:password`` as it stands in a URL, and prints as nothing."""

    scheme: str
    host: str
    port: int | None
    auth: Secret | None

    @property
    def url(self) -> Url:
        """Where it is, without the password."""
        return Url(scheme=self.scheme, host=self.host, port=self.port)


def proxy_for(endpoint: Endpoint) -> Proxy | None:
    """The proxy that HTTPS_PROXY or HTTP_PROXY names, unless NO_PROXY or loopback forbids. Raises ConnectionFailed."""
    if is_loopback(endpoint.host) or proxy_bypass(endpoint.authority) or not getproxies().get(endpoint.scheme):
        return None
    proxy = _parsed(getproxies()[endpoint.scheme])
    if proxy is None:
        raise ConnectionFailed(
            f"the {endpoint.scheme} proxy of the environment is not an http:// or https:// URL", code="proxy"
        )
    return proxy


def _parsed(text: str) -> Proxy | None:
    try:
        url = parse_url(text if "://" in text else f"http://{text.removeprefix('//')}")
    except LocationParseError:
        return None
    if url.scheme not in ("http", "https") or not url.host:
        return None
    return Proxy(scheme=url.scheme, host=url.host, port=url.port, auth=Secret(url.auth) if url.auth else None)


def _connection(
    endpoint: Endpoint, proxy: Proxy | None, context: ssl.SSLContext | None, timeout: float
) -> HTTPConnection | HTTPSConnection:
    """Not connected yet."""
    first = endpoint if proxy is None else proxy
    host = (first.host or "").strip("[]")
    port = first.port or (443 if first.scheme == "https" else 80)
    options = _socket_options()
    where = proxy.url if proxy else None
    if context is None and first.scheme == "http":
        return HTTPConnection(host, port, timeout=timeout, socket_options=options, proxy=where)
    connection = HTTPSConnection(
        host,
        port,
        timeout=timeout,
        socket_options=options,
        ssl_context=context or _context(True),
        proxy=where,
        proxy_config=ProxyConfig(_context(True), False, None, None) if proxy else None,
    )
    if proxy is not None and context is not None:
        scheme = "https" if proxy.scheme == "https" else "http"
        connection.set_tunnel(endpoint.host, endpoint.port, _proxy_headers(proxy), scheme)
    return connection


def _proxy_headers(proxy: Proxy) -> dict[str, str]:
    if proxy.auth is None:
        return {}
    return {"Proxy-Authorization": "Basic " + b64encode(unquote(proxy.auth.reveal()).encode()).decode()}


def _socket_options() -> list[tuple[int, int, int | bytes]]:
    """No delay, and TCP keep-alive: a model may be silent for minutes behind a NAT that forgets."""
    options: list[tuple[int, int, int | bytes]] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    timings = {
        "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE": KEEPALIVE_IDLE,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL,
        "TCP_KEEPCNT": KEEPALIVE_COUNT,
    }
    options.extend(
        (socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in timings.items() if hasattr(socket, name)
    )
    return options


@lru_cache(maxsize=32)
def _context(verify: bool | str) -> ssl.SSLContext:
    """A TLS context; the same certificate authorities as boto3 unless a bundle (file or folder) is named."""
    if verify is False:
        log.warning("TLS verification is switched off for an endpoint of Bedrock")
        context = create_urllib3_context(cert_reqs=ssl.CERT_NONE)
        context.check_hostname = False
        return context
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    path = Path(_usual_bundle() if verify is True else verify).expanduser()
    try:
        if path.is_dir():
            context.load_verify_locations(capath=str(path))
        else:
            context.load_verify_locations(cafile=str(path))
    except OSError as error:
        why = error.strerror or "no certificates in it"
        raise ConnectionFailed(f"CA bundle {str(path)!r} can not be used: {why}", code="ca_bundle") from None
    return context


def _usual_bundle() -> str:
    from botocore.httpsession import get_cert_path

    return str(get_cert_path(True))


def _failed(endpoint: Endpoint, proxy: Proxy | None, error: Exception, timeout: float) -> ConnectionFailed:
    """Why there is no connection; never the proxy's URL, which may hold a password."""
    via = f" through proxy {proxy.host}" if proxy else ""
    inner = error.__cause__ if isinstance(error, HTTPError) and isinstance(error.__cause__, OSError) else error
    code = "connection_failed"
    if isinstance(error, NameResolutionError):
        why, code = "the host name is not known", "dns"
    elif type(error) is ConnectTimeoutError or isinstance(
        inner, TimeoutError
    ):  # NewConnectionError is one by inheritance
        why, code = f"no connection within {timeout:.3g} s", "connect_timeout"
    elif isinstance(inner, ssl.SSLCertVerificationError):
        why, code = f"its certificate is not trusted ({inner.verify_message})", "tls"
    elif isinstance(inner, ssl.SSLError):
        why, code = f"TLS failed ({inner.reason or 'no handshake'})", "tls"
    elif proxy and str(inner).startswith("Tunnel connection failed"):
        why, code = f"the proxy refused ({inner})", "proxy"
    else:
        why = getattr(inner, "strerror", None) or type(inner).__name__
    return ConnectionFailed(f"no connection to {endpoint.host}:{endpoint.port}{via}: {why}", code=code)
