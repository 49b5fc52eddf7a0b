"""A picture without its background, made in two stages where models only make opaque ones.

The alias that was asked may name who removes backgrounds (``background_remover``). Then a request for a transparent
background is made without it, and the background of every picture is removed by a second call, with the remover's own
deployments, retries, fallbacks and cache keys. What both cost is one bill; what was paid for is never thrown away: a
picture whose background stays is delivered as it is, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ..pricing import Cost
from ..providers.errors import InvalidRequest, LascauxError
from ..providers.types import Call, Delivery, Image, ImageRequest, Picture, Task, Warning
from .attempts import request_flow
from .cache import Entry
from .context import Context, Trail
from .effects import Flow, Gather, Piece, Served
from .plan import Alias, Planner, Step, nobody_can

__all__ = ["Stages", "advised", "removal", "removal_trail", "staged_flow", "stages", "stays_opaque"]

_STATES = ("miss", "bypass", "coalesced", "hit")
"""What the cache did, from dear to cheap; of several the dearest counts."""
_USUAL = (1024, 1024)
"""The size of a picture whose model does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """A request in two stages: ``first`` makes the pictures, ``remover`` removes the background of each of them.

    With a ``refusal`` the remover can not: then there is one stage, and the pictures stay opaque.
    """

    first: ImageRequest
    remover: Alias
    refusal: InvalidRequest | None = None


def stages(planner: Planner, alias: Alias, request: ImageRequest, *, today: date) -> Stages | None:
    """The two stages of a request, None if it has one. Pure: from catalogue facts, before anything is sent.

    It has one if no transparent background is asked for, if nobody is named to remove it, or if a model of the chain makes
    transparent pictures itself. Raises InvalidRequest for a file format that has no transparency and, when strict, if the
    remover can not do it.
    """
    if request.background != "transparent" or request.task is Task.REMOVE_BACKGROUND:
        return None
    if request.output_format == "jpeg":
        message = "background, output_format: jpeg can not hold a transparent background"
        raise InvalidRequest(message, parameter="output_format", allowed="png, webp", nearest="png")
    remover = planner.remover(alias)
    if remover is None:
        return None
    lenient = replace(request, strict=False)  # what would be refused when strict shall be seen
    chain = planner.chain(alias)
    steps = [
        planner.step(replace(link, strict=False, prepared=link.pool), lenient, today=today, caching=False)
        for link in chain
    ]
    calls = [call for step in steps for offer in step.offers.values() for call in offer.calls]
    if any(not _is_opaque(call) for call in calls):
        return None
    refusal = nobody_can(remover.name, _probe(planner, remover, request, calls, today))
    if refusal is None:
        first = replace(request, background=None, output_format="png", output_compression=None)
        return Stages(first=first, remover=remover)
    reason = f"background: {remover.name!r}, which removes it for {alias.name!r}, can not do this: {refusal.message}"
    refusal = InvalidRequest(reason, parameter="background", allowed="auto, opaque", nearest="opaque")
    if request.strict:
        raise refusal
    return Stages(first=request, remover=remover, refusal=refusal)


def removal(request: ImageRequest, picture: Picture) -> ImageRequest:
    """The second stage of a request for one picture of the first."""
    return ImageRequest(
        prompt="",
        task=Task.REMOVE_BACKGROUND,
        image=picture,
        output_format=request.output_format,
        output_compression=request.output_compression,
        guardrail_id=request.guardrail_id,
        guardrail_version=request.guardrail_version,
        strict=request.strict,
    )


def staged_flow(context: Context, request: ImageRequest, trail: Trail) -> Flow:
    """`request_flow` in one stage or two. The deadline spans both, and all attempts are in one list.

    Strict or not, a picture that was paid for is delivered, if need be with its background: to throw it away would help
    nobody, and a second try would be billed again. The warning says so.
    """
    clear = request.background == "transparent"
    planned = stages(context.planner, trail.alias, request, today=context.today()) if clear else None
    if planned is None:
        try:
            return (yield from request_flow(context, request, trail))
        except InvalidRequest as error:
            raise advised(error, request, trail.alias) from error.__cause__
    served = yield from request_flow(context, planned.first, trail)
    if planned.refusal is not None:
        return _warned(served, stays_opaque(planned.refusal.message))
    jobs = [
        _Job(context, request, removal_trail(trail, planned.remover, reproducible=piece.cache != "bypass"), image)
        for piece in served
        for image in (piece.entry.result.images if piece.entry else ())
    ]
    outcomes: Sequence[Served | LascauxError] = yield Gather(tuple(job.run() for job in jobs))
    for place, job in enumerate(jobs):
        trail.excluded.extend(job.trail.excluded)
        trail.attempts.extend(replace(attempt, part=place, stage=2) for attempt in job.trail.attempts)
    return _joined(served, outcomes, request, planned.remover)


@dataclass(frozen=True, slots=True)
class _Job:
    """The removal of one picture's background."""

    context: Context
    request: ImageRequest
    trail: Trail
    image: Image

    def run(self) -> Flow:
        try:
            header = self.image.header
        except ValueError as error:
            raise InvalidRequest(f"image: the picture can not be read ({error})", parameter="image") from None
        picture = Picture(b64=self.image.b64, format=header.format, width=header.width, height=header.height)
        return (yield from request_flow(self.context, removal(self.request, picture), self.trail, counts=False))


