"""What every client of OpenAI's API plays, and what must come of it whichever client it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["MISTAKES", "TROUBLES", "VALUES", "Mistake", "Trouble"]


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A request that is refused: with which class, status, code and field. ``key`` names who asks."""

    name: str
    kind: str
    status: int
    code: str
    param: str | None = None
    do: str = "generate"
    key: str = "all"
    params: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


MISTAKES = (
    Mistake(name="size", params={"size": "huge"}, kind="BadRequestError", status=400, code="invalid_request", param="size"),
    Mistake(name="n", params={"n": 11}, kind="BadRequestError", status=400, code="invalid_request", param="n"),
    Mistake(name="field", extra={"sized": 1}, kind="BadRequestError", status=400, code="invalid_request", param="sized"),
    Mistake(name="model", params={"model": "heroo"}, kind="NotFoundError", status=404, code="model_not_found",
            param="model"),
    Mistake(name="filter", params={"prompt": "[blocked-prompt]"}, kind="BadRequestError", status=400,
            code="content_policy_violation"),
    Mistake(name="stranger", key="not-a-key", kind="AuthenticationError", status=401, code="invalid_api_key"),
    Mistake(name="alias", key="narrow", params={"model": "paint"}, kind="PermissionDeniedError", status=403,
            code="model_not_allowed", param="model"),
    Mistake(name="money", key="poor", kind="RateLimitError", status=429, code="insufficient_quota"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A fault, and what comes of it: a picture (``kind`` None) or an exception.

    ``sent`` is how often the client sends, None if that is its own affair, and ``billed`` how many pictures Bedrock makes.
    """

    name: str
    rule: dict[str, Any] = field(default_factory=dict)
    cut: int | None = None
    client: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    status: int | None = None
    sent: int | None = None
    calls: int = 1
    billed: int = 1


TROUBLES = (
    Trouble(name="throttled, then served", rule={"status": 429, "error_type": "ThrottlingException", "retry_after": 0.1},
            sent=2, calls=2),
    Trouble(name="away, then there", rule={"status": 503}, sent=2, calls=2),
    Trouble(name="away for good", rule={"status": 503, "times": 9}, client={"retries": 1}, kind="InternalServerError",
            status=503, sent=2, calls=2, billed=0),
    Trouble(name="lost after it was billed", rule={"kind": "truncate"}, kind="InternalServerError", status=502, sent=1),
    Trouble(name="lost on the way", rule={"kind": "drop"}, kind="InternalServerError", status=502, sent=1, billed=0),
    Trouble(name="no answer of Bedrock's", rule={"kind": "garbage"}, kind="InternalServerError", status=502, sent=1,
            billed=0),
    Trouble(name="500 of Bedrock's", rule={"status": 500, "times": 9}, client={"retries": 0}, kind="InternalServerError",
            status=503, sent=1, billed=0),
    Trouble(name="slower than the client's patience", rule={"kind": "delay", "latency": 1.5},
            client={"timeout": 0.7, "retries": 6}),
    Trouble(name="the answer is lost", cut=0),
    Trouble(name="the answer breaks off", cut=100),
    Trouble(name="no patience at all", rule={"kind": "delay", "latency": 1.0}, client={"timeout": 0.4, "retries": 0},
            kind="APITimeoutError", sent=1),
)  # fmt: skip

VALUES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"style": "vivid", "quality": "hd", "size": "1792x1024"}, {"output_format": "png"}),
    ({"style": "natural", "quality": "standard", "size": "1024x1792"}, {}),
    ({"size": "256x256", "user": "me"}, {}),
    ({"size": "512x512", "response_format": "b64_json", "n": 1}, {}),
    ({"quality": "low", "size": "1536x1024", "moderation": "low"}, {}),
    ({"quality": "medium", "size": "1024x1536", "moderation": "auto"}, {}),
    ({"quality": "high", "size": "auto", "background": "opaque"}, {}),
    ({"quality": "auto", "output_format": "jpeg", "output_compression": 60}, {"output_format": "jpeg"}),
    ({"output_format": "webp", "background": "auto"}, {"output_format": "webp"}),
)
"""Legal values of OpenAI's API, those of the dall-e time first, and what the answer says of them."""
