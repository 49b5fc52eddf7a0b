"""The answer in the form that code written for LiteLLM reads: attributes and items, and true values where LiteLLM has none.

Shapes: LiteLLM 1.106's ``ImageResponse``, which is OpenAI's plus ``_hidden_params``. The objects can be changed, because
callers do so: some put the address of an upload into ``data[0].url``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from ..providers.images import read_header
from ..providers.types import Warning
from ..router.records import Result

__all__ = ["ImageObject", "ImageResponse", "ImageUsage", "InputTokens", "respond"]


Plain = dict[str, Any]


class _Readable:
    """Attributes that can be read and set as items, too."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __contains__(self, key: object) -> bool:
        return any(name == key for name, _ in self)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Names and values, so that ``dict(response)`` works."""
        names = (one.name for one in fields(self) if not one.name.startswith("_"))  # type: ignore[arg-type]  # all are dataclasses
        return ((name, getattr(self, name)) for name in names if name != "lascaux")

    def get(self, key: str, default: Any = None) -> Any:
        """The value of that name, or ``default``."""
        return next((value for name, value in self if name == key), default)

    def model_dump(self, *, exclude_none: bool = False, **options: Any) -> Plain:
        """Plain data; other options of pydantic's are taken and change nothing."""
        return {name: _plain(value, exclude_none) for name, value in self if value is not None or not exclude_none}

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """The same as JSON text."""
        return orjson.dumps(self.model_dump(**options), option=orjson.OPT_INDENT_2 if indent else None).decode()

    def json(self, **options: Any) -> Plain:
        """Plain data: LiteLLM's ``json()`` returns no text either."""
        return self.model_dump(**options)

    def dict(self, **options: Any) -> Plain:
        """Plain data, by its older name."""
        return self.model_dump(**options)


@dataclass(slots=True, kw_only=True)
class ImageObject(_Readable):
    """One picture. ``url`` is None: Bedrock returns pictures, not addresses."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None

    def __repr__(self) -> str:
        return (
            f"ImageObject(b64_json={_sketch(self.b64_json)}, url={self.url!r}, revised_prompt={self.revised_prompt!r})"
        )


@dataclass(slots=True, kw_only=True)
class InputTokens(_Readable):
    """Zero: Bedrock's image models do not count tokens."""

    image_tokens: int = 0
    text_tokens: int = 0


@dataclass(slots=True, kw_only=True)
class ImageUsage(_Readable):
    """Zero: Bedrock's image models do not count tokens."""

    input_tokens: int = 0
    input_tokens_details: InputTokens = field(default_factory=InputTokens)
    output_tokens: int = 0
    total_tokens: int = 0


@dataclass(slots=True, kw_only=True)
class ImageResponse(_Readable):
    """The pictures, and around them what OpenAI's and LiteLLM's answers have.

    ``created`` is seconds since 1970. ``size`` and ``output_format`` are read from the first picture, ``quality`` is
    what was billed, None if no rate tells. ``_hidden_params`` holds ``response_cost`` (a float in USD, None if no rate
    is known; the exact figure is ``lascaux.cost.usd``), ``model_id`` (the deployment) and ``warnings``. ``lascaux`` is
    the whole result.
    """

    created: int
    data: list[ImageObject]
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None
    usage: ImageUsage = field(default_factory=ImageUsage)
    lascaux: Result = field(compare=False)
    _hidden_params: Plain = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        facts = [f"{name}={value!r}" for name, value in self if name != "usage" and value is not None]
        return f"ImageResponse({', '.join(facts)}, response_cost={self._hidden_params.get('response_cost')})"


def respond(result: Result, warnings: Sequence[Warning]) -> ImageResponse:
    """Turn a result into an answer. ``warnings`` are all there are, those of the result included."""
    first = result.images[0]
    return ImageResponse(
        created=int(time.time()),
        data=[ImageObject(b64_json=image.b64) for image in result.images],
        output_format=first.format,
        quality=result.cost.rate.quality if result.cost.rate else None,
        size=f"{first.width}x{first.height}",
        lascaux=result,
        _hidden_params=_hidden(result, warnings),
    )


def _hidden(result: Result, warnings: Sequence[Warning]) -> Plain:
    usd = result.cost.usd
    said = [str(warning) for warning in warnings]
    return {
        "response_cost": None if usd is None else float(usd),
        "model_id": result.deployment,
        "model": result.model,
        "region_name": result.region,
        "custom_llm_provider": "bedrock",
        "cache_hit": result.cache in ("hit", "coalesced"),
        "additional_headers": {},
        "_response_ms": result.duration * 1000,
        "warnings": said,
        "lascaux": {
            "deployment": result.deployment,
            "model": result.model,
            "region": result.region,
            "cost_usd": None if usd is None else str(usd),
            "price_table": result.cost.table,
            "price_confidence": result.cost.confidence,
            "cache": result.cache,
            "seed": result.seed,
            "request_id": result.request_id,
            "attempts": [str(attempt) for attempt in result.attempts],
            "missing": [gap.message for gap in result.missing],
            "warnings": said,
        },
    }


def _plain(value: Any, exclude_none: bool) -> Any:
    if isinstance(value, _Readable):
        return value.model_dump(exclude_none=exclude_none)
    return [_plain(one, exclude_none) for one in value] if isinstance(value, list) else value


def _sketch(b64: str | None) -> str:
    """A picture in a few words: nobody wants megabytes of base64 in a log."""
    if not isinstance(b64, str):
        return repr(b64)
    try:
        header = read_header(b64)
    except ValueError:
        return f"<{len(b64)} characters>"
    return f"<{header.format} {header.width}x{header.height}, {len(b64)} characters>"
