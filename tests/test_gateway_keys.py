"""Keys: what they look like, how they are kept, and that a wrong one learns nothing."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lascaux.gateway.keys import Key, KeyRing, NewKey, WeakKey, bearer_token
from lascaux.router.config import Config, KeyConfig
from lascaux.router.errors import ConfigError

CORE = """deployments:
  core: {model: "stability.stable-image-core-v1:1", region: us-west-2}
aliases: {hero: core, "*": {match: "bedrock/*"}}
"""
MASTER = "sk-pLanTeDmaster-0123456789"


def entry(name: str, **more: Any) -> KeyConfig:
    return KeyConfig.model_validate({"name": name, **more})


def test_a_new_key_is_found_by_its_hash_alone() -> None:
    """The hash holds nothing of the key, and each key has its own."""
    one, two = NewKey.make(), NewKey.make()
    ring = KeyRing([entry("one", hash=one.hash, rpm=3), entry("two", hash=two.hash)])
    found = ring.find(one.text)
    assert found == Key(name="one", rpm=3)
    assert ring.find(two.text) == Key(name="two")
    assert one.text.startswith(f"lsk-{one.id}-")
    assert one.text.rpartition("-")[2] not in one.hash
    assert one.text not in repr(one)


@given(st.text(max_size=80), st.integers(0, 68), st.characters())
def test_nothing_else_is_a_key(text: str, place: int, character: str) -> None:
    """Neither other text nor the key with one other character."""
    key = NewKey.make(lambda size: b"\x07" * size)
    ring = KeyRing([entry("one", hash=key.hash)])
    changed = key.text[:place] + character + key.text[place + 1 :]
    assert ring.find(text) is None
    assert (ring.find(changed) is None) == (changed != key.text)


def test_a_key_made_elsewhere_is_found_too() -> None:
    """LiteLLM's master key has no id."""
    ring = KeyRing([entry("master_key", key=MASTER, admin=True)])
    assert ring.find(MASTER) == Key(name="master_key", admin=True)
    assert ring.find(MASTER + "0") is None
    assert ring.find(MASTER * 1000) is None


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("sk-1234", "16 to 512"), ("x" * 600, "16 to 512")])
def test_a_key_that_can_be_guessed_is_refused(text: str, said: str) -> None:
    """Without being repeated."""
    with pytest.raises(WeakKey, match=said) as caught:
        KeyRing([entry("weak", key=text)])
    assert not text or text not in str(caught.value)


def test_a_wrong_key_costs_what_a_right_one_costs() -> None:
    """The same calls of the hash and of the comparison, whether id, secret or both are right."""
    key = NewKey.make()
    ring = KeyRing([entry("one", hash=key.hash), entry("master", key=MASTER)])
    wrong_secret = key.text[:-1] + ("a" if key.text[-1] != "a" else "b")
    wrong_id = "lsk-" + "a" * 12 + key.text[16:]

    def cost(text: str) -> Counter[str]:
        calls: Counter[str] = Counter()

        def note(frame: Any, event: str, function: Any) -> None:
            if event in ("c_call", "call"):
                calls[getattr(function, "__name__", frame.f_code.co_name)] += 1

        sys.setprofile(note)
        try:
            ring.find(text)
        finally:
            sys.setprofile(None)
        return calls

    assert cost(key.text) == cost(wrong_secret) == cost(wrong_id)
    assert cost(key.text)["compare_digest"] == 1
    assert cost(MASTER) == cost("sk-" + "x" * (len(MASTER) - 3))


def test_a_key_shows_nowhere() -> None:
    """Not in what the ring, its entries or their configuration print."""
    key = NewKey.make()
    secret = key.text.rpartition("-")[2]
    configs = [entry("one", hash=key.hash), entry("master", key=MASTER)]
    ring = KeyRing(configs)
    printed = repr(
        [ring, ring.keys, configs, list(ring._entries.values()), *[one.model_dump_json() for one in configs]]
    )
    assert MASTER not in printed
    assert secret not in printed
    assert key.hash not in repr(configs)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        (None, None),
    ],
)
def test_the_header_is_read(header: str | None, token: str | None) -> None:
    """Whatever the case of its scheme."""
    assert bearer_token(header) == token


