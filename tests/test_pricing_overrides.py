"""Your own prices come first, are checked strictly, and show in the version."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from lascaux.pricing import PriceBook, PriceTableError, Usage

TODAY = date(2026, 11, 22)
CORE, CANVAS = "stability.stable-image-core-v1:1", "amazon.nova-canvas-v1:0"


def usage(model: str, region: str = "us-west-2", **more: Any) -> Usage:
    return Usage(model=model, region=region, **{"task": "text_to_image", "images": 1, **more})


def test_an_override_wins_over_the_table_and_says_so() -> None:
    """Its price, its source, and a version that carries a digest of all overrides."""
    book = PriceBook.load(overrides=[{"model": CORE, "usd_per_image": "0.031", "source": "private agreement 7"}])
    cost = book.price(usage(CORE, images=2), on=TODAY)
    assert (cost.usd, cost.confidence, cost.source) == (Decimal("0.062"), "override", "private agreement 7")
    assert cost.table == book.version
    assert book.version.startswith("2026-11-22+overrides.")
    assert len(book.version) == len("2026-11-22+overrides.12345678")
    assert str(cost) == f"0.062 USD (table {book.version})"


def test_no_overrides_leave_the_version_alone() -> None:
    """An empty list is no override."""
    assert PriceBook.load(overrides=[]).version == "2026-11-22"


def test_the_version_depends_on_what_overrides_say_and_not_on_their_spelling() -> None:
    """Equal figures have one digest; another figure, key or order has another."""
    core: dict[str, object] = {"model": CORE, "usd_per_image": "0.03"}
    canvas: dict[str, object] = {"model": CANVAS, "usd_per_image": "0.03"}
    same: list[dict[str, object]] = [
        core,
        {**core, "usd_per_image": 0.03},
        {**core, "usd_per_image": Decimal("0.030"), "quality": None},
    ]
    other: list[dict[str, object]] = [
        {**core, "usd_per_image": "0.031"},
        {**core, "region": "us-west-2"},
        {**core, "to": TODAY},
        canvas,
    ]
    assert len({PriceBook.load(overrides=[override]).version for override in same}) == 1
    assert len({PriceBook.load(overrides=[override]).version for override in (core, *other)}) == 5
    assert PriceBook.load(overrides=[core, canvas]).version != PriceBook.load(overrides=[canvas, core]).version


@pytest.mark.parametrize("figure", ["0.035", 0.035, Decimal("0.035")])
def test_a_figure_means_what_it_shows(figure: object) -> None:
    """A float from a YAML file is taken by its digits, not by its binary value."""
    book = PriceBook.load(overrides=[{"model": CORE, "usd_per_image": figure}])
    assert book.price(usage(CORE, images=3), on=TODAY).usd == Decimal("0.105")


def test_an_override_may_be_free() -> None:
    """A price of 0 that somebody wrote down is known, unlike a missing one."""
    cost = PriceBook.load(overrides=[{"model": CORE, "usd_per_image": 0}]).price(usage(CORE), on=TODAY)
    assert (cost.usd, cost.confidence) == (Decimal(0), "override")


def test_an_override_fills_a_gap_and_prices_an_unknown_model() -> None:
    """Regions that the table lacks and models it does not know."""
    book = PriceBook.load(
        overrides=[
            {"model": CANVAS, "region": "eu-west-1", "usd_per_image": "0.046"},
            {"model": "acme.paint-v1", "usd_per_image": "0.5"},
        ]
    )
    assert book.price(usage(CANVAS, "eu-west-1"), on=TODAY).usd == Decimal("0.046")
    assert book.price(usage("acme.paint-v1", "eu-west-1"), on=TODAY).usd == Decimal("0.5")
    gap = book.price(usage(CANVAS, "ap-northeast-1"), on=TODAY)
    assert gap.usd is None
    assert "regional uplift" in str(gap.note)


def test_the_first_override_that_fits_wins() -> None:
    """Small pictures, then big ones, then whatever is left; quality not given is standard."""
    book = PriceBook.load(
        overrides=[
            {"model": CANVAS, "size_max": "512x512", "usd_per_image": "0.01"},
            {"model": CANVAS, "quality": "premium", "usd_per_image": "0.05"},
            {"model": CANVAS, "task": "image_to_image", "usd_per_image": "0.02"},
        ]
    )

    def price(side: int, **more: Any) -> Decimal | None:
        return book.price(usage(CANVAS, "us-east-1", width=side, height=side, **more), on=date(2026, 9, 1)).usd

    assert price(512, quality="premium") == Decimal("0.01")
    assert price(1024, quality="premium") == Decimal("0.05")
    assert price(1024, task="inpaint") == Decimal("0.02")
    assert price(1024) == Decimal("0.04")


def test_an_override_that_might_apply_is_not_passed_over() -> None:
    """If its tier depends on a size that is not known, the price is unknown, not the table's."""
    book = PriceBook.load(overrides=[{"model": CORE, "size_max": [512, 512], "usd_per_image": "0.01"}])
    cost = book.price(usage(CORE), on=TODAY)
    assert (cost.usd, cost.note) == (None, f"the price of {CORE} depends on width and height, not given")


