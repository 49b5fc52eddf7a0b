"""The life of one request as a generator: it decides everything and performs nothing.

It yields steps and is sent their outcomes. A driver of a few lines performs them, with threads, with asyncio, or under a
virtual clock in tests and simulations. The order of things: an identical answer in the cache; an identical request in
flight; then, alias by alias along the chain, the deployments that are ready and were not tried. Only when nobody along the
whole chain can take the request at once does it panic (ask the least bad) or stand in line (for throttling or a limit to
pass, first come first served, with backoff after failures).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from ..providers.errors import Effect, LascauxError, RequestError, Throttled
from ..providers.types import ImageRequest
from .cache import Entry, Flight
from .choice import choose, early_probe, least_bad, somebody
from .context import Context, Trail
from .deployment import Permit
from .effects import Flow, Gather, Join, Land, Lookup, Piece, Send, Served, Store, Wait
from .endings import gone, left_off, nobody_left, shared, too_late, twin
from .errors import AttemptsFailed, DeadlineExceeded, NoDeploymentAvailable
from .health import State
from .plan import Alias, Step, nobody_can
from .records import Route
from .retry import Allowance, backoff, says_nothing
from .sending import Sending
from .turn import Turn

__all__ = ["request_flow"]


def request_flow(context: Context, request: ImageRequest, trail: Trail, *, counts: bool = True) -> Flow:
    """The whole life of a request. Raises `LascauxError`; every error carries the attempts that were made.

    Only one that ``counts`` adds to the retry budgets: the later stages of a request are no requests of their own.
    """
    if counts:
        with context.lock:
            context.budget.deposit()
            context.billed.deposit()
    try:
        return (yield from _Part(context, trail, request, context.planner.chain(trail.alias)).run())
    except LascauxError as error:
        error.attempts = tuple(trail.attempts)
        raise


class _Part:
    """One request on its way along a chain of aliases: the whole of it, or one of the parts it was cut into."""

    def __init__(
        self,
        context: Context,
        trail: Trail,
        request: ImageRequest,
        chain: Sequence[Alias],
        *,
        number: int = 0,
        whole: _Part | None = None,
    ) -> None:
        self.context = context
        self.trail = trail
        self.request = request
        self.number = number
        self.tried: set[str] = set()
        self.hopeless: set[str] = set(whole.hopeless) if whole else set()
        self.looked_up: set[str] = set()
        self.calls: dict[str, int] = dict(whole.calls) if whole else {}
        self.failures: dict[tuple[str, str], int] = dict(whole.failures) if whole else {}
        self.waits = 0
        self.turn = Turn(context, trail)
        self.allowance = Allowance(context.budget, context.billed, paid=whole is not None)
        self.last_error: LascauxError | None = whole.last_error if whole else None
        today = context.today()
        self.steps = tuple(
            context.planner.step(
                alias,
                request,
                today=today,
                tenant=trail.tenant,
                caching=trail.caching,
                part=number,
                routing_key=trail.routing_key,
            )
            for alias in chain
        )
        for step in self.steps:
            trail.excluded.extend(step.excluded)

    def run(self) -> Flow:
        """Cache and single flight around the attempts."""
        refusal = nobody_can(self.trail.alias.name, self.steps)
        if refusal is not None:
            raise refusal
        keys = next(step for step in self.steps if step.candidates).keys
        if not keys:
            return (yield from self.attempts())
        while True:
            entry = yield Lookup(keys)
            self.looked_up.update(keys)
            if entry is not None:
                return self._served(self._in_our_words(entry), "hit")
            flight: Flight[Served] = yield Join(self._flight_key(keys), self.trail.deadline - self.context.clock())
            if flight.leader:
                return (yield from self.lead(flight, keys))
            if not flight.outcome.done():
                raise gone(self.last_error) if self.trail.stopped.is_set() else self._too_late()
            failure = flight.outcome.exception()
            if failure is not None:
                raise shared(failure)
            served = flight.outcome.result()
            if served is not None:
                return tuple(
                    replace(piece, cache="coalesced", entry=self._in_our_words(piece.entry)) if piece.entry else piece
                    for piece in served
                )

    def _flight_key(self, keys: tuple[str, ...]) -> str:
        """Who may share a failure: equal calls with the same ways out and the same patience."""
        trail = self.trail
        patience = f"{trail.attempt_timeout:g}|{trail.deadline - trail.started:g}|{trail.max_wait}"
        return f"{trail.alias.name}|{self.request.strict}|{patience}|{'+'.join(keys)}"

    def _in_our_words(self, entry: Entry) -> Entry:
        """Somebody else's answer with our own call: the body is the same, the warnings on the way to it may not be."""
        for step in self.steps:
            ours = step.same_call(entry.call)
            if ours is not None:
                return entry if ours is entry.call else replace(entry, call=ours)
        # Their fallback was asked in other words than ours would have been; the file format is ours all the same.
        mine = next((offer.calls[0].delivery for step in self.steps for offer in step.offers.values()), None)
        return replace(entry, call=replace(entry.call, delivery=mine))

    def lead(self, flight: Flight[Served], keys: tuple[str, ...]) -> Flow:
        """Make the call that others wait for. The cache is asked again: the last flight may just have ended."""
        try:
            entry = yield Lookup(keys, flight.key)
            if entry is not None:
                served = self._served(self._in_our_words(entry), "hit")
            else:
                served = yield from self.attempts()
        except DeadlineExceeded:
            yield Land(flight, None)  # our time is over; those who wait may have more of it
            raise
        except LascauxError as error:
            # What failed because our caller has gone may well succeed for those who wait.
            ours = self.trail.stopped.is_set() and not isinstance(error, RequestError)
            yield Land(flight, None if ours else twin(error))
            raise
        except Exception as error:
            flight.land(error)  # a mistake of ours: it would be the same for all who wait
            raise
        except BaseException:
            flight.land(None)  # we are being closed and can not yield: hand over to one of those who wait
            raise
        yield Land(flight, served)
        return served

    def attempts(self) -> Flow:
        """Ask one deployment after the other until one answers, nobody is left, or time is over."""
        try:
            while True:
                now = self.context.clock()
                if now >= self.trail.deadline:
                    raise self._too_late()
                if self.context.line.ended:
                    raise left_off(self.last_error, "this router is closed")
                step, permit = (None, None) if self.trail.stopped.is_set() else self._next(now)
                if step is None:
                    yield self._stand(now)
                elif permit is None:
                    return (yield from self.fan_out(step))
                else:
                    served = yield from self.ask(step, permit)
                    if served is not None:
                        return served
        finally:
            if not self.turn.idle:
                with self.context.lock:
                    self.turn.over(self.context.clock())
            if self.turn.spent:
                self.context.on_wait(self.trail.alias.name, self.turn.spent)

    def ask(self, step: Step, permit: Permit) -> Generator[Any, Any, Served | None]:
        """Look into the cache once more, then make the call. None if it failed and somebody else may be asked."""
        key = permit.candidate.key
        if key is not None and key not in self.looked_up:
            self.looked_up.add(key)
            hit = yield from self.remember(permit, key)
            if hit is not None:
                return self._served(self._in_our_words(hit), "hit")
        entry = yield from self.send(step, permit)
        return None if entry is None else self._served(entry, "bypass" if key is None else "miss")

    def remember(self, permit: Permit, key: str) -> Generator[Lookup, Any, Entry | None]:
        """Before a lower priority or a fallback is called: it may have answered the same before."""
        try:
            entry: Entry | None = yield Lookup((key,), "")
        except BaseException:
            self._settle(permit, None, abandoned=True)
            raise
        if entry is not None:
            self._settle(permit, None, abandoned=True)
        return entry

    def send(self, step: Step, permit: Permit) -> Generator[Send | Store, Any, Entry | None]:
        """Make one call. None if it failed and somebody else may be asked."""
        candidate = permit.candidate
        call, target = candidate.calls[0], candidate.deployment.target
        started = self.context.clock()
        until = min(started + self.trail.attempt_timeout, self.trail.deadline)
        ordinal = next(self.trail.ordinals)
        name = step.alias.name
        self.trail.route = Route(
            alias=name,
            strategy=step.alias.strategy.name,
            candidates=len(step.candidates),
            deployment=candidate.name,
            score=permit.score,
        )
        self.calls[name] = self.calls.get(name, 0) + 1
        sending = Sending(permit, name, self.number, ordinal, self.trail.started, started, self.turn.lap())
        try:
            result, cost = yield Send(target, call, until, name, ordinal, permit)
        except LascauxError as error:
            silent = says_nothing(error, until - started, step.alias.retry)
            self._settle(permit, error, abandoned=silent)
            if not silent:
                self._teach(step, permit, started, error)
            self.trail.attempts.append(sending.ended(self.context.clock(), error=error))
            if not error.retry:
                raise
            self._learn(name, candidate.name, error)
            return None
        except BaseException:
            self._settle(permit, None, abandoned=True)
            raise
        self._settle(permit, None)
        self._teach(step, permit, started, None)
        self.trail.attempts.append(sending.ended(self.context.clock(), request_id=result.request_id, cost=cost))
        entry = Entry(result, cost, target, call)
        if candidate.key is not None and not result.missing:
            yield Store(candidate.key, entry)
        return entry

    def fan_out(self, step: Step) -> Flow:
        """Send the parts of the request side by side, each with the rest of the chain behind it."""
        chain = [later.alias for later in self.steps[self.steps.index(step) :]]
        parts = [
            _Part(self.context, self.trail, part, chain, number=number, whole=self)
            for number, part in enumerate(step.parts)
        ]
        outcomes: list[Served | LascauxError] = yield Gather(tuple(part.run() for part in parts))
        failures = [outcome for outcome in outcomes if isinstance(outcome, LascauxError)]
        if len(failures) == len(outcomes):
            try:
                raise next((error for error in failures if not error.retry), failures[0])
            finally:
                del failures, outcomes  # its traceback holds this frame
        pieces: list[Piece] = []
        for part, outcome in zip(step.parts, outcomes, strict=True):
            if isinstance(outcome, LascauxError):
                pieces.append(Piece(part.n, "miss", error=outcome))
            else:
                pieces.extend(outcome)
        return tuple(pieces)

    def _next(self, now: float) -> tuple[Step, Permit | None] | tuple[None, None]:
        """Who is asked now: a step with a permit, or a step whose parts go out; (None, None) if nobody can be."""
        with self.context.lock:
            if self.turn.again is not None and now >= self.turn.again:
                self.turn.again = None
                self.tried = set(self.hopeless)
            refusal = self.allowance.refusal(self.last_error, now)
            if refusal:
                raise self._nobody_left(now, refusal)
            open_steps = self._open_steps()
            barred = self.turn.barred(now)
            tried = self.tried | barred if barred else self.tried
            for step in open_steps:
                if step.parts:
                    if somebody(step, now, tried=tried):
                        return self._spend(step, None, now)
                    continue
                permit = choose(step, now, tried=tried)
                if permit is not None:
                    return self._spend(step, permit, now)
            for step in open_steps:
                if step.parts:
                    return self._spend(step, None, now)
                permit = least_bad(step, now, self.context.panic_threshold, tried=tried)
                permit = permit or early_probe(step, now, tried=tried)
                if permit is not None:
                    return self._spend(step, permit, now)
        return None, None

    def _spend(self, step: Step, permit: Permit | None, now: float) -> tuple[Step, Permit | None]:
        self.turn.over(now)
        self.allowance.spend(self.last_error)
        return step, permit

    def _open_steps(self) -> list[Step]:
        return [step for step in self.steps if step.candidates and self._attempts_left(step)]

    def _attempts_left(self, step: Step) -> bool:
        name, retry = step.alias.name, step.alias.retry
        if self.calls.get(name, 0) >= retry.attempts:
            return False
        return not self.failures or all(self.failures.get((name, code), 0) <= extra for code, extra in retry.on.items())

    def _stand(self, now: float) -> Wait:
        """Wait until somebody may take the request. Raises when waiting is no plan or would take too long."""
        with self.context.lock:
            if self.trail.stopped.is_set():  # looked at under the lock: later, nobody would wake us
                raise gone(self.last_error)
            steps = self._open_steps()
            places = {c.deployment: step for step in steps for c in step.candidates if c.name not in self.hopeless}
            failed = [place for place in places if place.name in self.tried]
            if failed and self.turn.again is None:
                paced = isinstance(self.last_error, Throttled)  # its quota says when to come again
                policy = places[failed[0]].alias.retry
                self.turn.again = now + (0.0 if paced else backoff(policy, self.waits, self.context.rng))
                self.waits += 1
            fresh = tuple(place for place in places if place.name not in self.tried)
            newcomer = self.turn.order is None
            wait = self.turn.stand(fresh, failed, now)
            if isinstance(wait, Wait):
                return wait
            reason = "the next place is free too late" if wait is not None else ""
            raise self._nobody_left(now, reason, wait if newcomer else None)

    def _settle(self, permit: Permit, error: LascauxError | None, *, abandoned: bool = False) -> None:
        deployment = permit.candidate.deployment
        with self.context.lock:
            now = self.context.clock()
            before = deployment.state(now)
            deployment.settle(permit, now, error, abandoned=abandoned)
            after = deployment.state(now)
            if before is not after and after is not State.CLOSED:
                self.context.line.closed(deployment)
            else:
                self.context.line.freed(deployment)
        if before is not after:
            self.context.on_breaker(deployment.name, after.value)

    def _teach(self, step: Step, permit: Permit, started: float, error: LascauxError | None) -> None:
        """Tell the strategy how long the call took, if it wants to know."""
        learn = getattr(step.alias.strategy, "learn", None)
        if learn is not None:
            with self.context.lock:
                now = self.context.clock()
                learn(permit.candidate, now, now - started, error)

    def _learn(self, alias: str, name: str, error: LascauxError) -> None:
        kind = (alias, type(error).default_code)
        self.failures[kind] = self.failures.get(kind, 0) + 1
        self.last_error = error
        self.tried.add(name)
        if error.effect in (Effect.OUT, Effect.RETIRED):
            self.hopeless.add(name)

    def _served(self, entry: Entry, cache: str) -> Served:
        return (Piece(self.request.n, cache, entry=entry),)

    def _too_late(self) -> DeadlineExceeded:
        return too_late(self.trail, self.number, self.last_error)

    def _nobody_left(
        self, now: float, why: str = "", retry_after: float | None = None
    ) -> AttemptsFailed | NoDeploymentAvailable:
        """The final error. Called under the lock."""
        places = {c.deployment for step in self.steps for c in step.candidates if c.name not in self.hopeless}
        self.turn.over(now)
        if retry_after is None:
            retry_after = self.context.line.wait(places, now)
        if retry_after is None:
            retry_after = min((place.ready_in(now) for place in places), default=None)
        return nobody_left(self.trail, self.number, self.last_error, why, retry_after)
