"""The ``credentials`` section: how a deployment proves who it is. Exactly one kind, complete or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, WithJsonSchema

from ...providers.types import Credentials
from ...providers.types import Secret as Sealed
from .durations import DURATION_FORMS, parse_duration
from .scalars import RoleArn, Secret, SessionName, Tag, Text, Url, refusal
from .section import Section

__all__ = ["CredentialsConfig", "source_cycle", "unfit"]

_SHORTEST, _LONGEST, _CHAINED = 1800, 43_200, 3600
_KINDS = {
    "access keys": ("access_key_id", "secret_access_key", "session_token"),
    "profile": ("profile",),
    "role_arn": ("role_arn",),
    "bearer_token": ("bearer_token",),
}
_ROLE_ONLY = ("external_id", "session_name", "session_tags", "duration", "source", "sts_endpoint")
_TOKENS = ("web_identity_token_file", "web_identity_token")


def _session(value: object) -> object:
    seconds = parse_duration(value)
    if seconds is None:
        raise refusal(f"must be a duration such as {DURATION_FORMS}")
    if seconds < _SHORTEST:
        raise refusal(
            "must be at least 30m: sessions are renewed 15m before they end, so shorter ones call STS all the time"
        )
    if seconds > _LONGEST:
        raise refusal("must be at most 12h, which is the most that STS gives")
    return int(seconds)


SessionDuration = Annotated[
    int,
    BeforeValidator(_session),
    WithJsonSchema({"type": ["integer", "string"], "examples": ["30m", "1h", "12h"]}),
]


class CredentialsConfig(Section):
    """One way to prove who calls: access keys, a profile, a role (from other credentials or a web identity), or an API key.

    Never mixed with the environment: what is written here is all that is used.
    """

    access_key_id: Text | None = Field(default=None, repr=False)
    """Id of a static access key. Needs secret_access_key."""
    secret_access_key: Secret | None = None
    """Secret of a static access key. Better a reference such as ${NAME} than the secret itself."""
    session_token: Secret | None = None
    """Session token, if the access key is a temporary one."""
    profile: Text | None = None
    """Name of a profile in the AWS configuration files."""
    role_arn: RoleArn | None = None
    """Role to assume, with the default chain, with 'source', or with a web identity token. Refreshes by itself."""
    external_id: Secret | None = None
    """External id that the role's trust policy asks for."""
    session_name: SessionName | None = None
    """Name of the session as it shows in CloudTrail."""
    session_tags: dict[Text, Tag] = Field(default_factory=dict, max_length=50)
    """Session tags, for instance for cost allocation. The role's trust policy must allow sts:TagSession."""
    duration: SessionDuration | None = None
    """How long an assumed session lasts: from 30m to 12h, or to 1h if 'source' is a role itself. Default 1h."""
    source: Text | None = None
    """Name of the credentials that assume the role. Without it, boto3's default chain does."""
    web_identity_token_file: Text | None = None
    """File with an OIDC token, read again at each refresh. Needs role_arn."""
    web_identity_token: Secret | None = None
    """The OIDC token itself. Needs role_arn."""
    bearer_token: Secret | None = None
    """Bedrock API key. A short-term key holds for the region that it was made in."""
    sts_endpoint: Url | None = None
    """Endpoint of STS, for instance a VPC endpoint. Default: the regional one."""

    def to_credentials(self, name: str, others: Mapping[str, CredentialsConfig] | None = None) -> Credentials:
        """The same as the provider wants it. ``others`` is where ``source`` is looked up; KeyError if it is not there."""
        return Credentials(
            name=name,
            access_key_id=self.access_key_id,
            secret_access_key=_seal(self.secret_access_key),
            session_token=_seal(self.session_token),
            profile=self.profile,
            role_arn=self.role_arn,
            external_id=_seal(self.external_id),
            session_name=self.session_name,
            session_tags=tuple(self.session_tags.items()),
            duration=self.duration,
            source=(others or {})[self.source].to_credentials(self.source, others) if self.source else None,
            web_identity_token_file=self.web_identity_token_file,
            web_identity_token=_seal(self.web_identity_token),
            bearer_token=_seal(self.bearer_token),
            sts_endpoint=self.sts_endpoint,
        )

    @property
    def given(self) -> tuple[str, ...]:
        """The fields that say something, in the order of the schema."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) not in (None, {}))


def _seal(secret: SecretStr | None) -> Sealed | None:
    return Sealed(secret.get_secret_value()) if secret else None


def unfit(entry: CredentialsConfig) -> Iterator[tuple[str | None, str]]:
    """What is wrong with the combination of fields: pairs of the field at fault (None: the entry) and the reason."""
    given = entry.given
    kinds = [kind for kind, fields in _KINDS.items() if set(fields) & set(given)]
    if len(kinds) > 1:
        mixed = "; to assume a role from a profile, give the profile an entry of its own and name it as 'source'"
        yield None, f"mixes {' and '.join(kinds)}; give exactly one kind" + (mixed if "role_arn" in kinds else "")
        return
    if "role_arn" not in given:
        for field in given:
            if field in (*_ROLE_ONLY, *_TOKENS):
                yield field, "needs 'role_arn' beside it"
    if not kinds and not given:
        yield (
            None,
            "says nothing; give access_key_id, profile, role_arn or bearer_token (boto3's default chain needs no entry)",
        )
    elif kinds == ["access keys"]:
        for field in ("access_key_id", "secret_access_key"):
            if field not in given:
                yield None, f"has only half of a pair: {field!r} is missing, and it is never taken from the environment"
    elif kinds == ["role_arn"]:
        yield from _unfit_role(given)


def _unfit_role(given: tuple[str, ...]) -> Iterator[tuple[str | None, str]]:
    tokens = [field for field in _TOKENS if field in given]
    if len(tokens) > 1:
        yield tokens[1], "stands beside 'web_identity_token_file'; give one of them"
    if tokens:
        for field in ("external_id", "session_tags", "source"):
            if field in given:
                yield field, "has no meaning with a web identity token, which carries it itself; remove it"


def unfit_source(entry: CredentialsConfig, source: CredentialsConfig) -> Iterator[tuple[str, str]]:
    """What is wrong with ``source`` as the identity that assumes the role of ``entry``."""
    if source.bearer_token:
        yield "source", "names an API key, which can not assume a role"
    if source.role_arn and entry.duration and entry.duration > _CHAINED:
        yield "duration", "must be at most 1h: STS allows no more for a role that is assumed from a role"


def source_cycle(name: str, sources: Mapping[str, str | None]) -> tuple[str, ...] | None:
    """The way from ``name`` back to itself along ``source``, or None if there is none."""
    way = [name]
    while (step := sources.get(way[-1])) is not None:
        if step in way:
            return (*way[way.index(step) :], step) if step == name else None
        way.append(step)
    return None
