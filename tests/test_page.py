"""The page at / in a real browser: from a prompt to a picture, by mouse, by brush, by keys, and for everybody."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.gate import open_gate
from PIL import Image, ImageChops

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]

needs_browser = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no chromium here")

ADMIN, TEAM = "an-admin-key-for-this-test", "a-team-key-for-this-test"
EVIL = "<img src=x onerror=window.harmed=1><script>window.harmed=1</script>"
PROMPT = "A sea otter on a limestone wall"
SEEDS = itertools.count(1000)
"""So that each visit to the page is answered by a call, and not from the cache."""

Serve = Callable[[Any], AbstractContextManager[str]]


def sections(emulator: Emulator, **more: Any) -> dict[str, Any]:
    """A configuration of models that can do different things, all on the emulator."""
    place = {"credentials": "demo", "endpoint_url": emulator.url, "region": "us-west-2"}
    models = {
        "ultra": "stability.stable-image-ultra-v1:1",
        "core": "stability.stable-image-core-v1:1",
        "sd35": "stability.sd3-5-large-v1:0",
        "inpaint": "stability.stable-image-inpaint-v1:0",
        "titan": "amazon.titan-image-generator-v1:0",
    }
    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {name: {"model": model, **place} for name, model in models.items()},
        "aliases": {
            "hero": {"deployments": ["core"]},
            "old": "titan",
            "fine": "ultra",
            "touch-up": "inpaint",
            "weak": "sd35",
            EVIL: "core",
        },
        "health": {"failures": 2, "cooldown": "5m"},
        **more,
    }


@dataclass
class Tab:
    """A page, and what must never happen on it."""

    page: Any
    url: str
    strange: list[str] = field(default_factory=list)

    def quiet(self) -> None:
        """No request left the origin, nothing was complained of, and the policy held."""
        assert self.strange == []
        assert self.page.evaluate("() => window.violations") == []
        assert self.page.evaluate("() => window.harmed") is None

    def ask(self, prompt: str, *, alias: str = "hero", seed: int | None = None) -> Any:
        """Make a picture; what the gateway answered."""
        page, before = self.page, self.page.locator("article").count()
        self.choose(alias)
        page.fill("#prompt", prompt)
        if seed is not None:
            page.fill("#seed", str(seed))
        with page.expect_response(re.compile(r"images/(generations|edits)")) as answer:
            page.click("#go")
        page.locator("article").nth(before).wait_for()
        return answer.value.json()

    def choose(self, alias: str, task: str | None = None) -> None:
        """Ask this alias, for this task."""
        if self.page.input_value("#model") != alias:
            with self.page.expect_event("requestfinished", lambda one: "/v1/models/" in one.url or "quote" in one.url):
                self.page.select_option("#model", alias)
        if task:
            self.page.locator(f"#task option[value={task}]").wait_for(state="attached")
            self.page.select_option("#task", task)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(canvas="fast") as running:
        yield running


@pytest.fixture(scope="module")
def url(emulator: Emulator, serve: Serve) -> Iterator[str]:
    """A gateway without keys."""
    with serve(create_app(AsyncRouter(sections(emulator), picture_files=False))) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, url: str) -> Iterator[Callable[..., Tab]]:
    """Opens the page in a context of its own, and looks at the end whether anything strange happened on it."""
    with ExitStack() as stack:
        tabs: list[Tab] = []

        def open_tab(address: str = url, *, wait: str = "#task option", **options: Any) -> Tab:
            context = browser.new_context(
                **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
            )
            stack.callback(context.close)
            context.add_init_script(
                "window.violations = [];"
                "document.addEventListener('securitypolicyviolation', e => violations.push(e.blockedURI))"
            )
            context.set_default_timeout(45_000)
            tab = Tab(context.new_page(), address)
            origin = "/".join(address.split("/")[:3]) + "/"
            tab.page.on(
                "request",
                lambda one: tab.strange.append(one.url) if not one.url.startswith((origin, "blob:", "data:")) else None,
            )
            tab.page.on("pageerror", lambda error: tab.strange.append(str(error)))
            tab.page.on("console", lambda said: tab.strange.append(said.text) if complains(said) else None)
            tab.page.goto(address)
            tab.page.locator(wait).first.wait_for(state="attached")
            tabs.append(tab)
            return tab

        yield open_tab
        for tab in tabs:
            tab.quiet()


def complains(said: Any) -> bool:
    """Errors of scripts and of the policy; that an answer had a status of 400 is for the test to judge."""
    return said.type in ("error", "warning") and not said.text.startswith("Failed to load resource")


@needs_browser
def test_from_a_prompt_to_a_picture_with_its_price_and_its_route(opened: Callable[..., Tab]) -> None:
    """The price is there before anything is spent; what the card says is what the API answered."""
    tab = opened()
    page = tab.page
    assert page.title() == "Lascaux"
    page.fill("#prompt", PROMPT)
    page.fill("#seed", "30")
    page.locator("#quote strong").wait_for()
    assert page.inner_text("#quote") == "$0.04 at core, us-west-2"
    assert page.locator("article").count() == 0
    answer = tab.ask(PROMPT, seed=30)
    facts, card = answer["lascaux"], page.locator("article").first
    text = card.inner_text()
    assert facts["cost"]["usd"] == "0.04"
    assert card.locator(".price").inner_text() == "$0.04"
    assert f"{facts['deployment']} ({facts['model']}) in {facts['region']}" in text
    assert "30" in text
    card.locator("summary").click()
    assert "core stability.stable-image-core-v1:1, us-west-2: ok" in card.locator(".route li").inner_text()
    image = card.locator("figure img")
    sizes = image.evaluate("async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }")
    sent = Image.open(io.BytesIO(b64decode(answer["data"][0]["b64_json"])))
    assert tuple(sizes) == sent.size
    assert image.get_attribute("src").startswith("blob:")
    with page.expect_download() as saved:
        card.get_by_text("Download").click()
    assert Path(saved.value.path()).read_bytes() == b64decode(answer["data"][0]["b64_json"])
    assert page.inner_text("#spent") == "This session: $0.04 for 1 picture"
    page.locator("#quote strong", has_text="free from cache").wait_for()  # the same again costs nothing
    again = tab.ask(PROMPT, seed=30)
    assert again["lascaux"]["cache"] == "hit"
    assert page.locator("article").first.locator(".price").inner_text() == "$0.00, from the cache, saves $0.04"


@needs_browser
def test_what_is_painted_changes_and_nothing_else(opened: Callable[..., Tab], tmp_path: Path) -> None:
    """The brush's mask goes to the gateway in its own convention: the emulator changes pixels under it alone."""
    tab = opened()
    page = tab.page
    source = Image.new("RGB", (640, 480), "#8ecae6")
    source.save(tmp_path / "lake.png")
    tab.choose("touch-up", "inpaint")
    page.set_input_files("#image", tmp_path / "lake.png")
    page.click("#paint-mask")
    canvas = page.locator("#brush-canvas")
    canvas.wait_for()
    box = canvas.bounding_box()
    scale = box["width"] / 640
    page.mouse.move(box["x"] + 160 * scale, box["y"] + 120 * scale)
    page.mouse.down()
    page.mouse.move(box["x"] + 300 * scale, box["y"] + 120 * scale, steps=8)
    page.mouse.up()
    page.mouse.click(box["x"] + 500 * scale, box["y"] + 400 * scale)
    page.click("#brush-undo")  # the dot down there
    page.click("#brush-done")
    page.locator("#at-mask img:not([hidden])").wait_for()
    answer = tab.ask("a straw hat", alias="touch-up", seed=5)
    after = Image.open(io.BytesIO(b64decode(answer["data"][0]["b64_json"]))).convert("RGB")
    assert after.size == source.size
    changed = ImageChops.difference(source, after).convert("L").point(lambda value: 255 if value > 24 else 0)
    box_of_change = changed.getbbox()
    assert box_of_change is not None
    left, top, right, bottom = box_of_change
    assert 100 <= left <= 170
    assert 60 <= top <= 125
    assert 290 <= right <= 360
    assert 115 <= bottom <= 180
    assert changed.getpixel((500, 400)) == 0
    under = changed.crop((160, 110, 300, 130))
    assert sum(under.histogram()[128:]) > 0.5 * under.width * under.height


