"""Where the pictures of ``url`` answers are put: into the bucket of the configuration, or into this process's memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from ..providers.errors import LascauxError, ProviderError
from ..providers.types import Image, Warning
from ..router.config import Config
from .links import Links, media_type

__all__ = ["Linked", "Shelf", "Store", "open_store"]

log = logging.getLogger("lascaux.gateway")

_THREADS = 16
"""Pictures that are put at the same time."""
_PATIENCE = 20.0
"""Seconds that a picture which has been paid for waits for its link."""


class _Stored(Protocol):
    @property
    def url(self) -> str: ...

    @property
    def note(self) -> str | None: ...


class Store(Protocol):
    """A place outside of this process."""

    def put(self, data: bytes, *, media_type: str, suffix: str, seconds: float) -> _Stored:
        """Keep a picture, and give a link that holds for ``seconds``. Blocks. Raises ProviderError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The link of each picture, None where there is none and base64 has to do, and what is to be said about that."""

    links: tuple[str | None, ...]
    warnings: tuple[Warning, ...] = ()


class Shelf:
    """Makes links to pictures. A picture that can not be put is not lost: it has no link. For one event loop.

    With `follow` it goes by the configuration of the moment: a bucket that is named there, or ``memory``. Links that were
    made before go on working, each where its picture is. ``patience`` is in seconds.
    """

    def __init__(
        self,
        memory: Links,
        *,
        opened: Callable[[Config], Store | None] | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self.memory = memory
        self._open = opened or open_store
        self._patience = patience
        self._source: Callable[[], Config] | None = None
        self._config: Config | None = None
        self._store: Store | None = None
        self._noted = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lascaux-link")

    def follow(self, source: Callable[[], Config]) -> None:
        """Take bucket and time from the configuration that ``source`` gives, whenever it gives another one."""
        self._source = source
        self._look()

    async def links(self, images: Sequence[Image], *, base: str, request_id: str = "") -> Linked:
        """A link for each picture, all made side by side. ``base`` is what links to this gateway begin with."""
        store = self._look()
        if store is None:
            paths = [self.memory.keep(image.bytes, image.format) for image in images]
            links = tuple(None if path is None else f"{base}/v1/images/files/{path}" for path in paths)
            said = "a picture was too large to be kept for a link, so it came as base64"
        else:
            links = tuple(await asyncio.gather(*(self._put(store, image, request_id) for image in images)))
            said = "a picture could not be put where links lead, so it came as base64"
        if None not in links:
            return Linked(links=links)
        return Linked(links=links, warnings=(Warning(code="adapted", parameter="response_format", message=said),))

    def close(self) -> None:
        """Begin nothing new. What is being put ends in its thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> Store | None:
        """The store of the configuration in use."""
        config = self._source() if self._source else None
        if config is not None and config is not self._config:
            before, self._config = self._config, config
            if before is None or _place(before) != _place(config):
                self._store, self._noted = self._open(config), False
        return self._store

    async def _put(self, store: Store, image: Image, request_id: str) -> str | None:
        seconds = self._config.server.link_seconds if self._config else 0.0
        future = self._pool.submit(_put, store, image, seconds)
        try:
            async with asyncio.timeout(self._patience):
                stored = await asyncio.wrap_future(future)
        except TimeoutError:
            log.warning("request %s: no link after %g s, so a picture went out as base64", request_id, self._patience)
            return None
        except LascauxError as error:
            log.warning("request %s: no link, so a picture went out as base64: %s", request_id, error)
            return None
        if stored.note and not self._noted:
            self._noted = True
            log.warning("server.links: %s", stored.note)
        return stored.url


def _put(store: Store, image: Image, seconds: float) -> _Stored:
    """In a thread: base64 becomes bytes there, too."""
    try:
        return store.put(image.bytes, media_type=media_type(image.format), suffix=image.format, seconds=seconds)
    except LascauxError:
        raise
    except Exception as error:  # a picture was paid for, and must not be lost with its link
        kind = type(error).__name__
    raise ProviderError(f"putting a picture failed ({kind})")


def _place(config: Config) -> object:
    """What a store is made from."""
    bucket = config.server.links.s3
    return bucket, None if bucket is None else config.credentials_for(bucket.credentials)


def open_store(config: Config) -> Store | None:
    """The bucket of a configuration, which nobody has connected to yet; None if it names none."""
    place = config.server.links.s3
    if place is None:
        return None
    from ..providers.bedrock.storage import Bucket, Storage  # loads botocore

    return Storage(
        Bucket(
            name=place.bucket,
            region=place.region,
            prefix=place.prefix,
            credentials=config.credentials_for(place.credentials),
            endpoint_url=place.endpoint_url,
            verify=place.verify,
            sse=place.sse,
            kms_key_id=place.kms_key_id,
            tags=tuple(place.tags.items()),
        )
    )