def test_aliases_are_names_or_patterns() -> None:
    """None is all of them."""
    assert Key(name="a").may_use("anything")
    key = Key(name="a", aliases=("hero", "bedrock/*"))
    assert [key.may_use(name) for name in ("hero", "heroes", "bedrock/x", "draft")] == [True, False, True, False]


# In the configuration


def test_keys_are_read_from_a_file() -> None:
    """Hashes and references, limits and amounts as they were written."""
    key = NewKey.make()
    config = Config.parse(
        f"{CORE}server: {{keys: [{{name: team-a, hash: '{key.hash}', aliases: [hero, core, bedrock/x], usd_per_day: 0.1}}, "
        "{name: ops, key: '${OPS}', admin: true}]}",
        env={"OPS": MASTER},
    )
    ring = KeyRing(config.server.keys)
    found = ring.find(key.text)
    assert found is not None
    assert (found.aliases, str(found.usd_per_day)) == (("hero", "core", "bedrock/x"), "0.1")
    assert ring.find(MASTER) == Key(name="ops", admin=True)


HASH = f"blake2b:aaaaaaaaaaaa:{'0' * 32}:{'1' * 64}"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("[{name: a, key: pl4nted-s3cret}]", "server.keys[0].key: is written in the file"),
        ("[{name: a, key: '${NOT_SET:-pl4nted-s3cret}'}]", "server.keys[0].key: is written in the file"),
        ("[{name: a, key: 'pl4nted-s3cret${KEY}'}]", "server.keys[0].key: is written in the file"),
        ("[{name: a, hash: pl4nted-s3cret}]", "must be a hash as `lascaux keys new` prints it"),
        ("[{name: a, pl4nted-s3cret: x}]", "server.keys[0]['***']: unknown key"),
        ("[pl4nted-s3cret]", "server.keys[0]: must be a mapping"),
        ("[{name: a}]", "must have 'hash'"),
        (f"[{{name: a, hash: '{HASH}', key: '${{KEY}}'}}]", "stands beside 'hash'"),
        (f"[{{name: a, hash: '{HASH}'}}, {{name: a, key: '${{KEY}}'}}]", "is the name of another key"),
        (f"[{{name: a, hash: '{HASH}'}}, {{name: b, hash: '{HASH}'}}]", "is the hash of another key"),
        (f"[{{name: a, hash: '{HASH}', aliases: [herp]}}]", "did you mean 'hero'?"),
        (f"[{{name: a b, hash: '{HASH}'}}]", "must be 1 to 64 letters"),
        (f"[{{name: a, hash: '{HASH}', usd_per_day: -1}}]", "must be an amount in US dollars"),
        (f"[{{name: a, hash: '{HASH}', usd_per_day: 1e999}}]", "must be an amount in US dollars"),
    ],
)
def test_what_is_wrong_with_a_key_is_told_without_it(keys: str, said: str) -> None:
    """With its place; a key in the file is refused, and not repeated."""
    with pytest.raises(ConfigError) as caught:
        Config.parse(f"{CORE}server: {{keys: {keys}}}", "lascaux.yaml", env={"KEY": MASTER})
    (problem,) = caught.value.problems
    assert said in problem
    assert problem.startswith("lascaux.yaml:4:")
    assert "s3cret" not in problem


@pytest.mark.parametrize(("env", "works"), [({"LITELLM_MASTER_KEY": MASTER}, True), ({}, False)])
def test_litellms_master_key_is_an_admin_key(env: dict[str, str], works: bool) -> None:
    """A file is also read where nobody listens; without its variable the gateway does not start, and never without keys."""
    config = Config.parse(
        "model_list: [{model_name: hero, litellm_params: {model: bedrock/stability.stable-image-core-v1:1, "
        "aws_region_name: us-west-2}}]\ngeneral_settings: {master_key: os.environ/LITELLM_MASTER_KEY}",
        env=env,
    )
    assert config.warnings == ()
    if works:
        assert KeyRing(config.server.keys).find(MASTER) == Key(name="master_key", admin=True)
    else:
        with pytest.raises(WeakKey, match="'master_key' is empty"):
            KeyRing(config.server.keys)