@needs_browser
def test_a_mask_can_be_painted_erased_inverted_and_uploaded_with_keys(
    opened: Callable[..., Tab], tmp_path: Path
) -> None:
    """Arrow keys and Space paint; what comes out is black where the picture stays and transparent where it changes."""
    tab = opened()
    page = tab.page
    Image.new("RGB", (200, 100), "#8ecae6").save(tmp_path / "lake.png")
    mask = Image.new("L", (200, 100))
    mask.paste(255, (0, 0, 50, 100))
    mask.save(tmp_path / "mask.png")
    tab.choose("touch-up", "inpaint")
    page.set_input_files("#image", tmp_path / "lake.png")

    def painted(*points: tuple[int, int]) -> list[int]:
        script = """async points => {
            const bitmap = await createImageBitmap(document.querySelector('#brush-canvas'));
            const pen = new OffscreenCanvas(200, 100).getContext('2d', {willReadFrequently: true});
            pen.drawImage(bitmap, 0, 0);
            return points.map(([x, y]) => pen.getImageData(x, y, 1, 1).data[3]);
        }"""
        return page.evaluate(script, [list(point) for point in points])  # type: ignore[no-any-return]

    page.click("#paint-mask")
    page.keyboard.press("Space")  # the brush begins in the middle, with the focus on it
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Space")
    assert painted((100, 50), (130, 50), (100, 90)) == [255, 255, 0]
    page.get_by_text("Erase").click()
    page.locator("#brush-canvas").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    assert painted((100, 50), (140, 50)) == [255, 0]
    page.click("#brush-undo")
    assert painted((100, 50), (140, 50)) == [255, 255]
    page.click("#brush-invert")
    assert painted((100, 50), (140, 50), (100, 90)) == [0, 0, 255]
    page.click("#brush-clear")
    assert painted((100, 50), (100, 90)) == [0, 0]
    page.set_input_files("#brush-file", tmp_path / "mask.png")
    page.locator("#brush-said", has_text="The mask is there").wait_for(state="attached")
    assert painted((25, 50), (100, 50)) == [255, 0]
    page.click("#brush-done")
    page.locator("#at-mask img:not([hidden])").wait_for()
    page.fill("#prompt", "a straw hat")
    page.route("**/v1/images/edits", lambda route: route.abort())
    with page.expect_request("**/v1/images/edits") as asked:
        page.click("#go")
    sent: Any = Image.open(io.BytesIO(b64decode(asked.value.post_data_json["mask"])))
    assert sent.mode == "RGBA"
    assert sent.getpixel((25, 50))[3] == 0
    assert sent.getpixel((100, 50)) == (0, 0, 0, 255)
    page.locator("#problem-general", has_text="can not be reached").wait_for()
    page.locator("#spent", has_text="up to $0.07 more for 1 call whose answer did not come").wait_for()


