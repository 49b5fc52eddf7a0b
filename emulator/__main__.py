"""``python -m lascaux.emulator``: a Bedrock look-alike on a port."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from .callers import DEMO_BEARER_TOKEN, DEMO_KEY_ID, DEMO_SECRET
from .faults import Faults, Rule, parse_quota
from .record import Record
from .server import Emulator

__all__ = ["main", "parser"]

_EPILOG = f"""\
credentials
  access key {DEMO_KEY_ID} / {DEMO_SECRET}; bearer token {DEMO_BEARER_TOKEN} (TLS or --allow-plain-bearer)

words that set the content filters off, in a prompt or in the text metadata of an input picture
  [blocked-prompt]    the prompt is refused: 400, or an HTTP 200 that says so (Stability)
  [blocked-output]    every picture is held back: HTTP 200 without pictures, or with a blurred one (SDXL)
  [blocked-some]      half of the pictures are held back (Titan, Canvas)
  [blocked-input]     the input picture is refused, as a prompt would be
  [inference-error]   the model fails: inside an HTTP 200 (Stability, SDXL), or 500

faults
  A rule is a JSON object: kind (error, drop, truncate, garbage, empty, html, black_hole, slow, delay, resize, reformat,
  corrupt), region, model, match (part of the prompt), status, error_type, message, extra, retry_after, times,
  probability, latency (seconds). Resize takes extra {{"width": ..., "height": ...}}, reformat {{"format": ...}}.

lifecycle
  By default every model ever offered answers, because people develop against old ones. With --lifecycle enforce
  models past their end of life answer 404, as AWS does.

examples
  python -m lascaux.emulator --port 4001
  python -m lascaux.emulator --latency 2.5 --quota us-west-2=60
  python -m lascaux.emulator --fault '{{"region": "us-east-1", "status": 503, "probability": 0.3}}'
  python -m lascaux.emulator --lifecycle enforce --today 2026-11-22

  AWS_ACCESS_KEY_ID={DEMO_KEY_ID} AWS_SECRET_ACCESS_KEY={DEMO_SECRET} \\
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:4001 your-program
"""


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    made = argparse.ArgumentParser(
        prog="python -m lascaux.emulator",
        description="A look-alike of Amazon Bedrock's image models: its validation, errors, signatures; painted pictures.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=4001, help="port; 0 picks a free one (default: %(default)s)")
    add("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files, to serve HTTPS")
    add("--canvas", choices=("paint", "fast"), default="paint", help="fast: one flat colour, for load tests")
    add("--quiet", action="store_true", help="no line per call")
    _add_access(made)
    _add_behaviour(made)
    return made


def _add_access(made: argparse.ArgumentParser) -> None:
    """Who may call, and what identifiers mean."""
    add = made.add_argument_group("access").add_argument
    several: dict[str, Any] = {"action": "append", "default": []}
    add(
        "--key",
        type=_pair("ID=SECRET"),
        metavar="ID=SECRET",
        help="accept this access key, not the demo key",
        **several,
    )
    add("--any-key", action="store_true", help="accept unknown access keys; their signatures are not verified")
    add("--bearer", metavar="TOKEN", help="accept this bearer token, not the demo token", **several)
    add("--allow-plain-bearer", action="store_true", help="accept bearer tokens without TLS")
    add("--region", help="region of bearer-token calls (default: the ARN's or the model's first)")
    add("--any-region", action="store_true", help="serve every model in every region")
    names = "the model behind an inference profile or provisioned id"
    add("--profile", type=_pair("NAME=MODEL"), metavar="NAME=MODEL", help=names, **several)


def _add_behaviour(made: argparse.ArgumentParser) -> None:
    """What goes wrong, and when."""
    add = made.add_argument_group("behaviour").add_argument
    several: dict[str, Any] = {"action": "append", "default": []}
    lifecycle = "retired models (default: %(default)s)"
    add("--lifecycle", choices=("ignore", "enforce"), default="ignore", help=lifecycle)
    add("--today", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the date that --lifecycle goes by")
    add("--latency", type=float, default=0.0, metavar="SECONDS", help="added to every answer")
    quota = "calls per minute, then 429"
    add("--quota", type=_value(parse_quota), metavar="REGION[/MODEL]=RPM", help=quota, **several)
    add("--fault", type=_value(Rule.from_json), metavar="JSON", help="a rule; see below", **several)
    add("--seed", type=int, default=0, help="of the dice behind rules with a probability (default: %(default)s)")


def main(argv: Sequence[str] | None = None, *, stop: threading.Event | None = None) -> int:
    """Serve until interrupted, or until ``stop`` is set. Returns the exit code: 0 ok, 1 failed; usage errors exit with 2."""
    arguments = parser()
    options = arguments.parse_args(argv)
    stop = stop or threading.Event()
    try:
        emulator = _build(options)
    except ValueError as problem:
        arguments.error(str(problem))
    except OSError as problem:
        sys.stderr.write(f"cannot read the certificate or its key: {problem.strerror or problem}\n")
        return 1
    if not options.quiet:
        emulator.on_record = _say
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())
    try:
        emulator.start()
    except OSError as problem:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {problem.strerror or problem}\n")
        return 1
    with emulator:
        sys.stdout.write(f"Lascaux emulator on {emulator.url}  (Ctrl-C stops it)\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def _build(options: argparse.Namespace) -> Emulator:
    return Emulator(
        host=options.host,
        port=options.port,
        keys=dict(options.key) or None,
        bearer_tokens=options.bearer or (DEMO_BEARER_TOKEN,),
        allow_plain_bearer=options.allow_plain_bearer,
        accept_any_signature=options.any_key,
        profiles=dict(options.profile),
        any_region=options.any_region,
        region=options.region,
        faults=Faults(rules=options.fault, quotas=dict(options.quota), seed=options.seed),
        lifecycle=options.lifecycle,
        today=options.today,
        latency=options.latency,
        canvas=options.canvas,
        tls=tuple(options.tls) if options.tls else None,
    )


def _say(record: Record) -> None:
    clock = datetime.fromtimestamp(record.time).strftime("%H:%M:%S")
    status = record.status if record.status is not None else "---"
    what = record.error_type or f"{record.images} image{'' if record.images == 1 else 's'}"
    fault = f"  [{record.fault}]" if record.fault else ""
    place = f"{record.region or '-'}  {record.model_id or record.path}"
    sys.stderr.write(f"{clock}  {status}  {place}  {what}  {record.duration * 1000:.0f} ms{fault}\n")


def _pair(shape: str) -> Callable[[str], tuple[str, str]]:
    def read(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise argparse.ArgumentTypeError(f"expected {shape}")
        return name, value

    return read


def _value(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same reader, with its complaint shown as it is."""

    def reader(text: str) -> Any:
        try:
            return read(text)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from None

    return reader


if __name__ == "__main__":
    sys.exit(main())
