"""The audit: one line of JSON for every call for pictures, with digests in the place of prompts and pictures.

Lines are appended with one write each, so that several processes may share the file. Whoever moves the file away gets a new
one with the next line. A disk that is full fails no request: what is lost is counted, and told once.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pybase64

from ..providers.types import Image
from ..router.config.server import SHORTEST, AuditConfig
from ..router.errors import ConfigError
from ..router.records import Result
from .story import Asked, Notes, Story

__all__ = ["Audit", "AuditLine", "AuditedCall", "keyed_hash", "open_audit", "pictures_in", "prompt_of"]

log = logging.getLogger("lascaux.gateway")

_WAITING = 64
"""Lines that may wait for the thread that writes them. Beyond, whoever brings one writes it: a slow disk slows requests down
before pictures pile up in memory."""
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")
_LEAST = 64
"""Letters of base64 that a picture has at least."""
_DEEPEST = 20
_CONTAINERS = ("Params", "params")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedCall:
    """One upstream call in a line of the audit."""

    deployment: str
    model: str
    region: str
    outcome: str
    """ok, or the error's code."""
    cost_usd: str | None
    may_be_billed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One line of the audit. All fields are always there."""

    time: str
    """When it ended: UTC, ISO 8601, milliseconds."""
    request_id: str | None
    """As in the header x-request-id and in the log."""
    trace_id: str | None
    """As in the spans and in the log."""
    key: str | None
    """Name of the key that asked."""
    alias: str | None
    """What was asked for as model."""
    task: str | None
    """text_to_image, inpaint and so on."""
    prompt_hmac: str | None
    """HMAC-SHA256 of the prompt in UTF-8 under server.audit.key, in hexadecimal; null without a prompt."""
    inputs: list[str]
    """SHA-256 of each picture and mask in the request."""
    outputs: list[str]
    """SHA-256 of each picture that was delivered."""
    seeds: list[int | None]
    """Of each of these pictures; null where the model did not tell."""
    size: str | None
    """Of the first of them, such as 1024x1024."""
    cost_usd: str | None
    """US dollars as text, exact; null if nobody knows."""
    charged_usd: str
    """US dollars as text, exact, that were settled against the key: with lost calls that may have been billed."""
    price_table: str | None
    """Version of the price table."""
    deployment: str | None
    """Who answered; of an error, who was asked last."""
    model: str | None
    """Of that deployment."""
    region: str | None
    """Of that deployment."""
    attempts: list[AuditedCall]
    """Every upstream call, in order."""
    cache: str | None
    """hit, miss, coalesced or bypass."""
    code: str | None
    """Of the error; null for pictures."""


def _plain(one: AuditLine | AuditedCall) -> dict[str, Any]:
    """Its fields, in their order."""
    return {name: getattr(one, name) for name in one.__slots__}


_encoded = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


class Audit:
    """Writes lines to a file. ``now`` gives the time of day; ``lost`` is called for every line that could not be written."""

    def __init__(
        self,
        file: str,
        key: bytes,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Raises OSError if the file can not be opened."""
        self._key = key
        self._now = now
        self._lost = lost
        self._file = _AppendedFile(file)
        self._failing = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="lascaux-audit")
        self._waiting = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def sink(self, notes: Notes, asked: Asked, story: Story, result: Result | None) -> None:
        """Write down a call that has ended. Digests are made in a thread of its own."""
        moment = self._now()
        if self._waiting >= _WAITING:
            self._write(moment, notes, asked, story, result)
            return
        with self._lock:
            self._waiting += 1
        self._writer.submit(self._write_next, moment, notes, asked, story, result)

    async def aclose(self) -> None:
        """Write what waits, and close the file. No call may end after this."""
        await asyncio.to_thread(self._writer.shutdown)
        self._file.close()

    def _write_next(self, *call: Any) -> None:
        try:
            self._write(*call)
        finally:
            with self._lock:
                self._waiting -= 1

    def _write(self, moment: datetime, notes: Notes, asked: Asked, story: Story, result: Result | None) -> None:
        try:
            line = self._line(moment, notes, asked, story, result)
            with self._writing:
                self._file.append(_encoded(line).encode() + b"\n")
            self._failing = False
        except Exception as error:  # whatever it is, it fails no request
            self._lost()
            if not self._failing:
                self._failing = True
                why = getattr(error, "strerror", None) or type(error).__name__
                log.error("the audit can not be written, lines are lost until it can: %s", why)

    def _line(self, moment: datetime, notes: Notes, asked: Asked, story: Story, result: Result | None) -> AuditLine:
        prompt = prompt_of(asked.prompt, asked.params)
        images = result.images if result is not None else ()
        return AuditLine(
            time=moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            request_id=notes.request_id,
            trace_id=notes.trace_id,
            key=notes.key,
            alias=asked.alias or None,
            task=story.task,
            prompt_hmac=keyed_hash(self._key, prompt) if prompt else None,
            inputs=[hashlib.sha256(picture).hexdigest() for picture in pictures_in(asked.params)],
            outputs=[hashlib.sha256(image.bytes).hexdigest() for image in images],
            seeds=[image.seed for image in images],
            size=f"{images[0].width}x{images[0].height}" if images else None,
            cost_usd=None if story.cost_usd is None else f"{story.cost_usd:f}",
            charged_usd="0" if notes.charged_usd is None else f"{notes.charged_usd:f}",
            price_table=result.cost.table if result is not None else None,
            deployment=story.deployment,
            model=story.model,
            region=story.region,
            attempts=_calls(story),
            cache=story.cache,
            code=story.code,
        )