@needs_browser
def test_what_is_wrong_is_told_at_its_field(opened: Callable[..., Tab]) -> None:
    """The gateway names the parameter: the field is marked and focused, and what would be right is one click away."""
    tab = opened()
    page = tab.page
    page.click("#go")
    assert page.inner_text("#problem-prompt") == "Say what you would like to see."
    assert page.evaluate("() => document.activeElement.id") == "prompt"
    page.fill("#prompt", PROMPT)
    assert page.inner_text("#problem-prompt") == ""
    for name, text, told, nearest in (
        ("seed", "-1", "Seed must be a whole number from 1 to 4294967295, not -1.", "1"),
        ("seed", "x", "Seed must be a whole number from 1 to 4294967295.", None),
        ("n", "1.5", "Pictures must be a whole number from 1 to 10, not 1.5.", "2"),
        ("n", "11", "Pictures must be a whole number from 1 to 10, not 11.", "10"),
        ("seed", "99999999999", "seed must be a whole number from 0 to", "2147483646"),
    ):
        page.fill(f"#{name}", text)  # nothing is pressed: it is told while one types
        page.locator(f"#{name}[aria-invalid=true]").wait_for()
        page.locator(f"#problem-{name}", has_text=told).wait_for()
        assert page.inner_text("#quote") == "The price appears when the marked field is right."
        assert page.evaluate("() => document.activeElement.id") == name
        if nearest:
            page.locator(f"#problem-{name} button", has_text=nearest).click()
            assert page.input_value(f"#{name}") == nearest
        else:
            page.fill(f"#{name}", "")
        assert page.locator("[aria-invalid]").count() == 0
    page.fill("#seed", "99999999999")
    page.click("#go")
    page.locator("#seed[aria-invalid=true]").wait_for()
    assert page.evaluate("() => document.activeElement.id") == "seed"
    assert "seed" in page.inner_text("#problem-seed")
    page.locator("#problem-seed button").click()
    assert int(page.input_value("#seed")) <= 4_294_967_295
    assert page.inner_text("#problem-seed") == ""
    page.click("#more summary")
    for text, told in (
        ("{no", "This is not JSON"),
        ("[1]", "must be an object"),
        ('{"seed": 4}', '"seed" has a place of its own'),
        ('{"stepz": 4}', "unknown parameter"),
    ):
        page.fill("#extra", text)
        page.click("#go")
        page.locator("#problem-extra", has_text=told).wait_for()
        assert page.evaluate("() => document.activeElement.id") == "extra"
        bottom = page.locator("#at-extra").bounding_box()
        assert bottom["y"] + bottom["height"] <= page.locator("#counter").bounding_box()["y"] + 1  # nothing is covered
    assert page.locator("article").count() == 0


