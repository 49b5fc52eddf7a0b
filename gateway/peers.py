"""What the worker processes of one gateway ask one another, over unix sockets in a folder that only they can open."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import stat
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from inspect import isawaitable

__all__ = ["Lost", "Peers", "Reader", "Silent"]

log = logging.getLogger("lascaux.gateway")

Reader = Callable[[bytes], bytes | Awaitable[bytes] | None]
"""From a question to an answer: a function, or an ``async def``. None: there is nothing here.

Whatever is decided before the first ``await`` is decided in one piece: nobody asks in between."""

_QUESTION = struct.Struct("!HI")
"""Bytes of the reader's name, bytes of the question; then both."""
_ANSWER = struct.Struct("!Q")
"""Bytes of the answer. Before it stands one byte, sent at once: is there something, or will there be?"""
_NOTHING, _SOMETHING = b"\0", b"\1"
_LONGEST_QUESTION = 1 << 20
_LONGEST_PATH = 100
"""Bytes of a socket's path: Linux takes 107."""
_BLOCK = 1 << 20
_PATIENCE = 2.0
_LONG_PATIENCE = 15.0
"""Seconds for what must not be missed: who is silent may only be waiting for the processor."""
_PARTING = 5.0
"""Seconds for answers that are on their way when a worker ends."""
_BACKLOG = 1024


class Lost(Exception):
    """A peer is not there, hangs, or has ended before it could say what it has."""


class Silent(Lost):
    """It is there, or was a moment ago, and does not say whether it has something."""


