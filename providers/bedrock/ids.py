"""Model identifiers and regions: what a name means, and where a call to it goes. Pure; reads no file and no environment.

Shapes of identifiers: Bedrock user guide and the ``InvokeModelIdentifier`` pattern of botocore 1.44.5. Shapes of regions and
partitions: botocore's ``partitions.json`` (a test compares the two).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from enum import StrEnum
from functools import lru_cache
from typing import NoReturn
from urllib.parse import quote, unquote

from ..errors import InvalidRequest

__all__ = ["Kind", "ModelRef", "check_region", "encode", "environment_region", "partition_of", "resolve_region"]

MAX_LENGTH = 2048

GEOGRAPHIES = ("us", "eu", "apac", "global", "us-gov", "jp", "au", "ca")
"""First labels of system profile ids. The first four serve image models; the others exist for text models."""

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_REGION_NAME")
"""Environment variables in the order they are asked; the last is LiteLLM's."""

_COMPASS = r"(?:north|south)?(?:east|west)|north|south|central"
_PARTITIONS = {
    "aws": r"(?:us|eu|ap|sa|ca|me|af|il|mx)",
    "aws-cn": r"cn",
    "aws-us-gov": r"us-gov",
    "aws-eusc": r"eusc-de",
    "aws-iso": r"us-iso",
    "aws-iso-b": r"us-isob",
    "aws-iso-e": r"eu-isoe",
    "aws-iso-f": r"us-isof",
}
_REGIONS = {name: re.compile(rf"{areas}-(?:{_COMPASS})-\d{{1,2}}") for name, areas in _PARTITIONS.items()}
_SUGGESTED = (
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
)


class Kind(StrEnum):
    """What an identifier names."""

    FOUNDATION_MODEL = "foundation-model"
    SYSTEM_PROFILE = "inference-profile"
    APPLICATION_PROFILE = "application-inference-profile"
    PROVISIONED = "provisioned-model"
    CUSTOM_DEPLOYMENT = "custom-model-deployment"
    IMPORTED = "imported-model"
    MARKETPLACE_ENDPOINT = "endpoint"


