"""LiteLLM's ``aws_*`` keys as one of our credentials. Completeness is judged later, by the rules for our own files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .notes import Draft, Found, Params, is_reference, near

__all__ = ["NAMES", "Identities"]

_PLAIN = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "aws_profile_name": "profile",
    "aws_role_name": "role_arn",
    "aws_session_name": "session_name",
    "aws_external_id": "external_id",
    "aws_sts_endpoint": "sts_endpoint",
    "api_key": "bearer_token",
}
_MISSPELT = "aws_secret_access_id"
"""As LiteLLM's page on Bedrock image generation spells the id of the access key."""
NAMES = (*_PLAIN, _MISSPELT, "aws_session_tags", "aws_web_identity_token")
"""Every key that says who calls."""

_KEYS = ("access_key_id", "secret_access_key", "session_token", "profile")
_WITH_ROLE = ("session_name", "external_id", "session_tags", "sts_endpoint")


class Identities:
    """The credentials of a file. Entries that say the same share one, so that one role is assumed once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._names: dict[str, str] = {}

    def name_for(self, params: Params, deployment: str, entry: tuple[str | int, ...]) -> str | None:
        """Write down who calls for ``deployment`` and return the name; None for boto3's default chain."""
        fields = {ours: found for theirs, ours in _PLAIN.items() if (found := params.take(theirs))}
        self._misspelt(params, fields)
        self._tags(params, fields)
        self._token(params, fields)
        if "role_arn" not in fields:
            for field in _WITH_ROLE:
                if field in fields and not any(name.startswith("web_identity") for name in fields):
                    self._draft.warn(fields.pop(field).path, "has no effect without aws_role_name")
        keys = {field: fields.pop(field) for field in _KEYS if field in fields} if "role_arn" in fields else {}
        source = self._write(keys, f"{deployment}-source", entry)
        if source:
            fields["source"] = Found(source, fields["role_arn"].path)
        return self._write(fields, deployment, entry)

    def _write(self, fields: Mapping[str, Found], name: str, entry: tuple[str | int, ...]) -> str | None:
        if not fields:
            return None
        same = repr(sorted((field, found.value) for field, found in fields.items()))
        if same not in self._names:
            self._names[same] = name
            self._draft.put(("credentials", name), {}, entry)
            for field, found in fields.items():
                self._draft.put(("credentials", name, field), found.value, found.path)
        return self._names[same]

    def _misspelt(self, params: Params, fields: dict[str, Found]) -> None:
        found = params.take(_MISSPELT)
        if found is None:
            return
        if "access_key_id" in fields:
            self._draft.warn(found.path, "has no effect: aws_access_key_id stands beside it")
        else:
            fields["access_key_id"] = found
            self._draft.warn(found.path, "is a misspelling, understood as aws_access_key_id")

    def _tags(self, params: Params, fields: dict[str, Found]) -> None:
        found = params.take("aws_session_tags")
        if found is None:
            return
        tags: Any = found.value
        if isinstance(tags, list):
            pairs = [(tag.get("Key"), tag.get("Value")) for tag in tags if isinstance(tag, Mapping)]
            if len(pairs) < len(tags) or any(None in pair for pair in pairs):
                self._draft.refuse(found.path, "must be a list of {Key: ..., Value: ...}")
                return
            tags = {str(key): value for key, value in pairs}
        fields["session_tags"] = Found(tags, found.path)

    def _token(self, params: Params, fields: dict[str, Found]) -> None:
        """A path, a variable with a path or a token in it, one of LiteLLM's ``oidc/`` forms, or the token itself."""
        found = params.take("aws_web_identity_token")
        if found is None:
            return
        value = found.value
        kind, _, rest = value.removeprefix("oidc/").partition("/") if isinstance(value, str) else ("", "", "")
        if not isinstance(value, str) or not value.startswith("oidc/"):
            fields["web_identity_token_file" if _is_file(value) else "web_identity_token"] = found
        elif kind == "file":
            fields["web_identity_token_file"] = Found(rest, found.path)
        elif kind == "env_path":
            fields["web_identity_token_file"] = Found(f"os.environ/{rest}", found.path)
        elif kind == "env":
            fields["web_identity_token"] = Found(f"os.environ/{rest}", found.path)
        else:
            allowed = ("oidc/file", "oidc/env", "oidc/env_path")
            message = f"must be a token, the path of a file, or one of {', '.join(allowed)}"
            self._draft.refuse(found.path, message + near(f"oidc/{kind}", allowed))


def _is_file(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if is_reference(value):
        return value.rstrip("}").upper().endswith(("_FILE", "_PATH"))
    return value.startswith(("/", "./", "../", "~"))
