"""The ``server`` section: where the gateway listens, what it takes in, and who may spend what."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr, WithJsonSchema

from .links import LinksConfig
from .scalars import (
    REFERENCE,
    Bytes,
    Duration,
    Flag,
    Host,
    LogFormat,
    Names,
    Port,
    Positive,
    Secret,
    Text,
    Url,
    Whole,
    refusal,
)
from .section import Section, spelt

__all__ = ["HASH", "SHORTEST", "AuditConfig", "KeyConfig", "PairConfig", "ServerConfig", "fits"]

HASH = re.compile(r"blake2b:[a-z2-7]{12}:[0-9a-f]{32}:[0-9a-f]{64}")
"""How a key is written down: its id, a salt, the digest of its secret. ``lascaux.gateway.keys`` makes and checks them."""

SHORTEST = 16
"""Characters of a signing secret: a shorter one can be guessed from one request that somebody caught."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9_.-]{3,128}")
_MONEY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_MONEY_TEXT = {"type": "string", "pattern": f"^{_MONEY.pattern}$"}
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")


def _hash(value: object) -> object:
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise refusal("must be a hash as `lascaux keys new` prints it; a key itself is not written down", show=False)
    return value


def _key_name(value: object) -> object:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise refusal("must be 1 to 64 letters, digits or _.@-, such as team-a", show=False)
    return value


def _usd(value: object) -> object:
    text = str(value) if isinstance(value, (int, float, str, Decimal)) and not isinstance(value, bool) else ""
    if not _MONEY.fullmatch(text):
        raise refusal("must be an amount in US dollars such as 20 or 0.5")
    return Decimal(text)  # of a float the figure that was written


def _origin(value: object) -> object:
    if value != "*" and not (isinstance(value, str) and _ORIGIN.fullmatch(value)):
        raise refusal('must be an origin such as https://app.example.com, or "*" for all')
    return value


def _host_name(value: object) -> object:
    if not isinstance(value, str) or not _HOST_NAME.fullmatch(value.lower()):
        raise refusal("must be a name such as images.example.com, without scheme and port")
    return value.lower()


def _access_key_id(value: object) -> object:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise refusal("must be 3 to 128 letters, digits or _.-, such as TEAM-A")
    return value


def _plain_key(value: object) -> object:
    """Empty is not refused here: a file is also read by programs that listen to nobody."""
    return SecretStr("") if value == "" else value


KeyHash = Annotated[
    str,
    BeforeValidator(_hash),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{HASH.pattern}$"}, REFERENCE]}),
]
KeyName = Annotated[
    str, BeforeValidator(_key_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
Usd = Annotated[
    Decimal,
    BeforeValidator(_usd),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_MONEY.pattern}$"}, REFERENCE]}
    ),
]
AccessKeyId = Annotated[
    str, BeforeValidator(_access_key_id), WithJsonSchema({"type": "string", "pattern": f"^{_ID.pattern}$"})
]
Origin = Annotated[
    str, BeforeValidator(_origin), WithJsonSchema({"type": "string", "examples": ["https://app.example.com"]})
]

HostName = Annotated[
    str, BeforeValidator(_host_name), WithJsonSchema({"type": "string", "examples": ["images.example.com"]})
]


class KeyConfig(Section):
    """One key that clients may use, and what it allows. ``lascaux keys new`` makes one."""

    name: KeyName
    """Whose key it is. Spending is counted by name, so a key can be replaced."""
    hash: KeyHash | None = Field(default=None, repr=False)
    """What `lascaux keys new` printed. The key itself is in no file."""
    key: Annotated[Secret, BeforeValidator(_plain_key), WithJsonSchema(REFERENCE)] | None = None
    """Instead of 'hash': a reference such as ${NAME} to a variable that holds the key itself."""
    aliases: tuple[Names, ...] | None = Field(default=None, min_length=1)
    """Aliases and deployments that it may use; one * stands for anything, as in "bedrock/*". Default: all."""
    rpm: Whole | None = None
    """Requests in any 60 seconds."""
    concurrency: Whole | None = None
    """Requests at the same time."""
    usd_per_day: Usd | None = None
    """US dollars that it may spend from midnight to midnight UTC."""
    usd_per_month: Usd | None = None
    """US dollars that it may spend in a calendar month in UTC."""
    allow_unknown_price: Flag = False
    """Let it ask for what has no known price, in spite of a limit in dollars."""
    admin: Flag = False
    """May use the admin endpoints, too."""

    @property
    def id(self) -> str | None:
        """The id in the hash, by which a key is looked up; None where the key itself is given."""
        return self.hash.split(":")[1] if self.hash else None


