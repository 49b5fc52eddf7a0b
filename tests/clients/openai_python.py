"""OpenAI's Python package as a driver: its orders come line by line, its answers are what the package returns or raises."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import sys
import typing
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import openai
import openai.types

Order = dict[str, Any]

CALLS = {"generate": "images.generate", "edit": "images.edit", "variation": "images.create_variation"}
CALLS |= {"model": "models.retrieve", "models": "models.list"}


def options(order: Order) -> dict[str, Any]:
    """How the client is made."""
    client = order["client"]
    plain = {"base_url": f"{client['url']}/v1", "api_key": client["key"]}
    return plain | {"timeout": client["timeout"], "max_retries": client["retries"]}


def arguments(order: Order) -> dict[str, Any]:
    """What the method is called with: pictures as people have them, open files and bytes."""
    given: dict[str, Any] = dict(order.get("params", {}))
    if files := [Path(one) for one in order.get("images", [])]:
        many = [(path.name, path.read_bytes(), "image/png") for path in files]
        given["image"] = many if len(many) > 1 else files[0].read_bytes()
    if mask := order.get("mask"):
        given["mask"] = Path(mask)
    if extra := order.get("extra"):
        given["extra_body"] = extra
    return given


def method(client: Any, order: Order) -> Any:
    """The method for an order, ready to be called."""
    if order["do"] == "json":
        path, body = f"/images/{order['path']}", order["params"]
        return lambda: client.post(path, cast_to=openai.types.ImagesResponse, body=body)
    found = client
    for part in CALLS[order["do"]].split("."):
        found = getattr(found, part)
    return lambda: found(**arguments(order))


def ask(order: Order) -> Any:
    with openai.OpenAI(**options(order)) as client:
        answer = method(client, order)()
        return list(answer) if isinstance(answer, openai.Stream) else answer


async def ask_awaited(order: Order) -> Any:
    async with openai.AsyncOpenAI(**options(order)) as client:
        answer = await method(client, order)()
        return [event async for event in answer] if isinstance(answer, openai.AsyncStream) else answer


def legal() -> dict[str, list[Any]]:
    """The values that the package's own types allow for a generation, by parameter."""
    found: dict[str, list[Any]] = {}

    def look(name: str, kind: Any) -> None:
        if typing.get_origin(kind) is typing.Literal:
            found.setdefault(name, []).extend(typing.get_args(kind))
        for part in typing.get_args(kind):
            if not isinstance(part, (str, int, bool)):
                look(name, part)

    from openai.types import image_generate_params

    for name, kind in typing.get_type_hints(image_generate_params.ImageGenerateParamsBase).items():
        look(name, kind)
    return found


def plain(answer: Any, folder: str) -> dict[str, Any]:
    """The answer as it can be written down, its pictures in files."""
    if isinstance(answer, list):
        return {"events": [event.model_dump() for event in answer], **keep(answer, folder)}
    told: dict[str, Any] = answer.model_dump()
    if isinstance(answer, openai.types.ImagesResponse):
        told |= keep(answer.data or [], folder)
    if request_id := getattr(answer, "_request_id", None):
        told["request_id"] = request_id
    return told


def keep(pictures: list[Any], folder: str) -> dict[str, Any]:
    kept = []
    for number, one in enumerate(pictures):
        url = getattr(one, "url", None)
        data = urllib.request.urlopen(url, timeout=20).read() if url else base64.b64decode(one.b64_json)
        path = Path(f"{folder}-{number}")
        path.write_bytes(data)
        kept.append({"file": str(path), "url": url, "lascaux": (one.model_extra or {}).get("lascaux")})
    return {"data": kept}


def failure(error: openai.OpenAIError) -> dict[str, Any]:
    """The exception: its classes, and what a program finds in it."""
    response = getattr(error, "response", None)
    return {
        "classes": [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("openai")],
        "message": str(error),
        **{name: getattr(error, name, None) for name in ("code", "param", "type", "request_id")},
        "status": getattr(error, "status_code", None),
        "headers": dict(response.headers) if response is not None else {},
    }


def perform(order: Order) -> dict[str, Any]:
    if order["do"] == "legal":
        return {"answer": legal()}
    try:
        answer = asyncio.run(ask_awaited(order)) if order.get("awaited") else ask(order)
        return {"answer": plain(answer, order["pictures"])}
    except openai.OpenAIError as error:
        return {"error": failure(error)}


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # variations, and response_format with gpt-image
    assert inspect.isclass(openai.APIStatusError)
    for line in sys.stdin:
        print(json.dumps(perform(json.loads(line)), default=str), flush=True)
