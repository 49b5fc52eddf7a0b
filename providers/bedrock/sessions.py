"""botocore for what it does best: finding credentials, renewing them, reading ``~/.aws``. Only here are its insides used.

One session per identity, all with one data loader (a session with its own loader costs 50 ms and 8 MB). While botocore
works for us its log is silent: at DEBUG it would write session tokens, and the keys in STS's answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from botocore import credentials as aws
from botocore import exceptions as failures
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.session import Session

from ..errors import ConnectionFailed, CredentialsError, ProviderError, Throttled, Unavailable
from ..types import Credentials
from .faults import clean
from .keys import Keys
from .renewal import MANDATORY, Cooldown, Source
from .spec import SpecKind, fits_header, kind_of, secrets_of, session_name

__all__ = ["Sessions", "silent"]

log = logging.getLogger(__name__)

T = TypeVar("T")

KNOWN = (
    failures.BotoCoreError,
    failures.ClientError,
    ResponseParserError,
    OSError,
    ValueError,
    KeyError,
    RuntimeError,
    EOFError,
)
"""What botocore and the files it reads raise. RuntimeError: renewed credentials that have expired already."""

STS = Config(connect_timeout=3, read_timeout=7, retries={"mode": "standard", "total_max_attempts": 2})
_MACHINE = ("ec2-credentials-file", "boto-config", "container-role", "iam-role")
"""Providers that know no profile; a named profile must not end up with the machine's role."""
_NO_PROFILE = {"profile": (None, None, None, None)}

_silent: ContextVar[bool] = ContextVar("lascaux_botocore_silent", default=False)


class _Silence(logging.Filter):
    """Drops what botocore logs on our behalf; what it logs for others passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _silent.get()


_SILENCE = _Silence()


@contextmanager
def silent() -> Iterator[None]:
    """What botocore logs in this time, in this thread, is dropped."""
    mark = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(mark)


def _ask(spec: Credentials, work: Callable[[], T]) -> T:
    """Let botocore work, in silence; its errors as ours: one line, no secret, and no foreign traceback behind it."""
    try:
        with silent():
            return work()
    except ProviderError:
        raise
    except KNOWN as error:
        ours = _explain(error, spec)
    # Raised out here, so that neither the chain nor this frame's variables hold what STS or a file said.
    raise ours


class Sessions:
    """The sessions of one keyring. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loader: Any = None

    def find(self, spec: Credentials, region: str) -> Found:
        """Look along the default chain, or in a profile. Raises CredentialsError."""

        def look() -> Any:
            session = self._open(spec.profile)
            session.set_config_variable("region", region)
            if spec.profile is not None:
                resolver = session.get_component("credential_provider")
                for name in _MACHINE:
                    resolver.remove(name)
            return session.get_credentials()

        found = _ask(spec, look)
        if found is None:
            raise _nothing(spec)
        log.debug("credentials %r: found by %s", spec.name, found.method)
        return Found(spec, found)

    def assume(
        self, spec: Credentials, region: str, *, source: Source | None, cooldown: Cooldown, wall: Callable[[], float]
    ) -> Found:
        """A role's credentials, not asked for yet: from ``source``, or from a web identity token when it is None."""
        session = _ask(spec, lambda: self._open(None, explicit=True))
        fetcher = _fetcher(spec, _client_maker(session, spec, region), source)

        def fetch() -> Any:
            cooldown.check()
            try:
                return _ask(spec, fetcher.fetch_credentials)
            except ProviderError as error:
                cooldown.remember(error)
                if not found.due(MANDATORY):  # then botocore goes on with the keys it has, and says nothing
                    log.warning("the keys in use still serve, but could not be renewed: %s", error)
                raise

        kind = "assume-role" if source else "assume-role-with-web-identity"
        now = lambda: datetime.fromtimestamp(wall(), tz=UTC)  # noqa: E731 - botocore wants a callable
        found = Found(spec, aws.DeferredRefreshableCredentials(fetch, kind, time_fetcher=now))
        return found

    def settings(self, spec: Credentials) -> Mapping[str, str]:
        """The settings of the profile in use: ``region``, ``ca_bundle``, ``endpoint_url``, ``use_fips_endpoint``, ...

        The entry for Bedrock in a ``services`` section is returned as ``bedrock_runtime.endpoint_url``.
        """

        def read() -> dict[str, str]:
            session = self._open(spec.profile)
            scoped = {key: value for key, value in session.get_scoped_config().items() if isinstance(value, str)}
            services = session.full_config.get("services", {}).get(scoped.get("services"), {})
            special = services.get("bedrock_runtime", {})
            if isinstance(special, dict) and special.get("endpoint_url"):
                scoped["bedrock_runtime.endpoint_url"] = special["endpoint_url"]
            return scoped

        return _ask(spec, read)

    def client(self, service: str, keys: Keys, *, region: str, **settings: Any) -> Any:
        """A client of botocore's for a service, signed with these keys and no others. ``settings`` are its own."""
        session = self._open(None, explicit=True)
        return session.create_client(
            service,
            region_name=region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            **settings,
        )

    def _open(self, profile: str | None, *, explicit: bool = False) -> Session:
        """A session; ``explicit`` ones do not look at AWS_PROFILE."""
        session = Session(profile=profile, session_vars=_NO_PROFILE if explicit else None)
        if profile is not None and profile not in session.available_profiles:
            near = get_close_matches(profile, session.available_profiles, n=1)
            raise failures.ProfileNotFound(profile=profile, nearest=f"; did you mean {near[0]!r}?" if near else "")
        with self._lock:
            if self._loader is None:
                self._loader = session.get_component("data_loader")
            session.register_component("data_loader", self._loader)
        for name in list(logging.root.manager.loggerDict):
            if name.startswith(("botocore", "urllib3")):
                logging.getLogger(name).addFilter(_SILENCE)
        return session


