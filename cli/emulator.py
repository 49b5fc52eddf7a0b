"""``lascaux emulator``: Bedrock's image models on a port of this machine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..providers.errors import LascauxError
from .failures import failing

if TYPE_CHECKING:
    from ..emulator import Emulator, Record

EXAMPLES = (
    "lascaux emulator",
    "lascaux emulator --latency 2.5 --quota us-west-2=60",
    """lascaux emulator --fault '{"region": "us-east-1", "status": 503, "probability": 0.3}'""",
    "lascaux emulator --lifecycle enforce --today 2026-11-22",
)


class Lifecycle(StrEnum):
    """What retired models do."""

    IGNORE = "ignore"
    ENFORCE = "enforce"


class Canvas(StrEnum):
    """How pictures are made."""

    PAINT = "paint"
    FAST = "fast"


def _quota(text: str) -> Any:
    from ..emulator.faults import parse_quota

    return _read(parse_quota, text)


def _rule(text: str) -> Any:
    from ..emulator import Rule

    return _read(Rule.from_json, text)


def _read(reader: Callable[[str], Any], text: str) -> Any:
    try:
        return reader(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise typer.BadParameter("is not NAME=VALUE")
    return name, value


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 4001,
    latency: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Waited before every answer.")] = 0.0,
    quota: Annotated[
        list[Any] | None,
        typer.Option(parser=_quota, metavar="REGION[/MODEL]=RPM", help="Calls per minute; above it, 429. Repeatable."),
    ] = None,
    fault: Annotated[
        list[Any] | None,
        typer.Option(
            parser=_rule,
            metavar="JSON",
            help="What goes wrong, and when. kind: error, drop, truncate, garbage, empty, html, black_hole, slow, delay, "
            "resize, reformat, corrupt; region, model, match (of the prompt), status, error_type, message, extra, "
            "retry_after, times, probability, latency. Repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the dice behind faults with a probability.")] = 0,
    lifecycle: Annotated[
        Lifecycle, typer.Option(help="ignore: retired models answer, too; enforce: 404, as from AWS.")
    ] = Lifecycle.IGNORE,
    today: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The date --lifecycle goes by.")
    ] = None,
    any_region: Annotated[bool, typer.Option("--any-region", help="Every model in every region.")] = False,
    region: Annotated[
        str | None, typer.Option(help="Region of calls with a bearer token. Default: the ARN's, or the model's first.")
    ] = None,
    profile: Annotated[
        list[Any] | None,
        typer.Option(parser=_pair, metavar="NAME=MODEL", help="The model behind an opaque ARN or profile. Repeatable."),
    ] = None,
    key: Annotated[
        list[Any] | None,
        typer.Option(parser=_pair, metavar="ID=SECRET", help="Access key, instead of the demo key. Repeatable."),
    ] = None,
    any_key: Annotated[
        bool, typer.Option("--any-key", help="Let unknown access keys in, without verifying their signatures.")
    ] = False,
    bearer: Annotated[
        list[str] | None, typer.Option(metavar="TOKEN", help="Bearer token, instead of the demo token. Repeatable.")
    ] = None,
    allow_plain_bearer: Annotated[
        bool, typer.Option("--allow-plain-bearer", help="Take bearer tokens without TLS.")
    ] = False,
    tls: Annotated[tuple[str, str] | None, typer.Option(metavar="CERT KEY", help="PEM files: serve HTTPS.")] = None,
    canvas: Annotated[Canvas, typer.Option(help="fast: one flat colour, for load tests.")] = Canvas.PAINT,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each call.")] = False,
) -> None:
    r"""Run a look-alike of Bedrock's image models: its validation, errors and signatures; painted pictures.

    Words in a prompt set its filters off: \[blocked-prompt], \[blocked-output], \[blocked-some], \[inference-error].
    """
    from ..emulator import DEMO_BEARER_TOKEN, Emulator, Faults

    with failing():
        try:
            emulator = Emulator(
                host=host,
                port=port,
                keys=dict(key) if key else None,
                bearer_tokens=bearer or (DEMO_BEARER_TOKEN,),
                allow_plain_bearer=allow_plain_bearer,
                accept_any_signature=any_key,
                profiles=dict(profile or ()),
                any_region=any_region,
                region=region,
                faults=Faults(rules=fault or (), quotas=dict(quota or ()), seed=seed),
                lifecycle=lifecycle.value,
                today=today.date() if today else None,
                latency=latency,
                canvas=canvas.value,
                tls=tls,
            )
        except ValueError as problem:
            raise typer.BadParameter(str(problem)) from None
        except OSError as problem:
            raise LascauxError(f"tls: certificate or key can not be used: {problem.strerror}", code="io") from None
        if not quiet:
            emulator.on_record = _say
        _serve(emulator, f"{host}:{port}", own_keys=bool(key))


def _serve(emulator: Emulator, address: str, *, own_keys: bool) -> None:
    """Until Ctrl-C or SIGTERM."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())
    try:
        emulator.start()
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise LascauxError(f"can not listen on {address}: {reason}", code="io") from None
    with emulator:
        _welcome(emulator.url, own_keys=own_keys)
        stop.wait()


def _welcome(url: str, *, own_keys: bool) -> None:
    """How to reach it, for those who use the demo key and for those who brought their own."""
    from rich.text import Text

    from ..emulator import DEMO_BEARER_TOKEN, DEMO_KEY_ID, DEMO_SECRET
    from .output import console

    keys = f"AWS_ACCESS_KEY_ID={DEMO_KEY_ID} AWS_SECRET_ACCESS_KEY={DEMO_SECRET}"
    lines = [
        (
            "# Lascaux, boto3, the AWS CLI; in a Lascaux deployment: endpoint_url",
            f"AWS_ENDPOINT_URL_BEDROCK_RUNTIME={url}",
        ),
        ("# LiteLLM; or as its parameter aws_bedrock_runtime_endpoint", f"AWS_BEDROCK_RUNTIME_ENDPOINT={url}"),
        (f"# the demo key; or, over TLS, the bearer token {DEMO_BEARER_TOKEN}", f"{keys} AWS_REGION=us-west-2"),
    ]
    text = Text.assemble((f"Lascaux emulator on {url}", "bold green"), "  (Ctrl-C stops it)\n")
    for comment, export in lines[: 2 if own_keys else 3]:
        text.append(f"\n  {comment}\n", "dim").append(f"  export {export}\n")
    screen = console()
    screen.print(text, soft_wrap=True)
    screen.file.flush()


def _say(record: Record) -> None:
    """A line for each call."""
    from rich.text import Text

    from .output import line, printable

    good = record.status is not None and record.status < 400
    what = record.error_type or f"{record.images} image{'' if record.images == 1 else 's'}"
    text = Text.assemble(
        datetime.fromtimestamp(record.time).strftime("%H:%M:%S  "),
        (f"{record.status or '---'}", "green" if good else "red"),
        printable(
            f"  {record.region or '-'}  {record.model_id or record.path}  {what}  {record.duration * 1000:.0f} ms"
        ),
        (f"  {record.fault}" if record.fault else "", "yellow"),
    )
    line(text, stderr=True)
