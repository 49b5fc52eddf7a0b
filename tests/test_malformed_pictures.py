"""Two hundred malformed, hostile or odd pictures: each works or is refused clearly, in bounded time and memory."""

from __future__ import annotations

import io
import itertools
import json
import random
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from lascaux import InvalidRequest, Router
from lascaux.emulator import Emulator
from lascaux.providers.fake import FakeProvider
from PIL import Image

SECONDS, MEGABYTES = 1.0, 400
"""What one picture may take: time on this computer, and address space above that of an idle program."""

Case = tuple[str, bytes]
CANVAS, INPAINT = "amazon.nova-canvas-v1:0", "us.stability.stable-image-inpaint-v1:0"


def chunk(kind: bytes, data: bytes, *, length: int | None = None, sum_: int | None = None) -> bytes:
    """A part of a PNG file; length and check sum may be wrong on purpose."""
    check = zlib.crc32(kind + data) if sum_ is None else sum_
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(">I", check)


def header(width: int, height: int, depth: int = 8, colour: int = 2, tail: bytes = b"\0\0\0") -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBB", width, height, depth, colour) + tail)


MAGIC, END = b"\x89PNG\r\n\x1a\n", chunk(b"IEND", b"")


def png(*parts: bytes) -> bytes:
    return MAGIC + b"".join(parts)


