"""Configurations that must be refused: with one clear message for everything that is wrong, and without any secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lascaux import Router
from lascaux.router.config import Config, parse_document
from lascaux.router.config.schema import ConfigFile
from lascaux.router.errors import ConfigError

SECRET = "pl4nted-s3cret"
ENV = {
    "SET": "value",
    "MODEL": "stability.stable-image-core-v1:1",
    "SECRET": SECRET,
    "INJECTION": f"{{core: {{model: {SECRET}}}}}",
}
CORPUS = yaml.safe_load((Path(__file__).parent / "data" / "bad_configs" / "corpus.yaml").read_text("utf-8"))
CORE = 'deployments: {core: {model: "stability.stable-image-core-v1:1", region: us-west-2}}\n'
SECRETS = ("secret_access_key", "session_token", "external_id", "web_identity_token", "bearer_token")


def refused(text: str, **env: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Config.parse(text, "lascaux.yaml", env=env)
    return caught.value


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["name"])
def test_bad_configurations_get_exactly_this_message(case: dict[str, str]) -> None:
    """File, line, column, key, what is allowed, the nearest spelling; and never the secret that was planted."""
    error = refused(case["config"], **ENV)
    assert str(error).splitlines() == case["error"].splitlines()
    assert error.problems == tuple(case["error"].splitlines())
    assert SECRET not in "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def test_the_corpus_is_large_and_plants_secrets() -> None:
    """Sixty is the least; names are unique."""
    assert len({case["name"] for case in CORPUS}) == len(CORPUS) > 100
    assert sum(SECRET in case["config"] for case in CORPUS) >= 15


def test_the_error_says_where_as_attributes() -> None:
    """For programs that mark the place themselves: the first finding of the file."""
    error = refused(
        "cache: {ttl: 1h}\n\ndeployments:\n  core: {model: x, regions: [us-west-2]}\nretry: {attempts: 0}\n"
    )
    assert (error.file, error.line, error.column, error.path) == ("lascaux.yaml", 4, 17, "deployments.core.model")
    assert len(error.problems) == 2
    assert (error.status, error.code) == (500, "config")


def test_plain_data_has_messages_without_places() -> None:
    """There is no file to point into."""
    with pytest.raises(ConfigError) as caught:
        Config.from_mapping({"cache": {"ttl": "soon"}, "aliases": {"a": "core"}}, env={})
    assert caught.value.problems == (
        "cache.ttl: must be a duration such as 300ms, 30s, 5m, 1h or 2d (got 'soon')",
        "aliases.a: must be the name of a deployment, but there are none (got 'core')",
    )
    assert (caught.value.file, caught.value.line) == (None, None)


def test_hundreds_of_problems_are_cut_short() -> None:
    """Nobody reads the second hundred."""
    entries = "\n".join(f"  d{index}: {{model: x}}" for index in range(250))
    problems = refused(f"deployments:\n{entries}\n").problems
    assert len(problems) == 101
    assert problems[-1] == "and 150 more problems"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xfea\x00", "is UTF-16, must be UTF-8"),
        (b"a: 1\nb: \xe4\n", ":2:4: is not valid UTF-8"),
        (b"a: 1\nbc: \x00", ":2:5: has a control character, U+0000"),
        (b"a: '\x1b[31m'", ":1:5: has a control character, U+001B"),
        (b"# " + b"x" * (1 << 20), "is larger than 1 MiB"),
        (b"%TAG ! tag:x,2026:\n---\na: 1", ":1:1: has a %TAG directive, which has no meaning here; remove it"),
    ],
    ids=["empty", "utf-16", "latin-1", "null", "escape", "large", "directive"],
)
def test_files_that_are_no_text_of_ours(tmp_path: Path, content: bytes, message: str) -> None:
    """The reader says what is wrong with the bytes."""
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Config.load(path, env={}, dotenv=False)
    assert str(caught.value) == f"{path}{'' if message.startswith(':') else ': '}{message}"


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """Missing files name their neighbour, folders are no files, and no path is a traceback."""
    (tmp_path / "multi-region.yaml").write_text(CORE)
    for name, message in (
        ("multi-regoin.yaml", f"no such file or directory; did you mean {str(tmp_path / 'multi-region.yaml')!r}?"),
        ("", "is a directory"),
        ("nowhere/c.yaml", "no such file or directory"),
        ("a\0b", "embedded null byte"),
    ):
        path = f"{tmp_path}/{name}"
        with pytest.raises(ConfigError) as caught:
            Config.load(path, env={}, dotenv=False)
        assert str(caught.value) == f"{path}: can not be read: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, "lascaux.yaml:1:51: is nested deeper than 50 levels"),
        ("{a: " * 60 + "}" * 60, "lascaux.yaml:1:201: is nested deeper than 50 levels"),
        ("\n".join(" " * level + "a:" for level in range(60)), "lascaux.yaml:51:51: is nested deeper than 50 levels"),
        ("a: [" + ",".join("1" * 100_001) + "]", "lascaux.yaml:1:199999: has more than 100000 values"),
    ],
    ids=["brackets", "braces", "indentation", "long"],
)
def test_text_that_would_break_the_parser(text: str, message: str) -> None:
    """libyaml crashes on deep nesting; it never gets so far."""
    assert str(refused(text)) == message


def test_a_bomb_of_anchors_does_not_go_off() -> None:
    """Three hundred bytes that stand for a billion values, ten levels deep."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert str(refused("\n".join(levels))) == (
        "lascaux.yaml:5:5: has more than 100000 values once its anchors are expanded"
    )


