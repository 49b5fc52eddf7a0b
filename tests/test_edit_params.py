"""Pictures, masks and options of every dialect become one request, and what is given tells the task."""

from __future__ import annotations

from typing import Any

import pytest
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.options import OPTIONS
from lascaux.providers.param_options import OPTION_FIELDS, OPTION_NAMES
from lascaux.providers.params import build_request
from lascaux.providers.pictures import encode_png, read_picture
from lascaux.providers.types import ImageRequest, Picture, Task
from PIL import Image as Pillow

A, B, C = (read_picture(Pillow.new("RGB", (8, 8), colour)) for colour in ("red", "green", "blue"))
CUT = encode_png(Pillow.new("RGBA", (8, 8)))
CMYK = Pillow.new("CMYK", (8, 8))


def ask(prompt: str = "a hat", /, **params: Any) -> ImageRequest:
    return build_request(prompt, **params)


def refusal(prompt: str = "a hat", /, **params: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        build_request(prompt, **params)
    return caught.value


def test_every_option_has_a_reader() -> None:
    """The names of the contract and those that are read are the same; every spelling leads to one of them."""
    assert OPTION_FIELDS.keys() == OPTIONS.keys()
    assert set(OPTION_NAMES.values()) == set(OPTIONS)


@pytest.mark.parametrize(
    ("given", "task"),
    [
        (dict(image=A), Task.IMAGE_TO_IMAGE),
        (dict(image=A, strength=0.5), Task.IMAGE_TO_IMAGE),
        (dict(image=[A, B]), Task.VARIATION),
        (dict(image=A, similarity=0.5), Task.VARIATION),
        (dict(image=A, references=B), Task.VARIATION),
        (dict(image=A, mask=B), Task.INPAINT),
        (dict(image=A, mask_prompt="hat"), Task.INPAINT),
        (dict(image=CUT, mask_mode="alpha"), Task.INPAINT),
        (dict(init_image=A, mask_source="INIT_IMAGE_ALPHA"), Task.INPAINT),
        (dict(image=A, left=10), Task.OUTPAINT),
        (dict(image=A, mask=B, outpaint_mode="precise"), Task.OUTPAINT),
        (dict(image=A, search_prompt="cap"), Task.SEARCH_REPLACE),
        (dict(image=A, select_prompt="cap"), Task.SEARCH_RECOLOR),
        (dict(colors=["#ffffff"]), Task.COLOR_GUIDED),
        (dict(image=A, colors=["#ffffff"]), Task.COLOR_GUIDED),
        (dict(image=A, garment=B, mask_prompt="shirt"), Task.VIRTUAL_TRY_ON),
        (dict(image=A, references=B, garment_class="shoes"), Task.VIRTUAL_TRY_ON),
        (dict(image=A, style_image=B), Task.STYLE_TRANSFER),
        (dict(image=A, reference=B, style_strength=1), Task.STYLE_TRANSFER),
        (dict(style_image=A), Task.STYLE_GUIDE),
        (dict(image=A, fidelity=0.5), Task.STYLE_GUIDE),
        (dict(image=A, control_strength=0.5), Task.CONTROL_STRUCTURE),
        (dict(conditionImage=A), Task.CONTROL_STRUCTURE),
        (dict(conditionImage=A, taskType="TEXT_IMAGE"), Task.CONTROL_STRUCTURE),
        (dict(image=A, mask=B, task="erase"), Task.ERASE),
        (dict(image=A, creativity=0.3, task="upscale_creative"), Task.UPSCALE_CREATIVE),
        (dict(strength=0.5), Task.TEXT_TO_IMAGE),
        (dict(), Task.TEXT_TO_IMAGE),
    ],
)
def test_what_is_given_tells_the_task(given: dict[str, Any], task: Task) -> None:
    """Unless it is named."""
    assert ask(**given).task is task
    assert ask(extra_body=given).task is task


@pytest.mark.parametrize("name", ["image", "image[]", "images", "init_image", "input_image", "sourceImage"])
def test_the_first_picture_is_the_image_and_the_others_are_references(name: str) -> None:
    """However the client spells it, as a list or a tuple."""
    assert ask(**{name: A}).image == A
    for several in ([A, B, C], (A, B, C)):
        request = ask(**{name: several}, references=[A])
        assert (request.image, request.references) == (A, (B, C, A))
    assert ask(**{name: ("otter.png", A.bytes)}).image == A


@pytest.mark.parametrize("name", ["reference", "referenceImage", "style_image", "garment", "reference_images"])
def test_references_by_any_name(name: str) -> None:
    """One or several, beside the image."""
    assert ask(image=A, **{name: B}).references == (B,)
    assert ask(image=A, **{name: [B, C]}).references == (B, C)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        (dict(mask=CUT), "alpha"),
        (dict(mask=B, mask_mode="WHITE"), "white"),
        (dict(mask_image=B, mask_source="MASK_IMAGE_BLACK"), "black"),
        (dict(maskImage=B), "black"),
        (dict(maskImage=B, task="outpaint"), "white"),
        (dict(maskImage=B, mask_mode="white"), "white"),
        (dict(inPaintingParams={"maskImage": B.b64}), "black"),
        (dict(inpaintingParams={"maskImage": B.b64}), "black"),
        (dict(outPaintingParams={"maskImage": B.b64}), "white"),
        (dict(virtualTryOnParams={"imageBasedMask": {"maskImage": B.b64}}), "black"),
    ],
)
def test_a_mask_keeps_its_dialects_colours(given: dict[str, Any], mode: str) -> None:
    """OpenAI marks by transparency, Amazon and SDXL by colours (WIRE.md, section 3)."""
    request = ask(image=A, **given)
    assert request.mask in (B, CUT)
    assert request.mask_mode == mode


