"""The links of the ``server`` section, judged together with the rest: what single values can not tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from .identity import CredentialsConfig
from .links import LONGEST, LinksConfig
from .problems import Path
from .report import Report

__all__ = ["check_links", "odd_links", "used_credentials"]


def check_links(links: LinksConfig, credentials: Mapping[str, CredentialsConfig], report: Report) -> None:
    """The bucket's credentials exist and can sign; a key is named for the encryption that has one."""
    path: Path = ("server", "links", "s3")
    bucket = links.s3
    if bucket is None or report.broken(path):
        return
    names = report.names("credentials")
    if bucket.credentials is not None and bucket.credentials not in names:
        known = f": {', '.join(names)}" if names else ", but there are none"
        report.add((*path, "credentials"), f"must be the name of credentials{known}", near=names)
    elif bucket.credentials is not None:
        named = credentials.get(bucket.credentials)
        if named is not None and named.bearer_token:
            report.add((*path, "credentials"), "names an API key of Bedrock, which S3 does not take")
    if bucket.kms_key_id and bucket.sse != "aws:kms":
        report.add((*path, "kms_key_id"), "needs 'sse: aws:kms' beside it", key=True)


def odd_links(links: LinksConfig, seconds: float) -> Iterator[tuple[str, str]]:
    """What is odd about links that hold for so many ``seconds``."""
    if links.s3 is not None and seconds > LONGEST:
        yield "server.links.ttl", "is longer than 7 days, after which S3's links end"
    if links.s3 is not None and links.s3.verify is False:
        yield "server.links.s3.verify", "TLS certificates are not checked"


def used_credentials(links: LinksConfig) -> Collection[str]:
    """Names of credentials that links need."""
    return (links.s3.credentials,) if links.s3 is not None and links.s3.credentials else ()
