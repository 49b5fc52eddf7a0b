"""What each family answers: pictures, seeds, and failures inside an HTTP 200."""

from __future__ import annotations

import base64
import io
import random
from typing import Any

import orjson
import pytest
from lascaux.emulator.answers import TRIGGERS, answer
from lascaux.emulator.canvas import DRAWN_BY, encode
from lascaux.emulator.errors import BedrockError
from lascaux.emulator.gallery import Gallery
from lascaux.emulator.job import Job
from lascaux.emulator.models import MODELS
from lascaux.emulator.painting import paint, subject
from lascaux.emulator.validation import check
from PIL import Image, ImageChops, ImageStat

TITAN, CANVAS = "amazon.titan-image-generator-v2:0", "amazon.nova-canvas-v1:0"
SDXL, CORE = "stability.stable-diffusion-xl-v1", "stability.stable-image-core-v1:1"
SD35 = "stability.sd3-5-large-v1:0"


def job(model_id: str, prompt: str = "red kite", **options: Any) -> Job:
    """A valid job; options are those of the family's own config."""
    if model_id in (TITAN, CANVAS):
        config = {"width": 512, "height": 512, **options}
        body: dict[str, Any] = {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": prompt},
            "imageGenerationConfig": config,
        }
    elif model_id == SDXL:
        body = {"text_prompts": [{"text": prompt}], **options}
    else:
        body = {"prompt": prompt, **options}
    return check(MODELS[model_id], body)


def answered(model_id: str, prompt: str = "red kite", **options: Any) -> dict[str, Any]:
    """The JSON of a 200."""
    drawn = answer(job(model_id, prompt, **options), Gallery("fast").picture, random.Random(1))
    document: dict[str, Any] = orjson.loads(drawn.body)
    good = [] if document.get("result") else document.get("images", [])
    good = good or [a for a in document.get("artifacts", []) if a["finishReason"] == "SUCCESS"]
    assert drawn.images == len(good)
    return document


def opened(data: bytes) -> Image.Image:
    """A decoded picture."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def test_amazon_answers_pictures_and_nothing_else() -> None:
    """As many as asked for, each another one; no seed in the answer."""
    for model_id in (TITAN, CANVAS):
        document = answered(model_id, numberOfImages=3)
        assert list(document) == ["images"]
        assert len(set(document["images"])) == 3
        assert opened(base64.b64decode(document["images"][0])).size == (512, 512)


def test_stability_answers_seed_reason_and_picture() -> None:
    """Parallel lists; null means success."""
    document = answered(CORE, seed=1234, aspect_ratio="16:9")
    assert (document["seeds"], document["finish_reasons"]) == ([1234], [None])
    assert opened(base64.b64decode(document["images"][0])).size == (1344, 768)


def test_sdxl_answers_an_artifact() -> None:
    """With its seed and SUCCESS."""
    document = answered(SDXL, seed=7)
    assert document["result"] == "success"
    assert [(a["seed"], a["finishReason"]) for a in document["artifacts"]] == [(7, "SUCCESS")]


@pytest.mark.parametrize("model_id", [CORE, SD35, SDXL])
def test_an_omitted_seed_is_drawn_and_reported(model_id: str) -> None:
    """Never 0, within the model's range, and the reported one gives the same picture again."""
    rng = random.Random(5)
    gallery = Gallery("fast")
    seen = set()
    for _ in range(20):
        document = orjson.loads(answer(job(model_id), gallery.picture, rng).body)
        seed = document["seeds"][0] if "seeds" in document else document["artifacts"][0]["seed"]
        assert 1 <= seed <= job(model_id).seed_max
        assert orjson.loads(answer(job(model_id, seed=seed), gallery.picture, rng).body) == document
        seen.add(seed)
    assert len(seen) == 20


