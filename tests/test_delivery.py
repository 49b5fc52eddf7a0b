"""Pictures in the format that was asked for, whoever makes it, and what came back held against what was promised."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux import AsyncRouter, InvalidRequest, Router
from lascaux.cli.app import app
from lascaux.compat import functions
from lascaux.emulator import Emulator
from lascaux.emulator.faults import Rule
from lascaux.providers import conversion
from lascaux.providers.conversion import deliver, pending
from lascaux.providers.decoding import Room
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import Delivery, Image, ImageResult
from lascaux.router.records import Result
from PIL import Image as Pillow
from typer.testing import CliRunner

KEYS = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
MODELS = {
    "titan": ("amazon.titan-image-generator-v2:0", "us-east-1", ("png",)),
    "nova": ("amazon.nova-canvas-v1:0", "us-east-1", ("png",)),
    "sdxl": ("stability.stable-diffusion-xl-v1", "us-east-1", ("png",)),
    "sd35": ("stability.sd3-5-large-v1:0", "us-west-2", ("png", "jpeg", "webp")),
    "core": ("stability.stable-image-core-v1:1", "us-west-2", ("png", "jpeg")),
}
EDITS = {
    "upscale": ("us.stability.stable-fast-upscale-v1:0", "us-east-1", ("png", "jpeg", "webp")),
    "cut": ("us.stability.stable-image-remove-background-v1:0", "us-east-1", ("png", "webp")),
}
FORMATS = ("png", "jpeg", "webp")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests here; a test that adds faults takes them away."""
    with Emulator(any_region=True, canvas="fast") as running:
        yield running


def config(emulator: Emulator) -> dict[str, Any]:
    """A deployment for each model."""
    places = {**MODELS, **EDITS}
    deployments = {
        name: {"model": model, "region": region, "credentials": "demo", "endpoint_url": emulator.url}
        for name, (model, region, _) in places.items()
    }
    return {"credentials": {"demo": KEYS}, "deployments": deployments}


@pytest.fixture(scope="module")
def router(emulator: Emulator) -> Iterator[Router]:
    """A router to all of them."""
    with Router(config(emulator)) as made:
        yield made


@pytest.fixture
def faults(emulator: Emulator) -> Iterator[Emulator]:
    """The emulator, without faults again afterwards."""
    yield emulator
    emulator.faults.clear()


def opened(image: Image) -> Pillow.Image:
    """The picture, decoded: its file is what its name says."""
    picture = Pillow.open(io.BytesIO(image.bytes))
    picture.load()
    assert (picture.format or "").lower() == image.format
    return picture


def codes(result: Result) -> list[tuple[str, str | None]]:
    """Code and parameter of each warning but those about the model's age and price."""
    return [(one.code, one.parameter) for one in result.warnings if one.code not in ("retired", "price_unknown")]


def encoded(mode: str = "RGB", format: str = "png", size: tuple[int, int] = (24, 16), **extra: Any) -> Image:
    """A picture of one colour."""
    file = io.BytesIO()
    Pillow.new(mode, size).save(file, format, **extra)
    return Image(base64.b64encode(file.getvalue()).decode(), seed=5, finish_reason="success")


