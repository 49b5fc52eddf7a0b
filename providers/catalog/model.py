"""The facts about one model, as plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ..types import Task

__all__ = ["Field", "InputFacts", "Lifecycle", "Model", "Quota", "SeedFacts", "Sizes", "TaskFacts"]

_NONE: Mapping[str, Any] = MappingProxyType({})

_PLAYED_BY = MappingProxyType(
    {
        Task.ERASE: (Task.INPAINT, "image"),
        Task.IMAGE_TO_IMAGE: (Task.VARIATION, "images"),
        Task.CONTROL_STRUCTURE: (Task.TEXT_TO_IMAGE, "conditionImage"),
    }
)
"""Tasks for which Amazon has no ``taskType`` -> the one that does the same, if the model has this field in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """One field of an upstream body.

    ``type`` is ``string``, ``integer``, ``number``, ``boolean``, ``object``, ``array``, ``image`` (base64 text) or
    ``images``. ``min_length`` and ``max_length`` count characters of a string and entries of an array. ``default`` is
    None when the field has none that is known. ``fields`` are the members of an object (or of an array's entries).
    ``confidence`` is ``documented`` (AWS), ``observed`` (third parties) or ``inferred``.
    """

    name: str
    type: str
    required: bool = False
    min: float | None = None
    max: float | None = None
    multiple_of: int | None = None
    enum: tuple[str, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    default: Any = None
    fields: Mapping[str, Field] = field(default_factory=lambda: _NONE)
    confidence: str = "documented"
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Which picture sizes a task can make.

    ``kind`` is ``list`` (``pairs`` of width and height), ``range`` (sides from ``side_min`` to ``side_max`` in steps of
    ``multiple_of``, at most ``max_pixels`` in all and ``ratio_max`` to one), ``aspect_ratio`` (``ratios`` such as
    ``16:9``, about ``pixels`` in all), ``from_input`` (the input picture decides), ``input_plus_sides``, ``upscale``,
    or ``prompt`` (asked for in words). ``default`` is a size or a ratio, whatever the kind speaks of.
    """

    kind: str
    pairs: tuple[tuple[int, int], ...] = ()
    ratios: tuple[str, ...] = ()
    default: str | None = None
    side_min: int | None = None
    side_max: int | None = None
    multiple_of: int | None = None
    max_pixels: int | None = None
    ratio_max: float | None = None
    pixels: int | None = None
    confidence: str = "documented"
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskFacts:
    """One task of one model: its wire name, the fields of its body, and the sizes of its pictures.

    ``wire`` is the value that selects the task (Amazon's ``taskType``, Stability's ``mode``), ``params_key`` the object
    its fields live in, ``config`` the names of those that live in ``imageGenerationConfig`` instead. ``mask`` is the
    colour of the area that is changed: ``white``, ``black`` or ``by_field``.
    """

    fields: Mapping[str, Field]
    sizes: Sizes
    wire: str | None = None
    params_key: str | None = None
    config: tuple[str, ...] = ()
    mask: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedFacts:
    """How a model treats seeds, 0 to ``max``. ``omitted`` is what it uses when none is sent: None means random."""

    max: int
    omitted: int | None = None
    zero_is_random: bool = False
    returned: bool = False
    confidence: str = "documented"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """What pictures a model accepts as input. Pixels; None where nothing is documented."""

    formats: tuple[str, ...]
    side_min: int | None = None
    side_max: int | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    ratio_max: float | None = None
    max_bytes: int | None = None
    confidence: str = "documented"
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """When a model came, and when it goes or went. None means not found or not applicable."""

    launched: date | None = None
    legacy: date | None = None
    extended_access: date | None = None
    eol: date | None = None
    earliest_eol: date | None = None
    """The first day an active model could be retired, deduced from AWS's notice periods."""
    replacement: tuple[str, ...] = ()
    preview: bool = False
    confidence: str = "documented"
    sources: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The default number of requests per minute for one account, region and model."""

    rpm: int
    source: str
    confidence: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """What one model on Bedrock can do.

    ``id`` is the base model id. ``profile`` is the system inference profile that reaches it (``us.`` + id), and with
    ``profile_only`` the one way to reach it. ``family`` is its wire format. ``sources`` say where the facts come from,
    ``doubts`` what they leave open.
    """

    id: str
    name: str
    provider: str
    family: str
    tasks: Mapping[Task, TaskFacts]
    images_per_call: int
    seed: SeedFacts | None
    prompt_max: int | None
    negative_prompt_max: int | None
    output_formats: tuple[str, ...]
    regions: tuple[str, ...]
    regions_confidence: str
    invoke: tuple[str, ...]
    """How it can be called: ``on_demand``, ``provisioned``, ``profile``."""
    lifecycle: Lifecycle
    confidence: str
    sources: tuple[str, ...]
    profile: str | None = None
    profile_only: bool = False
    quota: Quota | None = None
    input: InputFacts | None = None
    read_timeout: int | None = None
    """Seconds that the provider asks clients to wait, where it says so."""
    aliases: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    note: str | None = None

    @property
    def sizes(self) -> Sizes:
        """The sizes of its first task: text-to-image where it has that."""
        return next(iter(self.tasks.values())).sizes

    @property
    def able(self) -> Mapping[Task, TaskFacts]:
        """What can be asked of it: its tasks, and those that one of Amazon's does under another name."""
        return _able(self)

    @property
    def preview(self) -> bool:
        """True while AWS offers it as a preview only."""
        return self.lifecycle.preview

    def retired(self, on: date) -> bool:
        """True from the day of its end of life on. For accounts with a private arrangement it may still answer."""
        return self.lifecycle.eol is not None and on >= self.lifecycle.eol

    def stage(self, on: date) -> str:
        """``preview``, ``active``, ``legacy``, ``extended_access`` or ``eol``, as far as dates are known."""
        life = self.lifecycle
        if self.retired(on):
            return "eol"
        if life.extended_access is not None and on >= life.extended_access:
            return "extended_access"
        if life.legacy is not None and on >= life.legacy:
            return "legacy"
        return "preview" if life.preview else "active"


@lru_cache(maxsize=1024)
def _able(model: Model) -> Mapping[Task, TaskFacts]:
    """Asked of every call, and the same as long as there is the model: it is found by its identity."""
    played = {
        task: model.tasks[other]
        for task, (other, field) in _PLAYED_BY.items()
        if other in model.tasks and model.tasks[other].params_key and field in model.tasks[other].fields
    }
    return MappingProxyType({**model.tasks, **played})
