"""Writes ``tasks.md`` from the catalogue, and ``tasks.png`` by running every task of every model on the emulator.

``make docs`` runs it; ``--page`` leaves the picture as it is.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lascaux import Router
from lascaux.cli.listing import sizes
from lascaux.emulator import Emulator
from lascaux.providers.bedrock.families import FAMILIES
from lascaux.providers.catalog import Catalog, Model
from lascaux.providers.catalog.model import Field
from lascaux.providers.options import OPTIONS
from lascaux.providers.types import Task
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

HERE = Path(__file__).resolve().parent
PAGE, SHEET = HERE / "tasks.md", HERE / "tasks.png"
SHOWS = "Shows"
_SERVED = {family.name for family in FAMILIES}
MODELS = [model for model in Catalog.load().models() if model.family in _SERVED]

HEAD = """\
# Tasks: what each model can do

Written by `make docs` from the catalogue; nothing here is typed by hand.

```
lascaux edit photo.png "a straw hat" --mask mask.png
lascaux edit photo.png --task remove-background -o cutout.png
```

In Python it is `router.edit("inpaint", "a straw hat", image="photo.png", mask="mask.png")`. Every task of every model below,
run through the router on the emulator, which draws what a task does and not what a model's taste is:

![Every task of every model, drawn by the emulator](tasks.png)
"""

WORDS = """\
## One vocabulary

These options have one name for every model; the router writes them as each model spells them. What a model lacks is
a warning, and with `strict` a refusal. A mask marks what changes: where it is transparent, or with `mask_mode` where
it is `white` or `black`; it is converted to what the model wants, and stretched to the picture, with a warning, where its
size is another one. A photo whose metadata says how to turn it is turned, with a warning: picture and mask are as one sees
them. A Pillow image is taken as its pixels are, whatever its metadata says: turn it with `ImageOps.exif_transpose` first.

`task` may be left out. What is given tells (a mask: inpaint, `left`: outpaint, `search_prompt`: search_replace, a picture
alone: image_to_image); where the alias has no model for that, it is the one task of its models that what is given fits, and
if there are several, they are named in an error. The alias that was asked decides, for its fallbacks too.

Tasks with neither words nor a seed (`remove_background`, `upscale_fast`) make the same picture every time: with `n` above 1
it is made, and billed, once, with a warning; `strict` refuses.
"""

TRANSPARENT = """\
## Transparent backgrounds