@pytest.mark.parametrize("quality", [None, 0, 40, 100])
@pytest.mark.parametrize("format", [None, *FORMATS])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_delivers_every_format(router: Router, name: str, format: str | None, quality: int | None) -> None:
    """Made by the model where it can, converted where not, compressed if asked: and strict, for it is what was asked."""
    native = MODELS[name][2]
    asked = {"seed": 7, "output_format": format, "output_compression": quality}
    useless = quality is not None and format in (None, "png")
    if useless:
        with pytest.raises(InvalidRequest) as refused:
            router.generate(name, "an otter", strict=True, **asked)
        assert refused.value.parameter == "output_compression"
    result = router.generate(name, "an otter", strict=not useless, **asked)
    (image,) = result.images
    assert image.format == (format or "png")
    assert opened(image).size == (image.width, image.height)
    assert (image.seed, image.finish_reason) == (7, "success")
    if useless:
        assert codes(result) == [("ignored", "output_compression")]
    elif format is not None and format not in native:
        assert codes(result) == [("adapted", "output_format")]
    elif quality in (0, 40):
        assert codes(result) == [("adapted", "output_compression")]
    else:
        assert codes(result) == []
    assert all("provenance metadata" in str(one) for one in result.warnings if one.code == "adapted")
    made_here = any(one.code == "adapted" for one in result.warnings)
    assert (b"Lascaux emulator" in image.bytes) is not made_here


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("format", [None, *FORMATS])
def test_edits_deliver_every_format_that_can_hold_them(router: Router, name: str, format: str | None) -> None:
    """What was cut out is transparent, so it is no jpeg: that is said before anybody is asked."""
    source = Pillow.new("RGB", (64, 80), "teal")
    if (name, format) == ("cut", "jpeg"):
        with pytest.raises(InvalidRequest) as refused:
            router.edit(name, image=source, task="remove_background", output_format=format)
        assert (refused.value.parameter, refused.value.allowed) == ("output_format", "png, webp")
        assert refused.value.attempts == ()
        return
    task = "upscale_fast" if name == "upscale" else "remove_background"
    result = router.edit(name, image=source, task=task, output_format=format, strict=True)
    assert (result.images[0].format, codes(result)) == (format or "png", [])
    assert result.images[0].width == (256 if name == "upscale" else 64)


def test_amazon_cuts_out_into_webp_and_not_into_jpeg(router: Router) -> None:
    """The model makes a png; the conversion keeps what is transparent."""
    source = Pillow.effect_noise((320, 320), 60).convert("RGB")
    result = router.edit("titan", image=source, task="remove_background", output_format="webp")
    assert result.images[0].format == "webp"
    assert opened(result.images[0]).mode == "RGBA"
    with pytest.raises(InvalidRequest, match="output_format"):
        router.edit("titan", image=source, task="remove_background", output_format="jpeg")


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(MODELS)),
    seed=st.integers(1, 10**6),
    size=st.sampled_from(["1024x1024", None]),
    quality=st.sampled_from([None, "standard"]),
    n=st.integers(1, 3),
)
def test_nothing_asked_nothing_changed(
    router: Router, emulator: Emulator, name: str, seed: int, size: str | None, quality: str | None, n: int
) -> None:
    """Byte for byte what the model made: its provenance is in there."""
    made: list[bytes] = []
    paint = emulator._bedrock.paint

    def kept(*args: Any) -> bytes:
        made.append(paint(*args))
        return made[-1]

    emulator._bedrock.paint = kept
    try:
        result = router.generate(name, "an otter", seed=seed, size=size, quality=quality, n=n, cache=False)
    finally:
        emulator._bedrock.paint = paint
    assert sorted(image.bytes for image in result.images) == sorted(made)
    assert len(made) == n


def test_a_format_that_is_met_changes_nothing() -> None:
    """No byte is touched when the picture is what was asked for; full quality is what any file has by itself."""
    for format in FORMATS:
        image = encoded(format=format)
        for delivery in (None, Delivery(format=format), Delivery(format=format, quality=100), Delivery(quality=100)):
            assert deliver(image, delivery) == (image, ())
    assert deliver(encoded(), Delivery(quality=10))[1] == ()
    assert not pending(Image("AAAA"), Delivery(format="webp"))


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("RGB", "png"), ("RGBA", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("1", "png"), ("I;16", "png"),
        ("RGB", "jpeg"), ("L", "jpeg"), ("CMYK", "jpeg"), ("RGB", "webp"), ("RGBA", "webp"),
    ],
)  # fmt: skip
def test_every_kind_of_pixel_can_be_converted(mode: str, format: str, wanted: str) -> None:
    """Whatever a model may come up with."""
    image, said = deliver(encoded(mode, format), Delivery(format=wanted))
    assert (image.format, image.width, image.height, image.seed) == (wanted, 24, 16, 5)
    assert opened(image).mode in ("RGB", "RGBA", "L") or wanted == format
    flattened = wanted == "jpeg" and mode in ("RGBA", "LA")
    assert [one.parameter for one in said] == ["output_format"] * ((wanted != format) + flattened)


