"""One signed exchange per call: TLS, proxies, settings, bodies, and what may not happen to a secret."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lascaux import __version__
from lascaux.emulator import DEMO_BEARER_TOKEN, Emulator, Faults, Rule
from lascaux.providers.bedrock import dialling
from lascaux.providers.bedrock.transport import MAX_BODY, Answer, Transport, encode_body
from lascaux.providers.errors import (
    AttemptTimeout,
    BadResponse,
    ConnectionFailed,
    CredentialsError,
    InvalidRequest,
    LascauxError,
    ModelUnavailable,
    Throttled,
)
from lascaux.providers.types import Credentials, Secret, Target
from lascaux.tests.certificates import self_signed

CORE = "stability.stable-image-core-v1:1"
BODY = {"prompt": "a red kite over dunes", "seed": 7}
KEYS = Credentials(access_key_id="emulator", secret_access_key=Secret("emulator-secret"))
BEARER = Credentials(name="api", bearer_token=Secret(DEMO_BEARER_TOKEN))


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without AWS settings and proxies."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for bedrock.test and loopback, and its key; it is its own authority."""
    return self_signed(tmp_path_factory.mktemp("tls"), "bedrock.test")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Bedrock over plain HTTP."""
    with Emulator(canvas="fast") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def secure(certificate: tuple[str, str]) -> Iterator[Emulator]:
    """Bedrock over TLS."""
    with Emulator(canvas="fast", tls=certificate) as emulator:
        yield emulator


@pytest.fixture
def transport() -> Iterator[Transport]:
    """A transport that is closed in the end."""
    transport = Transport()
    yield transport
    transport.close()


@pytest.fixture(autouse=True)
def forget(emulator: Emulator, secure: Emulator) -> None:
    """Each test has the logs for itself."""
    emulator.forget()
    secure.forget()
    emulator.faults = Faults()


def target(url: str | None, **fields: Any) -> Target:
    """A deployment of Core at ``url``."""
    given: dict[str, Any] = {
        "deployment": "d",
        "model": CORE,
        "model_id": CORE,
        "region": "us-west-2",
        "credentials": KEYS,
    }
    return Target(**(given | {"endpoint_url": url} | fields))


@pytest.fixture(params=["thread", "loop"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds for a thread that waits, and for an event loop that does not."""
    if request.param == "loop":
        monkeypatch.setitem(globals(), "answer_of", answer_in_loop)


def answer_of(transport: Transport, where: Target, **options: Any) -> Answer:
    """What `Transport.send` says."""
    given: dict[str, Any] = {"body": BODY, "headers": {}, "timeout": 10.0} | options
    return transport.send(where, given.pop("body"), **given)


def answer_in_loop(transport: Transport, where: Target, **options: Any) -> Answer:
    """What `Transport.asend` says."""
    given: dict[str, Any] = {"body": BODY, "headers": {}, "timeout": 10.0} | options
    return asyncio.run(transport.asend(where, given.pop("body"), **given))


def send(transport: Transport, where: Target, **options: Any) -> dict[str, Any]:
    """One call; the payload of its answer."""
    return answer_of(transport, where, **options).payload


def refused(transport: Transport, where: Target, **options: Any) -> LascauxError:
    """One call, and the error it ends with."""
    with pytest.raises(LascauxError) as caught:
        send(transport, where, **options)
    return caught.value


def test_a_signed_call(transport: Transport, emulator: Emulator) -> None:
    """The emulator verifies the signature; the answer comes with AWS's request id."""
    answer = answer_of(transport, target(emulator.url))
    (record,) = emulator.log
    assert answer.request_id == record.request_id
    assert answer.payload["seeds"] == [7]
    assert record.body == BODY
    assert (record.key_id, record.region) == ("emulator", "us-west-2")
    assert record.headers["accept"] == record.headers["content-type"] == "application/json"
    assert record.headers["user-agent"] == f"lascaux/{__version__}"


