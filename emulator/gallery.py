"""Pictures for jobs: a pure function of job, seed and index; what was painted lately is kept."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Literal

import orjson

from .canvas import encode, flat
from .editing import edited, exact
from .job import Job
from .painting import paint

__all__ = ["Gallery"]

_MAX_BYTES = 64 * 1024 * 1024


class Gallery:
    """Draws, and remembers up to ``max_bytes`` of what was asked for last."""

    def __init__(self, canvas: Literal["paint", "fast"] = "paint", *, max_bytes: int = _MAX_BYTES) -> None:
        if canvas not in ("paint", "fast"):
            raise ValueError(f"canvas: {canvas!r} is not one of paint, fast")
        self._fast = canvas == "fast"
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[bytes, str, bool], bytes] = OrderedDict()
        self._bytes = 0
        self._max_bytes = max_bytes

    @property
    def kept_bytes(self) -> int:
        """How much is remembered now."""
        with self._lock:
            return self._bytes

    def picture(self, job: Job, seed: int, index: int = 0, blurred: bool = False) -> bytes:
        """The encoded picture of a job; the same arguments give the same bytes."""
        digest = fingerprint(job, seed, index)
        key = (digest, job.format, blurred)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._made(job, digest, seed, blurred)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += len(made)
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made

    def _made(self, job: Job, digest: bytes, seed: int, blurred: bool) -> bytes:
        size = (job.width, job.height)
        if self._fast and not exact(job):
            return flat(size, digest, job.format, model_id=job.model_id, seed=seed)
        if job.edit is not None:
            picture = edited(job, digest, fast=self._fast, blurred=blurred)
        else:
            picture = paint(job.prompt, digest, size, blurred=blurred)
        return encode(picture, job.format, model_id=job.model_id, seed=seed, exact=exact(job))


def fingerprint(job: Job, seed: int, index: int) -> bytes:
    """32 bytes that stand for everything that shapes a picture: model, size, parameters, seed, place in the batch."""
    parts = [job.model_id, job.width, job.height, job.parameters, seed, index]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()
