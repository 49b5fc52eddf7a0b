"""Input pictures are read from anywhere, checked before they are decoded, and refused in time when they are no good."""

from __future__ import annotations

import base64
import io
import random
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.picture_files import inspect_file
from lascaux.providers.pictures import MAX_BYTES, Sources, adapted_picture, encode_png, open_picture, read_picture
from lascaux.providers.types import Image, Picture
from PIL import Image as Pillow

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("png", {}),
    ("jpeg", {}),
    ("jpeg", {"progressive": True}),
    ("webp", {}),
    ("webp", {"lossless": True}),
]


def painted(mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Pillow.Image:
    """A picture with something in it, the same every time."""
    rng = random.Random(7)
    return Pillow.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3)).convert(mode)


def file(kind: str = "png", mode: str = "RGB", size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    out = io.BytesIO()
    painted(mode, size).save(out, kind, **options)
    return out.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of any claims; with the given chunks, or a few bytes of pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    inside = b"".join(chunks) or chunk(b"IDAT", zlib.compress(bytes(64)))
    return b"\x89PNG\r\n\x1a\n" + header + inside + chunk(b"IEND", b"")


def refusal(value: Any, **more: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        read_picture(value, **more)
    assert caught.value.allowed
    return caught.value


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_every_way_to_hand_over_a_file_gives_the_same_picture(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """Bytes of any type, path, open file, base64, data URL, (name, bytes), objects of OpenAI's clients, our own results."""
    data = file(kind, **options)
    text = b64(data)
    path = tmp_path / "picture.without.extension"
    path.write_bytes(data)
    expected = Picture(b64=text, format=kind, width=24, height=16)
    ways: list[Any] = [
        data,
        bytearray(data),
        memoryview(data),
        path,
        str(path),
        io.BytesIO(data),
        text,
        "\n".join(text[start : start + 76] for start in range(0, len(text), 76)),
        f"data:image/gif;base64,{text}",
        f"DATA:;base64,{text}",
        ("otter.gif", data),
        (None, io.BytesIO(data), "image/gif"),
        ("otter.gif", path, "image/gif", {"x": "y"}),
        {"b64_json": text},
        {"image_url": f"data:image/png;base64,{text}"},
        {"image_url": {"url": f"data:image/png;base64,{text}"}},
        Image(text, seed=3),
        expected,
    ]
    for way in ways:
        assert adapted_picture(way) == (expected, ()), type(way)
    with path.open("rb") as opened:
        assert read_picture(opened) == expected


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P", "CMYK", "YCbCr", "HSV", "I;16"])
def test_a_pillow_image_becomes_a_png_with_the_same_pixels(mode: str) -> None:
    """In every mode that has a meaning as a picture."""
    image = (
        painted().convert("L").convert("I").point(lambda v: v * 257).convert("I;16")
        if mode == "I;16"
        else painted(mode)
    )
    read = read_picture(image)
    assert (read.format, read.width, read.height, read.alpha) == ("png", 24, 16, mode in ("RGBA", "LA"))
    wanted = painted().convert("L") if mode == "I;16" else image
    assert open_picture(read).convert("RGB").tobytes() == wanted.convert("RGB").tobytes()


def test_a_palette_with_transparency_has_alpha() -> None:
    """As a Pillow image and as a file."""
    image = painted("P")
    image.info["transparency"] = 3
    assert read_picture(image).alpha is True
    out = io.BytesIO()
    painted("P").save(out, "png", transparency=3)
    assert read_picture(out.getvalue()).alpha is True


@pytest.mark.parametrize(
    ("kind", "mode", "options", "alpha"),
    [
        ("png", "RGBA", {}, True),
        ("png", "LA", {}, True),
        ("png", "L", {}, False),
        ("png", "P", {}, False),
        ("webp", "RGBA", {"lossless": True}, True),
        ("webp", "RGBA", {"lossless": False}, True),
        ("webp", "RGB", {"exif": b"Exif\0\0" + bytes(99)}, False),
        ("jpeg", "L", {}, False),
    ],
)
def test_alpha_is_read_from_the_file(kind: str, mode: str, options: dict[str, Any], alpha: bool) -> None:
    """From colour type, tRNS, VP8X or the lossless header; no pixel is decoded for it."""
    image = painted(mode)
    if alpha:
        image.putalpha(Pillow.linear_gradient("L").resize(image.size))
    out = io.BytesIO()
    image.save(out, kind, **options)
    assert read_picture(out.getvalue()).alpha is alpha


def test_cmyk_becomes_rgb_and_says_so() -> None:
    """No model takes four inks."""
    picture, (warning,) = adapted_picture(file("jpeg", "CMYK", quality=95), name="mask")
    assert (picture.format, picture.width, picture.height) == ("png", 24, 16)
    assert open_picture(picture).mode == "RGB"
    assert str(warning) == "mask: it had CMYK colours, which no model takes; it became an 8-bit PNG"
    assert warning.code == "adapted"


@pytest.mark.parametrize(("colour", "channels", "mode"), [(0, 1, "RGB"), (2, 3, "RGB"), (4, 2, "RGBA"), (6, 4, "RGBA")])
def test_sixteen_bits_become_eight(colour: int, channels: int, mode: str) -> None:
    """Scaled, not clipped, in grey and in colour, with alpha kept."""
    levels = [0, 257, 128 * 257, 65535]
    row = b"\0" + b"".join(struct.pack(">H", level) * channels for level in levels)
    data = png(4, 1, chunk(b"IDAT", zlib.compress(row)), depth=16, colour=colour)
    picture, (warning,) = adapted_picture(data)
    image = open_picture(picture)
    assert image.mode == mode
    assert list(image.getchannel("R").tobytes()) == [0, 1, 128, 255]
    assert "16 bits per channel" in warning.message


class Endless(io.RawIOBase):
    """A file without an end."""

    asked = 0

    def read(self, size: int = -1) -> bytes:
        self.asked = size
        return bytes(size)


class Asynchronous:
    """A file that must be awaited."""

    async def read(self, size: int) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "image must be a PNG, JPEG or WebP picture as bytes, .*, not None"),
        (7, "image must be a PNG.*, not 7"),
        (object(), "image must be a PNG.*, not object"),
        (b"", "image: not a PNG, JPEG or WebP picture"),
        ("", "image is empty"),
        ("no-such-file.png", "image: 'no-such-file.png' is neither an existing file nor base64"),
        (Path("no-such-file.png"), "image: there is no file 'no-such-file.png'"),
        (Path("/"), "image: there is no file '/'"),
        ("AAAA", "image: not a PNG, JPEG or WebP picture"),
        ("x" * 5001, "image is not base64"),
        ("data:image/png,abc", "image: a data URL must be data:image/png;base64,..."),
        ("data:image/png;base64", "image: a data URL must be data:image/png;base64,..."),
        ("https://example.com/otter.png", "image: URLs are not fetched here; give the picture itself"),
        ("http://169.254.169.254/latest", "image: URLs are not fetched here"),
        ({"image_url": "https://example.com/otter.png"}, "image: URLs are not fetched here"),
        ({"file": "file-1"}, "image: an object must hold exactly one of b64_json, image_url and url"),
        (io.StringIO("text"), "image: the file does not give bytes; open it with mode 'rb'"),
        (io.BytesIO(), r"image: the file is empty, or was read before; rewind it with seek\(0\)"),
        (Asynchronous(), "image: the file does not give bytes"),
        (Endless(), "image holds 25,000,001 bytes or more; at most 25,000,000 are read"),
        (bytes(MAX_BYTES + 1), "image holds 25,000,001 bytes or more"),
        ("A" * 34_400_000, "image holds 25,800,000 bytes or more"),
        (Pillow.new("F", (4, 4)), "image: a Pillow image of mode F has no known white"),
        (Pillow.new("1", (10_000, 10_000)), "image has 10000x10000 pixels"),
        (Image("AAAA"), "image: not a PNG"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_picture_is_told_so(value: Any, message: str) -> None:
    """In one line that names the parameter and says what would do."""
    error = refusal(value)
    assert error.parameter == "image"
    with pytest.raises(InvalidRequest, match=message):
        raise error
    assert len(str(error)) < 400


def test_a_file_is_not_read_further_than_the_limit() -> None:
    """One byte more than allowed is enough to know."""
    endless = Endless()
    refusal(endless)
    assert endless.asked == MAX_BYTES + 1


def test_files_can_be_forbidden(tmp_path: Path) -> None:
    """Where requests come from strangers no path is looked at, not even to say whether it exists."""
    path = tmp_path / "otter.png"
    path.write_bytes(file())
    for value in (path, ("otter.png", path)):
        assert "files are not read here" in str(refusal(value, sources=Sources(files=False)))
    there, absent = (str(refusal(str(one), sources=Sources(files=False))) for one in (path, tmp_path / "none.png"))
    assert there == absent
    assert "base64" in there
    wrong: tuple[Any, ...] = (5, "", "no picture", {"b64_json": "!"}, b"GIF89a", [file()])
    for one in wrong:
        error = refusal(one, sources=Sources(files=False))
        for words in (str(error), error.allowed or ""):
            assert not any(word in words for word in ("path", "Pillow", "file object")), words


@pytest.mark.parametrize("sources", [Sources(), Sources(files=False)])
def test_a_file_id_is_told_what_to_send_instead(sources: Sources) -> None:
    """OpenAI's API knows files that were sent before; here there are none."""
    error = refusal({"file_id": "file-abc"}, sources=sources)
    assert "file ids are not available here; send the picture itself, as base64 or as a data URL" in str(error)
    assert error.nearest == "image_url"


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"GIF89a" + bytes(40), "a GIF; convert it to PNG"),
        (b"BM" + bytes(40), "a BMP; convert it to PNG"),
        (b"II*\0" + bytes(40), "a TIFF; convert it to PNG"),
        (b"MM\0*" + bytes(40), "a TIFF; convert it to PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG; convert it to PNG"),
        (b"<?xml version='1.0'?>\n<SVG/>", "an SVG; convert it to PNG"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "a HEIC; convert it to PNG"),
        (b"\0\0\0\x18ftypavif" + bytes(40), "an AVIF; convert it to PNG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(40), "an AVIF; convert it to PNG"),
        (b"\0\0\0\x18ftypisom" + bytes(40), "a video; convert it to PNG"),
        (b"%PDF-1.7" + bytes(40), "a PDF; convert it to PNG"),
        (b"8BPS" + bytes(40), "a Photoshop file; convert it to PNG"),
        (b"\0\0\0\x0cJXL " + bytes(40), "a JPEG XL; convert it to PNG"),
        (b"hello", "not a PNG, JPEG or WebP picture"),
    ],
)
def test_other_formats_are_called_by_their_names(start: bytes, named: str) -> None:
    """Whatever the file name or the data URL says they are."""
    for value in (start, ("otter.png", start, "image/png"), f"data:image/png;base64,{b64(start)}"):
        assert named in str(refusal(value))


def test_animations_are_refused() -> None:
    """As PNG and WebP files, and as an opened GIF; the first frame alone is fine."""
    frames = [painted(), painted().rotate(90)]
    for kind, words in (("png", "an animated PNG"), ("webp", "an animated WebP")):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:])
        assert words in str(refusal(out.getvalue()))
    out = io.BytesIO()
    frames[0].save(out, "gif", save_all=True, append_images=frames[1:])
    opened = Pillow.open(out)
    assert "animated" in str(refusal(opened))
    assert read_picture(opened.copy()).format == "png"