class Peers:
    """The other workers of this gateway, by their index from 0.

    How a part of the gateway asks all workers: in `create_app`, where ``peers`` is at hand, it names a reader::

        peers.answer("metrics", lambda question: generate_latest(registry))

    and an endpoint asks, this worker included::

        by_worker = await peers.gather("metrics")       # {0: b"...", 1: b"..."}: the workers that answered in time

    ``folder`` is private to the workers (0700); each has the socket ``worker-<index>.sock`` in it (0600), and nothing of
    this is reached over TCP. A worker that is dead, starts anew or hangs has nothing to say. With one worker there are no
    sockets, and `gather` asks only itself. For one event loop.
    """

    def __init__(self, folder: str, index: int, count: int) -> None:
        """Raises ValueError for an index that there is not, and a folder that is not private or too deep; OSError."""
        if not 0 <= index < count:
            raise ValueError(f"there is no worker {index} among {count}")
        self.folder = folder
        self.index = index
        self.count = count
        self.others: tuple[int, ...] = tuple(one for one in range(count) if one != index)
        """Empty for the only worker there is."""
        if self.others and not _private(folder):
            raise ValueError(f"{folder!r} is not a folder that only this user can open (0700)")
        self._near = _near(folder, count) if self.others else folder
        self._readers: dict[str, Reader] = {}
        self._asked: set[asyncio.Task[None]] = set()
        self._serving = False

    @classmethod
    def none(cls) -> Peers:
        """Nobody else is there."""
        return cls("", 0, 1)

    def answer(self, name: str, reader: Reader) -> None:
        """Let ``reader`` answer the question ``name``, asked by a peer or by this worker itself."""
        self._readers[name] = reader

    async def gather(self, name: str, question: bytes = b"", *, patience: float = _PATIENCE) -> dict[int, bytes]:
        """What every worker answers, this one included, by index and in its order; in ``patience`` seconds altogether."""
        return await self._gathered(range(self.count), name, question, patience)

    async def elsewhere(self, name: str, question: bytes = b"", *, patience: float = _PATIENCE) -> dict[int, bytes]:
        """`gather`, of the others alone."""
        return await self._gathered(self.others, name, question, patience)

    async def holders(
        self, name: str, question: bytes = b"", *, patience: float = _LONG_PATIENCE
    ) -> AsyncGenerator[int, None]:
        """The others that have something, as they say so. Then raises `Silent` if somebody who lives has not said.

        Whose socket is not there, or refuses connections, is dead and has nothing. Leave no generator unfinished:
        ``contextlib.aclosing``.
        """

        async def one(index: int) -> tuple[int, bool]:
            return index, await self.ask(index, name, question, patience=patience) is not None

        silent: Silent | None = None
        asked = {asyncio.ensure_future(one(index)) for index in self.others}
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    index, has = await answer
                except Silent as error:
                    silent = error
                except Lost:
                    continue
                else:
                    if has:
                        yield index
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if silent is not None:
            raise silent

    async def ask(self, index: int, name: str, question: bytes = b"", *, patience: float = _PATIENCE) -> bytes | None:
        """What one peer answers, None if it has nothing. That it has something it says in ``patience`` seconds.

        Then it is waited for as long as that worker lives. Raises `Lost`: `Silent` if anybody took the connection.
        """
        writer: asyncio.StreamWriter | None = None
        label = name.encode()
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_unix_connection(self._path(index), limit=_BLOCK)
                writer.write(_QUESTION.pack(len(label), len(question)) + label + question)
                if await reader.readexactly(1) != _SOMETHING:
                    return None
            (size,) = _ANSWER.unpack(await reader.readexactly(_ANSWER.size))
            return await reader.readexactly(size)
        except (ConnectionRefusedError, FileNotFoundError):
            raise Lost(f"worker {index} is not there to answer {name!r}") from None
        except (OSError, EOFError):  # TimeoutError is an OSError
            raise Silent(f"worker {index} did not answer {name!r}") from None
        finally:
            if writer is not None:
                writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer peers for as long as this lasts. `create_app` does so for the life of the application.

        Once more inside changes nothing. A socket that a killed worker of this index has left behind is replaced.
        """
        if not self.others or self._serving:
            yield
            return
        path = self._path(self.index)
        listener = _listener(path)
        mine = os.stat(path).st_ino
        server = await asyncio.start_unix_server(self._connected, sock=listener, limit=_BLOCK, backlog=_BACKLOG)
        self._serving = True
        try:
            yield
        finally:
            self._serving = False
            _unlink(path, mine)
            server.close()
            if self._asked:
                _, late = await asyncio.wait(self._asked, timeout=_PARTING)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late)

    def secret(self, name: str) -> bytes:
        """32 random bytes that all workers of this gateway have in common, and nobody else. Raises OSError."""
        if not self.others:
            return secrets.token_bytes(32)
        path, fresh = os.path.join(self.folder, name), os.path.join(self.folder, f"{name}.{secrets.token_hex(8)}")
        try:
            file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(fresh, path)  # whole, and only if there is none
        finally:
            _unlink(fresh)
        with open(path, "rb") as stream:
            return stream.read()

    def _path(self, index: int) -> str:
        return os.path.join(self._near, f"worker-{index}.sock")

    async def _gathered(self, indices: Iterable[int], name: str, question: bytes, patience: float) -> dict[int, bytes]:
        async def one(index: int) -> tuple[int, bytes | None]:
            try:
                async with asyncio.timeout(patience):
                    if index != self.index:
                        return index, await self.ask(index, name, question, patience=patience)
                    found = self._read(name, question)
                    return index, await found if isawaitable(found) else found
            except (TimeoutError, Lost):
                return index, None
            except Exception:
                log.exception("the question %r of this worker could not be answered", name)
                return index, None

        answers = await asyncio.gather(*map(one, indices))
        return {index: answer for index, answer in answers if answer is not None}

    def _read(self, name: str, question: bytes) -> bytes | Awaitable[bytes] | None:
        reader = self._readers.get(name)
        return None if reader is None else reader(question)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._asked.add(task)
        try:
            length, size = _QUESTION.unpack(await reader.readexactly(_QUESTION.size))
            if size > _LONGEST_QUESTION:
                return
            name = (await reader.readexactly(length)).decode()
            question = await reader.readexactly(size)
            try:
                await self._tell(name, question, writer)
            except (OSError, EOFError):
                raise
            except Exception:
                log.exception("the question %r of another worker could not be answered", name)
        except (OSError, EOFError, asyncio.CancelledError):  # the asker has gone, or this worker or that call ends
            return
        finally:
            self._asked.discard(task)
            writer.close()

    async def _tell(self, name: str, question: bytes, writer: asyncio.StreamWriter) -> None:
        found = self._read(name, question)
        if found is None:
            writer.write(_NOTHING)
        else:
            writer.write(_SOMETHING)
            answer = await found if isawaitable(found) else found
            writer.write(_ANSWER.pack(len(answer)))
            writer.write(answer)  # apart: megabytes are not copied to be joined
        await writer.drain()


def _near(folder: str, count: int) -> str:
    """A path of the folder that leaves room for sockets in it: its own, else on Linux that of a descriptor, kept open."""
    longest = len(os.fsencode(os.path.join(folder, f"worker-{count}.sock.new")))
    if longest <= _LONGEST_PATH:
        return folder
    if not os.path.isdir("/proc/self/fd"):
        raise ValueError(f"the path of {folder!r} is too long for unix sockets")
    return f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)}"


def _private(folder: str) -> bool:
    """Whoever can open a socket can have everybody's pictures."""
    found = os.stat(folder)
    return stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077 and found.st_uid == os.geteuid()


def _listener(path: str) -> socket.socket:
    """A socket that nobody but this user may ever open: it gets its name when it has its mode and listens."""
    beside = f"{path}.new"
    _unlink(beside)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(beside)
        os.chmod(beside, 0o600)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        os.replace(beside, path)
    except OSError:
        listener.close()
        raise
    return listener


def _unlink(path: str, only: int | None = None) -> None:
    """Take a file away, if it is there and, with ``only``, still that one."""
    try:
        if only is None or os.stat(path).st_ino == only:
            os.unlink(path)
    except FileNotFoundError:
        return
