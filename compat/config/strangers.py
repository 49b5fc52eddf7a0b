"""Entries that are not for us: models of other providers, and models of Bedrock that make no pictures."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import unquote

from ...providers.bedrock.ids import GEOGRAPHIES, partition_of
from .notes import Draft, Found, Params, is_reference, near

__all__ = ["Stranger", "is_left_out", "leave_out", "stranger"]

_BEDROCK = ("bedrock",)
_VENDORS = re.compile(
    r"ai21|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot(?:ai)?|nvidia|openai|qwen|twelvelabs|writer|zai"
)
"""Of Bedrock's vendors those without an image model there: user guide, "Supported foundation models"."""
_OF_AMAZON = re.compile(
    r"(?:nova-(?:2-)?(?:micro|lite|pro|premier|sonic|reel|multimodal)|titan-(?:text|embed|tg1|e1t)|rerank)(?![a-z])"
)
"""Amazon's models without an image among their answers, from the same page."""
_ROUTES = re.compile(r"converse(?:_like)?|agent(?:core)?|async_invoke|openai|llama|deepseek_r1|nova|qwen[23]|moonshot")
"""What LiteLLM writes between ``bedrock/`` and the name of what is no image model."""
_PLAIN = {
    "openai": re.compile(r"(?:chat)?gpt-|o[134](?:$|-)|dall-e-|text-embedding-|whisper-|tts-"),
    "anthropic": re.compile(r"claude-"),
    "vertex_ai": re.compile(r"gemini-"),
}
"""Names that LiteLLM takes to another provider although they name none."""
_LIKENESS = 0.8
"""From here on a name counts as a misspelt one. The text models of the vendors above come to 0.72 at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """An entry that is not for us: what tells, and why in a clause. ``misspelt`` if it probably was meant for us."""

    alias: str
    tells: Found
    reason: str
    misspelt: bool = False


def stranger(alias: str, model: Found, params: Params, base: Found | None) -> Stranger | None:
    """Who serves this entry if not we do, judged by names alone; None if it is ours, or if they do not tell.

    ``base`` is the entry's ``base_model``, which counts where the model is an ARN that says nothing.
    """
    tells, provider = _provider(model, params.take("custom_llm_provider"))
    if provider is not None:
        hint = f"; did you mean bedrock/{provider}?" if partition_of(provider) else near(provider, _BEDROCK)
        reason = f"{alias[:80]!r} is served by {provider[:40]!r}; here are image models of Bedrock only{hint}"
        return Stranger(alias=alias, tells=tells, reason=reason, misspelt=bool(hint))
    text = str(model.value).strip().removeprefix("bedrock/")
    name = _without_pictures(text)
    if name is None and "arn:" in unquote(text) and base and isinstance(base.value, str):
        name = _without_pictures(base.value)
    if name is None:
        return None
    reason = f"{name[:120]!r} is not an image model of Bedrock that Lascaux knows"
    return Stranger(alias=alias, tells=model, reason=reason)


def leave_out(strangers: Iterable[Stranger], served: set[str], draft: Draft, needed: str | None) -> frozenset[str]:
    """Say who is left out, and return the aliases that nobody serves. Without anybody to serve it is an error.

    So it is for ``needed``, the one alias that must be served.
    """
    left = set()
    for one in strangers:
        if not served or (one.alias == needed and needed not in served):
            draft.refuse(one.tells.path, one.reason)
        else:
            draft.warn(one.tells.path, f"is left out: {one.reason}")
        left.add(one.alias)
    return frozenset(left - served)


def is_left_out(name: str, left: Collection[str], known: Collection[str]) -> bool:
    """True if ``name`` leads only to entries that are left out: by itself, or because their pattern lets it through."""
    if name in left or name in known:
        return name in left
    return _passes(name, left) and not _passes(name, known)


def _passes(name: str, patterns: Collection[str]) -> bool:
    shapes = (re.escape(one).replace(r"\*", ".*") for one in patterns if "*" in one)
    return any(re.fullmatch(shape, name) for shape in shapes)


def _provider(model: Found, given: Found | None) -> tuple[Found, str | None]:
    """What names the provider, and which it is; None for Bedrock and for what is not known yet."""
    text = str(model.value).strip()
    if given:
        other = given.value not in _BEDROCK and not is_reference(given.value)
        return given, str(given.value) if other else None
    if text.startswith("arn:") or is_reference(text):
        return model, None
    head, slash, _ = text.partition("/")
    if slash:
        return model, None if head in _BEDROCK else head
    return model, next((name for name, shape in _PLAIN.items() if shape.match(text)), None)


def _without_pictures(text: str) -> str | None:
    """The model of Bedrock that an identifier names, if that one makes no pictures and is not spelt like one that does."""
    plain = unquote(text).lower()
    name = plain.rpartition("/")[2]
    geography, _, inner = name.partition(".")
    if geography in GEOGRAPHIES:
        name = inner
    vendor, _, rest = name.partition(".")
    if vendor == "amazon" and _OF_AMAZON.match(rest):
        return name
    routed = "/" in plain and _ROUTES.fullmatch(plain.partition("/")[0])
    if not routed and not (_VENDORS.fullmatch(vendor) and rest):
        return None
    from ...providers.catalog import Catalog  # reads its tables when first asked

    known = [model.id for model in Catalog.load().models()]
    tails = [one.partition(".")[2] for one in known]
    like = get_close_matches(name[:200], known, 1, _LIKENESS) or get_close_matches(rest[:200], tails, 1, _LIKENESS)
    return None if like else name if rest else text
