"""``lascaux keys``: keys for the clients of the gateway."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ..providers.errors import InvalidRequest
from .failures import failing

EXAMPLES = (
    "lascaux keys new --name team-a",
    "lascaux keys new --name team-b --alias hero --rpm 60 --concurrency 4 --usd-per-day 20",
    "lascaux keys new --name ops --admin --json",
)

group = typer.Typer(no_args_is_help=True, help="Make keys for the clients of `lascaux serve`.")


@group.callback()
def _options() -> None:
    """Make keys for the clients of `lascaux serve`."""


@group.command("new")
def new(
    name: Annotated[str, typer.Option(help="Whose key it is, such as team-a. Spending is counted by name.")],
    alias: Annotated[
        list[str] | None,
        typer.Option(
            help="Alias or deployment that it may use, such as hero or 'bedrock/*'. Repeatable. Default: all."
        ),
    ] = None,
    rpm: Annotated[int | None, typer.Option(help="Requests in any 60 seconds. Default: no limit.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests at the same time. Default: no limit.")] = None,
    usd_per_day: Annotated[
        str | None, typer.Option(metavar="USD", help="Dollars it may spend a day (UTC). Default: no limit.")
    ] = None,
    usd_per_month: Annotated[
        str | None, typer.Option(metavar="USD", help="Dollars it may spend a month (UTC). Default: no limit.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Let it use the admin endpoints, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a key: it is shown this once, and its hash goes into the configuration.

    Nothing is stored, and nothing can bring a lost key back: make another of the same name in its place.
    """
    from ..gateway.keys import NewKey
    from .output import print_json

    with failing(as_json=as_json):
        key = NewKey.make()
        said = {"name": name, "hash": key.hash, "aliases": alias or None, "rpm": rpm, "concurrency": concurrency}
        said |= {"usd_per_day": usd_per_day, "usd_per_month": usd_per_month, "admin": admin or None}
        entry = {field: value for field, value in said.items() if value is not None}
        _check(entry)
        if as_json:
            print_json({"key": key.text, "entry": entry})
            return
        print(f"{key.text}\n")
        print("# Shown this once. For the configuration:\nserver:\n  keys:")
        for index, (field, value) in enumerate(entry.items()):
            print(f"    {'  ' if index else '- '}{field}: {json.dumps(value, ensure_ascii=False)}")


def _check(entry: dict[str, Any]) -> None:
    """Raise InvalidRequest for what the configuration would refuse."""
    from pydantic import ValidationError

    from ..router.config import KeyConfig

    try:
        KeyConfig.model_validate(entry)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        field = str(found["loc"][0]).replace("_", "-").replace("aliases", "alias")
        rule = found.get("ctx", {}).get("message", "can not be read")
        raise InvalidRequest(f"--{field} {rule}", parameter=field, allowed=rule) from None
