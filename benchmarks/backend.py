"""An instant Bedrock for benchmarks: every request is answered with the same canned Stability answer.

    python benchmarks/backend.py --size 1500000 [--latency 2]

It prints its URL and serves until standard input ends. A thread for each connection: `sendall` and `recv` let go of the
interpreter, so that two megabytes cost it a tenth of what any client needs to take them. It is no emulator: it checks
nothing, and so is never what a benchmark waits for.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def picture(size: int) -> bytes:
    """A PNG file of ``size`` bytes in the form that models answer with: nothing behind its end. Its pixels are noise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1024, 1024, 8, 2, 0, 0, 0))
    end = chunk(b"IEND", b"")
    return head + chunk(b"IDAT", random.Random(1).randbytes(size - len(head) - len(end) - 12)) + end


def answer(size: int) -> bytes:
    """The whole HTTP answer, for Stable Image Core and its relatives."""
    body = json.dumps(
        {"seeds": [7], "finish_reasons": [None], "images": [base64.b64encode(picture(size)).decode()]}
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def serve(listener: socket.socket, reply: bytes, latency: float) -> None:
    """Answer whoever connects, for ever."""
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(client, reply, latency), daemon=True).start()


def _talk(client: socket.socket, reply: bytes, latency: float) -> None:
    stream, pause = client.makefile("rb"), threading.Event()
    try:
        while line := stream.readline():
            length = 0
            while line not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = stream.readline()
            stream.read(length)
            if latency:
                pause.wait(latency)
            client.sendall(reply)
    except OSError:
        return


@contextmanager
def running(size: int, latency: float = 0.0) -> Iterator[str]:
    """A backend in a process of its own; its URL."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), "--size", str(size), "--latency", str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, required=True, help="bytes of a picture")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    threading.Thread(target=serve, args=(listener, answer(options.size), options.latency), daemon=True).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
