"""Every Bedrock image model of LiteLLM's documents and price table, with every ``taskType`` that it names."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lascaux import InvalidRequest, image_edit, image_generation
from lascaux.compat import functions
from lascaux.emulator import Emulator
from PIL import Image

OREGON, VIRGINIA = "us-west-2", "us-east-1"
MODELS = {
    "amazon.titan-image-generator-v1": VIRGINIA,
    "amazon.titan-image-generator-v2:0": VIRGINIA,
    "amazon.nova-canvas-v1:0": VIRGINIA,
    "stability.stable-diffusion-xl-v0": VIRGINIA,
    "stability.stable-diffusion-xl-v1": VIRGINIA,
    "stability.stability.sd3-large-v1:0": OREGON,
    "stability.sd3-large-v1:0": OREGON,
    "stability.sd3-5-large-v1:0": OREGON,
    "stability.stable-image-core-v1:0": OREGON,
    "stability.stable-image-core-v1:1": OREGON,
    "stability.stable-image-ultra-v1:0": OREGON,
    "stability.stable-image-ultra-v1:1": OREGON,
}
PROMPT = "A cute baby sea otter"
ABLE = {
    "TEXT_IMAGE": tuple(MODELS),
    "INPAINTING": tuple(model for model in MODELS if "amazon" in model or "diffusion-xl" in model),
    "OUTPAINTING": tuple(model for model in MODELS if "amazon" in model),
    "IMAGE_VARIATION": tuple(model for model in MODELS if "amazon" in model),
    "COLOR_GUIDED_GENERATION": ("amazon.titan-image-generator-v2:0", "amazon.nova-canvas-v1:0"),
    "BACKGROUND_REMOVAL": ("amazon.titan-image-generator-v2:0", "amazon.nova-canvas-v1:0"),
    "VIRTUAL_TRY_ON": ("amazon.nova-canvas-v1:0",),
}
"""Which of them can do a task; all others say that they can not, and what they can."""


def b64(mode: str = "RGB", colour: Any = "teal") -> str:
    """A picture as base64; a mask is white in its right half."""
    picture = Image.new(mode, (640, 640), colour)
    if mode == "L":
        picture.paste(255, (320, 0, 640, 640))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PHOTO, MASK = b64(), b64("L", 0)
PARAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "TEXT_IMAGE": ("textToImageParams", {"negativeText": "fog"}),
    "INPAINTING": ("inPaintingParams", {"image": PHOTO, "maskImage": MASK}),
    "OUTPAINTING": ("outPaintingParams", {"image": PHOTO, "maskImage": MASK, "outPaintingMode": "PRECISE"}),
    "IMAGE_VARIATION": ("imageVariationParams", {"images": [PHOTO], "similarityStrength": 0.7}),
    "COLOR_GUIDED_GENERATION": ("colorGuidedGenerationParams", {"colors": ["#FFFFFF"], "referenceImage": PHOTO}),
    "BACKGROUND_REMOVAL": ("backgroundRemovalParams", {"image": PHOTO}),
    "VIRTUAL_TRY_ON": (
        "virtualTryOnParams",
        {
            "sourceImage": PHOTO,
            "referenceImage": PHOTO,
            "maskType": "GARMENT",
            "garmentBasedMask": {"garmentClass": "UPPER_BODY"},
        },
    ),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    with Emulator(canvas="fast") as emulator:
        yield emulator


@pytest.fixture
def bedrock(shared: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """A forgetful emulator, behind LiteLLM's own environment variable."""
    for name, value in {
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_BEDROCK_RUNTIME_ENDPOINT": shared.url,
        "AWS_ACCESS_KEY_ID": "emulator",
        "AWS_SECRET_ACCESS_KEY": "emulator-secret",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    shared.forget()
    yield shared
    functions.close()


WAYS = [
    *(("image_generation", task) for task in PARAMS),
    # A picture beside the task's own would be another request with these two.
    *(("image_edit", task) for task in PARAMS if task not in ("TEXT_IMAGE", "COLOR_GUIDED_GENERATION")),
]


@pytest.mark.parametrize(("function", "task"), WAYS)
@pytest.mark.parametrize("model", MODELS)
def test_each_task_type_works_or_says_who_it_is_not_for(
    model: str, task: str, function: str, bedrock: Emulator
) -> None:
    """The task's own object reaches the models that have it, in their own words; before a call, others name the task."""
    place = {"model": f"bedrock/{model}", "aws_region_name": MODELS[model]}
    container, inner = PARAMS[task]
    asked: dict[str, Any] = {**place, "taskType": task, container: inner, "seed": 30}
    if task == "BACKGROUND_REMOVAL":
        del asked["seed"]

    def call() -> Any:
        if function == "image_generation":
            return image_generation(PROMPT, **asked)
        return image_edit(image=base64.b64decode(PHOTO), prompt=PROMPT, **asked)

    if model not in ABLE[task]:
        with pytest.raises(InvalidRequest, match=r"can not do \w+; allowed: text_to_image"):
            call()
        assert bedrock.log == []
        return
    response = call()
    assert len(response.data) == 1
    (record,) = bedrock.log
    assert record.status == 200
    assert record.body is not None
    if "amazon" in model:
        assert record.body["taskType"] == task
        found = record.body[container]
        assert {name: found.get(name) for name in inner if "ask" not in name} == {
            name: value for name, value in inner.items() if "ask" not in name
        }
        assert ("maskImage" in found) is ("maskImage" in inner)
    else:
        assert "taskType" not in record.body
        assert container not in record.body
    if task != "BACKGROUND_REMOVAL":
        assert 30 in (record.body.get("seed"), record.body.get("imageGenerationConfig", {}).get("seed"))
