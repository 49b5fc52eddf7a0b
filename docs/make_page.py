"""Writes ``page-*.png``: the page of a gateway on the emulator, as Chromium shows it. ``make page`` runs it."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import uvicorn
from lascaux import AsyncRouter
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.app import create_app
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
CHROMIUM = "/usr/bin/chromium"
ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-quic")
MODELS = {
    "ultra": "stability.stable-image-ultra-v1:1",
    "core": "stability.stable-image-core-v1:1",
    "sd35": "stability.sd3-5-large-v1:0",
    "inpaint": "stability.stable-image-inpaint-v1:0",
    "upscale": "stability.stable-fast-upscale-v1:0",
    "canvas": "amazon.nova-canvas-v1:0",
}
ALIASES = {
    "hero": {"deployments": ["ultra", {"use": "sd35", "priority": 1}], "fallbacks": ["draft"]},
    "draft": "core",
    "touch-up": {"deployments": ["inpaint", {"use": "canvas", "priority": 1}]},
}
MOST = 290 * 1024
PROMPT = "Horses at dusk below a limestone ridge, ochre and charcoal"


@contextmanager
def gateway() -> Iterator[tuple[str, Emulator]]:
    """A gateway on an emulator that draws slowly enough for a picture to be waited for."""
    with Emulator() as emulator:
        place = {"credentials": "demo", "endpoint_url": emulator.url}
        regions = {"canvas": "us-east-1"}
        deployments: dict[str, dict[str, Any]] = {
            name: {"model": model, "region": regions.get(name, "us-west-2"), **place} for name, model in MODELS.items()
        }
        deployments["core"] |= {"limits": {"rpm": 90}}
        keys = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
        config = {
            "credentials": {"demo": keys},
            "deployments": deployments,
            "aliases": ALIASES,
            "health": {"failures": 2, "cooldown": "5m"},
            "retry": {"attempts": 6},
        }
        listener = socket.create_server(("127.0.0.1", 0))
        app = create_app(AsyncRouter(config, picture_files=False))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", emulator
        server.should_exit = True
        thread.join(20)


def opened(browser: Browser, url: str, *, dark: bool = False, width: int = 1280, height: int = 900) -> Page:
    """The page in a window of its own."""
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#task option", state="attached")
    return page


def wish(page: Page, prompt: str, seed: int, alias: str = "hero") -> None:
    """Ask for a picture, and wait until it hangs."""
    page.select_option("#model", alias)
    page.wait_for_selector("#view-playground #task option", state="attached")
    page.fill("#prompt", prompt)
    page.fill("#seed", str(seed))
    page.wait_for_selector("#quote strong")
    before = page.locator("article").count()
    page.click("#go")
    page.wait_for_function("before => document.querySelectorAll('article').length > before", arg=before)


def playground(browser: Browser, url: str) -> bytes:
    """A picture, its price and its route."""
    page = opened(browser, url, height=1010)
    page.select_option("#size", "aspect_ratio=16:9")
    wish(page, PROMPT, 30)
    page.wait_for_timeout(600)
    return page.screenshot()


def phone(browser: Browser, url: str) -> bytes:
    """The same on a phone at night."""
    page = opened(browser, url, dark=True, width=390, height=900)
    wish(page, PROMPT, 41, "draft")
    page.mouse.move(0, 0)
    page.evaluate("window.scrollTo(0, document.querySelector('.wall').offsetTop - 12)")
    page.wait_for_timeout(300)
    return page.screenshot()


def brush(browser: Browser, url: str) -> bytes:
    """A mask half painted."""
    page = opened(browser, url, width=1080, height=820)
    page.select_option("#size", "aspect_ratio=3:2")
    wish(page, PROMPT, 30)
    page.click("text=Use as input")
    page.select_option("#model", "touch-up")
    page.wait_for_selector("#task option[value=inpaint]", state="attached")
    page.select_option("#task", "inpaint")
    page.wait_for_selector("#at-image img:not([hidden])")
    page.click("#paint-mask")
    page.wait_for_selector("#brush[open]")
    page.wait_for_timeout(300)
    box = page.locator("#brush-canvas").bounding_box()
    assert box is not None
    for row in (0.3, 0.36, 0.42):
        page.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * row)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.82, box["y"] + box["height"] * (row + 0.05), steps=12)
        page.mouse.up()
    return page.screenshot()


def side_by_side(browser: Browser, url: str) -> bytes:
    """One seed, two models."""
    page = opened(browser, url, height=960)
    wish(page, PROMPT, 7)
    page.click("text=Same seed, other model")
    page.select_option(".compare select", "draft")
    page.wait_for_function("() => document.querySelector('.compare .quote').textContent.includes('$')")
    page.click(".compare .go")
    page.wait_for_selector(".pair")
    page.wait_for_timeout(500)
    return page.screenshot()


def status(browser: Browser, url: str) -> bytes:
    """A deployment that is ill among others."""
    page = opened(browser, f"{url}#status", height=1010)
    page.wait_for_selector(".deployment.open")
    return page.screenshot()


def fail(url: str, seed: int) -> None:
    """Ask the one that is ill."""
    body = json.dumps({"model": "sd35", "prompt": PROMPT, "seed": seed}).encode()
    with suppress(HTTPError):
        urlopen(Request(f"{url}v1/images/generations", body), timeout=60)


def small(png: bytes) -> bytes:
    """The same in few bytes: a page has few colours, its pictures need the rest."""
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 160, 96, 64):
        out = io.BytesIO()
        whole.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG).save(out, "PNG", optimize=True)
        if out.tell() < MOST:
            break
    return out.getvalue()


PICTURES: dict[str, Callable[[Browser, str], bytes]] = {
    "playground": playground,
    "phone": phone,
    "brush": brush,
    "side-by-side": side_by_side,
    "status": status,
}


def main() -> None:
    """Take every picture."""
    with gateway() as (url, emulator), sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(ARGS))
        for name, take in PICTURES.items():
            if name == "status":  # an outage, so that there is something to see
                emulator.faults.add(Rule(model=MODELS["sd35"], status=503))
                for seed in range(2):
                    fail(url, seed)
            content = small(take(browser, url))
            (HERE / f"page-{name}.png").write_bytes(content)
            sys.stdout.write(f"page-{name}.png: {len(content) // 1024} KiB\n")
        browser.close()


if __name__ == "__main__":
    main()
