"""``server.links``: where the pictures of ``url`` answers are kept, and for how long."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from .scalars import Duration, Region, Tag, Text, Trust, Url, choice, refusal
from .section import Section, spelt

__all__ = ["LONGEST", "BucketConfig", "LinksConfig"]

LONGEST = 7 * 86_400.0
"""Seconds. S3 takes no presigned link that holds longer (X-Amz-Expires, 604800 at most)."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_PREFIX = re.compile(r"([A-Za-z0-9!_.*'()-]+/)*[A-Za-z0-9!_.*'()-]*")
_LONGEST_PREFIX = 512


def _bucket(value: object) -> object:
    if not isinstance(value, str) or not _BUCKET.fullmatch(value):
        raise refusal("must be the name of a bucket: 3 to 63 letters, digits or .-_")
    return value


def _prefix(value: object) -> object:
    if not isinstance(value, str) or len(value) > _LONGEST_PREFIX or not _PREFIX.fullmatch(value):
        raise refusal("must be a folder in the bucket such as pictures/, without a slash in front")
    return value if not value or value.endswith("/") else f"{value}/"


BucketName = Annotated[str, BeforeValidator(_bucket), WithJsonSchema({"type": "string", "examples": ["my-pictures"]})]
Prefix = Annotated[str, BeforeValidator(_prefix), WithJsonSchema({"type": "string", "examples": ["pictures/"]})]
Encryption = Annotated[
    Literal["AES256", "aws:kms"], choice("AES256", "aws:kms"), WithJsonSchema({"enum": ["AES256", "aws:kms"]})
]


class BucketConfig(Section):
    """A bucket of S3 that pictures are put into. Links to them are presigned; the gateway is not asked for them."""

    bucket: BucketName
    """Name of the bucket."""
    region: Region
    """AWS region of the bucket."""
    prefix: Prefix = "lascaux/"
    """Folder in the bucket. A lifecycle rule on it deletes the pictures when their links are over."""
    credentials: Text | None = None
    """Name of an entry in 'credentials', for s3:PutObject and s3:GetObject. Default: boto3's default chain."""
    endpoint_url: Url | None = None
    """Endpoint of a storage that speaks S3's protocol, or of a VPC. The bucket then stands in the path."""
    verify: Trust = True
    """Check TLS certificates: true, false, or the path of a file with CA certificates."""
    sse: Encryption | None = None
    """Encryption at rest that is asked for. Default: the bucket's own."""
    kms_key_id: Text | None = None
    """Id, alias or ARN of the key for 'sse: aws:kms'. Default: AWS's key for S3."""
    tags: dict[Tag, Tag] = Field(default_factory=dict, max_length=10)
    """Tags of each object, for instance for a lifecycle rule. They need s3:PutObjectTagging."""


class LinksConfig(Section):
    """The links of 'url' answers."""

    ttl: Duration = spelt("1h")
    """How long links work; in S3 at most 7 days, and no longer than temporary credentials."""
    s3: BucketConfig | None = None
    """Where pictures are kept. Default: the memory of the gateway."""
