"""From one configuration to the next while requests are under way."""

from __future__ import annotations

import copy
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, Self

from ..providers.base import Retaining
from ..providers.types import Credentials, Target, Warning
from .build import rebuild
from .cache import MemoryCache
from .config import AliasConfig, Config, Origin
from .errors import ConfigError
from .runtime import Runtime

__all__ = ["Changes", "Generations", "Reload", "Source"]

Source = str | os.PathLike[str] | Config | Mapping[str, Any] | None
"""What can be loaded: a path, a `Config`, its sections as plain data; None for the file in use."""

_AT_START = ("server", "telemetry")
"""Sections that the program reads once, around the router."""
_AT_ONCE = frozenset(("server.keys", "server.sigv4", "server.links", "server.link_ttl"))
"""What the gateway takes from them as it comes; of links only those into its memory hold for as long as at its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What became of the names in one section, each group in the order of its file."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @classmethod
    def between(cls, old: Mapping[str, Any], new: Mapping[str, Any]) -> Self:
        """Compare two sections, entry by entry."""
        both = [name for name in new if name in old]
        return cls(
            added=tuple(name for name in new if name not in old),
            removed=tuple(name for name in old if name not in new),
            changed=tuple(name for name in both if old[name] != new[name]),
            kept=tuple(name for name in both if old[name] == new[name]),
        )

    def __str__(self) -> str:
        groups = [f"{len(self.kept)} kept"] if self.kept else []
        for word in ("changed", "added", "removed"):
            names: tuple[str, ...] = getattr(self, word)
            if names:
                groups.append(f"{len(names)} {word} ({', '.join(names[:_SHOWN])}{', ...' if names[_SHOWN:] else ''})")
        return ", ".join(groups) or "none"


_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What a reload did. With ``error`` it did nothing: the configuration before it goes on.

    A deployment or alias counts as kept if nothing that is written about it changed; live state is also kept for many that
    changed, see docs/reload.md. ``source`` is the file. ``warnings`` tell what is odd about the new configuration.
    """

    source: str | None = None
    deployments: Changes = Changes()
    aliases: Changes = Changes()
    warnings: tuple[Warning, ...] = ()
    error: ConfigError | None = None

    @property
    def applied(self) -> bool:
        """True if the new configuration holds."""
        return self.error is None

    def __str__(self) -> str:
        source = self.source or "a configuration"
        if self.error is not None:
            return f"{source} was not loaded, nothing has changed:\n{self.error}"
        lines = [f"loaded {source}", f"deployments: {self.deployments}", f"aliases: {self.aliases}"]
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


