from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from lascaux import Config, ConfigError, InvalidRequest, Router
from lascaux.compat.arguments import Arguments
from lascaux.compat.config import translate
from lascaux.compat.connect import connect
from lascaux.providers.catalog import Catalog
from lascaux.providers.fake import FakeProvider

MIXED = """\
model_list:
- model_name: hero
  litellm_params: {model: bedrock/amazon.nova-canvas-v1:0, aws_region_name: us-east-1}
- model_name: hero
  litellm_params: {model: azure/dall-e-3, api_key: os.environ/NOT_SET, api_base: https://x.example}
- model_name: draft
  litellm_params: {model: bedrock/stability.stable-image-core-v1:1, aws_region_name: us-west-2}
- model_name: gpt
  rpm: 3
  litellm_params: {model: gpt-4o, api_key: os.environ/NOT_SET, litellm_credential_name: in-a-database}
- model_name: claude
  litellm_params: {model: bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0, temperature: 0, aws_regoin: us-east-1}
- model_name: "xai/*"
  litellm_params: {model: "xai/*"}
router_settings:
  model_group_alias: {best: hero, clever: claude, cleverer: clever, quick: {model: xai/grok}}
  fallbacks:
  - hero: [gpt, draft, clever, xai/grok]
  - draft: [gpt]
  - gpt: [claude, hero]
  - cleverer: [hero]
litellm_settings:
  default_fallbacks: [claude, draft]
"""
CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a0a0a0a0a0a0"


