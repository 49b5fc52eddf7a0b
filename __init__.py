"""Images on Amazon Bedrock: one router, every model, exact prices.

>>> from lascaux import Router
>>> with Router.from_yaml("configs/quickstart.yaml") as router:
...     result = router.generate("hero", "A cute baby sea otter", size="1024x1024", seed=30)
...     result.images[0].save("otter.png")
...     print(result.deployment, result.cost, result.cache)

`AsyncRouter` is the same, awaited. `image_generation` and `aimage_generation` take LiteLLM's arguments.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AsyncRouter": "router.async_client",
    "Attempt": "router.records",
    "AttemptsFailed": "router.errors",
    "Config": "router.config",
    "ConfigError": "router.errors",
    "ContentFiltered": "providers.errors",
    "Cost": "pricing",
    "DeadlineExceeded": "router.errors",
    "Explanation": "router.explain",
    "Image": "providers.types",
    "InvalidRequest": "providers.errors",
    "LascauxError": "providers.errors",
    "NoDeploymentAvailable": "router.errors",
    "PriceBook": "pricing",
    "ProviderError": "providers.errors",
    "Quote": "router.explain",
    "Reload": "router.reload",
    "RequestError": "providers.errors",
    "Result": "router.records",
    "Router": "router.client",
    "RoutingError": "router.errors",
    "Task": "providers.types",
    "UnknownAlias": "router.errors",
    "Warning": "providers.types",
    "aimage_edit": "compat.functions",
    "aimage_generation": "compat.functions",
    "aimage_variation": "compat.functions",
    "image_edit": "compat.functions",
    "image_generation": "compat.functions",
    "image_variation": "compat.functions",
}

if TYPE_CHECKING:
    from .compat.functions import (
        aimage_edit,
        aimage_generation,
        aimage_variation,
        image_edit,
        image_generation,
        image_variation,
    )
    from .pricing import Cost, PriceBook
    from .providers.errors import ContentFiltered, InvalidRequest, LascauxError, ProviderError, RequestError
    from .providers.types import Image, Task, Warning
    from .router.async_client import AsyncRouter
    from .router.client import Router
    from .router.config import Config
    from .router.errors import (
        AttemptsFailed,
        ConfigError,
        DeadlineExceeded,
        NoDeploymentAvailable,
        RoutingError,
        UnknownAlias,
    )
    from .router.explain import Explanation, Quote
    from .router.records import Attempt, Result
    from .router.reload import Reload

__all__ = [
    "AsyncRouter",
    "Attempt",
    "AttemptsFailed",
    "Config",
    "ConfigError",
    "ContentFiltered",
    "Cost",
    "DeadlineExceeded",
    "Explanation",
    "Image",
    "InvalidRequest",
    "LascauxError",
    "NoDeploymentAvailable",
    "PriceBook",
    "ProviderError",
    "Quote",
    "Reload",
    "RequestError",
    "Result",
    "Router",
    "RoutingError",
    "Task",
    "UnknownAlias",
    "Warning",
    "aimage_edit",
    "aimage_generation",
    "aimage_variation",
    "image_edit",
    "image_generation",
    "image_variation",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import lascaux` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lascaux' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