def test_the_parameter_is_named() -> None:
    """Whichever it was."""
    error = refusal(b"GIF89a", name="mask")
    assert (error.parameter, str(error)[:14]) == ("mask", "mask is a GIF;")


def huge_headers() -> Iterator[bytes]:
    """Small files that claim to be enormous."""
    for width, height in [(50_000, 50_000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (10_000, 10_000), (1, 60_000)]:
        yield png(width, height)
        yield png(width, height, chunk(b"IDAT", zlib.compress(bytes(10_000_000))))
        yield png(width, height, depth=16, colour=6)
    for kind in ("jpeg", "webp"):
        data = bytearray(file(kind, lossless=True) if kind == "webp" else file(kind))
        if kind == "jpeg":
            at = data.index(b"\xff\xc0")
            data[at + 5 : at + 9] = struct.pack(">HH", 50_000, 50_000)
        else:
            data[21:25] = struct.pack("<I", 0x0FFFFFFF)
        yield bytes(data)


def empty_headers() -> Iterator[bytes]:
    """Files of zero width or height."""
    for width, height in [(0, 0), (0, 9), (9, 0)]:
        yield png(width, height)
        data = bytearray(file("jpeg"))
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", height, width)
        yield bytes(data)
        data = bytearray(file("webp"))
        data[26:30] = struct.pack("<HH", width, height)
        yield bytes(data)


def cut_short() -> Iterator[bytes]:
    """Real files that end too soon, at every kind of place."""
    for kind, options in KINDS:
        data = file(kind, **options)
        for share in (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
            yield data[: int(len(data) * share)]
        yield from (data[:-less] for less in (1, 2, 5))


def endless_parts() -> Iterator[bytes]:
    """Megabytes of tiny parts, and lengths that lead nowhere."""
    yield b"\x89PNG\r\n\x1a\n" + png(8, 8)[8:33] + chunk(b"tEXt", b"") * 1_500_000
    yield b"\xff\xd8" + b"\xff\xe0\x00\x02" * 5_000_000
    yield b"\xff\xd8" + b"\xff" * 20_000_000
    yield b"\xff\xd8" + b"\xff\xe0\x00\x00" * 100
    yield b"\xff\xd8" + b"\xff\xda\x00\x02" + b"\xff\x00" * 5_000_000
    yield b"RIFF" + struct.pack("<I", 16_000_004) + b"WEBP" + (b"JUNK" + bytes(4)) * 2_000_000
    yield b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(100)
    yield b"RIFF\x04\0\0\0WEBP"
    for length in (1, 2**31, 2**32 - 1):
        yield png(8, 8)[:33] + struct.pack(">I", length) + b"IDAT" + bytes(100)


def broken_inside() -> Iterator[bytes]:
    """Whole files whose parts contradict each other."""
    yield png(8, 8, colour=5)
    yield png(8, 8, depth=3)
    yield png(8, 8, depth=4, colour=2)
    yield png(8, 8, colour=3)
    yield png(8, 8, chunk(b"tEXt", b"no pixels"))
    yield png(8, 8, chunk(b"acTL", bytes(8)))
    yield png(8, 8)[:-4] + b"\0\0\0\0"
    yield file("png").replace(b"IDAT", b"IDAX")
    yield file("jpeg").replace(b"\xff\xc0", b"\xff\xc3", 1)
    yield file("jpeg").replace(b"\xff\xda", b"\xff\xe5", 1)
    extended = bytearray(file("webp", exif=b"Exif\0\0" + bytes(99)))
    extended[24] ^= 1
    yield bytes(extended)
    yield file("webp").replace(b"VP8 ", b"VP9 ")
    yield file("webp").replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b", 1)


def noise() -> Iterator[bytes]:
    """Random bytes, alone and behind the beginning of a picture."""
    rng = random.Random(20261122)
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBP", b"GIF89a", b"BM", b"<svg"):
        for size in (0, 1, 2, 7, 13, 30, 64, 500, 5_000, 100_000):
            yield start + rng.randbytes(size)


FLAWS: list[Callable[[], Iterator[bytes]]] = [
    huge_headers,
    empty_headers,
    cut_short,
    endless_parts,
    broken_inside,
    noise,
]


def test_two_hundred_malformed_pictures_are_refused_in_bounded_time() -> None:
    """Each within a second, however it was built; most in less than a millisecond."""
    count = 0
    for flaw in FLAWS:
        for data in flaw():
            count += 1
            started = time.perf_counter()
            refusal(data)
            assert time.perf_counter() - started < 1, (flaw.__name__, data[:40])
    for value in [
        " ",
        "====",
        "A",
        "data:",
        "data:;base64,",
        "data:;base64,AAAA",
        "\0",
        "\ud800",
        "x" * 4095,
        [],
        {},
        1.5,
    ]:
        count += 1
        refusal(value)
    assert count >= 200


def test_a_bomb_takes_no_memory() -> None:
    """A megabyte that would unpack to a gigabyte is walked through, not unpacked."""
    bomb = png(50_000, 50_000, chunk(b"IDAT", zlib.compress(bytes(100_000_000), 9)))
    small = png(4_000, 4_000, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000))))
    tracemalloc.start()
    try:
        refusal(bomb)
        refusal(small)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_damaged_pixels_are_found_when_they_are_needed() -> None:
    """A file that is whole on the outside is refused, by its parameter, by whoever has to decode it."""
    hollow = png(4, 4, chunk(b"IDAT", b"not compressed"))
    with pytest.raises(InvalidRequest, match="mask is damaged: its pixels can not be decoded") as caught:
        open_picture(read_picture(hollow), name="mask")
    assert caught.value.parameter == "mask"
    assert "damaged" in str(refusal(png(4, 4, chunk(b"IDAT", b"not compressed"), depth=16)))


