"""The short ways of reading an answer say what the long ones say: of its head, and of the pictures in its JSON."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import random
import socket
import threading
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux.providers.bedrock.answer_json import read_json
from lascaux.providers.bedrock.connections import Connections, Line
from lascaux.providers.bedrock.heads import plain_head
from lascaux.providers.bedrock.keys import Sealed
from lascaux.providers.errors import LascauxError
from lascaux.providers.images import is_base64
from lascaux.providers.types import Image

LONG = base64.b64encode(random.Random(7).randbytes(30_000)).decode()
PICTURE = LONG + LONG
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def plain(value: Any) -> Any:
    """The same with views as texts."""
    if isinstance(value, memoryview):
        return str(value, "ascii")
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def parsed(body: bytes) -> Any:
    """What the parser makes of all of it; ValueError's class if nothing."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.JSONDecodeError


def cut(body: bytes) -> Any:
    """What cutting makes of it."""
    try:
        return plain(read_json(body))
    except orjson.JSONDecodeError:
        return orjson.JSONDecodeError


TEXTS = st.one_of(
    st.sampled_from([LONG, PICTURE, PICTURE[:-1] + "=", PICTURE[:-1] + "\\", PICTURE[:9] + "\n" + PICTURE[10:], ""]),
    st.sampled_from([LONG[:-4] + "QQ==" + LONG, LONG + "é", "\0" + "0", "\\u00000", 'a "quoted" word', "\ud83d\ude00"]),
    st.text(max_size=8),
)
KEYS = st.one_of(st.sampled_from(["images", "artifacts", "base64", "error", "maskImage", LONG, "im\\u0061ges"]), TEXTS)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
ANSWERS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"images": st.lists(TEXTS, max_size=3), "error": VALUES}),
    st.fixed_dictionaries({"artifacts": st.lists(st.dictionaries(KEYS, TEXTS, max_size=3), max_size=2)}),
)


@settings(max_examples=300, deadline=None)
@given(answer=ANSWERS, ascii_only=st.booleans(), indent=st.sampled_from([None, 0, 2]), data=st.data())
def test_cutting_an_answer_changes_nothing_about_it(
    answer: Any, ascii_only: bool, indent: int | None, data: st.DataObject
) -> None:
    """Escapes, spaces, duplicate keys, nesting, and any damage: the same values, or the same refusal."""
    text = json.dumps(answer, ensure_ascii=ascii_only, indent=indent)
    body = text.encode("utf-8", "surrogatepass")
    for _ in range(data.draw(st.integers(0, 2), label="damages")):
        place = data.draw(st.integers(0, len(body)), label="place")
        piece = data.draw(st.sampled_from([b'"', b"\\", b",", b"}", b"{", b"\xff", b"\n", b' "images": ["', b"\0"]))
        gone = data.draw(st.integers(0, 3), label="gone")
        body = body[:place] + piece + body[place + gone :]
    assert cut(body) == parsed(body)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"images":["{PICTURE}"],"images":["{LONG}{LONG}"]}}',
        f'{{"images":["{PICTURE}"],"im\\u0061ges":["x"]}}',
        f'{{"error":{{"images":["{PICTURE}"]}},"images":[]}}',
        f'{{"images":["{PICTURE}"]}} trailing',
        f'{{"images":["{PICTURE}"]}}{{}}',
        f'\ufeff{{"images":["{PICTURE}"]}}',
        f'{{"images":["{PICTURE}","\\u00000"]}}',
        f'{{"{PICTURE}":"{PICTURE}"}}',
        f'["{PICTURE}"]',
        f'"{PICTURE}"',
        f'{{"images":["{PICTURE}',
        f'{{"images":["{PICTURE}" "{PICTURE}"]}}',
        f'{{"images":["{PICTURE}"],"seeds":[{"1," * 40_000}1]}}',
        f'{{"images":["{PICTURE}"],"deep":{"[" * 100}{"]" * 100}}}',
        f'{{"images":["{PICTURE}"],"many":[{",".join(["[]", *[chr(34) * 2] * 500])}]}}',
        PICTURE,
        f"{{\"images\":['{PICTURE}']}}",
    ],
)
def test_hostile_answers_are_read_as_the_parser_reads_them(body: str) -> None:
    """Keys twice, once in another spelling, marks of our own, garbage behind the end, and more than there should be."""
    assert cut(body.encode()) == parsed(body.encode())


def test_only_pictures_stay_where_they_are() -> None:
    """What is a text elsewhere in the answer is one; of several pictures none keeps the others alive."""
    body = orjson.dumps({"images": [PICTURE], "error": PICTURE, "maskImage": PICTURE})
    found = read_json(body)
    assert isinstance(found["images"][0], memoryview)
    assert isinstance(found["error"], str)
    assert isinstance(found["maskImage"], str)
    assert found["images"][0].obj is not body
    one = read_json(alone := orjson.dumps({"artifacts": [{"base64": PICTURE}]}))["artifacts"][0]["base64"]
    assert one.obj is alone


