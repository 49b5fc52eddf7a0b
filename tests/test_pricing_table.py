"""The price table as a file: its schema, its versions, and every way in which a table can be wrong."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import lascaux.pricing
import pytest
import yaml
from lascaux.pricing import PriceBook, PriceTableError, Rate, Usage
from lascaux.pricing.table import builtin_tables
from lascaux.pricing.types import CONFIDENCES, QUALITIES, TASKS

FOLDER = Path(lascaux.pricing.__file__).parent / "tables"
SCHEMA = json.loads((FOLDER / "schema.json").read_text())
TABLE = (FOLDER / "aws-bedrock.yaml").read_text()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

SMALL = """\
version: "2030-01-01"
compiled: "2030-01-01"
currency: USD
unit: image
sources: {page: a page}
models:
  acme.paint-v1:
    shared: {regions: [us-east-1, "*"], source: page, confidence: documented}
    rates:
      - {task: inpaint, from: "2029-01-01", usd: "0.1"}
gaps:
  - {model: acme.paint-v1, about: refunds, why: nobody knows}
"""


def test_the_table_fits_its_schema() -> None:
    """The first line names the schema, for editors; the schema is valid and accepts the table."""
    assert TABLE.splitlines()[0] == "# yaml-language-server: $schema=schema.json"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(yaml.safe_load(TABLE))
    VALIDATOR.validate(yaml.safe_load(SMALL))


def test_the_schema_has_the_words_of_the_code() -> None:
    """Tasks, qualities and confidences are listed once in code and once in the schema, and agree."""
    row = SCHEMA["$defs"]["row"]["properties"]
    assert SCHEMA["$defs"]["task"]["enum"] == ["any", *TASKS]
    assert row["quality"]["enum"] == list(QUALITIES)
    assert {"override", *row["confidence"]["enum"], "expired"} == set(CONFIDENCES)


def test_every_rate_has_a_source_a_confidence_and_a_positive_price() -> None:
    """Nothing in the shipped table is free or comes from nowhere; every source is somewhere."""
    book = PriceBook.load()
    rates = [rate for card in book.cards for rate in card.rates]
    assert len(rates) == 79
    assert len(book.models) == 24
    assert all(rate.usd > 0 and rate.source in book.sources for rate in rates)
    assert all(len(text) > 20 for text in book.sources.values())
    assert {gap.model for gap in book.gaps} - {"*"} - set(book.models) == {"amazon.nova-2-omni-v1:0"}


def test_cards_are_found_by_id_and_by_alias() -> None:
    """An alias leads to the card of its model; an unknown id to none."""
    book = PriceBook.load()
    card = book.card("stability.stable-diffusion-xl-v1:0")
    assert card is not None
    assert card is book.card("stability.stable-diffusion-xl-v1")
    assert (card.steps, card.ended) == (30, date(2025, 5, 20))
    core = book.card("stability.stable-image-core-v1:1")
    assert core is not None
    assert core.ended is None
    assert book.card("x") is None
    assert repr(book) == "<PriceBook 2026-11-22, 24 models>"


def test_the_newest_table_is_the_default_and_loads_quickly() -> None:
    """Version and day of compilation are known; the best of ten loads stays within 25 ms."""
    book = PriceBook.load()
    assert (book.version, book.compiled) == ("2026-11-22", date(2026, 11, 22))
    assert PriceBook.load("2026-11-22").version == book.version
    assert list(builtin_tables()) == ["2026-11-22"]
    durations = []
    for _ in range(10):
        start = time.perf_counter()
        PriceBook.load()
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.025


def test_an_unknown_version_lists_what_exists() -> None:
    """The error is a ValueError with one line."""
    with pytest.raises(PriceTableError) as caught:
        PriceBook.load("2026-11-23")
    assert str(caught.value) == (
        "there is no price table '2026-11-23', did you mean '2026-11-22'? (available: 2026-11-22)"
    )
    assert isinstance(caught.value, ValueError)
    with pytest.raises(PriceTableError, match=r"^there is no price table '7' \(available: 2026-11-22\)$"):
        PriceBook.load("7")


def test_staleness_counts_from_the_day_of_compilation() -> None:
    """Thirty days later the table is thirty days old; it is never younger than new."""
    book = PriceBook.load()
    assert book.staleness(date(2026, 12, 22)) == timedelta(days=30)
    assert book.staleness(date(2026, 11, 22)) == book.staleness(date(2020, 1, 1)) == timedelta(0)


def test_a_table_of_your_own_is_read_from_its_path(tmp_path: Path) -> None:
    """One row with two regions is two rates; the version must be the one that was asked for."""
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL)
    book = PriceBook.load("2030-01-01", path=path)
    usage = Usage(model="acme.paint-v1", region="eu-west-1", task="inpaint", images=3)
    assert book.price(usage, on=date(2031, 1, 1)).usd == Decimal("0.3")
    assert [rate.region for rate in book.cards[0].rates] == ["us-east-1", "*"]
    with pytest.raises(PriceTableError) as caught:
        PriceBook.load("2026-11-22", path=path)
    assert str(caught.value) == f"{path}: is version '2030-01-01', not '2026-11-22'"


def replaced(old: str, new: str) -> Callable[[], str]:
    assert SMALL.count(old) == 1
    return lambda: SMALL.replace(old, new)


ROW = 'models["acme.paint-v1"].rates[0]'.replace('"', "'")
BAD_TABLES: list[tuple[Callable[[], str], str]] = [
    (replaced('"0.1"', "0.1"), f'{ROW}.usd: 0.1 is not an amount of USD (allowed: a quoted figure such as "0.04")'),
    (replaced('"0.1"', '"-0.1"'), f"{ROW}.usd: '-0.1' is not an amount of USD"),
    (replaced('"0.1"', '".1"'), f"{ROW}.usd: '.1' is not an amount of USD"),
    (replaced('"0.1"', "null"), f"{ROW}.usd: is missing"),
    (replaced("usd:", "usb:"), f"{ROW}.usb: unknown key, did you mean 'usd'? (allowed: regions, task, from, to,"),
    (replaced("task: inpaint", "task: inpant"), f"{ROW}.task: 'inpant' is not possible, did you mean 'inpaint'?"),
    (replaced("task: inpaint", "quality: hd"), f"{ROW}.quality: 'hd' is not possible (allowed: standard, premium)"),
    (
        replaced("task: inpaint", "size_max: 1024"),
        f"{ROW}.size_max: 1024 is not a size (allowed: WIDTHxHEIGHT in pixels)",
    ),
    (
        replaced("task: inpaint", "size_over: 64x64, size_max: 32x128"),
        f"{ROW}.size_max: 32x128 is not above size_over",
    ),
    (replaced("task: inpaint", "steps_max: 0"), f"{ROW}.steps_max: 0 is not a whole number from 1"),
    (replaced("task: inpaint", "steps_min: 9, steps_max: 8"), f"{ROW}.steps_max: 8 is before the start, 9"),
    (replaced('"2029-01-01"', '"2029-1-1"'), f"{ROW}.from: '2029-1-1' is not a date (allowed: YYYY-MM-DD)"),
    (replaced('"2029-01-01"', '"2029-02-30"'), f"{ROW}.from: '2029-02-30' is not a date (allowed: YYYY-MM-DD)"),
    (replaced('"2029-01-01"', "2029-02-30"), "day is out of range for month"),
    (
        replaced("task: inpaint", 'to: "2028-12-31"'),
        f"{ROW}.to: 2028-12-31 is before the start, 2029-01-01",
    ),
    (
        replaced("source: page", "source: pag"),
        f"{ROW}.source: 'pag' is not possible, did you mean 'page'? (allowed: page)",
    ),
    (
        replaced("confidence: documented", "confidence: override"),
        f"{ROW}.confidence: 'override' is not possible (allowed: documented, secondary, inferred)",
    ),
    (replaced("[us-east-1,", "[useast1,"), f"{ROW}.regions[0]: 'useast1' is not a region (allowed: an id such as"),
    (replaced('[us-east-1, "*"]', "us-east-1"), f"{ROW}.regions: 'us-east-1' is not a list"),
    (
        replaced("gaps:", '      - {task: inpaint, from: "2029-01-01", usd: "0.2"}\ngaps:'),
        "models['acme.paint-v1']: the row for us-east-1 and task inpaint is repeated",
    ),
    (replaced("    rates:", "    rate:"), "models['acme.paint-v1'].rate: unknown key, did you mean 'rates'?"),
    (
        replaced("    rates:", "    steps: true\n    rates:"),
        "models['acme.paint-v1'].steps: True is not a whole number",
    ),
    (replaced("    rates:", "    note: ' '\n    rates:"), "models['acme.paint-v1'].note: ' ' is not a text"),
    (
        replaced("    rates:", "    aliases: [acme.paint-v1]\n    rates:"),
        "models['acme.paint-v1']: 'acme.paint-v1' has another card",
    ),
    (replaced("gaps:", "  acme.paint-v1: {rates: []}\ngaps:"), "the key 'acme.paint-v1' is repeated"),
    (replaced("sources: {page: a page}\n", ""), "sources: is missing"),
    (replaced("{page: a page}", "[page]"), "sources: is not a mapping of source keys to texts"),
    (replaced("USD", "EUR"), "currency: 'EUR' is not possible (allowed: USD)"),
    (replaced("about: refunds", "regions: [x]"), "gaps[0].regions[0]: 'x' is not a region"),
    (replaced("why: nobody knows", "wy: x"), "gaps[0].wy: unknown key, did you mean 'why'?"),
    (lambda: "models: {}", "version: is missing"),
    (lambda: SMALL[: SMALL.index("models:")] + "models: []", "models: is not a mapping of model ids to rates"),
    (lambda: "- 1", "[1] is not a mapping"),
    (lambda: "a: [", "did not find expected node content"),
    (lambda: "? [a]\n: b", "found unhashable key"),
    (lambda: "a: \x00", "control characters are not allowed"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES, ids=[message[:60] for _, message in BAD_TABLES])
def test_a_bad_table_is_refused_with_file_and_field(tmp_path: Path, text: Callable[[], str], message: str) -> None:
    """One line: the file, the way to the value, what it is, and what is allowed."""
    path = tmp_path / "bad.yaml"
    path.write_text(text())
    with pytest.raises(PriceTableError) as caught:
        PriceBook.load(path=path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.update(extra=1),
        lambda table: table.update(version="newest"),
        lambda table: table["models"]["acme.paint-v1"]["rates"][0].update(usd=0.1),
        lambda table: table["models"]["acme.paint-v1"]["rates"][0].pop("usd"),
        lambda table: table["models"]["acme.paint-v1"]["rates"][0].update(task="erase_object"),
        lambda table: table["models"]["acme.paint-v1"]["shared"].update(regions=["useast1"]),
        lambda table: table["gaps"][0].pop("about"),
    ],
)
def test_the_schema_refuses_what_the_loader_would_refuse(change: Callable[[dict[str, Any]], object]) -> None:
    """An editor that reads the schema marks the same mistakes."""
    table = yaml.safe_load(SMALL)
    change(table)
    assert not VALIDATOR.is_valid(table)


def test_a_step_tier_without_a_default_needs_the_step_count(tmp_path: Path) -> None:
    """Missing steps are named, and so are the counts that have a price."""
    path = tmp_path / "steps.yaml"
    path.write_text(SMALL.replace("task: inpaint", "steps_min: 10, steps_max: 50, size_max: 64x64"))
    book = PriceBook.load(path=path)
    usage = Usage(model="acme.paint-v1", region="us-east-1", task="inpaint", images=1)

    def note(width: int | None = None, height: int | None = None, steps: int | None = None) -> str | None:
        return book.price(replace(usage, width=width, height=height, steps=steps), on=date(2030, 1, 1)).note

    assert note() == "the price of acme.paint-v1 depends on width and height and steps, not given"
    assert note(width=8, height=8) == "the price of acme.paint-v1 depends on steps, not given"
    known = "(known: 10 to 50); an override can supply one"
    assert note(steps=51) == f"no rate for acme.paint-v1 with steps 51 {known}"
    assert note(width=8, height=8, steps=50) is None


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and a file that is not text are told apart."""
    with pytest.raises(PriceTableError, match=r"gone\.yaml: can not be read: No such file or directory$"):
        PriceBook.load(path=tmp_path / "gone.yaml")
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(PriceTableError, match=r"picture\.yaml: is not UTF-8 text$"):
        PriceBook.load(path=tmp_path / "picture.yaml")


