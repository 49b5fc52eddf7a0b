"""Settings from the environment, laid over the file: ``LASCAUX_CACHE__TTL=5m`` is ``cache: {ttl: 5m}``."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, get_origin

from .document import NOTHING, outwards, value_at
from .problems import Path, Problem, hint
from .schema import ConfigFile
from .variables import Variables

__all__ = ["PREFIX", "RESERVED", "Overlay", "merge", "read_overlay"]

PREFIX = "LASCAUX_"
RESERVED = ("LASCAUX_CONFIG", "LASCAUX_EMULATOR_URL", "LASCAUX_SECRETS_DIR")
"""Names with the prefix that are no settings of the file."""

_NAMED = ("credentials", "deployments", "aliases")
_MOST_PARTS = 20
_DEEPEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What the environment says. ``labels`` tells by variable name where a value came from."""

    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def holds(self, path: Path) -> bool:
        """True if the environment says something at ``path``."""
        return bool(path) and value_at(self.values, path) is not NOTHING

    def label(self, path: Path) -> str | None:
        """The variable that holds the value at ``path``, or None if the environment says nothing there."""
        if not self.holds(path):
            return None
        spelt = "__".join(_variable(step) for step in path)
        around = ("__".join(_variable(step) for step in here) for here in outwards(path))
        inside = (name for name in self.labels if name.startswith(f"{spelt}__"))
        return next((self.labels[name] for name in (*around, *inside) if name in self.labels), None)


def read_overlay(variables: Variables, data: Any, *, referred: Collection[str] = ()) -> Overlay:
    """Read the variables that begin with ``LASCAUX_``, with pydantic-settings' rules for nesting and JSON values.

    Names of entries are found in ``data`` whatever their case, with ``_`` for what a variable name can not hold
    (``LASCAUX_ALIASES__TOUCH_UP__STRICT``). ``referred`` are names that the file uses as ``${NAME}``: no settings.
    """
    ours = {
        name: value
        for name, value in variables.values.items()
        if name.upper().startswith(PREFIX) and name.upper() not in RESERVED and name not in referred
    }
    if not ours:
        return Overlay()
    labels: dict[str, str] = {}
    problems: list[Problem] = []
    for name in tuple(ours):
        origin = f"{variables.origins[name]} {name if len(name) <= 200 else name[:197] + '...'}"
        if trouble := _too_deep(name, variables.values[name]):
            problems.append(Problem(message=trouble, source=origin))
            del ours[name]
            continue
        section = name[len(PREFIX) :].lower().split("__")[0]
        if section in ConfigFile.model_fields:
            labels["__".join(_variable(step) for step in name[len(PREFIX) :].split("__"))] = origin
        else:
            problems.append(Problem(message=f"is no setting{hint(name.upper(), _settings())}", source=origin))
    values = _explode({name.lower(): value for name, value in ours.items()})
    for section in _NAMED:
        if isinstance(values.get(section), dict):
            written = data.get(section) if isinstance(data, Mapping) else None
            values[section] = _renamed(values[section], written if isinstance(written, Mapping) else {})
    return Overlay(values=values, labels=labels, problems=tuple(problems))


def merge(base: Any, over: Mapping[str, Any], path: Path = ()) -> Any:
    """``over`` laid over ``base``, mapping by mapping; other values are replaced."""
    if len(path) == 2 and path[0] == "aliases" and isinstance(base, str):
        base = {"deployments": [base]}
    if not isinstance(base, Mapping):
        base = {}
    merged = dict(base)
    for key, value in over.items():
        merged[key] = merge(merged.get(key), value, (*path, key)) if isinstance(value, Mapping) else value
    return merged


def _explode(variables: dict[str, str]) -> dict[str, Any]:
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict  # 150 ms, and seldom needed

    class Settings(ConfigFile, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")

    class Source(EnvSettingsSource):
        def _load_env_vars(self) -> Mapping[str, str | None]:
            return dict(variables)

        def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
            return _decoded(value)

    return Source(Settings)()


def _decoded(value: Any) -> Any:
    """What a variable holds. Only containers are JSON: a secret that looks like a number stays what it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _too_deep(name: str, value: str) -> str | None:
    """What to say about a variable that nests deeper than any setting, and than what walks through settings can go."""
    if name.count("__") >= _MOST_PARTS:
        return f"has more than {_MOST_PARTS} parts between its '__'; no setting is so deep"
    try:
        inside = [_decoded(value)]
    except RecursionError:
        return f"is nested deeper than {_DEEPEST} levels"
    for _ in range(_DEEPEST):
        inside = [inner for one in inside if isinstance(one, (dict, list)) for inner in _parts(one)]
    return f"is nested deeper than {_DEEPEST} levels" if inside else None


def _parts(container: dict[str, Any] | list[Any]) -> Collection[Any]:
    return container.values() if isinstance(container, dict) else container


def _renamed(entries: dict[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Entries under the names that the file gives them."""
    spelt: dict[str, list[str]] = {}
    for name in written:
        spelt.setdefault(_variable(name), []).append(name)
    renamed = {}
    for name, value in entries.items():
        known = spelt.get(_variable(name), [])
        renamed[known[0] if len(known) == 1 else name] = value
    return renamed


def _variable(step: str | int) -> str:
    return re.sub(r"[^a-z0-9]", "_", str(step).lower())


def _settings() -> list[str]:
    """Names of variables to suggest: sections, and the settings in sections that have a fixed set of them."""
    names = [*RESERVED]
    for section, info in ConfigFile.model_fields.items():
        names.append(f"{PREFIX}{section.upper()}")
        fields = getattr(info.annotation, "model_fields", {}) if get_origin(info.annotation) is not dict else {}
        names += [f"{PREFIX}{section.upper()}__{field.upper()}" for field in fields]
    return names
