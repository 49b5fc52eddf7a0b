"""Wire formats of Bedrock's image models: requests to bodies, answers to pictures. Pure; no I/O.

Adding a family is one file and one line in `FAMILIES`.
"""

from __future__ import annotations

from ...base import Family
from ...catalog import Model
from ...errors import InvalidRequest
from .nova_canvas import NovaCanvas
from .sdxl import Sdxl
from .stability import Stability
from .stability_services import StabilityServices
from .titan import Titan

__all__ = ["FAMILIES", "family_for"]

FAMILIES: tuple[Family, ...] = (Titan(), NovaCanvas(), Sdxl(), Stability(), StabilityServices())

_BY_NAME = {family.name: family for family in FAMILIES}


def family_for(model: Model) -> Family:
    """The family of a model. Raises InvalidRequest when this version has none for it."""
    family = _BY_NAME.get(model.family)
    if family is None:
        able = ", ".join(model.tasks)
        message = f"model: this version does not serve {model.id} ({model.name}: {able})"
        raise InvalidRequest(message, parameter="model", allowed="models of " + ", ".join(sorted(_BY_NAME)))
    return family
