"""``lascaux schema``: what a configuration may hold, for editors and checkers."""

from __future__ import annotations

from .failures import failing

EXAMPLES = ("lascaux schema", "lascaux schema > lascaux.schema.json")


def command() -> None:
    """Print the JSON Schema of the configuration."""
    from ..router.config import Config
    from .output import print_json

    with failing():
        print_json(Config.json_schema())
