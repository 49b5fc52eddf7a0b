"""Are a deployment's credentials complete, and of exactly one kind? Pure."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NoReturn
from urllib.parse import urlsplit

from ..errors import CredentialsError
from ..types import Credentials, Secret

__all__ = ["SpecKind", "check", "fits_header", "kind_of", "secrets_of", "session_name"]

MIN_DURATION = 1800
MAX_DURATION = 43_200
MAX_CHAINED = 3600
"""AWS caps a session that was assumed from another role's session at one hour."""
MAX_DEPTH = 5

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/\-]{2,1224}", re.ASCII)
_GRAPHIC = re.compile(r"[!-~]+")
_ONLY_WITH_ROLE = ("external_id", "session_name", "session_tags", "duration", "source", "sts_endpoint")
_ONLY_WITH_STS_CALLER = ("external_id", "session_tags", "source")


class SpecKind(StrEnum):
    """The ways to prove who one is."""

    DEFAULT = "default chain"
    KEYS = "access keys"
    PROFILE = "profile"
    ROLE = "assumed role"
    WEB_IDENTITY = "web identity"
    BEARER = "bearer token"


def kind_of(spec: Credentials) -> SpecKind:
    """Which kind ``spec`` is; the first named, when it is wrongly several."""
    if spec.bearer_token is not None:
        return SpecKind.BEARER
    if _has_token(spec):
        return SpecKind.WEB_IDENTITY
    if spec.role_arn is not None:
        return SpecKind.ROLE
    if spec.profile is not None:
        return SpecKind.PROFILE
    return SpecKind.KEYS if _names_keys(spec) else SpecKind.DEFAULT


def check(spec: Credentials) -> None:
    """Raise CredentialsError that names the field which is missing, empty or one too many."""
    _one_kind(spec)
    _text_fields(spec)
    _keys(spec)
    _role(spec)


def fits_header(text: str) -> bool:
    """True if ``text`` is visible ASCII without spaces, as every key and token is."""
    return _GRAPHIC.fullmatch(text) is not None


def secrets_of(spec: Credentials) -> tuple[str, ...]:
    """The secret values of ``spec`` and of what it is assumed from."""
    fields = (spec.secret_access_key, spec.session_token, spec.external_id, spec.web_identity_token, spec.bearer_token)
    own = tuple(secret.reveal() for secret in fields if secret is not None)
    return own + (secrets_of(spec.source) if spec.source else ())


def session_name(spec: Credentials) -> str:
    """The name that CloudTrail shows: the given one, else ``lascaux-`` and the name of the credentials."""
    return spec.session_name or re.sub(r"[^A-Za-z0-9_+=,.@-]", "-", f"lascaux-{spec.name}")[:64]


def _names_keys(spec: Credentials) -> bool:
    return any(value is not None for value in (spec.access_key_id, spec.secret_access_key, spec.session_token))


def _has_token(spec: Credentials) -> bool:
    return spec.web_identity_token is not None or spec.web_identity_token_file is not None


def _one_kind(spec: Credentials) -> None:
    named = {
        "bearer_token": spec.bearer_token is not None,
        "access_key_id": _names_keys(spec),
        "profile": spec.profile is not None,
        "role_arn": spec.role_arn is not None or _has_token(spec),
    }
    several = [name for name, present in named.items() if present]
    if len(several) < 2:
        return
    hint = "; what a role is assumed from belongs under source" if spec.role_arn else ""
    _refuse(spec, f"{' and '.join(several)} exclude each other{hint}")


def _text_fields(spec: Credentials) -> None:
    """No empty strings, and nothing that could break out of a header."""
    for name in ("access_key_id", "secret_access_key", "session_token", "bearer_token", "web_identity_token"):
        value = getattr(spec, name)
        text = value.reveal() if isinstance(value, Secret) else value
        if text is not None:
            if not text:
                _refuse(spec, f"{name} is empty")
            if not fits_header(text):
                _refuse(spec, f"{name} contains a space, a line break or a character that no key has")
    for name in ("profile", "role_arn", "web_identity_token_file", "session_name", "sts_endpoint"):
        if getattr(spec, name) == "":
            _refuse(spec, f"{name} is empty")


def _keys(spec: Credentials) -> None:
    if not _names_keys(spec):
        return
    if spec.access_key_id is None:
        _refuse(spec, "access_key_id is missing")
    if spec.secret_access_key is None:
        _refuse(spec, "secret_access_key is missing")


def _role(spec: Credentials) -> None:
    if spec.role_arn is None:
        if _has_token(spec):
            _refuse(spec, "role_arn is missing; a web identity token is exchanged for a role's keys")
        for name in _ONLY_WITH_ROLE:
            if getattr(spec, name) not in (None, ()):
                _refuse(spec, f"{name} has no meaning without role_arn")
        return
    if not _ROLE.fullmatch(spec.role_arn):
        _refuse(spec, "role_arn is not the ARN of a role, such as arn:aws:iam::111122223333:role/images")
    if _has_token(spec):
        _web_identity(spec)
    _session(spec)
    if spec.sts_endpoint is not None:
        _endpoint(spec, spec.sts_endpoint)
    if spec.source is not None:
        _source(spec, spec.source)


def _web_identity(spec: Credentials) -> None:
    if spec.web_identity_token is not None and spec.web_identity_token_file is not None:
        _refuse(spec, "web_identity_token and web_identity_token_file exclude each other")
    for name in _ONLY_WITH_STS_CALLER:
        if getattr(spec, name) not in (None, ()):
            _refuse(spec, f"{name} can not be used with a web identity")


def _session(spec: Credentials) -> None:
    if spec.session_name is not None and not _SESSION_NAME.fullmatch(spec.session_name):
        _refuse(spec, "session_name must have 2 to 64 letters, digits or any of _+=,.@-")
    if spec.external_id is not None and not _EXTERNAL_ID.fullmatch(spec.external_id.reveal()):
        _refuse(spec, "external_id must have 2 to 1224 letters, digits or any of _+=,.@:/-")
    longest = MAX_CHAINED if spec.source and spec.source.role_arn else MAX_DURATION
    if spec.duration is not None and not MIN_DURATION <= spec.duration <= longest:
        why = " (a role assumed from a role lasts one hour at most)" if longest == MAX_CHAINED else ""
        _refuse(spec, f"duration is {spec.duration}, must be {MIN_DURATION} to {longest} seconds{why}")
    if len(spec.session_tags) > 50:
        _refuse(spec, f"session_tags has {len(spec.session_tags)} tags, at most 50 are allowed")
    for key, value in spec.session_tags:
        if not 1 <= len(key) <= 128 or len(value) > 256:
            _refuse(spec, "session_tags: a key has 1 to 128 characters, a value at most 256")


def _source(spec: Credentials, source: Credentials) -> None:
    depth, inner = 1, source
    while inner.source is not None:
        depth, inner = depth + 1, inner.source
    if depth > MAX_DEPTH:
        _refuse(spec, f"source is nested {depth} deep, at most {MAX_DEPTH} is allowed")
    if source.bearer_token is not None:
        _refuse(spec, "source can not be a bearer_token; STS does not take one")
    check(source)


def _endpoint(spec: Credentials, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        _refuse(spec, "sts_endpoint must be a plain URL such as https://sts.eu-west-1.amazonaws.com")


def _refuse(spec: Credentials, message: str) -> NoReturn:
    raise CredentialsError(f"credentials {spec.name!r}: {message}", code="incomplete_credentials")