@pytest.mark.parametrize(
    "model_id",
    [
        CORE,
        f"arn:aws:bedrock:us-west-2::foundation-model/{CORE}",
        "arn:aws:bedrock:us-west-2:000000000000:application-inference-profile/a0a0a0a0a0a0",
    ],
)
def test_identifiers_are_encoded_once(transport: Transport, emulator: Emulator, model_id: str) -> None:
    """Every kind of identifier arrives as it was, under a signature that holds."""
    assert send(transport, target(emulator.url, model_id=model_id))["images"]
    assert emulator.log[0].path == f"/model/{model_id}/invoke"


def test_session_tokens_are_sent(transport: Transport, emulator: Emulator) -> None:
    """A temporary key comes with its token, which is signed too."""
    emulator.add_key("ASIATEMP", "temp-secret", "temp-token")
    fields = {"access_key_id": "ASIATEMP", "secret_access_key": Secret("temp-secret")}
    assert send(transport, target(emulator.url, credentials=Credentials(**fields, session_token=Secret("temp-token"))))  # type: ignore[arg-type]
    error = refused(transport, target(emulator.url, credentials=Credentials(**fields)))  # type: ignore[arg-type]
    assert (type(error), error.code) == (CredentialsError, "unknown_key")


def test_guardrail_headers_are_sent_and_signed(transport: Transport, emulator: Emulator) -> None:
    """A call's own headers arrive; the signature covers them."""
    headers = {"X-Amzn-Bedrock-GuardrailIdentifier": "abc", "X-Amzn-Bedrock-GuardrailVersion": "1"}
    send(transport, target(emulator.url), headers=headers)
    assert emulator.log[0].headers["x-amzn-bedrock-guardrailidentifier"] == "abc"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x-guard": "a\r\nhost: evil"}, "header x-guard: its value has characters that a header can not hold"),
        ({"x-guard": "é"}, "header x-guard: its value has characters that a header can not hold"),
        ({"x guard": "a"}, "header 'x guard' can not be set"),
        ({"Authorization": "a"}, "header 'Authorization' can not be set"),
        ({"Host": "a"}, "header 'Host' can not be set"),
    ],
)
def test_headers_that_may_not_be_sent(
    transport: Transport, emulator: Emulator, headers: dict[str, str], message: str
) -> None:
    """No header breaks out of its line, and none takes the place of ours."""
    error = refused(transport, target(emulator.url), headers=headers)
    assert (type(error), str(error)) == (InvalidRequest, message)
    assert not emulator.log


def test_the_largest_body() -> None:
    """25,000,000 bytes are Bedrock's limit, and ours; one more is refused before anything is sent."""
    room = MAX_BODY - len(b'{"image":""}')
    assert len(encode_body({"image": "x" * room})) == MAX_BODY
    with pytest.raises(InvalidRequest, match="has 25,000,001 bytes, Bedrock takes at most 25,000,000; send smaller"):
        encode_body({"image": "x" * (room + 1)})


@pytest.mark.parametrize("value", [b"bytes", object(), 2**70, {1: 2}])
def test_a_body_that_is_no_json(value: object) -> None:
    """What JSON can not express is an error of the request."""
    with pytest.raises(InvalidRequest, match="can not be written as JSON"):
        encode_body({"native": value})