class _AppendedFile:
    """A file that others append to as well, and that may be moved away at any time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._torn = False
        self._descriptor = self._opened()

    def append(self, line: bytes) -> None:
        """One write, whole or not at all as far as others can see. Raises OSError."""
        if self._moved():
            former, self._descriptor = self._descriptor, self._opened()
            os.close(former)
            self._torn = False
        whole = b"\n" + line if self._torn else line  # what a full disk has cut off must not swallow this one
        written = os.write(self._descriptor, whole)
        self._torn = written < len(whole)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _moved(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        here = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def open_audit(config: AuditConfig | None) -> Callable[[Callable[[], None]], Audit] | None:
    """What makes the audit that the ``server`` section describes; None without one. Raises ConfigError."""
    if config is None:
        return None
    key = config.key.get_secret_value()
    if len(key) < SHORTEST:
        told = "is empty: the variable that should hold it is not set" if not key else "can be guessed"
        raise ConfigError(f"server.audit.key: {told}; it must have {SHORTEST} characters or more")

    def made(lost: Callable[[], None]) -> Audit:
        try:
            return Audit(config.file, key.encode(), lost=lost)
        except OSError as error:
            raise ConfigError(f"server.audit.file: {config.file}: {(error.strerror or str(error)).lower()}") from None

    return made


def keyed_hash(key: bytes, prompt: str) -> str:
    """HMAC-SHA256 in hexadecimal: the same prompt gives the same value, which tells nothing without the key."""
    return hmac.new(key, prompt.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def prompt_of(prompt: object, params: Mapping[str, Any]) -> str | None:
    """The words that were asked for: ``prompt``, else the ``text`` of a provider's own object."""
    if isinstance(prompt, str) and prompt:
        return prompt
    for name, value in params.items():
        if name == "text" and isinstance(value, str) and value:
            return value
        if isinstance(value, Mapping) and (name.endswith(_CONTAINERS) or name in ("native", "extra_body")):
            found = prompt_of(value.get("prompt"), value)
            if found:
                return found
    return None


def pictures_in(value: object, depth: int = 0) -> Iterator[bytes]:
    """The content of every picture in a request, wherever it stands: bytes, base64, data URLs, objects around them."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Image):
        value = value.b64
    if isinstance(value, (bytes, bytearray)):
        if bytes(value[:4]).startswith(_MAGIC):
            yield bytes(value)
    elif isinstance(value, str):
        yield from _decoded(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from pictures_in(each, depth + 1)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from pictures_in(each, depth + 1)


def _decoded(text: str) -> Iterator[bytes]:
    """Looks at the first letters only, unless they are a picture's."""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    if len(encoded) < _LEAST:
        return
    try:
        head = pybase64.b64decode("".join(encoded[:32].split())[:16])
        if head.startswith(_MAGIC):
            yield pybase64.b64decode("".join(encoded.split()) + "==")
    except ValueError:
        return


def _calls(story: Story) -> list[AuditedCall]:
    return [
        AuditedCall(
            deployment=one.deployment,
            model=one.model,
            region=one.region,
            outcome=one.outcome,
            cost_usd=f"{one.cost.usd:f}" if one.cost is not None and one.cost.usd is not None else None,
            may_be_billed=one.may_be_billed,
        )
        for one in story.attempts
    ]
