"""Credentials that have to be found or renewed, and failures of it that are shared instead of repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from ..errors import ProviderError
from .keys import Keys, Proof

__all__ = ["Cooldown", "Renewable", "Renewed", "Source"]

MANDATORY = 600
"""Seconds before expiry from which botocore makes every caller wait for new credentials."""

PAUSE = 5.0


class Source(Protocol):
    """One identity. Thread-safe; may ask STS, a file or the machine's metadata."""

    def proof(self) -> Proof:
        """What to sign with now. Raises CredentialsError, or another ProviderError if STS can not be asked."""
        ...


class Renewable(Protocol):
    """What `Renewed` needs of found credentials."""

    def due(self, within: int) -> bool:
        """True if they must be renewed because they expire within so many seconds."""
        ...

    def keys(self) -> Keys:
        """The keys of this moment, renewed when due. Raises ProviderError."""
        ...


class Cooldown:
    """Remembers a failure for a few seconds, so that what has just failed is not tried again at once."""

    def __init__(self, clock: Callable[[], float], seconds: float = PAUSE) -> None:
        self._clock = clock
        self._seconds = seconds
        self._failure: tuple[float, ProviderError] | None = None

    def check(self) -> None:
        """Raise the remembered failure while it is fresh; a new error each time, for each has its own traceback."""
        if self._failure is not None and self._clock() < self._failure[0]:
            error = self._failure[1]
            raise type(error)(error.message, code=error.code, retry_after=error.retry_after)

    def remember(self, error: ProviderError) -> None:
        """Note a failure from now on. One that is still fresh keeps its time."""
        if self._failure is None or self._clock() >= self._failure[0]:
            self._failure = (self._clock() + self._seconds, error)


class Renewed:
    """One identity whose keys are looked up when first needed and renewed before they expire.

    While they are good nobody waits. When they are not, one thread renews and the others wait for it; if it fails, they all
    get its error, and nobody tries again for five seconds.
    """

    def __init__(self, load: Callable[[Cooldown], Renewable], *, clock: Callable[[], float]) -> None:
        self._load = load
        self._found: Renewable | None = None
        self._cooldown = Cooldown(clock)
        self._lock = threading.Lock()

    def proof(self) -> Proof:
        """The keys of this moment. Raises ProviderError."""
        found = self._found
        if found is not None and not found.due(MANDATORY):
            return found.keys()
        with self._lock:
            if self._found is None or self._found.due(MANDATORY):
                self._cooldown.check()
            try:
                if self._found is None:
                    self._found = self._load(self._cooldown)
                return self._found.keys()
            except ProviderError as error:
                self._cooldown.remember(error)
                raise
