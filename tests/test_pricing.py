"""What a call costs: every model, on the days it was sold and after."""

import decimal
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from lascaux.pricing import Cost, PriceBook, Usage
from lascaux.pricing.types import TASKS
from lascaux.providers.types import Task

TODAY = date(2026, 11, 22)
BOOK = PriceBook.load()

SDXL0, SDXL1 = "stability.stable-diffusion-xl-v0", "stability.stable-diffusion-xl-v1"
TITAN1, TITAN2 = "amazon.titan-image-generator-v1", "amazon.titan-image-generator-v2:0"
CANVAS = "amazon.nova-canvas-v1:0"
SERVICES = [
    ("stability.stable-image-inpaint-v1:0", "inpaint", "0.07"),
    ("stability.stable-outpaint-v1:0", "outpaint", "0.06"),
    ("stability.stable-image-erase-object-v1:0", "erase", "0.07"),
    ("stability.stable-image-remove-background-v1:0", "remove_background", "0.07"),
    ("stability.stable-image-search-replace-v1:0", "search_replace", "0.07"),
    ("stability.stable-image-search-recolor-v1:0", "search_recolor", "0.07"),
    ("stability.stable-image-control-sketch-v1:0", "control_sketch", "0.07"),
    ("stability.stable-image-control-structure-v1:0", "control_structure", "0.07"),
    ("stability.stable-image-style-guide-v1:0", "style_guide", "0.07"),
    ("stability.stable-style-transfer-v1:0", "style_transfer", "0.08"),
    ("stability.stable-conservative-upscale-v1:0", "upscale_conservative", "0.40"),
    ("stability.stable-creative-upscale-v1:0", "upscale_creative", "0.60"),
    ("stability.stable-fast-upscale-v1:0", "upscale_fast", "0.03"),
]
FLAT = [
    ("stability.sd3-large-v1:0", "0.08", date(2024, 9, 4), date(2025, 9, 4)),
    ("stability.stable-image-core-v1:0", "0.04", date(2024, 9, 4), date(2025, 9, 4)),
    ("stability.stable-image-ultra-v1:0", "0.14", date(2024, 9, 4), date(2025, 9, 4)),
    ("stability.sd3-5-large-v1:0", "0.08", date(2024, 12, 19), None),
    ("stability.stable-image-core-v1:1", "0.04", date(2024, 12, 19), None),
    ("stability.stable-image-ultra-v1:1", "0.14", date(2024, 12, 19), None),
]
# model, region, size, quality, steps, last day, USD per image, confidence while it was in force
TIERED = [
    (SDXL0, "us-east-1", (512, 512), None, 50, date(2024, 4, 30), "0.018", "secondary"),
    (SDXL0, "us-west-2", (512, 512), None, 51, date(2024, 4, 30), "0.036", "secondary"),
    (SDXL0, "us-east-1", (1024, 1024), None, 50, date(2024, 4, 30), "0.036", "secondary"),
    (SDXL0, "us-east-1", (1024, 1024), None, 51, date(2024, 4, 30), "0.072", "secondary"),
    (SDXL0, "us-east-1", (512, 512), None, None, date(2024, 4, 30), "0.018", "secondary"),
    (SDXL1, "us-east-1", (1024, 1024), None, 10, date(2025, 5, 20), "0.04", "documented"),
    (SDXL1, "us-west-2", (1024, 1024), None, 50, date(2025, 5, 20), "0.04", "documented"),
    (SDXL1, "us-east-1", (1024, 1024), None, 51, date(2025, 5, 20), "0.08", "documented"),
    (SDXL1, "us-east-1", (1024, 1024), None, None, date(2025, 5, 20), "0.04", "documented"),
    (SDXL1, "us-east-1", (1536, 640), "premium", 30, date(2025, 5, 20), "0.04", "documented"),
    (f"{SDXL1}:0", "us-east-1", (640, 1536), None, 150, date(2025, 5, 20), "0.08", "documented"),
    (TITAN1, "us-east-1", (512, 512), None, None, date(2025, 8, 15), "0.008", "documented"),
    (TITAN1, "us-east-1", (512, 512), "premium", None, date(2025, 8, 15), "0.010", "documented"),
    (TITAN1, "us-east-1", (1024, 1024), "standard", None, date(2025, 8, 15), "0.010", "documented"),
    (TITAN1, "us-east-1", (1024, 1024), "premium", None, date(2025, 8, 15), "0.012", "documented"),
    (TITAN1, "us-west-2", (1024, 1024), "premium", None, date(2025, 8, 15), "0.012", "inferred"),
    (f"{TITAN1}:0", "us-east-1", (768, 768), None, None, date(2025, 8, 15), "0.008", "documented"),
    (TITAN2, "us-east-1", (512, 512), None, None, date(2026, 6, 30), "0.008", "documented"),
    (TITAN2, "us-east-1", (512, 512), "premium", None, date(2026, 6, 30), "0.010", "documented"),
    (TITAN2, "us-east-1", (1024, 1024), "standard", None, date(2026, 6, 30), "0.010", "documented"),
    (TITAN2, "us-east-1", (1408, 768), "premium", None, date(2026, 6, 30), "0.012", "documented"),
    (TITAN2, "us-west-2", (512, 512), None, None, date(2026, 6, 30), "0.008", "inferred"),
    (TITAN2, "us-west-2", (512, 512), "premium", None, date(2026, 6, 30), "0.010", "inferred"),
    (TITAN2, "us-west-2", (1024, 1024), None, None, date(2026, 6, 30), "0.010", "inferred"),
    (TITAN2, "us-west-2", (1024, 1024), "premium", None, date(2026, 6, 30), "0.012", "inferred"),
    (CANVAS, "us-east-1", (1024, 1024), None, None, date(2026, 9, 30), "0.04", "documented"),
    (CANVAS, "us-east-1", (1024, 1024), "premium", None, date(2026, 9, 30), "0.06", "documented"),
    (CANVAS, "us-east-1", (1040, 1024), "standard", None, date(2026, 9, 30), "0.06", "documented"),
    (CANVAS, "us-east-1", (2048, 2048), "premium", None, date(2026, 9, 30), "0.08", "documented"),
    (CANVAS, "us-east-1", (320, 320), "premium", None, date(2026, 9, 30), "0.06", "documented"),
]
# What the models' parameter pages list: the sizes of Titan's first band, and the others.
TITAN_512 = [(768, 768), (512, 512), (576, 384), (640, 384), (576, 448), (704, 384), (704, 320)]
TITAN_1024 = [(1024, 1024), (1152, 768), (1280, 768), (1152, 896), (1408, 768), (1408, 640), (1152, 640), (1173, 640)]
SDXL_SIZES = [(1024, 1024), (1152, 896), (1216, 832), (1344, 768), (1536, 640)]