def test_a_picture_beyond_the_body_limit_is_refused() -> None:
    """18,750,000 bytes are 25,000,000 letters of base64; one more is too many for any body."""
    plain = file()
    most = 18_750_000
    padding = most - len(plain) - 12
    whole = plain[:-12] + chunk(b"tEXt", bytes(padding)) + plain[-12:]
    assert len(whole) == most
    assert len(read_picture(whole).b64) == 25_000_000
    error = refusal(plain[:-12] + chunk(b"tEXt", bytes(padding + 1)) + plain[-12:])
    assert "a request holds at most 25,000,000" in str(error)


def test_what_follows_the_end_of_a_file_does_not_matter() -> None:
    """Cameras append to JPEG files, and some programs to others."""
    for kind, options in KINDS:
        data = file(kind, **options) + b"trailer\xff\xd9"
        assert (read_picture(data).width, read_picture(data).b64) == (24, b64(data))


def test_a_jpeg_with_a_thumbnail_is_measured_by_itself() -> None:
    """The picture inside its metadata is not the picture, nor is its end the end."""
    inner, outer = file("jpeg", size=(8, 8)), file("jpeg")
    segment = b"\xff\xe1" + struct.pack(">H", len(inner) + 8) + b"Exif\0\0" + inner
    data = outer[:2] + segment + outer[2:]
    assert (read_picture(data).width, read_picture(data).height) == (24, 16)
    assert "ends too soon" in str(refusal(data[: len(segment) + 100]))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_damage_is_read_or_refused_but_never_crashes(kind: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    """A damaged file gives a picture with sides, or an InvalidRequest; Pillow agrees or says so in the same way."""
    whole = bytearray(file(kind[0], **kind[1]))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = read_picture(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
        image = open_picture(picture)
    except InvalidRequest:
        return
    assert image.size == (picture.width, picture.height)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.builds(lambda tail: b"\xff\xd8\xff" + tail, st.binary(max_size=300)))
def test_any_bytes_are_inspected_or_refused(data: bytes) -> None:
    """With a ValueError and nothing else."""
    try:
        found = inspect_file(data)
    except ValueError:
        return
    assert found.width > 0


def test_an_encoded_picture_is_a_picture() -> None:
    """What `encode_png` says about a picture is what reading it says."""
    for mode in ("RGB", "RGBA", "L", "LA"):
        made = encode_png(painted(mode))
        assert read_picture(made.bytes) == made
