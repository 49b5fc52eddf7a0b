"""The kinds of values that settings have: what is accepted, how it reads, and how an editor sees it.

Every kind takes the text that an environment variable would hold as well as the YAML value. A refused value raises a
pydantic error whose context holds ``message`` (what is allowed; never the value), ``allowed`` (for the nearest spelling)
and ``show`` (whether the value may be repeated to the reader).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from ...providers.bedrock.ids import Kind, ModelRef, check_region
from ...providers.errors import InvalidRequest, ProviderError
from .durations import DURATION_FORMS, SIZE_FORMS, is_negative, parse_duration, parse_size

__all__ = [
    "Backend",
    "Bytes",
    "Duration",
    "ErrorCode",
    "Exporter",
    "Extra",
    "Flag",
    "Host",
    "LogFormat",
    "ModelId",
    "Names",
    "Pattern",
    "Port",
    "Positive",
    "Priority",
    "Profile",
    "Region",
    "Retired",
    "RoleArn",
    "Secret",
    "Seed",
    "SessionName",
    "Share",
    "StrategyName",
    "Tag",
    "Text",
    "Trust",
    "Url",
    "Wait",
    "Weight",
    "Whole",
    "choice",
    "refusal",
]

REFERENCE = {"type": "string", "pattern": r"\$\{|^os\.environ/", "description": "${VARIABLE} or ${VARIABLE:-default}"}
ERROR_CODES = tuple(sorted(kind.default_code for kind in ProviderError.__subclasses__() if kind.retry))
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LEAST_WEIGHT, _MOST_WEIGHT = 0.000001, 1_000_000
"""Their sums and quotients stay numbers that can be told apart."""
_URL = re.compile(r"https?://[^\s\x00-\x1f]+", re.IGNORECASE)


def refusal(
    message: str, *, allowed: Collection[str] = (), show: bool = True, detail: str | None = None
) -> PydanticCustomError:
    """The error for a bad value.

    ``message`` says what is allowed and must not repeat the value; ``detail`` says more and may, where it can be shown.
    """
    about = {"message": message, "allowed": tuple(allowed), "show": show, "detail": detail}
    return PydanticCustomError("refused", "{message}", about)


def _or_reference(schema: dict[str, Any]) -> WithJsonSchema:
    """For editors: the value itself, or a reference to an environment variable in its place."""
    return WithJsonSchema({"anyOf": [schema, REFERENCE]})


def _text(what: str = "text", *, pattern: str | None = None, show: bool = True) -> BeforeValidator:
    shape = re.compile(pattern) if pattern else None

    def check(value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            quotes = "; put it in quotes" if isinstance(value, (bool, float)) else ""
            raise refusal(f"must be {what}{quotes}", show=show)
        if not value.strip():
            raise refusal(f"must be {what}, not empty", show=False)
        if _CONTROL.search(value):
            raise refusal(f"must be {what}, without line breaks and control characters", show=False)
        if shape and not shape.fullmatch(value):
            raise refusal(f"must be {what}", show=show)
        return value

    return BeforeValidator(check)


def _secret(value: object) -> object:
    if isinstance(value, SecretStr):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise refusal("must be text in quotes", show=False)
    if not value:
        raise refusal("must not be empty", show=False)
    if re.search(r"\s|[\x00-\x1f\x7f]", value):
        raise refusal("must not contain white space; a line break often slips in from a file", show=False)
    return value


def _flag(value: object) -> object:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise refusal("must be true or false")
    return value


def _trust(value: object) -> object:
    if isinstance(value, str) and value.strip() and not _CONTROL.search(value):
        return {"true": True, "false": False}.get(value.lower(), value)
    if not isinstance(value, bool):
        raise refusal("must be true, false, or the path of a file with CA certificates")
    return value


def _number(value: object) -> float | int | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _whole(least: int, most: int) -> BeforeValidator:
    def check(value: object) -> object:
        number = _number(value)
        if number is None or number != int(number) or not least <= number <= most:
            raise refusal(f"must be a whole number from {least} to {most}")
        return int(number)

    return BeforeValidator(check)


def _weight(value: object) -> object:
    number = _number(value)
    if number is None or not _LEAST_WEIGHT <= number <= _MOST_WEIGHT:
        raise refusal(f"must be a number from {_LEAST_WEIGHT:f} to {_MOST_WEIGHT}")
    return number


def _share(value: object) -> object:
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise refusal("must be a share from 0 to 1, such as 0.2")
    return number


def _duration(*, zero: bool) -> BeforeValidator:
    def check(value: object) -> object:
        seconds = parse_duration(value)
        if seconds is None and not is_negative(value):
            raise refusal(f"must be a duration such as {DURATION_FORMS}")
        if seconds is None or (seconds == 0 and not zero):
            raise refusal("must be 0 or longer" if zero else "must be longer than 0")
        return seconds

    return BeforeValidator(check)


def _size(value: object) -> object:
    size = parse_size(value)
    if size is None:
        raise refusal(f"must be a size such as {SIZE_FORMS}")
    if size == 0:
        raise refusal("must be larger than 0")
    return size


def choice(*allowed: str) -> BeforeValidator:
    """One of these words, and nothing else."""
    words = ", ".join(allowed)

    def check(value: object) -> object:
        if value not in allowed:
            raise refusal(f"must be one of {words}", allowed=allowed)
        return value

    return BeforeValidator(check)


def _error_code(value: object) -> object:
    if value not in ERROR_CODES:
        near = get_close_matches(str(value), ERROR_CODES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise refusal(f"must be the code of an error that is retried: {', '.join(ERROR_CODES)}{hint}", show=False)
    return value


def _region(value: object) -> object:
    try:
        return check_region(value if isinstance(value, str) else "")
    except InvalidRequest as error:
        near = (error.nearest,) if error.nearest else ()
        raise refusal("must be an AWS region such as us-west-2", allowed=near) from None


def _model(value: object) -> object:
    try:
        ModelRef.parse(value if isinstance(value, str) else "")
    except InvalidRequest as error:
        near = (error.nearest,) if error.nearest else ()
        rule = (
            "must be a model id such as stability.stable-image-core-v1:1, a profile id such as us.{model id}, or an ARN"
        )
        detail = error.message.removeprefix("model: ") if str(value).startswith("arn:") else None
        raise refusal(rule, allowed=near, detail=detail) from None
    return value


def _profile(value: object) -> object:
    rule = "must be the id (us.{model id}) or the ARN of an inference profile"
    try:
        kind = ModelRef.parse(value if isinstance(value, str) else "").kind
    except InvalidRequest:
        raise refusal(rule) from None
    if kind not in (Kind.SYSTEM_PROFILE, Kind.APPLICATION_PROFILE):
        raise refusal(f"{rule}; a {kind} belongs under 'model'")
    return value


_A_URL = "must be a URL such as https://vpce-0a1b.bedrock-runtime.us-west-2.vpce.amazonaws.com"


def _url(value: object) -> object:
    if not isinstance(value, str):
        raise refusal(_A_URL, show=False)
    return _checked_url(value)


@lru_cache(maxsize=256)  # a thousand deployments have one endpoint
def _checked_url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise refusal(_A_URL, show=False)
    try:
        parts = urlsplit(text)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise refusal(_A_URL, show=False)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise refusal("must be a URL without user, password, query or fragment", show=False)
    return text.rstrip("/")


def _pattern(value: object) -> object:
    if not isinstance(value, str) or value.count("*") != 1 or _CONTROL.search(value):
        raise refusal('must be a name with exactly one "*", such as "bedrock/*"')
    return value


_REGION_SCHEMA = {"type": "string", "examples": ["us-west-2", "us-east-1", "eu-west-1", "ap-northeast-1"]}
_ROLE = r"arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}"

Text = Annotated[str, _text(), WithJsonSchema({"type": "string", "minLength": 1})]
Host = Annotated[str, _text("a host name or address", pattern=r"[A-Za-z0-9.:_-]+"), WithJsonSchema({"type": "string"})]
Tag = Annotated[str, _text(pattern=r".{1,256}"), WithJsonSchema({"type": "string", "maxLength": 256})]
Names = Annotated[str, _text("a name"), WithJsonSchema({"type": "string", "minLength": 1})]
Secret = Annotated[
    SecretStr, BeforeValidator(_secret), WithJsonSchema({"type": "string", "minLength": 1, "writeOnly": True})
]
RoleArn = Annotated[
    str,
    _text("the ARN of a role such as arn:aws:iam::111122223333:role/images", pattern=_ROLE),
    WithJsonSchema({"type": "string", "examples": ["arn:aws:iam::111122223333:role/images"]}),
]
SessionName = Annotated[
    str,
    _text("2 to 64 letters, digits or _+=,.@-", pattern=r"[A-Za-z0-9_+=,.@-]{2,64}"),
    WithJsonSchema({"type": "string", "examples": ["images"]}),
]
ModelId = Annotated[
    str,
    BeforeValidator(_model),
    WithJsonSchema({"type": "string", "examples": ["stability.stable-image-core-v1:1"]}),
]
Profile = Annotated[str, BeforeValidator(_profile), WithJsonSchema({"type": "string"})]
Region = Annotated[str, BeforeValidator(_region), WithJsonSchema(_REGION_SCHEMA)]
Url = Annotated[
    str, BeforeValidator(_url), WithJsonSchema({"type": "string", "pattern": r"^https?://|\$\{|^os\.environ/"})
]
Pattern = Annotated[str, BeforeValidator(_pattern), WithJsonSchema({"type": "string", "examples": ["bedrock/*"]})]
Flag = Annotated[bool, BeforeValidator(_flag), _or_reference({"type": "boolean"})]
Trust = Annotated[bool | str, BeforeValidator(_trust), WithJsonSchema({"type": ["boolean", "string"]})]
Weight = Annotated[
    float,
    BeforeValidator(_weight),
    _or_reference({"type": "number", "minimum": _LEAST_WEIGHT, "maximum": _MOST_WEIGHT}),
]
Share = Annotated[float, BeforeValidator(_share), _or_reference({"type": "number", "minimum": 0, "maximum": 1})]


def _integer(least: int, most: int) -> tuple[BeforeValidator, WithJsonSchema]:
    return _whole(least, most), _or_reference({"type": "integer", "minimum": least, "maximum": most})


Whole = Annotated[int, *_integer(1, 1_000_000)]
Priority = Annotated[int, *_integer(0, 1_000)]
Seed = Annotated[int, *_integer(0, 2**32 - 1)]
Positive = Annotated[int, *_integer(1, 100)]
Extra = Annotated[int, *_integer(0, 100)]
ErrorCode = Annotated[str, BeforeValidator(_error_code), WithJsonSchema({"enum": list(ERROR_CODES)})]
Port = Annotated[int, *_integer(0, 65_535)]

_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)?$|\$\{|^os\.environ/"},
    ],
    "examples": ["300ms", "30s", "5m", "1h"],
}
_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([KMGT]?i?B)?$|\$\{|^os\.environ/"},
    ],
    "examples": ["512KiB", "256MiB", "1GB"],
}
Duration = Annotated[float, _duration(zero=False), WithJsonSchema(_DURATION_SCHEMA)]
Wait = Annotated[float, _duration(zero=True), WithJsonSchema(_DURATION_SCHEMA)]
Bytes = Annotated[int, BeforeValidator(_size), WithJsonSchema(_SIZE_SCHEMA)]

_STRATEGIES = ("weighted_random", "round_robin", "least_request", "lowest_latency", "lowest_cost", "sticky")
StrategyName = Annotated[
    Literal["weighted_random", "round_robin", "least_request", "lowest_latency", "lowest_cost", "sticky"],
    choice(*_STRATEGIES),
    _or_reference({"enum": list(_STRATEGIES)}),
]
Backend = Annotated[Literal["memory", "none"], choice("memory", "none"), _or_reference({"enum": ["memory", "none"]})]
Retired = Annotated[
    Literal["last_resort", "refuse", "allow"],
    choice("last_resort", "refuse", "allow"),
    _or_reference({"enum": ["last_resort", "refuse", "allow"]}),
]
Exporter = Annotated[
    Literal["none", "console", "otlp"],
    choice("none", "console", "otlp"),
    _or_reference({"enum": ["none", "console", "otlp"]}),
]
LogFormat = Annotated[Literal["text", "json"], choice("text", "json"), _or_reference({"enum": ["text", "json"]})]