def test_a_bomb_of_text_does_not_go_off() -> None:
    """One long scalar, aliased: few values, but gigabytes to read."""
    text = f"long: &long {'${X:-1}' * 57_000}\nmany: [{', '.join(['*long'] * 400)}]\n"
    assert str(refused(text)) == "lascaux.yaml:2:7: has more than 4 MiB of text once its anchors are expanded"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("${LONG}" * 7, "is longer than 64 KiB once its variables are put in place"),
        ("${LONG}" * 140_000, "is longer than 64 KiB once its variables are put in place"),
        ("${LONG}", "must be a model id such as"),
        ("${SET:-1}" * 20_000, "is longer than 64 KiB once its variables are put in place"),
        ("${UNSET}" * 120_000, "needs the environment variable UNSET, which is not set; set it, or write ${UNSET:-de"),
    ],
    ids=["seven", "many", "one", "short", "unset"],
)
def test_variables_do_not_swell_a_value(model: str, message: str) -> None:
    """Whatever they hold, one value stays below 64 KiB."""
    error = refused(f"deployments: {{core: {{model: '{model}'}}}}\n", **ENV, LONG="x" * 10_000)
    (problem,) = error.problems
    assert problem.startswith(f"lascaux.yaml:1:29: deployments.core.model: {message}")
    assert len(problem) < 300


def test_variables_do_not_swell_a_file() -> None:
    """Many values that each hold a long variable."""
    keys = ", ".join(f'{{name: k{index}, key: "${{LONG}}"}}' for index in range(100))
    error = refused(f"{CORE}server: {{keys: [{keys}]}}", LONG="y" * 60_000)
    assert len(error.problems) == 31
    assert error.problems[0].endswith(
        "server.keys[69].key: makes more than 4 MiB of text, with all others that variables are put into"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "LASCAUX_DEPLOYMENTS" + "__a" * 3000,
            "x",
            "...: has more than 20 parts between its '__'; no setting is so deep",
        ),
        (
            "LASCAUX_DEPLOYMENTS" + "__a" * 20,
            "x",
            "__a: has more than 20 parts between its '__'; no setting is so deep",
        ),
        ("LASCAUX_DEPLOYMENTS", '{"a":' * 980 + "1" + "}" * 980, ": is nested deeper than 50 levels"),
        ("LASCAUX_PRICING__OVERRIDES", "[" * 51 + "]" * 51, ": is nested deeper than 50 levels"),
    ],
    ids=["name", "twenty-one", "json", "list"],
)
def test_variables_that_nest_too_deep(name: str, value: str, message: str) -> None:
    """Refused before anything that walks through them; no setting is so deep."""
    (problem,) = refused(CORE, **{name: value}).problems
    assert problem.startswith(f"environment variable {name[:80]}")
    assert problem.endswith(message)
    assert len(problem) < 300


