"""LiteLLM's ``image_generation``, ``image_edit`` and ``image_variation``, with its arguments, on Lascaux's router.

Arguments about the picture take any name that OpenAI, LiteLLM or the model has for them. Arguments about the way are
LiteLLM's: ``model_id``, ``aws_*``, ``api_key`` (a Bedrock API key), ``api_base``, ``timeout``, ``num_retries``,
``fallbacks``. One is our own: ``background_remover``, the model that ``background="transparent"`` is made with.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..providers.errors import LascauxError
from ..providers.types import Warning
from ..router.client import Router
from ..router.records import Result
from .arguments import Arguments
from .connect import connect
from .masks import with_raw_mask, without_unused_mask
from .response import ImageResponse, respond
from .routers import Routers

__all__ = [
    "aimage_edit",
    "aimage_generation",
    "aimage_variation",
    "close",
    "image_edit",
    "image_generation",
    "image_variation",
]

log = logging.getLogger("lascaux")

_THREADS = 256


class _Process:
    """What all calls of this process share: connections, and the threads that the awaited functions wait for."""

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
    return _ask(_generate, prompt, model, timeout, {**named, **params})


def image_edit(
    image: Any,
    prompt: str | None = None,
    model: str | None = None,
    mask: Any = None,
    n: int | None = None,
    quality: str | None = None,
    response_format: str | None = None,
    size: str | None = None,
    user: str | None = None,
    *,
    timeout: float | None = 600,
    **params: Any,
) -> ImageResponse:
    """Change a picture with a model on Bedrock, called as with LiteLLM; connection, errors and answer as there.

    ``image`` is bytes, a path, an open file, base64, (file name, bytes) or a list of these: the first is changed, the
    others are references. ``mask`` is transparent where the picture shall change, unless ``mask_mode`` says "white" or
    "black"; an opaque one in black and white is read as the model itself reads it, with a warning. ``task`` or
    ``taskType`` say what to do; otherwise what is given tells, and what the model can do: see `Router.edit`. Other
    parameters are those of `image_generation` and `Router.edit`, Amazon's own objects (``inPaintingParams``) too.
    """
    named = {
        "image": image,
        "mask": mask,
        "n": n,
        "quality": quality,
        "response_format": response_format,
        "size": size,
        "user": user,
    }
    return _ask(_edit, prompt or "", model, timeout, {**named, **params})


def image_variation(
    image: Any,
    model: str | None = None,
    n: int | None = None,
    response_format: str | None = None,
    size: str | None = None,
    user: str | None = None,
    *,
    timeout: float | None = 600,
    **params: Any,
) -> ImageResponse:
    """Make a picture like ``image``, or like several in a list; all else as in `image_edit`.

    ``prompt`` and ``similarity`` (0.2 to 1) may guide it.
    """
    named = {"image": image, "n": n, "response_format": response_format, "size": size, "user": user}
    return _ask(_vary, "", model, timeout, {**named, **params})


async def aimage_generation(*args: Any, **params: Any) -> ImageResponse:
    """`image_generation` for asyncio: the same arguments, answer and errors, awaited.

    Calls run in threads of their own, 256 at the most at a time. A call whose task is cancelled goes on in its thread.
    """
    return await _aside(image_generation, args, params)


async def aimage_edit(*args: Any, **params: Any) -> ImageResponse:
    """`image_edit` for asyncio, in the way of `aimage_generation`."""
    return await _aside(image_edit, args, params)


async def aimage_variation(*args: Any, **params: Any) -> ImageResponse:
    """`image_variation` for asyncio, in the way of `aimage_generation`."""
    return await _aside(image_variation, args, params)


def close() -> None:
    """Close the connections that the functions keep open. Done by itself at the end of the process; later calls work."""
    _PROCESS.routers.close()


async def _aside(
    function: Callable[..., ImageResponse], args: tuple[Any, ...], params: dict[str, Any]
) -> ImageResponse:
    context = contextvars.copy_context()
    call = partial(context.run, function, *args, **params)
    return await asyncio.get_running_loop().run_in_executor(_PROCESS.threads, call)


def _generate(router: Router, asked: Arguments) -> Result:
    return router.generate(asked.alias, asked.prompt, **asked.picture)


def _edit(router: Router, asked: Arguments) -> Result:
    return router.edit(asked.alias, asked.prompt, **{"image": None, **asked.picture})


def _vary(router: Router, asked: Arguments) -> Result:
    return router.variation(asked.alias, **{"image": None, **asked.picture})


def _ask(
    send: Callable[[Router, Arguments], Result], prompt: str, model: str | None, timeout: Any, params: dict[str, Any]
) -> ImageResponse:
    try:
        return _call(send, with_raw_mask(Arguments.read(prompt, model, timeout, params, os.environ)))
    except LascauxError as error:
        # What code that catches LiteLLM's errors looks at.
        for name, value in {"llm_provider": "bedrock", "model": model}.items():
            setattr(error, name, value)
        raise


def _call(send: Callable[[Router, Arguments], Result], arguments: Arguments) -> ImageResponse:
    facts = {"document": arguments.document, "environment": arguments.environment}
    with _PROCESS.routers.connection(facts, lambda: connect(arguments)) as connection:
        result = send(connection.router, arguments)
    ours = without_unused_mask(arguments.warnings, result.warnings)
    warnings: tuple[Warning, ...] = (*ours, *connection.warnings, *result.warnings)
    for warning in (*ours, *result.warnings):
        log.warning("%s: %s", arguments.alias, warning)
    return respond(result, warnings)
