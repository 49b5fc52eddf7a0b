"""``lascaux validate``: is this configuration usable, and if not, where is it wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .failures import failing

EXAMPLES = ("lascaux validate lascaux.yaml", "lascaux validate lascaux.yaml config.yaml --json")


def command(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Configurations, ours or LiteLLM's config.yaml.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Check configurations: all problems with file, line and column. Calls nobody.

    References such as ${NAME} must be set, as they must for a request.
    """
    from .output import print_json

    with failing(as_json=as_json):
        reports = [_check(file) for file in files]
        good = all(report["ok"] for report in reports)
        if as_json:
            print_json({"ok": good, "files": reports})
        else:
            for report in reports:
                _show(report)
    raise typer.Exit(0 if good else 1)


def _check(file: Path) -> dict[str, Any]:
    """The file as a router would read it, up to the point where it would call AWS."""
    from ..compat.config import is_litellm
    from ..router.client import Router
    from ..router.config import Config, read_document
    from ..router.errors import ConfigError
    from ..router.share import Share

    report: dict[str, Any] = {"file": str(file), "ok": False, "problems": [], "warnings": []}
    try:
        document = read_document(file)
        report["format"] = "litellm" if is_litellm(document.data) else "lascaux"
        config = Config.from_document(document, dotenv=True)
        with Router(config, share=Share(count=config.server.workers)) as router:  # the gateway shares out its limits
            warnings = router.warnings
    except ConfigError as error:
        return {**report, "problems": list(error.problems)}
    return {
        **report,
        "ok": True,
        "aliases": len(config.aliases),
        "deployments": len(config.deployments),
        "credentials": len(config.credentials),
        "warnings": [str(warning) for warning in warnings],
    }


def _show(report: dict[str, Any]) -> None:
    from .output import error_line, line, note

    for problem in report["problems"]:
        error_line(problem)
    if report["ok"]:
        named = {"aliases": "alias", "deployments": "deployment", "credentials": "set of credentials"}
        counts = [f"{report[many]} {one if report[many] == 1 else many}" for many, one in named.items() if report[many]]
        dialect = " (LiteLLM's format)" if report["format"] == "litellm" else ""
        line(note("ok", f"{report['file']}{dialect}: {', '.join(counts) or 'nothing in it'}", "bold green"))
    for warning in report["warnings"]:
        place = "" if report["file"] in warning else f"{report['file']}: "
        line(note("warning", place + warning, "yellow"))
