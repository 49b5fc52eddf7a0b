"""S3 for pictures behind links: put under a name that nobody can guess, found by a presigned link that ends.

botocore's own client, with an identity resolved as for deployments. Facts about S3: a presigned link (SigV4) holds for
seven days at most, and no longer than the session of temporary credentials that it was signed with (S3 User Guide, "Download
and upload objects with presigned URLs").
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from botocore import exceptions as failures
from botocore.config import Config

from ..errors import ConnectionFailed, CredentialsError, ProviderError, Throttled, Unavailable
from ..types import Credentials
from .credentials import Keyring
from .faults import clean
from .keys import Keys
from .renewal import Cooldown
from .sessions import Sessions, silent
from .waiting import forked

__all__ = ["LONGEST", "Bucket", "Storage", "Stored"]

LONGEST = 7 * 86_400
"""Seconds, the most that S3 takes as X-Amz-Expires."""

_PATIENCE = 5.0
"""Seconds to wait for credentials."""
_NAME = 24
"""Random bytes of an object's name."""
_SETTINGS: dict[str, Any] = {
    "signature_version": "s3v4",
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 2},  # the same object again costs nothing
    "max_pool_connections": 32,
    "request_checksum_calculation": "when_required",  # storages that only speak S3's protocol know no others
    "response_checksum_validation": "when_required",
    "tcp_keepalive": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where pictures go. ``prefix`` is empty or ends with a slash; with ``endpoint_url`` the bucket stands in the path."""

    name: str
    region: str
    prefix: str = ""
    credentials: Credentials = field(default_factory=Credentials)
    endpoint_url: str | None = None
    verify: bool | str = True
    sse: str | None = None
    kms_key_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A link, and for how many seconds it holds. ``note`` says why that is, or may be, less than was asked for."""

    url: str = field(repr=False)
    seconds: int
    note: str | None = None


class Storage:
    """Puts pictures into one bucket. Thread-safe; connects when first used.

    After a failure nobody tries again for five seconds, unless S3 only asked for patience: who waits for a picture shall not
    wait for a bucket that is not there. ``clock`` is monotonic, ``wall`` Unix time; nobody guesses a
    ``new_name``.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        keyring: Keyring | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        new_name: Callable[[], str] = lambda: secrets.token_urlsafe(_NAME),
    ) -> None:
        self.bucket = bucket
        self._keyring = keyring or Keyring(clock=clock, wall=wall)
        self._sessions = Sessions()
        self._wall = wall
        self._new_name = new_name
        self._cooldown = Cooldown(clock)
        self._lock = threading.Lock()
        self._made: tuple[Keys, Any] | None = None
        forked(self)

    def put(self, data: bytes, *, media_type: str, suffix: str, seconds: float) -> Stored:
        """Put a picture, and make a link that holds for ``seconds``, or as long as it can.

        Blocks, for half a minute at most. Raises ProviderError in one line that names the bucket and no secret.
        """
        self._cooldown.check()
        try:
            keys = self._keyring.keys(self.bucket.credentials, self.bucket.region, timeout=_PATIENCE)
            return self._put(keys, data, media_type, suffix, seconds)
        except Throttled:
            raise
        except ProviderError as error:
            self._cooldown.remember(error)
            raise

    def after_fork(self) -> None:
        """A lock or a connection of the parent's is not ours."""
        self._lock = threading.Lock()
        self._made = None

    def _put(self, keys: Keys, data: bytes, media_type: str, suffix: str, seconds: float) -> Stored:
        lasts, note = self._lasting(keys, seconds)
        bucket = self.bucket
        place = {"Bucket": bucket.name, "Key": f"{bucket.prefix}{self._new_name()}.{suffix}"}
        facts: dict[str, Any] = {
            "ContentType": media_type,
            "ContentDisposition": "inline",
            "CacheControl": f"private, max-age={lasts}, immutable",
        }
        if bucket.sse:
            facts["ServerSideEncryption"] = bucket.sse
        if bucket.kms_key_id:
            facts["SSEKMSKeyId"] = bucket.kms_key_id
        if bucket.tags:
            facts["Tagging"] = urlencode(bucket.tags)
        try:
            with silent():
                client = self._client(keys)
                client.put_object(**place, **facts, Body=data)
                url = client.generate_presigned_url("get_object", Params=place, ExpiresIn=lasts)
        except (failures.BotoCoreError, failures.ClientError, OSError, ValueError) as error:
            ours = self._explain(error, keys)
        else:
            return Stored(url=url, seconds=lasts, note=note)
        raise ours  # out here, so that no foreign traceback, which holds keys, is behind it

    def _lasting(self, keys: Keys, seconds: float) -> tuple[int, str | None]:
        """For how long a link can hold, and what is to be said about it."""
        wanted = min(int(seconds), LONGEST)
        if keys.expires is None:
            if keys.token is None:
                return wanted, None
            return wanted, "links end with the session token of these credentials, which do not tell when that is"
        left = int(keys.expires - self._wall())
        if left < 1:
            raise CredentialsError(f"{self._where}: the credentials have expired", code="expired")
        if left >= wanted:
            return wanted, None
        return left, f"a link holds for {left} s instead of {wanted} s: then the session of these credentials is over"

    def _client(self, keys: Keys) -> Any:
        """One for each set of keys: temporary ones change about once an hour."""
        with self._lock:
            if self._made is None or self._made[0] != keys:
                bucket = self.bucket
                style = "path" if bucket.endpoint_url else "virtual"  # botocore knows which names need the path
                where: Any = {"addressing_style": style, "us_east_1_regional_endpoint": "regional"}
                client = self._sessions.client(
                    "s3",
                    keys,
                    region=bucket.region,
                    endpoint_url=bucket.endpoint_url,
                    # True would hide AWS_CA_BUNDLE, which counts by default.
                    verify=None if bucket.verify is True else bucket.verify,
                    config=Config(**_SETTINGS, s3=where),
                )
                self._made = keys, client
            return self._made[1]

    @property
    def _where(self) -> str:
        return f"bucket {self.bucket.name!r} in {self.bucket.region}"

    def _explain(self, error: Exception, keys: Keys) -> ProviderError:
        if isinstance(error, failures.ClientError):
            details = error.response.get("Error", {})
            code = str(details.get("Code", "error"))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            said = clean(f"{error.operation_name} refused: {code}: {details.get('Message', '')}", keys.secrets)
            text = f"{self._where}: {said}"
            if status == 429 or code in ("SlowDown", "RequestTimeout") or "Throttl" in code:
                return Throttled(text, code="storage_throttled", upstream_status=status)
            return Unavailable(text, code="storage_refused", upstream_status=status)
        kind = type(error).__name__
        if isinstance(error, failures.HTTPClientError | failures.ConnectionError | OSError):
            return ConnectionFailed(f"{self._where}: it could not be reached ({kind})", code="storage_unreachable")
        text = clean(f"{self._where}: {error}", keys.secrets)
        return Unavailable(text, code="storage_refused")
