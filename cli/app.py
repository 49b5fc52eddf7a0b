"""The command line as a whole: its commands, and the edge of the process."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from .. import __version__
from . import demo, edit, emulator, explain, generate, keys, models, quote, schema, serve, validate

__all__ = ["app", "main"]

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended: 128 + SIGINT."""

HELP = """Images on Amazon Bedrock: one router, every model, exact prices.

Exit codes: 0 done; 1 failed; 2 asked wrongly (option, parameter, model name), nobody was called; 130 interrupted.
"""
EXAMPLES = ('lascaux generate "A cute baby sea otter"', "lascaux models --task text_to_image", "lascaux demo")


_BREAK = "\n" if tuple(map(int, typer.__version__.split(".")[:2])) >= (0, 28) else "\n\n"
"""Typer before 0.28 joins lines of an epilog unless an empty one is between them, which it then drops."""


def _examples(lines: tuple[str, ...]) -> str:
    """What stands at the end of a command's help."""
    return _BREAK.join(["[bold]Examples:[/bold]", *(line.replace("[", "\\[") for line in lines)])


app = typer.Typer(
    name="lascaux",
    help=HELP,
    epilog=_examples(EXAMPLES),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (generate, edit, serve, explain, quote, demo, validate, models, schema, emulator):
    app.command(module.__name__.rpartition(".")[2], epilog=_examples(module.EXAMPLES))(module.command)
app.add_typer(keys.group, name="keys", epilog=_examples(keys.EXAMPLES))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lascaux {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the command."""


def main() -> NoReturn:
    """Run the command line and end the process: 0 ok, 1 failed, 2 usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what the terminal can not show becomes an escape
    code: int | str | None = 0
    try:
        app(prog_name="lascaux")
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        code = _unwritten(error, 0)
    code = _flushed(code)
    if code == INTERRUPTED:
        os._exit(INTERRUPTED)  # calls under way are left to themselves; nobody waits for their threads
    sys.exit(code)


def _flushed(code: int | str | None) -> int | str | None:
    """The exit code once everything is written; 1 if it could not be."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError as error:
        return _unwritten(error, code)
    return code


def _unwritten(error: OSError, code: int | str | None) -> int | str:
    """Our output has nowhere to go: the disk is full, or whoever read it has left, which is no news to them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left must not fail again when Python ends
    if not code and not isinstance(error, BrokenPipeError):
        typer.echo(f"error: the output can not be written: {error.strerror}", err=True)
    return code or 1