@pytest.mark.parametrize(
    ("written", "value", "option", "expected"),
    [
        ("similarityStrength", "0.7", "similarity", 0.7),
        ("image_strength", 0.35, "strength", 0.65),
        ("imageStrength", 0.9, "strength", 0.1),
        ("controlMode", "CANNY_EDGE", "control_mode", "canny_edge"),
        ("outPaintingMode", "PRECISE", "outpaint_mode", "precise"),
        ("maskPrompt", "the hat", "mask_prompt", "the hat"),
        ("growMask", 5.0, "grow_mask", 5),
        ("garmentClass", "long-sleeve shirt", "garment_class", "long_sleeve_shirt"),
        ("preserve_face", True, "preserve_face", "on"),
        ("preserveHands", "OFF", "preserve_hands", "off"),
        ("returnMask", "true", "return_mask", True),
        ("colours", "#fff, #A1b2C3", "colors", ("#ffffff", "#A1b2C3")),
        ("colors", ("#000000",), "colors", ("#000000",)),
        ("left", "0", "left", 0),
    ],
)
def test_options_in_every_spelling(written: str, value: Any, option: str, expected: Any) -> None:
    """Translated exactly, so without a warning and also when strict."""
    request = ask(image=A, strict=True, **{written: value})
    assert request.options == {option: expected}
    assert type(request.options[option]) is type(expected)


