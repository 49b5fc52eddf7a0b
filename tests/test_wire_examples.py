"""Every task of every model over HTTP: the body that arrives is the documented one, and so is the picture's size."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lascaux import Router
from lascaux.emulator import Emulator
from lascaux.providers.bedrock.families import FAMILIES
from lascaux.providers.catalog import Catalog, Model
from PIL import Image, ImageChops, ImageDraw

EXAMPLES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "data/wire_examples.yaml").read_text("utf-8"))[
    "examples"
]
CATALOG = Catalog.load()
BY_NAME = {family.name: family for family in FAMILIES}
SIZE = (768, 640)
MARK = (256, 192, 511, 447)
KEYS = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
SHAPE, AREA = 0.06, 0.25
"""How far a ratio's pixels may be from the ratio, and from a megapixel: nobody documents them."""


def png(colour: Any, spot: Any = None, mode: str = "RGB", size: tuple[int, int] = SIZE) -> bytes:
    """A picture as a file, with a rectangle in it."""
    picture = Image.new(mode, size, colour)
    if spot is not None:
        ImageDraw.Draw(picture).rectangle(MARK, fill=spot)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


PICTURES = {
    "<photo>": png((30, 120, 200), (240, 200, 40)),
    "<style>": png((200, 30, 30), (90, 10, 90)),
    "<mask>": png((0, 0, 0, 255), (0, 0, 0, 0), "RGBA"),
    "<hole>": png((30, 120, 200, 255), (0, 0, 0, 0), "RGBA", (640, 640)),
}
MASKS = {"<black mask>": ("white", "black"), "<white mask>": ("black", "white")}


@cache
def mask_named(name: str) -> Image.Image:
    """One of the masks, decoded."""
    return Image.open(io.BytesIO(png(*MASKS[name])))


def pairs() -> list[tuple[str, str, str]]:
    """(model, task, kind) of all that must be shown: each task that a family does with each of its models."""
    return [
        (model.id, task, kind)
        for model in CATALOG.models()
        if model.family in BY_NAME
        for task in model.able
        for kind in ("minimal", "full")
    ]


def kinds(example: Mapping[str, Any]) -> list[str]:
    """``minimal``, ``full``, ``example``: what an example shows."""
    return [example["kind"]] if isinstance(example["kind"], str) else list(example["kind"])


def cases() -> list[Any]:
    """Each example with each of its models."""
    return [
        pytest.param(
            example,
            CATALOG.find(id),
            id="-".join([id.partition(".")[2], example["task"], *kinds(example)]),
        )
        for example in EXAMPLES
        for id in example["models"]
    ]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """It keeps the bodies of the calls, and paints nothing elaborate."""
    with Emulator(canvas="fast") as running:
        yield running


@pytest.fixture(scope="module")
def routers(emulator: Emulator) -> Iterator[Callable[[Model], Router]]:
    """One router for each model, made when it is first asked for."""
    with ExitStack() as opened:
        made: dict[str, Router] = {}

        def of(model: Model) -> Router:
            if model.id not in made:
                made[model.id] = opened.enter_context(router_for(model, emulator))
            return made[model.id]

        yield of


def router_for(model: Model, emulator: Emulator) -> Router:
    """A router with one deployment of the model, by the kind of id that AWS sells it under."""
    provisioned = "on_demand" not in model.invoke and not model.profile_only
    deployment: dict[str, Any] = {
        "region": "us-east-1" if provisioned else model.regions[0],
        "credentials": "demo",
        "endpoint_url": emulator.url,
        "model": model.id,
    }
    if provisioned:
        arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefabcdef"
        deployment |= {"model": arn, "base_model": model.id}
    config = {"credentials": {"demo": KEYS}, "deployments": {"it": deployment}, "lifecycle": {"retired": "allow"}}
    return Router({**config, "cache": {"backend": "none"}})