@pytest.mark.parametrize(
    ("model_id", "fragment"),
    [
        (
            TITAN,
            "has been blocked by our content filters. Our filters automatically flagged this prompt",
        ),
        (CANVAS, "text prompt has been blocked by our content filters"),
        (SDXL, "has been blocked by our content filters"),
    ],
)
def test_a_blocked_prompt_is_a_400(model_id: str, fragment: str) -> None:
    """Titan with its longer text; Canvas; SDXL."""
    with pytest.raises(BedrockError) as caught:
        answered(model_id, "a [blocked-prompt] kite")
    assert (caught.value.status, caught.value.error_type) == (400, "ValidationException")
    assert fragment in caught.value.message


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        ("[blocked-prompt]", "Filter reason: prompt"),
        ("[blocked-output]", "Filter reason: output image"),
        ("[blocked-some]", "Filter reason: output image"),
        ("[inference-error]", "Inference error"),
    ],
)
def test_stability_hides_failures_in_finish_reasons(trigger: str, reason: str) -> None:
    """HTTP 200, and neither seeds nor images."""
    assert answered(CORE, f"kite {trigger}") == {"finish_reasons": [reason]}


@pytest.mark.parametrize("model_id", [TITAN, CANVAS])
def test_amazon_hides_blocked_pictures_in_error(model_id: str) -> None:
    """All, or some: fewer pictures than asked for, those that are left unchanged."""
    assert answered(model_id, "kite [blocked-output]", numberOfImages=2) == {
        "images": [],
        "error": "All of the generated images have been blocked by our content filters.",
    }
    document = answered(model_id, "kite [blocked-some]", numberOfImages=5)
    assert len(document["images"]) == 2
    assert document["error"] == "Some of the generated images have been blocked by our content filters."
    assert answered(model_id, "kite [blocked-some]", numberOfImages=1)["images"] == []
    with pytest.raises(BedrockError) as caught:
        answered(model_id, "kite [inference-error]")
    assert (caught.value.status, caught.value.error_type) == (500, "InternalServerException")


def test_sdxl_blurs_what_it_filters() -> None:
    """A filtered artifact still has a picture, an unrecognisable one; a failed one has none."""
    gallery = Gallery()
    plain = orjson.loads(answer(job(SDXL, "kite", seed=3), gallery.picture, random.Random(1)).body)["artifacts"][0]
    drawn = answer(job(SDXL, "kite [blocked-output]", seed=3), gallery.picture, random.Random(1))
    blurred = orjson.loads(drawn.body)["artifacts"][0]
    assert (blurred["finishReason"], drawn.images) == ("CONTENT_FILTERED", 0)
    sharpness = [
        ImageStat.Stat(ImageChops.difference(grey, ImageChops.offset(grey, 1, 0))).mean[0]
        for grey in (opened(base64.b64decode(artifact["base64"])).convert("L") for artifact in (plain, blurred))
    ]
    assert sharpness[1] < sharpness[0] / 2
    assert answered(SDXL, "kite [inference-error]", seed=3) == {
        "result": "error",
        "artifacts": [{"seed": 3, "finishReason": "ERROR"}],
    }


def test_triggers_are_told_to_the_user() -> None:
    """Every word that sets a failure off stands in the help."""
    from lascaux.emulator.__main__ import parser

    text = parser().format_help()
    assert all(word in text for word in TRIGGERS)


DIGEST = bytes(range(32))


@pytest.mark.parametrize("size", [(512, 512), (320, 704), (64, 64), (1173, 640), (320, 1280)])
@pytest.mark.parametrize(
    "prompt", ["otter", "dunes and a kite", "a stag in the forest", "cave", "snow at night", "", "\ud800 \u2603"]
)
def test_every_scene_fits_every_size(prompt: str, size: tuple[int, int]) -> None:
    """Also tiny, tall and odd ones, and with prompts that say nothing."""
    picture = paint(prompt, DIGEST, size)
    assert (picture.size, picture.mode) == (size, "RGB")
    assert len(picture.resize((16, 16)).getcolors(256) or []) > 60


def test_the_same_input_gives_the_same_bytes() -> None:
    """From different galleries, so that nothing is remembered."""
    for model_id in (TITAN, CORE):
        first, second = (Gallery().picture(job(model_id, "a quiet lake"), 9) for _ in range(2))
        assert first == second


def distance(a: bytes, b: bytes) -> float:
    """The mean difference of two pictures of one size, in grey levels."""
    return ImageStat.Stat(ImageChops.difference(opened(a).convert("L"), opened(b).convert("L"))).mean[0]