def usage(model: str, region: str = "us-east-1", task: str = "text_to_image", images: int = 1, **more: object) -> Usage:
    size = more.pop("size", None)
    if isinstance(size, tuple):
        more |= {"width": size[0], "height": size[1]}
    return Usage(model=model, region=region, task=task, images=images, **more)  # type: ignore[arg-type]


def test_the_vocabulary_of_tasks_is_that_of_the_providers() -> None:
    """Every task a provider knows can be priced, by the same word."""
    assert set(TASKS) == {str(task) for task in Task}


@pytest.mark.parametrize(("model", "region", "size", "quality", "steps", "last", "usd", "confidence"), TIERED)
def test_a_tiered_model_costs_what_its_tier_says(
    model: str,
    region: str,
    size: tuple[int, int],
    quality: str | None,
    steps: int | None,
    last: date,
    usd: str,
    confidence: str,
) -> None:
    """On its last day a model has its price; on the day after it has the same price, marked as expired."""
    asked = usage(model, region, size=size, quality=quality, steps=steps)
    before, after = BOOK.price(asked, on=last), BOOK.price(asked, on=last + timedelta(days=1))
    assert before.usd == before.unit_usd == after.usd == after.unit_usd == Decimal(usd)
    assert (before.confidence, after.confidence) == (confidence, "expired")
    assert before.rate is after.rate is BOOK.rate(asked, on=last)
    assert BOOK.rate(asked, on=last + timedelta(days=1)) is None
    assert after.note is not None
    assert after.note.startswith(f"last published rate, ended {last} with the model")