def test_days_of_an_override_are_inclusive_and_then_the_table_speaks_again() -> None:
    """An override that has ended is over: the table's rate returns, or the price is unknown."""
    dated = {"from": "2026-10-01", "to": date(2026, 10, 31), "usd_per_image": "0.01"}
    book = PriceBook.load(overrides=[{"model": CORE, **dated}, {"model": "acme.paint-v1", **dated}])
    expected = [(9, 30, "0.04"), (10, 1, "0.01"), (10, 31, "0.01"), (11, 1, "0.04")]
    for month, day, usd in expected:
        assert book.price(usage(CORE), on=date(2026, month, day)).usd == Decimal(usd)
    early, late = (book.price(usage("acme.paint-v1"), on=day) for day in (date(2026, 9, 30), TODAY))
    assert (early.usd, late.usd) == (None, None)
    assert "(the first known day is 2026-10-01)" in str(early.note)
    assert "(an override for it has ended)" in str(late.note)


def test_an_override_of_a_model_holds_for_its_aliases_and_not_the_other_way_round() -> None:
    """A provisioned id may have a price of its own."""
    base, alias = "stability.stable-diffusion-xl-v1", "stability.stable-diffusion-xl-v1:0"
    both = PriceBook.load(overrides=[{"model": base, "usd_per_image": "1"}])
    assert [both.price(usage(model), on=TODAY).usd for model in (base, alias)] == [Decimal(1), Decimal(1)]
    one = PriceBook.load(overrides=[{"model": alias, "usd_per_image": "1"}])
    assert one.price(usage(alias, width=512, height=512), on=TODAY).usd == Decimal(1)
    assert one.price(usage(base, width=512, height=512), on=TODAY).usd == Decimal("0.04")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({}, "overrides[0].model: is missing"),
        ({"model": CORE}, "overrides[0].usd_per_image: is missing"),
        (
            {"model": CORE, "usd_per_img": 1},
            "overrides[0].usd_per_img: unknown key, did you mean 'usd_per_image'? (allowed: model, usd_per_image, region, "
            "task, size_max, quality, from, to, source)",
        ),
        ({"model": CORE, "usd_per_image": True}, "overrides[0].usd_per_image: True is not an amount of USD"),
        ({"model": CORE, "usd_per_image": "free"}, "overrides[0].usd_per_image: 'free' is not an amount of USD"),
        ({"model": CORE, "usd_per_image": -0.01}, "overrides[0].usd_per_image: -0.01 is not an amount of USD"),
        ({"model": CORE, "usd_per_image": float("nan")}, "overrides[0].usd_per_image: nan is not an amount of USD"),
        ({"model": CORE, "usd_per_image": float("inf")}, "overrides[0].usd_per_image: inf is not an amount of USD"),
        ({"model": CORE, "usd_per_image": Decimal("1e999999")}, "('1E+999999') is not an amount of USD"),
        ({"model": CORE, "usd_per_image": 10**5000}, "a number of thousands of digits is not an amount of USD"),
        ({"model": CORE, "usd_per_image": Decimal("nan")}, "('NaN') is not an amount of USD"),
        ({"model": CORE, "usd_per_image": 10**50}, f"usd_per_image: {10**50} is not an amount of USD"),
        ({"model": CORE, "usd_per_image": [1]}, "overrides[0].usd_per_image: [1] is not an amount of USD"),
        (
            {"model": CORE, "usd_per_image": 1, "task": "erase_object"},
            "overrides[0].task: 'erase_object' is not possible, did you mean 'erase'?",
        ),
        (
            {"model": CORE, "usd_per_image": 1, "quality": "hd"},
            "overrides[0].quality: 'hd' is not possible (allowed: standard, premium)",
        ),
        (
            {"model": CORE, "usd_per_image": 1, "region": "us_east_1"},
            "overrides[0].region: 'us_east_1' is not a region",
        ),
        ({"model": CORE, "usd_per_image": 1, "size_max": "big"}, "overrides[0].size_max: 'big' is not a size"),
        ({"model": CORE, "usd_per_image": 1, "from": "soon"}, "overrides[0].from: 'soon' is not a date"),
        (
            {"model": CORE, "usd_per_image": 1, "from": "2026-02-01", "to": "2026-01-31"},
            "overrides[0].to: 2026-01-31 is before the start, 2026-02-01",
        ),
        ({"model": CORE, "usd_per_image": 1, "source": 7}, "overrides[0].source: 7 is not a text"),
        (
            {"model": "us.stability.stable-outpaint-v1:0", "usd_per_image": 1},
            "overrides[0].model: 'us.stability.stable-outpaint-v1:0' would never apply: prices go by the base model id, "
            "'stability.stable-outpaint-v1:0'",
        ),
        ({"model": f"bedrock/{CORE}", "usd_per_image": 1}, f"prices go by the base model id, '{CORE}'"),
        ("x" * 80, "overrides[0]: 'xxx"),
    ],
)
def test_a_bad_override_is_refused(override: Any, message: str) -> None:
    """One line that names the field, what it is, and what is allowed; the path leads to it in the configuration."""
    with pytest.raises(PriceTableError) as caught:
        PriceBook.load(overrides=[override])
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400
    assert caught.value.path[:2] == ("overrides", 0)


def test_an_override_that_can_never_apply_is_refused() -> None:
    """The same conditions twice: only the first would ever count."""
    override = {"model": CORE, "usd_per_image": "0.03"}
    with pytest.raises(PriceTableError, match=r"^overrides\[1\]: can never apply: overrides\[0\] says the same$"):
        PriceBook.load(overrides=[override, {**override, "usd_per_image": "0.02"}])


def test_overrides_are_a_list() -> None:
    """A single mapping is not quietly taken for its keys."""
    with pytest.raises(PriceTableError, match=r"^overrides: .* is not a list$"):
        PriceBook.load(overrides={"model": CORE})  # type: ignore[arg-type]