_MODEL = re.compile(r"[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}(?:[.:][a-z0-9-]{1,63})*")
_TAILS = {
    Kind.FOUNDATION_MODEL: _MODEL,
    Kind.SYSTEM_PROFILE: re.compile(r"[a-zA-Z0-9:.-]+"),
    Kind.APPLICATION_PROFILE: re.compile(r"[a-zA-Z0-9:.-]+"),
    Kind.PROVISIONED: re.compile(r"[a-z0-9]{12}"),
    Kind.CUSTOM_DEPLOYMENT: re.compile(r"[a-z0-9]{12}"),
    Kind.IMPORTED: re.compile(r"[a-z0-9]{12}"),
    Kind.MARKETPLACE_ENDPOINT: re.compile(r"[a-zA-Z0-9-]+"),
}
_TAIL_WORDS = {
    Kind.FOUNDATION_MODEL: "a model id such as amazon.nova-canvas-v1:0",
    Kind.PROVISIONED: "12 lower-case letters and digits",
    Kind.CUSTOM_DEPLOYMENT: "12 lower-case letters and digits",
    Kind.IMPORTED: "12 lower-case letters and digits",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """One parsed model identifier.

    ``model_id`` goes on the wire (before `encode`). ``base_model`` is the foundation model it leads to, None when the
    identifier does not say (an opaque ARN). ``region`` comes from the ARN or from a ``bedrock/<region>/`` route, ``account``
    and ``partition`` from the ARN; None when not given.
    """

    kind: Kind
    model_id: str
    base_model: str | None = None
    region: str | None = None
    account: str | None = None
    partition: str | None = None

    @property
    def is_arn(self) -> bool:
        """True if the wire identifier is an ARN."""
        return self.model_id.startswith("arn:")

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read a model id, a system profile id, or any ARN that InvokeModel takes, with or without LiteLLM's ``bedrock/``.

        A provider written twice (``stability.stability.sd3-large-v1:0``, as in LiteLLM's page) is read once. An ARN that is
        percent-encoded already is decoded. Raises InvalidRequest with the rule that was broken.
        """
        return _parsed(text)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> ModelRef:
    name, route = _strip_route(text)
    if name[:6].lower() == "arn%3a":
        name = unquote(name)
    if not name:
        _refuse("the model id is empty", allowed="a model id, an inference profile id or an ARN")
    if len(name) > MAX_LENGTH:
        _refuse(f"the model id has {len(name)} characters", allowed=f"at most {MAX_LENGTH}")
    if name.startswith("arn:"):
        ref = _parse_arn(name)
        if route and ref.region != route:
            _refuse(f"the route says region {route}, its ARN says {ref.region}", allowed="one region")
        return ref
    return _parse_id(name, route)


@lru_cache(maxsize=1024)
def encode(model_id: str) -> str:
    """The identifier as one URL path segment: percent-encoded exactly once (``:`` is ``%3A``, ``/`` is ``%2F``)."""
    return quote(model_id, safe="-._~")


@lru_cache(maxsize=256)
def partition_of(region: str) -> str | None:
    """The partition (``aws``, ``aws-cn``, ``aws-us-gov``, ...) of a region name, None if it is no region name."""
    return next((name for name, shape in _REGIONS.items() if shape.fullmatch(region)), None)


def check_region(region: str, *, source: str = "region") -> str:
    """Return ``region`` if it is shaped like a region of a known partition.

    Raises InvalidRequest that names ``source`` (where the value came from) and the nearest region.
    """
    if partition_of(region):
        return region
    near = region.strip().lower().replace("_", "-")
    guess = near if partition_of(near) else _nearest_region(near)
    hint = f"; did you mean {guess}?" if guess else ""
    raise InvalidRequest(
        f"{source}: {_show(region)} is not an AWS region{hint}",
        parameter="region",
        allowed="a region name such as us-west-2",
        nearest=guess,
    )


def resolve_region(
    *,
    deployment: str | None = None,
    arn: str | None = None,
    profile: str | None = None,
    environment: str | None = None,
) -> str:
    """The region to call: the deployment's, else the ARN's, else the profile's, else the environment's.

    An ARN is served only by the region in it, so a deployment that names another one is an error. So is having none: there
    is no default region. Raises InvalidRequest.
    """
    if deployment:
        check_region(deployment, source="region of the deployment")
    if arn:
        check_region(arn, source="region in the model id")
    if deployment and arn and deployment != arn:
        raise InvalidRequest(
            f"region: the deployment says {deployment}, the model id says {arn}; remove one of them",
            parameter="region",
            allowed=arn,
            nearest=arn,
        )
    if deployment or arn:
        return deployment or arn or ""
    if profile:
        return check_region(profile, source="region of the profile")
    if environment:
        return check_region(environment, source="region from the environment")
    raise InvalidRequest(
        "region: none is known; set it on the deployment, in the profile, or in AWS_REGION",
        parameter="region",
        allowed="a region name such as us-west-2",
    )


def environment_region(env: Mapping[str, str]) -> str | None:
    """The first of AWS_REGION, AWS_DEFAULT_REGION and AWS_REGION_NAME that is set and not empty."""
    return next((env[name] for name in REGION_VARIABLES if env.get(name)), None)


def _nearest_region(text: str) -> str | None:
    """The region spelt most like ``text``; of equals the first in the alphabet."""
    likeness = {region: SequenceMatcher(None, region, text[:40]).ratio() for region in _SUGGESTED}
    best = max(likeness, key=likeness.__getitem__)
    return best if likeness[best] >= 0.7 else None


def _strip_route(text: str) -> tuple[str, str | None]:
    """Take off ``bedrock/`` and ``bedrock/<region>/``; what is left, and the region."""
    name = text.strip()
    if not name.startswith("bedrock/"):
        return name, None
    name = name.removeprefix("bedrock/")
    head, slash, rest = name.partition("/")
    if not slash or ":" in head or "%" in head or "." in head:
        return name, None
    return rest, check_region(head, source=f"model {_show(text)}")


def _parse_id(name: str, route: str | None) -> ModelRef:
    """A plain id: a foundation model or a system profile."""
    doubled = re.match(r"([a-z0-9-]+)\.\1\.", name)
    if doubled:
        name = name[len(doubled[1]) + 1 :]
    if not _MODEL.fullmatch(name):
        lower = name.lower()
        nearest = lower if lower != name and _MODEL.fullmatch(lower) else None
        _refuse(
            f"{_show(name)} is not a model id" + (f"; did you mean {nearest}?" if nearest else ""),
            allowed="provider.name such as amazon.nova-canvas-v1:0, a profile such as us.stability.stable-outpaint-v1:0, "
            "or an ARN",
            nearest=nearest,
        )
    base = _base_of_profile(name)
    kind = Kind.SYSTEM_PROFILE if base else Kind.FOUNDATION_MODEL
    return ModelRef(kind=kind, model_id=name, base_model=base or name, region=route)


def _base_of_profile(name: str) -> str | None:
    """The model behind a system profile id, None if ``name`` is not one."""
    geography, _, rest = name.partition(".")
    return rest if geography in GEOGRAPHIES and _MODEL.fullmatch(rest) else None


def _parse_arn(arn: str) -> ModelRef:
    """An ARN: partition, service, region, account, resource type and its id, each checked."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        _refuse(
            f"{_show(arn)} is not a complete ARN: it has {len(parts)} of 6 parts",
            allowed="arn:{partition}:bedrock:{region}:{account}:{kind}/{id}",
        )
    _, partition, service, region, account, resource = parts
    if partition not in _REGIONS:
        _refuse_choice(arn, "partition", partition, tuple(_REGIONS))
    if service not in ("bedrock", "sagemaker"):
        _refuse_choice(arn, "service", service, ("bedrock", "sagemaker"))
    check_region(region, source=f"model {_show(arn)}")
    if partition_of(region) != partition:
        _refuse(f"{_show(arn)}: region {region} is in partition {partition_of(region)}, the ARN says {partition}")
    kind, tail = _parse_resource(arn, service, resource)
    if kind is Kind.FOUNDATION_MODEL:
        if account:
            _refuse(
                f"{_show(arn)}: a foundation model has no account",
                nearest=f"arn:{partition}:bedrock:{region}::{resource}",
            )
    elif not re.fullmatch(r"\d{12}", account):
        _refuse(f"{_show(arn)}: account {_show(account)} is not an account id", allowed="12 digits")
    return ModelRef(
        kind=kind,
        model_id=arn,
        base_model=_base(kind, tail),
        region=region,
        account=account or None,
        partition=partition,
    )


def _parse_resource(arn: str, service: str, resource: str) -> tuple[Kind, str]:
    """The resource type and the part behind its slash."""
    name, _, tail = resource.partition("/")
    kinds = [kind for kind in Kind if (kind is Kind.MARKETPLACE_ENDPOINT) == (service == "sagemaker")]
    if name not in {kind.value for kind in kinds}:
        _refuse_choice(arn, "resource type", name, tuple(kind.value for kind in kinds))
    kind = Kind(name)
    if not _TAILS[kind].fullmatch(tail):
        _refuse(f"{_show(arn)}: {_show(tail)} is not an id of a {name}", allowed=_TAIL_WORDS.get(kind, "an id"))
    return kind, tail


def _base(kind: Kind, tail: str) -> str | None:
    if kind is Kind.FOUNDATION_MODEL:
        return tail
    return _base_of_profile(tail) if kind is Kind.SYSTEM_PROFILE else None


def _show(text: str) -> str:
    """A value as it may stand in a message: one line, quoted, not endless."""
    return repr(text if len(text) <= 120 else text[:117] + "...")


def _refuse_choice(arn: str, part: str, value: str, choices: tuple[str, ...]) -> NoReturn:
    nearest = next(iter(get_close_matches(value, choices, n=1)), None)
    hint = f"; did you mean {nearest}?" if nearest else ""
    _refuse(f"{_show(arn)}: {part} {_show(value)} is unknown{hint}", allowed=", ".join(choices), nearest=nearest)


def _refuse(message: str, *, allowed: str | None = None, nearest: str | None = None) -> NoReturn:
    text = f"model: {message}" + (f" (allowed: {allowed})" if allowed else "")
    raise InvalidRequest(text, parameter="model", allowed=allowed, nearest=nearest)
