"""A call under way, and the record of it once it has ended."""

from __future__ import annotations

from typing import NamedTuple

from ..pricing import Cost
from ..providers.errors import LascauxError
from .deployment import Permit
from .endings import remembered
from .records import Attempt

__all__ = ["Sending"]


class Sending(NamedTuple):
    """What is known of a call when it is sent. ``began`` and ``started`` are the moments of request and call."""

    permit: Permit
    alias: str
    part: int
    ordinal: int
    began: float
    started: float
    waited: float

    def ended(
        self,
        now: float,
        *,
        error: LascauxError | None = None,
        request_id: str | None = None,
        cost: Cost | None = None,
    ) -> Attempt:
        """The record of a call that has ended now, well or with an error."""
        permit = self.permit
        candidate = permit.candidate
        call, target = candidate.calls[0], candidate.deployment.target
        return Attempt(
            ordinal=self.ordinal,
            part=self.part,
            alias=self.alias,
            deployment=candidate.name,
            model=target.model,
            model_id=target.model_id,
            region=target.region,
            task=str(call.task),
            images=call.images,
            started=self.started - self.began,
            duration=now - self.started,
            outcome="ok" if error is None else error.code,
            error=None if error is None else remembered(error),
            may_be_billed=error is not None and error.may_be_billed,
            request_id=request_id if error is None else getattr(error, "request_id", None),
            probe=permit.probe,
            panic=permit.panic,
            cost=cost,
            waited=self.waited,
        )