@needs_browser
def test_warnings_and_failed_attempts_stand_beside_the_result(opened: Callable[..., Tab], emulator: Emulator) -> None:
    """Several pictures, a parameter that was adapted, and a call that failed before another came through."""
    tab = opened()
    page = tab.page
    emulator.faults.add(Rule(match="herd", status=503, times=1))
    page.click("#more summary")
    page.fill("#extra", '{"user": "somebody"}')
    page.fill("#n", "2")
    answer = tab.ask("a herd", seed=8)
    card = page.locator("article").first
    assert card.locator("figure").count() == 2
    assert "8, 9" in card.inner_text()
    assert "user: ignored" in card.locator(".warnings").inner_text()
    outcomes = [attempt["outcome"] for attempt in answer["lascaux"]["attempts"]]
    assert len(outcomes) == 3
    assert outcomes.count("ok") == 2
    assert card.locator(".route li").count() == 3
    assert card.locator(".route li.bad").count() == 1
    card.get_by_text("Same again").click()
    page.locator("#prompt:focus").wait_for()
    assert [page.input_value(name) for name in ("#seed", "#n", "#extra")] == ["8", "2", '{"user":"somebody"}']


@needs_browser
def test_same_seed_other_model(opened: Callable[..., Tab]) -> None:
    """Another alias, its price before and after, and both pictures side by side."""
    tab = opened()
    page = tab.page
    first = tab.ask(PROMPT, seed=7)
    page.get_by_text("Same seed, other model").click()
    page.select_option(".compare select", "fine")
    page.locator(".compare .quote", has_text="$0.14").wait_for()
    with page.expect_response("**/images/generations") as answer:
        page.click(".compare .go")
    page.locator(".pair").wait_for()
    second = answer.value.json()
    assert first["lascaux"]["seed"] == second["lascaux"]["seed"] == 7
    sides = page.locator(".pair .side")
    assert sides.locator("h4").all_inner_texts() == ["hero", "fine"]
    assert sides.locator(".price").all_inner_texts() == ["$0.04", "$0.14"]
    assert sides.locator("img").count() == 2
    tops = [one.bounding_box()["y"] for one in sides.all()]
    assert tops[0] == tops[1]
    assert "$0.18 for 2 pictures" in page.inner_text("#spent") or "$0.14 for 2 pictures" in page.inner_text("#spent")
    page.locator(".pair").get_by_text("Take down").click()
    assert page.locator("article img").first.evaluate("async image => { await image.decode(); return true }")


@needs_browser
def test_with_keys_alone(opened: Callable[..., Tab]) -> None:
    """From the top to a picture, with Tab, typing and Enter; the way is as long as what is shown."""
    tab = opened()
    page, keys = tab.page, tab.page.keyboard

    def tab_to(id: str) -> None:
        for _ in range(30):
            if page.evaluate("() => document.activeElement.id") == id:
                return
            keys.press("Tab")
        raise AssertionError(f"no Tab leads to {id}")

    keys.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
    tab_to("prompt")
    keys.type("An otter, by keys")
    tab_to("model")
    keys.type("fine")
    tab_to("dice")
    keys.press("Enter")
    assert page.input_value("#seed").isdecimal()
    tab_to("go")
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    keys.press("Enter")
    page.locator("article").wait_for()
    assert "ultra (" in page.locator("article").inner_text()
    assert "Done: a picture by ultra" in page.inner_text("#said")


