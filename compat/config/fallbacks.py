"""Fallbacks without circles: LiteLLM allows ``a -> b`` beside ``b -> a``, our aliases do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .notes import Draft, Found

__all__ = ["write_fallbacks"]

Ways = Mapping[str, Sequence[Found]]


def write_fallbacks(ways: Ways, deployments: Mapping[str, Sequence[str]], draft: Draft) -> None:
    """Write each alias's fallbacks. Where they would lead back, the deployments of the way's aliases are named instead.

    A deployment has no fallbacks of its own, so a request visits the same places in the same order and ends.
    """
    for alias, targets in ways.items():
        if not targets:
            continue
        if alias in _reached(alias, ways):
            targets = [
                Found(name, one.path)
                for one in _reached(alias, ways).values()
                if one.value != alias
                for name in deployments.get(one.value, (one.value,))
            ]
        path = ("aliases", alias, "fallbacks")
        draft.put(path, [one.value for one in targets], targets[0].path if targets else ())
        draft.origins.update({(*path, index): one.path for index, one in enumerate(targets)})


def _reached(alias: str, ways: Ways) -> dict[str, Found]:
    """Everything that a request for ``alias`` may come to, nearest first; the alias itself if it comes back."""
    found: dict[str, Found] = {}
    queue = list(ways.get(alias, ()))
    while queue:
        one = queue.pop(0)
        if one.value not in found:
            found[one.value] = one
            queue += ways.get(one.value, ())
    return found
