"""LiteLLM's ``config.yaml`` in our words: a pure translation, which knows for every value where it was written.

Values in environment variables (``os.environ/NAME``) stay references; the loader resolves them as in our own files. The
defaults are ours where the file is silent. Nothing is dropped without a word: what has no effect becomes a warning, what
would change who pays or what is shown is refused. Entries of other providers, and of models that make no pictures, are left
out beside entries that we serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .credentials import Identities
from .entries import Entry, read_entries, write_deployment
from .fallbacks import write_fallbacks
from .groups import is_pattern, write_alias, write_pattern
from .names import OWN_SECTIONS, SECTIONS
from .notes import Draft, Note, Path, near
from .prices import Prices
from .recognition import SETTINGS
from .settings import Settings

__all__ = ["Note", "Translation", "translate"]

_SECTIONS = ("model_list", *SETTINGS, "credential_list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A configuration in our shape. ``origins`` tells for paths of ``data`` which path of the file they came from.

    Paths of ``problems`` and ``warnings`` are paths of the file.
    """

    data: dict[str, Any]
    origins: Mapping[Path, Path]
    problems: tuple[Note, ...] = ()
    warnings: tuple[Note, ...] = ()


def translate(data: Mapping[str, Any], *, needed: str | None = None) -> Translation:
    """Say a LiteLLM configuration in our words.

    ``model_name`` becomes an alias, each entry of it a deployment; ``order`` its priority, ``weight`` (or ``rpm``) its
    weight; retries count the first call; ``router_settings`` win over ``litellm_settings``. What leads only to entries that
    are not for us is left out with a warning; it is a problem if nothing else is there, or if it is the alias ``needed``.
    """
    draft = Draft()
    _check_sections(data, draft)
    settings, identities, prices = Settings(data, draft), Identities(draft), Prices(draft)
    entries, left = read_entries(data, draft, needed)
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.alias, []).append(entry)
    patterns = {alias: group for alias, group in groups.items() if any(is_pattern(entry) for entry in group)}
    for alias, group in groups.items():
        if alias in patterns:
            write_pattern(group, identities, draft)
            continue
        for entry in group:
            write_deployment(entry, identities, prices, settings.concurrency, draft)
        write_alias(alias, group, settings.strategy, draft)
    prices.write()
    settings.write()
    seconds, left = settings.second_names(tuple(groups), left)
    ways = settings.fallbacks(tuple(groups), seconds, left)
    members = {
        alias: [use["use"] for use in draft.data["aliases"][alias]["deployments"]]
        for alias in groups
        if alias not in patterns
    }
    write_fallbacks(ways, members, draft)
    settings.master_key()
    settings.leftovers()
    return Translation(
        data=draft.data,
        origins={("deployments",): ("model_list",), **draft.origins},
        problems=tuple(draft.problems),
        warnings=tuple(draft.warnings),
    )


def _check_sections(data: Mapping[str, Any], draft: Draft) -> None:
    for name, value in data.items():
        if name in _SECTIONS:
            continue
        if name in OWN_SECTIONS:
            draft.refuse(
                (name,),
                "belongs to Lascaux's own format, which can not stand beside model_list; keep to one of the two",
            )
        elif name not in SECTIONS:
            draft.warn((str(name),), f"is not known and has no effect{near(str(name), (*_SECTIONS, *SECTIONS))}")
        elif value not in (None, {}, []):
            draft.warn((name,), f"has no effect: {SECTIONS[name]}")