@needs_browser
def test_who_leaves_is_told_what_that_means(opened: Callable[..., Tab], emulator: Emulator) -> None:
    """Time runs while one waits; Cancel ends the waiting, not the call."""
    tab = opened()
    page = tab.page
    emulator.faults.add(Rule(kind="delay", match="slowly", latency=3.0, times=1))
    page.fill("#prompt", "slowly")
    page.fill("#seed", "4")
    page.click("#go")
    page.locator("#elapsed", has_text=re.compile(r"0\.[3-9]|[1-9]\.")).wait_for()
    assert page.is_disabled("#go")
    page.click("#cancel")
    page.locator("#problem-general", has_text="with this seed comes from the cache").wait_for()
    assert page.is_hidden("#pending")
    assert page.is_enabled("#go")
    lost = "This session: $0.00 for 0 pictures, and perhaps up to {} more for {} whose answer did not come"
    page.locator("#spent", has_text=lost.format("$0.04", "1 call")).wait_for()
    page.locator("#quote strong", has_text="free from cache").wait_for()  # once the call is through, by itself
    emulator.faults.add(Rule(kind="delay", match="slowly", latency=1.0, times=2))
    page.fill("#seed", "")
    page.fill("#n", "2")
    page.click("#go")
    page.locator("#elapsed", has_text=re.compile(r"0\.[3-9]|[1-9]\.")).wait_for()
    page.click("#cancel")
    page.locator("#problem-general", has_text="another picture, which is paid as well").wait_for()
    page.locator("#spent", has_text=lost.format("$0.12", "2 calls")).wait_for()


@needs_browser
def test_words_from_outside_stay_words(opened: Callable[..., Tab]) -> None:
    """An alias, a prompt, an error and a warning that look like HTML are shown as they are; `Tab.quiet` sees the rest."""
    tab = opened()
    page = tab.page
    assert EVIL in page.locator("#model").inner_text()
    tab.ask(EVIL, alias=EVIL, seed=3)
    assert page.locator("article h3").inner_text() == EVIL
    page.get_by_text("Same seed, other model").click()
    page.locator(".compare select").wait_for()
    page.click("#more summary")
    page.fill("#extra", json.dumps({EVIL: 1}))
    page.click("#go")
    page.locator("#problem-extra, #problem-general").filter(has_text="unknown parameter").wait_for()
    assert page.locator("main img[src=x], main script").count() == 0
    sneaky = {"error": {"message": EVIL, "param": EVIL, "lascaux": {"allowed": EVIL, "nearest": EVIL}}}
    page.route("**/v1/images/generations", lambda route: route.fulfill(status=400, json=sneaky))
    page.fill("#extra", "")
    page.click("#go")
    page.locator("#problem-general", has_text="onerror").wait_for()
    assert page.locator("main img[src=x], main script").count() == 0


@needs_browser
def test_the_status_shows_an_open_breaker(opened: Callable[..., Tab], emulator: Emulator, url: str) -> None:
    """After an outage: who is ill, when it is asked again, and what the others do; the same as the address tells."""
    emulator.faults.add(Rule(model="stability.sd3-5-large-v1:0", status=503, times=4))
    for seed in (1, 2):
        httpx2.post(f"{url}v1/images/generations", json={"model": "weak", "prompt": "x", "seed": seed}, timeout=30)
    tab = opened(f"{url}#status", wait=".deployment")
    page = tab.page
    ill = page.locator(".deployment.open")
    assert ill.locator("h3").all_inner_texts() == ["sd35"]
    assert re.search(r"Breaker open: probes again in \d+ s", ill.inner_text())
    assert "calls, " in ill.inner_text()
    assert "active" in ill.inner_text()
    assert "weak" in ill.inner_text()
    told = httpx2.get(f"{url}admin/status").json()
    assert [one["deployment"] for one in told["deployments"]] == page.locator(".deployment h3").all_inner_texts()
    assert re.search(r"3 of 5\s+1 retired", page.locator(".tiles").inner_text())
    gone = page.locator(".deployment.retired")
    assert gone.locator("h3").all_inner_texts() == ["titan"]
    assert gone.locator(".state").inner_text() == "Retired"
    border = "one => getComputedStyle(one).borderLeftStyle + getComputedStyle(one).borderLeftColor"
    assert len({one.evaluate(border) for one in page.locator(".deployment").all()}) == 3  # well, ill, and retired
    cells = page.locator("tbody tr").inner_text()
    assert cells.startswith("anybody")
    assert "$" in cells
    page.get_by_text("Playground").click()
    page.locator("#prompt").wait_for()
    assert page.is_hidden("#view-status")


