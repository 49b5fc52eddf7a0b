"""Prices of one's own: LiteLLM has them per deployment, the price book has them per model and region."""

from __future__ import annotations

from typing import Any

from .identifiers import base_of, region_of
from .notes import Draft, Found, is_reference

__all__ = ["Prices"]


class Prices:
    """The overrides of a file."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._overrides: dict[tuple[str, str], Found] = {}

    def add(self, deployment: str, price: Found) -> None:
        """Take ``output_cost_per_image`` of a deployment, which is in the draft already."""
        entry = self._draft.data["deployments"][deployment]
        base = base_of(entry.get("base_model") or entry["model"])
        if base is None or is_reference(base):
            self._draft.warn(price.path, "has no effect: it can not be told which model it is the price of")
            return
        from ...providers.catalog import Catalog  # reads its tables when first asked

        model = Catalog.load().find(base)
        name = model.id if model else base
        region = entry.get("region") or region_of(entry)
        if not isinstance(region, str) or is_reference(region):
            region = ""
            self._draft.warn(price.path, f"is taken for {name} in every region, because this entry names none")
        if self._overrides.setdefault((name, region), price).value != price.value:
            self._draft.warn(price.path, "has no effect: an earlier entry has another price for this model and region")

    def write(self) -> None:
        """Put them into the draft: those for one region first, because the first that fits counts."""
        ordered = sorted(self._overrides.items(), key=lambda pair: not pair[0][1])
        overrides: list[dict[str, Any]] = []
        for index, ((model, region), price) in enumerate(ordered):
            overrides.append({"model": model, "usd_per_image": price.value, **({"region": region} if region else {})})
            self._draft.origins["pricing", "overrides", index] = price.path[:-1]
            self._draft.origins["pricing", "overrides", index, "usd_per_image"] = price.path
        if overrides:
            self._draft.put(("pricing", "overrides"), overrides, ("model_list",))
