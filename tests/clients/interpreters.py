"""Where each client is installed: an interpreter, and the driver that it runs."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from .stage import ROOT, Driver, Stage, driving

__all__ = ["NODE_MODULES", "interpreter", "node", "start"]

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent / "node" / "node_modules"
_NODE = 22
"""The oldest version that OpenAI's package says it works with (package.json of openai 7.57)."""
_PYTHONS = {
    "python": ("openai_python.py", Path(sys.executable)),
    "python-2": ("openai_python.py", ROOT / ".venv-openai2" / "bin" / "python"),
    "litellm": ("litellm_sdk.py", ROOT / ".venv-bench" / "bin" / "python"),
    "boto3": ("boto3_client.py", Path(sys.executable)),
}


def start(stage: Stage, name: str) -> AbstractContextManager[Driver]:
    """The driver of a client. Skips the test, with what would install it, where it is absent."""
    if name == "node":
        return driving(name, stage, node(), HERE / "openai_node.mjs")
    return driving(name, stage, interpreter(name), HERE / _PYTHONS[name][0], LITELLM_LOCAL_MODEL_COST_MAP="True")


def interpreter(name: str) -> Path:
    """The Python in which a client is installed. Skips the test where it is absent."""
    python = _PYTHONS[name][1]
    if not python.exists():
        pytest.skip(f"{python.parent.parent.name} is not there; `make clients` makes it")
    return python


@functools.cache
def node() -> Path:
    """A Node that is new enough: that of the machine, else the one that npm has brought. Skips where there is none."""
    if not (NODE_MODULES / "openai").is_dir():
        pytest.skip("OpenAI's package for Node is not there; `make clients` installs it")
    for found in (shutil.which("node"), *sorted(map(str, NODE_MODULES.glob("node-*/bin/node")))):
        if found is None:
            continue
        said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30).stdout
        version = re.match(r"v(\d+)\.", said)
        if version and int(version[1]) >= _NODE:
            return Path(found)
    pytest.skip(f"there is no Node of version {_NODE} or newer here; `make clients` installs one")
