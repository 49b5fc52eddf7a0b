"""What a form needs to know of an alias: the tasks that somebody behind it can do, and what each may be told.

Derived from the catalogue alone, in the words that requests use. Where the models behind an alias differ, the widest choice
is told: what the one that is asked can not do is adapted with a warning, or goes to one that can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from math import sqrt
from typing import Any

from ..providers.catalog import Catalog, Model, SeedFacts
from ..providers.catalog.model import Field, Sizes, TaskFacts
from ..providers.options import OPTIONS
from ..providers.param_names import EVERY, MAX_IMAGES, NAMES
from ..providers.param_options import OPTION_FIELDS
from ..providers.param_pictures import PICTURE_NAMES
from ..providers.types import Task

__all__ = ["choices_of", "choices_of_ids", "lifecycle_of"]

Plain = dict[str, Any]

_WORDS = frozenset(("prompt", "text", "text_prompts"))
_APART = frozenset(
    ("n", "width", "height", "size", "aspect_ratio", "seed", "negative_prompt", "quality", "style", "task", "mask_mode")
)
"""What a form has a place of its own for, or says in another way."""
_HIDDEN = frozenset(("return_mask",))
"""Answers with more than pictures."""
_MASKED = frozenset((Task.INPAINT, Task.ERASE))
"""Tasks about a part of the picture, which has to be marked."""
_SHAPES = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "21:9", "9:21")
"""Suggested where a model takes any size: what the models that go by ratios know, and a photo's 4:3."""
_FORMATS = ["png", "jpeg", "webp"]
"""Converted here where the model does not make them."""

Parts = list[tuple[TaskFacts, Mapping[str, list[Field]]]]
"""Each model's facts about one task, and its fields by the names that requests use."""


@lru_cache(maxsize=512)
def choices_of_ids(ids: tuple[str, ...], on: date, refused: bool = False) -> Plain:
    """`choices_of` for base model ids of the shipped catalogue; ``refused`` leaves out those that are retired."""
    found = [model for model in map(Catalog.load().find, ids) if model is not None]
    return choices_of([model for model in found if not (refused and model.retired(on))], on)


def choices_of(models: Sequence[Model], on: date) -> Plain:
    """Tasks with their parameters, and the state of each model on a day, as plain data for JSON.

    A task has ``prompt``, ``image``, ``mask`` and ``references``: ``required`` (by all), ``optional`` or ``no``; ``sizes``
    and ``aspect_ratios`` to choose from, ``size_range`` where any size goes, ``default_size``; ``max_n``; ``seed`` with the
    range that all repeat, or None; ``negative_prompt``; ``quality``, ``style``, and ``options`` with the others.
    """
    tasks = [task for task in Task if any(task in model.able for model in models)]
    return {
        "tasks": {str(task): _task(task, [model for model in models if task in model.able]) for task in tasks},
        "lifecycle": [lifecycle_of(model, on) for model in models],
    }


def lifecycle_of(model: Model, on: date) -> Plain:
    """Where a model stands in its life on a day, after which source. Days as ISO text, None where none is known."""
    life = model.lifecycle
    return {
        "model": model.id,
        "name": model.name,
        "stage": model.stage(on),
        "legacy": life.legacy.isoformat() if life.legacy else None,
        "eol": life.eol.isoformat() if life.eol else None,
        "earliest_eol": life.earliest_eol.isoformat() if life.earliest_eol else None,
        "replacement": list(life.replacement),
        "sources": list(life.sources),
    }


def _task(task: Task, models: Sequence[Model]) -> Plain:
    parts: Parts = [(facts := model.able[task], _by_name(facts.fields)) for model in models]
    seeds = [model.seed for model, (_, fields) in zip(models, parts, strict=True) if model.seed and "seed" in fields]
    words = _need(parts, "prompt") if task is not Task.TEXT_TO_IMAGE else "required"
    masked = _need(parts, "mask")
    return {
        "models": [model.id for model in models],
        "prompt": words,
        "prompt_max": max((model.prompt_max for model in models if model.prompt_max), default=None),
        "image": _need(parts, "image"),
        "mask": "required" if masked != "no" and task in _MASKED and _need(parts, "mask_prompt") == "no" else masked,
        "references": _need(parts, "references"),
        **_sizes([facts.sizes for facts, _ in parts]),
        "max_n": MAX_IMAGES if seeds or words != "no" else 1,
        "seed": _seeds(seeds),
        "negative_prompt": _need(parts, "negative_prompt") != "no",
        "quality": _values(parts, "quality"),
        "style": _values(parts, "style"),
        "options": list(_options(parts)),
    }


