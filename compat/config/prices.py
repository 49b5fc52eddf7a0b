"""Prices of one's own: LiteLLM has them per deployment, the price book has them per model and region."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from .identifiers import base_of, region_of
from .notes import Draft, Found, Path, is_reference

__all__ = ["Prices"]


class _Priced(NamedTuple):
    """An entry, the deployment that it became, and its price."""

    deployment: str
    path: Path
    price: Found | None


class Prices:
    """The overrides of a file."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._found: dict[str, Found] = {}

    def add(self, deployment: str, price: Found) -> None:
        """Take ``output_cost_per_image`` of a deployment."""
        self._found[deployment] = price

    def write(self) -> None:
        """Put them into the draft, which has all deployments by now.

        A price holds where all entries of its model and region have the same one.
        """
        overrides: list[dict[str, Any]] = []
        for (model, region), group in self._groups().items():
            prices = [entry.price for entry in group if entry.price]
            if not prices:
                continue
            if len(prices) < len(group) or len({_figure(price.value) for price in prices}) > 1:
                place = f"{model} in {region or 'every region'}"
                self._draft.warn(
                    prices[0].path,
                    f"has no effect: there is one price for {place}, and its entries disagree: {_told(group)}",
                )
                continue
            price, index = prices[0], len(overrides)
            if not region:
                self._draft.warn(price.path, f"is taken for {model} in every region, because an entry names none")
            overrides.append({"model": model, "usd_per_image": price.value, **({"region": region} if region else {})})
            self._draft.origins["pricing", "overrides", index] = price.path[:-1]
            self._draft.origins["pricing", "overrides", index, "usd_per_image"] = price.path
        if overrides:
            self._draft.put(("pricing", "overrides"), overrides, ("model_list",))

    def _groups(self) -> dict[tuple[str, str], list[_Priced]]:
        """Entries that share a price. One without a region may be anywhere, so it shares with all of its model."""
        if not self._found:
            return {}  # the catalogue is not read for nothing
        entries = [
            _Priced(name, self._draft.origins["deployments", name], self._found.get(name))
            for name in self._draft.data["deployments"]
        ]
        places = [(entry, model, self._region(entry)) for entry in entries if (model := self._model(entry))]
        anywhere = {model for _, model, region in places if not region}
        groups: dict[tuple[str, str], list[_Priced]] = {}
        for entry, model, region in places:
            groups.setdefault((model, "" if model in anywhere else region), []).append(entry)
        return groups

    def _model(self, entry: _Priced) -> str | None:
        written = self._draft.data["deployments"][entry.deployment]
        base = base_of(written.get("base_model") or written["model"])
        if base is None or is_reference(base):
            if entry.price:
                self._draft.warn(entry.price.path, "has no effect: it can not be told which model it is the price of")
            return None
        from ...providers.catalog import Catalog  # reads its tables when first asked

        model = Catalog.load().find(base)
        return model.id if model else base

    def _region(self, entry: _Priced) -> str:
        written = self._draft.data["deployments"][entry.deployment]
        region = written.get("region") or region_of(written)
        return region if isinstance(region, str) and not is_reference(region) else ""


def _figure(value: object) -> Decimal | str:
    """What two prices are compared by: 0.05 is "0.050"; whether it is a price at all, the loader will say."""
    try:
        figure = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return figure if figure.is_finite() else str(value)


def _told(group: Sequence[_Priced]) -> str:
    """Entries but no values: ``different prices in model_list[0], model_list[1]; none in model_list[2]``."""
    names = {
        has: ", ".join(f"{entry.path[0]}[{entry.path[1]}]" for entry in group if bool(entry.price) is has)
        for has in (True, False)
    }
    figures = {_figure(entry.price.value) for entry in group if entry.price}
    prices = "different prices" if len(figures) > 1 else "a price"
    return f"{prices} in {names[True]}" + (f"; none in {names[False]}" if names[False] else "")