@pytest.mark.parametrize("prompt", ["otter", "dunes", "forest", "mountains", "cave", "hello"])
def test_another_seed_is_visibly_another_picture(prompt: str) -> None:
    """So is another prompt, another model, another parameter and another place in the batch."""
    gallery = Gallery()
    base = gallery.picture(job(CANVAS, prompt), 1)
    others = {
        "seed": gallery.picture(job(CANVAS, prompt), 2),
        "prompt": gallery.picture(job(CANVAS, prompt + " and rain"), 1),
        "cfgScale": gallery.picture(job(CANVAS, prompt, cfgScale=7), 1),
        "model": gallery.picture(job(TITAN, prompt), 1),
        "index": gallery.picture(job(CANVAS, prompt), 1, 1),
    }
    assert {name: distance(base, other) > 3 for name, other in others.items()} == dict.fromkeys(others, True)


@pytest.mark.parametrize("canvas", ["paint", "fast"])
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_pictures_have_the_right_format_and_say_who_drew_them(canvas: Any, format: str) -> None:
    """Model and seed in the metadata, in the place where each format has it."""
    picture = opened(Gallery(canvas).picture(job(SD35, output_format=format), 77))
    assert (picture.format, picture.size) == (format.upper(), (1024, 1024))
    if format == "png":
        software, description = picture.info["Software"], picture.info["Description"]
    else:
        software, description = picture.getexif()[0x0131], picture.getexif()[0x010E]
    assert software == DRAWN_BY == "Lascaux emulator"
    assert description == f"drawn by the Lascaux emulator; model {SD35}; seed 77"


def test_the_png_writer_loses_nothing() -> None:
    """The file holds exactly the pixels that were painted."""
    picture = paint("a sail boat", DIGEST, (333, 127))
    assert opened(encode(picture, "png", model_id="m", seed=1)).tobytes() == picture.tobytes()


def test_fast_pictures_are_flat_and_still_depend_on_the_seed() -> None:
    """One colour of the right size."""
    gallery = Gallery("fast")
    pictures = [opened(gallery.picture(job(CANVAS), seed)).convert("RGB") for seed in (1, 2)]
    colours = [picture.getcolors() for picture in pictures]
    assert [len(each or []) for each in colours] == [1, 1]
    assert colours[0] != colours[1]


def test_an_unknown_canvas_is_refused() -> None:
    """With the choices there are."""
    with pytest.raises(ValueError, match="canvas: 'oil' is not one of paint, fast"):
        Gallery("oil")  # type: ignore[arg-type]


def test_the_words_of_a_prompt_choose_the_scene() -> None:
    """And what they leave open is decided by the prompt, not by the seed."""
    expected = {"a cute baby sea otter": ("sea", "otter"), "wild horses on a cave wall": ("cave", "horse")}
    for prompt, (terrain, guest) in expected.items():
        about = subject(prompt, random.Random(1))
        assert (about.terrain, about.guest) == (terrain, guest)
    assert len({subject("hello world", random.Random(seed)).terrain for seed in range(20)}) == 1
    assert len({subject(f"prompt {n}", random.Random(1)).terrain for n in range(60)}) >= 5


def test_what_swims_stays_away_from_dry_land() -> None:
    """An otter in the mountains is not painted, and nothing breaks."""
    about = subject("an otter on a snowy mountain", random.Random(1))
    assert (about.terrain, about.guest) == ("mountains", "otter")
    assert paint("an otter on a snowy mountain", DIGEST, (64, 64)).size == (64, 64)


def test_the_gallery_is_bounded_by_bytes() -> None:
    """Old pictures go when new ones come, and come back the same."""
    gallery = Gallery(max_bytes=1_000_000)
    pictures = [gallery.picture(job(CANVAS), seed) for seed in range(4)]
    assert sum(map(len, pictures)) > 1_000_000
    assert gallery.kept_bytes == len(pictures[2]) + len(pictures[3]) <= 1_000_000
    assert [gallery.picture(job(CANVAS), seed) for seed in range(4)] == pictures