def saved(image: Any, kind: str, **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def plain(mode: str = "RGB", size: tuple[int, int] = (640, 512)) -> Any:
    """A picture with something in it, in any of Pillow's modes."""
    return Image.linear_gradient("L").resize(size).convert(mode)


def zeros(count: int) -> bytes:
    """Very many zero bytes, deflated: one block of a million, repeated."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(1_000_000)) + deflate.flush(zlib.Z_FULL_FLUSH)
    times = count // 1_000_000
    sum_ = (times * 1_000_000 % 65_521) << 16 | 1
    return b"\x78\x9c" + block * times + deflate.flush() + struct.pack(">I", sum_)


def truncated() -> Iterator[Case]:
    """Good files that end too early."""
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = saved(plain(), kind)
        for share in (0, 1, 2, 4, 8, 11, 12, 16, 20, 24, 29, 30, 33, 40, 64, 100):
            yield f"{kind} of {share} bytes", whole[:share]
        for part in (3, 10, 25, 50, 75, 90, 99):
            yield f"{part} % of a {kind}", whole[: len(whole) * part // 100]


def bombs() -> Iterator[Case]:
    """Small files that would become very large."""
    for width, height in ((50_000, 50_000), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (1, 2**32 - 1)):
        yield f"PNG header of {width}x{height}", png(header(width, height), chunk(b"IDAT", zlib.compress(b"\0")), END)
    for side in (7_000, 12_000, 19_999):
        yield (
            f"PNG of {side}x{side} in black",
            png(header(side, side, 1, 0), chunk(b"IDAT", zeros(side * (side // 8 + 2) + 1_000_000)), END),
        )
    yield "more pixels than announced", png(header(640, 512), chunk(b"IDAT", zeros(200_000_000)), END)
    for kind in (b"zTXt", b"iTXt", b"iCCP"):
        name = b"Comment\0\0" if kind != b"iTXt" else b"Comment\0\1\0\0\0"
        parts = (header(640, 512), chunk(kind, name + zeros(300_000_000)), body(640, 512), END)
        yield f"a bomb in {kind.decode()}", png(*parts)
    jpeg = bytearray(saved(plain(), "JPEG"))
    start = jpeg.index(b"\xff\xc0")
    for height, width in ((50_000, 50_000), (65_535, 65_535), (0, 640), (640, 0)):
        jpeg[start + 5 : start + 9] = struct.pack(">HH", height, width)
        yield f"JPEG header of {width}x{height}", bytes(jpeg)
    webp = bytearray(saved(plain("RGBA"), "WEBP", lossless=True))
    webp[21:25] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
    yield "WebP header of 16384x16384", bytes(webp)
    yield "WebP canvas of 2^24", b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6


def body(width: int, height: int) -> bytes:
    return chunk(b"IDAT", zlib.compress((b"\0" + bytes(width * 3)) * height))


def headers() -> Iterator[Case]:
    """Files whose own words make no sense."""
    for width, height in ((0, 0), (0, 640), (640, 0)):
        yield f"PNG of {width}x{height}", png(header(width, height), body(1, 1), END)
    for depth, colour in ((0, 2), (3, 2), (16, 3), (8, 1), (8, 5), (255, 255), (4, 6)):
        yield f"PNG of depth {depth}, colour {colour}", png(header(640, 512, depth, colour), body(640, 512), END)
    for tail in (b"\1\0\0", b"\0\1\0", b"\0\0\2", b"\xff\xff\xff"):
        yield f"PNG with methods {tail.hex()}", png(header(640, 512, tail=tail), body(640, 512), END)
    yield "PNG without pixels", png(header(640, 512), END)
    yield "PNG without an end", png(header(640, 512), body(640, 512))
    yield "PNG that grows", png(header(64, 64), header(13_300, 13_300), body(64, 64), END)
    twice = saved(plain(), "JPEG")
    start = twice.index(b"\xff\xc0")
    frame = twice[start : start + 19]
    yield "JPEG with two frames", twice[:start] + frame[:5] + struct.pack(">HH", 64, 64) + frame[9:] + twice[start:]
    yield "PNG with two headers", png(header(640, 512), header(64, 64), body(640, 512), END)
    yield "PNG whose header comes late", png(chunk(b"tEXt", b"a\0b"), header(640, 512), body(640, 512), END)
    yield "PNG with a wrong sum", png(chunk(b"IHDR", struct.pack(">IIBB", 640, 512, 8, 2) + b"\0\0\0", sum_=1), END)
    for length in (0xFFFFFFFF, 0x7FFFFFFF, 0):
        parts = (header(640, 512), chunk(b"IDAT", b"x", length=length), END)
        yield f"PNG with a part of {length} bytes", png(*parts)
    yield "PNG with noise for pixels", png(header(640, 512), chunk(b"IDAT", random.Random(1).randbytes(5000)), END)
    yield "palette without colours", png(header(640, 512, 8, 3), chunk(b"IDAT", zlib.compress(bytes(641 * 512))), END)
    yield "100,000 empty parts", png(header(640, 512), chunk(b"tEXt", b"a\0b") * 100_000, body(640, 512), END)
    yield "JPEG of fill bytes", b"\xff\xd8" + b"\xff" * 2_000_000
    yield "JPEG of empty segments", b"\xff\xd8" + b"\xff\xe0\0\2" * 500_000
    yield "JPEG segment of length 0", b"\xff\xd8\xff\xe0\0\0" + bytes(100)
    yield "JPEG with nothing", b"\xff\xd8\xff\xd9"
    yield "lossless JPEG", b"\xff\xd8\xff\xc3\0\x0b\x08\x02\0\x02\0\x01\x01\x11\0" + bytes(50)
    for kind in (b"VP8 ", b"VP8L", b"VP8X", b"ABCD"):
        yield f"WebP with an empty {kind.decode()}", b"RIFF\x0c\0\0\0WEBP" + kind + bytes(4)
        yield f"WebP with zeros in {kind.decode()}", b"RIFF\x40\0\0\0WEBP" + kind + b"\x30\0\0\0" + bytes(48)


def odd() -> Iterator[Case]:
    """Files that are good in themselves and not what models take."""
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"PNG in {mode}", saved(plain(mode), "PNG")
    yield "PNG in I;16", saved(Image.new("I;16", (640, 512), 40_000), "PNG")
    rows = b"".join(b"\0" + bytes(640 * 6) for _ in range(512))
    yield "PNG of 16 bits a colour", png(header(640, 512, 16, 2), chunk(b"IDAT", zlib.compress(rows)), END)
    for mode in ("L", "RGB", "CMYK"):
        yield f"JPEG in {mode}", saved(plain(mode), "JPEG")
    for turn in range(1, 10):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"JPEG turned by {turn}", saved(plain(), "JPEG", exif=exif)
    yield "JPEG with broken EXIF", saved(plain(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 60)
    yield "progressive JPEG", saved(plain(), "JPEG", progressive=True)
    for kind in ("PNG", "WEBP", "GIF"):
        frames = [Image.new("RGB", (640, 512), colour) for colour in ("red", "green", "blue")]
        yield f"animated {kind}", saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)
    for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "JPEG2000", "SGI"):
        yield kind, saved(plain(size=(256, 256)), kind)
    for size in ((1, 1), (1, 640), (19_999, 1), (63, 64), (319, 640), (2, 20_000)):
        yield f"PNG of {size}", saved(plain(size=size), "PNG")


def polyglots() -> Iterator[Case]:
    """Files that are two things, or none."""
    files = {kind: saved(plain(), kind) for kind in ("PNG", "JPEG", "WEBP")}
    for one, other in itertools.permutations(files, 2):
        yield f"{one} with a {other} behind", files[one] + files[other]
    for name, text in {
        "HTML": b"<html><script>alert(1)</script>",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='640' height='640'/>",
        "XML bomb": b'<!DOCTYPE a [<!ENTITY b "bbbb">]><svg>&b;</svg>',
        "PDF": b"%PDF-1.7\n1 0 obj",
        "ZIP": b"PK\3\4" + bytes(60),
        "ELF": b"\x7fELF" + bytes(60),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n",
        "text": b"not a picture at all",
        "zeros": bytes(10_000),
        "noise": random.Random(2).randbytes(10_000),
    }.items():
        yield name, text
        yield f"{name} with a PNG behind", text + files["PNG"]
        yield f"PNG with {name} behind", files["PNG"] + text
    for kind, data in files.items():
        yield f"a line end before {kind}", b"\r\n" + data
        yield f"{kind} of which every line end was changed", data.replace(b"\n", b"\r\n")


def damaged() -> Iterator[Case]:
    """Good files with a few wrong bytes, the same ones every time."""
    rng = random.Random(3)
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = saved(plain(), kind)
        for number in range(8):
            data = bytearray(whole)
            for _ in range(1 + number):
                data[rng.randrange(12, len(data))] = rng.randrange(256)
            yield f"{kind} with {number + 1} wrong bytes", bytes(data)


@cache
def cases() -> tuple[Case, ...]:
    """All of them, in order."""
    return (*truncated(), *bombs(), *headers(), *odd(), *polyglots(), *damaged())


def digest() -> str:
    """What tells whether another process made the same ones."""
    return sha256(b"".join(name.encode() + sha256(data).digest() for name, data in cases())).hexdigest()


@cache
def good() -> bytes:
    """A picture that nobody refuses."""
    return saved(plain(), "PNG")


CONFIG: dict[str, Any] = {
    "deployments": {
        "canvas": {"model": CANVAS, "region": "us-east-1"},
        "inpaint": {"model": INPAINT, "region": "us-east-1"},
    },
    "lifecycle": {"retired": "allow"},
}


def asks(data: bytes) -> Iterator[tuple[str, Callable[[Router], object]]]:
    """The picture as the one to work on, as a mask, and among several."""
    yield "image", lambda router: router.edit("inpaint", "a hat", image=data, mask=good(), mask_mode="white")
    yield "mask", lambda router: router.edit("inpaint", "a hat", image=good(), mask=data, mask_mode="white")
    yield "canvas", lambda router: router.edit("canvas", "a hat", image=data, mask_prompt="the hat")


def verdicts() -> list[dict[str, Any]]:
    """What each picture comes to: how it ended, in words, and how long it took."""
    found = []
    with Router(CONFIG, provider=FakeProvider()) as router:
        for name, data in cases():
            for place, ask in asks(data):
                begun = time.process_time()
                try:
                    ask(router)
                    ending, words = "sent", ""
                except InvalidRequest as error:
                    ending, words = "refused", f"{error.parameter}|{error}"
                except BaseException as error:
                    ending, words = "raised", f"{type(error).__name__}: {error}"
                seconds = time.process_time() - begun
                found.append(dict(name=name, place=place, ending=ending, words=words, seconds=seconds))
    return found


def limited() -> None:
    """Run it all with little memory, and print what came of it."""
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    most = now + MEGABYTES * 1024**2
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print(json.dumps({"digest": digest(), "verdicts": verdicts()}))


@pytest.fixture(scope="module")
def child() -> dict[str, Any]:
    """What a process of its own says, whose memory is bounded."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is bounded by Linux's means")
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