def given(value: Any) -> Any:
    """The parameters of an example with pictures in place of their names."""
    if isinstance(value, dict):
        return {name: given(item) for name, item in value.items()}
    if isinstance(value, list):
        return [given(item) for item in value]
    return PICTURES.get(value, value) if isinstance(value, str) else value


def expected(example: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an example, with what is sent besides and without what is left out."""
    body = merged(example["body"], example.get("added", {}))
    for path in example.get("left_out", {}):
        *outer, last = path.split(".")
        inner = body
        for name in outer:
            inner = inner[name]
        del inner[last]
    return body


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both, objects inside them too."""
    both = {name: merged(item, {}) if isinstance(item, dict) else item for name, item in one.items()}
    for name, item in other.items():
        both[name] = merged(both.get(name, {}), item) if isinstance(item, dict) else item
    return both


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """What stands at each path of a body, pictures by their names."""
    if isinstance(value, Mapping):
        return {key: leaf for name, item in value.items() for key, leaf in leaves(item, f"{path}.{name}").items()}
    if isinstance(value, list):
        return {key: leaf for at, item in enumerate(value) for key, leaf in leaves(item, f"{path}[{at}]").items()}
    return {path: recognised(value) if isinstance(value, str) and len(value) > 100 else value}


def recognised(text: str) -> str:
    """The name of a picture in base64: exactly that file, or exactly those pixels in the case of a mask."""
    data = base64.b64decode(text, validate=True)
    known = next((name for name, file in PICTURES.items() if file == data), None)
    if known:
        return known
    with Image.open(io.BytesIO(data)) as picture:
        for name in MASKS:
            mask = mask_named(name)
            if picture.size == SIZE and ImageChops.difference(picture.convert("RGB"), mask).getbbox() is None:
                return name
    return "an unknown picture"


def test_every_task_of_every_model_has_its_examples() -> None:
    """The smallest body and the fullest one, for each of the catalogue's models."""
    shown = {
        (model, example["task"], kind) for example in EXAMPLES for model in example["models"] for kind in kinds(example)
    }
    assert not set(pairs()) - shown
    assert len({model for model, _, _ in pairs()}) == 26
    assert all(example["section"] in range(4, 9) for example in EXAMPLES)


@pytest.mark.parametrize(("example", "model"), cases())
def test_the_body_that_arrives_is_the_documented_one(
    example: Mapping[str, Any], model: Model, emulator: Emulator, routers: Callable[[Model], Router]
) -> None:
    """Field by field, nothing more and nothing less; and pictures of the documented size come back."""
    emulator.forget()
    params = given(example["asked"])
    prompt, task = params.pop("prompt", ""), example["task"]
    router = routers(model)
    ask = router.edit if "image" in params else router.generate
    result = ask("it", prompt, task=task, **params)
    (record,) = emulator.log
    assert record.status == 200
    assert record.model_id == (f"us.{model.id}" if model.profile_only else record.model_id)
    assert leaves(record.body) == leaves(expected(example))
    assert len(result.images) == params.get("n", 1)
    said = [warning.parameter for warning in result.warnings if warning.code in ("adapted", "ignored")]
    assert said == (["seed"] if params.get("seed") == 0 else []), result.warnings  # of SDXL: 0 is any
    for image in result.images:
        with Image.open(io.BytesIO(image.bytes)) as picture:
            assert picture.size == (image.width, image.height)
            assert picture.format == (params.get("output_format") or "png").upper()
            if task == "remove_background":
                assert picture.mode == "RGBA"
        check_size(example, image.width, image.height)


def check_size(example: Mapping[str, Any], width: int, height: int) -> None:
    """The size that the example documents: exact, or within what is known of it."""
    if "size" in example:
        assert f"{width}x{height}" == example["size"]
    elif "ratio" in example:
        across, down = map(int, example["ratio"].split(":"))
        assert abs((width / height) / (across / down) - 1) < SHAPE
        assert abs(width * height / 1024**2 - 1) < AREA
    else:
        low, high = example["pixels"]
        assert low <= width * height <= high
        assert abs((width / height) / (SIZE[0] / SIZE[1]) - 1) < 0.01