def test_what_was_transparent_is_white_in_a_jpeg() -> None:
    """It is said; a picture that only has an opaque alpha channel loses nothing."""
    clear, said = deliver(encoded("RGBA"), Delivery(format="jpeg"))
    assert opened(clear).getpixel((3, 3)) == (255, 255, 255)
    assert "white" in said[1].message
    file = io.BytesIO()
    Pillow.new("RGBA", (8, 8), (200, 0, 0, 255)).save(file, "png")
    solid, said = deliver(Image(base64.b64encode(file.getvalue()).decode()), Delivery(format="jpeg"))
    assert len(said) == 1
    assert opened(solid).convert("RGB").getpixel((3, 3))[0] > 190  # type: ignore[index]


def test_sixteen_bits_of_grey_stay_grey() -> None:
    """They are scaled, not cut off."""
    file = io.BytesIO()
    Pillow.new("I;16", (8, 8), 32_896).save(file, "png")
    grey, _ = deliver(Image(base64.b64encode(file.getvalue()).decode()), Delivery(format="webp"))
    assert abs(opened(grey).convert("L").getpixel((2, 2)) - 128) <= 2  # type: ignore[operator]


def test_less_quality_is_a_smaller_file() -> None:
    """As OpenAI's output_compression: 0 is the smallest, 100 the largest."""
    file = io.BytesIO()
    Pillow.effect_noise((200, 200), 80).convert("RGB").save(file, "png")
    noise = Image(base64.b64encode(file.getvalue()).decode())
    for format in ("jpeg", "webp"):
        sizes = [len(deliver(noise, Delivery(format=format, quality=q))[0].bytes) for q in (0, 30, 60, 100)]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[-1] / 4


def test_a_picture_too_large_to_convert_is_delivered_as_it_is() -> None:
    """A header of 60 million pixels is not decoded."""
    data = bytearray(encoded().bytes)
    data[16:24] = (10_000).to_bytes(4, "big") + (6_000).to_bytes(4, "big")
    image = Image(base64.b64encode(bytes(data)).decode())
    same, (said,) = deliver(image, Delivery(format="jpeg"))
    assert same is image
    assert (said.code, said.parameter) == ("ignored", "output_format")
    assert "10000x6000" in said.message


def test_a_picture_that_is_larger_than_it_says_is_not_decoded() -> None:
    """A PNG with two headers: the first is what is read of it, the second is what Pillow goes by."""
    data = encoded("RGBA").bytes
    head = data[12:16] + struct.pack(">II", 3000, 2000) + data[24:29]
    second = data[8:12] + head + struct.pack(">I", zlib.crc32(head))
    image = Image(base64.b64encode(data[:33] + second + data[33:]).decode())
    same, (said,) = deliver(image, Delivery(format="jpeg"))
    assert same is image
    assert "it says 24x16 pixels, and holds 3000x2000" in said.message


