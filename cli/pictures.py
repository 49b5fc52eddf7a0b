"""Where pictures are written: names, and whether they can be written at all, asked before anybody is paid."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..providers.errors import InvalidRequest, LascauxError
from ..providers.types import Image
from ..router.records import Result

__all__ = ["Files", "Saved", "Unwritten", "slug"]

FOLDER = "out"
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
_SUFFIXES = ".png, .jpg, .jpeg or .webp"


class Unwritten(LascauxError):
    """Pictures were made, and paid for, and are not where they should be. ``problems`` has a line for each."""

    default_code = "output"
    default_may_be_billed = True

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Where each picture of a result is; None for one that could be written nowhere."""

    files: tuple[Path | None, ...]
    error: Unwritten | None = None


def slug(prompt: str) -> str:
    """A file name from the first words of a prompt: ``a-cute-baby-sea-otter``; ``picture`` if it has no such letters."""
    ascii_only = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")
    if len(words) > 40:
        words = words[:41].rpartition("-")[0] or words[:40]
    return words or "picture"


class Files:
    """The files of one request: ``otter.png``, or ``otter-1.png``, ``otter-2.png``, ... for several pictures.

    A name that was given is overwritten. One that was made up from the prompt is not: it gets a number.
    """

    def __init__(self, output: str | None, prompt: str) -> None:
        self.given = Path(output) if output is not None else None
        self.path = self.given or Path(FOLDER, slug(prompt))
        self._check(output or "")

    @property
    def format(self) -> str | None:
        """The format that the name asks for, if it does."""
        return FORMATS.get(self.path.suffix.lower()) if self.given else None

    def agree(self, asked: Any) -> None:
        """Raises InvalidRequest if the format that was ``asked`` for is another than the name's."""
        word = FORMATS.get(f".{asked}".strip().lower(), self.format)
        if self.format is not None and word != self.format:
            near = str(self.path.with_suffix(SUFFIXES[str(word)]))
            raise _refuse(f"{str(self.path)!r} is the name of a {self.format}, but {word} is asked for", near)

    def save(self, result: Result) -> Saved:
        """Write every picture; one that is missing leaves its number out.

        What can not be written goes to the temp folder: it has been paid for.
        """
        gaps = {gap.index for gap in result.missing}
        count = len(result.images) + len(gaps)
        places = [place for place in range(count) if place not in gaps]
        names = self._names(result.images[0], count)
        files: list[Path | None] = []
        problems: list[str] = []
        for place, image in zip(places, result.images, strict=True):
            try:
                files.append(_write(image, _honest(names[place], image)))
            except OSError as error:
                files.append(_rescue(image))
                where = (
                    f"the picture is in {files[-1]}" if files[-1] else "nor can the temp folder, so the picture is lost"
                )
                problems.append(f"output: {names[place]} can not be written: {error.strerror or error}; {where}")
        return Saved(files=tuple(files), error=Unwritten(problems) if problems else None)

    def _names(self, first: Image, count: int) -> list[Path]:
        if self.given is not None:
            return _numbered(self.given, count)
        free = self.path
        suffix = SUFFIXES[first.format]
        for number in range(2, 10_000):
            names = _numbered(free.with_name(free.name + suffix), count)
            if not any(os.path.lexists(name) for name in names):
                break
            free = self.path.with_name(f"{self.path.name}-{number}")
        return names

    def _check(self, written: str) -> None:
        """Raises InvalidRequest for what can be known to fail before a picture has been made."""
        if self.given is not None and not written:
            raise _refuse("the name is empty; name a file, such as picture.png", "picture.png")
        if self.given is not None and (written.endswith(("/", os.sep)) or self.given.is_dir()):
            near = str(self.given / "picture.png")
            raise _refuse(f"{written!r} is a folder; name a file, such as {near}", near)
        suffix = self.path.suffix.lower()
        if self.given is not None and suffix and suffix not in FORMATS:
            near = str(self.given.with_suffix(next(iter(get_close_matches(suffix, FORMATS, 1)), ".png")))
            raise _refuse(f"{written!r} names no format that is made here; end it in {_SUFFIXES}, such as {near}", near)
        if self.given is not None and self.given.exists() and not os.access(self.given, os.W_OK):
            raise _refuse(f"{written!r} can not be overwritten: permission denied")
        folder = next(parent for parent in self.path.absolute().parents if os.path.lexists(parent))
        if not folder.is_dir():
            raise _refuse(f"{self.path} can not be written: {folder} is not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _refuse(f"{self.path} can not be written: no permission in {folder}")


def _honest(path: Path, image: Image) -> Path:
    """The path, with its suffix changed where it names another format than the picture has, to a name that is free.

    That happens to a picture that could not be converted, which a warning says.
    """
    if FORMATS.get(path.suffix.lower(), image.format) == image.format:
        return path
    fitting = path.with_suffix(SUFFIXES[image.format])
    free = (fitting.with_name(f"{fitting.stem}-{number}{fitting.suffix}") for number in range(2, 10_000))
    return fitting if not os.path.lexists(fitting) else next(name for name in free if not os.path.lexists(name))


def _write(image: Image, path: Path) -> Path:
    """Write the file. One that was begun here and can not be finished is removed again."""
    fresh = not os.path.lexists(path)
    try:
        return image.save(path)
    except OSError:
        if fresh:
            with suppress(OSError):
                path.unlink()
        raise


def _rescue(image: Image) -> Path | None:
    """Write the picture to a new file in the temp folder."""
    path: Path | None = None
    try:
        number, name = tempfile.mkstemp(prefix="lascaux-", suffix=SUFFIXES[image.format])
        path = Path(name)
        with open(number, "wb") as file:
            file.write(image.bytes)
    except OSError:
        if path is not None:
            path.unlink(missing_ok=True)
        return None
    return path


def _numbered(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def _refuse(message: str, nearest: str | None = None) -> InvalidRequest:
    return InvalidRequest(
        f"output: {message}",
        parameter="output",
        allowed=f"a file that can be written, whose name ends in {_SUFFIXES}, or has no suffix",
        nearest=nearest,
    )
