"""A world with a virtual clock, in which the real attempt loop meets scripted deployments."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from lascaux.benchmarks.simulator import Outcome, Simulation
from lascaux.providers.errors import LascauxError
from lascaux.providers.types import Call, Target
from lascaux.router.context import Trail
from lascaux.router.deployment import Candidate, Deployment, Permit
from lascaux.router.effects import Served
from lascaux.router.health import State

if TYPE_CHECKING:
    from lascaux.tests.clients.stage import Driver, Stage

#: Every run sees the same examples; ``--hypothesis-profile=explore`` looks for new ones.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", settings.get_profile("default"), derandomize=False)
settings.load_profile("default")

Script = Callable[[Target, float], tuple[float, LascauxError | None]]
"""(target, now) -> (latency in seconds, error or None)."""


@dataclass
class Begun:
    """A permit, and the breaker's state at the moment it was given."""

    deployment: str
    at: float
    state: State
    probe: bool
    panic: bool


class WatchedDeployment(Deployment):
    """A deployment that notes in which state it was asked."""

    __slots__ = ("begun", "probes")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.begun: list[Begun] = []
        self.probes = 0

    def begin(self, candidate: Candidate, now: float, *, panic: bool = False, early: bool = False) -> Permit:
        state = self.state(now)
        permit = super().begin(candidate, now, panic=panic, early=early)
        self.begun.append(Begun(self.name, now, state, permit.probe, panic))
        self.probes += permit.probe
        assert self.probes <= 1, "two probes at once"
        return permit

    def settle(self, permit: Permit, *args: Any, **more: Any) -> None:
        self.probes -= permit.probe
        super().settle(permit, *args, **more)


@dataclass
class Ended:
    """How a request ended."""

    trail: Trail
    at: float
    served: Served | None = None
    error: LascauxError | None = None


class World(Simulation):
    """A simulation whose deployments follow a script, and which remembers every call and how every request ended."""

    deployment_type = WatchedDeployment

    def __init__(self, *, script: Script = lambda target, now: (1.0, None), **more: Any) -> None:
        super().__init__(**more)
        self.script = script
        self.sends: list[tuple[float, str]] = []
        self.ended: list[Ended] = []

    def answer(self, target: Target, call: Call) -> tuple[float, LascauxError | None]:
        self.sends.append((self.now, target.deployment))
        return self.script(target, self.now)

    def finished(self, trail: Trail, outcome: Outcome) -> None:
        if isinstance(outcome, LascauxError):
            self.ended.append(Ended(trail, self.now, error=outcome))
        else:
            self.ended.append(Ended(trail, self.now, served=outcome))

    def run(self, alias: str, **request: Any) -> Ended:
        """One request, to its end."""
        before = len(self.ended)
        self.ask(alias, **request)
        self.play()
        return self.ended[before]


@pytest.fixture
def world() -> type[World]:
    """The class, so that a test chooses policies before the world is made."""
    return World


@pytest.fixture(scope="session")
def sts() -> Iterator[str]:
    """The URL of moto's STS."""
    from moto.server import ThreadedMotoServer  # takes a second to load, and few tests need it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    assert server._server is not None
    server._server.server_close()


def serving(app: Any) -> AbstractContextManager[str]:
    """Serve an ASGI application with uvicorn for as long as this lasts; gives its URL."""
    import uvicorn  # few tests need it

    @contextmanager
    def running() -> Iterator[str]:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            app, log_config=None, lifespan="on", http="h11", ws="none", timeout_graceful_shutdown=10
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            listener.close()
            assert not thread.is_alive()

    return running()


@pytest.fixture(scope="session")
def serve() -> Callable[[Any], AbstractContextManager[str]]:
    """Serves an ASGI application over real HTTP: ``with serve(app) as url``."""
    return serving


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway process on an emulator, for the tests of clients."""
    from lascaux.tests.clients.stage import staged  # few tests need it

    with staged(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="session")
def drivers(stage: Stage) -> Iterator[Callable[[str], Driver]]:
    """Gives each client's driver by its name; skips the test where what it needs is not installed."""
    from lascaux.tests.clients.interpreters import start

    started: dict[str, Driver] = {}
    with ExitStack() as stack:

        def give(name: str) -> Driver:
            if name not in started or not started[name].alive:
                started[name] = stack.enter_context(start(stage, name))
            return started[name]

        yield give


def unskipped(report: Any) -> None:
    """A skipped test has failed, and says why it was skipped."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"NO_SKIPS forbids it: {getattr(report, 'wasxfail', None) or reason}"
    report.__dict__.pop("wasxfail", None)


#: Not LASCAUX_..., which would be a setting of the programs under test.
if os.environ.get("NO_SKIPS", "") not in ("", "0"):

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport() -> Generator[None, Any, Any]:
        """Where everything is installed nothing is skipped, and nothing fails as expected."""
        report = yield
        if report.skipped:
            unskipped(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report() -> Generator[None, Any, Any]:
        """The same for whole files."""
        report = yield
        if report.skipped:
            unskipped(report)
        return report
