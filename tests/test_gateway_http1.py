"""HTTP/1.1 as bytes: whatever is taken for a request is one for h11, too, with the same words and the same end."""

from __future__ import annotations

from contextlib import suppress

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lascaux.gateway.http1 import Head, Malformed, head_end, read_head, write_head

START = b"POST /v1/x?a=%20 HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
WORDS = (
    b"POST", b"GET", b"FOO", b" ", b"/a?b", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"\r\n", b"\r\n\r\n", b"\n", b"\r",
    b"Host: x", b"host:", b"Content-Length: 5", b"content-length: 3", b"content-length: 5, 5", b"content-length: +5",
    b"content-length: 5 ", b"content-length : 5", b"Transfer-Encoding: chunked", b"transfer-encoding: Chunked",
    b"transfer-encoding: gzip, chunked", b"transfer-encoding:\tchunked", b"transfer-encoding: chunked\x0b",
    b"transfer-encoding: identity", b"Connection: close", b"connection: keep-alive, CLOSE",
    b"expect: 100-continue", b"a: b", b" folded", b"\tfolded", b": b", b"a", b"a\0: b", b"a: \x01", b"a: \xff", b"a: \x7f",
    b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\n", b"5", b"5;x=y\r\n", b"0x5\r\n", b"-1\r\n", b"F\r\n", b"+5\r\n", b"5 \r\n",
    b"hello", b"hel", b"x: y\r\n", b"00000\r\n\r\n", b"5\n", b"ffffffffffffffffffff\r\n",
)  # fmt: skip
LINES = st.lists(st.sampled_from([word for word in WORDS if b"\n" not in word]), max_size=5)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Almost requests."""
    start = draw(st.sampled_from([START, START, START, b"GET / HTTP/1.0\r\n", b"GET / HTTP/1.1\r\n", b""]))
    lines = draw(LINES)
    rest = b"".join(draw(st.lists(st.sampled_from(WORDS), max_size=6)))
    return start + b"".join(line + b"\r\n" for line in lines) + draw(st.sampled_from([b"\r\n", b""])) + rest


def ours(data: bytes, step: int) -> list[tuple[Head, bytes]]:
    """What we read, so many bytes at a time: heads and what came of their bodies, up to what is no request."""
    found: list[tuple[Head, bytes]] = []
    left, seen, reading = b"", 0, False
    with suppress(Malformed):
        for at in range(0, len(data), step):
            left += data[at : at + step]
            while left:
                if not reading:
                    end = head_end(left, seen)
                    if end is None:
                        seen = len(left)
                        break
                    found.append((read_head(left[:end]), b""))
                    left, seen, reading = left[end:], 0, True
                head, body = found.pop()
                try:
                    pieces, left = head.body.take(left)
                    body += b"".join(pieces)
                finally:
                    found.append((head, body))
                reading = not head.body.over
                if reading:
                    break
                if not head.keep_alive:
                    return found
    return found


def theirs(data: bytes) -> list[tuple[h11.Request, bytes, bool]]:
    """What h11 reads of it: requests, what came of their bodies, and whether they are complete."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    found: list[tuple[h11.Request, bytes, bool]] = []
    with suppress(h11.RemoteProtocolError):
        while True:
            match connection.next_event():
                case h11.Request() as request:
                    found.append((request, b"", False))
                case h11.Data(data=data):
                    request, body, _ = found.pop()
                    found.append((request, body + bytes(data), False))
                case h11.EndOfMessage():
                    found.append((*found.pop()[:2], True))
                    connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                    connection.send(h11.EndOfMessage())
                    if connection.our_state is not h11.DONE:
                        break
                    connection.start_next_cycle()
                case _:
                    break
    return found