def test_an_ordinary_answer_is_not_parsed_letter_by_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser gets what is left when the pictures are out."""
    seen: list[int] = []
    real = orjson.loads

    def loads(body: bytes) -> Any:
        seen.append(len(body))
        return real(body)

    monkeypatch.setattr("lascaux.providers.bedrock.answer_json.orjson.loads", loads)
    read_json(orjson.dumps({"seeds": [7], "finish_reasons": [None], "images": [PICTURE * 9]}))
    assert max(seen) < 100


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_base64_in_pieces_is_base64_as_a_whole(data: st.DataObject) -> None:
    """The check in pieces and a strict decoder agree, wherever the padding or a wrong letter stands."""
    length = data.draw(st.sampled_from([0, 4, 64, 131_068, 131_072, 131_076, 262_144]), label="length")
    letters = bytearray((LETTERS * (length // 64 + 1))[:length].encode())
    for _ in range(data.draw(st.integers(0, 2), label="changes") if length else 0):
        near = data.draw(st.sampled_from([0, 131_070, 131_071, 131_072, length - 1, length - 2]), label="near")
        letters[min(near, length - 1)] = data.draw(st.sampled_from(b"=-_\n \xc3A"), label="letter")
    cut_off = data.draw(st.integers(0, 3), label="cut off")
    whole = bytes(letters[: len(letters) - cut_off])
    try:
        base64.b64decode(whole, validate=True)
        good = len(whole) % 4 == 0
    except ValueError:
        good = False
    assert is_base64(memoryview(whole)) is good


def test_a_picture_kept_as_a_view_is_a_picture_like_any_other() -> None:
    """It decodes, prints, is copied and pickled; its text is made once, and its buffer then let go."""
    pixels = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    buffer = b'{"images":["' + base64.b64encode(pixels) + b'"]}'
    image = Image(memoryview(buffer)[12:-3], seed=5)
    assert image.bytes == pixels
    assert (image.format, image.width, image.height) == ("png", 1, 1)
    for twin in (copy.copy(image), copy.deepcopy(image), pickle.loads(pickle.dumps(image))):
        assert (twin.bytes, twin.seed, twin.finish_reason, repr(twin)) == (pixels, 5, "success", repr(image))
    assert image.b64 is image.b64
    assert isinstance(image.letters, str)
    assert image.bytes == pixels


HEADS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.1 429 Too Many Requests\r\n",
                b"HTTP/1.1 200\r\n",
                b"HTTP/1.0 200 OK\r\n",
                b"HTTP/1.1 204 No Content\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 99 \r\n",
                b"Content-Length: 4\r\n",
                b"content-length:4\r\n",
                b"Content-Length: +4\r\n",
                b"Content-Length: 4, 4\r\n",
                b"Content-Length: 3\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: close\r\n",
                b"Connection: Keep-Alive\r\n",
                b"x-amzn-RequestId:  a  b\t\r\n",
                b"x: one\r\n two\r\n",
                b"x: \xe9\r\n",
                b"x : space\r\n",
                b": nameless\r\n",
                b"no colon\r\n",
                b"x: bare\n",
                b"x: lone\rreturn\r\n",
                b"\r\n",
                b"body",
                b"bodybody",
            ]
        ),
        st.binary(max_size=6),
    ),
    max_size=9,
)


def exchanged(sent: bytes) -> tuple[Any, int]:
    """What an exchange makes of these bytes, after which the peer hangs up, and how many connections were kept."""
    ours, theirs = socket.socketpair()
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    pool = Connections("peer", lambda timeout: Line(ours, theirs), size=1, clock=lambda: 0.0)
    try:
        reply = pool.exchange(Sealed(b"POST"), b"", deadline=30.0, connect_timeout=5.0)
        return (reply.status, reply.headers, reply.body, reply.complete), pool.idle
    except LascauxError as error:
        return (type(error), error.message), pool.idle
    finally:
        pool.close()
        ours.close()
        theirs.close()


@settings(max_examples=300, deadline=None)
@given(pieces=HEADS, common=st.booleans())
def test_a_head_means_what_http_client_says(pieces: list[bytes], common: bool) -> None:
    """Whatever is sent: the same answer or the same error, and the same verdict on the connection."""
    sent = (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" if common else b"") + b"".join(pieces)
    quick = exchanged(sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lascaux.providers.bedrock.replies.plain_head", lambda data: None)
        assert exchanged(sent) == quick


def test_the_ordinary_head_is_known() -> None:
    """What Bedrock sends does not go the long way."""
    head = (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n"
        b"Content-Length: 12\r\nConnection: keep-alive\r\nx-amzn-RequestId: 5f3a\r\n\r\n"
    )
    found = plain_head(head + b"the body")
    assert found is not None
    assert (found.status, found.length, found.size) == (200, 12, len(head))
    assert found.headers["x-amzn-requestid"] == "5f3a"


def test_an_endless_head_is_looked_at_once() -> None:
    """The pattern gives up at once on what can not be a head: no repeated search through 64 KB."""
    done = threading.Event()

    def look() -> None:
        for data in (b"HTTP/1.1 200 OK\r\n" + b"a" * 65_000, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000):
            assert plain_head(data) is None
        done.set()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    assert done.wait(20.0)
