"""Frozen data that is put together quickly is like any other frozen data."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from inspect import signature
from typing import Any

import pytest
from lascaux.providers.quick import quick


def made() -> type[Any]:
    """One of each kind of field."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Plain:
        """What it is."""

        name: str
        size: int = 3
        parts: list[int] = field(default_factory=list)
        kept: dict[str, int] = field(default_factory=dict, init=False, compare=False)
        double: int = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "double", 2 * self.size)

    return Plain


def test_it_is_called_and_looks_as_before() -> None:
    """Signature, defaults, annotations, representation and equality are those that `dataclasses` has written."""
    before, after = made(), quick(made())
    assert signature(after) == signature(before)
    assert after.__init__.__annotations__ == before.__init__.__annotations__
    assert repr(after(name="a")) == repr(before(name="a"))
    assert after(name="a") == after(name="a", size=3, parts=[]) != after(name="b")
    assert [one.name for one in fields(after)] == [one.name for one in fields(before)]


def test_fields_that_are_made_are_made_anew_each_time() -> None:
    """Two share nothing, and what was given is taken as it is."""
    kind = quick(made())
    one, other, given = kind(name="a"), kind(name="a"), [1]
    assert (one.parts, one.kept, one.double) == ([], {}, 6)
    assert one.parts is not other.parts
    assert one.kept is not other.kept
    assert kind(name="a", parts=given).parts is given


def test_it_stays_frozen() -> None:
    """Nothing can be set or forgotten, and `replace` makes another one."""
    one = quick(made())(name="a")
    with pytest.raises(FrozenInstanceError):
        one.size = 4
    assert (replace(one, size=4).double, one.size) == (8, 3)
    with pytest.raises(TypeError, match="name"):
        quick(made())()
    with pytest.raises(TypeError, match="colour"):
        quick(made())(name="a", colour="red")


def test_records_of_the_router_can_be_pickled() -> None:
    """As other processes need it."""
    from lascaux.router.records import Route

    route = Route(alias="hero", strategy="sticky", candidates=2, deployment="core")
    assert pickle.loads(pickle.dumps(route)) == route
