"""What can go wrong with one request, as one tree. Facts about an error live on its class.

::

    LascauxError
    ├── RequestError                    the caller can mend it; never tried twice
    │   ├── InvalidRequest              a parameter is wrong, or no model can do it
    │   ├── ContentFiltered             prompt, input or picture was refused by a filter
    │   └── Rejected                    the provider refused the body for another reason
    └── ProviderError                   one deployment failed; another may succeed
        ├── Throttled                   too many requests (429), quota used up, model still loading
        ├── Unavailable                 no capacity, 5xx, the model failed
        ├── AttemptTimeout              no answer in time            (may have been billed)
        ├── ModelTimeout                the model gave up (408)      (may have been billed)
        ├── ConnectionFailed            nothing was sent
        ├── ConnectionBroken            lost after sending           (may have been billed)
        ├── BadResponse                 an answer nobody can read    (may have been billed)
        ├── CredentialsError            missing, expired, refused
        ├── ModelUnavailable            wrong id, region or access for this model
        └── ModelRetired                the model reached the end of its life

Errors of routing (`UnknownAlias`, `NoDeploymentAvailable`, ...) are in ``lascaux.router.errors``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

__all__ = [
    "AttemptTimeout",
    "BadResponse",
    "ConnectionBroken",
    "ConnectionFailed",
    "ContentFiltered",
    "CredentialsError",
    "Effect",
    "InvalidRequest",
    "LascauxError",
    "ModelRetired",
    "ModelTimeout",
    "ModelUnavailable",
    "ProviderError",
    "Rejected",
    "RequestError",
    "Throttled",
    "Unavailable",
]


class Effect(StrEnum):
    """What an error does to the health of the deployment that raised it."""

    NONE = "none"
    """Says nothing about the deployment."""
    COOLDOWN = "cooldown"
    """Rest for ``retry_after`` or a moment; the deployment is not ill."""
    FAILURE = "failure"
    """Counts towards opening the circuit breaker."""
    OUT = "out"
    """Needs a human (credentials, access, wrong id): open at once and for long."""
    RETIRED = "retired"
    """The model is gone: a last resort from now on."""


class LascauxError(Exception):
    """The root of every error that Lascaux raises on purpose.

    ``str(error)`` is one line without secrets. ``status`` is the HTTP status a gateway answers with, ``code`` a stable
    machine-readable name.
    """

    retry: ClassVar[bool] = False
    """May another deployment of the alias be asked?"""
    fallback: ClassVar[bool] = False
    """May another alias be asked?"""
    effect: ClassVar[Effect] = Effect.NONE
    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "error"
    default_may_be_billed: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.attempts: tuple[Any, ...] = ()
        """The router's records of the calls that were made before this error ended the request."""
        self.shared = False
        """True if the call that failed was that of another, equal request, which has its bill."""

    @property
    def status_code(self) -> int:
        """``status``, under the name that clients of OpenAI's and LiteLLM's errors read."""
        return self.status

    @property
    def may_be_billed(self) -> bool:
        """True if AWS may have charged for the failed call."""
        return self.default_may_be_billed


class RequestError(LascauxError):
    """The request itself is at fault. Asking elsewhere would not help."""

    status = 400
    default_code = "invalid_request"


class InvalidRequest(RequestError):
    """A parameter is unknown, out of range, or not possible on any model that could answer.

    ``parameter`` names the field, ``allowed`` says what would be accepted, ``nearest`` is the closest valid choice.
    """

    def __init__(
        self,
        message: str,
        *,
        parameter: str | None = None,
        allowed: str | None = None,
        nearest: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.parameter = parameter
        self.allowed = allowed
        self.nearest = nearest


class _FromProvider(LascauxError):
    """Where an error came from. Every field may be unknown."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        upstream_status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        may_be_billed: bool | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.upstream_status = upstream_status
        self.request_id = request_id
        self.retry_after = retry_after
        """Seconds the provider asked us to wait, or None."""
        self._may_be_billed = may_be_billed

    @property
    def may_be_billed(self) -> bool:
        """True if AWS may have charged for the failed call."""
        return self.default_may_be_billed if self._may_be_billed is None else self._may_be_billed


class ContentFiltered(_FromProvider, RequestError):
    """A content filter refused the prompt, an input picture, or every picture that was made.

    ``stage`` is ``prompt``, ``input_image`` or ``output_image``. AWS does not say whether filtered output is billed.
    """

    default_code = "content_filtered"

    def __init__(
        self,
        message: str,
        *,
        stage: str = "prompt",
        code: str | None = None,
        upstream_status: int | None = None,
        request_id: str | None = None,
        may_be_billed: bool | None = None,
    ) -> None:
        super().__init__(
            message,
            code=code,
            upstream_status=upstream_status,
            request_id=request_id,
            may_be_billed=stage == "output_image" if may_be_billed is None else may_be_billed,
        )
        self.stage = stage


class Rejected(_FromProvider, RequestError):
    """Bedrock answered ValidationException to the body we sent, and the message names no other cause."""

    default_code = "rejected_by_provider"


class ProviderError(_FromProvider):
    """One call to one deployment failed for a reason that is not the caller's."""

    retry = True
    fallback = True
    effect = Effect.FAILURE
    status = 502
    default_code = "provider_error"


class Throttled(ProviderError):
    """Too many requests for this account, region and model; or the model is still loading. Nothing was billed."""

    effect = Effect.COOLDOWN
    status = 429
    default_code = "throttled"


class Unavailable(ProviderError):
    """No capacity, an internal error, or the model failed (500, 503, 529, 424, an inference error inside a 200)."""

    status = 503
    default_code = "unavailable"


class AttemptTimeout(ProviderError):
    """No answer within the attempt timeout. The picture may have been made and billed all the same."""

    status = 504
    default_code = "attempt_timeout"
    default_may_be_billed = True


class ModelTimeout(ProviderError):
    """Bedrock gave up waiting for the model (408)."""

    status = 504
    default_code = "model_timeout"
    default_may_be_billed = True


class ConnectionFailed(ProviderError):
    """No connection could be made: DNS, refused, TLS, connect timeout. Nothing was sent."""

    default_code = "connection_failed"


class ConnectionBroken(ProviderError):
    """The connection was lost after the request had been sent, or while the answer was being read."""

    default_code = "connection_broken"
    default_may_be_billed = True


class BadResponse(ProviderError):
    """The answer is not what the model's documentation promises: broken JSON, no picture, not a picture."""

    default_code = "bad_response"
    default_may_be_billed = True


class CredentialsError(ProviderError):
    """The deployment's credentials are missing, incomplete, expired or refused."""

    effect = Effect.OUT
    default_code = "credentials"


class ModelUnavailable(ProviderError):
    """This deployment can not reach its model: wrong id or region, no access, on-demand not offered."""

    effect = Effect.OUT
    default_code = "model_unavailable"


class ModelRetired(ProviderError):
    """The model has reached the end of its life, or the account lost a legacy model by not using it."""

    effect = Effect.RETIRED
    status = 410
    default_code = "model_retired"
