"""The configuration that needs no AWS account: shipped with Lascaux, on an emulator that runs in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files

from .. import configs
from ..emulator import Emulator
from ..router.config import Config

__all__ = ["NAME", "quickstart"]

NAME = "quickstart.yaml"


@contextmanager
def quickstart(env: Mapping[str, str]) -> Iterator[tuple[Config, Emulator]]:
    """The shipped configuration, pointed at a fresh emulator on a free loopback port for as long as this lasts."""
    with Emulator() as emulator:
        text = files(configs).joinpath(NAME).read_text("utf-8")
        yield Config.parse(text, f"lascaux/configs/{NAME}", env={**env, "LASCAUX_EMULATOR_URL": emulator.url}), emulator
