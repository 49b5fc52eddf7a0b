"""From what was written to what a router needs: regions spelt out, names looked up, combinations checked.

Pure. Findings go into the report; what is returned is complete only if there were none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...providers.bedrock.ids import ModelRef
from ...providers.types import Warning
from .entries import DeploymentConfig
from .identity import CredentialsConfig, source_cycle, unfit, unfit_source
from .link_checks import check_links, odd_links, used_credentials
from .problems import Path
from .report import Report
from .schema import ConfigFile, DeploymentEntry, Place, RetryConfig

__all__ = [
    "PLACE",
    "check_credentials",
    "check_place",
    "check_retry",
    "check_sections",
    "findings",
    "missing",
    "resolve_deployments",
]

PLACE = ("credentials", "endpoint_url", "use_fips", "use_dualstack", "verify")
"""Fields that an entry of an alias or deployment hands on as they are."""


def check_credentials(entries: Mapping[str, CredentialsConfig], report: Report) -> None:
    """Exactly one complete kind each; sources exist and do not go in circles."""
    sources = {name: entry.source for name, entry in entries.items()}
    for name, entry in entries.items():
        path: Path = ("credentials", name)
        for field, message in () if report.broken(path) else unfit(entry):
            report.add((*path, field) if field else path, message, key=True)
        if not entry.source:
            continue
        if entry.source not in report.names("credentials"):
            missing(report, (*path, "source"), "credentials", report.names("credentials"))
        elif cycle := source_cycle(name, sources):
            if name != min(cycle, key=tuple(sources).index):
                continue  # told at the first name of the circle
            report.add((*path, "source"), f"goes in a circle: {' -> '.join(cycle)}")
        elif source := entries.get(entry.source):
            for field, message in unfit_source(entry, source):
                report.add((*path, field), message)


def resolve_deployments(file: ConfigFile, report: Report) -> dict[str, DeploymentConfig]:
    """Every deployment by its own name; ``regions`` become one each."""
    found: dict[str, DeploymentConfig] = {}
    for name, entry in file.deployments.items():
        path = ("deployments", name)
        check_place(entry, path, report)
        _check_regions(entry, path, report)
        _check_model(entry, path, report)
        for region in dict.fromkeys(entry.regions or (entry.region,)):
            own = f"{name}-{region}" if entry.regions else name
            if own in found or (own != name and own in file.deployments):
                report.add(
                    (*path, "regions"), f"makes a deployment {own!r}, which is the name of another one", key=True
                )
                continue
            found[own] = DeploymentConfig(
                name=own,
                group=name,
                region=region,
                place=report.where(path),
                **{
                    field: getattr(entry, field)
                    for field in ("model", "inference_profile", "base_model", "limits", *PLACE)
                },
            )
    return found


def check_place(entry: Place, path: Path, report: Report) -> None:
    """The credentials that are named exist."""
    if entry.credentials and entry.credentials not in report.names("credentials"):
        missing(report, (*path, "credentials"), "credentials", report.names("credentials"))


def _check_regions(entry: DeploymentEntry, path: Path, report: Report) -> None:
    if entry.regions is None:
        return
    if entry.region:
        report.add((*path, "regions"), "stands beside 'region'; give one of them", key=True)
    for index, region in enumerate(entry.regions):
        if region in entry.regions[:index]:
            report.add((*path, "regions", index), f"names {region} twice")


def _check_model(entry: DeploymentEntry, path: Path, report: Report) -> None:
    """Model, profile and region agree with each other."""
    model = ModelRef.parse(entry.model)
    refs = {"model": model}
    if entry.inference_profile:
        refs["inference_profile"] = ModelRef.parse(entry.inference_profile)
    for field, ref in refs.items():
        if ref.region and entry.regions:
            report.add(
                (*path, "regions"), f"can not stand beside an ARN, which is of one region ({ref.region})", key=True
            )
        elif ref.region and entry.region and entry.region != ref.region:
            report.add(
                (*path, "region"),
                f"must be {ref.region}, the region of the ARN in {field!r}, or be left out",
                show=True,
            )
    if model.base_model is None and entry.base_model is None:
        report.add((*path, "base_model"), "is missing: the ARN in 'model' does not tell which model answers", key=True)
    if entry.base_model and ModelRef.parse(entry.base_model).is_arn:
        report.add((*path, "base_model"), "must be a model id, not an ARN")
    behind = refs["inference_profile"].base_model if "inference_profile" in refs else None
    if behind and model.base_model and behind != model.base_model:
        report.add((*path, "inference_profile"), f"is a profile of {behind}, not of the deployment's model")


def check_sections(file: ConfigFile, report: Report) -> None:
    """What single values can not tell: limits that contradict each other, and a file with nothing to route to."""
    check_retry(file.retry, ("retry",), report)
    if file.health.cooldown > file.health.max_cooldown:
        report.add(("health", "cooldown"), "must not be longer than max_cooldown", show=True)
    if file.server.link_ttl is not None and "ttl" in file.server.links.model_fields_set:
        report.add(("server", "link_ttl"), "is the earlier name of 'links.ttl', which is given as well", key=True)
    check_links(file.server.links, file.credentials, report)
    if not report.problems and not any(report.names(section) for section in ("deployments", "aliases")):
        report.add(("deployments",), "is missing: name at least one deployment, or an alias with 'match'", key=True)


def check_retry(retry: RetryConfig, path: Path, report: Report) -> None:
    """Waits that contradict each other."""
    if retry.backoff > retry.max_backoff:
        report.add((*path, "backoff"), "must not be longer than max_backoff", show=True)


def findings(file: ConfigFile) -> tuple[Warning, ...]:
    """What is odd about a configuration that works."""
    return tuple(Warning(code="config", message=message, parameter=where) for where, message in _findings(file))


def _findings(file: ConfigFile) -> Iterator[tuple[str, str]]:
    places: list[tuple[str, Place]] = [(f"deployments.{name}", entry) for name, entry in file.deployments.items()]
    places += [(f"aliases.{name}", entry) for name, entry in file.aliases.items()]
    used = {place.credentials for _, place in places} | {entry.source for entry in file.credentials.values()}
    used |= set(used_credentials(file.server.links))
    for name in file.credentials:
        if name not in used:
            yield f"credentials.{name}", "is used by no deployment"
    for where, place in places:
        if place.verify is False:
            yield f"{where}.verify", "TLS certificates are not checked"
    if "attempt_timeout" in file.retry.model_fields_set and file.retry.attempt_timeout > file.retry.deadline:
        yield "retry.attempt_timeout", "is longer than the deadline, which ends the call first"
    if file.telemetry.endpoint and file.telemetry.exporter != "otlp":
        yield "telemetry.endpoint", "is used by the exporter otlp only"
    yield from odd_links(file.server.links, file.server.link_seconds)


def missing(report: Report, path: Path, what: str, known: tuple[str, ...], *, show: bool = False) -> None:
    """Note that a name leads nowhere, and what there is."""
    spelt = [name if name.isprintable() else repr(name) for name in sorted(known)[:10]]
    names = ", ".join(spelt) + (", ..." if len(known) > 10 else "")
    message = f"must be the name of {what}: {names}" if known else f"must be the name of {what}, but there are none"
    report.add(path, message, show=show, near=known)