@needs_browser
def test_a_key_is_asked_for_and_kept_in_this_tab_alone(
    opened: Callable[..., Tab], emulator: Emulator, serve: Serve
) -> None:
    """A wrong key says so; a right one opens; the status needs an admin's."""
    keys = [{"name": "ops", "key": ADMIN, "admin": True}, {"name": "team", "key": TEAM, "aliases": ["hero"]}]
    config = Config.from_mapping(sections(emulator, server={"keys": keys}))
    gate = open_gate(config.server, clock=time.monotonic, now=lambda: datetime.now(UTC))
    with serve(create_app(AsyncRouter(config, picture_files=False), gate=gate)) as address:
        tab = opened(f"{address}/", wait="#door:not([hidden])")
        page = tab.page
        page.fill("#key", "a-key-that-is-none-of-them")
        page.keyboard.press("Enter")
        page.locator("#problem-key", has_text="This key is not valid here.").wait_for()
        page.fill("#key", TEAM)
        page.keyboard.press("Enter")
        page.locator("#prompt").wait_for()
        assert page.locator("#model option").all_inner_texts() == ["hero"]
        stored = page.evaluate("() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie]")
        assert stored == [[TEAM], [], ""]
        tab.ask(PROMPT, seed=11)
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')) }")
        page.get_by_text("Copy as curl").click()
        page.locator("#text[open]").wait_for()  # to copy by hand
        command = page.input_value("#text-content")
        assert "Authorization: Bearer $LASCAUX_KEY" in command
        assert TEAM not in command + page.content()
        page.click("#text-close")
        page.goto(f"{address}/#status")
        page.locator("#problem-status", has_text="admin key").wait_for()
        left = page.locator("article img").first.get_attribute("src")
        page.click("#forget")
        assert page.evaluate("() => sessionStorage.length") == 0
        assert page.locator("article").count() == 0
        assert [page.input_value("#prompt"), page.input_value("#seed"), page.inner_text("#status")] == ["", "", ""]
        assert page.is_hidden("#spent")
        assert PROMPT not in page.content()
        gone = "url => { const one = new Image(); one.src = url; return one.decode().then(() => false, () => true) }"
        assert page.evaluate(gone, left)
        tab.strange[:] = [one for one in tab.strange if "blob:" not in one]  # the revoked one that was looked for
        page.fill("#key", ADMIN)
        page.keyboard.press("Enter")
        page.locator(".deployment").first.wait_for()
        assert page.locator("tbody th").all_inner_texts() == ["ops", "team"]


@needs_browser
@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_what_is_copied_can_be_run(opened: Callable[..., Tab]) -> None:
    """The command for a shell gives the very picture, quotes in the prompt and all."""
    tab = opened(permissions=["clipboard-read", "clipboard-write"])
    page = tab.page
    answer = tab.ask('An otter\'s "home", $HOME', seed=12)
    page.get_by_text("Copy as curl").click()
    page.locator("#said", has_text="Copied as curl").wait_for(state="attached")
    command = page.evaluate("() => navigator.clipboard.readText()")
    done = subprocess.run(["sh", "-c", f"{command} -sS"], capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout)["data"] == answer["data"]
    page.get_by_text("Copy as Python").click()
    page.locator("#said", has_text="Copied as Python").wait_for(state="attached")
    program = page.evaluate("() => navigator.clipboard.readText()")
    compile(program, "copied", "exec")
    assert "client.images.generate(" in program
    assert '"seed": 12' in program


