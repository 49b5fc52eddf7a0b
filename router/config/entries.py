"""What deployments and aliases are once the configuration is resolved."""

from __future__ import annotations

from dataclasses import dataclass, field

from .schema import Limits, RetryConfig

__all__ = ["AliasConfig", "DeploymentConfig", "Use"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentConfig:
    """One place that can serve a model. ``region`` is None when an ARN, a profile or the environment shall say it.

    ``group`` is the name under which it was written: with ``regions`` several deployments share one. ``credentials`` is a
    name, None for boto3's default chain. ``base_model`` is what was written beside an ARN that does not tell.
    """

    name: str
    group: str
    model: str
    region: str | None = None
    credentials: str | None = None
    inference_profile: str | None = None
    base_model: str | None = None
    endpoint_url: str | None = None
    use_fips: bool = False
    use_dualstack: bool = False
    verify: bool | str = True
    limits: Limits = field(default_factory=Limits)
    place: str | None = field(default=None, compare=False)
    """Where it is written, as ``file:line:column``, or the variable that says so; for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A deployment in an alias: its share among those of one priority, and the priority (0 first)."""

    deployment: str
    weight: float = 1.0
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasConfig:
    """What a client may send as ``model``: deployments to choose from, or (with ``match``) model ids passed through.

    ``retry`` is complete, or None where the general one holds. ``region`` and the fields after it are those of the
    deployments that a pass-through makes.
    """

    name: str
    uses: tuple[Use, ...] = ()
    strategy: str = "weighted_random"
    fallbacks: tuple[str, ...] = ()
    background_remover: str | None = None
    strict: bool = False
    retry: RetryConfig | None = None
    match: str | None = None
    region: str | None = None
    credentials: str | None = None
    endpoint_url: str | None = None
    use_fips: bool = False
    use_dualstack: bool = False
    verify: bool | str = True

    def model_of(self, name: str) -> str | None:
        """The model id that ``name`` asks this pass-through for: what ``*`` stands for. None if it does not match."""
        before, star, after = (self.match or "").partition("*")
        fits = star and name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
        return name[len(before) : len(name) - len(after)] if fits else None

    def deployment_for(self, name: str) -> DeploymentConfig | None:
        """The deployment that a pass-through makes for a client's ``name``; None if it does not match."""
        model = self.model_of(name)
        if model is None:
            return None
        return DeploymentConfig(
            name=name,
            group=self.name,
            model=model,
            region=self.region,
            credentials=self.credentials,
            endpoint_url=self.endpoint_url,
            use_fips=self.use_fips,
            use_dualstack=self.use_dualstack,
            verify=self.verify,
        )