@pytest.mark.parametrize(("model", "usd", "first", "last"), FLAT)
def test_a_flat_model_costs_the_same_at_any_size(model: str, usd: str, first: date, last: date | None) -> None:
    """SD3, SD3.5, Core and Ultra: one price from the first to the last day, unknown before."""
    for size in (None, (1536, 640)):
        asked = usage(model, "us-west-2", size=size, images=3)
        assert BOOK.price(asked, on=first).usd == Decimal(usd) * 3
        assert BOOK.price(asked, on=last or TODAY).confidence == "documented"
        early = BOOK.price(asked, on=first - timedelta(days=1))
        assert early.usd is None
        assert early.note == (
            f"no rate for {model} on {first - timedelta(days=1)} (the first known day is {first}); "
            "an override can supply one"
        )
    assert BOOK.price(usage(model, "us-east-1"), on=first).usd is None


@pytest.mark.parametrize("region", ["us-east-1", "us-east-2", "us-west-2"])
@pytest.mark.parametrize(("model", "task", "usd"), SERVICES)
def test_a_service_costs_the_same_in_its_three_regions(model: str, task: str, usd: str, region: str) -> None:
    """The thirteen services are priced for their own task, and for no other."""
    cost = BOOK.price(usage(model, region, task), on=TODAY)
    assert (cost.usd, cost.confidence, cost.source) == (Decimal(usd), "documented", "offers-2026-10-08")
    other = BOOK.price(usage(model, region, "text_to_image"), on=TODAY)
    assert other.usd is None
    assert other.note == (f"no rate for {model} with task text_to_image (known: {task}); an override can supply one")


def test_the_figures_above_cover_every_model_of_the_table() -> None:
    """No model is without an expected price."""
    expected = {row[0] for row in SERVICES} | {row[0] for row in FLAT} | {row[0] for row in TIERED}
    assert {CANVAS, *BOOK.models} == expected - {f"{SDXL1}:0", f"{TITAN1}:0"}


@pytest.mark.parametrize(
    "task", ["image_to_image", "variation", "inpaint", "outpaint", "erase", "remove_background", "search_replace"]
)
@pytest.mark.parametrize(
    ("size", "quality", "usd", "confidence"),
    [
        ((1024, 1024), None, "0.04", "documented"),
        ((1024, 1024), "premium", "0.06", "inferred"),
        ((2048, 2048), None, "0.06", "inferred"),
        ((2048, 2048), "premium", "0.08", "documented"),
    ],
)
def test_whatever_starts_from_a_picture_is_image_to_image_on_nova_canvas(
    task: str, size: tuple[int, int], quality: str | None, usd: str, confidence: str
) -> None:
    """AWS's price file knows two modes only; every task with an input picture is the second."""
    cost = BOOK.price(usage(CANVAS, task=task, size=size, quality=quality), on=date(2026, 9, 1))
    assert (cost.usd, cost.confidence) == (Decimal(usd), confidence)
    assert cost.rate is not None
    assert cost.rate.task == "image_to_image"


def test_nova_canvas_colours_and_try_on_have_their_own_readings() -> None:
    """Colour guidance is priced as text_to_image; virtual try-on is inferred and says so."""
    asked = usage(CANVAS, task="color_guided", size=(1024, 1024))
    colours = BOOK.price(asked, on=date(2026, 9, 1))
    assert colours.rate is not None
    assert (colours.usd, colours.rate.task) == (Decimal("0.04"), "text_to_image")
    for size, quality, usd in (
        ((1024, 1024), "standard", "0.04"),
        ((1024, 1024), "premium", "0.06"),
        ((2048, 2048), "standard", "0.06"),
        ((2048, 2048), "premium", "0.08"),
    ):
        try_on = BOOK.price(usage(CANVAS, task="virtual_try_on", size=size, quality=quality), on=date(2026, 9, 1))
        assert (try_on.usd, try_on.confidence) == (Decimal(usd), "inferred")
        assert try_on.note is not None
        assert "No separate SKU for virtual try-on was found" in try_on.note


def test_titan_bands_are_the_lists_of_its_parameter_page() -> None:
    """768x768 is in the 512 band, 1408x768 in the 1024 band although it has more than a megapixel."""
    for band, usd in ((TITAN_512, "0.008"), (TITAN_1024, "0.01")):
        for width, height in band:
            for size in ((width, height), (height, width)):
                for model in (TITAN1, f"{TITAN1}:0", TITAN2):
                    assert BOOK.price(usage(model, size=size), on=date(2025, 1, 1)).usd == Decimal(usd), size


