"""Errors of routing, and the whole tree below them under one roof.

::

    LascauxError
    ├── RequestError, ProviderError ...   see lascaux.providers.errors
    ├── ConfigError                       the YAML file or the environment is wrong
    └── RoutingError
        ├── UnknownAlias                  no alias, deployment or pattern has this name
        ├── NoDeploymentAvailable         nobody may be asked now
        ├── DeadlineExceeded              the time for the whole request is over
        └── AttemptsFailed                everybody who could be asked failed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..providers.errors import (
    AttemptTimeout,
    BadResponse,
    ConnectionBroken,
    ConnectionFailed,
    ContentFiltered,
    CredentialsError,
    InvalidRequest,
    LascauxError,
    ModelRetired,
    ModelTimeout,
    ModelUnavailable,
    ProviderError,
    Rejected,
    RequestError,
    Throttled,
    Unavailable,
)

if TYPE_CHECKING:
    from .records import Attempt

__all__ = [
    "AttemptTimeout",
    "AttemptsFailed",
    "BadResponse",
    "ConfigError",
    "ConnectionBroken",
    "ConnectionFailed",
    "ContentFiltered",
    "CredentialsError",
    "DeadlineExceeded",
    "InvalidRequest",
    "LascauxError",
    "ModelRetired",
    "ModelTimeout",
    "ModelUnavailable",
    "NoDeploymentAvailable",
    "ProviderError",
    "Rejected",
    "RequestError",
    "RoutingError",
    "Throttled",
    "Unavailable",
    "UnknownAlias",
]


class ConfigError(LascauxError):
    """The configuration can not be used. ``problems`` holds every finding, one line each, with its place."""

    default_code = "config"

    def __init__(
        self,
        message: str,
        *,
        problems: Sequence[str] = (),
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)
        self.file = file
        self.line = line
        self.column = column
        self.path = path


class RoutingError(LascauxError):
    """The router could not get an answer. ``attempts`` are the calls that were made, in order."""

    status = 503

    def __init__(self, message: str, *, attempts: Sequence[Attempt] = (), retry_after: float | None = None) -> None:
        super().__init__(message)
        self.attempts = tuple(attempts)
        self.retry_after = retry_after
        """Seconds until it may be worth asking again, or None."""

    @property
    def may_be_billed(self) -> bool:
        """True if AWS may have charged for one of the attempts."""
        return any(attempt.may_be_billed for attempt in self.attempts)


class UnknownAlias(RoutingError):
    """No alias, deployment or pattern of the configuration has this name. Nothing was called."""

    status = 404
    default_code = "model_not_found"


class NoDeploymentAvailable(RoutingError):
    """Every deployment that could serve the request is resting, at its limit, or excluded."""

    default_code = "no_deployment_available"


class DeadlineExceeded(RoutingError):
    """The deadline of the whole request passed before anybody answered."""

    status = 504
    default_code = "deadline_exceeded"


class AttemptsFailed(RoutingError):
    """Everybody who could be asked failed. The last attempt's error is ``__cause__`` and decides the status."""

    default_code = "attempts_failed"

    def __init__(self, message: str, *, attempts: Sequence[Attempt] = (), retry_after: float | None = None) -> None:
        super().__init__(message, attempts=attempts, retry_after=retry_after)
        last = self.attempts[-1].error if self.attempts else None
        if last is not None:
            self.status = last.status  # type: ignore[misc]  # the class fact is only the default here
            self.code = last.code