def test_a_price_table_is_checked_with_the_file(tmp_path: Path) -> None:
    """A secrets folder's value is not repeated, here as elsewhere."""
    config, secrets = tmp_path / "c.yaml", tmp_path / "secrets"
    config.write_text(CORE)
    secrets.mkdir()
    (secrets / "LASCAUX_PRICING__TABLE").write_text(SECRET)
    (secrets / "LASCAUX_PRICING__OVERRIDES").write_text(f'[{{"model": "x", "usd_per_image": "{SECRET}"}}]')
    for broken in ("LASCAUX_PRICING__TABLE", "LASCAUX_PRICING__OVERRIDES"):
        with pytest.raises(ConfigError, match=r"must be the name of a price table: |allowed: a figure such") as caught:
            Config.load(config, env={}, dotenv=False, secrets_dir=secrets)
        assert str(caught.value).startswith(f"{secrets} {broken}: pricing.")
        assert SECRET not in str(caught.value)
        (secrets / broken).unlink()


def test_what_only_a_router_finds_out_has_a_place(tmp_path: Path) -> None:
    """A model that nobody knows: file, line and column of its deployment."""
    path = tmp_path / "c.yaml"
    path.write_text('deployments:\n  a: {model: "stability.stable-image-corn-v1:1", region: us-west-2}\n')
    with pytest.raises(ConfigError) as caught:
        Router.from_yaml(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:2:3: deployments.a: model: 'stability.stable-image-corn-v1:1' is not")


def test_a_chain_of_anchors_does_not_nest_for_ever() -> None:
    """Flat to look at, deep when expanded."""
    chain = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 5000)]
    assert "is nested deeper than 50 levels once its anchors are expanded" in str(refused("\n".join(chain)))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LASCAUX_CACHE_TTL", "5m", ": is no setting; did you mean 'LASCAUX_CACHE__TTL'?"),
        ("LASCAUX_CASHE__TTL", "5m", ": is no setting; did you mean 'LASCAUX_CACHE__TTL'?"),
        ("LASCAUX_CONFIGS", "x", ": is no setting; did you mean 'LASCAUX_CONFIG'?"),
        (
            "LASCAUX_CACHE__TLL",
            "5m",
            ": cache.tll: unknown key; did you mean 'ttl'? (allowed: backend, max_bytes, ttl)",
        ),
        (
            "LASCAUX_CACHE__TTL",
            "5 parsecs",
            ": cache.ttl: must be a duration such as 300ms, 30s, 5m, 1h or 2d (got '5 parsecs')",
        ),
        ("LASCAUX_CACHE__TTL", "", ": cache.ttl: must be a duration such as 300ms, 30s, 5m, 1h or 2d (got '')"),
        ("LASCAUX_CACHE", SECRET, ": cache: must be a mapping (got text)"),
        ("LASCAUX_SERVER__KEYS", f"[{SECRET}", ": server.keys: must be a list (got text)"),
        ("LASCAUX_CREDENTIALS__PROD__BEARER_TOKEN", f"{SECRET}\n", ": credentials.prod.bearer_token: must not contain"),
        ("LASCAUX_CREDENTIALS__PROD__BEARER_TOKN", SECRET, ": credentials.prod.bearer_tokn: unknown key; did you mean"),
        ("LASCAUX_DEPLOYMENTS__CORE__CREDENTIALS", SECRET, ": deployments.core.credentials: must be the name of"),
        ("LASCAUX_DEPLOYMENTS__NEW__REGION", "us-west-2", ": deployments.new.model: is missing"),
        (
            "LASCAUX_ALIASES__A",
            "corr",
            ": aliases.a: must be the name of a deployment: core (got 'corr'); did you mean 'core'?",
        ),
    ],
)
def test_bad_variables_are_named(name: str, value: str, message: str) -> None:
    """A finding in the environment points to the variable, not into the file."""
    error = refused(CORE + "cache: {ttl: 1h}", **{name: value})
    assert str(error).startswith(f"environment variable {name}{message}")
    assert SECRET not in str(error)