def test_sdxl_sizes_follow_pixel_area() -> None:
    """Every size of SDXL 1.0 is in its one band; above a megapixel nothing is known."""
    for width, height in SDXL_SIZES:
        assert BOOK.price(usage(SDXL1, size=(width, height)), on=date(2025, 1, 1)).usd == Decimal("0.04")
    above = BOOK.price(usage(SDXL1, size=(1025, 1024)), on=date(2025, 1, 1))
    assert (above.usd, above.note) == (
        None,
        f"no rate for {SDXL1} at 1025x1024 (known: up to 1024x1024 by area); an override can supply one",
    )


def test_titan_asks_nothing_about_the_task() -> None:
    """On Titan every task bills alike, by output image."""
    costs = {BOOK.price(usage(TITAN2, task=task, size=(512, 512)), on=date(2026, 1, 1)).usd for task in TASKS}
    assert costs == {Decimal("0.008")}


@pytest.mark.parametrize(
    ("asked", "note"),
    [
        (
            usage(CANVAS, "eu-west-1", size=(1024, 1024)),
            f"no rate for {CANVAS} in eu-west-1: no copy of the Price List rows for these regions was found. Amazon text "
            "models carry a regional uplift there (Nova Lite input +15 % in eu-west-1, +20 % in ap-northeast-1, 2026-09), "
            "so do not assume the us-east-1 price; an override can supply one",
        ),
        (
            usage(f"{TITAN1}:0", "ap-south-1", size=(512, 512)),
            f"no rate for {TITAN1}:0 in ap-south-1: regional price not found; an override can supply one",
        ),
        (
            usage("amazon.nova-2-omni-v1:0", "us-west-2"),
            "no rate for amazon.nova-2-omni-v1:0 in us-west-2: its images are billed by output image tokens (USD per 1K: "
            "0.044 in us-east-1 and across US regions, 0.040 globally; pricelist-2026-09-01, startups-cache-2026-07-17), "
            "and tokens per generated image were not found; an override can supply one",
        ),
        (
            usage(CANVAS, "us-west-2", size=(1024, 1024)),
            f"no rate for {CANVAS} in us-west-2 (known: us-east-1); an override can supply one",
        ),
        (
            usage("us.stability.stable-outpaint-v1:0", task="outpaint"),
            "no rates for the model 'us.stability.stable-outpaint-v1:0', did you mean "
            "'stability.stable-outpaint-v1:0'?; an override can supply one",
        ),
        (usage("x"), "no rates for the model 'x'; an override can supply one"),
        (usage(CANVAS), f"the price of {CANVAS} depends on width and height, not given"),
        (usage(CANVAS, width=1024), f"the price of {CANVAS} depends on height, not given"),
        (
            usage(CANVAS, size=(1024, 1024), quality="hd"),
            f"no rate for {CANVAS} with quality hd (known: standard, premium); an override can supply one",
        ),
        (
            usage(CANVAS, size=(2064, 2048)),
            f"no rate for {CANVAS} at 2064x2048 (known: up to 1024x1024 by area, over 1024x1024 up to 2048x2048 by area); "
            "an override can supply one",
        ),
    ],
)
def test_an_unknown_price_is_none_and_says_why(asked: Usage, note: str) -> None:
    """Gaps, wrong regions, missing facts: None, never 0, with one line that names what is missing."""
    cost = BOOK.price(asked, on=TODAY)
    assert cost == Cost(usd=None, table="2026-11-22", images=1, note=note)
    assert BOOK.rate(asked, on=TODAY) is None
    assert str(cost) == "unknown (table 2026-11-22)"


def test_a_moment_counts_for_its_day_in_utc() -> None:
    """A datetime is accepted where a date is: its day in UTC decides, and without a zone it is taken as UTC."""
    asked = usage(CANVAS, size=(512, 512))
    tokyo = timezone(timedelta(hours=9))
    for moment, confidence in (
        (datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC), "documented"),
        (datetime(2026, 10, 1, 8, 59, tzinfo=tokyo), "documented"),
        (datetime(2026, 10, 1, 9, 0, tzinfo=tokyo), "expired"),
        (datetime(2026, 9, 30, 23, 59), "documented"),
    ):
        assert BOOK.price(asked, on=moment).confidence == confidence


