"""Who signs a call: from what a deployment names to the keys of this moment.

A deployment's credentials are complete or refused, and never mixed with the environment. Explicit keys ignore
AWS_SESSION_TOKEN and AWS_PROFILE; whoever names keys, a profile or a role signs with SigV4 even when
AWS_BEARER_TOKEN_BEDROCK is set; a named profile without credentials does not fall back to the machine's role. Only
credentials that name nothing use boto3's default chain, and there AWS_BEARER_TOKEN_BEDROCK wins, as in boto3.

botocore is loaded when the first profile, role or default chain is used; static keys and API keys do without.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import CredentialsError
from ..types import Credentials, Secret
from .ids import ModelRef, environment_region, partition_of, resolve_region
from .keys import Keys, Proof, Token
from .renewal import Cooldown, Renewable, Renewed, Source
from .spec import SpecKind, check, kind_of
from .waiting import forked

if TYPE_CHECKING:
    from .sessions import Sessions

__all__ = ["BEARER_VARIABLE", "Keyring", "find_region"]

BEARER_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"
MAX_SOURCES = 1024


class _Fixed:
    """Keys or a token that are what they are."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof

    def proof(self, timeout: float | None = None) -> Proof:
        return self._proof

    def at_hand(self) -> Proof:
        return self._proof


