"""Fetching a picture from an https URL, from public addresses only and within limits."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from .errors import InvalidRequest
from .param_values import shown

__all__ = ["UrlFetcher", "is_public"]

_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """True for an address of the public internet: not private, loopback, link-local, multicast or reserved.

    An IPv6 address that stands for an IPv4 one is judged by that.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast and not found.is_reserved and not found.is_unspecified


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlFetcher:
    """How pictures are fetched. Every host name is resolved once and the address that was checked is the one connected to.

    ``timeout`` (seconds) and ``redirects`` are for one picture as a whole, ``max_bytes`` for its file. Proxies of the
    environment are not used: they would resolve the name again.
    """

    timeout: float = 20.0
    redirects: int = 3
    max_bytes: int = 25_000_000
    ports: frozenset[int] = frozenset({443})
    ca_bundle: str | None = None
    """None means the certificate authorities of the system."""
    resolve: Callable[[str, int], list[str]] | None = None
    """Gives the addresses of a host; None means the system's resolver."""
    allowed: Callable[[str], bool] = is_public
    clock: Callable[[], float] = time.monotonic

    def fetch(self, url: str, name: str) -> bytes:
        """The file at ``url``. Raises InvalidRequest, which names the parameter and never shows the URL's query."""
        deadline = self.clock() + self.timeout
        for _ in range(self.redirects + 1):
            parts = _checked(url, name, self.ports)
            answer = self._get(parts, name, deadline)
            if isinstance(answer, bytes):
                return answer
            url = _joined(url, answer)
        message = f"{name}: {_place(parts)} redirects more than {self.redirects} times"
        raise InvalidRequest(message, parameter=name, allowed=f"at most {self.redirects} redirects")

    def _get(self, parts: SplitResult, name: str, deadline: float) -> bytes | str:
        """The file, or where it is instead."""
        from urllib3.exceptions import HTTPError

        host, port = parts.hostname or "", parts.port or 443
        address = self._address(host, port, name)
        left = deadline - self.clock()
        if left <= 0:
            raise self._late(parts, name)
        connection = self._connection(host, port, address, left)
        socks: list[Any] = []
        closer = threading.Timer(left, _hang_up, [connection, socks])
        closer.daemon = True
        closer.start()
        try:
            connection.connect()
            socks.append(connection.sock)  # a connection that will close gives its socket away with the answer
            answer = self._exchange(connection, parts, name)
        except (HTTPError, HTTPException, OSError, ValueError, AttributeError) as error:
            # AttributeError: what urllib3 meets when the timer takes the socket away while it connects.
            if self.clock() >= deadline or isinstance(error, TimeoutError):
                raise self._late(parts, name) from None
            why = type(error.__cause__ or error).__name__
            message = f"{name}: {_place(parts)} can not be read ({why})"
            raise InvalidRequest(message, parameter=name, allowed="an https URL that answers") from None
        finally:
            closer.cancel()
            connection.close()
        if self.clock() >= deadline:  # hanging up looks like the end of a file
            raise self._late(parts, name)
        return answer

    def _address(self, host: str, port: int, name: str) -> str:
        try:
            found = (self.resolve or _resolve)(host, port)
        except (OSError, UnicodeError):
            found = []
        if not found:
            message = f"{name}: the host {shown(host)} is not known"
            raise InvalidRequest(message, parameter=name, allowed="an https URL of a public host")
        if not all(map(self.allowed, found)):
            message = f"{name}: the host {shown(host)} is not a public one"
            raise InvalidRequest(message, parameter=name, allowed="an https URL of a public host")
        return found[0]

    def _connection(self, host: str, port: int, address: str, timeout: float) -> Any:
        from urllib3.connection import HTTPSConnection

        context = ssl.create_default_context(cafile=self.ca_bundle)
        return HTTPSConnection(
            address, port, timeout=timeout, ssl_context=context, server_hostname=host, assert_hostname=host
        )

    def _exchange(self, connection: Any, parts: SplitResult, name: str) -> bytes | str:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": parts.netloc, "Accept": "image/png, image/jpeg, image/webp", "User-Agent": "lascaux"}
        connection.request("GET", target, headers=headers, preload_content=False, decode_content=False)
        response = connection.getresponse()
        try:
            return self._answer(response, parts, name)
        finally:
            response.close()

    def _answer(self, response: Any, parts: SplitResult, name: str) -> bytes | str:
        place = response.headers.get("Location")
        if response.status in _REDIRECTS and place:
            return str(place)
        if response.status != 200:
            message = f"{name}: {_place(parts)} answers with status {response.status}"
            raise InvalidRequest(message, parameter=name, allowed="an https URL that answers with a picture")
        promised = response.headers.get("Content-Length", "0")
        body = b"" if promised.isdigit() and int(promised) > self.max_bytes else _read(response, self.max_bytes + 1)
        if not body or len(body) > self.max_bytes:
            message = f"{name}: {_place(parts)} holds nothing, or more than {self.max_bytes:,} bytes"
            raise InvalidRequest(message, parameter=name, allowed=f"a picture of at most {self.max_bytes:,} bytes")
        return body

    def _late(self, parts: SplitResult, name: str) -> InvalidRequest:
        message = f"{name}: {_place(parts)} was not read within {self.timeout:g} s"
        return InvalidRequest(message, parameter=name, allowed=f"a picture that arrives within {self.timeout:g} s")


def _checked(url: str, name: str, ports: frozenset[int]) -> SplitResult:
    allowed = "an https URL without user name, of a public host"
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise InvalidRequest(f"{name}: the URL can not be read", parameter=name, allowed=allowed) from None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or port not in ports:
        message = f"{name}: only {allowed} is fetched, not {_place(parts)}"
        raise InvalidRequest(message, parameter=name, allowed=allowed)
    if not url.isascii() or any(character <= " " for character in url):
        message = f"{name}: the URL must be written with percent signs for what is not plain ASCII"
        raise InvalidRequest(message, parameter=name, allowed=allowed)
    return parts


def _joined(url: str, place: str) -> str:
    """Where a redirect leads; what can not be read is refused as it stands."""
    try:
        return urljoin(url, place)
    except ValueError:
        return place


def _place(parts: SplitResult) -> str:
    """Scheme and host: path and query of a URL may be a secret."""
    return shown(f"{parts.scheme}://{parts.hostname or ''}").strip("'\"")


def _resolve(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _read(response: Any, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < limit and (part := response.read(min(65_536, limit - size))):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _hang_up(connection: Any, socks: list[Any]) -> None:
    """End an exchange from outside, however slowly the other side drips."""
    for sock in (*socks, connection.sock):
        if sock is not None:
            with suppress(OSError, ValueError):
                sock.shutdown(socket.SHUT_RDWR)
