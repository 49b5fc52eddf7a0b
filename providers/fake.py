"""A provider without a cloud, for tests: the real bodies, scripted answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .bedrock.families import family_for
from .catalog import Catalog
from .errors import InvalidRequest, LascauxError
from .types import Call, Image, ImageRequest, ImageResult, Target

__all__ = ["PICTURE", "FakeProvider", "Outcome", "Sent"]

Outcome = ImageResult | LascauxError | Callable[[Target, Call], ImageResult]
"""What one call comes to: a result, an error to raise, or a function that makes or raises one."""

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM80W3FgA0wMeAAg1MCADqzAZ3F7ZLKAAAAAElFTkSuQmCC"
"""An 8x8 PNG in the ochre of the cave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call as it reached the provider."""

    target: Target
    call: Call
    timeout: float


class FakeProvider:
    """Answers each deployment from its own script, one outcome per call, then with `PICTURE`. Thread-safe.

    Requests are checked and turned into bodies by the real families, so what a model can not do fails here too.
    """

    def __init__(
        self, script: Mapping[str, Iterable[Outcome]] | None = None, *, catalog: Catalog | None = None
    ) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._scripts = {deployment: deque(outcomes) for deployment, outcomes in (script or {}).items()}
        self._sent: list[Sent] = []
        self._closed = False

    def then(self, deployment: str, *outcomes: Outcome) -> None:
        """Add to a deployment's script."""
        with self._lock:
            self._scripts.setdefault(deployment, deque()).extend(outcomes)

    @property
    def sent(self) -> tuple[Sent, ...]:
        """Every call so far, in the order of arrival."""
        with self._lock:
            return tuple(self._sent)

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def prepare(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
        """The real calls of the target's model. Raises InvalidRequest like the real provider."""
        catalog = self._catalog or Catalog.load()
        model = catalog.find(target.model)
        if model is None:
            near = catalog.suggest(target.model)
            message = f"model: {target.model} is not known" + (f"; nearest: {near[0]}" if near else "")
            raise InvalidRequest(message, parameter="model", nearest=near[0] if near else None)
        return family_for(model).prepare(request, model)

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        """The next outcome of the target's deployment. Raises it if it is an error."""
        with self._lock:
            self._sent.append(Sent(target=target, call=call, timeout=timeout))
            script = self._scripts.get(target.deployment)
            outcome = script.popleft() if script else None
        if outcome is None:
            return ImageResult(images=tuple(Image(PICTURE, seed=call.effective_seed) for _ in range(call.images)))
        if isinstance(outcome, LascauxError):
            raise outcome
        return outcome if isinstance(outcome, ImageResult) else outcome(target, call)

    def address(self, target: Target) -> tuple[str, int] | None:
        """Nowhere."""
        return None

    def close(self) -> None:
        """Remember that it was closed."""
        self._closed = True
