"""Options that several commands have, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Alias",
    "AsJson",
    "AspectRatio",
    "ConfigFile",
    "Count",
    "NegativePrompt",
    "NoCache",
    "OutputFormat",
    "Param",
    "Prompt",
    "Quality",
    "Seed",
    "Size",
    "Strict",
    "Style",
]

Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What the picture shows.", show_default=False)]
Alias = Annotated[
    str | None,
    typer.Option(
        "--alias",
        "-m",
        metavar="NAME",
        help="Alias, deployment or model id. Default: hero, or the only alias there is.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="LASCAUX_CONFIG",
        help="Configuration, ours or LiteLLM's. Default: ./lascaux.yaml; without it, the built-in emulator.",
    ),
]
Size = Annotated[str | None, typer.Option(metavar="WxH", help="Pixels, such as 1024x1024.")]
Count = Annotated[int | None, typer.Option("--n", "-n", help="How many pictures, 1 to 10. Default: 1.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same picture; and the answer can be cached.")]
Quality = Annotated[str | None, typer.Option(metavar="LEVEL", help="standard or premium.")]
NegativePrompt = Annotated[str | None, typer.Option(metavar="TEXT", help="What the picture must not show.")]
AspectRatio = Annotated[str | None, typer.Option(metavar="W:H", help="Shape, such as 16:9.")]
Style = Annotated[str | None, typer.Option(metavar="NAME", help="A style the model knows.")]
OutputFormat = Annotated[str | None, typer.Option(metavar="FORMAT", help="png, jpeg or webp.")]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="KEY=VALUE",
        help="Any other parameter, such as image=photo.png; VALUE is JSON or text. Repeatable.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse what a model can not do exactly.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="As if nothing had been answered before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
