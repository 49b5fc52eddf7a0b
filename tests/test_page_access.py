"""The page for everybody: what axe finds, and how it fits the smallest screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import lascaux
import pytest
from lascaux.tests import test_page as parts
from lascaux.tests.test_page import PROMPT, SEEDS, Tab, needs_browser
from PIL import Image

ROOT = Path(lascaux.__file__).resolve().parent
AXE = ROOT / "tests" / "node" / "node_modules" / "axe-core" / "axe.min.js"

needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci in tests/node")

browser, emulator, opened, url = parts.browser, parts.emulator, parts.opened, parts.url
"""The fixtures of the page's other tests."""


def states(tab: Tab, tmp_path: Path) -> Iterator[str]:
    """The page as it looks at its stations."""
    page = tab.page
    page.locator("#more summary").click()
    yield "empty"
    page.fill("#seed", "x")
    page.fill("#prompt", PROMPT)
    page.click("#go")
    page.locator("#seed[aria-invalid=true]").wait_for()
    yield "error"
    tab.ask(PROMPT, seed=next(SEEDS))
    page.get_by_text("Same seed, other model").first.click()
    page.locator(".compare select").wait_for()
    page.locator(".route summary").first.click()
    yield "result"
    Image.new("RGB", (64, 48), "#8ecae6").save(tmp_path / "lake.png")
    tab.choose("touch-up", "inpaint")
    page.set_input_files("#image", tmp_path / "lake.png")
    page.click("#paint-mask")
    page.locator("#brush-canvas").wait_for()
    yield "brush"
    page.click("#brush-cancel")
    page.goto(f"{tab.url}#status")
    page.locator(".deployment").first.wait_for()
    yield "status"


@needs_browser
@needs_axe
@pytest.mark.parametrize(("scheme", "other", "width"), [("light", "dark", 360), ("dark", "light", 1280)])
def test_axe_finds_nothing(opened: Callable[..., Tab], tmp_path: Path, scheme: str, other: str, width: int) -> None:
    """At every station of the page, on a phone and on a desk, in both schemes, which differ in their contrasts."""
    tab = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, found = tab.page, {}
    for name in states(tab, tmp_path):
        if not page.evaluate("() => 'axe' in window"):  # by the debugger: the policy lets no other script in
            page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": AXE.read_text("utf-8")})
        reports = [page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")]
        page.emulate_media(color_scheme=other)
        reports += [page.evaluate("() => axe.run(document, {runOnly: ['color-contrast']})")]
        page.emulate_media(color_scheme=scheme)
        assert reports[1]["passes"], "no contrast was looked at"
        broken = [one for report in reports for one in report["violations"]]
        found[name] = [
            (one["id"], node["html"][:150], node["failureSummary"]) for one in broken for node in one["nodes"]
        ]
        wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is {wide} px too wide"
    assert found == {name: [] for name in ("empty", "error", "result", "brush", "status")}


@needs_browser
def test_nothing_is_wider_than_the_smallest_phone(opened: Callable[..., Tab], tmp_path: Path) -> None:
    """320 pixels, which is also a desk at 400 %: text wraps, nothing has to be scrolled sideways."""
    tab = opened(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    for name in states(tab, tmp_path):
        widest = tab.page.evaluate("() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        assert widest <= 320, name


@needs_browser
def test_spending_fits_a_phone(opened: Callable[..., Tab], url: str) -> None:
    """Each key is a card there, with every amount in sight under its name; to who hears it, it is still a table."""
    tab = opened(f"{url}#status", wait="tbody tr", viewport={"width": 360, "height": 740})
    row = tab.page.get_by_role("table", name="Spending by key").get_by_role("row").nth(1)
    assert row.get_by_role("rowheader").inner_text() == "anybody"
    assert row.get_by_role("cell").count() == 3
    for cell in row.get_by_role("cell").all():
        box = cell.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    names = [one.evaluate("one => getComputedStyle(one, '::before').content") for one in row.get_by_role("cell").all()]
    assert ["This month" in name for name in names] == [False, True, False]
