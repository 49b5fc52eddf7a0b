"""Pictures that are not what was asked for: another size, another format, broken inside."""

from __future__ import annotations

import io
import random

from PIL import Image

from .answers import Paint
from .canvas import encode
from .faults import Rule
from .job import Job

__all__ = ["altered"]

_KINDS = ("resize", "reformat", "corrupt")
_HEAD, _TAIL = 1024, 64
"""Bytes at either end that a broken picture keeps, of a small one fewer, so that only its pixels are damaged."""


def altered(paint: Paint, rule: Rule | None) -> Paint:
    """The same painter, who does what the rule says to every picture; without such a rule, the painter."""
    if rule is None or rule.kind not in _KINDS:
        return paint

    def painted(job: Job, seed: int, index: int, blurred: bool) -> bytes:
        return _altered(paint(job, seed, index, blurred), rule, job, seed)

    return painted


def _altered(data: bytes, rule: Rule, job: Job, seed: int) -> bytes:
    if rule.kind == "corrupt":
        head, tail = min(_HEAD, len(data) // 3), min(_TAIL, len(data) // 3)
        noise = random.Random(seed).randbytes(len(data) - head - tail)
        return data[:head] + noise + data[len(data) - tail :]
    with Image.open(io.BytesIO(data)) as picture:
        plain = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if rule.kind == "resize":
        width, height = rule.extra.get("width", job.width // 2), rule.extra.get("height", job.height // 2)
        plain = plain.resize((max(1, width), max(1, height)))
        return encode(plain, job.format, model_id=job.model_id, seed=seed)
    return encode(plain, rule.extra.get("format", "jpeg"), model_id=job.model_id, seed=seed)
