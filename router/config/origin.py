"""Where a configuration came from, so that it can be read again, and watched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A file with everything that is laid over it. Paths hold even if the program changes its folder later.

    ``path`` is as it was written, for messages. ``env`` stands in for the process's environment, None for that itself.
    """

    path: str
    folder: str
    """The current folder when it was first read."""
    env: Mapping[str, str] | None = field(default=None, repr=False)
    dotenv: str | bool = True
    secrets_dir: str | None = None

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        *,
        env: Mapping[str, str] | None = None,
        dotenv: str | os.PathLike[str] | bool = True,
        secrets_dir: str | os.PathLike[str] | None = None,
    ) -> Origin:
        """What `Config.load` was given."""
        return cls(
            path=os.fspath(path),
            folder=_current(),
            env=env,
            dotenv=dotenv if isinstance(dotenv, bool) else os.fspath(dotenv),
            secrets_dir=None if secrets_dir is None else os.fspath(secrets_dir),
        )

    @property
    def file(self) -> str:
        """The file, as it can be opened from where the program is now."""
        return self._here(self.path)

    @property
    def variables(self) -> str | bool:
        """The ``.env`` file to be read now; False if there is none and none was asked for."""
        if not isinstance(self.dotenv, bool):
            return self._here(self.dotenv)
        found = self._here(".env")
        return found if self.dotenv and os.path.isfile(found) else False

    @property
    def secrets(self) -> str | None:
        """The folder of secrets that was named, here or in the environment."""
        named = self.secrets_dir or (os.environ if self.env is None else self.env).get("LASCAUX_SECRETS_DIR")
        return self._here(named) if named else None

    @property
    def watched(self) -> tuple[str, ...]:
        """Every file and folder whose change may change the configuration, whether it is there or not."""
        dotenv = ".env" if self.dotenv is True else self.dotenv
        names = (self.path, dotenv, self.secrets)
        return tuple(os.path.join(self.folder, name) for name in names if name)

    def _here(self, name: str) -> str:
        """``name`` itself as long as it means the same as in the beginning, so that messages show what was written."""
        return name if _current() == self.folder else os.path.join(self.folder, name)


def _current() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody has removed it
        return os.curdir