class Generations:
    """The runtime on which requests begin, and the earlier ones on which some still end. Thread-safe.

    What the provider holds for targets that no runtime has any more is given back when the last request has left it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.current = runtime
        self.last: Reload | None = None
        """What the latest reload did."""
        self._past: list[Runtime] = []
        self._running: Counter[int] = Counter()
        self._closed = False
        self._lock = threading.Lock()
        self._reloading = threading.Lock()

    def enter(self) -> Runtime:
        """The runtime for a new request, which must `leave` it when it has ended."""
        with self._lock:
            runtime = self.current
            self._running[id(runtime)] += 1
            return runtime

    def leave(self, runtime: Runtime) -> None:
        """A request has ended."""
        with self._lock:
            self._running[id(runtime)] -= 1
            over = runtime is not self.current and self._running[id(runtime)] <= 0
        if over:
            self._give_back()

    def reload(self, source: Source) -> Reload:
        """Read and check everything, then swap in one step. Raises ConfigError, and then nothing has changed."""
        with self._reloading:
            telemetry = self.current.telemetry
            try:
                report = self._reload(source)
            except Exception as error:
                if isinstance(error, ConfigError):
                    self.last = Reload(source=_name(source, self.current.config), error=copy.copy(error))
                telemetry.reload("failed")
                raise
            self.last = report
            telemetry.reload("ok")
            return report

    def close(self) -> None:
        """No configuration is taken any more."""
        with self._lock:
            self._closed = True

    def after_fork(self) -> None:
        """In a child process: requests and reloads under way are those of the parent."""
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        self._running.clear()
        self._past.clear()
        self.current.after_fork()

    def _reload(self, source: Source) -> Reload:
        old = self.current
        new = rebuild(read(source, old.config), old)
        with self._lock:
            if self._closed:
                raise ConfigError("the router is closed and takes no configuration any more")
            with new.context.lock:  # nobody picks, begins or settles a call meanwhile
                for renewed in new.heritage.apply():
                    new.context.line.freed(renewed)  # its limits may be higher now
                self.current = new
            self._past.append(old)
        _resize_cache(new)
        self._give_back()
        return _report(old, new)

    def _give_back(self) -> None:
        with self._lock:
            for runtime in self._past:
                if self._running[id(runtime)] <= 0:
                    del self._running[id(runtime)]
            self._past = [runtime for runtime in self._past if id(runtime) in self._running]
            held = [self.current, *self._past]
        provider = held[0].provider
        if isinstance(provider, Retaining):
            provider.retain(_targets(held))


def read(source: Source, current: Config) -> Config:
    """The configuration to be taken. A path is read as the file in use was: with the same ``.env`` and secrets."""
    if isinstance(source, Config):
        return source
    if isinstance(source, Mapping):
        return Config.from_mapping(source)
    origin = current.origin
    if not isinstance(source, (str, os.PathLike, NoneType)):
        raise ConfigError(f"reload takes a path, a Config or its sections (got {type(source).__name__})")
    if source is not None:
        path = os.fspath(source)
        return Config.from_origin(replace(origin, path=os.path.abspath(path)) if origin else Origin.of(path))
    if origin is None:
        raise ConfigError("this router was not made from a file: reload needs a path, a Config or its sections")
    return Config.from_origin(origin)


def _name(source: Source, current: Config) -> str | None:
    if source is None:
        return current.source
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else getattr(source, "source", None)


def _targets(runtimes: Iterable[Runtime]) -> list[Target]:
    """Everything that may still be called. A model that passed through counts as long as a pattern says the same of it."""
    runtimes = list(runtimes)
    targets = [deployment.target for runtime in runtimes for deployment in runtime.made()]
    newest = runtimes[0]
    patterns = [
        (alias, newest.config.credentials_for(alias.credentials))
        for alias in newest.config.aliases.values()
        if alias.match
    ]
    for deployment in newest.heritage.deployments if patterns else ():
        target = deployment.target
        if any(_covers(alias, credentials, target) for alias, credentials in patterns):
            targets.append(target)
    return targets


def _covers(alias: AliasConfig, credentials: Credentials, target: Target) -> bool:
    return (
        alias.model_of(target.deployment) is not None
        and credentials == target.credentials
        and alias.region in (None, target.region)
        and alias.endpoint_url == target.endpoint_url
    )


def _resize_cache(runtime: Runtime) -> None:
    cache, settings = runtime.cache, runtime.config.cache
    if isinstance(cache, MemoryCache) and (cache.max_bytes, cache.ttl) != (settings.max_bytes, settings.ttl):
        cache.resize(max_bytes=settings.max_bytes, ttl=settings.ttl)


def _report(old: Runtime, new: Runtime) -> Reload:
    later = tuple(
        Warning(code="config", parameter=field, message="has changed; it is read when the program starts")
        for field in _read_at_start(old.config, new.config)
    )
    return Reload(
        source=new.config.source,
        deployments=Changes.between(_deployments(old.config), _deployments(new.config)),
        aliases=Changes.between(old.config.aliases, new.config.aliases),
        warnings=(*new.warnings, *later),
    )


def _read_at_start(old: Config, new: Config) -> Iterator[str]:
    """The fields that differ, and that a program which is running reads no more."""
    for section in _AT_START:
        before, after = getattr(old, section), getattr(new, section)
        for name in type(after).model_fields:
            field = f"{section}.{name}"
            if field not in _AT_ONCE and getattr(before, name) != getattr(after, name):
                yield field
    if new.server.links.s3 is None and old.server.link_seconds != new.server.link_seconds:
        yield "server.links.ttl"


def _deployments(config: Config) -> dict[str, Any]:
    """What is written about each deployment, its credentials included."""
    return {name: (entry, config.credentials_for(entry.credentials)) for name, entry in config.deployments.items()}
