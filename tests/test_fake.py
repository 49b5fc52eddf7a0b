from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from lascaux.providers.base import Provider
from lascaux.providers.catalog import Catalog
from lascaux.providers.errors import InvalidRequest, Throttled
from lascaux.providers.fake import PICTURE, FakeProvider
from lascaux.providers.types import Call, Image, ImageRequest, ImageResult, Target
from PIL import Image as Pillow

REQUEST = ImageRequest(prompt="a", n=2, seed=5)


def target(deployment: str = "one", model: str = "amazon.nova-canvas-v1:0") -> Target:
    return Target(deployment=deployment, model=model, model_id=model, region="us-east-1")


def test_the_default_answer_is_a_real_picture(tmp_path: object) -> None:
    """Without a script every call delivers what it was asked for, with its seed."""
    provider: Provider = FakeProvider()
    (call,) = provider.prepare(REQUEST, target())
    found = provider.send(target(), call, timeout=3)
    assert [image.seed for image in found.images] == [5, 5]
    path = found.images[0].save(f"{tmp_path}/deep/otter.png")
    with Pillow.open(path) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (8, 8))


def test_each_deployment_has_its_own_script() -> None:
    """Outcomes are taken one per call: results, errors and functions; afterwards the default again."""
    result = ImageResult(images=(Image(PICTURE, seed=99),))

    def echo(to: Target, call: Call) -> ImageResult:
        return ImageResult(images=(Image(PICTURE, seed=call.seed),), request_id=to.deployment)

    provider = FakeProvider({"one": [Throttled("slow down"), result]})
    provider.then("two", echo)
    (call,) = provider.prepare(REQUEST, target())
    with pytest.raises(Throttled, match="slow down"):
        provider.send(target(), call, timeout=1)
    assert provider.send(target("two"), call, timeout=2).request_id == "two"
    assert provider.send(target(), call, timeout=3) is result
    assert len(provider.send(target(), call, timeout=4).images) == 2
    assert [(sent.target.deployment, sent.timeout) for sent in provider.sent] == [
        ("one", 1),
        ("two", 2),
        ("one", 3),
        ("one", 4),
    ]
    assert all(sent.call is call for sent in provider.sent)


def test_requests_are_checked_like_real_ones() -> None:
    """What a model can not do, and models that nobody knows, fail as they would on AWS's side."""
    provider = FakeProvider()
    with pytest.raises(InvalidRequest, match="prompt"):
        provider.prepare(ImageRequest(prompt=""), target())
    with pytest.raises(InvalidRequest, match=r"model: amazon.nova-canvas-v1 is not known; nearest: amazon") as caught:
        provider.prepare(REQUEST, target(model="amazon.nova-canvas-v1"))
    assert caught.value.nearest == "amazon.nova-canvas-v1:0"
    empty = FakeProvider(catalog=Catalog(()))
    with pytest.raises(InvalidRequest, match=r"is not known$"):
        empty.prepare(REQUEST, target())


def test_many_threads_share_one_provider() -> None:
    """Every scripted outcome is handed out exactly once, and every call is recorded."""
    results = [ImageResult(images=(Image(PICTURE, seed=seed),)) for seed in range(200)]
    provider = FakeProvider({"one": results})
    (call,) = provider.prepare(REQUEST, target())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: provider.send(target(), call, timeout=1), range(200)))
    assert {image.seed for result in found for image in result.images} == set(range(200))
    assert len(provider.sent) == 200


def test_closing_is_remembered() -> None:
    """Tests can see that their subject gave the provider back."""
    provider = FakeProvider()
    assert not provider.closed
    provider.close()
    assert provider.closed


def test_the_fake_needs_no_cloud() -> None:
    """Importing it, and preparing a call, loads neither boto3 nor Pillow."""
    code = (
        "import sys; from lascaux.providers.fake import FakeProvider; from lascaux.providers.types import *;"
        "model = 'amazon.nova-canvas-v1:0';"
        "FakeProvider().prepare(ImageRequest(prompt='a'), Target(deployment='d', model=model, model_id=model, region='r'));"
        "print([name for name in ('boto3', 'botocore', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