class PairConfig(Section):
    """A key pair for SigV4. Who signs with it is who has the named key, with all its limits.

    The algorithm needs the secret itself, so no hash can stand here: it comes from a variable.
    """

    access_key_id: AccessKeyId
    """What callers set as AWS_ACCESS_KEY_ID."""
    secret: Annotated[Secret, BeforeValidator(_plain_key), WithJsonSchema(REFERENCE)] = Field(repr=False)
    """What callers set as AWS_SECRET_ACCESS_KEY: a reference such as ${NAME} to its variable, 16 characters or more."""
    key: Text
    """Name of the key in 'keys' for which it stands."""


class AuditConfig(Section):
    """Where calls for pictures are written down, with keyed digests in the place of prompts."""

    file: Text
    """File to which a line of JSON is appended for each call. The processes of one machine share it."""
    key: Annotated[Secret, BeforeValidator(_plain_key), WithJsonSchema(REFERENCE)] = Field(repr=False)
    """Secret of the digests of prompts: a reference such as ${NAME} to its variable, 16 characters or more."""


class ServerConfig(Section):
    """The HTTP gateway."""

    host: Host = "127.0.0.1"
    """Address to listen on. Any other than a loopback address needs keys."""
    port: Port = 4000
    """Port to listen on; 0 takes a free one."""
    workers: Positive = 1
    """Processes that answer side by side. One more watches over them, and replaces one that dies."""
    keys: tuple[KeyConfig, ...] = ()
    """Keys that clients may use. Without any, everybody who reaches the address may ask."""
    sigv4: tuple[PairConfig, ...] = ()
    """Key pairs for callers who sign, such as programs written for boto3. Each stands for one of 'keys'."""
    max_body: Bytes = spelt("64MiB")
    """Largest request body that is read."""
    max_in_flight: Whole = 256
    """Requests at the same time, of all clients; what comes on top is answered 429 at once. Workers share them evenly."""
    max_buffered: Bytes | None = None
    """Bytes of memory for bodies under way, each held twice; what comes on top is answered 429. Workers share them evenly.

    Default: 512MiB, or a quarter of the memory of the machine or container if that is less.
    """
    cors_origins: tuple[Origin, ...] = ()
    """Web pages of other origins that may ask. Default: none."""
    page: Flag = True
    """The page at /, with a playground and a view of all deployments. It holds no data; what it shows needs a key."""
    hosts: tuple[HostName, ...] = ()
    """Names, apart from localhost and addresses, under which a gateway without keys answers. With keys any name will do."""
    public_url: Url | None = None
    """What links to pictures in the gateway's memory begin with. Default: the address that a client used."""
    links: LinksConfig = Field(default_factory=LinksConfig)
    """The links of 'url' answers: how long they work, and where the pictures are."""
    link_ttl: Duration | None = None
    """Earlier name of 'links.ttl'."""
    spend_file: Text | None = None
    """File that keeps what keys have spent over restarts; the processes of one machine share it. Default: until the end."""
    log: LogFormat = "text"
    """How lines of the log are written to stderr: text, or json for machines."""
    audit: AuditConfig | None = None
    """Write every call for pictures down. Default: none is."""

    @property
    def link_seconds(self) -> float:
        """How long links work, whichever of its two names was used."""
        return self.links.ttl if self.link_ttl is None else self.link_ttl


def fits(pattern: str, name: str) -> bool:
    """True if ``name`` is the name, or one that a pattern with one ``*`` stands for."""
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == name
    return len(name) >= len(before) + len(after) and name.startswith(before) and name.endswith(after)
