"""Reading one value of one parameter: its type, its range, and what to say when it is wrong."""

from __future__ import annotations

import math
import operator
import re
import reprlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from .errors import InvalidRequest
from .types import Task

__all__ = [
    "MAX_SIDE",
    "MIN_SIDE",
    "Reader",
    "aspect_ratio",
    "choice",
    "flag",
    "integer",
    "named",
    "number",
    "pattern",
    "refuse",
    "sendable",
    "shown",
    "size",
    "task",
    "text",
]

Reader = Callable[[str, Any], Any]
"""Takes a parameter's name and value; gives what the request holds (None: not given) or raises InvalidRequest."""

MIN_SIDE, MAX_SIDE = 16, 8192
"""Pixels. Wider than any model's own range on both ends, so that a family can still choose the nearest size."""

_SHOWN = 80
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,9}) ?[xX×] ?([0-9]{1,9})")
_RATIO = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
_NATIVE_TASKS = {
    "text_image": Task.TEXT_TO_IMAGE,
    "inpainting": Task.INPAINT,
    "outpainting": Task.OUTPAINT,
    "image_variation": Task.VARIATION,
    "color_guided_generation": Task.COLOR_GUIDED,
    "background_removal": Task.REMOVE_BACKGROUND,
    "image_generation": Task.TEXT_TO_IMAGE,
}
"""Amazon's ``taskType`` in lower case, where it differs from the name of the task (WIRE.md, sections 4 and 5).

The last one is LiteLLM's ``mode`` of an image model.
"""


def _short_repr() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel = short.maxlist = short.maxtuple = short.maxdict = short.maxset = 3
    return short


_REPR = _short_repr()


def shown(value: object) -> str:
    """The value as it may appear in a message: one line, at most 80 characters, never an exception."""
    if isinstance(value, str):
        value = str.__str__(value)  # an enum's member as the text it stands for
    try:
        words = _REPR.repr(value)
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        words = "a very long number"
    words = " ".join(words.split())
    return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 3]}..."


def named(path: str) -> str:
    """A name or a path of names as it may appear in a message: printable and at most 80 characters."""
    short = path if len(path) <= _SHOWN else f"{path[: _SHOWN - 3]}..."
    return "".join(character if character.isprintable() else "?" for character in short)


def refuse(name: str, value: object, allowed: str, nearest: str | None = None) -> InvalidRequest:
    """The error for a bad value: names the parameter, what is allowed, what was given, and the nearest choice."""
    hint = f" (nearest: {nearest})" if nearest is not None else ""
    return InvalidRequest(
        f"{name} must be {allowed}, not {shown(value)}{hint}", parameter=name, allowed=allowed, nearest=nearest
    )


def text(limit: int) -> Reader:
    """A string of 1 to ``limit`` characters that is more than white space and can be sent as UTF-8."""

    def read(name: str, value: Any) -> str:
        allowed = f"a text of 1 to {limit} characters"
        if not isinstance(value, str):
            raise refuse(name, value, allowed)
        if not value.strip():
            raise InvalidRequest(f"{name} is empty; give {allowed}", parameter=name, allowed=allowed)
        if len(value) > limit:
            message = f"{name} has {len(value)} characters; at most {limit} are allowed"
            raise InvalidRequest(message, parameter=name, allowed=allowed)
        return sendable(name, value)

    return read


def sendable(name: str, value: str) -> str:
    """``value`` as a plain str, if every character of it can travel in JSON to a model."""
    for position, character in enumerate(value) if not value.isascii() or "\0" in value else ():
        if character == "\0" or "\ud800" <= character <= "\udfff":
            message = f"{name} holds {shown(character)} at character {position + 1}, which can not be sent"
            allowed = "Unicode text without NUL and lone surrogates"
            raise InvalidRequest(message, parameter=name, allowed=allowed)
    return str.__str__(value)


def pattern(expression: str, allowed: str, limit: int = 2048) -> Reader:
    """A string that matches ``expression`` as a whole; an integer is read as its digits."""
    compiled = re.compile(expression)

    def read(name: str, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
            value = str(value)
        if not isinstance(value, str) or len(value) > limit or not compiled.fullmatch(value):
            raise refuse(name, value, allowed)
        return str.__str__(value)

    return read


def integer(low: int, high: int, every: tuple[int, int] | None = None) -> Reader:
    """A whole number from ``low`` to ``high``. Digits in a string and 30.0 are read as numbers, True is not.

    ``every`` is the range that every model takes, where some take more: from there is what a message calls the nearest.
    """
    allowed = f"a whole number from {low} to {high}" + _of_every(every)
    near = every or (low, high)

    def read(name: str, value: Any) -> int:
        whole = _whole(value)
        if whole is None:
            raise refuse(name, value, allowed)
        if not low <= whole <= high:
            raise refuse(name, value, allowed, str(min(max(whole, near[0]), near[1])))
        return whole

    return read


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)  # NumPy's integers too
    except TypeError:
        return None