@pytest.fixture
def results(child: dict[str, Any]) -> list[dict[str, Any]]:
    """All verdicts."""
    found: list[dict[str, Any]] = child["verdicts"]
    return found


def test_there_are_two_hundred_of_them(child: dict[str, Any]) -> None:
    """All different, and the same in every run."""
    found = cases()
    assert digest() == child["digest"]
    assert len({name for name, _ in found}) == len(found) >= 200
    assert len({data for _, data in found}) >= 190


def test_each_works_or_is_refused_clearly(results: list[dict[str, Any]]) -> None:
    """No traceback, no memory error; the error blames the picture in one line, without its bytes."""
    assert [one for one in results if one["ending"] == "raised"] == []
    for one in results:
        if one["ending"] == "refused":
            parameter, _, words = one["words"].partition("|")
            assert parameter in ("image", "mask"), one
            assert words.startswith(parameter), one
            assert words.isprintable(), one
            assert 20 < len(words) < 500, one


def test_each_takes_less_than_a_second(results: list[dict[str, Any]]) -> None:
    """Of this process's time: what is absurd is refused before it is decoded."""
    slow = [(one["name"], one["place"], round(one["seconds"], 2)) for one in results if one["seconds"] > SECONDS]
    assert slow == []


@pytest.mark.parametrize(
    "name",
    ["PNG header of 50000x50000", "PNG of 0x0", "JPEG of fill bytes", "GIF", "text", "more pixels than announced"],
)
def test_some_are_certainly_refused(name: str, results: list[dict[str, Any]]) -> None:
    """As pictures to work on and as masks, for both models."""
    endings = {one["place"]: one["ending"] for one in results if one["name"] == name}
    if name == "more pixels than announced":
        assert set(endings) == {"image", "mask", "canvas"}
    else:
        assert set(endings.values()) == {"refused"}, endings


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("100,000 empty parts", "a PNG of too many parts (at most 100,000 are read)"),
        ("JPEG of empty segments", "a JPEG of too many parts"),
        ("PNG without pixels", "a PNG without its pixels"),
        ("PNG without an end", "a PNG that ends too soon"),
        ("PNG that grows", "a damaged PNG (it tells its size twice)"),
        ("JPEG with two frames", "a damaged JPEG (it tells its size twice)"),
        ("palette without colours", "a PNG without its palette"),
    ],
)
def test_the_error_says_what_is_wrong(name: str, words: str, results: list[dict[str, Any]]) -> None:
    """And not something else that was noticed on the way."""
    said = [one["words"] for one in results if one["name"] == name and one["place"] != "mask"]
    assert said == [f"image|image is {words}"] * 2


