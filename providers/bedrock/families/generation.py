"""What all text-to-image families have in common: checking a request, sharing out its pictures, and reading back facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...catalog import Model, SeedFacts, TaskFacts
from ...errors import BadResponse, InvalidRequest
from ...quick import quick
from ...types import Call, ImageRequest, ImageResult, Task, Warning
from .answers import Entry, result
from .draft import Draft, at, write
from .seeds import following, sent
from .shared import delivery, left_over, made_as, unused, usual_format

__all__ = ["MOST_IMAGES", "UNPRICED", "Generation", "Priced", "whole"]

MOST_IMAGES = 10
"""Pictures of one request, as in OpenAI's API."""

_PROMPTS = ("text", "prompt", "text_prompts")
"""What the prompt is called on the wire. Tasks in which it is optional, or absent, may have an empty one."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What a price depends on, as it stands in the final body."""

    width: int | None = None
    height: int | None = None
    quality: str | None = None
    steps: int | None = None


UNPRICED = Priced()
"""A body that says nothing of what a price depends on."""


class Generation(ABC):
    """A family of text-to-image models. Subclasses say where things stand in the body and in the answer."""

    name: str
    seed_path: tuple[str, ...]
    count_path: tuple[str, ...] | None = None

    @abstractmethod
    def fill(self, draft: Draft) -> None:
        """Write every parameter but ``n`` and ``seed`` into the body."""

    @abstractmethod
    def priced(self, body: Mapping[str, Any], model: Model) -> Priced:
        """Read back what pricing needs, with the model's defaults where the body is silent."""

    @abstractmethod
    def entries(self, call: Call, payload: Mapping[str, Any]) -> Sequence[Entry]:
        """The pictures of an HTTP 200 answer, good or bad, in order."""

    def prepare(self, request: ImageRequest, model: Model) -> tuple[Call, ...]:
        """The calls that make ``request.n`` pictures. Raises InvalidRequest; see `Family.prepare`.

        Each call's seed is the request's seed plus the number of pictures before it, so that no two pictures share one.
        Past the largest seed it starts again at the smallest that is not random. Seed 0 on a model where 0 means random
        stays 0 for every call. Fields in ``native`` win over parameters; what a call says about itself is read from the
        final body.
        """
        facts = _check(request, model)
        draft = Draft(request, model, facts)
        headers = draft.headers()
        self.fill(draft)
        unused(draft)
        left_over(draft)
        draft.merge(request.native)
        draft.delivery = delivery(draft)
        shares = self._shares(draft)
        seed = self._seed(draft)
        assumed = self._assumed(draft, shares) if seed is None else None
        calls, before = [], 0
        for share in shares:
            body = _copied(draft.body) if len(shares) > 1 or request.native else draft.body
            if self.count_path is not None and share is not None:
                write(body, self.count_path, share)
            first = seed if assumed is None or not before else assumed
            if first is not None:
                write(body, self.seed_path, following(first, before, model))
            calls.append(self._call(draft, body, headers))
            before += share or 1
        return tuple(calls)

    def parse(self, call: Call, payload: Mapping[str, Any], *, request_id: str | None = None) -> ImageResult:
        """Read an HTTP 200 answer; see `Family.parse`."""
        if not isinstance(payload, (dict, Mapping)):  # to ask whether it is a mapping takes longer
            raise BadResponse("the answer is not an object", upstream_status=200, request_id=request_id)
        return result(call, self.entries(call, payload), request_id)

    def _shares(self, draft: Draft) -> list[int | None]:
        """How many pictures each call makes; None where the body says it, or needs not."""
        asked = draft.request.n
        fields = draft.facts.fields
        # Neither words nor a seed: nothing could make the next picture another one.
        settled = _seeds(draft) is None and not any(name in fields for name in _PROMPTS)
        if settled or (self.count_path is not None and self.count_path[-1] not in fields):
            if asked > 1:
                message = (
                    f"{draft.request.task} on {draft.model.name} makes the same picture every time: it is made once"
                )
                draft.ignore("n", message, allowed="1", nearest="1")
            return [None]
        if self.count_path is None:
            return [None] * asked
        native = at(draft.body, self.count_path)
        if native is not None:
            if asked not in (1, native):
                draft.adapt("n", f"native sets {'.'.join(self.count_path)} to something else, which is sent")
            return [None]
        most = draft.model.images_per_call
        shares = [min(most, asked - start) for start in range(0, asked, most)]
        return [share if share > 1 else None for share in shares]

    def _seed(self, draft: Draft) -> int | None:
        """The seed of the first call: from the request or, winning, from ``native``."""
        facts, seed = _seeds(draft), draft.request.seed
        if seed is not None:
            if facts is None:
                draft.ignore("seed", f"{draft.model.name} takes none for {draft.request.task}")
                return None
            allowed = f"0 to {facts.max}"
            if isinstance(seed, bool) or not isinstance(seed, int):
                raise draft.wrong("seed", "a whole number is needed", allowed=allowed)
            if not 0 <= seed <= facts.max:
                nearest = str(min(max(seed, 0), facts.max))
                raise draft.wrong("seed", f"{seed} is out of range", allowed=allowed, nearest=nearest)
        native = at(draft.body, self.seed_path)
        if native is None:
            if seed == 0 and facts is not None and facts.zero_is_random:
                # It is sent as it is, so a strict request is not refused.
                message = f"0 lets this model choose; 1 to {facts.max} are repeatable"
                draft.warnings.append(Warning(code="adapted", parameter="seed", message=message))
            return seed
        if seed is not None and native != seed:
            draft.adapt("seed", f"native sets {'.'.join(self.seed_path)} to something else, which is sent")
        return sent(native, draft.model)

    def _assumed(self, draft: Draft, shares: Sequence[int | None]) -> int | None:
        """The model's own fixed seed, to count from, when several calls would otherwise all use it.

        They would come back as copies of each other, each billed. This changes nothing that was asked for, so it is said
        but not refused when strict.
        """
        facts = _seeds(draft)
        if len(shares) == 1 or facts is None or facts.omitted is None or at(draft.body, self.seed_path) is not None:
            return None
        message = (
            f"none was given, and {draft.model.name} would use {facts.omitted} for each of {len(shares)} calls: "
            "the later calls are sent other seeds"
        )
        draft.warnings.append(Warning(code="adapted", parameter="seed", message=message))
        return facts.omitted

    def _call(self, draft: Draft, body: dict[str, Any], headers: Mapping[str, str]) -> Call:
        model = draft.model
        priced = self.priced(body, model)
        raw, facts, usual = at(body, self.seed_path), _seeds(draft), usual_format(draft)
        seed = sent(raw, model)
        effective = seed
        if facts is None or (raw is not None and seed is None) or (seed == 0 and facts.zero_is_random):
            effective = None
        elif seed is None:
            effective = facts.omitted
        return Call(
            model=model.id,
            family=self.name,
            task=draft.request.task,
            body=body,
            headers=dict(headers),
            images=(whole(at(body, self.count_path)) or 1) if self.count_path else 1,
            seed=seed,
            effective_seed=effective,
            # Nothing is drawn at random to remove a background: no model has a seed for it.
            reproducible=effective is not None or draft.request.task is Task.REMOVE_BACKGROUND,
            width=priced.width,
            height=priced.height,
            quality=priced.quality,
            steps=priced.steps,
            format=made_as(draft),
            ratio=_ratio(draft),
            delivery=draft.delivery,
            usual={"output_format": usual} if usual else {},
            warnings=tuple(draft.warnings),
        )


