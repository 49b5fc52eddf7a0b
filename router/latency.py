"""How fast deployments are just now, whatever they are asked for.

What a deployment is compared by is not seconds but a ratio: the seconds of a call over those that are typical of its kind
(model, task, size, pictures). So an upscaler that takes a minute as upscalers do is as healthy as a fast model, and what
was learned from one kind of call holds for another. The ratio is a peak EWMA, after Finagle's ``PeakEwma`` load metric: a
slow call counts at once, fast ones bring it down again little by little, and it fades when nobody asks, so that who was
slow is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from ..providers.types import Call

__all__ = ["Kind", "Latencies", "kind_of"]

_MEMORY = 60.0
"""Seconds after which a third of a ratio is left. Finagle's is 10 for calls of milliseconds; ours take seconds, at a few a
minute."""
_WORST = 20.0
"""Ratio at most: who was this slow is asked again after 3 memories (ln 20), however long it hung."""
_FAILED = 4.0
"""Ratio of a failure at least: a quick refusal is no fast answer, it costs another call elsewhere."""
_SAMPLES = 50
"""Calls over which the typical seconds of a kind are averaged."""

Kind = tuple[str, str, int, int]
"""Model, task, size class and pictures: calls that take about as long as each other on a healthy deployment."""


def kind_of(call: Call) -> Kind:
    """The kind of a call. A size class is a doubling of the pixels: 1024x1024 and 1152x896 are one."""
    pixels = (call.width or 0) * (call.height or 0)
    return call.model, call.task.value, round(pixels / 2**19).bit_length(), call.images


@dataclass(slots=True)
class _Ratio:
    value: float
    at: float

    def now(self, now: float) -> float:
        return self.value * exp(-max(now - self.at, 0.0) / _MEMORY)


@dataclass(slots=True)
class _Typical:
    seconds: float
    calls: int = 1

    def add(self, seconds: float) -> None:
        self.calls = min(self.calls + 1, _SAMPLES)
        self.seconds += (seconds - self.seconds) / self.calls


class Latencies:
    """What one strategy has seen of its deployments. Not locked; the caller holds the lock."""

    def __init__(self) -> None:
        self._ratios: dict[str, _Ratio] = {}
        self._typical: dict[Kind, _Typical] = {}

    def __deepcopy__(self, memo: object) -> Latencies:
        twin = Latencies()
        twin._ratios = {name: _Ratio(known.value, known.at) for name, known in self._ratios.items()}
        twin._typical = {kind: _Typical(known.seconds, known.calls) for kind, known in self._typical.items()}
        return twin

    def learn(self, name: str, kind: Kind, now: float, seconds: float, *, failed: bool = False) -> None:
        """Deployment ``name`` took ``seconds`` for a call of this kind, or failed after them."""
        typical = self._typical.get(kind)
        if not failed:
            if typical is None:
                typical = self._typical[kind] = _Typical(seconds)
            else:
                typical.add(seconds)
        usual = typical.seconds if typical else seconds
        ratio = min(seconds / usual if usual > 0 else 1.0, _WORST)
        if failed:
            ratio = max(ratio, _FAILED)
        known = self._ratios.get(name)
        if known is None:
            self._ratios[name] = _Ratio(ratio, now)
            return
        before = known.now(now)
        kept = exp(-max(now - known.at, 0.0) / _MEMORY)
        known.value = max(ratio, before * kept + ratio * (1.0 - kept))
        known.at = now

    def ratio(self, name: str, now: float) -> float | None:
        """Seconds over the typical ones, faded; None for a deployment that was never asked."""
        known = self._ratios.get(name)
        return known.now(now) if known else None

    def typical(self, kind: Kind) -> float | None:
        """Seconds that a call of this kind takes, over all deployments; None if there was none yet."""
        known = self._typical.get(kind)
        return known.seconds if known else None