class Found:
    """Credentials that botocore keeps fresh."""

    def __init__(self, spec: Credentials, found: Any) -> None:
        self._spec = spec
        self._found = found

    def due(self, within: int) -> bool:
        """True if they expire within so many seconds; keys without expiry never do."""
        needed = getattr(self._found, "refresh_needed", None)
        return needed is not None and bool(needed(within))

    def keys(self) -> Keys:
        """One consistent triple, renewed when due. Raises ProviderError."""
        before = None if self.due(MANDATORY) else self._until()
        frozen = _ask(self._spec, self._found.get_frozen_credentials)
        until = self._until()
        if before is not None and until is not None:
            until = min(before, until)  # another thread may have renewed them, and these may be the old ones
        if not frozen.access_key or not frozen.secret_key:
            raise _nothing(self._spec)
        if not fits_header(frozen.access_key) or (frozen.token and not fits_header(frozen.token)):
            raise _error(self._spec, "the key or session token that was found has characters that no key has")
        return Keys(frozen.access_key, frozen.secret_key, frozen.token or None, expires=until)

    def _until(self) -> float | None:
        moment = getattr(self._found, "_expiry_time", None)
        return moment.timestamp() if isinstance(moment, datetime) else None


class _Caller:
    """A source in the form in which botocore wants the caller of AssumeRole."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def get_frozen_credentials(self) -> aws.ReadOnlyCredentials:
        proof = self._source.proof()
        if not isinstance(proof, Keys):
            raise CredentialsError("STS does not take a bearer token", code="incomplete_credentials")
        return aws.ReadOnlyCredentials(proof.access_key, proof.secret_key, proof.token)


class _NoCache(dict[str, Any]):
    """botocore's second cache, switched off: it goes by the machine's clock, and the first one is enough."""

    def __setitem__(self, key: str, value: Any) -> None:
        return


def _client_maker(session: Session, spec: Credentials, region: str) -> Callable[..., Any]:
    def make(service: str, *, config: Config | None = None, **keys: Any) -> Any:
        merged = STS.merge(config) if config else STS
        return session.create_client(service, region_name=region, endpoint_url=spec.sts_endpoint, config=merged, **keys)

    return make


def _fetcher(spec: Credentials, make_client: Callable[..., Any], source: Source | None) -> aws.CachedCredentialFetcher:
    arguments: dict[str, Any] = {"RoleSessionName": session_name(spec), "DurationSeconds": spec.duration or 3600}
    if source is None:
        return aws.AssumeRoleWithWebIdentityCredentialFetcher(
            make_client, _token_reader(spec), spec.role_arn or "", extra_args=arguments, cache=_NoCache()
        )
    if spec.external_id:
        arguments["ExternalId"] = spec.external_id.reveal()
    if spec.session_tags:
        arguments["Tags"] = [{"Key": key, "Value": value} for key, value in spec.session_tags]
    return aws.AssumeRoleCredentialFetcher(
        make_client, _Caller(source), spec.role_arn or "", extra_args=arguments, cache=_NoCache()
    )


def _token_reader(spec: Credentials) -> Callable[[], str]:
    """A file is read again at each renewal, because whoever wrote it rotates it."""

    def read() -> str:
        if spec.web_identity_token is not None:
            return spec.web_identity_token.reveal()
        path = spec.web_identity_token_file or ""
        try:
            token = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise _error(spec, f"web_identity_token_file {path!r} can not be read: {why}") from None
        if not token:
            raise _error(spec, f"web_identity_token_file {path!r} is empty")
        return token

    return read


def _explain(error: Exception, spec: Credentials) -> ProviderError:
    if isinstance(error, failures.ClientError):
        return _refused(error, spec)
    if isinstance(error, failures.ProfileNotFound):
        near = error.kwargs.get("nearest", "")
        return _error(
            spec, f"profile {error.kwargs.get('profile')!r} is not in the AWS config or credentials file{near}"
        )
    if isinstance(error, failures.PartialCredentialsError):
        return _error(spec, f"{error.kwargs.get('cred_var')} is missing (from {error.kwargs.get('provider')})")
    if isinstance(error, failures.HTTPClientError | failures.ConnectionError):
        host = str(error.kwargs.get("endpoint_url") or "STS")
        text = f"credentials {spec.name!r}: {host} could not be reached ({type(error).__name__})"
        return ConnectionFailed(clean(text, secrets_of(spec)), code="sts_unreachable")
    if isinstance(error, ResponseParserError):  # its text is the whole answer
        text = f"credentials {spec.name!r}: STS gave an answer that can not be read"
        return Unavailable(text, code="sts_unavailable")
    if isinstance(error, failures.BotoCoreError):
        return _error(spec, str(error))
    if isinstance(error, OSError):
        return _error(spec, error.strerror or type(error).__name__)
    if isinstance(error, RuntimeError):
        return _error(spec, "the renewed keys have expired already; check this machine's clock")
    # The text of the others may quote what was read.
    return _error(spec, f"they could not be read ({type(error).__name__})")


def _refused(error: failures.ClientError, spec: Credentials) -> ProviderError:
    """STS, or IAM Identity Center, said no."""
    details: Mapping[str, Any] = error.response.get("Error", {})
    code = str(details.get("Code", "error"))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    who = f"role {spec.role_arn}" if spec.role_arn else kind_of(spec).value
    text = f"credentials {spec.name!r}: {error.operation_name} refused for {who}: {code}: {details.get('Message', '')}"
    text = clean(text, secrets_of(spec))
    if "Throttl" in code or status == 429:
        return Throttled(text, code="sts_throttled", upstream_status=status)
    if status >= 500:
        return Unavailable(text, code="sts_unavailable", upstream_status=status)
    expired = code in ("ExpiredToken", "ExpiredTokenException")
    return CredentialsError(text, code="expired" if expired else "sts_denied", upstream_status=status)


def _nothing(spec: Credentials) -> CredentialsError:
    if kind_of(spec) is SpecKind.PROFILE:
        text = f"credentials {spec.name!r}: profile {spec.profile!r} has no credentials"
    else:
        text = (
            f"credentials {spec.name!r}: none were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or "
            "AWS_BEARER_TOKEN_BEDROCK, or name credentials in the configuration"
        )
    return CredentialsError(text, code="no_credentials")


def _error(spec: Credentials, message: str) -> CredentialsError:
    return CredentialsError(clean(f"credentials {spec.name!r}: {message}", secrets_of(spec)))