def whole(value: Any) -> int | None:
    """The value if it is a positive whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _seeds(draft: Draft) -> SeedFacts | None:
    """How the model treats seeds in this task; None where the task has no such field."""
    return draft.model.seed if "seed" in draft.facts.fields else None


def _ratio(draft: Draft) -> str | None:
    """The aspect ratio of what comes out, for a task that is told one."""
    field = draft.facts.fields.get("aspect_ratio")
    if field is None or draft.facts.sizes.kind != "aspect_ratio":
        return None
    said = draft.body.get("aspect_ratio", field.default)
    return said if isinstance(said, str) else None


def _check(request: ImageRequest, model: Model) -> TaskFacts:
    """The facts of the request's task. Raises InvalidRequest for what no body can be begun with."""
    tasks = model.able
    if request.task not in tasks:
        able = ", ".join(tasks)
        message = f"task: {model.id} can not do {request.task}; allowed: {able}"
        raise InvalidRequest(message, parameter="task", allowed=able)
    facts = tasks[request.task]
    if not isinstance(request.prompt, str) or (not request.prompt.strip() and _needs_words(facts)):
        raise InvalidRequest("prompt: a text is needed", parameter="prompt", allowed="a text that is not empty")
    if not isinstance(request.native, (dict, Mapping)):
        raise InvalidRequest("native: an object is needed", parameter="native", allowed="an object of provider fields")
    n = request.n
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST_IMAGES:
        nearest = str(MOST_IMAGES) if isinstance(n, int) and n > MOST_IMAGES else "1"
        message = f"n: {n!r:.40} is not from 1 to {MOST_IMAGES}"
        raise InvalidRequest(message, parameter="n", allowed=f"1 to {MOST_IMAGES}", nearest=nearest)
    return facts


def _needs_words(facts: TaskFacts) -> bool:
    return any(name in facts.fields and facts.fields[name].required for name in _PROMPTS)


def _copied(value: Any) -> Any:
    if isinstance(value, (str, int, float)):  # nearly all of a body; to ask whether they are mappings takes longer
        return value
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, (list, tuple)) else value
