"""The files of the page: what they may hold, and how they are served."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lascaux
import pytest
from lascaux import AsyncRouter
from lascaux.gateway.app import create_app
from lascaux.gateway.page import POLICY
from lascaux.providers.fake import FakeProvider
from starlette.testclient import TestClient

STATIC = Path(lascaux.__file__).resolve().parent / "gateway" / "static"
PLAIN = {"deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}}}


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node here")
def test_every_script_can_be_parsed() -> None:
    """As the module that it is."""
    program = (
        "const {readFileSync} = require('fs'), {SourceTextModule} = require('vm');"
        "for (const name of process.argv.slice(1)) new SourceTextModule(readFileSync(name, 'utf-8'), {identifier: name});"
    )
    scripts = sorted(map(str, STATIC.glob("*.js")))
    command = ["node", "--no-warnings", "--experimental-vm-modules", "-e", program, *scripts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_script_makes_html_of_words() -> None:
    """Nor evaluates any, nor names a foreign address; files stay small enough to be read."""
    for path in STATIC.iterdir():
        text = path.read_text("utf-8")
        assert text.count("\n") <= 400
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path.name
        )
        addresses = [
            one for one in re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", text) if "www.w3.org/2000/svg" not in text
        ]
        assert addresses == [], path.name
    page = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\bon[a-z]+=", page)


@pytest.fixture
def bare() -> Iterator[TestClient]:
    """A gateway, asked without a browser."""
    with TestClient(create_app(AsyncRouter(PLAIN, provider=FakeProvider())), base_url="http://localhost") as client:
        yield client


def test_the_page_is_served_with_headers_that_let_nothing_else_in(bare: TestClient) -> None:
    """Policy, type, no referrer, and an ETag by which it is not sent twice."""
    for name in ["", *(f"static/{path.name}" for path in STATIC.iterdir())]:
        answer = bare.get(f"/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-cache"
        again = bare.get(f"/{name}", headers={"if-none-match": f'"other", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
    assert bare.head("/").status_code == 200
    assert bare.get("/static/app.js").headers["content-type"] == "text/javascript; charset=utf-8"


def test_no_path_leads_out_of_the_folder(bare: TestClient) -> None:
    """Only the names that were shipped are there; and without `page` not even these."""
    for name in ("nothing.js", "..%2fapp.py", "%2e%2e/app.py", "__init__.py", "", "index.html%00"):
        assert bare.get(f"/static/{name}").status_code == 404, name
    with TestClient(
        create_app(AsyncRouter(PLAIN, provider=FakeProvider()), page=False), base_url="http://localhost"
    ) as closed:
        assert [closed.get(path).status_code for path in ("/", "/static/app.js")] == [404, 404]