class Keyring:
    """All identities of a process, each made once, when first used. Thread-safe.

    A failing source is asked again after five seconds at the earliest; until then its error is repeated, so that a storm of
    requests is not a storm on STS. ``clock`` is monotonic seconds, ``wall`` Unix time (when do credentials expire).
    """

    def __init__(
        self,
        *,
        env: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._env = env
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._sources: dict[tuple[Credentials, str | None], Source] = {}
        self._recent: dict[tuple[int, str], tuple[Credentials, Source]] = {}
        """The same by identity: to hash credentials means to hash all their fields, for every call."""
        self._opened: Sessions | None = None
        forked(self)

    def proof(self, spec: Credentials, region: str, *, timeout: float | None = None) -> Proof:
        """What to sign a call to ``region`` with, waited for at most ``timeout`` seconds.

        Raises CredentialsError in one line, without secrets; ConnectionFailed if the time does not suffice, for then nobody
        knows whether anything is wrong with the credentials.
        """
        recent = self._recent.get((id(spec), region))
        if recent is not None and recent[0] is spec:
            return recent[1].proof(timeout)
        source = self.source(spec, region)
        if len(self._recent) >= MAX_SOURCES:
            self._recent = {}
        self._recent[id(spec), region] = (spec, source)
        return source.proof(timeout)

    def at_hand(self, spec: Credentials, region: str) -> Proof | None:
        """`proof` if it was asked for before and nothing has to be found or renewed for it, else None."""
        recent = self._recent.get((id(spec), region))
        return recent[1].at_hand() if recent is not None and recent[0] is spec else None

    def keys(self, spec: Credentials, region: str, *, timeout: float | None = None) -> Keys:
        """`proof` for a service other than Bedrock: an API key of Bedrock's in the environment is passed over.

        Raises CredentialsError for credentials that are such a key.
        """
        source = self.source(spec, region)
        proof = (source.chain if isinstance(source, _Default) else source).proof(timeout)
        if not isinstance(proof, Keys):
            text = f"credentials {spec.name!r}: only Bedrock takes an API key; access keys or a role are needed here"
            raise CredentialsError(text, code="incomplete_credentials")
        return proof

    def after_fork(self) -> None:
        """Begin anew: a lookup of the parent never ends in its child."""
        self._lock = threading.Lock()
        self._sources = {}
        self._recent = {}
        self._opened = None

    def source(self, spec: Credentials, region: str) -> Source:
        """The identity behind ``spec``, shared by all regions of a partition."""
        key = (spec, partition_of(region))
        source = self._sources.get(key)
        if source is None:
            made = self._make(spec, region)
            with self._lock:
                while len(self._sources) >= MAX_SOURCES:
                    self._sources.pop(next(iter(self._sources)))
                source = self._sources.setdefault(key, made)
        return source

    def retain(self, specs: Iterable[Credentials]) -> None:
        """Forget all identities but these and those that assume their roles. Whoever uses one may end what it does."""
        wanted: set[Credentials | None] = set()
        for spec in specs:
            link: Credentials | None = spec
            while link is not None:
                wanted.add(link)
                link = link.source or (Credentials() if link.role_arn else None)
        with self._lock:
            self._sources = {key: source for key, source in self._sources.items() if key[0] in wanted}
            self._recent = {}

    def settings(self, spec: Credentials) -> Mapping[str, str]:
        """The profile's settings for endpoints and TLS from ``~/.aws/config``; empty unless a profile is in play."""
        if kind_of(spec) not in (SpecKind.PROFILE, SpecKind.DEFAULT):
            return {}
        return self._sessions().settings(spec)

    def _make(self, spec: Credentials, region: str) -> Source:
        check(spec)
        kind = kind_of(spec)
        if kind is SpecKind.BEARER and spec.bearer_token:
            return _Fixed(Token(spec.bearer_token.reveal()))
        if kind is SpecKind.KEYS and spec.access_key_id and spec.secret_access_key:
            token = spec.session_token.reveal() if spec.session_token else None
            return _Fixed(Keys(spec.access_key_id, spec.secret_access_key.reveal(), token))
        if kind in (SpecKind.ROLE, SpecKind.WEB_IDENTITY):
            return self._role(spec, kind, region)
        chain = Renewed(lambda cooldown: self._sessions().find(spec, region), clock=self._clock)
        return _Default(self._env, chain) if kind is SpecKind.DEFAULT else chain

    def _role(self, spec: Credentials, kind: SpecKind, region: str) -> Source:
        source: Source | None = None
        if kind is SpecKind.ROLE:
            source = self.source(spec.source or Credentials(), region)
            source = source.chain if isinstance(source, _Default) else source

        def load(cooldown: Cooldown) -> Renewable:
            return self._sessions().assume(spec, region, source=source, cooldown=cooldown, wall=self._wall)

        return Renewed(load, clock=self._clock)

    def _sessions(self) -> Sessions:
        from .sessions import Sessions

        with self._lock:
            if self._opened is None:
                self._opened = Sessions()
            return self._opened


class _Default:
    """boto3's default chain; a Bedrock API key in the environment comes first, and is read anew for each call."""

    def __init__(self, env: Mapping[str, str], chain: Renewed) -> None:
        self._env = env
        self.chain = chain
        """The chain without the API key, for STS, which takes none."""

    def proof(self, timeout: float | None = None) -> Proof:
        return self._token() or self.chain.proof(timeout)

    def at_hand(self) -> Proof | None:
        return self._token() or self.chain.at_hand()

    def _token(self) -> Token | None:
        text = self._env.get(BEARER_VARIABLE, "").strip()
        if not text:
            return None
        check(Credentials(name=BEARER_VARIABLE, bearer_token=Secret(text)))
        return Token(text)


def find_region(
    ref: ModelRef,
    *,
    deployment: str | None = None,
    credentials: Credentials | None = None,
    env: Mapping[str, str] = os.environ,
) -> str:
    """The region to call, with the profile's region read from ``~/.aws`` only if nothing stronger names one.

    The region of a profile that the deployment names beats the environment; that of the profile in use by default is the
    last to be asked, as in boto3. Raises InvalidRequest, or CredentialsError for a profile that does not exist.
    """
    spec = credentials or Credentials()
    profile = None
    environment = None if deployment or ref.region else environment_region(env)
    if not deployment and not ref.region:
        if spec.profile:
            profile = _profile_region(spec)
        elif not environment and kind_of(spec) is SpecKind.DEFAULT:
            environment = _profile_region(spec)
    return resolve_region(deployment=deployment, arn=ref.region, profile=profile, environment=environment)


def _profile_region(spec: Credentials) -> str | None:
    from .sessions import Sessions

    return Sessions().settings(spec).get("region")
