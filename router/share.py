"""One process's part of what is declared for all of them together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .config import Config, DeploymentConfig, Limits

__all__ = ["WHOLE", "Share", "unshared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The part of process ``index`` (from 0) of ``count`` that do the same work side by side."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"there is no process {self.index} among {self.count}")

    def of(self, whole: int) -> int:
        """This process's part: those of all add up to ``whole``, and differ by 1 at the most."""
        return whole * (self.index + 1) // self.count - whole * self.index // self.count

    def limits(self, declared: Limits) -> tuple[int | None, int | None]:
        """This process's requests a minute, and at the same time; None where there is no limit."""
        rpm, concurrency = declared.rpm, declared.concurrency
        return None if rpm is None else self.of(rpm), None if concurrency is None else self.of(concurrency)


WHOLE = Share()
"""Everything: there is one process."""


def unshared(config: Config, count: int) -> list[str]:
    """What is declared too small for ``count`` processes, one line each: somebody would be left with nothing."""
    found = [
        f"{deployment.place}: {line}" if deployment.place else line
        for deployment in config.deployments.values()
        for line in _too_small(deployment, count)
    ]
    return list(dict.fromkeys(found))


def _too_small(deployment: DeploymentConfig, count: int) -> Iterator[str]:
    for name in ("rpm", "concurrency"):
        whole = getattr(deployment.limits, name)
        if whole is not None and whole < count:
            yield _told(f"deployments.{deployment.group}.limits.{name}", whole, count)


def _told(field: str, whole: int, count: int) -> str:
    return (
        f"{field}: {whole} can not be shared by {count} workers, each needs at least 1: "
        f"allow {count} or more here, or set server.workers (--workers) to {whole} or less"
    )
