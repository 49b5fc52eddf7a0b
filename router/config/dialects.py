"""Configurations in somebody else's words: LiteLLM's is translated before it is judged."""

from __future__ import annotations

from dataclasses import replace

from ...compat.config import is_litellm, translate
from ...providers.types import Warning
from .document import Document
from .problems import Path, Problem, dotted

__all__ = ["in_our_words"]


def in_our_words(document: Document) -> tuple[Document, tuple[Warning, ...]]:
    """The document in our shape, and what the translation has to say. Ours is returned as it is.

    Complaints about the new shape point to where the value was written.
    """
    if not is_litellm(document.data):
        return document, ()
    found = translate(document.data)
    problems = [
        Problem(message=note.message, path=note.path, place=document.locate(note.path), source=document.filename)
        for note in found.problems
    ]
    ours = replace(document.reshaped(found.data, found.origins), problems=(*document.problems, *problems))
    return ours, tuple(
        Warning(code="config", parameter=dotted(note.path), message=f"{note.message}{_where(document, note.path)}")
        for note in sorted(found.warnings, key=lambda note: document.locate(note.path, key=True) or (0, 0))
    )


def _where(document: Document, path: Path) -> str:
    place = document.locate(path, key=True)
    return f" ({document.filename}:{place[0]}:{place[1]})" if place else ""
