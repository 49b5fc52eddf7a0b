"""How a request ends that brought nothing: the errors, and what they tell of the way there."""

from __future__ import annotations

import copy
from typing import TypeVar

from ..providers.errors import AttemptTimeout, LascauxError
from .context import Trail
from .errors import AttemptsFailed, DeadlineExceeded, NoDeploymentAvailable
from .interest import CLIENT_LEFT

__all__ = ["closed", "gone", "left_off", "nobody_left", "remembered", "shared", "too_late", "twin", "unsent"]

E = TypeVar("E", bound=BaseException)


def too_late(trail: Trail, part: int, last: LascauxError | None) -> DeadlineExceeded:
    """The deadline is over. ``last`` is the error that the last attempt of this part ended with."""
    seconds = trail.deadline - trail.started
    error = DeadlineExceeded(f"{trail.alias.name!r} did not answer within {seconds:g} s{_so_far(trail, part, last)}")
    error.__cause__ = last
    return error


def nobody_left(
    trail: Trail, part: int, last: LascauxError | None, why: str, retry_after: float | None
) -> AttemptsFailed | NoDeploymentAvailable:
    """Nobody may be asked (any more). ``retry_after`` is in seconds, None if nobody can say."""
    name = repr(trail.alias.name)
    reason = f" ({why})" if why else ""
    if last is None:
        return NoDeploymentAvailable(f"no deployment of {name} can take a request now{reason}", retry_after=retry_after)
    error = AttemptsFailed(
        f"every attempt for {name} failed{reason}{_so_far(trail, part, last)}",
        attempts=trail.attempts,
        retry_after=retry_after,
    )
    error.__cause__ = last
    return error


def left_off(last: LascauxError | None, reason: str) -> LascauxError:
    """It is not gone on with: what the last attempt ended with, or the reason if there was none."""
    return twin(last) if last else NoDeploymentAvailable(reason)


def gone(last: LascauxError | None) -> LascauxError:
    """The caller has gone: nothing new is begun."""
    error = left_off(last, "the caller has gone before anybody was asked")
    if last is None:
        error.code = CLIENT_LEFT
    return error


def unsent() -> AttemptTimeout:
    """The caller has gone before the call left: nothing was sent, nothing is billed."""
    return AttemptTimeout("the caller has gone before the call could start", may_be_billed=False, code=CLIENT_LEFT)


def closed() -> AttemptTimeout:
    """The router was closed before the call left: nothing was sent, nothing is billed."""
    return AttemptTimeout("the router was closed before the call could start", may_be_billed=False)


def twin(error: E) -> E:
    """The same failure for another waiter: an exception that is raised twice would mix two tracebacks."""
    other = copy.copy(error)
    other.__cause__ = error.__cause__
    return other


def shared(error: E) -> E:
    """The failure of somebody else's call: it is ours as well, but its bill is not."""
    other = twin(error)
    if isinstance(other, LascauxError):
        other.shared = True
    return other


def remembered(error: LascauxError) -> LascauxError:
    """What a record keeps of a call's error: nothing that holds the frames of the request, and through them its body.

    These hold the record in turn: only the garbage collector would end such a ring, and that may take long. An error that
    may still reach the caller keeps its traceback, and a copy is remembered.
    """
    if not error.retry:
        return copy.copy(error)
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


def _so_far(trail: Trail, part: int, last: LascauxError | None) -> str:
    mine = [attempt for attempt in trail.attempts if attempt.part == part]
    if not mine:
        return ""
    listed = "; ".join(map(str, mine))
    return f": {listed}. Last error: {last}" if last else f": {listed}"
