"""The near side of the routing benchmark: one router in a process of its own, and requests that come when they come.

Started by `routing.py` with the path of a plan. It prints a line when it is ready, reads the moment at which the run begins
from standard input, and sends the plan's arrivals whether or not earlier ones have been answered (open loop). Each request
leaves one line of JSON. At the top it imports the standard library alone: LiteLLM is loaded in an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import time
from typing import Any

Ask = Callable[[int], Awaitable[Any]]
MODEL = "amazon.nova-canvas-v1:0"
KEYS = {"id": "emulator", "secret": "emulator-secret"}


async def lascaux(plan: dict[str, Any], stack: AsyncExitStack) -> Ask:
    """Ours: three deployments of one model behind an alias; the plan says what differs from the defaults."""
    from lascaux import AsyncRouter

    place = {"model": MODEL, "credentials": "demo", "endpoint_url": plan["url"]}
    deployments = {region: {**place, "region": region, **plan["place"].get(region, {})} for region in plan["regions"]}
    config = {
        "credentials": {"demo": {"access_key_id": KEYS["id"], "secret_access_key": KEYS["secret"]}},
        "deployments": deployments,
        "aliases": {"hero": {"deployments": list(deployments), **plan["alias"]}},
        "lifecycle": {"retired": "allow"},
        **plan["config"],
        "retry": {**plan["config"].get("retry", {}), "deadline": plan["deadline"]},
    }
    router = await stack.enter_async_context(AsyncRouter(config))
    return lambda number: router.generate("hero", f"otter {number}")


async def litellm(plan: dict[str, Any], stack: AsyncExitStack) -> Ask:
    """LiteLLM's Router over the same three regions; the plan holds its settings."""
    import litellm

    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    logging.getLogger("LiteLLM Router").setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    place = {
        "model": f"bedrock/{MODEL}",
        "aws_access_key_id": KEYS["id"],
        "aws_secret_access_key": KEYS["secret"],
        "aws_bedrock_runtime_endpoint": plan["url"],
    }
    models = [
        {"model_name": "hero", "litellm_params": {**place, "aws_region_name": region}} for region in plan["regions"]
    ]
    router = litellm.Router(model_list=models, timeout=plan["deadline"], **plan["config"])
    return lambda number: router.aimage_generation(model="hero", prompt=f"otter {number}")


def _failure(error: BaseException) -> dict[str, Any]:
    """What a caller learns from an error. LiteLLM says when to come back in ``cooldown_time``."""
    wait = getattr(error, "retry_after", None)
    if wait is None:
        wait = getattr(error, "cooldown_time", None)
    return {"error": type(error).__name__, "retry_after": wait}


async def play(plan: dict[str, Any], ask: Ask, begin: float) -> list[dict[str, Any]]:
    """Send every request at its moment; what became of each, in the order of arrival."""
    ends: list[dict[str, Any]] = []

    async def one(number: int) -> None:
        end: dict[str, Any] = {"request": number, "arrived": time()}
        ends.append(end)
        try:
            await asyncio.wait_for(ask(number), plan["deadline"] + 5)
        except Exception as error:
            end.update(_failure(error))
        end["ended"] = time()

    async with asyncio.TaskGroup() as group:
        for number, offset in enumerate(plan["arrivals"]):
            await asyncio.sleep(max(0.0, begin + offset - time()))
            group.create_task(one(number))
    return ends


async def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    contestants = {"lascaux": lascaux, "litellm": litellm}
    async with AsyncExitStack() as stack:
        ask = await contestants[plan["contestant"]](plan, stack)
        print("ready", flush=True)
        begin = float(await asyncio.to_thread(sys.stdin.readline))
        ends = await play(plan, ask, begin)
    Path(plan["ends"]).write_text("\n".join(map(json.dumps, ends)), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
