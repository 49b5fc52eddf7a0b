"""When a worker is started, replaced, or given up: decisions only, on times that are given."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Patience", "Supervision"]

_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds.

    ``start`` is what a worker has until it is ready. One that ends is replaced at once; if that happens again and again,
    the pause grows from ``first``, doubled each time, to ``most``, until one has been ready for ``calm``.
    """

    start: float = 120.0
    first: float = 0.1
    most: float = 30.0
    calm: float = 30.0


@dataclass(slots=True)
class _Place:
    """One of the workers that there shall be. ``due`` is when the next is to be started, None while there is one."""

    due: float | None
    started: float = 0.0
    ready: float | None = None
    ends: int = 0
    condemned: bool = False


class Supervision:
    """Knows for each of ``count`` places whether there is a worker, and decides what to do next.

    It is told what happens, with the time on one clock, and asked what is to be done. Until all have been ready once it
    replaces nobody: a worker that ends before is the end of all (`failed`).
    """

    def __init__(self, count: int, now: float, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._places = [_Place(now) for _ in range(count)]
        self._until: float | None = None
        self.opened = False
        """All were ready at the same time, once."""
        self.failed = False
        """A worker ended before that."""

    @property
    def stopping(self) -> bool:
        """True from `stop` on."""
        return self._until is not None

    @property
    def over(self) -> bool:
        """Nobody is there, and nobody shall come."""
        return (self.stopping or self.failed) and not self._running

    @property
    def _running(self) -> list[_Place]:
        return [place for place in self._places if place.due is None]

    def due(self, now: float) -> list[int]:
        """The places whose worker is to be started now."""
        if self.stopping or self.failed:
            return []
        return [index for index, place in enumerate(self._places) if place.due is not None and place.due <= now]

    def started(self, index: int, now: float) -> None:
        """A worker was started there."""
        place = self._places[index]
        place.due, place.started, place.ready, place.condemned = None, now, None, False

    def ready(self, index: int, now: float) -> bool:
        """That worker takes requests. True if with it, for the first time, all do."""
        self._places[index].ready = now
        opens = not self.opened and all(place.due is None and place.ready is not None for place in self._places)
        self.opened = self.opened or opens
        return opens

    def ended(self, index: int, now: float) -> float | None:
        """That worker is no more. Seconds until another one is due; None if there will be none."""
        place, patience = self._places[index], self._patience
        if place.ready is not None and now - place.ready >= patience.calm:
            place.ends = 0
        pause = min(patience.most, patience.first * 2.0 ** min(place.ends - 1, 60)) if place.ends else 0.0
        place.ends += 1
        place.due = now + pause
        if not self.opened:
            self.failed = True
        return None if self.stopping or self.failed else pause

    def hurry(self, now: float) -> None:
        """Start at once whoever is waited for: what made them end may be mended."""
        for place in self._places:
            if place.due is not None:
                place.due, place.ends = min(place.due, now), 0

    def stop(self, until: float) -> None:
        """Nobody is replaced from now on; who is still there at ``until`` is overdue."""
        self._until = until

    def overdue(self, now: float) -> list[int]:
        """The places whose worker is to be killed, each told once: it does not get ready, or does not end."""
        late = [
            index for index, place in enumerate(self._places) if place.due is None and now >= self._last_moment(place)
        ]
        for index in late:
            self._places[index].condemned = True
        return late

    def wait(self, now: float) -> float | None:
        """Seconds until something is due, if nothing happens before; None if nothing will be."""
        going = not (self.stopping or self.failed)
        moments = [place.due for place in self._places if place.due is not None and going]
        moments += [self._last_moment(place) for place in self._running]
        nearest = min(moments, default=_NEVER)
        return None if nearest == _NEVER else max(0.0, nearest - now)

    def _last_moment(self, place: _Place) -> float:
        if place.condemned:
            return _NEVER
        if self.failed:
            return place.started
        if self._until is not None:
            return self._until
        return _NEVER if place.ready is not None else place.started + self._patience.start
