"""Which names may be the labels of metrics: those of the configuration, and what it passes through under its pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ..providers.catalog import Catalog
    from .config import Config
    from .deployment import Deployment

__all__ = ["OTHER", "Labels"]

OTHER = "other"
"""What stands for every name that a stranger may have made up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Label values of one configuration. There are as many as it has names, whatever clients ask for.

    ``names`` are those of aliases and deployments, None lets every name be a label. ``patterns`` tell by name of a
    pass-through whether a client's name fits it (None: no).
    """

    names: frozenset[str] | None = None
    patterns: Mapping[str, Callable[[str], object]] = field(default_factory=dict)
    regions: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Config, deployments: Iterable[Deployment], catalog: Catalog) -> Self:
        """Those of a configuration."""
        regions = {one.target.region for one in deployments}
        regions.update(region for model in catalog.models() for region in model.regions)
        written = {name for name, alias in config.aliases.items() if not alias.match}
        for name, deployment in config.deployments.items():
            written |= {name, deployment.group}
        return cls(
            names=frozenset(written),
            patterns={name: alias.model_of for name, alias in config.aliases.items() if alias.match},
            regions=frozenset(regions),
        )

    def known(self, name: str) -> bool:
        """True if the configuration names this alias or deployment."""
        return self.names is None or name in self.names

    def name(self, name: str) -> str:
        """The label of an alias or a deployment: its name, or that of the pass-through by which it came."""
        if self.known(name):
            return name
        return next((pattern for pattern, fits in self.patterns.items() if fits(name) is not None), OTHER)

    def region(self, region: str) -> str:
        """The label of a region: itself, if AWS offers image models there or the configuration names it."""
        return region if self.names is None or region in self.regions else OTHER
