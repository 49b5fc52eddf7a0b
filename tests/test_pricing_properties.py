"""What holds for every price, whatever is asked."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from lascaux.pricing import Cost, PriceBook, Rate, RateCard, Table, Usage
from lascaux.pricing.types import CONFIDENCES, TASKS

BOOK = PriceBook.load()
RATES = [rate for card in BOOK.cards for rate in card.rates]
IDS = [name for card in BOOK.cards for name in (card.model, *card.aliases)]
REGIONS = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-northeast-1", "ap-south-1"]

days = st.dates(date(2023, 1, 1), date(2028, 12, 31))
sides = st.none() | st.integers(1, 4096)
usages = st.builds(
    Usage,
    model=st.sampled_from([*IDS, "amazon.nova-2-omni-v1:0"]) | st.text(max_size=20),
    region=st.sampled_from(REGIONS) | st.text(max_size=10),
    task=st.sampled_from(TASKS) | st.text(max_size=10),
    images=st.integers(0, 1000),
    width=sides,
    height=sides,
    quality=st.sampled_from([None, "standard", "premium"]) | st.text(max_size=5),
    steps=st.none() | st.integers(1, 200),
)


@st.composite
def priced(draw: st.DrawFn) -> tuple[Usage, date]:
    """A usage inside the tier of some rate, on a day on which that rate was in force."""
    rate = draw(st.sampled_from(RATES))
    first, last = rate.from_ or date(2023, 1, 1), rate.to or date(2028, 12, 31)
    over, most = rate.size_over or (0, 0), rate.size_max or (2048, 2048)
    side = draw(st.integers(over[0] + 1, most[0]))
    usage = Usage(
        model=rate.model,
        region=draw(st.sampled_from(REGIONS)) if rate.region == "*" else rate.region,
        task=draw(st.sampled_from(TASKS)) if rate.task == "any" else rate.task,
        images=draw(st.integers(0, 100)),
        width=side,
        height=side,
        quality=rate.quality,
        steps=draw(st.integers(rate.steps_min or 1, rate.steps_max or 200)),
    )
    return usage, draw(st.dates(first, last))


@given(usages, days)
def test_any_question_has_an_answer(usage: Usage, day: date) -> None:
    """Never an exception: a figure with its source, or None with a reason. Unknown is never 0."""
    cost = BOOK.price(usage, on=day)
    assert (cost.table, cost.images) == (BOOK.version, usage.images)
    if cost.usd is None:
        assert cost.note
        assert (cost.unit_usd, cost.rate, cost.source, cost.confidence) == (None, None, None, None)
    else:
        assert cost.rate in RATES
        assert cost.source in BOOK.sources
        assert cost.confidence in CONFIDENCES
        assert cost.unit_usd is not None
        assert cost.unit_usd > 0
    rate = BOOK.rate(usage, on=day)
    assert rate is None or (rate is cost.rate and rate.spans(day))


@given(priced())
def test_every_rate_can_be_reached(asked: tuple[Usage, date]) -> None:
    """Inside a rate's tier and days the price is known, in force, and never negative."""
    usage, day = asked
    cost = BOOK.price(usage, on=day)
    assert cost.usd is not None
    assert cost.usd >= 0
    assert cost.confidence in ("documented", "secondary", "inferred")


@given(priced(), st.integers(0, 50), st.integers(0, 50))
def test_price_is_linear_in_images(asked: tuple[Usage, date], some: int, more: int) -> None:
    """Two calls cost what one call for all their images costs, to the last digit."""
    usage, day = asked
    parts = [BOOK.price(replace(usage, images=count), on=day) for count in (some, more)]
    whole = BOOK.price(replace(usage, images=some + more), on=day)
    assert Cost.total(parts) == whole
    assert whole.usd == whole.unit_usd * (some + more) if whole.unit_usd else False


@given(priced(), sides, sides)
def test_a_bigger_picture_is_never_cheaper(asked: tuple[Usage, date], width: int | None, height: int | None) -> None:
    """Within a model, task, quality and step count the price rises with the pixel area, if it is known at all."""
    usage, day = asked
    other = replace(usage, width=width, height=height)
    small, big = sorted((usage, other), key=lambda one: (one.width or 0) * (one.height or 0))
    cheap, dear = BOOK.price(small, on=day).usd, BOOK.price(big, on=day).usd
    assert cheap is None or dear is None or cheap <= dear


@given(priced())
def test_a_picture_costs_the_same_upright_and_lying(asked: tuple[Usage, date]) -> None:
    """Only the area counts."""
    usage, day = asked
    turned = replace(usage, width=usage.height, height=usage.width)
    assert BOOK.price(turned, on=day) == BOOK.price(usage, on=day)


@given(priced(), st.integers(1, 2000))
def test_after_its_end_a_model_keeps_its_last_price(asked: tuple[Usage, date], later: int) -> None:
    """The last published rate stays known, marked as expired, however late the question comes."""
    usage, day = asked
    before = BOOK.price(usage, on=day)
    assert before.rate is not None
    if before.rate.to:
        after = BOOK.price(usage, on=before.rate.to + timedelta(days=later))
        assert (after.usd, after.rate, after.confidence) == (before.usd, before.rate, "expired")


@given(st.dates(date(2024, 1, 1), date(2024, 12, 31)), st.integers(0, 400), st.integers(-500, 900))
def test_both_ends_of_a_rate_are_inclusive(first: date, length: int, offset: int) -> None:
    """Unknown before the first day, in force from it to the last day, expired afterwards."""
    last, day = first + timedelta(days=length), first + timedelta(days=offset)
    rate = Rate(model="m", region="*", usd=Decimal(1), source="s", confidence="documented", from_=first, to=last)
    card = RateCard(model="m", rates=(rate,))
    book = PriceBook(Table(version="1", compiled=first, sources={"s": "a page"}, cards=(card,)))
    cost = book.price(Usage(model="m", region="us-east-1", task="inpaint", images=1), on=day)
    assert cost.confidence == (None if day < first else "documented" if day <= last else "expired")
    assert (cost.usd is None) is (day < first)