def test_settings_of_the_environment(transport: Transport, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint of the deployment that of the environment is called."""
    monkeypatch.setenv("AWS_BEDROCK_RUNTIME_ENDPOINT", emulator.url)
    assert send(transport, target(None))["images"]


def test_settings_of_a_profile(transport: Transport, emulator: Emulator, tmp_path: Path) -> None:
    """A profile brings its endpoint from a ``services`` section along with its keys."""
    (tmp_path / "config").write_text(
        "[profile images]\nservices = local\naws_access_key_id = emulator\naws_secret_access_key = emulator-secret\n"
        f"[services local]\nbedrock_runtime =\n  endpoint_url = {emulator.url}\n"
    )
    assert send(transport, target(None, credentials=Credentials(profile="images")))["images"]


def test_an_endpoint_below_a_path(transport: Transport, emulator: Emulator) -> None:
    """A prefix of the endpoint becomes part of path and signature."""
    error = refused(transport, target(f"{emulator.url}/bedrock/"))
    assert isinstance(error, ModelUnavailable)
    assert emulator.log[0].path == f"/bedrock/model/{CORE}/invoke"


def test_tls_with_an_authority_of_ones_own(
    secure: Emulator, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CA bundle of the deployment or of AWS_CA_BUNDLE is trusted; connections are kept over TLS as well."""
    for field in (certificate[0], True):
        if field is True:
            monkeypatch.setenv("AWS_CA_BUNDLE", certificate[0])
        transport = Transport()
        for _ in range(2):
            assert send(transport, target(secure.url, verify=field))["images"]
        transport.close()


def test_tls_that_is_not_trusted(transport: Transport, secure: Emulator, tmp_path: Path) -> None:
    """An unknown authority, and a bundle that can not be read, are named; nothing is sent."""
    error = refused(transport, target(secure.url))
    assert (type(error), error.code) == (ConnectionFailed, "tls")
    assert "its certificate is not trusted (self" in str(error)
    missing = str(tmp_path / "missing.pem")
    error = refused(transport, target(secure.url, verify=missing))
    assert str(error) == f"CA bundle {missing!r} can not be used: No such file or directory"
    (tmp_path / "empty.pem").write_text("")
    error = refused(transport, target(secure.url, verify=str(tmp_path / "empty.pem")))
    assert error.code == "ca_bundle"
    assert not secure.log


def test_tls_without_verification(transport: Transport, secure: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Who switches verification off gets his call, and a warning in the log."""
    dialling._context.cache_clear()
    assert send(transport, target(secure.url, verify=False))["images"]
    assert "TLS verification is switched off" in caplog.text


def test_plain_http_on_a_tls_port(transport: Transport, emulator: Emulator) -> None:
    """TLS to a server that speaks none fails with nothing sent."""
    error = refused(transport, target(emulator.url.replace("http:", "https:")))
    assert (type(error), error.code) == (ConnectionFailed, "tls")


def test_a_server_that_does_not_shake_hands() -> None:
    """Connecting, the TLS handshake included, has its own short timeout."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = Transport(connect_timeout=0.2)
        error = refused(transport, target(f"https://127.0.0.1:{server.getsockname()[1]}"))
        transport.close()
    assert (type(error), error.code) == (ConnectionFailed, "connect_timeout")
    assert str(error).endswith("no connection within 0.2 s")


def test_bearer_over_tls(transport: Transport, secure: Emulator, certificate: tuple[str, str]) -> None:
    """An API key is sent as a bearer token, and nothing is signed."""
    assert send(transport, target(secure.url, credentials=BEARER, verify=certificate[0]))["images"]
    assert secure.log[0].key_id == "bearer"


def test_bearer_over_plain_http_stays_on_this_machine(transport: Transport) -> None:
    """Over plain HTTP an API key goes to loopback only."""
    with Emulator(canvas="fast", allow_plain_bearer=True) as emulator:
        assert send(transport, target(emulator.url, credentials=BEARER))["images"]
    error = refused(transport, target("http://bedrock.test", credentials=BEARER))
    assert (type(error), error.code) == (CredentialsError, "bearer_over_http")
    assert str(error) == "credentials 'api': a bearer token is not sent over plain http to bedrock.test; use https"


class Proxy:
    """An HTTP proxy: CONNECT and absolute URLs all lead to one upstream. Remembers the heads it saw."""

    def __init__(self, upstream: str, refuse: bytes | None = None) -> None:
        self.heads: list[bytes] = []
        self._upstream = ("127.0.0.1", int(upstream.rsplit(":", 1)[1]))
        self._refuse = refuse
        self._server = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        self.heads.append(head)
        with client:
            if self._refuse:
                client.sendall(self._refuse)
                return
            with socket.create_connection(self._upstream) as server:
                if head.startswith(b"CONNECT"):
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                else:
                    server.sendall(head)
                back = threading.Thread(target=self._copy, args=(server, client))
                back.start()
                self._copy(client, server)
                back.join()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_https_through_a_proxy(secure: Emulator, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is asked for a tunnel, with its password; the endpoint's certificate is verified inside of it."""
    with Proxy(secure.url) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass%40word@{proxy.address}")
        transport = Transport()
        for _ in range(2):
            assert send(transport, target("https://bedrock.test", verify=certificate[0]))["images"]
        transport.close()
        (head,) = proxy.heads
    assert head.startswith(b"CONNECT bedrock.test:443 ")
    assert b"Proxy-Authorization: Basic bWU6cGFzc0B3b3Jk\r\n" in head
    assert len(secure.log) == 2


def test_http_through_a_proxy(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain endpoint is called with its whole URL; what is signed is path and host alone."""
    with Proxy(emulator.url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2@{proxy.address}")
        transport = Transport()
        error = refused(transport, target("http://bedrock.test:8080/base"))
        transport.close()
        (head,) = proxy.heads
    assert head.startswith(
        b"POST http://bedrock.test:8080/base/model/stability.stable-image-core-v1%3A1/invoke HTTP/1.1\r\n"
    )
    assert b"host: bedrock.test:8080\r\n" in head.lower()
    assert isinstance(error, ModelUnavailable)


def test_no_proxy(
    transport: Transport,
    emulator: Emulator,
    secure: Emulator,
    certificate: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loopback is never sent to a proxy; other hosts are not if NO_PROXY names them."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert send(transport, target(emulator.url))["images"]
    assert send(transport, target(secure.url, verify=certificate[0]))["images"]
    monkeypatch.setenv("NO_PROXY", ".invalid")
    error = refused(transport, target("https://bedrock.invalid"))
    assert str(error) == "no connection to bedrock.invalid:443: the host name is not known"


def test_a_proxy_that_refuses(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the proxy said is told; its password is not."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with Proxy(emulator.url, refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@{proxy.address}")
        transport = Transport()
        error = refused(transport, target("https://bedrock.test"))
        transport.close()
    assert (type(error), error.code) == (ConnectionFailed, "proxy")
    assert str(error) == (
        "no connection to bedrock.test:443 through proxy 127.0.0.1: "
        "the proxy refused (Tunnel connection failed: 407 Proxy Authentication Required)"
    )


def test_a_proxy_that_is_none(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of another kind is refused, without its URL."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:hunter2@127.0.0.1:9")
    error = refused(transport, target("https://bedrock.test"))
    assert str(error) == "the https proxy of the environment is not an http:// or https:// URL"


def test_a_proxy_in_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that never comes to the end of its answer takes no more than the time to connect."""
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.02):
                client.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        transport = Transport(connect_timeout=0.2)
        started = time.monotonic()
        error = refused(transport, target("https://bedrock.test"))
        assert time.monotonic() - started < 2
        over.set()
        thread.join()
    assert (type(error), error.code) == (ConnectionFailed, "connect_timeout")
    assert str(error).endswith("no connection within 0.2 s")


def _variables(error: BaseException | None) -> str:
    """The variables of every frame that hangs on an error, and on those behind it."""
    shown = []
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename != __file__:
                shown.append(repr(trace.tb_frame.f_locals))
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


@pytest.mark.parametrize("proxy", ["http://me:hunter2@127.0.0.1:9", "socks5://me:hunter2@x", "http://me:hunter2@x:y"])
@pytest.mark.parametrize("verify", [True, "/nowhere.pem"])
def test_a_proxys_password_is_in_no_variable(
    transport: Transport, proxy: str, verify: bool | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback that prints variables shows neither the password nor the header made of it."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = refused(transport, target("https://bedrock.test", verify=verify))
    assert isinstance(error, ConnectionFailed)
    shown = _variables(error) + str(error)
    assert "endpoint" in shown
    assert "hunter2" not in shown
    assert b64encode(b"me:hunter2").decode() not in shown


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_certificates_are_read_for_oneself(emulator: Emulator, tmp_path: Path) -> None:
    """While one call waits for a slow CA bundle the others go on."""
    bundle = tmp_path / "bundle.pem"
    os.mkfifo(bundle)
    transport = Transport()
    errors: list[LascauxError] = []
    slow = target("https://127.0.0.1:9", verify=str(bundle))
    thread = threading.Thread(target=lambda: errors.append(refused(transport, slow)))
    thread.start()
    with bundle.open("wb"):  # opens as soon as the other side reads
        assert send(transport, target(emulator.url))["images"]
    thread.join()
    transport.close()
    assert errors[0].code == "ca_bundle"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_wait_for_locks_of_its_parent(transport: Transport, emulator: Emulator) -> None:
    """Whatever other threads held at the moment of a fork, the child sends its calls."""
    where = target(emulator.url)
    send(transport, where)
    (pool, _) = next(iter(transport._connections.values()))
    with transport._lock, pool._lock, transport._keyring._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            try:
                send(transport, target(emulator.url, deployment="other", verify=False))
                send(transport, where)
                transport._keyring.proof(KEYS, "cn-north-1")
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    assert len(emulator.log) == 3


def test_redirects_are_not_followed(transport: Transport, emulator: Emulator) -> None:
    """A redirect is not an answer of Bedrock; whoever it leads to gets nothing from us."""
    emulator.faults.add(Rule(kind="html", status=302))
    error = refused(transport, target(emulator.url))
    assert type(error) is BadResponse
    assert not error.may_be_billed
    assert len(emulator.log) == 1


def test_no_time_left_after_credentials(emulator: Emulator) -> None:
    """An attempt whose time went into finding credentials sends nothing."""
    ticks = iter(range(0, 1000, 7))
    transport = Transport(clock=lambda: float(next(ticks)))
    error = refused(transport, target(emulator.url), timeout=5)
    transport.close()
    assert type(error) is AttemptTimeout
    assert not error.may_be_billed
    assert not emulator.log


def test_the_clock_of_the_signature(emulator: Emulator) -> None:
    """A machine whose clock is wrong is told to look at its clock."""
    transport = Transport(wall=lambda: 1_000_000_000.0)
    error = refused(transport, target(emulator.url))
    transport.close()
    assert (type(error), error.code) == (CredentialsError, "signature")
    assert "check this machine's clock" in str(error)


def test_retry_after(transport: Transport, emulator: Emulator) -> None:
    """What Bedrock asks us to wait is on the error, with its request id."""
    emulator.faults.add(Rule(status=429, retry_after=7))
    error = refused(transport, target(emulator.url))
    assert isinstance(error, Throttled)
    assert (error.retry_after, error.upstream_status) == (7.0, 429)
    assert error.request_id == emulator.log[0].request_id


def test_many_threads(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Thirty-two threads share one transport with room for eight idle connections, without a word in the log."""
    transport = Transport(max_idle=8)
    answers: list[Any] = []

    def work(number: int) -> None:
        answers.extend(send(transport, target(emulator.url), body=BODY | {"seed": number})["seeds"] for _ in range(4))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 33)]
    with caplog.at_level(logging.INFO):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    transport.close()
    assert sorted(answers) == [[number] for number in range(1, 33) for _ in range(4)]
    assert not caplog.records


def test_targets_share_connections(transport: Transport, emulator: Emulator) -> None:
    """Two deployments behind one endpoint use the same connections, whatever their credentials and models."""
    emulator.add_key("OTHER", "other-secret")
    other = Credentials(access_key_id="OTHER", secret_access_key=Secret("other-secret"))
    send(transport, target(emulator.url))
    send(transport, target(emulator.url, deployment="other", credentials=other))
    (found,) = transport._connections.values()
    assert found[0].idle == 1


def test_ssl_is_verified_by_default() -> None:
    """A context for TLS checks certificates and names, and speaks TLS 1.2 at least."""
    from lascaux.providers.bedrock.dialling import _context

    context = _context(True)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
