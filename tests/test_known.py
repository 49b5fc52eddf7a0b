"""The same words again are the same request; what only looks the same is another."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux import InvalidRequest, Router
from lascaux.providers.fake import FakeProvider
from lascaux.providers.params import build_request
from lascaux.router.known import Known

VALUES = st.sampled_from(
    [0, 1, 1.0, True, False, None, "1", "1:1", "16:9", "512x512", "standard", "hd", "", " ", "an otter"]
)
NAMES = st.sampled_from(
    ["seed", "n", "size", "aspect_ratio", "quality", "negative_prompt", "style", "numberOfImages", "taskType", "user"]
)
ASKED = st.tuples(
    st.sampled_from(["an otter", "an otter ", "", " ", "\ud800"]),
    st.booleans(),
    st.dictionaries(NAMES, VALUES, max_size=3),
)


def read(prompt: str, strict: bool, params: dict[str, Any]) -> Any:
    """The request, or what is said against it."""
    try:
        return build_request(prompt, strict=strict, **params)
    except InvalidRequest as error:
        return str(error)


@given(st.lists(ASKED, max_size=12))
def test_memory_changes_nothing(asked: list[tuple[str, bool, dict[str, Any]]]) -> None:
    """Whatever was asked before, a request is read as if it were the first: 1, 1.0 and True are not the same."""
    known = Known()
    for prompt, strict, params in asked * 3:
        try:
            found: Any = known.request(
                "hero",
                prompt,
                strict,
                params,
                lambda: build_request(prompt, strict=strict, **params),  # noqa: B023
            )
        except InvalidRequest as error:
            found = str(error)
        expected = read(prompt, strict, params)
        assert found == expected
        assert repr(found) == repr(expected)


def test_what_has_parts_or_pictures_is_read_anew() -> None:
    """Their contents may have changed: a file, an object, a list."""
    known, count = Known(), itertools.count()

    def fresh() -> Any:
        next(count)
        return build_request("an otter")

    given: tuple[dict[str, Any], ...] = (
        {"image": "otter.png"},
        {"native": {}},
        {"extra_body": None},
        {"colors": ["#fff"]},
        {"seed": 1j},
    )
    for params in given:
        for _ in range(2):
            known.request("hero", "an otter", False, params, fresh)
    for _ in range(2):
        known.request("hero", "x" * 5000, False, {}, fresh)
        known.request("hero", "an otter", False, {"negative_prompt": "x" * 5000}, fresh)
    assert next(count) == 14


def test_many_requests_are_not_many_memories() -> None:
    """Only the latest are kept."""
    known = Known()
    for number in range(5000):
        known.request("hero", f"otter {number}", False, {}, lambda: build_request("an otter"))
    assert len(known._requests) == 0
    for number in range(5000):
        for _ in range(3):
            known.request("hero", f"sea otter {number}", False, {}, lambda: build_request("an otter"))
    assert 0 < len(known._requests) <= 512
    assert len(known._seen) <= 4096


def test_requests_that_differ_in_words_and_seed_are_read_once() -> None:
    """The rest of them is the same, and what is wrong with words or seed is said as ever."""
    known, count = Known(), itertools.count()

    def ask(prompt: str, **params: Any) -> Any:
        def fresh() -> Any:
            next(count)
            return build_request(prompt, **params)

        return known.request("hero", prompt, False, params, fresh)

    shape: dict[str, Any] = {"aspect_ratio": "16:9", "quality": "hd"}
    assert [ask(f"otter {seed}", seed=seed, **shape) for seed in range(3)] == [
        build_request(f"otter {seed}", seed=seed, **shape) for seed in range(3)
    ]
    assert ask("an otter", seed="7", **shape) == build_request("an otter", seed=7, **shape)
    assert next(count) == 1
    with pytest.raises(InvalidRequest, match="seed must be"):
        ask("an otter", seed=-1, **shape)
    with pytest.raises(InvalidRequest, match="prompt"):
        ask("", seed=1, **shape)


def test_what_comes_again_and_again_is_read_twice() -> None:
    """Once it is not worth remembering; from the third time on it is the very same request."""
    known = Known()
    found = [known.request("hero", "an otter", False, {"seed": 5}, lambda: build_request("an otter")) for _ in range(4)]
    assert found[0] is not found[1]
    assert found[1] is found[2] is found[3]


@pytest.mark.parametrize("again", [{"seed": 5.0}, {"seed": True}])
def test_a_number_of_another_kind_is_judged_by_itself(again: dict[str, Any]) -> None:
    """It is equal to one that was taken a moment ago, and hashes the same."""
    config = {"deployments": {"core": {"model": "stability.stable-image-core-v1:1", "region": "us-west-2"}}}
    outcomes = []
    for before in ((), (5, 5, 1, 1)):
        with Router(config, provider=FakeProvider()) as router:
            for seed in before:
                router.generate("core", "an otter", seed=seed)
            try:
                outcomes.append(repr(router.generate("core", "an otter", **again).seed))
            except InvalidRequest as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
