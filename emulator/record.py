"""What the emulator remembers about each call, for tests and for the line it writes per call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["SECRET_HEADERS", "Record"]

SECRET_HEADERS = frozenset({"authorization", "x-amz-security-token", "proxy-authorization", "cookie"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One call. Headers that carry credentials are left out.

    ``time`` is seconds since the epoch, ``path`` is percent-decoded once, ``status`` is None when no answer was sent
    (a dropped or swallowed call), ``images`` counts the pictures delivered, ``fault`` names the kind of rule that
    applied, ``duration`` is in seconds.
    """

    time: float
    method: str
    path: str
    region: str | None = None
    model_id: str | None = None
    key_id: str | None = None
    status: int | None = None
    error_type: str | None = None
    message: str | None = None
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str]
    images: int = 0
    fault: str | None = None
    request_id: str
    duration: float = 0.0
