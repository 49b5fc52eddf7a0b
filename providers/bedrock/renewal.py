"""Credentials that have to be found or renewed, and failures of it that are shared instead of repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Protocol

from ..errors import ConnectionFailed, ProviderError
from .keys import Keys, Proof
from .waiting import begin

__all__ = ["Cooldown", "Renewable", "Renewed", "Source"]

MANDATORY = 600
"""Seconds before expiry from which botocore makes every caller wait for new credentials."""

ADVISORY = 900
"""Seconds before expiry from which botocore renews while the old keys still serve."""

PATIENCE = 2.0
"""Seconds to wait for new keys while the old ones still serve."""

PAUSE = 5.0


class Source(Protocol):
    """One identity. Thread-safe; may ask STS, a file or the machine's metadata."""

    def proof(self, timeout: float | None = None) -> Proof:
        """What to sign with now, waited for at most ``timeout`` seconds.

        Raises CredentialsError, or another ProviderError if STS can not be asked or takes too long.
        """
        ...

    def at_hand(self) -> Proof | None:
        """The same if nothing has to be asked or renewed for it, else None. Raises CredentialsError."""
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

    While they are good nobody waits. When they are not, one thread renews and the others wait for it, each as long as it has
    time; if it fails, they all get its error, and nobody tries again for five seconds. A lookup that takes longer than its
    caller can wait goes on for those who come later.
    """

    def __init__(self, load: Callable[[Cooldown], Renewable], *, clock: Callable[[], float]) -> None:
        self._load = load
        self._found: Renewable | None = None
        self._keys: Keys | None = None
        self._lookup: Future[Keys] | None = None
        self._cooldown = Cooldown(clock)
        self._lock = threading.Lock()

    def at_hand(self) -> Proof | None:
        """The keys of this moment while nothing has to be renewed, else None."""
        found = self._found
        return None if found is None or found.due(ADVISORY) else found.keys()

    def proof(self, timeout: float | None = None) -> Proof:
        """The keys of this moment, waited for at most ``timeout`` seconds. Raises ProviderError."""
        ready = self.at_hand()
        if ready is not None:
            return ready
        found, keys = self._found, self._keys
        if found is None or keys is None or found.due(MANDATORY):
            return self._awaited(timeout)
        lookup, mine = self._begin()
        if mine:  # the keys still serve: whoever renews them waits a little, the others not at all
            wait([lookup], None if timeout is None else min(PATIENCE, timeout / 2))
        return lookup.result() if lookup.done() and lookup.exception() is None else keys

    def _awaited(self, timeout: float | None) -> Keys:
        lookup, mine = self._begin()
        wait([lookup], timeout)
        if not lookup.done():
            raise ConnectionFailed("no credentials were found in the time that was left", code="credentials_timeout")
        if not mine and lookup.exception() is not None:
            self._cooldown.check()
        return lookup.result()

    def _begin(self) -> tuple[Future[Keys], bool]:
        """The lookup in flight, or a new one; and whether it is new. Raises what failed a moment ago."""
        with self._lock:
            if self._lookup is not None and not self._lookup.done():
                return self._lookup, False
            if self._found is None or self._found.due(MANDATORY):
                self._cooldown.check()
            self._lookup = begin(self._look)
            return self._lookup, True

    def _look(self) -> Keys:
        try:
            if self._found is None:
                self._found = self._load(self._cooldown)
            self._keys = self._found.keys()
        except ProviderError as error:
            self._cooldown.remember(error)
            raise
        return self._keys