def entry(name: str, model: str, info: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    row = {"model_name": name, "litellm_params": {"model": model, **params}}
    return row if info is None else {**row, "model_info": info}


def beside_ours(row: dict[str, Any]) -> Config:
    ours = entry("hero", "bedrock/amazon.nova-canvas-v1:0", aws_region_name="us-east-1")
    return Config.from_mapping({"model_list": [ours, row]}, env={})


def test_chat_models_may_stand_beside_image_models() -> None:
    """What we serve is served; variables of the rest need not be set, and its mistakes are not ours to tell."""
    config = Config.parse(MIXED, "litellm.yaml", env={})
    assert sorted(config.deployments) == ["draft-us-west-2", "hero-us-east-1"]
    assert sorted(config.aliases) == ["best", "draft", "hero"]
    assert config.aliases["hero"].fallbacks == config.aliases["best"].fallbacks == ("draft",)
    assert config.aliases["draft"].fallbacks == ()
    with Router(config, provider=FakeProvider()) as router:
        assert router.generate("best", "otter").model == "amazon.nova-canvas-v1:0"


def test_what_is_left_out_is_named_once_with_its_place() -> None:
    """Entries, second names, and ways from and to them."""
    config = Config.parse(MIXED, "litellm.yaml", env={})
    elsewhere, gone = "here are image models of Bedrock only", "is served here"
    assert [str(warning) for warning in config.warnings] == [
        f"model_list[1].litellm_params.model: is left out: 'hero' is served by 'azure'; {elsewhere} (litellm.yaml:5:20)",
        f"model_list[3].litellm_params.model: is left out: 'gpt' is served by 'openai'; {elsewhere} (litellm.yaml:10:20)",
        "model_list[4].litellm_params.model: is left out: 'anthropic.claude-sonnet-4-20250514-v1:0' is not an image model "
        "of Bedrock that Lascaux knows (litellm.yaml:12:20)",
        f"model_list[5].litellm_params.model: is left out: 'xai/*' is served by 'xai'; {elsewhere} (litellm.yaml:14:20)",
        f"router_settings.model_group_alias.clever: is left out: no entry of 'claude' {gone} (litellm.yaml:16:35)",
        f"router_settings.model_group_alias.cleverer: is left out: no entry of 'clever' {gone} (litellm.yaml:16:51)",
        f"router_settings.model_group_alias.quick.model: is left out: no entry of 'xai/grok' {gone} (litellm.yaml:16:77)",
        f"router_settings.fallbacks[0].hero[0]: is left out: no entry of 'gpt' {gone} (litellm.yaml:18:12)",
        f"router_settings.fallbacks[0].hero[2]: is left out: no entry of 'clever' {gone} (litellm.yaml:18:24)",
        f"router_settings.fallbacks[0].hero[3]: is left out: no entry of 'xai/grok' {gone} (litellm.yaml:18:32)",
        f"router_settings.fallbacks[1].draft[0]: is left out: no entry of 'gpt' {gone} (litellm.yaml:19:13)",
        f"router_settings.fallbacks[2].gpt: is left out: no entry of 'gpt' {gone} (litellm.yaml:20:5)",
        f"router_settings.fallbacks[3].cleverer: is left out: no entry of 'cleverer' {gone} (litellm.yaml:21:5)",
        f"litellm_settings.default_fallbacks[0]: is left out: no entry of 'claude' {gone} (litellm.yaml:23:23)",
    ]


def test_a_general_fallback_is_no_pattern() -> None:
    """``"*"`` among the fallbacks means every alias, although an entry of that name is left out."""
    rows = [entry("*", "openai/*"), *(entry(name, f"bedrock/{PROFILE}", base_model="nova") for name in "ab")]
    found = translate({"model_list": rows, "router_settings": {"fallbacks": [{"*": ["b", "gpt"]}]}})
    assert found.data["aliases"]["a"]["fallbacks"] == ["b"]
    assert [note.path for note in found.warnings][1:] == [("router_settings", "fallbacks", 0, "*", 1)]


def test_a_pattern_that_is_served_is_not_left_out() -> None:
    """A name that it lets through stays what it was: a mistake among fallbacks."""
    rows = [entry("openai/*", "openai/*"), entry("*", "bedrock/*"), entry("a", "bedrock/amazon.nova-canvas-v1:0")]
    document = {"model_list": rows, "router_settings": {"fallbacks": [{"a": ["openai/dall-e-3"]}]}}
    with pytest.raises(ConfigError, match="must be the name of an alias or a deployment"):
        Config.from_mapping(document, env={})


@pytest.mark.parametrize(
    "row",
    [
        entry("other", "openai/dall-e-3"),
        entry("other", "dall-e-3"),
        entry("other", "amazon.nova-canvas-v1:0", custom_llm_provider="litellm_proxy"),
        *(
            entry("other", f"bedrock/{model}")
            for model in (
                CLAUDE,
                "converse/eu.anthropic.claude-3-haiku-20240307-v1:0",
                "us-west-2/meta.llama3-1-70b-instruct-v1:0",
                "invoke/mistral.mistral-large-2402-v1:0",
                "arn:aws:bedrock:us-east-1::foundation-model/cohere.command-r-v1:0",
                "arn%3Aaws%3Abedrock%3Aus-east-1%3A111122223333%3Ainference-profile%2Fus.deepseek.r1-v1%3A0",
                f"converse/{PROFILE}",
                "agent/ABCDEFGHIJ/KLMNOPQRST",
                "ai21.jamba-1-5-large-v1:0",
                "openai.gpt-oss-120b-1:0",
                "qwen.*",
                "amazon.nova-lite-v1:0",
                "us.amazon.nova-pro-v1:0",
                "amazon.nova-2-lite-v1:0",
                "amazon.titan-text-express-v1",
                "amazon.titan-embed-image-v1",
            )
        ),
        entry("other", f"bedrock/{PROFILE}", {"base_model": f"bedrock/{CLAUDE}"}),
        entry("other", f"bedrock/{PROFILE}", base_model="amazon.nova-micro-v1:0"),
        entry("other", CLAUDE, custom_llm_provider="bedrock"),
    ],
    ids=lambda row: row["litellm_params"]["model"],
)
def test_what_makes_no_pictures_here(row: dict[str, Any]) -> None:
    """Left out beside an entry of ours, an error alone: with the same words at the same place."""
    config = beside_ours(row)
    assert list(config.aliases) == ["hero"]
    (warning,) = config.warnings
    where, _, reason = str(warning).partition(": is left out: ")
    with pytest.raises(ConfigError) as caught:
        Config.from_mapping({"model_list": [row]}, env={})
    assert caught.value.problems[0].endswith(f"{where.replace('[1]', '[0]')}: {reason}")


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("bedrock/amazon.nova-canvs-v1:0", "did you mean amazon.nova-canvas-v1:0"),
        ("bedrock/amazon.titan-image-generatr-v2:0", "did you mean amazon.titan-image-generator-v2:0"),
        ("bedrock/stabilty.stable-image-core-v1:1", "did you mean stability.stable-image-core-v1:1"),
        ("bedrock/openai.nova-canvas-v1:0", "did you mean amazon.nova-canvas-v1:0"),
        ("bedrock/converse/amazon.nova-canvas-v1:0", "converse"),
        ("bedrok/amazon.nova-canvas-v1:0", "is served by 'bedrok'; .* did you mean bedrock"),
        ("us-east-1/amazon.nova-canvas-v1:0", "did you mean bedrock/us-east-1"),
        ("bedrock/newcomer.paints-v1:0", "not an image model of Bedrock"),
    ],
)
def test_what_is_spelt_like_an_image_model_stays_an_error(model: str, wanted: str) -> None:
    """It was meant for us: leaving it out would hide the mistake."""
    with pytest.raises((ConfigError, InvalidRequest), match=wanted):
        Router(beside_ours(entry("other", model, aws_region_name="us-west-2")), provider=FakeProvider())


