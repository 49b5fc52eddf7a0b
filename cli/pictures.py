"""Where pictures are written: names, and whether they can be written at all, asked before anybody is paid."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from ..providers.errors import InvalidRequest, LascauxError
from ..providers.types import Image
from ..router.records import Result

__all__ = ["Files", "slug"]

FOLDER = "out"
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


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
        """The format that the name asks for, if it is not PNG, which every model makes."""
        wanted = FORMATS.get(self.path.suffix.lower()) if self.given else None
        return wanted if wanted != "png" else None

    def save(self, result: Result) -> list[Path]:
        """Write every picture; one that is missing leaves its number out. Raises LascauxError."""
        gaps = {gap.index for gap in result.missing}
        count = len(result.images) + len(gaps)
        places = [place for place in range(count) if place not in gaps]
        names = self._names(result.images[0], count)
        return [_write(image, names[place]) for place, image in zip(places, result.images, strict=True)]

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
        if self.given is not None and self.given.exists() and not os.access(self.given, os.W_OK):
            raise _refuse(f"{written!r} can not be overwritten: permission denied")
        folder = next(parent for parent in self.path.absolute().parents if os.path.lexists(parent))
        if not folder.is_dir():
            raise _refuse(f"{self.path} can not be written: {folder} is not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _refuse(f"{self.path} can not be written: no permission in {folder}")


def _write(image: Image, path: Path) -> Path:
    try:
        return image.save(path)
    except OSError as error:
        raise LascauxError(f"output: {path} can not be written: {error.strerror or error}", code="output") from None


def _numbered(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def _refuse(message: str, nearest: str | None = None) -> InvalidRequest:
    return InvalidRequest(
        f"output: {message}", parameter="output", allowed="a file that can be written", nearest=nearest
    )
