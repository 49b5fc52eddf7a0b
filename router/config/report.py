"""Collects everything that is wrong with a configuration, so that all of it can be mended at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from .document import NOTHING, Document, outwards, value_at
from .overlay import Overlay
from .problems import Path, Problem, config_error, hint, kind_of, shown
from .schema import ConfigFile

__all__ = ["Report", "validate"]

_NAMED = ("credentials", "deployments", "aliases")
_SHOWN_CREDENTIALS = ("role_arn", "session_name", "duration")
_HIDDEN_FIELDS = ("credentials", "source", "keys", "endpoint_url", "sts_endpoint", "endpoint", "overrides")
_KINDS = {
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
}
_WORD = re.compile(r"[A-Za-z_-]{1,32}")
_LENGTHS = {"too_short": "must not be empty", "too_long": "must have at most 50 entries"}


class Report:
    """Findings about one configuration. ``data`` is what is judged: the file with the environment laid over it."""

    def __init__(
        self,
        document: Document,
        data: Any,
        overlay: Overlay,
        references: Mapping[Path, tuple[str, ...]],
    ) -> None:
        self.document = document
        self.data = data
        self.overlay = overlay
        self.references = references
        self.problems = [*document.problems, *overlay.problems]
        self._settled = {problem.path for problem in document.problems if self.value(problem.path) is None}

    def add(
        self,
        path: Path,
        message: str,
        *,
        key: bool = False,
        show: bool = False,
        near: Collection[str] = (),
        detail: str | None = None,
    ) -> None:
        """Note a finding.

        ``show`` repeats the value if that is safe; ``near`` are spellings that it may have meant. ``detail`` is a better
        message that repeats the value itself.
        """
        if any(here in self._settled for here in outwards(path)):
            return
        path = self._existing(path)
        value = self.value(path)
        if show and detail and self._showable(path):
            message = detail
        elif show and self._showable(path):
            message += f" (got {shown(value)})"
        elif show and path in self.references:
            message += f" (got the value of {', '.join(self.references[path])})"
        message += hint(value, near)
        label = self._label(path)
        place = None if label else self.document.locate(path, key=key)
        written = path if label else self.document.written(path)
        source = label or self.document.filename
        self.problems.append(Problem(message=message, path=_masked(written), place=place, source=source))

    def settle(self, path: Path, message: str, **options: Any) -> None:
        """Note a finding after which nothing else about this value is worth saying. Options as for `add`."""
        self.add(path, message, **options)
        self._settled.add(path)

    def broken(self, path: Path) -> bool:
        """True if something at or below ``path`` was found to be unreadable."""
        return any(settled[: len(path)] == path for settled in self._settled)

    def check(self) -> None:
        """Raise one ConfigError for all findings, if there are any."""
        if self.problems:
            raise config_error(self.problems) from None

    def value(self, path: Path) -> Any:
        """What the data holds at ``path``; None where it holds nothing."""
        found = value_at(self.data, path)
        return None if found is NOTHING else found

    def names(self, section: str) -> tuple[str, ...]:
        """The names of a section's entries, broken ones included."""
        entries = self.data.get(section)
        return tuple(entries) if isinstance(entries, Mapping) else ()

    def confidential(self, path: Path) -> bool:
        """True if a variable holds the value or a part of it, other than one of our own settings in the environment."""
        label = self._label(path)
        return any(reference[: len(path)] == path for reference in self.references) or not _quotable(label)

    def where(self, path: Path) -> str | None:
        """``file:line:column`` of a key, or the variable that says so; None for data without either."""
        if label := self._label(path):
            return label
        source, place = self.document.filename, self.document.locate(path, key=True)
        return f"{source}:{place[0]}:{place[1]}" if source and place else source or None

    def _existing(self, path: Path) -> Path:
        """Cuts off steps into a shorthand: the only deployment of ``draft: core`` is written at ``aliases.draft``."""
        for length in range(len(path)):
            around = value_at(self.data, path[:length])
            if around is not NOTHING and not isinstance(around, (Mapping, list)):
                return path[:length]
        return path

    def _label(self, path: Path) -> str | None:
        if not self.overlay.values:
            return None
        for here in outwards(path):
            held = self.overlay.label(here)
            if held and (here == path or not self._in_file(here)):
                return held
            if self._in_file(here):
                return None
        return None

    def _in_file(self, path: Path) -> bool:
        return bool(path) and value_at(self.document.data, path) is not NOTHING

    def _showable(self, path: Path) -> bool:
        steps = path[2:] if path[0] in _NAMED else path[1:]
        if path in self.references or any(step in _HIDDEN_FIELDS for step in steps):
            return False
        if path[0] == "credentials":
            return len(path) == 3 and path[2] in _SHOWN_CREDENTIALS
        return _quotable(self._label(path))