def _seeds(all_seeds: Sequence[SeedFacts]) -> Plain | None:
    """The seeds that bring the same picture again at every model: 0 is none of them where it means any."""
    if not all_seeds:
        return None
    least = 1 if any(seed.zero_is_random for seed in all_seeds) else 0
    return {"min": least, "max": min(seed.max for seed in all_seeds)}


def _by_name(fields: Mapping[str, Field], *, inside: bool = False) -> dict[str, list[Field]]:
    """Fields by the request's own names, those within objects included; what has no such name is left out."""
    found: dict[str, list[Field]] = {}
    for field in fields.values():
        name = "prompt" if field.name in _WORDS else NAMES.get(field.name) or PICTURE_NAMES.get(field.name)
        if name is not None:
            found.setdefault(name, []).append(field)
        elif field.fields:
            for inner, ones in _by_name(field.fields, inside=True).items():
                found.setdefault(inner, []).extend(ones)
    return found


def _need(parts: Parts, name: str) -> str:
    given = [fields.get(name, []) for _, fields in parts]
    if not any(given):
        return "no"
    return "required" if all(any(one.required for one in ones) for ones in given) else "optional"


def _values(parts: Parts, name: str) -> list[str]:
    """Every word that a field may have, in the catalogue's order."""
    words = (word for _, fields in parts for field in fields.get(name, []) for word in field.enum)
    return list(dict.fromkeys(words))


def _options(parts: Parts) -> Iterator[Plain]:
    names = dict.fromkeys(name for _, fields in parts for name in fields if name not in _APART | _HIDDEN)
    for name in names:
        if name == "prompt" or name in PICTURE_NAMES.values():
            continue
        fields = [field for _, found in parts for field in found.get(name, [])]
        words = _FORMATS if name == "output_format" else _values(parts, name)
        if name in OPTION_FIELDS:
            words = list(dict.fromkeys(word.lower() for word in words))
        lows, highs = _range(name, fields)
        yield {
            "name": name,
            "type": "choice" if words else "colors" if name == "colors" else fields[0].type,
            "choices": words,
            "min": lows,
            "max": highs,
            "required": _need(parts, name) == "required",
            "hint": OPTIONS.get(name),
        }


def _range(name: str, fields: Iterable[Field]) -> tuple[float | None, float | None]:
    """What at least one model takes, or for those that every model has, what all take."""
    if name in EVERY:
        return EVERY[name]
    numbers = [field for field in fields if field.type in ("integer", "number")]
    lows = [field.min for field in numbers if field.min is not None]
    highs = [field.max for field in numbers if field.max is not None]
    return min(lows, default=None), max(highs, default=None)


def _sizes(all_sizes: Sequence[Sizes]) -> Plain:
    pairs = dict.fromkeys(pair for sizes in all_sizes for pair in _pairs(sizes))
    ratios = dict.fromkeys(ratio for sizes in all_sizes for ratio in sizes.ratios)
    free = next((sizes for sizes in all_sizes if sizes.kind == "range"), None)
    names = ("side_min", "side_max", "multiple_of", "max_pixels", "ratio_max")
    return {
        "sizes": [f"{width}x{height}" for width, height in pairs],
        "aspect_ratios": sorted(ratios, key=_shape_order),
        "size_range": {name: getattr(free, name) for name in names} if free else None,
        "default_size": all_sizes[0].default,
    }


def _pairs(sizes: Sizes) -> Iterable[tuple[int, int]]:
    """The sizes of a list; of a range, those of the usual shapes with as many pixels as its default has."""
    if sizes.kind != "range" or not sizes.default:
        return sizes.pairs
    width, height = map(int, sizes.default.split("x"))
    step = sizes.multiple_of or 1
    most = sizes.ratio_max or float("inf")
    found = []
    for shape in _SHAPES:
        wide, high = map(int, shape.split(":"))
        if max(wide, high) / min(wide, high) <= most:
            side = sqrt(width * height * wide / high)
            found.append((round(side / step) * step, round(side * high / wide / step) * step))
    return found


def _shape_order(ratio: str) -> tuple[bool, float]:
    """Square first, then from wide to high."""
    wide, high = map(int, ratio.split(":"))
    return wide != high, -wide / high