@pytest.mark.parametrize(
    "name", ["PNG in RGB", "JPEG in L", "progressive JPEG", "PNG in P", "JPEG in CMYK", "PNG in I;16"]
)
def test_some_certainly_work(name: str, results: list[dict[str, Any]]) -> None:
    """Good pictures are not refused with the bad ones."""
    assert {one["ending"] for one in results if one["name"] == name and one["place"] == "image"} == {"sent"}


def test_the_emulator_does_not_stumble_either() -> None:
    """What we let through gets an answer over HTTP: a picture, or a refusal with a reason; never a 500."""
    keys = {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}
    wanted = [case for case in cases() if not case[0].startswith(("PNG of 1", "PNG of 7", "100,000", "a bomb"))]
    with Emulator(canvas="fast") as emulator:
        place = {"region": "us-east-1", "credentials": "demo", "endpoint_url": emulator.url, "model": INPAINT}
        config = {"credentials": {"demo": keys}, "deployments": {"it": place}, "retry": {"attempts": 1}}
        with Router(config) as router:
            for _, data in wanted:
                code = outcome(lambda data=data: router.edit("it", "a hat", image=data, mask=good(), mask_mode="white"))  # type: ignore[misc]
                assert code in (None, "invalid_request", "invalid_parameter", "rejected_by_provider")
        assert {record.status for record in emulator.log} <= {200, 400}
        assert len(emulator.log) > 20


def outcome(call: Callable[[], object]) -> str | None:
    """The code of the error that a call raises, None for none."""
    try:
        call()
    except Exception as error:
        return str(getattr(error, "code", error))
    return None


if __name__ == "__main__":
    limited()
