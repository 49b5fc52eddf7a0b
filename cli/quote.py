"""``lascaux quote``: what a request would cost, before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .explain import tell
from .options import (
    Alias,
    AsJson,
    AspectRatio,
    ConfigFile,
    Count,
    NegativePrompt,
    NoCache,
    OutputFormat,
    Param,
    Prompt,
    Quality,
    Seed,
    Size,
    Strict,
    Style,
)

if TYPE_CHECKING:
    from ..router.client import Router
    from ..router.explain import Quote

EXAMPLES = (
    'lascaux quote "A cute baby sea otter"',
    'lascaux quote "A cute baby sea otter" -m hero --size 1024x1024 --n 4',
    'lascaux quote "A red fox" --json',
)


def command(
    prompt: Prompt,
    alias: Alias = None,
    config: ConfigFile = None,
    size: Size = None,
    n: Count = None,
    seed: Seed = None,
    quality: Quality = None,
    negative_prompt: NegativePrompt = None,
    aspect_ratio: AspectRatio = None,
    style: Style = None,
    output_format: OutputFormat = None,
    param: Param = None,
    strict: Strict = False,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Tell the exact price of a request at every candidate, and where it would go. Calls nobody.

    Ends with 1 if nobody could be asked. A price that nobody has published is unknown, not 0.
    """
    named = {
        "size": size,
        "n": n,
        "seed": seed,
        "quality": quality,
        "negative_prompt": negative_prompt,
        "aspect_ratio": aspect_ratio,
        "style": style,
        "output_format": output_format,
        "strict": strict or None,
        "cache": False if no_cache else None,
    }
    tell(prompt, alias, config, named, param or [], as_json=as_json, ask=_quote)


def _quote(router: Router, alias: str, prompt: str, params: dict[str, Any]) -> Quote:
    return router.quote(alias, prompt, **params)