def validate(report: Report) -> ConfigFile:
    """The data as a `ConfigFile`, without what is unreadable: that is noted in the report, the rest can be judged on."""
    data = report.data
    for attempt in range(4):
        try:
            return ConfigFile.model_validate(data)
        except ValidationError as error:
            if not attempt:
                _note(error, report)
            for path in _findings(error, report):
                data = _without(data, path, whole=attempt)
    return ConfigFile()


def _quotable(label: str | None) -> bool:
    """Files of variables hold secrets more often than not."""
    return label is None or label.startswith("environment variable")


def _findings(error: ValidationError, report: Report) -> dict[Path, Any]:
    """What pydantic found, by path. It counts only the right entries of a list; that it finds it empty then says nothing."""
    found: dict[Path, Any] = {}
    for finding in error.errors(include_url=False, include_input=False):
        if finding["type"] != "too_short" or not report.value(finding["loc"]):
            found.setdefault(finding["loc"], finding)
    return found


def _note(error: ValidationError, report: Report) -> None:
    for path, finding in _findings(error, report).items():
        kind = finding["type"]
        if kind == "extra_forbidden":
            report.settle(path, _unknown(path[-1], _fields(path[:-1])), key=True)
        elif kind == "missing":
            report.settle(path, "is missing", key=True)
        elif path[-1:] == ("[key]",):
            rule = "must have a name of printable text"
            report.settle(path[:-1], finding["ctx"]["message"] if path[-3:-2] == ("on",) else rule, key=True)
        elif kind in _KINDS:
            shorthand = path[:1] == ("aliases",) and kind != "tuple_type" and path[2:3] in ((), ("deployments",))
            rule = "must be a mapping, or just the name of a deployment" if shorthand and path[1:] else _KINDS[kind]
            report.settle(path, f"{rule} (got {kind_of(report.value(path))})")
        else:
            about: dict[str, Any] = finding.get("ctx", {})
            message = about.get("message") or _LENGTHS.get(kind, "can not be read")
            report.settle(
                path, message, show=about.get("show", False), near=about.get("allowed", ()), detail=about.get("detail")
            )


def _unknown(key: object, allowed: Collection[str]) -> str:
    return f"unknown key{hint(key, allowed)} (allowed: {', '.join(sorted(allowed))})"


def _fields(path: Path) -> tuple[str, ...]:
    """The keys that are allowed in the mapping at ``path``."""
    model: type[BaseModel] = ConfigFile
    for depth, step in enumerate(path):
        if depth == 1 and path[0] in _NAMED:
            continue  # the name of an entry
        field = model.model_fields.get(str(step))
        model = next(iter(_models(field.annotation)), model) if field else model
    return tuple(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation such as ``tuple[UseEntry, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models(inner)]


def _without(data: Any, path: Path, *, whole: int) -> Any:
    """The data without the value at ``path``; at the second attempt without its entry, at the third without its section."""
    entry = 2 if path and path[0] in _NAMED else 1
    reach = (len(path), entry, 1, 1)[whole]
    return _cut(data, path[:reach])


def _cut(data: Any, path: Path) -> Any:
    if not path or not isinstance(data, (dict, list)) or value_at(data, path[:1]) is NOTHING:
        return data
    step, rest = path[0], path[1:]
    inner = _cut(value_at(data, (step,)), rest)
    if isinstance(data, list):
        # A place in a list stays, so that the paths of its neighbours hold.
        return [inner if index == step else value for index, value in enumerate(data)]
    kept = {key: value for key, value in data.items() if key != step}
    return {**kept, step: inner} if rest and isinstance(inner, (dict, list)) else kept


def _masked(path: Path) -> Path:
    """A path whose steps are names. Where secrets belong, a key that is no plausible name may be one in a wrong place."""
    if path[:1] != ("credentials",) and path[:2] != ("server", "keys"):
        return path
    return (*path[:2], *(step if isinstance(step, int) or _WORD.fullmatch(step) else "***" for step in path[2:]))