@needs_browser
def test_a_picture_of_the_wall_is_worked_on(opened: Callable[..., Tab]) -> None:
    """It becomes the input of a task that takes one, asked of an alias that has it."""
    tab = opened()
    page = tab.page
    made = tab.ask(PROMPT, seed=13)
    page.get_by_text("Use as input").click()
    page.locator("#at-image img:not([hidden])").wait_for()
    # "old" is retired, and what "fine" takes for this is not known
    assert [page.input_value("#model"), page.input_value("#task")] == ["touch-up", "inpaint"]
    assert f"{PROMPT}, 1024 × 1024" in page.inner_text("#at-image")
    assert page.locator("#image").bounding_box()["width"] <= 1  # the browser's own words say nothing beside it
    page.get_by_role("button", name="Remove picture").click()
    tab.choose("weak", "text_to_image")
    page.get_by_text("Use as input").click()
    page.locator("#at-image img:not([hidden])").wait_for()
    assert [page.input_value("#model"), page.input_value("#task")] == ["weak", "image_to_image"]
    page.fill("#strength", "0.5")
    with page.expect_request("**/v1/images/edits") as asked:
        page.click("#go")
    body = asked.value.post_data_json
    assert (body["model"], body["task"], body["strength"]) == ("weak", "image_to_image", 0.5)
    assert b64decode(body["image"]) == b64decode(made["data"][0]["b64_json"])


@needs_browser
def test_pictures_can_be_dropped_and_pasted(opened: Callable[..., Tab]) -> None:
    """On their place or anywhere; what is no picture is refused there, and never opened instead of the page."""
    tab = opened()
    page = tab.page
    script = """async ([kind, selector, type, content]) => {
        const canvas = new OffscreenCanvas(32, 16);
        canvas.getContext('2d');
        const blob = content ? new Blob([content]) : await canvas.convertToBlob();
        const data = new DataTransfer();
        data.items.add(new File([blob], 'given', { type }));
        const more = { bubbles: true, cancelable: true, clipboardData: data, dataTransfer: data };
        const event = kind === 'paste' ? new ClipboardEvent(kind, more) : new DragEvent(kind, more);
        return document.querySelector(selector).dispatchEvent(event);
    }"""
    assert page.evaluate(script, ["paste", "body", "image/png", ""]) is False
    page.locator("#at-image img:not([hidden])").wait_for()
    assert "32 × 16" in page.inner_text("#at-image")
    page.get_by_role("button", name="Remove picture").click()
    page.evaluate(script, ["drop", "#at-image .drop", "image/png", ""])
    page.locator("#at-image img:not([hidden])").wait_for()
    page.evaluate(script, ["drop", "#at-image .drop", "text/plain", "words"])
    page.locator("#problem-image", has_text="no PNG, JPEG or WebP").wait_for()
    page.evaluate(script, ["drop", "#at-image .drop", "image/png", "words"])
    page.locator("#problem-image", has_text="can not be opened").wait_for()
    assert page.evaluate(script, ["drop", "body", "image/png", ""]) is False


@needs_browser
def test_money_is_added_exactly_and_the_wall_is_bounded(opened: Callable[..., Tab], url: str) -> None:
    """Texts, not floats; and the blobs of cards that went are given back."""
    tab = opened()
    script = """async () => {
        const { parse, dollars } = await import('./static/money.js');
        const { Gallery, resultOf } = await import('./static/gallery.js');
        const sum = [...Array(10)].reduce(sum => sum + parse('0.1'), 0n);
        const wall = new Gallery({});
        const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=';
        const facts = {cost: {usd: null}, cache: 'miss', attempts: [], warnings: [], missing: [], seed: 1, duration: 1};
        const made = [];
        for (let at = 0; at < 30; at++) {
            const data = [{b64_json: pixel, lascaux: {format: 'png', width: 1, height: 1, seed: at}}];
            made.push(resultOf({alias: 'a', task: 't', fields: {prompt: 'p'}}, {data, lascaux: facts}));
            wall.add(made.at(-1));
        }
        const alive = ({ url }) => {
            const image = new Image();
            image.src = url;
            return image.decode().then(() => true, () => false);
        };
        return {
            sums: [sum, '0.04', '0.0025', '12', null].map(dollars),
            cards: document.querySelectorAll('article').length,
            first: await alive(made[0].pictures[0]), last: await alive(made[29].pictures[0]),
        };
    }"""
    told = tab.page.evaluate(script)
    assert told["sums"] == ["$1.00", "$0.04", "$0.0025", "$12.00", "price unknown"]
    assert (told["cards"], told["first"], told["last"]) == (24, False, True)
    tab.strange[:] = [one for one in tab.strange if "blob:" not in one]  # the revoked one that was looked for