@settings(max_examples=2000, deadline=None)
@given(data=streams(), step=st.sampled_from([1, 2, 7, 1000]))
@example(data=START + CHUNKED + b"5\r\nhello\r\n0\r\nx: y\r\n\r\n" + START + b"\r\n", step=1)
@example(data=(START + b"content-length: 5\r\n\r\nhello") * 3, step=7)
def test_what_we_take_for_a_request_h11_takes_for_the_same(data: bytes, step: int) -> None:
    """However it is cut into pieces; we may refuse more, and nothing is read differently."""
    mine, other = ours(data, step), theirs(data)
    assert len(mine) <= len(other)
    for (head, body), (request, told, ended) in zip(mine, other, strict=False):
        assert (head.method.encode(), head.target) == (request.method, request.target)
        assert head.version.encode() == request.http_version
        coding = b"transfer-encoding"
        assert [(name, value.lower() if name == coding else value) for name, value in head.headers] == list(
            request.headers
        )
        assert body == told if head.body.over else told.startswith(body)
        assert ended or not head.body.over


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_requests_follow_each_other(step: int) -> None:
    """With a body of a known length, in chunks, and without."""
    sized = START + b"Content-Length: 5\r\n\r\nhello"
    chunked = START + CHUNKED + b"3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nx: y\r\n\r\n"
    found = ours((sized + chunked + START + b"\r\n") * 2, step)
    assert [body for _, body in found] == [b"hello", b"hello", b""] * 2
    assert all(head.body.over and head.keep_alive for head, _ in found)


@pytest.mark.parametrize(
    "lines",
    [
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: 5\r\ncontent-length: 5\r\n",
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: \x0bchunked\r\n",
        b"content-length: -1\r\n",
        b"content-length: 5 5\r\n",
        b"content-length:\r\n",
        b"content-length: 1234567890123456789\r\n",
        b"content-length : 5\r\n",
        b"a: b\r\n content-length: 5\r\n",
        b"a: b\ncontent-length: 5\r\n",
        b"a: b\rcontent-length: 5\r\n",
        b"host: y\r\n",
        b"a: " + b"b" * 70_000 + b"\r\n",
    ],
)
def test_what_others_may_read_differently_is_refused(lines: bytes) -> None:
    """Two lengths, folded lines, bare line ends, a second host, and more than there is room for."""
    data = START + lines + b"\r\n"
    with pytest.raises(Malformed):
        read_head(data[: head_end(data, 0)])


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01", b"\r\nGET / HTTP/1.1", b"GET / HTTP/1.1\nhost: x\n\n", b"a" * 70_000]
)
def test_what_can_not_become_a_head_is_refused_at_once(data: bytes) -> None:
    """Nobody waits for its end."""
    with pytest.raises(Malformed):
        read_head(data[: head_end(data, 0)])


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"5\nhello\r\n",
        b"5\r\nhello!",
        b"5\r\nhelloXX0\r\n\r\n",
        b"-5\r\n",
        b"0x5\r\n",
        b"5;\x00\r\n",
        b"f" * 16 + b"\r\n",
        b"5;" + b"x" * 20_000,
        b"0\r\nno header\r\n\r\n",
        b"0\r\na: b\n\n",
        b"0\r\na: " + b"b" * 20_000,
    ],
)
def test_chunks_that_are_none_are_refused(body: bytes) -> None:
    """And so is what is too long beside them."""
    head = read_head(START + CHUNKED)
    with pytest.raises(Malformed):
        head.body.take(body)


@pytest.mark.parametrize("chunk", [b"1;" + b" " * 16_000, b"0\r\n" + b"a:" * 8_000, b"1\r\na\r\n" * 100_000])
def test_no_body_takes_long_to_read(chunk: bytes) -> None:
    """Whatever is in it: a test that hangs has failed."""
    with suppress(Malformed):
        read_head(START + CHUNKED).body.take(chunk)


ASKED = read_head(START + b"\r\n")


def test_the_head_of_an_answer_says_how_its_body_is_sent() -> None:
    """By its length, in chunks, or by the end of the connection for clients that know no chunks."""
    sized = write_head(200, [(b"content-length", b"5")], ASKED, close=False)
    assert sized == (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 5, False, False)
    chunked = write_head(299, [], ASKED, close=True)
    assert chunked.data == b"HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    assert (chunked.length, chunked.chunked, chunked.close) == (None, True, True)
    old = write_head(200, [], read_head(b"GET / HTTP/1.0\r\n\r\n"), close=False)
    assert old == (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", None, False, True)
    assert write_head(204, [(b"Connection", b"Close")], ASKED, close=False).data.count(b"lose") == 1


@pytest.mark.parametrize("field", [(b"a", b"b\r\nc: d"), (b"a\r\nb", b"c"), (b"a", b"b\n"), (b"", b"b"), (b"a", b"\0")])
def test_nobody_adds_a_header_to_an_answer(field: tuple[bytes, bytes]) -> None:
    """Whatever is in the value of one."""
    with pytest.raises(ValueError, match="header"):
        write_head(200, [field], ASKED, close=False)