def test_findings_of_file_and_environment_come_together() -> None:
    """Those of the file first, in its order."""
    error = refused(
        CORE + "cache: {ttl: soon}\nretry: {attempts: 0}", LASCAUX_HEALTH__FAILURES="0", LASCAUX_CACHE__TTL="1h"
    )
    assert error.problems == (
        "lascaux.yaml:3:19: retry.attempts: must be a whole number from 1 to 100 (got 0)",
        "environment variable LASCAUX_HEALTH__FAILURES: health.failures: must be a whole number from 1 to 100 (got '0')",
    )


def test_dotenv_and_secrets_are_named(tmp_path: Path) -> None:
    """Their files are at fault then; what a secret file holds is not repeated even if it is no secret."""
    config, dotenv, secrets = tmp_path / "c.yaml", tmp_path / ".env", tmp_path / "secrets"
    config.write_text(CORE)
    dotenv.write_text("LASCAUX_CASHE__TTL=5m\nLASCAUX_CACHE__TTL=soon")
    secrets.mkdir()
    (secrets / "lascaux_retry__attempts").write_text(SECRET)
    with pytest.raises(ConfigError) as caught:
        Config.load(config, env={}, dotenv=dotenv, secrets_dir=secrets)
    assert set(caught.value.problems) == {
        f"{dotenv} LASCAUX_CASHE__TTL: is no setting; did you mean 'LASCAUX_CACHE__TTL'?",
        f"{dotenv} LASCAUX_CACHE__TTL: cache.ttl: must be a duration such as 300ms, 30s, 5m, 1h or 2d",
        f"{secrets} lascaux_retry__attempts: retry.attempts: must be a whole number from 1 to 100",
    }


def test_places_for_variables_that_can_not_be_read(tmp_path: Path) -> None:
    """What was named must be there, and must be text."""
    config = tmp_path / "c.yaml"
    config.write_text(CORE)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "KEY").write_bytes(b"\xff\xfe")
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "KEY").write_bytes(b"x" * 70_000)
    (tmp_path / "latin").write_bytes(b"A=\xe4")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"dotenv": tmp_path / "no.env"}, f"{tmp_path}/no.env: can not be read: no such file"),
        ({"dotenv": tmp_path / "latin"}, f"{tmp_path}/latin: can not be read: must be lines of NAME=value in UTF-8"),
        ({"secrets_dir": tmp_path / "no"}, f"{tmp_path}/no: can not be read: no such file or directory"),
        ({"secrets_dir": config}, f"{config}: can not be read: not a directory"),
        ({"secrets_dir": tmp_path / "bin"}, f"{tmp_path}/bin: can not be read: must hold UTF-8 text files"),
        ({"secrets_dir": tmp_path / "big"}, f"{tmp_path}/big/KEY: is larger than 64 KiB"),
    ]
    for options, message in cases:
        with pytest.raises(ConfigError) as caught:
            Config.load(config, env={}, **{"dotenv": False, **options})
        assert str(caught.value) == message


@pytest.mark.parametrize("field", SECRETS)
@pytest.mark.parametrize("kind", ["text", "list", "mapping", "spaces", "reference"])
def test_no_secret_is_repeated_wherever_it_stands(field: str, kind: str) -> None:
    """In a wrong shape, in a wrong combination, through a variable: neither message nor representation holds it."""
    values = {
        "text": SECRET,
        "list": f"[{SECRET}]",
        "mapping": f"{{{SECRET}: {SECRET}}}",
        "spaces": f'"{SECRET} {SECRET}"',
        "reference": '"${SECRET}"',
    }
    text = f"credentials: {{prod: {{{field}: {values[kind]}, profile: images, duration: 1m, {field}s: {SECRET}}}}}\n"
    error = refused(text + CORE, **ENV)
    assert SECRET not in "".join(traceback.format_exception(error)) + repr(vars(error))


def test_no_secret_is_in_what_a_configuration_prints() -> None:
    """Neither in the configuration nor in what it hands to the provider."""
    kinds = [
        f"a: {{access_key_id: AKIA, secret_access_key: {SECRET}, session_token: {SECRET}}}",
        f'b: {{role_arn: "arn:aws:iam::111122223333:role/x", external_id: {SECRET}}}',
        f'c: {{role_arn: "arn:aws:iam::111122223333:role/x", web_identity_token: {SECRET}}}',
        f"d: {{bearer_token: {SECRET}}}",
    ]
    config = Config.parse(
        f"{CORE}credentials: {{{', '.join(kinds)}}}\nserver: {{keys: [{{name: a, key: '${{KEY}}'}}]}}",
        env={"KEY": SECRET},
    )
    printed = (
        f"{config} {config!r} {config.credentials} {config.server} {config.warnings} {config.server.model_dump_json()}"
    )
    printed += repr(parse_document(f"credentials: {{a: {{bearer_token: {SECRET}}}}}"))
    printed += "".join(repr(config.credentials_for(name)) for name in config.credentials)
    assert SECRET not in printed
    assert config.credentials_for("d").bearer_token is not None
    assert SECRET not in str(Config.json_schema())