def _of_every(every: tuple[float, float] | None) -> str:
    return "" if every is None else f" (every model takes {every[0]:.15g} to {every[1]:.15g})"


def number(low: float, high: float, every: tuple[float, float] | None = None) -> Reader:
    """A finite number from ``low`` to ``high``. A number in a string is read as one, True is not.

    ``every`` is as in `integer`.
    """
    allowed = f"a number from {low:g} to {high:g}" + _of_every(every)
    near = every or (low, high)

    def read(name: str, value: Any) -> float:
        try:
            if isinstance(value, (bool, bytes, bytearray)) or (isinstance(value, str) and len(value) > 32):
                raise TypeError
            found = float(value)
        except (TypeError, ValueError, OverflowError):
            raise refuse(name, value, allowed) from None
        if math.isnan(found):
            raise refuse(name, value, allowed)
        if not low <= found <= high:
            raise refuse(name, value, allowed, f"{min(max(found, near[0]), near[1]):g}")
        return found

    return read


def flag(name: str, value: Any) -> bool:
    """True or False; the words are read too, for they are what forms send."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "false": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise refuse(name, value, "true or false")


def choice(values: Mapping[str, Any], offered: tuple[str, ...] = ()) -> Reader:
    """One of the keys, in any case, read as what it maps to. ``offered`` are the keys that messages name (all)."""
    names = offered or tuple(values)
    allowed = " or ".join(names) if len(names) <= 2 else f"one of {', '.join(names)}"

    def read(name: str, value: Any) -> Any:
        if not isinstance(value, str):
            raise refuse(name, value, allowed)
        word = value.lower() if len(value) <= _SHOWN else ""
        if word not in values:
            close = get_close_matches(word, names, n=1)
            raise refuse(name, value, allowed, close[0] if close else None)
        return values[word]

    return read


def size(name: str, value: Any) -> tuple[int, int] | None:
    """(width, height) from ``1024x768`` or a pair; ``auto`` is None."""
    allowed = f"WIDTHxHEIGHT with sides from {MIN_SIDE} to {MAX_SIDE} pixels, or auto"
    if isinstance(value, str):
        written = value.strip()[:_SHOWN]
        if written.lower() == "auto":
            return None
        match = _SIZE.fullmatch(written)
        sides = [int(side) for side in match.groups()] if match else []
        guess = [int(side) for side in re.findall(r"[0-9]{1,9}", written)]
    elif isinstance(value, (tuple, list)):
        read = [_whole(side) for side in value[:3]]
        sides = guess = [side for side in read if side is not None] if None not in read else []
    else:
        sides, side = [], _whole(value)
        guess = [] if side is None else [side]
    if len(sides) == 2 and all(MIN_SIDE <= side <= MAX_SIDE for side in sides):
        return sides[0], sides[1]
    raise refuse(name, value, allowed, _nearest_size(guess))


def _nearest_size(guess: list[int]) -> str | None:
    if len(guess) not in (1, 2):
        return None
    width, height = (min(max(side, MIN_SIDE), MAX_SIDE) for side in (guess[0], guess[-1]))
    return f"{width}x{height}"


def aspect_ratio(name: str, value: Any) -> str | None:
    """``W:H`` without leading zeros; ``auto`` is None. Not reduced: 21:9 is a name of its own on the wire."""
    allowed = "WIDTH:HEIGHT such as 16:9, or auto"
    if not isinstance(value, str):
        raise refuse(name, value, allowed)
    written = value.strip()[:_SHOWN]
    if written.lower() == "auto":
        return None
    match = _RATIO.fullmatch(written)
    if match and int(match[1]) and int(match[2]):
        return f"{int(match[1])}:{int(match[2])}"
    guess = [int(side) for side in re.findall(r"[0-9]{1,5}", written)] if "." not in written else []
    nearest = f"{guess[0]}:{guess[1]}" if len(guess) == 2 and all(guess) else None
    raise refuse(name, value, allowed, nearest)


def task(name: str, value: Any) -> Task:
    """A `Task`, its name, Amazon's ``taskType`` or Stability's ``mode``; case, ``-`` and ``_`` do not matter."""
    names = tuple(Task)
    if isinstance(value, str) and len(value) <= _SHOWN:
        word = value.strip().lower().replace("-", "_").replace(" ", "_")
        if word in _NATIVE_TASKS:
            return _NATIVE_TASKS[word]
        if word in names:
            return Task(word)
        close = get_close_matches(word, [*names, *_NATIVE_TASKS], n=1)
        nearest = str(_NATIVE_TASKS.get(close[0], close[0])) if close else None
    else:
        nearest = None
    raise refuse(name, value, f"one of {', '.join(names)}", nearest)
