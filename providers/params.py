"""From the parameter names that clients know to one `ImageRequest`.

OpenAI's, LiteLLM's and the providers' own names are taken as they are. What had to be adapted or has no effect becomes
a warning of the request; what is wrong is refused. Nothing is dropped silently. Limits here are the widest of any
model: whether one model can do it is its family's decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import log
from typing import Any

from .errors import InvalidRequest
from .options import OPTIONS
from .param_names import IGNORED, MAX_IMAGES, MAX_PROMPT, MAX_SEED, NAMES, SPECIAL, reader, unknown
from .param_native import CONTAINERS, MISSPELT, NATIVE_NAMES, copy_json, leaves, lift, merge, said_twice
from .param_pictures import PICTURE_NAMES, Gathered
from .param_tasks import infer_task
from .param_values import choice, flag, refuse, task, text
from .pictures import Sources
from .types import ImageRequest, Task, Warning

__all__ = ["MAX_IMAGES", "MAX_PROMPT", "MAX_SEED", "build_request"]

_PROMPT = text(MAX_PROMPT)
_KNOWN = frozenset((*NAMES, *PICTURE_NAMES, *NATIVE_NAMES, *IGNORED, *SPECIAL, "prompt"))
_FIDELITY = choice({"high": "high", "low": "low"})
_FIDELITIES = {
    (Task.IMAGE_TO_IMAGE, "high"): ("strength", 0.35),
    (Task.IMAGE_TO_IMAGE, "low"): ("strength", 0.75),
    (Task.VARIATION, "high"): ("similarity", 0.9),
    (Task.VARIATION, "low"): ("similarity", 0.5),
}
"""What OpenAI's ``input_fidelity`` comes to: figures on either side of the models' defaults (models.yaml)."""
_SHAPE_TOLERANCE = 0.1
"""Of the logarithm of width/height: neighbouring ratios that models know differ by 0.16 and more."""


def build_request(
    prompt: str,
    sources: Sources | None = None,
    offered: Collection[Task] = (),
    /,
    *,
    strict: bool = False,
    **params: Any,
) -> ImageRequest:
    """Turn a prompt and any known parameter names into one request for any model.

    None always means "not given". With ``strict`` nothing is adapted or ignored: what would be a warning is refused.
    ``sources`` says where pictures may be read from: files, but not URLs, unless told otherwise. An empty prompt is left
    to the models, except for text_to_image. Without ``task`` it follows from what is given and from the tasks that are
    ``offered``: see `infer_task`.

    Raises InvalidRequest for unknown names, bad values, and one thing given twice with different values.
    """
    reading = _Reading(prompt, flag("strict", strict), sources or Sources(), offered)
    for written, name, value in _pairs(params):
        reading.take(written, name, value)
    return reading.request()


def _pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(name for messages, name, value) of everything that was given, ``extra_body`` unpacked."""
    for name, value in params.items():
        if name != "extra_body":
            yield name, name, value
        elif value is not None:
            if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
                raise refuse(name, value, "an object whose keys are parameter names")
            yield from ((f"extra_body.{key}", key, item) for key, item in value.items())


def _must_agree(field: str, first: tuple[str, Any], second: tuple[str, Any]) -> None:
    """The pairs are (name as given, value as read). Raises InvalidRequest if the values differ."""
    if first[1] != second[1] or type(first[1]) is not type(second[1]):
        raise said_twice(field, first, second)


