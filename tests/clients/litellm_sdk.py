"""LiteLLM's SDK as a driver, with the gateway as an OpenAI endpoint: its orders come line by line."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import litellm
import openai

Order = dict[str, Any]

CALLS = {"generate": "image_generation", "edit": "image_edit", "variation": "image_variation"}


def arguments(order: Order, files: ExitStack) -> dict[str, Any]:
    """What people write: the alias behind ``openai/``, the address, and fields of ours in ``extra_body``."""
    given = dict(order.get("params", {}))
    client = order["client"]
    given |= {"model": f"openai/{given.get('model', 'hero')}", "api_base": f"{client['url']}/v1"}
    given |= {"api_key": client["key"], "timeout": client["timeout"]}
    images = [files.enter_context(path.open("rb")) for path in map(Path, order.get("images", []))]
    if images:
        given["image"] = images if len(images) > 1 else images[0]
    if mask := order.get("mask"):
        path = Path(mask)
        given["mask"] = files.enter_context(path.open("rb"))
    if extra := order.get("extra"):
        given["extra_body"] = extra
    if headers := order.get("headers"):
        given["headers"] = headers
    return given


def ask_router(given: dict[str, Any]) -> Any:
    """By way of LiteLLM's Router, which tries again by itself whatever the gateway says of it."""
    settings = {name: given.pop(name) for name in ("model", "api_base", "api_key", "timeout")}
    row = {"model_name": "otter", "litellm_params": settings}
    router = litellm.Router(model_list=[row], num_retries=2, retry_after=0)
    return router.image_generation(model="otter", **given)


def ask(order: Order) -> Any:
    with ExitStack() as files:
        given = arguments(order, files)
        if order["do"] == "router":
            return ask_router(given)
        name = CALLS[order["do"]]
        if order.get("awaited"):
            return asyncio.run(getattr(litellm, f"a{name}")(**given))
        return getattr(litellm, name)(**given)


def plain(answer: Any, folder: str) -> dict[str, Any]:
    """The answer, its pictures in files; and what LiteLLM keeps of the headers."""
    told: dict[str, Any] = answer.model_dump()
    kept = []
    for number, one in enumerate(answer.data):
        path = Path(f"{folder}-{number}")
        path.write_bytes(
            urllib.request.urlopen(one.url, timeout=20).read() if one.url else base64.b64decode(one.b64_json)
        )
        kept.append({"file": str(path), "url": one.url})
    hidden = getattr(answer, "_hidden_params", {}) or {}
    return {**told, "data": kept, "headers": dict(hidden.get("additional_headers") or {})}


def failure(error: Exception) -> dict[str, Any]:
    """The exception: its classes, LiteLLM's first and then OpenAI's, and what it holds."""
    response = getattr(error, "response", None)
    return {
        "classes": [
            kind.__name__ for kind in type(error).__mro__ if kind.__module__.split(".")[0] in ("litellm", "openai")
        ],
        "message": str(error),
        **{name: getattr(error, name, None) for name in ("code", "param", "type")},
        "status": getattr(error, "status_code", None),
        "headers": dict(getattr(response, "headers", None) or {}),
    }


def perform(order: Order) -> dict[str, Any]:
    try:
        return {"answer": plain(ask(order), order["pictures"])}
    except openai.OpenAIError as error:
        return {"error": failure(error)}


if __name__ == "__main__":
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    out, sys.stdout = sys.stdout, sys.stderr  # what LiteLLM prints is no answer
    for line in sys.stdin:
        print(json.dumps(perform(json.loads(line)), default=str), file=out, flush=True)
