"""The spans of upstream calls: the GenAI convention's client spans, and those of which nobody is told."""

from __future__ import annotations

import json
from asyncio import CancelledError
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from . import telemetry_names as names
from .errors import LascauxError, ProviderError

if TYPE_CHECKING:
    from .telemetry import RequestSpan, Telemetry

__all__ = ["AttemptSpan", "Unheard", "amount", "present"]

_SUPPRESS = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
"""Tells other instrumentations (botocore's would read and parse every picture) to leave our calls alone."""

_DESCRIPTION = 200


def _codes(kind: type[ProviderError]) -> Iterator[str]:
    yield kind.default_code
    for child in kind.__subclasses__():
        yield from _codes(child)


_SAFE_CODES = frozenset(_codes(ProviderError))
"""Errors that are not about the request's content, so that their messages can not quote the prompt."""


class Unheard:
    """An attempt of which nobody is told. Other instrumentations are left out of it all the same: see `_SUPPRESS`."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = otel_context.attach(otel_context.set_value(_SUPPRESS, True, self._context))

    def __exit__(self, *exception: object) -> None:
        otel_context.detach(self._token)


class AttemptSpan:
    """One upstream call: the GenAI client span ``generate_content {model_id}``, current while it is entered.

    Say how it ended with `succeed` or `fail`. An exception that leaves the block says it, too: a `LascauxError` with its
    code, every other by its own name.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        request: RequestSpan,
        model_id: str,
        where: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> None:
        self._telemetry = telemetry
        self._request = request
        self._facts = facts
        self._sampled = present(
            {
                names.OPERATION_NAME: names.OPERATION,
                names.PROVIDER_NAME: names.PROVIDER,
                names.REQUEST_MODEL: model_id,
                **where,
            }
        )
        self._outcome: str | None = None
        self._error_type: str | None = None
        self._response_model: str | None = None

    def __enter__(self) -> Self:
        parent = self._request.context
        name = f"{names.OPERATION} {self._sampled[names.REQUEST_MODEL]}"
        # A sampler sees only what is there at creation: the conventions name these attributes.
        self._span: Span = self._telemetry.tracer.start_span(name, parent, SpanKind.CLIENT, self._sampled)
        if self._span.is_recording():
            self._span.set_attributes({names.OUTPUT_TYPE: "image", **self._described()})
        inside = otel_context.set_value(_SUPPRESS, True, set_span_in_context(self._span, parent))
        self._token = otel_context.attach(inside)
        self._started = self._telemetry.clock()
        return self

    def _described(self) -> dict[str, Any]:
        described = present(self._facts)
        if names.SIZE in described:
            width, height = described[names.SIZE]
            described[names.SIZE] = f"{width}x{height}"
        if self._request.prompt is not None:
            parts = [{"type": "text", "content": self._request.prompt}]
            described[names.INPUT_MESSAGES] = json.dumps([{"role": "user", "parts": parts}], ensure_ascii=False)
        return described

    def succeed(
        self,
        *,
        response_model: str,
        request_id: str | None = None,
        images: int = 1,
        finish_reasons: Sequence[str] = (),
        cost_usd: Decimal | None = None,
    ) -> None:
        """The call brought ``images`` pictures. ``cost_usd`` None: the price is not known and not counted."""
        self._outcome, self._response_model = "ok", response_model
        if self._span.is_recording():
            facts = {
                names.RESPONSE_MODEL: response_model,
                names.AWS_REQUEST_ID: request_id,
                names.IMAGES_DELIVERED: images,
                names.FINISH_REASONS: tuple(finish_reasons) or None,
                names.COST_USD: amount(cost_usd),
                names.OUTCOME: "ok",
            }
            self._span.set_attributes(present(facts))
        self._count_images({"ok": images, "missing": self._facts[names.IMAGES_REQUESTED] - images})
        if cost_usd is not None:
            self._telemetry.metrics.cost.add(float(cost_usd), self._place())

    def fail(
        self,
        error_type: str,
        *,
        request_id: str | None = None,
        may_be_billed: bool = False,
        message: str | None = None,
    ) -> None:
        """The call brought nothing. ``message`` is left out where it may quote the request."""
        self._outcome, self._error_type = "error", error_type
        if self._span.is_recording():
            quotable = self._telemetry.capture_prompts or error_type in _SAFE_CODES
            description = message[:_DESCRIPTION] if message and quotable else None
            facts = {
                names.ERROR_TYPE: error_type,
                names.AWS_REQUEST_ID: request_id,
                names.MAY_BE_BILLED: may_be_billed,
                names.OUTCOME: "error",
            }
            self._span.set_attributes(present(facts))
            self._span.set_status(Status(StatusCode.ERROR, description))
        self._count_images({error_type: self._facts[names.IMAGES_REQUESTED]})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._outcome is None and kind is not None:
                self._left(kind, error)
            self._count()
        finally:
            otel_context.detach(self._token)
            self._span.end()

    def _left(self, kind: type[BaseException], error: BaseException | None) -> None:
        """Nobody said how it ended: an exception went through."""
        if isinstance(error, LascauxError):
            self.fail(
                error.code,
                request_id=getattr(error, "request_id", None),
                may_be_billed=error.may_be_billed,
                message=error.message,
            )
        elif issubclass(kind, (CancelledError, GeneratorExit, KeyboardInterrupt)):
            self._outcome = "cancelled"
            self._span.set_attribute(names.OUTCOME, self._outcome)
        else:
            self.fail(kind.__qualname__, may_be_billed=True)

    def _place(self) -> dict[str, Any]:
        labels, facts = self._telemetry.labels(), self._facts
        return {
            names.DEPLOYMENT: labels.name(facts[names.DEPLOYMENT]),
            names.MODEL: facts[names.MODEL],
            names.REGION: labels.region(facts[names.REGION]),
        }

    def _called(self) -> dict[str, Any]:
        """What was called, and where. Of a passed-through model only what its maker calls it."""
        if self._telemetry.labels().known(self._facts[names.DEPLOYMENT]):
            return self._sampled
        made_up = (names.SERVER_ADDRESS, names.SERVER_PORT)
        known = {key: value for key, value in self._sampled.items() if key not in made_up}
        return {**known, names.REQUEST_MODEL: self._facts[names.MODEL]}

    def _count(self) -> None:
        metrics, ended = self._telemetry.metrics, {names.ERROR_TYPE: self._error_type}
        labels = present(
            {
                **self._called(),
                names.REGION: self._place()[names.REGION],
                names.RESPONSE_MODEL: self._response_model,
                **ended,
            }
        )
        metrics.attempt_duration.record(self._telemetry.clock() - self._started, labels)
        metrics.attempts.add(1, present({**self._place(), names.OUTCOME: self._outcome or "unknown", **ended}))

    def _count_images(self, outcomes: Mapping[str, int]) -> None:
        place = self._place()
        labels = {names.MODEL: place[names.MODEL], names.REGION: place[names.REGION]}
        for outcome, images in outcomes.items():
            if images > 0:
                self._telemetry.metrics.images.add(images, {**labels, names.OUTCOME: outcome})


def present(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that have no value."""
    return {key: value for key, value in attributes.items() if value is not None}


def amount(money: Decimal | None) -> float | None:
    """Money as spans and metrics can hold it; None if nobody knows it."""
    return None if money is None else float(money)
