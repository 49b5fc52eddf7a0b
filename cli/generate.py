"""``lascaux generate``: from words to files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .failures import error_record, failing
from .options import AspectRatio, ConfigFile, Count, NegativePrompt, Prompt, Quality, Seed, Size, Strict, Style

if TYPE_CHECKING:
    from ..emulator import Emulator
    from ..providers.types import Warning
    from ..router.client import Router
    from ..router.config import Config
    from ..router.records import Result
    from .pictures import Saved

EXAMPLES = (
    'lascaux generate "A cute baby sea otter"',
    'lascaux generate "A cute baby sea otter" --size 1024x1024 --seed 30 -o otter.png',
    'lascaux generate "Five owls" -m draft --n 2 -o owl.jpg --param style_preset=anime',
    'lascaux generate "A red fox" --json --telemetry console',
)

DEFAULT_CONFIG = Path("lascaux.yaml")
DEFAULT_ALIAS = "hero"


class Exporter(StrEnum):
    """Where spans and metrics go."""

    NONE = "none"
    CONSOLE = "console"
    OTLP = "otlp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one run of the command shall do. ``params`` go to the router as they are."""

    prompt: str
    alias: str | None
    config: Path | None
    params: dict[str, Any]
    output: str | None
    telemetry: str | None
    verbose: bool

    @property
    def title(self) -> str:
        """What a picture is named after that nobody named."""
        return self.prompt

    def builtin(self, env: Mapping[str, str]) -> AbstractContextManager[tuple[Config, Emulator]]:
        """The configuration for those who have none, and the emulator it runs on."""
        from .quickstart import quickstart

        return quickstart(env)

    def choose(self, config: Config) -> str:
        """The alias for those who name none."""
        named = [name for name, alias in config.aliases.items() if not alias.match]
        return named[0] if len(named) == 1 and DEFAULT_ALIAS not in named else DEFAULT_ALIAS

    def ask(self, router: Router, alias: str, params: Mapping[str, Any]) -> Result:
        """The request itself."""
        return router.generate(alias, self.prompt, **params)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of it. ``warnings`` are the configuration's and the result's."""

    result: Result
    saved: Saved
    warnings: Sequence[Warning]
    emulator: bool


def command(
    prompt: Prompt,
    alias: Annotated[
        str | None,
        typer.Option(
            "--alias",
            "-m",
            metavar="NAME",
            help="Alias, deployment or model id that makes it. Default: hero, or the only alias there is.",
        ),
    ] = None,
    config: ConfigFile = None,
    size: Size = None,
    n: Count = None,
    seed: Seed = None,
    quality: Quality = None,
    negative_prompt: NegativePrompt = None,
    aspect_ratio: AspectRatio = None,
    style: Style = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="KIND", help="transparent, opaque or auto. Transparent takes an alias with a background_remover."
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="png, jpeg or webp. Default: what the name of --output says."),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="KEY=VALUE", help="Any other parameter; VALUE is JSON or text. Repeatable."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the picture goes; several become NAME-1, NAME-2, ... Default: out/, named after the prompt.",
        ),
    ] = None,
    strict: Strict = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask even for what was answered before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    telemetry: Annotated[
        Exporter | None, typer.Option(help="Where spans and metrics go. Default: what the configuration says.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more: every call, ids, sources.")] = False,
) -> None:
    """Make pictures from words, save them, and say what they cost.

    Without a configuration the built-in emulator draws: no AWS account, no bill.
    """
    named = {
        "size": size,
        "n": n,
        "seed": seed,
        "quality": quality,
        "negative_prompt": negative_prompt,
        "aspect_ratio": aspect_ratio,
        "style": style,
        "background": background,
        "output_format": output_format,
        "strict": strict or None,
        "cache": False if no_cache else None,
    }
    job = Job(
        prompt=prompt,
        alias=alias,
        config=config,
        params=merged({name: value for name, value in named.items() if value is not None}, param or []),
        output=output,
        telemetry=telemetry.value if telemetry else None,
        verbose=verbose,
    )
    run(job, as_json=as_json)


def run(job: Job, *, as_json: bool) -> None:
    """Do it, show what came of it, end with the exit code that fits."""
    with failing(as_json=as_json):
        made = _make(job)
        _show(made, as_json=as_json, verbose=job.verbose)
        if made.saved.error:
            raise typer.Exit(1)


def merged(params: dict[str, Any], pairs: Sequence[str]) -> dict[str, Any]:
    """The named parameters and those of ``--param``. Raises BadParameter."""
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not (equals and key):
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="'--param'")
        value = _value(key, text)
        if params.setdefault(key, value) != value:
            raise typer.BadParameter(f"{key} is given twice, with different values", param_hint="'--param'")
    return params


def _value(key: str, text: str) -> Any:
    """JSON if it is JSON, else the text itself; but what begins like JSON has to be JSON."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as problem:
        if text.lstrip()[:1] in ("{", "[", '"'):
            raise typer.BadParameter(f"{key}: not JSON: {problem}", param_hint="'--param'") from None
        return text


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _make(job: Job) -> Made:
    from ..router.client import Router
    from ..router.exporters import configure
    from .pictures import Files
    from .progress import Watched, watch

    files = Files(job.output, job.title)
    params = dict(job.params)
    if files.format and files.format != params.setdefault("output_format", files.format):
        files.agree(params["output_format"])
    with ExitStack() as stack:
        config, emulator = stack.enter_context(configuration(job))
        exporter = job.telemetry or config.telemetry.exporter
        endpoint = config.telemetry.endpoint if exporter == "otlp" else None
        tracer_provider, meter_provider, shutdown = configure(exporter, endpoint)
        stack.callback(shutdown)
        provider = Watched(verbose=job.verbose)
        router = stack.enter_context(
            Router(config, provider=provider, tracer_provider=tracer_provider, meter_provider=meter_provider)
        )
        alias = job.alias or job.choose(config)
        result = watch(
            lambda: job.ask(router, alias, params),
            alias,
            provider,
            show=exporter != "console" and not job.verbose,
        )
        saved = files.save(result)
    return Made(result=result, saved=saved, warnings=(*router.warnings, *result.warnings), emulator=emulator)


