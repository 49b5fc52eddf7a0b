"""``lascaux demo``: the whole path, once with a call and once without one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Annotated

import typer

from ..providers.errors import LascauxError
from .failures import failing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ..emulator import Record
    from ..router.config import Config
    from ..router.records import Result

EXAMPLES = ("lascaux demo",)

ALIAS = "hero"
PROMPT = "A cute baby sea otter"
SIZE = "1024x1024"
SEED = 30
OUTPUT = "out/otter.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What happened: two results, and what the emulator and the tracer saw."""

    config: Config
    first: Result
    again: Result
    call: Record
    spans: Sequence[ReadableSpan]


def command(
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where the picture goes.")] = OUTPUT,
) -> None:
    """Show the whole path on the built-in emulator: one picture made, then the same one from the cache.

    YAML, router, credentials, signed HTTP, emulator, picture, price, cache, spans.
    """
    with failing():
        from .pictures import Files

        files = Files(output, PROMPT)
        shown = _run(files.format or "png")
        saved = files.save(shown.first)
        _say(shown, saved.files[0])
        if saved.error:
            raise saved.error


def _run(output_format: str) -> Shown:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from ..router.client import Router
    from .quickstart import quickstart

    kept = InMemorySpanExporter()
    tracer_provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    tracer_provider.add_span_processor(SimpleSpanProcessor(kept))
    with quickstart({}) as (config, emulator), Router(config, tracer_provider=tracer_provider) as router:
        first, again = (
            router.generate(ALIAS, PROMPT, size=SIZE, seed=SEED, output_format=output_format) for _ in range(2)
        )
        calls = emulator.log
    if again.cache != "hit" or len(calls) != 1 or again.images[0].bytes != first.images[0].bytes:
        raise LascauxError(f"the second request should not have been sent, but the emulator saw {len(calls)} calls")
    return Shown(config=config, first=first, again=again, call=calls[0], spans=kept.get_finished_spans())


def _say(shown: Shown, path: Path | None) -> None:
    from rich.text import Text

    from .output import console, facts_table, line, printable
    from .results import facts, picture_line

    line("Lascaux on its built-in emulator: no AWS account, nothing is billed.\n")
    for step, what in _steps(shown, picture_line(path, shown.first.images[0])):
        line(Text.assemble((f"  {step:<9}", "cyan"), printable(what)))
    screen = console()
    screen.print()
    rows = [{"request": "first", **facts(shown.first)}, {"request": "again", **facts(shown.again)}]
    screen.print(facts_table(rows, screen.width))
    name = _program()
    line(Text.assemble("\nNext:  ", (f'{name} generate "A lighthouse in the snow" --seed 7', "bold")))
    line("       With a lascaux.yaml of yours in this folder, the same command calls AWS.")


def _steps(shown: Shown, picture: str) -> list[tuple[str, str]]:
    """The path, station by station, with what was seen there."""
    first, call, config = shown.first, shown.call, shown.config
    spans = Counter(span.name for span in sorted(shown.spans, key=lambda span: span.start_time or 0))
    names = ", ".join(f"{name} (x{count})" if count > 1 else name for name, count in spans.items())
    return [
        ("yaml", f"{config.source}: {len(config.aliases)} aliases, {len(config.deployments)} deployments"),
        ("router", f"{ALIAS} -> {first.deployment}: {first.model} in {first.region}"),
        ("http", f"{call.method} {call.path}, signed by {call.key_id}: {call.status}"),
        ("picture", picture),
        ("price", str(first.cost)),
        ("cache", f"asked again: {shown.again.cache}; the emulator's log still holds 1 call"),
        ("spans", f"{len(shown.spans)}: {names}"),
    ]


def _program() -> str:
    """How to call this program from here."""
    script = Path(sys.executable).with_name("lascaux")
    if not which("lascaux") and script.exists() and script.is_relative_to(Path.cwd()):
        return str(script.relative_to(Path.cwd()))
    return "lascaux" if which("lascaux") else "python -m lascaux"