def test_data_that_contains_itself_is_refused() -> None:
    """A program can build what no file can hold."""
    loop: dict[str, Any] = {}
    loop["limits"] = loop
    with pytest.raises(ConfigError, match="is nested deeper than 50 levels"):
        Config.from_mapping({"deployments": {"core": loop}}, env={})


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_random_text_is_refused_politely(text: str) -> None:
    """Whatever it is, it is a ConfigError, of which every line is one line."""
    with pytest.raises(ConfigError) as caught:
        Config.parse(text, "x.yaml", env={})
    assert all(line.isprintable() and line.startswith("x.yaml") for line in caught.value.problems)


def attempt(load: Callable[[], Config]) -> Config | None:
    """The configuration, or None if it was refused; then in printable lines."""
    try:
        return load()
    except ConfigError as error:
        problems = error.problems
    assert problems
    assert all(line.isprintable() for line in problems), problems
    return None


SYNTAX = ["\n", "  ", "\t", "? ", "|", ">", "'", '"', "#", "- ", ": ", "---\n", "\ufeff", *"{}[]:,~%@é"]
TOKENS = [
    "&a",
    "*a",
    "<<",
    "!!int",
    "core",
    "use",
    "${A}",
    "${",
    "$${",
    "1",
    "-1",
    ".nan",
    "true",
    "model",
    "regions",
    "weight",
    "match",
    "fallbacks",
]
PIECES = st.sampled_from([*SYNTAX, *TOKENS, *ConfigFile.model_fields])


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_random_yaml_is_refused_or_read(text: str) -> None:
    """Pieces of the language itself, in any order."""
    config = attempt(lambda: Config.parse(text, "x.yaml", env={"A": "core"}))
    assert config is None or config.source == "x.yaml"


NAMES = (
    "model region regions use weight deployments fallbacks match strategy retry limits rpm source session_tags core a *"
)
KEYS = st.sampled_from([*ConfigFile.model_fields, *NAMES.split(), "bearer_token", "role_arn", "", "\n"])
TEXTS = ["core", "a", "us-west-2", "stability.stable-image-core-v1:1", "5m", "${X}", "bedrock/*", "arn:aws:bedrock:x"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(TEXTS)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)
SECTIONS = st.dictionaries(
    st.sampled_from([*ConfigFile.model_fields]), st.dictionaries(KEYS, DATA, max_size=3) | DATA, max_size=5
)


@settings(max_examples=400, deadline=None)
@given(SECTIONS)
def test_random_data_is_refused_or_taken(data: dict[str, Any]) -> None:
    """The right keys with wrong things behind them; every finding is one printable line."""
    if config := attempt(lambda: Config.from_mapping(data, env={})):
        assert all(use.deployment in config.deployments for alias in config.aliases.values() for use in alias.uses)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("ABCEHT_abc_", max_size=12).map("LASCAUX_".__add__), st.text(max_size=10), max_size=4))
def test_random_variables_are_refused_politely(env: dict[str, str]) -> None:
    """No variable with our prefix is silently ignored."""
    config = attempt(lambda: Config.parse(CORE, env=env))
    assert (config is not None) == (not env)


def test_every_line_and_column_is_inside_the_file() -> None:
    """Places count from 1, and characters, not bytes."""
    document = parse_document("é: {ü: [ö, {k: v}]}\nb: 1\n", "x.yaml")
    assert document.locate(("é", "ü", 1, "k")) == (1, 16)
    assert document.locate(("é", "ü", 1, "k"), key=True) == (1, 13)
    assert document.locate(("b",)) == (2, 4)
    assert document.locate(()) == (1, 1)
