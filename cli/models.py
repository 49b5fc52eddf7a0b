"""``lascaux models``: what can be asked, where, until when, and at what price."""

from __future__ import annotations

from typing import Annotated

import typer

from .failures import failing

EXAMPLES = (
    "lascaux models",
    "lascaux models --task text_to_image --region us-west-2",
    "lascaux models --all --json",
)


def command(
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="Only models that do this: text_to_image, inpaint, ...")
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="REGION", help="Only models offered there.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Say of retired models, too, what they could do and what they cost.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """List the models: what they do, where, until when, and what a picture costs.

    Prices are USD for one picture of the model's default size and quality.
    """
    with failing(as_json=as_json):
        _show(task, region, everything=everything, as_json=as_json)


def _show(task: str | None, region: str | None, *, everything: bool, as_json: bool) -> None:
    from datetime import UTC, datetime

    from .listing import cards, entries, listing_record, retired_table
    from .output import console, line, print_json

    today = datetime.now(UTC).date()
    found, prices = entries(today, task, region)
    live = [entry for entry in found if not entry.retired]
    retired = [entry for entry in found if entry.retired]
    if as_json:
        print_json(listing_record(live, retired, today, prices, everything=everything))
        return
    screen = console()
    screen.print(cards([*live, *(retired if everything else ())], min(screen.width, 120)))
    if retired and not everything:
        screen.print()
        screen.print(retired_table(retired))
    screen.print()
    line(f"{len(live)} live, {len(retired)} retired on {today}. Prices in USD, from table {prices}.")
    if not all(entry.served for entry in found):
        line("* known, but not served by this version.")
