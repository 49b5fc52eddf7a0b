"""Aliases with their deployments spelt out: groups expanded, second names followed, circles refused. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from .entries import AliasConfig, DeploymentConfig, Use
from .problems import Path
from .report import Report
from .resolve import PLACE, check_place, check_retry, missing
from .schema import AliasEntry, ConfigFile, Place

__all__ = ["resolve_aliases"]


def resolve_aliases(
    file: ConfigFile, deployments: Mapping[str, DeploymentConfig], report: Report
) -> dict[str, AliasConfig]:
    """Every alias by its name, with its deployments spelt out."""
    return _Aliases(file, deployments, report).resolve()


class _Aliases:
    """One resolution. ``groups`` are the names that may stand in an alias, each with the deployments it means."""

    def __init__(self, file: ConfigFile, deployments: Mapping[str, DeploymentConfig], report: Report) -> None:
        self.file = file
        self.report = report
        self.groups: dict[str, list[str]] = {}
        for deployment in deployments.values():
            self.groups.setdefault(deployment.group, []).append(deployment.name)
            if deployment.name != deployment.group:
                self.groups[deployment.name] = [deployment.name]
        self.known = {**self.groups, **dict.fromkeys(report.names("aliases"))}
        """Everything that a request may name."""
        self.broken = set(report.names("deployments")) - set(file.deployments)

    def resolve(self) -> dict[str, AliasConfig]:
        found: dict[str, AliasConfig] = {}
        seconds: dict[str, str] = {}
        for name, entry in self.file.aliases.items():
            second = self.second_name(entry)
            if second:
                seconds[name] = second
            else:
                found[name] = self.alias(name, entry)
        for name in seconds:
            self.second(name, seconds, found)
        ways = {name: alias.fallbacks for name, alias in found.items() if alias.fallbacks}
        for name in found:
            if name in ways:
                self.check_fallbacks(name, found, ways, name in seconds)
            if name not in seconds:
                self.check_remover(name, found)
        return {name: found[name] for name in self.file.aliases if name in found}

    def second_name(self, entry: AliasEntry) -> str | None:
        """The alias that this one is a second name for: ``thumbnail: draft``."""
        if entry.deployments is None or len(entry.deployments) != 1 or entry.model_fields_set != {"deployments"}:
            return None
        use = entry.deployments[0].use
        is_alias = use not in self.groups and use not in self.broken and use in self.report.names("aliases")
        return use if is_alias and entry.deployments[0].model_fields_set == {"use"} else None

    def second(self, name: str, seconds: Mapping[str, str], found: dict[str, AliasConfig]) -> None:
        way = [name]
        while way[-1] in seconds:
            step = seconds[way[-1]]
            if step in way:
                if step == name and name == min(way, key=tuple(seconds).index):
                    self.report.add(("aliases", name), f"goes in a circle: {' -> '.join([*way, step])}")
                return
            way.append(step)
        target = found.get(way[-1])
        if target is None:
            return  # it is broken, and that has been said
        if target.match:
            self.report.add(("aliases", name), f"is a second name of {way[-1]!r}, which passes model ids through")
            return
        found[name] = replace(target, name=name)

    def alias(self, name: str, entry: AliasEntry) -> AliasConfig:
        path = ("aliases", name)
        self.check_shape(entry, path)
        retry = None
        if entry.retry:
            own = {field: getattr(entry.retry, field) for field in entry.retry.model_fields_set}
            retry = self.file.retry.model_copy(update=own)
            check_retry(retry, (*path, "retry"), self.report)
        return AliasConfig(
            name=name,
            uses=tuple(self.uses(entry, path)),
            strategy=entry.strategy,
            fallbacks=entry.fallbacks,
            background_remover=entry.background_remover,
            strict=entry.strict,
            retry=retry,
            match=entry.match,
            region=entry.region,
            **{field: getattr(entry, field) for field in PLACE},
        )

    def check_shape(self, entry: AliasEntry, path: Path) -> None:
        given = entry.model_fields_set
        if entry.match is None and self.report.broken((*path, "match")):
            return
        if entry.match is None:
            if entry.deployments is None:
                self.report.add(
                    (*path, "deployments"), "is missing: give 'deployments', or 'match' to pass model ids through"
                )
            for field in Place.model_fields:
                if field in given:
                    self.report.add(
                        (*path, field), "belongs to a deployment; on an alias it goes with 'match' only", key=True
                    )
            if "*" in str(path[-1]):
                self.report.add(path, "has a * in its name and no 'match'; it would be taken literally", key=True)
            return
        for field in ("deployments", "strategy"):
            if field in given:
                self.report.add((*path, field), "stands beside 'match'; give one of them", key=True)
        check_place(entry, path, self.report)

    def uses(self, entry: AliasEntry, path: Path) -> Iterator[Use]:
        seen: set[str] = set()
        for index, use in enumerate(entry.deployments or ()):
            here = (*path, "deployments", index, "use")
            if use.use not in self.groups:
                self.unknown(use.use, here)
            for deployment in self.groups.get(use.use, ()):
                if deployment in seen:
                    self.report.add(here, f"brings in {deployment!r} a second time; keep one, and set its weight")
                seen.add(deployment)
                yield Use(deployment=deployment, weight=use.weight, priority=use.priority)

    def unknown(self, name: str, path: Path) -> None:
        if any(name == broken or name.startswith(f"{broken}-") for broken in self.broken):
            return  # the deployment is there, and what is wrong with it has been said
        if name in self.report.names("aliases") and path[1] != name:
            self.report.add(
                path, f"{name!r} is an alias; name deployments here, or write 'x: {name}' for a second name"
            )
        else:
            missing(self.report, path, "a deployment", tuple(self.groups), show=True)

    def check_fallbacks(
        self, name: str, found: Mapping[str, AliasConfig], ways: Mapping[str, tuple[str, ...]], second: bool
    ) -> None:
        alias, known = found[name], self.known
        for index, fallback in enumerate(() if second else alias.fallbacks):
            path = ("aliases", name, "fallbacks", index)
            target = found.get(fallback)
            if fallback not in known and fallback not in self.broken:
                missing(self.report, path, "an alias or a deployment", tuple(known), show=True)
            elif fallback in alias.fallbacks[:index]:
                self.report.add(path, f"names {fallback!r} twice")
            elif target and target.match:
                self.report.add(path, f"{fallback!r} passes model ids through and has no deployment to fall back to")
        if cycle := _cycle(name, ways):
            self.report.add(("aliases", name, "fallbacks"), f"goes in a circle: {' -> '.join(cycle)}")

    def check_remover(self, name: str, found: Mapping[str, AliasConfig]) -> None:
        """Whether what is named is there; what its models can do is known when the router is built."""
        remover = found[name].background_remover
        if remover is None:
            return
        path = ("aliases", name, "background_remover")
        known, target = self.known, found.get(remover)
        if remover not in known and remover not in self.broken:
            missing(self.report, path, "an alias or a deployment", tuple(known), show=True)
        elif target and target.match:
            self.report.add(path, f"{remover!r} passes model ids through and has no deployment of its own")
        elif remover == name or (target and target.background_remover == remover):
            self.report.add(path, "names itself; name the deployment or another alias that removes backgrounds")
        elif cycle := _cycle(name, {each: _listed(one.background_remover) for each, one in found.items()}):
            self.report.add(path, f"goes in a circle: {' -> '.join(cycle)}")


def _listed(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _cycle(start: str, found: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """A way from ``start`` along what each name leads to, back to it. A circle is told once, at the first of its names."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop()
        for step in found.get(way[-1], ()):
            if step == start:
                names = tuple(found)
                return (*way, step) if min(way, key=names.index) == start else None
            if step not in seen:
                seen.add(step)
                ways.append((*way, step))
    return None
