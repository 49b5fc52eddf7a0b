"""Pictures from URLs: https only, from public addresses only, within limits; over a real TLS server."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pybase64
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.fake import PICTURE
from lascaux.providers.picture_urls import UrlFetcher, is_public
from lascaux.providers.pictures import Sources, read_picture

HOST = "pictures.example"
DATA = pybase64.b64decode(PICTURE)


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012  # one list for all, emptied by the fixture
    released = threading.Event()

    def do_GET(self) -> None:
        self.asked.append((self.headers["Host"], self.path))
        name, _, rest = self.path[1:].partition("?")[0].partition("/")
        getattr(self, f"answer_{name}")(rest)

    def answer_good(self, rest: str) -> None:
        self._send(200, DATA)

    def answer_empty(self, rest: str) -> None:
        self._send(200, b"")

    def answer_missing(self, rest: str) -> None:
        self._send(404, DATA)

    def answer_hop(self, rest: str) -> None:
        self._send(302, b"", Location=f"/hop/{int(rest) - 1}" if int(rest) else "/good")

    def answer_to(self, rest: str) -> None:
        self._send(307, b"", Location=rest)

    def answer_large(self, rest: str) -> None:
        self._send(200, bytes(int(rest)))

    def answer_unsaid(self, rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(int(rest)))

    def answer_drip(self, rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.released.wait(0.02):
            try:
                self.wfile.write(b"\x89")
            except OSError:
                return

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that does not complain when clients hang up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing."""


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return cert, secret


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    cert, secret = certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, secret)
    running = Server(("127.0.0.1", 0), Handler)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    Handler.released.clear()
    thread.start()
    yield running.server_port, cert
    Handler.released.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def fetcher(server: tuple[int, Path]) -> UrlFetcher:
    """One that takes the test server for a public host."""
    Handler.asked.clear()
    port, cert = server
    return UrlFetcher(
        ports=frozenset({port}),
        ca_bundle=str(cert),
        resolve=lambda host, port: ["127.0.0.1"],
        allowed=lambda address: address == "127.0.0.1",
        timeout=10,
        max_bytes=10_000,
    )


def url(server: tuple[int, Path], path: str, host: str = HOST) -> str:
    return f"https://{host}:{server[0]}{path}"


def asked() -> list[tuple[str, str]]:
    """(host, path) of what was asked; the request that was left alone may come late."""
    return [(host, path) for host, path in Handler.asked if path != "/drip"]


def refusal(fetcher: UrlFetcher, address: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        fetcher.fetch(address, "image")
    assert caught.value.parameter == "image"
    assert "secret" not in str(caught.value)
    return str(caught.value)


def test_a_picture_is_fetched(server: tuple[int, Path], fetcher: UrlFetcher) -> None:
    """By the name in the URL, which is what the certificate and the server are asked for; redirects are followed."""
    sources = Sources(urls=True, fetcher=fetcher)
    picture = read_picture(url(server, "/good?secret=1"), sources=sources)
    assert picture.bytes == DATA
    assert asked() == [(f"{HOST}:{server[0]}", "/good?secret=1")]
    assert fetcher.fetch(url(server, "/hop/2"), "image") == DATA
    assert read_picture({"image_url": url(server, "/good")}, sources=sources) == picture


def test_limits_hold(server: tuple[int, Path], fetcher: UrlFetcher) -> None:
    """Redirects, size (said or not), emptiness and status."""
    assert "redirects more than 3 times" in refusal(fetcher, url(server, "/hop/3"))
    assert len(fetcher.fetch(url(server, "/unsaid/10000"), "image")) == 10_000
    for path in ("/large/10001", "/unsaid/10001", "/unsaid/900000", "/empty"):
        assert "holds nothing, or more than 10,000 bytes" in refusal(fetcher, url(server, path))
    assert "answers with status 404" in refusal(fetcher, url(server, "/missing/?secret=1"))


def test_a_dripping_server_is_left(server: tuple[int, Path], fetcher: UrlFetcher) -> None:
    """The time limit is for the whole picture, however often a byte arrives."""
    started = time.monotonic()
    assert "was not read within 0.3 s" in refusal(replace(fetcher, timeout=0.3), url(server, "/drip"))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "target",
    [
        "http://pictures.example/good",
        "https://user:secret@pictures.example/good",
        "https://pictures.example:22/good",
        "file:///etc/passwd",
        "https://pictures.example:x/",
        "https://[::1/",
    ],
)
def test_other_urls_are_refused_at_first_and_behind_a_redirect(
    server: tuple[int, Path], fetcher: UrlFetcher, target: str
) -> None:
    """Only https, the usual port, and no credentials."""
    for address in (target, url(server, f"/to/{target}")):
        assert refusal(fetcher, address).startswith("image: ")
    assert len(asked()) == 1


def test_control_characters_do_not_reach_the_wire(server: tuple[int, Path], fetcher: UrlFetcher) -> None:
    """Nor do letters that have no place in a request line."""
    for path in ("/good\r\nX-Evil: 1", "/good x", "/gööd"):
        refusal(fetcher, url(server, path))
    assert asked() == []


def test_private_hosts_are_refused_at_first_and_behind_a_redirect(
    server: tuple[int, Path], fetcher: UrlFetcher
) -> None:
    """Every address of a name must be public; the one that was checked is the one connected to."""
    places = {HOST: ["127.0.0.1"], "inner.example": ["10.0.0.1"], "both.example": ["127.0.0.1", "169.254.169.254"]}
    careful = replace(fetcher, resolve=lambda host, port: places.get(host, []))
    for host in ("inner.example", "both.example"):
        assert "is not a public one" in refusal(careful, url(server, "/good", host))
        assert "is not a public one" in refusal(careful, url(server, f"/to/{url(server, '/good', host)}"))
    assert "is not known" in refusal(careful, url(server, "/good", "nowhere.example"))
    assert [path.partition("/")[0] for _, path in asked()] == ["", ""]
    assert "is not a public one" in refusal(replace(fetcher, allowed=is_public), url(server, "/good"))
    assert "is not a public one" in refusal(
        replace(UrlFetcher(), ports=fetcher.ports), url(server, "/good", "127.0.0.1")
    )


def test_a_wrong_certificate_is_refused(server: tuple[int, Path], fetcher: UrlFetcher) -> None:
    """One for another name, or from nobody known."""
    assert "can not be read" in refusal(fetcher, url(server, "/good", "other.example"))
    assert "can not be read" in refusal(replace(fetcher, ca_bundle=None), url(server, "/good"))
    assert asked() == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        *((private, False) for private in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254")),
        *((private, False) for private in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1")),
        *((private, False) for private in ("::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "fd00:ec2::254")),
        *((private, False) for private in ("::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "::127.0.0.1")),
        ("not an address", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    """Also those that are dressed as IPv6."""
    assert is_public(address) is public
    with_scope = address.partition("%")[0]
    if not public and address[0].isdigit():
        assert not ipaddress.ip_address(with_scope).is_global or with_scope == "224.0.0.1" or ":" in with_scope