None of these models makes a transparent picture by itself: `background="transparent"` is a warning, and with `strict` a
refusal. An alias with a `background_remover` has the background of what it made removed by `remove_background`, whatever the
task: see [reliability](reliability.md#two-stages-a-transparent-background).
"""

FORMATS = """\
## File formats

Without `output_format` a picture is handed over byte for byte as the model made it, with the provenance metadata that is in
it. With `png`, `jpeg` or `webp` the model is asked for that where it has the parameter (see below); otherwise the picture is
converted after it has come, which loses the metadata of the original and is said in a warning. `output_compression` is the
quality of a jpeg or webp, from 0 (the smallest file) to 100, as in OpenAI's API; below 100 a jpeg or webp of the model's own
is compressed again. On a png it has no effect, which is a warning. A conversion without it has quality 95.

- `strict` allows conversions: what is delivered is what was asked for.
- A background that was removed is transparent, so `jpeg` is refused for it before anything is sent (`png` and `webp` hold
  it). Other pictures with transparent parts get white ones in a jpeg, with a warning.
- A picture that can not be converted has been paid for: it is delivered as it came, with a warning.
- The cache keeps what the model made. A format that is converted here is another file of the same picture and costs nothing
  more. A format that the model itself is asked for is another call, and is billed as one, unless it is the default that the
  model documents.

What comes back is read, not believed: `format`, `width` and `height` are those of the file. Where the model promised another
size or shape, or another format, there is a warning (`unexpected_size`, `unexpected_format`), also when strict, and never an
error.
"""

FIELDS = """\
## Fields per model

The fields of the request body as the provider names them, after the catalogue. Pictures are base64 there; the router takes
paths, bytes, open files, data URLs and Pillow images.

`native={...}` says something in these words. What it says is merged at its place, wins over the parameters with a warning
where both differ, and has to fit the tables below: a field that the task does not have, and a value out of its range or its
words, is refused before anything is sent, by the name that it has in the body. A field that no model of the family has is
sent untouched and without a warning, also when strict: it is honoured as it was given, and the provider refuses what it does
not know.
"""

PROMPT = "a sea otter with a straw hat on a beach"
SIDE = 640
ASKS: Mapping[Task, Mapping[str, Any]] = {
    Task.IMAGE_TO_IMAGE: {"strength": 0.6},
    Task.INPAINT: {"mask": True},
    Task.OUTPAINT: {"left": 64, "right": 192},
    Task.ERASE: {"mask": True},
    Task.SEARCH_REPLACE: {"search_prompt": "mountain"},
    Task.SEARCH_RECOLOR: {"select_prompt": "mountain"},
    Task.COLOR_GUIDED: {"colors": ["#1B4965", "#FFB703", "#FB8500"]},
    Task.VIRTUAL_TRY_ON: {"garment_class": "UPPER_BODY", "references": True},
    Task.STYLE_TRANSFER: {"references": True},
}
CELL, TITLE, CAPTION, GAP, COLUMNS = 132, 20, 16, 8, 8
Row = tuple[str, list[tuple[str, Image.Image]]]
"""A task's name, and the captions and pictures of those who do it."""


def page() -> str:
    """The whole of ``tasks.md``."""
    words = [f"| `{name}` | {meaning} |" for name, meaning in OPTIONS.items()]
    options = "\n".join(["| option | meaning |", "|---|---|", *words, ""])
    parts = [HEAD, _matrix(), WORDS, options, FORMATS, TRANSPARENT, FIELDS]
    return "\n".join([*parts, *(_section(model) for model in MODELS)])


def _matrix() -> str:
    rows = ["## Who does what", "", "| task | models |", "|---|---|"]
    for task in Task:
        able = [f"`{model.id}`" for model in MODELS if task in model.able]
        rows.append(f"| `{task}` | {', '.join(able)} |")
    return "\n".join([*rows, ""])


def _section(model: Model) -> str:
    """One model: sizes per task, and a row for each field and each meaning it has."""
    eol = f" AWS ends or ended it on {model.lifecycle.eol}." if model.lifecycle.eol else ""
    lines = [f"### {model.id}", "", f"{model.name}; {', '.join(model.regions)}.{eol}", ""]
    lines += [f"- `{task}`: {sizes(facts.sizes)}" for task, facts in model.tasks.items()]
    rows: dict[tuple[str, str, str], tuple[list[str], list[str]]] = {}
    for task, facts in model.tasks.items():
        for name, each in _flat(facts.fields):
            default = "" if each.default is None else f"`{each.default}`"
            required, optional = rows.setdefault((name, _values(each), default), ([], []))
            (required if each.required else optional).append(str(task))
    lines += ["", "| field | values | default | required | optional |", "|---|---|---|---|---|"]
    for (name, values, default), tasks in rows.items():
        needed, free = (_tasks(one, model) for one in tasks)
        lines.append(f"| `{name}` | {values} | {default} | {needed} | {free} |")
    return "\n".join([*lines, ""])


def _flat(fields: Mapping[str, Field], prefix: str = "") -> list[tuple[str, Field]]:
    found = []
    for name, each in fields.items():
        found.append((prefix + name, each))
        found += _flat(each.fields, f"{prefix}{name}{'[]' if each.type == 'array' else ''}.")
    return found


def _values(field: Field) -> str:
    """Type, range and what else bounds a value."""
    parts = [", ".join(f"`{value}`" for value in field.enum) or field.type]
    parts += _between(field.min, field.max, "")
    letters = " characters" if field.type == "string" else " entries"
    parts += _between(field.min_length or None, field.max_length, letters)
    if field.multiple_of:
        parts.append(f"in steps of {field.multiple_of}")
    return "; ".join(parts).replace("|", "\\|")


def _between(low: float | None, high: float | None, unit: str) -> list[str]:
    if low is None and high is None:
        return []
    if low is None or high is None:
        return [f"at least {low:,}{unit}" if low is not None else f"at most {high:,}{unit}"]
    return [f"{low:,} to {high:,}{unit}"]


def _tasks(tasks: list[str], model: Model) -> str:
    return "all" if len(tasks) == len(model.tasks) > 1 else ", ".join(tasks)


def sheet() -> Image.Image:
    """The contact sheet: a row for each task, in it a picture by each model that has it."""
    with Emulator() as emulator:
        source, mask, style = _inputs()
        rows: list[Row] = [("what is given", [("image", source), ("mask", mask), ("reference", style)])]
        for task in Task:
            asks = dict(ASKS.get(task, {}))
            asks |= {"mask": mask, "mask_mode": "white"} if "mask" in asks else {}
            asks |= {"references": [style]} if "references" in asks else {}
            able = [model for model in MODELS if task in model.able]
            rows.append((str(task), [(_short(each), _run(each, task, source, asks, emulator)) for each in able]))
    return _laid_out(rows)


def _run(model: Model, task: Task, source: Image.Image, asks: Mapping[str, Any], emulator: Emulator) -> Image.Image:
    provisioned = "on_demand" not in model.invoke and not model.profile_only
    arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefabcdef"
    place = {
        "region": "us-east-1" if provisioned else model.regions[0],
        "credentials": "demo",
        "endpoint_url": emulator.url,
        **({"model": arn, "base_model": model.id} if provisioned else {"model": model.id}),
    }
    keys = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
    with Router({"credentials": {"demo": keys}, "deployments": {"it": place}}) as router:
        if task is Task.TEXT_TO_IMAGE:
            result = router.generate("it", PROMPT, seed=7)
        else:
            result = router.edit("it", PROMPT, image=source, task=task, seed=7, **asks)
    picture = Image.open(io.BytesIO(result.images[0].bytes))
    picture.thumbnail((CELL, CELL))
    return picture.convert("RGBA")


def _inputs() -> tuple[Image.Image, Image.Image, Image.Image]:
    """A drawn picture, a mask over its sun, and stripes for a style."""
    source = Image.new("RGB", (SIDE, SIDE), "#8ecae6")
    pen = ImageDraw.Draw(source)
    pen.rectangle((0, 420, SIDE, SIDE), fill="#e9c46a")
    pen.polygon([(40, 420), (220, 160), (400, 420)], fill="#3d5a6c")
    pen.ellipse((380, 90, 560, 270), fill="#fb8500")
    mask = Image.new("RGB", (SIDE, SIDE), "black")
    ImageDraw.Draw(mask).ellipse((350, 60, 590, 300), fill="white")
    style = Image.new("RGB", (SIDE, SIDE), "#7b2cbf")
    pen = ImageDraw.Draw(style)
    for at in range(0, SIDE, 80):
        pen.rectangle((at, 0, at + 39, SIDE), fill="#ff9e00")
    return source, mask, style


def _laid_out(rows: list[Row]) -> Image.Image:
    """Long rows are broken; short ones stand side by side, as many as fit."""
    font, bold = ImageFont.load_default(10), ImageFont.load_default(14)
    lines = _lines(rows)
    step = TITLE + CELL + CAPTION + GAP
    whole = Image.new("RGB", (GAP + COLUMNS * (CELL + GAP), GAP + len(lines) * step), "white")
    pen = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        top = GAP + number * step
        for column, (title, caption, picture) in enumerate(line):
            left = GAP + column * (CELL + GAP)
            pen.text((left, top), title, "black", font=bold)
            small = picture.convert("RGBA")
            small.thumbnail((CELL, CELL))
            whole.paste(_chequered(small.size), (left, top + TITLE))
            whole.paste(small, (left, top + TITLE), small)
            pen.text((left, top + TITLE + CELL + 2), caption, "#555555", font=font)
    return whole.quantize(256, dither=Image.Dither.NONE)


def _lines(rows: list[Row]) -> list[list[tuple[str, str, Image.Image]]]:
    """(title, caption, picture) of each place of each line; the first place of a task has its name."""
    lines: list[list[tuple[str, str, Image.Image]]] = [[]]
    for name, cells in rows:
        if len(lines[-1]) + len(cells) > COLUMNS and lines[-1]:
            lines.append([])
        for at, (caption, picture) in enumerate(cells):
            if len(lines[-1]) == COLUMNS:
                lines.append([])
            lines[-1].append((name.replace("_", " ") if not at else "", caption, picture))
    return lines


def shown() -> str:
    """Everything that the sheet shows, in words: kept in its file, so that a stale one can be told."""
    able = [f"{task}: {' '.join(model.id for model in MODELS if task in model.able)}" for task in Task]
    return "\n".join(able)


def _chequered(size: tuple[int, int]) -> Image.Image:
    """What shows through where a picture is transparent."""
    ground = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(ground)
    for x in range(0, size[0], 12):
        for y in range(0, size[1], 12):
            if (x + y) // 12 % 2:
                pen.rectangle((x, y, x + 11, y + 11), fill="#d5d5d5")
    return ground


def _short(model: Model) -> str:
    """An id that fits under a small picture."""
    name = model.id.partition(".")[2]
    for long, short in (
        ("stable-image-", ""),
        ("stable-diffusion-", "sd"),
        ("stable-", ""),
        ("titan-image-generator", "titan"),
    ):
        name = name.replace(long, short)
    return name


def main() -> None:
    """Write both files, or only the page."""
    PAGE.write_text(page(), encoding="utf-8")
    if "--page" not in sys.argv:
        facts = PngInfo()
        facts.add_text(SHOWS, shown())
        sheet().save(SHEET, optimize=True, pnginfo=facts)


if __name__ == "__main__":
    main()