def test_pictures_are_converted_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of threads: pictures that are being converted have a bounded number of pixels together."""
    room = Room(1000)
    monkeypatch.setattr(conversion, "conversions", room)
    inside, most, lock, real = [0], [0], threading.Lock(), conversion._converted
    both = threading.Barrier(2)

    def counted(image: Image, wanted: str, quality: int | None) -> tuple[bytes, bool]:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        both.wait(timeout=10)  # two of 384 pixels fit, and are in at the same time
        made = real(image, wanted, quality)
        with lock:
            inside[0] -= 1
        both.wait(timeout=10)
        return made

    monkeypatch.setattr(conversion, "_converted", counted)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: deliver(encoded(), Delivery(format="jpeg"))[0].format, range(6)))
    assert done == ["jpeg"] * 6
    assert most == [2]
    with room.taken(5000):  # one that is too large by itself goes alone
        assert room._left == 0
    assert room._left == 1000


def test_a_broken_picture_is_not_lost(faults: Emulator, router: Router) -> None:
    """It was paid for: it comes as it is, with a warning, and costs what it costs."""
    faults.faults.add(Rule(kind="corrupt"))
    result = router.generate("core", "a broken otter", seed=3, output_format="webp")
    assert (result.images[0].format, codes(result)) == ("png", [("ignored", "output_format")])
    assert result.cost.usd is not None


def test_one_call_serves_all_formats(emulator: Emulator, router: Router) -> None:
    """The format is no part of what is cached: what came from the model is, and it stays as it came."""
    first = router.generate("nova", "a cached otter", seed=11)
    billed = emulator.billed
    for format in FORMATS:
        again = router.generate("nova", "a cached otter", seed=11, output_format=format)
        assert (again.cache, again.images[0].format) == ("hit", format)
    assert emulator.billed == billed
    assert router.generate("nova", "a cached otter", seed=11).images[0].bytes == first.images[0].bytes


def test_a_format_that_is_made_anyway_is_no_other_picture(emulator: Emulator, router: Router) -> None:
    """SD3.5 documents that it makes png unless told otherwise; what Core does when it is told nothing is undocumented."""
    for name, state in (("sd35", "hit"), ("core", "miss")):
        first = router.generate(name, "a usual otter", seed=12)
        again = router.generate(name, "a usual otter", seed=12, output_format="png")
        other = router.generate(name, "a usual otter", seed=12, output_format="jpeg")
        assert [result.cache for result in (first, again, other)] == ["miss", state, "miss"]
        assert [result.images[0].format for result in (again, other)] == ["png", "jpeg"]


def test_several_pictures_are_all_converted(router: Router) -> None:
    """Those of one call and those of several; each warning is said once."""
    for name in ("nova", "core"):
        result = router.generate(name, "otters", seed=20, n=3, output_format="webp")
        assert [image.format for image in result.images] == ["webp"] * 3
        assert [image.seed for image in result.images] == ([20] * 3 if name == "nova" else [20, 21, 22])
        assert codes(result) == [("adapted", "output_format")]


def test_asyncio_converts_aside(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the thread of the event loop; and without a conversion nobody leaves it."""
    threads: list[threading.Thread] = []
    real = conversion._converted

    def seen(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return real(*args)

    monkeypatch.setattr(conversion, "_converted", seen)

    async def ask() -> tuple[Result, Result]:
        async with AsyncRouter(config(emulator)) as router:
            return await asyncio.gather(
                router.generate("titan", "an otter", seed=1, output_format="webp"),
                router.generate("titan", "an otter", seed=1),
            )

    webp, png = asyncio.run(ask())
    assert (webp.images[0].format, png.images[0].format) == ("webp", "png")
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_those_who_wait_get_their_own_format() -> None:
    """One call in flight for two callers, who want different files of it."""
    asked, go = threading.Event(), threading.Event()
    picture = encoded()

    def slow(target: Any, call: Any) -> ImageResult:
        asked.set()
        assert go.wait(10)
        return ImageResult(images=(picture,))

    provider = FakeProvider({"it": [slow]})
    place = {"model": "amazon.nova-canvas-v1:0", "region": "us-east-1"}
    results: dict[str, Result] = {}
    with Router({"deployments": {"it": place}}, provider=provider) as router:

        def ask(format: str) -> None:
            results[format] = router.generate("it", "an otter", seed=2, output_format=format)

        threads = [threading.Thread(target=ask, args=(format,)) for format in FORMATS]
        threads[0].start()
        assert asked.wait(10)
        for thread in threads[1:]:
            thread.start()
        go.set()
        for thread in threads:
            thread.join()
    assert {format: result.images[0].format for format, result in results.items()} == {f: f for f in FORMATS}
    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    ("name", "extra", "promise"),
    [
        ("titan", {"width": 512, "height": 512}, "1024x1024"),
        ("sdxl", {"width": 1024, "height": 960}, "1024x1024"),
        ("core", {"width": 1024, "height": 512}, "the shape 1:1"),
    ],
)
def test_another_size_is_a_warning(
    faults: Emulator, router: Router, name: str, extra: dict[str, int], promise: str
) -> None:
    """Never an error: it is a picture, and paid for. What is reported is read from its bytes."""
    faults.faults.add(Rule(kind="resize", extra=extra))
    result = router.generate(name, "a small otter", seed=31, cache=False, strict=True)
    (warning,) = [one for one in result.warnings if one.code == "unexpected_size"]
    assert f"{extra['width']}x{extra['height']}" in warning.message
    assert promise in warning.message
    assert (result.images[0].width, result.images[0].height) == (extra["width"], extra["height"])
    assert [one.outcome for one in result.attempts] == ["ok"]