@contextmanager
def configuration(job: Job) -> Iterator[tuple[Config, bool]]:
    """The configuration that was named or lies here; else the emulator's, which is said."""
    path = job.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    if path is not None:
        from ..router.config import Config

        yield Config.load(path), False
        return
    from .output import line, note

    with job.builtin(os.environ) as (config, emulator):
        message = (
            f"no configuration, so the built-in emulator draws ({emulator.url}); AWS is not called, nothing is billed"
        )
        line(note("emulator", message, "cyan"), stderr=True)
        yield config, True


def _show(made: Made, *, as_json: bool, verbose: bool) -> None:
    from .output import console, error_line, facts_table, line, note, print_json, printable
    from .results import facts, picture_line, record

    result, error = made.result, made.saved.error
    if as_json:
        document = record(result, made.saved.files, made.warnings, emulator=made.emulator)
        print_json({**document, "error": error_record(error)} if error else document)
        return
    screen = console()
    screen.print(facts_table([facts(result, details=verbose)], screen.width))
    screen.print()
    for path, image in zip(made.saved.files, result.images, strict=True):
        line(printable(picture_line(path, image)))
    for warning in made.warnings:
        line(note("warning", str(warning), "yellow"))
    for gap in result.missing:
        line(note("missing", f"picture {gap.index + 1}, {gap.reason}: {gap.message}", "yellow"))
    for skip in result.skipped if verbose else ():
        line(note("skipped", str(skip), "dim"))
    for problem in error.problems if error else ():
        error_line(problem)
