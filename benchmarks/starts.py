"""What it costs to begin: importing the package, and making a router of many deployments."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lascaux.benchmarks.contest import LITELLM
from lascaux.benchmarks.contestant import ID, MODEL, REGION, SECRET, ours

_TIMED = "import sys, time; {imports}; began = time.process_time(); {work}; print(time.process_time() - began)"
OURS = _TIMED.format(imports="from lascaux import Router", work="Router.from_yaml(sys.argv[1])")
THEIRS = _TIMED.format(
    imports="import yaml; from litellm import Router",
    work="Router(model_list=yaml.safe_load(open(sys.argv[1]))['model_list'])",
)
"""As LiteLLM's documentation has it; its own proxy reads the file in this way, too."""


def imports(rounds: int) -> Mapping[str, float]:
    """Seconds of CPU for the import alone."""
    timed = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"
    commands = {
        "Lascaux": [sys.executable, "-c", timed.format("lascaux")],
        "LiteLLM": [str(LITELLM), "-c", timed.format("litellm")],
    }
    return _medians(commands, rounds)


def constructions(folder: Path, deployments: int, rounds: int) -> Mapping[str, float]:
    """Seconds of CPU for a router from a YAML file, without the import."""
    mine, theirs = folder / "ours.yaml", folder / "theirs.yaml"
    mine.write_text(_yaml(ours("http://127.0.0.1:9", deployments)), encoding="utf-8")
    theirs.write_text(_yaml({"model_list": _model_list(deployments)}), encoding="utf-8")
    commands = {
        "Lascaux": [sys.executable, "-c", OURS, str(mine)],
        "LiteLLM": [str(LITELLM), "-c", THEIRS, str(theirs)],
    }
    return _medians(commands, rounds)


def _model_list(deployments: int) -> list[dict[str, object]]:
    place = {
        "model": f"bedrock/{MODEL}",
        "aws_access_key_id": ID,
        "aws_secret_access_key": SECRET,
        "aws_region_name": REGION,
    }
    return [{"model_name": "hero", "litellm_params": place} for _ in range(deployments)]


def _yaml(plain: object) -> str:
    """JSON in many lines is YAML as well."""
    return json.dumps(plain, indent=1)


def _medians(commands: Mapping[str, list[str]], rounds: int) -> dict[str, float]:
    """Of what the programs print, in turns; without their first start, which compiles what is not compiled yet."""
    rows = [{name: float(_run(command)) for name, command in commands.items()} for _ in range(rounds + 1)]
    return {name: statistics.median(row[name] for row in rows[1:]) for name in commands}


def _run(command: list[str]) -> str:
    """What a program prints that may keep what it compiles."""
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **quiet})
    return done.stdout
