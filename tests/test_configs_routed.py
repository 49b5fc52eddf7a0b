"""Every alias of every shipped configuration makes a picture: against the emulator, and moto's STS for roles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import lascaux
import pytest
from lascaux import InvalidRequest, Router
from lascaux.emulator import Emulator
from lascaux.router.records import Result
from PIL import Image

CONFIGS = sorted((Path(lascaux.__file__).resolve().parent / "configs").glob("*.yaml"))


@pytest.fixture
def account(sts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An AWS account on this machine: keys in the environment, Bedrock and STS at local addresses."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LASCAUX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = emulator\naws_secret_access_key = emulator-secret\n", encoding="utf-8"
    )
    with Emulator(canvas="fast", accept_any_signature=True) as emulator:
        values = {
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator-secret",
            "AWS_REGION": "us-west-2",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": emulator.url,
            "AWS_ENDPOINT_URL_STS": sts,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "LASCAUX_EMULATOR_URL": emulator.url,
            "EXTERNAL_ID": "tenant-7",
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        yield emulator


def picture(router: Router, alias: str) -> Result:
    """From words, or from another picture where the models behind the alias only change some."""
    try:
        return router.generate(alias, "A cute baby sea otter", cache=False)
    except InvalidRequest as error:
        if error.parameter != "task":
            raise
        photo = Image.new("RGB", (640, 512), "teal")
        if error.allowed == "inpaint":
            mask = Image.new("L", photo.size, "white")
            return router.edit(alias, "a straw hat", image=photo, mask=mask, mask_mode="white", cache=False)
        return router.edit(alias, image=photo, task=error.allowed, cache=False)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_alias_of_a_shipped_configuration_makes_a_picture(path: Path, account: Emulator) -> None:
    """Region, credentials, profile and model of each deployment are ones that the account answers to."""
    with Router.from_yaml(path) as router:
        assert router.aliases
        for alias in router.aliases:
            result = picture(router, alias)
            assert result.images[0].width >= 512
            (record,) = account.log[-1:]
            assert (record.region, record.model_id) == (result.region, result.model_id)
            account.forget()