def removal_trail(trail: Trail, remover: Alias, *, reproducible: bool) -> Trail:
    """The memory of a removal: its own alias and attempts, the caller's limits.

    A picture that nobody can ask for again (the model drew its seed) would only fill the cache.
    """
    own = trail.attempt_timeout == trail.alias.retry.attempt_timeout  # the caller has set none
    return replace(
        trail,
        alias=remover,
        attempt_timeout=remover.retry.attempt_timeout if own else trail.attempt_timeout,
        caching=trail.caching and reproducible,
        attempts=[],
        excluded=[],
    )


def _is_opaque(call: Call) -> bool:
    """Has the family said that a transparent background can not be had from this model?"""
    return any(warning.parameter == "background" and warning.code == "ignored" for warning in call.warnings)


def _probe(
    planner: Planner, remover: Alias, request: ImageRequest, calls: Iterable[Call], today: date
) -> tuple[Step, ...]:
    """The remover matched against a picture of the size to come."""
    known = [(call.width, call.height) for call in calls if call.width and call.height]
    width, height = min(known, key=lambda size: size[0] * size[1], default=_USUAL)
    probe = removal(request, Picture(b64="", format="png", width=width, height=height))
    return tuple(planner.step(link, probe, today=today, caching=False) for link in planner.chain(remover))


def advised(error: InvalidRequest, request: ImageRequest, alias: Alias) -> InvalidRequest:
    """The same refusal, with what would allow it."""
    if error.parameter != "background" or request.background != "transparent" or alias.background_remover:
        return error
    better = InvalidRequest(
        f"{error.message}; to allow it, give {alias.name!r} a background_remover in the configuration",
        parameter=error.parameter,
        allowed=error.allowed,
        nearest=error.nearest,
        code=error.code,
    )
    better.attempts = error.attempts
    return better


def _joined(served: Served, outcomes: Sequence[Served | LascauxError], request: ImageRequest, remover: Alias) -> Served:
    """Every picture with what became of it, in the order of the first stage."""
    rest = iter(outcomes)
    pieces: list[Piece] = []
    for piece in served:
        if piece.entry is None:
            pieces.append(piece)
            continue
        images = piece.entry.result.images
        for index, image in enumerate(images):
            opaque = _single(piece, piece.entry, image, first=index == 0)
            outcome = next(rest)
            if isinstance(outcome, LascauxError):
                pieces.append(_kept(opaque, outcome, request, len(pieces) + 1))
            else:
                pieces.append(_removed(opaque, outcome[0], remover))
    return tuple(pieces)


def _single(piece: Piece, entry: Entry, image: Image, *, first: bool) -> Piece:
    """One picture of a piece, with its share of the cost. The first keeps the places that stayed empty."""
    count = len(entry.result.images)
    cost = entry.cost
    if count > 1:
        cost = replace(cost, usd=None if cost.usd is None else cost.unit_usd, images=1)
    if piece.cache in ("hit", "coalesced"):
        cost = cost.as_saved()
    missing = entry.result.missing if first else ()
    result = replace(entry.result, images=(image,), missing=missing)
    places = piece.images - (count - 1) if first else 1
    return replace(piece, images=places, entry=replace(entry, result=result, cost=cost))


def _removed(opaque: Piece, second: Piece, remover: Alias) -> Piece:
    """The picture of the second stage, with the seed, the place and the model of the first."""
    before, after = opaque.entry, second.entry
    assert before is not None  # only answers have pictures
    assert after is not None  # a flow without any answer raises
    made = before.result.images[0]
    image = Image(after.result.images[0].b64, seed=made.seed, finish_reason=made.finish_reason)
    spent = after.cost.as_saved() if second.cache in ("hit", "coalesced") else after.cost
    message = (
        f"{before.call.model} makes opaque pictures only; the background was removed by {after.call.model} "
        f"({remover.name}) in a second call, which costs extra"
    )
    said = (*before.call.warnings, Warning(code="adapted", parameter="background", message=message))
    call = replace(
        before.call,
        format=after.call.format,
        delivery=after.call.delivery,
        warnings=(*said, *after.call.warnings, *after.result.warnings),
    )
    result = replace(before.result, images=(image,))
    entry = Entry(result, Cost.total([before.cost, spent]), before.target, call)
    return replace(opaque, cache=_dearest(opaque.cache, second.cache), entry=entry)


def _kept(opaque: Piece, error: LascauxError, request: ImageRequest, number: int) -> Piece:
    """The picture of the first stage, as it is but for the file format that was asked for."""
    entry = opaque.entry
    assert entry is not None  # only answers have pictures
    delivery = entry.call.delivery
    if request.output_format is not None:
        quality = request.output_compression if request.output_format != "png" else None
        delivery = Delivery(format=request.output_format, quality=quality)
    said = stays_opaque(f"of picture {number}: {error.message}")
    entry = replace(entry, call=replace(entry.call, delivery=delivery, warnings=(*entry.call.warnings, said)))
    cache = "bypass" if opaque.cache == "bypass" else "miss"  # somebody was called, in vain
    return replace(opaque, cache=cache, entry=entry)


def stays_opaque(why: str) -> Warning:
    """What is said when a background stays."""
    message = f"the background could not be removed, the picture is delivered opaque: {why}"
    return Warning(code="ignored", parameter="background", message=message)


def _warned(served: Served, said: Warning) -> Served:
    """The same pictures, with one warning more."""
    return tuple(
        replace(
            piece,
            entry=replace(piece.entry, call=replace(piece.entry.call, warnings=(*piece.entry.call.warnings, said))),
        )
        if piece.entry
        else piece
        for piece in served
    )


def _dearest(*states: str) -> str:
    return next(state for state in _STATES if state in states)