def test_a_cost_prints_as_money_with_its_table() -> None:
    """At least the cents, all digits that matter, the table, and what is special about it."""
    day = date(2026, 9, 1)
    assert str(BOOK.price(usage(CANVAS, size=(1024, 1024), images=2), on=day)) == "0.08 USD (table 2026-11-22)"
    assert str(BOOK.price(usage(TITAN2, size=(512, 512)), on=date(2026, 1, 1))) == "0.008 USD (table 2026-11-22)"
    late = BOOK.price(usage(CANVAS, size=(1024, 1024), images=50), on=TODAY)
    assert str(late) == "2.00 USD (table 2026-11-22, expired rate)"
    assert str(late.as_saved()) == "0.00 USD (table 2026-11-22, saved 2.00, expired rate)"


def test_the_callers_decimal_context_does_not_round_a_bill() -> None:
    """A host program that computes with two digits still gets the exact price."""
    with decimal.localcontext(decimal.Context(prec=1, traps=[decimal.Inexact])):
        cost = BOOK.price(usage(CANVAS, size=(1024, 1024), images=333), on=date(2026, 9, 1))
        total = Cost.total([cost, cost])
        saved = cost.as_saved().saved_usd
    assert (cost.usd, total.usd, saved) == (Decimal("13.32"), Decimal("26.64"), Decimal("13.32"))


def test_a_total_adds_up_and_is_as_good_as_its_weakest_part() -> None:
    """Equal parts keep their rate; different parts keep what they share and list the rest."""
    core = BOOK.price(usage("stability.stable-image-core-v1:1", "us-west-2"), on=TODAY)
    alike = Cost.total([core, core, core])
    assert (alike.usd, alike.images, alike.unit_usd, alike.rate) == (Decimal("0.12"), 3, core.unit_usd, core.rate)
    assert (alike.source, alike.note, alike.confidence) == (core.source, core.note, "documented")
    canvas = BOOK.price(usage(CANVAS, size=(1024, 1024), images=2), on=TODAY)
    mixed = Cost.total([core, canvas.as_saved(), canvas])
    assert (mixed.usd, mixed.saved_usd, mixed.images) == (Decimal("0.12"), Decimal("0.08"), 5)
    assert (mixed.confidence, mixed.rate, mixed.source) == ("expired", None, "aws-page-2025-02; pricelist-2026-09-01")
    assert mixed.as_saved().saved_usd == Decimal("0.20")
    with pytest.raises(ValueError, match="no costs to add up"):
        Cost.total([])


def test_one_unknown_part_makes_the_total_unknown() -> None:
    """A sum with a hole is not a smaller sum."""
    core = BOOK.price(usage("stability.stable-image-core-v1:1", "us-west-2"), on=TODAY)
    lost = BOOK.price(usage("x"), on=TODAY)
    total = Cost.total([core, lost])
    assert (total.usd, total.confidence, total.images) == (None, None, 2)
    assert total.note is not None
    assert "'x'" in total.note
    assert (total.as_saved().usd, total.as_saved().saved_usd) == (Decimal(0), None)


def test_a_cache_hit_costs_nothing_and_says_what_it_saved() -> None:
    """Saving twice saves once; what an unknown price saved is unknown."""
    core = BOOK.price(usage("stability.stable-image-core-v1:1", "us-west-2", images=2), on=TODAY)
    saved = core.as_saved()
    assert (saved.usd, saved.saved_usd, saved.rate, saved.images) == (Decimal(0), Decimal("0.08"), core.rate, 2)
    assert saved.as_saved() == saved
    lost = BOOK.price(usage("x"), on=TODAY).as_saved()
    assert (lost.usd, lost.saved_usd, lost.as_saved()) == (Decimal(0), None, lost)


def test_usage_refuses_fewer_than_no_images() -> None:
    """A negative count is a mistake of the caller."""
    with pytest.raises(ValueError, match="images: -1 is negative"):
        usage(CANVAS, images=-1)
