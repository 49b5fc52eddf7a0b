"""``lascaux explain``: who would be asked, who not, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .failures import failing
from .generate import Job, configuration, merged
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
    from ..router.explain import Explanation, Quote

EXAMPLES = (
    'lascaux explain "A cute baby sea otter"',
    'lascaux explain "A cute baby sea otter" -m hero --size 1024x1024 --n 4 --strict',
    'lascaux explain "A red fox" --json',
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
    """Tell what a request would meet: candidates, exclusions with their reasons, scores, prices, the pick. Calls nobody.

    Ends with 1 if nobody could be asked.
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
    tell(prompt, alias, config, named, param or [], as_json=as_json, ask=_explain)


def _explain(router: Router, alias: str, prompt: str, params: dict[str, Any]) -> Explanation:
    return router.explain(alias, prompt, **params)


def tell(
    prompt: str,
    alias: str | None,
    config: Path | None,
    named: dict[str, Any],
    pairs: list[str],
    *,
    as_json: bool,
    ask: Callable[[Router, str, str, dict[str, Any]], Explanation | Quote],
) -> None:
    """Ask a router and print its answer; end with 1 if nobody could be asked."""
    params = merged({name: value for name, value in named.items() if value is not None}, pairs)
    job = Job(prompt=prompt, alias=alias, config=config, params=params, output=None, telemetry=None, verbose=False)
    with failing(as_json=as_json):
        from ..router.client import Router
        from .output import line, note, print_json, printable

        with configuration(job) as (loaded, _), Router(loaded) as router:
            told = ask(router, alias or job.choose(loaded), prompt, params)
        if as_json:
            print_json(told.as_dict())
        else:
            for each in str(told).splitlines():
                line(printable(each))
            for warning in router.warnings:
                line(note("warning", str(warning), "yellow"))
        if told.refused:
            raise typer.Exit(1)
