"""What the emulator knows of each model: family, regions, dates, and how it may be called.

A transcription of its own, made on 2026-11-22 from AWS's parameter pages, the model cards and the lifecycle page
(and, where those are gone, from public records of them). Where the documents leave a doubt the wider reading stands
here, because a look-alike must not refuse what the service may accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

__all__ = ["MODELS", "SERVICES", "Model", "find"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One catalogue entry. ``profile`` is the system inference profile (``us.`` + id) without which it can not be called."""

    id: str
    name: str
    provider: str
    family: str
    regions: tuple[str, ...]
    launched: date | None = None
    legacy: date | None = None
    eol: date | None = None
    inference: tuple[str, ...] = ("ON_DEMAND",)
    modalities: tuple[str, ...] = ("TEXT", "IMAGE")
    profile: str | None = None

    def status(self, today: date) -> str:
        """``ACTIVE``, ``LEGACY`` or ``EOL`` on that day."""
        if self.eol is not None and today >= self.eol:
            return "EOL"
        return "LEGACY" if self.legacy is not None and today >= self.legacy else "ACTIVE"


_EAST_WEST = ("us-east-1", "us-west-2")
_TITAN_1 = ("us-east-1", "us-west-2", "ap-south-1", "eu-west-1", "eu-west-2")
_OREGON = ("us-west-2",)
_US_PROFILE = ("us-east-1", "us-east-2", "us-west-2")


def _amazon(id: str, name: str, family: str, regions: tuple[str, ...], **more: object) -> Model:
    return Model(id=id, name=name, provider="Amazon", family=family, regions=regions, **more)  # type: ignore[arg-type]


def _stability(id: str, name: str, family: str, regions: tuple[str, ...], **more: object) -> Model:
    return Model(id=id, name=name, provider="Stability AI", family=family, regions=regions, **more)  # type: ignore[arg-type]


_FIRST = {"launched": date(2024, 9, 4), "legacy": date(2025, 1, 31), "eol": date(2025, 9, 4)}
_SECOND = {"launched": date(2024, 12, 19)}
_SDXL_1 = {"legacy": date(2024, 10, 16), "eol": date(2025, 5, 20)}
_TITAN_1_DATES = {"legacy": date(2025, 1, 31), "eol": date(2025, 8, 15)}

_GENERATORS = (
    _amazon("amazon.titan-image-generator-v1", "Titan Image Generator G1", "titan-image", _TITAN_1, **_TITAN_1_DATES),
    _amazon(
        "amazon.titan-image-generator-v1:0",
        "Titan Image Generator G1",
        "titan-image",
        _TITAN_1,
        **_TITAN_1_DATES,
        inference=("PROVISIONED",),
    ),
    _amazon(
        "amazon.titan-image-generator-v2:0",
        "Titan Image Generator G1 v2",
        "titan-image",
        _EAST_WEST,
        launched=date(2024, 8, 6),
        legacy=date(2025, 12, 30),
        eol=date(2026, 6, 30),
        inference=("ON_DEMAND", "PROVISIONED"),
    ),
    _amazon(
        "amazon.nova-canvas-v1:0",
        "Nova Canvas",
        "nova-canvas",
        ("us-east-1", "eu-west-1", "ap-northeast-1"),
        launched=date(2024, 12, 4),
        legacy=date(2026, 3, 30),
        eol=date(2026, 9, 30),
    ),
    _amazon(
        "amazon.nova-2-omni-v1:0",
        "Nova 2 Omni",
        "nova-omni",
        _EAST_WEST,
        inference=("INFERENCE_PROFILE",),
        profile="us.amazon.nova-2-omni-v1:0",
    ),
    _stability(
        "stability.stable-diffusion-xl-v0",
        "SDXL 0.8",
        "sdxl",
        _EAST_WEST,
        legacy=date(2024, 2, 2),
        eol=date(2024, 4, 30),
    ),
    _stability("stability.stable-diffusion-xl-v1", "SDXL 1.0", "sdxl", _EAST_WEST, **_SDXL_1),
    _stability(
        "stability.stable-diffusion-xl-v1:0", "SDXL 1.0", "sdxl", _EAST_WEST, **_SDXL_1, inference=("PROVISIONED",)
    ),
    _stability("stability.sd3-large-v1:0", "SD3 Large 1.0", "stability-generate", _OREGON, **_FIRST),
    _stability("stability.sd3-5-large-v1:0", "Stable Diffusion 3.5 Large", "stability-generate", _OREGON, **_SECOND),
    _stability(
        "stability.stable-image-core-v1:0",
        "Stable Image Core 1.0",
        "stability-generate",
        _OREGON,
        modalities=("TEXT",),
        **_FIRST,
    ),
    _stability(
        "stability.stable-image-core-v1:1",
        "Stable Image Core 1.0",
        "stability-generate",
        _OREGON,
        modalities=("TEXT",),
        **_SECOND,
    ),
    _stability(
        "stability.stable-image-ultra-v1:0",
        "Stable Image Ultra 1.0",
        "stability-generate",
        _OREGON,
        modalities=("TEXT",),
        **_FIRST,
    ),
    _stability(
        "stability.stable-image-ultra-v1:1",
        "Stable Image Ultra 1.0",
        "stability-generate",
        _OREGON,
        modalities=("TEXT",),
        **_SECOND,
    ),
)

SERVICES: Mapping[str, str] = {
    "stable-image-inpaint": "Inpaint",
    "stable-outpaint": "Outpaint",
    "stable-image-erase-object": "Erase Object",
    "stable-image-remove-background": "Remove Background",
    "stable-image-search-replace": "Search and Replace",
    "stable-image-search-recolor": "Search and Recolor",
    "stable-image-control-sketch": "Control Sketch",
    "stable-image-control-structure": "Control Structure",
    "stable-image-style-guide": "Style Guide",
    "stable-style-transfer": "Style Transfer",
    "stable-conservative-upscale": "Conservative Upscale",
    "stable-creative-upscale": "Creative Upscale",
    "stable-fast-upscale": "Fast Upscale",
}
"""The thirteen edit services: the middle of the model id, and what the task is called."""


def _service(middle: str, task: str) -> Model:
    id = f"stability.{middle}-v1:0"
    return _stability(
        id,
        f"Stable Image {task}",
        "stability-service",
        _US_PROFILE,
        launched=date(2025, 9, 3),
        inference=("INFERENCE_PROFILE",),
        profile=f"us.{id}",
    )


MODELS: Mapping[str, Model] = {
    model.id: model for model in (*_GENERATORS, *(_service(middle, task) for middle, task in SERVICES.items()))
}


def find(model_id: str) -> Model | None:
    """The model of this exact id; ids are never completed or shortened."""
    return MODELS.get(model_id)
