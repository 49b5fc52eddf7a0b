"""What it costs to begin: importing the package, and making a router of many deployments."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lascaux.benchmarks.contest import LITELLM
from lascaux.benchmarks.contestant import ID, MODEL, REGION, SECRET, ours

OURS = "import sys; from lascaux import Router; Router.from_yaml(sys.argv[1])"
THEIRS = "import sys, yaml, litellm; litellm.Router(model_list=yaml.safe_load(open(sys.argv[1]))['model_list'])"
"""As LiteLLM's documentation has it; its own proxy reads the file in this way, too."""


def imports(rounds: int) -> Mapping[str, float]:
    """Seconds of CPU that a new interpreter takes for the import alone."""
    bare = {python: _median([python, "-c", "pass"], rounds) for python in (sys.executable, str(LITELLM))}
    return {
        "Lascaux": _median([sys.executable, "-c", "import lascaux"], rounds) - bare[sys.executable],
        "LiteLLM": _median([str(LITELLM), "-c", "import litellm"], rounds) - bare[str(LITELLM)],
    }


def constructions(folder: Path, deployments: int, rounds: int) -> Mapping[str, float]:
    """Seconds of CPU for a router from a YAML file, without the import."""
    mine, theirs = folder / "ours.yaml", folder / "theirs.yaml"
    mine.write_text(_yaml(ours("http://127.0.0.1:9", deployments)), encoding="utf-8")
    theirs.write_text(_yaml({"model_list": _model_list(deployments)}), encoding="utf-8")
    imported = {
        "Lascaux": _median([sys.executable, "-c", "import sys; from lascaux import Router; Router"], rounds),
        "LiteLLM": _median([str(LITELLM), "-c", "import sys, yaml, litellm; litellm.Router"], rounds),
    }
    return {
        "Lascaux": _median([sys.executable, "-c", OURS, str(mine)], rounds) - imported["Lascaux"],
        "LiteLLM": _median([str(LITELLM), "-c", THEIRS, str(theirs)], rounds) - imported["LiteLLM"],
    }


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


def _median(command: list[str], rounds: int) -> float:
    """Without the first start of all, which compiles what is not compiled yet."""
    _cpu(command)
    return statistics.median(_cpu(command) for _ in range(rounds))


def _cpu(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL", "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **quiet})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
