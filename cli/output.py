"""How commands speak: text on a terminal of any width and encoding, or one JSON document."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Facts", "console", "dollars", "error_line", "facts_table", "line", "note", "print_json", "printable"]

Facts = Mapping[str, str]
"""Labels and values of one row."""

_PIPED = 240
"""Columns when nobody looks: lines stay whole for whatever reads them."""
_STYLES = {"cost": "bold", "hit": "green", "coalesced": "green"}


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error. Text is shown as it is: no markup, no guessed colours."""
    stream = sys.stderr if stderr else sys.stdout
    piped = not (stream is not None and stream.isatty()) and "COLUMNS" not in os.environ
    return Console(
        stderr=stderr, width=_PIPED if piped else None, markup=False, emoji=False, highlight=False, soft_wrap=False
    )


def line(text: Text | str, *, stderr: bool = False) -> None:
    """Print one line, however long it is."""
    console(stderr=stderr).print(text, soft_wrap=True)


def note(label: str, message: str, style: str) -> Text:
    """``label: message`` with a coloured label; every line of the message made printable."""
    lines = [printable(each) for each in message.splitlines()] or [""]
    return Text.assemble((f"{label}: ", style), "\n".join(lines))


def error_line(message: str) -> None:
    """Say on standard error what went wrong."""
    line(note("error", message, "bold red"), stderr=True)


def printable(text: str) -> str:
    """One line that can not steer a terminal: control characters become escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def dollars(amount: Decimal) -> str:
    """All digits that count, and at least the cents."""
    whole, _, cents = f"{amount:f}".partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}"


def print_json(document: Any) -> None:
    """One JSON document on standard output; in ASCII where the encoding carries no more."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    print(json.dumps(document, indent=2, ensure_ascii=encoding != "utf8"))


def facts_table(rows: Sequence[Facts], width: int) -> Table:
    """Facts side by side, a line for each row; where that is too wide, a column for each row."""
    labels = list(dict.fromkeys(label for row in rows for label in row))
    widths = [max(len(label), *(len(row.get(label, "")) for row in rows)) for label in labels]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    if sum(widths) + 2 * len(labels) <= width:
        for _ in labels:
            table.add_column(no_wrap=True)
        table.add_row(*(Text(label, "dim") for label in labels))
        for row in rows:
            table.add_row(*(_value(label, row) for label in labels))
        return table
    table.add_column(no_wrap=True, style="dim")
    for _ in rows:
        table.add_column(overflow="fold")
    for label in labels:
        table.add_row(label, *(_value(label, row) for row in rows))
    return table


def _value(label: str, row: Facts) -> Text:
    value = row.get(label, "")
    return Text(printable(value), _STYLES.get(label) or _STYLES.get(value) or "")