class _Reading:
    """What has been read so far of one request."""

    def __init__(self, prompt: Any, strict: bool, sources: Sources, offered: Collection[Task] = ()) -> None:
        self.offered = offered
        empty = prompt is None or (isinstance(prompt, str) and not prompt.strip())
        self.given_prompt = prompt
        self.prompt: str = "" if empty else _PROMPT("prompt", prompt)
        self.strict = strict
        self.pictures = Gathered(sources)
        self.fidelity: str | None = None
        self.fields: dict[str, tuple[str, Any]] = {}
        self.native: dict[str, Any] = {}
        self.warnings: dict[str, Warning] = {}

    def take(self, written: str, name: str, value: Any) -> None:
        """Read one parameter into where it belongs."""
        if name not in _KNOWN:
            raise unknown(name)
        if value is None:
            return
        if name in NAMES:
            self._field(written, name, value)
        elif name in PICTURE_NAMES:
            self.pictures.take(written, name, value)
        elif name in NATIVE_NAMES or name == "native":
            self._native(name, value)
        elif name in IGNORED:
            ignored = IGNORED[name]
            if ignored.read(name, value) != ignored.silent:
                self._warn("ignored", name, f"ignored: {ignored.reason}")
        elif name == "prompt":
            self._prompt(written, _PROMPT("prompt", value))
        else:
            self._special(name, value)

    def _prompt(self, written: str, value: Any) -> None:
        """The prompt in another place: the same, or the only one."""
        if self.prompt or value == "":
            _must_agree("prompt", ("the prompt", self.prompt), (written, value))
        else:
            self.prompt = _PROMPT(written, value)

    def _field(self, written: str, name: str, value: Any, shown_as: str | None = None) -> None:
        """Read one value; ``shown_as`` is what messages call it."""
        field, read, name = NAMES[name], reader(name), shown_as or name
        if field == "negative_prompt" and isinstance(value, str) and not value.strip():
            self._warn("ignored", name, "ignored: it is empty")
            return
        found = read(name, value)
        if found is None:
            return
        if field == "quality" and value.lower() in ("low", "xhigh", "max"):
            self._warn("adapted", name, f"{value.lower()} became {found}, the nearest of the two levels there are")
        _must_agree(field, self.fields.setdefault(field, (written, found)), (written, found))

    def _native(self, name: str, value: Any) -> None:
        if name == "text_prompts":
            if not isinstance(value, (list, tuple)):
                raise refuse(name, value, "a list of {text, weight}")
        elif name == "init_image_mode":
            if not isinstance(value, str):
                raise refuse(name, value, "IMAGE_STRENGTH or STEP_SCHEDULE")
        elif not isinstance(value, Mapping):
            raise refuse(name, value, "an object of provider fields")
        copied = copy_json(name, value)
        for key, item in copied.items() if name == "native" else [(name, copied)]:
            merge(self.native, {MISSPELT.get(key, key): item})

    def _special(self, name: str, value: Any) -> None:
        if name == "strict":
            self.strict = flag(name, value) or self.strict
        elif name == "stream":
            if flag(name, value):
                message = "stream must be false: pictures arrive whole, not in parts"
                raise InvalidRequest(message, parameter=name, allowed="false", nearest="false")
        elif name == "input_fidelity":
            self.fidelity = _FIDELITY(name, value)
        elif name == "extra_body":
            raise InvalidRequest("extra_body can not hold another extra_body", parameter=name, allowed="parameters")
        elif not isinstance(value, Mapping) or value:
            # The headers are not shown: they carry secrets.
            message = "extra_headers are not sent; for a guardrail give guardrail_id and guardrail_version"
            raise InvalidRequest(message, parameter=name, allowed="no headers")

    def _warn(self, code: str, name: str, message: str) -> None:
        self.warnings.setdefault(name, Warning(code=code, parameter=name, message=message))

    def request(self) -> ImageRequest:
        """The request, once everything has been read. Raises InvalidRequest if parts of it do not fit together."""
        if self.native:
            self._implied_task()
            self._lift()
        self._told_of_pictures()
        task = self._task()
        self._needs_prompt(task)
        self._mask_mode(task)
        self._fidelity(task)
        self._pair_sides()
        self._pair_guardrail()
        self._agree_on_shape()
        if self.native:
            self._agree_with_native()
            self._agree_with_text_prompts()
        if self.strict and self.warnings:
            first = next(iter(self.warnings.values()))
            allowed = "standard or premium" if first.parameter == "quality" else f"no {first.parameter}"
            message = f"{first}; strict allows no such change"
            raise InvalidRequest(message, parameter=first.parameter, allowed=allowed)
        values = {field: value for field, (_, value) in self.fields.items() if field not in OPTIONS}
        options = {field: value for field, (_, value) in self.fields.items() if field in OPTIONS}
        warnings = tuple(self.warnings.values())
        return ImageRequest(
            prompt=self.prompt,
            native=self.native,
            options=options,
            strict=self.strict,
            warnings=warnings,
            **self.pictures.fields(),
            **values,
        )

    def _lift(self) -> None:
        """Read as parameters what stands in ``native`` in a provider's words."""
        sized = any(name in self.fields for name in ("size", "width", "height"))
        said, self.native = lift(self.native, self.prompt, sized=sized)
        for written, name, value in said:
            if value is None:
                continue
            if name == "text":
                self._prompt(written, value)
            elif name in PICTURE_NAMES:
                self.pictures.take(written, name, value, native=True)
            else:
                self._field(written, name, value, written)

    def _told_of_pictures(self) -> None:
        for warning in self.pictures.warnings:
            self.warnings.setdefault(str(warning.parameter), warning)

    def _task(self) -> Task:
        """The task that was named, or that what is given speaks of."""
        given = {*self.fields, *self.pictures.names, *self.pictures.slots()}
        named = self.fields.get("task")
        found: Task = named[1] if named else infer_task(given, self.offered)
        if found is Task.TEXT_TO_IMAGE and given & {"condition_image", "conditionImage"}:
            found = Task.CONTROL_STRUCTURE  # Amazon calls both TEXT_IMAGE
        if named or found is not Task.TEXT_TO_IMAGE:
            self.fields["task"] = (named[0] if named else "task", found)
        return found

    def _needs_prompt(self, task: Task) -> None:
        """Every model needs words to make a picture from words; of other tasks the models say what they need."""
        if task is Task.TEXT_TO_IMAGE and not self.prompt:
            _PROMPT("prompt", self.given_prompt)

    def _mask_mode(self, task: Task) -> None:
        """A mask under Amazon's name has Amazon's colours: white for what is outpainted, else black (WIRE.md, section 3)."""
        if self.pictures.amazon_mask() and "mask_mode" not in self.fields:
            self.fields["mask_mode"] = ("maskImage", "white" if task is Task.OUTPAINT else "black")

    def _fidelity(self, task: Task) -> None:
        if self.fidelity is None:
            return
        option, value = _FIDELITIES.get((task, self.fidelity), ("", 0.0))
        if "image" not in self.pictures.slots():
            self._warn("ignored", "input_fidelity", "ignored: there is no input picture")
        elif not option:
            self._warn("ignored", "input_fidelity", f"ignored: {task} keeps what it keeps of the picture")
        elif given := [name for name in ("strength", "similarity") if name in self.fields]:
            self._warn("ignored", "input_fidelity", f"ignored: {given[0]} is given, which says the same more exactly")
        else:
            self.fields[option] = ("input_fidelity", value)
            self._warn("adapted", "input_fidelity", f"{self.fidelity} became {option} {value:g}")

    def _pair_sides(self) -> None:
        sides = {name: self.fields.pop(name) for name in ("width", "height") if name in self.fields}
        size = self.fields.get("size")
        if len(sides) == 2:
            width, height = sides.values()
            both = (_both(width[0], height[0]), (width[1], height[1]))
            _must_agree("size", self.fields.setdefault("size", both), both)
        elif sides and size:
            ((name, side),) = sides.items()
            _must_agree("size", (size[0], size[1][name == "height"]), side)
        elif sides:
            given, absent = ("width", "height") if "width" in sides else ("height", "width")
            message = f"{given} is given without {absent}; give both, or size"
            raise InvalidRequest(message, parameter=absent, allowed="width and height together")

    def _pair_guardrail(self) -> None:
        names = ("guardrail_id", "guardrail_version")
        given = [name for name in names if name in self.fields]
        if len(given) == 1:
            absent = names[1] if given == [names[0]] else names[0]
            message = f"{given[0]} is given without {absent}; a guardrail needs both"
            raise InvalidRequest(message, parameter=absent, allowed="guardrail_id and guardrail_version together")

    def _agree_on_shape(self) -> None:
        """Size and ratio may both be given, for models that know only one of them, if they mean the same shape."""
        if "size" in self.fields and "aspect_ratio" in self.fields:
            pixels, ratio = self.fields["size"], self.fields["aspect_ratio"]
            (width, height), (wide, high) = pixels[1], map(int, ratio[1].split(":"))
            if abs(log(width / height) - log(wide / high)) > _SHAPE_TOLERANCE:
                raise said_twice("aspect_ratio", (pixels[0], f"{width}x{height}"), ratio)

    def _agree_with_native(self) -> None:
        known = {**self.fields, "prompt": ("the prompt", self.prompt)}
        if "size" in known:
            written, (width, height) = known["size"]
            known |= {"width": (written, width), "height": (written, height)}
        for written, key, value in leaves(self.native):
            field = "prompt" if key in ("prompt", "text") else NAMES.get(key, key)
            if value is not None and field in known:
                _must_agree(field, known[field], (written, _read_or_raw(key, value)))

    def _agree_with_text_prompts(self) -> None:
        entries = self.native.get("text_prompts")
        if entries is None:
            return
        texts = [entry.get("text") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        if self.prompt not in texts:
            message = "text_prompts does not contain the prompt; add it as one of the texts"
            raise InvalidRequest(message, parameter="text_prompts", allowed="a list with {text: the prompt}")

    def _implied_task(self) -> None:
        """The task that native fields belong to is the task, unless another one was named."""
        implied = [(key, found) for key, found in CONTAINERS.items() if found and key in self.native]
        for key in ("taskType", "mode"):
            if self.native.get(key) is not None:
                implied.append((f"native.{key}", task(f"native.{key}", self.native[key])))
        for written, found in implied:
            named, wanted = self.fields.setdefault("task", (written, found))
            if wanted != found:
                message = f"{written} belongs to the task {found}, but {named} says {wanted}"
                raise InvalidRequest(message, parameter=written, allowed=f"task {found}", nearest=str(found))


def _both(width: str, height: str) -> str:
    """Two names as one, what they begin with said once."""
    start, _, end = height.rpartition(".")
    return f"{width}/{end}" if width.rpartition(".")[0] == start else f"{width}/{height}"


def _read_or_raw(name: str, value: Any) -> Any:
    """A native value in our terms, to compare it; as it is where it is not in our terms."""
    try:
        return reader(name)(name, value) if name in NAMES else value
    except InvalidRequest:
        return value
