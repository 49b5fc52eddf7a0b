"""``lascaux edit``: from a picture to another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .generate import Exporter, Job, merged, run
from .options import ConfigFile, Count, Quality, Seed, Size, Strict

if TYPE_CHECKING:
    from ..emulator import Emulator
    from ..providers.types import Task
    from ..router.client import Router
    from ..router.config import AliasConfig, Config
    from ..router.records import Result

EXAMPLES = (
    "lascaux edit photo.png --task remove-background -o cutout.png",
    'lascaux edit photo.png "a straw hat" --mask mask.png --mask-mode white',
    'lascaux edit photo.png "a red balloon" --param search_prompt=ball',
    "lascaux edit photo.png --param right=256 --seed 7",
    "lascaux edit photo.png --task style-transfer --reference style.png",
    "lascaux edit photo.png --task upscale-fast --json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditJob(Job):
    """What one run of the command shall do to ``image``. A task that is not named follows from the rest."""

    image: Path

    def task(self, offered: Collection[Task] = ()) -> Task:
        """The task that was named, or that the parameters and what is offered speak of. Raises InvalidRequest."""
        from ..providers.param_tasks import given_in, infer_task
        from ..providers.param_values import task

        named = self.params.get("task")
        return task("task", named) if named is not None else infer_task({*given_in(self.params), "image"}, offered)

    @property
    def title(self) -> str:
        """The prompt; without one, the picture's own name, and the task or the alias that was named."""
        return self.prompt or f"{self.image.stem} {self.params.get('task') or self.alias or self.task()}"

    def builtin(self, env: Mapping[str, str]) -> AbstractContextManager[tuple[Config, Emulator]]:
        """An alias for every task."""
        from .services import services

        return services(env)

    def choose(self, config: Config) -> str:
        """The alias that is called like the task, else the first one that can do it. Raises InvalidRequest."""
        from ..providers.errors import InvalidRequest

        named = {name: alias for name, alias in config.aliases.items() if not alias.match}
        task = self.task({task for alias in named.values() for task in _tasks(config, alias)})
        for name in (str(task).replace("_", "-"), str(task)):
            if name in named:
                return name
        able = [name for name, alias in named.items() if task in _tasks(config, alias)]
        if able:
            return able[0]
        every = ", ".join(sorted({str(one) for alias in named.values() for one in _tasks(config, alias)})) or "none"
        message = f"task: no alias here is known to do {task} (they do: {every}); name one with --alias"
        raise InvalidRequest(message, parameter="task", allowed=every)

    def ask(self, router: Router, alias: str, params: Mapping[str, Any]) -> Result:
        """The request itself."""
        return router.edit(alias, self.prompt, image=self.image, **params)


def _tasks(config: Config, alias: AliasConfig) -> set[Task]:
    """What the models behind an alias can do, as far as the catalogue knows them."""
    from ..providers.catalog import Catalog

    deployments = [config.deployments[use.deployment] for use in alias.uses]
    models = [Catalog.load().find(each.base_model or each.model) for each in deployments]
    return {task for model in models if model for task in model.able}


def command(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture to work on.", show_default=False)],
    prompt: Annotated[
        str,
        typer.Argument(metavar="[PROMPT]", help="What shall be seen. Some tasks need no words.", show_default=False),
    ] = "",
    alias: Annotated[
        str | None,
        typer.Option(
            "--alias",
            "-m",
            metavar="NAME",
            help="Alias, deployment or model id. Default: the one called like the task, or the first that can do it.",
        ),
    ] = None,
    config: ConfigFile = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK", help="Such as inpaint, outpaint, erase, upscale-fast. Default: what the options speak of."
        ),
    ] = None,
    mask: Annotated[Path | None, typer.Option(metavar="FILE", help="Picture that marks what shall change.")] = None,
    mask_mode: Annotated[
        str | None,
        typer.Option(metavar="MODE", help="What marks it: alpha (transparent, the default), white or black."),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option("--reference", "-r", metavar="FILE", help="A further picture: a style, a garment. Repeatable."),
    ] = None,
    size: Size = None,
    n: Count = None,
    seed: Seed = None,
    quality: Quality = None,
    negative_prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What must not be seen.")] = None,
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
            "--param",
            "-p",
            metavar="KEY=VALUE",
            help="Any other parameter, such as strength=0.6; VALUE is JSON or text. Repeatable.",
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
    """Change a picture: inpaint, outpaint, erase, cut out, recolour, restyle, upscale.

    Without a configuration the built-in emulator does it, with an alias for every task: no AWS account, no bill.
    """
    named = {
        "task": task.replace("-", "_") if task else None,
        "mask": mask,
        "mask_mode": mask_mode,
        "references": _listed(reference),
        "size": size,
        "n": n,
        "seed": seed,
        "quality": quality,
        "negative_prompt": negative_prompt,
        "background": background,
        "output_format": output_format,
        "strict": strict or None,
        "cache": False if no_cache else None,
    }
    job = EditJob(
        image=image,
        prompt=prompt,
        alias=alias,
        config=config,
        params=merged({name: value for name, value in named.items() if value is not None}, param or []),
        output=output,
        telemetry=telemetry.value if telemetry else None,
        verbose=verbose,
    )
    run(job, as_json=as_json)


def _listed(paths: Sequence[Path] | None) -> list[Path] | None:
    return list(paths) if paths else None
