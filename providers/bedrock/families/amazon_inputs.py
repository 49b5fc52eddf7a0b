"""Input pictures of Amazon's tasks: where they come from, what is accepted, and what becomes of transparency."""

from __future__ import annotations

from dataclasses import replace

from ...masks import flatten
from ...pictures import open_picture
from ...types import Picture
from . import inputs
from .draft import Draft

__all__ = ["check", "check_size", "flat", "only", "place", "source"]


def source(draft: Draft, wire: str) -> Picture | None:
    """The picture to work on, not yet checked; None when it stands among the native fields.

    Raises InvalidRequest when there is none.
    """
    draft.take("image")
    picture = draft.request.image
    if picture is None and draft.native(wire) is None:
        allowed = inputs.accepted(draft.model.input)
        raise draft.wrong("image", f"{draft.request.task} needs a picture", allowed=allowed)
    return picture


def only(draft: Draft) -> Picture | None:
    """The first of the references; of further ones it is said that they are left out."""
    draft.take("references")
    references = draft.request.references
    if len(references) > 1:
        message = f"{draft.request.task} takes one, the first is sent"
        draft.ignore("references", message, allowed="one picture", nearest="1")
    return references[0] if references else None


def place(draft: Draft, parameter: str, picture: Picture | None, path: str, wire: str, *, opaque: bool) -> None:
    """Check a picture and write it, without transparency where the model takes none."""
    if picture is not None:
        check(draft, parameter, picture)
        draft.put(parameter, flat(draft, parameter, picture, opaque=opaque).b64, path, wire)


def check(draft: Draft, parameter: str, picture: Picture, *, side_max: int | None = None) -> None:
    """Raise InvalidRequest for a picture that the model does not accept. ``side_max`` replaces the longest side."""
    facts = draft.model.input
    if facts is not None and side_max is not None:
        facts = replace(facts, side_max=side_max)
    inputs.checked(draft, parameter, picture, facts)


def check_size(draft: Draft, parameter: str, size: tuple[int, int]) -> None:
    """Raise InvalidRequest when the model accepts no picture of this size, before one is made."""
    inputs.checked(draft, parameter, Picture(b64="", format="png", width=size[0], height=size[1]))


def flat(draft: Draft, parameter: str, picture: Picture, *, opaque: bool) -> Picture:
    """The picture as the model takes it: with ``opaque``, what is transparent becomes white, and that is said.

    A picture whose alpha channel hides nothing is sent as it is (WIRE.md, section 5).
    """
    if not opaque or not picture.alpha:
        return picture
    if picture.once("opaque", lambda: _is_opaque(picture, parameter)):
        return picture
    message = f"{draft.model.name} takes opaque pictures only; what is transparent becomes white"
    draft.adapt(parameter, message, allowed="an opaque picture")
    return flatten(picture, name=parameter)


def _is_opaque(picture: Picture, parameter: str) -> bool:
    lowest = open_picture(picture, name=parameter).convert("RGBA").getchannel("A").getextrema()[0]
    return bool(lowest == 255)