def test_sides_within_a_ratio_are_expected(faults: Emulator, router: Router) -> None:
    """1536x640 is what is sold as 21:9."""
    faults.faults.add(Rule(kind="resize", extra={"width": 1536, "height": 640}))
    assert codes(router.generate("core", "a wide otter", aspect_ratio="21:9", seed=31)) == []


def test_another_format_is_a_warning(faults: Emulator, router: Router) -> None:
    """Where the model promises one, by its documents or because it was told; what was asked for is delivered."""
    faults.faults.add(Rule(kind="reformat", extra={"format": "webp"}))
    plain = router.generate("nova", "an odd otter", seed=31, n=2)
    assert [image.format for image in plain.images] == ["webp", "webp"]
    assert codes(plain) == [("unexpected_format", None)]
    told = router.generate("core", "an odd otter", seed=31, output_format="jpeg", strict=True)
    assert told.images[0].format == "jpeg"
    assert codes(told) == [("unexpected_format", None), ("adapted", "output_format")]
    free = router.generate("core", "an odd otter", seed=31)
    assert (free.images[0].format, codes(free)) == ("webp", [])
    larger = router.edit("upscale", image=Pillow.new("RGB", (640, 640), "teal"))
    for usual in (router.generate("sd35", "an odd otter", seed=31), larger):
        assert (usual.images[0].format, codes(usual)) == ("webp", [("unexpected_format", None)])


def test_openai_s_answer_tells_the_format_of_the_file(emulator: Emulator) -> None:
    """output_format and size are read from what is delivered."""
    model = "bedrock/amazon.nova-canvas-v1:0"
    answer = functions.image_generation(
        "an otter",
        model=model,
        output_format="webp",
        aws_access_key_id="emulator",
        aws_secret_access_key="emulator-secret",
        aws_region_name="us-east-1",
        aws_bedrock_runtime_endpoint=emulator.url,
    )
    assert (answer.output_format, answer.size) == ("webp", "1024x1024")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    """A folder of our own with a configuration in it."""
    monkeypatch.chdir(tmp_path)
    place = f'region: us-west-2, credentials: demo, endpoint_url: "{emulator.url}"'
    Path("lascaux.yaml").write_text(
        f"""\
credentials: {{demo: {{access_key_id: emulator, secret_access_key: emulator-secret}}}}
deployments: {{hero: {{model: "stability.stable-image-core-v1:1", {place}}}}}
"""
    )


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.webp", "a"])
def test_a_file_holds_what_its_name_says(mine: None, name: str) -> None:
    """Also what the model does not make."""
    done = CliRunner().invoke(app, ["generate", "an otter", "-o", name])
    assert done.exit_code == 0, done.output
    wanted = {".jpg": "JPEG", ".webp": "WEBP"}.get(Path(name).suffix.lower().replace("jpeg", "jpg"), "PNG")
    with Pillow.open(name) as picture:
        assert picture.format == wanted


def test_a_name_and_a_format_that_contradict_each_other_are_refused(mine: None, emulator: Emulator) -> None:
    """Before anybody is asked; the same format in other words is no contradiction."""
    billed = emulator.billed
    done = CliRunner().invoke(app, ["generate", "an otter", "-o", "a.jpg", "--output-format", "png"])
    assert done.exit_code != 0
    assert "'a.jpg' is the name of a jpeg, but png is asked for" in done.output
    assert emulator.billed == billed
    assert CliRunner().invoke(app, ["generate", "an otter", "-o", "a.jpg", "--output-format", "JPEG"]).exit_code == 0


def test_a_picture_that_stays_what_it_was_gets_a_name_that_fits(mine: None, faults: Emulator) -> None:
    """A png that could not become a webp is no .webp, and takes the place of no other file."""
    faults.faults.add(Rule(kind="corrupt"))
    Path("a.png").write_bytes(b"mine")
    done = CliRunner().invoke(app, ["generate", "an otter", "-o", "a.webp"])
    assert done.exit_code == 0
    assert Path("a-2.png").read_bytes().startswith(b"\x89PNG")
    assert Path("a.png").read_bytes() == b"mine"
    assert not Path("a.webp").exists()
    assert "could not be made a webp" in done.output
