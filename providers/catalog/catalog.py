"""The catalogue: find a model by any of its names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from .model import Model

__all__ = ["Catalog"]

_PATH = re.compile(r"^bedrock/(?:[a-z]{2}(?:-[a-z]+)+-\d/)?")
_ARN = re.compile(r"^arn:aws[a-z-]*:bedrock:[a-z0-9-]*:(?::foundation-model|\d*:inference-profile)/")
_GEO = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|sa|me|af|global)\.")
_DOUBLED = re.compile(r"^([a-z0-9-]+)\.\1\.")


class Catalog:
    """Models by id. Immutable, so one catalogue serves every thread."""

    __slots__ = ("_by_name", "_models")

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = {model.id: model for model in models}
        self._by_name = dict(self._models)
        for model in self._models.values():
            for alias in model.aliases:
                self._by_name.setdefault(alias, model)

    @staticmethod
    def load() -> Catalog:
        """The shipped catalogue; read once per process, when first asked for."""
        return _shipped()

    def models(self) -> tuple[Model, ...]:
        """Every model, in the order of the files."""
        return tuple(self._models.values())

    def find(self, model_id: str) -> Model | None:
        """The model behind a name, or None.

        Accepts the base id, a geographic profile id (``us.`` + id), foundation-model and system-profile ARNs, and
        LiteLLM's spellings: a ``bedrock/`` prefix (with or without a region) and a doubled provider
        (``stability.stability.sd3-large-v1:0``). Opaque ARNs (application profiles, provisioned models) name no model.
        It says which model is meant, not that AWS offers that name: compare ``Model.profile``.
        """
        return self._by_name.get(model_id) or self._by_name.get(_bare(model_id))

    def suggest(self, model_id: str, count: int = 3) -> tuple[str, ...]:
        """The ids that are spelt most like this one, best first. Empty when nothing is near."""
        return tuple(get_close_matches(_bare(model_id).lower(), self._models, n=count, cutoff=0.5))


def _bare(model_id: str) -> str:
    name = _PATH.sub("", model_id.strip())
    name = _ARN.sub("", name)
    name = _GEO.sub("", name)
    return _DOUBLED.sub(r"\1.", name)


@cache
def _shipped() -> Catalog:
    from .loading import builtin  # PyYAML is needed only when the catalogue is

    return Catalog(builtin())
