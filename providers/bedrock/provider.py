"""Bedrock as a provider: family for the body, transport for the exchange, family for the pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from ..base import Family
from ..catalog import Catalog, Model
from ..errors import BadResponse, ContentFiltered, InvalidRequest, LascauxError, ProviderError, Rejected
from ..promises import unkept
from ..types import Call, ImageRequest, ImageResult, Target
from .families import family_for
from .transport import Answer, Transport

__all__ = ["Bedrock"]

log = logging.getLogger(__name__)


class Bedrock:
    """The `Provider` for Amazon Bedrock. Thread-safe; opens connections when first used.

    ``transport`` is closed with it, also when it was given.
    """

    def __init__(self, *, catalog: Catalog | None = None, transport: Transport | None = None) -> None:
        self._catalog = catalog or Catalog.load()
        self._transport = transport or Transport()

    def prepare(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
        """The upstream calls for a request. Pure. Raises InvalidRequest when the target's model can not do it."""
        model = self._model(target.model)
        return family_for(model).prepare(request, model)

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        """One HTTP exchange, within ``timeout`` seconds, and the pictures in its answer. Raises `LascauxError`."""
        family = family_for(self._model(call.model))
        try:
            answer = self._transport.send(target, call.body, headers=call.headers, timeout=timeout)
        except LascauxError:
            raise
        except Exception as error:
            broken = _unreadable(call, error)
        else:
            return _pictures(family, call, answer)
        raise broken

    async def asend(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        """`send`, made by the event loop itself."""
        family = family_for(self._model(call.model))
        try:
            answer = await self._transport.asend(target, call.body, headers=call.headers, timeout=timeout)
        except LascauxError:
            raise
        except Exception as error:
            broken = _unreadable(call, error)
        else:
            return _pictures(family, call, answer)
        raise broken

    def address(self, target: Target) -> tuple[str, int] | None:
        """Host and port of the target's endpoint; None if it can not be resolved (sending then says why)."""
        return self._transport.address(target)

    def retain(self, targets: Iterable[Target]) -> None:
        """Give back connections, keys and sessions that none of these targets uses."""
        self._transport.retain(targets)

    def close(self) -> None:
        """Close connections that are not in use."""
        self._transport.close()

    def _model(self, model_id: str) -> Model:
        model = self._catalog.find(model_id)
        if model is None:
            near = next(iter(self._catalog.suggest(model_id)), None)
            hint = f"; did you mean {near}?" if near else ""
            raise InvalidRequest(
                f"model: {model_id!r} is not an image model of Bedrock that is known here{hint}",
                parameter="model",
                nearest=near,
            )
        return model


def _unreadable(call: Call, error: Exception) -> BadResponse:
    """No answer, however hostile, gets past the router's rules."""
    log.debug("%s: reading the answer failed with %s", call.model, type(error).__name__)
    return BadResponse(f"the answer can not be read ({type(error).__name__})", may_be_billed=True)


def _pictures(family: Family, call: Call, answer: Answer) -> ImageResult:
    try:
        result = family.parse(call, answer.payload, request_id=answer.request_id)
        said = unkept(call, result.images)
        return replace(result, warnings=(*result.warnings, *said)) if said else result
    except LascauxError as error:
        _trace(error, answer)
        raise
    except Exception as error:  # whatever stands in it: the request may be billed
        message = f"the answer of {call.model} is not what its documentation promises ({type(error).__name__})"
        raise BadResponse(message, request_id=answer.request_id, upstream_status=200) from None


def _trace(error: LascauxError, answer: Answer) -> None:
    """Put the request id on an error that a family found inside a 200."""
    if isinstance(error, ProviderError | ContentFiltered | Rejected):
        error.request_id = error.request_id or answer.request_id
        error.upstream_status = error.upstream_status or 200
