"""LiteLLM's ``image_generation`` and ``aimage_generation``, with its arguments, on Lascaux's router.

Arguments about the picture take any name that OpenAI, LiteLLM or the model has for them. Arguments about the way are
LiteLLM's: ``model_id``, ``aws_*``, ``api_key`` (a Bedrock API key), ``api_base``, ``timeout``, ``num_retries``,
``fallbacks``.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..providers.errors import LascauxError
from ..providers.types import Warning
from .arguments import Arguments
from .connect import connect
from .response import ImageResponse, respond
from .routers import Routers

__all__ = ["aimage_generation", "close", "image_generation"]

log = logging.getLogger("lascaux")

_THREADS = 256


class _Process:
    """What all calls of this process share: connections, and the threads that ``aimage_generation`` waits for."""

    def __init__(self) -> None:
        self.routers = Routers()
        self._begin()
        atexit.register(self.routers.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._fork)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def _fork(self) -> None:
        self.routers.forget()
        self._begin()

    @property
    def threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lascaux-image")
            return self._threads


_PROCESS = _Process()


def image_generation(
    prompt: str,
    model: str | None = None,
    n: int | None = None,
    quality: str | None = None,
    response_format: str | None = None,
    size: str | None = None,
    style: str | None = None,
    user: str | None = None,
    input_fidelity: str | None = None,
    timeout: float | None = 600,
    api_key: str | None = None,
    api_base: str | None = None,
    api_version: str | None = None,
    custom_llm_provider: str | None = None,
    **params: Any,
) -> ImageResponse:
    """Make pictures with a model on Bedrock, called as with LiteLLM: ``model="bedrock/amazon.nova-canvas-v1:0"``.

    The region is ``aws_region_name``, else the one in the ARN, else AWS_REGION_NAME, AWS_REGION or that of the profile;
    there is no default one. Keys that are given are complete or refused; without any, AWS_ROLE_NAME, AWS_PROFILE_NAME
    and boto3's default chain are asked. ``timeout`` is for one call, in seconds. There is one call unless
    ``num_retries`` or ``fallbacks`` (other models, or mappings with ``model`` and other connection arguments) allow
    more. ``caching=True`` reuses an earlier answer to the same seeded request. What was adapted or ignored stands in
    ``_hidden_params["warnings"]`` and is logged.

    Raises `LascauxError`: InvalidRequest for an argument, ContentFiltered, AttemptsFailed and others; each has
    ``status_code`` next to ``status``, as LiteLLM's errors have.
    """
    named = {
        "n": n,
        "quality": quality,
        "response_format": response_format,
        "size": size,
        "style": style,
        "user": user,
        "input_fidelity": input_fidelity,
        "api_key": api_key,
        "api_base": api_base,
        "api_version": api_version,
        "custom_llm_provider": custom_llm_provider,
    }
    try:
        return _call(Arguments.read(prompt, model, timeout, {**named, **params}, os.environ))
    except LascauxError as error:
        # What code that catches LiteLLM's errors looks at.
        for name, value in {"llm_provider": "bedrock", "model": model}.items():
            setattr(error, name, value)
        raise


async def aimage_generation(*args: Any, **params: Any) -> ImageResponse:
    """`image_generation` for asyncio: the same arguments, answer and errors, awaited.

    Calls run in threads of their own, 256 at the most at a time. A call whose task is cancelled goes on in its thread.
    """
    context = contextvars.copy_context()
    call = partial(context.run, image_generation, *args, **params)
    return await asyncio.get_running_loop().run_in_executor(_PROCESS.threads, call)


def close() -> None:
    """Close the connections that the functions keep open. Done by itself at the end of the process; later calls work."""
    _PROCESS.routers.close()


def _call(arguments: Arguments) -> ImageResponse:
    facts = {"document": arguments.document, "environment": arguments.environment}
    with _PROCESS.routers.connection(facts, lambda: connect(arguments)) as connection:
        result = connection.router.generate(arguments.alias, arguments.prompt, **arguments.picture)
    warnings: tuple[Warning, ...] = (*arguments.warnings, *connection.warnings, *result.warnings)
    for warning in (*arguments.warnings, *result.warnings):
        log.warning("%s: %s", arguments.alias, warning)
    return respond(result, warnings)
