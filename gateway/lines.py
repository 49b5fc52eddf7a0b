"""What the gateway logs: one shape for everything, with a closed set of fields, as JSON or as text.

No prompt, no header, no query string is among the fields. Nothing that a stranger sends can end a line and begin another.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Literal, TextIO

__all__ = ["FORMATS", "JsonLines", "Line", "TextLines", "set_up_logs"]

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")

_LONGEST = 20_000
"""Characters of a message: a traceback fits."""
_LONGEST_FIELD = 300
"""Characters of any other field: what a client calls an alias may be longer."""
_CONTINUED = "\n  | "


@dataclass(slots=True, kw_only=True)
class Line:
    """One line of the log. These are all the fields there are; what does not apply is left out.

    Not frozen: one is made for every request, and a frozen one of so many fields takes four times as long.
    """

    time: str | None = None
    """UTC, ISO 8601, milliseconds."""
    level: str | None = None
    """DEBUG, INFO, WARNING, ERROR, CRITICAL."""
    event: str = "log"
    """request: one HTTP request, when it is over. log: anything else."""
    logger: str | None = None
    """Who says it, such as lascaux.gateway or uvicorn.error."""
    message: str | None = None
    """What is said, where it is no request."""
    request_id: str | None = None
    """As in the header x-request-id."""
    trace_id: str | None = None
    """As in the spans: the client's, if it sent a traceparent."""
    method: str | None = None
    """HTTP method, _OTHER for what is none."""
    route: str | None = None
    """The address as a template, such as /v1/models/{name}."""
    status: int | None = None
    """HTTP status; left out if the client had gone."""
    code: str | None = None
    """Of the error; client_left if nobody was there any more to be answered."""
    key: str | None = None
    """Name of the key."""
    alias: str | None = None
    """What the client asked for as model."""
    task: str | None = None
    """text_to_image, inpaint and so on."""
    deployment: str | None = None
    """Who answered; of an error, who was asked last."""
    model: str | None = None
    """Of that deployment."""
    region: str | None = None
    """Of that deployment."""
    cache: str | None = None
    """hit, miss, coalesced or bypass."""
    joined: bool | None = None
    """true: answered with what an earlier sending of the same call brought, which the cost stands with."""
    cost_usd: str | None = None
    """US dollars, exact; left out if nobody knows."""
    charged_usd: str | None = None
    """US dollars, exact, that were settled against the key: with lost calls that may have been billed."""
    images: int | None = None
    """Pictures delivered."""
    attempts: int | None = None
    """Upstream calls."""
    seconds: float | None = None
    """From the first to the last byte."""
    added_seconds: float | None = None
    """What the gateway added, as in lascaux.gateway.added."""
    bytes_in: int | None = None
    """Of the request's body."""
    bytes_out: int | None = None
    """Of the answer's body."""
    worker: int | None = None
    """Which of the processes that answer, from 0; left out by the supervisor, which is none of them."""

    def facts(self) -> dict[str, str | int | float | bool]:
        """What applies, in the order of the fields."""
        found = zip(_NAMES, _VALUES(self), strict=True)
        return {
            name: value if type(value) is not str or len(value) <= _LONGEST_FIELD else _short(name, value)
            for name, value in found
            if value is not None
        }


_NAMES = tuple(field.name for field in fields(Line))
_VALUES = attrgetter(*_NAMES)
_PLAIN = re.compile(r"[!#-<>-\[\]-~]*")
"""ASCII that can be seen, but for what has a meaning in a line: the space, quotes, = and the backslash."""
_encoded = json.JSONEncoder(separators=(",", ":")).encode


class JsonLines(logging.Formatter):
    """Every record as one line of JSON, in ASCII."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """The record's `Line`, or one that has its message."""
        line: Line | None = getattr(record, "line", None)
        told = line.facts() if line is not None else Line(message=_said(self, record)).facts()
        head = {"time": _time(record), "level": record.levelname, "event": told.pop("event"), "logger": record.name}
        return _encoded({**head, **told, **self._worker})


class TextLines(logging.Formatter):
    """Every record as a line for people: time, level, logger, and what is said. Further lines of it are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Facts of a request as ``name=value``."""
        line: Line | None = getattr(record, "line", None)
        if line is None:
            said = _printable(_said(self, record))
        else:
            told = line.facts()
            del told["event"]
            plain = _PLAIN.fullmatch("".join([value for value in told.values() if type(value) is str]))
            said = " ".join(
                [
                    f"{name}={value if plain and type(value) is not bool else _value(value)}"
                    for name, value in told.items()
                ]
            )
        return f"{_time(record)} {record.levelname} {record.name}: {said}"


def set_up_logs(format: Format, *, worker: int | None = None, stream: TextIO | None = None) -> None:
    """Let everything that is logged in this process, uvicorn's and Python's own warnings included, come in one shape."""
    root = logging.getLogger()
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(worker) if format == "json" else TextLines())
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # told of none, so not asked for
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what strangers send is no warning to us


def _said(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    said = record.getMessage()
    if record.exc_info:
        said = f"{said}\n{formatter.formatException(record.exc_info)}"
    return said


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(name: str, value: str | int | float | bool) -> str | int | float | bool:
    if not isinstance(value, str):
        return value
    most = _LONGEST if name == "message" else _LONGEST_FIELD
    return value if len(value) <= most else f"{value[: most - 3]}..."


def _printable(text: str) -> str:
    """The text without anything that moves a cursor or ends a line, but for line ends, which are marked as continued."""
    lines = text[:_LONGEST].replace("\r\n", "\n").split("\n")
    return _CONTINUED.join("".join(map(_visible, line)) for line in lines)


def _visible(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\t" else letter.encode("unicode_escape").decode()


def _value(value: str | int | float | bool) -> str:
    """A text as it is if that is plain, else in quotes."""
    text = str(value) if not isinstance(value, bool) else str(value).lower()
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
