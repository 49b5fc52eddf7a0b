"""One pass from text to nodes: places, anchors and tags, with either of PyYAML's parsers, and the collector held back."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import yaml
from lascaux.router.config import Config, Document, nodes, parse_document
from lascaux.router.errors import ConfigError

TEXT = """\
base: &base {a: 1, b: [x, 'no']}
other:
  <<: *base
  a: 0x1F
again: *base
text: ! 012
list: [*base, ~, 1e3]
"""


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's C half, and what is there without it."""
    monkeypatch.setattr(nodes, "_Loader", getattr(yaml, request.param))


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_document(parse_document(text, "x.yaml"), env={})
    return str(caught.value).splitlines()[0]


@pytest.mark.usefixtures("parser")
def test_what_an_anchor_names_is_the_same_everywhere() -> None:
    """Values of YAML 1.2, and a merged key gives way to one that is written."""
    base = {"a": 1, "b": ["x", "no"]}
    assert parse_document(TEXT).data == {
        "base": base,
        "other": {"a": "0x1F", "b": ["x", "no"]},
        "again": base,
        "text": "012",
        "list": [base, None, 1000.0],
    }


@pytest.mark.usefixtures("parser")
def test_places_lead_to_where_an_anchor_was_set() -> None:
    """That is where the value is written. What is not there is placed at what is around it."""
    document = parse_document(TEXT)
    assert document.locate(("again",), key=True) == (5, 1)
    assert document.locate(("again", "a")) == document.locate(("base", "a")) == (1, 17)
    assert document.locate(("other", "b", 1)) == (1, 27)
    assert document.locate(("other", "a"), key=True) == (4, 3)
    assert document.locate(("list", 2), key=True) == (7, 18)
    assert document.locate(("list", 9)) == document.locate(("list", "a")) == (7, 1)
    assert Document(data={}).locate(("a",)) is None


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: *b\n", 'x.yaml:1:4: is not YAML: found undefined alias; a name with * needs quotes: "*"'),
        ("a: &x 1\nb: &x 2\n", "x.yaml:2:4: is not YAML: found duplicate anchor; first occurrence, second occurrence"),
        ("a: &x [*x]\n", "x.yaml:1:4: an anchor contains itself"),
        ("a: !!seq {b: 1}\n", "x.yaml:1:4: a: YAML tags such as '!x' have no meaning here; remove it"),
        ("a: !!int b\n", "x.yaml:1:4: a: is tagged !!int but is none"),
        ("a: 1\n---\nb: 1\n", "x.yaml:2:1: has more than one YAML document; keep one, without '---' in between"),
    ],
)
def test_what_is_no_plain_mapping_is_refused(text: str, message: str) -> None:
    """In the same words, whichever parser there is."""
    assert refused(text) == message


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_left_as_it_was(tmp_path: Path, collecting: bool) -> None:
    """On or off, also when a file is refused."""
    file = tmp_path / "x.yaml"
    file.write_text("nonsense: 1\n")
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with pytest.raises(ConfigError):
            Config.load(file)
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()