@pytest.mark.parametrize(
    ("native", "ours"),
    [
        (
            dict(taskType="COLOR_GUIDED_GENERATION", colorGuidedGenerationParams={"colors": ["#FFFFFF"]}),
            dict(colors=["#FFFFFF"]),
        ),
        (
            dict(colorGuidedGenerationParams={"colors": ["#FFFFFF"], "referenceImage": A.b64, "negativeText": "no"}),
            dict(colors=["#FFFFFF"], references=A, negative_prompt="no"),
        ),
        (
            dict(inPaintingParams={"image": A.b64, "maskPrompt": "cap", "text": "a hat", "returnMask": True}),
            dict(image=A, mask_prompt="cap", return_mask=True),
        ),
        (
            dict(outPaintingParams={"image": A.b64, "maskPrompt": "cap", "outPaintingMode": "DEFAULT"}),
            dict(image=A, mask_prompt="cap", outpaint_mode="default"),
        ),
        (
            dict(imageVariationParams={"images": [A.b64, B.b64], "similarityStrength": 0.6}),
            dict(image=[A, B], similarity=0.6),
        ),
        (dict(backgroundRemovalParams={"image": A.b64}), dict(image=A, task="remove_background")),
        (
            dict(
                virtualTryOnParams={
                    "sourceImage": A.b64,
                    "referenceImage": B.b64,
                    "garmentBasedMask": {
                        "garmentClass": "SHOES",
                        "maskShape": "CONTOUR",
                        "garmentStyling": {"tuckingStyle": "TUCKED"},
                    },
                    "maskExclusions": {"preserveFace": "ON"},
                    "mergeStyle": "SEAMLESS",
                }
            ),
            dict(
                image=A,
                garment=B,
                garment_class="shoes",
                mask_shape="contour",
                tucking_style="tucked",
                preserve_face=True,
                merge_style="seamless",
            ),
        ),
    ],
)
def test_native_bodies_are_the_same_request(native: dict[str, Any], ours: dict[str, Any]) -> None:
    """So that any model with the task can answer: at top level, in ``native`` and in ``extra_body``."""
    expected = ask(**ours)
    assert expected.native == {}
    assert ask(**native) == ask(extra_body=native) == expected
    named = {key: value for key, value in native.items() if key != "taskType"}
    assert ask(native=named) == expected


def test_what_no_option_says_stays_native() -> None:
    """Unknown fields beside known ones, at their places."""
    request = ask(
        virtualTryOnParams={
            "sourceImage": A.b64,
            "maskType": "GARMENT",
            "garmentBasedMask": {"new": 1, "maskShape": "CONTOUR"},
        }
    )
    assert request.native == {"virtualTryOnParams": {"maskType": "GARMENT", "garmentBasedMask": {"new": 1}}}
    assert request.options == {"mask_shape": "contour"}
    assert ask(init_image=A, init_image_mode="STEP_SCHEDULE").native == {"init_image_mode": "STEP_SCHEDULE"}


@pytest.mark.parametrize("task", sorted({*Task} - {Task.TEXT_TO_IMAGE}))
def test_words_are_optional_where_a_model_may_do_without(task: Task) -> None:
    """The model's family decides, except for a picture made from words alone."""
    for prompt in ("", " ", None):
        assert build_request(prompt, task=task, image=A).prompt == ""  # type: ignore[arg-type]
    assert refusal("", image=None).parameter == "prompt"


def test_a_prompt_may_come_by_name_or_in_a_native_body() -> None:
    """Where none was given in its place."""
    assert ask("", image=A, prompt="a hat").prompt == "a hat"
    assert ask("", inPaintingParams={"image": A.b64, "text": "a hat"}).prompt == "a hat"
    assert "disagree" in str(refusal("a cap", image=A, prompt="a hat"))


@pytest.mark.parametrize(
    ("params", "options", "warning"),
    [
        (dict(input_fidelity="high"), {"strength": 0.35}, "input_fidelity: high became strength 0.35"),
        (dict(input_fidelity="low"), {"strength": 0.75}, "input_fidelity: low became strength 0.75"),
        (
            dict(input_fidelity="high", task="variation"),
            {"similarity": 0.9},
            "input_fidelity: high became similarity 0.9",
        ),
        (
            dict(input_fidelity="low", strength=0.2),
            {"strength": 0.2},
            "input_fidelity: ignored: strength is given, which says the same more exactly",
        ),
        (
            dict(input_fidelity="high", task="erase"),
            {},
            "input_fidelity: ignored: erase keeps what it keeps of the picture",
        ),
    ],
)
def test_input_fidelity_is_the_nearest_option(params: dict[str, Any], options: dict[str, Any], warning: str) -> None:
    """OpenAI's two words, with a warning, which strict refuses."""
    request = ask(image=A, **params)
    assert request.options == options
    assert [str(one) for one in request.warnings] == [warning]
    assert str(refusal(image=A, strict=True, **params)) == f"{warning}; strict allows no such change"


