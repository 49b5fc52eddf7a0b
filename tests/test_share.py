"""What is declared for all, shared by processes side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux import Config, ConfigError
from lascaux.providers.fake import FakeProvider
from lascaux.router.build import build, rebuild
from lascaux.router.share import Share, unshared


def config(rpm: int | None = 5, concurrency: int | None = 3) -> Config:
    """One deployment with limits."""
    limits = {name: value for name, value in (("rpm", rpm), ("concurrency", concurrency)) if value is not None}
    return Config.parse(
        "deployments:\n  core:\n    model: stability.stable-image-core-v1:1\n    region: us-west-2\n"
        f"    limits: {limits}\naliases: {{hero: core}}\n",
        "mine.yaml",
        env={},
    )


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_shares_add_up(whole: int, count: int) -> None:
    """To exactly what was declared, as evenly as can be."""
    parts = [Share(index=index, count=count).of(whole) for index in range(count)]
    assert sum(parts) == whole
    assert max(parts) - min(parts) <= 1


def test_each_process_keeps_its_part_over_a_reload() -> None:
    """Of the limits, and of those that are declared later."""
    held = []
    for index in (0, 1):
        runtime = build(config(), provider=FakeProvider(), share=Share(index=index, count=2))
        runtime_later = rebuild(config(rpm=9, concurrency=None), runtime)
        runtime_later.heritage.apply()
        limits = runtime_later.deployments["core"].limits
        held.append((limits.rpm, limits.concurrency))
    assert [rpm for rpm, _ in held] == [4, 5]
    assert [concurrency for _, concurrency in held] == [None, None]
    first = build(config(), provider=FakeProvider(), share=Share(index=0, count=2)).deployments["core"].limits
    assert (first.rpm, first.concurrency) == (2, 1)
    alone = build(config(), provider=FakeProvider()).deployments["core"].limits
    assert (alone.rpm, alone.concurrency) == (5, 3)


def test_what_can_not_be_shared_is_refused() -> None:
    """With the place, the field and what would be possible; at a reload, too."""
    assert unshared(config(), 3) == []
    told = unshared(config(), 4)
    assert len(told) == 1
    assert told[0].startswith("mine.yaml:2:3: deployments.core.limits.concurrency: 3 can not be shared by 4 workers")
    assert "allow 4 or more here, or set server.workers (--workers) to 3 or less" in told[0]
    with pytest.raises(ConfigError, match=r"limits\.concurrency"):
        build(config(), provider=FakeProvider(), share=Share(index=0, count=4))
    runtime = build(config(), provider=FakeProvider(), share=Share(index=0, count=3))
    with pytest.raises(ConfigError, match=r"limits\.rpm: 2 can not be shared by 3 workers"):
        rebuild(config(rpm=2), runtime)


def test_there_is_no_share_for_a_process_that_does_not_exist() -> None:
    """Nobody gets what belongs to others."""
    for index, count in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="there is no process"):
            Share(index=index, count=count)
