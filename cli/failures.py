"""From errors to exit codes: a clear line and 1 for what failed, 2 for wrong usage, 130 for Ctrl-C, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from ..providers.errors import InvalidRequest, LascauxError

if TYPE_CHECKING:
    from ..router.records import Attempt

__all__ = ["attempt_record", "error_record", "failing"]


@contextmanager
def failing(*, as_json: bool = False) -> Iterator[None]:
    """What goes wrong inside is reported, and ends the command: with 2 if it was asked wrongly and nobody was called."""
    try:
        yield
    except LascauxError as error:
        _report(error, as_json)
        raise typer.Exit(_exit_code(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        _report(LascauxError(f"{place}{error.strerror or error}", code="io"), as_json)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def attempt_record(attempt: Attempt) -> dict[str, Any]:
    """One attempt for a program to read. Seconds; money as text."""
    cost = attempt.cost.usd if attempt.cost else None
    return {
        "ordinal": attempt.ordinal,
        "part": attempt.part,
        "stage": attempt.stage,
        "alias": attempt.alias,
        "deployment": attempt.deployment,
        "region": attempt.region,
        "model": attempt.model,
        "model_id": attempt.model_id,
        "task": attempt.task,
        "images": attempt.images,
        "started": round(attempt.started, 6),
        "duration": round(attempt.duration, 6),
        "waited": round(attempt.waited, 6),
        "outcome": attempt.outcome,
        "message": attempt.error.message if attempt.error else None,
        "may_be_billed": attempt.may_be_billed,
        "request_id": attempt.request_id,
        "probe": attempt.probe,
        "panic": attempt.panic,
        "cost_usd": None if cost is None else str(cost),
    }


def error_record(error: LascauxError) -> dict[str, Any]:
    """An error for a program to read. Seconds; money as text."""
    retry_after = getattr(error, "retry_after", None)
    return {
        "code": error.code,
        "message": error.message,
        "parameter": getattr(error, "parameter", None),
        "allowed": getattr(error, "allowed", None),
        "nearest": getattr(error, "nearest", None),
        "attempts": [attempt_record(attempt) for attempt in error.attempts],
        "problems": list(getattr(error, "problems", ())),
        "may_be_billed": error.may_be_billed,
        "retry_after": retry_after,
    }


def _exit_code(error: LascauxError) -> int:
    from ..router.errors import UnknownAlias

    return 2 if isinstance(error, (InvalidRequest, UnknownAlias)) and not error.attempts else 1


def _report(error: LascauxError, as_json: bool) -> None:
    from .output import error_line, line, print_json, printable

    if as_json:
        print_json({"error": error_record(error)})
        return
    headline = error.message
    if error.attempts:
        headline = headline.partition(f": {error.attempts[0]}")[0]  # the attempts follow, one by one
    for problem in getattr(error, "problems", (headline,)):
        error_line(problem)
    for attempt in error.attempts:
        why = attempt.error.message if attempt.error else ""
        text = f"{attempt} in {attempt.region}" + (f": {why}" if why and why not in headline else "")
        line(printable(f"  {attempt.ordinal}. {text}"), stderr=True)