def test_converted_pictures_are_a_warning() -> None:
    """Which strict refuses, naming the parameter."""
    (warning,) = ask(image=[A, _file(CMYK)]).warnings
    assert (warning.parameter, warning.code) == ("image[1]", "adapted")
    assert refusal(image=_file(CMYK), strict=True).parameter == "image"


def _file(image: Pillow.Image) -> bytes:
    import io

    out = io.BytesIO()
    image.save(out, "jpeg")
    return out.getvalue()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (dict(image=b"GIF89a"), "image is a GIF; convert it to PNG, JPEG or WebP"),
        (dict(image=[]), "image must be 1 to 16 pictures, not 0"),
        (dict(image=[A] * 17), "image must be 1 to 16 pictures, not 17"),
        (dict(image=[A, b"GIF89a"]), "image[1] is a GIF; convert it to PNG, JPEG or WebP"),
        (dict(image=A, mask=[B, C]), "mask must be one picture, not 2"),
        (dict(image=A, init_image=B), "image and init_image are different pictures; give one of them"),
        (dict(image=A, extra_body={"image": B}), "image and extra_body.image are different pictures; give one of them"),
        (
            dict(image=A, inPaintingParams={"image": B.b64}),
            "image and inPaintingParams.image are different pictures; give one of them",
        ),
        (dict(inPaintingParams={"image": 5}), "inPaintingParams.image must be a picture as base64, not 5"),
        (dict(inPaintingParams={"image": "/etc/passwd"}), "inPaintingParams.image is not base64"),
        (dict(image=A, strength=1.5), "strength must be a number from 0 to 1, not 1.5 (nearest: 1)"),
        (dict(image=A, image_strength=-1), "image_strength must be a number from 0 to 1, not -1 (nearest: 0)"),
        (
            dict(image=A, strength=0.5, image_strength=0.9),
            "strength and image_strength disagree: 0.5 and 0.1; give one",
        ),
        (dict(image=A, left=2001), "left must be a whole number from 0 to 2000, not 2001 (nearest: 2000)"),
        (dict(image=A, grow_mask=21), "grow_mask must be a whole number from 0 to 20, not 21 (nearest: 20)"),
        (dict(image=A, mask_mode="red"), "mask_mode must be one of alpha, white, black, not 'red'"),
        (dict(image=A, control_mode="cany_edge"), "canny_edge or segmentation, not 'cany_edge' (nearest: canny_edge)"),
        (dict(image=A, search_prompt=" "), "search_prompt is empty"),
        (dict(colors=[]), "colors must be 1 to 10 colours as #RRGGBB, not []"),
        (dict(colors=["FFFFFF"]), "colors must be 1 to 10 colours as #RRGGBB, not 'FFFFFF' (nearest: #FFFFFF)"),
        (dict(colors=["white"]), "colors must be 1 to 10 colours as #RRGGBB, not 'white'"),
        (dict(colors=["#000000"] * 11), "colors must be 1 to 10 colours as #RRGGBB"),
        (dict(image=A, preserve_face="yes"), "preserve_face must be one of on, off, default, not 'yes'"),
        (dict(image=A, simlarity=0.5), "unknown parameter 'simlarity'; did you mean 'similarity'?"),
        (dict(image=A, init_image_mode=3), "init_image_mode must be IMAGE_STRENGTH or STEP_SCHEDULE, not 3"),
    ],
)
def test_mistakes_are_told(params: dict[str, Any], message: str) -> None:
    """In one line that names the parameter."""
    error = refusal(**params)
    assert message in str(error)
    assert error.parameter is not None
    assert error.allowed


def test_all_pictures_together_must_fit_a_body() -> None:
    """Two that fit alone may not fit together."""
    half = Picture(b64="A" * 13_000_000, format="png", width=9, height=9)
    assert ask(image=half).image == half
    error = refusal(image=half, references=[half])
    assert "all pictures are 26,000,000 letters as base64" in str(error)
