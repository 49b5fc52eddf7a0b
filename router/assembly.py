"""From the pieces that a request was served in to its result: pure, but for the conversion of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..pricing import Cost
from ..providers.conversion import deliver, pending
from ..providers.types import Image, ImageRequest, Missing, Warning
from .cache import Entry
from .context import Trail
from .effects import Piece, Served
from .records import Attempt, Exclusions, Result

__all__ = ["assemble", "converted", "is_pending"]

_NOBODY = Exclusions()


def is_pending(served: Served) -> bool:
    """True if some picture has to be converted before it is handed over: that takes a while."""
    return any(
        pending(image, piece.entry.call.delivery)
        for piece in served
        if piece.entry is not None and piece.entry.call.delivery is not None
        for image in piece.entry.result.images
    )


def converted(served: Served) -> Served:
    """The same with every picture in the file format that its request asked for.

    One picture after the other, so that no more than one is decoded at a time. What stands in the cache stays as it came.
    """
    for piece in served:
        if piece.entry is not None and piece.entry.call.delivery is not None:
            break
    else:
        return served
    return tuple(piece if piece.entry is None else replace(piece, entry=_converted(piece.entry)) for piece in served)


def _converted(entry: Entry) -> Entry:
    delivery = entry.call.delivery
    if delivery is None:
        return entry
    outcomes = [deliver(image, delivery) for image in entry.result.images]
    said = dict.fromkeys(warning for _, warnings in outcomes for warning in warnings)
    images = tuple(image for image, _ in outcomes)
    return replace(entry, result=replace(entry.result, images=images, warnings=(*entry.result.warnings, *said)))


def assemble(request: ImageRequest, trail: Trail, served: Served, duration: float) -> Result:
    """Put the result together. ``duration`` is what the request took, in seconds."""
    good = [piece for piece in served if piece.entry is not None]
    first = good[0].entry
    assert first is not None  # a flow without any answer raises
    images, missing = (first.result.images, first.result.missing) if len(served) == 1 else _pictures(served)
    costs = [
        piece.entry.cost.as_saved() if piece.cache in ("hit", "coalesced") else piece.entry.cost
        for piece in good
        if piece.entry is not None
    ]
    target = first.target
    cost = costs[0] if len(costs) == 1 else Cost.total(costs)
    states = [piece.cache for piece in good]
    return Result(
        alias=trail.alias.name,
        task=str(request.task),
        images=images,
        model=target.model,
        model_id=target.model_id,
        deployment=target.deployment,
        region=target.region,
        cost=cost,
        cache=next(state for state in ("miss", "bypass", "coalesced", "hit") if state in states),
        duration=duration,
        seed=images[0].seed,
        request_id=first.result.request_id,
        attempts=tuple(sorted(trail.attempts, key=_ordinal)),
        skipped=Exclusions(trail.excluded) if trail.excluded else _NOBODY,
        route=trail.route,
        missing=missing,
        warnings=_each_once(_warnings(request, trail, good, cost)),
        mask=first.result.mask,
    )


def _ordinal(attempt: Attempt) -> int:
    return attempt.ordinal


def _each_once(warnings: Iterable[Warning]) -> tuple[Warning, ...]:
    said = tuple(warnings)
    return said if len(said) < 2 else tuple(dict.fromkeys(said))


def _pictures(served: Served) -> tuple[tuple[Image, ...], tuple[Missing, ...]]:
    """All pictures in the order asked for, and the places that stayed empty."""
    images: list[Image] = []
    missing: list[Missing] = []
    place = 0
    for piece in served:
        if piece.entry is not None:
            images.extend(piece.entry.result.images)
            for gap in piece.entry.result.missing:
                missing.append(
                    Missing(
                        index=place + gap.index, reason=gap.reason, message=gap.message, may_be_billed=gap.may_be_billed
                    )
                )
        elif piece.error is not None:
            reason = "filtered" if piece.error.code == "content_filtered" else "failed"
            missing.extend(
                Missing(
                    index=place + offset,
                    reason=reason,
                    message=piece.error.message,
                    may_be_billed=piece.error.may_be_billed,
                )
                for offset in range(piece.images)
            )
        place += piece.images
    return tuple(images), tuple(missing)


def _warnings(request: ImageRequest, trail: Trail, good: Iterable[Piece], cost: Cost) -> Iterable[Warning]:
    yield from request.warnings
    for piece in good:
        if piece.entry is None:
            continue
        yield from piece.entry.call.warnings
        yield from piece.entry.result.warnings
    if cost.usd is None:
        yield Warning(code="price_unknown", message=cost.note or "no rate is known for this usage")
    for attempt in trail.attempts:
        if attempt.error is not None and attempt.may_be_billed:
            yield Warning(
                code="may_be_billed",
                message=f"attempt {attempt.ordinal} on {attempt.deployment} failed ({attempt.outcome}) "
                "and may have been billed all the same; it is not part of the cost",
            )
