"""Prices of one's own that price nothing: `validate` and every router say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lascaux import Config, Router
from lascaux.cli.app import app
from lascaux.providers.fake import FakeProvider
from typer.testing import CliRunner

CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"


def said(override: dict[str, Any], **aliases: Any) -> list[tuple[str, str | None, str]]:
    """The warnings of a router with one deployment, Core in us-west-2, and that override."""
    config = Config.from_mapping(
        {
            "deployments": {"core": {"model": CORE, "region": "us-west-2"}},
            "aliases": {"hero": "core", **aliases},
            "pricing": {"overrides": [{"usd_per_image": "0.03", **override}]},
        }
    )
    with Router(config, provider=FakeProvider()) as router:
        return [(warning.code, warning.parameter, warning.message) for warning in router.warnings]


@pytest.mark.parametrize(
    ("override", "field", "message"),
    [
        ({"model": "stability.stable-image-core-v1:9"}, "model", f"applies to no deployment; did you mean {CORE}?"),
        ({"model": "acme"}, "model", f"applies to no deployment; there are: {CORE}"),
        ({"model": "amazon.nova-canvas-v1:0"}, "model", f"applies to no deployment; there are: {CORE}"),
        (
            {"model": CORE, "region": "us-east-1"},
            "region",
            f"applies to no deployment; {CORE} is asked in us-west-2",
        ),
    ],
)
def test_an_override_for_nobody_is_named(override: dict[str, Any], field: str, message: str) -> None:
    """With its place, and what it could have meant."""
    assert said(override) == [("config", f"pricing.overrides[0].{field}", message)]


@pytest.mark.parametrize("override", [{"model": CORE}, {"model": CORE, "region": "us-west-2", "quality": "standard"}])
def test_an_override_that_fits_is_not_worth_a_word(override: dict[str, Any]) -> None:
    """For every region, or for the one that is asked."""
    assert said(override) == []


def test_a_pass_through_may_bring_any_model_that_is_known() -> None:
    """So only a model that nobody can ask for is named."""
    passed = {"*": {"match": "bedrock/*", "region": "us-west-2"}}
    assert said({"model": ULTRA}, **passed) == []
    assert [message for _, _, message in said({"model": "stability.stable-image-core-v1:9"}, **passed)] == [
        f"applies to no deployment; did you mean {CORE}?"
    ]


def test_validate_shows_it(tmp_path: Path) -> None:
    """A warning: the file is usable."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"""\
deployments: {{core: {{model: "{CORE}", region: us-west-2}}}}
pricing: {{overrides: [{{model: "stability.stable-image-core-v1:9", usd_per_image: 0.03}}]}}
"""
    )
    done = CliRunner().invoke(app, ["validate", str(file), "--json"])
    assert done.exit_code == 0
    (report,) = json.loads(done.stdout)["files"]
    assert report["warnings"] == [f"pricing.overrides[0].model: applies to no deployment; did you mean {CORE}?"]