def test_diff_tells_what_a_new_table_changes(tmp_path: Path) -> None:
    """A new price is a change of its row, a new row is added, a row that is gone is removed."""
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(SMALL)
    new.write_text(
        SMALL.replace('[us-east-1, "*"]', "[us-east-1, us-west-2]").replace('usd: "0.1"', 'usd: "0.2", note: dearer')
    )
    before, after = PriceBook.load(path=old), PriceBook.load(path=new)
    diff = before.diff(after)

    def where(rates: tuple[Rate, ...]) -> list[str]:
        return [rate.region for rate in rates]

    assert (where(diff.added), where(diff.removed)) == (["us-west-2"], ["*"])
    assert [(change.before.usd, change.after.usd) for change in diff.changed] == [(Decimal("0.1"), Decimal("0.2"))]
    assert diff.changed[0].fields == ("usd", "note")
    back = after.diff(before)
    assert (where(back.added), where(back.removed)) == (["*"], ["us-west-2"])
    assert not before.diff(PriceBook.load(path=old))


def test_diff_shows_overrides() -> None:
    """An override is an added row, next to the table's."""
    plain = PriceBook.load()
    mine = PriceBook.load(overrides=[{"model": "stability.stable-image-core-v1:1", "usd_per_image": "0.03"}])
    diff = plain.diff(mine)
    assert (diff.added, diff.removed, diff.changed) == (mine.overrides, (), ())