def test_no_image_model_is_taken_for_another() -> None:
    """Every name of the catalogue is ours, with any prefix."""
    for model in Catalog.load().models():
        for name in (
            model.id,
            f"bedrock/us.{model.id}",
            f"bedrock/converse/{model.id}",
            f"bedrock/us-west-2/{model.id}",
        ):
            found = translate({"model_list": [entry("hero", name)]})
            assert (found.problems, list(found.data["aliases"])) == ((), ["hero"])


def test_a_file_without_anything_for_us_names_every_entry() -> None:
    """There would be nothing to route to."""
    text = """
        model_list:
        - {model_name: a, litellm_params: {model: openai/gpt-4o}}
        - {model_name: b, litellm_params: {model: bedrock/anthropic.claude-v2}}
        router_settings: {fallbacks: [{a: [b]}]}
        """
    with pytest.raises(ConfigError) as caught:
        Config.parse(dedent(text), "litellm.yaml", env={})
    assert [problem.partition(": ")[2] for problem in caught.value.problems[:2]] == [
        "model_list[0].litellm_params.model: 'a' is served by 'openai'; here are image models of Bedrock only",
        "model_list[1].litellm_params.model: 'anthropic.claude-v2' is not an image model of Bedrock that Lascaux knows",
    ]


def arguments(model: str, *fallbacks: str) -> Arguments:
    environment = {"AWS_REGION_NAME": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    return Arguments.read("otter", model, 60, {"fallbacks": list(fallbacks)}, environment)


def test_a_call_leaves_out_fallbacks_and_nothing_else() -> None:
    """Whoever asks for another provider's model is told so, although a fallback could answer."""
    nova = "bedrock/amazon.nova-canvas-v1:0"
    connection = connect(arguments(nova, "openai/dall-e-3"))
    assert [str(warning) for warning in connection.warnings if warning.code == "config"] == [
        "fallbacks[0].model: is left out: 'openai/dall-e-3' is served by 'openai'; here are image models of Bedrock only"
    ]
    connection.router.close()
    with pytest.raises(InvalidRequest) as caught:
        connect(arguments("openai/dall-e-3", nova, "azure/dall-e-3"))
    assert str(caught.value) == "model: 'openai/dall-e-3' is served by 'openai'; here are image models of Bedrock only"


def test_tokens_a_minute_are_shares_whatever_their_size() -> None:
    """Millions are more than a weight of ours may be; the proportion is what counts."""
    text = """
model_list:
- {model_name: a, litellm_params: {model: bedrock/amazon.nova-canvas-v1:0, aws_region_name: us-east-1, tpm: 4000000}}
- {model_name: a, litellm_params: {model: bedrock/amazon.nova-canvas-v1:0, aws_region_name: eu-west-1, tpm: 1000000}}
"""
    uses = Config.parse(text, env={}).aliases["a"].uses
    assert [use.weight for use in uses] == [1_000_000, 250_000]
