"""Entries of one ``model_name`` as one alias: shares, priorities, time, and patterns that pass model ids through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .credentials import Identities
from .entries import Entry, write_place
from .notes import Draft, Found, Path, number

__all__ = ["LONGEST", "is_pattern", "write_alias", "write_attempts", "write_pattern", "write_timeout"]

LONGEST = 600
"""Seconds: our deadline unless something asks for longer."""
_MOST_ATTEMPTS = 100
_HEAVIEST = 1_000_000
"""Our largest weight."""


def is_pattern(entry: Entry) -> bool:
    """True if the entry lets model ids through instead of naming one."""
    return "*" in entry.alias or "*" in str(entry.model.value)


def write_pattern(entries: Sequence[Entry], identities: Identities, draft: Draft) -> None:
    """``bedrock/*`` and the like. LiteLLM fills what the ``*`` of the name stands for into the model; so do we."""
    entry, *others = entries
    for other in others:
        draft.refuse(other.path, "is a second entry for a pattern, which has one place only")
    if entry.alias.count("*") != 1 or entry.model.value not in ("bedrock/*", "*"):
        draft.refuse(
            entry.model.path, 'must be "bedrock/*" beside a model_name with one *, and a model id beside any other'
        )
        return
    path = ("aliases", entry.alias)
    draft.put(path, {}, entry.path)
    draft.put((*path, "match"), entry.alias, (*entry.path, "model_name"))
    write_place(entry, path, identities, draft)
    _write_retry([entry], path, draft)
    shares = [found for name, found in entry.group.items() if name in ("weight", "rpm", "tpm", "order")]
    for found in (*shares, *entry.params.rest.values(), *entry.info.rest.values()):
        draft.warn(found.path, "has no effect on a pattern")


def write_alias(alias: str, entries: Sequence[Entry], strategy: Found | None, draft: Draft) -> None:
    """A group of deployments, with LiteLLM's ``order`` as priority and its weights as weights."""
    path = ("aliases", alias)
    draft.put(path, {}, entries[0].path)
    priorities = _priorities(entries)
    used = [entry for entry in entries if not _drained(entry, entries)]
    weights = _weights(used, draft)
    for entry in entries:
        if entry not in used:
            draft.warn(
                entry.group["weight"].path,
                f"of 0 leaves {entry.deployment!r} out of {alias!r}; it answers to its own name",
            )
    uses = []
    for index, entry in enumerate(used):
        here = (*path, "deployments", index)
        use: dict[str, Any] = {"use": entry.deployment}
        draft.origins[here] = entry.path
        for field, found in (("weight", weights.get(entry.deployment)), ("priority", priorities.get(entry.deployment))):
            if found:
                use[field] = found.value
                draft.origins[*here, field] = found.path
        uses.append(use)
    draft.put((*path, "deployments"), uses, entries[0].path)
    if strategy:
        draft.put((*path, "strategy"), strategy.value, strategy.path)
    _write_retry(entries, path, draft)


def write_timeout(found: Found, path: Path, draft: Draft) -> None:
    """Time for one call; the deadline for the whole request grows with it."""
    draft.put((*path, "attempt_timeout"), found.value, found.path)
    seconds = number(found.value)
    if seconds is not None and seconds > LONGEST:
        draft.put((*path, "deadline"), found.value, found.path)


def write_attempts(found: Found, path: Path, draft: Draft) -> None:
    """Retries become attempts: the first call counts."""
    retries = number(found.value)
    if retries is None or retries != int(retries) or not 0 <= retries < _MOST_ATTEMPTS:
        draft.refuse(
            found.path, f"must be a whole number from 0 to {_MOST_ATTEMPTS - 1}, written here and not in a variable"
        )
        return
    draft.put((*path, "attempts"), int(retries) + 1, found.path)


def _write_retry(entries: Sequence[Entry], path: Path, draft: Draft) -> None:
    """What all entries of the group say alike. LiteLLM has these per deployment, we have them per alias."""
    for names, write in ((("timeout",), write_timeout), (("num_retries", "max_retries"), write_attempts)):
        found = [next((entry.group[name] for name in names if name in entry.group), None) for entry in entries]
        given = [one for one in found if one]
        if not given:
            continue
        if len(given) == len(entries) and all(one.value == given[0].value for one in given):
            draft.origins.setdefault((*path, "retry"), given[0].path)
            write(given[0], (*path, "retry"), draft)
        else:
            for one in given:
                draft.warn(one.path, f"has no effect: not every entry of {entries[0].alias!r} says the same")


def _drained(entry: Entry, entries: Sequence[Entry]) -> bool:
    """LiteLLM never picks a deployment of weight 0, unless all are."""
    return _is_zero(entry) and not all(_is_zero(other) for other in entries)


def _is_zero(entry: Entry) -> bool:
    weight = entry.group.get("weight")
    return weight is not None and number(weight.value) == 0


def _priorities(entries: Sequence[Entry]) -> dict[str, Found]:
    """``order`` ranked from 0; without one, an entry comes after those that have one."""
    orders = {entry.deployment: number(entry.group["order"].value) for entry in entries if "order" in entry.group}
    ranks = sorted({order for order in orders.values() if order is not None})
    found: dict[str, Found] = {}
    for entry in entries:
        order = entry.group.get("order")
        if order is None:
            if ranks:
                found[entry.deployment] = Found(len(ranks), entry.path)
        else:
            value = orders[entry.deployment]
            found[entry.deployment] = order if value is None else Found(ranks.index(value), order.path)
    return found if len(entries) > 1 else {}


def _order(entry: Entry) -> Any:
    return entry.group["order"].value if "order" in entry.group else None


def _weights(entries: Sequence[Entry], draft: Draft) -> dict[str, Found]:
    """By ``weight``, else by ``rpm``, else by ``tpm``, as LiteLLM's simple-shuffle does."""
    chosen = next((name for name in ("weight", "rpm", "tpm") if any(name in entry.group for entry in entries)), "")
    for entry in entries:
        tpm = entry.group.get("tpm")
        if tpm and (chosen != "tpm" or len(entries) < 2):
            draft.warn(tpm.path, "has no effect: tokens do not limit pictures")
    given = {entry.deployment: entry.group[chosen] for entry in entries if chosen in entry.group}
    if len(entries) < 2 or all(_is_zero(entry) for entry in entries):
        return {}
    missing = [entry for entry in entries if entry.deployment not in given]
    if chosen == "weight":
        for entry in missing:
            if any(_order(entry) == _order(other) for other in entries if other.deployment in given):
                draft.warn(entry.path, "has no weight beside others that have one: it counts as 1")
    elif given and missing:
        first = next(iter(given.values()))
        draft.warn(first.path, f"gives no share: not every entry of {entries[0].alias!r} has {chosen}")
        return {}
    return given if chosen == "weight" else _in_bounds(given)


def _in_bounds(given: dict[str, Found]) -> dict[str, Found]:
    """The same shares in smaller numbers where ours end: tokens a minute run into the millions."""
    values = {name: value for name, found in given.items() if (value := number(found.value)) is not None}
    largest = max(values.values(), default=0)
    if not _HEAVIEST < largest < float("inf"):
        return given
    return {
        name: found._replace(value=values[name] * _HEAVIEST / largest) if name in values else found
        for name, found in given.items()
    }
