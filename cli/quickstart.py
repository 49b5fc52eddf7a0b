"""The configuration that needs no AWS account: shipped with Lascaux, on an emulator that runs in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files

from .. import configs
from ..emulator import Emulator
from ..router.config import Config

__all__ = ["NAME", "VARIABLE", "quickstart", "quickstart_text"]

NAME = "quickstart.yaml"
VARIABLE = "LASCAUX_EMULATOR_URL"
"""What the shipped configuration calls the emulator's address."""


@contextmanager
def quickstart(env: Mapping[str, str]) -> Iterator[tuple[Config, Emulator]]:
    """The shipped configuration, pointed at a fresh emulator on a free loopback port for as long as this lasts."""
    with Emulator() as emulator:
        yield Config.parse(*quickstart_text(), env={**env, VARIABLE: emulator.url}), emulator


def quickstart_text() -> tuple[str, str]:
    """The shipped configuration as it is written, and what it is called in messages."""
    return files(configs).joinpath(NAME).read_text("utf-8"), f"lascaux/configs/{NAME}"
